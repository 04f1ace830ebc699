//! The connections of a shard, side by side in one table.

use super::ConnectionId;
use crate::room::{MemberId, ShardId};

/// The part of a number that is the place in the table, and begins at 1; what is above it counts
/// those who had the place before.
const PLACE_BITS: u32 = 24;
const PLACE_MASK: u64 = (1 << PLACE_BITS) - 1;

/// The most that one place is used: the number is up to 48 bits long.
const USES_MAX: u64 = (1 << (48 - PLACE_BITS)) - 1;

/// Connections by their numbers, in no order that means anything but is always the same. No number
/// is given out twice.
#[derive(Debug)]
pub(super) struct Connections<T> {
    home: ShardId,
    places: Vec<Place<T>>,
    /// Places that have been given up.
    free: Vec<u32>,
    len: usize,
}

#[derive(Debug)]
struct Place<T> {
    /// The number of whoever is here; of a free place, of whoever comes next.
    id: ConnectionId,
    value: Option<T>,
}

fn place_of(id: ConnectionId) -> usize {
    usize::try_from((id & PLACE_MASK).wrapping_sub(1)).unwrap_or(usize::MAX)
}

impl<T> Connections<T> {
    /// Nobody, at the shard `home`. There is room for so many at once: a table that grows leaves
    /// its former memory behind.
    pub(super) fn new(home: ShardId, room: usize) -> Self {
        Self {
            home,
            places: Vec::with_capacity(room),
            free: Vec::new(),
            len: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes a connection in, and gives it a number.
    pub(super) fn insert(&mut self, value: T) -> ConnectionId {
        self.len += 1;
        if let Some(index) = self.free.pop()
            && let Some(place) = self.places.get_mut(index as usize)
        {
            place.value = Some(value);
            return place.id;
        }
        let number = self.places.len() as u64 + 1;
        let MemberId(id) = MemberId::new(self.home, number);
        self.places.push(Place {
            id,
            value: Some(value),
        });
        id
    }

    pub(super) fn get(&self, id: &ConnectionId) -> Option<&T> {
        let place = self.places.get(place_of(*id))?;
        place.value.as_ref().filter(|_| place.id == *id)
    }

    pub(super) fn get_mut(&mut self, id: &ConnectionId) -> Option<&mut T> {
        let place = self.places.get_mut(place_of(*id))?;
        place.value.as_mut().filter(|_| place.id == *id)
    }

    pub(super) fn contains_key(&self, id: &ConnectionId) -> bool {
        self.get(id).is_some()
    }

    pub(super) fn remove(&mut self, id: &ConnectionId) -> Option<T> {
        let index = place_of(*id);
        let place = self.places.get_mut(index).filter(|place| place.id == *id)?;
        let value = place.value.take()?;
        self.len -= 1;
        // A place that was used too often stays empty.
        if (place.id >> PLACE_BITS) & USES_MAX < USES_MAX {
            place.id += 1 << PLACE_BITS;
            self.free.extend(u32::try_from(index));
        }
        Some(value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &T)> {
        let all = self.places.iter();
        all.filter_map(|place| Some((place.id, place.value.as_ref()?)))
    }
}

/// The numbers of connections by the places that the network has for them.
#[derive(Debug)]
pub(super) struct ByPlace {
    /// Zero is nobody's.
    ids: Vec<ConnectionId>,
    len: usize,
}

impl ByPlace {
    pub(super) fn new(room: usize) -> Self {
        Self {
            ids: Vec::with_capacity(room),
            len: 0,
        }
    }

    /// How many connections the network has.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, place: usize) -> Option<ConnectionId> {
        self.ids.get(place).copied().filter(|id| *id != 0)
    }

    pub(super) fn insert(&mut self, place: usize, id: ConnectionId) {
        if self.ids.len() <= place {
            self.ids.resize(place + 1, 0);
        }
        if let Some(free) = self.ids.get_mut(place) {
            *free = id;
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, place: usize) {
        if let Some(id) = self.ids.get_mut(place).filter(|id| **id != 0) {
            *id = 0;
            self.len -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use switchboard_reactor::Reactor;

    use super::super::Connection;
    use super::*;

    #[test]
    fn a_silent_member_takes_a_place_of_104_bytes() {
        // What only few need is beside it: a name that was taken, a line that has begun.
        assert_eq!(size_of::<Place<Connection<Reactor>>>(), 104);
    }

    #[test]
    fn a_number_names_one_connection_for_ever() {
        let mut connections = Connections::new(ShardId(3), 0);
        let first = connections.insert("first");
        let second = connections.insert("second");
        assert_eq!(MemberId(first), MemberId::new(ShardId(3), 1));
        assert_eq!(connections.remove(&first), Some("first"));
        assert_eq!(connections.remove(&first), None);
        let third = connections.insert("third");
        assert!(third != first && MemberId(third).home() == ShardId(3));
        assert_eq!((connections.get(&first), connections.len()), (None, 2));
        assert_eq!(connections.get_mut(&third), Some(&mut "third"));
        let all: Vec<_> = connections.iter().collect();
        assert_eq!(all, [(third, &"third"), (second, &"second")]);
        // The same number of another shard is somebody else.
        let MemberId(elsewhere) = MemberId::new(ShardId(2), second & PLACE_MASK);
        assert!(!connections.contains_key(&elsewhere));
    }

    #[test]
    fn a_place_that_was_used_too_often_is_not_used_again() {
        let mut connections = Connections::new(ShardId(0), 0);
        let first = connections.insert(());
        let last = first + (USES_MAX << PLACE_BITS);
        connections.places[0].id = last;
        assert!(connections.remove(&last).is_some());
        assert_eq!(connections.insert(()), first + 1);
        assert!(!connections.contains_key(&last));
    }
}
