//! Parcels: how long they may take. Time is a number here, and nothing waits.

use std::time::{Duration, Instant};

use switchboard_wire::limits::{FILE_RATE_MIN, FRAME_TIME, PARCEL_IDLE};
use switchboard_wire::parcel::{close_frame, file_header, message_parcel};
use switchboard_wire::{ParcelError, ParcelLimits, ParcelMachine};

const IDLE: Duration = PARCEL_IDLE;
const FRAME: Duration = FRAME_TIME;

/// A machine with its clock.
struct Peer {
    machine: ParcelMachine,
    start: Instant,
}

impl Peer {
    fn new() -> Self {
        Self::with(ParcelLimits::default())
    }

    fn with(limits: ParcelLimits) -> Self {
        let start = Instant::now();
        Self {
            machine: ParcelMachine::new(limits, start),
            start,
        }
    }

    /// Sends `bytes` so many seconds after the beginning.
    fn send(&mut self, seconds: u64, mut bytes: &[u8]) {
        let now = self.start + Duration::from_secs(seconds);
        while self.machine.push(now, &mut bytes).unwrap().is_some() {}
    }

    /// Asserts that time is up so many seconds after the beginning, with `error`, and not before.
    fn expires(&self, seconds: u64, error: ParcelError) {
        let deadline = self.start + Duration::from_secs(seconds);
        assert_eq!(
            self.machine.deadline() - self.start,
            Duration::from_secs(seconds)
        );
        assert_eq!(
            self.machine.expire(deadline - Duration::from_nanos(1)),
            None
        );
        for now in [deadline, deadline + IDLE] {
            assert_eq!(self.machine.expire(now), Some(error.clone()));
        }
    }

    fn expires_idle(&self, seconds: u64) {
        self.expires(seconds, ParcelError::Idle { idle: IDLE });
    }

    fn expires_slow(&self, seconds: u64, allowed: u64) {
        self.expires(
            seconds,
            ParcelError::Slow {
                allowed: Duration::from_secs(allowed),
            },
        );
    }
}

#[test]
fn a_connection_that_sends_nothing_is_idle_from_its_beginning() {
    let mut peer = Peer::new();
    peer.expires_idle(300);
    peer.send(100, b"");
    peer.expires_idle(300);
}

#[test]
fn a_connection_is_idle_from_the_end_of_its_last_parcel() {
    let mut peer = Peer::new();
    peer.send(200, &message_parcel("hi").unwrap());
    peer.expires_idle(500);
    peer.send(
        450,
        &[
            file_header("empty", 0).unwrap(),
            message_parcel("hi").unwrap(),
        ]
        .concat(),
    );
    peer.expires_idle(750);
}

#[test]
fn a_parcel_has_its_time_from_its_first_byte_however_often_bytes_come() {
    let bytes = message_parcel("hi").unwrap();
    let mut peer = Peer::new();
    for (seconds, byte) in (100..).zip(&bytes[..bytes.len() - 1]) {
        peer.send(seconds, &[*byte]);
        // The payload's two bytes allow for one more second, once they are announced.
        let allowed = if seconds < 100 + 18 + 4 + 3 { 60 } else { 61 };
        peer.expires_slow(100 + allowed, allowed);
    }
    peer.send(150, &bytes[bytes.len() - 1..]);
    peer.expires_idle(450);
}

#[test]
fn a_large_payload_has_the_time_its_slowest_rate_needs() {
    let bytes = 10 * FILE_RATE_MIN + 1;
    for header in [file_header("x", bytes).unwrap(), refused_header(bytes)] {
        let mut peer = Peer::new();
        peer.send(5, &header);
        peer.expires_slow(5 + 60 + 11, 71);
        peer.send(70, &vec![0; bytes as usize - 1]);
        peer.expires_slow(5 + 60 + 11, 71);
        peer.send(75, &[0]);
        peer.expires_idle(375);
    }
}

fn refused_header(bytes: u32) -> Vec<u8> {
    [b"\x02\0\0\0{}", bytes.to_le_bytes().as_slice()].concat()
}

#[test]
fn a_parcel_that_follows_at_once_has_its_own_time() {
    let whole = message_parcel("hi").unwrap();
    let mut peer = Peer::new();
    peer.send(10, &whole[..5]);
    peer.send(60, &[&whole[5..], &whole[..5]].concat());
    peer.expires_slow(120, 60);
}

#[test]
fn bytes_after_close_do_not_keep_a_connection() {
    let mut peer = Peer::new();
    peer.send(10, &close_frame()[..6]);
    peer.send(20, &close_frame()[6..]);
    peer.send(200, b"more and more");
    peer.expires_idle(320);
}

#[test]
fn limits_without_end_do_not_overflow_the_clock() {
    let limits = ParcelLimits {
        idle: Duration::MAX,
        frame: Duration::MAX,
        file_bytes_per_second_min: 0,
        ..ParcelLimits::default()
    };
    let mut peer = Peer::with(limits);
    assert!(peer.machine.deadline() > peer.start + IDLE);
    peer.send(1, &file_header("x", i32::MAX.cast_unsigned()).unwrap());
    assert!(peer.machine.deadline() > peer.start + FRAME);
}
