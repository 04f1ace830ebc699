//! Reading a log: rooms, pages, one entry after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::lives::{self, Life};
use super::{LogEntry, LogError, Page, PageFrom, RoomState, database, row};
use crate::limits::{LOG_LOCK_WAIT, LOG_PAGE_BYTES_MAX, LOG_PAGE_ENTRIES_MAX};

/// Reads the log of a data folder, also while a hub writes it.
///
/// Each call sees the log as it is at that moment, and only what is durable.
#[derive(Debug)]
pub struct LogReader {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

impl LogReader {
    /// Opens the log in a data folder; nothing in it is changed.
    ///
    /// # Errors
    ///
    /// - [`LogError::NoLog`] if there is none: the folder is another one, or the hub keeps no log.
    /// - [`LogError::Corrupt`] if it is damaged, or something else.
    /// - [`LogError::Newer`] if a newer release wrote it.
    /// - [`LogError::Io`] if it cannot be read (`EACCES`).
    pub fn open(data: &Path) -> Result<Self, LogError> {
        Ok(Self {
            connection: database::open_to_read(data, LOG_LOCK_WAIT)?,
            path: database::path_in(data),
        })
    }

    /// The present lives of all rooms, by name.
    ///
    /// # Errors
    /// The log is damaged ([`LogError::Corrupt`]) or the disk cannot be read ([`LogError::Io`]).
    pub fn rooms(&self) -> Result<Vec<RoomState>, LogError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(&format!(
                "SELECT {} FROM rooms WHERE id IN (SELECT max(id) FROM rooms GROUP BY name)
                 ORDER BY name",
                lives::COLUMNS
            ))?;
            let rooms = statement.query_map([], lives::read)?;
            Ok(Ok(rooms
                .map(|row| row.map(|(_, life)| life.state()))
                .collect::<rusqlite::Result<_>>()?))
        })
    }

    /// Some entries of a room: of its present life, unless an epoch is given.
    ///
    /// # Errors
    /// - [`LogError::NoRoom`] if the log has no such room, or no such life of it.
    /// - [`LogError::Corrupt`] if an entry is not what was written.
    /// - [`LogError::Io`] if the disk cannot be read.
    pub fn page(
        &self,
        room: &Arc<str>,
        epoch: Option<u64>,
        from: PageFrom,
        limit: usize,
    ) -> Result<Page, LogError> {
        self.read(|transaction| {
            let Some((id, life)) = find(transaction, room, epoch)? else {
                return Ok(Err(LogError::NoRoom {
                    room: Arc::clone(room),
                }));
            };
            self.page_of(transaction, id, &life, from, limit)
        })
    }

    fn page_of(
        &self,
        transaction: &Transaction<'_>,
        id: i64,
        life: &Life,
        from: PageFrom,
        limit: usize,
    ) -> rusqlite::Result<Result<Page, LogError>> {
        let (order, after, before) = match from {
            PageFrom::After(seq) => ("ASC", seq, life.last_seq.saturating_add(1)),
            PageFrom::Before(seq) => ("DESC", 0, seq.min(life.last_seq.saturating_add(1))),
            PageFrom::Newest => ("DESC", 0, life.last_seq.saturating_add(1)),
        };
        let mut page = Page {
            epoch: life.epoch,
            first_seq: life.first_seq,
            last_seq: life.last_seq,
            entries: Vec::new(),
        };
        let first = after.saturating_add(1).max(life.first_seq);
        let limit = limit.min(LOG_PAGE_ENTRIES_MAX);
        if first >= before || limit == 0 {
            return Ok(Ok(page));
        }
        let mut statement = transaction.prepare_cached(&format!(
            "SELECT {} FROM entries WHERE id BETWEEN ? AND ? ORDER BY id {order}",
            row::COLUMNS
        ))?;
        let mut rows = statement.query([row::key(id, first), row::key(id, before - 1)])?;
        let mut bytes = 0;
        let mut expected = if order == "ASC" { first } else { before - 1 };
        while let Some(found) = rows.next()? {
            let Some(entry) = row::read(found, &life.name, life.epoch)? else {
                return Ok(Err(self.damaged(&life.name, expected)));
            };
            if entry.seq != expected {
                return Ok(Err(self.damaged(&life.name, expected)));
            }
            bytes += entry.cost();
            if bytes > LOG_PAGE_BYTES_MAX && !page.entries.is_empty() {
                break;
            }
            expected = match order {
                "ASC" => expected.saturating_add(1),
                _ => expected.saturating_sub(1),
            };
            page.entries.push(entry);
            if page.entries.len() == limit {
                break;
            }
        }
        if order == "DESC" {
            page.entries.reverse();
        }
        Ok(Ok(page))
    }

    /// What is told of an entry that is not what was written there, or missing.
    pub(super) fn damaged(&self, room: &Arc<str>, seq: u64) -> LogError {
        LogError::Corrupt {
            path: self.path.clone(),
            reason: format!("entry {seq} of {room:?} is not what was written"),
        }
    }

    /// Reads in one transaction, so that all of it is of one moment.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Result<T, LogError>>,
    ) -> Result<T, LogError> {
        let failed = |error| database::read_error(&self.path, &error);
        let transaction = self.connection.unchecked_transaction().map_err(failed)?;
        read(&transaction).map_err(failed)?
    }
}

/// A life of a room: the present one, or that of an epoch.
pub(super) fn find(
    transaction: &Transaction<'_>,
    room: &str,
    epoch: Option<u64>,
) -> rusqlite::Result<Option<(i64, Life)>> {
    let mut statement = transaction.prepare_cached(&format!(
        "SELECT {} FROM rooms WHERE name = ?1 AND epoch = coalesce(?2, epoch)
         ORDER BY id DESC LIMIT 1",
        lives::COLUMNS
    ))?;
    statement
        .query_row((room, epoch.map(u64::cast_signed)), lives::read)
        .optional()
}

/// The lives of one room, or of all, the newest first.
pub(super) fn all(
    transaction: &Transaction<'_>,
    room: Option<&str>,
) -> rusqlite::Result<Vec<(i64, Life)>> {
    let mut statement = transaction.prepare_cached(&format!(
        "SELECT {} FROM rooms WHERE name = coalesce(?, name) ORDER BY id DESC",
        lives::COLUMNS
    ))?;
    statement.query_map([room], lives::read)?.collect()
}

/// One whole entry by its key.
pub(super) fn entry(
    transaction: &Transaction<'_>,
    key: i64,
    life: &Life,
) -> rusqlite::Result<Option<LogEntry>> {
    let mut statement = transaction.prepare_cached(&format!(
        "SELECT {} FROM entries WHERE id = ?",
        row::COLUMNS
    ))?;
    statement.query_row([key], |found| row::read(found, &life.name, life.epoch))
}
