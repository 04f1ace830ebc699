//! epoll(7): a list that the kernel keeps.

use core::ffi::c_int;
use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::hook::Hook;
use crate::selector::{Patience, wait_once};
use crate::sys::event::{self, EpollBuffer};

open_newtype! {
    /// Flags of epoll (`EPOLL*`), epoll_ctl(2); joined with `|`.
    EpollFlags: u32 {
        /// Something can be received.
        IN = libc::EPOLLIN.cast_unsigned();
        /// Urgent data, or another exceptional condition.
        PRI = libc::EPOLLPRI.cast_unsigned();
        /// Something can be sent.
        OUT = libc::EPOLLOUT.cast_unsigned();
        /// Told without being asked: something failed.
        ERR = libc::EPOLLERR.cast_unsigned();
        /// Told without being asked: hung up.
        HUP = libc::EPOLLHUP.cast_unsigned();
        /// The same as [`EpollFlags::IN`].
        RDNORM = libc::EPOLLRDNORM.cast_unsigned();
        /// Data of a priority band, which Linux generally has no use for.
        RDBAND = libc::EPOLLRDBAND.cast_unsigned();
        /// The same as [`EpollFlags::OUT`].
        WRNORM = libc::EPOLLWRNORM.cast_unsigned();
        /// Data of a priority band can be sent.
        WRBAND = libc::EPOLLWRBAND.cast_unsigned();
        /// Linux ignores it.
        MSG = libc::EPOLLMSG.cast_unsigned();
        /// The peer has ended its sending side.
        RDHUP = libc::EPOLLRDHUP.cast_unsigned();
        /// Of several epolls that watch the same file, not all are woken for one event. Only when
        /// a descriptor is registered, and with few of the other flags.
        EXCLUSIVE = libc::EPOLLEXCLUSIVE.cast_unsigned();
        /// The system does not go to sleep between the event and the next wait. Needs
        /// `CAP_BLOCK_SUSPEND`, and is ignored without it.
        WAKEUP = libc::EPOLLWAKEUP.cast_unsigned();
        /// Told once, until it is modified.
        ONESHOT = libc::EPOLLONESHOT.cast_unsigned();
        /// Told when it begins, and not as long as it lasts.
        ET = libc::EPOLLET.cast_unsigned();
    }
}

impl EpollFlags {
    /// True if all flags of `other` are among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl core::ops::BitOr for EpollFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What epoll tells of one registration (`struct epoll_event`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpollEvent {
    /// What is the case.
    pub flags: EpollFlags,
    /// What the registration was given to be known by.
    pub data: u64,
}

/// An epoll descriptor. Dropping it closes it.
///
/// A registration is that of a number and the open file behind it: it ends when the last
/// duplicate of the file is closed, and until then it can only be removed through its own number.
///
/// # References
/// epoll(7).
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    /// Makes one, which programs that this one starts do not get.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE` when descriptors have run out.
    ///
    /// # References
    /// epoll_create1(2).
    pub fn new() -> Result<Self> {
        let fd = event::epoll_create().map_err(|errno| Error::os("epoll_create1", errno))?;
        Ok(Self(fd))
    }

    /// Adds a descriptor, to be known by `data`.
    ///
    /// # Errors
    /// `EEXIST` if it is there already; `EPERM` for what is always ready, such as a regular file;
    /// `EINVAL` for flags that do not go with [`EpollFlags::EXCLUSIVE`]; `ENOSPC` beyond the
    /// user's limit, `max_user_watches`.
    ///
    /// # References
    /// epoll_ctl(2), `EPOLL_CTL_ADD`.
    pub fn register(&self, fd: &impl AsFd, flags: EpollFlags, data: u64) -> Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, flags, data)
    }

    /// Changes flags and data, and wakes a one-shot registration.
    ///
    /// # Errors
    /// `ENOENT` if it is not there; `EINVAL` if [`EpollFlags::EXCLUSIVE`] is set, or was.
    ///
    /// # References
    /// epoll_ctl(2), `EPOLL_CTL_MOD`.
    pub fn modify(&self, fd: &impl AsFd, flags: EpollFlags, data: u64) -> Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, flags, data)
    }

    /// Takes a descriptor out.
    ///
    /// # Errors
    /// `ENOENT` if it is not there.
    ///
    /// # References
    /// epoll_ctl(2), `EPOLL_CTL_DEL`.
    pub fn unregister(&self, fd: &impl AsFd) -> Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, EpollFlags::from_raw(0), 0)
    }

    fn control(
        &self,
        operation: c_int,
        fd: &impl AsFd,
        flags: EpollFlags,
        data: u64,
    ) -> Result<()> {
        let fd = fd.as_fd().as_raw_fd();
        event::epoll_ctl(self.0.as_fd(), operation, fd, flags.raw(), data)
            .map_err(|errno| Error::os("epoll_ctl", errno))
    }

    /// Waits at most `limit`, and replaces `events` by at most `max` of what there is (and at most
    /// [`crate::selector::EVENTS_MAX`]; the rest comes with the next call). Any number of threads
    /// may wait.
    ///
    /// # Errors
    /// `EINVAL` if `max` is zero, or if this is no epoll descriptor at all.
    ///
    /// # References
    /// epoll_pwait2(2).
    pub fn poll(
        &self,
        events: &mut Vec<EpollEvent>,
        max: usize,
        limit: Option<Duration>,
    ) -> Result<()> {
        self.poll_with(&(), events, max, limit)
    }

    /// The same with a hook around each call of the kernel, for language bindings.
    ///
    /// # Errors
    /// As [`Epoll::poll`], and what the hook says.
    ///
    /// # References
    /// epoll_wait(2); signal(7), "Interruption of system calls".
    pub fn poll_with(
        &self,
        hook: &impl Hook,
        events: &mut Vec<EpollEvent>,
        max: usize,
        limit: Option<Duration>,
    ) -> Result<()> {
        events.clear();
        let mut buffer = EpollBuffer::new();
        let mut patience = Patience::new(limit);
        loop {
            let (fd, left, room) = (self.0.as_fd(), patience.left(), &mut buffer);
            match hook.blocking(move || wait_once(fd, room, max, left)) {
                Ok(0) if !patience.has_ended() => {}
                Ok(_) => break,
                Err(Errno::EINTR) => {
                    hook.interrupted()?;
                    patience.take_stock();
                }
                Err(errno) => return Err(Error::os("epoll_wait", errno)),
            }
        }
        events.extend(buffer.told().iter().map(|told| EpollEvent {
            flags: EpollFlags::from_raw(told.events),
            data: told.u64,
        }));
        Ok(())
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Epoll {
    /// Takes over an epoll descriptor, such as one that was inherited.
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<Epoll> for OwnedFd {
    fn from(epoll: Epoll) -> Self {
        epoll.0
    }
}
