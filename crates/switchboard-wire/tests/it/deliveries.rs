//! What a hub writes to programs that asked for it: both directions.

use proptest::prelude::*;
use switchboard_wire::frame::encode;
use switchboard_wire::{
    Answer, ContentHash, Delivered, DeliveryDecoder, DeliveryError, EntryFrame, EntryKind,
    FrameError, MessageId, limits,
};

use crate::cutting::{cut, cuts};

fn read(pieces: &[&[u8]]) -> (Vec<Delivered>, Result<(), DeliveryError>) {
    let mut decoder = DeliveryDecoder::new();
    let mut all = Vec::new();
    for mut piece in pieces.iter().copied() {
        loop {
            match decoder.push(&mut piece) {
                Ok(Some(delivered)) => all.push(delivered),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.push(&mut &b"x"[..]), Err(error.clone()));
                    assert_eq!(decoder.end(), Err(error.clone()));
                    return (all, Err(error));
                }
            }
        }
        assert!(piece.is_empty(), "`None` means that the piece is used up");
    }
    (all, decoder.end())
}

fn entry(kind: EntryKind) -> EntryFrame {
    EntryFrame {
        room: "lobby".into(),
        epoch: 9,
        seq: 3,
        time_ms: 1_795_244_709_123,
        from: "alice".into(),
        reply_to: None,
        id: None,
        kind,
    }
}

fn framed(header: &str, payload: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(header.as_bytes(), &mut bytes).unwrap();
    if let Some(payload) = payload {
        encode(payload, &mut bytes).unwrap();
    }
    bytes
}

#[test]
fn entries_are_written_so_for_ever() {
    let rest = r#""room":"lobby","epoch":9,"seq":3,"time_ms":1795244709123,"from":"alice""#;
    let some = |text: &str| Some(text.to_owned());
    let cases: [(EntryKind, &str, &str, &[u8]); 9] = [
        (EntryKind::Text("hé\n".into()), "msg", "", "hé\n".as_bytes()),
        (EntryKind::Joined, "joined", "", b""),
        (EntryKind::Left { reason: None }, "left", "", b""),
        (
            EntryKind::Left {
                reason: some("idle"),
            },
            "left",
            r#","reason":"idle""#,
            b"",
        ),
        (
            EntryKind::Renamed { name: "bob".into() },
            "renamed",
            r#","name":"bob""#,
            b"",
        ),
        (
            EntryKind::Stored {
                file_name: "a\"b.png".into(),
                file_bytes: 7,
            },
            "stored",
            r#","file_name":"a\"b.png","file_bytes":7"#,
            b"",
        ),
        (
            EntryKind::Topic { topic: some("图") },
            "topic",
            r#","topic":"图""#,
            b"",
        ),
        (EntryKind::Topic { topic: None }, "topic", "", b""),
        (EntryKind::Text(String::new()), "msg", "", b""),
    ];
    for (kind, msg_type, more, payload) in cases {
        let entry = entry(kind);
        let header = format!(r#"{{"msg_type":"{msg_type}",{rest}{more}}}"#);
        let bytes = entry.encode().unwrap();
        assert_eq!(bytes, framed(&header, Some(payload)), "{header}");
        assert_eq!(read(&[&bytes]), (vec![Delivered::Entry(entry)], Ok(())));
    }
    let mut full = entry(EntryKind::Text("x".into()));
    full.reply_to = Some(2);
    full.id = MessageId::new("a1");
    let header = format!(r#"{{"msg_type":"msg",{rest},"reply_to":2,"id":"a1"}}"#);
    assert_eq!(full.encode().unwrap(), framed(&header, Some(b"x")));
}

#[test]
fn answers_are_written_so_for_ever() {
    let room = || "lobby".to_owned();
    let id = || MessageId::new("a1");
    let cases = [
        (
            Answer::Ack {
                room: room(),
                epoch: 9,
                seq: 3,
                id: id(),
                durable: false,
            },
            r#"{"sb":{"ack":{"room":"lobby","epoch":9,"seq":3,"id":"a1","durable":false}}}"#,
        ),
        (
            Answer::Ack {
                room: room(),
                epoch: 9,
                seq: 3,
                id: None,
                durable: true,
            },
            r#"{"sb":{"ack":{"room":"lobby","epoch":9,"seq":3,"durable":true}}}"#,
        ),
        (
            Answer::At {
                room: room(),
                epoch: 9,
                seq: 0,
            },
            r#"{"sb":{"at":{"room":"lobby","epoch":9,"seq":0}}}"#,
        ),
        (
            Answer::Gap {
                room: room(),
                epoch: 9,
                from: 1,
                to: 2,
            },
            r#"{"sb":{"gap":{"room":"lobby","epoch":9,"from":1,"to":2}}}"#,
        ),
        (
            Answer::Have {
                hash: ContentHash([10; 32]),
                bytes: 5,
                id: id(),
            },
            concat!(
                r#"{"sb":{"have":{"blake3":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"#,
                r#"0a0a0a0a0a0a0a0a","bytes":5,"id":"a1"}}}"#
            ),
        ),
        (
            Answer::Refused {
                id: id(),
                reason: "no".into(),
            },
            r#"{"sb":{"refused":{"id":"a1","reason":"no"}}}"#,
        ),
        (
            Answer::Reset {
                room: room(),
                epoch: u64::MAX,
            },
            r#"{"sb":{"reset":{"room":"lobby","epoch":18446744073709551615}}}"#,
        ),
    ];
    for (answer, json) in cases {
        assert_is_written(answer, json);
    }
}

#[track_caller]
fn assert_is_written(answer: Answer, json: &str) {
    let bytes = answer.encode().unwrap();
    assert_eq!(bytes, framed(json, None), "{json}");
    assert_eq!(read(&[&bytes]), (vec![Delivered::Answer(answer)], Ok(())));
}

#[test]
fn what_is_not_known_yet_is_passed_over() {
    let last = Answer::At {
        room: "lobby".into(),
        epoch: 1,
        seq: 1,
    };
    let unknown = [
        framed(r#"{"msg_type":"reaction","room":7}"#, Some(b"\xff")),
        framed(r#"{"sb":{"typing":{"room":"lobby"}}}"#, None),
        framed(r#"{"sb":{}}"#, None),
        framed("{}", None),
        framed(
            r#"{"sb":{"at":{"room":"lobby","epoch":1,"seq":1,"more":[]}},"x":1}"#,
            None,
        ),
    ];
    assert_eq!(
        read(&[&unknown.concat()]),
        (vec![Delivered::Answer(last)], Ok(()))
    );
}

#[test]
fn what_is_wrong_ends_the_reading() {
    let field = |field| DeliveryError::Field { field };
    let whole = r#""room":"lobby","epoch":9,"seq":3,"time_ms":1,"from":"a""#;
    let cases = [
        (framed("[]", None), DeliveryError::NotObject),
        (framed(r#"{"sb":7}"#, None), field("sb")),
        (framed(r#"{"sb":{"ack":7}}"#, None), field("sb")),
        (
            framed(r#"{"sb":{"reset":{"room":"a"}}}"#, None),
            field("epoch"),
        ),
        (framed(r#"{"msg_type":7}"#, None), field("msg_type")),
        (framed(r#"{"msg_type":"msg"}"#, None), field("room")),
        (
            framed(r#"{"msg_type":"msg","room":"a","epoch":-1}"#, None),
            field("epoch"),
        ),
        (
            framed(&format!(r#"{{"msg_type":"msg",{whole},"id":""}}"#), None),
            field("id"),
        ),
        (
            framed(&format!(r#"{{"msg_type":"msg",{whole}}}"#), Some(b"\xff")),
            DeliveryError::NotUtf8,
        ),
    ];
    for (bytes, error) in cases {
        let found = read(&[&bytes]);
        assert_eq!(
            found,
            (vec![], Err(error)),
            "{}",
            String::from_utf8_lossy(&bytes)
        );
    }
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let found = read(&[&framed(&deep, None)]);
    assert!(matches!(found.1, Err(DeliveryError::NotJson { .. })));
}

#[test]
fn lengths_are_bounded_in_both_directions() {
    let max = limits::HEADER_BYTES_MAX;
    let mut long = entry(EntryKind::Text(String::new()));
    let header_bytes = long.encode().unwrap().len() - 8;
    let room_for = max as usize - header_bytes;
    let name = |len: usize| "x".repeat("alice".len() + len);
    for len in [room_for - 1, room_for] {
        long.from = name(len);
        let bytes = long.encode().unwrap();
        assert_eq!(read(&[&bytes]).0, [Delivered::Entry(long.clone())]);
    }
    long.from = name(room_for + 1);
    assert_eq!(
        long.encode(),
        Err(FrameError::TooLong { len: max + 1, max })
    );

    let max = limits::MESSAGE_BYTES_MAX;
    for len in [max - 1, max] {
        let entry = entry(EntryKind::Text("x".repeat(len as usize)));
        assert_eq!(
            read(&[&entry.encode().unwrap()]).0,
            [Delivered::Entry(entry)]
        );
    }
    let over = entry(EntryKind::Text("x".repeat(max as usize + 1)));
    assert_eq!(
        over.encode(),
        Err(FrameError::TooLong { len: max + 1, max })
    );
    let announced = (limits::HEADER_BYTES_MAX + 1).to_le_bytes();
    assert!(matches!(
        read(&[&announced]).1,
        Err(DeliveryError::Frame(FrameError::TooLong { .. }))
    ));
}

fn any_kind() -> impl Strategy<Value = EntryKind> {
    prop_oneof![
        any::<String>().prop_map(EntryKind::Text),
        Just(EntryKind::Joined),
        prop::option::of(any::<String>()).prop_map(|reason| EntryKind::Left { reason }),
        any::<String>().prop_map(|name| EntryKind::Renamed { name }),
        (any::<String>(), any::<u64>()).prop_map(|(file_name, file_bytes)| EntryKind::Stored {
            file_name,
            file_bytes
        }),
        prop::option::of(any::<String>()).prop_map(|topic| EntryKind::Topic { topic }),
    ]
}

fn any_id() -> impl Strategy<Value = Option<MessageId>> {
    prop::option::of("[!-~]{1,64}").prop_map(|id| id.and_then(|id| MessageId::new(&id)))
}

fn any_entry() -> impl Strategy<Value = EntryFrame> {
    let numbers = (
        any::<u64>(),
        any::<u64>(),
        any::<u64>(),
        prop::option::of(any::<u64>()),
    );
    (
        any::<String>(),
        numbers,
        any::<String>(),
        any_id(),
        any_kind(),
    )
        .prop_map(
            |(room, (epoch, seq, time_ms, reply_to), from, id, kind)| EntryFrame {
                room,
                epoch,
                seq,
                time_ms,
                from,
                reply_to,
                id,
                kind,
            },
        )
}

fn any_answer() -> impl Strategy<Value = Answer> {
    let place = || (any::<String>(), any::<u64>());
    prop_oneof![
        (place(), any::<u64>(), any_id(), any::<bool>()).prop_map(
            |((room, epoch), seq, id, durable)| Answer::Ack {
                room,
                epoch,
                seq,
                id,
                durable
            }
        ),
        (place(), any::<u64>()).prop_map(|((room, epoch), seq)| Answer::At { room, epoch, seq }),
        (place(), any::<u64>(), any::<u64>()).prop_map(|((room, epoch), from, to)| Answer::Gap {
            room,
            epoch,
            from,
            to
        }),
        (any::<[u8; 32]>(), any::<u64>(), any_id()).prop_map(|(hash, bytes, id)| Answer::Have {
            hash: ContentHash(hash),
            bytes,
            id,
        }),
        (any_id(), any::<String>()).prop_map(|(id, reason)| Answer::Refused { id, reason }),
        place().prop_map(|(room, epoch)| Answer::Reset { room, epoch }),
    ]
}

fn any_delivered() -> impl Strategy<Value = Delivered> {
    prop_oneof![
        any_entry().prop_map(Delivered::Entry),
        any_answer().prop_map(Delivered::Answer)
    ]
}

fn bytes_of(delivered: &Delivered) -> Vec<u8> {
    match delivered {
        Delivered::Answer(answer) => answer.encode().unwrap(),
        Delivered::Entry(entry) => entry.encode().unwrap(),
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back_however_it_is_cut(
        all in prop::collection::vec(any_delivered(), 0..5),
        cuts in cuts(),
    ) {
        let bytes: Vec<u8> = all.iter().flat_map(bytes_of).collect();
        prop_assert_eq!(read(&cut(&bytes, &cuts)), (all, Ok(())));
    }

    #[test]
    fn every_truncation_is_told(one in any_delivered()) {
        let bytes = bytes_of(&one);
        for len in 1..bytes.len() {
            prop_assert!(read(&[&bytes[..len]]).1.is_err(), "{} of {}", len, bytes.len());
        }
    }

    #[test]
    fn arbitrary_bytes_are_read_without_panicking(
        header in any::<String>(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        for bytes in [framed(&header, Some(&bytes)), bytes] {
            prop_assert!(read(&[&bytes]).0.len() <= 1);
        }
    }
}
