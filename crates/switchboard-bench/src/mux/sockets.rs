//! The pairs of sockets that are watched.

use std::os::fd::AsFd;

use berkeley::selector::{Interest, Key, Selector, Trigger};
use berkeley::{Error, Family, Kind, Mode, MsgFlags, Socket};

use crate::BenchError;

/// Bytes that each socket holds when all are busy. With two or more, a socket that gets its own
/// from its pair is not empty in between.
const HELD_BYTES: usize = 4;

fn pair() -> Result<(Socket, Socket), BenchError> {
    let (one, other) = Socket::pair(Family::UNIX, Kind::STREAM)?;
    one.set_mode(Mode::NonBlock)?;
    other.set_mode(Mode::NonBlock)?;
    Ok((one, other))
}

/// Sockets that something happens on: pairs of which one end is watched.
#[derive(Debug)]
pub(super) struct Busy(Vec<(Socket, Socket)>);

impl Busy {
    pub(super) fn open(count: usize) -> Result<Self, BenchError> {
        (0..count)
            .map(|_| pair())
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Watches them under the keys from 0 on.
    pub(super) fn register(&self, selector: &dyn Selector) -> Result<(), Error> {
        for (key, (watched, _)) in (0..).zip(&self.0) {
            selector.register(
                watched.as_fd(),
                Key(key),
                Interest::READABLE,
                Trigger::Level,
            )?;
        }
        Ok(())
    }

    /// Watches them no more.
    pub(super) fn unregister(&self, selector: &dyn Selector) -> Result<(), Error> {
        let mut all = self.0.iter();
        all.try_for_each(|(watched, _)| selector.unregister(watched.as_fd()))
    }

    /// One byte to each.
    pub(super) fn send(&self) -> Result<(), Error> {
        for (_, peer) in &self.0 {
            peer.send(b"x", MsgFlags::NONE)?;
        }
        Ok(())
    }

    /// Takes the byte of one.
    pub(super) fn receive(&self, key: Key) -> Result<(), Error> {
        let place = usize::try_from(key.0).unwrap_or(usize::MAX);
        if let Some((watched, _)) = self.0.get(place) {
            watched.recv(&mut [0; 8], MsgFlags::NONE)?;
        }
        Ok(())
    }

    /// Takes the byte of each, without having been told of it.
    pub(super) fn receive_all(&self) -> Result<(), Error> {
        (0..self.0.len() as u64).try_for_each(|key| self.receive(Key(key)))
    }
}

/// Sockets that nothing happens on, for a while: pairs of which both ends are watched, so that the
/// limit of descriptors allows as many as can be.
#[derive(Debug)]
pub(super) struct Idle {
    /// Each pair's ends beside each other.
    sockets: Vec<Socket>,
    /// How many are watched: of an odd number, the last one's pair is not.
    count: usize,
}

impl Idle {
    pub(super) fn open(count: usize) -> Result<Self, BenchError> {
        let mut sockets = Vec::with_capacity(count + 1);
        while sockets.len() < count {
            let (one, other) = pair()?;
            sockets.extend([one, other]);
        }
        Ok(Self { sockets, count })
    }

    /// Watches them under the keys from `first` on, until one is refused; tells how many are
    /// watched, and why no more.
    pub(super) fn register(
        &self,
        selector: &dyn Selector,
        first: usize,
    ) -> Result<(usize, Option<Error>), Error> {
        for (place, socket) in self.sockets.iter().take(self.count).enumerate() {
            let key = Key((first + place) as u64);
            match selector.register(socket.as_fd(), key, Interest::READABLE, Trigger::Level) {
                Ok(()) => {}
                Err(error @ Error::Unsupported(_)) => return Ok((place, Some(error))),
                Err(error) => return Err(error),
            }
        }
        Ok((self.count, None))
    }

    /// Watches the first `count` no more.
    pub(super) fn unregister(&self, selector: &dyn Selector, count: usize) -> Result<(), Error> {
        let mut all = self.sockets.iter().take(count);
        all.try_for_each(|socket| selector.unregister(socket.as_fd()))
    }

    /// Gives some bytes to each of the first `count`.
    pub(super) fn fill(&self, count: usize) -> Result<(), Error> {
        for place in 0..count {
            if let Some(peer) = self.peer(place) {
                for _ in 0..HELD_BYTES {
                    peer.send(b"x", MsgFlags::NONE)?;
                }
            }
        }
        Ok(())
    }

    /// Takes one byte from one and gives one to its pair; false if there was none to take.
    pub(super) fn pass_on(&self, place: usize) -> Result<bool, Error> {
        let Some(socket) = self.sockets.get(place) else {
            return Ok(false);
        };
        match socket.recv(&mut [0; 1], MsgFlags::NONE) {
            Ok(_) => socket.send(b"x", MsgFlags::NONE).map(|_| true),
            Err(error) if error.is_would_block() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes everything out of all of them again.
    pub(super) fn empty(&self) -> Result<(), Error> {
        for socket in &self.sockets {
            loop {
                match socket.recv(&mut [0; 64], MsgFlags::NONE) {
                    Ok(_) => {}
                    Err(error) if error.is_would_block() => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn peer(&self, place: usize) -> Option<&Socket> {
        self.sockets.get(place ^ 1)
    }
}
