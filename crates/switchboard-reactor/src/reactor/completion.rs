//! Letting the kernel complete operations, over io_uring: it receives into buffers of the ring, and
//! what is to be sent is handed over with the call that waits.
//!
//! Byte streams are received from and sent to this way: each has a receive that goes on by itself.
//! Everything else is in an epoll(7), which the ring polls, and is handled as with that selector:
//!
//! - streams that bring much at once, as long as they do: one read into the one large buffer,
//!   which stays in the processor's cache, is cheaper for them than many buffers, and leaves those
//!   to others;
//! - streams for which no buffer was left, so that nobody waits behind those who took them all;
//! - streams with a limit of reading, since a receive that goes on by itself keeps none;
//! - sequenced packets and datagrams, of which nothing may be cut off;
//! - inputs that are no sockets;
//! - listeners, since an accept that goes on by itself keeps no limit, and does not tell the peer;
//!   and what a ring holds of a process that was killed is let go some time later, so that the
//!   port would be taken still when the process is started again.
//!
//! While there is nothing else, the epoll is waited for without the ring.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::os::fd::BorrowedFd;

use berkeley::selector::{Backend, Interest, Key};
use berkeley::uring::{
    Buffer, Buffers, Completion as Completed, Group, Outcome, Ring, RingOptions,
};
use berkeley::uring::{Descriptors, KEY_BITS, SendId};
use berkeley::{Errno, Error, Result, Waker};
use bytes::Bytes;

use super::readiness::Readiness;
use super::write::BATCH_MIN;
use super::{READ_BYTES_MAX, Reactor, WRITE_BYTES_PER_TURN_MAX};
use crate::handler::Handler;
use crate::pieces::PIECES_PER_CALL_MAX;
use crate::slots::{Slots, Source, SourceKind, Stream, Token};
use crate::token_map::TokenMap;

/// Memory to receive into, where receives share it: each takes what it brings. Together it stays in
/// the processor's cache.
const SHARED: Buffers = Buffers {
    count: 8,
    bytes: 128 * 1024,
    shared: true,
};

/// The same where each receive takes a whole buffer, of which it touches only what it fills.
const SINGLE: Buffers = Buffers {
    count: 256,
    bytes: 16 * 1024,
    shared: false,
};

/// What has to come at once for a stream to be polled; and what has to be left of that, and how
/// often on end, for it to be received from again.
const POLLED_BYTES_MIN: usize = 16 * 1024;
const RECEIVED_BYTES_MAX: usize = 2 * 1024;
const RECEIVED_READS_MIN: u8 = 4;

/// The key of the epoll in the ring: that of the last token in the last place.
const POLLS_KEY: Key = Key((1 << KEY_BITS) - 1);

/// Bytes of one send that are copied rather than written with a call of their own.
const COPY_BYTES_MAX: usize = 2 * 1024;

/// A ring, and what it has told that could not be passed on yet.
#[derive(Debug)]
pub(super) struct Completion {
    ring: Ring,
    polls: Readiness,
    /// The ring polls the epoll.
    is_watching: bool,
    /// The epoll had something to tell.
    is_ready: bool,
    /// There is enough to do in this turn for sends to be handed over together.
    is_batch: bool,
    group: Group,
    /// Sends that are under way, one for a connection at most.
    flights: TokenMap<Flight>,
    /// What came from connections that are paused, or have had their share of this turn.
    parked: HashMap<Token, VecDeque<Arrival>>,
    /// Those of them that may be told more.
    waiting: VecDeque<Token>,
    /// Sources that want an operation.
    fresh: Vec<Token>,
    /// Connections that a send has failed on.
    broken: Vec<(Token, Error)>,
    /// Lent to each gathered send.
    pieces: Vec<Bytes>,
    /// True when the kernel has been told of anything.
    is_entered: bool,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    send: SendId,
    len: usize,
    /// As the outbox counts it.
    counted: usize,
}

/// What came from a connection.
#[derive(Debug)]
enum Arrival {
    Buffer(Buffer),
    /// Out of the ring's buffers, because it may stay for long.
    Copy(Bytes),
    End,
    Failure(Errno),
}

impl Arrival {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Buffer(buffer) => buffer,
            Self::Copy(bytes) => bytes,
            Self::End | Self::Failure(_) => &[],
        }
    }

    /// Cuts the first `len` bytes off; `None` if there are no more than that.
    fn cut(&mut self, len: usize) -> Option<Self> {
        if self.bytes().len() <= len {
            return None;
        }
        match self {
            Self::Buffer(buffer) => {
                let (first, rest) = (buffer.slice(..len)?, buffer.slice(len..)?);
                *buffer = rest;
                Some(Self::Buffer(first))
            }
            Self::Copy(bytes) => Some(Self::Copy(bytes.split_to(len))),
            Self::End | Self::Failure(_) => None,
        }
    }
}

/// What the keys of a ring stand for.
struct Sources<'a> {
    slots: &'a Slots,
    polls: &'a Readiness,
}

impl Descriptors for Sources<'_> {
    fn descriptor(&self, key: Key) -> Option<BorrowedFd<'_>> {
        if key == POLLS_KEY {
            return self.polls.descriptor();
        }
        self.slots.get(Token::from_key(key)).map(Source::fd)
    }
}

impl Completion {
    pub(super) fn new() -> Result<(Self, Waker)> {
        let mut ring = Ring::new(RingOptions::default())?;
        let buffers = if ring.has_shared_buffers() {
            SHARED
        } else {
            SINGLE
        };
        let group = ring.add_buffers(buffers)?;
        ring.end_starved();
        let (polls, waker) = Readiness::new(Backend::Epoll)?;
        let driver = Self {
            ring,
            polls,
            is_watching: false,
            is_ready: false,
            is_batch: false,
            group,
            flights: TokenMap::new(),
            parked: HashMap::new(),
            waiting: VecDeque::new(),
            fresh: Vec::new(),
            broken: Vec::new(),
            pieces: Vec::new(),
            is_entered: false,
        };
        Ok((driver, waker))
    }

    pub(super) fn is_busy(&self, slots: &Slots) -> bool {
        !self.waiting.is_empty() || !self.broken.is_empty() || self.polls.is_busy(slots)
    }

    pub(super) const fn polls(&mut self) -> &mut Readiness {
        &mut self.polls
    }

    /// What there should be an operation for, besides sends.
    pub(super) fn wanted(source: &Source) -> Option<Interest> {
        let wanted = source.wanted()?;
        if is_byte_stream(source) {
            return wanted
                .contains(Interest::READABLE)
                .then_some(Interest::READABLE);
        }
        Some(wanted)
    }

    /// There is one receive at a time for a source: where it is not wanted any more, it is
    /// cancelled, and its last completion leads here again.
    pub(super) fn update(&mut self, token: Token, source: &mut Source) -> Result<()> {
        let wanted = Self::wanted(source);
        let is_parked = source.marks.is_parked();
        if is_parked {
            match wanted {
                None => self.vacate(token),
                Some(_) if self.waiting.contains(&token) => {}
                Some(_) => self.waiting.push_back(token),
            }
        }
        let is_to_receive = should_receive(source);
        if source.marks.is_received() {
            if wanted.is_none() || !is_to_receive {
                self.ring.cancel_receive(token.key(), self.group);
            }
            return Ok(());
        }
        // What is parked comes first, and it may be enough for now.
        let wanted = wanted.filter(|_| !is_parked);
        if !is_to_receive {
            return self.polls.update(token, source, wanted);
        }
        if wanted.is_some() {
            self.fresh.push(token);
        }
        Ok(())
    }

    /// Begins the receives that sources still want at the end of a turn.
    fn begin(&mut self, slots: &mut Slots) {
        for token in self.fresh.drain(..) {
            let Some(source) = slots.get_mut(token) else {
                continue;
            };
            let wanted = Self::wanted(source);
            let is_new = source.watched.is_none() && !source.marks.is_parked();
            if wanted.is_some() && is_new && should_receive(source) {
                self.ring.receive(token.key(), self.group);
                source.marks.set_received(true);
                source.watched = wanted;
            }
        }
    }

    /// Waits for the ring, and for the epoll by way of it.
    fn wait(&mut self, slots: &Slots, limit: Option<Duration>) -> Result<()> {
        self.is_entered = true;
        let was_ready = core::mem::take(&mut self.is_ready);
        if !self.is_watching {
            self.is_watching = true;
            self.ring.poll_once(POLLS_KEY, Interest::READABLE);
        }
        let polls = &self.polls;
        self.ring.wait(&Sources { slots, polls }, limit)?;
        if was_ready {
            // What the epoll brings is long, and this would be behind it once more.
            self.ring.hurry()?;
        }
        self.is_batch = self.ring.completions() >= BATCH_MIN;
        Ok(())
    }

    /// True while nothing can come but what is polled.
    fn is_idle(&self) -> bool {
        self.is_entered && self.ring.is_idle() && self.waiting.is_empty() && self.broken.is_empty()
    }

    /// Moves what is parked for a paused connection out of the ring's buffers: it may be long.
    fn vacate(&mut self, token: Token) {
        for arrival in self.parked.get_mut(&token).into_iter().flatten() {
            if let Arrival::Buffer(buffer) = arrival {
                *arrival = Arrival::Copy(Bytes::copy_from_slice(buffer));
            }
        }
    }

    /// Polls a stream from now on, instead of receiving from it.
    pub(super) fn poll_stream(&mut self, token: Token, source: &mut Source) -> Result<()> {
        if source.marks.is_polled() {
            return Ok(());
        }
        source.marks.set_polled(true);
        self.update(token, source)
    }

    /// Receives from a stream again that was polled.
    fn receive_stream(&mut self, token: Token, source: &mut Source) -> Result<()> {
        self.polls.update(token, source, None)?;
        source.marks.set_polled(false);
        self.update(token, source)
    }

    /// A receive holds the file: the connection ends when it has been cancelled, with the next
    /// wait.
    pub(super) fn forget(&mut self, token: Token, source: &Source) {
        if source.marks.is_received() {
            self.ring.cancel_receive(token.key(), self.group);
        } else {
            self.polls.forget(token, source);
        }
        if let Some(flight) = self.flights.remove(token) {
            self.ring.cancel_send(token.key(), flight.send);
        }
        if source.marks.is_parked() {
            self.parked.remove(&token);
            self.waiting.retain(|other| *other != token);
        }
    }

    /// Notes that a connection cannot be written to. What it said last may be in the ring still.
    pub(super) fn give_up(&mut self, token: Token, error: Error) {
        self.broken.push((token, error));
    }

    pub(super) const fn is_batch(&self) -> bool {
        self.is_batch
    }

    /// Whether so many bytes that are shown are to be copied and handed over.
    pub(super) const fn sends(&self, len: usize) -> bool {
        self.is_batch && len <= COPY_BYTES_MAX
    }

    /// Whether so many bytes that many get are to be copied and handed over.
    pub(super) const fn copies(len: usize) -> bool {
        len <= COPY_BYTES_MAX
    }

    /// Tells the kernel what was prepared, without waiting.
    pub(super) fn submit(&mut self, slots: &Slots) -> Result<()> {
        if self.is_entered {
            let polls = &self.polls;
            self.ring
                .wait(&Sources { slots, polls }, Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// Hands a copy over.
    pub(super) fn send_copy(&mut self, token: Token, stream: &mut Stream, bytes: &[u8]) {
        let send = self.ring.send_copy(token.key(), bytes);
        let counted = stream.outbox.count_one(bytes.len());
        self.depart(token, stream, send, bytes.len(), counted);
    }

    /// Hands something over that others get too.
    pub(super) fn send_shared(&mut self, token: Token, stream: &mut Stream, bytes: Bytes) {
        let len = bytes.len();
        let send = self.ring.send(token.key(), bytes);
        let counted = stream.outbox.count_one(len);
        self.depart(token, stream, send, len, counted);
    }

    fn depart(
        &mut self,
        token: Token,
        stream: &mut Stream,
        send: SendId,
        len: usize,
        counted: usize,
    ) {
        let flight = Flight { send, len, counted };
        self.flights.insert(token, flight);
        stream.blocked = true;
    }
}

/// It should have a receive that goes on by itself.
fn should_receive(source: &Source) -> bool {
    is_byte_stream(source) && !source.marks.is_polled()
}

fn is_byte_stream(source: &Source) -> bool {
    matches!(&source.kind, SourceKind::Stream(stream) if !stream.has_records())
}

impl Reactor {
    /// Waits, and passes on what the kernel has completed.
    pub(super) fn wait_complete<H: Handler>(
        &mut self,
        handler: &mut H,
        limit: Option<Duration>,
    ) -> Result<()> {
        let Some(driver) = self.driver.completion() else {
            return Ok(());
        };
        driver.begin(&mut self.slots);
        if driver.is_idle() {
            driver.is_batch = false;
            return self.wait_ready(handler, limit);
        }
        driver.wait(&self.slots, limit)?;
        for _ in 0..driver.waiting.len() {
            self.unpark(handler);
        }
        let mut share = Share::default();
        while let Some(completed) = self.driver.completion().and_then(|it| it.ring.next()) {
            self.completed(handler, completed, &mut share);
        }
        self.break_all(handler);
        let polls = self.driver.completion();
        if polls.is_some_and(|driver| driver.is_ready || driver.polls.is_busy(&self.slots)) {
            self.wait_ready(handler, Some(Duration::ZERO))?;
        }
        Ok(())
    }

    fn completed<H: Handler>(&mut self, handler: &mut H, completed: Completed, share: &mut Share) {
        let token = Token::from_key(completed.key);
        match completed.outcome {
            Outcome::Received(result) => {
                self.arrived(handler, token, result, completed.more, share);
            }
            Outcome::Sent(result) => self.sent(handler, token, result),
            Outcome::Polled(_) => {
                if let Some(driver) = self.driver.completion() {
                    driver.is_watching = false;
                    driver.is_ready = true;
                }
            }
            // Nothing else is asked for.
            _ => {}
        }
    }

    fn arrived<H: Handler>(
        &mut self,
        handler: &mut H,
        token: Token,
        result: core::result::Result<Buffer, Errno>,
        goes_on: bool,
        share: &mut Share,
    ) {
        // What comes late for a source that is gone is nobody's.
        let Some(source) = self.slots.get_mut(token) else {
            return;
        };
        if !goes_on {
            source.watched = None;
            source.marks.set_received(false);
        }
        let arrival = match result {
            Ok(buffer) if buffer.is_empty() => Arrival::End,
            Ok(buffer) => Arrival::Buffer(buffer),
            Err(Errno::ECANCELED) => return self.rewatch(token),
            // The buffers have run out. It need not wait for one behind those who took them.
            Err(Errno::ENOBUFS) => {
                source.marks.set_polled(true);
                return self.rewatch(token);
            }
            Err(errno) => Arrival::Failure(errno),
        };
        let SourceKind::Stream(stream) = &mut source.kind else {
            return;
        };
        let len = arrival.bytes().len();
        let limit = usize::try_from(stream.read_bytes_max).unwrap_or(usize::MAX);
        let is_flood = share.is_passed_by(token, len);
        if len >= POLLED_BYTES_MIN
            && let Some(driver) = self.driver.completion()
        {
            // While it is received from, this only ends that.
            drop(driver.poll_stream(token, source));
        }
        if is_flood || len > limit || source.marks.is_parked() || source.is_deaf() {
            self.park(token, arrival);
        } else {
            self.pass_on(handler, token, &arrival);
        }
        if !goes_on {
            self.rewatch(token);
        }
    }

    /// Keeps what came until there is time for it.
    fn park(&mut self, token: Token, arrival: Arrival) {
        let (Some(source), Some(driver)) = (self.slots.get_mut(token), self.driver.completion())
        else {
            return;
        };
        let arrival = match arrival {
            Arrival::Buffer(buffer) if source.is_deaf() => {
                Arrival::Copy(Bytes::copy_from_slice(&buffer))
            }
            arrival => arrival,
        };
        driver.parked.entry(token).or_default().push_back(arrival);
        if !source.marks.is_parked() {
            source.marks.set_parked(true);
            if !source.is_deaf() {
                driver.waiting.push_back(token);
            }
        }
    }

    /// Passes on a portion of what was parked for the connection that has waited longest.
    fn unpark<H: Handler>(&mut self, handler: &mut H) {
        let Some(driver) = self.driver.completion() else {
            return;
        };
        let Some(token) = driver.waiting.pop_front() else {
            return;
        };
        let Some(source) = self.slots.get_mut(token) else {
            return;
        };
        // It was paused meanwhile, and waits again when it is resumed.
        if source.is_deaf() {
            return;
        }
        let limit = match &source.kind {
            SourceKind::Stream(stream) => stream.read_bytes_max,
            _ => u32::MAX,
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let Some(row) = driver.parked.get_mut(&token) else {
            return;
        };
        let cut = row.front_mut().and_then(|first| first.cut(limit));
        let Some(arrival) = cut.or_else(|| row.pop_front()) else {
            return;
        };
        if row.is_empty() {
            driver.parked.remove(&token);
            source.marks.set_parked(false);
        } else {
            driver.waiting.push_back(token);
        }
        self.pass_on(handler, token, &arrival);
        self.rewatch(token);
    }

    #[inline]
    fn pass_on<H: Handler>(&mut self, handler: &mut H, token: Token, arrival: &Arrival) {
        match arrival {
            Arrival::Buffer(_) | Arrival::Copy(_) => {
                let Some(stream) = self.slots.stream_mut(token) else {
                    return;
                };
                // A connection that is being finished: what still comes is thrown away.
                if stream.is_finishing() {
                    return;
                }
                let is_free = stream.is_free();
                if let Some(outcome) = self.show(handler, token, is_free, arrival.bytes()) {
                    self.after_flush(handler, token, outcome);
                }
            }
            Arrival::End => self.end(handler, token),
            Arrival::Failure(errno) => self.fail(handler, token, Error::os("recv", *errno)),
        }
    }

    fn sent<H: Handler>(
        &mut self,
        handler: &mut H,
        token: Token,
        result: core::result::Result<usize, Errno>,
    ) {
        let Some(driver) = self.driver.completion() else {
            return;
        };
        let (Some(flight), Some(stream)) =
            (driver.flights.remove(token), self.slots.stream_mut(token))
        else {
            return;
        };
        stream.blocked = false;
        stream.outbox.discount(flight.counted);
        match result {
            Ok(len) if len == flight.len => {
                stream.took();
                if stream.outbox.is_empty() {
                    self.flushed(handler, token);
                } else {
                    self.mark(token);
                }
            }
            // It failed in between: the next call would say so.
            Ok(_) => driver.give_up(token, Error::os("send", Errno::EPIPE)),
            Err(errno) => driver.give_up(token, Error::os("send", errno)),
        }
    }

    /// Takes note of how much a stream brought that is polled.
    pub(super) fn weigh(&mut self, token: Token, len: usize) {
        let Some(driver) = self.driver.completion() else {
            return;
        };
        let Some(source) = self.slots.get_mut(token) else {
            return;
        };
        let SourceKind::Stream(stream) = &source.kind else {
            return;
        };
        if !source.marks.is_polled() || stream.read_bytes_max != u32::MAX {
            return;
        }
        if source.marks.count_small(len <= RECEIVED_BYTES_MAX) == RECEIVED_READS_MIN {
            source.marks.count_small(false);
            if let Err(error) = driver.receive_stream(token, source) {
                self.failed.push((token, error));
            }
        }
    }

    /// Gives up the connections that could not be written to. What they said last comes first.
    fn break_all<H: Handler>(&mut self, handler: &mut H) {
        let Some(driver) = self.driver.completion() else {
            return;
        };
        if driver.broken.is_empty() {
            return;
        }
        for (token, error) in core::mem::take(&mut driver.broken) {
            while self
                .slots
                .get(token)
                .is_some_and(|it| it.marks.is_parked() && !it.is_deaf())
            {
                let Some(driver) = self.driver.completion() else {
                    return;
                };
                driver.waiting.retain(|other| *other != token);
                driver.waiting.push_front(token);
                self.unpark(handler);
            }
            self.break_off(handler, token, error);
        }
    }

    /// Hands over what waits for a connection.
    pub(super) fn hand_over<H: Handler>(&mut self, handler: &mut H, token: Token) {
        let Some(stream) = self.slots.stream_mut(token) else {
            return;
        };
        if stream.blocked {
            return;
        }
        if stream.outbox.has_pieces() {
            self.depart(token);
        } else {
            self.flushed(handler, token);
        }
    }

    /// The same where something waits, and nothing is under way.
    pub(super) fn depart(&mut self, token: Token) {
        let (Some(stream), Some(driver)) = (self.slots.stream_mut(token), self.driver.completion())
        else {
            return;
        };
        let most = WRITE_BYTES_PER_TURN_MAX;
        let Some((first, mut counted)) = stream.outbox.take(&mut self.pool, most) else {
            return;
        };
        let mut len = first.len();
        let key = token.key();
        let send = if stream.outbox.has_pieces() && len < most {
            driver.pieces.push(first);
            while driver.pieces.len() < PIECES_PER_CALL_MAX
                && len < most
                && let Some((piece, counts)) = stream.outbox.take(&mut self.pool, most - len)
            {
                len += piece.len();
                counted += counts;
                driver.pieces.push(piece);
            }
            driver.ring.send_gathered(key, driver.pieces.drain(..))
        } else {
            driver.ring.send(key, first)
        };
        driver.depart(token, stream, send, len, counted);
    }
}

/// What one connection has had in a turn. What a receive brings that goes on by itself stands
/// together.
#[derive(Debug, Default)]
struct Share {
    of: Option<Token>,
    bytes: usize,
}

impl Share {
    /// Adds so many bytes; true if that is more than a share, and not the first of it.
    fn is_passed_by(&mut self, token: Token, bytes: usize) -> bool {
        if self.of != Some(token) {
            *self = Self {
                of: Some(token),
                bytes,
            };
            return false;
        }
        self.bytes += bytes;
        self.bytes > READ_BYTES_MAX
    }
}
