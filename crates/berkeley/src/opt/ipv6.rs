//! Options of IPv6: `IPPROTO_IPV6`, ipv6(7) and RFC 3542. Memberships of groups are in
//! [`super::multicast`].

use std::net::{Ipv6Addr, SocketAddrV6};

use super::codec::{
    Automatic, Bytes, Code, Count, Decode, Field, Flag, IndexBigEndian, Number, Octet, Plain,
};
use super::ip::MtuDiscovery;
use crate::kinds::Family;

options! {
    /// `IPV6_V6ONLY`: an IPv6 socket takes no IPv4 peers, ipv6(7).
    rw V6Only: bool as Flag = SOL_IPV6 IPV6_V6ONLY, "IPV6_V6ONLY";
    /// `IPV6_ADDRFORM`: turns a socket that is connected to an IPv4-mapped address into an IPv4
    /// one: [`Family::INET`] is the only value, ipv6(7).
    rw AddressForm: Family as super::codec::FamilyCode = SOL_IPV6 IPV6_ADDRFORM, "IPV6_ADDRFORM";
    /// `IPV6_CHECKSUM`: where the checksum is in the data of a raw socket (an even offset);
    /// `None` for none, RFC 3542 §3.1.
    rw Checksum: Option<u32> as Automatic = SOL_IPV6 IPV6_CHECKSUM, "IPV6_CHECKSUM";
    /// `IPV6_UNICAST_HOPS`: routers that a packet may pass, ipv6(7).
    rw UnicastHops: u8 as Octet = SOL_IPV6 IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS";
    /// `IPV6_MULTICAST_HOPS`: routers that a multicast packet may pass; 0 stays on this machine,
    /// ipv6(7).
    rw MulticastHops: u8 as Octet = SOL_IPV6 IPV6_MULTICAST_HOPS, "IPV6_MULTICAST_HOPS";
    /// `IPV6_MULTICAST_LOOP`: what is sent to a group is also received on this machine, ipv6(7).
    rw MulticastLoop: bool as Flag = SOL_IPV6 IPV6_MULTICAST_LOOP, "IPV6_MULTICAST_LOOP";
    /// `IPV6_MULTICAST_IF`: the interface (its index, 0 for none) by which multicast leaves,
    /// ipv6(7).
    rw MulticastInterface: u32 as Count = SOL_IPV6 IPV6_MULTICAST_IF, "IPV6_MULTICAST_IF";
    /// `IPV6_MULTICAST_ALL`: messages of groups that others joined come too (Linux 4.20).
    rw MulticastAll: bool as Flag = SOL_IPV6 IPV6_MULTICAST_ALL, "IPV6_MULTICAST_ALL";
    /// `IPV6_ROUTER_ALERT`: a raw socket gets the packets of this router alert (RFC 2711); `None`
    /// for none, ipv6(7).
    w RouterAlert: Option<u32> as Automatic = SOL_IPV6 IPV6_ROUTER_ALERT, "IPV6_ROUTER_ALERT";
    /// `IPV6_ROUTER_ALERT_ISOLATE`: those of this network namespace only.
    rw RouterAlertIsolate: bool as Flag
        = SOL_IPV6 IPV6_ROUTER_ALERT_ISOLATE, "IPV6_ROUTER_ALERT_ISOLATE";
    /// `IPV6_MTU_DISCOVER`: how the largest size on the path is found, ipv6(7).
    rw MtuDiscover: MtuDiscovery as Code<MtuDiscovery>
        = SOL_IPV6 IPV6_MTU_DISCOVER, "IPV6_MTU_DISCOVER";
    /// `IPV6_MTU`: the largest packet of the path, bytes, at least 1280 when set, ipv6(7). Read,
    /// it wants a connected socket.
    rw Mtu: u32 as Count = SOL_IPV6 IPV6_MTU, "IPV6_MTU";
    /// `IPV6_RECVERR`: the network's errors are queued with their details, ipv6(7).
    rw RecvErr: bool as Flag = SOL_IPV6 IPV6_RECVERR, "IPV6_RECVERR";
    /// `IPV6_RECVERR_RFC4884`: errors carry where the extensions of RFC 4884 are.
    rw RecvErrRfc4884: bool as Flag = SOL_IPV6 IPV6_RECVERR_RFC4884, "IPV6_RECVERR_RFC4884";
    /// `IPV6_RECVPKTINFO`: messages carry their interface and destination, ipv6(7).
    rw RecvPacketInfo: bool as Flag = SOL_IPV6 IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO";
    /// `IPV6_PKTINFO`: the source and the interface of what is sent, RFC 3542 §6.
    w PacketInfo: PacketInfoV6 as Plain<PacketInfoV6> = SOL_IPV6 IPV6_PKTINFO, "IPV6_PKTINFO";
    /// `IPV6_RECVHOPLIMIT`: messages carry the hop limit of their packet, ipv6(7).
    rw RecvHopLimit: bool as Flag = SOL_IPV6 IPV6_RECVHOPLIMIT, "IPV6_RECVHOPLIMIT";
    /// `IPV6_RECVHOPOPTS`: messages carry the hop-by-hop options of their packet, RFC 3542 §8.
    rw RecvHopOptions: bool as Flag = SOL_IPV6 IPV6_RECVHOPOPTS, "IPV6_RECVHOPOPTS";
    /// `IPV6_HOPOPTS`: the hop-by-hop options of what is sent, as in the packet, RFC 3542 §8;
    /// needs `CAP_NET_RAW`.
    rw HopOptions: Vec<u8> as Bytes<2048, 512> = SOL_IPV6 IPV6_HOPOPTS, "IPV6_HOPOPTS";
    /// `IPV6_RTHDRDSTOPTS`: destination options before a routing header, RFC 3542 §9.
    rw RoutingDestinationOptions: Vec<u8> as Bytes<2048, 512>
        = SOL_IPV6 IPV6_RTHDRDSTOPTS, "IPV6_RTHDRDSTOPTS";
    /// `IPV6_RECVRTHDR`: messages carry the routing header of their packet, RFC 3542 §7.
    rw RecvRoutingHeader: bool as Flag = SOL_IPV6 IPV6_RECVRTHDR, "IPV6_RECVRTHDR";
    /// `IPV6_RTHDR`: the routing header of what is sent, as in the packet, RFC 3542 §7.
    rw RoutingHeader: Vec<u8> as Bytes<2048, 512> = SOL_IPV6 IPV6_RTHDR, "IPV6_RTHDR";
    /// `IPV6_RECVDSTOPTS`: messages carry the destination options of their packet, RFC 3542 §9.
    rw RecvDestinationOptions: bool as Flag = SOL_IPV6 IPV6_RECVDSTOPTS, "IPV6_RECVDSTOPTS";
    /// `IPV6_DSTOPTS`: the destination options of what is sent, as in the packet, RFC 3542 §9.
    rw DestinationOptions: Vec<u8> as Bytes<2048, 512> = SOL_IPV6 IPV6_DSTOPTS, "IPV6_DSTOPTS";
    /// `IPV6_RECVPATHMTU`: messages tell when the path's largest packet changes, RFC 3542 §11.3.
    rw RecvPathMtu: bool as Flag = SOL_IPV6 IPV6_RECVPATHMTU, "IPV6_RECVPATHMTU";
    /// `IPV6_PATHMTU`: the largest packet of a connected socket's path, RFC 3542 §11.4.
    r PathMtu: PathMtuInfo as Plain<PathMtuInfo> = SOL_IPV6 IPV6_PATHMTU, "IPV6_PATHMTU";
    /// `IPV6_DONTFRAG`: what is too large for the interface fails with `EMSGSIZE`, RFC 3542 §11.2.
    rw DontFragment: bool as Flag = SOL_IPV6 IPV6_DONTFRAG, "IPV6_DONTFRAG";
    /// `IPV6_RECVTCLASS`: messages carry the traffic class of their packet, RFC 3542 §6.5.
    rw RecvTclass: bool as Flag = SOL_IPV6 IPV6_RECVTCLASS, "IPV6_RECVTCLASS";
    /// `IPV6_TCLASS`: the traffic class (DSCP and ECN) of what is sent, RFC 3542 §6.5.
    rw Tclass: u8 as Octet = SOL_IPV6 IPV6_TCLASS, "IPV6_TCLASS";
    /// `IPV6_FLOWINFO`: messages carry the flow information of their packet.
    rw RecvFlowInfo: bool as Flag = SOL_IPV6 IPV6_FLOWINFO, "IPV6_FLOWINFO";
    /// `IPV6_FLOWINFO_SEND`: the flow information of an address is sent with the packet; without
    /// this it is not looked at.
    rw FlowInfoSend: bool as Flag = SOL_IPV6 IPV6_FLOWINFO_SEND, "IPV6_FLOWINFO_SEND";
    /// `IPV6_FLOWLABEL_MGR`: asks for a flow label, renews it or gives it back.
    w FlowLabelManager: FlowLabelRequest as Plain<FlowLabelRequest>
        = SOL_IPV6 IPV6_FLOWLABEL_MGR, "IPV6_FLOWLABEL_MGR";
    /// `IPV6_AUTOFLOWLABEL`: the kernel makes a flow label for each connection, RFC 6438.
    rw AutoFlowLabel: bool as Flag = SOL_IPV6 IPV6_AUTOFLOWLABEL, "IPV6_AUTOFLOWLABEL";
    /// `IPV6_ADDR_PREFERENCES`: which of the own addresses are preferred as the source, RFC 5014.
    rw AddressPreferences: AddressPreference as Code<AddressPreference>
        = SOL_IPV6 IPV6_ADDR_PREFERENCES, "IPV6_ADDR_PREFERENCES";
    /// `IPV6_MINHOPCOUNT`: packets of a smaller hop limit are dropped (RFC 5082), 0 for none.
    rw MinHopCount: u8 as Octet = SOL_IPV6 IPV6_MINHOPCOUNT, "IPV6_MINHOPCOUNT";
    /// `IPV6_RECVORIGDSTADDR`: messages carry the destination that they had before a transparent
    /// proxy.
    rw RecvOriginalDestination: bool as Flag
        = SOL_IPV6 IPV6_RECVORIGDSTADDR, "IPV6_RECVORIGDSTADDR";
    /// `IPV6_TRANSPARENT`: take and send as any address; needs `CAP_NET_ADMIN`.
    rw Transparent: bool as Flag = SOL_IPV6 IPV6_TRANSPARENT, "IPV6_TRANSPARENT";
    /// `IPV6_UNICAST_IF`: the interface (its index, 0 for none) by which packets leave.
    rw UnicastInterface: u32 as IndexBigEndian = SOL_IPV6 IPV6_UNICAST_IF, "IPV6_UNICAST_IF";
    /// `IPV6_RECVFRAGSIZE`: messages carry the size of their largest fragment.
    rw RecvFragmentSize: bool as Flag = SOL_IPV6 IPV6_RECVFRAGSIZE, "IPV6_RECVFRAGSIZE";
    /// `IPV6_FREEBIND`: bind to an address that no interface has (yet).
    rw FreeBind: bool as Flag = SOL_IPV6 IPV6_FREEBIND, "IPV6_FREEBIND";
    /// `IPV6_HDRINCL`: what a raw socket sends begins with the IPv6 header (Linux 4.5).
    rw HeaderIncluded: bool as Flag = SOL_IPV6 IPV6_HDRINCL, "IPV6_HDRINCL";
    /// `IPV6_2292PKTINFO`: [`RecvPacketInfo`] as the older RFC 2292 had it.
    rw Rfc2292PacketInfo: bool as Flag = SOL_IPV6 IPV6_2292PKTINFO, "IPV6_2292PKTINFO";
    /// `IPV6_2292HOPLIMIT`: [`RecvHopLimit`] as the older RFC 2292 had it.
    rw Rfc2292HopLimit: bool as Flag = SOL_IPV6 IPV6_2292HOPLIMIT, "IPV6_2292HOPLIMIT";
    /// `IPV6_2292RTHDR`: [`RecvRoutingHeader`] as the older RFC 2292 had it.
    rw Rfc2292RoutingHeader: bool as Flag = SOL_IPV6 IPV6_2292RTHDR, "IPV6_2292RTHDR";
    /// `IPV6_2292HOPOPTS`: [`RecvHopOptions`] as the older RFC 2292 had it.
    rw Rfc2292HopOptions: bool as Flag = SOL_IPV6 IPV6_2292HOPOPTS, "IPV6_2292HOPOPTS";
    /// `IPV6_2292DSTOPTS`: [`RecvDestinationOptions`] as the older RFC 2292 had it.
    rw Rfc2292DestinationOptions: bool as Flag = SOL_IPV6 IPV6_2292DSTOPTS, "IPV6_2292DSTOPTS";
    /// `IPV6_2292PKTOPTIONS`: of a TCP connection, what control messages told of its last segment,
    /// as their bytes; set, those to send with each packet. RFC 2292 §4.
    rw Rfc2292PacketOptions: Vec<u8> as Bytes<2048, 512>
        = SOL_IPV6 IPV6_2292PKTOPTIONS, "IPV6_2292PKTOPTIONS";
    /// `IP6T_SO_ORIGINAL_DST`: where a connection went before netfilter redirected it.
    r OriginalDestination: SocketAddrV6 as SockaddrIn6
        = SOL_IPV6 IP6T_SO_ORIGINAL_DST, "IP6T_SO_ORIGINAL_DST";
    /// `IPV6_XFRM_POLICY`: a policy of IPsec, as bytes; needs `CAP_NET_ADMIN`.
    w XfrmPolicy: Vec<u8> as Bytes<4096> = SOL_IPV6 IPV6_XFRM_POLICY, "IPV6_XFRM_POLICY";
    /// `ICMPV6_FILTER`: which kinds of ICMPv6 a raw socket does not get: bit n for kind n
    /// (in words of 32), RFC 3542 §3.2.
    rw IcmpFilter: IcmpV6Filter as Plain<IcmpV6Filter> = SOL_ICMPV6 ICMPV6_FILTER, "ICMPV6_FILTER";
    /// `IPV6_CHECKSUM` of the raw level: as [`Checksum`], raw(7).
    rw RawChecksum: core::ffi::c_int as Number = SOL_RAW IPV6_CHECKSUM, "IPV6_CHECKSUM";
}

record! {
    /// The source and the interface of a message (`struct in6_pktinfo`).
    PacketInfoV6 20 {
        /// The source's address; `::` for the kernel's choice.
        addr: Ipv6Addr,
        /// The interface's index; 0 for the kernel's choice.
        index: u32,
    }
}

record! {
    /// The largest packet of a path (`struct ip6_mtuinfo`).
    PathMtuInfo 32 {
        /// The destination as a socket address; its bytes are those of `struct sockaddr_in6`.
        addr: [u8; 28],
        /// Bytes.
        mtu: u32,
    }
}

record! {
    /// A request for a flow label (`struct in6_flowlabel_req`).
    FlowLabelRequest 32 {
        /// The destination.
        destination: Ipv6Addr,
        /// The label in network byte order; 0 for the kernel's choice.
        label_be: u32,
        /// [`Self::GET`], [`Self::PUT`] or [`Self::RENEW`].
        action: u8,
        /// Who may share it: `SHARE_*`.
        share: u8,
        /// [`Self::CREATE`] and the like, joined with `|`, or 0.
        flags: u16,
        /// Seconds until it expires.
        expires: u16,
        /// Seconds that it stays after the last use.
        linger: u16,
        /// Zero.
        padding: u32,
    }
}

impl FlowLabelRequest {
    /// An action: ask for a label (`IPV6_FL_A_GET`).
    pub const GET: u8 = 0;
    /// An action: give a label back (`IPV6_FL_A_PUT`).
    pub const PUT: u8 = 1;
    /// An action: keep a label for longer (`IPV6_FL_A_RENEW`).
    pub const RENEW: u8 = 2;
    /// Who may share it is not said (`IPV6_FL_S_NONE`).
    pub const SHARE_NONE: u8 = 0;
    /// Nobody may share it (`IPV6_FL_S_EXCL`).
    pub const SHARE_EXCLUSIVE: u8 = 1;
    /// This process may share it (`IPV6_FL_S_PROCESS`).
    pub const SHARE_PROCESS: u8 = 2;
    /// This user may share it (`IPV6_FL_S_USER`).
    pub const SHARE_USER: u8 = 3;
    /// Everybody may share it (`IPV6_FL_S_ANY`).
    pub const SHARE_ANY: u8 = 255;
    /// A flag: make it where there is none (`IPV6_FL_F_CREATE`).
    pub const CREATE: u16 = 1;
    /// A flag: it must not be there yet (`IPV6_FL_F_EXCL`).
    pub const EXCLUSIVE: u16 = 2;
    /// A flag: send back the peer's label (`IPV6_FL_F_REFLECT`).
    pub const REFLECT: u16 = 4;
    /// A flag: the peer's label (`IPV6_FL_F_REMOTE`).
    pub const REMOTE: u16 = 8;
}

record! {
    /// Kinds of ICMPv6 that are not wanted (`struct icmp6_filter`).
    IcmpV6Filter 32 {
        /// Bit 0 of the first byte is kind 0 (in words of 32 bits of this machine's order).
        bits: [u8; 32],
    }
}

const _: () = {
    assert!(size_of::<libc::in6_pktinfo>() == 20);
    assert!(size_of::<libc::sockaddr_in6>() == 28);
};

codes! {
    /// Preferences among the own addresses (`IPV6_PREFER_SRC_*`), RFC 5014; joined with `|`.
    AddressPreference {
        /// A temporary one, RFC 8981.
        TEMPORARY = 0x0001;
        /// A public one.
        PUBLIC = 0x0002;
        /// The system's choice between temporary and public.
        DEFAULT = 0x0100;
        /// A care-of address of a mobile host.
        CARE_OF = 0x0004;
        /// Its home address.
        HOME = 0x0400;
        /// A cryptographically made one.
        CGA = 0x0008;
        /// None of those.
        NON_CGA = 0x0800;
    }
}

flags! { AddressPreference }

/// `struct sockaddr_in6`.
struct SockaddrIn6;

impl Decode for SockaddrIn6 {
    type Value = SocketAddrV6;
    const BYTES: usize = 28;

    fn decode(mut bytes: &[u8]) -> Option<SocketAddrV6> {
        let bytes = &mut bytes;
        let family = u16::take(bytes)?;
        let port = <[u8; 2]>::take(bytes).map(u16::from_be_bytes)?;
        let flow = <[u8; 4]>::take(bytes).map(u32::from_be_bytes)?;
        let addr = Ipv6Addr::take(bytes)?;
        let scope = u32::take(bytes)?;
        (i32::from(family) == libc::AF_INET6).then_some(SocketAddrV6::new(addr, port, flow, scope))
    }
}
