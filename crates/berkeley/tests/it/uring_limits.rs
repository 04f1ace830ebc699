//! A ring at its limits: no room, no buffers, cancelled, closed and dropped under way, forbidden.

use std::collections::BTreeMap;
use std::env;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use berkeley::selector::Backend;
use berkeley::uring::{Buffers, Key, Outcome, Ring, RingOptions};
use berkeley::{Errno, Error, Kind, MsgFlags, Socket, opt};
use bytes::Bytes;

use crate::inside::INSIDE;
use crate::support::{PATIENCE, drain, receive, tcp_pair, unix_pair};
use crate::uring::{
    assert_received_error, assert_sent, next, none, now, received, ring, ring_of, whole,
};

/// How long a ring that is dropped waits for what is under way.
const DROP_WAIT_MAX: Duration = Duration::from_millis(200);
/// What a busy machine may add to what is measured.
const OF_THE_MACHINE: Duration = Duration::from_secs(1);

/// Connected pairs: those that a ring serves, and their peers.
fn pairs(count: usize) -> (Vec<Socket>, Vec<Socket>) {
    (0..count).map(|_| unix_pair(Kind::STREAM)).unzip()
}

#[test]
fn a_receive_without_a_buffer_goes_on_when_one_is_given_back() {
    let Some(mut ring) = ring() else { return };
    let (near, far) = unix_pair(Kind::STREAM);
    let fds = [near];
    let group = whole(&mut ring, 2, 4);
    ring.receive(Key(0), group);
    far.send_all(b"aaaabbbbccccdddd").unwrap();
    let first = next(&mut ring, &fds[..]);
    let second = next(&mut ring, &fds[..]);
    assert_eq!(
        (received(&first), received(&second)),
        (&b"aaaa"[..], &b"bbbb"[..])
    );
    assert!(now(&mut ring, &fds[..]).is_empty());
    drop(second);
    let third = next(&mut ring, &fds[..]);
    assert_eq!(received(&third), b"cccc");
    assert!(third.more && now(&mut ring, &fds[..]).is_empty());
    let other = thread::spawn(move || drop((first, third)));
    assert_eq!(received(&next(&mut ring, &fds[..])), b"dddd");
    other.join().unwrap();
}

#[test]
fn a_receive_that_waits_for_a_buffer_can_be_cancelled() {
    let Some(mut ring) = ring() else { return };
    let (near, far) = unix_pair(Kind::STREAM);
    let fds = [near];
    let group = whole(&mut ring, 1, 4);
    ring.receive(Key(0), group);
    far.send_all(b"aaaabbbb").unwrap();
    let held = next(&mut ring, &fds[..]);
    assert!(now(&mut ring, &fds[..]).is_empty());
    ring.cancel_receive(Key(0), group);
    assert_received_error(&next(&mut ring, &fds[..]), Errno::ECANCELED);
    assert_eq!(received(&held), b"aaaa");
}

#[test]
fn a_receive_without_a_buffer_ends_where_that_was_asked_for() {
    let Some(mut ring) = ring() else { return };
    let (near, far) = unix_pair(Kind::STREAM);
    let fds = [near];
    ring.end_starved();
    let group = whole(&mut ring, 1, 4);
    ring.receive(Key(0), group);
    far.send_all(b"aaaabbbb").unwrap();
    let held = next(&mut ring, &fds[..]);
    let end = next(&mut ring, &fds[..]);
    assert_received_error(&end, Errno::ENOBUFS);
    assert!(!end.more && now(&mut ring, &fds[..]).is_empty());
    assert_eq!(received(&held), b"aaaa");
    // Nothing is lost: whoever receives next has the rest.
    drop(held);
    ring.receive(Key(0), group);
    assert_eq!(received(&next(&mut ring, &fds[..])), b"bbbb");
}

#[test]
fn one_receive_without_a_buffer_says_so() {
    let Some(mut ring) = ring() else { return };
    let (near, far) = unix_pair(Kind::STREAM);
    let fds = [near];
    let group = whole(&mut ring, 1, 4);
    far.send_all(b"ab").unwrap();
    ring.receive_once(Key(0), group, 1);
    let held = next(&mut ring, &fds[..]);
    ring.receive_once(Key(0), group, 1);
    assert_received_error(&next(&mut ring, &fds[..]), Errno::ENOBUFS);
    assert_eq!(received(&held), b"a");
}

/// Everybody sends; a ring with these sizes receives all of it, each byte once and in order.
fn all_is_received(options: RingOptions, buffers: Buffers) {
    const COUNT: usize = 100;
    const BYTES: usize = 300;
    let Some(mut ring) = ring_of(options) else {
        return;
    };
    let group = ring.add_buffers(buffers).unwrap();
    let (fds, peers) = pairs(COUNT);
    for key in 0..COUNT as u64 {
        ring.receive(Key(key), group);
    }
    for (index, peer) in peers.iter().enumerate() {
        for part in 0..3 {
            peer.send_all(&[u8::try_from(index).unwrap() + part; BYTES / 3])
                .unwrap();
        }
    }
    drop(peers);
    let mut came: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut ended = 0;
    while ended < COUNT {
        let completion = next(&mut ring, &fds);
        let bytes = received(&completion);
        ended += usize::from(bytes.is_empty());
        assert_eq!(completion.more, !bytes.is_empty());
        came.entry(completion.key.0).or_default().extend(bytes);
    }
    for (index, bytes) in &came {
        let parts = (0..3).map(|part| u8::try_from(*index).unwrap() + part);
        let expected: Vec<u8> = parts.flat_map(|byte| [byte; BYTES / 3]).collect();
        assert_eq!(bytes, &expected);
    }
    assert_eq!(came.len(), COUNT);
}

const TIGHT: RingOptions = RingOptions {
    entries: 4,
    completions: 8,
};

#[test]
fn nothing_is_lost_when_completions_overflow() {
    let (count, bytes) = (512, 128);
    all_is_received(
        TIGHT,
        Buffers {
            count,
            bytes,
            shared: false,
        },
    );
}

#[test]
fn nothing_is_lost_when_buffers_run_out() {
    let (count, bytes) = (3, 50);
    all_is_received(
        RingOptions::default(),
        Buffers {
            count,
            bytes,
            shared: false,
        },
    );
}

#[test]
fn nothing_is_lost_when_buffers_that_are_shared_run_out() {
    let Some(probe) = ring() else { return };
    if !probe.has_shared_buffers() {
        eprintln!("skipped: this kernel shares no buffers");
        return;
    }
    for options in [TIGHT, RingOptions::default()] {
        for (count, bytes) in [(1, 7), (2, 1000), (4, 1 << 16)] {
            all_is_received(
                options,
                Buffers {
                    count,
                    bytes,
                    shared: true,
                },
            );
        }
    }
}

#[test]
fn more_operations_than_entries_are_submitted_all_the_same() {
    let Some(mut ring) = ring_of(TIGHT) else {
        return;
    };
    let (fds, peers) = pairs(50);
    for key in 0..50u64 {
        ring.send_copy(Key(key), &key.to_le_bytes());
    }
    for _ in 0..50 {
        assert_sent(&next(&mut ring, &fds), 8);
    }
    for (key, peer) in (0..50u64).zip(&peers) {
        assert_eq!(receive(peer), key.to_le_bytes());
    }
}

#[test]
fn a_connection_that_is_closed_under_way_ends_when_its_receive_is_cancelled() {
    let Some(mut ring) = ring() else { return };
    let group = whole(&mut ring, 2, 16);
    for is_reset in [false, true] {
        let (near, far) = tcp_pair();
        let mut fds = vec![near];
        ring.receive(Key(0), group);
        assert!(now(&mut ring, &fds).is_empty());
        if is_reset {
            fds[0].set(opt::Linger, Some(Duration::ZERO)).unwrap();
        }
        ring.cancel_receive(Key(0), group);
        fds.clear();
        assert_received_error(&next(&mut ring, &fds), Errno::ECANCELED);
        let end = far.recv(&mut [0; 1], MsgFlags::NONE);
        match end {
            Ok(0) => assert!(!is_reset),
            Err(error) => assert!(is_reset && error.errno() == Some(Errno::ECONNRESET)),
            Ok(len) => panic!("{len} bytes"),
        }
    }
}

#[test]
fn a_send_that_is_cancelled_lets_go_of_its_memory() {
    let Some(mut ring) = ring() else { return };
    let (near, far) = unix_pair(Kind::STREAM);
    let fds = [near];
    let big = Bytes::from(vec![1; 4 << 20]);
    let send = ring.send(Key(0), big.clone());
    assert!(now(&mut ring, &fds[..]).is_empty());
    ring.cancel_send(Key(1), send);
    assert!(now(&mut ring, &fds[..]).is_empty(), "not this key's");
    ring.cancel_send(Key(0), send);
    let completion = next(&mut ring, &fds[..]);
    let sent = match completion.outcome {
        Outcome::Sent(Ok(len)) => len,
        Outcome::Sent(Err(Errno::ECANCELED)) => 0,
        other => panic!("{other:?}"),
    };
    assert!(sent < big.len() && big.is_unique());
    ring.cancel_send(Key(0), send);
    assert!(now(&mut ring, &fds[..]).is_empty());
    drop(fds);
    assert!(drain(&far) < big.len());
}

#[test]
fn each_receive_ends_once_however_it_is_cancelled() {
    let Some(mut ring) = ring() else { return };
    let (fds, peers) = pairs(50);
    let group = whole(&mut ring, 8, 64);
    for round in 0..20 {
        for (key, peer) in (0..).zip(&peers) {
            ring.receive(Key(key), group);
            if (key + round) % 3 == 0 {
                peer.send_all(b"some").unwrap();
            }
            if (key + round) % 2 == 0 {
                ring.wait(&fds, Some(Duration::ZERO)).unwrap();
            }
            if (key + round) % 5 == 0 {
                peer.send_all(b"more").unwrap();
            }
            ring.cancel_receive(Key(key), group);
        }
        let mut ended = vec![0; fds.len()];
        while ended.iter().sum::<usize>() < fds.len() {
            let completion = next(&mut ring, &fds);
            if completion.more {
                assert!(!received(&completion).is_empty());
            } else {
                ended[usize::try_from(completion.key.0).unwrap()] += 1;
                assert_received_error(&completion, Errno::ECANCELED);
            }
        }
        assert!(ended.iter().all(|times| *times == 1));
        assert!(now(&mut ring, &fds).is_empty());
    }
}

#[test]
fn a_ring_can_be_dropped_under_way() {
    for elsewhere in [false, true] {
        let Some(mut ring) = ring() else { return };
        let (near, far) = unix_pair(Kind::STREAM);
        let (other, peer) = unix_pair(Kind::STREAM);
        let fds = vec![near, other];
        let group = whole(&mut ring, 4, 16);
        ring.receive(Key(0), group);
        far.send_all(b"held").unwrap();
        let held = next(&mut ring, &fds);
        let big = Bytes::from(vec![1; 4 << 20]);
        ring.send(Key(1), big.clone());
        ring.send(Key(9), Bytes::from_static(b"never submitted"));
        assert!(now(&mut ring, &fds).is_empty());
        let begun = Instant::now();
        if elsewhere {
            thread::spawn(move || drop(ring)).join().unwrap();
        } else {
            drop(ring);
            assert!(big.is_unique());
        }
        let took = begun.elapsed();
        assert!(took < DROP_WAIT_MAX + OF_THE_MACHINE, "{took:?}");
        drop(fds);
        // From another thread the kernel ends it some time later.
        drain(&peer);
        if !elsewhere {
            far.send_all(b"for nobody").unwrap_err();
        }
        assert_eq!(received(&held), b"held");
    }
}

#[test]
fn a_ring_that_is_dropped_waits_so_long_for_a_network_that_has_not_done_with_its_memory() {
    let Some(mut ring) = ring() else { return };
    let (near, far) = tcp_pair();
    let fds = [near];
    let big = Bytes::from(vec![1; 4 << 20]);
    ring.send_zero_copy(Key(0), [big.clone()]);
    assert!(
        now(&mut ring, &fds[..]).is_empty(),
        "its peer does not read"
    );
    let begun = Instant::now();
    drop(ring);
    let took = begun.elapsed();
    assert!(took >= DROP_WAIT_MAX, "{took:?}");
    assert!(took < DROP_WAIT_MAX + OF_THE_MACHINE, "{took:?}");
    assert!(!big.is_unique(), "what may still be read stays as it is");
    drop(far);
}

#[test]
fn a_ring_that_was_never_used_can_be_dropped() {
    let Some(mut ring) = ring() else { return };
    let group = whole(&mut ring, 4, 16);
    ring.receive(Key(0), group);
    ring.send_copy(Key(0), b"x");
    drop(thread::spawn(move || drop(ring)).join());
}

#[test]
fn connections_that_were_accepted_and_not_taken_are_closed_with_the_ring() {
    let Some(mut ring) = ring() else { return };
    let (server, addr) = crate::support::listener(4);
    let fds = [server];
    ring.accept(Key(0), &fds[0]);
    assert!(now(&mut ring, &fds[..]).is_empty());
    let client = crate::support::tcp();
    client.set_mode(berkeley::Mode::Within(PATIENCE)).unwrap();
    client.connect(&addr).unwrap();
    ring.wait(&fds[..], Some(PATIENCE)).unwrap();
    drop(ring);
    assert_eq!(receive(&client), b"");
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let Some(mut ring) = ring() else { return };
    let shared = false;
    for (count, bytes) in [(0, 1), (1, 0), (u16::MAX, 1)] {
        let buffers = Buffers {
            count,
            bytes,
            shared,
        };
        let error = ring.add_buffers(buffers).unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    }
    for _ in 0..16 {
        whole(&mut ring, 1, 1);
    }
    let (count, bytes) = (1, 1);
    let buffers = Buffers {
        count,
        bytes,
        shared,
    };
    assert!(matches!(ring.add_buffers(buffers), Err(Error::Invalid(_))));
    ring.wait(none(), Some(Duration::ZERO)).unwrap();
}

/// Installs a filter that answers one system call with an error number, and goes on as the test.
const FILTER: &str = "
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
SETUP, ERRNO, ALLOW = 425, 0x00050000 | int(sys.argv[1]), 0x7fff0000
code = [(0x20, 0, 0, 0), (0x15, 0, 1, SETUP), (0x06, 0, 0, ERRNO), (0x06, 0, 0, ALLOW)]
program = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *line) for line in code))
header = ctypes.create_string_buffer(struct.pack('HxxxxxxP', len(code), ctypes.addressof(program)))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, header, 0, 0):
    sys.exit(77)
os.execv(sys.argv[2], sys.argv[2:])
";

#[test]
fn where_it_is_forbidden_everybody_is_told_so() {
    let test = "uring_limits::where_it_is_forbidden_everybody_is_told_so";
    if env::var_os(INSIDE).is_some() {
        for error in [
            Ring::new(RingOptions::default()).map(drop).unwrap_err(),
            Backend::IoUring.open().map(drop).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
            assert!(error.to_string().contains("io_uring"), "{error}");
            assert!(error.to_string().contains("selector"), "{error}");
        }
        return;
    }
    for errno in [libc::EPERM, libc::ENOSYS, libc::EINVAL] {
        let output = Command::new("python3")
            .args(["-c", FILTER, &errno.to_string()])
            .arg(env::current_exe().unwrap())
            .args(["--exact", test])
            .env(INSIDE, "1")
            .output();
        let output = match output {
            Ok(output) if output.status.code() != Some(77) => output,
            _ => {
                eprintln!("skipped: needs python3 and seccomp filters");
                return;
            }
        };
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("1 passed"), "{said}");
    }
}
