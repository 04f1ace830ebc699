//! What the error queue tells.

use berkeley::selector::Interest;
use berkeley::{Errno, ErrorOrigin, Family, Kind, Level, Mode, MsgFlags, Protocol, Socket};

use crate::ancillary::switch;
use crate::support::{PATIENCE, await_ready, has_ipv6, inet, udp};

#[test]
fn an_empty_queue_has_nothing_and_does_not_wait() {
    let (socket, _) = udp();
    assert_eq!(socket.recv_error(&mut [0; 4]).unwrap(), None);
}

#[test]
fn a_datagram_that_met_nobody_is_told_with_its_data_and_where_it_went() {
    for (any, name, level) in [
        ("127.0.0.1:0", libc::IP_RECVERR, Level::IP),
        ("[::1]:0", libc::IPV6_RECVERR, Level::IPV6),
    ] {
        let any = inet(any);
        if any.family() == Family::INET6 && !has_ipv6() {
            return;
        }
        let make = || {
            let socket = Socket::new(any.family(), Kind::DGRAM, Protocol::DEFAULT).unwrap();
            socket.bind(&any).unwrap();
            socket
        };
        let nobody = make().local_addr().unwrap();
        let socket = make();
        switch(&socket, level, name, 1);
        socket
            .send_to(b"anybody there?", MsgFlags::NONE, &nobody)
            .unwrap();
        await_ready(&socket, Interest::READABLE);
        let mut buf = [0; 64];
        let queued = socket.recv_error(&mut buf).unwrap().unwrap();
        let error = queued.error.unwrap();
        assert_eq!(error.errno, Errno::ECONNREFUSED);
        let (origin, kind, code) = match any.family() {
            // RFC 792 and RFC 4443 §3.1: destination unreachable, port unreachable.
            Family::INET => (ErrorOrigin::ICMP, 3, 3),
            _ => (ErrorOrigin::ICMP6, 1, 4),
        };
        assert_eq!((error.origin, error.kind, error.code), (origin, kind, code));
        assert_eq!(
            error.offender.as_ref().and_then(berkeley::Addr::ip),
            any.ip()
        );
        assert_eq!((error.path_mtu(), error.zero_copy()), (None, None));
        assert_eq!(queued.destination, Some(nobody));
        assert_eq!(&buf[..queued.len], b"anybody there?");
        assert!(!queued.is_truncated);
        assert_eq!(socket.recv_error(&mut buf).unwrap(), None);
    }
}

#[test]
fn a_datagram_that_the_path_does_not_take_tells_what_it_takes() {
    let (socket, addr) = udp();
    let (_peer, to) = udp();
    switch(&socket, Level::IP, libc::IP_RECVERR, 1);
    switch(
        &socket,
        Level::IP,
        libc::IP_MTU_DISCOVER,
        libc::IP_PMTUDISC_DO,
    );
    socket.connect(&to).unwrap();
    let mut mtu = [0; 4];
    socket.get_raw(Level::IP, libc::IP_MTU, &mut mtu).unwrap();
    let mtu = u32::from_ne_bytes(mtu);
    let long = vec![0; 65_507];
    if usize::try_from(mtu).unwrap() >= long.len() + 28 {
        eprintln!("skipped: needs a loopback that takes less than {mtu} bytes");
        return;
    }
    let error = socket.send(&long, MsgFlags::NONE).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EMSGSIZE));
    let queued = socket.recv_error(&mut [0; 64]).unwrap().unwrap();
    assert_eq!(queued.error.as_ref().unwrap().path_mtu(), Some(mtu));
    assert_eq!(queued.error.unwrap().origin, ErrorOrigin::LOCAL);
    drop(addr);
}

#[test]
fn the_time_of_sending_is_told() {
    let (socket, _) = udp();
    let (_peer, to) = udp();
    let which = libc::SOF_TIMESTAMPING_TX_SOFTWARE
        | libc::SOF_TIMESTAMPING_SOFTWARE
        | libc::SOF_TIMESTAMPING_OPT_ID;
    switch(
        &socket,
        Level::SOCKET,
        libc::SO_TIMESTAMPING,
        i32::try_from(which).unwrap(),
    );
    socket.set_mode(Mode::Within(PATIENCE)).unwrap();
    for number in 0..2 {
        socket.send_to(b"data", MsgFlags::NONE, &to).unwrap();
        await_ready(&socket, Interest::READABLE);
        let queued = socket.recv_error(&mut [0; 64]).unwrap().unwrap();
        let error = queued.error.unwrap();
        assert_eq!(error.origin, ErrorOrigin::TIMESTAMPING);
        assert_eq!(error.data, number, "which packet");
        assert!(queued.timestamps.unwrap().software.is_some());
        assert!(error.zero_copy().is_none());
    }
}
