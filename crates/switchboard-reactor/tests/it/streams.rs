//! Receiving and sending.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use berkeley::{Errno, Kind, Shutdown, opt};
use bytes::Bytes;
use switchboard_reactor::{Closed, READ_BYTES_MAX, Reactor, SendError};

use crate::support::{
    BACKENDS, ROOMY, Told, assert_idle, connect, drain, listener, one_stream, pattern, run,
    tcp_pair, unix_pair,
};

#[test]
fn what_many_peers_send_comes_back_to_each() {
    const PEERS: usize = 60;
    const ROUNDS: usize = 20;
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (server, addr) = listener();
        reactor.add_listener(server).unwrap();
        let mut peers = HashMap::new();
        for number in 0..PEERS {
            let peer = reactor.add_stream(connect(&addr), ROOMY).unwrap();
            reactor
                .send(peer, Bytes::from(format!("{number}:0")))
                .unwrap();
            peers.insert(peer, (number, 0));
        }
        let mut done = 0;
        run(&mut reactor, |reactor, told| match told {
            Told::Accepted(_, socket) => {
                reactor.add_stream(socket, ROOMY).unwrap();
            }
            Told::Received(token, bytes) => match peers.get_mut(&token) {
                // So few bytes at once are never torn.
                Some((number, round)) => {
                    assert_eq!(bytes, format!("{number}:{round}").as_bytes());
                    *round += 1;
                    if *round == ROUNDS {
                        done += 1;
                    } else {
                        reactor
                            .send(token, Bytes::from(format!("{number}:{round}")))
                            .unwrap();
                    }
                    if done == PEERS {
                        reactor.stop();
                    }
                }
                None => reactor.send(token, Bytes::from(bytes)).unwrap(),
            },
            _ => {}
        });
        assert_eq!(reactor.sources(), 1 + 2 * PEERS);
    }
}

#[test]
fn a_busy_peer_does_not_keep_another_waiting() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let mut add = |(a, b)| {
            (
                reactor.add_stream(a, ROOMY).unwrap(),
                reactor.add_stream(b, ROOMY).unwrap(),
            )
        };
        let (flood, sink) = add(tcp_pair());
        let (ping, pong) = add(tcp_pair());
        let water = Bytes::from(vec![0; 8 << 20]);
        reactor.send(flood, water.clone()).unwrap();
        reactor.send(ping, Bytes::from_static(b"x")).unwrap();
        let (mut rounds, mut gulps, mut bytes_in) = (0, 0, 0);
        run(&mut reactor, |reactor, told| match told {
            Told::Drained(token) if token == flood => {
                reactor.send(flood, water.clone()).unwrap();
            }
            Told::Received(token, bytes) if token == sink => {
                assert!(bytes.len() <= READ_BYTES_MAX);
                bytes_in += bytes.len();
                gulps += 1;
                assert!(
                    gulps <= 5,
                    "{backend}: the quiet peer waits for the busy one"
                );
            }
            Told::Received(token, bytes) => {
                gulps = 0;
                rounds += 1;
                let other = if token == ping { pong } else { ping };
                reactor.send(other, bytes.into()).unwrap();
                if rounds >= 500 && bytes_in > 0 {
                    reactor.stop();
                }
            }
            _ => {}
        });
    }
}

#[test]
fn pieces_arrive_in_order_and_whole() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (a, b) = tcp_pair();
        let source = reactor.add_stream(a, ROOMY).unwrap();
        let target = reactor.add_stream(b, ROOMY).unwrap();
        let mut sent = Vec::new();
        for len in (0..3000).chain([1 << 20, 1, 0, 1 << 19]) {
            let piece = pattern(sent.len(), len);
            sent.extend_from_slice(&piece);
            reactor.send(source, piece.into()).unwrap();
        }
        let (mut received, mut drained) = (Vec::new(), 0);
        run(&mut reactor, |reactor, told| match told {
            Told::Received(token, bytes) => {
                assert_eq!(token, target);
                received.extend_from_slice(&bytes);
                if received.len() == sent.len() {
                    reactor.stop();
                }
            }
            Told::Drained(token) => {
                assert_eq!(token, source);
                drained += 1;
            }
            told => panic!("{told:?}"),
        });
        assert!(
            received == sent,
            "{backend}: the bytes have changed on their way"
        );
        assert_eq!(drained, 1, "{backend}");
    }
}

#[test]
fn a_full_outbox_takes_nothing_of_a_piece_and_has_room_again_when_it_is_drained() {
    const MAX: usize = 64 << 10;
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (ours, peer) = unix_pair(Kind::STREAM);
        let token = reactor.add_stream(ours, MAX).unwrap();
        let mut taken = 0_u32;
        let piece = |number: u32| Bytes::from(number.to_be_bytes().repeat(256));
        while reactor.send(token, piece(taken)).is_ok() {
            taken += 1;
            assert!(reactor.outbox_bytes(token) <= MAX);
        }
        assert_eq!(reactor.send(token, piece(taken)), Err(SendError::Full));
        assert!(
            taken > 64,
            "{backend}: only {taken}: the kernel has room for more than the outbox"
        );
        assert!(reactor.outbox_bytes(token) > MAX - 2048, "{backend}");
        let reader = std::thread::spawn(move || drain(&peer));
        run(&mut reactor, |reactor, told| match told {
            Told::Drained(_) => {
                reactor.send(token, Bytes::from_static(b"end")).unwrap();
                reactor.finish(token, Duration::from_secs(9));
            }
            Told::Closed(_, Closed::Finished) => reactor.stop(),
            told => panic!("{told:?}"),
        });
        let mut expected = (0..taken)
            .flat_map(|number| piece(number).to_vec())
            .collect::<Vec<_>>();
        expected.extend_from_slice(b"end");
        assert!(reader.join().unwrap() == expected, "{backend}");
    }
}

#[test]
fn a_slow_reader_gets_everything_when_it_reads_at_last() {
    for backend in BACKENDS {
        let (mut reactor, token, peer) = one_stream(backend);
        let all = pattern(0, 16 << 20);
        reactor.send(token, all.clone().into()).unwrap();
        // The kernel's buffers are filled, and then nothing goes on.
        reactor.set_timer(Instant::now() + Duration::from_millis(50), 1);
        run(&mut reactor, |reactor, told| match told {
            Told::Timer(1) => reactor.stop(),
            told => panic!("{told:?}"),
        });
        let waiting = reactor.outbox_bytes(token);
        assert!(waiting > 1 << 20, "{backend}: only {waiting} bytes wait");
        assert_idle(&mut reactor, Duration::from_millis(100));
        // More can be added meanwhile.
        reactor.send(token, Bytes::from_static(b"more")).unwrap();
        let reader = std::thread::spawn(move || drain(&peer));
        let mut drained = 0;
        run(&mut reactor, |reactor, told| match told {
            Told::Drained(_) => {
                drained += 1;
                reactor.finish(token, Duration::from_secs(9));
            }
            Told::Closed(_, Closed::Finished) => reactor.stop(),
            told => panic!("{told:?}"),
        });
        assert_eq!(drained, 1);
        let received = reader.join().unwrap();
        assert!(
            received[..all.len()] == all && received[all.len()..] == *b"more",
            "{backend}"
        );
    }
}

#[test]
fn a_peer_that_has_ended_its_side_can_still_be_sent_to() {
    for backend in BACKENDS {
        let (mut reactor, token, peer) = one_stream(backend);
        peer.send_all(b"last").unwrap();
        peer.shutdown(Shutdown::WRITE).unwrap();
        let mut received = Vec::new();
        run(&mut reactor, |reactor, told| match told {
            Told::Received(_, bytes) => received.extend(bytes),
            Told::Ended(_) => reactor.stop(),
            told => panic!("{told:?}"),
        });
        assert_eq!(received, b"last");
        // The end is told once, and costs nothing from then on.
        assert_idle(&mut reactor, Duration::from_millis(100));
        let answer = pattern(0, 4 << 20);
        reactor.send(token, answer.clone().into()).unwrap();
        reactor.finish(token, Duration::from_secs(9));
        let reader = std::thread::spawn(move || drain(&peer));
        run(&mut reactor, |reactor, told| match told {
            Told::Closed(_, Closed::Finished) => reactor.stop(),
            told => panic!("{told:?}"),
        });
        assert!(reader.join().unwrap() == answer, "{backend}");
    }
}

#[test]
fn the_last_words_of_a_peer_are_told_before_the_failure_to_write_to_it() {
    const BYTES: usize = 3 * READ_BYTES_MAX - 1;
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (ours, peer) = unix_pair(Kind::STREAM);
        peer.set(opt::SendBuffer, 4 << 20).unwrap();
        if peer.get(opt::SendBuffer).unwrap() < 3 << 20 {
            eprintln!("skipped: needs a large net.core.wmem_max");
            return;
        }
        peer.send_all(&pattern(0, BYTES)).unwrap();
        drop(peer);
        let token = reactor.add_stream(ours, ROOMY).unwrap();
        reactor
            .send(token, Bytes::from_static(b"nobody gets this"))
            .unwrap();
        let (mut received, mut ended) = (0, 0);
        run(&mut reactor, |reactor, told| match told {
            Told::Received(_, bytes) => {
                assert_eq!(ended, 0);
                received += bytes.len();
            }
            Told::Ended(_) => ended += 1,
            Told::Closed(_, Closed::Failed(error)) => {
                assert_eq!(error.errno(), Some(Errno::EPIPE), "{backend}");
                reactor.stop();
            }
            told => panic!("{told:?}"),
        });
        assert_eq!(
            (received, ended, reactor.sources()),
            (BYTES, 1, 0),
            "{backend}"
        );
    }
}

#[test]
fn a_stream_with_limited_reads_is_read_in_portions() {
    for backend in BACKENDS {
        let (mut reactor, token, peer) = one_stream(backend);
        reactor.limit_reads(token, 100);
        peer.send_all(&[7; 1000]).unwrap();
        let mut left = 1000;
        run(&mut reactor, |reactor, told| match told {
            Told::Received(_, bytes) => {
                assert!(bytes.len() <= 100, "{} bytes at once", bytes.len());
                left -= bytes.len();
                if left == 0 {
                    reactor.stop();
                }
            }
            told => panic!("{told:?}"),
        });
    }
}

#[test]
fn a_reset_by_the_peer_is_told_as_a_failure() {
    for backend in BACKENDS {
        let (mut reactor, _, peer) = one_stream(backend);
        peer.set(opt::Linger, Some(Duration::ZERO)).unwrap();
        drop(peer);
        run(&mut reactor, |reactor, told| match told {
            Told::Closed(_, Closed::Failed(error)) => {
                assert_eq!(error.errno(), Some(Errno::ECONNRESET));
                reactor.stop();
            }
            told => panic!("{told:?}"),
        });
    }
}

#[test]
fn a_handler_cannot_run_the_reactor_that_calls_it() {
    struct Nobody;
    impl switchboard_reactor::Handler for Nobody {
        fn accepted(
            &mut self,
            _: &mut Reactor,
            _: switchboard_reactor::Token,
            _: berkeley::Socket,
            _: Option<berkeley::Addr>,
        ) {
        }
        fn received(&mut self, _: &mut Reactor, _: switchboard_reactor::Token, _: &[u8]) {}
        fn ended(&mut self, _: &mut Reactor, _: switchboard_reactor::Token) {}
        fn closed(&mut self, _: &mut Reactor, _: switchboard_reactor::Token, _: Closed) {}
    }
    let mut reactor = Reactor::new(BACKENDS[0]).unwrap();
    reactor.set_timer(Instant::now(), 1);
    run(&mut reactor, |reactor, _| {
        assert!(reactor.run(&mut Nobody).is_err());
        reactor.stop();
    });
}

#[test]
fn a_stream_keeps_its_order_while_much_and_little_take_turns() {
    const ROUNDS: usize = 12;
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let mut echoes = Vec::new();
        let mut asks = HashMap::new();
        for _ in 0..8 {
            let (near, far) = tcp_pair();
            echoes.push(reactor.add_stream(near, ROOMY).unwrap());
            let ask = reactor.add_stream(far, ROOMY).unwrap();
            asks.insert(ask, (0, 0, 0));
        }
        // Floods and trickles: each goes on for long enough that its way of receiving is chosen.
        let len_of = |round: usize| {
            if (round / 6).is_multiple_of(2) {
                200_000
            } else {
                100
            }
        };
        for token in asks.keys() {
            let first = Bytes::from(pattern(0, len_of(0)));
            reactor.send(*token, first).unwrap();
        }
        let mut done = 0;
        run(&mut reactor, |reactor, told| {
            let Told::Received(token, bytes) = told else {
                return;
            };
            let Some((place, in_round, round)) = asks.get_mut(&token) else {
                assert!(echoes.contains(&token));
                reactor.send(token, Bytes::from(bytes)).unwrap();
                return;
            };
            assert_eq!(bytes, pattern(*place, bytes.len()), "{backend}");
            *place += bytes.len();
            *in_round += bytes.len();
            if *in_round < len_of(*round) {
                return;
            }
            (*in_round, *round) = (0, *round + 1);
            if *round < 2 * ROUNDS {
                let next = Bytes::from(pattern(*place, len_of(*round)));
                reactor.send(token, next).unwrap();
            } else {
                done += 1;
                if done == asks.len() {
                    reactor.stop();
                }
            }
        });
        assert_eq!(reactor.sources(), 16);
    }
}
