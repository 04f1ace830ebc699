//! Who is late is given what it missed from the log, page by page, whichever shard it is at.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::thread;

use serde_json::Value;
use switchboard_hub::limits::{FEED_BYTES_MAX, HISTORY_ENTRIES_MAX, LOG_PAGE_BYTES_MAX};
use tempfile::TempDir;
use testkit::{Hub, PATIENCE};

use crate::support::{hub, ours};

/// More than a page has of them, and than a feed holds in bytes.
const LINES: usize = 3_000;
const LINE_BYTES: usize = 1_000;

/// A hub of two shards, whose doors are Unix sockets: who comes is at each in turn.
fn two_shards(folder: &TempDir) -> Hub {
    let chat = format!("unix://{}/chat.sock", folder.path().display());
    let parcels = format!("unix://{}/parcels.sock", folder.path().display());
    hub(&["--shards", "2", "--chat", &chat, "--parcels", &parcels])
}

struct Member(BufReader<UnixStream>);

impl Member {
    /// Comes into a room, with nobody's name.
    #[track_caller]
    fn come(hub: &Hub, room: &str) -> Self {
        let stream = UnixStream::connect(hub.told("chat", "unix://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut member = Self(BufReader::new(stream));
        member.say(&format!("/join {room}"));
        while !member.line().contains("you are now in") {}
        member
    }

    fn say(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.0.get_mut().write_all(line.as_bytes()).unwrap();
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "it was cut off");
        line.trim_end().to_owned()
    }

    /// What is told before the answer to `/who`.
    fn until_who(&mut self) -> Vec<String> {
        let told = std::iter::repeat_with(|| self.line());
        told.take_while(|line| !line.contains(" here: ")).collect()
    }

    /// The numbers of the lines that were said, up to the last one; everything else that is told
    /// has to be of members who come and go.
    #[track_caller]
    fn numbers(&mut self) -> Vec<usize> {
        let mut numbers = Vec::new();
        while numbers.last() != Some(&(LINES - 1)) {
            let line = self.line();
            match line.split_once(":number ") {
                Some((_, said)) => numbers.push(said.split(' ').next().unwrap().parse().unwrap()),
                None => assert!(
                    line.ends_with(" joined") || line.ends_with(" left"),
                    "{line}"
                ),
            }
        }
        numbers
    }
}

fn line(number: usize) -> String {
    format!("number {number} {}", "x".repeat(LINE_BYTES))
}

#[test]
fn who_reads_late_gets_everything_in_order_at_either_shard() {
    const { assert!(LINES * LINE_BYTES > 2 * FEED_BYTES_MAX) };
    let folder = TempDir::new().unwrap();
    let hub = two_shards(&folder);
    // Some of these rooms belong to either shard.
    for room in ["kitchen", "cellar", "attic"] {
        let mut late = [Member::come(&hub, room), Member::come(&hub, room)];
        let (mut reader, mut talker) = (Member::come(&hub, room), Member::come(&hub, room));
        let heard = thread::spawn(move || reader.numbers());
        (0..LINES).for_each(|number| talker.say(&line(number)));
        let all: Vec<usize> = (0..LINES).collect();
        assert_eq!(heard.join().unwrap(), all);
        for member in &mut late {
            assert_eq!(member.numbers(), all, "{room}: nothing is missed");
            // And it has reached what is said now.
            talker.say("and now?");
            while !member.line().ends_with(":and now?") {}
        }
    }
}

#[test]
fn history_and_tail_page_through_a_room_of_either_shard() {
    const { assert!(LINES * LINE_BYTES > 8 * LOG_PAGE_BYTES_MAX) };
    let folder = TempDir::new().unwrap();
    let hub = two_shards(&folder);
    let place = format!("unix://{}", hub.told("parcels", "unix://"));
    for room in ["kitchen", "cellar", "attic"] {
        let mut talker = Member::come(&hub, room);
        (0..LINES).for_each(|number| talker.say(&line(number)));
        talker.say("/history 1");
        while !talker.line().contains(&format!(": number {} ", LINES - 1)) {}
        // One at each shard, while more is said.
        let arguments = ["tail", &place, "--room", room, "--since", "0", "--json"];
        let tails = [ours(&arguments), ours(&arguments)];
        (0..10).for_each(|number| talker.say(&format!("more {number}")));
        for tail in &tails {
            tail.out.wait_line(&["more 9"]);
            let text = tail.out.text();
            let entries = text
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap());
            let (seqs, texts): (Vec<_>, Vec<_>) = entries
                .map(|it| (it["seq"].as_u64().unwrap(), it["kind"] == "text"))
                .unzip();
            assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "no gap");
            assert_eq!(texts.iter().filter(|it| **it).count(), LINES + 10);
        }
        drop(tails);
        for _ in 0..2 {
            let mut member = Member::come(&hub, room);
            member.say("/history 100\n/who");
            let shown = member.until_who();
            // Those of before may leave only now.
            let entries: Vec<_> = shown.iter().filter(|it| it.starts_with("* #")).collect();
            assert_eq!(entries.len(), 100);
            assert!(entries[0].contains(": number "), "{}", entries[0]);
            // A page has not so many bytes.
            member.say(&format!("/history {HISTORY_ENTRIES_MAX}\n/who"));
            let shown = member.until_who();
            let note = "* there is more, but not at once: it is too long";
            assert!(shown.iter().any(|line| line == note), "{}", shown[0]);
            let bytes: usize = shown.iter().map(String::len).sum();
            assert!((LOG_PAGE_BYTES_MAX / 2..LOG_PAGE_BYTES_MAX * 2).contains(&bytes));
        }
    }
}
