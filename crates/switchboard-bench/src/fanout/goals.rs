//! What our hub is meant to reach beside the others, and what it did reach.

use core::fmt;

use serde::Serialize;

use super::report::{BUSIEST, CPU_EACH, Figure, P99, PER_S};
use super::{Crew, Entry, FanoutReport, Hub, Load, Slow};
use crate::stats::Summary;
use crate::table::{Table, grouped, short, three_digits};

/// Bytes of a message that the goals are for, messages on the way, and deliveries a second where it
/// is paced.
const MEANT: (usize, usize, u32) = (128, 256, 20_000);

/// Flat out: speakers and members; then, as ratios to Redis's, how many deliveries a second there
/// are at least, and how much CPU time each takes at most.
const FLAT_OUT: [(usize, usize, f64, f64); 4] = [
    (1, 10, 1.8, 0.55),
    (1, 100, 2.2, 0.4),
    (1, 1000, 4.0, 0.25),
    (10, 1000, 6.0, 0.15),
];

/// Paced: speakers and members, and what p99 is at most as a ratio to Redis's.
const PACED: [(usize, usize, f64); 2] = [(1, 100, 0.6), (1, 1000, 0.9)];

/// Deliveries a second as a ratio to NATS's, where ten speak to a thousand.
const TO_NATS: f64 = 8.0;
/// CPU time of a delivery as a ratio to that of the barest loop.
const CPU_TO_BARE: f64 = 1.25;
/// Deliveries a second with the log as a ratio to those without.
const WITH_LOG: f64 = 0.7;
/// CPU time of a delivery as a ratio to Redis's, where it is paced.
const PACED_CPU: f64 = 0.8;
/// CPU time of a visit as a ratio to Redis's.
const CHURN_CPU: f64 = 1.0;
/// CPU time of a delivery beside a slow reader as a ratio to that without.
const BESIDE: f64 = 1.05;
/// How much more two shards can do than one, by the CPU time of the busiest thread.
const TWO_SHARDS: f64 = 1.7;
/// One for each shard and one for the load.
const CORES_FOR_TWO_SHARDS: usize = 3;
/// Parcels a second without the log, and with it.
const PARCELS_PER_S: (f64, f64) = (500e3, 150e3);
/// Bytes of a silent member.
const SILENT_BYTES: f64 = 400.0;
/// How much of a core all silent members take.
const SILENT_CPU: f64 = 0.01;

/// What a figure is meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Wanted {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(0.0) => f.write_str("0"),
            Self::AtLeast(least) => write!(f, "≥ {}", short(*least)),
            Self::AtMost(most) => write!(f, "≤ {}", short(*most)),
        }
    }
}

/// One goal, and what was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// What is compared with what.
    pub what: String,
    /// What it is meant to be.
    pub wanted: Wanted,
    /// What it was, over the rounds; `None` if the one side or the other was not measured.
    pub found: Option<Summary>,
    /// Whether the median is as it is meant to be.
    pub is_met: Option<bool>,
    /// The load's core was full: the rate is the load's own limit.
    pub load_was_full: bool,
}

/// A figure of a hub under a load.
#[derive(Clone, Copy)]
struct Side<'a>(Load, &'a str, Figure);

/// All goals for which ours was measured.
pub(super) fn find(report: &FanoutReport) -> Vec<Found> {
    let mut goals = Goals {
        report,
        found: Vec::new(),
    };
    if (report.bytes, report.window, report.pace_per_s) == MEANT {
        goals.flat_out();
        goals.paced();
        goals.visits_and_slow_readers();
        goals.shards();
    }
    goals.parcels();
    goals.silence();
    goals.nothing_lost();
    goals.found
}

struct Goals<'a> {
    report: &'a FanoutReport,
    found: Vec<Found>,
}

impl<'a> Goals<'a> {
    fn entry(&self, load: Load, hub: &str) -> Option<&'a Entry> {
        let mut entries = self.report.entries.iter();
        entries.find(|entry| entry.load == load && entry.hub == hub && !entry.runs.is_empty())
    }

    fn push(&mut self, what: String, wanted: Wanted, found: Option<Summary>) {
        self.found.push(Found {
            what,
            wanted,
            is_met: found.map(|found| wanted.is_met_by(found.median)),
            found,
            load_was_full: false,
        });
    }

    /// The ratio of one side to another, if the first one is ours and was measured.
    fn ratio(&mut self, what: String, of: Side<'_>, to: Side<'_>, wanted: Wanted) {
        let Side(load, hub, figure) = of;
        let Some(ours) = self.entry(load, hub) else {
            return;
        };
        let Side(load, hub, its_figure) = to;
        let found = self
            .entry(load, hub)
            .and_then(|other| Summary::of_ratios(&ours.each(figure), &other.each(its_figure)));
        self.push(what, wanted, found);
    }

    /// The ratio of the deliveries a second of ours to another one's.
    fn rate(&mut self, what: String, load: Load, other: &str, least: f64) {
        let ours = Side(load, Hub::OURS, PER_S);
        self.ratio(what, ours, Side(load, other, PER_S), Wanted::AtLeast(least));
        let was_full = self.entry(load, Hub::OURS).map(|entry| entry.load_was_full);
        if let (Some(last), Some(was_full)) = (self.found.last_mut(), was_full) {
            last.load_was_full = was_full;
        }
    }

    fn flat_out(&mut self) {
        let loads = FLAT_OUT.map(|(speakers, members, per_s, cpu)| {
            (Load::FlatOut(Crew { speakers, members }), per_s, cpu)
        });
        for (load, per_s, _) in loads {
            let what = format!("{load}: deliveries per second, to redis");
            self.rate(what, load, Hub::REDIS, per_s);
        }
        if let Some((load, ..)) = loads.last().copied() {
            let what = format!("{load}: deliveries per second, to nats");
            self.rate(what, load, Hub::NATS, TO_NATS);
        }
        for (base, limit) in [(Hub::REDIS, None), (Hub::BARE, Some(CPU_TO_BARE))] {
            for (load, _, cpu) in loads {
                let what = format!("{load}: server CPU of a delivery, to {base}");
                let ours = Side(load, Hub::OURS, CPU_EACH);
                let wanted = Wanted::AtMost(limit.unwrap_or(cpu));
                self.ratio(what, ours, Side(load, base, CPU_EACH), wanted);
            }
        }
        for (load, ..) in loads {
            let what = format!("{load}: deliveries per second with the log, to those without");
            let (log, ours) = (
                Side(load, Hub::OURS_LOG, PER_S),
                Side(load, Hub::OURS, PER_S),
            );
            self.ratio(what, log, ours, Wanted::AtLeast(WITH_LOG));
        }
    }

    fn paced(&mut self) {
        for (speakers, members, p99) in PACED {
            let load = Load::Paced(Crew { speakers, members });
            for (name, figure, most) in [
                ("server CPU of a delivery", CPU_EACH, PACED_CPU),
                ("latency p99", P99, p99),
            ] {
                let what = format!("{load}: {name}, to redis");
                let (ours, redis) = (
                    Side(load, Hub::OURS, figure),
                    Side(load, Hub::REDIS, figure),
                );
                self.ratio(what, ours, redis, Wanted::AtMost(most));
            }
        }
    }

    fn visits_and_slow_readers(&mut self) {
        let load = Load::Churn;
        let redis = Side(load, Hub::REDIS, CPU_EACH);
        let what = format!("{load}: server CPU of a visit, to redis");
        let ours = Side(load, Hub::OURS, CPU_EACH);
        self.ratio(what, ours, redis, Wanted::AtMost(CHURN_CPU));
        for entry in &self.report.entries {
            if let Load::Beside(crew, slow) = entry.load
                && slow != Slow::Nobody
                && entry.hub == Hub::OURS
            {
                let what = format!("{}: server CPU of a delivery, to that without", entry.load);
                let alone = Side(Load::Beside(crew, Slow::Nobody), Hub::OURS, CPU_EACH);
                let beside = Side(entry.load, Hub::OURS, CPU_EACH);
                self.ratio(what, beside, alone, Wanted::AtMost(BESIDE));
            }
        }
    }

    fn shards(&mut self) {
        for entry in &self.report.entries {
            if matches!(entry.load, Load::Rooms(_)) && entry.hub != Hub::OURS {
                let what = format!(
                    "{}: what {} can do to what {} can, by the CPU of the busiest thread",
                    entry.load,
                    entry.hub,
                    Hub::OURS
                );
                let one = Side(entry.load, Hub::OURS, BUSIEST);
                let many = Side(entry.load, &entry.hub, BUSIEST);
                self.ratio(what, one, many, Wanted::AtLeast(TWO_SHARDS));
                self.shards_by_the_clock(entry);
            }
        }
    }

    /// The load has its part of the cores: where there are too few, it can only be seen to be met.
    fn shards_by_the_clock(&mut self, entry: &Entry) {
        let cores = self.report.machine.cores;
        let what = format!("the same by the clock, with {cores} cores for hub and load");
        let many = Side(entry.load, &entry.hub, PER_S);
        let one = Side(entry.load, Hub::OURS, PER_S);
        self.ratio(what, many, one, Wanted::AtLeast(TWO_SHARDS));
        if let Some(last) = self.found.last_mut()
            && cores < CORES_FOR_TWO_SHARDS
        {
            last.is_met = last.is_met.filter(|is_met| *is_met);
        }
    }

    fn parcels(&mut self) {
        let (without, with) = PARCELS_PER_S;
        let hubs = [
            (Hub::OURS, "without the log", without),
            (Hub::OURS_LOG, "on disk", with),
        ];
        for (hub, how, least) in hubs {
            if let Some(entry) = self.entry(Load::Parcels, hub) {
                let what = format!("parcels a second on one connection, {how}");
                self.push(what, Wanted::AtLeast(least), entry.per_s);
            }
        }
    }

    fn silence(&mut self) {
        let mut silence = self.report.silence.iter();
        let Some(found) = silence.find(|found| found.hub == Hub::OURS) else {
            return;
        };
        let who = format!("{} silent members", grouped(found.members));
        let figures = [
            ("bytes each", SILENT_BYTES, found.bytes_each),
            ("part of a core", SILENT_CPU, found.cpu_s / found.seconds),
            ("wake-ups", 0.0, found.wake_ups as f64),
        ];
        for (name, most, value) in figures {
            let what = format!("{who}: {name}");
            self.push(what, Wanted::AtMost(most), Summary::of([value]));
        }
    }

    fn nothing_lost(&mut self) {
        let ours = |entry: &&Entry| entry.hub.starts_with("ours-") && !entry.runs.is_empty();
        let entries: Vec<&Entry> = self.report.entries.iter().filter(ours).collect();
        if entries.is_empty() {
            return;
        }
        let wrong: u64 = entries
            .iter()
            .map(|entry| entry.lost + entry.reordered)
            .sum();
        let what = "lost and reordered in all runs".to_owned();
        self.push(what, Wanted::AtMost(0.0), Summary::of([wrong as f64]));
    }
}

/// The goals, a row each.
pub(super) fn table(goals: &[Found]) -> Table {
    let value = |value: f64| {
        if value.abs() < 999.5 {
            three_digits(value)
        } else {
            short(value)
        }
    };
    let row = |goal: &Found| {
        let mark = if goal.load_was_full { " c" } else { "" };
        let missing = || super::tables::MISSING.to_owned();
        vec![
            goal.what.clone(),
            goal.wanted.to_string(),
            goal.found
                .map_or_else(missing, |found| value(found.median) + mark),
            goal.found.map_or_else(missing, |found| {
                format!("{} to {}", value(found.min), value(found.max))
            }),
            match goal.is_met {
                Some(true) => "met".to_owned(),
                Some(false) => "missed".to_owned(),
                None => missing(),
            },
        ]
    };
    let head = ["goal", "wanted", "measured", "lowest to highest", ""];
    Table {
        title: "Goals of one shard, and what was measured".to_owned(),
        head: head.map(str::to_owned).into(),
        rows: goals.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::{report, run};
    use super::{Found, Hub, Load, Wanted, table};
    use crate::fanout::Crew;

    const LOAD: Load = Load::FlatOut(Crew {
        speakers: 1,
        members: 10,
    });

    fn found(goals: &[Found], what: &str) -> Found {
        let goal = goals.iter().find(|goal| goal.what.contains(what));
        goal.unwrap_or_else(|| panic!("no {what} in {goals:?}"))
            .clone()
    }

    #[test]
    fn a_goal_is_met_by_the_median_of_the_ratios_within_each_round() {
        let mut report = report(&[LOAD]);
        for speed in [1.0, 4.0, 1.0] {
            let bare = run(10.0 * speed, 50.0 / speed, 0);
            report.add(LOAD, Hub::BARE, Ok(bare));
            let ours = run(20.0 * speed, 60.0 / speed, 0);
            report.add(LOAD, Hub::OURS, Ok(ours));
        }
        report.finish();
        let met = found(&report.goals, "1 → 10: server CPU of a delivery, to bare");
        assert_eq!((met.wanted, met.is_met), (Wanted::AtMost(1.25), Some(true)));
        assert!((met.found.unwrap().median - 1.2).abs() < 1e-9);
        // Redis was not there.
        let unknown = found(&report.goals, "1 → 10: deliveries per second, to redis");
        assert_eq!((unknown.found, unknown.is_met), (None, None));
        // Nothing was measured of what ten say to a thousand.
        assert!(!report.goals.iter().any(|goal| goal.what.contains("1,000")));
        let rows = table(&report.goals).rows;
        let row = ["≤ 1.25", "1.20", "1.20 to 1.20", "met"].map(str::to_owned);
        assert!(rows.iter().any(|cells| cells[1..] == row), "{rows:?}");
    }

    #[test]
    fn what_is_dearer_than_wanted_or_lost_is_missed() {
        let mut report = report(&[LOAD]);
        report.add(LOAD, Hub::BARE, Ok(run(10.0, 50.0, 0)));
        report.add(LOAD, Hub::OURS, Ok(run(10.0, 63.0, 2)));
        report.finish();
        assert_eq!(found(&report.goals, "to bare").is_met, Some(false));
        assert_eq!(found(&report.goals, "lost").is_met, Some(false));
    }
}
