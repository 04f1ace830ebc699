//! Many datagrams with one system call.

use core::ops::{Deref, DerefMut};
use std::os::fd::AsFd;

use crate::addr::AddrBuf;
use crate::control::Cmsg;
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::hook::{Hook, Hooked};
use crate::kinds::{Kind, MsgFlags};
use crate::msg::{InMessage, OutMessage};
use crate::segment::Segments;
use crate::socket::{Socket, meant_for};
use crate::sys;
use crate::sys::control::ControlBuf;
use crate::sys::msg::{Received, RecvHeaders, SEND_BATCH_MAX};
use crate::wait::{Patience, Until};

/// Room for a batch of received messages: data, sender and control messages of each. It is made
/// once and used for every call, which then allocates nothing.
///
/// ```
/// use berkeley::{Family, Kind, MsgFlags, OutMessage, Protocol, RecvBatch, Socket};
/// use std::io::IoSlice;
///
/// # fn main() -> Result<(), berkeley::Error> {
/// let socket = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT)?;
/// socket.bind("127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap())?;
/// let addr = socket.local_addr()?;
/// let pieces = [[IoSlice::new(b"one")], [IoSlice::new(b"two")]];
/// let messages = pieces.each_ref().map(|pieces| OutMessage::new(pieces).to(&addr));
/// assert_eq!(socket.send_batch(&messages, MsgFlags::NONE)?, 2);
///
/// let mut batch = RecvBatch::new(16, 1500, 0);
/// assert_eq!(socket.recv_batch(&mut batch, MsgFlags::NONE)?, 2);
/// let mut came = batch.messages();
/// assert_eq!(came.next().unwrap().data(), b"one");
/// assert_eq!(came.next().unwrap().addr(), Some(addr));
/// # Ok(())
/// # }
/// ```
///
/// # References
/// recvmmsg(2).
#[derive(Debug)]
pub struct RecvBatch {
    data: Box<[u8]>,
    bytes_each: usize,
    controls: Box<[ControlBuf<'static>]>,
    results: Box<[Received]>,
    headers: RecvHeaders,
    /// How many messages are in it.
    count: usize,
}

impl RecvBatch {
    /// Room for so many messages (at most 1,024 of which the kernel fills with one call), each
    /// with so many bytes of data (one at least) and of control messages (possibly none).
    #[must_use]
    pub fn new(messages: usize, data_bytes: usize, control_bytes: usize) -> Self {
        let bytes_each = data_bytes.max(1);
        Self {
            data: vec![0; messages.saturating_mul(bytes_each)].into(),
            bytes_each,
            controls: (0..messages)
                .map(|_message| ControlBuf::with_capacity(control_bytes))
                .collect(),
            results: vec![Received::default(); messages].into(),
            headers: RecvHeaders::with_capacity(messages),
            count: 0,
        }
    }

    /// How many messages it has room for.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.results.len()
    }

    /// How many messages are in it.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// True if there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The messages that came last, in their order.
    pub fn messages(&mut self) -> impl Iterator<Item = BatchMessage<'_>> {
        self.data
            .chunks_exact(self.bytes_each)
            .zip(&mut self.controls)
            .zip(&self.results)
            .take(self.count)
            .map(|((data, control), received)| BatchMessage {
                data: data.get(..received.len).unwrap_or(data),
                message: InMessage {
                    received: *received,
                    control,
                },
            })
    }

    /// Forgets the messages; descriptors that nobody took are closed.
    pub fn clear(&mut self) {
        for control in self.controls.iter_mut().take(self.count) {
            control.clear();
        }
        self.count = 0;
    }
}

/// One message of a [`RecvBatch`]: its data, and what [`InMessage`] tells of one.
///
/// # References
/// recvmmsg(2), recvmsg(2).
#[derive(Debug)]
pub struct BatchMessage<'a> {
    data: &'a [u8],
    message: InMessage<'a, 'static>,
}

impl<'a> BatchMessage<'a> {
    /// The data.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The datagrams that the kernel has put together in this one (`UDP_GRO`); just one
    /// otherwise.
    pub fn segments(&mut self) -> Segments<'a> {
        let size = self.control().find_map(|item| match item {
            Cmsg::SegmentBytes(bytes) => Some(bytes),
            _ => None,
        });
        Segments::new(self.data, size)
    }
}

impl<'a> Deref for BatchMessage<'a> {
    type Target = InMessage<'a, 'static>;

    fn deref(&self) -> &Self::Target {
        &self.message
    }
}

impl DerefMut for BatchMessage<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.message
    }
}

impl Socket {
    /// Sends many datagrams, up to 32 with each system call, and answers how many went: at least
    /// one. If those are not all, the next one met an error or would have had to wait: send the
    /// rest again to learn which.
    ///
    /// # Errors
    /// As [`Socket::send_message`], for the first datagram; [`Error::Invalid`] on a stream, where
    /// a part of a message would be no better than none.
    ///
    /// # References
    /// sendmmsg(2).
    #[doc(alias = "sendmmsg")]
    pub fn send_batch(&self, messages: &[OutMessage<'_>], flags: MsgFlags) -> Result<usize> {
        self.plain().send_batch(messages, flags)
    }

    /// Receives the messages that are there, as many as the batch has room for, and answers how
    /// many: at least one, for which it waits as the socket's mode says. What the batch held
    /// before is forgotten.
    ///
    /// # Errors
    /// As [`Socket::recv_from`]; an error behind the first message is told by the next call.
    ///
    /// # References
    /// recvmmsg(2), whose own time limit is not used: the kernel looks at it only when a datagram
    /// comes.
    #[doc(alias = "recvmmsg")]
    pub fn recv_batch(&self, batch: &mut RecvBatch, flags: MsgFlags) -> Result<usize> {
        self.plain().recv_batch(batch, flags)
    }
}

/// The calls of [`Socket`] of the same names.
impl<H: Hook> Hooked<'_, H> {
    /// [`Socket::send_batch`].
    ///
    /// # Errors
    /// As there.
    pub fn send_batch(&self, messages: &[OutMessage<'_>], flags: MsgFlags) -> Result<usize> {
        if self.socket.kind() == Kind::STREAM {
            return Err(Error::Invalid("a stream has no messages to batch".into()));
        }
        // Up to one that would be cut.
        let is_long = |message: &OutMessage<'_>| self.socket.has_too_many(message.pieces);
        let messages = match messages.iter().position(is_long) {
            Some(0) => return Err(Error::os("sendmmsg", Errno::EMSGSIZE)),
            Some(count) => messages.get(..count).unwrap_or(messages),
            None => messages,
        };
        let fd = self.socket.as_fd();
        let mut flags = flags;
        let mut sent = 0;
        for chunk in messages.chunks(SEND_BATCH_MAX) {
            let mut addrs = [const { AddrBuf::new() }; SEND_BATCH_MAX];
            for (raw, message) in addrs.iter_mut().zip(chunk) {
                if let Some(addr) = message.addr {
                    raw.set_addr(addr);
                }
            }
            let step = self.run(Until::Writable, "sendmmsg", flags, |flags| {
                let parts = chunk.iter().zip(&addrs).map(|(message, raw)| {
                    let raw = message.addr.is_some().then_some(raw);
                    (message.pieces, raw, message.control)
                });
                sys::msg::sendmmsg(fd, parts, flags)
            });
            match step {
                Ok(count) => sent += count,
                Err(error) if sent == 0 => {
                    return Err(match (chunk.first().and_then(|first| first.addr), &addrs) {
                        (Some(_), [raw, ..]) => meant_for(raw, error),
                        (None, _) => error,
                    });
                }
                Err(_told_next_time) => return Ok(sent),
            }
            if sent % SEND_BATCH_MAX != 0 {
                return Ok(sent);
            }
            // Where there is a limit, only the first datagrams are waited for.
            if matches!(self.patience(flags), Patience::Until(_)) {
                flags |= MsgFlags::DONTWAIT;
            }
        }
        Ok(sent)
    }

    /// [`Socket::recv_batch`].
    ///
    /// # Errors
    /// As there.
    pub fn recv_batch(&self, batch: &mut RecvBatch, flags: MsgFlags) -> Result<usize> {
        batch.clear();
        let RecvBatch {
            data,
            bytes_each,
            controls,
            results,
            headers,
            count,
        } = batch;
        let fd = self.socket.as_fd();
        let more = self.socket.family().receive_flag();
        *count = self.run(Until::Readable, "recvmmsg", flags, |flags| {
            let buffers = data.chunks_exact_mut(*bytes_each);
            headers.recvmmsg(fd, buffers, controls, results, flags | more)
        })?;
        // A datagram socket that was aborted reads as messages without data.
        let has_data = batch.messages().any(|message| !message.is_empty());
        if !has_data && let Err(closed) = self.socket.ended("recvmmsg") {
            batch.clear();
            return Err(closed);
        }
        Ok(batch.count)
    }
}
