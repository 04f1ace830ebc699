//! sendmsg(2), recvmsg(2) and their batches.
#![expect(
    unsafe_code,
    reason = "the raw message calls, each with its own argument"
)]

use core::ffi::{c_int, c_uint};
use core::{mem, ptr};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::control::ControlBuf;
use super::socket::IOV_MAX;
use super::{check, check_len};
use crate::addr::AddrBuf;
use crate::errno::Errno;

/// Messages that one call of sendmmsg(2) is given at most.
pub(crate) const SEND_BATCH_MAX: usize = 32;

/// What is common to all messages, as recvmsg(2) tells it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Received {
    pub(crate) len: usize,
    pub(crate) flags: c_int,
}

const _: () = {
    assert!(size_of::<IoSlice<'_>>() == size_of::<libc::iovec>());
    assert!(size_of::<IoSliceMut<'_>>() == size_of::<libc::iovec>());
    assert!(size_of::<libc::msghdr>() == 56);
    assert!(size_of::<libc::mmsghdr>() == 64);
};

#[inline]
fn empty_header() -> libc::msghdr {
    // SAFETY: msghdr is plain integers and pointers, for which all zeros is a valid value.
    unsafe { mem::zeroed() }
}

/// A header for sending. It points to its arguments, none of which sendmsg(2) writes to.
#[inline]
fn send_header(pieces: &[IoSlice<'_>], addr: Option<&AddrBuf>, control: &[u8]) -> libc::msghdr {
    let mut header = empty_header();
    if let Some(addr) = addr {
        let (place, len) = addr.source();
        header.msg_name = place.cast_mut().cast();
        header.msg_namelen = len;
    }
    // `IoSlice` is guaranteed to have the layout of `iovec`.
    header.msg_iov = pieces.as_ptr().cast_mut().cast();
    header.msg_iovlen = pieces.len().min(IOV_MAX);
    if !control.is_empty() {
        header.msg_control = control.as_ptr().cast_mut().cast();
        header.msg_controllen = control.len();
    }
    header
}

/// Sends one message; at most [`IOV_MAX`] pieces of it are taken.
#[inline]
pub(crate) fn sendmsg(
    fd: BorrowedFd<'_>,
    pieces: &[IoSlice<'_>],
    addr: Option<&AddrBuf>,
    control: &[u8],
    flags: c_int,
) -> Result<usize, Errno> {
    let header = send_header(pieces, addr, control);
    // SAFETY: the header points to arguments of this function with the lengths that they have,
    // and the call only reads them.
    check_len(unsafe {
        libc::sendmsg(
            fd.as_raw_fd(),
            &raw const header,
            flags | libc::MSG_NOSIGNAL,
        )
    })
}

/// Sends up to [`SEND_BATCH_MAX`] messages with one call, and answers how many went.
pub(crate) fn sendmmsg<'a>(
    fd: BorrowedFd<'_>,
    messages: impl Iterator<Item = (&'a [IoSlice<'a>], Option<&'a AddrBuf>, &'a [u8])>,
    flags: c_int,
) -> Result<usize, Errno> {
    let mut headers = [libc::mmsghdr {
        msg_hdr: empty_header(),
        msg_len: 0,
    }; SEND_BATCH_MAX];
    let mut count = 0;
    for (place, (pieces, addr, control)) in headers.iter_mut().zip(messages) {
        place.msg_hdr = send_header(pieces, addr, control);
        count += 1;
    }
    // SAFETY: the first `count` headers point to what the iterator lent for `'a`, which is longer
    // than this call, with the lengths that those have; only `msg_len` of each is written.
    let sent = check(unsafe {
        libc::sendmmsg(
            fd.as_raw_fd(),
            headers.as_mut_ptr(),
            count,
            flags | libc::MSG_NOSIGNAL,
        )
    })?;
    Ok(usize::try_from(sent).unwrap_or(0))
}

/// Fills a header for receiving: it points to its arguments, which must outlive its use.
#[inline]
fn recv_header(
    pieces: *mut libc::iovec,
    count: usize,
    control: &mut ControlBuf<'_>,
) -> libc::msghdr {
    let mut header = empty_header();
    let (place, len) = control.addr.target();
    header.msg_name = place.cast();
    header.msg_namelen = len;
    header.msg_iov = pieces;
    header.msg_iovlen = count;
    // Where there is no room, the length says so; the kernel does not look at the place then.
    let room = control.room();
    header.msg_control = room.as_mut_ptr().cast();
    header.msg_controllen = room.len();
    header
}

/// The flag of the request comes back among those of the answer.
const fn told(flags: c_int) -> c_int {
    flags & !libc::MSG_CMSG_CLOEXEC
}

/// Receives one message; at most [`IOV_MAX`] buffers are filled. `control`, which must be clear,
/// takes the sender's address too. The flags have those of [`crate::Family::receive_flag`] among
/// them.
#[inline]
pub(crate) fn recvmsg(
    fd: BorrowedFd<'_>,
    buffers: &mut [IoSliceMut<'_>],
    control: &mut ControlBuf<'_>,
    flags: c_int,
) -> Result<Received, Errno> {
    let count = buffers.len().min(IOV_MAX);
    let mut header = recv_header(buffers.as_mut_ptr().cast(), count, control);
    // SAFETY: the header points to live exclusive buffers with the room that it tells.
    let len = check_len(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, flags) })?;
    // SAFETY: the kernel has just written an address of this length, or none.
    unsafe { control.addr.filled(header.msg_namelen) };
    // SAFETY: the kernel has just written so many bytes of control messages there.
    unsafe { control.fill(header.msg_controllen) };
    Ok(Received {
        len,
        flags: told(header.msg_flags),
    })
}

/// The headers of a batch, kept so that receiving allocates nothing.
#[derive(Debug)]
pub(crate) struct RecvHeaders {
    headers: Vec<libc::mmsghdr>,
    pieces: Vec<libc::iovec>,
}

// SAFETY: the pointers in it are written anew before each call and mean nothing between calls.
unsafe impl Send for RecvHeaders {}
// SAFETY: as above, and nothing is read through a shared reference.
unsafe impl Sync for RecvHeaders {}

impl RecvHeaders {
    pub(crate) fn with_capacity(messages: usize) -> Self {
        Self {
            headers: Vec::with_capacity(messages),
            pieces: Vec::with_capacity(messages),
        }
    }

    /// Receives as many messages as there are, one buffer and control buffer for each;
    /// waits (in a blocking descriptor) for the first only. Answers how many came. The control
    /// buffers must be clear.
    pub(crate) fn recvmmsg<'b>(
        &mut self,
        fd: BorrowedFd<'_>,
        buffers: impl Iterator<Item = &'b mut [u8]>,
        controls: &mut [ControlBuf<'_>],
        results: &mut [Received],
        flags: c_int,
    ) -> Result<usize, Errno> {
        self.pieces.clear();
        self.headers.clear();
        self.pieces.extend(buffers.map(|buffer| libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        }));
        for (piece, control) in self.pieces.iter_mut().zip(&mut *controls) {
            self.headers.push(libc::mmsghdr {
                msg_hdr: recv_header(ptr::from_mut(piece), 1, control),
                msg_len: 0,
            });
        }
        let count = c_uint::try_from(self.headers.len()).unwrap_or(c_uint::MAX);
        let flags = flags | libc::MSG_WAITFORONE;
        // SAFETY: each of the `count` headers points to a buffer and a control buffer of its own,
        // all exclusively borrowed by this function, with the room that it tells.
        let came = check(unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count,
                flags,
                ptr::null_mut(),
            )
        })?;
        let came = usize::try_from(came).unwrap_or(0);
        let headers = self.headers.iter().take(came);
        for ((header, control), result) in headers.zip(controls).zip(results) {
            // SAFETY: the kernel has just written an address of this length, or none.
            unsafe { control.addr.filled(header.msg_hdr.msg_namelen) };
            // SAFETY: the kernel has just written so many bytes of control messages there.
            unsafe { control.fill(header.msg_hdr.msg_controllen) };
            *result = Received {
                len: usize::try_from(header.msg_len).unwrap_or(0),
                flags: told(header.msg_hdr.msg_flags),
            };
        }
        Ok(came)
    }
}
