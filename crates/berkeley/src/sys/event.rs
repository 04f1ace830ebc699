//! epoll(7), poll(2), select(2) and eventfd(2).
#![expect(
    unsafe_code,
    reason = "the raw readiness calls, each with its own argument"
)]

use core::ffi::c_int;
use core::mem::MaybeUninit;
use core::ptr;
use core::time::Duration;
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
    fd: RawFd,
    events: u32,
    data: u64,
) -> Result<(), Errno> {
    let mut event = libc::epoll_event { events, u64: data };
    // SAFETY: `event` lives for the call, which only reads it; any number may stand for the
    // descriptor, and one that is not open is an error.
    check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), operation, fd, &raw mut event) }).map(drop)
}

/// Events that one wait tells at most.
pub(crate) const EVENTS_MAX: usize = 1024;

/// Room for what epoll_wait(2) tells, which needs no preparing, and how much of it was told.
pub(crate) struct EpollBuffer {
    room: [MaybeUninit<libc::epoll_event>; EVENTS_MAX],
    told: usize,
}

impl EpollBuffer {
    pub(crate) const fn new() -> Self {
        let room = [const { MaybeUninit::uninit() }; EVENTS_MAX];
        Self { room, told: 0 }
    }

    /// What the last wait told.
    pub(crate) fn told(&self) -> &[libc::epoll_event] {
        let told = self.room.get(..self.told).unwrap_or_default();
        // SAFETY: the kernel has written the first `told` elements, and `MaybeUninit` has the
        // layout of what it holds.
        unsafe { core::slice::from_raw_parts(told.as_ptr().cast(), told.len()) }
    }

    /// Waits at most `limit` (none: without end) for at most `count` events; answers how many
    /// there are.
    ///
    /// epoll_pwait2(2), which counts nanoseconds, where epoll_wait(2) counts milliseconds.
    pub(crate) fn wait(
        &mut self,
        epoll: BorrowedFd<'_>,
        count: usize,
        limit: Option<Duration>,
    ) -> Result<usize, Errno> {
        self.told = 0;
        let room = c_int::try_from(count.min(EVENTS_MAX)).unwrap_or(0);
        let time = limit.map(timespec);
        let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
        let no_mask = ptr::null::<libc::sigset_t>();
        // SAFETY: there is room for the number told; `time` is null or points to a value that
        // outlives the call; there is no signal mask.
        let told = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                epoll.as_raw_fd(),
                self.room.as_mut_ptr(),
                room,
                time,
                no_mask,
                0usize,
            )
        };
        self.told = usize::try_from(told).map_err(|_negative| Errno::last())?;
        Ok(self.told)
    }

    /// The same with a limit in milliseconds (-1: without end).
    pub(crate) fn wait_ms(
        &mut self,
        epoll: BorrowedFd<'_>,
        count: usize,
        limit_ms: c_int,
    ) -> Result<usize, Errno> {
        self.told = 0;
        let room = c_int::try_from(count.min(EVENTS_MAX)).unwrap_or(0);
        let place = self.room.as_mut_ptr().cast();
        // SAFETY: there is room for the number told.
        let told = check(unsafe { libc::epoll_wait(epoll.as_raw_fd(), place, room, limit_ms) })?;
        self.told = usize::try_from(told).unwrap_or(0);
        Ok(self.told)
    }
}

/// A time as the kernel counts it; what is beyond its clock is as long as it can count.
fn timespec(time: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
        // Below 1,000,000,000, which every `c_long` holds.
        tv_nsec: time.subsec_nanos() as libc::c_long,
    }
}

pub(crate) fn poll(fds: &mut [libc::pollfd], timeout_ms: c_int) -> Result<usize, Errno> {
    // A slice never has more elements than `nfds_t` can count: both are 64 bits wide.
    let count = fds.len() as libc::nfds_t;
    // SAFETY: `fds` is a live exclusive slice of `count` elements.
    let ready = check(unsafe { libc::poll(fds.as_mut_ptr(), count, timeout_ms) })?;
    Ok(usize::try_from(ready).unwrap_or(0))
}

/// The same with a limit in nanoseconds (none: without end).
pub(crate) fn ppoll(fds: &mut [libc::pollfd], limit: Option<Duration>) -> Result<usize, Errno> {
    // As above.
    let count = fds.len() as libc::nfds_t;
    let time = limit.map(timespec);
    let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `fds` is a live exclusive slice of `count` elements; `time` is null or points to a
    // value that outlives the call; there is no signal mask.
    let ready = check(unsafe { libc::ppoll(fds.as_mut_ptr(), count, time, ptr::null()) })?;
    Ok(usize::try_from(ready).unwrap_or(0))
}

/// One word of a set for `select`: a bit for each descriptor, the lowest first.
pub(crate) type Word = libc::c_ulong;

const WORD_BITS: usize = Word::BITS as usize;

/// Waits at most `limit` (none: without end); the sets are changed to what is ready. They may be
/// of any length: the kernel looks at the descriptors below `below` alone, which is cut to the
/// shortest of them.
pub(crate) fn select(
    below: RawFd,
    [read, write, except]: [&mut [Word]; 3],
    limit: Option<Duration>,
) -> Result<usize, Errno> {
    let words = read.len().min(write.len()).min(except.len());
    let room = RawFd::try_from(words.saturating_mul(WORD_BITS)).unwrap_or(RawFd::MAX);
    let below = below.clamp(0, room);
    let time = limit.map(timespec);
    let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: three live exclusive sets with a bit for each of the first `below` descriptors, and
    // the kernel touches the words of these alone; `time` is null or points to a value that
    // outlives the call; there is no signal mask.
    let ready = check(unsafe {
        libc::pselect(
            below,
            read.as_mut_ptr().cast(),
            write.as_mut_ptr().cast(),
            except.as_mut_ptr().cast(),
            time,
            ptr::null(),
        )
    })?;
    Ok(usize::try_from(ready).unwrap_or(0))
}

/// What a number stands for: device, inode, and whether that is a directory.
pub(crate) fn identity(fd: RawFd) -> Result<(u64, u64, bool), Errno> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat(2) writes one `struct stat`, and takes any number for a descriptor.
    check(unsafe { libc::fstat(fd, stat.as_mut_ptr()) })?;
    // SAFETY: written, since the call succeeded.
    let stat = unsafe { stat.assume_init() };
    let is_directory = stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
    Ok((stat.st_dev, stat.st_ino, is_directory))
}

/// An event counter of the kernel, at zero.
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
