//! Hubs under their loads.

use core::time::Duration;

use serde::Serialize;

use super::churn::Churn;
use super::crowd::Crowd;
use super::parcels::Parcels;
use super::room::{Plan, Room};
use super::wire::Protocol;
use super::{FanoutOptions, Hub, Load};
use crate::BenchError;
use crate::machine::Cores;
use crate::turns::{Contender, Measured, Traffic, by_turns};

/// How long one wait lasts at most, so that the end of a turn and silence are noticed.
pub(super) const WAIT_MAX: Duration = Duration::from_millis(100);

/// What one hub did in one round. What is counted is a delivery, one message that one member heard;
/// of [`Load::Churn`], somebody's coming, speaking and leaving; of [`Load::Parcels`], a parcel that
/// the hub has taken.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Run {
    /// Deliveries a second.
    pub per_s: f64,
    /// CPU time of the hub, all its threads, for each, in nanoseconds.
    pub cpu_ns_each: f64,
    /// CPU time of that thread of the hub which used most, for each delivery of all, in
    /// nanoseconds. With a core for each thread, this is what a rate is limited by.
    pub busiest_cpu_ns_each: f64,
    /// CPU time of the load for each, in nanoseconds.
    pub load_cpu_ns_each: f64,
    /// Half of them were heard within so many microseconds of being handed to the kernel; of
    /// [`Load::Churn`], of the beginning of connecting; of [`Load::Parcels`], acknowledged.
    pub p50_us: f64,
    /// 99 of 100 were.
    pub p99_us: f64,
    /// The most resident memory of the hub, in bytes.
    pub peak_bytes: u64,
    /// Deliveries that did not come.
    pub lost: u64,
    /// Deliveries that came behind a later message of the same speaker, or twice.
    pub reordered: u64,
    /// Deliveries in all, those of the warm-up included: of so many none may be lost.
    pub of: u64,
    /// How much of the time the hub was ready to run and waited for its core.
    pub server_waited_share: f64,
    /// How much of its core the load used. Near 1 the hub could have done more.
    pub load_cpu_share: f64,
}

/// What came of all that was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) lost: u64,
    pub(super) reordered: u64,
    pub(super) of: u64,
}

/// What is said to a hub, and heard.
pub(super) trait Talking: Traffic {
    /// Ends, and waits for what is on the way.
    fn finish(&mut self) -> Result<Checked, BenchError>;
}

/// Each load on its hub, by turns, until each has had as long as the options say. `tell` is called
/// with a place before each start and each turn. Errors are of one hub each, but `tell`'s own.
pub(super) fn run_by_turns(
    pairs: &[(Load, &Hub)],
    options: &FanoutOptions,
    cores: Option<Cores>,
    first: usize,
    tell: &mut dyn FnMut(usize) -> Result<(), BenchError>,
) -> Result<Vec<Result<Run, BenchError>>, BenchError> {
    let mut contenders = Vec::new();
    for (place, (load, hub)) in pairs.iter().enumerate() {
        tell(place)?;
        contenders.push(begin(hub, *load, options, cores));
    }
    by_turns(&mut contenders, options.length, first, tell)?;
    let ended = contenders.into_iter().map(|contender| {
        let (measured, checked) = contender?.finish(|talk| talk.finish())?;
        Ok(run_of(&measured, checked))
    });
    Ok(ended.collect())
}

/// Starts a hub and gathers everybody.
fn begin(
    hub: &Hub,
    load: Load,
    options: &FanoutOptions,
    cores: Option<Cores>,
) -> Result<Contender<Box<dyn Talking>>, BenchError> {
    let spoken = match load {
        Load::Parcels => Protocol::Parcel,
        _ => hub.protocol,
    };
    let core = cores.map(|cores| cores.server);
    let running = hub.start(load.connections(), core, spoken)?;
    let crowd = Crowd::new(running.addr, spoken, options.bytes)?;
    let plan = match load {
        Load::FlatOut(crew) => Plan::of(crew),
        Load::Paced(crew) => Plan {
            pace_per_s: Some(options.pace_per_s),
            ..Plan::of(crew)
        },
        Load::Beside(crew, slow) => Plan {
            slow,
            ..Plan::of(crew)
        },
        Load::Rooms(crew) => Plan {
            rooms: crew.speakers,
            ..Plan::of(crew)
        },
        Load::Churn => {
            let churn = Box::new(Churn::begin(crowd, options)?);
            return Contender::begin(running, churn, options.length);
        }
        Load::Parcels => {
            let parcels = Box::new(Parcels::begin(crowd)?);
            return Contender::begin(running, parcels, options.length);
        }
    };
    let room = Box::new(Room::gather(crowd, plan, options)?);
    Contender::begin(running, room, options.length)
}

fn run_of(measured: &Measured, checked: Checked) -> Run {
    let Measured {
        count,
        elapsed_ns,
        used,
        ..
    } = *measured;
    let each = |ns: u64| ns as f64 / count as f64;
    Run {
        per_s: count as f64 * 1e9 / elapsed_ns,
        cpu_ns_each: each(used.cpu_ns),
        busiest_cpu_ns_each: each(measured.busiest_ns),
        load_cpu_ns_each: each(measured.load_ns),
        p50_us: measured.us_at(0.5),
        p99_us: measured.us_at(0.99),
        peak_bytes: measured.peak_bytes,
        lost: checked.lost,
        reordered: checked.reordered,
        of: checked.of,
        server_waited_share: used.waited_ns as f64 / elapsed_ns,
        load_cpu_share: measured.load_ns as f64 / elapsed_ns,
    }
}
