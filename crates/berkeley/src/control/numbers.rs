//! Numbers of control messages, those that `libc` lacks included.

use core::ffi::c_int;

/// `SCM_SECURITY`, include/linux/socket.h.
pub(crate) const SCM_SECURITY: c_int = 3;
/// `SCM_PIDFD`, include/linux/socket.h, since Linux 6.5.
pub(crate) const SCM_PIDFD: c_int = 4;
/// `SO_TIMESTAMP_NEW`, `SO_TIMESTAMPNS_NEW`, `SO_TIMESTAMPING_NEW`, asm-generic/socket.h: the
/// same as the old ones where a `long` has 64 bits.
pub(crate) const SO_TIMESTAMP_NEW: c_int = 63;
pub(crate) const SO_TIMESTAMPNS_NEW: c_int = 64;
pub(crate) const SO_TIMESTAMPING_NEW: c_int = 65;
/// `SCM_TXTIME`, asm-generic/socket.h.
pub(crate) const SCM_TXTIME: c_int = libc::SO_TXTIME;
/// `TLS_SET_RECORD_TYPE`, `TLS_GET_RECORD_TYPE`, linux/tls.h.
pub(crate) const TLS_SET_RECORD_TYPE: c_int = 1;
pub(crate) const TLS_GET_RECORD_TYPE: c_int = 2;
/// `PACKET_TX_TIMESTAMP`, linux/if_packet.h.
pub(crate) const PACKET_TX_TIMESTAMP: c_int = 16;
/// `SOL_VSOCK`, include/linux/socket.h, and `VSOCK_RECVERR`, linux/vm_sockets.h.
pub(crate) const SOL_VSOCK: c_int = 287;
pub(crate) const VSOCK_RECVERR: c_int = 1;
/// `SO_DEVMEM_LINEAR`, `SO_DEVMEM_DMABUF`, `SCM_TS_OPT_ID`, `SO_INQ`, and two that `libc` has on
/// some machines only: asm-generic/socket.h.
pub(crate) const SCM_TIMESTAMPING_OPT_STATS: c_int = 54;
pub(crate) const SCM_TIMESTAMPING_PKTINFO: c_int = 58;
pub(crate) const SCM_DEVMEM_LINEAR: c_int = 78;
pub(crate) const SCM_DEVMEM_DMABUF: c_int = 79;
pub(crate) const SCM_TS_OPT_ID: c_int = 81;
pub(crate) const SCM_INQ: c_int = 84;
/// linux/in.h, linux/in6.h.
pub(crate) const IP_RECVFRAGSIZE: c_int = 25;
pub(crate) const IPV6_RECVFRAGSIZE: c_int = 77;
pub(crate) const IP_PROTOCOL: c_int = 52;
/// `TCP_CM_INQ`, linux/tcp.h.
pub(crate) const TCP_CM_INQ: c_int = 36;
/// linux/netlink.h.
pub(crate) const NETLINK_PKTINFO: c_int = 3;
pub(crate) const NETLINK_LISTEN_ALL_NSID: c_int = 8;
/// `SCM_CAN_RAW_ERRQUEUE`, linux/can/raw.h.
pub(crate) const SCM_CAN_RAW_ERRQUEUE: c_int = 1;
/// linux/tipc.h.
pub(crate) const TIPC_ERRINFO: c_int = 1;
pub(crate) const TIPC_RETDATA: c_int = 2;
pub(crate) const TIPC_DESTNAME: c_int = 3;
/// include/net/bluetooth/bluetooth.h.
pub(crate) const BT_SCM_PKT_STATUS: c_int = 3;
pub(crate) const BT_SCM_ERROR: c_int = 4;
pub(crate) const BT_SCM_PKT_SEQNUM: c_int = 5;
/// linux/rds.h.
pub(crate) const RDS_CMSG_RDMA_DEST: c_int = 2;
pub(crate) const RDS_CMSG_RDMA_STATUS: c_int = 4;
pub(crate) const RDS_CMSG_CONG_UPDATE: c_int = 5;

const _: () = {
    assert!(libc::SCM_RIGHTS == 1);
    assert!(libc::SCM_CREDENTIALS == 2);
    assert!(libc::SCM_TIMESTAMP == libc::SO_TIMESTAMP);
    assert!(libc::SO_TXTIME == 61);
    assert!(libc::TLS_SET_RECORD_TYPE == TLS_SET_RECORD_TYPE);
    assert!(libc::TLS_GET_RECORD_TYPE == TLS_GET_RECORD_TYPE);
};
