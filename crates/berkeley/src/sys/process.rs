//! What belongs to the process and its threads: limits, and the last error number.
#![expect(unsafe_code, reason = "getrlimit(2), setrlimit(2) and errno(3)")]

use super::check;
use crate::errno::Errno;

/// The soft and the hard limit of descriptors.
pub(crate) fn descriptor_limits() -> Result<(u64, u64), Errno> {
    let mut limits = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limits` is live and has the type that getrlimit(2) writes.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limits) })?;
    Ok((limits.rlim_cur, limits.rlim_max))
}

pub(crate) fn set_descriptor_limits(soft: u64, hard: u64) -> Result<(), Errno> {
    let limits = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: `limits` is live and only read.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits) }).map(drop)
}

/// The calling thread's `errno`.
#[inline]
pub(crate) fn last_errno() -> libc::c_int {
    // SAFETY: the function takes nothing, and answers the place of the thread's own number.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: that place is valid for as long as the thread runs, and no other thread uses it.
    unsafe { *place }
}
