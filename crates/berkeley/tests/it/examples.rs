//! The programs in `examples/`, as they are.

use std::env;
use std::fs;
use std::process::Command;

use crate::support::has_ipv6;

/// What an example says; `None`, and a line that says so, where it was not built beside the tests.
fn run(name: &str, args: &[&str]) -> Option<String> {
    let tests = env::current_exe().unwrap();
    let program = tests.parent()?.parent()?.join("examples").join(name);
    if !program.exists() {
        eprintln!("skipped: needs the example {name}, which `cargo test` builds");
        return None;
    }
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

fn assert_says(said: Option<String>, expected: &str) {
    if let Some(said) = said {
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn echo_speaks_both_families() {
    let answer = "received \"Hello, world\"";
    assert_says(run("echo", &["127.0.0.1:0"]), answer);
    if has_ipv6() {
        assert_says(run("echo", &["[::1]:0"]), answer);
        let said = run("echo", &["*:0"]);
        assert_says(said.clone(), "called by 127.0.0.1:");
        assert_says(said.clone(), "(Family::INET6)");
        assert_says(said, answer);
    }
}

#[test]
fn file_server_sends_a_file_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (name, copy) = (folder.path().join("a"), folder.path().join("b"));
    fs::write(&name, crate::sendfile::pattern(3_000_000)).unwrap();
    let paths = [name.to_str().unwrap(), copy.to_str().unwrap()];
    if let Some(said) = run("file_server", &paths) {
        assert!(said.contains("sent 3000000 bytes"), "{said}");
        assert!(said.contains("received 3000000 bytes"), "{said}");
        assert!(fs::read(name).unwrap() == fs::read(copy).unwrap());
    }
}

#[test]
fn unix_chat_lets_everybody_hear_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat");
    if let Some(said) = run("unix_chat", &[path.to_str().unwrap()]) {
        assert_eq!(said.lines().count(), 6, "{said}");
        assert!(said.contains("ann hears eve: hello"), "{said}");
        assert!(!said.contains("ann hears ann"), "{said}");
    }
}

#[test]
fn time_limit_ends_in_time() {
    assert_says(run("time_limit", &[]), "gave up after 0.2 s");
}

/// As [`assert_says`], for what not every machine can: then the example tells why, in one line.
fn assert_says_or_skips(said: Option<String>, expected: &str) {
    match said {
        Some(said) if said.starts_with("skipped: needs ") => eprint!("{said}"),
        said => assert_says(said, expected),
    }
}

#[test]
fn packet_capture_sees_what_passes_the_loopback() {
    let said = run("packet_capture", &[]);
    assert_says_or_skips(said, "captured \"a datagram that will be seen\"");
}

#[test]
fn can_receives_the_frame_that_it_sends() {
    assert_says_or_skips(run("can", &[]), "received 0x123 from ");
}

#[test]
fn descriptor_passing_gives_away_both() {
    let said = run("descriptor_passing", &[]);
    assert_says(said.clone(), "received 2 descriptors for ann,bob");
    assert_says(said.clone(), "ann hears \"hello ann\"");
    assert_says(said, "bob hears \"hello bob\"");
}

#[test]
fn multicast_chat_lets_everybody_hear_the_others() {
    if let Some(said) = run("multicast_chat", &[]) {
        assert_eq!(said.lines().count(), 6, "{said}");
        assert!(said.contains("ann hears eve: hello"), "{said}");
        assert!(!said.contains("ann hears ann"), "{said}");
    }
}

#[test]
fn udp_echo_speaks_both_families() {
    let last = "received \"three\"";
    assert_says(run("udp_echo", &["127.0.0.1:0"]), last);
    if has_ipv6() {
        assert_says(run("udp_echo", &["[::1]:0"]), last);
    }
}

#[test]
fn selector_server_serves_all_by_each_back_end() {
    for backend in ["select", "poll", "epoll"] {
        if let Some(said) = run("selector_server", &[backend]) {
            let served = format!("served 3 callers by {backend}");
            assert!(said.contains(&served), "{said}");
            assert_eq!(said.matches("has 300000 bytes back").count(), 3, "{said}");
        }
    }
}

#[test]
fn cost_makes_each_call_both_ways() {
    for side in ["ours", "bare"] {
        for operation in [
            "send",
            "recv",
            "accept",
            "sendmsg",
            "recvmsg",
            "send_to",
            "recv_from",
        ] {
            for mode in ["blocking", "non-blocking"] {
                let said = run("cost", &[side, operation, mode]);
                assert_says(said, "100 calls succeeded");
            }
        }
    }
}
