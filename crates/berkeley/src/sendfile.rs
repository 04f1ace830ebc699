//! Files sent by the kernel: sendfile(2), and reading and sending where it cannot.

use std::os::fd::{AsFd, BorrowedFd};

use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::hook::{Hook, Hooked};
use crate::kinds::{Kind, MsgFlags};
use crate::socket::Socket;
use crate::sys;
use crate::sys::transfer::PipeSignal;
use crate::wait::{Deadline, Mode, Patience, Until, Wait, go_on, wait_ready};

/// Bytes that are read and sent in one step where the kernel cannot send by itself.
const STEP_BYTES: usize = 64 << 10;

impl Socket {
    /// Sends a file's bytes from `offset` on: `count` of them, or all until its end for `None`.
    /// Answers how many that were; fewer than `count` means that the file ended.
    ///
    /// For a regular file the kernel does it by itself, no byte passes through the program, and
    /// the file's own position stays where it is. What the kernel cannot send so (a pipe, a
    /// terminal, a device, some special files) is read and sent in steps; from what has no
    /// positions, `offset` zero means "from here on".
    ///
    /// The socket's mode holds as for [`Socket::send_all`]: its time limit bounds the whole call,
    /// the waiting for a slow pipe too, and a non-blocking socket that would have to wait is an
    /// error that says how much went out. A *file* that does not block and has nothing yet is
    /// waited for, but on a non-blocking socket.
    ///
    /// sendfile(2) has no `MSG_NOSIGNAL`. In a program that does not ignore `SIGPIPE` (no Rust
    /// program by default, but a C program that has loaded this library) that signal is blocked
    /// in this thread for the time of the call.
    ///
    /// # Errors
    /// As [`Socket::send_all`], [`Error::Partial`] with the count when some bytes went out: the
    /// caller can go on at `offset + sent`, except for a file without positions, of which up to
    /// 64 KiB more may have been read. [`Error::Invalid`] for a socket that is no stream.
    /// `ESPIPE` for an offset into what has no positions; `EISDIR`, `EBADF` for what cannot be
    /// read.
    ///
    /// # References
    /// sendfile(2); Python's `socket.sendfile`.
    ///
    /// # Examples
    /// ```
    /// use berkeley::{Family, Kind, MsgFlags, Socket};
    /// use std::fs::File;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = Socket::pair(Family::UNIX, Kind::STREAM)?;
    /// let file = File::open("Cargo.toml")?;
    /// assert_eq!(a.sendfile(&file, 1, Some(7))?, 7);
    /// let mut buf = [0; 16];
    /// assert_eq!(b.recv(&mut buf, MsgFlags::NONE)?, 7);
    /// assert_eq!(&buf[..7], b"package");
    /// # Ok(())
    /// # }
    /// ```
    pub fn sendfile(&self, file: impl AsFd, offset: u64, count: Option<u64>) -> Result<u64> {
        self.plain().sendfile(file, offset, count)
    }
}

impl<H: Hook> Hooked<'_, H> {
    /// [`Socket::sendfile`]. With a deadline on a blocking socket the bytes are read and sent in
    /// steps: sendfile(2) cannot be told not to wait.
    ///
    /// # Errors
    /// As there.
    pub fn sendfile(&self, file: impl AsFd, offset: u64, count: Option<u64>) -> Result<u64> {
        if self.socket.kind() != Kind::STREAM {
            return Err(Error::Invalid(
                "sendfile sends over stream sockets only: a datagram would have to have a length"
                    .into(),
            ));
        }
        let _held = PipeSignal::hold();
        let transfer = Transfer::begin(self);
        let mut job = Job {
            transfer,
            file: file.as_fd(),
            offset,
            sent: 0,
            count,
        };
        let result = if transfer.must_not_block {
            job.by_hand()
        } else {
            match job.by_kernel() {
                // The kernel cannot send from this file, or not to this socket.
                Err(error) if job.sent == 0 && is_beyond_the_kernel(&error) => job.by_hand(),
                result => result,
            }
        };
        match result {
            Ok(()) => Ok(job.sent),
            Err(cause) => Err(partial(job.sent, cause)),
        }
    }
}

/// A job of many system calls, with one moment by which all of them have to be done.
pub(crate) struct Transfer<'a, H> {
    pub(crate) call: Hooked<'a, H>,
    patience: Patience,
    /// The socket blocks by itself and has a deadline all the same: only calls that can be told
    /// not to wait may be made.
    pub(crate) must_not_block: bool,
}

impl<H> Clone for Transfer<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Transfer<'_, H> {}

impl<'a, H: Hook> Transfer<'a, H> {
    pub(crate) fn begin(call: &Hooked<'a, H>) -> Self {
        let patience = call.patience(MsgFlags::NONE);
        Self {
            must_not_block: call.deadline.is_some() && call.socket.mode() == Mode::Block,
            call: match patience {
                Patience::Until(deadline) => call.until(deadline),
                Patience::Kernel | Patience::None => *call,
            },
            patience,
        }
    }

    /// A call on the socket. `attempt` is given the flags for the kernel.
    pub(crate) fn on_socket<T: Send>(
        &self,
        until: Until,
        name: &'static str,
        attempt: impl FnMut(i32) -> Result<T, Errno> + Send,
    ) -> Result<T> {
        self.call.run(until, name, MsgFlags::NONE, attempt)
    }

    /// A call on another descriptor, which waits as the socket would. If that does not block
    /// while the socket does, it belongs to somebody else, and is waited for.
    pub(crate) fn on_file<T: Send>(
        &self,
        fd: BorrowedFd<'_>,
        until: Until,
        name: &'static str,
        mut attempt: impl FnMut() -> Result<T, Errno> + Send,
    ) -> Result<T> {
        let hook = self.call.hook;
        let patience = match self.patience {
            Patience::Kernel => Patience::Until(Deadline::NEVER),
            patience => patience,
        };
        let wait = Wait {
            fd,
            until,
            call: name,
            is_woken: H::IS_WOKEN_BY_CLOSE,
        };
        let done = match hook.blocking(&mut attempt) {
            Ok(value) => Ok(value),
            Err(errno) => go_on(hook, wait, errno, move || patience, attempt),
        };
        match done {
            // An `O_PATH` file of the caller's own, which looks like a closed socket.
            Err(Error::Closed { call }) => Err(Error::os(call, Errno::EBADF)),
            done => done,
        }
    }

    /// Where there is a limit, waits for a descriptor that may block by itself.
    pub(crate) fn await_file(
        &self,
        fd: BorrowedFd<'_>,
        until: Until,
        call: &'static str,
    ) -> Result<()> {
        match self.patience {
            Patience::Until(deadline) => {
                let is_woken = H::IS_WOKEN_BY_CLOSE;
                let wait = Wait {
                    fd,
                    until,
                    call,
                    is_woken,
                };
                wait_ready(self.call.hook, wait, deadline)
            }
            Patience::Kernel | Patience::None => Ok(()),
        }
    }

    pub(crate) fn has_limit(&self) -> bool {
        !matches!(self.patience, Patience::Kernel)
    }

    pub(crate) fn is_late(&self) -> bool {
        self.patience.has_ended()
    }
}

/// An error that says how much had been done, where something had.
pub(crate) fn partial(done: u64, cause: Error) -> Error {
    if done == 0 {
        return cause;
    }
    Error::Partial {
        sent: usize::try_from(done).unwrap_or(usize::MAX),
        cause: Box::new(cause),
    }
}

/// True where a call that moves bytes within the kernel does not know one of the two descriptors.
pub(crate) fn is_beyond_the_kernel(error: &Error) -> bool {
    matches!(
        error.errno(),
        Some(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::ESPIPE)
    )
}

/// One file on its way.
struct Job<'a, H> {
    transfer: Transfer<'a, H>,
    file: BorrowedFd<'a>,
    offset: u64,
    sent: u64,
    count: Option<u64>,
}

impl<H: Hook> Job<'_, H> {
    fn left(&self) -> u64 {
        self.count
            .map_or(u64::MAX, |count| count.saturating_sub(self.sent))
    }

    /// Sends until the file ends, or what was asked for is done.
    fn by_kernel(&mut self) -> Result<()> {
        let fd = self.transfer.call.socket.as_fd();
        while self.left() > 0 {
            let at = self.offset.saturating_add(self.sent);
            let (file, left) = (self.file, self.left());
            let send = |_flags| sys::transfer::sendfile(fd, file, at, left);
            let len = self.transfer.on_socket(Until::Writable, "sendfile", send)?;
            if len == 0 {
                return Ok(());
            }
            self.sent = self.sent.saturating_add(to_u64(len));
            if self.left() > 0 && self.transfer.is_late() {
                return Err(Error::TimedOut { call: "sendfile" });
            }
        }
        Ok(())
    }

    /// Reads and sends in steps.
    fn by_hand(&mut self) -> Result<()> {
        let fd = self.transfer.call.socket.as_fd();
        let has_positions = self.has_positions()?;
        let mut buf = vec![0; STEP_BYTES];
        while self.left() > 0 {
            let room = usize::try_from(self.left()).unwrap_or(usize::MAX);
            let buf = buf.get_mut(..room.min(STEP_BYTES)).unwrap_or_default();
            let len = self.read(buf, has_positions)?;
            let mut rest: &[u8] = buf.get(..len).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            while !rest.is_empty() {
                let send = |flags| sys::socket::send(fd, rest, flags);
                let len = self.transfer.on_socket(Until::Writable, "send", send)?;
                self.sent = self.sent.saturating_add(to_u64(len));
                rest = rest.get(len..).unwrap_or_default();
                if !rest.is_empty() && self.transfer.is_late() {
                    return Err(Error::TimedOut { call: "send" });
                }
            }
        }
        Ok(())
    }

    /// False for what is only read from here on. Reading nothing somewhere tells it.
    fn has_positions(&self) -> Result<bool> {
        match sys::transfer::read_at(self.file, &mut [], self.offset) {
            Ok(_nothing) => Ok(true),
            Err(Errno::ESPIPE) if self.offset == 0 => Ok(false),
            Err(errno) => Err(Error::os("pread", errno)),
        }
    }

    /// Reads the next piece of the file, within the socket's limit.
    fn read(&self, buf: &mut [u8], has_positions: bool) -> Result<usize> {
        let (file, transfer) = (self.file, self.transfer);
        // A file that blocks would not let us see to the limit. A regular one is always ready.
        transfer.await_file(file, Until::Readable, "read")?;
        let at = self.offset.saturating_add(self.sent);
        transfer.on_file(file, Until::Readable, "read", || {
            if has_positions {
                sys::transfer::read_at(file, buf, at)
            } else {
                sys::socket::read(file, buf)
            }
        })
    }
}

/// A count of bytes as files count them.
pub(crate) fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
