//! getaddrinfo(3).
#![expect(unsafe_code, reason = "walking the list that the resolver allocates")]

use core::ffi::{CStr, c_int};
use core::{mem, ptr, slice};
use std::ffi::CString;

use crate::addr::{Addr, RawAddr};
use crate::errno::Errno;

/// Why a name could not be resolved: the resolver's number, and `errno` where it is `EAI_SYSTEM`.
pub(crate) enum ResolveError {
    Gai(c_int),
    System(Errno),
    ZeroByte,
}

impl ResolveError {
    /// The resolver's own words.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Gai(code) => {
                // SAFETY: takes one integer.
                let words = unsafe { libc::gai_strerror(*code) };
                // SAFETY: gai_strerror(3) answers a static string for every number.
                unsafe { CStr::from_ptr(words) }
                    .to_string_lossy()
                    .into_owned()
            }
            Self::System(errno) => errno.to_string(),
            Self::ZeroByte => "it contains a zero byte".into(),
        }
    }
}

/// The addresses of a host, in the order of RFC 6724, each once.
pub(crate) fn addresses(
    host: &str,
    port: u16,
    family: c_int,
    kind: c_int,
) -> Result<Vec<Addr>, ResolveError> {
    let host = CString::new(host).map_err(|_zero| ResolveError::ZeroByte)?;
    // SAFETY: addrinfo is integers and pointers, for which all zeros ("no hint") is valid.
    let mut hints: libc::addrinfo = unsafe { mem::zeroed() };
    hints.ai_family = family;
    hints.ai_socktype = kind;
    let mut list: *mut libc::addrinfo = ptr::null_mut();
    // SAFETY: `host` ends with zero, `hints` is live, and `list` is where the answer goes.
    let code =
        unsafe { libc::getaddrinfo(host.as_ptr(), ptr::null(), &raw const hints, &raw mut list) };
    if code == libc::EAI_SYSTEM {
        return Err(ResolveError::System(Errno::last()));
    }
    if code != 0 {
        return Err(ResolveError::Gai(code));
    }
    let mut found = Vec::new();
    let mut next = list;
    // SAFETY: the list is ours until freeaddrinfo(3), each node is valid and links to the next
    // one or to null.
    while let Some(node) = unsafe { next.as_ref() } {
        if let Some(addr) = address_of(node) {
            let addr = addr.with_port(port);
            if !found.contains(&addr) {
                found.push(addr);
            }
        }
        next = node.ai_next;
    }
    // SAFETY: the list came from getaddrinfo(3), and no reference into it is left.
    unsafe { libc::freeaddrinfo(list) };
    Ok(found)
}

fn address_of(node: &libc::addrinfo) -> Option<Addr> {
    let len = usize::try_from(node.ai_addrlen).ok()?;
    if node.ai_addr.is_null() {
        return None;
    }
    // SAFETY: a node's address is `ai_addrlen` bytes long, and bytes have no alignment.
    let bytes = unsafe { slice::from_raw_parts(node.ai_addr.cast::<u8>(), len) };
    let mut raw = RawAddr::empty();
    raw.bytes.get_mut(..len)?.copy_from_slice(bytes);
    raw.len = node.ai_addrlen;
    raw.decode()
}
