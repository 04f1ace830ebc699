//! What can go wrong with the log, told to people.

use std::path::PathBuf;
use std::sync::Arc;

/// Why the log could not be opened, written or read.
///
/// The message is whole: what failed, where and why. It names paths of the hub's machine, which
/// concern its owner and not who said something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// More reads wait than [`LOG_READS_MAX`](crate::limits::LOG_READS_MAX): ask again later.
    #[error("too many are reading the log: try again later")]
    Busy,
    /// The log was closed before it came to this.
    #[error("the log was closed")]
    Closed,
    /// The file is damaged, or is no log.
    #[error("{} is damaged: {reason}", path.display())]
    Corrupt {
        /// The log's file.
        path: PathBuf,
        /// What was seen of it.
        reason: String,
    },
    /// No room on the disk, in the quota, or below the process's file size limit. What waits is
    /// kept once there is room again: nothing has to be restarted.
    #[error("disk full: can't write {}: {reason}", path.display())]
    DiskFull {
        /// The log's file.
        path: PathBuf,
        /// What the database said.
        reason: String,
    },
    /// A line of an export that is not understood.
    #[error("line {line} of the export: {reason}")]
    Import {
        /// Its number, from 1 on.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Another hub writes this log, or another import.
    #[error("{} is in use by another hub{}", path.display(), in_process(holders))]
    InUse {
        /// The log's file.
        path: PathBuf,
        /// The other process, if it is known.
        holders: Vec<Holder>,
    },
    /// The system refused a step on a file or folder.
    #[error("can't {action} {}: {reason}", path.display())]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Another program holds the log's lock for longer than
    /// [`LOG_LOCK_WAIT`](crate::limits::LOG_LOCK_WAIT).
    #[error("{} is locked by another program{}", path.display(), in_process(holders))]
    Locked {
        /// The log's file.
        path: PathBuf,
        /// The processes that have a lock on it, as far as the system tells.
        holders: Vec<Holder>,
    },
    /// A newer release wrote this log.
    #[error("{} is of a newer form ({found}, and {known} is the newest known)", path.display())]
    Newer {
        /// The log's file.
        path: PathBuf,
        /// Its form.
        found: i64,
        /// The newest form that this release knows.
        known: i64,
    },
    /// There is no log in the data folder.
    #[error("there is no log in {}", path.display())]
    NoLog {
        /// The data folder.
        path: PathBuf,
    },
    /// The log has no such room, or not that life of it.
    #[error("the log has no room {room:?}")]
    NoRoom {
        /// The name that was asked for.
        room: Arc<str>,
    },
    /// Entries came with other numbers than the next: a defect of who appended them.
    #[error("entry {seq} of {room:?} came where {expected} is the next")]
    OutOfOrder {
        /// The room.
        room: Arc<str>,
        /// The number that came.
        seq: u64,
        /// The number that was due.
        expected: u64,
    },
    /// The room to import into has a history already.
    #[error("the room {room:?} has {entries} entries already")]
    RoomHasEntries {
        /// The room.
        room: Arc<str>,
        /// How many.
        entries: u64,
    },
    /// The disk failed to keep what was written, so the log takes nothing until a restart.
    #[error(
        "the log stopped after a disk error ({reason}): check the disk, then start the hub again"
    )]
    Stopped {
        /// What the database said.
        reason: String,
    },
    /// An entry is larger than the log can hold, or its number is.
    #[error("entry {seq} of {room:?} can't be kept: {reason}")]
    Unfit {
        /// The room.
        room: Arc<str>,
        /// Its number.
        seq: u64,
        /// What is too large.
        reason: &'static str,
    },
}

impl LogError {
    /// What the user can do about it, for a line of its own; empty if that is clear.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Corrupt { .. } => {
                "'switchboard verify --data DIR' tells what is damaged; with another folder, or \
                 with the log moved away, a hub begins anew"
            }
            Self::DiskFull { .. } => "make room on the disk",
            Self::InUse { .. } => "stop that hub first",
            Self::Locked { .. } => "end that program, or let it finish",
            Self::Newer { .. } => "use that release, or another folder",
            Self::NoLog { .. } => "--data names the folder of a hub that keeps a log",
            Self::RoomHasEntries { .. } => "--room NAME brings it in under another name",
            _ => "",
        }
    }
}

/// A process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its name, as the kernel tells it; empty if it does not.
    pub name: String,
}

fn in_process(holders: &[Holder]) -> String {
    let Some(first) = holders.first() else {
        return String::new();
    };
    let name = if first.name.is_empty() {
        "process"
    } else {
        &first.name
    };
    match holders.len() {
        1 => format!(" ({name} {})", first.pid),
        count => format!(" ({name} {} and {} more)", first.pid, count - 1),
    }
}
