//! How long to wait before something that failed is tried again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::{LASTING, PAUSE_MAX, PAUSE_MIN};

/// Growing pauses with full jitter: each is any time from zero to its longest.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    failures: u32,
    drawn: u64,
    random: RandomState,
}

impl Pauses {
    /// The next pause after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let longest = longest(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.drawn = self.drawn.wrapping_add(1);
        let fraction = self.random.hash_one(self.drawn) >> 32;
        longest.mul_f64(fraction as f64 / f64::from(u32::MAX))
    }

    /// What failed has worked.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// What failed has worked for so long, which may be too short to mean anything.
    pub(crate) fn worked_for(&mut self, time: Duration) {
        if time >= LASTING {
            self.reset();
        }
    }
}

/// The longest pause after so many failures before.
fn longest(failures: u32) -> Duration {
    let factor = 2_u32.checked_pow(failures).unwrap_or(u32::MAX);
    PAUSE_MIN.saturating_mul(factor).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LASTING, PAUSE_MAX, PAUSE_MIN, Pauses, longest};

    #[test]
    fn pauses_grow_to_their_limit_and_begin_anew() {
        assert_eq!(longest(0), PAUSE_MIN);
        assert_eq!(longest(1), PAUSE_MIN * 2);
        assert_eq!(longest(8), PAUSE_MIN * 256);
        assert_eq!(longest(9), PAUSE_MAX, "25.6 s, then 30 s and not 51.2 s");
        assert_eq!(longest(u32::MAX), PAUSE_MAX);
        let mut pauses = Pauses::default();
        assert!((0..100).all(|_| pauses.next() <= PAUSE_MAX));
        pauses.reset();
        assert!(pauses.next() <= PAUSE_MIN);
    }

    #[test]
    fn only_what_has_lasted_makes_them_begin_anew() {
        let tick = Duration::from_nanos(1);
        for (time, is_anew) in [
            (LASTING - tick, false),
            (LASTING, true),
            (LASTING + tick, true),
        ] {
            let mut pauses = Pauses {
                failures: 20,
                ..Pauses::default()
            };
            pauses.worked_for(time);
            let longest = (0..50).map(|_| {
                let failures = pauses.failures;
                let pause = pauses.next();
                pauses.failures = failures;
                pause
            });
            assert_eq!(longest.max().unwrap() <= PAUSE_MIN, is_anew, "{time:?}");
        }
    }

    #[test]
    fn pauses_are_spread_over_their_whole_length() {
        let mut pauses = Pauses {
            failures: 20,
            ..Pauses::default()
        };
        let drawn: Vec<_> = (0..200).map(|_| pauses.next()).collect();
        for tenth in 0..10 {
            let from = PAUSE_MAX / 10 * tenth;
            let to = PAUSE_MAX / 10 * (tenth + 1);
            let is_met = drawn.iter().any(|pause| (from..=to).contains(pause));
            assert!(is_met, "none of 200 from {from:?} to {to:?}");
        }
    }
}
