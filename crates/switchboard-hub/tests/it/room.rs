//! The room, without any socket.

use std::collections::BTreeMap;

use proptest::prelude::*;
use switchboard_hub::door::line::{encode_entry, encode_notice};
use switchboard_hub::limits::WHO_NAMES_MAX;
use switchboard_hub::room::{Author, Effect, Entry, EntryKind, Event, MemberId, Notice, Room};
use switchboard_wire::{FileName, Nick};

/// What each member has been shown, as the line door would show it.
#[derive(Default)]
struct Audience {
    room: Room,
    heard: BTreeMap<MemberId, String>,
}

impl Audience {
    fn with_members(count: u64) -> Self {
        let mut audience = Self::default();
        for number in 1..=count {
            audience.join(number);
        }
        for heard in audience.heard.values_mut() {
            heard.clear();
        }
        audience
    }

    fn join(&mut self, number: u64) {
        self.heard.insert(MemberId(number), String::new());
        let address = format!("10.0.0.{number}:{number}");
        self.tell(Event::Join {
            member: MemberId(number),
            address,
        });
    }

    fn tell(&mut self, event: Event) -> Vec<Effect> {
        let effects = self.room.handle(event);
        for effect in &effects {
            match effect {
                Effect::Publish { entry, except } => {
                    let Some(line) = encode_entry(entry) else {
                        continue;
                    };
                    for member in self
                        .room
                        .members()
                        .filter(|member| Some(*member) != *except)
                    {
                        let heard = self.heard.entry(member).or_default();
                        heard.push_str(std::str::from_utf8(&line).unwrap());
                    }
                }
                Effect::Tell { member, notice } => {
                    let line = encode_notice(notice);
                    let heard = self.heard.entry(*member).or_default();
                    heard.push_str(std::str::from_utf8(&line).unwrap());
                }
            }
        }
        effects
    }

    fn say(&mut self, number: u64, text: &str) {
        let by = Author::Member(MemberId(number));
        self.tell(Event::Say {
            by,
            text: text.into(),
        });
    }

    fn nick(&mut self, number: u64, nick: &str) {
        let nick = Nick::new(nick).unwrap();
        self.tell(Event::Rename {
            member: MemberId(number),
            nick,
        });
    }

    fn take(&mut self, number: u64) -> String {
        std::mem::take(self.heard.get_mut(&MemberId(number)).unwrap())
    }
}

#[test]
fn everybody_else_hears_what_a_member_says_behind_its_address() {
    let mut room = Audience::with_members(3);
    room.say(2, "hello");
    assert_eq!(room.take(1), "10.0.0.2:2:hello\n");
    assert_eq!(room.take(2), "");
    assert_eq!(room.take(3), "10.0.0.2:2:hello\n");
}

#[test]
fn a_joining_and_a_leaving_are_told_to_those_present() {
    let mut room = Audience::with_members(1);
    room.join(2);
    assert_eq!(room.take(1), "* 10.0.0.2:2 joined\n");
    assert_eq!(room.take(2), "");
    room.tell(Event::Leave {
        member: MemberId(2),
        reason: None,
    });
    assert_eq!(room.take(1), "* 10.0.0.2:2 left\n");
    room.tell(Event::Leave {
        member: MemberId(2),
        reason: None,
    });
    assert_eq!(room.take(1), "", "a leaving is told once");
}

#[test]
fn a_name_replaces_the_address_and_belongs_to_one_member_whatever_its_case() {
    let mut room = Audience::with_members(2);
    room.nick(1, "Alice");
    assert_eq!(room.take(1), "* you are now Alice\n");
    assert_eq!(room.take(2), "* 10.0.0.1:1 is now Alice\n");
    room.nick(2, "aLICE");
    assert_eq!(
        room.take(2),
        "* somebody else is aLICE: take another name\n"
    );
    room.say(1, "hi");
    assert_eq!(room.take(2), "Alice:hi\n");

    room.nick(1, "alice");
    assert_eq!(
        room.take(2),
        "* Alice is now alice\n",
        "one's own name may change its case"
    );
    room.tell(Event::Leave {
        member: MemberId(1),
        reason: None,
    });
    room.take(2);
    room.nick(2, "Alice");
    assert_eq!(
        room.take(2),
        "* you are now Alice\n",
        "a name is free when its owner has left"
    );
}

#[test]
fn a_file_is_told_with_its_name_its_size_and_its_sender() {
    let mut room = Audience::with_members(1);
    let name = FileName::reduce("图片.png").unwrap();
    let by = Author::Guest("10.0.0.9:9".into());
    room.tell(Event::File {
        by,
        name,
        bytes: 12345,
    });
    assert_eq!(
        room.take(1),
        "* 10.0.0.9:9 sent the file 图片.png (12345 bytes)\n"
    );
}

#[test]
fn a_message_of_several_lines_shows_its_author_on_each() {
    let mut room = Audience::with_members(1);
    let by = Author::Guest("unix:7".into());
    room.tell(Event::Say {
        by,
        text: "one\r\n\ntwo\x1b[2J\n* forged".into(),
    });
    assert_eq!(room.take(1), "unix:7:one\nunix:7:two[2J\nunix:7:* forged\n");
}

#[test]
fn who_names_those_present_in_the_order_of_coming() {
    let mut room = Audience::with_members(2);
    room.nick(2, "bob");
    room.take(1);
    room.tell(Event::Who {
        member: MemberId(1),
    });
    assert_eq!(room.take(1), "* 2 here: 10.0.0.1:1, bob\n");
}

#[test]
fn who_names_no_more_than_a_line_shows_and_counts_the_rest() {
    let mut room = Room::new();
    for id in 1..=1000 {
        let (member, address) = (MemberId(id), id.to_string());
        room.handle(Event::Join { member, address });
    }
    let member = MemberId(1);
    let [Effect::Tell { notice, .. }] = &room.handle(Event::Who { member })[..] else {
        panic!("one answer");
    };
    let Notice::Present { first, .. } = notice else {
        panic!("{notice:?}");
    };
    assert_eq!(first.len(), WHO_NAMES_MAX, "the others cost nothing");
    let line = encode_notice(notice);
    let line = std::str::from_utf8(&line).unwrap();
    assert!(line.starts_with("* 1000 here: 1, 2, "), "{line}");
    assert!(line.ends_with(", 199, 200, and 800 more\n"), "{line}");
}

#[test]
fn somebody_who_has_left_can_do_nothing() {
    let mut room = Room::new();
    let ghost = MemberId(5);
    let nick = Nick::new("ghost").unwrap();
    for event in [
        Event::Leave {
            member: ghost,
            reason: None,
        },
        Event::Say {
            by: Author::Member(ghost),
            text: "boo".into(),
        },
        Event::Rename {
            member: ghost,
            nick,
        },
        Event::Who { member: ghost },
    ] {
        assert_eq!(room.handle(event), []);
    }
}

fn event() -> impl Strategy<Value = Event> {
    let member = (1..6u64).prop_map(MemberId);
    prop_oneof![
        (1..6u64).prop_map(|n| Event::Join {
            member: MemberId(n),
            address: format!("h:{n}")
        }),
        member.clone().prop_map(|member| Event::Leave {
            member,
            reason: None
        }),
        (member.clone(), "[a-z]{1,4}").prop_map(|(id, text)| Event::Say {
            by: Author::Member(id),
            text
        }),
        (
            member.clone(),
            prop::sample::select(vec!["Ann", "ann", "bob", "Bob", "cy"])
        )
            .prop_map(|(member, nick)| Event::Rename {
                member,
                nick: Nick::new(nick).unwrap()
            }),
        member.prop_map(|member| Event::Who { member }),
    ]
}

proptest! {
    #[test]
    fn entries_are_numbered_without_gaps_and_no_two_members_have_one_name(
        events in prop::collection::vec(event(), 0..200),
    ) {
        let mut room = Room::new();
        let mut twin = Room::new();
        let mut last = 0;
        for event in events {
            let effects = room.handle(event.clone());
            prop_assert_eq!(&effects, &twin.handle(event), "the same events, the same effects");
            for effect in &effects {
                if let Effect::Publish { entry: Entry { seq, kind, .. }, .. } = effect {
                    prop_assert_eq!(*seq, last + 1);
                    last = *seq;
                    let is_known = !matches!(kind, EntryKind::File { .. });
                    prop_assert!(is_known);
                }
            }
            let mut names: Vec<String> = room
                .members()
                .filter_map(|member| room.name_of(member))
                .map(str::to_lowercase)
                .collect();
            let count = names.len();
            names.sort();
            names.dedup();
            prop_assert_eq!(names.len(), count);
        }
    }
}
