//! Options of RDS: `SOL_RDS`, rds(7), `linux/rds.h`. `RDS_GET_MR` hands memory to the kernel, so
//! it is for [`crate::Socket::set_raw_pointers`].

use std::net::SocketAddrV4;

use super::codec::{Bits, Encode, Flag, Plain, put};

options! {
    /// `RDS_RECVERR`: what became of operations on memory is told, rds(7).
    rw RecvErr: bool as Flag = SOL_RDS RDS_RECVERR, "RDS_RECVERR";
    /// `RDS_CONG_MONITOR`: messages tell when a port has room again, rds(7).
    rw CongestionMonitor: bool as Flag = SOL_RDS RDS_CONG_MONITOR, "RDS_CONG_MONITOR";
    /// `SO_RDS_TRANSPORT`: the way messages travel: 0 InfiniBand, 2 TCP; before bind.
    rw Transport: u32 as Bits = SOL_RDS SO_RDS_TRANSPORT, "SO_RDS_TRANSPORT";
    /// `RDS_CANCEL_SENT_TO`: what was sent to this address and has not arrived is thrown away,
    /// rds(7).
    w CancelSentTo: SocketAddrV4 as SockaddrIn = SOL_RDS RDS_CANCEL_SENT_TO, "RDS_CANCEL_SENT_TO";
    /// `RDS_FREE_MR`: memory that was offered to a peer is taken back, rds-rdma(7).
    w FreeMemory: FreeMemoryRequest as Plain<FreeMemoryRequest>
        = SOL_RDS RDS_FREE_MR, "RDS_FREE_MR";
    /// `SO_RDS_MSG_RXPATH_LATENCY`: messages tell how long they were on their way through the
    /// kernel.
    w PathLatency: LatencyPoints as Plain<LatencyPoints>
        = SOL_RDS SO_RDS_MSG_RXPATH_LATENCY, "SO_RDS_MSG_RXPATH_LATENCY";
}

impl Transport {
    /// `RDS_TRANS_IB`: InfiniBand.
    pub const INFINIBAND: u32 = 0;
    /// `RDS_TRANS_TCP`: TCP.
    pub const TCP: u32 = 2;
    /// `RDS_TRANS_NONE`: none chosen yet.
    pub const NONE: u32 = u32::MAX;
}

record! {
    /// Memory to be taken back (`struct rds_free_mr_args`).
    FreeMemoryRequest 16 {
        /// What the kernel called it.
        cookie: u64,
        /// 4 (`RDS_RDMA_INVALIDATE`): at once, so that no peer can write to it any more.
        flags: u64,
    }
}

record! {
    /// Where the time is taken (`struct rds_rx_trace_so`).
    LatencyPoints 4 {
        /// How many of the points are asked for.
        count: u8,
        /// `RDS_MSG_RX_*`: 0 from the header to the first datagram, 1 reassembled, 2 delivered.
        points: [u8; 3],
    }
}

/// `struct sockaddr_in`.
struct SockaddrIn;

impl Encode for SockaddrIn {
    type Value = SocketAddrV4;

    fn encode(value: SocketAddrV4) -> impl AsRef<[u8]> {
        let mut bytes = [0; size_of::<libc::sockaddr_in>()];
        let family = u16::try_from(libc::AF_INET).unwrap_or(0);
        put(&mut bytes, 0, &family.to_ne_bytes());
        put(&mut bytes, 2, &value.port().to_be_bytes());
        put(&mut bytes, 4, &value.ip().octets());
        bytes
    }
}
