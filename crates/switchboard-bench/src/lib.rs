//! Measuring side by side, in one run: echo servers and hubs against each other, and the selectors
//! of `berkeley` against each other.
//!
//! - [`echo`]: our echo server on each back end beside the barest epoll loop, tokio and mio, in
//!   processes of their own, under the same load.
//! - [`fanout`]: our hub beside the barest room, one on tokio, and Redis, NATS, inspircd and
//!   mosquitto where they are installed, under the same talk.
//! - [`idle`]: what silent connections cost each of them.
//! - [`mux`]: what one event costs on each back end beside a growing number of idle sockets.
//! - [`table`], [`chart`]: how it is shown.
//!
//! Machines of this time change their speed from one second to the next, and other work shares
//! them. So every comparison here is a ratio between runs of the same round, the rounds are
//! interleaved, and a figure is the median over the rounds ([`stats`]).
//!
//! This crate knows nothing of the command line, never prints, and knows the time only as it
//! passes.
#![forbid(unsafe_code)]

pub mod chart;
pub mod echo;
mod error;
pub mod fanout;
pub mod idle;
mod load;
pub mod machine;
pub mod mux;
mod process;
mod server;
pub mod stats;
pub mod table;
mod turns;

pub use error::BenchError;
pub use server::{Server, servers};
