//! Accepting.

use std::fs::File;
use std::time::{Duration, Instant};

use berkeley::{Errno, Family, Kind, Protocol, Socket};
use switchboard_reactor::{ACCEPT_REST_MS_MAX, ACCEPT_REST_MS_MIN, ACCEPTS_PER_TURN_MAX, Reactor};

use crate::support::{BACKENDS, Cost, Told, assert_idle, connect, in_own_process, listener, run};

/// What a busy machine may add to what is measured.
const OF_THE_MACHINE: Duration = Duration::from_millis(500);

#[test]
fn accepting_is_shared_out_over_the_turns() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (first, first_addr) = listener();
        let (second, second_addr) = listener();
        let tokens = [
            reactor.add_listener(first).unwrap(),
            reactor.add_listener(second).unwrap(),
        ];
        let crowd = ACCEPTS_PER_TURN_MAX + 10;
        let peers: Vec<_> = (0..crowd)
            .flat_map(|_| [connect(&first_addr), connect(&second_addr)])
            .collect();
        let mut counts = [0_usize; 2];
        run(&mut reactor, |reactor, told| {
            let Told::Accepted(token, _) = told else {
                panic!("{told:?}")
            };
            counts[usize::from(token == tokens[1])] += 1;
            let apart = counts[0].abs_diff(counts[1]);
            assert!(apart <= ACCEPTS_PER_TURN_MAX, "{backend}: {counts:?}");
            if counts == [crowd; 2] {
                reactor.stop();
            }
        });
        drop(peers);
    }
}

#[test]
fn without_descriptors_a_listener_rests_and_goes_on_by_itself() {
    const NAME: &str = "listeners::without_descriptors_a_listener_rests_and_goes_on_by_itself";
    const TIME: Duration = Duration::from_millis(300);
    const PEERS: usize = 8;
    if !in_own_process(NAME, 40) {
        return;
    }
    for backend in BACKENDS {
        let cost = Cost::new();
        let mut reactor = Reactor::new(backend).unwrap();
        let (socket, addr) = listener();
        let token = reactor.add_listener(socket).unwrap();
        let peers: Vec<_> = (0..PEERS).map(|_| connect(&addr)).collect();
        let mut fillers = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            fillers.push(file);
        }
        fillers.truncate(fillers.len() - 3);
        reactor.set_timer(Instant::now() + TIME, 1);
        let (mut accepted, mut troubles, cpu) = (Vec::new(), 0, cost.cpu());
        let mut freed = Instant::now();
        run(&mut reactor, |reactor, told| match told {
            Told::Accepted(_, socket) => {
                accepted.push(socket);
                if accepted.len() == PEERS {
                    let longest = u64::from(ACCEPT_REST_MS_MAX);
                    let took = freed.elapsed();
                    let most = Duration::from_millis(longest) + OF_THE_MACHINE;
                    assert!(took < most, "{backend}: {took:?}");
                    reactor.stop();
                }
            }
            Told::Trouble(source, error) => {
                assert_eq!((source, error.errno()), (token, Some(Errno::EMFILE)));
                troubles += 1;
            }
            Told::Timer(1) => {
                assert_eq!((accepted.len(), troubles), (3, 1), "{backend}");
                let first = Duration::from_millis(ACCEPT_REST_MS_MIN.into());
                assert!(TIME > 10 * first, "it has tried more than once");
                let cpu = cost.cpu() - cpu;
                assert!(cpu < TIME / 10, "{backend}: {cpu:?} of {TIME:?} were spent");
                // One at a time: it is still the same trouble, and not told again.
                fillers.pop();
                reactor.set_timer(Instant::now() + TIME, 2);
            }
            Told::Timer(2) => {
                assert!(accepted.len() < PEERS && troubles == 1, "{backend}");
                fillers.clear();
                freed = Instant::now();
            }
            told => panic!("{told:?}"),
        });
        assert_eq!(troubles, 1, "{backend}");
        drop(peers);
        // All have been accepted: trouble from now on is new.
        let mut fillers = Vec::new();
        let peer = connect(&addr);
        while let Ok(file) = File::open("/dev/null") {
            fillers.push(file);
        }
        run(&mut reactor, |reactor, told| match told {
            Told::Trouble(..) => reactor.stop(),
            told => panic!("{told:?}"),
        });
        drop(peer);
    }
}

#[test]
fn with_a_spare_descriptor_who_waits_is_shown_all_the_same() {
    const NAME: &str = "listeners::with_a_spare_descriptor_who_waits_is_shown_all_the_same";
    const TIME: Duration = Duration::from_millis(300);
    const PEERS: usize = 8;
    if !in_own_process(NAME, 60) {
        return;
    }
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        reactor.keep_spare_descriptor().unwrap();
        let (socket, addr) = listener();
        let token = reactor.add_listener(socket).unwrap();
        let peers: Vec<_> = (0..PEERS).map(|_| connect(&addr)).collect();
        let late = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT).unwrap();
        let mut fillers = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            fillers.push(file);
        }
        fillers.pop();
        let (mut accepted, mut crowded, mut troubles) = (Vec::new(), 0, 0);
        reactor.set_timer(Instant::now() + TIME, 1);
        run(&mut reactor, |reactor, told| match told {
            Told::Accepted(_, socket) => {
                accepted.push(socket);
                if crowded > 0 {
                    reactor.stop();
                }
            }
            Told::Crowded(at, socket) => {
                assert_eq!(at, token);
                drop(socket);
                crowded += 1;
            }
            Told::Trouble(..) => troubles += 1,
            Told::Timer(_) => {
                assert_eq!(
                    (accepted.len(), crowded, troubles),
                    (1, PEERS - 1, 1),
                    "{backend}"
                );
                fillers.clear();
                late.connect(&addr).unwrap();
            }
            told => panic!("{told:?}"),
        });
        assert_eq!((accepted.len(), crowded), (2, PEERS - 1), "{backend}");
        drop(peers);
    }
}

#[test]
fn a_socket_that_does_not_listen_is_told_once_and_does_not_spin() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let socket = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT).unwrap();
        reactor.add_listener(socket).unwrap();
        run(&mut reactor, |reactor, told| match told {
            Told::Trouble(_, error) => {
                assert_eq!(error.errno(), Some(Errno::EINVAL));
                reactor.stop();
            }
            told => panic!("{told:?}"),
        });
        assert_idle(&mut reactor, Duration::from_millis(300));
    }
}
