//! The numbers of options: those of libc, and those that it lacks (`linux/*.h` of Linux 6.18).
//!
//! The numbers of `SOL_SOCKET` are those of `asm-generic/socket.h`, which all machines have but
//! alpha, mips, parisc and sparc: there libc's are used where it has them.

use core::ffi::c_int;

pub(super) use libc::*;

macro_rules! numbers {
    ($($name:ident = $value:expr;)*) => {
        $(pub(super) const $name: c_int = $value;)*
    };
}

numbers! {
    SO_RCVPRIORITY = 82;
    SO_PASSRIGHTS = 83;

    ICMP_FILTER = 1;
    ICMPV6_FILTER = 1;
    IP_LOCAL_PORT_RANGE = 51;
    IP_PROTOCOL = 52;
    IP_RECVERR_RFC4884 = 26;
    IPV6_RECVERR_RFC4884 = 31;

    TCP_TX_DELAY = 37;
    TCP_IS_MPTCP = 43;
    TCP_RTO_MAX_MS = 44;
    TCP_RTO_MIN_US = 45;
    TCP_DELACK_MAX_US = 46;

    SOL_MPTCP = 284;
    MPTCP_INFO = 1;
    MPTCP_TCPINFO = 2;
    MPTCP_SUBFLOW_ADDRS = 3;

    SOL_UDPLITE = IPPROTO_UDPLITE;
    UDPLITE_SEND_CSCOV = 10;
    UDPLITE_RECV_CSCOV = 11;

    CAN_RAW_XL_VCID_OPTS = 8;
    SOL_CAN_ISOTP = SOL_CAN_BASE + CAN_ISOTP;
    CAN_ISOTP_OPTS = 1;
    CAN_ISOTP_RECV_FC = 2;
    CAN_ISOTP_TX_STMIN = 3;
    CAN_ISOTP_RX_STMIN = 4;
    CAN_ISOTP_LL_OPTS = 5;

    SO_VM_SOCKETS_BUFFER_SIZE = 0;
    SO_VM_SOCKETS_BUFFER_MIN_SIZE = 1;
    SO_VM_SOCKETS_BUFFER_MAX_SIZE = 2;
    SO_VM_SOCKETS_PEER_HOST_VM_ID = 3;
    SO_VM_SOCKETS_TRUSTED = 5;
    SO_VM_SOCKETS_CONNECT_TIMEOUT = 6;
    SO_VM_SOCKETS_NONBLOCK_TXRX = 7;
    SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW = 8;

    TIPC_IMPORTANCE = 127;
    TIPC_SRC_DROPPABLE = 128;
    TIPC_DEST_DROPPABLE = 129;
    TIPC_CONN_TIMEOUT = 130;
    TIPC_NODE_RECVQ_DEPTH = 131;
    TIPC_SOCK_RECVQ_DEPTH = 132;
    TIPC_MCAST_BROADCAST = 133;
    TIPC_MCAST_REPLICAST = 134;
    TIPC_GROUP_JOIN = 135;
    TIPC_GROUP_LEAVE = 136;
    TIPC_SOCK_RECVQ_USED = 137;
    TIPC_NODELAY = 138;

    RDS_RECVERR = 5;
    RDS_CONG_MONITOR = 6;
    SO_RDS_TRANSPORT = 8;
}
