//! The calls of a sender, with a hook around the kernel's and a deadline.

use core::fmt;
use std::io::IoSlice;
use std::os::fd::AsFd;

use super::{Completion, Pending, ZeroCopyBuffer, ZeroCopySender};
use crate::addr::{Addr, AddrBuf};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::hook::{Hook, Hooked};
use crate::kinds::{Kind, MsgFlags};
use crate::socket::meant_for;
use crate::sys;
use crate::wait::{Deadline, Patience, Until};

/// A [`ZeroCopySender`] whose calls go through a [`Hook`], and that may have one deadline for
/// several calls; made by [`ZeroCopySender::with_hook`] and [`ZeroCopySender::until`]. The calls
/// are those of the sender, and are described there.
///
/// # References
/// The kernel's Documentation/networking/msg_zerocopy.rst; signal(7).
pub struct HookedSender<'a, B: ZeroCopyBuffer, H> {
    sender: &'a mut ZeroCopySender<B>,
    hook: &'a H,
    deadline: Option<Deadline>,
}

impl<B: ZeroCopyBuffer, H> fmt::Debug for HookedSender<'_, B, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookedSender")
            .field("sender", self.sender)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl<'a, B: ZeroCopyBuffer, H: Hook> HookedSender<'a, B, H> {
    pub(super) const fn new(sender: &'a mut ZeroCopySender<B>, hook: &'a H) -> Self {
        Self {
            sender,
            hook,
            deadline: None,
        }
    }

    /// The same with one moment by which every call has to be done: see [`ZeroCopySender::until`].
    #[must_use]
    pub const fn until(self, deadline: Deadline) -> Self {
        Self {
            deadline: Some(deadline),
            ..self
        }
    }

    /// [`ZeroCopySender::send_all`].
    ///
    /// # Errors
    /// As there.
    pub fn send_all(&mut self, buffer: B) -> Result<()> {
        self.send_buffer(buffer, None)
    }

    /// [`ZeroCopySender::send_to`].
    ///
    /// # Errors
    /// As there.
    pub fn send_to(&mut self, buffer: B, addr: &Addr) -> Result<()> {
        let raw = AddrBuf::encode(addr);
        self.send_buffer(buffer, Some(&raw))
            .map_err(|error| meant_for(&raw, error))
    }

    fn send_buffer(&mut self, buffer: B, addr: Option<&AddrBuf>) -> Result<()> {
        // One moment for the whole of it.
        let patience = self.call().patience(MsgFlags::NONE);
        let deadline = match patience {
            Patience::Until(deadline) => Some(deadline),
            Patience::Kernel | Patience::None => None,
        };
        let first = self.sender.next;
        let mut sent = 0;
        let result = loop {
            let rest = buffer.bytes().get(sent..).unwrap_or_default();
            match self.step(rest, addr, deadline) {
                Ok(len) => sent += len,
                Err(cause) => break Err(cause),
            }
            if sent >= buffer.bytes().len() || self.sender.socket.kind() != Kind::STREAM {
                break Ok(());
            }
            if patience.has_ended() {
                break Err(Error::TimedOut { call: "sendmsg" });
            }
        };
        let sends = self.sender.next.wrapping_sub(first);
        if result.is_ok() || sends > 0 {
            self.sender.held.0.push_back(Pending {
                first,
                sends,
                open: sends,
                is_copied: sends == 0,
                buffer,
            });
        }
        result.map_err(|cause| match sent {
            0 => cause,
            _ => Error::Partial {
                sent,
                cause: Box::new(cause),
            },
        })
    }

    /// One system call that succeeds.
    fn step(
        &mut self,
        rest: &[u8],
        addr: Option<&AddrBuf>,
        deadline: Option<Deadline>,
    ) -> Result<usize> {
        let call = Hooked {
            deadline,
            ..self.call()
        };
        let (fd, pieces) = (call.socket.as_fd(), [IoSlice::new(rest)]);
        let send = |more| {
            call.run(Until::Writable, "sendmsg", MsgFlags::NONE, |flags| {
                sys::msg::sendmsg(fd, &pieces, addr, &[], flags | more)
            })
        };
        match send(libc::MSG_ZEROCOPY) {
            Ok(len) => {
                // Only sends that carried something get a number.
                self.sender.next = self.sender.next.wrapping_add(u32::from(len > 0));
                Ok(len)
            }
            Err(Error::Os {
                errno: Errno::ENOBUFS,
                ..
            }) => send(0),
            Err(error) => Err(error),
        }
    }

    /// [`ZeroCopySender::take_completed`].
    ///
    /// # Errors
    /// As there.
    pub fn take_completed(&mut self) -> Result<Option<Completion<B>>> {
        loop {
            if let Some(done) = self.sender.done() {
                return Ok(Some(done));
            }
            match self.call().recv_error(&mut [])? {
                None => return Ok(None),
                Some(queued) => self.sender.note(queued),
            }
        }
    }

    /// [`ZeroCopySender::wait_completed`], until the deadline; without one it waits as long as it
    /// takes, whatever the socket's mode.
    ///
    /// # Errors
    /// As there.
    pub fn wait_completed(&mut self) -> Result<Option<Completion<B>>> {
        let deadline = self.deadline.unwrap_or(Deadline::NEVER);
        while self.sender.pending() > 0 {
            if let Some(done) = self.sender.done() {
                return Ok(Some(done));
            }
            let call = self.call().until(deadline);
            let queued = call.queued_error(&mut [], MsgFlags::NONE)?;
            self.sender.note(queued);
        }
        Ok(None)
    }

    /// [`ZeroCopySender::finish`], as [`HookedSender::wait_completed`] waits.
    ///
    /// # Errors
    /// As there.
    pub fn finish(&mut self) -> Result<()> {
        while self.wait_completed()?.is_some() {}
        Ok(())
    }

    const fn call(&self) -> Hooked<'_, H> {
        Hooked {
            socket: &self.sender.socket,
            hook: self.hook,
            deadline: self.deadline,
        }
    }
}
