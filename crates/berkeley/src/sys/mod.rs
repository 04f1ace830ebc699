//! The system calls: the one place with `unsafe`.
//!
//! Each function is one call of the kernel or of libc with checked arguments and an [`Errno`] for
//! its failure. Nothing here retries, waits or decides; that is the work of the modules above.

pub(crate) mod addr;
#[cfg(test)]
mod allocations;
pub(crate) mod buf;
pub(crate) mod control;
#[cfg(test)]
mod counting;
pub(crate) mod event;
pub(crate) mod interfaces;
pub(crate) mod life;
#[cfg(test)]
mod memory;
pub(crate) mod msg;
pub(crate) mod netdb;
pub(crate) mod option;
pub(crate) mod process;
pub(crate) mod socket;
pub(crate) mod tables;
pub(crate) mod tcp_ao;
pub(crate) mod transfer;
pub(crate) mod uring;
pub(crate) mod vsock;

use crate::errno::Errno;

/// Turns the kernel's -1 into the error number behind it.
#[inline]
fn check(answer: libc::c_int) -> Result<libc::c_int, Errno> {
    if answer == -1 {
        Err(Errno::last())
    } else {
        Ok(answer)
    }
}

/// The same for calls that answer a count of bytes.
#[inline]
fn check_len(answer: libc::ssize_t) -> Result<usize, Errno> {
    usize::try_from(answer).map_err(|_negative| Errno::last())
}
