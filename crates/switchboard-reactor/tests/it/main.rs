//! What a handler may rely on, over every selector. Begin with `support`.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a panic is how a test fails"
)]

mod backends;
mod behind;
mod closing;
mod datagrams;
mod fairness;
mod feed_model;
mod feeds;
mod finishing;
mod idle;
mod inputs;
mod listeners;
mod mailboxes;
mod pausing;
mod records;
mod slices;
mod streams;
mod support;
mod timers;
mod together;
mod turns;
