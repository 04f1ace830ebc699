//! A room's entry as frames.

use serde_json::{Map, Value};

use super::decoder::DeliveryError;
use super::fields;
use crate::frame::{self, FrameError};
use crate::json::Json;
use crate::limits::{HEADER_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::parcel::MessageId;

/// One thing that happened in a room, as a follower receives it.
///
/// ```
/// use switchboard_wire::{EntryFrame, EntryKind};
///
/// let entry = EntryFrame {
///     room: "lobby".into(),
///     epoch: 7,
///     seq: 3,
///     time_ms: 1_795_244_709_000,
///     from: "alice".into(),
///     reply_to: None,
///     id: None,
///     kind: EntryKind::Text("hi".into()),
/// };
/// let bytes = entry.encode()?;
/// assert!(bytes.ends_with(b"\"from\":\"alice\"}\x02\0\0\0hi"));
/// # Ok::<(), switchboard_wire::FrameError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntryFrame {
    /// The room's name, canonical.
    pub room: String,
    /// Which history of the room the number counts in; another one when that was reset.
    pub epoch: u64,
    /// Its number in the room: 1, 2, 3, … without gaps.
    pub seq: u64,
    /// When it happened, in milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// Who did it, as the others see it: a nick, or an address.
    pub from: String,
    /// The number of the entry that it answers.
    pub reply_to: Option<u64>,
    /// The number that its sender gave it.
    pub id: Option<MessageId>,
    /// What it was.
    pub kind: EntryKind,
}

/// What an entry tells. The text of a message is the payload; the others have an empty one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EntryKind {
    /// `joined`: a member came.
    Joined,
    /// `left`: a member went.
    Left {
        /// Why, where it was not the member's own wish.
        reason: Option<String>,
    },
    /// `renamed`: the author is known by another name from now on.
    Renamed {
        /// The new name.
        name: String,
    },
    /// `stored`: a file lies at the hub.
    Stored {
        /// Under this name.
        file_name: String,
        /// Its size.
        file_bytes: u64,
    },
    /// `msg`: somebody said something, as it came: not cleaned.
    Text(String),
    /// `topic`: the room is about something else from now on.
    Topic {
        /// What; `None` for nothing in particular.
        topic: Option<String>,
    },
}

impl EntryFrame {
    /// Writes the entry: a header frame and a payload frame.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] where a text is above
    /// [`MESSAGE_BYTES_MAX`](crate::limits::MESSAGE_BYTES_MAX), or the rest above
    /// [`HEADER_BYTES_MAX`](crate::limits::HEADER_BYTES_MAX).
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let mut json = Json::new();
        let payload = match &self.kind {
            EntryKind::Text(text) => text.as_str(),
            _ => "",
        };
        json.text("msg_type", self.kind.name());
        json.text("room", &self.room);
        json.number("epoch", self.epoch);
        json.number("seq", self.seq);
        json.number("time_ms", self.time_ms);
        json.text("from", &self.from);
        if let Some(reply_to) = self.reply_to {
            json.number("reply_to", reply_to);
        }
        if let Some(id) = &self.id {
            json.text("id", id.as_str());
        }
        match &self.kind {
            EntryKind::Joined | EntryKind::Text(_) | EntryKind::Topic { topic: None } => {}
            EntryKind::Left { reason } => {
                if let Some(reason) = reason {
                    json.text("reason", reason);
                }
            }
            EntryKind::Renamed { name } => json.text("name", name),
            EntryKind::Stored {
                file_name,
                file_bytes,
            } => {
                json.text("file_name", file_name);
                json.number("file_bytes", *file_bytes);
            }
            EntryKind::Topic { topic: Some(topic) } => json.text("topic", topic),
        }
        let mut out = Vec::with_capacity(json.len() + payload.len() + 2 * 4);
        frame::encode_within(json.end().as_bytes(), HEADER_BYTES_MAX, &mut out)?;
        frame::encode_within(payload.as_bytes(), MESSAGE_BYTES_MAX, &mut out)?;
        Ok(out)
    }

    /// Reads the header of an entry; its text comes later. `None` for an entry of a kind that is
    /// not known here.
    pub(super) fn read(
        msg_type: &str,
        header: &Map<String, Value>,
    ) -> Result<Option<Self>, DeliveryError> {
        let text = |field| fields::text(header, field);
        let must = |field| fields::must(header, field);
        let kind = match msg_type {
            "joined" => EntryKind::Joined,
            "left" => EntryKind::Left {
                reason: text("reason")?,
            },
            "renamed" => EntryKind::Renamed {
                name: must("name")?,
            },
            "stored" => EntryKind::Stored {
                file_name: must("file_name")?,
                file_bytes: fields::must_number(header, "file_bytes")?,
            },
            "msg" => EntryKind::Text(String::new()),
            "topic" => EntryKind::Topic {
                topic: text("topic")?,
            },
            _ => return Ok(None),
        };
        let id = text("id")?
            .map(|id| MessageId::new(&id).ok_or(DeliveryError::Field { field: "id" }))
            .transpose()?;
        Ok(Some(Self {
            room: must("room")?,
            epoch: fields::must_number(header, "epoch")?,
            seq: fields::must_number(header, "seq")?,
            time_ms: fields::must_number(header, "time_ms")?,
            from: must("from")?,
            reply_to: fields::number(header, "reply_to")?,
            id,
            kind,
        }))
    }
}

impl EntryKind {
    /// The `msg_type`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Left { .. } => "left",
            Self::Renamed { .. } => "renamed",
            Self::Stored { .. } => "stored",
            Self::Text(_) => "msg",
            Self::Topic { .. } => "topic",
        }
    }
}
