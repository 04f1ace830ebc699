//! A chat without a server: what one says to a group, everybody hears who has joined it. On the
//! loopback interface alone, with three members in one program.
//!
//! `cargo run -p berkeley --example multicast_chat`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use berkeley::opt::multicast::Interface;
use berkeley::opt::{ip, socket};
use berkeley::{Addr, Family, Kind, Mode, MsgFlags, Protocol, Result, Socket};

/// Of the block that no router lets out of an organisation (RFC 2365 §6.1).
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 42, 99);
const LOOPBACK: Interface = Interface::Addr(Ipv4Addr::LOCALHOST);
const PEOPLE: [&str; 3] = ["ann", "bob", "eve"];

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
    let mut people = Vec::new();
    let mut port = 0;
    for name in PEOPLE {
        let socket = join(port)?;
        port = socket.local_addr()?.port().unwrap_or(0);
        people.push((name, socket));
    }
    for (name, socket) in &people {
        let line = format!("{name}: hello");
        socket.send_to(line.as_bytes(), MsgFlags::NONE, (GROUP, port))?;
    }
    for (name, socket) in &people {
        for _speaker in PEOPLE {
            let (line, from) = hear(socket)?;
            // One's own words come back too, since others of this machine shall hear them.
            if !line.starts_with(name) {
                let from = from.map(|addr| addr.to_string()).unwrap_or_default();
                println!("{name} hears {line} (by {from})");
            }
        }
        socket.leave_group(GROUP.into(), LOOPBACK)?;
    }
    Ok(())
}

/// A member at this port, or at any for 0. It is bound to the group's address, so that it hears
/// the group and nothing else.
fn join(port: u16) -> Result<Socket> {
    let member = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT)?;
    member.set(socket::ReuseAddr, true)?;
    member.bind((GROUP, port))?;
    member.join_group(GROUP.into(), LOOPBACK)?;
    member.set_multicast_interface(LOOPBACK)?;
    member.set(ip::MulticastLoop, true)?;
    member.set_mode(Mode::Within(Duration::from_secs(5)))?;
    Ok(member)
}

fn hear(socket: &Socket) -> Result<(String, Option<Addr>)> {
    let mut buf = [0; 512];
    let (len, from) = socket.recv_from(&mut buf, MsgFlags::NONE)?;
    let line = String::from_utf8_lossy(buf.get(..len).unwrap_or_default());
    Ok((line.into_owned(), from))
}
