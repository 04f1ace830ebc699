//! Feeds: what readers get of what is appended once.

use std::time::{Duration, Instant};

use berkeley::{Kind, Mode, MsgFlags, Socket, opt};
use bytes::Bytes;
use switchboard_reactor::{
    Behind, Closed, FEED_BYTES_PER_WRITE, FeedId, FeedLimits, Reactor, Token,
};

use crate::support::{BACKENDS, ROOMY, Told, assert_idle, drain, one_stream, pattern, run};
use crate::support::{tcp_pair, unix_pair};

const LIMITS: FeedLimits = FeedLimits {
    bytes_max: 64 * 1024,
    entries_max: 1000,
};

/// One turn of the reactor.
pub(crate) fn turn(reactor: &mut Reactor) {
    reactor.set_timer(Instant::now(), 1);
    run(reactor, |reactor, told| match told {
        Told::Timer(1) => reactor.stop(),
        Told::Drained(_) => {}
        told => panic!("{told:?}"),
    });
}

/// Turns until nothing waits for these.
fn write_all(reactor: &mut Reactor, feed: FeedId, readers: &[(Token, Socket)]) {
    let end = reactor.feed_range(feed).end;
    loop {
        turn(reactor);
        let waits = |token| {
            reactor.outbox_bytes(token) > 0 || reactor.feed_next(token).is_some_and(|it| it < end)
        };
        if !readers.iter().any(|(token, _)| waits(*token)) {
            return;
        }
    }
}

pub(crate) fn received(socket: &Socket, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut have = 0;
    while have < len {
        have += socket.recv(&mut bytes[have..], MsgFlags::NONE).unwrap();
    }
    bytes
}

fn assert_silent(socket: &Socket) {
    let mode = socket.mode();
    socket.set_mode(Mode::NonBlock).unwrap();
    let error = socket.recv(&mut [0; 100], MsgFlags::NONE).unwrap_err();
    assert!(error.is_would_block(), "{error}");
    socket.set_mode(mode).unwrap();
}

/// A reactor with a feed and so many readers of it.
pub(crate) fn readers(
    backend: berkeley::selector::Backend,
    limits: FeedLimits,
    count: usize,
) -> (Reactor, FeedId, Vec<(Token, Socket)>) {
    let mut reactor = Reactor::new(backend).unwrap();
    let feed = reactor.add_feed(limits);
    let readers = (0..count)
        .map(|_| {
            let (ours, peer) = tcp_pair();
            let token = reactor.add_stream(ours, ROOMY).unwrap();
            reactor.subscribe(token, feed, 0).unwrap();
            (token, peer)
        })
        .collect();
    (reactor, feed, readers)
}

#[test]
fn each_reader_gets_what_is_appended_but_not_what_is_its_own() {
    for backend in BACKENDS {
        let (mut reactor, feed, readers) = readers(backend, LIMITS, 10);
        assert_eq!(reactor.append(feed, b"one ", None), 0);
        assert_eq!(reactor.append(feed, b"two ", Some(readers[3].0)), 1);
        assert_eq!(reactor.append(feed, b"", None), 2);
        assert_eq!(reactor.append(feed, b"three ", None), 3);
        write_all(&mut reactor, feed, &readers);
        for (index, (token, peer)) in readers.iter().enumerate() {
            let expected: &[u8] = if index == 3 {
                b"one three "
            } else {
                b"one two three "
            };
            assert_eq!(received(peer, expected.len()), expected, "{backend}");
            assert_silent(peer);
            assert_eq!(reactor.feed_next(*token), Some(4));
        }
        assert_eq!(reactor.feed_range(feed), 0..4);
    }
}

#[test]
fn a_reader_begins_where_it_asks_to_and_no_earlier_than_the_feed() {
    for backend in BACKENDS {
        let limits = FeedLimits {
            entries_max: 3,
            ..LIMITS
        };
        let (mut reactor, feed, readers) = readers(backend, limits, 3);
        for (token, _) in &readers {
            assert_eq!(reactor.unsubscribe(*token), Some(0));
            assert_eq!(reactor.unsubscribe(*token), None);
        }
        for entry in ["0", "1", "2", "3", "4"] {
            reactor.append(feed, entry.as_bytes(), None);
        }
        let [(past, _), (middle, seen), (future, late)] = &readers[..] else {
            panic!("there are three")
        };
        assert_eq!(reactor.feed_range(feed), 2..5);
        assert_eq!(reactor.subscribe(*past, feed, 1), Err(Behind));
        assert_eq!(reactor.subscribe(*middle, feed, 3), Ok(()));
        assert_eq!(reactor.subscribe(*future, feed, 6), Ok(()));
        write_all(&mut reactor, feed, &readers);
        reactor.append(feed, b"5", None);
        write_all(&mut reactor, feed, &readers);
        reactor.append(feed, b"6", None);
        write_all(&mut reactor, feed, &readers);
        assert_eq!(received(seen, 4), b"3456");
        assert_eq!(received(late, 1), b"6");
        assert_silent(&readers[0].1);
    }
}

#[test]
fn a_feed_holds_what_its_limits_say_and_one_entry_that_is_longer() {
    let mut reactor = Reactor::new(BACKENDS[0]).unwrap();
    let limits = FeedLimits {
        bytes_max: 10_000,
        entries_max: 5,
    };
    let feed = reactor.add_feed(limits);
    let mut append = |len| {
        reactor.append(feed, &vec![7; len], None);
        reactor.feed_range(feed)
    };
    assert_eq!((append(4999), append(5000)), (0..1, 0..2));
    assert_eq!((append(1), append(1)), (0..3, 1..4), "bytes");
    assert_eq!(
        (append(1), append(1), append(1)),
        (1..5, 1..6, 2..7),
        "entries"
    );
    assert_eq!(append(10_000), 7..8);
    assert_eq!(append(0), 7..9);
    // One without bytes takes none from it.
    assert_eq!(append(10_001), 8..10);
    assert_eq!(append(1), 10..11);
}

#[test]
fn what_is_sent_otherwise_goes_before_what_the_feed_has() {
    for backend in BACKENDS {
        let (mut reactor, feed, readers) = readers(backend, LIMITS, 6);
        for (token, _) in &readers {
            reactor.append(feed, b"entry ", None);
            reactor
                .send(*token, Bytes::from_static(b"notice "))
                .unwrap();
        }
        write_all(&mut reactor, feed, &readers);
        for (_, peer) in &readers {
            assert_eq!(
                received(peer, 43),
                b"notice entry entry entry entry entry entry "
            );
        }
    }
}

#[test]
fn a_reader_that_is_finished_gets_what_was_appended_before() {
    for backend in BACKENDS {
        let (mut reactor, feed, readers) = readers(backend, LIMITS, 2);
        reactor.append(feed, b"entry ", None);
        let (token, peer) = &readers[0];
        reactor
            .send(*token, Bytes::from_static(b"last words "))
            .unwrap();
        reactor.finish(*token, Duration::from_secs(10));
        reactor.append(feed, b"too late ", None);
        turn(&mut reactor);
        assert_eq!(drain(peer), b"last words entry ");
        assert_eq!(received(&readers[1].1, 15), b"entry too late ");
    }
}

#[test]
fn a_removed_feed_is_nobodys_and_its_name_is_not_used_again() {
    for backend in BACKENDS {
        let (mut reactor, feed, readers) = readers(backend, LIMITS, 2);
        let (token, peer) = &readers[0];
        reactor.append(feed, b"lost", None);
        reactor.remove_feed(feed);
        assert_eq!(reactor.feed_next(*token), None);
        let other = reactor.add_feed(LIMITS);
        assert_ne!(feed, other);
        assert_eq!(reactor.append(feed, b"nothing", None), 0);
        assert_eq!(reactor.subscribe(*token, feed, 0), Err(Behind));
        reactor.subscribe(*token, other, 0).unwrap();
        reactor.append(other, b"other", None);
        turn(&mut reactor);
        assert_eq!(received(peer, 5), b"other");
    }
}

#[test]
fn much_for_a_reader_comes_in_several_turns() {
    for backend in BACKENDS {
        let limits = FeedLimits {
            bytes_max: 1 << 20,
            entries_max: 1000,
        };
        for len in [1000, FEED_BYTES_PER_WRITE / 2, FEED_BYTES_PER_WRITE + 1] {
            let (mut reactor, feed, readers) = readers(backend, limits, 1);
            let (token, peer) = &readers[0];
            reactor
                .socket(*token)
                .unwrap()
                .set(opt::SendBuffer, 2 << 20)
                .unwrap();
            let per_turn = u64::try_from((FEED_BYTES_PER_WRITE / len).max(1)).unwrap();
            let count = 2 * per_turn + 1;
            let mut expected = Vec::new();
            for number in 0..count {
                let entry = pattern(usize::try_from(number).unwrap(), len);
                reactor.append(feed, &entry, None);
                expected.extend_from_slice(&entry);
            }
            std::thread::scope(|scope| {
                let reading = scope.spawn(|| received(peer, expected.len()));
                turn(&mut reactor);
                let next = reactor.feed_next(*token).unwrap();
                assert!(next <= per_turn, "{backend}: {next} of {per_turn}");
                while reactor.feed_next(*token) != Some(count) || reactor.outbox_bytes(*token) > 0 {
                    turn(&mut reactor);
                }
                assert!(reading.join().unwrap() == expected, "{backend}");
            });
        }
    }
}

#[test]
fn who_falls_behind_is_told_and_can_go_on_at_the_live_edge() {
    for backend in BACKENDS {
        let (mut reactor, feed, readers) = readers(backend, LIMITS, 2);
        let (token, peer) = &readers[0];
        let small = reactor.socket(*token).unwrap();
        small.set(opt::SendBuffer, 4096).unwrap();
        for number in 0..1000_u64 {
            reactor.append(
                feed,
                &[number.to_le_bytes(), [0; 8]].concat().repeat(128),
                None,
            );
            turn(&mut reactor);
            received(&readers[1].1, 2048);
        }
        let got = reactor.feed_next(*token).unwrap();
        let live = reactor.feed_range(feed);
        assert!(got < live.start, "{backend}");
        let mut told = 0;
        std::thread::scope(|scope| {
            let last = [999_u64.to_le_bytes(), [0; 8]].concat();
            let reading = scope.spawn(move || {
                let mut all = Vec::new();
                while !all.ends_with(&last) {
                    all.extend_from_slice(&received(peer, 2048));
                }
                all
            });
            run(&mut reactor, |reactor, event| match event {
                Told::Behind(source, of, next) => {
                    assert_eq!((source, of, next), (*token, feed, got));
                    assert_eq!(reactor.feed_next(source), None);
                    reactor.subscribe(source, feed, live.start).unwrap();
                    told += 1;
                }
                Told::Drained(source) => {
                    if reactor.feed_next(source) == Some(live.end) {
                        reactor.stop();
                    }
                }
                told => panic!("{told:?}"),
            });
            let all = reading.join().unwrap();
            let entries = all.chunks(2048).map(|entry| {
                assert!(entry.chunks(16).all(|part| part == &entry[..16]));
                u64::from_le_bytes(entry[..8].try_into().unwrap())
            });
            assert!(entries.eq((0..got).chain(live)), "{backend}");
        });
        assert_eq!(told, 1);
    }
}

#[test]
fn a_peer_that_takes_nothing_has_its_time_and_one_that_takes_little_goes_on() {
    const LIMIT: Duration = Duration::from_millis(400);
    for backend in BACKENDS {
        let (mut reactor, feed, readers) = readers(backend, LIMITS, 3);
        reactor.limit_stalls(Some(LIMIT));
        let [(stalled, _), (slow, reading), (quiet, _)] = &readers[..] else {
            panic!("there are three")
        };
        reactor.unsubscribe(*quiet);
        for token in [stalled, slow] {
            let socket = reactor.socket(*token).unwrap();
            socket.set(opt::SendBuffer, 4096).unwrap();
        }
        reading.set_mode(Mode::NonBlock).unwrap();
        let start = Instant::now();
        let mut ended = None;
        reactor.set_timer(start, 1);
        run(&mut reactor, |reactor, told| match told {
            Told::Timer(_) => {
                let now = Instant::now();
                while ended.is_none() && reactor.feed_range(feed).end < 4000 {
                    reactor.append(feed, &[7; 1024], None);
                    if reactor.feed_range(feed).end % 32 == 0 {
                        break;
                    }
                }
                // As much as lets the kernel tell the sender of new room.
                drop(reading.recv(&mut vec![0; 1 << 20], MsgFlags::NONE));
                if now - start > 3 * LIMIT {
                    return reactor.stop();
                }
                reactor.set_timer(now + Duration::from_millis(5), 1);
            }
            Told::Behind(source, feed, _) => {
                let live = reactor.feed_range(feed).start;
                reactor.subscribe(source, feed, live).unwrap();
            }
            Told::Closed(source, Closed::Stalled) => {
                assert_eq!(source, *stalled, "{backend}");
                assert!(ended.replace(Instant::now()).is_none());
            }
            Told::Drained(_) => {}
            told => panic!("{told:?}"),
        });
        let took = ended.expect("it was closed") - start;
        assert!(took >= LIMIT, "{backend}: {took:?}");
        assert!(reactor.socket(*slow).is_some() && reactor.socket(*quiet).is_some());
    }
}

#[test]
fn a_direct_send_that_is_not_taken_has_its_time_too() {
    const LIMIT: Duration = Duration::from_millis(200);
    for backend in BACKENDS {
        let (mut reactor, token, _peer) = one_stream(backend);
        reactor.limit_stalls(Some(LIMIT));
        reactor.send(token, vec![7; 64 << 20].into()).unwrap();
        let start = Instant::now();
        run(&mut reactor, |reactor, told| match told {
            Told::Closed(_, Closed::Stalled) => reactor.stop(),
            told => panic!("{told:?}"),
        });
        assert!(start.elapsed() >= LIMIT, "{backend}");
    }
}

#[test]
fn a_feed_that_is_read_costs_nothing_while_it_is_silent() {
    for backend in BACKENDS {
        let (mut reactor, feed, readers) = readers(backend, LIMITS, 20);
        reactor.append(feed, &[7; 20_000], None);
        write_all(&mut reactor, feed, &readers);
        for (_, peer) in &readers {
            received(peer, 20_000);
        }
        write_all(&mut reactor, feed, &readers);
        assert_idle(&mut reactor, Duration::from_millis(100));
    }
}

#[test]
fn a_message_of_a_feed_keeps_its_boundaries() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let feed = reactor.add_feed(LIMITS);
        let (ours, peer) = unix_pair(Kind::SEQPACKET);
        let token = reactor.add_stream(ours, ROOMY).unwrap();
        reactor.subscribe(token, feed, 0).unwrap();
        let messages: Vec<_> = (0..150).map(|number| pattern(number, number * 5)).collect();
        for message in &messages {
            reactor.append(feed, message, None);
        }
        for message in &messages[1..] {
            let mut buf = vec![0; 2000];
            let len = loop {
                turn(&mut reactor);
                peer.set_mode(Mode::NonBlock).unwrap();
                match peer.recv(&mut buf, MsgFlags::NONE) {
                    Ok(len) => break len,
                    Err(error) => assert!(error.is_would_block(), "{error}"),
                }
            };
            assert_eq!(&buf[..len], message, "{backend}");
        }
    }
}

#[test]
fn who_is_not_slow_misses_nothing_of_a_turn_that_brings_more_than_the_feed_holds() {
    for backend in BACKENDS {
        let limits = FeedLimits {
            bytes_max: 10_000,
            entries_max: 50,
        };
        let (mut reactor, feed, readers) = readers(backend, limits, 5);
        let mut expected = Vec::new();
        for number in 0..300 {
            let entry = pattern(number, 300);
            reactor.append(feed, &entry, Some(readers[4].0));
            expected.extend_from_slice(&entry);
        }
        reactor.append(feed, b"end", None);
        expected.extend_from_slice(b"end");
        std::thread::scope(|scope| {
            let reading: Vec<_> = readers[..4]
                .iter()
                .map(|(_, peer)| scope.spawn(|| received(peer, expected.len())))
                .collect();
            write_all(&mut reactor, feed, &readers);
            for one in reading {
                assert!(one.join().unwrap() == expected, "{backend}");
            }
        });
        assert_eq!(received(&readers[4].1, 3), b"end");
    }
}

#[test]
fn feeds_that_have_had_their_memory_keep_less() {
    let mut reactor = Reactor::new(BACKENDS[0]).unwrap();
    reactor.limit_feeds(40_000);
    let (first, second) = (reactor.add_feed(LIMITS), reactor.add_feed(LIMITS));
    for _ in 0..100 {
        reactor.append(first, &[1; 1000], None);
        reactor.append(second, &[2; 1000], None);
    }
    let held = |feed| reactor.feed_range(feed).count();
    // Each is rounded down to whole entries.
    assert!((39..=40).contains(&(held(first) + held(second))));
    assert!(held(first) >= 4 && held(second) >= 4);
    reactor.remove_feed(first);
    for _ in 0..100 {
        reactor.append(second, &[2; 1000], None);
    }
    assert_eq!(reactor.feed_range(second).count(), 40);
}

#[test]
fn who_leaves_a_feed_gets_what_was_appended_before() {
    for backend in BACKENDS {
        let (mut reactor, feed, readers) = readers(backend, LIMITS, 3);
        let small = reactor.socket(readers[1].0).unwrap();
        small.set(opt::SendBuffer, 4096).unwrap();
        let mut expected = Vec::new();
        for number in 0..40 {
            let entry = pattern(number, 1500);
            reactor.append(feed, &entry, Some(readers[2].0));
            expected.extend_from_slice(&entry);
        }
        turn(&mut reactor);
        reactor.append(feed, b"last", None);
        expected.extend_from_slice(b"last");
        for (token, _) in &readers {
            assert_eq!(reactor.leave_feed(*token), Ok(()));
            assert_eq!(reactor.feed_next(*token), None);
        }
        reactor.append(feed, b"not for them", None);
        std::thread::scope(|scope| {
            let reading: Vec<_> = readers[..2]
                .iter()
                .map(|(_, peer)| scope.spawn(|| received(peer, expected.len())))
                .collect();
            write_all(&mut reactor, feed, &readers);
            for one in reading {
                assert!(one.join().unwrap() == expected, "{backend}");
            }
        });
        assert_eq!(received(&readers[2].1, 4), b"last");
        readers.iter().for_each(|(_, peer)| assert_silent(peer));
    }
}
