//! Frames: a 4-byte length, then that many bytes. What turns a byte stream back into messages.
//!
//! The length is a signed 32-bit little-endian number, what Python's `struct.pack('i', n)` writes.
//! A frame is refused as soon as its length is known, and memory grows with the bytes that arrived,
//! never with the length that was claimed.
//!
//! Begin with [`encode`] to write and [`FrameDecoder`] to read.

use crate::buffer::{append_within, take_front};
use crate::limits::FILE_BYTES_MAX;

/// How many bytes a frame's length takes.
pub const FRAME_PREFIX_BYTES: usize = 4;

/// The largest length the prefix can say.
const FRAME_BYTES_MAX: u32 = FILE_BYTES_MAX;

/// Gives the four bytes that announce a frame of `len` bytes.
///
/// # Errors
/// [`FrameError::TooLong`] above 2 GiB - 1, which the signed length cannot say.
pub fn prefix(len: u32) -> Result<[u8; FRAME_PREFIX_BYTES], FrameError> {
    i32::try_from(len)
        .map(i32::to_le_bytes)
        .map_err(|_| FrameError::TooLong {
            len,
            max: FRAME_BYTES_MAX,
        })
}

/// Appends the frame of `body` to `out`.
///
/// ```
/// let mut out = Vec::new();
/// switchboard_wire::frame::encode(b"hello", &mut out)?;
/// assert_eq!(out, b"\x05\0\0\0hello");
/// # Ok::<(), switchboard_wire::FrameError>(())
/// ```
///
/// # Errors
/// [`FrameError::TooLong`] above 2 GiB - 1; nothing is appended then.
pub fn encode(body: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
    encode_within(body, FRAME_BYTES_MAX, out)
}

/// Appends the frame of `body` to `out` if it has at most `max` bytes.
pub(crate) fn encode_within(body: &[u8], max: u32, out: &mut Vec<u8>) -> Result<(), FrameError> {
    // A length beyond 32 bits is above any limit, so that its exact value does not matter.
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
    check(len, max)?;
    let prefix = prefix(len)?;
    out.reserve(prefix.len().saturating_add(body.len()));
    out.extend_from_slice(&prefix);
    out.extend_from_slice(body);
    Ok(())
}

pub(crate) fn check(len: u32, max: u32) -> Result<(), FrameError> {
    if len > max {
        Err(FrameError::TooLong { len, max })
    } else {
        Ok(())
    }
}

/// Reads whole frames out of a byte stream that comes in pieces of any size.
///
/// It holds at most the bytes of one unfinished frame, and room for at most twice as many.
///
/// ```
/// use switchboard_wire::FrameDecoder;
///
/// let mut decoder = FrameDecoder::new(1024);
/// let mut bytes: &[u8] = b"\x02\0\0\0hi\x03\0\0\0y";
/// assert_eq!(decoder.push(&mut bytes)?, Some(b"hi".to_vec()));
/// assert_eq!(decoder.push(&mut bytes)?, None);
/// assert!(bytes.is_empty() && decoder.end().is_err());
///
/// let mut bytes: &[u8] = b"ou";
/// assert_eq!(decoder.push(&mut bytes)?, Some(b"you".to_vec()));
/// decoder.end()?;
/// # Ok::<(), switchboard_wire::FrameError>(())
/// ```
#[derive(Debug)]
pub struct FrameDecoder {
    limit: u32,
    length: LengthDecoder,
    /// The length of the frame being read, once its prefix is there.
    announced: Option<u32>,
    body: Vec<u8>,
    failed: Option<FrameError>,
}

impl FrameDecoder {
    /// Makes a decoder that refuses frames of more than `limit` bytes; zero lets only empty ones
    /// through.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self {
            limit,
            length: LengthDecoder::default(),
            announced: None,
            body: Vec::new(),
            failed: None,
        }
    }

    /// Takes bytes from the front of `bytes` and gives the next whole frame's body.
    ///
    /// `None` means that `bytes` is used up: call until then.
    ///
    /// # Errors
    /// [`FrameError::Negative`] or [`FrameError::TooLong`] as soon as a prefix says so. The stream
    /// cannot be read from there on: close it. Every later call gives the same error.
    pub fn push(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.announced.is_none() {
            self.announced = self
                .length
                .push(bytes, self.limit)
                .inspect_err(|error| self.failed = Some(*error))?;
        }
        let Some(announced) = self.announced else {
            return Ok(None);
        };

        let want = announced as usize;
        let piece = take_front(bytes, want.saturating_sub(self.body.len()));
        if self.body.len().saturating_add(piece.len()) < want {
            append_within(&mut self.body, piece, want);
            return Ok(None);
        }
        self.announced = None;
        append_within(&mut self.body, piece, want);
        Ok(Some(std::mem::take(&mut self.body)))
    }

    /// Says whether the stream may end here.
    ///
    /// # Errors
    /// [`FrameError::UnexpectedEnd`] inside a frame, and the earlier error after a failure.
    pub fn end(&self) -> Result<(), FrameError> {
        match (self.failed, self.announced) {
            (Some(error), _) => Err(error),
            (None, Some(want)) => Err(FrameError::UnexpectedEnd {
                have: self.body.len(),
                want: want as usize,
            }),
            (None, None) => self.length.end(),
        }
    }

    /// Whether a frame has begun and is not whole yet.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.announced.is_some() || self.length.is_inside()
    }

    /// The length of the frame being read, once it is known.
    pub(crate) fn announced(&self) -> Option<u32> {
        self.announced
    }
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length is below zero.
    #[error("a frame announced a length of {len}, which is below zero")]
    Negative {
        /// The length that was announced.
        len: i32,
    },
    /// The length is above what is taken here.
    #[error("a frame announced {len} bytes, and at most {max} are taken here")]
    TooLong {
        /// The length that was announced, in bytes; `u32::MAX` also stands for more.
        len: u32,
        /// The largest length that is taken, in bytes.
        max: u32,
    },
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame, after {have} of {want} bytes")]
    UnexpectedEnd {
        /// The bytes that had come: of the prefix if that was not whole, else of the body.
        have: usize,
        /// The bytes that should have come.
        want: usize,
    },
}

/// Reads one frame's length, byte by byte if need be, then is ready for another.
#[derive(Debug, Default)]
pub(crate) struct LengthDecoder {
    have: usize,
    value: u32,
}

impl LengthDecoder {
    /// Takes what is missing of the length from the front of `bytes`.
    pub(crate) fn push(&mut self, bytes: &mut &[u8], max: u32) -> Result<Option<u32>, FrameError> {
        for byte in take_front(bytes, FRAME_PREFIX_BYTES.saturating_sub(self.have)) {
            // Little endian: each byte is shifted in from the top, and the first ends up lowest.
            self.value = (self.value >> 8) | (u32::from(*byte) << 24);
            self.have += 1;
        }
        if self.have < FRAME_PREFIX_BYTES {
            return Ok(None);
        }
        let Self { value, .. } = std::mem::take(self);
        let signed = value.cast_signed();
        let len = u32::try_from(signed).map_err(|_| FrameError::Negative { len: signed })?;
        check(len, max)?;
        Ok(Some(len))
    }

    pub(crate) fn end(&self) -> Result<(), FrameError> {
        if self.is_inside() {
            return Err(FrameError::UnexpectedEnd {
                have: self.have,
                want: FRAME_PREFIX_BYTES,
            });
        }
        Ok(())
    }

    pub(crate) fn is_inside(&self) -> bool {
        self.have > 0
    }
}
