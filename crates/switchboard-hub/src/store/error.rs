//! What can go wrong with a file, told to people.

use std::io;
use std::path::{Path, PathBuf};

use switchboard_wire::{ContentHash, FileName};

use super::UploadId;

/// Why the store could not be opened, or an upload did not become a file.
///
/// The message is whole: what failed, on which path and why. It names paths of the hub's machine,
/// which concern its owner and not who sent the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A `Begin` with the number of an upload that is under way: a defect of the caller.
    #[error("upload {} was begun twice", id.0)]
    BegunTwice {
        /// The number.
        id: UploadId,
    },
    /// The store was closed before it came to this upload.
    #[error("the hub ended before the file was stored")]
    Closed,
    /// No room on the disk, or in the quota. Later uploads may fit: nothing has to be restarted.
    #[error("disk full: can't {action} {}: {source}", path.display())]
    DiskFull {
        /// What was being done, as a verb.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// `ENOSPC` or `EDQUOT`, or how many bytes are missing.
        source: io::Error,
    },
    /// Another hub has this data folder.
    #[error("{} is in use by another hub{}", path.display(), in_process(*pid))]
    InUse {
        /// The data folder.
        path: PathBuf,
        /// The other hub's process, if its lock file tells.
        pid: Option<u32>,
    },
    /// The system refused a step on a file or folder.
    #[error("can't {action} {}: {source}", path.display())]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The name and all its numbered forms are taken by other things.
    #[error("no free name for {:?}: tried {tries} numbered ones", name.as_str())]
    NoFreeName {
        /// The name that was wanted.
        name: FileName,
        /// How many were tried.
        tries: u32,
    },
    /// What is announced of a file that is known as a whole is neither all of it nor what is
    /// missing.
    #[error("{bytes} bytes are announced of a file of {announced}: neither all of it nor the rest")]
    NotTheRest {
        /// The whole file's size.
        announced: u64,
        /// The bytes that were to follow.
        bytes: u64,
    },
    /// The bytes that came are not the file that was announced.
    #[error("the bytes are not those of the file that was announced, whose BLAKE3 is {hash}")]
    OtherContent {
        /// Its hash.
        hash: ContentHash,
    },
    /// The disk failed to keep what was written, so the store takes nothing until a restart.
    #[error("the store stopped after a disk error: check the disk, then start the hub again")]
    Stopped,
    /// A `Commit` before all announced bytes came.
    #[error("only {received} of {announced} bytes arrived")]
    TooFewBytes {
        /// What `Begin` told.
        announced: u64,
        /// What came.
        received: u64,
    },
    /// `Data` beyond the announced bytes.
    #[error("{received} bytes arrived where {announced} were announced")]
    TooManyBytes {
        /// What `Begin` told.
        announced: u64,
        /// What came, the first excess `Data` included.
        received: u64,
    },
}

impl StoreError {
    /// The error of one step, with a full disk told apart.
    pub(super) fn io(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        let (path, source) = (path.to_owned(), source.into());
        match source.kind() {
            io::ErrorKind::QuotaExceeded | io::ErrorKind::StorageFull => Self::DiskFull {
                action,
                path,
                source,
            },
            _ => Self::Io {
                action,
                path,
                source,
            },
        }
    }
}

fn in_process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}
