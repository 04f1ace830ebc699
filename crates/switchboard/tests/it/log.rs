//! The log on the command line: `history`, `search`, `verify`, `export`, `import`.

use std::fs;
use std::path::Path;
use std::sync::mpsc;

use switchboard_hub::log::{
    Asker, Journal, Log, LogConfig, LogEntry, LogKind, LogReply, LogRequest,
};
use tempfile::TempDir;

use crate::support::run;

/// A log with the entries of one room, and the log itself, which is open until it is dropped.
fn log_with(data: &Path, room: &str, entries: &[(LogKind, &str)]) -> Log {
    let (sender, replies) = mpsc::channel();
    let log = Log::open(LogConfig::new(data), move |_, reply| {
        sender.send(reply).ok();
    })
    .unwrap();
    let entries: Vec<LogEntry> = (1..)
        .zip(entries)
        .map(|(seq, (kind, text))| LogEntry {
            room: room.into(),
            epoch: 9,
            seq,
            time_ms: 1_760_000_000_000 + i64::try_from(seq).unwrap() * 1_000,
            author: "ada".into(),
            kind: *kind,
            text: (*text).to_owned(),
            bytes: (*kind == LogKind::File).then_some(3),
            reply_to: None,
            client_id: None,
        })
        .collect();
    log.request(Asker(0), LogRequest::Append(entries));
    assert!(matches!(replies.recv(), Ok(LogReply::Durable(_))));
    log
}

const SAID: [(LogKind, &str); 5] = [
    (LogKind::Joined, ""),
    (LogKind::Text, "the kettle is on"),
    (LogKind::Text, "今天天气很好"),
    (LogKind::Text, "\u{1b}[2Jevil\n* root joined"),
    (LogKind::File, "tea.png"),
];

fn lobby() -> (TempDir, String, Log) {
    let folder = TempDir::new().unwrap();
    let log = log_with(folder.path(), "lobby", &SAID);
    let data = folder.path().to_str().unwrap().to_owned();
    (folder, data, log)
}

#[test]
fn history_shows_a_room_beside_its_hub() {
    let (_folder, data, _log) = lobby();
    let text = run(&["history", "--data", &data]).succeeded().text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 6, "{text}");
    assert!(lines[0].ends_with(" #1 * ada joined"), "{text}");
    assert!(lines[1].ends_with(" #2 ada: the kettle is on"), "{text}");
    assert!(lines[1].starts_with("2025-10-"), "{text}");
    assert!(lines[3].ends_with(" #4 ada: [2Jevil"), "{text}");
    assert_eq!(lines[4], "    * root joined", "no line is forged");
    assert!(
        lines[5].ends_with("#5 * ada sent the file tea.png (3 bytes)"),
        "{text}"
    );
}

#[test]
fn history_shows_the_last_or_all_since() {
    let (_folder, data, _log) = lobby();
    let seqs = |flags: &[&str]| -> Vec<u64> {
        let arguments = [&["history", "--data", &data, "--json"], flags].concat();
        let text = run(&arguments).succeeded().text();
        let seq = |line: &str| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(
                (value["room"].as_str(), value["epoch"].as_u64()),
                (Some("lobby"), Some(9))
            );
            value["seq"].as_u64().unwrap()
        };
        text.lines().map(seq).collect()
    };
    assert_eq!(seqs(&["--last", "2"]), [4, 5]);
    assert_eq!(seqs(&["--last", "0"]), [0; 0]);
    assert_eq!(seqs(&["--last", "100"]), [1, 2, 3, 4, 5]);
    assert_eq!(seqs(&["--since", "3"]), [4, 5]);
    assert_eq!(seqs(&["--since", "5"]), [0; 0]);
}

#[test]
fn a_long_history_is_shown_whole() {
    let folder = TempDir::new().unwrap();
    let many: Vec<(LogKind, &str)> = vec![(LogKind::Text, "x"); 2_500];
    let _log = log_with(folder.path(), "a", &many);
    let data = folder.path().to_str().unwrap();
    let text = run(&["history", "--data", data, "--room", "a", "--since", "0"]);
    assert_eq!(text.succeeded().text().lines().count(), 2_500);
}

#[test]
fn search_finds_words_and_parts_of_them() {
    let (_folder, data, _log) = lobby();
    let found = |flags: &[&str]| {
        run(&[&["search", "--data", &data], flags].concat())
            .succeeded()
            .text()
    };
    for words in [
        &["kettle"][..],
        &["KETT", "the"],
        &["kettle", "--author", "AD"],
    ] {
        let text = found(words);
        assert!(
            text.ends_with(" lobby#2 ada: the kettle is on"),
            "{words:?}: {text}"
        );
        assert_eq!(text.lines().count(), 1);
    }
    assert!(found(&["天气"]).contains("lobby#3 "));
    assert_eq!(found(&["e", "--limit", "1"]).lines().count(), 1);
    assert_eq!(found(&["kettle", "--after", "2026-01-01"]), "");
    assert_eq!(found(&["kettle", "--before", "2025-01-01 12:00"]), "");
    let json = found(&["kettle", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["text"], "the kettle is on");
    let nothing = run(&["search", "--data", &data, "coffee"]).succeeded();
    assert_eq!(
        (nothing.text().as_str(), nothing.err.trim()),
        ("", "switchboard: nothing found")
    );
    let bad = run(&["search", "--data", &data, "x", "--after", "soon"]);
    assert_eq!(bad.status.code(), Some(2));
    assert!(bad.err.contains("2026-01-31"), "{}", bad.err);
}

#[test]
fn export_and_import_move_a_room() {
    let (folder, data, log) = lobby();
    let file = folder.path().join("lobby.jsonl");
    let text = run(&["export", "--data", &data]).succeeded().text();
    assert_eq!(text.lines().count(), 6);
    fs::write(&file, &text).unwrap();
    let file = file.to_str().unwrap();

    let other = folder.path().join("new/data");
    let other = other.to_str().unwrap();
    run(&["import", file, "--data", other]).succeeded();
    assert_eq!(run(&["export", "--data", other]).succeeded().text(), text);

    let again = ["import", file, "--data", &data];
    run(&again).failed_with(&["in use by another hub", "stop that hub first"]);
    drop(log);
    run(&again).failed_with(&["has 5 entries already", "--room NAME"]);
    run(&[&again[..], &["--room", "copy"]].concat()).succeeded();
    assert!(
        run(&["history", "--data", &data, "--room", "copy"])
            .succeeded()
            .text()
            .contains("kettle")
    );
}

#[test]
fn a_room_has_one_name_however_it_is_written() {
    let (folder, data, log) = lobby();
    for command in [&["history"][..], &["search", "kettle"], &["export"]] {
        let named = |room| {
            run(&[command, &["--data", &data, "--room", room]].concat())
                .succeeded()
                .text()
        };
        assert_eq!(named("ＬＯＢＢＹ"), named("lobby"), "{command:?}");
        let odd = [command, &["--data", &data, "--room", "two words"]].concat();
        let refused = run(&odd);
        assert_eq!(refused.status.code(), Some(2), "{}", refused.err);
    }
    let file = folder.path().join("lobby.jsonl");
    fs::write(&file, run(&["export", "--data", &data]).succeeded().text()).unwrap();
    drop(log);
    let import = ["import", file.to_str().unwrap(), "--data", &data, "--room"];
    run(&[&import[..], &["Old-Tea"]].concat()).succeeded();
    run(&["history", "--data", &data, "--room", "old-tea"]).succeeded();
    let refused = run(&[&import[..], &["old tea"]].concat());
    assert_eq!(refused.status.code(), Some(2), "{}", refused.err);
}

#[test]
fn verify_tells_sound_from_damaged() {
    let (folder, data, log) = lobby();
    let text = run(&["verify", "--data", &data]).succeeded().text();
    assert!(
        text.ends_with("sound: rooms 1, entries 5, files 0"),
        "{text}"
    );
    assert!(
        text.contains("note   files: \"tea.png\" is gone\n"),
        "{text}"
    );
    drop(log);
    let path = folder.path().join("log.sqlite");
    let mut bytes = fs::read(&path).unwrap();
    let word = b"the kettle";
    let at = bytes
        .windows(word.len())
        .position(|part| part == word)
        .unwrap();
    bytes[at] = b'T';
    fs::write(&path, &bytes).unwrap();
    let told = run(&["verify", "--data", &data]);
    told.failed_with(&["is damaged"]);
    assert!(
        told.text().contains("entry 2 is not what was written"),
        "{}",
        told.text()
    );
    run(&["history", "--data", &data]).failed_with(&["is damaged", "switchboard verify"]);
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let (folder, data, _log) = lobby();
    run(&["history", "--data", &data, "--room", "tea"])
        .failed_with(&["no room \"tea\"", "it has lobby"]);
    run(&["export", "--data", &data, "--room", "tea"]).failed_with(&["no room \"tea\""]);
    let empty = folder.path().join("empty");
    let empty = empty.to_str().unwrap();
    for command in [&["history"][..], &["search", "x"], &["verify"], &["export"]] {
        let told = run(&[command, &["--data", empty]].concat());
        told.failed_with(&["there is no log in", empty, "--data"]);
    }
    run(&["import", empty, "--data", &data]).failed_with(&[empty, "No such file"]);
}
