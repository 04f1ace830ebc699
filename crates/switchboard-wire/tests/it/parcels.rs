//! Parcels: what is read, what is refused, and that cutting changes nothing.

use std::time::Instant;

use proptest::prelude::*;
use switchboard_wire::frame::encode;
use switchboard_wire::limits::{
    FILE_BYTES_MAX, HEADER_BYTES_MAX, JSON_DEPTH_MAX, MESSAGE_BYTES_MAX, MESSAGE_LINES_MAX,
};
use switchboard_wire::parcel::{close_frame, file_header, message_parcel};
use switchboard_wire::{
    FileName, FrameError, NameError, ParcelError, ParcelEvent, ParcelLimits, ParcelMachine, Refusal,
};

use crate::cutting::{cut, cuts};

/// What was read, with the pieces of a file joined: where they were cut is not what was sent.
#[derive(Debug, PartialEq)]
enum Read {
    Close,
    Data(Vec<u8>),
    File(String, u32),
    FileEnd,
    Message(String),
    Refused(Refusal),
}

fn small_limits() -> ParcelLimits {
    ParcelLimits {
        header_bytes: 80,
        message_bytes: 40,
        file_bytes: 100,
        message_lines: 3,
        ..ParcelLimits::default()
    }
}

/// Reads all events of `pieces`, and how the conversation ended.
fn read(limits: ParcelLimits, pieces: &[&[u8]]) -> (Vec<Read>, Result<(), ParcelError>) {
    let now = Instant::now();
    let mut machine = ParcelMachine::new(limits, now);
    let mut all = Vec::new();
    for mut piece in pieces.iter().copied() {
        loop {
            let event = match machine.push(now, &mut piece) {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(machine.push(now, &mut &b"more"[..]), Err(error.clone()));
                    assert_eq!(machine.expire(now), Some(error.clone()));
                    assert_eq!(machine.end(), Err(error.clone()));
                    return (all, Err(error));
                }
            };
            let next = match event {
                ParcelEvent::Close => Read::Close,
                ParcelEvent::FileBegin { name, bytes, .. } => Read::File(name.to_string(), bytes),
                ParcelEvent::FileData(data) => Read::Data(data.to_vec()),
                ParcelEvent::FileEnd => Read::FileEnd,
                event @ (ParcelEvent::FileOffered { .. } | ParcelEvent::Follow(_)) => {
                    panic!("{event:?}")
                }
                ParcelEvent::Message { text, .. } => Read::Message(text),
                ParcelEvent::Refused { what, .. } => Read::Refused(what),
            };
            match (all.last_mut(), next) {
                (_, Read::Data(data)) if data.is_empty() => panic!("data is never empty"),
                (Some(Read::Data(joined)), Read::Data(data)) => joined.extend(data),
                (_, next) => all.push(next),
            }
        }
        assert!(piece.is_empty(), "`None` means that the piece is used up");
    }
    (all, machine.end())
}

fn read_whole(bytes: &[u8]) -> (Vec<Read>, Result<(), ParcelError>) {
    read(small_limits(), &[bytes])
}

/// Any header with any payload.
fn parcel(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    encode(header.as_ref(), &mut out).unwrap();
    encode(payload.as_ref(), &mut out).unwrap();
    out
}

fn message(text: &str) -> Read {
    Read::Message(text.to_owned())
}

/// A parcel and what it should be read as.
fn any_parcel() -> impl Strategy<Value = (Vec<u8>, Vec<Read>)> {
    let file = |name: &str, data: Vec<u8>| {
        let len = u32::try_from(data.len()).unwrap();
        let bytes = [file_header(name, len).unwrap(), data.clone()].concat();
        let mut read = vec![Read::File(FileName::reduce(name).unwrap().to_string(), len)];
        read.extend((len > 0).then_some(Read::Data(data)));
        read.push(Read::FileEnd);
        (bytes, read)
    };
    let refusals = [
        (
            r#"{"msg_type":"dance"}"#,
            Refusal::TypeUnknown {
                msg_type: "dance".to_owned(),
            },
        ),
        (r#"{"msg_type":"file"}"#, Refusal::FileNameMissing),
        ("[]", Refusal::HeaderNotObject),
    ];
    let data = || prop::collection::vec(any::<u8>(), 0..=100);
    prop_oneof![
        "[a-z 图\"]{0,10}".prop_map(|text| (message_parcel(&text).unwrap(), vec![message(&text)])),
        ("[a-z图\"]{1,5}", data()).prop_map(move |(name, data)| file(&name, data)),
        (prop::sample::select(refusals.to_vec()), data()).prop_map(|((header, what), data)| {
            (parcel(header, data), vec![Read::Refused(what)])
        }),
    ]
}

proptest! {
    #[test]
    fn parcels_read_back_as_themselves_however_they_are_cut(
        parcels in prop::collection::vec(any_parcel(), 0..6),
        is_closed in any::<bool>(),
        cuts in cuts(),
    ) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for (parcel, read) in parcels {
            bytes.extend(parcel);
            expected.extend(read);
        }
        if is_closed {
            bytes.extend(close_frame());
            expected.push(Read::Close);
        }
        prop_assert_eq!(read(small_limits(), &cut(&bytes, &cuts)), (expected, Ok(())));
    }

    #[test]
    fn every_truncation_inside_a_parcel_is_refused((bytes, _) in any_parcel()) {
        for len in 1..bytes.len() {
            prop_assert!(read_whole(&bytes[..len]).1.is_err(), "{} of {}", len, bytes.len());
        }
        prop_assert_eq!(read_whole(&bytes).1, Ok(()));
    }

    #[test]
    fn damaged_parcels_mean_the_same_however_they_are_cut(
        parcels in prop::collection::vec(any_parcel(), 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cuts in cuts(),
    ) {
        let mut bytes = parcels.into_iter().flat_map(|(bytes, _)| bytes).collect::<Vec<_>>();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        prop_assert_eq!(read(small_limits(), &cut(&bytes, &cuts)), read_whole(&bytes));
    }

    #[test]
    fn arbitrary_headers_and_bytes_are_read_without_panicking(
        header in any::<String>(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let limits = ParcelLimits::default;
        prop_assert!(read(limits(), &[&parcel(&header, "")]).0.len() <= 1);
        let name = serde_json::json!({"msg_type": "file", "file_name": header}).to_string();
        prop_assert_eq!(read(limits(), &[&parcel(name, &bytes)]).1, Ok(()));
        prop_assert!(read(limits(), &[&bytes]).0.is_empty());
    }
}

#[test]
fn what_python_packs_and_dumps_is_read() {
    // struct.pack('i', len(h)) + h + struct.pack('i', len(p)) + p, with h = json.dumps({...})
    let bytes = b"\x13\0\0\0{\"msg_type\": \"msg\"}\x06\0\0\0\xe4\xbd\xa0\xe5\xa5\xbd\
        \x35\0\0\0{\"msg_type\": \"file\", \"file_name\": \"\\u56fe\\u7247.png\"}\x03\0\0\0\x89PN\
        \x05\0\0\0close";
    let file = Read::File("图片.png".to_owned(), 3);
    let data = Read::Data(b"\x89PN".to_vec());
    let expected = vec![message("你好"), file, data, Read::FileEnd, Read::Close];
    assert_eq!(read_whole(bytes), (expected, Ok(())));
}

#[test]
fn our_parcels_are_written_as_the_old_programs_write_theirs() {
    assert_eq!(
        message_parcel("hi").unwrap(),
        b"\x12\0\0\0{\"msg_type\":\"msg\"}\x02\0\0\0hi"
    );
    let header = b"\x28\0\0\0{\"msg_type\":\"file\",\"file_name\":\"a\\\"b.c\"}\x07\0\0\0";
    assert_eq!(file_header("a\"b.c", 7).unwrap(), header);
    assert_eq!(close_frame(), b"\x05\0\0\0close");
}

#[test]
fn what_is_above_the_limits_is_not_written() {
    let max = MESSAGE_BYTES_MAX;
    let text = "x".repeat(max as usize + 1);
    assert!(message_parcel(&text[2..]).is_ok());
    assert!(message_parcel(&text[1..]).is_ok());
    assert_eq!(
        message_parcel(&text),
        Err(FrameError::TooLong { len: max + 1, max })
    );
    assert_eq!(FILE_BYTES_MAX, i32::MAX.cast_unsigned());
    assert!(file_header("x", FILE_BYTES_MAX - 1).is_ok());
    assert!(file_header("x", FILE_BYTES_MAX).is_ok());
    assert!(file_header("x", FILE_BYTES_MAX + 1).is_err());
    assert!(file_header(&"x".repeat(HEADER_BYTES_MAX as usize), 1).is_err());
}

#[test]
fn unknown_header_fields_are_ignored_and_of_two_equal_keys_the_last_counts() {
    let headers = [
        r#"{"msg_type":"msg","sb":{"v":2,"want":["ack"]},"x":[1.5,null]}"#,
        r#"{"msg_type":"file","msg_type":"msg"}"#,
        " {\"msg_\\u0074ype\" :\n\"msg\"} ",
    ];
    for header in headers {
        assert_eq!(
            read_whole(&parcel(header, "hi")),
            (vec![message("hi")], Ok(())),
            "{header}"
        );
    }
}

#[test]
fn a_header_that_cannot_be_used_is_refused_once_and_the_conversation_goes_on() {
    let unknown = |msg_type: &str| Refusal::TypeUnknown {
        msg_type: msg_type.to_owned(),
    };
    let cases = [
        ("{}", Refusal::TypeMissing),
        (r#"{"msg_type":7}"#, Refusal::TypeNotText),
        (r#"{"msg_type":null}"#, Refusal::TypeNotText),
        (r#"{"msg_type":"MSG"}"#, unknown("MSG")),
        (r#"{"msg_type":"\u001b[2J\u202e"}"#, unknown("[2J")),
        (
            r#"{"msg_type":"0123456789012345678901234567890123456789"}"#,
            unknown(&"0123456789".repeat(4)[..32]),
        ),
        (r#"{"msg_type":"file"}"#, Refusal::FileNameMissing),
        (
            r#"{"msg_type":"file","file_name":["x"]}"#,
            Refusal::FileNameNotText,
        ),
        (
            r#"{"msg_type":"file","file_name":".."}"#,
            Refusal::FileNameUnusable(NameError::Dots),
        ),
        (
            r#"{"msg_type":"file","file_name":"a\u0000"}"#,
            Refusal::FileNameUnusable(NameError::Nul),
        ),
        (r#"["msg_type"]"#, Refusal::HeaderNotObject),
        ("null", Refusal::HeaderNotObject),
        ("\"close\"", Refusal::HeaderNotObject),
    ];
    for (header, what) in cases {
        for payload in [vec![], vec![0xff; 100]] {
            let mut bytes = parcel(header, payload);
            bytes.extend(message_parcel("still here").unwrap());
            let expected = vec![Read::Refused(what.clone()), message("still here")];
            assert_eq!(read_whole(&bytes), (expected, Ok(())), "{header}");
        }
    }
}

#[test]
fn a_message_that_cannot_be_used_is_refused_and_the_conversation_goes_on() {
    let lines = Refusal::MessageTooManyLines { lines: 4, max: 3 };
    let cases: [(&[u8], Refusal); 3] = [
        (b"ab\xff", Refusal::MessageNotUtf8 { valid_bytes: 2 }),
        (b"1\n2\n3\n4", lines.clone()),
        (b"\n\r\n\n\n", lines),
    ];
    for (payload, what) in cases {
        let mut bytes = parcel(r#"{"msg_type":"msg"}"#, payload);
        bytes.extend(message_parcel("1\n2\n3\n").unwrap());
        let expected = vec![Read::Refused(what), message("1\n2\n3\n")];
        assert_eq!(read_whole(&bytes), (expected, Ok(())));
    }
}

#[test]
fn a_message_has_4096_lines_unless_it_is_told_otherwise() {
    let max = MESSAGE_LINES_MAX;
    assert_eq!(max, 4_096);
    let refused = Refusal::MessageTooManyLines {
        lines: max + 1,
        max,
    };
    for (lines, what) in [(max - 1, None), (max, None), (max + 1, Some(refused))] {
        let text = "x\n".repeat(lines);
        let expected = what.map_or_else(|| message(&text), Read::Refused);
        let bytes = message_parcel(&text).unwrap();
        let (events, end) = read(ParcelLimits::default(), &[&bytes]);
        assert_eq!((events, end), (vec![expected], Ok(())), "{lines}");
    }
}

#[test]
fn a_header_that_is_not_json_ends_the_conversation() {
    let deep = "[".repeat(200) + &"]".repeat(200);
    let headers = [
        "",
        " ",
        "{",
        "close ",
        "CLOSE",
        "{\"msg_type\":\"\\ud800\"}",
        "{} x",
        "NaN",
        &deep,
    ];
    for header in headers {
        let (events, end) = read(ParcelLimits::default(), &[&parcel(header, "hi")]);
        assert!(events.is_empty());
        let Err(ParcelError::HeaderNotJson { bytes, .. }) = end else {
            panic!("{header}: {end:?}")
        };
        assert_eq!(bytes, header.len());
    }
    let (_, end) = read_whole(&parcel(b"{\"msg_type\":\"\xff\"}", ""));
    assert!(matches!(end, Err(ParcelError::HeaderNotJson { .. })));
}

#[test]
fn a_header_nests_as_deep_as_the_limit_and_no_deeper() {
    // One level is the header itself.
    let nested = |depth: usize, open: &str, close: &str| {
        let (open, close) = (open.repeat(depth - 1), close.repeat(depth - 1));
        format!(r#"{{"msg_type":"msg","x":{open}0{close}}}"#)
    };
    for (depth, fits) in [
        (JSON_DEPTH_MAX - 1, true),
        (JSON_DEPTH_MAX, true),
        (JSON_DEPTH_MAX + 1, false),
        (16_000, false),
    ] {
        for (open, close) in [("[", "]"), (r#"{"x":"#, "}")] {
            let header = nested(depth.min(10_000), open, close);
            let (events, end) = read(ParcelLimits::default(), &[&parcel(&header, "hi")]);
            let refused = matches!(&end, Err(ParcelError::HeaderNotJson { reason, .. })
                if reason == "it nests deeper than 32");
            assert_eq!(events == [message("hi")], fits, "{depth}");
            assert_eq!(refused, !fits, "{depth}: {end:?}");
        }
    }
    // Side by side, and within texts, nothing nests.
    let brackets = "[".repeat(100);
    let wide = "[],".repeat(1_000) + "{}";
    for header in [
        format!(r#"{{"msg_type":"msg","x":"{brackets}\\\"{brackets}"}}"#),
        format!(r#"{{"msg_type":"msg","x":[{wide}]}}"#),
    ] {
        let expected = (vec![message("hi")], Ok(()));
        assert_eq!(
            read(ParcelLimits::default(), &[&parcel(&header, "hi")]),
            expected,
            "{header}"
        );
    }
}

#[test]
fn numbers_texts_and_keys_of_a_header_are_bounded_by_its_bytes() {
    let ends = |header: &str| read(ParcelLimits::default(), &[&parcel(header, "hi")]).1;
    let not_json =
        |end: &Result<(), ParcelError>| matches!(end, Err(ParcelError::HeaderNotJson { .. }));
    for header in [
        r#"{"msg_type":"msg","x":1e999999}"#,
        r#"{"msg_type":"msg","x":"\ud800"}"#,
        r#"{"msg_type":"msg","x":"\udc00\ud800"}"#,
        r#"{"msg_type":"msg","x":00}"#,
        "{\"msg_type\":\"msg\",\"x\":\"\n\"}",
    ] {
        assert!(not_json(&ends(header)), "{header}");
    }
    for header in [
        r#"{"msg_type":"msg","x":1e-999999}"#.to_owned(),
        format!(r#"{{"msg_type":"msg","x":{}}}"#, "9".repeat(300)),
        format!(r#"{{"msg_type":"msg",{}"x":0}}"#, r#""x":1,"#.repeat(5_000)),
        format!(r#"{{"msg_type":"msg","x":"{}"}}"#, "y".repeat(60_000)),
    ] {
        assert_eq!(ends(&header), Ok(()), "{}", &header[..40]);
    }
    let long = format!(r#"{{"msg_type":"msg","x":"{}"}}"#, "y".repeat(10 << 20));
    assert!(matches!(
        ends(&long),
        Err(ParcelError::Frame(FrameError::TooLong { .. }))
    ));
}

#[test]
fn lengths_are_taken_up_to_the_limit_and_refused_with_their_prefix() {
    let msg = r#"{"msg_type":"msg"}"#;
    let file = r#"{"msg_type":"file","file_name":"x"}"#;
    let with_payload = |header: &str, len| parcel(header, vec![b'x'; len]);
    let with_header = |header: &str, len| parcel(format!("{header:len$}"), "hi");
    type Build<'a> = &'a dyn Fn(&str, usize) -> Vec<u8>;
    let cases: [(u32, Build<'_>, &str, usize); 4] = [
        (80, &with_header, msg, 4),
        (40, &with_payload, msg, 4 + msg.len() + 4),
        (100, &with_payload, file, 4 + file.len() + 4),
        (100, &with_payload, "{}", 4 + 2 + 4),
    ];
    for (max, build, header, prefix_end) in cases {
        for len in [max - 1, max] {
            assert_eq!(read_whole(&build(header, len as usize)).1, Ok(()));
        }
        let mut bytes = build(header, max as usize + 1);
        let error = ParcelError::Frame(FrameError::TooLong { len: max + 1, max });
        assert_eq!(
            read_whole(&bytes[..prefix_end]).1,
            Err(error),
            "no body has arrived"
        );

        bytes[prefix_end - 1] = 0xff;
        let end = read_whole(&bytes[..prefix_end]).1;
        assert!(matches!(
            end,
            Err(ParcelError::Frame(FrameError::Negative { .. }))
        ));
    }
}

#[test]
fn a_stream_may_end_between_parcels_and_nowhere_else() {
    let header = b"\x12\0\0\0{\"msg_type\":\"msg\"}";
    assert_eq!(read_whole(b"").1, Ok(()));
    assert_eq!(read_whole(header).1, Err(ParcelError::TruncatedParcel));
    let inside = |have, want| Err(ParcelError::Frame(FrameError::UnexpectedEnd { have, want }));
    assert_eq!(read_whole(&header[..6]).1, inside(2, 18));
    assert_eq!(read_whole(&[&header[..], &[9]].concat()).1, inside(1, 4));
    let file = [file_header("x", 9).unwrap(), b"abc".to_vec()].concat();
    assert_eq!(read_whole(&file).1, inside(3, 9));
    assert_eq!(read_whole(&file_header("x", 0).unwrap()).1, Ok(()));
}

#[test]
fn everything_after_close_is_ignored() {
    let bytes = [
        close_frame(),
        vec![0xff; 500],
        message_parcel("late").unwrap(),
    ]
    .concat();
    assert_eq!(read_whole(&bytes), (vec![Read::Close], Ok(())));
}

#[test]
fn a_files_bytes_are_lent_not_copied() {
    let now = Instant::now();
    let mut machine = ParcelMachine::new(ParcelLimits::default(), now);
    let bytes = [file_header("x", 5).unwrap(), b"hello!".to_vec()].concat();
    let mut rest = bytes.as_slice();
    assert!(matches!(
        machine.push(now, &mut rest),
        Ok(Some(ParcelEvent::FileBegin { .. }))
    ));
    let Ok(Some(ParcelEvent::FileData(data))) = machine.push(now, &mut rest) else {
        panic!()
    };
    assert!(std::ptr::eq(data, &bytes[bytes.len() - 6..bytes.len() - 1]));
    assert_eq!(machine.push(now, &mut rest), Ok(Some(ParcelEvent::FileEnd)));
}
