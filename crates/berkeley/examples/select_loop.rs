//! Which of several sockets can be read from, and which can be written to: the `select` of
//! Python's Socket Programming HOWTO, with the limit after which it gives up.
//!
//! `cargo run -p berkeley --example select_loop`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use berkeley::selector::{Backend, Interest, Key, Trigger};
use berkeley::{Family, Kind, Mode, MsgFlags, Result, Socket};

const LIMIT: Duration = Duration::from_millis(100);
const ANN: Key = Key(1);
const BOB: Key = Key(2);

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
    let (ann, ann_far) = Socket::pair(Family::UNIX, Kind::STREAM)?;
    let (bob, bob_far) = Socket::pair(Family::UNIX, Kind::STREAM)?;
    for socket in [&ann, &bob] {
        socket.set_mode(Mode::NonBlock)?;
    }
    let selector = Backend::Select.open()?;
    selector.register(ann.as_fd(), ANN, Interest::READABLE, Trigger::Level)?;
    let both = Interest::READABLE | Interest::WRITABLE;
    selector.register(bob.as_fd(), BOB, both, Trigger::Level)?;

    ann_far.send_all(b"hello")?;
    let mut events = Vec::new();
    selector.wait(&mut events, Some(LIMIT))?;
    for event in &events {
        let (name, socket) = if event.key == ANN {
            ("ann", &ann)
        } else {
            ("bob", &bob)
        };
        if event.ready.is_readable() {
            let said = socket.recv_vec(64, MsgFlags::NONE)?;
            println!("{name} hears {}", String::from_utf8_lossy(&said));
        }
        if event.ready.is_writable() {
            println!("{name} can speak");
            socket.send(b"good day", MsgFlags::NONE)?;
        }
    }
    println!(
        "bob said {}",
        String::from_utf8_lossy(&bob_far.recv_vec(64, MsgFlags::NONE)?)
    );

    selector.unregister(bob.as_fd())?;
    selector.wait(&mut events, Some(LIMIT))?;
    println!(
        "{} sockets are ready after {} s",
        events.len(),
        LIMIT.as_secs_f32()
    );
    Ok(())
}
