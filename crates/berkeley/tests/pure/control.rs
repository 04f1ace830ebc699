//! Control messages as they are built: headers, gaps and what is refused.

use std::net::{Ipv4Addr, Ipv6Addr};

use berkeley::opt::Credentials;
use berkeley::{
    CmsgOut, ControlBuf, ControlOut, ControlSpace, Level, PacketInfo, PacketInfo6, control_len,
    control_space,
};
use proptest::prelude::*;

/// One of each, with a payload of every length between one byte and twenty.
fn items() -> Vec<CmsgOut<'static>> {
    vec![
        CmsgOut::AlgAssociatedLength(16),
        CmsgOut::AlgIv(&[7; 13]),
        CmsgOut::Credentials(Credentials {
            pid: 1,
            uid: 2,
            gid: 3,
        }),
        CmsgOut::HopLimit(9),
        CmsgOut::PacketInfo(PacketInfo {
            interface: 3,
            local: Ipv4Addr::LOCALHOST,
            destination: Ipv4Addr::UNSPECIFIED,
        }),
        CmsgOut::PacketInfo6(PacketInfo6 {
            interface: 1,
            addr: Ipv6Addr::LOCALHOST,
        }),
        CmsgOut::SegmentBytes(1200),
        CmsgOut::TlsRecord(22),
        CmsgOut::Tos(0x2e),
        CmsgOut::TransmitTime(u64::MAX),
        CmsgOut::Ttl(64),
        CmsgOut::Raw {
            level: Level::IP,
            kind: 99,
            bytes: &[],
        },
    ]
}

/// Level, type and payload of each message, read as cmsg(3) says; the gaps have to be zeros.
fn walk(mut rest: &[u8]) -> Vec<(i32, i32, Vec<u8>)> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let len = usize::from_ne_bytes(rest[..8].try_into().unwrap());
        let level = i32::from_ne_bytes(rest[8..12].try_into().unwrap());
        let kind = i32::from_ne_bytes(rest[12..16].try_into().unwrap());
        found.push((level, kind, rest[16..len].to_vec()));
        let stride = len.next_multiple_of(8);
        assert!(rest[len..stride].iter().all(|byte| *byte == 0));
        rest = &rest[stride..];
    }
    found
}

#[test]
fn every_message_is_found_again_with_zeros_in_its_gap() {
    let items = items();
    let control = ControlOut::of(&items).unwrap();
    assert_eq!(control.as_bytes().as_ptr().addr() % 8, 0);
    let found = walk(control.as_bytes());
    assert_eq!(found.len(), items.len());
    let (level, kind, payload) = &found[10];
    assert_eq!((*level, *kind), (0, libc_ip_ttl()));
    assert_eq!(*payload, 64_i32.to_ne_bytes());
    // The length of a vector comes before it.
    assert_eq!(found[1].2, [&13_u32.to_ne_bytes()[..], &[7; 13]].concat());
}

/// `IP_TTL`.
const fn libc_ip_ttl() -> i32 {
    2
}

#[test]
fn what_was_there_before_does_not_travel_in_a_gap() {
    let mut space = ControlSpace::<64>::new();
    let full = [0xaa; 40];
    let item = |bytes| CmsgOut::Raw {
        level: Level::IP,
        kind: 99,
        bytes,
    };
    space.out().push(item(&full)).unwrap();
    let mut again = space.out();
    again.push(item(&full[..1])).unwrap();
    again.push(item(&full[..3])).unwrap();
    assert_eq!(walk(again.as_bytes()).len(), 2);
    assert_eq!(again.as_bytes().as_ptr().addr() % 8, 0);
}

#[test]
fn a_message_that_does_not_fit_leaves_the_buffer_as_it_was() {
    let mut space = ControlSpace::<32>::new();
    let mut control = space.out();
    control.push(CmsgOut::Ttl(3)).unwrap();
    let before = control.as_bytes().to_vec();
    control.push(CmsgOut::Ttl(4)).unwrap_err();
    assert_eq!(control.as_bytes(), before);
    control.clear();
    control.push(CmsgOut::TransmitTime(1)).unwrap();
}

#[test]
fn a_buffer_into_which_nothing_came_has_nothing() {
    let mut space = ControlSpace::<24>::new();
    for mut buf in [
        ControlBuf::none(),
        ControlBuf::with_capacity(100),
        space.buf(),
    ] {
        assert!(buf.as_bytes().is_empty());
        assert_eq!(buf.cmsgs().count(), 0);
        buf.clear();
    }
}

proptest! {
    #[test]
    fn any_payloads_are_found_again(
        payloads in prop::collection::vec(
            (any::<i32>(), prop::collection::vec(any::<u8>(), 0..60)), 0..8,
        ),
    ) {
        let items: Vec<_> = payloads
            .iter()
            .map(|(kind, bytes)| CmsgOut::Raw { level: Level::ALG, kind: *kind, bytes })
            .collect();
        let room: usize = items.iter().map(|item| item.space().unwrap()).sum();
        let control = ControlOut::of(&items).unwrap();
        prop_assert_eq!(control.as_bytes().len(), room);
        let found = walk(control.as_bytes());
        for ((_, kind, found), (sent_kind, sent)) in found.iter().zip(&payloads) {
            prop_assert_eq!((kind, found), (sent_kind, sent));
        }
    }

    #[test]
    fn a_length_is_counted_as_the_c_macros_do(payload in 0_usize..1 << 20) {
        prop_assert_eq!(control_len(payload), Some(16 + payload));
        prop_assert_eq!(control_space(payload), Some(16 + payload.next_multiple_of(8)));
    }
}
