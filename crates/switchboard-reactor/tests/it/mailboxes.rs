//! Values from other threads.

use std::thread;
use std::time::Duration;

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
        assert!(receiver.take().is_empty());
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
        assert_eq!((woken, receiver.take().into()), (1, vec![1, 2]));
        assert_idle(&mut reactor, Duration::from_millis(50));
        drop(reactor);
        sender.send(3);
        assert_eq!(receiver.take(), [3]);
    }
}
