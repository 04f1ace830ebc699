//! Any order of operations on real sockets gives, on each back end, what a simple model says.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::Instant;

use berkeley::selector::{Backend, Interest, Key, Ready, Selector, Trigger};
use berkeley::{Kind, Mode, MsgFlags, Shutdown, Socket};
use proptest::prelude::*;

use crate::selector_contract::{NUMBERS, backends, has_edges, now};
use crate::support::{PATIENCE, unix_pair};

const SOCKETS: usize = 4;

/// What is done to one of the sockets.
#[derive(Debug, Clone, Copy)]
enum Step {
    Register(Interest, Trigger),
    Modify(Interest, Trigger),
    Unregister,
    /// The peer sends a byte.
    Send,
    /// All that came is received.
    Drain,
    /// The peer ends its side.
    End,
    /// The peer closes.
    Close,
    /// The socket is closed as it is, and another takes its place.
    Renew,
}

/// What the model knows of one registration.
#[derive(Debug, Clone, Copy)]
struct Watched {
    key: u64,
    interest: Interest,
    trigger: Trigger,
    is_asleep: bool,
    /// Something happened that an edge has not told of yet.
    is_news: bool,
}

/// One of the sockets, and what should be known of it.
struct Place {
    socket: Socket,
    peer: Option<Socket>,
    waiting: usize,
    has_ended: bool,
    watched: Option<Watched>,
}

impl Place {
    fn new() -> Self {
        let (socket, peer) = unix_pair(Kind::STREAM);
        socket.set_mode(Mode::NonBlock).unwrap();
        Self {
            socket,
            peer: Some(peer),
            waiting: 0,
            has_ended: false,
            watched: None,
        }
    }

    /// What a back end should find: readable, writable, peer closed, hung up. All false: nothing.
    fn ready(&self, backend: Backend, interest: Interest) -> [bool; 4] {
        let wants = |part| interest.contains(part);
        let hung_up = self.peer.is_none();
        let came = self.waiting > 0 || self.has_ended;
        // select(2) tells a hang-up to readers, the others tell it to everybody.
        let read = wants(Interest::READABLE) && came || hung_up && backend != Backend::Select;
        [
            read,
            wants(Interest::WRITABLE),
            wants(Interest::PEER_CLOSED) && self.has_ended,
            hung_up && backend != Backend::Select,
        ]
    }

    /// What should be told of it now.
    fn tell(&mut self, backend: Backend) -> Option<(u64, [bool; 4])> {
        let mut watched = self.watched?;
        let ready = self.ready(backend, watched.interest);
        let is_told = ready.contains(&true)
            && !watched.is_asleep
            && (watched.is_news || !watched.trigger.is_edge());
        watched.is_news = false;
        watched.is_asleep |= is_told && watched.trigger.is_one_shot();
        self.watched = Some(watched);
        is_told.then_some((watched.key, ready))
    }
}

fn flags(ready: Ready) -> [bool; 4] {
    assert!(!ready.is_error() && !ready.is_priority());
    [
        ready.is_readable(),
        ready.is_writable(),
        ready.is_peer_closed(),
        ready.is_hang_up(),
    ]
}

/// What a back end can be asked for.
fn is_possible(backend: Backend, interest: Interest, trigger: Trigger) -> bool {
    (has_edges(backend) || !trigger.is_edge())
        && (backend != Backend::Select || !interest.contains(Interest::PEER_CLOSED))
}

fn watch(place: &mut Place, selector: &dyn Selector, key: u64, step: Step) {
    let fd = place.socket.as_fd();
    let backend = selector.backend();
    let (result, interest, trigger, is_due) = match step {
        Step::Register(interest, trigger) => (
            selector.register(fd, Key(key), interest, trigger),
            interest,
            trigger,
            place.watched.is_none(),
        ),
        Step::Modify(interest, trigger) => (
            selector.modify(fd, Key(key), interest, trigger),
            interest,
            trigger,
            place.watched.is_some(),
        ),
        _ => return,
    };
    let is_due = is_due && is_possible(backend, interest, trigger);
    assert_eq!(result.is_ok(), is_due, "{backend} {step:?}: {result:?}");
    if is_due {
        place.watched = Some(Watched {
            key,
            interest,
            trigger,
            is_asleep: false,
            is_news: true,
        });
    }
}

fn take(place: &mut Place, selector: &dyn Selector, key: u64, step: Step) {
    match step {
        Step::Register(..) | Step::Modify(..) => watch(place, selector, key, step),
        Step::Unregister => {
            let result = selector.unregister(place.socket.as_fd());
            assert_eq!(result.is_ok(), place.watched.take().is_some());
        }
        Step::Send => {
            if !place.has_ended
                && let Some(peer) = &place.peer
            {
                peer.send_all(b"x").unwrap();
                place.waiting += 1;
                news(place);
            }
        }
        Step::Drain => {
            let mut buf = [0; 64];
            while place
                .socket
                .recv(&mut buf, MsgFlags::NONE)
                .is_ok_and(|len| len > 0)
            {}
            place.waiting = 0;
        }
        Step::End => {
            if !place.has_ended
                && let Some(peer) = &place.peer
            {
                peer.shutdown(Shutdown::WRITE).unwrap();
                place.has_ended = true;
                news(place);
            }
        }
        Step::Close => {
            if place.peer.take().is_some() {
                place.has_ended = true;
                await_hang_up(&place.socket);
                news(place);
            }
        }
        Step::Renew => *place = Place::new(),
    }
}

/// Waits until the kernel says so: a program that another test is starting has a copy of each
/// descriptor until it is executed.
fn await_hang_up(socket: &Socket) {
    let start = Instant::now();
    let selector = Backend::Poll.open().unwrap();
    selector
        .register(
            socket.as_fd(),
            Key(0),
            Interest::PEER_CLOSED,
            Trigger::Level,
        )
        .unwrap();
    while !now(selector.as_ref())
        .iter()
        .any(|event| event.ready.is_hang_up())
    {
        assert!(start.elapsed() < PATIENCE, "the peer is still there");
        std::thread::yield_now();
    }
}

fn news(place: &mut Place) {
    if let Some(watched) = &mut place.watched {
        watched.is_news = true;
    }
}

fn run(backend: Backend, steps: &[(usize, Step)]) {
    let selector = backend.open().unwrap();
    let mut places: Vec<Place> = (0..SOCKETS).map(|_| Place::new()).collect();
    for (key, (index, step)) in (0..).zip(steps) {
        take(&mut places[*index], selector.as_ref(), key, *step);
        let expected: BTreeMap<_, _> = places
            .iter_mut()
            .filter_map(|place| place.tell(backend))
            .collect();
        let told = now(selector.as_ref());
        let count = told.len();
        let told: BTreeMap<_, _> = told
            .into_iter()
            .map(|event| (event.key.0, flags(event.ready)))
            .collect();
        assert_eq!(count, told.len(), "{backend}: one told twice");
        assert_eq!(told, expected, "{backend}, step {key}: {step:?}");
    }
}

fn interest() -> impl Strategy<Value = Interest> {
    prop_oneof![
        4 => Just(Interest::READABLE),
        1 => Just(Interest::READABLE | Interest::PEER_CLOSED),
        1 => Just(Interest::READABLE | Interest::WRITABLE),
        1 => Just(Interest::WRITABLE),
        1 => Just(Interest::PEER_CLOSED),
    ]
}

/// A writable edge would also tell of room that a peer makes, which is not the model's business.
fn wanted() -> impl Strategy<Value = (Interest, Trigger)> {
    let trigger = prop_oneof![
        Just(Trigger::Level),
        Just(Trigger::OneShot),
        Just(Trigger::Edge),
        Just(Trigger::EdgeOneShot),
    ];
    (interest(), trigger).prop_map(|(interest, trigger)| {
        if trigger.is_edge() && interest.contains(Interest::WRITABLE) {
            (Interest::READABLE, trigger)
        } else {
            (interest, trigger)
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => wanted().prop_map(|(interest, trigger)| Step::Register(interest, trigger)),
        3 => wanted().prop_map(|(interest, trigger)| Step::Modify(interest, trigger)),
        1 => Just(Step::Unregister),
        5 => Just(Step::Send),
        4 => Just(Step::Drain),
        1 => Just(Step::End),
        1 => Just(Step::Close),
        1 => Just(Step::Renew),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_operations_is_told_as_the_model_says(
        steps in prop::collection::vec((0..SOCKETS, step()), 1..80)
    ) {
        let _few = NUMBERS.read().unwrap_or_else(|error| error.into_inner());
        for backend in backends() {
            run(backend, &steps);
        }
    }
}
