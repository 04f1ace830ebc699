//! Descriptors passed over a Unix socket: whoever receives one has the same open socket or file
//! as its sender, whichever process that is. Here two threads do it.
//!
//! `cargo run -p berkeley --example descriptor_passing`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::os::fd::AsFd;
use std::process::ExitCode;
use std::thread;

use berkeley::{Family, Kind, MsgFlags, Result, Socket};

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
    let (giver, taker) = Socket::pair(Family::UNIX, Kind::STREAM)?;
    let (ann, ann_far) = Socket::pair(Family::UNIX, Kind::STREAM)?;
    let (bob, bob_far) = Socket::pair(Family::UNIX, Kind::STREAM)?;
    let receiver = thread::spawn(move || greet_all(&taker));

    giver.send_fds(
        b"ann,bob",
        &[ann_far.as_fd(), bob_far.as_fd()],
        MsgFlags::NONE,
    )?;
    // They live on in the other thread; without ours, their end is seen.
    drop((ann_far, bob_far));
    for (name, socket) in [("ann", ann), ("bob", bob)] {
        let greeting = socket.recv_vec(64, MsgFlags::NONE)?;
        println!("{name} hears {:?}", String::from_utf8_lossy(&greeting));
    }
    receiver.join().unwrap_or(Ok(()))
}

/// Receives names with a descriptor for each, and says hello there.
fn greet_all(taker: &Socket) -> Result<()> {
    let mut names = [0; 64];
    let message = taker.recv_fds(&mut names, MsgFlags::NONE)?;
    let names = String::from_utf8_lossy(names.get(..message.len).unwrap_or_default());
    println!("received {} descriptors for {names}", message.fds.len());
    for (name, fd) in names.split(',').zip(message.fds) {
        let socket = Socket::adopt(fd)?;
        socket.send_all(format!("hello {name}").as_bytes())?;
    }
    Ok(())
}
