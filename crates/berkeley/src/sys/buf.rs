//! Receiving into memory that may not be initialised yet.
#![expect(
    unsafe_code,
    reason = "uninitialised memory is offered to the kernel, and taken as written after"
)]

use core::ffi::c_int;
use core::mem::MaybeUninit;
use core::slice;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::check_len;
use crate::addr::AddrBuf;
use crate::errno::Errno;

mod sealed {
    use core::mem::MaybeUninit;

    /// What the library needs of a buffer.
    #[expect(
        unnameable_types,
        reason = "that is what keeps others from implementing it"
    )]
    pub trait Sealed {
        /// Where the kernel may write, and how many bytes. The memory may be uninitialised.
        fn room(&mut self) -> (*mut MaybeUninit<u8>, usize);
        /// True if all of the room is initialised already.
        const IS_INITIALISED: bool;
    }
}

/// A place that received bytes go to: see [`crate::Socket::recv_into`].
///
/// | buffer                     | what is written          | the answer                        |
/// |----------------------------|--------------------------|-----------------------------------|
/// | `&mut [u8]`, `&mut [u8; N]`| from its beginning       | how many bytes came               |
/// | `&mut [MaybeUninit<u8>]`   | from its beginning       | what was written, and the rest    |
/// | `&mut Vec<u8>`             | appended, no reallocation| how many bytes came               |
///
/// The trait is sealed: what the kernel has written is known to be initialised only here.
///
/// # References
/// recv(2).
pub trait RecvBuf: sealed::Sealed + Send + Sized {
    /// What a receive into it answers.
    type Filled: Send;

    /// Takes the buffer as written by the kernel.
    ///
    /// # Safety
    /// The first `len` bytes of the room are initialised (fewer if the room is smaller).
    #[doc(hidden)]
    unsafe fn filled(self, len: usize) -> Self::Filled;
}

impl sealed::Sealed for &mut [u8] {
    const IS_INITIALISED: bool = true;

    #[inline]
    fn room(&mut self) -> (*mut MaybeUninit<u8>, usize) {
        (self.as_mut_ptr().cast(), self.len())
    }
}

impl RecvBuf for &mut [u8] {
    type Filled = usize;

    #[inline]
    unsafe fn filled(self, len: usize) -> usize {
        len
    }
}

impl<const N: usize> sealed::Sealed for &mut [u8; N] {
    const IS_INITIALISED: bool = true;

    #[inline]
    fn room(&mut self) -> (*mut MaybeUninit<u8>, usize) {
        (self.as_mut_ptr().cast(), N)
    }
}

impl<const N: usize> RecvBuf for &mut [u8; N] {
    type Filled = usize;

    #[inline]
    unsafe fn filled(self, len: usize) -> usize {
        len
    }
}

impl sealed::Sealed for &mut [MaybeUninit<u8>] {
    const IS_INITIALISED: bool = false;

    #[inline]
    fn room(&mut self) -> (*mut MaybeUninit<u8>, usize) {
        (self.as_mut_ptr(), self.len())
    }
}

impl<'a> RecvBuf for &'a mut [MaybeUninit<u8>] {
    type Filled = (&'a mut [u8], &'a mut [MaybeUninit<u8>]);

    #[inline]
    unsafe fn filled(self, len: usize) -> Self::Filled {
        let (written, rest) = self.split_at_mut(len.min(self.len()));
        let (start, len) = (written.as_mut_ptr().cast::<u8>(), written.len());
        // SAFETY: the same memory, borrowed for as long, and initialised as the caller says.
        (unsafe { slice::from_raw_parts_mut(start, len) }, rest)
    }
}

impl sealed::Sealed for &mut Vec<u8> {
    const IS_INITIALISED: bool = false;

    #[inline]
    fn room(&mut self) -> (*mut MaybeUninit<u8>, usize) {
        let spare = self.spare_capacity_mut();
        (spare.as_mut_ptr(), spare.len())
    }
}

impl RecvBuf for &mut Vec<u8> {
    type Filled = usize;

    #[inline]
    unsafe fn filled(self, len: usize) -> usize {
        let end = self.len() + len.min(self.capacity() - self.len());
        // SAFETY: within the capacity; the bytes up to the old length were initialised before, and
        // those behind it are, as the caller says.
        unsafe { self.set_len(end) };
        len
    }
}

/// A vector's spare capacity, but no more than so many bytes of it.
pub(crate) struct AtMost<'a>(pub(crate) &'a mut Vec<u8>, pub(crate) usize);

impl sealed::Sealed for AtMost<'_> {
    const IS_INITIALISED: bool = false;

    fn room(&mut self) -> (*mut MaybeUninit<u8>, usize) {
        let spare = self.0.spare_capacity_mut();
        (spare.as_mut_ptr(), spare.len().min(self.1))
    }
}

impl RecvBuf for AtMost<'_> {
    type Filled = usize;

    unsafe fn filled(self, len: usize) -> usize {
        // SAFETY: as the caller says, within the limit; what the vector has beyond that was not
        // offered to the kernel.
        unsafe { self.0.filled(len.min(self.1)) }
    }
}

/// The flags with which recv(2) answers no more than it has written, as far as there is room.
const TRUTHFUL: c_int = libc::MSG_CMSG_CLOEXEC
    | libc::MSG_DONTWAIT
    | libc::MSG_ERRQUEUE
    | libc::MSG_NOSIGNAL
    | libc::MSG_OOB
    | libc::MSG_PEEK
    | libc::MSG_WAITALL;

/// A buffer on its way through a call that may be tried more than once, with what came into it.
pub(crate) struct Slot<B> {
    buf: B,
    /// What the last call that received into it has answered.
    came: usize,
}

impl<B: RecvBuf> Slot<B> {
    /// Makes the buffer ready. With `MSG_TRUNC` the kernel's answer is no proof that anything was
    /// written (a TCP socket throws the bytes away), nor with `MSG_SOCK_DEVMEM` (they stay in the
    /// memory of a device). So with any flag but those of [`TRUTHFUL`] the memory is initialised
    /// first.
    #[inline]
    pub(crate) fn new(mut buf: B, flags: c_int) -> Self {
        if !B::IS_INITIALISED && flags & !TRUTHFUL != 0 {
            let (place, len) = buf.room();
            // SAFETY: the buffer says that it has this room, and it is exclusively ours.
            unsafe { place.cast::<u8>().write_bytes(0, len) };
        }
        Self { buf, came: 0 }
    }

    /// True for uninitialised memory of no length, such as a vector that is full. (A slice of no
    /// length is what its caller says it is.)
    #[inline]
    pub(crate) fn has_no_room(&mut self) -> bool {
        !B::IS_INITIALISED && self.buf.room().1 == 0
    }

    /// How many bytes came.
    #[inline]
    pub(crate) const fn came(&self) -> usize {
        self.came
    }

    /// The buffer with what came.
    #[inline]
    pub(crate) fn filled(self) -> B::Filled {
        // SAFETY: nothing, or what recv(2) has answered for this buffer: so many bytes were
        // written, as far as they fit; or it was initialised before.
        unsafe { self.buf.filled(self.came) }
    }
}

/// recv(2) into any buffer.
#[inline]
pub(crate) fn recv<B: RecvBuf>(
    fd: BorrowedFd<'_>,
    slot: &mut Slot<B>,
    flags: c_int,
) -> Result<(), Errno> {
    let (place, room) = slot.buf.room();
    // SAFETY: the buffer has this room, is exclusively ours, and recv(2) writes no more.
    slot.came = check_len(unsafe { libc::recv(fd.as_raw_fd(), place.cast(), room, flags) })?;
    Ok(())
}

/// recvfrom(2) into any buffer.
#[inline]
pub(crate) fn recvfrom<B: RecvBuf>(
    fd: BorrowedFd<'_>,
    slot: &mut Slot<B>,
    flags: c_int,
    addr: &mut AddrBuf,
) -> Result<(), Errno> {
    let (bytes, room) = slot.buf.room();
    let (place, mut len) = addr.target();
    let told = &raw mut len;
    // SAFETY: the buffer as in `recv`; `place` has the room that `len` says.
    slot.came = check_len(unsafe {
        libc::recvfrom(fd.as_raw_fd(), bytes.cast(), room, flags, place, told)
    })?;
    // SAFETY: recvfrom(2) has written the address, and told its length: none for no address.
    unsafe { addr.filled(len) };
    Ok(())
}
