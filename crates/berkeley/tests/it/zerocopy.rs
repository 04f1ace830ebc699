//! Sending without copying.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use berkeley::{Deadline, Error, Family, Kind, Level, Mode, Protocol, Socket, ZeroCopySender};

use crate::support::{PATIENCE, drain, receive, tcp_pair, udp, unix_pair};

fn soon() -> Deadline {
    Deadline::within(PATIENCE)
}

#[test]
fn a_buffer_comes_back_when_the_kernel_has_let_go_of_it() {
    let (a, b) = tcp_pair();
    let reader = thread::spawn(move || drain(&b));
    let mut sender = ZeroCopySender::new(a).unwrap();
    let page: Arc<[u8]> = vec![7; 3_000_000].into();
    for _time in 0..3 {
        sender.send_all(Arc::clone(&page)).unwrap();
    }
    for _time in 0..3 {
        let done = sender.wait_completed(soon()).unwrap().unwrap();
        assert!(Arc::ptr_eq(&done.buffer, &page));
        assert!(done.is_copied, "loopback copies");
    }
    assert_eq!(sender.pending(), 0);
    assert_eq!(sender.wait_completed(soon()).unwrap(), None);
    assert_eq!(Arc::strong_count(&page), 1);
    drop(sender.into_socket());
    assert_eq!(reader.join().unwrap(), 9_000_000);
}

#[test]
fn datagrams_go_too() {
    let (a, _) = udp();
    let (b, b_addr) = udp();
    let mut sender = ZeroCopySender::new(a).unwrap();
    sender.send_to(vec![1; 3000], &b_addr).unwrap();
    sender.send_to(vec![2; 3000], &b_addr).unwrap();
    assert_eq!(receive(&b), vec![1; 3000]);
    assert_eq!(receive(&b), vec![2; 3000]);
    sender.finish(soon()).unwrap();
    assert_eq!(sender.pending(), 0);
}

#[test]
fn an_empty_buffer_is_back_at_once() {
    let (a, b) = udp();
    let mut sender = ZeroCopySender::new(a).unwrap();
    sender.send_to(Vec::new(), &b).unwrap();
    let done = sender.take_completed().unwrap().unwrap();
    assert_eq!((done.buffer.len(), done.is_copied), (0, true));
}

#[test]
fn a_buffer_that_is_out_is_not_freed_with_its_sender() {
    let (a, _b) = tcp_pair();
    let socket = a;
    socket
        .set_mode(Mode::Within(Duration::from_millis(20)))
        .unwrap();
    let mut sender = ZeroCopySender::new(socket).unwrap();
    let page: Arc<[u8]> = vec![7; 8 << 20].into();
    // Nobody reads, so a part of it stays.
    let error = sender.send_all(Arc::clone(&page)).unwrap_err();
    assert!(
        matches!(error, Error::Partial { sent, .. } if sent > 0),
        "{error}"
    );
    let is_out = sender.take_completed().unwrap().is_none();
    drop(sender);
    assert_eq!(Arc::strong_count(&page) == 2, is_out);
}

#[test]
fn the_limit_ends_the_wait_for_a_buffer() {
    // Packets that leave this machine are not copied; here a reader that does not read does it.
    let (a, _b) = tcp_pair();
    a.set_mode(Mode::Within(Duration::from_millis(20))).unwrap();
    let mut sender = ZeroCopySender::new(a).unwrap();
    let _partial = sender.send_all(vec![7; 8 << 20]).unwrap_err();
    let limit = Deadline::within(Duration::from_millis(20));
    match sender.wait_completed(limit) {
        Err(error) => assert!(error.is_timed_out(), "{error}"),
        Ok(done) => assert!(done.unwrap().is_copied),
    }
}

#[test]
fn a_socket_whose_sends_are_counted_elsewhere_is_refused() {
    let (a, _b) = tcp_pair();
    let sender = ZeroCopySender::<Vec<u8>>::new(a).unwrap();
    let error = ZeroCopySender::<Vec<u8>>::new(sender.into_socket()).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    let (a, _b) = unix_pair(Kind::STREAM);
    assert!(
        ZeroCopySender::<Vec<u8>>::new(a)
            .unwrap_err()
            .errno()
            .is_some()
    );
}

#[test]
fn other_entries_of_the_error_queue_are_kept() {
    let gone = udp().1;
    let socket = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT).unwrap();
    crate::ancillary::switch(&socket, Level::IP, libc::IP_RECVERR, 1);
    let mut sender = ZeroCopySender::new(socket).unwrap();
    sender.send_to(vec![1; 2000], &gone).unwrap();
    sender.finish(soon()).unwrap();
    assert!(sender.take_completed().unwrap().is_none());
    let others: Vec<_> = sender.take_others().collect();
    assert_eq!(others.len(), 1);
    assert!(others[0].error.is_some());
}
