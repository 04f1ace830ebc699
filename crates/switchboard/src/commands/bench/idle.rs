//! `switchboard bench idle`.

use std::time::Duration;

use switchboard_bench::idle::{IdleOptions, measure};

use super::{Form, Watch, check, chosen, explain};
use crate::terminal::positive_seconds;

/// What silent connections cost each echo server: memory, CPU time and wake-ups
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  switchboard bench idle                              10,000 connections for ten seconds
  switchboard bench idle --connections 1000 --seconds 60 --servers epoll,io-uring")]
pub(crate) struct Args {
    /// How many connections
    #[arg(long, value_name = "N", default_value = "10000")]
    connections: usize,

    /// How long they are silent
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = positive_seconds)]
    seconds: Duration,

    /// Which servers, as 'switchboard bench echo --help' lists them [default: all but tokio-multi]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    servers: Vec<String>,

    #[command(flatten)]
    form: Form,
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let options = IdleOptions {
            connections: self.connections,
            length: self.seconds,
            servers: chosen(&self.servers)?,
        };
        let watch = Watch::new()?;
        watch.bar.set_length(options.servers.len() as u64);
        let measured = measure(&options, &mut |server| {
            watch.bar.inc(1);
            watch.step(server.to_owned())
        });
        drop(watch);
        let report = measured.map_err(explain)?;
        let mut below = report.notes.clone();
        let failures = report.failures.iter();
        below.extend(failures.map(|failure| format!("failed: {failure}")));
        below.push(report.machine.to_string());
        self.form.write(&report, &[report.table()], &below)?;
        check(&report.failures)
    }
}
