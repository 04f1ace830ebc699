//! Calls of every kind that meet the end of their socket in another thread.

use std::fs::File;
use std::io::IoSliceMut;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use berkeley::{
    ControlBuf, Errno, Error, Kind, Mode, MsgFlags, Readiness, RecvBatch, Result, Socket, Splicer,
};

use crate::closing::{assert_closed, race, woken};
use crate::sendfile::file_of;
use crate::support::{
    PATIENCE, listener, rounds, tcp, tcp_pair, udp, unix, unix_listener, unix_pair,
};

const ROUNDS: usize = 500;
const NONE: MsgFlags = MsgFlags::NONE;

fn recv_message(socket: &Socket) -> Result<usize> {
    let mut control = ControlBuf::with_capacity(64);
    let mut byte = [0];
    let mut buffers = [IoSliceMut::new(&mut byte)];
    Ok(socket.recv_message(&mut buffers, &mut control, NONE)?.len())
}

fn as_usize(len: u64) -> usize {
    usize::try_from(len).unwrap()
}

type Receive = (&'static str, fn(&Socket) -> Result<usize>);

/// Receives that know an end of the stream, and must not take the socket's own for it.
const STREAM_RECEIVES: [Receive; 9] = [
    ("recv", |a| a.recv(&mut [0], NONE)),
    ("recv_into", |a| {
        a.recv_into(&mut Vec::with_capacity(1), NONE)
    }),
    ("recv_vec", |a| Ok(a.recv_vec(1, NONE)?.len())),
    ("recv_from", |a| Ok(a.recv_from(&mut [0], NONE)?.0)),
    ("recv_scattered", |a| {
        a.recv_scattered(&mut [IoSliceMut::new(&mut [0])], NONE)
    }),
    ("recv_message", recv_message),
    ("recv_fds", |a| Ok(a.recv_fds(&mut [0], NONE)?.len)),
    ("recv_file", |a| {
        a.recv_file(File::create("/dev/null").unwrap(), Some(1))
            .map(as_usize)
    }),
    ("splice", |a| {
        let (target, _end) = unix_pair(Kind::STREAM);
        Splicer::new().to_socket(a, &target, Some(1)).map(as_usize)
    }),
];

#[test]
fn an_aborted_receive_is_closed_and_never_the_end_of_the_stream() {
    for (name, receive) in STREAM_RECEIVES {
        for mode in [Mode::Block, Mode::Within(PATIENCE)] {
            for pair in [tcp_pair(), unix_pair(Kind::STREAM)] {
                let (a, _b) = pair;
                a.set_mode(mode).unwrap();
                let result = woken(|| receive(&a), || a.abort().unwrap());
                let error = result.expect_err(name);
                assert!(error.is_closed(), "{name}, {mode:?}: {error:?}");
            }
        }
    }
}

#[test]
fn an_aborted_datagram_socket_has_received_nothing() {
    for mode in [Mode::Block, Mode::Within(PATIENCE)] {
        let socket = || {
            let (socket, _) = udp();
            socket.set_mode(mode).unwrap();
            socket
        };
        let a = socket();
        assert_closed(woken(|| recv_message(&a), || a.abort().unwrap()));
        let a = socket();
        let mut batch = RecvBatch::new(8, 16, 64);
        let wait = || a.recv_batch(&mut batch, NONE);
        assert_closed(woken(wait, || a.abort().unwrap()));
        assert!(batch.is_empty());
    }
}

#[test]
fn closing_wakes_who_moves_files_within_a_limit() {
    let big = file_of(&vec![0; 16 << 20]);
    let (a, _b) = unix_pair(Kind::STREAM);
    assert_closed(woken(|| a.sendfile(&big, 0, None), || a.close().unwrap()));
    let (a, _b) = unix_pair(Kind::STREAM);
    assert_closed(woken(
        || a.recv_file(file_of(b""), None),
        || a.close().unwrap(),
    ));
    // The target of a relay that is full.
    let (source, feed) = unix_pair(Kind::STREAM);
    feed.send_all(b"x").unwrap();
    let (target, _end) = unix_pair(Kind::STREAM);
    while target.send(&[0; 4096], MsgFlags::DONTWAIT).is_ok() {}
    assert_closed(woken(
        || Splicer::new().to_socket(&source, &target, None),
        || target.close().unwrap(),
    ));
}

#[test]
fn closing_wakes_who_polls() {
    let (a, _b) = tcp_pair();
    let wait = || a.with_hook(&()).wait(Readiness::Readable);
    assert_closed(woken(wait, || a.close().unwrap()));
    let (a, _b) = tcp_pair();
    a.set_mode(Mode::Block).unwrap();
    let wait = || a.with_hook(&()).wait(Readiness::Readable);
    assert_closed(woken(wait, || a.close().unwrap()));
}

#[test]
fn closing_ends_a_limited_connect_to_a_full_unix_listener_soon() {
    let (_server, addr) = unix_listener(Kind::STREAM, 0);
    let first = unix(Kind::STREAM);
    first.connect(&addr).unwrap();
    let client = unix(Kind::STREAM);
    client.set_mode(Mode::Within(PATIENCE)).unwrap();
    let start = Instant::now();
    assert_closed(woken(|| client.connect(&addr), || client.close().unwrap()));
    assert!(start.elapsed() < PATIENCE / 4);
}

#[test]
fn a_connect_gives_back_the_limit_that_it_borrowed() {
    let (server, addr) = unix_listener(Kind::STREAM, 1);
    let client = unix(Kind::STREAM);
    let limit = Some(Duration::from_secs(7));
    client.set(berkeley::opt::SendTimeout, limit).unwrap();
    client.set_mode(Mode::Within(PATIENCE)).unwrap();
    client.connect(&addr).unwrap();
    server.accept().unwrap();
    assert_eq!(client.get(berkeley::opt::SendTimeout).unwrap(), limit);
}

#[test]
fn the_kernels_own_limit_of_a_blocking_connect_is_in_progress() {
    let (_server, addr) = listener(0);
    let first = tcp();
    first.connect(&addr).unwrap();
    let client = tcp();
    let limit = Some(Duration::from_millis(40));
    client.set(berkeley::opt::SendTimeout, limit).unwrap();
    assert_eq!(client.connect_ex(&addr).unwrap(), Some(Errno::EINPROGRESS));
}

/// Connects again and again while another thread ends the socket.
#[test]
fn a_connect_that_races_a_close_is_a_connection_or_an_end() {
    let (tcp_server, tcp_addr) = listener(64);
    let (unix_server, unix_addr) = unix_listener(Kind::STREAM, 64);
    for mode in [Mode::Block, Mode::NonBlock, Mode::Within(PATIENCE)] {
        for round in rounds(ROUNDS) {
            let is_unix = round % 2 == 0;
            let (client, addr, server) = if is_unix {
                (unix(Kind::STREAM), &unix_addr, &unix_server)
            } else {
                (tcp(), &tcp_addr, &tcp_server)
            };
            client.set_mode(mode).unwrap();
            let barrier = Barrier::new(2);
            let result = thread::scope(|scope| {
                let caller = scope.spawn(|| {
                    barrier.wait();
                    client.connect(addr)
                });
                barrier.wait();
                if mode == Mode::Block {
                    client.abort().unwrap();
                } else {
                    client.close().unwrap();
                }
                caller.join().unwrap()
            });
            match result {
                Ok(()) => {}
                Err(error) if error.is_closed() => {}
                Err(error) if error.errno() == Some(Errno::EINPROGRESS) => {}
                Err(error) => panic!("{mode:?}, unix {is_unix}: {error:?}"),
            }
            while server
                .accept_until(berkeley::Deadline::within(Duration::ZERO))
                .is_ok()
            {}
        }
    }
}

/// A poll that races a close is ready, or closed.
#[test]
fn a_poll_that_races_a_close_is_woken_by_one_of_the_two() {
    for round in rounds(ROUNDS) {
        let (a, b) = unix_pair(Kind::STREAM);
        let barrier = Barrier::new(2);
        let start = Instant::now();
        let result = thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                barrier.wait();
                a.with_hook(&()).wait(Readiness::Readable)
            });
            barrier.wait();
            if round % 2 == 0 {
                b.send_all(b"x").unwrap();
            }
            a.close().unwrap();
            waiter.join().unwrap()
        });
        assert!(start.elapsed() < PATIENCE / 2);
        match result {
            Ok(()) => {}
            Err(error) => assert!(error.is_closed(), "{error:?}"),
        }
    }
}

#[test]
fn messages_and_files_that_race_a_close_never_meet_a_strangers_descriptor() {
    for mode in [Mode::Block, Mode::Within(PATIENCE)] {
        race(mode, |socket| {
            let mut control = ControlBuf::with_capacity(64);
            let mut byte = [0];
            let mut buffers = [IoSliceMut::new(&mut byte)];
            let len = socket.recv_message(&mut buffers, &mut control, NONE)?.len();
            assert_eq!(len, 1);
            assert!(b"abc".contains(&byte[0]), "a stranger's byte: {byte:?}");
            Ok(())
        });
        let file = file_of(b"xyz");
        race(mode, |socket| match socket.sendfile(&file, 0, None) {
            Ok(_sent) => Ok(()),
            Err(Error::Partial { cause, .. }) => Err(*cause),
            Err(error) => Err(error),
        });
    }
}
