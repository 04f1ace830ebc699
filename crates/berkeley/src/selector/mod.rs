//! Which of many descriptors are ready.
//!
//! One contract, several back ends; each is a file of its own. What a back end cannot do is an
//! error when it is asked for, never a silent change. [`crate::select`] has the kernel's calls
//! themselves, for those who want them bare.
//!
//! ```
//! use berkeley::selector::{Backend, Interest, Key, Trigger};
//! use berkeley::{Family, Kind, Socket};
//! use std::os::fd::AsFd;
//!
//! # fn main() -> Result<(), berkeley::Error> {
//! let (a, b) = Socket::pair(Family::UNIX, Kind::STREAM)?;
//! let selector = Backend::BEST.open()?;
//! selector.register(b.as_fd(), Key(7), Interest::READABLE, Trigger::Level)?;
//! a.send_all(b"x")?;
//! let mut events = Vec::new();
//! selector.wait(&mut events, None)?;
//! assert_eq!(events[0].key, Key(7));
//! assert!(events[0].ready.is_readable());
//! # Ok(())
//! # }
//! ```
//!
//! # What each back end can do
//!
//! | | `select` | `poll` | `epoll` | `io-uring` |
//! | --- | --- | --- | --- | --- |
//! | [`Trigger::Level`], [`Trigger::OneShot`] | yes | yes | yes | yes |
//! | [`Trigger::Edge`], [`Trigger::EdgeOneShot`] | no | no | yes | yes |
//! | [`Interest::EXCLUSIVE`] | no | no | yes | no |
//! | [`Interest::PEER_CLOSED`], [`Ready::is_error`], [`Ready::is_hang_up`] | no | yes | yes | yes |
//! | descriptors of 1,024 and more | no | yes | yes | yes |
//! | regular files, which are always ready | yes | yes | no | yes |
//! | a wait costs | all watched | all watched | the ready ones | the ready ones |
//!
//! # Threads
//!
//! One thread waits at a time; a second one that tries meanwhile is refused
//! ([`Error::Invalid`]). Any thread may register, modify and unregister, also during a wait, which
//! heeds it at once. When [`Selector::unregister`] or [`Selector::modify`] has returned, no wait
//! that begins later tells of the former registration, and one that is under way tells of it only
//! if it had looked before.
//!
//! # Closed descriptors and duplicates
//!
//! A registration is that of a descriptor's number together with the open file that it stands for
//! (open(2) calls it the open file description). **Unregister before closing.** Without it:
//!
//! - The number that was closed never reports for its former owner again, also when it stands for
//!   another file meanwhile; registering that one is a new registration. Nobody is told that the
//!   old one has ended. Files that have no inode of their own, such as event counters, are only
//!   told apart by `epoll`: to the others they all look the same.
//! - If a duplicate (dup(2), or in a child after fork(2)) keeps the file open, `epoll` goes on to
//!   tell of it under the registration's key until its number is registered anew; the others do
//!   not. What the kernel goes on to tell after that is dropped, and the kernel's list made anew,
//!   whereupon edges may be told once more.
//! - `io-uring` keeps the file open itself, until there would be something to tell of it: the peer
//!   of a connection sees no end before.
//!
//! Two duplicates of one file are two registrations, each told for itself.
//!
//! # After fork(2)
//!
//! A selector and its wakers belong to the process that made them. The child's share the kernel's
//! list with the parent's: let it drop them untouched and make its own.

mod epoll;
mod identity;
pub(crate) mod io_uring;
mod map;
mod patience;
mod poll;
mod scan;
mod select;

use core::fmt;
use core::ops::BitOr;
use core::str::FromStr;
use core::time::Duration;
use std::os::fd::BorrowedFd;

pub use epoll::Epoll;
pub(crate) use epoll::wait_once;
pub use io_uring::IoUring;
pub use map::{SelectorKey, SelectorMap};
pub(crate) use patience::Patience;
pub use poll::Poll;
pub use select::Select;

use crate::error::{Error, Result};
use crate::sys;
use crate::waker::Waker;

/// Events that one [`Selector::wait`] reports at most; the rest comes with the next one.
pub const EVENTS_MAX: usize = sys::event::EVENTS_MAX;

/// The caller's own name for a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub u64);

/// What a registration wants to hear of; joined with `|`. Errors and hang-ups are always told, by
/// `select` as readable (and an error as writable) to those who asked for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest(u8);

impl Interest {
    /// Receiving or accepting would not wait.
    pub const READABLE: Self = Self(1);
    /// Sending would not wait, or connecting has ended.
    pub const WRITABLE: Self = Self(2);
    /// There is urgent data.
    pub const PRIORITY: Self = Self(4);
    /// The peer has ended its sending side. Not with `select`.
    pub const PEER_CLOSED: Self = Self(8);
    /// Of several selectors that watch the same open file, such as a listener, not all are woken
    /// for one event, but at least one. Beside [`Interest::READABLE`] and [`Interest::WRITABLE`]
    /// alone, and not with the one-shot triggers. With `epoll` only (`EPOLLEXCLUSIVE`).
    pub const EXCLUSIVE: Self = Self(16);

    /// True if all of `other` is part of this.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    const fn has(self, part: Self) -> bool {
        self.0 & part.0 != 0
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What is the case with a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Ready(u8);

impl Ready {
    // The kernel's own bits, but for the one that a byte has no room for: see `from_poll`.
    const READABLE: u8 = 1;
    const PRIORITY: u8 = 2;
    const WRITABLE: u8 = 4;
    const ERROR: u8 = 8;
    const HANG_UP: u8 = 16;
    const PEER_CLOSED: u8 = 32;

    /// What the events of poll(2) and epoll(7), which have the same numbers, mean here.
    ///
    /// An error or a hang-up makes a read return at once, and an error a write: select(2) tells
    /// them so, and the contract is the same for all.
    const fn from_poll(events: u32) -> Self {
        // What is told most often needs no translating.
        if events == Self::READABLE as u32 {
            return Self(Self::READABLE);
        }
        let [low, high, ..] = events.to_le_bytes();
        let told = (low & 0x1f) | (high & Self::PEER_CLOSED);
        let is_error = (told >> Self::ERROR.trailing_zeros()) & 1;
        let is_hang_up = (told >> Self::HANG_UP.trailing_zeros()) & 1;
        let read = (is_error | is_hang_up) * Self::READABLE;
        Self(told | read | (is_error * Self::WRITABLE))
    }

    fn when(self, condition: bool, part: u8) -> Self {
        if condition { Self(self.0 | part) } else { self }
    }

    /// Receiving or accepting will not wait: there is something, or the end, or an error.
    ///
    /// # References
    /// poll(2), `POLLIN`.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & Self::READABLE != 0
    }

    /// Sending will not wait: there is room, or an error.
    ///
    /// # References
    /// poll(2), `POLLOUT`.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & Self::WRITABLE != 0
    }

    /// There is urgent data.
    ///
    /// # References
    /// poll(2), `POLLPRI`.
    #[must_use]
    pub const fn is_priority(self) -> bool {
        self.0 & Self::PRIORITY != 0
    }

    /// The peer has ended its sending side.
    ///
    /// # References
    /// poll(2), `POLLRDHUP`.
    #[must_use]
    pub const fn is_peer_closed(self) -> bool {
        self.0 & Self::PEER_CLOSED != 0
    }

    /// Something failed: `SO_ERROR` or the error queue tells what. Not told by `select`.
    ///
    /// # References
    /// poll(2), `POLLERR`.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 & Self::ERROR != 0
    }

    /// Both directions have ended. Not told by `select`.
    ///
    /// # References
    /// poll(2), `POLLHUP`.
    #[must_use]
    pub const fn is_hang_up(self) -> bool {
        self.0 & Self::HANG_UP != 0
    }
}

const _: () = {
    assert!(libc::POLLIN == 1 && libc::POLLPRI == 2 && libc::POLLOUT == 4);
    assert!(libc::POLLERR == 8 && libc::POLLHUP == 16 && libc::POLLRDHUP == 32 << 8);
    assert!(libc::EPOLLIN == 1 && libc::EPOLLPRI == 2 && libc::EPOLLOUT == 4);
    assert!(libc::EPOLLERR == 8 && libc::EPOLLHUP == 16 && libc::EPOLLRDHUP == 32 << 8);
};

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (self.is_readable(), "readable"),
            (self.is_writable(), "writable"),
            (self.is_priority(), "priority"),
            (self.is_peer_closed(), "peer-closed"),
            (self.is_error(), "error"),
            (self.is_hang_up(), "hang-up"),
        ];
        let mut set = f.debug_set();
        for (is, name) in names {
            if is {
                set.entry(&format_args!("{name}"));
            }
        }
        set.finish()
    }
}

/// One report of a selector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Whose.
    pub key: Key,
    /// What.
    pub ready: Ready,
}

/// When readiness is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// As long as it lasts.
    Level,
    /// When it begins, and when more arrives: drain until the call would wait. Not with `select`
    /// and `poll`.
    Edge,
    /// Once, as soon as it is the case; then the registration sleeps until it is modified.
    OneShot,
    /// Both of these. Not with `select` and `poll`.
    EdgeOneShot,
}

impl Trigger {
    /// True for those that sleep after they were told.
    #[must_use]
    pub const fn is_one_shot(self) -> bool {
        matches!(self, Self::OneShot | Self::EdgeOneShot)
    }

    /// True for those that tell a beginning.
    #[must_use]
    pub const fn is_edge(self) -> bool {
        matches!(self, Self::Edge | Self::EdgeOneShot)
    }
}

/// Tells which of many registered descriptors are ready.
///
/// All calls take a shared reference: other threads may register while one waits. The [module's
/// documentation](self) says what holds for threads, for descriptors that are closed, for their
/// duplicates, and after fork(2).
pub trait Selector: fmt::Debug + Send + Sync {
    /// Starts watching a descriptor. A wait that is under way heeds it.
    ///
    /// # Errors
    /// `EEXIST` if it is watched already; `EPERM` from epoll for a regular file, which is always
    /// ready; `EBADF` for a closed [`crate::Socket`]; [`Error::Unsupported`] for an interest, a
    /// trigger or a descriptor that the back end cannot watch.
    fn register(
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()>;

    /// Changes key, interest and trigger of a watched descriptor, and wakes a one-shot one. What
    /// is the case is told anew, also to the edge triggers.
    ///
    /// # Errors
    /// `ENOENT` if it is not watched; else as [`Selector::register`].
    fn modify(
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()>;

    /// Stops watching a descriptor.
    ///
    /// # Errors
    /// `ENOENT` if it is not watched.
    fn unregister(&self, fd: BorrowedFd<'_>) -> Result<()>;

    /// Replaces `events` by what is ready now, at most [`EVENTS_MAX`] of it, waiting at most
    /// `limit` (`None`: without end; zero: not at all) for the first one. No events means that the
    /// limit has passed, never before its time; signals do not end the wait, nor lengthen it. Use
    /// the same list again and again: its memory is kept.
    ///
    /// # Errors
    /// [`Error::Invalid`] while another thread waits in the same selector.
    fn wait(&self, events: &mut Vec<Event>, limit: Option<Duration>) -> Result<()>;

    /// Makes a waker of this selector: when it is raised in any thread, a wait tells of `key` as
    /// readable, once for all the times that it was raised before. It need not be lowered.
    ///
    /// It lives as long as the selector, or until it is unregistered.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE` when descriptors have run out; else as [`Selector::register`].
    fn waker(&self, key: Key) -> Result<Waker>;

    /// Which back end this is.
    fn backend(&self) -> Backend;

    /// The descriptor that the kernel keeps the list behind, where there is one: it is readable
    /// when something is ready, so that one selector can be watched by another.
    #[doc(alias = "fileno")]
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Refuses what a back end that scans cannot do: it has no memory of what it told before, and
/// no wake-up of its own.
fn check_scanning(interest: Interest, trigger: Trigger, backend: Backend) -> Result<()> {
    if trigger.is_edge() {
        return Err(Error::Unsupported(format!(
            "{backend} has no edge trigger: choose epoll"
        )));
    }
    if interest.has(Interest::EXCLUSIVE) {
        return Err(Error::Unsupported(format!(
            "{backend} has no exclusive wake-up: choose epoll"
        )));
    }
    Ok(())
}

/// The error of a wait that another thread is in already.
fn busy() -> Error {
    Error::Invalid("another thread waits in this selector already".into())
}

/// The ways to wait for many descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// select(2): everywhere, but looks at each descriptor each time, and none above 1,023.
    Select,
    /// poll(2): no limit of numbers, but still looks at each descriptor each time.
    Poll,
    /// epoll(7): the kernel keeps the list, and a wait costs what is ready.
    Epoll,
    /// io_uring(7).
    IoUring,
}

impl Backend {
    /// The best one: [`Backend::Epoll`], which is in every Linux.
    ///
    /// As selectors, measured over the same work (Linux 6.18), `select` and `poll` pay for all that
    /// is watched, and `io-uring` takes 1.2 times the processor time of `epoll` for an event while
    /// few descriptors are ready, and 1.2 to 1.8 times while all are: it makes an operation and a
    /// completion of what `epoll` finds in its list.
    ///
    /// A ring that completes operations ([`crate::uring`]) is another matter. An echo server on it
    /// served, for the same processor time, 1.02 to 1.07 times as much as on `epoll` at 100 and
    /// 1,000 busy connections and 1.06 to 1.09 times at 10,000, as much with one connection, and
    /// 0.97 times where each of 1,000 brings 64 KiB at once. That is worth choosing where thousands
    /// are busy. It is not the default, because it takes a megabyte of buffers for each thread, and
    /// is forbidden in many containers.
    pub const BEST: Self = Self::Epoll;

    /// All of them.
    pub const ALL: [Self; 4] = [Self::Select, Self::Poll, Self::Epoll, Self::IoUring];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Poll => "poll",
            Self::Epoll => "epoll",
            Self::IoUring => "io-uring",
        }
    }

    /// Makes a selector of this kind.
    ///
    /// # Errors
    /// `EMFILE` when descriptors have run out; [`Error::Unsupported`] for `io-uring` where the
    /// kernel is older than Linux 6.1, or forbids it.
    pub fn open(self) -> Result<Box<dyn Selector>> {
        match self {
            Self::Select => Ok(Box::new(Select::new()?)),
            Self::Poll => Ok(Box::new(Poll::new()?)),
            Self::Epoll => Ok(Box::new(Epoll::new()?)),
            Self::IoUring => Ok(Box::new(IoUring::new()?)),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|backend| backend.name() == name)
            .ok_or_else(|| {
                Error::Invalid(format!(
                    "there is no multiplexer {name:?}, only select, poll, epoll and io-uring"
                ))
            })
    }
}
