//! Echo servers under the same load, in interleaved rounds.

mod report;

use core::fmt;
use core::ops::ControlFlow;
use core::time::Duration;

use serde::Serialize;

use crate::load::{DEPTH_MAX, Load, REQUEST_BYTES_MAX, Shape};
use crate::machine::{Cores, Machine, Pinned};
use crate::process::Running;
use crate::turns::{Contender, Measured, by_turns};
use crate::{BenchError, Server};

pub use report::{EchoReport, Entry, LOAD_FULL, SERVER_WAITED};

/// Descriptors that are not for connections.
const DESCRIPTORS_RESERVED: u64 = 32;

/// What to measure.
#[derive(Debug, Clone)]
pub struct EchoOptions {
    /// Numbers of connections.
    pub connections: Vec<usize>,
    /// Lengths of a request, in bytes; 1 to 1,048,576.
    pub bytes: Vec<usize>,
    /// Requests on the way at once in each connection; 1 to 1,024.
    pub depths: Vec<usize>,
    /// How long each server is measured in each round.
    pub length: Duration,
    /// How often everything is done.
    pub rounds: usize,
    /// The servers, in the order of the tables.
    pub servers: Vec<Server>,
}

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Workload {
    /// Connections at once.
    pub connections: usize,
    /// Bytes of each request, and of its echo.
    pub bytes: usize,
    /// Requests on the way at once in each connection.
    pub depth: usize,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} x {} B x {}",
            self.connections, self.bytes, self.depth
        )
    }
}

/// What one server did in one run.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Run {
    /// Requests a second.
    pub requests_per_s: f64,
    /// Requests per second of the server's CPU time, all its threads.
    pub requests_per_cpu_s: f64,
    /// Half of all requests were answered within so many microseconds.
    pub p50_us: f64,
    /// 99 of 100 were.
    pub p99_us: f64,
    /// How much of a core the server used.
    pub server_cpu_share: f64,
    /// How much of the time the server was ready to run and waited for its core.
    pub server_waited_share: f64,
    /// How much of its core the load used. Near 1 the server could have done more.
    pub load_cpu_share: f64,
}

/// Told before each run.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Runs that are done.
    pub done: usize,
    /// Runs in all.
    pub all: usize,
    /// What comes now.
    pub workload: Workload,
    /// Whose turn it is.
    pub server: &'a str,
}

impl EchoOptions {
    /// The workloads, in the order of the tables.
    fn workloads(&self) -> Vec<Workload> {
        let mut all = Vec::new();
        for &connections in &self.connections {
            for &bytes in &self.bytes {
                for &depth in &self.depths {
                    all.push(Workload {
                        connections,
                        bytes,
                        depth,
                    });
                }
            }
        }
        all
    }

    fn check(&self) -> Result<(), BenchError> {
        let within = |what: &str, values: &[usize], max: usize| {
            if values.is_empty() {
                return Err(BenchError::Invalid(format!("no {what} to measure with")));
            }
            match values.iter().find(|value| !(1..=max).contains(*value)) {
                Some(odd) => Err(BenchError::Invalid(format!(
                    "{what}: {odd} is not between 1 and {max}"
                ))),
                None => Ok(()),
            }
        };
        within("connections", &self.connections, usize::MAX)?;
        within("bytes", &self.bytes, REQUEST_BYTES_MAX)?;
        within("depth", &self.depths, DEPTH_MAX)?;
        within("rounds", &[self.rounds], usize::MAX)?;
        if self.servers.is_empty() {
            return Err(BenchError::Invalid("no servers to measure".to_owned()));
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
    options: &EchoOptions,
    tell: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<EchoReport, BenchError> {
    options.check()?;
    let machine = Machine::look();
    let cores = Cores::choose();
    let mut notes = crate::server::notes_on_cores(cores);
    let mut workloads = options.workloads();
    skip_what_descriptors_forbid(&mut workloads, &mut notes)?;
    let mut report = EchoReport::new(options, machine, cores, &workloads);
    report.notes = notes;
    note_what_select_lacks(options, &workloads, &mut report.notes);
    let heats = heats(options, &workloads)?;
    let all = heats.iter().map(|(_, servers)| servers.len()).sum();
    let _pinned = cores.map(|cores| Pinned::to(cores.load)).transpose()?;
    let mut done = 0;
    for (workload, servers) in &heats {
        let runs = run_by_turns(*workload, servers, options.length, cores, &mut |place| {
            let server = servers.get(place).map_or("", |server| &server.name);
            let workload = *workload;
            match tell(&Progress {
                done,
                all,
                workload,
                server,
            }) {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(()) => Err(BenchError::Stopped),
            }
        })?;
        for (server, run) in servers.iter().zip(runs) {
            if let Err(error) = &run {
                let failure = format!("{workload}: {}: {error}", server.name);
                report.failures.push(failure);
            }
            report.add(*workload, &server.name, run.ok());
        }
        done += servers.len();
    }
    report.finish();
    Ok(report)
}

/// All runs in their order: round by round, and within each workload every server, beginning with
/// another one each time, so that none always comes first or always behind the same. Those that
/// stand together have turns; there are as many of them as descriptors allow to be connected.
fn heats<'a>(
    options: &'a EchoOptions,
    workloads: &[Workload],
) -> Result<Vec<(Workload, Vec<&'a Server>)>, BenchError> {
    let room = descriptors()?;
    let mut heats = Vec::new();
    for round in 0..options.rounds {
        for (place, workload) in workloads.iter().enumerate() {
            let count = options.servers.len();
            let order = options.servers.iter().cycle();
            let order = order.skip((round + place) % count).take(count);
            let order = order.filter(|server| server.takes(workload.connections));
            let order: Vec<&Server> = order.collect();
            let together = (room / workload.connections.max(1)).max(1);
            let chunks = order.chunks(together);
            heats.extend(chunks.map(|servers| (*workload, servers.to_vec())));
        }
    }
    Ok(heats)
}

/// How many connections descriptors allow.
fn descriptors() -> Result<usize, BenchError> {
    let limit = berkeley::raise_descriptor_limit().or_else(|_| berkeley::descriptor_limit())?;
    Ok(usize::try_from(limit.saturating_sub(DESCRIPTORS_RESERVED)).unwrap_or(usize::MAX))
}

fn skip_what_descriptors_forbid(
    workloads: &mut Vec<Workload>,
    notes: &mut Vec<String>,
) -> Result<(), BenchError> {
    let room = descriptors()?;
    let limit = room as u64 + DESCRIPTORS_RESERVED;
    let mut skipped: Vec<usize> = Vec::new();
    workloads.retain(|workload| {
        let fits = workload.connections <= room;
        if !fits && !skipped.contains(&workload.connections) {
            skipped.push(workload.connections);
        }
        fits
    });
    for connections in skipped {
        notes.push(format!(
            "skipped: {connections} connections: there can be {limit} descriptors here"
        ));
    }
    if workloads.is_empty() {
        return Err(BenchError::Invalid(format!(
            "nothing left to measure: there can be {limit} descriptors here"
        )));
    }
    Ok(())
}

fn note_what_select_lacks(options: &EchoOptions, workloads: &[Workload], notes: &mut Vec<String>) {
    for server in &options.servers {
        let most = workloads.iter().map(|workload| workload.connections).max();
        if let Some(max) = server.connections_max
            && most.is_some_and(|most| most > max)
        {
            notes.push(format!(
                "{}: has room for {max} connections, and none above that",
                server.name
            ));
        }
    }
}

/// Servers, fresh, under one load by turns.
fn run_by_turns(
    workload: Workload,
    servers: &[&Server],
    length: Duration,
    cores: Option<Cores>,
    tell: &mut dyn FnMut(usize) -> Result<(), BenchError>,
) -> Result<Vec<Result<Run, BenchError>>, BenchError> {
    let Workload {
        connections,
        bytes,
        depth,
    } = workload;
    let mut contenders = Vec::new();
    for (place, server) in servers.iter().enumerate() {
        tell(place)?;
        let core = cores.map(|cores| cores.server);
        let begun = Running::start(server, connections, core).and_then(|running| {
            let load = Load::connect(running.addr, connections, Shape { bytes, depth })?;
            Contender::begin(running, load, length)
        });
        contenders.push(begun);
    }
    by_turns(&mut contenders, length, 0, tell)?;
    let ended = contenders.into_iter().map(|contender| {
        let (measured, ()) = contender?.finish(|_| Ok(()))?;
        Ok(run_of(&measured))
    });
    Ok(ended.collect())
}

fn run_of(measured: &Measured) -> Run {
    let Measured {
        count,
        elapsed_ns,
        used,
        load_ns,
        ..
    } = *measured;
    let requests = count as f64;
    Run {
        requests_per_s: requests * 1e9 / elapsed_ns,
        requests_per_cpu_s: requests * 1e9 / (used.cpu_ns.max(1) as f64),
        p50_us: measured.us_at(0.5),
        p99_us: measured.us_at(0.99),
        server_cpu_share: used.cpu_ns as f64 / elapsed_ns,
        server_waited_share: used.waited_ns as f64 / elapsed_ns,
        load_cpu_share: load_ns as f64 / elapsed_ns,
    }
}
