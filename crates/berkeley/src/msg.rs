//! Whole messages: many buffers, an address and control messages with one call; descriptors; the
//! error queue.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::addr::{Addr, AddrBuf};
use crate::control::{Cmsg, CmsgOut, Cmsgs, ControlOut, ExtendedError, Timestamps, control_space};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::hook::{Hook, Hooked};
use crate::kinds::MsgFlags;
use crate::socket::{Socket, meant_for};
use crate::sys;
use crate::sys::control::{ControlBuf, ControlSpace};
use crate::sys::msg::Received;
use crate::wait::Until;

/// Descriptors that one message carries at most (`SCM_MAX_FD`), unix(7).
pub const FDS_MAX: usize = 253;

const fn space(payload: usize) -> usize {
    match control_space(payload) {
        Some(space) => space,
        None => 0,
    }
}

/// Room for all the descriptors that a message can carry.
const FDS_BYTES: usize = space(FDS_MAX * size_of::<i32>());

/// Room for descriptors and for what a socket may have been told to add: credentials, the
/// process, a security label, the time.
const RECV_FDS_BYTES: usize = FDS_BYTES + 512;

/// Room for an entry of the error queue and for what may come with it.
const ERROR_BYTES: usize = 512;

/// A message to send: its data in pieces, to whom, and the control messages beside it.
///
/// ```
/// use berkeley::{CmsgOut, ControlSpace, Family, Kind, MsgFlags, OutMessage, Protocol, Socket};
/// use std::io::IoSlice;
///
/// # fn main() -> Result<(), berkeley::Error> {
/// let socket = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT)?;
/// socket.bind("127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap())?;
/// let addr = socket.local_addr()?;
///
/// let mut space = ControlSpace::<64>::new();
/// let mut control = space.out();
/// control.push(CmsgOut::Ttl(9))?;
/// let pieces = [IoSlice::new(b"head "), IoSlice::new(b"body")];
/// let message = OutMessage::new(&pieces).to(&addr).control(&control);
/// assert_eq!(socket.send_message(&message, MsgFlags::NONE)?, 9);
/// # Ok(())
/// # }
/// ```
///
/// # References
/// sendmsg(2).
#[derive(Debug, Clone, Copy)]
pub struct OutMessage<'a> {
    pub(crate) pieces: &'a [IoSlice<'a>],
    pub(crate) addr: Option<&'a Addr>,
    pub(crate) control: &'a [u8],
}

impl<'a> OutMessage<'a> {
    /// A message with these data, to the connected peer, without control messages. Of a stream, at
    /// most 1,024 pieces are looked at (`IOV_MAX`); a datagram of more is `EMSGSIZE` when it is
    /// sent.
    #[must_use]
    pub const fn new(pieces: &'a [IoSlice<'a>]) -> Self {
        Self {
            pieces,
            addr: None,
            control: &[],
        }
    }

    /// The same to an address.
    #[must_use]
    pub const fn to(self, addr: &'a Addr) -> Self {
        Self {
            addr: Some(addr),
            ..self
        }
    }

    /// The same with control messages.
    #[must_use]
    pub fn control(self, control: &'a ControlOut<'a>) -> Self {
        Self {
            control: control.as_bytes(),
            ..self
        }
    }
}

/// What is known of a received message; its data are in the caller's buffers.
///
/// # References
/// recvmsg(2).
#[derive(Debug)]
pub struct InMessage<'c, 's> {
    pub(crate) received: Received,
    pub(crate) control: &'c mut ControlBuf<'s>,
}

impl<'s> InMessage<'_, 's> {
    /// Bytes of data that came; with [`MsgFlags::TRUNC`] the real length of a datagram, which
    /// may be more than the buffers hold.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.received.len
    }

    /// True if no data came: the end of a stream, or an empty datagram.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.received.len == 0
    }

    /// What the kernel says about the message (`MSG_EOR`, `MSG_TRUNC`, `MSG_CTRUNC`, `MSG_OOB`,
    /// `MSG_ERRQUEUE`).
    ///
    /// # References
    /// recvmsg(2), `msg_flags`.
    #[must_use]
    pub const fn flags(&self) -> MsgFlags {
        MsgFlags::from_raw(self.received.flags)
    }

    /// True if the datagram was longer than the buffers: the rest is lost (`MSG_TRUNC`).
    ///
    /// # References
    /// recvmsg(2), `MSG_TRUNC`.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.received.flags & libc::MSG_TRUNC != 0
    }

    /// True if control messages were lost for want of room or, for descriptors, because the
    /// process may not have more of them (`MSG_CTRUNC`).
    ///
    /// # References
    /// recvmsg(2), `MSG_CTRUNC`.
    #[must_use]
    pub const fn is_control_truncated(&self) -> bool {
        self.received.flags & libc::MSG_CTRUNC != 0
    }

    /// The sender; `None` for one without a name, and for a connected stream.
    ///
    /// # References
    /// recvmsg(2), `msg_name`.
    #[must_use]
    pub fn addr(&self) -> Option<Addr> {
        self.control.addr.addr()
    }

    /// The same as the kernel laid it out.
    #[must_use]
    pub const fn addr_buf(&self) -> &AddrBuf {
        &self.control.addr
    }

    /// The control messages. Descriptors among them that nobody takes are closed when the
    /// control buffer is used again or dropped.
    pub fn control(&mut self) -> Cmsgs<'_> {
        self.control.cmsgs()
    }

    /// The control messages byte for byte.
    ///
    /// # References
    /// cmsg(3).
    #[must_use]
    pub fn control_bytes(&self) -> &[u8] {
        self.control.as_bytes()
    }

    /// The control buffer, for a look at it after the message.
    pub const fn control_buf(&mut self) -> &mut ControlBuf<'s> {
        self.control
    }
}

/// A message with its descriptors, from [`Socket::recv_fds`].
///
/// # References
/// unix(7), `SCM_RIGHTS`.
#[derive(Debug)]
pub struct FdsMessage {
    /// Bytes of data that came.
    pub len: usize,
    /// The descriptors, in the order in which they were sent.
    pub fds: Vec<OwnedFd>,
    /// What the kernel says about the message.
    pub flags: MsgFlags,
    /// The sender, if it has a name.
    pub addr: Option<Addr>,
}

impl FdsMessage {
    /// True if descriptors were lost: the process may not have more of them.
    ///
    /// # References
    /// recvmsg(2), `MSG_CTRUNC`.
    #[must_use]
    pub const fn is_control_truncated(&self) -> bool {
        self.flags.raw() & libc::MSG_CTRUNC != 0
    }
}

/// An entry of a socket's error queue, from [`Socket::recv_error`].
///
/// # References
/// recv(2), `MSG_ERRQUEUE`; ip(7), `IP_RECVERR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedError {
    /// What the entry says; `None` from a family that has a form of its own for that.
    pub error: Option<ExtendedError>,
    /// When the packet passed, if the entry is about that (`SO_TIMESTAMPING`).
    pub timestamps: Option<Timestamps>,
    /// Where the packet that met the error was sent to.
    pub destination: Option<Addr>,
    /// Bytes of that packet which are now in the buffer.
    pub len: usize,
    /// True if the buffer was too short for the packet.
    pub is_truncated: bool,
}

impl Socket {
    /// Sends a message, and answers how many bytes of data the kernel took; on datagram and
    /// sequenced-packet sockets it is all or nothing. Control messages go with the first byte.
    ///
    /// # Errors
    /// As [`Socket::send_to`]; `EINVAL` for a control message that the family does not know or
    /// whose value is out of range; `ETOOMANYREFS`: too many descriptors are under way; `EPERM`
    /// for credentials that are not the sender's.
    ///
    /// # References
    /// sendmsg(2), cmsg(3).
    #[doc(alias = "sendmsg")]
    #[inline]
    pub fn send_message(&self, message: &OutMessage<'_>, flags: MsgFlags) -> Result<usize> {
        self.plain().send_message(message, flags)
    }

    /// Receives a message into `buffers`, one after the other, and what came beside it into
    /// `control`; what that held before is forgotten. Received descriptors are owned at once,
    /// and close-on-exec.
    ///
    /// # Errors
    /// As [`Socket::recv_from`].
    ///
    /// # References
    /// recvmsg(2), cmsg(3).
    #[doc(alias = "recvmsg")]
    #[doc(alias = "recvmsg_into")]
    #[inline]
    pub fn recv_message<'c, 's>(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        control: &'c mut ControlBuf<'s>,
        flags: MsgFlags,
    ) -> Result<InMessage<'c, 's>> {
        self.plain().recv_message(buffers, control, flags)
    }

    /// Sends data with descriptors, at most [`FDS_MAX`] of them, over a Unix socket. On a stream
    /// at least one byte of data has to go with them.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more descriptors than that; else as [`Socket::send_message`].
    ///
    /// # References
    /// unix(7), `SCM_RIGHTS`.
    #[doc(alias = "SCM_RIGHTS")]
    pub fn send_fds(&self, data: &[u8], fds: &[BorrowedFd<'_>], flags: MsgFlags) -> Result<usize> {
        self.plain().send_fds(data, fds, flags)
    }

    /// Receives data with descriptors from a Unix socket: owned, close-on-exec, and room for as
    /// many as a message can carry.
    ///
    /// # Errors
    /// As [`Socket::recv`].
    ///
    /// # References
    /// unix(7), `SCM_RIGHTS`.
    #[doc(alias = "SCM_RIGHTS")]
    pub fn recv_fds(&self, buf: &mut [u8], flags: MsgFlags) -> Result<FdsMessage> {
        self.plain().recv_fds(buf, flags)
    }

    /// Takes the next entry off the error queue, without waiting: errors of sent packets (after
    /// `IP_RECVERR`, `IPV6_RECVERR`), times of sent packets (`SO_TIMESTAMPING`), completions of
    /// `MSG_ZEROCOPY`. The packet that it is about, or a part of it, goes into `buf`. `None` if
    /// the queue is empty. A selector tells of an entry with an error event.
    ///
    /// # Errors
    /// Those of the socket itself, which the queue does not hold.
    ///
    /// # References
    /// ip(7), `IP_RECVERR`; recv(2), `MSG_ERRQUEUE`.
    #[doc(alias = "MSG_ERRQUEUE")]
    pub fn recv_error(&self, buf: &mut [u8]) -> Result<Option<QueuedError>> {
        self.plain().recv_error(buf)
    }
}

/// The calls of [`Socket`] of the same names.
impl<H: Hook> Hooked<'_, H> {
    /// [`Socket::send_message`].
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    pub fn send_message(&self, message: &OutMessage<'_>, flags: MsgFlags) -> Result<usize> {
        match message.addr {
            None => self.send_laid_out(message, None, flags),
            Some(addr) => self.send_addressed(message, addr, flags),
        }
    }

    /// Apart, so that a message without an address does not pay for the room of one.
    #[inline(never)]
    fn send_addressed(
        &self,
        message: &OutMessage<'_>,
        addr: &Addr,
        flags: MsgFlags,
    ) -> Result<usize> {
        let mut raw = AddrBuf::new();
        raw.set_addr(addr);
        self.send_laid_out(message, Some(&raw), flags)
            .map_err(|error| meant_for(&raw, error))
    }

    #[inline(always)]
    fn send_laid_out(
        &self,
        message: &OutMessage<'_>,
        addr: Option<&AddrBuf>,
        flags: MsgFlags,
    ) -> Result<usize> {
        if self.socket.has_too_many(message.pieces) {
            return Err(Error::os("sendmsg", Errno::EMSGSIZE));
        }
        let (
            fd,
            OutMessage {
                pieces, control, ..
            },
        ) = (self.socket.as_fd(), *message);
        self.run(Until::Writable, "sendmsg", flags, |flags| {
            sys::msg::sendmsg(fd, pieces, addr, control, flags)
        })
    }

    /// [`Socket::recv_message`].
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    pub fn recv_message<'c, 's>(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        control: &'c mut ControlBuf<'s>,
        flags: MsgFlags,
    ) -> Result<InMessage<'c, 's>> {
        control.clear();
        let fd = self.socket.as_fd();
        let more = self.socket.family().receive_flag();
        let first = self.first(flags, |flags| {
            sys::msg::recvmsg(fd, buffers, control, flags | more)
        });
        let received = match first {
            Ok(received) => received,
            Err(errno) => self.recv_message_again(buffers, control, flags, errno)?,
        };
        if received.len == 0 {
            self.socket.ended("recvmsg")?;
        }
        Ok(InMessage { received, control })
    }

    #[cold]
    fn recv_message_again(
        self,
        buffers: &mut [IoSliceMut<'_>],
        control: &mut ControlBuf<'_>,
        flags: MsgFlags,
        errno: Errno,
    ) -> Result<Received> {
        let fd = self.socket.as_fd();
        let more = self.socket.family().receive_flag();
        let until = if flags.contains(MsgFlags::ERRQUEUE) {
            Until::Failed
        } else {
            Until::Readable
        };
        self.again(until, "recvmsg", flags, errno, |flags| {
            sys::msg::recvmsg(fd, buffers, control, flags | more)
        })
    }

    /// [`Socket::recv_error`].
    ///
    /// # Errors
    /// As there.
    pub fn recv_error(&self, buf: &mut [u8]) -> Result<Option<QueuedError>> {
        match self.queued_error(buf, MsgFlags::DONTWAIT) {
            Err(Error::Os {
                errno: Errno::EAGAIN,
                ..
            }) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// The same, waiting for an entry as the flags allow.
    pub(crate) fn queued_error(&self, buf: &mut [u8], flags: MsgFlags) -> Result<QueuedError> {
        let mut space = ControlSpace::<ERROR_BYTES>::new();
        let mut control = space.buf();
        let mut buffers = [IoSliceMut::new(buf)];
        let flags = flags | MsgFlags::ERRQUEUE;
        let mut message = self.recv_message(&mut buffers, &mut control, flags)?;
        let mut queued = QueuedError {
            error: None,
            timestamps: None,
            destination: message.addr(),
            len: message.len(),
            is_truncated: message.is_truncated(),
        };
        for item in message.control() {
            match item {
                Cmsg::ExtendedError(error) => queued.error = Some(error),
                Cmsg::Timestamping(stamps) => queued.timestamps = Some(stamps),
                _ => {}
            }
        }
        Ok(queued)
    }

    /// [`Socket::send_fds`].
    ///
    /// # Errors
    /// As there.
    pub fn send_fds(&self, data: &[u8], fds: &[BorrowedFd<'_>], flags: MsgFlags) -> Result<usize> {
        if fds.len() > FDS_MAX {
            return Err(Error::Invalid(format!(
                "{} descriptors in one message, the most are {FDS_MAX}",
                fds.len()
            )));
        }
        let mut space = ControlSpace::<FDS_BYTES>::new();
        let mut control = space.out();
        if !fds.is_empty() {
            control.push(CmsgOut::Rights(fds))?;
        }
        let pieces = [IoSlice::new(data)];
        self.send_message(&OutMessage::new(&pieces).control(&control), flags)
    }

    /// [`Socket::recv_fds`].
    ///
    /// # Errors
    /// As there.
    pub fn recv_fds(&self, buf: &mut [u8], flags: MsgFlags) -> Result<FdsMessage> {
        let mut space = ControlSpace::<RECV_FDS_BYTES>::new();
        let mut control = space.buf();
        let mut buffers = [IoSliceMut::new(buf)];
        let mut message = self.recv_message(&mut buffers, &mut control, flags)?;
        let mut fds = Vec::new();
        for item in message.control() {
            if let Cmsg::Rights(received) = item {
                fds.extend(received);
            }
        }
        Ok(FdsMessage {
            len: message.len(),
            fds,
            flags: message.flags(),
            addr: message.addr(),
        })
    }
}
