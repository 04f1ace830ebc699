//! A response, taken apart as its bytes come.

use super::chunked::{Chunks, Taken};
use super::{HttpError, ResponseHead};
use crate::buffer::{append_within, take_front};
use crate::limits::{HTTP_HEAD_BYTES_MAX, HTTP_INTERIM_MAX};

/// How every response begins that we understand.
const GREETING: &[u8] = b"HTTP/1.";

/// What came of a response.
#[derive(Debug, PartialEq, Eq)]
pub enum HttpEvent<'a> {
    /// The final head; interim responses (1xx) are passed over.
    Head(Box<ResponseHead>),
    /// A part of the body, never empty.
    Body(&'a [u8]),
    /// The response is whole.
    End {
        /// The connection may carry another request.
        may_reuse: bool,
    },
}

/// Takes the response to one GET request apart.
///
/// Call [`ResponseDecoder::push`] until it gives `None`, with each piece that comes, and
/// [`ResponseDecoder::end`] when the connection has ended. After an error, and behind the end, it
/// is done with.
///
/// ```
/// use switchboard_wire::http::{HttpEvent, ResponseDecoder};
///
/// let mut decoder = ResponseDecoder::new();
/// let mut bytes = &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"[..];
/// let mut body = Vec::new();
/// while let Some(event) = decoder.push(&mut bytes)? {
///     match event {
///         HttpEvent::Head(head) => assert_eq!(head.status(), 200),
///         HttpEvent::Body(part) => body.extend_from_slice(part),
///         HttpEvent::End { may_reuse } => {
///             assert!(may_reuse && body == b"hi");
///             break;
///         }
///     }
/// }
/// # Ok::<(), switchboard_wire::http::HttpError>(())
/// ```
///
/// # References
/// RFC 9112 §6.3: where a body ends.
#[derive(Clone, Debug)]
pub struct ResponseDecoder {
    state: State,
    interim: usize,
    /// Bytes of the body so far.
    received: u64,
    announced: Option<u64>,
    may_reuse: bool,
}

#[derive(Clone, Debug)]
enum State {
    /// The head so far, of which the beginning was searched for its end.
    Head(Vec<u8>),
    Sized(u64),
    Chunked(Chunks),
    UntilClose,
    Done,
}

impl Default for ResponseDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseDecoder {
    /// Nothing has come yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::Head(Vec::new()),
            interim: 0,
            received: 0,
            announced: None,
            may_reuse: false,
        }
    }

    /// How long the body is, if the head has told.
    #[must_use]
    pub const fn announced(&self) -> Option<u64> {
        self.announced
    }

    /// Takes what it can use off the front; `None` when it needs more. What is left behind the end
    /// belongs to no response.
    ///
    /// # Errors
    /// [`HttpError`] for what is no response, or one beyond the limits.
    pub fn push<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Option<HttpEvent<'a>>, HttpError> {
        loop {
            match &mut self.state {
                State::Head(head) => {
                    if !take_head(head, bytes)? {
                        return Ok(None);
                    }
                    let head = ResponseHead::parse(&core::mem::take(head))?;
                    if let Some(head) = self.begin(head)? {
                        return Ok(Some(HttpEvent::Head(Box::new(head))));
                    }
                }
                State::Sized(0) => return Ok(Some(self.finish())),
                State::Sized(left) => {
                    let most = usize::try_from(*left).unwrap_or(usize::MAX);
                    let part = take_front(bytes, most.min(bytes.len()));
                    *left = left.saturating_sub(part.len() as u64);
                    return Ok(self.body(part));
                }
                State::Chunked(chunks) => match chunks.push(bytes)? {
                    Taken::Data(part) => return Ok(self.body(part)),
                    Taken::End => return Ok(Some(self.finish())),
                    Taken::Nothing => return Ok(None),
                },
                State::UntilClose => {
                    let part = core::mem::take(bytes);
                    return Ok(self.body(part));
                }
                State::Done => return Ok(None),
            }
        }
    }

    /// The connection has ended: the end of the response if it may end so.
    ///
    /// # Errors
    /// [`HttpError::Cut`], or [`HttpError::NoAnswer`] if nothing at all has come.
    pub fn end(&mut self) -> Result<Option<HttpEvent<'static>>, HttpError> {
        match &self.state {
            State::UntilClose | State::Sized(0) => {
                self.may_reuse = false;
                Ok(Some(self.finish()))
            }
            State::Done => Ok(None),
            State::Head(head) if head.is_empty() && self.interim == 0 => Err(HttpError::NoAnswer),
            State::Head(_) | State::Sized(_) | State::Chunked(_) => Err(HttpError::Cut {
                received: self.received,
                announced: self.announced,
            }),
        }
    }

    fn body<'a>(&mut self, part: &'a [u8]) -> Option<HttpEvent<'a>> {
        self.received = self.received.saturating_add(part.len() as u64);
        (!part.is_empty()).then_some(HttpEvent::Body(part))
    }

    fn finish(&mut self) -> HttpEvent<'static> {
        self.state = State::Done;
        HttpEvent::End {
            may_reuse: self.may_reuse,
        }
    }

    /// Decides by a head where the body ends; `None` for an interim response.
    fn begin(&mut self, head: ResponseHead) -> Result<Option<ResponseHead>, HttpError> {
        match head.status() {
            101 => return Err(HttpError::Upgrade),
            100..200 => {
                self.interim += 1;
                if self.interim > HTTP_INTERIM_MAX {
                    return Err(HttpError::Interim);
                }
                self.state = State::Head(Vec::new());
                return Ok(None);
            }
            _ => {}
        }
        let stays = if head.is_1_1() {
            !head.lists("connection", "close")
        } else {
            head.lists("connection", "keep-alive")
        };
        let codings = head.fields("transfer-encoding").count();
        let length = content_length(&head)?;
        (self.state, self.may_reuse) = if matches!(head.status(), 204 | 304) {
            (State::Sized(0), stays)
        } else if codings > 0 {
            let is_chunked = codings == 1
                && head
                    .field("transfer-encoding")
                    .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
            if !is_chunked {
                return Err(HttpError::TransferEncoding);
            }
            // Whoever says both lengths, or speaks 1.0, is not to be trusted behind the body.
            let is_clear = head.is_1_1() && length.is_none();
            (State::Chunked(Chunks::new()), stays && is_clear)
        } else if let Some(length) = length {
            self.announced = Some(length);
            (State::Sized(length), stays)
        } else {
            (State::UntilClose, false)
        };
        Ok(Some(head))
    }
}

/// Takes bytes until the empty line behind a head; true when it is there.
fn take_head(head: &mut Vec<u8>, bytes: &mut &[u8]) -> Result<bool, HttpError> {
    while !bytes.is_empty() {
        // To the end of a line, so that each byte is looked at once.
        let line = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
        if head.len() + line > HTTP_HEAD_BYTES_MAX {
            return Err(HttpError::HeadTooLong);
        }
        append_within(head, take_front(bytes, line), HTTP_HEAD_BYTES_MAX);
        let seen = head.len().min(GREETING.len());
        if head.get(..seen) != GREETING.get(..seen) {
            return Err(HttpError::NotHttp);
        }
        if head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The length that the head tells; one that is told several times must be the same.
///
/// # References
/// RFC 9110 §8.6.
fn content_length(head: &ResponseHead) -> Result<Option<u64>, HttpError> {
    let mut length = None;
    let told = head.fields("content-length");
    for told in told.flat_map(|value| value.split(',')) {
        let told = told.trim();
        // A sign is none of its digits, though a number may have one here.
        let is_number = !told.is_empty() && told.bytes().all(|byte| byte.is_ascii_digit());
        let told: u64 = match told.parse() {
            Ok(told) if is_number => told,
            _ => return Err(HttpError::Length),
        };
        if length.is_some_and(|length| length != told) {
            return Err(HttpError::Length);
        }
        length = Some(told);
    }
    Ok(length)
}
