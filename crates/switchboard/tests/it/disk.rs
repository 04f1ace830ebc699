//! A disk, or another program, in the way of a hub that runs: who is told what, and who is not held
//! up by it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use switchboard_hub::limits::{LOG_LOCK_WAIT, LOG_RETRY};
use tempfile::TempDir;
use testkit::{Hub, Member, Program};

use crate::durable::{Asker, assert_dense, history, reason, seq};
use crate::support::{amount, bin, quiet};

/// Another program that has begun to write the log, until it is dropped.
struct Locker(Program);

impl Locker {
    fn take(data: &Path) -> Self {
        let script = "import sqlite3, sys\n\
            log = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
            log.execute('BEGIN IMMEDIATE')\n\
            print('held', flush=True); sys.stdin.read()";
        let file = data.join("log.sqlite");
        let holder = Program::start("python3", ["-c", script, file.to_str().unwrap()]);
        holder.out.wait_line(&["held"]);
        Self(holder)
    }

    fn let_go(mut self) {
        self.0.end_input();
        self.0.finish().succeeded();
    }
}

/// What a hub does while nothing can be written to its log, and what when that is over.
struct Trouble {
    hub: Hub,
    talker: Member,
    listener: Member,
    asker: Asker,
}

impl Trouble {
    fn new(data: &Path, shards: &str) -> Self {
        let hub = Hub::start_in(bin(), data, &["--shards", shards]);
        let (talker, listener) = (hub.join(), hub.join());
        let mut asker = Asker::connect(&hub);
        asker.keep("before", "all is well");
        Self {
            hub,
            talker,
            listener,
            asker,
        }
    }

    /// People talk on until the hub says that it cannot write; answers the longest time that a line
    /// took from one to the other.
    fn talk_until(&mut self, told: &str) -> Duration {
        let begun = Instant::now();
        let mut slowest = Duration::ZERO;
        while !self.hub.log().text().contains(told) {
            assert!(begun.elapsed() < Duration::from_secs(30), "nothing is told");
            let said = Instant::now();
            self.talker.say("are you there?\n/who");
            while let Some(line) = self.talker.line()
                && !line.contains(" here: ")
            {
                if line.contains("your line was not passed on") {
                    // The room has heard of it before people are told.
                    self.hub.log().wait_line(&[told]);
                    return slowest;
                }
            }
            while !self.listener.text().ends_with(":are you there?") {}
            slowest = slowest.max(said.elapsed());
            quiet(&mut self.listener, Duration::from_millis(20));
        }
        slowest
    }

    /// From now on nothing is taken, and everybody is told why; what there is can be read, and who
    /// comes is let in.
    fn refuses(&mut self, why: &str) {
        // The room hears of it a moment after the log has told it to people.
        let begun = Instant::now();
        let refusal = loop {
            assert!(begun.elapsed() < Duration::from_secs(10), "all is taken");
            self.talker.say("hello?");
            self.talker.say("/who");
            let line = self.talker.line().unwrap();
            if line.contains("your line was not passed on") {
                break line;
            }
        };
        assert!(refusal.contains(why), "{refusal}");
        let mut late = Asker::connect(&self.hub);
        late.say("late", "and this?").unwrap();
        let answer = late.answer().unwrap();
        assert!(reason(&answer).contains(why), "{answer}");
        self.talker.say("/history 1000");
        self.talker.notice(&["all is well"]);
        drop(self.hub.join());
    }

    /// It can be written again: what was held is kept, and so is what comes.
    fn recovers(&mut self) {
        let limit = LOG_RETRY * 5;
        let told = ["the log is written again"];
        self.hub.log().wait_line_for(limit, &told);
        let held = seq(&self.asker.answer().unwrap());
        // The room's shard hears of it a moment later.
        let begun = Instant::now();
        let later = loop {
            self.asker.say("later", "and now?").unwrap();
            let answer = self.asker.answer().unwrap();
            if answer["sb"]["ack"].is_object() {
                break seq(&answer);
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{answer}");
        };
        assert!(held < later);
        self.hub.serves();
    }
}

fn a_lock_is_waited_for(shards: &str) {
    let folder = TempDir::new().unwrap();
    let mut trouble = Trouble::new(folder.path(), shards);
    let locker = Locker::take(folder.path());
    let begun = Instant::now();
    trouble.asker.say("held", "who has the log?").unwrap();
    let slowest = trouble.talk_until("is locked by another program (python3 ");
    let took = begun.elapsed();
    assert!(
        took > LOG_LOCK_WAIT * 9 / 10 && took < LOG_LOCK_WAIT * 2,
        "told after {took:?}"
    );
    trouble.refuses("is locked by another program");
    let rest = amount(Duration::ZERO, Duration::from_secs(30));
    quiet(&mut trouble.listener, rest.saturating_sub(begun.elapsed()));
    locker.let_go();
    trouble.recovers();
    eprintln!("F9: told after {took:?}; {slowest:?} from one member to another at most");
    assert!(slowest < Duration::from_secs(1), "nobody waits for it");
    trouble.hub.kill();
    assert_dense(&history(folder.path()));
}

#[test]
fn f9_a_log_that_another_program_locks_is_waited_for_and_then_told() {
    a_lock_is_waited_for("1");
}

#[test]
fn f9_a_log_that_another_program_locks_holds_up_no_shard() {
    a_lock_is_waited_for("2");
}

#[test]
fn a_log_that_can_not_be_written_any_more_is_told_and_written_again_when_it_can() {
    let folder = TempDir::new().unwrap();
    let mut trouble = Trouble::new(folder.path(), "2");
    let (pid, file) = (
        trouble.hub.id().to_string(),
        folder.path().join("log.sqlite-wal"),
    );
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-o", "/dev/null", "-p", &pid, "-P"])
        .arg(&file)
        .args(["-e", "trace=write,pwrite64,pwritev"])
        .args(["-e", "inject=write,pwrite64,pwritev:error=EROFS"]);
    let is_there = Command::new("strace").arg("-V").output().is_ok();
    let strace = is_there.then(|| Program::start_command(&mut strace));
    let Some(mut strace) = strace.filter(|strace| strace.err.comes("attached")) else {
        eprintln!("skipped: needs strace, and leave to trace");
        return;
    };
    trouble.asker.say("held", "is it writable?").unwrap();
    trouble.talk_until("nothing is logged until that is mended");
    trouble.refuses("can't write");
    strace.interrupt();
    strace.wait();
    trouble.recovers();
    trouble.hub.kill();
    assert_dense(&history(folder.path()));
}

/// A disk in a file, with a file system that can be made read-only under those who write to it.
struct Disk {
    folder: TempDir,
    image: TempDir,
}

impl Disk {
    fn mount() -> Option<Self> {
        let (folder, image) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let file = image.path().join("image");
        std::fs::File::create(&file)
            .unwrap()
            .set_len(32 << 20)
            .unwrap();
        let disk = Self { folder, image };
        let is_made = succeeds(Command::new("mkfs.ext4").arg("-q").arg(&file));
        let is_there = is_made && disk.mount_again();
        if !is_there {
            eprintln!("skipped: needs root for a disk in a file");
        }
        is_there.then_some(disk)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn mount_again(&self) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]);
        succeeds(mount.arg(self.image.path().join("image")).arg(self.path()))
    }

    /// As after an error that the file system has found in itself: nothing can be written any more.
    fn abort(&self) -> bool {
        let mut mount = Command::new("mount");
        succeeds(mount.args(["-o", "remount,abort"]).arg(self.path()))
    }

    fn unmount(&self) -> bool {
        succeeds(Command::new("umount").arg(self.path()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        succeeds(Command::new("umount").arg("-l").arg(self.path()));
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

#[test]
fn privileged_a_disk_that_becomes_read_only_is_told_and_loses_nothing_acknowledged() {
    let Some(disk) = Disk::mount() else {
        return;
    };
    let data = disk.path().join("data");
    let mut trouble = Trouble::new(&data, "2");
    let file = |name: &str| testkit::wire::file(name, &[7; 10_000]);
    let close = testkit::wire::close();
    let whole = [file("before.bin"), close.clone()].concat();
    assert_eq!(trouble.hub.upload(&whole).unwrap(), b"");
    if !disk.abort() {
        eprintln!("skipped: this kernel does not make a disk read-only by abort");
        return;
    }
    trouble.asker.say("lost", "is it writable?").unwrap();
    trouble.talk_until("nothing is logged ");
    trouble.refuses("nothing can be kept");
    let refused = trouble.hub.upload(&[file("late.bin"), close].concat());
    assert!(refused.is_err(), "what is not stored ends with a reset");
    trouble.hub.log().wait_line(&["Read-only file system"]);
    assert_eq!(trouble.hub.ask_time(b"%%"), b"%");
    let Trouble { mut hub, .. } = trouble;
    hub.stop();
    assert!(disk.unmount() && disk.mount_again());
    let hub = Hub::start_in(bin(), &data, &["--shards", "2"]);
    assert_eq!(hub.file("before.bin"), [7; 10_000]);
    let entries = history(&data);
    assert_dense(&entries);
    assert!(entries.iter().any(|entry| entry["id"] == "before"));
    Asker::connect(&hub).keep("again", "all is well");
    drop(hub);
}
