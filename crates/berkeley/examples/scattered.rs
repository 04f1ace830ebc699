//! One message received into several buffers: the example of Python's `recvmsg_into`.
//!
//! `cargo run -p berkeley --example scattered`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::io::IoSliceMut;
use std::process::ExitCode;

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
    let (a, b) = Socket::pair(Family::UNIX, Kind::STREAM)?;
    let (mut first, mut second, mut third) = (*b"----", *b"0123456789", *b"--------------");
    a.send(b"Mary had a little lamb", MsgFlags::NONE)?;

    let [_, _, middle @ .., _] = &mut second;
    let len = b.recv_scattered(
        &mut [
            IoSliceMut::new(&mut first),
            IoSliceMut::new(middle),
            IoSliceMut::new(&mut third),
        ],
        MsgFlags::NONE,
    )?;
    println!("{len} bytes");
    for buffer in [&first[..], &second, &third] {
        println!("{}", String::from_utf8_lossy(buffer));
    }
    Ok(())
}
