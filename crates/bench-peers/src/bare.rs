//! The barest epoll loop: what C would do, and nothing else. Each turn waits once, reads each
//! ready socket once and writes at once what it gave.

use std::convert::Infallible;
use std::net::TcpListener;

use anyhow::{Context, Result};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt};

const BUFFER_BYTES: usize = 128 * 1024;
const EVENTS: usize = 1024;
const LISTENER: u64 = u64::MAX;

struct Guest {
    socket: OwnedFd,
    /// What the kernel did not take. While there is any, nothing is read.
    rest: Vec<u8>,
}

struct Server {
    epoll: OwnedFd,
    listener: TcpListener,
    /// By the number of the descriptor.
    guests: Vec<Option<Guest>>,
    buffer: Vec<u8>,
}

pub(crate) fn serve(listener: TcpListener) -> Result<Infallible> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    let mut server = Server {
        epoll,
        listener,
        guests: Vec::new(),
        buffer: vec![0; BUFFER_BYTES],
    };
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        match epoll::wait(&server.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("epoll_wait"),
        }
        for event in events.drain(..) {
            if event.data.u64() == LISTENER {
                server.accept()?;
            } else {
                server.answer(event.data.u64(), event.flags)?;
            }
        }
    }
}

impl Server {
    fn accept(&mut self) -> Result<()> {
        loop {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = match accept_with(&self.listener, flags) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(error) => return Err(error).context("accept4"),
            };
            sockopt::set_tcp_nodelay(&socket, true)?;
            let place = usize::try_from(socket.as_raw_fd())?;
            let data = EventData::new_u64(place as u64);
            epoll::add(&self.epoll, &socket, data, EventFlags::IN)?;
            if self.guests.len() <= place {
                self.guests.resize_with(place + 1, || None);
            }
            let guest = Guest {
                socket,
                rest: Vec::new(),
            };
            if let Some(free) = self.guests.get_mut(place) {
                *free = Some(guest);
            }
        }
    }

    fn answer(&mut self, data: u64, flags: EventFlags) -> Result<()> {
        let Some(place) = self.guests.get_mut(usize::try_from(data)?) else {
            return Ok(());
        };
        let Some(guest) = place else {
            return Ok(());
        };
        let told = if guest.rest.is_empty() {
            guest.echo(&self.epoll, data, &mut self.buffer)
        } else if flags.intersects(EventFlags::OUT | EventFlags::ERR | EventFlags::HUP) {
            guest.send_rest(&self.epoll, data)
        } else {
            Ok(true)
        };
        // A connection that fails is over: the others go on.
        if !told.unwrap_or(false) {
            *place = None;
        }
        Ok(())
    }
}

impl Guest {
    /// Reads once and writes once; false when the peer has ended.
    fn echo(&mut self, epoll: &OwnedFd, data: u64, buffer: &mut [u8]) -> rustix::io::Result<bool> {
        let (len, _) = match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => return Ok(false),
            Ok(count) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
            Err(error) => return Err(error),
        };
        let came = buffer.get(..len).unwrap_or_default();
        let sent = match send(&self.socket, came, SendFlags::NOSIGNAL) {
            Ok(sent) => sent,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(error) => return Err(error),
        };
        if sent < len {
            self.rest
                .extend_from_slice(came.get(sent..).unwrap_or_default());
            let data = EventData::new_u64(data);
            epoll::modify(epoll, &self.socket, data, EventFlags::OUT)?;
        }
        Ok(true)
    }

    fn send_rest(&mut self, epoll: &OwnedFd, data: u64) -> rustix::io::Result<bool> {
        match send(&self.socket, &self.rest, SendFlags::NOSIGNAL) {
            Ok(sent) => drop(self.rest.drain(..sent)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        if self.rest.is_empty() {
            let data = EventData::new_u64(data);
            epoll::modify(epoll, &self.socket, data, EventFlags::IN)?;
        }
        Ok(true)
    }
}
