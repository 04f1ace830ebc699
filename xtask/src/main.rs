//! The developer's commands: `cargo xtask check`, `cargo xtask test` and the others of `HELP`.
//!
//! They need nothing but a Rust toolchain to start; what the tests need besides is looked for, and
//! installed where that is possible, by `prepare`.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command talks to the person at the terminal"
)]

mod bench;
mod limited;
mod prepare;
mod python;
mod skipped;
mod stress;
mod tidy;
mod watched;

use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

const HELP: &str = "\
cargo xtask check           formatting, clippy, docs and tidy
cargo xtask test            all that gates a change: prepare, check, every test
cargo xtask test FILTER...  only the tests so named, without check (as `cargo test FILTER...`)
cargo xtask test --mux KIND [FILTER...]
                            the end-to-end tests with select, poll, epoll or io-uring everywhere
cargo xtask stress [FILTER...]
                            what many, broken and hostile peers do, whole instead of short: in
                            release, one test after the other, with what each shows
cargo xtask tidy            the project's own rules alone
cargo xtask bench-calls     instructions of each call, ours and bare libc's (needs valgrind)
cargo xtask sanitize [KIND] the tests next to the kernel by AddressSanitizer (or leak, memory,
                            thread)
cargo xtask valgrind        those of berkeley by memcheck; `valgrind quick`: a part of them
cargo xtask miri            those that make no system calls by Miri
cargo xtask bench WORDS...  `switchboard bench` in release, beside bare epoll, tokio and mio
cargo xtask bench --docs    measures everything and rewrites the documents: half an hour; with
                            names (mux, idle, echo, fanout) those alone
cargo xtask sim WORDS...    worlds that are made up: `--seeds N [--from SEED]` or `--seed SEED`
                            for what happens in one
cargo xtask python [MODULE...]
                            Python's own tests on our _socket and select, beside its own: the quick
                            ones, or those named; `--full`: all, with each Python 3.11 to 3.13
                            here; `--leaks`: its search for leaks, with one that counts references
cargo xtask prepare         looks for the programs the tests need, installs them where it can";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["check"] => check(),
        ["test", "--mux", mux, filter @ ..] => prepare::run().and_then(|()| test_mux(mux, filter)),
        ["test", filter @ ..] => test(filter),
        ["stress", filter @ ..] => prepare::run().and_then(|()| stress::run(filter)),
        ["tidy"] => tidy::run(&root()),
        ["bench-calls"] => bench_calls(),
        ["sanitize"] => watched::sanitize("address"),
        ["sanitize", kind] => watched::sanitize(kind),
        ["valgrind"] => watched::valgrind(false),
        ["valgrind", "quick"] => watched::valgrind(true),
        ["miri"] => watched::miri(),
        ["bench", "--docs", "--quick", only @ ..] => bench::docs(true, only),
        ["bench", "--docs", only @ ..] => bench::docs(false, only),
        ["bench", words @ ..] => bench::run(words),
        ["sim", words @ ..] => simulate(words),
        ["python", words @ ..] => prepare::run().and_then(|()| python::run(words)),
        ["prepare"] => prepare::run(),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        other => Err(anyhow::anyhow!(
            "no such command: {}\n{HELP}",
            other.join(" ")
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that can be said about the sources without running them.
///
/// Tidy comes first: it takes no time, and says more than a compiler's error about the same thing.
fn check() -> Result<()> {
    tidy::run(&root())?;
    if has_component("fmt") {
        cargo(&["fmt", "--all", "--check"], &[])?;
    } else {
        eprintln!("xtask: skipped formatting: no rustfmt here (rustup component add rustfmt)");
    }
    if has_component("clippy") {
        cargo(
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
            &[],
        )?;
        python::lint()?;
    } else {
        eprintln!("xtask: skipped lints: no clippy here (rustup component add clippy)");
    }
    cargo(
        &["doc", "--no-deps", "--workspace"],
        &[("RUSTDOCFLAGS", "-D warnings")],
    )
}

fn test(filter: &[&str]) -> Result<()> {
    prepare::run()?;
    if filter.is_empty() {
        check()?;
    }
    run_tests(filter)?;
    if filter.is_empty() {
        python::run(&[])?;
        // What has run so far was the default, epoll. Each takes a minute.
        for mux in ["select", "poll", "io-uring"] {
            test_mux(mux, &[])?;
        }
    }
    match filter {
        [] if watched::has_valgrind() => watched::valgrind(true),
        [] => {
            eprintln!("xtask: skipped memcheck: needs valgrind");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Runs end-to-end tests with one way to wait for many sockets.
fn test_mux(mux: &str, filter: &[&str]) -> Result<()> {
    let words = ["-p", "switchboard", "--test", "it", "--"];
    // What a crowd costs was told with the default; select has no room for one. What compares back
    // ends chooses them itself.
    let without = ["--skip", "stress_load::", "--skip", "bench::"];
    let without = if filter.is_empty() { &without[..] } else { &[] };
    let words = [&words, filter, without].concat();
    let environment = [("SWITCHBOARD_TEST_MUX", mux)];
    cargo_test(&words, &environment, |line| {
        std::io::stdout().write_all(line)
    })
}

/// Runs the tests, and counts what they could not try here.
fn run_tests(filter: &[&str]) -> Result<()> {
    // The caller may have arguments for the harness already.
    let own: &[&str] = if filter.contains(&"--") {
        &["--show-output"]
    } else {
        &["--", "--show-output"]
    };
    let mut skipped = skipped::Skipped::default();
    let words = [&["--workspace"], filter, own].concat();
    let result = cargo_test(&words, &[], |line| skipped.pass_on(line, std::io::stdout()));
    eprintln!("{}", skipped.report());
    result
}

/// Builds the tests, then runs them within a time limit, and gives each line of theirs to `line`.
fn cargo_test(
    words: &[&str],
    environment: &[(&str, &str)],
    mut line: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<()> {
    let harness = words.iter().position(|word| *word == "--");
    let (of_cargo, _) = words.split_at(harness.unwrap_or(words.len()));
    let build = [&["test", "--no-run", "--quiet"], of_cargo].concat();
    let run = [&["test"], words].concat();
    let time = if environment.contains(&stress::WHOLE) {
        limited::WATCHED_TIME_MAX
    } else {
        limited::TEST_TIME_MAX
    };
    for (arguments, limit) in [(build, limited::BUILD_TIME_MAX), (run, time)] {
        let shown = format!("cargo {}", arguments.join(" "));
        eprintln!("xtask: {shown}");
        let mut command = Command::new(cargo_program());
        command
            .args(&arguments)
            .envs(environment.iter().copied())
            .current_dir(root());
        let status = limited::run(&shown, &mut command, limit, |_, bytes| line(bytes))?;
        if !status.success() {
            bail!("failed: {shown}");
        }
    }
    Ok(())
}

/// The table that stands in the docs of `berkeley`.
fn bench_calls() -> Result<()> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        bail!("bench-calls: needs valgrind, whose callgrind counts the instructions");
    }
    let words = ["run", "--release", "-p", "berkeley", "--example", "cost"];
    cargo(&words, &[])
}

/// Lives through worlds that are made up, as fast as that goes.
fn simulate(words: &[&str]) -> Result<()> {
    let run = ["run", "--quiet", "--release", "-p", "switchboard-sim", "--"];
    cargo(&[&run, words].concat(), &[])
}

/// Whether this toolchain has `cargo fmt` or `cargo clippy`; a minimal one has neither.
fn has_component(name: &str) -> bool {
    Command::new(cargo_program())
        .args([name, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let shown = format!("cargo {}", arguments.join(" "));
    eprintln!("xtask: {shown}");
    let status = Command::new(cargo_program())
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(root())
        .status()
        .with_context(|| format!("{shown}: can't be started"))?;
    if !status.success() {
        bail!("failed: {shown}");
    }
    Ok(())
}

/// Cargo tells its subcommands which cargo it is.
fn cargo_program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}
