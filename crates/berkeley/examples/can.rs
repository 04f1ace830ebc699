//! CAN frames: one socket sends a frame on a bus, another receives it.
//!
//! `cargo run -p berkeley --example can -- vcan0`; a bus without hardware is made by
//! `ip link add dev vcan0 type vcan && ip link set up vcan0`. It says so where the kernel has no
//! CAN, or where there is no such bus.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use berkeley::interfaces::if_nametoindex;
use berkeley::{
    Addr, CanAddr, Errno, Error, Family, Kind, Mode, MsgFlags, Protocol, Result, Socket,
};

/// `struct can_frame`: identifier, length, three bytes unused, eight of data.
const FRAME_BYTES: usize = 16;
const DATA_AT: usize = 8;

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
    let bus = env::args().nth(1).unwrap_or("vcan0".into());
    let sender = match Socket::new(Family::CAN, Kind::RAW, Protocol::CAN_RAW) {
        Ok(sender) => sender,
        Err(error @ Error::UnsupportedFamily(_)) => {
            println!("skipped: needs CAN, which this kernel does not have: {error}");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let interface = match if_nametoindex(&bus) {
        Ok(interface) => interface,
        Err(error) if error.errno() == Some(Errno::ENODEV) => {
            println!("skipped: needs the bus {bus}: {error}");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let place = Addr::from(CanAddr::Raw { interface });
    let receiver = Socket::new(Family::CAN, Kind::RAW, Protocol::CAN_RAW)?;
    sender.bind(&place)?;
    receiver.bind(&place)?;
    receiver.set_mode(Mode::Within(Duration::from_secs(5)))?;

    sender.send(&frame(0x123, b"hello"), MsgFlags::NONE)?;
    let mut frame = [0; FRAME_BYTES];
    let (_, from) = receiver.recv_from(&mut frame, MsgFlags::NONE)?;
    let (id, data) = parts(&frame);
    let bus = from.map(|addr| addr.to_string()).unwrap_or_default();
    println!("received {id:#x} from {bus}: {:?}", data.escape_ascii());
    Ok(())
}

fn frame(id: u32, data: &[u8; 5]) -> [u8; FRAME_BYTES] {
    let [a, b, c, d] = id.to_ne_bytes();
    let [e, f, g, h, i] = *data;
    [a, b, c, d, 5, 0, 0, 0, e, f, g, h, i, 0, 0, 0]
}

fn parts(frame: &[u8; FRAME_BYTES]) -> (u32, &[u8]) {
    let [a, b, c, d, len, ..] = *frame;
    let end = DATA_AT + usize::from(len);
    let id = u32::from_ne_bytes([a, b, c, d]) & CanAddr::EFF_MASK;
    (id, frame.get(DATA_AT..end).unwrap_or_default())
}
