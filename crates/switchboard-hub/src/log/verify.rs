//! Whether a data folder is sound: the database, each room's numbers, the index, and the files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use rusqlite::Transaction;

use super::lives::Life;
use super::reader::{self, LogReader};
use super::{LogError, LogKind, database, row};

/// Findings of one kind that are told one by one; the rest is counted.
const FINDINGS_MAX: usize = 20;

/// Entries that are looked up in the index, spread over all: that it knows them by what they say.
const PROBES_MAX: u64 = 10_000;

/// What `verify` has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Rooms with a history, each life counted.
    pub rooms: u64,
    /// Entries that were read, each compared with its checksum.
    pub entries: u64,
    /// Finished files.
    pub files: u64,
    /// What is wrong: something was lost or damaged. At most 20 of each kind and their count.
    pub faults: Vec<String>,
    /// What is odd and may be meant, such as files that no entry names. Likewise.
    pub notes: Vec<String>,
}

impl Report {
    /// True if nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Reads everything in a data folder and says what is wrong with it. Nothing is changed, and a hub
/// may go on writing beside it.
///
/// # Errors
/// - [`LogError::NoLog`] if there is no log.
/// - [`LogError::Newer`] if a newer release wrote it.
/// - [`LogError::Io`] if it cannot be read.
///
/// A damaged log is no error but a report with faults.
pub fn verify(data: &Path) -> Result<Report, LogError> {
    let mut report = Report::default();
    match verify_log(data, &mut report) {
        Err(LogError::Corrupt { reason, .. }) => report.faults.push(format!("database: {reason}")),
        other => other?,
    }
    Ok(report)
}

fn verify_log(data: &Path, report: &mut Report) -> Result<(), LogError> {
    let reader = LogReader::open(data)?;
    let path = database::path_in(data);
    let mut named = BTreeMap::new();
    reader.read(|transaction| {
        structure(transaction, report)?;
        let lives = reader::all(transaction, None)?;
        report.rooms = lives.len() as u64;
        for (id, life) in lives.iter().rev() {
            entries(transaction, *id, life, report, &mut named)?;
        }
        strays(transaction, report)?;
        index(transaction, &lives, report)?;
        Ok(Ok(()))
    })?;
    files(data, named, report).map_err(|error| LogError::Io {
        action: "read the files beside",
        path,
        reason: error.to_string(),
    })
}

fn structure(transaction: &Transaction<'_>, report: &mut Report) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare("PRAGMA integrity_check(20)")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            report.faults.push(format!("database: {line}"));
        }
    }
    Ok(())
}

/// Reads a life from one end to the other: each number once, each entry as it was written.
fn entries(
    transaction: &Transaction<'_>,
    id: i64,
    life: &Life,
    report: &mut Report,
    named: &mut BTreeMap<String, u64>,
) -> rusqlite::Result<()> {
    let name = &life.name;
    let mut told = Capped::new(format!("room {name:?}, epoch {}", life.epoch));
    let mut statement = transaction.prepare_cached(&format!(
        "SELECT {} FROM entries WHERE id BETWEEN ? AND ? ORDER BY id",
        row::COLUMNS
    ))?;
    let mut rows = statement.query([row::key(id, 0), row::key(id, row::SEQ_MAX)])?;
    let (mut expected, mut bytes) = (life.first_seq, 0);
    while let Some(found) = rows.next()? {
        let seq = row::seq_of(found.get(0)?);
        if seq > expected {
            told.add(format!("entries {expected} to {} are missing", seq - 1));
        } else if seq < expected {
            told.add(format!("entry {seq} is still there, and was removed"));
        }
        expected = seq + 1;
        report.entries += 1;
        match row::read(found, name, life.epoch) {
            Ok(Some(entry)) => {
                bytes += entry.cost() as u64;
                if entry.kind == LogKind::File {
                    named.insert(entry.text, entry.bytes.unwrap_or(0));
                }
            }
            Ok(None) => told.add(format!("entry {seq} is not what was written")),
            Err(error) => told.add(format!("entry {seq}: {}", database::words(&error))),
        }
    }
    if expected != life.last_seq + 1 {
        let last = life.last_seq;
        told.add(format!(
            "entries {expected} to {last} are missing at the end"
        ));
    } else if told.is_empty() && bytes != life.bytes {
        told.add(format!("has {bytes} bytes, and {} are noted", life.bytes));
    }
    told.tell(&mut report.faults);
    Ok(())
}

/// Entries of no room.
fn strays(transaction: &Transaction<'_>, report: &mut Report) -> rusqlite::Result<()> {
    let count: i64 = transaction.query_row(
        "SELECT count(*) FROM entries WHERE (id >> 40) NOT IN (SELECT id FROM rooms)",
        [],
        |row| row.get(0),
    )?;
    if count > 0 {
        report
            .faults
            .push(format!("{count} entries belong to no room"));
    }
    Ok(())
}

/// That the index has each entry that it should have and no other, and finds some of them by what
/// they say.
fn index(
    transaction: &Transaction<'_>,
    lives: &[(i64, Life)],
    report: &mut Report,
) -> rusqlite::Result<()> {
    let mut expected: i64 = 0;
    for (id, life) in lives {
        let mut statement = transaction.prepare_cached(
            "SELECT count(*), count(d.id) FROM entries e LEFT JOIN words_docsize d ON d.id = e.id
             WHERE e.id BETWEEN ? AND ? AND e.kind < ?",
        )?;
        let range = [
            row::key(*id, life.first_seq),
            row::key(*id, life.indexed_seq),
            row::SEARCHED_BELOW,
        ];
        let (due, known): (i64, i64) =
            statement.query_row(range, |row| Ok((row.get(0)?, row.get(1)?)))?;
        expected += known;
        if known < due {
            let count = due - known;
            let line = format!("index: {count} entries of room {:?} are missing", life.name);
            report.faults.push(line);
        }
    }
    let all: i64 =
        transaction.query_row("SELECT count(*) FROM words_docsize", [], |row| row.get(0))?;
    if all > expected {
        let count = all - expected;
        report
            .faults
            .push(format!("index: {count} entries too many"));
    }
    probe(transaction, lives, report)
}

fn probe(
    transaction: &Transaction<'_>,
    lives: &[(i64, Life)],
    report: &mut Report,
) -> rusqlite::Result<()> {
    let mut told = Capped::new("index".to_owned());
    let step = (report.entries / PROBES_MAX).max(1);
    let mut texts = transaction.prepare("SELECT text FROM entries WHERE id = ? AND kind < ?")?;
    let mut finds =
        transaction.prepare("SELECT count(*) FROM words WHERE words MATCH ? AND rowid = ?")?;
    for (id, life) in lives {
        let mut seq = life.first_seq;
        while seq <= life.indexed_seq {
            let key = row::key(*id, seq);
            let mut rows = texts.query([key, row::SEARCHED_BELOW])?;
            let text: Option<String> = match rows.next()? {
                Some(found) => found.get(0).ok(),
                None => None,
            };
            let beginning = text.map(|text| text.chars().take(8).collect::<String>());
            if let Some(words) = beginning.filter(|words| words.chars().count() >= 3)
                && !words.contains('\0')
            {
                let words = format!("\"{}\"", words.replace('"', "\"\""));
                let count: i64 = finds.query_row((words, key), |row| row.get(0))?;
                if count == 0 {
                    told.add(format!("entry {seq} of {:?} is not found", life.name));
                }
            }
            seq += step;
        }
    }
    told.tell(&mut report.faults);
    Ok(())
}

/// The file store beside the log: what the entries name is there, and nothing else is.
fn files(data: &Path, named: BTreeMap<String, u64>, report: &mut Report) -> io::Result<()> {
    let mut sizes = BTreeMap::new();
    for (name, bytes) in listed(&data.join("files"))? {
        sizes.insert(name, bytes);
    }
    report.files = sizes.len() as u64;
    let mut told = Capped::new("files".to_owned());
    for (name, bytes) in &named {
        match sizes.get(name) {
            None => told.add(format!("{name:?} is gone")),
            Some(size) if size != bytes => {
                told.add(format!("{name:?} has {size} bytes, and came with {bytes}"));
            }
            Some(_) => {}
        }
    }
    for name in sizes.keys().filter(|name| !named.contains_key(*name)) {
        told.add(format!("{name:?} is named by no entry"));
    }
    for (name, _) in listed(&data.join("partial"))? {
        told.add(format!(
            "{name:?} is an upload under way, or of a hub that died"
        ));
    }
    told.tell(&mut report.notes);
    Ok(())
}

/// The names in a folder with their sizes; none if there is no such folder.
fn listed(folder: &Path) -> io::Result<Vec<(String, u64)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    entries
        .map(|entry| {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Not followed where it is a link.
            Ok((name, entry.metadata()?.len()))
        })
        .collect()
}

/// The first findings about one thing, and how many more there are.
struct Capped {
    about: String,
    lines: Vec<String>,
    count: usize,
}

impl Capped {
    fn new(about: String) -> Self {
        Self {
            about,
            lines: Vec::new(),
            count: 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn add(&mut self, line: String) {
        self.count += 1;
        if self.lines.len() < FINDINGS_MAX {
            self.lines.push(line);
        }
    }

    fn tell(self, findings: &mut Vec<String>) {
        let more = self.count - self.lines.len();
        let about = self.about;
        findings.extend(self.lines.iter().map(|line| format!("{about}: {line}")));
        if more > 0 {
            findings.push(format!("{about}: and {more} more"));
        }
    }
}
