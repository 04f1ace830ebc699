//! A hub of several shards, by real sockets: who comes by the Unix door is at each in turn, who
//! comes by TCP wherever the kernel says.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use switchboard_hub::limits::SHARDS_MAX;
use testkit::{Hub, PATIENCE, wire};

use crate::support::{bin, hub, run};

/// A member by a Unix socket.
struct Member {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Member {
    fn come(hub: &Hub, name: &str) -> Self {
        let stream = UnixStream::connect(hub.told("chat", "unix://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        let mut member = Self { stream, reader };
        member.says(&format!("/nick {name}"));
        member.hears(&format!("* you are now {name}"));
        member
    }

    fn says(&mut self, line: &str) {
        self.stream
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Waits for a line; gives those before it.
    fn hears(&mut self, expected: &str) -> Vec<String> {
        let mut passed = Vec::new();
        loop {
            match self.line() {
                line if line == expected => return passed,
                line if line.is_empty() => panic!("no {expected:?} behind {passed:?}"),
                line => passed.push(line),
            }
        }
    }
}

/// A hub of two shards with a Unix door for the chat.
fn two_shards(folder: &std::path::Path) -> Hub {
    let door = folder.join("chat.sock");
    let door = format!("unix://{}", door.display());
    hub(&["--shards", "2", "--chat", &door])
}

#[test]
fn everything_in_rooms_works_over_two_shards() {
    let folder = tempfile::tempdir().unwrap();
    let hub = two_shards(folder.path());
    let mut alice = Member::come(&hub, "alice");
    let mut bob = Member::come(&hub, "bob");
    for room in ["kitchen", "cellar", "attic"] {
        alice.says(&format!("/join {room}"));
        alice.hears(&format!("* you are now in {room}, 1 here"));
        bob.says(&format!("/join {room}\nhello {room}"));
        bob.hears(&format!("* you are now in {room}, 2 here"));
        alice.hears("* bob joined");
        alice.hears(&format!("bob:hello {room}"));
        alice.says("/topic tea");
        bob.hears("* alice set the topic: tea");
        bob.says("/who");
        let who = bob.hears_notice("2 here: ");
        assert!(who.contains("alice") && who.contains("bob"), "{who}");
        alice.says("/rooms");
        alice.hears(&format!("* 2 rooms: {}", list(room)));
        bob.says("/msg Alice psst");
        bob.hears("* you tell alice: psst");
        alice.hears("* bob tells you: psst");
        bob.says("/nick alice");
        bob.hears("* somebody else is alice: take another name");
    }
    let door = hub.parcels().to_string();
    run(&["send", &door, "--room", "attic", "-m", "by parcel"]).succeeded();
    for member in [&mut alice, &mut bob] {
        assert!(member.line().ends_with(":by parcel"));
    }
}

/// What `/rooms` lists beside an empty lobby.
fn list(room: &str) -> String {
    let here = format!("{room} (2, you are here)");
    if room < "lobby" {
        format!("{here}, lobby (0)")
    } else {
        format!("lobby (0), {here}")
    }
}

#[test]
fn members_at_two_shards_see_one_order() {
    const LINES: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let hub = two_shards(folder.path());
    let mut members: Vec<Member> = ["a", "b", "c", "d"]
        .map(|name| Member::come(&hub, name))
        .into();
    // All are there before anybody speaks.
    for member in &mut members {
        member.says("/who");
        while !member.hears_notice(" here: ").starts_with("* 4 here") {
            member.says("/who");
        }
    }
    let heard: Vec<Vec<String>> = std::thread::scope(|scope| {
        let talk = |member: Member| scope.spawn(move || member.talk(LINES));
        let threads: Vec<_> = members.into_iter().map(talk).collect();
        threads.into_iter().map(|one| one.join().unwrap()).collect()
    });
    // A member's own lines are not shown to it: without those of two, both saw the same.
    for (one, first) in ["a", "b", "c", "d"].iter().zip(&heard) {
        for (other, second) in ["a", "b", "c", "d"].iter().zip(&heard) {
            let both = |lines: &[String]| {
                let by = |name: &str, line: &str| line.starts_with(&format!("{name}:"));
                let kept = lines
                    .iter()
                    .filter(|line| !by(one, line) && !by(other, line));
                kept.cloned().collect::<Vec<_>>()
            };
            assert_eq!(both(first), both(second), "{one} and {other}");
            assert_eq!(first.len(), 3 * LINES, "nothing is lost");
        }
    }
}

impl Member {
    fn hears_notice(&mut self, text: &str) -> String {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "closed before {text:?}");
            if line.starts_with("* ") && line.contains(text) {
                return line;
            }
        }
    }

    /// Hears so many lines that somebody said.
    fn hears_lines(&mut self, lines: usize) {
        let mut heard = 0;
        while heard < lines {
            let line = self.line();
            assert!(!line.is_empty(), "closed after {heard} lines");
            heard += usize::from(!line.starts_with("* "));
        }
    }

    /// Says so many lines and hears those of three others.
    fn talk(mut self, lines: usize) -> Vec<String> {
        for number in 0..lines {
            self.says(&number.to_string());
        }
        let mut heard = Vec::new();
        while heard.len() < 3 * lines {
            let line = self.line();
            assert!(!line.is_empty(), "closed after {} lines", heard.len());
            if !line.starts_with("* ") {
                heard.push(line);
            }
        }
        heard
    }
}

#[test]
fn each_shard_accepts_by_tcp_and_a_second_hub_is_told_that_the_address_is_in_use() {
    let mut hub = hub(&["--shards", "2"]);
    let address = hub.chat().to_string();
    let members: Vec<_> = (0..32).map(|_| hub.join()).collect();
    drop(members);
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    for shards in ["1", "2"] {
        let doors = ["--chat", &address, "--parcels", "off", "--time", "off"];
        let words = ["serve", "--data", data, "--shards", shards];
        run(&[&words[..], &doors[..]].concat()).failed_with(&[&address, "in use"]);
    }
    let folder = hub.data.clone();
    assert_eq!(hub.stop().code(), Some(0));
    // The port is free at once.
    let again = Hub::start_in(bin(), &folder, &["--shards", "2", "--chat", &address]);
    again.serves();
}

#[test]
fn files_reach_the_disk_from_every_shard() {
    let hub = hub(&["--shards", "2"]);
    let mut member = hub.join();
    for number in 0..16 {
        let (name, bytes) = (format!("file {number}.bin"), vec![number; 100_000]);
        let parcels = [
            wire::message(&format!("before {number}")),
            wire::file(&name, &bytes),
            wire::message(&format!("behind {number}")),
            wire::close(),
        ];
        assert_eq!(hub.upload(&parcels.concat()).unwrap(), b"");
        assert!(hub.file(&name) == bytes);
        assert!(member.text().ends_with(&format!(":before {number}")));
        member.notice(&["sent the file", &name]);
        assert!(member.text().ends_with(&format!(":behind {number}")));
    }
}

#[test]
fn a_hub_of_several_shards_ends_in_good_order() {
    let mut hub = hub(&["--shards", "3"]);
    let mut members: Vec<_> = (0..12).map(|_| hub.join()).collect();
    assert_eq!(hub.stop().code(), Some(0));
    for member in &mut members {
        let rest = String::from_utf8(member.rest()).unwrap();
        assert!(rest.ends_with("* the hub is closing\n"), "{rest}");
    }
    hub.log().wait_line(&["stopped"]);
}

#[test]
fn a_hub_takes_from_one_to_sixty_four_shards() {
    let max = SHARDS_MAX;
    for (shards, is_taken) in [
        (0, false),
        (1, true),
        (max - 1, true),
        (max, true),
        (max + 1, false),
    ] {
        let shards = &shards.to_string();
        if is_taken {
            let mut hub = hub(&["--shards", shards]);
            hub.serves();
            assert_eq!(hub.stop().code(), Some(0));
        } else {
            let refused = run(&["serve", "--shards", shards]);
            assert_eq!(refused.status.code(), Some(2), "{}", refused.err);
            assert!(refused.err.contains("1..=64"), "{}", refused.err);
        }
    }
}

#[test]
fn what_is_said_in_two_rooms_is_the_work_of_two_shards() {
    const READERS: usize = 10;
    const LINES: usize = 4_000;
    let folder = tempfile::tempdir().unwrap();
    let hub = two_shards(folder.path());
    let mut readers = Vec::new();
    let mut speakers = Vec::new();
    for room in ["left", "right"] {
        for number in 0..=READERS {
            // By twos, since they are dealt out in turn: half of each room is at each shard.
            let mut member = Member::come(&hub, &format!("{room}{number}"));
            member.says(&format!("/join {room}"));
            member.hears(&format!("* you are now in {room}, {} here", number + 1));
            if number == 0 {
                speakers.push(member);
            } else {
                readers.push(member);
            }
        }
    }
    let before = hub.cpu_time_of_threads();
    std::thread::scope(|scope| {
        for speaker in &mut speakers {
            scope.spawn(|| (0..LINES).for_each(|number| speaker.says(&number.to_string())));
        }
        for reader in &mut readers {
            scope.spawn(|| reader.hears_lines(LINES));
        }
    });
    let after = hub.cpu_time_of_threads();
    // The first shard runs in the thread that the program began with.
    let used = |name: &str| {
        let of = |times: &[(String, std::time::Duration)]| {
            let time = times.iter().find(|(found, _)| found == name);
            time.map_or(0, |(_, time)| time.as_nanos())
        };
        of(&after) - of(&before)
    };
    let (first, second) = (used("switchboard"), used("shard-1"));
    let less = first.min(second);
    assert!(
        less * 4 > first + second,
        "neither does much more than the other: {first} ns, {second} ns"
    );
}
