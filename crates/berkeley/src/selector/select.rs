//! The `select` back end.

use core::time::Duration;
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use super::poll::check_trigger;
use super::{Backend, Event, Interest, Key, Ready, Selector, Trigger};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::sys::event::{self, FdSet};
use crate::wait::Deadline;

/// select(2): sets of 1,024 descriptors that are copied and looked through at each call.
#[derive(Debug, Default)]
pub struct Select {
    watched: BTreeMap<RawFd, Registration>,
}

#[derive(Debug, Clone, Copy)]
struct Registration {
    key: Key,
    interest: Interest,
    trigger: Trigger,
    asleep: bool,
}

impl Select {
    /// Makes one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn check(fd: RawFd, interest: Interest, trigger: Trigger) -> Result<()> {
        check_trigger(trigger, Backend::Select)?;
        if interest.has(Interest::PEER_CLOSED) {
            return Err(Error::Unsupported(
                "select cannot tell that a peer has ended its side: choose poll or epoll".into(),
            ));
        }
        if fd >= FdSet::CAPACITY {
            return Err(Error::Unsupported(format!(
                "select has room for descriptors below {} only, and this one is {fd}: choose poll \
                 or epoll",
                FdSet::CAPACITY
            )));
        }
        Ok(())
    }

    /// The three sets, and the number behind the highest descriptor in them.
    fn sets(&self) -> Result<(FdSet, FdSet, FdSet, RawFd)> {
        let (mut read, mut write, mut except) = (FdSet::new(), FdSet::new(), FdSet::new());
        let mut limit = 0;
        for (&fd, registration) in self.watched.iter().filter(|(_, found)| !found.asleep) {
            let wants = |part| registration.interest.has(part);
            let parts = [
                (wants(Interest::READABLE), &mut read),
                (wants(Interest::WRITABLE), &mut write),
                (wants(Interest::PRIORITY), &mut except),
            ];
            for (_, set) in parts.into_iter().filter(|(wanted, _)| *wanted) {
                set.insert(fd).map_err(|errno| Error::os("select", errno))?;
            }
            limit = fd + 1;
        }
        Ok((read, write, except, limit))
    }
}

impl Selector for Select {
    fn register(
        &mut self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        let fd = fd.as_raw_fd();
        Self::check(fd, interest, trigger)?;
        if self.watched.contains_key(&fd) {
            return Err(Error::os("select", Errno::EEXIST));
        }
        self.watched.insert(
            fd,
            Registration {
                key,
                interest,
                trigger,
                asleep: false,
            },
        );
        Ok(())
    }

    fn modify(
        &mut self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        let fd = fd.as_raw_fd();
        Self::check(fd, interest, trigger)?;
        let Some(registration) = self.watched.get_mut(&fd) else {
            return Err(Error::os("select", Errno::ENOENT));
        };
        *registration = Registration {
            key,
            interest,
            trigger,
            asleep: false,
        };
        Ok(())
    }

    fn unregister(&mut self, fd: BorrowedFd<'_>) -> Result<()> {
        match self.watched.remove(&fd.as_raw_fd()) {
            Some(_) => Ok(()),
            None => Err(Error::os("select", Errno::ENOENT)),
        }
    }

    fn wait(&mut self, out: &mut Vec<Event>, limit: Option<Duration>) -> Result<()> {
        out.clear();
        let deadline = limit.map_or(Deadline::NEVER, Deadline::within);
        let (read, write, except) = loop {
            // The kernel changes the sets and, on a signal, leaves them undefined.
            let (mut read, mut write, mut except, highest) = self.sets()?;
            let left = deadline.left();
            match event::select(highest, &mut read, &mut write, &mut except, left) {
                Ok(0) if deadline.has_passed() => return Ok(()),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => break (read, write, except),
                Err(errno) => return Err(Error::os("select", errno)),
            }
        };
        for (&fd, registration) in self.watched.iter_mut().filter(|(_, found)| !found.asleep) {
            let ready = Ready::default()
                .when(read.contains(fd), Ready::READABLE)
                .when(write.contains(fd), Ready::WRITABLE)
                .when(except.contains(fd), Ready::PRIORITY);
            if ready != Ready::default() {
                out.push(Event {
                    key: registration.key,
                    ready,
                });
                registration.asleep = registration.trigger == Trigger::OneShot;
            }
        }
        Ok(())
    }

    fn backend(&self) -> Backend {
        Backend::Select
    }
}
