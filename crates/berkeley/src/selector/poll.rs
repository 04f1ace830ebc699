//! The `poll` back end.

use core::time::Duration;
use std::os::fd::{BorrowedFd, RawFd};

use super::scan::{List, Scan, Told};
use super::{Backend, Event, Interest, Key, Ready, Selector, Trigger};
use crate::errno::Errno;
use crate::error::Result;
use crate::sys::event;
use crate::waker::Waker;

/// poll(2): a list of descriptors that the kernel looks through at each call.
#[derive(Debug)]
pub struct Poll(Scan<Entries>);

impl Poll {
    /// Makes one.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE` when descriptors have run out: it needs one to be woken by.
    pub fn new() -> Result<Self> {
        Scan::new().map(Self)
    }
}

/// What the kernel is handed.
#[derive(Default)]
struct Entries {
    list: Vec<libc::pollfd>,
    /// Where in the list a descriptor is, plus one; zero: nowhere.
    places: Vec<usize>,
    /// Where the next look through the list begins, so that a full report starves nobody.
    start: usize,
}

impl Entries {
    fn place(&mut self, fd: RawFd) -> Option<&mut usize> {
        let index = usize::try_from(fd).ok()?;
        if self.places.len() <= index {
            self.places.resize(index + 1, 0);
        }
        self.places.get_mut(index)
    }
}

impl List for Entries {
    const BACKEND: Backend = Backend::Poll;
    const CALL: &'static str = "poll";

    fn check(_fd: RawFd, _interest: Interest) -> Result<()> {
        Ok(())
    }

    fn set(&mut self, fd: RawFd, interest: Option<Interest>) {
        let new_place = self.list.len() + 1;
        let Some(place) = self.place(fd) else {
            return;
        };
        match (interest, *place) {
            (None, 0) => {}
            (None, taken) => {
                *place = 0;
                self.list.swap_remove(taken - 1);
                if let Some(moved) = self.list.get(taken - 1).map(|entry| entry.fd)
                    && let Some(place) = self.place(moved)
                {
                    *place = taken;
                }
            }
            (Some(interest), 0) => {
                *place = new_place;
                self.list.push(entry(fd, interest));
            }
            (Some(interest), taken) => {
                if let Some(found) = self.list.get_mut(taken - 1) {
                    *found = entry(fd, interest);
                }
            }
        }
    }

    fn wait(&mut self, limit: Option<Duration>) -> Result<usize, Errno> {
        event::ppoll(&mut self.list, limit)
    }

    fn each(&mut self, show: &mut dyn FnMut(RawFd, Told) -> bool) {
        let count = self.list.len();
        let start = if self.start < count { self.start } else { 0 };
        let (before, after) = self.list.split_at(start);
        for (step, entry) in after.iter().chain(before).enumerate() {
            if entry.revents == 0 {
                continue;
            }
            let told = if entry.revents & libc::POLLNVAL == 0 {
                Told::Ready(Ready::from_poll(u32::from(entry.revents.cast_unsigned())))
            } else {
                Told::Closed
            };
            if !show(entry.fd, told) {
                self.start = (start + step) % count;
                return;
            }
        }
    }
}

fn entry(fd: RawFd, interest: Interest) -> libc::pollfd {
    let parts = [
        (interest.has(Interest::READABLE), libc::POLLIN),
        (interest.has(Interest::WRITABLE), libc::POLLOUT),
        (interest.has(Interest::PRIORITY), libc::POLLPRI),
        (interest.has(Interest::PEER_CLOSED), libc::POLLRDHUP),
    ];
    libc::pollfd {
        fd,
        events: parts
            .into_iter()
            .filter(|(is, _)| *is)
            .fold(0, |mask, (_, flag)| mask | flag),
        revents: 0,
    }
}

impl Selector for Poll {
    fn register(
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        self.0.register(fd, key, interest, trigger)
    }

    fn modify(
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        self.0.modify(fd, key, interest, trigger)
    }

    fn unregister(&self, fd: BorrowedFd<'_>) -> Result<()> {
        self.0.unregister(fd)
    }

    fn wait(&self, events: &mut Vec<Event>, limit: Option<Duration>) -> Result<()> {
        self.0.wait(events, limit)
    }

    fn waker(&self, key: Key) -> Result<Waker> {
        self.0.waker(key)
    }

    fn backend(&self) -> Backend {
        Backend::Poll
    }
}
