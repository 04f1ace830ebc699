//! Rooms as text, there and back; and what `verify` sees.

use std::fs;
use std::io::BufReader;
use std::path::Path;

use rusqlite::Connection;
use switchboard_hub::limits::EXPORT_LINE_BYTES_MAX;
use switchboard_hub::log::{
    Asker, Imported, Journal, LogEntry, LogError, LogKind, LogReader, LogRequest, PageFrom,
    entry_to_json, import, verify,
};
use switchboard_wire::RoomName;

use super::{Desk, EPOCH, entry, said, temp};

fn export(data: &Path, room: &str) -> String {
    let mut text = Vec::new();
    LogReader::open(data)
        .unwrap()
        .export(room, &mut text)
        .unwrap();
    String::from_utf8(text).unwrap()
}

fn bring(data: &Path, text: &str, rename: Option<&str>) -> Result<Imported, LogError> {
    let rename = rename.map(|room| RoomName::new(room).unwrap());
    import(data, &mut BufReader::new(text.as_bytes()), rename.as_ref())
}

fn everything(data: &Path, room: &str) -> Vec<LogEntry> {
    let reader = LogReader::open(data).unwrap();
    reader
        .page(&room.into(), None, PageFrom::After(0), 1_000)
        .unwrap()
        .entries
}

fn sample(data: &Path) -> Desk {
    let desk = Desk::open(data);
    let room: std::sync::Arc<str> = "tea-room".into();
    let topic = "what's brewing".to_owned();
    let set = LogRequest::SetRoom {
        room,
        epoch: EPOCH,
        topic,
        kept: true,
    };
    desk.log.request(Asker(0), set);
    desk.append(vec![
        said("tea-room", 1, "今天\u{0}\n\"quoted\" \\ \u{7f}"),
        LogEntry {
            kind: LogKind::File,
            bytes: Some(1 << 40),
            reply_to: Some(1),
            client_id: Some("id".into()),
            ..entry("tea-room", 2)
        },
        entry("tea-room", 3),
    ]);
    desk.wait_durable("tea-room", 3);
    desk
}

#[test]
fn a_room_goes_out_and_comes_in_with_its_numbers_and_epoch() {
    let (from, to) = (temp(), temp());
    let desk = sample(from.path());
    // Beside the hub that writes it.
    let text = export(from.path(), "tea-room");
    assert_eq!(text.lines().count(), 4);
    drop(desk);

    let imported = bring(to.path(), &text, None).unwrap();
    assert_eq!(
        (&*imported.room, imported.epoch, imported.entries),
        ("tea-room", EPOCH, 3)
    );
    assert_eq!(
        everything(to.path(), "tea-room"),
        everything(from.path(), "tea-room")
    );
    assert_eq!(export(to.path(), "tea-room"), text);
    let desk = Desk::open(to.path());
    let (state, ids) = desk.room("tea-room").unwrap();
    assert_eq!((state.topic.as_str(), state.kept), ("what's brewing", true));
    assert_eq!(ids.seq_of("id"), Some(2));
    desk.fill("tea-room", 4..=4);
    assert!(verify(to.path()).unwrap().is_sound());
}

#[test]
fn a_room_with_a_history_is_not_written_over() {
    let data = temp();
    drop(sample(data.path()));
    let text = export(data.path(), "tea-room");
    let error = bring(data.path(), &text, None).unwrap_err();
    assert!(
        matches!(&error, LogError::RoomHasEntries { entries: 3, .. }),
        "{error:?}"
    );
    bring(data.path(), &text, Some("other")).unwrap();
    let texts = |room| -> Vec<String> {
        everything(data.path(), room)
            .into_iter()
            .map(|entry| entry.text)
            .collect()
    };
    assert_eq!(texts("other"), texts("tea-room"));
}

#[test]
fn a_room_comes_in_under_a_name_that_members_can_join() {
    let data = temp();
    drop(sample(data.path()));
    let text = export(data.path(), "tea-room");
    let named = |name: &str| text.replacen("\"tea-room\"", &format!("{name:?}"), 1);
    let imported = bring(data.path(), &named("Old-Tea"), None).unwrap();
    assert_eq!(&*imported.room, "old-tea");
    let error = bring(data.path(), &named("old tea"), None).unwrap_err();
    assert!(error.to_string().contains("and not ' '"), "{error}");
    bring(data.path(), &named("old tea"), Some("oldest-tea")).unwrap();
}

#[test]
fn an_import_is_whole_or_nothing() {
    let data = temp();
    drop(sample(data.path()));
    let text = export(data.path(), "tea-room");
    let lines: Vec<&str> = text.lines().collect();
    let long = format!(
        "{}{}\n",
        text,
        "x".repeat(usize::try_from(EXPORT_LINE_BYTES_MAX).unwrap() + 1)
    );
    for (bad, told) in [
        (String::new(), "line 1 of the export: there is nothing"),
        (
            "hello\n".to_owned(),
            "line 1 of the export: that is no line",
        ),
        (
            lines[1..].join("\n"),
            "line 1 of the export: that is no line",
        ),
        (
            lines[..3].join("\n"),
            "line 4 of the export: it ends here, without the entries 3 to 3",
        ),
        (
            [lines[0], lines[2]].join("\n"),
            "line 2 of the export: entry 2 comes where 1 is due",
        ),
        (
            format!("{text}{}\n", lines[3]),
            "entry 3 comes where 4 is due",
        ),
        (text.replace("\"file\"", "\"song\""), "no kind \"song\""),
        (text.replace("_export\":1", "_export\":2"), "newer form"),
        (
            text.replace("\"first_seq\":1", "\"first_seq\":0"),
            "its numbers can't be",
        ),
        (
            text.replace("\"last_seq\":3", "\"last_seq\":549755813888"),
            "its numbers can't be",
        ),
        (
            text.replace("\"last_seq\":3", "\"last_seq\":549755813887"),
            "without the entries 4 to 549755813887",
        ),
        (
            text.replace("\"epoch\":77", "\"epoch\":9007199254740992"),
            "its numbers can't be",
        ),
        (long, "line 5 of the export: it is too long"),
    ] {
        let error = bring(data.path(), &bad, Some("new")).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        let rooms = LogReader::open(data.path()).unwrap().rooms().unwrap();
        assert_eq!(rooms.len(), 1, "{told}");
    }
}

#[test]
fn an_import_beside_a_hub_is_refused() {
    let data = temp();
    let desk = sample(data.path());
    let text = export(data.path(), "tea-room");
    let error = bring(data.path(), &text, Some("new")).unwrap_err();
    assert!(matches!(&error, LogError::InUse { .. }), "{error:?}");
    drop(desk);
    bring(data.path(), &text, Some("new")).unwrap();
}

#[test]
fn an_entry_is_one_line_for_programs() {
    let with_id = LogEntry {
        client_id: Some("i".into()),
        ..said("a", 5, "x\ny")
    };
    assert_eq!(
        entry_to_json(&with_id),
        "{\"room\":\"a\",\"epoch\":77,\"seq\":5,\"time_ms\":1700000005000,\"from\":\"ada\",\
         \"kind\":\"text\",\"text\":\"x\\ny\",\"id\":\"i\"}"
    );
}

/// A log with two rooms, everything of it in the one file.
fn with_history(data: &Path) {
    let desk = Desk::open(data);
    // At once: so few as the second room has would wait for others if the index was done with the
    // first before they came.
    let (first, second) = (1..=700, 1..=100);
    let entries = first.map(|seq| entry("a", seq));
    desk.append(entries.chain(second.map(|seq| entry("b", seq))).collect());
    desk.wait_durable("b", 100);
    super::searching::wait_until_indexed(data);
    desk.log.close();
}

#[test]
fn verify_counts_what_is_sound() {
    let data = temp();
    with_history(data.path());
    let report = verify(data.path()).unwrap();
    assert_eq!((report.rooms, report.entries, report.files), (2, 800, 0));
    assert_eq!((&report.faults[..], &report.notes[..]), (&[][..], &[][..]));
}

#[test]
fn verify_sees_what_was_changed_behind_the_log() {
    for (harm, told) in [
        (
            "UPDATE entries SET text = 'other' WHERE id % 1024 = 5 AND id < 1000000000000 * 2",
            "entry 5",
        ),
        (
            "DELETE FROM entries WHERE id % 1024 = 6",
            "entries 6 to 6 are missing",
        ),
        (
            "DELETE FROM entries WHERE (id & 1048575) > 650",
            "entries 651 to 700 are missing at the end",
        ),
        (
            "UPDATE rooms SET first_seq = 3 WHERE name = 'a'",
            "entry 1 is still there",
        ),
        (
            "UPDATE rooms SET bytes = bytes + 1 WHERE name = 'a'",
            "bytes, and",
        ),
        (
            "DELETE FROM rooms WHERE name = 'b'",
            "100 entries belong to no room",
        ),
        (
            "DELETE FROM words_docsize WHERE rowid IN (SELECT min(rowid) FROM words_docsize)",
            "index",
        ),
        (
            "UPDATE rooms SET indexed_seq = last_seq WHERE name = 'b'",
            "index: 100 entries",
        ),
    ] {
        let data = temp();
        with_history(data.path());
        let connection = Connection::open(data.path().join("log.sqlite")).unwrap();
        // As if some were not indexed yet, where a harm needs that.
        if told == "index: 100 entries" {
            let unindex = "UPDATE rooms SET indexed_seq = 0 WHERE name = 'b';
                INSERT INTO words (words, rowid, text)
                SELECT 'delete', e.id, e.text FROM entries e
                JOIN words_docsize d ON d.id = e.id
                WHERE e.id >> 40 = (SELECT id FROM rooms WHERE name = 'b');";
            connection.execute_batch(unindex).unwrap();
        }
        assert!(verify(data.path()).unwrap().is_sound());
        connection.execute_batch(harm).unwrap();
        let report = verify(data.path()).unwrap();
        assert!(
            report.faults.iter().any(|fault| fault.contains(told)),
            "{told}: {report:?}"
        );
    }
}

#[test]
fn a_flipped_bit_is_never_served() {
    let data = temp();
    with_history(data.path());
    let path = data.path().join("log.sqlite");
    let whole = fs::read(&path).unwrap();
    let text = b"line 123 of a";
    let at = whole
        .windows(text.len())
        .position(|part| part == text)
        .unwrap();
    let mut bytes = whole.clone();
    bytes[at + 5] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let reader = LogReader::open(data.path()).unwrap();
    let error = reader
        .page(&"a".into(), None, PageFrom::After(120), 10)
        .unwrap_err();
    assert!(matches!(&error, LogError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("entry 123"), "{error}");
    assert!(!verify(data.path()).unwrap().is_sound());
}

#[test]
fn verify_sees_what_is_odd_among_the_files() {
    let data = temp();
    let desk = Desk::open(data.path());
    let file = |seq, name: &str, bytes| LogEntry {
        kind: LogKind::File,
        bytes: Some(bytes),
        ..said("a", seq, name)
    };
    desk.append(vec![
        file(1, "kept", 4),
        file(2, "gone", 4),
        file(3, "short", 4),
    ]);
    desk.wait_durable("a", 3);
    for (name, content) in [
        ("files/kept", "1234"),
        ("files/short", "123"),
        ("files/stranger", ""),
        ("partial/9.part", ""),
    ] {
        let path = data.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let report = verify(data.path()).unwrap();
    assert!(report.is_sound());
    assert_eq!(report.files, 3);
    assert_eq!(
        report.notes,
        [
            "files: \"gone\" is gone",
            "files: \"short\" has 3 bytes, and came with 4",
            "files: \"stranger\" is named by no entry",
            "files: \"9.part\" is an upload under way, or of a hub that died",
        ]
    );
}
