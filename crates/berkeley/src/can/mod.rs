//! Controller area networks beyond the socket: frames, error frames, the messages of the
//! broadcast manager ([`bcm`]) and the reports of J1939 ([`j1939`]).
//!
//! All of it is plain data. Addresses are [`crate::CanAddr`], options are in [`crate::opt::can`].
//!
//! ```
//! use berkeley::can::{CanId, ClassicFrame, Frame};
//!
//! let id = CanId::standard(0x123).unwrap();
//! let frame = ClassicFrame::new(id, b"hello")?;
//! let bytes = frame.encode(); // what a raw socket sends and receives
//! assert_eq!(Frame::decode(&bytes), Some(Frame::Classic(frame)));
//! # Ok::<(), berkeley::Error>(())
//! ```
//!
//! # References
//! The kernel's Documentation/networking/can.rst; `linux/can.h`, `linux/can/error.h`,
//! `linux/can/bcm.h`, `linux/can/j1939.h`.

pub mod bcm;
mod error;
mod frame;
pub mod j1939;
mod xl;

pub use error::{
    BusError, Controller, ErrorClass, ProtocolLocation, ProtocolViolation, Transceiver,
};
pub use frame::{CanId, ClassicFrame, FdFlags, FdFrame, Frame};
pub use xl::{XlFlags, XlFrame};

use crate::control::walk::{field, put};

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    field(bytes, at).map(u32::from_ne_bytes)
}
