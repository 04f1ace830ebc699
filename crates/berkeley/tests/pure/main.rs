//! What the library does without asking the kernel: addresses, control messages and the values of
//! options, as bytes and back.
//!
//! These tests make no system call that Miri does not know: `cargo xtask miri` runs them where it
//! is installed, `cargo xtask sanitize` and `cargo xtask valgrind` everywhere.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

mod addresses;
mod control;
mod endpoints;
mod options;
