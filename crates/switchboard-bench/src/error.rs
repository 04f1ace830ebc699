//! What can go wrong while measuring.

use std::io;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// A server did not begin to listen.
    #[error("{server}: does not listen: {said}")]
    NotListening {
        /// Its name in the tables.
        server: String,
        /// What it said instead.
        said: String,
    },
    /// An echo is not what was sent.
    #[error("connection {connection}: byte {position} of the echo is not the byte that was sent")]
    WrongEcho {
        /// Which connection, in the order of connecting.
        connection: usize,
        /// Which byte of its stream.
        position: u64,
    },
    /// A message is not one of those that were sent.
    #[error("listener {listener}: heard what nobody said: {came}")]
    WrongMessage {
        /// Which connection, in the order of connecting.
        listener: usize,
        /// The beginning of what came.
        came: String,
    },
    /// A server refused something, or did not speak its protocol.
    #[error("connection {connection}: the server said what it should not: {came}")]
    Refused {
        /// Which connection, in the order of connecting.
        connection: usize,
        /// The beginning of what came.
        came: String,
    },
    /// A server ended a connection.
    #[error("connection {connection}: the server ended it after {position} bytes")]
    Ended {
        /// Which connection, in the order of connecting.
        connection: usize,
        /// How many bytes of its stream had come back.
        position: u64,
    },
    /// Nothing came back for too long.
    #[error("{what}: nothing more came back for {seconds} s")]
    Silent {
        /// What was waited for.
        what: &'static str,
        /// How long.
        seconds: u64,
    },
    /// The kernel did not tell something about a process or this machine.
    #[error("{what}: {cause}")]
    System {
        /// The file or the call.
        what: String,
        /// Its answer.
        cause: io::Error,
    },
    /// A socket failed.
    #[error(transparent)]
    Socket(#[from] berkeley::Error),
    /// The picture could not be drawn.
    #[error("the picture: {0}")]
    Picture(String),
    /// The caller's own wish, told when it was asked about the progress.
    #[error("stopped before everything was measured")]
    Stopped,
    /// A request that makes no sense.
    #[error("{0}")]
    Invalid(String),
}

impl BenchError {
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |cause| Self::System { what, cause }
    }
}
