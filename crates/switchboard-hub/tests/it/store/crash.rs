//! What the store leaves where a process or a disk fails: seen from outside, on another process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use switchboard_hub::store::Reply;

use super::{Desk, content, files, partials, pattern, set, temp};
use crate::strace;

/// Tells the child of `a_failed_fsync_stops_the_store` where to write.
const FSYNC_DATA: &str = "SWITCHBOARD_TEST_STORE_FSYNC_DATA";

/// Tells the child of `kill_9_leaves_only_whole_files` where to write.
const KILL_DATA: &str = "SWITCHBOARD_TEST_STORE_KILL_DATA";

/// How the child names and fills its files: the content follows from the name.
fn kill_content(number: u64) -> Vec<u8> {
    pattern(
        number,
        20_000 + usize::try_from(number).unwrap() * 1_000 % 300_000,
    )
}

/// Not a test but the other process of the next one.
#[test]
fn kill_9_child() {
    let Some(data) = std::env::var_os(KILL_DATA) else {
        return;
    };
    let desk = Desk::open(Path::new(&data));
    let begin = |number: u64| {
        let content = kill_content(number);
        desk.begin(number, &number.to_string(), content.len());
        content
            .chunks(10_000)
            .for_each(|piece| desk.data(number, piece));
        desk.commit(number);
    };
    (0..8).for_each(begin);
    for number in 8..100_000 {
        let Reply::Stored { name, .. } = desk.end() else {
            panic!("each is stored")
        };
        // Fails, and ends this, when the parent is gone.
        println!("\nstored={}", name.as_str());
        begin(number);
    }
}

/// F1: whatever is visible after a kill is whole, and whatever was told stored is there.
#[test]
fn kill_9_leaves_only_whole_files() {
    for point in 0..20 {
        let data = temp();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::crash::kill_9_child", "--nocapture"])
            .env(KILL_DATA, data.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = |line: String| line.strip_prefix("stored=").map(str::to_owned);
        let told_of = |line: std::io::Result<String>| line.ok().and_then(told);
        let mut acknowledged: Vec<String> = lines
            .by_ref()
            .filter_map(told_of)
            .take(1 + point * 3)
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(lines.filter_map(told_of));
        assert!(acknowledged.len() > point * 3, "the child stored files");

        let visible = files(data.path());
        for name in &visible {
            let whole = kill_content(name.parse().unwrap());
            assert!(content(data.path(), name) == whole, "{name} is whole");
        }
        assert!(
            acknowledged.iter().all(|name| visible.contains(name)),
            "{acknowledged:?}"
        );

        let desk = Desk::open(data.path());
        assert_eq!(partials(data.path()), set(&[]));
        assert_eq!(files(data.path()), visible);
        desk.close();
    }
}

/// Not a test but the other process of the next one.
#[test]
fn fsync_child() {
    let Some(data) = std::env::var_os(FSYNC_DATA) else {
        return;
    };
    let desk = Desk::open(Path::new(&data));
    // One thread of the store has them all.
    for number in [0, 4, 8, 12] {
        desk.send(number, &number.to_string(), b"content");
        match desk.end() {
            Reply::Stored { name, .. } => println!("\nstored={}", name.as_str()),
            Reply::Failed { error, .. } => println!("\nfailed={error}"),
            Reply::Have { .. } | Reply::Written { .. } => {}
        }
    }
}

/// F5: one `EIO` from `fsync(2)`, and nothing is acknowledged or visible that came after.
#[test]
fn a_failed_fsync_stops_the_store() {
    // A thread syncs each file, then the folder of its name.
    for (failing, stored) in [(2, &[][..]), (3, &["0"]), (4, &["0"]), (5, &["0", "4"])] {
        let data = temp();
        let fault = format!("error=EIO:when={failing}");
        let test = "store::crash::fsync_child";
        let Some(text) = strace::run(("fsync", &fault), test, (FSYNC_DATA, data.path())) else {
            return;
        };
        let told = |kind| {
            text.lines()
                .filter_map(|line| line.strip_prefix(kind))
                .collect()
        };
        let (told_stored, told_failed): (Vec<&str>, Vec<&str>) = (told("stored="), told("failed="));
        assert_eq!(told_stored, stored, "{text}");
        assert_eq!(told_failed.len(), 4 - stored.len(), "{text}");
        assert!(told_failed[0].contains("Input/output error"), "{text}");
        assert!(
            told_failed[1..]
                .iter()
                .all(|why| why.starts_with("the store stopped")),
            "{text}"
        );
        assert_eq!(files(data.path()), set(stored));
        assert_eq!(partials(data.path()), set(&[]));
    }
}
