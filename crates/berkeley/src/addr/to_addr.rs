//! What the calls of a socket take for an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::net;
use std::path::{Path, PathBuf};

use super::raw::RawAddr;
use super::{
    Addr, AlgAddr, BluetoothAddr, CanAddr, MctpAddr, NetlinkAddr, PacketAddr, QipcrtrAddr,
    RxrpcAddr, TipcAddr, UnixAddr, VsockAddr, XdpAddr, inet,
};
use crate::error::Result;

/// What can be an address in `bind`, `connect` and `send_to`: an [`Addr`] or a [`Path`] of a Unix
/// socket by reference; one of an address's forms, `std`'s addresses, an IP address with a port,
/// by value or by reference. Nothing is allocated on the way to the kernel.
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
pub trait ToAddr: Encode {}

impl<T: Encode + ?Sized> ToAddr for T {}

/// Lays out what a caller gave as an address.
#[inline]
pub(crate) fn encode(addr: &(impl ToAddr + ?Sized)) -> Result<RawAddr> {
    let mut raw = RawAddr::empty();
    encode_into(addr, &mut raw)?;
    Ok(raw)
}

/// The same in a place that is still empty: calls on the way of data save a copy.
#[inline]
pub(crate) fn encode_into(addr: &(impl ToAddr + ?Sized), raw: &mut RawAddr) -> Result<()> {
    addr.encode_into(raw)
}

mod sealed {
    use super::{RawAddr, Result};

    #[allow(
        unnameable_types,
        reason = "a sealed trait: nobody else shall implement it"
    )]
    pub trait Encode {
        /// Writes the address into a place that is still empty.
        #[doc(hidden)]
        fn encode_into(&self, raw: &mut RawAddr) -> Result<()>;
    }
}

use sealed::Encode;

impl<T: Encode + ?Sized> Encode for &T {
    #[inline]
    fn encode_into(&self, raw: &mut RawAddr) -> Result<()> {
        (**self).encode_into(raw)
    }
}

macro_rules! encode_forms {
    ($($type:ty)*) => {
        $(impl Encode for $type {
            fn encode_into(&self, raw: &mut RawAddr) -> Result<()> {
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

// Not for `Addr` itself: it is large, and callers keep it.
impl Encode for &Addr {
    #[inline]
    fn encode_into(&self, raw: &mut RawAddr) -> Result<()> {
        raw.set(self);
        Ok(())
    }
}

impl Encode for SocketAddrV4 {
    #[inline]
    fn encode_into(&self, raw: &mut RawAddr) -> Result<()> {
        inet::encode(self, raw);
        Ok(())
    }
}

impl Encode for SocketAddrV6 {
    #[inline]
    fn encode_into(&self, raw: &mut RawAddr) -> Result<()> {
        inet::encode6(self, raw);
        Ok(())
    }
}

impl Encode for SocketAddr {
    #[inline]
    fn encode_into(&self, raw: &mut RawAddr) -> Result<()> {
        match self {
            Self::V4(addr) => addr.encode_into(raw),
            Self::V6(addr) => addr.encode_into(raw),
        }
    }
}

impl Encode for (Ipv4Addr, u16) {
    fn encode_into(&self, raw: &mut RawAddr) -> Result<()> {
        SocketAddrV4::new(self.0, self.1).encode_into(raw)
    }
}

impl Encode for (Ipv6Addr, u16) {
    fn encode_into(&self, raw: &mut RawAddr) -> Result<()> {
        SocketAddrV6::new(self.0, self.1, 0, 0).encode_into(raw)
    }
}

impl Encode for (IpAddr, u16) {
    fn encode_into(&self, raw: &mut RawAddr) -> Result<()> {
        SocketAddr::new(self.0, self.1).encode_into(raw)
    }
}

impl Encode for net::SocketAddr {
    fn encode_into(&self, raw: &mut RawAddr) -> Result<()> {
        UnixAddr::from(self).encode(raw);
        Ok(())
    }
}

impl Encode for Path {
    fn encode_into(&self, raw: &mut RawAddr) -> Result<()> {
        UnixAddr::path(self)?.encode(raw);
        Ok(())
    }
}

impl Encode for PathBuf {
    fn encode_into(&self, raw: &mut RawAddr) -> Result<()> {
        self.as_path().encode_into(raw)
    }
}
