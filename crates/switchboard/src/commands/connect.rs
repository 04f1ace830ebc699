//! `switchboard connect`.

use core::time::Duration;
use std::io::{self, IsTerminal};

use berkeley::selector::Backend;
use berkeley::{Endpoint, Errno, Error};
use switchboard_client::connect::{ConnectError, Connection, Options};
use switchboard_wire::limits;

use crate::terminal::{OutputError, RawOutput, positive_seconds, with_hint};

/// Join standard input and output to an endpoint
///
/// Both directions go at once. The end of standard input ends our half of the connection; the
/// command ends when the peer has closed. Over udp://, unix-dgram:// and unix-seqpacket:// one
/// line is one message, without its line ending, and the other way round; an empty line is an
/// empty datagram, but nothing to unix-seqpacket://.
#[derive(Debug, clap::Args)]
#[command(after_help = "Endpoints:
  tcp://HOST:PORT   udp://HOST:PORT   unix://PATH   unix-dgram://PATH   unix-seqpacket://PATH
  A bare HOST:PORT is TCP. HOST may be a name, an IPv4 address or an IPv6 address in brackets.
  @NAME in place of PATH is an abstract Unix name.

Examples:
  switchboard connect tcp://127.0.0.1:7000                talk to any TCP server
  switchboard connect [::1]:7000 < file > answer          send a file, keep the answer
  echo %H:%M | switchboard connect udp://127.0.0.1:9000   ask the hub for the time
  switchboard connect unix://@name                        an abstract Unix name
  switchboard connect tcp://127.0.0.1:7000 --framed       one line, one frame")]
pub(crate) struct Args {
    /// Whom to connect to, such as tcp://127.0.0.1:7000
    endpoint: Endpoint,

    /// One line, one frame: a 4-byte little-endian length, then the line without its ending
    #[arg(long)]
    framed: bool,

    /// The longest frame that is sent or taken [default: 1048576]
    #[arg(
        long,
        value_name = "BYTES",
        requires = "framed",
        value_parser = clap::value_parser!(u32).range(..=i64::from(limits::FILE_BYTES_MAX))
    )]
    max_frame: Option<u32>,

    /// How long connecting may take
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "10",
        allow_negative_numbers = true,
        value_parser = positive_seconds
    )]
    timeout: Duration,

    /// How long to wait for another datagram when the input has ended
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "1",
        allow_negative_numbers = true,
        value_parser = seconds
    )]
    wait: Duration,

    /// How to wait for the peer, the input and the output at once
    #[arg(
        long,
        default_value = Backend::BEST.name(),
        value_parser = super::mux()
    )]
    mux: Backend,
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let frame_bytes_max = self.max_frame.unwrap_or(limits::MESSAGE_BYTES_MAX);
        let connection = Connection::open(Options {
            endpoint: self.endpoint,
            frame_bytes_max: self.framed.then_some(frame_bytes_max),
            timeout: self.timeout,
            wait: self.wait,
            is_cleaned: io::stdout().is_terminal(),
            backend: self.mux,
        })
        .map_err(explain)?;
        super::tell_fallback(connection.fallback());
        connection
            .join(&io::stdin(), &mut RawOutput::new()?)
            .map_err(explain)
    }
}

/// Adds what the user can do about it.
fn explain(error: ConnectError) -> anyhow::Error {
    let error = match error {
        ConnectError::Output(cause) => return OutputError(cause).into(),
        error => error,
    };
    let hint = match &error {
        ConnectError::Connect {
            cause: Error::Resolve { .. },
            ..
        } => "is the name right?",
        ConnectError::Connect { cause, .. } if cause.is_timed_out() => "--timeout waits longer",
        ConnectError::Connect { cause, .. } | ConnectError::Broken { cause, .. } => {
            match cause.errno() {
                Some(Errno::ECONNREFUSED | Errno::ENOENT) => "is something listening there?",
                Some(Errno::ETIMEDOUT) => "--timeout waits longer",
                Some(Errno::EPROTOTYPE) => {
                    "it is a Unix socket of another kind: unix://, unix-dgram:// or \
                     unix-seqpacket://"
                }
                _ => "",
            }
        }
        ConnectError::NoStream { .. } => "leave out --framed: one line is one message anyway",
        _ => "",
    };
    with_hint(error, hint)
}

/// Like [`positive_seconds`], but not waiting at all is possible too.
fn seconds(text: &str) -> Result<Duration, String> {
    if text.parse() == Ok(0.0) {
        Ok(Duration::ZERO)
    } else {
        positive_seconds(text)
    }
}
