//! One who does not read as fast as the others: what it costs the hub, and so everybody else.

use core::fmt;
use core::time::Duration;
use std::net::SocketAddr;
use std::time::Instant;

use berkeley::{Family, Kind, Mode, MsgFlags, Protocol as Tcp, Socket, opt};
use serde::Serialize;

use super::crowd::SILENCE_MAX;
use crate::BenchError;

/// Bytes that the kernel holds for one who does not read: few, so that it is behind at once.
const HELD_BYTES: u32 = 4096;

/// How often the one who reads a byte does.
const BYTE_EVERY: Duration = Duration::from_secs(1);

/// How long the one who comes and goes stays.
const STAY: Duration = Duration::from_millis(250);

/// What one is like who does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Slow {
    /// There is none: what the others are compared with.
    Nobody,
    /// It reads nothing.
    Stalled,
    /// It reads one byte a second.
    Trickling,
    /// It comes, reads nothing, breaks off after a quarter of a second, and comes again at once.
    Flapping,
}

impl Slow {
    /// All of them, beginning with what the others are compared with.
    pub const ALL: [Self; 4] = [Self::Nobody, Self::Stalled, Self::Trickling, Self::Flapping];
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "no slow reader",
            Self::Stalled => "a stalled reader",
            Self::Trickling => "a reader of 1 B/s",
            Self::Flapping => "a flapping reader",
        })
    }
}

/// Such a reader. It speaks as lines are spoken at the hub's chat door.
#[derive(Debug)]
pub(super) struct SlowReader {
    kind: Slow,
    addr: SocketAddr,
    socket: Option<Socket>,
    /// When it does something next.
    due: Instant,
}

impl SlowReader {
    /// It is in the room when this returns.
    ///
    /// # Errors
    /// Connecting fails, or the hub does not answer.
    pub(super) fn join(kind: Slow, addr: SocketAddr) -> Result<Self, BenchError> {
        let mut reader = Self {
            kind,
            addr,
            socket: None,
            due: Instant::now(),
        };
        if kind != Slow::Nobody {
            let socket = reader.connect()?;
            socket.set_mode(Mode::Within(SILENCE_MAX))?;
            socket.send_all(b"/who\n")?;
            let first = &mut [0];
            socket.recv(first, MsgFlags::NONE)?;
            socket.set_mode(Mode::NonBlock)?;
            reader.socket = Some(socket);
        }
        Ok(reader)
    }

    fn connect(&self) -> Result<Socket, BenchError> {
        let limit = Mode::Within(SILENCE_MAX);
        let socket = Socket::with_mode(Family::INET, Kind::STREAM, Tcp::TCP, limit)?;
        socket.set(opt::RecvBuffer, HELD_BYTES)?;
        // It breaks off: no port stays reserved for a minute (TIME_WAIT).
        socket.set(opt::Linger, Some(Duration::ZERO))?;
        socket.connect(self.addr)?;
        socket.set_mode(Mode::NonBlock)?;
        Ok(socket)
    }

    /// Does what is due.
    ///
    /// # Errors
    /// The hub has ended it, which is not what is measured; connecting fails.
    pub(super) fn step(&mut self, now: Instant) -> Result<(), BenchError> {
        if now < self.due {
            return Ok(());
        }
        match (self.kind, &self.socket) {
            (Slow::Trickling, Some(socket)) => {
                self.due = now + BYTE_EVERY;
                match socket.recv(&mut [0], MsgFlags::NONE) {
                    Err(error) if !error.is_would_block() => return Err(error.into()),
                    _ => {}
                }
            }
            (Slow::Flapping, _) => {
                self.due = now + STAY;
                self.socket = None;
                self.socket = Some(self.connect()?);
            }
            _ => self.due = now + BYTE_EVERY,
        }
        Ok(())
    }
}
