//! Control messages ("ancillary data"): what travels beside the data of a message, in both
//! directions, by its type and raw.

mod attributes;
mod extended;
mod family;
pub(crate) mod numbers;
mod received;
mod sent;
mod values;
pub(crate) mod walk;

pub use attributes::{Attribute, Attributes, TcpStats};
pub use extended::{ErrorOrigin, ExtendedError, ZeroCopyRange};
pub use family::{
    DeviceMemory, PacketAux, PathMtu, RdmaStatus, RxrpcEvent, TimestampPacket, TipcDestination,
    TipcError, TipcErrorCode,
};
pub use received::{Cmsg, Cmsgs};
pub use sent::{CmsgOut, ControlOut};
pub use values::{AlgOperation, Ecn, PacketInfo, PacketInfo6, Timestamps};
pub use walk::{control_len, control_space, raw_cmsgs};
