//! One turn after the other: wait, read, fire timers, write.

use core::time::Duration;
use std::io::IoSlice;
use std::os::fd::AsFd;
use std::time::Instant;

use berkeley::selector::{Event, Interest};
use berkeley::{Addr, Errno, Error, Kind, Mode, MsgFlags, Result, Shutdown, Socket};

use super::{
    ACCEPTS_PER_TURN_MAX, DATAGRAMS_PER_TURN_MAX, LAST_READS_MAX, REST_MS_MAX, REST_MS_MIN,
    Reactor, WAKER_KEY, WRITE_BYTES_PER_TURN_MAX,
};
use crate::handler::{Closed, Handler};
use crate::outbox::PIECES_PER_CALL_MAX;
use crate::slots::{Due, Source, SourceKind, Stream, Token, earlier};

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
        let mut events = Vec::new();
        self.running = true;
        self.stopped = false;
        let mut result = Ok(());
        while result.is_ok() && !self.stopped {
            result = self.turn(handler, &mut events);
        }
        self.running = false;
        result
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
        // The list may change under way. One that is passed over for that has its next turn.
        for index in 0..self.always_ready.len() {
            if let Some(&token) = self.always_ready.get(index)
                && self.is_wanted(token)
            {
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
            || self.always_ready.iter().any(|token| self.is_wanted(*token));
        let soon = busy.then(Instant::now);
        earlier(soon, self.timers.next())
            .map(|moment| moment.saturating_duration_since(Instant::now()))
    }

    fn is_wanted(&self, token: Token) -> bool {
        self.slots
            .get(token)
            .is_some_and(|source| source.wanted().is_some())
    }

    fn dispatch<H: Handler>(&mut self, handler: &mut H, event: Event) {
        let token = Token::from_key(event.key);
        // A source that an earlier event of this turn closed or paused has nothing to say.
        let Some(source) = self.slots.get_mut(token) else {
            return;
        };
        let Some(wanted) = source.wanted() else {
            return;
        };
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
                SourceKind::Stream(_) | SourceKind::Input { .. } => {
                    self.read(handler, token);
                }
            }
        }
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
            match socket.accept_with(Mode::NonBlock) {
                Ok((socket, peer)) => {
                    *rest_ms = REST_MS_MIN;
                    handler.accepted(self, token, socket, peer.map(Addr::canonical));
                }
                Err(error) if error.is_would_block() => {
                    *told = false;
                    return;
                }
                Err(error) if error.errno().is_some_and(is_about_one_connection) => {}
                Err(error) => return self.rest(handler, token, error),
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
        let end = Instant::now() + Duration::from_millis(*rest_ms);
        *rest_ms = (*rest_ms * 2).min(REST_MS_MAX);
        *resting = true;
        let is_news = !core::mem::replace(told, true);
        self.timers.set(end, Due::Accept(token));
        self.rewatch(token);
        if is_news {
            handler.trouble(self, token, error);
        }
    }

    fn receive<H: Handler>(&mut self, handler: &mut H, token: Token) {
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

    /// Reads once; true if something came.
    fn read<H: Handler>(&mut self, handler: &mut H, token: Token) -> bool {
        let mut buffer = core::mem::take(&mut self.buffer);
        let result = match self.slots.get(token).map(|source| &source.kind) {
            Some(SourceKind::Stream(stream)) => {
                let limit = usize::try_from(stream.read_bytes_max).unwrap_or(usize::MAX);
                let len = limit.min(buffer.len());
                let (place, _) = buffer.split_at_mut(len);
                receive_from(&stream.socket, place)
            }
            Some(SourceKind::Input { fd, .. }) => berkeley::read(fd.as_fd(), &mut buffer),
            _ => Err(Error::Invalid("not a source to read from".into())),
        };
        let came = matches!(result, Ok(1..));
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
        came
    }

    fn is_finishing(&mut self, token: Token) -> bool {
        self.slots
            .stream_mut(token)
            .is_some_and(|stream| stream.finishing.is_some())
    }

    /// The peer has ended its side.
    fn end<H: Handler>(&mut self, handler: &mut H, token: Token) {
        let Some(source) = self.slots.get_mut(token) else {
            return;
        };
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

    /// A connection cannot be written to any more. What its peer said last may tell why, and lies
    /// in the kernel still: it is told first.
    fn break_off<H: Handler>(&mut self, handler: &mut H, token: Token, error: Error) {
        for _ in 0..LAST_READS_MAX {
            let Some(Source {
                kind: SourceKind::Stream(stream),
                paused: false,
                ..
            }) = self.slots.get(token)
            else {
                break;
            };
            if stream.ended || stream.finishing.is_some() || !self.read(handler, token) {
                break;
            }
        }
        self.fail(handler, token, error);
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

    fn flush_all<H: Handler>(&mut self, handler: &mut H) {
        let mut dirty = core::mem::take(&mut self.dirty);
        for token in dirty.drain(..) {
            if let Some(stream) = self.slots.stream_mut(token) {
                stream.dirty = false;
                match flush(stream) {
                    Ok(()) => self.flushed(handler, token),
                    Err(error) => self.break_off(handler, token, error),
                }
            }
        }
        // What became dirty under way is for the next turn. Otherwise the list keeps its room.
        if self.dirty.is_empty() {
            self.dirty = dirty;
        }
    }

    /// What follows when a connection was written to.
    fn flushed<H: Handler>(&mut self, handler: &mut H, token: Token) {
        let Some(stream) = self.slots.stream_mut(token) else {
            return;
        };
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
            stream.ended
                && stream
                    .finishing
                    .as_ref()
                    .is_some_and(|finishing| finishing.shut)
        });
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
fn receive_from(socket: &Socket, buffer: &mut [u8]) -> Result<usize> {
    if socket.kind() != Kind::SEQPACKET {
        return socket.recv(buffer, MsgFlags::NONE);
    }
    // The answer is the real length, so that a message that does not fit is noticed.
    match socket.recv(buffer, MsgFlags::TRUNC)? {
        len if len > buffer.len() => Err(Error::os("recv", Errno::EMSGSIZE)),
        len => Ok(len),
    }
}

/// Writes what waits, until the kernel takes no more or it is enough for one turn.
pub(super) fn flush(stream: &mut Stream) -> Result<()> {
    let records = stream.socket.kind() == Kind::SEQPACKET;
    let mut written = 0;
    while !stream.outbox.is_empty() && written < WRITE_BYTES_PER_TURN_MAX {
        let result = match stream.outbox.front() {
            Some(piece) if records => {
                let all = piece.len();
                stream
                    .socket
                    .send(piece, MsgFlags::NONE)
                    .map(|len| (len, all))
            }
            _ => {
                let mut slices = [IoSlice::new(&[]); PIECES_PER_CALL_MAX];
                let (count, all) = stream.outbox.gather(&mut slices);
                let pieces = slices.get(..count).unwrap_or_default();
                stream
                    .socket
                    .send_gathered(pieces, MsgFlags::NONE)
                    .map(|len| (len, all))
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
