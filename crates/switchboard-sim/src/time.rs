//! Virtual time: microseconds since the world began.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A moment, or a time between two: microseconds.
pub(crate) type Micros = u64;

pub(crate) const MS: Micros = 1_000;
pub(crate) const SECOND: Micros = 1_000 * MS;

/// The wall clock when the world begins, in milliseconds since 1970.
const BEGAN_MS: i64 = 1_795_244_709_000;

/// The one clock of a world, read by all its parts. Only the order of moments counts: where the
/// base lies in real time is seen by nobody.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    base: Instant,
    now: Arc<AtomicU64>,
    /// How far the wall clock is off, in milliseconds.
    wall_offset: Arc<AtomicI64>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            base: Instant::now(),
            now: Arc::default(),
            wall_offset: Arc::default(),
        }
    }

    pub(crate) fn now(&self) -> Micros {
        self.now.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, now: Micros) {
        self.now.store(now, Ordering::Relaxed);
    }

    pub(crate) fn instant(&self) -> Instant {
        self.base + Duration::from_micros(self.now())
    }

    /// The first moment that is not before an instant.
    pub(crate) fn moment_of(&self, at: Instant) -> Micros {
        let nanos = at.saturating_duration_since(self.base).as_nanos();
        u64::try_from(nanos.div_ceil(1_000)).unwrap_or(u64::MAX)
    }

    /// Sets the wall clock forward or back.
    pub(crate) fn step_wall(&self, ms: i64) {
        self.wall_offset.fetch_add(ms, Ordering::Relaxed);
    }

    pub(crate) fn unix_ms(&self) -> u64 {
        let elapsed = i64::try_from(self.now() / MS).unwrap_or(i64::MAX);
        let ms = BEGAN_MS + elapsed + self.wall_offset.load(Ordering::Relaxed);
        u64::try_from(ms).unwrap_or(0)
    }
}
