//! Hooks and deadlines where one call sends much: segments, and buffers that are not copied.

use std::time::Duration;

use berkeley::{Deadline, Error, Kind, Level, Mode, MsgFlags, Socket, ZeroCopySender};

use crate::ancillary::switch;
use crate::hooks::{LIMIT, MODES, Watcher, assert_interrupted, refuse_restart, stormed};
use crate::support::{
    PATIENCE, assert_takes, assert_timed_out, drain, is_nonblocking, narrow_tcp_pair, receive,
    tcp_pair, udp, unix_pair,
};

const NONE: MsgFlags = MsgFlags::NONE;
const ALL_MODES: [Mode; 3] = [Mode::Block, Mode::NonBlock, Mode::Within(PATIENCE)];

/// A datagram socket whose peer has no room, and that peer.
fn full_pair() -> (Socket, Socket) {
    let (a, b) = unix_pair(Kind::DGRAM);
    a.set_mode(Mode::NonBlock).unwrap();
    while a.send(&[0; 1 << 10], NONE).is_ok() {}
    (a, b)
}

#[test]
fn segments_go_through_the_hook_call_by_call() {
    let (a, _) = udp();
    let (b, b_addr) = udp();
    let hook = Watcher::new(0);
    let counted = |calls: usize| assert_eq!(hook.calls.replace(0), calls);
    let send = || {
        a.with_hook(&hook)
            .send_segmented(b"aabbc", 2, Some(&b_addr), NONE)
    };
    assert_eq!(send().unwrap(), 5);
    counted(1);
    // Without checksums the kernel does not cut.
    switch(&a, Level::SOCKET, libc::SO_NO_CHECK, 1);
    assert_eq!(send().unwrap(), 5);
    counted(4);
    let mut buf = [0; 8];
    for segment in [&b"aa"[..], b"bb", b"c", b"aa", b"bb", b"c"] {
        let came = b.with_hook(&hook).recv_segmented(&mut buf, NONE).unwrap();
        assert_eq!(came.data, segment);
    }
    counted(6);
}

#[test]
fn a_family_that_does_not_cut_gets_the_segments_one_by_one() {
    let (a, b) = unix_pair(Kind::DGRAM);
    assert_eq!(a.send_segmented(b"aabbc", 2, None, NONE).unwrap(), 5);
    for segment in [&b"aa"[..], b"bb", b"c"] {
        assert_eq!(receive(&b), segment);
    }
}

#[test]
fn a_deadline_bounds_all_the_segments_of_a_call() {
    for mode in ALL_MODES {
        let (a, b) = full_pair();
        a.set_mode(mode).unwrap();
        b.set_mode(mode).unwrap();
        let soon = || Deadline::within(LIMIT);
        assert_takes(LIMIT, || {
            assert_timed_out(a.until(soon()).send_segmented(&[1; 300], 100, None, NONE));
        });
        assert_takes(LIMIT, || {
            // Room for some of them.
            receive(&b);
            receive(&b);
            let many = [1; 5000];
            match a.until(soon()).send_segmented(&many, 1, None, NONE) {
                Err(Error::Partial { sent, cause }) => {
                    assert!((1..5000).contains(&sent), "{sent}");
                    assert!(cause.is_timed_out(), "{cause}");
                }
                other => panic!("{other:?}"),
            }
        });
        assert_takes(LIMIT, || {
            assert_timed_out(a.until(soon()).recv_segmented(&mut [0; 8], NONE));
        });
        assert_eq!(is_nonblocking(&a), mode != Mode::Block, "as it was");
    }
}

#[test]
fn a_hook_can_end_segments_at_a_signal() {
    for mode in MODES {
        let (a, _b) = full_pair();
        a.set_mode(mode).unwrap();
        refuse_restart(&a);
        let hooked = || Watcher::new(2);
        assert_interrupted(stormed(|| {
            a.with_hook(&hooked())
                .send_segmented(&[1; 300], 100, None, NONE)
        }));
        assert_interrupted(stormed(|| {
            let mut buf = [0; 8];
            let came = a.with_hook(&hooked()).recv_segmented(&mut buf, NONE)?;
            Ok(came.data.len())
        }));
    }
}

#[test]
fn signals_that_a_hook_lets_pass_do_not_make_segments_late() {
    let (a, _b) = full_pair();
    assert_takes(LIMIT, || {
        let result = stormed(|| {
            a.with_hook(&Watcher::new(usize::MAX))
                .until(Deadline::within(LIMIT))
                .send_segmented(&[1; 300], 100, None, NONE)
        });
        assert_timed_out(result);
    });
}

#[test]
fn buffers_that_are_not_copied_go_through_the_hook() {
    let (a, b) = tcp_pair();
    let hook = Watcher::new(0);
    let mut sender = ZeroCopySender::new(a).unwrap();
    sender.with_hook(&hook).send_all(vec![7; 100]).unwrap();
    assert_eq!(hook.calls.replace(0), 1);
    let done = sender
        .with_hook(&hook)
        .until(Deadline::within(PATIENCE))
        .wait_completed();
    assert_eq!(done.unwrap().unwrap().buffer, [7; 100]);
    assert!(hook.calls.replace(0) > 0);
    assert!(sender.with_hook(&hook).take_completed().unwrap().is_none());
    assert_eq!(hook.calls.get(), 1);
    drop(sender);
    assert_eq!(drain(&b), 100);
    let (a, _) = udp();
    let (b, b_addr) = udp();
    let hook = Watcher::new(0);
    let mut sender = ZeroCopySender::new(a).unwrap();
    let mut hooked = sender.with_hook(&hook);
    hooked.send_to(vec![1; 300], &b_addr).unwrap();
    assert_eq!(hook.calls.get(), 1);
    assert_eq!(receive(&b), [1; 300]);
    hooked.finish().unwrap();
}

#[test]
fn a_deadline_bounds_sending_a_buffer_and_waiting_for_it() {
    for mode in ALL_MODES {
        let (a, b) = narrow_tcp_pair();
        a.set_mode(mode).unwrap();
        let mut sender = ZeroCopySender::new(a).unwrap();
        let soon = || Deadline::within(LIMIT);
        assert_takes(LIMIT, || {
            // Nobody reads.
            assert_timed_out(sender.until(soon()).send_all(vec![7; 1 << 20]));
        });
        assert!(sender.pending() >= 1, "what went of the first one");
        assert_takes(LIMIT, || {
            assert_timed_out(sender.until(soon()).wait_completed());
        });
        assert_takes(LIMIT, || assert_timed_out(sender.until(soon()).finish()));
        assert_eq!(is_nonblocking(sender.socket()), mode != Mode::Block);
        drop(b);
        sender.finish(Deadline::within(PATIENCE)).unwrap();
    }
}

#[test]
fn a_hook_can_end_the_sending_of_a_buffer_and_the_wait_for_it_at_a_signal() {
    for mode in MODES {
        let (a, b) = narrow_tcp_pair();
        a.set_mode(mode).unwrap();
        refuse_restart(&a);
        let mut sender = ZeroCopySender::new(a).unwrap();
        match stormed(|| {
            sender
                .with_hook(&Watcher::new(2))
                .send_all(vec![7; 1 << 20])
        }) {
            Err(Error::Partial { sent, cause }) if sent > 0 => {
                assert_interrupted(Err::<(), _>(*cause));
            }
            other => panic!("{other:?}"),
        }
        assert_interrupted(stormed(|| {
            sender.with_hook(&Watcher::new(2)).wait_completed()
        }));
        let late = Duration::from_millis(100);
        let result = stormed(|| {
            sender
                .with_hook(&Watcher::new(usize::MAX))
                .until(Deadline::within(late))
                .wait_completed()
        });
        assert_timed_out(result);
        drop(b);
        sender.finish(Deadline::within(PATIENCE)).unwrap();
    }
}
