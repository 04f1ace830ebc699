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

mod addresses;
mod ancillary;
mod batches;
mod bounds;
mod bounds_inside;
mod can_frames;
mod closing;
mod completeness;
mod connect;
mod connect_python;
mod descriptors;
mod dying;
mod endpoint;
mod error_queue;
mod examples;
mod examples_python;
mod exhaustion;
mod file;
mod file_python;
mod for_bindings;
mod headers;
mod hooked_sends;
mod hooks;
mod inside;
mod interfaces;
mod limits;
mod lives;
mod modes;
mod names;
mod names_python;
mod namespaces;
mod numbers;
mod option_table;
mod options;
mod options_live;
mod partial;
mod races;
mod segments;
mod select_bare;
mod selector_closed;
mod selector_contract;
mod selector_model;
mod selector_threads;
mod sendfile;
mod server;
mod soundness;
mod splice;
mod support;
mod tables;
mod tcp;
mod tipc;
mod told_beside;
mod udp;
mod unix;
mod uring;
mod uring_limits;
mod waits;
mod zerocopy;
