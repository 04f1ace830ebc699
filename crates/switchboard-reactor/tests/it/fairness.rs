//! Turns are fair: between a polite peer's request and its answer nobody else is served more than
//! the limits of one turn allow. That is counted in bytes and calls, never in time.

use core::cell::Cell;
use std::collections::HashMap;
use std::time::Instant;

use berkeley::selector::Backend;
use berkeley::{Addr, Family, Kind, Mode, MsgFlags, Protocol, Socket, UnixAddr, opt};
use switchboard_reactor::{
    ACCEPTS_PER_TURN_MAX, Closed, DATAGRAMS_PER_TURN_MAX, Handler, READ_BYTES_MAX, Reactor, Token,
};

use crate::support::{BACKENDS, ROOMY, tcp_pair, unix_pair};

/// Answers that the polite peer gets.
const ANSWERS: usize = 12;

/// Turns that an answer may take from its request: the next one brings the request, and where what
/// is sent is only handed over to the kernel, the one behind it the answer.
const TURNS_MAX: usize = 2;

/// What has always more to do for the reactor.
enum Noise {
    /// The other end of a stream, which is kept full.
    Flood(Socket),
    /// The other end of a stream with one short message at a time.
    Patter(Socket),
    /// The other end of a datagram socket.
    Rain(Socket),
    /// The address of a listener.
    Storm(Addr),
    /// The other end of a stream that brings much and little by turns, and what of it is left.
    Tide(Socket, Cell<usize>, Cell<bool>),
}

/// How often a turn is told to end: before what was sent is written, and behind that.
const ENDS_PER_TURN: usize = 2;

const SHORT: &[u8] = b"a short message";

impl Noise {
    /// How much of it one turn may serve.
    const fn limit(&self) -> usize {
        match self {
            Self::Flood(_) | Self::Tide(..) => READ_BYTES_MAX,
            Self::Patter(_) => SHORT.len(),
            Self::Rain(_) => DATAGRAMS_PER_TURN_MAX,
            Self::Storm(_) => ACCEPTS_PER_TURN_MAX,
        }
    }

    /// Makes up for what was served, and for what is not there yet.
    fn refill(&self, served: usize) {
        const WATER: &[u8] = &[0; READ_BYTES_MAX];
        match self {
            Self::Patter(socket) => {
                socket.send(SHORT, MsgFlags::DONTWAIT).unwrap();
            }
            Self::Tide(socket, left, is_high) => {
                left.update(|left| left - served);
                if left.get() == 0 {
                    is_high.update(|is_high| !is_high);
                    let water = if is_high.get() { WATER } else { SHORT };
                    left.set(socket.send(water, MsgFlags::DONTWAIT).unwrap());
                }
            }
            Self::Flood(socket) => while socket.send(WATER, MsgFlags::DONTWAIT).is_ok() {},
            Self::Rain(socket) => while socket.send(b"drop", MsgFlags::DONTWAIT).is_ok() {},
            Self::Storm(addr) => while unix_stream().connect(addr).is_ok() {},
        }
    }
}

fn unix_stream() -> Socket {
    let socket = Socket::new(Family::UNIX, Kind::STREAM, Protocol::DEFAULT).unwrap();
    socket.set_mode(Mode::NonBlock).unwrap();
    socket
}

/// A listener with a name of the kernel's choice.
fn unix_listener(backlog: usize) -> (Socket, Addr) {
    let socket = unix_stream();
    socket.bind(&Addr::Unix(UnixAddr::unnamed())).unwrap();
    socket.listen(backlog.try_into().unwrap()).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// Who asks, and waits for the answer.
enum Polite {
    /// A few bytes that come back.
    Echo(Socket),
    /// A datagram that comes back.
    Datagram(Socket),
    /// A connection, which is closed when it has been accepted.
    Caller(Addr, Option<Socket>),
}

impl Polite {
    fn ask(&mut self) {
        match self {
            Self::Echo(socket) | Self::Datagram(socket) => {
                socket.send(b"please", MsgFlags::DONTWAIT).unwrap();
            }
            Self::Caller(addr, call) => {
                let socket = unix_stream();
                socket.connect(&*addr).unwrap();
                *call = Some(socket);
            }
        }
    }

    fn is_answered(&self) -> bool {
        let (Self::Echo(socket) | Self::Datagram(socket) | Self::Caller(_, Some(socket))) = self
        else {
            return false;
        };
        socket.recv(&mut [0; 16], MsgFlags::DONTWAIT).is_ok()
    }
}

/// Serves both.
struct Scene {
    noises: HashMap<Token, Noise>,
    served: HashMap<Token, usize>,
    token: Token,
    polite: Polite,
    /// How often more the turn is told to end before it asks.
    asks_in: usize,
    /// The turn in which it has asked, until it is answered.
    asked: Option<usize>,
    is_reached: bool,
    turn: usize,
    answers: usize,
    /// The turns that what others are served may take.
    slack: usize,
}

impl Scene {
    fn new(reactor: &mut Reactor, noises: HashMap<Token, Noise>, polite: &str) -> Self {
        for noise in noises.values() {
            noise.refill(0);
        }
        let (token, polite) = match polite {
            "caller" => {
                let (socket, addr) = unix_listener(8);
                let token = reactor.add_listener(socket).unwrap();
                (token, Polite::Caller(addr, None))
            }
            "datagram" => {
                let (ours, peer) = unix_pair(Kind::DGRAM);
                let token = reactor.add_datagrams(ours).unwrap();
                (token, Polite::Datagram(peer))
            }
            // Not by TCP: where a machine is busy, that brings bytes late by itself.
            _ => {
                let (ours, peer) = unix_pair(Kind::STREAM);
                let token = reactor.add_stream(ours, ROOMY).unwrap();
                (token, Polite::Echo(peer))
            }
        };
        reactor.set_timer(Instant::now(), 0);
        Self {
            noises,
            served: HashMap::new(),
            token,
            polite,
            asks_in: 0,
            asked: None,
            is_reached: true,
            turn: 0,
            answers: 0,
            slack: 1,
        }
    }

    /// Notes that something was served; false if it was the polite one.
    fn serve(&mut self, token: Token, amount: usize) -> bool {
        if token == self.token {
            self.is_reached = true;
            return false;
        }
        let noise = &self.noises[&token];
        noise.refill(amount);
        if !self.is_reached {
            let served = self.served.entry(token).or_default();
            *served += amount;
            assert!(
                *served <= noise.limit() * self.slack,
                "turn {}: {served} of one noise before the polite one",
                self.turn
            );
        }
        true
    }
}

impl Handler for Scene {
    fn accepted(&mut self, _: &mut Reactor, listener: Token, _: Socket, _: Option<Addr>) {
        self.serve(listener, 1);
    }

    fn received(&mut self, reactor: &mut Reactor, source: Token, bytes: &[u8]) {
        if !self.serve(source, bytes.len()) {
            reactor.send_slice(source, bytes).unwrap();
        }
    }

    fn datagram(&mut self, reactor: &mut Reactor, socket: Token, _: Option<Addr>, bytes: &[u8]) {
        if !self.serve(socket, 1) {
            reactor.send_datagram(socket, None, bytes).unwrap();
        }
    }

    fn ended(&mut self, _: &mut Reactor, _: Token) {
        panic!("nobody ends");
    }

    fn closed(&mut self, _: &mut Reactor, _: Token, why: Closed) {
        panic!("{why:?}");
    }

    /// Between the reading and the writing of each turn.
    fn timer(&mut self, reactor: &mut Reactor, _: u64) {
        self.turn += 1;
        if let Some(asked) = self.asked {
            if self.polite.is_answered() {
                assert!(self.is_reached);
                self.answers += 1;
                self.asked = None;
            } else {
                let turns = self.turn - asked;
                assert!(
                    turns < TURNS_MAX + self.slack - 1,
                    "no answer after {turns} turns"
                );
            }
        }
        if self.answers == ANSWERS {
            return reactor.stop();
        }
        if self.asked.is_none() {
            self.asks_in = ENDS_PER_TURN;
        }
        reactor.set_timer(Instant::now(), 0);
    }

    /// Behind the last that is done in a turn, which is to accept: what is done before the reactor
    /// looks again was there before.
    fn turn_ended(&mut self, _: &mut Reactor) {
        self.asks_in = self.asks_in.saturating_sub(1);
        if self.asks_in == 0 && self.asked.is_none() && self.answers < ANSWERS {
            self.asked = Some(self.turn);
            self.served.clear();
            self.is_reached = false;
            self.polite.ask();
        }
    }
}

fn flood(reactor: &mut Reactor, (ours, peer): (Socket, Socket)) -> (Token, Noise) {
    peer.set(opt::SendBuffer, 512 << 10).unwrap();
    let token = reactor.add_stream(ours, ROOMY).unwrap();
    (token, Noise::Flood(peer))
}

fn rain(reactor: &mut Reactor) -> (Token, Noise) {
    let (ours, peer) = unix_pair(Kind::DGRAM);
    (reactor.add_datagrams(ours).unwrap(), Noise::Rain(peer))
}

fn storm(reactor: &mut Reactor) -> (Token, Noise) {
    let (socket, addr) = unix_listener(3 * ACCEPTS_PER_TURN_MAX);
    (reactor.add_listener(socket).unwrap(), Noise::Storm(addr))
}

/// Tries each kind of polite peer beside the noise.
fn try_all(noises: impl Fn(&mut Reactor) -> Vec<(Token, Noise)>) {
    try_with(|_| 1, noises);
}

/// The same where a back end may take some turns more.
fn try_with(slack: fn(Backend) -> usize, noises: impl Fn(&mut Reactor) -> Vec<(Token, Noise)>) {
    for backend in BACKENDS {
        for polite in ["echo", "datagram", "caller"] {
            let mut reactor = Reactor::new(backend).unwrap();
            let noises = noises(&mut reactor).into_iter().collect();
            let mut scene = Scene::new(&mut reactor, noises, polite);
            scene.slack = slack(backend);
            let case = format!("{backend}, {polite}");
            let done = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
                reactor.run(&mut scene).unwrap();
            }));
            assert!(done.is_ok(), "{case}");
        }
    }
}

#[test]
fn beside_one_flood_an_answer_comes_in_the_next_turn() {
    try_all(|reactor| vec![flood(reactor, unix_pair(Kind::STREAM))]);
    try_all(|reactor| vec![flood(reactor, tcp_pair())]);
}

#[test]
fn beside_a_hundred_floods_an_answer_comes_in_the_next_turn() {
    try_all(|reactor| {
        (0..100)
            .map(|_| flood(reactor, unix_pair(Kind::STREAM)))
            .collect()
    });
}

#[test]
fn beside_a_hundred_tides_an_answer_comes_in_the_next_turn_or_the_one_behind_it() {
    // The buffers of a ring may have run out just then.
    let slack = |backend| 1 + usize::from(backend == Backend::IoUring);
    try_with(slack, |reactor| {
        (0..100)
            .map(|_| {
                let (ours, peer) = unix_pair(Kind::STREAM);
                peer.set(opt::SendBuffer, 1 << 20).unwrap();
                let token = reactor.add_stream(ours, ROOMY).unwrap();
                (token, Noise::Tide(peer, Cell::new(0), Cell::new(false)))
            })
            .collect()
    });
}

#[test]
fn beside_a_rain_and_a_crowd_that_says_little_an_answer_comes_in_the_next_turn() {
    try_all(|reactor| {
        let mut noises = vec![rain(reactor)];
        for _ in 0..100 {
            let (ours, peer) = unix_pair(Kind::STREAM);
            let token = reactor.add_stream(ours, ROOMY).unwrap();
            noises.push((token, Noise::Patter(peer)));
        }
        noises
    });
}

#[test]
fn beside_a_rain_of_datagrams_an_answer_comes_in_the_next_turn() {
    try_all(|reactor| vec![rain(reactor)]);
}

#[test]
fn beside_a_storm_of_connections_an_answer_comes_in_the_next_turn() {
    try_all(|reactor| vec![storm(reactor)]);
}

#[test]
fn beside_all_of_them_at_once_an_answer_comes_in_the_next_turn() {
    try_all(|reactor| {
        let mut noises = vec![rain(reactor), storm(reactor)];
        for _ in 0..3 {
            noises.push(flood(reactor, unix_pair(Kind::STREAM)));
            noises.push(flood(reactor, tcp_pair()));
            noises.push(rain(reactor));
            noises.push(storm(reactor));
        }
        noises
    });
}
