//! io_uring(7), by way of the `io-uring` crate: it has the kernel's structures and the ordering of
//! the shared queues; here is who owns the memory that the kernel reads and writes meanwhile.
#![expect(
    unsafe_code,
    reason = "memory and descriptors that are shared with the kernel, each with its own argument"
)]

pub(crate) mod buffers;
pub(crate) mod engine;
pub(crate) mod polls;
mod queue;
pub(crate) mod sends;
pub(crate) mod tag;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::types::Fd;

use crate::errno::Errno;

/// `IORING_ENTER_GETEVENTS`.
const ENTER_GETEVENTS: u32 = 1;
/// `IORING_ENTER_EXT_ARG`.
const ENTER_EXT_ARG: u32 = 8;

/// What the start of a page is a multiple of, on every machine.
const PAGE_BYTES_MAX: usize = 64 * 1024;

fn errno_of(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

fn number(fd: BorrowedFd<'_>) -> Fd {
    Fd(fd.as_raw_fd())
}
