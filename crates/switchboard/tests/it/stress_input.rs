//! What nobody should send: B3 to B7 and B20 of the list in CONTRIBUTING.md, at the doors.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use testkit::{Hub, Member, Random, wire};

use crate::support::{amount, assert_harmless, hub, ours, quiet};

const LIMIT: Duration = Duration::from_secs(60);

/// How long each of some lines takes from one member to another.
#[track_caller]
fn delays(from: &mut Member, to: &mut Member, count: usize) -> Vec<Duration> {
    let mut delays: Vec<Duration> = (0..count)
        .map(|number| {
            let begun = Instant::now();
            from.say(&format!("on time {number}?"));
            while !to.text().ends_with(&format!(":on time {number}?")) {}
            begun.elapsed()
        })
        .collect();
    delays.sort_unstable();
    delays
}

#[test]
fn b3_empty_messages_at_full_speed_hold_nobody_up() {
    let count = amount(50_000, 2_000_000);
    let hub = hub(&["--quiet"]);
    let (mut here, mut there) = (Member::connect(hub.chat()), Member::connect(hub.chat()));
    // Who came last asks: the other one is there then.
    there.say("/who");
    there.notice(&["2 here: "]);
    let empty = wire::message("");
    let floods = [
        (hub.parcels(), empty),
        (hub.chat(), b"\n".to_vec()),
        (hub.chat(), b" \r\n".to_vec()),
    ];
    let floods = floods.map(|(door, unit)| {
        thread::spawn(move || {
            let mut stream = wire::open(door).unwrap();
            stream.set_write_timeout(Some(LIMIT)).unwrap();
            let bundle = unit.repeat(1_000);
            for _ in 0..count / 1_000 {
                stream.write_all(&bundle).unwrap();
            }
        })
    });
    let mut slowest = Duration::ZERO;
    let mut rounds = 0;
    while floods.iter().any(|flood| !flood.is_finished()) || rounds == 0 {
        slowest = slowest.max(delays(&mut here, &mut there, 20)[18]);
        rounds += 1;
    }
    floods.into_iter().for_each(|flood| flood.join().unwrap());
    let memory = hub.memory_bytes();
    eprintln!("B3: 3 floods of {count}: {memory} B of memory, p95 {slowest:?}");
    assert!(slowest < Duration::from_millis(250), "{slowest:?}");
    assert!(memory < 100 << 20, "{memory} bytes");
    // A header of no bytes says nothing that could be understood: it ends the conversation.
    let mut stream = wire::open(hub.parcels()).unwrap();
    stream.write_all(&wire::frame(b"").repeat(1_000)).ok();
    assert_eq!(wire::wait_closed(&mut stream), b"");
}

#[test]
fn b3_empty_messages_above_the_rate_wait_and_cost_next_to_nothing() {
    let hub = hub(&["--quiet", "--messages-per-second", "1000"]);
    let (mut here, mut there) = (Member::connect(hub.chat()), Member::connect(hub.chat()));
    // Who came last asks: the other one is there then.
    there.say("/who");
    there.notice(&["2 here: "]);
    let floods = [
        (hub.parcels(), wire::message("")),
        (hub.chat(), b"\n".to_vec()),
    ];
    let floods = floods.map(|(door, unit)| {
        thread::spawn(move || {
            let mut stream = wire::open(door).unwrap();
            stream.set_write_timeout(Some(LIMIT)).unwrap();
            let bundle = unit.repeat(1_000);
            // Until the hub has gone.
            let count = (0..).take_while(|_| stream.write_all(&bundle).is_ok());
            count.count()
        })
    });
    // Both have used up what they may send at once by the end of this.
    let slowest = delays(&mut here, &mut there, 20)[18];
    let cpu = hub.cpu_time();
    quiet(&mut here, Duration::from_secs(1));
    let cpu = hub.cpu_time() - cpu;
    let memory = hub.memory_bytes();
    drop(hub);
    let bundles = floods.map(|flood| flood.join().unwrap());
    eprintln!(
        "B3 at 1,000 a second: {cpu:?} of processor time in a second, {memory} B of memory, \
         p95 {slowest:?}; {bundles:?} thousands were sent"
    );
    assert!(cpu < Duration::from_millis(100), "{cpu:?}");
    assert!(slowest < Duration::from_millis(250), "{slowest:?}");
    assert!(memory < 100 << 20, "{memory} bytes");
}

/// The answers at the parcel door, and whether the end was in good order.
#[track_caller]
fn converse(hub: &Hub, bytes: &[u8]) -> (String, bool) {
    let mut stream = wire::open(hub.parcels()).unwrap();
    // The hub may have cut it at an earlier byte.
    stream.write_all(bytes).ok();
    let (mut answers, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (String::from_utf8_lossy(&answers).into_owned(), true),
            Ok(len) => answers.extend_from_slice(&buffer[..len]),
            Err(error) => {
                let kind = error.kind();
                assert_eq!(
                    kind,
                    std::io::ErrorKind::ConnectionReset,
                    "no answer, no end"
                );
                return (String::from_utf8_lossy(&answers).into_owned(), false);
            }
        }
    }
}

/// The extension by which a parcel's sender is answered.
const ACK: &str = r#""sb":{"v":2,"want":["ack"]}"#;

fn parcel(header: impl AsRef<str>) -> Vec<u8> {
    [wire::frame(header.as_ref().as_bytes()), wire::frame(b"x")].concat()
}

/// A message, what its answer has in it, and whether the conversation may end in good order.
fn messages() -> Vec<(Vec<u8>, &'static str, bool)> {
    vec![
        (
            parcel(format!(r#"{{"msg_type":"msg",{ACK}}}"#)),
            "\"ack\"",
            true,
        ),
        (parcel(r#"{"msg_type":"msg"}"#), "", true),
        (
            parcel(format!(r#"{{"msg_type":"file","file_name":"a",{ACK}}}"#)),
            "\"ack\"",
            true,
        ),
        (
            parcel(format!(r#"{{"msg_type":"file",{ACK}}}"#)),
            "\"refused\"",
            false,
        ),
        (
            parcel(format!(r#"{{"msg_type":"dance",{ACK}}}"#)),
            "\"refused\"",
            false,
        ),
        (
            parcel(format!(r#"{{"msg_type":7,{ACK}}}"#)),
            "\"refused\"",
            false,
        ),
        (
            parcel(format!(r#"{{"msg_type":"msg","room":"a b",{ACK}}}"#)),
            "\"refused\"",
            false,
        ),
        (
            parcel(format!(r#"{{"msg_type":"msg","from":"hub",{ACK}}}"#)),
            "\"refused\"",
            false,
        ),
        (
            parcel(format!(r#"{{"msg_type":"msg","reply_to":0,{ACK}}}"#)),
            "\"refused\"",
            false,
        ),
        (
            parcel(format!(r#"{{"msg_type":"msg","id":"",{ACK}}}"#)),
            "\"refused\"",
            false,
        ),
        (
            parcel(r#"{"msg_type":"msg","sb":{"v":3,"want":["ack"]}}"#),
            "",
            true,
        ),
        (parcel(r#"{"msg_type":"msg","sb":{"v":"2"}}"#), "", false),
        (parcel(r#"{"msg_type":"msg","sb":[]}"#), "", false),
        (parcel(r#"{"msg_type":"join","room":"cellar"}"#), "", false),
        (parcel("{}"), "", false),
        (parcel("[]"), "", false),
        (parcel("{"), "", false),
        (parcel(String::new()), "", false),
        ((-1_i32).to_le_bytes().to_vec(), "", false),
        (0x7fff_ffff_u32.to_le_bytes().to_vec(), "", false),
        (0xffff_ffff_u32.to_le_bytes().to_vec(), "", false),
        (65_536_i32.to_le_bytes().to_vec(), "", false),
        (wire::close(), "", true),
    ]
}

#[test]
fn b4_each_message_has_its_answer_in_each_state() {
    let hub = hub(&["--keep-room", "cellar"]);
    let states = [
        (Vec::new(), true),
        (wire::message("before it"), true),
        (wire::file("before.bin", &[1; 5_000]), true),
        (parcel(r#"{"msg_type":"msg","room":"cellar"}"#), true),
        (parcel(r#"{"msg_type":"dance"}"#), false),
    ];
    for (state, (before, was_good)) in states.iter().enumerate() {
        for (number, (message, answer, is_good)) in messages().iter().enumerate() {
            let bytes = [before.as_slice(), message, &wire::close()].concat();
            let (answers, ended_well) = converse(&hub, &bytes);
            let what = format!("message {number} in state {state}: {answers}");
            assert_eq!(answers.is_empty(), answer.is_empty(), "{what}");
            assert!(answers.contains(answer), "{what}");
            assert_eq!(ended_well, *was_good && *is_good, "{what}");
        }
    }
    hub.serves();
}

/// What is no UTF-8: overlong, surrogates, cut short, beyond the last character, bare bytes.
const NOT_UTF8: [&[u8]; 10] = [
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xed\xa0\x80",
    b"\xed\xb0\x80",
    b"\xe5\x9b",
    b"\xf4\x90\x80\x80",
    b"\x80",
    b"\xff",
    b"\xfe\xfe\xff\xff",
];

#[test]
fn b5_what_is_no_utf_8_is_refused_at_both_doors() {
    let hub = hub(&[]);
    let (mut watcher, mut sender) = (hub.join(), hub.join());
    for bytes in NOT_UTF8 {
        for text in [bytes.to_vec(), [b"a", bytes, b"b"].concat()] {
            sender.send(&[&text[..], b"\n"].concat());
            sender.notice(&["not UTF-8"]);
            let parcel = [wire::frame(br#"{"msg_type":"msg"}"#), wire::frame(&text)].concat();
            let (answers, is_good) = converse(&hub, &[parcel, wire::close()].concat());
            assert_eq!((answers.as_str(), is_good), ("", false), "{text:?}");
            let header = [b"{\"msg_type\":\"", &text[..], b"\"}"].concat();
            let parcel = [wire::frame(&header), wire::frame(b"x")].concat();
            assert_eq!(converse(&hub, &parcel), (String::new(), false), "{text:?}");
        }
    }
    sender.say("all of it was refused");
    assert!(watcher.text().ends_with(":all of it was refused"));
}

#[test]
fn b6_no_terminal_is_commanded_from_afar() {
    let hub = hub(&[]);
    let (mut watcher, mut sender) = (hub.join(), hub.join());
    watcher.notice(&[&sender.address().to_string(), "joined"]);
    let mut client = ours(&["chat", &hub.chat().to_string()]);
    watcher.notice(&["joined"]);
    let marks = "a".to_owned() + &"\u{301}".repeat(10_000);
    let evil = [
        "\u{1b}[31mred\u{1b}[0m",
        "\u{1b}]0;title\u{7}",
        "\u{1b}]52;c;aGk=\u{7}",
        "\u{1b}]8;;http://a.example\u{1b}\\link\u{1b}]8;;\u{1b}\\",
        "\u{9b}31mred \u{90}x\u{9c} \u{85}",
        "one\rtwo\u{8}\u{8}\u{7f}",
        "nul\0bell\u{7}",
        "\u{2028}line\u{2029}",
        &marks,
    ];
    for (number, text) in evil.iter().enumerate() {
        sender.say(text);
        let parcel = [wire::message(text), wire::close()].concat();
        assert_eq!(hub.upload(&parcel).unwrap(), b"");
        sender.say(&format!("end {number}"));
        loop {
            let heard = watcher.line().unwrap();
            assert_harmless(&heard);
            if heard.ends_with(&format!(":end {number}")) {
                break;
            }
        }
        client.out.wait_line(&[&format!("end {number}")]);
    }
    sender.say("/nick \u{1b}[2Jme");
    assert_harmless(&sender.notice(&["nick"]));
    client.end_input();
    client.finish();
    assert_harmless(&client.out.text());
    assert_harmless(&hub.log().text());
}

#[test]
fn b7_nobody_looks_like_somebody_else() {
    let hub = hub(&[]);
    let (mut alice, mut other) = (hub.join(), hub.join());
    alice.say("/nick alice");
    alice.notice(&["you are now alice"]);
    let tricks = [
        "alice",
        "ALICE",
        "Ａlice",
        "\u{430}lice",
        "al\u{200b}ice",
        "alice\u{202e}",
        "a1ice",
        "alic\u{435}",
        "alice\u{fe0f}",
        "\u{2066}alice",
        "hub",
        "HUB",
        "h\u{fe0f}ub",
        "*",
        "* alice",
        "admin",
        "Admin",
        "\u{430}dmin",
        "root",
        "server",
        "system",
        "everyone",
        "here",
        "",
        "127.0.0.1:80",
        "a b",
        "a:b",
        "/quit",
        "\u{301}",
        "\u{3164}",
        "\u{115f}",
    ];
    for trick in tricks {
        other.say(&format!("/nick {trick}"));
        let answer = other.notice(&[]);
        assert!(!answer.contains("you are now"), "{trick:?}: {answer}");
    }
    other.say("/who");
    let who = other.notice(&["2 here: "]);
    assert!(
        who.contains("alice") && who.contains(&other.address().to_string()),
        "{who}"
    );
    other.say("/nick 李雷");
    other.notice(&["you are now 李雷"]);
}

/// What comes back until the hub closes, and how long that takes.
#[track_caller]
fn until_closed(door: SocketAddr, bytes: &[u8]) -> (Vec<u8>, Duration) {
    let begun = Instant::now();
    let mut stream: TcpStream = wire::open(door).unwrap();
    stream.write_all(bytes).ok();
    (wire::wait_closed(&mut stream), begun.elapsed())
}

#[test]
fn b20_who_takes_the_wrong_door_is_told_in_a_line_at_most() {
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let hello = [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        &Random::new(3).bytes(506),
    ]
    .concat();
    let others: [(&str, &[u8]); 7] = [
        ("TLS", &hello),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"),
        (
            "HTTP",
            b"POST /x HTTP/1.0\r\nContent-Length: 9\r\n\r\n/nick bob",
        ),
        ("HTTP", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n"),
        ("SMTP", b"EHLO a.example\r\nMAIL FROM:<a@a.example>\r\n"),
        ("SMTP", b"HELO a.example\r\n"),
    ];
    for (protocol, bytes) in others {
        let (answer, took) = until_closed(hub.chat(), bytes);
        let answer = String::from_utf8(answer).unwrap();
        let lines: Vec<&str> = answer
            .lines()
            .filter(|line| !line.contains("joined"))
            .collect();
        // Where more has come than was read, a reset may overtake the line.
        assert!(lines.len() <= 1, "{lines:?}");
        assert!(
            lines.iter().all(|line| line.contains(protocol)),
            "{lines:?}"
        );
        assert!(took < Duration::from_secs(1), "{protocol}: {took:?}");
        let (answer, took) = until_closed(hub.parcels(), bytes);
        assert_eq!(answer, b"", "{protocol}");
        assert!(took < Duration::from_secs(1), "{protocol}: {took:?}");
    }
    // Nothing of it was said in the room, or done.
    let mut sender = hub.join();
    sender.say("GET me a coffee");
    assert!(watcher.text().ends_with(":GET me a coffee"));
    sender.say("GET / HTTP/1.1");
    assert!(
        watcher.text().ends_with(":GET / HTTP/1.1"),
        "behind a first line it is a line"
    );
    sender.say("/who");
    sender.notice(&["2 here: "]);
    // Random bytes: at the parcel door nearly every beginning is too long a frame.
    let mut random = Random::new(4);
    for _ in 0..amount(20, 1_000) {
        let mut bytes = random.bytes(64);
        bytes[3] |= 1;
        let (answer, took) = until_closed(hub.parcels(), &bytes);
        assert_eq!(answer, b"");
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    hub.serves();
}
