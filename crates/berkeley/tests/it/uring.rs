//! Operations that the kernel completes.

use std::collections::HashMap;
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::Duration;

use berkeley::selector::Interest;
use berkeley::uring::{
    Buffers, Completion, Descriptors, Group, KEY_BITS, Key, Outcome, Ring, RingOptions,
};
use berkeley::{Errno, Error, Kind, MsgFlags, Shutdown, Socket, opt};
use bytes::Bytes;

use crate::selector_contract::NUMBERS;
use crate::support::{PATIENCE, assert_takes, drain, listener, receive, tcp, tcp_pair, unix_pair};

/// A ring, or a line that says why there is none.
pub(crate) fn ring_of(options: RingOptions) -> Option<Ring> {
    match Ring::new(options) {
        Ok(ring) => Some(ring),
        Err(error @ Error::Unsupported(_)) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn ring() -> Option<Ring> {
    ring_of(RingOptions::default())
}

/// Buffers that each receive takes one of.
pub(crate) fn whole(ring: &mut Ring, count: u16, bytes: u32) -> Group {
    let shared = false;
    ring.add_buffers(Buffers {
        count,
        bytes,
        shared,
    })
    .unwrap()
}

/// The next completion that is not about the ring itself.
pub(crate) fn next<D: Descriptors + ?Sized>(ring: &mut Ring, fds: &D) -> Completion {
    let start = std::time::Instant::now();
    loop {
        if let Some(completion) = ring.next() {
            return completion;
        }
        assert!(start.elapsed() < PATIENCE, "nothing came");
        ring.wait(fds, Some(PATIENCE)).unwrap();
    }
}

/// What is there without waiting.
pub(crate) fn now<D: Descriptors + ?Sized>(ring: &mut Ring, fds: &D) -> Vec<Completion> {
    ring.wait(fds, Some(Duration::ZERO)).unwrap();
    std::iter::from_fn(|| ring.next()).collect()
}

/// What was received.
pub(crate) fn received(completion: &Completion) -> &[u8] {
    match &completion.outcome {
        Outcome::Received(Ok(bytes)) => bytes,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn assert_sent(completion: &Completion, bytes: usize) {
    match completion.outcome {
        Outcome::Sent(Ok(len)) => assert_eq!(len, bytes),
        ref other => panic!("{other:?}"),
    }
}

pub(crate) fn assert_received_error(completion: &Completion, errno: Errno) {
    match completion.outcome {
        Outcome::Received(Err(error)) => assert_eq!(error, errno),
        ref other => panic!("{other:?}"),
    }
    assert!(!completion.more);
}

/// For rings that have nothing to ask for.
pub(crate) fn none() -> &'static [Socket] {
    &[]
}

#[test]
fn a_receive_goes_on_until_the_end_of_the_stream() {
    for shared in [false, true] {
        let Some(mut ring) = ring() else { return };
        if shared && !ring.has_shared_buffers() {
            eprintln!("skipped: this kernel shares no buffers");
            return;
        }
        let (near, far) = unix_pair(Kind::STREAM);
        let fds = [near];
        let (count, bytes) = (2, 64);
        let group = ring
            .add_buffers(Buffers {
                count,
                bytes,
                shared,
            })
            .unwrap();
        ring.receive(Key(0), group);
        assert!(now(&mut ring, &fds[..]).is_empty());
        for round in 0..100u8 {
            far.send_all(&[round; 10]).unwrap();
            let mut came = 0;
            while came < 10 {
                let completion = next(&mut ring, &fds[..]);
                assert_eq!(completion.key, Key(0));
                assert!(completion.more);
                assert!(received(&completion).iter().all(|byte| *byte == round));
                came += received(&completion).len();
            }
            assert_eq!(came, 10);
        }
        drop(far);
        let completion = next(&mut ring, &fds[..]);
        assert_eq!(received(&completion), b"");
        assert!(!completion.more);
    }
}

#[test]
fn what_is_received_stays_as_long_as_it_is_held() {
    let Some(mut ring) = ring() else { return };
    let (near, far) = unix_pair(Kind::STREAM);
    let fds = [near];
    let group = whole(&mut ring, 4, 16);
    ring.receive(Key(0), group);
    let mut held = Vec::new();
    for text in ["one", "two", "three"] {
        far.send_all(text.as_bytes()).unwrap();
        let Outcome::Received(Ok(bytes)) = next(&mut ring, &fds[..]).outcome else {
            panic!("not received");
        };
        held.push(bytes);
    }
    for number in 0..20u8 {
        far.send_all(&[number]).unwrap();
        assert_eq!(received(&next(&mut ring, &fds[..])), [number]);
    }
    let texts: Vec<&[u8]> = held.iter().map(|bytes| &bytes[..]).collect();
    assert_eq!(texts, [&b"one"[..], b"two", b"three"]);
    let cut = held[2].slice(1..=2).unwrap();
    drop(held);
    drop(ring);
    assert_eq!(&cut[..], b"hr");
    assert!(cut.slice(3..).is_none() && cut.slice(2..).unwrap().is_empty());
}

#[test]
fn connections_are_accepted_one_after_the_other() {
    let Some(mut ring) = ring() else { return };
    let (server, addr) = listener(16);
    server.set(opt::NoDelay, true).unwrap();
    let fds = [server];
    ring.accept(Key(0), &fds[0]);
    assert!(now(&mut ring, &fds[..]).is_empty());
    for _ in 0..5 {
        let client = tcp();
        client.connect(&addr).unwrap();
        let completion = next(&mut ring, &fds[..]);
        let Outcome::Accepted(Ok(socket)) = completion.outcome else {
            panic!("{completion:?}");
        };
        assert!(completion.more);
        assert_eq!(socket.mode(), berkeley::Mode::NonBlock);
        assert_eq!(socket.kind(), Kind::STREAM);
        assert_eq!(
            socket.peer_addr().unwrap(),
            Some(client.local_addr().unwrap())
        );
        assert!(crate::support::is_close_on_exec(&socket));
        assert!(crate::support::is_nonblocking(&socket));
    }
    ring.cancel_accept(Key(0));
    let completion = next(&mut ring, &fds[..]);
    assert!(matches!(
        completion.outcome,
        Outcome::Accepted(Err(Errno::ECANCELED))
    ));
}

#[test]
fn a_send_is_complete_when_the_peer_has_room_for_all_of_it() {
    let Some(mut ring) = ring() else { return };
    let (near, far) = tcp_pair();
    let fds = [near];
    let big = Bytes::from(vec![7; 8 << 20]);
    ring.send(Key(0), big.clone());
    assert!(now(&mut ring, &fds[..]).is_empty(), "no peer has such room");
    assert_eq!(ring.sends(), 1);
    let reader = thread::spawn(move || drain(&far));
    assert_sent(&next(&mut ring, &fds[..]), big.len());
    assert_eq!(ring.sends(), 0);
    assert!(big.is_unique(), "the ring has let go of it");
    fds[0].shutdown(Shutdown::WRITE).unwrap();
    assert_eq!(reader.join().unwrap(), big.len());
}

#[test]
fn sends_of_all_kinds_arrive() {
    let Some(mut ring) = ring() else { return };
    let (near, far) = tcp_pair();
    let fds = [near];
    ring.send_copy(Key(0), b"copied");
    assert_sent(&next(&mut ring, &fds[..]), 6);
    assert_eq!(receive(&far), b"copied");
    ring.send_gathered(
        Key(0),
        [Bytes::from_static(b"ga"), Bytes::from(b"ther".to_vec())],
    );
    assert_sent(&next(&mut ring, &fds[..]), 6);
    assert_eq!(receive(&far), b"gather");
    let page = Bytes::from(vec![1; 100_000]);
    ring.send_zero_copy(Key(0), [page.clone()]);
    assert_sent(&next(&mut ring, &fds[..]), page.len());
    let mut buf = vec![0; page.len()];
    (&far).read_exact(&mut buf).unwrap();
    assert_eq!(buf, page);
    while ring.sends() > 0 {
        ring.wait(&fds[..], Some(PATIENCE)).unwrap();
        assert!(ring.next().is_none(), "it was told already");
    }
    assert!(page.is_unique());
    ring.send_zero_copy(Key(0), [Bytes::from_static(b"a"), Bytes::from_static(b"b")]);
    assert_sent(&next(&mut ring, &fds[..]), 2);
    assert_eq!(receive(&far), b"ab");
    let none: [Bytes; 0] = [];
    ring.send_gathered(Key(0), none);
    assert_sent(&next(&mut ring, &fds[..]), 0);
}

#[test]
fn a_send_without_copying_is_complete_when_all_was_taken_however_slowly() {
    let Some(mut ring) = ring() else { return };
    let (near, far) = tcp_pair();
    let fds = [near];
    let big = Bytes::from(vec![7; 16 << 20]);
    ring.send_zero_copy(Key(0), [big.slice(..100), big.slice(100..)]);
    assert!(now(&mut ring, &fds[..]).is_empty(), "no peer has such room");
    let reader = thread::spawn(move || {
        // The kernel gives up when it has waited for room some hundred times.
        let (mut buf, mut count) = (vec![0; 8192], 0);
        while count < 16 << 20 {
            count += far.recv(&mut buf, MsgFlags::NONE).unwrap();
        }
        count
    });
    assert_sent(&next(&mut ring, &fds[..]), big.len());
    assert_eq!(reader.join().unwrap(), big.len());
    while ring.sends() > 0 {
        ring.wait(&fds[..], Some(PATIENCE)).unwrap();
        assert!(ring.next().is_none(), "it was told already");
    }
    assert!(big.is_unique());
}

#[test]
fn a_failed_send_says_why() {
    let Some(mut ring) = ring() else { return };
    let (near, far) = unix_pair(Kind::STREAM);
    drop(far);
    ring.send_copy(Key(0), b"x");
    let completion = next(&mut ring, &[near][..]);
    assert!(matches!(
        completion.outcome,
        Outcome::Sent(Err(Errno::EPIPE))
    ));
    assert_eq!(ring.sends(), 0);
}

#[test]
fn a_thousand_connections_are_echoed_by_one_ring() {
    const COUNT: usize = 400;
    let _all = NUMBERS.write().unwrap_or_else(|error| error.into_inner());
    let Some(mut ring) = ring() else { return };
    let (server, addr) = listener(512);
    let shared = ring.has_shared_buffers();
    let group = ring
        .add_buffers(Buffers {
            count: 4,
            bytes: 4096,
            shared,
        })
        .unwrap();
    let clients: Vec<Socket> = (0..COUNT)
        .map(|_| {
            let client = tcp();
            client.set_mode(berkeley::Mode::Within(PATIENCE)).unwrap();
            client.connect(&addr).unwrap();
            client
        })
        .collect();
    let mut fds = HashMap::from([(Key(0), server)]);
    ring.accept(Key(0), &fds[&Key(0)]);
    while fds.len() <= COUNT {
        if let Outcome::Accepted(socket) = next(&mut ring, &fds).outcome {
            let key = Key(fds.len() as u64);
            ring.receive(key, group);
            fds.insert(key, socket.unwrap());
        }
    }
    for (index, client) in clients.iter().enumerate() {
        client.send_all(&index.to_le_bytes()).unwrap();
    }
    // A message may come in two parts, where one buffer ends and the next begins.
    let mut echoed = 0;
    while echoed < COUNT * 8 {
        let completion = next(&mut ring, &fds);
        match completion.outcome {
            Outcome::Received(bytes) => drop(ring.send(completion.key, bytes.unwrap())),
            Outcome::Sent(len) => echoed += len.unwrap(),
            other => panic!("{other:?}"),
        }
    }
    for (index, client) in clients.iter().enumerate() {
        let mut buf = [0; 8];
        assert_eq!(client.recv(&mut buf, MsgFlags::WAITALL).unwrap(), 8);
        assert_eq!(usize::from_le_bytes(buf), index);
    }
}

#[test]
fn a_poll_tells_what_is_the_case_each_time_that_something_comes() {
    let Some(mut ring) = ring() else { return };
    let (near, far) = unix_pair(Kind::STREAM);
    let fds = [near];
    ring.poll(Key(0), Interest::READABLE | Interest::PEER_CLOSED);
    assert!(now(&mut ring, &fds[..]).is_empty());
    for _ in 0..3 {
        far.send_all(b"x").unwrap();
        let completion = next(&mut ring, &fds[..]);
        let Outcome::Polled(Ok(ready)) = completion.outcome else {
            panic!("{completion:?}");
        };
        assert!(completion.more && ready.is_readable() && !ready.is_writable());
    }
    ring.cancel_poll(Key(0), Interest::READABLE | Interest::PEER_CLOSED);
    let completion = next(&mut ring, &fds[..]);
    assert!(matches!(
        completion.outcome,
        Outcome::Polled(Err(Errno::ECANCELED))
    ));
    ring.poll_once(Key(0), Interest::WRITABLE);
    let completion = next(&mut ring, &fds[..]);
    let Outcome::Polled(Ok(ready)) = completion.outcome else {
        panic!("{completion:?}");
    };
    assert!(!completion.more && ready.is_writable());
    assert!(now(&mut ring, &fds[..]).is_empty());
}

#[test]
fn a_raised_waker_ends_a_wait_and_works_again() {
    let Some(mut ring) = ring() else { return };
    let waker = ring.waker();
    waker.raise();
    assert!(matches!(next(&mut ring, none()).outcome, Outcome::Woken));
    for _ in 0..3 {
        let raiser = waker.clone();
        let thread = thread::spawn(move || raiser.raise());
        assert!(matches!(next(&mut ring, none()).outcome, Outcome::Woken));
        thread.join().unwrap();
        waker.raise();
        waker.raise();
        assert!(matches!(next(&mut ring, none()).outcome, Outcome::Woken));
        assert!(now(&mut ring, none()).is_empty());
    }
}

#[test]
fn a_wait_ends_at_its_limit_and_never_before() {
    let Some(mut ring) = ring() else { return };
    for limit in [Duration::from_millis(20), Duration::from_micros(300)] {
        assert_takes(limit, || {
            ring.wait(none(), Some(limit)).unwrap();
            assert!(ring.next().is_none());
        });
    }
}

#[test]
fn one_receive_takes_at_most_what_was_asked_for() {
    let Some(mut ring) = ring() else { return };
    let (near, far) = unix_pair(Kind::STREAM);
    let fds = [near];
    let group = whole(&mut ring, 2, 64);
    far.send_all(b"abcdefgh").unwrap();
    for (bytes, expected) in [(3, &b"abc"[..]), (0, b"defgh")] {
        ring.receive_once(Key(0), group, bytes);
        let completion = next(&mut ring, &fds[..]);
        assert_eq!(received(&completion), expected);
        assert!(!completion.more);
    }
    ring.receive_once(Key(0), group, 1);
    assert!(now(&mut ring, &fds[..]).is_empty());
    ring.cancel_receive_once(Key(0), group);
    assert_received_error(&next(&mut ring, &fds[..]), Errno::ECANCELED);
}

#[test]
fn messages_of_sequenced_packets_come_whole() {
    let Some(mut ring) = ring() else { return };
    let (near, far) = unix_pair(Kind::SEQPACKET);
    let fds = [near];
    let group = whole(&mut ring, 4, 64);
    ring.receive(Key(0), group);
    far.send_all(b"one").unwrap();
    far.send_all(b"two").unwrap();
    for expected in [b"one", b"two"] {
        assert_eq!(received(&next(&mut ring, &fds[..])), expected);
    }
}

#[test]
fn what_was_prepared_for_a_key_without_a_descriptor_is_forgotten() {
    let Some(mut ring) = ring() else { return };
    let group = whole(&mut ring, 1, 8);
    let piece = Bytes::from(vec![1; 100]);
    let server = listener(1).0;
    ring.receive(Key(5), group);
    ring.send(Key(5), piece.clone());
    ring.accept(Key(5), &server);
    assert_eq!(ring.sends(), 1);
    assert!(now(&mut ring, none()).is_empty());
    assert_eq!(ring.sends(), 0);
    assert!(piece.is_unique());
    ring.cancel_accept(Key(5));
    assert!(now(&mut ring, none()).is_empty());
}

#[test]
fn a_key_that_is_too_long_fails_every_operation() {
    let Some(mut ring) = ring() else { return };
    let group = whole(&mut ring, 1, 8);
    let key = Key(1 << KEY_BITS);
    let server = listener(1).0;
    ring.receive(key, group);
    ring.receive_once(key, group, 0);
    ring.send_copy(key, b"x");
    ring.poll(key, Interest::READABLE);
    ring.accept(key, &server);
    let told = now(&mut ring, none());
    assert_eq!(told.len(), 5);
    for completion in told {
        let errno = match completion.outcome {
            Outcome::Received(result) => result.err(),
            Outcome::Sent(result) => result.err(),
            Outcome::Polled(result) => result.err(),
            Outcome::Accepted(result) => result.err(),
            _ => None,
        };
        assert_eq!((completion.key, errno), (key, Some(Errno::EINVAL)));
    }
    assert_eq!(ring.sends(), 0);
}

#[test]
fn a_ring_belongs_to_the_thread_that_waits_first() {
    let Some(mut ring) = ring() else { return };
    let (near, far) = unix_pair(Kind::STREAM);
    let group = whole(&mut ring, 1, 8);
    ring.receive(Key(0), group);
    far.send_all(b"x").unwrap();
    let mut ring = thread::spawn(move || {
        assert_eq!(received(&next(&mut ring, &[near][..])), b"x");
        ring
    })
    .join()
    .unwrap();
    let error = ring.wait(none(), Some(Duration::ZERO)).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
}

#[test]
fn a_descriptor_is_looked_up_when_the_operation_is_submitted() {
    struct Late(Socket);
    impl Descriptors for Late {
        fn descriptor(&self, key: Key) -> Option<BorrowedFd<'_>> {
            assert_eq!(key, Key(9));
            Some(self.0.as_fd())
        }
    }
    let Some(mut ring) = ring() else { return };
    ring.send_copy(Key(9), b"late");
    let (near, far) = unix_pair(Kind::STREAM);
    assert_sent(&next(&mut ring, &Late(near)), 4);
    assert_eq!(receive(&far), b"late");
}

#[test]
fn a_ring_is_idle_while_nothing_is_prepared_under_way_or_to_be_told() {
    let Some(mut ring) = ring() else { return };
    let group = whole(&mut ring, 4, 64);
    let (near, far) = unix_pair(Kind::STREAM);
    let sockets = [near];
    // Its own waker is prepared from the start.
    assert!(!ring.is_idle());
    ring.wait(&sockets[..], Some(Duration::ZERO)).unwrap();
    assert!(ring.is_idle());

    ring.poll_once(Key(0), Interest::READABLE);
    assert!(!ring.is_idle());
    ring.wait(&sockets[..], Some(Duration::ZERO)).unwrap();
    // A poll moves nothing.
    assert!(ring.is_idle());

    ring.receive(Key(0), group);
    ring.wait(&sockets[..], Some(Duration::ZERO)).unwrap();
    assert!(!ring.is_idle());
    assert_eq!(ring.completions(), 0);
    far.send_all(b"x").unwrap();
    ring.wait(&sockets[..], Some(PATIENCE)).unwrap();
    assert!(ring.completions() >= 1);
    while ring.next().is_some() {}
    assert_eq!(ring.completions(), 0);

    ring.cancel_receive(Key(0), group);
    let ended = loop {
        let completion = next(&mut ring, &sockets[..]);
        if matches!(completion.outcome, Outcome::Received(_)) && !completion.more {
            break completion;
        }
    };
    assert!(matches!(
        ended.outcome,
        Outcome::Received(Err(Errno::ECANCELED))
    ));
    assert!(ring.is_idle());
}
