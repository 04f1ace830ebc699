//! What a program has written so far, and waiting for more.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::PATIENCE;

/// One stream of a program, read to its end by a thread of its own.
///
/// A handle: clones see the same stream.
#[derive(Debug, Clone)]
pub struct Output {
    name: String,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Seen>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Seen {
    bytes: Vec<u8>,
    ended: bool,
}

impl Output {
    /// Begins to read `stream`; `name` is what failures call it.
    pub fn collect(name: &str, mut stream: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        thread::spawn(move || {
            let mut piece = vec![0; 65_536];
            while let Ok(len @ 1..) = stream.read(&mut piece) {
                lock(&writer.seen).bytes.extend_from_slice(&piece[..len]);
                writer.more.notify_all();
            }
            lock(&writer.seen).ended = true;
            writer.more.notify_all();
        });
        Self {
            name: name.to_owned(),
            shared,
        }
    }

    /// All there is so far.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        lock(&self.shared.seen).bytes.clone()
    }

    /// All there is so far, as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Waits until `text` has been written.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let mut from = 0;
        self.wait_until(&format!("{text:?}"), PATIENCE, |bytes| {
            let found = find(&bytes[from..], text.as_bytes());
            from = bytes.len().saturating_sub(text.len());
            found
        });
    }

    /// Waits for a whole line with all of `texts` in it; gives it without its line ending.
    #[track_caller]
    pub fn wait_line(&self, texts: &[&str]) -> String {
        self.wait_line_for(PATIENCE, texts)
    }

    /// [`Output::wait_line`] with another limit than [`PATIENCE`].
    #[track_caller]
    pub fn wait_line_for(&self, limit: Duration, texts: &[&str]) -> String {
        let mut from = 0;
        self.wait_until(&format!("a line with {texts:?}"), limit, |bytes| {
            while let Some(len) = bytes[from..].iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&bytes[from..from + len]);
                from += len + 1;
                if texts.iter().all(|text| line.contains(text)) {
                    return Some(line.trim_end_matches('\r').to_owned());
                }
            }
            None
        })
    }

    /// Waits until the program has closed this stream; gives all it has written to it.
    #[track_caller]
    pub fn wait_end(&self) -> Vec<u8> {
        self.wait_end_for(PATIENCE)
    }

    /// [`Output::wait_end`] with another limit than [`PATIENCE`].
    #[track_caller]
    pub fn wait_end_for(&self, limit: Duration) -> Vec<u8> {
        self.wait_change("its end", limit, |seen| {
            seen.ended.then(|| seen.bytes.clone())
        })
    }

    /// Waits until `look` finds what it wants in all that was written so far.
    #[track_caller]
    pub fn wait_until<T>(
        &self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut(&[u8]) -> Option<T>,
    ) -> T {
        self.wait_change(what, limit, |seen| look(&seen.bytes))
    }

    #[track_caller]
    fn wait_change<T>(
        &self,
        what: &str,
        limit: Duration,
        look: impl FnMut(&Seen) -> Option<T>,
    ) -> T {
        match self.try_wait(limit, look) {
            Ok(found) => found,
            Err(why) => panic!("waiting for {what}: {why}"),
        }
    }

    /// The error tells what there was instead.
    fn try_wait<T>(
        &self,
        limit: Duration,
        mut look: impl FnMut(&Seen) -> Option<T>,
    ) -> Result<T, String> {
        let deadline = Instant::now() + limit;
        let mut seen = lock(&self.shared.seen);
        loop {
            if let Some(found) = look(&seen) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if seen.ended || left.is_zero() {
                let why = if seen.ended {
                    "ended"
                } else {
                    "was not in time"
                };
                let words = tail(&seen.bytes);
                return Err(format!("{} {why}; its last words:\n{words}", self.name));
            }
            let waited = self.shared.more.wait_timeout(seen, left);
            seen = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether `text` is written before the end and within [`PATIENCE`].
    #[must_use]
    pub fn comes(&self, text: &str) -> bool {
        let text = text.as_bytes();
        self.try_wait(PATIENCE, |seen| find(&seen.bytes, text))
            .is_ok()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn tail(bytes: &[u8]) -> String {
    let from = bytes.len().saturating_sub(3000);
    String::from_utf8_lossy(&bytes[from..]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::Output;

    #[test]
    fn waits_see_text_lines_and_the_end() {
        let output = Output::collect("a text", "one\r\ntwo three\nfour".as_bytes());
        output.wait_for("o thr");
        assert_eq!(output.wait_line(&["one"]), "one");
        assert_eq!(output.wait_line(&["three", "two"]), "two three");
        assert_eq!(output.wait_end(), b"one\r\ntwo three\nfour");
    }

    #[test]
    #[should_panic(expected = "a text ended; its last words:\none")]
    fn what_never_comes_is_told_with_what_came() {
        Output::collect("a text", "one".as_bytes()).wait_for("two");
    }
}
