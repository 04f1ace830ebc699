//! Looking for entries: by the index of three letters each, and by reading where there is none.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::functions::FunctionFlags;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, Transaction, params_from_iter};

use super::lives::Life;
use super::reader::{self, LogReader};
use super::{LogEntry, LogError, Search, database, row};
use crate::limits::{SEARCH_FOUND_MAX, SEARCH_TIME, SEARCH_WORDS_MAX};

/// Letters that a word needs for the index to know it.
const INDEXED_CHARS_MIN: usize = 3;

/// Steps of the database between two looks at the clock: some microseconds.
const STEPS_PER_LOOK: i32 = 2_000;

impl LogReader {
    /// The newest entries that a search finds, the newest first, and whether the search came to its
    /// end: after [`SEARCH_TIME`] it answers what it has.
    ///
    /// # Errors
    /// - [`LogError::NoRoom`] if the log has no room of that name.
    /// - [`LogError::Corrupt`] if an entry is not what was written.
    /// - [`LogError::Io`] if the disk cannot be read.
    pub fn search(&mut self, search: &Search) -> Result<(Vec<LogEntry>, bool), LogError> {
        self.search_until(search, Instant::now() + SEARCH_TIME)
    }

    pub(super) fn search_until(
        &mut self,
        search: &Search,
        deadline: Instant,
    ) -> Result<(Vec<LogEntry>, bool), LogError> {
        let path = self.path.clone();
        let failed = |error| database::read_error(&path, &error);
        let is_late = move || Instant::now() >= deadline;
        self.connection
            .progress_handler(STEPS_PER_LOOK, Some(is_late))
            .map_err(failed)?;
        let query = Query::new(search);
        let found = self.candidates(&query);
        let none: Option<fn() -> bool> = None;
        self.connection.progress_handler(0, none).map_err(failed)?;
        let (keys, is_whole) = found?;
        self.read(|transaction| {
            let lives = reader::all(transaction, search.room.as_deref())?;
            let life_of = |key| {
                let id = row::life_of(key);
                lives.iter().find(|(other, _)| *other == id)
            };
            let mut entries = Vec::with_capacity(keys.len());
            for key in keys {
                // What was removed since it was found is gone.
                let Some((_, life)) = life_of(key) else {
                    continue;
                };
                if row::seq_of(key) < life.first_seq {
                    continue;
                }
                match reader::entry(transaction, key, life)? {
                    Some(entry) => entries.push(entry),
                    None => return Ok(Err(self.damaged(&life.name, row::seq_of(key)))),
                }
            }
            Ok(Ok((entries, is_whole)))
        })
    }

    /// The keys of what is found, the newest first.
    fn candidates(&self, query: &Query<'_>) -> Result<(Vec<i64>, bool), LogError> {
        let mut newest = Newest::new(query.search.limit.min(SEARCH_FOUND_MAX));
        let is_whole = Cell::new(true);
        self.read(|transaction| {
            let lives = reader::all(transaction, query.search.room.as_deref())?;
            if let (true, Some(room)) = (lives.is_empty(), &query.search.room) {
                return Ok(Err(LogError::NoRoom {
                    room: Arc::clone(room),
                }));
            }
            match query.look_through(transaction, &lives, &mut newest) {
                Ok(()) => {}
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) =>
                {
                    is_whole.set(false);
                }
                Err(error) => return Err(error),
            }
            Ok(Ok(()))
        })?;
        Ok((newest.into_keys(), is_whole.get()))
    }
}

/// The newest of what was found so far, by time and then by number.
struct Newest {
    limit: usize,
    heap: BinaryHeap<Reverse<(i64, i64)>>,
}

impl Newest {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            heap: BinaryHeap::new(),
        }
    }

    fn add(&mut self, time_ms: i64, key: i64) {
        self.heap.push(Reverse((time_ms, key)));
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }

    fn into_keys(self) -> Vec<i64> {
        let sorted = self.heap.into_sorted_vec();
        sorted.into_iter().map(|Reverse((_, key))| key).collect()
    }
}

/// A search, made ready for the database.
struct Query<'a> {
    search: &'a Search,
    /// What the index is asked, if any word is long enough for it.
    indexed: Option<String>,
    /// Words that are too short for the index.
    short: Vec<&'a str>,
    /// All of them.
    words: Vec<&'a str>,
}

impl<'a> Query<'a> {
    fn new(search: &'a Search) -> Self {
        let words: Vec<&str> = search
            .words
            .iter()
            .map(String::as_str)
            // The index's own syntax ends at a NUL, and no text has one.
            .filter(|word| !word.is_empty())
            .take(SEARCH_WORDS_MAX)
            .collect();
        let is_long = |word: &&str| word.chars().count() >= INDEXED_CHARS_MIN;
        let (long, short): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| is_long(word));
        let quoted = |word: &&str| format!("\"{}\"", word.replace('\0', " ").replace('"', "\"\""));
        let indexed = long.iter().map(quoted).collect::<Vec<_>>().join(" ");
        Self {
            search,
            indexed: (!long.is_empty()).then_some(indexed),
            short,
            words,
        }
    }

    fn look_through(
        &self,
        transaction: &Transaction<'_>,
        lives: &[(i64, Life)],
        newest: &mut Newest,
    ) -> rusqlite::Result<()> {
        if newest.limit == 0 {
            return Ok(());
        }
        for (id, life) in lives {
            let first = match self.indexed {
                Some(_) => life.indexed_seq + 1,
                None => life.first_seq,
            };
            self.read_through(transaction, *id, first.max(life.first_seq), life, newest)?;
        }
        let Some(indexed) = &self.indexed else {
            return Ok(());
        };
        match self.search.room {
            // One room's matches come from the newest on, so that the first are enough.
            Some(_) => {
                for (id, life) in lives {
                    let range = (
                        row::key(*id, life.first_seq),
                        row::key(*id, life.indexed_seq),
                    );
                    self.ask_index(transaction, indexed, range, newest, newest.limit)?;
                }
                Ok(())
            }
            None => self.ask_index(transaction, indexed, (0, i64::MAX), newest, usize::MAX),
        }
    }

    /// Reads entries of one life from its newest on.
    fn read_through(
        &self,
        transaction: &Transaction<'_>,
        id: i64,
        first: u64,
        life: &Life,
        newest: &mut Newest,
    ) -> rusqlite::Result<()> {
        if first > life.last_seq {
            return Ok(());
        }
        let mut values = vec![
            Value::from(row::key(id, first)),
            Value::from(row::key(id, life.last_seq)),
        ];
        let filter = self.filter(&self.words, &mut values);
        let sql = format!(
            "SELECT e.id, e.time_ms FROM entries e WHERE e.id BETWEEN ? AND ? {filter}
             ORDER BY e.id DESC"
        );
        self.collect(transaction, &sql, values, newest, newest.limit)
    }

    fn ask_index(
        &self,
        transaction: &Transaction<'_>,
        indexed: &str,
        (first, last): (i64, i64),
        newest: &mut Newest,
        limit: usize,
    ) -> rusqlite::Result<()> {
        let mut values = vec![
            Value::from(indexed.to_owned()),
            Value::from(first),
            Value::from(last),
        ];
        let filter = self.filter(&self.short, &mut values);
        let sql = format!(
            "SELECT e.id, e.time_ms FROM words CROSS JOIN entries e ON e.id = words.rowid
             WHERE words MATCH ? AND words.rowid BETWEEN ? AND ? {filter}
             ORDER BY words.rowid DESC"
        );
        self.collect(transaction, &sql, values, newest, limit)
    }

    /// What every row has to be, behind what was asked for before.
    fn filter(&self, words: &[&str], values: &mut Vec<Value>) -> String {
        let mut filter = "AND e.kind < ?".to_owned();
        values.push(row::SEARCHED_BELOW.into());
        let mut and = |condition: &str, value: Value| {
            filter.push_str(" AND ");
            filter.push_str(condition);
            values.push(value);
        };
        if let Some(time) = self.search.after_ms {
            and("e.time_ms >= ?", time.into());
        }
        if let Some(time) = self.search.before_ms {
            and("e.time_ms < ?", time.into());
        }
        if let Some(author) = &self.search.author {
            and("has_word(e.author, ?)", author.to_lowercase().into());
        }
        for word in words {
            and("has_word(e.text, ?)", word.to_lowercase().into());
        }
        filter
    }

    fn collect(
        &self,
        transaction: &Transaction<'_>,
        sql: &str,
        values: Vec<Value>,
        newest: &mut Newest,
        limit: usize,
    ) -> rusqlite::Result<()> {
        let mut statement = transaction.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut count = 0;
        while count < limit
            && let Some(found) = rows.next()?
        {
            newest.add(found.get(1)?, found.get(0)?);
            count += 1;
        }
        Ok(())
    }
}

/// Gives a connection the function `has_word(text, word)`, with the word in small letters.
pub(super) fn add_functions(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("has_word", 2, flags, |context| {
        let bad = |error| rusqlite::Error::UserFunctionError(Box::new(error));
        let text = context.get_raw(0).as_str().map_err(bad)?;
        let word = context.get_raw(1).as_str().map_err(bad)?;
        Ok(has_word(text, word))
    })
}

/// Whether a text has a word in it, whatever its case.
fn has_word(text: &str, word: &str) -> bool {
    if !text.is_ascii() {
        return text.to_lowercase().contains(word);
    }
    let (text, word) = (text.as_bytes(), word.as_bytes());
    word.is_empty()
        || text
            .windows(word.len())
            .any(|part| part.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::sync::mpsc;

    use super::super::{Asker, Journal, Log, LogConfig, LogKind, LogReply, LogRequest};
    use super::*;

    #[test]
    fn a_search_whose_time_is_up_says_that_there_may_be_more() {
        const COUNT: u64 = 5_000;
        let data = tempfile::tempdir().unwrap();
        let (tell, replies) = mpsc::channel();
        let log = Log::open(LogConfig::new(data.path()), move |_, reply| {
            tell.send(reply).ok();
        });
        let log = log.unwrap();
        let entry = |seq| LogEntry {
            room: "a".into(),
            epoch: 1,
            seq,
            time_ms: 1,
            author: "ada".into(),
            kind: LogKind::Text,
            text: format!("kettle {seq}"),
            bytes: None,
            reply_to: None,
            client_id: None,
        };
        log.request(
            Asker(0),
            LogRequest::Append((1..=COUNT).map(entry).collect()),
        );
        let mut is_there = false;
        while !is_there {
            let reply = replies.recv_timeout(Duration::from_secs(60)).unwrap();
            is_there = matches!(reply, LogReply::Durable(marks) if marks[0].seq == COUNT);
        }
        let mut reader = LogReader::open(data.path()).unwrap();
        // Too short for the index: all texts are looked at.
        let search = Search {
            words: vec!["ke".into()],
            limit: SEARCH_FOUND_MAX,
            ..Search::default()
        };
        let now = Instant::now();
        let (found, is_whole) = reader.search_until(&search, now).unwrap();
        assert!(
            !is_whole && found.len() < SEARCH_FOUND_MAX,
            "{}",
            found.len()
        );
        for deadline in [now + SEARCH_TIME, now + Duration::from_secs(3_600)] {
            let (found, is_whole) = reader.search_until(&search, deadline).unwrap();
            assert!(is_whole, "it takes far less than {SEARCH_TIME:?}");
            assert_eq!(found.len(), SEARCH_FOUND_MAX);
        }
    }

    #[test]
    fn a_word_is_any_part_whatever_its_case() {
        for (text, word, expected) in [
            ("Hello there", "LO TH", true),
            ("Hello", "lo!", false),
            ("ÄPFEL", "äp", true),
            ("今天天气很好", "天气", true),
            ("今天天气很好", "好", true),
            ("今天", "天天", false),
            ("", "a", false),
            ("abc", "ä", false),
        ] {
            assert_eq!(
                has_word(text, &word.to_lowercase()),
                expected,
                "{text} {word}"
            );
        }
    }
}
