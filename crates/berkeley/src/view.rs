//! Sockets that belong to somebody else.

use core::fmt;
use core::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};

use crate::error::Result;
use crate::socket::Socket;
use crate::sys;

/// A socket that is borrowed, from the standard library or from anything with a descriptor: all
/// calls and options of [`Socket`], and its owner closes it.
///
/// ```
/// use berkeley::{SocketRef, opt};
/// use std::net::UdpSocket;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let owner = UdpSocket::bind("127.0.0.1:0")?;
/// let socket = SocketRef::new(&owner)?;
/// socket.set(opt::Broadcast, true)?;
/// assert_eq!(socket.local_addr()?.to_std(), Some(owner.local_addr()?));
/// assert!(owner.broadcast()?);
/// # Ok(())
/// # }
/// ```
///
/// It begins in the mode that the owner's socket is in. A mode set here changes whether the
/// owner's calls block.
///
/// # References
/// socket(7): `SO_DOMAIN`, `SO_TYPE`, `SO_PROTOCOL`.
pub struct SocketRef<'a>(sys::life::Lent<'a>);

impl<'a> SocketRef<'a> {
    /// Borrows a socket, asking the kernel for its family, type, protocol and blocking mode.
    ///
    /// # Errors
    /// `ENOTSOCK` if it is no socket.
    pub fn new(owner: &'a impl AsFd) -> Result<Self> {
        Self::borrow(owner.as_fd())
    }

    /// The same for a descriptor that is borrowed already.
    ///
    /// # Errors
    /// As [`SocketRef::new`].
    pub fn borrow(fd: BorrowedFd<'a>) -> Result<Self> {
        sys::life::Lent::new(fd).map(Self)
    }
}

impl Deref for SocketRef<'_> {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.0
    }
}

impl AsFd for SocketRef<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl fmt::Debug for SocketRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SocketRef").field(&*self.0).finish()
    }
}
