//! Addresses of every family: bytes, text and the kernel.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr as StdUnixAddr;
use std::path::Path;

use berkeley::{
    Addr, AlgAddr, BluetoothAddr, CanAddr, DeviceAddr, Errno, Error, EtherType, Family,
    HardwareType, Kind, MctpAddr, MsgFlags, NetlinkAddr, PacketAddr, PacketType, Protocol,
    QipcrtrAddr, RxrpcAddr, Socket, TipcAddr, TipcScope, UnixAddr, VsockAddr, XdpAddr,
};
use proptest::prelude::*;

/// A socket of a family that not every kernel has.
fn rare(family: Family, kind: Kind, protocol: Protocol) -> Option<Socket> {
    match Socket::new(family, kind, protocol) {
        Ok(socket) => Some(socket),
        Err(error) => {
            eprintln!("skipped: needs {family:?}: {error}");
            None
        }
    }
}

fn inet6() -> impl Strategy<Value = SocketAddrV6> {
    (any::<[u8; 16]>(), any::<u16>(), any::<u32>(), any::<u32>()).prop_map(
        |(ip, port, flow, scope)| SocketAddrV6::new(Ipv6Addr::from(ip), port, flow, scope),
    )
}

fn inet() -> impl Strategy<Value = SocketAddrV4> {
    (any::<[u8; 4]>(), any::<u16>())
        .prop_map(|(ip, port)| SocketAddrV4::new(Ipv4Addr::from(ip), port))
}

fn unix() -> impl Strategy<Value = UnixAddr> {
    let name = prop::collection::vec(any::<u8>(), 0..108);
    let path = prop::collection::vec(1..=u8::MAX, 1..108);
    prop_oneof![
        Just(UnixAddr::unnamed()),
        name.prop_map(|name| UnixAddr::abstract_name(&name).unwrap()),
        path.prop_map(|path| UnixAddr::path(OsStr::from_bytes(&path)).unwrap()),
    ]
}

fn packet() -> impl Strategy<Value = PacketAddr> {
    let hardware = prop::collection::vec(any::<u8>(), 0..=32);
    (
        any::<u32>(),
        any::<u16>(),
        any::<u16>(),
        any::<u8>(),
        hardware,
    )
        .prop_map(
            |(interface, protocol, hardware_type, packet_type, hardware)| {
                PacketAddr::new(interface, EtherType::from_raw(protocol))
                    .with_hardware_type(HardwareType::from_raw(hardware_type))
                    .with_packet_type(PacketType::from_raw(packet_type))
                    .with_hardware_addr(&hardware)
                    .unwrap()
            },
        )
}

fn can() -> impl Strategy<Value = CanAddr> {
    let numbers = (any::<u32>(), any::<u64>(), any::<u32>(), any::<u8>());
    (0..3, numbers).prop_map(|(form, (interface, name, pgn, addr))| match form {
        0 => CanAddr::Raw { interface },
        1 => CanAddr::Isotp {
            interface,
            rx: pgn,
            tx: !pgn,
        },
        _ => CanAddr::J1939 {
            interface,
            name,
            pgn,
            addr,
        },
    })
}

fn tipc() -> impl Strategy<Value = TipcAddr> {
    let numbers = (any::<u32>(), any::<u32>(), any::<u32>(), any::<i8>());
    (0..3, numbers).prop_map(|(form, (kind, lower, upper, scope))| {
        let scope = TipcScope::from_raw(scope);
        match form {
            0 => TipcAddr::Id {
                node: kind,
                reference: lower,
                scope,
            },
            1 => TipcAddr::Name {
                kind,
                instance: lower,
                domain: upper,
                scope,
            },
            _ => TipcAddr::NameSequence {
                kind,
                lower,
                upper,
                scope,
            },
        }
    })
}

fn bluetooth() -> impl Strategy<Value = BluetoothAddr> {
    let numbers = (any::<[u8; 6]>(), any::<u16>(), any::<u16>(), any::<u8>());
    (0..4, numbers).prop_map(|(form, (device, first, second, third))| {
        let device = DeviceAddr::new(device);
        match form {
            0 => BluetoothAddr::Hci {
                adapter: first,
                channel: second,
            },
            1 => BluetoothAddr::Sco { device },
            2 => BluetoothAddr::Rfcomm {
                device,
                channel: third,
            },
            _ => BluetoothAddr::L2cap {
                device,
                psm: first,
                cid: second,
                device_type: third,
            },
        }
    })
}

fn plain() -> impl Strategy<Value = Addr> {
    let numbers = (any::<u32>(), any::<u32>(), any::<u16>(), any::<u32>());
    (0..5, numbers).prop_map(|(form, (first, second, third, fourth))| {
        let [low, high] = third.to_ne_bytes();
        match form {
            0 => NetlinkAddr {
                pid: first,
                groups: second,
            }
            .into(),
            1 => VsockAddr {
                cid: first,
                port: second,
                flags: low,
            }
            .into(),
            2 => QipcrtrAddr {
                node: first,
                port: second,
            }
            .into(),
            3 => MctpAddr {
                network: first,
                endpoint: low,
                message_type: high,
                tag: low ^ high,
            }
            .into(),
            _ => XdpAddr {
                interface: first,
                queue: second,
                flags: third,
                shared_umem_fd: fourth,
            }
            .into(),
        }
    })
}

fn alg() -> impl Strategy<Value = AlgAddr> {
    (
        "[!-\"$-9;-~]{1,13}",
        "[!-\"$-~]{1,103}",
        any::<u32>(),
        any::<u32>(),
    )
        .prop_map(|(kind, name, features, mask)| {
            AlgAddr::new(&kind, &name)
                .unwrap()
                .with_features(features, mask)
        })
}

fn other() -> impl Strategy<Value = Addr> {
    (46_i32..0xffff, prop::collection::vec(any::<u8>(), 0..=126)).prop_map(|(family, bytes)| {
        Addr::Other {
            family: Family::from_raw(family),
            bytes,
        }
    })
}

/// An address of any family.
fn addr() -> impl Strategy<Value = Addr> {
    prop_oneof![
        inet().prop_map(Addr::from),
        inet6().prop_map(Addr::from),
        unix().prop_map(Addr::from),
        packet().prop_map(Addr::from),
        can().prop_map(Addr::from),
        tipc().prop_map(Addr::from),
        bluetooth().prop_map(Addr::from),
        plain(),
        alg().prop_map(Addr::from),
        (any::<u16>(), inet6()).prop_map(|(service, at)| RxrpcAddr::new(service, at.into()).into()),
        (any::<u16>(), inet()).prop_map(|(service, at)| RxrpcAddr::new(service, at.into()).into()),
        other(),
    ]
}

/// The same without flow information, which text does not carry.
fn without_flow(addr: &Addr) -> Addr {
    let plain = |mut addr: SocketAddrV6| {
        addr.set_flowinfo(0);
        addr
    };
    match addr {
        Addr::Inet6(addr) => plain(*addr).into(),
        Addr::Rxrpc(call) => match call.transport() {
            SocketAddr::V6(addr) => RxrpcAddr::new(call.service(), plain(addr).into()).into(),
            SocketAddr::V4(_) => addr.clone(),
        },
        addr => addr.clone(),
    }
}

proptest! {
    #[test]
    fn every_address_is_read_back_from_its_bytes(addr in addr()) {
        let bytes = addr.to_sockaddr();
        prop_assert!(bytes.len() <= 128);
        let back = Addr::from_sockaddr(&bytes).unwrap();
        prop_assert_eq!(&back, &addr);
        prop_assert_eq!(back.to_sockaddr(), bytes);
        prop_assert_eq!(back.family(), addr.family());
    }

    #[test]
    fn every_address_is_read_back_from_its_text(addr in addr()) {
        let text = addr.to_string();
        let back: Addr = text.parse().map_err(|error| TestCaseError::fail(format!("{error}")))?;
        prop_assert_eq!(back, without_flow(&addr), "{}", text);
    }

    #[test]
    fn a_cut_off_or_overlong_answer_is_an_address_or_none(addr in addr(), more in 0_usize..300) {
        let mut bytes = addr.to_sockaddr();
        for len in 0..bytes.len() {
            let cut = Addr::from_sockaddr(&bytes[..len]);
            prop_assert_eq!(cut.is_some(), len >= 2);
            // What came of it can be shown and sent again.
            if let Some(cut) = cut {
                prop_assert_eq!(cut.family(), addr.family());
                prop_assert!(!cut.to_string().is_empty());
                prop_assert!(Addr::from_sockaddr(&cut.to_sockaddr()).is_some());
            }
        }
        bytes.extend(core::iter::repeat_n(0xa5, more));
        prop_assert!(Addr::from_sockaddr(&bytes).is_some());
    }

    #[test]
    fn any_bytes_and_any_text_are_an_address_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        family in 0_u16..48,
        text in "(unix:|vsock:|alg:|l2cap:|rfcomm:|hci:|sco:|can:|j1939:|packet:|\\[)?\\PC{0,40}",
    ) {
        let mut framed = family.to_ne_bytes().to_vec();
        framed.extend(&bytes);
        if let Some(addr) = Addr::from_sockaddr(&framed) {
            prop_assert_eq!(i32::from(family), addr.family().raw());
            prop_assert!(addr.to_sockaddr().len() <= 128);
            drop(addr.to_string());
        }
        drop(text.parse::<Addr>());
    }
}

#[test]
#[cfg(target_endian = "little")]
fn the_bytes_are_those_of_the_kernels_structures() {
    for (text, expected) in [
        ("192.0.2.1:80", "0200 0050 c0000201 0000000000000000"),
        (
            "[fe80::1%3]:80",
            "0a00 0050 00000000 fe800000000000000000000000000001 03000000",
        ),
        ("/a", "0100 2f6100"),
        ("@a", "0100 0061"),
        ("(unnamed)", "0100"),
        ("netlink:7:0x11", "1000 0000 07000000 11000000"),
        (
            "packet:7:0x0806:1:4:01-02-03-04-05-06",
            "1100 0806 07000000 0100 04 06 0102030405060000",
        ),
        ("vsock:host:1024", "2800 0000 00040000 02000000 00000000"),
        ("can:1", "1d00 0000 01000000"),
        (
            "isotp:1:2:0x80000003",
            "1d00 0000 01000000 02000000 03000080",
        ),
        (
            "j1939:1:2:3:4",
            "1d00 0000 01000000 0200000000000000 03000000 04000000",
        ),
        ("tipc-name:1:2:3:2", "1e00 02 02 01000000 02000000 03000000"),
        (
            "tipc-names:1:2:3:-3",
            "1e00 01 fd 01000000 02000000 03000000",
        ),
        ("tipc-id:5:6:3", "1e00 03 03 06000000 05000000 00000000"),
        (
            "l2cap:00:11:22:33:44:55:0x1001:0x40:1",
            "1f00 0110 554433221100 4000 01 00",
        ),
        ("rfcomm:00:11:22:33:44:55:3", "1f00 554433221100 03 00"),
        ("hci:1:3", "1f00 0100 0300"),
        ("sco:00:11:22:33:44:55", "1f00 554433221100"),
        ("qrtr:1:2", "2a00 0000 01000000 02000000"),
        ("xdp:3:1:0x2:9", "2c00 0200 03000000 01000000 09000000"),
        ("mctp:1:9:0x7e:8", "2d00 0000 01000000 09 7e 08 00"),
        ("family:99:0102ff", "6300 0102ff"),
    ] {
        let bytes = text.parse::<Addr>().unwrap().to_sockaddr();
        let written: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(written, expected.replace(' ', ""), "{text}");
    }
    let alg = "alg:hash:sha256#0x1,0x2"
        .parse::<Addr>()
        .unwrap()
        .to_sockaddr();
    assert_eq!(alg.len(), 88);
    assert_eq!(&alg[..16], b"\x26\0hash\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(&alg[16..32], b"\x01\0\0\0\x02\0\0\0sha256\0\0");
    let call = "rxrpc:1:127.0.0.1:7000"
        .parse::<Addr>()
        .unwrap()
        .to_sockaddr();
    assert_eq!(call.len(), 36);
    assert_eq!(
        &call[..16],
        b"\x21\0\x01\0\x02\0\x10\0\x02\0\x1b\x58\x7f\0\0\x01"
    );
}

#[test]
fn people_write_addresses_in_shorter_forms_too() {
    for (short, long) in [
        ("vsock:host:7", "vsock:2:7"),
        ("vsock:4294967295:any", "vsock:any:any"),
        ("netlink:5", "netlink:5:0x0"),
        (
            "l2cap:AA:BB:CC:DD:EE:ff:0x1001",
            "l2cap:AA:BB:CC:DD:EE:FF:4097:0:0",
        ),
        ("hci:0", "hci:0:0"),
        ("packet:2:0x0003:1:0:aa-bb", "packet:2:0x0003:1:0:aa-bb"),
        ("/run/x", "/run/x"),
        ("unix:/run/x", "/run/x"),
        ("unix:x", "unix:x"),
        ("@hub", "@hub"),
        ("192.0.2.1:80", "192.0.2.1:80"),
    ] {
        assert_eq!(short.parse::<Addr>().unwrap().to_string(), long, "{short}");
    }
    for (text, why) in [
        ("", "is written 192.0.2.1:80"),
        ("192.0.2.1", "is written 192.0.2.1:80"),
        ("[::1]", "is written"),
        ("[x]:80", "no IPv6 address"),
        ("[fe80::1%no-such-interface]:80", "no interface"),
        ("vsock:2", "its port is missing"),
        ("vsock:2:x", "is no number"),
        ("vsock:2:3:0:9", "is too much"),
        ("netlink:+0x5", "is no number"),
        ("hci:65536", "is no number"),
        ("packet:1:2:3:4:zz", "is no hardware address"),
        ("rfcomm:00:11:22:33:44:5x:3", "no Bluetooth address"),
        ("rfcomm:00", "names no device"),
        ("alg:hash", "its name is missing"),
        ("alg:much-too-long-a-type:x", "is no type"),
        ("family:99:0", "pairs of hexadecimal"),
        ("unix:", "path is empty"),
    ] {
        let error = text.parse::<Addr>().unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn a_zone_is_read_by_its_name_and_by_its_number() {
    let addr: Addr = "[fe80::1%lo]:80".parse().unwrap();
    assert_eq!(addr.to_string(), "[fe80::1%1]:80");
    assert_eq!("[fe80::1%1]:80".parse::<Addr>().unwrap(), addr);
    assert_eq!(
        addr.to_string_with_zones(|_| Some("lo".into())),
        "[fe80::1%lo]:80"
    );
    assert_eq!(addr.to_string_with_zones(|_| None), "[fe80::1%1]:80");
    assert!(Addr::parse_with_zones("[fe80::1%lo]:80", |_| None).is_err());
}

#[test]
fn std_and_this_library_exchange_addresses() {
    let std: SocketAddr = "[::1]:9".parse().unwrap();
    let addr = Addr::from(std);
    assert_eq!(SocketAddr::try_from(&addr).unwrap(), std);
    assert!(StdUnixAddr::try_from(&addr).is_err());
    for addr in [
        UnixAddr::path("/tmp/x").unwrap(),
        UnixAddr::abstract_name(b"a\0b").unwrap(),
    ] {
        let std = StdUnixAddr::try_from(&addr).unwrap();
        assert_eq!(UnixAddr::from(&std), addr);
        assert_eq!(Addr::from(std), Addr::Unix(addr));
    }
    assert!(StdUnixAddr::try_from(&UnixAddr::unnamed()).is_err());
    let path = Path::new("/tmp/x");
    assert_eq!(Addr::try_from(path).unwrap().to_string(), "/tmp/x");
    assert!(UnixAddr::try_from(Path::new("")).is_err());
}

#[test]
fn a_socket_takes_any_form_of_an_address() {
    let udp = || Socket::new(Family::INET, Kind::DGRAM, Protocol::UDP).unwrap();
    let (a, b) = (udp(), udp());
    a.bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    b.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())
        .unwrap();
    let addr = b.local_addr().unwrap();
    let Addr::Inet(form) = addr else {
        panic!("{addr}")
    };
    let std = addr.to_std().unwrap();
    a.send_to(b"1", MsgFlags::NONE, &addr).unwrap();
    a.send_to(b"2", MsgFlags::NONE, form).unwrap();
    a.send_to(b"3", MsgFlags::NONE, SocketAddr::from(form))
        .unwrap();
    a.send_to(b"4", MsgFlags::NONE, std).unwrap();
    a.send_to(b"5", MsgFlags::NONE, (std.ip(), std.port()))
        .unwrap();
    a.connect(&addr).unwrap();
    a.send(b"6", MsgFlags::NONE).unwrap();
    for expected in b"123456" {
        let mut buf = [0; 4];
        assert_eq!(b.recv(&mut buf, MsgFlags::NONE).unwrap(), 1);
        assert_eq!(buf[0], *expected);
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d");
    let unix = || Socket::new(Family::UNIX, Kind::DGRAM, Protocol::DEFAULT).unwrap();
    let (a, b) = (unix(), unix());
    a.bind(path.as_path()).unwrap();
    b.bind(UnixAddr::unnamed()).unwrap();
    b.send_to(b"x", MsgFlags::NONE, UnixAddr::path(&path).unwrap())
        .unwrap();
    let (_, from) = a.recv_from(&mut [0; 1], MsgFlags::NONE).unwrap();
    assert_eq!(from.unwrap(), b.local_addr().unwrap());

    let long = Path::new(OsStr::from_bytes(&[b'p'; 200]));
    assert!(matches!(b.connect(long), Err(Error::Invalid(_))));
    let error = unix().bind(path).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EADDRINUSE));
    assert!(
        error.to_string().contains("/d"),
        "the address is named: {error}"
    );
}

#[test]
fn an_association_is_dissolved_by_an_address_without_a_family() {
    let socket = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT).unwrap();
    socket.connect((Ipv4Addr::LOCALHOST, 9)).unwrap();
    assert!(socket.peer_addr().unwrap().is_some());
    let none = Addr::Other {
        family: Family::UNSPEC,
        bytes: vec![0; 14],
    };
    socket.connect(&none).unwrap();
    let error = socket.peer_addr().unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENOTCONN));
}

#[test]
fn a_netlink_socket_has_the_port_that_the_kernel_chose() {
    let Some(socket) = rare(Family::NETLINK, Kind::RAW, Protocol::NETLINK_ROUTE) else {
        return;
    };
    socket.bind(NetlinkAddr { pid: 0, groups: 1 }).unwrap();
    match socket.local_addr().unwrap() {
        Addr::Netlink(addr) => assert!(addr.pid != 0 && addr.groups == 1, "{addr}"),
        addr => panic!("{addr}"),
    }
}

#[test]
fn privileged_frames_of_the_loopback_interface_come_with_their_packet_address() {
    let Some(socket) = rare(Family::PACKET, Kind::DGRAM, Protocol::DEFAULT) else {
        return;
    };
    socket.bind(PacketAddr::new(1, EtherType::IP)).unwrap();
    match socket.local_addr().unwrap() {
        Addr::Packet(addr) => {
            assert_eq!((addr.interface(), addr.protocol()), (1, EtherType::IP));
            assert_eq!(addr.hardware_type(), HardwareType::LOOPBACK);
            assert_eq!(addr.hardware_addr(), [0; 6]);
        }
        addr => panic!("{addr}"),
    }
    let udp = Socket::new(Family::INET, Kind::DGRAM, Protocol::UDP).unwrap();
    udp.bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    udp.send_to(b"frame", MsgFlags::NONE, &udp.local_addr().unwrap())
        .unwrap();
    let (len, from) = socket.recv_from(&mut [0; 2048], MsgFlags::NONE).unwrap();
    assert!(len >= 20);
    match from.unwrap() {
        Addr::Packet(addr) => assert_eq!(addr.protocol(), EtherType::IP),
        addr => panic!("{addr}"),
    }
}

#[test]
fn a_vsock_socket_has_the_address_that_it_was_given() {
    let Some(socket) = rare(Family::VSOCK, Kind::STREAM, Protocol::DEFAULT) else {
        return;
    };
    match socket.bind(VsockAddr::new(VsockAddr::CID_ANY, VsockAddr::PORT_ANY)) {
        Ok(()) => {}
        Err(error) => return eprintln!("skipped: needs a VSOCK transport: {error}"),
    }
    match socket.local_addr().unwrap() {
        Addr::Vsock(addr) => assert_ne!(addr.port, VsockAddr::PORT_ANY),
        addr => panic!("{addr}"),
    }
}

#[test]
fn the_rarer_families_bind_or_the_kernel_says_that_it_lacks_them() {
    let here: Addr = TipcAddr::NameSequence {
        kind: 18888,
        lower: 1,
        upper: 1,
        scope: TipcScope::NODE,
    }
    .into();
    let alg: Addr = AlgAddr::new("hash", "sha256").unwrap().into();
    let cases: [(Kind, Protocol, Addr); 7] = [
        (
            Kind::RAW,
            Protocol::CAN_RAW,
            CanAddr::Raw { interface: 0 }.into(),
        ),
        (Kind::RDM, Protocol::DEFAULT, here),
        (Kind::SEQPACKET, Protocol::DEFAULT, alg),
        (
            Kind::RAW,
            Protocol::BT_HCI,
            BluetoothAddr::Hci {
                adapter: 0,
                channel: 0,
            }
            .into(),
        ),
        (
            Kind::DGRAM,
            Protocol::DEFAULT,
            QipcrtrAddr { node: 1, port: 0 }.into(),
        ),
        (
            Kind::DGRAM,
            Protocol::DEFAULT,
            MctpAddr {
                network: 0,
                endpoint: MctpAddr::ENDPOINT_ANY,
                message_type: 1,
                tag: 0,
            }
            .into(),
        ),
        (
            Kind::DGRAM,
            Protocol::UDP,
            RxrpcAddr::new(0, "127.0.0.1:0".parse().unwrap()).into(),
        ),
    ];
    for (kind, protocol, addr) in cases {
        match Socket::new(addr.family(), kind, protocol) {
            Ok(socket) => drop(socket.bind(&addr)),
            Err(error) => {
                assert_eq!(error.errno(), Some(Errno::EAFNOSUPPORT), "{addr}: {error}");
                let family = addr.family().name().unwrap();
                assert!(error.to_string().contains(family), "{error}");
                eprintln!("skipped: needs {:?}: {error}", addr.family());
            }
        }
    }
}

#[test]
fn a_path_that_fills_the_whole_structure_goes_to_the_kernel_and_back() {
    // Another program may leave out the closing zero; the kernel takes 108 bytes.
    let folder = tempfile::Builder::new()
        .prefix("b")
        .tempdir_in("/tmp")
        .unwrap();
    let mut bytes = folder.path().join("").as_os_str().as_bytes().to_vec();
    bytes.resize(108, b'p');
    let mut raw = u16::try_from(Family::UNIX.raw())
        .unwrap()
        .to_ne_bytes()
        .to_vec();
    raw.extend(&bytes);
    let addr = Addr::from_sockaddr(&raw).unwrap();
    assert_eq!(addr.to_sockaddr(), raw);
    let socket = Socket::new(Family::UNIX, Kind::DGRAM, Protocol::DEFAULT).unwrap();
    socket.bind(&addr).unwrap();
    assert_eq!(socket.local_addr().unwrap(), addr);
    Socket::new(Family::UNIX, Kind::DGRAM, Protocol::DEFAULT)
        .unwrap()
        .connect(&addr)
        .unwrap();
}
