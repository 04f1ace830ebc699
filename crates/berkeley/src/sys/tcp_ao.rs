//! `TCP_AO_GET_KEYS`, which takes from the value how many entries it may write.
#![expect(unsafe_code, reason = "getsockopt(2) with a length of its own kind")]

use core::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::check;
use super::socket::socklen;
use crate::control::walk::field;
use crate::errno::Errno;

/// Bytes of `struct tcp_ao_getsockopt`, linux/tcp.h, and where its count is.
pub(crate) const ENTRY_BYTES: usize = 304;
const COUNT_AT: usize = 272;

/// One key, as the kernel writes it.
pub(crate) type Entry = [u8; ENTRY_BYTES];

const GET_KEYS: c_int = 41;

/// Fills the entries, the first of which tells what is asked for. Answers how many there are,
/// which may be more than were written.
pub(crate) fn keys(fd: BorrowedFd<'_>, entries: &mut [Entry]) -> Result<u32, Errno> {
    let count = u32::try_from(entries.len()).map_err(|_many| Errno::EINVAL)?;
    let first = entries.first_mut().ok_or(Errno::EINVAL)?;
    let place = first.get_mut(COUNT_AT..).ok_or(Errno::EINVAL)?;
    *place.first_chunk_mut().ok_or(Errno::EINVAL)? = count.to_ne_bytes();
    let mut len = socklen(ENTRY_BYTES);
    // SAFETY: the length is that of one entry, and the first entry says how many there is room
    // for: as many as the slice has. The kernel writes no more.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            GET_KEYS,
            entries.as_mut_ptr().cast(),
            &raw mut len,
        )
    })?;
    let first = entries.first().ok_or(Errno::EINVAL)?;
    Ok(u32::from_ne_bytes(
        field(first, COUNT_AT).ok_or(Errno::EINVAL)?,
    ))
}
