//! Sockets between processes of one machine.

use std::os::unix::fs::FileTypeExt;
use std::process;
use std::time::Duration;

use berkeley::{Addr, Errno, Family, Kind, Mode, MsgFlags, Shutdown, Socket, UnixAddr, opt};

use crate::support::{
    PATIENCE, assert_takes, assert_timed_out, is_nonblocking, receive, unix, unix_listener,
    unix_pair,
};

/// An abstract name that no other run of these tests has, with zero bytes in it.
fn abstract_addr(name: &str) -> Addr {
    let name = format!("berkeley\0{}\0{name}\0", process::id());
    Addr::Unix(UnixAddr::abstract_name(name.as_bytes()).unwrap())
}

fn name(addr: &Addr) -> &UnixAddr {
    match addr {
        Addr::Unix(name) => name,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stream_at_a_path_is_reached_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s p a c e");
    let addr = Addr::Unix(UnixAddr::path(&path).unwrap());
    let server = unix(Kind::STREAM);
    server.bind(&addr).unwrap();
    server.listen(1).unwrap();
    assert!(path.symlink_metadata().unwrap().file_type().is_socket());
    assert_eq!(server.local_addr().unwrap(), addr);
    let client = unix(Kind::STREAM);
    client.connect(&addr).unwrap();
    assert_eq!(client.peer_addr().unwrap(), Some(addr));
    client.send_all(b"x").unwrap();
    let (peer, _) = server.accept().unwrap();
    assert_eq!(receive(&peer), b"x");
}

#[test]
fn a_path_of_the_greatest_length_works() {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let stem = folder.path().to_str().unwrap();
    let path = format!("{stem}/{}", "p".repeat(107 - 1 - stem.len()));
    let addr = Addr::Unix(UnixAddr::path(&path).unwrap());
    let server = unix(Kind::STREAM);
    server.bind(&addr).unwrap();
    server.listen(1).unwrap();
    assert_eq!(server.local_addr().unwrap(), addr);
    unix(Kind::STREAM).connect(&addr).unwrap();
}

#[test]
fn a_peer_without_a_name_has_no_address() {
    for kind in [Kind::STREAM, Kind::SEQPACKET] {
        let (server, addr) = unix_listener(kind, 1);
        let client = unix(kind);
        client.connect(&addr).unwrap();
        let (peer, peer_addr) = server.accept().unwrap();
        assert_eq!(peer_addr, None);
        assert_eq!(peer.peer_addr().unwrap(), None);
        assert!(name(&client.local_addr().unwrap()).is_unnamed());
    }
    let (a, b) = unix_pair(Kind::DGRAM);
    a.send(b"x", MsgFlags::NONE).unwrap();
    let got = b.recv_from(&mut [0; 4], MsgFlags::NONE).unwrap();
    assert_eq!(got, (1, None));
}

#[test]
fn a_peer_with_a_name_is_told() {
    let (server, addr) = unix_listener(Kind::STREAM, 1);
    let client = unix(Kind::STREAM);
    client.bind(&abstract_addr("caller")).unwrap();
    client.connect(&addr).unwrap();
    let (_peer, peer_addr) = server.accept().unwrap();
    assert_eq!(peer_addr, Some(abstract_addr("caller")));
}

#[test]
fn an_abstract_name_may_contain_zero_bytes_and_is_not_a_longer_ones_beginning() {
    let addr = abstract_addr("zeroes");
    let server = unix(Kind::STREAM);
    server.bind(&addr).unwrap();
    server.listen(1).unwrap();
    assert_eq!(server.local_addr().unwrap(), addr);
    unix(Kind::STREAM).connect(&addr).unwrap();
    let longer = [name(&addr).as_abstract().unwrap(), b"\0"].concat();
    let longer = Addr::Unix(UnixAddr::abstract_name(&longer).unwrap());
    assert_eq!(
        unix(Kind::STREAM).connect_ex(&longer).unwrap(),
        Some(Errno::ECONNREFUSED)
    );
    assert_eq!(
        unix(Kind::STREAM).bind(&addr).unwrap_err().errno(),
        Some(Errno::EADDRINUSE)
    );
    drop(server);
    unix(Kind::STREAM).bind(&addr).unwrap();
}

#[test]
fn an_abstract_name_may_have_107_bytes() {
    let mut bytes = [b'n'; 107];
    bytes[..4].copy_from_slice(&process::id().to_ne_bytes());
    let addr = Addr::Unix(UnixAddr::abstract_name(&bytes).unwrap());
    let socket = unix(Kind::DGRAM);
    socket.bind(&addr).unwrap();
    assert_eq!(socket.local_addr().unwrap(), addr);
}

#[test]
fn binding_to_no_name_gets_a_free_abstract_one() {
    let socket = unix(Kind::DGRAM);
    socket.bind(&Addr::Unix(UnixAddr::unnamed())).unwrap();
    let addr = socket.local_addr().unwrap();
    let chosen = name(&addr).as_abstract().unwrap();
    assert_eq!(chosen.len(), 5, "{addr}");
    assert!(chosen.iter().all(u8::is_ascii_hexdigit), "{addr}");
}

#[test]
fn sequenced_packets_keep_their_bounds_and_their_order_and_have_an_end() {
    let (server, addr) = unix_listener(Kind::SEQPACKET, 1);
    let client = unix(Kind::SEQPACKET);
    client.connect(&addr).unwrap();
    let (peer, _) = server.accept().unwrap();
    assert_eq!(peer.kind(), Kind::SEQPACKET);
    client.send_all(b"one").unwrap();
    client.send_all(b"two").unwrap();
    client.shutdown(Shutdown::WRITE).unwrap();
    assert_eq!(receive(&peer), b"one");
    assert_eq!(receive(&peer), b"two");
    assert_eq!(receive(&peer), b"");
}

#[test]
fn a_datagram_can_be_answered_if_its_sender_has_a_name() {
    let (server, client) = (unix(Kind::DGRAM), unix(Kind::DGRAM));
    server.bind(&abstract_addr("dgram-server")).unwrap();
    client.bind(&abstract_addr("dgram-client")).unwrap();
    client
        .send_to(b"ping", MsgFlags::NONE, &abstract_addr("dgram-server"))
        .unwrap();
    let mut buf = [0; 2];
    let (len, from) = server.recv_from(&mut buf, MsgFlags::TRUNC).unwrap();
    assert_eq!(len, 4);
    server
        .send_to(b"pong", MsgFlags::NONE, &from.unwrap())
        .unwrap();
    assert_eq!(receive(&client), b"pong");
}

#[test]
fn a_limited_connect_to_a_full_listener_waits_as_long_as_it_may() {
    let (server, addr) = unix_listener(Kind::STREAM, 0);
    let first = unix(Kind::STREAM);
    first.connect(&addr).unwrap();
    let limit = Duration::from_millis(60);
    let second = unix(Kind::STREAM);
    second.set_mode(Mode::Within(limit)).unwrap();
    assert_takes(limit, || assert_timed_out(second.connect(&addr)));
    assert_eq!(second.connect_ex(&addr).unwrap(), Some(Errno::EAGAIN));
    assert!(is_nonblocking(&second), "the mode is as it was");

    // The socket is not spent, and the limit was taken off the sends that follow.
    server.accept().unwrap();
    second.connect(&addr).unwrap();
    second.set_mode(Mode::Block).unwrap();
    let (peer, _) = server.accept().unwrap();
    second.send_all(b"here").unwrap();
    assert_eq!(receive(&peer), b"here");
}

#[test]
fn a_limited_connect_goes_through_as_soon_as_there_is_room() {
    let (server, addr) = unix_listener(Kind::STREAM, 0);
    let first = unix(Kind::STREAM);
    first.connect(&addr).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let second = unix(Kind::STREAM);
            second.set_mode(Mode::Within(PATIENCE)).unwrap();
            second.connect(&addr)
        });
        server.accept().unwrap();
        server.accept().unwrap();
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn a_non_blocking_connect_to_a_full_listener_is_not_queued() {
    let (_server, addr) = unix_listener(Kind::STREAM, 0);
    let first = unix(Kind::STREAM);
    first.connect(&addr).unwrap();
    let second = unix(Kind::STREAM);
    second.set_mode(Mode::NonBlock).unwrap();
    assert_eq!(second.connect_ex(&addr).unwrap(), Some(Errno::EAGAIN));
    assert_eq!(
        second.peer_addr().unwrap_err().errno(),
        Some(Errno::ENOTCONN)
    );
}

#[test]
fn a_socket_of_another_type_cannot_connect() {
    let folder = tempfile::tempdir().unwrap();
    let addr = Addr::Unix(UnixAddr::path(folder.path().join("s")).unwrap());
    let server = unix(Kind::STREAM);
    server.bind(&addr).unwrap();
    server.listen(1).unwrap();
    assert_eq!(
        unix(Kind::SEQPACKET).connect_ex(&addr).unwrap(),
        Some(Errno::EPROTOTYPE)
    );
    // An abstract name belongs to one type: to others, nobody has it.
    let (_server, addr) = unix_listener(Kind::STREAM, 1);
    assert_eq!(
        unix(Kind::SEQPACKET).connect_ex(&addr).unwrap(),
        Some(Errno::ECONNREFUSED)
    );
}

#[test]
fn a_peer_says_which_process_it_is() {
    let (a, _b) = unix_pair(Kind::STREAM);
    let peer = a.get(opt::PeerCredentials).unwrap();
    assert_eq!(peer.pid, process::id());
}

#[test]
fn an_unused_file_name_and_a_missing_folder_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no/such");
    let addr = Addr::Unix(UnixAddr::path(&missing).unwrap());
    let error = unix(Kind::STREAM).bind(&addr).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENOENT));
    assert!(error.to_string().contains("no/such"), "{error}");
    let (a, _b) = Socket::pair(Family::UNIX, Kind::STREAM).unwrap();
    assert_eq!(a.family(), Family::UNIX);
}

#[test]
fn a_limited_datagram_to_a_full_receiver_ends_in_time() {
    let receiver = unix(Kind::DGRAM);
    let addr = abstract_addr("full");
    receiver.bind(&addr).unwrap();
    let sender = unix(Kind::DGRAM);
    while sender.send_to(b"x", MsgFlags::DONTWAIT, &addr).is_ok() {}
    // poll(2) calls the unconnected sender writable all the while.
    let limit = Duration::from_millis(60);
    sender.set_mode(Mode::Within(limit)).unwrap();
    assert_takes(limit, || {
        assert_timed_out(sender.send_to(b"x", MsgFlags::NONE, &addr));
    });
    sender.set_mode(Mode::Within(PATIENCE)).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| sender.send_to(b"last", MsgFlags::NONE, &addr));
        while receive(&receiver) != b"last" {}
        assert_eq!(waiting.join().unwrap().unwrap(), 4);
    });
}
