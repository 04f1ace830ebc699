//! Who is called what: one name, one owner, whatever it looks like.

use std::collections::BTreeMap;

use proptest::prelude::*;
use switchboard_hub::names::{NameRefusal, Names};
use switchboard_hub::room::MemberId;
use switchboard_wire::Nick;
use switchboard_wire::name::RESERVED_NICKS;

const ALICE: MemberId = MemberId(1);
const OTHER: MemberId = MemberId(2);

fn nick(name: &str) -> Nick {
    Nick::new(name).unwrap_or_else(|error| panic!("{name:?}: {error}"))
}

/// What somebody else is answered who wants `wanted` where `taken` is taken.
fn refusal(taken: &str, wanted: &str) -> Option<NameRefusal> {
    let mut names = Names::new();
    names.take(ALICE, &nick(taken)).unwrap();
    names.take(OTHER, &nick(wanted)).err()
}

#[test]
fn a_name_is_taken_in_every_case_width_and_encoding() {
    let cases = [
        ("alice", "alice"),
        ("Alice", "aLICE"),
        ("alice", "ＡＬＩＣＥ"),
        ("José", "jose\u{301}"),
        ("straße", "STRASSE"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("viii", "Ⅷ"),
        ("한국", "한국"),
    ];
    for (taken, wanted) in cases {
        let expected = NameRefusal::Taken { nick: nick(wanted) };
        assert_eq!(refusal(taken, wanted), Some(expected), "{taken} {wanted}");
        assert!(refusal(wanted, taken).is_some());
    }
}

#[test]
fn what_looks_like_a_name_is_taken_with_it() {
    let cases = [
        ("alice", "\u{430}lice"),                   // Cyrillic а
        ("alice", "\u{430}l\u{456}\u{441}\u{435}"), // and і, с, е
        ("Alice", "\u{410}lice"),                   // in capitals
        ("paypal", "p\u{430}yp\u{430}l"),
        ("bob", "b0b"),
        ("scope", "\u{455}\u{441}\u{43e}\u{440}\u{435}"), // Cyrillic as a whole
        ("omega", "\u{3bf}mega"),                         // Greek ο
        ("lily", "1i1y"),
        ("modern", "rnodern"),
        ("ioannis", "ıoannis"),  // without its dot
        ("і", "\u{456}\u{307}"), // with one more
        // Capitals whose small letters look different.
        ("paypal", "paypaI"),
        ("Alice", "AIice"),
        ("ALICE", "ALlCE"),
        ("Bob", "\u{412}ob"),   // Cyrillic В
        ("hans", "\u{397}ans"), // Greek Η
        ("mark", "\u{41c}ark"), // Cyrillic М
    ];
    for (taken, wanted) in cases {
        let (other, nick) = (nick(taken), nick(wanted));
        let expected = NameRefusal::LooksLike { nick, other };
        assert_eq!(refusal(taken, wanted), Some(expected), "{taken} {wanted}");
        assert!(refusal(wanted, taken).is_some(), "{wanted} {taken}");
    }
}

#[test]
fn different_names_are_different() {
    let names = [
        "alice",
        "alicia",
        "bob",
        "bobby",
        "Алиса",
        "李雷",
        "李蕾",
        "bot1",
        "bot2",
        "bot10",
        "bot3",
        "jose",
        "josé",
        "a-b",
        "a_b",
        "x.y",
        "हिन्दी",
        "ภาษา",
    ];
    for taken in names {
        for wanted in names.into_iter().filter(|wanted| *wanted != taken) {
            assert_eq!(refusal(taken, wanted), None, "{taken} {wanted}");
        }
    }
}

#[test]
fn nobody_can_look_as_if_it_spoke_for_the_hub() {
    let mut names = Names::new();
    for wanted in [
        "\u{430}dmin",
        "r00t",
        "ro\u{3bf}t",
        "a11",
        "ѕуѕtеm",
        "rne",
        "aII",
        "Adm1n",
        "ADMlN",
        "\u{41d}ELP",
        "h\u{435}lp",
    ] {
        let expected = NameRefusal::Reserved { nick: nick(wanted) };
        assert_eq!(names.take(ALICE, &nick(wanted)), Err(expected), "{wanted}");
    }
    for reserved in RESERVED_NICKS {
        assert!(Nick::new(reserved).is_err());
    }
    assert!(names.is_empty());
}

#[test]
fn what_is_no_name_at_all_does_not_get_here() {
    let hidden = [
        "",
        "*",
        " ",
        "a b",
        "a\u{200b}",
        "\u{202e}ecila",
        "a\u{2066}",
        "\u{3164}",
    ];
    let piled = format!("я{}", "\u{301}".repeat(40));
    for raw in hidden
        .into_iter()
        .chain(["admin", "ADMIN", "ａｄｍｉｎ", &piled])
    {
        assert!(Nick::new(raw).is_err(), "{raw:?}");
    }
}

#[test]
fn a_name_is_free_when_its_owner_takes_another_or_goes() {
    let mut names = Names::new();
    names.take(ALICE, &nick("alice")).unwrap();
    names.take(ALICE, &nick("ALICE")).unwrap();
    assert_eq!(
        names.nick_of(ALICE),
        Some(&nick("ALICE")),
        "one's own may change its case"
    );
    names.take(ALICE, &nick("carol")).unwrap();
    names.take(OTHER, &nick("alice")).unwrap();
    assert!(names.take(ALICE, &nick("Alice")).is_err());
    assert_eq!(
        names.nick_of(ALICE),
        Some(&nick("carol")),
        "it keeps what it had"
    );
    names.release(OTHER);
    names.take(ALICE, &nick("alice")).unwrap();
    names.release(ALICE);
    names.release(ALICE);
    assert!(names.is_empty());
}

#[test]
fn a_name_that_is_lent_is_free_when_it_is_given_up_and_back() {
    let (alice, carol) = (nick("alice"), nick("carol"));
    let mut names = Names::new();
    assert!(names.lend(ALICE).is_none(), "it has none");
    names.take(ALICE, &alice).unwrap();
    let (here, there) = (names.lend(ALICE).unwrap(), names.lend(ALICE).unwrap());
    names.take(ALICE, &carol).unwrap();
    assert!(names.take(OTHER, &nick("\u{430}lice")).is_err());
    assert_eq!((names.owner_of("alice"), names.len()), (None, 2));
    names.give_back(here);
    assert!(names.take(OTHER, &alice).is_err());
    // Its owner may have it back, and give it up once more.
    names.take(ALICE, &alice).unwrap();
    names.release(ALICE);
    assert!(names.take(OTHER, &alice).is_err());
    names.give_back(there);
    assert_eq!(names.len(), 0);
    names.take(OTHER, &alice).unwrap();
    // What was given back before it was given up is nobody's but its owner's.
    let lent = names.lend(OTHER).unwrap();
    names.give_back(lent);
    assert!(names.take(ALICE, &alice).is_err());
    names.release(OTHER);
    names.take(ALICE, &alice).unwrap();
    assert_eq!(names.owner_of("alice"), Some(ALICE));
}

#[test]
fn what_a_name_looks_like_is_free_when_the_name_is() {
    let mut names = Names::new();
    let (ian, lan) = (nick("Ian"), nick("lan"));
    names.take(ALICE, &ian).unwrap();
    assert!(names.take(OTHER, &lan).is_err());
    // Still shown somewhere, by the look as well.
    let lent = names.lend(ALICE).unwrap();
    names.release(ALICE);
    assert!(names.take(OTHER, &lan).is_err());
    names.give_back(lent);
    names.take(OTHER, &lan).unwrap();
    assert!(names.take(ALICE, &ian).is_err());
    names.release(OTHER);
    names.take(ALICE, &ian).unwrap();
    // One's own other spellings are one's own.
    names.take(ALICE, &lan).unwrap();
    names.take(ALICE, &ian).unwrap();
    names.take(ALICE, &nick("ian")).unwrap();
    names.take(OTHER, &lan).unwrap();
}

#[test]
fn an_owner_is_found_by_its_name_and_not_by_what_looks_like_it() {
    let mut names = Names::new();
    names.take(ALICE, &nick("Alice")).unwrap();
    for name in ["Alice", "alice", "ＡＬＩＣＥ"] {
        assert_eq!(names.owner_of(name), Some(ALICE), "{name}");
    }
    for name in ["\u{430}lice", "a1ice", "bob", "", "127.0.0.1:1"] {
        assert_eq!(names.owner_of(name), None, "{name}");
    }
}

proptest! {
    #[test]
    fn names_and_owners_stay_one_to_one(
        steps in prop::collection::vec((1..5u64, prop::option::of("[aаbB0oоВIlМm]{1,2}")), 0..60),
    ) {
        let mut names = Names::new();
        let mut expected: BTreeMap<u64, Nick> = BTreeMap::new();
        for (owner, wanted) in steps {
            match wanted.map(|wanted| nick(&wanted)) {
                None => {
                    names.release(MemberId(owner));
                    expected.remove(&owner);
                }
                Some(wanted) => {
                    if names.take(MemberId(owner), &wanted).is_ok() {
                        expected.insert(owner, wanted);
                    }
                }
            }
            prop_assert_eq!(names.len(), expected.len());
            for (owner, nick) in &expected {
                prop_assert_eq!(names.nick_of(MemberId(*owner)), Some(nick));
                prop_assert_eq!(names.owner_of(nick.as_str()), Some(MemberId(*owner)));
            }
            let mut forms: Vec<String> = expected.values().map(Nick::canonical).collect();
            forms.sort();
            forms.dedup();
            prop_assert_eq!(forms.len(), expected.len());
        }
    }
}
