//! Bytes from a socket to a file, a pipe or another socket.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek};
use std::thread;
use std::time::Duration;

use berkeley::{Error, Kind, Mode, Shutdown, Socket, Splicer};

use crate::sendfile::{file_of, pattern, read_all};
use crate::support::{assert_takes, tcp_pair, unix_pair};

const LEN: usize = 20 << 20;

/// A socket from which these bytes come, then the end.
fn source_of(data: &[u8], pair: (Socket, Socket)) -> Socket {
    let (source, feed) = pair;
    let data = data.to_vec();
    thread::spawn(move || {
        // Nobody may want all of it.
        if feed.send_all(&data).is_ok() {
            drop(feed.shutdown(Shutdown::WRITE));
        }
    });
    source
}

#[test]
fn an_upload_reaches_its_file_as_it_is() {
    let data = pattern(LEN);
    let mut splicer = Splicer::with_capacity(1 << 20).unwrap();
    for pair in [tcp_pair(), unix_pair(Kind::STREAM)] {
        for limit in [None, Some(Duration::from_secs(60))] {
            let pair = (pair.0.try_clone().unwrap(), pair.1.try_clone().unwrap());
            let source = pair.0.try_clone().unwrap();
            source
                .set_mode(limit.map_or(Mode::Block, Mode::Within))
                .unwrap();
            let feed = pair.1;
            let copy = data.clone();
            let sender = thread::spawn(move || feed.send_all(&copy).unwrap());
            let mut file = file_of(b"");
            let wanted = Some(LEN as u64);
            assert_eq!(splicer.to_file(&source, &file, wanted).unwrap(), LEN as u64);
            sender.join().unwrap();
            assert_eq!(splicer.held(), 0);
            let mut found = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut found).unwrap();
            assert!(found == data, "the content differs");
        }
    }
}

#[test]
fn a_file_that_takes_no_splices_gets_the_bytes_all_the_same() {
    let data = pattern(300_000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("appended");
    fs::write(&path, b"before").unwrap();
    let file = OpenOptions::new().append(true).open(&path).unwrap();
    let source = source_of(&data, tcp_pair());
    assert_eq!(source.recv_file(&file, None).unwrap(), 300_000);
    let found = fs::read(&path).unwrap();
    assert!(found[..6] == *b"before" && found[6..] == data);
}

#[test]
fn a_relay_passes_all_on() {
    let data = pattern(LEN);
    let mut splicer = Splicer::new();
    let mut relay = |from: (Socket, Socket), to: (Socket, Socket)| {
        let source = source_of(&data, from);
        let (target, end) = to;
        let reader = thread::spawn(move || read_all(&end));
        let len = splicer.to_socket(&source, &target, None).unwrap();
        assert_eq!(len, LEN as u64);
        drop(target);
        assert!(reader.join().unwrap() == data, "the content differs");
    };
    relay(tcp_pair(), tcp_pair());
    relay(tcp_pair(), unix_pair(Kind::STREAM));
    relay(unix_pair(Kind::STREAM), tcp_pair());
}

#[test]
fn a_count_is_kept_and_the_rest_stays_in_the_socket() {
    let (source, feed) = unix_pair(Kind::STREAM);
    feed.send_all(b"0123456789").unwrap();
    let (mut reading, writing) = std::io::pipe().unwrap();
    assert_eq!(source.recv_file(&writing, Some(4)).unwrap(), 4);
    drop(feed);
    let mut splicer = Splicer::new();
    assert_eq!(splicer.to_file(&source, &writing, None).unwrap(), 6);
    drop(writing);
    let mut text = String::new();
    reading.read_to_string(&mut text).unwrap();
    assert_eq!(text, "0123456789");
}

#[test]
fn what_could_not_be_delivered_in_time_is_delivered_later() {
    let data = pattern(1 << 20);
    let limit = Duration::from_millis(60);
    let (target, end) = unix_pair(Kind::STREAM);
    target.set_mode(Mode::Within(limit)).unwrap();
    let source = source_of(&data, tcp_pair());
    let mut splicer = Splicer::new();
    let mut sent = 0;
    // The source may be late too, on a busy machine.
    while splicer.held() == 0 {
        let error = splicer.to_socket(&source, &target, None).unwrap_err();
        assert!(error.is_timed_out(), "{error:?}");
        if let Error::Partial { sent: part, .. } = error {
            sent += part;
        }
    }
    target.set_mode(Mode::Block).unwrap();
    let reader = thread::spawn(move || read_all(&end));
    let rest = splicer.to_socket(&source, &target, None).unwrap();
    assert_eq!(sent as u64 + rest, 1 << 20);
    drop(target);
    assert!(reader.join().unwrap() == data, "the content differs");
}

#[test]
fn a_silent_peer_and_a_full_pipe_end_with_the_time_limit() {
    let limit = Duration::from_millis(60);
    let (source, feed) = tcp_pair();
    source.set_mode(Mode::Within(limit)).unwrap();
    let (_reading, writing) = std::io::pipe().unwrap();
    assert_takes(limit, || {
        assert!(source.recv_file(&writing, None).unwrap_err().is_timed_out());
    });
    feed.send_all(&pattern(200_000)).unwrap();
    assert_takes(limit, || {
        let error = source.recv_file(&writing, None).unwrap_err();
        assert!(error.is_timed_out(), "{error:?}");
    });
    source.set_mode(Mode::NonBlock).unwrap();
    let (quiet, _feed) = tcp_pair();
    quiet.set_mode(Mode::NonBlock).unwrap();
    assert!(
        quiet
            .recv_file(&writing, None)
            .unwrap_err()
            .is_would_block()
    );
}
