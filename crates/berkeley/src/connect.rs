//! Connecting, and undoing it.

use core::time::Duration;
use std::os::fd::AsFd;

use crate::addr::{self, AddrBuf, ToAddr};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::hook::{Hook, Hooked};
use crate::kinds::{Family, MsgFlags};
use crate::lease::failure;
use crate::opt;
use crate::socket::{Socket, about};
use crate::sys;
use crate::wait::{Deadline, Mode, Patience, Until, wait_ready};

/// Bytes of the address that dissolves an association: a whole `struct sockaddr`.
const SOCKADDR_BYTES: usize = size_of::<libc::sockaddr>();

/// How long a limited connect of a Unix socket waits at a full queue before it looks whether the
/// socket was closed.
const UNIX_STEP: Duration = Duration::from_millis(50);

impl Socket {
    /// Connects to a peer; for datagrams, chooses whom `send` means.
    ///
    /// After a failure the socket is spent: make a new one for the next try.
    ///
    /// # Errors
    /// `ECONNREFUSED`: nobody listens there. `ENETUNREACH`, `EHOSTUNREACH`, `ETIMEDOUT` (the
    /// network's answer) or [`Error::TimedOut`] (the caller's limit). On a non-blocking socket
    /// `EINPROGRESS`: when it becomes writable, [`Socket::take_error`] tells how it went; a
    /// non-blocking Unix socket answers `EAGAIN` when the listener's queue is full, and is not
    /// queued. `EINPROGRESS` from a blocking socket is the end of its [`opt::SendTimeout`].
    ///
    /// # References
    /// connect(2).
    pub fn connect(&self, addr: impl ToAddr) -> Result<()> {
        self.plain().connect(addr)
    }

    /// The same with a moment by which it has to be done, whatever the socket's mode.
    ///
    /// # Errors
    /// As [`Socket::connect`]; [`Error::TimedOut`] at the deadline.
    ///
    /// # References
    /// connect(2), poll(2).
    pub fn connect_until(&self, addr: impl ToAddr, deadline: Deadline) -> Result<()> {
        self.until(deadline).connect(addr)
    }

    /// Connects like [`Socket::connect`], but answers the kernel's number instead of an error:
    /// `None` for success, `EAGAIN` for the end of the time limit (as Python's `connect_ex`).
    ///
    /// # Errors
    /// What is no answer of the kernel about the connection.
    #[doc(alias = "connect")]
    pub fn connect_ex(&self, addr: impl ToAddr) -> Result<Option<Errno>> {
        self.plain().connect_ex(addr)
    }

    /// Undoes a `connect`: a datagram socket hears everybody again, a TCP socket breaks its
    /// connection (the peer sees a reset) and can be connected anew. A port that the kernel chose
    /// goes with the association; one that was asked for by its number in `bind` stays.
    ///
    /// # Errors
    /// `EAFNOSUPPORT`, `EINVAL` for families that have no such thing, such as Unix streams.
    ///
    /// # References
    /// connect(2), `AF_UNSPEC`.
    #[doc(alias = "AF_UNSPEC")]
    pub fn disconnect(&self) -> Result<()> {
        let mut nobody = AddrBuf::new();
        nobody.begin(Family::UNSPEC, SOCKADDR_BYTES);
        sys::socket::connect(self.as_fd(), &nobody)
            .map_err(|errno| failure(self.as_fd(), "connect AF_UNSPEC", errno))
    }
}

impl<H: Hook> Hooked<'_, H> {
    /// [`Socket::connect`].
    ///
    /// # Errors
    /// As there.
    pub fn connect(&self, addr: impl ToAddr) -> Result<()> {
        let raw = addr::encode(&addr)?;
        self.connect_raw(&raw).map_err(|error| about(&raw, error))
    }

    /// [`Socket::connect_ex`].
    ///
    /// # Errors
    /// As there.
    pub fn connect_ex(&self, addr: impl ToAddr) -> Result<Option<Errno>> {
        match self.connect_raw(&addr::encode(&addr)?) {
            Ok(()) => Ok(None),
            Err(Error::TimedOut { .. }) => Ok(Some(Errno::EAGAIN)),
            Err(error @ Error::Interrupted { .. }) => Err(error),
            Err(error) => error.errno().map(Some).ok_or(error),
        }
    }

    fn connect_raw(&self, raw: &AddrBuf) -> Result<()> {
        let is_blocking = self.socket.mode() == Mode::Block;
        match self.patience(MsgFlags::NONE) {
            Patience::None => self.connect_once(raw),
            Patience::Kernel => self.connect_blocking(raw),
            Patience::Until(deadline) if self.socket.family() == Family::UNIX => {
                self.connect_unix(raw, deadline, is_blocking)
            }
            Patience::Until(deadline) if is_blocking => {
                self.set_nonblocking(true)?;
                let result = self.connect_waiting(raw, deadline);
                // What there was before comes back whatever happened.
                result.and(self.set_nonblocking(false))
            }
            Patience::Until(deadline) => self.connect_waiting(raw, deadline),
        }
    }

    fn connect_once(&self, addr: &AddrBuf) -> Result<()> {
        let fd = self.socket.as_fd();
        self.hook
            .blocking(|| sys::socket::connect(fd, addr))
            .map_err(|errno| failure(fd, "connect", errno))
    }

    /// The kernel waits, as long as [`opt::SendTimeout`] lets it.
    fn connect_blocking(&self, addr: &AddrBuf) -> Result<()> {
        loop {
            match self.connect_once(addr) {
                Err(Error::Os {
                    errno: Errno::EINTR,
                    ..
                }) => self.hook.interrupted()?,
                result => return result,
            }
            // A Unix socket that waited at a full queue has no connection under way. An internet
            // one has, also after a signal: POSIX has it waited for, not called again.
            if self.socket.family() != Family::UNIX {
                break;
            }
        }
        let limit = self.socket.get(opt::SendTimeout)?;
        let deadline = limit.map_or(Deadline::NEVER, Deadline::within);
        match self.connected(deadline) {
            Err(Error::TimedOut { call }) => Err(Error::os(call, Errno::EINPROGRESS)),
            result => result,
        }
    }

    fn connect_waiting(&self, addr: &AddrBuf, deadline: Deadline) -> Result<()> {
        match self.connect_once(addr) {
            Err(Error::Os {
                errno: Errno::EINPROGRESS | Errno::EINTR,
                ..
            }) => self.connected(deadline),
            result => result,
        }
    }

    /// Waits for the end of a connect that is under way, and tells how it went.
    fn connected(&self, deadline: Deadline) -> Result<()> {
        let fd = self.socket.as_fd();
        wait_ready(
            self.hook,
            self.waiting(Until::Writable, "connect"),
            deadline,
        )?;
        match self.socket.get(opt::PendingError) {
            Ok(None) => Ok(()),
            Ok(Some(errno)) => Err(failure(fd, "connect", errno)),
            Err(Error::Closed { .. }) => Err(Error::Closed { call: "connect" }),
            Err(error) => Err(error),
        }
    }

    /// A Unix listener with a full queue answers a non-blocking connect with `EAGAIN` and does
    /// not queue it, and poll(2) then tells nothing: only a blocking connect waits, bounded by
    /// `SO_SNDTIMEO`. Closing the socket in another thread does not wake it, so it looks now and
    /// then by itself.
    fn connect_unix(&self, raw: &AddrBuf, deadline: Deadline, stay_blocking: bool) -> Result<()> {
        let fd = self.socket.as_fd();
        let attempt = || loop {
            let left = deadline.left();
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Error::TimedOut { call: "connect" });
            }
            let step = left.map_or(UNIX_STEP, |left| left.min(UNIX_STEP));
            self.socket.set(opt::SendTimeout, Some(step))?;
            match self.hook.blocking(|| sys::socket::connect(fd, raw)) {
                Ok(()) => return Ok(()),
                Err(Errno::EINTR) => self.hook.interrupted()?,
                Err(Errno::EAGAIN) => {}
                Err(errno) => return Err(failure(fd, "connect", errno)),
            }
        };
        let before = self.socket.get(opt::SendTimeout)?;
        self.set_nonblocking(false)?;
        let result = attempt();
        // What there was before comes back whatever happened.
        let restored = self
            .socket
            .set(opt::SendTimeout, before)
            .and_then(|()| self.set_nonblocking(!stay_blocking));
        result.and(restored)
    }

    fn set_nonblocking(&self, on: bool) -> Result<()> {
        let fd = self.socket.as_fd();
        sys::socket::set_nonblocking(fd, on).map_err(|errno| failure(fd, "ioctl FIONBIO", errno))
    }
}
