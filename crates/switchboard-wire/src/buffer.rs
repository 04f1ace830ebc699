//! What the decoders share: taking from the front of a piece, and growing only as bytes arrive.

/// The smallest room a growing buffer asks for, so that single bytes do not each reallocate.
const FIRST_ROOM_BYTES: usize = 64;

/// Takes at most `count` bytes off the front of `bytes`.
pub(crate) fn take_front<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (front, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
    *bytes = rest;
    front
}

/// Appends `piece`, with room for at most twice what has arrived, and never for more than `max`.
///
/// `Vec` alone would round the room up beyond `max`; asking for `max` at once would let a peer
/// reserve memory with four bytes.
pub(crate) fn append_within(buf: &mut Vec<u8>, piece: &[u8], max: usize) {
    let needed = buf.len().saturating_add(piece.len());
    if needed > buf.capacity() {
        let room = needed
            .max(buf.len().saturating_mul(2))
            .max(FIRST_ROOM_BYTES)
            .min(max);
        buf.reserve_exact(room.max(needed).saturating_sub(buf.len()));
    }
    buf.extend_from_slice(piece);
}
