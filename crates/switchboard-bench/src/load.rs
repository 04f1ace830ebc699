//! The load: one thread, many connections, each with a fixed number of requests on the way.
//!
//! It must not be what is measured. So it reads a socket once a turn with room for everything that
//! can come, answers all of it with one write, allocates nothing on the way, and compares what
//! comes with a table, whole slices at a time.

use core::time::Duration;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Instant;

use berkeley::selector::{Epoll, Event, Interest, Key, Selector, Trigger};
use berkeley::{Family, Kind, Mode, MsgFlags, Protocol, Socket, opt};
use hdrhistogram::Histogram;

use crate::BenchError;
use crate::turns::Traffic;

/// Connections that are made before the server has to have accepted them: fewer than any queue of
/// listen(2) holds, because a connection that finds it full is tried again only after a second.
const BATCH: usize = 100;

/// How long a server may let us wait for anything.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// How long one wait lasts at most, so that the end of a run and silence are noticed.
const WAIT_MAX: Duration = Duration::from_millis(200);

/// The longest request, in bytes.
pub(crate) const REQUEST_BYTES_MAX: usize = 1 << 20;

/// The most requests on the way in one connection.
pub(crate) const DEPTH_MAX: usize = 1024;

const READ_BYTES: usize = 256 * 1024;

/// The latencies of many requests, in nanoseconds, to two digits, up to a minute.
pub(crate) fn histogram() -> Result<Histogram<u64>, BenchError> {
    Histogram::new_with_bounds(1, 60_000_000_000, 2)
        .map_err(|error| BenchError::Invalid(error.to_string()))
}

/// What all streams consist of: random bytes that repeat after a prime number of them. So a byte
/// that is lost, doubled, out of place or another connection's does not go unseen.
#[derive(Debug)]
struct Pattern(Vec<u8>);

impl Pattern {
    const PERIOD: usize = 8191;
    const SLICE_BYTES_MAX: usize = 64 * 1024;

    fn new() -> Self {
        let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut next = || {
            // xorshift64 (Marsaglia, "Xorshift RNGs").
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        let once: Vec<u8> = (0..Self::PERIOD).map(|_| next()).collect();
        let all = once.iter().cycle().copied();
        Self(all.take(Self::PERIOD + Self::SLICE_BYTES_MAX).collect())
    }

    /// Up to `len` bytes from a place on, at most as many as one slice has.
    fn at(&self, place: u64, len: usize) -> &[u8] {
        let period = Self::PERIOD as u64;
        let start = usize::try_from(place % period).unwrap_or(0);
        let len = len.min(Self::SLICE_BYTES_MAX);
        self.0.get(start..start + len).unwrap_or_default()
    }
}

/// What the requests look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) bytes: usize,
    pub(crate) depth: usize,
}

/// One connection.
#[derive(Debug)]
struct Conn {
    socket: Socket,
    /// Where its stream begins in the pattern.
    seed: u64,
    /// Bytes of all requests so far, those that wait for the kernel included.
    issued: u64,
    /// Bytes that the kernel has taken.
    sent: u64,
    /// Bytes that came back.
    received: u64,
    is_writing: bool,
}

/// Many connections to one server.
#[derive(Debug)]
pub(crate) struct Load {
    selector: Epoll,
    events: Vec<Event>,
    pattern: Pattern,
    buffer: Vec<u8>,
    conns: Vec<Conn>,
    shape: Shape,
    /// When each request on the way was begun: `depth` places for each connection, in
    /// nanoseconds since `began`.
    begun_ns: Vec<u64>,
    began: Instant,
    requests: u64,
    last_answer: Instant,
}

impl Load {
    /// Connects so many times. The server has accepted all of them when this returns.
    ///
    /// # Errors
    /// Connecting fails, or the server does not answer.
    pub(crate) fn connect(
        addr: SocketAddr,
        connections: usize,
        shape: Shape,
    ) -> Result<Self, BenchError> {
        let now = Instant::now();
        let mut load = Self {
            selector: Epoll::new()?,
            events: Vec::new(),
            pattern: Pattern::new(),
            buffer: vec![0; READ_BYTES],
            conns: Vec::with_capacity(connections),
            shape,
            begun_ns: vec![0; connections * shape.depth],
            began: now,
            requests: 0,
            last_answer: now,
        };
        for number in 1..=connections {
            load.add(addr)?;
            if number % BATCH == 0 || number == connections {
                load.greet(number - 1)?;
            }
        }
        Ok(load)
    }

    fn add(&mut self, addr: SocketAddr) -> Result<(), BenchError> {
        let place = self.conns.len();
        let socket = Socket::with_mode(
            Family::INET,
            Kind::STREAM,
            Protocol::TCP,
            Mode::Within(SILENCE_MAX),
        )?;
        socket.connect(addr)?;
        socket.set(opt::NoDelay, true)?;
        // Nothing is left to lose when we close, and no port has to stay reserved for a minute
        // (TIME_WAIT), of which ten thousand a run would soon be too many.
        socket.set(opt::Linger, Some(Duration::ZERO))?;
        let key = Key(place as u64);
        self.selector
            .register(socket.as_fd(), key, Interest::READABLE, Trigger::Level)?;
        self.conns.push(Conn {
            socket,
            seed: place as u64 * 37,
            issued: 0,
            sent: 0,
            received: 0,
            is_writing: false,
        });
        Ok(())
    }

    /// Sends one request and waits for its echo. Servers accept in the order of connecting, so
    /// all connections up to this one are accepted then.
    fn greet(&mut self, place: usize) -> Result<(), BenchError> {
        let Some(conn) = self.conns.get_mut(place) else {
            return Ok(());
        };
        let bytes = self.shape.bytes.min(Pattern::SLICE_BYTES_MAX);
        conn.socket.set_mode(Mode::Within(SILENCE_MAX))?;
        conn.socket
            .send_all(self.pattern.at(conn.seed + conn.sent, bytes))?;
        conn.issued += bytes as u64;
        conn.sent = conn.issued;
        while conn.received < conn.issued {
            receive(place, conn, &self.pattern, &mut self.buffer)?;
        }
        Ok(())
    }

    /// One request and its echo on each connection, one after the other.
    ///
    /// # Errors
    /// The server does not answer, or wrongly.
    pub(crate) fn greet_all(&mut self) -> Result<(), BenchError> {
        (0..self.conns.len()).try_for_each(|place| self.greet(place))
    }

    /// Begins all requests, and goes on until each connection has had an answer and `length` has
    /// passed.
    ///
    /// # Errors
    /// The server does not answer, or wrongly.
    pub(crate) fn warm_up(&mut self, length: Duration) -> Result<(), BenchError> {
        let mut waiting = Vec::with_capacity(self.conns.len());
        for place in 0..self.conns.len() {
            let now_ns = self.now_ns();
            let shape = self.shape;
            let starts = self.begun_ns.iter_mut().skip(place * shape.depth);
            starts.take(shape.depth).for_each(|start| *start = now_ns);
            if let Some(conn) = self.conns.get_mut(place) {
                conn.socket.set_mode(Mode::NonBlock)?;
                // The greeting is over: requests are counted from here on.
                conn.seed += conn.received;
                (conn.issued, conn.sent, conn.received) = (0, 0, 0);
                conn.issued = (shape.bytes * shape.depth) as u64;
                waiting.push(place);
            }
            self.flush(place)?;
        }
        let end = Instant::now() + length;
        let mut none = None;
        self.last_answer = Instant::now();
        while !waiting.is_empty() || Instant::now() < end {
            self.turn(&mut none)?;
            let bytes = self.shape.bytes as u64;
            waiting.retain(|place| {
                let conn = self.conns.get(*place);
                conn.is_some_and(|conn| conn.received < bytes)
            });
        }
        Ok(())
    }

    /// Keeps the requests going for so long, and tells their latencies to the histogram.
    ///
    /// # Errors
    /// The server does not answer, or wrongly.
    pub(crate) fn run(
        &mut self,
        length: Duration,
        latencies: &mut Histogram<u64>,
    ) -> Result<(), BenchError> {
        let end = Instant::now() + length;
        let mut latencies = Some(latencies);
        while Instant::now() < end {
            self.turn(&mut latencies)?;
        }
        Ok(())
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Waits once, and serves what is ready.
    fn turn(&mut self, latencies: &mut Option<&mut Histogram<u64>>) -> Result<(), BenchError> {
        let mut events = core::mem::take(&mut self.events);
        let waited = self.selector.wait(&mut events, Some(WAIT_MAX));
        let served = waited.map_err(BenchError::from).and_then(|()| {
            events.iter().try_for_each(|event| {
                let place = usize::try_from(event.key.0).unwrap_or(usize::MAX);
                if event.ready.is_readable() {
                    self.answer(place, latencies)?;
                }
                if event.ready.is_writable() {
                    self.flush(place)?;
                }
                Ok(())
            })
        });
        if events.is_empty() && self.last_answer.elapsed() > SILENCE_MAX {
            return Err(BenchError::Silent {
                what: "under load",
                seconds: SILENCE_MAX.as_secs(),
            });
        }
        if !events.is_empty() {
            self.last_answer = Instant::now();
        }
        self.events = events;
        served
    }

    /// Takes what came, and begins as many requests as have ended.
    fn answer(
        &mut self,
        place: usize,
        latencies: &mut Option<&mut Histogram<u64>>,
    ) -> Result<(), BenchError> {
        let now_ns = self.now_ns();
        let Shape { bytes, depth } = self.shape;
        let Some(conn) = self.conns.get_mut(place) else {
            return Ok(());
        };
        let done = conn.received / bytes as u64;
        receive(place, conn, &self.pattern, &mut self.buffer)?;
        let ended = conn.received / bytes as u64 - done;
        if ended == 0 {
            return Ok(());
        }
        conn.issued += ended * bytes as u64;
        self.requests += ended;
        for request in done..done + ended {
            let slot = usize::try_from(request % depth as u64).unwrap_or(0);
            if let Some(begun_ns) = self.begun_ns.get_mut(place * depth + slot) {
                if let Some(latencies) = latencies {
                    latencies.saturating_record(now_ns.saturating_sub(*begun_ns));
                }
                *begun_ns = now_ns;
            }
        }
        self.flush(place)
    }

    /// Sends what waits, and asks to be told of room for what the kernel did not take.
    fn flush(&mut self, place: usize) -> Result<(), BenchError> {
        let Some(conn) = self.conns.get_mut(place) else {
            return Ok(());
        };
        while conn.sent < conn.issued {
            let left = usize::try_from(conn.issued - conn.sent).unwrap_or(usize::MAX);
            let piece = self.pattern.at(conn.seed + conn.sent, left);
            match conn.socket.send(piece, MsgFlags::NONE) {
                Ok(len) => conn.sent += len as u64,
                Err(error) if error.is_would_block() => break,
                Err(error) => return Err(error.into()),
            }
        }
        let must_write = conn.sent < conn.issued;
        if must_write != conn.is_writing {
            conn.is_writing = must_write;
            let interest = if must_write {
                Interest::READABLE | Interest::WRITABLE
            } else {
                Interest::READABLE
            };
            let key = Key(place as u64);
            self.selector
                .modify(conn.socket.as_fd(), key, interest, Trigger::Level)?;
        }
        Ok(())
    }
}

impl Traffic for Load {
    /// What is not told is the warm-up, which begins all requests.
    fn go_on(
        &mut self,
        length: Duration,
        latencies: &mut Option<&mut Histogram<u64>>,
    ) -> Result<(), BenchError> {
        match latencies {
            None => self.warm_up(length),
            Some(latencies) => self.run(length, latencies),
        }
    }

    fn count(&self) -> u64 {
        self.requests
    }

    fn least(&self) -> u64 {
        self.begun_ns.len() as u64
    }

    fn stood_still(&mut self, pause: Duration) {
        self.began += pause;
        self.last_answer += pause;
    }
}

/// Reads once, and compares every byte with what was sent.
fn receive(
    place: usize,
    conn: &mut Conn,
    pattern: &Pattern,
    buffer: &mut [u8],
) -> Result<(), BenchError> {
    let len = match conn.socket.recv(buffer, MsgFlags::NONE) {
        Ok(0) => {
            return Err(BenchError::Ended {
                connection: place,
                position: conn.received,
            });
        }
        Ok(len) => len,
        Err(error) if error.is_would_block() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let came = buffer.get(..len).unwrap_or_default();
    for piece in came.chunks(Pattern::SLICE_BYTES_MAX) {
        let sent = pattern.at(conn.seed + conn.received, piece.len());
        if sent != piece {
            let same = sent.iter().zip(piece).take_while(|(a, b)| a == b).count();
            return Err(BenchError::WrongEcho {
                connection: place,
                position: conn.received + same as u64,
            });
        }
        conn.received += piece.len() as u64;
    }
    if conn.received > conn.issued {
        return Err(BenchError::WrongEcho {
            connection: place,
            position: conn.issued,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::thread;

    use super::{Load, Shape, histogram};
    use crate::BenchError;
    use crate::turns::Traffic;

    /// A server with a thread for each connection, which answers with what `change` makes of its
    /// bytes.
    fn server(change: fn(&mut [u8], &mut usize)) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                thread::spawn(move || answer(stream, change));
            }
        });
        addr
    }

    fn answer(mut stream: TcpStream, change: fn(&mut [u8], &mut usize)) {
        let mut buffer = [0; 4096];
        let mut position = 0;
        while let Ok(len @ 1..) = stream.read(&mut buffer) {
            change(&mut buffer[..len], &mut position);
            if stream.write_all(&buffer[..len]).is_err() {
                return;
            }
        }
    }

    fn shape(bytes: usize, depth: usize) -> Shape {
        Shape { bytes, depth }
    }

    #[test]
    fn every_request_is_counted_and_has_a_latency() {
        for shape in [shape(1, 1), shape(64, 16), shape(100_000, 3)] {
            let mut load = Load::connect(server(|_, _| {}), 5, shape).unwrap();
            load.warm_up(Duration::from_millis(5)).unwrap();
            let mut latencies = histogram().unwrap();
            let before = load.count();
            load.run(Duration::from_millis(50), &mut latencies).unwrap();
            let requests = load.count() - before;
            assert!(requests > 0, "{shape:?}");
            assert_eq!(latencies.len(), requests, "{shape:?}");
            assert!(latencies.min() > 0);
        }
    }

    #[test]
    fn a_byte_that_is_not_the_one_that_was_sent_is_found() {
        // The greeting of 64 bytes is in order, and byte 1,000 of the requests is not.
        let addr = server(|bytes, position| {
            let wrong = 1064_usize.checked_sub(*position);
            if let Some(byte) = wrong.and_then(|place| bytes.get_mut(place)) {
                *byte ^= 1;
            }
            *position += bytes.len();
        });
        let mut load = Load::connect(addr, 1, shape(64, 4)).unwrap();
        let found = load.warm_up(Duration::from_secs(20)).unwrap_err();
        let expected = |error: &BenchError| {
            matches!(
                error,
                BenchError::WrongEcho {
                    connection: 0,
                    position: 1000
                }
            )
        };
        assert!(expected(&found), "{found}");
    }

    #[test]
    fn a_server_that_ends_a_connection_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = thread::spawn(move || drop(listener.accept().unwrap()));
        let found = Load::connect(addr, 1, shape(64, 1)).unwrap_err();
        let is_end = matches!(found, BenchError::Ended { .. } | BenchError::Socket(_));
        assert!(is_end, "{found}");
        server.join().unwrap();
    }

    #[test]
    fn percentiles_are_those_of_exact_sorting_to_two_digits() {
        let mut latencies = histogram().unwrap();
        // From microseconds to seconds, most of them short: as latencies are.
        let mut exact: Vec<u64> = (1..20_000_u64)
            .map(|place| 1000 + place.pow(3) / 8000 + place * 7919 % 4001)
            .collect();
        for value in &exact {
            latencies.saturating_record(*value);
        }
        exact.sort_unstable();
        for quantile in [0.01, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let rank = (quantile * exact.len() as f64).ceil();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a place in a short list"
            )]
            let wanted = exact[rank as usize - 1] as f64;
            let found = latencies.value_at_quantile(quantile) as f64;
            let off = (found / wanted - 1.0).abs();
            assert!(off < 0.01, "{quantile}: {found} for {wanted}");
        }
    }
}
