//! One turn after the other: wait, read, fire timers, write, accept.

use core::time::Duration;
use std::os::fd::AsFd;
use std::time::Instant;

use berkeley::selector::Ready;
use berkeley::{Addr, Errno, Error, MsgFlags, Result, Socket};

use super::driver::Driver;
use super::spare;
use super::{
    ACCEPT_REST_MS_MAX, ACCEPT_REST_MS_MIN, ACCEPTS_PER_TURN_MAX, DATAGRAMS_PER_TURN_MAX,
    LAST_READS_MAX, Reactor,
};
use crate::handler::{Closed, Handler};
use crate::slots::{Due, Source, SourceKind, Stage, Token};

impl Reactor {
    /// Runs until [`Reactor::stop`] is called.
    ///
    /// # Errors
    /// What the selector cannot recover from. [`Error::Invalid`] in a call of the handler, and
    /// after one that panicked.
    pub fn run<H: Handler>(&mut self, handler: &mut H) -> Result<()> {
        if self.running {
            return Err(Error::Invalid("the reactor is running already".into()));
        }
        self.running = true;
        self.stopped = false;
        let mut result = Ok(());
        while result.is_ok() && !self.stopped {
            result = self.turn(handler);
        }
        self.running = false;
        // What was sent last is not known to the kernel yet.
        result.and(self.submit())
    }

    /// One turn: wait, read everything that is ready, fire timers, write, let in who has come.
    fn turn<H: Handler>(&mut self, handler: &mut H) -> Result<()> {
        if !self.ending.is_empty() {
            self.time_ends();
        }
        let limit = self.wait_limit();
        match &self.driver {
            Driver::Completion(_) => self.wait_complete(handler, limit)?,
            Driver::Readiness(_) => self.wait_ready(handler, limit)?,
        }
        self.fire(handler);
        handler.turn_ended(self);
        self.flush_all(handler);
        self.flush_feeds(handler);
        if !self.knocked.is_empty() {
            self.accept_all(handler);
        }
        if !self.failed.is_empty() {
            for (token, error) in core::mem::take(&mut self.failed) {
                self.fail(handler, token, error);
            }
        }
        handler.turn_ended(self);
        Ok(())
    }

    /// How long there may be nothing to do. The clock is read only where there is a timer.
    fn wait_limit(&mut self) -> Option<Duration> {
        let is_done = self.dirty.is_empty() && self.failed.is_empty();
        if !is_done || self.feeds.is_marked() || self.driver.is_busy(&self.slots) {
            return Some(Duration::ZERO);
        }
        let next = self.timers.next()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Does what a source is ready for. For a connection with which there is nothing special, that
    /// is to read it once and to write what goes back, and its place is not looked up in between.
    /// `buffer` is the reactor's, which is lent for all that is ready in a turn.
    #[inline]
    pub(super) fn serve<H: Handler>(
        &mut self,
        handler: &mut H,
        token: Token,
        ready: Ready,
        buffer: &mut Box<[u8]>,
    ) {
        if let Some(source) = self.slots.get_mut(token)
            && ready.is_readable()
            && let Some(stream) = source.plain()
        {
            let limit = usize::try_from(stream.read_bytes_max).unwrap_or(usize::MAX);
            let len = limit.min(buffer.len());
            let place = buffer.get_mut(..len).unwrap_or_default();
            let is_free = stream.outbox.is_empty();
            let len = match stream.socket.recv(place, MsgFlags::NONE) {
                Ok(len @ 1..) => len,
                nothing => {
                    return self.lend_buffer(buffer, |reactor| {
                        reactor.read_nothing(handler, token, nothing);
                    });
                }
            };
            if matches!(self.driver, Driver::Completion(_)) {
                self.weigh(token, len);
            }
            let bytes = buffer.get(..len).unwrap_or_default();
            match self.show(handler, token, is_free, bytes) {
                None => {}
                Some(Ok(())) if self.is_at_rest(token) => handler.drained(self, token),
                // What follows may fail, and then the last words are read.
                Some(outcome) => self.lend_buffer(buffer, |reactor| {
                    reactor.after_flush(handler, token, outcome);
                }),
            }
            return;
        }
        self.lend_buffer(buffer, |reactor| reactor.dispatch(handler, token, ready));
    }

    /// Gives the reactor its buffer back for what is done seldom.
    #[cold]
    fn lend_buffer(&mut self, buffer: &mut Box<[u8]>, seldom: impl FnOnce(&mut Self)) {
        core::mem::swap(&mut self.buffer, buffer);
        seldom(self);
        core::mem::swap(&mut self.buffer, buffer);
    }

    /// Does what any source is ready for.
    fn dispatch<H: Handler>(&mut self, handler: &mut H, token: Token, ready: Ready) {
        // A source that an earlier event of this turn closed or paused has nothing to say.
        let Some(source) = self.slots.get_mut(token) else {
            return;
        };
        let reads = source.reads() && ready.is_readable();
        let SourceKind::Stream(stream) = &mut source.kind else {
            if reads {
                self.receive_otherwise(handler, token);
            }
            return;
        };
        if stream.blocked
            // What a ring sends tells by itself when it has ended.
            && (stream.has_records() || self.driver.completion().is_none())
            && (ready.is_writable() || ready.is_error() || ready.is_hang_up())
        {
            stream.blocked = false;
            self.mark(token);
        }
        if reads {
            self.read(handler, token);
        }
    }

    /// Takes what has come for a source that is no connection.
    fn receive_otherwise<H: Handler>(&mut self, handler: &mut H, token: Token) {
        match self.slots.get(token).map(|source| &source.kind) {
            Some(SourceKind::Listener { .. }) if self.knocked.contains(&token) => {}
            Some(SourceKind::Listener { .. }) => self.knocked.push(token),
            Some(SourceKind::Datagrams { .. }) => self.receive(handler, token),
            Some(SourceKind::Input { .. }) => drop(self.read(handler, token)),
            Some(SourceKind::Stream(_)) | None => {}
        }
    }

    /// Lets in who waits at the listeners. What others are told of that is written in the next
    /// turn, which waits for nothing, together with what those who came say at once.
    #[inline(never)]
    fn accept_all<H: Handler>(&mut self, handler: &mut H) {
        let mut knocked = core::mem::take(&mut self.knocked);
        for token in knocked.drain(..) {
            self.accept(handler, token);
        }
        self.knocked = knocked;
    }

    fn accept<H: Handler>(&mut self, handler: &mut H, token: Token) {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            let Some(source) = self.slots.get_mut(token) else {
                return;
            };
            let paused = source.paused;
            let SourceKind::Listener {
                socket,
                rest_ms,
                told,
                ..
            } = &mut source.kind
            else {
                return;
            };
            if paused {
                return;
            }
            match spare::accept(socket) {
                Ok((socket, peer)) => {
                    *rest_ms = ACCEPT_REST_MS_MIN;
                    handler.accepted(self, token, socket, peer.map(Addr::canonical));
                }
                Err(error) if error.is_would_block() => {
                    *told = false;
                    return;
                }
                Err(error) if error.errno().is_some_and(is_about_one_connection) => {}
                Err(error) => {
                    self.crowd(handler, token, &error);
                    return self.rest(handler, token, error);
                }
            }
        }
    }

    /// Lets a listener rest that cannot accept for now.
    fn rest<H: Handler>(&mut self, handler: &mut H, token: Token, error: Error) {
        let Some(source) = self.slots.get_mut(token) else {
            return;
        };
        let SourceKind::Listener {
            resting,
            rest_ms,
            told,
            ..
        } = &mut source.kind
        else {
            return;
        };
        let end = Instant::now() + Duration::from_millis((*rest_ms).into());
        *rest_ms = (*rest_ms * 2).min(ACCEPT_REST_MS_MAX);
        *resting = true;
        let is_news = !core::mem::replace(told, true);
        self.timers.set(end, Due::Accept(token));
        self.rewatch(token);
        if is_news {
            handler.trouble(self, token, error);
        }
    }

    pub(super) fn receive<H: Handler>(&mut self, handler: &mut H, token: Token) {
        let mut buffer = core::mem::take(&mut self.buffer);
        for _ in 0..DATAGRAMS_PER_TURN_MAX {
            let Some(source) = self.slots.get(token) else {
                break;
            };
            let SourceKind::Datagrams { socket } = &source.kind else {
                break;
            };
            if source.paused {
                break;
            }
            // The answer is the real length, so that a datagram that does not fit is noticed.
            let trouble = match socket.recv_from(&mut buffer, MsgFlags::TRUNC) {
                Ok((len, from)) => match buffer.get(..len) {
                    Some(bytes) => {
                        handler.datagram(self, token, from.map(Addr::canonical), bytes);
                        continue;
                    }
                    None => Error::os("recvfrom", Errno::EMSGSIZE),
                },
                Err(error) if error.is_would_block() => break,
                Err(error) => error,
            };
            // Once a turn: an error that lasts must not be told without end.
            handler.trouble(self, token, trouble);
            break;
        }
        self.buffer = buffer;
    }

    /// Reads once from a connection or an input; true if something came.
    pub(super) fn read<H: Handler>(&mut self, handler: &mut H, token: Token) -> bool {
        debug_assert!(!self.buffer.is_empty(), "the buffer is lent");
        let Some(source) = self.slots.get(token) else {
            return false;
        };
        let (mut is_passed_on, mut is_free) = (true, false);
        let received = if let SourceKind::Stream(stream) = &source.kind {
            is_passed_on = !stream.is_finishing();
            is_free = stream.is_free();
            let limit = usize::try_from(stream.read_bytes_max).unwrap_or(usize::MAX);
            let len = limit.min(self.buffer.len());
            let place = self.buffer.get_mut(..len).unwrap_or_default();
            receive_from(&stream.socket, stream.has_records(), place)
        } else if let SourceKind::Input { fd, .. } = &source.kind {
            berkeley::read(fd.as_fd(), &mut self.buffer)
        } else {
            return false;
        };
        let len = match received {
            Ok(len @ 1..) => len,
            nothing => return self.read_nothing(handler, token, nothing),
        };
        // A connection that is being finished: what still comes is thrown away.
        if is_passed_on {
            self.weigh(token, len);
            let buffer = core::mem::take(&mut self.buffer);
            let bytes = buffer.get(..len).unwrap_or_default();
            let outcome = self.show(handler, token, is_free, bytes);
            self.buffer = buffer;
            if let Some(outcome) = outcome {
                self.after_flush(handler, token, outcome);
            }
        }
        true
    }

    /// What follows when nothing came: the end, a failure, or that there was nothing yet.
    #[cold]
    fn read_nothing<H: Handler>(
        &mut self,
        handler: &mut H,
        token: Token,
        result: Result<usize>,
    ) -> bool {
        match result {
            Ok(_) => self.end(handler, token),
            Err(error) if error.is_would_block() => {}
            Err(error) => self.fail(handler, token, error),
        }
        false
    }

    /// Shows what was read to the handler, and writes what that sends back of it. Answers how the
    /// writing went, if there was any. `is_free` tells of [`crate::slots::Stream::is_free`].
    #[inline]
    pub(super) fn show<H: Handler>(
        &mut self,
        handler: &mut H,
        token: Token,
        is_free: bool,
        bytes: &[u8],
    ) -> Option<Result<()>> {
        (self.shown.from, self.shown.start) = (token, bytes.as_ptr().addr());
        (self.shown.len, self.shown.is_free) = (bytes.len(), is_free);
        handler.received(self, token, bytes);
        self.shown.len = 0;
        let echo = core::mem::take(&mut self.shown.echo);
        if !self.borrowers.is_empty() {
            return self.settle(token, bytes, echo);
        }
        if echo.is_empty() {
            return None;
        }
        self.send_back(token, bytes.get(echo).unwrap_or_default())
    }

    /// The peer has ended its side.
    pub(super) fn end<H: Handler>(&mut self, handler: &mut H, token: Token) {
        let Some(source) = self.slots.get_mut(token) else {
            return;
        };
        let mut finishing = false;
        match &mut source.kind {
            SourceKind::Stream(stream) => {
                stream.ended = true;
                finishing = stream.is_finishing();
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

    pub(super) fn fail<H: Handler>(&mut self, handler: &mut H, token: Token, error: Error) {
        if self.remove(token).is_some() {
            handler.closed(self, token, Closed::Failed(error));
        }
    }

    /// A connection cannot be written to any more. What its peer said last may tell why, and lies
    /// in the kernel still: it is told first.
    pub(super) fn break_off<H: Handler>(&mut self, handler: &mut H, token: Token, error: Error) {
        for _ in 0..LAST_READS_MAX {
            let Some(Source {
                kind: SourceKind::Stream(stream),
                paused: false,
                ..
            }) = self.slots.get(token)
            else {
                break;
            };
            if stream.ended || stream.is_finishing() || !self.read(handler, token) {
                break;
            }
        }
        self.fail(handler, token, error);
    }

    /// Bounds the time of those that were to be finished and are not: most are by the end of the
    /// turn, without a timer.
    #[inline(never)]
    fn time_ends(&mut self) {
        let mut ending = core::mem::take(&mut self.ending);
        for (token, end) in ending.drain(..) {
            if self.slots.get(token).is_some() {
                let timer = self.timers.set(end, Due::Finish(token));
                self.finishing.insert(token, timer);
            }
        }
        self.ending = ending;
    }

    fn fire<H: Handler>(&mut self, handler: &mut H) {
        if self.timers.next().is_none() {
            return;
        }
        self.timers.collect(Instant::now());
        while let Some(due) = self.timers.pop() {
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
                Due::Stall(token) => self.look_at_stall(handler, token),
                Due::Silence(feed) => self.look_at_silence(feed),
                Due::Finish(token) => {
                    let Some(stream) = self.slots.stream_mut(token) else {
                        continue;
                    };
                    if stream.outbox.is_empty() {
                        self.close(token);
                    } else {
                        // An end in good order would tell the peer that it has everything.
                        self.reset(token);
                    }
                    handler.closed(self, token, Closed::TimedOut);
                }
            }
        }
    }

    pub(super) fn close_if_finished<H: Handler>(&mut self, handler: &mut H, token: Token) {
        let stream = self.slots.stream_mut(token);
        let finished = stream.is_some_and(|stream| stream.ended && stream.stage == Stage::Shut);
        if finished {
            self.close(token);
            handler.closed(self, token, Closed::Finished);
        }
    }
}

/// True for what accept(2) says of the one connection, which is gone: the next may be better.
const fn is_about_one_connection(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ECONNABORTED
            | Errno::EHOSTDOWN
            | Errno::EHOSTUNREACH
            | Errno::ENETDOWN
            | Errno::ENETUNREACH
            | Errno::ENONET
            | Errno::ENOPROTOOPT
            | Errno::EPERM
            | Errno::EPROTO
    )
}

/// Receives from a connection: bytes of a stream, or one whole message.
#[inline]
fn receive_from(socket: &Socket, records: bool, buffer: &mut [u8]) -> Result<usize> {
    // The answer is the real length then, so that a message that does not fit is noticed.
    let flags = if records {
        MsgFlags::TRUNC
    } else {
        MsgFlags::NONE
    };
    match socket.recv(buffer, flags)? {
        len if len > buffer.len() => Err(Error::os("recv", Errno::EMSGSIZE)),
        len => Ok(len),
    }
}
