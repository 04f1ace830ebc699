//! Sending bytes that belong to somebody else, most of all those that have just come.

use std::thread;
use std::time::Duration;

use berkeley::{Addr, Kind, Shutdown, Socket};
use bytes::Bytes;
use switchboard_reactor::{Closed, Handler, Reactor, SendError, Token};

use crate::support::{BACKENDS, ROOMY, drain, pattern, tcp_pair, unix_pair};

/// Calls a function with what is received, as it lies in memory; stops when a connection is closed
/// or has been drained at the end.
struct OnBytes<F> {
    received: F,
    ended: u32,
}

impl<F: FnMut(&mut Reactor, Token, &[u8])> Handler for OnBytes<F> {
    fn accepted(&mut self, _: &mut Reactor, _: Token, _: Socket, _: Option<Addr>) {}

    fn received(&mut self, reactor: &mut Reactor, source: Token, bytes: &[u8]) {
        (self.received)(reactor, source, bytes);
    }

    fn ended(&mut self, reactor: &mut Reactor, source: Token) {
        self.ended += 1;
        reactor.finish(source, Duration::from_secs(9));
    }

    fn closed(&mut self, reactor: &mut Reactor, _: Token, why: Closed) {
        assert!(matches!(why, Closed::Finished), "{why:?}");
        if reactor.sources() == 0 {
            reactor.stop();
        }
    }
}

/// Runs until all connections have ended.
fn run(reactor: &mut Reactor, received: impl FnMut(&mut Reactor, Token, &[u8])) {
    let mut handler = OnBytes { received, ended: 0 };
    reactor.run(&mut handler).unwrap();
}

/// Sends everything from a thread of its own, and answers what comes back until the end.
fn talk(peer: Socket, bytes: Vec<u8>) -> Vec<u8> {
    thread::scope(|scope| {
        scope.spawn(|| {
            peer.send_all(&bytes).unwrap();
            peer.shutdown(Shutdown::WRITE).unwrap();
        });
        drain(&peer)
    })
}

#[test]
fn what_is_sent_back_arrives_whole_whatever_its_length_and_however_slow_the_reader() {
    for backend in BACKENDS {
        for pair in [tcp_pair, || unix_pair(Kind::STREAM)] {
            let mut reactor = Reactor::new(backend).unwrap();
            let (ours, peer) = pair();
            reactor.add_stream(ours, ROOMY).unwrap();
            let all = pattern(0, 5 << 20);
            let sent = all.clone();
            let reader = thread::spawn(move || talk(peer, sent));
            run(&mut reactor, |reactor, source, bytes| {
                reactor.send_slice(source, bytes).unwrap();
                assert!(reactor.outbox_bytes(source) >= bytes.len());
            });
            assert!(reader.join().unwrap() == all, "{backend}");
        }
    }
}

#[test]
fn parts_and_other_pieces_keep_the_order_in_which_they_were_sent() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (ours, peer) = unix_pair(Kind::STREAM);
        reactor.add_stream(ours, ROOMY).unwrap();
        peer.send_all(b"abcdef").unwrap();
        peer.shutdown(Shutdown::WRITE).unwrap();
        run(&mut reactor, |reactor, source, bytes| {
            let (ab, cdef) = bytes.split_at(2);
            reactor.send_slice(source, ab).unwrap();
            reactor.send_slice(source, &cdef[..1]).unwrap();
            reactor.send_slice(source, &[]).unwrap();
            reactor
                .send(source, Bytes::from_static(b"-shared-"))
                .unwrap();
            reactor.send_slice(source, &cdef[2..]).unwrap();
            reactor.send_slice(source, ab).unwrap();
            reactor.send_slice(source, b"-copied-").unwrap();
            reactor.send_slice(source, cdef).unwrap();
        });
        assert_eq!(drain(&peer), b"abc-shared-efab-copied-cdef", "{backend}");
    }
}

#[test]
fn everybody_gets_the_same_part_behind_what_waited_before_it() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (mut tokens, mut peers) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            let (ours, peer) = unix_pair(Kind::STREAM);
            let token = reactor.add_stream(ours, ROOMY).unwrap();
            reactor.send(token, Bytes::from_static(b"before ")).unwrap();
            tokens.push(token);
            peers.push(peer);
        }
        peers[7].send_all(b"<hello>").unwrap();
        for peer in &peers {
            peer.shutdown(Shutdown::WRITE).unwrap();
        }
        run(&mut reactor, |reactor, _, bytes| {
            for &token in &tokens {
                // Those that have ended by now are being finished.
                let sent = reactor.send_slice(token, &bytes[1..bytes.len() - 1]);
                assert!(sent != Err(SendError::Full));
            }
        });
        let told: Vec<_> = peers.iter().map(drain).collect();
        assert_eq!(told[7], b"before hello", "{backend}");
        assert!(told[8..].iter().all(|bytes| bytes.starts_with(b"before ")));
    }
}

#[test]
fn a_limit_counts_what_is_sent_back_too() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (ours, peer) = unix_pair(Kind::STREAM);
        reactor.add_stream(ours, 300).unwrap();
        peer.send_all(&[7; 200]).unwrap();
        peer.shutdown(Shutdown::WRITE).unwrap();
        run(&mut reactor, |reactor, source, bytes| {
            let (first, second) = bytes.split_at(100);
            reactor.send_slice(source, first).unwrap();
            assert_eq!(reactor.send_slice(source, &[8; 250]), Err(SendError::Full));
            reactor.send_slice(source, second).unwrap();
            assert_eq!(reactor.send_slice(source, bytes), Err(SendError::Full));
        });
        assert_eq!(drain(&peer), [7; 200], "{backend}");
    }
}

#[test]
fn messages_that_are_sent_back_stay_messages() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (ours, peer) = unix_pair(Kind::SEQPACKET);
        reactor.add_stream(ours, ROOMY).unwrap();
        peer.send_all(b"onetwo").unwrap();
        peer.shutdown(Shutdown::WRITE).unwrap();
        run(&mut reactor, |reactor, source, bytes| {
            reactor.send_slice(source, &bytes[..3]).unwrap();
            reactor.send_slice(source, &bytes[3..]).unwrap();
        });
        let mut buffer = [0; 16];
        for message in [&b"one"[..], b"two", b""] {
            let len = peer.recv(&mut buffer, berkeley::MsgFlags::NONE).unwrap();
            assert_eq!(&buffer[..len], message, "{backend}");
        }
    }
}

#[test]
fn what_was_sent_back_is_written_before_the_end_and_forgotten_with_the_connection() {
    for backend in BACKENDS {
        for is_closed in [false, true] {
            let mut reactor = Reactor::new(backend).unwrap();
            let (ours, peer) = unix_pair(Kind::STREAM);
            reactor.add_stream(ours, ROOMY).unwrap();
            peer.send_all(b"last words").unwrap();
            peer.shutdown(Shutdown::WRITE).unwrap();
            run(&mut reactor, |reactor, source, bytes| {
                reactor.send_slice(source, bytes).unwrap();
                if is_closed {
                    reactor.close(source);
                    assert_eq!(reactor.send_slice(source, bytes), Err(SendError::Gone));
                    reactor.stop();
                } else {
                    reactor.finish(source, Duration::from_secs(9));
                    assert_eq!(reactor.send_slice(source, bytes), Err(SendError::Gone));
                }
            });
            let expected: &[u8] = if is_closed { b"" } else { b"last words" };
            assert_eq!(drain(&peer), expected, "{backend}");
        }
    }
}
