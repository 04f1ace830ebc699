//! How many descriptors the process may have.

use crate::error::{Error, Result};
use crate::sys;

/// How many descriptors the process may have open.
///
/// # Errors
/// None in practice; the kernel knows this limit.
///
/// # References
/// getrlimit(2), `RLIMIT_NOFILE`.
pub fn descriptor_limit() -> Result<u64> {
    sys::process::descriptor_limits()
        .map(|(soft, _)| soft)
        .map_err(|errno| Error::os("getrlimit RLIMIT_NOFILE", errno))
}

/// Raises the limit of descriptors to what the system allows this process, and answers it.
///
/// # Errors
/// `EPERM` in a confined process; the old limit stays.
///
/// # References
/// setrlimit(2), `RLIMIT_NOFILE`.
pub fn raise_descriptor_limit() -> Result<u64> {
    let (soft, hard) = sys::process::descriptor_limits()
        .map_err(|errno| Error::os("getrlimit RLIMIT_NOFILE", errno))?;
    if soft < hard {
        sys::process::set_descriptor_limits(hard, hard)
            .map_err(|errno| Error::os("setrlimit RLIMIT_NOFILE", errno))?;
    }
    Ok(hard)
}
