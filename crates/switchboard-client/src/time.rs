//! Asking a time server: a datagram with a `strftime` format, a datagram with the time.
//!
//! Begin with [`ask_time`].

use std::time::Duration;

use berkeley::{Deadline, Endpoint, Errno, Kind, Mode, MsgFlags, Socket, create_connection};
use switchboard_wire::clean;

/// The port of time servers.
pub const TIME_PORT: u16 = 9000;

/// The format that is asked for unless another is given: `2026-01-31 23:59:59`.
pub const FORMAT_DEFAULT: &str = "%Y-%m-%d %X";

/// The longest answer that is read, in bytes: what one datagram can hold.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How long and how often to ask.
#[derive(Debug, Clone)]
pub struct TimeOptions {
    /// How long to wait for the answer to each datagram.
    pub timeout: Duration,
    /// How many datagrams to send to each address, at least one.
    pub tries: u32,
}

impl Default for TimeOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(1),
            tries: 3,
        }
    }
}

/// Why there is no time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// Sending or receiving failed.
    #[error("cannot ask {endpoint}")]
    Failed {
        /// Who was asked.
        endpoint: Endpoint,
        /// Why that failed.
        source: berkeley::Error,
    },
    /// The format does not fit into a datagram.
    #[error("a format of {bytes} bytes does not fit into a datagram")]
    FormatTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// No address of the host answered.
    #[error(
        "no answer from {endpoint}: {tries} {} sent, and nothing came within {} each",
        if *.tries == 1 { "question was" } else { "questions were" },
        Seconds(*.timeout)
    )]
    NoAnswer {
        /// Who was asked.
        endpoint: Endpoint,
        /// How often each of its addresses was asked.
        tries: u32,
        /// How long each answer was waited for.
        timeout: Duration,
    },
    /// The endpoint is none of datagrams.
    #[error("{endpoint} does not take datagrams: write udp://HOST:PORT")]
    NotDatagrams {
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// The host answers that nobody listens at that port.
    #[error("nobody answers at {endpoint}: connection refused")]
    Refused {
        /// Who was asked.
        endpoint: Endpoint,
    },
}

/// A length of time for people, in seconds.
struct Seconds(Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.as_secs_f64();
        let unit = if self.0 == Duration::from_secs(1) {
            "second"
        } else {
            "seconds"
        };
        write!(f, "{seconds} {unit}")
    }
}

/// Asks for the time in a format, as [`TimeOptions`] say, one address of the host after the other.
///
/// The answer is one line without control characters; what was no UTF-8 in it is U+FFFD.
///
/// # Errors
/// [`TimeError`] of the last address that was tried; an address that stayed silent outweighs one
/// that refused.
pub fn ask_time(
    endpoint: &Endpoint,
    format: &str,
    options: &TimeOptions,
) -> Result<String, TimeError> {
    let failed = |source| TimeError::Failed {
        endpoint: endpoint.clone(),
        source,
    };
    if endpoint.transport().kind() != Kind::DGRAM {
        return Err(TimeError::NotDatagrams {
            endpoint: endpoint.clone(),
        });
    }
    let mut silent = false;
    let mut last = None;
    for addr in endpoint.addresses(false).map_err(failed)? {
        let Some(one) = Endpoint::from_addr(endpoint.transport(), &addr) else {
            continue;
        };
        let answer = create_connection(&one, Deadline::NEVER)
            .and_then(|(socket, _)| ask(&socket, format.as_bytes(), options));
        match answer {
            Ok(Some(answer)) => return Ok(one_line(&answer)),
            Ok(None) => silent = true,
            Err(error) => last = Some(error),
        }
    }
    Err(match last {
        _ if silent => TimeError::NoAnswer {
            endpoint: endpoint.clone(),
            tries: options.tries.max(1),
            timeout: options.timeout,
        },
        Some(error) if error.errno() == Some(Errno::ECONNREFUSED) => TimeError::Refused {
            endpoint: endpoint.clone(),
        },
        Some(error) if error.errno() == Some(Errno::EMSGSIZE) => TimeError::FormatTooLong {
            bytes: format.len(),
        },
        Some(error) => failed(error),
        None => failed(berkeley::Error::Invalid("it has no address".into())),
    })
}

/// Asks through a connected socket; `None` if no answer came.
fn ask(socket: &Socket, format: &[u8], options: &TimeOptions) -> berkeley::Result<Option<Vec<u8>>> {
    let mut answer = vec![0; ANSWER_BYTES_MAX];
    for _ in 0..options.tries.max(1) {
        socket.set_mode(Mode::Block)?;
        socket.send(format, MsgFlags::NONE)?;
        // A limit of nothing at all would be another mode.
        socket.set_mode(Mode::Within(options.timeout.max(Duration::from_millis(1))))?;
        match socket.recv(&mut answer, MsgFlags::NONE) {
            Ok(len) => {
                answer.truncate(len);
                return Ok(Some(answer));
            }
            Err(error) if error.is_timed_out() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn one_line(answer: &[u8]) -> String {
    let answer = String::from_utf8_lossy(answer);
    let line = answer.trim_end_matches(['\r', '\n']).replace('\n', " ");
    clean(&line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn an_answer_is_one_harmless_line() {
        for (answer, shown) in [
            (&b"12:30\n"[..], "12:30"),
            (b"12\r\n30", "12 30"),
            (b"\x1b[2J12:30", "[2J12:30"),
            (b"\xff12", "\u{fffd}12"),
            (b"", ""),
        ] {
            assert_eq!(one_line(answer), shown);
        }
    }
}
