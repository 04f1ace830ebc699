//! Sending and receiving.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use crate::addr::{Addr, RawAddr};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::kinds::MsgFlags;
use crate::socket::Socket;
use crate::sys;
use crate::wait::{Patience, Until, retry};

impl Socket {
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
        retry(
            self.as_fd(),
            self.patience_with(flags),
            Until::Writable,
            "send",
            || sys::socket::send(self.as_fd(), data, flags.raw()),
        )
    }

    /// Sends all of `data`. The socket's time limit bounds the whole of it, even while the peer
    /// takes some of it now and then.
    ///
    /// # Errors
    /// As [`Socket::send`]; [`Error::Partial`] says how much went out when some did.
    pub fn send_all(&self, data: &[u8]) -> Result<()> {
        let patience = self.patience();
        let mut sent = 0;
        loop {
            let rest = data.get(sent..).unwrap_or_default();
            let step = retry(self.as_fd(), patience, Until::Writable, "send", || {
                sys::socket::send(self.as_fd(), rest, 0)
            });
            match step {
                Ok(len) => sent += len,
                Err(cause) if sent == 0 => return Err(cause),
                Err(cause) => {
                    return Err(Error::Partial {
                        sent,
                        cause: Box::new(cause),
                    });
                }
            }
            if sent >= data.len() {
                return Ok(());
            }
            if patience.has_ended() {
                return Err(Error::Partial {
                    sent,
                    cause: Box::new(Error::TimedOut { call: "send" }),
                });
            }
        }
    }

    /// Sends many pieces with one system call, as if they were one; answers how many bytes were
    /// taken. At most 1,024 pieces are looked at.
    ///
    /// # Errors
    /// As [`Socket::send`].
    ///
    /// # References
    /// sendmsg(2).
    #[doc(alias = "sendmsg")]
    #[inline]
    pub fn send_gathered(&self, pieces: &[IoSlice<'_>], flags: MsgFlags) -> Result<usize> {
        retry(
            self.as_fd(),
            self.patience_with(flags),
            Until::Writable,
            "sendmsg",
            || sys::socket::send_gathered(self.as_fd(), pieces, flags.raw()),
        )
    }

    /// Sends one datagram to an address.
    ///
    /// # Errors
    /// As [`Socket::send`]; `ECONNREFUSED` may be the answer to an earlier datagram.
    ///
    /// # References
    /// sendto(2).
    #[doc(alias = "sendto")]
    #[inline]
    pub fn send_to(&self, data: &[u8], flags: MsgFlags, addr: &Addr) -> Result<usize> {
        let raw = RawAddr::encode(addr);
        retry(
            self.as_fd(),
            self.patience_with(flags),
            Until::Writable,
            "sendto",
            || sys::socket::sendto(self.as_fd(), data, flags.raw(), &raw),
        )
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
        retry(
            self.as_fd(),
            self.patience_with(flags),
            Until::Readable,
            "recv",
            || sys::socket::recv(self.as_fd(), buf, flags.raw()),
        )
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
        let mut raw = RawAddr::empty();
        let len = retry(
            self.as_fd(),
            self.patience_with(flags),
            Until::Readable,
            "recvfrom",
            || sys::socket::recvfrom(self.as_fd(), buf, flags.raw(), &mut raw),
        )?;
        Ok((len, raw.decode_peer()))
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
        retry(
            self.as_fd(),
            self.patience_with(flags),
            Until::Readable,
            "recvmsg",
            || sys::socket::recv_scattered(self.as_fd(), buffers, flags.raw()),
        )
    }

    /// How one call with these flags waits: `DONTWAIT` outdoes the socket's mode.
    fn patience_with(&self, flags: MsgFlags) -> Patience {
        if flags.contains(MsgFlags::DONTWAIT) {
            Patience::None
        } else {
            self.patience()
        }
    }

    /// Bytes that were sent on a TCP stream and that the peer has not acknowledged yet
    /// (`SIOCOUTQ`, tcp(7)).
    ///
    /// # Errors
    /// `EINVAL` on a socket that listens.
    #[doc(alias = "SIOCOUTQ")]
    pub fn unacknowledged(&self) -> Result<usize> {
        sys::socket::unsent(self.as_fd()).map_err(|errno| Error::os("ioctl SIOCOUTQ", errno))
    }
}

impl Read for &Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.recv(buf, MsgFlags::NONE)?)
    }
}

impl Write for &Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(self.send(buf, MsgFlags::NONE)?)
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
