//! The log of the rooms: what was said outlives the hub.
//!
//! A shard hands entries over by [`Journal::request`], which never blocks, and is told by
//! [`LogReply::Durable`] up to which number each room is on the disk. Nothing here knows a socket,
//! reads the wall clock or numbers an entry: numbers are the rooms' own.
//!
//! ```text
//! Append ─▶ one thread: all that waits, one transaction, one fsync ─▶ Durable
//!                        │ while nothing comes: the index of words, what is too old
//!                        ▼
//!               DATA/log.sqlite ─▶ two threads: pages, searches ─▶ Page, Found
//! ```
//!
//! What holds at any moment, through `kill -9` and a power cut:
//!
//! - What [`LogReply::Durable`] told is there, with the same numbers.
//! - The numbers of a room and epoch have no gaps; only the beginning goes, by age or size.
//! - After a failed `fsync(2)` nothing more is told durable until the hub is started again.
//!
//! Other programs read the log beside the hub by a [`LogReader`].

mod database;
mod entry;
mod error;
mod journal;
mod lives;
mod locks;
mod queue;
mod reader;
mod recent;
mod row;
mod search;
mod transfer;
mod upkeep;
mod verify;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use self::entry::{LogEntry, LogKind};
pub use self::error::{Holder, LogError};
pub use self::journal::{
    Asker, Backlog, Journal, LogReply, LogRequest, Page, PageFrom, RoomState, Search, Watermark,
};
use self::locks::Lock;
use self::queue::Entrance;
pub use self::reader::LogReader;
pub use self::recent::RecentIds;
pub use self::transfer::{ExportError, Imported, entry_to_json, import};
pub use self::verify::{Report, verify};
use self::writer::{Shared, Writer};
use crate::limits::{LOG_DELAY, LOG_LOCK_WAIT, LOG_READS_MAX, LOG_RETRY};

/// Where a log is kept, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// The data folder, which must be there: the log is `log.sqlite` in it.
    pub data: PathBuf,
    /// How old entries get; `None` for ever. It takes [`LogRequest::Retain`] for the time to come.
    pub keep_age: Option<Duration>,
    /// How many bytes of entries a room may have; `None` for any number. It may have a quarter more
    /// for a while.
    pub keep_bytes: Option<u64>,
    /// How long to wait for another program's lock.
    pub lock_wait: Duration,
    /// Time between two tries to write what the disk did not take.
    pub retry: Duration,
    /// How long entries that nobody [waits for](Journal::hurry) may lie before they are written, if
    /// others were written just before them.
    pub delay: Duration,
}

impl LogConfig {
    /// A log in `data` that keeps everything, with [`LOG_LOCK_WAIT`], [`LOG_RETRY`]
    /// and [`LOG_DELAY`].
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            keep_age: None,
            keep_bytes: None,
            lock_wait: LOG_LOCK_WAIT,
            retry: LOG_RETRY,
            delay: LOG_DELAY,
        }
    }
}

/// The log of one data folder, and its threads: the [`Journal`] of a hub.
///
/// Dropping it is the same as [`close`](Self::close); [`give_up`](Self::give_up) waits for less.
///
/// ```
/// use std::sync::mpsc;
/// use switchboard_hub::log::{
///     Asker, Journal, Log, LogConfig, LogEntry, LogKind, LogReader, LogReply, LogRequest,
///     PageFrom,
/// };
///
/// let data = tempfile::tempdir()?;
/// let (sender, replies) = mpsc::channel();
/// let log = Log::open(LogConfig::new(data.path()), move |_, reply| {
///     sender.send(reply).ok();
/// })?;
///
/// let entry = LogEntry {
///     room: "lobby".into(),
///     epoch: 7,
///     seq: 1,
///     time_ms: 1_700_000_000_000,
///     author: "ada".into(),
///     kind: LogKind::Text,
///     text: "hello".into(),
///     bytes: None,
///     reply_to: None,
///     client_id: None,
/// };
/// log.request(Asker(0), LogRequest::Append(vec![entry.clone()]));
/// let LogReply::Durable(marks) = replies.recv()? else { panic!("it is on the disk") };
/// assert_eq!((marks[0].epoch, marks[0].seq), (7, 1));
///
/// // Anybody may read beside it.
/// let page = LogReader::open(data.path())?.page(&"lobby".into(), None, PageFrom::Newest, 10)?;
/// assert_eq!(page.entries, [entry]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Log {
    writer: Option<Entrance>,
    pages: Option<Reads>,
    searches: Option<Reads>,
    threads: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
    replies: Arc<dyn Fn(Asker, LogReply) + Send + Sync>,
    /// Held until the threads are gone.
    _lock: Lock,
}

/// The queue of a thread that reads.
#[derive(Debug)]
struct Reads {
    queue: Sender<(Asker, LogRequest)>,
    waiting: Arc<AtomicUsize>,
}

impl Log {
    /// Opens the log of a data folder, or begins one, and starts its threads.
    ///
    /// `replies` is called on the log's threads, and for [`LogError::Busy`] on the asker's, and
    /// must neither block nor own the log.
    ///
    /// # Errors
    ///
    /// - [`LogError::InUse`] if another hub, or an import, writes it: wait or stop that one.
    /// - [`LogError::Locked`] if another program keeps it locked for longer than the configured
    ///   wait: end that program.
    /// - [`LogError::Corrupt`] if it is damaged: `switchboard verify` tells how much.
    /// - [`LogError::Newer`] if a newer release wrote it.
    /// - [`LogError::DiskFull`] and [`LogError::Io`] (`EACCES`, `EROFS`) if it cannot be written.
    pub fn open(
        config: LogConfig,
        replies: impl Fn(Asker, LogReply) + Send + Sync + 'static,
    ) -> Result<Self, LogError> {
        let lock = locks::take(&config.data)?;
        let connection = database::open(&config.data, config.lock_wait)?;
        let readers = [
            LogReader::open(&config.data)?,
            LogReader::open(&config.data)?,
        ];
        let replies: Arc<dyn Fn(Asker, LogReply) + Send + Sync> = Arc::new(replies);
        let shared = Arc::new(Shared::default());
        let tell = Arc::clone(&replies);
        let data = config.data.clone();
        let writer = Writer::new(
            connection,
            config,
            Arc::clone(&shared),
            move |asker, reply| {
                tell(asker, reply);
            },
        )?;
        let mut log = Self {
            writer: None,
            pages: None,
            searches: None,
            threads: Vec::new(),
            shared,
            replies,
            _lock: lock,
        };
        let (entrance, exit) = queue::queue();
        log.spawn("log", &data, move || writer.run(&exit))?;
        log.writer = Some(entrance);
        let [pages, searches] = readers;
        log.pages = Some(log.spawn_reader("log-pages", &data, pages)?);
        log.searches = Some(log.spawn_reader("log-searches", &data, searches)?);
        Ok(log)
    }

    fn spawn(
        &mut self,
        name: &str,
        data: &Path,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), LogError> {
        let thread = thread::Builder::new().name(name.into()).spawn(run);
        self.threads.push(thread.map_err(|error| LogError::Io {
            action: "start a thread for",
            path: data.to_owned(),
            reason: error.to_string(),
        })?);
        Ok(())
    }

    fn spawn_reader(
        &mut self,
        name: &str,
        data: &Path,
        reader: LogReader,
    ) -> Result<Reads, LogError> {
        let (queue, requests) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let (count, replies) = (Arc::clone(&waiting), Arc::clone(&self.replies));
        self.spawn(name, data, move || {
            answer_reads(reader, &requests, &count, &*replies);
        })?;
        Ok(Reads { queue, waiting })
    }

    /// Writes what was appended so far, and waits for the threads. What the disk does not take now
    /// is lost, and the log says how much.
    pub fn close(self) {
        drop(self);
    }

    /// Closes without writing what still waits. Waits for what each thread is at: one commit, one
    /// page, one search.
    pub fn give_up(self) {
        self.shared.give_up();
        drop(self);
    }
}

impl Journal for Log {
    fn request(&self, asker: Asker, request: LogRequest) {
        let reads = match &request {
            LogRequest::Page { id, .. } => Some((*id, &self.pages)),
            LogRequest::Search { id, .. } => Some((*id, &self.searches)),
            _ => None,
        };
        let is_taken = match reads {
            Some((id, Some(reads))) => {
                if reads.waiting.fetch_add(1, Ordering::Relaxed) >= LOG_READS_MAX {
                    reads.waiting.fetch_sub(1, Ordering::Relaxed);
                    let error = LogError::Busy;
                    return (self.replies)(asker, LogReply::ReadFailed { id, error });
                }
                reads.queue.send((asker, request)).is_ok()
            }
            Some((_, None)) => false,
            None => {
                let bytes = match &request {
                    LogRequest::Append(entries) => self.shared.add(entries),
                    _ => 0,
                };
                let queue = self.writer.as_ref();
                queue.is_some_and(|queue| queue.push(asker, request, bytes))
            }
        };
        // `open` starts the threads, and one ends before its queue only if `replies` panics.
        if !is_taken {
            tracing::error!("a thread of the log is dead");
        }
    }

    fn hurry(&self) {
        if let Some(queue) = &self.writer {
            queue.hurry();
        }
    }

    fn backlog(&self) -> Backlog {
        self.shared.backlog()
    }
}

/// Removes the files of a log in which there is nothing, and which nobody has open.
pub(crate) fn remove(data: &Path) -> io::Result<()> {
    database::remove(data)?;
    match std::fs::remove_file(data.join(locks::FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // A thread whose queue has no sender left does the rest of it and ends. The writer is the
        // last to close the database, which moves everything into its one file.
        (self.pages, self.searches) = (None, None);
        while let Some(thread) = self.threads.pop() {
            if self.threads.is_empty() {
                self.writer = None;
            }
            if thread.join().is_err() {
                tracing::error!("a thread of the log panicked");
            }
        }
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("backlog", &self.backlog())
            .finish_non_exhaustive()
    }
}

/// The thread that reads pages, and the one that searches.
fn answer_reads(
    mut reader: LogReader,
    requests: &Receiver<(Asker, LogRequest)>,
    waiting: &AtomicUsize,
    replies: &dyn Fn(Asker, LogReply),
) {
    for (asker, request) in requests {
        waiting.fetch_sub(1, Ordering::Relaxed);
        let (id, answer) = match request {
            LogRequest::Page {
                id,
                room,
                epoch,
                from,
                limit,
            } => {
                let page = reader.page(&room, epoch, from, limit);
                (id, page.map(|page| LogReply::Page { id, page }))
            }
            LogRequest::Search { id, search } => {
                let found = reader.search(&search);
                let told = |(entries, is_whole)| LogReply::Found {
                    id,
                    entries,
                    is_whole,
                };
                (id, found.map(told))
            }
            _ => continue,
        };
        replies(
            asker,
            answer.unwrap_or_else(|error| LogReply::ReadFailed { id, error }),
        );
    }
}
