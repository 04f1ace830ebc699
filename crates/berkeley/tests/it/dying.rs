//! Peers that die, and what the survivor learns: an error with its number, never a signal.

use std::io::{IoSlice, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use berkeley::{
    CmsgOut, ControlOut, Deadline, Errno, Error, Kind, Mode, MsgFlags, OutMessage, Result, Socket,
    opt,
};

use crate::lives::is_child;
use crate::support::{PATIENCE, listener, tcp_pair, unix_pair};

const NONE: MsgFlags = MsgFlags::NONE;

/// A process with one end of a TCP connection as its descriptor 3, and the other end.
fn process_with_a_connection(command: &str) -> (Child, Socket) {
    let (server, addr) = listener(1);
    let port = addr.port().unwrap();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; {command}");
    let child = Command::new("bash")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (socket, _) = server.accept_until(Deadline::within(PATIENCE)).unwrap();
    (child, socket)
}

/// Ends a process by `SIGKILL`.
fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_peer_killed_while_it_sends_ends_the_stream() {
    for mode in [Mode::Block, Mode::Within(PATIENCE)] {
        let (child, socket) = process_with_a_connection("exec cat /dev/zero >&3");
        socket.set_mode(mode).unwrap();
        let mut buf = vec![0; 1 << 16];
        let mut count = 0;
        while count < 10 << 20 {
            count += socket.recv(&mut buf, NONE).unwrap();
        }
        kill(child);
        loop {
            match socket.recv(&mut buf, NONE) {
                Ok(0) => break,
                Ok(_late) => {}
                Err(error) => panic!("what had been sent still comes: {error:?}"),
            }
        }
    }
}

#[test]
fn a_peer_killed_before_it_has_read_all_resets_the_connection() {
    for mode in [Mode::Block, Mode::Within(PATIENCE)] {
        let (child, socket) = process_with_a_connection("read -rN1 x <&3; exec sleep 60");
        socket.set_mode(mode).unwrap();
        let result = std::thread::scope(|scope| {
            let sender = scope.spawn(|| socket.send_all(&vec![7; 64 << 20]));
            // It is stuck in the middle when the queues of both ends are full.
            let (idle, _peer) = unix_pair(Kind::STREAM);
            while socket.unacknowledged().unwrap() == 0 {
                let soon = Deadline::within(std::time::Duration::from_millis(1));
                drop(idle.recv_until(&mut [0], NONE, soon));
            }
            kill(child);
            sender.join().unwrap()
        });
        let error = result.unwrap_err();
        assert!(
            matches!(error, Error::Partial { sent, .. } if sent > 0),
            "{error:?}"
        );
        let expected = [Some(Errno::ECONNRESET), Some(Errno::EPIPE)];
        assert!(expected.contains(&error.errno()), "{error:?}");
        assert_eq!(
            socket.send(b"x", NONE).unwrap_err().errno(),
            Some(Errno::EPIPE)
        );
    }
}

#[test]
fn a_peer_killed_at_a_unix_socket_is_told_in_both_directions() {
    let (a, b) = unix_pair(Kind::STREAM);
    let end = std::os::fd::OwnedFd::from(b);
    let child = Command::new("sleep").arg("60").stdin(end).spawn().unwrap();
    let result = std::thread::scope(|scope| {
        let sender = scope.spawn(|| a.send_all(&vec![7; 64 << 20]));
        kill(child);
        sender.join().unwrap()
    });
    let error = result.unwrap_err();
    let expected = [Some(Errno::ECONNRESET), Some(Errno::EPIPE)];
    assert!(expected.contains(&error.errno()), "{error:?}");
    match a.recv(&mut [0], NONE) {
        Ok(0) => {}
        Ok(_) => panic!("nobody has sent anything"),
        Err(error) => assert_eq!(error.errno(), Some(Errno::ECONNRESET)),
    }
}

#[test]
fn a_connection_reset_before_it_was_accepted_says_so_when_it_is_used() {
    let (server, addr) = listener(4);
    let client = crate::support::tcp();
    client.connect(&addr).unwrap();
    client
        .set(opt::Linger, Some(std::time::Duration::ZERO))
        .unwrap();
    client.close().unwrap();
    // Linux hands the dead connection out; other systems say ECONNABORTED here.
    let (peer, _) = server.accept_until(Deadline::within(PATIENCE)).unwrap();
    let error = peer.recv(&mut [0], NONE).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ECONNRESET));
    // The error was told once. Closing has none to add.
    assert_eq!(peer.recv(&mut [0], NONE).unwrap(), 0);
    peer.close().unwrap();
    drop(server);
}

type Send = (&'static str, fn(&Socket) -> Result<()>);

const SENDS: [Send; 9] = [
    ("send", |a| a.send(b"x", NONE).map(drop_len)),
    ("send_all", |a| a.send_all(b"x")),
    ("send_gathered", |a| {
        a.send_gathered(&[IoSlice::new(b"x")], NONE).map(drop_len)
    }),
    ("send_message", |a| {
        let pieces = [IoSlice::new(b"x")];
        a.send_message(&OutMessage::new(&pieces), NONE)
            .map(drop_len)
    }),
    ("send_fds", |a| {
        let fds = [std::os::fd::AsFd::as_fd(a)];
        let control = ControlOut::of(&[CmsgOut::Rights(&fds)])?;
        let pieces = [IoSlice::new(b"x")];
        let message = OutMessage::new(&pieces).control(&control);
        a.send_message(&message, NONE).map(drop_len)
    }),
    ("with a deadline", |a| {
        a.send_all_until(b"x", Deadline::within(PATIENCE))
    }),
    ("sendfile", |a| {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        a.sendfile(&file, 0, Some(1)).map(|_len| ())
    }),
    ("sendfile by hand", |a| {
        let file = std::fs::File::open("/dev/zero").unwrap();
        a.sendfile(&file, 0, Some(1)).map(|_len| ())
    }),
    ("splice", |a| {
        let (source, feed) = unix_pair(Kind::STREAM);
        feed.send_all(b"x")?;
        berkeley::Splicer::new()
            .to_socket(&source, a, Some(1))
            .map(|_len| ())
    }),
];

fn drop_len(_len: usize) {}

#[test]
fn every_way_to_send_to_the_dead_is_an_error_and_no_signal() {
    if !is_child(
        "dying::every_way_to_send_to_the_dead_is_an_error_and_no_signal",
        &["env"],
    ) {
        return;
    }
    let raised = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGPIPE, Arc::clone(&raised)).unwrap();
    for (name, send) in SENDS {
        for mode in [Mode::Block, Mode::NonBlock, Mode::Within(PATIENCE)] {
            let (a, b) = unix_pair(Kind::STREAM);
            a.set_mode(mode).unwrap();
            drop(b);
            let error = send(&a).expect_err(name);
            assert_eq!(error.errno(), Some(Errno::EPIPE), "{name}: {error:?}");

            if name == "send_fds" {
                continue;
            }
            let (a, b) = tcp_pair();
            b.set(opt::Linger, Some(std::time::Duration::ZERO)).unwrap();
            drop(b);
            let error = a.recv(&mut [0], NONE).unwrap_err();
            assert_eq!(error.errno(), Some(Errno::ECONNRESET));
            a.set_mode(mode).unwrap();
            let error = send(&a).expect_err(name);
            assert_eq!(error.errno(), Some(Errno::EPIPE), "{name}: {error:?}");
        }
    }
    let (a, b) = unix_pair(Kind::STREAM);
    drop(b);
    let mut view = Arc::new(a).makefile();
    let error = view.write_all(b"x").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    assert!(!raised.load(Ordering::Relaxed), "SIGPIPE was raised");
}
