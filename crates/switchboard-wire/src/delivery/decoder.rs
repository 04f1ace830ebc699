//! The reading side: what a follower does with the hub's bytes.

use super::{Answer, EntryFrame, EntryKind};
use crate::frame::{FrameDecoder, FrameError};
use crate::json;
use crate::limits::{HEADER_BYTES_MAX, MESSAGE_BYTES_MAX};

/// What came from a hub.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Delivered {
    /// Something was said about a parcel, or about the room that is followed.
    Answer(Answer),
    /// Something happened in the room.
    Entry(EntryFrame),
}

/// Reads entries and answers out of a byte stream that comes in pieces of any size.
///
/// It holds at most one header and one message. Kinds that it does not know are passed over: a
/// newer hub may say more.
///
/// ```
/// use switchboard_wire::{Answer, Delivered, DeliveryDecoder};
///
/// let at = Answer::At { room: "lobby".into(), epoch: 1, seq: 0 };
/// let bytes = at.encode()?;
/// let mut bytes = bytes.as_slice();
/// let mut decoder = DeliveryDecoder::new();
/// assert_eq!(decoder.push(&mut bytes)?, Some(Delivered::Answer(at)));
/// assert_eq!(decoder.push(&mut bytes)?, None);
/// decoder.end()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DeliveryDecoder {
    state: State,
}

#[derive(Debug)]
enum State {
    Failed(DeliveryError),
    Header(FrameDecoder),
    /// In the payload of an entry, or of what is passed over.
    Payload(Option<EntryFrame>, FrameDecoder),
}

impl Default for DeliveryDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl DeliveryDecoder {
    /// A decoder for a connection that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::Header(FrameDecoder::new(HEADER_BYTES_MAX)),
        }
    }

    /// Takes bytes from the front of `bytes` and gives the next thing that came.
    ///
    /// `None` means that `bytes` is used up: call until then.
    ///
    /// # Errors
    /// [`DeliveryError`]. The stream cannot be read from there on: close it. Every later call gives
    /// the same error.
    pub fn push(&mut self, bytes: &mut &[u8]) -> Result<Option<Delivered>, DeliveryError> {
        loop {
            match self.step(bytes) {
                Ok(Step::Wait) => return Ok(None),
                Ok(Step::Passed) => {}
                Ok(Step::Done(delivered)) => return Ok(Some(delivered)),
                Err(error) => {
                    self.state = State::Failed(error.clone());
                    return Err(error);
                }
            }
        }
    }

    /// Says whether the stream may end here.
    ///
    /// # Errors
    /// [`DeliveryError::Frame`] inside a frame, [`DeliveryError::Truncated`] between an entry's two
    /// frames, and the earlier error after a failure.
    pub fn end(&self) -> Result<(), DeliveryError> {
        match &self.state {
            State::Failed(error) => Err(error.clone()),
            State::Header(frame) => Ok(frame.end()?),
            State::Payload(_, frame) => {
                frame.end()?;
                Err(DeliveryError::Truncated)
            }
        }
    }

    fn step(&mut self, bytes: &mut &[u8]) -> Result<Step, DeliveryError> {
        match &mut self.state {
            State::Failed(error) => Err(error.clone()),
            State::Header(frame) => {
                let Some(header) = frame.push(bytes)? else {
                    return Ok(Step::Wait);
                };
                self.open(&header)
            }
            State::Payload(entry, frame) => {
                let Some(payload) = frame.push(bytes)? else {
                    return Ok(Step::Wait);
                };
                let entry = entry.take();
                self.state = Self::new().state;
                let Some(mut entry) = entry else {
                    return Ok(Step::Passed);
                };
                if let EntryKind::Text(text) = &mut entry.kind {
                    *text = String::from_utf8(payload).map_err(|_| DeliveryError::NotUtf8)?;
                }
                Ok(Step::Done(Delivered::Entry(entry)))
            }
        }
    }

    /// What a whole header leads to.
    fn open(&mut self, header: &[u8]) -> Result<Step, DeliveryError> {
        let json = json::parse(header).map_err(|reason| DeliveryError::NotJson {
            bytes: header.len(),
            reason,
        })?;
        let header = json.as_object().ok_or(DeliveryError::NotObject)?;
        let Some(msg_type) = header.get("msg_type") else {
            self.state = Self::new().state;
            let answer = Answer::read(header)?;
            return Ok(answer.map_or(Step::Passed, |answer| Step::Done(Delivered::Answer(answer))));
        };
        let field = "msg_type";
        let msg_type = msg_type.as_str().ok_or(DeliveryError::Field { field })?;
        let entry = EntryFrame::read(msg_type, header)?;
        self.state = State::Payload(entry, FrameDecoder::new(MESSAGE_BYTES_MAX));
        Ok(Step::Passed)
    }
}

enum Step {
    Done(Delivered),
    Passed,
    Wait,
}

/// Why a hub's bytes cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// A field is missing, or is not of its type.
    #[error("the hub's `{field}` is missing or is not what it should be")]
    Field {
        /// Which.
        field: &'static str,
    },
    /// The bytes are not frames, or the stream ended inside one.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A header frame is not JSON.
    #[error("a header of {bytes} bytes is not JSON: {reason}")]
    NotJson {
        /// The header's length in bytes.
        bytes: usize,
        /// What the JSON reader says.
        reason: String,
    },
    /// A header is JSON, but not an object.
    #[error("a header is not a JSON object")]
    NotObject,
    /// A message is not UTF-8.
    #[error("a message is not UTF-8 text")]
    NotUtf8,
    /// The stream ended after an entry's header, before its payload.
    #[error("the stream ended after a header, without its payload")]
    Truncated,
}
