//! Happy Eyeballs: several connections are tried at once, and the first that stands wins.

use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd};

use crate::addr::{Addr, AddrBuf};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::hook::Hook;
use crate::opt;
use crate::socket::Socket;
use crate::sys;
use crate::wait::Deadline;

/// Connections that are tried at the same moment; the next address waits for one of them to fail.
const UNDER_WAY_MAX: usize = 16;

/// A connection that the kernel is making.
struct Attempt {
    index: usize,
    socket: Socket,
}

/// The addresses of a host in the order in which they are tried: the best one first, then one of
/// each family in turn.
pub(crate) fn interleave(addresses: Vec<Addr>) -> Vec<Addr> {
    // RFC 8305 §4: address families are interleaved, beginning with the first address's.
    let first = addresses.first().map(Addr::family);
    let (one, other): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|addr| Some(addr.family()) == first);
    let mut order = Vec::with_capacity(one.len() + other.len());
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    loop {
        let pair = (one.next(), other.next());
        if pair == (None, None) {
            return order;
        }
        order.extend(pair.0);
        order.extend(pair.1);
    }
}

/// The race: who is under way, who has failed, and when the next one starts.
pub(crate) struct Race<'a, F, H> {
    hook: &'a H,
    addresses: &'a [Addr],
    /// Makes a socket for an address: non-blocking, bound, with its options.
    make: F,
    delay: Duration,
    deadline: Deadline,
    next: usize,
    under_way: Vec<Attempt>,
    failed: Vec<(usize, Error)>,
}

impl<'a, F: FnMut(&Addr) -> Result<Socket>, H: Hook> Race<'a, F, H> {
    pub(crate) const fn new(
        hook: &'a H,
        addresses: &'a [Addr],
        delay: Duration,
        deadline: Deadline,
        make: F,
    ) -> Self {
        Self {
            hook,
            addresses,
            make,
            delay,
            deadline,
            next: 0,
            under_way: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Runs it: the socket that won and its address, or every failure in the order of the
    /// starts. Losers are closed when this returns.
    pub(crate) fn run(mut self) -> Result<(Socket, Addr)> {
        loop {
            if self.deadline.has_passed() {
                return Err(self.give_up());
            }
            let failures = self.failed.len();
            if let Some(won) = self.start_next() {
                return Ok(self.won(won));
            }
            // A failure starts the next one at once (RFC 8305 §5).
            if self.failed.len() > failures {
                continue;
            }
            if self.under_way.is_empty() {
                return Err(self.give_up());
            }
            let next_start = Deadline::within(self.delay);
            if let Some(won) = self.wait(next_start)? {
                return Ok(self.won(won));
            }
        }
    }

    fn won(&self, attempt: Attempt) -> (Socket, Addr) {
        let addr = self.addresses.get(attempt.index).cloned();
        // The index is one of `addresses`, from which the attempt was made.
        let addr = addr.unwrap_or(Addr::Other {
            family: attempt.socket.family(),
            bytes: Vec::new(),
        });
        (attempt.socket, addr)
    }

    /// Starts the next connection, if there is one to start; answers one that stands at once.
    fn start_next(&mut self) -> Option<Attempt> {
        if self.under_way.len() >= UNDER_WAY_MAX {
            return None;
        }
        let addr = self.addresses.get(self.next)?;
        let index = self.next;
        self.next += 1;
        let socket = match (self.make)(addr) {
            Ok(socket) => socket,
            Err(error) => {
                self.failed.push((index, error));
                return None;
            }
        };
        match sys::socket::connect(socket.as_fd(), &AddrBuf::encode(addr)) {
            Ok(()) => return Some(Attempt { index, socket }),
            Err(Errno::EINPROGRESS | Errno::EINTR) => {
                self.under_way.push(Attempt { index, socket });
            }
            Err(errno) => {
                self.failed.push((index, Error::at("connect", errno, addr)));
            }
        }
        None
    }

    /// Waits until one stands, one fails, or the next shall start.
    fn wait(&mut self, next_start: Deadline) -> Result<Option<Attempt>> {
        let has_next = self.next < self.addresses.len() && self.under_way.len() < UNDER_WAY_MAX;
        let mut fds: Vec<libc::pollfd> = self
            .under_way
            .iter()
            .map(|attempt| libc::pollfd {
                fd: attempt.socket.as_fd().as_raw_fd(),
                events: libc::POLLOUT,
                revents: 0,
            })
            .collect();
        loop {
            let until = match (has_next, self.deadline) {
                (false, deadline) => deadline,
                (true, Deadline::NEVER) => next_start,
                (true, deadline) if next_start == Deadline::NEVER => deadline,
                (true, deadline) => deadline.min(next_start),
            };
            let limit = until.left_ms();
            match self.hook.blocking(|| sys::event::poll(&mut fds, limit)) {
                Ok(0) if until.has_passed() => return Ok(None),
                Ok(0) => {}
                Err(Errno::EINTR) => self.hook.interrupted()?,
                Ok(_) => break,
                Err(errno) => return Err(Error::os("poll", errno)),
            }
        }
        // From the back, so that taking one out moves none that is still to be looked at.
        let mut won = None;
        for (place, fd) in fds.iter().enumerate().rev() {
            if fd.revents == 0 || place >= self.under_way.len() {
                continue;
            }
            let attempt = self.under_way.remove(place);
            match attempt.socket.get(opt::PendingError) {
                Ok(None) => won = Some(attempt),
                Ok(Some(errno)) => self.fail(attempt.index, errno),
                Err(error) => self.failed.push((attempt.index, error)),
            }
        }
        Ok(won)
    }

    fn fail(&mut self, index: usize, errno: Errno) {
        let error = match self.addresses.get(index) {
            Some(addr) => Error::at("connect", errno, addr),
            None => Error::os("connect", errno),
        };
        self.failed.push((index, error));
    }

    /// Every address with its reason: those that failed, those that the deadline cut off, and
    /// those whose turn never came.
    fn give_up(mut self) -> Error {
        let rest = self.next..self.addresses.len();
        self.failed
            .extend(rest.map(|index| (index, Error::NotTried)));
        for attempt in self.under_way.drain(..) {
            self.failed
                .push((attempt.index, Error::TimedOut { call: "connect" }));
        }
        self.failed.sort_by_key(|(index, _)| *index);
        let tried = self
            .failed
            .into_iter()
            .filter_map(|(index, error)| Some((self.addresses.get(index)?.clone(), error)));
        Error::Connect(tried.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_and_the_best_address_stays_first() {
        let addr = |text: &str| Addr::from(text.parse::<std::net::SocketAddr>().unwrap());
        let six = ["[::1]:1", "[::2]:1", "[::3]:1"].map(addr);
        let four = ["1.1.1.1:1", "1.1.1.2:1"].map(addr);
        let sorted = [&six[..], &four[..]].concat();
        let [a, b, c] = six;
        let [x, y] = four;
        assert_eq!(interleave(sorted), [a, x, b, y, c]);
        assert_eq!(interleave(Vec::new()), []);
    }
}
