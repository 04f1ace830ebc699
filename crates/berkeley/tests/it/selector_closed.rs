//! Descriptors that are closed, reused and duplicated without a word to the selector.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use berkeley::selector::{Backend, Interest, Key, Selector, SelectorMap, Trigger};
use berkeley::{Errno, Kind, MsgFlags, Socket};

use crate::selector_contract::{
    NUMBERS, assert_errno, backends, each, has_edges, high_descriptor, keys, next, now,
};
use crate::support::{PATIENCE, assert_takes, receive, unix_pair};

const READ: Interest = Interest::READABLE;
const LEVEL: Trigger = Trigger::Level;

/// Runs one case over each back end, with numbers above those that others open and close.
fn each_alone(case: impl Fn(Backend, &dyn Selector)) {
    let _all = NUMBERS.write().unwrap_or_else(|error| error.into_inner());
    for backend in backends() {
        let selector = backend.open().unwrap();
        case(backend, selector.as_ref());
    }
}

/// What the kernel's list behind an epoll descriptor holds.
fn entries(selector: &dyn Selector) -> usize {
    let number = selector.descriptor().unwrap().as_raw_fd();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
    info.lines().filter(|line| line.starts_with("tfd:")).count()
}

#[test]
fn a_reused_number_does_not_speak_for_its_former_owner() {
    each_alone(|backend, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        a.send_all(b"x").unwrap();
        // The duplicate keeps the file open and ready, and nobody can unregister it any more.
        let former = high_descriptor(&b, 860);
        let number = former.as_raw_fd();
        selector
            .register(former.as_fd(), Key(1), READ, LEVEL)
            .unwrap();
        assert_eq!(keys(&now(selector)), [1], "{backend}");
        drop(former);
        let (c, d) = unix_pair(Kind::STREAM);
        let latter = high_descriptor(&d, 860);
        assert_eq!(latter.as_raw_fd(), number);
        assert_errno(
            selector.modify(latter.as_fd(), Key(2), READ, LEVEL),
            Errno::ENOENT,
        );
        selector
            .register(latter.as_fd(), Key(2), READ, LEVEL)
            .unwrap();
        for _look in 0..5 {
            assert_eq!(now(selector), [], "{backend}");
        }
        c.send_all(b"x").unwrap();
        assert_eq!(keys(&now(selector)), [2], "{backend}");
        assert_eq!(receive(&d), b"x");
        // What the kernel cannot forget does not keep the wait from sleeping.
        let mut events = vec![];
        let limit = Duration::from_millis(20);
        assert_takes(limit, || {
            selector.wait(&mut events, Some(limit)).unwrap();
        });
        assert_eq!(events, [], "{backend}");
        if backend == Backend::Epoll {
            assert_eq!(entries(selector), 1, "the former owner's entry is gone");
        }
        c.send_all(b"y").unwrap();
        assert_eq!(keys(&now(selector)), [2], "{backend}: the latter's is not");
    });
}

#[test]
fn ghosts_are_laid_and_all_others_stay_as_they_were() {
    let _all = NUMBERS.write().unwrap_or_else(|error| error.into_inner());
    let selector = Backend::Epoll.open().unwrap();
    let selector = selector.as_ref();
    let waker = selector.waker(Key(100)).unwrap();
    let pairs: Vec<_> = (0..6).map(|_| unix_pair(Kind::STREAM)).collect();
    let triggers = [
        (READ, LEVEL),
        (READ, Trigger::OneShot),
        (READ, Trigger::Edge),
        (READ | Interest::EXCLUSIVE, LEVEL),
        (READ, Trigger::OneShot),
    ];
    for ((pair, key), (interest, trigger)) in pairs.iter().zip(0..).zip(triggers) {
        selector
            .register(pair.1.as_fd(), Key(key), interest, trigger)
            .unwrap();
    }
    // The last one is told, and sleeps.
    pairs[4].0.send_all(b"x").unwrap();
    assert_eq!(keys(&now(selector)), [4]);
    pairs[5].0.send_all(b"x").unwrap();
    for _ghost in 0..20 {
        let former = high_descriptor(&pairs[5].1, 880);
        selector
            .register(former.as_fd(), Key(50), READ, LEVEL)
            .unwrap();
        drop(former);
        let latter = high_descriptor(&waker, 880);
        selector
            .register(latter.as_fd(), Key(51), READ, LEVEL)
            .unwrap();
        selector.unregister(latter.as_fd()).unwrap();
    }
    let mut events = vec![];
    let limit = Duration::from_millis(20);
    assert_takes(limit, || {
        selector.wait(&mut events, Some(limit)).unwrap();
        assert_eq!(events, []);
    });
    assert_eq!(entries(selector), 6, "five and the waker");
    for pair in &pairs[..4] {
        pair.0.send_all(b"x").unwrap();
    }
    waker.raise();
    assert_eq!(keys(&now(selector)), [0, 1, 2, 3, 100]);
    assert_eq!(
        keys(&now(selector)),
        [0, 3],
        "those that are told as long as it lasts"
    );
    selector
        .modify(pairs[4].1.as_fd(), Key(4), READ, Trigger::OneShot)
        .unwrap();
    assert_eq!(keys(&now(selector)), [0, 3, 4]);
}

#[test]
fn what_was_still_to_be_told_does_not_keep_an_unregistered_socket_open() {
    each_alone(|backend, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        selector.register(b.as_fd(), Key(1), READ, LEVEL).unwrap();
        assert_eq!(now(selector), [], "{backend}");
        // The kernel has something to tell of it, and no wait to tell it to.
        a.send_all(b"x").unwrap();
        assert_eq!(receive(&b), b"x");
        selector.unregister(b.as_fd()).unwrap();
        drop(b);
        let mut room = [0; 8];
        let end = a.recv(&mut room, MsgFlags::NONE);
        assert_eq!(end.unwrap(), 0, "{backend}: the peer waits for the end");
    });
}

#[test]
fn a_duplicate_is_a_registration_of_its_own() {
    each(|backend, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        let duplicate = b.try_clone().unwrap();
        selector.register(b.as_fd(), Key(1), READ, LEVEL).unwrap();
        selector
            .register(duplicate.as_fd(), Key(2), READ, Trigger::OneShot)
            .unwrap();
        a.send_all(b"x").unwrap();
        assert_eq!(keys(&now(selector)), [1, 2], "{backend}");
        assert_eq!(keys(&now(selector)), [1], "{backend}");
        selector.unregister(b.as_fd()).unwrap();
        drop(b);
        assert_eq!(now(selector), [], "{backend}");
        selector
            .modify(duplicate.as_fd(), Key(3), READ, LEVEL)
            .unwrap();
        assert_eq!(keys(&now(selector)), [3], "{backend}");
    });
}

#[test]
fn a_socket_closed_in_its_place_is_forgotten_and_refused() {
    each(|backend, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        let (c, d) = unix_pair(Kind::STREAM);
        for (socket, key) in [(&b, 1), (&d, 2)] {
            selector
                .register(socket.as_fd(), Key(key), READ, LEVEL)
                .unwrap();
        }
        a.send_all(b"x").unwrap();
        c.send_all(b"x").unwrap();
        b.close().unwrap();
        for _look in 0..2 {
            assert_eq!(keys(&now(selector)), [2], "{backend}");
        }
        assert_errno(
            selector.register(b.as_fd(), Key(1), READ, LEVEL),
            Errno::EBADF,
        );
    });
}

#[test]
fn thousands_of_numbers_go_from_one_owner_to_the_next() {
    each(|backend, selector| {
        let trigger = if has_edges(backend) {
            Trigger::Edge
        } else {
            Trigger::OneShot
        };
        let mut kept: Vec<(OwnedFd, Socket)> = vec![];
        for key in 0..2000 {
            let (a, b) = unix_pair(Kind::STREAM);
            selector
                .register(b.as_fd(), Key(key), READ, trigger)
                .unwrap();
            a.send_all(b"x").unwrap();
            assert_eq!(keys(&now(selector)), [key], "{backend}");
            // Every fourth is kept open by somebody, quiet from now on; none is unregistered.
            if key % 4 == 0 {
                b.recv(&mut [0; 9], MsgFlags::NONE).unwrap();
                kept.push((b.as_fd().try_clone_to_owned().unwrap(), a));
            }
            kept.truncate(50);
        }
    });
}

#[test]
fn a_selector_map_gives_back_what_it_was_given() {
    let _few = NUMBERS.read().unwrap_or_else(|error| error.into_inner());
    for backend in backends() {
        let mut map = SelectorMap::with(backend).unwrap();
        assert_eq!(map.selector().backend(), backend);
        let (a, b) = unix_pair(Kind::STREAM);
        let (c, d) = unix_pair(Kind::STREAM);
        let both = READ | Interest::WRITABLE;
        let (b, d) = (
            map.register(b, READ, "b").unwrap(),
            map.register(d, both, "d").unwrap(),
        );
        a.send_all(b"x").unwrap();
        let mut told: Vec<_> = map
            .select(None)
            .unwrap()
            .map(|(key, ready)| (key.data, ready.is_readable(), ready.is_writable()))
            .collect();
        told.sort_unstable();
        assert_eq!(told, [("b", true, false), ("d", false, true)], "{backend}");
        assert_eq!(map.modify(d, READ, "read").unwrap(), "d");
        assert_eq!(map.key(d).unwrap().data, "read");
        assert!(map.key(d).unwrap().interest == READ);
        assert_eq!(map.select(Some(PATIENCE)).unwrap().count(), 1);
        assert_eq!(map.keys().count(), 2);
        let gone = map.unregister(b).unwrap();
        assert_eq!(receive(&gone.file), b"x");
        assert_errno(map.unregister(b), Errno::ENOENT);
        assert_errno(map.modify(b, READ, "b"), Errno::ENOENT);
        // A socket that is closed within the map is given back all the same.
        map.key(d).unwrap().file.close().unwrap();
        drop(c);
        assert_eq!(map.select(Some(Duration::ZERO)).unwrap().count(), 0);
        assert!(map.unregister(d).unwrap().file.is_closed());
    }
}

#[test]
fn a_regular_wait_follows_a_forgotten_descriptor() {
    each(|backend, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        let (_c, d) = unix_pair(Kind::STREAM);
        selector.register(d.as_fd(), Key(1), READ, LEVEL).unwrap();
        selector.register(b.as_fd(), Key(2), READ, LEVEL).unwrap();
        drop(d);
        a.send_all(b"x").unwrap();
        assert_eq!(next(selector).key, Key(2), "{backend}");
    });
}
