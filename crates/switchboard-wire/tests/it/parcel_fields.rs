//! What a parcel's header says besides its type: rooms, names, numbers, and the wish for answers.

use std::time::Instant;

use proptest::prelude::*;
use switchboard_wire::frame::{encode, prefix};
use switchboard_wire::limits::{FILE_BYTES_MAX, MESSAGE_ID_BYTES_MAX};
use switchboard_wire::parcel::{
    file_header_with, file_offer, join_parcel, message_parcel, message_parcel_with,
};
use switchboard_wire::{
    Content, ContentHash, Fields, Follow, MessageId, Nick, NickError, ParcelEvent, ParcelLimits,
    ParcelMachine, Refusal, RoomName, RoomNameError,
};

/// The events of a parcel with this header and `payload`.
fn read(header: &str, payload: &[u8]) -> Vec<ParcelEvent<'static>> {
    let mut bytes = Vec::new();
    encode(header.as_bytes(), &mut bytes).unwrap();
    encode(payload, &mut bytes).unwrap();
    read_bytes(&bytes)
}

fn read_bytes(bytes: &[u8]) -> Vec<ParcelEvent<'static>> {
    let now = Instant::now();
    let mut machine = ParcelMachine::new(ParcelLimits::default(), now);
    let mut rest = bytes;
    let mut events = Vec::new();
    while let Some(event) = machine.push(now, &mut rest).unwrap() {
        events.push(match event {
            ParcelEvent::Close => ParcelEvent::Close,
            ParcelEvent::FileBegin {
                name,
                bytes,
                fields,
            } => ParcelEvent::FileBegin {
                name,
                bytes,
                fields,
            },
            ParcelEvent::FileData(_) => continue,
            ParcelEvent::FileEnd => ParcelEvent::FileEnd,
            ParcelEvent::FileOffered { content, id } => ParcelEvent::FileOffered { content, id },
            ParcelEvent::Follow(follow) => ParcelEvent::Follow(follow),
            ParcelEvent::Message { text, fields } => ParcelEvent::Message { text, fields },
            ParcelEvent::Refused { what, fields } => ParcelEvent::Refused { what, fields },
        });
    }
    machine.end().unwrap();
    events
}

fn fields(header: &str) -> Fields {
    match &read(header, b"hi")[..] {
        [ParcelEvent::Message { text, fields }] if text == "hi" => fields.clone(),
        other => panic!("{header}: {other:?}"),
    }
}

fn refusal(header: &str) -> (Refusal, Fields) {
    match &read(header, b"hi")[..] {
        [ParcelEvent::Refused { what, fields }] => (what.clone(), fields.clone()),
        other => panic!("{header}: {other:?}"),
    }
}

fn room(name: &str) -> RoomName {
    RoomName::new(name).unwrap()
}

fn nick(name: &str) -> Nick {
    Nick::new(name).unwrap()
}

fn id(id: &str) -> MessageId {
    MessageId::new(id).unwrap()
}

#[test]
fn a_header_may_name_a_room_an_author_an_entry_and_its_own_number() {
    let header = r#"{"msg_type":"msg","room":"Kitchen","from":"alice","reply_to":7,"id":"a-1"}"#;
    let expected = Fields {
        room: Some(room("kitchen")),
        from: Some(nick("alice")),
        reply_to: Some(7),
        id: Some(id("a-1")),
        ..Fields::default()
    };
    assert_eq!(fields(header), expected);
    assert_eq!(fields(r#"{"msg_type":"msg"}"#), Fields::default());
    assert_eq!(fields(r#"{"msg_type": "msg"}"#), Fields::default());
    assert_eq!(
        fields(r#"{"msg_type":"msg","rooms":7,"From":[],"x":{}}"#),
        Fields::default()
    );
}

#[test]
fn only_the_second_version_of_the_extension_asks_for_answers() {
    let cases = [
        (r#"{"v":2,"want":["ack"]}"#, true),
        (r#"{"v":2,"want":["resume","ack","later"],"more":1}"#, true),
        (r#"{"v":2,"want":[]}"#, false),
        (r#"{"v":2}"#, false),
        (r#"{"v":1,"want":["ack"]}"#, false),
        (r#"{"v":3,"want":7}"#, false),
    ];
    for (sb, wants_ack) in cases {
        let header = format!(r#"{{"msg_type":"msg","sb":{sb}}}"#);
        assert_eq!(fields(&header).wants_ack, wants_ack, "{sb}");
    }
}

#[test]
fn a_file_may_say_what_it_is_as_a_whole() {
    let hash = "0f".repeat(32);
    let file = |sb: &str| format!(r#"{{"msg_type":"file","file_name":"x","id":"7","sb":{sb}}}"#);
    let content = Content {
        bytes: 9,
        hash: ContentHash([15; 32]),
    };
    assert_eq!(content.hash.to_string(), hash);
    let sb = format!(
        r#"{{"v":2,"want":["resume"],"size":9,"blake3":"{}"}}"#,
        hash.to_uppercase()
    );
    let header = file(&sb);
    let events = read(&header, b"hi");
    let offered = ParcelEvent::FileOffered {
        content,
        id: Some(id("7")),
    };
    assert_eq!(events[0], offered, "told before its payload");
    match &events[1] {
        ParcelEvent::FileBegin {
            bytes: 2, fields, ..
        } => {
            assert!(fields.wants_resume && fields.content == Some(content));
        }
        other => panic!("{other:?}"),
    }
    let checked = file(&format!(r#"{{"v":2,"size":9,"blake3":"{hash}"}}"#));
    match &read(&checked, b"hi")[0] {
        ParcelEvent::FileBegin { fields, .. } => assert_eq!(fields.content, Some(content)),
        other => panic!("{other:?}"),
    }
    let of_another_version = file(&format!(r#"{{"v":3,"size":"x","blake3":"{hash}"}}"#));
    assert!(matches!(
        &read(&of_another_version, b"hi")[0],
        ParcelEvent::FileBegin { fields, .. } if fields.content.is_none()
    ));
}

#[test]
fn a_file_that_is_to_be_resumed_says_what_it_is() {
    let size = || Refusal::FieldNotNumber { field: "size" };
    let large = Refusal::FileTooLarge {
        bytes: u64::MAX,
        max: FILE_BYTES_MAX,
    };
    let hash = format!(r#","blake3":"{}""#, "0f".repeat(32));
    let not_ascii = format!(r#","size":9,"blake3":"{}""#, "é".repeat(32));
    for (content, what) in [
        ("", Refusal::ContentMissing),
        (r#","size":9"#, Refusal::ContentMissing),
        (&hash, size()),
        (&format!(r#","size":-1{hash}"#), size()),
        (r#","size":9,"blake3":"0f""#, Refusal::HashUnusable),
        (&not_ascii, Refusal::HashUnusable),
        (&format!(r#","size":{}{hash}"#, u64::MAX), large),
    ] {
        let sb = format!(r#"{{"v":2,"want":["resume"]{content}}}"#);
        let header = format!(r#"{{"msg_type":"file","file_name":"x","sb":{sb}}}"#);
        let (found, fields) = refusal(&header);
        assert_eq!(found, what, "{sb}");
        assert!(fields.is_answered(), "{sb}");
    }
}

#[test]
fn a_field_of_a_wrong_type_is_refused_with_its_parcel_and_the_conversation_goes_on() {
    let not_text = |field| Refusal::FieldNotText { field };
    let not_number = |field| Refusal::FieldNotNumber { field };
    let room_unusable = |character| Refusal::RoomUnusable(RoomNameError::Character { character });
    let reserved = NickError::Reserved {
        nick: "root".to_owned(),
    };
    let long_id = format!(r#""id":"{}""#, "x".repeat(MESSAGE_ID_BYTES_MAX + 1));
    let cases = [
        (r#""room":7"#, not_text("room")),
        (r#""room":null"#, not_text("room")),
        (r#""room":"a b""#, room_unusable(' ')),
        (r#""from":["alice"]"#, not_text("from")),
        (r#""from":"root""#, Refusal::FromUnusable(reserved)),
        (r#""reply_to":"7""#, not_number("reply_to")),
        (r#""reply_to":-1"#, not_number("reply_to")),
        (r#""reply_to":1.5"#, not_number("reply_to")),
        (r#""reply_to":0"#, not_number("reply_to")),
        (r#""reply_to":18446744073709551616"#, not_number("reply_to")),
        (r#""id":7"#, not_text("id")),
        (r#""id":"""#, Refusal::IdUnusable),
        (r#""id":"two words""#, Refusal::IdUnusable),
        (long_id.as_str(), Refusal::IdUnusable),
        (r#""sb":7"#, Refusal::ExtensionMalformed),
        (r#""sb":{}"#, Refusal::ExtensionMalformed),
        (r#""sb":{"v":"2"}"#, Refusal::ExtensionMalformed),
        (r#""sb":{"v":2,"want":"ack"}"#, Refusal::ExtensionMalformed),
        (r#""sb":{"v":2,"want":[1]}"#, Refusal::ExtensionMalformed),
        (r#""sb":{"v":2,"since":-1}"#, not_number("since")),
    ];
    for (field, what) in cases {
        let header = format!(r#"{{"msg_type":"msg",{field}}}"#);
        let mut bytes = Vec::new();
        encode(header.as_bytes(), &mut bytes).unwrap();
        encode(b"\xff anything", &mut bytes).unwrap();
        bytes.extend(message_parcel("still here").unwrap());
        let events = read_bytes(&bytes);
        let [
            ParcelEvent::Refused { what: found, .. },
            ParcelEvent::Message { text, .. },
        ] = &events[..]
        else {
            panic!("{header}: {events:?}");
        };
        assert_eq!((found, text.as_str()), (&what, "still here"), "{header}");
    }
}

#[test]
fn an_id_has_1_to_64_printable_characters() {
    assert!(MessageId::new("").is_none());
    for len in [1, MESSAGE_ID_BYTES_MAX - 1, MESSAGE_ID_BYTES_MAX] {
        let id = "~".repeat(len);
        assert_eq!(MessageId::new(&id).unwrap().as_str(), id);
    }
    assert!(MessageId::new(&"~".repeat(MESSAGE_ID_BYTES_MAX + 1)).is_none());
    assert!(MessageId::new("é").is_none() && MessageId::new("a\n").is_none());
}

#[test]
fn what_is_refused_still_tells_who_wants_to_know() {
    let header = r#"{"msg_type":"dance","id":"7","sb":{"v":2,"want":["ack"]}}"#;
    let (what, fields) = refusal(header);
    assert!(matches!(what, Refusal::TypeUnknown { .. }));
    assert!(fields.wants_ack);
    assert_eq!(fields.id, Some(id("7")));
    let message = r#"{"msg_type":"msg","id":"8","sb":{"v":2,"want":["ack"]}}"#;
    let events = read(message, b"\xff");
    let [ParcelEvent::Refused { fields, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert!(fields.wants_ack && fields.id == Some(id("8")));
}

#[test]
fn a_join_follows_a_room_and_its_payload_counts_for_nothing() {
    let plain = Follow {
        room: RoomName::lobby(),
        from: None,
        since: None,
        epoch: None,
    };
    let full = Follow {
        room: room("kitchen"),
        from: Some(nick("bob")),
        since: Some(41),
        epoch: Some(u64::MAX),
    };
    let cases = [
        (r#"{"msg_type":"join","sb":{"v":2}}"#, plain),
        (
            r#"{"msg_type":"join","room":"kitchen","from":"bob","sb":{"v":2,"since":41,
                "epoch":18446744073709551615}}"#,
            full,
        ),
    ];
    for (header, follow) in cases {
        for payload in [&b""[..], b"\xff\xff"] {
            assert_eq!(read(header, payload), [ParcelEvent::Follow(follow.clone())]);
        }
        assert_eq!(
            read_bytes(&join_parcel(&follow)),
            [ParcelEvent::Follow(follow)]
        );
    }
    for header in [
        r#"{"msg_type":"join"}"#,
        r#"{"msg_type":"join","sb":{"v":1}}"#,
    ] {
        assert_eq!(refusal(header).0, Refusal::JoinUnanswered);
    }
}

#[test]
fn a_join_that_can_not_be_used_is_answered_unasked() {
    for wrong in [
        r#""room":5,"sb":{"v":2}"#,
        r#""room":"..","sb":{"v":2}"#,
        r#""from":"two words","sb":{"v":2}"#,
        r#""sb":{"v":2,"since":-1}"#,
        r#""sb":{"v":2,"epoch":"x"}"#,
        r#""sb":{"v":2,"want":"ack"}"#,
    ] {
        let header = format!(r#"{{"msg_type":"join",{wrong}}}"#);
        assert!(refusal(&header).1.is_answered(), "{header}");
    }
    // The version is one of which nothing is known, and the sender may not read.
    let other = r#"{"msg_type":"join","room":5,"sb":{"v":1}}"#;
    assert!(!refusal(other).1.is_answered());
}

#[test]
fn our_headers_are_written_in_one_order() {
    let fields = Fields {
        room: Some(room("kitchen")),
        from: Some(nick("алиса")),
        reply_to: Some(7),
        id: Some(id("\"1\"")),
        wants_ack: true,
        ..Fields::default()
    };
    let header = concat!(
        r#"{"msg_type":"msg","room":"kitchen","from":"алиса","reply_to":7,"id":"\"1\"","#,
        r#""sb":{"v":2,"want":["ack"]}}"#
    );
    let mut expected = Vec::new();
    encode(header.as_bytes(), &mut expected).unwrap();
    encode(b"hi", &mut expected).unwrap();
    assert_eq!(message_parcel_with("hi", &fields).unwrap(), expected);
    assert_eq!(
        message_parcel_with("hi", &Fields::default()),
        message_parcel("hi"),
        "the plain form stays as it is"
    );
    let follow = Follow {
        room: RoomName::lobby(),
        from: None,
        since: Some(0),
        epoch: None,
    };
    assert_eq!(
        join_parcel(&follow),
        b"\x39\0\0\0{\"msg_type\":\"join\",\"room\":\"lobby\",\"sb\":{\"v\":2,\"since\":0}}\0\0\0\0"
    );
}

fn any_fields() -> impl Strategy<Value = Fields> {
    (
        prop::option::of("[a-z厨é]{1,8}"),
        prop::option::of("[a-zA-Z厨é]{9,12}"),
        prop::option::of(1..=u64::MAX),
        prop::option::of("[!-~]{1,64}"),
        any::<bool>(),
    )
        .prop_map(|(room, from, reply_to, id, wants_ack)| Fields {
            room: room.map(|room| RoomName::new(&room).unwrap()),
            from: from.map(|from| Nick::new(&from).unwrap()),
            reply_to,
            id: id.map(|id| MessageId::new(&id).unwrap()),
            wants_ack,
            ..Fields::default()
        })
}

fn any_content() -> impl Strategy<Value = Content> {
    (0..=u64::from(FILE_BYTES_MAX), any::<[u8; 32]>()).prop_map(|(bytes, hash)| Content {
        bytes,
        hash: ContentHash(hash),
    })
}

proptest! {
    #[test]
    fn each_header_reads_back_as_itself(fields in any_fields(), text in any::<String>()) {
        let bytes = message_parcel_with(&text, &fields).unwrap();
        let event = ParcelEvent::Message { text, fields: fields.clone() };
        prop_assert_eq!(read_bytes(&bytes), [event]);
        let bytes = file_header_with("x", 0, &fields).unwrap();
        let events = read_bytes(&bytes);
        let is_same = matches!(
            &events[..],
            [ParcelEvent::FileBegin { fields: found, .. }, ParcelEvent::FileEnd]
                if *found == fields
        );
        prop_assert!(is_same);
    }

    #[test]
    fn each_header_of_a_file_that_is_known_as_a_whole_reads_back_as_itself(
        fields in any_fields(),
        content in any_content(),
        wants_resume in any::<bool>(),
    ) {
        let fields = Fields { wants_resume, content: Some(content), ..fields };
        let mut bytes = file_offer("x", &fields).unwrap();
        bytes.extend(prefix(0).unwrap());
        prop_assert_eq!(&bytes, &file_header_with("x", 0, &fields).unwrap());
        let events = read_bytes(&bytes);
        let offered = ParcelEvent::FileOffered {
            content,
            id: fields.id.clone(),
        };
        prop_assert_eq!(events.first() == Some(&offered), wants_resume);
        let is_same = matches!(
            &events[usize::from(wants_resume)..],
            [ParcelEvent::FileBegin { fields: found, .. }, ParcelEvent::FileEnd]
                if *found == fields
        );
        prop_assert!(is_same);
    }

    #[test]
    fn any_value_in_any_field_is_read_without_panicking(
        field in prop::sample::select(vec!["room", "from", "reply_to", "id", "sb", "msg_type"]),
        value in any::<String>(),
    ) {
        let header = serde_json::json!({"msg_type": "msg", field: value}).to_string();
        prop_assert_eq!(read(&header, b"hi").len(), 1);
    }
}
