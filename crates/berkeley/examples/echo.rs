//! Echo over TCP, with the server and its caller in one program.
//!
//! `cargo run -p berkeley --example echo -- 127.0.0.1:0` for IPv4, `'[::1]:0'` for IPv6, and
//! `'*:0'` for both with one dual-stack socket, which is then called by IPv4.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use berkeley::{
    ConnectOptions, Endpoint, Family, MsgFlags, Result, ServerOptions, Shutdown, Socket,
    create_connection,
};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, thread};

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
    let place = env::args().nth(1).unwrap_or("127.0.0.1:0".into());
    let mut servers = ServerOptions::new()
        .only_one(true)
        .servers(&place.parse()?)?;
    let Some(server) = servers.pop() else {
        return Ok(());
    };
    println!("listening at {}", server.endpoint());
    let port = server.socket().local_addr()?.port().unwrap_or(0);
    let to_call: Endpoint = if place.starts_with('*') {
        format!("127.0.0.1:{port}").parse()?
    } else {
        server.endpoint().clone()
    };

    let echo = thread::spawn(move || -> Result<()> {
        let (peer, addr) = server.socket().accept()?;
        if let Some(addr) = addr {
            let family = server.socket().family();
            let which = if family == Family::INET6 { 6 } else { 4 };
            println!("called by {}, at an IPv{which} socket", addr.canonical());
        }
        serve(&peer)
    });

    let options = ConnectOptions::new().timeout(Duration::from_secs(5));
    let (socket, _) = create_connection(&to_call, &options)?;
    socket.send_all(b"Hello, world")?;
    socket.shutdown(Shutdown::WRITE)?;
    let mut answer = [0; 64];
    let len = socket.recv(&mut answer, MsgFlags::WAITALL)?;
    let answer = answer.get(..len).unwrap_or_default();
    println!("received {:?}", String::from_utf8_lossy(answer));
    echo.join().unwrap_or(Ok(()))
}

/// Sends back what comes, until the caller has nothing more to say.
fn serve(peer: &Socket) -> Result<()> {
    let mut buf = [0; 1024];
    loop {
        let len = peer.recv(&mut buf, MsgFlags::NONE)?;
        let data = buf.get(..len).unwrap_or_default();
        if data.is_empty() {
            return Ok(());
        }
        peer.send_all(data)?;
    }
}
