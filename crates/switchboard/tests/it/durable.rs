//! What was acknowledged is on disk, whatever becomes of the hub and of its disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Hub, Member, PATIENCE, Program, Random, wire};

use crate::support::{amount, bin, ours, run};

/// A program at the parcel door that asks to be answered.
pub(crate) struct Asker(TcpStream);

impl Asker {
    #[track_caller]
    pub(crate) fn connect(hub: &Hub) -> Self {
        Self(wire::open(hub.parcels()).unwrap())
    }

    /// Sends a message with a number of its own.
    pub(crate) fn say(&mut self, id: &str, text: &str) -> std::io::Result<()> {
        let header = json!({"msg_type": "msg", "id": id, "sb": {"v": 2, "want": ["ack"]}});
        let header = wire::frame(header.to_string().as_bytes());
        let parcel = [header, wire::frame(text.as_bytes())].concat();
        self.0.write_all(&parcel)
    }

    /// The next answer; an error when the hub is gone.
    pub(crate) fn answer(&mut self) -> std::io::Result<Value> {
        read_json(&mut self.0)
    }

    /// Sends a message, and gives its number.
    #[track_caller]
    pub(crate) fn keep(&mut self, id: &str, text: &str) -> u64 {
        self.say(id, text).unwrap();
        seq(&self.answer().unwrap())
    }
}

/// Reads a frame of JSON.
pub(crate) fn read_json(stream: &mut TcpStream) -> std::io::Result<Value> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut frame = vec![0; usize::try_from(i32::from_le_bytes(length)).unwrap()];
    stream.read_exact(&mut frame)?;
    Ok(serde_json::from_slice(&frame).unwrap())
}

/// The number in an acknowledgement of something that is on disk.
#[track_caller]
pub(crate) fn seq(answer: &Value) -> u64 {
    let ack = &answer["sb"]["ack"];
    assert_eq!(ack["durable"], true, "{answer}");
    ack["seq"].as_u64().unwrap()
}

/// Why a message was refused.
#[track_caller]
pub(crate) fn reason(answer: &Value) -> &str {
    let reason = &answer["sb"]["refused"]["reason"];
    reason.as_str().unwrap_or_else(|| panic!("{answer}"))
}

/// All that the log of the lobby has.
#[track_caller]
pub(crate) fn history(data: &Path) -> Vec<Value> {
    let data = data.to_str().unwrap();
    let told = run(&["history", "--data", data, "--since", "0", "--json"]).succeeded();
    assert_eq!(told.err, "", "nothing is missing");
    let text = told.text();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[track_caller]
pub(crate) fn assert_dense(entries: &[Value]) {
    for (expected, entry) in (1..).zip(entries) {
        assert_eq!(entry["seq"], expected, "no gap, and nothing twice");
    }
}

#[test]
fn an_acknowledged_message_is_on_disk_and_is_taken_once() {
    let folder = TempDir::new().unwrap();
    let mut hub = Hub::start_in(bin(), folder.path(), &[]);
    let mut watcher = hub.join();
    let mut asker = Asker::connect(&hub);
    let first = asker.keep("run-1", "green");
    assert!(watcher.text().ends_with(":green"));
    hub.kill();
    let entries = history(folder.path());
    assert_dense(&entries);
    let kept = entries.iter().find(|entry| entry["seq"] == first).unwrap();
    assert_eq!(
        (&kept["text"], &kept["id"]),
        (&json!("green"), &json!("run-1"))
    );
    let hub = Hub::start_in(bin(), folder.path(), &[]);
    let mut asker = Asker::connect(&hub);
    let again = asker.keep("run-1", "green once more");
    assert_eq!(again, first, "over a restart, too");
    assert!(asker.keep("run-2", "red") > first);
    let history = history(folder.path());
    let texts = history.iter().filter(|entry| entry["kind"] == "text");
    let texts: Vec<_> = texts.map(|entry| entry["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["green", "red"]);
}

#[test]
fn nothing_acknowledged_is_lost_or_twice_when_the_hub_is_killed() {
    let folder = TempDir::new().unwrap();
    let mut hub = Hub::start_in(bin(), folder.path(), &[]);
    let place = hub.parcels().to_string();
    let tail = ours(&["tail", &place, "--since", "0", "--json"]);
    tail.out.wait_line(&["joined"]);
    let mut random = Random::new(9);
    let mut acked = BTreeMap::new();
    let mut next = 0;
    for round in 0..amount(20, 200) {
        let mut asker = Asker::connect(&hub);
        // What was not acknowledged is sent again, as a client would.
        let from = next - usize::min(next, 30);
        let until = next + 10 + random.below(200);
        for number in from..until + 100 {
            let id = format!("m-{number}");
            asker
                .say(&id, &format!("message {number} of round {round}"))
                .unwrap();
        }
        next = until;
        while let Ok(answer) = asker.answer() {
            let id = answer["sb"]["ack"]["id"].as_str().unwrap().to_owned();
            let before = acked.insert(id.clone(), seq(&answer));
            assert!(
                before.is_none_or(|before| before == seq(&answer)),
                "{answer}"
            );
            if id == format!("m-{until}") {
                hub.kill();
            }
        }
        hub = Hub::start_in(bin(), folder.path(), &["--parcels", &place]);
    }
    let mut asker = Asker::connect(&hub);
    let last = asker.keep("last", "the last one");
    tail.out.wait_line(&["the last one"]);
    hub.kill();
    let entries = history(folder.path());
    assert_dense(&entries);
    assert!(u64::try_from(entries.len()).unwrap() >= last);
    let mut seen = BTreeSet::new();
    for entry in &entries {
        if let Some(id) = entry["id"].as_str() {
            assert!(seen.insert(id), "{id} is there twice");
            assert!(
                acked.get(id).is_none_or(|seq| entry["seq"] == *seq),
                "{entry}"
            );
        }
    }
    for id in acked.keys() {
        assert!(
            seen.contains(id.as_str()),
            "{id} was acknowledged and is lost"
        );
    }
    let text = tail.out.text();
    let followed: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_dense(&followed);
    assert_eq!(followed, entries[..followed.len()], "{}", tail.err.text());
    let sound = run(&["verify", "--data", folder.path().to_str().unwrap()]);
    sound.succeeded();
}

#[test]
fn a_graceful_end_writes_everything() {
    let folder = TempDir::new().unwrap();
    let mut hub = Hub::start_in(bin(), folder.path(), &[]);
    let (mut watcher, mut talker) = (hub.join(), hub.join());
    let count = 3_000;
    for number in 0..count {
        talker.say(&format!("line {number}"));
    }
    let last = format!(":line {}", count - 1);
    while !watcher.text().ends_with(&last) {}
    assert!(hub.stop().success());
    let entries = history(folder.path());
    assert_dense(&entries);
    let texts = entries.iter().filter(|entry| entry["kind"] == "text");
    assert_eq!(texts.count(), count);
    assert_eq!(entries.last().unwrap()["kind"], "left");
}

#[test]
fn members_are_shown_what_was_said_and_find_words() {
    let folder = TempDir::new().unwrap();
    let mut hub = Hub::start_in(bin(), folder.path(), &[]);
    let mut alice = hub.join();
    alice.say("/nick alice");
    alice.notice(&["you are now alice"]);
    alice.say("the kettle is on");
    alice.say("今天天气很好");
    alice.say("/join kitchen");
    alice.notice(&["you are now in kitchen"]);
    alice.say("a secret kettle");
    alice.say("/topic kettles");
    alice.notice(&["the topic here is"]);
    assert!(hub.stop().success());
    let hub = Hub::start_in(bin(), folder.path(), &[]);
    let mut bob = hub.join();
    bob.say("/history");
    bob.notice(&["#", "just now: alice: the kettle is on"]);
    bob.notice(&["alice: 今天天气很好"]);
    bob.say("/who");
    bob.notice(&["1 here"]);
    bob.say("/history 1");
    bob.notice(&["#", "just now"]);
    bob.say("/who");
    let next = bob.line().unwrap();
    assert!(next.contains("1 here"), "one entry and no more: {next}");
    bob.say("/search kettle");
    bob.say("/search 天气");
    let found = bob.notice(&["kettle"]);
    assert!(found.ends_with("alice: the kettle is on"), "{found}");
    let found = bob.line().unwrap();
    assert!(
        found.ends_with("alice: 今天天气很好"),
        "only of its own room: {found}"
    );
    bob.say("/search unicorns");
    bob.notice(&["there is nothing"]);
    bob.say("/join kitchen");
    let entered = bob.notice(&["you are now in kitchen"]);
    assert!(
        entered.ends_with(": kettles"),
        "its topic is kept: {entered}"
    );
    bob.say("/search KETTLE secret");
    bob.notice(&["alice: a secret kettle"]);
}

#[test]
fn without_a_log_nothing_is_kept() {
    let folder = TempDir::new().unwrap();
    let hub = Hub::start_in(bin(), folder.path(), &["--log", "off"]);
    let mut member = hub.join();
    member.say("/history");
    member.notice(&["this hub keeps no history: its log is off"]);
    member.say("/search words");
    member.notice(&["this hub keeps no history: its log is off"]);
    let mut asker = Asker::connect(&hub);
    asker.say("x", "gone soon").unwrap();
    assert_eq!(asker.answer().unwrap()["sb"]["ack"]["durable"], false);
    assert!(!folder.path().join("log.sqlite").exists());
}

/// A small disk of its own, in memory; needs root.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(folder.path());
        let is_mounted = mount.output().is_ok_and(|output| output.status.success());
        if !is_mounted {
            eprintln!("skipped: needs root for a small tmpfs");
        }
        is_mounted.then(|| Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let mut unmount = Command::new("umount");
        unmount.arg("-l").arg(self.0.path()).status().ok();
    }
}

#[test]
fn privileged_a_full_disk_refuses_with_words_and_recovers_by_itself() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let data = disk.0.path().join("data");
    let mut hub = Hub::start_in(bin(), &data, &[]);
    let mut member = hub.join();
    let mut asker = Asker::connect(&hub);
    asker.keep("before", "there is room");
    let ballast = disk.0.path().join("ballast");
    assert!(fs::write(&ballast, vec![0; 9 << 20]).is_err(), "it is full");
    let long = "x".repeat(100_000);
    let mut sent = 0;
    for number in 0.. {
        asker.say(&format!("full-{number}"), &long).unwrap();
        sent += 1;
        if hub.log().text().contains("disk full") {
            break;
        }
        assert!(number < 100, "the disk takes it all");
    }
    let mut late = Asker::connect(&hub);
    late.say("late", "is there room?").unwrap();
    let answer = late.answer().unwrap();
    assert!(reason(&answer).contains("disk full"), "{answer}");
    member.say("hello?");
    member.notice(&["your line was not passed on", "disk full"]);
    member.say("/history");
    member.notice(&["there is room"]);
    let _newcomer = hub.join();
    fs::remove_file(&ballast).unwrap();
    hub.log().wait_line(&["the log is written again"]);
    let answers: Vec<Value> = (0..sent).map(|_| asker.answer().unwrap()).collect();
    let is_kept = |answer: &&Value| answer["sb"]["ack"]["durable"] == true;
    let (kept, refused): (Vec<_>, Vec<_>) = answers.iter().partition(is_kept);
    assert!(!kept.is_empty(), "what was held is kept");
    for answer in refused {
        assert!(reason(answer).contains("disk full"), "{answer}");
    }
    // The room's shard hears of it a moment after the log has told it to people.
    let begun = Instant::now();
    loop {
        late.say("late", "is there room?").unwrap();
        let answer = late.answer().unwrap();
        if is_kept(&&answer) {
            break;
        }
        assert!(reason(&answer).contains("disk full"), "{answer}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{answer}");
    }
    hub.kill();
    assert_dense(&history(&data));
}

#[test]
fn a_log_that_another_program_has_locked_is_an_error_that_names_it() {
    let folder = TempDir::new().unwrap();
    let mut first = Hub::start_in(bin(), folder.path(), &[]);
    Asker::connect(&first).keep("a", "hello");
    assert!(first.stop().success());
    let script = "import sqlite3, sys\n\
        log = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
        log.execute('PRAGMA locking_mode = EXCLUSIVE'); log.execute('BEGIN EXCLUSIVE')\n\
        print('held', flush=True); sys.stdin.read()";
    let file = folder.path().join("log.sqlite");
    let holder = Program::start("python3", ["-c", script, file.to_str().unwrap()]);
    holder.out.wait_line(&["held"]);
    let data = folder.path().to_str().unwrap();
    let doors = [
        "--chat",
        "127.0.0.1:0",
        "--parcels",
        "127.0.0.1:0",
        "--time",
        "off",
    ];
    let told = run(&[&["serve", "--data", data], &doors[..]].concat());
    told.failed_with(&[
        "locked by another program",
        "python3",
        "hint: end that program",
    ]);
    assert_eq!(told.text(), "", "no door was opened");
}

/// The disk of a hub, in the hands of strace(1).
struct Disk(Program);

impl Disk {
    /// What is done to each sync from now on; `None` where tracing is not allowed.
    fn take(hub: &Hub, injected: &str) -> Option<Self> {
        let (pid, inject) = (
            hub.id().to_string(),
            format!("inject=fsync,fdatasync:{injected}"),
        );
        let arguments = [
            "-f",
            "-o",
            "/dev/null",
            "-p",
            &pid,
            "-e",
            "trace=fsync,fdatasync",
        ];
        let mut command = Command::new("strace");
        command.args(arguments).args(["-e", &inject]);
        let is_there = Command::new("strace").arg("-V").output().is_ok();
        let strace = is_there.then(|| Program::start_command(&mut command));
        if strace
            .as_ref()
            .is_some_and(|strace| strace.err.comes("attached"))
        {
            return strace.map(Self);
        }
        eprintln!("skipped: needs strace, and leave to trace");
        None
    }

    fn give_back(mut self) {
        self.0.interrupt();
        self.0.wait();
    }
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_until_the_hub_is_started_again() {
    let folder = TempDir::new().unwrap();
    let mut hub = Hub::start_in(bin(), folder.path(), &[]);
    let mut member = hub.join();
    let mut asker = Asker::connect(&hub);
    asker.keep("before", "all is well");
    let Some(disk) = Disk::take(&hub, "error=EIO") else {
        return;
    };
    asker.say("lost", "is it?").unwrap();
    let answer = asker.answer().unwrap();
    assert!(reason(&answer).contains("disk error"), "{answer}");
    disk.give_back();
    asker.say("later", "and now?").unwrap();
    let answer = asker.answer().unwrap();
    assert!(reason(&answer).contains("start the hub again"), "{answer}");
    member.say("hello?");
    member.notice(&["your line was not passed on", "disk error"]);
    member.say("/history");
    member.notice(&["all is well"]);
    let place = hub.parcels().to_string();
    run(&["tail", &place]).failed_with(&["disk error"]);
    hub.kill();
    let hub = Hub::start_in(bin(), folder.path(), &[]);
    Asker::connect(&hub).keep("later", "and now?");
    assert_dense(&history(folder.path()));
}

#[test]
fn a_slow_disk_slows_who_sends_and_nobody_else() {
    let folder = TempDir::new().unwrap();
    let hub = Hub::start_in(bin(), folder.path(), &["--quiet"]);
    let (mut talker, mut listener) = (Member::connect(hub.chat()), Member::connect(hub.chat()));
    for member in [&mut talker, &mut listener] {
        member.say("/join kitchen");
        member.notice(&["you are now in kitchen"]);
    }
    let delay = amount("delay_enter=500000", "delay_enter=2000000");
    let Some(disk) = Disk::take(&hub, delay) else {
        return;
    };
    let mut flood = wire::open(hub.parcels()).unwrap();
    flood.set_nonblocking(true).unwrap();
    let piece = wire::message(&"x".repeat(1_000)).repeat(60);
    let (mut sent, mut at, mut slowest) = (0, 0, Vec::new());
    let end = Instant::now() + amount(Duration::from_secs(4), Duration::from_secs(30));
    let mut stuck = Duration::ZERO;
    while Instant::now() < end {
        let begun = Instant::now();
        talker.say("are you there?");
        assert!(listener.text().ends_with(":are you there?"));
        slowest.push(begun.elapsed());
        while begun.elapsed() < Duration::from_millis(10) {
            match flood.write(&piece[at..]) {
                Ok(len) => {
                    at = (at + len) % piece.len();
                    sent += len;
                }
                Err(_full) => {
                    listener.read_some(Duration::from_millis(2)).ok();
                    stuck += Duration::from_millis(2);
                }
            }
        }
    }
    slowest.sort_unstable();
    let p99 = slowest[slowest.len() * 99 / 100];
    assert!(
        p99 < Duration::from_millis(50),
        "{p99:?} of {}",
        slowest.len()
    );
    assert!(
        stuck > Duration::ZERO,
        "who sends is held up: {sent} bytes went"
    );
    disk.give_back();
    flood.set_nonblocking(false).unwrap();
    flood.write_all(&piece[at..]).unwrap();
    flood.write_all(&wire::close()).unwrap();
    flood.set_read_timeout(Some(PATIENCE * 3)).unwrap();
    let end = flood.read(&mut [0]);
    assert!(matches!(end, Ok(0)), "all is kept: {end:?}");
    let whole = (sent + piece.len() - at) / (piece.len() / 60);
    let entries = history(folder.path());
    assert_dense(&entries);
    let texts = entries.iter().filter(|entry| entry["kind"] == "text");
    assert_eq!(texts.count(), whole, "nothing is dropped");
}
