//! The sources that a reactor owns, under tokens that are never used twice.

use core::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use berkeley::selector::{Interest, Key};
use berkeley::{Kind, Socket};

use crate::feed::FeedId;
use crate::pieces::Outbox;

/// How often a place is used at most. With it a token fits into the 56 bits that a ring has for it.
const GENERATION_MAX: u32 = (1 << 24) - 1;

/// The name of a source within its reactor. The token of a source that is gone names nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(NonZeroU64);

impl Token {
    /// Two that no source has: whose nothing is, and who gets everything.
    pub(crate) const NOBODY: Self = Self(NonZeroU64::MAX);
    pub(crate) const ANYBODY: Self = Self::from_parts(u32::MAX - 2, u32::MAX);

    /// The place of the source, which others have had before it and will have after it: a small
    /// number, for tables.
    #[must_use]
    #[inline]
    pub const fn place(self) -> usize {
        self.index() as usize
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lower half, where `from_parts` has put it"
    )]
    const fn index(self) -> u32 {
        self.value() as u32
    }

    #[inline]
    pub(crate) const fn generation(self) -> u32 {
        (self.value() >> 32) as u32
    }

    #[inline]
    pub(crate) const fn from_parts(index: u32, generation: u32) -> Self {
        Self::of(((generation as u64) << 32) | index as u64)
    }

    /// Kept as one more, so that a token that may be none takes no more room than one.
    #[inline]
    const fn of(value: u64) -> Self {
        match NonZeroU64::new(value.wrapping_add(1)) {
            Some(kept) => Self(kept),
            None => Self(NonZeroU64::MAX),
        }
    }

    #[inline]
    const fn value(self) -> u64 {
        self.0.get() - 1
    }

    pub(crate) const fn key(self) -> Key {
        Key(self.value())
    }

    pub(crate) const fn from_key(key: Key) -> Self {
        Self::of(key.0)
    }
}

impl core::fmt::Debug for Token {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Token")
            .field("index", &self.index())
            .field("generation", &self.generation())
            .finish()
    }
}

/// A source and what the selector has been told of it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) kind: SourceKind,
    /// What the selector watches for now; `None`: it does not know the descriptor.
    pub(crate) watched: Option<Interest>,
    /// The handler wants nothing from it for the time being.
    pub(crate) paused: bool,
    pub(crate) marks: Marks,
    generation: u32,
}

/// What completions have to know of a source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks(u8);

impl Marks {
    const PARKED: u8 = 1;
    const POLLED: u8 = 2;
    const RECEIVED: u8 = 4;
    /// The other bits count.
    const SMALL: u8 = 8;

    /// Something that came from it has not been passed on yet.
    pub(crate) const fn is_parked(self) -> bool {
        self.0 & Self::PARKED != 0
    }

    pub(crate) const fn set_parked(&mut self, is: bool) {
        self.0 = self.0 & !Self::PARKED | if is { Self::PARKED } else { 0 };
    }

    /// It is polled and read, although it is a byte stream.
    pub(crate) const fn is_polled(self) -> bool {
        self.0 & Self::POLLED != 0
    }

    pub(crate) const fn set_polled(&mut self, is: bool) {
        self.0 = self.0 & !Self::POLLED | if is { Self::POLLED } else { 0 };
    }

    /// There is a receive that goes on by itself.
    pub(crate) const fn is_received(self) -> bool {
        self.0 & Self::RECEIVED != 0
    }

    pub(crate) const fn set_received(&mut self, is: bool) {
        self.0 = self.0 & !Self::RECEIVED | if is { Self::RECEIVED } else { 0 };
    }

    /// Counts a read by whether it brought little; answers how many of those came on end, up to 31.
    pub(crate) const fn count_small(&mut self, is_small: bool) -> u8 {
        let before = self.0 / Self::SMALL;
        let now = match (is_small, before) {
            (false, _) => 0,
            (true, 31) => 31,
            (true, before) => before + 1,
        };
        self.0 = self.0 % Self::SMALL + now * Self::SMALL;
        now
    }
}

#[derive(Debug)]
pub(crate) enum SourceKind {
    Listener {
        socket: Socket,
        resting: bool,
        rest_ms: u32,
        /// The handler knows that it has to rest.
        told: bool,
    },
    Stream(Stream),
    Datagrams {
        socket: Socket,
    },
    Input {
        fd: OwnedFd,
        always_ready: bool,
        ended: bool,
    },
}

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) socket: Socket,
    pub(crate) outbox: Outbox,
    /// Bytes that are read in one turn at most.
    pub(crate) read_bytes_max: u32,
    /// The last write did not take everything: wait until there is room again.
    pub(crate) blocked: bool,
    /// The outbox is on the list of those to be written at the end of the turn.
    pub(crate) dirty: bool,
    /// The peer has ended its side.
    pub(crate) ended: bool,
    /// How often it was found that the peer takes nothing, and one; zero while nobody looks.
    pub(crate) stall: u8,
    pub(crate) stage: Stage,
}

/// How far our side of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    /// The handler has finished with it.
    Finishing,
    /// And all is written, and our side has been ended.
    Shut,
}

impl Stream {
    pub(crate) const fn new(socket: Socket, outbox_bytes_max: usize) -> Self {
        Self {
            socket,
            outbox: Outbox::new(outbox_bytes_max),
            read_bytes_max: u32::MAX,
            blocked: false,
            dirty: false,
            ended: false,
            stall: 0,
            stage: Stage::Open,
        }
    }

    /// Its messages are kept apart.
    #[inline]
    pub(crate) fn has_records(&self) -> bool {
        self.socket.kind() == Kind::SEQPACKET
    }

    #[inline]
    pub(crate) fn is_finishing(&self) -> bool {
        self.stage != Stage::Open
    }

    /// Notes that the peer has taken something.
    #[inline]
    pub(crate) fn took(&mut self) {
        self.stall = self.stall.min(1);
    }

    /// True if bytes that are sent now have nothing to wait for.
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        !self.is_finishing() && self.outbox.is_empty() && !self.has_records()
    }
}

impl Source {
    pub(crate) const fn new(kind: SourceKind) -> Self {
        Self {
            kind,
            watched: None,
            paused: false,
            marks: Marks(0),
            generation: 0,
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        match &self.kind {
            SourceKind::Listener { socket, .. } | SourceKind::Datagrams { socket } => {
                socket.as_fd()
            }
            SourceKind::Stream(stream) => stream.socket.as_fd(),
            SourceKind::Input { fd, .. } => fd.as_fd(),
        }
    }

    /// True while nothing that comes from it is passed on, nor thrown away.
    pub(crate) fn is_deaf(&self) -> bool {
        match &self.kind {
            SourceKind::Stream(stream) => self.paused && !stream.is_finishing(),
            _ => self.paused,
        }
    }

    /// True while what comes from it is read, be it to be passed on or to be thrown away.
    #[inline]
    pub(crate) fn reads(&self) -> bool {
        if let SourceKind::Stream(stream) = &self.kind {
            return !stream.ended && (!self.paused || stream.is_finishing());
        }
        let rests = match self.kind {
            SourceKind::Listener { resting, .. } => resting,
            SourceKind::Input { ended, .. } => ended,
            _ => false,
        };
        !rests && !self.paused
    }

    /// A byte stream that is to be read, and whose end and room to write are nobody's concern.
    #[inline]
    pub(crate) fn plain(&self) -> Option<&Stream> {
        match &self.kind {
            SourceKind::Stream(stream)
                if !(self.paused | stream.blocked | stream.ended)
                    && !stream.is_finishing()
                    && !stream.has_records() =>
            {
                Some(stream)
            }
            _ => None,
        }
    }

    /// What the selector should watch for.
    pub(crate) fn wanted(&self) -> Option<Interest> {
        let writes = matches!(&self.kind, SourceKind::Stream(stream) if stream.blocked);
        match (self.reads(), writes) {
            (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
            (true, false) => Some(Interest::READABLE),
            (false, true) => Some(Interest::WRITABLE),
            (false, false) => None,
        }
    }

    /// True if nothing but reading is to be waited for, and nothing else is waited for.
    #[inline]
    pub(crate) fn is_at_rest(&self) -> bool {
        let waits = |watched: Interest| watched.contains(Interest::WRITABLE);
        matches!(&self.kind, SourceKind::Stream(stream)
            if stream.outbox.is_empty() && stream.stage == Stage::Open)
            && !self.watched.is_some_and(waits)
    }
}

/// A table of sources.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    /// What the next sources in the places of former ones are to be called.
    free: Vec<Token>,
    live: usize,
}

/// As long as a line of the processor's cache, so that a connection is one of them.
#[derive(Debug)]
#[repr(align(64))]
struct Slot(Option<Source>);

impl Slots {
    pub(crate) fn reserve(&mut self, sources: usize) {
        self.slots.reserve_exact(sources);
    }

    pub(crate) fn insert(&mut self, mut source: Source) -> Token {
        self.live += 1;
        if let Some(token) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(token.place())
        {
            source.generation = token.generation();
            *slot = Slot(Some(source));
            return token;
        }
        // More than four thousand million sources do not fit into a process.
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Slot(Some(source)));
        Token::from_parts(index, 0)
    }

    #[inline]
    pub(crate) fn get(&self, token: Token) -> Option<&Source> {
        let source = self.slots.get(token.place())?.0.as_ref()?;
        (source.generation == token.generation()).then_some(source)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut Source> {
        let source = self.slots.get_mut(token.place())?.0.as_mut()?;
        (source.generation == token.generation()).then_some(source)
    }

    #[inline]
    pub(crate) fn stream_mut(&mut self, token: Token) -> Option<&mut Stream> {
        match &mut self.get_mut(token)?.kind {
            SourceKind::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    pub(crate) fn remove(&mut self, token: Token) -> Option<Source> {
        self.get(token)?;
        let source = self.slots.get_mut(token.place())?.0.take()?;
        // A place whose generations are used up is left empty: no token is given out twice.
        if token.generation() < GENERATION_MAX {
            self.free
                .push(Token::from_parts(token.index(), token.generation() + 1));
        }
        self.live -= 1;
        Some(source)
    }

    pub(crate) const fn len(&self) -> usize {
        self.live
    }
}

/// What a timer of the reactor is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Due {
    /// The handler's.
    Handler(u64),
    /// A listener that rested may accept again.
    Accept(Token),
    /// A finishing connection has had its time.
    Finish(Token),
    /// A connection that had to wait for its peer is to be looked at.
    Stall(Token),
    /// A feed is to be looked at that may have fallen silent.
    Silence(FeedId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_takes_a_place_of_64_bytes() {
        // All that an idle one costs: an empty outbox has no memory of its own.
        assert_eq!(size_of::<Slot>(), 64);
    }

    #[test]
    fn a_place_whose_generations_are_used_up_is_not_used_again() {
        let source = || {
            Source::new(SourceKind::Input {
                fd: std::io::pipe().unwrap().0.into(),
                always_ready: false,
                ended: false,
            })
        };
        let mut slots = Slots::default();
        let first = slots.insert(source());
        slots.get_mut(first).unwrap().generation = GENERATION_MAX;
        let last = Token::from_parts(first.index(), GENERATION_MAX);
        assert!(slots.get(first).is_none());
        assert!(slots.remove(last).is_some());
        assert!(slots.remove(last).is_none());
        assert_eq!(slots.insert(source()).index(), 1);
        assert!(slots.get(last).is_none());
        assert_eq!(slots.len(), 1);
    }
}
