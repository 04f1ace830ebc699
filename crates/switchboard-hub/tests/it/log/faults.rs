//! What the log does where the disk, or another program, stands in its way.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use switchboard_hub::log::{LogConfig, LogError, LogReply, PageFrom, verify};

use super::{Desk, entry, said, temp};
use crate::store::SmallDisk;

/// A log that does not wait long for anything.
fn hasty(data: &Path) -> LogConfig {
    LogConfig {
        lock_wait: Duration::from_millis(50),
        retry: Duration::from_millis(20),
        ..LogConfig::new(data)
    }
}

/// Waits for the log to say that it stands still, and why.
fn wait_stalled(desk: &Desk) -> String {
    loop {
        match desk.reply() {
            LogReply::Stalled { error } => return error.to_string(),
            LogReply::Durable(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn wait_resumed(desk: &Desk) {
    while !matches!(desk.reply(), LogReply::Resumed) {}
}

#[test]
fn privileged_a_full_disk_is_told_and_recovered_from() {
    let Some(disk) = SmallDisk::mount("size=4m") else {
        println!("skipped: needs root for a small tmpfs");
        return;
    };
    let data = disk.path();
    let desk = Desk::try_open(hasty(data)).unwrap();
    desk.fill("a", 1..=10);
    let ballast = data.join("ballast");
    let room_left = fs::write(&ballast, vec![0; 8 << 20]);
    assert!(room_left.is_err(), "the disk is full");

    let large = "x".repeat(200_000);
    desk.append((11..=20).map(|seq| said("a", seq, &large)).collect());
    let told = wait_stalled(&desk);
    assert!(told.starts_with("disk full: "), "{told}");
    // Reads go on, and a room is as it will be.
    assert_eq!(desk.page("a", PageFrom::After(0), 100).entries.len(), 10);
    assert_eq!(desk.room("a").unwrap().0.last_seq, 20);
    desk.append(vec![entry("a", 21)]);

    fs::remove_file(&ballast).unwrap();
    desk.wait_durable("a", 21);
    wait_resumed(&desk);
    desk.fill("a", 22..=30);
    drop(desk);
    let desk = Desk::open(data);
    assert_eq!(desk.room("a").unwrap().0.last_seq, 30);
    assert!(verify(data).unwrap().is_sound());
}

#[test]
fn privileged_a_disk_that_is_read_only_is_told() {
    let Some(disk) = SmallDisk::mount("size=4m") else {
        println!("skipped: needs root for a small tmpfs");
        return;
    };
    let desk = Desk::open(disk.path());
    desk.fill("a", 1..=10);
    desk.log.close();
    disk.remount("ro");
    let error = Desk::try_open(hasty(disk.path())).err().unwrap();
    assert!(
        error.to_string().contains("Read-only file system"),
        "{error}"
    );
    let reader = switchboard_hub::log::LogReader::open(disk.path()).unwrap();
    let page = reader.page(&"a".into(), None, PageFrom::Newest, 3).unwrap();
    assert_eq!((page.entries.len(), page.last_seq), (3, 10));
    assert!(verify(disk.path()).unwrap().is_sound());
}

#[test]
fn a_log_that_another_program_has_is_refused_by_its_name() {
    let data = temp();
    Desk::open(data.path()).fill("a", 1..=1);
    let mut holder = Holder::start(data.path());
    let begun = Instant::now();
    let error = Desk::try_open(hasty(data.path())).err().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    let pid = holder.0.id();
    assert!(
        matches!(&error, LogError::Locked { holders, .. } if holders[0].pid == pid),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("is locked by another program ("),
        "{error}"
    );
    holder.end();
    Desk::open(data.path()).fill("a", 2..=2);
}

#[test]
fn a_running_log_waits_for_a_lock_so_long_and_says_so() {
    let data = temp();
    let desk = Desk::try_open(hasty(data.path())).unwrap();
    desk.fill("a", 1..=1);
    let mut holder = Holder::start(data.path());
    desk.append(vec![entry("a", 2)]);
    let told = wait_stalled(&desk);
    assert!(told.contains("is locked by another program ("), "{told}");
    assert!(told.contains(&format!(" {})", holder.0.id())), "{told}");
    assert_eq!(desk.page("a", PageFrom::Newest, 9).last_seq, 1);
    holder.end();
    desk.wait_durable("a", 2);
    wait_resumed(&desk);
}

/// Another process that holds the lock of a log to write.
struct Holder(std::process::Child);

impl Holder {
    /// Tells the child of `start` which log to hold.
    const DATA: &str = "SWITCHBOARD_TEST_LOG_HOLD_DATA";

    fn start(data: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "log::faults::holder_child", "--nocapture"])
            .env(Self::DATA, data)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(out));
        assert!(lines.any(|line| line.unwrap() == "held"));
        Self(child)
    }

    fn end(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.end();
    }
}

/// Not a test but the other process of those above.
#[test]
fn holder_child() {
    let Some(data) = std::env::var_os(Holder::DATA) else {
        return;
    };
    let connection = Connection::open(Path::new(&data).join("log.sqlite")).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    println!("\nheld");
    // Until the parent is done or gone.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}

#[test]
fn what_is_no_log_is_refused() {
    let data = temp();
    let path = data.path().join("log.sqlite");
    fs::write(&path, "hello, this is no database at all, but a text file").unwrap();
    let error = Desk::try_open(hasty(data.path())).err().unwrap();
    assert!(matches!(&error, LogError::Corrupt { .. }), "{error:?}");
    fs::remove_file(&path).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE t (a)")
        .unwrap();
    let error = Desk::try_open(hasty(data.path())).err().unwrap();
    assert!(
        error.to_string().ends_with("it is a database, and no log"),
        "{error}"
    );
}

#[test]
fn a_log_of_a_newer_release_is_refused() {
    let data = temp();
    Desk::open(data.path()).log.close();
    let connection = Connection::open(data.path().join("log.sqlite")).unwrap();
    connection.pragma_update(None, "user_version", 2).unwrap();
    drop(connection);
    let error = Desk::try_open(hasty(data.path())).err().unwrap();
    assert!(
        matches!(&error, LogError::Newer { found: 2, .. }),
        "{error:?}"
    );
}

/// F10, at the start: whatever page is destroyed, the log is refused or whole, and nothing panics.
#[test]
fn a_damaged_page_is_seen_at_the_start() {
    let data = temp();
    let desk = Desk::open(data.path());
    desk.fill("a", 1..=3_000);
    desk.log.close();
    let path = data.path().join("log.sqlite");
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for page in 0..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes[page * 4096..][..64].fill(0xa5);
        fs::write(&path, &bytes).unwrap();
        match Desk::try_open(hasty(data.path())) {
            Err(LogError::Corrupt { .. }) => refused += 1,
            Err(other) => panic!("page {page}: {other:?}"),
            Ok(desk) => {
                let page = desk.page("a", PageFrom::After(0), 1_000);
                assert_eq!(page.entries.len(), 1_000);
            }
        }
    }
    assert!(refused > whole.len() / 4096 / 2, "{refused}");
}
