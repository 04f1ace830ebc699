//! The parcel door: messages into the room, files onto the disk, and not a byte back.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use tempfile::TempDir;
use testkit::{Random, names, wire};

use crate::support::hub;

#[test]
fn a_message_appears_in_the_chat_behind_its_senders_address() {
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let mut stream = wire::open(hub.parcels()).unwrap();
    let sender = stream.local_addr().unwrap();
    stream
        .write_all(&wire::message("good morning 早上好"))
        .unwrap();
    assert_eq!(watcher.text(), format!("{sender}:good morning 早上好"));
}

#[test]
fn a_message_of_many_lines_can_not_speak_for_others() {
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let mut stream = wire::open(hub.parcels()).unwrap();
    let sender = stream.local_addr().unwrap();
    stream
        .write_all(&wire::message("one\n* two\r\n127.0.0.1:1:three"))
        .unwrap();
    for text in ["one", "* two", "127.0.0.1:1:three"] {
        assert_eq!(watcher.text(), format!("{sender}:{text}"));
    }
}

#[test]
fn a_file_arrives_whole_and_the_room_is_told_its_name_size_and_sender() {
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let bytes = Random::new(1).bytes(70_123);
    let mut stream = wire::open(hub.parcels()).unwrap();
    let sender = stream.local_addr().unwrap().to_string();
    stream.write_all(&wire::file("图片.png", &bytes)).unwrap();
    watcher.notice(&["图片.png", "70123", &sender]);
    assert_eq!(names(&hub.files()), ["图片.png"]);
    assert!(hub.file("图片.png") == bytes, "the file differs");
    assert_eq!(hub.files(), hub.data.join("files"));
}

#[test]
fn the_log_tells_which_message_and_which_file() {
    let hub = hub(&[]);
    let parcels = [wire::message("a rare word"), wire::file("a.txt", b"12345")].concat();
    hub.upload(&[parcels, wire::close()].concat()).unwrap();
    hub.log().wait_line(&["127.0.0.1:", "a rare word"]);
    hub.log().wait_line(&["127.0.0.1:", "a.txt", "5"]);
}

#[test]
fn an_empty_file_is_a_file() {
    let hub = hub(&[]);
    let mut watcher = hub.join();
    hub.upload(&[wire::file("empty", b""), wire::close()].concat())
        .unwrap();
    watcher.notice(&["empty", "0"]);
    assert_eq!(hub.file("empty"), b"");
}

#[test]
fn not_a_byte_comes_back_and_the_end_is_no_reset() {
    let hub = hub(&[]);
    let parcels = [wire::message("a"), wire::file("b", b"c"), wire::close()].concat();
    assert_eq!(hub.upload(&parcels).unwrap(), b"");
    // The end of the stream between two parcels is as good as `close`.
    assert_eq!(hub.upload(&wire::message("d")).unwrap(), b"");
}

#[test]
fn a_member_that_only_listens_hears_nothing_by_the_parcel_door() {
    let hub = hub(&[]);
    let mut silent = wire::open(hub.parcels()).unwrap();
    let (mut alice, mut bob) = (hub.join(), hub.join());
    alice.say("anybody?");
    bob.text();
    silent.shutdown(Shutdown::Write).unwrap();
    assert_eq!(wire::wait_closed(&mut silent), b"");
}

#[test]
fn many_parcels_come_in_a_row_and_stay_in_order() {
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let mut bytes = Vec::new();
    for number in 0..100 {
        bytes.extend(wire::message(&format!("number {number}")));
        bytes.extend(wire::file(
            &format!("{number}.txt"),
            format!("{number}").as_bytes(),
        ));
    }
    bytes.extend(wire::close());
    assert_eq!(hub.upload(&bytes).unwrap(), b"");
    for number in 0..100 {
        assert!(watcher.text().ends_with(&format!(":number {number}")));
        watcher.notice(&[&format!("{number}.txt")]);
        assert_eq!(
            hub.file(&format!("{number}.txt")),
            format!("{number}").as_bytes()
        );
    }
}

#[test]
fn one_byte_at_a_time_is_still_one_parcel() {
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let mut stream = wire::open(hub.parcels()).unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in [wire::message("in crumbs"), wire::file("crumbs", b"abc")].concat() {
        stream.write_all(&[byte]).unwrap();
    }
    assert!(watcher.text().ends_with(":in crumbs"));
    watcher.notice(&["crumbs", "3"]);
    assert_eq!(hub.file("crumbs"), b"abc");
}

#[test]
fn nothing_counts_behind_close() {
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let mut stream = wire::open(hub.parcels()).unwrap();
    let parcels = [
        wire::message("before"),
        wire::close(),
        wire::message("after"),
    ]
    .concat();
    stream.write_all(&parcels).unwrap();
    assert_eq!(wire::wait_closed(&mut stream), b"");
    assert!(watcher.text().ends_with(":before"));
    hub.upload(&wire::message("later")).unwrap();
    assert!(watcher.text().ends_with(":later"));
}

#[test]
fn unknown_fields_of_a_header_are_passed_over() {
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let header = br#"{"sender": "me", "msg_type": "msg", "extra": {"a": [1, 2.5, null]}}"#;
    let bytes = [wire::frame(header), wire::frame(b"plain"), wire::close()].concat();
    assert_eq!(hub.upload(&bytes).unwrap(), b"");
    assert!(watcher.text().ends_with(":plain"));
}

#[test]
fn a_header_that_says_nothing_useful_ends_its_connection_alone() {
    let hub = hub(&[]);
    for header in [&b""[..], b"hello", b"{\"msg_type\":\"msg\""] {
        let mut stream = wire::open(hub.parcels()).unwrap();
        let sender = stream.local_addr().unwrap().to_string();
        stream
            .write_all(&[wire::frame(header), wire::frame(b"payload")].concat())
            .unwrap();
        assert_eq!(wire::wait_closed(&mut stream), b"", "{header:?}");
        hub.log().wait_line(&[&sender]);
    }
    assert_eq!(names(&hub.files()), [""; 0]);
    hub.serves();
}

#[test]
fn a_parcel_that_cannot_be_used_is_passed_over_and_the_sender_learns_it_at_the_end() {
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let headers: [&[u8]; 5] = [
        b"{}",
        b"[]",
        b"{\"msg_type\":\"dance\"}",
        b"{\"msg_type\":\"file\"}",
        b"{\"msg_type\":\"file\",\"file_name\":7}",
    ];
    for header in headers {
        let mut stream = wire::open(hub.parcels()).unwrap();
        let sender = stream.local_addr().unwrap().to_string();
        let parcels = [
            wire::frame(header),
            wire::frame(b"payload"),
            wire::message("next"),
        ];
        stream.write_all(&parcels.concat()).unwrap();
        assert_eq!(watcher.text(), format!("{sender}:next"));
        hub.log().wait_line(&[&sender, "refused"]);
        stream.write_all(&wire::close()).unwrap();
        let end = stream.read(&mut [0]).unwrap_err();
        assert_eq!(
            end.kind(),
            std::io::ErrorKind::ConnectionReset,
            "{header:?}"
        );
    }
    assert_eq!(names(&hub.files()), [""; 0]);
    hub.serves();
}

#[test]
fn a_taken_name_gets_a_number_and_nothing_is_overwritten() {
    let hub = hub(&[]);
    let mut watcher = hub.join();
    fs::write(hub.files().join("by hand.txt"), "mine").unwrap();
    let uploads = [
        ("cat.png", "one", "cat.png"),
        ("cat.png", "two", "cat (2).png"),
        ("cat.png", "three", "cat (3).png"),
        ("by hand.txt", "yours", "by hand (2).txt"),
        ("README", "one", "README"),
        ("README", "two", "README (2)"),
    ];
    for (name, text, _) in uploads {
        hub.upload(&[wire::file(name, text.as_bytes()), wire::close()].concat())
            .unwrap();
    }
    for (_, text, stored) in uploads {
        watcher.notice(&[stored, &text.len().to_string()]);
        assert_eq!(hub.file(stored), text.as_bytes(), "{stored}");
    }
    assert_eq!(hub.file("by hand.txt"), b"mine");
    assert_eq!(names(&hub.files()).len(), uploads.len() + 1);
}

#[test]
fn a_file_is_not_visible_before_its_last_byte() {
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let bytes = Random::new(2).bytes(300_000);
    let parcels = [wire::message("it begins"), wire::file("late.bin", &bytes)].concat();
    let (begin, end) = parcels.split_at(parcels.len() - 1);
    let mut stream = wire::open(hub.parcels()).unwrap();
    stream.write_all(begin).unwrap();
    assert!(watcher.text().ends_with(":it begins"));
    assert!(!hub.files().join("late.bin").exists());
    stream.write_all(end).unwrap();
    watcher.notice(&["late.bin", "300000"]);
    assert!(hub.file("late.bin") == bytes, "the file differs");
}

#[test]
fn a_stream_that_ends_inside_a_frame_leaves_no_file() {
    let hub = hub(&[]);
    let parcel = wire::file("half.bin", &[7; 1000]);
    for len in [1, 4, 20, parcel.len() - 1000, parcel.len() - 1] {
        let mut stream = wire::open(hub.parcels()).unwrap();
        let sender = stream.local_addr().unwrap().to_string();
        stream.write_all(&parcel[..len]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(wire::wait_closed(&mut stream), b"");
        hub.log().wait_line(&[&sender]);
    }
    assert_eq!(names(&hub.files()), [""; 0]);
    hub.serves();
}

#[test]
fn the_unix_door_takes_parcels_too_and_its_file_goes_with_the_hub() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("parcels.sock");
    let mut hub = hub(&["--unix", path.to_str().unwrap()]);
    assert_eq!(hub.told("parcels", "unix://"), path.to_str().unwrap());
    let mut watcher = hub.join();
    let mut stream = UnixStream::connect(&path).unwrap();
    let parcels = [
        wire::message("from nearby"),
        wire::file("u.txt", b"u"),
        wire::close(),
    ]
    .concat();
    stream.write_all(&parcels).unwrap();
    assert!(watcher.text().ends_with(":from nearby"));
    watcher.notice(&["u.txt", "1"]);
    assert_eq!(hub.file("u.txt"), b"u");
    // One process, and still nobody is taken for another.
    let mut authors = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(&wire::message("who is it?")).unwrap();
        let said = watcher.text();
        let author = said.strip_suffix(":who is it?").unwrap().to_owned();
        assert!(author.starts_with(&format!("unix:{}.", std::process::id())));
        assert!(!authors.contains(&author), "{author} of {authors:?}");
        authors.push(author);
        streams.push(stream);
    }
    drop(streams);
    assert!(hub.stop().success());
    assert_eq!(names(folder.path()), [""; 0]);
}
