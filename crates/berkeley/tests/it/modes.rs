//! Blocking, non-blocking and limited calls, and signals that come in between.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use berkeley::selector::Backend;
use berkeley::{Deadline, Error, Kind, Level, Mode, MsgFlags, Result, Socket, opt};

use crate::support::{
    Finally, PATIENCE, Storm, assert_takes, assert_timed_out, drain, is_nonblocking, listener,
    narrow_tcp_pair, receive, send_until_timed_out, tcp, tcp_pair, thread_id, udp, unix,
    unix_listener, unix_pair,
};

const LIMIT: Duration = Duration::from_millis(50);

/// How often a call is interrupted before it is given what it waits for.
const SIGNALS: usize = 10;

#[test]
fn a_mode_is_answered_as_it_was_set() {
    let (socket, _) = udp();
    for (mode, nonblocking) in [
        (Mode::Block, false),
        (Mode::NonBlock, true),
        (Mode::Within(Duration::from_nanos(1)), true),
        (Mode::Within(Duration::from_secs(3600)), true),
        (Mode::Block, false),
    ] {
        socket.set_mode(mode).unwrap();
        assert_eq!(socket.mode(), mode);
        assert_eq!(is_nonblocking(&socket), nonblocking, "{mode:?}");
    }
    socket.set_mode(Mode::Within(Duration::ZERO)).unwrap();
    assert_eq!(socket.mode(), Mode::NonBlock);
    // A limit beyond what can be counted is none, but the kernel's flag stays what it was.
    socket.set_mode(Mode::Within(Duration::MAX)).unwrap();
    assert!(matches!(socket.mode(), Mode::Within(_)));
    assert!(is_nonblocking(&socket));
}

#[test]
fn a_non_blocking_call_never_waits() {
    let (server, _) = listener(1);
    server.set_mode(Mode::NonBlock).unwrap();
    assert!(server.accept().unwrap_err().is_would_block());
    let (a, _b) = tcp_pair();
    a.set_mode(Mode::NonBlock).unwrap();
    let error = a.recv(&mut [0; 1], MsgFlags::NONE).unwrap_err();
    assert!(error.is_would_block() && !error.is_timed_out());
}

#[test]
fn one_call_can_refuse_to_wait_whatever_the_mode() {
    let (a, _b) = tcp_pair();
    for mode in [Mode::Block, Mode::Within(PATIENCE), Mode::NonBlock] {
        a.set_mode(mode).unwrap();
        let error = a.recv(&mut [0; 1], MsgFlags::DONTWAIT).unwrap_err();
        assert!(error.is_would_block(), "{mode:?}: {error:?}");
    }
    a.set_mode(Mode::Within(PATIENCE)).unwrap();
    let data = vec![0; 1 << 20];
    let error = loop {
        if let Err(error) = a.send(&data, MsgFlags::DONTWAIT) {
            break error;
        }
    };
    assert!(error.is_would_block());
}

#[test]
fn a_limit_ends_a_receive_an_accept_and_a_send_in_time() {
    let (a, _b) = tcp_pair();
    a.set_mode(Mode::Within(LIMIT)).unwrap();
    assert_takes(LIMIT, || {
        assert_timed_out(a.recv(&mut [0; 1], MsgFlags::NONE));
    });
    assert_takes(LIMIT, || {
        assert_timed_out(a.recv_from(&mut [0; 1], MsgFlags::NONE));
    });
    let (server, _) = listener(1);
    server.set_mode(Mode::Within(LIMIT)).unwrap();
    assert_takes(LIMIT, || assert_timed_out(server.accept()));
    let data = vec![0; 1 << 20];
    assert_takes(LIMIT, || {
        send_until_timed_out(|| a.send(&data, MsgFlags::NONE))
    });
}

#[test]
fn a_limit_of_a_fraction_of_a_millisecond_is_not_rounded_down() {
    let (a, _b) = tcp_pair();
    for micros in [1, 300, 1_700] {
        let limit = Duration::from_micros(micros);
        a.set_mode(Mode::Within(limit)).unwrap();
        assert_takes(limit, || {
            assert_timed_out(a.recv(&mut [0; 1], MsgFlags::NONE));
        });
    }
}

#[test]
fn what_is_there_already_is_received_within_any_limit() {
    let (a, b) = unix_pair(Kind::STREAM);
    a.send_all(b"x").unwrap();
    b.set_mode(Mode::Within(Duration::from_nanos(1))).unwrap();
    assert_eq!(receive(&b), b"x");
}

#[test]
fn the_limit_of_a_long_send_counts_as_a_whole() {
    let (a, b) = unix_pair(Kind::STREAM);
    a.set(opt::SendBuffer, 4096).unwrap();
    a.set_mode(Mode::Within(LIMIT)).unwrap();
    // More than goes in that time; made before the peer begins to wait.
    let data = vec![0; 1 << 28];
    thread::scope(|scope| {
        // The peer takes what comes, so no single wait is long.
        let reader = scope.spawn(|| drain(&b));
        let start = Instant::now();
        let error = a.send_all(&data).unwrap_err();
        assert!(start.elapsed() >= LIMIT);
        assert!(error.is_timed_out(), "{error:?}");
        let Error::Partial { sent, .. } = error else {
            panic!("{error:?}");
        };
        a.close().unwrap();
        assert_eq!(reader.join().unwrap(), sent);
    });
}

#[test]
fn a_blocking_receive_waits_for_its_data() {
    let (a, b) = tcp_pair();
    b.set_mode(Mode::Block).unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| receive(&b));
        a.send_all(b"at last").unwrap();
        assert_eq!(reader.join().unwrap(), b"at last");
    });
}

#[test]
fn a_deadline_counts_down_to_zero() {
    assert_eq!(Deadline::NEVER.left(), None);
    assert!(!Deadline::NEVER.has_passed());
    assert!(Deadline::within(Duration::ZERO).has_passed());
    assert!(Deadline::within(PATIENCE).left().unwrap() <= PATIENCE);
    assert_eq!(Deadline::at(Instant::now()).left(), Some(Duration::ZERO));
    assert_eq!(Deadline::within(Duration::MAX), Deadline::NEVER);
}

/// Runs `wait` in a thread that signals keep interrupting; `release` is called when `signals` of
/// them have come, and makes the wait end.
fn interrupted<T: Send>(
    signals: usize,
    wait: impl FnOnce() -> Result<T> + Send,
    release: impl FnOnce(),
) -> Result<T> {
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let (start, started) = mpsc::channel();
        let waiter = scope.spawn(move || {
            tell.send(thread_id()).unwrap();
            started.recv().unwrap();
            wait()
        });
        let mut storm = Storm::over(&told.recv().unwrap());
        storm.await_signals(1);
        let release = Finally::new(release);
        start.send(()).unwrap();
        storm.await_signals(signals);
        drop(release);
        waiter.join().unwrap()
    })
}

/// A kernel time limit far away: with it, the kernel never restarts a call that a signal
/// interrupted, even for handlers that ask for it, so that the library has to.
fn refuse_restart(socket: &Socket, option: i32) {
    let limit = [10i64.to_ne_bytes(), 0i64.to_ne_bytes()].concat();
    socket.set_raw(Level::SOCKET, option, &limit).unwrap();
}

#[test]
fn a_limited_receive_goes_on_after_signals() {
    let (a, b) = tcp_pair();
    let got = interrupted(SIGNALS, || Ok(receive(&b)), || a.send_all(b"x").unwrap());
    assert_eq!(got.unwrap(), b"x");
}

#[test]
fn signals_do_not_stretch_a_limit() {
    let (_a, b) = tcp_pair();
    let limit = Duration::from_millis(150);
    b.set_mode(Mode::Within(limit)).unwrap();
    let wait = || {
        assert_takes(limit, || {
            assert_timed_out(b.recv(&mut [0; 1], MsgFlags::NONE));
        });
        Ok(())
    };
    interrupted(0, wait, || {}).unwrap();
}

#[test]
fn a_blocking_receive_goes_on_after_signals() {
    let (a, b) = tcp_pair();
    b.set_mode(Mode::Block).unwrap();
    refuse_restart(&b, libc::SO_RCVTIMEO);
    let got = interrupted(SIGNALS, || Ok(receive(&b)), || a.send_all(b"x").unwrap());
    assert_eq!(got.unwrap(), b"x");
}

#[test]
fn a_blocking_accept_goes_on_after_signals() {
    let (server, addr) = listener(1);
    refuse_restart(&server, libc::SO_RCVTIMEO);
    let client = tcp();
    let got = interrupted(
        SIGNALS,
        || server.accept(),
        || client.connect(&addr).unwrap(),
    );
    assert_eq!(got.unwrap().1, Some(client.local_addr().unwrap()));
}

#[test]
fn a_blocking_send_goes_on_after_signals() {
    let (a, b) = narrow_tcp_pair();
    a.set_mode(Mode::Block).unwrap();
    refuse_restart(&a, libc::SO_SNDTIMEO);
    let data = vec![7; 1 << 20];
    thread::scope(|scope| {
        let (go, gone) = mpsc::channel::<()>();
        let reader = scope.spawn(move || {
            gone.recv().unwrap();
            drain(&b)
        });
        let sent = interrupted(SIGNALS, || a.send_all(&data), || go.send(()).unwrap());
        sent.unwrap();
        a.close().unwrap();
        assert_eq!(reader.join().unwrap(), data.len());
    });
}

#[test]
fn a_blocking_connect_goes_on_after_signals() {
    let (server, addr) = listener(0);
    let first = tcp();
    first.connect(&addr).unwrap();
    let client = tcp();
    refuse_restart(&client, libc::SO_SNDTIMEO);
    // With room in the queue, the kernel's next try, a second later, gets through.
    let got = interrupted(
        SIGNALS,
        || client.connect(&addr),
        || drop(server.accept().unwrap()),
    );
    got.unwrap();
    assert_eq!(client.peer_addr().unwrap(), Some(addr));
}

#[test]
fn a_blocking_connect_of_a_unix_socket_goes_on_after_signals() {
    let (server, addr) = unix_listener(Kind::STREAM, 0);
    let first = unix(Kind::STREAM);
    first.connect(&addr).unwrap();
    let client = unix(Kind::STREAM);
    refuse_restart(&client, libc::SO_SNDTIMEO);
    let got = interrupted(
        SIGNALS,
        || client.connect(&addr),
        || drop(server.accept().unwrap()),
    );
    got.unwrap();
    assert_eq!(client.peer_addr().unwrap(), Some(addr));
}

#[test]
fn a_limited_connect_of_a_unix_socket_goes_on_after_signals() {
    let (server, addr) = unix_listener(Kind::STREAM, 0);
    let first = unix(Kind::STREAM);
    first.connect(&addr).unwrap();
    let client = unix(Kind::STREAM);
    client.set_mode(Mode::Within(PATIENCE)).unwrap();
    let got = interrupted(
        SIGNALS,
        || client.connect(&addr),
        || drop(server.accept().unwrap()),
    );
    got.unwrap();
    assert_eq!(client.peer_addr().unwrap(), Some(addr));
}

#[test]
fn a_selector_waits_on_after_signals() {
    for backend in [Backend::Epoll, Backend::Poll, Backend::Select] {
        let limit = Duration::from_millis(150);
        let wait = || {
            let selector = backend.open()?;
            let mut events = Vec::new();
            assert_takes(limit, || {
                selector.wait(&mut events, Some(limit)).unwrap();
                assert!(events.is_empty());
            });
            Ok(())
        };
        interrupted(0, wait, || {}).unwrap();
    }
}

#[test]
fn whole_messages_and_batches_go_on_after_signals() {
    use berkeley::{ControlBuf, RecvBatch};
    use std::io::IoSliceMut;

    for mode in [Mode::Block, Mode::Within(PATIENCE)] {
        let (a, _) = udp();
        let (b, b_addr) = udp();
        refuse_restart(&b, libc::SO_RCVTIMEO);
        b.set_mode(mode).unwrap();
        let release = || {
            a.send_to(b"data", MsgFlags::NONE, &b_addr).unwrap();
        };
        let one = || {
            let mut control = ControlBuf::with_capacity(64);
            let mut buf = [0; 16];
            let mut buffers = [IoSliceMut::new(&mut buf)];
            let message = b.recv_message(&mut buffers, &mut control, MsgFlags::NONE)?;
            Ok(message.len())
        };
        assert_eq!(interrupted(SIGNALS, one, release).unwrap(), 4);
        let many = || b.recv_batch(&mut RecvBatch::new(4, 16, 64), MsgFlags::NONE);
        assert_eq!(interrupted(SIGNALS, many, release).unwrap(), 1);
    }
}
