//! Addresses of every family: bytes, text and the kernel.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr as StdUnixAddr;
use std::path::Path;

use berkeley::{
    Addr, AlgAddr, BluetoothAddr, CanAddr, Errno, Error, EtherType, Family, HardwareType, Kind,
    MctpAddr, MsgFlags, NetlinkAddr, PacketAddr, Protocol, QipcrtrAddr, RxrpcAddr, Socket,
    TipcAddr, TipcScope, UnixAddr, VsockAddr,
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

proptest! {
    #[test]
    fn any_text_is_an_address_or_an_error(
        text in "(unix:|vsock:|alg:|l2cap:|rfcomm:|hci:|sco:|can:|j1939:|packet:|\\[)?\\PC{0,40}",
    ) {
        drop(text.parse::<Addr>());
    }
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
