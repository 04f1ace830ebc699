//! The `epoll` back end.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::{Backend, EVENTS_MAX, Event, Interest, Key, Patience, Ready, Selector, Trigger, busy};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::sys;
use crate::sys::event::{self, EpollBuffer};
use crate::waker::Waker;

mod table;

use table::{Change, Entry, Table, bit};

/// epoll(7): the kernel keeps the list of watched descriptors.
///
/// The kernel hands back a number for each event. Here it is the descriptor's number with a count
/// of its registrations, so that what is told late, of a former registration, is seen to be that.
pub struct Epoll {
    fd: OwnedFd,
    table: Table,
    is_waited: AtomicBool,
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
        Ok(Self {
            fd: event::epoll_create().map_err(|errno| Error::os("epoll_create1", errno))?,
            table: Table::default(),
            is_waited: AtomicBool::new(false),
        })
    }

    fn control(&self, operation: c_int, fd: RawFd, entry: Entry) -> Result<(), Errno> {
        event::epoll_ctl(
            self.fd.as_fd(),
            operation,
            fd,
            entry.events(),
            entry.data(fd),
        )
    }

    fn add(&self, table: &mut Change<'_>, fd: RawFd, key: Key, events: u32) -> Result<()> {
        let entry = table.next(fd, events);
        let added = match self.control(libc::EPOLL_CTL_ADD, fd, entry) {
            // Left there by a descriptor that was closed too early and had the same number.
            Err(Errno::EEXIST) if table.get(fd).is_none() => {
                self.control(libc::EPOLL_CTL_MOD, fd, entry)
            }
            answer => answer,
        };
        added.map_err(failed)?;
        table.put(fd, key, entry);
        Ok(())
    }

    fn remove(&self, table: &mut Change<'_>, fd: RawFd) -> Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, Entry::default())
            .map_err(|errno| lost(table, fd, errno))?;
        table.clear(fd);
        Ok(())
    }

    fn wait_alone(&self, out: &mut Vec<Event>, limit: Option<Duration>) -> Result<()> {
        let mut buffer = EpollBuffer::new();
        let mut patience = Patience::new(limit);
        loop {
            match wait_once(self.fd.as_fd(), &mut buffer, EVENTS_MAX, patience.left()) {
                Ok(0) if patience.has_ended() => return Ok(()),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => self.report(buffer.told(), out),
                Err(errno) => return Err(Error::os("epoll_wait", errno)),
            }
            if !out.is_empty() || !patience.goes_on() {
                return Ok(());
            }
        }
    }

    fn report(&self, told: &[libc::epoll_event], out: &mut Vec<Event>) {
        for event in told {
            let key = self.table.ordinary(event.u64);
            if let Some(key) = key.or_else(|| self.extraordinary(event.u64)) {
                let ready = Ready::from_poll(event.events);
                out.push(Event { key, ready });
            }
        }
        if out.is_empty() {
            self.lay_ghosts();
        }
    }

    /// Whose an event is, where there is more to it, or nobody's.
    #[cold]
    fn extraordinary(&self, data: u64) -> Option<Key> {
        self.table.change().take(data)
    }

    /// Copies the list without the entries that a descriptor closed too early has left in it, and
    /// puts the copy in its place. An entry is known to be good if the kernel can still change it.
    #[cold]
    fn lay_ghosts(&self) {
        let mut table = self.table.change();
        // Without a descriptor to spare they are told, to nobody, until there is one.
        if !table.has_ghost() {
            return;
        }
        let Ok(fresh) = event::epoll_create() else {
            return;
        };
        for (fd, entry) in table.registered() {
            let known = match self.control(libc::EPOLL_CTL_MOD, fd, entry) {
                Ok(()) => true,
                // An exclusive one cannot be changed, but is there.
                Err(errno) => errno == Errno::EINVAL,
            };
            let (add, events) = (libc::EPOLL_CTL_ADD, entry.fresh_events());
            let copy = || event::epoll_ctl(fresh.as_fd(), add, fd, events, entry.data(fd));
            if !known || copy().is_err() {
                table.clear(fd);
            }
        }
        // Of two open descriptors, so that it does not fail; if it did, the old list would stay.
        let _answer = sys::life::replace(self.fd.as_fd(), fresh.as_fd());
    }
}

/// What follows when the kernel does not know the file that a number stands for now: who was
/// registered under it before has lost it.
fn lost(table: &mut Change<'_>, fd: RawFd, errno: Errno) -> Error {
    if matches!(errno, Errno::ENOENT | Errno::EBADF) {
        table.clear(fd);
    }
    failed(errno)
}

fn failed(errno: Errno) -> Error {
    Error::os("epoll_ctl", errno)
}

fn events(interest: Interest, trigger: Trigger) -> Result<u32> {
    let exclusive = interest.has(Interest::EXCLUSIVE);
    let narrow = !interest.has(Interest::PRIORITY) && !interest.has(Interest::PEER_CLOSED);
    if exclusive && (trigger.is_one_shot() || !narrow) {
        return Err(Error::Unsupported(
            "epoll has an exclusive wake-up for readable and writable alone, and not for one-shot \
             triggers"
                .into(),
        ));
    }
    let parts = [
        (interest.has(Interest::READABLE), libc::EPOLLIN),
        (interest.has(Interest::WRITABLE), libc::EPOLLOUT),
        (interest.has(Interest::PRIORITY), libc::EPOLLPRI),
        (interest.has(Interest::PEER_CLOSED), libc::EPOLLRDHUP),
        (exclusive, libc::EPOLLEXCLUSIVE),
        (trigger.is_edge(), libc::EPOLLET),
        (trigger.is_one_shot(), libc::EPOLLONESHOT),
    ];
    Ok(parts
        .into_iter()
        .filter(|(is, _)| *is)
        .fold(0, |mask, (_, flag)| mask | bit(flag)))
}

impl Selector for Epoll {
    fn register(
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        let events = events(interest, trigger)?;
        self.add(&mut self.table.change(), fd.as_raw_fd(), key, events)
    }

    fn modify(
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        let (events, fd) = (events(interest, trigger)?, fd.as_raw_fd());
        let mut table = self.table.change();
        let entry = table.next(fd, events);
        // The kernel changes nothing into an exclusive entry, nor out of one.
        if entry.is_exclusive() || table.get(fd).is_some_and(Entry::is_exclusive) {
            self.remove(&mut table, fd)?;
            return self.add(&mut table, fd, key, events);
        }
        self.control(libc::EPOLL_CTL_MOD, fd, entry)
            .map_err(|errno| lost(&mut table, fd, errno))?;
        table.put(fd, key, entry);
        Ok(())
    }

    fn unregister(&self, fd: BorrowedFd<'_>) -> Result<()> {
        self.remove(&mut self.table.change(), fd.as_raw_fd())
    }

    fn wait(&self, out: &mut Vec<Event>, limit: Option<Duration>) -> Result<()> {
        out.clear();
        // A second thread may slip through here, which does no harm: the kernel lets many wait.
        if self.is_waited.load(Ordering::Acquire) {
            return Err(busy());
        }
        self.is_waited.store(true, Ordering::Release);
        let result = self.wait_alone(out, limit);
        self.is_waited.store(false, Ordering::Release);
        result
    }

    fn waker(&self, key: Key) -> Result<Waker> {
        let waker = Waker::new()?;
        // Watched for edges it need not be lowered: each raise after it was told is one.
        let events = bit(libc::EPOLLIN | libc::EPOLLET);
        let fd = waker.as_fd().as_raw_fd();
        let mut table = self.table.change();
        let entry = table.next(fd, events);
        self.control(libc::EPOLL_CTL_ADD, fd, entry)
            .map_err(failed)?;
        table.keep(waker.clone(), key, entry);
        Ok(waker)
    }

    fn backend(&self) -> Backend {
        Backend::Epoll
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.fd.as_fd())
    }
}

/// One wait of the kernel's, in whole milliseconds where it cannot count nanoseconds.
pub(crate) fn wait_once(
    fd: BorrowedFd<'_>,
    buffer: &mut EpollBuffer,
    count: usize,
    limit: Option<Duration>,
) -> Result<usize, Errno> {
    match limit {
        None => buffer.wait_ms(fd, count, -1),
        Some(limit) if limit.is_zero() => buffer.wait_ms(fd, count, 0),
        Some(span) => match buffer.wait(fd, count, limit) {
            // A filter of system calls that is older than epoll_pwait2(2), seccomp(2).
            Err(Errno::ENOSYS | Errno::EPERM) => {
                let limit_ms = span.as_nanos().div_ceil(1_000_000);
                buffer.wait_ms(fd, count, i32::try_from(limit_ms).unwrap_or(i32::MAX))
            }
            answer => answer,
        },
    }
}
