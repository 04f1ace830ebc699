//! A connection, its input and its output at work.

use core::time::Duration;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::Instant;

use berkeley::selector::{Event, Interest, Key, Ready, Selector, Trigger};
use berkeley::{Endpoint, Errno, Error, Kind, MsgFlags, Shutdown, Socket, Transport};

use super::input::{Framing, Input};
use super::output::Output;
use super::{ConnectError, Connection, Options, UDP_BYTES_MAX, UNIX_MESSAGE_BYTES_MAX};

/// Bytes that are read at once, from the input and from the socket. No datagram is longer.
const READ_BYTES_MAX: usize = 256 * 1024;

const INPUT: Key = Key(0);
const OUTPUT: Key = Key(1);
const SOCKET: Key = Key(2);

/// What a selector is told of one descriptor, and what it has been told.
#[derive(Debug, Default)]
struct Watched {
    interest: Option<Interest>,
    /// The selector cannot watch it, because it is a file and always ready.
    is_always_ready: bool,
}

impl Watched {
    fn set(
        &mut self,
        selector: &dyn Selector,
        fd: &impl AsFd,
        key: Key,
        wanted: Option<Interest>,
    ) -> Result<(), Error> {
        let fd = fd.as_fd();
        let before = core::mem::replace(&mut self.interest, wanted);
        if before == wanted || self.is_always_ready {
            return Ok(());
        }
        let done = match (before, wanted) {
            (None, Some(interest)) => selector.register(fd, key, interest, Trigger::Level),
            (_, Some(interest)) => selector.modify(fd, key, interest, Trigger::Level),
            (_, None) => selector.unregister(fd),
        };
        match done {
            Err(error) if error.errno() == Some(Errno::EPERM) => {
                self.is_always_ready = true;
                Ok(())
            }
            done => done,
        }
    }

    /// True if there is something to do that no wait tells of.
    const fn is_due(&self) -> bool {
        self.is_always_ready && self.interest.is_some()
    }
}

/// A connection, its input and its output at work.
pub(super) struct Joint<'a, I, O> {
    options: Options,
    socket: Socket,
    selector: Box<dyn Selector>,
    source: &'a I,
    sink: &'a mut O,
    input: Input,
    output: Output,
    /// Messages without connections: there is no end to be told of.
    is_datagrams: bool,
    /// The socket took less than it was given.
    is_blocked: bool,
    /// Our half is closed.
    is_shut: bool,
    /// The peer has closed its half.
    has_peer_ended: bool,
    /// Sending failed: what the peer had sent before is still received.
    has_send_failed: bool,
    /// How it ends when the output is written.
    verdict: Option<Result<(), ConnectError>>,
    /// When the last datagram went or came.
    last: Instant,
    buffer: Vec<u8>,
}

impl<'a, I: AsFd, O: Write + AsFd> Joint<'a, I, O> {
    pub(super) fn new(connection: Connection, source: &'a I, sink: &'a mut O) -> Self {
        let Connection {
            options,
            socket,
            selector,
            ..
        } = connection;
        let framing = match (options.endpoint.transport(), options.frame_bytes_max) {
            (Transport::Udp, _) => Framing::Datagrams {
                bytes_max: UDP_BYTES_MAX,
            },
            (Transport::UnixDgram, _) => Framing::Datagrams {
                bytes_max: UNIX_MESSAGE_BYTES_MAX,
            },
            (Transport::UnixSeqpacket, _) => Framing::Messages {
                bytes_max: UNIX_MESSAGE_BYTES_MAX,
            },
            (_, Some(bytes_max)) => Framing::Frames { bytes_max },
            (_, None) => Framing::Stream,
        };
        Self {
            is_datagrams: socket.kind() == Kind::DGRAM,
            input: Input::new(framing),
            output: Output::new(framing, options.is_cleaned),
            options,
            socket,
            selector,
            source,
            sink,
            is_blocked: false,
            is_shut: false,
            has_peer_ended: false,
            has_send_failed: false,
            verdict: None,
            last: Instant::now(),
            buffer: vec![0; READ_BYTES_MAX],
        }
    }

    pub(super) fn run(mut self) -> Result<(), ConnectError> {
        let mut watched: [Watched; 3] = Default::default();
        let mut events = Vec::new();
        loop {
            self.send_ready();
            if self.output.is_empty()
                && let Some(verdict) = self.verdict.take()
            {
                return verdict;
            }
            self.wait(&mut watched, &mut events)
                .map_err(|cause| ConnectError::Wait {
                    backend: self.selector.backend(),
                    cause,
                })?;
            let [input, output, _] = &watched;
            let (reads, writes) = (input.is_due(), output.is_due());
            if events.is_empty() && !reads && !writes {
                // The peer has ended and nothing is left to be sent, or no answer comes any more.
                self.verdict.get_or_insert(Ok(()));
            }
            for event in &events {
                self.dispatch(event.key, event.ready)?;
            }
            for (key, is_due) in [(INPUT, reads), (OUTPUT, writes)] {
                if is_due {
                    self.dispatch(key, Ready::default())?;
                }
            }
        }
    }

    /// Waits until there is something to do.
    fn wait(&self, watched: &mut [Watched; 3], events: &mut Vec<Event>) -> Result<(), Error> {
        self.watch(watched)?;
        let is_due = watched.iter().any(Watched::is_due);
        let limit = if is_due {
            Some(Duration::ZERO)
        } else {
            self.limit()
        };
        self.selector.wait(events, limit)
    }

    /// How long to wait before that is the end; `None`: as long as it takes.
    fn limit(&self) -> Option<Duration> {
        if !self.output.is_empty() || self.input.has_message() && !self.has_send_failed {
            return None;
        }
        if self.has_peer_ended {
            return Some(Duration::ZERO);
        }
        let is_waiting = self.is_datagrams && self.input.has_ended();
        is_waiting.then(|| self.options.wait.saturating_sub(self.last.elapsed()))
    }

    fn watch(&self, watched: &mut [Watched; 3]) -> Result<(), Error> {
        let selector = self.selector.as_ref();
        let [input, output, socket] = watched;
        let goes_on = self.verdict.is_none();
        let reads_input = goes_on && !self.has_send_failed && self.input.wants_more();
        input.set(
            selector,
            self.source,
            INPUT,
            reads_input.then_some(Interest::READABLE),
        )?;
        let writes = !self.output.is_empty();
        output.set(
            selector,
            &*self.sink,
            OUTPUT,
            writes.then_some(Interest::WRITABLE),
        )?;
        let receives = goes_on && !self.has_peer_ended && self.output.is_empty();
        let sends = goes_on && self.is_blocked;
        let wanted = match (receives, sends) {
            (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
            (true, false) => Some(Interest::READABLE),
            (false, true) => Some(Interest::WRITABLE),
            (false, false) => None,
        };
        socket.set(selector, &self.socket, SOCKET, wanted)
    }

    fn dispatch(&mut self, key: Key, ready: Ready) -> Result<(), ConnectError> {
        match key {
            INPUT => self.read_input(),
            OUTPUT => self.output.write(self.sink).map_err(ConnectError::Output)?,
            _ => {
                if ready.is_writable() || ready.is_error() || ready.is_hang_up() {
                    self.is_blocked = false;
                }
                if ready.is_readable() && !self.has_peer_ended && self.output.is_empty() {
                    self.receive();
                }
            }
        }
        Ok(())
    }

    fn endpoint(&self) -> Box<Endpoint> {
        Box::new(self.options.endpoint.clone())
    }

    /// Settles how it ends; the first verdict counts.
    fn end(&mut self, verdict: Result<(), ConnectError>) {
        self.verdict.get_or_insert(verdict);
    }

    fn read_input(&mut self) {
        let read = berkeley::read(self.source.as_fd(), &mut self.buffer);
        let taken = match read {
            Ok(len) => self.input.take(self.buffer.get(..len).unwrap_or_default()),
            Err(error) if error.is_would_block() => Ok(()),
            Err(error) => Err(ConnectError::Input(error)),
        };
        if let Err(error) = taken {
            self.end(Err(error));
        }
    }

    /// Sends what there is until the socket takes no more, and then its end.
    fn send_ready(&mut self) {
        while !self.is_blocked && !self.has_send_failed && self.verdict.is_none() {
            let Some(bytes) = self.input.message() else {
                break;
            };
            match self.socket.send(bytes, MsgFlags::NONE) {
                Ok(len) => {
                    self.last = Instant::now();
                    if let Err(error) = self.input.advance(len) {
                        self.end(Err(error));
                    }
                }
                Err(error) if error.is_would_block() => self.is_blocked = true,
                Err(error) => self.send_failed(error),
            }
        }
        let is_over = self.input.has_ended() && !self.input.has_message();
        if is_over && !self.is_shut && !self.is_datagrams {
            self.is_shut = true;
            // A peer that is gone already has no use for our end.
            drop(self.socket.shutdown(Shutdown::WRITE));
        }
    }

    fn send_failed(&mut self, cause: Error) {
        self.is_blocked = false;
        self.has_send_failed = true;
        match cause.errno() {
            Some(Errno::EMSGSIZE) => {
                self.end(Err(self.input.too_long()));
            }
            // What the peer sent before it closed is still there to be received.
            Some(Errno::EPIPE | Errno::ECONNRESET) if !self.is_datagrams => {
                if self.has_peer_ended {
                    self.end(Err(ConnectError::Unsent {
                        endpoint: self.endpoint(),
                    }));
                }
            }
            _ => self.end(Err(ConnectError::Broken {
                endpoint: self.endpoint(),
                cause,
            })),
        }
    }

    fn receive(&mut self) {
        let received = self.socket.recv(&mut self.buffer, MsgFlags::NONE);
        let result = match received {
            Ok(0) if !self.is_datagrams => {
                self.has_peer_ended = true;
                self.output.end()
            }
            Ok(len) => {
                self.last = Instant::now();
                self.output.take(self.buffer.get(..len).unwrap_or_default())
            }
            Err(error) if error.is_would_block() => Ok(()),
            Err(cause) => {
                let endpoint = self.endpoint();
                return self.end(Err(ConnectError::Broken { endpoint, cause }));
            }
        };
        let endpoint = self.endpoint();
        if let Err(cause) = result {
            self.end(Err(ConnectError::Frame { endpoint, cause }));
        } else if self.has_peer_ended && self.has_send_failed {
            self.end(Err(ConnectError::Unsent { endpoint }));
        } else if self.has_peer_ended && self.input.has_ended() && !self.input.has_message() {
            self.end(Ok(()));
        }
    }
}
