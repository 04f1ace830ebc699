//! The values that control messages carry.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::time::SystemTime;

use super::walk::field;

/// Through which interface an IPv4 datagram came and to which address, or shall go and from
/// which (`struct in_pktinfo`).
///
/// # References
/// ip(7), `IP_PKTINFO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PacketInfo {
    /// The interface's index; 0 when sending leaves the choice to the routes.
    pub interface: u32,
    /// The local address of the packet. When sending: the address to send from
    /// (`ipi_spec_dst`), 0.0.0.0 for none in particular.
    pub local: Ipv4Addr,
    /// The address in the packet's header, which for a broadcast or a multicast is not the local
    /// one. Not looked at when sending.
    pub destination: Ipv4Addr,
}

pub(crate) const PACKET_INFO_BYTES: usize = size_of::<libc::in_pktinfo>();
pub(crate) const PACKET_INFO6_BYTES: usize = size_of::<libc::in6_pktinfo>();

const _: () = {
    assert!(PACKET_INFO_BYTES == 12);
    assert!(core::mem::offset_of!(libc::in_pktinfo, ipi_ifindex) == 0);
    assert!(core::mem::offset_of!(libc::in_pktinfo, ipi_spec_dst) == 4);
    assert!(core::mem::offset_of!(libc::in_pktinfo, ipi_addr) == 8);
    assert!(PACKET_INFO6_BYTES == 20);
    assert!(core::mem::offset_of!(libc::in6_pktinfo, ipi6_addr) == 0);
    assert!(core::mem::offset_of!(libc::in6_pktinfo, ipi6_ifindex) == 16);
};

impl PacketInfo {
    pub(crate) fn encode(self) -> [u8; PACKET_INFO_BYTES] {
        let mut bytes = [0; PACKET_INFO_BYTES];
        let parts = [
            self.interface.to_ne_bytes(),
            self.local.octets(),
            self.destination.octets(),
        ];
        for (place, part) in bytes.chunks_exact_mut(4).zip(parts) {
            place.copy_from_slice(&part);
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            interface: u32::from_ne_bytes(field(bytes, 0)?),
            local: Ipv4Addr::from(field::<4>(bytes, 4)?),
            destination: Ipv4Addr::from(field::<4>(bytes, 8)?),
        })
    }
}

/// Through which interface an IPv6 datagram came and to which address, or shall go and from
/// which (`struct in6_pktinfo`).
///
/// # References
/// ipv6(7), `IPV6_PKTINFO`; RFC 3542 §6.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PacketInfo6 {
    /// The interface's index; 0 when sending leaves the choice to the routes.
    pub interface: u32,
    /// The address that the packet was sent to; when sending, the one to send from.
    pub addr: Ipv6Addr,
}

impl PacketInfo6 {
    pub(crate) fn encode(self) -> [u8; PACKET_INFO6_BYTES] {
        let mut bytes = [0; PACKET_INFO6_BYTES];
        let (addr, interface) = bytes.split_at_mut(16);
        addr.copy_from_slice(&self.addr.octets());
        interface.copy_from_slice(&self.interface.to_ne_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            addr: Ipv6Addr::from(field::<16>(bytes, 0)?),
            interface: u32::from_ne_bytes(field(bytes, 16)?),
        })
    }
}

/// Explicit congestion notification: the two lowest bits of a type of service or traffic class.
///
/// # References
/// RFC 3168 §5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ecn {
    /// The sender does not take part (`00`).
    NotCapable,
    /// Capable, the first code point (`01`); RFC 9331 gives it a meaning of its own.
    Capable1,
    /// Capable, the usual code point (`10`).
    Capable0,
    /// A router on the way was congested (`11`).
    Congested,
}

impl Ecn {
    /// Reads the two bits from a type of service or a traffic class.
    ///
    /// # References
    /// RFC 3168 §5.
    #[must_use]
    pub const fn from_tos(tos: u8) -> Self {
        match tos & 0b11 {
            0b00 => Self::NotCapable,
            0b01 => Self::Capable1,
            0b10 => Self::Capable0,
            _ => Self::Congested,
        }
    }

    /// The bits, to be joined with a differentiated services code point that was shifted left by
    /// two.
    ///
    /// # References
    /// RFC 3168 §5; RFC 2474 §3.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::NotCapable => 0b00,
            Self::Capable1 => 0b01,
            Self::Capable0 => 0b10,
            Self::Congested => 0b11,
        }
    }
}

/// When a packet passed (`struct scm_timestamping`): whichever of the two clocks was asked for.
///
/// # References
/// The kernel's `Documentation/networking/timestamping.rst`, §2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timestamps {
    /// By the system's clock.
    pub software: Option<SystemTime>,
    /// By the network card's clock, since an epoch that only the card knows.
    pub hardware: Option<Duration>,
}

const TIMESPEC_BYTES: usize = size_of::<libc::timespec>();
const _: () = {
    assert!(TIMESPEC_BYTES == 16);
    assert!(size_of::<libc::timeval>() == 16);
};

impl Timestamps {
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        // Three of them: software, one that is no longer used, hardware. All zeros is "none".
        let at = |index: usize| {
            let stamp = since_epoch(bytes.get(index * TIMESPEC_BYTES..)?, 1)?;
            Some((!stamp.is_zero()).then_some(stamp))
        };
        Some(Self {
            software: at(0)?.and_then(|stamp| SystemTime::UNIX_EPOCH.checked_add(stamp)),
            hardware: at(2)?,
        })
    }
}

/// Reads a `timeval` (`nanos_per_unit` 1,000) or a `timespec` (1). `None` for one that is too
/// short, before the epoch, or no time at all.
fn since_epoch(bytes: &[u8], nanos_per_unit: u32) -> Option<Duration> {
    let seconds = u64::try_from(i64::from_ne_bytes(field(bytes, 0)?)).ok()?;
    let units = u32::try_from(i64::from_ne_bytes(field(bytes, 8)?)).ok()?;
    let nanos = units.checked_mul(nanos_per_unit)?;
    (nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos))
}

/// The moment that a `timeval` (`nanos_per_unit` 1,000) or a `timespec` (1) means.
pub(crate) fn moment(bytes: &[u8], nanos_per_unit: u32) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(since_epoch(bytes, nanos_per_unit)?)
}

/// What a socket of the kernel's cryptography does with the data that comes along (`ALG_OP_*`).
///
/// # References
/// The kernel's `Documentation/crypto/userspace-if.rst`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlgOperation(u32);

impl AlgOperation {
    /// `ALG_OP_DECRYPT`.
    pub const DECRYPT: Self = Self(0);
    /// `ALG_OP_ENCRYPT`.
    pub const ENCRYPT: Self = Self(1);
    /// `ALG_OP_SIGN`, which no current kernel has.
    pub const SIGN: Self = Self(2);
    /// `ALG_OP_VERIFY`, which no current kernel has.
    pub const VERIFY: Self = Self(3);

    /// Wraps a raw number, known here or not.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// The number that the kernel knows.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }
}

const _: () = {
    assert!(libc::ALG_OP_DECRYPT == 0);
    assert!(libc::ALG_OP_ENCRYPT == 1);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_none_is_not_read() {
        let stamp = |seconds: i64, rest: i64| [seconds.to_ne_bytes(), rest.to_ne_bytes()].concat();
        assert_eq!(
            since_epoch(&stamp(7, 5), 1000),
            Some(Duration::new(7, 5000))
        );
        assert_eq!(since_epoch(&stamp(-1, 0), 1), None);
        assert_eq!(since_epoch(&stamp(1, -1), 1), None);
        assert_eq!(since_epoch(&stamp(1, 1_000_000_000), 1), None);
        assert_eq!(since_epoch(&stamp(1, i64::from(u32::MAX)), 1000), None);
        assert_eq!(since_epoch(&[0; 15], 1), None);
    }

    #[test]
    fn packet_information_is_read_back_as_itself() {
        let four = PacketInfo {
            interface: 7,
            local: Ipv4Addr::new(192, 0, 2, 1),
            destination: Ipv4Addr::new(224, 0, 0, 1),
        };
        assert_eq!(PacketInfo::decode(&four.encode()), Some(four));
        assert_eq!(PacketInfo::decode(&four.encode()[..11]), None);
        let six = PacketInfo6 {
            interface: 9,
            addr: Ipv6Addr::LOCALHOST,
        };
        assert_eq!(PacketInfo6::decode(&six.encode()), Some(six));
        assert_eq!(PacketInfo6::decode(&six.encode()[..19]), None);
    }

    #[test]
    fn the_congestion_bits_are_those_of_the_rfc() {
        for tos in 0..=u8::MAX {
            assert_eq!(Ecn::from_tos(tos).bits(), tos & 3);
        }
    }
}
