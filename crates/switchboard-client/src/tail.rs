//! Following a room for ever: each entry once, in order, whatever happens to the connection.
//!
//! Speaks to a hub's parcel door. The last number that was taken, and the history that it counts
//! in, are remembered; a connection that breaks is made again after a pause, and goes on there.
//! What cannot be had any more is told, never passed over.
//!
//! Begin with [`Tail::new`].

mod exec;
mod follower;
pub(crate) mod pauses;
mod place;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use berkeley::selector::Backend;
use berkeley::{Addr, Endpoint, Kind, Socket};
use switchboard_reactor::{Reactor, Receiver, Sender};
use switchboard_wire::{DeliveryError, EntryFrame, RoomName};

use self::follower::Follower;
pub use self::place::Place;
use crate::stop::Stopper;

/// How long a program that runs when the end is asked for has to end too, before it is made to.
pub const STOP_LIMIT: Duration = Duration::from_millis(500);

/// The longest first pause before a connection is tried again. Each pause is any time from zero to
/// its longest, so that those whom a hub has lost do not come back all at once; the longest
/// doubles with each failure.
pub const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause there is.
pub const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A connection that has lasted this long was one: pauses begin anew after it.
pub const LASTING: Duration = Duration::from_secs(1);

/// The longest value of a variable that a program is given, in bytes: the kernel takes 128 KiB
/// (`MAX_ARG_STRLEN`) with the name. A longer one is cut at a character.
pub const VARIABLE_BYTES_MAX: usize = 64 * 1024;

/// What to follow, and from where.
#[derive(Debug, Clone)]
pub struct TailOptions {
    /// The hub's parcel door: a stream.
    pub endpoint: Endpoint,
    /// Which room.
    pub room: RoomName,
    /// The last number that is known, 0 for the whole history; without it, only what is new.
    pub since: Option<u64>,
    /// The history that `since` counts in, if it is known.
    pub epoch: Option<u64>,
    /// What waits.
    pub backend: Backend,
    /// How long connecting may take, and how long the hub's answer.
    pub timeout: Duration,
    /// The program to run for each entry, instead of showing it.
    pub exec: Option<Exec>,
}

/// A program that runs for each entry: one at a time, in order.
#[derive(Debug, Clone)]
pub struct Exec {
    /// A command for `sh -c`.
    pub command: OsString,
    /// What it is to be told.
    pub describe: fn(&EntryFrame) -> Task,
}

/// What a program is told of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its standard input.
    pub input: String,
    /// Its environment, besides ours. A zero byte, which no variable can hold, becomes U+FFFD, and
    /// what is longer than [`VARIABLE_BYTES_MAX`] is cut.
    pub variables: Vec<(&'static str, String)>,
}

/// Who is told what comes.
pub trait Audience {
    /// The next entry.
    ///
    /// # Errors
    /// The audience is gone: the tail ends.
    fn entry(&mut self, entry: &EntryFrame) -> io::Result<()>;

    /// Nothing more is there for now.
    ///
    /// # Errors
    /// As for an entry.
    fn flush(&mut self) -> io::Result<()>;

    /// What else there is to know.
    fn note(&mut self, note: &TailNote<'_>);
}

/// What the user should know, besides the entries.
#[derive(Debug)]
#[non_exhaustive]
pub enum TailNote<'a> {
    /// These entries cannot be had any more.
    Gap {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// The room is followed, for the first time or again.
    Here {
        /// Where.
        endpoint: &'a Endpoint,
        /// From where on.
        place: &'a Place,
        /// It was lost before.
        is_again: bool,
    },
    /// There is no connection now, and it is tried again until there is one.
    Lost {
        /// Why.
        why: &'a TailError,
    },
    /// A program did not end as it should. The next entry follows all the same.
    ProgramFailed {
        /// The entry's number.
        seq: u64,
        /// How it ended.
        status: ExitStatus,
    },
    /// A program could not be started, which is tried again until it can.
    ProgramNotStarted {
        /// The entry's number.
        seq: u64,
        /// Why not.
        cause: &'a io::Error,
    },
    /// The room's history is another one than the one that was followed.
    Reset {
        /// The room.
        room: &'a str,
    },
}

impl fmt::Display for TailNote<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { from, to } if from == to => {
                write!(f, "entry {from} is gone: the hub does not have it any more")
            }
            Self::Gap { from, to } => write!(
                f,
                "entries {from} to {to} are gone: the hub does not have them any more"
            ),
            Self::Here {
                endpoint,
                place,
                is_again,
            } => {
                let again = if *is_again { " again" } else { "" };
                write!(f, "following {} at {endpoint}{again}", place.room())?;
                match place.seq() {
                    Some(seq) => write!(f, ", from entry {} on", seq.saturating_add(1)),
                    None => Ok(()),
                }
            }
            Self::Lost { why } => {
                write!(f, "{why}")?;
                let mut cause = std::error::Error::source(why);
                while let Some(error) = cause {
                    write!(f, ": {error}")?;
                    cause = error.source();
                }
                f.write_str("; trying again until it is there")
            }
            Self::ProgramFailed { seq, status } => {
                write!(f, "the program for entry {seq} failed: {status}")
            }
            Self::ProgramNotStarted { seq, cause } => write!(
                f,
                "the program for entry {seq} cannot be started: {cause}; trying again"
            ),
            Self::Reset { room } => write!(
                f,
                "the history of {room} is another one now, and its numbers begin anew"
            ),
        }
    }
}

/// Why a room cannot be followed, or not any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TailError {
    /// The connection broke.
    #[error("the connection to {endpoint} broke")]
    Broken {
        /// The hub.
        endpoint: Endpoint,
        /// Why.
        source: berkeley::Error,
    },
    /// The hub has ended the connection.
    #[error("{endpoint} closed the connection")]
    Closed {
        /// The hub.
        endpoint: Endpoint,
    },
    /// There is no connection.
    #[error("cannot reach {endpoint}")]
    Connect {
        /// The hub.
        endpoint: Endpoint,
        /// Why not.
        source: berkeley::Error,
    },
    /// The endpoint is no stream.
    #[error("{endpoint} is no parcel door: write tcp://HOST:PORT or unix://PATH")]
    NotAStream {
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// A number did not come in its turn.
    #[error("{endpoint} left out entries behind {seq}")]
    OutOfStep {
        /// The hub.
        endpoint: Endpoint,
        /// The last number that came in its turn.
        seq: u64,
    },
    /// The output cannot be written.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    /// The hub does not let us into the room.
    #[error("{endpoint} refused: {reason}")]
    Refused {
        /// The hub.
        endpoint: Endpoint,
        /// Why, in its words.
        reason: String,
    },
    /// Nothing was answered.
    #[error("{endpoint} did not answer within {} s", limit.as_secs_f64())]
    Silent {
        /// The hub, or what else is there.
        endpoint: Endpoint,
        /// How long it was waited for.
        limit: Duration,
    },
    /// No thread can be had to connect in.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// What came is not what a hub says.
    #[error("{endpoint} does not speak as a hub's parcel door does")]
    Unreadable {
        /// Who said it.
        endpoint: Endpoint,
        /// What is wrong with it.
        source: DeliveryError,
    },
    /// There is no waiting.
    #[error("cannot wait with {}", .backend.name())]
    Wait {
        /// What should have waited.
        backend: Backend,
        /// Why it cannot.
        source: berkeley::Error,
    },
}

/// What other threads tell.
#[derive(Debug)]
enum Mail {
    /// An attempt to connect has ended.
    Dialled(berkeley::Result<(Socket, Addr)>),
    /// The program of this number has ended and can be reaped.
    Exited(u64),
}

/// A room to be followed.
#[derive(Debug)]
pub struct Tail {
    options: TailOptions,
    reactor: Reactor,
    mail: (Sender<Mail>, Receiver<Mail>),
    stops: (Sender<()>, Receiver<()>),
}

impl Tail {
    /// Gets ready; [`Tail::run`] connects.
    ///
    /// # Errors
    /// [`TailError::NotAStream`], [`TailError::Wait`].
    pub fn new(options: TailOptions) -> Result<Self, TailError> {
        if options.endpoint.transport().kind() != Kind::STREAM {
            let endpoint = options.endpoint;
            return Err(TailError::NotAStream { endpoint });
        }
        let backend = options.backend;
        let reactor =
            Reactor::new(backend).map_err(|source| TailError::Wait { backend, source })?;
        let (mail, stops) = (reactor.mailbox(), reactor.mailbox());
        Ok(Self {
            options,
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

    /// What ends it: [`Tail::run`] returns without an error. A program that runs is asked to end
    /// too (SIGTERM to its group), and made to after [`STOP_LIMIT`].
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper::new(self.stops.0.clone())
    }

    /// Follows the room until it is stopped. While a program runs, or the audience takes its time,
    /// nothing more is read: the hub waits, and nothing is lost.
    ///
    /// # Errors
    /// Where the room cannot be followed to begin with, [`TailError`] says why; later on that is a
    /// [`TailNote::Lost`], and it is tried again. [`TailError::Output`] when the audience is gone,
    /// and [`TailError::Wait`] when the selector fails, at any time.
    pub fn run(self, audience: &mut dyn Audience) -> Result<(), TailError> {
        let Self {
            options,
            mut reactor,
            mail,
            stops: (_, stops),
        } = self;
        let backend = reactor.backend();
        let mut follower = Follower::new(options, mail, stops, audience);
        follower.dial(&mut reactor);
        reactor
            .run(&mut follower)
            .map_err(|source| TailError::Wait { backend, source })?;
        follower.into_outcome()
    }
}
