//! What a call costs: instructions in this program (not in the kernel) for each call through
//! `berkeley` and through bare `libc`, counted by valgrind's callgrind.
//!
//! `cargo xtask bench-calls`, or `cargo run --release -p berkeley --example cost`, prints the
//! table. `cost ours send blocking` makes one row's calls without counting.
//!
//! Each row is a hundred calls in a loop of the same function, `measured`, with the same look at
//! whether the call failed; making and emptying the sockets is not counted.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

mod addressed;
mod bare;

use std::env;
use std::hint::black_box;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;

use berkeley::{ControlSpace, Family, Kind, Mode, MsgFlags, OutMessage, Result, Socket};

/// Few enough for the queue of a socket.
const CALLS: usize = 100;

const OPERATIONS: [&str; 15] = [
    "send",
    "recv",
    "sendmsg",
    "recvmsg",
    "accept",
    "accept (IPv6)",
    "accept_with",
    "accept_with (IPv6)",
    "accept_addr",
    "send_to",
    "send_to (IPv6)",
    "send_to (AddrBuf)",
    "recv_from",
    "recv_from (IPv6)",
    "recv_addr",
];
const MODES: [&str; 2] = ["blocking", "non-blocking"];

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => table(),
        [
            side @ ("ours" | "bare"),
            operation,
            mode @ ("blocking" | "non-blocking"),
        ] => {
            let mode = if *mode == "blocking" {
                Mode::Block
            } else {
                Mode::NonBlock
            };
            let done = calls(*side == "ours", operation, mode)?;
            println!("{done} calls succeeded");
            if done == CALLS {
                Ok(())
            } else {
                Err(io::Error::other("not all of the calls succeeded"))
            }
        }
        _ => Err(io::Error::other(format!(
            "cost [ours|bare {} blocking|non-blocking]",
            OPERATIONS.join("|")
        ))),
    }
}

fn table() -> io::Result<()> {
    println!("| call               | mode         | ours | bare | difference | within the goal |");
    println!("|--------------------|--------------|-----:|-----:|-----------:|-----------------|");
    for operation in OPERATIONS {
        for mode in MODES {
            let ours = count("ours", operation, mode)?;
            let bare = count("bare", operation, mode)?;
            let more = ours - bare;
            // 20 instructions, or 2 %.
            let is_within = more <= 20.0_f64.max(bare * 0.02);
            let verdict = if is_within { "yes" } else { "no" };
            let figures = format!("{ours:4.0} | {bare:4.0} | {more:+10.0}");
            println!("| {operation:18} | {mode:12} | {figures} | {verdict:15} |");
        }
    }
    Ok(())
}

/// Instructions of one call, by this program run again under callgrind.
fn count(side: &str, operation: &str, mode: &str) -> io::Result<f64> {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(["--collect-atstart=no", "--toggle-collect=*measured*"])
        .arg(env::current_exe()?)
        .args([side, operation, mode]);
    let output = valgrind.output().map_err(|error| {
        io::Error::other(format!(
            "needs valgrind, whose callgrind counts the instructions: {error}"
        ))
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, number)| number.trim().parse::<u32>().ok());
    match collected {
        Some(number) if output.status.success() => Ok(f64::from(number) / 100.0),
        _ => Err(io::Error::other(format!(
            "valgrind has not counted: {said}"
        ))),
    }
}

/// What is counted: answers how many of the calls succeeded.
#[inline(never)]
fn measured(mut call: impl FnMut() -> bool) -> usize {
    let mut done = 0;
    for _call in 0..CALLS {
        done += usize::from(call());
    }
    done
}

fn calls(ours: bool, operation: &str, mode: Mode) -> Result<usize> {
    match operation {
        "send" | "recv" | "sendmsg" | "recvmsg" => {
            let (near, far) = Socket::pair(Family::UNIX, Kind::STREAM)?;
            near.set_mode(mode)?;
            if operation.starts_with("recv") {
                far.send_all(&[b'x'; CALLS])?;
            }
            Ok(if operation.ends_with("msg") {
                messages(ours, operation, &near)
            } else {
                bytes(ours, operation, &near)
            })
        }
        _ => addressed::calls(ours, operation, mode),
    }
}

fn bytes(ours: bool, operation: &str, near: &Socket) -> usize {
    let fd = near.as_fd().as_raw_fd();
    let mut buf = [0; 1];
    match (ours, operation) {
        (true, "send") => measured(|| near.send(black_box(b"x"), MsgFlags::NONE).is_ok()),
        (false, "send") => measured(|| bare::send(fd, black_box(b"x"))),
        (true, _) => measured(|| near.recv(black_box(&mut buf), MsgFlags::NONE).is_ok()),
        (false, _) => measured(|| bare::recv(fd, black_box(&mut buf))),
    }
}

fn messages(ours: bool, operation: &str, near: &Socket) -> usize {
    let fd = near.as_fd().as_raw_fd();
    let mut buf = [0; 1];
    let mut room = [0_u64; 8];
    let mut space = ControlSpace::<64>::new();
    let mut control = space.buf();
    match (ours, operation) {
        (true, "sendmsg") => measured(|| {
            let pieces = [IoSlice::new(black_box(b"x"))];
            near.send_message(&OutMessage::new(&pieces), MsgFlags::NONE)
                .is_ok()
        }),
        (false, "sendmsg") => measured(|| bare::sendmsg(fd, black_box(b"x"))),
        (true, _) => measured(|| {
            let mut buffers = [IoSliceMut::new(black_box(&mut buf))];
            near.recv_message(&mut buffers, &mut control, MsgFlags::NONE)
                .is_ok()
        }),
        (false, _) => measured(|| bare::recvmsg(fd, black_box(&mut buf), &mut room)),
    }
}
