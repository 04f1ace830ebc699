//! poll(2): a list.

use core::time::Duration;
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::hook::Hook;
use crate::selector::Patience;
use crate::sys::event;

open_newtype! {
    /// Flags of poll(2) (`POLL*`), joined with `|`.
    PollFlags: i16 {
        /// Something can be received.
        IN = libc::POLLIN;
        /// Urgent data, or another exceptional condition.
        PRI = libc::POLLPRI;
        /// Something can be sent.
        OUT = libc::POLLOUT;
        /// Told without being asked: something failed.
        ERR = libc::POLLERR;
        /// Told without being asked: hung up.
        HUP = libc::POLLHUP;
        /// Told without being asked: the descriptor is not open.
        NVAL = libc::POLLNVAL;
        /// The same as [`PollFlags::IN`].
        RDNORM = libc::POLLRDNORM;
        /// Data of a priority band, which Linux generally has no use for.
        RDBAND = libc::POLLRDBAND;
        /// The same as [`PollFlags::OUT`].
        WRNORM = libc::POLLWRNORM;
        /// Data of a priority band can be sent.
        WRBAND = libc::POLLWRBAND;
        /// Linux ignores it.
        MSG = 0x400;
        /// The peer has ended its sending side.
        RDHUP = libc::POLLRDHUP;
    }
}

impl PollFlags {
    /// True if all flags of `other` are among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl core::ops::BitOr for PollFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What poll(2) tells of one descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollEvent {
    /// Its number.
    pub fd: RawFd,
    /// What is the case; [`PollFlags::NVAL`] if the number stands for nothing.
    pub flags: PollFlags,
}

/// A list of descriptors for poll(2). It knows them by their numbers: unregister them before they
/// are closed.
///
/// # References
/// poll(2).
#[derive(Clone, Default)]
pub struct Poll {
    list: Vec<libc::pollfd>,
    places: HashMap<RawFd, usize>,
}

impl core::fmt::Debug for Poll {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.places.keys()).finish()
    }
}

impl Poll {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a descriptor, or changes what is asked of it.
    pub fn register(&mut self, fd: &impl AsFd, flags: PollFlags) {
        let fd = fd.as_fd().as_raw_fd();
        let place = *self.places.entry(fd).or_insert(self.list.len());
        let entry = libc::pollfd {
            fd,
            events: flags.raw(),
            revents: 0,
        };
        match self.list.get_mut(place) {
            Some(found) => *found = entry,
            None => self.list.push(entry),
        }
    }

    /// Changes what is asked of a descriptor.
    ///
    /// # Errors
    /// `ENOENT` if it is not in the list.
    pub fn modify(&mut self, fd: &impl AsFd, flags: PollFlags) -> Result<()> {
        if !self.places.contains_key(&fd.as_fd().as_raw_fd()) {
            return Err(Error::os("poll", Errno::ENOENT));
        }
        self.register(fd, flags);
        Ok(())
    }

    /// Takes a descriptor out, by its number: it may be closed already.
    ///
    /// # Errors
    /// `ENOENT` if it is not in the list.
    pub fn unregister(&mut self, fd: RawFd) -> Result<()> {
        let Some(place) = self.places.remove(&fd) else {
            return Err(Error::os("poll", Errno::ENOENT));
        };
        self.list.swap_remove(place);
        if let Some(moved) = self.list.get(place) {
            self.places.insert(moved.fd, place);
        }
        Ok(())
    }

    /// Waits at most `limit`; shows what there is to tell, which is nothing if the limit passes.
    ///
    /// # Errors
    /// `EINVAL` for more descriptors than the process may have.
    ///
    /// # References
    /// poll(2).
    pub fn poll(&mut self, limit: Option<Duration>) -> Result<impl Iterator<Item = PollEvent>> {
        self.poll_with(&(), limit)
    }

    /// The same with a hook around each call of the kernel, for language bindings.
    ///
    /// # Errors
    /// As [`Poll::poll`], and what the hook says.
    ///
    /// # References
    /// poll(2); signal(7), "Interruption of system calls".
    pub fn poll_with<H: Hook>(
        &mut self,
        hook: &H,
        limit: Option<Duration>,
    ) -> Result<impl Iterator<Item = PollEvent> + use<'_, H>> {
        let mut patience = Patience::new(limit);
        let list = &mut self.list;
        loop {
            let left = patience.left();
            match hook.blocking(|| event::ppoll(list, left)) {
                Ok(0) if !patience.has_ended() => {}
                Ok(_) => break,
                Err(Errno::EINTR) => {
                    hook.interrupted()?;
                    patience.take_stock();
                }
                Err(errno) => return Err(Error::os("poll", errno)),
            }
        }
        let told = self.list.iter().filter(|entry| entry.revents != 0);
        Ok(told.map(|entry| PollEvent {
            fd: entry.fd,
            flags: PollFlags::from_raw(entry.revents),
        }))
    }
}
