//! Closing sources in the midst of it, and what old tokens name: nothing.

use std::io::pipe;
use std::time::{Duration, Instant};

use berkeley::Kind;
use bytes::Bytes;
use switchboard_reactor::{Reactor, SendError, Token};

use crate::support::{BACKENDS, ROOMY, Told, assert_idle, connect, listener, run, unix_pair};

const A_WHILE: Duration = Duration::from_millis(30);

#[test]
fn the_token_of_a_closed_source_never_names_another() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let mut old = Vec::new();
        for _ in 0..100 {
            let (ours, peer) = unix_pair(Kind::STREAM);
            let token = reactor.add_stream(ours, ROOMY).unwrap();
            assert!(!old.contains(&token));
            for &gone in &old {
                // All of them have had the same place.
                reactor.close(gone);
                reactor.pause(gone);
                reactor.finish(gone, Duration::ZERO);
                assert_eq!(
                    reactor.send(gone, Bytes::from_static(b"x")),
                    Err(SendError::Gone)
                );
                assert!(reactor.socket(gone).is_none());
            }
            reactor.send(token, Bytes::from_static(b"y")).unwrap();
            assert!(reactor.outbox_bytes(token) > 0);
            assert_eq!(reactor.sources(), 1);
            reactor.close(token);
            old.push(token);
            drop(peer);
        }
        assert_idle(&mut reactor, A_WHILE);
    }
}

/// A reactor with many connections whose peers have all done the same.
fn crowd(
    backend: berkeley::selector::Backend,
    act: impl Fn(&berkeley::Socket),
) -> (Reactor, Vec<Token>, Vec<berkeley::Socket>) {
    let mut reactor = Reactor::new(backend).unwrap();
    let (mut tokens, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let (ours, peer) = unix_pair(Kind::STREAM);
        tokens.push(reactor.add_stream(ours, ROOMY).unwrap());
        act(&peer);
        peers.push(peer);
    }
    (reactor, tokens, peers)
}

/// Runs until the first call of the handler, which closes everything, the source itself included.
fn close_all_at_first(reactor: &mut Reactor, tokens: &[Token], expected: fn(&Told) -> bool) {
    let mut count = 0;
    run(reactor, |reactor, told| {
        assert!(expected(&told), "{told:?}");
        count += 1;
        for &token in tokens {
            reactor.close(token);
        }
        reactor.stop();
    });
    assert_eq!(
        (count, reactor.sources()),
        (1, 0),
        "{}: told of what is closed",
        reactor.backend()
    );
    assert_idle(reactor, A_WHILE);
}

#[test]
fn all_sources_may_be_closed_in_any_call() {
    for backend in BACKENDS {
        let (mut reactor, tokens, _peers) = crowd(backend, |peer| peer.send_all(b"x").unwrap());
        close_all_at_first(&mut reactor, &tokens, |told| {
            matches!(told, Told::Received(..))
        });

        let (mut reactor, tokens, _peers) = crowd(backend, |peer| {
            peer.shutdown(berkeley::Shutdown::WRITE).unwrap();
        });
        close_all_at_first(&mut reactor, &tokens, |told| matches!(told, Told::Ended(_)));

        let (mut reactor, tokens, _peers) = crowd(backend, |_| {});
        for &token in &tokens {
            reactor.send(token, Bytes::from_static(b"x")).unwrap();
        }
        close_all_at_first(&mut reactor, &tokens, |told| {
            matches!(told, Told::Drained(_))
        });

        let (mut reactor, tokens, peers) = crowd(backend, |_| {});
        for &token in &tokens {
            reactor.finish(token, Duration::from_secs(9));
        }
        drop(peers);
        close_all_at_first(&mut reactor, &tokens, |told| {
            matches!(told, Told::Closed(..))
        });

        let (mut reactor, tokens, _peers) = crowd(backend, |_| {});
        for &token in &tokens {
            reactor.finish(token, Duration::ZERO);
        }
        close_all_at_first(&mut reactor, &tokens, |told| {
            matches!(told, Told::Closed(..))
        });

        let (mut reactor, tokens, _peers) = crowd(backend, |_| {});
        for &token in &tokens {
            reactor.send(token, Bytes::from_static(b"x")).unwrap();
        }
        reactor.set_timer(Instant::now(), 1);
        close_all_at_first(&mut reactor, &tokens, |told| matches!(told, Told::Timer(1)));
    }
}

#[test]
fn a_listener_may_be_closed_while_others_wait_at_it() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (socket, addr) = listener();
        let token = reactor.add_listener(socket).unwrap();
        let peers = [connect(&addr), connect(&addr)];
        close_all_at_first(&mut reactor, &[token], |told| {
            matches!(told, Told::Accepted(..))
        });
        drop(peers);
    }
}

#[test]
fn a_datagram_socket_may_be_closed_while_others_wait_at_it() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (ours, peer) = unix_pair(Kind::DGRAM);
        peer.send_all(b"one").unwrap();
        peer.send_all(b"two").unwrap();
        let token = reactor.add_datagrams(ours).unwrap();
        close_all_at_first(&mut reactor, &[token], |told| {
            matches!(told, Told::Datagram(..))
        });
    }
}

#[test]
fn a_source_in_the_place_of_a_closed_one_does_not_inherit_its_events() {
    for backend in BACKENDS {
        let (mut reactor, tokens, _peers) = crowd(backend, |peer| peer.send_all(b"x").unwrap());
        // Reading one of these by mistake would wait for ever.
        let mut pipes = Vec::new();
        run(&mut reactor, |reactor, told| {
            assert!(matches!(told, Told::Received(..)), "{told:?}");
            assert!(pipes.is_empty());
            for &token in &tokens {
                reactor.close(token);
            }
            for _ in &tokens {
                let (reader, writer) = pipe().unwrap();
                reactor.add_input(reader.into()).unwrap();
                pipes.push(writer);
            }
            reactor.stop();
        });
        assert_eq!(reactor.sources(), tokens.len());
        assert_idle(&mut reactor, A_WHILE);
    }
}
