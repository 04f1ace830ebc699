//! `switchboard get` with servers, networks and users that break off, lie or say nothing.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use switchboard_client::get::{
    LATE, PROGRESS_BYTES_MIN, REDIRECTS, RETRY_AFTER_MAX, SKIPPED_BYTES_MAX,
};
use tempfile::TempDir;
use testkit::{PATIENCE, names};

use crate::get::{content, get, json, server, wait_part};
use crate::support::{ours, run};

#[test]
fn whatever_a_server_does_in_between_the_content_is_right() {
    let (_server, base) = server();
    for mux in ["select", "poll", "epoll", "io-uring"] {
        let folder = TempDir::new().unwrap();
        let paths = [
            ("cut/70000/300000/a", "a", "a", 300_000),
            ("cutchunks/9999/b", "b", "b", 9_999),
            ("norange/5000/c", "c", "c", 5_000),
            ("liar/5000/d", "d", "d!", 5_000),
            ("new/5000/e", "e", "e!", 5_000),
            ("short/30500/f", "f", "f", 30_500),
            ("busy/2/10/g", "g", "g", 10),
            ("to/%2F10%2Fh", "h", "h", 10),
            ("0/i", "i", "i", 0),
        ];
        let urls: Vec<_> = paths
            .iter()
            .map(|it| format!("{base}/{}?{mux}", it.0))
            .collect();
        let urls: Vec<_> = urls.iter().map(String::as_str).collect();
        get(folder.path(), &[&["--mux", mux], &urls[..]].concat()).succeeded();
        for (_, name, made_of, size) in paths {
            let bytes = fs::read(folder.path().join(name)).unwrap();
            assert!(bytes == content(made_of, size), "{name} by {mux}");
        }
        assert_eq!(names(folder.path()).len(), paths.len(), "nothing is left");
    }
}

#[test]
fn what_was_there_when_it_was_killed_is_gone_on_with() {
    let (server, base) = server();
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap();
    let url = format!("{base}/stall/150000/400000/a");
    let mut killed = ours(&["get", &url, "-d", path]);
    wait_part(folder.path(), 150_000);
    let told = get(folder.path(), &[&url]);
    told.failed_with(&["being written by another download"]);
    killed.kill();
    assert!(
        names(folder.path())
            .iter()
            .all(|name| name.starts_with(".a."))
    );
    let told = get(folder.path(), &[&url, "--json"]).succeeded();
    assert_eq!(json(&told)[0]["resumed_bytes"], 150_000);
    server.out.wait_line(&["/stall/", "bytes=150000- \"1\""]);
    assert!(fs::read(folder.path().join("a")).unwrap() == content("a", 400_000));
    assert_eq!(names(folder.path()), ["a"]);
}

#[test]
fn ctrl_c_keeps_what_came_and_the_same_command_goes_on() {
    let (_server, base) = server();
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap();
    let urls = [
        format!("{base}/stall/9000/40000/a"),
        format!("{base}/status/503"),
    ];
    let mut program = ours(&["get", &urls[0], &urls[1], "-d", path, "--retries", "1000"]);
    wait_part(folder.path(), 9_000);
    program.err.wait_line(&["503", "trying again in"]);
    program.interrupt();
    let told = program.finish();
    assert_eq!(told.status.code(), Some(1), "{}", told.err);
    assert!(
        told.err.contains("interrupted; the same command goes on"),
        "{}",
        told.err
    );
    let told = get(folder.path(), &[&urls[0], "--json"]).succeeded();
    assert_eq!(json(&told)[0]["resumed_bytes"], 9_000);
    assert!(fs::read(folder.path().join("a")).unwrap() == content("a", 40_000));
    assert_eq!(names(folder.path()), ["a"]);
}

#[test]
fn a_partial_file_of_another_content_is_begun_anew() {
    let (_server, base) = server();
    let folder = TempDir::new().unwrap();
    let url = format!("{base}/new/5000/a");
    let told = get(folder.path(), &[&url, "--retries", "0"]);
    told.failed_with(&["the body was cut: 2500 of 5000 bytes came"]);
    let parts = names(folder.path());
    assert_eq!(parts.len(), 2, "it and what proves it: {parts:?}");
    let told = get(folder.path(), &[&url, "--json"]).succeeded();
    assert_eq!(json(&told)[0]["resumed_bytes"], 0);
    assert_eq!(
        fs::read(folder.path().join("a")).unwrap(),
        content("a!", 5_000)
    );
    // What nobody can go on with is not kept.
    let told = get(
        folder.path(),
        &[&format!("{base}/cutchunks/900/b"), "--retries", "0"],
    );
    told.failed_with(&["the response was cut"]);
    assert_eq!(names(folder.path()), ["a"]);
}

#[test]
fn a_server_that_says_nothing_is_waited_for_no_longer_than_the_limit() {
    let (_server, base) = server();
    let folder = TempDir::new().unwrap();
    for mux in ["select", "poll", "epoll", "io-uring"] {
        for path in ["silent", &format!("stall/5/10/a?{mux}")] {
            let url = format!("{base}/{path}");
            let own = ["--idle", "0.2", "--retries", "0", "--mux", mux];
            let told = get(folder.path(), &[&own[..], &[&url]].concat());
            told.failed_with(&["the server sent nothing for 0.2 s"]);
        }
    }
}

/// Lets a time pass in which the peer stays.
#[track_caller]
fn stays(stream: &mut TcpStream, time: Duration) {
    stream.set_read_timeout(Some(time)).unwrap();
    let error = stream.read(&mut [0]).expect_err("it has gone");
    let kinds = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
    assert!(kinds.contains(&error.kind()), "{error}");
}

#[test]
fn a_limit_that_is_noticed_late_by_our_own_fault_is_not_the_servers() {
    const IDLE: Duration = Duration::from_millis(500);
    for mux in ["epoll", "io-uring"] {
        for (late, is_excused) in [(LATE / 2, false), (LATE * 5 / 4, true)] {
            let folder = TempDir::new().unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/a", listener.local_addr().unwrap());
            let path = folder.path().to_str().unwrap();
            let own = ["--idle", "0.5", "--retries", "0", "--mux", mux];
            let mut getting = ours(&[&["get", &url, "-d", path][..], &own].concat());
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 4_096]).unwrap() > 0);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
                .unwrap();
            wait_part(folder.path(), 2);
            getting.freeze();
            stays(&mut stream, IDLE + late);
            getting.thaw();
            if is_excused {
                stays(&mut stream, IDLE / 2);
                stream.write_all(b"lf").unwrap();
            }
            assert_eq!(getting.wait().success(), is_excused, "{late:?} by {mux}");
            let is_there = fs::read(folder.path().join("a")).is_ok();
            assert_eq!(is_there, is_excused);
        }
    }
}

#[test]
fn retries_redirections_pauses_and_sizes_have_their_limits() {
    let (server, base) = server();
    let folder = TempDir::new().unwrap();
    let get = |path: &str, more: &[&str]| {
        get(
            folder.path(),
            &[&[&*format!("{base}/{path}")], more].concat(),
        )
    };
    get("busy/1/5/a", &["--retries", "1"]).succeeded();
    get("busy/2/5/b", &["--retries", "2"]).succeeded();
    let told = get("busy/3/5/c", &["--retries", "2"]);
    assert_eq!(told.status.code(), Some(1));
    assert_eq!(told.err.matches("503").count(), 3, "{}", told.err);
    let hop = |count: usize| {
        (0..count).fold("/5/d".to_owned(), |to, _| {
            let escaped: String = to.bytes().map(|byte| format!("%{byte:02x}")).collect();
            format!("/to/{escaped}")
        })
    };
    get(hop(1).trim_start_matches('/'), &["--redirects", "1"]).succeeded();
    get(hop(2).trim_start_matches('/'), &["--redirects", "2"]).succeeded();
    get(hop(3).trim_start_matches('/'), &["--redirects", "2"])
        .failed_with(&["more than 2 redirections"]);
    get("loop", &[]).failed_with(&[&format!("more than {REDIRECTS} redirections")]);
    let wait = RETRY_AFTER_MAX.as_secs() + 1;
    get(&format!("wait/{wait}"), &[]).failed_with(&["503", &format!("wait {wait} s")]);
    for kind in ["", "chunked/", "plain/"] {
        get(&format!("{kind}9/e"), &["--max-bytes", "10"]).succeeded();
        get(&format!("{kind}10/e"), &["--max-bytes", "10"]).succeeded();
        get(&format!("{kind}11/e"), &["--max-bytes", "10"]).failed_with(&["more than 10 bytes"]);
    }
    let asked = server.out.text().matches("/status/500").count();
    get("status/404", &[]).failed_with(&["404"]);
    assert_eq!(
        server.out.text().matches("/status/404").count(),
        asked + 1,
        "once"
    );
    for (location, words) in [
        ("https%3A%2F%2Fa%2F", "https is not spoken yet"),
        ("file%3A%2F%2F%2Fetc%2Fpasswd", "file:// is not spoken"),
    ] {
        get(&format!("to/{location}"), &[]).failed_with(&["redirects to", words]);
    }
    get("raw/SSH-2.0%0D%0A", &[]).failed_with(&["not HTTP/1.1"]);
}

#[test]
fn a_disk_that_refuses_is_told() {
    let (_server, base) = server();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let url = format!("{base}/5/a");
    let told = run(&["get", &url, "-d", file.to_str().unwrap()]);
    told.failed_with(&[file.to_str().unwrap()]);
    let told = run(&["get", &url, "-o", folder.path().to_str().unwrap()]);
    told.failed_with(&["cannot write"]);
}

#[test]
fn a_try_that_brought_enough_is_not_counted() {
    let (_server, base) = server();
    let folder = TempDir::new().unwrap();
    let enough = PROGRESS_BYTES_MIN;
    for (piece, is_enough) in [(enough - 1, false), (enough, true), (enough + 1, true)] {
        let url = format!("{base}/cut/{piece}/{}/{piece}", enough * 7 / 2);
        let told = get(folder.path(), &[&url, "--retries", "1"]);
        assert_eq!(told.status.success(), is_enough, "{piece}: {}", told.err);
    }
}

#[test]
fn a_long_answer_that_is_no_content_is_not_read_to_its_end() {
    for (bytes, is_read) in [
        (SKIPPED_BYTES_MAX - 1, true),
        (SKIPPED_BYTES_MAX, true),
        (SKIPPED_BYTES_MAX + 1, false),
    ] {
        let folder = TempDir::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/a", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut first, _) = listener.accept().unwrap();
            assert!(has_asked(&mut first));
            let length = usize::try_from(bytes).unwrap();
            let head = format!("HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: {length}");
            let body = " ".repeat(length);
            // Who is not interested may have gone before all of it was sent.
            write!(first, "{head}\r\n\r\n{body}").ok();
            let is_read = has_asked(&mut first);
            let mut last = if is_read {
                first
            } else {
                listener.accept().unwrap().0
            };
            assert!(is_read || has_asked(&mut last));
            last.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .unwrap();
            is_read
        });
        get(folder.path(), &[&url]).succeeded();
        assert_eq!(server.join().unwrap(), is_read, "{bytes}");
    }
}

/// Whether a request came, rather than the end.
fn has_asked(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return false,
        }
    }
    true
}
