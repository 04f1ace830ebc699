//! Which messages a room had lately, by the ids that their senders gave them.

use std::collections::{HashMap, VecDeque};

use crate::limits::CLIENT_IDS_WINDOW;

/// The client message ids of a room's last [`CLIENT_IDS_WINDOW`] entries.
///
/// A client that does not know whether a message arrived sends it again with the same id; while the
/// first is among these, the second is known for what it is. Plain data, for who numbers entries.
///
/// ```
/// use switchboard_hub::log::RecentIds;
///
/// let mut ids = RecentIds::default();
/// ids.add("a-1", 7);
/// assert_eq!(ids.seq_of("a-1"), Some(7));
/// assert_eq!(ids.seq_of("a-2"), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecentIds {
    seqs: HashMap<Box<str>, u64>,
    /// The same in the order of their numbers.
    order: VecDeque<(u64, Box<str>)>,
}

impl RecentIds {
    /// Remembers that entry `seq`, a greater number than all before, has this id, and forgets those
    /// that are [`CLIENT_IDS_WINDOW`] numbers or more behind it. An id that is known keeps its
    /// first number.
    pub fn add(&mut self, id: &str, seq: u64) {
        self.forget_before(seq);
        if !self.seqs.contains_key(id) {
            self.seqs.insert(id.into(), seq);
            self.order.push_back((seq, id.into()));
        }
    }

    /// The number of the entry that has this id.
    #[must_use]
    pub fn seq_of(&self, id: &str) -> Option<u64> {
        self.seqs.get(id).copied()
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// True if none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn forget_before(&mut self, seq: u64) {
        while let Some((old, _)) = self.order.front() {
            if seq.saturating_sub(*old) < CLIENT_IDS_WINDOW {
                return;
            }
            if let Some((_, id)) = self.order.pop_front() {
                self.seqs.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_for_as_many_entries_as_the_window_has() {
        for (behind, is_known) in [
            (CLIENT_IDS_WINDOW - 1, true),
            (CLIENT_IDS_WINDOW, false),
            (CLIENT_IDS_WINDOW + 1, false),
        ] {
            let mut ids = RecentIds::default();
            ids.add("first", 10);
            ids.add("later", 10 + behind);
            assert_eq!(ids.seq_of("first").is_some(), is_known, "{behind}");
            assert_eq!(ids.len(), if is_known { 2 } else { 1 });
            assert_eq!(ids.seq_of("later"), Some(10 + behind));
        }
    }

    #[test]
    fn a_repeated_id_keeps_its_first_number() {
        let mut ids = RecentIds::default();
        ids.add("a", 1);
        ids.add("a", 2);
        assert_eq!((ids.seq_of("a"), ids.len()), (Some(1), 1));
    }
}
