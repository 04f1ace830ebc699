//! For tests only: start a hub, talk to it in plain `std::net`, and run other people's programs.
//!
//! Begin with [`Hub::start`], [`Program::start`] and [`Member`]. Nothing here knows the project's
//! own crates: what is tested must not be its own witness. Nothing here sleeps: each wait is for
//! something that happens, has a time limit, and when it fails it panics with what was seen
//! instead. Every program started is killed when its value is dropped.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "the library of tests: a panic is how a test fails"
)]

mod crowd;
mod hub;
mod member;
mod output;
mod program;
mod random;
mod tree;
pub mod wire;

pub use crowd::Crowd;
pub use hub::Hub;
pub use member::Member;
pub use output::Output;
pub use program::{Finished, Program};
pub use random::Random;
pub use tree::{names, tree};

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How long one awaited thing may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Gives this process as many descriptors as it may have; tells how many those are.
#[must_use]
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    limit.maximum.unwrap_or(u64::MAX)
}
