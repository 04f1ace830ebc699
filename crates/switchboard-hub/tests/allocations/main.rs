//! B1: what somebody can make the hub, and its own clients, allocate by a length that is too large:
//! next to nothing, since it is refused at the length. A program of its own, since it counts by an
//! allocator of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

// What is unsafe lies where all of it does.
#[allow(dead_code, reason = "how often is not asked here")]
#[path = "../../../berkeley/src/sys/counting.rs"]
mod counting;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../it/net.rs"]
mod net;

use std::time::Instant;

use switchboard_hub::Limits;
use switchboard_hub::door::line::LineSession;
use switchboard_hub::door::parcel::ParcelSession;
use switchboard_hub::door::time;
use switchboard_wire::http::ResponseDecoder;
use switchboard_wire::limits::{
    FILE_BYTES_MAX, HEADER_BYTES_MAX, HTTP_HEAD_BYTES_MAX, LINE_BYTES_MAX, MESSAGE_BYTES_MAX,
};
use switchboard_wire::{DeliveryDecoder, ParcelLimits, ParcelMachine};

use counting::taken;
use net::{CHAT, PARCELS, Stage, World};

/// What a refusal may allocate in all, given back or not.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// What a door's connection may allocate for what it holds at most besides that, as its buffer
/// grows by doubling.
const GROWTH: usize = 3;

/// Lengths beyond a limit: by one, with the top bit, and all that there is.
fn beyond(max: u32) -> impl Iterator<Item = [u8; 4]> {
    let lengths = [max + 1, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, u32::MAX];
    let beyond = lengths.into_iter().filter(move |length| *length > max);
    beyond.map(u32::to_le_bytes)
}

/// A frame around these bytes.
fn frame(bytes: &str) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap();
    [&len.to_le_bytes()[..], bytes.as_bytes()].concat()
}

/// What comes before each length at the parcel door, and the limit of that.
fn lengths() -> [(Vec<u8>, u32); 5] {
    let message = frame(r#"{"msg_type":"msg"}"#);
    let file = frame(r#"{"msg_type":"file","file_name":"x"}"#);
    let join = frame(r#"{"msg_type":"join","room":"lobby","sb":{"v":2}}"#);
    let unknown = frame(r#"{"msg_type":"dance"}"#);
    [
        (Vec::new(), HEADER_BYTES_MAX),
        (message, MESSAGE_BYTES_MAX),
        (file, FILE_BYTES_MAX),
        (join, FILE_BYTES_MAX),
        (unknown, FILE_BYTES_MAX),
    ]
}

/// All that is refused at a length, at the parcel door: with what comes before it.
fn prefixes() -> Vec<Vec<u8>> {
    let with = |(before, max): (Vec<u8>, u32)| {
        beyond(max).map(move |length| [&before[..], &length[..]].concat())
    };
    lengths().into_iter().flat_map(with).collect()
}

/// What comes behind the length: it must not be waited for, nor kept.
fn with_more(prefix: &[u8]) -> Vec<u8> {
    [prefix, &[b'x'; 200_000]].concat()
}

#[test]
fn a_length_beyond_its_limit_is_refused_with_its_prefix_at_the_parcel_door() {
    for prefix in prefixes() {
        for bytes in [prefix.clone(), with_more(&prefix)] {
            let now = Instant::now();
            let mut session = ParcelSession::new(&Limits::default(), now);
            let mut rest = bytes.as_slice();
            let mut outcome = Ok(());
            let taken = taken(|| {
                outcome = loop {
                    match session.push(now, &mut rest) {
                        Ok(Some(_event)) => {}
                        Ok(None) => break Ok(()),
                        Err(error) => break Err(error),
                    }
                };
            });
            assert!(outcome.is_err(), "{prefix:?}");
            assert!(taken < REFUSAL_BYTES_MAX, "{taken} bytes for {prefix:?}");
        }
    }
}

#[test]
fn a_length_at_its_limit_or_below_is_not_believed_before_the_bytes_have_come() {
    for (before, max) in lengths() {
        for length in [max - 1, max] {
            let bytes = [&before[..], &length.to_le_bytes()].concat();
            let now = Instant::now();
            let mut session = ParcelSession::new(&Limits::default(), now);
            let mut rest = bytes.as_slice();
            let taken = taken(|| while let Some(_event) = session.push(now, &mut rest).unwrap() {});
            assert!(taken < REFUSAL_BYTES_MAX, "{taken} bytes for {length}");
        }
    }
}

#[test]
fn what_a_shard_does_about_such_a_length_is_as_cheap() {
    let mut world = World::new(Limits::default());
    world.connect(CHAT);
    for prefix in prefixes() {
        let bytes = with_more(&prefix);
        let who = world.connect(PARCELS);
        let taken = taken(|| world.send(who, &bytes));
        assert_eq!(world.stage(who), Stage::Reset, "{prefix:?}");
        assert!(taken < REFUSAL_BYTES_MAX, "{taken} bytes for {prefix:?}");
    }
}

#[test]
fn sizes_that_the_operator_has_chosen_are_kept_to_as_strictly() {
    for max in [0, 1, 100] {
        let now = Instant::now();
        let limits = ParcelLimits {
            message_bytes: max,
            file_bytes: max,
            ..ParcelLimits::default()
        };
        for header in [
            frame(r#"{"msg_type":"msg"}"#),
            frame(r#"{"msg_type":"file","file_name":"x"}"#),
        ] {
            for length in beyond(max) {
                let bytes = [&header[..], &length].concat();
                let mut machine = ParcelMachine::new(limits.clone(), now);
                let mut rest = bytes.as_slice();
                let mut is_refused = false;
                let taken = taken(|| {
                    while let Some(_event) = machine.push(now, &mut rest).unwrap_or_else(|_| {
                        is_refused = true;
                        None
                    }) {}
                });
                assert!(is_refused, "{max} {length:?}");
                assert!(taken < REFUSAL_BYTES_MAX, "{taken} bytes");
            }
        }
    }
}

#[test]
fn the_line_door_holds_a_line_of_the_longest_and_no_more() {
    // It knows no lengths: what would be one is text that is no UTF-8, or goes on for ever.
    for prefix in prefixes() {
        let mut world = World::new(Limits::default());
        let who = world.connect(CHAT);
        let taken = taken(|| world.send(who, &prefix));
        assert!(taken < REFUSAL_BYTES_MAX, "{taken} bytes for {prefix:?}");
    }
    let now = Instant::now();
    let mut session = LineSession::new(&Limits::default(), now);
    let piece = [b'x'; 1_000];
    let mut refused = 0;
    let taken = taken(|| {
        for _ in 0..10 * LINE_BYTES_MAX / piece.len() {
            let mut rest = &piece[..];
            while let Some(_event) = session.push(now, &mut rest) {
                refused += 1;
            }
        }
    });
    assert_eq!(refused, 1, "told once");
    assert!(taken < GROWTH * LINE_BYTES_MAX, "{taken} bytes");
}

#[test]
fn the_time_door_answers_whatever_it_is_asked_within_bounds() {
    let moment = net::moment();
    let long = vec![b'x'; 65_507];
    let many = b"%c".repeat(30_000);
    let widths = b"%999999999d".repeat(5_000);
    for request in [&long[..], &many, &widths, &[0xff; 65_507]] {
        let mut answer = None;
        let taken = taken(|| answer = time::reply(request, Some(40_000), 9_000, &moment));
        assert!(answer.is_some());
        assert!(taken < 4 * REFUSAL_BYTES_MAX, "{taken} bytes");
    }
}

#[test]
fn our_own_clients_refuse_lengths_as_cheaply() {
    let entry = frame(
        r#"{"msg_type":"msg","room":"lobby","sb":{"seq":1,"epoch":1,"time_ms":1,"from":"a"}}"#,
    );
    for (before, max) in [(Vec::new(), HEADER_BYTES_MAX), (entry, MESSAGE_BYTES_MAX)] {
        for length in beyond(max) {
            let bytes = with_more(&[&before[..], &length].concat());
            let mut decoder = DeliveryDecoder::new();
            let mut rest = bytes.as_slice();
            let mut is_refused = false;
            let taken = taken(|| is_refused = decoder.push(&mut rest).is_err());
            assert!(is_refused, "{length:?}");
            assert!(taken < REFUSAL_BYTES_MAX, "{taken} bytes");
        }
    }
    for length in [
        "Content-Length: 18446744073709551616",
        "Content-Length: 99999999999999999999999999",
        "Content-Length: -1",
        "Transfer-Encoding: chunked\r\n\r\n10000000000000000",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff",
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\n");
        let (mut decoder, mut rest) = (ResponseDecoder::new(), bytes.as_bytes());
        let mut is_refused = false;
        let taken = taken(|| {
            is_refused = loop {
                match decoder.push(&mut rest) {
                    Ok(Some(_event)) => {}
                    Ok(None) => break false,
                    Err(_) => break true,
                }
            };
        });
        assert!(is_refused, "{length}");
        assert!(taken < REFUSAL_BYTES_MAX, "{taken} bytes for {length}");
    }
    // What can be meant is only taken as it comes.
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nhi";
    assert!(head.len() < HTTP_HEAD_BYTES_MAX);
    let taken = taken(|| {
        let mut rest = &head[..];
        let mut decoder = ResponseDecoder::new();
        while let Ok(Some(_event)) = decoder.push(&mut rest) {}
    });
    assert!(taken < REFUSAL_BYTES_MAX, "{taken} bytes");
}
