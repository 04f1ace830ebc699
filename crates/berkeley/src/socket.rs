//! The socket: its life, from creation to close.

use core::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::addr::{self, Addr, AddrBuf, ToAddr};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::kinds::{Family, Kind, Protocol, Shutdown};
use crate::lease;
use crate::opt;
use crate::rawopt::option_of;
use crate::state::{RawMode, State};
use crate::sys;
use crate::wait::{Mode, Patience};

/// A socket of any family and type, owned: it is closed when it goes out of scope.
///
/// Made close-on-exec; sending never raises `SIGPIPE`; a call that a signal interrupts goes on
/// with what is left of its time limit. All calls take `&self`: sending and receiving from two
/// threads at once is what sockets are for, and closing from a third one is safe too
/// ([`Socket::close`]).
///
/// ```
/// use berkeley::{Family, Kind, MsgFlags, Protocol, Socket, Shutdown};
///
/// # fn main() -> Result<(), berkeley::Error> {
/// let server = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT)?;
/// server.bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
/// server.listen(Socket::BACKLOG_DEFAULT)?;
///
/// let client = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT)?;
/// client.connect(&server.local_addr()?)?;
/// client.send_all(b"hello")?;
/// client.shutdown(Shutdown::WRITE)?;
///
/// let (peer, _addr) = server.accept()?;
/// let mut buf = [0; 16];
/// let len = peer.recv(&mut buf, MsgFlags::WAITALL)?;
/// assert_eq!(&buf[..len], b"hello");
/// # Ok(())
/// # }
/// ```
///
/// # References
/// socket(2), socket(7).
pub struct Socket {
    pub(crate) fd: OwnedFd,
    pub(crate) state: State,
    facts: Facts,
}

/// What a socket was made as, and hands on to those that it accepts.
#[derive(Debug, Clone, Copy)]
struct Facts {
    /// The kernel makes no socket of a family that does not fit: it has some fifty.
    family: u8,
    /// The kernel's types fit into four bits.
    kind: u8,
    /// As wide as the kernel keeps it.
    protocol: u16,
}

/// Who has many connections has as many of these.
const _: () = assert!(size_of::<Socket>() == 16);

impl Socket {
    /// Connections that may wait to be accepted unless the caller says otherwise. The kernel cuts
    /// it to `/proc/sys/net/core/somaxconn`.
    pub const BACKLOG_DEFAULT: u32 = 4096;

    /// Makes a socket: non-blocking if the type carries `SOCK_NONBLOCK`, else in the mode that
    /// [`Mode::for_new_sockets`] says, which is to block unless the program has chosen another.
    ///
    /// # Errors
    /// [`Error::UnsupportedFamily`] for a family that this kernel lacks (`EAFNOSUPPORT`);
    /// [`Error::NotMade`] with `EPROTONOSUPPORT`, `ESOCKTNOSUPPORT` for a protocol or a type, with
    /// `EACCES`, `EPERM` without the right to it; `EMFILE`, `ENFILE` when descriptors have run out.
    ///
    /// # References
    /// socket(2).
    pub fn new(family: Family, kind: Kind, protocol: Protocol) -> Result<Self> {
        let (kind, mode) = kind_and_mode(kind);
        Self::with_mode(family, kind, protocol, mode)
    }

    /// Makes a socket in a given mode, with the one system call.
    ///
    /// # Errors
    /// As [`Socket::new`].
    ///
    /// # References
    /// socket(2), `SOCK_NONBLOCK`.
    #[doc(alias = "SOCK_NONBLOCK")]
    pub fn with_mode(family: Family, kind: Kind, protocol: Protocol, mode: Mode) -> Result<Self> {
        lease::prepare();
        let kind = kind.without_flags();
        let fd = sys::socket::socket(family.raw(), kind_with_mode(kind, mode), protocol.raw())
            .map_err(|errno| not_made("socket", (family, kind, protocol), errno))?;
        Ok(Self::from_parts(fd, mode, family, kind, protocol))
    }

    /// Makes two sockets that are connected to each other.
    ///
    /// # Errors
    /// As [`Socket::new`]; `EOPNOTSUPP` for a family without pairs.
    ///
    /// # References
    /// socketpair(2).
    pub fn pair(family: Family, kind: Kind) -> Result<(Self, Self)> {
        let (kind, mode) = kind_and_mode(kind);
        Self::pair_with(family, kind, Protocol::DEFAULT, mode)
    }

    /// The same of a protocol, and in a given mode, with the one system call.
    ///
    /// # Errors
    /// As [`Socket::pair`].
    ///
    /// # References
    /// socketpair(2), `SOCK_NONBLOCK`.
    #[doc(alias = "socketpair")]
    pub fn pair_with(
        family: Family,
        kind: Kind,
        protocol: Protocol,
        mode: Mode,
    ) -> Result<(Self, Self)> {
        lease::prepare();
        let kind = kind.without_flags();
        let flags = kind_with_mode(kind, mode);
        let (a, b) = sys::socket::socketpair(family.raw(), flags, protocol.raw())
            .map_err(|errno| not_made("socketpair", (family, kind, protocol), errno))?;
        let own = |fd| Self::from_parts(fd, mode, family, kind, protocol);
        Ok((own(a), own(b)))
    }

    /// Takes over a descriptor, finding out family, type, protocol and blocking mode from it.
    ///
    /// # Errors
    /// `ENOTSOCK` if it is no socket.
    ///
    /// # References
    /// socket(7), `SO_DOMAIN`, `SO_TYPE`, `SO_PROTOCOL`; fcntl(2), `F_GETFL`.
    pub fn adopt(fd: OwnedFd) -> Result<Self> {
        lease::prepare();
        let (mode, family, kind, protocol) = Self::find_out(fd.as_fd())?;
        Ok(Self::from_parts(fd, mode, family, kind, protocol))
    }

    /// Takes over a descriptor of which all is known, without a system call. What is said of it is
    /// believed: a wrong family or type is told by [`Socket::family`] and [`Socket::kind`], and a
    /// wrong mode waits where it should not, or the other way round.
    ///
    /// ```
    /// use berkeley::{Family, Kind, Mode, Protocol, Socket};
    ///
    /// # fn main() -> Result<(), berkeley::Error> {
    /// let (a, b) = Socket::pair(Family::UNIX, Kind::STREAM)?;
    /// let fd = a.detach();
    /// let a = Socket::adopt_as(fd, Mode::Block, Family::UNIX, Kind::STREAM, Protocol::DEFAULT);
    /// a.send_all(b"x")?;
    /// assert_eq!(b.recv_vec(1, berkeley::MsgFlags::NONE)?, b"x");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # References
    /// socket(2).
    #[must_use]
    pub fn adopt_as(
        fd: OwnedFd,
        mode: Mode,
        family: Family,
        kind: Kind,
        protocol: Protocol,
    ) -> Self {
        lease::prepare();
        Self::from_parts(fd, mode, family, kind.without_flags(), protocol)
    }

    /// What a descriptor tells of itself.
    pub(crate) fn find_out(fd: BorrowedFd<'_>) -> Result<(Mode, Family, Kind, Protocol)> {
        let mode = match sys::socket::is_nonblocking(fd) {
            Ok(true) => Mode::NonBlock,
            Ok(false) => Mode::Block,
            Err(errno) => return Err(Error::os("fcntl", errno)),
        };
        let family = option_of(fd, opt::Domain)?;
        let kind = option_of(fd, opt::Type)?;
        Ok((mode, family, kind, option_of(fd, opt::ProtocolNumber)?))
    }

    pub(crate) fn from_parts(
        fd: OwnedFd,
        mode: Mode,
        family: Family,
        kind: Kind,
        protocol: Protocol,
    ) -> Self {
        Self {
            fd,
            state: State::new(RawMode::of(mode)),
            facts: Facts {
                family: u8::try_from(family.raw()).unwrap_or(0),
                kind: u8::try_from(kind.raw()).unwrap_or(0),
                protocol: kept_protocol(protocol),
            },
        }
    }

    /// A connection that this listener has accepted.
    #[inline]
    pub(crate) fn accepted(&self, fd: OwnedFd, mode: RawMode) -> Self {
        Self {
            fd,
            state: State::new(mode),
            facts: self.facts,
        }
    }

    /// The address family.
    ///
    /// # References
    /// address_families(7).
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::from_raw(self.facts.family as i32)
    }

    /// The socket type.
    ///
    /// # References
    /// socket(2).
    #[must_use]
    pub const fn kind(&self) -> Kind {
        Kind::from_raw(self.facts.kind as i32)
    }

    /// The protocol that was asked for: its low 16 bits, which is what the kernel keeps of it.
    ///
    /// # References
    /// socket(2), protocols(5).
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        Protocol::from_raw(self.facts.protocol as i32)
    }

    /// How calls wait.
    ///
    /// # References
    /// fcntl(2), `O_NONBLOCK`.
    #[inline]
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.state.mode().mode()
    }

    /// Chooses how calls wait. A limited socket does not block in the kernel either, so a
    /// duplicate of its descriptor elsewhere sees a non-blocking one.
    ///
    /// # Errors
    /// `EBADF` only, which an owned descriptor does not meet.
    ///
    /// # References
    /// ioctl(2), `FIONBIO`; fcntl(2), `O_NONBLOCK`.
    pub fn set_mode(&self, mode: Mode) -> Result<()> {
        sys::socket::set_nonblocking(self.fd.as_fd(), mode != Mode::Block)
            .map_err(|errno| self.failure("ioctl FIONBIO", errno))?;
        self.state.set_mode(RawMode::of(mode));
        Ok(())
    }

    /// Gives the socket a name.
    ///
    /// # Errors
    /// `EADDRINUSE` if another socket has it; `EADDRNOTAVAIL` if no interface has the address;
    /// `EACCES` for a port below 1024 or a path without the right to it; `ENOENT` for a path whose
    /// folder is missing.
    ///
    /// # References
    /// bind(2).
    pub fn bind(&self, addr: impl ToAddr) -> Result<()> {
        let raw = addr::encode(&addr)?;
        sys::socket::bind(self.as_fd(), &raw)
            .map_err(|errno| about(&raw, self.failure("bind", errno)))
    }

    /// [`Socket::listen`] with [`Socket::BACKLOG_DEFAULT`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # References
    /// listen(2).
    pub fn listen_default(&self) -> Result<()> {
        self.listen(Self::BACKLOG_DEFAULT)
    }

    /// Lets peers connect; up to `backlog` of them wait to be accepted.
    ///
    /// # Errors
    /// `EADDRINUSE` if another socket listens at the address; `EOPNOTSUPP` for a type without
    /// connections.
    ///
    /// # References
    /// listen(2).
    pub fn listen(&self, backlog: u32) -> Result<()> {
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
        sys::socket::listen(self.as_fd(), backlog).map_err(|errno| self.failure("listen", errno))
    }

    /// Ends sending, receiving or both, for all holders of the socket.
    ///
    /// # Errors
    /// `ENOTCONN` if there is no connection (any more).
    ///
    /// # References
    /// shutdown(2).
    pub fn shutdown(&self, how: Shutdown) -> Result<()> {
        sys::socket::shutdown(self.as_fd(), how.raw())
            .map_err(|errno| self.failure("shutdown", errno))
    }

    /// The socket's own address.
    ///
    /// # Errors
    /// `ENOBUFS` when the kernel is out of memory.
    ///
    /// # References
    /// getsockname(2).
    #[doc(alias = "getsockname")]
    pub fn local_addr(&self) -> Result<Addr> {
        sys::socket::getsockname(self.as_fd())
            .map_err(|errno| self.failure("getsockname", errno))?
            .decode()
            .ok_or_else(|| Error::Invalid("the kernel told no address for this socket".into()))
    }

    /// The address that the socket is connected to; `None` for a peer without a name.
    ///
    /// # Errors
    /// `ENOTCONN` if it is not connected.
    ///
    /// # References
    /// getpeername(2).
    #[doc(alias = "getpeername")]
    pub fn peer_addr(&self) -> Result<Option<Addr>> {
        let raw = sys::socket::getpeername(self.as_fd())
            .map_err(|errno| self.failure("getpeername", errno))?;
        Ok(raw.decode_peer())
    }

    /// Takes the next pending error off the socket, clearing it: how a non-blocking connect went.
    ///
    /// # Errors
    /// None that an owned socket meets.
    ///
    /// # References
    /// socket(7), `SO_ERROR`.
    #[doc(alias = "SO_ERROR")]
    pub fn take_error(&self) -> Result<Option<Errno>> {
        self.get(opt::PendingError)
    }

    /// The error of a failed call on this socket.
    pub(crate) fn failure(&self, call: &'static str, errno: Errno) -> Error {
        lease::failure(self.fd.as_fd(), call, errno)
    }

    /// How a call of this socket waits.
    #[inline]
    pub(crate) fn patience(&self) -> Patience {
        self.state.mode().patience()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "as the kernel does it"
)]
const fn kept_protocol(protocol: Protocol) -> u16 {
    protocol.raw() as u16
}

/// The kernel's error for a call on an address names the address.
#[cold]
pub(crate) fn about(raw: &AddrBuf, error: Error) -> Error {
    match error {
        Error::Os {
            errno,
            call,
            addr: None,
        } => Error::Os {
            errno,
            call,
            addr: raw.decode().map(Box::new),
        },
        error => error,
    }
}

/// The same where data were meant for the address. A full socket is told as it is, for that is no
/// matter of the address, and costs no allocation.
#[cold]
pub(crate) fn meant_for(raw: &AddrBuf, error: Error) -> Error {
    if error.is_would_block() {
        return error;
    }
    about(raw, error)
}

/// Why there is no socket: what the kernel lacks or forbids is told by its name.
fn not_made(
    call: &'static str,
    (family, kind, protocol): (Family, Kind, Protocol),
    errno: Errno,
) -> Error {
    if errno == Errno::EAFNOSUPPORT {
        Error::UnsupportedFamily(family)
    } else if errno.is_exhaustion() {
        // No matter of what was asked for.
        Error::os(call, errno)
    } else {
        Error::NotMade {
            family,
            kind,
            protocol,
            errno,
        }
    }
}

/// Takes a type apart: socket(2) lets flags of creation travel with it.
fn kind_and_mode(kind: Kind) -> (Kind, Mode) {
    let mode = if kind.is_nonblocking() {
        Mode::NonBlock
    } else {
        Mode::for_new_sockets()
    };
    (kind.without_flags(), mode)
}

/// Puts it together again as the mode demands.
fn kind_with_mode(kind: Kind, mode: Mode) -> i32 {
    if mode == Mode::Block {
        kind.raw()
    } else {
        kind.raw() | libc::SOCK_NONBLOCK
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("fd", &self.fd.as_raw_fd())
            .field("family", &self.family())
            .field("kind", &self.kind())
            .field("protocol", &self.protocol())
            .field("mode", &self.mode())
            .field("is_closed", &self.is_closed())
            .finish()
    }
}

impl AsFd for Socket {
    /// The descriptor. It stays open as long as the borrow lasts even if another thread closes
    /// the socket meanwhile: then its number stands for an inert file, on which every call fails
    /// with `EBADF`.
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Socket> for OwnedFd {
    /// Gives the descriptor away, in the blocking mode that it has. That of a closed socket is
    /// good for nothing but closing.
    fn from(socket: Socket) -> Self {
        socket.fd
    }
}

impl TryFrom<OwnedFd> for Socket {
    type Error = Error;

    fn try_from(fd: OwnedFd) -> Result<Self> {
        Self::adopt(fd)
    }
}
