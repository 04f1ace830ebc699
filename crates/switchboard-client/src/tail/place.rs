//! How far a room was followed: what makes each entry come once.

use switchboard_wire::{Answer, Delivered, EntryFrame, Follow, RoomName};

/// A place in a room's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    room: RoomName,
    epoch: Option<u64>,
    seq: Option<u64>,
    /// The hub has said where what comes begins.
    is_there: bool,
}

/// What something that came means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The next entry.
    Entry(EntryFrame),
    /// Entries are missing, and will not come.
    Gap { from: u64, to: u64 },
    /// The room is followed from here on.
    Here,
    /// Nothing new.
    Nothing,
    /// Entries are missing without a word about it.
    OutOfStep,
    /// We are not let in.
    Refused(String),
    /// The history is another one.
    Reset,
}

impl Place {
    /// Behind entry `seq` of the history `epoch`; without them, where the room is now.
    pub(super) const fn new(room: RoomName, seq: Option<u64>, epoch: Option<u64>) -> Self {
        Self {
            room,
            epoch,
            seq,
            is_there: false,
        }
    }

    /// The room.
    #[must_use]
    pub const fn room(&self) -> &RoomName {
        &self.room
    }

    /// The number of the last entry that was taken; `None` before anything is known.
    #[must_use]
    pub const fn seq(&self) -> Option<u64> {
        self.seq
    }

    /// The history that the number counts in.
    #[must_use]
    pub const fn epoch(&self) -> Option<u64> {
        self.epoch
    }

    /// What to ask a new connection for.
    pub(super) fn ask(&mut self) -> Follow {
        self.is_there = false;
        Follow {
            room: self.room.clone(),
            from: None,
            since: self.seq,
            epoch: self.epoch,
        }
    }

    /// The hub has said where what comes begins.
    pub(super) const fn is_there(&self) -> bool {
        self.is_there
    }

    /// Takes what came, and moves on with it.
    pub(super) fn take(&mut self, delivered: Delivered) -> News {
        match delivered {
            Delivered::Entry(entry) => self.entry(entry),
            Delivered::Answer(Answer::At { epoch, seq, .. }) => {
                self.epoch = Some(epoch);
                self.seq = Some(seq);
                self.is_there = true;
                News::Here
            }
            Delivered::Answer(Answer::Gap { from, to, .. }) => {
                let known = self.seq.unwrap_or(0);
                if to <= known {
                    return News::Nothing;
                }
                self.seq = Some(to);
                let from = from.max(known + 1);
                News::Gap { from, to }
            }
            Delivered::Answer(Answer::Refused { reason, .. }) => News::Refused(reason),
            Delivered::Answer(Answer::Reset { epoch, .. }) => {
                self.epoch = Some(epoch);
                self.seq = Some(0);
                News::Reset
            }
            Delivered::Answer(_) => News::Nothing,
        }
    }

    fn entry(&mut self, entry: EntryFrame) -> News {
        let known = self.seq.unwrap_or(0);
        if self.epoch != Some(entry.epoch) || entry.seq > known.saturating_add(1) {
            return News::OutOfStep;
        }
        if entry.seq <= known {
            return News::Nothing;
        }
        self.seq = Some(entry.seq);
        News::Entry(entry)
    }
}

#[cfg(test)]
mod tests {
    use switchboard_wire::EntryKind;

    use super::*;

    fn entry(epoch: u64, seq: u64) -> EntryFrame {
        EntryFrame {
            room: "lobby".into(),
            epoch,
            seq,
            time_ms: 0,
            from: "ada".into(),
            reply_to: None,
            id: None,
            kind: EntryKind::Joined,
        }
    }

    fn take(place: &mut Place, answer: Answer) -> News {
        place.take(Delivered::Answer(answer))
    }

    fn at(epoch: u64, seq: u64) -> Answer {
        let room = "lobby".into();
        Answer::At { room, epoch, seq }
    }

    fn here() -> Place {
        let mut place = Place::new(RoomName::lobby(), None, None);
        assert_eq!(place.ask().since, None);
        assert_eq!(take(&mut place, at(7, 4)), News::Here);
        place
    }

    #[test]
    fn each_number_is_taken_once_and_in_its_turn() {
        let mut place = here();
        let mut push = |epoch, seq| place.take(Delivered::Entry(entry(epoch, seq)));
        assert_eq!(push(7, 5), News::Entry(entry(7, 5)));
        assert_eq!(push(7, 5), News::Nothing);
        assert_eq!(push(7, 7), News::OutOfStep);
        assert_eq!(push(8, 6), News::OutOfStep);
        assert_eq!(push(7, 6), News::Entry(entry(7, 6)));
        let follow = place.ask();
        assert_eq!((follow.since, follow.epoch), (Some(6), Some(7)));
    }

    #[test]
    fn a_gap_and_another_history_move_the_place() {
        let mut place = here();
        let gap = |from, to| Answer::Gap {
            room: "lobby".into(),
            epoch: 7,
            from,
            to,
        };
        assert_eq!(take(&mut place, gap(1, 4)), News::Nothing, "known already");
        assert_eq!(
            take(&mut place, gap(3, 9)),
            News::Gap { from: 5, to: 9 },
            "only what is missing"
        );
        let next = place.take(Delivered::Entry(entry(7, 10)));
        assert_eq!(next, News::Entry(entry(7, 10)));
        let reset = Answer::Reset {
            room: "lobby".into(),
            epoch: 9,
        };
        assert_eq!(take(&mut place, reset), News::Reset);
        assert_eq!((place.seq(), place.epoch()), (Some(0), Some(9)));
        assert_eq!(take(&mut place, at(9, 0)), News::Here);
        let first = place.take(Delivered::Entry(entry(9, 1)));
        assert_eq!(first, News::Entry(entry(9, 1)));
    }
}
