//! `switchboard send`: to our hub and to other people's servers.

use std::fs;
use std::io::Read;
use std::net::{Shutdown, TcpListener};
use std::path::Path;
use std::thread;

use tempfile::TempDir;
use testkit::{Random, wire};

use crate::support::{hub, nobody, on_a_terminal, ours, python_server, run};

/// A file with these bytes; its path as an argument.
fn file(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn messages_and_files_arrive_in_the_order_given() {
    let folder = TempDir::new().unwrap();
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let bytes = Random::new(3).bytes(3_000_000);
    let picture = file(folder.path(), "图片.png", &bytes);
    let empty = file(folder.path(), "empty", b"");
    let place = hub.parcels().to_string();
    let words = [
        "send",
        &place,
        &picture,
        "--message",
        "look",
        &empty,
        "--message",
        "that is all",
    ];
    run(&words).succeeded();
    watcher.notice(&["图片.png", "3000000"]);
    assert!(watcher.text().ends_with(":look"));
    watcher.notice(&["empty", "0"]);
    assert!(watcher.text().ends_with(":that is all"));
    assert!(hub.file("图片.png") == bytes, "the file differs");
    assert_eq!(hub.file("empty"), b"");
}

#[test]
fn a_python_server_gets_everything_and_the_close() {
    let folder = TempDir::new().unwrap();
    let target = TempDir::new().unwrap();
    let bytes = Random::new(4).bytes(1_000_000);
    let picture = file(folder.path(), "图 片.png", &bytes);
    let (mut server, place) = python_server("upload_server.py", &[target.path().to_str().unwrap()]);
    let words = [
        "send",
        &place,
        "--message",
        "one",
        &picture,
        "--message",
        "two 二",
    ];
    run(&words).succeeded();
    let told = server.finish().succeeded().text();
    let told: Vec<&str> = told.lines().skip(1).collect();
    assert_eq!(
        told,
        ["message one", "file 图 片.png", "message two 二", "closed"]
    );
    assert!(
        fs::read(target.path().join("图 片.png")).unwrap() == bytes,
        "the file differs"
    );
}

#[test]
fn only_the_last_part_of_a_path_is_told() {
    let folder = TempDir::new().unwrap();
    let path = file(folder.path(), "a.txt", b"1");
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut send = ours(&["send", &server.local_addr().unwrap().to_string(), &path]);
    let (mut stream, _) = server.accept().unwrap();
    let mut sent = Vec::new();
    stream.read_to_end(&mut sent).unwrap();
    let shown = String::from_utf8_lossy(&sent);
    assert!(!shown.contains(folder.path().to_str().unwrap()), "{shown}");
    assert!(
        sent.ends_with(&[wire::frame(b"1"), wire::close()].concat()),
        "{shown}"
    );
    drop(stream);
    assert!(send.wait().success());
}

#[test]
fn a_peer_that_never_ends_is_trusted_with_a_note_unless_its_end_is_insisted_on() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = server.local_addr().unwrap().to_string();
    let mut trusting = ours(&["send", &place, "-m", "one"]);
    let _first = server.accept().unwrap();
    let mut strict = ours(&["send", &place, "-m", "two", "--wait", "1"]);
    let _second = server.accept().unwrap();
    assert!(!strict.wait().success());
    strict.err.wait_line(&["did not close the conversation"]);
    assert!(trusting.wait().success());
    trusting
        .err
        .wait_line(&["has received everything", "not known"]);
}

#[test]
fn the_chat_door_is_the_wrong_one_and_that_is_an_error() {
    let hub = hub(&[]);
    let mut watcher = hub.join();
    run(&["send", &hub.chat().to_string(), "-m", "lost"]).failed_with(&["chat", "8001"]);
    let mut other = hub.join();
    other.say("still here");
    assert!(watcher.text().ends_with(":still here"));
}

#[test]
fn the_first_of_several_files_of_one_name_gets_it() {
    let folder = TempDir::new().unwrap();
    let hub = hub(&[]);
    let files: Vec<String> = (0..8)
        .map(|number| {
            let sub = folder.path().join(number.to_string());
            fs::create_dir(&sub).unwrap();
            file(&sub, "n.txt", format!("content {number}").as_bytes())
        })
        .collect();
    let place = hub.parcels().to_string();
    let arguments: Vec<&str> = ["send", place.as_str()]
        .into_iter()
        .chain(files.iter().map(String::as_str))
        .collect();
    run(&arguments).succeeded();
    for number in 0..8 {
        let name = match number {
            0 => "n.txt".to_owned(),
            number => format!("n ({}).txt", number + 1),
        };
        let content = fs::read_to_string(hub.files().join(&name)).unwrap();
        assert_eq!(content, format!("content {number}"), "{name}");
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error_before_anything_is_sent() {
    let folder = TempDir::new().unwrap();
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let place = hub.parcels().to_string();
    let missing = folder.path().join("missing.txt");
    let missing = missing.to_str().unwrap();
    run(&["send", &place, "--message", "too early", missing]).failed_with(&[missing]);
    run(&["send", &place, folder.path().to_str().unwrap()])
        .failed_with(&[folder.path().to_str().unwrap()]);
    run(&["send", &place, "--message", "now"]).succeeded();
    assert!(watcher.text().ends_with(":now"));
}

#[test]
fn nobody_there_is_an_error_that_names_the_address() {
    let place = nobody().to_string();
    run(&["send", &place, "--message", "hello"]).failed_with(&[&place]);
}

#[test]
fn nothing_to_send_is_a_mistake() {
    let hub = hub(&[]);
    assert!(!run(&["send", &hub.parcels().to_string()]).status.success());
}

#[test]
fn a_server_that_goes_away_is_an_error() {
    let folder = TempDir::new().unwrap();
    let path = file(folder.path(), "large.bin", &vec![1; 64 << 20]);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = server.local_addr().unwrap().to_string();
    let mut send = ours(&["send", &place, &path]);
    let (mut stream, _) = server.accept().unwrap();
    stream.read_exact(&mut [0; 100]).unwrap();
    stream.shutdown(Shutdown::Both).unwrap();
    drop(stream);
    send.finish().failed_with(&[&place]);
}

#[test]
fn a_terminal_sees_progress_and_a_pipe_sees_plain_text() {
    let folder = TempDir::new().unwrap();
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let path = file(folder.path(), "bar.bin", &vec![1; 5_000_000]);
    let place = hub.parcels().to_string();
    let mut shown = on_a_terminal(&["send", &place, &path]);
    assert!(shown.finish().succeeded().text().contains("bar.bin"));
    watcher.notice(&["bar.bin", "5000000"]);
    let plain = run(&["send", &place, &path]).succeeded();
    assert!(!plain.err.contains(['\u{1b}', '\r']) && !plain.text().contains(['\u{1b}', '\r']));
}

#[test]
fn many_senders_at_once_all_arrive() {
    let folder = TempDir::new().unwrap();
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let place = hub.parcels().to_string();
    thread::scope(|scope| {
        for number in 0..8 {
            let bytes = Random::new(number).bytes(200_000);
            let path = file(folder.path(), &format!("{number}.bin"), &bytes);
            let place = &place;
            scope.spawn(move || run(&["send", place, &path]).succeeded().text());
        }
    });
    for _ in 0..8 {
        watcher.notice(&[".bin", "200000"]);
    }
    for number in 0..8 {
        let bytes = Random::new(number).bytes(200_000);
        assert!(
            hub.file(&format!("{number}.bin")) == bytes,
            "{number}.bin differs"
        );
    }
}
