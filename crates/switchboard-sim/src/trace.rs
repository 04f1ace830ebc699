//! What happened, as a number that two runs can be compared by, and as lines for people.

use crate::time::Micros;

/// A trace. The lines are kept only where they are wanted; the number is the same either way.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    events: u64,
    lines: Option<Vec<String>>,
}

/// Bytes of a piece that a line shows.
const SHOWN_BYTES: usize = 120;

impl Trace {
    pub(crate) fn new(keeps_lines: bool) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            events: 0,
            lines: keeps_lines.then(Vec::new),
        }
    }

    /// Something happened to `subject`.
    pub(crate) fn note(&mut self, at: Micros, what: &'static str, subject: u64, bytes: &[u8]) {
        self.events += 1;
        self.mix(&at.to_le_bytes());
        self.mix(what.as_bytes());
        self.mix(&subject.to_le_bytes());
        self.mix(bytes);
        if let Some(lines) = &mut self.lines {
            let shown = bytes.get(..SHOWN_BYTES).unwrap_or(bytes);
            let text = String::from_utf8_lossy(shown);
            let text = text.escape_debug();
            let size = bytes.len();
            let (seconds, micros) = (at / 1_000_000, at % 1_000_000);
            let tail = if size == 0 {
                String::new()
            } else {
                format!(" {size} \"{text}\"")
            };
            lines.push(format!("{seconds}.{micros:06} {what} {subject}{tail}"));
        }
    }

    /// FNV-1a over whole words: enough to tell two runs apart.
    fn mix(&mut self, bytes: &[u8]) {
        let mut add = |word: u64| {
            self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
            self.hash = self.hash.rotate_left(23);
        };
        add(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| add(u64::from_le_bytes(*word)));
        rest.iter().for_each(|byte| add(u64::from(*byte)));
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) const fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
