//! Drives one back end.

use core::time::Duration;
use std::time::Instant;

use berkeley::Error;
use berkeley::selector::{Backend, Event, Key, Selector};

use super::sockets::{Busy, Idle};
use crate::BenchError;
use crate::machine::thread_cpu_ns;

/// How long one wait may take. There is always something to be told, so this never passes.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Events between two looks at the clock.
const EVENTS_A_LOOK: usize = 64;

/// What one back end did in one round.
#[derive(Debug)]
pub(super) struct Driven {
    /// CPU time of one event beside idle sockets, in nanoseconds.
    pub(super) beside_idle_ns: f64,
    /// Events a second of CPU time when all are busy.
    pub(super) all_busy_per_s: f64,
    /// How many idle sockets it could watch.
    pub(super) watched_idle: usize,
    /// Why not more.
    pub(super) refused: Option<Error>,
}

/// Sends and receives with no selector, in nanoseconds of CPU time for each byte.
pub(super) fn floor(busy: &Busy, length: Duration) -> Result<f64, BenchError> {
    drive(length, || {
        busy.send()?;
        busy.receive_all()?;
        Ok(busy.count())
    })
}

/// Drives a selector both ways. It watches nothing before and after.
pub(super) fn both(
    selector: &dyn Selector,
    busy: &Busy,
    idle: &Idle,
    length: Duration,
) -> Result<Driven, BenchError> {
    busy.register(selector)?;
    let (watched_idle, refused) = idle.register(selector, busy.count())?;
    let beside_idle_ns = beside_idle(selector, busy, length)?;
    idle.fill(watched_idle)?;
    let per_event_ns = all_busy(selector, busy.count(), idle, length)?;
    idle.empty()?;
    idle.unregister(selector, watched_idle)?;
    busy.unregister(selector)?;
    Ok(Driven {
        beside_idle_ns,
        all_busy_per_s: 1e9 / per_event_ns,
        watched_idle,
        refused,
    })
}

fn beside_idle(selector: &dyn Selector, busy: &Busy, length: Duration) -> Result<f64, BenchError> {
    let mut events: Vec<Event> = Vec::new();
    drive(length, || {
        busy.send()?;
        let mut told = 0;
        while told < busy.count() {
            selector.wait(&mut events, Some(WAIT_MAX))?;
            check(&events, selector.backend())?;
            events
                .iter()
                .try_for_each(|event| busy.receive(event.key))?;
            told += events.len();
        }
        Ok(told)
    })
}

fn all_busy(
    selector: &dyn Selector,
    first: usize,
    idle: &Idle,
    length: Duration,
) -> Result<f64, BenchError> {
    let mut events: Vec<Event> = Vec::new();
    drive(length, || {
        selector.wait(&mut events, Some(WAIT_MAX))?;
        check(&events, selector.backend())?;
        let mut told = 0;
        for Event { key: Key(key), .. } in &events {
            let place = usize::try_from(*key).unwrap_or(usize::MAX);
            told += usize::from(idle.pass_on(place.saturating_sub(first))?);
        }
        Ok(told)
    })
}

fn check(events: &[Event], backend: Backend) -> Result<(), BenchError> {
    if events.is_empty() {
        return Err(BenchError::Invalid(format!(
            "{backend} told nothing for {} s, though sockets were readable",
            WAIT_MAX.as_secs()
        )));
    }
    Ok(())
}

/// Repeats a turn, a while for warming up and then for as long as `length`; gives the CPU time in
/// nanoseconds for each of the events that the turns tell.
fn drive(
    length: Duration,
    mut turn: impl FnMut() -> Result<usize, BenchError>,
) -> Result<f64, BenchError> {
    run(length / 5, &mut turn)?;
    let before = thread_cpu_ns();
    let events = run(length, &mut turn)?;
    Ok((thread_cpu_ns() - before) as f64 / events.max(1) as f64)
}

fn run(
    length: Duration,
    turn: &mut impl FnMut() -> Result<usize, BenchError>,
) -> Result<usize, BenchError> {
    let end = Instant::now() + length;
    let mut events = 0;
    let mut look = 0;
    loop {
        events += turn()?;
        if events >= look {
            if Instant::now() >= end {
                return Ok(events);
            }
            look = events + EVENTS_A_LOOK;
        }
    }
}
