//! The tests again under a tool that watches memory: `sanitize`, `valgrind` and `miri`.
//!
//! Each runs the tests, says in one line how it went, and fails on a report. What a tool cannot
//! run is left out and named, with the reason.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::limited::{self, BUILD_TIME_MAX, Output, WATCHED_TIME_MAX};
use crate::{cargo_program, root};

/// A test that a tool cannot run, by the beginning of its name, and why.
type Left = (&'static str, &'static str);

const RUNS_VALGRIND: Left = (
    "names::no_list_leaks_under_valgrind",
    "it runs valgrind itself",
);

const SANITIZERS: [(&str, &str); 4] = [
    ("address", "asan"),
    ("leak", "lsan"),
    ("memory", "msan"),
    ("thread", "tsan"),
];

/// Valgrind takes io_uring_enter(2) for a call that does not block, and keeps its one lock in it.
const ALONE: &str = "under valgrind no thread runs while another waits in io_uring";

const VALGRIND_LEFT: [Left; 10] = [
    RUNS_VALGRIND,
    ("sendfile::a_hundred_megabytes", "it would take minutes"),
    ("limits::", "it measures time"),
    (
        "modes::a_selector_waits_on_after_signals",
        "valgrind starts pselect again after a signal with a mask in its own memory",
    ),
    ("selector_contract::another_thread_wakes_the_one", ALONE),
    ("bounds::sends_beyond_what_a_ring_keeps", ALONE),
    ("selector_threads::", ALONE),
    ("uring::a_raised_waker_ends_a_wait", ALONE),
    ("uring::a_send_is_complete_when_the_peer_has_room", ALONE),
    ("uring::a_send_without_copying_is_complete", ALONE),
];

/// What hands memory to the kernel that was not initialised, or takes some as written: these
/// tests take seconds even so.
const VALGRIND_QUICK: [&str; 14] = [
    "addresses::",
    "ancillary::",
    "batches::",
    "descriptors::",
    "error_queue::",
    "interfaces::",
    "names::",
    "option",
    "segments::",
    "server::",
    "soundness::",
    "tcp::",
    "udp::",
    "unix::",
];

/// `cargo xtask sanitize [KIND]`: the tests of the crates that talk to the kernel.
pub(crate) fn sanitize(kind: &str) -> Result<()> {
    let Some((_, short)) = SANITIZERS.iter().find(|(name, _)| *name == kind) else {
        let known: Vec<&str> = SANITIZERS.iter().map(|(name, _)| *name).collect();
        bail!(
            "sanitize: no such sanitizer: {kind}: there are {}",
            known.join(", ")
        );
    };
    let host = host()?;
    let libraries = PathBuf::from(rustc(&["--print", "target-libdir", "--target", &host])?);
    if !has_runtime(&libraries, short) {
        bail!("sanitize {kind}: this toolchain has no runtime for it: there is one in rustup's");
    }
    let flag = format!("-Zsanitizer={kind}");
    let folder = target_folder(&format!("sanitize-{kind}"));
    let leaks = root().join("xtask/watch/leaks.supp");
    let mut words = vec![
        "test",
        "--target",
        &host,
        "-p",
        "berkeley",
        "-p",
        "switchboard-reactor",
    ];
    if matches!(kind, "memory" | "thread") {
        let source = libraries.join("../../src/rust/library/Cargo.lock");
        if !source.exists() {
            bail!(
                "sanitize {kind}: watches the standard library too, whose source is missing here \
                 (rustup component add rust-src)"
            );
        }
        // Whose examples and documentation would be linked to the library as it was.
        words.extend(["-Zbuild-std", "--lib", "--tests"]);
    }
    let environment = [
        // The flags are for nightly compilers; this one has what is behind them too.
        ("RUSTC_BOOTSTRAP", "1".into()),
        ("RUSTFLAGS", OsString::from(&flag)),
        ("RUSTDOCFLAGS", OsString::from(&flag)),
        ("CARGO_TARGET_DIR", folder.into_os_string()),
        ("LSAN_OPTIONS", suppressions(&leaks)),
        ("ASAN_OPTIONS", "detect_stack_use_after_return=1".into()),
    ];
    watch(
        &format!("sanitize {kind}"),
        &words,
        &[],
        &[RUNS_VALGRIND],
        &environment,
    )
}

/// `cargo xtask valgrind`: memcheck sees what the kernel is given uninitialised, and what is read
/// without having been written, which no sanitizer of a stable toolchain does.
pub(crate) fn valgrind(is_quick: bool) -> Result<()> {
    if !is_quick {
        let targets = ["--lib", "--test", "pure", "--test", "it"];
        return memcheck("valgrind", &targets, &[], &VALGRIND_LEFT);
    }
    // The filters choose among the tests of one target, and would leave none of the others.
    memcheck("valgrind quick", &["--lib", "--test", "pure"], &[], &[])?;
    memcheck(
        "valgrind quick",
        &["--test", "it"],
        &VALGRIND_QUICK,
        &[RUNS_VALGRIND],
    )
}

fn memcheck(name: &str, targets: &[&str], filters: &[&str], left: &[Left]) -> Result<()> {
    if !has_valgrind() {
        bail!("{name}: valgrind is missing here (apt-get install valgrind)");
    }
    let runner = format!(
        "CARGO_TARGET_{}_RUNNER",
        host()?.to_uppercase().replace('-', "_")
    );
    let suppressed = root().join("xtask/watch/memcheck.supp");
    let mut command = OsString::from(
        "valgrind --quiet --error-exitcode=99 --fair-sched=yes --num-callers=20 --suppressions=",
    );
    command.push(suppressed);
    let words = [&["test", "-p", "berkeley"], targets].concat();
    // Valgrind runs one thread at a time: several tests at once only disturb each other.
    let filters = [&["--test-threads=1"], filters].concat();
    // To name the frames of a panic that a test asks for takes longer than that test waits.
    let environment = [(runner.as_str(), command), ("RUST_BACKTRACE", "0".into())];
    watch(name, &words, &filters, left, &environment)
}

pub(crate) fn has_valgrind() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok()
}

/// `cargo xtask miri`: an interpreter that knows Rust's rules about memory. It makes no system
/// calls, so it runs the tests that need none.
pub(crate) fn miri() -> Result<()> {
    if !crate::has_component("miri") {
        bail!("miri: missing in this toolchain (rustup +nightly component add miri)");
    }
    let environment = [
        // A test may open a file, and look at the clock.
        ("MIRIFLAGS", OsString::from("-Zmiri-disable-isolation")),
        ("PROPTEST_CASES", "8".into()),
    ];
    let pure = ["miri", "test", "-p", "berkeley", "--test", "pure"];
    watch("miri: pure", &pure, &[], &[], &environment)?;
    let own = ["miri", "test", "-p", "berkeley", "--lib"];
    let filters = [
        "addr::",
        "control::",
        "inet::",
        "kinds::",
        "opt::",
        "sys::memory::",
    ];
    watch("miri: lib", &own, &filters, &[], &environment)
}

/// Runs the tests and tells how it went: in one line, or with all that was printed.
fn watch(
    name: &str,
    words: &[&str],
    filters: &[&str],
    left: &[Left],
    environment: &[(&str, OsString)],
) -> Result<()> {
    for (test, why) in left {
        eprintln!("xtask: {name}: left out: {test}: {why}");
    }
    eprintln!("xtask: {name}: cargo {}", words.join(" "));
    let begin = Instant::now();
    let mut command = cargo(words, environment);
    within(name, command.arg("--no-run"), BUILD_TIME_MAX)?;
    let mut command = cargo(words, environment);
    command.arg("--").args(filters);
    for (test, _) in left {
        command.args(["--skip", test]);
    }
    let passed = passed(&within(name, &mut command, WATCHED_TIME_MAX)?);
    if passed == 0 {
        bail!("{name}: no test was run");
    }
    let seconds = begin.elapsed().as_secs();
    println!("{name}: {passed} tests without a report, in {seconds} s");
    Ok(())
}

fn cargo(words: &[&str], environment: &[(&str, OsString)]) -> Command {
    let mut command = Command::new(cargo_program());
    command
        .args(words)
        .envs(environment.iter().map(|(name, value)| (*name, value)))
        .current_dir(root());
    command
}

/// What a command printed, which is shown only if it fails or does not end.
fn within(name: &str, command: &mut Command, limit: Duration) -> Result<String> {
    let (mut said, mut complained) = (Vec::new(), Vec::new());
    let ended = limited::run(
        name,
        command.stderr(Stdio::piped()),
        limit,
        |which, bytes| {
            match which {
                Output::Out => said.extend(bytes),
                Output::Error => complained.extend(bytes),
            }
            Ok(())
        },
    );
    let said = String::from_utf8_lossy(&said).into_owned();
    if !ended.as_ref().is_ok_and(ExitStatus::success) {
        eprint!("{}", String::from_utf8_lossy(&complained));
        print!("{said}");
    }
    let status = ended?;
    if !status.success() {
        bail!("{name}: {status}: the report is above");
    }
    Ok(said)
}

/// The sum of all `test result: ok. 12 passed; …`.
fn passed(said: &str) -> usize {
    said.lines()
        .filter_map(|line| line.strip_prefix("test result: ok. "))
        .filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok())
        .sum()
}

fn suppressions(file: &Path) -> OsString {
    let mut options = OsString::from("suppressions=");
    options.push(file);
    options.push(":print_suppressions=0");
    options
}

/// A folder beside the ordinary one: other flags build everything anew.
fn target_folder(name: &str) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), PathBuf::from)
        .join(name)
}

fn has_runtime(libraries: &Path, short: &str) -> bool {
    let Ok(entries) = libraries.read_dir() else {
        return false;
    };
    let end = format!("_rt.{short}.a");
    entries
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().ends_with(&end))
}

/// The machine that this compiler builds for unless it is told otherwise.
fn host() -> Result<String> {
    let version = rustc(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV: tells no host")?.to_owned())
}

fn rustc(words: &[&str]) -> Result<String> {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(program)
        .args(words)
        .current_dir(root())
        .output()
        .context("rustc: can't be started")?;
    if !output.status.success() {
        bail!("rustc {}: {}", words.join(" "), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::passed;

    #[test]
    fn the_tests_of_all_targets_are_counted() {
        let said = "running 2 tests\ntest result: ok. 2 passed; 0 failed\n\n\
                    test result: ok. 40 passed; 0 failed; 0 ignored\n";
        assert_eq!(passed(said), 42);
        assert_eq!(passed("test result: FAILED. 7 passed; 1 failed"), 0);
    }
}
