//! The file store: uploads arrive in pieces and become files.
//!
//! A shard must never wait for a disk, so all files belong to the store's own threads. A shard
//! sends [`Request`]s, which never block, and is told of each by a [`Reply`]. Requests of one
//! upload are done in order by one thread; different uploads run side by side, so that one slow
//! `fsync(2)` does not hold up all.
//!
//! ```text
//! Begin ─▶ DATA/partial/ID.part ◀─ Data, Data, …
//!                  │ Commit: fsync file ─▶ rename, never over anything ─▶ fsync folder
//!                  ▼
//!          DATA/files/NAME ─▶ Stored
//! ```
//!
//! An upload whose sender says what the whole file is (`Offer`) and that breaks off is kept, and
//! what is on the disk of it is there for the next who offers that file.
//!
//! What holds at any moment, through `kill -9` and a power cut:
//!
//! - A name in `DATA/files` shows a whole file, whose bytes were on the disk before the name was.
//! - [`Reply::Stored`] is sent only once the name is on the disk too.
//! - Nothing is overwritten, followed or removed there: whatever has the name keeps it, and the
//!   upload becomes `name (2).ext`, unless it has the very same bytes.
//! - After a failed `fsync(2)` nothing more is accepted until the hub is started again: what the
//!   kernel dropped then, it does not tell a second time.
//!
//! The store never decides who may upload and knows no socket; the only clock that it reads tells
//! how old unfinished uploads are. Begin at [`Store::open`].

mod error;
mod folder;
mod kept;
mod partial;
mod shared;
mod worker;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use switchboard_wire::{Content, FileName};

pub use self::error::StoreError;
use self::folder::Folder;
pub use self::kept::Unfinished;
use self::shared::Shared;
use self::worker::Worker;

/// Threads of a store unless told otherwise.
///
/// Enough that an `fsync(2)` of seconds on one leaves others; a disk gains little from more.
pub const STORE_THREADS: usize = 4;

/// How many names an upload is tried under, the announced one included, before it is refused.
///
/// Each costs two or three system calls, so a search to the end takes tens of milliseconds.
pub const NAME_TRIES_MAX: u32 = 10_000;

/// Where a store keeps its files, and how many threads serve it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// The data folder. It is created if it is not there, with `files`, `partial` and `lock` in it.
    pub data: PathBuf,
    /// How many threads write; zero means one.
    pub threads: usize,
    /// How much is kept of uploads that broke off.
    pub unfinished: Unfinished,
}

impl StoreConfig {
    /// A store in `data` with [`STORE_THREADS`] threads.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            threads: STORE_THREADS,
            unfinished: Unfinished::default(),
        }
    }
}

/// One upload, by a number its caller chose. Unique for the life of the store.
///
/// The number modulo the count of threads is the thread that serves it: uploads of one thread are
/// stored one after the other, in the order of their requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(pub u64);

impl UploadId {
    /// The `serial`-th upload of all, in a lane of uploads that are stored in order: those of one
    /// sender, so that the first of two files of one name gets it.
    #[must_use]
    pub const fn in_lane(lane: u64, serial: u64) -> Self {
        let lanes = STORE_THREADS as u64;
        Self(serial.wrapping_mul(lanes).wrapping_add(lane % lanes))
    }

    const SERIAL_BITS: u32 = 44;

    /// The same for one of several who ask the store and do not count together.
    #[must_use]
    pub const fn of_shard(shard: u16, lane: u64, serial: u64) -> Self {
        let serial = serial & ((1 << Self::SERIAL_BITS) - 1);
        Self::in_lane(lane, ((shard as u64) << Self::SERIAL_BITS) | serial)
    }

    /// Who asked.
    #[must_use]
    pub const fn shard(self) -> u16 {
        ((self.0 / STORE_THREADS as u64) >> Self::SERIAL_BITS & 0xffff) as u16
    }
}

/// What a store is asked to do.
///
/// One upload is a `Begin`, any number of `Data`, then a `Commit` or an `Abort`, which must come
/// even after [`Reply::Failed`]: it is what lets the store forget the upload. An `Offer` may come
/// before: what then comes of the upload, and is not committed, is kept, to be gone on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Give the upload up and remove what was written, unless it was offered. Nothing is replied.
    Abort {
        /// Which upload.
        id: UploadId,
    },
    /// Start an upload.
    Begin {
        /// A number no upload of this store had before.
        id: UploadId,
        /// The name it is wanted under.
        name: FileName,
        /// How many bytes follow: of a file that was offered, all of it, or what
        /// [is not there yet](Reply::Have).
        bytes: u64,
        /// The whole file, if that is known: it is stored only if it is this one.
        content: Option<Content>,
    },
    /// All bytes were sent: make the file visible.
    Commit {
        /// Which upload.
        id: UploadId,
    },
    /// The next bytes.
    Data {
        /// Which upload.
        id: UploadId,
        /// The bytes, any number.
        bytes: Bytes,
    },
    /// Say how much of this file is there from an upload that broke off.
    Offer {
        /// A number no upload of this store had before.
        id: UploadId,
        /// The whole file.
        content: Content,
    },
}

impl Request {
    /// Which upload this is about.
    #[must_use]
    pub fn id(&self) -> UploadId {
        match self {
            Self::Abort { id }
            | Self::Begin { id, .. }
            | Self::Commit { id }
            | Self::Data { id, .. }
            | Self::Offer { id, .. } => *id,
        }
    }
}

/// What a store tells of an upload.
///
/// Each `Begin` gets exactly one of `Stored` and `Failed`, unless it is aborted (or the store is
/// closed) first; each `Data` gets one `Written`; each `Offer` gets one of `Have` and `Failed`.
#[derive(Debug)]
pub enum Reply {
    /// The upload ended without a file and left nothing behind. Later requests of it are ignored.
    Failed {
        /// Which upload.
        id: UploadId,
        /// Why.
        error: StoreError,
    },
    /// So much of an offered file is on the disk already; nothing, if somebody else is sending the
    /// same file just now.
    Have {
        /// Which upload.
        id: UploadId,
        /// How many bytes, from the front.
        bytes: u64,
    },
    /// The file is visible and on the disk.
    Stored {
        /// Which upload.
        id: UploadId,
        /// The name it got, perhaps a numbered one.
        name: FileName,
        /// Its length, in bytes.
        bytes: u64,
        /// Whether a file with these very bytes was there under that name already.
        duplicate: bool,
    },
    /// A `Data` is done with and its memory free. Sent for failed and unknown uploads too, so that
    /// the caller's count of what is in flight stays right.
    Written {
        /// Which upload.
        id: UploadId,
        /// How many bytes that `Data` had.
        bytes: usize,
    },
}

impl Reply {
    /// Which upload this is about.
    #[must_use]
    pub const fn id(&self) -> UploadId {
        match self {
            Self::Failed { id, .. }
            | Self::Have { id, .. }
            | Self::Stored { id, .. }
            | Self::Written { id, .. } => *id,
        }
    }
}

/// The file store of one data folder, and its threads.
///
/// Dropping it is the same as [`close`](Self::close); [`give_up`](Self::give_up) waits for less.
///
/// ```
/// use std::sync::mpsc;
/// use switchboard_hub::store::{Reply, Request, Store, StoreConfig, UploadId};
/// use switchboard_wire::FileName;
///
/// let data = tempfile::tempdir()?;
/// let (sender, replies) = mpsc::channel();
/// let store = Store::open(StoreConfig::new(data.path()), move |reply| {
///     sender.send(reply).ok();
/// })?;
///
/// let (id, name) = (UploadId(1), FileName::reduce("cat.txt")?);
/// store.request(Request::Begin { id, name, bytes: 4, content: None });
/// store.request(Request::Data { id, bytes: "meow".into() });
/// store.request(Request::Commit { id });
///
/// assert!(matches!(replies.recv()?, Reply::Written { bytes: 4, .. }));
/// assert!(matches!(replies.recv()?, Reply::Stored { duplicate: false, .. }));
/// assert_eq!(std::fs::read(store.files_dir().join("cat.txt"))?, b"meow");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Store {
    files_path: PathBuf,
    /// One queue a thread. Unbounded here: the caller bounds them by counting `Written`.
    queues: Vec<Sender<Request>>,
    threads: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
    /// Held until the threads are gone; the kernel lets it go with the process at the latest.
    lock: File,
    /// Folders that were not there before, the data folder first, if that was made.
    made: Vec<PathBuf>,
}

impl Store {
    /// Opens the data folder, or creates it, and starts the threads.
    ///
    /// Unfinished uploads of a run that died are removed, but those that can be gone on with, as
    /// far as [`StoreConfig::unfinished`] allows. `replies` is called on the store's threads and
    /// must neither block nor own the store.
    ///
    /// # Errors
    ///
    /// - [`StoreError::InUse`] if another hub has the folder: stop that one or use another folder.
    /// - [`StoreError::DiskFull`] if not even an empty file can be created.
    /// - [`StoreError::Io`] if the folder is not one, cannot be created, read or written (`EACCES`,
    ///   `EROFS`), spans two file systems (`EXDEV`) or a thread cannot be started (`EAGAIN`). The
    ///   message names the path; the user has to mend it.
    pub fn open(
        config: StoreConfig,
        replies: impl Fn(Reply) + Send + Sync + Clone + 'static,
    ) -> Result<Self, StoreError> {
        let (folder, lock, made) = Folder::open(&config.data)?;
        let shared = Arc::new(Shared::new(config.unfinished.clone()));
        folder.remove_orphans(&shared)?;
        folder.probe()?;
        let mut store = Self {
            files_path: folder.files_path.clone(),
            queues: Vec::new(),
            threads: Vec::new(),
            shared: Arc::clone(&shared),
            lock,
            made,
        };
        for number in 0..config.threads.max(1) {
            let (queue, requests) = mpsc::channel();
            let worker = Worker::new(folder.reopen()?, Arc::clone(&shared), replies.clone());
            let thread = thread::Builder::new()
                .name(format!("store-{number}"))
                .spawn(move || worker.run(&requests))
                .map_err(|error| StoreError::io("start a thread for", &config.data, error))?;
            store.queues.push(queue);
            store.threads.push(thread);
        }
        Ok(store)
    }

    /// Hands a request to the thread of its upload. Never blocks.
    pub fn request(&self, request: Request) {
        let id = request.id();
        let index = u64::try_from(self.queues.len())
            .ok()
            .and_then(|count| id.0.checked_rem(count))
            .and_then(|index| usize::try_from(index).ok());
        let queue = index.and_then(|index| self.queues.get(index));
        // `open` starts a thread at least, and one ends before its queue only if `replies` panics.
        if queue.is_none_or(|queue| queue.send(request).is_err()) {
            tracing::error!(id = id.0, "the store's thread for this upload is dead");
        }
    }

    /// The folder of the finished files.
    #[must_use]
    pub fn files_dir(&self) -> &Path {
        &self.files_path
    }

    /// Does what was requested so far, gives up the uploads without a `Commit` (silently, removing
    /// what they wrote), and waits for the threads.
    pub fn close(self) {
        drop(self);
    }

    /// Closes without doing what is still in the queues: what is not stored yet fails with
    /// [`StoreError::Closed`]. Waits for what each thread is at, one write or `fsync(2)`.
    pub fn give_up(self) {
        self.shared.give_up();
        drop(self);
    }
}

impl Store {
    /// Closes, and removes the data folder if it was made when this was opened: what could not
    /// begin is to leave nothing behind. A folder into which anything was put stays.
    pub(crate) fn take_back(mut self) {
        self.end_threads();
        if let Err(error) = folder::remove(&self.made) {
            tracing::warn!(%error, "can't remove the data folder, which is new");
        }
    }

    fn end_threads(&mut self) {
        // A thread whose queue has no sender left does the rest of it and ends.
        self.queues.clear();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.end_threads();
        // Closing alone would leave it to a child that is forked and not yet another program.
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "can't unlock the data folder");
        }
    }
}
