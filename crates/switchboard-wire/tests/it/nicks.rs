//! Nicks: who may be called what.

use proptest::prelude::*;
use switchboard_wire::limits::{NAME_MARKS_MAX, NICK_CHARS_MAX};
use switchboard_wire::name::{RESERVED_NICKS, canonical, is_ignorable};
use switchboard_wire::{Nick, NickError};

#[test]
fn letters_and_digits_of_any_script_make_a_nick() {
    for nick in [
        "a",
        "7",
        "Алиса",
        "李雷",
        "j-p_s.2",
        "_x_",
        "1.2.3.4",
        "administratorin",
    ] {
        assert_eq!(
            Nick::new(nick).map(|nick| nick.to_string()),
            Ok(nick.to_owned())
        );
    }
}

#[test]
fn a_nick_has_at_most_32_characters_however_many_bytes() {
    assert_eq!(NICK_CHARS_MAX, 32);
    for len in [NICK_CHARS_MAX - 1, NICK_CHARS_MAX] {
        assert!(Nick::new(&"é".repeat(len)).is_ok());
    }
    assert_eq!(
        Nick::new(&"é".repeat(NICK_CHARS_MAX + 1)),
        Err(NickError::TooLong {
            max: NICK_CHARS_MAX
        })
    );
}

#[test]
fn a_nick_that_could_be_taken_for_something_else_is_refused() {
    assert_eq!(Nick::new(""), Err(NickError::Empty));
    assert_eq!(Nick::new("-._"), Err(NickError::NoLetter));
    let cases = [
        ("1.2.3.4:5", ':'),
        ("a b", ' '),
        ("a\u{202e}b", '\u{202e}'),
        ("*a", '*'),
    ];
    for (nick, character) in cases {
        assert_eq!(Nick::new(nick), Err(NickError::Character { character }));
    }
}

#[test]
fn nobody_speaks_for_the_hub() {
    for reserved in RESERVED_NICKS {
        let wide: String = reserved.chars().map(full_width).collect();
        for nick in [reserved.to_owned(), reserved.to_uppercase(), wide] {
            assert_eq!(Nick::new(&nick), Err(NickError::Reserved { nick }));
        }
    }
    for nick in ["admins", "root7", "a.l.l"] {
        assert!(Nick::new(nick).is_ok(), "{nick}");
    }
}

/// The form of an ASCII character that is as wide as a Chinese one.
fn full_width(c: char) -> char {
    char::from_u32(u32::from(c) - u32::from('!') + 0xff01).unwrap()
}

#[test]
fn nicks_that_differ_in_case_width_or_encoding_are_one() {
    let cases = [
        ("Alice", "aLICE"),
        ("Алиса", "АЛИСА"),
        ("ＡＬＩＣＥ", "alice"),
        ("straße", "STRASSE"),
        ("ﬁn", "fin"),
        ("Ⅷ", "viii"),
        ("José", "jose\u{301}"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("ǆ", "Ǆ"),
        ("한국", "한국"),
        ("ｶﾞ", "ガ"),
    ];
    for (one, other) in cases {
        let canonical = |nick: &str| Nick::new(nick).unwrap().canonical();
        assert_eq!(canonical(one), canonical(other), "{one} {other}");
    }
}

#[test]
fn what_nobody_sees_is_no_part_of_a_nick() {
    let cases = [
        "a\u{200b}b",       // zero width space
        "a\u{200d}b",       // zero width joiner
        "a\u{ad}b",         // soft hyphen
        "\u{202e}ab",       // right to left from here
        "a\u{2066}b",       // isolated from here
        "a\u{fe0f}",        // variation selector
        "a\u{e0041}",       // tag
        "a\u{feff}",        // byte order mark
        "\u{3164}\u{3164}", // Hangul filler, a letter
        "\u{115f}",         // another
        "a\u{ffa0}b",       // and its half
        "a\u{0}",
        "a\tb",
        "a\u{a0}b",
        "a\u{2028}b",
    ];
    for nick in cases {
        let error = Nick::new(nick).unwrap_err();
        assert!(
            matches!(error, NickError::Character { .. }),
            "{nick:?}: {error}"
        );
        assert!(!error.to_string().contains(is_ignorable), "{error}");
    }
}

#[test]
fn marks_stand_where_scripts_need_them_and_do_not_pile_up() {
    for nick in ["हिन्दी", "ภาษาไทย", "Tiếng", "Yorùbá", "עִבְרִית", "दो"]
    {
        assert!(Nick::new(nick).is_ok(), "{nick}: {:?}", Nick::new(nick));
    }
    let pile = |count: usize| format!("б{}", "\u{489}".repeat(count));
    assert!(Nick::new(&pile(NAME_MARKS_MAX - 1)).is_ok());
    assert!(Nick::new(&pile(NAME_MARKS_MAX)).is_ok());
    for nick in [
        pile(NAME_MARKS_MAX + 1).as_str(),
        "b\u{336}o\u{336}b\u{336}",
        "ali\u{307}ce",
        "\u{301}bob",
        "-\u{301}bob",
    ] {
        let error = Nick::new(nick).unwrap_err();
        assert!(matches!(error, NickError::Mark { .. }), "{nick:?}: {error}");
        assert!(error.to_string().contains(r"'\u{"), "{error}");
    }
}

#[test]
fn an_error_shows_a_hidden_character_by_its_number() {
    let error = Nick::new("a\u{202e}\x1b").unwrap_err().to_string();
    assert_eq!(
        error,
        r"a nick takes letters, digits, `_`, `-` and `.`, and not '\u{202e}'"
    );
}

proptest! {
    #[test]
    fn a_nick_is_safe_to_show_and_reads_back_as_itself(raw in any::<String>()) {
        let Ok(nick) = Nick::new(&raw) else { return Ok(()) };
        let shown = nick.as_str();
        prop_assert_eq!(Nick::new(shown), Ok(nick.clone()));
        prop_assert_eq!(nick.canonical(), canonical(&raw));
        prop_assert_eq!(switchboard_wire::clean(shown), shown);
        prop_assert!(!shown.contains([':', '/', ' ', '\n']));
        prop_assert!(!shown.contains(is_ignorable));
    }
    #[test]
    fn a_canonical_form_is_its_own_whatever_it_was_made_of(raw in any::<String>()) {
        let form = canonical(&raw);
        prop_assert_eq!(canonical(&form), form.clone());
        prop_assert!(!form.contains(is_ignorable));
    }

    #[test]
    fn letters_of_any_script_make_nicks_that_read_back(raw in r"[\p{L}\p{M}\p{Nd}._-]{1,12}") {
        if let Ok(nick) = Nick::new(&raw) {
            prop_assert_eq!(Nick::new(nick.as_str()), Ok(nick.clone()));
            prop_assert_eq!(canonical(&nick.canonical()), nick.canonical());
        }
    }
}
