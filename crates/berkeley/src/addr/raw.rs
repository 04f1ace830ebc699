//! Addresses as the kernel lays them out (`struct sockaddr_*`), written and read byte by byte.
//!
//! Working on bytes at fixed offsets keeps this file free of `unsafe` and of questions about
//! alignment; the offsets are those of the kernel's ABI and are asserted against `libc` below.

use core::mem::{offset_of, size_of};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use super::{Addr, UnixAddr};
use crate::kinds::Family;

/// Room for the address of any family: what `struct sockaddr_storage` holds.
pub(crate) const RAW_ADDR_BYTES: usize = size_of::<libc::sockaddr_storage>();

const FAMILY_BYTES: usize = size_of::<libc::sa_family_t>();
const INET_BYTES: usize = size_of::<libc::sockaddr_in>();
const INET6_BYTES: usize = size_of::<libc::sockaddr_in6>();

const _: () = {
    assert!(offset_of!(libc::sockaddr_in, sin_port) == 2);
    assert!(offset_of!(libc::sockaddr_in, sin_addr) == 4);
    assert!(INET_BYTES == 16);
    assert!(offset_of!(libc::sockaddr_in6, sin6_port) == 2);
    assert!(offset_of!(libc::sockaddr_in6, sin6_flowinfo) == 4);
    assert!(offset_of!(libc::sockaddr_in6, sin6_addr) == 8);
    assert!(offset_of!(libc::sockaddr_in6, sin6_scope_id) == 24);
    assert!(INET6_BYTES == 28);
    assert!(offset_of!(libc::sockaddr_un, sun_path) == 2);
    assert!(size_of::<libc::sockaddr_un>() <= RAW_ADDR_BYTES);
    assert!(align_of::<RawAddr>() >= align_of::<libc::sockaddr_storage>());
};

/// An address in the kernel's layout, with its length.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct RawAddr {
    pub(crate) bytes: [u8; RAW_ADDR_BYTES],
    pub(crate) len: libc::socklen_t,
}

impl RawAddr {
    /// An empty place that the kernel may fill.
    pub(crate) const fn empty() -> Self {
        Self {
            bytes: [0; RAW_ADDR_BYTES],
            len: 0,
        }
    }

    /// Lays out an address.
    pub(crate) fn encode(addr: &Addr) -> Self {
        let mut raw = Self::empty();
        let len = match addr {
            Addr::Inet(addr) => {
                raw.put(0, &family_number(Family::INET));
                raw.put(2, &addr.port().to_be_bytes());
                raw.put(4, &addr.ip().octets());
                INET_BYTES
            }
            Addr::Inet6(addr) => {
                raw.put(0, &family_number(Family::INET6));
                raw.put(2, &addr.port().to_be_bytes());
                raw.put(4, &addr.flowinfo().to_be_bytes());
                raw.put(8, &addr.ip().octets());
                raw.put(24, &addr.scope_id().to_ne_bytes());
                INET6_BYTES
            }
            Addr::Unix(addr) => {
                raw.put(0, &family_number(Family::UNIX));
                let name = addr.wire_bytes();
                raw.put(FAMILY_BYTES, &name);
                FAMILY_BYTES + name.len()
            }
            Addr::Other { family, bytes } => {
                raw.put(0, &family_number(*family));
                let bytes = bytes.get(..RAW_ADDR_BYTES - FAMILY_BYTES).unwrap_or(bytes);
                raw.put(FAMILY_BYTES, bytes);
                FAMILY_BYTES + bytes.len()
            }
        };
        raw.len = libc::socklen_t::try_from(len).unwrap_or(0);
        raw
    }

    /// Reads an address that the kernel wrote; `None` where it wrote none, as it does for the
    /// peer of a connected stream.
    pub(crate) fn decode(&self) -> Option<Addr> {
        // The kernel answers the length that the address really has, which may be more than fits.
        let len = usize::try_from(self.len).ok()?.min(RAW_ADDR_BYTES);
        let bytes = self.bytes.get(..len)?;
        let (family, rest) = bytes.split_first_chunk::<FAMILY_BYTES>()?;
        let family = Family::from_raw(i32::from(u16::from_ne_bytes(*family)));
        let known = match family {
            Family::INET => decode_inet(bytes),
            Family::INET6 => decode_inet6(bytes),
            Family::UNIX => Some(Addr::Unix(UnixAddr::from_wire_bytes(rest))),
            Family::UNSPEC => return None,
            _ => None,
        };
        Some(known.unwrap_or_else(|| Addr::Other {
            family,
            bytes: rest.to_vec(),
        }))
    }

    /// Reads the address of a peer; `None` also for a Unix peer without a name, for which accept(2)
    /// and getpeername(2) answer the bare family, and recvfrom(2) nothing.
    pub(crate) fn decode_peer(&self) -> Option<Addr> {
        self.decode()
            .filter(|addr| !matches!(addr, Addr::Unix(name) if name.is_unnamed()))
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}

fn family_number(family: Family) -> [u8; FAMILY_BYTES] {
    libc::sa_family_t::try_from(family.raw())
        .unwrap_or(0)
        .to_ne_bytes()
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

fn decode_inet(bytes: &[u8]) -> Option<Addr> {
    let port = u16::from_be_bytes(field(bytes, 2)?);
    let ip = Ipv4Addr::from(field::<4>(bytes, 4)?);
    Some(Addr::Inet(SocketAddrV4::new(ip, port)))
}

fn decode_inet6(bytes: &[u8]) -> Option<Addr> {
    let port = u16::from_be_bytes(field(bytes, 2)?);
    let flow = u32::from_be_bytes(field(bytes, 4)?);
    let ip = Ipv6Addr::from(field::<16>(bytes, 8)?);
    let scope = u32::from_ne_bytes(field(bytes, 24)?);
    Some(Addr::Inet6(SocketAddrV6::new(ip, port, flow, scope)))
}

#[cfg(test)]
mod tests {
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
            family: Family::from_raw(40),
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
