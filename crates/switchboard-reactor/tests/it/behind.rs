//! Who has fallen behind its feed is told so, whatever the handler does meanwhile.

use std::time::Instant;

use switchboard_reactor::{Behind, FeedId, FeedLimits, Reactor, Token};

use crate::feeds::{readers, received, turn};
use crate::support::{BACKENDS, Told, run};

const LIMITS: FeedLimits = FeedLimits {
    bytes_max: 64 * 1024,
    entries_max: 3,
};

/// Appends so many entries: each is one byte, the last digit of its number.
fn append(reactor: &mut Reactor, feed: FeedId, count: usize) {
    for _ in 0..count {
        let digit = u8::try_from(reactor.feed_range(feed).end % 10).unwrap();
        reactor.append(feed, &[b'0' + digit], None);
    }
}

/// Five entries are appended before anybody reads. Then these read what there is, and one more
/// pushes out what they should get first: they have fallen behind at the end of that turn.
fn leave_behind(reactor: &mut Reactor, feed: FeedId, late: &[Token]) {
    late.iter()
        .for_each(|token| assert_eq!(reactor.unsubscribe(*token), Some(0)));
    append(reactor, feed, 5);
    turn(reactor);
    assert_eq!(reactor.feed_range(feed), 2..5);
    for token in late {
        reactor.subscribe(*token, feed, 2).unwrap();
    }
    append(reactor, feed, 1);
}

#[test]
fn who_falls_behind_while_the_handler_is_told_is_told_too() {
    for backend in BACKENDS {
        let (mut reactor, feed, readers) = readers(backend, LIMITS, 1);
        let (late, peer) = &readers[0];
        leave_behind(&mut reactor, feed, &[*late]);
        let mut told = Vec::new();
        run(&mut reactor, |reactor, event| match event {
            Told::Behind(token, of, next) => {
                assert_eq!((token, of), (*late, feed));
                let live = reactor.feed_range(feed).start;
                reactor.subscribe(token, feed, live).unwrap();
                told.push(next);
                if told.len() == 1 {
                    // Twice as many as the feed holds: what it has just asked for leaves again.
                    append(reactor, feed, 6);
                } else {
                    reactor.set_timer(Instant::now(), 1);
                }
            }
            Told::Drained(_) => {}
            Told::Timer(1) => reactor.stop(),
            event => panic!("{event:?}"),
        });
        assert_eq!(told, [2, 3], "{backend}");
        assert_eq!(received(peer, 3), b"901", "{backend}");
    }
}

#[test]
fn who_leaves_before_it_is_told_has_not_got_everything() {
    for backend in BACKENDS {
        let (mut reactor, feed, readers) = readers(backend, LIMITS, 2);
        let tokens: Vec<Token> = readers.iter().map(|(token, _)| *token).collect();
        leave_behind(&mut reactor, feed, &tokens);
        let mut told = Vec::new();
        run(&mut reactor, |reactor, event| match event {
            Told::Behind(token, ..) => {
                told.push(token);
                let other = tokens.iter().find(|it| **it != token).unwrap();
                assert_eq!(reactor.leave_feed(*other), Err(Behind), "{backend}");
                assert_eq!(reactor.leave_feed(*other), Ok(()), "it was told now");
                reactor.set_timer(Instant::now(), 1);
            }
            Told::Drained(_) => {}
            Told::Timer(1) => reactor.stop(),
            event => panic!("{event:?}"),
        });
        assert_eq!(told.len(), 1, "{backend}: one is told by the answer");
    }
}
