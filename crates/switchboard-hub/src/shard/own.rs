//! What a reader of lines has said itself and not passed yet, which it is not shown when it is fed
//! from the log.

use std::collections::VecDeque;

use crate::limits::OWN_ENTRIES_MAX;

/// The numbers of its own entries, in their order.
#[derive(Debug, Default)]
pub(super) struct Own(VecDeque<u64>);

impl Own {
    /// It has said the entry `seq`, and will read the entry `next` next. Where there are too many,
    /// the oldest is forgotten.
    pub(super) fn add(&mut self, seq: u64, next: u64) {
        self.pass(next);
        self.0.push_back(seq);
        if self.0.len() > OWN_ENTRIES_MAX {
            self.0.pop_front();
        }
    }

    /// Nothing before the entry `next` will be read any more.
    pub(super) fn pass(&mut self, next: u64) {
        while self.0.front().is_some_and(|seq| *seq < next) {
            self.0.pop_front();
        }
    }

    pub(super) fn has(&self, seq: u64) -> bool {
        self.0.binary_search(&seq).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_is_forgotten() {
        let mut own = Own::default();
        own.add(3, 1);
        own.add(7, 2);
        assert!(own.has(3) && own.has(7) && !own.has(5));
        own.add(9, 4);
        assert!(!own.has(3) && own.has(7) && own.has(9));
        own.pass(10);
        assert!(own.0.is_empty());
    }

    #[test]
    fn the_oldest_of_too_many_are_forgotten() {
        let mut own = Own::default();
        let max = OWN_ENTRIES_MAX as u64;
        for seq in 1..=max {
            own.add(seq, 0);
            assert!(own.has(1));
        }
        own.add(max + 1, 0);
        assert!(!own.has(1) && own.has(2) && own.has(max + 1));
    }
}
