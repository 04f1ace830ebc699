//! What waits to be written, for all connections of a reactor.
//!
//! Most connections are idle most of the time, and those keep nothing: an [`Outbox`] is two places
//! in the one [`Pool`], whose places are used again and again.

use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

/// Pieces that one gathered call carries at most.
pub(crate) const PIECES_PER_CALL_MAX: usize = 64;

/// What a waiting piece costs beside its bytes, counted so that a queue of many tiny pieces is
/// bounded in memory too.
pub(crate) const PIECE_BYTES: usize = size_of::<Place>();

/// Room from which short copies are taken, and the longest such copy. A copy keeps the whole room
/// from being used again until it is written.
const CHUNK_BYTES: usize = 16 * 1024;
const CHUNKED_BYTES_MAX: usize = 4 * 1024;

/// Places that are kept while nothing waits.
const KEPT_PLACES_MAX: usize = 4096;

const NONE: u32 = u32::MAX;

/// A piece of what waits.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Shared with whoever else gets it.
    Shared(Bytes),
    /// A part of what was read last: only as long as the handler looks at that.
    Lent { start: usize, len: usize },
}

impl Piece {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Shared(bytes) => bytes.len(),
            Self::Lent { len, .. } => *len,
        }
    }

    /// Its bytes, if they can be had for now.
    fn bytes<'a>(&'a self, lent: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Shared(bytes) => Some(bytes),
            Self::Lent { start, len } => lent.get(*start..start + len),
        }
    }
}

/// Where a piece lies; one that is free has none.
#[derive(Debug)]
struct Place {
    piece: Option<Piece>,
    next: u32,
}

/// The pieces of all outboxes.
#[derive(Debug)]
pub(crate) struct Pool {
    places: Vec<Place>,
    free: u32,
    taken: usize,
    /// Room for copies.
    chunk: BytesMut,
}

impl Pool {
    pub(crate) fn new() -> Self {
        Self {
            places: Vec::new(),
            free: NONE,
            taken: 0,
            chunk: BytesMut::new(),
        }
    }

    /// A copy of bytes, without an allocation where it can be.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.len() > CHUNKED_BYTES_MAX {
            return Bytes::copy_from_slice(bytes);
        }
        if self.chunk.capacity() < bytes.len() {
            // The same room again, if all that was taken from it has been written.
            self.chunk.reserve(CHUNK_BYTES);
        }
        self.chunk.extend_from_slice(bytes);
        self.chunk.split().freeze()
    }

    /// The same of bytes that lie in two places.
    pub(crate) fn copy_both(&mut self, [first, second]: [&[u8]; 2]) -> Bytes {
        if second.is_empty() {
            return self.copy(first);
        }
        let mut both = BytesMut::with_capacity(first.len() + second.len());
        both.extend_from_slice(first);
        both.extend_from_slice(second);
        both.freeze()
    }

    fn piece(&self, place: u32) -> Option<(&Piece, u32)> {
        let place = self.places.get(place as usize)?;
        Some((place.piece.as_ref()?, place.next))
    }

    fn piece_mut(&mut self, place: u32) -> Option<(&mut Piece, u32)> {
        let place = self.places.get_mut(place as usize)?;
        Some((place.piece.as_mut()?, place.next))
    }

    fn put(&mut self, piece: Piece) -> u32 {
        let place = Place {
            piece: Some(piece),
            next: NONE,
        };
        self.taken += 1;
        let index = self.free;
        if let Some(free) = self.places.get_mut(index as usize) {
            self.free = free.next;
            *free = place;
            return index;
        }
        // More than four thousand million pieces do not fit into a process.
        let index = u32::try_from(self.places.len()).unwrap_or(NONE);
        self.places.push(place);
        index
    }

    /// Gives a place back; answers the one behind it.
    fn take(&mut self, index: u32) -> u32 {
        let Some(place) = self.places.get_mut(index as usize) else {
            return NONE;
        };
        place.piece = None;
        let next = core::mem::replace(&mut place.next, self.free);
        self.free = index;
        self.taken -= 1;
        if self.taken == 0 && self.places.capacity() > KEPT_PLACES_MAX {
            (self.places, self.free) = (Vec::new(), NONE);
        }
        next
    }
}

/// What waits to be written to one connection, in order, up to a limit.
#[derive(Debug)]
pub(crate) struct Outbox {
    first: u32,
    last: u32,
    bytes: usize,
    bytes_max: usize,
}

impl Outbox {
    /// An empty outbox for at most `bytes_max` bytes, its bookkeeping included.
    pub(crate) const fn new(bytes_max: usize) -> Self {
        Self {
            first: NONE,
            last: NONE,
            bytes: 0,
            bytes_max,
        }
    }

    /// Whether a piece of `len` bytes fits within the limit. An empty outbox takes any piece, or a
    /// large one could never be sent.
    pub(crate) const fn has_room(&self, len: usize) -> bool {
        self.is_empty() || self.bytes.saturating_add(len + PIECE_BYTES) <= self.bytes_max
    }

    /// Whether one piece of `len` bytes is within the limit.
    pub(crate) const fn would_hold(&self, len: usize) -> bool {
        len.saturating_add(PIECE_BYTES) <= self.bytes_max
    }

    /// Appends a piece, or refuses it where it would pass the limit.
    #[must_use]
    pub(crate) fn push(&mut self, pool: &mut Pool, piece: Piece) -> bool {
        if !self.has_room(piece.len()) {
            return false;
        }
        if let Piece::Lent { start, len } = &piece
            && let Some((Piece::Lent { start: at, len: so }, _)) = pool.piece_mut(self.last)
            && *at + *so == *start
        {
            *so += len;
            self.bytes += len;
            return true;
        }
        self.bytes += piece.len() + PIECE_BYTES;
        let place = pool.put(piece);
        if let Some(last) = pool.places.get_mut(self.last as usize) {
            last.next = place;
        } else {
            self.first = place;
        }
        self.last = place;
        true
    }

    /// Bytes that wait, bookkeeping included.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// True when nothing waits, nor is on its way.
    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// True when there is something that is not on its way yet.
    pub(crate) const fn has_pieces(&self) -> bool {
        self.first != NONE
    }

    /// Takes the first piece out, at most so many bytes of it, to be written by somebody else, and
    /// what it counts until it is discounted.
    pub(crate) fn take(&mut self, pool: &mut Pool, most: usize) -> Option<(Bytes, usize)> {
        let (piece, _) = pool.piece_mut(self.first)?;
        let Piece::Shared(bytes) = piece else {
            return None;
        };
        if bytes.len() > most {
            return (most > 0).then(|| (bytes.split_to(most), most));
        }
        let bytes = core::mem::take(bytes);
        self.first = pool.take(self.first);
        if self.first == NONE {
            self.last = NONE;
        }
        let counted = bytes.len() + PIECE_BYTES;
        Some((bytes, counted))
    }

    /// Counts something that is on its way without having been in here.
    pub(crate) const fn count_one(&mut self, len: usize) -> usize {
        self.bytes += len + PIECE_BYTES;
        len + PIECE_BYTES
    }

    /// What was on its way has been written.
    pub(crate) const fn discount(&mut self, counted: usize) {
        self.bytes = self.bytes.saturating_sub(counted);
    }

    /// The bytes of the first piece, and whether it is the only one. `None` for a lent one whose
    /// bytes are not in `lent`.
    pub(crate) fn front<'a>(&self, pool: &'a Pool, lent: &'a [u8]) -> Option<(&'a [u8], bool)> {
        let (piece, next) = pool.piece(self.first)?;
        Some((piece.bytes(lent)?, next == NONE))
    }

    /// Lays the first `most` bytes out for one gathered call, or what fits; answers in how many
    /// parts, and how many bytes they have.
    pub(crate) fn gather<'a>(
        &self,
        pool: &'a Pool,
        lent: &'a [u8],
        most: usize,
        slices: &mut [IoSlice<'a>; PIECES_PER_CALL_MAX],
    ) -> (usize, usize) {
        let (mut count, mut all, mut place) = (0, 0, self.first);
        for slice in slices {
            let Some((piece, next)) = pool.piece(place) else {
                break;
            };
            let Some(bytes) = piece.bytes(lent).filter(|_| all < most) else {
                break;
            };
            let bytes = bytes.get(..most - all).unwrap_or(bytes);
            *slice = IoSlice::new(bytes);
            count += 1;
            all += bytes.len();
            place = next;
        }
        (count, all)
    }

    /// Forgets the first `written` bytes.
    pub(crate) fn advance(&mut self, pool: &mut Pool, mut written: usize) {
        while let Some((piece, _)) = pool.piece_mut(self.first) {
            let len = piece.len();
            if written < len {
                match piece {
                    Piece::Shared(bytes) => bytes.advance(written),
                    Piece::Lent { start, len } => {
                        *start += written;
                        *len -= written;
                    }
                }
                self.bytes = self.bytes.saturating_sub(written);
                return;
            }
            written -= len;
            self.bytes = self.bytes.saturating_sub(len + PIECE_BYTES);
            self.first = pool.take(self.first);
        }
        self.last = NONE;
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        while self.first != NONE {
            self.first = pool.take(self.first);
        }
        self.last = NONE;
        self.bytes = 0;
    }

    /// Makes what is lent its own, before it is wanted back. `copies` is the last copy that was
    /// made for another outbox: often it is the same.
    pub(crate) fn keep(&self, pool: &mut Pool, lent: &[u8], copied: &mut Copied) {
        let mut place = self.first;
        while let Some((piece, next)) = pool.piece(place) {
            if let Piece::Lent { start, len } = *piece {
                let bytes = lent.get(start..start + len).unwrap_or_default();
                if !copied.is((start, len)) {
                    let copy = pool.copy(bytes);
                    *copied = Copied(Some(((start, len), copy)));
                }
                let copy = copied.0.as_ref().map(|(_, copy)| copy.clone());
                if let (Some((piece, _)), Some(copy)) = (pool.piece_mut(place), copy) {
                    *piece = Piece::Shared(copy);
                }
            }
            place = next;
        }
    }
}

/// The last copy that was made of a part of what was read, and of which.
#[derive(Debug, Default)]
pub(crate) struct Copied(Option<((usize, usize), Bytes)>);

impl Copied {
    fn is(&self, part: (usize, usize)) -> bool {
        self.0.as_ref().is_some_and(|(of, _)| *of == part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(bytes: &'static [u8]) -> Piece {
        Piece::Shared(Bytes::from_static(bytes))
    }

    #[test]
    fn a_full_outbox_refuses_and_an_empty_one_takes_any_piece() {
        let mut pool = Pool::new();
        let mut outbox = Outbox::new(100);
        assert!(outbox.push(&mut pool, shared(&[1; 500])));
        assert!(!outbox.push(&mut pool, shared(b"x")));
        outbox.advance(&mut pool, 499);
        assert!(outbox.push(&mut pool, shared(b"xy")));
        outbox.advance(&mut pool, 2);
        assert_eq!(outbox.front(&pool, &[]), Some((&b"y"[..], true)));
        outbox.advance(&mut pool, 1);
        assert!(outbox.is_empty());
        assert_eq!((outbox.bytes(), pool.taken), (0, 0));
    }

    #[test]
    fn at_its_limit_an_outbox_is_exact() {
        let mut pool = Pool::new();
        let mut outbox = Outbox::new(2 * (10 + PIECE_BYTES));
        assert!(outbox.push(&mut pool, shared(&[0; 10])));
        assert!(outbox.push(&mut pool, shared(&[0; 10])));
        assert!(!outbox.push(&mut pool, shared(b"")));
        outbox.clear(&mut pool);
        assert_eq!((outbox.bytes(), pool.taken), (0, 0));
    }

    #[test]
    fn places_and_room_are_used_again() {
        let mut pool = Pool::new();
        let mut outboxes = [Outbox::new(usize::MAX), Outbox::new(usize::MAX)];
        for round in 0..1000_usize {
            for outbox in &mut outboxes {
                for _ in 0..50 {
                    let copy = pool.copy(&[7; 20]);
                    assert!(outbox.push(&mut pool, Piece::Shared(copy)));
                }
            }
            let [a, b] = &mut outboxes;
            let mut slices = [IoSlice::new(&[]); PIECES_PER_CALL_MAX];
            assert_eq!(a.gather(&pool, &[], usize::MAX, &mut slices), (50, 1000));
            a.advance(&mut pool, round % 1000);
            a.advance(&mut pool, 1000 - round % 1000);
            b.clear(&mut pool);
        }
        assert_eq!((pool.taken, pool.places.len()), (0, 100));
        assert!(pool.chunk.capacity() <= CHUNK_BYTES);
    }

    #[test]
    fn a_great_crowd_of_pieces_leaves_no_memory_behind() {
        let mut pool = Pool::new();
        let mut outbox = Outbox::new(usize::MAX);
        for _ in 0..2 * KEPT_PLACES_MAX {
            assert!(outbox.push(&mut pool, shared(b"piece")));
        }
        outbox.clear(&mut pool);
        assert_eq!(pool.places.capacity(), 0);
        assert!(outbox.push(&mut pool, shared(b"again")));
    }

    #[test]
    fn lent_parts_that_follow_each_other_are_one_piece_and_are_kept_once_for_all() {
        let lent = b"one and two";
        let mut pool = Pool::new();
        let mut outboxes = [Outbox::new(usize::MAX), Outbox::new(usize::MAX)];
        let mut copied = Copied::default();
        for outbox in &mut outboxes {
            assert!(outbox.push(&mut pool, Piece::Lent { start: 0, len: 4 }));
            assert!(outbox.push(&mut pool, Piece::Lent { start: 4, len: 7 }));
            assert_eq!(outbox.front(&pool, &[]), None);
            assert_eq!(outbox.front(&pool, lent), Some((&lent[..], true)));
            outbox.keep(&mut pool, lent, &mut copied);
        }
        let [a, b] = outboxes
            .each_ref()
            .map(|outbox| outbox.front(&pool, &[]).unwrap().0);
        assert_eq!((a, a.as_ptr()), (&lent[..], b.as_ptr()));
    }
}
