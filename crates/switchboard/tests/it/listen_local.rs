//! `switchboard listen` on Unix sockets: the three kinds, abstract names, and the socket's file.

use std::fs;
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use testkit::{PATIENCE, names};

use crate::support::{listen, python, run};

/// A socket's path in a folder of its own, and its endpoint.
fn place(scheme: &str) -> (TempDir, PathBuf, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.sock");
    let endpoint = format!("{scheme}://{}", path.display());
    (folder, path, endpoint)
}

/// An abstract name that no other test uses.
fn abstract_name(test: &str) -> String {
    format!("switchboard-test-{test}-{}", std::process::id())
}

#[track_caller]
fn assert_echoes(path: &Path) {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"local").unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"local");
}

#[test]
fn a_stream_by_path() {
    let (_folder, path, endpoint) = place("unix");
    let (_program, told) = listen(&[&endpoint, "--echo"]);
    assert_eq!(told, endpoint);
    assert_echoes(&path);
}

#[test]
fn a_stream_by_abstract_name() {
    let name = abstract_name("stream");
    let endpoint = format!("unix://@{name}");
    let (program, told) = listen(&[&endpoint, "--reply", "hello"]);
    assert_eq!(told, endpoint);
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let mut stream = UnixStream::connect_addr(&address).unwrap();
    stream.write_all(b"hidden").unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
    program.out.wait_for("hidden");
    run(&["listen", &endpoint]).failed_with(&[&name, "in use"]);
}

#[test]
fn datagrams_by_path() {
    let (folder, path, endpoint) = place("unix-dgram");
    let (program, told) = listen(&[&endpoint, "--echo"]);
    assert_eq!(told, endpoint);
    let socket = UnixDatagram::bind(folder.path().join("mine.sock")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for word in ["one", "two"] {
        socket.send_to(word.as_bytes(), &path).unwrap();
        let mut answer = [0; 16];
        let len = socket.recv(&mut answer).unwrap();
        assert_eq!(&answer[..len], word.as_bytes());
    }
    // A sender without an address can't be answered, and does no harm.
    UnixDatagram::unbound()
        .unwrap()
        .send_to(b"nameless", &path)
        .unwrap();
    program.out.wait_for("nameless");
    socket.send_to(b"three", &path).unwrap();
    assert_eq!(socket.recv(&mut [0; 16]).unwrap(), 5);
}

#[test]
fn python_peers_of_every_kind() {
    for (scheme, kind) in [
        ("unix", "stream"),
        ("unix-dgram", "dgram"),
        ("unix-seqpacket", "seqpacket"),
    ] {
        let (_folder, path, by_path) = place(scheme);
        let name = format!("@{}", abstract_name(kind));
        let by_name = format!("{scheme}://{name}");
        for (endpoint, place) in [(by_path, path.display().to_string()), (by_name, name)] {
            let (_program, told) = listen(&[&endpoint, "--echo"]);
            assert_eq!(told, endpoint);
            let mut peer = python("unix_peer.py", &[kind, &place]);
            for word in ["erste", "zweite"] {
                peer.say(word);
                peer.out.wait_for(&format!("answer {word}\n"));
            }
            peer.end_input();
            peer.finish().succeeded();
        }
    }
}

#[test]
fn the_file_goes_with_the_listener() {
    for scheme in ["unix", "unix-dgram", "unix-seqpacket"] {
        let (folder, path, endpoint) = place(scheme);
        let (mut program, _) = listen(&[&endpoint]);
        assert!(path.exists());
        program.terminate();
        program.wait();
        assert_eq!(names(folder.path()), [""; 0], "{scheme} after SIGTERM");
        let (mut program, _) = listen(&[&endpoint]);
        program.interrupt();
        program.wait();
        assert_eq!(names(folder.path()), [""; 0], "{scheme} after SIGINT");
    }
}

#[test]
fn a_stale_file_is_replaced() {
    for scheme in ["unix", "unix-dgram", "unix-seqpacket"] {
        let (_folder, path, endpoint) = place(scheme);
        let (mut dead, _) = listen(&[&endpoint]);
        dead.kill();
        assert!(path.exists());
        let (_alive, told) = listen(&[&endpoint, "--echo"]);
        assert_eq!(told, endpoint);
        if scheme == "unix" {
            assert_echoes(&path);
        }
    }
}

#[test]
fn a_live_socket_is_never_replaced() {
    for scheme in ["unix", "unix-dgram", "unix-seqpacket"] {
        let (_folder, path, endpoint) = place(scheme);
        let (_first, _) = listen(&[&endpoint, "--echo"]);
        run(&["listen", &endpoint]).failed_with(&[path.to_str().unwrap(), "in use"]);
        assert!(path.exists(), "{scheme}");
        if scheme == "unix" {
            assert_echoes(&path);
        }
    }
}

#[test]
fn a_live_socket_with_a_full_backlog_is_never_replaced() {
    let (_folder, path, endpoint) = place("unix");
    let busy = UnixListener::bind(&path).unwrap();
    // This listener accepts nobody: its queue is what a connection attempt meets.
    let waiting: Vec<UnixStream> = (0..4)
        .map(|_| UnixStream::connect(&path).unwrap())
        .collect();
    run(&["listen", &endpoint]).failed_with(&[path.to_str().unwrap()]);
    assert!(busy.accept().is_ok());
    assert!(path.exists());
    drop(waiting);
}

#[test]
fn a_file_that_is_no_socket_is_never_touched() {
    let (_folder, path, endpoint) = place("unix");
    fs::write(&path, "precious").unwrap();
    run(&["listen", &endpoint]).failed_with(&[path.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_path_that_is_too_long_is_an_error_that_shows_it() {
    let long = format!("unix:///tmp/{}", "x".repeat(200));
    let told = run(&["listen", &long]);
    assert!(
        !told.status.success() && told.err.contains("xxx"),
        "{}",
        told.err
    );
}
