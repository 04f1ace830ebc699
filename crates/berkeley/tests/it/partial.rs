//! Sends that end half-way: the count is what the peer gets, to the byte.

use std::io::{IoSlice, Read};
use std::thread;
use std::time::Duration;

use berkeley::{
    Deadline, Errno, Error, Hook, Kind, Mode, MsgFlags, OutMessage, Result, Shutdown, Socket,
    Splicer,
};

use crate::sendfile::{file_of, pattern, read_all};
use crate::support::{tcp_pair, unix_pair};

const LIMIT: Duration = Duration::from_millis(30);

/// More than any socket buffer takes.
const LEN: usize = 16 << 20;

fn pairs() -> [(Socket, Socket); 2] {
    [tcp_pair(), unix_pair(Kind::STREAM)]
}

fn sent<T: std::fmt::Debug>(result: Result<T>) -> (usize, Error) {
    match result.unwrap_err() {
        Error::Partial { sent, cause } => (sent, *cause),
        error => panic!("nothing is said to have gone out: {error:?}"),
    }
}

/// Asserts that the peer gets exactly the beginning of `data` that is said to have gone out.
fn assert_came(socket: &Socket, peer: &Socket, data: &[u8], sent: usize) {
    assert!((1..data.len()).contains(&sent), "{sent}");
    socket.shutdown(Shutdown::WRITE).unwrap();
    assert!(read_all(peer) == data[..sent], "{sent} are said to be sent");
}

#[test]
fn a_long_send_that_would_wait_or_takes_too_long_counts_what_it_sent() {
    let data = pattern(LEN);
    for (a, b) in pairs() {
        a.set_mode(Mode::NonBlock).unwrap();
        let (count, cause) = sent(a.send_all(&data));
        assert!(cause.is_would_block(), "{cause:?}");
        assert_came(&a, &b, &data, count);
    }
    for (a, b) in pairs() {
        a.set_mode(Mode::Within(LIMIT)).unwrap();
        let (count, cause) = sent(a.send_all(&data));
        assert!(matches!(cause, Error::TimedOut { .. }), "{cause:?}");
        assert_came(&a, &b, &data, count);
    }
    for (a, b) in pairs() {
        a.set_mode(Mode::Block).unwrap();
        let (count, cause) = sent(a.send_all_until(&data, Deadline::within(LIMIT)));
        assert!(matches!(cause, Error::TimedOut { .. }), "{cause:?}");
        assert_came(&a, &b, &data, count);
    }
}

#[test]
fn single_sends_say_how_much_was_taken() {
    let data = pattern(LEN);
    type Send = fn(&Socket, &[u8]) -> Result<usize>;
    let sends: [Send; 3] = [
        |a, data| a.send(data, MsgFlags::NONE),
        |a, data| {
            let (left, right) = data.split_at(data.len() / 2);
            a.send_gathered(&[IoSlice::new(left), IoSlice::new(right)], MsgFlags::NONE)
        },
        |a, data| {
            let pieces = [IoSlice::new(data)];
            a.send_message(&OutMessage::new(&pieces), MsgFlags::NONE)
        },
    ];
    for send in sends {
        for (a, b) in pairs() {
            a.set_mode(Mode::NonBlock).unwrap();
            let first = send(&a, &data).unwrap();
            let mut count = first;
            // TCP acknowledges meanwhile, and there is room again.
            while let Ok(len) = send(&a, &data[count..]) {
                count += len;
            }
            assert!(first < data.len(), "all of {first} went at once");
            assert_came(&a, &b, &data, count);
        }
    }
}

#[test]
fn files_count_what_went_out_in_every_mode() {
    let data = pattern(LEN);
    let file = file_of(&data);
    type Send = fn(&Socket, &std::fs::File) -> Result<u64>;
    let sends: [Send; 3] = [
        |a, file| {
            a.set_mode(Mode::NonBlock).unwrap();
            a.sendfile(file, 0, None)
        },
        |a, file| {
            a.set_mode(Mode::Within(LIMIT)).unwrap();
            a.sendfile(file, 0, None)
        },
        |a, file| {
            a.set_mode(Mode::Block).unwrap();
            a.until(Deadline::within(LIMIT)).sendfile(file, 0, None)
        },
    ];
    for send in sends {
        for (a, b) in pairs() {
            let (count, _cause) = sent(send(&a, &file));
            assert_came(&a, &b, &data, count);
        }
    }
}

/// Ends a call at its first signal, and none comes: what has gone out goes through here.
struct Counting(std::cell::Cell<usize>);

impl Hook for Counting {
    fn blocking<T: Send>(&self, call: impl FnOnce() -> T + Send) -> T {
        self.0.set(self.0.get() + 1);
        call()
    }

    fn interrupted(&self) -> Result<()> {
        Err(Error::Interrupted { call: "test" })
    }
}

#[test]
fn files_go_through_the_hook() {
    let file = file_of(b"0123456789");
    let hook = Counting(std::cell::Cell::new(0));
    let (a, b) = unix_pair(Kind::STREAM);
    assert_eq!(a.with_hook(&hook).sendfile(&file, 2, Some(5)).unwrap(), 5);
    assert_eq!(hook.0.replace(0), 1);
    let (mut reading, writing) = std::io::pipe().unwrap();
    let mut splicer = Splicer::new();
    let call = b.with_hook(&hook);
    let len = call
        .splice_to_file(&mut splicer, &writing, Some(3))
        .unwrap();
    assert_eq!(
        (len, hook.0.replace(0)),
        (3, 2),
        "into the pipe and out of it"
    );
    let len = call.splice_to_socket(&mut splicer, &b, Some(2)).unwrap();
    assert_eq!((len, hook.0.replace(0)), (2, 2));
    let mut text = [0; 3];
    reading.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"234");
    let mut text = [0; 2];
    assert_eq!(a.recv(&mut text, MsgFlags::NONE).unwrap(), 2);
    assert_eq!(&text, b"56");
}

#[test]
fn a_relay_with_a_deadline_passes_all_on_between_blocking_sockets() {
    let data = pattern(LEN);
    for ((feed, source), (target, end)) in pairs().into_iter().zip(pairs()) {
        source.set_mode(Mode::Block).unwrap();
        target.set_mode(Mode::Block).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                feed.send_all(&data).unwrap();
                feed.shutdown(Shutdown::WRITE).unwrap();
            });
            let reader = scope.spawn(|| read_all(&end));
            let call = source.until(Deadline::within(crate::support::PATIENCE));
            let mut splicer = Splicer::new();
            let len = call.splice_to_socket(&mut splicer, &target, None).unwrap();
            assert_eq!(len, LEN as u64);
            target.shutdown(Shutdown::WRITE).unwrap();
            assert!(reader.join().unwrap() == data, "the content differs");
        });
    }
}

/// Enough for a Unix socket to have room again.
const TAKEN: usize = 128 << 10;

#[test]
fn a_peer_that_leaves_half_way_is_told_with_the_count() {
    let (a, b) = unix_pair(Kind::STREAM);
    a.set_mode(Mode::NonBlock).unwrap();
    let data = pattern(LEN);
    let (first, _cause) = sent(a.send_all(&data));
    let mut taken = vec![0; TAKEN];
    (&b).read_exact(&mut taken).unwrap();
    assert!(taken == data[..TAKEN]);
    // What the peer has taken made room; then it goes.
    let (more, _cause) = sent(a.send_all(&data[first..]));
    assert!(more < 2 * TAKEN, "{more}");
    drop(b);
    let error = a.send_all(&data[first + more..]).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EPIPE), "{error:?}");
    assert!(
        !matches!(error, Error::Partial { .. }),
        "nothing more went out"
    );
}
