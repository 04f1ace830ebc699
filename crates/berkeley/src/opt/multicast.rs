//! Groups: joining, leaving and choosing sources, for IPv4 (ip(7)) and IPv6 (ipv6(7), RFC 3678).
//!
//! The methods of [`Socket`] take an [`IpAddr`] and do what its family needs:
//!
//! ```no_run
//! use berkeley::opt::multicast::Interface;
//! use berkeley::{Addr, Family, Kind, Protocol, Socket};
//!
//! # fn main() -> Result<(), berkeley::Error> {
//! let socket = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT)?;
//! socket.bind(&Addr::any(Family::INET, 5000).unwrap())?;
//! socket.join_group("239.1.2.3".parse().unwrap(), Interface::Any)?;
//! // Only what this host sends to that group:
//! let source = "192.0.2.7".parse().unwrap();
//! socket.join_source("232.1.2.3".parse().unwrap(), source, Interface::Index(2))?;
//! # Ok(())
//! # }
//! ```
//!
//! The descriptors beside them are the options as the kernel has them. A membership belongs to
//! the socket that joined, and ends with it.

use core::ffi::c_int;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::codec::{Field, Plain, put};
use super::num;
use crate::error::{Error, Result};
use crate::kinds::Level;
use crate::socket::Socket;

options! {
    /// `IP_ADD_MEMBERSHIP`: joins a group, ip(7).
    w AddMembership: MembershipV4 as Plain<MembershipV4>
        = SOL_IP IP_ADD_MEMBERSHIP, "IP_ADD_MEMBERSHIP";
    /// `IP_DROP_MEMBERSHIP`: leaves a group, ip(7).
    w DropMembership: MembershipV4 as Plain<MembershipV4>
        = SOL_IP IP_DROP_MEMBERSHIP, "IP_DROP_MEMBERSHIP";
    /// `IP_ADD_SOURCE_MEMBERSHIP`: joins a group for one source, ip(7).
    w AddSourceMembership: SourceV4 as Plain<SourceV4>
        = SOL_IP IP_ADD_SOURCE_MEMBERSHIP, "IP_ADD_SOURCE_MEMBERSHIP";
    /// `IP_DROP_SOURCE_MEMBERSHIP`: leaves a source of a group, ip(7).
    w DropSourceMembership: SourceV4 as Plain<SourceV4>
        = SOL_IP IP_DROP_SOURCE_MEMBERSHIP, "IP_DROP_SOURCE_MEMBERSHIP";
    /// `IP_BLOCK_SOURCE`: no more from this source of a joined group, ip(7).
    w BlockSource: SourceV4 as Plain<SourceV4> = SOL_IP IP_BLOCK_SOURCE, "IP_BLOCK_SOURCE";
    /// `IP_UNBLOCK_SOURCE`: takes [`BlockSource`] back, ip(7).
    w UnblockSource: SourceV4 as Plain<SourceV4> = SOL_IP IP_UNBLOCK_SOURCE, "IP_UNBLOCK_SOURCE";
    /// `IPV6_ADD_MEMBERSHIP` (`IPV6_JOIN_GROUP`): joins a group, ipv6(7).
    w AddMembershipV6: MembershipV6 as Plain<MembershipV6>
        = SOL_IPV6 IPV6_ADD_MEMBERSHIP, "IPV6_ADD_MEMBERSHIP";
    /// `IPV6_DROP_MEMBERSHIP` (`IPV6_LEAVE_GROUP`): leaves a group, ipv6(7).
    w DropMembershipV6: MembershipV6 as Plain<MembershipV6>
        = SOL_IPV6 IPV6_DROP_MEMBERSHIP, "IPV6_DROP_MEMBERSHIP";
    /// `IPV6_JOIN_ANYCAST`: answers for an anycast address; needs `CAP_NET_ADMIN`.
    w JoinAnycast: MembershipV6 as Plain<MembershipV6>
        = SOL_IPV6 IPV6_JOIN_ANYCAST, "IPV6_JOIN_ANYCAST";
    /// `IPV6_LEAVE_ANYCAST`: no more.
    w LeaveAnycast: MembershipV6 as Plain<MembershipV6>
        = SOL_IPV6 IPV6_LEAVE_ANYCAST, "IPV6_LEAVE_ANYCAST";
    /// `MCAST_JOIN_GROUP` for IPv4, RFC 3678 §5.1.
    w JoinGroup: GroupRequest as Plain<GroupRequest> = SOL_IP MCAST_JOIN_GROUP, "MCAST_JOIN_GROUP";
    /// `MCAST_LEAVE_GROUP` for IPv4, RFC 3678 §5.1.
    w LeaveGroup: GroupRequest as Plain<GroupRequest>
        = SOL_IP MCAST_LEAVE_GROUP, "MCAST_LEAVE_GROUP";
    /// `MCAST_JOIN_SOURCE_GROUP` for IPv4, RFC 3678 §5.1.
    w JoinSource: SourceRequest as Plain<SourceRequest>
        = SOL_IP MCAST_JOIN_SOURCE_GROUP, "MCAST_JOIN_SOURCE_GROUP";
    /// `MCAST_LEAVE_SOURCE_GROUP` for IPv4, RFC 3678 §5.1.
    w LeaveSource: SourceRequest as Plain<SourceRequest>
        = SOL_IP MCAST_LEAVE_SOURCE_GROUP, "MCAST_LEAVE_SOURCE_GROUP";
    /// `MCAST_BLOCK_SOURCE` for IPv4, RFC 3678 §5.1.
    w BlockSourceOf: SourceRequest as Plain<SourceRequest>
        = SOL_IP MCAST_BLOCK_SOURCE, "MCAST_BLOCK_SOURCE";
    /// `MCAST_UNBLOCK_SOURCE` for IPv4, RFC 3678 §5.1.
    w UnblockSourceOf: SourceRequest as Plain<SourceRequest>
        = SOL_IP MCAST_UNBLOCK_SOURCE, "MCAST_UNBLOCK_SOURCE";
    /// `MCAST_JOIN_GROUP` for IPv6, RFC 3678 §5.1.
    w JoinGroupV6: GroupRequest as Plain<GroupRequest>
        = SOL_IPV6 MCAST_JOIN_GROUP, "MCAST_JOIN_GROUP";
    /// `MCAST_LEAVE_GROUP` for IPv6, RFC 3678 §5.1.
    w LeaveGroupV6: GroupRequest as Plain<GroupRequest>
        = SOL_IPV6 MCAST_LEAVE_GROUP, "MCAST_LEAVE_GROUP";
    /// `MCAST_JOIN_SOURCE_GROUP` for IPv6, RFC 3678 §5.1.
    w JoinSourceV6: SourceRequest as Plain<SourceRequest>
        = SOL_IPV6 MCAST_JOIN_SOURCE_GROUP, "MCAST_JOIN_SOURCE_GROUP";
    /// `MCAST_LEAVE_SOURCE_GROUP` for IPv6, RFC 3678 §5.1.
    w LeaveSourceV6: SourceRequest as Plain<SourceRequest>
        = SOL_IPV6 MCAST_LEAVE_SOURCE_GROUP, "MCAST_LEAVE_SOURCE_GROUP";
    /// `MCAST_BLOCK_SOURCE` for IPv6, RFC 3678 §5.1.
    w BlockSourceOfV6: SourceRequest as Plain<SourceRequest>
        = SOL_IPV6 MCAST_BLOCK_SOURCE, "MCAST_BLOCK_SOURCE";
    /// `MCAST_UNBLOCK_SOURCE` for IPv6, RFC 3678 §5.1.
    w UnblockSourceOfV6: SourceRequest as Plain<SourceRequest>
        = SOL_IPV6 MCAST_UNBLOCK_SOURCE, "MCAST_UNBLOCK_SOURCE";
}

/// Which interface a membership or what is sent to a group belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interface {
    /// The interface that has this address; IPv4 only.
    Addr(Ipv4Addr),
    /// The kernel's choice, by the route to the group.
    Any,
    /// The interface with this number, which is never zero.
    Index(u32),
}

/// An interface of IPv4 (a part of `struct ip_mreqn`): an index goes before an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceV4 {
    /// The interface's address, or `0.0.0.0`.
    pub addr: Ipv4Addr,
    /// The interface's index, or 0.
    pub index: u32,
}

record! {
    /// A group and an interface (`struct ip_mreqn`): an index goes before an address.
    MembershipV4 12 {
        /// The group.
        group: Ipv4Addr,
        /// The interface's address, or `0.0.0.0`.
        addr: Ipv4Addr,
        /// The interface's index, or 0.
        index: u32,
    }
}

record! {
    /// A group, an interface and a source (`struct ip_mreq_source`).
    SourceV4 12 {
        /// The group.
        group: Ipv4Addr,
        /// The interface's address, or `0.0.0.0`.
        addr: Ipv4Addr,
        /// Who sends.
        source: Ipv4Addr,
    }
}

record! {
    /// A group and an interface (`struct ipv6_mreq`).
    MembershipV6 20 {
        /// The group.
        group: Ipv6Addr,
        /// The interface's index; 0 for the kernel's choice.
        index: u32,
    }
}

const _: () = {
    assert!(size_of::<libc::ip_mreqn>() == 12);
    assert!(size_of::<libc::ip_mreq_source>() == 12);
    assert!(size_of::<libc::ipv6_mreq>() == 20);
    assert!(core::mem::offset_of!(libc::ip_mreq_source, imr_sourceaddr) == 8);
};

/// A group and an interface, for either family (`struct group_req`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupRequest {
    /// The interface's index; 0 for the kernel's choice.
    pub index: u32,
    /// The group.
    pub group: IpAddr,
}

/// A group, an interface and a source, for either family (`struct group_source_req`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceRequest {
    /// The interface's index; 0 for the kernel's choice.
    pub index: u32,
    /// The group.
    pub group: IpAddr,
    /// Who sends.
    pub source: IpAddr,
}

/// Bytes of `struct sockaddr_storage`, in which the kernel wants addresses.
const STORAGE: usize = 128;
/// Where it begins behind the index of an interface: it is aligned to 8.
const STORAGE_OFFSET: usize = 8;
/// Bytes of a `struct group_filter` before its list of sources.
const FILTER_HEAD: usize = STORAGE_OFFSET + STORAGE + 8;

const _: () = {
    assert!(size_of::<libc::sockaddr_storage>() == STORAGE);
    assert!(align_of::<libc::sockaddr_storage>() == STORAGE_OFFSET);
    assert!(core::mem::offset_of!(libc::sockaddr_in, sin_addr) == 4);
    assert!(core::mem::offset_of!(libc::sockaddr_in6, sin6_addr) == 8);
};

/// An address as the beginning of a `sockaddr_storage`, without a port.
fn storage(addr: IpAddr) -> [u8; 28] {
    let mut bytes = [0; 28];
    match addr {
        IpAddr::V4(addr) => {
            put(&mut bytes, 0, &family_bytes(libc::AF_INET));
            put(&mut bytes, 4, &addr.octets());
        }
        IpAddr::V6(addr) => {
            put(&mut bytes, 0, &family_bytes(libc::AF_INET6));
            put(&mut bytes, 8, &addr.octets());
        }
    }
    bytes
}

fn family_bytes(family: c_int) -> [u8; 2] {
    u16::try_from(family).unwrap_or(0).to_ne_bytes()
}

/// The address in a `sockaddr_storage`.
fn from_storage(bytes: &[u8]) -> Option<IpAddr> {
    let family = u16::take(&mut &*bytes)?;
    match c_int::from(family) {
        libc::AF_INET => Ipv4Addr::take(&mut bytes.get(4..)?).map(IpAddr::V4),
        libc::AF_INET6 => Ipv6Addr::take(&mut bytes.get(8..)?).map(IpAddr::V6),
        _ => None,
    }
}

impl Field for GroupRequest {
    const BYTES: usize = STORAGE_OFFSET + STORAGE;

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (mut record, rest) = bytes.split_at_checked(Self::BYTES)?;
        *bytes = rest;
        let group = from_storage(record.get(STORAGE_OFFSET..)?)?;
        let index = u32::take(&mut record)?;
        Some(Self { index, group })
    }

    fn put(&self, place: &mut [u8]) {
        put(place, 0, &self.index.to_ne_bytes());
        put(place, STORAGE_OFFSET, &storage(self.group));
    }
}

impl Field for SourceRequest {
    const BYTES: usize = STORAGE_OFFSET + 2 * STORAGE;

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (mut record, rest) = bytes.split_at_checked(Self::BYTES)?;
        *bytes = rest;
        let group = from_storage(record.get(STORAGE_OFFSET..)?)?;
        let source = from_storage(record.get(STORAGE_OFFSET + STORAGE..)?)?;
        let index = u32::take(&mut record)?;
        Some(Self {
            index,
            group,
            source,
        })
    }

    fn put(&self, place: &mut [u8]) {
        put(place, 0, &self.index.to_ne_bytes());
        put(place, STORAGE_OFFSET, &storage(self.group));
        put(place, STORAGE_OFFSET + STORAGE, &storage(self.source));
    }
}

codes! {
    /// What a list of sources means (`MCAST_INCLUDE`, `MCAST_EXCLUDE`), RFC 3678.
    FilterMode {
        /// All sources but those.
        EXCLUDE = 0;
        /// Those sources only.
        INCLUDE = 1;
    }
}

/// The level at which a group's family has its options.
const fn level(group: IpAddr) -> Level {
    match group {
        IpAddr::V4(_) => Level::IP,
        IpAddr::V6(_) => Level::IPV6,
    }
}

fn index_of(group: IpAddr, interface: Interface) -> Result<u32> {
    match interface {
        Interface::Any => Ok(0),
        Interface::Index(index) => Ok(index),
        Interface::Addr(addr) => Err(Error::Invalid(format!(
            "{group}: the interface is chosen by its index here, not by {addr}"
        ))),
    }
}

/// The four operations on a source: one option for IPv4 with an address, another for the rest.
struct SourceOperation {
    by_addr: c_int,
    by_index: c_int,
    label: &'static str,
}

impl Socket {
    /// Joins a group: what is sent to it comes to this socket, if it is bound to its port.
    ///
    /// # Errors
    /// `EADDRINUSE` if it has joined already; `ENODEV` for an interface that is not there or,
    /// with [`Interface::Any`], a machine without a route to the group; `EINVAL` for an address
    /// that is no group; `ENOBUFS` beyond `igmp_max_memberships`; [`Error::Invalid`] for IPv6 with
    /// [`Interface::Addr`].
    ///
    /// # References
    /// ip(7) `IP_ADD_MEMBERSHIP`, ipv6(7) `IPV6_ADD_MEMBERSHIP`, RFC 3678.
    #[doc(alias = "IP_ADD_MEMBERSHIP")]
    #[doc(alias = "IPV6_JOIN_GROUP")]
    #[doc(alias = "MCAST_JOIN_GROUP")]
    pub fn join_group(&self, group: IpAddr, interface: Interface) -> Result<()> {
        match group {
            IpAddr::V4(group) => self.set(AddMembership, membership(group, interface)),
            IpAddr::V6(address) => self.set(
                AddMembershipV6,
                MembershipV6 {
                    group: address,
                    index: index_of(group, interface)?,
                },
            ),
        }
    }

    /// Leaves a group that [`Socket::join_group`] joined, with all its sources.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` if the socket is not in it.
    ///
    /// # References
    /// ip(7) `IP_DROP_MEMBERSHIP`, ipv6(7) `IPV6_DROP_MEMBERSHIP`.
    #[doc(alias = "IP_DROP_MEMBERSHIP")]
    #[doc(alias = "IPV6_LEAVE_GROUP")]
    #[doc(alias = "MCAST_LEAVE_GROUP")]
    pub fn leave_group(&self, group: IpAddr, interface: Interface) -> Result<()> {
        match group {
            IpAddr::V4(group) => self.set(DropMembership, membership(group, interface)),
            IpAddr::V6(address) => self.set(
                DropMembershipV6,
                MembershipV6 {
                    group: address,
                    index: index_of(group, interface)?,
                },
            ),
        }
    }

    /// Joins a group for one source (source-specific multicast, RFC 4607); call it again for
    /// more sources.
    ///
    /// # Errors
    /// As [`Socket::join_group`]; `EINVAL` if the group was joined for all sources.
    ///
    /// # References
    /// ip(7) `IP_ADD_SOURCE_MEMBERSHIP`, RFC 3678 `MCAST_JOIN_SOURCE_GROUP`.
    #[doc(alias = "MCAST_JOIN_SOURCE_GROUP")]
    pub fn join_source(&self, group: IpAddr, source: IpAddr, interface: Interface) -> Result<()> {
        let operation = SourceOperation {
            by_addr: num::IP_ADD_SOURCE_MEMBERSHIP,
            by_index: num::MCAST_JOIN_SOURCE_GROUP,
            label: "MCAST_JOIN_SOURCE_GROUP",
        };
        self.source(&operation, group, source, interface)
    }

    /// Leaves one source of a group; with the last one, the group.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` if the socket has not joined that source.
    ///
    /// # References
    /// ip(7) `IP_DROP_SOURCE_MEMBERSHIP`, RFC 3678 `MCAST_LEAVE_SOURCE_GROUP`.
    #[doc(alias = "MCAST_LEAVE_SOURCE_GROUP")]
    pub fn leave_source(&self, group: IpAddr, source: IpAddr, interface: Interface) -> Result<()> {
        let operation = SourceOperation {
            by_addr: num::IP_DROP_SOURCE_MEMBERSHIP,
            by_index: num::MCAST_LEAVE_SOURCE_GROUP,
            label: "MCAST_LEAVE_SOURCE_GROUP",
        };
        self.source(&operation, group, source, interface)
    }

    /// Takes nothing more from one source of a group that was joined for all.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` if it is blocked already, `EINVAL` if the group was not joined for all.
    ///
    /// # References
    /// ip(7) `IP_BLOCK_SOURCE`, RFC 3678 `MCAST_BLOCK_SOURCE`.
    #[doc(alias = "MCAST_BLOCK_SOURCE")]
    pub fn block_source(&self, group: IpAddr, source: IpAddr, interface: Interface) -> Result<()> {
        let operation = SourceOperation {
            by_addr: num::IP_BLOCK_SOURCE,
            by_index: num::MCAST_BLOCK_SOURCE,
            label: "MCAST_BLOCK_SOURCE",
        };
        self.source(&operation, group, source, interface)
    }

    /// Takes [`Socket::block_source`] back.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` if it is not blocked.
    ///
    /// # References
    /// ip(7) `IP_UNBLOCK_SOURCE`, RFC 3678 `MCAST_UNBLOCK_SOURCE`.
    #[doc(alias = "MCAST_UNBLOCK_SOURCE")]
    pub fn unblock_source(
        &self,
        group: IpAddr,
        source: IpAddr,
        interface: Interface,
    ) -> Result<()> {
        let operation = SourceOperation {
            by_addr: num::IP_UNBLOCK_SOURCE,
            by_index: num::MCAST_UNBLOCK_SOURCE,
            label: "MCAST_UNBLOCK_SOURCE",
        };
        self.source(&operation, group, source, interface)
    }

    fn source(
        &self,
        operation: &SourceOperation,
        group: IpAddr,
        source: IpAddr,
        interface: Interface,
    ) -> Result<()> {
        if let (IpAddr::V4(group), IpAddr::V4(source), Interface::Addr(addr)) =
            (group, source, interface)
        {
            let mut bytes = [0; SourceV4::BYTES];
            SourceV4 {
                group,
                addr,
                source,
            }
            .put(&mut bytes);
            return self.set_labelled(Level::IP, operation.by_addr, operation.label, &bytes);
        }
        let mut bytes = [0; SourceRequest::BYTES];
        SourceRequest {
            index: index_of(group, interface)?,
            group,
            source,
        }
        .put(&mut bytes);
        self.set_labelled(level(group), operation.by_index, operation.label, &bytes)
    }

    /// Replaces the whole list of sources of a joined group.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` or `EINVAL` if the group was not joined; `ENOBUFS` beyond
    /// `igmp_max_msf` or `mld_max_msf` sources.
    ///
    /// # References
    /// RFC 3678 §5.2 `setsourcefilter`, `MCAST_MSFILTER`.
    #[doc(alias = "MCAST_MSFILTER")]
    #[doc(alias = "IP_MSFILTER")]
    pub fn set_source_filter(
        &self,
        group: IpAddr,
        interface: Interface,
        mode: FilterMode,
        sources: &[IpAddr],
    ) -> Result<()> {
        let mut bytes = vec![0; FILTER_HEAD.saturating_add(sources.len().saturating_mul(STORAGE))];
        filter_head(&mut bytes, group, interface, mode, sources.len())?;
        for (number, source) in sources.iter().enumerate() {
            put(
                &mut bytes,
                FILTER_HEAD + number * STORAGE,
                &storage(*source),
            );
        }
        self.set_labelled(level(group), num::MCAST_MSFILTER, "MCAST_MSFILTER", &bytes)
    }

    /// The list of sources of a joined group, and what it means; up to `sources_max` of them,
    /// the rest is not told.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` if the group was not joined.
    ///
    /// # References
    /// RFC 3678 §5.2 `getsourcefilter`, `MCAST_MSFILTER`.
    pub fn source_filter(
        &self,
        group: IpAddr,
        interface: Interface,
        sources_max: u16,
    ) -> Result<(FilterMode, Vec<IpAddr>)> {
        let room = usize::from(sources_max);
        let mut bytes = vec![0; FILTER_HEAD + room * STORAGE];
        filter_head(&mut bytes, group, interface, FilterMode::EXCLUDE, room)?;
        self.get_labelled(
            level(group),
            num::MCAST_MSFILTER,
            "MCAST_MSFILTER",
            &mut bytes,
        )?;
        let mut tail = bytes.get(STORAGE_OFFSET + STORAGE..).unwrap_or_default();
        let mode = FilterMode::from_raw(c_int::take(&mut tail).unwrap_or(0));
        let count = u32::take(&mut tail).and_then(|count| usize::try_from(count).ok());
        let sources = tail
            .chunks_exact(STORAGE)
            .take(count.unwrap_or(0))
            .filter_map(from_storage)
            .collect();
        Ok((mode, sources))
    }

    /// Chooses the interface by which this socket's multicast leaves; the socket's own family
    /// says which of the two options it is.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL`, `ENODEV` for an interface that is not there; [`Error::Invalid`] for IPv6
    /// with [`Interface::Addr`].
    ///
    /// # References
    /// ip(7) `IP_MULTICAST_IF`, ipv6(7) `IPV6_MULTICAST_IF`.
    #[doc(alias = "IP_MULTICAST_IF")]
    #[doc(alias = "IPV6_MULTICAST_IF")]
    pub fn set_multicast_interface(&self, interface: Interface) -> Result<()> {
        if self.family() == crate::Family::INET6 {
            let index = index_of(IpAddr::V6(Ipv6Addr::UNSPECIFIED), interface)?;
            return self.set(super::ipv6::MulticastInterface, index);
        }
        let MembershipV4 { addr, index, .. } = membership(Ipv4Addr::UNSPECIFIED, interface);
        self.set(super::ip::MulticastInterface, InterfaceV4 { addr, index })
    }
}

const fn membership(group: Ipv4Addr, interface: Interface) -> MembershipV4 {
    let (addr, index) = match interface {
        Interface::Addr(addr) => (addr, 0),
        Interface::Any => (Ipv4Addr::UNSPECIFIED, 0),
        Interface::Index(index) => (Ipv4Addr::UNSPECIFIED, index),
    };
    MembershipV4 { group, addr, index }
}

fn filter_head(
    bytes: &mut [u8],
    group: IpAddr,
    interface: Interface,
    mode: FilterMode,
    count: usize,
) -> Result<()> {
    let count = u32::try_from(count)
        .map_err(|_many| Error::Invalid(format!("{group}: {count} sources are too many")))?;
    put(bytes, 0, &index_of(group, interface)?.to_ne_bytes());
    put(bytes, STORAGE_OFFSET, &storage(group));
    put(bytes, STORAGE_OFFSET + STORAGE, &mode.raw().to_ne_bytes());
    put(bytes, STORAGE_OFFSET + STORAGE + 4, &count.to_ne_bytes());
    Ok(())
}
