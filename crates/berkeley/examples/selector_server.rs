//! An echo server that never blocks: one thread, many connections, a selector that tells which
//! of them has something to do. It ends when its three callers, threads here, have gone.
//!
//! `cargo run -p berkeley --example selector_server -- epoll`, or `poll`, or `select`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, thread};

use berkeley::selector::{Backend, Interest, Key, Selector, Trigger};
use berkeley::{
    Addr, Error, Family, Kind, Mode, MsgFlags, Protocol, Result, ServerOptions, Shutdown, Socket,
    create_server,
};

const LISTENER: Key = Key(0);
const CALLERS: u64 = 3;
const BYTES: usize = 300_000;
const PATIENCE: Duration = Duration::from_secs(5);

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
    let backend = env::args().nth(1).unwrap_or(Backend::BEST.to_string());
    let selector = backend.parse::<Backend>()?.open()?;
    let place = Addr::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));
    let listener = create_server(&place, &ServerOptions::new())?;
    let addr = listener.local_addr()?;
    let mut callers = Vec::new();
    for _caller in 0..CALLERS {
        let addr = addr.clone();
        callers.push(thread::spawn(move || call(&addr)));
    }
    serve(&listener, selector)?;
    for caller in callers {
        let echoed = caller.join().unwrap_or(Ok(0))?;
        println!("a caller has {echoed} bytes back");
    }
    Ok(())
}

/// A connection, and what it still has to be sent.
struct Peer {
    socket: Socket,
    waiting: Vec<u8>,
}

fn serve(listener: &Socket, selector: Box<dyn Selector>) -> Result<()> {
    listener.set_mode(Mode::NonBlock)?;
    selector.register(
        listener.as_fd(),
        LISTENER,
        Interest::READABLE,
        Trigger::Level,
    )?;
    let mut peers = BTreeMap::new();
    let (mut came, mut gone) = (0, 0);
    let mut events = Vec::new();
    while gone < CALLERS {
        selector.wait(&mut events, Some(PATIENCE))?;
        if events.is_empty() {
            return Err(Error::TimedOut { call: "wait" });
        }
        for event in &events {
            if event.key == LISTENER {
                came += 1;
                admit(listener, selector.as_ref(), &mut peers, Key(came))?;
            } else if let Some(peer) = peers.get_mut(&event.key) {
                if peer.go_on()? {
                    let (fd, key) = (peer.socket.as_fd(), event.key);
                    selector.modify(fd, key, peer.interest(), Trigger::Level)?;
                } else {
                    // Before it is closed: the selector knows it by its number.
                    selector.unregister(peer.socket.as_fd())?;
                    peers.remove(&event.key);
                    gone += 1;
                }
            }
        }
    }
    println!("served {gone} callers by {}", selector.backend());
    Ok(())
}

fn admit(
    listener: &Socket,
    selector: &dyn Selector,
    peers: &mut BTreeMap<Key, Peer>,
    key: Key,
) -> Result<()> {
    let (socket, _) = listener.accept_with(Mode::NonBlock)?;
    selector.register(socket.as_fd(), key, Interest::READABLE, Trigger::Level)?;
    let waiting = Vec::new();
    peers.insert(key, Peer { socket, waiting });
    Ok(())
}

impl Peer {
    /// Who does not take the echo is not read from: the memory for it stays bounded.
    fn interest(&self) -> Interest {
        if self.waiting.is_empty() {
            Interest::READABLE
        } else {
            Interest::WRITABLE
        }
    }

    /// Sends or receives what is possible now; false when the caller has gone.
    fn go_on(&mut self) -> Result<bool> {
        if self.waiting.is_empty() {
            self.waiting.reserve(4096);
            match self.socket.recv_into(&mut self.waiting, MsgFlags::NONE) {
                Ok(_) if self.waiting.is_empty() => return Ok(false),
                Ok(_) => {}
                Err(error) if error.is_would_block() => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        match self.socket.send(&self.waiting, MsgFlags::NONE) {
            Ok(len) => drop(self.waiting.drain(..len)),
            Err(error) if error.is_would_block() => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    }
}

/// Sends all of it while it receives it again; answers how many bytes came back.
fn call(addr: &Addr) -> Result<usize> {
    let socket = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT)?;
    socket.set_mode(Mode::Within(PATIENCE))?;
    socket.connect(addr)?;
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            socket.send_all(&[b'x'; BYTES])?;
            socket.shutdown(Shutdown::WRITE)
        });
        let mut count = 0;
        let mut buf = [0; 4096];
        loop {
            match socket.recv(&mut buf, MsgFlags::NONE)? {
                0 => break,
                len => count += len,
            }
        }
        sender.join().unwrap_or(Ok(()))?;
        Ok(count)
    })
}
