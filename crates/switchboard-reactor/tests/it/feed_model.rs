//! Feeds against a model: whatever is appended, subscribed and cut, by whomever it is read and how
//! slowly, each reader gets exactly the entries that its subscriptions promise, whole and in order.

use std::time::Instant;

use berkeley::selector::Backend;
use berkeley::{Family, Kind, Mode, MsgFlags, Socket, opt};
use proptest::collection::vec;
use proptest::prelude::*;
use switchboard_reactor::{FeedId, FeedLimits, Reactor, Token};

use crate::support::{BACKENDS, ROOMY, Told, run};

const READERS: usize = 6;
/// Readers from this one on keep the boundaries of messages.
const RECORDS_FROM: usize = 5;
const FEEDS: usize = 2;
const LIMITS: FeedLimits = FeedLimits {
    bytes_max: 16 * 1024,
    entries_max: 50,
};
/// What an entry begins with: where it belongs, its number and its length.
const HEAD: usize = 13;
const DIRECT: u8 = 9;

#[derive(Debug, Clone)]
enum Op {
    Append(usize, usize, Option<usize>),
    Subscribe(usize, usize, u64),
    Unsubscribe(usize),
    Send(usize, usize),
    Read(usize, usize),
    Cut(usize),
    Turn,
}

fn op() -> impl Strategy<Value = Op> {
    let len = prop_oneof![8 => 0..300_usize, 2 => 0..5000_usize, 1 => 15_000..20_000_usize];
    let except = prop_oneof![1 => Just(None), 1 => (0..READERS).prop_map(Some)];
    prop_oneof![
        20 => (0..FEEDS, len, except).prop_map(|(feed, len, who)| Op::Append(feed, len, who)),
        3 => (0..READERS, 0..FEEDS, 0..60_u64).prop_map(|(who, feed, back)| {
            Op::Subscribe(who, feed, back)
        }),
        1 => (0..READERS).prop_map(Op::Unsubscribe),
        2 => (0..READERS, 0..3000_usize).prop_map(|(who, len)| Op::Send(who, len)),
        6 => (0..READERS, 0..20_000_usize).prop_map(|(who, len)| Op::Read(who, len)),
        1 => (0..100 * READERS).prop_map(Op::Cut),
        10 => Just(Op::Turn),
    ]
}

fn entry(place: u8, number: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![place];
    bytes.extend(number.to_le_bytes());
    bytes.extend(u32::try_from(len).unwrap().to_le_bytes());
    bytes.extend((0..len).map(|at| u8::try_from((at + len) % 251).unwrap()));
    bytes
}

/// One who reads, and what it is to have got.
struct Peer {
    token: Token,
    socket: Option<Socket>,
    has_records: bool,
    /// What it reads, and from where on.
    reads: Option<(usize, u64)>,
    due: Vec<(usize, u64)>,
    sent: u64,
    got: Vec<u8>,
}

impl Peer {
    /// Reads so many bytes at most; answers whether anything came.
    fn read(&mut self, most: usize) -> bool {
        let Some(socket) = &self.socket else {
            return false;
        };
        let mut buf = vec![0; if self.has_records { 1 << 16 } else { most }];
        match socket.recv(&mut buf, MsgFlags::NONE) {
            Ok(len) => {
                if self.has_records {
                    let (_, _, long) = head(&buf);
                    assert_eq!(len, long, "a message is one entry");
                }
                self.got.extend_from_slice(&buf[..len]);
                len > 0
            }
            Err(error) => {
                assert!(error.is_would_block(), "{error}");
                false
            }
        }
    }
}

fn head(bytes: &[u8]) -> (u8, u64, usize) {
    let number = u64::from_le_bytes(bytes[1..9].try_into().unwrap());
    let len = u32::from_le_bytes(bytes[9..HEAD].try_into().unwrap());
    (bytes[0], number, HEAD + usize::try_from(len).unwrap())
}

struct World {
    reactor: Reactor,
    feeds: Vec<FeedId>,
    /// Whose own each entry is; `None` for one that is empty.
    entries: Vec<Vec<Option<Option<usize>>>>,
    peers: Vec<Peer>,
}

impl World {
    fn new(backend: Backend) -> Self {
        let mut reactor = Reactor::new(backend).unwrap();
        let feeds = (0..FEEDS).map(|_| reactor.add_feed(LIMITS)).collect();
        let peers = (0..READERS)
            .map(|index| {
                let has_records = index >= RECORDS_FROM;
                let kind = if has_records {
                    Kind::SEQPACKET
                } else {
                    Kind::STREAM
                };
                let (ours, peer) = Socket::pair(Family::UNIX, kind).unwrap();
                let room = if has_records {
                    200_000
                } else {
                    3000 * (1 + index)
                };
                ours.set(opt::SendBuffer, u32::try_from(room).unwrap())
                    .unwrap();
                peer.set_mode(Mode::NonBlock).unwrap();
                Peer {
                    token: reactor.add_stream(ours, ROOMY).unwrap(),
                    socket: Some(peer),
                    has_records,
                    reads: None,
                    due: Vec::new(),
                    sent: 0,
                    got: Vec::new(),
                }
            })
            .collect();
        Self {
            reactor,
            feeds,
            entries: vec![Vec::new(); FEEDS],
            peers,
        }
    }

    /// A reader has got all up to an entry of what it reads, and reads on elsewhere.
    fn move_on(&mut self, who: usize, next: u64, to: Option<(usize, u64)>) {
        let peer = &mut self.peers[who];
        if let Some((feed, from)) = core::mem::replace(&mut peer.reads, to) {
            for number in from..next {
                let except = self.entries[feed][usize::try_from(number).unwrap()];
                if except.is_some_and(|except| except != Some(who)) {
                    peer.due.push((feed, number));
                }
            }
        }
    }

    fn turn(&mut self) {
        let Self { feeds, peers, .. } = self;
        let (mut behind, mut gone) = (Vec::new(), Vec::new());
        self.reactor.set_timer(Instant::now(), 1);
        run(&mut self.reactor, |reactor, told| match told {
            Told::Timer(1) => reactor.stop(),
            Told::Drained(_) => {}
            Told::Behind(token, feed, next) => {
                let who = peers.iter().position(|peer| peer.token == token).unwrap();
                let index = feeds.iter().position(|it| *it == feed).unwrap();
                let live = reactor.feed_range(feed).start;
                assert!(next < live, "it was still there");
                reactor.subscribe(token, feed, live).unwrap();
                behind.push((who, next, (index, live)));
            }
            Told::Ended(token) => reactor.close(token),
            Told::Closed(token, _) => gone.push(token),
            told => panic!("{told:?}"),
        });
        for (who, next, to) in behind {
            self.move_on(who, next, Some(to));
        }
        for token in gone {
            assert!(
                self.peers
                    .iter()
                    .any(|it| it.token == token && it.socket.is_none())
            );
        }
    }

    fn act(&mut self, op: Op) {
        match op {
            Op::Append(feed, len, who) => {
                let is_empty = len % 7 == 6;
                let number = u64::try_from(self.entries[feed].len()).unwrap();
                let bytes = entry(u8::try_from(feed).unwrap(), number, len);
                let bytes = if is_empty { &[][..] } else { &bytes };
                let except = who.map(|who| self.peers[who].token);
                assert_eq!(self.reactor.append(self.feeds[feed], bytes, except), number);
                self.entries[feed].push((!is_empty).then_some(who));
            }
            Op::Subscribe(who, feed, back) => {
                let token = self.peers[who].token;
                let range = self.reactor.feed_range(self.feeds[feed]);
                let from = (range.end + 3).saturating_sub(back);
                let next = self.reactor.feed_next(token);
                let is_there = self.peers[who].socket.is_some() && from >= range.start;
                let done = self.reactor.subscribe(token, self.feeds[feed], from);
                if self.peers[who].socket.is_some() {
                    assert_eq!(done.is_ok(), is_there);
                }
                if is_there {
                    self.move_on(who, next.unwrap_or_default(), Some((feed, from)));
                }
            }
            Op::Unsubscribe(who) => {
                let next = self.reactor.unsubscribe(self.peers[who].token);
                self.move_on(who, next.unwrap_or_default(), None);
            }
            Op::Send(who, len) => {
                let peer = &mut self.peers[who];
                let bytes = entry(DIRECT, peer.sent, len);
                if self.reactor.send(peer.token, bytes.into()).is_ok() {
                    peer.sent += 1;
                }
            }
            Op::Read(who, most) => drop(self.peers[who].read(most)),
            Op::Cut(who) => {
                if let Some(peer) = self.peers.get_mut(who) {
                    peer.socket = None;
                }
            }
            Op::Turn => self.turn(),
        }
    }

    /// Reads until nobody has anything to get, and looks at what everybody got.
    fn finish(mut self) {
        let mut silent = 0;
        while silent < 3 {
            self.turn();
            let mut came = false;
            for peer in &mut self.peers {
                while peer.read(1 << 20) {
                    came = true;
                }
            }
            let waits = self.peers.iter().any(|peer| {
                peer.socket.is_some()
                    && (self.reactor.outbox_bytes(peer.token) > 0
                        || peer.reads.is_some_and(|(feed, _)| {
                            self.reactor.feed_next(peer.token)
                                < Some(self.reactor.feed_range(self.feeds[feed]).end)
                        }))
            });
            silent = if came || waits { 0 } else { silent + 1 };
        }
        for who in 0..READERS {
            let next = self.reactor.feed_next(self.peers[who].token);
            let end = self.peers[who].reads.map(|(feed, from)| {
                let end = self.reactor.feed_range(self.feeds[feed]).end;
                assert!(self.peers[who].socket.is_none() || next == Some(end.max(from)));
                end
            });
            self.move_on(who, end.unwrap_or_default(), None);
            self.look_at(who);
        }
    }

    fn look_at(&self, who: usize) {
        let peer = &self.peers[who];
        if peer.socket.is_none() {
            return;
        }
        let (mut got, mut direct, mut rest) = (Vec::new(), 0, &peer.got[..]);
        while !rest.is_empty() {
            let (place, number, len) = head(rest);
            assert!(
                rest[..len] == entry(place, number, len - HEAD),
                "it came whole"
            );
            if place == DIRECT {
                assert_eq!(number, direct);
                direct += 1;
            } else {
                got.push((usize::from(place), number));
            }
            rest = &rest[len..];
        }
        assert_eq!(got, peer.due, "reader {who} of {}", self.reactor.backend());
        assert_eq!(direct, peer.sent);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(200)
    })]

    #[test]
    fn each_reader_gets_what_its_subscriptions_promise(
        ops in vec(op(), 1..300),
        which in 0..4_usize,
    ) {
        let mut world = World::new(BACKENDS[which]);
        for op in ops {
            world.act(op);
        }
        world.finish();
    }
}
