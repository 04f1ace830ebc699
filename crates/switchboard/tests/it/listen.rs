//! `switchboard listen` over TCP and UDP: one thread, any number of peers.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use testkit::{Program, Random, wire};

use crate::support::{address, has_ipv6, listen, on_a_terminal, run};

/// Sends and reads back the same number of bytes.
#[track_caller]
fn echo(stream: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes).unwrap();
    let mut answer = vec![0; bytes.len()];
    stream.read_exact(&mut answer).unwrap();
    answer
}

#[test]
fn what_arrives_goes_to_a_pipe_as_the_bytes_alone() {
    let (program, endpoint) = listen(&["tcp://127.0.0.1:0"]);
    assert_ne!(address(&endpoint).port(), 0);
    let bytes = Random::new(5).bytes(100_000);
    assert_eq!(wire::exchange(address(&endpoint), &bytes).unwrap(), b"");
    program
        .out
        .wait_until("all bytes", testkit::PATIENCE, |seen| {
            (seen == bytes).then_some(())
        });
}

#[test]
fn a_bare_address_is_tcp() {
    let (_program, endpoint) = listen(&["127.0.0.1:0", "--echo"]);
    assert!(endpoint.starts_with("tcp://127.0.0.1:"), "{endpoint}");
    assert_eq!(wire::exchange(address(&endpoint), b"x").unwrap(), b"x");
}

#[test]
fn a_terminal_sees_the_peers_address_before_each_piece() {
    let program = on_a_terminal(&["listen", "tcp://127.0.0.1:0"]);
    let line = program.out.wait_line(&["listening on tcp://"]);
    let place: SocketAddr = line.split_once("tcp://").unwrap().1.trim().parse().unwrap();
    let mut stream = wire::open(place).unwrap();
    stream.write_all(b"who am I?\n").unwrap();
    program
        .out
        .wait_line(&[&stream.local_addr().unwrap().to_string(), "who am I?"]);
    stream.write_all(b"\x1b[31mred\x07\n").unwrap();
    program.out.wait_for("red");
    assert!(
        !program.out.text().contains("\u{1b}[31mred"),
        "a peer controls the terminal"
    );
}

#[test]
fn one_that_shows_nothing_has_one_thread_and_ends_by_a_signal() {
    for ends in [Program::terminate, Program::interrupt] {
        let (mut program, endpoint) = listen(&["tcp://127.0.0.1:0", "--echo", "--quiet"]);
        let mut stream = wire::open(address(&endpoint)).unwrap();
        assert_eq!(echo(&mut stream, b"x"), b"x");
        let threads = fs::read_dir(format!("/proc/{}/task", program.id())).unwrap();
        assert_eq!(threads.count(), 1);
        ends(&program);
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        drop(stream);
        program.wait();
    }
}

#[test]
fn each_read_is_replied_to() {
    let (program, endpoint) = listen(&["tcp://127.0.0.1:0", "--reply", "got it"]);
    let mut stream = wire::open(address(&endpoint)).unwrap();
    for word in ["one", "two"] {
        stream.write_all(word.as_bytes()).unwrap();
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"got it");
        program.out.wait_for(word);
    }
}

#[test]
fn every_selector_serves_many_peers_at_once() {
    for mux in ["select", "poll", "epoll"] {
        let (_program, endpoint) = listen(&["tcp://127.0.0.1:0", "--echo", "--mux", mux]);
        let open = || wire::open(address(&endpoint)).unwrap();
        let mut peers: Vec<TcpStream> = (0..50).map(|_| open()).collect();
        for round in 0..3 {
            for (number, peer) in peers.iter_mut().enumerate() {
                let text = format!("{mux} {round} {number}");
                assert_eq!(echo(peer, text.as_bytes()), text.as_bytes());
            }
        }
        peers.truncate(25);
        for peer in &mut peers {
            peer.shutdown(Shutdown::Write).unwrap();
            assert_eq!(wire::wait_closed(peer), b"", "{mux}");
        }
        assert_eq!(echo(&mut open(), b"still there"), b"still there", "{mux}");
    }
}

#[test]
fn each_connection_gets_a_program_of_its_own() {
    let (_program, endpoint) = listen(&["tcp://127.0.0.1:0", "--exec", "cat"]);
    let mut first = wire::open(address(&endpoint)).unwrap();
    let mut second = wire::open(address(&endpoint)).unwrap();
    assert_eq!(echo(&mut second, b"second"), b"second");
    assert_eq!(echo(&mut first, b"first"), b"first");
    first.shutdown(Shutdown::Write).unwrap();
    assert_eq!(wire::wait_closed(&mut first), b"");
    assert_eq!(echo(&mut second, b"again"), b"again");
}

#[test]
fn a_program_may_have_arguments() {
    let (_program, endpoint) = listen(&["tcp://127.0.0.1:0", "--exec", "tr a-z A-Z"]);
    assert_eq!(
        wire::exchange(address(&endpoint), b"loud").unwrap(),
        b"LOUD"
    );
}

#[test]
fn frames_are_printed_one_a_line_however_they_are_cut() {
    let (program, endpoint) = listen(&["tcp://127.0.0.1:0", "--framed"]);
    let mut stream = wire::open(address(&endpoint)).unwrap();
    stream.set_nodelay(true).unwrap();
    let bytes = [
        wire::frame(b"one"),
        wire::frame("二".as_bytes()),
        wire::frame(b"three"),
    ]
    .concat();
    for piece in bytes.chunks(3) {
        stream.write_all(piece).unwrap();
    }
    program.out.wait_for("one\n二\nthree\n");
    let mut bad = wire::open(address(&endpoint)).unwrap();
    bad.write_all(&(-1_i32).to_le_bytes()).unwrap();
    wire::wait_closed(&mut bad);
    stream.write_all(&wire::frame(b"four")).unwrap();
    program.out.wait_for("three\nfour\n");
}

#[test]
fn datagrams_are_echoed_and_replied_to_one_by_one() {
    let (_echo, endpoint) = listen(&["udp://127.0.0.1:0", "--echo"]);
    assert_eq!(wire::ask(address(&endpoint), b"hello"), b"hello");
    assert_eq!(wire::ask(address(&endpoint), b""), b"");
    let largest = Random::new(6).bytes(65_507);
    assert!(
        wire::ask(address(&endpoint), &largest) == largest,
        "the largest datagram differs"
    );
    let (program, endpoint) = listen(&["udp://127.0.0.1:0", "--reply", "pong"]);
    assert_eq!(wire::ask(address(&endpoint), b"ping"), b"pong");
    program.out.wait_for("ping");
}

#[test]
fn a_vanished_udp_peer_does_not_end_it() {
    let (_program, endpoint) = listen(&["udp://127.0.0.1:0", "--echo"]);
    for _ in 0..20 {
        // The answer meets a closed socket, and its ICMP error comes back to the listener.
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"gone", address(&endpoint)).unwrap();
    }
    assert_eq!(wire::ask(address(&endpoint), b"here"), b"here");
}

#[test]
fn ipv6_works_the_same() {
    if !has_ipv6() {
        return;
    }
    let (_tcp, endpoint) = listen(&["tcp://[::1]:0", "--echo"]);
    assert_eq!(wire::exchange(address(&endpoint), b"six").unwrap(), b"six");
    let (_udp, endpoint) = listen(&["udp://[::1]:0", "--echo"]);
    assert_eq!(wire::ask(address(&endpoint), b"six"), b"six");
}

#[test]
fn a_port_that_is_taken_is_an_error_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = taken.local_addr().unwrap().to_string();
    run(&["listen", &format!("tcp://{place}")]).failed_with(&[&place, "in use"]);
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let place = taken.local_addr().unwrap().to_string();
    run(&["listen", &format!("udp://{place}")]).failed_with(&[&place, "in use"]);
}

#[test]
fn a_restart_at_once_gets_the_same_port() {
    let (mut first, endpoint) = listen(&["tcp://127.0.0.1:0", "--echo"]);
    let mut peer = wire::open(address(&endpoint)).unwrap();
    assert_eq!(echo(&mut peer, b"x"), b"x");
    // The side that closes first, here the listener, keeps the connection in TIME_WAIT.
    first.kill();
    assert_eq!(wire::wait_closed(&mut peer), b"");
    let (_second, again) = listen(&[&endpoint, "--echo"]);
    assert_eq!(again, endpoint);
    assert_eq!(wire::exchange(address(&again), b"back").unwrap(), b"back");
}

#[test]
fn a_reset_ends_that_peer_alone() {
    let (_program, endpoint) = listen(&["tcp://127.0.0.1:0", "--echo"]);
    let mut other = wire::open(address(&endpoint)).unwrap();
    for _ in 0..20 {
        let mut stream = wire::open(address(&endpoint)).unwrap();
        stream.write_all(b"never mind").unwrap();
        wire::reset(stream);
    }
    assert_eq!(echo(&mut other, b"calm"), b"calm");
}

#[test]
fn a_peer_that_does_not_read_holds_up_nobody() {
    let (_program, endpoint) = listen(&["tcp://127.0.0.1:0", "--echo"]);
    let mut greedy = wire::open(address(&endpoint)).unwrap();
    greedy
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let piece = vec![b'g'; 1 << 20];
    for _ in 0..64 {
        // The echo has nowhere to go, so that at last nothing more is taken either.
        match greedy.write_all(&piece) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    let mut other = wire::open(address(&endpoint)).unwrap();
    assert_eq!(echo(&mut other, b"still quick"), b"still quick");
}

#[test]
fn what_is_no_endpoint_is_an_error_that_shows_it() {
    for endpoint in [
        "ftp://127.0.0.1:1",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:99999",
        "unix://",
    ] {
        let told = run(&["listen", endpoint]);
        assert!(
            !told.status.success() && told.err.contains(endpoint),
            "{endpoint}: {}",
            told.err
        );
    }
}

#[test]
fn sigterm_ends_it_while_peers_are_there() {
    let (mut program, endpoint) = listen(&["tcp://127.0.0.1:0", "--echo"]);
    let mut peer = wire::open(address(&endpoint)).unwrap();
    assert_eq!(echo(&mut peer, b"x"), b"x");
    program.terminate();
    program.wait();
    assert_eq!(wire::wait_closed(&mut peer), b"");
}
