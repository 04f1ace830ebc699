//! Frames of CAN and messages of its broadcast manager, byte by byte: their layouts are those of
//! `linux/can.h` and `linux/can/bcm.h`.

use std::time::Duration;

use berkeley::can::bcm::{Flags, Frames, Message, Opcode};
use berkeley::can::{
    BusError, CanId, ClassicFrame, Controller, ErrorClass, FdFlags, FdFrame, Frame,
    ProtocolLocation, ProtocolViolation, Transceiver, XlFlags, XlFrame, j1939,
};
use berkeley::interfaces::if_nameindex;
use berkeley::{
    Attributes, CanAddr, Error, ErrorOrigin, ExtendedError, Family, Kind, Mode, MsgFlags, Protocol,
    Socket, opt,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::PATIENCE;

/// Bytes with the given parts, zeros in between.
fn laid_out(len: usize, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (at, part) in parts {
        bytes[*at..][..part.len()].copy_from_slice(part);
    }
    bytes
}

fn standard(number: u16) -> CanId {
    CanId::standard(number).unwrap()
}

#[test]
fn an_identifier_has_11_bits_or_29() {
    assert_eq!(CanId::standard(0x800), None);
    assert_eq!(CanId::extended(0x2000_0000), None);
    let long = CanId::extended(0x1234_5678).unwrap();
    assert_eq!(
        (long.raw(), long.number()),
        (0x1234_5678 | CanAddr::EFF_FLAG, 0x1234_5678)
    );
    assert!(long.is_extended() && !long.is_remote() && !long.is_error());
    assert_eq!(
        (long.to_string(), standard(0x7).to_string()),
        ("12345678".into(), "007".into())
    );
    assert!(!standard(0x7ff).is_extended());
}

#[test]
fn frames_are_laid_out_as_in_the_header() {
    let id = CanId::extended(0x123).unwrap();
    let raw = (0x123 | CanAddr::EFF_FLAG).to_ne_bytes();
    let classic = ClassicFrame::new(id, b"hello").unwrap();
    let expected = laid_out(16, &[(0, &raw), (4, &[5]), (8, b"hello")]);
    assert_eq!(classic.encode()[..], expected);
    let remote = ClassicFrame::remote(standard(1), 3).unwrap();
    let raw_remote = (1 | CanAddr::RTR_FLAG).to_ne_bytes();
    assert_eq!(
        remote.encode()[..],
        laid_out(16, &[(0, &raw_remote), (4, &[3])])
    );
    let eight = ClassicFrame::new(id, &[7; 8])
        .unwrap()
        .with_dlc(15)
        .unwrap();
    let expected = laid_out(16, &[(0, &raw), (4, &[8, 0, 0, 15]), (8, &[7; 8])]);
    assert_eq!((eight.encode()[..].to_vec(), eight.dlc()), (expected, 15));

    let fd = FdFrame::new(id, FdFlags::BIT_RATE_SWITCH, &[9; 48]).unwrap();
    let expected = laid_out(72, &[(0, &raw), (4, &[48, 1]), (8, &[9; 48])]);
    assert_eq!(fd.encode()[..], expected);

    let xl = XlFrame::new(0x7ff, 3, 0x0102_0304, b"any length")
        .unwrap()
        .with_network(0xab)
        .with_flags(XlFlags::SIMPLE_EXTENDED_CONTENT);
    let expected = laid_out(
        22,
        &[
            (0, &0x00ab_07ffu32.to_ne_bytes()),
            (4, &[0x81, 3]),
            (6, &10u16.to_ne_bytes()),
            (8, &0x0102_0304u32.to_ne_bytes()),
            (12, b"any length"),
        ],
    );
    assert_eq!(xl.encode(), expected);
    assert_eq!((xl.priority(), xl.network(), xl.kind()), (0x7ff, 0xab, 3));
}

#[test]
fn more_than_a_frame_holds_is_refused() {
    assert!(ClassicFrame::new(standard(1), &[0; 9]).is_err());
    assert!(ClassicFrame::remote(standard(1), 9).is_err());
    assert_eq!(
        ClassicFrame::new(standard(1), &[0; 7]).unwrap().with_dlc(9),
        None
    );
    assert!(FdFrame::new(standard(1), FdFlags::NONE, &[0; 65]).is_err());
    assert!(FdFrame::new(standard(1), FdFlags::NONE, &[0; 300]).is_err());
    assert!(XlFrame::new(0x800, 0, 0, b"x").is_err());
    assert!(XlFrame::new(1, 0, 0, b"").is_err());
    assert!(XlFrame::new(1, 0, 0, &[0; 2049]).is_err());
    assert!(XlFrame::new(1, 0, 0, &[0; 2048]).is_ok());
    // A length of data that the bytes do not have.
    assert_eq!(Frame::decode(&laid_out(16, &[(4, &[9])])), None);
    assert_eq!(Frame::decode(&laid_out(72, &[(4, &[65])])), None);
    assert_eq!(Frame::decode(&laid_out(20, &[(4, &[0x80, 0, 9])])), None);
    assert_eq!(Frame::decode(&[0; 17]), None);
}

#[test]
fn an_error_frame_tells_all_that_it_has() {
    let error = BusError {
        class: ErrorClass::LOSTARB | ErrorClass::PROT | ErrorClass::CNT,
        lost_arbitration_bit: 11,
        controller: Controller::RX_WARNING | Controller::TX_PASSIVE,
        violation: ProtocolViolation::BIT0,
        location: ProtocolLocation::ACK_DEL,
        transceiver: Transceiver::CANL_SHORT_TO_CANH,
        counters: [96, 128],
    };
    let frame = error.to_frame().unwrap();
    let raw = (0x20a | CanAddr::ERR_FLAG).to_ne_bytes();
    let data = [11, 0x24, 8, 0x1b, 0x80, 0, 96, 128];
    assert_eq!(
        frame.encode()[..],
        laid_out(16, &[(0, &raw), (4, &[8]), (8, &data)])
    );
    assert_eq!(BusError::of(&frame), Some(error));
    let other = ClassicFrame::new(standard(1), &[]).unwrap();
    assert_eq!(BusError::of(&other), None);
}

fn cyclic() -> Message {
    Message {
        flags: Flags::SETTIMER | Flags::STARTTIMER,
        count: 3,
        first_interval: Duration::from_micros(1_500_000),
        interval: Duration::from_nanos(1001),
        frames: Frames::Classic(vec![ClassicFrame::new(standard(0x42), b"ping").unwrap()]),
        ..Message::new(Opcode::TX_SETUP, standard(0x42))
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_message_of_the_broadcast_manager_is_laid_out_as_in_the_header() {
    let mut expected = laid_out(
        56,
        &[
            (0, &1u32.to_ne_bytes()),
            (4, &3u32.to_ne_bytes()),
            (8, &3u32.to_ne_bytes()),
            (16, &1i64.to_ne_bytes()),
            (24, &500_000i64.to_ne_bytes()),
            // A nanosecond more than a microsecond is two.
            (40, &2i64.to_ne_bytes()),
            (48, &0x42u32.to_ne_bytes()),
            (52, &1u32.to_ne_bytes()),
        ],
    );
    expected.extend(laid_out(
        16,
        &[(0, &0x42u32.to_ne_bytes()), (4, &[4]), (8, b"ping")],
    ));
    assert_eq!(cyclic().encode().unwrap(), expected);
    // CAN FD has a flag, and longer frames.
    let fd = FdFrame::new(standard(1), FdFlags::NONE, &[5; 64]).unwrap();
    let message = Message {
        frames: Frames::Fd(vec![fd; 2]),
        ..cyclic()
    };
    let bytes = message.encode().unwrap();
    assert_eq!(bytes.len(), 56 + 2 * 72);
    assert_eq!(bytes[4..8], 0x803u32.to_ne_bytes());
    assert_eq!(bytes[56..128], fd.encode());
}

#[test]
fn a_message_with_other_frames_than_it_says_is_refused() {
    let bytes = cyclic().encode().unwrap();
    assert!(Message::decode(&bytes).is_some());
    for len in 0..bytes.len() {
        assert_eq!(Message::decode(&bytes[..len]), None, "{len}");
    }
    let longer = [&bytes[..], &[0; 16]].concat();
    assert_eq!(Message::decode(&longer), None);
    let frame = ClassicFrame::new(standard(1), b"").unwrap();
    let many = |count| Message {
        frames: Frames::Classic(vec![frame; count]),
        ..cyclic()
    };
    assert!(many(Message::FRAMES_MAX).encode().is_ok());
    assert!(matches!(
        many(Message::FRAMES_MAX + 1).encode(),
        Err(Error::Invalid(_))
    ));
}

#[test]
fn what_became_of_a_message_of_j1939_is_told() {
    let entry = |origin, info| ExtendedError {
        errno: berkeley::Errno::ETIME,
        origin,
        kind: 0,
        code: 0,
        info,
        data: 0,
        offender: None,
    };
    let errno = berkeley::Errno::ETIME;
    for (origin, info, expected) in [
        (
            ErrorOrigin::TIMESTAMPING,
            1,
            Some(j1939::Outcome::Scheduled),
        ),
        (
            ErrorOrigin::TIMESTAMPING,
            2,
            Some(j1939::Outcome::Acknowledged),
        ),
        (ErrorOrigin::LOCAL, 1, Some(j1939::Outcome::Aborted(errno))),
        (ErrorOrigin::LOCAL, 2, Some(j1939::Outcome::Receiving)),
        (ErrorOrigin::LOCAL, 3, Some(j1939::Outcome::Receiving)),
        (
            ErrorOrigin::LOCAL,
            4,
            Some(j1939::Outcome::ReceiveAborted(errno)),
        ),
        (ErrorOrigin::LOCAL, 0, None),
        (ErrorOrigin::ICMP, 1, None),
    ] {
        assert_eq!(j1939::Outcome::of(&entry(origin, info)), expected);
    }
    // Two attributes: BYTES_ACKED, four bytes; DEST_ADDR, one byte and padding.
    let mut bytes = Vec::new();
    bytes.extend([8u16, 1].iter().flat_map(|half| half.to_ne_bytes()));
    bytes.extend(1785u32.to_ne_bytes());
    bytes.extend([5u16, 7].iter().flat_map(|half| half.to_ne_bytes()));
    bytes.extend([0x80, 0, 0, 0]);
    let stats = j1939::Stats::of(Attributes::new(&bytes));
    assert_eq!(
        (stats.bytes_acked, stats.destination_addr),
        (Some(1785), Some(0x80))
    );
    assert_eq!(stats.pgn, None);
}

#[test]
fn limits_are_those_of_the_kernel() {
    assert_eq!(opt::can::J1939Filter::COUNT_MAX, 512);
    assert_eq!(opt::can::Filter::COUNT_MAX, 512);
    assert_eq!(Frame::BYTES_MAX, 2060);
    assert_eq!(BusError::BUS_OFF_THRESHOLD, 256);
}

/// A bus of this machine that is there for tests.
fn virtual_bus() -> Option<u32> {
    let is_bus = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b"vcan");
    let found = if_nameindex().unwrap();
    found
        .iter()
        .find(|one| is_bus(&one.name))
        .map(|one| one.index)
}

#[test]
fn the_broadcast_manager_sends_what_it_is_told_to() {
    let manager = match Socket::new(Family::CAN, Kind::DGRAM, Protocol::CAN_BCM) {
        Ok(manager) => manager,
        Err(error) => return eprintln!("skipped: needs CAN_BCM: {error}"),
    };
    let Some(interface) = virtual_bus() else {
        return eprintln!("skipped: needs a vcan interface");
    };
    let listener = Socket::new(Family::CAN, Kind::RAW, Protocol::CAN_RAW).unwrap();
    listener.bind(CanAddr::Raw { interface }).unwrap();
    listener.set_mode(Mode::Within(PATIENCE)).unwrap();
    manager.connect(CanAddr::Raw { interface }).unwrap();
    let frame = ClassicFrame::new(standard(0x5a5), b"once").unwrap();
    let message = Message {
        frames: Frames::Classic(vec![frame]),
        ..Message::new(Opcode::TX_SEND, standard(0x5a5))
    };
    manager
        .send(&message.encode().unwrap(), MsgFlags::NONE)
        .unwrap();
    loop {
        let mut bytes = [0; Frame::BYTES_MAX];
        let len = listener.recv_into(&mut bytes, MsgFlags::NONE).unwrap();
        if Frame::decode(&bytes[..len]) == Some(Frame::Classic(frame)) {
            break;
        }
    }
}

fn any_id() -> impl Strategy<Value = CanId> {
    any::<u32>().prop_map(CanId::from_raw)
}

fn any_classic() -> impl Strategy<Value = ClassicFrame> {
    (any_id(), vec(any::<u8>(), 0..=8), 0u8..20).prop_map(|(id, data, dlc)| {
        let frame = ClassicFrame::new(id, &data).unwrap();
        frame.with_dlc(dlc).unwrap_or(frame)
    })
}

fn any_fd() -> impl Strategy<Value = FdFrame> {
    (any_id(), any::<u8>(), vec(any::<u8>(), 0..=64))
        .prop_map(|(id, flags, data)| FdFrame::new(id, FdFlags::from_raw(flags), &data).unwrap())
}

fn any_xl() -> impl Strategy<Value = XlFrame> {
    let data = vec(any::<u8>(), 1..300);
    (0u16..0x800, any::<[u8; 3]>(), any::<u32>(), data).prop_map(
        |(priority, [kind, flags, network], acceptance, data)| {
            let frame = XlFrame::new(priority, kind, acceptance, &data).unwrap();
            frame
                .with_flags(XlFlags::from_raw(flags))
                .with_network(network)
        },
    )
}

fn any_frames() -> impl Strategy<Value = Frames> {
    prop_oneof![
        vec(any_classic(), 0..5).prop_map(Frames::Classic),
        vec(any_fd(), 0..5).prop_map(Frames::Fd),
    ]
}

proptest! {
    #[test]
    fn each_frame_is_read_back_as_itself(classic in any_classic(), fd in any_fd(), xl in any_xl()) {
        for frame in [Frame::Classic(classic), Frame::Fd(fd), Frame::Xl(xl)] {
            prop_assert_eq!(Frame::decode(&frame.encode()), Some(frame));
        }
    }

    #[test]
    fn each_message_is_read_back_as_itself(
        opcode: u32, flags: u32, count: u32, micros: [u32; 2], id in any_id(),
        frames in any_frames(),
    ) {
        let [first, then] = micros;
        let message = Message {
            // The frames themselves tell whether they are of CAN FD.
            flags: Flags::from_raw(flags & !Flags::CAN_FD_FRAME.raw()),
            count,
            first_interval: Duration::from_micros(first.into()),
            interval: Duration::from_micros(then.into()),
            frames,
            ..Message::new(Opcode::from_raw(opcode), id)
        };
        prop_assert_eq!(Message::decode(&message.encode().unwrap()), Some(message));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        let _frame = Frame::decode(&bytes);
        let _message = Message::decode(&bytes);
        let _stats = j1939::Stats::of(Attributes::new(&bytes));
        if let Some(frame) = ClassicFrame::decode(&bytes) {
            prop_assert_eq!(BusError::of(&frame).is_some(), frame.id().is_error());
        }
    }
}
