//! `switchboard chat`: at our hub and in other people's rooms.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::support::{hub, nobody, on_a_terminal, ours, python, python_server, run};

#[test]
fn what_is_typed_is_said_and_what_is_said_is_shown() {
    let hub = hub(&[]);
    let mut member = hub.join();
    let mut chat = ours(&["chat", &hub.chat().to_string()]);
    member.notice(&["127.0.0.1:"]);
    chat.say("hello from the client");
    assert!(member.text().ends_with(":hello from the client"));
    member.say("hello back");
    chat.out
        .wait_line(&[&format!("{}:hello back", member.address())]);
}

#[test]
fn a_name_before_the_host_is_the_nick() {
    let hub = hub(&[]);
    let mut member = hub.join();
    let mut chat = ours(&["chat", &format!("alice@{}", hub.chat())]);
    chat.say("it is me");
    assert_eq!(member.text(), "alice:it is me");
}

#[test]
fn the_end_of_input_ends_it_and_loses_nothing() {
    let hub = hub(&[]);
    let mut member = hub.join();
    let mut chat = ours(&["chat", &hub.chat().to_string()]);
    chat.feed(b"first\nlast");
    chat.end_input();
    chat.finish().succeeded();
    assert!(member.text().ends_with(":first"));
    assert!(member.text().ends_with(":last"));
}

#[test]
fn it_takes_part_in_a_python_room_that_ends_no_line() {
    let (room, place) = python_server("room_server.py", &[]);
    let mut chat = ours(&["chat", &place]);
    room.out.wait_for("joined");
    let mut other = python("chat_client.py", &[&place]);
    let port = other.out.wait_line(&["port "]).replace("port ", "");
    room.out.wait_for(&format!("joined {port}"));
    chat.say("bob:hi all");
    other.out.wait_for(":bob:hi all");
    other.say("hi bob");
    // No line ending follows: it has to be shown all the same.
    chat.out.wait_for(&format!("127.0.0.1:{port}:hi bob"));
    chat.end_input();
    chat.finish().succeeded();
    other.end_input();
    other.finish().succeeded();
}

#[test]
fn it_ends_when_the_server_goes() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut chat = ours(&["chat", &server.local_addr().unwrap().to_string()]);
    let (mut stream, _) = server.accept().unwrap();
    stream.write_all(b"goodbye").unwrap();
    drop(stream);
    chat.out.wait_line(&["goodbye"]);
    chat.wait();
}

#[test]
fn it_sends_plain_lines() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut chat = ours(&["chat", &server.local_addr().unwrap().to_string()]);
    let (mut stream, _) = server.accept().unwrap();
    chat.feed("one\n图片\r\n".as_bytes());
    chat.end_input();
    let mut sent = Vec::new();
    stream.read_to_end(&mut sent).unwrap();
    let sent = String::from_utf8(sent).unwrap();
    assert_eq!(sent.lines().collect::<Vec<_>>(), ["one", "图片"]);
}

#[test]
fn on_a_terminal_others_are_shown_too() {
    let hub = hub(&[]);
    let mut member = hub.join();
    let chat = on_a_terminal(&["chat", &hub.chat().to_string()]);
    member.notice(&["127.0.0.1:"]);
    member.say("can you see me?");
    chat.out.wait_for("can you see me?");
}

#[test]
fn nobody_there_is_an_error_that_names_the_address() {
    let place = nobody().to_string();
    run(&["chat", &place]).failed_with(&[&place]);
}
