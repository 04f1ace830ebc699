//! How a listening socket is made.

use crate::addr::Addr;
use crate::endpoint::{Endpoint, Transport};
use crate::error::{Error, Result};
use crate::kinds::{Family, Kind, Protocol};
use crate::opt;
use crate::server::{self, Server};
use crate::socket::Socket;

/// How to listen.
///
/// ```
/// use berkeley::ServerOptions;
///
/// # fn main() -> berkeley::Result<()> {
/// let options = ServerOptions::new().backlog(16).dual_stack(false);
/// for server in options.servers(&"localhost:0".parse()?)? {
///     assert_ne!(server.socket().local_addr()?.port(), Some(0));
/// }
/// # Ok(())
/// # }
/// ```
///
/// # References
/// Python's `socket.create_server`; socket(7), ipv6(7).
#[derive(Debug, Clone)]
pub struct ServerOptions {
    backlog: u32,
    reuse_address: Option<bool>,
    reuse_port: bool,
    dual_stack: Option<bool>,
    is_one: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ServerOptions {
    /// The usual: the largest backlog, `SO_REUSEADDR` for streams, dual-stack wildcards, all
    /// addresses of a name.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            backlog: Socket::BACKLOG_DEFAULT,
            reuse_address: None,
            reuse_port: false,
            dual_stack: None,
            is_one: false,
        }
    }

    /// How many connections may wait to be accepted, [`Socket::BACKLOG_DEFAULT`] at first.
    ///
    /// # References
    /// listen(2).
    #[must_use]
    pub const fn backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }

    /// `SO_REUSEADDR`: connections of a former owner that are in `TIME_WAIT` are no obstacle. On
    /// for TCP at first; for datagrams off, where it would let two programs share a port without
    /// noticing. It means nothing to a Unix socket.
    ///
    /// # References
    /// socket(7), `SO_REUSEADDR`.
    #[must_use]
    pub const fn reuse_address(mut self, reuse: bool) -> Self {
        self.reuse_address = Some(reuse);
        self
    }

    /// `SO_REUSEPORT`: other sockets of the same user that say so too may take the same address,
    /// and the kernel spreads what arrives among all. Off at first; internet sockets only.
    ///
    /// # References
    /// socket(7), `SO_REUSEPORT`.
    #[must_use]
    pub const fn reuse_port(mut self, reuse: bool) -> Self {
        self.reuse_port = reuse;
        self
    }

    /// Whether an IPv6 socket takes IPv4 peers too, as `::ffff:192.0.2.1`
    /// ([`Addr::canonical`]). It is said to the kernel either way (`IPV6_V6ONLY`), whatever the
    /// machine's default is, and makes a difference at the wildcard alone.
    ///
    /// At first it is on for [`ServerOptions::servers`]: one socket serves `*:8000`. When off, two
    /// sockets do. For [`create_server`] it is off at first, as in Python.
    ///
    /// # References
    /// ipv6(7), `IPV6_V6ONLY`; RFC 3493 §3.7.
    #[must_use]
    pub const fn dual_stack(mut self, both: bool) -> Self {
        self.dual_stack = Some(both);
        self
    }

    /// Listens at one address of a name only, the first that this machine is set up for, and not
    /// at all of them.
    #[must_use]
    pub const fn only_one(mut self, one: bool) -> Self {
        self.is_one = one;
        self
    }

    /// Listens at an endpoint, as [`crate::create_servers`] does.
    ///
    /// # Errors
    /// As [`crate::create_servers`]; [`Error::Invalid`] for [`ServerOptions::reuse_port`] with a
    /// Unix socket.
    pub fn servers(&self, endpoint: &Endpoint) -> Result<Vec<Server>> {
        server::servers(endpoint, self)
    }

    pub(crate) fn takes_both_families(&self) -> bool {
        self.dual_stack.unwrap_or(true)
    }

    pub(crate) const fn is_one(&self) -> bool {
        self.is_one
    }

    /// Refuses what the kernel would take without a word, or refuse without a reason.
    pub(crate) fn check(&self, transport: Transport) -> Result<()> {
        if self.reuse_port && transport.is_unix() {
            return Err(no_reuse_port(Family::UNIX));
        }
        Ok(())
    }

    /// Sets the options that come before `bind`.
    pub(crate) fn apply(&self, socket: &Socket) -> Result<()> {
        let is_inet = is_inet(socket.family());
        if self.reuse_port && !is_inet {
            return Err(no_reuse_port(socket.family()));
        }
        if socket.family() == Family::INET6 {
            socket.set(opt::V6Only, !self.takes_both_families())?;
        }
        let is_stream = socket.kind() == Kind::STREAM;
        if is_inet && self.reuse_address.unwrap_or(is_stream) {
            socket.set(opt::ReuseAddr, true)?;
        }
        if self.reuse_port {
            socket.set(opt::ReusePort, true)?;
        }
        Ok(())
    }

    /// Makes a bound socket listen, if its type has connections.
    pub(crate) fn listen(&self, socket: &Socket, addr: &Addr) -> Result<()> {
        if !socket.kind().is_connected() {
            return Ok(());
        }
        socket.listen(self.backlog).map_err(|error| match error {
            Error::Os { errno, call, .. } => Error::at(call, errno, addr),
            error => error,
        })
    }
}

/// Makes one stream socket that listens at one address, of any family that has streams.
///
/// As Python's function of this name: `SO_REUSEADDR` is set for internet sockets, IPv4 peers are
/// taken by an IPv6 socket only if [`ServerOptions::dual_stack`] says so. A Unix path is bound as
/// it is, and its file is the caller's; [`crate::create_servers`] looks after it.
///
/// ```
/// use berkeley::{Addr, Family, ServerOptions, create_server};
///
/// # fn main() -> berkeley::Result<()> {
/// # if !berkeley::has_dualstack_ipv6() { return Ok(()); }
/// let any = Addr::any(Family::INET6, 0).expect("IPv6 has a wildcard");
/// let server = create_server(&any, &ServerOptions::new().dual_stack(true))?;
/// # drop(server);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL` as [`Socket::bind`] gives them. [`Error::Invalid`] for
/// dual stack at an address that is not IPv6, and for `SO_REUSEPORT` outside of the internet
/// families.
pub fn create_server(addr: &Addr, options: &ServerOptions) -> Result<Socket> {
    let both = options.dual_stack.unwrap_or(false);
    if both && addr.family() != Family::INET6 {
        return Err(Error::Invalid(format!(
            "{addr}: only an IPv6 socket can be dual-stack"
        )));
    }
    let options = options.clone().dual_stack(both);
    let socket = Socket::new(addr.family(), Kind::STREAM, Protocol::DEFAULT)?;
    options.apply(&socket)?;
    socket.bind(addr)?;
    options.listen(&socket, addr)?;
    Ok(socket)
}

/// True if this machine can make IPv6 sockets that take IPv4 peers too.
///
/// # References
/// ipv6(7), `IPV6_V6ONLY`.
#[must_use]
pub fn has_dualstack_ipv6() -> bool {
    Socket::new(Family::INET6, Kind::STREAM, Protocol::DEFAULT)
        .and_then(|socket| socket.set(opt::V6Only, false))
        .is_ok()
}

fn is_inet(family: Family) -> bool {
    family == Family::INET || family == Family::INET6
}

fn no_reuse_port(family: Family) -> Error {
    Error::Invalid(format!(
        "{family} has no SO_REUSEPORT: only internet sockets can share a port"
    ))
}
