//! Socket options by type: a value in, a value out, no bytes to fiddle with.
//!
//! Each option is a descriptor of no size that knows its level, its number and its value's type:
//!
//! ```
//! use berkeley::{Family, Kind, Protocol, Socket, opt};
//!
//! # fn main() -> Result<(), berkeley::Error> {
//! let socket = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT)?;
//! socket.set(opt::NoDelay, true)?;
//! assert!(socket.get(opt::NoDelay)?);
//! socket.set(opt::ip::Ttl, 64)?;
//! socket.set(opt::tcp::Congestion, "reno".parse()?)?;
//! # Ok(())
//! # }
//! ```
//!
//! One module for each level: [`socket`] (all of it is here under its own name too), [`ip`],
//! [`ipv6`], [`tcp`], [`mptcp`], [`udp`], [`packet`], [`can`], [`bluetooth`], [`vsock`], [`alg`],
//! [`netlink`], [`tipc`], [`xdp`], [`rds`] and [`rare`]; [`tcp_ao`] has TCP's keys, [`multicast`]
//! the memberships of IPv4 and IPv6, which [`crate::Socket::join_group`] and its relatives use.
//!
//! Times are rounded up to the unit of the kernel, so that no limit is shorter than what was
//! asked for. Numbers that the kernel chooses among (a discovery mode, a queue) are open
//! newtypes: one that has no name here survives.
//!
//! The traits are open: a program can describe an option that is not here. For a single use
//! there are [`crate::Socket::get_raw`] and [`crate::Socket::set_raw`]. An option whose value
//! borrows memory or makes a descriptor is a method of the socket instead:
//! [`crate::Socket::attach_filter`], [`crate::Socket::peer_pidfd`] and others.

#[macro_use]
mod codec;
pub mod alg;
pub mod bluetooth;
pub mod can;
pub mod filter;
pub mod ip;
pub mod ipv6;
pub mod mptcp;
pub mod multicast;
mod name;
pub mod netlink;
mod num;
pub mod packet;
pub mod rare;
pub mod rds;
pub mod socket;
pub mod tcp;
pub mod tcp_ao;
mod tcp_info;
pub mod tipc;
pub mod udp;
pub mod vsock;
pub mod xdp;

use core::ffi::c_int;

pub use ipv6::V6Only;
pub use name::Name;
pub use socket::*;
pub use tcp::{KeepCount, KeepIdle, KeepInterval, NoDelay};

use crate::kinds::Level;

/// Bytes that an option's value may have to be read without an allocation.
pub(crate) const VALUE_BYTES_INLINE: usize = 512;

/// Bytes that the smaller of two rooms for a value has: clearing the large one for each integer
/// would be a waste.
pub(crate) const VALUE_BYTES_SMALL: usize = 32;

/// A socket option: where it lives and what its value is.
///
/// # References
/// getsockopt(2).
pub trait SockOpt {
    /// The level, such as `SOL_SOCKET`.
    const LEVEL: Level;
    /// The option's number at that level.
    const NAME: c_int;
    /// The name in the man page, for error messages.
    const LABEL: &'static str;
    /// The value's type.
    type Value;
}

/// An option that can be read.
///
/// # References
/// getsockopt(2).
pub trait GetOpt: SockOpt {
    /// Bytes that the kernel is offered for the value. Up to 512 are on the stack.
    const BYTES: usize;

    /// Bytes that it is offered on a second try, after it answered `ERANGE` to the first.
    const BYTES_MAX: usize = Self::BYTES;

    /// Reads the value from what the kernel wrote; `None` if that is too short to be one.
    fn decode(bytes: &[u8]) -> Option<Self::Value>;
}

/// An option that can be set.
///
/// # References
/// setsockopt(2).
pub trait SetOpt: SockOpt {
    /// The value as the kernel wants it.
    fn encode(value: Self::Value) -> impl AsRef<[u8]>;
}

/// An option of this module as plain data: to list them, or to find one by its name.
///
/// # References
/// socket(7), ip(7), ipv6(7), tcp(7), udp(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    /// The name in C, such as `"TCP_NODELAY"`.
    pub label: &'static str,
    /// The level.
    pub level: Level,
    /// The number at that level.
    pub name: c_int,
}

impl Described {
    /// The data of a described option.
    #[must_use]
    pub const fn of<O: SockOpt>() -> Self {
        Self {
            label: O::LABEL,
            level: O::LEVEL,
            name: O::NAME,
        }
    }
}

/// Every option that has a descriptor in this module, level by level.
///
/// ```
/// let found = berkeley::opt::described().find(|option| option.label == "TCP_NODELAY");
/// assert_eq!(found.unwrap().name, 1);
/// ```
pub fn described() -> impl Iterator<Item = Described> {
    [
        // Of `socket`, which is taken in here whole.
        TABLE,
        ip::TABLE,
        ipv6::TABLE,
        multicast::TABLE,
        tcp::TABLE,
        tcp_ao::TABLE,
        mptcp::TABLE,
        udp::TABLE,
        packet::TABLE,
        can::TABLE,
        bluetooth::TABLE,
        vsock::TABLE,
        alg::TABLE,
        netlink::TABLE,
        tipc::TABLE,
        xdp::TABLE,
        rds::TABLE,
        rare::TABLE,
    ]
    .into_iter()
    .flatten()
    .copied()
}
