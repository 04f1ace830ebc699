//! One server for IPv4 and IPv6 where the machine can do that, for IPv4 where it cannot: the
//! example of Python's `create_server`. It greets two callers.
//!
//! `cargo run -p berkeley --example dual_stack -- 8080`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::env;
use std::process::ExitCode;

use berkeley::{Addr, Result, ServerOptions, create_server, has_dualstack_ipv6};

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
    let port = env::args().nth(1).unwrap_or("8080".into());
    let server = if has_dualstack_ipv6() {
        let everywhere: Addr = format!("[::]:{port}").parse()?;
        create_server(&everywhere, &ServerOptions::new().dual_stack(true))?
    } else {
        let everywhere: Addr = format!("0.0.0.0:{port}").parse()?;
        create_server(&everywhere, &ServerOptions::new())?
    };
    println!("listening at {}", server.local_addr()?);
    for _caller in 0..2 {
        let (caller, Some(addr)) = server.accept()? else {
            continue;
        };
        // An IPv4 caller of an IPv6 socket has an address such as ::ffff:192.0.2.1.
        let addr = addr.canonical();
        println!("called by {addr}");
        caller.send_all(format!("hello {addr}\n").as_bytes())?;
    }
    Ok(())
}
