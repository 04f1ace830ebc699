//! Addresses of sockets, each family with its own form.

mod alg;
mod bluetooth;
mod can;
mod form;
mod inet;
mod link;
mod local;
mod raw;
mod rxrpc;
mod text;
mod tipc;
mod to_addr;
mod unix;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

pub use alg::AlgAddr;
pub use bluetooth::{BluetoothAddr, DeviceAddr};
pub use can::CanAddr;
pub use link::{PacketAddr, XdpAddr};
pub use local::{MctpAddr, NetlinkAddr, QipcrtrAddr, VsockAddr};
pub use raw::AddrBuf;
pub(crate) use raw::read;
pub use rxrpc::RxrpcAddr;
pub use tipc::{TipcAddr, TipcScope};
pub use to_addr::ToAddr;
pub(crate) use to_addr::{encode, lay_out};
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
///
/// Each form is written and read as text ([`core::fmt::Display`], [`core::str::FromStr`]; its own
/// page tells how), for a Unix name also without the word `unix:` where it begins with `/`, `./`,
/// `../` or `@`, and `[fe80::1%eth0]:80` with a zone's name. An IPv6 address's flow information is
/// not part of its text (RFC 4007 §11, RFC 5952).
///
/// Sockets of [`Family::RDS`] and [`Family::SMC`] have addresses of the internet families, those
/// of [`Family::KCM`] none.
///
/// The calls of a [`crate::Socket`] take it by reference, or one of the forms themselves
/// ([`ToAddr`]); those that receive also leave it as the kernel wrote it ([`AddrBuf`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
// As wide as addresses are aligned, so that one is moved in whole words.
#[repr(u32)]
pub enum Addr {
    /// An IPv4 address and a port, ip(7).
    Inet(SocketAddrV4),
    /// An IPv6 address, a port, flow information and a scope (an interface's index), ipv6(7).
    Inet6(SocketAddrV6),
    /// A Bluetooth device.
    Bluetooth(BluetoothAddr),
    /// An interface of a controller area network, with identifiers.
    Can(CanAddr),
    /// A part of a machine, by its management.
    Mctp(MctpAddr),
    /// The kernel or another program, netlink(7).
    Netlink(NetlinkAddr),
    /// An interface, packet(7).
    Packet(PacketAddr),
    /// A processor of a device.
    Qipcrtr(QipcrtrAddr),
    /// A service of Rx calls.
    Rxrpc(RxrpcAddr),
    /// A service in a cluster, tipc(7).
    Tipc(TipcAddr),
    /// A virtual machine and a port, vsock(7).
    Vsock(VsockAddr),
    /// A queue of an interface.
    Xdp(XdpAddr),
    /// A name between processes of one machine, unix(7).
    Unix(UnixAddr),
    // Those that may own memory stand together: dropping tells them from the others at once.
    /// A cipher or a hash of the kernel.
    Alg(AlgAddr),
    /// An address of a family that has no form of its own here, as the kernel wrote it.
    Other {
        /// The family.
        family: Family,
        /// The bytes behind the family number: at most 126, more are not handed to the kernel.
        bytes: Vec<u8>,
    },
}

/// Calls on the way of data move it.
const _: () = assert!(size_of::<Addr>() <= 48 && size_of::<Option<Addr>>() <= 48);

impl Addr {
    /// The family that the address belongs to.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Inet(_) => Family::INET,
            Self::Inet6(_) => Family::INET6,
            Self::Unix(_) => Family::UNIX,
            Self::Alg(_) => Family::ALG,
            Self::Bluetooth(_) => Family::BLUETOOTH,
            Self::Can(_) => Family::CAN,
            Self::Mctp(_) => Family::MCTP,
            Self::Netlink(_) => Family::NETLINK,
            Self::Packet(_) => Family::PACKET,
            Self::Qipcrtr(_) => Family::QIPCRTR,
            Self::Rxrpc(_) => Family::RXRPC,
            Self::Tipc(_) => Family::TIPC,
            Self::Vsock(_) => Family::VSOCK,
            Self::Xdp(_) => Family::XDP,
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

    /// The address in the kernel's layout (`struct sockaddr_*`), with as many bytes as belong to
    /// it: for interfaces that this library does not know.
    ///
    /// ```
    /// use berkeley::{Addr, NetlinkAddr};
    ///
    /// let addr = Addr::from(NetlinkAddr { pid: 7, groups: 1 });
    /// let bytes = addr.to_sockaddr();
    /// assert_eq!(bytes.len(), 12);
    /// assert_eq!(Addr::from_sockaddr(&bytes), Some(addr));
    /// ```
    #[must_use]
    #[doc(alias = "sockaddr")]
    pub fn to_sockaddr(&self) -> Vec<u8> {
        AddrBuf::encode(self).as_bytes().to_vec()
    }

    /// Reads an address in the kernel's layout. What is too short for its family, or has another
    /// form, is kept as [`Addr::Other`]; bytes beyond the 128 that an address can have are not
    /// looked at. `None` for no bytes and for [`Family::UNSPEC`].
    #[must_use]
    pub fn from_sockaddr(bytes: &[u8]) -> Option<Self> {
        AddrBuf::from_bytes(bytes).decode()
    }
}
