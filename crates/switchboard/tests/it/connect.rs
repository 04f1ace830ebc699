//! `switchboard connect`: standard input and output on one end of any socket.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use testkit::{PATIENCE, Program, Random, wire};

use crate::support::{bin, has_ipv6, listen, nobody, ours, python_server, run};

/// A TCP server of the test's own, and our program connected to it.
#[track_caller]
fn connected(arguments: &[&str]) -> (Program, std::net::TcpStream) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", server.local_addr().unwrap());
    let program = ours(&[&["connect", &endpoint], arguments].concat());
    let (stream, _) = server.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    (program, stream)
}

#[test]
fn both_directions_at_once_and_the_end() {
    let (mut program, mut stream) = connected(&[]);
    stream.write_all(b"welcome\n").unwrap();
    program.out.wait_for("welcome\n");
    program.say("hello");
    let mut read = [0; 6];
    stream.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"hello\n");
    program.end_input();
    assert_eq!(stream.read(&mut read).unwrap(), 0);
    // Only our half is closed: what comes now still counts.
    stream.write_all(b"late answer").unwrap();
    drop(stream);
    let finished = program.finish().succeeded();
    assert_eq!(finished.out, b"welcome\nlate answer");
}

#[test]
fn it_ends_when_the_peer_has_closed_though_input_is_open() {
    let (mut program, mut stream) = connected(&[]);
    stream.write_all(b"bye").unwrap();
    drop(stream);
    assert!(program.wait().success());
    assert_eq!(program.out.wait_end(), b"bye");
}

#[test]
fn a_bare_address_is_tcp() {
    let (_server, place) = python_server("echo_server.py", &[]);
    let mut program = ours(&["connect", &place]);
    program.feed(b"no scheme");
    program.end_input();
    assert_eq!(program.finish().succeeded().out, b"no scheme");
}

#[test]
fn sixty_four_megabytes_come_back_the_same_from_python() {
    let (_server, place) = python_server("echo_server.py", &[]);
    let mut program = ours(&["connect", &format!("tcp://{place}")]);
    let bytes = Random::new(9).bytes(64 << 20);
    let mut input = program.take_input();
    thread::scope(|scope| {
        let bytes = &bytes;
        scope.spawn(move || input.write_all(bytes).unwrap());
        let back = program.out.wait_end_for(Duration::from_secs(60));
        assert!(&back == bytes, "{} bytes came back, or others", back.len());
    });
    assert!(program.wait().success());
}

#[test]
fn a_line_is_a_datagram_without_its_line_ending() {
    let (server, place) = python_server("udp_server.py", &[]);
    let mut program = ours(&["connect", &format!("udp://{place}")]);
    program.feed(b"one\ntwo words\r\n");
    server.out.wait_for("b'one'\n");
    server.out.wait_for("b'two words'\n");
    program.out.wait_for("ONE");
    program.out.wait_for("TWO WORDS");
    program.feed(b"three");
    program.end_input();
    server.out.wait_for("b'three'\n");
}

#[test]
fn a_line_is_a_frame_and_a_frame_is_a_line() {
    let (mut program, mut stream) = connected(&["--framed"]);
    program.say("one");
    program.say("图片");
    let expected = [wire::frame(b"one"), wire::frame("图片".as_bytes())].concat();
    let mut read = vec![0; expected.len()];
    stream.read_exact(&mut read).unwrap();
    assert_eq!(read, expected);
    for piece in [wire::frame(b"answer"), wire::frame(b"and more")]
        .concat()
        .chunks(5)
    {
        stream.write_all(piece).unwrap();
    }
    program.out.wait_for("answer\nand more\n");
    program.end_input();
    assert_eq!(stream.read(&mut read).unwrap(), 0);
    drop(stream);
    assert!(program.wait().success());
}

#[test]
fn a_stream_that_ends_inside_a_frame_is_an_error() {
    let (mut program, mut stream) = connected(&["--framed"]);
    stream
        .write_all(&wire::frame(b"half a frame")[..8])
        .unwrap();
    drop(stream);
    assert!(!program.wait().success());
}

#[test]
fn our_two_ends_meet_in_every_family() {
    let folder = TempDir::new().unwrap();
    let id = std::process::id();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut endpoints = vec![
        "tcp://127.0.0.1:0".to_owned(),
        "udp://127.0.0.1:0".to_owned(),
        format!("unix://{}", path("stream")),
        format!("unix-dgram://{}", path("dgram")),
        format!("unix-seqpacket://{}", path("seqpacket")),
        format!("unix://@meet-stream-{id}"),
        format!("unix-dgram://@meet-dgram-{id}"),
        format!("unix-seqpacket://@meet-seqpacket-{id}"),
    ];
    if has_ipv6() {
        endpoints.extend(["tcp://[::1]:0".to_owned(), "udp://[::1]:0".to_owned()]);
    }
    for endpoint in &endpoints {
        let (listener, told) = listen(&[endpoint, "--echo"]);
        let mut program = ours(&["connect", &told]);
        program.say("there and back");
        listener.out.wait_for("there and back");
        program.out.wait_for("there and back");
    }
}

#[test]
fn a_unix_server_is_reached_and_half_closed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("s.sock");
    let server = UnixListener::bind(&path).unwrap();
    let mut program = ours(&["connect", &format!("unix://{}", path.display())]);
    let (mut stream, _) = server.accept().unwrap();
    program.feed(b"all of it");
    program.end_input();
    let mut read = Vec::new();
    stream.read_to_end(&mut read).unwrap();
    assert_eq!(read, b"all of it");
    stream.write_all(b"thanks").unwrap();
    stream.shutdown(Shutdown::Both).unwrap();
    drop(stream);
    assert_eq!(program.finish().succeeded().out, b"thanks");
}

#[test]
fn nobody_there_is_an_error_that_names_the_address() {
    let place = nobody().to_string();
    run(&["connect", &format!("tcp://{place}")]).failed_with(&[&place, "refused"]);
    run(&["connect", "unix:///nowhere/at-all.sock"]).failed_with(&["/nowhere/at-all.sock"]);
}

#[test]
fn a_reset_is_an_error() {
    let (mut program, stream) = connected(&[]);
    program.say("unread");
    stream.peek(&mut [0; 1]).unwrap();
    wire::reset(stream);
    assert!(!program.wait().success());
}

#[test]
fn an_empty_line_is_an_empty_datagram_or_none() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut program = ours(&[
        "connect",
        &format!("udp://{}", server.local_addr().unwrap()),
    ]);
    program.feed(b"\nnext\n");
    let mut read = [0; 16];
    let mut len = server.recv(&mut read).unwrap();
    if len == 0 {
        len = server.recv(&mut read).unwrap();
    }
    assert_eq!(&read[..len], b"next");
}

#[test]
fn files_are_sent_and_kept_whatever_waits() {
    let (_server, endpoint) = listen(&["tcp://127.0.0.1:0", "--echo"]);
    let own = TempDir::new().unwrap();
    let bytes = Random::new(11).bytes(3 << 20);
    let input = own.path().join("input");
    std::fs::write(&input, &bytes).unwrap();
    for mux in ["select", "poll", "epoll", "io-uring"] {
        // No selector needs to watch a file, and epoll(7) refuses to.
        let output = own.path().join(mux);
        let ended = Command::new(bin())
            .args(["connect", &endpoint, "--mux", mux])
            .stdin(File::open(&input).unwrap())
            .stdout(File::create(&output).unwrap())
            .status()
            .unwrap();
        assert!(ended.success(), "{mux}");
        assert!(std::fs::read(&output).unwrap() == bytes, "{mux}");
    }
}

#[test]
fn what_waits_is_what_was_asked_for() {
    for (mux, kind) in [("epoll", "[eventpoll]"), ("io-uring", "[io_uring]")] {
        let (program, mut stream) = connected(&["--mux", mux]);
        stream.write_all(b"welcome\n").unwrap();
        program.out.wait_for("welcome\n");
        if program.err.text().contains("epoll now") {
            eprintln!("skipped: there is no io_uring here");
            continue;
        }
        let folder = format!("/proc/{}/fd", program.id());
        let has = std::fs::read_dir(folder).unwrap().any(|entry| {
            let link = std::fs::read_link(entry.unwrap().path());
            link.is_ok_and(|link| link.to_string_lossy().contains(kind))
        });
        assert!(has, "{mux}");
    }
}
