//! Sockets as files: buffered and unbuffered, bytes and lines of text.
//!
//! [`Socket::makefile`] gives a [`FileView`], the socket as an unbuffered file. From that comes
//! what one needs: [`FileView::reader`] and [`FileView::writer`] with a buffer, [`FileView::both`]
//! with one for each direction, [`FileView::text`] for lines of UTF-8 text.
//!
//! Python's `makefile(mode, buffering, newline=…, errors=…)` and its equivalents:
//!
//! | Python | here |
//! | --- | --- |
//! | `"rb"`, `"wb"`, `"rwb"` with `buffering=0` | [`Socket::makefile`] |
//! | `"rb"` | `makefile().reader()` |
//! | `"wb"` | `makefile().writer()` |
//! | `"rwb"` | `makefile().both()` |
//! | `"r"`, `"w"`, `"rw"` | `makefile().text()` |
//! | `newline=` | [`Newline`] |
//! | `errors="strict"`, `"replace"` | [`Utf8`] |
//! | `buffering=n` | `BufReader::with_capacity(n, makefile())`, `BufWriter` likewise |
//! | `read(n)` of bytes, of text | [`Read::take`], [`TextReader::read_chars`] |
//! | `read1(n)`, `readinto(b)` | [`Read::read`], [`Read::read_exact`] |
//! | `readline()`, `readlines()` | [`BufRead::read_until`], [`TextReader::lines`] |
//! | `seekable()` is false; a closed file is a `ValueError` | neither compiles |
//!
//! The tests hold the same conversations with both. They differ on purpose in four places: a line
//! that ends in `"\r"` is told at once where Python waits for the next byte ([`Newline`]); text
//! that is no UTF-8 does not hide the good lines before it; `read1` of a socket that does not wait
//! says so, where Python's answers with nothing; and [`TextFile::line_buffered`] is one, where
//! `buffering=1` of a text file sends no line by itself.
//!
//! **Who closes.** A view holds the socket: it stays open until the program has dropped its own
//! handle *and* its last view, in any order, as in Python. `close` of a view says how that went,
//! flushing first.
//!
//! **Time limits.** A read that ran into the socket's time limit may have left a piece of a line
//! in the buffer of somebody else, so the view refuses to read on: `cannot read from timed out
//! object`, as in Python. A [`FileView::resumable`] one goes on instead: nothing is lost by the
//! readers of this module, and [`std::io::BufRead::read_until`] keeps what it has; use those.
//! [`FileView::until`] gives a view one deadline for all that is done with it.

use core::fmt;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::sync::Arc;

use crate::error::Result;
use crate::kinds::MsgFlags;
use crate::socket::Socket;
use crate::wait::Deadline;

mod text;

pub use text::{LINE_BYTES_MAX, Lines, Newline, TextFile, TextReader, TextWriter, Utf8};

impl Socket {
    /// The socket as an unbuffered file, which shares it; the beginning of every other view.
    ///
    /// # References
    /// Python's `socket.makefile`.
    ///
    /// # Examples
    /// ```
    /// use berkeley::{Family, Kind, Socket};
    /// use std::io::{BufRead, Write};
    /// use std::sync::Arc;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = Socket::pair(Family::UNIX, Kind::STREAM)?;
    /// let mut reader = Arc::new(a).makefile().reader();
    /// let mut writer = Arc::new(b).makefile().writer();
    /// writer.write_all(b"one\ntwo\n")?;
    /// drop(writer); // flushes, and closes the socket with its last view
    /// assert_eq!(reader.by_ref().lines().collect::<Result<Vec<_>, _>>()?, ["one", "two"]);
    /// # Ok(())
    /// # }
    /// # use std::io::Read;
    /// ```
    #[must_use]
    pub fn makefile(self: &Arc<Self>) -> FileView {
        FileView {
            socket: Arc::clone(self),
            has_timed_out: false,
            is_resumable: false,
            deadline: None,
        }
    }
}

/// A socket as an unbuffered file: each read is one `recv`, each write one `send`.
#[derive(Debug)]
pub struct FileView {
    socket: Arc<Socket>,
    has_timed_out: bool,
    is_resumable: bool,
    deadline: Option<Deadline>,
}

impl FileView {
    /// Lets reading go on after a time limit has ended; see the [module](self) for who may.
    #[must_use]
    pub const fn resumable(mut self) -> Self {
        self.is_resumable = true;
        self
    }

    /// The same with one moment by which every read and every write has to be done, whatever the
    /// socket's mode: see [`Socket::until`]. A peer that sends a byte now and then does not
    /// outlast it, as it does the socket's own time limit, which each read has anew.
    ///
    /// ```
    /// use berkeley::{Deadline, Family, Kind, Socket};
    /// use std::io::BufRead;
    /// use std::sync::Arc;
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (a, b) = Socket::pair(Family::UNIX, Kind::STREAM)?;
    /// let deadline = Deadline::within(Duration::from_millis(20));
    /// let mut reader = Arc::new(a).makefile().until(deadline).reader();
    /// b.send_all(b"no end of line")?;
    /// let error = reader.read_line(&mut String::new()).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn until(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Gives a view another deadline, or takes it away, behind a buffer too
    /// (`reader.get_mut().set_deadline(…)`). A read that has timed out stays so.
    pub const fn set_deadline(&mut self, deadline: Option<Deadline>) {
        self.deadline = deadline;
    }

    /// The socket behind it.
    #[must_use]
    pub const fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// True when a time limit has ended a read, and the view reads no more.
    #[must_use]
    pub const fn has_timed_out(&self) -> bool {
        self.has_timed_out
    }

    /// Reading with a buffer of 8 KiB.
    #[must_use]
    pub fn reader(self) -> BufReader<Self> {
        BufReader::new(self)
    }

    /// Writing with a buffer of 8 KiB. Flush it, or [`close_writer`] it: dropping it flushes
    /// too, but cannot tell whether that went well.
    #[must_use]
    pub fn writer(self) -> BufWriter<Self> {
        BufWriter::new(self)
    }

    /// Both, with a buffer each.
    #[must_use]
    pub fn both(self) -> FilePair {
        FilePair {
            writer: self.sibling().writer(),
            reader: self.reader(),
        }
    }

    /// Lines of text in both directions: universal newlines, strict UTF-8.
    #[must_use]
    pub fn text(self) -> TextFile {
        let writer = TextWriter::new(self.sibling().writer());
        TextFile::new(TextReader::new(self.reader()), writer)
    }

    /// Closes the view; the socket too if this was the last that held it.
    ///
    /// # Errors
    /// As [`Socket::close`], from the last one only.
    pub fn close(self) -> Result<()> {
        match Arc::into_inner(self.socket) {
            Some(socket) => socket.close(),
            None => Ok(()),
        }
    }

    fn sibling(&self) -> Self {
        Self {
            socket: Arc::clone(&self.socket),
            ..*self
        }
    }
}

impl Read for FileView {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.has_timed_out {
            return Err(io::Error::other("cannot read from timed out object"));
        }
        let came = match self.deadline {
            Some(deadline) => self.socket.until(deadline).recv(buf, MsgFlags::NONE),
            None => self.socket.recv(buf, MsgFlags::NONE),
        };
        came.map_err(|error| {
            self.has_timed_out = error.is_timed_out() && !self.is_resumable;
            error.into()
        })
    }
}

impl Write for FileView {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        Ok(match self.deadline {
            Some(deadline) => self.socket.until(deadline).send(data, MsgFlags::NONE)?,
            None => self.socket.send(data, MsgFlags::NONE)?,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Flushes a buffered writer and closes its view, whether the flush went well or not: what could
/// not be sent is thrown away.
///
/// # Errors
/// Those of the flush, else those of [`FileView::close`].
pub fn close_writer(mut writer: BufWriter<FileView>) -> io::Result<()> {
    let flushed = writer.flush();
    // Dropped as a whole it would try the flush again.
    let (view, _unsent) = writer.into_parts();
    let closed = view.close();
    flushed.and(closed.map_err(Into::into))
}

/// Both directions of a socket, each with its buffer.
pub struct FilePair {
    reader: BufReader<FileView>,
    writer: BufWriter<FileView>,
}

impl fmt::Debug for FilePair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilePair")
            .field("socket", self.reader.get_ref().socket())
            .finish_non_exhaustive()
    }
}

impl FilePair {
    /// Takes the two directions apart, for two threads.
    #[must_use]
    pub fn into_parts(self) -> (BufReader<FileView>, BufWriter<FileView>) {
        (self.reader, self.writer)
    }

    /// Flushes and closes both.
    ///
    /// # Errors
    /// Those of the flush, else those of [`FileView::close`].
    pub fn close(self) -> io::Result<()> {
        drop(self.reader);
        close_writer(self.writer)
    }
}

impl Read for FilePair {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf)
    }
}

impl BufRead for FilePair {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
    }
}

impl Write for FilePair {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.writer.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
