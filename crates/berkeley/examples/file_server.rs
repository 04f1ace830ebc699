//! A server that answers each line with the file of that name, sent by the kernel, and a caller
//! that receives one into a file of its own, by the kernel too.
//!
//! `cargo run -p berkeley --example file_server -- FILE COPY`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use berkeley::{Deadline, Result, ServerOptions, Socket, Splicer, create_connection};
use std::fs::File;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::{env, io, thread};

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
    let mut names = env::args().skip(1);
    let (Some(name), Some(copy)) = (names.next(), names.next()) else {
        return Err(io::Error::other("file_server FILE COPY"));
    };
    let servers = ServerOptions::new()
        .only_one(true)
        .servers(&"localhost:0".parse()?);
    let server = servers?
        .pop()
        .ok_or_else(|| io::Error::other("no address"))?;
    let endpoint = server.endpoint().clone();
    let serving = thread::spawn(move || {
        let (peer, _) = server.socket().accept()?;
        serve(Arc::new(peer))
    });

    let (socket, _) = create_connection(&endpoint, Deadline::within(Duration::from_secs(5)))?;
    socket.send_all(format!("{name}\n").as_bytes())?;
    let len = fetch(&socket, &File::create(copy)?)?;
    println!("received {len} bytes");
    serving.join().unwrap_or(Ok(()))
}

fn serve(peer: Arc<Socket>) -> io::Result<()> {
    let mut text = peer.makefile().text();
    while let Some(line) = text.read_line()? {
        let file = File::open(line.trim_end())?;
        println!("sent {} bytes", peer.sendfile(&file, 0, None)?);
        // One file for each call: its end is the end of the stream.
        peer.shutdown(berkeley::Shutdown::WRITE)?;
    }
    Ok(())
}

fn fetch(socket: &Socket, file: &File) -> Result<u64> {
    let len = Splicer::new().to_file(socket, file, None)?;
    socket.shutdown(berkeley::Shutdown::WRITE)?;
    Ok(len)
}
