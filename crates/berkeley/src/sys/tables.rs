//! Whole tables of `<netdb.h>`, and the networks: getservent(3), getprotoent(3), gethostent(3),
//! getnetent(3).
//!
//! A walk has its place in the C library, one for the whole process. A lock keeps the walks of
//! this library apart, and each goes from the beginning to the end under it.
#![expect(unsafe_code, reason = "the resolver's calls")]

use core::ffi::{CStr, c_char, c_int};
use core::mem::{MaybeUninit, offset_of};
use core::ptr;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use super::netdb::{
    ROOM_BYTES_MAX, host_entry, lookup, protocol_entry, service_entry, text, texts,
};
use crate::errno::Errno;
use crate::kinds::Family;
use crate::names::{HostEntry, NetworkEntry, ProtocolEntry, ServiceEntry};

/// `struct netent`, netdb.h, which the `libc` crate lacks.
#[repr(C)]
struct NetEnt {
    name: *mut c_char,
    aliases: *mut *mut c_char,
    family: c_int,
    network: u32,
}

const _: () = {
    assert!(offset_of!(NetEnt, family) == 2 * size_of::<usize>());
    assert!(offset_of!(NetEnt, network) == 2 * size_of::<usize>() + 4);
};

// glibc's, which the `libc` crate does not declare.
unsafe extern "C" {
    fn setservent(stay_open: c_int);
    fn endservent();
    fn getservent_r(
        entry: *mut libc::servent,
        room: *mut c_char,
        room_len: libc::size_t,
        found: *mut *mut libc::servent,
    ) -> c_int;
    fn setprotoent(stay_open: c_int);
    fn endprotoent();
    fn getprotoent_r(
        entry: *mut libc::protoent,
        room: *mut c_char,
        room_len: libc::size_t,
        found: *mut *mut libc::protoent,
    ) -> c_int;
    fn sethostent(stay_open: c_int);
    fn endhostent();
    fn gethostent_r(
        entry: *mut libc::hostent,
        room: *mut c_char,
        room_len: libc::size_t,
        found: *mut *mut libc::hostent,
        host_error: *mut c_int,
    ) -> c_int;
    fn setnetent(stay_open: c_int);
    fn endnetent();
    fn getnetent_r(
        entry: *mut NetEnt,
        room: *mut c_char,
        room_len: libc::size_t,
        found: *mut *mut NetEnt,
        net_error: *mut c_int,
    ) -> c_int;
    fn getnetbyname_r(
        name: *const c_char,
        entry: *mut NetEnt,
        room: *mut c_char,
        room_len: libc::size_t,
        found: *mut *mut NetEnt,
        net_error: *mut c_int,
    ) -> c_int;
    fn getnetbyaddr_r(
        network: u32,
        family: c_int,
        entry: *mut NetEnt,
        room: *mut c_char,
        room_len: libc::size_t,
        found: *mut *mut NetEnt,
        net_error: *mut c_int,
    ) -> c_int;
}

static WALK: Mutex<()> = Mutex::new(());

/// Room for what one entry points to: more than a line of a table has, so that hardly any has to
/// be read twice.
const ROOM_BYTES: usize = 1 << 16;

/// Ends a walk when it is dropped.
struct Walk(unsafe extern "C" fn());

impl Drop for Walk {
    fn drop(&mut self) {
        // SAFETY: takes nothing; it closes what the beginning of the walk opened.
        unsafe { (self.0)() };
    }
}

/// All entries of a table, at most `max`.
///
/// `next` gets a place for the entry, room for what the entry points to, and a place for the
/// pointer to the entry, all live and writable for the whole call.
fn walk<E, T>(
    begin: unsafe extern "C" fn(c_int),
    end: unsafe extern "C" fn(),
    mut next: impl FnMut(*mut E, &mut [u8], *mut *mut E) -> c_int,
    read: unsafe fn(&E) -> T,
    max: usize,
) -> Result<Vec<T>, Errno> {
    // Nothing is left half done by a thread that has panicked: a walk begins at the beginning.
    let _alone = WALK.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: takes an integer; the walk's place is this thread's while it holds the lock.
    unsafe { begin(0) };
    let _walk = Walk(end);
    let mut room = vec![0; ROOM_BYTES];
    let mut entries = Vec::new();
    loop {
        let mut entry = MaybeUninit::<E>::uninit();
        let mut found = ptr::null_mut();
        let code = next(entry.as_mut_ptr(), &mut room, &raw mut found);
        match Errno::from_raw(code) {
            Errno::ERANGE if room.len() < ROOM_BYTES_MAX => room = vec![0; room.len() * 2],
            Errno::ENOENT => return Ok(entries),
            _ if code == 0 => {
                // SAFETY: after success the pointer is null or points to `entry`, now written.
                let Some(entry) = (unsafe { found.as_ref() }) else {
                    return Ok(entries);
                };
                if entries.len() == max {
                    return Err(Errno::EOVERFLOW);
                }
                // SAFETY: what the entry points to lies in `room`; its form is what the man page
                // of the call says.
                entries.push(unsafe { read(entry) });
            }
            errno => return Err(errno),
        }
    }
}

/// All services, by getservent(3).
pub(crate) fn services(max: usize) -> Result<Vec<ServiceEntry>, Errno> {
    let next = |entry: *mut libc::servent, room: &mut [u8], found: *mut *mut libc::servent| {
        // SAFETY: as `walk` promises.
        unsafe { getservent_r(entry, room.as_mut_ptr().cast(), room.len(), found) }
    };
    walk(setservent, endservent, next, service_entry, max)
}

/// All protocols, by getprotoent(3).
pub(crate) fn protocols(max: usize) -> Result<Vec<ProtocolEntry>, Errno> {
    let next = |entry: *mut libc::protoent, room: &mut [u8], found: *mut *mut libc::protoent| {
        // SAFETY: as `walk` promises.
        unsafe { getprotoent_r(entry, room.as_mut_ptr().cast(), room.len(), found) }
    };
    walk(setprotoent, endprotoent, next, protocol_entry, max)
}

/// All hosts of the table, by gethostent(3).
pub(crate) fn hosts(max: usize) -> Result<Vec<HostEntry>, Errno> {
    let mut reason = 0;
    let next = |entry: *mut libc::hostent, room: &mut [u8], found: *mut *mut libc::hostent| {
        let (place, len) = (room.as_mut_ptr().cast(), room.len());
        // SAFETY: as `walk` promises; `reason` is live.
        unsafe { gethostent_r(entry, place, len, found, &raw mut reason) }
    };
    walk(sethostent, endhostent, next, host_entry, max)
}

/// All networks, by getnetent(3).
pub(crate) fn networks(max: usize) -> Result<Vec<NetworkEntry>, Errno> {
    let mut reason = 0;
    let next = |entry: *mut NetEnt, room: &mut [u8], found: *mut *mut NetEnt| {
        let (place, len) = (room.as_mut_ptr().cast(), room.len());
        // SAFETY: as `walk` promises; `reason` is live.
        unsafe { getnetent_r(entry, place, len, found, &raw mut reason) }
    };
    walk(setnetent, endnetent, next, network_entry, max)
}

/// A network by its name, by getnetbyname_r(3).
pub(crate) fn network_by_name(name: &CStr) -> Result<Option<NetworkEntry>, Errno> {
    let mut reason = 0;
    lookup(
        |entry, room, found| {
            let (place, len) = (room.as_mut_ptr().cast(), room.len());
            let reason = &raw mut reason;
            // SAFETY: `name` ends with zero, `reason` is live; the rest is as `lookup` promises.
            unsafe { getnetbyname_r(name.as_ptr(), entry, place, len, found, reason) }
        },
        network_entry,
    )
}

/// A network by its address, by getnetbyaddr_r(3).
pub(crate) fn network_by_addr(network: Ipv4Addr) -> Result<Option<NetworkEntry>, Errno> {
    let mut reason = 0;
    let (number, family) = (network.to_bits(), Family::INET.raw());
    lookup(
        |entry, room, found| {
            let (place, len) = (room.as_mut_ptr().cast(), room.len());
            let reason = &raw mut reason;
            // SAFETY: two integers, `reason` is live; the rest is as `lookup` promises.
            unsafe { getnetbyaddr_r(number, family, entry, place, len, found, reason) }
        },
        network_entry,
    )
}

/// Copies an entry.
///
/// # Safety
/// The entry's pointers are as getnetent(3) describes them.
unsafe fn network_entry(entry: &NetEnt) -> NetworkEntry {
    NetworkEntry {
        // SAFETY: the caller's promise.
        name: unsafe { text(entry.name) },
        // SAFETY: the caller's promise.
        aliases: unsafe { texts(entry.aliases) },
        family: Family::from_raw(entry.family),
        network: Ipv4Addr::from_bits(entry.network),
    }
}
