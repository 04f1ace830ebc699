//! Rooms, by `nc`, by Python and by our own clients.

use testkit::{Hub, Program, wire};

use crate::support::{hub, ours, python, run};

/// `nc` at the line door.
#[track_caller]
fn nc(hub: &Hub) -> Program {
    let (host, port) = (hub.chat().ip().to_string(), hub.chat().port().to_string());
    Program::start("nc", ["-N", &host, &port])
}

/// The program of Python's standard library that asks the parcel door for answers.
#[track_caller]
fn asks(hub: &Hub, arguments: &[&str]) -> Program {
    let place = hub.parcels().to_string();
    python("room_client.py", &[&[place.as_str()], arguments].concat())
}

#[test]
fn people_in_different_rooms_do_not_hear_each_other() {
    let hub = hub(&[]);
    let mut lobby = hub.join();
    let mut alice = nc(&hub);
    lobby.notice(&["joined"]);
    alice.say("/nick alice");
    alice.say("/join Kitchen");
    alice.out.wait_for("* you are now in kitchen, 1 here\n");
    lobby.notice(&["alice left"]);
    let mut bob = ours(&[
        "chat",
        &format!("bob@{}", hub.chat()),
        "--room",
        "ＫＩＴＣＨＥＮ",
    ]);
    alice.out.wait_for("* bob joined\n");
    bob.say("what is for dinner?");
    alice.out.wait_for("bob:what is for dinner?\n");
    lobby.say("/rooms");
    lobby.notice(&["2 rooms: kitchen (2), lobby (1, you are here)"]);
    lobby.say("/who");
    assert!(!lobby.notice(&["1 here"]).contains("bob"));
    alice.say("/topic dinner");
    bob.out.wait_line(&["* alice set the topic: dinner"]);
    bob.say("/msg alice not here");
    alice.out.wait_for("* bob tells you: not here\n");
    lobby.say("anybody?");
    alice.say("/join lobby");
    alice.out.wait_for("* you are now in lobby, 2 here\n");
    assert!(!alice.out.text().contains("anybody?"));
    alice.say("back again");
    assert_eq!(lobby.text(), "alice:back again");
    hub.log()
        .wait_line(&["kitchen #", "bob", "what is for dinner?"]);
    assert!(!hub.log().text().contains("not here"), "it was told alone");
}

#[test]
fn what_is_sent_to_a_room_is_heard_there() {
    let hub = hub(&["--keep-room", "kitchen"]);
    let (mut lobby, mut kitchen) = (hub.join(), hub.join());
    lobby.notice(&["joined"]);
    kitchen.say("/join kitchen");
    kitchen.notice(&["you are now in kitchen"]);
    let door = hub.parcels().to_string();
    run(&["send", &door, "--room", "Kitchen", "-m", "dinner is ready"]).succeeded();
    assert!(kitchen.text().ends_with(":dinner is ready"));
    run(&["send", &door, "-m", "for all"]).succeeded();
    assert!(lobby.text().ends_with(":for all"));
    let refused = run(&["send", &door, "--room", "two words", "-m", "x"]);
    assert_eq!(refused.status.code(), Some(2), "{}", refused.err);
    assert!(refused.err.contains("and not ' '"), "{}", refused.err);
}

#[test]
fn the_clients_of_the_tutorials_hear_what_they_always_heard() {
    let hub = hub(&[]);
    let mut first = hub.join();
    let second = hub.join();
    let address = second.address();
    let mut expected = format!("* {address} joined\n");
    drop(second);
    expected.push_str(&format!("* {address} left\n"));
    for line in expected.lines() {
        assert_eq!(first.line().unwrap(), line);
    }
    let parcels = [wire::message("hello"), wire::close()].concat();
    assert_eq!(hub.upload(&parcels).unwrap(), b"", "not a byte comes back");
    assert!(first.line().unwrap().ends_with(":hello"));
}

#[test]
fn a_python_program_that_asks_is_answered_and_its_message_is_taken_once() {
    let hub = hub(&["--log", "off"]);
    let mut member = hub.join();
    member.say("/join builds");
    member.notice(&["you are now in builds"]);
    let answer = |text: &str| {
        let mut program = asks(&hub, &["send", "builds", "ci", "run-7", text]);
        program.finish().succeeded().text()
    };
    let first = answer("green");
    assert!(
        first.contains(r#""sb": {"ack": {"room": "builds", "epoch": "#),
        "{first}"
    );
    assert!(
        first.contains(r#""seq": 2, "id": "run-7", "durable": false"#),
        "{first}"
    );
    assert_eq!(member.text(), "ci:green");
    assert_eq!(answer("green once more"), first, "the same number");
    member.say("/nick ci");
    member.notice(&["you are now ci"]);
    let refused = asks(&hub, &["send", "builds", "CI", "run-8", "red"])
        .finish()
        .text();
    assert!(
        refused.contains(r#""refused": {"id": "run-8", "reason": "somebody"#),
        "{refused}"
    );
}

#[test]
fn a_python_program_follows_a_room_and_comes_back() {
    let hub = hub(&["--keep-room", "kitchen", "--log", "off"]);
    let follower = asks(&hub, &["follow", "kitchen"]);
    follower
        .out
        .wait_line(&[r#""at": {"room": "kitchen""#, r#""seq": 0"#]);
    follower
        .out
        .wait_line(&[r#""msg_type": "joined""#, r#""seq": 1,"#]);
    let mut member = hub.join();
    member.say("/nick 李雷");
    member.say("/join kitchen");
    member.say("吃饭了");
    let joined = follower.out.wait_line(&["李雷", "joined"]);
    assert!(joined.contains(r#""seq": 2,"#), "{joined}");
    let said = follower.out.wait_line(&[r#""payload": "吃饭了""#]);
    assert!(
        said.contains(r#""msg_type": "msg", "room": "kitchen""#),
        "{said}"
    );
    assert!(
        said.contains(r#""seq": 3,"#) && said.contains(r#""from": "李雷""#),
        "{said}"
    );
    let (_, epoch) = said.split_once(r#""epoch": "#).unwrap();
    let epoch = epoch.split(',').next().unwrap().to_owned();
    drop(follower);
    member.notice(&["left"]);
    let again = asks(&hub, &["follow", "kitchen", "1", &epoch]);
    again.out.wait_line(&["at", r#""seq": 1}"#]);
    again.out.wait_line(&["gap", r#""from": 2, "to": 4}"#]);
    again.out.wait_line(&[r#""seq": 5,"#, "joined"]);
    let other = asks(&hub, &["follow", "kitchen", "1", "12345"]);
    other.out.wait_line(&["reset", &epoch]);
}

#[test]
fn there_are_as_many_rooms_and_members_as_the_operator_allows() {
    let hub = hub(&["--rooms", "2", "--room-members", "2"]);
    let (mut one, mut two) = (hub.join(), hub.join());
    let mut late = testkit::Member::connect(hub.chat());
    late.notice(&["the room lobby is full: 2 members"]);
    assert_eq!(late.line(), None);
    one.say("/join kitchen");
    one.notice(&["you are now in kitchen"]);
    two.say("/join cellar");
    two.notice(&["there are 2 rooms already"]);
    two.say("/join kitchen");
    two.notice(&["you are now in kitchen, 2 here"]);
}
