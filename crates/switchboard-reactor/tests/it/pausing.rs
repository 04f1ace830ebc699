//! Not listening for a while.

use std::time::Duration;

use berkeley::{Errno, opt};
use switchboard_reactor::Closed;

use crate::support::{BACKENDS, Told, assert_idle, connect, listener, one_stream, pattern, run};

const A_WHILE: Duration = Duration::from_millis(100);

#[test]
fn nothing_is_received_while_paused_and_nothing_is_lost() {
    for backend in BACKENDS {
        let (mut reactor, token, peer) = one_stream(backend);
        peer.send_all(b"while paused").unwrap();
        reactor.pause(token);
        assert_idle(&mut reactor, A_WHILE);
        reactor.resume(token);
        run(&mut reactor, |reactor, told| match told {
            Told::Received(_, bytes) => {
                assert_eq!(bytes, b"while paused");
                reactor.stop();
            }
            told => panic!("{told:?}"),
        });
    }
}

#[test]
fn a_peer_that_resets_while_paused_costs_nothing_and_is_noticed_afterwards() {
    for backend in BACKENDS {
        let (mut reactor, token, peer) = one_stream(backend);
        reactor.pause(token);
        peer.set(opt::Linger, Some(Duration::ZERO)).unwrap();
        drop(peer);
        assert_idle(&mut reactor, A_WHILE);
        reactor.resume(token);
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
fn a_peer_that_resets_is_noticed_when_something_waits_to_be_written() {
    for backend in BACKENDS {
        let (mut reactor, token, peer) = one_stream(backend);
        reactor.pause(token);
        reactor.send(token, pattern(0, 16 << 20).into()).unwrap();
        assert_idle_but_writing(&mut reactor);
        peer.set(opt::Linger, Some(Duration::ZERO)).unwrap();
        drop(peer);
        run(&mut reactor, |reactor, told| match told {
            Told::Closed(_, Closed::Failed(_)) => reactor.stop(),
            told => panic!("{told:?}"),
        });
        assert_eq!(reactor.sources(), 0, "{backend}");
    }
}

/// Until the kernel takes no more, and a while longer.
fn assert_idle_but_writing(reactor: &mut switchboard_reactor::Reactor) {
    reactor.set_timer(std::time::Instant::now() + A_WHILE, 1);
    run(reactor, |reactor, told| match told {
        Told::Timer(1) => reactor.stop(),
        told => panic!("{told:?}"),
    });
    assert_idle(reactor, A_WHILE);
}

#[test]
fn a_peer_that_is_gone_costs_nothing_while_its_end_is_not_answered() {
    for backend in BACKENDS {
        let (mut reactor, _, peer) = one_stream(backend);
        drop(peer);
        run(&mut reactor, |reactor, told| match told {
            Told::Ended(_) => reactor.stop(),
            told => panic!("{told:?}"),
        });
        assert_idle(&mut reactor, A_WHILE);
    }
}

#[test]
fn a_paused_listener_accepts_when_it_is_resumed() {
    for backend in BACKENDS {
        let mut reactor = switchboard_reactor::Reactor::new(backend).unwrap();
        let (socket, addr) = listener();
        let token = reactor.add_listener(socket).unwrap();
        reactor.pause(token);
        let peers = [connect(&addr), connect(&addr)];
        assert_idle(&mut reactor, A_WHILE);
        reactor.resume(token);
        let mut count = 0;
        run(&mut reactor, |reactor, told| match told {
            Told::Accepted(listener, _) => {
                count += 1;
                // Pausing counts at once, also for those who wait already.
                reactor.pause(listener);
                reactor.stop();
            }
            told => panic!("{told:?}"),
        });
        assert_eq!(count, 1);
        assert_idle(&mut reactor, A_WHILE);
        drop(peers);
    }
}
