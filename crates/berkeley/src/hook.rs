//! Calls with a hook around the kernel: for language bindings that hold a lock while their own code
//! runs, and have to let go of it while a call waits.

use core::fmt;
use std::os::fd::{AsFd, BorrowedFd};

use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::kinds::MsgFlags;
use crate::socket::Socket;
use crate::wait::{Deadline, Mode, Patience, Until, Wait, go_on, wait_ready};

/// What is done around each system call that may wait.
///
/// ```
/// use berkeley::{Family, Hook, Kind, MsgFlags, Result, Socket};
/// use std::cell::Cell;
///
/// /// Counts how often the kernel was entered.
/// struct Count(Cell<u32>);
///
/// impl Hook for Count {
///     fn blocking<T: Send>(&self, call: impl FnOnce() -> T + Send) -> T {
///         self.0.set(self.0.get() + 1); // here a binding releases its lock ...
///         call() // ... and takes it again after this
///     }
///
///     fn interrupted(&self) -> Result<()> {
///         Ok(()) // here it runs its signal handlers
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let (a, b) = Socket::pair(Family::UNIX, Kind::STREAM)?;
/// let hook = Count(Cell::new(0));
/// a.with_hook(&hook).send_all(b"x")?;
/// b.with_hook(&hook).recv(&mut [0], MsgFlags::NONE)?;
/// assert_eq!(hook.0.get(), 2);
/// # Ok(())
/// # }
/// ```
///
/// # References
/// signal(7), "Interruption of system calls".
pub trait Hook {
    /// True if closing a socket ends the waits for it that are limited in time. Each thread that
    /// waits has a descriptor for that. False where programs count their descriptors and expect
    /// no others: such a wait goes on to its end, unless the socket becomes ready.
    const IS_WOKEN_BY_CLOSE: bool = true;

    /// Makes one system call by calling `call`, once. It is `Send`, so that a binding may prove by
    /// it that nothing of its own is touched in there.
    ///
    /// Non-blocking calls come through here too: whether a descriptor blocks is a property that
    /// other holders of it can change.
    fn blocking<T: Send>(&self, call: impl FnOnce() -> T + Send) -> T;

    /// A signal has interrupted a call, which goes on after this. Handlers that are set with
    /// `SA_RESTART` do not interrupt a call that waits inside the kernel, signal(7): a binding sets
    /// its own without it.
    ///
    /// # Errors
    /// What is returned ends the call, and is its result. [`Error::Interrupted`] is meant for it.
    fn interrupted(&self) -> Result<()>;
}

/// No hook: calls go straight to the kernel, and on after a signal.
impl Hook for () {
    #[inline]
    fn blocking<T: Send>(&self, call: impl FnOnce() -> T + Send) -> T {
        call()
    }

    #[inline]
    fn interrupted(&self) -> Result<()> {
        Ok(())
    }
}

/// What [`Hooked::call`] waits for when its call would have to wait.
///
/// # References
/// poll(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readiness {
    /// Something to receive or to accept, the end of it, or an error.
    Readable,
    /// Room to send, the end of connecting, or an error.
    Writable,
}

/// A socket whose calls go through a [`Hook`], and that may have one deadline for several calls;
/// made by [`Socket::with_hook`] and [`Socket::until`]. The calls are those of [`Socket`], and are
/// described there.
///
/// # References
/// poll(2); signal(7), "Interruption of system calls".
pub struct Hooked<'a, H> {
    pub(crate) socket: &'a Socket,
    pub(crate) hook: &'a H,
    pub(crate) deadline: Option<Deadline>,
}

impl<H> Clone for Hooked<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Hooked<'_, H> {}

impl<H> fmt::Debug for Hooked<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooked")
            .field("socket", self.socket)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl Socket {
    /// The same socket with a hook around each system call that may wait.
    #[must_use]
    pub const fn with_hook<'a, H: Hook>(&'a self, hook: &'a H) -> Hooked<'a, H> {
        Hooked {
            socket: self,
            hook,
            deadline: None,
        }
    }

    /// The same socket with one moment by which every call made with the result has to be done,
    /// whatever the socket's own mode.
    ///
    /// On a blocking socket, receiving and sending do not wait in the kernel then. Accepting may:
    /// if another thread takes the connection that it was told of, the call waits for the next one
    /// without a limit. Share a listener in [`crate::Mode::NonBlock`] or [`crate::Mode::Within`].
    ///
    /// # References
    /// poll(2).
    #[must_use]
    pub const fn until(&self, deadline: Deadline) -> Hooked<'_, ()> {
        self.plain().until(deadline)
    }

    #[inline]
    pub(crate) const fn plain(&self) -> Hooked<'_, ()> {
        self.with_hook(&())
    }
}

impl<'a, H: Hook> Hooked<'a, H> {
    /// The socket itself.
    #[must_use]
    pub const fn socket(&self) -> &'a Socket {
        self.socket
    }

    /// The same with one moment by which every call has to be done: see [`Socket::until`].
    ///
    /// # References
    /// poll(2).
    #[must_use]
    pub const fn until(self, deadline: Deadline) -> Self {
        Self {
            deadline: Some(deadline),
            ..self
        }
    }

    /// Makes a call of the caller's own in the socket's mode: again after a signal, again when the
    /// socket is ready after an `EAGAIN`, until the time limit ends. `name` is what errors call it.
    ///
    /// With a deadline on a blocking socket, `attempt` must not block by itself.
    ///
    /// # Errors
    /// What `attempt` answers, [`Error::TimedOut`], [`Error::Closed`], or what the hook says.
    ///
    /// # References
    /// poll(2).
    #[inline]
    pub fn call<T: Send>(
        &self,
        ready: Readiness,
        name: &'static str,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> Result<T, Errno> + Send,
    ) -> Result<T> {
        let until = match ready {
            Readiness::Readable => Until::Readable,
            Readiness::Writable => Until::Writable,
        };
        let fd = self.socket.as_fd();
        self.run(until, name, MsgFlags::NONE, move |_flags| attempt(fd))
    }

    /// Waits until the socket is ready, in the socket's mode: without end in
    /// [`crate::Mode::Block`], not at all in [`crate::Mode::NonBlock`].
    ///
    /// # Errors
    /// [`Error::TimedOut`]; `EAGAIN` in non-blocking mode; [`Error::Closed`].
    ///
    /// # References
    /// poll(2).
    pub fn wait(&self, ready: Readiness) -> Result<()> {
        let until = match ready {
            Readiness::Readable => Until::Readable,
            Readiness::Writable => Until::Writable,
        };
        let (deadline, limit) = match self.patience(MsgFlags::NONE) {
            Patience::Kernel => (Deadline::NEVER, None),
            Patience::None => (Deadline::within(core::time::Duration::ZERO), Some(())),
            Patience::Until(deadline) => (deadline, None),
        };
        let wait = self.waiting(until, "poll");
        match wait_ready(self.hook, wait, deadline) {
            Err(Error::TimedOut { call }) if limit.is_some() => Err(Error::os(call, Errno::EAGAIN)),
            result => result,
        }
    }

    #[inline]
    pub(crate) fn waiting(&self, until: Until, call: &'static str) -> Wait<'a> {
        Wait {
            fd: self.socket.as_fd(),
            until,
            call,
            is_woken: H::IS_WOKEN_BY_CLOSE,
        }
    }

    /// How a call with these flags waits: `DONTWAIT` outdoes a deadline, and that the mode.
    pub(crate) fn patience(&self, flags: MsgFlags) -> Patience {
        match self.deadline {
            _ if flags.contains(MsgFlags::DONTWAIT) => Patience::None,
            Some(deadline) => Patience::Until(deadline),
            None => self.socket.patience(),
        }
    }

    /// The loop that all calls go through. `attempt` is given the flags for the kernel.
    #[inline(always)]
    pub(crate) fn run<T: Send>(
        &self,
        until: Until,
        call: &'static str,
        flags: MsgFlags,
        mut attempt: impl FnMut(i32) -> Result<T, Errno> + Send,
    ) -> Result<T> {
        match self.first(flags, &mut attempt) {
            Ok(value) => Ok(value),
            Err(errno) => self.again(until, call, flags, errno, attempt),
        }
    }

    /// The first attempt, which for most calls is the only one.
    #[inline(always)]
    pub(crate) fn first<T: Send>(
        &self,
        flags: MsgFlags,
        attempt: impl FnOnce(i32) -> Result<T, Errno> + Send,
    ) -> Result<T, Errno> {
        let raw = self.raw_flags(flags);
        self.hook.blocking(|| attempt(raw))
    }

    /// What follows a first attempt that has failed with `errno`. What is needed to wait and to
    /// try again is put together, and the clock is asked, only when there is something to wait
    /// for.
    #[inline]
    pub(crate) fn again<T: Send>(
        &self,
        until: Until,
        call: &'static str,
        flags: MsgFlags,
        errno: Errno,
        mut attempt: impl FnMut(i32) -> Result<T, Errno> + Send,
    ) -> Result<T> {
        if errno.is_would_block() && !self.may_wait(flags) {
            return Err(Error::os(call, errno));
        }
        let this = *self;
        let raw = this.raw_flags(flags);
        let wait = this.waiting(until, call);
        let patience = move || this.patience(flags);
        go_on(this.hook, wait, errno, patience, move || attempt(raw))
    }

    /// The flags for the kernel: with a deadline, a socket that blocks by itself must not.
    #[inline]
    const fn raw_flags(&self, flags: MsgFlags) -> i32 {
        match self.deadline {
            Some(_) => flags.raw() | libc::MSG_DONTWAIT,
            None => flags.raw(),
        }
    }

    /// False where an `EAGAIN` is the answer.
    #[inline]
    fn may_wait(&self, flags: MsgFlags) -> bool {
        !flags.contains(MsgFlags::DONTWAIT)
            && (self.deadline.is_some() || matches!(self.socket.mode(), Mode::Within(_)))
    }
}
