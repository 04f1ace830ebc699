//! Thousands of connections in one thread.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

/// Connections that are read together. They stay until they are taken out or closed by the peer.
#[derive(Debug)]
pub struct Crowd {
    epoll: OwnedFd,
    streams: Vec<Option<TcpStream>>,
    present: usize,
    buffer: Vec<u8>,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).unwrap(),
            streams: Vec::new(),
            present: 0,
            buffer: vec![0; 256 * 1024],
        }
    }
}

impl Crowd {
    /// Takes a connection in; gives its number.
    #[track_caller]
    pub fn add(&mut self, stream: TcpStream) -> usize {
        stream.set_nonblocking(true).unwrap();
        let number = self.streams.len();
        let data = epoll::EventData::new_u64(u64::try_from(number).unwrap());
        epoll::add(&self.epoll, &stream, data, epoll::EventFlags::IN).unwrap();
        self.streams.push(Some(stream));
        self.present += 1;
        number
    }

    /// How many are still connected.
    #[must_use]
    pub const fn present(&self) -> usize {
        self.present
    }

    /// A connection that is still there. It does not block.
    #[must_use]
    pub fn stream(&self, number: usize) -> Option<&TcpStream> {
        self.streams.get(number)?.as_ref()
    }

    /// Gives a connection back.
    #[track_caller]
    pub fn take(&mut self, number: usize) -> TcpStream {
        let stream = self.streams[number].take().unwrap();
        epoll::delete(&self.epoll, &stream).unwrap();
        self.present -= 1;
        stream
    }

    /// Waits at most `limit` for something to read; hands what came to `heard`, by number, and no
    /// bytes where the peer has closed. False when nothing came.
    #[track_caller]
    pub fn read(&mut self, limit: Duration, mut heard: impl FnMut(usize, &[u8])) -> bool {
        let limit = Timespec::try_from(limit).unwrap();
        let mut events = Vec::with_capacity(1024);
        // A program that is stopped and goes on has its waits interrupted.
        let wait = || epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&limit));
        rustix::io::retry_on_intr(wait).unwrap();
        for event in &events {
            let number = usize::try_from(event.data.u64()).unwrap();
            let Some(stream) = &mut self.streams[number] else {
                continue;
            };
            match stream.read(&mut self.buffer) {
                Ok(len @ 1..) => heard(number, &self.buffer[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(_) | Err(_) => {
                    self.streams[number] = None;
                    self.present -= 1;
                    heard(number, &[]);
                }
            }
        }
        !events.is_empty()
    }
}
