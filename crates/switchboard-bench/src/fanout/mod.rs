//! Hubs under the same talk, in interleaved rounds: what is said in one room is heard by many.

mod crowd;
mod hub;
mod idle;
mod report;
mod run;
mod talk;
mod wire;

use core::fmt;
use core::ops::ControlFlow;
use core::time::Duration;
use std::str::FromStr;

use serde::Serialize;

use crate::BenchError;
use crate::machine::{Cores, Machine, Pinned};

pub use hub::{Hub, hubs};
pub use idle::Silence;
pub use report::{Entry, FanoutReport, Ratios};
pub use run::Run;

/// Descriptors that are not for connections.
const DESCRIPTORS_RESERVED: u64 = 64;

/// Connections that come and go at once ([`Load::Churn`]).
pub const CHURN_AT_ONCE: usize = 32;

/// Who speaks to whom: `10:1000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Crew {
    /// How many speak.
    pub speakers: usize,
    /// How many hear.
    pub members: usize,
}

impl FromStr for Crew {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':');
        let parsed = parts.and_then(|(speakers, members)| {
            Some(Self {
                speakers: speakers.parse().ok()?,
                members: members.parse().ok()?,
            })
        });
        parsed.ok_or_else(|| "it is two numbers such as 10:1000".to_owned())
    }
}

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// As much as goes, with so many messages on the way at most.
    FlatOut(Crew),
    /// One message after the other, so that so many are heard a second.
    Paced(Crew),
    /// Somebody comes, says one thing that a standing member hears, and leaves; 32 at a time.
    Churn,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let crew = |crew: &Crew| {
            let members = crate::table::grouped(crew.members);
            format!("{} → {members}", crew.speakers)
        };
        match self {
            Self::FlatOut(who) => write!(f, "{}", crew(who)),
            Self::Paced(who) => write!(f, "{}, paced", crew(who)),
            Self::Churn => f.write_str("connect, one message, close"),
        }
    }
}

impl Load {
    fn connections(self) -> usize {
        match self {
            Self::FlatOut(crew) | Self::Paced(crew) => crew.speakers + crew.members,
            Self::Churn => CHURN_AT_ONCE + 1,
        }
    }
}

/// What to measure.
#[derive(Debug, Clone)]
pub struct FanoutOptions {
    /// Who speaks flat out.
    pub flat_out: Vec<Crew>,
    /// Who speaks at a pace.
    pub paced: Vec<Crew>,
    /// How many messages are heard a second then.
    pub pace_per_s: u32,
    /// Whether coming and going is measured.
    pub churn: bool,
    /// How many are in the room and silent in the end; 0 leaves it out.
    pub silent: usize,
    /// Bytes of a message; 32 to 400.
    pub bytes: usize,
    /// Messages on the way at once; 1 to 1,024.
    pub window: usize,
    /// How long each hub is measured in each round.
    pub length: Duration,
    /// How often everything is done, but silence: that is done once.
    pub rounds: usize,
    /// The hubs, in the order of the tables.
    pub hubs: Vec<Hub>,
}

/// The longest message: IRC's lines have 512 bytes with all that stands before it.
const PAYLOAD_BYTES_MAX: usize = 400;

/// Told before each run.
#[derive(Debug, Clone)]
pub struct Progress<'a> {
    /// Runs that are done.
    pub done: usize,
    /// Runs in all.
    pub all: usize,
    /// What comes now.
    pub what: String,
    /// Whose turn it is.
    pub hub: &'a str,
}

impl FanoutOptions {
    fn loads(&self) -> Vec<Load> {
        let flat_out = self.flat_out.iter().copied().map(Load::FlatOut);
        let paced = self.paced.iter().copied().map(Load::Paced);
        let churn = self.churn.then_some(Load::Churn);
        flat_out.chain(paced).chain(churn).collect()
    }

    fn check(&self) -> Result<(), BenchError> {
        let within = |what: &str, value: usize, min: usize, max: usize| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            Err(BenchError::Invalid(format!(
                "{what}: {value} is not between {min} and {max}"
            )))
        };
        for crew in self.flat_out.iter().chain(&self.paced) {
            within("speakers", crew.speakers, 1, talk::SPEAKERS_MAX)?;
            within("members", crew.members, 1, usize::MAX)?;
        }
        within(
            "bytes",
            self.bytes,
            talk::PAYLOAD_BYTES_MIN,
            PAYLOAD_BYTES_MAX,
        )?;
        within("window", self.window, 1, talk::WINDOW_MAX)?;
        within("rounds", self.rounds, 1, usize::MAX)?;
        if self.pace_per_s == 0 {
            return Err(BenchError::Invalid("a pace of none a second".to_owned()));
        }
        if self.hubs.is_empty() {
            return Err(BenchError::Invalid("no hubs to measure".to_owned()));
        }
        if self.loads().is_empty() && self.silent == 0 {
            return Err(BenchError::Invalid("nothing to measure".to_owned()));
        }
        let limit = berkeley::raise_descriptor_limit().or_else(|_| berkeley::descriptor_limit())?;
        let room = limit.saturating_sub(DESCRIPTORS_RESERVED);
        let connections = self.loads().into_iter().map(Load::connections);
        let most = connections.chain([self.silent]).max().unwrap_or(0);
        if most as u64 > room {
            return Err(BenchError::Invalid(format!(
                "{most} connections: there can be {limit} descriptors here"
            )));
        }
        Ok(())
    }
}

/// Measures. A run that fails is told in the report; the others go on, until `tell` breaks off.
///
/// # Errors
/// [`BenchError::Stopped`] by `tell`; the request makes no sense, or threads can't be kept on
/// their cores.
pub fn measure(
    options: &FanoutOptions,
    tell: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<FanoutReport, BenchError> {
    options.check()?;
    let cores = Cores::choose();
    let loads = options.loads();
    let mut report = FanoutReport::new(options, Machine::look(), cores, &loads);
    report.notes = crate::server::notes_on_cores(cores);
    note_what_is_left_out(options, &loads, &mut report.notes);
    let plan = plan(options, &loads);
    let silent: &[Hub] = if options.silent > 0 {
        &options.hubs
    } else {
        &[]
    };
    let all = plan.len() + silent.len();
    let mut tell = |done, what, hub: &Hub| {
        let hub = &hub.name;
        match tell(&Progress {
            done,
            all,
            what,
            hub,
        }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(BenchError::Stopped),
        }
    };
    let _pinned = cores.map(|cores| Pinned::to(cores.load)).transpose()?;
    for (done, (load, hub)) in plan.iter().enumerate() {
        tell(done, load.to_string(), hub)?;
        let run = run::run_once(hub, *load, options, cores);
        report.add(*load, &hub.name, run);
    }
    for (place, hub) in silent.iter().enumerate() {
        tell(plan.len() + place, "silent members".to_owned(), hub)?;
        if !hub.takes(options.silent) {
            continue;
        }
        match idle::measure(hub, options.silent, options.length, cores) {
            Ok(found) => report.silence.push(found),
            Err(error) => report
                .failures
                .push(format!("silent: {}: {error}", hub.name)),
        }
    }
    report.finish();
    Ok(report)
}

/// All runs in their order: round by round, and under each load every hub, beginning with another
/// one each time, so that none always comes first or always behind the same.
fn plan<'a>(options: &'a FanoutOptions, loads: &[Load]) -> Vec<(Load, &'a Hub)> {
    let mut plan = Vec::new();
    for round in 0..options.rounds {
        for (place, load) in loads.iter().enumerate() {
            let count = options.hubs.len();
            let order = options.hubs.iter().cycle();
            let order = order.skip((round + place) % count).take(count);
            plan.extend(
                order
                    .filter(|hub| is_fit(hub, *load))
                    .map(|hub| (*load, hub)),
            );
        }
    }
    plan
}

fn is_fit(hub: &Hub, load: Load) -> bool {
    hub.takes(load.connections()) && (load != Load::Churn || hub.lets_in_at_once())
}

fn note_what_is_left_out(options: &FanoutOptions, loads: &[Load], notes: &mut Vec<String>) {
    for hub in &options.hubs {
        for load in loads.iter().filter(|load| !is_fit(hub, **load)) {
            let why = if hub.lets_in_at_once() {
                "has no room for so many"
            } else {
                "lets in who has registered only once a second"
            };
            notes.push(format!("left out: {load}: {} {why}", hub.name));
        }
    }
}
