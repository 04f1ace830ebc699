//! Building control messages.

use core::ffi::c_int;
use core::fmt;
use core::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::numbers::{IP_PROTOCOL, SCM_PIDFD, SCM_TS_OPT_ID, SCM_TXTIME, TLS_SET_RECORD_TYPE};
use super::values::{AlgOperation, PacketInfo, PacketInfo6};
use super::walk::{HEADER_BYTES, Header, control_space};
use crate::error::{Error, Result};
use crate::kinds::Level;
use crate::opt::Credentials;
use crate::sys;
use crate::sys::control::{ControlSpace, Storage};

/// A control message to send.
///
/// # References
/// cmsg(3), sendmsg(2).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum CmsgOut<'a> {
    /// Bytes that belong to the data of an authenticated cipher without being encrypted
    /// (`ALG_SET_AEAD_ASSOCLEN`).
    AlgAssociatedLength(u32),
    /// An initialisation vector (`ALG_SET_IV`).
    AlgIv(&'a [u8]),
    /// What to do with the data (`ALG_SET_OP`).
    AlgOperation(AlgOperation),
    /// Who sends, as far as the kernel agrees (`SCM_CREDENTIALS`), unix(7).
    Credentials(Credentials),
    /// Whether this IPv6 datagram may be cut into fragments here (`IPV6_DONTFRAG`), RFC 3542
    /// §11.2.
    DontFragment(bool),
    /// The flow label of this IPv6 datagram, 20 bits (`IPV6_FLOWINFO`), RFC 6437. The traffic
    /// class above it is not looked at: it goes by [`CmsgOut::TrafficClass`].
    FlowInfo(u32),
    /// The hop limit of this datagram (`IPV6_HOPLIMIT`), RFC 3542 §6.3.
    HopLimit(u8),
    /// The mark of this packet (`SO_MARK`); needs `CAP_NET_RAW` or `CAP_NET_ADMIN`, socket(7).
    Mark(u32),
    /// Where to send an IPv4 datagram from (`IP_PKTINFO`), ip(7).
    PacketInfo(PacketInfo),
    /// Where to send an IPv6 datagram from (`IPV6_PKTINFO`), RFC 3542 §6.1.
    PacketInfo6(PacketInfo6),
    /// The class of this packet for queueing (`SO_PRIORITY`, Linux 6.14), socket(7).
    Priority(u32),
    /// The protocol, 1 to 255, that the route and the policies of this packet are looked up for,
    /// on a raw IPv4 socket that makes its own headers (`IP_PROTOCOL`, Linux 6.4), ip(7).
    Protocol(u8),
    /// Anything else. Descriptors are refused here: they go by [`CmsgOut::Rights`], which knows
    /// that they are open. So are the operations of RDS on memory, whose payload holds addresses
    /// that the kernel writes to.
    Raw {
        /// The level.
        level: Level,
        /// The type at that level.
        kind: c_int,
        /// The payload.
        bytes: &'a [u8],
    },
    /// Descriptors, at most 253 in one message (`SCM_RIGHTS`), unix(7).
    Rights(&'a [BorrowedFd<'a>]),
    /// Bytes of each datagram that the data are cut into (`UDP_SEGMENT`), udp(7).
    SegmentBytes(u16),
    /// The type of a record of kernel TLS (`TLS_SET_RECORD_TYPE`), RFC 8446 §5.1.
    TlsRecord(u8),
    /// The type of service of this IPv4 datagram, congestion bits included (`IP_TOS`), ip(7).
    Tos(u8),
    /// The traffic class of this IPv6 datagram, congestion bits included (`IPV6_TCLASS`),
    /// RFC 3542 §6.5.
    TrafficClass(u8),
    /// The number that a time of sending will be told with (`SCM_TS_OPT_ID`, Linux 6.13), where
    /// the socket numbers them (`SOF_TIMESTAMPING_OPT_ID`); not on TCP.
    TimestampKey(u32),
    /// The moment to send at, in nanoseconds of the clock that `SO_TXTIME` names (`SCM_TXTIME`).
    TransmitTime(u64),
    /// Which times of this packet to tell (`SOF_TIMESTAMPING_TX_*`, cmsg `SO_TIMESTAMPING`).
    TransmitTimestamps(u32),
    /// The time to live of this IPv4 datagram (`IP_TTL`), ip(7).
    Ttl(u8),
}

/// The payload of a message: short ones are made here, long ones are the caller's.
enum Payload<'a> {
    Short([u8; 20], usize),
    Vector(&'a [u8]),
    Long(&'a [u8]),
    Fds(&'a [BorrowedFd<'a>]),
}

fn short(bytes: &[u8]) -> Payload<'static> {
    let mut room = [0; 20];
    for (place, byte) in room.iter_mut().zip(bytes) {
        *place = *byte;
    }
    Payload::Short(room, bytes.len().min(room.len()))
}

impl<'a> CmsgOut<'a> {
    /// Bytes that the message takes in a buffer (`CMSG_SPACE`); `None` beyond what the kernel
    /// can count.
    ///
    /// # References
    /// cmsg(3), `CMSG_SPACE`.
    #[must_use]
    pub fn space(&self) -> Option<usize> {
        let (_, _, payload) = self.parts();
        payload.len().and_then(control_space)
    }

    fn parts(&self) -> (c_int, c_int, Payload<'a>) {
        use libc::{IPPROTO_IP, IPPROTO_IPV6, SOL_ALG, SOL_SOCKET, SOL_TLS, SOL_UDP};
        let int = |value: u8| short(&c_int::from(value).to_ne_bytes());
        match *self {
            Self::AlgAssociatedLength(len) => (
                SOL_ALG,
                libc::ALG_SET_AEAD_ASSOCLEN,
                short(&len.to_ne_bytes()),
            ),
            Self::AlgIv(iv) => (SOL_ALG, libc::ALG_SET_IV, Payload::Vector(iv)),
            Self::AlgOperation(operation) => (
                SOL_ALG,
                libc::ALG_SET_OP,
                short(&operation.raw().to_ne_bytes()),
            ),
            Self::Credentials(who) => {
                let mut bytes = [0; 12];
                for (place, id) in bytes.chunks_exact_mut(4).zip([who.pid, who.uid, who.gid]) {
                    place.copy_from_slice(&id.to_ne_bytes());
                }
                (SOL_SOCKET, libc::SCM_CREDENTIALS, short(&bytes))
            }
            Self::DontFragment(on) => (IPPROTO_IPV6, libc::IPV6_DONTFRAG, int(u8::from(on))),
            Self::FlowInfo(info) => (
                IPPROTO_IPV6,
                libc::IPV6_FLOWINFO,
                short(&info.to_be_bytes()),
            ),
            Self::HopLimit(hops) => (IPPROTO_IPV6, libc::IPV6_HOPLIMIT, int(hops)),
            Self::Mark(mark) => (SOL_SOCKET, libc::SO_MARK, short(&mark.to_ne_bytes())),
            Self::PacketInfo(info) => (IPPROTO_IP, libc::IP_PKTINFO, short(&info.encode())),
            Self::PacketInfo6(info) => (IPPROTO_IPV6, libc::IPV6_PKTINFO, short(&info.encode())),
            Self::Priority(class) => (SOL_SOCKET, libc::SO_PRIORITY, short(&class.to_ne_bytes())),
            Self::Protocol(protocol) => (IPPROTO_IP, IP_PROTOCOL, int(protocol)),
            Self::Raw { level, kind, bytes } => (level.raw(), kind, Payload::Long(bytes)),
            Self::Rights(fds) => (SOL_SOCKET, libc::SCM_RIGHTS, Payload::Fds(fds)),
            Self::SegmentBytes(len) => (SOL_UDP, libc::UDP_SEGMENT, short(&len.to_ne_bytes())),
            Self::TlsRecord(kind) => (SOL_TLS, TLS_SET_RECORD_TYPE, short(&[kind])),
            Self::Tos(tos) => (IPPROTO_IP, libc::IP_TOS, int(tos)),
            Self::TrafficClass(class) => (IPPROTO_IPV6, libc::IPV6_TCLASS, int(class)),
            Self::TimestampKey(key) => (SOL_SOCKET, SCM_TS_OPT_ID, short(&key.to_ne_bytes())),
            Self::TransmitTime(nanos) => (SOL_SOCKET, SCM_TXTIME, short(&nanos.to_ne_bytes())),
            Self::TransmitTimestamps(which) => (
                SOL_SOCKET,
                libc::SO_TIMESTAMPING,
                short(&which.to_ne_bytes()),
            ),
            Self::Ttl(ttl) => (IPPROTO_IP, libc::IP_TTL, int(ttl)),
        }
    }
}

impl Payload<'_> {
    fn len(&self) -> Option<usize> {
        match self {
            Self::Short(_, len) => Some(*len),
            Self::Vector(bytes) => bytes.len().checked_add(size_of::<u32>()),
            Self::Long(bytes) => Some(bytes.len()),
            Self::Fds(fds) => fds.len().checked_mul(size_of::<c_int>()),
        }
    }

    /// Writes the payload to a place of its length.
    fn write(&self, place: &mut [u8]) -> Option<()> {
        match self {
            Self::Short(bytes, len) => place.copy_from_slice(bytes.get(..*len)?),
            Self::Long(bytes) => place.copy_from_slice(bytes),
            // struct af_alg_iv: the length, then the bytes.
            Self::Vector(bytes) => {
                let (len, rest) = place.split_first_chunk_mut()?;
                *len = u32::try_from(bytes.len()).ok()?.to_ne_bytes();
                rest.copy_from_slice(bytes);
            }
            Self::Fds(fds) => {
                for (place, fd) in place.chunks_exact_mut(size_of::<c_int>()).zip(*fds) {
                    place.copy_from_slice(&fd.as_raw_fd().to_ne_bytes());
                }
            }
        }
        Some(())
    }
}

/// Control messages to send, in memory that the kernel can read: on the stack
/// ([`ControlSpace::out`]) or on the heap. It borrows the descriptors in it, so that they are
/// still open when the message goes.
///
/// ```
/// use berkeley::{CmsgOut, ControlOut, PacketInfo6};
/// use std::net::Ipv6Addr;
///
/// # fn main() -> Result<(), berkeley::Error> {
/// let control = ControlOut::of(&[
///     CmsgOut::HopLimit(1),
///     CmsgOut::PacketInfo6(PacketInfo6 { interface: 1, addr: Ipv6Addr::LOCALHOST }),
/// ])?;
/// assert_eq!(control.as_bytes().len(), 24 + 40);
/// # Ok(())
/// # }
/// ```
///
/// # References
/// cmsg(3).
pub struct ControlOut<'a> {
    storage: Storage<'a>,
    filled: usize,
    fds: PhantomData<BorrowedFd<'a>>,
}

impl<const BYTES: usize> ControlSpace<BYTES> {
    /// This room, for sending.
    pub const fn out(&mut self) -> ControlOut<'_> {
        ControlOut {
            storage: self.storage(),
            filled: 0,
            fds: PhantomData,
        }
    }
}

impl<'a> ControlOut<'a> {
    /// Room on the heap for at least so many bytes of control messages.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            storage: Storage::heap(bytes),
            filled: 0,
            fds: PhantomData,
        }
    }

    /// These messages, on the heap.
    ///
    /// # Errors
    /// As [`ControlOut::push`].
    pub fn of(items: &[CmsgOut<'a>]) -> Result<Self> {
        let bytes = items
            .iter()
            .try_fold(0usize, |sum, item| sum.checked_add(item.space()?))
            .ok_or_else(|| Error::Invalid("control messages beyond what can be counted".into()))?;
        let mut control = Self::with_capacity(bytes);
        for item in items {
            control.push(*item)?;
        }
        Ok(control)
    }

    /// Adds a message.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no room for it, or for descriptors as raw bytes;
    /// [`Error::Unsupported`] for raw messages of RDS that name memory to be written. The buffer is
    /// then as it was.
    ///
    /// # References
    /// cmsg(3).
    pub fn push(&mut self, item: CmsgOut<'a>) -> Result<()> {
        let (level, kind, payload) = item.parts();
        if let (CmsgOut::Raw { .. }, libc::SOL_SOCKET, libc::SCM_RIGHTS | SCM_PIDFD) =
            (item, level, kind)
        {
            return Err(Error::Invalid(
                "descriptors are sent as such, not as raw bytes".into(),
            ));
        }
        if sys::option::control_writes_elsewhere(level, kind) {
            return Err(Error::Unsupported(format!(
                "control message {kind} of level {level} points to memory that is written to"
            )));
        }
        let room = self
            .storage
            .bytes_mut()
            .get_mut(self.filled..)
            .unwrap_or_default();
        let free = room.len();
        let space = payload.len().and_then(control_space);
        space
            .and_then(|space| {
                let place = room.get_mut(..space)?;
                let len = payload.len()?;
                // What was there before must not travel in the gap behind the payload.
                place.fill(0);
                let (header, rest) = place.split_first_chunk_mut::<HEADER_BYTES>()?;
                *header = Header::write(level, kind, len)?;
                payload.write(rest.get_mut(..len)?)?;
                self.filled += space;
                Some(())
            })
            .ok_or_else(|| match space {
                Some(space) => Error::Invalid(format!(
                    "a control message needs {space} bytes, and {free} are free"
                )),
                None => Error::Invalid("a control message beyond what can be counted".into()),
            })
    }

    /// Takes all messages out again.
    pub const fn clear(&mut self) {
        self.filled = 0;
    }

    /// The messages as the kernel reads them.
    ///
    /// # References
    /// cmsg(3).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.storage.bytes().get(..self.filled).unwrap_or_default()
    }
}

impl fmt::Debug for ControlOut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlOut")
            .field("capacity", &self.storage.bytes().len())
            .field("filled", &self.filled)
            .finish()
    }
}
