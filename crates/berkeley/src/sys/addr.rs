//! The memory of an address, which the kernel fills and reads.
#![expect(
    unsafe_code,
    reason = "the kernel writes into memory that is not initialised before"
)]

use core::hash::{Hash, Hasher};
use core::mem::{MaybeUninit, size_of};
use core::{fmt, ptr, slice};

/// Room for the address of any family: what `struct sockaddr_storage` holds.
pub(crate) const ADDR_BYTES: usize = size_of::<libc::sockaddr_storage>();

/// The same, as the kernel is told it.
const ADDR_LEN: libc::socklen_t = 128;

const _: () = {
    assert!(ADDR_LEN as usize == ADDR_BYTES);
    assert!(align_of::<AddrRoom>() >= align_of::<libc::sockaddr_storage>());
};

/// An address as the kernel lays it out (`struct sockaddr_*`), in room for one of any family.
///
/// What a call with an address costs least with, for every family: [`crate::Socket::recv_addr`]
/// and [`crate::Socket::accept_addr`] let the kernel write the sender or the peer into it, and
/// [`crate::Socket::send_to`], `bind` and `connect` hand it to the kernel as it is. It is made
/// once for many calls, allocates nothing, and is read only if somebody asks.
///
/// ```
/// use berkeley::{AddrBuf, Family, Kind, MsgFlags, Protocol, Socket};
///
/// # fn main() -> Result<(), berkeley::Error> {
/// let socket = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT)?;
/// socket.bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
/// let here = socket.local_addr()?;
/// socket.send_to(b"echo", MsgFlags::NONE, &here)?;
///
/// let (mut buf, mut sender) = ([0; 16], AddrBuf::new());
/// let len = socket.recv_addr(&mut buf, MsgFlags::NONE, &mut sender)?;
/// socket.send_to(&buf[..len], MsgFlags::NONE, &sender)?;
/// assert_eq!(sender.addr(), Some(here));
/// # Ok(())
/// # }
/// ```
///
/// # References
/// sockaddr(3type), `struct sockaddr_storage`.
#[doc(alias("sockaddr", "sockaddr_storage"))]
#[derive(Clone, Copy)]
pub struct AddrBuf {
    /// Initialised as far as `len` says; never less than before.
    room: AddrRoom,
    /// The length that the address has, which may be more than fits.
    len: libc::socklen_t,
}

/// The room alone, for an address that is read right after the call.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct AddrRoom(MaybeUninit<[u8; ADDR_BYTES]>);

impl AddrRoom {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self(MaybeUninit::uninit())
    }

    /// For calls that write an address: where, and how much room there is.
    #[inline]
    pub(super) const fn target(&mut self) -> (*mut libc::sockaddr, libc::socklen_t) {
        (self.0.as_mut_ptr().cast(), ADDR_LEN)
    }

    /// The address that is in it, which has this length.
    ///
    /// # Safety
    /// So many bytes are initialised, as far as they fit.
    #[inline]
    pub(super) const unsafe fn written(&self, len: libc::socklen_t) -> Written<'_> {
        Written { room: self, len }
    }
}

/// An address that lies in its room.
#[derive(Clone, Copy)]
pub(crate) struct Written<'a> {
    /// Initialised as far as `len` says.
    room: &'a AddrRoom,
    /// The length that the address has, which may be more than fits.
    len: libc::socklen_t,
}

impl<'a> Written<'a> {
    #[inline]
    pub(crate) fn bytes(self) -> &'a [u8] {
        let place = self.room.0.as_ptr().cast();
        // SAFETY: within the room, and initialised.
        unsafe { slice::from_raw_parts(place, fitting(self.len)) }
    }

    /// The bytes of an address of just this length: the one question that is asked on the way of
    /// data, before any about what fits.
    #[inline]
    pub(crate) fn exactly<const N: usize>(self) -> Option<&'a [u8; N]> {
        const { assert!(N <= ADDR_BYTES) };
        if usize::try_from(self.len) != Ok(N) {
            return None;
        }
        // SAFETY: within the room, initialised as far as `len` says, and bytes have no alignment.
        Some(unsafe { &*self.room.0.as_ptr().cast::<[u8; N]>() })
    }
}

#[inline]
fn fitting(len: libc::socklen_t) -> usize {
    usize::try_from(len.min(ADDR_LEN)).unwrap_or(ADDR_BYTES)
}

impl AddrBuf {
    /// Room without an address.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        let mut room = MaybeUninit::<Self>::uninit();
        // As a whole it would be a constant, which is copied with zeros where it is not written.
        // SAFETY: the place of a field of `room`, which is live and exclusively ours.
        let len = unsafe { &raw mut (*room.as_mut_ptr()).len };
        // SAFETY: as above, and aligned as the field is.
        unsafe { len.write(0) };
        // SAFETY: the other field may stay uninitialised.
        unsafe { room.assume_init() }
    }

    /// The bytes that the address has: none where the kernel wrote none.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.written().bytes()
    }

    #[inline]
    pub(crate) const fn written(&self) -> Written<'_> {
        // SAFETY: so many bytes of the room are initialised.
        unsafe { self.room.written(self.len) }
    }

    /// Takes over an address; what is longer than any is cut off.
    #[inline]
    pub(crate) fn set(&mut self, bytes: &[u8]) {
        let len = bytes.len().min(ADDR_BYTES);
        let place = self.room.0.as_mut_ptr().cast();
        // SAFETY: `len` is within both, which cannot overlap: one of them is exclusively ours.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), place, len) };
        self.len = super::socket::socklen(len);
    }

    /// An address of so many zeros, to be written; no more than there is room for.
    pub(crate) fn zeros(&mut self, len: usize) -> &mut [u8] {
        self.set(&[0; ADDR_BYTES]);
        self.len = super::socket::socklen(len.min(ADDR_BYTES));
        self.as_bytes_mut()
    }

    /// The bytes that the address has, to be written.
    pub(crate) fn as_bytes_mut(&mut self) -> &mut [u8] {
        let len = fitting(self.len);
        // SAFETY: so many bytes of the room are initialised, and all of it is exclusively ours.
        unsafe { slice::from_raw_parts_mut(self.room.0.as_mut_ptr().cast(), len) }
    }

    /// For calls that read it: where it is, and how long.
    #[inline]
    pub(super) fn source(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        (self.room.0.as_ptr().cast(), self.len)
    }

    /// For calls that write it: where, and how much room there is.
    #[inline]
    pub(super) const fn target(&mut self) -> (*mut libc::sockaddr, libc::socklen_t) {
        self.room.target()
    }

    /// Takes note of how long an address the kernel has.
    ///
    /// # Safety
    /// The kernel has just written so many bytes to [`AddrBuf::target`], as far as they fit.
    #[inline]
    pub(super) const unsafe fn filled(&mut self, len: libc::socklen_t) {
        self.len = len;
    }
}

impl Default for AddrBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for AddrBuf {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for AddrBuf {}

impl Hash for AddrBuf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for AddrBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AddrBuf").field(&self.addr()).finish()
    }
}
