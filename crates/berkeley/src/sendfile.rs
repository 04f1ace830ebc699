//! Files sent by the kernel: sendfile(2), and reading and sending where it cannot.

use core::fmt;
use std::os::fd::{AsFd, BorrowedFd};

use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::kinds::Kind;
use crate::socket::Socket;
use crate::sys;
use crate::sys::transfer::PipeSignal;
use crate::wait::{Patience, Until, retry, wait_plainly};

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
        if self.kind() != Kind::STREAM {
            return Err(Error::Invalid(
                "sendfile sends over stream sockets only: a datagram would have to have a length"
                    .into(),
            ));
        }
        let _held = PipeSignal::hold();
        let mut job = Job {
            socket: self,
            file: file.as_fd(),
            patience: self.patience(),
            offset,
            sent: 0,
            count,
        };
        let result = match job.by_kernel() {
            // The kernel cannot send from this file, or not to this socket.
            Err(error) if job.sent == 0 && is_beyond_the_kernel(&error) => job.by_hand(),
            result => result,
        };
        match result {
            Ok(()) => Ok(job.sent),
            Err(cause) => Err(partial(job.sent, cause)),
        }
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
struct Job<'a> {
    socket: &'a Socket,
    file: BorrowedFd<'a>,
    patience: Patience,
    offset: u64,
    sent: u64,
    count: Option<u64>,
}

impl fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("sent", &self.sent).finish()
    }
}

impl Job<'_> {
    fn left(&self) -> u64 {
        self.count
            .map_or(u64::MAX, |count| count.saturating_sub(self.sent))
    }

    /// Sends until the file ends, or what was asked for is done.
    fn by_kernel(&mut self) -> Result<()> {
        while self.left() > 0 {
            let at = self.offset.saturating_add(self.sent);
            let (fd, file, left) = (self.socket.as_fd(), self.file, self.left());
            let len = retry(fd, self.patience, Until::Writable, "sendfile", || {
                sys::transfer::sendfile(fd, file, at, left)
            })?;
            if len == 0 {
                return Ok(());
            }
            self.sent = self.sent.saturating_add(to_u64(len));
            if self.left() > 0 && self.patience.has_ended() {
                return Err(Error::TimedOut { call: "sendfile" });
            }
        }
        Ok(())
    }

    /// Reads and sends in steps.
    fn by_hand(&mut self) -> Result<()> {
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
                let fd = self.socket.as_fd();
                let len = retry(fd, self.patience, Until::Writable, "send", || {
                    sys::socket::send(fd, rest, 0)
                })?;
                self.sent = self.sent.saturating_add(to_u64(len));
                rest = rest.get(len..).unwrap_or_default();
                if !rest.is_empty() && self.patience.has_ended() {
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
        let file = self.file;
        if let Patience::Until(deadline) = self.patience {
            // A file that blocks would not let us see to the limit. A regular one is always ready.
            wait_plainly(file, Until::Readable, deadline, "read")?;
        }
        let at = self.offset.saturating_add(self.sent);
        loop {
            let read = if has_positions {
                sys::transfer::read_at(file, buf, at)
            } else {
                sys::socket::read(file, buf)
            };
            match (read, self.patience) {
                (Ok(len), _) => return Ok(len),
                (Err(Errno::EINTR), _) => {}
                (Err(errno), Patience::Kernel) if errno.is_would_block() => {
                    wait_plainly(file, Until::Readable, crate::Deadline::NEVER, "read")?;
                }
                (Err(errno), Patience::Until(deadline)) if errno.is_would_block() => {
                    wait_plainly(file, Until::Readable, deadline, "read")?;
                }
                (Err(errno), _) => return Err(Error::os("read", errno)),
            }
        }
    }
}

/// A count of bytes as files count them.
pub(crate) fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
