//! Frames of CAN and CAN FD: `struct can_frame`, `struct canfd_frame`.

use core::fmt;
use core::mem::{offset_of, size_of};

use super::xl::XlFrame;
use super::{put, u32_at};
use crate::addr::CanAddr;
use crate::error::{Error, Result};
use crate::names::flag_set;

const _: () = {
    assert!(size_of::<libc::can_frame>() == ClassicFrame::BYTES);
    assert!(offset_of!(libc::can_frame, can_id) == 0);
    assert!(offset_of!(libc::can_frame, can_dlc) == LEN_AT);
    assert!(offset_of!(libc::can_frame, data) == DATA_AT);
    assert!(size_of::<libc::canfd_frame>() == FdFrame::BYTES);
    assert!(offset_of!(libc::canfd_frame, len) == LEN_AT);
    assert!(offset_of!(libc::canfd_frame, flags) == FD_FLAGS_AT);
    assert!(offset_of!(libc::canfd_frame, data) == DATA_AT);
};

const LEN_AT: usize = 4;
const FD_FLAGS_AT: usize = 5;
/// `len8_dlc`, which libc names no more exactly than "reserved".
const LEN8_DLC_AT: usize = 7;
const DATA_AT: usize = 8;

/// A frame's identifier with its three flags (`canid_t`).
///
/// As text it is what candump(1) writes: three digits for a short one, eight for a long one.
///
/// # References
/// `canid_t` in `linux/can.h`.
#[doc(alias = "canid_t")]
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanId(u32);

impl CanId {
    /// An identifier of 11 bits; `None` for a larger number.
    #[must_use]
    pub const fn standard(number: u16) -> Option<Self> {
        // Not `u32::from`, which no constant can call.
        let number = number as u32;
        if number > CanAddr::SFF_MASK {
            return None;
        }
        Some(Self(number))
    }

    /// An identifier of 29 bits (`CAN_EFF_FLAG`); `None` for a larger number.
    #[must_use]
    pub const fn extended(number: u32) -> Option<Self> {
        if number > CanAddr::EFF_MASK {
            return None;
        }
        Some(Self(number | CanAddr::EFF_FLAG))
    }

    /// The identifier with its flags as the kernel has it.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// The number with its flags.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The number alone: 29 bits of an extended identifier, else 11.
    #[must_use]
    pub const fn number(self) -> u32 {
        let mask = if self.is_extended() || self.is_error() {
            CanAddr::EFF_MASK
        } else {
            CanAddr::SFF_MASK
        };
        self.0 & mask
    }

    /// True for 29 bits (`CAN_EFF_FLAG`).
    #[must_use]
    pub const fn is_extended(self) -> bool {
        self.0 & CanAddr::EFF_FLAG != 0
    }

    /// True if the frame asks for one instead of carrying data (`CAN_RTR_FLAG`).
    #[must_use]
    pub const fn is_remote(self) -> bool {
        self.0 & CanAddr::RTR_FLAG != 0
    }

    /// True if the frame tells of an error on the bus (`CAN_ERR_FLAG`):
    /// [`super::BusError`] reads it.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 & CanAddr::ERR_FLAG != 0
    }

    const fn remote(self) -> Self {
        Self(self.0 | CanAddr::RTR_FLAG)
    }
}

impl fmt::Display for CanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_error() {
            write!(f, "{:08X}", self.0)
        } else if self.is_extended() {
            write!(f, "{:08X}", self.number())
        } else {
            write!(f, "{:03X}", self.number())
        }
    }
}

impl fmt::Debug for CanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CanId({:#x})", self.0)
    }
}

/// A frame of classic CAN: up to eight bytes (`struct can_frame`).
///
/// # References
/// `struct can_frame` in `linux/can.h`.
#[doc(alias = "can_frame")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClassicFrame {
    id: CanId,
    len: u8,
    len8_dlc: u8,
    data: [u8; Self::DATA_MAX],
}

impl ClassicFrame {
    /// Bytes that a raw socket sends and receives for a frame (`CAN_MTU`).
    #[doc(alias = "CAN_MTU")]
    pub const BYTES: usize = 16;

    /// Bytes of data that it holds (`CAN_MAX_DLEN`).
    #[doc(alias = "CAN_MAX_DLEN")]
    pub const DATA_MAX: usize = 8;

    /// The largest length code (`CAN_MAX_RAW_DLC`).
    #[doc(alias = "CAN_MAX_RAW_DLC")]
    pub const DLC_MAX: u8 = 15;

    /// A frame with data.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than [`Self::DATA_MAX`] bytes.
    pub fn new(id: CanId, data: &[u8]) -> Result<Self> {
        let mut frame = Self {
            id,
            len: length(data, Self::DATA_MAX)?,
            len8_dlc: 0,
            data: [0; Self::DATA_MAX],
        };
        fill(&mut frame.data, data);
        Ok(frame)
    }

    /// A frame that asks for one of `len` bytes with this identifier (`CAN_RTR_FLAG`).
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than [`Self::DATA_MAX`] bytes.
    pub fn remote(id: CanId, len: usize) -> Result<Self> {
        let zeros = [0; Self::DATA_MAX];
        let data = zeros.get(..len).ok_or_else(|| too_long(len, 8))?;
        Self::new(id.remote(), data)
    }

    /// The same frame of eight bytes with a length code of 9 to 15 (`len8_dlc`), where the
    /// controller has been told to pass such codes on; `None` for another length or code.
    #[must_use]
    pub const fn with_dlc(mut self, dlc: u8) -> Option<Self> {
        if self.len != 8 || dlc < 9 || dlc > Self::DLC_MAX {
            return None;
        }
        self.len8_dlc = dlc;
        Some(self)
    }

    /// The identifier.
    #[must_use]
    pub const fn id(&self) -> CanId {
        self.id
    }

    /// The data. For a frame that asks for one, as many zeros as it asks for bytes.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.data.get(..usize::from(self.len)).unwrap_or(&self.data)
    }

    /// The length code on the wire: the number of bytes, or 9 to 15 for eight of them.
    #[must_use]
    pub const fn dlc(&self) -> u8 {
        if self.len8_dlc == 0 {
            self.len
        } else {
            self.len8_dlc
        }
    }

    /// The frame as a raw socket sends it.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let [a, b, c, d] = self.id.0.to_ne_bytes();
        let [s, t, u, v, w, x, y, z] = self.data;
        let (len, dlc) = (self.len, self.len8_dlc);
        [a, b, c, d, len, 0, 0, dlc, s, t, u, v, w, x, y, z]
    }

    /// Reads a frame that a raw socket received; `None` if it is too short for one, or says that
    /// it has more than eight bytes of data. A length code that does not go with the length is
    /// left out.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..Self::BYTES)?;
        let len = *bytes.get(LEN_AT)?;
        let data = bytes.get(DATA_AT..)?.get(..usize::from(len))?;
        let frame = Self::new(CanId(u32_at(bytes, 0)?), data).ok()?;
        let dlc = *bytes.get(LEN8_DLC_AT)?;
        Some(frame.with_dlc(dlc).unwrap_or(frame))
    }
}

flag_set! {
    /// Flags of a CAN FD frame (`CANFD_*`), joined with `|`.
    FdFlags(u8) {
        /// The data go at the second bit rate (`CANFD_BRS`).
        BIT_RATE_SWITCH = 1;
        /// The sender is in the error-passive state (`CANFD_ESI`).
        ERROR_STATE = 2;
        /// The frame is one of CAN FD, where both kinds share the structure (`CANFD_FDF`).
        FD_FORMAT = 4;
    }
}

/// A frame of CAN FD: up to 64 bytes (`struct canfd_frame`).
///
/// On the bus it has 0 to 8, 12, 16, 20, 24, 32, 48 or 64 bytes: a controller fills others up.
///
/// # References
/// `struct canfd_frame` in `linux/can.h`.
#[doc(alias = "canfd_frame")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FdFrame {
    id: CanId,
    len: u8,
    flags: FdFlags,
    data: [u8; Self::DATA_MAX],
}

impl FdFrame {
    /// Bytes that a raw socket sends and receives for a frame (`CANFD_MTU`).
    #[doc(alias = "CANFD_MTU")]
    pub const BYTES: usize = 72;

    /// Bytes of data that it holds (`CANFD_MAX_DLEN`).
    #[doc(alias = "CANFD_MAX_DLEN")]
    pub const DATA_MAX: usize = 64;

    /// A frame with data.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than [`Self::DATA_MAX`] bytes.
    pub fn new(id: CanId, flags: FdFlags, data: &[u8]) -> Result<Self> {
        let mut frame = Self {
            id,
            len: length(data, Self::DATA_MAX)?,
            flags,
            data: [0; Self::DATA_MAX],
        };
        fill(&mut frame.data, data);
        Ok(frame)
    }

    /// The identifier.
    #[must_use]
    pub const fn id(&self) -> CanId {
        self.id
    }

    /// The flags.
    #[must_use]
    pub const fn flags(&self) -> FdFlags {
        self.flags
    }

    /// The data.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.data.get(..usize::from(self.len)).unwrap_or(&self.data)
    }

    /// The frame as a raw socket sends it, after [`crate::opt::can::RawFdFrames`].
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let head = [self.len, self.flags.raw()];
        let parts: [(usize, &[u8]); 3] = [
            (0, &self.id.0.to_ne_bytes()),
            (LEN_AT, &head),
            (DATA_AT, &self.data),
        ];
        for (at, part) in parts {
            let written = put(&mut bytes, at, part);
            debug_assert!(written.is_some(), "the parts fit");
        }
        bytes
    }

    /// Reads a frame that a raw socket received; `None` if it is too short for one, or says that
    /// it has more than 64 bytes of data.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..Self::BYTES)?;
        let len = *bytes.get(LEN_AT)?;
        let data = bytes.get(DATA_AT..)?.get(..usize::from(len))?;
        let flags = FdFlags::from_raw(*bytes.get(FD_FLAGS_AT)?);
        Self::new(CanId(u32_at(bytes, 0)?), flags, data).ok()
    }
}

/// What a raw socket receives: a frame of any of the three kinds.
///
/// # References
/// The kernel's Documentation/networking/can.rst.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Frame {
    /// Of classic CAN.
    Classic(ClassicFrame),
    /// Of CAN FD, after [`crate::opt::can::RawFdFrames`].
    Fd(FdFrame),
    /// Of CAN XL, after [`crate::opt::can::RawXlFrames`].
    Xl(XlFrame),
}

impl Frame {
    /// Bytes that any frame needs (`CANXL_MTU`): the buffer to receive into.
    #[doc(alias = "CANXL_MTU")]
    pub const BYTES_MAX: usize = XlFrame::BYTES_MAX;

    /// Reads what a raw socket received. The length and the flag of CAN XL tell the kind, as they
    /// do in the kernel. `None` for what is none of them.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if let Some(frame) = XlFrame::decode(bytes) {
            return Some(Self::Xl(frame));
        }
        match bytes.len() {
            ClassicFrame::BYTES => ClassicFrame::decode(bytes).map(Self::Classic),
            FdFrame::BYTES => FdFrame::decode(bytes).map(Self::Fd),
            _ => None,
        }
    }

    /// The frame as a raw socket sends it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Classic(frame) => frame.encode().to_vec(),
            Self::Fd(frame) => frame.encode().to_vec(),
            Self::Xl(frame) => frame.encode(),
        }
    }
}

fn length(data: &[u8], max: usize) -> Result<u8> {
    match u8::try_from(data.len()) {
        Ok(len) if data.len() <= max => Ok(len),
        _ => Err(too_long(data.len(), max)),
    }
}

pub(super) fn too_long(len: usize, max: usize) -> Error {
    Error::Invalid(format!(
        "a frame holds at most {max} bytes of data, not {len}"
    ))
}

fn fill(place: &mut [u8], data: &[u8]) {
    for (byte, value) in place.iter_mut().zip(data) {
        *byte = *value;
    }
}
