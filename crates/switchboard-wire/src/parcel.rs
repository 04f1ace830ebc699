//! Parcels: a header frame in JSON, then a frame with the payload, a message or a file.
//!
//! It reads and writes the plain form, which is never answered, and the headers of programs that
//! ask for answers: those have an `sb` field, [`Fields::wants_ack`] or a [`Follow`]. The answers
//! themselves are in [`crate::delivery`]. It stores nothing: a file passes through in the pieces it
//! came in.
//!
//! Begin with [`ParcelMachine`] to read, and with [`message_parcel`] and [`file_header`] to write.

mod header;
mod machine;

use std::time::Duration;

pub use self::header::{Content, ContentHash, Fields, Follow, MessageId};
pub use self::machine::ParcelMachine;
use crate::file_name::{FileName, NameError};
use crate::frame::{self, FrameError};
use crate::limits;
use crate::name::{NickError, RoomNameError};

/// What a [`ParcelMachine`] takes, and for how long it waits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParcelLimits {
    /// The longest header frame, in bytes.
    pub header_bytes: u32,
    /// The longest message, in bytes.
    pub message_bytes: u32,
    /// The largest file, in bytes, and the largest payload of a refused parcel.
    pub file_bytes: u32,
    /// The most lines of a message, counted as [`str::lines`] does.
    pub message_lines: usize,
    /// How long the peer may be silent between parcels.
    pub idle: Duration,
    /// How long a parcel may take from its first byte, besides what its payload's size allows for.
    pub frame: Duration,
    /// The slowest payload waited for, in bytes per second, on average; zero counts as one.
    pub file_bytes_per_second_min: u32,
}

impl Default for ParcelLimits {
    fn default() -> Self {
        Self {
            header_bytes: limits::HEADER_BYTES_MAX,
            message_bytes: limits::MESSAGE_BYTES_MAX,
            file_bytes: limits::FILE_BYTES_MAX,
            message_lines: limits::MESSAGE_LINES_MAX,
            idle: limits::PARCEL_IDLE,
            frame: limits::FRAME_TIME,
            file_bytes_per_second_min: limits::FILE_RATE_MIN,
        }
    }
}

/// What a [`ParcelMachine`] read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ParcelEvent<'a> {
    /// The peer has said all it wanted: it may be hung up on.
    Close,
    /// A file, or the rest of one that was offered, begins: that many bytes of [`Self::FileData`]
    /// follow, then [`Self::FileEnd`].
    FileBegin {
        /// What to call it, made safe.
        name: FileName,
        /// How many bytes follow.
        bytes: u32,
        /// What else its header says.
        fields: Fields,
    },
    /// The next bytes of the file, never none, borrowed from what was pushed.
    FileData(&'a [u8]),
    /// The file is whole.
    FileEnd,
    /// A file is announced whose sender waits to be told how much of it is there already;
    /// [`Self::FileBegin`] follows.
    FileOffered {
        /// The whole file.
        content: Content,
        /// The sender's own number for it.
        id: Option<MessageId>,
    },
    /// The peer wants to receive what happens in a room.
    Follow(Follow),
    /// A whole message.
    Message {
        /// Its text, as it came: not cleaned.
        text: String,
        /// What else its header says.
        fields: Fields,
    },
    /// A parcel could not be used, and the conversation goes on; said once per parcel.
    Refused {
        /// What is wrong with it.
        what: Refusal,
        /// What could be read of its header, at least whether it wants to be answered.
        fields: Fields,
    },
}

/// Why a well-framed parcel was not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A field is not a whole number from 0, or `reply_to` not one from 1.
    #[error("the header's `{field}` must be a whole number")]
    FieldNotNumber {
        /// Which.
        field: &'static str,
    },
    /// A field is not a string.
    #[error("the header's `{field}` must be a string")]
    FieldNotText {
        /// Which.
        field: &'static str,
    },
    /// The `sb` is not an object with a number `v`, or its `want` not a list of strings.
    #[error("the header's `sb` must be an object with a number `v` and a list of strings `want`")]
    ExtensionMalformed,
    /// A file is to be resumed of which nothing is known.
    #[error("to resume a file its header's `sb` needs `size` and `blake3`")]
    ContentMissing,
    /// A file's header has no `file_name`.
    #[error("the file has no name: its header needs a `file_name`")]
    FileNameMissing,
    /// The `file_name` is not a string.
    #[error("the file's name is not text: `file_name` must be a string")]
    FileNameNotText,
    /// The `file_name` is no usable name.
    #[error(transparent)]
    FileNameUnusable(NameError),
    /// The file's `size` is more than is taken.
    #[error("the file has {bytes} bytes, and at most {max} are taken")]
    FileTooLarge {
        /// Its size in bytes.
        bytes: u64,
        /// How many it may have.
        max: u32,
    },
    /// The `from` is no usable name.
    #[error("`from`: {0}")]
    FromUnusable(NickError),
    /// The `blake3` is not 64 hexadecimal digits.
    #[error("`blake3` must be 64 hexadecimal digits")]
    HashUnusable,
    /// The header is JSON, but not an object.
    #[error("the header is not a JSON object")]
    HeaderNotObject,
    /// The `id` is not 1 to 64 printable ASCII characters.
    #[error(
        "`id` must be 1 to {} printable ASCII characters",
        limits::MESSAGE_ID_BYTES_MAX
    )]
    IdUnusable,
    /// A `join` does not say by `sb` that its sender reads what is written to it.
    #[error("to follow a room a header needs `sb` with `v` 2: others are never written to")]
    JoinUnanswered,
    /// The message's bytes are not UTF-8.
    #[error("the message is not UTF-8 text: byte {valid_bytes} begins no character")]
    MessageNotUtf8 {
        /// How many bytes at its front are.
        valid_bytes: usize,
    },
    /// The message has too many lines.
    #[error("the message has {lines} lines, and at most {max} are taken")]
    MessageTooManyLines {
        /// How many it has.
        lines: usize,
        /// How many it may have.
        max: usize,
    },
    /// The `room` is no usable name.
    #[error("`room`: {0}")]
    RoomUnusable(RoomNameError),
    /// The header has no `msg_type`.
    #[error("the header does not say what the parcel is: it needs a `msg_type`")]
    TypeMissing,
    /// The `msg_type` is not a string.
    #[error("the header's `msg_type` must be a string")]
    TypeNotText,
    /// The `msg_type` is none of those known here.
    #[error("there is no parcel type `{msg_type}`: the types are `msg`, `file` and `join`")]
    TypeUnknown {
        /// The type, cleaned, and shortened to its first characters.
        msg_type: String,
    },
}

/// Why a conversation in parcels cannot go on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParcelError {
    /// The bytes are not frames, or the stream ended inside one.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A header frame is neither JSON nor `close`.
    #[error("a header of {bytes} bytes is not JSON: {reason}")]
    HeaderNotJson {
        /// The header's length in bytes.
        bytes: usize,
        /// What the JSON reader says, without the peer's text.
        reason: String,
    },
    /// No byte came between parcels for too long.
    #[error("idle: nothing was sent for {} seconds", .idle.as_secs_f64())]
    Idle {
        /// How long the peer was allowed to be silent.
        idle: Duration,
    },
    /// A parcel was not whole in its time.
    #[error("a parcel was not whole after {} seconds", .allowed.as_secs_f64())]
    Slow {
        /// How long it was allowed to take.
        allowed: Duration,
    },
    /// The stream ended after a header, before its payload.
    #[error("the stream ended after a parcel's header, without its payload")]
    TruncatedParcel,
}

/// Writes a whole message parcel.
///
/// The receiver also refuses more than [`MESSAGE_LINES_MAX`](limits::MESSAGE_LINES_MAX) lines,
/// without an answer: that is for the caller to check.
///
/// # Errors
/// [`FrameError::TooLong`] above [`MESSAGE_BYTES_MAX`](limits::MESSAGE_BYTES_MAX).
pub fn message_parcel(text: &str) -> Result<Vec<u8>, FrameError> {
    message_parcel_with(text, &Fields::default())
}

/// The same with more in its header: a room, a name, a wish to be answered.
///
/// # Errors
/// As [`message_parcel`].
pub fn message_parcel_with(text: &str, fields: &Fields) -> Result<Vec<u8>, FrameError> {
    let mut out = Vec::new();
    let header = header::message(fields);
    frame::encode_within(header.as_bytes(), limits::HEADER_BYTES_MAX, &mut out)?;
    frame::encode_within(text.as_bytes(), limits::MESSAGE_BYTES_MAX, &mut out)?;
    Ok(out)
}

/// Writes what goes before a file: its header frame and the prefix of its payload.
///
/// Exactly `bytes` bytes of the file must follow. `name` is sent as it stands; the receiver reduces
/// it.
///
/// # Errors
/// [`FrameError::TooLong`] for a file above [`FILE_BYTES_MAX`](limits::FILE_BYTES_MAX), or a name
/// that makes the header longer than [`HEADER_BYTES_MAX`](limits::HEADER_BYTES_MAX).
pub fn file_header(name: &str, bytes: u32) -> Result<Vec<u8>, FrameError> {
    file_header_with(name, bytes, &Fields::default())
}

/// The same with more in the header: a room, a name, a wish to be answered.
///
/// # Errors
/// As [`file_header`].
pub fn file_header_with(name: &str, bytes: u32, fields: &Fields) -> Result<Vec<u8>, FrameError> {
    let mut out = file_offer(name, fields)?;
    frame::check(bytes, limits::FILE_BYTES_MAX)?;
    out.extend_from_slice(&frame::prefix(bytes)?);
    Ok(out)
}

/// Writes the header frame alone of a file that [wants to be resumed](Fields::wants_resume).
///
/// How much of it is there is told then. The [prefix](crate::frame::prefix) and the bytes of the
/// rest are to follow, or of the whole file.
///
/// # Errors
/// [`FrameError::TooLong`] for a name that makes the header longer than
/// [`HEADER_BYTES_MAX`](limits::HEADER_BYTES_MAX).
pub fn file_offer(name: &str, fields: &Fields) -> Result<Vec<u8>, FrameError> {
    let mut out = Vec::new();
    let header = header::file(name, fields);
    frame::encode_within(header.as_bytes(), limits::HEADER_BYTES_MAX, &mut out)?;
    Ok(out)
}

/// Writes the parcel that begins to follow a room, or goes to another.
#[must_use]
pub fn join_parcel(follow: &Follow) -> Vec<u8> {
    let mut out = Vec::new();
    // Names are short: the frames cannot be too long.
    let header = header::join(follow);
    frame::encode(header.as_bytes(), &mut out).ok();
    frame::encode(b"", &mut out).ok();
    out
}

/// Writes the frame that ends a conversation.
#[must_use]
pub fn close_frame() -> Vec<u8> {
    b"\x05\0\0\0close".to_vec()
}
