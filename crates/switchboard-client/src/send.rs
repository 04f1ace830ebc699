//! Sending messages and files to a hub, or to anybody who reads parcels.
//!
//! What is sent is checked first ([`Parcel::message`], [`Parcel::file`]), then goes out in one
//! conversation ([`send`]). The plain form of parcels is never answered: that the peer closes in
//! good order after our end is all there is to know.

mod conversation;
mod parcel;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

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

/// How long to wait for a peer.
#[derive(Debug, Clone)]
pub struct SendOptions {
    /// For the connection.
    pub timeout: Duration,
    /// For the peer's end after everything was sent, and for it to take more before that. Without
    /// its end in that time sending has failed. `None`: the end is waited for as long as storing
    /// may take ([`END_TIME`]), and a peer that does not end, but whose system has received
    /// everything, is [`Sent`] with `ended: false`: some programs never end a conversation.
    pub wait: Option<Duration>,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            wait: None,
        }
    }
}

/// How far a conversation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The parcel that is on its way, counted from 0.
    pub index: usize,
    /// Bytes of its content that were handed to the kernel.
    pub sent_bytes: u64,
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
    /// There is nothing to send.
    #[error("there is nothing to send")]
    Nothing,
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
/// Whatever the peer sends is thrown away. `progress` is called whenever the kernel has taken
/// some bytes of a parcel's content, and once for each parcel without any.
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
    let (socket, addr) =
        create_connection(endpoint, Deadline::within(options.timeout)).map_err(connect_failed)?;
    let conversation =
        Conversation::new(socket, endpoint, parcels, options.wait).map_err(connect_failed)?;
    let (bytes, ended) = conversation.run(progress)?;
    Ok(Sent { addr, bytes, ended })
}
