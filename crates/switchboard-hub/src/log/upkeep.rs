//! What the writer does while nothing waits: words go into the index, what is too old or too much
//! is removed. Each step is short, so that an entry that comes meanwhile waits for little.

use std::collections::BTreeSet;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::lives::{self, Life, Lives};
use super::{LogConfig, row};
use crate::limits::LOG_ENTRY_BYTES;

/// Entries that wait for the index until it is brought up to date: a search looks through them
/// anyway, and one larger step costs much less than many small ones.
const UNINDEXED_MAX: u64 = 256;

/// Entries that wait for the index from which on it takes more time, though entries come: a search
/// looks through so many in some tenths of a second.
const UNINDEXED_MANY: u64 = 512 * 1024;

/// Entries that one step puts into the index.
const INDEXED_PER_STEP: u64 = 256;

/// Entries that one step removes at most.
const REMOVED_PER_STEP: usize = 1_024;

/// What is to be done.
#[derive(Debug)]
pub(super) struct Upkeep {
    keep_bytes: Option<u64>,
    keep_ms: Option<i64>,
    /// What is before this time is too old.
    oldest_ms: i64,
    /// Lives with entries that are not in the index, and how many entries these are.
    behind: BTreeSet<i64>,
    unindexed: u64,
    /// Whether what was begun is still to be ended.
    is_catching_up: bool,
    /// Lives that may have something to remove.
    trims: BTreeSet<i64>,
    is_resting: bool,
}

impl Upkeep {
    pub(super) fn new(config: &LogConfig, lives: &Lives) -> Self {
        let keep_ms = config
            .keep_age
            .map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        let mut upkeep = Self {
            keep_bytes: config.keep_bytes,
            keep_ms,
            oldest_ms: i64::MIN,
            behind: BTreeSet::new(),
            unindexed: 0,
            is_catching_up: false,
            trims: BTreeSet::new(),
            is_resting: false,
        };
        for (id, _) in lives.iter() {
            upkeep.note(id, lives);
        }
        upkeep
    }

    /// Takes over that something was written to a life.
    pub(super) fn note(&mut self, id: i64, lives: &Lives) {
        self.is_resting = false;
        let Some(life) = lives.get(id) else {
            return;
        };
        self.behind.insert(id);
        self.count(lives);
        if let Some(keep) = self.keep_bytes {
            let excess = life.bytes.saturating_sub(keep);
            // A sixteenth at a time: removing one entry for each new one would cost as much.
            if excess > keep / 16 {
                self.trims.insert(id);
            }
            let is_over = |id: &i64| {
                let bytes = lives.get(*id).map_or(0, |life| life.bytes);
                bytes > lives.allowance(*id, keep)
            };
            self.trims.extend(lives.earlier(id).filter(is_over));
        }
    }

    /// Takes over what time it is.
    pub(super) fn retain(&mut self, now_ms: i64, lives: &Lives) {
        if let Some(keep) = self.keep_ms {
            self.oldest_ms = self.oldest_ms.max(now_ms.saturating_sub(keep));
            self.trims.extend(lives.iter().map(|(id, _)| id));
            self.is_resting = false;
        }
    }

    /// Do nothing until something is written again: a step failed.
    pub(super) fn rest(&mut self) {
        self.is_resting = true;
    }

    /// Whether there is something to do.
    pub(super) fn is_due(&self) -> bool {
        let must_index = self.is_catching_up || self.unindexed >= UNINDEXED_MAX;
        !self.is_resting && (must_index || !self.trims.is_empty())
    }

    /// Whether searches are slow because so much is not in the index.
    pub(super) const fn is_far_behind(&self) -> bool {
        !self.is_resting && self.unindexed >= UNINDEXED_MANY
    }

    /// Whether a room is so far beyond its size that it cannot wait for a quiet moment.
    pub(super) fn is_overdue(&self, lives: &Lives) -> bool {
        let Some(keep) = self.keep_bytes else {
            return false;
        };
        let is_over = |id: &i64| lives.get(*id).is_some_and(|life| life.bytes / 5 > keep / 4);
        !self.is_resting && self.trims.iter().any(is_over)
    }

    /// Does a little of it, in one transaction.
    pub(super) fn step(
        &mut self,
        connection: &mut Connection,
        lives: &mut Lives,
    ) -> rusqlite::Result<()> {
        // Nothing here is promised to anybody, so it need not be synced: the order of the
        // write-ahead log keeps it whole, and the next entry's sync takes it along.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        match self.trims.first().copied() {
            Some(id) => self.trim(id, connection, lives),
            None => self.index(connection, lives),
        }
    }

    fn index(&mut self, connection: &mut Connection, lives: &mut Lives) -> rusqlite::Result<()> {
        let transaction = begin(connection)?;
        let mut done = Vec::new();
        let mut room_for = INDEXED_PER_STEP;
        for id in &self.behind {
            let Some(life) = lives.get(*id) else {
                continue;
            };
            let count = life.unindexed().min(room_for);
            if count == 0 {
                break;
            }
            let mut indexed = life.clone();
            indexed.indexed_seq += count;
            transaction
                .prepare_cached(
                    "INSERT INTO words (rowid, text) SELECT id, text FROM entries
                     WHERE id BETWEEN ? AND ? AND kind < ?",
                )?
                .execute([
                    row::key(*id, life.indexed_seq + 1),
                    row::key(*id, indexed.indexed_seq),
                    row::SEARCHED_BELOW,
                ])?;
            write(&transaction, *id, &indexed)?;
            room_for -= count;
            done.push((*id, indexed));
        }
        transaction.commit()?;
        for (id, life) in done {
            lives.set(id, life);
        }
        self.count(lives);
        self.is_catching_up = self.unindexed > 0;
        Ok(())
    }

    fn count(&mut self, lives: &Lives) {
        let unindexed = |id: &i64| lives.get(*id).map_or(0, Life::unindexed);
        self.behind.retain(|id| unindexed(id) > 0);
        self.unindexed = self.behind.iter().map(unindexed).sum();
    }

    fn trim(
        &mut self,
        id: i64,
        connection: &mut Connection,
        lives: &mut Lives,
    ) -> rusqlite::Result<()> {
        let Some(life) = lives.get(id).cloned() else {
            self.trims.remove(&id);
            return Ok(());
        };
        let keep = self
            .keep_bytes
            .map_or(u64::MAX, |keep| lives.allowance(id, keep));
        let mut trimmed = life.clone();
        let is_more = self.measure(connection, id, &mut trimmed, keep)?;
        let is_empty = trimmed.first_seq > trimmed.last_seq && !lives.is_current(id);
        if !is_more {
            self.trims.remove(&id);
        }
        if trimmed.first_seq == life.first_seq && !is_empty {
            return Ok(());
        }
        let transaction = begin(connection)?;
        remove(&transaction, id, &life, &trimmed)?;
        if is_empty {
            transaction
                .prepare_cached("DELETE FROM rooms WHERE id = ?")?
                .execute([id])?;
        } else {
            write(&transaction, id, &trimmed)?;
        }
        transaction.commit()?;
        if is_empty {
            lives.remove(id);
        } else {
            lives.set(id, trimmed);
        }
        self.count(lives);
        Ok(())
    }

    /// Moves the beginning of `life` behind what is too old or too much, and says whether there may
    /// be more of it.
    fn measure(
        &self,
        connection: &Connection,
        id: i64,
        life: &mut Life,
        keep: u64,
    ) -> rusqlite::Result<bool> {
        let mut statement = connection.prepare_cached(
            "SELECT id, time_ms, octet_length(author) + octet_length(text)
                 + coalesce(octet_length(client_id), 0)
             FROM entries WHERE id BETWEEN ? AND ? ORDER BY id",
        )?;
        let range = [row::key(id, life.first_seq), row::key(id, life.last_seq)];
        let mut rows = statement.query(range)?;
        let mut count = 0;
        while let Some(entry) = rows.next()? {
            let (key, time_ms): (i64, i64) = (entry.get(0)?, entry.get(1)?);
            if time_ms >= self.oldest_ms && life.bytes <= keep {
                return Ok(false);
            }
            if count == REMOVED_PER_STEP {
                return Ok(true);
            }
            count += 1;
            let bytes = entry.get::<_, i64>(2)?.cast_unsigned() + LOG_ENTRY_BYTES as u64;
            life.bytes = life.bytes.saturating_sub(bytes);
            life.first_seq = row::seq_of(key) + 1;
            life.indexed_seq = life.indexed_seq.max(row::seq_of(key));
        }
        Ok(false)
    }
}

/// Removes what `life` has and `trimmed` has not, from the index first: it needs the texts.
fn remove(
    transaction: &Transaction<'_>,
    id: i64,
    life: &Life,
    trimmed: &Life,
) -> rusqlite::Result<()> {
    let first = row::key(id, life.first_seq);
    let last = trimmed.first_seq - 1;
    transaction
        .prepare_cached(
            "INSERT INTO words (words, rowid, text) SELECT 'delete', id, text FROM entries
             WHERE id BETWEEN ? AND ? AND kind < ?",
        )?
        .execute([
            first,
            row::key(id, last.min(life.indexed_seq)),
            row::SEARCHED_BELOW,
        ])?;
    transaction
        .prepare_cached("DELETE FROM entries WHERE id BETWEEN ? AND ?")?
        .execute([first, row::key(id, last)])?;
    Ok(())
}

fn write(transaction: &Transaction<'_>, id: i64, life: &Life) -> rusqlite::Result<()> {
    lives::write(&mut *transaction.prepare_cached(lives::WRITE)?, id, life)
}

fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}
