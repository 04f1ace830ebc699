//! The echo servers and rooms that `switchboard bench` measures ours against, in a program of their
//! own so that the one that is shipped carries none of them: `switchboard-bench-peers MODE`.
//!
//! Each listens on a free port of 127.0.0.1, says so on standard error as `switchboard listen`
//! does, and runs until it is killed. All of them switch Nagle's algorithm off, as ours does.
#![forbid(unsafe_code)]

mod bare;
mod mio;
mod room;
mod room_bare;
mod room_tokio;
mod tokio;

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const MODES: &str = "\
switchboard-bench-peers echo-bare          level-triggered epoll, one thread, one 128 KiB buffer
switchboard-bench-peers echo-mio           the same on mio: edge-triggered, read until it would wait
switchboard-bench-peers echo-tokio         a task a connection, io::copy, current-thread runtime
switchboard-bench-peers echo-tokio-multi   the same on the runtime of a plain #[tokio::main]
switchboard-bench-peers echo-tokio-64k     a task a connection with a 64 KiB buffer of its own
switchboard-bench-peers room-bare          each turn's lines to each member with one send, epoll
switchboard-bench-peers room-tokio         a broadcast channel, two tasks a connection";

fn main() -> ExitCode {
    let modes: Vec<String> = std::env::args().skip(1).collect();
    let done = match modes.as_slice() {
        [mode] => run(mode),
        _ => Err(anyhow::anyhow!("one mode is wanted:\n{MODES}")),
    };
    let Err(error) = done;
    // Nothing is left to tell it to if standard error is closed.
    drop(writeln!(io::stderr(), "switchboard-bench-peers: {error:#}"));
    ExitCode::FAILURE
}

fn run(mode: &str) -> Result<Infallible> {
    let serve = match mode {
        "echo-bare" => bare::serve,
        "echo-mio" => mio::serve,
        "echo-tokio" => tokio::serve_copying,
        "echo-tokio-multi" => tokio::serve_copying_on_many_threads,
        "echo-tokio-64k" => tokio::serve_with_own_buffers,
        "room-bare" => room_bare::serve,
        "room-tokio" => room_tokio::serve,
        _ => bail!("there is no mode {mode:?}, only:\n{MODES}"),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("bind")?;
    listener.set_nonblocking(true)?;
    writeln!(
        io::stderr(),
        "listening on tcp://{}",
        listener.local_addr()?
    )?;
    serve(listener)
}
