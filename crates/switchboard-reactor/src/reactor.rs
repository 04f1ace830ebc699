//! The loop.

use core::fmt;
use core::time::Duration;
use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use berkeley::selector::{Backend, Event, Interest, Key, Selector, Trigger};
use berkeley::{Addr, Error, MsgFlags, Mode, Result, Shutdown, Socket, Waker, opt};
use bytes::Bytes;

use crate::mailbox::{Receiver, Sender, mailbox};
use crate::outbox::Outbox;
use crate::slots::{Due, Finishing, Slots, Source, SourceKind, Stream, Token, earlier};
use crate::timers::{TimerId, Timers};

/// Bytes that are read from one socket in one turn at most. Large reads are what makes bulk
/// transfers cheap; one buffer of this size serves all connections.
pub const READ_BYTES_MAX: usize = 256 * 1024;

/// Connections that are accepted from one listener in one turn at most.
pub const ACCEPTS_PER_TURN_MAX: usize = 64;

/// Datagrams that are taken from one socket in one turn at most.
pub const DATAGRAMS_PER_TURN_MAX: usize = 64;

/// Bytes that are written to one connection in one turn at most.
const WRITE_BYTES_PER_TURN_MAX: usize = 512 * 1024;

/// How long a listener rests when descriptors have run out: at first, and at most. Without the
/// rest the waiting connection would make the loop spin.
const REST_MS_MIN: u64 = 10;
const REST_MS_MAX: u64 = 1000;

const WAKER_KEY: Key = Key(u64::MAX);

/// Why the reactor gave up a connection or an input.
#[derive(Debug)]
#[non_exhaustive]
pub enum Closed {
    /// Reading or writing failed.
    Failed(Error),
    /// It was finished: everything was written, and the peer has closed.
    Finished,
    /// It was being finished, and the peer did not take the rest or close in time.
    TimedOut,
}

/// Why something was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The outbox has no room for it.
    Full,
    /// There is no such connection any more, or it is being finished.
    Gone,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the outbox is full",
            Self::Gone => "the connection is gone",
        })
    }
}

impl std::error::Error for SendError {}

/// What a program does about what happens on its sockets.
///
/// All methods get the reactor to act on. A source may be closed in any of them.
pub trait Handler {
    /// A peer has connected to `listener`. The socket does not block; it is closed unless it is
    /// kept, as by [`Reactor::add_stream`].
    fn accepted(
        &mut self,
        reactor: &mut Reactor,
        listener: Token,
        socket: Socket,
        peer: Option<Addr>,
    );

    /// Bytes came from a connection (one message of a sequenced-packet one) or an input.
    fn received(&mut self, reactor: &mut Reactor, source: Token, bytes: &[u8]);

    /// The peer has ended its side, or an input its content. Nothing more is received; sending
    /// still works. The source stays until it is finished or closed.
    fn ended(&mut self, reactor: &mut Reactor, source: Token);

    /// The reactor has given up a connection, and its token is void. Not told for connections
    /// that the handler itself closes.
    fn closed(&mut self, reactor: &mut Reactor, source: Token, why: Closed);

    /// A datagram came; `cut` if it was longer than [`READ_BYTES_MAX`].
    fn datagram(
        &mut self,
        _reactor: &mut Reactor,
        _socket: Token,
        _from: Option<Addr>,
        _bytes: &[u8],
    ) {
    }

    /// All that was sent to a connection has been written.
    fn drained(&mut self, _reactor: &mut Reactor, _source: Token) {}

    /// A timer that was set with [`Reactor::set_timer`] is due.
    fn timer(&mut self, _reactor: &mut Reactor, _tag: u64) {}

    /// Another thread has put something into a mailbox.
    fn woken(&mut self, _reactor: &mut Reactor) {}

    /// A listener could not accept, or a datagram socket not receive, for a reason that is no
    /// peer's fault. A listener without descriptors rests a while and goes on by itself.
    fn trouble(&mut self, _reactor: &mut Reactor, _source: Token, _error: Error) {}
}

/// One thread's sockets. See the crate's documentation.
#[derive(Debug)]
pub struct Reactor {
    selector: Box<dyn Selector>,
    slots: Slots,
    timers: Timers<Due>,
    waker: Waker,
    /// Connections with something to write.
    dirty: Vec<Token>,
    /// Inputs that no selector can watch because they are always ready: regular files.
    always_ready: Vec<Token>,
    /// Connections that failed inside a call of the handler, to be told outside of it.
    failed: Vec<(Token, Error)>,
    buffer: Vec<u8>,
    stopped: bool,
}

impl Reactor {
    /// A reactor on a selector.
    ///
    /// # Errors
    /// As [`Backend::open`].
    pub fn new(backend: Backend) -> Result<Self> {
        let mut selector = backend.open()?;
        let waker = Waker::new()?;
        selector.register(waker.as_fd(), WAKER_KEY, Interest::READABLE, Trigger::Level)?;
        Ok(Self {
            selector,
            slots: Slots::default(),
            timers: Timers::new(),
            waker,
            dirty: Vec::new(),
            always_ready: Vec::new(),
            failed: Vec::new(),
            buffer: vec![0; READ_BYTES_MAX],
            stopped: false,
        })
    }

    /// The selector that it runs on.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.selector.backend()
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
    /// As [`Selector::register`].
    pub fn add_listener(&mut self, socket: Socket) -> Result<Token> {
        socket.set_mode(Mode::NonBlock)?;
        self.add(SourceKind::Listener { socket, resting: false, rest_ms: REST_MS_MIN })
    }

    /// Reads from and writes to a connection; at most `outbox_bytes_max` may wait to be written.
    ///
    /// # Errors
    /// As [`Selector::register`].
    pub fn add_stream(&mut self, socket: Socket, outbox_bytes_max: usize) -> Result<Token> {
        if socket.mode() != Mode::NonBlock {
            socket.set_mode(Mode::NonBlock)?;
        }
        self.add(SourceKind::Stream(Stream {
            socket,
            outbox: Outbox::new(outbox_bytes_max),
            blocked: false,
            dirty: false,
            ended: false,
            finishing: None,
        }))
    }

    /// Receives from a datagram socket.
    ///
    /// # Errors
    /// As [`Selector::register`].
    pub fn add_datagrams(&mut self, socket: Socket) -> Result<Token> {
        socket.set_mode(Mode::NonBlock)?;
        self.add(SourceKind::Datagrams { socket })
    }

    /// Reads from a descriptor that is no socket, such as standard input. Its blocking mode, which
    /// other programs may share, is left alone. It is closed when the source is, so hand over a
    /// duplicate.
    ///
    /// # Errors
    /// As [`Selector::register`].
    pub fn add_input(&mut self, fd: OwnedFd) -> Result<Token> {
        self.add(SourceKind::Input { fd, always_ready: false, ended: false })
    }

    fn add(&mut self, kind: SourceKind) -> Result<Token> {
        let token = self.slots.insert(Source { kind, watched: None, paused: false });
        match self.watch(token) {
            Ok(()) => Ok(token),
            Err(error) => {
                self.slots.remove(token);
                Err(error)
            }
        }
    }

    /// Brings what the selector watches in line with what the source wants.
    fn watch(&mut self, token: Token) -> Result<()> {
        let Some(source) = self.slots.get_mut(token) else { return Ok(()) };
        if matches!(source.kind, SourceKind::Input { always_ready: true, .. }) {
            return Ok(());
        }
        let wanted = source.wanted();
        if wanted == source.watched {
            return Ok(());
        }
        let (fd, key, selector) = (source.fd(), token.key(), &mut self.selector);
        let done = match (source.watched, wanted) {
            (None, Some(interest)) => selector.register(fd, key, interest, Trigger::Level),
            (Some(_), Some(interest)) => selector.modify(fd, key, interest, Trigger::Level),
            (_, None) => selector.unregister(fd),
        };
        match (done, &mut source.kind) {
            (Ok(()), _) => source.watched = wanted,
            (Err(error), SourceKind::Input { always_ready, .. })
                if error.errno() == Some(berkeley::Errno::EPERM) =>
            {
                *always_ready = true;
                self.always_ready.push(token);
            }
            (Err(error), _) => return Err(error),
        }
        Ok(())
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
    #[must_use]
    pub fn outbox_bytes(&self, token: Token) -> usize {
        match self.slots.get(token).map(|source| &source.kind) {
            Some(SourceKind::Stream(stream)) => stream.outbox.bytes(),
            _ => 0,
        }
    }

    /// Sends a piece to a connection at the end of the turn; to a sequenced-packet one as a
    /// message of its own.
    ///
    /// # Errors
    /// [`SendError::Full`] where the outbox would pass its limit: nothing of the piece is sent.
    /// [`SendError::Gone`] for a connection that is closed or being finished.
    pub fn send(&mut self, token: Token, piece: Bytes) -> core::result::Result<(), SendError> {
        let stream = self.slots.stream_mut(token).ok_or(SendError::Gone)?;
        if stream.finishing.is_some() {
            return Err(SendError::Gone);
        }
        if piece.is_empty() {
            return Ok(());
        }
        if !stream.outbox.push(piece) {
            return Err(SendError::Full);
        }
        if !stream.dirty && !stream.blocked {
            stream.dirty = true;
            self.dirty.push(token);
        }
        Ok(())
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

    /// Stops receiving from a source (accepting, for a listener) until it is resumed.
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

    /// Ends a connection in good order: what was sent is written, then our side is ended, then
    /// what the peer still sends is thrown away until it closes too; all that for at most
    /// `limit`. Throwing away matters: closing with unread bytes makes the kernel reset the
    /// connection, which can cost the peer what it has not read yet.
    pub fn finish(&mut self, token: Token, limit: Duration) {
        let Some(stream) = self.slots.stream_mut(token) else { return };
        if stream.finishing.is_some() {
            return;
        }
        let timer = self.timers.set(Instant::now() + limit, Due::Finish(token));
        stream.finishing = Some(Finishing { timer, shut: false });
        if !stream.dirty && !stream.blocked {
            stream.dirty = true;
            self.dirty.push(token);
        }
        self.rewatch(token);
    }

    /// Closes a source at once.
    pub fn close(&mut self, token: Token) {
        drop(self.remove(token));
    }

    /// Closes a connection at once with a reset: the peer gets an error instead of an end.
    pub fn reset(&mut self, token: Token) {
        let Some(source) = self.remove(token) else { return };
        if let SourceKind::Stream(stream) = source.kind {
            // Where a reset cannot be had (Unix sockets), a plain close is what is left.
            drop(stream.socket.set(opt::Linger, Some(Duration::ZERO)));
        }
    }

    fn remove(&mut self, token: Token) -> Option<Source> {
        let source = self.slots.remove(token)?;
        if source.watched.is_some() {
            // The descriptor is open and watched, so this cannot fail; closing would do it too.
            drop(self.selector.unregister(source.fd()));
        }
        match &source.kind {
            SourceKind::Stream(Stream { finishing: Some(finishing), .. }) => {
                self.timers.cancel(finishing.timer);
            }
            SourceKind::Input { always_ready: true, .. } => {
                self.always_ready.retain(|other| *other != token);
            }
            _ => {}
        }
        Some(source)
    }

    /// Calls [`Handler::timer`] with `tag` when the moment has come.
    pub fn set_timer(&mut self, at: Instant, tag: u64) -> TimerId {
        self.timers.set(at, Due::Handler(tag))
    }

    /// Forgets a timer that is not due yet.
    pub fn cancel_timer(&mut self, id: TimerId) {
        self.timers.cancel(id);
    }

    /// Makes [`Reactor::run`] return at the end of the turn.
    pub const fn stop(&mut self) {
        self.stopped = true;
    }

    /// Runs until [`Reactor::stop`] is called.
    ///
    /// # Errors
    /// What the selector cannot recover from.
    pub fn run<H: Handler>(&mut self, handler: &mut H) -> Result<()> {
        let mut events = Vec::new();
        self.stopped = false;
        while !self.stopped {
            self.turn(handler, &mut events)?;
        }
        Ok(())
    }

    /// One turn: wait, read everything that is ready, fire timers, write.
    fn turn<H: Handler>(&mut self, handler: &mut H, events: &mut Vec<Event>) -> Result<()> {
        let limit = self.wait_limit();
        self.selector.wait(events, limit)?;
        for event in events.iter() {
            if event.key == WAKER_KEY {
                self.waker.lower();
                handler.woken(self);
            } else {
                self.dispatch(handler, *event);
            }
        }
        for token in self.always_ready.clone() {
            if self.slots.get(token).is_some_and(|source| source.wanted().is_some()) {
                self.read(handler, token);
            }
        }
        self.fire(handler);
        self.flush_all(handler);
        for (token, error) in core::mem::take(&mut self.failed) {
            self.fail(handler, token, error);
        }
        Ok(())
    }

    fn wait_limit(&self) -> Option<Duration> {
        let busy = !self.dirty.is_empty()
            || !self.failed.is_empty()
            || self.always_ready.iter().any(|token| {
                self.slots.get(*token).is_some_and(|source| source.wanted().is_some())
            });
        let soon = busy.then(Instant::now);
        earlier(soon, self.timers.next())
            .map(|moment| moment.saturating_duration_since(Instant::now()))
    }

    fn dispatch<H: Handler>(&mut self, handler: &mut H, event: Event) {
        let token = Token::from_key(event.key);
        // A source that an earlier event of this turn closed or paused has nothing to say.
        let Some(source) = self.slots.get_mut(token) else { return };
        let Some(wanted) = source.wanted() else { return };
        if let SourceKind::Stream(stream) = &mut source.kind
            && stream.blocked
            && (event.ready.is_writable() || event.ready.is_error() || event.ready.is_hang_up())
        {
            stream.blocked = false;
            if !stream.dirty {
                stream.dirty = true;
                self.dirty.push(token);
            }
        }
        if event.ready.is_readable() && wanted != Interest::WRITABLE {
            match source.kind {
                SourceKind::Listener { .. } => self.accept(handler, token),
                SourceKind::Datagrams { .. } => self.receive(handler, token),
                SourceKind::Stream(_) | SourceKind::Input { .. } => self.read(handler, token),
            }
        }
    }

    fn accept<H: Handler>(&mut self, handler: &mut H, token: Token) {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            let Some(source) = self.slots.get_mut(token) else { return };
            let paused = source.paused;
            let SourceKind::Listener { socket, resting, rest_ms } = &mut source.kind else { return };
            if paused {
                return;
            }
            match socket.accept_with(Mode::NonBlock) {
                Ok((socket, peer)) => {
                    *rest_ms = REST_MS_MIN;
                    handler.accepted(self, token, socket, peer.map(Addr::canonical));
                }
                Err(error) if error.is_would_block() => return,
                Err(error) if error.errno().is_some_and(berkeley::Errno::is_exhaustion) => {
                    let first = *rest_ms == REST_MS_MIN;
                    let rest = Duration::from_millis(*rest_ms);
                    *rest_ms = (*rest_ms * 2).min(REST_MS_MAX);
                    *resting = true;
                    self.timers.set(Instant::now() + rest, Due::Accept(token));
                    self.rewatch(token);
                    if first {
                        handler.trouble(self, token, error);
                    }
                    return;
                }
                // The fault of the one connection, which is gone: the next may be better.
                Err(_) => {}
            }
        }
    }

    fn receive<H: Handler>(&mut self, handler: &mut H, token: Token) {
        let mut buffer = core::mem::take(&mut self.buffer);
        for _ in 0..DATAGRAMS_PER_TURN_MAX {
            let Some(source) = self.slots.get(token) else { break };
            let SourceKind::Datagrams { socket } = &source.kind else { break };
            if source.paused {
                break;
            }
            match socket.recv_from(&mut buffer, MsgFlags::NONE) {
                Ok((len, from)) => {
                    let bytes = buffer.get(..len).unwrap_or_default();
                    handler.datagram(self, token, from.map(Addr::canonical), bytes);
                }
                Err(error) if error.is_would_block() => break,
                Err(error) => handler.trouble(self, token, error),
            }
        }
        self.buffer = buffer;
    }

    fn read<H: Handler>(&mut self, handler: &mut H, token: Token) {
        let mut buffer = core::mem::take(&mut self.buffer);
        let result = match self.slots.get(token).map(|source| &source.kind) {
            Some(SourceKind::Stream(stream)) => stream.socket.recv(&mut buffer, MsgFlags::NONE),
            Some(SourceKind::Input { fd, .. }) => berkeley::read(fd.as_fd(), &mut buffer),
            _ => Err(Error::Invalid("not a source to read from".into())),
        };
        match result {
            Ok(0) => self.end(handler, token),
            Ok(len) if !self.is_finishing(token) => {
                handler.received(self, token, buffer.get(..len).unwrap_or_default());
            }
            // A connection that is being finished: what still comes is thrown away.
            Ok(_) => {}
            Err(error) if error.is_would_block() => {}
            Err(error) => self.fail(handler, token, error),
        }
        self.buffer = buffer;
    }

    fn is_finishing(&mut self, token: Token) -> bool {
        self.slots.stream_mut(token).is_some_and(|stream| stream.finishing.is_some())
    }

    /// The peer has ended its side.
    fn end<H: Handler>(&mut self, handler: &mut H, token: Token) {
        let Some(source) = self.slots.get_mut(token) else { return };
        let mut finishing = false;
        match &mut source.kind {
            SourceKind::Stream(stream) => {
                stream.ended = true;
                finishing = stream.finishing.is_some();
            }
            SourceKind::Input { ended, .. } => *ended = true,
            SourceKind::Listener { .. } | SourceKind::Datagrams { .. } => return,
        }
        self.rewatch(token);
        if finishing {
            self.close_if_finished(handler, token);
        } else {
            handler.ended(self, token);
        }
    }

    fn fail<H: Handler>(&mut self, handler: &mut H, token: Token, error: Error) {
        if self.remove(token).is_some() {
            handler.closed(self, token, Closed::Failed(error));
        }
    }

    fn fire<H: Handler>(&mut self, handler: &mut H) {
        if self.timers.next().is_none() {
            return;
        }
        let (now, limit) = (Instant::now(), self.timers.serial());
        while let Some(due) = self.timers.pop_due(now, limit) {
            match due {
                Due::Handler(tag) => handler.timer(self, tag),
                Due::Accept(token) => {
                    if let Some(source) = self.slots.get_mut(token)
                        && let SourceKind::Listener { resting, .. } = &mut source.kind
                    {
                        *resting = false;
                        self.rewatch(token);
                    }
                }
                Due::Finish(token) => {
                    if self.remove(token).is_some() {
                        handler.closed(self, token, Closed::TimedOut);
                    }
                }
            }
        }
    }

    fn flush_all<H: Handler>(&mut self, handler: &mut H) {
        for token in core::mem::take(&mut self.dirty) {
            if let Some(stream) = self.slots.stream_mut(token) {
                stream.dirty = false;
                match flush(stream) {
                    Ok(()) => self.flushed(handler, token),
                    Err(error) => self.fail(handler, token, error),
                }
            }
        }
    }

    /// What follows when a connection was written to.
    fn flushed<H: Handler>(&mut self, handler: &mut H, token: Token) {
        let Some(stream) = self.slots.stream_mut(token) else { return };
        if !stream.outbox.is_empty() {
            // Either the peer is slow, or it was enough for one turn: both go on when there is
            // room.
            stream.blocked = true;
            self.rewatch(token);
            return;
        }
        if let Some(finishing) = &mut stream.finishing {
            if !finishing.shut {
                finishing.shut = true;
                // A peer that is gone already has no use for our end.
                drop(stream.socket.shutdown(Shutdown::WRITE));
            }
            self.rewatch(token);
            self.close_if_finished(handler, token);
        } else {
            self.rewatch(token);
            handler.drained(self, token);
        }
    }

    fn close_if_finished<H: Handler>(&mut self, handler: &mut H, token: Token) {
        let finished = self.slots.stream_mut(token).is_some_and(|stream| {
            stream.ended && stream.finishing.as_ref().is_some_and(|finishing| finishing.shut)
        });
        if finished {
            self.close(token);
            handler.closed(self, token, Closed::Finished);
        }
    }
}

/// Writes what waits, until the kernel takes no more or it is enough for one turn.
fn flush(stream: &mut Stream) -> Result<()> {
    let records = stream.socket.kind() == berkeley::Kind::SEQPACKET;
    let mut written = 0;
    while !stream.outbox.is_empty() && written < WRITE_BYTES_PER_TURN_MAX {
        let result = match stream.outbox.front() {
            Some(piece) if records => {
                let all = piece.len();
                stream.socket.send(piece, MsgFlags::NONE).map(|len| (len, all))
            }
            _ => {
                let mut slices = [IoSlice::new(&[]); 64];
                let (count, all) = stream.outbox.gather(&mut slices);
                let pieces = slices.get(..count).unwrap_or_default();
                stream.socket.send_gathered(pieces, MsgFlags::NONE).map(|len| (len, all))
            }
        };
        match result {
            Ok((len, all)) => {
                stream.outbox.advance(len);
                written += len;
                if len < all {
                    return Ok(());
                }
            }
            Err(error) if error.is_would_block() => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
