//! What rooms are called, and their topics.

use proptest::prelude::*;
use switchboard_wire::limits::{ROOM_NAME_CHARS_MAX, TOPIC_CHARS_MAX};
use switchboard_wire::name::canonical;
use switchboard_wire::{RoomName, RoomNameError, Topic, TopicError};

#[test]
fn a_room_has_one_name_however_it_is_written() {
    let cases = [
        ("lobby", "lobby"),
        ("Lobby", "lobby"),
        ("ＬＯＢＢＹ", "lobby"),
        ("Rust-Users_2.0", "rust-users_2.0"),
        ("Кухня", "кухня"),
        ("厨房", "厨房"),
        ("Cafe\u{301}", "café"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("İstanbul", "i\u{307}stanbul"),
        ("हिन्दी", "हिन्दी"),
    ];
    for (raw, name) in cases {
        assert_eq!(RoomName::new(raw).unwrap().as_str(), name, "{raw}");
        assert_eq!(RoomName::new(name).unwrap().as_str(), name, "{raw}");
    }
    assert_eq!(RoomName::lobby(), RoomName::new("lobby").unwrap());
}

#[test]
fn what_is_no_name_is_refused_with_its_reason() {
    let character = |character| RoomNameError::Character { character };
    let cases = [
        ("", RoomNameError::Empty),
        ("..", RoomNameError::NoLetter),
        ("_", RoomNameError::NoLetter),
        ("two words", character(' ')),
        ("a/b", character('/')),
        ("#rust", character('#')),
        ("*", character('*')),
        ("a\u{200b}b", character('\u{200b}')),
        ("a\u{202e}b", character('\u{202e}')),
        ("a\nb", character('\n')),
        ("㎧", RoomNameError::Character { character: '㎧' }),
        ("b\u{336}", RoomNameError::Mark { mark: '\u{336}' }),
        // Wide, it has a letter that takes marks; in its form, an ASCII one.
        ("ｑ\u{308}", RoomNameError::Mark { mark: '\u{308}' }),
    ];
    for (raw, error) in cases {
        assert_eq!(RoomName::new(raw), Err(error), "{raw:?}");
    }
}

#[test]
fn a_name_has_at_most_64_characters_before_and_behind_its_form() {
    let max = ROOM_NAME_CHARS_MAX;
    let too_long = Err(RoomNameError::TooLong { max });
    for letter in ["x", "厨", "é"] {
        assert!(RoomName::new(&letter.repeat(max - 1)).is_ok());
        assert!(RoomName::new(&letter.repeat(max)).is_ok());
        assert_eq!(RoomName::new(&letter.repeat(max + 1)), too_long);
    }
    // Each is four letters in the form that counts.
    assert!(RoomName::new(&"Ⅷ".repeat(max / 4)).is_ok());
    assert_eq!(RoomName::new(&"Ⅷ".repeat(max / 4 + 1)), too_long);
    assert_eq!(RoomName::new(&"\u{fdfa}".repeat(max)), too_long);
}

#[test]
fn a_topic_is_one_clean_line_of_at_most_200_characters() {
    let topic = |text: &str| Topic::new(text).map(|topic| topic.to_string());
    assert_eq!(
        topic("  rust \u{1b}[31m& more\r\n"),
        Ok("rust [31m& more".to_owned())
    );
    for nothing in ["", "  ", "\n\u{7}"] {
        assert_eq!(topic(nothing), Err(TopicError::Empty));
    }
    let max = TOPIC_CHARS_MAX;
    assert!(topic(&"图".repeat(max - 1)).is_ok());
    assert!(topic(&"图".repeat(max)).is_ok());
    assert_eq!(
        topic(&"图".repeat(max + 1)),
        Err(TopicError::TooLong { max })
    );
}

proptest! {
    #[test]
    fn a_rooms_name_is_its_own_form(raw in r"[\p{L}\p{M}\p{N}._-]{1,70}") {
        let Ok(name) = RoomName::new(&raw) else { return Ok(()) };
        prop_assert_eq!(name.as_str(), canonical(&raw));
        prop_assert_eq!(canonical(name.as_str()), name.as_str());
        prop_assert_eq!(RoomName::new(name.as_str()), Ok(name.clone()));
        prop_assert!(name.as_str().chars().count() <= ROOM_NAME_CHARS_MAX);
        prop_assert!(!name.as_str().contains([':', '/', ' ', '\n', '"', '\\']));
    }
}
