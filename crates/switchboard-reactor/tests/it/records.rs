//! Sequenced-packet connections.

use berkeley::{Errno, Kind, MsgFlags, opt};
use bytes::Bytes;
use switchboard_reactor::{Closed, READ_BYTES_MAX, Reactor};

use crate::support::{BACKENDS, ROOMY, Told, pattern, run, unix_pair};

#[test]
fn messages_keep_their_boundaries_both_ways() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (a, b) = unix_pair(Kind::SEQPACKET);
        let source = reactor.add_stream(a, ROOMY).unwrap();
        let target = reactor.add_stream(b, ROOMY).unwrap();
        let messages: Vec<Vec<u8>> = (0..400).map(|number| pattern(number, number * 7)).collect();
        for message in &messages {
            // The empty one is left out: it would look like the end.
            reactor.send(source, message.clone().into()).unwrap();
        }
        let (mut there, mut back) = (Vec::new(), Vec::new());
        run(&mut reactor, |reactor, told| match told {
            Told::Received(token, bytes) if token == target => {
                reactor.send(target, Bytes::from(bytes.clone())).unwrap();
                there.push(bytes);
            }
            Told::Received(_, bytes) => {
                back.push(bytes);
                if back.len() == messages.len() - 1 {
                    reactor.stop();
                }
            }
            Told::Drained(_) => {}
            told => panic!("{told:?}"),
        });
        assert!(there == messages[1..] && back == there, "{backend}");
    }
}

#[test]
fn a_message_that_is_too_long_fails_the_connection_instead_of_being_cut() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (ours, peer) = unix_pair(Kind::SEQPACKET);
        peer.set(opt::SendBuffer, 4 << 20).unwrap();
        if peer
            .send(&vec![1; READ_BYTES_MAX + 1], MsgFlags::NONE)
            .is_err()
        {
            eprintln!("skipped: needs a large net.core.wmem_max");
            return;
        }
        reactor.add_stream(ours, ROOMY).unwrap();
        run(&mut reactor, |reactor, told| match told {
            Told::Closed(_, Closed::Failed(error)) => {
                assert_eq!(error.errno(), Some(Errno::EMSGSIZE));
                reactor.stop();
            }
            told => panic!("{told:?}"),
        });
    }
}

#[test]
fn a_message_that_the_kernel_does_not_take_fails_the_connection() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (ours, peer) = unix_pair(Kind::SEQPACKET);
        let token = reactor.add_stream(ours, ROOMY).unwrap();
        reactor.send(token, vec![1; 64 << 20].into()).unwrap();
        run(&mut reactor, |reactor, told| match told {
            Told::Closed(_, Closed::Failed(error)) => {
                assert_eq!(error.errno(), Some(Errno::EMSGSIZE));
                reactor.stop();
            }
            told => panic!("{told:?}"),
        });
        drop(peer);
    }
}
