//! What the writer knows of all rooms, in memory: which number is next, and what has to be done.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, Statement, params};

use super::{LogEntry, LogError, RoomState, row};

/// One life of a room: the entries of one epoch.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) name: Arc<str>,
    pub(super) epoch: u64,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    /// Up to this number the words are in the index.
    pub(super) indexed_seq: u64,
    pub(super) bytes: u64,
    pub(super) topic: String,
    pub(super) kept: bool,
}

impl Life {
    pub(super) fn new(name: Arc<str>, epoch: u64) -> Self {
        Self {
            name,
            epoch,
            first_seq: 1,
            last_seq: 0,
            indexed_seq: 0,
            bytes: 0,
            topic: String::new(),
            kept: false,
        }
    }

    pub(super) fn state(&self) -> RoomState {
        RoomState {
            room: Arc::clone(&self.name),
            epoch: self.epoch,
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            bytes: self.bytes,
            topic: self.topic.clone(),
            kept: self.kept,
        }
    }

    /// How many entries wait for the index.
    pub(super) fn unindexed(&self) -> u64 {
        self.last_seq.saturating_sub(self.indexed_seq)
    }
}

/// The columns that [`read`] wants.
pub(super) const COLUMNS: &str =
    "id, name, epoch, first_seq, last_seq, indexed_seq, bytes, topic, kept";

/// A row with [`COLUMNS`].
pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, Life)> {
    let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let life = Life {
        name: row.get(1)?,
        epoch: number(2)?,
        first_seq: number(3)?,
        last_seq: number(4)?,
        indexed_seq: number(5)?,
        bytes: number(6)?,
        topic: row.get(7)?,
        kept: row.get(8)?,
    };
    Ok((row.get(0)?, life))
}

/// Writes a life's row over what is there.
pub(super) fn write(statement: &mut Statement<'_>, id: i64, life: &Life) -> rusqlite::Result<()> {
    statement.execute(params![
        id,
        life.name,
        life.epoch.cast_signed(),
        life.first_seq.cast_signed(),
        life.last_seq.cast_signed(),
        life.indexed_seq.cast_signed(),
        life.bytes.cast_signed(),
        life.topic,
        life.kept,
    ])?;
    Ok(())
}

/// The statement of [`write`].
pub(super) const WRITE: &str = "INSERT INTO rooms VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET first_seq = excluded.first_seq, last_seq = excluded.last_seq,
        indexed_seq = excluded.indexed_seq, bytes = excluded.bytes, topic = excluded.topic,
        kept = excluded.kept";

/// All lives of all rooms.
#[derive(Debug, Default)]
pub(super) struct Lives {
    by_id: BTreeMap<i64, Life>,
    /// Of each room, from the oldest to the present one.
    by_name: HashMap<Arc<str>, Vec<i64>>,
    last_id: i64,
}

impl Lives {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut lives = Self::default();
        let mut statement =
            connection.prepare(&format!("SELECT {COLUMNS} FROM rooms ORDER BY id"))?;
        for loaded in statement.query_map([], read)? {
            let (id, life) = loaded?;
            lives.insert(id, life);
        }
        Ok(lives)
    }

    fn insert(&mut self, id: i64, life: Life) {
        let name = Arc::clone(&life.name);
        self.by_name.entry(name).or_default().push(id);
        self.by_id.insert(id, life);
        self.last_id = self.last_id.max(id);
    }

    pub(super) fn get(&self, id: i64) -> Option<&Life> {
        self.by_id.get(&id)
    }

    pub(super) fn set(&mut self, id: i64, life: Life) {
        self.by_id.insert(id, life);
    }

    /// Forgets an old life of which nothing is left.
    pub(super) fn remove(&mut self, id: i64) {
        if let Some(life) = self.by_id.remove(&id)
            && let Some(ids) = self.by_name.get_mut(&life.name)
        {
            ids.retain(|other| *other != id);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, &Life)> {
        self.by_id.iter().map(|(id, life)| (*id, life))
    }

    /// The present life of a room.
    pub(super) fn current(&self, room: &str) -> Option<(i64, &Life)> {
        let id = *self.by_name.get(room)?.last()?;
        Some((id, self.by_id.get(&id)?))
    }

    /// The present lives, by name.
    pub(super) fn states(&self) -> Vec<RoomState> {
        let current = |ids: &Vec<i64>| self.by_id.get(ids.last()?).map(Life::state);
        let mut states: Vec<_> = self.by_name.values().filter_map(current).collect();
        states.sort_by(|a, b| a.room.cmp(&b.room));
        states
    }

    /// Whether a life is the present one of its room.
    pub(super) fn is_current(&self, id: i64) -> bool {
        let life = self.by_id.get(&id);
        life.and_then(|life| self.current(&life.name))
            .is_some_and(|(current, _)| current == id)
    }

    /// How many bytes a life may have where its room may have `keep`: the later ones come first.
    pub(super) fn allowance(&self, id: i64, keep: u64) -> u64 {
        let ids = self
            .by_id
            .get(&id)
            .and_then(|life| self.by_name.get(&life.name));
        let later = ids.into_iter().flatten().filter(|other| **other > id);
        let later_bytes: u64 = later
            .filter_map(|other| self.by_id.get(other))
            .map(|life| life.bytes)
            .sum();
        keep.saturating_sub(later_bytes)
    }

    /// The earlier lives of a room that have anything.
    pub(super) fn earlier(&self, id: i64) -> impl Iterator<Item = i64> {
        let ids = self
            .by_id
            .get(&id)
            .and_then(|life| self.by_name.get(&life.name));
        let earlier = ids.into_iter().flatten().copied();
        earlier.filter(move |other| *other < id)
    }

    /// The life of an epoch: the present one, or a new one with the topic of the one before.
    pub(super) fn begin(&mut self, room: &Arc<str>, epoch: u64) -> Option<i64> {
        let before = match self.current(room) {
            Some((id, life)) if life.epoch == epoch => return Some(id),
            Some((_, life)) => Some((life.topic.clone(), life.kept)),
            None => None,
        };
        let ids = self.by_name.get(room).into_iter().flatten();
        let is_old = |id: &i64| self.by_id.get(id).is_some_and(|life| life.epoch == epoch);
        if ids.into_iter().any(is_old) || self.last_id >= row::LIFE_MAX {
            return None;
        }
        let mut life = Life::new(Arc::clone(room), epoch);
        if let Some((topic, kept)) = before {
            (life.topic, life.kept) = (topic, kept);
        }
        let id = self.last_id + 1;
        self.insert(id, life);
        Some(id)
    }

    /// Takes an entry as the next of its room, and says under which key; it is not written yet.
    pub(super) fn accept(&mut self, entry: &LogEntry) -> Result<i64, LogError> {
        row::check(entry)?;
        let out_of_order = |expected| LogError::OutOfOrder {
            room: Arc::clone(&entry.room),
            seq: entry.seq,
            expected,
        };
        let id = match self.current(&entry.room) {
            Some((id, life)) if life.epoch == entry.epoch => {
                if entry.seq != life.last_seq + 1 {
                    return Err(out_of_order(life.last_seq + 1));
                }
                id
            }
            _ if entry.seq != 1 => return Err(out_of_order(1)),
            _ => self
                .begin(&entry.room, entry.epoch)
                .ok_or_else(|| LogError::NoRoom {
                    room: Arc::clone(&entry.room),
                })?,
        };
        if let Some(life) = self.by_id.get_mut(&id) {
            life.last_seq = entry.seq;
            life.bytes += entry.cost() as u64;
        }
        Ok(row::key(id, entry.seq))
    }

    /// Takes over what a room is like.
    pub(super) fn describe(&mut self, id: i64, topic: String, kept: bool) {
        if let Some(life) = self.by_id.get_mut(&id) {
            (life.topic, life.kept) = (topic, kept);
        }
    }
}
