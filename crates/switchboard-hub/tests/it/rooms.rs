//! The directory of rooms, without any socket.

use proptest::prelude::*;
use switchboard_hub::Limits;
use switchboard_hub::limits::MESSAGE_IDS_MAX;
use switchboard_hub::room::{Event, MemberId, Room, RoomRefusal, Rooms};
use switchboard_wire::{MessageId, RoomName};

fn name(name: &str) -> RoomName {
    RoomName::new(name).unwrap()
}

fn rooms(rooms: usize, members: usize) -> Rooms {
    let limits = Limits {
        rooms,
        room_members: members,
        ..Limits::default()
    };
    Rooms::new(&limits, [name("kept")], 1)
}

fn join(rooms: &mut Rooms, room: &str, member: u64, epoch: u64) -> Result<(), RoomRefusal> {
    let event = Event::Join {
        member: MemberId(member),
        name: member.to_string().into(),
        is_greeted: false,
    };
    rooms.enter(&name(room), || epoch)?.handle(0, event);
    Ok(())
}

fn leave(rooms: &mut Rooms, room: &str, member: u64) {
    let (member, reason) = (MemberId(member), None);
    if let Some(found) = rooms.get_mut(&name(room)) {
        found.handle(0, Event::Leave { member, reason });
    }
    rooms.forget(&name(room));
}

#[test]
fn a_room_is_made_by_the_first_and_forgotten_with_the_last() {
    let mut rooms = rooms(10, 10);
    join(&mut rooms, "kitchen", 1, 5).unwrap();
    join(&mut rooms, "kitchen", 2, 6).unwrap();
    let epoch = |rooms: &Rooms| rooms.get(&name("kitchen")).map(Room::epoch);
    assert_eq!(
        epoch(&rooms),
        Some(5),
        "the second finds what the first has made"
    );
    leave(&mut rooms, "kitchen", 1);
    assert_eq!(epoch(&rooms), Some(5));
    leave(&mut rooms, "kitchen", 2);
    assert_eq!(epoch(&rooms), None);
    join(&mut rooms, "kitchen", 3, 7).unwrap();
    assert_eq!(epoch(&rooms), Some(7), "another history");
}

#[test]
fn the_lobby_and_what_is_to_be_kept_stay() {
    let mut rooms = rooms(10, 10);
    for room in ["kept", "lobby"] {
        join(&mut rooms, room, 1, 5).unwrap();
        leave(&mut rooms, room, 1);
        let found = rooms.get(&name(room)).unwrap();
        assert_eq!((found.len(), found.last_seq()), (0, 2), "{room}");
        assert!(rooms.is_kept(&name(room)));
    }
}

#[test]
fn a_room_stays_for_who_speaks_there_without_being_a_member() {
    let mut rooms = rooms(10, 10);
    let kitchen = name("kitchen");
    let guest = MemberId(9);
    rooms.hold(&kitchen, guest, || 5).unwrap();
    rooms.hold(&kitchen, guest, || 6).unwrap();
    join(&mut rooms, "kitchen", 1, 6).unwrap();
    leave(&mut rooms, "kitchen", 1);
    assert_eq!(rooms.get(&kitchen).map(Room::epoch), Some(5));
    rooms.let_go(&kitchen, guest);
    assert!(rooms.get(&kitchen).is_none());
    rooms.let_go(&kitchen, guest);
}

#[test]
fn there_are_at_most_so_many_rooms() {
    let mut rooms = rooms(4, 10);
    for (room, member) in [("a", 1), ("b", 2), ("c", 3)] {
        join(&mut rooms, room, member, 5).unwrap();
    }
    assert_eq!(rooms.len(), 4, "and the lobby");
    let refusal = Err(RoomRefusal::TooManyRooms { max: 4 });
    assert_eq!(join(&mut rooms, "d", 4, 5), refusal);
    let held = rooms.hold(&name("d"), MemberId(9), || 5);
    assert_eq!(held.map(drop), refusal);
    join(&mut rooms, "c", 4, 5).unwrap();
    leave(&mut rooms, "a", 1);
    join(&mut rooms, "d", 1, 5).unwrap();
}

#[test]
fn there_are_at_most_so_many_members_in_a_room() {
    let mut rooms = rooms(4, 3);
    for member in 1..=3 {
        join(&mut rooms, "a", member, 5).unwrap();
    }
    let refusal = Err(RoomRefusal::Full {
        room: name("a"),
        max: 3,
    });
    assert_eq!(join(&mut rooms, "a", 4, 5), refusal);
    rooms.hold(&name("a"), MemberId(9), || 5).unwrap();
    leave(&mut rooms, "a", 1);
    join(&mut rooms, "a", 4, 5).unwrap();
}

#[test]
fn what_came_is_known_by_its_authors_number_until_too_many_came_behind_it() {
    let mut rooms = rooms(4, 3);
    let lobby = RoomName::lobby();
    let id = |number: usize| MessageId::new(&number.to_string()).unwrap();
    for number in 1..=MESSAGE_IDS_MAX {
        rooms.note(&lobby, id(number), number as u64);
        rooms.note(&lobby, id(number), number as u64);
    }
    assert_eq!(rooms.taken(&lobby, &id(1)), Some(1));
    assert_eq!(rooms.taken(&name("other"), &id(1)), None);
    rooms.note(&lobby, id(0), 7);
    assert_eq!(rooms.taken(&lobby, &id(1)), None);
    assert_eq!(rooms.taken(&lobby, &id(2)), Some(2));
    assert_eq!(rooms.taken(&lobby, &id(0)), Some(7));
}

#[test]
fn a_forgotten_rooms_numbers_count_for_nothing() {
    let mut rooms = rooms(4, 3);
    let (kitchen, id) = (name("kitchen"), MessageId::new("1").unwrap());
    join(&mut rooms, "kitchen", 1, 5).unwrap();
    rooms.note(&kitchen, id.clone(), 2);
    leave(&mut rooms, "kitchen", 1);
    assert_eq!(rooms.taken(&kitchen, &id), None);
    join(&mut rooms, "kitchen", 1, 6).unwrap();
    assert_eq!(rooms.taken(&kitchen, &id), None);
}

proptest! {
    #[test]
    fn no_room_is_empty_but_those_that_are_kept(
        steps in prop::collection::vec((0..4usize, 1..6u64, any::<bool>()), 0..100),
    ) {
        let names = ["a", "b", "kept", "lobby"];
        let mut rooms = rooms(4, 3);
        for (room, member, is_joining) in steps {
            if is_joining {
                join(&mut rooms, names[room], member, 5).ok();
            } else {
                leave(&mut rooms, names[room], member);
            }
            prop_assert!(rooms.len() <= 4);
            for (name, members) in rooms.iter() {
                prop_assert!(members <= 3);
                prop_assert!(members > 0 || rooms.is_kept(name));
            }
        }
    }
}
