//! The line door: who hears what.

use testkit::wire;

use crate::support::{assert_harmless, hub};

#[test]
fn a_line_reaches_everybody_but_its_sender_behind_its_senders_address() {
    let hub = hub(&[]);
    let (mut alice, mut bob, mut carol) = (hub.join(), hub.join(), hub.join());
    alice.say("alice:hello");
    let expected = format!("127.0.0.1:{}:alice:hello", alice.address().port());
    assert_eq!(bob.text(), expected);
    assert_eq!(carol.text(), expected);
    bob.say("and now me");
    assert_eq!(alice.text(), format!("{}:and now me", bob.address()));
}

#[test]
fn lines_are_found_however_the_stream_is_cut() {
    let hub = hub(&[]);
    let (mut watcher, mut sender) = (hub.join(), hub.join());
    sender.send(b"one\ntwo\r\nth");
    sender.send(b"r");
    sender.send("ee\n图".as_bytes());
    sender.send("片\r".as_bytes());
    sender.send(b"\nfive\n");
    for text in ["one", "two", "three", "图片", "five"] {
        assert_eq!(watcher.text(), format!("{}:{text}", sender.address()));
    }
}

#[test]
fn one_byte_at_a_time_is_still_one_line() {
    let hub = hub(&[]);
    let (mut watcher, mut sender) = (hub.join(), hub.join());
    for byte in b"slowly typed\n" {
        sender.send(&[*byte]);
    }
    assert_eq!(watcher.text(), format!("{}:slowly typed", sender.address()));
}

#[test]
fn the_last_line_counts_without_its_line_ending() {
    let hub = hub(&[]);
    let (mut watcher, mut sender) = (hub.join(), hub.join());
    sender.send(b"first\nlast words");
    sender.end();
    assert_eq!(watcher.text(), format!("{}:first", sender.address()));
    assert_eq!(watcher.text(), format!("{}:last words", sender.address()));
    sender.rest();
}

#[test]
fn those_present_are_told_who_joins_and_who_leaves() {
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let guest = hub.join();
    let address = guest.address().to_string();
    let joined = watcher.notice(&[&address]);
    drop(guest);
    let left = watcher.notice(&[&address]);
    assert_ne!(joined, left);
}

#[test]
fn a_nick_stands_in_place_of_the_address() {
    let hub = hub(&[]);
    let (mut watcher, mut bob) = (hub.join(), hub.join());
    bob.say("/nick bob");
    watcher.notice(&["bob"]);
    bob.say("it is me");
    assert_eq!(watcher.text(), "bob:it is me");
    drop(bob);
    watcher.notice(&["bob"]);
}

#[test]
fn a_nick_belongs_to_one_member_at_a_time() {
    let hub = hub(&[]);
    let (mut watcher, mut bob, mut thief) = (hub.join(), hub.join(), hub.join());
    bob.say("/nick bob");
    thief.notice(&["bob"]);
    thief.say("/nick bob");
    thief.notice(&["bob"]);
    thief.say("give me money");
    assert_eq!(watcher.text(), format!("{}:give me money", thief.address()));
}

#[test]
fn a_nick_can_not_imitate_a_notice_or_an_address() {
    let hub = hub(&[]);
    let (mut watcher, mut sender) = (hub.join(), hub.join());
    let other = watcher.address().to_string();
    for nick in ["*", "a b", "a:b", "\u{1b}[31mred", "", other.as_str()] {
        sender.say(&format!("/nick {nick}"));
        sender.say("hello");
        assert_eq!(
            watcher.text(),
            format!("{}:hello", sender.address()),
            "after /nick {nick:?}"
        );
    }
}

#[test]
fn help_lists_the_commands_to_the_one_who_asks() {
    let hub = hub(&[]);
    let (mut watcher, mut asker) = (hub.join(), hub.join());
    asker.say("/help");
    while !asker.line().unwrap().contains("/nick") {}
    asker.say("thanks");
    assert_eq!(watcher.text(), format!("{}:thanks", asker.address()));
}

#[test]
fn an_unknown_command_is_told_to_its_sender_and_not_said() {
    let hub = hub(&[]);
    let (mut watcher, mut asker) = (hub.join(), hub.join());
    asker.say("/dance");
    asker.notice(&["/dance"]);
    asker.say("never mind");
    assert_eq!(watcher.text(), format!("{}:never mind", asker.address()));
}

#[test]
fn terminal_control_never_reaches_another_member() {
    let hub = hub(&[]);
    let (mut watcher, mut sender) = (hub.join(), hub.join());
    sender.say("a\u{1b}[2J\u{1b}]0;title\u{7}b\u{9b}31mc\u{8}\u{7f}\u{0}\rd\u{202e}e");
    let line = watcher.text();
    assert_harmless(&line);
    assert!(!line.contains('\u{202e}'), "{line:?}");
    let order: Vec<usize> = "abcde".chars().filter_map(|c| line.find(c)).collect();
    assert_eq!(order.len(), 5, "{line:?}");
    let hostile = "\u{1b}[31m\u{9b}2J.txt";
    let parcels = [
        wire::message("x\u{1b}[1my"),
        wire::file(hostile, b""),
        wire::close(),
    ]
    .concat();
    assert_eq!(hub.upload(&parcels).unwrap(), b"");
    assert_harmless(&watcher.text());
    assert_harmless(&watcher.notice(&["2J.txt"]));
}

#[test]
fn what_is_not_utf8_arrives_as_utf8_or_not_at_all() {
    let hub = hub(&[]);
    let (mut watcher, mut sender) = (hub.join(), hub.join());
    sender.send(b"bad \xff\xfe\xc3( bytes\n");
    sender.say("good");
    let mut line = watcher.text();
    if !line.ends_with(":good") {
        assert!(line.contains("bad"), "{line:?}");
        line = watcher.text();
    }
    assert_eq!(line, format!("{}:good", sender.address()));
}

#[test]
fn the_log_tells_who_came_what_was_said_and_who_left() {
    let hub = hub(&[]);
    let mut guest = hub.join();
    let address = guest.address().to_string();
    guest.say("a remarkable sentence");
    hub.log().wait_line(&[&address, "a remarkable sentence"]);
    drop(guest);
    hub.log().wait_line(&[&address, "left"]);
    assert_harmless(&hub.log().text());
}

#[test]
fn the_log_can_not_be_forged_by_what_is_said() {
    let hub = hub(&[]);
    let (mut watcher, mut guest) = (hub.join(), hub.join());
    guest.say("\u{1b}[31mred \r\u{9b}0m alert");
    watcher.text();
    hub.log().wait_line(&["alert"]);
    assert_harmless(&hub.log().text());
}
