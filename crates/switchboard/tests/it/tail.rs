//! `switchboard tail`: a room followed for ever, through whatever happens.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use serde_json::Value;
use switchboard_client::tail::{LASTING, PAUSE_MIN, STOP_LIMIT};
use tempfile::TempDir;
use testkit::{Hub, Member, PATIENCE, Program, wire};

use crate::support::{bin, has_ipv6, hub, nobody, ours, run};

/// A tail of the lobby that has come there.
#[track_caller]
fn tail(place: &str, arguments: &[&str]) -> Program {
    let tail = ours(&[&["tail", place], arguments].concat());
    tail.out.wait_line(&["joined"]);
    tail
}

/// A member of the lobby who is called alice.
#[track_caller]
fn alice(hub: &Hub) -> Member {
    let mut member = hub.join();
    member.say("/nick alice");
    member.notice(&["you are now alice"]);
    member
}

/// The lines of `--json` as JSON.
fn entries(tail: &Program) -> Vec<Value> {
    let text = tail.out.text();
    let whole = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What alice said, of what a `--json` shows.
fn said(tail: &Program) -> Vec<String> {
    let texts = entries(tail).into_iter();
    texts
        .filter(|entry| entry["kind"] == "text")
        .map(|entry| entry["text"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until it has come back that often.
#[track_caller]
fn wait_back(tail: &Program, times: usize) {
    let count = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .matches(" again, from")
            .count()
    };
    let look = |bytes: &[u8]| (count(bytes) >= times).then_some(());
    tail.err.wait_until("it is back", PATIENCE, look);
}

#[test]
fn a_room_is_shown_to_people_and_to_programs() {
    let hub = hub(&[]);
    let place = hub.parcels().to_string();
    let people = tail(&place, &[]);
    let programs = tail(&place, &["--room", "LOBBY", "--json"]);
    let mut alice = alice(&hub);
    alice.say("the kettle is on");
    alice.say("\u{1b}[2J今天天气很好");
    alice.say("/topic tea");
    alice.say("/topic -");
    let line = people.out.wait_line(&["alice: the kettle"]);
    assert!(line.starts_with("20") && line.contains(" #"), "{line}");
    people.out.wait_line(&["* alice set the topic: tea"]);
    people.out.wait_line(&["* alice took the topic away"]);
    people.out.wait_line(&["alice: [2J今天天气很好"]);
    programs.out.wait_line(&[r#""kind":"topic","text":"""#]);
    let entries = entries(&programs);
    let seqs: Vec<_> = entries
        .iter()
        .map(|it| it["seq"].as_u64().unwrap())
        .collect();
    let expected: Vec<_> = (seqs[0]..).take(seqs.len()).collect();
    assert_eq!(seqs, expected, "no gap, no repetition");
    let kettle = entries.iter().find(|it| it["text"] == "the kettle is on");
    let kettle = kettle.unwrap();
    assert_eq!(kettle["from"], "alice");
    assert_eq!(kettle["room"], "lobby");
    assert!(kettle["epoch"].is_u64() && kettle["time_ms"].is_u64());
}

#[test]
fn a_hub_that_was_killed_and_is_back_is_followed_again() {
    let folder = TempDir::new().unwrap();
    let mut hub = Hub::start_in(bin(), folder.path(), &[]);
    let place = hub.parcels().to_string();
    let tail = tail(&place, &["--json"]);
    let mut expected = Vec::new();
    for round in 0..3 {
        let mut alice = alice(&hub);
        for number in 0..10 {
            let text = format!("message {number} of round {round}");
            alice.say(&text);
            tail.out.wait_line(&[&text]);
            expected.push(text);
        }
        hub.kill();
        hub = Hub::start_in(bin(), folder.path(), &["--parcels", &place]);
        wait_back(&tail, round + 1);
    }
    assert_eq!(said(&tail), expected);
    tail.err.wait_line(&["trying again until it is there"]);
}

/// Something between a client and a hub that can break all connections.
struct Cable {
    address: SocketAddr,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Cable {
    fn to(hub: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let streams = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&streams);
        thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                let Ok(far) = TcpStream::connect(hub) else {
                    continue;
                };
                let mut kept = kept.lock().unwrap();
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    kept.push(from.try_clone().unwrap());
                    thread::spawn(move || carry(from, to));
                }
            }
        });
        Self { address, streams }
    }

    /// Breaks what there is; new connections work.
    fn cut(&self) {
        for stream in self.streams.lock().unwrap().drain(..) {
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut piece = [0; 4096];
    while let Ok(len @ 1..) = from.read(&mut piece) {
        if to.write_all(&piece[..len]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
    from.shutdown(Shutdown::Both).ok();
}

#[test]
fn a_connection_that_breaks_is_made_again_and_each_entry_comes_once() {
    let hub = hub(&[]);
    let cable = Cable::to(hub.parcels());
    let tail = tail(&cable.address.to_string(), &["--json"]);
    let mut alice = alice(&hub);
    for round in 0..3 {
        for number in 0..50 {
            alice.say(&format!("message {number}"));
            if number == 25 {
                cable.cut();
            }
        }
        wait_back(&tail, round + 1);
    }
    alice.say("the last one");
    tail.out.wait_line(&["the last one"]);
    let entries = entries(&tail);
    // What is not there was told to be gone.
    let mut next = entries[0]["seq"].as_u64().unwrap();
    let told = tail.err.text();
    for entry in &entries {
        let seq = entry["seq"].as_u64().unwrap();
        let gone = format!("entr{} {next}", if seq == next + 1 { "y" } else { "ies" });
        assert!(
            seq == next || seq > next && told.contains(&gone),
            "{seq} instead of {next}; it said: {told}"
        );
        next = seq + 1;
    }
}

#[test]
fn a_connection_that_has_lasted_begins_the_pauses_anew() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let _tail = ours(&["tail", &place]);
    // Lets it in, and closes the connection after a time.
    let serve = |time: std::time::Duration| {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        let begun = Instant::now();
        let at = br#"{"sb":{"at":{"room":"lobby","epoch":1,"seq":0}}}"#;
        stream.write_all(&wire::frame(at)).unwrap();
        while let Some(left) = time.checked_sub(begun.elapsed()).filter(|it| !it.is_zero()) {
            stream.set_read_timeout(Some(left)).unwrap();
            if let Ok(0) = stream.read(&mut [0; 1_000]) {
                panic!("it went after {:?}", begun.elapsed());
            }
        }
    };
    for _ in 0..5 {
        serve(PAUSE_MIN / 10);
    }
    serve(LASTING * 11 / 10);
    let closed = Instant::now();
    let (_stream, _) = listener.accept().unwrap();
    // Without that it would be up to thirty times as much.
    let pause = closed.elapsed();
    assert!(pause < PAUSE_MIN + PATIENCE / 20, "{pause:?}");
}

#[test]
fn it_begins_behind_the_entry_that_is_named() {
    let hub = hub(&["--keep-room", "lobby"]);
    let mut alice = alice(&hub);
    alice.say("one");
    alice.say("two");
    alice.say("/who");
    alice.notice(&["here"]);
    let place = hub.parcels().to_string();
    let late = ours(&["tail", &place, "--since", "999", "--json"]);
    late.err
        .wait_line(&["the history of lobby is another one now"]);
    let other = ours(&["tail", &place, "--since", "1", "--epoch", "1", "--json"]);
    other
        .err
        .wait_line(&["the history of lobby is another one now"]);
}

#[test]
fn a_program_runs_for_each_entry_one_at_a_time_in_order() {
    let hub = hub(&[]);
    let folder = TempDir::new().unwrap();
    let gate = folder.path().join("gate");
    assert!(Program::run("mkfifo", [&gate]).status.success());
    let script = r#"test "$SWITCHBOARD_KIND" = text || exit 0
        cat > "$DIR/$SWITCHBOARD_SEQ.json"
        set -- "$SWITCHBOARD_ROOM" "$SWITCHBOARD_AUTHOR" "$SWITCHBOARD_TEXT"
        printf '%s' "$*" > "$DIR/$SWITCHBOARD_SEQ.env"
        echo "begin $3"; read go < "$DIR/gate"; echo "end $3"; exit $go"#;
    let script = script.replace("$DIR", folder.path().to_str().unwrap());
    let place = hub.parcels().to_string();
    let mut alice = alice(&hub);
    let tail = ours(&["tail", &place, "--exec", &script]);
    alice.notice(&["joined"]);
    // Far more than fits into what is read at once, or into a variable.
    let long = format!("long {}", "x".repeat(60_000));
    for text in ["one", "two", &long] {
        alice.say(text);
    }
    let many = 3_000;
    for number in 0..many {
        alice.say(&format!("{number} {}", "y".repeat(1_000)));
    }
    let open = |status: &str| fs::write(&gate, format!("{status}\n")).unwrap();
    tail.out.wait_for("begin one\n");
    assert!(!tail.out.text().contains("begin two"), "one at a time");
    open("3");
    tail.err
        .wait_line(&["the program for entry", "failed: exit status: 3"]);
    tail.out.wait_for("end one\nbegin two\n");
    open("0");
    tail.out.wait_for("end two\nbegin long x");
    open("0");
    tail.out.wait_for("begin 0 y");
    drop(gate);
    let read = |suffix: &str| -> Vec<String> {
        let names = testkit::names(folder.path()).into_iter();
        let mut names: Vec<_> = names.filter(|name| name.ends_with(suffix)).collect();
        names.sort_by_key(|name| name.split('.').next().unwrap().parse::<u64>().unwrap());
        let text = |name: &String| fs::read_to_string(folder.path().join(name)).unwrap();
        names.iter().map(text).collect()
    };
    assert_eq!(read(".env")[..2], ["lobby alice one", "lobby alice two"]);
    let json: Value = serde_json::from_str(&read(".json")[2]).unwrap();
    assert_eq!(json["text"], long.as_str());
    assert!(read(".json")[2].ends_with("}\n"));
}

#[test]
fn a_slow_program_loses_nothing_though_the_hub_is_killed_meanwhile() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut hub = Hub::start_in(bin(), &data, &[]);
    let place = hub.parcels().to_string();
    let gate = folder.path().join("gate");
    assert!(Program::run("mkfifo", [&gate]).status.success());
    let script = format!(
        r#"case "$SWITCHBOARD_TEXT" in wait*) echo waits; read go < "{}";; esac
        test "$SWITCHBOARD_KIND" != text || echo "did $SWITCHBOARD_TEXT""#,
        gate.display()
    );
    let mut first = alice(&hub);
    let tail = ours(&["tail", &place, "--exec", &script]);
    first.notice(&["joined"]);
    first.say("wait for it");
    tail.out.wait_for("waits\n");
    hub.kill();
    let hub = Hub::start_in(bin(), &data, &["--parcels", &place]);
    fs::write(&gate, "go\n").unwrap();
    tail.out.wait_for("did wait for it\n");
    tail.err.wait_line(&["following lobby", "again"]);
    let mut second = alice(&hub);
    second.say("and on");
    tail.out.wait_for("did and on\n");
    assert_eq!(tail.out.text().matches("did wait for it").count(), 1);
}

#[test]
fn ctrl_c_ends_it_quietly_and_the_program_that_runs_too() {
    let hub = hub(&[]);
    let place = hub.parcels().to_string();
    let mut silent = tail(&place, &[]);
    silent.interrupt();
    let finished = silent.finish().succeeded();
    assert_eq!(finished.err, "");
    for script in [
        "echo here; exec cat",
        "trap '' TERM; echo here; read x <&-; sleep 600",
    ] {
        let fifo = TempDir::new().unwrap();
        let path = fifo.path().join("never");
        assert!(Program::run("mkfifo", [&path]).status.success());
        let script = script.replace("cat", &format!("cat {}", path.display()));
        let mut busy = ours(&["tail", &place, "--exec", &script]);
        busy.out.wait_for("here\n");
        let asked = Instant::now();
        busy.interrupt();
        let finished = busy.finish().succeeded();
        let is_killed = script.contains("trap");
        assert!(
            !is_killed || asked.elapsed() >= STOP_LIMIT,
            "it has its time"
        );
        assert_eq!(
            finished.err, "",
            "its streams are closed: nothing is left of it"
        );
    }
}

#[test]
fn it_ends_quietly_when_nobody_reads_what_it_shows() {
    let hub = hub(&[]);
    let mut alice = alice(&hub);
    let script = format!("'{}' tail {} | head -n 1", bin().display(), hub.parcels());
    let mut pipe = Program::start("sh", ["-c", &script]);
    alice.notice(&["joined"]);
    pipe.out.wait_line(&["#"]);
    // Until it notices, and leaves.
    alice.say("is anybody there?");
    alice.notice(&["left"]);
    let finished = pipe.finish();
    assert_eq!(finished.err, "");
}

#[test]
fn it_says_why_it_can_not_even_begin() {
    let hub = hub(&["--room-members", "1"]);
    let _member = hub.join();
    let (chat, parcels) = (hub.chat().to_string(), hub.parcels().to_string());
    let nobody = nobody().to_string();
    run(&["tail", &nobody]).failed_with(&[&nobody, "refused", "is a hub running there?"]);
    run(&["tail", &parcels]).failed_with(&["the room lobby is full"]);
    run(&["tail", &chat, "--timeout", "0.2"]).failed_with(&[&chat, "parcel door"]);
    let told = run(&["tail", "udp://127.0.0.1:1"]);
    assert_eq!(told.status.code(), Some(2), "{}", told.err);
    let told = run(&["tail", &parcels, "--json", "--exec", "true"]);
    assert_eq!(told.status.code(), Some(2), "{}", told.err);
}

#[test]
fn it_goes_to_all_doors_that_hubs_have() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("hub.sock");
    let mut doors = vec!["--unix", path.to_str().unwrap()];
    if has_ipv6() {
        doors.extend(["--parcels", "[::1]:0"]);
    }
    let hub = hub(&doors);
    drop(tail(&hub.parcels().to_string(), &[]));
    drop(tail(&format!("unix://{}", path.display()), &[]));
}
