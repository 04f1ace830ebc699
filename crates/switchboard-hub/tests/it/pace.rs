//! How fast one connection may send, where that has a limit: a shard on a network and a clock that
//! are made up.

use std::num::NonZeroU32;
use std::time::Duration;

use switchboard_hub::Limits;
use switchboard_hub::limits::{MESSAGES_BURST_MIN, MESSAGES_WAIT_MIN};
use switchboard_wire::parcel::{
    close_frame, file_header, join_parcel, message_parcel, message_parcel_with,
};
use switchboard_wire::{Answer, Delivered, Fields, Follow, RoomName};

use crate::net::{CHAT, PARCELS, Stage, World};

/// Above [`MESSAGES_BURST_MIN`], so that the burst is a second's worth.
const RATE: u32 = 20;

fn limited(per_second: u32) -> World {
    World::new(Limits {
        messages_per_second: NonZeroU32::new(per_second),
        ..Limits::default()
    })
}

/// So many lines, each with its number.
fn lines(count: u32) -> Vec<u8> {
    (1..=count)
        .flat_map(|n| format!("{n}\n").into_bytes())
        .collect()
}

/// How many lines have come that were said.
fn said(heard: &str) -> usize {
    heard.lines().filter(|line| !line.starts_with('*')).count()
}

#[test]
fn a_line_above_the_burst_waits_and_none_is_lost() {
    let few = MESSAGES_BURST_MIN / 2;
    for (rate, burst) in [(RATE, RATE), (few, MESSAGES_BURST_MIN)] {
        for count in [burst - 1, burst, burst + 1, 4 * burst] {
            let mut world = limited(rate);
            let (ann, bob) = (world.connect(CHAT), world.connect(CHAT));
            world.takes(bob);
            world.send(ann, &lines(count));
            let at_once = count.min(burst);
            assert_eq!(said(&world.hears(bob)), at_once as usize, "{rate} {count}");
            assert_eq!(world.is_paused(ann), count > burst, "{rate} {count}");

            let each = Duration::from_secs(1) / rate;
            let rest = count - at_once;
            world.wait(each * rest + MESSAGES_WAIT_MIN);
            let heard = world.hears(bob);
            let expected: Vec<String> = (at_once + 1..=count)
                .map(|n| format!("10.0.0.1:1:{n}"))
                .collect();
            assert_eq!(
                heard.lines().collect::<Vec<_>>(),
                expected,
                "{rate} {count}"
            );
            assert!(!world.is_paused(ann));
        }
    }
}

#[test]
fn whoever_is_slowed_comes_at_its_rate_and_holds_up_nobody_else() {
    let mut world = limited(RATE);
    let (ann, bob, carol) = (
        world.connect(CHAT),
        world.connect(CHAT),
        world.connect(CHAT),
    );
    world.takes(bob);
    world.send(ann, &lines(10 * RATE));
    assert_eq!(said(&world.hears(bob)), RATE as usize);
    for second in 1..=5 {
        world.wait(Duration::from_secs(1));
        assert_eq!(said(&world.hears(bob)), RATE as usize, "{second}");
        world.say(carol, "meanwhile");
        assert_eq!(world.hears(bob), "10.0.0.1:3:meanwhile\n");
    }
    // What it is told comes all the same.
    assert!(world.hears(ann).contains(":meanwhile\n"));
    world.vanish(ann);
    world.wait(Duration::from_secs(60));
    assert_eq!(said(&world.hears(bob)), 0, "nobody is left to say it");
}

#[test]
fn lines_without_anything_in_them_and_commands_count_too() {
    for what in ["\n", "  \n", "/topic\n", "\u{202e}\n", "/nothing\n"] {
        for count in [RATE - 1, RATE] {
            let mut world = limited(RATE);
            let (ann, bob) = (world.connect(CHAT), world.connect(CHAT));
            world.takes(bob);
            world.send(ann, what.repeat(count as usize).as_bytes());
            world.takes(ann);
            world.takes(bob);
            world.send(ann, b"hello\n");
            let is_held = count == RATE;
            assert_eq!(world.is_paused(ann), is_held, "{count} x {what:?}");
            assert_eq!(world.hears(bob).is_empty(), is_held, "{count} x {what:?}");
            world.wait(MESSAGES_WAIT_MIN);
            assert_eq!(world.hears(bob).is_empty(), !is_held, "{count} x {what:?}");
        }
    }
}

#[test]
fn a_last_line_without_its_ending_has_its_turn_before_the_end() {
    let mut world = limited(RATE);
    let (ann, bob) = (world.connect(CHAT), world.connect(CHAT));
    world.takes(bob);
    world.send(ann, &lines(RATE - 1));
    world.send(ann, b"begun");
    world.send(ann, b"\nlast");
    world.end(ann);
    assert_eq!(said(&world.hears(bob)), RATE as usize);
    assert_eq!(world.stage(ann), Stage::Open);
    world.wait(MESSAGES_WAIT_MIN);
    assert_eq!(world.hears(bob), "10.0.0.1:1:last\n* 10.0.0.1:1 left\n");
    assert_eq!(world.stage(ann), Stage::Finished);
}

/// Answers to parcels that were taken.
fn acks(delivered: &[Delivered]) -> usize {
    let is_ack = |it: &&Delivered| matches!(it, Delivered::Answer(Answer::Ack { .. }));
    delivered.iter().filter(is_ack).count()
}

#[test]
fn a_parcel_above_the_burst_waits_whether_it_is_answered_or_empty() {
    let asks = Fields {
        wants_ack: true,
        ..Fields::default()
    };
    for text in ["", "a message"] {
        let parcel = message_parcel_with(text, &asks).unwrap();
        for count in [RATE - 1, RATE, RATE + 1, 3 * RATE] {
            let mut world = limited(RATE);
            let sender = world.connect(PARCELS);
            world.send(sender, &parcel.repeat(count as usize));
            let at_once = count.min(RATE) as usize;
            assert_eq!(acks(&world.reads(sender)), at_once, "{count} x {text:?}");
            assert_eq!(world.is_paused(sender), count > RATE);
            world.wait(Duration::from_secs(3));
            assert_eq!(acks(&world.reads(sender)), count as usize - at_once);
        }
    }
    // Who is not answered is slowed the same, and everything arrives before the end.
    let mut world = limited(RATE);
    let (bob, sender) = (world.connect(CHAT), world.connect(PARCELS));
    world.takes(bob);
    let mut all = message_parcel("a message")
        .unwrap()
        .repeat(RATE as usize + 5);
    all.extend(close_frame());
    world.send(sender, &all);
    assert_eq!(said(&world.hears(bob)), RATE as usize);
    world.wait(Duration::from_secs(1));
    assert_eq!(said(&world.hears(bob)), 5);
    assert_eq!(world.stage(sender), Stage::Finished);
}

/// How often it was told where it begins.
fn answers(delivered: &[Delivered]) -> usize {
    let is_at = |it: &&Delivered| matches!(it, Delivered::Answer(Answer::At { .. }));
    delivered.iter().filter(is_at).count()
}

#[test]
fn whoever_follows_asks_at_its_rate_and_is_told_everything() {
    let mut world = limited(RATE);
    let (ann, program) = (world.connect(CHAT), world.connect(PARCELS));
    let join = join_parcel(&Follow {
        room: RoomName::lobby(),
        from: None,
        since: None,
        epoch: None,
    });
    world.send(program, &join.repeat(RATE as usize + 1));
    assert_eq!(answers(&world.reads(program)), RATE as usize);
    assert!(world.is_paused(program));
    world.say(ann, "heard");
    assert_eq!(world.reads(program).len(), 1);
    world.wait(MESSAGES_WAIT_MIN);
    assert_eq!(answers(&world.reads(program)), 1);
    assert!(!world.is_paused(program));
}

#[test]
fn a_file_is_one_message_however_long_it_is() {
    let mut world = limited(RATE);
    let sender = world.connect(PARCELS);
    let text = message_parcel("a message").unwrap();
    world.send(sender, &text.repeat(RATE as usize - 1));
    world.send(sender, &file_header("a.bin", 100_000).unwrap());
    for _ in 0..100 {
        world.send(sender, &[7; 999]);
        assert!(!world.is_paused(sender));
    }
    world.send(sender, &[7; 100]);
    assert!(!world.is_paused(sender));
    world.send(sender, &file_header("b.bin", 1).unwrap());
    assert!(world.is_paused(sender));
    world.wait(MESSAGES_WAIT_MIN);
    assert!(!world.is_paused(sender));
}

#[test]
fn without_a_limit_or_below_it_nobody_waits_and_no_timer_is_set() {
    for rate in [None, NonZeroU32::new(1_000)] {
        let mut world = World::new(Limits {
            messages_per_second: rate,
            ..Limits::default()
        });
        let (ann, bob) = (world.connect(CHAT), world.connect(CHAT));
        world.takes(bob);
        let timers = world.timers();
        let rounds = if rate.is_none() { 100 } else { 1 };
        for _ in 0..rounds {
            world.send(ann, &lines(1_000));
            assert_eq!(said(&world.hears(bob)), 1_000);
            assert!(!world.is_paused(ann));
        }
        assert_eq!(world.timers(), timers);
    }
}
