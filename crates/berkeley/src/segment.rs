//! UDP segmentation offload: one call and one pass through the network stack for many datagrams.

use core::iter::FusedIterator;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::AsFd;

use crate::addr::{Addr, AddrBuf};
use crate::control::{Cmsg, CmsgOut};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::hook::{Hook, Hooked};
use crate::kinds::{Family, MsgFlags};
use crate::msg::InMessage;
use crate::socket::{Socket, meant_for};
use crate::sys;
use crate::sys::control::ControlSpace;
use crate::wait::{Patience, Until};

/// Datagrams that one call may be cut into: newer kernels take 128, all of them 64
/// (`UDP_MAX_SEGMENTS`).
const SEGMENTS_MAX: usize = 64;

/// Bytes that one call takes at most: an IP packet of 65,535 without the headers of IPv6 and UDP.
const BYTES_MAX: usize = 65_535 - 40 - 8;

/// Bytes of control messages that a receive is prepared for.
const CONTROL_BYTES: usize = 256;

/// What there is to send, cut into datagrams.
struct Cut<'a, H> {
    call: Hooked<'a, H>,
    segment_bytes: u16,
    addr: Option<&'a AddrBuf>,
    flags: MsgFlags,
    patience: Patience,
}

impl Socket {
    /// Sends `data` as datagrams of `segment_bytes` each, the last one as long as the rest, and
    /// answers how many bytes went, which is all of them. `addr` may be left out on a connected
    /// socket. No data are one empty datagram.
    ///
    /// The kernel cuts up to 64 of them with one call. Where a network card cannot (`EIO`) or
    /// the path does not take such long datagrams (`EINVAL`), they go one by one, and so do all
    /// later ones of this socket.
    ///
    /// The socket's time limit bounds the whole of it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for datagrams of no bytes; as [`Socket::send_to`] for the first
    /// datagrams; [`Error::Partial`] says how many bytes went out when some did.
    ///
    /// # References
    /// udp(7), `UDP_SEGMENT`.
    #[doc(alias = "UDP_SEGMENT")]
    pub fn send_segmented(
        &self,
        data: &[u8],
        segment_bytes: u16,
        addr: Option<&Addr>,
        flags: MsgFlags,
    ) -> Result<usize> {
        self.plain()
            .send_segmented(data, segment_bytes, addr, flags)
    }

    /// True as long as the kernel cuts what [`Socket::send_segmented`] sends.
    ///
    /// # References
    /// udp(7), `UDP_SEGMENT`.
    #[must_use]
    pub fn is_segmentation_offloaded(&self) -> bool {
        self.state.is_segmentation_offloaded()
    }

    /// Receives one datagram or, on a socket with `UDP_GRO`, as many of one sender as the kernel
    /// has put together. `buf` should hold 65,535 bytes: what does not fit is lost.
    ///
    /// # Errors
    /// As [`Socket::recv_from`].
    ///
    /// # References
    /// udp(7), `UDP_GRO`.
    #[doc(alias = "UDP_GRO")]
    pub fn recv_segmented<'b>(&self, buf: &'b mut [u8], flags: MsgFlags) -> Result<Coalesced<'b>> {
        self.plain().recv_segmented(buf, flags)
    }
}

/// The calls of [`Socket`] of the same names.
impl<H: Hook> Hooked<'_, H> {
    /// [`Socket::send_segmented`].
    ///
    /// # Errors
    /// As there.
    pub fn send_segmented(
        &self,
        data: &[u8],
        segment_bytes: u16,
        addr: Option<&Addr>,
        flags: MsgFlags,
    ) -> Result<usize> {
        let each = usize::from(segment_bytes);
        if each == 0 {
            return Err(Error::Invalid("datagrams of no bytes have no end".into()));
        }
        let raw = addr.map(AddrBuf::encode);
        // One moment for all the datagrams.
        let patience = self.patience(flags);
        let cut = Cut {
            call: match patience {
                Patience::Until(deadline) => self.until(deadline),
                Patience::Kernel | Patience::None => *self,
            },
            segment_bytes,
            addr: raw.as_ref(),
            flags,
            patience,
        };
        if data.is_empty() {
            return cut.send_plain(data);
        }
        let at_once = (BYTES_MAX / each).clamp(1, SEGMENTS_MAX) * each;
        let mut sent = 0;
        for chunk in data.chunks(at_once) {
            let mut went = 0;
            if let Err(cause) = cut.send_chunk(chunk, &mut went) {
                sent += went;
                return Err(match sent {
                    0 => cause,
                    _ => Error::Partial {
                        sent,
                        cause: Box::new(cause),
                    },
                });
            }
            sent += chunk.len();
        }
        Ok(sent)
    }

    /// [`Socket::recv_segmented`].
    ///
    /// # Errors
    /// As there.
    pub fn recv_segmented<'b>(&self, buf: &'b mut [u8], flags: MsgFlags) -> Result<Coalesced<'b>> {
        let mut space = ControlSpace::<CONTROL_BYTES>::new();
        let mut control = space.buf();
        let mut buffers = [IoSliceMut::new(buf)];
        let mut message: InMessage<'_, '_> =
            self.recv_message(&mut buffers, &mut control, flags)?;
        let segment_bytes = message.control().find_map(|item| match item {
            Cmsg::SegmentBytes(bytes) => Some(bytes),
            _ => None,
        });
        let (len, addr, is_truncated) = (message.len(), message.addr(), message.is_truncated());
        let data: &'b [u8] = buf;
        Ok(Coalesced {
            data: data.get(..len).unwrap_or(data),
            segment_bytes,
            addr,
            is_truncated,
        })
    }
}

impl<H: Hook> Cut<'_, H> {
    /// Sends what goes with one call, or else datagram by datagram; `went` counts those.
    fn send_chunk(&self, chunk: &[u8], went: &mut usize) -> Result<()> {
        let each = usize::from(self.segment_bytes);
        let socket = self.call.socket;
        let mut is_refused = false;
        // Others pass over a control message of UDP's, and would send it all as one.
        let is_known = matches!(socket.family(), Family::INET | Family::INET6);
        if chunk.len() > each && is_known && socket.is_segmentation_offloaded() {
            match self.send_offloaded(chunk) {
                Ok(_all) => return Ok(()),
                Err(error) if matches!(error.errno(), Some(Errno::EIO | Errno::EINVAL)) => {
                    is_refused = true;
                }
                // Longer than this path takes, unless they may be fragmented: another may do.
                Err(error) if error.errno() == Some(Errno::EMSGSIZE) => {}
                Err(error) => return Err(error),
            }
        }
        for datagram in chunk.chunks(each) {
            if self.patience.has_ended() {
                return Err(Error::TimedOut { call: "sendmsg" });
            }
            *went += self.send_plain(datagram)?;
            // The same data do go without it, so it was the offload that was refused.
            if is_refused {
                socket.state.stop_segmentation();
            }
        }
        Ok(())
    }

    fn send_offloaded(&self, chunk: &[u8]) -> Result<usize> {
        let mut space = ControlSpace::<24>::new();
        let mut control = space.out();
        control.push(CmsgOut::SegmentBytes(self.segment_bytes))?;
        self.send_raw(chunk, control.as_bytes())
    }

    fn send_plain(&self, datagram: &[u8]) -> Result<usize> {
        self.send_raw(datagram, &[])
    }

    fn send_raw(&self, data: &[u8], control: &[u8]) -> Result<usize> {
        let (fd, addr, pieces) = (self.call.socket.as_fd(), self.addr, [IoSlice::new(data)]);
        self.call
            .run(Until::Writable, "sendmsg", self.flags, |flags| {
                sys::msg::sendmsg(fd, &pieces, addr, control, flags)
            })
            .map_err(|error| match addr {
                Some(raw) => meant_for(raw, error),
                None => error,
            })
    }
}

/// Datagrams of one sender that came as one, from [`Socket::recv_segmented`].
///
/// # References
/// udp(7), `UDP_GRO`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coalesced<'b> {
    /// All of them, one behind the other.
    pub data: &'b [u8],
    /// Bytes of each but the last; `None` if there is just one.
    pub segment_bytes: Option<u16>,
    /// The sender, if it has an address.
    pub addr: Option<Addr>,
    /// True if some of it did not fit into the buffer.
    pub is_truncated: bool,
}

impl<'b> Coalesced<'b> {
    /// The datagrams, one by one.
    #[must_use]
    pub fn segments(&self) -> Segments<'b> {
        Segments::new(self.data, self.segment_bytes)
    }
}

/// Coalesced datagrams, one by one. An empty datagram is one too.
///
/// ```
/// use berkeley::Segments;
///
/// let datagrams: Vec<_> = Segments::new(b"aaabbbcc", Some(3)).collect();
/// assert_eq!(datagrams, [&b"aaa"[..], b"bbb", b"cc"]);
/// assert_eq!(Segments::new(b"alone", None).count(), 1);
/// ```
#[derive(Debug, Clone)]
pub struct Segments<'b> {
    rest: Option<&'b [u8]>,
    each: usize,
}

impl<'b> Segments<'b> {
    /// Cuts `data` into pieces of so many bytes, the last one shorter; into one piece if that is
    /// `None` or zero.
    #[must_use]
    pub fn new(data: &'b [u8], segment_bytes: Option<u16>) -> Self {
        Self {
            rest: Some(data),
            each: match segment_bytes {
                None | Some(0) => usize::MAX,
                Some(bytes) => usize::from(bytes),
            },
        }
    }
}

impl<'b> Iterator for Segments<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        let rest = self.rest.take()?;
        match rest.split_at_checked(self.each) {
            Some((segment, rest)) if !rest.is_empty() => {
                self.rest = Some(rest);
                Some(segment)
            }
            _ => Some(rest),
        }
    }
}

impl FusedIterator for Segments<'_> {}
