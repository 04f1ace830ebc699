//! Talking by datagrams: each is a message, and its answer is a datagram back.
//!
//! Two sides: [`Talk::call`] speaks with one peer, [`Talk::answer`] with whoever calls.
//!
//! Where a program types, both take turns ([`Turns::Alternate`]): each message waits for its
//! answer, as the simplest of peers do it who read a line, send, receive, and so on. Where a
//! person types, nobody waits for anybody ([`Turns::Free`]).

mod answer;
mod call;
mod typed;

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use berkeley::selector::Backend;
use berkeley::{Addr, Endpoint, Kind, Server, create_servers};
use switchboard_reactor::{Reactor, Receiver, Token};
use switchboard_wire::clean;

use self::answer::Answerer;
use self::call::Caller;
use crate::stop::Stopper;

/// The port where one is called.
pub const TALK_PORT: u16 = 8081;

/// The longest message, in bytes: what one datagram of IPv4 can hold.
pub const MESSAGE_BYTES_MAX: usize = 65_507;

/// Who speaks when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turns {
    /// One message, one answer.
    Alternate,
    /// Both directions at once.
    Free,
}

/// Whom to call, and how.
#[derive(Debug, Clone)]
pub struct CallOptions {
    /// The peer: an endpoint of datagrams.
    pub endpoint: Endpoint,
    /// What to call the peer where its messages are shown.
    pub name: String,
    /// Who speaks when.
    pub turns: Turns,
    /// How long to wait for an answer: before the next message when both alternate, and before
    /// the end when the input has ended.
    pub wait: Duration,
    /// What waits for the peer and the input at once.
    pub backend: Backend,
}

/// Where to be called, and how.
#[derive(Debug, Clone)]
pub struct AnswerOptions {
    /// Where to be called: an endpoint of datagrams.
    pub endpoint: Endpoint,
    /// Who speaks when.
    pub turns: Turns,
    /// What waits for the callers and the input at once.
    pub backend: Backend,
}

/// What the user should know, besides what the other says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TalkNote {
    /// A typed line was not sent because it is no text.
    #[error("the line was not sent: it is not UTF-8 text")]
    LineNotUtf8,
    /// A typed line was not sent because it is too long.
    #[error("the line was not sent: it has more than {MESSAGE_BYTES_MAX} bytes")]
    LineTooLong,
    /// No answer came in time. The conversation goes on.
    #[error("no answer from {name} within {} seconds", .wait.as_secs_f64())]
    NoAnswer {
        /// The peer.
        name: String,
        /// How long it was waited for.
        wait: Duration,
    },
    /// A message to a caller was not sent, or one not received.
    #[error("{0}")]
    Trouble(berkeley::Error),
    /// A line was typed, and nobody ever called.
    #[error("the last line was not sent: nobody has called")]
    Unsent,
}

/// Why a talk could not be, or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TalkError {
    /// Sending or receiving failed.
    #[error("cannot talk with {endpoint}")]
    Failed {
        /// The peer.
        endpoint: Endpoint,
        /// Why not.
        source: berkeley::Error,
    },
    /// The input cannot be read.
    #[error("cannot read the input")]
    Input(#[source] berkeley::Error),
    /// Nobody can call us there.
    #[error("cannot listen on {endpoint}")]
    Listen {
        /// Where.
        endpoint: Endpoint,
        /// Why not.
        source: berkeley::Error,
    },
    /// The endpoint is none of datagrams.
    #[error("{endpoint} does not take datagrams: write udp://HOST:PORT")]
    NotDatagrams {
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// The output cannot be written.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    /// The host answers that nobody listens at that port.
    #[error("nobody is listening at {endpoint}")]
    Refused {
        /// The peer.
        endpoint: Endpoint,
        /// The kernel's answer.
        source: berkeley::Error,
    },
    /// There is no waiting for the peer and the input at once.
    #[error("cannot wait with {}", .backend.name())]
    Wait {
        /// What should have waited.
        backend: Backend,
        /// Why it cannot.
        source: berkeley::Error,
    },
}

/// A conversation by datagrams that is ready to begin.
#[derive(Debug)]
pub struct Talk {
    reactor: Reactor,
    side: Side,
    stopper: Stopper,
    stops: Receiver<()>,
}

#[derive(Debug)]
enum Side {
    Call(CallOptions, Vec<Addr>),
    Answer(Turns, Vec<Server>),
}

impl Talk {
    /// Prepares to speak with one peer; it hears of that with the first message. Where its host
    /// has several addresses and nobody listens at the first, the next one is tried.
    ///
    /// # Errors
    /// [`TalkError::NotDatagrams`], [`TalkError::Failed`] for an unknown host, [`TalkError::Wait`].
    pub fn call(options: CallOptions) -> Result<Self, TalkError> {
        let endpoint = &options.endpoint;
        check(endpoint)?;
        let failed = |source| TalkError::Failed {
            endpoint: endpoint.clone(),
            source,
        };
        let addresses = endpoint.addresses(false).map_err(failed)?;
        Self::new(options.backend, Side::Call(options, addresses))
    }

    /// Prepares to speak with whoever calls.
    ///
    /// # Errors
    /// [`TalkError::NotDatagrams`], [`TalkError::Listen`], [`TalkError::Wait`].
    pub fn answer(options: &AnswerOptions) -> Result<Self, TalkError> {
        let endpoint = &options.endpoint;
        check(endpoint)?;
        let servers = create_servers(endpoint).map_err(|source| TalkError::Listen {
            endpoint: endpoint.clone(),
            source,
        })?;
        Self::new(options.backend, Side::Answer(options.turns, servers))
    }

    fn new(backend: Backend, side: Side) -> Result<Self, TalkError> {
        let reactor =
            Reactor::new(backend).map_err(|source| TalkError::Wait { backend, source })?;
        let (sender, stops) = reactor.mailbox();
        Ok(Self {
            reactor,
            side,
            stopper: Stopper::new(sender),
            stops,
        })
    }

    /// Where we can be called; nowhere if we call.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        match &self.side {
            Side::Call(..) => Vec::new(),
            Side::Answer(_, servers) => servers
                .iter()
                .map(|server| server.endpoint().clone())
                .collect(),
        }
    }

    /// Why it does not wait as it was asked to: there is no io_uring to be had, so it is epoll.
    #[must_use]
    pub const fn fallback(&self) -> Option<&berkeley::Error> {
        self.reactor.fallback()
    }

    /// What ends the conversation without an error.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Sends the lines of `input`, and writes what comes to `out`: `NAME: text`, cleaned and
    /// flushed.
    ///
    /// A line without text is not sent; a line `q` ends it. The input is not read until there is
    /// somebody to talk to, except for the `q` of a person.
    ///
    /// When the input ends, the calling side ends after the last answer. The answering side ends
    /// when its last line was sent; if both alternate and the input had no line at all, it goes
    /// on showing what comes until it is stopped.
    ///
    /// # Errors
    /// [`TalkError::Refused`] and [`TalkError::Failed`] on the calling side; and where input or
    /// output fail.
    pub fn run(
        self,
        input: OwnedFd,
        out: &mut dyn Write,
        notes: &mut dyn FnMut(TalkNote),
    ) -> Result<(), TalkError> {
        let Self {
            mut reactor,
            side,
            stops,
            ..
        } = self;
        let backend = reactor.backend();
        let cannot_wait = |source| TalkError::Wait { backend, source };
        let input = reactor.add_input(input).map_err(cannot_wait)?;
        let ends = Ends {
            input,
            stops,
            out,
            notes,
        };
        match side {
            Side::Call(options, addresses) => {
                let mut caller = Caller::new(options, addresses, ends);
                caller.dial(&mut reactor)?;
                reactor.run(&mut caller).map_err(cannot_wait)?;
                caller.into_outcome()
            }
            Side::Answer(turns, servers) => {
                // Kept to the end: what removes the files of Unix sockets.
                let mut files = Vec::new();
                for server in servers {
                    let (socket, _, file) = server.into_parts();
                    reactor.add_datagrams(socket).map_err(cannot_wait)?;
                    files.push(file);
                }
                let mut answerer = Answerer::new(turns, ends);
                answerer.begin(&mut reactor);
                reactor.run(&mut answerer).map_err(cannot_wait)?;
                answerer.into_outcome()
            }
        }
    }
}

fn check(endpoint: &Endpoint) -> Result<(), TalkError> {
    if endpoint.transport().kind() == Kind::DGRAM {
        Ok(())
    } else {
        Err(TalkError::NotDatagrams {
            endpoint: endpoint.clone(),
        })
    }
}

/// The user's ends of a conversation.
struct Ends<'a> {
    input: Token,
    stops: Receiver<()>,
    out: &'a mut dyn Write,
    notes: &'a mut dyn FnMut(TalkNote),
}

impl Ends<'_> {
    /// Writes a message, each of its lines behind its author.
    fn show(&mut self, name: &str, message: &[u8]) -> Result<(), TalkError> {
        let mut write = || -> io::Result<()> {
            for line in message_lines(message) {
                writeln!(self.out, "{name}: {line}")?;
            }
            self.out.flush()
        };
        write().map_err(TalkError::Output)
    }
}

fn message_lines(message: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(message);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    text.split('\n')
        .map(|line| clean(line).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::message_lines;

    #[test]
    fn each_line_of_a_message_is_harmless() {
        for (message, lines) in [
            (&b"hi"[..], &["hi"][..]),
            (b"hi\r\n", &["hi"]),
            (b"one\n\ntwo\n", &["one", "", "two"]),
            (b"", &[""]),
            (b"\x1b[31m\xff", &["[31m\u{fffd}"]),
        ] {
            assert_eq!(message_lines(message), lines);
        }
    }
}
