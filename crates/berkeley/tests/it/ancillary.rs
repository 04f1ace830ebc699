//! Control messages, both ways.

use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant, SystemTime};

use berkeley::{
    Addr, AlgOperation, Cmsg, CmsgOut, ControlBuf, ControlOut, ControlSpace, Ecn, Errno, Error,
    Family, Kind, Level, Mode, MsgFlags, OutMessage, PacketInfo, PacketInfo6, Protocol, Socket,
    control_len, control_space, opt,
};

use crate::support::{
    PATIENCE, assert_takes, assert_timed_out, has_ipv6, inet, receive, send_until_timed_out,
    tcp_pair, udp, unix_pair,
};

/// Turns an option on that has no type here.
pub(crate) fn switch(socket: &Socket, level: Level, name: i32, value: i32) {
    socket.set_raw(level, name, &value.to_ne_bytes()).unwrap();
}

fn udp6() -> (Socket, Addr) {
    let socket = Socket::new(Family::INET6, Kind::DGRAM, Protocol::DEFAULT).unwrap();
    socket.bind(&inet("[::1]:0")).unwrap();
    socket.set_mode(Mode::Within(PATIENCE)).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// Sends one datagram with these control messages.
fn send(socket: &Socket, addr: &Addr, items: &[CmsgOut<'_>]) {
    let control = ControlOut::of(items).unwrap();
    let pieces = [IoSlice::new(b"da"), IoSlice::new(b"ta")];
    let message = OutMessage::new(&pieces).to(addr).control(&control);
    assert_eq!(socket.send_message(&message, MsgFlags::NONE).unwrap(), 4);
}

/// Receives one datagram and hands each control message to `look`; all of them must be known.
fn look(socket: &Socket, mut look: impl FnMut(Cmsg<'_>)) {
    let mut control = ControlBuf::with_capacity(512);
    let mut buf = [0; 16];
    let mut buffers = [IoSliceMut::new(&mut buf)];
    let mut message = socket
        .recv_message(&mut buffers, &mut control, MsgFlags::NONE)
        .unwrap();
    assert_eq!((message.len(), message.is_control_truncated()), (4, false));
    for item in message.control() {
        assert!(!matches!(item, Cmsg::Raw { .. }), "{item:?}");
        look(item);
    }
}

#[test]
fn a_message_is_gathered_and_scattered_with_its_sender() {
    let (a, a_addr) = udp();
    let (b, b_addr) = udp();
    send(&a, &b_addr, &[]);
    let (mut one, mut two) = ([0; 3], [0; 3]);
    let mut control = ControlBuf::none();
    let mut buffers = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
    let mut message = b
        .recv_message(&mut buffers, &mut control, MsgFlags::NONE)
        .unwrap();
    assert_eq!((message.len(), message.is_empty()), (4, false));
    assert_eq!(message.addr(), Some(a_addr));
    assert_eq!(message.flags(), MsgFlags::NONE);
    assert!(!message.is_truncated());
    assert_eq!(message.control().count(), 0);
    assert_eq!((&one, &two), (b"dat", b"a\0\0"));
}

#[test]
fn what_does_not_fit_is_told() {
    let (a, _) = udp();
    let (b, b_addr) = udp();
    switch(&b, Level::IP, libc::IP_RECVTTL, 1);
    for _datagram in 0..2 {
        send(&a, &b_addr, &[]);
    }
    let mut buf = [0; 2];
    // Room for less than a header, and for a header with less than its integer.
    let mut space = ControlSpace::<8>::new();
    let mut control = space.buf();
    let message = b
        .recv_message(
            &mut [IoSliceMut::new(&mut buf)],
            &mut control,
            MsgFlags::NONE,
        )
        .unwrap();
    assert!(message.is_truncated() && message.is_control_truncated());
    assert_eq!(message.len(), 2);
    assert_eq!(message.control_bytes(), b"");
    let mut space = ControlSpace::<18>::new();
    let mut control = space.buf();
    let mut message = b
        .recv_message(
            &mut [IoSliceMut::new(&mut buf)],
            &mut control,
            MsgFlags::TRUNC,
        )
        .unwrap();
    assert!(message.is_truncated() && message.is_control_truncated());
    assert_eq!(message.len(), 4, "its real length");
    let item = message.control().next().unwrap();
    assert!(
        matches!(
            item,
            Cmsg::Ttl(_)
                | Cmsg::Raw {
                    kind: libc::IP_TTL,
                    ..
                }
        ),
        "{item:?}"
    );
}

#[test]
fn time_to_live_service_and_interface_of_ipv4_travel_both_ways() {
    let (a, _) = udp();
    let (b, b_addr) = udp();
    for name in [libc::IP_RECVTTL, libc::IP_RECVTOS, libc::IP_PKTINFO] {
        switch(&b, Level::IP, name, 1);
    }
    let info = PacketInfo {
        interface: 0,
        local: Ipv4Addr::new(127, 0, 0, 2),
        destination: Ipv4Addr::UNSPECIFIED,
    };
    let any = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT).unwrap();
    any.bind(&inet("0.0.0.0:0")).unwrap();
    drop(a);
    let items = [
        CmsgOut::Ttl(7),
        CmsgOut::Tos(0xb8 | Ecn::Capable0.bits()),
        CmsgOut::PacketInfo(info),
    ];
    send(&any, &b_addr, &items);
    let mut seen = 0;
    look(&b, |item| {
        seen += 1;
        match item {
            Cmsg::Ttl(ttl) => assert_eq!(ttl, 7),
            Cmsg::Tos(tos) => {
                assert_eq!((tos, item.ecn()), (0xba, Some(Ecn::Capable0)));
            }
            Cmsg::PacketInfo(info) => {
                assert_eq!(info.destination, Ipv4Addr::LOCALHOST);
                assert!(info.interface > 0);
            }
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(seen, 3);
}

#[test]
fn a_datagram_leaves_from_the_address_that_was_asked_for() {
    let (b, b_addr) = udp();
    let any = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT).unwrap();
    any.bind(&inet("0.0.0.0:0")).unwrap();
    let info = PacketInfo {
        interface: 0,
        local: Ipv4Addr::new(127, 0, 0, 9),
        destination: Ipv4Addr::UNSPECIFIED,
    };
    send(&any, &b_addr, &[CmsgOut::PacketInfo(info)]);
    let (_, from) = b.recv_from(&mut [0; 4], MsgFlags::NONE).unwrap();
    assert_eq!(from.unwrap().ip(), Some(info.local.into()));
}

#[test]
fn hop_limit_class_and_interface_of_ipv6_travel_both_ways() {
    if !has_ipv6() {
        return;
    }
    let (a, _) = udp6();
    let (b, b_addr) = udp6();
    for name in [
        libc::IPV6_RECVHOPLIMIT,
        libc::IPV6_RECVTCLASS,
        libc::IPV6_RECVPKTINFO,
    ] {
        switch(&b, Level::IPV6, name, 1);
    }
    let items = [
        CmsgOut::HopLimit(9),
        CmsgOut::TrafficClass(Ecn::Congested.bits()),
        CmsgOut::PacketInfo6(PacketInfo6 {
            interface: 0,
            addr: Ipv6Addr::LOCALHOST,
        }),
    ];
    send(&a, &b_addr, &items);
    let mut seen = 0;
    look(&b, |item| {
        seen += 1;
        match item {
            Cmsg::HopLimit(hops) => assert_eq!(hops, 9),
            Cmsg::TrafficClass(3) => assert_eq!(item.ecn(), Some(Ecn::Congested)),
            Cmsg::PacketInfo6(info) => {
                assert_eq!(info.addr, Ipv6Addr::LOCALHOST);
                assert!(info.interface > 0);
            }
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(seen, 3);
}

#[test]
fn the_time_of_arrival_is_told_three_ways() {
    let software = libc::SOF_TIMESTAMPING_RX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
    for (name, value) in [
        (libc::SO_TIMESTAMP, 1),
        (libc::SO_TIMESTAMPNS, 1),
        (libc::SO_TIMESTAMPING, i32::try_from(software).unwrap()),
    ] {
        let (a, _) = udp();
        let (b, b_addr) = udp();
        switch(&b, Level::SOCKET, name, value);
        let mut times = Vec::new();
        // The kernel turns its stamping on behind the caller's back: the first datagrams may
        // come without.
        let start = Instant::now();
        while times.is_empty() && start.elapsed() < PATIENCE {
            send(&a, &b_addr, &[]);
            look(&b, |item| match item {
                Cmsg::Timestamp(time) | Cmsg::TimestampNs(time) => times.push(time),
                Cmsg::Timestamping(stamps) => {
                    assert_eq!(stamps.hardware, None);
                    times.extend(stamps.software);
                }
                other => panic!("{other:?}"),
            });
        }
        let [time] = times[..] else {
            panic!("{times:?}");
        };
        let age = SystemTime::now().duration_since(time).unwrap();
        assert!(age < Duration::from_secs(60), "{age:?}");
    }
}

#[test]
fn the_original_destination_and_lost_packets_are_told() {
    let (a, _) = udp();
    let (b, b_addr) = udp();
    switch(&b, Level::IP, libc::IP_RECVORIGDSTADDR, 1);
    switch(&b, Level::SOCKET, libc::SO_RXQ_OVFL, 1);
    switch(&b, Level::SOCKET, libc::SO_RCVBUF, 1);
    // More than the queue holds, so that some are lost, and one after that which tells.
    for _datagram in 0..100 {
        send(&a, &b_addr, &[]);
    }
    let mut first = true;
    b.set_mode(Mode::NonBlock).unwrap();
    while first || b.recv(&mut [0; 4], MsgFlags::NONE).is_ok() {
        first = false;
    }
    b.set_mode(Mode::Within(PATIENCE)).unwrap();
    send(&a, &b_addr, &[]);
    let (mut dropped, mut original) = (0, None);
    look(&b, |item| match item {
        Cmsg::Dropped(count) => dropped = count,
        Cmsg::OriginalDestination(addr) => original = Some(addr),
        other => panic!("{other:?}"),
    });
    assert!(dropped > 0);
    assert_eq!(original, Some(b_addr));
}

#[test]
fn credentials_travel_and_false_ones_are_checked() {
    let (a, b) = unix_pair(Kind::STREAM);
    switch(&b, Level::SOCKET, libc::SO_PASSCRED, 1);
    let own = a.get(opt::PeerCredentials).unwrap();
    let pieces = [IoSlice::new(b"data")];
    let control = ControlOut::of(&[CmsgOut::Credentials(own)]).unwrap();
    let message = OutMessage::new(&pieces).control(&control);
    a.send_message(&message, MsgFlags::NONE).unwrap();
    let mut seen = None;
    look(&b, |item| match item {
        Cmsg::Credentials(who) => seen = Some(who),
        other => panic!("{other:?}"),
    });
    assert_eq!(seen, Some(own));
    let nobody = opt::Credentials {
        pid: u32::try_from(i32::MAX).unwrap(),
        ..own
    };
    let control = ControlOut::of(&[CmsgOut::Credentials(nobody)]).unwrap();
    let message = OutMessage::new(&pieces).control(&control);
    let error = a.send_message(&message, MsgFlags::NONE).unwrap_err();
    assert!(matches!(error.errno(), Some(Errno::ESRCH | Errno::EPERM)));
}

#[test]
fn a_message_of_an_unknown_type_is_refused_by_the_kernel_and_received_as_bytes() {
    let (a, _) = udp();
    let (b, b_addr) = udp();
    let raw = |kind| CmsgOut::Raw {
        level: Level::IP,
        kind,
        bytes: &[1, 2, 3, 4],
    };
    let control = ControlOut::of(&[raw(9999)]).unwrap();
    let pieces = [IoSlice::new(b"x")];
    let message = OutMessage::new(&pieces).to(&b_addr).control(&control);
    let error = a.send_message(&message, MsgFlags::NONE).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EINVAL));
    // IP_RECVOPTS has no form here: a router alert (RFC 2113) comes as the bytes that it is.
    switch(&b, Level::IP, libc::IP_RECVOPTS, 1);
    let alert = [148, 4, 0, 0];
    a.set_raw(Level::IP, libc::IP_OPTIONS, &alert).unwrap();
    send(&a, &b_addr, &[]);
    let mut control = ControlBuf::with_capacity(64);
    let mut message = b
        .recv_message(&mut [], &mut control, MsgFlags::NONE)
        .unwrap();
    let Some(Cmsg::Raw { level, bytes, .. }) = message.control().next() else {
        panic!("{:?}", message.control_bytes());
    };
    assert_eq!((level, bytes), (Level::IP, &alert[..]));
}

#[test]
fn lengths_and_room_are_checked() {
    assert_eq!((control_len(4), control_space(4)), (Some(20), Some(24)));
    assert_eq!(control_space(0x7fff_ffff), None);
    let mut space = ControlSpace::<40>::new();
    let mut control = space.out();
    control.push(CmsgOut::Ttl(1)).unwrap();
    let error = control.push(CmsgOut::Ttl(2)).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert_eq!(control.as_bytes().len(), 24, "as it was");
    control.clear();
    control.push(CmsgOut::Tos(2)).unwrap();
    assert_eq!(control.as_bytes()[12..20], [1, 0, 0, 0, 2, 0, 0, 0]);
}

#[test]
fn descriptors_are_not_sent_as_raw_numbers() {
    for kind in [libc::SCM_RIGHTS, 4] {
        let raw = CmsgOut::Raw {
            level: Level::SOCKET,
            kind,
            bytes: &0i32.to_ne_bytes(),
        };
        let error = ControlOut::of(&[raw]).unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
}

#[test]
fn what_the_machine_lacks_is_laid_out_as_the_headers_say() {
    let bytes = |item| ControlOut::of(&[item]).unwrap().as_bytes()[8..].to_vec();
    let laid = |level: i32, kind: i32, payload: &[u8]| {
        let mut bytes = [level.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    // linux/if_alg.h: SOL_ALG 279, ALG_SET_IV 2, ALG_SET_OP 3, ALG_SET_AEAD_ASSOCLEN 4.
    assert_eq!(
        bytes(CmsgOut::AlgOperation(AlgOperation::ENCRYPT)),
        laid(279, 3, &[1, 0, 0, 0])
    );
    assert_eq!(
        bytes(CmsgOut::AlgIv(b"0123456789abcdef")),
        laid(279, 2, b"\x10\0\0\x000123456789abcdef")
    );
    assert_eq!(
        bytes(CmsgOut::AlgAssociatedLength(8)),
        laid(279, 4, &[8, 0, 0, 0])
    );
    // linux/tls.h: SOL_TLS 282, TLS_SET_RECORD_TYPE 1.
    assert_eq!(bytes(CmsgOut::TlsRecord(21)), laid(282, 1, &[21]));
    // asm-generic/socket.h: SCM_TXTIME 61, SO_TIMESTAMPING 37.
    assert_eq!(
        bytes(CmsgOut::TransmitTime(5)),
        laid(1, 61, &[5, 0, 0, 0, 0, 0, 0, 0])
    );
    assert_eq!(
        bytes(CmsgOut::TransmitTimestamps(2)),
        laid(1, 37, &[2, 0, 0, 0])
    );
}

#[test]
fn a_message_honours_the_mode_and_the_time_limit() {
    let (socket, _) = udp();
    let mut control = ControlBuf::with_capacity(64);
    let limit = Duration::from_millis(30);
    socket.set_mode(Mode::Within(limit)).unwrap();
    assert_takes(limit, || {
        assert_timed_out(socket.recv_message(&mut [], &mut control, MsgFlags::NONE));
    });
    let dont_wait = socket.recv_message(&mut [], &mut control, MsgFlags::DONTWAIT);
    assert!(dont_wait.unwrap_err().is_would_block());
    // A stream that takes no more.
    let (a, _b) = tcp_pair();
    a.set_mode(Mode::Within(limit)).unwrap();
    let page = vec![0; 1 << 16];
    let pieces = [IoSlice::new(&page)];
    let message = OutMessage::new(&pieces);
    assert_takes(limit, || {
        send_until_timed_out(|| a.send_message(&message, MsgFlags::NONE));
    });
}

#[test]
fn the_end_of_a_stream_has_no_data_and_no_sender() {
    let (a, b) = tcp_pair();
    a.send_all(b"last").unwrap();
    drop(a);
    assert_eq!(receive(&b), b"last");
    let mut control = ControlBuf::none();
    let message = b
        .recv_message(
            &mut [IoSliceMut::new(&mut [0; 4])],
            &mut control,
            MsgFlags::NONE,
        )
        .unwrap();
    assert!(message.is_empty());
    assert_eq!(message.addr(), None);
}
