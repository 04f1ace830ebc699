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

    SO_DEVMEM_DONTNEED = 80;
    SO_INQ = 84;

    BT_SECURITY = 4;
    BT_DEFER_SETUP = 7;
    BT_FLUSHABLE = 8;
    BT_POWER = 9;
    BT_CHANNEL_POLICY = 10;
    BT_VOICE = 11;
    BT_SNDMTU = 12;
    BT_RCVMTU = 13;
    BT_PHY = 14;
    BT_MODE = 15;
    BT_PKT_STATUS = 16;
    BT_ISO_QOS = 17;
    BT_CODEC = 19;
    BT_ISO_BASE = 20;
    BT_PKT_SEQNUM = 22;
    SOL_HCI = 0;
    HCI_DATA_DIR = 1;
    HCI_FILTER = 2;
    HCI_TIME_STAMP = 3;
    SOL_L2CAP = 6;
    L2CAP_OPTIONS = 1;
    L2CAP_CONNINFO = 2;
    L2CAP_LM = 3;
    SOL_SCO = 17;
    SCO_OPTIONS = 1;
    SCO_CONNINFO = 2;
    SOL_RFCOMM = 18;
    RFCOMM_CONNINFO = 2;
    RFCOMM_LM = 3;

    SOL_KCM = 281;
    KCM_RECV_DISABLE = 1;

    RXRPC_EXCLUSIVE_CONNECTION = 3;
    RXRPC_MIN_SECURITY_LEVEL = 4;
    RXRPC_UPGRADEABLE_SERVICE = 5;
    RXRPC_SUPPORTED_CMSG = 6;
    RXRPC_SECURITY_KEY = 1;
    RXRPC_SECURITY_KEYRING = 2;

    SOL_SMC = 286;
    SMC_LIMIT_HS = 1;

    TCP_AO_ADD_KEY = 38;
    TCP_AO_DEL_KEY = 39;
    TCP_AO_INFO = 40;
    TCP_AO_REPAIR = 42;

    IP_PKTOPTIONS = 9;
    IPV6_2292PKTOPTIONS = 6;

    RDS_CANCEL_SENT_TO = 1;
    RDS_FREE_MR = 3;
    RDS_RECVERR = 5;
    RDS_CONG_MONITOR = 6;
    SO_RDS_TRANSPORT = 8;
    SO_RDS_MSG_RXPATH_LATENCY = 10;
}
