//! All rooms that a shard owns.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use switchboard_wire::{MessageId, RoomName, Topic};

use super::{MemberId, Room};
use crate::limits::{Limits, MESSAGE_IDS_MAX};

/// All rooms, by name: made by whoever comes first, forgotten when the last has gone, unless they
/// are kept. The lobby is always kept.
#[derive(Debug)]
pub struct Rooms {
    rooms: BTreeMap<RoomName, Room>,
    kept: BTreeSet<RoomName>,
    rooms_max: usize,
    /// How many there are in the whole hub.
    count: Arc<AtomicUsize>,
    members_max: usize,
    numbers: Numbers,
}

/// What a room that is made goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// See [`Room::epoch`].
    pub epoch: u64,
    /// The number of the last entry there was; 0 where it is all new.
    pub last_seq: u64,
    /// What it was about.
    pub topic: Option<Topic>,
}

impl From<u64> for History {
    /// None yet, with this epoch.
    fn from(epoch: u64) -> Self {
        Self {
            epoch,
            last_seq: 0,
            topic: None,
        }
    }
}

/// Why a room cannot be entered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoomRefusal {
    /// There are as many rooms as there may be.
    #[error("there are {max} rooms already, and no more can be made")]
    TooManyRooms {
        /// How many.
        max: usize,
    },
    /// The room has as many members as it may have.
    #[error("the room {room} is full: {max} members")]
    Full {
        /// Which.
        room: RoomName,
        /// How many.
        max: usize,
    },
}

impl Rooms {
    /// Only the lobby, with this epoch; the rooms in `kept` will not be forgotten once they are
    /// made.
    #[must_use]
    pub fn new(limits: &Limits, kept: impl IntoIterator<Item = RoomName>, epoch: u64) -> Self {
        Self::part(limits, kept, Some(epoch), Arc::default())
    }

    /// The rooms of one shard of several, which count together in `count`. The lobby is among them
    /// if it has an epoch here.
    #[must_use]
    pub fn part(
        limits: &Limits,
        kept: impl IntoIterator<Item = RoomName>,
        lobby_epoch: Option<u64>,
        count: Arc<AtomicUsize>,
    ) -> Self {
        let lobby = RoomName::lobby();
        let mut kept: BTreeSet<RoomName> = kept.into_iter().collect();
        kept.insert(lobby.clone());
        let mut rooms = BTreeMap::new();
        if let Some(epoch) = lobby_epoch {
            rooms.insert(lobby.clone(), Room::new(lobby, epoch));
            count.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            rooms,
            kept,
            rooms_max: limits.rooms,
            count,
            members_max: limits.room_members,
            numbers: Numbers::default(),
        }
    }

    /// A room that there is.
    #[must_use]
    pub fn get(&self, name: &RoomName) -> Option<&Room> {
        self.rooms.get(name)
    }

    /// A room that there is, to be told something.
    pub fn get_mut(&mut self, name: &RoomName) -> Option<&mut Room> {
        self.rooms.get_mut(name)
    }

    /// All rooms with the count of their members, in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&RoomName, usize)> + '_ {
        self.rooms.iter().map(|(name, room)| (name, room.len()))
    }

    /// How many rooms there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// True if there is no room here, as there may be where the lobby is another shard's.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// Whether a room stays when the last has gone.
    #[must_use]
    pub fn is_kept(&self, name: &RoomName) -> bool {
        self.kept.contains(name)
    }

    /// A room with a place for one more member; made, with this history or epoch, if there is none
    /// of this name.
    /// One that nobody comes to after all is to be [forgotten](Rooms::forget).
    ///
    /// # Errors
    /// [`RoomRefusal`].
    pub fn enter<H: Into<History>>(
        &mut self,
        name: &RoomName,
        history: impl FnOnce() -> H,
    ) -> Result<&mut Room, RoomRefusal> {
        let max = self.members_max;
        let room = self.open(name, history)?;
        if room.len() >= max {
            let room = name.clone();
            return Err(RoomRefusal::Full { room, max });
        }
        Ok(room)
    }

    /// A room to drop something in, for a connection that is no member: it stays until that has
    /// [let it go](Rooms::let_go). To hold it again changes nothing.
    ///
    /// # Errors
    /// [`RoomRefusal::TooManyRooms`].
    pub fn hold<H: Into<History>>(
        &mut self,
        name: &RoomName,
        guest: MemberId,
        history: impl FnOnce() -> H,
    ) -> Result<&mut Room, RoomRefusal> {
        let room = self.open(name, history)?;
        room.guests.insert(guest);
        Ok(room)
    }

    /// A connection that may have held a room speaks there no longer.
    pub fn let_go(&mut self, name: &RoomName, guest: MemberId) {
        if let Some(room) = self.rooms.get_mut(name) {
            room.guests.remove(&guest);
        }
        self.forget(name);
    }

    /// Forgets a room, if nobody is there and it is not kept.
    pub fn forget(&mut self, name: &RoomName) {
        let is_idle = |room: &Room| room.is_empty() && room.guests.is_empty();
        if self.rooms.get(name).is_some_and(is_idle) && !self.kept.contains(name) {
            self.rooms.remove(name);
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Under which number something with this number of its author's was taken, if it was, and is
    /// among the last [`MESSAGE_IDS_MAX`] of all rooms.
    #[must_use]
    pub fn taken(&self, room: &RoomName, id: &MessageId) -> Option<u64> {
        let epoch = self.get(room)?.epoch();
        self.numbers.get(room, epoch, id)
    }

    /// Notes under which number something was taken.
    pub fn note(&mut self, room: &RoomName, id: MessageId, seq: u64) {
        if let Some(epoch) = self.get(room).map(Room::epoch) {
            self.numbers.put((room.clone(), epoch, id), seq);
        }
    }

    /// A room; made, with this history or epoch, if there is none of this name.
    ///
    /// # Errors
    /// [`RoomRefusal::TooManyRooms`].
    pub fn open<H: Into<History>>(
        &mut self,
        name: &RoomName,
        history: impl FnOnce() -> H,
    ) -> Result<&mut Room, RoomRefusal> {
        let max = self.rooms_max;
        match self.rooms.entry(name.clone()) {
            std::collections::btree_map::Entry::Occupied(room) => Ok(room.into_mut()),
            std::collections::btree_map::Entry::Vacant(place) => {
                let one_more = |count| (count < max).then_some(count + 1);
                self.count
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
                    .map_err(|_full| RoomRefusal::TooManyRooms { max })?;
                let History {
                    epoch,
                    last_seq,
                    topic,
                } = history().into();
                Ok(place.insert(Room::resume(name.clone(), epoch, last_seq, topic)))
            }
        }
    }
}

/// A room, its history, and the number that an author gave.
type Key = (RoomName, u64, MessageId);

/// The numbers that authors gave, the oldest forgotten for new ones.
#[derive(Debug, Default)]
struct Numbers {
    seqs: BTreeMap<Key, u64>,
    order: VecDeque<Key>,
}

impl Numbers {
    fn get(&self, room: &RoomName, epoch: u64, id: &MessageId) -> Option<u64> {
        let key = (room.clone(), epoch, id.clone());
        self.seqs.get(&key).copied()
    }

    fn put(&mut self, key: Key, seq: u64) {
        if self.seqs.insert(key.clone(), seq).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > MESSAGE_IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.seqs.remove(&oldest);
        }
    }
}
