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
