//! What is to happen at a later time.

use std::collections::BTreeMap;
use std::time::Instant;

/// A timer that was set; it can be cancelled until it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerId {
    at: Instant,
    serial: u64,
}

/// Timers in the order in which they are due; those of one moment in the order of setting.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    waiting: BTreeMap<TimerId, T>,
    serial: u64,
    /// The moment up to which timers were called for last.
    called: Option<Instant>,
}

impl<T> Timers<T> {
    pub(crate) const fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            serial: 0,
            called: None,
        }
    }

    /// One for a moment that has been called already comes behind those that are due with it, so
    /// that it cannot keep them waiting.
    pub(crate) fn set(&mut self, at: Instant, value: T) -> TimerId {
        self.serial += 1;
        let at = self.called.map_or(at, |called| at.max(called));
        let id = TimerId {
            at,
            serial: self.serial,
        };
        self.waiting.insert(id, value);
        id
    }

    pub(crate) fn cancel(&mut self, id: TimerId) -> Option<T> {
        self.waiting.remove(&id)
    }

    /// When the first one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|(id, _)| id.at)
    }

    /// Takes out the first one that is due and whose serial number is at most `limit`, so that a
    /// timer that sets itself anew for the same moment waits for the next round.
    pub(crate) fn pop_due(&mut self, now: Instant, limit: u64) -> Option<T> {
        self.called = Some(now);
        let first = self.waiting.first_entry()?;
        let id = first.key();
        (id.at <= now && id.serial <= limit).then(|| first.remove())
    }

    /// The serial number of the timer that was set last.
    pub(crate) const fn serial(&self) -> u64 {
        self.serial
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn timers_come_out_in_order_and_cancelled_ones_do_not() {
        let now = Instant::now();
        let mut timers = Timers::new();
        timers.set(now + Duration::from_secs(2), "later");
        timers.set(now, "first");
        let gone = timers.set(now, "cancelled");
        timers.set(now, "second");
        assert_eq!(timers.cancel(gone), Some("cancelled"));
        let limit = timers.serial();
        assert_eq!(timers.pop_due(now, limit), Some("first"));
        timers.set(now, "set in this round");
        assert_eq!(timers.pop_due(now, limit), Some("second"));
        assert_eq!(timers.pop_due(now, limit), None);
        assert_eq!(
            timers.pop_due(now, timers.serial()),
            Some("set in this round")
        );
        assert_eq!(timers.next(), Some(now + Duration::from_secs(2)));
    }
    #[test]
    fn a_timer_set_for_the_past_does_not_keep_those_waiting_that_are_due() {
        let start = Instant::now();
        let now = start + Duration::from_secs(9);
        let mut timers = Timers::new();
        timers.set(start, "first");
        timers.set(now, "second");
        let limit = timers.serial();
        assert_eq!(timers.pop_due(now, limit), Some("first"));
        let again = timers.set(start, "first again");
        assert_eq!(timers.pop_due(now, limit), Some("second"));
        assert_eq!(timers.pop_due(now, limit), None);
        assert_eq!(timers.cancel(again), Some("first again"));
    }
}
