//! Options of IPv4: `IPPROTO_IP`, ip(7). Memberships of groups are in [`super::multicast`].

use std::net::{Ipv4Addr, SocketAddrV4};

use super::codec::{
    Bits, Bytes, Code, Count, Decode, Encode, Field, Flag, IndexBigEndian, Octet, Plain,
};
use super::multicast::{InterfaceV4, MembershipV4};
use crate::kinds::Protocol;

options! {
    /// `IP_TOS`: the octet with the class of service (DSCP and ECN) of what is sent, ip(7). TCP
    /// keeps the two bits of ECN to itself.
    rw Tos: u8 as Octet = SOL_IP IP_TOS, "IP_TOS";
    /// `IP_TTL`: routers that a packet may pass, 1 to 255, ip(7).
    rw Ttl: u8 as Octet = SOL_IP IP_TTL, "IP_TTL";
    /// `IP_HDRINCL`: what a raw socket sends begins with the IP header, ip(7).
    rw HeaderIncluded: bool as Flag = SOL_IP IP_HDRINCL, "IP_HDRINCL";
    /// `IP_OPTIONS`: the options of each packet that is sent, as they are in its header, up to 40
    /// bytes, ip(7).
    rw Options: Vec<u8> as Bytes<40> = SOL_IP IP_OPTIONS, "IP_OPTIONS";
    /// `IP_ROUTER_ALERT`: a raw socket gets the packets that carry a router alert, ip(7).
    rw RouterAlert: bool as Flag = SOL_IP IP_ROUTER_ALERT, "IP_ROUTER_ALERT";
    /// `IP_RECVOPTS`: messages carry the options of their packet, ip(7).
    rw RecvOptions: bool as Flag = SOL_IP IP_RECVOPTS, "IP_RECVOPTS";
    /// `IP_RETOPTS` (`IP_RECVRETOPTS`): the same, unprocessed, ip(7).
    #[doc(alias = "IP_RECVRETOPTS")]
    rw ReturnOptions: bool as Flag = SOL_IP IP_RETOPTS, "IP_RETOPTS";
    /// `IP_PKTINFO`: messages carry their interface and destination, ip(7).
    rw PacketInfo: bool as Flag = SOL_IP IP_PKTINFO, "IP_PKTINFO";
    /// `IP_MTU_DISCOVER`: how the largest size on the path is found, ip(7).
    rw MtuDiscover: MtuDiscovery as Code<MtuDiscovery> = SOL_IP IP_MTU_DISCOVER, "IP_MTU_DISCOVER";
    /// `IP_RECVERR`: the network's errors are queued with their details, ip(7).
    rw RecvErr: bool as Flag = SOL_IP IP_RECVERR, "IP_RECVERR";
    /// `IP_RECVTTL`: messages carry the TTL of their packet, ip(7).
    rw RecvTtl: bool as Flag = SOL_IP IP_RECVTTL, "IP_RECVTTL";
    /// `IP_RECVTOS`: messages carry the TOS of their packet, ip(7).
    rw RecvTos: bool as Flag = SOL_IP IP_RECVTOS, "IP_RECVTOS";
    /// `IP_MTU`: the largest packet that the path of a connected socket takes, bytes, ip(7).
    r Mtu: u32 as Count = SOL_IP IP_MTU, "IP_MTU";
    /// `IP_FREEBIND`: bind to an address that no interface has (yet), ip(7).
    rw FreeBind: bool as Flag = SOL_IP IP_FREEBIND, "IP_FREEBIND";
    /// `IP_PASSSEC`: messages carry the security context of their packet.
    rw PassSecurity: bool as Flag = SOL_IP IP_PASSSEC, "IP_PASSSEC";
    /// `IP_TRANSPARENT`: take and send as any address; needs `CAP_NET_ADMIN`, ip(7).
    rw Transparent: bool as Flag = SOL_IP IP_TRANSPARENT, "IP_TRANSPARENT";
    /// `IP_RECVORIGDSTADDR`: messages carry the destination that they had before a transparent
    /// proxy, ip(7).
    rw RecvOriginalDestination: bool as Flag = SOL_IP IP_RECVORIGDSTADDR, "IP_RECVORIGDSTADDR";
    /// `IP_MINTTL`: packets of a smaller TTL are dropped (RFC 5082), 0 for none.
    rw MinTtl: u8 as Octet = SOL_IP IP_MINTTL, "IP_MINTTL";
    /// `IP_NODEFRAG`: a raw socket's fragments are not put together, ip(7).
    rw NoDefrag: bool as Flag = SOL_IP IP_NODEFRAG, "IP_NODEFRAG";
    /// `IP_CHECKSUM`: messages carry the checksum of their packet.
    rw Checksum: bool as Flag = SOL_IP IP_CHECKSUM, "IP_CHECKSUM";
    /// `IP_BIND_ADDRESS_NO_PORT`: a bind to port 0 leaves the choice to `connect`, ip(7).
    rw BindAddressNoPort: bool as Flag = SOL_IP IP_BIND_ADDRESS_NO_PORT, "IP_BIND_ADDRESS_NO_PORT";
    /// `IP_RECVFRAGSIZE`: messages carry the size of their largest fragment.
    rw RecvFragmentSize: bool as Flag = SOL_IP IP_RECVFRAGSIZE, "IP_RECVFRAGSIZE";
    /// `IP_RECVERR_RFC4884`: errors carry where the extensions of RFC 4884 are.
    rw RecvErrRfc4884: bool as Flag = SOL_IP IP_RECVERR_RFC4884, "IP_RECVERR_RFC4884";
    /// `IP_UNICAST_IF`: the interface (its index, 0 for none) by which packets leave, ip(7).
    rw UnicastInterface: u32 as IndexBigEndian = SOL_IP IP_UNICAST_IF, "IP_UNICAST_IF";
    /// `IP_LOCAL_PORT_RANGE`: the ports among which the kernel chooses (Linux 6.3), ip(7).
    rw LocalPortRange: PortRange as Plain<PortRange>
        = SOL_IP IP_LOCAL_PORT_RANGE, "IP_LOCAL_PORT_RANGE";
    /// `IP_PROTOCOL`: the protocol of a raw socket, which `IP_HDRINCL` may differ from (6.5).
    r RawProtocol: Protocol as super::codec::ProtocolCode = SOL_IP IP_PROTOCOL, "IP_PROTOCOL";
    /// `IP_MULTICAST_TTL`: routers that a multicast packet may pass; 0 stays on this machine,
    /// ip(7).
    rw MulticastTtl: u8 as Octet = SOL_IP IP_MULTICAST_TTL, "IP_MULTICAST_TTL";
    /// `IP_MULTICAST_LOOP`: what is sent to a group is also received on this machine, ip(7).
    rw MulticastLoop: bool as Flag = SOL_IP IP_MULTICAST_LOOP, "IP_MULTICAST_LOOP";
    /// `IP_MULTICAST_ALL`: messages of groups that others joined come too; on by default, ip(7).
    rw MulticastAll: bool as Flag = SOL_IP IP_MULTICAST_ALL, "IP_MULTICAST_ALL";
    /// `IP_MULTICAST_IF`: the interface by which multicast leaves, ip(7). What is read may have
    /// the address only. [`crate::Socket::set_multicast_interface`] sets it in either family.
    rw MulticastInterface: InterfaceV4 as InterfaceAnswer
        = SOL_IP IP_MULTICAST_IF, "IP_MULTICAST_IF";
    /// `SO_ORIGINAL_DST`: where a connection went before netfilter redirected it; `ENOENT` or
    /// `ENOPROTOOPT` where it did not.
    r OriginalDestination: SocketAddrV4 as SockaddrIn = SOL_IP SO_ORIGINAL_DST, "SO_ORIGINAL_DST";
    /// `IP_XFRM_POLICY`: a policy of IPsec (`struct xfrm_userpolicy_info` and templates), as
    /// bytes; needs `CAP_NET_ADMIN`.
    w XfrmPolicy: Vec<u8> as Bytes<4096> = SOL_IP IP_XFRM_POLICY, "IP_XFRM_POLICY";
    /// `IP_PKTOPTIONS`: of a TCP connection, what control messages told of its last segment, as
    /// their bytes, ip(7).
    r PacketOptions: Vec<u8> as Bytes<256> = SOL_IP IP_PKTOPTIONS, "IP_PKTOPTIONS";
    /// `ICMP_FILTER`: which kinds of ICMP a raw socket does not get: bit n for kind n, raw(7).
    rw IcmpFilter: u32 as Bits = SOL_RAW ICMP_FILTER, "ICMP_FILTER";
}

record! {
    /// A range of ports, both ends in it; 0 for the system's end of it.
    PortRange 4 {
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
    }
}

codes! {
    /// How the largest packet of a path is found (`IP_PMTUDISC_*`), ip(7); the same for IPv6.
    MtuDiscovery {
        /// Never forbid fragments.
        DONT = libc::IP_PMTUDISC_DONT;
        /// As the route says.
        WANT = libc::IP_PMTUDISC_WANT;
        /// Always forbid fragments; what is too large fails with `EMSGSIZE`.
        DO = libc::IP_PMTUDISC_DO;
        /// Forbid fragments, but do not believe the known size: for programs that probe.
        PROBE = libc::IP_PMTUDISC_PROBE;
        /// The interface's size, whatever the network tells, and no fragments.
        INTERFACE = libc::IP_PMTUDISC_INTERFACE;
        /// The interface's size, with fragments where they are needed.
        OMIT = libc::IP_PMTUDISC_OMIT;
    }
}

/// `struct sockaddr_in`.
struct SockaddrIn;

const _: () = assert!(size_of::<libc::sockaddr_in>() == 16);

impl Decode for SockaddrIn {
    type Value = SocketAddrV4;
    const BYTES: usize = 16;

    fn decode(mut bytes: &[u8]) -> Option<SocketAddrV4> {
        let bytes = &mut bytes;
        let family = u16::take(bytes)?;
        let port = <[u8; 2]>::take(bytes).map(u16::from_be_bytes)?;
        let addr = Ipv4Addr::take(bytes)?;
        (i32::from(family) == libc::AF_INET).then_some(SocketAddrV4::new(addr, port))
    }
}

/// Set as `struct ip_mreqn`, read as `struct in_addr`.
struct InterfaceAnswer;

impl Decode for InterfaceAnswer {
    type Value = InterfaceV4;
    const BYTES: usize = 12;

    fn decode(bytes: &[u8]) -> Option<Self::Value> {
        if let Some(whole) = <Plain<MembershipV4> as Decode>::decode(bytes) {
            return Some(InterfaceV4 {
                addr: whole.addr,
                index: whole.index,
            });
        }
        Some(InterfaceV4 {
            addr: Ipv4Addr::take(&mut &*bytes)?,
            index: 0,
        })
    }
}

impl Encode for InterfaceAnswer {
    type Value = InterfaceV4;

    fn encode(value: Self::Value) -> impl AsRef<[u8]> {
        <Plain<MembershipV4> as Encode>::encode(MembershipV4 {
            group: Ipv4Addr::UNSPECIFIED,
            addr: value.addr,
            index: value.index,
        })
    }
}
