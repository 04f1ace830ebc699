//! Whether a descriptor's number still stands for the file that was registered under it.

use std::os::fd::RawFd;

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
        let (device, inode) = sys::event::identity(fd)?;
        Ok(Self { device, inode })
    }
}
