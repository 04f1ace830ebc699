//! Sockets that call others.

use core::time::Duration;

use crate::addr::{Addr, UnixAddr};
use crate::endpoint::{Endpoint, Transport};
use crate::error::{Error, Result};
use crate::hook::Hook;
use crate::kinds::{Family, Kind, Level, Protocol};
use crate::names::Query;
use crate::opt;
use crate::race::{Race, interleave};
use crate::socket::Socket;
use crate::wait::{Deadline, Mode};

/// RFC 8305 §5: between two attempts, 250 ms are recommended.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// RFC 8305 §5: the delay must not be less than 10 ms.
const ATTEMPT_DELAY_MIN: Duration = Duration::from_millis(10);

/// How to reach a host that may have many addresses, of which some may not answer.
///
/// Happy Eyeballs (RFC 8305): the host's addresses are tried in the resolver's order, the families
/// in turn; each gets a head start ([`ConnectOptions::attempt_delay`]), and if it has not answered
/// by then, the next one is tried *beside* it. The first connection that stands wins, the others
/// are closed. So an address behind which everything is dropped costs a quarter of a second and
/// not a minute. One deadline covers it all, the lookup of the name too.
///
/// The calling thread does it alone, with one poll(2) over all attempts; only a lookup with a
/// deadline has a thread of its own ([`crate::names::lookup_until`]).
///
/// ```
/// use berkeley::{ConnectOptions, ServerOptions, create_connection};
/// use std::time::Duration;
///
/// # fn main() -> berkeley::Result<()> {
/// let server = &ServerOptions::new().servers(&"localhost:0".parse()?)?[0];
/// let options = ConnectOptions::new().timeout(Duration::from_secs(5));
/// let (socket, addr) = create_connection(server.endpoint(), &options)?;
/// assert_eq!(socket.peer_addr()?, Some(addr));
/// # Ok(())
/// # }
/// ```
///
/// # References
/// RFC 8305; Python's `socket.create_connection`, with the race of `asyncio`'s.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    deadline: Deadline,
    timeout: Option<Duration>,
    attempt_delay: Duration,
    family: Family,
    sources: Vec<Addr>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Deadline> for ConnectOptions {
    fn from(deadline: Deadline) -> Self {
        Self::new().deadline(deadline)
    }
}

impl From<&Self> for ConnectOptions {
    fn from(options: &Self) -> Self {
        options.clone()
    }
}

impl ConnectOptions {
    /// No deadline, a head start of 250 ms, both families, sources that the kernel chooses.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            deadline: Deadline::NEVER,
            timeout: None,
            attempt_delay: ATTEMPT_DELAY,
            family: Family::UNSPEC,
            sources: Vec::new(),
        }
    }

    /// The moment by which there is a connection or an error.
    #[must_use]
    pub const fn deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = deadline;
        self
    }

    /// The time that each call with these options may take. With a deadline too, what comes first
    /// counts.
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// The head start of each attempt before the next one, 250 ms at first; less than 10 ms is
    /// 10 ms. An attempt that fails starts the next one at once. With [`Duration::MAX`] there is
    /// one attempt at a time, as in Python.
    ///
    /// # References
    /// RFC 8305 §5, "Connection Attempt Delay".
    #[must_use]
    pub fn attempt_delay(mut self, delay: Duration) -> Self {
        self.attempt_delay = delay.max(ATTEMPT_DELAY_MIN);
        self
    }

    /// Addresses of this family only; [`Family::UNSPEC`] for both.
    #[must_use]
    pub const fn family(mut self, family: Family) -> Self {
        self.family = family;
        self
    }

    /// The address to call from; port zero for one that the kernel chooses. Can be given once for
    /// each family. If there is one at all, addresses of a family without one are not called.
    #[must_use]
    pub fn source(mut self, addr: impl Into<Addr>) -> Self {
        let addr = addr.into();
        self.sources.retain(|known| known.family() != addr.family());
        self.sources.push(addr);
        self
    }

    /// Connects to a TCP port of a host: a name, or an address, with a zone perhaps.
    ///
    /// # Errors
    /// As [`create_connection`].
    ///
    /// # References
    /// RFC 8305.
    pub fn connect_host(&self, host: &str, port: u16) -> Result<(Socket, Addr)> {
        let deadline = self.begin();
        let addresses = self.look_up(&(), host, port, Kind::STREAM, deadline)?;
        self.race(&(), Transport::Tcp, interleave(addresses), deadline)
    }

    /// Connects to the first of some TCP addresses that answers, tried in this order.
    ///
    /// # Errors
    /// As [`create_connection`]; [`Error::Invalid`] if there is none.
    ///
    /// # References
    /// RFC 8305 §5.
    pub fn connect_addresses(&self, addresses: &[Addr]) -> Result<(Socket, Addr)> {
        self.race(&(), Transport::Tcp, addresses.to_vec(), self.begin())
    }

    /// [`create_connection`] with a [`Hook`] around what waits: the lookup, each wait for the
    /// attempts, and the connect of a Unix socket. A signal does not end a lookup.
    ///
    /// # Errors
    /// As [`create_connection`], and what [`Hook::interrupted`] says.
    pub fn connect_hooked<H: Hook>(&self, endpoint: &Endpoint, hook: &H) -> Result<(Socket, Addr)> {
        let deadline = self.begin();
        let transport = endpoint.transport();
        if transport.is_unix() {
            return connect_unix(hook, endpoint, deadline);
        }
        let addresses = match endpoint.host_to_call() {
            Some((host, port)) => self.look_up(hook, host, port, transport.kind(), deadline)?,
            None => endpoint.addresses(false)?,
        };
        self.race(hook, transport, interleave(addresses), deadline)
    }

    /// The moment by which a call that begins now has to end.
    fn begin(&self) -> Deadline {
        match (self.timeout.map(Deadline::within), self.deadline) {
            (None, deadline) => deadline,
            (Some(limit), Deadline::NEVER) | (Some(limit @ Deadline::NEVER), _) => limit,
            (Some(limit), deadline) => limit.min(deadline),
        }
    }

    fn look_up<H: Hook>(
        &self,
        hook: &H,
        host: &str,
        port: u16,
        kind: Kind,
        deadline: Deadline,
    ) -> Result<Vec<Addr>> {
        let query = Query::host(host).port(port).family(self.family).kind(kind);
        let mut found = Vec::new();
        for info in hook.blocking(|| query.resolve_until(deadline))? {
            if !found.contains(&info.addr) {
                found.push(info.addr);
            }
        }
        Ok(found)
    }

    fn race<H: Hook>(
        &self,
        hook: &H,
        transport: Transport,
        addresses: Vec<Addr>,
        deadline: Deadline,
    ) -> Result<(Socket, Addr)> {
        if addresses.is_empty() {
            return Err(Error::Invalid("there is no address to connect to".into()));
        }
        let make = |addr: &Addr| self.open(transport, addr);
        match Race::new(hook, &addresses, self.attempt_delay, deadline, make).run() {
            Ok((socket, addr)) => {
                socket.set_mode(Mode::Block)?;
                Ok((socket, addr))
            }
            Err(Error::Connect(tried)) => Err(alone(tried)),
            Err(error) => Err(error),
        }
    }

    /// A socket for one attempt.
    fn open(&self, transport: Transport, addr: &Addr) -> Result<Socket> {
        let family = addr.family();
        let source = self.sources.iter().find(|addr| addr.family() == family);
        if source.is_none() && !self.sources.is_empty() {
            return Err(Error::Invalid(format!(
                "connect {addr}: the address to call from is of another family"
            )));
        }
        let kind = Kind::from_raw(transport.kind().raw() | libc::SOCK_NONBLOCK);
        let socket = Socket::new(family, kind, Protocol::DEFAULT)?;
        if transport == Transport::Tcp {
            socket.set(opt::NoDelay, true)?;
        }
        if let Some(source) = source {
            if source.port() == Some(0) {
                // The port is chosen by connect(2), when the peer is known: one port serves many
                // peers. Where the kernel does not know this, it works all the same.
                let on = 1_i32.to_ne_bytes();
                drop(socket.set_raw(Level::IP, libc::IP_BIND_ADDRESS_NO_PORT, &on));
            } else {
                // Two attempts may begin at one port, since they end at different peers.
                socket.set(opt::ReuseAddr, true)?;
            }
            socket.bind(source)?;
        }
        Ok(socket)
    }
}

/// Connects to an endpoint: tries its addresses side by side, each a little after the one before,
/// until one answers ([`ConnectOptions`] has the rules), and answers the connected socket in
/// blocking mode with the address that it reached. `options` may be a [`Deadline`] alone; it
/// covers the lookup of the name too.
///
/// For datagrams "connected" means that `send` and `recv` speak with that one peer; a
/// `unix-dgram` socket is given an abstract name, so that the peer can answer. A TCP socket sends
/// small pieces at once ([`opt::NoDelay`]). Of [`ConnectOptions`] only the time limits concern a
/// Unix socket.
///
/// # Errors
/// [`Error::Connect`] with every address and its reason when there were several or when the
/// deadline came ([`Error::is_timed_out`]; an address whose turn never came is
/// [`Error::NotTried`]), else that one reason; [`Error::Resolve`] for an unknown host;
/// [`Error::TimedOut`] when the deadline came while the name was looked up.
///
/// # References
/// RFC 8305; Python's `socket.create_connection`.
pub fn create_connection(
    endpoint: &Endpoint,
    options: impl Into<ConnectOptions>,
) -> Result<(Socket, Addr)> {
    options.into().connect_hooked(endpoint, &())
}

/// One reason stands for itself, but for a time limit, which alone would not say which address it
/// was about.
fn alone(mut tried: Vec<(Addr, Error)>) -> Error {
    match tried.pop() {
        Some((_, error)) if tried.is_empty() && !error.is_timed_out() => error,
        last => {
            tried.extend(last);
            Error::Connect(tried)
        }
    }
}

fn connect_unix<H: Hook>(
    hook: &H,
    endpoint: &Endpoint,
    deadline: Deadline,
) -> Result<(Socket, Addr)> {
    let mut tried = Vec::new();
    for addr in endpoint.addresses(false)? {
        if deadline.has_passed() {
            tried.push((addr, Error::NotTried));
            continue;
        }
        match connect_one(hook, endpoint.transport(), &addr, deadline) {
            Ok(socket) => return Ok((socket, addr)),
            Err(error @ Error::Interrupted { .. }) => return Err(error),
            Err(error) => tried.push((addr, error)),
        }
    }
    Err(alone(tried))
}

fn connect_one<H: Hook>(
    hook: &H,
    transport: Transport,
    addr: &Addr,
    deadline: Deadline,
) -> Result<Socket> {
    let socket = Socket::new(addr.family(), transport.kind(), Protocol::DEFAULT)?;
    if transport == Transport::UnixDgram {
        socket.bind(&Addr::Unix(UnixAddr::unnamed()))?;
    }
    if let Some(left) = deadline.left() {
        if left.is_zero() {
            return Err(Error::TimedOut { call: "connect" });
        }
        socket.set_mode(Mode::Within(left))?;
    }
    socket.with_hook(hook).connect(addr)?;
    socket.set_mode(Mode::Block)?;
    Ok(socket)
}
