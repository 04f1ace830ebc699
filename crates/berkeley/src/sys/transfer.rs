//! sendfile(2), splice(2) and what they need: pipes, reading and writing of plain descriptors,
//! and `SIGPIPE`, which neither of the two can be told not to raise.
#![expect(
    unsafe_code,
    reason = "the raw calls that move bytes within the kernel, each with its own argument"
)]

use core::ffi::c_int;
use core::mem::MaybeUninit;
use core::ptr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{check, check_len};
use crate::errno::Errno;

/// The most that one call moves; the kernel stops a page below 2 GiB anyway.
const CALL_BYTES_MAX: u64 = 1 << 30;

/// A count for one call.
fn call_len(count: u64) -> usize {
    usize::try_from(count.min(CALL_BYTES_MAX)).unwrap_or(usize::MAX)
}

/// An offset within a file; what the kernel cannot count is `EOVERFLOW`.
fn file_offset(offset: u64) -> Result<libc::off_t, Errno> {
    libc::off_t::try_from(offset).map_err(|_too_far| Errno::EOVERFLOW)
}

/// Sends from a file's `offset` on; the file's own position stays.
pub(crate) fn sendfile(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    count: u64,
) -> Result<usize, Errno> {
    let mut at = file_offset(offset)?;
    let (out, source) = (socket.as_raw_fd(), file.as_raw_fd());
    // SAFETY: `at` is live and has the type that sendfile(2) reads and writes.
    check_len(unsafe { libc::sendfile(out, source, &raw mut at, call_len(count)) })
}

/// Moves bytes between two descriptors of which one is a pipe.
pub(crate) fn splice(
    source: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    count: u64,
    is_waiting: bool,
) -> Result<usize, Errno> {
    let flags = if is_waiting {
        libc::SPLICE_F_MOVE
    } else {
        libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK
    };
    let (none_in, none_out) = (ptr::null_mut(), ptr::null_mut());
    let (source, target) = (source.as_raw_fd(), target.as_raw_fd());
    // SAFETY: both offsets are null, so splice(2) touches no memory of ours.
    check_len(unsafe { libc::splice(source, none_in, target, none_out, call_len(count), flags) })
}

/// A pipe: its reading end and its writing end.
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut fds = [-1; 2];
    // SAFETY: `fds` is a live array of the two integers that pipe2(2) writes.
    check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: new, and known to us alone.
    let reading = unsafe { OwnedFd::from_raw_fd(fds[0]) };
    // SAFETY: as above.
    let writing = unsafe { OwnedFd::from_raw_fd(fds[1]) };
    Ok((reading, writing))
}

/// Makes a pipe hold so many bytes; answers how many it holds now.
pub(crate) fn set_pipe_bytes(pipe: BorrowedFd<'_>, bytes: u32) -> Result<usize, Errno> {
    let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
    // SAFETY: F_SETPIPE_SZ takes one integer.
    let now = check(unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, bytes) })?;
    Ok(usize::try_from(now).unwrap_or(0))
}

/// How many bytes a pipe can hold.
pub(crate) fn pipe_bytes(pipe: BorrowedFd<'_>) -> Result<usize, Errno> {
    // SAFETY: F_GETPIPE_SZ takes no argument.
    let now = check(unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_GETPIPE_SZ) })?;
    Ok(usize::try_from(now).unwrap_or(0))
}

/// pread(2): reads at `offset`; the file's own position stays.
pub(crate) fn read_at(fd: BorrowedFd<'_>, buf: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let at = file_offset(offset)?;
    // SAFETY: `buf` is a live exclusive slice, and pread(2) writes no more than its length.
    check_len(unsafe { libc::pread(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len(), at) })
}

/// True for a regular file, which never makes anybody wait for somebody else.
pub(crate) fn is_regular(fd: BorrowedFd<'_>) -> bool {
    let mut status = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `status` is live and has the type that fstat(2) writes.
    let answer = unsafe { libc::fstat(fd.as_raw_fd(), status.as_mut_ptr()) };
    // SAFETY: integers, for which all zeros is valid, and written by the call.
    let status = unsafe { status.assume_init() };
    answer == 0 && status.st_mode & libc::S_IFMT == libc::S_IFREG
}

/// write(2), for descriptors that are no sockets.
pub(crate) fn write(fd: BorrowedFd<'_>, data: &[u8]) -> Result<usize, Errno> {
    // SAFETY: `data` is a live slice, which is only read.
    check_len(unsafe { libc::write(fd.as_raw_fd(), data.as_ptr().cast(), data.len()) })
}

/// As long as this lives, a call of this thread that meets a closed peer is `EPIPE` and kills
/// nobody, whatever the program does with `SIGPIPE`.
///
/// A Rust program ignores that signal from its start on, and then there is nothing to do. Within
/// another program it may not be ignored: then it is blocked for this thread, and one that came
/// meanwhile is taken away at the end. The kernel sends it to the thread that made the call.
pub(crate) struct PipeSignal {
    /// The thread's mask before, where the signal had to be blocked.
    before: Option<libc::sigset_t>,
    /// Not `Send`: the mask belongs to the thread.
    _thread: core::marker::PhantomData<*const ()>,
}

impl PipeSignal {
    pub(crate) fn hold() -> Self {
        let must_block = !is_ignored() && !is_pending();
        Self {
            // One that waits already is blocked already, and is not ours to take away.
            before: must_block.then(block).flatten(),
            _thread: core::marker::PhantomData,
        }
    }
}

impl Drop for PipeSignal {
    fn drop(&mut self) {
        let Some(before) = &self.before else {
            return;
        };
        let only = pipe_set();
        let at_once = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        loop {
            // SAFETY: the set and the time live for the call; null for "no details wanted".
            let taken = check(unsafe {
                libc::sigtimedwait(&raw const only, ptr::null_mut(), &raw const at_once)
            });
            // Another signal's handler ran: look again. EAGAIN: there is none (any more).
            if !matches!(taken, Ok(_) | Err(Errno::EINTR)) {
                break;
            }
        }
        // SAFETY: the mask is the one that pthread_sigmask(3) gave; null for "the old mask is not
        // asked for".
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, ptr::null_mut()) };
    }
}

/// The set of `SIGPIPE` alone.
fn pipe_set() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset(3) writes the whole set, and cannot fail for a place that exists.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: the set is written, and the signal's number is a valid one.
    unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE) };
    // SAFETY: written above.
    unsafe { set.assume_init() }
}

/// Blocks `SIGPIPE` for this thread; the mask before.
fn block() -> Option<libc::sigset_t> {
    let only = pipe_set();
    let mut before = pipe_set();
    // SAFETY: both sets live for the call; the first is read, the second written.
    let answer =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const only, &raw mut before) };
    (answer == 0).then_some(before)
}

fn is_ignored() -> bool {
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: null for "no change"; `now` is live and has the type that sigaction(2) writes.
    let answer = unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), now.as_mut_ptr()) };
    // SAFETY: integers and pointers, for which all zeros is valid, and written by the call.
    let now = unsafe { now.assume_init() };
    answer == 0 && now.sa_sigaction == libc::SIG_IGN
}

fn is_pending() -> bool {
    let mut waiting = pipe_set();
    // SAFETY: `waiting` is live and has the type that sigpending(2) writes.
    if unsafe { libc::sigpending(&raw mut waiting) } != 0 {
        return false;
    }
    // SAFETY: the set is valid, and so is the signal's number.
    unsafe { libc::sigismember(&raw const waiting, libc::SIGPIPE) == 1 }
}
