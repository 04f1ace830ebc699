//! Commands that may not run for ever: past their time limit they are ended with all that they
//! started, and what stood still is told.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, getpid, kill_process, set_child_subreaper};

/// For building: far beyond any machine's time for all crates anew.
pub(crate) const BUILD_TIME_MAX: Duration = Duration::from_secs(45 * 60);
/// For one run of tests, which takes a few minutes.
pub(crate) const TEST_TIME_MAX: Duration = Duration::from_secs(15 * 60);
/// For one run under a tool that makes everything slow.
pub(crate) const WATCHED_TIME_MAX: Duration = Duration::from_secs(30 * 60);
/// How long what a command started may go on when that has ended.
const LEFT_TIME_MAX: Duration = Duration::from_secs(60);
/// What processes that were killed may take to be gone.
const END_TIME_MAX: Duration = Duration::from_secs(10);
/// Threads that are told of where a run stands still.
const THREADS_SHOWN_MAX: usize = 60;

/// One of the two outputs of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Out,
    Error,
}

enum News {
    Came(Output, Vec<u8>),
    Ended(std::io::Result<ExitStatus>),
}

/// Runs a command with nothing to read, and gives each line of its standard output to `line`, and
/// each piece of its standard error where that is piped.
///
/// # Errors
/// If it can't be started, if `line` fails, and past the time limit: then it and all that it has
/// started is ended, and the error tells which tests had begun.
pub(crate) fn run(
    name: &str,
    command: &mut Command,
    limit: Duration,
    mut line: impl FnMut(Output, &[u8]) -> std::io::Result<()>,
) -> Result<ExitStatus> {
    // What loses its parent becomes ours, and is found among our descendants.
    set_child_subreaper(Some(getpid()))
        .with_context(|| format!("{name}: PR_SET_CHILD_SUBREAPER"))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{name}: can't be started"))?;
    let (tell, told) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        read(Output::Out, output, tell.clone());
    }
    if let Some(output) = child.stderr.take() {
        read(Output::Error, output, tell.clone());
    }
    // Its end counts when all that it started has closed the outputs too.
    thread::spawn(move || tell.send(News::Ended(child.wait())));

    let (mut end, mut status) = (Instant::now() + limit, None);
    let (mut begun, mut part) = (Begun::default(), Vec::new());
    loop {
        match told.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(News::Came(Output::Error, bytes)) => line(Output::Error, &bytes)?,
            Ok(News::Came(Output::Out, bytes)) => {
                part.extend(bytes);
                while let Some(end) = part.iter().position(|byte| *byte == b'\n') {
                    let whole: Vec<u8> = part.drain(..=end).collect();
                    begun.note(&String::from_utf8_lossy(&whole));
                    line(Output::Out, &whole)?;
                }
            }
            Ok(News::Ended(ended)) => {
                status = Some(ended.with_context(|| name.to_owned())?);
                end = end.min(Instant::now() + LEFT_TIME_MAX);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let standing = begun.names(&String::from_utf8_lossy(&part));
                let processes = processes(getpid());
                end_all(getpid(), END_TIME_MAX);
                let what = match status {
                    None => format!("not at its end after {limit:?}"),
                    Some(status) => format!("ended ({status}), but not what it started"),
                };
                bail!("{name}: {what}: killed.\n{standing}\n{processes}");
            }
        }
    }
    if !part.is_empty() {
        line(Output::Out, &part)?;
    }
    status.with_context(|| format!("{name}: its end was not told"))
}

fn read(which: Output, mut from: impl Read + Send + 'static, tell: Sender<News>) {
    thread::spawn(move || {
        let mut buf = vec![0; 1 << 16];
        while let Ok(len @ 1..) = from.read(&mut buf) {
            let came = buf.get(..len).unwrap_or_default().to_vec();
            if tell.send(News::Came(which, came)).is_err() {
                break;
            }
        }
    });
}

/// The tests that the harness says have begun, and not that they have ended.
#[derive(Debug, Default)]
struct Begun {
    slow: BTreeSet<String>,
    last: String,
}

impl Begun {
    fn note(&mut self, line: &str) {
        let line = line.trim_end();
        self.last = line.to_owned();
        if line.starts_with("running ") {
            self.slow.clear();
        }
        let Some(rest) = line.strip_prefix("test ") else {
            return;
        };
        // With many threads it names a test when that has ended, or is slow.
        if let Some((name, _)) = rest.split_once(" has been running for over ") {
            self.slow.insert(name.to_owned());
        } else if let Some((name, _)) = rest.split_once(" ... ") {
            self.slow.remove(name);
        }
    }

    /// `part`: what came of a line that is not whole; with one thread a running test stands there.
    fn names(&self, part: &str) -> String {
        let running = part
            .strip_prefix("test ")
            .and_then(|rest| rest.split_once(" ..."));
        let running = running.map(|(name, _)| name);
        let names: Vec<&str> = self
            .slow
            .iter()
            .map(String::as_str)
            .chain(running)
            .collect();
        if names.is_empty() {
            return format!("No test is known to run. The last line: {:?}", self.last);
        }
        format!("Begun and not ended: {}", names.join(", "))
    }
}

/// A process, as proc_pid_stat(5) tells of it.
struct Process {
    pid: Pid,
    parent: i32,
    is_dead: bool,
}

fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name before it may hold anything.
            let mut words = stat.rsplit_once(") ")?.1.split(' ');
            let is_dead = matches!(words.next()?, "Z" | "X");
            let parent = words.next()?.parse().ok()?;
            Some(Process {
                pid,
                parent,
                is_dead,
            })
        })
        .collect()
}

/// The living processes that come from `root`, without itself.
fn descendants(root: Pid) -> Vec<Pid> {
    let (all, mut found) = (all(), vec![root]);
    let mut index = 0;
    while let Some(parent) = found.get(index).copied() {
        let children = all.iter().filter(|process| {
            process.parent == parent.as_raw_nonzero().get() && !found.contains(&process.pid)
        });
        let children: Vec<Pid> = children.map(|process| process.pid).collect();
        found.extend(children);
        index += 1;
    }
    let lives = |pid: &Pid| {
        all.iter()
            .any(|process| process.pid == *pid && !process.is_dead)
    };
    found.into_iter().skip(1).filter(lives).collect()
}

/// Kills all that comes from `root`, until there is nothing more or `limit` has passed.
fn end_all(root: Pid, limit: Duration) {
    let start = Instant::now();
    while start.elapsed() < limit {
        let living = descendants(root);
        if living.is_empty() {
            return;
        }
        for pid in living {
            // One that has ended by itself is as good.
            kill_process(pid, Signal::KILL).ok();
        }
        thread::yield_now();
    }
    eprintln!("xtask: some processes outlive SIGKILL");
}

/// What runs, and where each of its threads stands: by its name (a test's, cut off) and by what
/// the kernel says.
fn processes(root: Pid) -> String {
    let mut lines = Vec::new();
    for pid in descendants(root) {
        let folder = format!("/proc/{}", pid.as_raw_nonzero());
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let words = text(&format!("{folder}/cmdline")).replace('\0', " ");
        lines.push(format!(
            "process {}: {}",
            pid.as_raw_nonzero(),
            words.trim_end()
        ));
        let tasks = fs::read_dir(format!("{folder}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            let task = task.path();
            let file = |name: &str| text(&task.join(name).to_string_lossy()).trim().to_owned();
            let state = file("status")
                .lines()
                .find_map(|line| Some(line.strip_prefix("State:")?.trim().to_owned()))
                .unwrap_or_default();
            let call = file("syscall");
            let call = call.split(' ').next().unwrap_or_default();
            let (name, place) = (file("comm"), file("wchan"));
            lines.push(format!(
                "  thread {name}: {state}, {place}, system call {call}"
            ));
        }
    }
    let more = lines.len().saturating_sub(THREADS_SHOWN_MAX);
    lines.truncate(THREADS_SHOWN_MAX);
    if more > 0 {
        lines.push(format!("and {more} lines more"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_that_have_begun_and_not_ended_are_known() {
        let mut begun = Begun::default();
        begun.note("running 3 tests\n");
        assert_eq!(
            begun.names(""),
            "No test is known to run. The last line: \"running 3 tests\""
        );
        begun.note("test a::slow has been running for over 60 seconds\n");
        begun.note("test src/lib.rs - b (line 7) has been running for over 60 seconds\n");
        begun.note("test quick ... ok\n");
        begun.note("test a::slow ... ok\n");
        assert_eq!(
            begun.names(""),
            "Begun and not ended: src/lib.rs - b (line 7)"
        );
        // The next program.
        begun.note("running 1 test\n");
        assert_eq!(begun.names("test alone ... "), "Begun and not ended: alone");
    }

    #[test]
    fn what_stands_still_is_ended_with_all_that_it_started() {
        let script = "(exec sh -c 'sleep 60 & echo begun >&2; wait') & exec sleep 60";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let mut begun = [0; 6];
        stderr.read_exact(&mut begun).unwrap();
        let pid = Pid::from_child(&child);
        let shown = processes(pid);
        end_all(pid, END_TIME_MAX);
        let left = descendants(pid).len();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(left, 0);
        assert_eq!(shown.matches("process ").count(), 2, "{shown}");
        assert!(shown.contains("; wait\n  thread sh: "), "{shown}");
        // None of them holds the other end any more.
        assert_eq!(stderr.read(&mut begun).unwrap(), 0);

        // A limit that has passed at once.
        let mut command = Command::new("sh");
        command.args(["-c", "printf 'test stuck ... '; sleep 60 & wait"]);
        let error = run("stand-in", &mut command, Duration::ZERO, |_, _| Ok(())).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("stand-in: not at its end after 0ns"),
            "{error}"
        );
        assert!(descendants(getpid()).is_empty());

        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo error >&2; printf two; exit 3"]);
        let mut lines = Vec::new();
        let status = run(
            "stand-in",
            command.stderr(Stdio::piped()),
            END_TIME_MAX,
            |which, line| {
                lines.push((which, String::from_utf8_lossy(line).into_owned()));
                Ok(())
            },
        );
        assert_eq!(status.unwrap().code(), Some(3));
        lines.retain(|(which, _)| *which == Output::Out);
        let expected = ["one\n", "two"].map(|line| (Output::Out, line.to_owned()));
        assert_eq!(lines, expected);
    }
}
