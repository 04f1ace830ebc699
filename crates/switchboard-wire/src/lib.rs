//! Every protocol of the switchboard as pure data.
//!
//! Bytes and the time in, events out; values in, bytes out. What is here decides what the bytes of
//! a stranger mean and nothing else: it never opens, reads, writes or waits, has no clock (an
//! [`Instant`](std::time::Instant) comes in as data), no randomness and no threads. So the same
//! bytes mean the same on each run, however a network cut them into pieces.
//!
//! Nothing that arrives makes it panic, and its memory grows with the bytes that arrived, never
//! with a length that was claimed. Each bound has a name in [`limits`].
//!
//! Where to begin:
//!
//! - [`frame`]: a length, then bytes. [`FrameDecoder`].
//! - [`parcel`]: messages and files over frames. [`ParcelMachine`].
//! - [`delivery`]: what a hub writes to a program that asked for it: entries, acknowledgements.
//! - [`http`]: downloads by HTTP/1.1. [`http::ResponseDecoder`], [`http::HttpUrl`].
//! - [`line`](mod@line): the chat, one line one message. [`LineDecoder`], [`chat_lines`].
//! - [`command`]: lines that speak to the hub. [`Command`].
//! - [`name`]: what members and rooms are called. [`Nick`], [`RoomName`].
//! - [`strftime`]: the time, formatted as the asker likes it.
//! - [`file_name`] and [`text`]: what strangers call their files and write, made safe.
//!
//! Decoders take from the front of what they are pushed and are called until they give `None`:
//!
//! ```
//! use switchboard_wire::{Command, Line, LineDecoder, chat_lines, limits};
//!
//! let mut decoder = LineDecoder::new(limits::LINE_BYTES_MAX);
//! let mut told = Vec::new();
//! for mut piece in [&b"/nick ali"[..], b"ce\nhel", b"lo\n"] {
//!     while let Some(line) = decoder.push(&mut piece) {
//!         let Line::Text(text) = line else { continue };
//!         match Command::parse(&text) {
//!             Some(command) => assert_eq!(command, Command::Nick("alice".to_owned())),
//!             None => told.extend(chat_lines("alice", &text)),
//!         }
//!     }
//! }
//! assert_eq!(told, ["alice:hello\n"]);
//! ```

#![forbid(unsafe_code)]
#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod buffer;
pub mod command;
pub mod delivery;
pub mod file_name;
pub mod frame;
pub mod http;
mod json;
pub mod limits;
pub mod line;
pub mod name;
pub mod parcel;
pub mod strftime;
pub mod text;

pub use command::Command;
pub use delivery::{Answer, Delivered, DeliveryDecoder, DeliveryError, EntryFrame, EntryKind};
pub use file_name::{FileName, NameError};
pub use frame::{FrameDecoder, FrameError};
pub use line::{Line, LineDecoder, chat_lines, notice, write_chat_lines};
pub use name::{Nick, NickError, RoomName, RoomNameError, Topic, TopicError};
pub use parcel::{
    Content, ContentHash, Fields, Follow, MessageId, ParcelError, ParcelEvent, ParcelLimits,
    ParcelMachine, Refusal,
};
pub use text::clean;
