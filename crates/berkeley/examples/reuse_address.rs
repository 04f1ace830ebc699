//! A server that was stopped starts again at once, though its last connection still lingers in
//! `TIME_WAIT`: the last example of Python's `socket`, which sets `SO_REUSEADDR` for that.
//!
//! `cargo run -p berkeley --example reuse_address`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::process::ExitCode;

use berkeley::{Addr, Family, Kind, MsgFlags, Protocol, Result, Shutdown, Socket, opt};

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
    let server = listen(&"127.0.0.1:0".parse()?, true)?;
    let place = server.local_addr()?;
    let caller = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT)?;
    caller.connect(&place)?;
    let (peer, _) = server.accept()?;
    // Whoever ends a connection first keeps its port for a while.
    peer.shutdown(Shutdown::WRITE)?;
    caller.recv_vec(1, MsgFlags::NONE)?;
    drop((caller, peer, server));

    match listen(&place, false) {
        Ok(_server) => println!("without SO_REUSEADDR: listening again"),
        Err(error) => println!("without SO_REUSEADDR: {error}"),
    }
    listen(&place, true)?;
    println!("with SO_REUSEADDR: listening again");
    Ok(())
}

fn listen(place: &Addr, reuse: bool) -> Result<Socket> {
    let server = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT)?;
    server.set(opt::ReuseAddr, reuse)?;
    server.bind(place)?;
    server.listen(1)?;
    Ok(server)
}
