//! Addresses as the kernel lays them out (`struct sockaddr_*`), written and read byte by byte.
//!
//! Working on bytes at fixed offsets keeps this file free of `unsafe` and of questions about
//! alignment. Each form writes and reads its own bytes in its own file, which asserts the offsets
//! against `libc` where that has the structure.

use core::mem::{offset_of, size_of};
use std::net::{SocketAddrV4, SocketAddrV6};

use super::{
    Addr, AlgAddr, BluetoothAddr, CanAddr, MctpAddr, NetlinkAddr, PacketAddr, QipcrtrAddr,
    RxrpcAddr, TipcAddr, UnixAddr, VsockAddr, XdpAddr, inet,
};
use crate::kinds::Family;
pub(super) use crate::sys::addr::ADDR_BYTES;
pub use crate::sys::addr::AddrBuf;
use crate::sys::addr::Written;

pub(super) const FAMILY_BYTES: usize = size_of::<libc::sa_family_t>();

const _: () = {
    assert!(offset_of!(libc::sockaddr_un, sun_path) == FAMILY_BYTES);
    assert!(size_of::<libc::sockaddr_un>() <= ADDR_BYTES);
};

impl AddrBuf {
    /// The address; `None` where the kernel wrote none, as it does for the peer of a connected
    /// stream, and for a Unix peer without a name.
    #[inline]
    #[must_use]
    pub fn addr(&self) -> Option<Addr> {
        self.decode_peer()
    }

    /// The family; `None` where there is no address.
    #[inline]
    #[must_use]
    pub fn family(&self) -> Option<Family> {
        family_of(self.as_bytes()).map(|(family, _)| family)
    }

    /// Lays out an address.
    #[inline]
    pub(crate) fn encode(addr: &Addr) -> Self {
        let mut raw = Self::new();
        raw.set_addr(addr);
        raw
    }

    /// Lays out an address.
    #[inline]
    pub(crate) fn set_addr(&mut self, addr: &Addr) {
        match addr {
            Addr::Inet(addr) => inet::encode(addr, self),
            Addr::Inet6(addr) => inet::encode6(addr, self),
            other => self.set_other(other),
        }
    }

    /// The families that are no part of a hot path.
    #[cold]
    #[inline(never)]
    fn set_other(&mut self, addr: &Addr) {
        match addr {
            Addr::Inet(addr) => inet::encode(addr, self),
            Addr::Inet6(addr) => inet::encode6(addr, self),
            Addr::Unix(addr) => addr.encode(self),
            Addr::Alg(addr) => addr.encode(self),
            Addr::Bluetooth(addr) => addr.encode(self),
            Addr::Can(addr) => addr.encode(self),
            Addr::Mctp(addr) => addr.encode(self),
            Addr::Netlink(addr) => addr.encode(self),
            Addr::Packet(addr) => addr.encode(self),
            Addr::Qipcrtr(addr) => addr.encode(self),
            Addr::Rxrpc(addr) => addr.encode(self),
            Addr::Tipc(addr) => addr.encode(self),
            Addr::Vsock(addr) => addr.encode(self),
            Addr::Xdp(addr) => addr.encode(self),
            Addr::Other { family, bytes } => {
                let bytes = bytes.get(..ADDR_BYTES - FAMILY_BYTES).unwrap_or(bytes);
                self.begin(*family, FAMILY_BYTES + bytes.len());
                self.put(FAMILY_BYTES, bytes);
            }
        }
    }

    /// An address from bytes that the kernel wrote elsewhere (into ancillary data, for example);
    /// what is longer than any address is cut off.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let mut raw = Self::new();
        raw.set(bytes);
        raw
    }

    /// Reads an address that the kernel wrote; `None` where it wrote none, as it does for the
    /// peer of a connected stream.
    #[inline]
    pub(crate) fn decode(&self) -> Option<Addr> {
        read(
            self.written(),
            (),
            |(), addr| Some(Addr::Inet(addr)),
            |(), addr| Some(Addr::Inet6(addr)),
            |()| self.decode_any(),
        )
    }

    #[inline(never)]
    fn decode_any(&self) -> Option<Addr> {
        let bytes = self.as_bytes();
        let (family, rest) = family_of(bytes)?;
        let known = match family {
            Family::INET => inet::decode(bytes).map(Addr::Inet),
            Family::INET6 => inet::decode6(bytes).map(Addr::Inet6),
            Family::UNIX => Some(Addr::Unix(UnixAddr::from_wire_bytes(rest))),
            Family::UNSPEC => return None,
            Family::ALG => AlgAddr::decode(bytes).map(Addr::Alg),
            Family::BLUETOOTH => BluetoothAddr::decode(bytes).map(Addr::Bluetooth),
            Family::CAN => CanAddr::decode(bytes).map(Addr::Can),
            Family::MCTP => MctpAddr::decode(bytes).map(Addr::Mctp),
            Family::NETLINK => NetlinkAddr::decode(bytes).map(Addr::Netlink),
            Family::PACKET => PacketAddr::decode(bytes).map(Addr::Packet),
            Family::QIPCRTR => QipcrtrAddr::decode(bytes).map(Addr::Qipcrtr),
            Family::RXRPC => RxrpcAddr::decode(bytes).map(Addr::Rxrpc),
            Family::TIPC => TipcAddr::decode(bytes).map(Addr::Tipc),
            Family::VSOCK => VsockAddr::decode(bytes).map(Addr::Vsock),
            Family::XDP => XdpAddr::decode(bytes).map(Addr::Xdp),
            _ => None,
        };
        Some(known.unwrap_or_else(|| Addr::Other {
            family,
            bytes: rest.to_vec(),
        }))
    }

    /// Reads the address of a peer; `None` also for a Unix peer without a name, for which accept(2)
    /// and getpeername(2) answer the bare family, and recvfrom(2) nothing.
    #[inline]
    pub(crate) fn decode_peer(&self) -> Option<Addr> {
        read(
            self.written(),
            (),
            |(), addr| Some(Addr::Inet(addr)),
            |(), addr| Some(Addr::Inet6(addr)),
            |()| self.other_peer(),
        )
    }

    #[inline(never)]
    pub(crate) fn other_peer(&self) -> Option<Addr> {
        self.decode_any()
            .filter(|addr| !matches!(addr, Addr::Unix(name) if name.is_unnamed()))
    }

    /// Writes the family and the length, before the rest.
    pub(crate) fn begin(&mut self, family: Family, len: usize) {
        let number = libc::sa_family_t::try_from(family.raw()).unwrap_or(0);
        self.zeros(len);
        self.put(0, &number.to_ne_bytes());
    }

    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.as_bytes_mut().get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}

impl From<&Addr> for AddrBuf {
    #[inline]
    fn from(addr: &Addr) -> Self {
        Self::encode(addr)
    }
}

/// Reads an address of the internet families in the length that the kernel gives it, which every
/// datagram and every connection of a server brings, and goes on with it in one of three ways.
/// They stay apart, and `with` goes into one of them, because what is made of the address is then
/// written to its last place at once.
#[inline(always)]
pub(crate) fn read<T, R>(
    written: Written<'_>,
    with: T,
    inet: impl FnOnce(T, SocketAddrV4) -> R,
    inet6: impl FnOnce(T, SocketAddrV6) -> R,
    other: impl FnOnce(T) -> R,
) -> R {
    if let Some(bytes) = written.exactly() {
        if inet::has_family(bytes, Family::INET) {
            return inet(with, inet::whole(bytes));
        }
    } else if let Some(bytes) = written.exactly()
        && inet::has_family(bytes, Family::INET6)
    {
        return inet6(with, inet::whole6(bytes));
    }
    other(with)
}

fn family_of(bytes: &[u8]) -> Option<(Family, &[u8])> {
    let (family, rest) = bytes.split_first_chunk::<FAMILY_BYTES>()?;
    let family = Family::from_raw(i32::from(u16::from_ne_bytes(*family)));
    Some((family, rest))
}

/// `N` bytes at an offset, if the kernel wrote that many.
#[inline]
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

/// A number in the machine's byte order.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    field(bytes, at).map(u16::from_ne_bytes)
}

/// A number in the machine's byte order.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    field(bytes, at).map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddrV6};

    use super::*;

    fn round_trip(addr: Addr) {
        assert_eq!(AddrBuf::encode(&addr).decode(), Some(addr));
    }

    #[test]
    fn every_form_is_read_back_as_itself() {
        round_trip(Addr::Inet("192.0.2.7:8000".parse().unwrap()));
        round_trip(Addr::Inet6(SocketAddrV6::new(
            Ipv6Addr::LOCALHOST,
            9,
            0x12345,
            7,
        )));
        round_trip(Addr::Unix(UnixAddr::unnamed()));
        round_trip(Addr::Unix(UnixAddr::path("/tmp/a b").unwrap()));
        round_trip(Addr::Unix(UnixAddr::abstract_name(b"x\0y\xff").unwrap()));
        round_trip(Addr::Unix(UnixAddr::abstract_name(&[b'z'; 107]).unwrap()));
        round_trip(Addr::Other {
            family: Family::from_raw(99),
            bytes: vec![1, 2, 3],
        });
    }

    #[test]
    fn a_length_of_zero_is_no_address() {
        assert_eq!(AddrBuf::new().decode(), None);
    }

    #[test]
    fn a_peer_without_a_name_has_no_address() {
        let unnamed = AddrBuf::encode(&Addr::Unix(UnixAddr::unnamed()));
        assert_eq!(unnamed.decode_peer(), None);
        assert!(
            unnamed.decode().is_some(),
            "for the own address it is an answer"
        );
    }

    #[test]
    fn what_is_longer_than_any_address_is_cut_off() {
        let path = UnixAddr::path("p".repeat(107)).unwrap();
        let mut bytes = AddrBuf::encode(&Addr::Unix(path.clone()))
            .as_bytes()
            .to_vec();
        bytes.resize(1000, 7);
        let raw = AddrBuf::from_bytes(&bytes);
        assert_eq!(raw.as_bytes().len(), ADDR_BYTES);
        assert_eq!(raw.decode(), Some(Addr::Unix(path)));
    }

    #[test]
    fn a_short_internet_address_is_kept_as_bytes() {
        let whole = AddrBuf::encode(&Addr::Inet("192.0.2.7:8000".parse().unwrap()));
        assert!(matches!(
            AddrBuf::from_bytes(&whole.as_bytes()[..5]).decode(),
            Some(Addr::Other {
                family: Family::INET,
                ..
            })
        ));
    }
}
