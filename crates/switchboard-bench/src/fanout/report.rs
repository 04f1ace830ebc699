//! What came out of the rounds.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{FanoutOptions, Found, Hub, Load, Run, Silence, goals};
use crate::BenchError;
use crate::echo::{LOAD_FULL, SERVER_WAITED};
use crate::machine::{Cores, Machine};
use crate::stats::Summary;

/// The hubs that all are compared with, as far as they were measured.
const BASES: [&str; 4] = [Hub::REDIS, Hub::NATS, Hub::BARE, Hub::TOKIO];

/// Runs of all hubs under all loads.
#[derive(Debug, Clone, Serialize)]
pub struct FanoutReport {
    /// Where it was measured.
    pub machine: Machine,
    /// Which cores did what; `None` if there was only one for both.
    pub cores: Option<Cores>,
    /// How long each run was.
    pub run_seconds: f64,
    /// How often everything was done.
    pub rounds: usize,
    /// Bytes of a message.
    pub bytes: usize,
    /// Messages on the way at once.
    pub window: usize,
    /// Messages that were heard a second where the load was paced.
    pub pace_per_s: u32,
    /// The hubs' names and what they are.
    pub hubs: Vec<(String, String)>,
    /// By load, then by hub.
    pub entries: Vec<Entry>,
    /// What silent members cost, one for each hub.
    pub silence: Vec<Silence>,
    /// What ours is meant to reach, and what it did.
    pub goals: Vec<Found>,
    /// How long all of it took, in seconds.
    pub took_seconds: f64,
    /// What was left out, and why.
    pub notes: Vec<String>,
    /// Runs that failed, each in a line.
    pub failures: Vec<String>,
}

/// One hub under one load.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// The load.
    pub load: Load,
    /// The hub's name.
    pub hub: String,
    /// One for each round; `None` where it failed.
    pub runs: Vec<Option<Run>>,
    /// Deliveries a second; see [`Run`] for what is counted.
    pub per_s: Option<Summary>,
    /// CPU time of the hub for each, in nanoseconds.
    pub cpu_ns_each: Option<Summary>,
    /// The same of its busiest thread alone.
    pub busiest_cpu_ns_each: Option<Summary>,
    /// CPU time of the load for each, in nanoseconds.
    pub load_cpu_ns_each: Option<Summary>,
    /// The latency that half of them stay within, in microseconds.
    pub p50_us: Option<Summary>,
    /// The latency that 99 of 100 stay within, in microseconds.
    pub p99_us: Option<Summary>,
    /// The most memory that the hub had, in bytes.
    pub peak_bytes: Option<Summary>,
    /// Deliveries that did not come, in all rounds.
    pub lost: u64,
    /// Deliveries that came behind a later one, or twice, in all rounds.
    pub reordered: u64,
    /// Deliveries in all rounds.
    pub of: u64,
    /// As ratios to other hubs' in the same round, by their names.
    pub ratios: BTreeMap<String, Ratios>,
    /// The load's core was full in most rounds.
    pub load_was_full: bool,
    /// The hub waited for its core in most rounds.
    pub server_was_disturbed: bool,
}

/// One hub's figures as ratios to another one's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratios {
    /// Of deliveries a second: more is better.
    pub per_s: Option<Summary>,
    /// Of the CPU time of a delivery: less is better.
    pub cpu_each: Option<Summary>,
    /// Of the 99th percentile of the latency: less is better.
    pub p99: Option<Summary>,
}

pub(super) type Figure = fn(&Run) -> f64;

pub(super) const PER_S: Figure = |run| run.per_s;
pub(super) const CPU_EACH: Figure = |run| run.cpu_ns_each;
pub(super) const BUSIEST: Figure = |run| run.busiest_cpu_ns_each;
pub(super) const P99: Figure = |run| run.p99_us;

impl FanoutReport {
    pub(super) fn new(
        options: &FanoutOptions,
        machine: Machine,
        cores: Option<Cores>,
        heats: &[Vec<(Load, &Hub)>],
    ) -> Self {
        let loads = options.loads();
        let all = loads.iter().flat_map(|load| {
            let hubs = options.hubs.iter();
            hubs.map(|hub| Entry::new(*load, &hub.name))
        });
        let others = heats.iter().flatten();
        let others = others.filter(|(load, _)| !load.is_for_all());
        let others = others.map(|(load, hub)| Entry::new(*load, &hub.name));
        let mut hubs: Vec<&Hub> = options.hubs.iter().collect();
        for (_, hub) in heats.iter().flatten() {
            if !hubs.iter().any(|known| known.name == hub.name) {
                hubs.push(hub);
            }
        }
        Self {
            machine,
            cores,
            run_seconds: options.length.as_secs_f64(),
            rounds: options.rounds,
            bytes: options.bytes,
            window: options.window,
            pace_per_s: options.pace_per_s,
            hubs: hubs
                .into_iter()
                .map(|hub| (hub.name.clone(), hub.what.clone()))
                .collect(),
            entries: all.chain(others).collect(),
            silence: Vec::new(),
            goals: Vec::new(),
            took_seconds: 0.0,
            notes: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, load: Load, hub: &str, run: Result<Run, BenchError>) {
        if let Err(error) = &run {
            self.failures.push(format!("{load}: {hub}: {error}"));
        }
        let mut entries = self.entries.iter_mut();
        if let Some(entry) = entries.find(|entry| entry.load == load && entry.hub == hub) {
            entry.runs.push(run.ok());
        }
    }

    /// Works out the figures when all runs are in.
    pub(super) fn finish(&mut self) {
        let mut finished = self.entries.clone();
        for entry in &mut finished {
            for name in BASES {
                let mut all = self.entries.iter();
                let base = all.find(|base| base.load == entry.load && base.hub == name);
                if let Some(base) = base.filter(|base| !base.runs.is_empty()) {
                    entry.ratios.insert(name.to_owned(), entry.to(base));
                }
            }
            entry.finish();
        }
        self.entries = finished;
        self.goals = goals::find(self);
        for entry in &self.entries {
            if entry.lost + entry.reordered > 0 {
                self.failures.push(format!(
                    "{}: {}: lost {} and reordered {} of {}",
                    entry.load, entry.hub, entry.lost, entry.reordered, entry.of
                ));
            }
        }
    }

    /// Deliveries that were checked in all runs.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        self.entries.iter().map(|entry| entry.of).sum()
    }
}

impl Entry {
    fn new(load: Load, hub: &str) -> Self {
        Self {
            load,
            hub: hub.to_owned(),
            runs: Vec::new(),
            per_s: None,
            cpu_ns_each: None,
            busiest_cpu_ns_each: None,
            load_cpu_ns_each: None,
            p50_us: None,
            p99_us: None,
            peak_bytes: None,
            lost: 0,
            reordered: 0,
            of: 0,
            ratios: BTreeMap::new(),
            load_was_full: false,
            server_was_disturbed: false,
        }
    }

    pub(super) fn each(&self, figure: Figure) -> Vec<Option<f64>> {
        let runs = self.runs.iter();
        runs.map(|run| run.as_ref().map(figure)).collect()
    }

    fn to(&self, base: &Self) -> Ratios {
        let ratio = |figure| Summary::of_ratios(&self.each(figure), &base.each(figure));
        Ratios {
            per_s: ratio(PER_S),
            cpu_each: ratio(CPU_EACH),
            p99: ratio(P99),
        }
    }

    fn finish(&mut self) {
        let of = |figure: Figure| Summary::of(self.each(figure).into_iter().flatten());
        let sum = |figure: fn(&Run) -> u64| self.runs.iter().flatten().map(figure).sum();
        let median = |figure: Figure| of(figure).map_or(0.0, |found| found.median);
        let load_was_full = median(|run| run.load_cpu_share) > LOAD_FULL;
        let server_was_disturbed = median(|run| run.server_waited_share) > SERVER_WAITED;
        let (per_s, cpu_ns_each) = (of(PER_S), of(CPU_EACH));
        let (p50_us, p99_us) = (of(|run| run.p50_us), of(P99));
        let peak_bytes = of(|run| run.peak_bytes as f64);
        let busiest_cpu_ns_each = of(BUSIEST);
        let load_cpu_ns_each = of(|run| run.load_cpu_ns_each);
        let (lost, reordered) = (sum(|run| run.lost), sum(|run| run.reordered));
        let deliveries = sum(|run| run.of);
        *self = Self {
            load: self.load,
            hub: core::mem::take(&mut self.hub),
            runs: core::mem::take(&mut self.runs),
            ratios: core::mem::take(&mut self.ratios),
            per_s,
            cpu_ns_each,
            busiest_cpu_ns_each,
            load_cpu_ns_each,
            p50_us,
            p99_us,
            peak_bytes,
            lost,
            reordered,
            of: deliveries,
            load_was_full,
            server_was_disturbed,
        };
    }
}

#[cfg(test)]
pub(super) mod tests {
    use core::time::Duration;
    use std::path::Path;

    use super::super::{Crew, hubs};
    use super::{FanoutOptions, FanoutReport, Hub, Load, Machine, Run};

    const LOAD: Load = Load::FlatOut(Crew {
        speakers: 1,
        members: 10,
    });

    /// Of ours and the barest loop, under these loads.
    pub(in super::super) fn report(loads: &[Load]) -> FanoutReport {
        let (found, _) = hubs(
            Path::new("/nonexistent"),
            Some(Path::new("/nonexistent")),
            1,
        );
        let wanted = found
            .into_iter()
            .filter(|hub| [Hub::OURS, Hub::BARE].contains(&&*hub.name));
        let crews = loads.iter().filter_map(|load| match load {
            Load::FlatOut(crew) => Some(*crew),
            _ => None,
        });
        let options = FanoutOptions {
            flat_out: crews.collect(),
            paced: Vec::new(),
            pace_per_s: 20_000,
            churn: false,
            beside: None,
            rooms: None,
            sharded: None,
            parcels: false,
            silent: 0,
            bytes: 128,
            window: 256,
            length: Duration::from_secs(1),
            rounds: 3,
            hubs: wanted.collect(),
        };
        FanoutReport::new(&options, Machine::look(), None, &options.heats())
    }

    pub(in super::super) fn run(per_s: f64, cpu_ns_each: f64, lost: u64) -> Run {
        Run {
            per_s,
            cpu_ns_each,
            busiest_cpu_ns_each: cpu_ns_each,
            load_cpu_ns_each: 1.0,
            p50_us: 1.0,
            p99_us: 2.0,
            peak_bytes: 1 << 20,
            lost,
            reordered: 0,
            of: 1000,
            server_waited_share: 0.0,
            load_cpu_share: 0.99,
        }
    }

    #[test]
    fn ratios_are_the_medians_of_those_within_each_round() {
        let mut report = report(&[LOAD]);
        // The machine was twice as fast in the second round.
        for speed in [1.0, 2.0, 1.0] {
            report.add(LOAD, "bare", Ok(run(10.0 * speed, 50.0 / speed, 0)));
            report.add(LOAD, "ours-epoll", Ok(run(8.0 * speed, 60.0 / speed, 0)));
        }
        report.finish();
        let ours = report
            .entries
            .iter()
            .find(|entry| entry.hub == "ours-epoll");
        let found = ours.unwrap().ratios["bare"];
        let (per_s, cpu) = (found.per_s.unwrap(), found.cpu_each.unwrap());
        assert!((per_s.max - 0.8).abs() < 1e-9 && (per_s.min - 0.8).abs() < 1e-9);
        assert!((cpu.median - 1.2).abs() < 1e-9);
        assert_eq!(report.deliveries(), 6000);
        assert!(report.failures.is_empty());
        let tables = report.tables();
        let titles: Vec<&str> = tables.iter().map(|table| &*table.title).collect();
        let first = "Goals of one shard, and what was measured";
        let second = "Server CPU of a delivery, as a ratio to bare";
        assert_eq!(titles[..3], [first, second, "Deliveries per second"]);
        let row = ["1 → 10", "8.00 c", "10.0 c"].map(str::to_owned);
        assert_eq!(tables[2].rows, [row.to_vec()]);
    }

    #[test]
    fn what_was_lost_is_a_failure() {
        let mut report = report(&[LOAD]);
        report.add(LOAD, "bare", Ok(run(10.0, 50.0, 3)));
        report.add(LOAD, "bare", Ok(run(10.0, 50.0, 0)));
        report.finish();
        assert_eq!(
            report.failures,
            ["1 → 10: bare: lost 3 and reordered 0 of 2000"]
        );
    }
}
