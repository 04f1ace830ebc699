//! The ways in which a connection ends.

use std::time::{Duration, Instant};

use berkeley::{Errno, Kind, MsgFlags};
use bytes::Bytes;
use switchboard_reactor::{Closed, Reactor, SendError};

use crate::support::{
    BACKENDS, ROOMY, Told, assert_idle, drain, one_stream, pattern, run, tcp_pair, unix_pair,
};

#[test]
fn a_finished_connection_is_written_whole_and_what_the_peer_still_sends_is_thrown_away() {
    for backend in BACKENDS {
        for limit in [Duration::from_secs(9), Duration::MAX] {
            let mut reactor = Reactor::new(backend).unwrap();
            let (a, b) = tcp_pair();
            let ours = reactor.add_stream(a, ROOMY).unwrap();
            let peer = reactor.add_stream(b, ROOMY).unwrap();
            let all = pattern(0, 8 << 20);
            reactor.send(ours, all.clone().into()).unwrap();
            reactor.finish(ours, limit);
            reactor.finish(ours, Duration::ZERO);
            assert_eq!(
                reactor.send(ours, Bytes::from_static(b"x")),
                Err(SendError::Gone)
            );
            let mut received = Vec::new();
            run(&mut reactor, |reactor, told| match told {
                Told::Received(token, bytes) => {
                    assert_eq!(token, peer, "{backend}: told what should be thrown away");
                    received.extend(bytes);
                }
                Told::Ended(token) => {
                    assert_eq!(token, peer);
                    reactor.send(peer, pattern(0, 4 << 20).into()).unwrap();
                }
                Told::Drained(token) => {
                    assert_eq!(token, peer);
                    reactor.close(peer);
                }
                Told::Closed(token, Closed::Finished) => {
                    assert_eq!(token, ours);
                    reactor.stop();
                }
                told => panic!("{told:?}"),
            });
            assert!(received == all, "{backend}");
            assert_eq!(reactor.sources(), 0);
        }
    }
}

#[test]
fn a_peer_that_does_not_close_in_time_is_given_up() {
    const LIMIT: Duration = Duration::from_millis(60);
    for backend in BACKENDS {
        // One whose peer reads nothing, and one whose peer only does not close.
        for bytes in [16 << 20, 5] {
            let (mut reactor, token, peer) = one_stream(backend);
            reactor.send(token, pattern(0, bytes).into()).unwrap();
            let start = Instant::now();
            reactor.finish(token, LIMIT);
            run(&mut reactor, |reactor, told| match told {
                Told::Closed(_, Closed::TimedOut) => reactor.stop(),
                told => panic!("{told:?}"),
            });
            assert!(start.elapsed() >= LIMIT);
            assert_eq!(
                reactor.send(token, Bytes::from_static(b"x")),
                Err(SendError::Gone)
            );
            drop(peer);
            assert_idle(&mut reactor, Duration::from_millis(30));
        }
    }
}

#[test]
fn a_finished_connection_is_not_kept_busy_by_a_peer_that_only_waits() {
    for backend in BACKENDS {
        let (mut reactor, token, peer) = one_stream(backend);
        reactor.pause(token);
        reactor.finish(token, Duration::from_secs(9));
        assert_idle(&mut reactor, Duration::from_millis(100));
        assert!(drain(&peer).is_empty());
        drop(peer);
        run(&mut reactor, |reactor, told| match told {
            Told::Closed(_, Closed::Finished) => reactor.stop(),
            told => panic!("{told:?}"),
        });
    }
}

#[test]
fn closing_tells_nothing_and_forgets_what_waits() {
    for backend in BACKENDS {
        let (mut reactor, token, peer) = one_stream(backend);
        reactor
            .send(token, Bytes::from_static(b"forgotten"))
            .unwrap();
        reactor.finish(token, Duration::from_millis(1));
        reactor.close(token);
        assert_idle(&mut reactor, Duration::from_millis(20));
        assert!(drain(&peer).is_empty());
        assert_eq!(reactor.sources(), 0);
    }
}

#[test]
fn a_reset_reaches_the_peer_as_an_error() {
    for backend in BACKENDS {
        let (mut reactor, token, peer) = one_stream(backend);
        reactor.reset(token);
        let error = peer.recv(&mut [0], MsgFlags::NONE).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::ECONNRESET));
        assert_idle(&mut reactor, Duration::from_millis(20));
    }
}

#[test]
fn a_unix_connection_that_is_reset_just_ends() {
    let mut reactor = Reactor::new(BACKENDS[0]).unwrap();
    let (ours, peer) = unix_pair(Kind::STREAM);
    let token = reactor.add_stream(ours, ROOMY).unwrap();
    reactor.reset(token);
    assert!(drain(&peer).is_empty());
}
