//! `switchboard bench fanout`.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use switchboard_bench::fanout::{Crew, FanoutOptions, FanoutReport, Hub, hubs, measure};

use super::{Form, PEERS, PEERS_HINT, Watch, check, explain};
use crate::terminal::{positive_seconds, tell, with_hint};

/// Our hub beside Redis, NATS, inspircd and mosquitto, a room on tokio and the barest loop
///
/// Each hub runs as a process of its own on one core, and the load on another one: one thread
/// that speaks each hub's protocol. A few speak and many hear; every message is compared with what
/// was said, and each member's are counted: none may be lost or out of order. In each round the
/// hubs are fresh, have their limits raised, and logs, persistence and flood control off. They are
/// all there at once and have turns of a tenth of a second; who has none is stopped (SIGSTOP).
#[derive(Debug, clap::Args)]
#[command(after_help = "Hubs:
  ours-epoll, ours-io-uring   switchboard serve, the chat door alone, on each back end here
  bare        the barest epoll loop: a turn's lines to each member with one send
  tokio       a broadcast channel and two tasks a connection, current-thread runtime
  redis, nats, inspircd, mosquitto   as far as they are installed
  ours-epoll-log                     the same with the log on
  ours-select, ours-poll, ours-epoll-N   only if they are named; N is what --shards says
bare and tokio come with: cargo build --release -p bench-peers
The others with: apt-get install redis-server nats-server inspircd mosquitto

Examples:
  switchboard bench fanout                                         everything: a quarter of an hour
  switchboard bench fanout --parts flat --flat 1:100 --rounds 3    one load
  switchboard bench fanout --hubs ours-epoll,redis,nats --parts flat,paced
  switchboard bench fanout --parts silent --hubs ours-epoll        what silent members cost
  switchboard bench fanout --json > fanout.json                    every run, for programs")]
pub(crate) struct Args {
    /// What to measure
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "flat,paced,churn,slow,shards,parcels,silent"
    )]
    parts: Vec<Part>,

    /// Who speaks flat out: speakers and members
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "1:10,1:100,1:1000,10:1000"
    )]
    flat: Vec<Crew>,

    /// Who speaks at a pace
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "1:10,1:100,1:1000,10:1000"
    )]
    paced: Vec<Crew>,

    /// Deliveries a second, where it is paced
    #[arg(long, value_name = "N", default_value = "20000")]
    pace: u32,

    /// Who speaks in a room in which one more reads nothing, a byte a second, or comes and goes
    #[arg(long, value_name = "CREW", default_value = "1:100")]
    slow: Crew,

    /// Who speaks in rooms of their own, which are heard by an equal part of the members each
    #[arg(long, value_name = "CREW", default_value = "16:800")]
    rooms: Crew,

    /// Shards of the hub that is compared there with one of a single shard
    #[arg(long, value_name = "N", default_value = "2")]
    shards: u16,

    /// Members who are in the room and silent
    #[arg(long, value_name = "N", default_value = "19000")]
    silent: usize,

    /// Bytes of a message
    #[arg(long, value_name = "N", default_value = "128")]
    bytes: usize,

    /// Messages on the way at once
    #[arg(long, value_name = "N", default_value = "256")]
    window: usize,

    /// Which hubs [default: all that are here but those that must be named]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    hubs: Vec<String>,

    /// How long each of them is measured in each round
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = positive_seconds)]
    seconds: Duration,

    /// How often everything is done
    #[arg(long, value_name = "N", default_value = "5")]
    rounds: usize,

    #[command(flatten)]
    form: Form,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// As much as goes
    Flat,
    /// At a pace
    Paced,
    /// Connect, one message, close
    Churn,
    /// A slow reader beside the others, at ours
    Slow,
    /// A room for each speaker, at ours with one shard and with more
    Shards,
    /// Parcels on one connection, at ours
    Parcels,
    /// Members who are silent
    Silent,
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let has = |part| self.parts.contains(&part);
        let crews = |part, crews: &[Crew]| {
            if has(part) {
                crews.to_vec()
            } else {
                Vec::new()
            }
        };
        let Chosen {
            hubs,
            sharded,
            missing,
        } = chosen(&self.hubs, self.shards)?;
        let options = FanoutOptions {
            flat_out: crews(Part::Flat, &self.flat),
            paced: crews(Part::Paced, &self.paced),
            pace_per_s: self.pace,
            churn: has(Part::Churn),
            beside: has(Part::Slow).then_some(self.slow),
            rooms: has(Part::Shards).then_some(self.rooms),
            sharded,
            parcels: has(Part::Parcels),
            silent: if has(Part::Silent) { self.silent } else { 0 },
            bytes: self.bytes,
            window: self.window,
            length: self.seconds,
            rounds: self.rounds,
            hubs,
        };
        let watch = Watch::new()?;
        let measured = measure(&options, &mut |progress| {
            watch.bar.set_length(progress.all as u64);
            watch.bar.set_position(progress.done as u64);
            watch.step(format!("{} {}", progress.what, progress.hub))
        });
        drop(watch);
        let mut report = measured.map_err(explain)?;
        report.notes.extend(missing);
        self.form
            .write(&report, &report.tables(), &below(&report))?;
        check(&report.failures)
    }
}

/// What is measured.
struct Chosen {
    hubs: Vec<Hub>,
    /// Ours with more shards than one.
    sharded: Option<Hub>,
    missing: Vec<String>,
}

/// The hubs with these names; without names the usual ones that are here, and what is missing.
fn chosen(names: &[String], shards: u16) -> anyhow::Result<Chosen> {
    let own = env::current_exe().context("where this program lies is not known")?;
    let peers: PathBuf = own.with_file_name(PEERS);
    let peers = peers.is_file().then_some(peers);
    let (all, not_installed) = hubs(&own, peers.as_deref(), shards);
    let not_built = peers
        .is_none()
        .then(|| format!("without bare and tokio: {PEERS_HINT}"));
    let missing: Vec<String> = not_built.into_iter().chain(not_installed).collect();
    let sharded = all.iter().find(|hub| hub.is_sharded()).cloned();
    if names.is_empty() {
        missing.iter().for_each(tell);
        return Ok(Chosen {
            hubs: all.into_iter().filter(|hub| hub.is_usual).collect(),
            sharded,
            missing,
        });
    }
    let mut chosen = Vec::new();
    for name in names {
        let found = all.iter().find(|hub| hub.name == *name);
        chosen.push(found.cloned().ok_or_else(|| {
            let here: Vec<&str> = all.iter().map(|hub| &*hub.name).collect();
            let error = anyhow::anyhow!("there is no hub {name:?} here, only {}", here.join(", "));
            with_hint(error, &missing.join("; "))
        })?);
    }
    Ok(Chosen {
        hubs: chosen,
        sharded,
        missing: Vec::new(),
    })
}

/// What readers of the tables must know.
fn below(report: &FanoutReport) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, what) in &report.hubs {
        lines.push(format!("{name}: {what}"));
    }
    lines.extend(report.notes.iter().cloned());
    let failures = report.failures.iter();
    lines.extend(failures.map(|failure| format!("failed: {failure}")));
    let lost = report.entries.iter().map(|entry| entry.lost).sum::<u64>();
    let reordered = report.entries.iter().map(|entry| entry.reordered);
    let reordered = reordered.sum::<u64>();
    lines.push(format!(
        "lost {lost} and reordered {reordered} of {} deliveries, each of which was compared",
        report.deliveries()
    ));
    if report.entries.iter().any(|entry| entry.load_was_full) {
        lines.push("c: the load's core was over 95 % full; the hub can do more".to_owned());
    }
    if report
        .entries
        .iter()
        .any(|entry| entry.server_was_disturbed)
    {
        lines.push("~: the hub waited over 10 % of the time for its core".to_owned());
    }
    lines.push(format!(
        "messages of {} bytes, at most {} on the way; paced: {} deliveries a second",
        report.bytes, report.window, report.pace_per_s
    ));
    if let Some(cores) = report.cores {
        lines.push(format!(
            "hubs on core {}, load on core {}",
            cores.server, cores.load
        ));
    }
    lines.push(format!(
        "medians of {} rounds of {} s, ratios taken within each round; all took {:.0} s; {}",
        report.rounds, report.run_seconds, report.took_seconds, report.machine
    ));
    lines
}
