//! An echo server with a function for each socket that it watches: the example of Python's
//! `selectors`. It ends with its last caller.
//!
//! `cargo run -p berkeley --example selectors_echo -- 127.0.0.1:1234`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::collections::HashMap;
use std::env;
use std::os::fd::AsFd;
use std::process::ExitCode;

use berkeley::selector::{Backend, Interest, Key, Selector, Trigger};
use berkeley::{Addr, Mode, MsgFlags, Result, ServerOptions, Socket, create_server};

/// What is watched, and what is done when it is readable.
struct Watched {
    socket: Socket,
    then: fn(&mut Server, Key) -> Result<()>,
}

struct Server {
    selector: Box<dyn Selector>,
    watched: HashMap<Key, Watched>,
    next: u64,
}

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
    let place = env::args().nth(1).unwrap_or("127.0.0.1:1234".into());
    let place: Addr = place.parse()?;
    let listener = create_server(&place, &ServerOptions::new().backlog(100))?;
    println!("listening at {}", listener.local_addr()?);
    let mut server = Server {
        selector: Backend::BEST.open()?,
        watched: HashMap::new(),
        next: 0,
    };
    server.watch(listener, Server::accept)?;

    let mut events = Vec::new();
    while server.next < 2 || server.watched.len() > 1 {
        server.selector.wait(&mut events, None)?;
        for event in &events {
            if let Some(watched) = server.watched.get(&event.key) {
                (watched.then)(&mut server, event.key)?;
            }
        }
    }
    Ok(())
}

impl Server {
    fn watch(&mut self, socket: Socket, then: fn(&mut Self, Key) -> Result<()>) -> Result<()> {
        let key = Key(self.next);
        self.next += 1;
        socket.set_mode(Mode::NonBlock)?;
        self.selector
            .register(socket.as_fd(), key, Interest::READABLE, Trigger::Level)?;
        self.watched.insert(key, Watched { socket, then });
        Ok(())
    }

    fn accept(&mut self, key: Key) -> Result<()> {
        let Some(listener) = self.watched.get(&key) else {
            return Ok(());
        };
        let (caller, addr) = listener.socket.accept()?;
        if let Some(addr) = addr {
            println!("accepted {addr}");
        }
        self.watch(caller, Self::read)
    }

    fn read(&mut self, key: Key) -> Result<()> {
        let Some(Watched { socket, .. }) = self.watched.get(&key) else {
            return Ok(());
        };
        let data = socket.recv_vec(1000, MsgFlags::NONE)?;
        if data.is_empty() {
            println!("closing");
            self.selector.unregister(socket.as_fd())?;
            self.watched.remove(&key);
            return Ok(());
        }
        // Hope that it does not block; selector_server has an answer for when it would.
        socket.send_all(&data)
    }
}
