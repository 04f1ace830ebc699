//! The hub's limits: one below, at them and one above.

use std::time::Duration;

use switchboard_hub::Limits;
use switchboard_hub::limits::{
    CHAT_IDLE, CHAT_READ_BYTES_MAX, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, FEED_BYTES_MAX,
    FEED_ENTRIES_MAX, FINISH_TIME, IDLE_LOOK_MIN, LINE_TIME, OUTBOX_BYTES_MAX, OUTBOX_TIME,
    PIECE_BYTES, ROOM_MEMBERS_MAX, ROOMS_MAX, STALL_TIME, STOP_TIME, STORE_IN_FLIGHT_BYTES_MAX,
    UPLOAD_IN_FLIGHT_BYTES_MAX,
};
use switchboard_hub::room::{Event, MemberId, RoomRefusal, Rooms};
use switchboard_hub::shard::Guests;
use switchboard_wire::RoomName;
use switchboard_wire::limits::{FRAME_TIME, PARCEL_IDLE};
use switchboard_wire::parcel::file_header;

use crate::net::{CHAT, PARCELS, Stage, World};

const TICK: Duration = Duration::from_millis(1);

fn world() -> World {
    World::new(Limits::default())
}

#[test]
fn so_many_connections_are_taken_and_one_more_is_turned_away() {
    let mut world = world();
    for number in 1..=CONNECTIONS_MAX {
        let who = world.connect(PARCELS);
        assert_eq!(world.stage(who), Stage::Open, "{number}");
    }
    let late = world.connect(CHAT);
    assert_eq!(world.stage(late), Stage::TurnedAway);
    let told = format!("* the hub is full: {CONNECTIONS_MAX} connections\n");
    assert_eq!(world.hears(late), told);
    world.vanish(1);
    let next = world.connect(PARCELS);
    assert_eq!(world.stage(next), Stage::Open, "in its place");
}

#[test]
fn so_many_connections_of_one_address_are_taken_and_those_of_this_machine_do_not_count() {
    let mut world = world();
    let hosts = [Guests::V4([192, 0, 2, 1]), Guests::V6([0x20; 8])];
    for host in hosts {
        for number in 1..=CONNECTIONS_PER_ADDRESS_MAX + 1 {
            let who = world.knock_from(PARCELS, host.clone(), false);
            let is_taken = number <= CONNECTIONS_PER_ADDRESS_MAX;
            let is_open = world.stage(who) == Stage::Open;
            assert_eq!(is_open, is_taken, "{number} of {host:?}");
        }
    }
    for number in 1..=CONNECTIONS_PER_ADDRESS_MAX + 1 {
        let who = world.knock_from(PARCELS, Guests::V4([127, 0, 0, 1]), true);
        assert_eq!(world.stage(who), Stage::Open, "{number} of this machine");
    }
}

#[test]
fn so_many_rooms_are_made_and_so_many_members_get_into_one() {
    let mut rooms = Rooms::new(&Limits::default(), [], 1);
    let enter = |rooms: &mut Rooms, room: &str, member: usize| {
        let event = Event::Join {
            member: MemberId(u64::try_from(member).unwrap()),
            name: member.to_string().into(),
            is_greeted: false,
        };
        let room = rooms.enter(&RoomName::new(room).unwrap(), || 1)?;
        room.handle(0, event);
        Ok(())
    };
    // The lobby is one of them.
    for number in 2..=ROOMS_MAX {
        assert_eq!(enter(&mut rooms, &format!("r{number}"), number), Ok(()));
    }
    let too_many = Err(RoomRefusal::TooManyRooms { max: ROOMS_MAX });
    assert_eq!(enter(&mut rooms, "one-more", 1), too_many);
    for number in 1..=ROOM_MEMBERS_MAX {
        assert_eq!(enter(&mut rooms, "lobby", number), Ok(()), "{number}");
    }
    let full = enter(&mut rooms, "lobby", ROOM_MEMBERS_MAX + 1);
    assert!(
        matches!(full, Err(RoomRefusal::Full { max, .. }) if max == ROOM_MEMBERS_MAX),
        "{full:?}"
    );
}

#[test]
fn so_many_bytes_of_answers_wait_and_one_more_ends_the_connection() {
    let mut world = world();
    let bob = world.connect(CHAT);
    world.takes(bob);
    let answer = world.say(bob, "/help").len();
    let most = OUTBOX_BYTES_MAX / answer;
    for number in 1..=most {
        world.send(bob, b"/help\n");
        assert_eq!(world.stage(bob), Stage::Open, "{number}");
    }
    world.send(bob, b"/help\n");
    assert_eq!(world.stage(bob), Stage::Reset);
    // To the byte, where the operator has another limit.
    for (limit, stage) in [
        (3 * answer - 1, Stage::Reset),
        (3 * answer, Stage::Open),
        (3 * answer + 1, Stage::Open),
    ] {
        let mut world = World::new(Limits {
            outbox_bytes: limit,
            ..Limits::default()
        });
        let bob = world.connect(CHAT);
        world.takes(bob);
        world.send(bob, b"/help\n/help\n/help\n");
        assert_eq!(world.stage(bob), stage, "{limit} for {answer}");
    }
}

/// How many entries a member missed that took nothing while so many came that it was `late` by,
/// each a line of so many bytes.
fn missed(late: usize, bytes: usize) -> usize {
    const OUTBOX_BYTES: usize = 3_000;
    let mut world = World::new(Limits {
        outbox_bytes: OUTBOX_BYTES,
        ..Limits::default()
    });
    let (bob, alice) = (world.connect(CHAT), world.connect(CHAT));
    world.takes(bob);
    let text = "x".repeat(bytes - "10.0.0.1:2:\n".len()) + "\n";
    // What there is room for it gets at once.
    let (mut left, at_once) = (OUTBOX_BYTES / bytes + late, 1_000);
    while left > 0 {
        let count = left.min(at_once);
        world.send(alice, text.repeat(count).as_bytes());
        left -= count;
    }
    world.takes(bob);
    let told = world.hears(bob);
    let slow = told.split_once("* you were slow: ");
    slow.map_or(0, |(_, rest)| {
        rest.split_once(' ').unwrap().0.parse().unwrap()
    })
}

#[test]
fn who_is_later_than_a_feed_holds_goes_on_in_the_middle_of_it() {
    let max = FEED_ENTRIES_MAX;
    assert_eq!(
        [max - 1, max, max + 1].map(|late| missed(late, 15)),
        [0, 0, max / 2 + 1]
    );
    // The same in bytes.
    let max = FEED_BYTES_MAX / 1_024;
    assert_eq!(
        [max - 1, max, max + 1].map(|late| missed(late, 1_024)),
        [0, 0, max / 2 + 1]
    );
}

#[test]
fn what_is_read_of_a_member_in_one_turn_is_limited_and_its_end_too() {
    let mut world = world();
    let (member, program) = (world.connect(CHAT), world.connect(PARCELS));
    assert_eq!(world.reads_at_once(member), Some(CHAT_READ_BYTES_MAX));
    assert_eq!(world.reads_at_once(program), None);
    world.say(member, "/quit");
    world.send(program, &switchboard_wire::parcel::close_frame());
    for who in [member, program] {
        assert_eq!(world.stage(who), Stage::Finished);
        assert_eq!(world.time_to_finish(who), Some(FINISH_TIME));
    }
}

#[test]
fn who_is_silent_or_slow_for_too_long_is_put_out_and_not_a_moment_sooner() {
    let half_a_parcel = &file_header("x", 1).unwrap()[..5];
    let cases: [(u32, &[u8], Duration); 4] = [
        (CHAT, b"", CHAT_IDLE),
        (CHAT, b"half a li", LINE_TIME),
        (PARCELS, b"", PARCEL_IDLE),
        (PARCELS, half_a_parcel, FRAME_TIME),
    ];
    for (door, bytes, time) in cases {
        let mut world = world();
        let who = world.connect(door);
        world.send(who, bytes);
        world.wait(time - TICK);
        assert_eq!(world.stage(who), Stage::Open, "{time:?}");
        world.wait(TICK);
        assert_ne!(world.stage(who), Stage::Open, "{time:?}");
    }
}

#[test]
fn members_who_are_silent_for_long_are_looked_at_together() {
    let mut world = world();
    let first = world.connect(CHAT);
    world.wait(TICK);
    let second = world.connect(CHAT);
    world.wait(CHAT_IDLE - TICK);
    assert_eq!(world.stage(first), Stage::Finished);
    world.wait(IDLE_LOOK_MIN - TICK);
    assert_eq!(
        world.stage(second),
        Stage::Open,
        "it is late by {IDLE_LOOK_MIN:?}"
    );
    world.wait(TICK);
    assert_eq!(world.stage(second), Stage::Finished);
}

#[test]
fn where_the_hub_itself_stood_still_a_peer_gets_a_little_more_time_once() {
    for (late, is_spared) in [
        (STALL_TIME - TICK, false),
        (STALL_TIME, false),
        (STALL_TIME + TICK, true),
    ] {
        let mut world = world();
        let member = world.connect(CHAT);
        world.send(member, b"half a li");
        world.stand_still(LINE_TIME + late);
        let is_open = |world: &mut World| world.stage(member) == Stage::Open;
        assert_eq!(is_open(&mut world), is_spared, "{late:?}");
        world.wait(STALL_TIME - TICK);
        assert_eq!(is_open(&mut world), is_spared, "{late:?}");
        world.wait(TICK);
        assert_eq!(world.stage(member), Stage::Finished, "{late:?}");
    }
}

#[test]
fn who_does_not_close_in_time_is_cut_when_the_hub_ends() {
    let mut world = world();
    let member = world.connect(CHAT);
    world.begin_stop();
    assert_eq!(world.stage(member), Stage::Finished);
    world.wait(STOP_TIME - TICK);
    assert!(!world.has_ended());
    world.wait(TICK);
    assert!(world.has_ended());
    assert_eq!(world.stage(member), Stage::Reset);
}

/// Begins to send a file of which so much is to be counted as waiting for the disk.
fn upload(world: &mut World, counted: usize) -> u32 {
    let bytes = vec![0; counted - PIECE_BYTES];
    let program = world.connect(PARCELS);
    world.send(program, &file_header("x", u32::MAX / 2).unwrap());
    world.send(program, &bytes);
    program
}

#[test]
fn an_upload_is_not_read_when_too_much_of_it_waits_for_the_disk() {
    let max = UPLOAD_IN_FLIGHT_BYTES_MAX;
    for (counted, is_paused) in [(max - 1, false), (max, false), (max + 1, true)] {
        let mut world = world();
        let program = upload(&mut world, counted);
        assert_eq!(world.is_paused(program), is_paused, "{counted}");
    }
}

#[test]
fn uploads_are_not_read_when_too_much_of_all_of_them_waits_for_the_disk() {
    let each = UPLOAD_IN_FLIGHT_BYTES_MAX;
    let full = STORE_IN_FLIGHT_BYTES_MAX / each;
    for (last, is_paused) in [(each - 1, false), (each, false), (each + 1, true)] {
        let mut world = world();
        for _ in 1..full {
            upload(&mut world, each);
        }
        // In two, so that it is not its own limit that holds it up.
        let (first, second) = (
            upload(&mut world, each / 2),
            upload(&mut world, last - each / 2),
        );
        assert!(!world.is_paused(first));
        assert_eq!(world.is_paused(second), is_paused, "{last}");
    }
}

#[test]
fn what_an_operator_may_change_is_as_the_table_says() {
    let limits = Limits::default();
    assert_eq!((limits.outbox_bytes, OUTBOX_BYTES_MAX), (4 << 20, 4 << 20));
    assert_eq!(
        (limits.outbox_time, OUTBOX_TIME),
        (Duration::from_secs(60), limits.outbox_time)
    );
    assert_eq!(
        (limits.connections, limits.connections_per_address),
        (10_000, 64)
    );
    assert_eq!((limits.rooms, limits.room_members), (10_000, 200_000));
    assert_eq!(limits.chat_idle, Duration::from_secs(24 * 3_600));
    assert_eq!(limits.line_time, Duration::from_secs(600));
    assert_eq!(limits.parcel_idle, Duration::from_secs(300));
    assert_eq!(limits.frame_time, Duration::from_secs(60));
    assert_eq!(limits.line_bytes, 64 << 10);
    assert_eq!(
        (limits.message_bytes, limits.file_bytes),
        (1 << 20, (1 << 31) - 1)
    );
    assert!(!limits.loopback_counts);
}
