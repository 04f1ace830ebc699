//! What was received, on its way out.

use std::io::{self, ErrorKind, Write};

use switchboard_wire::{FrameDecoder, FrameError, text};

use super::input::Framing;

/// Bytes that are written at once. A pipe that is ready takes this much without waiting
/// (`PIPE_BUF`, pipe(7)), so that a reader who rests does not hold up the other direction.
const WRITE_BYTES_MAX: usize = 4096;

/// What was received and not written yet.
#[derive(Debug)]
pub(super) struct Output {
    framing: Framing,
    decoder: Option<FrameDecoder>,
    is_cleaned: bool,
    bytes: Vec<u8>,
    written: usize,
}

impl Output {
    pub(super) fn new(framing: Framing, is_cleaned: bool) -> Self {
        let decoder = match framing {
            Framing::Frames { bytes_max } => Some(FrameDecoder::new(bytes_max)),
            _ => None,
        };
        Self {
            framing,
            decoder,
            is_cleaned,
            bytes: Vec::new(),
            written: 0,
        }
    }

    /// True when all is written.
    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes what one call received.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<(), FrameError> {
        if let Some(decoder) = &mut self.decoder {
            while let Some(frame) = decoder.push(&mut bytes)? {
                append_line(&mut self.bytes, &frame, self.is_cleaned);
            }
        } else if self.framing == Framing::Stream {
            self.bytes.extend_from_slice(bytes);
        } else {
            append_line(&mut self.bytes, bytes, self.is_cleaned);
        }
        Ok(())
    }

    /// The peer has ended.
    pub(super) fn end(&self) -> Result<(), FrameError> {
        self.decoder.as_ref().map_or(Ok(()), FrameDecoder::end)
    }

    /// Writes as much as a ready output takes without waiting.
    pub(super) fn write(&mut self, sink: &mut impl Write) -> io::Result<()> {
        let rest = self.bytes.get(self.written..).unwrap_or_default();
        let piece = rest.get(..WRITE_BYTES_MAX).unwrap_or(rest);
        match sink.write(piece) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(len) => self.written += len,
            Err(error)
                if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(error) => return Err(error),
        }
        if self.written == self.bytes.len() {
            self.bytes.clear();
            self.written = 0;
            sink.flush()?;
        }
        Ok(())
    }
}

/// Appends a message as a line: as it is, or made safe for a terminal line by line.
fn append_line(out: &mut Vec<u8>, message: &[u8], is_cleaned: bool) {
    if !is_cleaned {
        out.extend_from_slice(message);
        out.push(b'\n');
        return;
    }
    let text = String::from_utf8_lossy(message);
    if text.is_empty() {
        out.push(b'\n');
    }
    for line in text.lines() {
        out.extend_from_slice(text::clean(line).as_bytes());
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_line_and_harmless_on_a_terminal() {
        let framing = Framing::Datagrams { bytes_max: 99 };
        for (is_cleaned, expected) in [
            (false, &b"\x1b[2Jred\r\nx\n\n"[..]),
            (true, b"[2Jred\nx\n\n"),
        ] {
            let mut output = Output::new(framing, is_cleaned);
            output.take(b"\x1b[2Jred\r\nx").unwrap();
            output.take(b"").unwrap();
            let mut written = Vec::new();
            while !output.is_empty() {
                output.write(&mut written).unwrap();
            }
            assert_eq!(written, expected);
        }
    }

    #[test]
    fn frames_before_a_bad_one_are_kept() {
        let mut output = Output::new(Framing::Frames { bytes_max: 5 }, false);
        output.take(b"\x02\0\0\0h").unwrap();
        assert!(output.is_empty() && output.end().is_err());
        assert!(output.take(b"i\x06\0\0\0").is_err());
        assert_eq!(output.bytes, b"hi\n");
    }
}
