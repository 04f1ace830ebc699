//! A chat between processes of one machine: each line that one says, all others hear. The
//! server and three who chat are threads of this program here.
//!
//! `cargo run -p berkeley --example unix_chat -- /tmp/chat.sock`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use berkeley::file::TextFile;
use berkeley::{Deadline, Endpoint, Socket, create_connection, create_servers};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::{env, io, thread};

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

fn run() -> io::Result<()> {
    let path = env::args().nth(1).unwrap_or("@berkeley-chat".into());
    let place: Endpoint = format!("unix://{path}").parse()?;
    let server = create_servers(&place)?
        .pop()
        .ok_or_else(|| io::Error::other("no address"))?;
    let mut people = Vec::new();
    for name in PEOPLE {
        let (socket, _) = create_connection(&place, Deadline::within(Duration::from_secs(5)))?;
        people.push((name, Arc::new(socket).makefile().text().line_buffered()));
    }
    let room = thread::spawn(move || {
        let mut present = Vec::new();
        for _name in PEOPLE {
            present.push(Arc::new(server.socket().accept()?.0));
        }
        relay(&present)
    });
    for (name, text) in &mut people {
        text.write_text(&format!("{name}: hello\n"))?;
    }
    for (name, text) in &mut people {
        hear(name, text)?;
    }
    for (_, text) in people {
        text.close()?;
    }
    room.join().unwrap_or(Ok(()))
}

/// Everybody says one line here, and hears those of the others.
fn hear(name: &str, text: &mut TextFile) -> io::Result<()> {
    for _other in 1..PEOPLE.len() {
        if let Some(line) = text.read_line()? {
            println!("{name} hears {}", line.trim_end());
        }
    }
    Ok(())
}

fn relay(present: &[Arc<Socket>]) -> io::Result<()> {
    for (index, speaker) in present.iter().enumerate() {
        let Some(line) = speaker.makefile().text().read_line()? else {
            continue;
        };
        for (other, listener) in present.iter().enumerate() {
            if other != index {
                listener.send_all(line.as_bytes())?;
            }
        }
    }
    Ok(())
}
