//! Files sent by the kernel.

use std::env;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use berkeley::{Error, Kind, Mode, MsgFlags, Shutdown, Socket, Splicer, opt};

use crate::support::{assert_takes, assert_timed_out, drain, tcp_pair, unix_pair};

/// Bytes whose place can be told from their value, mostly.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

pub(crate) fn file_of(data: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(data).unwrap();
    file.rewind().unwrap();
    file
}

/// All that comes until the end.
pub(crate) fn read_all(socket: &Socket) -> Vec<u8> {
    let mut data = Vec::new();
    let mut reader: &Socket = socket;
    reader.read_to_end(&mut data).unwrap();
    data
}

#[test]
fn a_hundred_megabytes_arrive_as_they_are() {
    let data = pattern(100 << 20);
    let mut file = file_of(&data);
    for pair in [tcp_pair(), unix_pair(Kind::STREAM)] {
        for mode in [Mode::Block, Mode::Within(Duration::from_secs(60))] {
            let (a, b) = (&pair.0, pair.1.try_clone().unwrap());
            a.set_mode(mode).unwrap();
            let reader = thread::spawn(move || {
                let mut all = vec![0; 100 << 20];
                (&b).read_exact(&mut all).unwrap();
                all
            });
            assert_eq!(a.sendfile(&file, 0, None).unwrap(), 100 << 20);
            assert!(reader.join().unwrap() == data, "the content differs");
            assert_eq!(file.stream_position().unwrap(), 0);
        }
    }
}

#[test]
fn a_part_of_a_file_is_sent() {
    let file = file_of(b"0123456789");
    let (a, b) = unix_pair(Kind::STREAM);
    assert_eq!(a.sendfile(&file, 3, Some(4)).unwrap(), 4);
    assert_eq!(a.sendfile(&file, 8, Some(100)).unwrap(), 2);
    assert_eq!(a.sendfile(&file, 10, None).unwrap(), 0);
    assert_eq!(a.sendfile(&file, 0, Some(0)).unwrap(), 0);
    drop(a);
    assert_eq!(read_all(&b), b"345689");
}

#[test]
fn what_is_no_regular_file_is_read_and_sent() {
    let data = pattern(1 << 20);
    let (reading, mut writing) = std::io::pipe().unwrap();
    let copy = data.clone();
    let writer = thread::spawn(move || writing.write_all(&copy));
    let (a, b) = tcp_pair();
    let reader = thread::spawn(move || read_all(&b));
    assert_eq!(a.sendfile(&reading, 0, None).unwrap(), 1 << 20);
    writer.join().unwrap().unwrap();
    drop(a);
    assert!(reader.join().unwrap() == data);

    let (a, b) = tcp_pair();
    let zeros = File::open("/dev/zero").unwrap();
    assert_eq!(a.sendfile(&zeros, 0, Some(5)).unwrap(), 5);
    let known = File::open("/proc/self/limits").unwrap();
    assert!(a.sendfile(&known, 0, None).unwrap() > 100);
    drop(a);
    let text = read_all(&b);
    assert_eq!(text[..5], [0; 5]);
    assert!(text[5..].starts_with(b"Limit"));
}

#[test]
fn a_slow_reader_ends_it_with_the_time_limit_and_the_count() {
    let limit = Duration::from_millis(80);
    let file = file_of(&pattern(8 << 20));
    assert_takes(limit, || {
        let (a, b) = tcp_pair();
        a.set_mode(Mode::Within(limit)).unwrap();
        let error = a.sendfile(&file, 0, None).unwrap_err();
        assert!(error.is_timed_out(), "{error:?}");
        let Error::Partial { sent, .. } = error else {
            panic!("{error:?}")
        };
        assert!(sent > 0);
        drop(a);
        assert_eq!(drain(&b), sent);
    });
    // A pipe that stays empty.
    let (reading, _writing) = std::io::pipe().unwrap();
    let (a, _b) = tcp_pair();
    a.set_mode(Mode::Within(limit)).unwrap();
    assert_takes(limit, || {
        assert!(a.sendfile(&reading, 0, None).unwrap_err().is_timed_out());
    });
}

#[test]
fn a_reader_that_takes_a_little_now_and_then_gains_no_time() {
    let limit = Duration::from_millis(150);
    let file = file_of(&pattern(64 << 20));
    assert_takes(limit, || {
        let (a, b) = tcp_pair();
        a.set_mode(Mode::Within(limit)).unwrap();
        let reader = thread::spawn(move || {
            let mut buf = vec![0; 64 << 10];
            let (idle, _silent) = unix_pair(Kind::STREAM);
            idle.set_mode(Mode::Within(Duration::from_millis(5)))
                .unwrap();
            while matches!(b.recv(&mut buf, MsgFlags::NONE), Ok(1..)) {
                assert_timed_out(idle.recv(&mut [0], MsgFlags::NONE));
            }
        });
        assert!(a.sendfile(&file, 0, None).unwrap_err().is_timed_out());
        // What is on its way is thrown away, or the reader would be at it for long.
        a.set(opt::Linger, Some(Duration::ZERO)).unwrap();
        drop(a);
        reader.join().unwrap();
    });
}

#[test]
fn a_socket_that_does_not_wait_says_how_much_went_out() {
    let file = file_of(&pattern(8 << 20));
    let (a, b) = unix_pair(Kind::STREAM);
    a.set_mode(Mode::NonBlock).unwrap();
    let error = a.sendfile(&file, 0, None).unwrap_err();
    assert!(error.is_would_block(), "{error:?}");
    let Error::Partial { sent, .. } = error else {
        panic!("{error:?}")
    };
    drop(a);
    assert_eq!(drain(&b), sent);
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let (a, _b) = unix_pair(Kind::DGRAM);
    let file = file_of(b"x");
    assert!(matches!(a.sendfile(&file, 0, None), Err(Error::Invalid(_))));
    let (a, _b) = unix_pair(Kind::STREAM);
    let (reading, _writing) = std::io::pipe().unwrap();
    let errno = a.sendfile(&reading, 7, None).unwrap_err().errno();
    assert_eq!(errno, Some(berkeley::Errno::ESPIPE));
    let folder = File::open(".").unwrap();
    let errno = a.sendfile(&folder, 0, None).unwrap_err().errno();
    assert_eq!(errno, Some(berkeley::Errno::EISDIR));
}

/// Set in the process that has a handler for `SIGPIPE`.
const HANDLING: &str = "BERKELEY_TEST_SIGPIPE";

#[test]
fn a_closed_peer_is_an_error_and_no_signal() {
    if env::var_os(HANDLING).is_none() {
        let output = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "sendfile::a_closed_peer_is_an_error_and_no_signal",
            ])
            .env(HANDLING, "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let raised = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGPIPE, Arc::clone(&raised)).unwrap();
    let epipe = Some(berkeley::Errno::EPIPE);
    let mut file = file_of(&pattern(1 << 16));
    for with_file in [true, false] {
        let (a, b) = unix_pair(Kind::STREAM);
        drop(b);
        let error = if with_file {
            a.sendfile(&file, 0, None).unwrap_err()
        } else {
            let (source, feed) = unix_pair(Kind::STREAM);
            feed.send_all(b"to nobody").unwrap();
            Splicer::new().to_socket(&source, &a, None).unwrap_err()
        };
        assert_eq!(error.errno(), epipe);
    }
    // Into a pipe that nobody reads.
    let (reading, writing) = std::io::pipe().unwrap();
    drop(reading);
    let (source, feed) = unix_pair(Kind::STREAM);
    feed.send_all(b"to nobody").unwrap();
    feed.shutdown(Shutdown::WRITE).unwrap();
    let error = source.recv_file(&writing, None).unwrap_err();
    assert_eq!(error.errno(), epipe);
    assert!(
        !raised.load(Ordering::Relaxed),
        "SIGPIPE reached the handler"
    );
    // The mask is as it was: a signal that others cause still arrives.
    file.seek(SeekFrom::Start(0)).unwrap();
    drop((&writing).write(b"x"));
    assert!(raised.load(Ordering::Relaxed), "SIGPIPE stays blocked");
}
