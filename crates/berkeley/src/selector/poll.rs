//! The `poll` back end.

use core::ffi::c_short;
use core::time::Duration;
use std::collections::HashMap;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use super::{Backend, EVENTS_MAX, Event, Interest, Key, Ready, Selector, Trigger};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::sys::event;
use crate::wait::Deadline;

/// poll(2): a list of descriptors that the kernel looks through at each call.
#[derive(Default)]
pub struct Poll {
    /// What the kernel is handed. A sleeping registration has the complement of its number, which
    /// is negative, and which poll(2) passes over.
    list: Vec<libc::pollfd>,
    /// Beside each element of `list`.
    registrations: Vec<Registration>,
    places: HashMap<RawFd, usize>,
    /// Where the next look through the list begins, so that a full report starves nobody.
    start: usize,
}

#[derive(Debug, Clone, Copy)]
struct Registration {
    key: Key,
    trigger: Trigger,
}

impl core::fmt::Debug for Poll {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Poll")
            .field("watched", &self.list.len())
            .finish_non_exhaustive()
    }
}

impl Poll {
    /// Makes one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

fn events(interest: Interest) -> c_short {
    let parts = [
        (interest.has(Interest::READABLE), libc::POLLIN),
        (interest.has(Interest::WRITABLE), libc::POLLOUT),
        (interest.has(Interest::PRIORITY), libc::POLLPRI),
        (interest.has(Interest::PEER_CLOSED), libc::POLLRDHUP),
    ];
    parts
        .into_iter()
        .filter(|(is, _)| *is)
        .fold(0, |mask, (_, flag)| mask | flag)
}

fn ready(mask: c_short) -> Ready {
    let has = |flag| mask & flag != 0;
    Ready::default()
        .when(
            has(libc::POLLIN | libc::POLLHUP | libc::POLLERR),
            Ready::READABLE,
        )
        .when(has(libc::POLLOUT | libc::POLLERR), Ready::WRITABLE)
        .when(has(libc::POLLPRI), Ready::PRIORITY)
        .when(has(libc::POLLRDHUP), Ready::PEER_CLOSED)
        .when(has(libc::POLLERR), Ready::ERROR)
        .when(has(libc::POLLHUP), Ready::HANG_UP)
}

/// Refuses what a back end that scans cannot do: it has no memory of what it told before.
pub(super) fn check_trigger(trigger: Trigger, backend: Backend) -> Result<()> {
    if trigger == Trigger::Edge {
        return Err(Error::Unsupported(format!(
            "{backend} has no edge trigger: choose epoll"
        )));
    }
    Ok(())
}

impl Selector for Poll {
    fn register(
        &mut self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        check_trigger(trigger, Backend::Poll)?;
        let fd = fd.as_raw_fd();
        if self.places.contains_key(&fd) {
            return Err(Error::os("poll", Errno::EEXIST));
        }
        self.places.insert(fd, self.list.len());
        self.list.push(libc::pollfd {
            fd,
            events: events(interest),
            revents: 0,
        });
        self.registrations.push(Registration { key, trigger });
        Ok(())
    }

    fn modify(
        &mut self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        check_trigger(trigger, Backend::Poll)?;
        let fd = fd.as_raw_fd();
        let place = self.places.get(&fd).copied();
        let entry = place.and_then(|place| self.list.get_mut(place));
        let registration = place.and_then(|place| self.registrations.get_mut(place));
        let (Some(entry), Some(registration)) = (entry, registration) else {
            return Err(Error::os("poll", Errno::ENOENT));
        };
        *entry = libc::pollfd {
            fd,
            events: events(interest),
            revents: 0,
        };
        *registration = Registration { key, trigger };
        Ok(())
    }

    fn unregister(&mut self, fd: BorrowedFd<'_>) -> Result<()> {
        let Some(place) = self.places.remove(&fd.as_raw_fd()) else {
            return Err(Error::os("poll", Errno::ENOENT));
        };
        self.list.swap_remove(place);
        self.registrations.swap_remove(place);
        if let Some(moved) = self.list.get(place) {
            self.places.insert(moved.fd.max(!moved.fd), place);
        }
        Ok(())
    }

    fn wait(&mut self, out: &mut Vec<Event>, limit: Option<Duration>) -> Result<()> {
        out.clear();
        let deadline = limit.map_or(Deadline::NEVER, Deadline::within);
        loop {
            match event::poll(&mut self.list, deadline.left_ms()) {
                Ok(0) if deadline.has_passed() => return Ok(()),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => break,
                Err(errno) => return Err(Error::os("poll", errno)),
            }
        }
        self.report(out)
    }

    fn backend(&self) -> Backend {
        Backend::Poll
    }
}

impl Poll {
    /// Collects what the kernel marked, from `start` on and round to it.
    fn report(&mut self, out: &mut Vec<Event>) -> Result<()> {
        // Told before anything else is: an error must not swallow what one-shots were told.
        if self
            .list
            .iter()
            .any(|entry| entry.revents & libc::POLLNVAL != 0)
        {
            return Err(Error::os("poll", Errno::EBADF));
        }
        let count = self.list.len();
        self.start = if self.start < count { self.start } else { 0 };
        for step in 0..count {
            let place = (self.start + step) % count;
            let (Some(entry), Some(registration)) =
                (self.list.get_mut(place), self.registrations.get(place))
            else {
                break;
            };
            if entry.revents == 0 {
                continue;
            }
            if out.len() == EVENTS_MAX {
                self.start = place;
                break;
            }
            out.push(Event {
                key: registration.key,
                ready: ready(entry.revents),
            });
            if registration.trigger == Trigger::OneShot {
                entry.fd = !entry.fd;
            }
        }
        Ok(())
    }
}
