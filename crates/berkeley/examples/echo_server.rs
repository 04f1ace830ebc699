//! An echo server for one caller: the first example of Python's `socket`. `echo_client` calls it.
//!
//! `cargo run -p berkeley --example echo_server -- 127.0.0.1:50007`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::env;
use std::process::ExitCode;

use berkeley::{Addr, Family, Kind, MsgFlags, Protocol, Result, Socket};

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
    let place = env::args().nth(1).unwrap_or("127.0.0.1:50007".into());
    let place: Addr = place.parse()?;
    let server = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT)?;
    server.bind(&place)?;
    server.listen(1)?;
    println!("listening at {}", server.local_addr()?);

    let (caller, addr) = server.accept()?;
    if let Some(addr) = addr {
        println!("connected by {addr}");
    }
    loop {
        let data = caller.recv_vec(1024, MsgFlags::NONE)?;
        if data.is_empty() {
            return Ok(());
        }
        caller.send_all(&data)?;
    }
}
