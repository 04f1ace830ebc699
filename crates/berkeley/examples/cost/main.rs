//! What a call costs: instructions in this program (not in the kernel) for each call through
//! `berkeley` and through bare `libc`, counted by valgrind's callgrind.
//!
//! `cargo xtask bench-calls`, or `cargo run --release -p berkeley --example cost`, prints the
//! table. `cost ours send blocking` makes one row's calls without counting.
//!
//! Each row is a hundred calls in a loop of the same function, `measured`, with the same look at
//! whether the call failed; making and emptying the sockets is not counted.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

mod bare;

use std::env;
use std::hint::black_box;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;

use berkeley::{
    Addr, ControlSpace, Family, Kind, Mode, MsgFlags, OutMessage, Protocol, Result, Socket,
};

/// Few enough for the queue of a socket.
const CALLS: usize = 100;

const OPERATIONS: [&str; 7] = [
    "send",
    "recv",
    "accept",
    "sendmsg",
    "recvmsg",
    "send_to",
    "recv_from",
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
    println!("| call      | mode         | ours | bare | difference | within the goal |");
    println!("|-----------|--------------|-----:|-----:|-----------:|-----------------|");
    for operation in OPERATIONS {
        for mode in MODES {
            let ours = count("ours", operation, mode)?;
            let bare = count("bare", operation, mode)?;
            let more = ours - bare;
            // 20 instructions, or 2 %.
            let is_within = more <= 20.0_f64.max(bare * 0.02);
            let verdict = if is_within { "yes" } else { "no" };
            let figures = format!("{ours:4.0} | {bare:4.0} | {more:+10.0}");
            println!("| {operation:9} | {mode:12} | {figures} | {verdict:15} |");
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
        "accept" => accept(ours, mode),
        _ => datagrams(ours, operation, mode),
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

/// The accepted ones are kept, and closed when nobody counts. No pages are touched for the first
/// time: `Vec::push` finds its room.
fn accept(ours: bool, mode: Mode) -> Result<usize> {
    let listener = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT)?;
    listener.bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    listener.listen(128)?;
    let addr = listener.local_addr()?;
    let mut callers = Vec::new();
    for _call in 0..CALLS {
        let caller = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT)?;
        caller.connect(&addr)?;
        callers.push(caller);
    }
    listener.set_mode(mode)?;
    if ours {
        let mut kept = Vec::with_capacity(CALLS);
        return Ok(measured(|| match listener.accept_with(mode) {
            Ok((socket, addr)) => {
                black_box(&addr);
                kept.push(socket);
                true
            }
            Err(_) => false,
        }));
    }
    let mut kept = Vec::with_capacity(CALLS);
    let fd = listener.as_fd().as_raw_fd();
    let nonblocking = mode == Mode::NonBlock;
    let done = measured(|| {
        let fd = bare::accept(fd, nonblocking);
        kept.push(fd);
        fd >= 0
    });
    kept.into_iter().for_each(bare::close);
    Ok(done)
}

fn datagrams(ours: bool, operation: &str, mode: Mode) -> Result<usize> {
    let near = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT)?;
    near.bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    let addr: Addr = near.local_addr()?;
    let port = addr.port().unwrap_or(0);
    let raw = bare::inet(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
    near.set_mode(mode)?;
    let fd = near.as_fd().as_raw_fd();
    let mut buf = [0; 1];
    if operation == "recv_from" {
        for _call in 0..CALLS {
            near.send_to(b"x", MsgFlags::NONE, &addr)?;
        }
    }
    Ok(match (ours, operation) {
        (true, "send_to") => measured(|| {
            near.send_to(black_box(b"x"), MsgFlags::NONE, black_box(&addr))
                .is_ok()
        }),
        (false, "send_to") => measured(|| bare::sendto(fd, black_box(b"x"), black_box(&raw))),
        (true, "recv_from") => {
            measured(
                || match near.recv_from(black_box(&mut buf), MsgFlags::NONE) {
                    Ok((_, sender)) => {
                        black_box(&sender);
                        true
                    }
                    Err(_) => false,
                },
            )
        }
        (false, "recv_from") => measured(|| bare::recvfrom(fd, black_box(&mut buf))),
        _ => 0,
    })
}
