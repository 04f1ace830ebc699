//! Bytes from a socket to a file, a pipe or another socket, without a detour through the program.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::hook::{Hook, Hooked};
use crate::sendfile::{Transfer, is_beyond_the_kernel, partial, to_u64};
use crate::socket::Socket;
use crate::sys;
use crate::sys::transfer::PipeSignal;
use crate::wait::{Patience, Until, retry};

/// Bytes of a pipe's usual room, and of the buffer where there is no pipe.
const STEP_BYTES: usize = 64 << 10;

/// Bytes that a pipe which poll(2) calls writable takes without waiting (`PIPE_BUF`, pipe(7)).
const PIPE_BYTES_MIN: usize = 4096;

/// What moves bytes from a socket to somewhere else: the pipe that splice(2) needs in between.
///
/// Keep one for many transfers: it saves making a pipe for each. If a transfer fails, what was
/// received and could not be delivered yet is still here ([`Splicer::held`]), and the next
/// transfer delivers it first: so a time limit or a full non-blocking socket loses nothing.
///
/// Where the kernel cannot splice (an old kind of file, a socket of another family, a file opened
/// for appending), and where no pipe could be made because descriptors have run out, the bytes go
/// through a buffer instead, with the same result.
///
/// ```
/// use berkeley::{Family, Kind, Shutdown, Socket, Splicer};
/// use std::io::{Read, Seek};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (browser, upload) = Socket::pair(Family::UNIX, Kind::STREAM)?;
/// browser.send_all(b"a letter")?;
/// browser.shutdown(Shutdown::WRITE)?;
///
/// let mut file = tempfile::tempfile()?;
/// assert_eq!(Splicer::new().to_file(&upload, &file, None)?, 8);
/// # let mut text = String::new();
/// # file.rewind()?;
/// # file.read_to_string(&mut text)?;
/// # assert_eq!(text, "a letter");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Splicer {
    pipe: Option<Pipe>,
    /// Bytes on their way outside of the pipe: `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

#[derive(Debug)]
struct Pipe {
    reading: OwnedFd,
    writing: OwnedFd,
    capacity: usize,
    held: usize,
}

impl Default for Splicer {
    fn default() -> Self {
        Self::new()
    }
}

impl Splicer {
    /// With a pipe of the usual size, 64 KiB.
    #[must_use]
    pub fn new() -> Self {
        let pipe = sys::transfer::pipe().ok().map(|(reading, writing)| Pipe {
            capacity: sys::transfer::pipe_bytes(writing.as_fd()).unwrap_or(STEP_BYTES),
            reading,
            writing,
            held: 0,
        });
        Self {
            pipe,
            buffer: Vec::new(),
            start: 0,
            end: 0,
        }
    }

    /// With a pipe that holds at least so many bytes: fewer system calls for a large transfer.
    ///
    /// # Errors
    /// `EPERM` above `/proc/sys/fs/pipe-max-size` (1 MiB as a rule) without privilege; `EMFILE`,
    /// `ENFILE` when descriptors have run out.
    ///
    /// # References
    /// fcntl(2), `F_SETPIPE_SZ`.
    pub fn with_capacity(bytes: u32) -> Result<Self> {
        let (reading, writing) =
            sys::transfer::pipe().map_err(|errno| Error::os("pipe2", errno))?;
        let capacity = sys::transfer::set_pipe_bytes(writing.as_fd(), bytes)
            .map_err(|errno| Error::os("fcntl F_SETPIPE_SZ", errno))?;
        Ok(Self {
            pipe: Some(Pipe {
                reading,
                writing,
                capacity,
                held: 0,
            }),
            buffer: Vec::new(),
            start: 0,
            end: 0,
        })
    }

    /// How many bytes were received and not delivered, because the last transfer failed.
    #[must_use]
    pub fn held(&self) -> usize {
        self.pipe.as_ref().map_or(0, |pipe| pipe.held) + self.buffered().len()
    }

    /// Receives from a socket into a file (at its own position, which moves on) or into a pipe,
    /// until `count` bytes are delivered, or until the socket's peer ends its side. Answers how
    /// many bytes were delivered.
    ///
    /// The socket's mode holds for the whole: its time limit bounds the call, the waiting for a
    /// full pipe too. A non-blocking socket that has nothing to receive yet is an error with the
    /// count so far.
    ///
    /// # Errors
    /// As [`Socket::recv`] and write(2) (`ENOSPC`, `EPIPE`, `EBADF`): [`Error::Partial`] with
    /// the bytes that were delivered, if there were any. No `SIGPIPE` is raised, as with
    /// [`Socket::sendfile`].
    ///
    /// # References
    /// splice(2).
    #[doc(alias = "splice")]
    pub fn to_file(
        &mut self,
        source: &Socket,
        target: impl AsFd,
        count: Option<u64>,
    ) -> Result<u64> {
        source.plain().splice_to_file(self, target, count)
    }

    /// The same into another socket. Each socket's own mode holds for the waiting at it.
    ///
    /// # Errors
    /// As [`Socket::recv`] and [`Socket::send`]: [`Error::Partial`] with the bytes that were
    /// delivered, if there were any.
    ///
    /// # References
    /// splice(2).
    #[doc(alias = "splice")]
    pub fn to_socket(
        &mut self,
        source: &Socket,
        target: &Socket,
        count: Option<u64>,
    ) -> Result<u64> {
        source.plain().splice_to_socket(self, target, count)
    }

    fn transfer<H: Hook>(
        &mut self,
        source: Transfer<'_, H>,
        target: &Target<'_, H>,
        count: Option<u64>,
    ) -> Result<u64> {
        let _no_signal = PipeSignal::hold();
        let mut done = 0;
        loop {
            let left = count.map_or(u64::MAX, |count| count.saturating_sub(done));
            if left == 0 {
                return Ok(done);
            }
            let step = if self.held() > 0 {
                self.deliver(target, left)
            } else {
                match self.fill(source, left) {
                    Ok(0) => return Ok(done),
                    Ok(_received) => continue,
                    Err(cause) => Err(cause),
                }
            };
            match step {
                Ok(len) => done = done.saturating_add(to_u64(len)),
                Err(cause) => return Err(partial(done, cause)),
            }
            let is_late = source.is_late() || target.transfer.is_late();
            if is_late && count.is_none_or(|count| done < count) {
                return Err(partial(done, Error::TimedOut { call: "splice" }));
            }
        }
    }

    /// Receives the next bytes, when none are held; zero at the end.
    fn fill<H: Hook>(&mut self, source: Transfer<'_, H>, left: u64) -> Result<usize> {
        let socket = source.call.socket;
        let fd = socket.as_fd();
        if let Some(pipe) = &mut self.pipe
            && !source.must_not_block
        {
            let room = left.min(to_u64(pipe.capacity));
            let writing = pipe.writing.as_fd();
            // The pipe is empty, so that only the socket can make this wait, as its mode says.
            let step = source.on_socket(Until::Readable, "splice", |_flags| {
                sys::transfer::splice(fd, writing, room, true)
            });
            match step {
                Ok(len) => {
                    pipe.held = len;
                    if len == 0 {
                        socket.ended("splice")?;
                    }
                    return Ok(len);
                }
                Err(error) if is_beyond_the_kernel(&error) => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.resize(STEP_BYTES, 0);
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(STEP_BYTES);
        let buf = self.buffer.get_mut(..room).unwrap_or_default();
        let len = source.on_socket(Until::Readable, "recv", |flags| {
            sys::socket::recv(fd, buf, flags)
        })?;
        if len == 0 {
            socket.ended("recv")?;
        }
        (self.start, self.end) = (0, len.min(room));
        Ok(self.end)
    }

    /// Delivers some of what is held.
    fn deliver<H: Hook>(&mut self, target: &Target<'_, H>, left: u64) -> Result<usize> {
        if !self.buffered().is_empty() {
            let room = usize::try_from(left).unwrap_or(usize::MAX);
            let data = self.buffered();
            let len = target.write(data.get(..room).unwrap_or(data))?;
            self.start += len;
            return Ok(len);
        }
        let Some(pipe) = &mut self.pipe else {
            return Ok(0);
        };
        let room = left.min(to_u64(pipe.held));
        match target.splice(pipe.reading.as_fd(), room) {
            Err(error) if is_beyond_the_kernel(&error) => self.empty_the_pipe(),
            Ok(0) => Err(Error::os("splice", Errno::EIO)),
            result => {
                let len = result?;
                pipe.held = pipe.held.saturating_sub(len);
                Ok(len)
            }
        }
    }

    /// The target takes no splices: what the pipe holds takes the other way.
    fn empty_the_pipe(&mut self) -> Result<usize> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(0);
        };
        self.buffer.resize(pipe.held, 0);
        let reading = pipe.reading.as_fd();
        let len = retry(reading, Patience::Kernel, Until::Readable, "read", || {
            sys::socket::read(reading, &mut self.buffer)
        })?;
        // One read takes all that a pipe holds, if there is room for it.
        pipe.held = pipe.held.saturating_sub(len);
        (self.start, self.end) = (0, len);
        Ok(0)
    }

    fn buffered(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }
}

/// Where the bytes go.
struct Target<'a, H> {
    transfer: Transfer<'a, H>,
    /// `None` for the transfer's own socket.
    file: Option<BorrowedFd<'a>>,
}

impl<H: Hook> Target<'_, H> {
    fn splice(&self, pipe: BorrowedFd<'_>, count: u64) -> Result<usize> {
        let transfer = &self.transfer;
        match self.file {
            // Only tried, if there is a limit that its waiting could overrun.
            Some(file) => {
                let waits = !transfer.has_limit();
                transfer.on_file(file, Until::Writable, "splice", || {
                    sys::transfer::splice(pipe, file, count, waits)
                })
            }
            None if transfer.must_not_block => Err(Error::os("splice", Errno::EOPNOTSUPP)),
            None => {
                let fd = transfer.call.socket.as_fd();
                transfer.on_socket(Until::Writable, "splice", |_flags| {
                    sys::transfer::splice(pipe, fd, count, true)
                })
            }
        }
    }

    fn write(&self, data: &[u8]) -> Result<usize> {
        let transfer = &self.transfer;
        let Some(file) = self.file else {
            let fd = transfer.call.socket.as_fd();
            return transfer.on_socket(Until::Writable, "send", |flags| {
                sys::socket::send(fd, data, flags)
            });
        };
        transfer.await_file(file, Until::Writable, "write")?;
        // More than that a pipe or a terminal may make wait, beyond any limit.
        let data = match data.get(..PIPE_BYTES_MIN) {
            Some(piece) if transfer.has_limit() && !sys::transfer::is_regular(file) => piece,
            _ => data,
        };
        transfer.on_file(file, Until::Writable, "write", || {
            sys::transfer::write(file, data)
        })
    }
}

impl Socket {
    /// Receives into a file, at its own position, or into a pipe: `count` bytes, or all until the
    /// peer ends its side. [`Splicer::to_file`] for one transfer; there is more about it.
    ///
    /// # Errors
    /// As [`Splicer::to_file`]. What had been received and could not be delivered is lost then:
    /// keep a [`Splicer`] to go on.
    ///
    /// # References
    /// splice(2).
    pub fn recv_file(&self, target: impl AsFd, count: Option<u64>) -> Result<u64> {
        self.plain().recv_file(target, count)
    }
}

/// With a deadline on a blocking socket, the bytes at that socket go through a buffer: splice(2)
/// cannot be told not to wait for it.
impl<H: Hook> Hooked<'_, H> {
    /// [`Socket::recv_file`].
    ///
    /// # Errors
    /// As there.
    pub fn recv_file(&self, target: impl AsFd, count: Option<u64>) -> Result<u64> {
        self.splice_to_file(&mut Splicer::new(), target, count)
    }

    /// [`Splicer::to_file`], from this socket.
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "splice")]
    pub fn splice_to_file(
        &self,
        splicer: &mut Splicer,
        target: impl AsFd,
        count: Option<u64>,
    ) -> Result<u64> {
        let transfer = Transfer::begin(self);
        let target = Target {
            transfer,
            file: Some(target.as_fd()),
        };
        splicer.transfer(transfer, &target, count)
    }

    /// [`Splicer::to_socket`], from this socket. A deadline counts for both.
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "splice")]
    pub fn splice_to_socket(
        &self,
        splicer: &mut Splicer,
        target: &Socket,
        count: Option<u64>,
    ) -> Result<u64> {
        let to = Hooked {
            socket: target,
            ..*self
        };
        let target = Target {
            transfer: Transfer::begin(&to),
            file: None,
        };
        splicer.transfer(Transfer::begin(self), &target, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Family, Kind, Shutdown};

    #[test]
    fn without_a_pipe_the_bytes_take_the_other_way() {
        let (source, feed) = Socket::pair(Family::UNIX, Kind::STREAM).unwrap();
        let (target, end) = Socket::pair(Family::UNIX, Kind::STREAM).unwrap();
        feed.send_all(b"one way or another").unwrap();
        feed.shutdown(Shutdown::WRITE).unwrap();
        let mut splicer = Splicer {
            pipe: None,
            ..Splicer::new()
        };
        assert_eq!(splicer.to_socket(&source, &target, Some(3)).unwrap(), 3);
        assert_eq!(splicer.to_socket(&source, &target, None).unwrap(), 15);
        assert_eq!(splicer.held(), 0);
        let mut buf = [0; 32];
        assert_eq!(end.recv(&mut buf, crate::MsgFlags::NONE).unwrap(), 18);
        assert_eq!(&buf[..18], b"one way or another");
    }
}
