//! What is to happen later.

use std::time::{Duration, Instant};

use bytes::Bytes;
use switchboard_reactor::Reactor;

use crate::support::{BACKENDS, Told, one_stream, run};

#[test]
fn timers_come_in_order_never_early_and_not_when_cancelled() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        reactor.set_timer(at(30), 30);
        let cancelled_outside = reactor.set_timer(at(5), 5);
        let cancelled_by_another = reactor.set_timer(at(20), 20);
        reactor.set_timer(at(10), 10);
        reactor.set_timer(at(10), 11);
        reactor.cancel_timer(cancelled_outside);
        let mut tags = Vec::new();
        run(&mut reactor, |reactor, told| {
            let Told::Timer(tag) = told else {
                panic!("{told:?}")
            };
            assert!(
                Instant::now() >= at(tag / 10 * 10),
                "{backend}: {tag} came early"
            );
            tags.push(tag);
            if tag == 10 {
                reactor.cancel_timer(cancelled_by_another);
                reactor.set_timer(at(40), 40);
            }
            if tag == 40 {
                reactor.stop();
            }
        });
        assert_eq!(tags, [10, 11, 30, 40], "{backend}");
    }
}

#[test]
fn a_timer_cancelled_by_another_that_is_due_with_it_does_not_come() {
    let mut reactor = Reactor::new(BACKENDS[0]).unwrap();
    let now = Instant::now();
    reactor.set_timer(now, 1);
    let second = reactor.set_timer(now, 2);
    reactor.set_timer(now, 3);
    let mut tags = Vec::new();
    run(&mut reactor, |reactor, told| {
        let Told::Timer(tag) = told else {
            panic!("{told:?}")
        };
        tags.push(tag);
        reactor.cancel_timer(second);
        if tag == 3 {
            reactor.stop();
        }
    });
    assert_eq!(tags, [1, 3]);
}

#[test]
fn timers_that_set_themselves_anew_keep_nobody_waiting() {
    for backend in BACKENDS {
        let (mut reactor, token, peer) = one_stream(backend);
        let start = Instant::now();
        // Three kinds: for now, for long ago, and one of the same moment that has to have its turn.
        reactor.set_timer(start, 1);
        reactor.set_timer(start, 2);
        reactor.set_timer(start + Duration::from_millis(1), 3);
        peer.send_all(b"x").unwrap();
        let (mut rounds, mut patient, mut received) = ([0_u32; 2], 0, 0);
        run(&mut reactor, |reactor, told| {
            match told {
                Told::Timer(1) => {
                    reactor.set_timer(Instant::now(), 1);
                    rounds[0] += 1;
                }
                Told::Timer(2) => {
                    reactor.set_timer(start, 2);
                    rounds[1] += 1;
                }
                Told::Timer(3) => patient += 1,
                Told::Received(_, bytes) => {
                    received += bytes.len();
                    reactor.send(token, Bytes::from(bytes)).unwrap();
                }
                Told::Drained(_) => {
                    reactor.set_timer(Instant::now() + Duration::from_millis(5), 4);
                }
                Told::Timer(4) => reactor.stop(),
                told => panic!("{backend}: {told:?}"),
            }
            assert!(
                rounds[0] < 1_000_000,
                "{backend}: {rounds:?} {patient} {received}"
            );
        });
        assert_eq!((patient, received), (1, 1));
        assert!(rounds[0].abs_diff(rounds[1]) <= 2, "{backend}: {rounds:?}");
    }
}
