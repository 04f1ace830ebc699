//! An echo server for one caller, at the first address that the resolver has for this machine and
//! that can be listened at: the second example of Python's `socket`.
//!
//! `cargo run -p berkeley --example any_family_server -- 50007`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::env;
use std::process::ExitCode;

use berkeley::names::ResolveFlags;
use berkeley::{AddrInfo, Error, Kind, MsgFlags, Query, Result, Socket};

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
    let port = env::args().nth(1).unwrap_or("50007".into());
    let server = listen(&port)?;
    println!("listening at {}", server.local_addr()?);
    let (caller, addr) = server.accept()?;
    if let Some(addr) = addr {
        println!("connected by {}", addr.canonical());
    }
    loop {
        let data = caller.recv_vec(1024, MsgFlags::NONE)?;
        if data.is_empty() {
            return Ok(());
        }
        caller.send_all(&data)?;
    }
}

fn listen(port: &str) -> Result<Socket> {
    let anywhere = Query::local()
        .service(port)
        .kind(Kind::STREAM)
        .flags(ResolveFlags::PASSIVE);
    let mut last = Error::Invalid("this machine has no address".into());
    for info in anywhere.resolve()? {
        match listen_at(&info) {
            Ok(server) => return Ok(server),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen_at(info: &AddrInfo) -> Result<Socket> {
    let server = Socket::new(info.family, info.kind, info.protocol)?;
    server.bind(&info.addr)?;
    server.listen(1)?;
    Ok(server)
}
