//! Chat lines: UTF-8 text, one line one message, `\n` or `\r\n`.
//!
//! It reads lines, and writes what the others in the room receive. It does not know who is in the
//! room.
//!
//! Begin with [`LineDecoder`] to read and [`chat_lines`] to write; what a line that begins with `/`
//! means is for [`crate::Command`] to say.

use bytes::Bytes;

use crate::buffer::{append_within, take_front};
use crate::text::{clean, is_blank, is_plain};

/// Reads lines out of a byte stream that comes in pieces of any size.
///
/// It holds at most `limit` bytes, and one more for a carriage return that may be half of a line
/// ending. An overlong line is never split in two: it is told once and thrown away to its end.
///
/// ```
/// use switchboard_wire::{Line, LineDecoder};
///
/// let mut decoder = LineDecoder::new(5);
/// let mut bytes: &[u8] = b"hello\r\noverlong\nbye";
/// assert_eq!(decoder.push(&mut bytes), Some(Line::Text("hello".to_owned())));
/// assert_eq!(decoder.push(&mut bytes), Some(Line::TooLong));
/// assert_eq!(decoder.push(&mut bytes), None);
/// assert_eq!(decoder.end(), Some(Line::Text("bye".to_owned())));
/// ```
#[derive(Debug)]
pub struct LineDecoder {
    limit: u32,
    is_discarding: bool,
    /// The unfinished line so far; none while one is thrown away.
    line: Option<Vec<u8>>,
}

impl LineDecoder {
    /// Makes a decoder that takes lines of up to `limit` bytes (and 4 GiB), their endings not
    /// counted.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            is_discarding: false,
            line: None,
        }
    }

    /// Takes bytes from the front of `bytes` and gives the next line.
    ///
    /// `None` means that `bytes` is used up: call until then. One carriage return before the
    /// newline belongs to the line's ending.
    pub fn push(&mut self, bytes: &mut &[u8]) -> Option<Line> {
        while !bytes.is_empty() {
            let newline = memchr::memchr(b'\n', bytes);
            let piece = take_front(bytes, newline.unwrap_or(bytes.len()));
            if newline.is_some() {
                take_front(bytes, 1);
                if !std::mem::take(&mut self.is_discarding) {
                    return Some(self.finish(piece));
                }
            } else if !self.is_discarding && !self.hold(piece) {
                return Some(Line::TooLong);
            }
        }
        None
    }

    /// Takes the next line off the front of `bytes` where it lies there from its beginning to its
    /// end, and is a [`Line::Text`]: without a copy. Otherwise nothing is taken, and
    /// [`LineDecoder::push`] tells.
    ///
    /// ```
    /// let mut decoder = switchboard_wire::LineDecoder::new(5);
    /// let mut bytes: &[u8] = b"hello\r\noverlong\n";
    /// assert_eq!(decoder.whole(&mut bytes), Some("hello"));
    /// assert_eq!(decoder.whole(&mut bytes), None);
    /// assert_eq!(bytes, b"overlong\n");
    /// ```
    pub fn whole<'a>(&self, bytes: &mut &'a [u8]) -> Option<&'a str> {
        if self.is_inside() {
            return None;
        }
        let (line, rest) = bytes.split_at_checked(memchr::memchr(b'\n', bytes)?)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = str::from_utf8(line)
            .ok()
            .filter(|text| text.len() <= self.limit())?;
        *bytes = rest.get(1..)?;
        Some(text)
    }

    /// Gives the last line when the stream ended without a newline.
    ///
    /// `None` if the stream ended with one, or inside a line already told as too long. The decoder
    /// is as new afterwards.
    pub fn end(&mut self) -> Option<Line> {
        self.is_discarding = false;
        if self.line.is_none() {
            None
        } else {
            Some(self.finish(&[]))
        }
    }

    /// Whether a line has begun and not ended.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.is_discarding || self.line.is_some()
    }

    /// The longest line that it takes, in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }

    /// Makes the line that ends with `piece`.
    fn finish(&mut self, piece: &[u8]) -> Line {
        let Some(mut line) = self.line.take() else {
            // The whole line is in this piece: it is copied once, into its text.
            let piece = piece.strip_suffix(b"\r").unwrap_or(piece);
            if piece.len() > self.limit() {
                return Line::TooLong;
            }
            return std::str::from_utf8(piece)
                .map_or(Line::NotUtf8, |text| Line::Text(text.to_owned()));
        };
        // Checked before it is appended, so that a huge piece is not held even for a moment.
        let len = line.len().saturating_add(piece.len());
        let last = piece.last().or(line.last()).copied();
        if len.saturating_sub(usize::from(last == Some(b'\r'))) > self.limit() {
            return Line::TooLong;
        }
        append_within(&mut line, piece, self.limit().saturating_add(1));
        line.pop_if(|byte| *byte == b'\r');
        String::from_utf8(line).map_or(Line::NotUtf8, Line::Text)
    }

    /// Keeps `piece` of an unfinished line, or begins to throw the line away if it is too long.
    fn hold(&mut self, piece: &[u8]) -> bool {
        // A carriage return at the end may belong to the line's ending, which does not count.
        let ending = usize::from(piece.ends_with(b"\r"));
        let held = self.line.as_ref().map_or(0, Vec::len);
        let len = held.saturating_add(piece.len());
        if len.saturating_sub(ending) > self.limit() {
            self.line = None;
            self.is_discarding = true;
            return false;
        }
        let max = self.limit().saturating_add(1);
        append_within(self.line.get_or_insert_default(), piece, max);
        true
    }
}

/// One line, without its ending.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Line {
    /// The line was not UTF-8, and is thrown away.
    NotUtf8,
    /// The line's text, as it came: not cleaned.
    Text(String),
    /// The line is longer than the limit, and is thrown away.
    TooLong,
}

/// Writes what the others in the room receive: each line of `text` as `author:line\n`.
///
/// Lines are cleaned as [`clean`] does, and blank ones are dropped; `None` if nothing is left.
/// Since each line repeats its author, whoever takes a text bounds its lines first: one for a chat
/// line, [`MESSAGE_LINES_MAX`](crate::limits::MESSAGE_LINES_MAX) for a parcel.
///
/// ```
/// use switchboard_wire::chat_lines;
///
/// let lines = chat_lines("127.0.0.1:53124", "one\r\n\n\x07two").unwrap();
/// assert_eq!(lines, "127.0.0.1:53124:one\n127.0.0.1:53124:two\n");
/// assert_eq!(chat_lines("alice", " \n"), None);
/// ```
#[must_use]
pub fn chat_lines(author: &str, text: &str) -> Option<Bytes> {
    let mut out = Vec::new();
    write_chat_lines(&mut out, author, text);
    (!out.is_empty()).then(|| Bytes::from(out))
}

/// Writes the same behind what is in `out`, whose room it uses.
///
/// ```
/// let mut out = Vec::new();
/// switchboard_wire::write_chat_lines(&mut out, "alice", "one\n\ntwo");
/// switchboard_wire::write_chat_lines(&mut out, "bob", " \n");
/// assert_eq!(out, b"alice:one\nalice:two\n");
/// ```
pub fn write_chat_lines(out: &mut Vec<u8>, author: &str, text: &str) {
    let author = clean(author);
    if is_plain(text) {
        return write_chat_line(out, &author, text);
    }
    let mut rest = text;
    loop {
        // The carriage return of a `\r\n` goes with the other control characters.
        let newline = memchr::memchr(b'\n', rest.as_bytes());
        let (line, behind) = match newline.and_then(|at| rest.split_at_checked(at)) {
            Some((line, behind)) => (line, behind.get(1..)),
            None => (rest, None),
        };
        write_chat_line(out, &author, &clean(line));
        match behind {
            Some(behind) => rest = behind,
            None => return,
        }
    }
}

fn write_chat_line(out: &mut Vec<u8>, author: &str, line: &str) {
    if !is_blank(line) {
        // Right for one line, the usual case.
        out.reserve(author.len() + line.len() + 2);
        out.extend_from_slice(author.as_bytes());
        out.push(b':');
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
}

/// Writes a line of the hub's own: `* text\n`, with `text` cleaned as [`clean`] does.
///
/// ```
/// assert_eq!(switchboard_wire::notice("alice joined"), "* alice joined\n");
/// ```
#[must_use]
pub fn notice(text: &str) -> Bytes {
    Bytes::from(format!("* {}\n", clean(text)))
}
