//! A room as text: one JSON object a line, the first about the room, each other one an entry.

use std::io::{BufRead, Read, Write};
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde::{Deserialize, Serialize};
use switchboard_wire::RoomName;

use super::lives::{self, Life};
use super::reader::{self, LogReader};
use super::{LogEntry, LogError, LogKind, database, locks, row};
use crate::limits::{EXPORT_LINE_BYTES_MAX, LOG_LOCK_WAIT};

/// The form of an export, the first thing in it.
const FORM: u32 = 1;

/// The first line of an export.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    switchboard_export: u32,
    room: String,
    epoch: u64,
    first_seq: u64,
    last_seq: u64,
    #[serde(default)]
    topic: String,
    #[serde(default)]
    kept: bool,
}

/// An entry as a line: what programs read.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    seq: u64,
    time_ms: i64,
    from: String,
    kind: String,
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

impl Line {
    fn of(entry: LogEntry) -> Self {
        Self {
            room: None,
            epoch: None,
            seq: entry.seq,
            time_ms: entry.time_ms,
            from: entry.author.to_string(),
            kind: entry.kind.name().to_owned(),
            text: entry.text,
            bytes: entry.bytes,
            reply_to: entry.reply_to,
            id: entry.client_id.map(String::from),
        }
    }

    fn entry(self, room: &Arc<str>, epoch: u64) -> Result<LogEntry, String> {
        let kind = LogKind::from_name(&self.kind)
            .ok_or_else(|| format!("there is no kind {:?} of entries", self.kind))?;
        Ok(LogEntry {
            room: Arc::clone(room),
            epoch,
            seq: self.seq,
            time_ms: self.time_ms,
            author: self.from.into(),
            kind,
            text: self.text,
            bytes: self.bytes,
            reply_to: self.reply_to,
            client_id: self.id.map(String::into_boxed_str),
        })
    }
}

/// An entry as one line of JSON, with its room and epoch, without a line end.
#[must_use]
pub fn entry_to_json(entry: &LogEntry) -> String {
    let mut line = Line::of(entry.clone());
    line.room = Some(entry.room.to_string());
    line.epoch = Some(entry.epoch);
    to_json(&line)
}

fn to_json(value: &impl Serialize) -> String {
    // Texts and numbers under fixed names: there is nothing that JSON could refuse.
    serde_json::to_string(value).unwrap_or_default()
}

/// Why an export was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The log could not be read, or has no such room.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What the export is written to.
    #[error("the export can't be written: {0}")]
    Output(std::io::Error),
}

impl LogReader {
    /// Writes a room's present life as text, all of one moment, and says how many entries that are.
    ///
    /// # Errors
    /// - [`ExportError::Log`] with [`LogError::NoRoom`] if there is no such room, with
    ///   [`LogError::Corrupt`] if an entry is not what was written: the export ends before it.
    /// - [`ExportError::Output`] if `output` refuses something.
    pub fn export(&self, room: &str, output: &mut impl Write) -> Result<u64, ExportError> {
        let written = self.read(|transaction| {
            let Some((id, life)) = reader::find(transaction, room, None)? else {
                let room = room.into();
                return Ok(Err(LogError::NoRoom { room }));
            };
            let mut statement = transaction.prepare(&format!(
                "SELECT {} FROM entries WHERE id BETWEEN ? AND ? ORDER BY id",
                row::COLUMNS
            ))?;
            let range = [row::key(id, life.first_seq), row::key(id, life.last_seq)];
            let mut rows = statement.query(range)?;
            let mut write = |line: String| output.write_all((line + "\n").as_bytes());
            if let Err(error) = write(to_json(&header(&life))) {
                return Ok(Ok(Err(error)));
            }
            let mut seq = life.first_seq;
            while let Some(found) = rows.next()? {
                match row::read(found, &life.name, life.epoch)? {
                    Some(entry) if entry.seq == seq => {
                        if let Err(error) = write(to_json(&Line::of(entry))) {
                            return Ok(Ok(Err(error)));
                        }
                    }
                    _ => return Ok(Err(self.damaged(&life.name, seq))),
                }
                seq += 1;
            }
            if seq != life.last_seq + 1 {
                return Ok(Err(self.damaged(&life.name, seq)));
            }
            Ok(Ok(Ok(seq - life.first_seq)))
        })?;
        let count = written.map_err(ExportError::Output)?;
        output.flush().map_err(ExportError::Output)?;
        Ok(count)
    }
}

fn header(life: &Life) -> Header {
    Header {
        switchboard_export: FORM,
        room: life.name.to_string(),
        epoch: life.epoch,
        first_seq: life.first_seq,
        last_seq: life.last_seq,
        topic: life.topic.clone(),
        kept: life.kept,
    }
}

/// What an import brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The room that it went to.
    pub room: Arc<str>,
    /// Its epoch, the same as where it comes from.
    pub epoch: u64,
    /// How many entries.
    pub entries: u64,
}

/// Reads a room from an export into the log of a data folder, all of it or nothing, with the same
/// numbers and the same epoch. The folder must be there, and no hub may be writing its log.
///
/// `rename` is another name for the room.
///
/// # Errors
/// - [`LogError::RoomHasEntries`] if the room has a history: give it another name.
/// - [`LogError::Import`] if a line is not understood, a number is missing or the end is.
/// - [`LogError::InUse`] if a hub runs there: stop it first.
/// - Else as [`Log::open`](super::Log::open).
pub fn import(
    data: &Path,
    input: &mut impl BufRead,
    rename: Option<&RoomName>,
) -> Result<Imported, LogError> {
    let lock = locks::take(data)?;
    let mut connection = database::open(data, LOG_LOCK_WAIT)?;
    let imported = read_all(data, &mut connection, input, rename);
    // Closed before the next may write.
    drop(connection);
    drop(lock);
    imported
}

/// The highest number that is imported: as many follow before a room is full, so that no export can
/// leave a room in which nothing more can be said.
const SEQ_MAX: u64 = row::SEQ_MAX / 2;

/// A hub's epochs have so many bits at most, which all readers of JSON can take.
const EPOCH_MAX: u64 = (1 << 53) - 1;

fn read_all(
    data: &Path,
    connection: &mut Connection,
    input: &mut impl BufRead,
    rename: Option<&RoomName>,
) -> Result<Imported, LogError> {
    let path = database::path_in(data);
    let failed = |error| database::open_error(&path, &error);
    let mut lines = Lines {
        input,
        line: 0,
        buffer: Vec::new(),
    };
    let header: Header = lines.next()?.ok_or_else(|| lines.bad("there is nothing"))?;
    if header.switchboard_export != FORM {
        return Err(lines.bad("it is an export of a newer form"));
    }
    if header.first_seq == 0 || header.last_seq > SEQ_MAX || header.epoch > EPOCH_MAX {
        return Err(lines.bad("its numbers can't be"));
    }
    let room = match rename {
        Some(room) => room.clone(),
        None => RoomName::new(&header.room).map_err(|error| lines.bad(&error.to_string()))?,
    };
    let room: Arc<str> = (&room).into();
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let id = make_room(&transaction, &room).map_err(failed)??;
    let mut life = Life::new(Arc::clone(&room), header.epoch);
    (life.first_seq, life.last_seq) = (header.first_seq, header.last_seq);
    life.indexed_seq = header.first_seq - 1;
    (life.topic, life.kept) = (header.topic, header.kept);
    let mut rows = Vec::new();
    let mut seq = header.first_seq;
    while let Some(line) = lines.next::<Line>()? {
        let entry = line
            .entry(&room, header.epoch)
            .map_err(|why| lines.bad(&why))?;
        if entry.seq != seq || seq > header.last_seq {
            return Err(lines.bad(&format!("entry {} comes where {seq} is due", entry.seq)));
        }
        row::check(&entry).map_err(|error| lines.bad(&error.to_string()))?;
        life.bytes += entry.cost() as u64;
        rows.push((row::key(id, seq), entry));
        if rows.len() == row::ROWS_PER_STATEMENT {
            row::insert(&transaction, &rows).map_err(failed)?;
            rows.clear();
        }
        seq += 1;
    }
    row::insert(&transaction, &rows).map_err(failed)?;
    if seq != header.last_seq + 1 {
        let last = header.last_seq;
        return Err(lines.bad(&format!(
            "it ends here, without the entries {seq} to {last}"
        )));
    }
    let write = || {
        let mut statement = transaction.prepare(lives::WRITE)?;
        lives::write(&mut statement, id, &life)
    };
    write().map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(Imported {
        room,
        epoch: header.epoch,
        entries: seq - header.first_seq,
    })
}

/// The life for a room's import; one that has nothing yet makes way for it.
fn make_room(
    transaction: &Transaction<'_>,
    room: &Arc<str>,
) -> rusqlite::Result<Result<i64, LogError>> {
    let lives = reader::all(transaction, Some(room))?;
    let count = |(_, life): &(i64, Life)| life.last_seq + 1 - life.first_seq;
    if lives.iter().any(|(_, life)| life.last_seq > 0) {
        return Ok(Err(LogError::RoomHasEntries {
            room: Arc::clone(room),
            entries: lives.iter().map(count).sum(),
        }));
    }
    transaction.execute("DELETE FROM rooms WHERE name = ?", [room])?;
    let id = "SELECT coalesce(max(id), 0) + 1 FROM rooms";
    transaction.query_row(id, [], |row| row.get(0)).map(Ok)
}

/// The lines of an export, read one at a time.
struct Lines<'a, R> {
    input: &'a mut R,
    line: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<'_, R> {
    fn bad(&self, reason: &str) -> LogError {
        LogError::Import {
            line: self.line,
            reason: reason.to_owned(),
        }
    }

    fn next<T: for<'de> Deserialize<'de>>(&mut self) -> Result<Option<T>, LogError> {
        self.buffer.clear();
        self.line += 1;
        let most = EXPORT_LINE_BYTES_MAX + 1;
        let read = self
            .input
            .by_ref()
            .take(most)
            .read_until(b'\n', &mut self.buffer)
            .map_err(|error| self.bad(&error.to_string()))?;
        if read == 0 {
            return Ok(None);
        }
        if read as u64 == most && self.buffer.last() != Some(&b'\n') {
            return Err(self.bad("it is too long"));
        }
        serde_json::from_slice(&self.buffer)
            .map(Some)
            .map_err(|error| self.bad(&format!("that is no line of an export ({error})")))
    }
}
