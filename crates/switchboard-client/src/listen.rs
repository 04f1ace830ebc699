//! The listening end of any socket: any number of peers at once, on one thread.
//!
//! What arrives goes to an [`Audience`]; what is answered is an [`Answer`]. Begin with
//! [`Listener::bind`].
//!
//! Memory is bounded: a peer that does not read its answers is not read from either.

mod children;
mod handler;
mod notices;

use core::fmt;
use core::time::Duration;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;

use berkeley::selector::Backend;
use berkeley::{Addr, Endpoint, Server, Transport, opt};
use bytes::Bytes;
use switchboard_reactor::{Reactor, Receiver, Sender};
use switchboard_wire::{FrameError, frame};

use crate::connect::reason;
use handler::Desk;

/// How long a peer may take to fetch the last answers after it has ended its own side.
pub const FINISH_LIMIT: Duration = Duration::from_secs(30);

/// How long connections and programs get to end in good order when the listener is stopped.
pub const STOP_LIMIT: Duration = Duration::from_millis(500);

/// What a listener does.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// The selector it runs on.
    pub backend: Backend,
    /// What peers get back.
    pub answer: Answer,
    /// Takes streams apart by frames of at most this many bytes; `None`: streams stay streams.
    pub frame_bytes_max: Option<u32>,
    /// Peers that are connected at once; one more is turned away.
    pub connections_max: usize,
}

/// What peers get back.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Answer {
    /// Each piece as it came.
    Echo,
    /// Each connection is handed to a shell command of its own, as its standard input and output.
    Exec(OsString),
    /// Nothing.
    Nothing,
    /// The same bytes for each piece.
    Reply(Bytes),
}

/// A peer, as people are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// Its address.
    Addr(Addr),
    /// A connection without an address, by its number: Unix sockets seldom have a name.
    Number(u64),
    /// A datagram's sender without an address.
    Unnamed,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addr(addr) => addr.fmt(f),
            Self::Number(number) => write!(f, "peer {number}"),
            Self::Unnamed => f.write_str("unnamed"),
        }
    }
}

/// What arrived.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Piece<'a> {
    /// What one read of a stream gave, or one message.
    Bytes(&'a [u8]),
    /// One frame of a stream.
    Frame(&'a [u8]),
}

/// Who is told what arrives and happens.
pub trait Audience {
    /// False where nobody wants to see what connections send: [`Audience::piece`] is not called
    /// for that, and it is not looked up whose it is. It is asked once.
    fn wants_pieces(&self) -> bool {
        true
    }

    /// A piece arrived.
    ///
    /// # Errors
    /// The audience is gone; the listener ends.
    fn piece(&mut self, peer: &Peer, piece: Piece<'_>) -> io::Result<()>;

    /// There is no further piece for now: what was kept back is due.
    ///
    /// # Errors
    /// The audience is gone; the listener ends.
    fn flush(&mut self) -> io::Result<()>;

    /// Something else happened.
    fn notice(&mut self, notice: &Notice<'_>);
}

/// What happens besides what arrives. Its text is a line for people.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// A peer sent what is no frame, or half of one: it is being closed.
    BadFrame {
        /// Who.
        peer: &'a Peer,
        /// What is wrong with it.
        cause: FrameError,
    },
    /// A connection broke.
    Broken {
        /// Whose.
        peer: &'a Peer,
        /// How.
        cause: &'a berkeley::Error,
    },
    /// A peer has connected.
    Came {
        /// Who.
        peer: &'a Peer,
    },
    /// A peer has gone, in good order.
    Left {
        /// Who.
        peer: &'a Peer,
    },
    /// Peers without an address cannot be answered. This is told once.
    Nameless,
    /// A peer's program could not be started, or not be watched; the connection is closed.
    NoProgram {
        /// Whose.
        peer: &'a Peer,
        /// Why.
        cause: io::Error,
    },
    /// There are as many connections as there may be: this one is closed.
    Refused {
        /// Whose.
        peer: &'a Peer,
        /// How many there may be.
        connections_max: usize,
    },
    /// A peer did not fetch the last answers within [`FINISH_LIMIT`].
    Slow {
        /// Who.
        peer: &'a Peer,
    },
    /// Nobody can be accepted or received from for now; it goes on by itself.
    Trouble {
        /// Why.
        cause: &'a berkeley::Error,
    },
    /// The answer to a datagram was dropped. This is told once a second for each peer.
    Unanswered {
        /// Who.
        peer: &'a Peer,
        /// Why.
        cause: &'a berkeley::Error,
    },
}

impl Notice<'_> {
    /// True for what is in good order: peers that come and go.
    #[must_use]
    pub const fn is_ordinary(&self) -> bool {
        matches!(self, Self::Came { .. } | Self::Left { .. })
    }
}

impl fmt::Display for Notice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadFrame { peer, cause } => write!(f, "{peer}: {cause}"),
            Self::Broken { peer, cause } => write!(f, "{peer}: {}", reason(cause)),
            Self::Came { peer } => write!(f, "{peer} has connected"),
            Self::Left { peer } => write!(f, "{peer} has gone"),
            Self::Nameless => f.write_str("a peer without an address cannot be answered"),
            Self::NoProgram { peer, cause } => {
                write!(f, "{peer}: the program cannot be started: {cause}")
            }
            Self::Refused {
                peer,
                connections_max,
            } => {
                write!(
                    f,
                    "{peer} is turned away: {connections_max} connections are the limit"
                )
            }
            Self::Slow { peer } => write!(
                f,
                "{peer} did not take the last answers within {} s",
                FINISH_LIMIT.as_secs()
            ),
            Self::Trouble { cause } => {
                write!(f, "{}; it goes on when that has passed", reason(cause))
            }
            Self::Unanswered { peer, cause } if cause.is_would_block() => {
                write!(f, "{peer}: an answer was dropped: its queue is full")
            }
            Self::Unanswered { peer, cause } => {
                write!(f, "{peer}: an answer was dropped: {}", reason(cause))
            }
        }
    }
}

/// Why a listener cannot be, or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address cannot be had.
    #[error("cannot listen on {endpoint}: {}", reason(cause))]
    Bind {
        /// Where.
        endpoint: Box<Endpoint>,
        /// Why.
        cause: berkeley::Error,
    },
    /// The answer that each frame is to get is too long for one.
    #[error("the reply does not fit into a frame")]
    Frame(#[source] FrameError),
    /// Frames cannot be had where messages are kept apart already.
    #[error("frames are for streams: {}:// keeps messages apart by itself", transport.scheme())]
    NoStream {
        /// What was asked for.
        transport: Transport,
    },
    /// The audience is gone.
    #[error("the output failed")]
    Output(#[source] io::Error),
    /// A program can only be given a connection.
    #[error(
        "a program is given connections, and {}:// has none: it has single messages",
        transport.scheme()
    )]
    Unconnected {
        /// What was asked for.
        transport: Transport,
    },
    /// The selector failed.
    #[error("{}", reason(.0))]
    Wait(berkeley::Error),
}

/// What other threads tell a listener.
#[derive(Debug)]
enum Mail {
    /// A child has ended and can be reaped.
    Exited(u64),
    /// The listener shall end.
    Stop,
}

/// Ends a listener from another thread.
#[derive(Debug, Clone)]
pub struct Stopper(Sender<Mail>);

impl Stopper {
    /// Asks the listener to end in good order; calling it again is harmless.
    pub fn stop(&self) {
        self.0.send(Mail::Stop);
    }
}

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    options: Options,
    servers: Vec<Server>,
    reactor: Reactor,
    mail: (Sender<Mail>, Receiver<Mail>),
    stop: Option<StopInput>,
}

/// What ends a listener from within its own thread.
struct StopInput {
    fd: OwnedFd,
    told: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for StopInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StopInput").field(&self.fd).finish()
    }
}

impl Listener {
    /// Binds; from here on peers can connect, and are served by [`Listener::run`].
    ///
    /// # Errors
    /// [`ListenError`] says what cannot be had.
    pub fn bind(options: Options) -> Result<Self, ListenError> {
        let transport = options.endpoint.transport();
        let is_stream = matches!(transport, Transport::Tcp | Transport::Unix);
        if options.frame_bytes_max.is_some() && !is_stream {
            return Err(ListenError::NoStream { transport });
        }
        if matches!(options.answer, Answer::Exec(_)) && !transport.kind().is_connected() {
            return Err(ListenError::Unconnected { transport });
        }
        // Before anything is bound: a selector that cannot be had leaves no socket's file behind.
        let reactor = Reactor::new(options.backend).map_err(ListenError::Wait)?;
        let servers =
            berkeley::create_servers(&options.endpoint).map_err(|cause| ListenError::Bind {
                endpoint: Box::new(options.endpoint.clone()),
                cause,
            })?;
        let mail = reactor.mailbox();
        Ok(Self {
            options,
            servers,
            reactor,
            mail,
            stop: None,
        })
    }

    /// Where it listens: with the port that the kernel chose.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.servers.iter().map(Server::endpoint)
    }

    /// Why it does not wait as it was asked to: there is no io_uring to be had, so it is epoll.
    #[must_use]
    pub const fn fallback(&self) -> Option<&berkeley::Error> {
        self.reactor.fallback()
    }

    /// A way to end it from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.mail.0.clone())
    }

    /// Ends the listener, as a [`Stopper`] does, when there is something to read from `fd` or it is
    /// at its end, and calls `told` then: for the pipe that a signal handler writes to. A program
    /// that needs no thread for its signals has one alone, for which the kernel does less in each
    /// call: it need not keep others from closing the descriptor meanwhile.
    pub fn stop_on(&mut self, fd: OwnedFd, told: impl FnOnce() + Send + 'static) {
        let told = Box::new(told);
        self.stop = Some(StopInput { fd, told });
    }

    /// Serves until it is stopped. A Unix socket's file is removed at the end.
    ///
    /// # Errors
    /// [`ListenError::Output`] when the audience is gone, [`ListenError::Wait`] when the selector
    /// fails, [`ListenError::Frame`] for a reply that is too long for a frame.
    pub fn run(self, audience: &mut dyn Audience) -> Result<(), ListenError> {
        let Self {
            mut options,
            servers,
            mut reactor,
            mail,
            stop,
        } = self;
        if let (Answer::Reply(reply), Some(_)) = (&mut options.answer, options.frame_bytes_max) {
            let mut framed = Vec::new();
            frame::encode(reply, &mut framed).map_err(ListenError::Frame)?;
            *reply = framed.into();
        }
        let is_connected = options.endpoint.transport().kind().is_connected();
        let mut files = Vec::new();
        let mut sources = Vec::new();
        for server in servers {
            let (socket, _, file) = server.into_parts();
            files.push(file);
            if options.endpoint.transport() == Transport::Tcp {
                // Answers go out at once: what is accepted has the options of what accepts.
                socket.set(opt::NoDelay, true).map_err(ListenError::Wait)?;
            }
            let source = if is_connected {
                reactor.add_listener(socket)
            } else {
                reactor.add_datagrams(socket)
            };
            sources.push(source.map_err(ListenError::Wait)?);
        }
        let mut desk = Desk::new(options, sources, mail, audience);
        if let Some(StopInput { fd, told }) = stop {
            let input = reactor.add_input(fd).map_err(ListenError::Wait)?;
            desk.stop_on(input, told);
        }
        let result = reactor.run(&mut desk).map_err(ListenError::Wait);
        // The sockets go before their files, so that nobody finds a name without a listener.
        drop(reactor);
        drop(files);
        desk.into_result().and(result)
    }
}
