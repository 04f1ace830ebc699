//! Tests that change the machine they run on: they run again in a namespace that is only theirs.

use std::env;
use std::path::Path;
use std::process::Command;

/// Set in the process that runs a test's inner half within a namespace.
pub(crate) const INSIDE: &str = "BERKELEY_TEST_INSIDE";

/// True within the namespace. Outside, runs the test of this name (`module::function`) again
/// within one: `setup` are the shell's commands before it, with `$1` for a folder of its own.
pub(crate) fn is_inside(test: &str, unshare: &[&str], setup: &str, folder: &Path) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    let can = Command::new("unshare").args(unshare).arg("true").output();
    if !can.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: needs root and unshare {}", unshare.join(" "));
        return false;
    }
    let script = format!(
        "(set -e; {setup}); [ $? = 0 ] || exit 77; exec \"$0\" --exact {test} --test-threads=1"
    );
    let output = Command::new("unshare")
        .args(unshare)
        .args(["sh", "-c", &script])
        .arg(env::current_exe().unwrap())
        .arg(folder)
        .env(INSIDE, "1")
        .output()
        .unwrap();
    if output.status.code() == Some(77) {
        let missing = String::from_utf8_lossy(&output.stderr);
        eprintln!("skipped: needs what this machine lacks: {missing}");
        return false;
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.contains("1 passed"), "{said}{complained}");
    false
}
