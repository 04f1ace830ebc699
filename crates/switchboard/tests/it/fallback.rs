//! Where io_uring is forbidden, everything works with epoll, and says so in one line.

use std::path::Path;
use std::process::Command;

use testkit::{Hub, Program, wire};

use crate::support::{address, bin, listening};

/// What a filter answers that forbids io_uring: EPERM as Docker's and ENOSYS as other sandboxes'.
const ERRNOS: [&str; 2] = ["1", "38"];

/// A command line that begins with our binary, without io_uring.
fn forbidden(errno: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/without_io_uring.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(errno).arg(bin());
    command
}

/// Whether there can be such filters here; says so where there cannot.
fn can_forbid() -> bool {
    let status = forbidden("1").arg("--version").output().unwrap().status;
    if status.code() == Some(77) {
        eprintln!("skipped: needs seccomp filters");
        return false;
    }
    assert!(status.success());
    true
}

/// Asserts that there is one line about it, which is about epoll too.
#[track_caller]
fn assert_told_once(log: &str) {
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("io_uring") || line.contains("epoll"))
        .collect();
    assert!(
        lines.len() == 1 && lines[0].contains("io_uring") && lines[0].contains("epoll"),
        "{log}"
    );
}

#[test]
fn a_hub_without_io_uring_serves_by_epoll_and_logs_one_line() {
    if !can_forbid() {
        return;
    }
    for errno in ERRNOS {
        let own = tempfile::tempdir().unwrap();
        let data = own.path().join("data");
        let mut hub = Hub::start_command(&mut forbidden(errno), &data, &["--mux", "io-uring"]);
        hub.serves();
        assert!(hub.stop().success());
        let log = hub.log().wait_end();
        assert_told_once(&String::from_utf8_lossy(&log));
    }
}

#[test]
fn a_listener_without_io_uring_serves_by_epoll_and_logs_one_line() {
    if !can_forbid() {
        return;
    }
    for errno in ERRNOS {
        let mut command = forbidden(errno);
        command.args(["listen", "tcp://127.0.0.1:0", "--echo", "--mux", "io-uring"]);
        let mut program = Program::start_command(&mut command);
        let endpoint = listening(&program);
        for words in [&b"one"[..], b"two"] {
            assert_eq!(wire::exchange(address(&endpoint), words).unwrap(), words);
        }
        program.terminate();
        let finished = program.finish();
        assert_told_once(&finished.err);
    }
}

#[test]
fn a_caller_without_io_uring_talks_by_epoll_and_says_one_line() {
    if !can_forbid() {
        return;
    }
    let (_server, endpoint) = crate::support::listen(&["tcp://127.0.0.1:0", "--echo"]);
    for errno in ERRNOS {
        let mut command = forbidden(errno);
        command.args(["connect", &endpoint, "--mux", "io-uring"]);
        let mut program = Program::start_command(&mut command);
        program.feed(b"hello");
        program.end_input();
        let finished = program.finish().succeeded();
        assert_eq!(finished.text(), "hello");
        assert_told_once(&finished.err);
    }
}
