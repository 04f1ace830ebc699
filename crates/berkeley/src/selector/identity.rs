//! Whether a descriptor's number still stands for the file that was registered under it.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use crate::errno::Errno;
use crate::sys;

/// Which open file a number stands for, as far as fstat(2) tells: another socket, pipe or file has
/// another inode. Files of the kernel without one, such as event counters, share theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// # Errors
    /// `EBADF` for a number that stands for nothing.
    pub(super) fn of(fd: RawFd) -> Result<Self, Errno> {
        let (device, inode, _) = sys::event::identity(fd)?;
        Ok(Self { device, inode })
    }

    /// The same of a descriptor that is to be watched.
    ///
    /// # Errors
    /// `EBADF` for a closed [`crate::Socket`], in whose place an inert directory is.
    pub(super) fn of_usable(fd: BorrowedFd<'_>) -> Result<Self, Errno> {
        let (device, inode, is_directory) = sys::event::identity(fd.as_raw_fd())?;
        if is_directory && sys::life::is_inert(fd) {
            return Err(Errno::EBADF);
        }
        Ok(Self { device, inode })
    }
}
