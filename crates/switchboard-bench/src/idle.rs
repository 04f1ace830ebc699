//! What silent connections cost an echo server.

use core::ops::ControlFlow;
use core::time::Duration;
use std::thread;

use serde::Serialize;

use crate::load::{Load, Shape};
use crate::machine::{Cores, Machine, Pinned};
use crate::process::Running;
use crate::table::{Table, grouped, three_digits};
use crate::{BenchError, Server};

/// What each connection says in the end, to see what having spoken leaves behind.
const REQUEST: Shape = Shape {
    bytes: 4096,
    depth: 1,
};

/// What to measure.
#[derive(Debug, Clone)]
pub struct IdleOptions {
    /// Connections that are silent.
    pub connections: usize,
    /// How long they are.
    pub length: Duration,
    /// The servers, in the order of the table.
    pub servers: Vec<Server>,
}

/// What it costs.
#[derive(Debug, Clone, Serialize)]
pub struct IdleReport {
    /// Where it was measured.
    pub machine: Machine,
    /// Connections that were silent, where a server has room for them.
    pub connections: usize,
    /// How long they were.
    pub seconds: f64,
    /// One for each server.
    pub entries: Vec<IdleEntry>,
    /// What was left out, and why.
    pub notes: Vec<String>,
    /// Servers that failed, each in a line.
    pub failures: Vec<String>,
}

/// What it costs one server.
#[derive(Debug, Clone, Serialize)]
pub struct IdleEntry {
    /// The server's name.
    pub server: String,
    /// How many there were.
    pub connections: usize,
    /// Bytes of resident memory that each silent connection added. The sockets' own memory is the
    /// kernel's, and the same for all.
    pub bytes_per_connection: f64,
    /// The same after each has had one request of 4 KiB answered.
    pub bytes_per_connection_after_one: f64,
    /// CPU time while nobody spoke, in seconds.
    pub cpu_s: f64,
    /// How often a thread of it was woken up while nobody spoke.
    pub wake_ups: u64,
    /// CPU time for accepting all of them, in seconds.
    pub accept_cpu_s: f64,
}

/// Measures, one server after the other. One that fails is told in the report.
///
/// # Errors
/// [`BenchError::Stopped`] where `tell` breaks off; the request makes no sense, or threads
/// can't be kept on their cores.
pub fn measure(
    options: &IdleOptions,
    tell: &mut dyn FnMut(&str) -> ControlFlow<()>,
) -> Result<IdleReport, BenchError> {
    if options.connections == 0 || options.servers.is_empty() {
        return Err(BenchError::Invalid("nothing to measure".to_owned()));
    }
    let limit = berkeley::raise_descriptor_limit().or_else(|_| berkeley::descriptor_limit())?;
    let room = usize::try_from(limit).unwrap_or(usize::MAX);
    if options.connections >= room.saturating_sub(32) {
        return Err(BenchError::Invalid(format!(
            "{} connections: there can be {limit} descriptors here",
            options.connections
        )));
    }
    let cores = Cores::choose();
    let mut report = IdleReport {
        machine: Machine::look(),
        connections: options.connections,
        seconds: options.length.as_secs_f64(),
        entries: Vec::new(),
        notes: Vec::new(),
        failures: Vec::new(),
    };
    let _pinned = cores.map(|cores| Pinned::to(cores.load)).transpose()?;
    for server in &options.servers {
        if tell(&server.name).is_break() {
            return Err(BenchError::Stopped);
        }
        let connections = server
            .connections_max
            .map_or(options.connections, |max| options.connections.min(max - 1));
        if connections < options.connections {
            report.notes.push(format!(
                "{}: has room for {connections} connections besides the first",
                server.name
            ));
        }
        match run_once(server, connections, options.length, cores) {
            Ok(entry) => report.entries.push(entry),
            Err(error) => report.failures.push(format!("{}: {error}", server.name)),
        }
    }
    Ok(report)
}

fn run_once(
    server: &Server,
    connections: usize,
    length: Duration,
    cores: Option<Cores>,
) -> Result<IdleEntry, BenchError> {
    let running = Running::start(server, connections + 1, cores.map(|cores| cores.server))?;
    // What the first connection ever makes the program do is not the price of one more.
    let mut first = Load::connect(running.addr, 1, REQUEST)?;
    first.greet_all()?;
    let (memory, started) = (running.memory_bytes()?, running.usage()?);
    let mut load = Load::connect(running.addr, connections, REQUEST)?;
    let silent = running.memory_bytes()?;
    let before = running.usage()?;
    thread::sleep(length);
    let used = running.usage()?.since(before);
    load.greet_all()?;
    let spoken = running.memory_bytes()?;
    drop(running);
    let each = |bytes: u64| bytes.saturating_sub(memory) as f64 / connections as f64;
    Ok(IdleEntry {
        server: server.name.clone(),
        connections,
        bytes_per_connection: each(silent),
        bytes_per_connection_after_one: each(spoken),
        cpu_s: used.cpu_ns as f64 / 1e9,
        wake_ups: used.sleeps,
        accept_cpu_s: before.since(started).cpu_ns as f64 / 1e9,
    })
}

impl IdleReport {
    /// The table, a row for each server.
    #[must_use]
    pub fn table(&self) -> Table {
        let head = [
            "server",
            "connections",
            "bytes each",
            "bytes each, after one request",
            "CPU ms, silent",
            "wake-ups, silent",
            "CPU ms to accept all",
        ];
        let row = |entry: &IdleEntry| {
            vec![
                entry.server.clone(),
                grouped(entry.connections),
                format!("{:.0}", entry.bytes_per_connection),
                format!("{:.0}", entry.bytes_per_connection_after_one),
                three_digits(entry.cpu_s * 1e3),
                entry.wake_ups.to_string(),
                format!("{:.0}", entry.accept_cpu_s * 1e3),
            ]
        };
        Table {
            title: format!("Silent connections, for {} s", self.seconds),
            head: head.map(str::to_owned).into(),
            rows: self.entries.iter().map(row).collect(),
        }
    }
}
