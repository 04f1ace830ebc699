//! Closing a socket that other threads may be using.
//!
//! A descriptor's number must not become free while a call in another thread is about to use it:
//! the next `open` anywhere in the process would get it, and the call would read or write a
//! stranger's file. The usual cure is to count the calls in flight, which costs two locked
//! instructions for each of them. Here the kernel's own count does it, at no cost: closing
//! *replaces* the socket by an inert file under the same number, in one step (dup3(2)). Calls that
//! are in the kernel keep the socket alive until they return, later ones meet the inert file and
//! fail with `EBADF`, and the number becomes free when the [`crate::Socket`] is dropped, which
//! nobody can do who still borrows it.
//!
//! What is left is to wake those that wait in poll(2): each thread that waits tells here for what,
//! and has an event counter of its own to be woken by.
//!
//! Calls of blocking sockets stay in the kernel, where only `abort` reaches them. To let them wait
//! in poll(2) as well was measured: a round trip of one byte between two threads takes 5.3 instead
//! of 4.4 microseconds, and `MSG_WAITALL`, `SO_RCVTIMEO` and that a connection wakes one of the
//! threads that accept would be lost.

use core::cell::RefCell;
use core::sync::atomic::{Ordering, fence};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::thread;

use crate::errno::Errno;
use crate::error::Error;
use crate::sys;

/// Parts of the list of waiting threads, so that threads seldom meet at its locks.
const SHARDS: usize = 16;

/// How often a lock is tried. It is held for a few instructions; one that stays held belongs to
/// a thread that a fork(2) has left behind in the parent process.
const LOCK_TRIES_MAX: usize = 100_000;

/// How long a wait lasts at most that nobody can end, because there was no descriptor left for a
/// counter: then it looks by itself whether the socket was closed.
pub(crate) const UNWATCHED_WAIT_MS_MAX: i32 = 50;

/// A file that can do nothing, to take the place of closed sockets.
static INERT: OnceLock<OwnedFd> = OnceLock::new();

/// A thread that waits: for what descriptor, and what wakes it.
type Waiting = (RawFd, Arc<OwnedFd>);

static WAITING: [Mutex<Vec<Waiting>>; SHARDS] = [const { Mutex::new(Vec::new()) }; SHARDS];

thread_local! {
    /// The calling thread's counter, and the process that it was made in: after fork(2) parent
    /// and child would wake each other.
    static COUNTER: RefCell<Option<(u32, Arc<OwnedFd>)>> = const { RefCell::new(None) };
}

/// Makes sure that a socket can be closed later even if there is no descriptor left then.
pub(crate) fn prepare() {
    if INERT.get().is_none()
        && let Ok(fd) = sys::life::open_inert()
    {
        // Somebody else was faster: theirs is as good.
        drop(INERT.set(fd));
    }
}

/// Replaces the socket by an inert file and wakes who waits for it.
pub(crate) fn close(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    match INERT.get() {
        // A program that closes all descriptors, its own and others', has taken this one too.
        Some(inert) if sys::life::is_inert(inert.as_fd()) => {
            sys::life::replace(fd, inert.as_fd())?;
        }
        _ => sys::life::replace(fd, sys::life::open_inert()?.as_fd())?,
    }
    wake(fd.as_raw_fd());
    Ok(())
}

/// The error of a failed call: that of the kernel, or that the socket was closed.
#[cold]
pub(crate) fn failure(fd: BorrowedFd<'_>, call: &'static str, errno: Errno) -> Error {
    if sys::life::is_inert(fd) {
        Error::Closed { call }
    } else {
        Error::os(call, errno)
    }
}

fn shard(fd: RawFd) -> Option<MutexGuard<'static, Vec<Waiting>>> {
    let index = usize::try_from(fd).unwrap_or(0) % SHARDS;
    let shard = WAITING.get(index)?;
    for _try in 0..LOCK_TRIES_MAX {
        match shard.try_lock() {
            Ok(list) => return Some(list),
            // Nothing that is done under the lock can leave the list half done.
            Err(TryLockError::Poisoned(list)) => return Some(list.into_inner()),
            Err(TryLockError::WouldBlock) => thread::yield_now(),
        }
    }
    None
}

fn wake(fd: RawFd) {
    // Who comes to the list after this finds the inert file: see `Watch::over`.
    fence(Ordering::SeqCst);
    for (_, counter) in shard(fd)
        .iter()
        .flat_map(|list| list.iter())
        .filter(|waiting| waiting.0 == fd)
    {
        sys::event::eventfd_raise(counter.as_fd());
    }
}

/// The calling thread's counter, made when it first waits.
fn counter() -> Option<Arc<OwnedFd>> {
    let process = std::process::id();
    COUNTER
        .try_with(|place| {
            let mut place = place.try_borrow_mut().ok()?;
            match &*place {
                Some((made_in, counter)) if *made_in == process => Some(Arc::clone(counter)),
                _ => {
                    let counter = Arc::new(sys::event::eventfd().ok()?);
                    *place = Some((process, Arc::clone(&counter)));
                    Some(counter)
                }
            }
        })
        .ok()
        .flatten()
}

/// A wait for a socket that ends when the socket is closed.
pub(crate) struct Watch {
    fd: RawFd,
    counter: Option<Arc<OwnedFd>>,
}

impl Watch {
    /// Begins it. A socket that is closed from now on raises the counter; one that was closed
    /// before is inert, which poll(2) tells at once.
    pub(crate) fn over(fd: BorrowedFd<'_>) -> Self {
        let fd = fd.as_raw_fd();
        let counter = counter().filter(|counter| {
            shard(fd).is_some_and(|mut list| {
                list.push((fd, Arc::clone(counter)));
                true
            })
        });
        fence(Ordering::SeqCst);
        Self { fd, counter }
    }

    /// The counter's number for poll(2), which passes over a negative one.
    pub(crate) fn counter(&self) -> Option<BorrowedFd<'_>> {
        self.counter.as_ref().map(AsFd::as_fd)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(counter) = &self.counter else {
            return;
        };
        if let Some(mut list) = shard(self.fd)
            && let Some(index) = list
                .iter()
                .position(|(fd, other)| *fd == self.fd && Arc::ptr_eq(other, counter))
        {
            list.swap_remove(index);
        }
    }
}
