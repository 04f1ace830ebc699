//! What a server sends, taken apart into lines to show.

use switchboard_wire::clean;

use super::PIECE_BYTES_MAX;

/// Puts lines together out of what arrives, in bounded memory, for a server that may end its
/// lines or not. How the bytes were cut makes no difference, as long as nothing is flushed.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// The line so far, without what has been shown of it.
    held: Vec<u8>,
    /// Whether a part of the line has been shown.
    is_begun: bool,
}

impl Pieces {
    /// Takes what came, and gives what can be shown, each a line.
    pub(super) fn push(&mut self, bytes: &[u8], lines: &mut Vec<String>) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(rest) => {
                    self.hold(rest, lines);
                    self.finish(lines);
                }
                None => self.hold(part, lines),
            }
        }
    }

    /// Gives what is held although the line has not ended, as nothing more came for a while. A
    /// character of which only a part is there waits for the rest.
    pub(super) fn flush(&mut self, lines: &mut Vec<String>) {
        let whole = whole_characters(&self.held);
        let text = show(self.held.get(..whole).unwrap_or_default());
        if !text.is_empty() {
            self.held.drain(..whole);
            self.is_begun = true;
            lines.push(text);
        }
    }

    /// Gives what is left at the end.
    pub(super) fn end(&mut self, lines: &mut Vec<String>) {
        if !self.held.is_empty() {
            self.finish(lines);
        }
    }

    /// Whether there is something that a flush may show.
    pub(super) const fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    fn hold(&mut self, mut bytes: &[u8], lines: &mut Vec<String>) {
        loop {
            let room = PIECE_BYTES_MAX.saturating_sub(self.held.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.held.extend_from_slice(now);
            if later.is_empty() {
                return;
            }
            let whole = whole_characters(&self.held);
            lines.push(show(self.held.get(..whole).unwrap_or_default()));
            self.held.drain(..whole);
            self.is_begun = true;
            bytes = later;
        }
    }

    fn finish(&mut self, lines: &mut Vec<String>) {
        let is_begun = core::mem::take(&mut self.is_begun);
        let text = show(&self.held);
        self.held.clear();
        // The ending of a line that was shown already is no line of its own.
        if !(is_begun && text.is_empty()) {
            lines.push(text);
        }
    }
}

fn show(bytes: &[u8]) -> String {
    clean(&String::from_utf8_lossy(bytes)).into_owned()
}

/// How many bytes there are before a character at the end that is not whole.
fn whole_characters(bytes: &[u8]) -> usize {
    for (back, byte) in bytes.iter().rev().take(3).enumerate() {
        let len = match byte {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        let have = back + 1;
        return if len > have {
            bytes.len() - have
        } else {
            bytes.len()
        };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(pieces: &mut Pieces, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        pieces.push(bytes, &mut lines);
        lines
    }

    fn flush(pieces: &mut Pieces) -> Vec<String> {
        let mut lines = Vec::new();
        pieces.flush(&mut lines);
        lines
    }

    fn all(parts: &[&[u8]]) -> Vec<String> {
        let mut pieces = Pieces::default();
        let mut lines = Vec::new();
        for part in parts {
            pieces.push(part, &mut lines);
        }
        pieces.end(&mut lines);
        lines
    }

    #[test]
    fn any_cutting_gives_the_same_lines() {
        let text = "alice:hi\r\n\nbob:图片 ✓\x1b[2J\n".as_bytes();
        let text = [text, b"\xff\xe5\x9b\xff\nlast \xe5\x9b"].concat();
        let whole = all(&[&text]);
        assert_eq!(whole[..3], ["alice:hi", "", "bob:图片 ✓[2J"]);
        assert_eq!(whole.last().unwrap(), "last \u{fffd}");
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let parts = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(all(&parts), whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_piece_without_an_ending_is_shown_once() {
        let mut pieces = Pieces::default();
        assert!(push(&mut pieces, b"bob:hi").is_empty() && pieces.is_holding());
        assert_eq!(flush(&mut pieces), ["bob:hi"]);
        assert!(!pieces.is_holding() && flush(&mut pieces).is_empty());
        assert_eq!(push(&mut pieces, b"\r\n\nnext\n"), ["", "next"]);
    }

    #[test]
    fn a_character_that_is_cut_waits_for_its_rest() {
        let mut pieces = Pieces::default();
        let bytes = "a图".as_bytes();
        push(&mut pieces, &bytes[..2]);
        assert_eq!(flush(&mut pieces), ["a"]);
        assert!(flush(&mut pieces).is_empty() && pieces.is_holding());
        push(&mut pieces, &bytes[2..]);
        assert_eq!(flush(&mut pieces), ["图"]);
    }

    #[test]
    fn a_long_line_is_shown_in_pieces() {
        let text = format!("a{}\nnext\n", "图".repeat(PIECE_BYTES_MAX));
        let whole = all(&[text.as_bytes()]);
        assert_eq!(whole.concat() + "\n", text.replace("\nnext", "next"));
        assert!(whole.iter().all(|piece| piece.len() <= PIECE_BYTES_MAX));
        let parts: Vec<&[u8]> = text.as_bytes().chunks(777).collect();
        assert_eq!(all(&parts), whole);
        let exact = "x".repeat(PIECE_BYTES_MAX);
        assert_eq!(all(&[exact.as_bytes(), b"\n"]), [exact.as_str()]);
    }
}
