//! Descriptors as the language has them: integers.
#![expect(unsafe_code, reason = "a number is all that there is")]

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Takes over the descriptor with a number: the program says that it has it to give away. One that
/// is not open gets the kernel's answer (`EBADF`) at the first call.
///
/// Close it by [`berkeley::close`], never by dropping it.
pub(crate) fn taken(fd: RawFd) -> Option<OwnedFd> {
    // SAFETY: not -1. Whose a number is, is for the program to know: it is so in all of the
    // language's modules, and no memory depends on it.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Uses the descriptor with a number for a call; `None` for a negative one.
pub(crate) fn lent(fd: RawFd) -> Option<BorrowedFd<'static>> {
    // SAFETY: not -1; else as above.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}
