//! How many lines a hub's log takes: peers that come and go by the hundred thousand must not fill
//! the disk, nor hide what matters.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::{Context, Layer};

use crate::clock::LogTime;

/// Lines that are written as fast as they come: the busiest minute of a hub, and about 8 MiB.
const LOG_BURST_LINES_MAX: u64 = 100_000;

/// Lines a second that are written for ever. Errors are written however many there are.
const LOG_LINES_PER_SECOND_MAX: u64 = 1_000;

/// The time in which one more line may be written.
const LINE_TIME: Duration = Duration::from_nanos(1_000_000_000 / LOG_LINES_PER_SECOND_MAX);

/// Counts lines, and says which are left out.
#[derive(Debug)]
struct Bucket {
    /// Lines that may be written now.
    room: u64,
    /// When the last of them was added.
    filled: Instant,
    /// Lines left out that were not told of yet.
    untold: u64,
    /// All that were left out.
    left_out: u64,
}

impl Bucket {
    const fn new(now: Instant) -> Self {
        Self {
            room: LOG_BURST_LINES_MAX,
            filled: now,
            untold: 0,
            left_out: 0,
        }
    }

    /// Whether one more line may be written.
    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_nanos();
        let earned = u64::try_from(passed / LINE_TIME.as_nanos()).unwrap_or(u64::MAX);
        if earned >= LOG_BURST_LINES_MAX - self.room {
            (self.room, self.filled) = (LOG_BURST_LINES_MAX, now);
        } else if let Ok(lines) = u32::try_from(earned) {
            self.room += earned;
            self.filled += LINE_TIME * lines;
        }
        let has_room = self.room > 0;
        if has_room {
            self.room -= 1;
        } else {
            self.untold += 1;
            self.left_out += 1;
        }
        has_room
    }
}

/// The limit, shared by what asks and what writes.
#[derive(Debug, Clone)]
pub(crate) struct LineLimit(Arc<Mutex<Bucket>>);

impl LineLimit {
    /// Nothing is written yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Bucket::new(Instant::now()))))
    }

    /// Lines that were left out so far.
    pub(crate) fn left_out(&self) -> u64 {
        self.bucket().left_out
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        // There is no state between two numbers that would be wrong.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for LineLimit {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        *event.metadata().level() == Level::ERROR || self.bucket().take(Instant::now())
    }
}

/// A writer in front of whose next line it is told how many were left out.
#[derive(Debug)]
pub(crate) struct Telling<W>(pub(crate) LineLimit, pub(crate) W);

impl<'a, W: Clone + Write + 'a> MakeWriter<'a> for Telling<W> {
    type Writer = W;

    fn make_writer(&'a self) -> W {
        self.1.clone()
    }

    fn make_writer_for(&'a self, _meta: &Metadata<'_>) -> W {
        let untold = std::mem::take(&mut self.0.bucket().untold);
        let mut writer = self.1.clone();
        if untold > 0 {
            // Whether the log can be written is told by whoever writes it.
            writer.write_all(told(untold).as_bytes()).ok();
        }
        writer
    }
}

/// A line of the log, which cannot be an event: it comes while one is being written.
fn told(count: u64) -> String {
    let mut time = String::new();
    LogTime.format_time(&mut Writer::new(&mut time)).ok();
    let max = LOG_LINES_PER_SECOND_MAX;
    format!("{time}  WARN {count} lines are left out here: more than {max} a second\n")
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn a_burst_is_written_and_then_so_many_lines_a_second() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(begin);
        let written = |bucket: &mut Bucket, count: u64, now| {
            (0..count).filter(|_| bucket.take(now)).count() as u64
        };
        assert_eq!(
            written(&mut bucket, LOG_BURST_LINES_MAX - 1, begin),
            LOG_BURST_LINES_MAX - 1
        );
        assert!(bucket.take(begin), "the last of the burst");
        assert!(!bucket.take(begin), "one more");
        assert_eq!((bucket.left_out, bucket.untold), (1, 1));
        let mut now = begin;
        for _ in 0..3 {
            now += Duration::from_secs(1);
            assert_eq!(written(&mut bucket, 5_000, now), LOG_LINES_PER_SECOND_MAX);
        }
        // Lines that come evenly, at the limit.
        for _ in 0..5_000 {
            now += LINE_TIME;
            assert!(bucket.take(now));
        }
        assert!(!bucket.take(now));
        now += Duration::from_secs(1_000);
        assert_eq!(
            written(&mut bucket, 2 * LOG_BURST_LINES_MAX, now),
            LOG_BURST_LINES_MAX
        );
    }

    /// What was written, in the test's hands.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<u8>>>);

    impl Write for Seen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_left_out_is_told_once_and_errors_are_never_left_out() {
        let (limit, seen) = (LineLimit::new(), Seen::default());
        let log = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(Telling(limit.clone(), seen.clone()))
            .finish()
            .with(limit.clone());
        tracing::subscriber::with_default(log, || {
            tracing::info!("before");
            // Longer than any test takes.
            let mut bucket = limit.bucket();
            (bucket.room, bucket.filled) = (0, Instant::now() + Duration::from_secs(3_600));
            drop(bucket);
            (0..3).for_each(|_| tracing::warn!("hidden"));
            tracing::error!("an error");
            tracing::error!("another");
        });
        let text = String::from_utf8(seen.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let ends = ["before", "more than 1000 a second", "an error", "another"];
        assert_eq!(lines.len(), ends.len(), "{text}");
        assert!(
            lines
                .iter()
                .zip(ends)
                .all(|(line, end)| line.ends_with(end)),
            "{text}"
        );
        assert!(lines[1].contains(" 3 lines are left out here"), "{text}");
        assert_eq!(limit.left_out(), 3);
    }
}
