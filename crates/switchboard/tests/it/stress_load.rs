//! Many at once, and for long: L1 to L4 and L10 of the list in CONTRIBUTING.md.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use testkit::{Crowd, Hub, Member, Program, wire};

use crate::support::{amount, bin, hub, is_whole, quiet, room_for_descriptors};

const LIMIT: Duration = Duration::from_secs(120);
/// What a silent member costs of the hub's memory at most, with its part of a room of a hundred: a
/// tenth more than was found.
const MEMBER_BYTES_MAX: u64 = 460;
/// What the log needs besides, most of it for the pages that SQLite keeps of a log of that many
/// entries. There is a limit to those (16 MiB), however many members there are.
const LOG_BYTES_MAX: u64 = 7 << 20;
/// All the pages that SQLite ever keeps of a log.
const LOG_PAGES_BYTES_MAX: u64 = 16 << 20;
/// How long it takes at most until all of a whole crowd are in their rooms.
const ARRIVED_IN: Duration = Duration::from_secs(5);
/// What may still come in after the last that was waited for.
const STRAGGLERS: Duration = Duration::from_millis(200);

/// A connection from one of this machine's other addresses, which have ports of their own.
#[track_caller]
fn connect_by(number: usize, hub: &Hub) -> TcpStream {
    let last = u8::try_from(number % 16).unwrap() + 2;
    wire::connect_from(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), hub.chat()).unwrap()
}

/// Waits until the hub counts so many in the lobby, the asker among them.
#[track_caller]
fn wait_members(asker: &mut Member, crowd: &mut Crowd, count: usize) {
    let end = Instant::now() + LIMIT;
    asker.set_patience(LIMIT);
    loop {
        asker.say("/who");
        crowd.read(Duration::ZERO, |_, _| ());
        if asker
            .notice(&[" here: "])
            .starts_with(&format!("* {count} here"))
        {
            return;
        }
        assert!(Instant::now() < end, "there are not {count}");
    }
}

/// Lets so many in, and each into a room of its number's; all of them are there at the end, and
/// what came of a line that is not whole is kept.
#[track_caller]
fn settle(hub: &Hub, count: usize, room_of: impl Fn(usize) -> usize) -> (Crowd, Lines) {
    let mut crowd = Crowd::default();
    let mut lines = Lines::default();
    let mut there = 0;
    let mut hear = |number: usize, bytes: &[u8]| {
        lines.take(number, bytes, |line| {
            there += usize::from(line.starts_with("* you are now in r"));
        });
        there
    };
    let begun = Instant::now();
    for number in 0..count {
        // At once, so that the lobby is never full of people who tell each other of themselves.
        let mut stream = connect_by(number, hub);
        let line = format!("/join r{}\n", room_of(number));
        stream.write_all(line.as_bytes()).unwrap();
        crowd.add(stream);
        if number % 64 == 63 {
            crowd.read(Duration::ZERO, |number, bytes| {
                hear(number, bytes);
            });
        }
    }
    let mut arrived = 0;
    while arrived < count {
        assert!(begun.elapsed() < LIMIT, "{arrived} of {count} are there");
        crowd.read(LIMIT, |number, bytes| arrived = hear(number, bytes));
    }
    (crowd, lines)
}

#[test]
fn l1_a_silent_crowd_costs_next_to_nothing() {
    silent_crowd("off", 0);
}

#[test]
fn l1_a_silent_crowd_costs_no_more_with_a_log_but_for_its_pages() {
    silent_crowd("on", LOG_BYTES_MAX);
}

/// So many come, and are silent; `besides` is what may be needed however many they are.
#[track_caller]
fn silent_crowd(log: &str, besides: u64) {
    let count = amount(2_000, 19_000);
    let span = amount(Duration::from_secs(2), Duration::from_secs(60));
    if !room_for_descriptors(count + 500) {
        return;
    }
    let places = (count + 100).to_string();
    let hub = hub(&["--quiet", "--connections", &places, "--log", log]);
    let mut asker = Member::connect(hub.chat());
    asker.say("/join aside");
    asker.notice(&["you are now in aside"]);
    let before = hub.memory_bytes();
    let begun = Instant::now();
    // One room after the other: what those who are there are told of the next ones is little then,
    // and not a million lines to one at a time.
    let (mut crowd, _) = settle(&hub, count, |number| number / 100);
    let took = begun.elapsed();
    while crowd.read(STRAGGLERS, |_, _| ()) {}
    assert_eq!(crowd.present(), count, "all stay");
    let (memory, cpu, sleeps) = (hub.memory_bytes(), hub.cpu_time(), hub.sleeps());
    quiet(&mut asker, span);
    let (cpu, sleeps) = (hub.cpu_time() - cpu, hub.sleeps() - sleeps);
    let grown = memory.saturating_sub(before);
    let each = grown / u64::try_from(count).unwrap();
    let most = MEMBER_BYTES_MAX * u64::try_from(count).unwrap() + besides;
    eprintln!(
        "L1, log {log}: {count} members came in within {took:?}; {} KiB in all, {each} B a member; \
         in {span:?} of silence {cpu:?} of processor time and {sleeps} wake-ups",
        memory / 1024
    );
    assert!(!is_whole() || took < ARRIVED_IN, "{took:?}");
    assert!(memory < 200 << 20, "{memory} bytes");
    // Of few, what the hub keeps ready for any number would count too much.
    assert!(!is_whole() || grown <= most, "{grown} bytes of {most}");
    assert!(cpu <= span / 100, "{cpu:?} in {span:?}");
    // None is periodic: once the feeds have been silent for long their memory goes back, which they
    // are looked at for, and the log ends what it has begun.
    assert!(sleeps <= amount(3, 10), "{sleeps} wake-ups");
    assert_eq!(crowd.present(), count, "all stayed");
    asker.say("/who");
    asker.notice(&["1 here: "]);
}

#[test]
fn l2_those_who_come_and_go_leave_nothing_behind() {
    come_and_gone("off", 0);
}

#[test]
fn l2_those_who_come_and_go_leave_nothing_behind_but_pages_of_the_log() {
    come_and_gone("on", LOG_PAGES_BYTES_MAX);
}

/// So many come and go; `besides` is what the hub may keep of that.
#[track_caller]
fn come_and_gone(log: &str, besides: u64) {
    let count = amount(5_000, 200_000);
    let hub = hub(&["--log", log]);
    let mut asker = hub.join();
    let come_and_go = |count: usize| {
        for batch in 0..count / 250 {
            let begin = batch * 250;
            let streams: Vec<TcpStream> = (begin..begin + 250)
                .map(|number| connect_by(number, &hub))
                .collect();
            for (number, mut stream) in streams.into_iter().enumerate() {
                if number % 2 == 0 {
                    wire::reset(stream);
                } else {
                    stream.shutdown(std::net::Shutdown::Write).unwrap();
                    stream.set_read_timeout(Some(LIMIT)).unwrap();
                    wire::wait_closed(&mut stream);
                }
            }
        }
    };
    // From another room: it would have to read of all who come.
    asker.say("/join aside");
    let mut alone = || {
        let end = Instant::now() + LIMIT;
        loop {
            asker.say("/rooms");
            if asker
                .notice(&["aside (1, you are here)"])
                .contains("lobby (0)")
            {
                return;
            }
            assert!(Instant::now() < end, "they are still there");
        }
    };
    // What the hub keeps ready for the next is there after the first.
    come_and_go(count / 5);
    alone();
    let (memory, descriptors) = (hub.memory_bytes(), hub.descriptors());
    let lines = hub.log().text().lines().count();
    let begun = Instant::now();
    come_and_go(count);
    alone();
    let took = begun.elapsed();
    let grown = hub.memory_bytes().saturating_sub(memory);
    let lines = hub.log().text().lines().count() - lines;
    eprintln!(
        "L2, log {log}: {count} came and went in {took:?}: {grown} B more, {lines} lines of the \
         hub's own log, {descriptors} descriptors before, {} after",
        hub.descriptors()
    );
    assert_eq!(hub.descriptors(), descriptors);
    assert!(grown < (4 << 20) + besides, "{grown} bytes more");
    assert!(lines <= 100_000 + 1_000 * usize::try_from(took.as_secs() + 2).unwrap());
}

/// Cuts what members hear into lines.
#[derive(Debug, Default)]
struct Lines(Vec<Vec<u8>>);

impl Lines {
    fn take(&mut self, number: usize, bytes: &[u8], mut each: impl FnMut(&str)) {
        if self.0.len() <= number {
            self.0.resize(number + 1, Vec::new());
        }
        let part = &mut self.0[number];
        part.extend_from_slice(bytes);
        let Some(end) = part.iter().rposition(|byte| *byte == b'\n') else {
            return;
        };
        let rest = part.split_off(end + 1);
        let whole = std::mem::replace(part, rest);
        std::str::from_utf8(&whole)
            .unwrap()
            .lines()
            .for_each(&mut each);
    }
}

#[test]
fn l3_two_thousand_hear_one_sender_in_time() {
    let (members, messages) = amount((200, 50), (2_000, 500));
    const PAUSE: Duration = Duration::from_millis(20);
    if !room_for_descriptors(members + 500) {
        return;
    }
    let hub = hub(&["--quiet"]);
    let mut sender = Member::connect(hub.chat());
    let mut crowd = Crowd::default();
    for number in 0..members {
        crowd.add(connect_by(number, &hub));
        crowd.read(Duration::ZERO, |_, _| ());
    }
    wait_members(&mut sender, &mut crowd, members + 1);
    while crowd.read(STRAGGLERS, |_, _| ()) {}

    let begun = Instant::now();
    let mut lines = Lines::default();
    let mut next = vec![0_usize; members];
    let (mut sent, mut heard) = (0, 0);
    let mut delays: Vec<Duration> = Vec::with_capacity(members * messages);
    while heard < members * messages {
        let due = PAUSE * u32::try_from(sent).unwrap();
        if sent < messages && begun.elapsed() >= due {
            sender.say(&format!("{sent} {}", begun.elapsed().as_micros()));
            sent += 1;
        }
        assert!(begun.elapsed() < LIMIT, "{heard} of {}", members * messages);
        crowd.read(due.saturating_sub(begun.elapsed()), |number, bytes| {
            lines.take(number, bytes, |line| {
                let (_, text) = line.rsplit_once(':').unwrap();
                let (count, at) = text.split_once(' ').unwrap();
                assert_eq!(count.parse(), Ok(next[number]), "at {number}");
                next[number] += 1;
                heard += 1;
                let at = Duration::from_micros(at.parse().unwrap());
                delays.push(begun.elapsed().saturating_sub(at));
            });
        });
    }
    let took = begun.elapsed();
    delays.sort_unstable();
    let p99 = delays[delays.len() * 99 / 100];
    eprintln!(
        "L3: {heard} deliveries to {members} members in {took:?}: p50 {:?}, p99 {p99:?}",
        delays[delays.len() / 2]
    );
    assert!(p99 < Duration::from_millis(250), "p99 {p99:?}");
    assert!(!crowd.read(STRAGGLERS, |_, _| ()), "nothing comes twice");
}

#[test]
fn l4_in_a_hundred_rooms_each_has_one_order() {
    const LINES: usize = 4;
    let (rooms, members) = amount((10, 10), (100, 50));
    let everybody = rooms * (members + 1);
    if !room_for_descriptors(everybody + 500) {
        return;
    }
    for shards in ["1", "2"] {
        let hub = hub(&["--quiet", "--shards", shards]);
        talk_in_rooms(&hub, rooms, members, LINES);
        let mut times: Vec<Duration> = hub
            .cpu_time_of_threads()
            .into_iter()
            .filter(|(name, _)| name == "switchboard" || name.starts_with("shard-"))
            .map(|(_, time)| time)
            .collect();
        times.sort_unstable();
        eprintln!("L4: {shards} shards have used {times:?}");
        // Few connections are not dealt out so evenly.
        let (least, most) = (times[0], times[times.len() - 1]);
        assert!(!is_whole() || most.as_secs_f64() < 1.3 * least.as_secs_f64());
    }
}

/// Each of so many members of each room says so many lines.
#[track_caller]
fn talk_in_rooms(hub: &Hub, rooms: usize, members: usize, each: usize) {
    let everybody = rooms * (members + 1);
    let (mut crowd, mut lines) = settle(hub, everybody, |number| number % rooms);
    let say = |crowd: &Crowd, number: usize, line: &str| {
        let mut stream = crowd.stream(number).unwrap();
        stream.write_all(line.as_bytes()).unwrap();
    };

    // The first of each room only listens, and so hears all that is said in it.
    let expected = rooms * (members * members) * each;
    let mut heard: Vec<Vec<String>> = vec![Vec::new(); everybody];
    let (mut count, begun) = (0, Instant::now());
    let mut next = 0;
    while count < expected {
        assert!(begun.elapsed() < LIMIT, "{count} of {expected} were heard");
        // Some of all rooms at a time, and what they lead to in between.
        for _ in 0..rooms {
            let (line, number) = (next / (rooms * members), rooms + next % (rooms * members));
            if line < each {
                say(
                    &crowd,
                    number,
                    &format!("{} {number} {line}\n", number % rooms),
                );
                next += 1;
            }
        }
        let limit = if next < rooms * members * each {
            Duration::ZERO
        } else {
            LIMIT
        };
        crowd.read(limit, |number, bytes| {
            lines.take(number, bytes, |line| {
                if !line.starts_with("* ") {
                    heard[number].push(line.rsplit_once(':').unwrap().1.to_owned());
                    count += 1;
                }
            });
        });
    }
    let took = begun.elapsed();
    eprintln!("L4: {count} deliveries in {rooms} rooms of {members} in {took:?}");
    for (number, heard_here) in heard.iter().enumerate().skip(rooms) {
        let own = format!("{} {number} ", number % rooms);
        let all = heard[number % rooms].iter();
        let of_others: Vec<&String> = all.filter(|text| !text.starts_with(&own)).collect();
        assert!(
            heard_here.iter().eq(of_others),
            "{number} heard another order"
        );
    }
    let mut of_room: Vec<&String> = heard[..rooms].iter().flatten().collect();
    of_room.sort_unstable();
    of_room.dedup();
    assert_eq!(of_room.len(), rooms * members * each, "each line once");
    assert!(!crowd.read(STRAGGLERS, |_, _| ()), "and no more comes");
}

/// Instructions that one echo and one fan-out cost, as they were last found to be right.
const COSTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/costs.txt");

/// By how many percent a cost may change unnoticed.
const COST_PERCENT: u64 = 2;

/// The instructions of a program from its start to its end, as callgrind counts them.
#[track_caller]
fn instructions(folder: &Path, arguments: &[&str], load: impl FnOnce(&Program)) -> u64 {
    let out = folder.join("callgrind.out");
    let mut command = Command::new("valgrind");
    command
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(bin())
        .args(arguments);
    let mut program = Program::start_command(&mut command);
    program.end_input();
    load(&program);
    program.terminate();
    assert!(program.wait_within(LIMIT).success());
    let profile = std::fs::read_to_string(out).unwrap();
    let line = profile.lines().find(|line| line.starts_with("totals: "));
    line.unwrap()["totals: ".len()..].trim().parse().unwrap()
}

#[track_caller]
fn check_cost(name: &str, cost: u64) {
    let costs = std::fs::read_to_string(COSTS).unwrap();
    let line = costs
        .lines()
        .find(|line| line.split(' ').next() == Some(name));
    let saved: u64 = line.unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    eprintln!("L10: {name}: {cost} instructions, {saved} saved");
    let off = cost.abs_diff(saved) * 100;
    assert!(
        off <= saved * COST_PERCENT,
        "{name} costs {cost} instructions and not {saved}: if that is meant, and for the better \
         of all, write it to crates/switchboard/tests/costs.txt"
    );
}

/// What so many echoes cost with all around them.
#[track_caller]
fn echoes(folder: &Path, rounds: u64) -> u64 {
    let arguments = [
        "listen",
        "tcp://127.0.0.1:0",
        "--echo",
        "--quiet",
        "--mux",
        "epoll",
    ];
    instructions(folder, &arguments, |program| {
        let line = program.err.wait_line_for(LIMIT, &["listening on "]);
        let (_, door) = line.split_once("tcp://").unwrap();
        let mut stream = TcpStream::connect(door.trim()).unwrap();
        let mut back = [0; 64];
        for _ in 0..rounds {
            stream.write_all(&[7; 64]).unwrap();
            stream.read_exact(&mut back).unwrap();
        }
    })
}

/// What so many lines to `members` others cost with all around them.
#[track_caller]
fn fan_outs(folder: &Path, members: u64, rounds: u64) -> u64 {
    let data = TempDir::new().unwrap();
    let data = data.path().to_str().unwrap();
    let doors = ["--chat", "127.0.0.1:0", "--parcels", "off", "--time", "off"];
    let own = [
        "serve", "--quiet", "--mux", "epoll", "--log", "off", "--data", data,
    ];
    instructions(folder, &[&own[..], &doors].concat(), |program| {
        let line = program.out.wait_line_for(LIMIT, &["chat", "tcp://"]);
        let (_, door) = line.split_once("tcp://").unwrap();
        let door = door.trim().parse().unwrap();
        let mut others: Vec<Member> = Vec::new();
        for number in 0..=members {
            // One at a time, so that the same happens each time.
            let mut member = Member::connect(door);
            member.set_patience(LIMIT);
            member.say("/who");
            member.notice(&[&format!("{} here", number + 1)]);
            others.push(member);
        }
        let mut sender = others.pop().unwrap();
        for round in 0..rounds {
            sender.say("a line of some forty characters, as many are");
            for other in &mut others {
                let heard = other.text();
                assert!(heard.ends_with("as many are"), "{round}: {heard}");
            }
        }
    })
}

#[test]
fn l10_echo_and_fan_out_cost_what_they_did() {
    const ROUNDS: u64 = 500;
    if !is_whole() {
        eprintln!("skipped: instructions are counted by `cargo xtask stress` (in release)");
        return;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("skipped: needs valgrind");
        return;
    }
    let folder = TempDir::new().unwrap();
    let each = |cost: &dyn Fn(u64) -> u64| (cost(3 * ROUNDS) - cost(ROUNDS)) / (2 * ROUNDS);
    let costs = [
        ("echo", each(&|rounds| echoes(folder.path(), rounds))),
        (
            "fan-out",
            each(&|rounds| fan_outs(folder.path(), 100, rounds)),
        ),
    ];
    for (name, cost) in costs {
        check_cost(name, cost);
    }
}
