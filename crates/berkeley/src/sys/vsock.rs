//! What the device of VSOCK tells: vsock(7).
#![expect(unsafe_code, reason = "ioctl(2)")]

use std::os::fd::{AsRawFd, BorrowedFd};

use super::check;
use crate::errno::Errno;

/// `IOCTL_VM_SOCKETS_GET_LOCAL_CID`, linux/vm_sockets.h.
const GET_LOCAL_CID: libc::Ioctl = libc::_IO(7, 0xb9);

/// The number of this machine, from `/dev/vsock`.
pub(crate) fn local_cid(device: BorrowedFd<'_>) -> Result<u32, Errno> {
    let mut cid = 0u32;
    // SAFETY: the device writes one `unsigned int`, for which `cid` is the live place. (Another
    // device would not know the request: its number is the driver's own.)
    check(unsafe { libc::ioctl(device.as_raw_fd(), GET_LOCAL_CID, &raw mut cid) })?;
    Ok(cid)
}
