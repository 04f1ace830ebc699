//! Options of sockets between a host and its virtual machines: `AF_VSOCK`, vsock(7).

use core::time::Duration;

use super::codec::{Bits, Flag, Number, Plain, Timeval};

options! {
    /// `SO_VM_SOCKETS_BUFFER_SIZE`: bytes of the buffer, vsock(7).
    rw BufferSize: u64 as Plain<u64>
        = AF_VSOCK SO_VM_SOCKETS_BUFFER_SIZE, "SO_VM_SOCKETS_BUFFER_SIZE";
    /// `SO_VM_SOCKETS_BUFFER_MIN_SIZE`: the least that it may be, vsock(7).
    rw BufferMinSize: u64 as Plain<u64>
        = AF_VSOCK SO_VM_SOCKETS_BUFFER_MIN_SIZE, "SO_VM_SOCKETS_BUFFER_MIN_SIZE";
    /// `SO_VM_SOCKETS_BUFFER_MAX_SIZE`: the most that it may be, vsock(7).
    rw BufferMaxSize: u64 as Plain<u64>
        = AF_VSOCK SO_VM_SOCKETS_BUFFER_MAX_SIZE, "SO_VM_SOCKETS_BUFFER_MAX_SIZE";
    /// `SO_VM_SOCKETS_PEER_HOST_VM_ID`: the peer's machine as its host numbers it; VMCI only.
    r PeerHostVmId: core::ffi::c_int as Number
        = AF_VSOCK SO_VM_SOCKETS_PEER_HOST_VM_ID, "SO_VM_SOCKETS_PEER_HOST_VM_ID";
    /// `SO_VM_SOCKETS_TRUSTED`: whether the peer is trusted; VMCI only.
    r Trusted: bool as Flag = AF_VSOCK SO_VM_SOCKETS_TRUSTED, "SO_VM_SOCKETS_TRUSTED";
    /// `SO_VM_SOCKETS_CONNECT_TIMEOUT`: how long a connect may take; `None` is refused, vsock(7).
    rw ConnectTimeout: Option<Duration> as Timeval
        = AF_VSOCK SO_VM_SOCKETS_CONNECT_TIMEOUT, "SO_VM_SOCKETS_CONNECT_TIMEOUT";
    /// `SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW`: the same with 64 bits on every machine.
    rw ConnectTimeoutNew: Option<Duration> as Timeval
        = AF_VSOCK SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW, "SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW";
    /// `SO_VM_SOCKETS_NONBLOCK_TXRX`: for programs in a kernel.
    r NonblockTxRx: u32 as Bits
        = AF_VSOCK SO_VM_SOCKETS_NONBLOCK_TXRX, "SO_VM_SOCKETS_NONBLOCK_TXRX";
}
