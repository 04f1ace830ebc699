//! Lookups that end in time, although the system's resolver does not.

use core::time::Duration;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Condvar, Mutex, PoisonError};
use std::{panic, thread};

use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::sys;
use crate::wait::Deadline;

/// How many lookups with a deadline may run at once in a process, the abandoned ones among them.
/// Enough for a program that looks up many names, and few enough that name servers which do not
/// answer cost some megabytes at most.
pub const LOOKUPS_MAX: usize = 64;

/// Makes a lookup that is given up at the deadline. `call` is its name in the error.
///
/// The system's resolver cannot be told to stop. So the lookup runs on a thread of its own, and
/// at the deadline that thread is abandoned: it goes on until the resolver answers, some 20
/// seconds as a rule, and what it answers is thrown away. There are never more than
/// [`LOOKUPS_MAX`] of these threads; one lookup more waits for the first of them to end, and if
/// that is not before its deadline, it has timed out without having begun. Signals are blocked in
/// these threads. When the process ends, they end with it.
///
/// [`Deadline::NEVER`] makes the lookup on the calling thread.
///
/// # Errors
/// [`Error::TimedOut`] at the deadline; `EAGAIN` if there could be no thread; those of the lookup.
///
/// # Panics
/// Where the lookup does.
///
/// # Examples
/// ```
/// use berkeley::Deadline;
/// use berkeley::names::{gethostbyaddr, lookup_until};
/// use std::net::Ipv4Addr;
/// use std::time::Duration;
///
/// let deadline = Deadline::within(Duration::from_secs(2));
/// let host = lookup_until(deadline, "gethostbyaddr", || gethostbyaddr(Ipv4Addr::LOCALHOST));
/// # drop(host);
/// ```
pub fn lookup_until<T, F>(deadline: Deadline, call: &'static str, lookup: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    if deadline == Deadline::NEVER {
        return lookup();
    }
    let place = Place::take(deadline).ok_or(Error::TimedOut { call })?;
    let (answer, answered) = mpsc::sync_channel(1);
    let thread = thread::Builder::new()
        .name("berkeley-lookup".into())
        .spawn(move || {
            sys::netdb::block_signals();
            let _place = place;
            // Nobody listens any more to an abandoned thread.
            let _unheard = answer.send(lookup());
        })
        .map_err(|error| {
            let errno = error.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw);
            Error::os("pthread_create", errno)
        })?;
    match answered.recv_timeout(deadline.left().unwrap_or(Duration::MAX)) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(Error::TimedOut { call }),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(reason) => panic::resume_unwind(reason),
            // A thread that ends without a panic has answered.
            Ok(()) => Err(Error::TimedOut { call }),
        },
    }
}

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// One of the threads that there may be.
struct Place;

impl Place {
    /// Waits for a place; `None` when the deadline comes first.
    fn take(deadline: Deadline) -> Option<Self> {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if deadline.has_passed() {
                return None;
            }
            if *taken < LOOKUPS_MAX {
                *taken += 1;
                return Some(Self);
            }
            let left = deadline.left().unwrap_or(Duration::MAX);
            (taken, _) = FREED
                .wait_timeout(taken, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = taken.saturating_sub(1);
        FREED.notify_one();
    }
}
