//! What came out.

use std::collections::BTreeMap;

use berkeley::selector::{Backend, Selector};
use serde::Serialize;

use super::MuxOptions;
use super::drive::Driven;
use crate::machine::Machine;
use crate::stats::Summary;
use crate::table::{Table, grouped, short, time};

/// All back ends at all numbers of sockets.
#[derive(Debug, Clone, Serialize)]
pub struct MuxReport {
    /// Where it was measured.
    pub machine: Machine,
    /// Busy sockets beside the idle ones.
    pub busy: usize,
    /// How long each run was.
    pub run_seconds: f64,
    /// How often everything was done.
    pub rounds: usize,
    /// Sending and receiving with no selector: by number of idle sockets, nanoseconds.
    pub floor_ns: BTreeMap<usize, Summary>,
    /// One for each back end.
    pub series: Vec<Series>,
    /// What was left out, and why.
    pub notes: Vec<String>,
    #[serde(skip)]
    floor_runs: BTreeMap<usize, Vec<f64>>,
}

/// One back end.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    /// Its name.
    pub backend: String,
    /// In growing order of sockets.
    pub points: Vec<Point>,
    /// The number of idle sockets that it could not go beyond.
    pub ended_at: Option<usize>,
    #[serde(skip)]
    runs: BTreeMap<usize, Vec<Run>>,
}

/// One back end at one number of sockets.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Point {
    /// Idle sockets that were watched; as many were busy in the second measurement.
    pub sockets: usize,
    /// CPU time of one event beside so many idle sockets, in nanoseconds.
    pub beside_idle_ns: Summary,
    /// Events a second of CPU time when so many sockets are busy.
    pub all_busy_per_s: Summary,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    beside_idle_ns: f64,
    all_busy_per_s: f64,
}

impl MuxReport {
    pub(super) fn new(options: &MuxOptions, machine: Machine) -> Self {
        let series = options.backends.iter().map(|backend| Series {
            backend: backend.name().to_owned(),
            points: Vec::new(),
            ended_at: None,
            runs: BTreeMap::new(),
        });
        Self {
            machine,
            busy: options.busy,
            run_seconds: options.length.as_secs_f64(),
            rounds: options.rounds,
            floor_ns: BTreeMap::new(),
            series: series.collect(),
            notes: Vec::new(),
            floor_runs: BTreeMap::new(),
        }
    }

    pub(super) fn add_floor(&mut self, sockets: usize, ns: f64) {
        self.floor_runs.entry(sockets).or_default().push(ns);
    }

    /// Adds a run with so many idle sockets wanted.
    pub(super) fn add(&mut self, backend: Backend, wanted: usize, driven: &Driven) {
        let Driven {
            beside_idle_ns,
            all_busy_per_s,
            watched_idle,
            refused,
        } = driven;
        let mut note = None;
        if let Some(series) = self.of_mut(backend) {
            series.runs.entry(*watched_idle).or_default().push(Run {
                beside_idle_ns: *beside_idle_ns,
                all_busy_per_s: *all_busy_per_s,
            });
            if let Some(why) = refused
                && series.ended_at.replace(*watched_idle).is_none()
            {
                note = Some(format!(
                    "{backend} ends at {} idle sockets where {} were wanted: {why}",
                    grouped(*watched_idle),
                    grouped(wanted)
                ));
            }
        }
        self.notes.extend(note);
    }

    /// Those that have not met their limit yet.
    pub(super) fn still_going<'a>(
        &self,
        selectors: &'a [Box<dyn Selector>],
    ) -> Vec<&'a dyn Selector> {
        let has_ended = |selector: &dyn Selector| {
            let mut ended = self.series.iter().filter(|one| one.ended_at.is_some());
            ended.any(|series| series.backend == selector.backend().name())
        };
        let all = selectors.iter().map(|selector| &**selector);
        all.filter(|selector| !has_ended(*selector)).collect()
    }

    fn of_mut(&mut self, backend: Backend) -> Option<&mut Series> {
        self.series
            .iter_mut()
            .find(|series| series.backend == backend.name())
    }

    /// Works out the figures when all runs are in.
    pub(super) fn finish(&mut self) {
        for (sockets, runs) in &self.floor_runs {
            if let Some(found) = Summary::of(runs.iter().copied()) {
                self.floor_ns.insert(*sockets, found);
            }
        }
        for series in &mut self.series {
            let point = |(sockets, runs): (&usize, &Vec<Run>)| {
                Some(Point {
                    sockets: *sockets,
                    beside_idle_ns: Summary::of(runs.iter().map(|run| run.beside_idle_ns))?,
                    all_busy_per_s: Summary::of(runs.iter().map(|run| run.all_busy_per_s))?,
                })
            };
            series.points = series.runs.iter().filter_map(point).collect();
        }
    }

    /// The tables, a row for each number of sockets and a column for each back end.
    #[must_use]
    pub fn tables(&self) -> Vec<Table> {
        let mut beside = self.table(
            &format!(
                "CPU time of one event, {} sockets busy beside idle ones",
                self.busy
            ),
            "idle sockets",
            |point| time(point.beside_idle_ns.median),
        );
        beside.head.push("send and receive alone".to_owned());
        for (row, sockets) in beside.rows.iter_mut().zip(self.numbers()) {
            let floor = self.floor_ns.get(&sockets);
            row.push(floor.map_or_else(missing, |found| time(found.median)));
        }
        let busy = self.table(
            "Events per second of CPU, all sockets busy",
            "busy sockets",
            |point| short(point.all_busy_per_s.median),
        );
        vec![beside, busy]
    }

    fn table(&self, title: &str, first: &str, cell: impl Fn(&Point) -> String) -> Table {
        let mut head = vec![first.to_owned()];
        head.extend(self.series.iter().map(|series| series.backend.clone()));
        let row = |sockets: usize| {
            let at = |series: &Series| {
                let point = series.points.iter().find(|point| point.sockets == sockets);
                point.map_or_else(missing, &cell)
            };
            let mut row = vec![grouped(sockets)];
            row.extend(self.series.iter().map(at));
            row
        };
        Table {
            title: title.to_owned(),
            head,
            rows: self.numbers().into_iter().map(row).collect(),
        }
    }

    fn numbers(&self) -> Vec<usize> {
        let points = self.series.iter().flat_map(|series| &series.points);
        let mut numbers: Vec<usize> = points.map(|point| point.sockets).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

fn missing() -> String {
    "–".to_owned()
}
