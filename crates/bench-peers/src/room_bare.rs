//! The barest room: each turn reads every ready socket once, and then writes all lines of the turn
//! to every member with one send. Who spoke is passed over for its own lines.

use std::convert::Infallible;
use std::net::TcpListener;

use anyhow::{Context, Result};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt};

use crate::room::{ANSWER, name, whole_lines};

const BUFFER_BYTES: usize = 64 * 1024;
const EVENTS: usize = 1024;
const LISTENER: u64 = u64::MAX;

struct Member {
    socket: OwnedFd,
    /// What stands before its lines.
    name: Vec<u8>,
    /// The beginning of a line.
    begun: Vec<u8>,
    /// What the kernel did not take.
    rest: Vec<u8>,
    /// It is told when the socket takes more.
    is_waiting: bool,
    has_spoken: bool,
}

struct Room {
    epoll: OwnedFd,
    listener: TcpListener,
    /// By the number of the descriptor.
    members: Vec<Option<Member>>,
    buffer: Vec<u8>,
    /// All lines of this turn, and whose they are from which byte on.
    said: Vec<u8>,
    speakers: Vec<(usize, usize)>,
}

pub(crate) fn serve(listener: TcpListener) -> Result<Infallible> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let data = EventData::new_u64(LISTENER);
    epoll::add(&epoll, &listener, data, EventFlags::IN)?;
    let mut room = Room {
        epoll,
        listener,
        members: Vec::new(),
        buffer: vec![0; BUFFER_BYTES],
        said: Vec::new(),
        speakers: Vec::new(),
    };
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        match epoll::wait(&room.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("epoll_wait"),
        }
        for event in events.drain(..) {
            if event.data.u64() == LISTENER {
                room.accept()?;
            } else {
                room.serve(usize::try_from(event.data.u64())?, event.flags);
            }
        }
        room.tell();
    }
}

impl Room {
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
            if self.members.len() <= place {
                self.members.resize_with(place + 1, || None);
            }
            let member = Member {
                socket,
                name: name(place),
                begun: Vec::new(),
                rest: Vec::new(),
                is_waiting: false,
                has_spoken: false,
            };
            if let Some(free) = self.members.get_mut(place) {
                *free = Some(member);
            }
        }
    }

    /// One that fails or has ended is out of the room: the others go on.
    fn serve(&mut self, place: usize, flags: EventFlags) {
        let Some(Some(member)) = self.members.get_mut(place) else {
            return;
        };
        let mut is_in = true;
        if !member.rest.is_empty() && flags.intersects(EventFlags::OUT | EventFlags::ERR) {
            let rest = core::mem::take(&mut member.rest);
            is_in = member.write(&self.epoll, place, &rest).is_ok();
        }
        if is_in && flags.intersects(EventFlags::IN | EventFlags::ERR | EventFlags::HUP) {
            is_in = self.hear(place).unwrap_or(false);
        }
        if !is_in && let Some(taken) = self.members.get_mut(place) {
            *taken = None;
        }
    }

    /// Reads once; false at the end of the stream.
    fn hear(&mut self, place: usize) -> rustix::io::Result<bool> {
        let Some(Some(member)) = self.members.get_mut(place) else {
            return Ok(true);
        };
        let len = match recv(&member.socket, &mut self.buffer[..], RecvFlags::empty()) {
            Ok((0, _)) => return Ok(false),
            Ok((len, _)) => len,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
            Err(error) => return Err(error),
        };
        let from = self.said.len();
        let mut answers = Vec::new();
        member
            .begun
            .extend_from_slice(self.buffer.get(..len).unwrap_or_default());
        let whole = whole_lines(&member.begun);
        let lines = member.begun.get(..whole).unwrap_or_default();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            if line.starts_with(b"/") {
                answers.extend_from_slice(ANSWER);
            } else {
                self.said.extend_from_slice(&member.name);
                self.said.extend_from_slice(line);
            }
        }
        member.begun.drain(..whole);
        if self.said.len() > from {
            self.speakers.push((place, from));
        }
        member.write(&self.epoll, place, &answers)?;
        Ok(true)
    }

    /// Writes the turn's lines to everybody.
    fn tell(&mut self) {
        if self.said.is_empty() {
            return;
        }
        for &(speaker, _) in &self.speakers {
            if let Some(Some(member)) = self.members.get_mut(speaker) {
                member.has_spoken = true;
            }
        }
        for (place, seat) in self.members.iter_mut().enumerate() {
            let Some(member) = seat else { continue };
            let told = if !member.has_spoken {
                member.write(&self.epoll, place, &self.said)
            } else {
                member.has_spoken = false;
                let others = without(&self.said, &self.speakers, place);
                member.write(&self.epoll, place, &others)
            };
            if told.is_err() {
                *seat = None;
            }
        }
        self.said.clear();
        self.speakers.clear();
    }
}

/// What others than this one said.
fn without(said: &[u8], speakers: &[(usize, usize)], own: usize) -> Vec<u8> {
    let mut others = Vec::new();
    for (number, &(speaker, from)) in speakers.iter().enumerate() {
        let to = speakers.get(number + 1).map_or(said.len(), |next| next.1);
        if speaker != own {
            others.extend_from_slice(said.get(from..to).unwrap_or_default());
        }
    }
    others
}

impl Member {
    /// Sends, and keeps what the kernel does not take, behind what it did not take before.
    fn write(&mut self, epoll: &OwnedFd, place: usize, bytes: &[u8]) -> rustix::io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if !self.rest.is_empty() {
            self.rest.extend_from_slice(bytes);
            return Ok(());
        }
        let sent = match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
            Ok(sent) => sent,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(error) => return Err(error),
        };
        self.rest
            .extend_from_slice(bytes.get(sent..).unwrap_or_default());
        if self.is_waiting == self.rest.is_empty() {
            self.is_waiting = !self.rest.is_empty();
            let mut wanted = EventFlags::IN;
            wanted.set(EventFlags::OUT, self.is_waiting);
            epoll::modify(
                epoll,
                &self.socket,
                EventData::new_u64(place as u64),
                wanted,
            )?;
        }
        Ok(())
    }
}
