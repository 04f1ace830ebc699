//! What becomes of a descriptor's number: duplicates, inheritance, and the inert file that takes a
//! closed socket's place.
#![expect(
    unsafe_code,
    reason = "the raw descriptor calls, each with its own argument"
)]

use core::ffi::c_int;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

use super::check;
use crate::errno::Errno;
use crate::error::Result;
use crate::socket::Socket;

/// `SIOCATMARK`, which the libc crate lacks for Linux (asm-generic/sockios.h). It differs on the
/// architectures with numbers of their own.
#[cfg(not(any(
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "sparc",
    target_arch = "sparc64"
)))]
const SIOCATMARK: libc::Ioctl = 0x8905;
/// `SIOCATMARK` there: `_IOR('s', 7, int)`.
#[cfg(any(
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "sparc",
    target_arch = "sparc64"
))]
const SIOCATMARK: libc::Ioctl = 0x4004_7307;

/// Opens a descriptor that can do nothing: each call on an `O_PATH` descriptor other than to
/// duplicate and to close it fails with `EBADF`, open(2).
pub(crate) fn open_inert() -> Result<OwnedFd, Errno> {
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    // SAFETY: the path is a string with a final NUL, which open(2) only reads.
    let fd = check(unsafe { libc::open(c"/".as_ptr(), flags) })?;
    // SAFETY: new, and known to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// True for a descriptor that [`open_inert`] made, or that was made one by [`replace`].
pub(crate) fn is_inert(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: F_GETFL takes no argument.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    flags != -1 && flags & libc::O_PATH != 0
}

/// Closes what `target` stands for and lets it stand for `source` instead, in one step: at no
/// moment is the number free for anybody else.
pub(crate) fn replace(target: BorrowedFd<'_>, source: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: dup3(2) takes three integers. The number stays an open descriptor, which is all
    // that those who borrow it were promised.
    let answer = unsafe { libc::dup3(source.as_raw_fd(), target.as_raw_fd(), libc::O_CLOEXEC) };
    check(answer).map(drop)
}

/// Closes a descriptor.
pub(crate) fn close(fd: OwnedFd) -> Result<(), Errno> {
    // SAFETY: the descriptor was ours alone, and nobody closes it after this.
    check(unsafe { libc::close(fd.into_raw_fd()) }).map(drop)
}

/// A second descriptor of the same socket; children get it too if it is inheritable.
pub(crate) fn duplicate(fd: BorrowedFd<'_>, inheritable: bool) -> Result<OwnedFd, Errno> {
    let command = if inheritable {
        libc::F_DUPFD
    } else {
        libc::F_DUPFD_CLOEXEC
    };
    // SAFETY: both commands take an integer, the lowest number that would do: beyond the three
    // that everybody takes for the standard streams.
    let fd = check(unsafe { libc::fcntl(fd.as_raw_fd(), command, 3) })?;
    // SAFETY: new, and known to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(crate) fn is_inheritable(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    // SAFETY: F_GETFD takes no argument.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) })?;
    Ok(flags & libc::FD_CLOEXEC == 0)
}

pub(crate) fn set_inheritable(fd: BorrowedFd<'_>, inheritable: bool) -> Result<(), Errno> {
    let flags = if inheritable { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: F_SETFD takes one integer.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, flags) }).map(drop)
}

/// Bytes that can be read at once (`FIONREAD`).
pub(crate) fn unread(fd: BorrowedFd<'_>) -> Result<usize, Errno> {
    let mut value: c_int = 0;
    // SAFETY: FIONREAD writes one integer.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut value) })?;
    Ok(usize::try_from(value).unwrap_or(0))
}

/// Whether the next byte to be read is the one after the urgent mark.
pub(crate) fn at_mark(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut value: c_int = 0;
    // SAFETY: SIOCATMARK writes one integer.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), SIOCATMARK, &raw mut value) })?;
    Ok(value != 0)
}

/// A socket that is used like an owned one, never closed, and kept no longer than its owner lends
/// the descriptor: nobody gets more than a reference to it.
pub(crate) struct Lent<'a> {
    socket: ManuallyDrop<Socket>,
    owner: PhantomData<BorrowedFd<'a>>,
}

impl<'a> Lent<'a> {
    /// Borrows a socket, asking the kernel what it is.
    pub(crate) fn new(fd: BorrowedFd<'a>) -> Result<Self> {
        let (mode, family, kind, protocol) = Socket::find_out(fd)?;
        // SAFETY: the descriptor is open for `'a`, and nothing drops this: it goes at once into
        // the `ManuallyDrop` below.
        let fd = unsafe { OwnedFd::from_raw_fd(fd.as_raw_fd()) };
        let mut socket = ManuallyDrop::new(Socket::from_parts(fd, mode, family, kind, protocol));
        socket.state.borrow();
        Ok(Self {
            socket,
            owner: PhantomData,
        })
    }
}

impl Deref for Lent<'_> {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.socket
    }
}
