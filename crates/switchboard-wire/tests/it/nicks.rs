//! Nicks: who may be called what.

use proptest::prelude::*;
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
    assert!(Nick::new(&"é".repeat(31)).is_ok());
    assert!(Nick::new(&"é".repeat(32)).is_ok());
    assert_eq!(
        Nick::new(&"é".repeat(33)),
        Err(NickError::TooLong { max: 32 })
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
    let reserved = "admin administrator root server hub system operator moderator switchboard \
        everyone all help me";
    for nick in reserved.split(' ') {
        for nick in [nick.to_owned(), nick.to_uppercase()] {
            assert_eq!(Nick::new(&nick), Err(NickError::Reserved { nick }));
        }
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
        prop_assert_eq!(nick.as_str(), &raw);
        prop_assert_eq!(switchboard_wire::clean(&raw), raw.as_str());
        prop_assert!(!raw.contains([':', '/', ' ', '\n']));
    }
}
