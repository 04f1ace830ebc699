//! Sockets that call others.

use crate::addr::{Addr, UnixAddr};
use crate::endpoint::{Endpoint, Transport};
use crate::error::{Error, Result};
use crate::kinds::Protocol;
use crate::opt;
use crate::socket::Socket;
use crate::wait::{Deadline, Mode};

/// Connects to an endpoint: tries its addresses in order until one answers, all within one
/// deadline, and answers the connected socket in blocking mode with the address that it reached.
///
/// For datagrams "connected" means that `send` and `recv` speak with that one peer; a
/// `unix-dgram` socket is given an abstract name, so that the peer can answer. A TCP socket sends
/// small pieces at once ([`opt::NoDelay`]).
///
/// # Errors
/// [`Error::Connect`] with each address that was tried and its reason when there were several or
/// when the deadline came ([`Error::is_timed_out`]), else that one reason; [`Error::Resolve`] for
/// an unknown host.
pub fn create_connection(endpoint: &Endpoint, deadline: Deadline) -> Result<(Socket, Addr)> {
    let mut tried = Vec::new();
    for addr in endpoint.addresses(false)? {
        match connect_one(endpoint.transport(), &addr, deadline) {
            Ok(socket) => return Ok((socket, addr)),
            Err(error) => tried.push((addr, error)),
        }
        if deadline.has_passed() {
            break;
        }
    }
    match tried.as_slice() {
        // A time limit alone would not say which address it was about.
        [(_, error)] if !error.is_timed_out() => Err(tried.swap_remove(0).1),
        _ => Err(Error::Connect(tried)),
    }
}

fn connect_one(transport: Transport, addr: &Addr, deadline: Deadline) -> Result<Socket> {
    let socket = Socket::new(addr.family(), transport.kind(), Protocol::DEFAULT)?;
    if transport == Transport::UnixDgram {
        socket.bind(&Addr::Unix(UnixAddr::unnamed()))?;
    }
    if transport == Transport::Tcp {
        socket.set(opt::NoDelay, true)?;
    }
    if let Some(left) = deadline.left() {
        if left.is_zero() {
            return Err(Error::TimedOut { call: "connect" });
        }
        socket.set_mode(Mode::Within(left))?;
    }
    socket.connect(addr)?;
    socket.set_mode(Mode::Block)?;
    Ok(socket)
}
