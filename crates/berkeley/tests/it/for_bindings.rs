//! What language bindings need besides: descriptors that are numbers, facts that are known already,
//! hooks everywhere.

use std::cell::Cell;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::{Duration, Instant};

use berkeley::select::{Epoll, EpollFlags, FdSet, Poll, PollFlags, select_with};
use berkeley::selector::{Interest, IoUring, Key, Selector, Trigger};
use berkeley::{
    ControlBuf, Errno, Error, Family, Hook, Kind, Level, Mode, MsgFlags, Protocol, Result, Socket,
    control_len, raw_cmsgs,
};

use crate::support::{
    PATIENCE, Storm, await_asleep, drain, is_nonblocking, receive, thread_id, unix_pair,
};

const NONE: MsgFlags = MsgFlags::NONE;

/// Counts system calls, and ends a call at its first interruption.
#[derive(Default)]
struct Ending {
    calls: Cell<usize>,
}

impl Hook for Ending {
    const IS_WOKEN_BY_CLOSE: bool = false;

    fn blocking<T: Send>(&self, call: impl FnOnce() -> T + Send) -> T {
        self.calls.set(self.calls.get() + 1);
        call()
    }

    fn interrupted(&self) -> Result<()> {
        Err(Error::Interrupted { call: "hook" })
    }
}

/// Sends a descriptor and receives it with room for so many bytes of control messages.
fn passed(room: usize) -> (Socket, ControlBuf<'static>, bool) {
    let (a, b) = unix_pair(Kind::STREAM);
    b.send_fds(b"x", &[a.as_fd()], NONE).unwrap();
    let mut control = ControlBuf::with_room(room);
    assert_eq!(control.capacity(), room);
    let mut data = [0; 1];
    let mut buffers = [IoSliceMut::new(&mut data)];
    let message = a.recv_message(&mut buffers, &mut control, NONE).unwrap();
    let is_cut = message.is_control_truncated();
    (b, control, is_cut)
}

#[test]
fn control_messages_are_cut_at_exactly_the_room_there_is() {
    let len = control_len(4).unwrap();
    let (_b, control, is_cut) = passed(len);
    assert!(!is_cut);
    assert_eq!(raw_cmsgs(control.as_bytes()).count(), 1);
    let (_b, control, is_cut) = passed(len - 1);
    assert!(is_cut);
    let descriptors = raw_cmsgs(control.as_bytes()).filter(|(_, _, bytes)| bytes.len() >= 4);
    assert_eq!(descriptors.count(), 0);
}

#[test]
fn a_descriptor_that_is_left_open_belongs_to_who_has_read_its_number() {
    for stays in [true, false] {
        let (b, mut control, _is_cut) = passed(64);
        let [(level, kind, number)] = raw_cmsgs(control.as_bytes()).collect::<Vec<_>>()[..] else {
            panic!("one message");
        };
        assert_eq!((level, kind), (Level::SOCKET, libc::SCM_RIGHTS));
        let fd = i32::from_ne_bytes(number.try_into().unwrap());
        let link = || std::fs::read_link(format!("/proc/self/fd/{fd}"));
        let received = link().unwrap();
        if stays {
            control.leave_open();
        }
        drop(control);
        // The other end is gone but for the descriptor that was received.
        assert_eq!(link().is_ok_and(|now| now == received), stays);
        if stays {
            b.send_all(b"y").unwrap();
        }
    }
}

#[test]
fn what_is_known_of_a_descriptor_need_not_be_asked() {
    let (a, b) = Socket::pair_with(
        Family::UNIX,
        Kind::STREAM,
        Protocol::DEFAULT,
        Mode::NonBlock,
    )
    .unwrap();
    assert!(is_nonblocking(&a) && is_nonblocking(&b));
    assert_eq!(a.mode(), Mode::NonBlock);
    let number = a.as_fd().as_raw_fd();
    let limit = Mode::Within(Duration::from_secs(9));
    let kind = Kind::from_raw(Kind::STREAM.raw() | Kind::NONBLOCK.raw());
    let a = Socket::adopt_as(a.detach(), limit, Family::UNIX, kind, Protocol::DEFAULT);
    assert_eq!(a.as_fd().as_raw_fd(), number);
    assert_eq!(
        (a.mode(), a.family(), a.kind()),
        (limit, Family::UNIX, Kind::STREAM)
    );
    b.send_all(b"known").unwrap();
    assert_eq!(receive(&a), b"known");
    berkeley::close(a.detach()).unwrap();
    assert_eq!(receive(&b), b"");
}

#[test]
fn a_send_of_everything_hears_the_hook_when_it_was_cut_short() {
    let (a, _b) = unix_pair(Kind::STREAM);
    a.set_mode(Mode::Within(Duration::from_secs(60))).unwrap();
    let hook = Ending::default();
    match a.with_hook(&hook).send_all(&vec![0; 64 << 20]) {
        Err(Error::Partial { sent, cause }) => {
            assert!(sent > 0);
            assert!(matches!(*cause, Error::Interrupted { .. }), "{cause}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(hook.calls.get(), 1);
}

#[test]
fn a_send_of_everything_takes_flags() {
    let (a, b) = unix_pair(Kind::STREAM);
    a.set_mode(Mode::Block).unwrap();
    match a.send_all_with(&vec![0; 64 << 20], MsgFlags::DONTWAIT) {
        Err(Error::Partial { sent, cause }) => {
            assert_eq!(cause.errno(), Some(Errno::EAGAIN));
            drop(a);
            assert_eq!(drain(&b), sent);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hook_that_wants_no_descriptors_waits_until_its_limit() {
    let (a, _b) = unix_pair(Kind::STREAM);
    let limit = Duration::from_millis(300);
    a.set_mode(Mode::Within(limit)).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            tell.send(thread_id()).unwrap();
            let start = Instant::now();
            let error = a.with_hook(&Ending::default()).recv(&mut [0], NONE);
            (error.unwrap_err(), start.elapsed())
        });
        await_asleep(&told.recv().unwrap());
        a.close().unwrap();
        let (error, took) = waits.join().unwrap();
        // At its limit poll(2) looks once more, and finds it closed.
        assert!(error.is_timed_out() || error.is_closed(), "{error}");
        assert!(took >= limit, "{took:?}");
    });
}

#[test]
fn bare_waits_go_through_a_hook() {
    let (a, b) = unix_pair(Kind::STREAM);
    a.send_all(b"x").unwrap();
    let hook = Ending::default();
    let mut read = FdSet::new();
    read.insert(&b).unwrap();
    let (mut write, mut except) = (FdSet::new(), FdSet::new());
    assert_eq!(
        select_with(&hook, &mut read, &mut write, &mut except, None).unwrap(),
        1
    );
    let mut poll = Poll::new();
    poll.register(&b, PollFlags::IN);
    assert_eq!(poll.poll_with(&hook, None).unwrap().count(), 1);
    let epoll = Epoll::new().unwrap();
    epoll.register(&b, EpollFlags::IN, 7).unwrap();
    let mut events = Vec::new();
    epoll.poll_with(&hook, &mut events, 10, None).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(hook.calls.get(), 3);
}

#[test]
fn a_signal_ends_a_wait_on_a_ring_that_asks_for_that_and_no_other() {
    let Ok(ring) = IoUring::new().inspect_err(|error| eprintln!("skipped: {error}")) else {
        return;
    };
    let (a, b) = unix_pair(Kind::STREAM);
    ring.register(b.as_fd(), Key(7), Interest::READABLE, Trigger::Level)
        .unwrap();
    let mut events = Vec::new();
    let limit = Duration::from_millis(100);
    let mut storm = Storm::over(&thread_id());
    storm.await_signals(1);
    for wanted in [None, Some(PATIENCE)] {
        let error = ring.wait_interruptibly(&mut events, wanted).unwrap_err();
        assert!(matches!(error, Error::Interrupted { .. }), "{error}");
    }
    let start = Instant::now();
    ring.wait(&mut events, Some(limit)).unwrap();
    assert!(events.is_empty() && start.elapsed() >= limit);
    storm.await_signals(1);
    drop(storm);
    // A caller that goes on is told of the limit as by any other wait.
    let start = Instant::now();
    while ring
        .wait_interruptibly(&mut events, Some(limit.saturating_sub(start.elapsed())))
        .is_err()
    {}
    assert!(events.is_empty() && start.elapsed() >= limit);
    // What is ready is told, also by a wait that ended so before.
    a.send_all(b"x").unwrap();
    ring.wait_interruptibly(&mut events, None).unwrap();
    let keys: Vec<_> = events.iter().map(|event| event.key).collect();
    assert_eq!(keys, [Key(7)]);
}
