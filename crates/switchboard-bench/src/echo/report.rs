//! What came out of the rounds.

use serde::Serialize;

use super::{EchoOptions, Run, Workload};
use crate::Server;
use crate::machine::{Cores, Machine};
use crate::stats::Summary;
use crate::table::{Table, grouped, short, three_digits, time};

/// A load that uses more of its core is told to be full: the server could have done more.
pub const LOAD_FULL: f64 = 0.95;

/// A server that waits longer for its core is told to have been disturbed.
pub const SERVER_WAITED: f64 = 0.10;

/// Runs of all servers under all loads.
#[derive(Debug, Clone, Serialize)]
pub struct EchoReport {
    /// Where it was measured.
    pub machine: Machine,
    /// Which cores did what; `None` if there was only one for both.
    pub cores: Option<Cores>,
    /// How long each run was.
    pub run_seconds: f64,
    /// How often everything was done.
    pub rounds: usize,
    /// The servers' names and what they are.
    pub servers: Vec<(String, String)>,
    /// By workload, then by server.
    pub entries: Vec<Entry>,
    /// What was left out, and why.
    pub notes: Vec<String>,
    /// Runs that failed, each in a line.
    pub failures: Vec<String>,
}

/// One server under one load.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// The load.
    pub workload: Workload,
    /// The server's name.
    pub server: String,
    /// One for each round; `None` where it failed.
    pub runs: Vec<Option<Run>>,
    /// Requests a second.
    pub requests_per_s: Option<Summary>,
    /// Requests per second of the server's CPU time.
    pub requests_per_cpu_s: Option<Summary>,
    /// The latency that half of the requests stay within, in microseconds.
    pub p50_us: Option<Summary>,
    /// The latency that 99 of 100 requests stay within, in microseconds.
    pub p99_us: Option<Summary>,
    /// Requests per CPU second as a ratio to the barest loop's in the same round.
    pub per_cpu_to_bare: Option<Summary>,
    /// The same to tokio's.
    pub per_cpu_to_tokio: Option<Summary>,
    /// The 99th percentile as a ratio to the barest loop's in the same round.
    pub p99_to_bare: Option<Summary>,
    /// The same to tokio's.
    pub p99_to_tokio: Option<Summary>,
    /// The load's core was full in most rounds.
    pub load_was_full: bool,
    /// The server waited for its core in most rounds.
    pub server_was_disturbed: bool,
}

type Figure = fn(&Run) -> f64;

const PER_S: Figure = |run| run.requests_per_s;
const PER_CPU: Figure = |run| run.requests_per_cpu_s;
const P50: Figure = |run| run.p50_us;
const P99: Figure = |run| run.p99_us;

impl EchoReport {
    pub(super) fn new(
        options: &EchoOptions,
        machine: Machine,
        cores: Option<Cores>,
        workloads: &[Workload],
    ) -> Self {
        let mut entries = Vec::new();
        for workload in workloads {
            for server in &options.servers {
                entries.push(Entry::new(*workload, &server.name));
            }
        }
        let servers = options.servers.iter();
        Self {
            machine,
            cores,
            run_seconds: options.length.as_secs_f64(),
            rounds: options.rounds,
            servers: servers
                .map(|server| (server.name.clone(), server.what.clone()))
                .collect(),
            entries,
            notes: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, workload: Workload, server: &str, run: Option<Run>) {
        if let Some(entry) = self.entry_mut(workload, server) {
            entry.runs.push(run);
        }
    }

    fn entry(&self, workload: Workload, server: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.workload == workload && entry.server == server)
    }

    fn entry_mut(&mut self, workload: Workload, server: &str) -> Option<&mut Entry> {
        self.entries
            .iter_mut()
            .find(|entry| entry.workload == workload && entry.server == server)
    }

    /// Works out the figures when all runs are in.
    pub(super) fn finish(&mut self) {
        let ratios = |report: &Self, entry: &Entry, to: &str, figure: Figure| {
            let base = report.entry(entry.workload, to)?;
            Summary::of_ratios(&entry.each(figure), &base.each(figure))
        };
        let mut finished = self.entries.clone();
        for entry in &mut finished {
            entry.per_cpu_to_bare = ratios(self, entry, Server::BARE, PER_CPU);
            entry.per_cpu_to_tokio = ratios(self, entry, Server::TOKIO, PER_CPU);
            entry.p99_to_bare = ratios(self, entry, Server::BARE, P99);
            entry.p99_to_tokio = ratios(self, entry, Server::TOKIO, P99);
            entry.finish();
        }
        self.entries = finished;
    }

    /// The tables, a row for each load and a column for each server.
    #[must_use]
    pub fn tables(&self) -> Vec<Table> {
        let mut tables = vec![
            self.table("Requests per second of server CPU", |entry| {
                entry.requests_per_cpu_s.map(|found| short(found.median))
            }),
            self.table(
                "Requests per second of server CPU, as a ratio to bare",
                |entry| entry.per_cpu_to_bare.map(ratio),
            ),
            self.table(
                "Requests per second of server CPU, as a ratio to tokio",
                |entry| entry.per_cpu_to_tokio.map(ratio),
            ),
            self.table("Requests per second", |entry| {
                let marks = match (entry.load_was_full, entry.server_was_disturbed) {
                    (true, true) => " c~",
                    (true, false) => " c",
                    (false, true) => " ~",
                    (false, false) => "",
                };
                let found = entry.requests_per_s?;
                Some(format!("{}{marks}", short(found.median)))
            }),
            self.table("Latency, p50 / p99", |entry| {
                let (p50, p99) = (entry.p50_us?.median, entry.p99_us?.median);
                Some(format!("{} / {}", time(p50 * 1e3), time(p99 * 1e3)))
            }),
            self.table("Latency p99, as a ratio to bare", |entry| {
                entry.p99_to_bare.map(ratio)
            }),
            self.table("Latency p99, as a ratio to tokio", |entry| {
                entry.p99_to_tokio.map(ratio)
            }),
        ];
        // Without the peers nothing can be compared with them.
        tables.retain(|table| {
            let mut figures = table.rows.iter().flat_map(|row| row.iter().skip(1));
            figures.any(|cell| cell != MISSING)
        });
        tables
    }

    fn table(&self, title: &str, cell: impl Fn(&Entry) -> Option<String>) -> Table {
        let mut head = vec!["connections x bytes x in flight".to_owned()];
        head.extend(self.servers.iter().map(|(name, _)| name.clone()));
        let mut rows: Vec<(Workload, Vec<String>)> = Vec::new();
        for entry in &self.entries {
            let shown = cell(entry).unwrap_or_else(|| MISSING.to_owned());
            match rows.last_mut() {
                Some((workload, row)) if *workload == entry.workload => row.push(shown),
                _ => rows.push((entry.workload, vec![name(entry.workload), shown])),
            }
        }
        Table {
            title: title.to_owned(),
            head,
            rows: rows.into_iter().map(|(_, row)| row).collect(),
        }
    }
}

const MISSING: &str = "–";

fn ratio(found: Summary) -> String {
    three_digits(found.median)
}

fn name(workload: Workload) -> String {
    let Workload {
        connections,
        bytes,
        depth,
    } = workload;
    format!("{} x {} x {depth}", grouped(connections), grouped(bytes))
}

impl Entry {
    fn new(workload: Workload, server: &str) -> Self {
        Self {
            workload,
            server: server.to_owned(),
            runs: Vec::new(),
            requests_per_s: None,
            requests_per_cpu_s: None,
            p50_us: None,
            p99_us: None,
            per_cpu_to_bare: None,
            per_cpu_to_tokio: None,
            p99_to_bare: None,
            p99_to_tokio: None,
            load_was_full: false,
            server_was_disturbed: false,
        }
    }

    fn each(&self, figure: Figure) -> Vec<Option<f64>> {
        self.runs
            .iter()
            .map(|run| run.as_ref().map(figure))
            .collect()
    }

    fn finish(&mut self) {
        let of = |figure: Figure| Summary::of(self.each(figure).into_iter().flatten());
        let median = |figure: Figure| of(figure).map_or(0.0, |found| found.median);
        let load_was_full = median(|run| run.load_cpu_share) > LOAD_FULL;
        let server_was_disturbed = median(|run| run.server_waited_share) > SERVER_WAITED;
        let (per_s, per_cpu, p50, p99) = (of(PER_S), of(PER_CPU), of(P50), of(P99));
        self.requests_per_s = per_s;
        self.requests_per_cpu_s = per_cpu;
        self.p50_us = p50;
        self.p99_us = p99;
        self.load_was_full = load_was_full;
        self.server_was_disturbed = server_was_disturbed;
    }
}
