//! Chat lines: endings, limits, cuttings, and what the others receive.

use proptest::prelude::*;
use switchboard_wire::limits::LINE_BYTES_MAX;
use switchboard_wire::{Command, Line, LineDecoder, chat_lines, notice};

use crate::cutting::{cut, cuts};

/// Reads all lines of `pieces`, the last unterminated one too.
fn read(limit: usize, pieces: &[&[u8]]) -> Vec<Line> {
    let mut decoder = LineDecoder::new(limit);
    let mut lines = Vec::new();
    for mut piece in pieces.iter().copied() {
        while let Some(line) = decoder.push(&mut piece) {
            lines.push(line);
        }
        assert!(piece.is_empty(), "`None` means that the piece is used up");
    }
    lines.extend(decoder.end());
    assert!(!decoder.is_inside());
    assert_eq!(decoder.end(), None);
    lines
}

fn text(text: &str) -> Line {
    Line::Text(text.to_owned())
}

/// Bytes of which many are line endings, and some are not UTF-8.
fn line_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => b'a'..=b'c',
        1 => Just(b'\n'),
        1 => Just(b'\r'),
        1 => prop::sample::select("é".as_bytes()),
    ];
    prop::collection::vec(byte, 0..120)
}

/// What a decoder should say, found in the slow and obvious way.
fn expected(limit: usize, bytes: &[u8]) -> Vec<Line> {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    lines.pop_if(|line| line.is_empty());
    let read = |line: &&[u8]| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > limit {
            return Line::TooLong;
        }
        std::str::from_utf8(line).map_or(Line::NotUtf8, text)
    };
    lines.iter().map(read).collect()
}

proptest! {
    #[test]
    fn lines_are_the_same_however_they_are_cut(
        bytes in line_bytes(),
        limit in 0..12usize,
        cuts in cuts(),
    ) {
        prop_assert_eq!(read(limit, &cut(&bytes, &cuts)), expected(limit, &bytes));
    }

    #[test]
    fn arbitrary_bytes_are_read_without_panicking(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        limit in 0..100usize,
        cuts in cuts(),
    ) {
        for line in read(limit, &cut(&bytes, &cuts)) {
            if let Line::Text(text) = line {
                prop_assert!(text.len() <= limit);
                prop_assert_eq!(Command::parse(&text).is_some(), text.starts_with('/'));
            }
        }
    }

    #[test]
    fn what_the_others_receive_is_whole_lines_of_one_author(words in any::<String>()) {
        let Some(lines) = chat_lines("alice", &words) else { return Ok(()) };
        let lines = std::str::from_utf8(&lines).unwrap();
        prop_assert!(lines.ends_with('\n'));
        for line in lines.lines() {
            prop_assert!(line.strip_prefix("alice:").is_some_and(|rest| !rest.trim().is_empty()));
        }
        prop_assert!(lines.lines().count() <= words.split('\n').count());
    }
}

#[test]
fn a_line_ends_at_a_newline_with_or_without_a_carriage_return() {
    assert_eq!(
        read(9, &[b"a\nb\r\n\nc\r\r\nd"]),
        ["a", "b", "", "c\r", "d"].map(text)
    );
}

#[test]
fn a_line_of_the_limit_is_fine_and_one_more_byte_is_not() {
    for ending in ["", "\n", "\r\n"] {
        for piece_bytes in [1, 3, LINE_BYTES_MAX, LINE_BYTES_MAX * 2] {
            let read = |len| {
                let bytes = ["x".repeat(len), ending.to_owned()].concat();
                let pieces: Vec<&[u8]> = bytes.as_bytes().chunks(piece_bytes).collect();
                read(LINE_BYTES_MAX, &pieces)
            };
            for len in [LINE_BYTES_MAX - 1, LINE_BYTES_MAX] {
                assert_eq!(read(len), [text(&"x".repeat(len))]);
            }
            assert_eq!(read(LINE_BYTES_MAX + 1), [Line::TooLong]);
        }
    }
}

#[test]
fn an_overlong_line_is_told_once_and_never_split() {
    let mut decoder = LineDecoder::new(4);
    assert_eq!(decoder.push(&mut &b"abc"[..]), None);
    assert_eq!(
        decoder.push(&mut &b"de"[..]),
        Some(Line::TooLong),
        "before its newline"
    );
    assert!(decoder.is_inside());
    for _ in 0..100 {
        assert_eq!(decoder.push(&mut &b"more of it"[..]), None);
    }
    let mut bytes = &b"tail\nnext\n"[..];
    assert_eq!(decoder.push(&mut bytes), Some(text("next")));
    assert_eq!(
        decoder.push(&mut &b"again too long"[..]),
        Some(Line::TooLong)
    );
    assert_eq!(decoder.end(), None);
}

#[test]
fn a_line_that_is_not_utf_8_is_told_and_the_next_one_read() {
    let lines = [Line::NotUtf8, text("ok"), Line::NotUtf8];
    assert_eq!(read(9, &[b"\xff\nok\n\xc3"]), lines);
    assert_eq!(
        read(9, &[b"\xc3", b"\xa9\n"]),
        [text("é")],
        "a character may be cut"
    );
}

#[test]
fn a_line_begun_in_an_earlier_piece_takes_no_more_room_than_the_limit() {
    let mut decoder = LineDecoder::new(1000);
    for piece in [b'x'; 1000].chunks(9) {
        assert_eq!(decoder.push(&mut &*piece), None);
    }
    let Some(Line::Text(line)) = decoder.push(&mut &b"\n"[..]) else {
        panic!("one line")
    };
    assert!(line.len() == 1000 && line.capacity() <= 1001);
}

#[test]
fn each_line_of_a_text_has_its_author_in_front() {
    let lines = chat_lines("1.2.3.4:5", "one\r\ntwo\n\n \t\n\x1b[31mred\x1b[0m\rx");
    assert_eq!(
        lines.unwrap(),
        "1.2.3.4:5:one\n1.2.3.4:5:two\n1.2.3.4:5:[31mred[0mx\n"
    );
}

#[test]
fn a_text_of_nothing_visible_is_no_line() {
    for text in ["", "\n", " \t \r\n", "\x07\u{202e}\n\u{2028}"] {
        assert_eq!(chat_lines("alice", text), None, "{text:?}");
    }
}

#[test]
fn a_notice_is_one_line_that_begins_with_a_star() {
    assert_eq!(
        notice("bob joined\n* carol left\x07"),
        "* bob joined* carol left\n"
    );
}
