//! Raw packet capture: every frame that passes the loopback interface, until one brings the
//! datagram that this program sends there itself. Needs root, or `CAP_NET_RAW`.
//!
//! `cargo run -p berkeley --example packet_capture`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::ExitCode;
use std::time::Duration;

use berkeley::interfaces::if_nametoindex;
use berkeley::{
    Addr, Errno, EtherType, Family, Kind, Mode, MsgFlags, PacketAddr, Protocol, Result, Socket,
};

const INTERFACE: &str = "lo";
const TEXT: &[u8] = b"a datagram that will be seen";

/// How often it is sent: where much else passes, the capture's queue can be full and lose it.
const TRIES: usize = 100;
const FRAMES_PER_TRY_MAX: usize = 100;

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
    // With no protocol it captures nothing before it is bound to its interface.
    let capture = match Socket::new(Family::PACKET, Kind::RAW, Protocol::DEFAULT) {
        Ok(capture) => capture,
        Err(error) if error.errno() == Some(Errno::EPERM) => {
            println!("skipped: needs root, or CAP_NET_RAW: {error}");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let place = PacketAddr::new(if_nametoindex(INTERFACE)?, EtherType::ALL);
    capture.bind(&Addr::from(place))?;
    capture.set_mode(Mode::Within(Duration::from_secs(5)))?;

    let sender = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT)?;
    sender.bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    let addr = sender.local_addr()?;
    for _try in 0..TRIES {
        sender.send_to(TEXT, MsgFlags::NONE, &addr)?;
        if is_seen(&capture)? {
            println!("captured {:?}", String::from_utf8_lossy(TEXT));
            return Ok(());
        }
    }
    Err(berkeley::Error::TimedOut { call: "recvfrom" })
}

/// Shows frames until the one that is waited for has come, or very many others.
fn is_seen(capture: &Socket) -> Result<bool> {
    let mut frame = [0; 65_536];
    for _frame in 0..FRAMES_PER_TRY_MAX {
        let (len, from) = capture.recv_from(&mut frame, MsgFlags::NONE)?;
        if let Some(Addr::Packet(from)) = from {
            let (packet, protocol) = (from.packet_type(), from.protocol());
            println!("{len} bytes, {packet:?}, {protocol:?}");
        }
        if frame.get(..len).unwrap_or_default().ends_with(TEXT) {
            return Ok(true);
        }
    }
    Ok(false)
}
