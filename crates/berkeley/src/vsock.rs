//! This machine's number among a host and its virtual machines.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use crate::addr::VsockAddr;
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::sys;

/// Where the kernel tells it.
const DEVICE: &str = "/dev/vsock";

impl VsockAddr {
    /// The context id of this machine (`IOCTL_VM_SOCKETS_GET_LOCAL_CID`), by which its host and
    /// other machines reach it: [`Self::CID_HOST`] on a host, [`Self::CID_LOCAL`] where there is
    /// nothing but loopback, [`Self::CID_ANY`] where there is no transport at all. It changes
    /// when a virtual machine moves to another host.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where there is no `/dev/vsock`: the kernel has no VSOCK, or its
    /// module is not loaded. `EACCES` without the right to read the device.
    ///
    /// # References
    /// vsock(7), "Ioctls".
    #[doc(alias = "IOCTL_VM_SOCKETS_GET_LOCAL_CID")]
    pub fn local_cid() -> Result<u32> {
        let device = File::open(DEVICE).map_err(|error| unopened(&error))?;
        sys::vsock::local_cid(device.as_fd())
            .map_err(|errno| Error::os("IOCTL_VM_SOCKETS_GET_LOCAL_CID", errno))
    }
}

fn unopened(error: &io::Error) -> Error {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    match errno {
        Errno::ENOENT | Errno::ENXIO | Errno::ENODEV => Error::Unsupported(format!(
            "there is no {DEVICE}: this kernel has no VSOCK, or its module is not loaded"
        )),
        errno => Error::os("open /dev/vsock", errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_told_from_one_that_may_not_be_read() {
        let absent = unopened(&io::Error::from_raw_os_error(libc::ENOENT));
        assert!(matches!(absent, Error::Unsupported(_)), "{absent}");
        assert!(absent.to_string().contains("/dev/vsock"), "{absent}");
        let forbidden = unopened(&io::Error::from_raw_os_error(libc::EACCES));
        assert_eq!(forbidden.errno(), Some(Errno::EACCES));
    }
}
