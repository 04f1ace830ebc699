//! `switchboard listen`.

use std::ffi::OsString;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

use berkeley::selector::{Backend, Interest, Key, Poll, Selector, Trigger};
use berkeley::{Endpoint, Errno};
use switchboard_client::listen::{
    Answer, Audience, ListenError, Listener, Notice, Options, Peer, Piece,
};
use switchboard_wire::{limits, text};

use crate::signals;
use crate::terminal::{OutputError, RawOutput, tell, with_hint};

/// Connections at once unless the user says otherwise.
const CONNECTIONS: usize = 10_000;

/// Descriptors that are not for connections: the standard ones, the listeners, the selector, and
/// what starting a program takes for a moment.
const DESCRIPTORS_RESERVED: u64 = 32;

/// Descriptors that select(2) has room for.
const SELECT_DESCRIPTORS: u64 = 1024;

/// Bytes of short frames that are kept back to be written at once.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Listen at an endpoint, show what arrives, and answer it
///
/// Serves any number of peers at once until Ctrl-C or SIGTERM. What arrives goes to standard
/// output: to a terminal each piece behind its peer's address, to a pipe or a file the bytes
/// alone. Where it listens is told on standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = "Endpoints:
  tcp://HOST:PORT   udp://HOST:PORT   unix://PATH   unix-dgram://PATH   unix-seqpacket://PATH
  A bare HOST:PORT is TCP. HOST may be a name, an IPv4 address, an IPv6 address in brackets, or *
  for all addresses of the machine. Port 0 picks a free port. @NAME in place of PATH is an
  abstract Unix name.

Examples:
  switchboard listen tcp://127.0.0.1:7000                 show what arrives
  switchboard listen tcp://127.0.0.1:0 --echo --quiet     a free port; send everything back
  switchboard listen udp://[::1]:9000 --reply pong        answer each datagram
  switchboard listen unix:///tmp/up.sock --exec 'tr a-z A-Z'
  switchboard listen tcp://127.0.0.1:8001 --framed        one line for each frame
  switchboard listen tcp://*:7000 > everything            the bytes alone, from all peers
  switchboard listen tcp://127.0.0.1:8080 --reply $'HTTP/1.1 204 No Content\\r\\n\\r\\n'")]
pub(crate) struct Args {
    /// Where to listen, such as tcp://127.0.0.1:7000
    endpoint: Endpoint,

    /// Answer each piece with this text, exactly
    ///
    /// A piece is what one read of a stream gives, one datagram, or with --framed one frame, which
    /// is answered with a frame.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["echo", "exec"])]
    reply: Option<OsString>,

    /// Send each piece back as it came
    #[arg(long, conflicts_with = "exec")]
    echo: bool,

    /// Give each connection to a shell command of its own, as its standard input and output
    ///
    /// The variable SWITCHBOARD_PEER tells the command who is there. What arrives is not shown.
    #[arg(long, value_name = "CMD", conflicts_with = "framed")]
    exec: Option<OsString>,

    /// Show nothing of what arrives
    #[arg(long, short)]
    quiet: bool,

    /// Take streams apart by frames: a 4-byte little-endian length, then that many bytes
    #[arg(long)]
    framed: bool,

    /// The longest frame that is taken [default: 1048576]
    #[arg(
        long,
        value_name = "BYTES",
        requires = "framed",
        value_parser = clap::value_parser!(u32).range(..=i64::from(limits::FILE_BYTES_MAX))
    )]
    max_frame: Option<u32>,

    /// How to wait for many sockets at once
    #[arg(
        long,
        default_value = Backend::BEST.name(),
        value_parser = super::mux()
    )]
    mux: Backend,

    /// Connections at once; one more is turned away [default: 10000]
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let connections_max = self.connections_max();
        let frame_bytes_max = self.max_frame.unwrap_or(limits::MESSAGE_BYTES_MAX);
        let answer = match (self.reply, self.exec) {
            (Some(text), _) => Answer::Reply(text.into_vec().into()),
            (_, Some(command)) => Answer::Exec(command),
            _ if self.echo => Answer::Echo,
            _ => Answer::Nothing,
        };
        let mut listener = Listener::bind(Options {
            endpoint: self.endpoint,
            backend: self.mux,
            answer,
            frame_bytes_max: self.framed.then_some(frame_bytes_max),
            connections_max,
        })
        .map_err(explain)?;
        super::tell_fallback(listener.fallback());
        let out = RawOutput::new()?;
        let is_quiet = self.quiet || out.is_null();
        if is_quiet {
            let (input, told) = signals::stop_input()?;
            listener.stop_on(input, told);
        } else {
            // Its thread can end the program while another program holds up the output.
            let stopper = listener.stopper();
            signals::on_stop(move || stopper.stop())?;
        }
        for endpoint in listener.endpoints() {
            tell(format_args!("listening on {endpoint}"));
        }
        let kept = Vec::new();
        if is_quiet {
            listener.run(&mut Nobody)
        } else if io::stdout().is_terminal() {
            listener.run(&mut Screen { out, kept })
        } else {
            listener.run(&mut Pipe { out, kept })
        }
        .map_err(explain)
    }

    /// How many connections there can be; says so where that is less than was asked for.
    fn connections_max(&self) -> usize {
        // In a confined process the limit stays as it was.
        let limit = berkeley::raise_descriptor_limit().or_else(|_| berkeley::descriptor_limit());
        let mut room = limit.unwrap_or(SELECT_DESCRIPTORS);
        if self.mux == Backend::Select {
            room = room.min(SELECT_DESCRIPTORS);
        }
        let room = room.saturating_sub(DESCRIPTORS_RESERVED).max(1);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        match self.connections {
            Some(wanted) if wanted > room => {
                tell(format_args!(
                    "there can be {room} connections at once, not {wanted}: descriptors are limited"
                ));
                room
            }
            wanted => wanted.unwrap_or(CONNECTIONS).min(room),
        }
    }
}

/// Adds what the user can do about it.
fn explain(error: ListenError) -> anyhow::Error {
    let error = match error {
        ListenError::Output(cause) => return OutputError(cause).into(),
        error => error,
    };
    let hint = match &error {
        ListenError::Bind { endpoint, cause } => match cause.errno() {
            Some(Errno::EADDRINUSE) if endpoint.transport().is_unix() => {
                "somebody listens there already"
            }
            Some(Errno::EADDRINUSE) => "somebody listens there already; port 0 picks a free port",
            Some(Errno::EADDRNOTAVAIL) => "this machine does not have that address",
            Some(Errno::EACCES) if !endpoint.transport().is_unix() => {
                "ports below 1024 are for root: choose a higher one"
            }
            _ => "",
        },
        ListenError::NoStream { .. } => "leave out --framed: each message is a piece anyway",
        ListenError::Unconnected { .. } => "choose tcp://, unix:// or unix-seqpacket://",
        _ => "",
    };
    with_hint(error, hint)
}

/// A person reads: each line behind its peer's address, and nothing that controls the terminal.
struct Screen {
    out: RawOutput,
    kept: Vec<u8>,
}

impl Audience for Screen {
    fn piece(&mut self, peer: &Peer, piece: Piece<'_>) -> io::Result<()> {
        let (Piece::Bytes(bytes) | Piece::Frame(bytes)) = piece else {
            return Ok(());
        };
        let piece = String::from_utf8_lossy(bytes);
        if piece.is_empty() {
            writeln!(self.kept, "{peer}:")?;
        }
        for line in piece.lines() {
            writeln!(self.kept, "{peer}: {}", text::clean(line))?;
        }
        write_kept(&mut self.out, &mut self.kept, KEPT_BYTES_MAX)
    }

    fn flush(&mut self) -> io::Result<()> {
        write_kept(&mut self.out, &mut self.kept, 0)
    }

    fn notice(&mut self, notice: &Notice<'_>) {
        tell(notice);
    }
}

/// A program reads: the bytes alone, and each frame as a line.
struct Pipe {
    out: RawOutput,
    kept: Vec<u8>,
}

impl Audience for Pipe {
    fn piece(&mut self, _: &Peer, piece: Piece<'_>) -> io::Result<()> {
        match piece {
            Piece::Bytes(bytes) => write(&mut self.out, bytes),
            Piece::Frame(bytes) => {
                self.kept.extend_from_slice(bytes);
                self.kept.push(b'\n');
                write_kept(&mut self.out, &mut self.kept, KEPT_BYTES_MAX)
            }
            _ => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        write_kept(&mut self.out, &mut self.kept, 0)
    }

    fn notice(&mut self, notice: &Notice<'_>) {
        if !notice.is_ordinary() {
            tell(notice);
        }
    }
}

/// Nobody reads: only trouble is told.
struct Nobody;

impl Audience for Nobody {
    fn wants_pieces(&self) -> bool {
        false
    }

    fn piece(&mut self, _: &Peer, _: Piece<'_>) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn notice(&mut self, notice: &Notice<'_>) {
        if !notice.is_ordinary() {
            tell(notice);
        }
    }
}

/// Writes what was kept back if that is more than `bytes_max`.
fn write_kept(out: &mut RawOutput, kept: &mut Vec<u8>, bytes_max: usize) -> io::Result<()> {
    if kept.len() > bytes_max {
        write(out, kept)?;
        kept.clear();
    }
    Ok(())
}

/// Writes all of it, also where another program has made our output one that does not wait.
fn write(out: &mut RawOutput, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(len) => bytes = bytes.get(len..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let selector = Poll::new()?;
                selector.register(out.as_fd(), Key(0), Interest::WRITABLE, Trigger::Level)?;
                selector.wait(&mut Vec::new(), None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
