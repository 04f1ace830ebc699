//! Accepting, sending and receiving.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use crate::addr::{self, Addr, AddrBuf, ToAddr};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::hook::{Hook, Hooked};
use crate::kinds::{AcceptFlags, Kind, MsgFlags};
use crate::socket::{Socket, meant_for};
use crate::state::RawMode;
use crate::sys;
use crate::sys::addr::{AddrRoom, Written};
use crate::sys::buf::{AtMost, RecvBuf, Slot};
use crate::sys::socket::IOV_MAX;
use crate::wait::{Deadline, Mode, Patience, Until, retry, wait_ready};

impl Socket {
    /// Takes the next waiting connection, in the mode of new sockets ([`Mode::for_new_sockets`]),
    /// with the peer's address (`None` for a peer without a name).
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM` ([`Errno::is_exhaustion`]): the connection still
    /// waits, call again when something was closed. `ECONNABORTED` and network errors belong to
    /// the one connection: call again.
    ///
    /// # References
    /// accept(2), accept4(2).
    #[inline]
    pub fn accept(&self) -> Result<(Self, Option<Addr>)> {
        self.plain().accept()
    }

    /// The same, with the mode that the new socket shall have; no further call is made for it.
    ///
    /// # Errors
    /// As [`Socket::accept`].
    ///
    /// # References
    /// accept4(2), `SOCK_NONBLOCK`.
    #[inline]
    pub fn accept_with(&self, mode: Mode) -> Result<(Self, Option<Addr>)> {
        self.plain().accept_with(mode)
    }

    /// [`Socket::accept_with`], leaving the peer's address in `peer` as the kernel lays it out:
    /// none for a peer without a name. For loops that accept much, in every family.
    ///
    /// # Errors
    /// As [`Socket::accept`].
    ///
    /// # References
    /// accept4(2).
    #[doc(alias = "accept")]
    #[inline]
    pub fn accept_addr(&self, mode: Mode, peer: &mut AddrBuf) -> Result<Self> {
        self.plain().accept_addr(mode, peer)
    }

    /// The same with the flags that the kernel knows, and no others: without
    /// [`AcceptFlags::CLOEXEC`] programs that this one starts inherit the new socket.
    ///
    /// # Errors
    /// As [`Socket::accept`]; `EINVAL` for an unknown flag.
    ///
    /// # References
    /// accept4(2).
    #[doc(alias = "accept4")]
    pub fn accept_flags(&self, flags: AcceptFlags) -> Result<(Self, Option<Addr>)> {
        self.plain().accept_flags(flags)
    }

    /// [`Socket::accept`] with a moment by which a connection has to come, whatever the socket's
    /// mode; see [`Socket::until`] for blocking listeners that are shared.
    ///
    /// # Errors
    /// As [`Socket::accept`]; [`Error::TimedOut`] at the deadline.
    ///
    /// # References
    /// accept4(2), poll(2).
    pub fn accept_until(&self, deadline: Deadline) -> Result<(Self, Option<Addr>)> {
        self.until(deadline).accept()
    }

    /// Sends what the kernel takes, and answers how many bytes that were; on datagram and
    /// sequenced-packet sockets it is all or nothing.
    ///
    /// # Errors
    /// `EPIPE`, `ECONNRESET`: the peer is gone. `EMSGSIZE`: too long for one datagram.
    /// `ENOTCONN`, `EDESTADDRREQ`: there is no peer. `EAGAIN` on a non-blocking socket,
    /// [`Error::TimedOut`] on a limited one.
    ///
    /// # References
    /// send(2).
    #[inline]
    pub fn send(&self, data: &[u8], flags: MsgFlags) -> Result<usize> {
        self.plain().send(data, flags)
    }

    /// Sends many pieces with one system call, as if they were one; answers how many bytes were
    /// taken. Of a stream, at most 1,024 pieces are looked at (`IOV_MAX`).
    ///
    /// # Errors
    /// As [`Socket::send`]; `EMSGSIZE` for a datagram of more pieces than that.
    ///
    /// # References
    /// sendmsg(2).
    #[doc(alias = "sendmsg")]
    #[inline]
    pub fn send_gathered(&self, pieces: &[IoSlice<'_>], flags: MsgFlags) -> Result<usize> {
        self.plain().send_gathered(pieces, flags)
    }

    /// Sends one datagram to an address.
    ///
    /// # Errors
    /// As [`Socket::send`]; `ECONNREFUSED` may be the answer to an earlier datagram.
    ///
    /// # References
    /// sendto(2).
    #[doc(alias = "sendto")]
    #[inline(always)]
    pub fn send_to(&self, data: &[u8], flags: MsgFlags, addr: impl ToAddr) -> Result<usize> {
        self.plain().send_to(data, flags, addr)
    }

    /// Receives into `buf`, and answers how many bytes came. On a stream, none means that the
    /// peer has ended its side; on datagram sockets, an empty message. What of a datagram does
    /// not fit is lost; with [`MsgFlags::TRUNC`] the answer is its real length.
    ///
    /// # Errors
    /// `ECONNRESET`: the peer broke the connection. `ECONNREFUSED`: an earlier datagram met
    /// nobody. `EAGAIN` on a non-blocking socket, [`Error::TimedOut`] on a limited one.
    ///
    /// # References
    /// recv(2).
    #[inline]
    pub fn recv(&self, buf: &mut [u8], flags: MsgFlags) -> Result<usize> {
        self.plain().recv(buf, flags)
    }

    /// The same with a moment by which something has to come, whatever the socket's mode.
    ///
    /// # Errors
    /// As [`Socket::recv`]; [`Error::TimedOut`] at the deadline.
    ///
    /// # References
    /// recv(2), poll(2).
    #[inline]
    pub fn recv_until(&self, buf: &mut [u8], flags: MsgFlags, deadline: Deadline) -> Result<usize> {
        self.until(deadline).recv(buf, flags)
    }

    /// Receives into memory of any kind, initialised or not: see [`RecvBuf`].
    ///
    /// ```
    /// use berkeley::{Family, Kind, MsgFlags, Socket};
    ///
    /// # fn main() -> Result<(), berkeley::Error> {
    /// let (a, b) = Socket::pair(Family::UNIX, Kind::STREAM)?;
    /// a.send_all(b"hello")?;
    /// let mut text = Vec::with_capacity(64);
    /// b.recv_into(&mut text, MsgFlags::NONE)?;
    /// assert_eq!(text, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Socket::recv`]; [`Error::Invalid`] for a vector without spare capacity and for memory
    /// of no length that is uninitialised: the answer would look like the end of the stream.
    ///
    /// # References
    /// recv(2).
    #[doc(alias = "recv")]
    #[inline]
    pub fn recv_into<B: RecvBuf>(&self, buf: B, flags: MsgFlags) -> Result<B::Filled> {
        self.plain().recv_into(buf, flags)
    }

    /// Receives at most `len` bytes into a new vector, which is all that is allocated.
    ///
    /// # Errors
    /// As [`Socket::recv`].
    ///
    /// # References
    /// recv(2).
    pub fn recv_vec(&self, len: usize, flags: MsgFlags) -> Result<Vec<u8>> {
        self.plain().recv_vec(len, flags)
    }

    /// Receives one message with its sender (`None` for a sender without a name, and for a
    /// connected stream).
    ///
    /// # Errors
    /// As [`Socket::recv`].
    ///
    /// # References
    /// recvfrom(2).
    #[doc(alias = "recvfrom")]
    #[inline]
    pub fn recv_from(&self, buf: &mut [u8], flags: MsgFlags) -> Result<(usize, Option<Addr>)> {
        self.plain().recv_from(buf, flags)
    }

    /// [`Socket::recv_into`], leaving the sender's address in `sender` as the kernel lays it out:
    /// none for a sender without a name, and for a connected stream. For loops that receive much,
    /// in every family.
    ///
    /// # Errors
    /// As [`Socket::recv_into`].
    ///
    /// # References
    /// recvfrom(2).
    #[doc(alias = "recvfrom")]
    #[inline]
    pub fn recv_addr<B: RecvBuf>(
        &self,
        buf: B,
        flags: MsgFlags,
        sender: &mut AddrBuf,
    ) -> Result<B::Filled> {
        self.plain().recv_addr(buf, flags, sender)
    }

    /// The same into memory of any kind: see [`RecvBuf`].
    ///
    /// # Errors
    /// As [`Socket::recv_into`].
    ///
    /// # References
    /// recvfrom(2).
    #[doc(alias("recvfrom_into", "recvfrom"))]
    #[inline]
    pub fn recv_from_into<B: RecvBuf>(
        &self,
        buf: B,
        flags: MsgFlags,
    ) -> Result<(B::Filled, Option<Addr>)> {
        self.plain().recv_from_into(buf, flags)
    }

    /// Receives into many buffers with one system call, filling one after the other.
    ///
    /// # Errors
    /// As [`Socket::recv`].
    ///
    /// # References
    /// recvmsg(2).
    #[doc(alias = "recvmsg")]
    pub fn recv_scattered(&self, buffers: &mut [IoSliceMut<'_>], flags: MsgFlags) -> Result<usize> {
        self.plain().recv_scattered(buffers, flags)
    }

    /// Bytes that were sent on a TCP stream and that the peer has not acknowledged yet
    /// (`SIOCOUTQ`, tcp(7)).
    ///
    /// # Errors
    /// `EINVAL` on a socket that listens.
    #[doc(alias = "SIOCOUTQ")]
    pub fn unacknowledged(&self) -> Result<usize> {
        sys::socket::unsent(self.as_fd()).map_err(|errno| self.failure("ioctl SIOCOUTQ", errno))
    }
}

/// The calls of [`Socket`] of the same names.
// Those on the way of data are inlined always: what follows a failed first attempt is out of line,
// and what is left is little more than the system call.
impl<H: Hook> Hooked<'_, H> {
    /// [`Socket::accept`].
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    pub fn accept(&self) -> Result<(Socket, Option<Addr>)> {
        self.accept_as(RawMode::usual())
    }

    /// [`Socket::accept_with`].
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    pub fn accept_with(&self, mode: Mode) -> Result<(Socket, Option<Addr>)> {
        self.accept_as(RawMode::of(mode))
    }

    /// [`Socket::accept_addr`].
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    pub fn accept_addr(&self, mode: Mode, peer: &mut AddrBuf) -> Result<Socket> {
        let mode = RawMode::of(mode);
        let (fd, place) = (self.socket.as_fd(), &mut *peer);
        let attempt = move |_flags| sys::socket::accept(fd, mode.accept_flags(), place);
        match self.accept_first(attempt) {
            Ok(fd) => Ok(self.socket.accepted(fd, mode)),
            Err(first) => self.accept_slowly(mode, None, first, peer),
        }
    }

    /// [`Socket::accept_flags`].
    ///
    /// # Errors
    /// As there.
    pub fn accept_flags(&self, flags: AcceptFlags) -> Result<(Socket, Option<Addr>)> {
        let mode = if flags.raw() & libc::SOCK_NONBLOCK == 0 {
            Mode::Block
        } else {
            Mode::NonBlock
        };
        self.accept_by(RawMode::of(mode), Some(flags), None)
    }

    #[inline(always)]
    fn accept_as(&self, mode: RawMode) -> Result<(Socket, Option<Addr>)> {
        let mut room = AddrRoom::new();
        let (fd, place) = (self.socket.as_fd(), &mut room);
        match self
            .accept_first(move |_flags| sys::socket::accept_in(fd, mode.accept_flags(), place))
        {
            Ok((fd, peer)) => addr::read(
                peer,
                self.socket.accepted(fd, mode),
                |socket, addr| Ok((socket, Some(Addr::Inet(addr)))),
                |socket, addr| Ok((socket, Some(Addr::Inet6(addr)))),
                |socket| with_peer(socket, peer),
            ),
            Err(first) => self.accept_by(mode, None, first),
        }
    }

    /// The first attempt; `None` where it has to wait before that.
    #[inline(always)]
    fn accept_first<T: Send>(
        &self,
        attempt: impl FnOnce(i32) -> Result<T, Errno> + Send,
    ) -> Result<T, Option<Errno>> {
        if self.deadline.is_some() {
            return Err(None);
        }
        self.first(MsgFlags::NONE, attempt).map_err(Some)
    }

    #[cold]
    fn accept_by(
        self,
        mode: RawMode,
        flags: Option<AcceptFlags>,
        first: Option<Errno>,
    ) -> Result<(Socket, Option<Addr>)> {
        let mut peer = AddrBuf::new();
        let socket = self.accept_slowly(mode, flags, first, &mut peer)?;
        Ok((socket, peer.addr()))
    }

    /// All that is not the first attempt, or follows it.
    #[cold]
    fn accept_slowly(
        self,
        mode: RawMode,
        flags: Option<AcceptFlags>,
        first: Option<Errno>,
        raw: &mut AddrBuf,
    ) -> Result<Socket> {
        let socket = self.socket;
        // accept(2) has no flag that keeps a blocking listener from blocking.
        if let Some(deadline) = self.deadline
            && socket.mode() == Mode::Block
        {
            let wait = self.waiting(Until::Readable, "accept");
            wait_ready(self.hook, wait, deadline)?;
        }
        let flags = flags.map_or(mode.accept_flags(), AcceptFlags::raw);
        let attempt = |_flags| sys::socket::accept(socket.as_fd(), flags, raw);
        let fd = match first {
            Some(errno) => self.again(Until::Readable, "accept", MsgFlags::NONE, errno, attempt),
            None => self.run(Until::Readable, "accept", MsgFlags::NONE, attempt),
        }?;
        Ok(socket.accepted(fd, mode))
    }

    /// [`Socket::send`].
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    pub fn send(&self, data: &[u8], flags: MsgFlags) -> Result<usize> {
        let fd = self.socket.as_fd();
        self.run(Until::Writable, "send", flags, |flags| {
            sys::socket::send(fd, data, flags)
        })
    }

    /// [`Socket::send_gathered`].
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn send_gathered(&self, pieces: &[IoSlice<'_>], flags: MsgFlags) -> Result<usize> {
        if self.socket.has_too_many(pieces) {
            return Err(Error::os("sendmsg", Errno::EMSGSIZE));
        }
        let fd = self.socket.as_fd();
        self.run(Until::Writable, "sendmsg", flags, |flags| {
            sys::socket::send_gathered(fd, pieces, flags)
        })
    }

    /// [`Socket::send_to`].
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    pub fn send_to(&self, data: &[u8], flags: MsgFlags, addr: impl ToAddr) -> Result<usize> {
        let fd = self.socket.as_fd();
        let mut place = AddrBuf::new();
        let raw = addr::lay_out(&addr, &mut place)?;
        match self.first(flags, |flags| sys::socket::sendto(fd, data, flags, raw)) {
            Ok(len) => Ok(len),
            Err(errno) => self.send_to_again(data, flags, raw, errno),
        }
    }

    #[cold]
    fn send_to_again(
        self,
        data: &[u8],
        flags: MsgFlags,
        raw: &AddrBuf,
        errno: Errno,
    ) -> Result<usize> {
        let fd = self.socket.as_fd();
        self.again(Until::Writable, "sendto", flags, errno, |flags| {
            sys::socket::sendto(fd, data, flags, raw)
        })
        .map_err(|error| meant_for(raw, error))
    }

    /// [`Socket::recv`].
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    pub fn recv(&self, buf: &mut [u8], flags: MsgFlags) -> Result<usize> {
        let fd = self.socket.as_fd();
        let len = self.run(Until::Readable, "recv", flags, |flags| {
            sys::socket::recv(fd, buf, flags)
        })?;
        if len == 0 {
            self.socket.ended("recv")?;
        }
        Ok(len)
    }

    /// [`Socket::recv_into`].
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    pub fn recv_into<B: RecvBuf>(&self, buf: B, flags: MsgFlags) -> Result<B::Filled> {
        let fd = self.socket.as_fd();
        let mut slot = Slot::new(buf, flags.raw());
        if slot.has_no_room() {
            return Err(no_room());
        }
        match self.first(flags, |flags| sys::buf::recv(fd, &mut slot, flags)) {
            Ok(()) if slot.came() > 0 => Ok(slot.filled()),
            first => self.recv_into_slowly(slot, flags, first),
        }
    }

    #[cold]
    fn recv_into_slowly<B: RecvBuf>(
        self,
        mut slot: Slot<B>,
        flags: MsgFlags,
        first: Result<(), Errno>,
    ) -> Result<B::Filled> {
        let fd = self.socket.as_fd();
        if let Err(errno) = first {
            self.again(Until::Readable, "recv", flags, errno, |flags| {
                sys::buf::recv(fd, &mut slot, flags)
            })?;
        }
        if slot.came() == 0 {
            self.socket.ended("recv")?;
        }
        Ok(slot.filled())
    }

    /// [`Socket::recv_vec`].
    ///
    /// # Errors
    /// As there.
    pub fn recv_vec(&self, len: usize, flags: MsgFlags) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len);
        if len == 0 {
            self.recv(&mut [], flags)?;
        } else {
            self.recv_into(AtMost(&mut bytes, len), flags)?;
        }
        Ok(bytes)
    }

    /// [`Socket::recv_from`].
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    pub fn recv_from(&self, buf: &mut [u8], flags: MsgFlags) -> Result<(usize, Option<Addr>)> {
        let mut room = AddrRoom::new();
        let (fd, place, data) = (self.socket.as_fd(), &mut room, &mut *buf);
        match self.first(flags, move |flags| {
            sys::socket::recvfrom(fd, data, flags, place)
        }) {
            Ok((len, sender)) => addr::read(
                sender,
                len,
                |len, addr| Ok((len, Some(Addr::Inet(addr)))),
                |len, addr| Ok((len, Some(Addr::Inet6(addr)))),
                |len| self.socket.received(len, sender),
            ),
            Err(errno) => self.recv_from_again(buf, flags, errno),
        }
    }

    #[cold]
    fn recv_from_again(
        self,
        buf: &mut [u8],
        flags: MsgFlags,
        errno: Errno,
    ) -> Result<(usize, Option<Addr>)> {
        let fd = self.socket.as_fd();
        let mut sender = AddrBuf::new();
        let mut slot = Slot::new(buf, flags.raw());
        self.again(Until::Readable, "recvfrom", flags, errno, |flags| {
            sys::buf::recvfrom(fd, &mut slot, flags, &mut sender)
        })?;
        self.socket.received(slot.filled(), sender.written())
    }

    /// [`Socket::recv_from_into`].
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn recv_from_into<B: RecvBuf>(
        &self,
        buf: B,
        flags: MsgFlags,
    ) -> Result<(B::Filled, Option<Addr>)> {
        let mut raw = AddrBuf::new();
        let filled = self.recv_addr(buf, flags, &mut raw)?;
        Ok((filled, raw.addr()))
    }

    /// [`Socket::recv_addr`].
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    pub fn recv_addr<B: RecvBuf>(
        &self,
        buf: B,
        flags: MsgFlags,
        sender: &mut AddrBuf,
    ) -> Result<B::Filled> {
        let fd = self.socket.as_fd();
        let mut slot = Slot::new(buf, flags.raw());
        if slot.has_no_room() {
            return Err(no_room());
        }
        let attempt = |flags| sys::buf::recvfrom(fd, &mut slot, flags, sender);
        match self.first(flags, attempt) {
            Ok(()) if slot.came() > 0 => Ok(slot.filled()),
            first => self.recv_addr_slowly(slot, flags, first, sender),
        }
    }

    #[cold]
    fn recv_addr_slowly<B: RecvBuf>(
        self,
        mut slot: Slot<B>,
        flags: MsgFlags,
        first: Result<(), Errno>,
        sender: &mut AddrBuf,
    ) -> Result<B::Filled> {
        let fd = self.socket.as_fd();
        if let Err(errno) = first {
            self.again(Until::Readable, "recvfrom", flags, errno, |flags| {
                sys::buf::recvfrom(fd, &mut slot, flags, sender)
            })?;
        }
        if slot.came() == 0 {
            self.socket.ended("recvfrom")?;
        }
        Ok(slot.filled())
    }

    /// [`Socket::recv_scattered`].
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn recv_scattered(&self, buffers: &mut [IoSliceMut<'_>], flags: MsgFlags) -> Result<usize> {
        let fd = self.socket.as_fd();
        let len = self.run(Until::Readable, "recvmsg", flags, |flags| {
            sys::socket::recv_scattered(fd, buffers, flags)
        })?;
        if len == 0 {
            self.socket.ended("recvmsg")?;
        }
        Ok(len)
    }
}

impl Socket {
    /// True for a message that would be cut: the kernel takes no more pieces than that.
    #[inline(always)]
    pub(crate) fn has_too_many(&self, pieces: &[IoSlice<'_>]) -> bool {
        pieces.len() > IOV_MAX && self.kind() != Kind::STREAM
    }

    /// What came, with its sender, where that is read out of line. Nothing from nobody may be
    /// the end.
    #[cold]
    #[inline(never)]
    fn received(&self, len: usize, sender: Written<'_>) -> Result<(usize, Option<Addr>)> {
        if len == 0 {
            self.ended("recvfrom")?;
        }
        Ok((len, AddrBuf::from_bytes(sender.bytes()).addr()))
    }
}

/// An accepted socket with its peer, where that is read out of line.
#[cold]
#[inline(never)]
fn with_peer(socket: Socket, peer: Written<'_>) -> Result<(Socket, Option<Addr>)> {
    Ok((socket, AddrBuf::from_bytes(peer.bytes()).addr()))
}

#[cold]
fn no_room() -> Error {
    Error::Invalid("recv: the buffer has no room".into())
}

/// As [`Socket::recv`] in the socket's mode: a time limit is [`io::ErrorKind::TimedOut`].
impl Read for &Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.recv(buf, MsgFlags::NONE)?)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(self.recv_scattered(buffers, MsgFlags::NONE)?)
    }
}

/// As [`Socket::send`] in the socket's mode; nothing is kept back, so there is nothing to flush.
impl Write for &Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(self.send(buf, MsgFlags::NONE)?)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(self.send_gathered(pieces, MsgFlags::NONE)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As for `&Socket`.
impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

/// As for `&Socket`.
impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads from a descriptor that is no socket (a terminal, a pipe, a file) into `buf`; none at its
/// end. It waits if the descriptor does, so ask a selector first.
///
/// # Errors
/// `EAGAIN` from a descriptor that does not block; `EIO` from a terminal that is gone.
///
/// # References
/// read(2).
pub fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize> {
    retry(
        fd,
        Patience::None,
        Until::Readable,
        "read",
        || -> Result<usize, Errno> { sys::socket::read(fd, buf) },
    )
}
