//! A whole shard, on a network that is made up: rooms, names, private messages, answers, following.

use std::time::Duration;

use switchboard_hub::Limits;
use switchboard_hub::limits::FEED_BYTES_MAX;
use switchboard_wire::parcel::{close_frame, join_parcel, message_parcel, message_parcel_with};
use switchboard_wire::{
    Answer, Delivered, EntryFrame, EntryKind, Fields, Follow, MessageId, Nick, RoomName,
};

use crate::net::{CHAT, PARCELS, Stage, World};

fn world() -> World {
    World::new(Limits::default())
}

fn room(name: &str) -> RoomName {
    RoomName::new(name).unwrap()
}

/// A message for a room.
fn message(text: &str, room_name: &str) -> Vec<u8> {
    let fields = Fields {
        room: Some(room(room_name)),
        ..Fields::default()
    };
    message_parcel_with(text, &fields).unwrap()
}

/// A message with a number, whose sender wants to know.
fn asking(text: &str, id: &str) -> Vec<u8> {
    let fields = Fields {
        id: MessageId::new(id),
        wants_ack: true,
        ..Fields::default()
    };
    message_parcel_with(text, &fields).unwrap()
}

fn from(text: &str, name: &str) -> Vec<u8> {
    let fields = Fields {
        from: Some(Nick::new(name).unwrap()),
        wants_ack: true,
        ..Fields::default()
    };
    message_parcel_with(text, &fields).unwrap()
}

fn follow(room_name: &str, since: Option<u64>, epoch: Option<u64>) -> Vec<u8> {
    join_parcel(&Follow {
        room: room(room_name),
        from: None,
        since,
        epoch,
    })
}

/// The numbers and kinds of entries, and all answers.
fn shown(delivered: &[Delivered]) -> Vec<String> {
    let show = |delivered: &Delivered| match delivered {
        Delivered::Entry(EntryFrame {
            seq, from, kind, ..
        }) => match kind {
            EntryKind::Text(text) => format!("{seq} {from}: {text}"),
            kind => format!("{seq} {from} {}", kind.name()),
        },
        Delivered::Answer(Answer::Ack { room, seq, id, .. }) => {
            let id = id.as_ref().map_or("-", MessageId::as_str);
            format!("ack {room} {seq} {id}")
        }
        Delivered::Answer(Answer::At { room, seq, .. }) => format!("at {room} {seq}"),
        Delivered::Answer(Answer::Gap { from, to, .. }) => format!("gap {from} {to}"),
        Delivered::Answer(Answer::Refused { reason, .. }) => format!("refused {reason}"),
        Delivered::Answer(Answer::Have { bytes, .. }) => format!("have {bytes}"),
        Delivered::Answer(Answer::Reset { epoch, .. }) => format!("reset {epoch}"),
    };
    delivered.iter().map(show).collect()
}

#[test]
fn a_member_hears_its_room_and_no_other() {
    let mut world = world();
    let (alice, bob, carol) = (
        world.connect(CHAT),
        world.connect(CHAT),
        world.connect(CHAT),
    );
    let to_kitchen = "* you are now in kitchen, 1 here\n";
    world.takes(bob);
    assert_eq!(world.say(bob, "/join Kitchen"), to_kitchen);
    assert!(world.hears(alice).ends_with("* 10.0.0.1:2 left\n"));
    world.takes(carol);
    world.say(carol, "/join ｋｉｔｃｈｅｎ");
    assert_eq!(world.hears(bob), "* 10.0.0.1:3 joined\n");
    world.takes(alice);

    world.say(bob, "for the kitchen");
    assert_eq!(world.hears(carol), "10.0.0.1:2:for the kitchen\n");
    assert_eq!(world.hears(alice), "");
    world.say(alice, "for the lobby");
    assert_eq!(world.hears(bob) + &world.hears(carol), "");
    assert_eq!(world.say(alice, "/who"), "* 1 here: 10.0.0.1:1\n");
    assert_eq!(
        world.say(alice, "/rooms"),
        "* 2 rooms: kitchen (2), lobby (1, you are here)\n"
    );
    assert_eq!(
        world.say(bob, "/join kitchen"),
        "* you are in kitchen already\n"
    );
    world.say(bob, "/quit");
    world.say(carol, "/join lobby");
    let after = world.say(alice, "/rooms");
    assert!(
        after.ends_with("* 1 rooms: lobby (2, you are here)\n"),
        "{after}"
    );
}

#[test]
fn a_name_is_one_members_in_all_rooms_and_a_change_is_told_where_the_member_is() {
    let mut world = world();
    let (alice, bob, carol) = (
        world.connect(CHAT),
        world.connect(CHAT),
        world.connect(CHAT),
    );
    world.say(bob, "/join kitchen");
    world.say(carol, "/join kitchen");
    for who in [alice, bob] {
        world.takes(who);
    }
    assert_eq!(world.say(alice, "/nick Alice"), "* you are now Alice\n");
    assert_eq!(world.hears(bob), "", "nothing is told to other rooms");
    let taken = "* somebody else is ALICE: take another name\n";
    assert_eq!(world.say(bob, "/nick ALICE"), taken);
    let looks = "* \u{430}lice looks like Alice, and somebody else is that: take another name\n";
    assert_eq!(world.say(bob, "/nick \u{430}lice"), looks);
    world.say(carol, "/nick carol");
    assert_eq!(world.hears(bob), "* 10.0.0.1:3 is now carol\n");
    world.say(carol, "/join lobby");
    assert_eq!(world.hears(alice), "* carol joined\n", "a name goes along");
    world.say(alice, "/quit");
    assert_eq!(
        world.say(bob, "/nick alice"),
        "* carol left\n* you are now alice\n"
    );
    world.vanish(bob);
    assert!(
        world
            .say(carol, "/nick alice")
            .ends_with("* you are now alice\n")
    );
}

#[test]
fn a_private_message_reaches_one_member_in_whatever_room() {
    let mut world = world();
    let (alice, bob, carol) = (
        world.connect(CHAT),
        world.connect(CHAT),
        world.connect(CHAT),
    );
    world.say(alice, "/nick alice");
    world.say(bob, "/nick bob");
    world.say(bob, "/join kitchen");
    for who in [alice, bob, carol] {
        world.takes(who);
    }
    assert_eq!(
        world.say(alice, "/msg BOB see\u{1b}[2J you"),
        "* you tell bob: see[2J you\n"
    );
    assert_eq!(world.hears(bob), "* alice tells you: see[2J you\n");
    assert_eq!(world.hears(carol), "");
    assert_eq!(
        world.say(bob, "/msg 10.0.0.1:3 hello"),
        "* you tell 10.0.0.1:3: hello\n"
    );
    assert_eq!(world.hears(carol), "* bob tells you: hello\n");
    assert_eq!(
        world.say(bob, "/msg 10.0.0.1:1 hello"),
        "* nobody here is 10.0.0.1:1\n"
    );
    assert_eq!(world.say(bob, "/msg dave hello"), "* nobody here is dave\n");
    let program = world.connect(PARCELS);
    let join = follow("kitchen", None, None);
    world.send(program, &join);
    world.takes(bob);
    assert_eq!(
        world.say(bob, "/msg 10.0.0.1:4 hello"),
        "* 10.0.0.1:4 is a program that takes no messages\n"
    );
}

#[test]
fn a_topic_is_told_to_who_comes_and_goes_with_its_room() {
    let mut world = world();
    let (alice, bob) = (world.connect(CHAT), world.connect(CHAT));
    for name in ["kitchen", "kept"] {
        world.say(alice, &format!("/join {name}"));
        assert_eq!(world.say(alice, "/topic"), "* there is no topic here\n");
        assert_eq!(world.say(alice, "/topic tea"), "* the topic here is: tea\n");
        world.takes(bob);
        let told = world.say(bob, &format!("/join {name}"));
        assert!(
            told.ends_with(&format!("* you are now in {name}, 2 here: tea\n")),
            "{told}"
        );
        world.say(alice, "/join lobby");
        world.say(bob, "/join lobby");
        let again = world.say(bob, &format!("/join {name}"));
        assert_eq!(again.contains(": tea"), name == "kept", "{again}");
        world.say(bob, "/join lobby");
        world.takes(alice);
    }
}

#[test]
fn what_is_not_kept_is_said_so() {
    let mut world = world();
    let alice = world.connect(CHAT);
    for line in ["/history", "/history 5", "/search tea"] {
        let answer = "* this hub keeps no history: its log is off\n";
        assert_eq!(world.say(alice, line), answer);
    }
}

#[test]
fn who_cannot_enter_a_room_stays_where_it_is() {
    let limits = Limits {
        rooms: 2,
        room_members: 2,
        ..Limits::default()
    };
    let mut world = World::new(limits);
    let (alice, bob) = (world.connect(CHAT), world.connect(CHAT));
    let late = world.connect(CHAT);
    assert_eq!(world.stage(late), Stage::Finished);
    assert_eq!(world.hears(late), "* the room lobby is full: 2 members\n");
    world.say(alice, "/join kitchen");
    world.takes(bob);
    let full = "* there are 2 rooms already, and no more can be made\n";
    assert_eq!(world.say(bob, "/join cellar"), full);
    assert_eq!(world.say(bob, "/who"), "* 1 here: 10.0.0.1:2\n");
    let program = world.connect(PARCELS);
    world.send(program, &follow("cellar", None, None));
    assert_eq!(
        shown(&world.reads(program)),
        ["refused there are 2 rooms already, and no more can be made"]
    );
    world.send(program, &follow("kitchen", None, None));
    world.takes(program);
    let full = "* the room kitchen is full: 2 members\n";
    assert_eq!(world.say(bob, "/join kitchen"), full);
}

#[test]
fn a_parcel_goes_into_its_room_under_its_name_and_is_not_answered() {
    let mut world = world();
    let (alice, bob) = (world.connect(CHAT), world.connect(CHAT));
    world.say(bob, "/join kitchen");
    for who in [alice, bob] {
        world.takes(who);
    }
    let program = world.connect(PARCELS);
    let fields = Fields {
        room: Some(room("kitchen")),
        from: Nick::new("builds").ok(),
        ..Fields::default()
    };
    let parcels = [
        message_parcel("to all").unwrap(),
        message_parcel_with("done", &fields).unwrap(),
        message("more", "KITCHEN"),
    ];
    world.send(program, &parcels.concat());
    assert_eq!(world.hears(alice), "10.0.0.1:3:to all\n");
    assert_eq!(world.hears(bob), "builds:done\n10.0.0.1:3:more\n");
    let taken = "* somebody else is Builds: take another name\n";
    assert_eq!(world.say(bob, "/nick Builds"), taken);
    world.send(program, &close_frame());
    assert_eq!(world.takes(program), b"");
    assert_eq!(world.stage(program), Stage::Finished);
    world.close(program, None);
    assert_eq!(world.say(bob, "/nick Builds"), "* you are now Builds\n");
}

#[test]
fn nobody_speaks_under_anothers_name() {
    let mut world = world();
    let alice = world.connect(CHAT);
    world.say(alice, "/nick alice");
    let program = world.connect(PARCELS);
    world.send(program, &from("it is me", "ALICE"));
    let refused = ["refused somebody else is ALICE: take another name"];
    assert_eq!(shown(&world.reads(program)), refused);
    world.send(
        program,
        &[message_parcel("plain").unwrap(), close_frame()].concat(),
    );
    assert_eq!(world.hears(alice), "10.0.0.1:2:plain\n");
    assert_eq!(
        world.stage(program),
        Stage::Reset,
        "not everything was taken"
    );
}

#[test]
fn a_parcel_is_acknowledged_to_who_asks_and_taken_once() {
    let mut world = world();
    let alice = world.connect(CHAT);
    let program = world.connect(PARCELS);
    let parcels = [
        message_parcel("one").unwrap(),
        asking("two", "a"),
        asking("two again", "a"),
        asking("three", "b"),
    ];
    world.send(program, &parcels.concat());
    let heard = "10.0.0.1:2:one\n10.0.0.1:2:two\n10.0.0.1:2:three\n";
    assert_eq!(world.hears(alice), heard);
    let answers = world.reads(program);
    assert_eq!(
        shown(&answers),
        ["ack lobby 3 a", "ack lobby 3 a", "ack lobby 4 b"]
    );
    let is_durable =
        |answer: &Delivered| matches!(answer, Delivered::Answer(Answer::Ack { durable: true, .. }));
    assert!(!answers.iter().any(is_durable), "there is no log");

    // Another connection may send again what this one did not hear of.
    world.vanish(program);
    let again = world.connect(PARCELS);
    world.send(again, &asking("three", "b"));
    assert_eq!(shown(&world.reads(again)), ["ack lobby 4 b"]);
    assert_eq!(world.hears(alice), "");
}

#[test]
fn a_refused_parcel_is_told_to_who_asks() {
    let mut world = world();
    let program = world.connect(PARCELS);
    let mut bytes = Vec::new();
    let header = br#"{"msg_type":"dance","id":"x","sb":{"v":2,"want":["ack"]}}"#;
    for frame in [&header[..], b""] {
        switchboard_wire::frame::encode(frame, &mut bytes).unwrap();
    }
    world.send(program, &bytes);
    let answers = world.reads(program);
    let [Delivered::Answer(Answer::Refused { id, reason })] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert_eq!(*id, MessageId::new("x"));
    assert!(reason.contains("`dance`"), "{reason}");
}

#[test]
fn a_follower_receives_every_entry_with_its_number() {
    let mut world = world();
    let alice = world.connect(CHAT);
    let program = world.connect(PARCELS);
    world.send(program, &follow("lobby", None, None));
    assert_eq!(
        world.hears(alice),
        "* 10.0.0.1:2 joined\n",
        "nobody listens unseen"
    );
    world.say(alice, "/nick alice");
    world.say(alice, "hi");
    world.send(program, &message_parcel("my own").unwrap());
    let expected = [
        "at lobby 1",
        "2 10.0.0.1:2 joined",
        "3 10.0.0.1:1 renamed",
        "4 alice: hi",
        "5 10.0.0.1:2: my own",
    ];
    let delivered = world.reads(program);
    assert_eq!(shown(&delivered), expected);
    let Delivered::Entry(entry) = &delivered[3] else {
        panic!()
    };
    assert_eq!((entry.room.as_str(), entry.time_ms), ("lobby", 5_000));
    world.takes(alice);

    world.send(program, &follow("kitchen", None, None));
    assert_eq!(world.hears(alice), "* 10.0.0.1:2 left\n");
    assert_eq!(
        shown(&world.reads(program)),
        ["at kitchen 0", "1 10.0.0.1:2 joined"]
    );
    world.say(alice, "not for the kitchen");
    assert_eq!(shown(&world.reads(program)), [""; 0]);
    world.send(program, &close_frame());
    assert!(
        world
            .say(alice, "/rooms")
            .ends_with("* 1 rooms: lobby (1, you are here)\n")
    );
}

#[test]
fn a_follower_that_comes_back_is_told_what_it_cannot_have() {
    let epoch = 1;
    let cases = [
        (Some(4), Some(epoch), vec!["at lobby 4"]),
        (Some(2), Some(epoch), vec!["at lobby 2", "gap 3 4"]),
        (Some(0), None, vec!["at lobby 0", "gap 1 4"]),
        (Some(3), Some(99), vec!["reset 1", "at lobby 0", "gap 1 4"]),
        (
            Some(7),
            Some(epoch),
            vec!["reset 1", "at lobby 0", "gap 1 4"],
        ),
        (None, Some(99), vec!["reset 1", "at lobby 4"]),
    ];
    for (since, known, expected) in cases {
        let mut world = world();
        let alice = world.connect(CHAT);
        for text in ["2", "3", "4"] {
            world.say(alice, text);
        }
        let program = world.connect(PARCELS);
        world.send(program, &follow("lobby", since, known));
        let mut told = shown(&world.reads(program));
        assert_eq!(told.pop().unwrap(), "5 10.0.0.1:2 joined");
        assert_eq!(told, expected, "{since:?} {known:?}");
    }
}

#[test]
fn a_follower_may_be_silent_and_a_sender_may_not() {
    let mut world = world();
    let (program, sender) = (world.connect(PARCELS), world.connect(PARCELS));
    world.send(program, &follow("lobby", None, None));
    world.wait(Duration::from_secs(3600));
    assert_eq!(world.stage(sender), Stage::Reset);
    assert_eq!(world.stage(program), Stage::Open);
    world.wait(Duration::from_secs(24 * 3600));
    assert_eq!(world.stage(program), Stage::Reset);
}

#[test]
fn who_stops_reading_is_dropped_and_its_room_is_told() {
    let mut world = world();
    let (alice, bob) = (world.connect(CHAT), world.connect(CHAT));
    let program = world.connect(PARCELS);
    world.send(program, &follow("lobby", None, None));
    world.takes(alice);
    world.stall(bob);
    assert_eq!(
        world.hears(alice),
        "* 10.0.0.1:2 left: it stopped reading\n"
    );
    world.stall(program);
    assert_eq!(
        world.hears(alice),
        "* 10.0.0.1:3 left: it stopped reading\n"
    );
    assert_eq!(world.say(alice, "/who"), "* 1 here: 10.0.0.1:1\n");
}

#[test]
fn a_message_is_the_same_whether_anybody_reads_it_in_another_form_or_not() {
    let pieces = [
        "first\nsecond\r\n\n  \nthi",
        "rd\n\x07bell\tand \u{200f}more\n/who\nafter it\n",
        "\u{1b}[2J\nüñí\n \u{a0}\n\n",
        &"x".repeat(70_000),
        "\n/nick al\nnamed\n\x10\0\0\0{}\nlast\n",
    ];
    let mut told = [false, true].map(|is_followed| {
        let mut world = world();
        let (bob, alice) = (world.connect(CHAT), world.connect(CHAT));
        if is_followed {
            let program = world.connect(PARCELS);
            world.send(program, &follow("lobby", None, None));
        }
        world.takes(bob);
        world.takes(alice);
        for piece in pieces {
            world.send(alice, piece.as_bytes());
        }
        let joined = 2 + u64::from(is_followed);
        let seq = world.room(&RoomName::lobby()).unwrap().last_seq() - joined;
        (world.hears(bob), world.hears(alice), seq)
    });
    // Who follows is counted.
    told[1].1 = told[1]
        .1
        .replace("3 here", "2 here")
        .replace(", 10.0.0.1:3", "");
    assert_eq!(told[0], told[1]);
    assert!(told[0].0.contains("10.0.0.1:2:third\n") && told[0].0.ends_with("al:last\n"));
    assert_eq!(told[0].2, 10);
}

#[test]
fn who_asks_and_does_not_take_the_answers_is_dropped() {
    let limits = Limits {
        outbox_bytes: 2_000,
        ..Limits::default()
    };
    let mut world = World::new(limits);
    let (alice, bob) = (world.connect(CHAT), world.connect(CHAT));
    for _ in 0..200 {
        world.send(bob, b"/who\n");
    }
    assert_eq!(world.stage(bob), Stage::Reset);
    assert!(world.hears(alice).contains(" left: it stopped reading\n"));
}

#[test]
fn a_slow_reader_is_told_how_much_it_missed_and_goes_on() {
    let limits = Limits {
        outbox_bytes: 3_000,
        ..Limits::default()
    };
    let mut world = World::new(limits);
    let (alice, bob) = (world.connect(CHAT), world.connect(CHAT));
    let program = world.connect(PARCELS);
    world.send(program, &follow("lobby", None, None));
    world.takes(program);
    let text = "x".repeat(1000);
    let all = u64::try_from(2 * FEED_BYTES_MAX / text.len()).unwrap();
    // Joinings were the first three entries.
    let numbers = 4..4 + all;
    for number in numbers.clone() {
        world.send(alice, format!("{number} {text}\n").as_bytes());
    }
    let (mut lines, mut missed) = (Vec::new(), Vec::new());
    while lines.last() != Some(&(numbers.end - 1)) {
        for line in world.hears(bob).lines() {
            let words: Vec<&str> = line.splitn(2, [':', ' ']).collect();
            if let Some(slow) = line.strip_prefix("* you were slow: ") {
                missed.push(slow.split(' ').next().unwrap().parse::<u64>().unwrap());
            } else if let Some(said) = line.strip_prefix("10.0.0.1:1:") {
                lines.push(said.split(' ').next().unwrap().parse().unwrap());
            } else {
                assert_eq!(words[0], "*");
            }
        }
    }
    assert_eq!(missed.len(), 1);
    assert_eq!(lines.len() as u64 + missed[0], all);
    let gap = lines
        .windows(2)
        .find(|pair| pair[1] != pair[0] + 1)
        .unwrap();
    assert_eq!(gap[1] - gap[0] - 1, missed[0]);
    // A program is told the numbers.
    let (mut next, mut gaps) = (4, 0);
    while next < numbers.end {
        for delivered in world.reads(program) {
            match delivered {
                Delivered::Entry(entry) => {
                    assert_eq!(entry.seq, next);
                    next += 1;
                }
                Delivered::Answer(Answer::Gap { from, to, .. }) => {
                    assert_eq!(from, next);
                    (next, gaps) = (to + 1, gaps + 1);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(gaps, 1);
}

#[test]
fn a_room_where_only_programs_speak_keeps_its_numbers_as_long_as_they_are_there() {
    let mut world = world();
    let program = world.connect(PARCELS);
    let fields = Fields {
        room: Some(room("builds")),
        wants_ack: true,
        ..Fields::default()
    };
    let parcel = message_parcel_with("x", &fields).unwrap();
    world.send(program, &[parcel.clone(), parcel].concat());
    assert_eq!(
        shown(&world.reads(program)),
        ["ack builds 1 -", "ack builds 2 -"]
    );
    assert!(world.room(&room("builds")).is_some());
    world.vanish(program);
    assert!(world.room(&room("builds")).is_none());
}

#[test]
fn the_end_of_the_hub_is_told_and_comes_when_all_are_gone() {
    let mut world = world();
    let (alice, program) = (world.connect(CHAT), world.connect(PARCELS));
    world.send(program, &follow("lobby", None, None));
    world.takes(alice);
    assert!(world.stop());
    assert!(world.hears(alice).contains("* the hub is closing\n"));
    assert_eq!(world.stage(alice), Stage::Finished);
}
