//! What is to be sent: the input, cut into messages.

use switchboard_wire::frame;

use super::ConnectError;

/// Bytes of frames that are laid out for one call.
const FRAMES_BYTES_MAX: usize = 64 * 1024;

/// What lies between two lines of input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// One line, one datagram; an empty line is an empty datagram.
    Datagrams { bytes_max: usize },
    /// One line, one frame of a stream.
    Frames { bytes_max: u32 },
    /// One line, one message of a connection; an empty line is none, for an empty message would
    /// look like the end.
    Messages { bytes_max: usize },
    /// The bytes as they are.
    Stream,
}

/// The input on its way to the socket. It never holds more than one read and one unfinished line.
#[derive(Debug)]
pub(super) struct Input {
    framing: Framing,
    lines: Lines,
    /// What is being sent: bytes of a stream, or one message.
    message: Vec<u8>,
    sent: usize,
    /// A message may be empty, so that its length does not tell whether there is one.
    has_message: bool,
    has_ended: bool,
}

impl Input {
    pub(super) fn new(framing: Framing) -> Self {
        let bytes_max = match framing {
            Framing::Datagrams { bytes_max } | Framing::Messages { bytes_max } => bytes_max,
            Framing::Frames { bytes_max } => bytes_max as usize,
            Framing::Stream => 0,
        };
        Self {
            framing,
            lines: Lines::new(bytes_max),
            message: Vec::new(),
            sent: 0,
            has_message: false,
            has_ended: false,
        }
    }

    /// Takes what was read; nothing is the end.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), ConnectError> {
        self.has_ended |= bytes.is_empty();
        if self.framing == Framing::Stream {
            self.message.extend_from_slice(bytes);
            self.has_message = !self.message.is_empty();
            return Ok(());
        }
        self.lines.push(bytes);
        self.refill()
    }

    /// Lays out the next message, if there is a whole one.
    fn refill(&mut self) -> Result<(), ConnectError> {
        while !self.has_message {
            let too_long = self.too_long();
            let line = match self.lines.next(self.has_ended) {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(()),
                // What came before the bad line is sent first; then it is met again.
                Err(TooLong) if !self.message.is_empty() => {
                    self.has_message = true;
                    return Ok(());
                }
                Err(TooLong) => return Err(too_long),
            };
            match self.framing {
                Framing::Messages { .. } if line.is_empty() => continue,
                Framing::Frames { .. } => {
                    if frame::encode(line, &mut self.message).is_err() {
                        return Err(too_long);
                    }
                    // Many short lines go out with one call.
                    self.has_message =
                        self.message.len() >= FRAMES_BYTES_MAX || !self.lines.has_line();
                }
                _ => {
                    self.message.extend_from_slice(line);
                    self.has_message = true;
                }
            }
        }
        Ok(())
    }

    /// What is to be sent now.
    pub(super) fn message(&self) -> Option<&[u8]> {
        self.has_message
            .then(|| self.message.get(self.sent..).unwrap_or_default())
    }

    pub(super) const fn has_message(&self) -> bool {
        self.has_message
    }

    /// Forgets what was sent, and lays out the next message when all of this one was.
    pub(super) fn advance(&mut self, len: usize) -> Result<(), ConnectError> {
        self.sent += len;
        if self.sent < self.message.len() {
            return Ok(());
        }
        self.message.clear();
        self.sent = 0;
        self.has_message = false;
        if self.framing == Framing::Stream {
            Ok(())
        } else {
            self.refill()
        }
    }

    /// True when more input is of use now.
    pub(super) const fn wants_more(&self) -> bool {
        !self.has_ended && !self.has_message
    }

    /// True when the input has ended; a last message may still be there.
    pub(super) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The error for a line that is no message.
    pub(super) const fn too_long(&self) -> ConnectError {
        let what = match self.framing {
            Framing::Datagrams { .. } => "a datagram",
            Framing::Frames { .. } => "a frame",
            Framing::Messages { .. } | Framing::Stream => "a message",
        };
        ConnectError::TooLong {
            what,
            bytes_max: self.lines.bytes_max,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct TooLong;

/// Cuts bytes into lines. Any bytes may stand in them: this is not about text.
#[derive(Debug)]
struct Lines {
    bytes_max: usize,
    buf: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// Up to where there is no newline.
    searched: usize,
}

impl Lines {
    const fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            buf: Vec::new(),
            start: 0,
            searched: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.buf.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buf.extend_from_slice(bytes);
    }

    /// Where the next newline is.
    fn newline(&mut self) -> Option<usize> {
        let rest = self.buf.get(self.searched..).unwrap_or_default();
        let found = rest.iter().position(|byte| *byte == b'\n');
        self.searched += found.unwrap_or(rest.len());
        found.map(|_| self.searched)
    }

    /// True when a whole line is there.
    fn has_line(&mut self) -> bool {
        self.newline().is_some()
    }

    /// The next line without its ending; at the end also one that has none.
    fn next(&mut self, is_end: bool) -> Result<Option<&[u8]>, TooLong> {
        let newline = self.newline();
        let stop = newline.unwrap_or(self.buf.len());
        let line = self.buf.get(self.start..stop).unwrap_or_default();
        let shorn = line.strip_suffix(b"\r").unwrap_or(line);
        let (line, next) = match newline {
            Some(newline) => (shorn, newline + 1),
            None if is_end && !line.is_empty() => (line, stop),
            // A carriage return may be half of an ending.
            None if shorn.len() > self.bytes_max => return Err(TooLong),
            None => return Ok(None),
        };
        if line.len() > self.bytes_max {
            return Err(TooLong);
        }
        self.start = next;
        self.searched = next;
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All messages that these reads give, in the order of sending.
    fn messages(framing: Framing, reads: &[&[u8]]) -> Result<Vec<Vec<u8>>, String> {
        let mut input = Input::new(framing);
        let mut all = Vec::new();
        for read in reads.iter().chain([&&b""[..]]) {
            input.take(read).map_err(|error| error.to_string())?;
            while let Some(message) = input.message() {
                let (message, len) = (message.to_vec(), message.len());
                all.push(message);
                input.advance(len).map_err(|error| error.to_string())?;
            }
        }
        assert!(input.has_ended() && !input.wants_more());
        Ok(all)
    }

    #[test]
    fn lines_lose_their_endings_however_they_are_cut() {
        let text = b"one\r\ntwo\n\n\xff\0three\rs\n\rlast";
        for cut in 0..text.len() {
            let (a, b) = text.split_at(cut);
            let all = messages(Framing::Datagrams { bytes_max: 9 }, &[a, b]).unwrap();
            assert_eq!(
                all,
                [&b"one"[..], b"two", b"", b"\xff\0three\rs", b"\rlast"],
                "{cut}"
            );
        }
    }

    #[test]
    fn a_connection_gets_no_empty_messages() {
        let all = messages(Framing::Messages { bytes_max: 9 }, &[b"\n\na\n", b"\n"]).unwrap();
        assert_eq!(all, [b"a"]);
    }

    #[test]
    fn short_frames_go_together() {
        let all = messages(Framing::Frames { bytes_max: 9 }, &[b"a\n\nbc", b"d\n"]).unwrap();
        assert_eq!(all, [&b"\x01\0\0\0a\0\0\0\0"[..], b"\x03\0\0\0bcd"]);
    }

    #[test]
    fn a_stream_keeps_its_bytes() {
        let all = messages(Framing::Stream, &[b"a\r\n", b"\nb"]).unwrap();
        assert_eq!(all, [&b"a\r\n"[..], b"\nb"]);
    }

    #[test]
    fn a_line_at_the_limit_is_taken_and_one_above_is_not() {
        let framing = Framing::Datagrams { bytes_max: 3 };
        assert_eq!(messages(framing, &[b"abc\r", b"\n"]).unwrap(), [b"abc"]);
        for reads in [&[&b"abcd\n"[..]][..], &[b"ab", b"cd"], &[b"abc\r"]] {
            let error = messages(framing, reads).unwrap_err();
            assert_eq!(
                error, "a line is too long: a datagram has at most 3 bytes",
                "{reads:?}"
            );
        }
    }

    #[test]
    fn the_lines_before_a_bad_one_are_sent() {
        let mut input = Input::new(Framing::Datagrams { bytes_max: 3 });
        input.take(b"ok\ntoo long\n").unwrap();
        assert_eq!(input.message(), Some(&b"ok"[..]));
        assert!(input.advance(2).is_err());

        let mut input = Input::new(Framing::Frames { bytes_max: 3 });
        input.take(b"ok\ntoo long\n").unwrap();
        assert_eq!(input.message(), Some(&b"\x02\0\0\0ok"[..]));
        assert!(input.advance(6).is_err());
    }
}
