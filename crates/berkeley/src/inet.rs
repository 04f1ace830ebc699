//! Byte order and addresses as text: `<arpa/inet.h>`.
//!
//! Rust's own types know both (`u16::to_be`, `Ipv4Addr: FromStr`), but not the historic forms of
//! inet_aton(3), and not quite the text of inet_ntop(3). Nothing here asks the system.

mod classes;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::kinds::Family;

pub use classes::{inet_lnaof, inet_makeaddr, inet_netof, inet_network};

/// A short from this machine's byte order to the network's, byteorder(3).
#[must_use]
pub const fn htons(host: u16) -> u16 {
    host.to_be()
}

/// A long (32 bits) from this machine's byte order to the network's, byteorder(3).
#[must_use]
pub const fn htonl(host: u32) -> u32 {
    host.to_be()
}

/// A short from the network's byte order to this machine's, byteorder(3).
#[must_use]
pub const fn ntohs(network: u16) -> u16 {
    u16::from_be(network)
}

/// A long (32 bits) from the network's byte order to this machine's, byteorder(3).
#[must_use]
pub const fn ntohl(network: u32) -> u32 {
    u32::from_be(network)
}

/// Reads an IPv4 address as glibc does it, the historic forms too: one to four numbers, of which
/// the last fills the bytes that are left (`"1"` is `0.0.0.1`, `"1.2"` is `1.0.0.2`), each in
/// decimal, octal (`"010"`) or hexadecimal (`"0x10"`). Behind white space anything may follow.
///
/// This is for compatibility. Whoever reads addresses that people write uses [`inet_pton`]: two
/// programs that disagree about `010.0.0.1` are a hole in a firewall.
///
/// ```
/// use berkeley::inet::inet_aton;
///
/// assert_eq!(inet_aton("127.1")?.octets(), [127, 0, 0, 1]);
/// assert_eq!(inet_aton("0x7f.0.0.01")?.octets(), [127, 0, 0, 1]);
/// assert!(inet_aton("127.0.0.256").is_err());
/// # Ok::<(), berkeley::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] for anything else.
///
/// # References
/// inet_aton(3).
pub fn inet_aton(text: &str) -> Result<Ipv4Addr> {
    historic(text.as_bytes())
        .map(Ipv4Addr::from_bits)
        .ok_or_else(|| Error::Invalid(format!("{text:?} is no IPv4 address")))
}

fn historic(text: &[u8]) -> Option<u32> {
    let mut rest = text;
    let mut bits = 0;
    let mut left = 32;
    loop {
        let (number, after) = number(rest)?;
        match after.split_first() {
            Some((b'.', behind)) if left > 8 => {
                left -= 8;
                bits |= u32::from(u8::try_from(number).ok()?) << left;
                rest = behind;
            }
            None | Some((b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r', _)) => {
                let fits = u64::from(number) < 1u64 << left;
                return fits.then_some(bits | number);
            }
            Some(_) => return None,
        }
    }
}

/// A number as strtoul(3) reads it with base 0, which has to begin with a digit.
fn number(text: &[u8]) -> Option<(u32, &[u8])> {
    let (radix, digits) = match text {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => (16, text.get(2..)?),
        [b'0', ..] => (8, text),
        _ => (10, text),
    };
    let mut value = 0u32;
    let mut rest = digits;
    while let Some((&byte, behind)) = rest.split_first()
        && let Some(digit) = char::from(byte).to_digit(radix)
    {
        value = value.checked_mul(radix)?.checked_add(digit)?;
        rest = behind;
    }
    (rest.len() < digits.len()).then_some((value, rest))
}

/// An IPv4 address as text: `192.0.2.1`.
///
/// # References
/// inet_ntoa(3), whose answer in C is overwritten by the next call. This one is the caller's.
#[must_use]
pub fn inet_ntoa(addr: Ipv4Addr) -> String {
    addr.to_string()
}

/// Reads an address of a family: four decimal numbers for [`Family::INET`], the forms of RFC 4291
/// §2.2 without a zone for [`Family::INET6`].
///
/// # Errors
/// [`Error::Invalid`] for anything else, `EAFNOSUPPORT` for another family.
///
/// # References
/// inet_pton(3).
pub fn inet_pton(family: Family, text: &str) -> Result<IpAddr> {
    let (addr, name) = match family {
        Family::INET => (text.parse::<Ipv4Addr>().ok().map(IpAddr::V4), "IPv4"),
        Family::INET6 => (text.parse::<Ipv6Addr>().ok().map(IpAddr::V6), "IPv6"),
        _ => return Err(Error::os("inet_pton", Errno::EAFNOSUPPORT)),
    };
    addr.ok_or_else(|| Error::Invalid(format!("{text:?} is no {name} address")))
}

/// An address as text, as the C library writes it: as Rust does (RFC 5952), but IPv6 addresses
/// that were made from IPv4 ones, which RFC 4291 §2.5.5.1 gave up, as `::192.0.2.1`.
///
/// ```
/// use berkeley::inet::inet_ntop;
/// use std::net::Ipv6Addr;
///
/// assert_eq!(inet_ntop(Ipv6Addr::LOCALHOST), "::1");
/// assert_eq!(inet_ntop(Ipv6Addr::from_bits(0x7f00_0001)), "::127.0.0.1");
/// ```
///
/// # References
/// inet_ntop(3).
#[must_use]
pub fn inet_ntop(addr: impl Into<IpAddr>) -> String {
    match addr.into() {
        IpAddr::V4(addr) => addr.to_string(),
        IpAddr::V6(addr) => match u32::try_from(addr.to_bits()) {
            Ok(low) if low > 0xffff => format!("::{}", Ipv4Addr::from_bits(low)),
            _ => addr.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_historic_forms_are_those_of_the_manual() {
        for (text, octets) in [
            ("1", [0, 0, 0, 1]),
            ("1.2", [1, 0, 0, 2]),
            ("1.2.3", [1, 2, 0, 3]),
            ("1.2.258", [1, 2, 1, 2]),
            ("4294967295", [255; 4]),
            ("0377.0xff.010.8", [255, 255, 8, 8]),
            ("1.2.3.4 and more", [1, 2, 3, 4]),
        ] {
            assert_eq!(inet_aton(text).unwrap().octets(), octets, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            " 1",
            "1.",
            ".1",
            "1..2",
            "08",
            "0x",
            "0xg",
            "256.1",
            "1.2.65536",
            "4294967296",
            "1.2.3.4.5",
            "-1",
            "+1",
            "1.2.3.4x",
            "1.2.3.256",
        ] {
            assert!(inet_aton(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn byte_order_is_the_networks() {
        const PORT: u16 = htons(0x1234);
        assert_eq!(PORT.to_ne_bytes(), [0x12, 0x34]);
        assert_eq!(htonl(0x0102_0304).to_ne_bytes(), [1, 2, 3, 4]);
        assert_eq!((ntohs(PORT), ntohl(htonl(7))), (0x1234, 7));
    }
}
