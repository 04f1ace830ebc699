//! Sockets that are closed while other threads use them.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use berkeley::{Deadline, Error, Kind, Mode, MsgFlags, Result, Shutdown, Socket, SocketRef};

use crate::support::{
    Finally, PATIENCE, assert_takes, assert_timed_out, await_asleep, listener, receive, rounds,
    tcp, tcp_pair, thread_id, udp, unix, unix_listener, unix_pair,
};

/// Rounds of a race: enough for each order of events to come up.
const ROUNDS: usize = 2_000;

pub(crate) fn assert_closed<T: std::fmt::Debug>(result: Result<T>) {
    let error = result.unwrap_err();
    assert!(error.is_closed(), "{error:?}");
}

#[test]
fn every_call_on_a_closed_socket_says_so() {
    let (a, b) = tcp_pair();
    let (server, addr) = listener(1);
    for socket in [&a, &server] {
        assert!(!socket.is_closed());
        socket.close().unwrap();
        socket.close().unwrap();
        assert!(socket.is_closed());
    }
    let none = MsgFlags::NONE;
    for mode in [Mode::Block, Mode::NonBlock, Mode::Within(PATIENCE)] {
        assert_closed(a.set_mode(mode));
    }
    assert_closed(a.send(b"x", none));
    assert_closed(a.send_all(b"x"));
    assert_closed(a.send_to(b"x", none, &addr));
    assert_closed(a.recv(&mut [0], none));
    assert_closed(a.recv_from(&mut [0], none));
    assert_closed(a.recv_vec(1, none));
    assert_closed(a.recv_until(&mut [0], none, Deadline::within(PATIENCE)));
    assert_closed(a.connect(&addr));
    assert_closed(a.shutdown(Shutdown::BOTH));
    assert_closed(a.local_addr());
    assert_closed(a.peer_addr());
    assert_closed(a.try_clone());
    assert_closed(a.get(berkeley::opt::KeepAlive));
    assert_closed(a.set(berkeley::opt::KeepAlive, true));
    let (level, name) = (berkeley::Level::SOCKET, libc::SO_KEEPALIVE);
    assert_closed(a.get_raw(level, name, &mut [0; 4]));
    assert_closed(a.set_raw(level, name, &[0; 4]));
    assert_closed(a.set_raw_null(level, name, 0));
    assert_closed(a.filter());
    assert_closed(a.peer_pidfd());
    assert_closed(a.unread());
    assert_closed(a.is_inheritable());
    assert_closed(a.set_inheritable(true));
    assert_closed(server.accept());
    assert_closed(server.listen_default());
    assert_closed(server.bind(&addr));
    let error = a.send(b"x", none).unwrap_err();
    assert_eq!(error.errno(), Some(berkeley::Errno::EBADF));
    assert_eq!(error.to_string(), "send: the socket is closed");
    assert_eq!(b.recv(&mut [0], none).unwrap(), 0, "the peer sees the end");
}

#[test]
fn a_closed_socket_keeps_its_number_from_others_until_it_is_dropped() {
    let (a, _b) = tcp_pair();
    let number = a.as_fd().as_raw_fd();
    a.close().unwrap();
    let others: Vec<_> = (0..100).map(|_| File::open("/dev/null").unwrap()).collect();
    assert!(others.iter().all(|file| file.as_raw_fd() != number));
    assert_closed(a.recv(&mut [0], MsgFlags::NONE));
}

#[test]
fn a_duplicate_lives_on() {
    let (a, b) = tcp_pair();
    let second = a.try_clone().unwrap();
    a.close().unwrap();
    second.send_all(b"x").unwrap();
    assert_eq!(receive(&b), b"x");
    second.abort().unwrap();
    assert_eq!(b.recv(&mut [0], MsgFlags::NONE).unwrap(), 0);
}

#[test]
fn a_borrowed_socket_is_closed_by_its_owner() {
    let (a, b) = tcp_pair();
    {
        let view = SocketRef::new(&a).unwrap();
        assert!(matches!(view.close(), Err(Error::Invalid(_))));
        assert!(matches!(view.abort(), Err(Error::Invalid(_))));
    }
    a.send_all(b"x").unwrap();
    assert_eq!(receive(&b), b"x");
}

/// Lets `wait` begin in a thread and fall asleep, then does `end`, and hands out what came of it.
pub(crate) fn woken<T: Send>(wait: impl FnOnce() -> T + Send, end: impl FnOnce()) -> T {
    thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        let waiter = scope.spawn(move || {
            tell.send(thread_id()).unwrap();
            wait()
        });
        let end = Finally::new(end);
        await_asleep(&told.recv().unwrap());
        let start = Instant::now();
        drop(end);
        let result = waiter.join().unwrap();
        assert!(start.elapsed() < PATIENCE / 2, "the wait went on");
        result
    })
}

#[test]
fn closing_wakes_who_waits_within_a_limit() {
    let (a, _b) = tcp_pair();
    assert_closed(woken(
        || a.recv(&mut [0], MsgFlags::NONE),
        || a.close().unwrap(),
    ));
    let (socket, _) = udp();
    let wait = || socket.recv_from(&mut [0], MsgFlags::NONE);
    assert_closed(woken(wait, || socket.close().unwrap()));
    let (server, _) = listener(1);
    server.set_mode(Mode::Within(PATIENCE)).unwrap();
    assert_closed(woken(|| server.accept(), || server.close().unwrap()));
    let (a, _b) = unix_pair(Kind::STREAM);
    let data = vec![0; 1 << 24];
    assert_closed(woken(|| a.send_all(&data), || a.close().unwrap()));
}

#[test]
fn closing_wakes_who_connects_within_a_limit() {
    let (_server, addr) = listener(0);
    let first = tcp();
    first.connect(&addr).unwrap();
    let client = tcp();
    client.set_mode(Mode::Within(PATIENCE)).unwrap();
    assert_closed(woken(|| client.connect(&addr), || client.close().unwrap()));
}

#[test]
fn aborting_wakes_who_waits_in_the_kernel() {
    let (a, b) = tcp_pair();
    a.set_mode(Mode::Block).unwrap();
    assert_closed(woken(
        || a.recv(&mut [0], MsgFlags::NONE),
        || a.abort().unwrap(),
    ));
    assert_eq!(b.recv(&mut [0], MsgFlags::NONE).unwrap(), 0);
    let (socket, _) = udp();
    socket.set_mode(Mode::Block).unwrap();
    let wait = || socket.recv_from(&mut [0], MsgFlags::NONE);
    assert_closed(woken(wait, || socket.abort().unwrap()));
    let (server, _) = listener(1);
    assert_closed(woken(|| server.accept(), || server.abort().unwrap()));
    let (server, _) = unix_listener(Kind::STREAM, 1);
    assert_closed(woken(|| server.accept(), || server.abort().unwrap()));
    let (a, _b) = unix_pair(Kind::STREAM);
    a.set_mode(Mode::Block).unwrap();
    let data = vec![0; 1 << 24];
    assert_closed(woken(|| a.send_all(&data), || a.abort().unwrap()));
    let (_server, addr) = listener(0);
    let first = tcp();
    first.connect(&addr).unwrap();
    let client = tcp();
    assert_closed(woken(|| client.connect(&addr), || client.abort().unwrap()));
}

#[test]
fn closing_lets_a_call_in_the_kernel_finish() {
    let (a, b) = tcp_pair();
    a.set_mode(Mode::Block).unwrap();
    let mut buf = [0; 4];
    let wait = || a.recv(&mut buf, MsgFlags::NONE);
    let end = || {
        a.close().unwrap();
        b.send_all(b"late").unwrap();
    };
    assert_eq!(woken(wait, end).unwrap(), 4);
    assert_eq!(&buf, b"late");
}

/// A counter that was raised for one socket does not disturb the waits for another.
#[test]
fn a_thread_that_was_woken_waits_on_as_long_as_it_should() {
    let limit = Duration::from_millis(50);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20 {
                let (a, _b) = unix_pair(Kind::STREAM);
                thread::scope(|scope| {
                    scope.spawn(|| a.close().unwrap());
                    assert_closed(a.recv(&mut [0], MsgFlags::NONE));
                });
            }
            let (a, _b) = unix_pair(Kind::STREAM);
            a.set_mode(Mode::Within(limit)).unwrap();
            assert_takes(limit, || {
                assert_timed_out(a.recv(&mut [0], MsgFlags::NONE));
            });
        });
    });
}

#[test]
fn many_threads_that_wait_for_one_socket_are_all_woken() {
    let (server, _) = listener(1);
    server.set_mode(Mode::Within(PATIENCE)).unwrap();
    let start = Instant::now();
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..16).map(|_| scope.spawn(|| server.accept())).collect();
        server.close().unwrap();
        for waiter in waiters {
            assert_closed(waiter.join().unwrap());
        }
    });
    assert!(start.elapsed() < PATIENCE / 2);
}

/// One thread uses a socket, another closes it, and a third keeps opening files full of a byte
/// that no socket ever carries, and looks whether anybody has written to one.
pub(crate) fn race(mode: Mode, use_it: impl Fn(&Socket) -> Result<()> + Sync) {
    let end = AtomicBool::new(false);
    let used = AtomicUsize::new(0);
    thread::scope(|scope| {
        let opener = scope.spawn(|| {
            let path = tempfile::NamedTempFile::new().unwrap();
            path.as_file().write_all(&[0xee; 64]).unwrap();
            while !end.load(Ordering::Relaxed) {
                let files: Vec<_> = (0..8)
                    .map(|_| {
                        let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
                        (&b).write_all(&[0xee; 64]).unwrap();
                        b.set_nonblocking(true).unwrap();
                        (File::open(path.path()).unwrap(), a, b)
                    })
                    .collect();
                for (_, _, b) in &files {
                    let mut byte = [0];
                    let read = std::io::Read::read(&mut &*b, &mut byte);
                    assert!(
                        read.is_err(),
                        "a stranger's socket was written to: {byte:?}"
                    );
                }
            }
        });
        let over = Finally::new(|| end.store(true, Ordering::Relaxed));
        for _ in rounds(ROUNDS) {
            let (a, b) = Socket::pair(berkeley::Family::UNIX, Kind::STREAM).unwrap();
            a.set_mode(mode).unwrap();
            b.send(b"abc", MsgFlags::NONE).unwrap();
            let barrier = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    barrier.wait();
                    loop {
                        match use_it(&a) {
                            Ok(()) => used.fetch_add(1, Ordering::Relaxed),
                            Err(error) if error.is_would_block() => continue,
                            Err(error) => break assert!(error.is_closed(), "{error:?}"),
                        };
                    }
                });
                barrier.wait();
                if mode == Mode::Block {
                    a.abort().unwrap();
                } else {
                    a.close().unwrap();
                }
            });
        }
        drop(over);
        opener.join().unwrap();
    });
    eprintln!(
        "{} calls came before the end of {ROUNDS} sockets, or of fewer",
        used.into_inner()
    );
}

fn receive_abc(socket: &Socket) -> Result<()> {
    let mut buf = [0; 1];
    match socket.recv(&mut buf, MsgFlags::NONE)? {
        0 => panic!("the end of a stream that nobody has ended"),
        _ => assert!(b"abc".contains(&buf[0]), "a stranger's byte: {buf:?}"),
    }
    Ok(())
}

#[test]
fn a_receive_that_races_a_close_never_reads_a_strangers_descriptor() {
    for mode in [Mode::Block, Mode::NonBlock, Mode::Within(PATIENCE)] {
        race(mode, receive_abc);
    }
}

#[test]
fn a_send_that_races_a_close_never_writes_to_a_strangers_descriptor() {
    for mode in [Mode::Block, Mode::NonBlock, Mode::Within(PATIENCE)] {
        race(mode, |socket| socket.send_all(b"x"));
    }
}

#[test]
fn an_accept_that_races_a_close_is_a_connection_or_an_end() {
    for mode in [Mode::Block, Mode::NonBlock, Mode::Within(PATIENCE)] {
        for _ in rounds(ROUNDS / 2) {
            let (server, addr) = unix_listener(Kind::STREAM, 8);
            server.set_mode(mode).unwrap();
            let client = unix(Kind::STREAM);
            client.connect(&addr).unwrap();
            let barrier = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    barrier.wait();
                    loop {
                        match server.accept() {
                            Ok((peer, _)) => assert_eq!(peer.family(), server.family()),
                            Err(error) if error.is_would_block() => {}
                            Err(error) => break assert!(error.is_closed(), "{error:?}"),
                        }
                    }
                });
                barrier.wait();
                if mode == Mode::Block {
                    server.abort().unwrap();
                } else {
                    server.close().unwrap();
                }
            });
        }
    }
}
