//! The reading side of a conversation in parcels, as a state machine.
//!
//! Each state is a place in the stream where a piece may be cut; nothing in it depends on where the
//! pieces were cut.

use std::time::{Duration, Instant};

use super::header::{self, Fields, Kind, Refused};
use super::{ParcelError, ParcelEvent, ParcelLimits, Refusal};
use crate::buffer::take_front;
use crate::file_name::FileName;
use crate::frame::{FrameDecoder, FrameError, LengthDecoder};

/// The header that ends a conversation.
const CLOSE: &[u8] = b"close";

/// Longer waits than this would not fit into every clock, and mean "for ever" anyway.
const WAIT_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Reads a conversation in parcels from a byte stream that comes in pieces of any size.
///
/// It holds at most one header or message. [`push`](Self::push) may change what
/// [`deadline`](Self::deadline) gives.
///
/// ```
/// use std::time::Instant;
/// use switchboard_wire::{ParcelEvent, ParcelLimits, ParcelMachine, parcel};
///
/// let mut sent = parcel::message_parcel("hello")?;
/// sent.extend(parcel::file_header("cat.png", 3)?);
/// sent.extend(b"\x89PN");
/// sent.extend(parcel::close_frame());
///
/// let now = Instant::now();
/// let mut machine = ParcelMachine::new(ParcelLimits::default(), now);
/// let mut bytes = sent.as_slice();
/// while let Some(event) = machine.push(now, &mut bytes)? {
///     match event {
///         ParcelEvent::Message { text, .. } => assert_eq!(text, "hello"),
///         ParcelEvent::FileBegin { name, bytes, .. } => {
///             assert_eq!((name.as_str(), bytes), ("cat.png", 3));
///         }
///         ParcelEvent::FileData(data) => assert_eq!(data, b"\x89PN"),
///         ParcelEvent::Refused { what, .. } => panic!("{what}"),
///         _ => {}
///     }
/// }
/// machine.end()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ParcelMachine {
    limits: ParcelLimits,
    state: State,
    /// When the parcel being read began, or the last one ended.
    since: Instant,
}

#[derive(Debug)]
enum State {
    Closed,
    Failed(ParcelError),
    Header(FrameDecoder),
    Message(FrameDecoder, Fields),
    /// In the payload of a file or, not kept, of another parcel.
    Payload {
        is_kept: bool,
        left: usize,
        announced: u32,
    },
    /// Before the payload of a file or, without one, of a parcel whose payload counts for nothing.
    PayloadLength {
        file: Option<Box<(FileName, Fields)>>,
        length: LengthDecoder,
    },
}

/// What one step through the stream leads to; no state means that it stays.
type Step<'a> = (Option<ParcelEvent<'a>>, Option<State>);

impl ParcelMachine {
    /// Makes a machine for a connection that begins now.
    #[must_use]
    pub fn new(limits: ParcelLimits, now: Instant) -> Self {
        let state = State::Header(FrameDecoder::new(limits.header_bytes));
        Self {
            limits,
            state,
            since: now,
        }
    }

    /// Lets the peer be silent for so long between parcels, from the end of the last one.
    pub const fn set_idle(&mut self, idle: Duration) {
        self.limits.idle = idle;
    }

    /// Does not count `pause` as the peer's time: the receiver itself did not read for so long.
    pub fn excuse(&mut self, pause: Duration) {
        self.since = self.since.checked_add(pause).unwrap_or(self.since);
    }

    /// Takes bytes from the front of `bytes` and gives the next thing that happened.
    ///
    /// `None` means that `bytes` is used up: call until then, also when `bytes` is empty after an
    /// event, since an event may follow without more bytes.
    /// After [`ParcelEvent::Close`] everything is taken and ignored.
    ///
    /// # Errors
    /// [`ParcelError::Frame`] and [`ParcelError::HeaderNotJson`]. The stream cannot be read from
    /// there on: close it. Every later call gives the same error.
    pub fn push<'a>(
        &mut self,
        now: Instant,
        bytes: &mut &'a [u8],
    ) -> Result<Option<ParcelEvent<'a>>, ParcelError> {
        loop {
            let is_starved = bytes.is_empty();
            let (event, state) = self
                .step(now, bytes)
                .inspect_err(|error| self.state = State::Failed(error.clone()))?;
            let is_moving = state.is_some();
            if let Some(state) = state {
                self.state = state;
            }
            if event.is_some() || (is_starved && !is_moving) {
                return Ok(event);
            }
        }
    }

    /// Takes what is left of a parcel of which nothing is told any more off the front of `bytes`:
    /// the payload behind a header that was all there is to say. What is wrong with it is told by
    /// the next [`push`](Self::push).
    pub fn pass_over(&mut self, now: Instant, bytes: &mut &[u8]) {
        while let State::PayloadLength { file: None, .. } | State::Payload { is_kept: false, .. } =
            self.state
        {
            let before = bytes.len();
            let next = match self.step(now, bytes) {
                Ok((_nothing, next)) => next,
                Err(error) => Some(State::Failed(error)),
            };
            match next {
                Some(state) => self.state = state,
                None if bytes.len() == before => return,
                None => {}
            }
        }
    }

    /// Says whether the stream may end here: between parcels, with `close` or without.
    ///
    /// # Errors
    /// [`ParcelError::Frame`] inside a frame, [`ParcelError::TruncatedParcel`] between a header and
    /// its payload, and the earlier error after a failure.
    pub fn end(&self) -> Result<(), ParcelError> {
        match &self.state {
            State::Closed => Ok(()),
            State::Failed(error) => Err(error.clone()),
            State::Header(header) => Ok(header.end()?),
            State::Message(message, _) => {
                message.end()?;
                Err(ParcelError::TruncatedParcel)
            }
            State::Payload {
                left, announced, ..
            } => {
                let want = *announced as usize;
                let have = want.saturating_sub(*left);
                Err(FrameError::UnexpectedEnd { have, want }.into())
            }
            State::PayloadLength { length, .. } => {
                length.end()?;
                Err(ParcelError::TruncatedParcel)
            }
        }
    }

    /// When to call [`expire`](Self::expire), if nothing is pushed before.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let wait = if self.is_between() {
            self.limits.idle
        } else {
            self.allowed()
        };
        self.since
            .checked_add(wait.min(WAIT_MAX))
            .unwrap_or(self.since)
    }

    /// Says whether the peer's time is up; calling it too early or too often does no harm.
    ///
    /// [`ParcelError::Idle`] when no parcel began in time, [`ParcelError::Slow`] when one that
    /// began is not whole in time. After a failure it is that failure, at any time.
    #[must_use]
    pub fn expire(&self, now: Instant) -> Option<ParcelError> {
        if let State::Failed(error) = &self.state {
            return Some(error.clone());
        }
        if now < self.deadline() {
            return None;
        }
        Some(if self.is_between() {
            ParcelError::Idle {
                idle: self.limits.idle,
            }
        } else {
            ParcelError::Slow {
                allowed: self.allowed(),
            }
        })
    }

    /// Takes what the state is waiting for, as far as it has come.
    fn step<'a>(&mut self, now: Instant, bytes: &mut &'a [u8]) -> Result<Step<'a>, ParcelError> {
        match &mut self.state {
            State::Closed => *bytes = &[],
            State::Failed(error) => return Err(error.clone()),
            State::Header(header) => {
                if !header.is_inside() && !bytes.is_empty() {
                    self.since = now;
                }
                if let Some(header) = header.push(bytes)? {
                    return self.open(now, &header);
                }
            }
            State::Message(message, fields) => {
                if let Some(message) = message.push(bytes)? {
                    let fields = std::mem::take(fields);
                    let event = match read_message(message, self.limits.message_lines) {
                        Ok(text) => ParcelEvent::Message { text, fields },
                        Err(what) => ParcelEvent::Refused { what, fields },
                    };
                    return Ok((Some(event), Some(self.between(now))));
                }
            }
            State::Payload {
                is_kept, left: 0, ..
            } => {
                return Ok((
                    is_kept.then_some(ParcelEvent::FileEnd),
                    Some(self.between(now)),
                ));
            }
            State::Payload { is_kept, left, .. } => {
                let data = take_front(bytes, *left);
                *left = left.saturating_sub(data.len());
                if *is_kept && !data.is_empty() {
                    return Ok((Some(ParcelEvent::FileData(data)), None));
                }
            }
            State::PayloadLength { file, length } => {
                if let Some(announced) = length.push(bytes, self.limits.file_bytes)? {
                    let is_kept = file.is_some();
                    let left = announced as usize;
                    let begin = |file: Box<(FileName, Fields)>| ParcelEvent::FileBegin {
                        name: file.0,
                        bytes: announced,
                        fields: file.1,
                    };
                    let state = State::Payload {
                        is_kept,
                        left,
                        announced,
                    };
                    return Ok((file.take().map(begin), Some(state)));
                }
            }
        }
        Ok((None, None))
    }

    /// What a whole header leads to.
    fn open<'a>(&mut self, now: Instant, header: &[u8]) -> Result<Step<'a>, ParcelError> {
        if header == CLOSE {
            self.since = now;
            return Ok((Some(ParcelEvent::Close), Some(State::Closed)));
        }
        let before_payload = |file| State::PayloadLength {
            file,
            length: LengthDecoder::default(),
        };
        Ok(match header::read(header)? {
            Ok(Kind::File(name, fields)) => {
                if let Some(what) = self.too_large(&fields) {
                    let event = ParcelEvent::Refused { what, fields };
                    return Ok((Some(event), Some(before_payload(None))));
                }
                let offered = fields.content.filter(|_| fields.wants_resume);
                let id = fields.id.clone();
                let event = offered.map(|content| ParcelEvent::FileOffered { content, id });
                (event, Some(before_payload(Some(Box::new((name, fields))))))
            }
            Ok(Kind::Message(fields)) => {
                let text = FrameDecoder::new(self.limits.message_bytes);
                (None, Some(State::Message(text, fields)))
            }
            Ok(Kind::Join(follow)) => (
                Some(ParcelEvent::Follow(follow)),
                Some(before_payload(None)),
            ),
            Err(Refused { what, fields }) => (
                Some(ParcelEvent::Refused { what, fields }),
                Some(before_payload(None)),
            ),
        })
    }

    /// Why a file is not taken that announces its size.
    fn too_large(&self, fields: &Fields) -> Option<Refusal> {
        let (bytes, max) = (fields.content?.bytes, self.limits.file_bytes);
        (bytes > u64::from(max)).then_some(Refusal::FileTooLarge { bytes, max })
    }

    /// Ends a parcel.
    fn between(&mut self, now: Instant) -> State {
        self.since = now;
        State::Header(FrameDecoder::new(self.limits.header_bytes))
    }

    /// True before the first byte of a parcel, and behind `close`.
    #[must_use]
    pub fn is_between(&self) -> bool {
        match &self.state {
            State::Closed => true,
            State::Header(header) => !header.is_inside(),
            _ => false,
        }
    }

    /// How long the parcel being read may take, as far as its size is known.
    fn allowed(&self) -> Duration {
        let payload_bytes = match &self.state {
            State::Message(message, _) => message.announced().unwrap_or(0),
            State::Payload { announced, .. } => *announced,
            _ => 0,
        };
        let rate = self.limits.file_bytes_per_second_min.max(1);
        let payload = Duration::from_secs(u64::from(payload_bytes.div_ceil(rate)));
        self.limits.frame.saturating_add(payload)
    }
}

fn read_message(message: Vec<u8>, lines_max: usize) -> Result<String, Refusal> {
    let text = String::from_utf8(message).map_err(|error| Refusal::MessageNotUtf8 {
        valid_bytes: error.utf8_error().valid_up_to(),
    })?;
    let lines = text.lines().count();
    if lines > lines_max {
        return Err(Refusal::MessageTooManyLines {
            lines,
            max: lines_max,
        });
    }
    Ok(text)
}
