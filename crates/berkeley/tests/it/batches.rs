//! Many datagrams with one call.

use std::io::IoSlice;
use std::os::fd::AsFd;
use std::time::Duration;

use berkeley::{
    Cmsg, CmsgOut, ControlOut, Errno, Error, Kind, Level, Mode, MsgFlags, OutMessage, RecvBatch,
};

use crate::ancillary::switch;
use crate::support::{assert_takes, assert_timed_out, tcp_pair, udp, unix_pair};

#[test]
fn a_batch_arrives_in_order_with_addresses_and_control_messages() {
    let (a, a_addr) = udp();
    let (b, b_addr) = udp();
    switch(&b, Level::IP, libc::IP_RECVTTL, 1);
    // More than one call takes.
    let texts: Vec<String> = (0..70).map(|index| format!("datagram {index}")).collect();
    let pieces: Vec<_> = texts.iter().map(|t| [IoSlice::new(t.as_bytes())]).collect();
    let controls: Vec<_> = (1..=70)
        .map(|ttl| ControlOut::of(&[CmsgOut::Ttl(ttl)]).unwrap())
        .collect();
    let messages: Vec<_> = pieces
        .iter()
        .zip(&controls)
        .map(|(pieces, control)| OutMessage::new(pieces).to(&b_addr).control(control))
        .collect();
    assert_eq!(a.send_batch(&messages, MsgFlags::NONE).unwrap(), 70);

    let mut batch = RecvBatch::new(50, 64, 64);
    let mut index = 0;
    while index < 70 {
        let count = b.recv_batch(&mut batch, MsgFlags::NONE).unwrap();
        assert_eq!((count, batch.len()), (batch.messages().count(), count));
        for mut message in batch.messages() {
            assert_eq!(message.data(), texts[index].as_bytes());
            assert_eq!(message.addr(), Some(a_addr.clone()));
            assert!(!message.is_truncated() && !message.is_control_truncated());
            let ttl = message.control().next();
            assert!(matches!(ttl, Some(Cmsg::Ttl(ttl)) if usize::from(ttl) == index + 1));
            index += 1;
        }
    }
    assert_eq!(index, 70);
}

#[test]
fn truncation_is_told_for_each_message() {
    let (a, _) = udp();
    let (b, b_addr) = udp();
    for text in [&b"short"[..], b"much too long", b""] {
        a.send_to(text, MsgFlags::NONE, &b_addr).unwrap();
    }
    let mut batch = RecvBatch::new(4, 5, 0);
    assert_eq!(b.recv_batch(&mut batch, MsgFlags::TRUNC).unwrap(), 3);
    let seen: Vec<_> = batch
        .messages()
        .map(|m| (m.data().to_vec(), m.len(), m.is_truncated(), m.is_empty()))
        .collect();
    assert_eq!(
        seen,
        [
            (b"short".to_vec(), 5, false, false),
            (b"much ".to_vec(), 13, true, false),
            (b"".to_vec(), 0, false, true),
        ]
    );
}

#[test]
fn a_batch_waits_for_its_first_message_only_and_not_beyond_the_limit() {
    let (a, _) = udp();
    let (b, b_addr) = udp();
    let mut batch = RecvBatch::new(8, 16, 0);
    for mode in [Mode::Block, Mode::Within(Duration::from_secs(10))] {
        b.set_mode(mode).unwrap();
        a.send_to(b"one", MsgFlags::NONE, &b_addr).unwrap();
        assert_eq!(b.recv_batch(&mut batch, MsgFlags::NONE).unwrap(), 1);
    }
    let limit = Duration::from_millis(30);
    b.set_mode(Mode::Within(limit)).unwrap();
    assert_takes(limit, || {
        assert_timed_out(b.recv_batch(&mut batch, MsgFlags::NONE));
    });
    assert!(batch.is_empty(), "what was before is forgotten");
    let error = b.recv_batch(&mut batch, MsgFlags::DONTWAIT).unwrap_err();
    assert!(error.is_would_block());
}

#[test]
fn a_datagram_that_is_refused_ends_the_batch() {
    let (a, _) = udp();
    let (b, b_addr) = udp();
    let long = vec![0; 70_000];
    let pieces = [
        [IoSlice::new(b"one")],
        [IoSlice::new(&long)],
        [IoSlice::new(b"three")],
    ];
    let messages = pieces.each_ref().map(|p| OutMessage::new(p).to(&b_addr));
    assert_eq!(a.send_batch(&messages, MsgFlags::NONE).unwrap(), 1);
    let error = a.send_batch(&messages[1..], MsgFlags::NONE).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EMSGSIZE));
    assert_eq!(a.send_batch(&messages[2..], MsgFlags::NONE).unwrap(), 1);
    let mut batch = RecvBatch::new(8, 16, 0);
    assert_eq!(b.recv_batch(&mut batch, MsgFlags::NONE).unwrap(), 2);
}

#[test]
fn a_full_queue_ends_the_batch_where_it_would_wait() {
    let (a, b) = unix_pair(Kind::DGRAM);
    a.set_mode(Mode::NonBlock).unwrap();
    let page = vec![7; 1024];
    let piece = [IoSlice::new(&page)];
    let messages = vec![OutMessage::new(&piece); 5000];
    let sent = a.send_batch(&messages, MsgFlags::NONE).unwrap();
    assert!(0 < sent && sent < 5000, "{sent}");
    assert!(
        a.send_batch(&messages, MsgFlags::NONE)
            .unwrap_err()
            .is_would_block()
    );
    let mut batch = RecvBatch::new(100, 1024, 0);
    b.set_mode(Mode::NonBlock).unwrap();
    let mut came = 0;
    while let Ok(count) = b.recv_batch(&mut batch, MsgFlags::NONE) {
        assert!(batch.messages().all(|message| message.data() == page));
        came += count;
    }
    assert_eq!(came, sent);
}

#[test]
fn descriptors_in_a_batch_are_owned() {
    let (a, b) = unix_pair(Kind::DGRAM);
    let pieces = [IoSlice::new(b"x")];
    let fds = [a.as_fd()];
    let control = ControlOut::of(&[CmsgOut::Rights(&fds)]).unwrap();
    let messages = [OutMessage::new(&pieces).control(&control); 3];
    assert_eq!(a.send_batch(&messages, MsgFlags::NONE).unwrap(), 3);
    let mut batch = RecvBatch::new(3, 4, 64);
    assert_eq!(b.recv_batch(&mut batch, MsgFlags::NONE).unwrap(), 3);
    let mut taken = Vec::new();
    for mut message in batch.messages() {
        for item in message.control() {
            let Cmsg::Rights(fds) = item else {
                panic!("{item:?}");
            };
            taken.extend(fds);
        }
    }
    assert_eq!(taken.len(), 3);
    batch.clear();
    assert!(taken.iter().all(crate::support::is_close_on_exec));
}

#[test]
fn a_stream_has_no_batches_and_no_batch_has_no_messages() {
    let (a, _b) = tcp_pair();
    let pieces = [IoSlice::new(b"x")];
    let error = a
        .send_batch(&[OutMessage::new(&pieces)], MsgFlags::NONE)
        .unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    let (socket, _) = udp();
    assert_eq!(socket.send_batch(&[], MsgFlags::NONE).unwrap(), 0);
}
