//! Commands: the lines that speak to the hub.

use proptest::prelude::*;
use switchboard_wire::Command;

#[test]
fn commands_begin_with_a_slash_and_are_taken_in_any_case() {
    let nick = |name: &str| Some(Command::Nick(name.to_owned()));
    let unknown = |word: &str| Some(Command::Unknown(word.to_owned()));
    let msg = |to: &str, text: &str| {
        let (to, text) = (to.to_owned(), text.to_owned());
        Some(Command::Msg { to, text })
    };
    let cases = [
        ("/help", Some(Command::Help)),
        ("/HELP me", Some(Command::Help)),
        ("/ who ", Some(Command::Who)),
        ("/Quit\t", Some(Command::Quit)),
        ("/nick", nick("")),
        ("/nick   ", nick("")),
        ("/nick  alice ", nick("alice")),
        ("/NICK\tAlice Smith", nick("Alice Smith")),
        ("/join", Some(Command::Join(String::new()))),
        ("/join  Rust ", Some(Command::Join("Rust".to_owned()))),
        ("/rooms please", Some(Command::Rooms)),
        ("/history", Some(Command::History(String::new()))),
        ("/history 5", Some(Command::History("5".to_owned()))),
        (
            "/search  two  words ",
            Some(Command::Search("two  words".to_owned())),
        ),
        ("/topic", Some(Command::Topic(String::new()))),
        (
            "/topic all of it",
            Some(Command::Topic("all of it".to_owned())),
        ),
        ("/msg", msg("", "")),
        ("/msg bob", msg("bob", "")),
        ("/msg  bob   see  you ", msg("bob", "see  you")),
        ("/", unknown("")),
        ("/Dance now", unknown("Dance")),
        ("/usr/bin", unknown("usr/bin")),
        ("//", unknown("/")),
        (" /help", None),
        ("help", None),
        ("", None),
    ];
    for (text, command) in cases {
        assert_eq!(Command::parse(text), command, "{text:?}");
    }
}

proptest! {
    #[test]
    fn anything_with_a_slash_in_front_is_a_command(text in any::<String>()) {
        let command = ["/", &text].concat();
        prop_assert!(Command::parse(&command).is_some());
        prop_assert_eq!(Command::parse(&text).is_some(), text.starts_with('/'));
    }
}
