//! Decoding, with whatever bytes.

use super::super::family::TipcErrorCode;
use super::*;
use crate::can::j1939::Outcome;
use proptest::prelude::*;

#[test]
fn what_is_too_short_is_raw() {
    let long = [0u8; 64];
    let known = [
        (libc::SOL_SOCKET, libc::SCM_CREDENTIALS, 12),
        (libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 4),
        (libc::SOL_SOCKET, libc::SO_TIMESTAMP, 16),
        (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 16),
        (libc::SOL_SOCKET, libc::SO_TIMESTAMPING, 48),
        (libc::SOL_SOCKET, libc::SO_MARK, 4),
        (libc::SOL_SOCKET, libc::SO_PRIORITY, 4),
        (libc::SOL_SOCKET, libc::SO_WIFI_STATUS, 4),
        (libc::SOL_SOCKET, SCM_TIMESTAMPING_PKTINFO, 16),
        (libc::SOL_SOCKET, SCM_DEVMEM_LINEAR, 24),
        (libc::SOL_SOCKET, SCM_DEVMEM_DMABUF, 24),
        (libc::IPPROTO_IP, libc::IP_CHECKSUM, 4),
        (libc::IPPROTO_IPV6, libc::IPV6_FLOWINFO, 4),
        (libc::IPPROTO_IPV6, libc::IPV6_PATHMTU, 32),
        (libc::SOL_PACKET, libc::PACKET_AUXDATA, 20),
        (libc::SOL_NETLINK, NETLINK_PKTINFO, 4),
        (libc::SOL_CAN_RAW, SCM_CAN_RAW_ERRQUEUE, 16),
        (libc::SOL_CAN_J1939, libc::SCM_J1939_DEST_ADDR, 1),
        (libc::SOL_CAN_J1939, libc::SCM_J1939_DEST_NAME, 8),
        (libc::SOL_CAN_J1939, libc::SCM_J1939_PRIO, 1),
        (libc::SOL_CAN_J1939, libc::SCM_J1939_ERRQUEUE, 16),
        (libc::SOL_TIPC, TIPC_DESTNAME, 12),
        (libc::SOL_TIPC, TIPC_ERRINFO, 8),
        (libc::SOL_BLUETOOTH, BT_SCM_PKT_STATUS, 1),
        (libc::SOL_BLUETOOTH, BT_SCM_PKT_SEQNUM, 2),
        (libc::SOL_BLUETOOTH, BT_SCM_ERROR, 16),
        (libc::SOL_RDS, RDS_CMSG_CONG_UPDATE, 8),
        (libc::SOL_RDS, RDS_CMSG_RDMA_DEST, 8),
        (libc::SOL_RDS, RDS_CMSG_RDMA_STATUS, 12),
        (libc::IPPROTO_IP, libc::IP_PKTINFO, 12),
        (libc::IPPROTO_IP, libc::IP_RECVERR, 16),
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, 20),
        (libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 16),
        (libc::SOL_TLS, TLS_GET_RECORD_TYPE, 1),
        (libc::SOL_PACKET, PACKET_TX_TIMESTAMP, 16),
        (SOL_VSOCK, VSOCK_RECVERR, 16),
    ];
    for (level, kind, len) in known {
        for short in 0..len {
            let Cmsg::Raw { bytes, .. } = Cmsg::decode(level, kind, &long[..short]) else {
                panic!("{level} {kind} with {short} bytes");
            };
            assert_eq!(bytes.len(), short);
        }
        let item = Cmsg::decode(level, kind, &long[..len]);
        assert!(!matches!(item, Cmsg::Raw { .. }), "{item:?}");
    }
}

#[test]
fn a_type_of_service_has_one_byte_or_four() {
    for bytes in [&[0x2f][..], &0x2fi32.to_ne_bytes()] {
        let item = Cmsg::decode(libc::IPPROTO_IP, libc::IP_TOS, bytes);
        assert!(matches!(item, Cmsg::Tos(0x2f)), "{item:?}");
        assert_eq!(item.ecn(), Some(Ecn::Congested));
    }
    let beyond = 300i32.to_ne_bytes();
    let item = Cmsg::decode(libc::IPPROTO_IP, libc::IP_TTL, &beyond);
    assert!(matches!(item, Cmsg::Raw { .. }), "{item:?}");
}

#[test]
fn what_j1939_tells_is_read_field_by_field() {
    let level = libc::SOL_CAN_J1939;
    let item = Cmsg::decode(level, 1, &[0x80]);
    assert!(matches!(item, Cmsg::J1939Address(0x80)), "{item:?}");
    let name = 0x0102_0304_0506_0708u64.to_ne_bytes();
    let item = Cmsg::decode(level, 2, &name);
    assert!(
        matches!(item, Cmsg::J1939Name(0x0102_0304_0506_0708)),
        "{item:?}"
    );
    let item = Cmsg::decode(level, 3, &[6]);
    assert!(matches!(item, Cmsg::J1939Priority(6)), "{item:?}");
    // An aborted message: ECONNRESET, local, J1939_EE_INFO_TX_ABORT, the message's number.
    let mut entry = [0u8; 16];
    entry[..4].copy_from_slice(&libc::ECONNRESET.to_ne_bytes());
    entry[4] = 1;
    entry[8..12].copy_from_slice(&1u32.to_ne_bytes());
    entry[12..].copy_from_slice(&77u32.to_ne_bytes());
    let Cmsg::ExtendedError(error) = Cmsg::decode(level, 4, &entry) else {
        panic!("no entry of the error queue");
    };
    assert_eq!(error.data, 77);
    let outcome = Outcome::of(&error);
    assert_eq!(outcome, Some(Outcome::Aborted(crate::Errno::ECONNRESET)));
}

#[test]
fn what_an_adapter_tells_is_not_taken_for_ipv4() {
    let hci = Level::BT_HCI.raw();
    let incoming = 1i32.to_ne_bytes();
    let item = Cmsg::decode(hci, 1, &incoming);
    assert_eq!(item.hci_is_incoming(), Some(true));
    let time = [7i64.to_ne_bytes(), 5i64.to_ne_bytes()].concat();
    let item = Cmsg::decode(hci, 2, &time);
    let expected = SystemTime::UNIX_EPOCH + core::time::Duration::new(7, 5000);
    assert!(
        matches!(item, Cmsg::Timestamp(time) if time == expected),
        "{item:?}"
    );
    assert_eq!(item.hci_is_incoming(), None);
}

#[test]
fn a_frame_without_a_vlan_has_no_tag() {
    let mut bytes = [0u8; 20];
    bytes[4..8].copy_from_slice(&60u32.to_ne_bytes());
    bytes[16..18].copy_from_slice(&5u16.to_ne_bytes());
    bytes[18..].copy_from_slice(&0x8100u16.to_ne_bytes());
    let aux = |bytes: &[u8]| match Cmsg::decode(libc::SOL_PACKET, libc::PACKET_AUXDATA, bytes) {
        Cmsg::PacketAux(aux) => aux,
        other => panic!("{other:?}"),
    };
    let without = aux(&bytes);
    assert_eq!((without.len, without.vlan_tci), (60, None));
    bytes[..4].copy_from_slice(&0x50u32.to_ne_bytes());
    let with = aux(&bytes);
    assert_eq!((with.vlan_tci, with.vlan_tpid), (Some(5), Some(0x8100)));
}

#[test]
fn what_tipc_and_rds_tell_is_read_field_by_field() {
    let words: Vec<u8> = [3u32, 9, 11].iter().flat_map(|n| n.to_ne_bytes()).collect();
    let item = Cmsg::decode(libc::SOL_TIPC, TIPC_DESTNAME, &words);
    let expected = TipcDestination {
        kind: 3,
        lower: 9,
        upper: 11,
    };
    assert!(
        matches!(item, Cmsg::TipcDestination(name) if name == expected),
        "{item:?}"
    );
    let item = Cmsg::decode(libc::SOL_TIPC, TIPC_ERRINFO, &words);
    assert!(
        matches!(item, Cmsg::TipcError(error)
            if error.code == TipcErrorCode::NO_NODE && error.len == 9),
        "{item:?}"
    );
    let item = Cmsg::decode(libc::SOL_TIPC, TIPC_RETDATA, b"back");
    assert!(matches!(item, Cmsg::TipcReturned(b"back")), "{item:?}");
    let mut done = [0u8; 16];
    done[..8].copy_from_slice(&5u64.to_ne_bytes());
    done[8..12].copy_from_slice(&2i32.to_ne_bytes());
    let item = Cmsg::decode(libc::SOL_RDS, RDS_CMSG_RDMA_STATUS, &done);
    let expected = RdmaStatus {
        token: 5,
        status: 2,
    };
    assert!(
        matches!(item, Cmsg::RdsStatus(status) if status == expected),
        "{item:?}"
    );
}

#[test]
fn events_of_rxrpc_are_told_apart() {
    let refused = libc::ECONNREFUSED.to_ne_bytes();
    let events: [(c_int, &[u8], Option<RxrpcEvent>); 5] = [
        (1, &7u64.to_ne_bytes(), Some(RxrpcEvent::UserCallId(7))),
        (2, &9u32.to_ne_bytes(), Some(RxrpcEvent::Abort(9))),
        (
            5,
            &refused,
            Some(RxrpcEvent::NetworkError(crate::Errno::ECONNREFUSED)),
        ),
        (8, &[], Some(RxrpcEvent::NewCall)),
        (4, &refused, None),
    ];
    for (kind, bytes, expected) in events {
        let item = Cmsg::decode(libc::SOL_RXRPC, kind, bytes);
        let found = match item {
            Cmsg::Rxrpc(event) => Some(event),
            _ => None,
        };
        assert_eq!(found, expected, "{kind}");
    }
}

/// All levels that something is decoded of, and two more.
const LEVELS: [c_int; 18] = [
    0, 1, 6, 17, 41, 101, 107, 263, 270, 271, 272, 274, 276, 279, 282, 287, 9999, -1,
];

proptest! {
    #[test]
    fn any_payload_of_any_type_is_read(
        level in prop::sample::select(LEVELS.to_vec()),
        kind in prop_oneof![-2i32..80, any::<i32>()],
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let item = Cmsg::decode(level, kind, &bytes);
        if let Cmsg::Raw { level: same_level, kind: same_kind, bytes: same } = &item {
            prop_assert_eq!((same_level.raw(), *same_kind, *same), (level, kind, &bytes[..]));
        }
    }
}
