//! The crate's behaviour from outside, by topic.
//!
//! Tests bring their own time: an `Instant` is taken once and added to, and nothing waits.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected fails by panicking"
)]

mod commands;
mod cutting;
mod deliveries;
mod file_names;
mod frames;
mod http;
mod http_fields;
mod lines;
mod nicks;
mod parcel_fields;
mod parcel_time;
mod parcels;
mod rooms;
mod strftime;
mod text;
