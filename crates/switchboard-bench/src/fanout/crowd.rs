//! Many connections of one thread in one room.
//!
//! The crowd must not be what is measured: a socket is read once a turn with room for all that can
//! have come, everything a speaker may say is one send, and nothing is allocated for a message.

use core::time::Duration;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Instant;

use berkeley::selector::{Epoll, Event, Interest, Key, Selector, Trigger};
use berkeley::{Errno, Family, Kind, Mode, MsgFlags, Protocol as Tcp, Shutdown, Socket, opt};

use super::wire::{Protocol, Role, Step};
use crate::BenchError;

/// How long a server may let us wait for anything.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(20);

/// Connections that are let in before more are made: fewer than any queue of listen(2) holds.
const BATCH: usize = 100;

/// The same of a hub that lets in once a second, whose queue was made longer.
const BATCH_A_SECOND: usize = 1000;

/// A server that says nothing for so long has nothing more to say.
const CALM: Duration = Duration::from_millis(300);

const READ_BYTES: usize = 256 * 1024;

/// Bytes that were sent and are not thrown away yet: less often than with each send.
const SENT_BYTES_KEPT_MAX: usize = 1 << 20;

/// The most that one looks at to say what a server should not have said.
const SHOWN_BYTES: usize = 120;

/// One connection.
#[derive(Debug)]
struct Conn {
    socket: Socket,
    role: Role,
    /// The beginning of something that has not come whole.
    begun: Vec<u8>,
    /// What is to be sent, from `sent` on.
    out: Vec<u8>,
    sent: usize,
    is_writing: bool,
    is_in: bool,
}

/// What a connection met.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Met<'a> {
    /// A message's payload.
    Payload(&'a [u8]),
    /// It is in, and hears from now on.
    In,
    /// The server ended it, or refused it: it is out of the crowd.
    Out,
}

/// Many connections.
#[derive(Debug)]
pub(super) struct Crowd {
    selector: Epoll,
    events: Vec<Event>,
    buffer: Vec<u8>,
    pub(super) addr: SocketAddr,
    pub(super) protocol: Protocol,
    /// How many rooms there are: one after the other comes into another one.
    pub(super) rooms: usize,
    payload_bytes: usize,
    conns: Vec<Option<Conn>>,
    /// Numbers of connections so far: each has another one.
    made: usize,
    last_event: Instant,
}

impl Crowd {
    pub(super) fn new(
        addr: SocketAddr,
        protocol: Protocol,
        payload_bytes: usize,
    ) -> Result<Self, BenchError> {
        Ok(Self {
            selector: Epoll::new()?,
            events: Vec::new(),
            buffer: vec![0; READ_BYTES],
            addr,
            protocol,
            rooms: 1,
            payload_bytes,
            conns: Vec::new(),
            made: 0,
            last_event: Instant::now(),
        })
    }

    /// So many more, who are in when this returns.
    ///
    /// # Errors
    /// Connecting fails, or the server does not let them in.
    pub(super) fn join(&mut self, role: Role, count: usize) -> Result<(), BenchError> {
        let mut left = count;
        let batch = if self.protocol.speaks_at_once() {
            BATCH
        } else {
            BATCH_A_SECOND
        };
        while left > 0 {
            let mut waiting = left.min(batch);
            left -= waiting;
            for _ in 0..waiting {
                let place = self.conns.len();
                self.conns.push(None);
                self.connect(place, role)?;
            }
            self.last_event = Instant::now();
            while waiting > 0 {
                self.turn(Some(Duration::from_secs(1)), &mut |place, met| match met {
                    Met::In => {
                        waiting = waiting.saturating_sub(1);
                        Ok(())
                    }
                    Met::Payload(_) => Ok(()),
                    Met::Out => Err(ended(place)),
                })?;
                self.check_silence("joining")?;
            }
        }
        Ok(())
    }

    /// So many places, at which nobody is yet.
    pub(super) fn make_places(&mut self, count: usize) {
        self.conns
            .extend(core::iter::repeat_with(|| None).take(count));
    }

    /// Begins a connection at a place; what it says first goes out as it is made.
    pub(super) fn connect(&mut self, place: usize, role: Role) -> Result<(), BenchError> {
        let socket = Socket::with_mode(Family::INET, Kind::STREAM, Tcp::TCP, Mode::NonBlock)?;
        // Many connections one after the other would use up the ports of one address.
        socket.set(opt::ip::BindAddressNoPort, true)?;
        let octet = u8::try_from(self.made % 64).unwrap_or(0) + 1;
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, octet), 0)))?;
        match socket.connect(self.addr) {
            Err(error) if error.errno() != Some(Errno::EINPROGRESS) => return Err(error.into()),
            _ => {}
        }
        socket.set(opt::NoDelay, true)?;
        let key = Key(place as u64);
        let wanted = Interest::READABLE | Interest::WRITABLE;
        self.selector
            .register(socket.as_fd(), key, wanted, Trigger::Level)?;
        let mut out = Vec::new();
        if self.rooms > 1 {
            self.protocol.change_room(self.made % self.rooms, &mut out);
        }
        self.protocol.hello(role, self.made, &mut out);
        self.made += 1;
        if let Some(free) = self.conns.get_mut(place) {
            *free = Some(Conn {
                socket,
                role,
                begun: Vec::new(),
                out,
                sent: 0,
                is_writing: true,
                is_in: false,
            });
        }
        Ok(())
    }

    /// Ends our side of one: the server will end its own, and then it is out.
    pub(super) fn leave(&mut self, place: usize) -> Result<(), BenchError> {
        let Some(Some(conn)) = self.conns.get_mut(place) else {
            return Ok(());
        };
        match conn.socket.shutdown(Shutdown::WRITE) {
            // The server was first.
            Err(error) if error.errno() == Some(Errno::ENOTCONN) => Ok(()),
            told => Ok(told?),
        }
    }

    /// Adds bytes to what one says; they go out by [`Crowd::flush`].
    pub(super) fn outgoing(&mut self, place: usize) -> Option<&mut Vec<u8>> {
        let conn = self.conns.get_mut(place)?.as_mut()?;
        Some(&mut conn.out)
    }

    /// Sends what waits, and asks to be told of room for what the kernel did not take.
    pub(super) fn flush(&mut self, place: usize) -> Result<(), BenchError> {
        match self.conns.get_mut(place) {
            Some(Some(conn)) => conn.flush(&self.selector, place),
            _ => Ok(()),
        }
    }

    /// Waits once, at most so long, and tells what everybody met.
    pub(super) fn turn(
        &mut self,
        limit: Option<Duration>,
        tell: &mut impl FnMut(usize, Met<'_>) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        let mut events = core::mem::take(&mut self.events);
        let waited = self.selector.wait(&mut events, limit);
        if !events.is_empty() {
            self.last_event = Instant::now();
        }
        let served = waited.map_err(BenchError::from).and_then(|()| {
            events.iter().try_for_each(|event| {
                let place = usize::try_from(event.key.0).unwrap_or(usize::MAX);
                if event.ready.is_writable() {
                    self.flush(place)?;
                }
                let ready = event.ready;
                if ready.is_readable() || ready.is_error() || ready.is_hang_up() {
                    self.hear(place, tell)?;
                }
                Ok(())
            })
        });
        self.events = events;
        served
    }

    /// Takes all that comes, until nothing more does for a moment.
    pub(super) fn calm_down(&mut self) -> Result<(), BenchError> {
        let end = Instant::now() + SILENCE_MAX;
        loop {
            self.turn(Some(CALM), &mut |place, met| match met {
                Met::Out => Err(ended(place)),
                Met::In | Met::Payload(_) => Ok(()),
            })?;
            if self.silence() >= CALM || Instant::now() > end {
                return Ok(());
            }
        }
    }

    /// The server stood still for so long, which is no silence of its own.
    pub(super) fn stood_still(&mut self, pause: Duration) {
        self.last_event += pause;
    }

    /// How long nothing has been ready.
    pub(super) fn silence(&self) -> Duration {
        self.last_event.elapsed()
    }

    /// # Errors
    /// Nothing was ready for too long.
    pub(super) fn check_silence(&self, what: &'static str) -> Result<(), BenchError> {
        if self.silence() > SILENCE_MAX {
            let seconds = SILENCE_MAX.as_secs();
            return Err(BenchError::Silent { what, seconds });
        }
        Ok(())
    }

    /// Reads once, and tells all that came whole.
    fn hear(
        &mut self,
        place: usize,
        tell: &mut impl FnMut(usize, Met<'_>) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        let Some(seat) = self.conns.get_mut(place) else {
            return Ok(());
        };
        let Some(conn) = seat else {
            return Ok(());
        };
        let Some(len) = conn.read(&mut self.buffer)? else {
            return Ok(());
        };
        if len == 0 {
            *seat = None;
            return tell(place, Met::Out);
        }
        let mut rest = self.buffer.get(..len).unwrap_or_default();
        loop {
            let len = match self.protocol.step(rest, self.payload_bytes) {
                Step::More => break,
                Step::Message { payload, len } => {
                    tell(place, Met::Payload(payload))?;
                    len
                }
                Step::Other(len) => len,
                Step::Ready(len) => {
                    if !conn.is_in {
                        conn.is_in = true;
                        tell(place, Met::In)?;
                    }
                    len
                }
                Step::Welcome(len) => {
                    self.protocol.enter(conn.role, &mut conn.out);
                    conn.flush(&self.selector, place)?;
                    len
                }
                Step::Asked { answer, len } => {
                    conn.out.extend_from_slice(answer);
                    conn.flush(&self.selector, place)?;
                    len
                }
                Step::Wrong => {
                    return Err(BenchError::Refused {
                        connection: place,
                        came: rest
                            .escape_ascii()
                            .take(SHOWN_BYTES)
                            .map(char::from)
                            .collect(),
                    });
                }
            };
            rest = rest.get(len..).unwrap_or_default();
        }
        conn.begun.extend_from_slice(rest);
        Ok(())
    }
}

/// A connection was ended that should not be.
pub(super) const fn ended(connection: usize) -> BenchError {
    BenchError::Ended {
        connection,
        position: 0,
    }
}

impl Conn {
    /// What had begun and what came, at the front of the buffer; zero at the end of the stream,
    /// and `None` if nothing came.
    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, BenchError> {
        let begun = self.begun.len();
        let Some((front, room)) = buffer.split_at_mut_checked(begun) else {
            return Err(BenchError::Invalid("a message above 256 KiB".to_owned()));
        };
        let len = match self.socket.recv(room, MsgFlags::NONE) {
            Ok(0) => return Ok(Some(0)),
            Ok(len) => len,
            Err(error) if error.is_would_block() => return Ok(None),
            Err(error) if error.errno() == Some(Errno::ECONNRESET) => return Ok(Some(0)),
            Err(error) => return Err(error.into()),
        };
        front.copy_from_slice(&self.begun);
        self.begun.clear();
        Ok(Some(begun + len))
    }

    fn flush(&mut self, selector: &Epoll, place: usize) -> Result<(), BenchError> {
        while let Some(left) = self.out.get(self.sent..).filter(|left| !left.is_empty()) {
            match self.socket.send(left, MsgFlags::NOSIGNAL) {
                Ok(len) => self.sent += len,
                Err(error) if error.is_would_block() => break,
                // Reading tells that it is over.
                Err(error) if error.errno() == Some(Errno::EPIPE) => self.sent = self.out.len(),
                Err(error) if error.errno() == Some(Errno::ECONNRESET) => {
                    self.sent = self.out.len();
                }
                Err(error) => return Err(error.into()),
            }
        }
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        } else if self.sent > SENT_BYTES_KEPT_MAX {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
        let must_write = !self.out.is_empty();
        if must_write != self.is_writing {
            self.is_writing = must_write;
            let mut wanted = Interest::READABLE;
            if must_write {
                wanted = Interest::READABLE | Interest::WRITABLE;
            }
            let key = Key(place as u64);
            selector.modify(self.socket.as_fd(), key, wanted, Trigger::Level)?;
        }
        Ok(())
    }
}
