//! The programs in `examples/`, as they are.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::has_ipv6;

/// Where an example is; `None`, and a line that says so, where it was not built beside the tests.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let tests = env::current_exe().unwrap();
    let program = tests.parent()?.parent()?.join("examples").join(name);
    if !program.exists() {
        eprintln!("skipped: needs the example {name}, which `cargo test` builds");
        return None;
    }
    Some(program)
}

/// What an example says.
fn run(name: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program(name)?).args(args).output().unwrap();
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
        assert_says(said.clone(), "at an IPv6 socket");
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

/// What an example says where it runs, or that the kernel has no CAN, in words.
fn assert_says_or_has_no_can(said: Option<String>, expected: &str) {
    if let Some(missing) = said.as_ref().filter(|said| said.contains("no AF_CAN")) {
        let errno = berkeley::Errno::EAFNOSUPPORT.to_string();
        assert!(missing.contains(&errno), "{missing}");
    }
    assert_says_or_skips(said, expected);
}

#[test]
fn can_receives_the_frame_that_it_sends() {
    assert_says_or_has_no_can(run("can", &[]), "received 0x123 from ");
}

#[test]
fn can_bcm_tells_when_the_frames_change_that_the_kernel_sends() {
    let said = "0x123 changed to one\n0x123 changed to two\n";
    assert_says_or_has_no_can(run("can_bcm", &[]), said);
}

#[test]
fn control_messages_carry_a_descriptor_that_is_open() {
    let said = run("control_messages", &[]);
    assert_says(said.clone(), "here you are: 1 descriptor");
    assert_says(said, "and it is open");
}

#[test]
fn fixed_length_tells_a_message_from_a_broken_one() {
    let said = run("fixed_length", &[]);
    assert_says(said.clone(), "received 100000 bytes");
    assert_says(
        said,
        "no message: the connection ended after 50000 of 100000 bytes",
    );
}

#[test]
fn lookups_find_this_machine() {
    let said = run("lookups", &["localhost", "http"]);
    assert_says(
        said.clone(),
        "localhost is 127.0.0.1, and http is at port 80",
    );
    assert_says(said, ": lo\n");
}

#[test]
fn reuse_address_makes_the_difference() {
    let said = run("reuse_address", &[]);
    assert_says(said.clone(), "without SO_REUSEADDR: bind 127.0.0.1:");
    assert_says(said, "with SO_REUSEADDR: listening again");
}

#[test]
fn scattered_fills_one_buffer_after_the_other() {
    let said = run("scattered", &[]);
    assert_says(said, "22 bytes\nMary\n01 had a 9\nlittle lamb---\n");
}

#[test]
fn select_loop_knows_who_can_read_and_who_can_write() {
    let said = run("select_loop", &[]);
    assert_says(said.clone(), "ann hears hello\nbob can speak\n");
    assert_says(said, "0 sockets are ready after 0.1 s");
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
