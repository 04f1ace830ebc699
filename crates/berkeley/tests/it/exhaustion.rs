//! When descriptors run out, and when messages do not fit: told, and nothing leaks.

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use berkeley::selector::Backend;
use berkeley::{
    CmsgOut, ConnectOptions, ControlBuf, ControlOut, ControlSpace, Errno, Error, FDS_MAX, Family,
    Kind, Mode, MsgFlags, OutMessage, Protocol, Socket, Splicer, Waker,
};

use crate::lives::is_child;
use crate::support::{listener, tcp, tcp_pair, udp, unix_listener, unix_pair};

const NONE: MsgFlags = MsgFlags::NONE;

/// Descriptors of this process.
fn open() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn assert_exhausted<T: std::fmt::Debug>(name: &str, result: berkeley::Result<T>) {
    let error = result.expect_err(name);
    assert_eq!(error.errno(), Some(Errno::EMFILE), "{name}: {error:?}");
    assert!(error.errno().unwrap().is_exhaustion());
}

/// Takes all descriptors that are left but `spare`.
fn use_up(spare: usize) -> Vec<Socket> {
    let mut others = Vec::new();
    while let Ok(socket) = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT) {
        others.push(socket);
    }
    others.truncate(others.len() - spare);
    others
}

#[test]
fn whatever_makes_a_descriptor_says_that_there_is_none_left() {
    let name = "exhaustion::whatever_makes_a_descriptor_says_that_there_is_none_left";
    if !is_child(name, &["prlimit", "--nofile=40:40"]) {
        return;
    }
    let (server, addr) = listener(4);
    let client = tcp();
    client.connect(&addr).unwrap();
    let (unix_server, unix_addr) = unix_listener(Kind::STREAM, 4);
    let unix_client = crate::support::unix(Kind::STREAM);
    unix_client.connect(&unix_addr).unwrap();
    let (source, feed) = unix_pair(Kind::STREAM);
    let (target, end) = unix_pair(Kind::STREAM);
    let others = use_up(0);

    let made = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT);
    assert_exhausted("socket", made);
    assert_exhausted("socketpair", Socket::pair(Family::UNIX, Kind::STREAM));
    assert_exhausted("accept", server.accept());
    assert_exhausted("accept, unix", unix_server.accept());
    for mode in [Mode::NonBlock, Mode::Within(Duration::from_secs(5))] {
        server.set_mode(mode).unwrap();
        assert_exhausted("accept at once", server.accept());
    }
    assert_exhausted("dup", client.try_clone());
    assert_exhausted("dup", client.try_clone_inheritable());
    assert_exhausted("epoll", Backend::Epoll.open().map(drop));
    assert_exhausted("waker", Waker::new());
    let options = ConnectOptions::new();
    let connected = options.connect_addresses(std::slice::from_ref(&addr));
    assert_exhausted("connect", connected);
    assert_exhausted("pipe", Splicer::with_capacity(1 << 16));
    // Without a pipe a relay takes the other way.
    feed.send_all(b"all the same").unwrap();
    let len = Splicer::new()
        .to_socket(&source, &target, Some(12))
        .unwrap();
    assert_eq!(len, 12);
    assert_eq!(crate::support::receive(&end), b"all the same");

    // The connections have waited.
    drop(others);
    server.accept().unwrap();
    unix_server.accept().unwrap();
}

#[test]
fn descriptors_that_find_no_place_are_told_and_the_rest_is_owned() {
    let name = "exhaustion::descriptors_that_find_no_place_are_told_and_the_rest_is_owned";
    if !is_child(name, &["prlimit", "--nofile=40:40"]) {
        return;
    }
    for kind in [Kind::STREAM, Kind::DGRAM, Kind::SEQPACKET] {
        let (a, b) = unix_pair(kind);
        for (sent, spare) in [(5, 2), (5, 0), (1, 0), (253, 3)] {
            let fds = vec![a.as_fd(); sent];
            a.send_fds(b"data", &fds, NONE).unwrap();
            let others = use_up(spare);
            let before = others.len();
            let message = b.recv_fds(&mut [0; 8], NONE).unwrap();
            assert_eq!((message.len, message.fds.len()), (4, spare), "{kind:?}");
            assert!(message.is_control_truncated());
            assert_exhausted("none left", a.try_clone());
            drop(message);
            let again = use_up(0);
            assert_eq!(again.len(), spare, "beside {before}: all came back");
        }
    }
}

/// One descriptor more than a message can carry, as a message of its own.
fn send_too_many(a: &Socket) -> Error {
    let fds: Vec<BorrowedFd<'_>> = vec![a.as_fd(); FDS_MAX + 1];
    let control = ControlOut::of(&[CmsgOut::Rights(&fds)]).unwrap();
    let pieces = [IoSlice::new(b"x")];
    let message = OutMessage::new(&pieces).control(&control);
    a.send_message(&message, NONE).unwrap_err()
}

#[test]
fn no_message_leaks_a_descriptor_however_it_is_received() {
    let name = "exhaustion::no_message_leaks_a_descriptor_however_it_is_received";
    if !is_child(name, &["env"]) {
        return;
    }
    for kind in [Kind::STREAM, Kind::DGRAM, Kind::SEQPACKET] {
        let (a, b) = unix_pair(kind);
        // What a thread needs to wait is made once.
        b.recv_fds(&mut [0], MsgFlags::DONTWAIT).unwrap_err();
        let before = open();
        let error = send_too_many(&a);
        assert_eq!(error.errno(), Some(Errno::EINVAL), "the kernel's own bound");
        let full = vec![a.as_fd(); FDS_MAX];

        let send = || assert_eq!(a.send_fds(b"long data", &full, NONE).unwrap(), 9);
        let rest = || while b.recv(&mut [0; 16], MsgFlags::DONTWAIT).is_ok() {};

        send();
        let message = b.recv_fds(&mut [0; 16], NONE).unwrap();
        assert_eq!(message.fds.len(), FDS_MAX);
        assert_eq!(open(), before + FDS_MAX);
        drop(message);
        assert_eq!(open(), before, "{kind:?}: all at once");

        // Room for a few, for none, and less than a header. Data are cut too.
        for room in [CmsgRoom::Few, CmsgRoom::Header, CmsgRoom::None] {
            send();
            let is_cut = receive_with(&b, room);
            assert_eq!(is_cut, kind != Kind::STREAM, "{kind:?}: MSG_TRUNC");
            rest();
            assert_eq!(open(), before, "{kind:?}, {room:?}");
        }

        // Received as mere bytes, and looked at.
        send();
        assert!(b.recv(&mut [0; 4], NONE).unwrap() > 0);
        rest();
        assert_eq!(open(), before, "{kind:?}: recv");
        send();
        drop(b.recv_fds(&mut [0; 4], MsgFlags::PEEK).unwrap());
        assert_eq!(open(), before, "{kind:?}: looked at");
        rest();

        // Dropped under way.
        send();
        drop((a, b));
        assert_eq!(open(), before - 2, "{kind:?}: under way");
    }
}

#[derive(Debug, Clone, Copy)]
enum CmsgRoom {
    Few,
    Header,
    None,
}

/// Receives four bytes and what control messages fit; says whether the data were cut.
fn receive_with(b: &Socket, room: CmsgRoom) -> bool {
    let mut data = [0; 4];
    let mut buffers = [IoSliceMut::new(&mut data)];
    let mut space = ControlSpace::<32>::new();
    let mut small = ControlSpace::<8>::new();
    let mut none = ControlBuf::none();
    let mut held = match room {
        CmsgRoom::Few => space.buf(),
        CmsgRoom::Header => small.buf(),
        CmsgRoom::None => ControlBuf::none(),
    };
    let control = match room {
        CmsgRoom::None => &mut none,
        _ => &mut held,
    };
    let message = b.recv_message(&mut buffers, control, NONE).unwrap();
    assert!(message.is_control_truncated(), "{room:?}: MSG_CTRUNC");
    message.is_truncated()
}

#[test]
fn a_socket_that_cannot_be_taken_over_is_closed() {
    let name = "exhaustion::a_socket_that_cannot_be_taken_over_is_closed";
    if !is_child(name, &["env"]) {
        return;
    }
    drop((tcp_pair(), udp()));
    let before = open();
    let (reading, writing) = std::io::pipe().unwrap();
    let error = Socket::adopt(reading.into()).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENOTSOCK));
    drop(writing);
    assert_eq!(open(), before);
}
