//! Frames: lengths, limits, cuttings, ends.

use proptest::prelude::*;
use switchboard_wire::frame::{FRAME_PREFIX_BYTES, encode, prefix};
use switchboard_wire::{FrameDecoder, FrameError};

use crate::cutting::{cut, cuts};

/// Reads all frames of `pieces`, and how the stream ended.
fn read(limit: u32, pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), FrameError>) {
    let mut decoder = FrameDecoder::new(limit);
    let mut frames = Vec::new();
    for mut piece in pieces.iter().copied() {
        loop {
            match decoder.push(&mut piece) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
        assert!(piece.is_empty(), "`None` means that the piece is used up");
    }
    let end = decoder.end();
    assert_eq!(end.is_err(), decoder.is_inside());
    (frames, end)
}

fn stream(bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for body in bodies {
        encode(body, &mut out).unwrap();
    }
    out
}

proptest! {
    #[test]
    fn frames_read_back_as_themselves_however_they_are_cut(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
        cuts in cuts(),
    ) {
        let bytes = stream(&bodies);
        prop_assert_eq!(read(300, &cut(&bytes, &cuts)), (bodies, Ok(())));
    }

    #[test]
    fn arbitrary_bytes_mean_the_same_however_they_are_cut(
        bytes in prop::collection::vec(prop_oneof![3 => Just(0), 1 => any::<u8>()], 0..400),
        cuts in cuts(),
    ) {
        prop_assert_eq!(read(200, &cut(&bytes, &cuts)), read(200, &[&bytes]));
    }
}

#[test]
fn a_frame_has_a_signed_little_endian_length_in_front() {
    let mut out = b"before".to_vec();
    encode(b"hi", &mut out).unwrap();
    assert_eq!(out, b"before\x02\0\0\0hi");
    assert_eq!(prefix(0x0102_0304), Ok([4, 3, 2, 1]));
    assert_eq!(
        prefix(i32::MAX.cast_unsigned()),
        Ok([0xff, 0xff, 0xff, 0x7f])
    );
}

#[test]
fn a_length_that_is_no_signed_number_is_not_written() {
    let len = i32::MAX.cast_unsigned() + 1;
    assert_eq!(
        prefix(len),
        Err(FrameError::TooLong {
            len,
            max: i32::MAX.cast_unsigned()
        })
    );
    assert!(prefix(u32::MAX).is_err());
}

#[test]
fn a_stream_that_ends_inside_a_frame_is_an_error() {
    let bytes = stream(&[b"hello".to_vec()]);
    for len in 1..bytes.len() {
        let (frames, end) = read(5, &[&bytes[..len]]);
        assert!(frames.is_empty());
        let (have, want) = if len < FRAME_PREFIX_BYTES {
            (len, 4)
        } else {
            (len - 4, 5)
        };
        assert_eq!(end, Err(FrameError::UnexpectedEnd { have, want }));
    }
    assert_eq!(read(5, &[b""]), (vec![], Ok(())));
}

#[test]
fn a_negative_length_is_refused_at_its_last_byte() {
    for len in [-1, -2, i32::MIN] {
        let bytes = len.to_le_bytes();
        let mut decoder = FrameDecoder::new(u32::MAX);
        assert_eq!(decoder.push(&mut &bytes[..3]), Ok(None));
        let error = Err(FrameError::Negative { len });
        assert_eq!(decoder.push(&mut &bytes[3..]), error);
        assert_eq!(
            decoder.push(&mut &b"\0\0\0\0"[..]),
            error,
            "it stays failed"
        );
        assert_eq!(decoder.end(), Err(FrameError::Negative { len }));
    }
}

#[test]
fn a_length_above_the_limit_is_refused_before_any_body_arrives() {
    for (len, max) in [(11, 10), (1, 0), (i32::MAX.cast_unsigned(), 1 << 20)] {
        let mut decoder = FrameDecoder::new(max);
        let error = Err(FrameError::TooLong { len, max });
        assert_eq!(decoder.push(&mut prefix(len).unwrap().as_slice()), error);
    }
}

#[test]
fn a_frame_may_be_exactly_as_long_as_the_limit() {
    for limit in [0, 1, 9, 10] {
        let body = vec![7; limit];
        let bytes = stream(std::slice::from_ref(&body));
        assert_eq!(
            read(limit.try_into().unwrap(), &[&bytes]),
            (vec![body], Ok(()))
        );
    }
}

#[test]
fn an_empty_frame_is_whole_with_its_prefix() {
    let mut decoder = FrameDecoder::new(10);
    assert_eq!(decoder.push(&mut &[0, 0, 0, 0][..]), Ok(Some(vec![])));
    assert!(!decoder.is_inside());
}

#[test]
fn memory_grows_with_what_arrived_not_with_what_was_claimed() {
    let mut decoder = FrameDecoder::new(u32::MAX);
    let bytes = [prefix(5000).unwrap().as_slice(), &[1; 4999]].concat();
    for piece in bytes.chunks(7) {
        assert_eq!(decoder.push(&mut &*piece), Ok(None));
    }
    let body = decoder.push(&mut &[1][..]).unwrap().unwrap();
    assert_eq!(
        (body.len(), body.capacity()),
        (5000, 5000),
        "never more room than the frame needs"
    );
}
