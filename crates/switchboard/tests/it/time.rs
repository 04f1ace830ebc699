//! The time door, and `switchboard time` at other people's.

use std::process::Command;

use tempfile::TempDir;
use testkit::{Hub, Program};

use crate::support::{bin, hub, nobody, python, python_server, run};

/// Every conversion that C has, some twice, with text around them.
const ALL: &str = "%a %A %b %B %c|%C %d %D %e %F %g %G %h %H %I %j %k %l %m %M %n %p %P %r %R \
                   %S %t %T %u %U %V %w %W %x %X %y %Y %z %Z %% 点%H分%M秒 100%%.";

#[test]
fn every_conversion_is_formatted_as_c_does() {
    for zone in [
        "UTC0",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "XYZ+3:30",
        "<+0545>-5:45",
    ] {
        let folder = TempDir::new().unwrap();
        let mut command = Command::new(bin());
        let hub = Hub::start_command(command.env("TZ", zone), folder.path(), &[]);
        // One datagram, so that the seconds and the rest are of one moment.
        let answer = hub.ask_time(format!("%s|{ALL}").as_bytes());
        let answer = String::from_utf8(answer).unwrap();
        let (seconds, formatted) = answer.split_once('|').unwrap();
        assert_eq!(formatted, format_by_c(zone, seconds), "TZ={zone}");
    }
}

fn format_by_c(zone: &str, seconds: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/strftime.py");
    let mut command = Command::new("python3");
    command
        .args([script, ALL])
        .env("TZ", zone)
        .env("LC_ALL", "C.UTF-8");
    let mut python = Program::start_command(&mut command);
    python.say(&format!("{seconds}|"));
    python.end_input();
    let out = python.finish().succeeded().out;
    let text = String::from_utf8(out).unwrap();
    text.strip_suffix('\n').unwrap().to_owned()
}

#[test]
fn an_empty_datagram_means_the_date_and_the_time() {
    let hub = hub(&[]);
    let answer = String::from_utf8(hub.ask_time(b"")).unwrap();
    let shape: String = answer
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    assert_eq!(shape, "9999-99-99 99:99:99");
}

#[test]
fn every_question_is_answered() {
    let hub = hub(&[]);
    assert_eq!(
        hub.ask_time("现在 plain".as_bytes()),
        "现在 plain".as_bytes()
    );
    let odd: [&[u8]; 10] = [
        b"%",
        b"%%%",
        b"%Q",
        b"%!",
        b"%5",
        b"% d",
        b"%\xff",
        b"\xff\xfe",
        b"\0",
        "%图".as_bytes(),
    ];
    for question in odd {
        let answer = hub.ask_time(question);
        assert!(
            !answer.is_empty() && answer.len() <= 1024,
            "{question:?}: {answer:?}"
        );
    }
    assert_eq!(hub.ask_time(b"%%"), b"%");
}

#[test]
fn no_answer_is_longer_than_1024_bytes() {
    let hub = hub(&[]);
    let questions = [
        "%c".repeat(30_000),
        "%n".repeat(2_000),
        "图".repeat(20_000),
        "x".repeat(1_024),
        "x".repeat(1_025),
        "%A".repeat(512),
        format!("{}图", "x".repeat(1_022)),
    ];
    for question in &questions {
        let answer = hub.ask_time(question.as_bytes());
        assert!(
            !answer.is_empty() && answer.len() <= 1024,
            "{} bytes",
            answer.len()
        );
        assert!(String::from_utf8(answer).is_ok(), "cut inside a character");
    }
    assert_eq!(
        hub.ask_time(questions[3].as_bytes()),
        questions[3].as_bytes()
    );
}

#[test]
fn a_python_client_reads_the_time() {
    let hub = hub(&[]);
    let mut client = python(
        "time_client.py",
        &[&hub.time().to_string(), "today: %Y-%m-%d %%"],
    );
    let said = client.finish().succeeded().text();
    assert!(
        said.starts_with("today: 2") && said.ends_with(" %"),
        "{said}"
    );
}

#[test]
fn our_client_reads_our_time() {
    let hub = hub(&[]);
    let place = hub.time().to_string();
    assert_eq!(run(&["time", &place, "%%"]).succeeded().out, b"%\n");
    let now = run(&["time", &place]).succeeded().text();
    assert_eq!(now.len(), "2026-01-02 03:04:05".len(), "{now}");
}

#[test]
fn our_client_reads_a_python_servers_time() {
    let (server, place) = python_server("time_server.py", &[]);
    assert_eq!(
        run(&["time", &place, "hello %%"]).succeeded().text(),
        "hello %"
    );
    server.out.wait_for("asked hello %%");
    let now = run(&["time", &place]).succeeded().text();
    assert_eq!(now.matches(['-', ':']).count(), 4, "{now}");
}

#[test]
fn a_silent_server_is_an_error_that_names_it() {
    let place = nobody().to_string();
    run(&["time", &place]).failed_with(&[&place]);
}

#[test]
fn a_door_that_is_off_is_not_there() {
    let hub = hub(&["--time", "off", "--parcels", "off"]);
    let (mut here, mut there) = (hub.join(), hub.join());
    there.say("just us");
    assert!(here.text().ends_with(":just us"));
}
