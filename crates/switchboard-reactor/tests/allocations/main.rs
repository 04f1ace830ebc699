//! What a message allocates when the reactor has warmed up: nothing, over every back end. A program
//! of its own, since it counts by an allocator of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

// What is unsafe lies where all of it does.
#[path = "../../../berkeley/src/sys/counting.rs"]
mod counting;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use berkeley::selector::Backend;
use berkeley::{Addr, Family, Kind, Protocol, Socket};
use bytes::Bytes;
use switchboard_reactor::{Closed, FeedId, FeedLimits, Handler, Reactor, Receiver, Sender, Token};

use counting::{count, held};

const BACKENDS: [Backend; 4] = [
    Backend::Epoll,
    Backend::Poll,
    Backend::Select,
    Backend::IoUring,
];

/// Calls of the handler in one run.
const CALLS: usize = 500;

/// Runs in which everything is used once; that a run ends and another begins is a part of it.
const WARM_UPS: usize = 40;

static ENTRY: [u8; 3000] = [7; 3000];

/// What is done at each call.
enum Does {
    /// Answers a question, and stops at an answer.
    Answer,
    /// Sends back what came.
    Echo,
    /// Sends a line of the hub's, in so many pieces, to everybody else once the first has spoken.
    FanOut(Vec<Token>, Vec<Bytes>),
    /// Appends an entry of a length to a feed once all of them have the one before, which is not
    /// for the first.
    Feed(FeedId, Vec<Token>, usize),
    /// Sends what came on to everybody else.
    Relay(Vec<Token>),
    /// Sets a timer for now and one for later, which is cancelled.
    Timers,
    /// Puts a value into a mailbox, and takes it out.
    Mail(Sender<u64>, Receiver<u64>),
}

struct Counter {
    does: Does,
    left: usize,
    /// Bytes that everybody is to get before the next round.
    due: usize,
}

impl Counter {
    fn step(&mut self, reactor: &mut Reactor) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            reactor.stop();
        }
    }
}

impl Handler for Counter {
    fn accepted(&mut self, _: &mut Reactor, _: Token, _: Socket, _: Option<Addr>) {}

    fn received(&mut self, reactor: &mut Reactor, source: Token, bytes: &[u8]) {
        self.step(reactor);
        match &self.does {
            Does::Answer if bytes == b"?" => reactor.send_slice(source, b"!").unwrap(),
            Does::Answer => reactor.stop(),
            Does::FanOut(others, pieces) => {
                self.due = self.due.saturating_sub(bytes.len());
                if self.due == 0 {
                    for other in others {
                        for piece in pieces {
                            reactor.send(*other, piece.clone()).unwrap();
                            self.due += piece.len();
                        }
                    }
                }
            }
            Does::Feed(feed, readers, len) => {
                self.due = self.due.saturating_sub(bytes.len());
                if self.due == 0 {
                    let entry = &ENTRY[..*len];
                    reactor.append(*feed, entry, Some(readers[0]));
                    self.due = entry.len() * (readers.len() - 1);
                }
            }
            Does::Relay(others) => {
                self.due = self.due.saturating_sub(bytes.len());
                if self.due == 0 {
                    for other in others {
                        reactor.send_slice(*other, bytes).unwrap();
                        self.due += bytes.len();
                    }
                }
            }
            _ => reactor.send_slice(source, bytes).unwrap(),
        }
    }

    fn datagram(&mut self, reactor: &mut Reactor, at: Token, from: Option<Addr>, bytes: &[u8]) {
        self.step(reactor);
        reactor.send_datagram(at, from.as_ref(), bytes).unwrap();
    }

    fn timer(&mut self, reactor: &mut Reactor, tag: u64) {
        self.step(reactor);
        match &self.does {
            Does::Mail(sender, _) => {
                sender.send(tag);
                sender.send(tag);
            }
            _ => {
                let later = reactor.set_timer(Instant::now() + Duration::from_secs(tag), 0);
                reactor.cancel_timer(later);
                reactor.set_timer(Instant::now(), 1 + tag % 1000);
            }
        }
    }

    fn woken(&mut self, reactor: &mut Reactor) {
        self.step(reactor);
        if let Does::Mail(_, receiver) = &self.does {
            assert!(receiver.take().eq([7, 7]));
        }
        reactor.set_timer(Instant::now(), 7);
    }

    fn ended(&mut self, _: &mut Reactor, _: Token) {
        panic!("nobody ends");
    }

    fn closed(&mut self, _: &mut Reactor, _: Token, why: Closed) {
        panic!("{why:?}");
    }
}

/// Asserts that nothing is allocated once it has run for a while.
#[track_caller]
fn assert_none(reactor: &mut Reactor, does: Does) {
    let (left, due) = (0, 0);
    let mut counter = Counter { does, left, due };
    let mut allocated = 0;
    for _ in 0..=WARM_UPS {
        counter.left = CALLS;
        allocated = count(|| reactor.run(&mut counter).unwrap());
    }
    assert_eq!(allocated, 0, "{CALLS} calls by {}", reactor.backend());
}

/// Both ends of connections.
fn add_pairs(reactor: &mut Reactor, count: usize) -> Vec<[Token; 2]> {
    (0..count)
        .map(|_| {
            let (a, b) = Socket::pair(Family::UNIX, Kind::STREAM).unwrap();
            [a, b].map(|end| reactor.add_stream(end, usize::MAX).unwrap())
        })
        .collect()
}

#[test]
fn an_echo_allocates_nothing_short_or_long() {
    for backend in BACKENDS {
        for (pairs, len) in [(1, 64), (60, 64), (20, 3000), (1, 40_000), (20, 40_000)] {
            let mut reactor = Reactor::new(backend).unwrap();
            for [first, _] in add_pairs(&mut reactor, pairs) {
                reactor.send(first, vec![7; len].into()).unwrap();
            }
            assert_none(&mut reactor, Does::Echo);
        }
    }
}

/// Sends to the peers of many, who only listen.
fn fan_out(pieces: &[usize]) {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let pairs = add_pairs(&mut reactor, 60);
        let pieces = pieces.iter().map(|len| vec![7; *len].into()).collect();
        let others: Vec<_> = pairs.iter().map(|[first, _]| *first).collect();
        reactor.send(others[0], Bytes::from_static(b"x")).unwrap();
        assert_none(&mut reactor, Does::FanOut(others, pieces));
    }
}

#[test]
fn a_line_to_many_connections_allocates_nothing() {
    fan_out(&[100]);
}

#[test]
fn what_is_sent_on_to_many_connections_allocates_nothing() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let pairs = add_pairs(&mut reactor, 60);
        let others: Vec<_> = pairs.iter().map(|[first, _]| *first).collect();
        reactor.send(others[0], vec![7; 100].into()).unwrap();
        assert_none(&mut reactor, Does::Relay(others));
    }
}

#[test]
fn lines_that_are_gathered_allocate_nothing() {
    fan_out(&[100, 10, 1000]);
}

#[test]
fn an_entry_of_a_feed_to_many_readers_allocates_nothing() {
    for backend in BACKENDS {
        for len in [100, 3000] {
            let mut reactor = Reactor::new(backend).unwrap();
            let feed = reactor.add_feed(FeedLimits {
                bytes_max: 10_000,
                entries_max: 50,
            });
            let pairs = add_pairs(&mut reactor, 60);
            let readers: Vec<_> = pairs.iter().map(|[first, _]| *first).collect();
            for reader in &readers {
                reactor.subscribe(*reader, feed, 0).unwrap();
            }
            reactor.send(readers[0], vec![7; 100].into()).unwrap();
            assert_none(&mut reactor, Does::Feed(feed, readers, len));
        }
    }
}

#[test]
fn a_datagram_and_its_answer_allocate_nothing() {
    for backend in BACKENDS {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let local = local.parse::<SocketAddr>().unwrap();
            let mut reactor = Reactor::new(backend).unwrap();
            let family = if local.is_ipv4() {
                Family::INET
            } else {
                Family::INET6
            };
            let [first, second] = [(); 2].map(|()| {
                let socket = Socket::new(family, Kind::DGRAM, Protocol::DEFAULT).unwrap();
                socket.bind(&Addr::from(local)).unwrap();
                let addr = socket.local_addr().unwrap();
                (reactor.add_datagrams(socket).unwrap(), addr)
            });
            reactor
                .send_datagram(first.0, Some(&second.1), b"what time is it?")
                .unwrap();
            assert_none(&mut reactor, Does::Echo);
        }
    }
}

#[test]
fn a_timer_that_is_set_and_one_that_is_cancelled_allocate_nothing() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        reactor.set_timer(Instant::now(), 1);
        assert_none(&mut reactor, Does::Timers);
    }
}

#[test]
fn a_value_in_a_mailbox_allocates_nothing() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (sender, receiver) = reactor.mailbox();
        reactor.set_timer(Instant::now(), 7);
        assert_none(&mut reactor, Does::Mail(sender, receiver));
    }
}

#[test]
fn an_idle_connection_keeps_nothing_of_what_it_said() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let pairs = add_pairs(&mut reactor, 100);
        let mut counter = Counter {
            does: Does::Answer,
            left: usize::MAX,
            due: 0,
        };
        let mut talk = |reactor: &mut Reactor, pairs: &[[Token; 2]]| {
            for [first, _] in pairs {
                reactor.send(*first, Bytes::from_static(b"?")).unwrap();
                reactor.run(&mut counter).unwrap();
            }
        };
        // What one of them needs while it speaks, the next one uses again. The last ones come
        // first, so that the tables in which each has its place have their length.
        let (silent, spoken) = pairs.split_at(90);
        talk(&mut reactor, spoken);
        let bytes = held(|| talk(&mut reactor, silent));
        assert_eq!(bytes, 0, "{backend}");
    }
}
