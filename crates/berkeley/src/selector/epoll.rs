//! The `epoll` back end.

use core::ffi::c_int;
use core::time::Duration;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{Backend, EVENTS_MAX, Event, Interest, Key, Ready, Selector, Trigger};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::sys::event;
use crate::wait::Deadline;

/// epoll(7): the kernel keeps the list of watched descriptors.
pub struct Epoll {
    fd: OwnedFd,
    buffer: Vec<libc::epoll_event>,
}

impl core::fmt::Debug for Epoll {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Epoll")
            .field("fd", &self.fd)
            .finish_non_exhaustive()
    }
}

impl Epoll {
    /// Makes one.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE` when descriptors have run out.
    ///
    /// # References
    /// epoll_create1(2).
    pub fn new() -> Result<Self> {
        let fd = event::epoll_create().map_err(|errno| Error::os("epoll_create1", errno))?;
        Ok(Self {
            fd,
            buffer: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX],
        })
    }

    fn control(&self, operation: c_int, fd: BorrowedFd<'_>, events: u32, key: Key) -> Result<()> {
        event::epoll_ctl(self.fd.as_fd(), operation, fd, events, key.0)
            .map_err(|errno| Error::os("epoll_ctl", errno))
    }
}

/// The bits of `struct epoll_event`, which libc gives as signed integers.
#[expect(
    clippy::cast_sign_loss,
    reason = "EPOLLET is the top bit of an unsigned mask"
)]
const fn bit(flag: c_int) -> u32 {
    flag as u32
}

fn events(interest: Interest, trigger: Trigger) -> u32 {
    let parts = [
        (interest.has(Interest::READABLE), libc::EPOLLIN),
        (interest.has(Interest::WRITABLE), libc::EPOLLOUT),
        (interest.has(Interest::PRIORITY), libc::EPOLLPRI),
        (interest.has(Interest::PEER_CLOSED), libc::EPOLLRDHUP),
        (trigger == Trigger::Edge, libc::EPOLLET),
        (trigger == Trigger::OneShot, libc::EPOLLONESHOT),
    ];
    parts
        .into_iter()
        .filter(|(is, _)| *is)
        .fold(0, |mask, (_, flag)| mask | bit(flag))
}

fn ready(mask: u32) -> Ready {
    let has = |flag| mask & bit(flag) != 0;
    Ready::default()
        // An error or a hang-up makes a read return at once, and an error a write: select(2) tells
        // them so, and the contract is the same for all.
        .when(
            mask & bit(libc::EPOLLIN | libc::EPOLLHUP | libc::EPOLLERR) != 0,
            Ready::READABLE,
        )
        .when(
            mask & bit(libc::EPOLLOUT | libc::EPOLLERR) != 0,
            Ready::WRITABLE,
        )
        .when(has(libc::EPOLLPRI), Ready::PRIORITY)
        .when(has(libc::EPOLLRDHUP), Ready::PEER_CLOSED)
        .when(has(libc::EPOLLERR), Ready::ERROR)
        .when(has(libc::EPOLLHUP), Ready::HANG_UP)
}

impl Selector for Epoll {
    fn register(
        &mut self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, events(interest, trigger), key)
    }

    fn modify(
        &mut self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, events(interest, trigger), key)
    }

    fn unregister(&mut self, fd: BorrowedFd<'_>) -> Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, Key(0))
    }

    fn wait(&mut self, out: &mut Vec<Event>, limit: Option<Duration>) -> Result<()> {
        out.clear();
        let deadline = limit.map_or(Deadline::NEVER, Deadline::within);
        loop {
            match event::epoll_wait(self.fd.as_fd(), &mut self.buffer, deadline.left_ms()) {
                Ok(0) if !deadline.has_passed() => {}
                Ok(count) => {
                    out.extend(self.buffer.iter().take(count).map(|event| Event {
                        key: Key(event.u64),
                        ready: ready(event.events),
                    }));
                    return Ok(());
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::os("epoll_wait", errno)),
            }
        }
    }

    fn backend(&self) -> Backend {
        Backend::Epoll
    }
}
