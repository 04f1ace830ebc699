//! Where to listen or connect, written as a URL.

use core::fmt;
use core::str::FromStr;
use std::net::Ipv6Addr;

use crate::addr::{Addr, UnixAddr};
use crate::error::{Error, Result};
use crate::kinds::{Family, Kind};
use crate::resolve::resolve;

/// What carries the bytes to an endpoint.
///
/// # References
/// ip(7), unix(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// `tcp://`
    Tcp,
    /// `udp://`
    Udp,
    /// `unix://`: a stream between processes.
    Unix,
    /// `unix-dgram://`: datagrams between processes.
    UnixDgram,
    /// `unix-seqpacket://`: messages over a connection between processes.
    UnixSeqpacket,
}

impl Transport {
    const ALL: [Self; 5] = [
        Self::Tcp,
        Self::Udp,
        Self::Unix,
        Self::UnixDgram,
        Self::UnixSeqpacket,
    ];

    /// The part of the URL before `://`.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::UnixDgram => "unix-dgram",
            Self::UnixSeqpacket => "unix-seqpacket",
        }
    }

    /// The socket type behind it.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Tcp | Self::Unix => Kind::STREAM,
            Self::Udp | Self::UnixDgram => Kind::DGRAM,
            Self::UnixSeqpacket => Kind::SEQPACKET,
        }
    }

    /// True for names between processes of one machine.
    #[must_use]
    pub const fn is_unix(self) -> bool {
        matches!(self, Self::Unix | Self::UnixDgram | Self::UnixSeqpacket)
    }
}

/// Where to listen or connect: `tcp://host:port`, `udp://[::1]:9000`, `unix:///run/hub.sock`,
/// `unix://@abstract`, `unix-dgram://…`, `unix-seqpacket://…`. A bare `host:port` is TCP. An empty
/// host or `*` means every address of the machine to a listener, and this machine to a caller.
///
/// ```
/// use berkeley::{Endpoint, Transport};
///
/// let endpoint: Endpoint = "localhost:8000".parse().unwrap();
/// assert_eq!(endpoint.transport(), Transport::Tcp);
/// assert_eq!(endpoint.to_string(), "tcp://localhost:8000");
/// assert!("localhost".parse::<Endpoint>().is_err(), "there is no usual port");
/// ```
///
/// # References
/// ip(7), unix(7); the form is that of RFC 3986.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    transport: Transport,
    target: Target,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Inet { host: String, port: u16 },
    // Boxed: a name is large, and endpoints are parts of errors.
    Unix(Box<UnixAddr>),
}

impl Endpoint {
    /// Reads an endpoint whose port may be left out, and whose scheme is `transport` where the
    /// text has none.
    ///
    /// # Errors
    /// [`Error::Invalid`] that says what is wrong with the text.
    pub fn parse(text: &str, transport: Transport, port: Option<u16>) -> Result<Self> {
        let (transport, rest) = match text.split_once("://") {
            None => (transport, text),
            Some((scheme, rest)) => {
                let found = Transport::ALL
                    .into_iter()
                    .find(|known| known.scheme() == scheme);
                let transport = found.ok_or_else(|| {
                    Error::Invalid(format!(
                        "{text:?} is no endpoint: there is no {scheme}://, only tcp://, udp://, \
                         unix://, unix-dgram:// and unix-seqpacket://"
                    ))
                })?;
                (transport, rest)
            }
        };
        let target = if transport.is_unix() {
            Target::Unix(Box::new(parse_unix(rest)?))
        } else {
            let (host, port) = parse_host(rest, port)
                .map_err(|why| Error::Invalid(format!("{text:?} is no endpoint: {why}")))?;
            Target::Inet { host, port }
        };
        Ok(Self { transport, target })
    }

    /// An endpoint at a known address; `None` for an address that the transport cannot have.
    #[must_use]
    pub fn from_addr(transport: Transport, addr: &Addr) -> Option<Self> {
        if transport.is_unix() != matches!(addr, Addr::Unix(_)) {
            return None;
        }
        let target = match addr {
            Addr::Inet(addr) => Target::Inet {
                host: addr.ip().to_string(),
                port: addr.port(),
            },
            Addr::Inet6(inet) => {
                let host = match inet.scope_id() {
                    0 => inet.ip().to_string(),
                    scope => format!("{}%{scope}", inet.ip()),
                };
                Target::Inet {
                    host,
                    port: inet.port(),
                }
            }
            Addr::Unix(name) => Target::Unix(Box::new(name.clone())),
            _ => return None,
        };
        Some(Self { transport, target })
    }

    /// What carries the bytes.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// The Unix socket's name, if it is one.
    #[must_use]
    pub const fn unix_name(&self) -> Option<&UnixAddr> {
        match &self.target {
            Target::Unix(name) => Some(name),
            Target::Inet { .. } => None,
        }
    }

    /// The addresses to listen at, or to try one after the other.
    ///
    /// # Errors
    /// [`Error::Resolve`] if the host has none.
    pub fn addresses(&self, listening: bool) -> Result<Vec<Addr>> {
        match &self.target {
            Target::Unix(name) => Ok(vec![Addr::Unix((**name).clone())]),
            Target::Inet { host, port } if is_any(host) => {
                let families = [Family::INET6, Family::INET];
                let any = families
                    .into_iter()
                    .filter_map(|family| Addr::any(family, *port));
                if listening {
                    return Ok(any.collect());
                }
                resolve("localhost", *port, Family::UNSPEC, self.transport.kind())
            }
            Target::Inet { host, port } => {
                resolve(host, *port, Family::UNSPEC, self.transport.kind())
            }
        }
    }

    /// The name and the port that a caller asks the resolver for; none for a Unix socket.
    pub(crate) fn host_to_call(&self) -> Option<(&str, u16)> {
        match &self.target {
            Target::Unix(_) => None,
            Target::Inet { host, port } if is_any(host) => Some(("localhost", *port)),
            Target::Inet { host, port } => Some((host, *port)),
        }
    }

    /// True where listening means every address of the machine, so that one dual-stack socket is
    /// enough.
    pub(crate) fn is_any(&self) -> bool {
        matches!(&self.target, Target::Inet { host, .. } if is_any(host))
    }
}

fn is_any(host: &str) -> bool {
    host.is_empty() || host == "*"
}

fn parse_unix(name: &str) -> Result<UnixAddr> {
    match name.strip_prefix('@') {
        Some("") => Err(Error::Invalid(
            "the abstract Unix name behind @ is empty".into(),
        )),
        Some(name) => UnixAddr::abstract_name(name.as_bytes()),
        None => UnixAddr::path(name),
    }
}

fn parse_host(text: &str, default_port: Option<u16>) -> Result<(String, u16), String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("the [ has no ]")?;
        let address = host.split('%').next().unwrap_or(host);
        if address.parse::<Ipv6Addr>().is_err() {
            return Err(format!("[{host}] is no IPv6 address"));
        }
        match rest.strip_prefix(':') {
            None if rest.is_empty() => (host, None),
            None => return Err(format!("{rest:?} follows the ]")),
            Some(port) => (host, Some(port)),
        }
    } else {
        match text.rsplit_once(':') {
            // An IPv6 address without brackets has no room for a port.
            Some((host, _)) if host.contains(':') && is_ipv6(text) && default_port.is_some() => {
                (text, None)
            }
            Some((host, _)) if host.contains(':') => {
                return Err("an IPv6 address is written in brackets: [::1]:8000".into());
            }
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let port = match port {
        Some(port) => port
            .parse()
            .map_err(|_not_a_port| format!("{port:?} is no port (0 to 65535)"))?,
        None => default_port.ok_or("it has no port, as in host:port")?,
    };
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == '/';
    if host.contains(is_odd) {
        return Err(format!("{host:?} is no host name"));
    }
    Ok((host.to_owned(), port))
}

fn is_ipv6(text: &str) -> bool {
    text.split('%')
        .next()
        .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text, Transport::Tcp, None)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.transport.scheme())?;
        match &self.target {
            Target::Inet { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Target::Inet { host, port } => write!(f, "{host}:{port}"),
            // Control characters and what is no UTF-8 are shown escaped.
            Target::Unix(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_written_back() {
        for (text, shown) in [
            ("127.0.0.1:80", "tcp://127.0.0.1:80"),
            ("tcp://[::1]:80", "tcp://[::1]:80"),
            ("udp://host.example:9", "udp://host.example:9"),
            ("tcp://:8000", "tcp://:8000"),
            ("tcp://*:8000", "tcp://*:8000"),
            ("unix:///tmp/x", "unix:///tmp/x"),
            ("unix://x.sock", "unix://x.sock"),
            ("unix-dgram://@name", "unix-dgram://@name"),
            ("unix-seqpacket:///tmp/y", "unix-seqpacket:///tmp/y"),
            ("tcp://[fe80::1%lo]:1", "tcp://[fe80::1%lo]:1"),
        ] {
            assert_eq!(
                text.parse::<Endpoint>().unwrap().to_string(),
                shown,
                "{text}"
            );
        }
    }

    #[test]
    fn an_address_that_the_transport_cannot_have_is_no_endpoint() {
        let unix = Addr::Unix(UnixAddr::path("/x").unwrap());
        let inet = Addr::any(Family::INET, 1).unwrap();
        assert_eq!(Endpoint::from_addr(Transport::Tcp, &unix), None);
        assert_eq!(Endpoint::from_addr(Transport::Unix, &inet), None);
        assert!(Endpoint::from_addr(Transport::UnixDgram, &unix).is_some());
        assert!(Endpoint::from_addr(Transport::Udp, &inet).is_some());
    }

    #[test]
    fn a_path_with_control_characters_is_shown_escaped() {
        let path = Addr::Unix(UnixAddr::path("/a\u{1b}[2Jb").unwrap());
        let endpoint = Endpoint::from_addr(Transport::Unix, &path).unwrap();
        assert_eq!(endpoint.to_string(), "unix:///a\\u{1b}[2Jb");
    }

    #[test]
    fn a_usual_port_is_filled_in() {
        let read = |text| {
            Endpoint::parse(text, Transport::Udp, Some(9000))
                .unwrap()
                .to_string()
        };
        assert_eq!(read("host"), "udp://host:9000");
        assert_eq!(read("::1"), "udp://[::1]:9000");
        assert_eq!(read("[::1]"), "udp://[::1]:9000");
        assert_eq!(read("host:1"), "udp://host:1");
        assert_eq!(read("tcp://host"), "tcp://host:9000");
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_the_reason() {
        for (text, reason) in [
            ("host", "no port"),
            ("host:http", "is no port"),
            ("host:65536", "is no port"),
            ("[::1:80", "has no ]"),
            ("[host]:80", "is no IPv6 address"),
            ("::1:80:x", "in brackets"),
            ("::1:80", "in brackets"),
            ("http://x:1", "there is no http://"),
            ("unix://", "path is empty"),
            ("unix://@", "is empty"),
            ("a b:1", "is no host name"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
