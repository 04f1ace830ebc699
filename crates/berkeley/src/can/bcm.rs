//! Messages of CAN's broadcast manager, which sends frames again and again and tells when
//! received ones change ([`crate::Protocol::CAN_BCM`]).
//!
//! ```
//! use berkeley::can::bcm::{Flags, Frames, Message, Opcode};
//! use berkeley::can::{CanId, ClassicFrame};
//! use std::time::Duration;
//!
//! // Send a frame each 100 ms until told otherwise.
//! let id = CanId::standard(0x42).unwrap();
//! let frame = ClassicFrame::new(id, b"ping")?;
//! let message = Message {
//!     flags: Flags::SETTIMER | Flags::STARTTIMER,
//!     interval: Duration::from_millis(100),
//!     frames: Frames::Classic(vec![frame]),
//!     ..Message::new(Opcode::TX_SETUP, id)
//! };
//! // socket.send(&message.encode()?, MsgFlags::NONE)?, once it is connected to an interface
//! assert_eq!(Message::decode(&message.encode()?), Some(message));
//! # Ok::<(), berkeley::Error>(())
//! ```
//!
//! # References
//! The kernel's Documentation/networking/can.rst, "Broadcast Manager Protocol Sockets";
//! `linux/can/bcm.h`.

use core::ffi::c_long;
use core::mem::{offset_of, size_of};
use core::time::Duration;

use super::frame::{CanId, ClassicFrame, FdFrame};
use super::{put, u32_at};
use crate::error::{Error, Result};
use crate::names::flag_set;

type Head = libc::bcm_msg_head;

const LONG_BYTES: usize = size_of::<c_long>();
const FIRST_AT: usize = offset_of!(Head, ival1);
const INTERVAL_AT: usize = offset_of!(Head, ival2);
const ID_AT: usize = offset_of!(Head, can_id);
const COUNT_AT: usize = offset_of!(Head, nframes);

const _: () = {
    assert!(offset_of!(Head, opcode) == 0);
    assert!(offset_of!(Head, flags) == 4);
    assert!(offset_of!(Head, count) == 8);
    assert!(size_of::<libc::bcm_timeval>() == 2 * LONG_BYTES);
    assert!(offset_of!(libc::bcm_timeval, tv_usec) == LONG_BYTES);
    assert!(offset_of!(Head, frames) == Message::HEAD_BYTES);
};

open_newtype! {
    /// What a message asks for or tells (`TX_SETUP` and its kind; Python's `CAN_BCM_TX_SETUP`).
    Opcode: u32 {
        /// Begin to send frames again and again, or change how.
        TX_SETUP = 1;
        /// End that, by its identifier.
        TX_DELETE = 2;
        /// Ask how it is set up: the answer is [`Self::TX_STATUS`].
        TX_READ = 3;
        /// Send one frame now.
        TX_SEND = 4;
        /// Begin to watch received frames, or change how.
        RX_SETUP = 5;
        /// End that, by its identifier.
        RX_DELETE = 6;
        /// Ask how it is set up: the answer is [`Self::RX_STATUS`].
        RX_READ = 7;
        /// The answer to [`Self::TX_READ`].
        TX_STATUS = 8;
        /// The last frame of [`Message::count`] was sent.
        TX_EXPIRED = 9;
        /// The answer to [`Self::RX_READ`].
        RX_STATUS = 10;
        /// A frame that comes again and again did not.
        RX_TIMEOUT = 11;
        /// A frame came for the first time, or with other data.
        RX_CHANGED = 12;
    }
}

flag_set! {
    /// Flags of a message (`SETTIMER` and its kind; Python's `CAN_BCM_SETTIMER`), joined with `|`.
    Flags(u32) {
        /// Take over the intervals and the count.
        SETTIMER = 0x0001;
        /// Start the timer: the first frame leaves at once.
        STARTTIMER = 0x0002;
        /// Tell with [`Opcode::TX_EXPIRED`] when the count is at its end.
        TX_COUNTEVT = 0x0004;
        /// Send a change at once, not when the timer says so.
        TX_ANNOUNCE = 0x0008;
        /// Write the message's identifier to each frame.
        TX_CP_CAN_ID = 0x0010;
        /// Watch the identifier alone, whatever the data: no frames are given.
        RX_FILTER_ID = 0x0020;
        /// A change of the length is a change.
        RX_CHECK_DLC = 0x0040;
        /// The watch for a missing frame does not start by itself.
        RX_NO_AUTOTIMER = 0x0080;
        /// Tell when a frame comes again after [`Opcode::RX_TIMEOUT`], changed or not.
        RX_ANNOUNCE_RESUME = 0x0100;
        /// Begin with the first frame of several again.
        TX_RESET_MULTI_IDX = 0x0200;
        /// Answer a request for the frame (the frame given is the answer).
        RX_RTR_FRAME = 0x0400;
        /// The frames are of CAN FD. [`Message::encode`] sets this as [`Message::frames`] says.
        CAN_FD_FRAME = 0x0800;
    }
}

/// The frames of a message: all of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Frames {
    /// Of classic CAN.
    Classic(Vec<ClassicFrame>),
    /// Of CAN FD ([`Flags::CAN_FD_FRAME`], Linux 4.8).
    Fd(Vec<FdFrame>),
}

impl Frames {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Classic(frames) => frames.len(),
            Self::Fd(frames) => frames.len(),
        }
    }

    /// True for none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A message to or from the broadcast manager (`struct bcm_msg_head` and its frames).
#[doc(alias = "bcm_msg_head")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Message {
    /// What it asks for or tells.
    pub opcode: Opcode,
    /// How.
    pub flags: Flags,
    /// How often to send at the first interval, before the other begins.
    pub count: u32,
    /// `ival1`: when sending, the interval of the first [`Self::count`] frames; when receiving,
    /// after what time a frame is missing. Microseconds, rounded up.
    pub first_interval: Duration,
    /// `ival2`: when sending, the interval from then on; when receiving, the shortest pause
    /// between two messages about changes. Microseconds, rounded up.
    pub interval: Duration,
    /// The identifier that the job is known by, and that is watched.
    pub id: CanId,
    /// To be sent; when receiving, the bits that count (for several: the first one is the mask
    /// of what tells them apart). In answers: what came.
    pub frames: Frames,
}

impl Message {
    /// Frames that one message may have: the kernel takes 256 to send, and 257 to watch.
    #[doc(alias = "MAX_NFRAMES")]
    pub const FRAMES_MAX: usize = 257;

    /// Bytes before the first frame.
    pub const HEAD_BYTES: usize = size_of::<Head>();

    /// Bytes of the longest message: the buffer to receive into.
    pub const BYTES_MAX: usize = Self::HEAD_BYTES + Self::FRAMES_MAX * FdFrame::BYTES;

    /// A message without flags, times and frames: all that some need (`TX_DELETE`, `RX_READ`).
    #[must_use]
    pub const fn new(opcode: Opcode, id: CanId) -> Self {
        Self {
            opcode,
            flags: Flags::NONE,
            count: 0,
            first_interval: Duration::ZERO,
            interval: Duration::ZERO,
            id,
            frames: Frames::Classic(Vec::new()),
        }
    }

    /// The message as the socket sends it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than [`Self::FRAMES_MAX`] frames.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let count = self.frames.len();
        let nframes = u32::try_from(count)
            .ok()
            .filter(|_| count <= Self::FRAMES_MAX)
            .ok_or_else(|| {
                let max = Self::FRAMES_MAX;
                Error::Invalid(format!("a message has at most {max} frames, not {count}"))
            })?;
        let fd = Flags::CAN_FD_FRAME.raw();
        let flags = match self.frames {
            Frames::Classic(_) => self.flags.raw() & !fd,
            Frames::Fd(_) => self.flags.raw() | fd,
        };
        let mut head = [0; Self::HEAD_BYTES];
        let parts: [(usize, &[u8]); 7] = [
            (0, &self.opcode.raw().to_ne_bytes()),
            (4, &flags.to_ne_bytes()),
            (8, &self.count.to_ne_bytes()),
            (FIRST_AT, &timeval(self.first_interval)),
            (INTERVAL_AT, &timeval(self.interval)),
            (ID_AT, &self.id.raw().to_ne_bytes()),
            (COUNT_AT, &nframes.to_ne_bytes()),
        ];
        for (at, part) in parts {
            let written = put(&mut head, at, part);
            debug_assert!(written.is_some(), "the parts fit");
        }
        let mut bytes = head.to_vec();
        match &self.frames {
            Frames::Classic(frames) => bytes.extend(frames.iter().flat_map(ClassicFrame::encode)),
            Frames::Fd(frames) => bytes.extend(frames.iter().flat_map(FdFrame::encode)),
        }
        Ok(bytes)
    }

    /// Reads what the socket received; `None` if it is too short, has other frames than it says,
    /// or a time that is none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(Self::HEAD_BYTES)?;
        let flags = Flags::from_raw(u32_at(head, 4)?);
        let count = usize::try_from(u32_at(head, COUNT_AT)?).ok()?;
        let frames = if flags.contains(Flags::CAN_FD_FRAME) {
            Frames::Fd(frames(rest, count, FdFrame::BYTES, FdFrame::decode)?)
        } else {
            let each = ClassicFrame::BYTES;
            Frames::Classic(frames(rest, count, each, ClassicFrame::decode)?)
        };
        Some(Self {
            opcode: Opcode::from_raw(u32_at(head, 0)?),
            // The frames tell this one.
            flags: Flags::from_raw(flags.raw() & !Flags::CAN_FD_FRAME.raw()),
            count: u32_at(head, 8)?,
            first_interval: duration(head.get(FIRST_AT..)?)?,
            interval: duration(head.get(INTERVAL_AT..)?)?,
            id: CanId::from_raw(u32_at(head, ID_AT)?),
            frames,
        })
    }
}

/// So many frames of `each` bytes, and nothing else.
fn frames<T>(
    bytes: &[u8],
    count: usize,
    each: usize,
    decode: fn(&[u8]) -> Option<T>,
) -> Option<Vec<T>> {
    (count.checked_mul(each)? == bytes.len()).then_some(())?;
    bytes.chunks_exact(each).map(decode).collect()
}

/// `struct bcm_timeval`. No time is ever shorter than asked for.
fn timeval(time: Duration) -> [u8; 2 * LONG_BYTES] {
    let micros = time.as_nanos().div_ceil(1000);
    let whole = c_long::try_from(micros / 1_000_000).unwrap_or(c_long::MAX);
    let rest = c_long::try_from(micros % 1_000_000).unwrap_or(0);
    let mut bytes = [0; 2 * LONG_BYTES];
    let (first, second) = bytes.split_at_mut(LONG_BYTES);
    first.copy_from_slice(&whole.to_ne_bytes());
    second.copy_from_slice(&rest.to_ne_bytes());
    bytes
}

fn duration(bytes: &[u8]) -> Option<Duration> {
    let (whole, rest) = bytes.split_first_chunk::<LONG_BYTES>()?;
    let micros = c_long::from_ne_bytes(*rest.first_chunk::<LONG_BYTES>()?);
    let micros = u32::try_from(micros).ok().filter(|n| *n < 1_000_000)?;
    let whole = u64::try_from(c_long::from_ne_bytes(*whole)).ok()?;
    Some(Duration::new(whole, micros * 1000))
}
