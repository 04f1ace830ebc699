//! The values of control messages that one family or one kind of device has.

use core::mem::{offset_of, size_of};

use super::extended::addr_of;
use super::walk::field;
use crate::addr::Addr;
use crate::errno::Errno;

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    field(bytes, at).map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    field(bytes, at).map(u32::from_ne_bytes)
}

/// Memory of a device that a segment was received into (`struct dmabuf_cmsg`), with
/// `MSG_SOCK_DEVMEM`.
///
/// # References
/// The kernel's Documentation/networking/devmem.rst (Linux 6.12).
#[doc(alias = "dmabuf_cmsg")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceMemory {
    /// Where the piece begins in the device's memory; not told for one that was copied.
    pub offset: u64,
    /// Its bytes.
    pub len: u32,
    /// What to give it back by ([`crate::opt::DeviceMemoryDone`]).
    pub token: u32,
    /// The device's memory.
    pub buffer: u32,
    /// Flags, of which there are none yet.
    pub flags: u32,
    /// True if the bytes are not in the device's memory but in the message's buffer
    /// (`SCM_DEVMEM_LINEAR`).
    pub is_copied: bool,
}

impl DeviceMemory {
    pub(super) fn decode(bytes: &[u8], is_copied: bool) -> Option<Self> {
        Some(Self {
            offset: u64::from_ne_bytes(field(bytes, 0)?),
            len: u32_at(bytes, 8)?,
            token: u32_at(bytes, 12)?,
            buffer: u32_at(bytes, 16)?,
            flags: u32_at(bytes, 20)?,
            is_copied,
        })
    }
}

/// The longest packet of a path (`struct ip6_mtuinfo`).
///
/// # References
/// RFC 3542 §11.3.
#[doc(alias = "ip6_mtuinfo")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathMtu {
    /// Where the path leads.
    pub destination: Option<Addr>,
    /// Bytes.
    pub mtu: u32,
}

/// Bytes of the address in `struct ip6_mtuinfo`.
const MTU_AT: usize = size_of::<libc::sockaddr_in6>();
const _: () = assert!(MTU_AT == 28);

impl PathMtu {
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            destination: bytes.get(..MTU_AT).and_then(addr_of),
            mtu: u32_at(bytes, MTU_AT)?,
        })
    }
}

/// Lengths and the VLAN of a frame (`struct tpacket_auxdata`), asked for with
/// [`crate::opt::packet::AuxData`].
///
/// # References
/// packet(7), `PACKET_AUXDATA`.
#[doc(alias = "tpacket_auxdata")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PacketAux {
    /// What is true of the frame (`TP_STATUS_*`).
    pub status: u32,
    /// Its bytes on the wire.
    pub len: u32,
    /// Bytes of it that were kept.
    pub captured: u32,
    /// Where the link's header begins.
    pub mac: u16,
    /// Where the network's header begins.
    pub network: u16,
    /// The tag of its VLAN.
    pub vlan_tci: Option<u16>,
    /// The type that the tag stood behind.
    pub vlan_tpid: Option<u16>,
}

impl PacketAux {
    /// Bits of [`Self::status`]: the checksum is not made yet (`TP_STATUS_CSUMNOTREADY`).
    pub const CHECKSUM_NOT_READY: u32 = 1 << 3;
    /// The checksum is right (`TP_STATUS_CSUM_VALID`).
    pub const CHECKSUM_VALID: u32 = 1 << 7;
    /// There is a tag (`TP_STATUS_VLAN_VALID`).
    pub const VLAN_VALID: u32 = 1 << 4;
    /// The tag's type is told (`TP_STATUS_VLAN_TPID_VALID`).
    pub const VLAN_TPID_VALID: u32 = 1 << 6;

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let status = u32_at(bytes, 0)?;
        let (tci, tpid) = (u16_at(bytes, 16)?, u16_at(bytes, 18)?);
        Some(Self {
            status,
            len: u32_at(bytes, 4)?,
            captured: u32_at(bytes, 8)?,
            mac: u16_at(bytes, 12)?,
            network: u16_at(bytes, 14)?,
            vlan_tci: (status & Self::VLAN_VALID != 0).then_some(tci),
            vlan_tpid: (status & Self::VLAN_TPID_VALID != 0).then_some(tpid),
        })
    }
}

const _: () = {
    assert!(size_of::<libc::tpacket_auxdata>() == 20);
    assert!(offset_of!(libc::tpacket_auxdata, tp_status) == 0);
    assert!(offset_of!(libc::tpacket_auxdata, tp_len) == 4);
    assert!(offset_of!(libc::tpacket_auxdata, tp_snaplen) == 8);
    assert!(offset_of!(libc::tpacket_auxdata, tp_mac) == 12);
    assert!(offset_of!(libc::tpacket_auxdata, tp_net) == 14);
    assert!(offset_of!(libc::tpacket_auxdata, tp_vlan_tci) == 16);
    assert!(offset_of!(libc::tpacket_auxdata, tp_vlan_tpid) == 18);
};

/// What became of an operation on memory (`struct rds_rdma_notify`).
///
/// # References
/// rds-rdma(7).
#[doc(alias = "rds_rdma_notify")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RdmaStatus {
    /// What the program called the operation.
    pub token: u64,
    /// 0 done, 1 the peer had an error, 2 cancelled, 3 dropped, 4 another error
    /// (`RDS_RDMA_*`).
    pub status: i32,
}

impl RdmaStatus {
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            token: u64::from_ne_bytes(field(bytes, 0)?),
            status: i32::from_ne_bytes(field(bytes, 8)?),
        })
    }
}

/// The interface that a time of arrival is from (`struct scm_ts_pktinfo`).
///
/// # References
/// The kernel's Documentation/networking/timestamping.rst, `SOF_TIMESTAMPING_OPT_PKTINFO`.
#[doc(alias = "scm_ts_pktinfo")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimestampPacket {
    /// The index of the interface, 0 if it is not known.
    pub interface: u32,
    /// Bytes of the packet at the link layer.
    pub len: u32,
}

impl TimestampPacket {
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        // Two reserved words follow.
        let _reserved: [u8; 8] = field(bytes, 8)?;
        Some(Self {
            interface: u32_at(bytes, 0)?,
            len: u32_at(bytes, 4)?,
        })
    }
}

open_newtype! {
    /// Why a message of TIPC came back, or a connection ended (`TIPC_ERR_*`).
    TipcErrorCode: u32 {
        /// No error.
        OK = 0;
        /// Nobody has that name.
        NO_NAME = 1;
        /// Nobody has that number.
        NO_PORT = 2;
        /// No such node.
        NO_NODE = 3;
        /// The receiver's queue is full.
        OVERLOAD = 4;
        /// The peer has closed the connection.
        SHUTDOWN = 5;
    }
}

/// A message of TIPC that came back, or the end of a connection (`TIPC_ERRINFO`). What came back
/// follows as [`crate::Cmsg::TipcReturned`].
///
/// # References
/// tipc(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TipcError {
    /// Why.
    pub code: TipcErrorCode,
    /// Bytes that came back.
    pub len: u32,
}

impl TipcError {
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            code: TipcErrorCode::from_raw(u32_at(bytes, 0)?),
            len: u32_at(bytes, 4)?,
        })
    }
}

/// The name that a message of TIPC was sent to (`TIPC_DESTNAME`).
///
/// # References
/// tipc(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TipcDestination {
    /// The service's type.
    pub kind: u32,
    /// The first instance.
    pub lower: u32,
    /// The last instance.
    pub upper: u32,
}

impl TipcDestination {
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            kind: u32_at(bytes, 0)?,
            lower: u32_at(bytes, 4)?,
            upper: u32_at(bytes, 8)?,
        })
    }
}

/// How a call of RxRPC goes on (`RXRPC_*`).
///
/// # References
/// The kernel's Documentation/networking/rxrpc.rst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RxrpcEvent {
    /// The peer ended the call with this code (`RXRPC_ABORT`).
    Abort(u32),
    /// The last of a call's acknowledgements (`RXRPC_ACK`).
    Acknowledged,
    /// The server is busy (`RXRPC_BUSY`).
    Busy,
    /// An error of this machine (`RXRPC_LOCAL_ERROR`).
    LocalError(Errno),
    /// An error of the network (`RXRPC_NET_ERROR`).
    NetworkError(Errno),
    /// A call to answer (`RXRPC_NEW_CALL`).
    NewCall,
    /// The number that the program gave to the call (`RXRPC_USER_CALL_ID`).
    UserCallId(u64),
}

impl RxrpcEvent {
    pub(super) fn decode(kind: i32, bytes: &[u8]) -> Option<Self> {
        let errno = || Some(Errno::from_raw(i32::from_ne_bytes(field(bytes, 0)?)));
        match kind {
            1 => Some(Self::UserCallId(u64::from_ne_bytes(field(bytes, 0)?))),
            2 => u32_at(bytes, 0).map(Self::Abort),
            3 => Some(Self::Acknowledged),
            5 => errno().map(Self::NetworkError),
            6 => Some(Self::Busy),
            7 => errno().map(Self::LocalError),
            8 => Some(Self::NewCall),
            _ => None,
        }
    }
}
