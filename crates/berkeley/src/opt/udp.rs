//! Options of UDP and UDP-Lite: `IPPROTO_UDP`, udp(7), udplite(7).

use super::codec::{Code, Count, Flag, Short};

options! {
    /// `UDP_CORK`: what is sent is gathered into one datagram until it is switched off, udp(7).
    rw Cork: bool as Flag = SOL_UDP UDP_CORK, "UDP_CORK";
    /// `UDP_ENCAP`: another protocol comes inside of the datagrams; the kernel takes it out.
    rw Encapsulation: Encapsulations as Code<Encapsulations> = SOL_UDP UDP_ENCAP, "UDP_ENCAP";
    /// `UDP_NO_CHECK6_TX`: datagrams over IPv6 are sent without checksums, RFC 6935.
    rw NoCheck6Tx: bool as Flag = SOL_UDP UDP_NO_CHECK6_TX, "UDP_NO_CHECK6_TX";
    /// `UDP_NO_CHECK6_RX`: those without are taken.
    rw NoCheck6Rx: bool as Flag = SOL_UDP UDP_NO_CHECK6_RX, "UDP_NO_CHECK6_RX";
    /// `UDP_SEGMENT`: what is sent is cut into datagrams of so many bytes (GSO), 0 for not,
    /// udp(7).
    rw Segment: u16 as Short = SOL_UDP UDP_SEGMENT, "UDP_SEGMENT";
    /// `UDP_GRO`: datagrams of one sender come joined, with their size beside them, udp(7).
    rw Gro: bool as Flag = SOL_UDP UDP_GRO, "UDP_GRO";
    /// `UDPLITE_SEND_CSCOV`: bytes of a datagram that its checksum covers: 0 all, else at least
    /// 8, udplite(7).
    rw LiteSendCoverage: u32 as Count = SOL_UDPLITE UDPLITE_SEND_CSCOV, "UDPLITE_SEND_CSCOV";
    /// `UDPLITE_RECV_CSCOV`: bytes that the checksum of what comes has to cover, udplite(7).
    rw LiteRecvCoverage: u32 as Count = SOL_UDPLITE UDPLITE_RECV_CSCOV, "UDPLITE_RECV_CSCOV";
}

codes! {
    /// What is inside of the datagrams (`UDP_ENCAP_*`).
    Encapsulations {
        /// Nothing.
        NONE = 0;
        /// IPsec, by an old draft.
        ESP_NON_IKE = 1;
        /// IPsec, RFC 3948.
        ESP = 2;
        /// L2TP, RFC 2661.
        L2TP = 3;
        /// GTP, version 0.
        GTP0 = 4;
        /// GTP of users, version 1.
        GTP1U = 5;
        /// RxRPC.
        RXRPC = 6;
    }
}
