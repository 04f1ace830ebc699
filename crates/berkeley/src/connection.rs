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
/// `unix-dgram` socket is given an abstract name, so that the peer can answer.
///
/// # Errors
/// [`Error::Connect`] with each address and its reason when there were several, else that one
/// reason; [`Error::Resolve`] for an unknown host.
pub fn create_connection(endpoint: &Endpoint, deadline: Deadline) -> Result<(Socket, Addr)> {
    let mut tried = Vec::new();
    for addr in endpoint.addresses(false)? {
        match connect_one(endpoint.transport(), &addr, deadline) {
            Ok(socket) => return Ok((socket, addr)),
            Err(error) => tried.push((addr, error)),
        }
    }
    match tried.len() {
        1 => Err(tried.swap_remove(0).1),
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
    socket.connect(addr).map_err(|error| match error {
        Error::TimedOut { .. } => Error::Os {
            errno: crate::Errno::ETIMEDOUT,
            call: "connect",
            addr: Some(Box::new(addr.clone())),
        },
        error => error,
    })?;
    socket.set_mode(Mode::Block)?;
    Ok(socket)
}
