//! What came out of the rounds, as tables.

use super::parcels::MESSAGE_BYTES;
use super::report::{CPU_EACH, P99, PER_S};
use super::{Entry, FanoutReport, Hub, Load, Ratios, Silence, Slow, goals};
use crate::stats::Summary;
use crate::table::{Table, grouped, short, three_digits, time};

/// What stands where nothing was measured.
pub(super) const MISSING: &str = "–";

const MIB: f64 = 1_048_576.0;

impl FanoutReport {
    /// The tables, a row for each load and a column for each hub.
    #[must_use]
    pub fn tables(&self) -> Vec<Table> {
        let to = |title: &str, base: &'static str, pick: fn(&Ratios) -> Option<Summary>| {
            self.table(&format!("{title}, as a ratio to {base}"), move |entry| {
                let found = pick(entry.ratios.get(base)?)?;
                Some(three_digits(found.median))
            })
        };
        let per_s = "Deliveries per second";
        let cpu = "Server CPU of a delivery";
        let mut tables = vec![
            goals::table(&self.goals),
            to(per_s, Hub::REDIS, |ratios| ratios.per_s),
            to(cpu, Hub::REDIS, |ratios| ratios.cpu_each),
            to(cpu, Hub::BARE, |ratios| ratios.cpu_each),
            to("Latency p99", Hub::REDIS, |ratios| ratios.p99),
            to(per_s, Hub::NATS, |ratios| ratios.per_s),
            self.table(per_s, |entry| {
                Some(short(entry.per_s?.median) + marks(entry))
            }),
            self.table(cpu, |entry| Some(time(entry.cpu_ns_each?.median))),
            self.table("Latency, p50 / p99", |entry| {
                let (p50, p99) = (entry.p50_us?.median, entry.p99_us?.median);
                Some(format!("{} / {}", time(p50 * 1e3), time(p99 * 1e3)))
            }),
            self.table("Peak memory, MiB", |entry| {
                Some(three_digits(entry.peak_bytes?.median / MIB))
            }),
        ];
        // Without a hub nothing can be compared with it.
        tables.retain(|table| {
            let mut figures = table.rows.iter().flat_map(|row| row.iter().skip(1));
            figures.any(|cell| cell != MISSING)
        });
        tables.extend(self.table_of_slow_readers());
        tables.extend(self.table_of_shards());
        tables.extend(self.table_of_parcels());
        tables.extend(self.table_of_silence());
        tables
    }

    fn table(&self, title: &str, cell: impl Fn(&Entry) -> Option<String>) -> Table {
        let mut head = vec!["speakers → members".to_owned()];
        let all = || self.entries.iter().filter(|entry| entry.load.is_for_all());
        let first = all().next().map(|entry| entry.load);
        let hubs = all().filter(|entry| Some(entry.load) == first);
        head.extend(hubs.map(|entry| entry.hub.clone()));
        let mut rows: Vec<(Load, Vec<String>)> = Vec::new();
        for entry in all() {
            let shown = cell(entry).unwrap_or_else(missing);
            match rows.last_mut() {
                Some((load, row)) if *load == entry.load => row.push(shown),
                _ => rows.push((entry.load, vec![entry.load.to_string(), shown])),
            }
        }
        Table {
            title: title.to_owned(),
            head,
            rows: rows.into_iter().map(|(_, row)| row).collect(),
        }
    }

    /// A row for each of ours and each slow reader: what changes for all others.
    fn table_of_slow_readers(&self) -> Option<Table> {
        let is_beside = |entry: &&Entry| matches!(entry.load, Load::Beside(..));
        let row = |entry: &Entry| {
            let Load::Beside(crew, _) = entry.load else {
                return None;
            };
            let alone = Load::Beside(crew, Slow::Nobody);
            let mut entries = self.entries.iter();
            let alone = entries.find(|other| other.load == alone && other.hub == entry.hub)?;
            let ratio = |figure| {
                let found = Summary::of_ratios(&entry.each(figure), &alone.each(figure));
                found.map_or_else(missing, |found| three_digits(found.median))
            };
            Some(vec![
                entry.load.to_string(),
                entry.hub.clone(),
                shown(entry.per_s, short),
                ratio(PER_S),
                shown(entry.cpu_ns_each, time),
                ratio(CPU_EACH),
                shown(entry.p99_us, |us| time(us * 1e3)),
                ratio(P99),
            ])
        };
        let head = [
            "speakers → members",
            "hub",
            "deliveries/s",
            "ratio",
            "server CPU of a delivery",
            "ratio",
            "p99",
            "ratio",
        ];
        let title = "One more reader who does not keep up, as ratios to none";
        let rows = self.entries.iter().filter(is_beside).filter_map(row);
        table_of(title, &head, rows)
    }

    /// Ours with one shard and with more, where each speaker has a room of its own.
    fn table_of_shards(&self) -> Option<Table> {
        let entries = self.entries.iter();
        let entries = entries.filter(|entry| matches!(entry.load, Load::Rooms(_)));
        let row = |entry: &Entry| {
            // What is left of all cores when the load has its part.
            let limit = entry.cpu_ns_each.zip(entry.load_cpu_ns_each);
            let limit = limit.map_or_else(missing, |(hub, load)| {
                short(self.machine.cores as f64 * 1e9 / (hub.median + load.median))
            });
            vec![
                entry.load.to_string(),
                entry.hub.clone(),
                shown(entry.per_s, short),
                limit,
                shown(entry.load_cpu_ns_each, time),
                shown(entry.cpu_ns_each, time),
                shown(entry.busiest_cpu_ns_each, time),
                shown(entry.busiest_cpu_ns_each, |ns| short(1e9 / ns)),
            ]
        };
        let head = [
            "speakers → members",
            "hub",
            "deliveries/s, by the clock",
            "the most that all cores allow, with the load",
            "load CPU of a delivery",
            "server CPU of a delivery",
            "its busiest thread's",
            "deliveries/s of CPU of the busiest thread",
        ];
        table_of("A room for each speaker", &head, entries.map(row))
    }

    fn table_of_parcels(&self) -> Option<Table> {
        let entries = self.entries.iter();
        let entries = entries.filter(|entry| entry.load == Load::Parcels);
        let row = |entry: &Entry| {
            let marks = marks(entry);
            vec![
                entry.hub.clone(),
                shown(entry.per_s, short) + marks,
                shown(entry.cpu_ns_each, time),
                shown(entry.busiest_cpu_ns_each, time),
                shown(entry.p50_us, |us| time(us * 1e3)),
                shown(entry.p99_us, |us| time(us * 1e3)),
                shown(entry.peak_bytes, |bytes| three_digits(bytes / MIB)),
            ]
        };
        let head = [
            "hub",
            "parcels/s",
            "server CPU of each",
            "its busiest thread's",
            "p50 to an answer",
            "p99",
            "peak memory, MiB",
        ];
        let title = format!("Parcels of {MESSAGE_BYTES} bytes on one connection");
        table_of(&title, &head, entries.map(row))
    }

    fn table_of_silence(&self) -> Option<Table> {
        let first = self.silence.first()?;
        let head = [
            "hub",
            "members",
            "bytes each",
            "CPU ms, silent",
            "wake-ups, silent",
            "CPU s to let all in",
            "peak memory, MiB",
        ];
        let row = |found: &Silence| {
            vec![
                found.hub.clone(),
                grouped(found.members),
                format!("{:.0}", found.bytes_each),
                three_digits(found.cpu_s * 1e3),
                found.wake_ups.to_string(),
                three_digits(found.join_cpu_s),
                three_digits(found.peak_bytes as f64 / MIB),
            ]
        };
        Some(Table {
            title: format!(
                "Members in the room who are silent, for {} s",
                first.seconds
            ),
            head: head.map(str::to_owned).into(),
            rows: self.silence.iter().map(row).collect(),
        })
    }
}

fn missing() -> String {
    MISSING.to_owned()
}

/// The median, in this form.
fn shown(found: Option<Summary>, form: impl Fn(f64) -> String) -> String {
    found.map_or_else(missing, |found| form(found.median))
}

/// Whether a rate is the load's own limit, and whether something else ran beside the hub.
fn marks(entry: &Entry) -> &'static str {
    match (entry.load_was_full, entry.server_was_disturbed) {
        (true, true) => " c~",
        (true, false) => " c",
        (false, true) => " ~",
        (false, false) => "",
    }
}

/// A table, if there is anything in it.
fn table_of(title: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Option<Table> {
    let rows: Vec<Vec<String>> = rows.collect();
    (!rows.is_empty()).then(|| Table {
        title: title.to_owned(),
        head: head.iter().map(|&name| name.to_owned()).collect(),
        rows,
    })
}
