//! `switchboard bench echo`.

use std::time::Duration;

use switchboard_bench::echo::{EchoOptions, EchoReport, measure};

use super::{Form, Watch, check, chosen, explain};
use crate::terminal::positive_seconds;

/// Our echo server on each back end, beside the barest epoll loop, tokio and mio
///
/// Each server runs as a process of its own on one core, and the load on another one: a number of
/// connections with a number of requests on the way in each. Every byte that comes back is
/// compared with what was sent. Each run has a fresh server; its time counts after a warm-up.
#[derive(Debug, clap::Args)]
#[command(after_help = "Servers:
  select, poll, epoll, io-uring   switchboard listen --echo --quiet, on each back end here
  bare        the barest epoll loop: level-triggered, one thread, one 128 KiB buffer
  tokio       as its tutorial teaches: a task a connection, io::copy; current-thread runtime
  tokio-64k   a task a connection with a 64 KiB buffer of its own; current-thread runtime
  mio         edge-triggered, one 128 KiB buffer
  tokio-multi as tokio, on the runtime of a plain #[tokio::main]; only if it is named
All but ours come with: cargo build --release -p bench-peers

Examples:
  switchboard bench echo                                       everything: a quarter of an hour
  switchboard bench echo --connections 100 --rounds 3          one number of connections
  switchboard bench echo --servers epoll,bare --bytes 64 --depth 1
  switchboard bench echo --json > echo.json                    every run, for programs")]
pub(crate) struct Args {
    /// Numbers of connections
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "1,100,1000,10000"
    )]
    connections: Vec<usize>,

    /// Lengths of a request
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "64,4096"
    )]
    bytes: Vec<usize>,

    /// Requests on the way at once in each connection
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "1,16"
    )]
    depth: Vec<usize>,

    /// Which servers [default: all that are here but tokio-multi]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    servers: Vec<String>,

    /// How long each of them is measured in each round
    #[arg(long, value_name = "SECONDS", default_value = "0.8", value_parser = positive_seconds)]
    seconds: Duration,

    /// How often everything is done
    #[arg(long, value_name = "N", default_value = "5")]
    rounds: usize,

    #[command(flatten)]
    form: Form,
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let options = EchoOptions {
            connections: self.connections,
            bytes: self.bytes,
            depths: self.depth,
            length: self.seconds,
            rounds: self.rounds,
            servers: chosen(&self.servers)?,
        };
        let watch = Watch::new()?;
        let measured = measure(&options, &mut |progress| {
            watch.bar.set_length(progress.all as u64);
            watch.bar.set_position(progress.done as u64);
            watch.step(format!("{} {}", progress.workload, progress.server))
        });
        drop(watch);
        let report = measured.map_err(explain)?;
        self.form
            .write(&report, &report.tables(), &below(&report))?;
        check(&report.failures)
    }
}

/// What readers of the tables must know.
fn below(report: &EchoReport) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, what) in &report.servers {
        lines.push(format!("{name}: {what}"));
    }
    lines.extend(report.notes.iter().cloned());
    let failures = report.failures.iter();
    lines.extend(failures.map(|failure| format!("failed: {failure}")));
    let marked = report.entries.iter().any(|entry| entry.load_was_full);
    if marked {
        lines.push("c: the load's core was over 95 % full; the server can do more".to_owned());
    }
    let disturbed = report.entries.iter();
    if disturbed
        .into_iter()
        .any(|entry| entry.server_was_disturbed)
    {
        lines.push("~: the server waited over 10 % of the time for its core".to_owned());
    }
    if let Some(cores) = report.cores {
        lines.push(format!(
            "servers on core {}, load on core {}",
            cores.server, cores.load
        ));
    }
    lines.push(format!(
        "medians of {} rounds of {} s, ratios taken within each round; {}",
        report.rounds, report.run_seconds, report.machine
    ));
    lines
}
