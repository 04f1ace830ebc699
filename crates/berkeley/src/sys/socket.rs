//! socket(2) and its relatives.
#![expect(
    unsafe_code,
    reason = "the raw socket calls, each with its own argument"
)]

use core::ffi::{c_int, c_void};
use core::mem;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::addr::{AddrRoom, Written};
use super::{check, check_len};
use crate::addr::AddrBuf;
use crate::errno::Errno;

/// Buffers that one gathered call may carry at most (`UIO_MAXIOV`).
pub(crate) const IOV_MAX: usize = 1024;

/// The length of an option's value; what is longer than the kernel can say is refused by it.
#[inline]
pub(super) fn socklen(len: usize) -> libc::socklen_t {
    libc::socklen_t::try_from(len).unwrap_or(libc::socklen_t::MAX)
}

pub(crate) fn socket(family: c_int, kind: c_int, protocol: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: socket(2) takes three integers and touches no memory of ours.
    let fd = check(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) })?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(crate) fn socketpair(
    family: c_int,
    kind: c_int,
    protocol: c_int,
) -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut fds = [-1; 2];
    // SAFETY: `fds` is a live array of the two integers that socketpair(2) writes.
    check(unsafe {
        libc::socketpair(
            family,
            kind | libc::SOCK_CLOEXEC,
            protocol,
            fds.as_mut_ptr(),
        )
    })?;
    // SAFETY: new, and known to us alone.
    let first = unsafe { OwnedFd::from_raw_fd(fds[0]) };
    // SAFETY: as above.
    let second = unsafe { OwnedFd::from_raw_fd(fds[1]) };
    Ok((first, second))
}

pub(crate) fn bind(fd: BorrowedFd<'_>, addr: &AddrBuf) -> Result<(), Errno> {
    let (addr, len) = addr.source();
    // SAFETY: `addr` is a live sockaddr of `len` bytes, which bind(2) only reads.
    let answer = unsafe { libc::bind(fd.as_raw_fd(), addr, len) };
    check(answer).map(drop)
}

pub(crate) fn listen(fd: BorrowedFd<'_>, backlog: c_int) -> Result<(), Errno> {
    // SAFETY: listen(2) takes two integers.
    check(unsafe { libc::listen(fd.as_raw_fd(), backlog) }).map(drop)
}

/// accept4(2) with the flags as they are.
#[inline]
pub(crate) fn accept(
    fd: BorrowedFd<'_>,
    flags: c_int,
    addr: &mut AddrBuf,
) -> Result<OwnedFd, Errno> {
    let (fd, len) = accept_at(fd, flags, addr.target())?;
    // SAFETY: accept4(2) has written the address, and told its length.
    unsafe { addr.filled(len) };
    Ok(fd)
}

/// The same; answers the address where it lies.
#[inline]
pub(crate) fn accept_in<'a>(
    fd: BorrowedFd<'_>,
    flags: c_int,
    room: &'a mut AddrRoom,
) -> Result<(OwnedFd, Written<'a>), Errno> {
    let (fd, len) = accept_at(fd, flags, room.target())?;
    // SAFETY: as above.
    Ok((fd, unsafe { room.written(len) }))
}

#[inline]
fn accept_at(
    fd: BorrowedFd<'_>,
    flags: c_int,
    (place, mut len): (*mut libc::sockaddr, libc::socklen_t),
) -> Result<(OwnedFd, libc::socklen_t), Errno> {
    // SAFETY: `place` has the room that `len` says, and both live for the call.
    let fd = check(unsafe { libc::accept4(fd.as_raw_fd(), place, &raw mut len, flags) })?;
    // SAFETY: new, and known to us alone.
    Ok((unsafe { OwnedFd::from_raw_fd(fd) }, len))
}

pub(crate) fn connect(fd: BorrowedFd<'_>, addr: &AddrBuf) -> Result<(), Errno> {
    let (addr, len) = addr.source();
    // SAFETY: as in `bind`: the address is only read.
    let answer = unsafe { libc::connect(fd.as_raw_fd(), addr, len) };
    check(answer).map(drop)
}

pub(crate) fn getsockname(fd: BorrowedFd<'_>) -> Result<AddrBuf, Errno> {
    let mut addr = AddrBuf::new();
    let (place, mut len) = addr.target();
    // SAFETY: `place` has the room that `len` says, and both live for the call.
    check(unsafe { libc::getsockname(fd.as_raw_fd(), place, &raw mut len) })?;
    // SAFETY: the call has written the address, and told its length.
    unsafe { addr.filled(len) };
    Ok(addr)
}

pub(crate) fn getpeername(fd: BorrowedFd<'_>) -> Result<AddrBuf, Errno> {
    let mut addr = AddrBuf::new();
    let (place, mut len) = addr.target();
    // SAFETY: as in `getsockname`.
    check(unsafe { libc::getpeername(fd.as_raw_fd(), place, &raw mut len) })?;
    // SAFETY: as in `getsockname`.
    unsafe { addr.filled(len) };
    Ok(addr)
}

pub(crate) fn shutdown(fd: BorrowedFd<'_>, how: c_int) -> Result<(), Errno> {
    // SAFETY: shutdown(2) takes two integers.
    check(unsafe { libc::shutdown(fd.as_raw_fd(), how) }).map(drop)
}

#[inline]
pub(crate) fn send(fd: BorrowedFd<'_>, data: &[u8], flags: c_int) -> Result<usize, Errno> {
    let flags = flags | libc::MSG_NOSIGNAL;
    // SAFETY: `data` lives for the call, which reads at most `data.len()` bytes of it.
    check_len(unsafe { libc::send(fd.as_raw_fd(), data.as_ptr().cast(), data.len(), flags) })
}

#[inline]
pub(crate) fn sendto(
    fd: BorrowedFd<'_>,
    data: &[u8],
    flags: c_int,
    addr: &AddrBuf,
) -> Result<usize, Errno> {
    let flags = flags | libc::MSG_NOSIGNAL;
    let (addr, len) = addr.source();
    // SAFETY: `data` and `addr` live for the call, which reads no more of each than its length.
    check_len(unsafe {
        libc::sendto(
            fd.as_raw_fd(),
            data.as_ptr().cast(),
            data.len(),
            flags,
            addr,
            len,
        )
    })
}

/// Sends many pieces with one call; at most [`IOV_MAX`] of them are taken.
#[inline]
pub(crate) fn send_gathered(
    fd: BorrowedFd<'_>,
    pieces: &[IoSlice<'_>],
    flags: c_int,
) -> Result<usize, Errno> {
    // SAFETY: msghdr is plain integers and pointers, for which all zeros is a valid value.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    // `IoSlice` is guaranteed to have the layout of `iovec`; sendmsg(2) does not write to it.
    message.msg_iov = pieces.as_ptr().cast_mut().cast();
    message.msg_iovlen = pieces.len().min(IOV_MAX);
    // SAFETY: the header points to `msg_iovlen` live buffers, which are only read.
    check_len(unsafe {
        libc::sendmsg(
            fd.as_raw_fd(),
            &raw const message,
            flags | libc::MSG_NOSIGNAL,
        )
    })
}

#[inline]
pub(crate) fn recv(fd: BorrowedFd<'_>, buf: &mut [u8], flags: c_int) -> Result<usize, Errno> {
    // SAFETY: `buf` is a live exclusive slice, and recv(2) writes at most `buf.len()` bytes to it
    // (with MSG_TRUNC it may answer more than that, but writes no more).
    check_len(unsafe { libc::recv(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len(), flags) })
}

/// Answers how many bytes came, and the sender's address where it lies.
#[inline]
pub(crate) fn recvfrom<'a>(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    flags: c_int,
    addr: &'a mut AddrRoom,
) -> Result<(usize, Written<'a>), Errno> {
    let (place, mut len) = addr.target();
    let (bytes, room, told) = (buf.as_mut_ptr().cast(), buf.len(), &raw mut len);
    // SAFETY: `buf` as in `recv`; `place` has the room that `len` says, and both live for the call.
    let came = unsafe { libc::recvfrom(fd.as_raw_fd(), bytes, room, flags, place, told) };
    let came = check_len(came)?;
    // SAFETY: recvfrom(2) has written the address, and told its length: none for no address.
    Ok((came, unsafe { addr.written(len) }))
}

/// Receives into many buffers with one call; at most [`IOV_MAX`] of them are filled.
#[inline]
pub(crate) fn recv_scattered(
    fd: BorrowedFd<'_>,
    buffers: &mut [IoSliceMut<'_>],
    flags: c_int,
) -> Result<usize, Errno> {
    // SAFETY: as in `send_gathered`.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = buffers.as_mut_ptr().cast();
    message.msg_iovlen = buffers.len().min(IOV_MAX);
    // SAFETY: the header points to `msg_iovlen` live exclusive buffers of the lengths told.
    check_len(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, flags) })
}

/// read(2), for descriptors that are no sockets.
pub(crate) fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: as in `recv`.
    check_len(unsafe { libc::read(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len()) })
}

pub(crate) fn getsockopt(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &mut [u8],
) -> Result<usize, Errno> {
    if level == libc::SOL_SOCKET && name == super::option::GET_FILTER {
        return getsockopt_filter(fd, value);
    }
    if super::option::reading_writes_beyond(level, name, value) {
        return Err(Errno::EINVAL);
    }
    let mut len = socklen(value.len());
    let place: *mut c_void = value.as_mut_ptr().cast();
    // SAFETY: `place` has the room that `len` says; the kernel writes no more (what writes more was
    // refused above) and stores in `len` how much it wrote.
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, place, &raw mut len) })?;
    Ok(usize::try_from(len).unwrap_or(0))
}

/// `SO_GET_FILTER` is the one option whose length counts instructions of 8 bytes: taken for
/// bytes, the kernel would write eight times as much as there is room for.
fn getsockopt_filter(fd: BorrowedFd<'_>, value: &mut [u8]) -> Result<usize, Errno> {
    let program = super::option::get_filter(fd)?;
    let len = program.len() * 8;
    let room = value.get_mut(..len).ok_or(Errno::EINVAL)?;
    for (place, instruction) in room.chunks_exact_mut(8).zip(program) {
        let [a, b] = instruction.code.to_ne_bytes();
        let [c, d, e, f] = instruction.operand.to_ne_bytes();
        let bytes = [
            a,
            b,
            instruction.jump_true,
            instruction.jump_false,
            c,
            d,
            e,
            f,
        ];
        place.copy_from_slice(&bytes);
    }
    Ok(len)
}

pub(crate) fn setsockopt(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &[u8],
) -> Result<(), Errno> {
    let len = socklen(value.len());
    // SAFETY: the value is only read, `len` bytes of it.
    let answer =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value.as_ptr().cast(), len) };
    check(answer).map(drop)
}

/// Sets `O_NONBLOCK` on the open file description, so on every duplicate of it too.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> Result<(), Errno> {
    let mut value = c_int::from(nonblocking);
    // SAFETY: FIONBIO reads one integer.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &raw mut value) }).map(drop)
}

pub(crate) fn is_nonblocking(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    // SAFETY: F_GETFL takes no argument.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    Ok(flags & libc::O_NONBLOCK != 0)
}

/// Bytes of a stream's send queue that the peer has not acknowledged (`SIOCOUTQ`).
pub(crate) fn unsent(fd: BorrowedFd<'_>) -> Result<usize, Errno> {
    let mut value: c_int = 0;
    // SAFETY: SIOCOUTQ (the same number as TIOCOUTQ) writes one integer.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut value) })?;
    Ok(usize::try_from(value).unwrap_or(0))
}
