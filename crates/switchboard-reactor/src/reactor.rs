//! A reactor: what it owns, and what a handler may ask of it. Its loop is in `turn`.

mod completion;
mod driver;
mod feeds;
mod readiness;
mod spare;
mod turn;
mod write;

use core::ops::Range;
use core::time::Duration;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::time::Instant;

use berkeley::selector::Backend;
use berkeley::{Addr, Error, Mode, MsgFlags, Result, Socket, Waker, opt};
use bytes::Bytes;

use crate::feed::Feeds;
use crate::handler::SendError;
use crate::mailbox::{Receiver, Sender, mailbox};
use crate::pieces::{PIECE_BYTES, Piece, Pool};
use crate::slots::{Due, Slots, Source, SourceKind, Stage, Stream, Token};
use crate::timers::{TimerId, Timers};
use driver::Driver;
use spare::Spare;

/// Bytes that are read from one socket at once at most. Large reads are what makes bulk
/// transfers cheap; one buffer of this size serves all connections.
pub const READ_BYTES_MAX: usize = 256 * 1024;

/// Connections that are accepted from one listener in one turn at most.
pub const ACCEPTS_PER_TURN_MAX: usize = 64;

/// Datagrams that are taken from one socket in one turn at most.
pub const DATAGRAMS_PER_TURN_MAX: usize = 64;

/// Bytes that are written to one byte stream at the end of one turn at most; the rest follows in
/// the next one, when there is room. Messages of sequenced-packet connections are written whole.
pub const WRITE_BYTES_PER_TURN_MAX: usize = 512 * 1024;

/// Reads by which the last words of a connection are fetched that cannot be written to any more.
/// They hold more than any receive buffer, and they bound what a peer can add meanwhile.
const LAST_READS_MAX: usize = 64;

/// How long a listener rests in milliseconds that cannot accept, at first. Without the rest the
/// waiting connection would make the loop spin.
pub const ACCEPT_REST_MS_MIN: u32 = 10;

/// How long it rests at most, when it could not again and again: who comes when there are
/// descriptors again is accepted within a second, with half of it to spare.
pub const ACCEPT_REST_MS_MAX: u32 = 500;

/// One thread's sockets. See the crate's documentation.
#[derive(Debug)]
pub struct Reactor {
    driver: Driver,
    /// Why it is not the one that was asked for.
    fallback: Option<Error>,
    slots: Slots,
    timers: Timers<Due>,
    /// Connections that were to be finished in this turn, and until when.
    ending: Vec<(Token, Instant)>,
    /// The time limits of those that are not finished then: few at a time.
    finishing: HashMap<Token, TimerId>,
    waker: Waker,
    /// What waits to be written to connections.
    pool: Pool,
    feeds: Feeds,
    /// How long a peer may take nothing of what waits for it.
    stall_limit: Option<Duration>,
    /// Connections with something to write.
    dirty: Vec<Token>,
    /// Listeners at which somebody waits.
    knocked: Vec<Token>,
    /// Connections that were sent a part of what the handler is looking at.
    borrowers: Vec<Token>,
    shown: Shown,
    /// Connections that failed inside a call of the handler, to be told outside of it.
    failed: Vec<(Token, Error)>,
    /// Lent to each read in turn, hence empty while the handler looks at what was read.
    buffer: Box<[u8]>,
    spare: Spare,
    running: bool,
    stopped: bool,
}

/// What the handler is looking at.
#[derive(Debug)]
struct Shown {
    /// Whom it came from.
    from: Token,
    /// Where it lies in memory.
    start: usize,
    /// How long it is; zero while there is no such thing.
    len: usize,
    /// Nothing waits for that peer, so that a part of it may go back there at once.
    is_free: bool,
    /// The part of it that goes back there, if nothing else waits for that peer; else empty.
    echo: Range<usize>,
}

impl Reactor {
    /// A reactor on a selector; for [`Backend::IoUring`] on a ring, whose operations the kernel
    /// completes. Where there can be no ring, it takes [`Backend::Epoll`], and
    /// [`Reactor::fallback`] tells why.
    ///
    /// # Errors
    /// As [`Backend::open`].
    pub fn new(backend: Backend) -> Result<Self> {
        let (driver, waker, fallback) = Driver::new(backend)?;
        Ok(Self {
            driver,
            fallback,
            slots: Slots::default(),
            timers: Timers::new(),
            ending: Vec::new(),
            finishing: HashMap::new(),
            waker,
            pool: Pool::new(),
            feeds: Feeds::new(),
            stall_limit: None,
            dirty: Vec::new(),
            knocked: Vec::new(),
            borrowers: Vec::new(),
            shown: Shown {
                from: Token::from_parts(u32::MAX, 0),
                start: 0,
                len: 0,
                is_free: false,
                echo: 0..0,
            },
            failed: Vec::new(),
            buffer: vec![0; READ_BYTES_MAX].into(),
            spare: Spare::default(),
            running: false,
            stopped: false,
        })
    }

    /// What it runs on.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.driver.backend()
    }

    /// Why it does not run on what was asked for: io_uring is forbidden here, or the kernel is too
    /// old for it.
    #[must_use]
    pub const fn fallback(&self) -> Option<&Error> {
        self.fallback.as_ref()
    }

    /// Makes room for so many sources at once, which costs nothing until they are there: tables
    /// that grow leave their former memory behind.
    pub fn reserve(&mut self, sources: usize) {
        self.slots.reserve(sources);
        self.feeds.reserve(sources);
    }

    /// Sources of all kinds that it owns.
    #[must_use]
    pub const fn sources(&self) -> usize {
        self.slots.len()
    }

    /// A way for other threads to hand values to the handler.
    #[must_use]
    pub fn mailbox<T>(&self) -> (Sender<T>, Receiver<T>) {
        mailbox(self.waker.clone())
    }

    /// Accepts from a listening socket.
    ///
    /// # Errors
    /// As [`berkeley::selector::Selector::register`].
    pub fn add_listener(&mut self, socket: Socket) -> Result<Token> {
        socket.set_mode(Mode::NonBlock)?;
        self.add(SourceKind::Listener {
            socket,
            resting: false,
            rest_ms: ACCEPT_REST_MS_MIN,
            told: false,
        })
    }

    /// Reads from and writes to a connection; at most `outbox_bytes_max` may wait to be written.
    ///
    /// # Errors
    /// As [`berkeley::selector::Selector::register`]. The socket is closed then.
    pub fn add_stream(&mut self, socket: Socket, outbox_bytes_max: usize) -> Result<Token> {
        if socket.mode() != Mode::NonBlock {
            socket.set_mode(Mode::NonBlock)?;
        }
        self.add(SourceKind::Stream(Stream::new(socket, outbox_bytes_max)))
    }

    /// Lets a byte stream have at most `bytes` (and [`READ_BYTES_MAX`]) read at once, where
    /// what comes is so dear to work on that a full read would keep the others waiting. Messages of
    /// sequenced-packet connections are always read whole.
    pub fn limit_reads(&mut self, token: Token, bytes: u32) {
        let Some(source) = self.slots.get_mut(token) else {
            return;
        };
        if let SourceKind::Stream(stream) = &mut source.kind
            && !stream.has_records()
        {
            stream.read_bytes_max = bytes.max(1);
            if let Some(driver) = self.driver.completion() {
                // A receive that goes on by itself knows no limit.
                if let Err(error) = driver.poll_stream(token, source) {
                    self.failed.push((token, error));
                }
            }
        }
    }

    /// Receives from a datagram socket.
    ///
    /// # Errors
    /// As [`berkeley::selector::Selector::register`].
    pub fn add_datagrams(&mut self, socket: Socket) -> Result<Token> {
        socket.set_mode(Mode::NonBlock)?;
        self.add(SourceKind::Datagrams { socket })
    }

    /// Reads from a descriptor that is no socket, such as standard input. Its blocking mode, which
    /// other programs may share, is left alone. It is closed when the source is, so hand over a
    /// duplicate.
    ///
    /// # Errors
    /// As [`berkeley::selector::Selector::register`].
    pub fn add_input(&mut self, fd: OwnedFd) -> Result<Token> {
        self.add(SourceKind::Input {
            fd,
            always_ready: false,
            ended: false,
        })
    }

    fn add(&mut self, kind: SourceKind) -> Result<Token> {
        let token = self.slots.insert(Source::new(kind));
        match self.watch(token) {
            Ok(()) => Ok(token),
            Err(error) => {
                self.slots.remove(token);
                Err(error)
            }
        }
    }

    /// Brings what the driver waits for in line with what the source wants.
    fn watch(&mut self, token: Token) -> Result<()> {
        match self.slots.get_mut(token) {
            Some(source) => self.driver.update(token, source),
            None => Ok(()),
        }
    }

    /// The same where a failure ends the connection, which is told at the end of the turn.
    fn rewatch(&mut self, token: Token) {
        if let Err(error) = self.watch(token) {
            self.failed.push((token, error));
        }
    }

    /// The socket behind a token.
    #[must_use]
    pub fn socket(&self, token: Token) -> Option<&Socket> {
        match &self.slots.get(token)?.kind {
            SourceKind::Listener { socket, .. } | SourceKind::Datagrams { socket } => Some(socket),
            SourceKind::Stream(stream) => Some(&stream.socket),
            SourceKind::Input { .. } => None,
        }
    }

    /// Bytes that wait to be written to a connection.
    #[inline]
    #[must_use]
    pub fn outbox_bytes(&self, token: Token) -> usize {
        if self.shown.from == token && !self.shown.echo.is_empty() {
            return self.shown.echo.len() + PIECE_BYTES;
        }
        match self.slots.get(token).map(|source| &source.kind) {
            Some(SourceKind::Stream(stream)) => stream.outbox.bytes(),
            _ => 0,
        }
    }

    /// Sends a piece to a connection at the end of the turn; to a sequenced-packet one as a
    /// message of its own, which fails the connection if it is longer than the kernel takes
    /// (`EMSGSIZE`). An empty piece sends nothing.
    ///
    /// # Errors
    /// [`SendError::Full`] where the outbox would pass its limit although the peer was offered what
    /// is in it (but for what was sent in the same call of the handler with
    /// [`Reactor::send_slice`]): nothing of the piece is sent.
    /// [`SendError::Gone`] for a connection that is closed or being finished.
    pub fn send(&mut self, token: Token, piece: Bytes) -> core::result::Result<(), SendError> {
        if !self.make_room(token, piece.len())? {
            return Ok(());
        }
        let stream = self.slots.stream_mut(token).ok_or(SendError::Gone)?;
        if !stream.outbox.push(&mut self.pool, Piece::Shared(piece)) {
            return Err(SendError::Full);
        }
        self.mark(token);
        Ok(())
    }

    /// The same for bytes that belong to somebody else, which are copied only where they must be.
    /// A part of what [`crate::Handler::received`] was shown, sent back to the same connection,
    /// goes to the kernel from where it lies, as soon as the handler returns; only what the peer
    /// has no room for is copied (and with io_uring what is short). Sent to many others, it is
    /// copied once for all of them.
    ///
    /// # Errors
    /// As [`Reactor::send`].
    #[inline]
    pub fn send_slice(
        &mut self,
        token: Token,
        bytes: &[u8],
    ) -> core::result::Result<(), SendError> {
        // Nothing else can lie there while the handler looks at it.
        let start = bytes.as_ptr().addr().wrapping_sub(self.shown.start);
        if start < self.shown.len && self.shown.is_free && self.shown.from == token {
            self.shown.is_free = false;
            self.shown.echo = start..start + bytes.len();
            return Ok(());
        }
        self.send_part(token, start, bytes)
    }

    /// The same where it is not the first that goes back, or goes to somebody else.
    #[inline(never)]
    fn send_part(
        &mut self,
        token: Token,
        start: usize,
        bytes: &[u8],
    ) -> core::result::Result<(), SendError> {
        if start >= self.shown.len {
            return self.send_copy(token, bytes);
        }
        let (echo, end) = (&self.shown.echo, start + bytes.len());
        if self.shown.from == token && echo.start < echo.end && echo.end == start {
            let stream = self.slots.stream_mut(token).ok_or(SendError::Gone)?;
            if !stream.is_finishing() && stream.outbox.would_hold(end - echo.start) {
                self.shown.echo.end = end;
                return Ok(());
            }
        }
        self.send_lent(token, start, bytes)
    }

    fn send_copy(&mut self, token: Token, bytes: &[u8]) -> core::result::Result<(), SendError> {
        if !self.make_room(token, bytes.len())? {
            return Ok(());
        }
        let stream = self.slots.stream_mut(token).ok_or(SendError::Gone)?;
        if !stream.outbox.has_room(bytes.len()) {
            return Err(SendError::Full);
        }
        let piece = Piece::Shared(self.pool.copy(bytes));
        if !stream.outbox.push(&mut self.pool, piece) {
            return Err(SendError::Full);
        }
        self.mark(token);
        Ok(())
    }

    fn send_lent(
        &mut self,
        token: Token,
        start: usize,
        bytes: &[u8],
    ) -> core::result::Result<(), SendError> {
        let stream = self.slots.stream_mut(token).ok_or(SendError::Gone)?;
        if stream.has_records() {
            return self.send_copy(token, bytes);
        }
        if !self.make_room(token, bytes.len())? {
            return Ok(());
        }
        let len = bytes.len();
        self.lend(token, Piece::Lent { start, len })
    }

    /// Puts a lent piece into an outbox, to be settled when the handler returns.
    fn lend(&mut self, token: Token, piece: Piece) -> core::result::Result<(), SendError> {
        let stream = self.slots.stream_mut(token).ok_or(SendError::Gone)?;
        if !stream.outbox.push(&mut self.pool, piece) {
            return Err(SendError::Full);
        }
        if self.borrowers.last() != Some(&token) {
            self.borrowers.push(token);
        }
        Ok(())
    }

    /// Before something is put into an outbox: false if there is nothing to be put. Much may come
    /// in one turn, so that the peer of a full one has had no chance to take it yet, and gets one.
    fn make_room(&mut self, token: Token, len: usize) -> core::result::Result<bool, SendError> {
        let stream = self.slots.stream_mut(token).ok_or(SendError::Gone)?;
        if stream.is_finishing() {
            return Err(SendError::Gone);
        }
        if len == 0 {
            return Ok(false);
        }
        self.not_alone(token);
        if self.shown.from == token && !self.shown.echo.is_empty() {
            // It is no longer alone. An empty outbox takes any piece.
            let echo = core::mem::take(&mut self.shown.echo);
            let (start, len) = (echo.start, echo.len());
            self.lend(token, Piece::Lent { start, len })?;
        }
        let stream = self.slots.stream_mut(token).ok_or(SendError::Gone)?;
        // What is on its way already cannot be overtaken.
        let may_write = !stream.blocked || self.driver.backend() != Backend::IoUring;
        if !stream.outbox.has_room(len)
            && may_write
            && let Err(error) = write::flush(stream, &mut self.pool, &[])
        {
            self.failed.push((token, error));
            return Err(SendError::Gone);
        }
        Ok(true)
    }

    /// What is sent back from now on has something to wait for.
    fn not_alone(&mut self, token: Token) {
        if self.shown.from == token {
            self.shown.is_free = false;
        }
    }

    /// Notes that something is to be written at the end of the turn.
    fn mark(&mut self, token: Token) {
        if let Some(stream) = self.slots.stream_mut(token)
            && !stream.dirty
            && !stream.blocked
        {
            stream.dirty = true;
            self.dirty.push(token);
        }
    }

    /// Sends a datagram now: to an address, or to the peer of a connected socket.
    ///
    /// # Errors
    /// As [`Socket::send_to`]; a datagram that would have to wait is [`Error::is_would_block`].
    pub fn send_datagram(&self, token: Token, to: Option<&Addr>, bytes: &[u8]) -> Result<()> {
        match (self.slots.get(token).map(|source| &source.kind), to) {
            (Some(SourceKind::Datagrams { socket }), Some(addr)) => {
                socket.send_to(bytes, MsgFlags::NONE, addr).map(drop)
            }
            (Some(SourceKind::Datagrams { socket }), None) => {
                socket.send(bytes, MsgFlags::NONE).map(drop)
            }
            _ => Err(Error::Invalid("there is no such datagram socket".into())),
        }
    }

    /// Stops receiving from a source (accepting, for a listener) until it is resumed. Nothing is
    /// noticed of a paused peer, neither its end nor a reset, unless something waits to be written
    /// to it. Pausing and resuming cost a system call each.
    pub fn pause(&mut self, token: Token) {
        self.set_paused(token, true);
    }

    /// Receives from a paused source again.
    pub fn resume(&mut self, token: Token) {
        self.set_paused(token, false);
    }

    fn set_paused(&mut self, token: Token, paused: bool) {
        if let Some(source) = self.slots.get_mut(token)
            && source.paused != paused
        {
            source.paused = paused;
            self.rewatch(token);
        }
    }

    /// Ends a connection in good order: what was sent is written, with what its feed has for it by
    /// now as far as the outbox has room for that, then our side is ended, then what the peer still
    /// sends is thrown away until it closes too; all that for at most `limit` (without one if the
    /// clock cannot count so far). [`crate::Handler::closed`] tells how it went. Throwing away
    /// matters: closing with unread bytes makes the kernel reset the connection, which can cost the
    /// peer what it has not read yet.
    pub fn finish(&mut self, token: Token, limit: Duration) {
        let Some(stream) = self.slots.stream_mut(token) else {
            return;
        };
        if stream.is_finishing() {
            return;
        }
        // Who has fallen behind ends without what it has missed.
        self.leave_feed(token).ok();
        let Some(stream) = self.slots.stream_mut(token) else {
            return;
        };
        stream.stage = Stage::Finishing;
        self.not_alone(token);
        if let Some(end) = Instant::now().checked_add(limit) {
            self.ending.push((token, end));
        }
        self.mark(token);
        self.rewatch(token);
    }

    /// Closes a source at once. What waits to be written to it is forgotten.
    pub fn close(&mut self, token: Token) {
        drop(self.remove(token));
        self.submit_now();
    }

    /// Closes a connection at once with a reset: the peer gets an error instead of an end. What
    /// waits to be written, such as the answer that says why, is offered to the kernel once before
    /// that. Unix sockets have no reset: there it is a plain close, and the peer gets an error only
    /// if it had sent what was not received.
    pub fn reset(&mut self, token: Token) {
        let may_write = self.driver.backend() != Backend::IoUring;
        if let Some(stream) = self.slots.stream_mut(token)
            && !stream.outbox.is_empty()
            && (may_write || !stream.blocked)
        {
            // Whether it fails or not, this is the end.
            write::flush(stream, &mut self.pool, &[]).ok();
        }
        let Some(source) = self.remove(token) else {
            return;
        };
        if let SourceKind::Stream(stream) = source.kind {
            // Where a reset cannot be had, a plain close is what is left.
            drop(stream.socket.set(opt::Linger, Some(Duration::ZERO)));
        }
        self.submit_now();
    }

    /// Tells the kernel what was prepared for it.
    fn submit(&mut self) -> Result<()> {
        match self.driver.completion() {
            Some(driver) => driver.submit(&self.slots),
            None => Ok(()),
        }
    }

    /// The same where no turn will do it soon. A ring that fails says so in the next turn.
    fn submit_now(&mut self) {
        if !self.running {
            drop(self.submit());
        }
    }

    fn remove(&mut self, token: Token) -> Option<Source> {
        let mut source = self.slots.remove(token)?;
        self.driver.forget(token, &source);
        self.not_alone(token);
        if self.shown.from == token {
            self.shown.echo = 0..0;
        }
        if let SourceKind::Stream(stream) = &mut source.kind {
            stream.outbox.clear(&mut self.pool);
            self.feeds.unsubscribe(token);
            if stream.is_finishing()
                && !self.finishing.is_empty()
                && let Some(timer) = self.finishing.remove(&token)
            {
                self.timers.cancel(timer);
            }
        }
        Some(source)
    }

    /// Calls [`crate::Handler::timer`] with `tag` when the moment has come, never before. Timers
    /// are due in the order of their moments, those of one moment in the order of setting. One
    /// that is set for a moment that has passed, even by a timer, comes in the next round of
    /// timers.
    pub fn set_timer(&mut self, at: Instant, tag: u64) -> TimerId {
        self.timers.set(at, Due::Handler(tag))
    }

    /// Forgets a timer that is not due yet.
    pub fn cancel_timer(&mut self, id: TimerId) {
        self.timers.cancel(id);
    }

    /// Makes [`Reactor::run`] return at the end of the turn. What was sent before is written as
    /// far as the kernel takes it.
    pub const fn stop(&mut self) {
        self.stopped = true;
    }
}
