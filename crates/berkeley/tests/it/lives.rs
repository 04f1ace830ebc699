//! Buffers of all kinds, descriptors in other hands, and what happens when descriptors run out.

use core::mem::MaybeUninit;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Command;
use std::time::{Duration, Instant};

use berkeley::{
    AcceptFlags, Errno, Error, Family, Kind, Mode, MsgFlags, Protocol, Shutdown, Socket,
};

use crate::support::{
    PATIENCE, assert_timed_out, await_readable, flags, is_close_on_exec, is_nonblocking, listener,
    receive, tcp, tcp_pair, udp, unix, unix_listener, unix_pair,
};

#[test]
fn bytes_go_into_any_kind_of_buffer() {
    let (a, b) = unix_pair(Kind::STREAM);
    let none = MsgFlags::NONE;
    a.send_all(b"abcdefghij").unwrap();
    let mut array = [0; 2];
    assert_eq!(b.recv_into(&mut array, none).unwrap(), 2);
    let mut slice = [0; 3];
    assert_eq!(b.recv_into(&mut slice[1..], none).unwrap(), 2);
    assert_eq!((array, slice), (*b"ab", *b"\0cd"));
    let mut raw = [MaybeUninit::uninit(); 3];
    let (filled, rest) = b.recv_into(&mut raw[..], none).unwrap();
    assert_eq!((&*filled, rest.len()), (&b"efg"[..], 0));
    let mut vec = Vec::with_capacity(64);
    vec.extend_from_slice(b"> ");
    assert_eq!(b.recv_into(&mut vec, none).unwrap(), 3);
    assert_eq!((vec.as_slice(), vec.capacity()), (&b"> hij"[..], 64));
    a.send_all(b"1234").unwrap();
    assert_eq!(
        b.recv_vec(3, none).unwrap(),
        b"123",
        "no more than was asked for"
    );
    let mut raw = [MaybeUninit::uninit(); 3];
    let (filled, rest) = b.recv_into(&mut raw[..], none).unwrap();
    assert_eq!((&*filled, rest.len()), (&b"4"[..], 2));
    a.shutdown(Shutdown::WRITE).unwrap();
    assert_eq!(b.recv_vec(9, none).unwrap(), b"");
}

#[test]
fn a_buffer_without_room_is_no_end_of_the_stream() {
    let (_a, b) = unix_pair(Kind::STREAM);
    let mut full = Vec::new();
    let error = b.recv_into(&mut full, MsgFlags::NONE).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    let error = b.recv_from_into(&mut full, MsgFlags::NONE).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
}

#[test]
fn a_sender_is_told_with_any_kind_of_buffer() {
    let (a, addr) = udp();
    a.send_to(b"abc", MsgFlags::NONE, &addr).unwrap();
    let mut vec = Vec::with_capacity(8);
    let (len, from) = a.recv_from_into(&mut vec, MsgFlags::NONE).unwrap();
    assert_eq!((len, from, vec.as_slice()), (3, Some(addr), &b"abc"[..]));
}

/// With this flag the kernel's answer is not what it has written: all of a datagram that did not
/// fit, and of a stream even what was thrown away unseen.
#[test]
fn a_length_beyond_the_buffer_leaves_no_byte_uninitialised() {
    let (a, addr) = udp();
    a.send_to(b"abcdef", MsgFlags::NONE, &addr).unwrap();
    let mut vec = Vec::with_capacity(4);
    let room = vec.capacity();
    let len = a.recv_into(&mut vec, MsgFlags::TRUNC).unwrap();
    assert_eq!((len, vec.len()), (6, room.min(6)));
    assert_eq!(vec, &b"abcdef"[..vec.len()]);
    let (a, b) = tcp_pair();
    a.send_all(b"abcdef").unwrap();
    await_readable(&b);
    let thrown = b.recv_vec(6, MsgFlags::TRUNC | MsgFlags::WAITALL).unwrap();
    assert!(thrown.iter().all(|byte| *byte == 0), "{thrown:?}");
}

#[test]
fn inheritance_is_a_choice() {
    let (a, _b) = tcp_pair();
    assert!(!a.is_inheritable().unwrap());
    a.set_inheritable(true).unwrap();
    assert!(a.is_inheritable().unwrap() && !is_close_on_exec(&a));
    assert!(!a.try_clone().unwrap().is_inheritable().unwrap());
    assert!(a.try_clone_inheritable().unwrap().is_inheritable().unwrap());
    a.set_inheritable(false).unwrap();
    assert!(!a.is_inheritable().unwrap() && is_close_on_exec(&a));
}

#[test]
fn an_inheritable_socket_reaches_a_child() {
    let (a, b) = unix_pair(Kind::STREAM);
    let given = a.try_clone_inheritable().unwrap();
    let number = given.as_fd().as_raw_fd();
    let script = format!("echo hello >&{number}");
    let status = Command::new("bash").args(["-c", &script]).status().unwrap();
    assert!(status.success());
    assert_eq!(receive(&b), b"hello\n");
    let kept = a.as_fd().as_raw_fd();
    let script = format!("test ! -e /proc/self/fd/{kept}");
    let status = Command::new("bash").args(["-c", &script]).status().unwrap();
    assert!(status.success(), "the other one did not");
}

#[test]
fn a_detached_descriptor_stays_open() {
    let (a, b) = unix_pair(Kind::STREAM);
    let fd: OwnedFd = a.detach();
    std::fs::File::from(fd).write_all(b"x").unwrap();
    assert_eq!(receive(&b), b"x");
}

#[test]
fn the_standard_librarys_sockets_are_taken_over_and_given_back() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = server.local_addr().unwrap();
    let server = Socket::try_from(server).unwrap();
    let mut client = TcpStream::connect(addr).unwrap();
    let (peer, _) = server.accept().unwrap();
    peer.set_mode(Mode::Within(PATIENCE)).unwrap();
    let mut peer = TcpStream::try_from(peer).unwrap();
    assert!(
        !is_nonblocking(&peer),
        "the standard library knows no limit of ours"
    );
    client.write_all(b"x").unwrap();
    peer.read_exact(&mut [0]).unwrap();
    let client = Socket::try_from(client).unwrap();
    assert_eq!(
        (client.family(), client.kind()),
        (Family::INET, Kind::STREAM)
    );
    let server = TcpListener::try_from(server).unwrap();
    assert_eq!(server.local_addr().unwrap(), addr);
    UdpSocket::try_from(udp().0).unwrap();
    Socket::try_from(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    let (a, b) = UnixStream::pair().unwrap();
    UnixStream::try_from(Socket::try_from(a).unwrap()).unwrap();
    let (c, d) = UnixDatagram::pair().unwrap();
    UnixDatagram::try_from(Socket::try_from(c).unwrap()).unwrap();
    let listening = UnixListener::try_from(unix_listener(Kind::STREAM, 1).0).unwrap();
    Socket::try_from(listening).unwrap();
    for wrong in [b.into(), d.into()] as [OwnedFd; 2] {
        let socket = Socket::adopt(wrong).unwrap();
        assert!(matches!(
            TcpStream::try_from(socket),
            Err(Error::Invalid(_))
        ));
    }
    let idle = TcpListener::try_from(tcp());
    assert!(matches!(idle, Err(Error::Invalid(_))), "it does not listen");
}

#[test]
fn a_mode_is_given_at_creation() {
    for mode in [Mode::Block, Mode::NonBlock, Mode::Within(PATIENCE)] {
        let made = Socket::with_mode(Family::INET, Kind::STREAM, Protocol::TCP, mode).unwrap();
        assert_eq!(
            (made.mode(), is_nonblocking(&made)),
            (mode, mode != Mode::Block)
        );
    }
}

#[test]
fn an_accepted_socket_has_the_flags_that_were_asked_for() {
    let (server, addr) = unix_listener(Kind::STREAM, 8);
    for wanted in [
        AcceptFlags::NONE,
        AcceptFlags::CLOEXEC,
        AcceptFlags::NONBLOCK | AcceptFlags::CLOEXEC,
    ] {
        unix(Kind::STREAM).connect(&addr).unwrap();
        let (peer, _) = server.accept_flags(wanted).unwrap();
        let both = libc::O_NONBLOCK | libc::O_CLOEXEC;
        assert_eq!(flags(&peer) & both, wanted.raw(), "{wanted:?}");
        let is_nonblocking = flags(&peer) & libc::O_NONBLOCK != 0;
        assert_eq!(peer.mode() == Mode::NonBlock, is_nonblocking);
    }
    let error = server.accept_flags(AcceptFlags::from_raw(1)).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EINVAL));
}

#[test]
fn a_disconnected_datagram_socket_hears_everybody_again() {
    let (a, a_addr) = udp();
    let (b, b_addr) = udp();
    let (c, _) = udp();
    a.connect(&b_addr).unwrap();
    a.disconnect().unwrap();
    assert_eq!(a.peer_addr().unwrap_err().errno(), Some(Errno::ENOTCONN));
    // The kernel had chosen the port, and has taken it back.
    assert_eq!(a.local_addr().unwrap().port(), Some(0));
    a.bind(&a_addr).unwrap();
    for other in [&b, &c] {
        other.send_to(b"x", MsgFlags::NONE, &a_addr).unwrap();
        assert_eq!(receive(&a), b"x");
    }
}

#[test]
fn a_disconnected_stream_can_be_connected_again() {
    let (server, addr) = listener(4);
    let client = tcp();
    client.connect(&addr).unwrap();
    let (first, _) = server.accept().unwrap();
    client.disconnect().unwrap();
    let error = first.recv(&mut [0], MsgFlags::NONE).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ECONNRESET));
    client.connect(&addr).unwrap();
    client.send_all(b"x").unwrap();
    assert_eq!(receive(&server.accept().unwrap().0), b"x");
}

#[test]
fn what_has_come_can_be_counted() {
    let (a, b) = tcp_pair();
    assert_eq!(b.unread().unwrap(), 0);
    a.send_all(b"abc").unwrap();
    await_readable(&b);
    assert_eq!(b.unread().unwrap(), 3);
}

#[test]
fn the_urgent_mark_is_found() {
    let (a, b) = tcp_pair();
    a.send(b"abc", MsgFlags::NONE).unwrap();
    a.send(b"!", MsgFlags::OOB).unwrap();
    a.send(b"def", MsgFlags::NONE).unwrap();
    while b.unread().unwrap() < 3 {}
    assert!(!b.is_at_mark().unwrap());
    // A receive never crosses the mark.
    assert_eq!(receive(&b), b"abc");
    assert!(b.is_at_mark().unwrap());
    assert_eq!(receive(&b), b"def");
}

#[test]
fn both_ends_learn_that_the_other_has_died() {
    let (a, b) = tcp_pair();
    a.send_all(b"unread").unwrap();
    await_readable(&b);
    drop(b); // with unread data: a reset
    await_readable(&a);
    let error = a.recv(&mut [0], MsgFlags::NONE).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ECONNRESET));
    let error = a.send_all(b"x").unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EPIPE));
}

/// A child that is killed while both of its ends are in use: no goodbye is said.
#[test]
fn a_killed_process_ends_its_connections() {
    let (server, addr) = listener(1);
    let port = addr.port().unwrap();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; echo hello >&3; read -r x <&3");
    let mut child = Command::new("bash").args(["-c", &script]).spawn().unwrap();
    let (peer, _) = server
        .accept_until(berkeley::Deadline::within(PATIENCE))
        .unwrap();
    peer.set_mode(Mode::Within(PATIENCE)).unwrap();
    assert_eq!(receive(&peer), b"hello\n");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(peer.recv(&mut [0], MsgFlags::NONE).unwrap(), 0);
}

/// Set for the copy of this program that a test starts to try what concerns a whole process.
const CHILD: &str = "BERKELEY_TEST_CHILD";

/// True in the copy; else starts it for this one test, under `wrapper`, and checks that it passes.
pub(crate) fn is_child(test: &str, wrapper: &[&str]) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let mut command = wrapper.to_vec();
    let program = std::env::current_exe().unwrap();
    command.extend([program.to_str().unwrap(), "--exact", test, "--nocapture"]);
    let output = Command::new(command[0])
        .args(&command[1..])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

/// How long a wait that nothing can wake goes on before it looks.
const UNWATCHED_WAIT_MS_MAX: u64 = 50;
/// What a busy machine may add to what is measured.
const OF_THE_MACHINE: Duration = Duration::from_secs(1);

/// How often the thread has gone to sleep whose status that is.
fn sleeps(status: &mut std::fs::File) -> u32 {
    let mut text = String::new();
    std::io::Seek::rewind(status).unwrap();
    Read::read_to_string(status, &mut text).unwrap();
    let mut lines = text.lines();
    let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.unwrap().trim().parse().unwrap()
}

#[test]
fn without_descriptors_nothing_is_lost_and_closing_still_works() {
    let name = "lives::without_descriptors_nothing_is_lost_and_closing_still_works";
    if !is_child(name, &["prlimit", "--nofile=32:32"]) {
        return;
    }
    // While there are any.
    let mut status = std::fs::File::open("/proc/thread-self/status").unwrap();
    let (server, addr) = listener(8);
    server.set_mode(Mode::Within(PATIENCE)).unwrap();
    let client = tcp();
    client.connect(&addr).unwrap();
    let mut others = Vec::new();
    let error = loop {
        match Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT) {
            Ok(socket) => others.push(socket),
            Err(error) => break error,
        }
    };
    assert_eq!(error.errno(), Some(Errno::EMFILE));
    let error = server.accept().unwrap_err();
    assert!(error.errno().unwrap().is_exhaustion(), "{error:?}");
    assert_eq!(client.try_clone().unwrap_err().errno(), Some(Errno::EMFILE));
    // Waiting and closing need no descriptor.
    let limited = others.pop().unwrap();
    let refill = others.last().unwrap().try_clone().unwrap_err();
    assert_eq!(refill.errno(), Some(Errno::EMFILE));
    let looks = 6;
    let time = Duration::from_millis(UNWATCHED_WAIT_MS_MAX) * looks;
    limited.set_mode(Mode::Within(time)).unwrap();
    let before = sleeps(&mut status);
    assert_timed_out(limited.recv(&mut [0], MsgFlags::NONE));
    // It looks so often, and does not spin.
    let slept = sleeps(&mut status) - before;
    assert!((looks - 1..=looks + 2).contains(&slept), "{slept} looks");
    limited.set_mode(Mode::Within(PATIENCE)).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| limited.recv(&mut [0], MsgFlags::NONE));
        let begun = Instant::now();
        limited.close().unwrap();
        assert!(waiter.join().unwrap().unwrap_err().is_closed());
        // It looks by itself: nothing wakes it.
        let limit = Duration::from_millis(UNWATCHED_WAIT_MS_MAX) + OF_THE_MACHINE;
        assert!(begun.elapsed() < limit, "{:?}", begun.elapsed());
    });
    client.abort().unwrap();
    assert!(client.send(b"x", MsgFlags::NONE).unwrap_err().is_closed());
    drop(others);
    let (peer, _) = server.accept().unwrap();
    assert_eq!(
        peer.recv(&mut [0], MsgFlags::NONE).unwrap(),
        0,
        "it had waited"
    );
}

#[test]
fn new_sockets_have_the_mode_that_the_program_has_chosen() {
    let name = "lives::new_sockets_have_the_mode_that_the_program_has_chosen";
    if !is_child(name, &["env"]) {
        return;
    }
    assert_eq!(Mode::for_new_sockets(), Mode::Block);
    let limit = Mode::Within(Duration::from_millis(30));
    limit.set_for_new_sockets();
    assert_eq!(Mode::for_new_sockets(), limit);
    let (server, addr) = listener(1);
    assert_eq!((server.mode(), is_nonblocking(&server)), (limit, true));
    assert_timed_out(server.accept());
    let client = tcp();
    client.connect(&addr).unwrap();
    let (peer, _) = server.accept().unwrap();
    assert_eq!((peer.mode(), is_nonblocking(&peer)), (limit, true));
    let (a, b) = Socket::pair(Family::UNIX, Kind::STREAM).unwrap();
    assert_eq!((a.mode(), b.mode()), (limit, limit));
    assert!(is_nonblocking(&a));
    let flagged = Kind::from_raw(Kind::STREAM.raw() | libc::SOCK_NONBLOCK);
    let made = Socket::new(Family::INET, flagged, Protocol::DEFAULT).unwrap();
    assert_eq!(made.mode(), Mode::NonBlock, "what is said outdoes it");
}
