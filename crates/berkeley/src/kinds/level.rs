//! Levels of socket options and of ancillary data.

use core::ffi::c_int;

open_newtype! {
    /// The level of a socket option (`SOL_*`, `IPPROTO_*`), getsockopt(2), and of ancillary data,
    /// cmsg(3).
    Level {
        /// The socket itself, socket(7).
        SOCKET = libc::SOL_SOCKET;
        /// IPv4, ip(7).
        IP = libc::IPPROTO_IP;
        /// ICMP sockets of IPv4, raw(7).
        ICMP = libc::IPPROTO_ICMP;
        /// TCP, tcp(7).
        TCP = libc::IPPROTO_TCP;
        /// UDP, udp(7).
        UDP = libc::IPPROTO_UDP;
        /// IPv6, ipv6(7).
        IPV6 = libc::IPPROTO_IPV6;
        /// ICMP sockets of IPv6, RFC 3542.
        ICMPV6 = libc::SOL_ICMPV6;
        /// SCTP, RFC 6458.
        SCTP = 132;
        /// UDP-Lite, udplite(7).
        UDPLITE = libc::IPPROTO_UDPLITE;
        /// Raw sockets, raw(7).
        RAW = libc::SOL_RAW;
        /// Added to a CAN protocol's number for its level.
        CAN_BASE = libc::SOL_CAN_BASE;
        /// Raw CAN sockets.
        CAN_RAW = libc::SOL_CAN_RAW;
        /// ISO-TP sockets.
        CAN_ISOTP = 106;
        /// J1939 sockets.
        CAN_J1939 = libc::SOL_CAN_J1939;
        /// Bluetooth controllers (`SOL_HCI`).
        BT_HCI = 0;
        /// Bluetooth L2CAP (`SOL_L2CAP`).
        BT_L2CAP = 6;
        /// Bluetooth audio (`SOL_SCO`).
        BT_SCO = 17;
        /// Bluetooth serial lines (`SOL_RFCOMM`).
        BT_RFCOMM = 18;
        /// NET/ROM.
        NETROM = 259;
        /// ROSE.
        ROSE = 260;
        /// AX.25.
        AX25 = 257;
        /// AppleTalk.
        ATALK = 258;
        /// IPX.
        IPX = 256;
        /// DECnet.
        DECNET = libc::SOL_DECNET;
        /// X.25.
        X25 = libc::SOL_X25;
        /// Packet sockets, packet(7).
        PACKET = libc::SOL_PACKET;
        /// ATM cells.
        ATM = libc::SOL_ATM;
        /// ATM adaption layer.
        AAL = libc::SOL_AAL;
        /// Infrared.
        IRDA = libc::SOL_IRDA;
        /// NetBEUI.
        NETBEUI = libc::SOL_NETBEUI;
        /// IEEE 802.2.
        LLC = libc::SOL_LLC;
        /// DCCP.
        DCCP = libc::SOL_DCCP;
        /// Netlink, netlink(7).
        NETLINK = libc::SOL_NETLINK;
        /// TIPC, tipc(7).
        TIPC = libc::SOL_TIPC;
        /// RxRPC.
        RXRPC = libc::SOL_RXRPC;
        /// PPP over L2TP.
        PPPOL2TP = libc::SOL_PPPOL2TP;
        /// Bluetooth of any protocol.
        BLUETOOTH = libc::SOL_BLUETOOTH;
        /// Phonet pipes.
        PNPIPE = libc::SOL_PNPIPE;
        /// RDS.
        RDS = libc::SOL_RDS;
        /// IUCV.
        IUCV = libc::SOL_IUCV;
        /// CAIF.
        CAIF = libc::SOL_CAIF;
        /// Ciphers and hashes.
        ALG = libc::SOL_ALG;
        /// NFC.
        NFC = libc::SOL_NFC;
        /// KCM.
        KCM = 281;
        /// TLS in the kernel.
        TLS = libc::SOL_TLS;
        /// XDP sockets.
        XDP = libc::SOL_XDP;
        /// Multipath TCP.
        MPTCP = 284;
        /// MCTP.
        MCTP = 285;
        /// SMC.
        SMC = 286;
        /// Ancillary data of VSOCK. (Its options live at the level of the family's number,
        /// [`Level::VSOCK_OPTIONS`].)
        VSOCK = 287;
        /// Options of VSOCK, vsock(7).
        VSOCK_OPTIONS = libc::AF_VSOCK;
    }
}
