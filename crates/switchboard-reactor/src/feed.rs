//! Rings of entries that many connections read, each from a place of its own.
//!
//! A feed is plain data: it knows entries and places, and no sockets. What is written to whom is
//! the reactor's.

mod ring;

use core::num::NonZeroU32;
use core::time::Duration;

use berkeley::Error;
use bytes::Bytes;

pub(crate) use ring::{Gathered, PARTS_MAX, Reader, Ring};

use crate::slots::Token;
use crate::token_map::TokenMap;

/// Memory that a feed begins with, and that it goes back to.
pub const FEED_BYTES_MIN: usize = 4 * 1024;

/// Memory up to which a feed grows whoever has read what; beyond that it grows only for readers
/// that have not got what is in it.
pub const FEED_BYTES_KEPT: usize = 128 * 1024;

/// Bytes that one reader gets of its feed in one turn at most; the rest follows in the next one. An
/// entry is never divided for that: one that is longer is written alone.
pub const FEED_BYTES_PER_WRITE: usize = 128 * 1024;

/// How long nothing is appended to a feed before its memory goes back.
pub const FEED_SILENCE: Duration = Duration::from_secs(30);

/// What a feed may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedLimits {
    /// Bytes of all entries together. One that is longer is held alone.
    pub bytes_max: usize,
    /// Entries, at least one.
    pub entries_max: usize,
}

/// The name of a feed within its reactor. That of a feed that was removed names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeedId {
    index: u32,
    generation: u32,
}

/// The entry that was asked for has left the feed, or the feed is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind;

impl core::fmt::Display for Behind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the feed does not have this entry any more")
    }
}

impl std::error::Error for Behind {}

/// A ring and its readers.
#[derive(Debug)]
struct Feed {
    ring: Ring,
    readers: Vec<Reader>,
    /// What is before this number was written to the readers whose peers take it.
    offered: u64,
    /// Something was appended in this turn.
    is_marked: bool,
    /// Something was appended since its silence was last looked at.
    is_used: bool,
    /// Its silence will be looked at.
    is_timed: bool,
}

impl Feed {
    const fn new(limits: FeedLimits) -> Self {
        Self {
            ring: Ring::new(limits),
            readers: Vec::new(),
            offered: 0,
            is_marked: false,
            is_used: false,
            is_timed: false,
        }
    }

    /// True if no reader has anything to get.
    fn is_read(&self) -> bool {
        let next = self.ring.next();
        self.readers.iter().all(|reader| reader.next() >= next)
    }
}

/// What has to follow when the readers of a feed were written to.
#[derive(Debug)]
pub(crate) enum Follows {
    /// It has had enough for one turn.
    Enough,
    /// Its peer had no room for more.
    Cut,
    /// Its peer has had no room since before.
    Waits,
    /// What it should get next has left: the number of that.
    Behind(FeedId, u64),
    Failed(Error),
}

/// Where the place of a connection is. It is kept for each of them, in as few bytes as can be.
#[derive(Debug, Clone, Copy)]
struct Subscription {
    /// The number of the feed's place, and one.
    feed: NonZeroU32,
    index: u32,
}

impl Subscription {
    const fn feed(self) -> u32 {
        self.feed.get() - 1
    }
}

/// A copy of all that a feed has, for many who are going to read no more.
#[derive(Debug)]
struct Snapshot {
    feed: FeedId,
    /// The number behind it.
    next: u64,
    bytes: Bytes,
}

/// All feeds of a reactor.
#[derive(Debug)]
pub(crate) struct Feeds {
    feeds: Vec<Option<Feed>>,
    generations: Vec<u32>,
    free: Vec<u32>,
    subscriptions: TokenMap<Subscription>,
    /// Those that were appended to in this turn.
    pub(crate) marked: Vec<FeedId>,
    /// Memory of all rings, and how much it may be.
    memory: usize,
    pub(crate) memory_max: usize,
    snapshot: Option<Snapshot>,
    /// Lent to each writing, hence empty in between.
    pub(crate) follows: Vec<(Token, Follows)>,
    pub(crate) told: Vec<(Token, Follows)>,
}

impl Feeds {
    pub(crate) const fn new() -> Self {
        Self {
            feeds: Vec::new(),
            generations: Vec::new(),
            free: Vec::new(),
            subscriptions: TokenMap::new(),
            marked: Vec::new(),
            memory: 0,
            memory_max: usize::MAX,
            snapshot: None,
            follows: Vec::new(),
            told: Vec::new(),
        }
    }

    pub(crate) fn reserve(&mut self, readers: usize) {
        self.subscriptions.reserve(readers);
    }

    pub(crate) fn add(&mut self, limits: FeedLimits) -> FeedId {
        let feed = Some(Feed::new(limits));
        if let Some(index) = self.free.pop()
            && let Some(place) = self.feeds.get_mut(index as usize)
        {
            *place = feed;
            return self.id(index);
        }
        // More than four thousand million feeds do not fit into a process.
        let index = u32::try_from(self.feeds.len()).unwrap_or(u32::MAX);
        self.feeds.push(feed);
        self.generations.push(0);
        self.id(index)
    }

    fn id(&self, index: u32) -> FeedId {
        let generation = self.generations.get(index as usize).copied();
        FeedId {
            index,
            generation: generation.unwrap_or_default(),
        }
    }

    pub(crate) fn remove(&mut self, id: FeedId) {
        let Some(feed) = self.get_mut(id) else {
            return;
        };
        let memory = feed.ring.memory();
        for reader in core::mem::take(&mut feed.readers) {
            self.subscriptions.remove(reader.token);
        }
        self.memory = self.memory.saturating_sub(memory);
        if let (Some(place), Some(generation)) = (
            self.feeds.get_mut(id.index as usize),
            self.generations.get_mut(id.index as usize),
        ) {
            *place = None;
            // A place whose generations are used up is left empty: no name is given out twice.
            if let Some(next) = generation.checked_add(1) {
                *generation = next;
                self.free.push(id.index);
            }
        }
    }

    fn get(&self, id: FeedId) -> Option<&Feed> {
        let generation = self.generations.get(id.index as usize)?;
        let feed = self.feeds.get(id.index as usize)?.as_ref();
        feed.filter(|_| *generation == id.generation)
    }

    fn get_mut(&mut self, id: FeedId) -> Option<&mut Feed> {
        let generation = self.generations.get(id.index as usize)?;
        let feed = self.feeds.get_mut(id.index as usize)?.as_mut();
        feed.filter(|_| *generation == id.generation)
    }

    pub(crate) fn ring(&self, id: FeedId) -> Option<&Ring> {
        self.get(id).map(|feed| &feed.ring)
    }

    /// Appends an entry, which is written at the end of the turn, where that is easy; else does
    /// nothing. Answers its number.
    #[inline]
    pub(crate) fn append_easily(
        &mut self,
        id: FeedId,
        bytes: &[u8],
        except: Option<Token>,
    ) -> Option<u64> {
        let own = except.and_then(|token| self.subscriptions.get(token).copied());
        let feed = self.get_mut(id)?;
        let number = feed.ring.append_easily(bytes, except)?;
        feed.is_used = true;
        if let Some(own) = own
            && own.feed() == id.index
            && let Some(reader) = feed.readers.get_mut(own.index as usize)
        {
            reader.set_own();
        }
        if !core::mem::replace(&mut feed.is_marked, true) {
            self.marked.push(id);
        }
        Some(number)
    }

    /// The same whatever has to be done for it. Answers its number, and whether
    /// the feed's silence is to be looked at from now on.
    pub(crate) fn append(
        &mut self,
        id: FeedId,
        bytes: &[u8],
        except: Option<Token>,
    ) -> (u64, bool) {
        let own = except.and_then(|token| self.subscriptions.get(token).copied());
        let others = self.memory_of_others(id);
        let memory_max = self.memory_max.saturating_sub(others);
        let Some(feed) = self.get_mut(id) else {
            return (0, false);
        };
        if let Some(own) = own
            && own.feed() == id.index
            && let Some(reader) = feed.readers.get_mut(own.index as usize)
        {
            reader.set_own();
        }
        if feed.ring.memory() >= FEED_BYTES_KEPT && feed.ring.would_grow(bytes.len(), memory_max) {
            let slowest = feed.readers.iter().map(|reader| reader.next()).min();
            feed.ring.forget_read(slowest.unwrap_or(u64::MAX));
        }
        let number = feed.ring.append(bytes, except, memory_max);
        let memory = feed.ring.memory();
        feed.is_used = true;
        let is_to_time = feed.ring.is_grown() && !core::mem::replace(&mut feed.is_timed, true);
        if !core::mem::replace(&mut feed.is_marked, true) {
            self.marked.push(id);
        }
        self.memory = others + memory;
        (number, is_to_time)
    }

    fn memory_of_others(&self, id: FeedId) -> usize {
        let own = self.ring(id).map_or(0, Ring::memory);
        self.memory.saturating_sub(own)
    }

    /// True if an entry of so many bytes would push out what the readers have not been offered.
    pub(crate) fn would_lose(&self, id: FeedId, len: usize) -> bool {
        let memory_max = self.memory_max.saturating_sub(self.memory_of_others(id));
        self.get(id).is_some_and(|feed| {
            let leaving = feed.ring.leaving(len, memory_max);
            leaving > 0 && feed.ring.range().start + leaving as u64 > feed.offered
        })
    }

    /// Notes that the readers that are not slow have got everything before a number.
    pub(crate) fn set_offered(&mut self, id: FeedId, before: u64) {
        if let Some(feed) = self.get_mut(id) {
            feed.offered = before;
        }
    }

    /// Notes that what was appended is being written.
    pub(crate) fn unmark(&mut self, id: FeedId) {
        if let Some(feed) = self.get_mut(id) {
            feed.is_marked = false;
        }
    }

    /// True if something was appended that was not written yet.
    pub(crate) const fn is_marked(&self) -> bool {
        !self.marked.is_empty()
    }

    /// How many readers there are of what was appended and not written yet.
    pub(crate) fn due_readers(&self) -> usize {
        let marked = self.marked.iter().filter_map(|id| self.get(*id));
        marked.map(|feed| feed.readers.len()).sum()
    }

    /// The readers that are to be written to, and what is to be written.
    pub(crate) fn take_marked(&mut self, id: FeedId) -> Option<(&Ring, &mut [Reader])> {
        let feed = self.get_mut(id)?;
        Some((&feed.ring, &mut feed.readers))
    }

    /// True if the connection reads a feed.
    #[inline]
    pub(crate) fn has_reader(&self, token: Token) -> bool {
        !self.subscriptions.is_empty() && self.subscriptions.get(token).is_some()
    }

    /// A connection's feed, with what is to be written to it.
    pub(crate) fn reader_mut(&mut self, token: Token) -> Option<(FeedId, &Ring, &mut Reader)> {
        let subscription = *self.subscriptions.get(token)?;
        let id = self.id(subscription.feed());
        let feed = self.get_mut(id)?;
        let reader = feed.readers.get_mut(subscription.index as usize)?;
        Some((id, &feed.ring, reader))
    }

    /// The same to look at.
    pub(crate) fn reader(&self, token: Token) -> Option<(&Ring, Reader)> {
        let subscription = self.subscriptions.get(token)?;
        let feed = self.feeds.get(subscription.feed() as usize)?.as_ref()?;
        let reader = feed.readers.get(subscription.index as usize)?;
        Some((&feed.ring, *reader))
    }

    /// True if the feed of a connection has something for it.
    pub(crate) fn is_pending(&self, token: Token) -> bool {
        self.reader(token)
            .is_some_and(|(ring, reader)| reader.next() < ring.next())
    }

    /// Makes a connection a reader.
    pub(crate) fn subscribe(&mut self, token: Token, id: FeedId, from: u64) -> Result<(), Behind> {
        if self.ring(id).ok_or(Behind)?.range().start > from {
            return Err(Behind);
        }
        self.unsubscribe(token);
        let feed = self.get_mut(id).ok_or(Behind)?;
        let index = u32::try_from(feed.readers.len()).unwrap_or(u32::MAX);
        feed.readers.push(Reader::new(token, from));
        let feed = NonZeroU32::MIN.saturating_add(id.index);
        self.subscriptions
            .insert(token, Subscription { feed, index });
        Ok(())
    }

    /// True if what a connection reads is written at the end of this turn.
    pub(crate) fn is_due(&self, token: Token) -> bool {
        let feed = self.subscriptions.get(token).map(|it| it.feed() as usize);
        let feed = feed.and_then(|index| self.feeds.get(index)?.as_ref());
        feed.is_some_and(|feed| feed.is_marked)
    }

    /// Ends that; answers the number of the entry that was next.
    pub(crate) fn unsubscribe(&mut self, token: Token) -> Option<u64> {
        if self.subscriptions.is_empty() {
            return None;
        }
        let subscription = self.subscriptions.remove(token)?;
        let (feed, index) = (subscription.feed(), subscription.index);
        let feed = self.feeds.get_mut(feed as usize)?.as_mut()?;
        let place = index as usize;
        let reader = (place < feed.readers.len()).then(|| feed.readers.swap_remove(place))?;
        if feed.readers.len() < feed.readers.capacity() / 4 {
            feed.readers.shrink_to(feed.readers.capacity() / 2);
        }
        // The last one has taken its place.
        if let Some(moved) = feed.readers.get(place)
            && let Some(subscription) = self.subscriptions.get_mut(moved.token)
        {
            subscription.index = index;
        }
        Some(reader.next())
    }

    /// Whether a connection has fallen behind and was not told yet; it is not told any more.
    pub(crate) fn forget_behind(&mut self, token: Token) -> bool {
        let count = self.told.len();
        self.told
            .retain(|(who, what)| *who != token || !matches!(what, Follows::Behind(..)));
        self.told.len() < count
    }

    /// Ends that too, with what there still is for the connection; `None` if a part of that has
    /// left already.
    pub(crate) fn take_out(&mut self, token: Token) -> Option<Bytes> {
        let (id, ring, reader) = self.reader_mut(token)?;
        let (reader, range) = (*reader, ring.range());
        let (before, behind) = ring.bytes_around(reader.next());
        let rest = if reader.next() < range.start {
            None
        } else if reader.has_own() || behind <= FEED_BYTES_MIN {
            Some(ring.rest(reader))
        } else {
            // Many who are slow may go at once: they share a copy.
            let everything = Reader::new(Token::ANYBODY, range.start);
            let bytes = match &self.snapshot {
                Some(it) if it.feed == id && it.next == range.end => it.bytes.clone(),
                _ => self.ring(id)?.rest(everything),
            };
            let rest = bytes.slice(bytes.len().min(before)..);
            self.snapshot = Some(Snapshot {
                feed: id,
                next: range.end,
                bytes,
            });
            Some(rest)
        };
        self.unsubscribe(token);
        rest
    }

    /// Forgets what was copied for those who went.
    pub(crate) fn forget_snapshot(&mut self) {
        self.snapshot = None;
    }

    /// Gives memory back where nothing was appended for long, and nobody has anything to get.
    /// Answers false where that is to be looked at again.
    pub(crate) fn settle(&mut self, id: FeedId) -> bool {
        let Some(feed) = self.get_mut(id) else {
            return true;
        };
        if core::mem::take(&mut feed.is_used) || !feed.is_read() {
            return false;
        }
        feed.is_timed = false;
        let before = feed.ring.memory();
        feed.ring.shrink();
        let given_back = before.saturating_sub(feed.ring.memory());
        self.memory = self.memory.saturating_sub(given_back);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FeedLimits = FeedLimits {
        bytes_max: 100_000,
        entries_max: 1000,
    };

    #[test]
    fn memory_grows_with_what_is_held_and_goes_back_when_all_is_read() {
        let mut feeds = Feeds::new();
        let (feed, token) = (feeds.add(LIMITS), Token::from_parts(1, 0));
        assert_eq!(feeds.append(feed, &[1; FEED_BYTES_MIN], None), (0, false));
        feeds.subscribe(token, feed, 0).unwrap();
        // The second one is more than it begins with: from now on somebody looks at it.
        assert_eq!(feeds.append(feed, &[2; 60_000], None), (1, true));
        assert_eq!(feeds.append(feed, &[3; 100], None), (2, false));
        assert!(!feeds.settle(feed), "it was used");
        assert!(!feeds.settle(feed), "somebody has not read it");
        let (_, ring, reader) = feeds.reader_mut(token).unwrap();
        assert!(ring.is_grown());
        reader.set_next(3, 3);
        assert!(feeds.settle(feed));
        let ring = feeds.ring(feed).unwrap();
        assert_eq!((ring.is_grown(), ring.range()), (false, 2..3));
        assert_eq!(feeds.append(feed, &[4; 5000], None), (3, true));
    }

    #[test]
    fn a_feed_whose_readers_keep_up_does_not_grow_for_what_they_have() {
        let mut feeds = Feeds::new();
        let limits = FeedLimits {
            bytes_max: 4 * FEED_BYTES_KEPT,
            ..LIMITS
        };
        let (feed, token) = (feeds.add(limits), Token::from_parts(1, 0));
        feeds.subscribe(token, feed, 0).unwrap();
        let mut append = |is_read: bool| {
            for _ in 0..FEED_BYTES_KEPT * 3 / 2 / 1000 {
                feeds.append(feed, &[7; 1000], None);
                let (_, ring, reader) = feeds.reader_mut(token).unwrap();
                let end = ring.next();
                if is_read {
                    reader.set_next(end, end);
                }
            }
            let (ring, reader) = feeds.reader(token).unwrap();
            (ring.memory(), reader.next() >= ring.range().start)
        };
        assert_eq!(append(true), (FEED_BYTES_KEPT, true));
        assert_eq!(append(false), (2 * FEED_BYTES_KEPT, true));
        assert_eq!(append(false), (4 * FEED_BYTES_KEPT, true));
        assert_eq!(append(false), (4 * FEED_BYTES_KEPT, false));
    }

    #[test]
    fn no_memory_is_taken_for_a_feed_without_bytes() {
        let mut feeds = Feeds::new();
        let feed = feeds.add(LIMITS);
        for number in 0..10 {
            assert_eq!(feeds.append(feed, b"", None), (number, false));
        }
        assert_eq!(size_of::<Reader>(), 16);
        feeds.remove(feed);
        assert!(feeds.settle(feed));
        assert!(feeds.ring(feed).is_none());
    }
}
