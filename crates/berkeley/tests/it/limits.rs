//! Time limits of every call that can wait, in peace and under a rain of signals.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Finally, PATIENCE, Storm, thread_id};
use crate::waits::{self, Limit, Wait};

/// How late a limit may end a call.
const LATE_MAX: Duration = Duration::from_millis(20);

/// Another program may keep the machine busy: one of so many tries has to be in time.
const TRIES: usize = 25;

/// How often a call is interrupted before it is given what it waits for.
const SIGNALS: usize = 5;

/// Asserts that a call is never ended before its limit, and not long after.
fn assert_in_time(wait: &Wait, limit: Limit, length: Duration) {
    let name = wait.name;
    let mut late = Duration::MAX;
    for _try in 0..TRIES {
        let start = Instant::now();
        let error = (wait.call)(limit).expect_err(name);
        let taken = start.elapsed();
        assert!(error.is_timed_out(), "{name}, {limit:?}: {error:?}");
        assert!(taken >= length, "{name}, {limit:?}: {taken:?}");
        late = late.min(taken.checked_sub(length).unwrap());
        if late <= LATE_MAX {
            return;
        }
    }
    panic!("{name}, {limit:?}: late by {late:?}, at best");
}

fn assert_all_in_time(length: Duration) {
    for wait in waits::all() {
        assert_in_time(&wait, Limit::Mode(length), length);
        if wait.has_deadline {
            assert_in_time(&wait, Limit::Deadline(length), length);
        }
    }
}

#[test]
fn every_limit_holds_within_20_ms_and_ends_nothing_early() {
    for length in [1, 50].map(Duration::from_millis) {
        assert_all_in_time(length);
    }
}

#[test]
fn signals_neither_stretch_nor_shorten_any_limit() {
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let (start, started) = mpsc::channel::<()>();
        let waiter = scope.spawn(move || {
            tell.send(thread_id()).unwrap();
            started.recv().unwrap();
            assert_all_in_time(Duration::from_millis(50));
        });
        let mut storm = Storm::over(&told.recv().unwrap());
        storm.await_signals(1);
        start.send(()).unwrap();
        waiter.join().unwrap();
    });
}

/// Makes each call in a thread that signals keep interrupting, and lets it succeed after some.
fn assert_all_go_on(limit: Limit) {
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let (give, given) = mpsc::channel::<Wait>();
        let (done, ended) = mpsc::channel();
        scope.spawn(move || {
            tell.send(thread_id()).unwrap();
            for wait in given {
                let Wait {
                    name,
                    call,
                    release,
                    ..
                } = wait;
                done.send(Some(release)).unwrap();
                if let Err(error) = call(limit) {
                    panic!("{name}, {limit:?}: {error:?}");
                }
                done.send(None).unwrap();
            }
        });
        let mut storm = Storm::over(&told.recv().unwrap());
        storm.await_signals(1);
        for wait in waits::all() {
            let is_asked = match limit {
                Limit::None => wait.has_no_limit,
                Limit::Mode(_) => true,
                Limit::Deadline(_) => wait.has_deadline,
            };
            if !is_asked {
                continue;
            }
            let name = wait.name;
            give.send(wait).unwrap();
            let release = ended.recv_timeout(PATIENCE).expect(name).expect(name);
            // What it has captured lives until the call has ended.
            let released = Finally::new(&release);
            storm.await_signals(SIGNALS);
            assert!(ended.try_recv().is_err(), "{name}, {limit:?}: did not wait");
            drop(released);
            ended.recv_timeout(PATIENCE).expect(name);
        }
        drop(give);
    });
}

#[test]
fn every_blocking_call_goes_on_after_signals() {
    assert_all_go_on(Limit::None);
}

#[test]
fn every_limited_call_goes_on_after_signals() {
    assert_all_go_on(Limit::Mode(PATIENCE));
}

#[test]
fn every_call_with_a_deadline_goes_on_after_signals() {
    assert_all_go_on(Limit::Deadline(PATIENCE));
}
