//! What outlives a process that is killed, and what a failing sync does: seen on another process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use switchboard_hub::log::{
    Asker, Journal, LogConfig, LogReader, LogReply, LogRequest, PageFrom, verify,
};

use super::{Desk, entry, temp};
use crate::strace;

/// Tells the child of `kill_9_keeps_what_was_acknowledged` where to write.
const KILL_DATA: &str = "SWITCHBOARD_TEST_LOG_KILL_DATA";

/// Tells the child of the tests of the disk where to write.
const DISK_DATA: &str = "SWITCHBOARD_TEST_LOG_DISK_DATA";

/// Kills in one run of the tests, and in one of `cargo xtask stress`.
const POINTS: [u64; 2] = [20, 200];

/// Not a test but the other process of the next one.
#[test]
fn kill_9_child() {
    let Some(data) = std::env::var_os(KILL_DATA) else {
        return;
    };
    let desk = Desk::open(Path::new(&data));
    let begun = desk.room("a").map_or(0, |(state, _)| state.last_seq);
    let mut next = begun + 1;
    let mut append = |count: u64| {
        desk.append((next..next + count).map(|seq| entry("a", seq)).collect());
        next += count;
    };
    append(10);
    loop {
        if let LogReply::Durable(marks) = desk.reply() {
            // Fails, and ends this, when the parent is gone.
            println!("\ndurable={}", marks[0].seq);
            append(marks[0].seq % 7 + 1);
        }
    }
}

/// F2: what was acknowledged is there once, and what was not is there or not, never mangled.
#[test]
fn kill_9_keeps_what_was_acknowledged() {
    let is_whole = std::env::var("SWITCHBOARD_TEST_AMOUNT").is_ok_and(|amount| amount == "whole");
    let points = POINTS[usize::from(is_whole)];
    let data = temp();
    let mut before = 0;
    for point in 0..points {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "log::crash::kill_9_child", "--nocapture"])
            .env(KILL_DATA, data.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = |line: std::io::Result<String>| -> Option<u64> {
            line.ok()?.strip_prefix("durable=")?.parse().ok()
        };
        let acks = usize::try_from(point % 10 + 1).unwrap();
        let mut last = lines.by_ref().filter_map(told).take(acks).max();
        child.kill().unwrap();
        child.wait().unwrap();
        last = last.max(lines.filter_map(told).max());
        let acknowledged = last.expect("something is acknowledged");
        assert!(acknowledged > before);

        let reader = LogReader::open(data.path()).unwrap();
        let page = reader
            .page(&"a".into(), None, PageFrom::After(before), 1_000)
            .unwrap();
        assert!(
            page.last_seq >= acknowledged,
            "{} {acknowledged}",
            page.last_seq
        );
        let expected: Vec<_> = (before + 1..=page.last_seq)
            .map(|seq| entry("a", seq))
            .collect();
        assert_eq!(page.entries, expected);
        before = page.last_seq;
    }
    let report = verify(data.path()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.entries, before);
}

/// Not a test but the other process of those below: it appends one entry after the other and says
/// what comes of each.
#[test]
fn disk_child() {
    let Some(data) = std::env::var_os(DISK_DATA) else {
        return;
    };
    let config = LogConfig {
        retry: std::time::Duration::from_millis(10),
        ..LogConfig::new(Path::new(&data))
    };
    let desk = Desk::try_open(config).unwrap();
    for seq in 1..=8 {
        desk.append(vec![super::said("a", seq, &"x".repeat(100_000))]);
        match desk.reply() {
            LogReply::Durable(marks) => println!("\ndurable={}", marks[0].seq),
            LogReply::Stopped { error } => println!("\nstopped={error}"),
            LogReply::Stalled { error } => {
                println!("\nstalled={error}");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    // Who asks about the room may be told something before.
    desk.log.request(
        Asker(0),
        LogRequest::Room {
            id: 9,
            room: "a".into(),
        },
    );
    let room = loop {
        if let LogReply::Room { id: 9, room } = desk.reply() {
            break room;
        }
    };
    println!("\nroom={}", room.map_or(0, |(room, _)| room.last_seq));
    // Reading goes on, whatever became of writing.
    println!("\nread={}", desk.page("a", PageFrom::Newest, 100).last_seq);
    desk.log.give_up();
}

fn told<'a>(text: &'a str, kind: &str) -> Vec<&'a str> {
    text.lines()
        .filter_map(|line| line.strip_prefix(kind))
        .collect()
}

/// F5: one `EIO` from a sync, and nothing is acknowledged that came after.
#[test]
fn a_failed_fsync_stops_the_log() {
    for call in ["fsync", "fdatasync"] {
        for failing in 4..=9 {
            let data = temp();
            Desk::open(data.path()).log.close();
            let fault = format!("error=EIO:when={failing}");
            let test = "log::crash::disk_child";
            let Some(text) = strace::run((call, &fault), test, (DISK_DATA, data.path())) else {
                return;
            };
            let (durable, stopped) = (told(&text, "durable="), told(&text, "stopped="));
            assert_eq!(durable.len() + stopped.len(), 8, "{text}");
            let expected: Vec<String> = (1..=durable.len()).map(|seq| seq.to_string()).collect();
            assert_eq!(durable, expected, "{text}");
            if let Some(first) = stopped.first() {
                assert!(first.contains("stopped after a disk error"), "{first}");
                assert!(text.find("stopped=") > text.rfind("durable="), "{text}");
            }
            assert_eq!(told(&text, "read="), [durable.len().to_string()], "{text}");
            // What was taken and could not be written is not told of.
            assert_eq!(told(&text, "room="), [durable.len().to_string()], "{text}");
            let report = verify(data.path()).unwrap();
            assert!(report.is_sound(), "{report:?}");
            assert!(report.entries >= durable.len() as u64);
        }
    }
}

/// F7: a limit of the file's size is a full disk, and no death of the process.
#[test]
fn a_file_size_limit_is_a_full_disk() {
    let data = temp();
    // As the hub has it: the signal's handler does nothing, and the write fails.
    let script =
        "trap '' XFSZ; ulimit -f 400; exec \"$0\" --exact log::crash::disk_child --nocapture";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(DISK_DATA, data.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let stalled = told(&text, "stalled=");
    assert_eq!(stalled.len(), 1, "{text}");
    assert!(stalled[0].starts_with("disk full: "), "{text}");
    assert!(stalled[0].contains("ulimit -f"), "{text}");
    assert_eq!(
        told(&text, "read="),
        [told(&text, "durable=").len().to_string()],
        "{text}"
    );
    let report = verify(data.path()).unwrap();
    assert!(report.is_sound(), "{report:?}");
}

/// F7: what the system does not let be written is told for what it is.
#[test]
fn a_write_that_is_refused_is_told_with_its_reason() {
    for (errno, begins, reason) in [
        ("EDQUOT", "disk full: ", "Disk quota exceeded"),
        ("ENOSPC", "disk full: ", ""),
        ("EROFS", "can't write ", "Read-only file system"),
        ("EIO", "can't write ", "Input/output error"),
    ] {
        let data = temp();
        Desk::open(data.path()).log.close();
        // The first entry is written; the log itself and its index take some calls, too.
        let fault = format!("error={errno}:when=100+");
        let test = "log::crash::disk_child";
        let Some(text) = strace::run(("pwrite64", &fault), test, (DISK_DATA, data.path())) else {
            return;
        };
        let stalled = told(&text, "stalled=");
        assert_eq!(stalled.len(), 1, "{text}");
        assert!(stalled[0].starts_with(begins), "{errno}: {text}");
        assert!(stalled[0].contains(reason), "{errno}: {text}");
        // It is only late: what was taken is still to be written.
        let taken = told(&text, "durable=").len() + 1;
        assert_eq!(told(&text, "room="), [taken.to_string()], "{text}");
        assert!(verify(data.path()).unwrap().is_sound(), "{errno}");
    }
}

/// F8: a disk that takes its time makes acknowledgements late, and nobody's request.
#[test]
fn a_slow_disk_holds_up_nobody_who_asks() {
    let data = temp();
    Desk::open(data.path()).log.close();
    let fault = ("fsync,fdatasync", "delay_enter=300000");
    let test = "log::crash::slow_child";
    let Some(text) = strace::run(fault, test, (DISK_DATA, data.path())) else {
        return;
    };
    assert_eq!(told(&text, "read-first="), ["true"], "{text}");
}

/// Not a test but the other process of the one above.
#[test]
fn slow_child() {
    let Some(data) = std::env::var_os(DISK_DATA) else {
        return;
    };
    let desk = Desk::open(Path::new(&data));
    desk.fill("a", 1..=1);
    desk.append(vec![entry("a", 2)]);
    // The page is answered while the entry is still being synced.
    println!(
        "\nread-first={}",
        desk.page("a", PageFrom::Newest, 9).last_seq == 1
    );
    desk.wait_durable("a", 2);
}
