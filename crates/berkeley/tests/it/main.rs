//! What the library promises, tried against the kernel: one module for each part of it. `support`
//! makes the sockets that most tests begin with.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a panic is how a test fails"
)]

mod endpoint;
mod modes;
mod options;
mod selector_contract;
mod support;
mod tcp;
mod udp;
mod unix;
