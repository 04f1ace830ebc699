//! Hubs under the same talk, in interleaved rounds: what is said in one room is heard by many.

mod churn;
mod crowd;
mod goals;
mod hub;
mod idle;
mod parcels;
mod report;
mod room;
mod run;
mod slow;
mod tables;
mod talk;
mod wire;

use core::fmt;
use core::ops::ControlFlow;
use core::time::Duration;
use std::str::FromStr;
use std::time::Instant;

use serde::Serialize;

use crate::BenchError;
use crate::machine::{Cores, Machine, Pinned};

pub use goals::{Found, Wanted};
pub use hub::{Hub, hubs};
pub use idle::Silence;
pub use report::{Entry, FanoutReport, Ratios};
pub use run::Run;
pub use slow::Slow;

/// Descriptors that are not for connections.
const DESCRIPTORS_RESERVED: u64 = 64;

/// How many times as long as each is measured in a round, everybody is silent.
const SILENCE_LENGTHS: u32 = 4;

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
    /// As much as goes, with one more in the room who does not keep up.
    Beside(Crew, Slow),
    /// As much as goes, with a room for each speaker, and as many members in each.
    Rooms(Crew),
    /// As many parcels as are taken on one connection.
    Parcels,
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
            Self::Beside(who, slow) => write!(f, "{}, {slow}", crew(who)),
            Self::Rooms(who) => write!(f, "{} in {} rooms", crew(who), who.speakers),
            Self::Parcels => f.write_str("parcels on one connection"),
        }
    }
}

impl Load {
    fn connections(self) -> usize {
        match self {
            Self::FlatOut(crew) | Self::Paced(crew) | Self::Rooms(crew) => {
                crew.speakers + crew.members
            }
            Self::Beside(crew, _) => crew.speakers + crew.members + 1,
            Self::Churn => CHURN_AT_ONCE + 1,
            Self::Parcels => 1,
        }
    }

    /// Whether all hubs are given it, and not ours alone.
    const fn is_for_all(self) -> bool {
        matches!(self, Self::FlatOut(_) | Self::Paced(_) | Self::Churn)
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
    /// In whose room one more is slow.
    pub beside: Option<Crew>,
    /// Who speaks in rooms of their own, to be heard by an equal part of the members.
    pub rooms: Option<Crew>,
    /// The hub with more than one shard that such rooms are for, beside [`Hub::OURS`] with one.
    pub sharded: Option<Hub>,
    /// Whether parcels are measured.
    pub parcels: bool,
    /// How many are in the room and silent in the end; 0 leaves it out.
    pub silent: usize,
    /// Bytes of a message; 32 to 400.
    pub bytes: usize,
    /// Messages on the way at once; 1 to 1,024.
    pub window: usize,
    /// How long each hub is measured in each round, in turns of a tenth of a second.
    pub length: Duration,
    /// How often everything is done, but silence: that is done once, and four times as long.
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
    /// What is given to all hubs.
    fn loads(&self) -> Vec<Load> {
        let flat_out = self.flat_out.iter().copied().map(Load::FlatOut);
        let paced = self.paced.iter().copied().map(Load::Paced);
        let churn = self.churn.then_some(Load::Churn);
        flat_out.chain(paced).chain(churn).collect()
    }

    /// What is compared with each other, each by turns.
    fn heats(&self) -> Vec<Vec<(Load, &Hub)>> {
        let mut heats = Vec::new();
        for load in self.loads() {
            let fit = self.hubs.iter().filter(|hub| is_fit(hub, load));
            heats.push(fit.map(|hub| (load, hub)).collect());
        }
        let ours = || self.hubs.iter().filter(|hub| hub.is_ours());
        if let Some(crew) = self.beside {
            let beside = |hub| Slow::ALL.map(|slow| (Load::Beside(crew, slow), hub)).into();
            heats.extend(ours().map(beside));
        }
        let one = self.hubs.iter().find(|hub| hub.name == Hub::OURS);
        if let (Some(crew), Some(one), Some(many)) = (self.rooms, one, &self.sharded) {
            let load = Load::Rooms(crew);
            heats.push(vec![(load, one), (load, many)]);
        }
        if self.parcels {
            heats.push(ours().map(|hub| (Load::Parcels, hub)).collect());
        }
        heats.retain(|heat: &Vec<_>| !heat.is_empty());
        heats
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
        let crews = self.flat_out.iter().chain(&self.paced);
        for crew in crews.chain(&self.beside).chain(&self.rooms) {
            within("speakers", crew.speakers, 1, talk::SPEAKERS_MAX)?;
            within("members", crew.members, 1, usize::MAX)?;
        }
        if let Some(Crew { speakers, members }) = self.rooms
            && !members.is_multiple_of(speakers)
        {
            return Err(BenchError::Invalid(format!(
                "{members} members can't be dealt out to {speakers} rooms"
            )));
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
        let heats = self.heats();
        if heats.is_empty() && self.silent == 0 {
            return Err(BenchError::Invalid("nothing to measure".to_owned()));
        }
        let limit = berkeley::raise_descriptor_limit().or_else(|_| berkeley::descriptor_limit())?;
        let room = limit.saturating_sub(DESCRIPTORS_RESERVED);
        // All that are compared are connected at once.
        let connections = heats
            .iter()
            .map(|heat| heat.iter().map(|(load, _)| load.connections()).sum());
        let most: usize = connections.chain([self.silent]).max().unwrap_or(0);
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
    let began = Instant::now();
    let cores = Cores::choose();
    let heats = options.heats();
    let mut report = FanoutReport::new(options, Machine::look(), cores, &heats);
    report.notes = crate::server::notes_on_cores(cores);
    note_what_is_left_out(options, &mut report.notes);
    let silent: &[Hub] = if options.silent > 0 {
        &options.hubs
    } else {
        &[]
    };
    let pairs: usize = heats.iter().map(Vec::len).sum();
    let all = pairs * options.rounds + silent.len();
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
    let mut done = 0;
    for round in 0..options.rounds {
        for (place, heat) in heats.iter().enumerate() {
            let runs = run::run_by_turns(heat, options, cores, round + place, &mut |place| {
                let Some((load, hub)) = heat.get(place) else {
                    return Ok(());
                };
                tell(done, load.to_string(), hub)
            })?;
            for ((load, hub), run) in heat.iter().zip(runs) {
                report.add(*load, &hub.name, run);
            }
            done += heat.len();
        }
    }
    for hub in silent {
        tell(done, "silent members".to_owned(), hub)?;
        done += 1;
        if !hub.takes(options.silent) {
            continue;
        }
        match idle::measure(hub, options.silent, options.length * SILENCE_LENGTHS, cores) {
            Ok(found) => report.silence.push(found),
            Err(error) => report
                .failures
                .push(format!("silent: {}: {error}", hub.name)),
        }
    }
    report.finish();
    report.took_seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

fn is_fit(hub: &Hub, load: Load) -> bool {
    hub.takes(load.connections()) && (load != Load::Churn || hub.lets_in_at_once())
}

fn note_what_is_left_out(options: &FanoutOptions, notes: &mut Vec<String>) {
    for hub in &options.hubs {
        for load in options
            .loads()
            .into_iter()
            .filter(|load| !is_fit(hub, *load))
        {
            let why = if hub.lets_in_at_once() {
                "has no room for so many"
            } else {
                "lets in who has registered only once a second"
            };
            notes.push(format!("left out: {load}: {} {why}", hub.name));
        }
    }
}
