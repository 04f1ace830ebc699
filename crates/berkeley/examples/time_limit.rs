//! A client that waits for nothing longer than it said: not for the name, not for the connection,
//! not for the answer.
//!
//! `cargo run -p berkeley --example time_limit -- HOST:PORT 0.5`; without arguments it calls a
//! server of its own that never answers.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use berkeley::{ConnectOptions, Endpoint, Error, Mode, MsgFlags, Result, create_servers};
use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant};

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
    let mut args = env::args().skip(1);
    let silent = create_servers(&"localhost:0".parse()?)?;
    let place: Endpoint = match (args.next(), silent.first()) {
        (Some(place), _) => place.parse()?,
        (None, Some(server)) => server.endpoint().clone(),
        (None, None) => return Ok(()),
    };
    let seconds = args
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0.2);
    let limit = Duration::from_secs_f64(seconds);

    let begin = Instant::now();
    match ask(&place, limit) {
        Ok(answer) => println!("received {answer:?}"),
        Err(error) if error.is_timed_out() => {
            println!(
                "gave up after {:.1} s: {error}",
                begin.elapsed().as_secs_f64()
            );
        }
        // Each address that was tried, with its own reason.
        Err(Error::Connect(tried)) => {
            for (addr, error) in tried {
                println!("{addr}: {error}");
            }
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

fn ask(place: &Endpoint, limit: Duration) -> Result<String> {
    let options = ConnectOptions::new().timeout(limit);
    let (socket, _) = berkeley::create_connection(place, &options)?;
    socket.set_mode(Mode::Within(limit))?;
    socket.send_all(b"hello?\r\n")?;
    let mut answer = [0; 512];
    let len = socket.recv(&mut answer, MsgFlags::NONE)?;
    let answer = answer.get(..len).unwrap_or_default();
    Ok(String::from_utf8_lossy(answer).into_owned())
}
