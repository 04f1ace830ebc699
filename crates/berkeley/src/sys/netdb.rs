//! `<netdb.h>`: getaddrinfo(3), getnameinfo(3), and the reentrant forms of the older calls.
#![expect(
    unsafe_code,
    reason = "the resolver's calls, and walking what it answers"
)]

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::{self, MaybeUninit, offset_of};
use core::{ptr, slice};
use std::ffi::{CString, OsStr, OsString};
use std::net::IpAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::addr::ADDR_BYTES;
use super::check;
use crate::addr::{Addr, AddrBuf};
use crate::errno::Errno;
use crate::kinds::{Family, Kind, Protocol};
use crate::names::{
    AddrInfo, GaiError, HostEntry, HostError, NameFlags, NameInfo, ProtocolEntry, ResolveError,
    ResolveFlags, ServiceEntry,
};

// glibc's reentrant forms, which the `libc` crate does not declare. (musl has no getproto*_r; its
// getprotobyname(3) would need a lock here.)
unsafe extern "C" {
    fn gethostbyname2_r(
        name: *const c_char,
        family: c_int,
        entry: *mut libc::hostent,
        room: *mut c_char,
        room_len: libc::size_t,
        found: *mut *mut libc::hostent,
        host_error: *mut c_int,
    ) -> c_int;
    fn gethostbyaddr_r(
        addr: *const c_void,
        addr_len: libc::socklen_t,
        family: c_int,
        entry: *mut libc::hostent,
        room: *mut c_char,
        room_len: libc::size_t,
        found: *mut *mut libc::hostent,
        host_error: *mut c_int,
    ) -> c_int;
    fn getservbyname_r(
        name: *const c_char,
        protocol: *const c_char,
        entry: *mut libc::servent,
        room: *mut c_char,
        room_len: libc::size_t,
        found: *mut *mut libc::servent,
    ) -> c_int;
    fn getservbyport_r(
        port: c_int,
        protocol: *const c_char,
        entry: *mut libc::servent,
        room: *mut c_char,
        room_len: libc::size_t,
        found: *mut *mut libc::servent,
    ) -> c_int;
    fn getprotobyname_r(
        name: *const c_char,
        entry: *mut libc::protoent,
        room: *mut c_char,
        room_len: libc::size_t,
        found: *mut *mut libc::protoent,
    ) -> c_int;
    fn getprotobynumber_r(
        number: c_int,
        entry: *mut libc::protoent,
        room: *mut c_char,
        room_len: libc::size_t,
        found: *mut *mut libc::protoent,
    ) -> c_int;
}

// netdb.h, which `libc` copies: had a field moved, these would notice.
const _: () = {
    assert!(offset_of!(libc::addrinfo, ai_family) == 4);
    assert!(offset_of!(libc::addrinfo, ai_protocol) == 12);
    assert!(size_of::<libc::addrinfo>() == 16 + 4 * size_of::<usize>());
    assert!(offset_of!(libc::hostent, h_addrtype) == 2 * size_of::<usize>());
    assert!(offset_of!(libc::hostent, h_length) == 2 * size_of::<usize>() + 4);
    assert!(offset_of!(libc::servent, s_port) == 2 * size_of::<usize>());
    assert!(offset_of!(libc::protoent, p_proto) == 2 * size_of::<usize>());
};

/// The room that a reentrant call gets at first, and the most that it may ask for: an entry with
/// some ten thousand aliases. Beyond that the file or the server that answers is broken.
const ROOM_BYTES_MIN: usize = 1024;
pub(super) const ROOM_BYTES_MAX: usize = 1 << 20;

/// `NI_MAXHOST` and `NI_MAXSERV`: no name is longer (RFC 1035, and glibc's own limit).
const HOST_BYTES: libc::socklen_t = 1025;
const SERVICE_BYTES: libc::socklen_t = 32;

/// The longest name of a machine that any Unix allows, and one byte more. Linux allows 64.
const HOSTNAME_BYTES: usize = 256;

/// `NETDB_INTERNAL`: the error is in `errno`.
const NETDB_INTERNAL: c_int = -1;

/// The words of an `EAI_*` number.
pub(crate) fn gai_words(code: c_int) -> String {
    // SAFETY: takes one integer.
    let words = unsafe { libc::gai_strerror(code) };
    // SAFETY: gai_strerror(3) answers a static string for every number.
    unsafe { text(words) }.to_string_lossy().into_owned()
}

/// The words of an `h_errno` number.
pub(crate) fn host_words(code: c_int) -> String {
    // SAFETY: takes one integer.
    let words = unsafe { libc::hstrerror(code) };
    // SAFETY: hstrerror(3) answers a static string for every number.
    unsafe { text(words) }.to_string_lossy().into_owned()
}

/// The list of getaddrinfo(3): ours until it is dropped.
struct AddrList(*mut libc::addrinfo);

impl Drop for AddrList {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the list came from getaddrinfo(3), and no reference into it is left, since
            // `addresses` copies everything.
            unsafe { libc::freeaddrinfo(self.0) };
        }
    }
}

/// What getaddrinfo(3) is asked.
pub(crate) struct Hints<'a> {
    pub(crate) host: Option<&'a OsStr>,
    pub(crate) service: Option<&'a OsStr>,
    pub(crate) family: Family,
    pub(crate) kind: Kind,
    pub(crate) protocol: Protocol,
    pub(crate) flags: ResolveFlags,
}

/// Asks getaddrinfo(3); its answers in its order (RFC 6724).
pub(crate) fn addresses(query: &Hints<'_>) -> Result<Vec<AddrInfo>, ResolveError> {
    let host = query.host.map(c_string).transpose()?;
    let service = query.service.map(c_string).transpose()?;
    // SAFETY: addrinfo is integers and pointers, for which all zeros ("no hint") is valid.
    let mut hints: libc::addrinfo = unsafe { mem::zeroed() };
    hints.ai_family = query.family.raw();
    hints.ai_socktype = query.kind.raw();
    hints.ai_protocol = query.protocol.raw();
    hints.ai_flags = query.flags.raw();
    let mut list = AddrList(ptr::null_mut());
    // SAFETY: both names are null or end with zero, `hints` is live, and `list` is where the
    // answer goes.
    let code = unsafe {
        libc::getaddrinfo(
            c_pointer(host.as_deref()),
            c_pointer(service.as_deref()),
            &raw const hints,
            &raw mut list.0,
        )
    };
    gai(code)?;
    let mut found = Vec::new();
    let mut next = list.0;
    // SAFETY: the list is ours until it is dropped, each node is valid and links to the next one
    // or to null.
    while let Some(node) = unsafe { next.as_ref() } {
        if let Some(addr) = address_of(node) {
            found.push(AddrInfo {
                family: Family::from_raw(node.ai_family),
                kind: Kind::from_raw(node.ai_socktype),
                protocol: Protocol::from_raw(node.ai_protocol),
                // SAFETY: null, or a string that belongs to the node.
                canonical_name: (!node.ai_canonname.is_null())
                    .then(|| unsafe { text(node.ai_canonname) }),
                addr,
            });
        }
        next = node.ai_next;
    }
    Ok(found)
}

/// The answer of getaddrinfo(3) or getnameinfo(3) as an error.
fn gai(code: c_int) -> Result<(), ResolveError> {
    match code {
        0 => Ok(()),
        libc::EAI_SYSTEM => Err(ResolveError::System(Errno::last())),
        code => Err(ResolveError::Gai(GaiError::from_raw(code))),
    }
}

fn address_of(node: &libc::addrinfo) -> Option<Addr> {
    let len = usize::try_from(node.ai_addrlen).ok()?;
    if node.ai_addr.is_null() {
        return None;
    }
    // SAFETY: a node's address is `ai_addrlen` bytes long, and bytes have no alignment.
    let bytes = unsafe { slice::from_raw_parts(node.ai_addr.cast::<u8>(), len) };
    AddrBuf::from_bytes(bytes).decode()
}

/// Asks getnameinfo(3) for the name of an address.
pub(crate) fn name_of(addr: &Addr, flags: NameFlags) -> Result<NameInfo, ResolveError> {
    // The C library looks for the end of a Unix socket's path without a look at the length.
    let mut raw = AddrBuf::new();
    raw.zeros(ADDR_BYTES);
    raw.set_addr(addr);
    let (place, len) = raw.source();
    let mut host = [0u8; HOST_BYTES as usize];
    let mut service = [0u8; SERVICE_BYTES as usize];
    // SAFETY: `raw` is aligned as a `sockaddr_storage` (asserted beside it), all its bytes are
    // written, and those behind `len` are zero; both places have the length told, which fits.
    let code = unsafe {
        libc::getnameinfo(
            place,
            len,
            host.as_mut_ptr().cast(),
            HOST_BYTES,
            service.as_mut_ptr().cast(),
            SERVICE_BYTES,
            flags.raw(),
        )
    };
    gai(code)?;
    Ok(NameInfo {
        host: until_zero(&host),
        service: until_zero(&service),
    })
}

/// The hosts of one name in one family, by gethostbyname2_r(3).
pub(crate) fn host_by_name(name: &OsStr, family: Family) -> Result<HostEntry, ResolveError> {
    let name = c_string(name)?;
    host_lookup(&mut |entry, room, found, host_error| {
        // SAFETY: `name` ends with zero, and the rest is as `lookup` promises.
        unsafe {
            gethostbyname2_r(
                name.as_ptr(),
                family.raw(),
                entry,
                room.as_mut_ptr().cast(),
                room.len(),
                found,
                host_error,
            )
        }
    })
}

/// The host of an address, by gethostbyaddr_r(3).
pub(crate) fn host_by_addr(addr: IpAddr) -> Result<HostEntry, ResolveError> {
    let mut octets = [0u8; 16];
    let (len, family) = match addr {
        IpAddr::V4(ip) => {
            octets[..4].copy_from_slice(&ip.octets());
            (4, Family::INET)
        }
        IpAddr::V6(ip) => {
            octets = ip.octets();
            (16, Family::INET6)
        }
    };
    host_lookup(&mut |entry, room, found, host_error| {
        // SAFETY: `octets` has at least `len` bytes, read one by one; the rest is as `lookup`
        // promises.
        unsafe {
            gethostbyaddr_r(
                octets.as_ptr().cast(),
                len,
                family.raw(),
                entry,
                room.as_mut_ptr().cast(),
                room.len(),
                found,
                host_error,
            )
        }
    })
}

/// Where a call for a host puts its entry, what the entry points to, the pointer to the entry, and
/// the reason for a failure.
type HostCall<'a> =
    &'a mut dyn FnMut(*mut libc::hostent, &mut [u8], *mut *mut libc::hostent, *mut c_int) -> c_int;

fn host_lookup(call: HostCall<'_>) -> Result<HostEntry, ResolveError> {
    let mut host_error = 0;
    let answer = lookup(
        |entry, room, found| call(entry, room, found, &raw mut host_error),
        host_entry,
    );
    match answer {
        Ok(Some(entry)) => Ok(entry),
        Err(errno) if host_error == NETDB_INTERNAL => Err(ResolveError::System(errno)),
        Ok(None) if host_error == NETDB_INTERNAL => Err(ResolveError::System(Errno::last())),
        Ok(None) | Err(_) if host_error != 0 => {
            Err(ResolveError::Host(HostError::from_raw(host_error)))
        }
        Ok(None) => Err(ResolveError::Host(HostError::HOST_NOT_FOUND)),
        Err(errno) => Err(ResolveError::System(errno)),
    }
}

/// Copies an entry.
///
/// # Safety
/// The entry's pointers are as gethostbyname(3) describes them.
pub(super) unsafe fn host_entry(entry: &libc::hostent) -> HostEntry {
    let mut addrs = Vec::new();
    let len = usize::try_from(entry.h_length).unwrap_or(0);
    // SAFETY: the caller's promise: a list that null ends.
    for addr in unsafe { pointers(entry.h_addr_list) } {
        // SAFETY: each address has `h_length` bytes.
        let bytes = unsafe { slice::from_raw_parts(addr.cast::<u8>(), len) };
        if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
            addrs.push(IpAddr::from(octets));
        } else if let Ok(octets) = <[u8; 16]>::try_from(bytes) {
            addrs.push(IpAddr::from(octets));
        }
    }
    HostEntry {
        // SAFETY: the caller's promise.
        name: unsafe { text(entry.h_name) },
        // SAFETY: the caller's promise.
        aliases: unsafe { texts(entry.h_aliases) },
        family: Family::from_raw(entry.h_addrtype),
        addrs,
    }
}

/// A service by its name, by getservbyname_r(3).
pub(crate) fn service_by_name(
    name: &CStr,
    protocol: Option<&CStr>,
) -> Result<Option<ServiceEntry>, Errno> {
    let protocol = c_pointer(protocol);
    lookup(
        |entry, room, found| {
            // SAFETY: `name` ends with zero, `protocol` too or it is null; the rest is as `lookup`
            // promises.
            unsafe {
                getservbyname_r(
                    name.as_ptr(),
                    protocol,
                    entry,
                    room.as_mut_ptr().cast(),
                    room.len(),
                    found,
                )
            }
        },
        service_entry,
    )
}

/// A service by its port, by getservbyport_r(3).
pub(crate) fn service_by_port(
    port: u16,
    protocol: Option<&CStr>,
) -> Result<Option<ServiceEntry>, Errno> {
    let protocol = c_pointer(protocol);
    lookup(
        |entry, room, found| {
            // SAFETY: `protocol` is null or ends with zero; the rest is as `lookup` promises.
            unsafe {
                getservbyport_r(
                    c_int::from(port.to_be()),
                    protocol,
                    entry,
                    room.as_mut_ptr().cast(),
                    room.len(),
                    found,
                )
            }
        },
        service_entry,
    )
}

/// Copies an entry.
///
/// # Safety
/// The entry's pointers are as getservbyname(3) describes them.
pub(super) unsafe fn service_entry(entry: &libc::servent) -> ServiceEntry {
    ServiceEntry {
        // SAFETY: the caller's promise.
        name: unsafe { text(entry.s_name) },
        // SAFETY: the caller's promise.
        aliases: unsafe { texts(entry.s_aliases) },
        // A port in network order within an int: what does not fit is no port.
        port: u16::from_be(u16::try_from(entry.s_port).unwrap_or(0)),
        // SAFETY: the caller's promise.
        protocol: unsafe { text(entry.s_proto) },
    }
}

/// A protocol by its name, by getprotobyname_r(3).
pub(crate) fn protocol_by_name(name: &CStr) -> Result<Option<ProtocolEntry>, Errno> {
    lookup(
        |entry, room, found| {
            // SAFETY: `name` ends with zero; the rest is as `lookup` promises.
            unsafe {
                getprotobyname_r(
                    name.as_ptr(),
                    entry,
                    room.as_mut_ptr().cast(),
                    room.len(),
                    found,
                )
            }
        },
        protocol_entry,
    )
}

/// A protocol by its number, by getprotobynumber_r(3).
pub(crate) fn protocol_by_number(number: c_int) -> Result<Option<ProtocolEntry>, Errno> {
    lookup(
        |entry, room, found| {
            // SAFETY: an integer; the rest is as `lookup` promises.
            unsafe {
                getprotobynumber_r(number, entry, room.as_mut_ptr().cast(), room.len(), found)
            }
        },
        protocol_entry,
    )
}

/// Copies an entry.
///
/// # Safety
/// The entry's pointers are as getprotobyname(3) describes them.
pub(super) unsafe fn protocol_entry(entry: &libc::protoent) -> ProtocolEntry {
    ProtocolEntry {
        // SAFETY: the caller's promise.
        name: unsafe { text(entry.p_name) },
        // SAFETY: the caller's promise.
        aliases: unsafe { texts(entry.p_aliases) },
        number: Protocol::from_raw(entry.p_proto),
    }
}

/// Makes a reentrant call until its entry fits, with ever more room, and copies the entry.
///
/// `call` gets a place for the entry, room for what the entry points to, and a place for the
/// pointer to the entry, all live and writable for the whole call. `None`: there is no such entry.
pub(super) fn lookup<E, T>(
    mut call: impl FnMut(*mut E, &mut [u8], *mut *mut E) -> c_int,
    read: unsafe fn(&E) -> T,
) -> Result<Option<T>, Errno> {
    let mut room = vec![0; ROOM_BYTES_MIN];
    loop {
        let mut entry = MaybeUninit::<E>::uninit();
        let mut found = ptr::null_mut();
        let code = call(entry.as_mut_ptr(), &mut room, &raw mut found);
        match Errno::from_raw(code) {
            Errno::ERANGE if room.len() < ROOM_BYTES_MAX => room = vec![0; room.len() * 2],
            // Null for "no such entry", which some sources of names answer as ENOENT.
            Errno::ENOENT => return Ok(None),
            _ if code == 0 => {
                // SAFETY: after success the pointer is null or points to `entry`, now written.
                let Some(entry) = (unsafe { found.as_ref() }) else {
                    return Ok(None);
                };
                // SAFETY: what the entry points to lies in `room`, which lives on; its form is
                // what the man page of the call says.
                return Ok(Some(unsafe { read(entry) }));
            }
            errno => return Err(errno),
        }
    }
}

/// The name of this machine, by gethostname(2).
pub(crate) fn hostname() -> Result<OsString, Errno> {
    // One byte more than is told, for a C library that does not end a name that just fits.
    let mut name = [0u8; HOSTNAME_BYTES + 1];
    // SAFETY: the place has more bytes than told.
    check(unsafe { libc::gethostname(name.as_mut_ptr().cast(), HOSTNAME_BYTES) })?;
    Ok(until_zero(&name))
}

/// Names this machine, by sethostname(2).
pub(crate) fn set_hostname(name: &[u8]) -> Result<(), Errno> {
    // SAFETY: `name` has the length told, and is only read.
    check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }).map(drop)
}

/// Blocks every signal in this thread: its creator's signals are not for it.
pub(crate) fn block_signals() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset(3) writes the whole set, and cannot fail for a place that exists.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: the set is written; null for "the old mask is not asked for". It cannot fail with a
    // known first argument.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), ptr::null_mut()) };
}

/// A name for a C function.
pub(crate) fn c_string(name: &OsStr) -> Result<CString, ResolveError> {
    CString::new(name.as_bytes()).map_err(|_zero| ResolveError::ZeroByte)
}

fn c_pointer(text: Option<&CStr>) -> *const c_char {
    text.map_or(ptr::null(), CStr::as_ptr)
}

fn until_zero(bytes: &[u8]) -> OsString {
    let end = bytes.iter().position(|&byte| byte == 0);
    let name = end.and_then(|end| bytes.get(..end)).unwrap_or(bytes);
    OsString::from_vec(name.to_vec())
}

/// Copies a string; empty for null.
///
/// # Safety
/// `from` is null or a string that zero ends.
pub(super) unsafe fn text(from: *const c_char) -> OsString {
    if from.is_null() {
        return OsString::new();
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { CStr::from_ptr(from) }.to_bytes();
    OsString::from_vec(bytes.to_vec())
}

/// Copies a list of strings.
///
/// # Safety
/// As for [`pointers`], and each element is a string that zero ends.
pub(super) unsafe fn texts(list: *mut *mut c_char) -> Vec<OsString> {
    // SAFETY: the caller's promise.
    let list = unsafe { pointers(list) };
    // SAFETY: the caller's promise.
    list.map(|from| unsafe { text(from) }).collect()
}

/// The elements of a list that null ends.
///
/// # Safety
/// `list` is null or such a list, and outlives the iterator.
unsafe fn pointers(list: *mut *mut c_char) -> impl Iterator<Item = *mut c_char> {
    let mut next = list;
    core::iter::from_fn(move || {
        // SAFETY: null, or an element: the one that is null was not stepped over.
        let element = *unsafe { next.as_ref() }?;
        if element.is_null() {
            return None;
        }
        // SAFETY: this element was not the last one, which is null.
        next = unsafe { next.add(1) };
        Some(element)
    })
}
