//! Taking part in a room: lines go out, the others' lines come in.
//!
//! Made for the hub's line door, and for any other line-based room server, those included that
//! end no line: see [`PIECE_WAIT`].
//!
//! Begin with [`Chat::connect`].

mod member;
mod pieces;

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use berkeley::selector::Backend;
use berkeley::{Addr, Deadline, Endpoint, Kind, create_connection};
use bytes::Bytes;
use switchboard_reactor::{Reactor, Receiver, Token};
use switchboard_wire::{RoomName, clean, limits};

use self::member::Member;
use crate::stop::Stopper;

/// The port where hubs take chat lines.
pub const CHAT_PORT: u16 = 8000;

/// How long a piece without a line ending is held back for its rest, before it is shown as a line
/// of its own.
///
/// Longer than the parts of one line are apart on any usual network, and short enough for an
/// answer to seem immediate.
pub const PIECE_WAIT: Duration = Duration::from_millis(200);

/// The longest piece of a line that is held, in bytes; longer lines are shown in such pieces.
pub const PIECE_BYTES_MAX: usize = 64 * 1024;

/// How long to go on showing after the input has ended, from the last byte that came.
pub const LINGER: Duration = Duration::from_secs(2);

/// How long leaving may take when it was asked for by a [`Stopper`].
pub const LEAVE_LIMIT: Duration = Duration::from_secs(1);

/// The longest line that is sent, in bytes, without its ending: what a hub takes.
pub const LINE_BYTES_MAX: usize = limits::LINE_BYTES_MAX;

/// Bytes that may wait to be sent. Input is read again when none wait, so this is never met.
const OUTBOX_BYTES_MAX: usize = 1 << 20;

/// Where to go, and as whom.
#[derive(Debug, Clone)]
pub struct ChatOptions {
    /// The room's server: a stream.
    pub endpoint: Endpoint,
    /// The name to take with `/nick`, if any.
    pub name: Option<String>,
    /// The room to go to with `/join`, if not where the server puts us.
    pub room: Option<RoomName>,
    /// What waits for the room and the input at once.
    pub backend: Backend,
    /// How long connecting may take.
    pub timeout: Duration,
}

/// What the user should know, besides what the others say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChatNote {
    /// A typed line was not sent because it is no text.
    #[error("the line was not sent: it is not UTF-8 text")]
    LineNotUtf8,
    /// A typed line was not sent because it is too long.
    #[error("the line was not sent: it has more than {LINE_BYTES_MAX} bytes")]
    LineTooLong,
    /// The server has ended the conversation, as `/quit` asked it to.
    #[error("{endpoint} closed the connection")]
    ServerClosed {
        /// The server.
        endpoint: Endpoint,
    },
}

/// Why a chat could not be, or ended otherwise than the user wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// The connection broke.
    #[error("the connection to {endpoint} broke")]
    Broken {
        /// The server.
        endpoint: Endpoint,
        /// Why.
        source: berkeley::Error,
    },
    /// The server has ended the conversation.
    #[error("{endpoint} closed the connection")]
    Closed {
        /// The server.
        endpoint: Endpoint,
    },
    /// There is no connection.
    #[error("cannot reach {endpoint}")]
    Connect {
        /// The server.
        endpoint: Endpoint,
        /// Why not.
        source: berkeley::Error,
    },
    /// The input cannot be read.
    #[error("cannot read the input")]
    Input(#[source] berkeley::Error),
    /// The name has control characters.
    #[error("{:?} cannot be a name", clean(.name))]
    Name {
        /// The name.
        name: String,
    },
    /// The endpoint is no stream.
    #[error("{endpoint} is no room: write tcp://HOST:PORT or unix://PATH")]
    NotAStream {
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// The server did not take all that was typed.
    #[error("{endpoint} did not take the last {bytes} bytes")]
    NotTaken {
        /// The server.
        endpoint: Endpoint,
        /// How much is left.
        bytes: usize,
    },
    /// The output cannot be written.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    /// There is no waiting for the room and the input at once.
    #[error("cannot wait with {}", .backend.name())]
    Wait {
        /// What should have waited.
        backend: Backend,
        /// Why it cannot.
        source: berkeley::Error,
    },
}

/// A room that was entered.
#[derive(Debug)]
pub struct Chat {
    reactor: Reactor,
    stream: Token,
    endpoint: Endpoint,
    addr: Addr,
    stopper: Stopper,
    stops: Receiver<()>,
}

impl Chat {
    /// Connects, takes the name and goes to the room.
    ///
    /// # Errors
    /// [`ChatError::Name`], [`ChatError::NotAStream`], [`ChatError::Connect`], [`ChatError::Wait`].
    pub fn connect(options: &ChatOptions) -> Result<Self, ChatError> {
        let (endpoint, backend) = (options.endpoint.clone(), options.backend);
        if endpoint.transport().kind() != Kind::STREAM {
            return Err(ChatError::NotAStream { endpoint });
        }
        if let Some(name) = &options.name
            && (name.trim().is_empty() || name.contains(char::is_control))
        {
            return Err(ChatError::Name { name: name.clone() });
        }
        let cannot_wait = |source| ChatError::Wait { backend, source };
        let mut reactor = Reactor::new(backend).map_err(cannot_wait)?;
        let (socket, addr) = create_connection(&endpoint, Deadline::within(options.timeout))
            .map_err(|source| ChatError::Connect {
                endpoint: endpoint.clone(),
                source,
            })?;
        let stream = reactor
            .add_stream(socket, OUTBOX_BYTES_MAX)
            .map_err(cannot_wait)?;
        let nick = options.name.as_ref().map(|name| format!("/nick {name}\n"));
        let join = options.room.as_ref().map(|room| format!("/join {room}\n"));
        for line in [nick, join].into_iter().flatten() {
            // A new connection has room for two lines.
            reactor.send(stream, Bytes::from(line)).ok();
        }
        let (sender, stops) = reactor.mailbox();
        let stopper = Stopper::new(sender);
        Ok(Self {
            reactor,
            stream,
            endpoint,
            addr,
            stopper,
            stops,
        })
    }

    /// The server's address that answered.
    #[must_use]
    pub const fn addr(&self) -> &Addr {
        &self.addr
    }

    /// Why it does not wait as it was asked to: there is no io_uring to be had, so it is epoll.
    #[must_use]
    pub const fn fallback(&self) -> Option<&berkeley::Error> {
        self.reactor.fallback()
    }

    /// What ends the chat: what was typed is sent, and [`Chat::run`] returns without an error.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Sends the lines of `input` and writes those of the others to `out`, cleaned and flushed,
    /// until one side ends it.
    ///
    /// When the input ends, so does our side; what comes is shown until the server closes too, or
    /// nothing has come for [`LINGER`].
    ///
    /// # Errors
    /// [`ChatError::Closed`] if the server ends the conversation while the input has not ended,
    /// unless `/quit` was typed; and where input, output or connection fail.
    pub fn run(
        mut self,
        input: OwnedFd,
        out: &mut dyn Write,
        notes: &mut dyn FnMut(ChatNote),
    ) -> Result<(), ChatError> {
        let backend = self.reactor.backend();
        let cannot_wait = |source| ChatError::Wait { backend, source };
        let input = self.reactor.add_input(input).map_err(cannot_wait)?;
        let mut member = Member::new(self.endpoint, self.stream, input, self.stops, out, notes);
        self.reactor.run(&mut member).map_err(cannot_wait)?;
        member.into_outcome()
    }
}
