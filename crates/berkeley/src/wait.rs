//! Blocking, non-blocking, time-limited: the one loop through which every call goes that may wait.

use core::time::Duration;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Instant;

use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::hook::Hook;
use crate::lease::{self, Watch};
use crate::sys;

/// How a socket's calls wait, as Python's `settimeout` defines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Calls wait as long as it takes.
    Block,
    /// Calls never wait: what would have to is [`Error::is_would_block`].
    NonBlock,
    /// Each call waits at most this long in all, and is [`Error::TimedOut`] after that. Zero
    /// means [`Mode::NonBlock`].
    Within(Duration),
}

/// The moment by which something has to be done, on the monotonic clock.
///
/// # References
/// clock_gettime(2), `CLOCK_MONOTONIC`; poll(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No limit.
    pub const NEVER: Self = Self(None);

    /// A moment that lies `limit` ahead; a limit beyond what the clock can count is none.
    ///
    /// # References
    /// clock_gettime(2), `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn within(limit: Duration) -> Self {
        Self(Instant::now().checked_add(limit))
    }

    /// A given moment.
    #[must_use]
    pub const fn at(moment: Instant) -> Self {
        Self(Some(moment))
    }

    /// What is left until then: `None` for no limit, zero when it has passed.
    #[must_use]
    pub fn left(self) -> Option<Duration> {
        self.0
            .map(|moment| moment.saturating_duration_since(Instant::now()))
    }

    /// What is left in whole milliseconds for poll(2): rounded up so that no wait ends early, at
    /// most what fits, -1 for no limit.
    pub(crate) fn left_ms(self) -> i32 {
        match self.left() {
            None => -1,
            Some(left) => i32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX),
        }
    }

    /// True when the moment has come.
    #[must_use]
    pub fn has_passed(self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }
}

/// What a call waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    Readable,
    Writable,
    /// Something in the error queue, which poll(2) tells of without being asked.
    Failed,
}

/// How one call waits: not at all, or until a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    /// The descriptor blocks by itself: the call is simply made again after a signal.
    Kernel,
    /// The first `EAGAIN` is the answer.
    None,
    /// The descriptor does not block; wait with poll(2).
    Until(Deadline),
}

impl Patience {
    /// True when there is a limit and it has passed.
    pub(crate) fn has_ended(self) -> bool {
        matches!(self, Self::Until(deadline) if deadline.has_passed())
    }
}

/// Makes a system call until it gives an answer that counts: again after a signal, again after a
/// wait, never beyond the deadline.
///
/// poll(2) can call a descriptor ready whose next call would still wait: another thread was
/// faster, or the full queue is that of the receiver whom an unconnected Unix datagram is meant
/// for, which poll(2) does not look at. Such a wait goes on in small steps, and it ends in time.
///
/// A wait ends when the socket is closed in another thread ([`Error::Closed`]).
#[inline]
pub(crate) fn retry<T>(
    fd: BorrowedFd<'_>,
    patience: Patience,
    until: Until,
    call: &'static str,
    attempt: impl FnMut() -> Result<T, Errno>,
) -> Result<T> {
    let wait = Wait {
        fd,
        until,
        call,
        is_woken: true,
    };
    drive(wait, || patience, attempt, sys::event::poll, || Ok(()))
}

/// Goes on where a first attempt has failed with `first`, with a hook around each system call.
#[cold]
#[inline(never)]
pub(crate) fn go_on<T: Send, H: Hook>(
    hook: &H,
    wait: Wait<'_>,
    first: Errno,
    patience: impl FnMut() -> Patience,
    mut attempt: impl FnMut() -> Result<T, Errno> + Send,
) -> Result<T> {
    let mut first = Some(first);
    drive(
        wait,
        patience,
        || match first.take() {
            Some(errno) => Err(errno),
            None => hook.blocking(&mut attempt),
        },
        |fds, limit_ms| hook.blocking(|| sys::event::poll(fds, limit_ms)),
        || hook.interrupted(),
    )
}

/// What a call waits for, and under which name it fails.
#[derive(Clone, Copy)]
pub(crate) struct Wait<'a> {
    pub(crate) fd: BorrowedFd<'a>,
    pub(crate) until: Until,
    pub(crate) call: &'static str,
    /// [`Hook::IS_WOKEN_BY_CLOSE`].
    pub(crate) is_woken: bool,
}

#[inline]
fn drive<T>(
    wait: Wait<'_>,
    mut patience: impl FnMut() -> Patience,
    mut attempt: impl FnMut() -> Result<T, Errno>,
    mut poll: impl FnMut(&mut [libc::pollfd], i32) -> Result<usize, Errno>,
    mut interrupted: impl FnMut() -> Result<()>,
) -> Result<T> {
    let mut waited = None;
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(errno) => {
                let poll = &mut poll as &mut Poll<'_>;
                overcome(
                    wait,
                    errno,
                    &mut waited,
                    &mut patience,
                    poll,
                    &mut interrupted,
                )?;
            }
        }
    }
}

/// poll(2), perhaps with a hook around it.
type Poll<'a> = dyn FnMut(&mut [libc::pollfd], i32) -> Result<usize, Errno> + 'a;

/// Does what a failed attempt asks for before the next one, or gives up.
#[cold]
fn overcome(
    wait: Wait<'_>,
    errno: Errno,
    waited: &mut Option<Deadline>,
    patience: &mut dyn FnMut() -> Patience,
    poll: &mut Poll<'_>,
    interrupted: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let Wait { fd, call, .. } = wait;
    if errno == Errno::EINTR {
        return interrupted();
    }
    if !errno.is_would_block() {
        return Err(lease::failure(fd, call, errno));
    }
    let deadline = match *waited {
        Some(deadline) if deadline.has_passed() => return Err(Error::TimedOut { call }),
        Some(deadline) => {
            pause(poll);
            deadline
        }
        None => match patience() {
            Patience::Kernel | Patience::None => return Err(Error::os(call, errno)),
            Patience::Until(deadline) => deadline,
        },
    };
    *waited = Some(deadline);
    wait_until(wait, deadline, poll, interrupted)
}

/// Waits a millisecond (less if a signal comes), where there is no event to wait for.
fn pause(poll: &mut Poll<'_>) {
    // With no descriptors there is nothing to be told: neither the count nor a signal matters.
    let _answer = poll(&mut [], 1);
}

/// The same for those who wait for something else than a descriptor.
pub(crate) fn nap() {
    pause(&mut sys::event::poll);
}

/// Waits until the descriptor is ready, or has failed, which the next call will tell.
pub(crate) fn wait_ready<H: Hook>(hook: &H, wait: Wait<'_>, deadline: Deadline) -> Result<()> {
    wait_until(
        wait,
        deadline,
        &mut |fds, limit_ms| hook.blocking(|| sys::event::poll(fds, limit_ms)),
        &mut || hook.interrupted(),
    )
}

fn wait_until(
    wait: Wait<'_>,
    deadline: Deadline,
    poll: &mut Poll<'_>,
    interrupted: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let Wait {
        fd, until, call, ..
    } = wait;
    let events = match until {
        Until::Readable => libc::POLLIN,
        Until::Writable => libc::POLLOUT,
        Until::Failed => 0,
    };
    let watch = wait.is_woken.then(|| Watch::over(fd));
    let counter = watch.as_ref().and_then(Watch::counter);
    let entry = |fd: BorrowedFd<'_>, events| libc::pollfd {
        fd: fd.as_raw_fd(),
        events,
        revents: 0,
    };
    // poll(2) passes over a negative number.
    let none = libc::pollfd {
        fd: -1,
        events: 0,
        revents: 0,
    };
    let end = counter.map_or(none, |counter| entry(counter, libc::POLLIN));
    let mut fds = [entry(fd, events), end];
    loop {
        let left = deadline.left_ms();
        let limit = match counter {
            None if wait.is_woken && (left == -1 || left > lease::UNWATCHED_WAIT_MS_MAX) => {
                lease::UNWATCHED_WAIT_MS_MAX
            }
            _ => left,
        };
        match poll(&mut fds, limit) {
            Ok(0) if deadline.has_passed() => return Err(Error::TimedOut { call }),
            // Woken early: the wait was longer than one poll(2) can be, or was cut in pieces.
            Ok(0) => {}
            Err(Errno::EINTR) => interrupted()?,
            // Closed while poll(2) slept: it looks the number up again when it wakes.
            Ok(_) if fds[0].revents & libc::POLLNVAL != 0 && sys::life::is_inert(fd) => {
                return Err(Error::Closed { call });
            }
            Ok(_) if fds[0].revents != 0 => return Ok(()),
            Ok(_) => {
                // Raised by the closing of this socket, or, late, of one that was waited for
                // before.
                if let Some(counter) = counter {
                    sys::event::eventfd_lower(counter);
                }
                if sys::life::is_inert(fd) {
                    return Err(Error::Closed { call });
                }
            }
            Err(errno) => return Err(Error::os("poll", errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_rounded_up_and_never_negative() {
        assert_eq!(Deadline::NEVER.left_ms(), -1);
        assert_eq!(Deadline::within(Duration::ZERO).left_ms(), 0);
        assert!(Deadline::within(Duration::from_micros(1500)).left_ms() <= 2);
        assert_eq!(
            Deadline::within(Duration::from_secs(u64::MAX)).left_ms(),
            -1
        );
        assert_eq!(
            Deadline::within(Duration::from_secs(1 << 40)).left_ms(),
            i32::MAX
        );
    }
}
