//! From the standard library's sockets, and to them.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use crate::error::{Error, Result};
use crate::kinds::{Family, Kind};
use crate::opt;
use crate::socket::Socket;
use crate::wait::Mode;

/// Checks that a socket is what a type of the standard library stands for, and makes it block
/// unless it is non-blocking: a time limit is not the descriptor's to keep.
fn release(socket: Socket, name: &str, inet: bool, kind: Kind, listens: bool) -> Result<OwnedFd> {
    let family = socket.family();
    let is_inet = family == Family::INET || family == Family::INET6;
    let fits = socket.kind() == kind
        && if inet {
            is_inet
        } else {
            family == Family::UNIX
        }
        && socket.get(opt::Listening)? == listens;
    if !fits {
        let kind = socket.kind();
        return Err(Error::Invalid(format!(
            "a socket of {family}, {kind} is no {name}"
        )));
    }
    if matches!(socket.mode(), Mode::Within(_)) {
        socket.set_mode(Mode::Block)?;
    }
    Ok(socket.into())
}

macro_rules! conversions {
    ($($type:ident, $inet:literal, $kind:ident, $listens:literal;)*) => {$(
        impl TryFrom<$type> for Socket {
            type Error = Error;

            /// Takes it over as [`Socket::adopt`] does.
            fn try_from(socket: $type) -> Result<Self> {
                Self::adopt(socket.into())
            }
        }

        impl TryFrom<Socket> for $type {
            type Error = Error;

            /// Gives it over. A socket with a time limit becomes a blocking one, for the limit is
            /// not the descriptor's: where the other type has limits of its own, set them there.
            /// A socket of another family or type, or that listens or not as it should, is
            /// [`Error::Invalid`], and closed: look before.
            fn try_from(socket: Socket) -> Result<Self> {
                release(socket, stringify!($type), $inet, Kind::$kind, $listens).map(Self::from)
            }
        }
    )*};
}

conversions! {
    TcpStream, true, STREAM, false;
    TcpListener, true, STREAM, true;
    UdpSocket, true, DGRAM, false;
    UnixStream, false, STREAM, false;
    UnixListener, false, STREAM, true;
    UnixDatagram, false, DGRAM, false;
}
