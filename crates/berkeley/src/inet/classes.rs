//! Networks by the classes of old, which RFC 4632 gave up: for programs and files that still
//! speak of them.

use std::net::Ipv4Addr;

use super::number;
use crate::error::{Error, Result};

/// Reads a network's number: one to four numbers of a byte each, in decimal, octal (`"010"`) or
/// hexadecimal (`"0x10"`), the last one the lowest: `"192.0.2"` is `0x00c0_0002`. White space
/// may follow.
///
/// ```
/// use berkeley::inet::inet_network;
///
/// assert_eq!(inet_network("192.0.2")?, 0x00c0_0002);
/// assert!(inet_network("192.0.256").is_err());
/// # Ok::<(), berkeley::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] for anything else.
///
/// # References
/// inet_network(3), whose -1 for an error is also the number of a network.
pub fn inet_network(text: &str) -> Result<u32> {
    network(text.as_bytes())
        .ok_or_else(|| Error::Invalid(format!("{text:?} is no number of a network")))
}

fn network(text: &[u8]) -> Option<u32> {
    let mut rest = text;
    let mut bits = 0u32;
    for _part in 0..4 {
        let (number, after) = number(rest)?;
        bits = bits << 8 | u32::from(u8::try_from(number).ok()?);
        match after.split_first() {
            Some((b'.', behind)) => rest = behind,
            _ => {
                let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
                return after.iter().all(is_space).then_some(bits);
            }
        }
    }
    None
}

/// The address of a host in a network of class A, B or C, by their numbers.
///
/// ```
/// use berkeley::inet::inet_makeaddr;
///
/// assert_eq!(inet_makeaddr(0x00c0_0002, 9).octets(), [192, 0, 2, 9]);
/// assert_eq!(inet_makeaddr(127, 1).octets(), [127, 0, 0, 1]);
/// ```
///
/// # References
/// inet_makeaddr(3).
#[must_use]
pub const fn inet_makeaddr(network: u32, host: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(match network {
        ..0x80 => network << 24 | host & 0x00ff_ffff,
        0x80..0x1_0000 => network << 16 | host & 0xffff,
        0x1_0000..0x100_0000 => network << 8 | host & 0xff,
        _ => network | host,
    })
}

/// The host's number in an address of class A, B or C.
///
/// # References
/// inet_lnaof(3).
#[must_use]
pub const fn inet_lnaof(addr: Ipv4Addr) -> u32 {
    addr.to_bits() & !(u32::MAX << host_bits(addr))
}

/// The network's number in an address of class A, B or C.
///
/// # References
/// inet_netof(3).
#[must_use]
pub const fn inet_netof(addr: Ipv4Addr) -> u32 {
    addr.to_bits() >> host_bits(addr)
}

/// Class D and E count as C, as they do in C.
const fn host_bits(addr: Ipv4Addr) -> u32 {
    match addr.octets() {
        [..0x80, ..] => 24,
        [0x80..0xc0, ..] => 16,
        _ => 8,
    }
}
