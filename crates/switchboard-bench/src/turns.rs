//! Servers under load by turns.
//!
//! A machine that others share changes its speed from one second to the next. So those that are
//! compared are all there at once, and have turns that are far shorter than that: while one works,
//! the others are stopped (SIGSTOP), and so is the clock by which their latencies are taken.

use core::time::Duration;
use std::time::Instant;

use hdrhistogram::Histogram;

use crate::BenchError;
use crate::load::histogram;
use crate::machine::thread_cpu_ns;
use crate::process::{Running, ThreadUsage, Usage, busiest_ns, sum};

/// How long a server is loaded before anything is counted.
const WARM_UP: Duration = Duration::from_millis(200);

/// How long a turn lasts: many times what it takes to fill the caches anew.
const TURN: Duration = Duration::from_millis(100);

/// How many turns more a server has that is so slow that hardly anything was done.
const TURNS_MORE_MAX: u32 = 50;

/// What is done to a server.
pub(crate) trait Traffic {
    /// Goes on for so long, and tells the latencies of what is done meanwhile.
    ///
    /// # Errors
    /// The server ends, falls silent, or says what is wrong.
    fn go_on(
        &mut self,
        length: Duration,
        latencies: &mut Option<&mut Histogram<u64>>,
    ) -> Result<(), BenchError>;

    /// What was counted so far.
    fn count(&self) -> u64;

    /// So many must be counted before anything can be told from it: all that is on the way at once.
    fn least(&self) -> u64;

    /// The server stood still for so long, which is no time to us.
    fn stood_still(&mut self, pause: Duration);
}

impl<T: Traffic + ?Sized> Traffic for Box<T> {
    fn go_on(
        &mut self,
        length: Duration,
        latencies: &mut Option<&mut Histogram<u64>>,
    ) -> Result<(), BenchError> {
        (**self).go_on(length, latencies)
    }

    fn count(&self) -> u64 {
        (**self).count()
    }

    fn least(&self) -> u64 {
        (**self).least()
    }

    fn stood_still(&mut self, pause: Duration) {
        (**self).stood_still(pause);
    }
}

/// One server, fresh, with its load.
pub(crate) struct Contender<T> {
    // It goes first, so that it spends nothing on connections that end.
    running: Running,
    traffic: T,
    /// Since when the server has been stopped.
    paused: Instant,
    /// What had been used and counted when the first turn began.
    threads: Vec<ThreadUsage>,
    count: u64,
    /// Of all turns.
    elapsed: Duration,
    load_ns: u64,
    latencies: Histogram<u64>,
}

/// What was measured in all turns of a server.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) count: u64,
    pub(crate) elapsed_ns: f64,
    pub(crate) used: Usage,
    /// The CPU time of the thread that used most.
    pub(crate) busiest_ns: u64,
    /// The CPU time of the load.
    pub(crate) load_ns: u64,
    pub(crate) latencies: Histogram<u64>,
    pub(crate) peak_bytes: u64,
}

impl Measured {
    /// The latency that this part stays within, in microseconds.
    pub(crate) fn us_at(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1e3
    }
}

impl<T: Traffic> Contender<T> {
    /// Warms it up, for no longer than it will be measured, and stops it.
    ///
    /// # Errors
    /// The load fails, or the server is gone.
    pub(crate) fn begin(
        running: Running,
        mut traffic: T,
        length: Duration,
    ) -> Result<Self, BenchError> {
        traffic.go_on(WARM_UP.min(length), &mut None)?;
        running.pause()?;
        Ok(Self {
            paused: Instant::now(),
            threads: running.threads()?,
            count: traffic.count(),
            elapsed: Duration::ZERO,
            load_ns: 0,
            latencies: histogram()?,
            running,
            traffic,
        })
    }

    fn turn(&mut self, length: Duration) -> Result<(), BenchError> {
        self.resume()?;
        let (began, load_ns) = (Instant::now(), thread_cpu_ns());
        self.traffic.go_on(length, &mut Some(&mut self.latencies))?;
        self.elapsed += began.elapsed();
        self.load_ns += thread_cpu_ns() - load_ns;
        self.running.pause()?;
        self.paused = Instant::now();
        Ok(())
    }

    fn resume(&mut self) -> Result<(), BenchError> {
        self.running.go_on()?;
        self.traffic.stood_still(self.paused.elapsed());
        Ok(())
    }

    fn has_too_little(&self) -> bool {
        self.traffic.count() - self.count < self.traffic.least()
    }

    /// What it did in all turns. Its `last` word to the load is said while it goes on.
    ///
    /// # Errors
    /// Nothing was done in all turns; the server is gone; `last` fails.
    pub(crate) fn finish<L>(
        mut self,
        last: impl FnOnce(&mut T) -> Result<L, BenchError>,
    ) -> Result<(Measured, L), BenchError> {
        let threads = self.running.threads()?;
        let count = self.traffic.count() - self.count;
        if count == 0 {
            let (what, seconds) = ("in all turns", self.elapsed.as_secs());
            return Err(BenchError::Silent { what, seconds });
        }
        let peak_bytes = self.running.peak_memory_bytes()?;
        self.resume()?;
        let said = last(&mut self.traffic)?;
        let measured = Measured {
            count,
            elapsed_ns: self.elapsed.as_secs_f64() * 1e9,
            used: sum(&threads).since(sum(&self.threads)),
            busiest_ns: busiest_ns(&self.threads, &threads),
            load_ns: self.load_ns,
            latencies: self.latencies,
            peak_bytes,
        };
        Ok((measured, said))
    }
}

/// Gives each its turns, until each has had `length`. `tell` is called with a place before each
/// turn; `first` says whose is the first one. One that fails is its error from then on.
///
/// # Errors
/// Those of `tell` alone.
pub(crate) fn by_turns<T: Traffic>(
    contenders: &mut [Result<Contender<T>, BenchError>],
    length: Duration,
    first: usize,
    tell: &mut dyn FnMut(usize) -> Result<(), BenchError>,
) -> Result<(), BenchError> {
    // One alone has nobody to be compared with at the same moment.
    let turns = match contenders.len() {
        0 | 1 => 1,
        _ => u32::try_from(length.as_millis() / TURN.as_millis()).unwrap_or(u32::MAX),
    };
    let turns = turns.max(1);
    let count = contenders.len();
    for turn in 0..turns.saturating_add(TURNS_MORE_MAX) {
        for place in 0..count {
            // Another one begins each time, so that none is always behind the same.
            let place = (first + turn as usize + place) % count;
            let Some(contender) = contenders.get_mut(place) else {
                continue;
            };
            let Ok(running) = contender else {
                continue;
            };
            if turn >= turns && !running.has_too_little() {
                continue;
            }
            tell(place)?;
            if let Err(error) = running.turn(length / turns) {
                *contender = Err(error);
            }
        }
    }
    Ok(())
}
