//! The `epoll` back end.

use core::ffi::c_int;
use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::patience::Patience;
use super::{Backend, EVENTS_MAX, Event, Interest, Key, Ready, Selector, Trigger, busy};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::sys::event;
use crate::waker::Waker;

mod table;

use table::{Slot, Table, bit};

/// epoll(7): the kernel keeps the list of watched descriptors.
///
/// The kernel hands back a number for each event. Here it is the descriptor's number with a count
/// of its registrations, so that what is told late, of a former registration, is seen to be that.
pub struct Epoll {
    fd: OwnedFd,
    table: Mutex<Table>,
    /// Held by the thread that waits.
    buffer: Mutex<Vec<libc::epoll_event>>,
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
            fd: create()?,
            table: Mutex::default(),
            buffer: Mutex::new(vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX]),
        })
    }

    /// Nothing that is done under the lock can leave the table half done.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn control(&self, operation: c_int, fd: RawFd, slot: Slot) -> Result<(), Errno> {
        event::epoll_ctl(self.fd.as_fd(), operation, fd, slot.events(), slot.data(fd))
    }

    fn add(&self, table: &mut Table, fd: RawFd, key: Key, events: u32) -> Result<()> {
        let slot = table.next(fd, key, events);
        self.control(libc::EPOLL_CTL_ADD, fd, slot)
            .map_err(failed)?;
        table.put(fd, slot);
        Ok(())
    }

    fn remove(&self, table: &mut Table, fd: RawFd) -> Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, Slot::default())
            .map_err(|errno| lost(table, fd, errno))?;
        table.clear(fd);
        Ok(())
    }

    fn report(&self, told: &[libc::epoll_event], out: &mut Vec<Event>) -> Result<()> {
        let mut table = self.table();
        for event in told {
            if let Some(key) = table.take(event.u64) {
                let ready = ready(event.events);
                out.push(Event { key, ready });
            }
        }
        if table.has_ghost() {
            self.rebuild(&mut table)?;
        }
        Ok(())
    }

    /// Copies the list without the entries that a descriptor closed too early has left in it, and
    /// puts the copy in its place. An entry is known to be good if the kernel can still change it.
    #[cold]
    fn rebuild(&self, table: &mut Table) -> Result<()> {
        let fresh = create()?;
        for (fd, slot) in table.registered() {
            let known = match self.control(libc::EPOLL_CTL_MOD, fd, slot) {
                Ok(()) => true,
                // An exclusive one cannot be changed, but is there.
                Err(errno) => errno == Errno::EINVAL,
            };
            let (add, events) = (libc::EPOLL_CTL_ADD, slot.fresh_events());
            let copy = || event::epoll_ctl(fresh.as_fd(), add, fd, events, slot.data(fd));
            if !known || copy().is_err() {
                table.clear(fd);
            }
        }
        crate::sys::life::replace(self.fd.as_fd(), fresh.as_fd()).map_err(failed)
    }
}

fn create() -> Result<OwnedFd> {
    event::epoll_create().map_err(|errno| Error::os("epoll_create1", errno))
}

/// What follows when the kernel does not know the file that a number stands for now: who was
/// registered under it before has lost it.
fn lost(table: &mut Table, fd: RawFd, errno: Errno) -> Error {
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
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        let events = events(interest, trigger)?;
        self.add(&mut self.table(), fd.as_raw_fd(), key, events)
    }

    fn modify(
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        let (events, fd) = (events(interest, trigger)?, fd.as_raw_fd());
        let mut table = self.table();
        let slot = table.next(fd, key, events);
        // The kernel changes nothing into an exclusive entry, nor out of one.
        if slot.is_exclusive() || table.get(fd).is_some_and(Slot::is_exclusive) {
            self.remove(&mut table, fd)?;
            return self.add(&mut table, fd, key, events);
        }
        self.control(libc::EPOLL_CTL_MOD, fd, slot)
            .map_err(|errno| lost(&mut table, fd, errno))?;
        table.put(fd, slot);
        Ok(())
    }

    fn unregister(&self, fd: BorrowedFd<'_>) -> Result<()> {
        self.remove(&mut self.table(), fd.as_raw_fd())
    }

    fn wait(&self, out: &mut Vec<Event>, limit: Option<Duration>) -> Result<()> {
        out.clear();
        let Ok(mut buffer) = self.buffer.try_lock() else {
            return Err(busy());
        };
        let mut patience = Patience::new(limit);
        loop {
            match wait_once(self.fd.as_fd(), &mut buffer, patience.left()) {
                Ok(0) if patience.has_ended() => return Ok(()),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(count) => self.report(buffer.get(..count).unwrap_or_default(), out)?,
                Err(errno) => return Err(Error::os("epoll_wait", errno)),
            }
            if !out.is_empty() || !patience.goes_on() {
                return Ok(());
            }
        }
    }

    fn waker(&self, key: Key) -> Result<Waker> {
        let waker = Waker::new()?;
        let mut table = self.table();
        // Watched for edges it need not be lowered: each raise after it was told is one.
        let events = bit(libc::EPOLLIN | libc::EPOLLET);
        self.add(&mut table, waker.as_fd().as_raw_fd(), key, events)?;
        table.keep(waker.clone());
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
fn wait_once(
    fd: BorrowedFd<'_>,
    buffer: &mut [libc::epoll_event],
    limit: Option<Duration>,
) -> Result<usize, Errno> {
    let whole_ms = match limit {
        None => Some(-1),
        Some(limit) if limit.is_zero() => Some(0),
        Some(_) => None,
    };
    if let Some(limit_ms) = whole_ms {
        return event::epoll_wait_ms(fd, buffer, limit_ms);
    }
    match event::epoll_wait(fd, buffer, limit) {
        // A filter of system calls that is older than epoll_pwait2(2), seccomp(2).
        Err(Errno::ENOSYS | Errno::EPERM) => {
            let limit_ms = limit.map_or(-1, |limit| {
                i32::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
            });
            event::epoll_wait_ms(fd, buffer, limit_ms)
        }
        answer => answer,
    }
}
