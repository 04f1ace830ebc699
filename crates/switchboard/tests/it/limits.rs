//! Each limit: what happens at it, that it is told in the log, and that nobody else suffers.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use switchboard_hub::limits::{DESCRIPTORS_RESERVED, LOGGED_TEXT_CHARS_MAX};
use tempfile::TempDir;
use testkit::{Hub, Member, Program, names, wire};

use crate::support::{bin, hub, quiet, run};

/// That a connection of this door is closed by the hub, which says why in its log.
#[track_caller]
fn refused(hub: &Hub, bytes: &[u8], reasons: &[&str]) {
    let mut stream = wire::open(hub.parcels()).unwrap();
    let sender = stream.local_addr().unwrap().to_string();
    // The hub may close before it has all; what matters is what it says.
    stream.write_all(bytes).ok();
    assert_eq!(wire::wait_closed(&mut stream), b"");
    hub.log().wait_line(&[&[sender.as_str()], reasons].concat());
}

#[test]
fn an_overlong_line_is_told_to_its_sender_and_reaches_nobody() {
    let hub = hub(&["--max-line", "100"]);
    let (mut watcher, mut sender) = (hub.join(), hub.join());
    sender.say(&"a".repeat(100));
    assert!(watcher.text().ends_with(&format!(":{}", "a".repeat(100))));
    for len in [101, 1_000, 500_000] {
        sender.say(&"b".repeat(len));
        sender.notice(&["100"]);
    }
    sender.say("short again");
    assert_eq!(watcher.text(), format!("{}:short again", sender.address()));
}

#[test]
fn a_connection_may_send_so_many_messages_a_second_and_the_others_come_later() {
    let hub = hub(&["--messages-per-second", "20"]);
    let (mut watcher, mut sender) = (hub.join(), hub.join());
    let begun = Instant::now();
    let lines: String = (1..=30).map(|number| format!("{number}\n")).collect();
    sender.send(lines.as_bytes());
    for number in 1..=30 {
        let line = format!("{}:{number}", sender.address());
        assert_eq!(watcher.text(), line);
    }
    // The first twenty may come at once.
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(500), "{took:?}");
    for wrong in ["0", "1000001", "-1", "many"] {
        let rate = format!("--messages-per-second={wrong}");
        let refused = run(&["serve", &rate]);
        assert_eq!(refused.status.code(), Some(2), "{}", refused.err);
        assert!(refused.err.contains("from 1 to 1000000"), "{}", refused.err);
    }
}

#[test]
fn a_line_may_have_65536_bytes_and_no_more() {
    let hub = hub(&[]);
    let (mut watcher, mut sender) = (hub.join(), hub.join());
    let longest = "x".repeat(65_536);
    sender.say(&longest);
    assert_eq!(watcher.text(), format!("{}:{longest}", sender.address()));
    sender.say(&"y".repeat(65_537));
    sender.notice(&["65536"]);
    sender.say("z");
    assert_eq!(watcher.text(), format!("{}:z", sender.address()));
}

#[test]
fn a_length_that_is_negative_or_too_large_ends_that_connection_alone() {
    let hub = hub(&[]);
    let (mut watcher, mut sender) = (hub.join(), hub.join());
    let header = wire::frame(br#"{"msg_type":"msg"}"#);
    for len in [-1, i32::MIN, 65_536, i32::MAX] {
        refused(&hub, &len.to_le_bytes(), &[]);
    }
    for len in [-1, i32::MIN, (1 << 20) + 1, i32::MAX] {
        refused(&hub, &[header.as_slice(), &len.to_le_bytes()].concat(), &[]);
    }
    refused(
        &hub,
        &[wire::file_header("a"), (-1_i32).to_le_bytes().to_vec()].concat(),
        &[],
    );
    sender.say("nobody else noticed");
    assert!(watcher.text().ends_with(":nobody else noticed"));
    assert_eq!(names(&hub.files()), [""; 0]);
}

#[test]
fn a_header_may_have_65535_bytes() {
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let mut header = br#"{"msg_type":"msg"}"#.to_vec();
    header.resize(65_535, b' ');
    let parcel = [wire::frame(&header), wire::frame(b"padded"), wire::close()].concat();
    assert_eq!(hub.upload(&parcel).unwrap(), b"");
    assert!(watcher.text().ends_with(":padded"));
}

#[test]
fn a_message_has_a_largest_size() {
    let hub = hub(&["--max-message", "10"]);
    let mut watcher = hub.join();
    refused(&hub, &wire::message("eleven byte"), &["11", "10"]);
    assert_eq!(hub.upload(&wire::message("just ten b")).unwrap(), b"");
    assert!(watcher.text().ends_with(":just ten b"));
}

#[test]
fn a_file_has_a_largest_size() {
    let hub = hub(&["--max-file", "1000"]);
    let mut watcher = hub.join();
    refused(&hub, &wire::file("large", &[0; 1001]), &["1001", "1000"]);
    assert_eq!(hub.upload(&wire::file("fits", &[0; 1000])).unwrap(), b"");
    watcher.notice(&["fits"]);
    assert_eq!(names(&hub.files()), ["fits"]);
}

#[test]
fn a_megabyte_of_message_arrives() {
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let text = "m".repeat(1 << 20);
    assert_eq!(hub.upload(&wire::message(&text)).unwrap(), b"");
    assert!(watcher.text().ends_with(&text));
}

#[test]
fn connections_are_counted() {
    let hub = hub(&["--connections", "2"]);
    let (mut first, mut second) = (hub.join(), hub.join());
    let mut third = Member::connect(hub.chat());
    let address = third.address().to_string();
    third.rest();
    hub.log().wait_line(&[&address, "connections"]);
    second.say("we are two");
    assert!(first.text().ends_with(":we are two"));
    let gone = second.address().to_string();
    drop(second);
    first.notice(&[&gone]);
    hub.join().say("in their place");
    assert!(first.text().ends_with(":in their place"));
}

#[test]
fn connections_of_one_address_are_counted() {
    let hub = hub(&["--connections-per-address", "1"]);
    let mut first = hub.join();
    let mut second = Member::connect(hub.chat());
    let address = second.address().to_string();
    second.rest();
    hub.log().wait_line(&[&address, "address"]);
    let mut other = hub.join_from(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));
    other.say("from elsewhere");
    assert!(first.text().ends_with(":from elsewhere"));
}

#[test]
fn a_silent_member_is_sent_home() {
    let hub = hub(&["--chat-idle", "1"]);
    let mut silent = hub.join();
    let address = silent.address().to_string();
    silent.rest();
    hub.log().wait_line(&[&address, "idle"]);
    hub.serves();
}

#[test]
fn a_silent_sender_of_parcels_is_sent_home() {
    let hub = hub(&["--parcel-idle", "1"]);
    let mut watcher = hub.join();
    refused(&hub, b"", &["idle"]);
    refused(&hub, &wire::message("and then nothing"), &["idle"]);
    assert!(watcher.text().ends_with(":and then nothing"));
}

#[test]
fn a_frame_that_is_begun_has_to_be_finished() {
    let hub = hub(&["--frame-time", "1"]);
    let begun = Instant::now();
    refused(&hub, &wire::frame(b"a header")[..6], &[]);
    refused(&hub, &wire::file("slow", &[0; 100])[..90], &[]);
    assert!(
        begun.elapsed() >= Duration::from_secs(2),
        "not even the second allowed"
    );
    assert_eq!(names(&hub.files()), [""; 0]);
    hub.serves();
}

#[test]
fn a_member_that_stops_reading_is_dropped_and_slows_nobody() {
    let hub = hub(&["--outbox-time", "1"]);
    let (mut talker, mut reader, slow) = (hub.join(), hub.join(), hub.join());
    let address = slow.address().to_string();
    let line = "s".repeat(32_768);
    let begun = Instant::now();
    let dropped = (0..).any(|_| {
        let is_late = begun.elapsed() > Duration::from_secs(60);
        assert!(!is_late, "it is still a member");
        talker.say(&line);
        // One line at a time: the reader keeps up, so that only the other one can fall behind.
        loop {
            let heard = reader.line().unwrap();
            if heard.ends_with(&line) {
                return false;
            }
            if heard.starts_with("* ") && heard.contains(&address) && !heard.contains("join") {
                return true;
            }
        }
    });
    assert!(dropped && begun.elapsed() >= Duration::from_secs(1));
    hub.log().wait_line(&[&address, "took nothing"]);
    assert!(
        hub.memory_bytes() < 100 << 20,
        "{} bytes of memory",
        hub.memory_bytes()
    );
    talker.say("on we go");
    while !reader.text().ends_with(":on we go") {}
    drop(slow);
}

#[test]
fn a_burst_of_short_lines_costs_nobody_who_reads_the_place() {
    const LINES: usize = 300_000;
    let hub = hub(&["--quiet"]);
    let reader = wire::open(hub.chat()).unwrap();
    let mut talker = wire::open(hub.chat()).unwrap();
    let heard = thread::spawn(move || {
        let lines = BufReader::new(reader).lines().map_while(Result::ok);
        lines
            .filter(|line| line.ends_with(":a"))
            .take(LINES)
            .count()
    });
    talker.write_all(&b"a\n".repeat(LINES)).unwrap();
    assert_eq!(heard.join().unwrap(), LINES);
}

#[test]
fn running_out_of_descriptors_neither_spins_nor_kills() {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""])
        .arg(bin());
    let hub = Hub::start_command(&mut command, &folder.path().join("data"), &[]);
    let (mut here, mut there) = (hub.join(), hub.join());
    let limit = Duration::from_millis(200);
    let crowd: Vec<TcpStream> = (0..200)
        .filter_map(|_| TcpStream::connect_timeout(&hub.chat(), limit).ok())
        .collect();
    assert!(crowd.len() >= 64, "only {} connected", crowd.len());
    // Who is in still talks; joinings of the others may come in between.
    there.say("who let them in?");
    while here.text() != format!("{}:who let them in?", there.address()) {}
    let before = hub.cpu_time();
    quiet(&mut there, Duration::from_secs(1));
    let used = hub.cpu_time().saturating_sub(before);
    assert!(
        used < Duration::from_millis(300),
        "{used:?} of processor time in a quiet second"
    );
    drop(crowd);
    drop((here, there));
    // Who of the crowd still waits at the door is let in, and found gone, before anybody else.
    let begun = Instant::now();
    let is_let_in = |mut stream: TcpStream| {
        let told = stream.write_all(b"/who\n");
        let line = told.and_then(|()| BufReader::new(stream).lines().next().transpose());
        line.is_ok_and(|line| line.is_some_and(|line| !line.contains("full")))
    };
    while !wire::open(hub.chat()).is_ok_and(is_let_in) {
        assert!(begun.elapsed() < Duration::from_secs(30), "still full");
    }
    hub.serves();
}

#[test]
fn a_limit_that_is_no_number_is_refused_before_a_door_opens() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    for flag in [
        "--connections",
        "--max-line",
        "--outbox",
        "--outbox-time",
        "--frame-time",
        "--max-file",
    ] {
        for value in ["x", "-1", "99999999999999999999999"] {
            let told = run(&[
                "serve",
                "--data",
                data.to_str().unwrap(),
                &format!("{flag}={value}"),
            ]);
            assert!(
                !told.status.success() && told.err.contains(flag),
                "{flag}: {}",
                told.err
            );
            assert_eq!(told.text(), "");
        }
    }
    assert!(!data.exists());
}

#[test]
fn the_log_shows_two_hundred_characters_of_a_message() {
    let max = LOGGED_TEXT_CHARS_MAX;
    assert_eq!(max, 200);
    let hub = hub(&[]);
    let mut sender = hub.join();
    for (letter, len) in [
        ("图", max - 1),
        ("片", max),
        ("早", max + 1),
        ("上", 20_000),
    ] {
        let text = letter.repeat(len);
        sender.say(&text);
        let line = hub.log().wait_line(&[letter]);
        assert_eq!(line.matches(letter).count(), len.min(max));
        assert_eq!(line.ends_with(letter), len <= max, "{line}");
    }
}

/// Lines of the log that wait to be written.
const LOG_LINES_MAX: usize = 32_768;

#[test]
fn a_log_that_nobody_reads_keeps_so_many_lines_and_counts_the_rest() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log");
    assert!(Program::run("mkfifo", [&log]).status.success());
    // It is open for both, so that the hub's side does not wait for a reader.
    let mut reader = fs::File::options();
    let reader = reader.read(true).write(true).open(&log).unwrap();
    let mut command = Command::new("sh");
    let script = "exec \"$0\" \"$@\" 2> \"$LOG\"";
    command.args(["-c", script]).arg(bin()).env("LOG", &log);
    let mut hub = Hub::start_command(&mut command, &folder.path().join("data"), &[]);
    let mut member = Member::connect(hub.chat());
    let said = LOG_LINES_MAX + 10_000;
    member.send("a line\n".repeat(said).as_bytes());
    member.say("/who");
    member.notice(&[" here: "]);
    let text = thread::spawn(move || {
        let lines = BufReader::new(reader).lines().map(Result::unwrap);
        let until_end = lines.take_while(|line| !line.ends_with(" stopped"));
        until_end.collect::<Vec<String>>()
    });
    assert!(hub.stop().success());
    let lines = text.join().unwrap();
    let kept = lines.iter().filter(|line| line.ends_with("a line")).count();
    let told = lines
        .iter()
        .find(|line| line.contains("the log is not whole"));
    let lost: usize = told
        .unwrap()
        .split(' ')
        .find_map(|it| it.parse().ok())
        .unwrap();
    // Some hundreds more fit into the pipe.
    assert!(
        (LOG_LINES_MAX..LOG_LINES_MAX + 5_000).contains(&kept),
        "{kept}"
    );
    assert!(
        kept + lost >= said && kept + lost < said + 10,
        "{kept} + {lost}"
    );
}

#[test]
fn some_descriptors_stay_free_of_connections() {
    // A quarter of them where there are so few.
    for (descriptors, connections) in [(200, 150), (300, 300 - DESCRIPTORS_RESERVED)] {
        let folder = TempDir::new().unwrap();
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"");
        command.args(["-c", &script]).arg(bin());
        let hub = Hub::start_command(&mut command, &folder.path().join("data"), &[]);
        let inside: Vec<Member> = (0..connections)
            .map(|_| {
                let mut member = Member::connect(hub.chat());
                member.say("/who");
                member.notice(&[" here: "]);
                member
            })
            .collect();
        assert_eq!(inside.len(), connections, "of {descriptors} descriptors");
        let mut late = Member::connect(hub.chat());
        late.notice(&[&format!("the hub is full: {connections} connections")]);
        assert_eq!(late.line(), None);
    }
}
