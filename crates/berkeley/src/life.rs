//! How a socket ends, and how it gets into other hands: close, abort, duplicate, inherit, detach.

use std::os::fd::{AsFd, OwnedFd};

use crate::error::{Error, Result};
use crate::kinds::Shutdown;
use crate::lease;
use crate::socket::Socket;
use crate::sys;

/// Closes a descriptor of any kind, and tells how that went, which dropping it does not.
///
/// It is closed whatever the answer is: never close it again.
///
/// # Errors
/// `EBADF` if somebody else has closed the number already; `EIO`, `ENOSPC`, `EDQUOT` from files;
/// `EINTR` where a socket lingers (`SO_LINGER`) and a signal came.
///
/// # References
/// close(2), "Dealing with error returns from close()".
pub fn close(fd: OwnedFd) -> Result<()> {
    sys::life::close(fd).map_err(|errno| Error::os("close", errno))
}

impl Socket {
    /// Closes the socket, safely also while other threads use it. Closing it again does nothing.
    ///
    /// Calls that come later fail with [`Error::Closed`], and so do those that wait in a time
    /// limit. A call of a **blocking** socket that waits inside the kernel goes on, and keeps the
    /// connection open until it returns: [`Socket::abort`] ends those too.
    ///
    /// The peer sees the end of the connection when the last duplicate and the last call are gone.
    /// The descriptor's number stays taken until this value is dropped, so that a call in another
    /// thread can never meet somebody else's file under it; whoever owns the socket alone need not
    /// call this, but can just drop it. Closing works when descriptors have run out, too.
    ///
    /// # Errors
    /// In practice none; on Linux closing a socket does not fail. [`Error::Invalid`] through a
    /// [`crate::SocketRef`].
    ///
    /// # References
    /// close(2), dup3(2).
    pub fn close(&self) -> Result<()> {
        if self.state.is_borrowed() {
            return Err(Error::Invalid(
                "a borrowed socket is for its owner to close".into(),
            ));
        }
        if self.state.close() {
            return Ok(());
        }
        lease::close(self.fd.as_fd()).map_err(|errno| {
            self.state.reopen();
            Error::os("close", errno)
        })
    }

    /// Ends the connection for all its holders, and closes the socket: calls that wait for it,
    /// also inside the kernel, end with [`Error::Closed`].
    ///
    /// Unlike [`Socket::close`] this shuts the connection itself down: duplicates of the socket,
    /// also those in other processes, see its end. Not woken is a blocking Unix socket that waits
    /// in `connect` for a place in a full queue, or with a datagram for a receiver that is full.
    ///
    /// # Errors
    /// As [`Socket::close`].
    ///
    /// # References
    /// shutdown(2), close(2).
    pub fn abort(&self) -> Result<()> {
        if self.is_closed() || self.state.is_borrowed() {
            return self.close();
        }
        // The number is made inert first, so that who is woken knows why; without a descriptor to
        // keep the socket by, it is shut down first, and who is woken in between sees that.
        match sys::life::duplicate(self.as_fd(), false) {
            // What has no connection (any more) needs no shutting down.
            Ok(kept) => {
                let closed = self.close();
                let _answer = sys::socket::shutdown(kept.as_fd(), Shutdown::BOTH.raw());
                closed
            }
            Err(_) => {
                let _answer = sys::socket::shutdown(self.as_fd(), Shutdown::BOTH.raw());
                self.close()
            }
        }
    }

    /// True after [`Socket::close`] or [`Socket::abort`].
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state.is_closed()
    }

    /// The end of a stream, or that of the socket: an aborted one reads as ended.
    #[cold]
    pub(crate) fn ended(&self, call: &'static str) -> Result<()> {
        if self.is_closed() {
            return Err(Error::Closed { call });
        }
        Ok(())
    }

    /// Gives the descriptor away without closing it.
    #[doc(alias = "into_raw_fd")]
    #[must_use = "dropping the descriptor closes it"]
    pub fn detach(self) -> OwnedFd {
        self.into()
    }

    /// A second handle to the same socket. It begins with this one's mode; whether calls block is
    /// a property that both share in the kernel, so do not give them different modes later.
    ///
    /// # Errors
    /// `EMFILE` when descriptors have run out; [`Error::Closed`].
    ///
    /// # References
    /// fcntl(2), `F_DUPFD_CLOEXEC`.
    #[doc(alias = "dup")]
    pub fn try_clone(&self) -> Result<Self> {
        self.duplicate(false, "fcntl F_DUPFD_CLOEXEC")
    }

    /// The same, for programs that this one starts to inherit.
    ///
    /// # Errors
    /// As [`Socket::try_clone`].
    ///
    /// # References
    /// fcntl(2), `F_DUPFD`.
    #[doc(alias = "dup")]
    pub fn try_clone_inheritable(&self) -> Result<Self> {
        self.duplicate(true, "fcntl F_DUPFD")
    }

    fn duplicate(&self, inheritable: bool, call: &'static str) -> Result<Self> {
        let fd = sys::life::duplicate(self.as_fd(), inheritable)
            .map_err(|errno| Error::os(call, errno))?;
        // The duplicate of a closed socket is as inert as that.
        if self.is_closed() {
            return Err(Error::Closed { call });
        }
        Ok(Self::from_parts(
            fd,
            self.mode(),
            self.family(),
            self.kind(),
            self.protocol(),
        ))
    }

    /// Whether programs that this one starts get the descriptor too; new sockets are not
    /// inheritable.
    ///
    /// # Errors
    /// None that an open socket meets.
    ///
    /// # References
    /// fcntl(2), `FD_CLOEXEC`.
    #[doc(alias = "FD_CLOEXEC")]
    pub fn is_inheritable(&self) -> Result<bool> {
        sys::life::is_inheritable(self.as_fd())
            .map_err(|errno| Error::os("fcntl F_GETFD", errno))
            .and_then(|is| self.unless_closed(is, "fcntl F_GETFD"))
    }

    /// Chooses whether programs that this one starts get the descriptor.
    ///
    /// # Errors
    /// None that an open socket meets.
    ///
    /// # References
    /// fcntl(2), `FD_CLOEXEC`.
    #[doc(alias = "FD_CLOEXEC")]
    pub fn set_inheritable(&self, inheritable: bool) -> Result<()> {
        self.unless_closed((), "fcntl F_SETFD")?;
        sys::life::set_inheritable(self.as_fd(), inheritable)
            .map_err(|errno| Error::os("fcntl F_SETFD", errno))
    }

    /// Bytes that can be received at once; on datagram sockets, the length of the next message
    /// (zero also for none).
    ///
    /// # Errors
    /// `EINVAL` on a socket that listens.
    ///
    /// # References
    /// ioctl(2), tcp(7), udp(7): `FIONREAD`, which is `SIOCINQ`.
    #[doc(alias("FIONREAD", "SIOCINQ"))]
    pub fn unread(&self) -> Result<usize> {
        sys::life::unread(self.as_fd()).map_err(|errno| self.failure("ioctl FIONREAD", errno))
    }

    /// True when all data before the urgent mark has been read: the next byte comes after it.
    ///
    /// # Errors
    /// `ENOTTY` for sockets without urgent data.
    ///
    /// # References
    /// sockatmark(3), tcp(7): `SIOCATMARK`.
    #[doc(alias("sockatmark", "SIOCATMARK"))]
    pub fn is_at_mark(&self) -> Result<bool> {
        sys::life::at_mark(self.as_fd()).map_err(|errno| self.failure("ioctl SIOCATMARK", errno))
    }

    fn unless_closed<T>(&self, value: T, call: &'static str) -> Result<T> {
        if self.is_closed() {
            return Err(Error::Closed { call });
        }
        Ok(value)
    }
}
