//! Another process of these tests, whose system calls fail or take their time.

use std::path::Path;
use std::process::Command;

/// Runs `test` alone, with the variable set to the path, while `calls` meet what `fault` says
/// (strace(1), `inject`); what it printed. `None`, and that is told, where nothing can be traced.
#[track_caller]
pub(crate) fn run(
    (calls, fault): (&str, &str),
    test: &str,
    (variable, data): (&str, &Path),
) -> Option<String> {
    let mut probe = Command::new("strace");
    let probed = probe.args(["-o", "/dev/null", "true"]).output();
    if !probed.is_ok_and(|output| output.status.success()) {
        println!("skipped: needs strace, and leave to trace");
        return None;
    }
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .arg(format!("trace={calls}"))
        .arg("-e")
        .arg(format!("inject={calls}:{fault}"))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(variable, data)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    Some(String::from_utf8(output.stdout).unwrap())
}
