//! The calling end of any socket, joined to an input and an output.
//!
//! Both directions go at once, on one thread, with one buffer each: input is read when what was
//! read before has been sent, and the socket when what came before has been written. Begin with
//! [`Connection::open`].

mod input;
mod joint;
mod output;

use core::fmt;
use core::time::Duration;
use std::io::{self, Write};
use std::os::fd::AsFd;

use berkeley::selector::{Backend, Selector};
use berkeley::{Deadline, Endpoint, Error, Kind, Mode, Socket, Transport, create_connection};
use switchboard_wire::FrameError;

use joint::Joint;

/// The longest datagram of UDP over IPv4: what an IP packet holds, less both headers.
pub const UDP_BYTES_MAX: usize = 65_507;

/// The longest line that is sent as one message through a Unix socket. The kernel's own limit
/// (`SO_SNDBUF`) is a little above it unless somebody has lowered it.
pub const UNIX_MESSAGE_BYTES_MAX: usize = 128 * 1024;

/// How to connect, and what to make of the bytes.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whom to connect to.
    pub endpoint: Endpoint,
    /// One line of input is one frame of at most this many bytes, and the other way round;
    /// `None`: streams are joined as they are.
    pub frame_bytes_max: Option<u32>,
    /// How long connecting may take.
    pub timeout: Duration,
    /// How long to wait for another datagram when the input has ended.
    pub wait: Duration,
    /// Messages and frames are shown to a person: what controls a terminal is taken out. A plain
    /// stream is never changed.
    pub is_cleaned: bool,
    /// What waits for the input, the output and the peer at once.
    pub backend: Backend,
}

/// Why a connection could not be made, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// It broke.
    #[error("{endpoint}: {}", reason(cause))]
    Broken {
        /// With whom.
        endpoint: Box<Endpoint>,
        /// How.
        cause: Error,
    },
    /// It could not be made.
    #[error("cannot connect to {endpoint}: {}", reason(cause))]
    Connect {
        /// To whom.
        endpoint: Box<Endpoint>,
        /// Why.
        cause: Error,
    },
    /// The peer sent what is no frame, or half of one.
    #[error("{endpoint}: {cause}")]
    Frame {
        /// Who.
        endpoint: Box<Endpoint>,
        /// What is wrong with it.
        cause: FrameError,
    },
    /// The input cannot be read.
    #[error("the input cannot be read: {}", reason(.0))]
    Input(Error),
    /// Frames cannot be had where messages are kept apart already.
    #[error("frames are for streams: {}:// keeps messages apart by itself", transport.scheme())]
    NoStream {
        /// What was asked for.
        transport: Transport,
    },
    /// The output cannot be written.
    #[error("the output failed")]
    Output(#[source] io::Error),
    /// A line is longer than a message can be.
    #[error("a line is too long: {what} has at most {bytes_max} bytes")]
    TooLong {
        /// What a line is sent as: `a datagram`.
        what: &'static str,
        /// How long that may be.
        bytes_max: usize,
    },
    /// The peer closed before it had taken everything.
    #[error("{endpoint}: the peer closed before everything was sent")]
    Unsent {
        /// Who.
        endpoint: Box<Endpoint>,
    },
    /// There is no waiting for the input, the output and the peer at once.
    #[error("cannot wait with {}: {}", .backend.name(), reason(cause))]
    Wait {
        /// What should have waited.
        backend: Backend,
        /// Why it cannot.
        cause: Error,
    },
}

/// The words for an error where the message around it tells what it was about.
pub(crate) fn reason(error: &Error) -> impl fmt::Display + '_ {
    struct Reason<'a>(&'a Error);
    impl fmt::Display for Reason<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {
                Error::Os { errno, .. } => errno.fmt(f),
                Error::TimedOut { .. } => f.write_str("no answer in time"),
                Error::Connect(tried) => {
                    for (index, (addr, error)) in tried.iter().enumerate() {
                        let comma = if index > 0 { "; " } else { "" };
                        write!(f, "{comma}{addr}: {}", Reason(error))?;
                    }
                    Ok(())
                }
                error => error.fmt(f),
            }
        }
    }
    Reason(error)
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    options: Options,
    socket: Socket,
    selector: Box<dyn Selector>,
    /// Why it is not the one that was asked for.
    fallback: Option<Error>,
}

impl Connection {
    /// Connects: tries each address of the endpoint until one answers.
    ///
    /// # Errors
    /// [`ConnectError::Connect`] with the reason, [`ConnectError::NoStream`] for frames over
    /// messages, [`ConnectError::Wait`].
    pub fn open(options: Options) -> Result<Self, ConnectError> {
        let transport = options.endpoint.transport();
        if options.frame_bytes_max.is_some() && transport.kind() != Kind::STREAM {
            return Err(ConnectError::NoStream { transport });
        }
        let (selector, fallback) = open_selector(options.backend)?;
        let opened = create_connection(&options.endpoint, Deadline::within(options.timeout))
            .and_then(|(socket, _)| socket.set_mode(Mode::NonBlock).map(|()| socket));
        match opened {
            Ok(socket) => Ok(Self {
                options,
                socket,
                selector,
                fallback,
            }),
            Err(cause) => Err(ConnectError::Connect {
                endpoint: Box::new(options.endpoint),
                cause,
            }),
        }
    }

    /// Why it does not wait as it was asked to: there is no io_uring to be had, so it is epoll.
    #[must_use]
    pub const fn fallback(&self) -> Option<&Error> {
        self.fallback.as_ref()
    }

    /// Joins the connection to an input and an output until it is over: the peer has closed, or,
    /// for datagrams, the input has ended and no answer comes any more.
    ///
    /// The end of the input ends our half of the connection. If the peer ends first, what lies
    /// ready in the input is still sent.
    ///
    /// Input and output must be two descriptors. Their blocking mode, which other programs may
    /// share, is left alone.
    ///
    /// # Errors
    /// [`ConnectError`] says what went wrong. What came before that has been written.
    pub fn join(
        self,
        input: &impl AsFd,
        output: &mut (impl Write + AsFd),
    ) -> Result<(), ConnectError> {
        Joint::new(self, input, output).run()
    }
}

/// Opens what waits; for io_uring, where there is none, epoll and the reason.
fn open_selector(backend: Backend) -> Result<(Box<dyn Selector>, Option<Error>), ConnectError> {
    let (opened, fallback) = match backend.open() {
        Err(error @ Error::Unsupported(_)) if backend == Backend::IoUring => {
            (Backend::Epoll.open(), Some(error))
        }
        opened => (opened, None),
    };
    let selector = opened.map_err(|cause| ConnectError::Wait { backend, cause })?;
    Ok((selector, fallback))
}
