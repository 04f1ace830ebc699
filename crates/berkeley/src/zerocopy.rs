//! Sending without copying (`MSG_ZEROCOPY`): the kernel reads the caller's memory, until it says
//! that it no longer does.

use core::fmt;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::addr::Addr;
use crate::control::ZeroCopyRange;
use crate::error::{Error, Result};
use crate::hook::Hook;
use crate::kinds::Level;
use crate::msg::QueuedError;
use crate::socket::Socket;
use crate::wait::Deadline;

mod hooked;

pub use hooked::HookedSender;

mod sealed {
    /// Bytes that stay where they are, and what they are, while their owner is kept unused.
    #[expect(unnameable_types, reason = "nobody else may promise this")]
    pub trait Stable {
        fn bytes(&self) -> &[u8];
    }
}

use sealed::Stable;

/// Memory that can be given away until the kernel has sent it: it does not move with its owner,
/// and nobody can write to it. Implemented for `Vec<u8>`, `Box<[u8]>`, `Arc<[u8]>`,
/// `Arc<Vec<u8>>` and `&'static [u8]`.
///
/// # References
/// The kernel's Documentation/networking/msg_zerocopy.rst.
pub trait ZeroCopyBuffer: Stable {}

macro_rules! stable {
    ($($type:ty)*) => {
        $(
            impl Stable for $type {
                fn bytes(&self) -> &[u8] {
                    self
                }
            }

            impl ZeroCopyBuffer for $type {}
        )*
    };
}

stable! { Vec<u8> Box<[u8]> Arc<[u8]> Arc<Vec<u8>> &'static [u8] }

/// Entries about other things that are kept until somebody asks.
const OTHERS_MAX: usize = 64;

/// A buffer that the kernel has let go of.
///
/// # References
/// The kernel's Documentation/networking/msg_zerocopy.rst.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion<B> {
    /// The buffer.
    pub buffer: B,
    /// True if the kernel copied the data after all, or some of them, as it does over loopback.
    pub is_copied: bool,
}

/// A buffer that the kernel may still read, with the numbers of the sends that it went out by.
struct Pending<B> {
    first: u32,
    sends: u32,
    open: u32,
    is_copied: bool,
    buffer: B,
}

impl<B> Pending<B> {
    fn complete(&mut self, range: ZeroCopyRange) {
        // The numbers wrap, so they are compared by their distance.
        let low = range.first.wrapping_sub(self.first).cast_signed();
        let high = range.last.wrapping_sub(self.first).cast_signed();
        let last = i64::from(self.sends) - 1;
        let count = i64::from(high).min(last) - i64::from(low).max(0) + 1;
        if let Ok(count @ 1..) = u32::try_from(count) {
            self.open = self.open.saturating_sub(count);
            self.is_copied |= range.copied;
        }
    }
}

/// The buffers that are out. Dropping it leaks them: memory that the kernel may still send from
/// must never serve for something else.
struct Held<B>(VecDeque<Pending<B>>);

impl<B> Drop for Held<B> {
    fn drop(&mut self) {
        for pending in self.0.drain(..) {
            if pending.open > 0 {
                Box::leak(Box::new(pending.buffer));
            }
        }
    }
}

/// A socket that sends without copying, and that keeps the buffers until the kernel has let go of
/// them.
///
/// This pays from some ten thousand bytes on. Over loopback the kernel copies all the same, which
/// [`Completion::is_copied`] tells.
///
/// Dropping this while buffers are out leaks their memory, for the kernel may still read it:
/// call [`ZeroCopySender::finish`] before.
///
/// ```
/// use berkeley::{Deadline, Family, Kind, Protocol, Socket, ZeroCopySender};
/// use std::{sync::Arc, time::Duration};
///
/// # fn main() -> Result<(), berkeley::Error> {
/// # let server = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT)?;
/// # server.bind("127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap())?;
/// # server.listen(1)?;
/// # let client = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT)?;
/// # client.connect(&server.local_addr()?)?;
/// let mut sender = ZeroCopySender::new(client)?;
/// let page: Arc<[u8]> = vec![7; 50_000].into();
/// sender.send_all(page.clone())?;
/// let done = sender.wait_completed(Deadline::within(Duration::from_secs(10)))?.unwrap();
/// assert_eq!(done.buffer, page);
/// # Ok(())
/// # }
/// ```
///
/// # References
/// The kernel's `Documentation/networking/msg_zerocopy.rst`; send(2), `MSG_ZEROCOPY`.
#[doc(alias = "MSG_ZEROCOPY")]
#[doc(alias = "SO_ZEROCOPY")]
pub struct ZeroCopySender<B: ZeroCopyBuffer> {
    socket: Socket,
    /// The number that the kernel gives to the next send.
    next: u32,
    held: Held<B>,
    others: VecDeque<QueuedError>,
}

impl<B: ZeroCopyBuffer> fmt::Debug for ZeroCopySender<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZeroCopySender")
            .field("socket", &self.socket)
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}

impl<B: ZeroCopyBuffer> ZeroCopySender<B> {
    /// Turns the option on (`SO_ZEROCOPY`). The socket must not have sent without copying before:
    /// the kernel numbers the sends of a socket, all together.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the option is on already; `EOPNOTSUPP` (`ENOTSUPP`, 524) or
    /// `ENOPROTOOPT` for a family or protocol without it.
    pub fn new(socket: Socket) -> Result<Self> {
        let mut is_on = [0; 4];
        socket.get_raw(Level::SOCKET, libc::SO_ZEROCOPY, &mut is_on)?;
        if is_on != [0; 4] {
            return Err(Error::Invalid(
                "SO_ZEROCOPY is on: completions of this socket are counted elsewhere".into(),
            ));
        }
        socket.set_raw(Level::SOCKET, libc::SO_ZEROCOPY, &1i32.to_ne_bytes())?;
        Ok(Self {
            socket,
            next: 0,
            held: Held(VecDeque::new()),
            others: VecDeque::new(),
        })
    }

    /// The socket, for everything else.
    #[must_use]
    pub const fn socket(&self) -> &Socket {
        &self.socket
    }

    /// How many buffers are not back yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.held.0.len()
    }

    /// The same with a hook around each system call that may wait.
    #[must_use]
    pub const fn with_hook<'a, H: Hook>(&'a mut self, hook: &'a H) -> HookedSender<'a, B, H> {
        HookedSender::new(self, hook)
    }

    /// The same with one moment by which every call made with the result has to be done, whatever
    /// the socket's own mode.
    #[must_use]
    pub const fn until(&mut self, deadline: Deadline) -> HookedSender<'_, B, ()> {
        self.with_hook(&()).until(deadline)
    }

    /// Sends a buffer to the connected peer: all of it on a stream, as one datagram otherwise.
    /// The buffer comes back by [`ZeroCopySender::take_completed`]. When the kernel has no room
    /// to keep account of another one (`ENOBUFS`), its bytes are copied.
    ///
    /// # Errors
    /// As [`Socket::send_all`]. What went out of the buffer comes back all the same; if nothing
    /// did, it is dropped.
    ///
    /// # References
    /// sendmsg(2), `MSG_ZEROCOPY`.
    pub fn send_all(&mut self, buffer: B) -> Result<()> {
        self.with_hook(&()).send_all(buffer)
    }

    /// Sends a buffer as one datagram to an address.
    ///
    /// # Errors
    /// As [`Socket::send_to`].
    ///
    /// # References
    /// sendmsg(2), `MSG_ZEROCOPY`.
    pub fn send_to(&mut self, buffer: B, addr: &Addr) -> Result<()> {
        self.with_hook(&()).send_to(buffer, addr)
    }

    /// A buffer that is back, without waiting; `None` if there is none now.
    ///
    /// # Errors
    /// Those of [`Socket::recv_error`].
    pub fn take_completed(&mut self) -> Result<Option<Completion<B>>> {
        self.with_hook(&()).take_completed()
    }

    /// Waits for a buffer to come back; `None` if none is out.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when the moment has come; else as
    /// [`ZeroCopySender::take_completed`].
    pub fn wait_completed(&mut self, deadline: Deadline) -> Result<Option<Completion<B>>> {
        self.until(deadline).wait_completed()
    }

    /// Waits until all buffers are back, and drops them.
    ///
    /// # Errors
    /// As [`ZeroCopySender::wait_completed`].
    pub fn finish(&mut self, deadline: Deadline) -> Result<()> {
        self.until(deadline).finish()
    }

    /// Entries of the error queue that were about something else, oldest first. 64 are kept.
    pub fn take_others(&mut self) -> impl Iterator<Item = QueuedError> {
        self.others.drain(..)
    }

    /// The socket back. Buffers that are still out are leaked.
    #[must_use]
    pub fn into_socket(self) -> Socket {
        self.socket
    }

    /// A buffer that no send reads any more.
    fn done(&mut self) -> Option<Completion<B>> {
        let held = &mut self.held.0;
        let done = held.iter().position(|pending| pending.open == 0)?;
        held.remove(done).map(|pending| Completion {
            buffer: pending.buffer,
            is_copied: pending.is_copied,
        })
    }

    fn note(&mut self, queued: QueuedError) {
        match queued.error.as_ref().and_then(|error| error.zero_copy()) {
            Some(range) => {
                for pending in &mut self.held.0 {
                    pending.complete(range);
                }
            }
            None => {
                if self.others.len() == OTHERS_MAX {
                    self.others.pop_front();
                }
                self.others.push_back(queued);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(first: u32, sends: u32) -> Pending<Vec<u8>> {
        Pending {
            first,
            sends,
            open: sends,
            is_copied: false,
            buffer: Vec::new(),
        }
    }

    fn open_after(pending: &mut Pending<Vec<u8>>, first: u32, last: u32) -> u32 {
        pending.complete(ZeroCopyRange {
            first,
            last,
            copied: false,
        });
        pending.open
    }

    #[test]
    fn a_range_completes_what_it_covers() {
        let mut three = pending(5, 3);
        assert_eq!(open_after(&mut three, 0, 4), 3);
        assert_eq!(open_after(&mut three, 8, 100), 3);
        assert_eq!(open_after(&mut three, 3, 5), 2);
        assert_eq!(open_after(&mut three, 6, 6), 1);
        assert_eq!(open_after(&mut three, 7, 9), 0);
        assert_eq!(open_after(&mut three, 5, 7), 0, "never below");
    }

    #[test]
    fn numbers_wrap() {
        let mut two = pending(u32::MAX, 2);
        assert_eq!(open_after(&mut two, u32::MAX, u32::MAX), 1);
        assert_eq!(open_after(&mut two, 0, 0), 0);
        assert_eq!(open_after(&mut pending(0, 1), u32::MAX, 0), 0);
        assert_eq!(open_after(&mut pending(4, 1), 9, 3), 1, "no range at all");
    }

    #[test]
    fn no_sends_are_never_completed() {
        assert_eq!(open_after(&mut pending(4, 0), 4, 4), 0);
    }
}
