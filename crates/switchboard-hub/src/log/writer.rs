//! The one thread that writes: it takes all that waits, commits it at once, and tells how far
//! each room is. What can wait (words, what is too old) has the time when nothing comes, and a
//! little of it otherwise.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use super::RecentIds;
use super::database::{self, Fault};
use super::lives::{self, Lives};
use super::queue::{Exit, Taken};
use super::upkeep::Upkeep;
use super::{Asker, Backlog, LogConfig, LogEntry, LogError, LogReply, LogRequest, Watermark, row};
use crate::limits::{CLIENT_IDS_WINDOW, LOG_BATCH_BYTES_MAX};

/// Pages of the write-ahead log from which on they are moved into the database: 8 MiB.
const CHECKPOINT_PAGES: usize = 2_048;

/// When nothing has come for so long, there is time for what can wait.
const QUIET: Duration = Duration::from_millis(50);

/// How many times as long as a step of what can wait took nothing more of it is done while entries
/// come: it takes a thirty-second of the time.
const REST: u32 = 31;

/// The same where it is far behind: an eighth of the time.
const REST_FAR_BEHIND: u32 = 7;

/// What the writer and those who ask it share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    bytes: AtomicUsize,
    entries: AtomicUsize,
    is_given_up: AtomicBool,
}

impl Shared {
    pub(super) fn backlog(&self) -> Backlog {
        Backlog {
            bytes: self.bytes.load(Ordering::Relaxed),
            entries: self.entries.load(Ordering::Relaxed),
        }
    }

    /// Counts entries, and answers their costs.
    pub(super) fn add(&self, entries: &[LogEntry]) -> usize {
        let bytes = entries.iter().map(LogEntry::cost).sum();
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.entries.fetch_add(entries.len(), Ordering::Relaxed);
        bytes
    }

    fn remove(&self, bytes: usize, entries: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.entries.fetch_sub(entries, Ordering::Relaxed);
    }

    /// Do not write what still waits.
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Release);
    }
}

/// How the writer is.
#[derive(Debug)]
enum State {
    Running,
    /// What waits is tried again at that time.
    Stalled(Instant, Arc<LogError>),
    Stopped(Arc<LogError>),
}

/// The state of the thread. `F` takes the replies.
pub(super) struct Writer<F> {
    connection: Connection,
    path: PathBuf,
    config: LogConfig,
    shared: Arc<Shared>,
    replies: F,
    lives: Lives,
    upkeep: Upkeep,
    /// What was taken from the queue and is not in the batch.
    incoming: VecDeque<(Asker, LogRequest)>,
    /// Nothing more will come.
    is_last: bool,
    /// What nobody waits for is written from then on.
    due: Instant,
    /// When it is quiet, if nothing comes.
    quiet: Instant,
    /// When what can wait may have a little time again.
    rested: Instant,
    /// Entries with their keys, to be written.
    batch: Vec<(i64, LogEntry)>,
    batch_bytes: usize,
    /// How far whose entries go in which life, when the batch is written.
    marks: BTreeMap<(Asker, i64), u64>,
    /// Lives whose rows are to be written with the batch.
    touched: BTreeSet<i64>,
    questions: Vec<(Asker, LogRequest)>,
    /// Everybody who ever appended.
    askers: BTreeSet<Asker>,
    state: State,
    wal_pages: Arc<AtomicUsize>,
}

impl<F: Fn(Asker, LogReply)> Writer<F> {
    pub(super) fn new(
        mut connection: Connection,
        config: LogConfig,
        shared: Arc<Shared>,
        replies: F,
    ) -> Result<Self, LogError> {
        let path = database::path_in(&config.data);
        let failed = |error| database::open_error(&path, &error);
        let lives = Lives::load(&connection).map_err(failed)?;
        let wal_pages = Arc::new(AtomicUsize::new(0));
        let pages_told = Arc::clone(&wal_pages);
        let hook = move |_: &mut rusqlite::hooks::Wal, pages| {
            pages_told.store(usize::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        };
        connection.wal_hook(Some(hook)).map_err(failed)?;
        let now = Instant::now();
        Ok(Self {
            incoming: VecDeque::new(),
            is_last: false,
            due: now,
            quiet: now,
            rested: now,
            upkeep: Upkeep::new(&config, &lives),
            connection,
            path,
            config,
            shared,
            replies,
            lives,
            batch: Vec::new(),
            batch_bytes: 0,
            marks: BTreeMap::new(),
            touched: BTreeSet::new(),
            questions: Vec::new(),
            askers: BTreeSet::new(),
            state: State::Running,
            wal_pages,
        })
    }

    /// Works until the queue is empty and closed.
    pub(super) fn run(mut self, requests: &Exit) {
        let mut is_open = true;
        while is_open {
            is_open = self.gather(requests);
            if self.shared.is_given_up.load(Ordering::Acquire) {
                break;
            }
            if !self.touched.is_empty() && !matches!(self.state, State::Stopped(_)) {
                self.commit();
            }
            self.answer();
        }
        let count = self.shared.backlog().entries;
        if count > 0 {
            let path = self.path.display();
            tracing::error!(count, %path, "the last entries of the log are lost");
        }
    }

    /// Waits for something to do, and takes what there is. False if nothing can come any more.
    fn gather(&mut self, requests: &Exit) -> bool {
        if let State::Stalled(until, _) = self.state {
            return self.hold_out(until, requests);
        }
        if self.incoming.is_empty() {
            let until = self.next_step();
            match requests.take(&mut self.incoming, self.due, until) {
                Taken::Requests => {}
                Taken::Nothing => self.keep_up(),
                Taken::Last => self.is_last = true,
            }
        }
        while self.batch_bytes < LOG_BATCH_BYTES_MAX
            && let Some(request) = self.incoming.pop_front()
        {
            self.take(request);
        }
        !self.is_last || !self.incoming.is_empty()
    }

    /// When there is time for what can wait, if there is such a thing.
    fn next_step(&self) -> Option<Instant> {
        let is_due = matches!(self.state, State::Running) && self.upkeep.is_due();
        is_due.then(|| self.quiet.min(self.rested))
    }

    /// Waits until it is time for another try; questions are answered all the while.
    fn hold_out(&mut self, until: Instant, requests: &Exit) -> bool {
        loop {
            while let Some(request) = self.incoming.pop_front() {
                self.take(request);
            }
            self.answer();
            let now = Instant::now();
            if self.is_last || now >= until {
                return !self.is_last;
            }
            let taken = requests.take(&mut self.incoming, now, Some(until));
            self.is_last = taken == Taken::Last;
        }
    }

    fn take(&mut self, (asker, request): (Asker, LogRequest)) {
        match request {
            LogRequest::Append(entries) => self.append(asker, entries),
            LogRequest::Retain { now_ms } => self.upkeep.retain(now_ms, &self.lives),
            LogRequest::SetRoom {
                room,
                epoch,
                topic,
                kept,
            } => match self.lives.begin(&room, epoch) {
                Some(id) => {
                    self.lives.describe(id, topic, kept);
                    self.touched.insert(id);
                }
                None => tracing::error!(%room, epoch, "a room can't go back to an old epoch"),
            },
            question => self.questions.push((asker, question)),
        }
    }

    fn append(&mut self, asker: Asker, entries: Vec<LogEntry>) {
        let is_new = self.askers.insert(asker);
        match &self.state {
            State::Stopped(error) => {
                let bytes = entries.iter().map(LogEntry::cost).sum();
                self.shared.remove(bytes, entries.len());
                let error = Arc::clone(error);
                return (self.replies)(asker, LogReply::Stopped { error });
            }
            State::Stalled(_, error) if is_new => {
                let error = Arc::clone(error);
                (self.replies)(asker, LogReply::Stalled { error });
            }
            _ => {}
        }
        let mut is_refused = false;
        // Entries come in runs of one room: only the last of each counts.
        let mut run = None;
        for entry in entries {
            let bytes = entry.cost();
            if is_refused {
                self.shared.remove(bytes, 1);
                continue;
            }
            match self.lives.accept(&entry) {
                Ok(key) => {
                    self.batch_bytes += bytes;
                    match run {
                        Some(last) if row::life_of(last) == row::life_of(key) => {}
                        last => self.mark(asker, last),
                    }
                    run = Some(key);
                    self.batch.push((key, entry));
                }
                Err(error) => {
                    is_refused = true;
                    self.shared.remove(bytes, 1);
                    let (room, seq) = (entry.room, entry.seq);
                    tracing::error!(%error, "an entry is not in the log");
                    (self.replies)(asker, LogReply::Refused { room, seq, error });
                }
            }
        }
        self.mark(asker, run);
    }

    /// Notes the last key of a run.
    fn mark(&mut self, asker: Asker, key: Option<i64>) {
        if let Some(key) = key {
            let id = row::life_of(key);
            self.touched.insert(id);
            self.marks.insert((asker, id), row::seq_of(key));
        }
    }

    fn commit(&mut self) {
        let now = Instant::now();
        (self.due, self.quiet) = (now + self.config.delay, now + QUIET);
        if let Err(error) = self.write() {
            return self.fail(&error);
        }
        let was_stalled = matches!(self.state, State::Stalled(..));
        self.state = State::Running;
        self.shared.remove(self.batch_bytes, self.batch.len());
        self.tell_durable();
        if was_stalled {
            tracing::info!(path = %self.path.display(), "the log is written again");
            self.tell_all(|| LogReply::Resumed);
        }
        self.batch.clear();
        self.batch_bytes = 0;
        let touched = std::mem::take(&mut self.touched);
        for id in touched {
            self.upkeep.note(id, &self.lives);
        }
        while self.upkeep.is_overdue(&self.lives) && matches!(self.state, State::Running) {
            self.keep_up();
        }
        if self.upkeep.is_far_behind() && self.rested <= now && matches!(self.state, State::Running)
        {
            self.keep_up();
        }
        self.checkpoint();
    }

    /// One transaction, and its one `fsync(2)`.
    fn write(&mut self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            row::insert(&transaction, &self.batch)?;
            let mut write = transaction.prepare_cached(lives::WRITE)?;
            for id in &self.touched {
                if let Some(life) = self.lives.get(*id) {
                    lives::write(&mut write, *id, life)?;
                }
            }
        }
        transaction.commit()
    }

    fn tell_durable(&mut self) {
        let mut told: BTreeMap<Asker, Vec<Watermark>> = BTreeMap::new();
        for ((asker, id), seq) in std::mem::take(&mut self.marks) {
            if let Some(life) = self.lives.get(id) {
                let (room, epoch) = (Arc::clone(&life.name), life.epoch);
                let mark = Watermark { room, epoch, seq };
                told.entry(asker).or_default().push(mark);
            }
        }
        for (asker, marks) in told {
            (self.replies)(asker, LogReply::Durable(marks));
        }
    }

    fn tell_all(&self, reply: impl Fn() -> LogReply) {
        for asker in &self.askers {
            (self.replies)(*asker, reply());
        }
    }

    fn fail(&mut self, error: &rusqlite::Error) {
        match database::fault(&self.path, error) {
            Fault::Passing(error) => {
                let retry = Instant::now() + self.config.retry;
                let error = match &self.state {
                    State::Stalled(_, error) => Arc::clone(error),
                    _ => {
                        let error = Arc::new(error);
                        tracing::error!(%error, "nothing is logged until that is mended");
                        self.tell_all(|| LogReply::Stalled {
                            error: Arc::clone(&error),
                        });
                        error
                    }
                };
                self.state = State::Stalled(retry, error);
            }
            Fault::Final(error) => self.stop(error),
        }
    }

    /// Nothing is written from now on, not even when the database is closed.
    fn stop(&mut self, error: LogError) {
        let config = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        if let Err(error) = self.connection.set_db_config(config, true) {
            tracing::error!(%error, "can't keep the log from being written when it is closed");
        }
        tracing::error!(%error, "nothing is logged any more");
        let error = Arc::new(error);
        self.tell_all(|| LogReply::Stopped {
            error: Arc::clone(&error),
        });
        self.shared.remove(self.batch_bytes, self.batch.len());
        self.batch.clear();
        self.batch_bytes = 0;
        self.marks.clear();
        self.touched.clear();
        // What was taken and will never be written is not there.
        match Lives::load(&self.connection) {
            Ok(lives) => self.lives = lives,
            Err(error) => {
                tracing::error!(%error, "can't tell what the log has");
                self.lives = Lives::default();
            }
        }
        self.upkeep = Upkeep::new(&self.config, &self.lives);
        self.state = State::Stopped(error);
    }

    /// Moves what is committed from the write-ahead log into the database, where that pays.
    fn checkpoint(&mut self) {
        if self.wal_pages.load(Ordering::Relaxed) < CHECKPOINT_PAGES
            || !matches!(self.state, State::Running)
        {
            return;
        }
        self.wal_pages.store(0, Ordering::Relaxed);
        let full = self.connection.pragma_update(None, "synchronous", "FULL");
        let moved = full.and_then(|()| {
            self.connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        });
        if let Err(error) = moved {
            self.put_off("move into place what was logged", &error);
        }
    }

    /// A little of what can wait.
    fn keep_up(&mut self) {
        let begun = Instant::now();
        if let Err(error) = self.upkeep.step(&mut self.connection, &mut self.lives) {
            self.upkeep.rest();
            self.put_off("tidy up the log", &error);
        }
        self.checkpoint();
        let rest = if self.upkeep.is_far_behind() {
            REST_FAR_BEHIND
        } else {
            REST
        };
        self.rested = Instant::now() + begun.elapsed() * rest;
    }

    /// What failed beside the entries can wait, unless the disk lost something.
    fn put_off(&mut self, what: &'static str, error: &rusqlite::Error) {
        match database::fault(&self.path, error) {
            Fault::Passing(error) => tracing::warn!(%error, "can't {what}"),
            Fault::Final(error) => self.stop(error),
        }
    }

    fn answer(&mut self) {
        for (asker, question) in std::mem::take(&mut self.questions) {
            let reply = match question {
                LogRequest::Room { id, room } => match self.room(&room) {
                    Ok(room) => LogReply::Room { id, room },
                    Err(error) => LogReply::ReadFailed {
                        id,
                        error: database::read_error(&self.path, &error),
                    },
                },
                LogRequest::Rooms { id } => LogReply::Rooms {
                    id,
                    rooms: self.lives.states(),
                },
                _ => continue,
            };
            (self.replies)(asker, reply);
        }
    }

    /// A room as it will be when all that was appended is written.
    fn room(&self, room: &str) -> rusqlite::Result<Option<(super::RoomState, RecentIds)>> {
        let Some((life_id, life)) = self.lives.current(room) else {
            return Ok(None);
        };
        let mut ids = RecentIds::default();
        let oldest = life.last_seq.saturating_sub(CLIENT_IDS_WINDOW - 1);
        let mut statement = self.connection.prepare_cached(
            "SELECT id, client_id FROM entries
             WHERE id BETWEEN ? AND ? AND client_id IS NOT NULL ORDER BY id",
        )?;
        let range = [row::key(life_id, oldest), row::key(life_id, life.last_seq)];
        let mut rows = statement.query(range)?;
        while let Some(found) = rows.next()? {
            let id: Box<str> = found.get(1)?;
            ids.add(&id, row::seq_of(found.get(0)?));
        }
        for (key, entry) in &self.batch {
            if let (true, Some(id)) = (row::life_of(*key) == life_id, &entry.client_id) {
                ids.add(id, entry.seq);
            }
        }
        Ok(Some((life.state(), ids)))
    }
}

impl<F> std::fmt::Debug for Writer<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("path", &self.path)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
