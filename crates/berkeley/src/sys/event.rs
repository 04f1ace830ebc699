//! epoll(7), poll(2), select(2) and eventfd(2).
#![expect(
    unsafe_code,
    reason = "the raw readiness calls, each with its own argument"
)]

use core::ffi::c_int;
use core::mem::MaybeUninit;
use core::ptr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::check;
use crate::errno::Errno;

pub(crate) fn epoll_create() -> Result<OwnedFd, Errno> {
    // SAFETY: takes one integer.
    let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: new, and known to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(crate) fn epoll_ctl(
    epoll: BorrowedFd<'_>,
    operation: c_int,
    fd: BorrowedFd<'_>,
    events: u32,
    data: u64,
) -> Result<(), Errno> {
    let mut event = libc::epoll_event { events, u64: data };
    // SAFETY: `event` lives for the call, which only reads it.
    check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), operation, fd.as_raw_fd(), &raw mut event) })
        .map(drop)
}

/// Waits at most `timeout_ms` (-1: without end); answers how many of `events` were filled.
pub(crate) fn epoll_wait(
    epoll: BorrowedFd<'_>,
    events: &mut [libc::epoll_event],
    timeout_ms: c_int,
) -> Result<usize, Errno> {
    let room = c_int::try_from(events.len()).unwrap_or(c_int::MAX);
    // SAFETY: `events` has room for the number told.
    let count = check(unsafe {
        libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), room, timeout_ms)
    })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

pub(crate) fn poll(fds: &mut [libc::pollfd], timeout_ms: c_int) -> Result<usize, Errno> {
    // A slice never has more elements than `nfds_t` can count: both are 64 bits wide.
    let count = fds.len() as libc::nfds_t;
    // SAFETY: `fds` is a live exclusive slice of `count` elements.
    let ready = check(unsafe { libc::poll(fds.as_mut_ptr(), count, timeout_ms) })?;
    Ok(usize::try_from(ready).unwrap_or(0))
}

const _: () = assert!(libc::FD_SETSIZE == 1024 && FdSet::CAPACITY == 1024);

/// A set of descriptors for `select`.
pub(crate) struct FdSet(libc::fd_set);

impl FdSet {
    /// Descriptors that a set can hold: the numbers below this one.
    pub(crate) const CAPACITY: RawFd = 1024;

    pub(crate) fn new() -> Self {
        let mut set = MaybeUninit::<libc::fd_set>::uninit();
        // SAFETY: FD_ZERO writes the whole set.
        unsafe { libc::FD_ZERO(set.as_mut_ptr()) };
        // SAFETY: just written.
        Self(unsafe { set.assume_init() })
    }

    /// Adds a descriptor. A number that the set has no room for is refused: beyond the set's end
    /// lies other memory.
    pub(crate) fn insert(&mut self, fd: RawFd) -> Result<(), Errno> {
        if !(0..Self::CAPACITY).contains(&fd) {
            return Err(Errno::EINVAL);
        }
        // SAFETY: the number is within the set, checked above.
        unsafe { libc::FD_SET(fd, &raw mut self.0) };
        Ok(())
    }

    pub(crate) fn contains(&self, fd: RawFd) -> bool {
        // SAFETY: the number is within the set, checked first.
        (0..Self::CAPACITY).contains(&fd) && unsafe { libc::FD_ISSET(fd, &raw const self.0) }
    }
}

/// Waits at most `timeout` (none: without end); the sets are changed to what is ready.
pub(crate) fn select(
    limit: RawFd,
    read: &mut FdSet,
    write: &mut FdSet,
    except: &mut FdSet,
    timeout: Option<core::time::Duration>,
) -> Result<usize, Errno> {
    let limit = limit.clamp(0, FdSet::CAPACITY);
    let mut time = timeout.map(|timeout| {
        let whole = timeout.as_secs();
        let micros = timeout.subsec_nanos().div_ceil(1000);
        libc::timeval {
            tv_sec: libc::time_t::try_from(whole.saturating_add(u64::from(micros / 1_000_000)))
                .unwrap_or(libc::time_t::MAX),
            tv_usec: libc::suseconds_t::from(micros % 1_000_000),
        }
    });
    let time = time.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
    // SAFETY: three live sets of FD_SETSIZE bits, of which the kernel touches the first `limit`;
    // `time` is null or points to a value that outlives the call.
    let ready = check(unsafe {
        libc::select(
            limit,
            &raw mut read.0,
            &raw mut write.0,
            &raw mut except.0,
            time,
        )
    })?;
    Ok(usize::try_from(ready).unwrap_or(0))
}

pub(crate) fn eventfd() -> Result<OwnedFd, Errno> {
    // SAFETY: takes two integers.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: new, and known to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Adds one to an event counter. A full counter (`EAGAIN`) is as good as a raised one.
pub(crate) fn eventfd_raise(fd: BorrowedFd<'_>) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: eight live bytes, which write(2) only reads.
    let _answer = unsafe { libc::write(fd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

/// Sets an event counter to zero; true if it was raised.
pub(crate) fn eventfd_lower(fd: BorrowedFd<'_>) -> bool {
    let mut count = [0u8; 8];
    // SAFETY: eight live bytes, which is what read(2) of an event counter writes.
    let answer = unsafe { libc::read(fd.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    answer == 8
}
