//! What many are told of in one turn is written to each of them once.

use berkeley::{Kind, MsgFlags};
use switchboard_reactor::FeedLimits;

use crate::feeds::readers;
use crate::support::{BACKENDS, ROOMY, Told, connect, listener, run, unix_pair};

const LIMITS: FeedLimits = FeedLimits {
    bytes_max: 64 * 1024,
    entries_max: 1000,
};

#[test]
fn that_somebody_came_is_written_together_with_what_it_says_at_once() {
    for backend in &BACKENDS[..3] {
        let (mut reactor, feed, readers) = readers(*backend, LIMITS, 3);
        let (listener, addr) = listener();
        reactor.add_listener(listener).unwrap();
        let peer = connect(&addr);
        peer.send(b"hello", MsgFlags::NONE).unwrap();
        run(&mut reactor, |reactor, told| match told {
            Told::Accepted(_, socket) => {
                reactor.add_stream(socket, ROOMY).unwrap();
                reactor.append(feed, b"somebody came, ", None);
            }
            Told::Received(_, bytes) => {
                assert_eq!(reactor.feed_next(readers[0].0), Some(0), "{backend}");
                reactor.append(feed, &bytes, None);
                reactor.stop();
            }
            told => panic!("{told:?}"),
        });
        for (_, reader) in &readers {
            let mut bytes = [0; 100];
            let len = reader.recv(&mut bytes, MsgFlags::NONE).unwrap();
            assert_eq!(&bytes[..len], b"somebody came, hello", "{backend}");
        }
    }
}

#[test]
fn what_comes_while_much_is_read_for_many_is_written_together_with_it() {
    for backend in &BACKENDS[..3] {
        let (mut reactor, feed, readers) = readers(*backend, LIMITS, 8);
        let mut peers = Vec::new();
        for _ in 0..3 {
            let (ours, peer) = unix_pair(Kind::STREAM);
            reactor.add_stream(ours, ROOMY).unwrap();
            peers.push(peer);
        }
        for early in &peers[..2] {
            early.send(b"early ", MsgFlags::NONE).unwrap();
        }
        let mut heard = 0;
        run(&mut reactor, |reactor, told| match told {
            Told::Received(_, bytes) => {
                heard += 1;
                if heard == 2 {
                    peers[2].send(b"late ", MsgFlags::NONE).unwrap();
                }
                assert_eq!(reactor.feed_next(readers[0].0), Some(0), "{backend}");
                reactor.append(feed, &bytes, None);
                if heard == 3 {
                    reactor.stop();
                }
            }
            told => panic!("{told:?}"),
        });
        for (_, reader) in &readers {
            let mut bytes = [0; 100];
            let len = reader.recv(&mut bytes, MsgFlags::NONE).unwrap();
            assert_eq!(&bytes[..len], b"early early late ", "{backend}");
        }
    }
}
