//! What was typed and not used yet.

use switchboard_wire::{Line, LineDecoder};

use super::{MESSAGE_BYTES_MAX, TalkNote};

/// A line that asks for something.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// To be sent.
    Message(String),
    /// `q`: to end at once.
    Quit,
}

/// Lines are taken out one by one; the input rests while there are any.
#[derive(Debug)]
pub(super) struct Typed {
    decoder: LineDecoder,
    waiting: Vec<u8>,
    /// How much of that was used.
    at: usize,
    has_ended: bool,
}

impl Typed {
    pub(super) fn new() -> Self {
        let decoder = LineDecoder::new(MESSAGE_BYTES_MAX);
        Self {
            decoder,
            waiting: Vec::new(),
            at: 0,
            has_ended: false,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.waiting.drain(..self.at);
        self.at = 0;
        self.waiting.extend_from_slice(bytes);
    }

    pub(super) const fn end(&mut self) {
        self.has_ended = true;
    }

    pub(super) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The next line that says something; `None` if that needs more input, or there is no more.
    pub(super) fn next(&mut self, notes: &mut dyn FnMut(TalkNote)) -> Option<Said> {
        loop {
            match self.next_line()? {
                Line::Text(text) if text.trim().is_empty() => {}
                Line::Text(text) if text.trim() == "q" => return Some(Said::Quit),
                Line::Text(text) => return Some(Said::Message(text)),
                Line::NotUtf8 => notes(TalkNote::LineNotUtf8),
                Line::TooLong => notes(TalkNote::LineTooLong),
            }
        }
    }

    fn next_line(&mut self) -> Option<Line> {
        let mut rest = self.waiting.get(self.at..).unwrap_or_default();
        let line = self.decoder.push(&mut rest);
        self.at = self.waiting.len() - rest.len();
        if line.is_none() && self.has_ended {
            return self.decoder.end();
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_text_are_passed_over_and_q_ends() {
        let mut typed = Typed::new();
        let mut notes = Vec::new();
        let mut next = |typed: &mut Typed| typed.next(&mut |note| notes.push(note.to_string()));
        assert_eq!(next(&mut typed), None);
        typed.push(b"\n \r\none\n tw");
        assert_eq!(next(&mut typed), Some(Said::Message("one".to_owned())));
        assert_eq!(next(&mut typed), None);
        typed.push(b"o\n q \r\n");
        typed.push(&[b'x'; MESSAGE_BYTES_MAX]);
        typed.push(b"\ny\xff\nlast");
        assert_eq!(next(&mut typed), Some(Said::Message(" two".to_owned())));
        assert_eq!(next(&mut typed), Some(Said::Quit));
        assert_eq!(
            next(&mut typed),
            Some(Said::Message("x".repeat(MESSAGE_BYTES_MAX)))
        );
        typed.push(&[b'x'; MESSAGE_BYTES_MAX]);
        assert_eq!(next(&mut typed), None);
        typed.end();
        assert_eq!(next(&mut typed), None);
        assert_eq!(notes.len(), 2, "one is no text, one is too long: {notes:?}");
    }
}
