//! Writing what waits.

use core::ops::Range;
use std::io::IoSlice;

use berkeley::{MsgFlags, Result, Shutdown};

use super::{Reactor, WRITE_BYTES_PER_TURN_MAX};
use crate::handler::Handler;
use crate::pieces::{Copied, PIECES_PER_CALL_MAX, Piece, Pool};
use crate::slots::{Source, SourceKind, Stage, Stream, Token};

/// Sends from which it is cheaper to hand all of them to a ring than to make a call for each, and
/// to hear nothing of it afterwards.
pub(super) const BATCH_MIN: usize = 4;

impl Reactor {
    /// Writes what goes back where it came from; copies what the peer has no room for.
    #[inline(always)]
    pub(super) fn send_back(&mut self, token: Token, bytes: &[u8]) -> Option<Result<()>> {
        let stream = self.slots.stream_mut(token)?;
        if let Some(driver) = self.driver.completion()
            && driver.sends(bytes.len())
        {
            self.hand_back(token, bytes);
            return None;
        }
        match stream.socket.send(bytes, MsgFlags::NONE) {
            Ok(sent) if sent == bytes.len() => Some(Ok(())),
            result => self.keep_rest(token, bytes, result),
        }
    }

    /// Keeps what the kernel did not take of something that was sent while nothing else waited.
    #[cold]
    fn keep_rest(
        &mut self,
        token: Token,
        bytes: &[u8],
        result: Result<usize>,
    ) -> Option<Result<()>> {
        let sent = match result {
            Ok(len) => len,
            Err(error) if error.is_would_block() => 0,
            Err(error) => return Some(Err(error)),
        };
        let stream = self.slots.stream_mut(token)?;
        if let Some(rest @ [_, ..]) = bytes.get(sent..) {
            if let Some(driver) = self.driver.completion() {
                driver.send_copy(token, stream, rest);
                return None;
            }
            let rest = Piece::Shared(self.pool.copy(rest));
            // An empty outbox takes any piece.
            debug_assert!(stream.outbox.is_empty());
            let _fits = stream.outbox.push(&mut self.pool, rest);
        }
        Some(Ok(()))
    }

    /// Lets the kernel write a copy.
    #[inline(never)]
    fn hand_back(&mut self, token: Token, bytes: &[u8]) {
        if let (Some(stream), Some(driver)) =
            (self.slots.stream_mut(token), self.driver.completion())
        {
            driver.send_copy(token, stream, bytes);
        }
    }

    /// Takes back what the handler has sent of what it was shown: what goes back to the same
    /// connection is written, everything else is copied. Answers how the writing went.
    pub(super) fn settle(
        &mut self,
        source: Token,
        lent: &[u8],
        echo: Range<usize>,
    ) -> Option<Result<()>> {
        let mut outcome = None;
        if !echo.is_empty() {
            outcome = self.send_back(source, lent.get(echo).unwrap_or_default());
        }
        let mut borrowers = core::mem::take(&mut self.borrowers);
        let mut copied = Copied::default();
        for token in borrowers.drain(..) {
            let Some(stream) = self.slots.stream_mut(token) else {
                continue;
            };
            if token == source && !stream.blocked {
                // It may be on the list of those to be written, where it is passed over then.
                stream.dirty = false;
                outcome = Some(flush(stream, &mut self.pool, lent));
            }
            if !stream.outbox.is_empty() {
                stream.outbox.keep(&mut self.pool, lent, &mut copied);
                if token != source {
                    self.mark(token);
                }
            }
        }
        self.borrowers = borrowers;
        outcome
    }

    pub(super) fn flush_all<H: Handler>(&mut self, handler: &mut H) {
        if self.dirty.is_empty() {
            return;
        }
        let mut dirty = core::mem::take(&mut self.dirty);
        let is_batch = dirty.len() >= BATCH_MIN;
        for token in dirty.drain(..) {
            if let Some(stream) = self.slots.stream_mut(token)
                && core::mem::take(&mut stream.dirty)
            {
                let completes = self.driver.completion().is_some() && !stream.has_records();
                // More than is written in one turn is told by its completion when it goes on.
                let is_much = stream.outbox.bytes() > WRITE_BYTES_PER_TURN_MAX;
                if completes && (is_batch || is_much || stream.blocked) {
                    self.hand_over(handler, token);
                    if is_much {
                        self.time_stall(token);
                    }
                    continue;
                }
                let outcome = flush(stream, &mut self.pool, &[]);
                self.after_flush(handler, token, outcome);
            }
        }
        // What became dirty under way is for the next turn. Otherwise the list keeps its room.
        if self.dirty.is_empty() {
            self.dirty = dirty;
        }
    }

    pub(super) fn after_flush<H: Handler>(
        &mut self,
        handler: &mut H,
        token: Token,
        outcome: Result<()>,
    ) {
        match outcome {
            Ok(()) => self.flushed(handler, token),
            Err(error) => match self.driver.completion() {
                Some(driver) => driver.give_up(token, error),
                None => self.break_off(handler, token, error),
            },
        }
    }

    /// What follows when a connection was written to.
    #[inline]
    pub(super) fn flushed<H: Handler>(&mut self, handler: &mut H, token: Token) {
        if self.is_at_rest(token) {
            handler.drained(self, token);
        } else {
            self.flushed_in_part(handler, token);
        }
    }

    /// True if nothing is left to be written to a connection, and nothing else is to be done.
    #[inline]
    pub(super) fn is_at_rest(&self, token: Token) -> bool {
        let source = self.slots.get(token);
        source.is_some_and(Source::is_at_rest) && !self.feeds.has_reader(token)
    }

    /// The same where something is left, or something else follows.
    #[inline(never)]
    fn flushed_in_part<H: Handler>(&mut self, handler: &mut H, token: Token) {
        let Some(source) = self.slots.get_mut(token) else {
            return;
        };
        let SourceKind::Stream(stream) = &mut source.kind else {
            return;
        };
        // Either the peer is slow, or it was enough for one turn: both go on when there is room.
        let is_left = !stream.outbox.is_empty();
        if is_left && !stream.has_records() && self.driver.completion().is_some() {
            self.hand_over(handler, token);
            return self.time_stall(token);
        }
        if !is_left && stream.stage == Stage::Open && self.feeds.has_reader(token) {
            return self.feed_on(handler, token);
        }
        stream.blocked |= is_left;
        let is_finishing = stream.is_finishing();
        if !is_left && stream.stage == Stage::Finishing {
            stream.stage = Stage::Shut;
            // A peer that is gone already has no use for our end, and for one that has ended, the
            // connection is closed at once.
            if !stream.ended {
                drop(stream.socket.shutdown(Shutdown::WRITE));
            }
        }
        if self.driver.wanted(source) != source.watched {
            self.rewatch(token);
        }
        if is_left {
            return self.time_stall(token);
        }
        if is_finishing {
            self.close_if_finished(handler, token);
        } else {
            handler.drained(self, token);
        }
    }
}

/// Writes what waits, until the kernel takes no more or it is enough for one turn. What is lent can
/// be written only while it lies in `lent`.
pub(super) fn flush(stream: &mut Stream, pool: &mut Pool, lent: &[u8]) -> Result<()> {
    let mut room = WRITE_BYTES_PER_TURN_MAX;
    while room > 0
        && let Some((piece, is_only)) = stream.outbox.front(pool, lent)
    {
        // A message is written whole, a stream up to the limit.
        let result = if stream.has_records() || is_only && piece.len() <= room {
            let sent = stream.socket.send(piece, MsgFlags::NONE);
            sent.map(|len| (len, piece.len()))
        } else {
            let mut slices = [IoSlice::new(&[]); PIECES_PER_CALL_MAX];
            let (count, all) = stream.outbox.gather(pool, lent, room, &mut slices);
            let pieces = slices.get(..count).unwrap_or_default();
            let sent = stream.socket.send_gathered(pieces, MsgFlags::NONE);
            sent.map(|len| (len, all))
        };
        match result {
            Ok((len, all)) => {
                stream.outbox.advance(pool, len);
                stream.took();
                room = room.saturating_sub(len);
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
