//! CAN's broadcast manager: the kernel sends a frame again and again, and tells when its data
//! change.
//!
//! `cargo run -p berkeley --example can_bcm -- vcan0`; a bus without hardware is made by
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

use berkeley::can::bcm::{Flags, Frames, Message, Opcode};
use berkeley::can::{CanId, ClassicFrame};
use berkeley::interfaces::if_nametoindex;
use berkeley::{CanAddr, Errno, Error, Family, Kind, Mode, MsgFlags, Protocol, Result, Socket};

const EACH: Duration = Duration::from_millis(20);

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
    let sender = match Socket::new(Family::CAN, Kind::DGRAM, Protocol::CAN_BCM) {
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
    let watcher = Socket::new(Family::CAN, Kind::DGRAM, Protocol::CAN_BCM)?;
    // The broadcast manager is connected to a bus, where raw sockets are bound.
    sender.connect(CanAddr::Raw { interface })?;
    watcher.connect(CanAddr::Raw { interface })?;
    watcher.set_mode(Mode::Within(Duration::from_secs(5)))?;

    let id = CanId::from_raw(0x123);
    let all_bits = ClassicFrame::new(id, &[0xff; ClassicFrame::DATA_MAX])?;
    let watch = Message {
        frames: Frames::Classic(vec![all_bits]),
        ..Message::new(Opcode::RX_SETUP, id)
    };
    watcher.send(&watch.encode()?, MsgFlags::NONE)?;

    let mut flags = Flags::SETTIMER | Flags::STARTTIMER;
    for data in [b"one", b"two"] {
        let job = Message {
            flags,
            interval: EACH,
            frames: Frames::Classic(vec![ClassicFrame::new(id, data)?]),
            ..Message::new(Opcode::TX_SETUP, id)
        };
        sender.send(&job.encode()?, MsgFlags::NONE)?;
        print_change(&watcher)?;
        // The timer runs: what changes from now on is what is sent.
        flags = Flags::TX_ANNOUNCE;
    }
    let end = Message::new(Opcode::TX_DELETE, id);
    sender.send(&end.encode()?, MsgFlags::NONE)?;
    Ok(())
}

/// Waits until the kernel tells of a frame whose data are new.
fn print_change(watcher: &Socket) -> Result<()> {
    let mut bytes = vec![0; Message::BYTES_MAX];
    loop {
        let len = watcher.recv(&mut bytes, MsgFlags::NONE)?;
        let told = bytes.get(..len).and_then(Message::decode);
        let Some(told) = told.filter(|told| told.opcode == Opcode::RX_CHANGED) else {
            continue;
        };
        if let Frames::Classic(frames) = &told.frames {
            for frame in frames {
                let data = frame.data().escape_ascii();
                println!("{:#x} changed to {data}", told.id.number());
            }
        }
        return Ok(());
    }
}
