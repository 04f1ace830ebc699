//! Reading control messages by their type.

use core::ffi::c_int;
use std::time::SystemTime;

use super::extended::{ExtendedError, addr_of};
use super::numbers::{
    PACKET_TX_TIMESTAMP, SCM_SECURITY, SO_TIMESTAMP_NEW, SO_TIMESTAMPING_NEW, SO_TIMESTAMPNS_NEW,
    SOL_VSOCK, TLS_GET_RECORD_TYPE, VSOCK_RECVERR,
};
use super::values::{Ecn, PacketInfo, PacketInfo6, Timestamps, moment};
use super::walk::field;
use crate::addr::Addr;
use crate::kinds::Level;
use crate::opt::Credentials;
use crate::sys::control::{ControlBuf, Descriptors, Piece, Pieces};

/// A received control message. What has no form of its own here, or is too short for it, comes
/// as [`Cmsg::Raw`]: nothing is dropped.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cmsg<'a> {
    /// Who sent it (`SCM_CREDENTIALS`, asked for with `SO_PASSCRED`), unix(7).
    Credentials(Credentials),
    /// How many packets this socket has lost so far for want of room (`SO_RXQ_OVFL`), socket(7).
    Dropped(u32),
    /// An entry of the error queue (`IP_RECVERR`, `IPV6_RECVERR`), ip(7).
    ExtendedError(ExtendedError),
    /// The hop limit that was left (`IPV6_HOPLIMIT`), RFC 3542 §6.3.
    HopLimit(u8),
    /// Where the datagram was sent to before it was redirected (`IP_ORIGDSTADDR`), ip(7).
    OriginalDestination(Addr),
    /// Where an IPv4 datagram came in (`IP_PKTINFO`), ip(7).
    PacketInfo(PacketInfo),
    /// Where an IPv6 datagram came in (`IPV6_PKTINFO`), RFC 3542 §6.1.
    PacketInfo6(PacketInfo6),
    /// The sender's process (`SCM_PIDFD`, asked for with `SO_PASSPIDFD`): one descriptor, none
    /// if the kernel could not make one.
    PidFd(Descriptors<'a>),
    /// Anything else.
    Raw {
        /// The level.
        level: Level,
        /// The type at that level.
        kind: c_int,
        /// The payload.
        bytes: &'a [u8],
    },
    /// Descriptors (`SCM_RIGHTS`), unix(7).
    Rights(Descriptors<'a>),
    /// The sender's security label (`SCM_SECURITY`), unix(7).
    Security(&'a [u8]),
    /// Several datagrams came as one: bytes of each but the last (`UDP_GRO`), udp(7).
    SegmentBytes(u16),
    /// When it came, to the microsecond (`SO_TIMESTAMP`), socket(7).
    Timestamp(SystemTime),
    /// When it came, to the nanosecond (`SO_TIMESTAMPNS`), socket(7).
    TimestampNs(SystemTime),
    /// When it passed the software and the hardware (`SO_TIMESTAMPING`).
    Timestamping(Timestamps),
    /// The type of a record of kernel TLS (`TLS_GET_RECORD_TYPE`), RFC 8446 §5.1.
    TlsRecord(u8),
    /// The type of service (`IP_TOS`), ip(7).
    Tos(u8),
    /// The traffic class (`IPV6_TCLASS`), RFC 3542 §6.5.
    TrafficClass(u8),
    /// The time to live that was left (`IP_TTL`), ip(7).
    Ttl(u8),
}

impl<'a> Cmsg<'a> {
    fn decode(level: c_int, kind: c_int, bytes: &'a [u8]) -> Self {
        let known = match level {
            libc::SOL_SOCKET => decode_socket(kind, bytes),
            libc::IPPROTO_IP => decode_ip(kind, bytes),
            libc::IPPROTO_IPV6 => decode_ipv6(kind, bytes),
            libc::SOL_UDP if kind == libc::UDP_GRO => small(bytes).map(Self::SegmentBytes),
            libc::SOL_TLS if kind == TLS_GET_RECORD_TYPE => {
                bytes.first().copied().map(Self::TlsRecord)
            }
            libc::SOL_PACKET if kind == PACKET_TX_TIMESTAMP => {
                ExtendedError::decode(bytes).map(Self::ExtendedError)
            }
            SOL_VSOCK if kind == VSOCK_RECVERR => {
                ExtendedError::decode(bytes).map(Self::ExtendedError)
            }
            _ => None,
        };
        known.unwrap_or(Self::Raw {
            level: Level::from_raw(level),
            kind,
            bytes,
        })
    }

    /// The congestion bits of a type of service or traffic class.
    #[must_use]
    pub const fn ecn(&self) -> Option<Ecn> {
        match self {
            Self::Tos(tos) | Self::TrafficClass(tos) => Some(Ecn::from_tos(*tos)),
            _ => None,
        }
    }
}

/// An integer that is small enough: the kernel uses an `int` for nearly everything, and one or
/// two bytes now and then.
fn small<T: TryFrom<c_int>>(bytes: &[u8]) -> Option<T> {
    let value = match bytes {
        [byte] => c_int::from(*byte),
        [_, _] => c_int::from(u16::from_ne_bytes(field(bytes, 0)?)),
        _ => c_int::from_ne_bytes(field(bytes, 0)?),
    };
    T::try_from(value).ok()
}

fn decode_socket(kind: c_int, bytes: &[u8]) -> Option<Cmsg<'_>> {
    match kind {
        libc::SCM_CREDENTIALS => Some(Cmsg::Credentials(Credentials {
            pid: u32::from_ne_bytes(field(bytes, 0)?),
            uid: u32::from_ne_bytes(field(bytes, 4)?),
            gid: u32::from_ne_bytes(field(bytes, 8)?),
        })),
        SCM_SECURITY => Some(Cmsg::Security(bytes)),
        libc::SO_RXQ_OVFL => Some(Cmsg::Dropped(u32::from_ne_bytes(field(bytes, 0)?))),
        libc::SO_TIMESTAMP | SO_TIMESTAMP_NEW => moment(bytes, 1000).map(Cmsg::Timestamp),
        libc::SO_TIMESTAMPNS | SO_TIMESTAMPNS_NEW => moment(bytes, 1).map(Cmsg::TimestampNs),
        libc::SO_TIMESTAMPING | SO_TIMESTAMPING_NEW => {
            Timestamps::decode(bytes).map(Cmsg::Timestamping)
        }
        _ => None,
    }
}

fn decode_ip(kind: c_int, bytes: &[u8]) -> Option<Cmsg<'_>> {
    match kind {
        libc::IP_PKTINFO => PacketInfo::decode(bytes).map(Cmsg::PacketInfo),
        libc::IP_TTL => small(bytes).map(Cmsg::Ttl),
        libc::IP_TOS => small(bytes).map(Cmsg::Tos),
        libc::IP_RECVERR => ExtendedError::decode(bytes).map(Cmsg::ExtendedError),
        libc::IP_ORIGDSTADDR => addr_of(bytes).map(Cmsg::OriginalDestination),
        _ => None,
    }
}

fn decode_ipv6(kind: c_int, bytes: &[u8]) -> Option<Cmsg<'_>> {
    match kind {
        libc::IPV6_PKTINFO => PacketInfo6::decode(bytes).map(Cmsg::PacketInfo6),
        libc::IPV6_HOPLIMIT => small(bytes).map(Cmsg::HopLimit),
        libc::IPV6_TCLASS => small(bytes).map(Cmsg::TrafficClass),
        libc::IPV6_RECVERR => ExtendedError::decode(bytes).map(Cmsg::ExtendedError),
        libc::IPV6_ORIGDSTADDR => addr_of(bytes).map(Cmsg::OriginalDestination),
        _ => None,
    }
}

/// The control messages of a received message, one after the other.
#[derive(Debug)]
pub struct Cmsgs<'a>(Pieces<'a>);

impl<'a> Iterator for Cmsgs<'a> {
    type Item = Cmsg<'a>;

    fn next(&mut self) -> Option<Cmsg<'a>> {
        Some(match self.0.next()? {
            Piece::Descriptors { kind, fds } if kind == libc::SCM_RIGHTS => Cmsg::Rights(fds),
            Piece::Descriptors { fds, .. } => Cmsg::PidFd(fds),
            Piece::Bytes { level, kind, bytes } => Cmsg::decode(level, kind, bytes),
        })
    }
}

impl ControlBuf<'_> {
    /// The control messages that were received last. Descriptors that are taken out of them are
    /// gone when asked again; everything else is there still.
    pub fn cmsgs(&mut self) -> Cmsgs<'_> {
        Cmsgs(self.pieces())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_too_short_is_raw() {
        let long = [0u8; 64];
        let known = [
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS, 12),
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 4),
            (libc::SOL_SOCKET, libc::SO_TIMESTAMP, 16),
            (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 16),
            (libc::SOL_SOCKET, libc::SO_TIMESTAMPING, 48),
            (libc::IPPROTO_IP, libc::IP_PKTINFO, 12),
            (libc::IPPROTO_IP, libc::IP_RECVERR, 16),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, 20),
            (libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 16),
            (libc::SOL_TLS, TLS_GET_RECORD_TYPE, 1),
            (libc::SOL_PACKET, PACKET_TX_TIMESTAMP, 16),
            (SOL_VSOCK, VSOCK_RECVERR, 16),
        ];
        for (level, kind, len) in known {
            for short in 0..len {
                let Cmsg::Raw { bytes, .. } = Cmsg::decode(level, kind, &long[..short]) else {
                    panic!("{level} {kind} with {short} bytes");
                };
                assert_eq!(bytes.len(), short);
            }
            let item = Cmsg::decode(level, kind, &long[..len]);
            assert!(!matches!(item, Cmsg::Raw { .. }), "{item:?}");
        }
    }

    #[test]
    fn a_type_of_service_has_one_byte_or_four() {
        for bytes in [&[0x2f][..], &0x2fi32.to_ne_bytes()] {
            let item = Cmsg::decode(libc::IPPROTO_IP, libc::IP_TOS, bytes);
            assert!(matches!(item, Cmsg::Tos(0x2f)), "{item:?}");
            assert_eq!(item.ecn(), Some(Ecn::Congested));
        }
        let beyond = 300i32.to_ne_bytes();
        let item = Cmsg::decode(libc::IPPROTO_IP, libc::IP_TTL, &beyond);
        assert!(matches!(item, Cmsg::Raw { .. }), "{item:?}");
    }

    proptest! {
        #[test]
        fn any_payload_of_any_type_is_read(
            level in prop::sample::select(vec![0, 1, 17, 41, 263, 279, 282, 287, -1]),
            kind in prop_oneof![-2i32..80, any::<i32>()],
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let item = Cmsg::decode(level, kind, &bytes);
            if let Cmsg::Raw { level: same_level, kind: same_kind, bytes: same } = &item {
                prop_assert_eq!((same_level.raw(), *same_kind, *same), (level, kind, &bytes[..]));
            }
        }
    }
}
