//! The bounds of docs/limits.md that need no machine of their own: one below, at them, one above.
//! Those that are nobody's to use have their value here.

use std::fs::{self, File};
use std::io::IoSlice;
use std::time::{Duration, Instant};

use berkeley::opt::filter::{INSTRUCTIONS_MAX, Instruction};
use berkeley::uring::{Key, Outcome, PIECES_MAX};
use berkeley::{
    Deadline, Endpoint, Errno, Family, Kind, Level, MsgFlags, OutMessage, Protocol, RecvBatch,
    Shutdown, Socket, ZeroCopySender, create_servers,
};
use bytes::Bytes;

use crate::ancillary::switch;
use crate::support::{PATIENCE, drain, receive, tcp_pair, udp, unix_pair};
use crate::uring::{assert_sent, next, ring};

/// Pieces of one call.
const IOV_MAX: usize = 1_024;
/// Messages of one system call.
const SEND_BATCH_MAX: usize = 32;
/// Datagrams of one call.
const SEGMENTS_MAX: usize = 64;
/// Entries of the error queue that are kept beside the completions.
const OTHERS_MAX: usize = 64;
/// Time that a folder's lock is waited for.
const FOLDER_LOCK_WAIT_MAX: Duration = Duration::from_secs(1);
/// Sends of a ring whose memory is kept for the next ones, and bytes that each copy keeps.
const POOL_MAX: usize = 1_024;
/// See [`POOL_MAX`].
const COPY_BYTES_KEPT_MAX: usize = 4_096;

/// One below, the value, one above.
fn around(value: usize) -> [usize; 3] {
    [value - 1, value, value + 1]
}

#[test]
fn a_stream_takes_so_many_pieces_at_once_and_a_datagram_no_more() {
    let all = [IoSlice::new(b"x"); IOV_MAX + 1];
    for count in around(IOV_MAX) {
        let (a, b) = tcp_pair();
        let sent = a.send_gathered(&all[..count], MsgFlags::NONE).unwrap();
        assert_eq!(sent, count.min(IOV_MAX));
        a.shutdown(Shutdown::WRITE).unwrap();
        assert_eq!(drain(&b), sent);
        let (a, b) = unix_pair(Kind::DGRAM);
        match a.send_gathered(&all[..count], MsgFlags::NONE) {
            Ok(sent) => assert_eq!((sent, receive(&b).len()), (count, count)),
            Err(error) => assert_eq!((error.errno(), count), (Some(Errno::EMSGSIZE), IOV_MAX + 1)),
        }
    }
}

#[test]
fn a_batch_of_any_length_goes_and_comes_in_order() {
    for count in around(SEND_BATCH_MAX) {
        let (a, b) = unix_pair(Kind::SEQPACKET);
        let texts: Vec<String> = (0..count).map(|number| number.to_string()).collect();
        let pieces: Vec<_> = texts
            .iter()
            .map(|it| [IoSlice::new(it.as_bytes())])
            .collect();
        let messages: Vec<_> = pieces.iter().map(|it| OutMessage::new(it)).collect();
        // Who reads meanwhile keeps the queue from being full.
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| a.send_batch(&messages, MsgFlags::NONE).unwrap());
            for text in &texts {
                assert_eq!(receive(&b), text.as_bytes());
            }
            assert_eq!(sending.join().unwrap(), count);
        });
    }
    // As many places as messages that may come.
    assert_eq!(RecvBatch::new(SEND_BATCH_MAX + 1, 1, 0).len(), 0);
}

#[test]
fn datagrams_of_one_buffer_arrive_each_however_many_they_are() {
    for count in around(SEGMENTS_MAX) {
        let (a, _) = udp();
        let (b, addr) = udp();
        let data = vec![7; count * 10];
        let sent = a.send_segmented(&data, 10, Some(&addr), MsgFlags::NONE);
        assert_eq!(sent.unwrap(), data.len());
        (0..count).for_each(|_| assert_eq!(receive(&b).len(), 10));
    }
}

#[test]
fn so_many_other_entries_of_the_error_queue_are_kept() {
    for count in around(OTHERS_MAX) {
        let gone = udp().1;
        let socket = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT).unwrap();
        switch(&socket, Level::IP, libc::IP_RECVERR, 1);
        let mut sender = ZeroCopySender::new(socket).unwrap();
        for _ in 0..count {
            // The error of the one before is told once.
            while sender.send_to(vec![1; 10], &gone).is_err() {}
        }
        sender.finish(Deadline::within(PATIENCE)).unwrap();
        assert!(sender.take_completed().unwrap().is_none());
        let others = sender.take_others().filter(|other| other.error.is_some());
        assert_eq!(others.count(), count.min(OTHERS_MAX));
    }
}

#[test]
fn a_filter_has_so_many_instructions() {
    let (socket, _) = udp();
    let program = vec![Instruction::ret(u32::MAX); INSTRUCTIONS_MAX + 1];
    for count in around(INSTRUCTIONS_MAX) {
        match socket.attach_filter(&program[..count]) {
            Ok(()) => assert!(count <= INSTRUCTIONS_MAX),
            // The memory of options may be less: net.core.optmem_max.
            Err(error) if error.errno() == Some(Errno::ENOMEM) => {
                assert!(count <= INSTRUCTIONS_MAX);
            }
            Err(error) => {
                assert_eq!(error.errno(), Some(Errno::EINVAL));
                assert_eq!(count, INSTRUCTIONS_MAX + 1);
            }
        }
    }
}

#[test]
fn a_path_is_bound_without_its_folders_lock_when_that_takes_too_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let place: Endpoint = format!("unix://{}", path.display()).parse().unwrap();
    let lock = File::open(folder.path()).unwrap();
    lock.lock().unwrap();
    let begun = Instant::now();
    let servers = create_servers(&place).unwrap();
    assert!(
        begun.elapsed() >= FOLDER_LOCK_WAIT_MAX,
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(servers.len(), 1);
    drop(servers);
    lock.unlock().unwrap();
    drop(create_servers(&place).unwrap());
    fs::remove_file(path).ok();
}

#[test]
fn a_ring_sends_so_many_pieces_as_one() {
    let Some(mut ring) = ring() else { return };
    for count in around(PIECES_MAX) {
        let (near, far) = unix_pair(Kind::STREAM);
        let fds = [near];
        ring.send_gathered(Key(0), vec![Bytes::from_static(b"x"); count]);
        let completion = next(&mut ring, &fds[..]);
        if count <= PIECES_MAX {
            assert_sent(&completion, count);
            assert_eq!(drain_of(&far), count);
        } else {
            let refused = matches!(completion.outcome, Outcome::Sent(Err(Errno::EMSGSIZE)));
            assert!(refused, "{completion:?}");
        }
    }
}

/// How much has come.
fn drain_of(socket: &Socket) -> usize {
    let mut bytes = vec![0; 1 << 16];
    socket.recv(&mut bytes, MsgFlags::DONTWAIT).unwrap()
}

#[test]
fn sends_beyond_what_a_ring_keeps_room_for_arrive_all_the_same() {
    let Some(mut ring) = ring() else { return };
    for (count, bytes) in around(POOL_MAX)
        .into_iter()
        .zip(around(COPY_BYTES_KEPT_MAX))
    {
        // Whole packets: what is under way at once has no order, and a part of a stream could end
        // up between the parts of another.
        let (near, far) = unix_pair(Kind::SEQPACKET);
        let fds = [near];
        let marks = || (0..count).map(|number| u8::try_from(number % 251).unwrap());
        let reader = std::thread::spawn(move || {
            let mut buf = vec![0; bytes + 1];
            let mut next = || {
                let len = far.recv(&mut buf, MsgFlags::NONE).unwrap();
                assert_eq!(len, bytes);
                assert!(buf[..len].iter().all(|byte| *byte == buf[0]));
                buf[0]
            };
            (0..2 * count).map(|_| next()).collect::<Vec<_>>()
        });
        // The second time in the memory of the first.
        for _ in 0..2 {
            for mark in marks() {
                ring.send_copy(Key(0), &vec![mark; bytes]);
            }
            for _ in marks() {
                assert_sent(&next(&mut ring, &fds[..]), bytes);
            }
        }
        let mut arrived = reader.join().unwrap();
        let mut sent: Vec<u8> = marks().chain(marks()).collect();
        arrived.sort_unstable();
        sent.sort_unstable();
        assert_eq!(arrived, sent);
    }
}
