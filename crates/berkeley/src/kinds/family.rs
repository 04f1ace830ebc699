//! Address families.

use core::ffi::c_int;
use core::fmt;

open_newtype! {
    /// An address family (`AF_*`), address_families(7).
    Family {
        /// No family: lets the resolver choose; in `connect` it dissolves an association.
        UNSPEC = libc::AF_UNSPEC;
        /// Sockets between processes of one machine, unix(7). Also `AF_LOCAL`.
        UNIX = libc::AF_UNIX;
        /// IPv4, ip(7).
        INET = libc::AF_INET;
        /// Amateur radio AX.25, ax25(4).
        AX25 = libc::AF_AX25;
        /// Novell IPX (gone since Linux 4.18).
        IPX = libc::AF_IPX;
        /// AppleTalk, ddp(7).
        APPLETALK = libc::AF_APPLETALK;
        /// Amateur radio NET/ROM.
        NETROM = libc::AF_NETROM;
        /// Ethernet bridges; used in netlink messages only.
        BRIDGE = libc::AF_BRIDGE;
        /// ATM, permanent circuits.
        ATMPVC = libc::AF_ATMPVC;
        /// ITU-T X.25, x25(7).
        X25 = libc::AF_X25;
        /// IPv6, ipv6(7).
        INET6 = libc::AF_INET6;
        /// Amateur radio X.25 PLP.
        ROSE = libc::AF_ROSE;
        /// DECnet (gone since Linux 6.1). `AF_DECnet` in C.
        DECNET = libc::AF_DECnet;
        /// Reserved for 802.2LLC, never implemented.
        NETBEUI = libc::AF_NETBEUI;
        /// A pseudo family for security callbacks, never implemented.
        SECURITY = libc::AF_SECURITY;
        /// IPsec key management, RFC 2367.
        KEY = libc::AF_KEY;
        /// Talk with the kernel, netlink(7). Also `AF_ROUTE`.
        NETLINK = libc::AF_NETLINK;
        /// Frames of the link layer, packet(7).
        PACKET = libc::AF_PACKET;
        /// Ash, never implemented.
        ASH = libc::AF_ASH;
        /// Acorn Econet (gone since Linux 3.5).
        ECONET = libc::AF_ECONET;
        /// ATM, switched circuits.
        ATMSVC = libc::AF_ATMSVC;
        /// Reliable datagrams over RDMA or TCP. Its addresses are those of [`Family::INET`] and
        /// [`Family::INET6`].
        RDS = libc::AF_RDS;
        /// IBM SNA, never implemented.
        SNA = libc::AF_SNA;
        /// Infrared (gone since Linux 4.17).
        IRDA = libc::AF_IRDA;
        /// PPP over Ethernet and L2TP.
        PPPOX = libc::AF_PPPOX;
        /// Sangoma WANPIPE (gone since Linux 2.6.21).
        WANPIPE = libc::AF_WANPIPE;
        /// IEEE 802.2 logical link control.
        LLC = libc::AF_LLC;
        /// InfiniBand's own addresses.
        IB = libc::AF_IB;
        /// Multiprotocol label switching; used in netlink messages only.
        MPLS = libc::AF_MPLS;
        /// Controller area networks of vehicles and machines.
        CAN = libc::AF_CAN;
        /// Cluster communication, tipc(7).
        TIPC = libc::AF_TIPC;
        /// Bluetooth: L2CAP, RFCOMM, HCI, SCO and others by protocol.
        BLUETOOTH = libc::AF_BLUETOOTH;
        /// Channels between machines of IBM z/VM.
        IUCV = libc::AF_IUCV;
        /// Calls of Rx, the protocol of AFS.
        RXRPC = libc::AF_RXRPC;
        /// ISDN through mISDN.
        ISDN = libc::AF_ISDN;
        /// Nokia's protocol to cellular modems.
        PHONET = libc::AF_PHONET;
        /// Low-rate wireless networks, IEEE 802.15.4.
        IEEE802154 = libc::AF_IEEE802154;
        /// ST-Ericsson's protocol to modems.
        CAIF = libc::AF_CAIF;
        /// The kernel's ciphers and hashes.
        ALG = libc::AF_ALG;
        /// Near-field communication.
        NFC = libc::AF_NFC;
        /// Between virtual machines and their host, vsock(7).
        VSOCK = libc::AF_VSOCK;
        /// Messages over TCP, cut by a BPF program. A socket has no address; TCP sockets are
        /// attached to it.
        KCM = 41;
        /// Qualcomm's IPC router, between processors of one device.
        QIPCRTR = 42;
        /// TCP that moves to shared memory or RDMA. Its addresses are those of [`Family::INET`] and
        /// [`Family::INET6`].
        SMC = 43;
        /// Frames shared with the kernel in rings, xdp(7).
        XDP = libc::AF_XDP;
        /// Management component transport, between parts of a machine.
        MCTP = 45;
    }
}

impl fmt::Display for Family {
    /// As C names it: `AF_CAN`; a number without a name is `address family 99`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some("DECNET") => f.write_str("AF_DECnet"),
            Some(name) => write!(f, "AF_{name}"),
            None => write!(f, "address family {}", self.raw()),
        }
    }
}

impl Family {
    /// What each receive of a message asks for besides: that descriptors are closed on exec. Some
    /// families refuse every flag that they do not know (`EINVAL`, `EOPNOTSUPP`), this one too;
    /// their messages carry no descriptors.
    #[inline]
    pub(crate) const fn receive_flag(self) -> c_int {
        match self {
            // One look tells the families that bring most of the messages.
            Self(0..libc::AF_PACKET) => libc::MSG_CMSG_CLOEXEC,
            Self::PACKET | Self::CAN | Self::MCTP | Self::PHONET => 0,
            _ => libc::MSG_CMSG_CLOEXEC,
        }
    }
}
