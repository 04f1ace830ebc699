//! Sending all of something, over as many calls as it takes.

use crate::error::{Error, Result};
use crate::hook::{Hook, Hooked};
use crate::kinds::MsgFlags;
use crate::socket::Socket;
use crate::wait::{Deadline, Patience};

impl Socket {
    /// Sends all of `data`. The socket's time limit bounds the whole of it, even while the peer
    /// takes some of it now and then.
    ///
    /// # Errors
    /// As [`Socket::send`]; [`Error::Partial`] says how much went out when some did.
    ///
    /// # References
    /// send(2).
    pub fn send_all(&self, data: &[u8]) -> Result<()> {
        self.plain().send_all(data)
    }

    /// The same with flags for each call: with [`MsgFlags::DONTWAIT`] what would have to wait is an
    /// error.
    ///
    /// # Errors
    /// As [`Socket::send_all`].
    ///
    /// # References
    /// send(2).
    #[doc(alias = "sendall")]
    pub fn send_all_with(&self, data: &[u8], flags: MsgFlags) -> Result<()> {
        self.plain().send_all_with(data, flags)
    }

    /// The same with a moment by which all has to be sent, whatever the socket's mode.
    ///
    /// # Errors
    /// As [`Socket::send_all`].
    ///
    /// # References
    /// send(2), poll(2).
    pub fn send_all_until(&self, data: &[u8], deadline: Deadline) -> Result<()> {
        self.until(deadline).send_all(data)
    }
}

/// The calls of [`Socket`] of the same names.
impl<H: Hook> Hooked<'_, H> {
    /// [`Socket::send_all`].
    ///
    /// # Errors
    /// As there.
    pub fn send_all(&self, data: &[u8]) -> Result<()> {
        self.send_all_with(data, MsgFlags::NONE)
    }

    /// [`Socket::send_all_with`].
    ///
    /// A signal that comes when something has gone out already cuts a send short instead of
    /// failing it: so the hook hears of each ([`Hook::interrupted`]).
    ///
    /// # Errors
    /// As there.
    pub fn send_all_with(&self, data: &[u8], flags: MsgFlags) -> Result<()> {
        // One moment for the whole of it; a blocking socket's calls stay with the kernel.
        let patience = self.patience(flags);
        let call = match patience {
            Patience::Until(deadline) => self.until(deadline),
            Patience::Kernel | Patience::None => *self,
        };
        let mut sent = 0;
        loop {
            let rest = data.get(sent..).unwrap_or_default();
            let failed = match call.send(rest, flags) {
                Ok(len) => {
                    sent += len;
                    if sent >= data.len() {
                        return Ok(());
                    }
                    match self.hook.interrupted() {
                        Ok(()) if !patience.has_ended() => continue,
                        Ok(()) => Error::TimedOut { call: "send" },
                        Err(ended) => ended,
                    }
                }
                Err(cause) if sent == 0 => return Err(cause),
                Err(cause) => cause,
            };
            return Err(Error::Partial {
                sent,
                cause: Box::new(failed),
            });
        }
    }
}
