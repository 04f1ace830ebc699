//! How fast one connection may send, where the operator has said that.
//!
//! Each has a bucket of tokens, one for a message. While it is empty, the connection is not read,
//! and what was read of it already is kept: it is slowed down, and nothing is lost. A bucket is the
//! time at which it will be full again, so that filling it costs nothing.

use core::num::NonZeroU32;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::waits::Awaited;
use super::{ConnectionId, Net, Session, Shard};
use crate::limits::{MESSAGES_BURST_MIN, MESSAGES_PER_SECOND_MAX, MESSAGES_WAIT_MIN};

/// In the tag of the timer of a connection that is too fast, besides its number.
pub(super) const PACE_BIT: u64 = 1 << 63;

/// The buckets of a shard's connections.
#[derive(Debug)]
pub(super) struct Pace {
    /// What one message takes.
    each: Duration,
    /// From how long before it is full a bucket has a token.
    ahead: Duration,
    /// When those are full that somebody has taken from.
    full_at: HashMap<ConnectionId, Instant>,
}

impl Pace {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        let per_second = per_second.get().min(MESSAGES_PER_SECOND_MAX);
        let each = Duration::from_secs(1) / per_second;
        let burst = per_second.max(MESSAGES_BURST_MIN);
        Self {
            each,
            ahead: each * (burst - 1),
            full_at: HashMap::new(),
        }
    }

    /// How long a connection has to wait that has no token; none if it has one.
    fn wait(&self, id: ConnectionId, now: Instant) -> Option<Duration> {
        let full_at = self.full_at.get(&id)?;
        let wait = full_at.checked_duration_since(now + self.ahead)?;
        // Some tokens at a time: a wake-up for each would cost more than its message.
        (!wait.is_zero()).then(|| wait.max(MESSAGES_WAIT_MIN))
    }

    pub(super) fn take(&mut self, id: ConnectionId, now: Instant) {
        let full_at = self.full_at.entry(id).or_insert(now);
        *full_at = (*full_at).max(now) + self.each;
    }

    pub(super) fn forget(&mut self, id: ConnectionId) {
        self.full_at.remove(&id);
    }
}

impl<N: Net> Shard<N> {
    /// Whether a connection is too fast for what it has sent besides, which is kept then until it
    /// may go on.
    #[inline]
    pub(super) fn is_too_fast(&mut self, net: &mut N, id: ConnectionId, bytes: &[u8]) -> bool {
        self.pace.is_some() && !bytes.is_empty() && self.pause(net, id, bytes, false)
    }

    /// The same for parcels, of which what has begun with a token needs no other one.
    #[inline]
    pub(super) fn is_parcel_too_fast(
        &mut self,
        net: &mut N,
        id: ConnectionId,
        bytes: &mut &[u8],
    ) -> bool {
        if self.pace.is_none() {
            return false;
        }
        let now = net.now();
        let parcel = self.parcel(id);
        let is_next = parcel.is_some_and(|parcel| parcel.session.is_next(now, bytes));
        is_next && self.is_too_fast(net, id, bytes)
    }

    /// Whether a connection is too fast for one message more.
    #[inline]
    pub(super) fn has_no_turn(&self, id: ConnectionId, now: Instant) -> bool {
        let pace = self.pace.as_ref();
        pace.is_some_and(|pace| pace.wait(id, now).is_some())
    }

    /// The same as [`Shard::is_too_fast`] for one that has ended its side within a message.
    pub(super) fn ends_too_fast(&mut self, net: &mut N, id: ConnectionId) -> bool {
        let is_inside = self.connections.get(&id).is_some_and(|connection| {
            matches!(&connection.session, Session::Line(session) if session.is_inside())
        });
        is_inside && self.pause(net, id, &[], true)
    }

    fn pause(&mut self, net: &mut N, id: ConnectionId, bytes: &[u8], has_ended: bool) -> bool {
        let now = net.now();
        let pace = self.pace.as_ref();
        let Some(wait) = pace.and_then(|pace| pace.wait(id, now)) else {
            return false;
        };
        net.set_timer(now + wait, id | PACE_BIT);
        self.await_answer(id, Awaited::Turn);
        self.hold(net, id, bytes, has_ended);
        true
    }

    /// A connection has sent a message, whatever that is worth.
    #[inline]
    pub(super) fn count_message(&mut self, net: &N, id: ConnectionId) {
        if let Some(pace) = &mut self.pace {
            pace.take(id, net.now());
        }
    }

    /// The time of a connection has come that was too fast.
    pub(super) fn go_on(&mut self, net: &mut N, id: ConnectionId) {
        let wait = self.waits.get(&id);
        if wait.is_some_and(|wait| matches!(wait.what, Awaited::Turn)) {
            self.answered(net, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many messages a connection may send at once, and how long it waits then.
    fn burst(per_second: u32) -> (u32, Duration) {
        let (mut pace, now) = (
            Pace::new(NonZeroU32::new(per_second).unwrap()),
            Instant::now(),
        );
        let mut count = 0;
        loop {
            if let Some(wait) = pace.wait(1, now) {
                assert!(pace.wait(2, now).is_none(), "each has its own bucket");
                return (count, wait);
            }
            pace.take(1, now);
            count += 1;
        }
    }

    #[test]
    fn a_burst_is_a_seconds_worth_but_not_very_few() {
        let each = |per_second| Duration::from_secs(1) / per_second;
        assert_eq!(burst(1), (MESSAGES_BURST_MIN, each(1)));
        let few = MESSAGES_BURST_MIN - 1;
        assert_eq!(burst(few), (MESSAGES_BURST_MIN, each(few)));
        let more = MESSAGES_BURST_MIN + 1;
        assert_eq!(burst(more), (more, each(more)));
        let all = MESSAGES_PER_SECOND_MAX;
        for per_second in [all - 1, all, all + 1] {
            let most = (per_second.min(all), MESSAGES_WAIT_MIN);
            assert_eq!(burst(per_second), most);
        }
    }

    #[test]
    fn whoever_has_waited_has_lost_nothing_of_its_rate() {
        let (mut pace, mut now) = (Pace::new(NonZeroU32::new(1_000).unwrap()), Instant::now());
        let (begun, mut count, mut waits) = (now, 0, 0);
        while now < begun + Duration::from_secs(10) {
            match pace.wait(1, now) {
                Some(wait) => (now, waits) = (now + wait, waits + 1),
                None => {
                    pace.take(1, now);
                    count += 1;
                }
            }
        }
        // A second's worth at once and ten more; what the last wait has brought is not taken.
        assert!((10_950..=11_000).contains(&count), "{count}");
        assert!(waits <= 200, "{waits}");
        pace.forget(1);
        assert_eq!(pace.wait(1, begun), None);
    }
}
