//! Reading control messages by their type.

use core::ffi::c_int;
use std::time::SystemTime;

use super::attributes::Attributes;
use super::extended::{ExtendedError, addr_of};
use super::family::{
    DeviceMemory, PacketAux, PathMtu, RdmaStatus, RxrpcEvent, TimestampPacket, TipcDestination,
    TipcError,
};
use super::numbers::{
    BT_SCM_ERROR, BT_SCM_PKT_SEQNUM, BT_SCM_PKT_STATUS, IP_RECVFRAGSIZE, IPV6_RECVFRAGSIZE,
    NETLINK_LISTEN_ALL_NSID, NETLINK_PKTINFO, PACKET_TX_TIMESTAMP, RDS_CMSG_CONG_UPDATE,
    RDS_CMSG_RDMA_DEST, RDS_CMSG_RDMA_STATUS, SCM_CAN_RAW_ERRQUEUE, SCM_DEVMEM_DMABUF,
    SCM_DEVMEM_LINEAR, SCM_INQ, SCM_SECURITY, SCM_TIMESTAMPING_OPT_STATS, SCM_TIMESTAMPING_PKTINFO,
    SO_TIMESTAMP_NEW, SO_TIMESTAMPING_NEW, SO_TIMESTAMPNS_NEW, SOL_VSOCK, TCP_CM_INQ,
    TIPC_DESTNAME, TIPC_ERRINFO, TIPC_RETDATA, TLS_GET_RECORD_TYPE, VSOCK_RECVERR,
};
use super::values::{Ecn, PacketInfo, PacketInfo6, Timestamps, moment};
use super::walk::field;
use crate::addr::Addr;
use crate::kinds::Level;
use crate::opt::Credentials;
use crate::sys::control::{ControlBuf, Descriptors, Piece, Pieces};

/// A received control message. What has no form of its own here, or is too short for it, comes
/// as [`Cmsg::Raw`]: nothing is dropped.
///
/// # References
/// cmsg(3), recvmsg(2).
#[derive(Debug)]
#[non_exhaustive]
pub enum Cmsg<'a> {
    /// Whether a packet of audio arrived whole, 0 if it did (`BT_SCM_PKT_STATUS`).
    BluetoothStatus(u8),
    /// The number of a packet of an isochronous channel (`BT_SCM_PKT_SEQNUM`).
    BluetoothSequence(u16),
    /// The checksum over the packet's data as the network's hardware made it (`IP_CHECKSUM`).
    Checksum(u32),
    /// Who sent it (`SCM_CREDENTIALS`, asked for with `SO_PASSCRED`), unix(7).
    Credentials(Credentials),
    /// A segment in a device's memory (`SCM_DEVMEM_DMABUF`, `SCM_DEVMEM_LINEAR`).
    DeviceMemory(DeviceMemory),
    /// How many packets this socket has lost so far for want of room (`SO_RXQ_OVFL`), socket(7).
    Dropped(u32),
    /// An entry of the error queue (`IP_RECVERR`, `IPV6_RECVERR`), ip(7).
    ExtendedError(ExtendedError),
    /// The traffic class and the flow label (`IPV6_FLOWINFO`), RFC 8200 §3.
    FlowInfo(u32),
    /// The bytes of the largest fragment that the datagram came in (`IP_RECVFRAGSIZE`,
    /// `IPV6_RECVFRAGSIZE`).
    FragmentSize(u32),
    /// The hop limit that was left (`IPV6_HOPLIMIT`), RFC 3542 §6.3.
    HopLimit(u8),
    /// The address that a message of J1939 was sent to (`SCM_J1939_DEST_ADDR`).
    J1939Address(u8),
    /// The name that a message of J1939 was sent to (`SCM_J1939_DEST_NAME`).
    J1939Name(u64),
    /// The priority of a message of J1939, 0 (highest) to 7 (`SCM_J1939_PRIO`).
    J1939Priority(u8),
    /// The packet's mark (`SO_MARK`, asked for with `SO_RCVMARK`).
    Mark(u32),
    /// The group that a message of netlink was sent to (`NETLINK_PKTINFO`), netlink(7).
    NetlinkGroup(u32),
    /// The network namespace that a message of netlink is about
    /// (`NETLINK_LISTEN_ALL_NSID`), netlink(7).
    NetlinkNamespace(i32),
    /// Where the datagram was sent to before it was redirected (`IP_ORIGDSTADDR`), ip(7).
    OriginalDestination(Addr),
    /// Where an IPv4 datagram came in (`IP_PKTINFO`), ip(7).
    PacketInfo(PacketInfo),
    /// Where an IPv6 datagram came in (`IPV6_PKTINFO`), RFC 3542 §6.1.
    PacketInfo6(PacketInfo6),
    /// Lengths and the VLAN of a frame (`PACKET_AUXDATA`), packet(7).
    PacketAux(PacketAux),
    /// The longest packet that a path takes has changed (`IPV6_PATHMTU`), RFC 3542 §11.3.
    PathMtu(PathMtu),
    /// The packet's priority (`SO_PRIORITY`, asked for with `SO_RCVPRIORITY`).
    Priority(u32),
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
    /// Which ports have room again, a bit for each (`RDS_CMSG_CONG_UPDATE`), rds(7).
    RdsCongestion(u64),
    /// The memory that the peer offers (`RDS_CMSG_RDMA_DEST`), rds-rdma(7).
    RdsDestination(u64),
    /// What became of an operation on memory (`RDS_CMSG_RDMA_STATUS`), rds-rdma(7).
    RdsStatus(RdmaStatus),
    /// Descriptors (`SCM_RIGHTS`), unix(7).
    Rights(Descriptors<'a>),
    /// How a call of RxRPC goes on (`RXRPC_*`).
    Rxrpc(RxrpcEvent),
    /// The sender's security label (`SCM_SECURITY`), unix(7).
    Security(&'a [u8]),
    /// Several datagrams came as one: bytes of each but the last (`UDP_GRO`), udp(7).
    SegmentBytes(u16),
    /// The name that a message of TIPC was sent to (`TIPC_DESTNAME`), tipc(7).
    TipcDestination(TipcDestination),
    /// A message of TIPC came back, or the connection ended (`TIPC_ERRINFO`), tipc(7).
    TipcError(TipcError),
    /// What came back (`TIPC_RETDATA`), tipc(7).
    TipcReturned(&'a [u8]),
    /// When it came, to the microsecond (`SO_TIMESTAMP`), socket(7).
    Timestamp(SystemTime),
    /// When it came, to the nanosecond (`SO_TIMESTAMPNS`), socket(7).
    TimestampNs(SystemTime),
    /// The interface that the times are from (`SCM_TIMESTAMPING_PKTINFO`).
    TimestampPacket(TimestampPacket),
    /// Figures beside a time of sending (`SCM_TIMESTAMPING_OPT_STATS`): those of a TCP connection
    /// ([`crate::TcpStats::of`]) or of a message of J1939 ([`crate::can::j1939::Stats::of`]).
    TimestampStats(Attributes<'a>),
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
    /// Bytes of the stream that are left to read (`TCP_CM_INQ`, asked for with `TCP_INQ`;
    /// `SCM_INQ`, asked for with `SO_INQ`).
    Unread(u32),
    /// Whether a frame of 802.11 was acknowledged (`SCM_WIFI_STATUS`).
    WifiAcknowledged(bool),
}

impl<'a> Cmsg<'a> {
    fn decode(level: c_int, kind: c_int, bytes: &'a [u8]) -> Self {
        let known = match level {
            libc::SOL_SOCKET => decode_socket(kind, bytes),
            libc::IPPROTO_IP => decode_ip(kind, bytes),
            libc::IPPROTO_IPV6 => decode_ipv6(kind, bytes),
            libc::SOL_TCP if kind == TCP_CM_INQ => small(bytes).map(Self::Unread),
            libc::SOL_UDP if kind == libc::UDP_GRO => small(bytes).map(Self::SegmentBytes),
            libc::SOL_TLS if kind == TLS_GET_RECORD_TYPE => {
                bytes.first().copied().map(Self::TlsRecord)
            }
            libc::SOL_PACKET => decode_packet(kind, bytes),
            libc::SOL_NETLINK => decode_netlink(kind, bytes),
            libc::SOL_CAN_RAW if kind == SCM_CAN_RAW_ERRQUEUE => error(bytes),
            libc::SOL_CAN_J1939 => decode_j1939(kind, bytes),
            libc::SOL_TIPC => decode_tipc(kind, bytes),
            libc::SOL_BLUETOOTH => decode_bluetooth(kind, bytes),
            libc::SOL_RDS => decode_rds(kind, bytes),
            libc::SOL_RXRPC => RxrpcEvent::decode(kind, bytes).map(Self::Rxrpc),
            SOL_VSOCK if kind == VSOCK_RECVERR => error(bytes),
            _ => None,
        };
        known.unwrap_or(Self::Raw {
            level: Level::from_raw(level),
            kind,
            bytes,
        })
    }

    /// The congestion bits of a type of service or traffic class.
    ///
    /// # References
    /// RFC 3168 §5.
    #[must_use]
    pub const fn ecn(&self) -> Option<Ecn> {
        match self {
            Self::Tos(tos) | Self::TrafficClass(tos) => Some(Ecn::from_tos(*tos)),
            _ => None,
        }
    }

    /// On a socket of [`crate::BluetoothAddr::Hci`]: whether the packet came from the adapter
    /// (true) or goes to it (`HCI_CMSG_DIR`, asked for with [`crate::opt::bluetooth::HciDataDir`]).
    ///
    /// The message has the same level and number as IPv4's type of service, and only who owns the
    /// socket knows which it is. The other one, the time (`HCI_CMSG_TSTAMP`), is longer than what
    /// it could be taken for, and comes as [`Cmsg::Timestamp`].
    #[must_use]
    #[doc(alias = "HCI_CMSG_DIR")]
    pub const fn hci_is_incoming(&self) -> Option<bool> {
        match self {
            Self::Tos(incoming) => Some(*incoming != 0),
            _ => None,
        }
    }
}

fn error(bytes: &[u8]) -> Option<Cmsg<'_>> {
    ExtendedError::decode(bytes).map(Cmsg::ExtendedError)
}

fn u32_of(bytes: &[u8]) -> Option<u32> {
    field(bytes, 0).map(u32::from_ne_bytes)
}

fn u64_of(bytes: &[u8]) -> Option<u64> {
    field(bytes, 0).map(u64::from_ne_bytes)
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
        SCM_DEVMEM_DMABUF | SCM_DEVMEM_LINEAR => {
            DeviceMemory::decode(bytes, kind == SCM_DEVMEM_LINEAR).map(Cmsg::DeviceMemory)
        }
        SCM_INQ => small(bytes).map(Cmsg::Unread),
        SCM_TIMESTAMPING_OPT_STATS => Some(Cmsg::TimestampStats(Attributes::new(bytes))),
        SCM_TIMESTAMPING_PKTINFO => TimestampPacket::decode(bytes).map(Cmsg::TimestampPacket),
        libc::SO_MARK => u32_of(bytes).map(Cmsg::Mark),
        libc::SO_PRIORITY => u32_of(bytes).map(Cmsg::Priority),
        libc::SO_WIFI_STATUS => u32_of(bytes).map(|on| Cmsg::WifiAcknowledged(on != 0)),
        libc::SO_RXQ_OVFL => u32_of(bytes).map(Cmsg::Dropped),
        libc::SO_TIMESTAMP | SO_TIMESTAMP_NEW => moment(bytes, 1000).map(Cmsg::Timestamp),
        libc::SO_TIMESTAMPNS | SO_TIMESTAMPNS_NEW => moment(bytes, 1).map(Cmsg::TimestampNs),
        libc::SO_TIMESTAMPING | SO_TIMESTAMPING_NEW => {
            Timestamps::decode(bytes).map(Cmsg::Timestamping)
        }
        _ => None,
    }
}

const TIMEVAL_BYTES: usize = size_of::<libc::timeval>();

fn decode_ip(kind: c_int, bytes: &[u8]) -> Option<Cmsg<'_>> {
    match kind {
        libc::IP_PKTINFO => PacketInfo::decode(bytes).map(Cmsg::PacketInfo),
        // `HCI_CMSG_TSTAMP`, which has the same number: no time to live is as long.
        libc::IP_TTL if bytes.len() >= TIMEVAL_BYTES => moment(bytes, 1000).map(Cmsg::Timestamp),
        libc::IP_TTL => small(bytes).map(Cmsg::Ttl),
        libc::IP_TOS => small(bytes).map(Cmsg::Tos),
        libc::IP_CHECKSUM => u32_of(bytes).map(Cmsg::Checksum),
        IP_RECVFRAGSIZE => small(bytes).map(Cmsg::FragmentSize),
        libc::IP_RECVERR => error(bytes),
        libc::IP_ORIGDSTADDR => addr_of(bytes).map(Cmsg::OriginalDestination),
        _ => None,
    }
}

fn decode_ipv6(kind: c_int, bytes: &[u8]) -> Option<Cmsg<'_>> {
    match kind {
        libc::IPV6_PKTINFO | libc::IPV6_2292PKTINFO => {
            PacketInfo6::decode(bytes).map(Cmsg::PacketInfo6)
        }
        libc::IPV6_HOPLIMIT | libc::IPV6_2292HOPLIMIT => small(bytes).map(Cmsg::HopLimit),
        libc::IPV6_TCLASS => small(bytes).map(Cmsg::TrafficClass),
        libc::IPV6_FLOWINFO => Some(Cmsg::FlowInfo(u32::from_be(u32_of(bytes)?))),
        libc::IPV6_PATHMTU => PathMtu::decode(bytes).map(Cmsg::PathMtu),
        IPV6_RECVFRAGSIZE => small(bytes).map(Cmsg::FragmentSize),
        libc::IPV6_RECVERR => error(bytes),
        libc::IPV6_ORIGDSTADDR => addr_of(bytes).map(Cmsg::OriginalDestination),
        _ => None,
    }
}

fn decode_packet(kind: c_int, bytes: &[u8]) -> Option<Cmsg<'_>> {
    match kind {
        libc::PACKET_AUXDATA => PacketAux::decode(bytes).map(Cmsg::PacketAux),
        PACKET_TX_TIMESTAMP => error(bytes),
        _ => None,
    }
}

fn decode_netlink(kind: c_int, bytes: &[u8]) -> Option<Cmsg<'_>> {
    match kind {
        NETLINK_PKTINFO => u32_of(bytes).map(Cmsg::NetlinkGroup),
        NETLINK_LISTEN_ALL_NSID => small(bytes).map(Cmsg::NetlinkNamespace),
        _ => None,
    }
}

fn decode_j1939(kind: c_int, bytes: &[u8]) -> Option<Cmsg<'_>> {
    match kind {
        libc::SCM_J1939_DEST_ADDR => bytes.first().copied().map(Cmsg::J1939Address),
        libc::SCM_J1939_DEST_NAME => u64_of(bytes).map(Cmsg::J1939Name),
        libc::SCM_J1939_PRIO => bytes.first().copied().map(Cmsg::J1939Priority),
        libc::SCM_J1939_ERRQUEUE => error(bytes),
        _ => None,
    }
}

fn decode_tipc(kind: c_int, bytes: &[u8]) -> Option<Cmsg<'_>> {
    match kind {
        TIPC_DESTNAME => TipcDestination::decode(bytes).map(Cmsg::TipcDestination),
        TIPC_ERRINFO => TipcError::decode(bytes).map(Cmsg::TipcError),
        TIPC_RETDATA => Some(Cmsg::TipcReturned(bytes)),
        _ => None,
    }
}

fn decode_bluetooth(kind: c_int, bytes: &[u8]) -> Option<Cmsg<'_>> {
    match kind {
        BT_SCM_PKT_STATUS => bytes.first().copied().map(Cmsg::BluetoothStatus),
        BT_SCM_PKT_SEQNUM => Some(Cmsg::BluetoothSequence(u16::from_ne_bytes(field(
            bytes, 0,
        )?))),
        BT_SCM_ERROR => error(bytes),
        _ => None,
    }
}

fn decode_rds(kind: c_int, bytes: &[u8]) -> Option<Cmsg<'_>> {
    match kind {
        RDS_CMSG_CONG_UPDATE => u64_of(bytes).map(Cmsg::RdsCongestion),
        RDS_CMSG_RDMA_DEST => u64_of(bytes).map(Cmsg::RdsDestination),
        RDS_CMSG_RDMA_STATUS => RdmaStatus::decode(bytes).map(Cmsg::RdsStatus),
        _ => None,
    }
}

/// The control messages of a received message, one after the other.
///
/// # References
/// cmsg(3).
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
mod tests;
