//! What waits to be written to one connection.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Pieces that one gathered call carries at most.
pub(crate) const PIECES_PER_CALL_MAX: usize = 64;

/// Bookkeeping that a waiting piece costs beside its bytes, counted so that a queue of many tiny
/// pieces is bounded in memory too.
const PIECE_BYTES: usize = size_of::<Bytes>();

/// What waits to be written to one connection, in order, up to a limit.
///
/// Pieces are shared, not copied: a message that goes to a thousand members lies in memory once.
#[derive(Debug)]
pub struct Outbox {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    bytes_max: usize,
}

impl Outbox {
    /// An empty outbox for at most `bytes_max` bytes, its bookkeeping included.
    #[must_use]
    pub const fn new(bytes_max: usize) -> Self {
        Self {
            pieces: VecDeque::new(),
            bytes: 0,
            bytes_max,
        }
    }

    /// Whether a piece of `len` bytes fits within the limit. An empty outbox takes any piece, or a
    /// large one could never be sent.
    #[must_use]
    pub fn has_room(&self, len: usize) -> bool {
        self.pieces.is_empty() || self.bytes + len + PIECE_BYTES <= self.bytes_max
    }

    /// Appends a piece, or refuses it where it would pass the limit.
    #[must_use]
    pub fn push(&mut self, piece: Bytes) -> bool {
        if !self.has_room(piece.len()) {
            return false;
        }
        self.bytes += piece.len() + PIECE_BYTES;
        self.pieces.push_back(piece);
        true
    }

    /// Bytes that wait, bookkeeping included.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// True when nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The first piece.
    #[must_use]
    pub fn front(&self) -> Option<&Bytes> {
        self.pieces.front()
    }

    /// Lays the first pieces out for one gathered call; answers how many were laid out, and how
    /// many bytes they have.
    pub fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>; PIECES_PER_CALL_MAX]) -> (usize, usize) {
        let (mut count, mut bytes) = (0, 0);
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(piece);
            count += 1;
            bytes += piece.len();
        }
        (count, bytes)
    }

    /// Forgets the first `written` bytes.
    pub fn advance(&mut self, mut written: usize) {
        while let Some(piece) = self.pieces.front_mut() {
            if written < piece.len() {
                piece.advance(written);
                self.bytes = self.bytes.saturating_sub(written);
                return;
            }
            written -= piece.len();
            self.bytes = self.bytes.saturating_sub(piece.len() + PIECE_BYTES);
            self.pieces.pop_front();
        }
        // Most connections are idle most of the time: an empty outbox keeps no memory.
        self.pieces = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_outbox_refuses_and_an_empty_one_takes_any_piece() {
        let mut outbox = Outbox::new(100);
        assert!(outbox.push(Bytes::from(vec![1; 500])));
        assert!(!outbox.push(Bytes::from_static(b"x")));
        outbox.advance(499);
        assert!(outbox.push(Bytes::from_static(b"xy")));
        outbox.advance(2);
        assert_eq!(outbox.front().map(Bytes::len), Some(1));
        outbox.advance(1);
        assert!(outbox.is_empty());
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn at_its_limit_an_outbox_is_exact() {
        let mut outbox = Outbox::new(2 * (10 + PIECE_BYTES));
        assert!(outbox.push(Bytes::from(vec![0; 10])));
        assert!(outbox.push(Bytes::from(vec![0; 10])));
        assert!(!outbox.push(Bytes::new()));
    }
    #[test]
    fn an_empty_outbox_keeps_no_memory() {
        let mut outbox = Outbox::new(usize::MAX);
        for _ in 0..100 {
            assert!(outbox.push(Bytes::from_static(b"piece")));
        }
        let mut slices = [IoSlice::new(&[]); PIECES_PER_CALL_MAX];
        assert_eq!(outbox.gather(&mut slices), (64, 320));
        outbox.advance(499);
        assert_eq!(outbox.bytes(), 1 + PIECE_BYTES);
        outbox.advance(1);
        assert_eq!((outbox.bytes(), outbox.pieces.capacity()), (0, 0));
    }
}
