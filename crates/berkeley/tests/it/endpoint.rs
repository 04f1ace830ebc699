//! Both ends of a conversation in one call.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use berkeley::{
    Addr, Deadline, Endpoint, Errno, Error, Family, Kind, Mode, MsgFlags, Server, Socket,
    Transport, create_connection, create_servers,
};

use crate::support::{
    PATIENCE, assert_takes, has_ipv6, impossible_host, inet, listener, receive, tcp, unix,
    unix_listener,
};

fn endpoint(text: &str) -> Endpoint {
    text.parse().unwrap()
}

fn unix_endpoint(path: &Path) -> Endpoint {
    endpoint(&format!("unix://{}", path.display()))
}

fn serve(endpoint: &Endpoint) -> Server {
    let mut servers = create_servers(endpoint).unwrap();
    assert_eq!(servers.len(), 1);
    servers.remove(0)
}

fn call(endpoint: &Endpoint) -> Socket {
    create_connection(endpoint, Deadline::within(PATIENCE))
        .unwrap()
        .0
}

fn is_socket_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

#[test]
fn a_server_says_which_port_it_got_and_is_reached_there() {
    let server = serve(&endpoint("tcp://127.0.0.1:0"));
    assert_ne!(server.endpoint().to_string(), "tcp://127.0.0.1:0");
    let (client, reached) =
        create_connection(server.endpoint(), Deadline::within(PATIENCE)).unwrap();
    assert_eq!(client.mode(), Mode::Block);
    assert!(!crate::support::is_nonblocking(&client));
    assert!(client.get(berkeley::opt::NoDelay).unwrap());
    assert_eq!(reached, server.socket().local_addr().unwrap());
    client.send_all(b"hello").unwrap();
    let (peer, _) = server.socket().accept().unwrap();
    assert_eq!(receive(&peer), b"hello");
}

#[test]
fn every_transport_carries_a_message_there_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for text in [
        "tcp://127.0.0.1:0".to_owned(),
        "udp://127.0.0.1:0".to_owned(),
        format!("unix://{}", path("s")),
        format!("unix-dgram://{}", path("d")),
        format!("unix-seqpacket://{}", path("q")),
        format!("unix://@berkeley-{}-s", std::process::id()),
        format!("unix-dgram://@berkeley-{}-d", std::process::id()),
    ] {
        let server = serve(&endpoint(&text));
        let client = call(server.endpoint());
        client.send_all(b"ping").unwrap();
        if server.socket().kind().is_connected() {
            let (peer, _) = server.socket().accept().unwrap();
            assert_eq!(receive(&peer), b"ping", "{text}");
            peer.send_all(b"pong").unwrap();
        } else {
            let mut buf = [0; 4];
            let (_, from) = server.socket().recv_from(&mut buf, MsgFlags::NONE).unwrap();
            assert_eq!(&buf, b"ping", "{text}");
            server
                .socket()
                .send_to(b"pong", MsgFlags::NONE, &from.unwrap())
                .unwrap();
        }
        assert_eq!(receive(&client), b"pong", "{text}");
    }
}

#[test]
fn one_socket_takes_callers_of_both_families() {
    if !has_ipv6() {
        return;
    }
    let server = serve(&endpoint("tcp://*:0"));
    let port = server.socket().local_addr().unwrap().port().unwrap();
    assert_eq!(server.endpoint().to_string(), format!("tcp://[::]:{port}"));
    let four = call(&endpoint(&format!("127.0.0.1:{port}")));
    let (_, addr) = server.socket().accept().unwrap();
    assert_eq!(addr.map(Addr::canonical), Some(four.local_addr().unwrap()));
    let six = call(&endpoint(&format!("[::1]:{port}")));
    let (_, addr) = server.socket().accept().unwrap();
    assert_eq!(addr.map(Addr::canonical), Some(six.local_addr().unwrap()));
    // An empty host is this machine to a caller.
    call(&endpoint(&format!("tcp://:{port}")));
}

#[test]
fn the_written_wildcard_of_ipv6_takes_ipv4_too() {
    if !has_ipv6() {
        return;
    }
    let server = serve(&endpoint("tcp://[::]:0"));
    assert!(!server.socket().get(berkeley::opt::V6Only).unwrap());
}

#[test]
fn all_addresses_of_a_name_share_one_port() {
    let servers = create_servers(&endpoint("localhost:0")).unwrap();
    let port = |server: &Server| server.socket().local_addr().unwrap().port();
    assert!(
        servers
            .iter()
            .all(|server| port(server) == port(&servers[0]))
    );
}

#[test]
fn a_port_in_use_is_an_error_with_its_address() {
    for transport in ["tcp", "udp"] {
        let first = serve(&endpoint(&format!("{transport}://127.0.0.1:0")));
        let error = create_servers(first.endpoint()).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::EADDRINUSE));
        let addr = first.socket().local_addr().unwrap();
        assert!(error.to_string().contains(&addr.to_string()), "{error}");
    }
}

#[test]
fn a_port_can_be_taken_again_while_old_connections_rest_in_time_wait() {
    let server = serve(&endpoint("tcp://127.0.0.1:0"));
    let place = server.endpoint().clone();
    let client = call(&place);
    let (peer, _) = server.socket().accept().unwrap();
    // Who closes first is the one that rests.
    drop(peer);
    assert_eq!(receive(&client), b"");
    drop((client, server));

    let addr = &place.addresses(true).unwrap()[0];
    assert_eq!(
        tcp().bind(addr).unwrap_err().errno(),
        Some(Errno::EADDRINUSE),
        "nothing rests there, so this test tells nothing"
    );
    serve(&place);
}

#[test]
fn an_address_of_another_machine_cannot_be_taken() {
    let error = create_servers(&endpoint("192.0.2.1:0")).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EADDRNOTAVAIL));
}

/// Leaves a socket's file without its socket. A program that another test is starting just now may
/// still hold a copy of the socket, until it has become that program.
fn leave_stale(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
    let deadline = Deadline::within(Duration::from_secs(10));
    while UnixStream::connect(path).is_ok() {
        assert!(!deadline.has_passed(), "the socket lives on");
        std::thread::yield_now();
    }
}

#[test]
fn a_socket_file_that_a_dead_process_left_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    for transport in ["unix", "unix-dgram", "unix-seqpacket"] {
        leave_stale(&path);
        assert!(is_socket_file(&path));
        let server = serve(&endpoint(&format!("{transport}://{}", path.display())));
        call(server.endpoint());
        drop(server);
        assert!(!path.exists(), "{transport}");
    }
}

#[test]
fn a_path_that_somebody_listens_at_is_never_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let live = UnixListener::bind(&path).unwrap();
    let error = create_servers(&unix_endpoint(&path)).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EADDRINUSE));
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
    // Nor by a server of another type.
    let other = endpoint(&format!("unix-dgram://{}", path.display()));
    assert!(create_servers(&other).is_err());
    assert!(is_socket_file(&path));
    let mut caller = UnixStream::connect(&path).unwrap();
    std::io::Write::write_all(&mut caller, b"x").unwrap();
    drop(live);
}

#[test]
fn a_listener_with_a_full_queue_is_alive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let addr = Addr::Unix(berkeley::UnixAddr::path(&path).unwrap());
    let live = unix(Kind::STREAM);
    live.bind(&addr).unwrap();
    live.listen(0).unwrap();
    let waiting = unix(Kind::STREAM);
    waiting.connect(&addr).unwrap();
    let error = create_servers(&unix_endpoint(&path)).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EADDRINUSE));
    assert!(is_socket_file(&path));
}

#[test]
fn a_file_that_is_no_socket_stays_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("precious");
    fs::write(&path, "data").unwrap();
    let error = create_servers(&unix_endpoint(&path)).unwrap_err();
    assert!(error.to_string().contains("precious"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "data");

    // Nor is what a link leads to.
    let link = folder.path().join("link");
    leave_stale(&folder.path().join("stale"));
    std::os::unix::fs::symlink(folder.path().join("stale"), &link).unwrap();
    assert!(create_servers(&unix_endpoint(&link)).is_err());
    assert!(link.is_symlink() && is_socket_file(&folder.path().join("stale")));
}

#[test]
fn the_socket_file_goes_with_the_server_unless_it_is_another_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let server = serve(&unix_endpoint(&path));
    assert!(is_socket_file(&path));
    drop(server);
    assert!(!path.exists());

    let server = serve(&unix_endpoint(&path));
    fs::remove_file(&path).unwrap();
    fs::write(&path, "mine").unwrap();
    drop(server);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    fs::remove_file(&path).unwrap();

    let (socket, _, file) = serve(&unix_endpoint(&path)).into_parts();
    assert!(path.exists());
    drop(file);
    assert!(!path.exists());
    drop(socket);
}

#[test]
fn of_two_servers_that_start_at_one_stale_path_exactly_one_lives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let place = unix_endpoint(&path);
    for _round in 0..100 {
        leave_stale(&path);
        let start = Barrier::new(3);
        let mut servers: Vec<Server> = std::thread::scope(|scope| {
            let starters: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        create_servers(&place)
                    })
                })
                .collect();
            let results = starters.into_iter().map(|starter| starter.join().unwrap());
            results
                .filter_map(|result| match result {
                    Ok(servers) => Some(servers),
                    Err(error) => {
                        assert_eq!(error.errno(), Some(Errno::EADDRINUSE), "{error}");
                        None
                    }
                })
                .flatten()
                .collect()
        });
        assert_eq!(servers.len(), 1);
        let server = servers.remove(0);
        server.socket().set_mode(Mode::NonBlock).unwrap();
        let client = call(&place);
        client.send_all(b"who?").unwrap();
        // The others may have knocked before: theirs end at once.
        while receive(&server.socket().accept().unwrap().0) != b"who?" {}
        drop(server);
        assert!(!path.exists());
    }
}

#[test]
fn a_stranger_who_locks_the_folder_delays_a_server_but_does_not_stop_it() {
    let folder = tempfile::tempdir().unwrap();
    let lock = fs::File::open(folder.path()).unwrap();
    lock.lock().unwrap();
    let path = folder.path().join("s");
    let server = serve(&unix_endpoint(&path));
    call(server.endpoint());
}

#[test]
fn a_missing_folder_is_an_error_with_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let error = create_servers(&unix_endpoint(&folder.path().join("no/s"))).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENOENT));
    assert!(error.to_string().contains("no/s"), "{error}");
}

#[test]
fn a_refused_call_names_the_address() {
    let (gone, addr) = listener(1);
    drop(gone);
    let place = endpoint(&addr.to_string());
    let error = create_connection(&place, Deadline::NEVER).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ECONNREFUSED));
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}

#[test]
fn a_call_to_a_full_listener_ends_with_its_deadline_and_names_the_address() {
    let limit = Duration::from_millis(60);
    let (_server, addr) = listener(0);
    let first = tcp();
    first.connect(&addr).unwrap();
    let place = endpoint(&addr.to_string());
    assert_takes(limit, || {
        let error = create_connection(&place, Deadline::within(limit)).unwrap_err();
        assert!(error.is_timed_out(), "{error:?}");
        assert!(error.to_string().contains(&addr.to_string()), "{error}");
        let error = std::io::Error::from(error);
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    });

    let (_server, addr) = unix_listener(Kind::STREAM, 0);
    let first = unix(Kind::STREAM);
    first.connect(&addr).unwrap();
    let place = Endpoint::from_addr(Transport::Unix, &addr).unwrap();
    assert_takes(limit, || {
        let error = create_connection(&place, Deadline::within(limit)).unwrap_err();
        assert!(error.is_timed_out(), "{error:?}");
    });
}

#[test]
fn a_deadline_that_has_passed_leaves_no_time_to_try() {
    let (_server, addr) = listener(1);
    let place = endpoint(&addr.to_string());
    let error = create_connection(&place, Deadline::within(Duration::ZERO)).unwrap_err();
    assert!(error.is_timed_out(), "{error:?}");
}

#[test]
fn each_address_that_was_tried_has_its_reason() {
    let error = Error::Connect(vec![
        (
            inet("192.0.2.1:1"),
            Error::at("connect", Errno::ECONNREFUSED, &inet("192.0.2.1:1")),
        ),
        (inet("192.0.2.2:1"), Error::TimedOut { call: "connect" }),
    ]);
    assert_eq!(
        error.to_string(),
        "connect 192.0.2.1:1: connection refused; connect 192.0.2.2:1: the time limit ended"
    );
}

#[test]
fn an_unknown_host_is_an_error_with_its_name() {
    let place = endpoint(&format!("{}:1", impossible_host()));
    for error in [
        create_servers(&place).unwrap_err(),
        create_connection(&place, Deadline::NEVER).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Resolve { .. }), "{error:?}");
    }
}

#[test]
fn the_addresses_of_an_endpoint_are_known() {
    let any = endpoint("tcp://*:7").addresses(true).unwrap();
    assert_eq!(any, [inet("[::]:7"), inet("0.0.0.0:7")]);
    assert_eq!(any[1], Addr::any(Family::INET, 7).unwrap());
}
