//! What one event costs on each back end of [`berkeley::selector`], beside a growing number of
//! sockets on which nothing happens, and how many events a second there are when all are busy.
//!
//! All of it is one thread over pairs of connected Unix sockets. *Beside idle ones*: each turn
//! sends one byte to each of a few busy sockets, waits, and receives what the selector tells. An
//! event's cost is the CPU time of all that, divided by the events; the floor is the same sending
//! and receiving with no selector asked. *All busy*: every socket has bytes at all times, and
//! whichever is told gives one byte back to its pair.

mod drive;
mod picture;
mod report;
mod sockets;

use core::ops::ControlFlow;
use core::time::Duration;

use berkeley::selector::{Backend, Selector};

use crate::BenchError;
use crate::machine::{Cores, Machine, Pinned};
use sockets::{Busy, Idle};

pub use picture::picture;
pub use report::{MuxReport, Point, Series};

/// The most sockets that are opened unless the user names a number.
pub const SOCKETS_MAX: usize = 100_000;

/// Descriptors that are not for idle sockets: the standard ones, a selector's, and whatever the
/// process was started with.
const DESCRIPTORS_RESERVED: usize = 64;

/// What to measure.
#[derive(Debug, Clone)]
pub struct MuxOptions {
    /// Numbers of idle sockets; empty: 10, 100, 1,000 … and as many as descriptors allow.
    pub idle: Vec<usize>,
    /// Busy sockets beside them.
    pub busy: usize,
    /// The back ends, in the order of the tables.
    pub backends: Vec<Backend>,
    /// How long each of them is driven in each round, at each number and in each of the two ways.
    pub length: Duration,
    /// How often everything is done.
    pub rounds: usize,
}

/// The back ends that can be had here; the others with the reason.
#[must_use]
pub fn available() -> (Vec<Backend>, Vec<(Backend, berkeley::Error)>) {
    let mut here = Vec::new();
    let mut missing = Vec::new();
    for backend in Backend::ALL {
        match backend.open() {
            Ok(_) => here.push(backend),
            Err(error) => missing.push((backend, error)),
        }
    }
    (here, missing)
}

impl MuxOptions {
    /// The numbers of idle sockets in growing order, and those that there is no room for.
    fn numbers(&self) -> Result<(Vec<usize>, Vec<usize>, u64), BenchError> {
        let limit = berkeley::raise_descriptor_limit().or_else(|_| berkeley::descriptor_limit())?;
        let room = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .saturating_sub(DESCRIPTORS_RESERVED + 2 * self.busy);
        let mut wanted = self.idle.clone();
        if wanted.is_empty() {
            wanted = (1..=5).map(|power| 10_usize.pow(power)).collect();
            wanted.retain(|number| *number <= room);
            let most = two_digits(room.min(SOCKETS_MAX));
            if wanted.last().is_none_or(|last| most >= last + last / 2) {
                wanted.push(most);
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        let (fits, skipped) = wanted.into_iter().partition(|number| *number <= room);
        Ok((fits, skipped, limit))
    }

    fn check(&self) -> Result<(), BenchError> {
        let odd = match self {
            Self { rounds: 0, .. } => "no round",
            Self { busy: 0, .. } => "no busy socket",
            _ if self.backends.is_empty() => "no back end",
            _ => return Ok(()),
        };
        Err(BenchError::Invalid(format!("{odd}: nothing to measure")))
    }
}

/// The number with all but its first two digits made zero: 19,872 is 19,000.
fn two_digits(number: usize) -> usize {
    let digits = number.checked_ilog10().unwrap_or(0);
    let unit = 10_usize.pow(digits.saturating_sub(1));
    number / unit * unit
}

/// Measures.
///
/// # Errors
/// [`BenchError::Stopped`] where `tell` breaks off; the request makes no sense, sockets can't
/// be had, or a back end fails.
pub fn measure(
    options: &MuxOptions,
    tell: &mut dyn FnMut(&str) -> ControlFlow<()>,
) -> Result<MuxReport, BenchError> {
    options.check()?;
    let (numbers, skipped, limit) = options.numbers()?;
    if numbers.is_empty() {
        return Err(BenchError::Invalid(format!(
            "no number of sockets fits: there can be {limit} descriptors here"
        )));
    }
    let mut report = MuxReport::new(options, Machine::look());
    for number in skipped {
        report.notes.push(format!(
            "skipped: {number} sockets: there can be {limit} descriptors here"
        ));
    }
    let cores = Cores::choose();
    let _pinned = cores.map(|cores| Pinned::to(cores.load)).transpose()?;
    // First of all, because select can't even be opened where only high descriptors are free.
    let selectors = options.backends.iter().map(|backend| backend.open());
    let selectors: Vec<Box<dyn Selector>> = selectors.collect::<Result<_, _>>()?;
    let busy = Busy::open(options.busy)?;
    for number in numbers {
        let idle = Idle::open(number)?;
        let going = report.still_going(&selectors);
        for round in 0..options.rounds {
            let now = format!(
                "{number} idle sockets, round {} of {}",
                round + 1,
                options.rounds
            );
            if tell(&now).is_break() {
                return Err(BenchError::Stopped);
            }
            let first = round % going.len().max(1);
            let order = going.iter().cycle().skip(first).take(going.len());
            report.add_floor(number, drive::floor(&busy, options.length)?);
            for selector in order {
                let driven = drive::both(*selector, &busy, &idle, options.length)?;
                report.add(selector.backend(), number, &driven);
            }
        }
    }
    report.finish();
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::two_digits;

    #[test]
    fn round_numbers_are_below_the_limit_and_near_it() {
        let rounded = [0, 7, 42, 999, 19_872, 100_000].map(two_digits);
        assert_eq!(rounded, [0, 7, 42, 990, 19_000, 100_000]);
    }
}
