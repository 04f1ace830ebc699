//! The calls as a C program makes them: the raw descriptor, the structures on the stack, and one
//! look at whether the call failed.
#![expect(
    unsafe_code,
    reason = "what a call costs is told against the bare call, and that is not safe"
)]

use core::ffi::c_int;
use core::mem::MaybeUninit;
use core::ptr;

/// Room for an address of any family.
type Storage = MaybeUninit<libc::sockaddr_storage>;

fn storage_len() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<Storage>()).unwrap_or(0)
}

#[inline]
pub(crate) fn send(fd: c_int, data: &[u8]) -> bool {
    // SAFETY: `data` is a live slice, which is only read.
    (unsafe { libc::send(fd, data.as_ptr().cast(), data.len(), libc::MSG_NOSIGNAL) }) >= 0
}

#[inline]
pub(crate) fn recv(fd: c_int, buf: &mut [u8]) -> bool {
    // SAFETY: `buf` is a live exclusive slice, of which no more than its length is written.
    (unsafe { libc::recv(fd, buf.as_mut_ptr().cast(), buf.len(), 0) }) >= 0
}

#[inline]
pub(crate) fn accept(fd: c_int, nonblocking: bool) -> c_int {
    let mut flags = libc::SOCK_CLOEXEC;
    if nonblocking {
        flags |= libc::SOCK_NONBLOCK;
    }
    let mut addr = Storage::uninit();
    let mut len = storage_len();
    // SAFETY: `addr` is live and has the room that `len` tells.
    unsafe { libc::accept4(fd, addr.as_mut_ptr().cast(), &raw mut len, flags) }
}

/// Closes what [`accept`] has answered.
pub(crate) fn close(fd: c_int) {
    // SAFETY: the number came from accept4(2), and nobody else has it.
    let _done = unsafe { libc::close(fd) };
}

#[inline]
pub(crate) fn sendmsg(fd: c_int, data: &[u8]) -> bool {
    let mut piece = libc::iovec {
        iov_base: data.as_ptr().cast_mut().cast(),
        iov_len: data.len(),
    };
    let header = header(&mut piece);
    // SAFETY: the header points to one live piece, which is only read, and to nothing else.
    (unsafe { libc::sendmsg(fd, &raw const header, libc::MSG_NOSIGNAL) }) >= 0
}

#[inline]
pub(crate) fn recvmsg(fd: c_int, buf: &mut [u8], control: &mut [u64]) -> bool {
    let mut addr = Storage::uninit();
    let mut piece = libc::iovec {
        iov_base: buf.as_mut_ptr().cast(),
        iov_len: buf.len(),
    };
    let mut header = header(&mut piece);
    header.msg_name = addr.as_mut_ptr().cast();
    header.msg_namelen = storage_len();
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(control);
    // SAFETY: the header points to live exclusive memory with the room that it tells.
    (unsafe { libc::recvmsg(fd, &raw mut header, libc::MSG_CMSG_CLOEXEC) }) >= 0
}

#[inline]
fn header(piece: &mut libc::iovec) -> libc::msghdr {
    // SAFETY: null pointers and zero lengths are a header without any part.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_iov = ptr::from_mut(piece);
    header.msg_iovlen = 1;
    header
}

/// An address of IPv4 as the kernel reads it.
pub(crate) fn inet(addr: std::net::SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET).unwrap_or(0),
        sin_port: addr.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*addr.ip()).to_be(),
        },
        sin_zero: [0; 8],
    }
}

#[inline]
pub(crate) fn sendto(fd: c_int, data: &[u8], addr: &libc::sockaddr_in) -> bool {
    let len = libc::socklen_t::try_from(size_of_val(addr)).unwrap_or(0);
    // SAFETY: both are live and have the lengths that are told.
    let sent = unsafe {
        libc::sendto(
            fd,
            data.as_ptr().cast(),
            data.len(),
            libc::MSG_NOSIGNAL,
            ptr::from_ref(addr).cast(),
            len,
        )
    };
    sent >= 0
}

#[inline]
pub(crate) fn recvfrom(fd: c_int, buf: &mut [u8]) -> bool {
    let mut addr = Storage::uninit();
    let mut len = storage_len();
    // SAFETY: buffer and address are live, exclusive, and have the room that is told.
    let came = unsafe {
        libc::recvfrom(
            fd,
            buf.as_mut_ptr().cast(),
            buf.len(),
            0,
            addr.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    came >= 0
}
