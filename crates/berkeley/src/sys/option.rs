//! Options whose value is no plain data: it points to memory, or it is a descriptor.
#![expect(
    unsafe_code,
    reason = "option values with pointers and descriptors, each with its own argument"
)]

use core::ffi::{c_int, c_void};
use core::mem::offset_of;
use core::ptr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::check;
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::kinds::Level;
use crate::opt::filter::{INSTRUCTIONS_MAX, Instruction};
use crate::socket::Socket;

/// `SO_GET_FILTER`, which counts in instructions instead of bytes.
pub(crate) const GET_FILTER: c_int = libc::SO_ATTACH_FILTER;

/// Whether the kernel writes to memory that the option's *value* points to. Such an option has
/// no place in a safe function: its bytes could name any memory of the process.
pub(crate) const fn reading_writes_elsewhere(level: c_int, name: c_int) -> bool {
    match level {
        // TCP_ZEROCOPY_RECEIVE.
        libc::IPPROTO_TCP => name == 35,
        // EBT_SO_GET_ENTRIES, EBT_SO_GET_INIT_ENTRIES.
        libc::IPPROTO_IP => matches!(name, 130 | 131),
        // MPTCP_FULL_INFO.
        284 => name == 4,
        _ => false,
    }
}

/// The same for setting: memory is written to, now or later.
pub(crate) const fn setting_writes_elsewhere(level: c_int, name: c_int) -> bool {
    match level {
        // IPT_SO_SET_REPLACE, ARPT_SO_SET_REPLACE, EBT_SO_SET_ENTRIES: old counters.
        libc::IPPROTO_IP => matches!(name, 64 | 96 | 128),
        // IP6T_SO_SET_REPLACE.
        libc::IPPROTO_IPV6 => name == 64,
        // XDP_UMEM_REG: frames go there as they arrive.
        libc::SOL_XDP => name == 4,
        // RDS_GET_MR, RDS_GET_MR_FOR_DEST: the peer writes there.
        276 => matches!(name, 2 | 7),
        _ => false,
    }
}

/// Whether reading the option could write more than `value` has room for. These take the number
/// of entries to write from the value itself, and the length beside it is no limit to them.
pub(super) fn reading_writes_beyond(level: c_int, name: c_int, value: &[u8]) -> bool {
    let (count_at, entry_bytes) = match (level, name) {
        // IP_MSFILTER, struct ip_msfilter.
        (libc::IPPROTO_IP, 41) => (12, 4),
        // MCAST_MSFILTER, struct group_filter.
        (libc::IPPROTO_IP | libc::IPPROTO_IPV6, 48) => (140, 128),
        // TCP_AO_GET_KEYS, struct tcp_ao_getsockopt: entries of the length told. Their number is
        // written even where the value ends before it.
        (libc::IPPROTO_TCP, 41) => return count_in(value, 272).is_none_or(|count| count > 1),
        _ => return false,
    };
    // The kernel refuses a value that ends before the number does.
    count_in(value, count_at).is_some_and(|count| {
        let room = value.len().saturating_sub(count_at + size_of::<u32>());
        usize::try_from(count).map_or(true, |count| count > room / entry_bytes)
    })
}

fn count_in(value: &[u8], at: usize) -> Option<u32> {
    crate::control::walk::field(value, at).map(u32::from_ne_bytes)
}

/// Whether a control message of the type makes the kernel write to memory that its payload points
/// to, now or later. RDS: `RDS_CMSG_RDMA_ARGS`, `RDS_CMSG_RDMA_MAP` and the atomic operations.
pub(crate) const fn control_writes_elsewhere(level: c_int, kind: c_int) -> bool {
    level == libc::SOL_RDS && matches!(kind, 1 | 3 | 6..=9)
}

/// setsockopt(2) without a value, but with a length.
pub(crate) fn setsockopt_null(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    len: libc::socklen_t,
) -> Result<(), Errno> {
    // SAFETY: there is no value, so nothing of ours is read: where the kernel wants one it
    // answers EFAULT.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, ptr::null(), len) }).map(drop)
}

/// `struct sock_fprog` with the gap that C leaves in it: the kernel reads that too, and it shall
/// not be memory of somebody else's.
#[repr(C)]
struct Program {
    len: u16,
    gap: [u8; PROGRAM_GAP],
    instructions: *const Instruction,
}

const PROGRAM_GAP: usize = size_of::<usize>() - size_of::<u16>();

const _: () = {
    assert!(size_of::<Program>() == size_of::<libc::sock_fprog>());
    assert!(offset_of!(Program, instructions) == offset_of!(libc::sock_fprog, filter));
};

/// Sets an option whose value is `struct sock_fprog`.
pub(crate) fn set_program(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    program: &[Instruction],
) -> Result<(), Errno> {
    let len = u16::try_from(program.len()).map_err(|_long| Errno::EINVAL)?;
    let value = Program {
        len,
        gap: [0; PROGRAM_GAP],
        instructions: program.as_ptr(),
    };
    let place: *const c_void = (&raw const value).cast();
    let size = super::socket::socklen(size_of::<Program>());
    // SAFETY: `value` is a live `Program` of `size` bytes, which points to `len` live
    // instructions of the layout of sock_filter (asserted where the type is); all is only read,
    // and copied before the call ends.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, place, size) }).map(drop)
}

/// Reads the filter of a socket.
pub(crate) fn get_filter(fd: BorrowedFd<'_>) -> Result<Vec<Instruction>, Errno> {
    let empty = Instruction {
        code: 0,
        jump_true: 0,
        jump_false: 0,
        operand: 0,
    };
    let mut program = vec![empty; INSTRUCTIONS_MAX];
    let mut count = super::socket::socklen(INSTRUCTIONS_MAX);
    let place: *mut c_void = program.as_mut_ptr().cast();
    // SAFETY: SO_GET_FILTER counts in instructions: `place` has room for `count` of them, and any
    // bytes are a valid `Instruction`.
    let answer = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            GET_FILTER,
            place,
            &raw mut count,
        )
    };
    check(answer)?;
    program.truncate(usize::try_from(count).unwrap_or(0));
    Ok(program)
}

impl Socket {
    /// A descriptor of the process at the other end of a Unix connection, which stays the same
    /// process although its number may be used again.
    ///
    /// # Errors
    /// `ENODATA` or `EINVAL` where there is no peer; `ESRCH` if it is gone; `ENOPROTOOPT` before
    /// Linux 6.5.
    ///
    /// # References
    /// unix(7) `SO_PEERPIDFD`, pidfd_open(2).
    #[doc(alias = "SO_PEERPIDFD")]
    pub fn peer_pidfd(&self) -> Result<OwnedFd> {
        let mut value = [0; size_of::<c_int>()];
        let len = super::socket::getsockopt(self.as_fd(), libc::SOL_SOCKET, PEER_PIDFD, &mut value)
            .map_err(|errno| self.failure("SO_PEERPIDFD", errno))?;
        let fd = c_int::from_ne_bytes(value);
        if len != value.len() || fd < 0 {
            return Err(Error::Invalid(format!(
                "SO_PEERPIDFD: the kernel's answer has {len} bytes"
            )));
        }
        // SAFETY: the kernel has just made this descriptor for us (pidfd_prepare and fd_install),
        // and nobody else knows its number.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// As [`Socket::get_raw`], for the options whose value holds addresses of memory that the
    /// kernel writes to: `TCP_ZEROCOPY_RECEIVE`, `MPTCP_FULL_INFO` and those of ebtables, which
    /// `get_raw` refuses.
    ///
    /// # Safety
    /// Each address in `value` has to name memory that the kernel may write to now, with the
    /// length beside it.
    ///
    /// # Errors
    /// As [`Socket::get`].
    pub unsafe fn get_raw_pointers(
        &self,
        level: Level,
        name: i32,
        value: &mut [u8],
    ) -> Result<usize> {
        super::socket::getsockopt(self.as_fd(), level.raw(), name, value)
            .map_err(|errno| self.failure("getsockopt", errno))
    }

    /// As [`Socket::set_raw`], for the options whose value holds addresses of memory that the
    /// kernel writes to: `XDP_UMEM_REG`, `RDS_GET_MR` and the tables of netfilter, which
    /// `set_raw` refuses.
    ///
    /// # Safety
    /// Each address in `value` has to name memory that the kernel may write to, now and as long
    /// as the option says (for `XDP_UMEM_REG`: as long as the socket lives).
    ///
    /// # Errors
    /// As [`Socket::set`].
    pub unsafe fn set_raw_pointers(&self, level: Level, name: i32, value: &[u8]) -> Result<()> {
        super::socket::setsockopt(self.as_fd(), level.raw(), name, value)
            .map_err(|errno| self.failure("setsockopt", errno))
    }
}

/// `SO_PEERPIDFD`, Linux 6.5.
const PEER_PIDFD: c_int = 77;
