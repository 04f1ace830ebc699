//! A selector in the hands of several threads, and in those of several selectors' one listener.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use berkeley::selector::{Backend, Event, Interest, Key, Selector, Trigger};
use berkeley::{Error, Kind, MsgFlags, Waker};

use crate::selector_contract::{NUMBERS, assert_unsupported, each, keys, next, now};
use crate::support::{
    Finally, PATIENCE, assert_takes, await_asleep, await_readable, listener, tcp, thread_id,
    unix_pair,
};

const READ: Interest = Interest::READABLE;

/// Lets one thread wait, does something in this one while it sleeps, and answers what it was told.
fn while_waiting(selector: &dyn Selector, act: impl FnOnce()) -> Vec<Event> {
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let waiter = scope.spawn(move || {
            tell.send(thread_id()).unwrap();
            let mut events = vec![];
            selector.wait(&mut events, Some(PATIENCE)).unwrap();
            events
        });
        let act = Finally::new(act);
        await_asleep(&told.recv().unwrap());
        drop(act);
        waiter.join().unwrap()
    })
}

#[test]
fn what_another_thread_registers_is_heeded_by_the_wait_under_way() {
    each(|backend, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        a.send_all(b"x").unwrap();
        let events = while_waiting(selector, || {
            selector
                .register(b.as_fd(), Key(1), READ, Trigger::Level)
                .unwrap();
        });
        assert_eq!(keys(&events), [1], "{backend}");
    });
}

#[test]
fn what_another_thread_modifies_is_heeded_by_the_wait_under_way() {
    each(|backend, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        selector
            .register(b.as_fd(), Key(1), READ, Trigger::OneShot)
            .unwrap();
        a.send_all(b"x").unwrap();
        next(selector);
        // It is ready, and asleep.
        let events = while_waiting(selector, || {
            selector
                .modify(b.as_fd(), Key(2), READ, Trigger::OneShot)
                .unwrap();
        });
        assert_eq!(keys(&events), [2], "{backend}");
    });
}

#[test]
fn what_another_thread_unregisters_is_not_told() {
    each(|backend, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        let (c, d) = unix_pair(Kind::STREAM);
        for (socket, key) in [(&b, 1), (&d, 2)] {
            selector
                .register(socket.as_fd(), Key(key), READ, Trigger::Level)
                .unwrap();
        }
        let events = while_waiting(selector, || {
            selector.unregister(b.as_fd()).unwrap();
            a.send_all(b"x").unwrap();
            c.send_all(b"x").unwrap();
        });
        assert_eq!(keys(&events), [2], "{backend}");
    });
}

#[test]
fn a_second_thread_that_waits_is_refused() {
    each(|backend, selector| {
        let waker = selector.waker(Key(1)).unwrap();
        let events = while_waiting(selector, || {
            let mut events = vec![];
            let error = selector
                .wait(&mut events, Some(Duration::ZERO))
                .unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{backend}: {error:?}");
            waker.raise();
        });
        assert_eq!(keys(&events), [1], "{backend}");
        assert_eq!(now(selector), [], "{backend}: free again");
    });
}

#[test]
fn nothing_is_lost_while_thousands_are_registered_and_removed() {
    const THREADS: u64 = 2;
    const BALLS: usize = 500;
    each(|backend, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        let trigger = if crate::selector_contract::has_edges(backend) {
            Trigger::Edge
        } else {
            Trigger::Level
        };
        selector.register(b.as_fd(), Key(0), READ, trigger).unwrap();
        let quiet = Waker::new().unwrap();
        let is_over = AtomicBool::new(false);
        let changes = thread::scope(|scope| {
            let churn = |thread: u64| {
                let own: Vec<OwnedFd> = (0..40)
                    .map(|_| quiet.as_fd().try_clone_to_owned().unwrap())
                    .collect();
                let mut changes = 0;
                while changes < 4000 || !is_over.load(Ordering::SeqCst) {
                    for fd in &own {
                        selector
                            .register(fd.as_fd(), Key(thread), READ, Trigger::Level)
                            .unwrap();
                    }
                    for fd in &own {
                        selector.unregister(fd.as_fd()).unwrap();
                    }
                    changes += 2 * own.len();
                }
                changes
            };
            let churning: Vec<_> = (1..=THREADS)
                .map(|thread| scope.spawn(move || churn(thread)))
                .collect();
            let over = Finally::new(|| is_over.store(true, Ordering::SeqCst));
            // One byte at a time, and the next one only when this one was told.
            let mut events = vec![];
            for _ball in 0..BALLS {
                a.send_all(b"x").unwrap();
                selector.wait(&mut events, Some(PATIENCE)).unwrap();
                assert_eq!(keys(&events), [0], "{backend}");
                b.recv(&mut [0; 9], MsgFlags::NONE).unwrap();
            }
            drop(over);
            churning
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum::<usize>()
        });
        assert!(changes >= 8000);
        assert_eq!(now(selector), [], "{backend}");
    });
}

#[test]
fn many_raises_are_told_once_and_need_no_lowering() {
    each(|backend, selector| {
        let waker = selector.waker(Key(9)).unwrap();
        assert_eq!(now(selector), [], "{backend}");
        for _round in 0..3 {
            for _raise in 0..1000 {
                waker.raise();
            }
            let event = next(selector);
            assert!(event.key == Key(9) && event.ready.is_readable());
            assert_eq!(now(selector), [], "{backend}");
        }
        let other = waker.clone();
        let events = while_waiting(selector, || other.raise());
        assert_eq!(keys(&events), [9], "{backend}");
        // Two of them are told apart, and one that is unregistered is silent.
        let second = selector.waker(Key(10)).unwrap();
        waker.raise();
        second.raise();
        assert_eq!(keys(&now(selector)), [9, 10], "{backend}");
        selector.unregister(waker.as_fd()).unwrap();
        waker.raise();
        second.raise();
        assert_eq!(keys(&now(selector)), [10], "{backend}");
    });
}

#[test]
fn no_message_waits_for_a_raise_that_was_lost() {
    const THREADS: u64 = 3;
    const MESSAGES: u64 = 2000;
    each(|backend, selector| {
        let waker = selector.waker(Key(1)).unwrap();
        let queue = Mutex::new(VecDeque::new());
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (queue, waker) = (&queue, waker.clone());
                scope.spawn(move || {
                    for message in 0..MESSAGES {
                        queue.lock().unwrap().push_back((thread, message));
                        waker.raise();
                    }
                });
            }
            let (mut count, mut events) = (0, vec![]);
            while count < THREADS * MESSAGES {
                selector.wait(&mut events, Some(PATIENCE)).unwrap();
                assert_eq!(keys(&events), [1], "{backend}: {count} came");
                while queue.lock().unwrap().pop_front().is_some() {
                    count += 1;
                }
            }
        });
    });
}

#[test]
fn a_limit_below_a_millisecond_is_kept() {
    each(|backend, selector| {
        let limit = Duration::from_micros(100);
        let mut events = vec![];
        let shortest = (0..200).map(|_| {
            let start = Instant::now();
            selector.wait(&mut events, Some(limit)).unwrap();
            let taken = start.elapsed();
            assert!(taken >= limit, "{backend}: {taken:?} is early");
            taken
        });
        // The others had to wait for somebody else to give up the processor.
        let shortest = shortest.min().unwrap();
        assert!(
            shortest < Duration::from_micros(900),
            "{backend}: {shortest:?}"
        );
    });
}

#[test]
fn a_limit_holds_although_others_register_all_the_time() {
    each(|backend, selector| {
        let waker = Waker::new().unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    selector
                        .register(waker.as_fd(), Key(1), READ, Trigger::Level)
                        .unwrap();
                    selector.unregister(waker.as_fd()).unwrap();
                }
            });
            let _over = Finally::new(|| is_over.store(true, Ordering::SeqCst));
            let mut events = vec![];
            let limit = Duration::from_millis(30);
            assert_takes(limit, || {
                selector.wait(&mut events, Some(limit)).unwrap();
                assert_eq!(events, [], "{backend}");
            });
        });
    });
}

#[test]
fn of_two_selectors_with_an_exclusive_wake_up_one_is_woken() {
    let _few = NUMBERS.read().unwrap_or_else(|error| error.into_inner());
    for (interest, woken) in [(READ, 2), (READ | Interest::EXCLUSIVE, 1)] {
        let (server, addr) = listener(8);
        let selectors: Vec<_> = (0..2).map(|_| Backend::Epoll.open().unwrap()).collect();
        let wakers: Vec<_> = selectors
            .iter()
            .map(|selector| selector.waker(Key(9)).unwrap())
            .collect();
        for selector in &selectors {
            selector
                .register(server.as_fd(), Key(1), interest, Trigger::Level)
                .unwrap();
        }
        let told: Vec<_> = thread::scope(|scope| {
            let (tell, hear) = mpsc::channel();
            for selector in &selectors {
                let tell = tell.clone();
                scope.spawn(move || {
                    tell.send(Err(thread_id())).unwrap();
                    let mut events = vec![];
                    selector.wait(&mut events, Some(PATIENCE)).unwrap();
                    tell.send(Ok(keys(&events))).unwrap();
                });
            }
            for _thread in &selectors {
                await_asleep(&hear.recv().unwrap().unwrap_err());
            }
            tcp().connect(&addr).unwrap();
            let first = hear.recv().unwrap().unwrap();
            // Long after both would have been woken.
            await_readable(&server);
            for waker in &wakers {
                waker.raise();
            }
            vec![first, hear.recv().unwrap().unwrap()]
        });
        let count = told.iter().filter(|keys| keys.contains(&1)).count();
        assert_eq!(count, woken, "{interest:?}: {told:?}");
    }
}

#[test]
fn an_exclusive_registration_is_modified_and_goes_with_few_others() {
    each(|backend, selector| {
        let (a, b) = unix_pair(Kind::STREAM);
        let exclusive = READ | Interest::EXCLUSIVE;
        let result = selector.register(b.as_fd(), Key(1), exclusive, Trigger::Level);
        if backend != Backend::Epoll {
            assert_unsupported(result);
            return;
        }
        result.unwrap();
        a.send_all(b"x").unwrap();
        assert_eq!(next(selector).key, Key(1));
        for (key, interest) in [(2, exclusive), (3, READ), (4, exclusive)] {
            selector
                .modify(b.as_fd(), Key(key), interest, Trigger::Edge)
                .unwrap();
            assert_eq!(next(selector).key, Key(key));
            assert_eq!(now(selector), []);
        }
        for (interest, trigger) in [
            (exclusive, Trigger::OneShot),
            (exclusive | Interest::PRIORITY, Trigger::Level),
            (exclusive | Interest::PEER_CLOSED, Trigger::Level),
        ] {
            assert_unsupported(selector.modify(b.as_fd(), Key(1), interest, trigger));
        }
        selector.unregister(b.as_fd()).unwrap();
    });
}

#[test]
fn a_selector_can_be_watched_by_another_where_the_kernel_keeps_the_list() {
    each(|backend, selector| {
        let Some(fd) = selector.descriptor() else {
            assert!(backend != Backend::Epoll);
            return;
        };
        assert!(fd.as_raw_fd() >= 0);
        let (a, b) = unix_pair(Kind::STREAM);
        let outer = Backend::Poll.open().unwrap();
        outer.register(fd, Key(1), READ, Trigger::Level).unwrap();
        selector
            .register(b.as_fd(), Key(1), READ, Trigger::Level)
            .unwrap();
        assert_eq!(now(outer.as_ref()), [], "{backend}");
        a.send_all(b"x").unwrap();
        assert!(next(outer.as_ref()).ready.is_readable(), "{backend}");
    });
}
