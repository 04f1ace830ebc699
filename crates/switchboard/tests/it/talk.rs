//! `switchboard talk`: both sides of a conversation by datagrams, with our own and with Python's.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use testkit::Program;

use crate::support::{address, bin, listening, ours, python, python_server, run};

/// `talk --listen`, and the address it listens on.
#[track_caller]
fn answering() -> (Program, String) {
    let talk = ours(&["talk", "--listen", "127.0.0.1:0"]);
    let place = address(&listening(&talk)).to_string();
    (talk, place)
}

#[test]
fn both_sides_hear_each_other_and_q_ends_them() {
    let (mut answering, place) = answering();
    let mut calling = ours(&["talk", &place]);
    calling.say("anybody home?");
    answering.out.wait_for("anybody home?");
    answering.say("just me");
    calling.out.wait_for("just me");
    calling.say("quite quiet");
    answering.out.wait_for("quite quiet");
    for side in [&mut calling, &mut answering] {
        side.say("q");
        side.finish().succeeded();
    }
}

#[test]
fn the_listening_side_answers_each_caller() {
    let (mut answering, place) = answering();
    for word in ["first", "second", "third"] {
        let mut calling = ours(&["talk", &place]);
        calling.say(word);
        answering.out.wait_for(word);
        answering.say(&format!("hello {word}"));
        calling.out.wait_for(&format!("hello {word}"));
        calling.say("q");
        assert!(calling.wait().success());
    }
}

#[test]
fn an_empty_line_is_not_sent() {
    let (mut server, place) = python_server("talk_server.py", &[]);
    let mut talk = ours(&["talk", &place]);
    talk.say("");
    talk.say("one");
    server.out.wait_for("says one");
    server.say("answer one");
    talk.out.wait_for("answer one");
    talk.say("");
    talk.say("two 二");
    server.out.wait_for("says two 二");
    server.say("answer two");
    talk.out.wait_for("answer two");
    talk.say("q");
    talk.finish().succeeded();
    assert_eq!(server.out.text().matches(" says ").count(), 2);
}

#[test]
fn a_python_client_is_answered() {
    let (mut answering, place) = answering();
    let mut client = python("talk_client.py", &[&format!("hub={place}")]);
    client.say("hub");
    client.say("hello there");
    answering.out.wait_for("hello there");
    answering.say("general answer");
    client.out.wait_for("hub answers general answer");
    client.say("q");
    client.finish().succeeded();
}

#[test]
fn a_name_is_looked_up_in_the_address_book() {
    let folder = TempDir::new().unwrap();
    let (mut answering, place) = answering();
    let book = folder.path().join("book.toml");
    fs::write(
        &book,
        format!("[contacts]\nalice = \"{place}\"\n\"张 三\" = \"127.0.0.1:9\"\n"),
    )
    .unwrap();
    let book = book.to_str().unwrap();
    let mut calling = ours(&["talk", "alice", "--contacts", book]);
    calling.say("by name");
    answering.out.wait_for("by name");
    answering.say("indeed");
    calling.out.wait_for("indeed");
    run(&["talk", "alcie", "--contacts", book]).failed_with(&["alcie", "alice"]);
    run(&["talk", "张三", "--contacts", book]).failed_with(&["张 三"]);
}

#[test]
fn a_bad_address_book_is_an_error_that_says_where() {
    let folder = TempDir::new().unwrap();
    let book = folder.path().join("book.toml");
    fs::write(&book, "[contacts]\nalice = 7\n").unwrap();
    let book = book.to_str().unwrap();
    let told = run(&["talk", "alice", "--contacts", book]);
    // A parser's error may take more lines than others: it shows the place in the file.
    assert!(
        told.status.code() == Some(1) && told.err.contains(book),
        "{}",
        told.err
    );
    let missing = folder.path().join("missing.toml");
    let missing = missing.to_str().unwrap();
    run(&["talk", "alice", "--contacts", missing]).failed_with(&[missing]);
}

#[test]
fn without_a_book_it_says_where_it_looked() {
    let home = TempDir::new().unwrap();
    let (answering, place) = answering();
    let mut command = Command::new(bin());
    command.args(["talk", "alice"]).env("HOME", home.path());
    let folder = home.path().join("config");
    let mut talk = Program::start_command(command.env("XDG_CONFIG_HOME", &folder));
    talk.end_input();
    let told = talk.finish();
    assert_eq!(told.status.code(), Some(1), "{}", told.err);
    let from = told.err.find(folder.to_str().unwrap()).expect(&told.err);
    let to = told.err[from..].find(".toml").expect(&told.err) + from + ".toml".len();
    let book = Path::new(&told.err[from..to]);
    fs::create_dir_all(book.parent().unwrap()).unwrap();
    fs::write(book, format!("[contacts]\nalice = \"{place}\"\n")).unwrap();
    let mut talk = Program::start_command(&mut command);
    talk.say("hello");
    answering.out.wait_for("hello");
}

#[test]
fn the_end_of_input_ends_it_too() {
    let (answering, place) = answering();
    let mut talk = ours(&["talk", &place]);
    talk.feed(b"last words");
    talk.end_input();
    talk.finish().succeeded();
    answering.out.wait_for("last words");
}

#[test]
fn a_port_that_is_taken_is_an_error_that_names_it() {
    let (_first, place) = answering();
    run(&["talk", "--listen", &place]).failed_with(&[&place]);
    assert!(!run(&["talk", "--listen", "nonsense"]).status.success());
}
