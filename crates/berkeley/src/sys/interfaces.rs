//! `<net/if.h>` and `<ifaddrs.h>`.
#![expect(unsafe_code, reason = "walking the lists that the C library allocates")]

use core::ffi::{c_char, c_uint};
use core::mem::offset_of;
use core::{ptr, slice};
use std::ffi::{CStr, OsString};

use super::check;
use super::netdb::text;
use crate::addr::{Addr, AddrBuf};
use crate::errno::Errno;
use crate::interfaces::{Interface, InterfaceAddr, InterfaceFlags, InterfaceStats};
use crate::kinds::Family;

/// Bytes of `struct sockaddr_ll` before the hardware address, and where that one's length stands.
const LL_HEAD_BYTES: usize = offset_of!(libc::sockaddr_ll, sll_addr);
const LL_HALEN_AT: usize = offset_of!(libc::sockaddr_ll, sll_halen);

/// The longest hardware address that the C library has room for behind that head.
const LL_ADDR_BYTES_MAX: usize = 24;

const _: () = {
    assert!(LL_HEAD_BYTES == 12 && LL_HALEN_AT == 11);
    assert!(size_of::<libc::sockaddr_ll>() == 20);
    assert!(size_of::<libc::sockaddr>() == 16);
    assert!(size_of::<libc::ifaddrs>() == 7 * size_of::<usize>());
};

struct NameList(*mut libc::if_nameindex);

impl Drop for NameList {
    fn drop(&mut self) {
        // SAFETY: the list came from if_nameindex(3), and nothing borrows from it.
        unsafe { libc::if_freenameindex(self.0) };
    }
}

/// All interfaces, by if_nameindex(3).
pub(crate) fn names() -> Result<Vec<Interface>, Errno> {
    // SAFETY: takes nothing.
    let list = unsafe { libc::if_nameindex() };
    if list.is_null() {
        return Err(Errno::last());
    }
    let list = NameList(list);
    let mut found = Vec::new();
    let mut next = list.0;
    // SAFETY: an element of the list, whose last one has a null name and is not stepped over.
    while let Some(entry) = unsafe { next.as_ref() }.filter(|entry| !entry.if_name.is_null()) {
        found.push(Interface {
            index: entry.if_index,
            // SAFETY: not null, hence a string of the list.
            name: unsafe { text(entry.if_name) },
        });
        // SAFETY: this element was not the last one.
        next = unsafe { next.add(1) };
    }
    Ok(found)
}

pub(crate) fn index_of(name: &CStr) -> Result<c_uint, Errno> {
    // SAFETY: `name` ends with zero.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(Errno::last()),
        index => Ok(index),
    }
}

pub(crate) fn name_of(index: c_uint) -> Result<OsString, Errno> {
    let mut name: [c_char; libc::IF_NAMESIZE] = [0; libc::IF_NAMESIZE];
    // SAFETY: the place has IF_NAMESIZE bytes, as if_indextoname(3) asks.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr()) };
    if found.is_null() {
        return Err(Errno::last());
    }
    // SAFETY: it points to `name`, into which a string was written.
    Ok(unsafe { text(found) })
}

struct AddrList(*mut libc::ifaddrs);

impl Drop for AddrList {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the list came from getifaddrs(3), and nothing borrows from it.
            unsafe { libc::freeifaddrs(self.0) };
        }
    }
}

/// All addresses of all interfaces, by getifaddrs(3).
pub(crate) fn addresses() -> Result<Vec<InterfaceAddr>, Errno> {
    let mut list = AddrList(ptr::null_mut());
    // SAFETY: `list` is where the answer goes.
    check(unsafe { libc::getifaddrs(&raw mut list.0) })?;
    let mut found = Vec::new();
    let mut next = list.0;
    // SAFETY: the list is ours until it is dropped, each node is valid and links to the next one
    // or to null.
    while let Some(node) = unsafe { next.as_ref() } {
        // SAFETY: a node of the list.
        found.push(unsafe { entry_of(node) });
        next = node.ifa_next;
    }
    Ok(found)
}

/// Copies a node.
///
/// # Safety
/// The node's pointers are as getifaddrs(3) describes them.
unsafe fn entry_of(node: &libc::ifaddrs) -> InterfaceAddr {
    let flags = InterfaceFlags::from_raw(node.ifa_flags);
    // SAFETY: the caller's promise.
    let addr = unsafe { address_at(node.ifa_addr) };
    // SAFETY: the caller's promise.
    let netmask = unsafe { address_at(node.ifa_netmask) };
    // SAFETY: the caller's promise.
    let other = unsafe { address_at(node.ifa_ifu) };
    // Where the kernel names neither, the C library repeats the address itself.
    let other = other.filter(|other| addr.as_ref() != Some(other));
    let is_inet6 = addr
        .as_ref()
        .is_some_and(|addr| addr.family() == Family::INET6);
    let (broadcast, peer) = if flags.contains(InterfaceFlags::POINTOPOINT) || is_inet6 {
        (None, other)
    } else if flags.contains(InterfaceFlags::BROADCAST) {
        (other, None)
    } else {
        (None, None)
    };
    let is_packet = addr
        .as_ref()
        .is_some_and(|addr| addr.family().raw() == libc::AF_PACKET);
    InterfaceAddr {
        // SAFETY: the caller's promise.
        name: unsafe { text(node.ifa_name) },
        flags,
        addr,
        netmask: netmask.and_then(|mask| Some(mask.to_std()?.ip())),
        broadcast,
        peer,
        statistics: (is_packet && !node.ifa_data.is_null())
            // SAFETY: the data of a packet address is a `struct rtnl_link_stats`, which begins
            // with so many integers; it is read without a claim about its alignment.
            .then(|| unsafe {
                node.ifa_data
                    .cast::<[u32; InterfaceStats::COUNT]>()
                    .read_unaligned()
            })
            .map(InterfaceStats::from_counters),
    }
}

/// Reads an address whose length only its family tells; `None` for null.
///
/// # Safety
/// `from` is null or points to an address as getifaddrs(3) makes it.
unsafe fn address_at(from: *const libc::sockaddr) -> Option<Addr> {
    if from.is_null() {
        return None;
    }
    let from = from.cast::<u8>();
    // SAFETY: the caller's promise; every address has at least this much.
    let head = unsafe { slice::from_raw_parts(from, size_of::<libc::sockaddr>()) };
    let (family, _) = head.split_first_chunk()?;
    let len = match i32::from(libc::sa_family_t::from_ne_bytes(*family)) {
        libc::AF_INET => size_of::<libc::sockaddr_in>(),
        libc::AF_INET6 => size_of::<libc::sockaddr_in6>(),
        libc::AF_PACKET => {
            let halen = usize::from(*head.get(LL_HALEN_AT)?);
            LL_HEAD_BYTES + halen.clamp(8, LL_ADDR_BYTES_MAX)
        }
        _ => head.len(),
    };
    // SAFETY: an address of that family has that many bytes, and bytes have no alignment.
    let bytes = unsafe { slice::from_raw_parts(from, len) };
    AddrBuf::from_bytes(bytes).decode()
}
