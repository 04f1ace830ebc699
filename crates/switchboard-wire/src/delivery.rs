//! What a hub writes to a program that asked for it: a room's entries, acknowledgements, and what
//! else there is to say about them.
//!
//! Nothing here is ever written to a program that sends plain parcels. Whoever asks does it by the
//! `sb` field of a header, see [`crate::parcel`].
//!
//! An entry is a header frame of JSON with a `msg_type`, then a payload frame, as a parcel is. An
//! answer is one frame of JSON without a `msg_type`, and no payload.
//!
//! Begin with [`EntryFrame`] and [`Answer`] to write, and with [`DeliveryDecoder`] to read.

mod answer;
mod decoder;
mod entry;
mod fields;

pub use self::answer::Answer;
pub use self::decoder::{Delivered, DeliveryDecoder, DeliveryError};
pub use self::entry::{EntryFrame, EntryKind};
