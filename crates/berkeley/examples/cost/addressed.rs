//! The calls that have to do with an address.
//!
//! Where ours answers one by type, the bare call looks whether the kernel has written a whole one
//! of the family, and both sides then take the IP address and the port. Where ours leaves it as
//! the kernel has written it, so does the bare call.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use berkeley::{Addr, AddrBuf, Family, Kind, Mode, MsgFlags, Protocol, Result, Socket};

use crate::bare::{self, Inet};
use crate::{CALLS, measured};

pub(crate) fn calls(ours: bool, operation: &str, mode: Mode) -> Result<usize> {
    let is_lent = operation.ends_with("_addr") || operation.ends_with("(AddrBuf)");
    let is_accept = operation.starts_with("accept");
    match (is_accept, operation.ends_with("(IPv6)")) {
        (true, false) => accepts::<libc::sockaddr_in>(ours, operation, is_lent, mode),
        (true, true) => accepts::<libc::sockaddr_in6>(ours, operation, is_lent, mode),
        (false, false) => datagrams::<libc::sockaddr_in>(ours, operation, is_lent, mode),
        (false, true) => datagrams::<libc::sockaddr_in6>(ours, operation, is_lent, mode),
    }
}

/// `accept` takes the mode that the program has chosen for its new sockets, and the others one
/// that is said with the call: a constant, as it is to the bare call.
fn accepts<A: Typed>(ours: bool, operation: &str, is_lent: bool, mode: Mode) -> Result<usize> {
    match (operation.starts_with("accept_"), mode) {
        (false, Mode::Block) => {
            accept::<A, false>(ours, is_lent, |from, kept| A::accept(from, kept))
        }
        (false, _) => accept::<A, true>(ours, is_lent, |from, kept| A::accept(from, kept)),
        (true, Mode::Block) => accept::<A, false>(ours, is_lent, A::accept_with::<false>),
        (true, _) => accept::<A, true>(ours, is_lent, A::accept_with::<true>),
    }
}

/// What each family has of its own.
trait Typed: Inet<Ip: Into<IpAddr>> {
    const LOOPBACK: Self::Ip;

    /// One call of ours, and what a program looks at.
    fn recv_from(near: &Socket, buf: &mut [u8]) -> bool;
    fn accept(listener: &Socket, kept: &mut Vec<Socket>) -> bool;
    fn accept_with<const NONBLOCKING: bool>(listener: &Socket, kept: &mut Vec<Socket>) -> bool;
}

macro_rules! kept_with_peer {
    ($form:ident, $accepted:expr, $kept:expr) => {
        match $accepted {
            Ok((socket, Some(Addr::$form(peer)))) => {
                looked_at((*peer.ip(), peer.port()));
                $kept.push(socket);
                true
            }
            _ => false,
        }
    };
}

macro_rules! typed {
    ($structure:ty, $form:ident, $loopback:expr) => {
        impl Typed for $structure {
            const LOOPBACK: Self::Ip = $loopback;

            #[inline]
            fn recv_from(near: &Socket, buf: &mut [u8]) -> bool {
                match near.recv_from(buf, MsgFlags::NONE) {
                    Ok((_, Some(Addr::$form(peer)))) => looked_at((*peer.ip(), peer.port())),
                    _ => false,
                }
            }

            #[inline(always)]
            fn accept(listener: &Socket, kept: &mut Vec<Socket>) -> bool {
                kept_with_peer!($form, listener.accept(), kept)
            }

            #[inline(always)]
            fn accept_with<const NONBLOCKING: bool>(
                listener: &Socket,
                kept: &mut Vec<Socket>,
            ) -> bool {
                let mode = const { mode_of(NONBLOCKING) };
                kept_with_peer!($form, listener.accept_with(mode), kept)
            }
        }
    };
}

typed!(libc::sockaddr_in, Inet, Ipv4Addr::LOCALHOST);
typed!(libc::sockaddr_in6, Inet6, Ipv6Addr::LOCALHOST);

fn bound<A: Typed>(kind: Kind) -> Result<Socket> {
    let socket = Socket::new(Family::from_raw(A::FAMILY), kind, Protocol::DEFAULT)?;
    socket.bind(SocketAddr::new(A::LOOPBACK.into(), 0))?;
    Ok(socket)
}

#[inline]
fn looked_at<T>(peer: T) -> bool {
    black_box(peer);
    true
}

const fn mode_of(nonblocking: bool) -> Mode {
    if nonblocking {
        Mode::NonBlock
    } else {
        Mode::Block
    }
}

/// The accepted ones are kept, and closed when nobody counts. No pages are touched for the first
/// time: `Vec::push` finds its room.
fn accept<A: Typed, const NONBLOCKING: bool>(
    ours: bool,
    is_lent: bool,
    call: impl Fn(&Socket, &mut Vec<Socket>) -> bool,
) -> Result<usize> {
    let mode = mode_of(NONBLOCKING);
    let listener = bound::<A>(Kind::STREAM)?;
    listener.listen(128)?;
    let addr = listener.local_addr()?;
    let mut callers = Vec::new();
    for _call in 0..CALLS {
        let caller = Socket::new(listener.family(), Kind::STREAM, Protocol::DEFAULT)?;
        caller.connect(&addr)?;
        callers.push(caller);
    }
    listener.set_mode(mode)?;
    mode.set_for_new_sockets();
    let mut kept = Vec::with_capacity(CALLS);
    match (ours, is_lent) {
        (true, false) => {
            return Ok(measured(|| call(&listener, &mut kept)));
        }
        (true, true) => {
            let mut peer = AddrBuf::new();
            return Ok(measured(|| {
                match listener.accept_addr(const { mode_of(NONBLOCKING) }, &mut peer) {
                    Ok(socket) => {
                        kept.push(socket);
                        true
                    }
                    Err(_) => false,
                }
            }));
        }
        (false, _) => {}
    }
    let mut kept = Vec::with_capacity(CALLS);
    let fd = listener.as_fd().as_raw_fd();
    let done = if is_lent {
        let (mut room, mut len) = (bare::Storage::uninit(), 0);
        measured(|| {
            let fd = bare::accept_raw(fd, NONBLOCKING, &mut room, &mut len);
            kept.push(fd);
            fd >= 0
        })
    } else {
        measured(|| match bare::accept::<A>(fd, NONBLOCKING) {
            Some((fd, peer)) => {
                looked_at(peer.peer());
                kept.push(fd);
                true
            }
            None => false,
        })
    };
    kept.into_iter().for_each(bare::close);
    Ok(done)
}

fn datagrams<A: Typed>(ours: bool, operation: &str, is_lent: bool, mode: Mode) -> Result<usize> {
    let near = bound::<A>(Kind::DGRAM)?;
    near.set_mode(mode)?;
    let addr = near.local_addr()?;
    if operation.starts_with("send") {
        return Ok(sends::<A>(ours, is_lent, &near, &addr));
    }
    for _call in 0..CALLS {
        near.send_to(b"x", MsgFlags::NONE, &addr)?;
    }
    Ok(receives::<A>(ours, is_lent, &near))
}

fn sends<A: Typed>(ours: bool, is_lent: bool, near: &Socket, addr: &Addr) -> usize {
    let fd = near.as_fd().as_raw_fd();
    let raw = A::of(A::LOOPBACK, addr.port().unwrap_or(0));
    let lent = AddrBuf::from(addr);
    match (ours, is_lent) {
        (true, false) => measured(|| {
            near.send_to(black_box(b"x"), MsgFlags::NONE, black_box(addr))
                .is_ok()
        }),
        (true, true) => measured(|| {
            near.send_to(black_box(b"x"), MsgFlags::NONE, black_box(&lent))
                .is_ok()
        }),
        (false, _) => measured(|| bare::sendto(fd, black_box(b"x"), black_box(&raw))),
    }
}

fn receives<A: Typed>(ours: bool, is_lent: bool, near: &Socket) -> usize {
    let fd = near.as_fd().as_raw_fd();
    let mut buf = [0; 1];
    let mut lent = AddrBuf::new();
    let (mut room, mut len) = (bare::Storage::uninit(), 0);
    match (ours, is_lent) {
        (true, false) => measured(|| A::recv_from(near, black_box(&mut buf))),
        (true, true) => measured(|| {
            let buf = black_box(&mut buf).as_mut_slice();
            near.recv_addr(buf, MsgFlags::NONE, &mut lent).is_ok()
        }),
        (false, false) => measured(|| match bare::recvfrom::<A>(fd, black_box(&mut buf)) {
            Some(sender) => looked_at(sender.peer()),
            None => false,
        }),
        (false, true) => {
            measured(|| bare::recvfrom_raw(fd, black_box(&mut buf), &mut room, &mut len) >= 0)
        }
    }
}
