//! Cutting a byte stream into pieces, as a network does.

use proptest::prelude::*;

/// How long each piece is, in bytes; zero gives an empty piece.
pub(crate) fn cuts() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        // A piece for each byte of a short stream, then the rest at once.
        Just(vec![1; 256]),
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(0..4u8, 0..200),
    ]
}

/// Cuts `bytes`: each number says how long the next piece is; what is left is the last piece.
pub(crate) fn cut<'a>(mut bytes: &'a [u8], cuts: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, rest) = bytes.split_at(usize::from(*cut).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}
