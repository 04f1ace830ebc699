//! The internet families, IPv4 and IPv6, and zones by name.

use core::mem::{offset_of, size_of};
use std::ffi::CString;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use super::AddrBuf;
use super::raw::{FAMILY_BYTES, field};
use crate::error::{Error, Result};
use crate::kinds::Family;
use crate::sys;

pub(super) const INET_BYTES: usize = size_of::<libc::sockaddr_in>();
pub(super) const INET6_BYTES: usize = size_of::<libc::sockaddr_in6>();

const _: () = {
    assert!(offset_of!(libc::sockaddr_in, sin_port) == 2);
    assert!(offset_of!(libc::sockaddr_in, sin_addr) == 4);
    assert!(INET_BYTES == 16);
    assert!(offset_of!(libc::sockaddr_in6, sin6_port) == 2);
    assert!(offset_of!(libc::sockaddr_in6, sin6_flowinfo) == 4);
    assert!(offset_of!(libc::sockaddr_in6, sin6_addr) == 8);
    assert!(offset_of!(libc::sockaddr_in6, sin6_scope_id) == 24);
    assert!(INET6_BYTES == 28);
};

#[inline]
pub(super) fn encode(addr: &SocketAddrV4, raw: &mut AddrBuf) {
    let mut bytes = [0; INET_BYTES];
    put(&mut bytes, 0, family_bytes(Family::INET));
    put(&mut bytes, 2, addr.port().to_be_bytes());
    put(&mut bytes, 4, addr.ip().octets());
    raw.set(&bytes);
}

#[inline]
pub(super) fn encode6(addr: &SocketAddrV6, raw: &mut AddrBuf) {
    let mut bytes = [0; INET6_BYTES];
    put(&mut bytes, 0, family_bytes(Family::INET6));
    put(&mut bytes, 2, addr.port().to_be_bytes());
    put(&mut bytes, 4, addr.flowinfo().to_be_bytes());
    put(&mut bytes, 8, addr.ip().octets());
    put(&mut bytes, 24, addr.scope_id().to_ne_bytes());
    raw.set(&bytes);
}

#[inline]
fn family_bytes(family: Family) -> [u8; FAMILY_BYTES] {
    libc::sa_family_t::try_from(family.raw())
        .unwrap_or(0)
        .to_ne_bytes()
}

#[inline]
fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..at + N) {
        place.copy_from_slice(&value);
    }
}

/// True if the address begins with this family's number.
#[inline]
pub(super) fn has_family<const N: usize>(bytes: &[u8; N], family: Family) -> bool {
    field(bytes, 0) == Some(family_bytes(family))
}

/// An address that has all its bytes.
#[inline]
pub(super) fn whole(bytes: &[u8; INET_BYTES]) -> SocketAddrV4 {
    let [_, _, high, low, a, b, c, d, ..] = *bytes;
    SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]))
}

/// The same for the other family.
#[inline]
pub(super) fn whole6(bytes: &[u8; INET6_BYTES]) -> SocketAddrV6 {
    let [_, _, p0, p1, f0, f1, f2, f3, ip @ .., s0, s1, s2, s3] = *bytes;
    SocketAddrV6::new(
        Ipv6Addr::from(ip),
        u16::from_be_bytes([p0, p1]),
        u32::from_be_bytes([f0, f1, f2, f3]),
        u32::from_ne_bytes([s0, s1, s2, s3]),
    )
}

#[inline]
pub(super) fn decode(bytes: &[u8]) -> Option<SocketAddrV4> {
    let port = u16::from_be_bytes(field(bytes, 2)?);
    let ip = Ipv4Addr::from(field::<4>(bytes, 4)?);
    Some(SocketAddrV4::new(ip, port))
}

#[inline]
pub(super) fn decode6(bytes: &[u8]) -> Option<SocketAddrV6> {
    let port = u16::from_be_bytes(field(bytes, 2)?);
    let flow = u32::from_be_bytes(field(bytes, 4)?);
    let ip = Ipv6Addr::from(field::<16>(bytes, 8)?);
    // The first form of the structure, RFC 2133, had no scope.
    let scope = field(bytes, 24).map_or(0, u32::from_ne_bytes);
    Some(SocketAddrV6::new(ip, port, flow, scope))
}

/// Reads `1.2.3.4:80`, `[::1]:80` and, asking `index_of` for the zone's number,
/// `[fe80::1%eth0]:80` (RFC 4007 §11).
pub(super) fn parse(text: &str, index_of: impl FnOnce(&str) -> Option<u32>) -> Result<super::Addr> {
    if let Ok(addr) = text.parse::<SocketAddrV4>() {
        return Ok(super::Addr::Inet(addr));
    }
    if let Ok(addr) = text.parse::<SocketAddrV6>() {
        return Ok(super::Addr::Inet6(addr));
    }
    let refused = |why: &str| Error::Invalid(format!("{text:?} is no address: {why}"));
    let (host, port) = text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]:"))
        .ok_or_else(|| refused("a host's is written 192.0.2.1:80 or [2001:db8::1]:80"))?;
    let (ip, zone) = host
        .split_once('%')
        .ok_or_else(|| refused("what the brackets hold is no IPv6 address"))?;
    let ip: Ipv6Addr = ip
        .parse()
        .map_err(|_error| refused("what the brackets hold is no IPv6 address"))?;
    let port = port
        .parse()
        .map_err(|_error| refused("its port is no number of 0 to 65535"))?;
    let scope = match zone.parse() {
        Ok(number) => number,
        Err(_) => index_of(zone)
            .filter(|index| *index != 0)
            .ok_or_else(|| refused(&format!("there is no interface {zone:?}")))?,
    };
    Ok(super::Addr::Inet6(SocketAddrV6::new(ip, port, 0, scope)))
}

/// The number of an interface, by its name.
pub(super) fn zone_index(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    sys::interfaces::index_of(&name).ok()
}
