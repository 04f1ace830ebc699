//! The same cases over each back end: what one selector promises, all keep.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::RwLock;
use std::thread;
use std::time::Duration;

use berkeley::selector::{Backend, EVENTS_MAX, Event, Interest, Key, Selector, Trigger};
use berkeley::{Errno, Error, Kind, Mode, MsgFlags, Shutdown, Socket, Waker};

use crate::support::{PATIENCE, assert_takes, listener, receive, tcp, tcp_pair, unix_pair};

/// Held for writing by tests that open so many descriptors that the others' numbers would be too
/// high for `select`, and for reading by those others.
pub(crate) static NUMBERS: RwLock<()> = RwLock::new(());

/// All back ends, without io_uring where the kernel is too old for it or forbids it.
pub(crate) fn backends() -> Vec<Backend> {
    let mut backends = vec![Backend::Epoll, Backend::Poll, Backend::Select];
    match Backend::IoUring.open() {
        Ok(_) => backends.push(Backend::IoUring),
        Err(error) => eprintln!("skipped: {error}"),
    }
    backends
}

/// True for those that can tell a beginning.
pub(crate) fn has_edges(backend: Backend) -> bool {
    matches!(backend, Backend::Epoll | Backend::IoUring)
}

/// Runs one case over each back end.
pub(crate) fn each(case: impl Fn(Backend, &dyn Selector)) {
    let _few = NUMBERS.read().unwrap_or_else(|error| error.into_inner());
    for backend in backends() {
        let selector = backend.open().unwrap();
        assert_eq!(selector.backend(), backend);
        case(backend, selector.as_ref());
    }
}

/// What is the case right now.
pub(crate) fn now(selector: &dyn Selector) -> Vec<Event> {
    let mut events = vec![];
    selector.wait(&mut events, Some(Duration::ZERO)).unwrap();
    events
}

/// The one thing that happens next.
pub(crate) fn next(selector: &dyn Selector) -> Event {
    let mut events = vec![];
    selector.wait(&mut events, Some(PATIENCE)).unwrap();
    assert_eq!(events.len(), 1, "{events:?}");
    events[0]
}

pub(crate) fn keys(events: &[Event]) -> Vec<u64> {
    let mut keys: Vec<u64> = events.iter().map(|event| event.key.0).collect();
    keys.sort_unstable();
    keys
}

pub(crate) fn assert_errno<T: std::fmt::Debug>(result: berkeley::Result<T>, errno: Errno) {
    assert_eq!(result.unwrap_err().errno(), Some(errno));
}

pub(crate) fn assert_unsupported(result: berkeley::Result<()>) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
}

#[test]
fn a_socket_is_readable_as_long_as_there_is_something_to_read() {
    each(|backend, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        selector
            .register(b.as_fd(), Key(7), Interest::READABLE, Trigger::Level)
            .unwrap();
        assert_eq!(now(selector), [], "{backend}");
        a.send_all(b"xy").unwrap();
        for _look in 0..2 {
            let event = next(selector);
            assert_eq!(event.key, Key(7));
            assert!(event.ready.is_readable() && !event.ready.is_writable());
            assert!(!event.ready.is_error() && !event.ready.is_hang_up());
        }
        receive(&b);
        assert_eq!(now(selector), [], "{backend}");
    });
}

#[test]
fn a_socket_is_writable_as_long_as_there_is_room() {
    each(|backend, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        a.set_mode(Mode::NonBlock).unwrap();
        let both = Interest::READABLE | Interest::WRITABLE;
        selector
            .register(a.as_fd(), Key(1), both, Trigger::Level)
            .unwrap();
        let event = next(selector);
        assert!(event.ready.is_writable() && !event.ready.is_readable());
        let mut sent = 0;
        while let Ok(len) = a.send(&[0; 4096], MsgFlags::NONE) {
            sent += len;
        }
        assert_eq!(now(selector), [], "{backend}");
        b.send_all(b"x").unwrap();
        let event = next(selector);
        assert!(event.ready.is_readable() && !event.ready.is_writable());
        receive(&a);
        let mut buf = vec![0; sent];
        while sent > 0 {
            sent -= b.recv(&mut buf, MsgFlags::NONE).unwrap();
        }
        assert!(next(selector).ready.is_writable(), "{backend}");
    });
}

#[test]
fn a_listener_is_readable_when_somebody_calls() {
    each(|backend, selector| {
        let (server, addr) = listener(1);
        selector
            .register(server.as_fd(), Key(1), Interest::READABLE, Trigger::Level)
            .unwrap();
        assert_eq!(now(selector), [], "{backend}");
        tcp().connect(&addr).unwrap();
        assert!(next(selector).ready.is_readable());
    });
}

#[test]
fn a_peer_that_closes_makes_a_socket_readable_and_hung_up() {
    each(|backend, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        selector
            .register(b.as_fd(), Key(1), Interest::READABLE, Trigger::Level)
            .unwrap();
        drop(a);
        let ready = next(selector).ready;
        assert!(ready.is_readable(), "{backend}");
        // select(2) has no word for it.
        assert_eq!(ready.is_hang_up(), backend != Backend::Select);
        assert_eq!(receive(&b), b"");
    });
}

#[test]
fn a_peer_that_ends_its_side_is_told_where_that_can_be() {
    each(|backend, selector| {
        let (a, b) = tcp_pair();
        let interest = Interest::READABLE | Interest::PEER_CLOSED;
        let result = selector.register(b.as_fd(), Key(1), interest, Trigger::Level);
        if backend == Backend::Select {
            assert_unsupported(result);
            return;
        }
        result.unwrap();
        a.shutdown(Shutdown::WRITE).unwrap();
        let ready = next(selector).ready;
        assert!(ready.is_peer_closed() && ready.is_readable());
        assert!(!ready.is_hang_up(), "the other side goes on");
    });
}

#[test]
fn urgent_data_is_told() {
    each(|backend, selector| {
        let (a, b) = tcp_pair();
        selector
            .register(b.as_fd(), Key(1), Interest::PRIORITY, Trigger::Level)
            .unwrap();
        assert_eq!(now(selector), [], "{backend}");
        a.send(b"!", MsgFlags::OOB).unwrap();
        assert!(next(selector).ready.is_priority(), "{backend}");
    });
}

#[test]
fn a_refused_connection_is_writable_and_the_error_is_the_sockets() {
    each(|backend, selector| {
        let (gone, addr) = listener(1);
        drop(gone);
        let client = tcp();
        client.set_mode(Mode::NonBlock).unwrap();
        assert!(client.connect_ex(&addr).unwrap().is_some());
        selector
            .register(client.as_fd(), Key(1), Interest::WRITABLE, Trigger::Level)
            .unwrap();
        let ready = next(selector).ready;
        assert!(ready.is_writable(), "{backend}");
        assert_eq!(ready.is_error(), backend != Backend::Select);
    });
}

#[test]
fn a_full_pipe_without_a_reader_wakes_its_writer() {
    each(|backend, selector| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        // As much as a pipe holds unless it was made larger, pipe(7).
        writer.write_all(&[0; 65_536]).unwrap();
        selector
            .register(writer.as_fd(), Key(1), Interest::WRITABLE, Trigger::Level)
            .unwrap();
        assert_eq!(now(selector), [], "{backend}");
        drop(reader);
        assert!(next(selector).ready.is_writable(), "{backend}");
    });
}

#[test]
fn a_one_shot_registration_sleeps_until_it_is_modified() {
    each(|backend, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        let interest = Interest::READABLE;
        selector
            .register(b.as_fd(), Key(1), interest, Trigger::OneShot)
            .unwrap();
        a.send_all(b"x").unwrap();
        assert_eq!(next(selector).key, Key(1));
        a.send_all(b"y").unwrap();
        assert_eq!(now(selector), [], "{backend}");
        selector
            .modify(b.as_fd(), Key(2), interest, Trigger::OneShot)
            .unwrap();
        assert_eq!(next(selector).key, Key(2));
        assert_eq!(now(selector), [], "{backend}");
        // Asleep is still registered.
        assert_errno(
            selector.register(b.as_fd(), Key(3), interest, Trigger::OneShot),
            Errno::EEXIST,
        );
        drop(a);
        assert_eq!(now(selector), [], "{backend}: not even for a hang-up");
        selector
            .modify(b.as_fd(), Key(4), interest, Trigger::Level)
            .unwrap();
        next(selector);
        next(selector);
        selector.unregister(b.as_fd()).unwrap();
    });
}

#[test]
fn an_edge_is_told_once_or_refused() {
    each(|backend, selector| {
        for trigger in [Trigger::Edge, Trigger::EdgeOneShot] {
            let (a, b) = unix_pair(Kind::STREAM);
            let interest = Interest::READABLE;
            let result = selector.register(b.as_fd(), Key(1), interest, trigger);
            if !has_edges(backend) {
                assert_unsupported(result);
                selector
                    .register(b.as_fd(), Key(1), interest, Trigger::Level)
                    .unwrap();
                assert_unsupported(selector.modify(b.as_fd(), Key(1), interest, trigger));
                selector.unregister(b.as_fd()).unwrap();
                continue;
            }
            result.unwrap();
            a.send_all(b"x").unwrap();
            next(selector);
            assert_eq!(now(selector), [], "nothing new");
            a.send_all(b"y").unwrap();
            if trigger.is_one_shot() {
                assert_eq!(now(selector), [], "asleep");
                selector
                    .modify(b.as_fd(), Key(1), interest, trigger)
                    .unwrap();
            }
            next(selector);
            selector.unregister(b.as_fd()).unwrap();
        }
    });
}

#[test]
fn a_drained_edge_is_silent_until_something_arrives() {
    each(|backend, selector| {
        if !has_edges(backend) {
            return;
        }
        let (a, b) = tcp_pair();
        b.set_mode(Mode::NonBlock).unwrap();
        selector
            .register(b.as_fd(), Key(1), Interest::READABLE, Trigger::Edge)
            .unwrap();
        for _round in 0..100 {
            a.send_all(b"some bytes").unwrap();
            next(selector);
            while b.recv(&mut [0; 4], MsgFlags::NONE).is_ok() {}
            assert_eq!(now(selector), [], "{backend}");
        }
        // Drained before it was told: nothing is left to tell.
        a.send_all(b"x").unwrap();
        crate::support::await_readable(&b);
        receive(&b);
        assert_eq!(now(selector), [], "{backend}");
        drop(a);
        assert!(next(selector).ready.is_readable(), "{backend}");
    });
}

#[test]
fn what_is_registered_twice_or_not_at_all_is_an_error() {
    each(|_, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        let interest = Interest::READABLE;
        let register =
            |socket: &Socket| selector.register(socket.as_fd(), Key(1), interest, Trigger::Level);
        register(&a).unwrap();
        assert_errno(register(&a), Errno::EEXIST);
        assert_errno(
            selector.modify(b.as_fd(), Key(1), interest, Trigger::Level),
            Errno::ENOENT,
        );
        assert_errno(selector.unregister(b.as_fd()), Errno::ENOENT);
        selector.unregister(a.as_fd()).unwrap();
        assert_errno(selector.unregister(a.as_fd()), Errno::ENOENT);
        b.send_all(b"x").unwrap();
        assert_eq!(now(selector), []);
    });
}

#[test]
fn a_modification_changes_key_and_interest() {
    each(|_, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        a.send_all(b"x").unwrap();
        selector
            .register(b.as_fd(), Key(1), Interest::READABLE, Trigger::Level)
            .unwrap();
        assert_eq!(next(selector).key, Key(1));
        selector
            .modify(b.as_fd(), Key(u64::MAX), Interest::WRITABLE, Trigger::Level)
            .unwrap();
        let event = next(selector);
        assert_eq!(event.key, Key(u64::MAX));
        assert!(event.ready.is_writable() && !event.ready.is_readable());
    });
}

#[test]
fn a_wait_ends_with_its_limit_and_never_before() {
    each(|_, selector| {
        let (_a, b) = unix_pair(Kind::STREAM);
        selector
            .register(b.as_fd(), Key(1), Interest::READABLE, Trigger::Level)
            .unwrap();
        let mut events = vec![];
        for micros in [0, 1, 1_300, 50_000] {
            let limit = Duration::from_micros(micros);
            assert_takes(limit, || {
                selector.wait(&mut events, Some(limit)).unwrap();
                assert_eq!(events, []);
            });
        }
    });
}

#[test]
fn a_wait_of_any_length_ends_when_something_is_ready() {
    each(|_, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        a.send_all(b"x").unwrap();
        selector
            .register(b.as_fd(), Key(1), Interest::READABLE, Trigger::Level)
            .unwrap();
        for limit in [
            None,
            Some(Duration::MAX),
            Some(Duration::from_secs(u64::MAX >> 1)),
            Some(Duration::from_secs(1 << 40)),
        ] {
            let mut events = vec![];
            selector.wait(&mut events, limit).unwrap();
            assert_eq!(keys(&events), [1]);
        }
    });
}

#[test]
fn a_wait_replaces_what_the_last_one_told() {
    each(|_, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        selector
            .register(b.as_fd(), Key(1), Interest::READABLE, Trigger::Level)
            .unwrap();
        a.send_all(b"x").unwrap();
        let mut events = vec![];
        selector.wait(&mut events, None).unwrap();
        selector.wait(&mut events, None).unwrap();
        assert_eq!(events.len(), 1);
        receive(&b);
        selector.wait(&mut events, Some(Duration::ZERO)).unwrap();
        assert_eq!(events, []);
    });
}

#[test]
fn another_thread_wakes_the_one_that_waits() {
    each(|_, selector| {
        let waker = Waker::new().unwrap();
        selector
            .register(waker.as_fd(), Key(9), Interest::READABLE, Trigger::Level)
            .unwrap();
        assert!(!waker.lower());
        let other = waker.clone();
        thread::scope(|scope| {
            scope.spawn(move || {
                other.raise();
                other.raise();
            });
            assert_eq!(next(selector).key, Key(9));
        });
        assert!(waker.lower(), "both are one");
        assert!(!waker.lower());
        assert_eq!(now(selector), []);
    });
}

#[test]
fn a_regular_file_is_always_ready_and_refused_by_epoll() {
    each(|backend, selector| {
        let file = File::open("/proc/self/exe").unwrap();
        let result = selector.register(file.as_fd(), Key(1), Interest::READABLE, Trigger::Level);
        if backend == Backend::Epoll {
            assert_errno(result, Errno::EPERM);
        } else {
            result.unwrap();
            assert!(next(selector).ready.is_readable());
        }
    });
}

#[test]
fn a_watched_descriptor_that_was_closed_is_forgotten() {
    let _all = NUMBERS.write().unwrap_or_else(|error| error.into_inner());
    for backend in backends() {
        let selector = backend.open().unwrap();
        let (a, b) = unix_pair(Kind::STREAM);
        a.send_all(b"x").unwrap();
        // Numbers far above those that other tests open and close meanwhile.
        let high = high_descriptor(&b, 900);
        let (read, trigger) = (Interest::READABLE, Trigger::Level);
        for (fd, key) in [(b.as_fd(), 1), (high.as_fd(), 2)] {
            selector.register(fd, Key(key), read, trigger).unwrap();
        }
        assert_eq!(keys(&now(selector.as_ref())), [1, 2], "{backend}");
        let number = high.as_raw_fd();
        drop((b, high));
        for _look in 0..3 {
            assert_eq!(now(selector.as_ref()), [], "{backend}");
        }
        // Its number is free for another one.
        let (a, b) = unix_pair(Kind::STREAM);
        let high = high_descriptor(&b, 900);
        assert_eq!(high.as_raw_fd(), number);
        a.send_all(b"x").unwrap();
        assert_eq!(now(selector.as_ref()), [], "{backend}: another's number");
        assert_errno(selector.unregister(high.as_fd()), Errno::ENOENT);
        selector
            .register(high.as_fd(), Key(3), read, trigger)
            .unwrap();
        assert_eq!(keys(&now(selector.as_ref())), [3], "{backend}");
    }
}

/// A descriptor of at least this number, which takes no low ones from other tests on the way.
pub(crate) fn high_descriptor(source: &impl AsFd, number: i32) -> OwnedFd {
    rustix::io::fcntl_dupfd_cloexec(source, number).unwrap()
}

#[test]
fn a_descriptor_that_select_has_no_room_for_is_refused_and_fine_elsewhere() {
    let _all = NUMBERS.write().unwrap_or_else(|error| error.into_inner());
    berkeley::raise_descriptor_limit().unwrap();
    let waker = Waker::new().unwrap();
    waker.raise();
    let high = high_descriptor(&waker, 1024);
    for backend in backends() {
        let selector = backend.open().unwrap();
        let interest = Interest::READABLE;
        let result = selector.register(high.as_fd(), Key(1), interest, Trigger::Level);
        if backend == Backend::Select {
            assert_unsupported(result);
            assert_unsupported(selector.modify(high.as_fd(), Key(1), interest, Trigger::Level));
            assert_errno(selector.unregister(high.as_fd()), Errno::ENOENT);
            selector
                .register(waker.as_fd(), Key(1), interest, Trigger::Level)
                .unwrap();
        } else {
            result.unwrap();
        }
        assert_eq!(next(selector.as_ref()).key, Key(1), "{backend}");
    }
}

#[test]
fn of_more_ready_descriptors_than_one_report_holds_all_are_told() {
    const COUNT: usize = 2000;
    let _all = NUMBERS.write().unwrap_or_else(|error| error.into_inner());
    berkeley::raise_descriptor_limit().unwrap();
    let waker = Waker::new().unwrap();
    waker.raise();
    let many: Vec<OwnedFd> = (0..COUNT)
        .map(|_| waker.as_fd().try_clone_to_owned().unwrap())
        .collect();
    for backend in backends() {
        if backend == Backend::Select {
            continue;
        }
        for trigger in [Trigger::Level, Trigger::OneShot] {
            let selector = backend.open().unwrap();
            for (fd, key) in many.iter().zip(0..) {
                selector
                    .register(fd.as_fd(), Key(key), Interest::READABLE, trigger)
                    .unwrap();
            }
            let mut told: BTreeMap<u64, usize> = BTreeMap::new();
            let mut events = vec![];
            for _look in 0..4 {
                selector.wait(&mut events, Some(Duration::ZERO)).unwrap();
                assert!(events.len() <= EVENTS_MAX);
                for event in &events {
                    *told.entry(event.key.0).or_default() += 1;
                }
            }
            assert_eq!(told.len(), COUNT, "{backend} {trigger:?}");
            if trigger == Trigger::OneShot {
                assert!(told.values().all(|times| *times == 1), "{backend}");
            } else {
                assert!(told.values().all(|times| *times >= 2), "{backend} is fair");
            }
        }
    }
}

#[test]
fn thousands_of_registrations_come_and_go() {
    let _all = NUMBERS.write().unwrap_or_else(|error| error.into_inner());
    berkeley::raise_descriptor_limit().unwrap();
    let waker = Waker::new().unwrap();
    for (backend, count) in backends().into_iter().zip([3000, 3000, 800, 3000]) {
        let many: Vec<OwnedFd> = (0..count)
            .map(|_| waker.as_fd().try_clone_to_owned().unwrap())
            .collect();
        let selector = backend.open().unwrap();
        for _round in 0..3 {
            for (fd, key) in many.iter().zip(0..) {
                selector
                    .register(fd.as_fd(), Key(key), Interest::READABLE, Trigger::Level)
                    .unwrap();
            }
            for fd in many.iter().step_by(2).chain(many.iter().skip(1).step_by(2)) {
                selector.unregister(fd.as_fd()).unwrap();
            }
            waker.raise();
            assert_eq!(now(selector.as_ref()), [], "{backend}");
            waker.lower();
        }
    }
}

/// What a selector should know about one descriptor.
#[derive(Clone, Copy)]
struct Watched {
    key: u64,
    trigger: Trigger,
    is_asleep: bool,
}

#[test]
fn any_order_of_calls_gives_what_a_simple_model_says() {
    each(|backend, selector| {
        let wakers: Vec<Waker> = (0..12).map(|_| Waker::new().unwrap()).collect();
        let mut raised = [false; 12];
        let mut model: BTreeMap<usize, Watched> = BTreeMap::new();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |bound: usize| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            usize::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40).unwrap() % bound
        };
        for step in 0..5000_u64 {
            let index = random(wakers.len());
            let waker = &wakers[index];
            let trigger = [Trigger::Level, Trigger::OneShot][random(2)];
            let watched = Watched {
                key: step,
                trigger,
                is_asleep: false,
            };
            let interest = Interest::READABLE;
            match random(5) {
                0 => {
                    let result = selector.register(waker.as_fd(), Key(step), interest, trigger);
                    assert_eq!(result.is_ok(), !model.contains_key(&index));
                    model.entry(index).or_insert(watched);
                }
                1 => {
                    let result = selector.modify(waker.as_fd(), Key(step), interest, trigger);
                    assert_eq!(result.is_ok(), model.contains_key(&index));
                    model.entry(index).and_modify(|found| *found = watched);
                }
                2 => {
                    let result = selector.unregister(waker.as_fd());
                    assert_eq!(result.is_ok(), model.remove(&index).is_some());
                }
                3 => {
                    waker.raise();
                    raised[index] = true;
                }
                _ => {
                    waker.lower();
                    raised[index] = false;
                }
            }
            let mut expected = vec![];
            for (index, found) in &mut model {
                if raised[*index] && !found.is_asleep {
                    expected.push(found.key);
                    found.is_asleep = found.trigger == Trigger::OneShot;
                }
            }
            expected.sort_unstable();
            assert_eq!(keys(&now(selector)), expected, "{backend}, step {step}");
        }
    });
}

#[test]
fn a_back_end_has_a_name_and_is_found_by_it() {
    for backend in Backend::ALL {
        assert_eq!(backend.name().parse::<Backend>().unwrap(), backend);
    }
    let error = "kqueue".parse::<Backend>().unwrap_err();
    assert!(error.to_string().contains("kqueue"), "{error}");
}
