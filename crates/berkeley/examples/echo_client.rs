//! Says something to an echo server, over IPv4 or IPv6, and shows what comes back: the clients of
//! the first two examples of Python's `socket`. A name is looked up, and each of its addresses
//! tried until one answers.
//!
//! `cargo run -p berkeley --example echo_client -- localhost:50007`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::env;
use std::process::ExitCode;

use berkeley::{Error, Kind, MsgFlags, Protocol, Query, Result, Socket};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let place = env::args().nth(1).unwrap_or("localhost:50007".into());
    let (host, port) = place.rsplit_once(':').unwrap_or((&place, "50007"));
    let socket = connect(host.trim_matches(['[', ']']), port)?;
    socket.send_all(b"Hello, world")?;
    let data = socket.recv_vec(1024, MsgFlags::NONE)?;
    println!("received {}", String::from_utf8_lossy(&data));
    Ok(())
}

/// What `create_connection` does at its simplest: one address after the other.
fn connect(host: &str, port: &str) -> Result<Socket> {
    let mut tried = Vec::new();
    let found = Query::host(host)
        .service(port)
        .kind(Kind::STREAM)
        .resolve()?;
    for info in found {
        let attempt = Socket::new(info.family, info.kind, Protocol::DEFAULT)
            .and_then(|socket| socket.connect(&info.addr).map(|()| socket));
        match attempt {
            Ok(socket) => return Ok(socket),
            Err(error) => tried.push((info.addr, error)),
        }
    }
    Err(Error::Connect(tried))
}
