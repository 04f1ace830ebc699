//! The socket: its life, from creation to close.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::addr::{Addr, RawAddr};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::kinds::{Family, Kind, Protocol, Shutdown};
use crate::opt::{self, GetOpt, SetOpt};
use crate::sys;
use crate::wait::{Deadline, Mode, Patience, Until, retry, wait_ready};

/// The value of `Socket::mode` for [`Mode::Block`]; every other one is a limit in nanoseconds.
const MODE_BLOCK: u64 = u64::MAX;

/// A socket of any family and type, owned: it is closed when it goes out of scope.
///
/// Made close-on-exec; sending never raises `SIGPIPE`; a call that a signal interrupts goes on
/// with what is left of its time limit. All calls take `&self`: sending and receiving from two
/// threads at once is what sockets are for.
///
/// ```
/// use berkeley::{Addr, Family, Kind, MsgFlags, Protocol, Socket, Shutdown};
///
/// # fn main() -> Result<(), berkeley::Error> {
/// let server = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT)?;
/// server.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into())?;
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
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    mode: AtomicU64,
    family: Family,
    kind: Kind,
    protocol: Protocol,
}

impl Socket {
    /// Connections that may wait to be accepted unless the caller says otherwise. The kernel cuts
    /// it to `/proc/sys/net/core/somaxconn`.
    pub const BACKLOG_DEFAULT: u32 = 4096;

    /// Makes a socket, in blocking mode unless the type carries `SOCK_NONBLOCK`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a family that this kernel lacks (`EAFNOSUPPORT`);
    /// `EPROTONOSUPPORT`, `ESOCKTNOSUPPORT` for a protocol or a type; `EACCES`, `EPERM` without
    /// the right to it; `EMFILE`, `ENFILE` when descriptors have run out.
    ///
    /// # References
    /// socket(2).
    pub fn new(family: Family, kind: Kind, protocol: Protocol) -> Result<Self> {
        let fd =
            sys::socket::socket(family.raw(), kind.raw(), protocol.raw()).map_err(|errno| {
                if errno == Errno::EAFNOSUPPORT {
                    return Error::Unsupported(format!("this kernel has no {family:?}: {errno}"));
                }
                Error::os("socket", errno)
            })?;
        let (kind, mode) = kind_and_mode(kind);
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
        let (a, b) = sys::socket::socketpair(family.raw(), kind.raw(), 0)
            .map_err(|errno| Error::os("socketpair", errno))?;
        let (kind, mode) = kind_and_mode(kind);
        let own = |fd| Self::from_parts(fd, mode, family, kind, Protocol::DEFAULT);
        Ok((own(a), own(b)))
    }

    /// Takes over a descriptor, finding out family, type, protocol and blocking mode from it.
    ///
    /// # Errors
    /// `ENOTSOCK` if it is no socket.
    pub fn adopt(fd: OwnedFd) -> Result<Self> {
        let mode = sys::socket::is_nonblocking(fd.as_fd())
            .map_err(|errno| Error::os("fcntl", errno))
            .map(|nonblocking| {
                if nonblocking {
                    Mode::NonBlock
                } else {
                    Mode::Block
                }
            })?;
        let socket = Self::from_parts(fd, mode, Family::UNSPEC, Kind::STREAM, Protocol::DEFAULT);
        Ok(Self {
            family: socket.get(opt::Domain)?,
            kind: socket.get(opt::Type)?,
            protocol: socket.get(opt::ProtocolNumber)?,
            ..socket
        })
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
            mode: AtomicU64::new(mode_to_raw(mode)),
            family,
            kind,
            protocol,
        }
    }

    /// The address family.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// The socket type.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The protocol that was asked for.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// How calls wait.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self.mode.load(Ordering::Relaxed) {
            MODE_BLOCK => Mode::Block,
            0 => Mode::NonBlock,
            nanos => Mode::Within(Duration::from_nanos(nanos)),
        }
    }

    /// Chooses how calls wait. A limited socket does not block in the kernel either, so a
    /// duplicate of its descriptor elsewhere sees a non-blocking one.
    ///
    /// # Errors
    /// `EBADF` only, which an owned descriptor does not meet.
    pub fn set_mode(&self, mode: Mode) -> Result<()> {
        sys::socket::set_nonblocking(self.fd.as_fd(), mode != Mode::Block)
            .map_err(|errno| Error::os("ioctl FIONBIO", errno))?;
        self.mode.store(mode_to_raw(mode), Ordering::Relaxed);
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
    pub fn bind(&self, addr: &Addr) -> Result<()> {
        sys::socket::bind(self.as_fd(), &RawAddr::encode(addr))
            .map_err(|errno| Error::at("bind", errno, addr))
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
        sys::socket::listen(self.as_fd(), backlog).map_err(|errno| Error::os("listen", errno))
    }

    /// Takes the next waiting connection, in blocking mode, with the peer's address (`None` for a
    /// peer without a name).
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM` ([`Errno::is_exhaustion`]): the connection still
    /// waits, call again when something was closed. `ECONNABORTED` and network errors belong to
    /// the one connection: call again.
    ///
    /// # References
    /// accept(2), accept4(2).
    #[doc(alias = "accept4")]
    pub fn accept(&self) -> Result<(Self, Option<Addr>)> {
        self.accept_with(Mode::Block)
    }

    /// The same, with the mode that the new socket shall have; no further call is made for it.
    ///
    /// # Errors
    /// As [`Socket::accept`].
    pub fn accept_with(&self, mode: Mode) -> Result<(Self, Option<Addr>)> {
        let mut addr = RawAddr::empty();
        let nonblocking = mode != Mode::Block;
        let fd = retry(
            self.as_fd(),
            self.patience(),
            Until::Readable,
            "accept",
            || sys::socket::accept(self.as_fd(), nonblocking, &mut addr),
        )?;
        Ok((
            Self::from_parts(fd, mode, self.family, self.kind, self.protocol),
            addr.decode_peer(),
        ))
    }

    /// Connects to a peer; for datagrams, chooses whom `send` means.
    ///
    /// After a failure the socket is spent: make a new one for the next try.
    ///
    /// # Errors
    /// `ECONNREFUSED`: nobody listens there. `ENETUNREACH`, `EHOSTUNREACH`, `ETIMEDOUT` (the
    /// network's answer) or [`Error::TimedOut`] (the caller's limit). On a non-blocking socket
    /// `EINPROGRESS`: when it becomes writable, [`Socket::take_error`] tells how it went; a
    /// non-blocking Unix socket answers `EAGAIN` when the listener's queue is full, and is not
    /// queued.
    ///
    /// # References
    /// connect(2).
    pub fn connect(&self, addr: &Addr) -> Result<()> {
        match self.connect_raw(addr) {
            Ok(()) => Ok(()),
            Err(Error::Os {
                errno,
                call,
                addr: None,
            }) => Err(Error::at(call, errno, addr)),
            Err(error) => Err(error),
        }
    }

    /// Connects like [`Socket::connect`], but answers the kernel's number instead of an error:
    /// `None` for success, `EAGAIN` for the end of the time limit (as Python's `connect_ex`).
    ///
    /// # Errors
    /// What is no answer of the kernel about the connection.
    #[doc(alias = "connect")]
    pub fn connect_ex(&self, addr: &Addr) -> Result<Option<Errno>> {
        match self.connect_raw(addr) {
            Ok(()) => Ok(None),
            Err(Error::TimedOut { .. }) => Ok(Some(Errno::EAGAIN)),
            Err(error) => error.errno().map(Some).ok_or(error),
        }
    }

    fn connect_raw(&self, addr: &Addr) -> Result<()> {
        if let (Family::UNIX, Mode::Within(limit)) = (self.family, self.mode()) {
            return self.connect_unix_within(addr, Deadline::within(limit));
        }
        let deadline = match self.patience() {
            Patience::Kernel => Deadline::NEVER,
            Patience::None => {
                return sys::socket::connect(self.as_fd(), &RawAddr::encode(addr))
                    .map_err(|errno| Error::os("connect", errno));
            }
            Patience::Until(deadline) => deadline,
        };
        let raw = RawAddr::encode(addr);
        loop {
            match sys::socket::connect(self.as_fd(), &raw) {
                Ok(()) => return Ok(()),
                // A Unix socket that waited at a full queue has no connection under way.
                Err(Errno::EINTR) if self.family == Family::UNIX => {}
                // An internet one has, also after a signal: calling again would be an error.
                Err(Errno::EINPROGRESS | Errno::EINTR) => break,
                Err(errno) => return Err(Error::os("connect", errno)),
            }
        }
        wait_ready(self.as_fd(), Until::Writable, deadline, "connect")?;
        match self.get(opt::PendingError)? {
            None => Ok(()),
            Some(errno) => Err(Error::os("connect", errno)),
        }
    }

    /// A Unix listener with a full queue answers a non-blocking connect with `EAGAIN` and does
    /// not queue it, and poll(2) then tells nothing: only a blocking connect waits, bounded by
    /// `SO_SNDTIMEO`.
    fn connect_unix_within(&self, addr: &Addr, deadline: Deadline) -> Result<()> {
        let raw = RawAddr::encode(addr);
        let fd = self.as_fd();
        let nonblocking = |on| {
            sys::socket::set_nonblocking(fd, on).map_err(|errno| Error::os("ioctl FIONBIO", errno))
        };
        let attempt = || loop {
            let left = deadline.left();
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Error::TimedOut { call: "connect" });
            }
            self.set(opt::SendTimeout, left)?;
            match sys::socket::connect(fd, &raw) {
                Ok(()) => return Ok(()),
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(errno) => return Err(Error::os("connect", errno)),
            }
        };
        nonblocking(false)?;
        let result = attempt();
        // What there was before comes back whatever happened.
        let restored = self
            .set(opt::SendTimeout, None)
            .and_then(|()| nonblocking(true));
        result.and(restored)
    }

    /// Ends sending, receiving or both, for all holders of the socket.
    ///
    /// # Errors
    /// `ENOTCONN` if there is no connection (any more).
    ///
    /// # References
    /// shutdown(2).
    pub fn shutdown(&self, how: Shutdown) -> Result<()> {
        sys::socket::shutdown(self.as_fd(), how.raw()).map_err(|errno| Error::os("shutdown", errno))
    }

    /// Closes the socket and tells how that went; going out of scope closes it silently.
    ///
    /// # Errors
    /// `EIO` and the like. The descriptor is closed all the same.
    ///
    /// # References
    /// close(2).
    pub fn close(self) -> Result<()> {
        match sys::socket::close(self.fd) {
            // Linux has closed the descriptor when a signal comes, and a reset by the peer is no
            // failure to close.
            Ok(()) | Err(Errno::EINTR | Errno::ECONNRESET) => Ok(()),
            Err(errno) => Err(Error::os("close", errno)),
        }
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
            .map_err(|errno| Error::os("getsockname", errno))?
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
            .map_err(|errno| Error::os("getpeername", errno))?;
        Ok(raw.decode_peer())
    }

    /// A second handle to the same socket. It begins with this one's mode; whether calls block is
    /// a property that both share in the kernel, so do not give them different modes later.
    ///
    /// # Errors
    /// `EMFILE` when descriptors have run out.
    #[doc(alias = "dup")]
    pub fn try_clone(&self) -> Result<Self> {
        let fd = self.fd.try_clone().map_err(|error| {
            Error::os(
                "fcntl F_DUPFD_CLOEXEC",
                Errno::from_raw(error.raw_os_error().unwrap_or(0)),
            )
        })?;
        Ok(Self::from_parts(
            fd,
            self.mode(),
            self.family,
            self.kind,
            self.protocol,
        ))
    }

    /// Reads an option.
    ///
    /// # Errors
    /// `ENOPROTOOPT` for an option that this family or kernel does not have.
    ///
    /// # References
    /// getsockopt(2).
    #[doc(alias = "getsockopt")]
    pub fn get<O: GetOpt>(&self, _option: O) -> Result<O::Value> {
        let mut value = [0; opt::VALUE_BYTES_MAX];
        let (room, _) = value.split_at_mut(O::BYTES.min(opt::VALUE_BYTES_MAX));
        let len = sys::socket::getsockopt(self.as_fd(), O::LEVEL.raw(), O::NAME, room)
            .map_err(|errno| Error::os(O::LABEL, errno))?;
        room.get(..len).and_then(O::decode).ok_or_else(|| {
            Error::Invalid(format!("{}: the kernel's answer has {len} bytes", O::LABEL))
        })
    }

    /// Sets an option.
    ///
    /// # Errors
    /// `ENOPROTOOPT` for an option that this family or kernel does not have, `EINVAL` for a value
    /// out of range, `EPERM` without the right to it.
    ///
    /// # References
    /// setsockopt(2).
    #[doc(alias = "setsockopt")]
    pub fn set<O: SetOpt>(&self, _option: O, value: O::Value) -> Result<()> {
        sys::socket::setsockopt(
            self.as_fd(),
            O::LEVEL.raw(),
            O::NAME,
            O::encode(value).as_ref(),
        )
        .map_err(|errno| Error::os(O::LABEL, errno))
    }

    /// Reads any option as bytes into `value`; answers how many were written.
    ///
    /// # Errors
    /// As [`Socket::get`].
    pub fn get_raw(&self, level: crate::Level, name: i32, value: &mut [u8]) -> Result<usize> {
        sys::socket::getsockopt(self.as_fd(), level.raw(), name, value)
            .map_err(|errno| Error::os("getsockopt", errno))
    }

    /// Sets any option from bytes.
    ///
    /// # Errors
    /// As [`Socket::set`].
    pub fn set_raw(&self, level: crate::Level, name: i32, value: &[u8]) -> Result<()> {
        sys::socket::setsockopt(self.as_fd(), level.raw(), name, value)
            .map_err(|errno| Error::os("setsockopt", errno))
    }

    /// Takes the next pending error off the socket, clearing it: how a non-blocking connect went.
    ///
    /// # Errors
    /// None that an owned socket meets.
    #[doc(alias = "SO_ERROR")]
    pub fn take_error(&self) -> Result<Option<Errno>> {
        self.get(opt::PendingError)
    }

    /// How a call of this socket waits.
    pub(crate) fn patience(&self) -> Patience {
        match self.mode.load(Ordering::Relaxed) {
            MODE_BLOCK => Patience::Kernel,
            0 => Patience::None,
            nanos => Patience::Until(Deadline::within(Duration::from_nanos(nanos))),
        }
    }
}

/// Takes a type apart: socket(2) lets flags of creation travel with it.
fn kind_and_mode(kind: Kind) -> (Kind, Mode) {
    let mode = if kind.raw() & libc::SOCK_NONBLOCK == 0 {
        Mode::Block
    } else {
        Mode::NonBlock
    };
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    (Kind::from_raw(kind.raw() & !flags), mode)
}

fn mode_to_raw(mode: Mode) -> u64 {
    match mode {
        Mode::Block => MODE_BLOCK,
        Mode::NonBlock => 0,
        // Beyond 584 years a limit is as good as none, but it must not become `Block`, which is
        // another state of the descriptor.
        Mode::Within(limit) => u64::try_from(limit.as_nanos())
            .unwrap_or(MODE_BLOCK - 1)
            .min(MODE_BLOCK - 1),
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Socket> for OwnedFd {
    /// Gives the descriptor away, in the blocking mode that it has.
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
