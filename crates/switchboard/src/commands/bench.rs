//! `switchboard bench`.

mod echo;
mod fanout;
mod idle;
mod mux;

use std::env;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use switchboard_bench::table::Table;
use switchboard_bench::{BenchError, Server, servers};

use crate::clock;
use crate::signals;
use crate::terminal::{OutputError, tell, with_hint};

/// The program with the other servers, which lies beside ours when it has been built.
const PEERS: &str = "switchboard-bench-peers";

/// How to get it.
const PEERS_HINT: &str = "build them with: cargo build --release -p bench-peers";

/// Their names, in the order of the tables; the last one is left out unless it is asked for.
const PEER_NAMES: [&str; 5] = ["bare", "tokio", "tokio-64k", "mio", "tokio-multi"];

/// Measure on this machine, side by side, in one run
///
/// Comparisons are ratios between runs of the same round, rounds are interleaved, and figures are
/// medians over the rounds. What is shown was measured at that moment.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  switchboard bench mux                      select, poll, epoll and io_uring: cost of an event
  switchboard bench mux --svg mux.svg        the same as a chart
  switchboard bench echo                     our echo server beside bare epoll, tokio and mio
  switchboard bench fanout                   our hub beside Redis, NATS, inspircd, mosquitto
  switchboard bench idle                     what 10,000 silent connections cost each of them

'switchboard bench MEASUREMENT --help' tells more about each.")]
pub(crate) struct Args {
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Debug, Subcommand)]
enum Measurement {
    Mux(mux::Args),
    Echo(echo::Args),
    Fanout(fanout::Args),
    Idle(idle::Args),
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if cfg!(debug_assertions) {
            tell("this is a debug build: its figures mean little (cargo build --release)");
        }
        match self.measurement {
            Measurement::Mux(args) => args.run(),
            Measurement::Echo(args) => args.run(),
            Measurement::Fanout(args) => args.run(),
            Measurement::Idle(args) => args.run(),
        }
    }
}

/// How the figures are written.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Form {
    /// Write everything that was measured as JSON, for programs
    #[arg(long, conflicts_with = "markdown")]
    json: bool,

    /// Write the tables as Markdown, for documents
    #[arg(long)]
    markdown: bool,
}

/// A report in JSON.
#[derive(Debug, Serialize)]
struct Measured<'a, R> {
    /// What was typed.
    command: &'a str,
    /// The day, by the local clock.
    day: &'a str,
    #[serde(flatten)]
    report: &'a R,
}

impl Form {
    /// Writes a report to standard output: `tables` are of people's kind, `report` is all of it,
    /// `below` are lines behind the tables.
    fn write(
        self,
        report: &impl Serialize,
        tables: &[Table],
        below: &[String],
    ) -> anyhow::Result<()> {
        let (command, day) = (command(), clock::today());
        let text = if self.json {
            let measured = Measured {
                command: &command,
                day: &day,
                report,
            };
            serde_json::to_string_pretty(&measured)? + "\n"
        } else {
            let tables = tables.iter().map(|table| {
                if self.markdown {
                    table.markdown()
                } else {
                    table.text()
                }
            });
            let tables: Vec<String> = tables.collect();
            let mark = if self.markdown { "- " } else { "" };
            let lines = below.iter().map(|line| format!("{mark}{line}\n"));
            let ours = format!("{mark}measured on {day} by: {command}\n");
            let lines: String = lines.chain([ours]).collect();
            format!("{}\n{lines}", tables.join("\n"))
        };
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(OutputError)?;
        Ok(())
    }
}

/// What was typed, with the program's plain name.
fn command() -> String {
    let mut words = vec!["switchboard".to_owned()];
    for word in env::args_os().skip(1) {
        let word = word.to_string_lossy();
        let is_plain = |c: char| c.is_alphanumeric() || "-_./,:=+".contains(c);
        if !word.is_empty() && word.chars().all(is_plain) {
            words.push(word.into_owned());
        } else {
            words.push(format!("'{}'", word.replace('\'', r"'\''")));
        }
    }
    words.join(" ")
}

/// The servers with these names; without names all that are here but those that only some ask
/// for. Says so when the others have not been built.
fn chosen(names: &[String]) -> anyhow::Result<Vec<Server>> {
    let own = env::current_exe().context("where this program lies is not known")?;
    let peers: PathBuf = own.with_file_name(PEERS);
    let peers = peers.is_file().then_some(peers);
    let all = servers(&own, peers.as_deref());
    if names.is_empty() {
        if peers.is_none() {
            tell(format_args!(
                "without the others (bare, tokio, mio): {PEERS_HINT}"
            ));
        }
        let usual = |server: &Server| server.name != "tokio-multi";
        return Ok(all.into_iter().filter(usual).collect());
    }
    let mut chosen = Vec::new();
    for name in names {
        let found = all.iter().find(|server| server.name == *name);
        chosen.push(found.cloned().ok_or_else(|| unknown(name, &all))?);
    }
    Ok(chosen)
}

/// Why there is no such server.
fn unknown(name: &str, all: &[Server]) -> anyhow::Error {
    if PEER_NAMES.contains(&name) {
        return with_hint(
            anyhow::anyhow!("{name}: the program with that server does not lie beside this one"),
            PEERS_HINT,
        );
    }
    if let Ok(backend) = name.parse::<berkeley::selector::Backend>()
        && let Err(error) = backend.open()
    {
        return error.into();
    }
    let names: Vec<&str> = all.iter().map(|server| &*server.name).collect();
    anyhow::anyhow!(
        "there is no server {name:?} here, only {}",
        names.join(", ")
    )
}

/// Shows on a terminal how far it is, and tells when the user has asked to stop.
struct Watch {
    bar: ProgressBar,
    is_stopped: Arc<AtomicBool>,
}

impl Watch {
    fn new() -> anyhow::Result<Self> {
        let is_stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_stopped);
        signals::on_stop(move || stop.store(true, Ordering::Relaxed))?;
        // It stays away where standard error is no terminal.
        let bar = ProgressBar::no_length();
        bar.set_style(ProgressStyle::with_template("{pos}/{len} {msg} {eta}")?);
        Ok(Self { bar, is_stopped })
    }

    fn step(&self, what: String) -> ControlFlow<()> {
        self.bar.set_message(what);
        if self.is_stopped.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Adds what the user can do about it.
fn explain(error: BenchError) -> anyhow::Error {
    let hint = match &error {
        BenchError::Invalid(text) if text.contains("descriptors") => {
            "ulimit -n, or the service's limit, says how many there can be"
        }
        _ => "",
    };
    with_hint(error, hint)
}

/// An error for runs that failed, so that the exit status tells it too.
fn check(failures: &[String]) -> anyhow::Result<()> {
    match failures {
        [] => Ok(()),
        [one] => Err(anyhow::anyhow!("a run failed: {one}")),
        [first, ..] => Err(anyhow::anyhow!(
            "{} runs failed, the first of them: {first}",
            failures.len()
        )),
    }
}
