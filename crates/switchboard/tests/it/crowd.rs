//! Two hundred clients that chat and upload at once: nothing is lost, doubled or mixed.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use testkit::{Hub, Random, names, wire};

use crate::support::hub;

const CLIENTS: usize = 200;
const LINES: usize = 10;
const LIMIT: Duration = Duration::from_secs(60);
/// How long the room may be quiet while a client still lacks something.
const SILENCE: Duration = Duration::from_secs(20);

/// What one client has heard.
#[derive(Debug, Default)]
struct Heard {
    /// The numbers of the lines, in the order they came, by who said them and from where.
    lines: BTreeMap<(usize, String), Vec<usize>>,
    /// How often each client's parcel message came.
    messages: BTreeMap<usize, usize>,
    /// How often each client's file was told of.
    files: BTreeMap<usize, usize>,
}

#[test]
fn two_hundred_clients_chat_and_upload_at_once() {
    chat_and_upload(&hub(&[]));
}

#[test]
fn two_hundred_clients_chat_and_upload_at_two_shards() {
    chat_and_upload(&hub(&["--shards", "2"]));
}

fn chat_and_upload(hub: &Hub) {
    let present = Barrier::new(CLIENTS);
    let all: Vec<Heard> = thread::scope(|scope| {
        let start = |number| {
            let present = &present;
            scope.spawn(move || take_part(hub, present, number))
        };
        let threads: Vec<_> = (0..CLIENTS).map(start).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for (number, heard) in all.iter().enumerate() {
        check(number, heard);
    }
    for number in 0..CLIENTS {
        assert!(
            hub.file(&file_name(number)) == file_bytes(number),
            "file {number} differs"
        );
    }
    assert_eq!(names(&hub.files()).len(), CLIENTS);
    hub.serves();
}

fn take_part(hub: &Hub, present: &Barrier, number: usize) -> Heard {
    let mut member = hub.join();
    member.set_patience(SILENCE);
    let mut parcels = wire::open(hub.parcels()).unwrap();
    parcels.set_write_timeout(Some(LIMIT)).unwrap();
    parcels.set_read_timeout(Some(LIMIT)).unwrap();
    present.wait();
    let upload = [
        wire::message(&format!("message {number}")),
        wire::file(&file_name(number), &file_bytes(number)),
        wire::close(),
    ];
    let mut heard = Heard::default();
    thread::scope(|scope| {
        scope.spawn(move || {
            parcels.write_all(&upload.concat()).unwrap();
            assert_eq!(wire::wait_closed(&mut parcels), b"");
        });
        for line in 0..LINES {
            member.say(&format!("line {number} {line}"));
        }
        let deadline = Instant::now() + LIMIT;
        while !heard.is_complete() && Instant::now() < deadline {
            heard.note(&member.line().expect("the hub goes on"));
        }
    });
    // What the hub has for this client beyond that would come before the end.
    member.end();
    for line in String::from_utf8(member.rest()).unwrap().lines() {
        heard.note(line);
    }
    heard
}

impl Heard {
    fn note(&mut self, line: &str) {
        if line.starts_with("* ") {
            if let Some((_, name)) = line.split_once("file-") {
                let (number, _) = name.split_once(".bin").unwrap();
                *self.files.entry(number.parse().unwrap()).or_default() += 1;
            }
            return;
        }
        let mut parts = line.rsplitn(2, ':');
        let (text, from) = (parts.next().unwrap(), parts.next().unwrap());
        let words: Vec<&str> = text.split(' ').collect();
        let number = words[1].parse().unwrap();
        if words[0] == "message" {
            *self.messages.entry(number).or_default() += 1;
        } else {
            let lines = self.lines.entry((number, from.to_owned())).or_default();
            lines.push(words[2].parse().unwrap());
        }
    }

    fn is_complete(&self) -> bool {
        let lines: usize = self.lines.values().map(Vec::len).sum();
        lines >= (CLIENTS - 1) * LINES
            && self.messages.len() == CLIENTS
            && self.files.len() == CLIENTS
    }
}

#[track_caller]
fn check(number: usize, heard: &Heard) {
    // One place each: a line that came from elsewhere would make one entry more.
    assert_eq!(heard.lines.len(), CLIENTS - 1, "client {number}");
    for ((speaker, from), lines) in &heard.lines {
        assert_ne!(*speaker, number, "it heard itself");
        let expected: Vec<usize> = (0..LINES).collect();
        assert_eq!(
            lines, &expected,
            "client {number} heard {speaker} from {from}"
        );
    }
    assert!(
        heard.messages.values().all(|count| *count == 1),
        "client {number}: {heard:?}"
    );
    assert!(
        heard.files.values().all(|count| *count == 1),
        "client {number}: {heard:?}"
    );
}

fn file_name(number: usize) -> String {
    format!("file-{number}.bin")
}

fn file_bytes(number: usize) -> Vec<u8> {
    let mut random = Random::new(u64::try_from(number).unwrap());
    let len = random.below(100_000);
    random.bytes(len)
}
