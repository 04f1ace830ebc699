//! Options of Multipath TCP: `SOL_MPTCP`, Linux 5.16, RFC 8684. Those of TCP work too.
//!
//! Whether a connection has fallen back to TCP, [`super::tcp::IsMptcp`] tells.
//! `MPTCP_FULL_INFO` holds addresses of memory, so it is for
//! [`crate::Socket::get_raw_pointers`].

use super::codec::{Bytes, Decode, Field};

options! {
    /// `MPTCP_INFO`: how the connection is doing.
    r Info: MptcpInfo as InfoBytes = SOL_MPTCP MPTCP_INFO, "MPTCP_INFO";
    /// `MPTCP_TCPINFO`: `struct mptcp_subflow_data` and a `struct tcp_info` for each path, as
    /// bytes; the value to begin with is the header, so use [`crate::Socket::get_raw`] for more
    /// than the count of paths.
    r SubflowInfo: Vec<u8> as Bytes<512> = SOL_MPTCP MPTCP_TCPINFO, "MPTCP_TCPINFO";
    /// `MPTCP_SUBFLOW_ADDRS`: the addresses of each path, as bytes; as above.
    r SubflowAddresses: Vec<u8> as Bytes<512>
        = SOL_MPTCP MPTCP_SUBFLOW_ADDRS, "MPTCP_SUBFLOW_ADDRS";
}

/// How a connection of several paths is doing (`struct mptcp_info`).
///
/// What older kernels do not tell is `None` on them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MptcpInfo {
    /// Paths beside the first one.
    pub subflows: u8,
    /// Addresses told to the peer.
    pub addresses_signalled: u8,
    /// Addresses taken from the peer.
    pub addresses_accepted: u8,
    /// Limits of the three above.
    pub limits: [u8; 3],
    /// [`Self::FALLBACK`], [`Self::REMOTE_KEY_RECEIVED`].
    pub flags: u32,
    /// The local token.
    pub token: u32,
    /// The sequence number of the next byte to send.
    pub write_sequence: u64,
    /// The first one that is not acknowledged.
    pub send_unacked: u64,
    /// The next one to come.
    pub recv_next: u64,
    /// Local addresses in use, and their limit (Linux 5.16).
    pub local_addresses: Option<[u8; 2]>,
    /// Whether data has checksums.
    pub checksum: Option<bool>,
    /// Segments sent again on another path (Linux 6.5, with the rest).
    pub retransmits: Option<u32>,
    /// Bytes sent again.
    pub bytes_retransmitted: Option<u64>,
    /// Bytes sent.
    pub bytes_sent: Option<u64>,
    /// Bytes that came.
    pub bytes_received: Option<u64>,
    /// Bytes that the peer acknowledged.
    pub bytes_acked: Option<u64>,
    /// Paths, the first one too.
    pub subflows_total: Option<u8>,
    /// Milliseconds since data was sent last (Linux 6.10).
    pub last_data_sent_ms: Option<u32>,
    /// Milliseconds since data came last.
    pub last_data_recv_ms: Option<u32>,
    /// Milliseconds since an acknowledgement came last.
    pub last_ack_recv_ms: Option<u32>,
}

impl MptcpInfo {
    /// Fallen back to TCP (`MPTCP_INFO_FLAG_FALLBACK`).
    pub const FALLBACK: u32 = 1;
    /// The peer's key is known (`MPTCP_INFO_FLAG_REMOTE_KEY_RECEIVED`).
    pub const REMOTE_KEY_RECEIVED: u32 = 2;
}

/// `struct mptcp_info`, as much of it as the kernel has.
struct InfoBytes;

impl Decode for InfoBytes {
    type Value = MptcpInfo;
    const BYTES: usize = 256;

    fn decode(bytes: &[u8]) -> Option<MptcpInfo> {
        let [subflows, signalled, accepted, a, b, c] = at(bytes, 0)?;
        Some(MptcpInfo {
            subflows,
            addresses_signalled: signalled,
            addresses_accepted: accepted,
            limits: [a, b, c],
            flags: at(bytes, 8)?,
            token: at(bytes, 12)?,
            write_sequence: at(bytes, 16)?,
            send_unacked: at(bytes, 24)?,
            recv_next: at(bytes, 32)?,
            local_addresses: at(bytes, 40),
            checksum: at(bytes, 42).map(|on: u8| on != 0),
            retransmits: at(bytes, 44),
            bytes_retransmitted: at(bytes, 48),
            bytes_sent: at(bytes, 56),
            bytes_received: at(bytes, 64),
            bytes_acked: at(bytes, 72),
            subflows_total: at(bytes, 80),
            last_data_sent_ms: at(bytes, 84),
            last_data_recv_ms: at(bytes, 88),
            last_ack_recv_ms: at(bytes, 92),
        })
    }
}

fn at<T: Field>(bytes: &[u8], offset: usize) -> Option<T> {
    T::take(&mut bytes.get(offset..)?)
}
