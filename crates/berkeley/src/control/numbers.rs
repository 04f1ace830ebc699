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

const _: () = {
    assert!(libc::SCM_RIGHTS == 1);
    assert!(libc::SCM_CREDENTIALS == 2);
    assert!(libc::SCM_TIMESTAMP == libc::SO_TIMESTAMP);
    assert!(libc::SO_TXTIME == 61);
    assert!(libc::TLS_SET_RECORD_TYPE == TLS_SET_RECORD_TYPE);
    assert!(libc::TLS_GET_RECORD_TYPE == TLS_GET_RECORD_TYPE);
};
