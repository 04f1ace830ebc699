//! Control messages ("ancillary data"): what travels beside the data of a message, in both
//! directions, by its type and raw.

mod extended;
pub(crate) mod numbers;
mod received;
mod sent;
mod values;
pub(crate) mod walk;

pub use extended::{ErrorOrigin, ExtendedError, ZeroCopyRange};
pub use received::{Cmsg, Cmsgs};
pub use sent::{CmsgOut, ControlOut};
pub use values::{AlgOperation, Ecn, PacketInfo, PacketInfo6, Timestamps};
pub use walk::{control_len, control_space};
