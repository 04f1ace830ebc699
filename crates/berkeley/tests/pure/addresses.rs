//! Addresses of every family: as bytes, as text and back.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;

use berkeley::{
    Addr, AlgAddr, BluetoothAddr, CanAddr, DeviceAddr, EtherType, Family, HardwareType, MctpAddr,
    NetlinkAddr, PacketAddr, PacketType, QipcrtrAddr, RxrpcAddr, TipcAddr, TipcScope, UnixAddr,
    VsockAddr, XdpAddr,
};
use proptest::prelude::*;

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
    fn any_bytes_are_an_address(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        family in 0_u16..48,
    ) {
        let mut framed = family.to_ne_bytes().to_vec();
        framed.extend(&bytes);
        if let Some(addr) = Addr::from_sockaddr(&framed) {
            prop_assert_eq!(i32::from(family), addr.family().raw());
            prop_assert!(addr.to_sockaddr().len() <= 128);
            drop(addr.to_string());
        }
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
