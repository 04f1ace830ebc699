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

use berkeley::can::{CanId, ClassicFrame};
use berkeley::interfaces::if_nametoindex;
use berkeley::{
    Addr, CanAddr, Errno, Error, Family, Kind, Mode, MsgFlags, Protocol, Result, Socket,
};

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

    let id = CanId::from_raw(0x123);
    let frame = ClassicFrame::new(id, b"hello")?;
    sender.send(&frame.encode(), MsgFlags::NONE)?;
    let mut bytes = [0; ClassicFrame::BYTES];
    let (_, from) = receiver.recv_from(&mut bytes, MsgFlags::NONE)?;
    let bus = from.map(|addr| addr.to_string()).unwrap_or_default();
    match ClassicFrame::decode(&bytes) {
        Some(frame) => {
            let data = frame.data().escape_ascii();
            println!("received {:#x} from {bus}: {data:?}", frame.id().number());
        }
        None => println!("received no frame from {bus}: {bytes:?}"),
    }
    Ok(())
}
