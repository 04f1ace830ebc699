//! UDP segmentation offload and coalescing.

use std::time::Duration;

use berkeley::{Errno, Error, Level, Mode, MsgFlags, RecvBatch};

use crate::ancillary::switch;
use crate::support::{receive, udp};

#[test]
fn one_call_sends_many_datagrams() {
    let (a, _) = udp();
    let (b, b_addr) = udp();
    let data: Vec<u8> = (0..250).collect();
    assert_eq!(
        a.send_segmented(&data, 100, Some(&b_addr), MsgFlags::NONE)
            .unwrap(),
        250
    );
    for segment in data.chunks(100) {
        assert_eq!(receive(&b), segment);
    }
    assert!(a.is_segmentation_offloaded());
}

#[test]
fn more_than_one_call_takes_goes_with_several() {
    let (a, _) = udp();
    let (b, b_addr) = udp();
    a.connect(&b_addr).unwrap();
    switch(&b, Level::SOCKET, libc::SO_RCVBUFFORCE, 1 << 22);
    let data = vec![9; 300 * 7 + 3];
    let sent = a.send_segmented(&data, 7, None, MsgFlags::NONE).unwrap();
    assert_eq!(sent, data.len());
    for _segment in 0..300 {
        assert_eq!(receive(&b).len(), 7);
    }
    assert_eq!(receive(&b).len(), 3);
}

#[test]
fn where_the_kernel_cannot_cut_the_datagrams_go_one_by_one_ever_after() {
    let (a, _) = udp();
    let (b, b_addr) = udp();
    // Without checksums there is no offload: EINVAL.
    switch(&a, Level::SOCKET, libc::SO_NO_CHECK, 1);
    let sent = a.send_segmented(b"aabbc", 2, Some(&b_addr), MsgFlags::NONE);
    assert_eq!(sent.unwrap(), 5);
    assert!(!a.is_segmentation_offloaded());
    switch(&a, Level::SOCKET, libc::SO_NO_CHECK, 0);
    a.send_segmented(b"dd", 1, Some(&b_addr), MsgFlags::NONE)
        .unwrap();
    assert!(!a.is_segmentation_offloaded());
    for segment in [&b"aa"[..], b"bb", b"c", b"d", b"d"] {
        assert_eq!(receive(&b), segment);
    }
}

#[test]
fn an_error_that_is_no_refusal_of_the_offload_does_not_turn_it_off() {
    let (a, _) = udp();
    let error = a
        .send_segmented(b"aabb", 2, None, MsgFlags::NONE)
        .unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EDESTADDRREQ));
    assert!(a.is_segmentation_offloaded());
    let error = a.send_segmented(b"x", 0, None, MsgFlags::NONE).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

#[test]
fn no_data_are_one_empty_datagram() {
    let (a, _) = udp();
    let (b, b_addr) = udp();
    let sent = a.send_segmented(b"", 10, Some(&b_addr), MsgFlags::NONE);
    assert_eq!(sent.unwrap(), 0);
    assert_eq!(receive(&b), b"");
}

#[test]
fn coalesced_datagrams_are_split_again() {
    let (a, a_addr) = udp();
    let (b, b_addr) = udp();
    switch(&b, Level::UDP, libc::UDP_GRO, 1);
    let data: Vec<u8> = (0..250).collect();
    let mut room = vec![0; 1 << 16];
    let mut split = Vec::new();
    a.send_segmented(&data, 100, Some(&b_addr), MsgFlags::NONE)
        .unwrap();
    while split.len() < 3 {
        let came = b.recv_segmented(&mut room, MsgFlags::NONE).unwrap();
        assert_eq!(came.addr, Some(a_addr.clone()));
        assert!(!came.is_truncated);
        split.extend(came.segments().map(<[u8]>::to_vec));
    }
    assert_eq!(split, data.chunks(100).collect::<Vec<_>>());
    // A datagram that came alone.
    a.send_to(b"alone", MsgFlags::NONE, &b_addr).unwrap();
    let came = b.recv_segmented(&mut room, MsgFlags::NONE).unwrap();
    assert_eq!(came.segments().collect::<Vec<_>>(), [b"alone"]);
}

#[test]
fn a_batch_splits_too() {
    let (a, _) = udp();
    let (b, b_addr) = udp();
    switch(&b, Level::UDP, libc::UDP_GRO, 1);
    b.set_mode(Mode::Within(Duration::from_secs(10))).unwrap();
    let mut batch = RecvBatch::new(4, 1 << 16, 64);
    let mut split = Vec::new();
    a.send_segmented(b"aabbc", 2, Some(&b_addr), MsgFlags::NONE)
        .unwrap();
    while split.len() < 3 {
        b.recv_batch(&mut batch, MsgFlags::NONE).unwrap();
        for mut message in batch.messages() {
            split.extend(message.segments().map(<[u8]>::to_vec));
        }
    }
    assert_eq!(split, [&b"aa"[..], b"bb", b"c"]);
}
