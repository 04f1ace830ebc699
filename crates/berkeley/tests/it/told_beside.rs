//! What messages tell beside their data where an option asks for it: marks, priorities, bytes
//! left, figures of a connection, and what one family has. What this kernel lacks is skipped.

use std::io::{IoSlice, IoSliceMut};

use berkeley::opt::TimestampingFlags;
use berkeley::selector::Interest;
use berkeley::{
    Addr, Cmsg, CmsgOut, ControlBuf, ControlOut, Errno, EtherType, Family, Kind, Mode, MsgFlags,
    NetlinkAddr, OutMessage, PacketAddr, Protocol, Result, Socket, TcpStats, opt,
};

use crate::support::{
    PATIENCE, await_readable, await_ready, has_ipv6, inet, tcp_pair, udp, unix_pair,
};

/// Receives one message and hands each control message to `look`.
fn look(socket: &Socket, flags: MsgFlags, mut look: impl FnMut(Cmsg<'_>)) -> usize {
    let mut control = ControlBuf::with_capacity(1024);
    let mut buf = [0; 2048];
    let mut buffers = [IoSliceMut::new(&mut buf)];
    let mut message = socket
        .recv_message(&mut buffers, &mut control, flags)
        .unwrap();
    assert!(!message.is_control_truncated());
    message.control().for_each(&mut look);
    message.len()
}

fn send(socket: &Socket, addr: &Addr, items: &[CmsgOut<'_>]) -> Result<usize> {
    let control = ControlOut::of(items).unwrap();
    let pieces = [IoSlice::new(b"data")];
    let message = OutMessage::new(&pieces).to(addr).control(&control);
    socket.send_message(&message, MsgFlags::NONE)
}

/// True if the option is there; else says why the test is not done.
fn is_here<T>(result: Result<T>, what: &str) -> bool {
    if let Err(error) = &result {
        eprintln!("skipped: needs {what}: {error}");
    }
    result.is_ok()
}

#[test]
fn a_packet_tells_its_mark_and_its_priority() {
    let (a, _) = udp();
    let (b, addr) = udp();
    if !is_here(b.set(opt::RecvPriority, true), "SO_RCVPRIORITY, Linux 6.14")
        || !is_here(b.set(opt::RecvMark, true), "SO_RCVMARK")
    {
        return;
    }
    match send(&a, &addr, &[CmsgOut::Priority(5), CmsgOut::Mark(0x4d)]) {
        Err(error) if error.errno() == Some(Errno::EPERM) => {
            return eprintln!("skipped: a mark needs CAP_NET_RAW");
        }
        sent => assert_eq!(sent.unwrap(), 4),
    }
    let (mut marks, mut priorities) = (Vec::new(), Vec::new());
    look(&b, MsgFlags::NONE, |item| match item {
        Cmsg::Mark(mark) => marks.push(mark),
        Cmsg::Priority(priority) => priorities.push(priority),
        other => panic!("{other:?}"),
    });
    // What has been sent keeps its priority over loopback; its mark is taken off on the way.
    assert_eq!((marks.len(), priorities), (1, vec![5]));
}

#[test]
fn a_stream_tells_how_much_is_left() {
    let mut pairs = Vec::new();
    let (a, b) = tcp_pair();
    if is_here(b.set(opt::tcp::Inq, true), "TCP_INQ") {
        pairs.push((a, b));
    }
    let (a, b) = unix_pair(Kind::STREAM);
    if is_here(b.set(opt::Inq, true), "SO_INQ, Linux 6.17") {
        pairs.push((a, b));
    }
    for (a, b) in pairs {
        a.send_all(&[7; 3000]).unwrap();
        // All of it has to be there before what is left can be told.
        while b.unread().unwrap() < 3000 {
            await_readable(&b);
        }
        let mut left = Vec::new();
        let len = look(&b, MsgFlags::NONE, |item| match item {
            Cmsg::Unread(bytes) => left.push(bytes),
            other => panic!("{other:?}"),
        });
        assert_eq!((len, left), (2048, vec![3000 - 2048]));
    }
}

#[test]
fn a_time_of_sending_comes_with_figures_of_the_connection() {
    let (a, b) = tcp_pair();
    let flags = TimestampingFlags::TX_ACK
        | TimestampingFlags::SOFTWARE
        | TimestampingFlags::OPT_ID
        | TimestampingFlags::OPT_TSONLY
        | TimestampingFlags::OPT_STATS;
    if !is_here(
        a.set(opt::Timestamping, flags),
        "SOF_TIMESTAMPING_OPT_STATS",
    ) {
        return;
    }
    a.send_all(&[7; 1000]).unwrap();
    let mut all = [0; 1000];
    assert_eq!(b.recv_into(&mut all, MsgFlags::WAITALL).unwrap(), 1000);
    b.send_all(b"so that it is acknowledged").unwrap();
    await_ready(&a, Interest::READABLE);
    let mut found = None;
    look(&a, MsgFlags::ERRQUEUE, |item| {
        if let Cmsg::TimestampStats(attributes) = item {
            found = Some(TcpStats::of(attributes));
        }
    });
    let stats = found.expect("no figures");
    assert_eq!(stats.bytes_sent, Some(1000), "{stats:?}");
    assert!(
        stats.send_window.unwrap() > 0 && stats.rtt_us.is_some(),
        "{stats:?}"
    );
    assert_eq!(stats.bytes_retransmitted, Some(0), "{stats:?}");
}

#[test]
fn a_time_of_sending_has_the_number_that_was_given() {
    let (a, addr) = udp();
    let flags = TimestampingFlags::SOFTWARE | TimestampingFlags::OPT_ID;
    let flags = flags | TimestampingFlags::OPT_TSONLY;
    a.set(opt::Timestamping, flags).unwrap();
    let items = [
        CmsgOut::TransmitTimestamps(TimestampingFlags::TX_SOFTWARE.raw().cast_unsigned()),
        CmsgOut::TimestampKey(0xdead_beef),
    ];
    if !is_here(send(&a, &addr, &items), "SCM_TS_OPT_ID, Linux 6.13") {
        return;
    }
    await_ready(&a, Interest::READABLE);
    let mut numbers = Vec::new();
    look(&a, MsgFlags::ERRQUEUE, |item| {
        if let Cmsg::ExtendedError(error) = item {
            numbers.push(error.data);
        }
    });
    assert_eq!(numbers, [0xdead_beef]);
}

#[test]
fn an_ipv6_datagram_tells_its_flow() {
    if !has_ipv6() {
        return eprintln!("skipped: needs IPv6");
    }
    let make = || {
        let socket = Socket::new(Family::INET6, Kind::DGRAM, Protocol::DEFAULT).unwrap();
        socket.bind(&inet("[::1]:0")).unwrap();
        socket.set_mode(Mode::Within(PATIENCE)).unwrap();
        socket
    };
    let (a, b) = (make(), make());
    b.set(opt::ipv6::RecvFlowInfo, true).unwrap();
    let to = b.local_addr().unwrap();
    send(
        &a,
        &to,
        &[
            CmsgOut::FlowInfo(0x0003_4567),
            CmsgOut::TrafficClass(0x12),
            CmsgOut::DontFragment(true),
        ],
    )
    .unwrap();
    let mut flows = Vec::new();
    look(&b, MsgFlags::NONE, |item| match item {
        Cmsg::FlowInfo(flow) => flows.push(flow),
        other => panic!("{other:?}"),
    });
    assert_eq!(flows, [0x0123_4567]);
}

#[test]
fn a_datagram_tells_the_size_of_its_fragments() {
    let (a, _) = udp();
    let (b, addr) = udp();
    a.set(opt::ip::MtuDiscover, opt::ip::MtuDiscovery::DONT)
        .unwrap();
    b.set(opt::ip::RecvFragmentSize, true).unwrap();
    b.set(opt::ip::Checksum, true).unwrap();
    // Loopback takes packets of 64 KiB whole, so nothing is cut here: no size is told.
    send(&a, &addr, &[]).unwrap();
    look(&b, MsgFlags::NONE, |item| {
        assert!(
            matches!(item, Cmsg::Checksum(_) | Cmsg::FragmentSize(0)),
            "{item:?}"
        );
    });
}

#[test]
fn a_frame_tells_its_lengths() {
    let all = Protocol::ethernet(EtherType::IP);
    let frames = match Socket::new(Family::PACKET, Kind::DGRAM, all) {
        Ok(frames) => frames,
        Err(error) => return eprintln!("skipped: needs CAP_NET_RAW: {error}"),
    };
    frames.set(opt::packet::AuxData, true).unwrap();
    frames.bind(loopback()).unwrap();
    frames.set_mode(Mode::Within(PATIENCE)).unwrap();
    let (a, _) = udp();
    let (_b, addr) = udp();
    // Other tests send over loopback too: this one is told by its length.
    a.send_to(&[9; 1777], MsgFlags::NONE, &addr).unwrap();
    // The headers of IPv4 and UDP, and the data.
    let expected = 20 + 8 + 1777;
    loop {
        let mut aux = None;
        let len = look(&frames, MsgFlags::NONE, |item| {
            if let Cmsg::PacketAux(found) = item {
                aux = Some(found);
            }
        });
        let aux = aux.expect("no lengths");
        if len == expected {
            assert_eq!((aux.len, aux.captured), (1805, 1805));
            assert_eq!((aux.vlan_tci, aux.vlan_tpid), (None, None));
            break;
        }
    }
}

fn loopback() -> PacketAddr {
    let interface = berkeley::interfaces::if_nametoindex("lo").unwrap();
    PacketAddr::new(interface, EtherType::IP)
}

#[test]
fn a_message_of_netlink_tells_its_group() {
    const GROUP: u32 = 31;
    let make = || Socket::new(Family::NETLINK, Kind::DGRAM, Protocol::NETLINK_USERSOCK);
    let (Ok(a), Ok(b)) = (make(), make()) else {
        return eprintln!("skipped: needs NETLINK_USERSOCK");
    };
    b.bind(NetlinkAddr { pid: 0, groups: 0 }).unwrap();
    b.set_mode(Mode::Within(PATIENCE)).unwrap();
    if !is_here(b.set(opt::netlink::AddMembership, GROUP), "CAP_NET_ADMIN") {
        return;
    }
    b.set(opt::netlink::PacketInfo, true).unwrap();
    let group = NetlinkAddr {
        pid: 0,
        groups: 1 << (GROUP - 1),
    };
    if !is_here(a.send_to(b"news", MsgFlags::NONE, group), "CAP_NET_ADMIN") {
        return;
    }
    let mut groups = Vec::new();
    look(&b, MsgFlags::NONE, |item| match item {
        Cmsg::NetlinkGroup(group) => groups.push(group),
        other => panic!("{other:?}"),
    });
    assert_eq!(groups, [GROUP]);
}

#[test]
fn a_header_of_ones_own_can_be_sent_for_its_protocol() {
    const PROTOCOL: u8 = 253;
    let own = Protocol::from_raw(PROTOCOL.into());
    let listener = match Socket::new(Family::INET, Kind::RAW, own) {
        Ok(listener) => listener,
        Err(error) => return eprintln!("skipped: needs CAP_NET_RAW: {error}"),
    };
    listener.set_mode(Mode::Within(PATIENCE)).unwrap();
    let sender = Socket::new(Family::INET, Kind::RAW, Protocol::RAW).unwrap();
    let mut packet = [0; 24];
    packet[..4].copy_from_slice(&[0x45, 0, 0, 24]);
    packet[8..10].copy_from_slice(&[64, PROTOCOL]);
    packet[16..].copy_from_slice(&[127, 0, 0, 1, b'd', b'a', b't', b'a']);
    let to = inet("127.0.0.1:0");
    let control = ControlOut::of(&[CmsgOut::Protocol(PROTOCOL)]).unwrap();
    let pieces = [IoSlice::new(&packet)];
    let message = OutMessage::new(&pieces).to(&to).control(&control);
    if !is_here(
        sender.send_message(&message, MsgFlags::NONE),
        "IP_PROTOCOL, Linux 6.4",
    ) {
        return;
    }
    let mut found = [0; 64];
    let len = listener.recv_into(&mut found, MsgFlags::NONE).unwrap();
    assert_eq!(
        (len, found[9], &found[20..len]),
        (24, PROTOCOL, &b"data"[..])
    );
    // Zero is no protocol.
    let control = ControlOut::of(&[CmsgOut::Protocol(0)]).unwrap();
    let message = OutMessage::new(&pieces).to(&to).control(&control);
    let refused = sender.send_message(&message, MsgFlags::NONE).unwrap_err();
    assert_eq!(refused.errno(), Some(Errno::EINVAL));
}
