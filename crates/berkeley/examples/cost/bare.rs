//! The calls as a C program makes them: the raw descriptor, the structures on the stack, and one
//! look at whether the call failed.
#![expect(
    unsafe_code,
    reason = "what a call costs is told against the bare call, and that is not safe"
)]

use core::ffi::c_int;
use core::mem::MaybeUninit;
use core::ptr;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Room for an address of any family.
pub(crate) type Storage = MaybeUninit<libc::sockaddr_storage>;

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

/// Accepts, and leaves the peer's address as the kernel has written it.
#[inline]
pub(crate) fn accept_raw(
    fd: c_int,
    nonblocking: bool,
    addr: &mut Storage,
    len: &mut libc::socklen_t,
) -> c_int {
    let mut flags = libc::SOCK_CLOEXEC;
    if nonblocking {
        flags |= libc::SOCK_NONBLOCK;
    }
    *len = storage_len();
    // SAFETY: `addr` is live and has the room that `len` tells.
    unsafe { libc::accept4(fd, addr.as_mut_ptr().cast(), len, flags) }
}

/// Accepts, and answers the peer's address as the family's structure.
#[inline]
pub(crate) fn accept<A: Inet>(fd: c_int, nonblocking: bool) -> Option<(c_int, A)> {
    let (mut addr, mut len) = (Storage::uninit(), 0);
    let new = accept_raw(fd, nonblocking, &mut addr, &mut len);
    if new < 0 {
        return None;
    }
    Some((new, inet_of(&addr, len)?))
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

#[inline]
pub(crate) fn sendto<A: Inet>(fd: c_int, data: &[u8], addr: &A) -> bool {
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

/// Receives, and leaves the sender's address as the kernel has written it.
#[inline]
pub(crate) fn recvfrom_raw(
    fd: c_int,
    buf: &mut [u8],
    addr: &mut Storage,
    len: &mut libc::socklen_t,
) -> isize {
    *len = storage_len();
    let (bytes, room) = (buf.as_mut_ptr().cast(), buf.len());
    // SAFETY: buffer and address are live, exclusive, and have the room that is told.
    unsafe { libc::recvfrom(fd, bytes, room, 0, addr.as_mut_ptr().cast(), len) }
}

/// Receives, and answers the sender's address as the family's structure.
#[inline]
pub(crate) fn recvfrom<A: Inet>(fd: c_int, buf: &mut [u8]) -> Option<A> {
    let (mut addr, mut len) = (Storage::uninit(), 0);
    if recvfrom_raw(fd, buf, &mut addr, &mut len) < 0 {
        return None;
    }
    inet_of(&addr, len)
}

/// A structure of an internet family.
pub(crate) trait Inet: Copy {
    const FAMILY: c_int;
    type Ip;

    fn of(ip: Self::Ip, port: u16) -> Self;
    fn family(&self) -> libc::sa_family_t;
    /// What a program looks at.
    fn peer(&self) -> (Self::Ip, u16);
}

impl Inet for libc::sockaddr_in {
    const FAMILY: c_int = libc::AF_INET;
    type Ip = Ipv4Addr;

    fn of(ip: Ipv4Addr, port: u16) -> Self {
        Self {
            sin_family: libc::sa_family_t::try_from(libc::AF_INET).unwrap_or(0),
            sin_port: port.to_be(),
            sin_addr: libc::in_addr {
                s_addr: u32::from(ip).to_be(),
            },
            sin_zero: [0; 8],
        }
    }

    #[inline]
    fn family(&self) -> libc::sa_family_t {
        self.sin_family
    }

    #[inline]
    fn peer(&self) -> (Ipv4Addr, u16) {
        let ip = Ipv4Addr::from(self.sin_addr.s_addr.to_ne_bytes());
        (ip, u16::from_be(self.sin_port))
    }
}

impl Inet for libc::sockaddr_in6 {
    const FAMILY: c_int = libc::AF_INET6;
    type Ip = Ipv6Addr;

    fn of(ip: Ipv6Addr, port: u16) -> Self {
        Self {
            sin6_family: libc::sa_family_t::try_from(libc::AF_INET6).unwrap_or(0),
            sin6_port: port.to_be(),
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr {
                s6_addr: ip.octets(),
            },
            sin6_scope_id: 0,
        }
    }

    #[inline]
    fn family(&self) -> libc::sa_family_t {
        self.sin6_family
    }

    #[inline]
    fn peer(&self) -> (Ipv6Addr, u16) {
        let ip = Ipv6Addr::from(self.sin6_addr.s6_addr);
        (ip, u16::from_be(self.sin6_port))
    }
}

/// The address that the kernel has written, if it is a whole one of that family.
#[inline]
fn inet_of<A: Inet>(addr: &Storage, len: libc::socklen_t) -> Option<A> {
    if usize::try_from(len) != Ok(size_of::<A>()) {
        return None;
    }
    // SAFETY: so many bytes are written, the room is aligned for any address, and the structures
    // are integers.
    let addr = unsafe { addr.as_ptr().cast::<A>().read() };
    (c_int::from(addr.family()) == A::FAMILY).then_some(addr)
}
