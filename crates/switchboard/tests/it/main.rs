//! End-to-end tests: the binary, run as its users run it, against clients and servers that were
//! written without it. One module for each thing it does; `support` starts what they need.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a panic is how a test fails"
)]

mod bench;
mod catching_up;
mod chat;
mod chat_client;
mod connect;
mod crowd;
mod disk;
mod durable;
mod fallback;
mod get;
mod get_faults;
mod help;
mod hostile;
mod limits;
mod listen;
mod listen_local;
mod log;
mod names;
mod parcels;
mod peers;
mod restart;
mod resume;
mod rooms;
mod send;
mod shards;
mod stress_faults;
mod stress_input;
mod stress_load;
mod support;
mod tail;
mod talk;
mod time;
