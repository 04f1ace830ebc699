//! Echo over UDP: each datagram goes back to whoever sent it. Server and caller are threads of
//! one program.
//!
//! `cargo run -p berkeley --example udp_echo -- 127.0.0.1:0`, or `'[::1]:0'`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, io, thread};

use berkeley::{Family, Kind, Mode, MsgFlags, Protocol, Result, Socket};

const LINES: [&str; 3] = ["one", "two", "three"];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let place = env::args().nth(1).unwrap_or("127.0.0.1:0".into());
    let place: SocketAddr = place.parse().map_err(io::Error::other)?;
    let server = open(place)?;
    let addr = server.local_addr()?;
    let echo = thread::spawn(move || serve(&server));

    let caller = open(SocketAddr::new(place.ip(), 0))?;
    // Connected: it hears from the server alone, and is told when there is none.
    caller.connect(&addr)?;
    for line in LINES {
        caller.send(line.as_bytes(), MsgFlags::NONE)?;
        let answer = caller.recv_vec(64, MsgFlags::NONE)?;
        println!("received {:?}", String::from_utf8_lossy(&answer));
    }
    Ok(echo.join().unwrap_or(Ok(()))?)
}

fn open(addr: SocketAddr) -> Result<Socket> {
    let family = if addr.is_ipv4() {
        Family::INET
    } else {
        Family::INET6
    };
    let socket = Socket::new(family, Kind::DGRAM, Protocol::DEFAULT)?;
    socket.bind(addr)?;
    // A datagram can be lost, and nobody tells.
    socket.set_mode(Mode::Within(Duration::from_secs(5)))?;
    Ok(socket)
}

/// Sends back so many datagrams as the caller has lines.
fn serve(server: &Socket) -> Result<()> {
    let mut buf = [0; 2048];
    for _line in LINES {
        let (len, from) = server.recv_from(&mut buf, MsgFlags::NONE)?;
        if let Some(from) = from {
            let data = buf.get(..len).unwrap_or_default();
            server.send_to(data, MsgFlags::NONE, &from)?;
        }
    }
    Ok(())
}
