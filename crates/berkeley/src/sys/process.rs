//! Limits of the process.
#![expect(unsafe_code, reason = "getrlimit(2) and setrlimit(2)")]

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
