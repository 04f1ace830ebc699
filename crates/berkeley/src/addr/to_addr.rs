//! What the calls of a socket take for an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::net;
use std::path::{Path, PathBuf};

use super::raw::AddrBuf;
use super::{
    Addr, AlgAddr, BluetoothAddr, CanAddr, MctpAddr, NetlinkAddr, PacketAddr, QipcrtrAddr,
    RxrpcAddr, TipcAddr, UnixAddr, VsockAddr, XdpAddr, inet,
};
use crate::error::Result;

/// What can be an address in `bind`, `connect` and `send_to`: an [`Addr`], an [`AddrBuf`] or a
/// [`Path`] of a Unix socket by reference; one of an address's forms, `std`'s addresses, an IP
/// address with a port, by value or by reference. Nothing is allocated on the way to the kernel.
///
/// ```
/// use berkeley::{Family, Kind, Protocol, Socket, UnixAddr};
/// use std::net::Ipv4Addr;
///
/// # fn main() -> Result<(), berkeley::Error> {
/// let socket = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT)?;
/// socket.bind((Ipv4Addr::LOCALHOST, 0))?;
/// socket.connect(&socket.local_addr()?)?;
///
/// let socket = Socket::new(Family::UNIX, Kind::DGRAM, Protocol::DEFAULT)?;
/// socket.bind(UnixAddr::unnamed())?;
/// # Ok(())
/// # }
/// ```
///
/// The trait is sealed: what an address is, the kernel decides.
///
/// # References
/// sockaddr(3type).
pub trait ToAddr: Encode {}

impl<T: Encode + ?Sized> ToAddr for T {}

/// Lays out what a caller gave as an address.
pub(crate) fn encode(addr: &(impl ToAddr + ?Sized)) -> Result<AddrBuf> {
    let mut raw = AddrBuf::new();
    addr.encode_into(&mut raw)?;
    Ok(raw)
}

/// The same in a place of the caller's, or where the address lies already: calls on the way of
/// data save a copy.
#[inline]
pub(crate) fn lay_out<'a>(
    addr: &'a (impl ToAddr + ?Sized),
    place: &'a mut AddrBuf,
) -> Result<&'a AddrBuf> {
    addr.lay_out(place)
}

mod sealed {
    use super::{AddrBuf, Result};

    #[allow(
        unnameable_types,
        reason = "a sealed trait: nobody else shall implement it"
    )]
    pub trait Encode {
        /// Writes the address into a place that is still empty.
        #[doc(hidden)]
        fn encode_into(&self, raw: &mut AddrBuf) -> Result<()>;

        /// The same, unless the address is laid out somewhere else already.
        #[doc(hidden)]
        #[inline]
        fn lay_out<'a>(&'a self, place: &'a mut AddrBuf) -> Result<&'a AddrBuf> {
            self.encode_into(place)?;
            Ok(place)
        }
    }
}

use sealed::Encode;

impl<T: Encode + ?Sized> Encode for &T {
    #[inline]
    fn encode_into(&self, raw: &mut AddrBuf) -> Result<()> {
        (**self).encode_into(raw)
    }

    #[inline]
    fn lay_out<'a>(&'a self, place: &'a mut AddrBuf) -> Result<&'a AddrBuf> {
        (**self).lay_out(place)
    }
}

macro_rules! encode_forms {
    ($($type:ty)*) => {
        $(impl Encode for $type {
            fn encode_into(&self, raw: &mut AddrBuf) -> Result<()> {
                self.encode(raw);
                Ok(())
            }
        })*
    };
}

encode_forms! {
    AlgAddr BluetoothAddr CanAddr MctpAddr NetlinkAddr PacketAddr QipcrtrAddr RxrpcAddr TipcAddr
    UnixAddr VsockAddr XdpAddr
}

// Not for the two themselves: callers keep them.
impl Encode for &Addr {
    #[inline]
    fn encode_into(&self, raw: &mut AddrBuf) -> Result<()> {
        raw.set_addr(self);
        Ok(())
    }
}

impl Encode for &AddrBuf {
    fn encode_into(&self, raw: &mut AddrBuf) -> Result<()> {
        *raw = **self;
        Ok(())
    }

    #[inline]
    fn lay_out<'a>(&'a self, _place: &'a mut AddrBuf) -> Result<&'a AddrBuf> {
        Ok(self)
    }
}

impl Encode for SocketAddrV4 {
    #[inline]
    fn encode_into(&self, raw: &mut AddrBuf) -> Result<()> {
        inet::encode(self, raw);
        Ok(())
    }
}

impl Encode for SocketAddrV6 {
    #[inline]
    fn encode_into(&self, raw: &mut AddrBuf) -> Result<()> {
        inet::encode6(self, raw);
        Ok(())
    }
}

impl Encode for SocketAddr {
    #[inline]
    fn encode_into(&self, raw: &mut AddrBuf) -> Result<()> {
        match self {
            Self::V4(addr) => addr.encode_into(raw),
            Self::V6(addr) => addr.encode_into(raw),
        }
    }
}

impl Encode for (Ipv4Addr, u16) {
    fn encode_into(&self, raw: &mut AddrBuf) -> Result<()> {
        SocketAddrV4::new(self.0, self.1).encode_into(raw)
    }
}

impl Encode for (Ipv6Addr, u16) {
    fn encode_into(&self, raw: &mut AddrBuf) -> Result<()> {
        SocketAddrV6::new(self.0, self.1, 0, 0).encode_into(raw)
    }
}

impl Encode for (IpAddr, u16) {
    fn encode_into(&self, raw: &mut AddrBuf) -> Result<()> {
        SocketAddr::new(self.0, self.1).encode_into(raw)
    }
}

impl Encode for net::SocketAddr {
    fn encode_into(&self, raw: &mut AddrBuf) -> Result<()> {
        UnixAddr::from(self).encode(raw);
        Ok(())
    }
}

impl Encode for Path {
    fn encode_into(&self, raw: &mut AddrBuf) -> Result<()> {
        UnixAddr::path(self)?.encode(raw);
        Ok(())
    }
}

impl Encode for PathBuf {
    fn encode_into(&self, raw: &mut AddrBuf) -> Result<()> {
        self.as_path().encode_into(raw)
    }
}
