//! What one turn does at most, to the byte, and that everybody has one before anybody has two.

use std::collections::HashMap;
use std::time::Instant;

use berkeley::selector::{Backend, EVENTS_MAX};
use berkeley::{Kind, MsgFlags, Socket, opt};
use bytes::Bytes;
use switchboard_reactor::{
    ACCEPTS_PER_TURN_MAX, DATAGRAMS_PER_TURN_MAX, READ_BYTES_MAX, Reactor, WRITE_BYTES_PER_TURN_MAX,
};

use crate::support::{
    BACKENDS, ROOMY, Told, connect, in_own_process, listener, pattern, run, unix_pair,
};

/// Just below a limit, at it, and just above: what is to be done, and what of it in each turn.
fn around(limit: usize) -> [(usize, Vec<usize>); 3] {
    [
        (limit - 1, vec![limit - 1]),
        (limit, vec![limit]),
        (limit + 1, vec![limit, 1]),
    ]
}

/// Runs until so much is done; answers how much of it was in each turn that did anything.
fn per_turn(
    reactor: &mut Reactor,
    total: usize,
    mut amount: impl FnMut(Option<Told>) -> usize,
) -> Vec<usize> {
    let (mut turns, mut now) = (Vec::new(), 0);
    reactor.set_timer(Instant::now(), 0);
    run(reactor, |reactor, told| {
        let Told::Timer(_) = told else {
            now += amount(Some(told));
            return;
        };
        // Between the reading and the writing of each turn.
        now += amount(None);
        if now > 0 {
            turns.push(core::mem::take(&mut now));
        }
        if turns.iter().sum::<usize>() >= total {
            reactor.stop();
        }
        reactor.set_timer(Instant::now(), 0);
    });
    turns
}

/// A connection through which a lot goes at once, if the system allows it.
fn wide_pair() -> Option<(Socket, Socket)> {
    let (ours, peer) = unix_pair(Kind::STREAM);
    for socket in [&ours, &peer] {
        socket.set(opt::SendBuffer, 2 << 20).unwrap();
        if socket.get(opt::SendBuffer).unwrap() < 2 << 20 {
            eprintln!("skipped: needs a large net.core.wmem_max");
            return None;
        }
    }
    Some((ours, peer))
}

#[test]
fn a_turn_reads_so_many_bytes_of_a_stream() {
    for backend in BACKENDS {
        for (len, expected) in around(READ_BYTES_MAX) {
            let Some((ours, peer)) = wide_pair() else {
                return;
            };
            let mut reactor = Reactor::new(backend).unwrap();
            peer.send_all(&pattern(0, len)).unwrap();
            reactor.add_stream(ours, ROOMY).unwrap();
            let turns = per_turn(&mut reactor, len, |told| match told {
                None => 0,
                Some(Told::Received(_, bytes)) => bytes.len(),
                told => panic!("{told:?}"),
            });
            assert_eq!(turns, expected, "{backend}");
        }
    }
}

#[test]
fn a_turn_writes_so_many_bytes_to_a_stream() {
    for backend in BACKENDS {
        for (len, expected) in around(WRITE_BYTES_PER_TURN_MAX) {
            for pieces in [1, 3, 200] {
                let Some((ours, peer)) = wide_pair() else {
                    return;
                };
                let mut reactor = Reactor::new(backend).unwrap();
                let token = reactor.add_stream(ours, ROOMY).unwrap();
                let all = pattern(0, len);
                for piece in all.chunks(len.div_ceil(pieces)) {
                    reactor.send(token, Bytes::copy_from_slice(piece)).unwrap();
                }
                let mut buffer = vec![0; 2 << 20];
                let mut came = Vec::new();
                let turns = per_turn(&mut reactor, len, |_| {
                    let before = came.len();
                    while let Ok(len) = peer.recv(&mut buffer, MsgFlags::DONTWAIT) {
                        came.extend_from_slice(&buffer[..len]);
                    }
                    came.len() - before
                });
                assert!(came == all, "{backend}: the bytes have changed");
                // 64 pieces are one call, and a ring makes one call a turn.
                if pieces == 200 && backend == Backend::IoUring {
                    assert!(turns.iter().all(|turn| *turn <= WRITE_BYTES_PER_TURN_MAX));
                } else {
                    assert_eq!(turns, expected, "{backend}, {pieces} pieces");
                }
            }
        }
    }
}

#[test]
fn a_turn_accepts_so_many_connections() {
    for backend in BACKENDS {
        for (count, expected) in around(ACCEPTS_PER_TURN_MAX) {
            let mut reactor = Reactor::new(backend).unwrap();
            let (socket, addr) = listener();
            let _peers: Vec<_> = (0..count).map(|_| connect(&addr)).collect();
            reactor.add_listener(socket).unwrap();
            let turns = per_turn(&mut reactor, count, |told| match told {
                None => 0,
                Some(Told::Accepted(..)) => 1,
                told => panic!("{told:?}"),
            });
            assert_eq!(turns, expected, "{backend}");
        }
    }
}

#[test]
fn a_turn_takes_so_many_datagrams() {
    for backend in BACKENDS {
        for (count, expected) in around(DATAGRAMS_PER_TURN_MAX) {
            let mut reactor = Reactor::new(backend).unwrap();
            let (ours, peer) = unix_pair(Kind::DGRAM);
            for _ in 0..count {
                peer.send(b"datagram", MsgFlags::NONE).unwrap();
            }
            reactor.add_datagrams(ours).unwrap();
            let turns = per_turn(&mut reactor, count, |told| match told {
                None => 0,
                Some(Told::Datagram(..)) => 1,
                told => panic!("{told:?}"),
            });
            assert_eq!(turns, expected, "{backend}");
        }
    }
}

#[test]
fn everybody_has_a_turn_before_anybody_has_two() {
    const NAME: &str = "turns::everybody_has_a_turn_before_anybody_has_two";
    const TURNS: usize = 4;
    if !in_own_process(NAME, 8192) {
        return;
    }
    for backend in BACKENDS {
        // More than one wait tells of, but for select(2), which has no room for so many.
        let count = match backend {
            Backend::Select => 400,
            _ => EVENTS_MAX + EVENTS_MAX / 2,
        };
        let mut reactor = Reactor::new(backend).unwrap();
        let (mut served, mut peers) = (HashMap::new(), Vec::new());
        for _ in 0..count {
            let (ours, peer) = unix_pair(Kind::STREAM);
            peer.send_all(&[7; TURNS]).unwrap();
            let token = reactor.add_stream(ours, ROOMY).unwrap();
            reactor.limit_reads(token, 1);
            served.insert(token, 0);
            peers.push(peer);
        }
        // How many have been served so often.
        let mut levels = [0; TURNS + 1];
        levels[0] = count;
        run(&mut reactor, |reactor, told| {
            let Told::Received(token, bytes) = told else {
                panic!("{told:?}")
            };
            assert_eq!(bytes.len(), 1);
            let times = served.get_mut(&token).unwrap();
            let fewer = levels[..*times].iter().sum::<usize>();
            assert_eq!(fewer, 0, "{backend}: these have waited for longer");
            levels[*times] -= 1;
            *times += 1;
            levels[*times] += 1;
            if levels[TURNS] == count {
                reactor.stop();
            }
        });
    }
}
