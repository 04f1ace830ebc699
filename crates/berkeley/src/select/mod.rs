//! The kernel's calls that tell which descriptors are ready, bare, as Python's `select` module has
//! them: [`select()`], [`Poll`] and [`Epoll`] with flags of their own.
//!
//! Nothing is hidden here and nothing is alike: what a call cannot do the kernel says, and what it
//! tells of a descriptor that was closed too early is for the caller to see. The one
//! contract over all of them is [`crate::selector`].
//!
//! A signal ends no wait: it goes on with the time that is left. Limits are in nanoseconds, `None`
//! is none, and zero is a look without waiting.
//!
//! ```
//! use berkeley::select::{Epoll, EpollFlags, FdSet, Poll, PollFlags, select};
//! use berkeley::{Family, Kind, Socket};
//!
//! # fn main() -> Result<(), berkeley::Error> {
//! let (a, b) = Socket::pair(Family::UNIX, Kind::STREAM)?;
//! a.send_all(b"x")?;
//!
//! let mut read = FdSet::new();
//! read.insert(&b)?;
//! select(&mut read, &mut FdSet::new(), &mut FdSet::new(), None)?;
//! assert!(read.contains(&b));
//!
//! let mut poll = Poll::new();
//! poll.register(&b, PollFlags::IN);
//! assert!(poll.poll(None)?.all(|event| event.flags == PollFlags::IN));
//!
//! let epoll = Epoll::new()?;
//! epoll.register(&b, EpollFlags::IN | EpollFlags::ET, 7)?;
//! let mut events = Vec::new();
//! epoll.poll(&mut events, 10, None)?;
//! assert_eq!(events[0].data, 7);
//! # Ok(())
//! # }
//! ```

mod epoll;
mod poll;
mod set;

pub use epoll::{Epoll, EpollEvent, EpollFlags};
pub use poll::{Poll, PollEvent, PollFlags};
pub use set::{FD_SETSIZE, FdSet, select, select_with};

/// Bytes that a write to a pipe puts there in one piece, pipe(7).
pub const PIPE_BUF: usize = libc::PIPE_BUF;
