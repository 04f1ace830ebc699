//! The room, without any socket.

use std::collections::BTreeMap;

use proptest::prelude::*;
use switchboard_hub::door::line::{encode_entry, encode_notice};
use switchboard_hub::limits::WHO_NAMES_MAX;
use switchboard_hub::room::{Author, Effect, Entry, EntryKind, Event, MemberId, Notice, Room};
use switchboard_wire::{FileName, MessageId, RoomName, Topic};

/// When everything here happens.
const NOW_MS: u64 = 1_795_244_709_123;

fn room() -> Room {
    Room::new(RoomName::lobby(), 7)
}

fn join(number: u64) -> Event {
    Event::Join {
        member: MemberId(number),
        name: format!("10.0.0.{number}:{number}").into(),
        is_greeted: false,
    }
}

fn rename(number: u64, name: &str) -> Event {
    Event::Rename {
        member: MemberId(number),
        name: name.into(),
    }
}

/// What each member has been shown, as the line door would show it.
struct Audience {
    room: Room,
    heard: BTreeMap<MemberId, String>,
}

impl Audience {
    fn with_members(count: u64) -> Self {
        let mut audience = Self {
            room: room(),
            heard: BTreeMap::new(),
        };
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
        self.tell(join(number));
    }

    fn tell(&mut self, event: Event) -> Vec<Effect> {
        let effects = self.room.handle(NOW_MS, event);
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
        self.tell(Event::say(by, text));
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
fn a_name_replaces_the_address_and_the_change_is_told_to_the_others() {
    let mut room = Audience::with_members(2);
    room.tell(rename(1, "Alice"));
    assert_eq!(room.take(1), "");
    assert_eq!(room.take(2), "* 10.0.0.1:1 is now Alice\n");
    room.say(1, "hi");
    assert_eq!(room.take(2), "Alice:hi\n");
    assert_eq!(room.tell(rename(1, "Alice")), [], "it is that already");
    room.tell(rename(1, "alice"));
    assert_eq!(room.take(2), "* Alice is now alice\n");
}

#[test]
fn who_comes_from_elsewhere_is_told_where_it_is() {
    let mut room = Audience::with_members(2);
    let event = |member| Event::Join {
        member: MemberId(member),
        name: "carol".into(),
        is_greeted: true,
    };
    for number in [3, 4] {
        room.heard.insert(MemberId(number), String::new());
    }
    room.tell(event(3));
    assert_eq!(room.take(1), "* carol joined\n");
    assert_eq!(room.take(3), "* you are now in lobby, 3 here\n");
    let topic = Some(Topic::new("tea").unwrap());
    room.tell(Event::SetTopic {
        member: MemberId(1),
        topic,
    });
    room.tell(event(4));
    assert_eq!(room.take(4), "* you are now in lobby, 4 here: tea\n");
    assert_eq!(room.tell(event(4)), [], "it is here already");
}

#[test]
fn a_topic_is_told_to_all_and_to_who_asks() {
    let mut room = Audience::with_members(2);
    let (one, two) = (MemberId(1), MemberId(2));
    room.tell(Event::Topic { member: one });
    assert_eq!(room.take(1), "* there is no topic here\n");
    let topic = Some(Topic::new("tea").unwrap());
    let set = |topic: &Option<Topic>| Event::SetTopic {
        member: one,
        topic: topic.clone(),
    };
    room.tell(set(&topic));
    assert_eq!(room.take(1), "* the topic here is: tea\n");
    assert_eq!(room.take(2), "* 10.0.0.1:1 set the topic: tea\n");
    room.tell(set(&topic));
    assert_eq!(room.take(2), "", "it was that already");
    room.take(1);
    room.tell(Event::Topic { member: two });
    assert_eq!(room.take(2), "* the topic here is: tea\n");
    room.tell(set(&None));
    assert_eq!(room.take(1), "* there is no topic here\n");
    assert_eq!(room.take(2), "* 10.0.0.1:1 took the topic away\n");
}

#[test]
fn an_entry_has_its_time_and_what_its_author_says_of_it() {
    let mut room = room();
    room.handle(1, join(1));
    let id = MessageId::new("a-1");
    let effects = room.handle(
        NOW_MS,
        Event::Say {
            by: Author::Member(MemberId(1)),
            text: "yes".into(),
            reply_to: Some(1),
            id: id.clone(),
        },
    );
    let [Effect::Publish { entry, .. }] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(
        (entry.seq, entry.time_ms, entry.reply_to),
        (2, NOW_MS, Some(1))
    );
    assert_eq!(entry.id, id);
    assert_eq!((room.epoch(), room.last_seq()), (7, 2));
}

#[test]
fn a_history_goes_on_where_it_ended() {
    let topic = Topic::new("tea").ok();
    let mut room = Room::resume(RoomName::lobby(), 9, 41, topic.clone());
    assert_eq!(room.topic(), topic.as_ref());
    let effects = room.handle(NOW_MS, join(1));
    assert!(matches!(&effects[..], [Effect::Publish { entry, .. }] if entry.seq == 42));
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
        reply_to: None,
        id: None,
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
    room.tell(Event::say(by, "one\r\n\ntwo\x1b[2J\n* forged"));
    assert_eq!(room.take(1), "unix:7:one\nunix:7:two[2J\nunix:7:* forged\n");
}

#[test]
fn who_names_those_present_in_the_order_of_coming() {
    let mut room = Audience::with_members(2);
    room.tell(rename(2, "bob"));
    room.take(1);
    room.tell(Event::Who {
        member: MemberId(1),
    });
    assert_eq!(room.take(1), "* 2 here: 10.0.0.1:1, bob\n");
}

#[test]
fn who_names_no_more_than_a_line_shows_and_counts_the_rest() {
    let mut room = room();
    for id in 1..=1000 {
        let (member, name) = (MemberId(id), id.to_string().into());
        let is_greeted = false;
        room.handle(
            NOW_MS,
            Event::Join {
                member,
                name,
                is_greeted,
            },
        );
    }
    let member = MemberId(1);
    let [Effect::Tell { notice, .. }] = &room.handle(NOW_MS, Event::Who { member })[..] else {
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
    let mut room = room();
    let ghost = MemberId(5);
    for event in [
        Event::Leave {
            member: ghost,
            reason: None,
        },
        Event::say(Author::Member(ghost), "boo"),
        rename(5, "ghost"),
        Event::Who { member: ghost },
        Event::Topic { member: ghost },
        Event::SetTopic {
            member: ghost,
            topic: Topic::new("boo").ok(),
        },
    ] {
        assert_eq!(room.handle(NOW_MS, event), []);
    }
    assert_eq!((room.last_seq(), room.topic()), (0, None));
}

fn event() -> impl Strategy<Value = Event> {
    let member = (1..6u64).prop_map(MemberId);
    prop_oneof![
        (1..6u64).prop_map(join),
        member.clone().prop_map(|member| Event::Leave {
            member,
            reason: None
        }),
        (member.clone(), "[a-z]{1,4}").prop_map(|(id, text)| Event::say(Author::Member(id), text)),
        (1..6u64, "[a-c]").prop_map(|(number, name)| rename(number, &name)),
        (member.clone(), "[ab]?").prop_map(|(member, topic)| Event::SetTopic {
            member,
            topic: Topic::new(&topic).ok()
        }),
        member.clone().prop_map(|member| Event::Topic { member }),
        member.prop_map(|member| Event::Who { member }),
    ]
}

proptest! {
    #[test]
    fn entries_are_numbered_without_gaps_and_told_to_nobody_who_is_not_here(
        events in prop::collection::vec(event(), 0..200),
    ) {
        let (mut room, mut twin) = (room(), room());
        let mut last = 0;
        for (now_ms, event) in (0..).zip(events) {
            let effects = room.handle(now_ms, event.clone());
            prop_assert_eq!(&effects, &twin.handle(now_ms, event), "the same events and effects");
            for effect in &effects {
                match effect {
                    Effect::Publish { entry: Entry { seq, time_ms, kind, .. }, .. } => {
                        prop_assert_eq!((*seq, *time_ms), (last + 1, now_ms));
                        last = *seq;
                        let is_known = !matches!(kind, EntryKind::File { .. });
                        prop_assert!(is_known);
                    }
                    Effect::Tell { member, .. } => prop_assert!(room.name_of(*member).is_some()),
                }
            }
            prop_assert_eq!(room.last_seq(), last);
        }
    }
}
