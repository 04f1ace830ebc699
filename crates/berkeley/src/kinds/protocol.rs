//! Protocols within a family.

use core::ffi::c_int;

use super::EtherType;

open_newtype! {
    /// A protocol within a family, protocols(5): `IPPROTO_*` for the internet families, `CAN_*`,
    /// `BTPROTO_*` (here `BT_*`) and `NETLINK_*` for theirs, an [`EtherType`] for packet sockets.
    ///
    /// Families count from zero each, so one number has several names; `Debug` shows the
    /// internet's.
    Protocol {
        /// The family's usual protocol for the type (`IPPROTO_IP`).
        DEFAULT = 0;
        /// IPv4 as a level of options; as a protocol, the usual one.
        IP = 0;
        /// ICMP for IPv4, icmp(7).
        ICMP = libc::IPPROTO_ICMP;
        /// Multicast groups of IPv4, RFC 3376.
        IGMP = libc::IPPROTO_IGMP;
        /// IPv4 in IPv4, RFC 2003.
        IPIP = libc::IPPROTO_IPIP;
        /// TCP, tcp(7).
        TCP = libc::IPPROTO_TCP;
        /// Exterior gateway protocol, RFC 904.
        EGP = libc::IPPROTO_EGP;
        /// Xerox PUP.
        PUP = libc::IPPROTO_PUP;
        /// UDP, udp(7).
        UDP = libc::IPPROTO_UDP;
        /// Xerox IDP.
        IDP = libc::IPPROTO_IDP;
        /// ISO transport class 4, RFC 905.
        TP = libc::IPPROTO_TP;
        /// Datagrams with congestion control, RFC 4340 (gone since Linux 6.16).
        DCCP = libc::IPPROTO_DCCP;
        /// IPv6 in IPv4, RFC 4213.
        IPV6 = libc::IPPROTO_IPV6;
        /// Routing header of IPv6, RFC 8200.
        ROUTING = libc::IPPROTO_ROUTING;
        /// Fragment header of IPv6, RFC 8200.
        FRAGMENT = libc::IPPROTO_FRAGMENT;
        /// Resource reservation, RFC 2205.
        RSVP = libc::IPPROTO_RSVP;
        /// Generic routing encapsulation, RFC 2784.
        GRE = libc::IPPROTO_GRE;
        /// IPsec: encrypted payload, RFC 4303.
        ESP = libc::IPPROTO_ESP;
        /// IPsec: authentication header, RFC 4302.
        AH = libc::IPPROTO_AH;
        /// ICMP for IPv6, RFC 4443.
        ICMPV6 = libc::IPPROTO_ICMPV6;
        /// IPv6: nothing follows, RFC 8200.
        NONE = libc::IPPROTO_NONE;
        /// Destination options of IPv6, RFC 8200.
        DSTOPTS = libc::IPPROTO_DSTOPTS;
        /// Multicast transport, RFC 1301.
        MTP = libc::IPPROTO_MTP;
        /// Pseudo header of IPsec's BEET mode.
        BEETPH = libc::IPPROTO_BEETPH;
        /// Encapsulation header, RFC 1241.
        ENCAP = libc::IPPROTO_ENCAP;
        /// Multicast routing, RFC 7761.
        PIM = libc::IPPROTO_PIM;
        /// Compressed payload, RFC 3173.
        COMP = libc::IPPROTO_COMP;
        /// Layer 2 tunnelling, RFC 3931.
        L2TP = 115;
        /// SCTP, RFC 9260.
        SCTP = libc::IPPROTO_SCTP;
        /// Mobility header of IPv6, RFC 6275.
        MH = libc::IPPROTO_MH;
        /// UDP with partial checksums, RFC 3828, udplite(7).
        UDPLITE = libc::IPPROTO_UDPLITE;
        /// MPLS in IP, RFC 4023.
        MPLS = libc::IPPROTO_MPLS;
        /// Ethernet in IPv6, RFC 8986.
        ETHERNET = libc::IPPROTO_ETHERNET;
        /// Raw packets whose IP header the program writes, raw(7).
        RAW = libc::IPPROTO_RAW;
        /// TCP that moves to shared memory (Linux 6.10).
        SMC = 256;
        /// TCP over several paths at once, RFC 8684.
        MPTCP = libc::IPPROTO_MPTCP;
        /// Hop-by-hop options of IPv6, RFC 8200.
        HOPOPTS = 0;
        /// CAN: raw frames.
        CAN_RAW = libc::CAN_RAW;
        /// CAN: the broadcast manager: cyclic sending, filtered receiving.
        CAN_BCM = libc::CAN_BCM;
        /// CAN: VAG transport 1.6 (never in Linux).
        CAN_TP16 = libc::CAN_TP16;
        /// CAN: VAG transport 2.0 (never in Linux).
        CAN_TP20 = libc::CAN_TP20;
        /// CAN: bosch MCNet (never in Linux).
        CAN_MCNET = libc::CAN_MCNET;
        /// CAN: ISO 15765-2 transport.
        CAN_ISOTP = libc::CAN_ISOTP;
        /// CAN: SAE J1939.
        CAN_J1939 = libc::CAN_J1939;
        /// Bluetooth (`BTPROTO_L2CAP`): logical link control, the base of the others.
        BT_L2CAP = 0;
        /// Bluetooth (`BTPROTO_HCI`): the controller itself.
        BT_HCI = 1;
        /// Bluetooth (`BTPROTO_SCO`): synchronous audio.
        BT_SCO = 2;
        /// Bluetooth (`BTPROTO_RFCOMM`): serial lines.
        BT_RFCOMM = 3;
        /// Bluetooth (`BTPROTO_BNEP`): network encapsulation.
        BT_BNEP = 4;
        /// Bluetooth (`BTPROTO_CMTP`): ISDN messages.
        BT_CMTP = 5;
        /// Bluetooth (`BTPROTO_HIDP`): keyboards and other input.
        BT_HIDP = 6;
        /// Bluetooth (`BTPROTO_AVDTP`): audio and video distribution.
        BT_AVDTP = 7;
        /// Bluetooth (`BTPROTO_ISO`): isochronous channels (Linux 6.0).
        BT_ISO = 8;
        /// Netlink: interfaces, addresses, routes, rtnetlink(7).
        NETLINK_ROUTE = libc::NETLINK_ROUTE;
        /// Netlink: between programs.
        NETLINK_USERSOCK = libc::NETLINK_USERSOCK;
        /// Netlink: packets of ip_queue (gone since Linux 3.5).
        NETLINK_FIREWALL = libc::NETLINK_FIREWALL;
        /// Netlink: state of sockets, sock_diag(7). Also `NETLINK_INET_DIAG`.
        NETLINK_SOCK_DIAG = libc::NETLINK_SOCK_DIAG;
        /// Netlink: logs of netfilter (gone).
        NETLINK_NFLOG = libc::NETLINK_NFLOG;
        /// Netlink: IPsec policy.
        NETLINK_XFRM = libc::NETLINK_XFRM;
        /// Netlink: events of SELinux.
        NETLINK_SELINUX = libc::NETLINK_SELINUX;
        /// Netlink: iSCSI.
        NETLINK_ISCSI = libc::NETLINK_ISCSI;
        /// Netlink: auditing.
        NETLINK_AUDIT = libc::NETLINK_AUDIT;
        /// Netlink: route lookups.
        NETLINK_FIB_LOOKUP = libc::NETLINK_FIB_LOOKUP;
        /// Netlink: the kernel connector.
        NETLINK_CONNECTOR = libc::NETLINK_CONNECTOR;
        /// Netlink: netfilter.
        NETLINK_NETFILTER = libc::NETLINK_NETFILTER;
        /// Netlink: IPv6 packets of ip_queue (gone).
        NETLINK_IP6_FW = libc::NETLINK_IP6_FW;
        /// Netlink: DECnet routing (gone).
        NETLINK_DNRTMSG = libc::NETLINK_DNRTMSG;
        /// Netlink: device events, as udev reads them.
        NETLINK_KOBJECT_UEVENT = libc::NETLINK_KOBJECT_UEVENT;
        /// Netlink: families by name.
        NETLINK_GENERIC = libc::NETLINK_GENERIC;
        /// Netlink: SCSI transports.
        NETLINK_SCSITRANSPORT = libc::NETLINK_SCSITRANSPORT;
        /// Netlink: eCryptfs.
        NETLINK_ECRYPTFS = libc::NETLINK_ECRYPTFS;
        /// Netlink: RDMA devices.
        NETLINK_RDMA = libc::NETLINK_RDMA;
        /// Netlink: the crypto layer.
        NETLINK_CRYPTO = libc::NETLINK_CRYPTO;
        /// Netlink: SMC monitoring.
        NETLINK_SMC = 22;
    }
}

impl Protocol {
    /// What a packet socket receives: the frame type in network byte order, packet(7).
    ///
    /// ```
    /// use berkeley::{EtherType, Protocol};
    ///
    /// let all = Protocol::ethernet(EtherType::ALL);
    /// assert_eq!(all.raw(), i32::from(3_u16.to_be()));
    /// ```
    #[must_use]
    #[doc(alias = "htons")]
    pub const fn ethernet(kind: EtherType) -> Self {
        let [high, low] = kind.raw().to_be_bytes();
        Self(u16::from_ne_bytes([high, low]) as c_int)
    }
}
