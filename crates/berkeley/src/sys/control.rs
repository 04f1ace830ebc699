//! The memory of control messages, and the descriptors that lie in it.
//!
//! A number in this memory is a descriptor of ours only because the kernel wrote it there. That
//! is why the buffer's fill mark is private to this file, and nobody else gets to write below it.
#![expect(
    unsafe_code,
    reason = "turning numbers that the kernel wrote into owned descriptors"
)]

use core::ffi::c_int;
use core::{fmt, mem, slice};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use super::addr::AddrBuf;
use crate::control::numbers::SCM_PIDFD;
use crate::control::walk::{HEADER_BYTES, Header};

/// Room for control messages on the stack, `BYTES` of it, aligned as the kernel wants it.
///
/// [`crate::control_space`] tells how much a message needs.
///
/// ```
/// use berkeley::{CmsgOut, ControlSpace};
///
/// # fn main() -> Result<(), berkeley::Error> {
/// let mut space = ControlSpace::<64>::new();
/// let mut control = space.out();
/// control.push(CmsgOut::Ttl(3))?;
/// assert_eq!(control.as_bytes().len(), 24);
/// # Ok(())
/// # }
/// ```
#[repr(align(8))]
pub struct ControlSpace<const BYTES: usize>([u8; BYTES]);

const _: () = assert!(align_of::<ControlSpace<1>>() >= align_of::<libc::cmsghdr>());

impl<const BYTES: usize> ControlSpace<BYTES> {
    /// Empty room.
    #[must_use]
    pub const fn new() -> Self {
        Self([0; BYTES])
    }

    /// This room, for receiving.
    pub const fn buf(&mut self) -> ControlBuf<'_> {
        ControlBuf {
            storage: Storage::Borrowed(&mut self.0),
            filled: 0,
            addr: AddrBuf::new(),
        }
    }

    pub(crate) const fn storage(&mut self) -> Storage<'_> {
        Storage::Borrowed(&mut self.0)
    }
}

impl<const BYTES: usize> Default for ControlSpace<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const BYTES: usize> fmt::Debug for ControlSpace<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ControlSpace<{BYTES}>")
    }
}

/// Aligned bytes, borrowed or on the heap.
pub(crate) enum Storage<'a> {
    Borrowed(&'a mut [u8]),
    /// Whole words, of which so many bytes count.
    Heap(Box<[u64]>, usize),
}

impl Storage<'_> {
    pub(crate) fn heap(bytes: usize) -> Self {
        let words = bytes.div_ceil(size_of::<u64>());
        Self::Heap(vec![0; words].into(), words * size_of::<u64>())
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Heap(words, len) => {
                let len = size_of_val::<[u64]>(words).min(*len);
                // SAFETY: initialised integers without padding, seen as the bytes they are made
                // of, for as long as `self` is borrowed.
                unsafe { slice::from_raw_parts(words.as_ptr().cast(), len) }
            }
        }
    }

    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Heap(words, len) => {
                let len = size_of_val::<[u64]>(words).min(*len);
                // SAFETY: as above, exclusively; any bytes make valid integers.
                unsafe { slice::from_raw_parts_mut(words.as_mut_ptr().cast(), len) }
            }
        }
    }
}

/// Where control messages go that are received, and the owner of the descriptors among them:
/// those that nobody takes are closed when the buffer is used again or dropped. The sender's
/// address has its place here too.
///
/// ```
/// use berkeley::{Cmsg, ControlBuf, Family, Kind, MsgFlags, Socket};
/// use std::io::IoSliceMut;
/// use std::os::fd::AsFd;
///
/// # fn main() -> Result<(), berkeley::Error> {
/// let (a, b) = Socket::pair(Family::UNIX, Kind::STREAM)?;
/// a.send_fds(b"take this", &[a.as_fd()], MsgFlags::NONE)?;
///
/// let mut control = ControlBuf::with_capacity(64);
/// let mut buf = [0; 16];
/// let mut message = b.recv_message(
///     &mut [IoSliceMut::new(&mut buf)],
///     &mut control,
///     MsgFlags::NONE,
/// )?;
/// assert!(!message.is_control_truncated());
/// for item in message.control() {
///     if let Cmsg::Rights(fds) = item {
///         assert_eq!(fds.count(), 1);
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// # References
/// recvmsg(2), cmsg(3).
pub struct ControlBuf<'a> {
    storage: Storage<'a>,
    /// Bytes that the kernel wrote, at most all.
    filled: usize,
    /// Who sent the message: it lies here because this is what callers keep from call to call.
    pub(crate) addr: AddrBuf,
}

impl<'a> ControlBuf<'a> {
    /// A buffer on the heap for at least so many bytes of control messages.
    ///
    /// # References
    /// cmsg(3).
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            storage: Storage::heap(bytes),
            filled: 0,
            addr: AddrBuf::new(),
        }
    }

    /// A buffer on the heap for exactly so many bytes: what does not fit is cut by the kernel
    /// (`MSG_CTRUNC`), in the middle of a message too.
    ///
    /// # References
    /// cmsg(3).
    #[must_use]
    pub fn with_room(bytes: usize) -> Self {
        let mut storage = Storage::heap(bytes);
        if let Storage::Heap(_, len) = &mut storage {
            *len = bytes;
        }
        Self {
            storage,
            filled: 0,
            addr: AddrBuf::new(),
        }
    }

    /// A buffer without room, for those who want no control messages.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            storage: Storage::Borrowed(&mut []),
            filled: 0,
            addr: AddrBuf::new(),
        }
    }

    /// Bytes that it has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.storage.bytes().len()
    }

    /// What was received, byte for byte.
    ///
    /// # References
    /// cmsg(3).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.storage.bytes().get(..self.filled).unwrap_or_default()
    }

    /// Forgets what was received, and leaves its descriptors open: whoever has read their numbers
    /// ([`crate::raw_cmsgs`]) owns them now. For languages in which a descriptor is a number.
    ///
    /// # References
    /// unix(7), `SCM_RIGHTS`.
    pub const fn leave_open(&mut self) {
        self.filled = 0;
    }

    /// Forgets what was received; descriptors that nobody took are closed.
    #[inline]
    pub fn clear(&mut self) {
        if self.filled > 0 {
            self.close_untaken();
        }
    }

    #[cold]
    #[inline(never)]
    fn close_untaken(&mut self) {
        for piece in self.pieces() {
            if let Piece::Descriptors { fds, .. } = piece {
                fds.for_each(drop);
            }
        }
        self.filled = 0;
    }

    /// What was received, piece by piece.
    pub(crate) fn pieces(&mut self) -> Pieces<'_> {
        let filled = self.filled;
        Pieces {
            rest: self
                .storage
                .bytes_mut()
                .get_mut(..filled)
                .unwrap_or_default(),
        }
    }

    /// The whole room, for the kernel to write to. What it held must have been cleared.
    #[inline]
    pub(super) fn room(&mut self) -> &mut [u8] {
        debug_assert_eq!(self.filled, 0, "a descriptor would be lost");
        self.storage.bytes_mut()
    }

    /// Takes note of how much the kernel wrote.
    ///
    /// # Safety
    /// The first `filled` bytes are control messages that the kernel has just written, so the
    /// descriptors among them belong to nobody else.
    #[inline]
    pub(super) const unsafe fn fill(&mut self, filled: usize) {
        self.filled = filled;
    }
}

impl Drop for ControlBuf<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for ControlBuf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlBuf")
            .field("capacity", &self.capacity())
            .field("filled", &self.filled)
            .finish()
    }
}

/// One control message as it lies in the buffer.
pub(crate) enum Piece<'a> {
    Descriptors {
        kind: c_int,
        fds: Descriptors<'a>,
    },
    Bytes {
        level: c_int,
        kind: c_int,
        bytes: &'a [u8],
    },
}

/// Walks through received control messages.
#[derive(Debug)]
pub(crate) struct Pieces<'a> {
    rest: &'a mut [u8],
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let header = Header::read(self.rest)?;
        let (piece, rest) = mem::take(&mut self.rest).split_at_mut_checked(header.stride)?;
        self.rest = rest;
        let bytes = piece.get_mut(HEADER_BYTES..)?.get_mut(..header.payload)?;
        let Header { level, kind, .. } = header;
        Some(match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS | SCM_PIDFD) => Piece::Descriptors {
                kind,
                fds: Descriptors { numbers: bytes },
            },
            _ => Piece::Bytes { level, kind, bytes },
        })
    }
}

/// In the place of a descriptor that was taken, or that the kernel could not make.
const TAKEN: RawFd = -1;

/// Received descriptors, each handed out once and owned by whoever gets it. Those that are left
/// stay in the [`ControlBuf`], which closes them in the end.
///
/// # References
/// unix(7), `SCM_RIGHTS`.
#[derive(Debug)]
pub struct Descriptors<'a> {
    /// Written by the kernel; taken ones are overwritten. Only this file makes one of these.
    numbers: &'a mut [u8],
}

impl Iterator for Descriptors<'_> {
    type Item = OwnedFd;

    fn next(&mut self) -> Option<OwnedFd> {
        loop {
            let (number, rest) = mem::take(&mut self.numbers).split_first_chunk_mut()?;
            self.numbers = rest;
            let fd = RawFd::from_ne_bytes(*number);
            *number = TAKEN.to_ne_bytes();
            if fd >= 0 {
                // SAFETY: the kernel made this descriptor for us and wrote its number here; it
                // was overwritten right away, so nobody gets it twice.
                return Some(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self
            .numbers
            .chunks_exact(size_of::<RawFd>())
            .filter(|number| {
                number
                    .first_chunk()
                    .is_some_and(|n| RawFd::from_ne_bytes(*n) >= 0)
            })
            .count();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Descriptors<'_> {}
