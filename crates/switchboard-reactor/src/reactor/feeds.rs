//! Feeds: what a handler may ask of them, and how they are written to their readers.

use core::ops::Range;
use core::time::Duration;
use std::io::IoSlice;
use std::time::Instant;

use berkeley::{MsgFlags, Result, Socket};
use bytes::Bytes;

use super::Reactor;
use super::completion::Completion;
use super::driver::Driver;
use super::write::{BATCH_MIN, flush};
use crate::feed::{
    Behind, FEED_BYTES_PER_WRITE, FEED_SILENCE, FeedId, FeedLimits, Follows, Gathered, PARTS_MAX,
    Reader, Ring,
};
use crate::handler::{Closed, Handler};
use crate::pieces::{Piece, Pool};
use crate::slots::{Due, Stream, Token};

/// Room for what follows that is kept while it is not needed.
const KEPT_MAX: usize = 1024;

/// How often a connection that does not take anything is looked at in the time that it has.
const STALL_LOOKS: u8 = 4;

impl Reactor {
    /// A ring of entries that any number of connections read.
    pub fn add_feed(&mut self, limits: FeedLimits) -> FeedId {
        self.feeds.add(limits)
    }

    /// Forgets a feed. What its readers have not got yet is lost to them.
    pub fn remove_feed(&mut self, feed: FeedId) {
        self.feeds.remove(feed);
    }

    /// Appends one entry, to be written to all readers at the end of the turn, but to the one that
    /// it came from, if that is told. To a sequenced-packet connection it is a message. Answers its
    /// number: 0, 1, 2, and so on for the life of the feed. Where there is no room the oldest
    /// entries leave; one that is longer than all the room is held alone. Nothing happens to a feed
    /// that is gone, and the answer is 0.
    pub fn append(&mut self, feed: FeedId, bytes: &[u8], except: Option<Token>) -> u64 {
        if let Some(number) = self.feeds.append_easily(feed, bytes, except) {
            return number;
        }
        self.append_otherwise(feed, bytes, except)
    }

    /// The same where entries have to leave, or the feed has to grow.
    #[inline(never)]
    fn append_otherwise(&mut self, feed: FeedId, bytes: &[u8], except: Option<Token>) -> u64 {
        if self.feeds.would_lose(feed, bytes.len()) {
            // More comes in this turn than the feed holds: who is not slow shall not miss it.
            self.flush_feed(feed, usize::MAX);
        }
        let (number, is_to_time) = self.feeds.append(feed, bytes, except);
        if is_to_time {
            self.time_silence(feed);
        }
        number
    }

    /// From now on the connection gets what is in a feed, from the entry with a number on, which
    /// may be one that is still to come. What is sent to it otherwise goes before what the feed
    /// has for it. It reads one feed at a time: this one in place of another. Nothing happens for
    /// a connection that is closed or being finished.
    ///
    /// # Errors
    /// [`Behind`] if the feed does not have that entry any more, or is gone. The connection reads
    /// then what it read before.
    pub fn subscribe(
        &mut self,
        token: Token,
        feed: FeedId,
        from: u64,
    ) -> core::result::Result<(), Behind> {
        let stream = self.slots.stream_mut(token);
        if stream.is_none_or(|stream| stream.is_finishing()) {
            return Ok(());
        }
        self.feeds.subscribe(token, feed, from)?;
        if self.feeds.is_pending(token) {
            self.mark(token);
        }
        Ok(())
    }

    /// The memory of all feeds together, without which they do not grow beyond
    /// [`FEED_BYTES_MIN`](crate::FEED_BYTES_MIN) each, so that readers fall behind sooner; unless
    /// one entry alone needs more. There is no limit at first.
    pub const fn limit_feeds(&mut self, bytes_max: usize) {
        self.feeds.memory_max = bytes_max;
    }

    /// The connection reads no feed any more, and gets what was appended until now, behind what
    /// else waits for it.
    ///
    /// # Errors
    /// [`Behind`] if it has fallen behind, or there is no room in its outbox: it does not get that.
    pub fn leave_feed(&mut self, token: Token) -> core::result::Result<(), Behind> {
        if !self.feeds.is_pending(token) {
            self.feeds.unsubscribe(token);
            return if self.feeds.forget_behind(token) {
                Err(Behind)
            } else {
                Ok(())
            };
        }
        let rest = self.feeds.take_out(token).ok_or(Behind)?;
        self.send(token, rest).map_err(|_full| Behind)
    }

    /// The connection reads no feed any more, from now on. Answers the number of the entry that was
    /// next, if it read one; what it has got a part of it gets whole.
    pub fn unsubscribe(&mut self, token: Token) -> Option<u64> {
        self.feeds.unsubscribe(token)
    }

    /// The numbers of the entries that a feed has; none for one that is gone.
    #[must_use]
    pub fn feed_range(&self, feed: FeedId) -> Range<u64> {
        self.feeds.ring(feed).map_or(0..0, Ring::range)
    }

    /// The number of the entry that a connection gets next of its feed, if it reads one.
    #[must_use]
    pub fn feed_next(&self, token: Token) -> Option<u64> {
        self.feeds.reader(token).map(|(_, reader)| reader.next())
    }

    /// Connections to whose peers something is to be written, and that take nothing of it for so
    /// long, are closed with a reset ([`Closed::Stalled`]), at the latest a quarter of that later.
    /// Without a limit, as it is at first, they wait for ever. It counts for those that have to
    /// wait from now on.
    pub const fn limit_stalls(&mut self, limit: Option<Duration>) {
        self.stall_limit = limit;
    }

    /// At the end of a second: those that fell silent within one share a wake-up.
    fn time_silence(&mut self, feed: FeedId) {
        let start = self.timers.start();
        let seconds = start.elapsed().as_secs() + 1;
        if let Some(at) = start.checked_add(Duration::from_secs(seconds) + FEED_SILENCE) {
            self.timers.set(at, Due::Silence(feed));
        }
    }

    /// Gives memory back to which nothing was appended for long; looks again where it was in use.
    pub(super) fn look_at_silence(&mut self, feed: FeedId) {
        if !self.feeds.settle(feed) {
            self.time_silence(feed);
        }
    }

    /// Notes that a connection has to wait for its peer.
    pub(super) fn time_stall(&mut self, token: Token) {
        let Some(limit) = self.stall_limit else {
            return;
        };
        if let Some(stream) = self.slots.stream_mut(token)
            && stream.stall == 0
            && let Some(at) = Instant::now().checked_add(limit / STALL_LOOKS.into())
        {
            stream.stall = 1;
            self.timers.set(at, Due::Stall(token));
        }
    }

    /// Looks at a connection that had to wait for its peer.
    pub(super) fn look_at_stall<H: Handler>(&mut self, handler: &mut H, token: Token) {
        let is_pending = self.feeds.is_pending(token);
        let limit = self.stall_limit;
        let Some(stream) = self.slots.stream_mut(token) else {
            return;
        };
        let waits = stream.blocked && (is_pending || !stream.outbox.is_empty());
        let (Some(limit), true) = (limit, waits) else {
            stream.stall = 0;
            return;
        };
        if stream.stall >= STALL_LOOKS {
            self.reset(token);
            return handler.closed(self, token, Closed::Stalled);
        }
        stream.stall += 1;
        if let Some(at) = Instant::now().checked_add(limit / STALL_LOOKS.into()) {
            self.timers.set(at, Due::Stall(token));
        }
    }

    /// Writes what was appended in this turn.
    #[inline]
    pub(super) fn flush_feeds<H: Handler>(&mut self, handler: &mut H) {
        if !self.feeds.marked.is_empty() {
            self.flush_marked(handler);
        }
    }

    fn flush_marked<H: Handler>(&mut self, handler: &mut H) {
        let mut marked = core::mem::take(&mut self.feeds.marked);
        for id in marked.drain(..) {
            self.feeds.unmark(id);
            self.flush_feed(id, FEED_BYTES_PER_WRITE);
        }
        self.feeds.marked = marked;
        self.feeds.forget_snapshot();
        // Only now the handler may change who reads what; and what it appends may leave others
        // behind.
        while let Some((token, follows)) = self.feeds.told.pop() {
            match follows {
                Follows::Behind(feed, next) => self.tell_behind(handler, token, feed, next),
                Follows::Failed(error) => self.after_flush(handler, token, Err(error)),
                Follows::Enough | Follows::Cut | Follows::Waits => {}
            }
        }
    }

    fn tell_behind<H: Handler>(&mut self, handler: &mut H, token: Token, feed: FeedId, next: u64) {
        if self.slots.get(token).is_some() && !self.feeds.has_reader(token) {
            handler.behind(self, token, feed, next);
        }
    }

    /// Writes a feed to its readers, so many bytes to each: a walk along the list of them.
    fn flush_feed(&mut self, id: FeedId, bytes_max: usize) {
        let mut follows = core::mem::take(&mut self.feeds.follows);
        let Some((ring, readers)) = self.feeds.take_marked(id) else {
            self.feeds.follows = follows;
            return;
        };
        let mut writer = Writer {
            ring,
            pool: &mut self.pool,
            driver: &mut self.driver,
            bytes_max,
            is_batch: readers.len() >= BATCH_MIN,
            shared: Laid::nothing(),
        };
        let mut offered = ring.next();
        for reader in readers {
            if reader.next() >= writer.ring.next() {
                continue;
            }
            let Some(stream) = self.slots.stream_mut(reader.token) else {
                continue;
            };
            if let Some(what) = writer.serve(reader, stream, id) {
                if matches!(what, Follows::Enough) {
                    offered = offered.min(reader.next());
                }
                follows.push((reader.token, what));
            }
        }
        self.feeds.set_offered(id, offered);
        for (token, what) in follows.drain(..) {
            match what {
                Follows::Enough => self.mark(token),
                Follows::Cut => self.wait_for_room(token),
                Follows::Waits => self.time_stall(token),
                Follows::Behind(..) => {
                    self.feeds.unsubscribe(token);
                    self.feeds.told.push((token, what));
                }
                Follows::Failed(_) => self.feeds.told.push((token, what)),
            }
        }
        if follows.capacity() <= KEPT_MAX {
            self.feeds.follows = follows;
        }
    }

    /// Goes on with the feed of a connection that has nothing else to be written.
    pub(super) fn feed_on<H: Handler>(&mut self, handler: &mut H, token: Token) {
        let is_batch = self.driver.is_batch();
        let is_due = self.feeds.is_due(token);
        let (Some((id, ring, reader)), Some(stream)) =
            (self.feeds.reader_mut(token), self.slots.stream_mut(token))
        else {
            return;
        };
        let mut writer = Writer {
            ring,
            pool: &mut self.pool,
            driver: &mut self.driver,
            bytes_max: FEED_BYTES_PER_WRITE,
            is_batch,
            shared: Laid::nothing(),
        };
        let follows = if reader.next() < ring.next() && !is_due {
            writer.serve(reader, stream, id)
        } else {
            None
        };
        match follows {
            Some(Follows::Cut) => return self.wait_for_room(token),
            Some(Follows::Failed(error)) => {
                return self.after_flush(handler, token, Err(error));
            }
            Some(Follows::Enough) => self.mark(token),
            Some(Follows::Behind(id, next)) => {
                self.feeds.unsubscribe(token);
                self.watch_again(token);
                return self.tell_behind(handler, token, id, next);
            }
            Some(Follows::Waits) | None => {}
        }
        self.watch_again(token);
        if self.outbox_bytes(token) == 0 {
            handler.drained(self, token);
        }
    }

    fn watch_again(&mut self, token: Token) {
        if let Some(source) = self.slots.get(token)
            && self.driver.wanted(source) != source.watched
        {
            self.rewatch(token);
        }
    }

    /// Waits until a reader's peer has room, or lets the kernel do that.
    fn wait_for_room(&mut self, token: Token) {
        let Some(stream) = self.slots.stream_mut(token) else {
            return;
        };
        if stream.has_records() || self.driver.completion().is_none() {
            stream.blocked = true;
            self.watch_again(token);
        } else {
            self.depart(token);
        }
        self.time_stall(token);
    }
}

/// What comes next, from a place in a ring.
struct Laid<'a> {
    from: u64,
    slices: [IoSlice<'a>; PARTS_MAX],
    gathered: Gathered,
    /// What a ring sends of it.
    copy: Option<Bytes>,
}

impl<'a> Laid<'a> {
    fn nothing() -> Self {
        Self {
            from: u64::MAX,
            slices: [IoSlice::new(&[]); PARTS_MAX],
            gathered: Gathered::default(),
            copy: None,
        }
    }

    fn lay(&mut self, ring: &'a Ring, reader: Reader, bytes_max: usize) {
        self.from = reader.next();
        self.copy = None;
        self.gathered = ring.gather(reader, bytes_max, &mut self.slices);
    }

    fn parts(&self) -> &[IoSlice<'a>] {
        self.slices.get(..self.gathered.parts).unwrap_or_default()
    }
}

/// What is needed to write to readers of a feed.
struct Writer<'a> {
    ring: &'a Ring,
    pool: &'a mut Pool,
    driver: &'a mut Driver,
    bytes_max: usize,
    is_batch: bool,
    /// Most readers get the same from the same place: that is laid out once.
    shared: Laid<'a>,
}

impl Writer<'_> {
    /// Writes what is next for a reader; answers what has to follow.
    #[inline]
    fn serve(&mut self, reader: &mut Reader, stream: &mut Stream, id: FeedId) -> Option<Follows> {
        if !stream.blocked
            && !stream.outbox.is_empty()
            && let Err(error) = flush(stream, self.pool, &[])
        {
            return Some(Follows::Failed(error));
        }
        if stream.blocked || !stream.outbox.is_empty() {
            // Both go on by themselves.
            return (stream.blocked && stream.stall == 0).then_some(Follows::Waits);
        }
        let (next, end) = (reader.next(), self.ring.next());
        if next < self.ring.range().start {
            return Some(Follows::Behind(id, next));
        }
        if reader.has_own() || stream.has_records() {
            return self.serve_alone(reader, stream);
        }
        if self.shared.from != next {
            let anybody = Reader::new(Token::ANYBODY, next);
            self.shared.lay(self.ring, anybody, self.bytes_max);
        }
        let Gathered { bytes, next, .. } = self.shared.gathered;
        let sent = match self.hand_over_shared(reader.token, stream) {
            true => Ok(bytes),
            false => send(&stream.socket, self.shared.parts()),
        };
        match sent {
            Ok(len) if len == bytes => {
                stream.took();
                reader.set_next(next, end);
                (next < end && !stream.blocked).then_some(Follows::Enough)
            }
            other => self.after_send(reader, stream, other),
        }
    }

    /// Hands what all get over to a ring, if that is short and there are enough of them: they share
    /// one copy.
    fn hand_over_shared(&mut self, token: Token, stream: &mut Stream) -> bool {
        if !self.is_batch {
            return false;
        }
        let Some(driver) = self.driver.completion() else {
            return false;
        };
        let [only] = self.shared.parts() else {
            return false;
        };
        if !Completion::copies(only.len()) {
            return false;
        }
        if self.shared.copy.is_none() {
            let copy = self.pool.copy(only);
            self.shared.copy = Some(copy);
        }
        if let Some(copy) = &self.shared.copy {
            driver.send_shared(token, stream, copy.clone());
        }
        true
    }

    /// The same for a reader that does not get what the others get: entries of its own are passed
    /// over, and a message is one entry.
    #[inline(never)]
    fn serve_alone(&mut self, reader: &mut Reader, stream: &mut Stream) -> Option<Follows> {
        let end = self.ring.next();
        let has_records = stream.has_records();
        let mut room = self.bytes_max;
        while reader.next() < end && !stream.blocked {
            if room == 0 {
                return Some(Follows::Enough);
            }
            let mut laid = Laid::nothing();
            laid.lay(self.ring, *reader, if has_records { 1 } else { room });
            let Gathered { bytes, next, .. } = laid.gathered;
            // Only the first entry of a turn may be longer than what is left.
            if bytes > room && room < self.bytes_max {
                return Some(Follows::Enough);
            }
            match send(&stream.socket, laid.parts()) {
                Ok(len) if len == bytes => {
                    stream.took();
                    reader.set_next(next, end);
                    room = room.saturating_sub(len);
                }
                other => return self.after_send(reader, stream, other),
            }
        }
        None
    }

    /// What follows where the kernel has not taken everything.
    #[cold]
    fn after_send(
        &mut self,
        reader: &mut Reader,
        stream: &mut Stream,
        sent: Result<usize>,
    ) -> Option<Follows> {
        let sent = match sent {
            Ok(len) => len,
            Err(error) if error.is_would_block() => 0,
            Err(error) => return Some(Follows::Failed(error)),
        };
        if sent > 0 {
            stream.took();
        }
        // A ring waits for room only with something to write: there it is a whole entry if need be.
        let completes = self.driver.completion().is_some() && !stream.has_records();
        let (next, rest, is_in_part) = self.ring.cut(*reader, sent as u64);
        let keeps = is_in_part || completes;
        reader.set_next(next + u64::from(keeps), self.ring.next());
        if keeps {
            let piece = Piece::Shared(self.pool.copy_both(rest));
            // An empty outbox takes any piece.
            debug_assert!(stream.outbox.is_empty());
            let _fits = stream.outbox.push(self.pool, piece);
        }
        Some(Follows::Cut)
    }
}

/// Sends as one.
#[inline]
fn send(socket: &Socket, parts: &[IoSlice<'_>]) -> Result<usize> {
    match parts {
        [] => Ok(0),
        [only] => socket.send(only, MsgFlags::NONE),
        _ => socket.send_gathered(parts, MsgFlags::NONE),
    }
}

#[cfg(test)]
mod tests {
    use berkeley::selector::Backend;

    use super::*;
    use crate::feed::FEED_BYTES_MIN;

    #[test]
    fn the_memory_of_a_feed_goes_back_after_its_silence() {
        let mut reactor = Reactor::new(Backend::Epoll).unwrap();
        let feed = reactor.add_feed(FeedLimits {
            bytes_max: 64 * 1024,
            entries_max: 10,
        });
        let memory = |reactor: &Reactor| reactor.feeds.ring(feed).map_or(0, Ring::memory);
        let begun = Instant::now();
        reactor.append(feed, &[7; FEED_BYTES_MIN], None);
        assert_eq!(reactor.timers.next(), None);
        reactor.append(feed, &[7; FEED_BYTES_MIN], None);
        assert_eq!(memory(&reactor), 2 * FEED_BYTES_MIN);
        let due = reactor.timers.next().unwrap();
        let silence = due.saturating_duration_since(begun);
        let second = Duration::from_secs(1);
        assert!((FEED_SILENCE - second..FEED_SILENCE + 2 * second).contains(&silence));
        // It was used since, and is looked at once more.
        for keeps in [true, false] {
            reactor.look_at_silence(feed);
            assert_eq!(memory(&reactor) > FEED_BYTES_MIN, keeps);
        }
    }
}
