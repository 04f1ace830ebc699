//! One entry as a row: how the two halves of its key fit into one number, and its checksum.

use std::sync::Arc;

use crc32fast::Hasher;
use rusqlite::{Connection, Row, Statement};

use super::{LogEntry, LogError, LogKind};
use crate::limits::CLIENT_ID_BYTES_MAX;

/// Bits of a key that hold the entry's number; those above hold the life of the room.
const SEQ_BITS: u32 = 40;

/// The greatest number an entry can have: at a million a second, twelve days short of 13 years.
pub(super) const SEQ_MAX: u64 = (1 << SEQ_BITS) - 1;

/// The greatest number of a life.
pub(super) const LIFE_MAX: i64 = (1 << (63 - SEQ_BITS)) - 1;

/// The columns that [`read`] wants.
pub(super) const COLUMNS: &str =
    "id, time_ms, kind, author, text, bytes, reply_to, client_id, checksum";

/// The key of an entry.
pub(super) fn key(life: i64, seq: u64) -> i64 {
    (life << SEQ_BITS) | seq.min(SEQ_MAX).cast_signed()
}

/// The number in a key.
pub(super) fn seq_of(key: i64) -> u64 {
    key.cast_unsigned() & SEQ_MAX
}

/// The life in a key.
pub(super) fn life_of(key: i64) -> i64 {
    key >> SEQ_BITS
}

/// How a kind is written; numbers are never used for another.
pub(super) const fn kind_number(kind: LogKind) -> i64 {
    match kind {
        LogKind::Text => 1,
        LogKind::File => 2,
        LogKind::Topic => 3,
        LogKind::Joined => 16,
        LogKind::Left => 17,
        LogKind::Renamed => 18,
    }
}

/// Kinds below this are searched.
pub(super) const SEARCHED_BELOW: i64 = 16;

/// Whether an entry fits into a row.
pub(super) fn check(entry: &LogEntry) -> Result<(), LogError> {
    let reason = if entry.seq > SEQ_MAX {
        "the room has as many entries as can be numbered"
    } else if entry.client_id.as_ref().map_or(0, |id| id.len()) > CLIENT_ID_BYTES_MAX {
        "its client message id is too long"
    } else if entry
        .bytes
        .is_some_and(|bytes| i64::try_from(bytes).is_err())
    {
        "its file is too large"
    } else {
        return Ok(());
    };
    Err(LogError::Unfit {
        room: Arc::clone(&entry.room),
        seq: entry.seq,
        reason,
    })
}

/// The CRC-32 (ISO 3309) of all that a row says, with lengths between the texts.
pub(super) fn checksum(key: i64, entry: &LogEntry) -> u32 {
    let number = |number: Option<u64>| number.unwrap_or(u64::MAX);
    // All at once: many short pieces take longer than what they hold.
    let numbers = [
        key.cast_unsigned(),
        entry.time_ms.cast_unsigned(),
        kind_number(entry.kind).cast_unsigned(),
        number(entry.bytes),
        number(entry.reply_to),
        entry.author.len() as u64,
    ];
    let mut hasher = Hasher::new();
    hasher.update(numbers.map(u64::to_le_bytes).as_flattened());
    hasher.update(entry.author.as_bytes());
    for text in [
        entry.text.as_str(),
        entry.client_id.as_deref().unwrap_or_default(),
    ] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize()
}

/// Columns of a row.
const COLUMN_COUNT: usize = 9;

/// Rows that one statement writes: to begin a statement and to find the place costs as much as a
/// row itself.
pub(super) const ROWS_PER_STATEMENT: usize = 32;

/// A statement that writes so many rows. What fails is rolled back with its transaction, and needs
/// no journal of its own.
fn insert_statement(rows: usize) -> String {
    let row = "(?, ?, ?, ?, ?, ?, ?, ?, ?)";
    format!(
        "INSERT OR FAIL INTO entries VALUES {}",
        vec![row; rows].join(", ")
    )
}

/// Writes entries with their keys, in a transaction.
pub(super) fn insert(connection: &Connection, rows: &[(i64, LogEntry)]) -> rusqlite::Result<()> {
    let (many, rest) = rows.as_chunks::<ROWS_PER_STATEMENT>();
    if !many.is_empty() {
        let mut statement = connection.prepare_cached(&insert_statement(ROWS_PER_STATEMENT))?;
        let mut before: Option<&[(i64, LogEntry); ROWS_PER_STATEMENT]> = None;
        for run in many {
            for (place, row) in run.iter().enumerate() {
                let bound = before.and_then(|before| before.get(place));
                bind(&mut statement, place * COLUMN_COUNT, row, bound)?;
            }
            statement.raw_execute()?;
            before = Some(run);
        }
    }
    let mut statement = connection.prepare_cached(&insert_statement(1))?;
    let mut before = None;
    for row in rest {
        bind(&mut statement, 0, row, before)?;
        statement.raw_execute()?;
        before = Some(row);
    }
    Ok(())
}

/// Binds the columns of a row behind the parameter `first`, but for those that are as in the row
/// that is `bound` there.
fn bind(
    statement: &mut Statement<'_>,
    first: usize,
    (key, entry): &(i64, LogEntry),
    bound: Option<&(i64, LogEntry)>,
) -> rusqlite::Result<()> {
    let bound = bound.map(|(_, bound)| bound);
    let is_new = |is_same: fn(&LogEntry, &LogEntry) -> bool| {
        bound.is_none_or(|bound| !is_same(bound, entry))
    };
    statement.raw_bind_parameter(first + 1, key)?;
    if is_new(|a, b| a.time_ms == b.time_ms) {
        statement.raw_bind_parameter(first + 2, entry.time_ms)?;
    }
    if is_new(|a, b| a.kind == b.kind) {
        statement.raw_bind_parameter(first + 3, kind_number(entry.kind))?;
    }
    if is_new(|a, b| Arc::ptr_eq(&a.author, &b.author)) {
        statement.raw_bind_parameter(first + 4, &*entry.author)?;
    }
    statement.raw_bind_parameter(first + 5, &*entry.text)?;
    if is_new(|a, b| a.bytes == b.bytes) {
        statement.raw_bind_parameter(first + 6, entry.bytes.map(u64::cast_signed))?;
    }
    if is_new(|a, b| a.reply_to == b.reply_to) {
        statement.raw_bind_parameter(first + 7, entry.reply_to.map(u64::cast_signed))?;
    }
    if is_new(|a, b| a.client_id == b.client_id) {
        statement.raw_bind_parameter(first + 8, entry.client_id.as_deref())?;
    }
    statement.raw_bind_parameter(first + COLUMN_COUNT, checksum(*key, entry))
}

/// The entry of a row with [`COLUMNS`]; `None` if its checksum says that it is not what was
/// written.
pub(super) fn read(
    row: &Row<'_>,
    room: &Arc<str>,
    epoch: u64,
) -> rusqlite::Result<Option<LogEntry>> {
    let key: i64 = row.get(0)?;
    let number: i64 = row.get(2)?;
    let Some(kind) = LogKind::ALL
        .into_iter()
        .find(|kind| kind_number(*kind) == number)
    else {
        return Ok(None);
    };
    let entry = LogEntry {
        room: Arc::clone(room),
        epoch,
        seq: seq_of(key),
        time_ms: row.get(1)?,
        author: row.get(3)?,
        kind,
        text: row.get(4)?,
        bytes: row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
        reply_to: row.get::<_, Option<i64>>(6)?.map(i64::cast_unsigned),
        client_id: row.get(7)?,
    };
    let is_whole = row.get::<_, i64>(8)? == i64::from(checksum(key, &entry));
    Ok(is_whole.then_some(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_holds_the_greatest_life_and_number() {
        for (life, seq) in [(1, 1), (1, SEQ_MAX), (LIFE_MAX, 1), (LIFE_MAX, SEQ_MAX)] {
            let key = key(life, seq);
            assert!(key > 0);
            assert_eq!((life_of(key), seq_of(key)), (life, seq));
        }
        assert!(key(1, SEQ_MAX) < key(2, 0));
    }

    #[test]
    fn what_is_searched_is_what_the_numbers_say() {
        for kind in LogKind::ALL {
            assert_eq!(kind.is_searched(), kind_number(kind) < SEARCHED_BELOW);
            assert_eq!(LogKind::from_name(kind.name()), Some(kind));
        }
    }
}
