//! Addresses of sockets, each family with its own form.

mod raw;
mod unix;

use core::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

pub(crate) use raw::RawAddr;
pub use unix::UnixAddr;

use crate::kinds::Family;

/// The address of a socket.
///
/// ```
/// use berkeley::{Addr, Family};
///
/// let addr: Addr = "[::1]:8000".parse::<std::net::SocketAddr>().unwrap().into();
/// assert_eq!(addr.family(), Family::INET6);
/// assert_eq!(addr.to_string(), "[::1]:8000");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Addr {
    /// An IPv4 address and a port, ip(7).
    Inet(SocketAddrV4),
    /// An IPv6 address, a port, flow information and a scope (an interface's index), ipv6(7).
    Inet6(SocketAddrV6),
    /// A name between processes of one machine, unix(7).
    Unix(UnixAddr),
    /// An address of a family that has no form of its own here, as the kernel wrote it.
    Other {
        /// The family.
        family: Family,
        /// The bytes behind the family number: at most 126, more are not handed to the kernel.
        bytes: Vec<u8>,
    },
}

impl Addr {
    /// The family that the address belongs to.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Inet(_) => Family::INET,
            Self::Inet6(_) => Family::INET6,
            Self::Unix(_) => Family::UNIX,
            Self::Other { family, .. } => *family,
        }
    }

    /// The port of an internet address.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Inet(addr) => Some(addr.port()),
            Self::Inet6(addr) => Some(addr.port()),
            _ => None,
        }
    }

    /// The same internet address with another port; other addresses as they are.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        match &mut self {
            Self::Inet(addr) => addr.set_port(port),
            Self::Inet6(addr) => addr.set_port(port),
            _ => {}
        }
        self
    }

    /// The host's address without the port, an IPv4-mapped IPv6 address as IPv4.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Inet(addr) => Some(IpAddr::V4(*addr.ip())),
            Self::Inet6(addr) => Some(addr.ip().to_canonical()),
            _ => None,
        }
    }

    /// An IPv4 peer of a dual-stack socket as the IPv4 address that it is (`::ffff:192.0.2.1`
    /// becomes `192.0.2.1`); everything else as it is.
    #[must_use]
    pub fn canonical(self) -> Self {
        if let Self::Inet6(addr) = &self
            && let IpAddr::V4(ip) = addr.ip().to_canonical()
        {
            return Self::Inet(SocketAddrV4::new(ip, addr.port()));
        }
        self
    }

    /// True for an address that only this machine can have sent from: loopback or a Unix name.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            _ => self.ip().is_some_and(|ip| ip.is_loopback()),
        }
    }

    /// The wildcard address of a family, which stands for every local one: `0.0.0.0` or `::`.
    #[must_use]
    pub const fn any(family: Family, port: u16) -> Option<Self> {
        match family {
            Family::INET => Some(Self::Inet(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))),
            Family::INET6 => Some(Self::Inet6(SocketAddrV6::new(
                Ipv6Addr::UNSPECIFIED,
                port,
                0,
                0,
            ))),
            _ => None,
        }
    }

    /// The address for `std::net`, or `None` for a family that it does not know.
    #[must_use]
    pub const fn to_std(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet(addr) => Some(SocketAddr::V4(*addr)),
            Self::Inet6(addr) => Some(SocketAddr::V6(*addr)),
            _ => None,
        }
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(addr) => addr.fmt(f),
            Self::Inet6(addr) => addr.fmt(f),
            Self::Unix(addr) => addr.fmt(f),
            Self::Other { family, bytes } => write!(f, "{family:?} {bytes:02x?}"),
        }
    }
}

impl From<SocketAddr> for Addr {
    fn from(addr: SocketAddr) -> Self {
        match addr {
            SocketAddr::V4(addr) => Self::Inet(addr),
            SocketAddr::V6(addr) => Self::Inet6(addr),
        }
    }
}

impl From<UnixAddr> for Addr {
    fn from(addr: UnixAddr) -> Self {
        Self::Unix(addr)
    }
}
