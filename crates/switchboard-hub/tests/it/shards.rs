//! Several shards: what is said at one is heard at all, in one order, and nobody can tell how many
//! there are.

use proptest::prelude::*;
use switchboard_hub::Limits;
use switchboard_hub::limits::{SHARD_BACKLOG_BYTES_MAX, SHARD_JOB_BYTES};
use switchboard_hub::shard::Place;
use switchboard_wire::parcel::{close_frame, join_parcel, message_parcel_with};
use switchboard_wire::{Answer, Delivered, Fields, Follow, MessageId, Nick, RoomName};

use crate::net::{CHAT, PARCELS, Stage, World};

fn room(name: &str) -> RoomName {
    RoomName::new(name).unwrap()
}

/// Two shards; the members with odd numbers are at the first, the others at the second.
fn world() -> World {
    World::with_shards(2, &Limits::default())
}

/// A room that this of two shards owns.
fn room_at(shard: u16) -> String {
    rooms_at(shard).next().unwrap()
}

fn rooms_at(shard: u16) -> impl Iterator<Item = String> {
    let place = Place {
        shards: 2,
        ..Place::ALONE
    };
    let names = (0..).map(|number| format!("room{number}"));
    names.filter(move |name| place.owner_of(&room(name)).0 == shard)
}

fn follow(name: &str, since: Option<u64>) -> Vec<u8> {
    join_parcel(&Follow {
        room: room(name),
        from: None,
        since,
        epoch: None,
    })
}

fn parcel(text: &str, name: &str, id: Option<&str>) -> Vec<u8> {
    let fields = Fields {
        room: Some(room(name)),
        id: id.and_then(MessageId::new),
        wants_ack: id.is_some(),
        ..Fields::default()
    };
    message_parcel_with(text, &fields).unwrap()
}

fn numbers(delivered: &[Delivered]) -> Vec<u64> {
    let number = |one: &Delivered| match one {
        Delivered::Entry(entry) => Some(entry.seq),
        Delivered::Answer(_) => None,
    };
    delivered.iter().filter_map(number).collect()
}

#[test]
fn members_at_different_shards_hear_one_order_with_the_same_numbers() {
    for owner in [0, 1] {
        let name = room_at(owner);
        let mut world = world();
        let readers = [world.connect(PARCELS), world.connect(PARCELS)];
        for reader in readers {
            world.send(reader, &follow(&name, None));
        }
        let talkers: Vec<u32> = (0..6).map(|_| world.connect(CHAT)).collect();
        for talker in &talkers {
            world.say(*talker, &format!("/join {name}"));
        }
        for round in 0..20 {
            // All speak before the shards hear of each other.
            for talker in &talkers {
                world.give(*talker, format!("{round} of {talker}\n").as_bytes());
            }
            world.hand_over();
        }
        let [first, second] = readers.map(|reader| world.reads(reader));
        let seqs = numbers(&first);
        assert_eq!(seqs, (1..=2 + 6 + 120).collect::<Vec<u64>>());
        let entries = |delivered: &[Delivered]| {
            let is_entry = |one: &&Delivered| matches!(one, Delivered::Entry(_));
            delivered
                .iter()
                .filter(is_entry)
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(
            entries(&first)[1..],
            entries(&second),
            "from its own coming on"
        );
        let heard: Vec<String> = talkers.iter().map(|one| world.hears(*one)).collect();
        for one in &heard {
            assert_eq!(one.matches(" of ").count(), 5 * 20);
        }
    }
}

#[test]
fn what_one_shard_has_for_another_is_handed_over_once_a_turn() {
    let name = room_at(1);
    let mut world = world();
    let members: Vec<u32> = (0..40).map(|_| world.connect(CHAT)).collect();
    for member in &members {
        world.say(*member, &format!("/join {name}"));
    }
    world.hand_overs.clear();
    for member in members.iter().step_by(2) {
        world.give(*member, "one\ntwo\nthree\n".repeat(10).as_bytes());
    }
    world.hand_over();
    let expected = [((0, 1), 1), ((1, 0), 1)];
    assert_eq!(
        world.hand_overs.clone().into_iter().collect::<Vec<_>>(),
        expected
    );
    assert_eq!(world.hears(members[1]).matches(":two\n").count(), 20 * 10);
    assert_eq!(world.hears(members[0]).matches(":two\n").count(), 19 * 10);
}

#[test]
fn what_comes_behind_a_question_waits_for_its_answer() {
    let name = room_at(1);
    let mut world = world();
    let (alice, bob) = (world.connect(CHAT), world.connect(CHAT));
    world.say(bob, &format!("/join {name}"));
    world.takes(alice);
    world.give(alice, format!("/join {name}\nhello\n").as_bytes());
    assert!(
        world.is_paused(alice),
        "what it says next is for another room"
    );
    // What was under way already is kept, too.
    world.give(alice, b"and more\n/rooms\nlast");
    world.end(alice);
    assert!(!world.is_paused(alice));
    let heard = world.hears(bob);
    let expected = "* 10.0.0.1:1 joined\n10.0.0.1:1:hello\n10.0.0.1:1:and more\n\
                    10.0.0.1:1:last\n* 10.0.0.1:1 left\n";
    assert!(heard.ends_with(expected), "{heard}");
    let heard = world.hears(alice);
    let expected = format!("* you are now in {name}, 2 here\n");
    assert!(heard.starts_with(&expected), "{heard}");
    assert_eq!(world.stage(alice), Stage::Finished);
}

#[test]
fn answers_come_in_the_order_of_the_questions_and_before_the_end() {
    let name = room_at(1);
    let mut world = world();
    let alice = world.connect(CHAT);
    world.say(alice, &format!("/join {name}"));
    let questions = "/topic tea\n/nope\n/who\n/nick alice\n/topic\n/msg bob x\n/rooms";
    world.give(alice, questions.as_bytes());
    world.end(alice);
    let begins = [
        "* the topic here is: tea",
        "* there is no command /nope",
        "* 1 here: 10.0.0.1:1",
        "* you are now alice",
        "* the topic here is: tea",
        "* nobody here is bob",
        "* 2 rooms: ",
    ];
    let heard = world.hears(alice);
    assert_eq!(heard.lines().count(), begins.len(), "{heard}");
    for (line, begin) in heard.lines().zip(begins) {
        assert!(line.starts_with(begin), "{line}");
    }
    assert_eq!(world.stage(alice), Stage::Finished);
}

#[test]
fn who_vanishes_on_the_way_into_a_room_leaves_nothing_there() {
    let name = room_at(1);
    let mut world = world();
    let alice = world.connect(CHAT);
    world.give(alice, format!("/join {name}\nhello\n").as_bytes());
    world.vanish(alice);
    assert!(world.room(&room(&name)).is_none());
    assert!(world.room(&RoomName::lobby()).unwrap().is_empty());
    let late = world.knock(CHAT);
    world.vanish(late);
    assert!(world.room(&RoomName::lobby()).unwrap().is_empty());
}

#[test]
fn who_cannot_come_into_another_shards_room_stays_or_goes() {
    let (here, there) = (room_at(0), room_at(1));
    let limits = Limits {
        rooms: 2,
        room_members: 2,
        ..Limits::default()
    };
    let mut world = World::with_shards(2, &limits);
    let (alice, bob) = (world.connect(CHAT), world.connect(CHAT));
    let late = world.connect(CHAT);
    assert_eq!(world.stage(late), Stage::Finished);
    assert_eq!(world.hears(late), "* the room lobby is full: 2 members\n");
    world.say(alice, &format!("/join {there}"));
    world.takes(bob);
    let full = "* there are 2 rooms already, and no more can be made\n";
    assert_eq!(world.say(bob, &format!("/join {here}")), full);
    assert_eq!(world.say(bob, "/who"), "* 1 here: 10.0.0.1:2\n");
    let program = world.connect(PARCELS);
    world.send(
        program,
        &[parcel("x", &here, Some("1")), close_frame()].concat(),
    );
    let answers = world.reads(program);
    let [Delivered::Answer(Answer::Refused { id, reason })] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert_eq!(
        (id, reason.as_str()),
        (&MessageId::new("1"), full[2..].trim_end())
    );
    assert_eq!(world.stage(program), Stage::Reset, "not all was taken");
}

#[test]
fn names_rooms_and_private_messages_are_those_of_the_whole_hub() {
    let name = room_at(1);
    let mut world = world();
    let (alice, bob) = (world.connect(CHAT), world.connect(CHAT));
    let (carol, program) = (world.connect(CHAT), world.connect(PARCELS));
    world.say(alice, "/nick alice");
    world.say(bob, &format!("/join {name}"));
    world.send(program, &follow(&name, None));
    for who in [alice, bob, carol] {
        world.takes(who);
    }
    let taken = "* somebody else is Alice: take another name\n";
    assert_eq!(world.say(bob, "/nick Alice"), taken);
    assert_eq!(world.say(bob, "/nick bob"), "* you are now bob\n");
    assert_eq!(world.say(alice, "/msg bob hi"), "* you tell bob: hi\n");
    assert_eq!(world.hears(bob), "* alice tells you: hi\n");
    let told = world.say(bob, "/msg 10.0.0.1:3 by address");
    assert_eq!(told, "* you tell 10.0.0.1:3: by address\n");
    assert_eq!(world.hears(carol), "* bob tells you: by address\n");
    assert_eq!(
        world.say(bob, "/msg 10.0.0.1:9 x"),
        "* nobody here is 10.0.0.1:9\n"
    );
    let told = world.say(alice, "/msg 10.0.0.1:4 x");
    assert_eq!(told, "* 10.0.0.1:4 is a program that takes no messages\n");
    let rooms = format!("* 2 rooms: lobby (2, you are here), {name} (2)\n");
    assert_eq!(world.say(alice, "/rooms"), rooms);
    world.vanish(bob);
    assert_eq!(world.say(alice, "/msg bob hi"), "* nobody here is bob\n");
    assert_eq!(world.say(carol, "/nick bob"), "* you are now bob\n");
}

#[test]
fn nobody_gets_a_name_that_a_room_still_shows() {
    let (name, other) = (room_at(1), room_at(0));
    let mut world = world();
    let (first, second) = (world.connect(CHAT), world.connect(CHAT));
    for who in [first, second] {
        world.say(who, &format!("/join {name}"));
    }
    world.say(first, "/nick alice");
    let gives_up = [
        ("/nick carol\n".to_owned(), "alice"),
        // It comes into a room of its own shard at once.
        (format!("/join {other}\n/nick dora\n"), "carol"),
        (format!("/join {name}\n"), ""),
        ("/quit\n".to_owned(), "dora"),
    ];
    for (line, former) in gives_up {
        if former.is_empty() {
            world.send(first, line.as_bytes());
            continue;
        }
        world.give(first, line.as_bytes());
        world.takes(second);
        world.give(second, format!("/nick {former}\n").as_bytes());
        let refused = format!("* somebody else is {former}: take another name\n");
        assert_eq!(world.hears(second), refused);
        world.hand_over();
        world.takes(second);
        let taken = format!("* you are now {former}\n");
        assert_eq!(world.say(second, &format!("/nick {former}")), taken);
    }
}

#[test]
fn a_parcel_for_another_shards_room_is_acknowledged_and_taken_once() {
    for owner in [0, 1] {
        let name = room_at(owner);
        let mut world = world();
        let program = world.connect(PARCELS);
        let parcels = [
            parcel("one", &name, None),
            parcel("two", &name, Some("a")),
            parcel("two again", &name, Some("a")),
            parcel("three", &name, Some("b")),
            close_frame(),
        ];
        world.give(program, &parcels.concat());
        if owner == 1 {
            assert_eq!(
                world.stage(program),
                Stage::Open,
                "it is not known how it went"
            );
        }
        world.hand_over();
        assert_eq!(world.stage(program), Stage::Finished, "all was taken");
        let answers = world.reads(program);
        let acks = answers.iter().map(|answer| match answer {
            Delivered::Answer(Answer::Ack { seq, id, .. }) => {
                (*seq, id.as_ref().unwrap().as_str().to_owned())
            }
            other => panic!("{other:?}"),
        });
        let expected = [(2, "a"), (2, "a"), (3, "b")].map(|(seq, id)| (seq, id.to_owned()));
        assert_eq!(acks.collect::<Vec<_>>(), expected);
        world.close(program, None);
        assert!(
            world.room(&room(&name)).is_none(),
            "nobody speaks there any more"
        );
    }
}

#[test]
fn the_connections_of_all_shards_count_together() {
    for (limit, is_let_in) in [(2, false), (3, true), (4, true)] {
        let limits = Limits {
            connections: limit,
            ..Limits::default()
        };
        let mut world = World::with_shards(2, &limits);
        let first = world.connect(CHAT);
        world.connect(CHAT);
        let third = world.connect(CHAT);
        let expected = if is_let_in {
            Stage::Open
        } else {
            Stage::TurnedAway
        };
        assert_eq!(world.stage(third), expected, "{limit}");
        world.vanish(first);
        let next = world.connect(CHAT);
        assert_eq!(world.stage(next), Stage::Open, "one has gone");
    }
}

#[test]
fn no_shard_ends_before_all_have_nobody() {
    let mut world = world();
    let (alice, bob) = (world.connect(CHAT), world.connect(CHAT));
    let program = world.connect(PARCELS);
    world.send(program, &follow("lobby", None));
    for who in [alice, bob] {
        world.takes(who);
    }
    world.begin_stop();
    for who in [alice, bob] {
        assert!(world.hears(who).contains("* the hub is closing\n"));
    }
    world.close(alice, None);
    assert!(
        !world.has_ended(),
        "the other shard may still need this one's rooms"
    );
    world.close(bob, None);
    assert!(world.has_ended());
}

#[test]
fn who_says_more_than_another_shard_can_take_is_not_read_until_it_has_caught_up() {
    // By the owner's shard to members elsewhere, and from elsewhere to the owner.
    for owner in [0, 1] {
        let name = room_at(owner);
        let limits = Limits {
            outbox_bytes: 4 * SHARD_BACKLOG_BYTES_MAX,
            ..Limits::default()
        };
        let mut world = World::with_shards(2, &limits);
        let (alice, bob) = (world.connect(CHAT), world.connect(CHAT));
        let other = world.connect(CHAT);
        for who in [alice, bob] {
            world.say(who, &format!("/join {name}"));
        }
        let elsewhere = rooms_at(0).nth(1).unwrap();
        world.say(other, &format!("/join {elsewhere}"));
        let line = [&[b'x'; 65_535][..], b"\n"].concat();
        let each = SHARD_JOB_BYTES + line.len() - 1;
        let fit = SHARD_BACKLOG_BYTES_MAX / each;
        for _ in 0..fit {
            world.give(alice, &line);
            world.send_off();
        }
        world.give(alice, &line);
        assert!(!world.is_paused(alice), "as much as may wait");
        world.send_off();
        world.give(alice, &line);
        assert!(world.is_paused(alice), "more than may wait");
        world.give(other, b"to another room\n");
        assert!(!world.is_paused(other), "its room is no burden to anybody");

        let mut arrived = 0;
        while world.is_paused(alice) {
            assert!(world.arrive(), "it is let go sooner or later");
            world.send_off();
            arrived += 1;
        }
        assert!(
            arrived >= fit / 2,
            "not before half of it is worked off: {arrived}"
        );
        world.hand_over();
        while world.arrive() {
            world.hand_over();
        }
        let heard = world.takes(bob);
        let lines = heard.iter().filter(|byte| **byte == b'\n').count();
        assert!(lines >= fit + 2, "nothing is lost: {lines} of {fit}");
        assert!(!world.is_paused(alice));
    }
}

/// One thing that somebody does.
#[derive(Debug, Clone)]
enum Step {
    Come(bool),
    Say(usize, String),
    Follow(usize, usize),
    Bring(usize, usize, Option<u8>, Option<usize>),
    Vanish(usize),
    End(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..12_usize;
    let place = 0..5_usize;
    let line = prop_oneof![
        4 => (0..9_u8).prop_map(|number| format!("text {number}")),
        3 => place.clone().prop_map(|number| format!("/join r{number}")),
        1 => Just("/join lobby".to_owned()),
        1 => Just("/rooms".to_owned()),
        1 => Just("/topic".to_owned()),
        1 => (0..3_u8).prop_map(|number| format!("/topic about {number}")),
        2 => (0..4_u8).prop_map(|number| format!("/nick name{number}")),
        2 => (0..4_u8).prop_map(|number| format!("/msg name{number} psst")),
        2 => (1..12_u8).prop_map(|number| format!("/msg 10.0.0.1:{number} psst")),
        1 => Just("/quit".to_owned()),
        2 => (place.clone(), 0..4_u8)
            .prop_map(|(room, name)| format!("a\n/join r{room}\nb\n/nick name{name}\n/rooms\nc")),
    ];
    prop_oneof![
        2 => any::<bool>().prop_map(Step::Come),
        12 => (who.clone(), line).prop_map(|(who, line)| Step::Say(who, line)),
        2 => (who.clone(), place.clone()).prop_map(|(who, place)| Step::Follow(who, place)),
        4 => (who.clone(), place, prop::option::of(0..3_u8), prop::option::of(0..4_usize))
            .prop_map(|(who, place, id, from)| Step::Bring(who, place, id, from)),
        1 => who.clone().prop_map(Step::Vanish),
        1 => who.prop_map(Step::End),
    ]
}

/// The room that something is about.
fn room_of(delivered: &Delivered) -> &str {
    match delivered {
        Delivered::Entry(entry) => &entry.room,
        Delivered::Answer(
            Answer::Ack { room, .. }
            | Answer::At { room, .. }
            | Answer::Gap { room, .. }
            | Answer::Reset { room, .. },
        ) => room,
        Delivered::Answer(Answer::Have { .. } | Answer::Refused { .. }) => "",
    }
}

/// Does the steps with so many shards, and gives what everybody got, programs by room, since
/// nothing is said about the order of two rooms; and how it ended.
fn play(shards: u16, steps: &[Step]) -> Vec<(String, Stage)> {
    // Who goes on from its own room to a new one where no more can be made is refused or not, as
    // the owners of the two come to it.
    let limits = Limits {
        rooms: 100,
        room_members: 5,
        connections: 9,
        ..Limits::default()
    };
    let mut world = World::with_shards(shards, &limits);
    let mut crowd: Vec<(u32, bool)> = Vec::new();
    for step in steps {
        let one = |index: &usize| crowd.get(*index).copied();
        match step {
            Step::Come(is_chat) => {
                let door = if *is_chat { CHAT } else { PARCELS };
                crowd.push((world.connect(door), *is_chat));
            }
            Step::Say(index, line) => {
                if let Some((who, true)) = one(index) {
                    world.send(who, format!("{line}\n").as_bytes());
                }
            }
            Step::Follow(index, place) => {
                if let Some((who, false)) = one(index) {
                    world.send(who, &follow(&format!("r{place}"), Some(0)));
                }
            }
            Step::Bring(index, place, id, from) => {
                if let Some((who, false)) = one(index) {
                    let fields = Fields {
                        room: Some(room(&format!("r{place}"))),
                        from: from.map(|number| Nick::new(&format!("name{number}")).unwrap()),
                        id: id.and_then(|id| MessageId::new(&id.to_string())),
                        wants_ack: id.is_some(),
                        ..Fields::default()
                    };
                    world.send(who, &message_parcel_with("parcel", &fields).unwrap());
                }
            }
            Step::Vanish(index) => {
                if let Some((who, _)) = one(index) {
                    world.vanish(who);
                }
            }
            Step::End(index) => {
                if let Some((who, _)) = one(index) {
                    world.end(who);
                }
            }
        }
    }
    let outcome = |&(who, is_chat): &(u32, bool)| {
        if is_chat {
            return (world.hears(who), world.stage(who));
        }
        let mut delivered = world.reads(who);
        delivered.sort_by(|one, other| room_of(one).cmp(room_of(other)));
        (format!("{delivered:#?}"), world.stage(who))
    };
    crowd.iter().map(outcome).collect()
}

proptest! {
    #[test]
    fn nobody_can_tell_how_many_shards_there_are(
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let alone = play(1, &steps);
        for shards in [2, 3] {
            let several = play(shards, &steps);
            for (one, other) in alone.iter().zip(&several) {
                prop_assert_eq!(one, other, "{} shards", shards);
            }
        }
    }
}
