//! Sending messages and files to a hub, or to anybody who reads parcels.
//!
//! What is sent is checked first ([`Parcel::message`], [`Parcel::file`]), then goes out in one
//! conversation ([`send`]). The plain form of parcels is never answered: that the peer closes in
//! good order after our end is all there is to know. About a large file a peer is asked whether it
//! has some of it from an earlier conversation; one that does not know the question never notices.

mod answers;
mod conversation;
mod parcel;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use berkeley::{Addr, Deadline, Endpoint, Kind, create_connection};

use self::conversation::Conversation;
use self::parcel::shown;
pub use self::parcel::{Parcel, Unsendable};

/// The port where hubs take parcels.
pub const PARCEL_PORT: u16 = 8001;

/// How long a peer may take no byte at all before the conversation is given up, unless
/// [`SendOptions::wait`] says otherwise.
pub const STALL_TIME: Duration = Duration::from_secs(60);

/// How long the peer's end is waited for, unless [`SendOptions::wait`] says otherwise: this, and a
/// second for each [`STORED_BYTES_PER_SECOND`] of what was sent.
pub const END_TIME: Duration = Duration::from_secs(5);

/// What the slowest disk in use stores in a second.
pub const STORED_BYTES_PER_SECOND: u64 = 16 * 1024 * 1024;

/// How large a file is at least about which the peer is asked how much of it it has, unless
/// [`SendOptions::resume`] says otherwise: a smaller one is sent again as fast as asked for.
pub const RESUME_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// How long the answer to the first such question is waited for: this, or [`ASK_CONNECTS`] times as
/// long as connecting took. Most programs never answer.
pub const ASK_TIME: Duration = Duration::from_millis(300);

/// See [`ASK_TIME`].
pub const ASK_CONNECTS: u32 = 4;

/// Whether the peer is asked how much of a file it has, so that only the rest is sent.
///
/// Before it is asked the file is read once, to know its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resume {
    /// About every file; sending fails if it does not answer.
    Always,
    /// About files from [`RESUME_BYTES_MIN`]. Who does not answer in time is not asked again, and
    /// gets everything.
    #[default]
    Auto,
    /// Everything is sent.
    Never,
}

/// How to send, and how long to wait for a peer.
#[derive(Debug, Clone)]
pub struct SendOptions {
    /// For the connection.
    pub timeout: Duration,
    /// For the peer's end after everything was sent, and for it to take more before that. Without
    /// its end in that time sending has failed. `None`: the end is waited for as long as storing
    /// may take ([`END_TIME`]), and a peer that does not end, but whose system has received
    /// everything, is [`Sent`] with `ended: false`: some programs never end a conversation.
    pub wait: Option<Duration>,
    /// Whether files go on where an earlier conversation broke off.
    pub resume: Resume,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            wait: None,
            resume: Resume::Auto,
        }
    }
}

/// How far a conversation has come. Parcels are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A file is read, before the peer is asked about it.
    Checking {
        /// Which parcel.
        index: usize,
        /// How many bytes of it were read.
        bytes: u64,
    },
    /// A parcel is on its way.
    Sending {
        /// Which.
        index: usize,
        /// Bytes of its content that were handed to the kernel.
        sent_bytes: u64,
        /// Bytes before them that the peer had already.
        resumed_bytes: u64,
    },
}

/// What was sent, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The address that answered.
    pub addr: Addr,
    /// Bytes that were sent in all.
    pub bytes: u64,
    /// The peer has ended the conversation in good order, so it has read everything, and our hub
    /// has stored it. Else only the peer's system is known to have everything.
    pub ended: bool,
}

/// How far it came when it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Parcels that were wholly handed to the kernel.
    pub parcels: usize,
    /// Parcels that there are.
    pub parcels_total: usize,
    /// The file that was on its way, and how many of its bytes were sent.
    pub file: Option<(String, u64)>,
    /// The peer keeps what it has of a file, so that sending it again goes on from there.
    pub can_resume: bool,
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} parcels", self.parcels, self.parcels_total)?;
        if let Some((name, bytes)) = &self.file {
            write!(f, " and {bytes} bytes of {name}")?;
        }
        Ok(())
    }
}

/// Why not everything was sent, or not everything taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The peer broke the connection.
    ///
    /// Our hub does so at the end of a conversation of which it could not use or store something.
    #[error("the hub at {endpoint} broke off after {reached} were sent")]
    BrokenOff {
        /// The peer.
        endpoint: Endpoint,
        /// How far it came.
        reached: Box<Reached>,
        /// The kernel's answer.
        source: berkeley::Error,
    },
    /// There is no connection.
    #[error("cannot reach {endpoint}")]
    Connect {
        /// The peer.
        endpoint: Endpoint,
        /// Why not.
        source: berkeley::Error,
    },
    /// The connection failed.
    #[error("the connection to {endpoint} failed after {reached} were sent")]
    Failed {
        /// The peer.
        endpoint: Endpoint,
        /// How far it came.
        reached: Box<Reached>,
        /// Why.
        source: berkeley::Error,
    },
    /// A file cannot be read any more. The conversation was broken off.
    #[error("cannot read {}", shown(.path))]
    FileRead {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file became shorter while it was sent. The conversation was broken off.
    #[error(
        "{} shrank while it was sent: it had {announced} bytes, and ended after {found}",
        shown(.path)
    )]
    FileShrank {
        /// The file.
        path: PathBuf,
        /// Its length in bytes when it was opened.
        announced: u64,
        /// How many bytes it gave.
        found: u64,
    },
    /// The endpoint is no stream.
    #[error("{endpoint} does not take parcels: write tcp://HOST:PORT or unix://PATH")]
    NotAStream {
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// Everything was sent, and the peer did not end the conversation.
    #[error(
        "{endpoint}: the peer did not close the conversation within {} seconds",
        .wait.as_secs_f64()
    )]
    NotClosed {
        /// The peer.
        endpoint: Endpoint,
        /// How long it was waited for.
        wait: Duration,
    },
    /// The peer answered as the hub's chat door does, which takes lines and no parcels.
    #[error("{endpoint} is a chat and takes no parcels; it answered: {answer}")]
    NotParcels {
        /// The peer.
        endpoint: Endpoint,
        /// The beginning of its answer.
        answer: String,
    },
    /// The peer was to be asked how much of a file it has, and does not answer.
    #[error("{endpoint} does not say how much of a file it has")]
    NotResumable {
        /// The peer.
        endpoint: Endpoint,
    },
    /// There is nothing to send.
    #[error("there is nothing to send")]
    Nothing,
    /// The peer did not take a file, and said why.
    #[error("{endpoint} refused a file: {reason}")]
    Refused {
        /// The peer.
        endpoint: Endpoint,
        /// Why.
        reason: String,
    },
    /// The peer stopped taking what is sent. The conversation was broken off.
    #[error(
        "{endpoint}: the peer took nothing more for {} seconds, after {reached} were sent",
        .wait.as_secs_f64()
    )]
    Stalled {
        /// The peer.
        endpoint: Endpoint,
        /// How far it came.
        reached: Box<Reached>,
        /// How long it was waited for.
        wait: Duration,
    },
}

/// Sends parcels in one conversation: connects, sends them in their order and the frame that ends
/// the conversation, ends our side, and waits until the peer has ended its own.
///
/// Of what the peer sends only its answers about files are heard. `progress` is called whenever the
/// kernel has taken some bytes of a parcel's content, once for each parcel without any, and while a
/// file is read to ask about it.
///
/// # Errors
/// [`SendError`]. Without an error, the peer's system has received everything.
pub fn send(
    endpoint: &Endpoint,
    parcels: Vec<Parcel>,
    options: &SendOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Sent, SendError> {
    if parcels.is_empty() {
        return Err(SendError::Nothing);
    }
    if endpoint.transport().kind() != Kind::STREAM {
        return Err(SendError::NotAStream {
            endpoint: endpoint.clone(),
        });
    }
    let connect_failed = |source| SendError::Connect {
        endpoint: endpoint.clone(),
        source,
    };
    let began = Instant::now();
    let (socket, addr) =
        create_connection(endpoint, Deadline::within(options.timeout)).map_err(connect_failed)?;
    let conversation = Conversation::new(socket, endpoint, parcels, options, began.elapsed())
        .map_err(connect_failed)?;
    let (bytes, ended) = conversation.run(progress)?;
    Ok(Sent { addr, bytes, ended })
}
