//! What members cost who are in the room and silent.

use core::time::Duration;
use std::thread;

use serde::Serialize;

use super::Hub;
use super::crowd::Crowd;
use super::wire::{Protocol, Role};
use crate::BenchError;
use crate::machine::Cores;

/// What silent members cost one hub.
#[derive(Debug, Clone, Serialize)]
pub struct Silence {
    /// The hub's name.
    pub hub: String,
    /// How many there were.
    pub members: usize,
    /// How long they were silent, in seconds.
    pub seconds: f64,
    /// Bytes of resident memory that each added. The sockets' own memory is the kernel's, and the
    /// same for all.
    pub bytes_each: f64,
    /// The most resident memory of the hub, in bytes: all of them came shortly before.
    pub peak_bytes: u64,
    /// CPU time while they were silent, in seconds.
    pub cpu_s: f64,
    /// How often a thread of the hub was woken up meanwhile.
    pub wake_ups: u64,
    /// CPU time for letting all of them in, in seconds.
    pub join_cpu_s: f64,
}

pub(super) fn measure(
    hub: &Hub,
    members: usize,
    length: Duration,
    cores: Option<Cores>,
) -> Result<Silence, BenchError> {
    let running = hub.start(members, cores.map(|cores| cores.server), hub.protocol)?;
    let mut crowd = Crowd::new(running.addr, hub.protocol, 0)?;
    // An IRC server tells everybody of everybody who joins with all their names: ten thousand in
    // one channel would take minutes, and are not what such channels are for.
    let role = match hub.protocol {
        Protocol::Irc => Role::Guest,
        _ => Role::Member,
    };
    // What the first one ever makes the program do is not the price of one more.
    crowd.join(role, 1)?;
    let (memory, begun) = (running.memory_bytes()?, running.usage()?);
    crowd.join(role, members.saturating_sub(1).max(1))?;
    crowd.calm_down()?;
    let before = running.usage()?;
    let join_cpu_s = before.since(begun).cpu_ns as f64 / 1e9;
    thread::sleep(length);
    let used = running.usage()?.since(before);
    let grown = running.memory_bytes()?.saturating_sub(memory);
    Ok(Silence {
        hub: hub.name.clone(),
        members,
        seconds: length.as_secs_f64(),
        bytes_each: grown as f64 / members.saturating_sub(1).max(1) as f64,
        peak_bytes: running.peak_memory_bytes()?,
        cpu_s: used.cpu_ns as f64 / 1e9,
        wake_ups: used.sleeps,
        join_cpu_s,
    })
}
