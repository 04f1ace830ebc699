//! The chunked transfer coding: lengths in hex, then so many bytes, then fields.

use super::HttpError;
use crate::buffer::take_front;
use crate::limits::{HTTP_CHUNK_LINE_BYTES_MAX, HTTP_HEAD_BYTES_MAX};

/// The most digits that a length of 64 bits can have; leading zeros count.
const DIGITS_MAX: usize = 16;

/// Takes a chunked body apart.
///
/// # References
/// RFC 9112 §7.1.
#[derive(Clone, Debug)]
pub(super) struct Chunks {
    place: Place,
    /// The length of the chunk, as far as its digits have come.
    len: u64,
    digits: usize,
    /// Bytes of the line that is being read.
    line_bytes: usize,
    /// Bytes of all fields behind the body.
    trailer_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// In the digits of a length.
    Length,
    /// Behind them, in an extension that means nothing to us.
    Extension,
    /// Behind the CR of a length.
    LengthLf,
    /// In a chunk, with so many bytes to come.
    Data(u64),
    DataCr,
    DataLf,
    /// In a field behind the last chunk.
    Trailer,
    TrailerLf,
    Done,
}

/// What was taken off the front.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken<'a> {
    Data(&'a [u8]),
    End,
    Nothing,
}

impl Chunks {
    pub(super) const fn new() -> Self {
        Self {
            place: Place::Length,
            len: 0,
            digits: 0,
            line_bytes: 0,
            trailer_bytes: 0,
        }
    }

    pub(super) fn push<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Taken<'a>, HttpError> {
        loop {
            match self.place {
                Place::Done => return Ok(Taken::End),
                Place::Data(left) => {
                    let most = usize::try_from(left).unwrap_or(usize::MAX);
                    let data = take_front(bytes, most.min(bytes.len()));
                    let left = left.saturating_sub(data.len() as u64);
                    self.place = if left == 0 {
                        Place::DataCr
                    } else {
                        Place::Data(left)
                    };
                    if data.is_empty() {
                        return Ok(Taken::Nothing);
                    }
                    return Ok(Taken::Data(data));
                }
                _ => {}
            }
            let &[byte] = take_front(bytes, 1.min(bytes.len())) else {
                return Ok(Taken::Nothing);
            };
            self.step(byte)?;
        }
    }

    /// Takes one byte of what stands between the chunks.
    fn step(&mut self, byte: u8) -> Result<(), HttpError> {
        self.place = match (self.place, byte) {
            (Place::Length, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                self.digits += 1;
                if self.digits > DIGITS_MAX {
                    return Err(HttpError::Chunk);
                }
                self.len = self.len << 4 | u64::from(digit);
                Place::Length
            }
            (Place::Length, _) if self.digits == 0 => return Err(HttpError::Chunk),
            (Place::Length | Place::Extension, b'\r') => Place::LengthLf,
            (Place::Length, b';' | b' ' | b'\t') => Place::Extension,
            (Place::Extension, b'\n') => return Err(HttpError::Chunk),
            (Place::Extension, _) => Place::Extension,
            (Place::LengthLf, b'\n') => self.begin_chunk(),
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataLf, b'\n') => Place::Length,
            (Place::Trailer, b'\r') => Place::TrailerLf,
            (Place::Trailer, b'\n') => return Err(HttpError::Chunk),
            (Place::Trailer, _) => {
                self.line_bytes += 1;
                Place::Trailer
            }
            (Place::TrailerLf, b'\n') if self.line_bytes == 0 => Place::Done,
            (Place::TrailerLf, b'\n') => {
                self.line_bytes = 0;
                Place::Trailer
            }
            _ => return Err(HttpError::Chunk),
        };
        self.count()
    }

    /// Behind the line of a length.
    fn begin_chunk(&mut self) -> Place {
        let len = core::mem::take(&mut self.len);
        (self.digits, self.line_bytes) = (0, 0);
        match len {
            0 => Place::Trailer,
            len => Place::Data(len),
        }
    }

    fn count(&mut self) -> Result<(), HttpError> {
        match self.place {
            Place::Length | Place::Extension => {
                self.line_bytes += 1;
                if self.line_bytes > HTTP_CHUNK_LINE_BYTES_MAX {
                    return Err(HttpError::Chunk);
                }
            }
            Place::Trailer | Place::TrailerLf => {
                self.trailer_bytes += 1;
                if self.trailer_bytes > HTTP_HEAD_BYTES_MAX {
                    return Err(HttpError::HeadTooLong);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
