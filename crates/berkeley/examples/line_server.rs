//! Takes a line from each caller and gives it back in capitals, one thread a caller: the examples
//! of Python's `socketserver`, with a `StreamRequestHandler` and its mix-in for threads.
//!
//! `cargo run -p berkeley --example line_server -- tcp://127.0.0.1:9999 3` ends after three
//! callers; with `udp://` a datagram is a caller.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::{env, thread};

use berkeley::{Endpoint, MsgFlags, Result, ServerOptions, Socket, Transport};

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
    let mut args = env::args().skip(1);
    let place: Endpoint = match args.next() {
        Some(place) => place.parse()?,
        None => "tcp://127.0.0.1:9999".parse()?,
    };
    let callers = args.next().and_then(|text| text.parse().ok());
    let mut servers = ServerOptions::new().only_one(true).servers(&place)?;
    let Some(server) = servers.pop() else {
        return Ok(());
    };
    let socket = server.socket();
    println!("listening at {}", socket.local_addr()?);
    let mut answering = Vec::new();
    for _caller in 0..callers.unwrap_or(usize::MAX) {
        if place.transport() == Transport::Udp {
            answer_datagram(socket)?;
            continue;
        }
        let (caller, _) = socket.accept()?;
        answering.push(thread::spawn(move || {
            if let Err(error) = answer(&Arc::new(caller)) {
                eprintln!("a caller has left: {error}");
            }
        }));
    }
    for thread in answering {
        drop(thread.join());
    }
    Ok(())
}

/// As with files: `self.rfile.readline()` and `self.wfile.write()` there.
fn answer(caller: &Arc<Socket>) -> io::Result<()> {
    let mut line = Vec::new();
    caller.makefile().reader().read_until(b'\n', &mut line)?;
    let line = line.trim_ascii();
    println!("received {}", String::from_utf8_lossy(line));
    caller.makefile().write_all(&line.to_ascii_uppercase())
}

fn answer_datagram(socket: &Socket) -> Result<()> {
    let mut data = [0; 2048];
    let (len, from) = socket.recv_from(&mut data, MsgFlags::NONE)?;
    let data = data.get(..len).unwrap_or_default().trim_ascii();
    println!("received {}", String::from_utf8_lossy(data));
    if let Some(from) = from {
        socket.send_to(&data.to_ascii_uppercase(), MsgFlags::NONE, &from)?;
    }
    Ok(())
}
