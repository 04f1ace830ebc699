//! What connections cost that say nothing.

use std::time::Duration;

use berkeley::Kind;
use berkeley::selector::Backend;
use switchboard_reactor::Reactor;

use crate::support::{BACKENDS, ROOMY, assert_idle, in_own_process, unix_pair};

#[test]
fn a_thousand_idle_connections_take_no_turns() {
    if !in_own_process("idle::a_thousand_idle_connections_take_no_turns", 4096) {
        return;
    }
    for backend in BACKENDS {
        // select(2) has no room for more.
        let count = if backend == Backend::Select {
            400
        } else {
            1000
        };
        let mut reactor = Reactor::new(backend).unwrap();
        let peers: Vec<_> = (0..count)
            .map(|_| {
                let (ours, peer) = unix_pair(Kind::STREAM);
                reactor.add_stream(ours, ROOMY).unwrap();
                peer
            })
            .collect();
        assert_idle(&mut reactor, Duration::from_secs(1));
        assert_eq!(reactor.sources(), peers.len());
    }
}

#[test]
fn select_refuses_a_descriptor_that_it_has_no_room_for() {
    if !in_own_process(
        "idle::select_refuses_a_descriptor_that_it_has_no_room_for",
        4096,
    ) {
        return;
    }
    let mut reactor = Reactor::new(Backend::Select).unwrap();
    let fillers: Vec<_> = (0..1024)
        .map(|_| std::fs::File::open("/dev/null").unwrap())
        .collect();
    let (ours, _peer) = unix_pair(Kind::STREAM);
    assert!(reactor.add_stream(ours, ROOMY).is_err());
    assert_eq!(reactor.sources(), 0);
    assert_idle(&mut reactor, Duration::from_millis(50));
    drop(fillers);
}
