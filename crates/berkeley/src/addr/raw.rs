//! Addresses as the kernel lays them out (`struct sockaddr_*`), written and read byte by byte.
//!
//! Working on bytes at fixed offsets keeps this file free of `unsafe` and of questions about
//! alignment. Each form writes and reads its own bytes in its own file, which asserts the offsets
//! against `libc` where that has the structure.

use core::mem::{offset_of, size_of};

use super::{
    Addr, AlgAddr, BluetoothAddr, CanAddr, MctpAddr, NetlinkAddr, PacketAddr, QipcrtrAddr,
    RxrpcAddr, TipcAddr, UnixAddr, VsockAddr, XdpAddr, inet,
};
use crate::kinds::Family;

/// Room for the address of any family: what `struct sockaddr_storage` holds.
pub(crate) const RAW_ADDR_BYTES: usize = size_of::<libc::sockaddr_storage>();

pub(super) const FAMILY_BYTES: usize = size_of::<libc::sa_family_t>();

const _: () = {
    assert!(offset_of!(libc::sockaddr_un, sun_path) == FAMILY_BYTES);
    assert!(size_of::<libc::sockaddr_un>() <= RAW_ADDR_BYTES);
    assert!(align_of::<RawAddr>() >= align_of::<libc::sockaddr_storage>());
};

/// An address in the kernel's layout, with its length.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
#[allow(
    unnameable_types,
    reason = "what a sealed trait writes; callers neither make nor see one"
)]
pub struct RawAddr {
    pub(crate) bytes: [u8; RAW_ADDR_BYTES],
    pub(crate) len: libc::socklen_t,
}

impl RawAddr {
    /// An empty place that the kernel may fill.
    #[inline]
    pub(crate) const fn empty() -> Self {
        Self {
            bytes: [0; RAW_ADDR_BYTES],
            len: 0,
        }
    }

    /// Lays out an address.
    #[inline]
    pub(crate) fn encode(addr: &Addr) -> Self {
        let mut raw = Self::empty();
        raw.set(addr);
        raw
    }

    /// Lays out an address, in a place that is still empty.
    #[inline]
    pub(crate) fn set(&mut self, addr: &Addr) {
        match addr {
            Addr::Inet(addr) => inet::encode(addr, self),
            Addr::Inet6(addr) => inet::encode6(addr, self),
            Addr::Unix(addr) => addr.encode(self),
            other => self.set_other(other),
        }
    }

    /// The families that are no part of a hot path.
    fn set_other(&mut self, addr: &Addr) {
        match addr {
            Addr::Inet(_) | Addr::Inet6(_) | Addr::Unix(_) => {}
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
                let bytes = bytes.get(..RAW_ADDR_BYTES - FAMILY_BYTES).unwrap_or(bytes);
                self.begin(*family, FAMILY_BYTES + bytes.len());
                self.put(FAMILY_BYTES, bytes);
            }
        }
    }

    /// An address from bytes that the kernel wrote elsewhere (into ancillary data, for example);
    /// what is longer than any address is cut off.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let mut raw = Self::empty();
        let bytes = bytes.get(..RAW_ADDR_BYTES).unwrap_or(bytes);
        raw.put(0, bytes);
        raw.len = libc::socklen_t::try_from(bytes.len()).unwrap_or(0);
        raw
    }

    /// The bytes that the address has.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        // The kernel answers the length that the address really has, which may be more than fits.
        let len = usize::try_from(self.len)
            .unwrap_or(RAW_ADDR_BYTES)
            .min(RAW_ADDR_BYTES);
        self.bytes.split_at(len).0
    }

    /// Reads an address that the kernel wrote; `None` where it wrote none, as it does for the
    /// peer of a connected stream.
    #[inline]
    pub(crate) fn decode(&self) -> Option<Addr> {
        self.decode_inet().or_else(|| self.decode_any())
    }

    /// Whole addresses of the internet families, which every datagram and every connection of a
    /// server brings: at fixed places in all the room that there is, nothing has to be checked.
    #[inline]
    fn decode_inet(&self) -> Option<Addr> {
        let len = usize::try_from(self.len).unwrap_or(RAW_ADDR_BYTES);
        match Family::from_raw(i32::from(u16::from_ne_bytes(field(&self.bytes, 0)?))) {
            Family::INET if len >= inet::INET_BYTES => inet::decode(&self.bytes).map(Addr::Inet),
            Family::INET6 if len >= inet::INET6_BYTES => {
                inet::decode6(&self.bytes).map(Addr::Inet6)
            }
            _ => None,
        }
    }

    #[inline(never)]
    fn decode_any(&self) -> Option<Addr> {
        let bytes = self.as_bytes();
        let (family, rest) = bytes.split_first_chunk::<FAMILY_BYTES>()?;
        let family = Family::from_raw(i32::from(u16::from_ne_bytes(*family)));
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
        self.decode_inet().or_else(|| self.decode_any_peer())
    }

    #[inline(never)]
    fn decode_any_peer(&self) -> Option<Addr> {
        self.decode_any()
            .filter(|addr| !matches!(addr, Addr::Unix(name) if name.is_unnamed()))
    }

    /// Writes the family and the length, before the rest.
    #[inline]
    pub(super) fn begin(&mut self, family: Family, len: usize) {
        let number = libc::sa_family_t::try_from(family.raw()).unwrap_or(0);
        self.put(0, &number.to_ne_bytes());
        self.len = libc::socklen_t::try_from(len).unwrap_or(0);
    }

    #[inline]
    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
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
        assert_eq!(RawAddr::encode(&addr).decode(), Some(addr));
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
        assert_eq!(RawAddr::empty().decode(), None);
    }

    #[test]
    fn a_peer_without_a_name_has_no_address() {
        let unnamed = RawAddr::encode(&Addr::Unix(UnixAddr::unnamed()));
        assert_eq!(unnamed.decode_peer(), None);
        assert!(
            unnamed.decode().is_some(),
            "for the own address it is an answer"
        );
    }

    #[test]
    fn a_length_beyond_the_buffer_reads_only_the_buffer() {
        let mut raw = RawAddr::encode(&Addr::Unix(UnixAddr::path("/x").unwrap()));
        raw.len = 100_000;
        assert!(raw.decode().is_some());
    }

    #[test]
    fn a_short_internet_address_is_kept_as_bytes() {
        let mut raw = RawAddr::encode(&Addr::Inet("192.0.2.7:8000".parse().unwrap()));
        raw.len = 5;
        assert!(matches!(
            raw.decode(),
            Some(Addr::Other {
                family: Family::INET,
                ..
            })
        ));
    }
}
