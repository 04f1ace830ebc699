//! Values from other threads.

use std::thread;
use std::time::{Duration, Instant};

use switchboard_reactor::Reactor;

use crate::support::{BACKENDS, Told, assert_idle, run};

#[test]
fn no_value_is_lost_and_each_thread_keeps_its_order() {
    const THREADS: usize = 4;
    const VALUES: usize = 5000;
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (sender, receiver) = reactor.mailbox();
        let (sender_b, receiver_b) = reactor.mailbox();
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (sender, sender_b) = (sender.clone(), sender_b.clone());
                thread::spawn(move || {
                    for value in 0..VALUES {
                        sender.send((thread, value));
                        if value % 10 == 0 {
                            sender_b.send(());
                        }
                    }
                })
            })
            .collect();
        let (mut next, mut others) = ([0; THREADS], 0);
        run(&mut reactor, |reactor, told| {
            assert!(matches!(told, Told::Woken), "{told:?}");
            for (thread, value) in receiver.take() {
                assert_eq!(next[thread], value, "{backend}");
                next[thread] += 1;
            }
            others += receiver_b.take().len();
            if next == [VALUES; THREADS] && others == THREADS * VALUES / 10 {
                reactor.stop();
            }
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(receiver.take().len(), 0);
    }
}

#[test]
fn an_empty_mailbox_costs_nothing_and_a_sender_may_outlive_the_reactor() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (sender, receiver) = reactor.mailbox();
        sender.send(1);
        sender.send(2);
        let mut woken = 0;
        run(&mut reactor, |reactor, _| {
            woken += 1;
            reactor.stop();
        });
        assert_eq!((woken, receiver.take().collect()), (1, vec![1, 2]));
        assert_idle(&mut reactor, Duration::from_millis(50));
        drop(reactor);
        sender.send(3);
        assert!(receiver.take().eq([3]));
    }
}

#[test]
fn only_the_first_value_of_an_empty_mailbox_wakes() {
    const ROUNDS: usize = 20;
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (sender, receiver) = reactor.mailbox();
        sender.send(0);
        let (mut woken, mut values) = (0, Vec::new());
        reactor.set_timer(Instant::now(), 1);
        run(&mut reactor, |reactor, told| match told {
            // A turn like any other, in which a wake-up too many would be told.
            Told::Timer(turn) if turn < 3 * ROUNDS as u64 => {
                if turn % 3 == 0 {
                    sender.send(turn);
                }
                reactor.set_timer(Instant::now(), turn + 1);
            }
            Told::Timer(_) => reactor.stop(),
            Told::Woken => {
                woken += 1;
                // The one that woke has not been taken yet, and those that follow go with it.
                for value in 1000..1010 {
                    sender.send(value);
                }
                values.extend(receiver.take());
            }
            told => panic!("{told:?}"),
        });
        let rounds = ROUNDS;
        assert_eq!((woken, values.len()), (rounds, rounds * 11), "{backend}");
    }
}
