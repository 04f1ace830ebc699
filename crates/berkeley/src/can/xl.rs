//! Frames of CAN XL: `struct canxl_frame`.

use core::mem::{offset_of, size_of};

use super::frame::too_long;
use super::{field, u32_at};
use crate::addr::CanAddr;
use crate::error::{Error, Result};
use crate::names::flag_set;

const FLAGS_AT: usize = 4;
const KIND_AT: usize = 5;
const LEN_AT: usize = 6;
const ACCEPTANCE_AT: usize = 8;
const HEAD_BYTES: usize = 12;

const _: () = {
    assert!(offset_of!(libc::canxl_frame, prio) == 0);
    assert!(offset_of!(libc::canxl_frame, flags) == FLAGS_AT);
    assert!(offset_of!(libc::canxl_frame, sdt) == KIND_AT);
    assert!(offset_of!(libc::canxl_frame, len) == LEN_AT);
    assert!(offset_of!(libc::canxl_frame, af) == ACCEPTANCE_AT);
    assert!(offset_of!(libc::canxl_frame, data) == HEAD_BYTES);
    assert!(size_of::<libc::canxl_frame>() == XlFrame::BYTES_MAX);
};

flag_set! {
    /// Flags of a CAN XL frame (`CANXL_*`), joined with `|`.
    XlFlags(u8) {
        /// The content is encrypted or a piece of something longer (`CANXL_SEC`).
        SIMPLE_EXTENDED_CONTENT = 1;
        /// The bit in the place of a remote request (`CANXL_RRS`, Linux 6.17).
        REMOTE_REQUEST_SUBSTITUTION = 2;
        /// The frame is one of CAN XL (`CANXL_XLF`): set in each.
        XL_FORMAT = 0x80;
    }
}

/// A frame of CAN XL: 1 to 2048 bytes (`struct canxl_frame`, Linux 6.2).
///
/// # References
/// The kernel's Documentation/networking/can.rst, "RAW Protocol Sockets with CAN XL Support".
#[doc(alias = "canxl_frame")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct XlFrame {
    priority: u32,
    flags: XlFlags,
    kind: u8,
    acceptance: u32,
    data: Vec<u8>,
}

impl XlFrame {
    /// The longest frame (`CANXL_MTU`).
    pub const BYTES_MAX: usize = HEAD_BYTES + Self::DATA_MAX;

    /// Bytes of data at most (`CANXL_MAX_DLEN`).
    #[doc(alias = "CANXL_MAX_DLEN")]
    pub const DATA_MAX: usize = 2048;

    /// A frame: its priority of 11 bits, the type of its content (`sdt`), the acceptance field
    /// and the data.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a larger priority, or for no data or more than
    /// [`Self::DATA_MAX`] bytes.
    pub fn new(priority: u16, kind: u8, acceptance: u32, data: &[u8]) -> Result<Self> {
        let priority = u32::from(priority);
        if priority > CanAddr::SFF_MASK {
            let words = format!("a priority of CAN XL has 11 bits: {priority:#x}");
            return Err(Error::Invalid(words));
        }
        if data.is_empty() {
            return Err(Error::Invalid("a frame of CAN XL has data".into()));
        }
        if data.len() > Self::DATA_MAX {
            return Err(too_long(data.len(), Self::DATA_MAX));
        }
        Ok(Self {
            priority,
            flags: XlFlags::XL_FORMAT,
            kind,
            acceptance,
            data: data.to_vec(),
        })
    }

    /// The same frame with more flags.
    #[must_use]
    pub fn with_flags(mut self, flags: XlFlags) -> Self {
        self.flags = flags | XlFlags::XL_FORMAT;
        self
    }

    /// The same frame in a virtual network (`CANXL_VCID_MASK`, Linux 6.9), for sockets that pass
    /// it on ([`crate::opt::can::RawXlVcid`]).
    #[must_use]
    #[doc(alias = "CANXL_VCID_OFFSET")]
    pub fn with_network(mut self, vcid: u8) -> Self {
        self.priority = self.priority & !(0xff << 16) | u32::from(vcid) << 16;
        self
    }

    /// The priority: lower ones win.
    #[must_use]
    #[doc(alias = "CANXL_PRIO_MASK")]
    pub const fn priority(&self) -> u32 {
        self.priority & CanAddr::SFF_MASK
    }

    /// The virtual network (`VCID`), 0 where there is none.
    #[must_use]
    pub const fn network(&self) -> u8 {
        let [_, vcid, _, _] = self.priority.to_be_bytes();
        vcid
    }

    /// The flags.
    #[must_use]
    pub const fn flags(&self) -> XlFlags {
        self.flags
    }

    /// The type of the content (`sdt`).
    #[must_use]
    pub const fn kind(&self) -> u8 {
        self.kind
    }

    /// The acceptance field (`af`): an address or what else the content's type makes of it.
    #[must_use]
    pub const fn acceptance(&self) -> u32 {
        self.acceptance
    }

    /// The data.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The frame as a raw socket sends it, after [`crate::opt::can::RawXlFrames`]: as long as its
    /// data make it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let len = u16::try_from(self.data.len()).unwrap_or(0);
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.data.len());
        bytes.extend_from_slice(&self.priority.to_ne_bytes());
        bytes.extend_from_slice(&[self.flags.raw(), self.kind]);
        bytes.extend_from_slice(&len.to_ne_bytes());
        bytes.extend_from_slice(&self.acceptance.to_ne_bytes());
        bytes.extend_from_slice(&self.data);
        bytes
    }

    /// Reads a frame that a raw socket received; `None` if it does not have the flag of CAN XL,
    /// or not the data that it promises.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let flags = XlFlags::from_raw(*bytes.get(FLAGS_AT)?);
        let len = usize::from(u16::from_ne_bytes(field(bytes, LEN_AT)?));
        let data = bytes.get(HEAD_BYTES..)?.get(..len)?;
        let is_one = flags.contains(XlFlags::XL_FORMAT) && (1..=Self::DATA_MAX).contains(&len);
        is_one.then_some(())?;
        Some(Self {
            priority: u32_at(bytes, 0)?,
            flags,
            kind: *bytes.get(KIND_AT)?,
            acceptance: u32_at(bytes, ACCEPTANCE_AT)?,
            data: data.to_vec(),
        })
    }
}
