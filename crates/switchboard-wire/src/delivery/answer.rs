//! What a hub says besides entries.

use serde_json::{Map, Value};

use super::decoder::DeliveryError;
use super::fields;
use crate::frame::{self, FrameError};
use crate::json::Json;
use crate::limits::HEADER_BYTES_MAX;
use crate::parcel::{ContentHash, MessageId};

/// What a hub says about a parcel, or about a room that is followed: `{"sb":{KIND:{…}}}`.
///
/// ```
/// use switchboard_wire::Answer;
///
/// let gap = Answer::Gap { room: "lobby".into(), epoch: 9, from: 4, to: 6 };
/// assert_eq!(
///     gap.encode()?,
///     b"\x39\0\0\0{\"sb\":{\"gap\":{\"room\":\"lobby\",\"epoch\":9,\"from\":4,\"to\":6}}}"
/// );
/// # Ok::<(), switchboard_wire::FrameError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// A parcel was taken, under this number.
    Ack {
        /// The room, canonical.
        room: String,
        /// Which history of the room the number counts in.
        epoch: u64,
        /// The entry's number.
        seq: u64,
        /// The number that the client gave the parcel.
        id: Option<MessageId>,
        /// It is on disk. Without a log the hub can only say that it was passed on.
        durable: bool,
    },
    /// A room is followed from here on: what comes next has a higher number.
    At {
        /// The room, canonical.
        room: String,
        /// The room's history.
        epoch: u64,
        /// The last entry's number; 0 before the first.
        seq: u64,
    },
    /// These entries are not to be had any more.
    Gap {
        /// The room, canonical.
        room: String,
        /// The room's history.
        epoch: u64,
        /// The first that is missing.
        from: u64,
        /// The last that is missing.
        to: u64,
    },
    /// So much of a file is there already: what follows from there on completes it.
    Have {
        /// The whole file's hash.
        hash: ContentHash,
        /// How many bytes from its front.
        bytes: u64,
        /// The number that the client gave the parcel.
        id: Option<MessageId>,
    },
    /// A parcel was not taken.
    Refused {
        /// The number that the client gave it.
        id: Option<MessageId>,
        /// Why not, for people.
        reason: String,
    },
    /// The room's history is another one than the follower knew: its numbers begin anew.
    Reset {
        /// The room, canonical.
        room: String,
        /// The new history.
        epoch: u64,
    },
}

impl Answer {
    /// Writes the answer: one frame.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] above [`HEADER_BYTES_MAX`](crate::limits::HEADER_BYTES_MAX).
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let mut json = Json::new();
        let place = |json: &mut Json, room: &str, epoch| {
            json.text("room", room);
            json.number("epoch", epoch);
        };
        let named = |json: &mut Json, id: &Option<MessageId>| {
            if let Some(id) = id {
                json.text("id", id.as_str());
            }
        };
        let kind = match self {
            Self::Ack {
                room,
                epoch,
                seq,
                id,
                durable,
            } => {
                place(&mut json, room, *epoch);
                json.number("seq", *seq);
                named(&mut json, id);
                json.truth("durable", *durable);
                "ack"
            }
            Self::At { room, epoch, seq } => {
                place(&mut json, room, *epoch);
                json.number("seq", *seq);
                "at"
            }
            Self::Gap {
                room,
                epoch,
                from,
                to,
            } => {
                place(&mut json, room, *epoch);
                json.number("from", *from);
                json.number("to", *to);
                "gap"
            }
            Self::Have { hash, bytes, id } => {
                json.text("blake3", &hash.to_string());
                json.number("bytes", *bytes);
                named(&mut json, id);
                "have"
            }
            Self::Refused { id, reason } => {
                named(&mut json, id);
                json.text("reason", reason);
                "refused"
            }
            Self::Reset { room, epoch } => {
                place(&mut json, room, *epoch);
                "reset"
            }
        };
        let (mut inner, mut outer) = (Json::new(), Json::new());
        inner.object(kind, json);
        outer.object("sb", inner);
        let mut out = Vec::new();
        frame::encode_within(outer.end().as_bytes(), HEADER_BYTES_MAX, &mut out)?;
        Ok(out)
    }

    /// Reads an answer; `None` for one of a kind that is not known here.
    pub(super) fn read(header: &Map<String, Value>) -> Result<Option<Self>, DeliveryError> {
        let Some(sb) = header.get("sb") else {
            return Ok(None);
        };
        let sb = sb.as_object().ok_or(DeliveryError::Field { field: "sb" })?;
        for (kind, answer) in sb {
            let known = ["ack", "at", "gap", "have", "refused", "reset"];
            if !known.contains(&kind.as_str()) {
                continue;
            }
            let answer = answer
                .as_object()
                .ok_or(DeliveryError::Field { field: "sb" })?;
            return Self::read_kind(kind, answer).map(Some);
        }
        Ok(None)
    }

    fn read_kind(kind: &str, answer: &Map<String, Value>) -> Result<Self, DeliveryError> {
        let number = |field| fields::must_number(answer, field);
        let room = || fields::must(answer, "room");
        let id = || {
            fields::text(answer, "id")?
                .map(|id| MessageId::new(&id).ok_or(DeliveryError::Field { field: "id" }))
                .transpose()
        };
        Ok(match kind {
            "ack" => Self::Ack {
                room: room()?,
                epoch: number("epoch")?,
                seq: number("seq")?,
                id: id()?,
                durable: answer
                    .get("durable")
                    .and_then(Value::as_bool)
                    .ok_or(DeliveryError::Field { field: "durable" })?,
            },
            "at" => Self::At {
                room: room()?,
                epoch: number("epoch")?,
                seq: number("seq")?,
            },
            "gap" => Self::Gap {
                room: room()?,
                epoch: number("epoch")?,
                from: number("from")?,
                to: number("to")?,
            },
            "have" => Self::Have {
                hash: ContentHash::parse(&fields::must(answer, "blake3")?)
                    .ok_or(DeliveryError::Field { field: "blake3" })?,
                bytes: number("bytes")?,
                id: id()?,
            },
            "refused" => Self::Refused {
                id: id()?,
                reason: fields::must(answer, "reason")?,
            },
            _ => Self::Reset {
                room: room()?,
                epoch: number("epoch")?,
            },
        })
    }
}
