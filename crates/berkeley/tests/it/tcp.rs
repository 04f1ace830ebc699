//! Streams over the network.

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use berkeley::selector::{Backend, Interest};
use berkeley::{
    Addr, Errno, Error, Family, Kind, Mode, MsgFlags, OutMessage, Protocol, Shutdown, Socket,
    UnixAddr, Waker, opt, resolve,
};

use crate::support::{
    PATIENCE, assert_timed_out, await_readable, await_ready, drain, has_ipv6, impossible_host,
    inet, is_close_on_exec, listener, receive, tcp, tcp_pair, udp, unix_pair,
};

#[test]
fn both_ends_know_their_own_and_each_others_address() {
    let (server, addr) = listener(1);
    let client = tcp();
    client.connect(&addr).unwrap();
    let (peer, peer_addr) = server.accept().unwrap();
    assert_eq!(peer_addr, Some(client.local_addr().unwrap()));
    assert_eq!(peer.peer_addr().unwrap(), peer_addr);
    assert_eq!(peer.local_addr().unwrap(), addr);
    assert_eq!(client.peer_addr().unwrap(), Some(addr));
}

#[test]
fn a_socket_without_a_peer_has_no_peer_address() {
    assert_eq!(
        tcp().peer_addr().unwrap_err().errno(),
        Some(Errno::ENOTCONN)
    );
    assert_eq!(tcp().local_addr().unwrap(), inet("0.0.0.0:0"));
}

#[test]
fn an_accepted_socket_knows_what_it_is() {
    let (_client, peer) = tcp_pair();
    assert_eq!(peer.family(), Family::INET);
    assert_eq!(peer.kind(), Kind::STREAM);
}

#[test]
fn ipv6_carries_the_same() {
    if !has_ipv6() {
        return;
    }
    let server = Socket::new(Family::INET6, Kind::STREAM, Protocol::TCP).unwrap();
    server.bind(&inet("[::1]:0")).unwrap();
    server.listen(1).unwrap();
    let client = Socket::new(Family::INET6, Kind::STREAM, Protocol::TCP).unwrap();
    client.connect(&server.local_addr().unwrap()).unwrap();
    client.send_all(b"six").unwrap();
    let (peer, peer_addr) = server.accept().unwrap();
    assert_eq!(receive(&peer), b"six");
    assert_eq!(peer_addr, Some(client.local_addr().unwrap()));
    assert!(peer_addr.unwrap().is_loopback());
}

#[test]
fn what_is_sent_in_pieces_arrives_in_order() {
    let (a, b) = tcp_pair();
    let sent = a
        .send_gathered(
            &[
                IoSlice::new(b"one "),
                IoSlice::new(b""),
                IoSlice::new(b"two"),
            ],
            MsgFlags::NONE,
        )
        .unwrap();
    assert_eq!(sent, 7);
    let (mut first, mut second) = ([0; 3], [0; 8]);
    await_readable(&b);
    let len = b
        .recv_scattered(
            &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)],
            MsgFlags::NONE,
        )
        .unwrap();
    assert_eq!((len, &first, &second[..4]), (7, b"one", &b" two"[..]));
}

#[test]
fn more_pieces_than_one_call_takes_are_no_error() {
    let (a, b) = tcp_pair();
    let pieces = [IoSlice::new(b"x"); 2000];
    assert_eq!(a.send_gathered(&pieces, MsgFlags::NONE).unwrap(), 1024);
    a.shutdown(Shutdown::WRITE).unwrap();
    assert_eq!(drain(&b), 1024);
}

#[test]
fn a_datagram_of_more_pieces_than_one_call_takes_is_refused_and_not_cut() {
    let (a, b) = unix_pair(Kind::DGRAM);
    let pieces = [IoSlice::new(b"x"); 1025];
    let (long, fits) = (OutMessage::new(&pieces), OutMessage::new(&pieces[..1024]));
    let none = MsgFlags::NONE;
    for error in [
        a.send_gathered(&pieces, none).unwrap_err(),
        a.send_message(&long, none).unwrap_err(),
        a.send_batch(&[long, fits], none).unwrap_err(),
    ] {
        assert_eq!(error.errno(), Some(Errno::EMSGSIZE), "{error}");
    }
    assert_eq!(a.send_batch(&[fits, long, fits], none).unwrap(), 1);
    assert_eq!(a.send_gathered(&pieces[..1024], none).unwrap(), 1024);
    for _datagram in 0..2 {
        assert_eq!(b.recv(&mut [0; 2000], MsgFlags::DONTWAIT).unwrap(), 1024);
    }
    assert!(b.recv(&mut [0], MsgFlags::DONTWAIT).is_err());
}

#[test]
fn a_socket_is_a_reader_and_a_writer() {
    let (a, b) = tcp_pair();
    writeln!(&a, "hello").unwrap();
    (&a).flush().unwrap();
    let mut buf = [0; 6];
    (&b).read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"hello\n");
}

#[test]
fn a_peek_leaves_what_it_saw() {
    let (a, b) = tcp_pair();
    a.send_all(b"xy").unwrap();
    let mut buf = [0; 2];
    assert_eq!(b.recv(&mut buf[..1], MsgFlags::PEEK).unwrap(), 1);
    assert_eq!(receive(&b), b"xy");
}

#[test]
fn the_end_of_the_peers_side_is_a_receive_of_nothing_and_the_other_side_goes_on() {
    let (a, b) = tcp_pair();
    a.shutdown(Shutdown::WRITE).unwrap();
    assert_eq!(receive(&b), b"");
    b.send_all(b"still here").unwrap();
    assert_eq!(receive(&a), b"still here");
    assert_eq!(
        a.send(b"x", MsgFlags::NONE).unwrap_err().errno(),
        Some(Errno::EPIPE)
    );
}

#[test]
fn sending_to_a_peer_that_is_gone_is_an_error_and_never_a_signal() {
    // The Rust runtime ignores SIGPIPE, so only a handler shows whether one came.
    let raised = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGPIPE, Arc::clone(&raised)).unwrap();
    let (a, b) = unix_pair(Kind::STREAM);
    drop(b);
    for error in [
        a.send(b"x", MsgFlags::NONE).unwrap_err(),
        a.send_all(b"x").unwrap_err(),
        a.send_gathered(&[IoSlice::new(b"x")], MsgFlags::NONE)
            .unwrap_err(),
    ] {
        assert_eq!(error.errno(), Some(Errno::EPIPE), "{error}");
    }
    let (a, b) = unix_pair(Kind::SEQPACKET);
    drop(b);
    let error = a
        .send_to(b"x", MsgFlags::NONE, &inet("127.0.0.1:1"))
        .unwrap_err();
    assert!(error.errno().is_some());
    assert!(!raised.load(Ordering::SeqCst));
}

#[test]
fn a_close_with_no_time_to_linger_resets_the_connection() {
    let (a, b) = tcp_pair();
    a.set(opt::Linger, Some(Duration::ZERO)).unwrap();
    a.close().unwrap();
    let error = b.recv(&mut [0; 1], MsgFlags::NONE).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ECONNRESET));
}

#[test]
fn a_send_that_ends_early_says_how_much_went_out() {
    let (a, b) = tcp_pair();
    a.set_mode(Mode::Within(Duration::from_millis(50))).unwrap();
    let error = a.send_all(&vec![7; 64 << 20]).unwrap_err();
    assert!(error.is_timed_out());
    let Error::Partial { sent, .. } = error else {
        panic!("{error:?}");
    };
    a.close().unwrap();
    assert_eq!(drain(&b), sent);
}

#[test]
fn a_non_blocking_send_of_too_much_is_partial_too() {
    let (a, _b) = tcp_pair();
    a.set_mode(Mode::NonBlock).unwrap();
    let error = a.send_all(&vec![7; 64 << 20]).unwrap_err();
    assert!(error.is_would_block());
    assert!(matches!(error, Error::Partial { sent, .. } if sent > 0));
}

#[test]
fn bytes_stay_unacknowledged_until_the_peer_has_taken_them() {
    let (a, b) = tcp_pair();
    assert_eq!(a.unacknowledged().unwrap(), 0);
    a.set_mode(Mode::NonBlock).unwrap();
    assert!(a.send_all(&vec![7; 64 << 20]).is_err());
    assert!(a.unacknowledged().unwrap() > 0, "the peer's queue is full");
    a.shutdown(Shutdown::WRITE).unwrap();
    drain(&b);
    // The acknowledgement is no event that could be waited for.
    let start = Instant::now();
    while a.unacknowledged().unwrap() > 0 {
        assert!(start.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    let (server, _) = listener(1);
    assert_eq!(
        server.unacknowledged().unwrap_err().errno(),
        Some(Errno::EINVAL)
    );
}

#[test]
fn a_connection_that_nobody_takes_is_refused_with_the_address() {
    let (server, addr) = listener(1);
    drop(server);
    let error = tcp().connect(&addr).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ECONNREFUSED));
    assert_eq!(
        error.to_string(),
        format!("connect {addr}: connection refused")
    );
    assert_eq!(tcp().connect_ex(&addr).unwrap(), Some(Errno::ECONNREFUSED));
}

#[test]
fn connect_ex_answers_nothing_for_success_and_a_number_for_the_end_of_the_limit() {
    let (_server, addr) = listener(0);
    let first = tcp();
    assert_eq!(first.connect_ex(&addr).unwrap(), None);
    assert_eq!(first.connect_ex(&addr).unwrap(), Some(Errno::EISCONN));
    let second = tcp();
    second
        .set_mode(Mode::Within(Duration::from_millis(20)))
        .unwrap();
    assert_eq!(second.connect_ex(&addr).unwrap(), Some(Errno::EAGAIN));
}

#[test]
fn a_non_blocking_connect_is_under_way_and_tells_later_how_it_went() {
    let (server, addr) = listener(1);
    let client = tcp();
    client.set_mode(Mode::NonBlock).unwrap();
    assert_eq!(client.connect_ex(&addr).unwrap(), Some(Errno::EINPROGRESS));
    await_ready(&client, Interest::WRITABLE);
    assert_eq!(client.take_error().unwrap(), None);
    assert_eq!(client.peer_addr().unwrap(), Some(addr.clone()));
    drop(server);

    let late = tcp();
    late.set_mode(Mode::NonBlock).unwrap();
    assert_eq!(late.connect_ex(&addr).unwrap(), Some(Errno::EINPROGRESS));
    await_ready(&late, Interest::WRITABLE);
    assert_eq!(late.take_error().unwrap(), Some(Errno::ECONNREFUSED));
    assert_eq!(late.take_error().unwrap(), None, "it was taken");
}

#[test]
fn a_connect_to_a_full_listener_ends_with_its_limit() {
    let (_server, addr) = listener(0);
    let first = tcp();
    first.connect(&addr).unwrap();
    crate::support::assert_takes(Duration::from_millis(50), || {
        let client = tcp();
        client
            .set_mode(Mode::Within(Duration::from_millis(50)))
            .unwrap();
        assert_timed_out(client.connect(&addr));
    });
}

#[test]
fn an_accept_gives_the_mode_that_was_asked_for() {
    let (server, addr) = listener(4);
    for (mode, nonblocking) in [
        (Mode::Block, false),
        (Mode::NonBlock, true),
        (Mode::Within(PATIENCE), true),
    ] {
        let client = tcp();
        client.connect(&addr).unwrap();
        let (peer, _) = server.accept_with(mode).unwrap();
        assert_eq!(peer.mode(), mode);
        assert_eq!(crate::support::is_nonblocking(&peer), nonblocking);
    }
}

#[test]
fn every_descriptor_is_close_on_exec() {
    let (server, addr) = listener(1);
    let client = tcp();
    client.connect(&addr).unwrap();
    let (peer, _) = server.accept().unwrap();
    let clone = peer.try_clone().unwrap();
    let (a, b) = unix_pair(Kind::STREAM);
    let waker = Waker::new().unwrap();
    let mut sockets = Vec::new();
    for socket in [&server, &client, &peer, &clone, &a, &b] {
        assert!(is_close_on_exec(socket), "{socket:?}");
        let path = format!("/proc/self/fd/{}", socket.as_fd().as_raw_fd());
        sockets.push(std::fs::read_link(path).unwrap());
    }
    assert!(is_close_on_exec(&waker));

    // A selector's own descriptor is nobody's business, so ask a child what it has.
    let _selector = Backend::Epoll.open().unwrap();
    let child = Command::new("ls")
        .args(["-l", "/proc/self/fd"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let seen = String::from_utf8(child.stdout).unwrap();
    assert!(
        child.status.success() && seen.contains("/dev/null"),
        "{seen}"
    );
    assert!(!seen.contains("eventpoll"), "{seen}");
    for socket in sockets {
        assert!(!seen.contains(socket.to_str().unwrap()), "{seen}");
    }
}

#[test]
fn a_clone_is_the_same_socket_and_outlives_the_first_handle() {
    let (a, b) = tcp_pair();
    let clone = a.try_clone().unwrap();
    assert_ne!(clone.as_fd().as_raw_fd(), a.as_fd().as_raw_fd());
    assert_eq!(clone.mode(), a.mode());
    assert_eq!(clone.local_addr().unwrap(), a.local_addr().unwrap());
    drop(a);
    clone.send_all(b"still open").unwrap();
    assert_eq!(receive(&b), b"still open");
    drop(clone);
    assert_eq!(receive(&b), b"");
}

#[test]
fn an_adopted_descriptor_tells_what_it_is() {
    let foreign = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = Addr::from(foreign.local_addr().unwrap());
    let socket = Socket::adopt(OwnedFd::from(foreign)).unwrap();
    assert_eq!(socket.family(), Family::INET);
    assert_eq!(socket.kind(), Kind::STREAM);
    assert_eq!(socket.protocol(), Protocol::TCP);
    assert_eq!(socket.mode(), Mode::Block);
    assert_eq!(socket.local_addr().unwrap(), addr);
    assert!(socket.get(opt::Listening).unwrap());

    let foreign = UdpSocket::bind("127.0.0.1:0").unwrap();
    foreign.set_nonblocking(true).unwrap();
    let socket = Socket::try_from(OwnedFd::from(foreign)).unwrap();
    assert_eq!(socket.kind(), Kind::DGRAM);
    assert_eq!(socket.protocol(), Protocol::UDP);
    assert_eq!(socket.mode(), Mode::NonBlock);
    let error = socket.recv(&mut [0; 1], MsgFlags::NONE).unwrap_err();
    assert!(error.is_would_block());
}

#[test]
fn a_pipe_is_no_socket() {
    let (reader, _writer) = std::io::pipe().unwrap();
    let error = Socket::adopt(OwnedFd::from(reader)).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENOTSOCK));
}

#[test]
fn a_descriptor_that_is_given_away_stays_open() {
    let (a, b) = tcp_pair();
    let fd = OwnedFd::from(a);
    let again = Socket::adopt(fd).unwrap();
    again.send_all(b"x").unwrap();
    assert_eq!(receive(&b), b"x");
}

#[test]
fn a_pipe_can_be_read_and_has_an_end() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"typed").unwrap();
    drop(writer);
    let mut buf = [0; 16];
    assert_eq!(berkeley::read(reader.as_fd(), &mut buf).unwrap(), 5);
    assert_eq!(berkeley::read(reader.as_fd(), &mut buf).unwrap(), 0);
}

#[test]
fn a_family_that_the_kernel_lacks_is_unsupported() {
    let (family, kind) = (Family::from_raw(200), Kind::STREAM);
    for error in [
        Socket::new(family, kind, Protocol::DEFAULT).unwrap_err(),
        Socket::with_mode(family, kind, Protocol::DEFAULT, Mode::NonBlock).unwrap_err(),
        Socket::pair(family, kind).unwrap_err(),
    ] {
        assert!(
            matches!(error, Error::UnsupportedFamily(missing) if missing == family),
            "{error:?}"
        );
        assert_eq!(error.errno(), Some(Errno::EAFNOSUPPORT));
        assert!(
            error.to_string().contains("no address family 200:"),
            "{error}"
        );
    }
    let gone = Socket::new(Family::IPX, Kind::DGRAM, Protocol::DEFAULT).unwrap_err();
    assert!(gone.to_string().contains("no AF_IPX:"), "{gone}");
}

#[test]
fn a_socket_that_cannot_be_made_is_told_by_its_type_and_protocol() {
    let error = Socket::new(Family::INET, Kind::STREAM, Protocol::UDP).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EPROTONOSUPPORT));
    let text = "socket AF_INET SOCK_STREAM protocol 17: protocol not supported";
    assert_eq!(error.to_string(), text);
    let plain = std::io::Error::from(error);
    assert_eq!(plain.raw_os_error(), Some(Errno::EPROTONOSUPPORT.raw()));
    let error = Socket::pair(Family::INET, Kind::RDM).unwrap_err();
    let text = "socket AF_INET SOCK_RDM: socket type not supported";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_message_that_cannot_be_sent_is_told_with_its_address() {
    let socket = Socket::new(Family::UNIX, Kind::DGRAM, Protocol::DEFAULT).unwrap();
    let nobody = UnixAddr::path("/nonexistent/socket").unwrap();
    let none = MsgFlags::NONE;
    let error = socket.send_to(b"x", none, &nobody).unwrap_err().to_string();
    let reason = "/nonexistent/socket: no such file or directory";
    assert_eq!(error, format!("sendto {reason}"));
    let (pieces, nobody) = ([IoSlice::new(b"x")], Addr::from(nobody));
    let message = OutMessage::new(&pieces).to(&nobody);
    let error = socket.send_message(&message, none).unwrap_err().to_string();
    assert_eq!(error, format!("sendmsg {reason}"));
    let error = socket.send_batch(&[message], none).unwrap_err().to_string();
    assert_eq!(error, format!("sendmmsg {reason}"));
}

#[test]
fn the_flags_of_creation_are_a_mode_and_no_part_of_the_type() {
    let kind = Kind::from_raw(libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC);
    let socket = Socket::new(Family::INET, kind, Protocol::DEFAULT).unwrap();
    assert_eq!(socket.kind(), Kind::STREAM);
    assert_eq!(socket.mode(), Mode::NonBlock);
    let (a, _b) = Socket::pair(Family::UNIX, kind).unwrap();
    assert_eq!((a.kind(), a.mode()), (Kind::STREAM, Mode::NonBlock));
}

#[test]
fn binding_where_another_is_names_the_address() {
    let (_server, addr) = listener(1);
    let error = tcp().bind(&addr).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EADDRINUSE));
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
    let (_, addr) = udp();
    assert!(addr.port().unwrap() > 0);
}

#[test]
fn this_machine_has_a_name() {
    let found = resolve("localhost", 7, Family::INET, Kind::STREAM).unwrap();
    assert_eq!(found, [inet("127.0.0.1:7")]);
    let host = impossible_host();
    let error = resolve(&host, 7, Family::UNSPEC, Kind::STREAM).unwrap_err();
    assert!(matches!(error, Error::Resolve { .. }));
    assert!(error.to_string().contains(&host), "{error}");
}
