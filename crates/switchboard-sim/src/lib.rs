//! The hub in a world that is made up: a virtual network, a virtual disk, a virtual clock, and
//! clients who talk, join, leave, lag, vanish and come back.
//!
//! The shards are the real ones, byte for byte: what they ask of the world are traits. Everything
//! happens in one thread, in the order of one queue, by numbers that are drawn from one seed, so
//! that a seed is all that is needed to see a failure again.
//!
//! A world goes wrong for a while. Then the faults end, and everybody must get what is theirs. What
//! has to hold is in `truth` and `checks`:
//!
//! - a room has one order for everybody, its numbers have no gaps, and what was acknowledged is
//!   there under its number;
//! - what was said once is there once, where it was said, in the order in which its author said it;
//! - nobody receives what it may not, and who stayed has everything;
//! - who asks what was said is shown that, and what is on the disk of the log is all that happened;
//! - what waits for anybody is bounded, nothing of anybody who left stays behind, and the hub ends
//!   in time.
//!
//! Begin with [`run`].
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test, put into a crate so that it can be run by hand too"
)]

mod checks;
mod client;
mod feeds;
mod hub;
mod journal;
mod link;
mod looks;
mod net;
mod plan;
mod queue;
mod random;
mod time;
mod trace;
mod truth;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use plan::Mutant;
use world::World;

/// Seeds that once showed a defect, each with what it was.
pub const REGRESSIONS: &[(u64, &str)] = &[
    (
        514,
        "a room of another shard had two members of one name for a moment",
    ),
    (
        1_026,
        "who had been renamed while it was fed from the log was shown what it had done itself",
    ),
    (1_397, "the same of what was said where only people read"),
    (
        1_668,
        "the same where the disk was faster than another shard",
    ),
    (
        16_887,
        "who was behind when the log stopped is told what did not reach it",
    ),
    (
        18_005,
        "who saw everything was cut off before what happened just before the hub ended",
    ),
    (
        21_688,
        "a room that was loaded and let go of forgot the authors' numbers, and took a text twice",
    ),
    (
        21_813,
        "the network told of a reader that it was behind when it had left that feed already",
    ),
];

/// What became of one seed's world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The same for the same seed: a number made of all that happened.
    pub hash: u64,
    /// How much happened.
    pub events: u64,
    /// What did not hold, if something did not.
    pub failure: Option<Failure>,
    /// How often the clients did or saw what is worth counting: to know what the seeds reach.
    pub counts: BTreeMap<&'static str, u64>,
    /// What happened, a line each, if it was asked for.
    pub trace: Vec<String>,
}

/// Something that has to hold and did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What.
    pub what: String,
    /// When, in the world's microseconds.
    pub at_micros: u64,
}

/// What a run is to do besides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// A defect to put in.
    pub mutant: Option<Mutant>,
    /// Whether to keep the lines of [`Outcome::trace`].
    pub keeps_trace: bool,
}

/// Lives through the world of a seed. A panic of the hub is a failure like any other.
#[must_use]
pub fn run(seed: u64, options: Options) -> Outcome {
    let live = || World::new(seed, options.mutant, options.keeps_trace).run();
    catch_unwind(AssertUnwindSafe(live)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let text = text.unwrap_or("without a message");
        Outcome {
            seed,
            hash: 0,
            events: 0,
            failure: Some(Failure {
                what: format!("a panic: {text}"),
                at_micros: 0,
            }),
            counts: BTreeMap::new(),
            trace: Vec::new(),
        }
    })
}
