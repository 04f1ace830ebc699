//! Datagrams.

use std::collections::HashMap;
use std::time::Duration;

use berkeley::{Addr, Errno, Family, Kind, MsgFlags, Protocol, Socket, opt};
use switchboard_reactor::{READ_BYTES_MAX, Reactor};

use crate::support::{BACKENDS, Told, assert_idle, loopback, run, unix_pair};

fn udp(addr: &Addr) -> (Socket, Addr) {
    let socket = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT).unwrap();
    socket.bind(addr).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// An address of this machine that no other test uses, so that its ports stay free.
fn nobody_elses() -> Addr {
    let [.., a, b] = std::process::id().to_be_bytes();
    std::net::SocketAddr::from(([127, 77, a, b.clamp(1, 254)], 0)).into()
}

#[test]
fn each_of_many_senders_gets_its_own_answer() {
    const SENDERS: usize = 50;
    const EACH: usize = 4;
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (socket, addr) = udp(&loopback());
        let token = reactor.add_datagrams(socket).unwrap();
        let senders: HashMap<Addr, Socket> = (0..SENDERS)
            .map(|_| udp(&loopback()))
            .map(|(socket, addr)| (addr, socket))
            .collect();
        for number in 0..EACH {
            for sender in senders.values() {
                // The first one is empty, which counts as much as any other.
                sender
                    .send_to(&vec![7; number], MsgFlags::NONE, &addr)
                    .unwrap();
            }
        }
        let mut count = 0;
        run(&mut reactor, |reactor, told| {
            let Told::Datagram(source, Some(from), bytes) = told else {
                panic!("{told:?}")
            };
            assert_eq!(source, token);
            reactor.send_datagram(token, Some(&from), &bytes).unwrap();
            count += 1;
            if count == SENDERS * EACH {
                reactor.stop();
            }
        });
        for sender in senders.values() {
            for number in 0..EACH {
                let len = sender.recv(&mut [0; 8], MsgFlags::DONTWAIT).unwrap();
                assert_eq!(len, number);
            }
        }
        assert_idle(&mut reactor, Duration::from_millis(30));
    }
}

#[test]
fn a_datagram_that_is_too_long_is_told_as_trouble_and_the_next_is_received() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (ours, peer) = unix_pair(Kind::DGRAM);
        peer.set(opt::SendBuffer, 4 << 20).unwrap();
        let sizes = [READ_BYTES_MAX + 1, READ_BYTES_MAX];
        for size in sizes {
            if peer.send(&vec![1; size], MsgFlags::NONE).is_err() {
                eprintln!("skipped: needs a large net.core.wmem_max");
                return;
            }
        }
        let token = reactor.add_datagrams(ours).unwrap();
        let mut troubles = 0;
        run(&mut reactor, |reactor, told| match told {
            Told::Trouble(source, error) => {
                assert_eq!((source, error.errno()), (token, Some(Errno::EMSGSIZE)));
                troubles += 1;
            }
            Told::Datagram(_, _, bytes) => {
                assert_eq!((bytes.len(), troubles), (READ_BYTES_MAX, 1), "{backend}");
                reactor.stop();
            }
            told => panic!("{told:?}"),
        });
    }
}

#[test]
fn a_peer_that_is_not_there_is_told_once_and_heard_when_it_comes() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (socket, ours) = udp(&loopback());
        let (absent, addr) = udp(&nobody_elses());
        drop(absent);
        socket.connect(&addr).unwrap();
        let token = reactor.add_datagrams(socket).unwrap();
        reactor.send_datagram(token, None, b"anybody?").unwrap();
        run(&mut reactor, |reactor, told| match told {
            Told::Trouble(source, error) => {
                assert_eq!((source, error.errno()), (token, Some(Errno::ECONNREFUSED)));
                reactor.stop();
            }
            told => panic!("{told:?}"),
        });
        assert_idle(&mut reactor, Duration::from_millis(100));
        let (peer, _) = udp(&addr);
        peer.send_to(b"here", MsgFlags::NONE, &ours).unwrap();
        run(&mut reactor, |reactor, told| match told {
            Told::Datagram(_, from, bytes) => {
                assert_eq!((from.as_ref(), bytes), (Some(&addr), b"here".to_vec()));
                reactor.stop();
            }
            told => panic!("{told:?}"),
        });
    }
}
