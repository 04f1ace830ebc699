//! Datagrams over the network.

use std::time::Duration;

use berkeley::{Errno, Family, Kind, Mode, MsgFlags, Protocol, Socket};

use crate::support::{PATIENCE, has_ipv6, inet, receive, udp};

#[test]
fn a_datagram_arrives_whole_with_its_senders_address() {
    let (a, a_addr) = udp();
    let (b, b_addr) = udp();
    assert_eq!(a.send_to(b"ping", MsgFlags::NONE, &b_addr).unwrap(), 4);
    let mut buf = [0; 16];
    let (len, from) = b.recv_from(&mut buf, MsgFlags::NONE).unwrap();
    assert_eq!((&buf[..len], from), (&b"ping"[..], Some(a_addr)));
}

#[test]
fn an_empty_datagram_is_a_message() {
    let (a, a_addr) = udp();
    let (b, b_addr) = udp();
    a.send_to(b"", MsgFlags::NONE, &b_addr).unwrap();
    assert_eq!(
        b.recv_from(&mut [0; 4], MsgFlags::NONE).unwrap(),
        (0, Some(a_addr))
    );
}

#[test]
fn what_does_not_fit_is_lost_and_its_real_length_told_on_request() {
    let (a, _) = udp();
    let (b, b_addr) = udp();
    for _datagram in 0..2 {
        a.send_to(b"0123456789", MsgFlags::NONE, &b_addr).unwrap();
    }
    let mut buf = [0; 4];
    assert_eq!(b.recv(&mut buf, MsgFlags::NONE).unwrap(), 4);
    let (len, _) = b.recv_from(&mut buf, MsgFlags::TRUNC).unwrap();
    assert_eq!((len, &buf), (10, b"0123"));
}

#[test]
fn the_length_can_be_asked_for_without_taking_the_datagram() {
    let (a, _) = udp();
    let (b, b_addr) = udp();
    a.send_to(b"0123456789", MsgFlags::NONE, &b_addr).unwrap();
    let flags = MsgFlags::PEEK | MsgFlags::TRUNC;
    assert!(flags.contains(MsgFlags::PEEK) && !flags.contains(MsgFlags::OOB));
    assert_eq!(b.recv(&mut [], flags).unwrap(), 10);
    assert_eq!(receive(&b), b"0123456789");
}

#[test]
fn a_connected_socket_hears_only_its_peer() {
    let (a, a_addr) = udp();
    let (b, b_addr) = udp();
    let (stranger, _) = udp();
    b.connect(&a_addr).unwrap();
    assert_eq!(b.peer_addr().unwrap(), Some(a_addr));
    stranger.send_to(b"no", MsgFlags::NONE, &b_addr).unwrap();
    a.send_to(b"yes", MsgFlags::NONE, &b_addr).unwrap();
    assert_eq!(receive(&b), b"yes");
    b.set_mode(Mode::NonBlock).unwrap();
    assert!(
        b.recv(&mut [0; 4], MsgFlags::NONE)
            .unwrap_err()
            .is_would_block()
    );
}

#[test]
fn a_connected_socket_learns_that_nobody_is_there() {
    let (gone, addr) = udp();
    drop(gone);
    let (socket, _) = udp();
    socket.connect(&addr).unwrap();
    socket.send(b"hello?", MsgFlags::NONE).unwrap();
    let error = socket.recv(&mut [0; 4], MsgFlags::NONE).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ECONNREFUSED));
}

#[test]
fn a_datagram_beyond_the_maximum_is_refused_whole() {
    let (socket, addr) = udp();
    let error = socket
        .send_to(&vec![0; 70_000], MsgFlags::NONE, &addr)
        .unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EMSGSIZE));
}

#[test]
fn without_a_peer_there_is_nowhere_to_send() {
    let (socket, _) = udp();
    let error = socket.send(b"x", MsgFlags::NONE).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EDESTADDRREQ));
}

#[test]
fn datagrams_have_no_backlog() {
    let (socket, _) = udp();
    assert_eq!(
        socket.listen(1).unwrap_err().errno(),
        Some(Errno::EOPNOTSUPP)
    );
}

#[test]
fn an_ipv4_sender_at_a_dual_stack_socket_has_a_canonical_address() {
    if !has_ipv6() {
        return;
    }
    let both = Socket::new(Family::INET6, Kind::DGRAM, Protocol::DEFAULT).unwrap();
    both.set(berkeley::opt::V6Only, false).unwrap();
    both.bind(&inet("[::]:0")).unwrap();
    both.set_mode(Mode::Within(PATIENCE)).unwrap();
    let port = both.local_addr().unwrap().port().unwrap();
    let (four, four_addr) = udp();
    four.send_to(b"4", MsgFlags::NONE, &inet("127.0.0.1:0").with_port(port))
        .unwrap();
    let (_, from) = both.recv_from(&mut [0; 4], MsgFlags::NONE).unwrap();
    let from = from.unwrap();
    assert_eq!(from.family(), Family::INET6);
    assert!(from.to_string().starts_with("[::ffff:127.0.0.1]"), "{from}");
    assert_eq!(from.ip(), four_addr.ip());
    assert!(from.is_loopback());
    assert_eq!(from.canonical(), four_addr);
}

#[test]
fn a_limit_ends_a_receive_that_nothing_comes_to() {
    let (socket, _) = udp();
    let limit = Duration::from_millis(30);
    socket.set_mode(Mode::Within(limit)).unwrap();
    crate::support::assert_takes(limit, || {
        crate::support::assert_timed_out(socket.recv_from(&mut [0; 4], MsgFlags::NONE));
    });
}
