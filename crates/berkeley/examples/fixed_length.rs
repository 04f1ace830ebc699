//! Messages of a length that both sides know, over a stream that cuts them as it likes: the class
//! `MySocket` of Python's Socket Programming HOWTO.
//!
//! `cargo run -p berkeley --example fixed_length`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::process::ExitCode;
use std::thread;

use berkeley::{
    Addr, Error, Family, Kind, MsgFlags, Protocol, Result, ServerOptions, Socket, create_server,
};

const MESSAGE_BYTES: usize = 100_000;

struct Messages(Socket);

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
    let server = create_server(&"127.0.0.1:0".parse()?, &ServerOptions::new())?;
    let place = server.local_addr()?;
    let caller = thread::spawn(move || -> Result<()> {
        let messages = Messages::connect(&place)?;
        messages.send(&[b'x'; MESSAGE_BYTES])?;
        // Half a message, and then the end.
        messages.0.send_all(&[b'y'; MESSAGE_BYTES / 2])
    });
    let messages = Messages(server.accept()?.0);
    println!("received {} bytes", messages.receive()?.len());
    match messages.receive() {
        Ok(message) => println!("received {} bytes", message.len()),
        Err(error) => println!("no message: {error}"),
    }
    caller.join().unwrap_or(Ok(()))
}

impl Messages {
    fn connect(place: &Addr) -> Result<Self> {
        let socket = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT)?;
        socket.connect(place)?;
        Ok(Self(socket))
    }

    /// What `send_all` does: the kernel may take less than it is given.
    fn send(&self, message: &[u8; MESSAGE_BYTES]) -> Result<()> {
        let mut rest = &message[..];
        while !rest.is_empty() {
            let sent = self.0.send(rest, MsgFlags::NONE)?;
            rest = rest.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// Receives into memory that nobody has to clear first.
    fn receive(&self) -> Result<Vec<u8>> {
        let mut message = Vec::with_capacity(MESSAGE_BYTES);
        while message.len() < MESSAGE_BYTES {
            if self.0.recv_into(&mut message, MsgFlags::NONE)? == 0 {
                let (got, all) = (message.len(), MESSAGE_BYTES);
                let broken = format!("the connection ended after {got} of {all} bytes");
                return Err(Error::Invalid(broken));
            }
        }
        Ok(message)
    }
}
