//! Downloads by plain HTTP: many at once, in one thread, each whole or not at all.
//!
//! A file has its name only when all its bytes are on the disk; until then they are in a partial
//! file beside it, from which the next try, or the next run, goes on if the server can prove that
//! the content is still the same. Nothing is overwritten unless that is asked for. A body that was
//! cut is an error, and tried again.
//!
//! Connections are made and read by one loop; only names are looked up in threads. What comes is
//! written to the disk by that same loop before more is read, so nothing queues up: a slow disk
//! makes the servers wait.
//!
//! Begin with [`Get::new`].

mod checksum;
mod error;
mod fetcher;
mod folder;
mod job;
mod part;
mod sink;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use berkeley::selector::Backend;
use berkeley::{Addr, Socket};
use switchboard_reactor::{Reactor, Receiver, Sender};
use switchboard_wire::http::{HttpOrigin, HttpUrl};

pub use self::checksum::{Algorithm, Checksum};
pub use self::error::GetError;
use self::fetcher::Fetcher;
use self::folder::Folder;
use crate::stop::Stopper;

/// How many downloads run at once, unless another number is asked for.
pub const JOBS: usize = 8;

/// How many may be asked for: each has a connection and a file open.
pub const JOBS_MAX: usize = 256;

/// How many of them at one host: what browsers take.
pub const JOBS_PER_HOST: usize = 6;

/// How often a download is tried again that failed for a reason that may pass.
pub const RETRIES: u32 = 8;

/// A try that brought this much was worth it: the count of failures begins anew, so that a large
/// file comes through a bad network.
pub const PROGRESS_BYTES_MIN: u64 = 1 << 20;

/// How many redirections are followed.
pub const REDIRECTS: u32 = 10;

/// How long a server may send nothing.
pub const IDLE: Duration = Duration::from_secs(30);

/// An idle limit that is noticed so much later was missed for our own fault, as when a disk took
/// long: the server gets as much more.
pub const LATE: Duration = Duration::from_secs(1);

/// The largest content that is taken: 1 TiB.
pub const CONTENT_BYTES_MAX: u64 = 1 << 40;

/// The longest pause that a server can ask for. One that asks for more is not tried again.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

/// The longest body of an answer that is no content, which is read to keep the connection.
pub const SKIPPED_BYTES_MAX: u64 = 64 * 1024;

/// How many numbered names are tried where a name is taken.
pub const NAME_TRIES_MAX: u32 = 10_000;

/// What to download, and how.
#[derive(Debug, Clone)]
pub struct GetOptions {
    /// The addresses. One that comes twice is downloaded once.
    pub urls: Vec<HttpUrl>,
    /// Where to.
    pub destination: Destination,
    /// How many at once, at most [`JOBS_MAX`].
    pub jobs: usize,
    /// How many of them at one host.
    pub jobs_per_host: usize,
    /// How often each is tried again.
    pub retries: u32,
    /// How many redirections are followed.
    pub redirects: u32,
    /// How long connecting may take, the look-up of the name included.
    pub timeout: Duration,
    /// How long a server may send nothing.
    pub idle: Duration,
    /// The largest content that is taken.
    pub content_bytes_max: u64,
    /// What has the name is replaced.
    pub force: bool,
    /// What the content must have.
    pub checksum: Option<Checksum>,
    /// What waits.
    pub backend: Backend,
}

/// Where contents go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Into a folder, which is made if there is none, each under a name of its own. A name that is
    /// taken by other bytes becomes `name (2).ext`; the same bytes are kept once.
    Folder(PathBuf),
    /// Into one file; for one address.
    File(PathBuf),
    /// To the audience; for one address.
    Audience,
}

/// Who is told what happens.
pub trait Audience {
    /// The next bytes of the content ([`Destination::Audience`]).
    ///
    /// # Errors
    /// The audience is gone: that ends it all.
    fn content(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// More has come.
    fn progress(&mut self, progress: &Progress<'_>);

    /// A try has failed and another one follows.
    fn retries(&mut self, url: &HttpUrl, why: &GetError, pause: Duration);

    /// A download has ended.
    ///
    /// # Errors
    /// The audience is gone: that ends it all.
    fn ended(&mut self, report: &Report) -> io::Result<()>;
}

/// How far a download is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Which: its place among the addresses.
    pub index: usize,
    /// What it will be called, if nothing has that name.
    pub name: &'a str,
    /// How much there is, in bytes.
    pub bytes: u64,
    /// How much there will be, if that is known.
    pub total: Option<u64>,
}

/// How a download ended.
#[derive(Debug)]
pub struct Report {
    /// Its place among the addresses.
    pub index: usize,
    /// The address that was asked for.
    pub url: HttpUrl,
    /// The address that answered in the end.
    pub final_url: HttpUrl,
    /// The last status.
    pub status: Option<u16>,
    /// How often it was tried.
    pub tries: u32,
    /// Bytes that were there already from an earlier try or run.
    pub resumed_bytes: u64,
    /// How long it took from its first try.
    pub elapsed: Duration,
    /// The file, or why there is none.
    pub outcome: Result<Saved, GetError>,
}

/// What was downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Where it is; nowhere if the audience has it.
    pub path: Option<PathBuf>,
    /// How much it is.
    pub bytes: u64,
    /// The same bytes were there under that name.
    pub was_there: bool,
}

/// How all of it ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Downloads that are whole.
    pub saved: usize,
    /// Downloads that are not.
    pub failed: usize,
    /// Bytes of all that are whole.
    pub bytes: u64,
}

/// What other threads tell.
#[derive(Debug)]
enum Mail {
    /// A host was reached, or was not.
    Dialled(HttpOrigin, berkeley::Result<(Socket, Addr)>),
}

/// Downloads that are ready to begin.
#[derive(Debug)]
pub struct Get {
    options: GetOptions,
    folder: Option<Folder>,
    reactor: Reactor,
    mail: (Sender<Mail>, Receiver<Mail>),
    stops: (Sender<()>, Receiver<()>),
}

impl Get {
    /// Gets ready; [`Get::run`] begins.
    ///
    /// # Errors
    /// [`GetError::Disk`] if there is no such folder to be had, [`GetError::Taken`] if the one file
    /// is there already, [`GetError::Wait`].
    pub fn new(mut options: GetOptions) -> Result<Self, GetError> {
        let mut known = std::collections::HashSet::new();
        options.urls.retain(|url| known.insert(url.clone()));
        options.jobs = options.jobs.clamp(1, JOBS_MAX);
        options.jobs_per_host = options.jobs_per_host.max(1);
        let folder = match &options.destination {
            Destination::Folder(path) => Some(Folder::create(path)?),
            Destination::File(path) => Some(Folder::of(path, options.force)?),
            Destination::Audience => None,
        };
        let backend = options.backend;
        let reactor = Reactor::new(backend).map_err(|source| GetError::Wait { backend, source })?;
        let (mail, stops) = (reactor.mailbox(), reactor.mailbox());
        Ok(Self {
            options,
            folder,
            reactor,
            mail,
            stops,
        })
    }

    /// Why it does not wait as it was asked to: there is no io_uring to be had, so it is epoll.
    #[must_use]
    pub const fn fallback(&self) -> Option<&berkeley::Error> {
        self.reactor.fallback()
    }

    /// What ends it: what is not whole is kept to go on with, and [`Get::run`] returns.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper::new(self.stops.0.clone())
    }

    /// Downloads all of it.
    ///
    /// # Errors
    /// [`GetError::Output`] if the audience is gone, [`GetError::Wait`] if the selector fails. How
    /// each download ended is in its report.
    pub fn run(self, audience: &mut dyn Audience) -> Result<Summary, GetError> {
        let Self {
            options,
            folder,
            mut reactor,
            mail,
            stops: (_, stops),
        } = self;
        let backend = reactor.backend();
        let mut fetcher = Fetcher::new(options, folder, mail, stops, audience);
        if fetcher.begin(&mut reactor) {
            reactor
                .run(&mut fetcher)
                .map_err(|source| GetError::Wait { backend, source })?;
        }
        fetcher.into_outcome()
    }
}
