//! The hub by behaviour: its plain data without any socket, its store with real files.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests are tests too, which Clippy does not see"
)]

mod kept;
mod limits;
mod log;
mod names;
mod net;
mod pace;
mod room;
mod rooms;
mod sessions;
mod shard;
mod shards;
mod store;
mod strace;
