//! Hooks around calls, and deadlines given to calls.

use std::cell::{Cell, RefCell};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use berkeley::{
    ConnectOptions, ControlBuf, ControlSpace, Deadline, Endpoint, Error, Family, Hook, Kind, Level,
    Mode, MsgFlags, OutMessage, Readiness, RecvBatch, Result, Socket, SocketRef, Transport, opt,
};

use crate::support::{
    PATIENCE, Storm, assert_takes, assert_timed_out, is_nonblocking, listener, narrow_tcp_pair,
    receive, tcp, tcp_pair, thread_id, udp, unix, unix_listener, unix_pair,
};

pub(crate) const LIMIT: Duration = Duration::from_millis(50);

/// Counts the calls that go to the kernel, and lets `signals` signals pass before it ends a call.
pub(crate) struct Watcher {
    inside: Cell<bool>,
    pub(crate) calls: Cell<usize>,
    signals: RefCell<usize>,
}

impl Watcher {
    pub(crate) const fn new(signals: usize) -> Self {
        Self {
            inside: Cell::new(false),
            calls: Cell::new(0),
            signals: RefCell::new(signals),
        }
    }
}

impl Hook for Watcher {
    fn blocking<T: Send>(&self, call: impl FnOnce() -> T + Send) -> T {
        assert!(!self.inside.replace(true), "one call at a time");
        self.calls.set(self.calls.get() + 1);
        let answer = call();
        self.inside.set(false);
        answer
    }

    fn interrupted(&self) -> Result<()> {
        assert!(
            !self.inside.get(),
            "the lock is held when signals are handled"
        );
        let mut left = self.signals.borrow_mut();
        if *left == 0 {
            return Err(Error::Interrupted { call: "test" });
        }
        *left -= 1;
        Ok(())
    }
}

#[test]
fn every_call_goes_through_its_hook() {
    let hook = Watcher::new(0);
    let none = MsgFlags::NONE;
    let counted = |calls: usize| assert_eq!(hook.calls.replace(0), calls);
    let (server, addr) = listener(1);
    let client = tcp();
    client.with_hook(&hook).connect(&addr).unwrap();
    counted(1);
    assert_eq!(tcp().with_hook(&hook).connect_ex(&addr).unwrap(), None);
    counted(1);
    let (peer, _) = server.with_hook(&hook).accept().unwrap();
    counted(1);
    let peer = peer.with_hook(&hook);
    client.with_hook(&hook).send_all(b"abc").unwrap();
    counted(1);
    let mut buf = [0; 1];
    assert_eq!(peer.recv(&mut buf, none).unwrap(), 1);
    assert_eq!(peer.recv_into(&mut buf, none).unwrap(), 1);
    assert_eq!(peer.recv_vec(9, none).unwrap(), b"c");
    counted(3);
    assert_eq!(peer.send(b"x", none).unwrap(), 1);
    counted(1);
    let (socket, addr) = udp();
    let hooked = socket.with_hook(&hook);
    hooked.send_to(b"x", none, addr.to_std().unwrap()).unwrap();
    hooked.wait(Readiness::Readable).unwrap();
    assert_eq!(hooked.recv_from(&mut buf, none).unwrap().0, 1);
    counted(3);
    let answer = hooked.call(Readiness::Writable, "mine", |_fd| Ok(7));
    assert_eq!(answer.unwrap(), 7);
    counted(1);
}

#[test]
fn messages_batches_and_descriptors_go_through_the_hook() {
    let hook = Watcher::new(0);
    let counted = |calls: usize| assert_eq!(hook.calls.replace(0), calls);
    let (socket, addr) = udp();
    let hooked = socket.with_hook(&hook);
    let pieces = [IoSlice::new(b"ab"), IoSlice::new(b"c")];
    let message = OutMessage::new(&pieces).to(&addr);
    let none = MsgFlags::NONE;
    assert_eq!(hooked.send_message(&message, none).unwrap(), 3);
    assert_eq!(hooked.send_batch(&[message; 40], none).unwrap(), 40);
    counted(3);
    let (mut room, mut buf) = (ControlSpace::<64>::new(), [0; 8]);
    let mut control = room.buf();
    let came = hooked
        .recv_message(&mut [IoSliceMut::new(&mut buf)], &mut control, none)
        .unwrap();
    assert_eq!((came.len(), came.addr()), (3, Some(addr)));
    assert_eq!(
        hooked
            .recv_batch(&mut RecvBatch::new(50, 8, 0), none)
            .unwrap(),
        40
    );
    counted(2);
    let (a, b) = unix_pair(Kind::STREAM);
    a.with_hook(&hook)
        .send_fds(b"x", &[a.as_fd()], none)
        .unwrap();
    let came = b.with_hook(&hook).recv_fds(&mut buf, none).unwrap();
    assert_eq!((came.len, came.fds.len()), (1, 1));
    counted(2);
}

#[test]
fn a_deadline_ends_messages_and_batches_of_every_mode_in_time() {
    let none = MsgFlags::NONE;
    let (a, _b) = unix_pair(Kind::DGRAM);
    let filler = [0; 1 << 10];
    a.set_mode(Mode::NonBlock).unwrap();
    while a.send(&filler, none).is_ok() {}
    let pieces = [IoSlice::new(&filler)];
    let message = OutMessage::new(&pieces);
    for mode in [Mode::Block, Mode::NonBlock, Mode::Within(PATIENCE)] {
        a.set_mode(mode).unwrap();
        let soon = || a.until(Deadline::within(LIMIT));
        let mut control = ControlBuf::with_capacity(64);
        assert_takes(LIMIT, || {
            let mut buf = [0; 8];
            let mut buffers = [IoSliceMut::new(&mut buf)];
            assert_timed_out(soon().recv_message(&mut buffers, &mut control, none));
        });
        assert_takes(LIMIT, || {
            assert_timed_out(soon().recv_batch(&mut RecvBatch::new(4, 8, 0), none));
        });
        assert_takes(LIMIT, || assert_timed_out(soon().recv_fds(&mut [0], none)));
        assert_takes(LIMIT, || {
            assert_timed_out(soon().send_message(&message, none))
        });
        assert_takes(LIMIT, || {
            assert_timed_out(soon().send_batch(&[message; 3], none))
        });
        assert_takes(LIMIT, || {
            assert_timed_out(soon().send_fds(&filler, &[a.as_fd()], none));
        });
        assert_eq!(is_nonblocking(&a), mode != Mode::Block, "as it was");
    }
}

#[test]
fn a_batch_of_a_deadline_sends_what_goes_and_waits_for_no_more() {
    let (a, b) = unix_pair(Kind::DGRAM);
    let pieces = [IoSlice::new(&[7; 512])];
    let messages = vec![OutMessage::new(&pieces); 5000];
    let sent = a
        .until(Deadline::within(PATIENCE))
        .send_batch(&messages, MsgFlags::NONE);
    let sent = sent.unwrap();
    assert!((1..5000).contains(&sent), "{sent}");
    for _message in 0..sent {
        assert_eq!(b.recv(&mut [0; 512], MsgFlags::DONTWAIT).unwrap(), 512);
    }
}

#[test]
fn a_connection_by_name_waits_in_its_hook_and_ends_when_that_says_so() {
    let (_server, addr) = listener(1);
    let endpoint: Endpoint = format!("localhost:{}", addr.port().unwrap())
        .parse()
        .unwrap();
    let hook = Watcher::new(0);
    let options = ConnectOptions::new().family(Family::INET);
    let (socket, reached) = options.connect_hooked(&endpoint, &hook).unwrap();
    assert_eq!(socket.peer_addr().unwrap(), Some(reached));
    assert!(hook.calls.get() > 0, "the lookup at least");

    let (_full, full_addr) = listener(0);
    tcp().connect(&full_addr).unwrap();
    let full: Endpoint = full_addr.to_string().parse().unwrap();
    let result =
        stormed(|| ConnectOptions::from(Deadline::NEVER).connect_hooked(&full, &Watcher::new(2)));
    assert_interrupted(result);

    let (_full, full_addr) = unix_listener(Kind::STREAM, 0);
    unix(Kind::STREAM).connect(&full_addr).unwrap();
    let full = Endpoint::from_addr(Transport::Unix, &full_addr).unwrap();
    let soon = ConnectOptions::from(Deadline::within(PATIENCE));
    assert_interrupted(stormed(|| soon.connect_hooked(&full, &Watcher::new(2))));
}

#[test]
fn a_limited_wait_goes_through_the_hook_too() {
    let hook = Watcher::new(0);
    let (a, _b) = tcp_pair();
    a.set_mode(Mode::Within(LIMIT)).unwrap();
    assert_timed_out(a.with_hook(&hook).recv(&mut [0], MsgFlags::NONE));
    assert_eq!(hook.calls.get(), 2, "the try and the wait");
}

/// Makes `call` in a thread that is interrupted again and again.
pub(crate) fn stormed<T: Send>(call: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let (go, gone) = mpsc::channel();
        let caller = scope.spawn(move || {
            tell.send(thread_id()).unwrap();
            gone.recv().unwrap();
            call()
        });
        let mut storm = Storm::over(&told.recv().unwrap());
        storm.await_signals(1);
        go.send(()).unwrap();
        caller.join().unwrap()
    })
}

pub(crate) fn assert_interrupted<T: std::fmt::Debug>(result: Result<T>) {
    assert!(
        matches!(result, Err(Error::Interrupted { .. })),
        "{result:?}"
    );
}

/// Kernel time limits far away: with them, the kernel never restarts a call that a signal
/// interrupted, even for handlers that ask for it.
pub(crate) fn refuse_restart(socket: &Socket) {
    let limit = [10i64.to_ne_bytes(), 0i64.to_ne_bytes()].concat();
    for option in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
        socket.set_raw(Level::SOCKET, option, &limit).unwrap();
    }
}

pub(crate) const MODES: [Mode; 2] = [Mode::Within(PATIENCE), Mode::Block];

#[test]
fn a_hook_can_end_every_call_that_waits_for_data_at_a_signal() {
    let none = MsgFlags::NONE;
    // More than both ends hold, and little enough that memcheck has looked at it before the next
    // signal comes.
    let big = vec![0; 1 << 20];
    for mode in MODES {
        let (a, _b) = narrow_tcp_pair();
        a.set_mode(mode).unwrap();
        refuse_restart(&a);
        let hooked = || Watcher::new(2);
        assert_interrupted(stormed(|| a.with_hook(&hooked()).recv(&mut [0], none)));
        assert_interrupted(stormed(|| a.with_hook(&hooked()).recv_from(&mut [0], none)));
        assert_interrupted(stormed(|| a.with_hook(&hooked()).recv_vec(9, none)));
        match stormed(|| a.with_hook(&hooked()).send_all(&big)) {
            Err(Error::Partial { cause, sent }) if sent > 0 => {
                assert_interrupted(Err::<(), _>(*cause))
            }
            other => panic!("{other:?}"),
        }
        let (server, _) = listener(1);
        server.set_mode(mode).unwrap();
        refuse_restart(&server);
        assert_interrupted(stormed(|| server.with_hook(&hooked()).accept()));
    }
}

#[test]
fn a_hook_can_end_a_connect_at_a_signal() {
    let (_server, addr) = listener(0);
    let first = tcp();
    first.connect(&addr).unwrap();
    let (_full, full_addr) = unix_listener(Kind::STREAM, 0);
    let first = unix(Kind::STREAM);
    first.connect(&full_addr).unwrap();
    for mode in MODES {
        for (client, addr) in [(tcp(), &addr), (unix(Kind::STREAM), &full_addr)] {
            client.set_mode(mode).unwrap();
            refuse_restart(&client);
            assert_interrupted(stormed(|| client.with_hook(&Watcher::new(2)).connect(addr)));
            assert_eq!(is_nonblocking(&client), mode != Mode::Block, "as it was");
        }
    }
}

#[test]
fn a_hook_that_says_nothing_lets_a_call_go_on_after_signals() {
    let (a, _b) = tcp_pair();
    a.set_mode(Mode::Within(Duration::from_millis(100)))
        .unwrap();
    let result = stormed(|| {
        a.with_hook(&Watcher::new(usize::MAX))
            .recv(&mut [0], MsgFlags::NONE)
    });
    assert_timed_out(result);
}

#[test]
fn a_deadline_ends_calls_of_every_mode_in_time() {
    let (server, _) = listener(1);
    let (a, _b) = tcp_pair();
    let (full, _) = unix_listener(Kind::STREAM, 0);
    let full_addr = full.local_addr().unwrap();
    unix(Kind::STREAM).connect(&full_addr).unwrap();
    let big = vec![0; 1 << 24];
    for mode in [Mode::Block, Mode::NonBlock, Mode::Within(PATIENCE)] {
        a.set_mode(mode).unwrap();
        server.set_mode(mode).unwrap();
        let soon = || Deadline::within(LIMIT);
        assert_takes(LIMIT, || {
            assert_timed_out(a.recv_until(&mut [0], MsgFlags::NONE, soon()));
        });
        assert_takes(LIMIT, || assert_timed_out(server.accept_until(soon())));
        assert_takes(LIMIT, || assert_timed_out(a.send_all_until(&big, soon())));
        let client = unix(Kind::STREAM);
        client.set_mode(mode).unwrap();
        assert_takes(LIMIT, || {
            assert_timed_out(client.connect_until(&full_addr, soon()));
        });
        assert_eq!(client.mode(), mode);
        assert_eq!(is_nonblocking(&client), mode != Mode::Block);
    }
}

#[test]
fn a_deadline_of_a_connect_holds_on_the_internet_too() {
    let (_server, addr) = listener(0);
    tcp().connect(&addr).unwrap();
    for mode in [Mode::Block, Mode::NonBlock, Mode::Within(PATIENCE)] {
        assert_takes(LIMIT, || {
            let client = tcp();
            client.set_mode(mode).unwrap();
            assert_timed_out(client.connect_until(&addr, Deadline::within(LIMIT)));
            assert_eq!(is_nonblocking(&client), mode != Mode::Block);
        });
    }
}

#[test]
fn one_deadline_bounds_several_calls() {
    let (a, b) = unix_pair(Kind::STREAM);
    assert_takes(LIMIT, || {
        b.send_all(b"x").unwrap();
        let by_then = a.until(Deadline::within(LIMIT));
        assert_eq!(by_then.recv(&mut [0], MsgFlags::NONE).unwrap(), 1);
        assert_timed_out(by_then.recv(&mut [0], MsgFlags::NONE));
    });
}

#[test]
fn a_deadline_in_the_past_still_takes_what_is_there() {
    let (a, b) = unix_pair(Kind::STREAM);
    b.send_all(b"xy").unwrap();
    let past = a.until(Deadline::within(Duration::ZERO));
    assert_eq!(past.recv(&mut [0], MsgFlags::NONE).unwrap(), 1);
    assert!(past.recv(&mut [0], MsgFlags::DONTWAIT).is_ok());
    let error = past.recv(&mut [0], MsgFlags::DONTWAIT).unwrap_err();
    assert!(error.is_would_block());
    assert_timed_out(past.recv(&mut [0], MsgFlags::NONE));
}

#[test]
fn a_borrowed_socket_has_all_calls() {
    let owner = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = owner.local_addr().unwrap();
    {
        let view = SocketRef::new(&owner).unwrap();
        view.until(Deadline::within(PATIENCE))
            .send_to(b"x", MsgFlags::NONE, addr)
            .unwrap();
        assert_eq!(receive(&view), b"x");
        view.set(opt::Broadcast, true).unwrap();
        assert!(owner.broadcast().unwrap());
        view.set_mode(Mode::NonBlock).unwrap();
    }
    assert!(
        is_nonblocking(&owner),
        "the owner's descriptor is still open"
    );
    let file = std::fs::File::open("/dev/null").unwrap();
    let error = SocketRef::new(&file).unwrap_err();
    assert_eq!(error.errno(), Some(berkeley::Errno::ENOTSOCK));
}
