//! What can go wrong with a download.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use berkeley::selector::Backend;
use switchboard_wire::http::{HttpError, UrlError};

use super::{Algorithm, NAME_TRIES_MAX, RETRY_AFTER_MAX};

/// Why something could not be downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] berkeley::Error),
    /// The content is not what it should be. It was thrown away.
    #[error("its {} is {found}, not {expected}", .algorithm.name())]
    Checksum {
        /// By which sum.
        algorithm: Algorithm,
        /// What it should be, in hex.
        expected: String,
        /// What it is, in hex.
        found: String,
    },
    /// There is no connection.
    #[error("cannot connect")]
    Connect(#[source] berkeley::Error),
    /// A part was shown already, and the server does not give the rest of the same content.
    #[error("the body was cut, and the server does not go on behind {bytes} bytes")]
    Disconnected {
        /// What was shown.
        bytes: u64,
    },
    /// The disk refused.
    #[error("cannot {action} {}", .path.display())]
    Disk {
        /// What was being done, as a verb.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The answer cannot be used.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The end was asked for.
    #[error("interrupted")]
    Interrupted,
    /// Somebody else downloads the same to the same place.
    #[error("{} is being written by another download", .path.display())]
    InUse {
        /// The partial file.
        path: PathBuf,
    },
    /// A redirection leads where we do not go.
    #[error("it redirects to {location:?}: {why}")]
    Location {
        /// Where to.
        location: String,
        /// What is wrong with it.
        why: UrlError,
    },
    /// All numbered names are taken by other things.
    #[error("no free name: {NAME_TRIES_MAX} numbered ones are taken")]
    NoFreeName,
    /// The audience is gone.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    /// A part of the content is not the part that was asked for.
    #[error("the server answers with another part than it was asked for")]
    Range,
    /// There are too many redirections.
    #[error("more than {max} redirections")]
    Redirects {
        /// How many are followed.
        max: u32,
    },
    /// The server asks for a pause that is too long.
    #[error(
        "the server answers {status}, and asks to wait {} s, more than {} s",
        wait.as_secs(),
        RETRY_AFTER_MAX.as_secs()
    )]
    RetryAfter {
        /// The status.
        status: u16,
        /// How long.
        wait: Duration,
    },
    /// Nothing came.
    #[error("the server sent nothing for {} s", limit.as_secs_f64())]
    Silent {
        /// How long it was waited for.
        limit: Duration,
    },
    /// The server does not give it.
    #[error("the server answers {status}{}{reason}", if reason.is_empty() { "" } else { " " })]
    Status {
        /// The status.
        status: u16,
        /// What the server calls it, without control characters.
        reason: String,
    },
    /// The name is taken.
    #[error("{} is there already", .path.display())]
    Taken {
        /// The file.
        path: PathBuf,
    },
    /// No thread can be had to look a name up in.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// It is too large.
    #[error("it has more than {max} bytes")]
    TooLarge {
        /// What is taken at most.
        max: u64,
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

impl GetError {
    pub(super) fn disk(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk {
            action,
            path,
            source,
        }
    }

    /// Whether it may go better the next time.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Broken(_) | Self::Range | Self::Silent { .. } => true,
            Self::Connect(berkeley::Error::Resolve { reason, .. }) => reason.is_temporary(),
            Self::Connect(_) => true,
            Self::Http(error) => matches!(error, HttpError::Cut { .. } | HttpError::NoAnswer),
            // Those of RFC 9110 and RFC 6585 that speak of the moment.
            Self::Status { status, .. } => {
                matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
            }
            _ => false,
        }
    }
}
