//! Options of TCP: `IPPROTO_TCP`, tcp(7) and `linux/tcp.h`.
//!
//! `TCP_ZEROCOPY_RECEIVE` has no descriptor: its value holds addresses of memory, so it is for
//! [`crate::Socket::get_raw_pointers`]. `TCP_AO_*` (authentication, RFC 5925) are in
//! [`super::tcp_ao`].

use core::time::Duration;
use std::net::IpAddr;

use super::codec::{
    Bits, Bytes, Code, Count, Encode, Flag, List, Micros, Millis, MillisOrNone, Plain, Seconds,
    Text, put,
};
use super::name::Name;
pub use super::tcp_info::{TcpInfo, TcpState};

options! {
    /// `TCP_NODELAY`: send small pieces at once instead of waiting for company, tcp(7).
    rw NoDelay: bool as Flag = SOL_TCP TCP_NODELAY, "TCP_NODELAY";
    /// `TCP_MAXSEG`: the largest segment in bytes; set before the connection, tcp(7).
    rw MaxSegment: u32 as Count = SOL_TCP TCP_MAXSEG, "TCP_MAXSEG";
    /// `TCP_CORK`: send full segments only, until it is switched off or 200 ms have passed,
    /// tcp(7).
    rw Cork: bool as Flag = SOL_TCP TCP_CORK, "TCP_CORK";
    /// `TCP_KEEPIDLE`: silence before the first keep-alive probe, whole seconds, tcp(7).
    rw KeepIdle: Duration as Seconds = SOL_TCP TCP_KEEPIDLE, "TCP_KEEPIDLE";
    /// `TCP_KEEPINTVL`: time between probes, whole seconds, tcp(7).
    rw KeepInterval: Duration as Seconds = SOL_TCP TCP_KEEPINTVL, "TCP_KEEPINTVL";
    /// `TCP_KEEPCNT`: unanswered probes until the connection is given up, tcp(7).
    rw KeepCount: u32 as Count = SOL_TCP TCP_KEEPCNT, "TCP_KEEPCNT";
    /// `TCP_SYNCNT`: how often a connect repeats its first segment, 1 to 127, tcp(7).
    rw SynCount: u32 as Count = SOL_TCP TCP_SYNCNT, "TCP_SYNCNT";
    /// `TCP_LINGER2`: how long a closed connection waits for the peer's end, whole seconds; zero
    /// for the system's choice when set, tcp(7).
    rw Linger2: Duration as Seconds = SOL_TCP TCP_LINGER2, "TCP_LINGER2";
    /// `TCP_DEFER_ACCEPT`: a connection is accepted when its first data came, or after this time
    /// (the kernel rounds it up to its repetitions); zero for off, tcp(7).
    rw DeferAccept: Duration as Seconds = SOL_TCP TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT";
    /// `TCP_WINDOW_CLAMP`: the largest window that is advertised, bytes, tcp(7).
    rw WindowClamp: u32 as Count = SOL_TCP TCP_WINDOW_CLAMP, "TCP_WINDOW_CLAMP";
    /// `TCP_INFO`: how the connection is doing, tcp(7).
    r Info: TcpInfo as super::tcp_info::InfoBytes = SOL_TCP TCP_INFO, "TCP_INFO";
    /// `TCP_QUICKACK`: acknowledge at once, for now: the kernel goes back by itself, tcp(7).
    rw QuickAck: bool as Flag = SOL_TCP TCP_QUICKACK, "TCP_QUICKACK";
    /// `TCP_CONGESTION`: the congestion control by its name (`"cubic"`, `"bbr"`), tcp(7).
    rw Congestion: Name as Text = SOL_TCP TCP_CONGESTION, "TCP_CONGESTION";
    /// `TCP_MD5SIG`: a key for the segments of one peer, RFC 2385; an empty key takes it away.
    w Md5Signature: Md5Key as Md5Bytes = SOL_TCP TCP_MD5SIG, "TCP_MD5SIG";
    /// `TCP_MD5SIG_EXT`: the same with a prefix of addresses or an interface.
    w Md5SignatureExtended: Md5Key as Md5Bytes = SOL_TCP TCP_MD5SIG_EXT, "TCP_MD5SIG_EXT";
    /// `TCP_THIN_LINEAR_TIMEOUTS`: a stream with little in flight repeats without growing pauses.
    rw ThinLinearTimeouts: bool as Flag
        = SOL_TCP TCP_THIN_LINEAR_TIMEOUTS, "TCP_THIN_LINEAR_TIMEOUTS";
    /// `TCP_THIN_DUPACK`: kept for old programs, does nothing any more.
    rw ThinDupAck: bool as Flag = SOL_TCP TCP_THIN_DUPACK, "TCP_THIN_DUPACK";
    /// `TCP_USER_TIMEOUT`: how long sent data may stay unacknowledged before the connection is
    /// given up, milliseconds, rounded up; `None` for the system's choice, tcp(7).
    rw UserTimeout: Option<Duration> as MillisOrNone = SOL_TCP TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT";
    /// `TCP_REPAIR`: the state may be read and written, for moving a connection; needs
    /// `CAP_NET_ADMIN`.
    rw Repair: RepairMode as Code<RepairMode> = SOL_TCP TCP_REPAIR, "TCP_REPAIR";
    /// `TCP_REPAIR_QUEUE`: the queue that is meant while repairing.
    rw RepairQueue: RepairSide as Code<RepairSide> = SOL_TCP TCP_REPAIR_QUEUE, "TCP_REPAIR_QUEUE";
    /// `TCP_QUEUE_SEQ`: the sequence number of that queue.
    rw QueueSequence: u32 as Bits = SOL_TCP TCP_QUEUE_SEQ, "TCP_QUEUE_SEQ";
    /// `TCP_REPAIR_OPTIONS`: what both ends agreed on.
    w RepairOptions: Vec<RepairOption> as List<RepairOption, 16>
        = SOL_TCP TCP_REPAIR_OPTIONS, "TCP_REPAIR_OPTIONS";
    /// `TCP_REPAIR_WINDOW`: both windows.
    rw RepairWindow: RepairWindows as Plain<RepairWindows>
        = SOL_TCP TCP_REPAIR_WINDOW, "TCP_REPAIR_WINDOW";
    /// `TCP_FASTOPEN`: connections of a listener that may bring data before they are made, 0 for
    /// none, tcp(7), RFC 7413.
    rw FastOpen: u32 as Count = SOL_TCP TCP_FASTOPEN, "TCP_FASTOPEN";
    /// `TCP_FASTOPEN_CONNECT`: the first data travels with the connect, tcp(7).
    rw FastOpenConnect: bool as Flag = SOL_TCP TCP_FASTOPEN_CONNECT, "TCP_FASTOPEN_CONNECT";
    /// `TCP_FASTOPEN_NO_COOKIE`: without asking for a cookie.
    rw FastOpenNoCookie: bool as Flag = SOL_TCP TCP_FASTOPEN_NO_COOKIE, "TCP_FASTOPEN_NO_COOKIE";
    /// `TCP_FASTOPEN_KEY`: the key of a listener's cookies, 16 bytes, or 32 with the one before.
    rw FastOpenKey: Vec<u8> as Bytes<32> = SOL_TCP TCP_FASTOPEN_KEY, "TCP_FASTOPEN_KEY";
    /// `TCP_TIMESTAMP`: the clock of the timestamps, while repairing.
    rw TimestampClock: u32 as Bits = SOL_TCP TCP_TIMESTAMP, "TCP_TIMESTAMP";
    /// `TCP_NOTSENT_LOWAT`: the stream is writable below so many unsent bytes, tcp(7).
    rw NotSentLowWater: u32 as Bits = SOL_TCP TCP_NOTSENT_LOWAT, "TCP_NOTSENT_LOWAT";
    /// `TCP_CC_INFO`: figures of the congestion control, in its own form
    /// (`union tcp_cc_info`); empty for one that has none.
    r CongestionInfo: Vec<u8> as Bytes<64> = SOL_TCP TCP_CC_INFO, "TCP_CC_INFO";
    /// `TCP_SAVE_SYN`: a listener keeps the first segment of each connection: 1 from its network
    /// header on, 2 from the link's header on.
    rw SaveSyn: u32 as Count = SOL_TCP TCP_SAVE_SYN, "TCP_SAVE_SYN";
    /// `TCP_SAVED_SYN`: that segment, once; empty afterwards.
    r SavedSyn: Vec<u8> as Bytes<512> = SOL_TCP TCP_SAVED_SYN, "TCP_SAVED_SYN";
    /// `TCP_ULP`: a protocol above TCP in the kernel (`"tls"`); cannot be taken off again.
    rw UpperProtocol: Name as Text = SOL_TCP TCP_ULP, "TCP_ULP";
    /// `TCP_INQ`: messages carry the number of bytes that are left to read.
    rw Inq: bool as Flag = SOL_TCP TCP_INQ, "TCP_INQ";
    /// `TCP_TX_DELAY`: a pause before each packet, for experiments, microseconds, rounded up.
    rw TxDelay: Duration as Micros = SOL_TCP TCP_TX_DELAY, "TCP_TX_DELAY";
    /// `TCP_IS_MPTCP`: whether the socket speaks MPTCP now, or has fallen back (Linux 5.16).
    r IsMptcp: bool as Flag = SOL_TCP TCP_IS_MPTCP, "TCP_IS_MPTCP";
    /// `TCP_RTO_MAX_MS`: the longest pause before a segment is repeated, 1 s to 120 s,
    /// milliseconds, rounded up (Linux 6.15).
    rw RtoMax: Duration as Millis = SOL_TCP TCP_RTO_MAX_MS, "TCP_RTO_MAX_MS";
    /// `TCP_RTO_MIN_US`: the shortest such pause, microseconds, rounded up (Linux 6.15).
    rw RtoMin: Duration as Micros = SOL_TCP TCP_RTO_MIN_US, "TCP_RTO_MIN_US";
    /// `TCP_DELACK_MAX_US`: how long an acknowledgement may wait, microseconds, rounded up
    /// (Linux 6.15).
    rw DelayedAckMax: Duration as Micros = SOL_TCP TCP_DELACK_MAX_US, "TCP_DELACK_MAX_US";
    /// `TLS_TX` of kernel TLS: version, cipher and keys of what is sent
    /// (`struct tls12_crypto_info_*`), after [`UpperProtocol`].
    rw TlsTx: Vec<u8> as Bytes<128> = SOL_TLS TLS_TX, "TLS_TX";
    /// `TLS_RX`: the same for what is received.
    rw TlsRx: Vec<u8> as Bytes<128> = SOL_TLS TLS_RX, "TLS_RX";
    /// `TLS_TX_ZEROCOPY_RO`: files that do not change go out without a copy.
    rw TlsTxZeroCopy: bool as Flag = SOL_TLS TLS_TX_ZEROCOPY_RO, "TLS_TX_ZEROCOPY_RO";
    /// `TLS_RX_EXPECT_NO_PAD`: the peer does not pad records of TLS 1.3.
    rw TlsRxExpectNoPad: bool as Flag = SOL_TLS TLS_RX_EXPECT_NO_PAD, "TLS_RX_EXPECT_NO_PAD";
}

codes! {
    /// Whether a connection is under repair (`TCP_REPAIR_*`).
    RepairMode {
        /// No more, with a probe of the peer's window.
        OFF = 0;
        /// It is.
        ON = 1;
        /// No more, without that probe.
        OFF_WITHOUT_PROBE = -1;
    }
}

codes! {
    /// The queue that is repaired.
    RepairSide {
        /// Neither.
        NONE = 0;
        /// What was received.
        RECV = 1;
        /// What is to be sent.
        SEND = 2;
    }
}

record! {
    /// One agreed option (`struct tcp_repair_opt`).
    RepairOption 8 {
        /// The kind of the option in the header of TCP.
        code: u32,
        /// Its value.
        value: u32,
    }
}

record! {
    /// Both windows of a connection (`struct tcp_repair_window`).
    RepairWindows 20 {
        /// The segment that changed the send window last.
        send_wl1: u32,
        /// The send window.
        send_window: u32,
        /// The largest one seen.
        max_window: u32,
        /// The receive window.
        recv_window: u32,
        /// Where it began.
        recv_wup: u32,
    }
}

/// A key for the segments of a peer (`struct tcp_md5sig`), RFC 2385.
#[derive(Clone, PartialEq, Eq)]
pub struct Md5Key {
    /// The peer.
    pub peer: IpAddr,
    /// How many bits of the address count; `None` for all. Only with
    /// [`Md5SignatureExtended`].
    pub prefix: Option<u8>,
    /// The interface's index, or 0. Only with [`Md5SignatureExtended`].
    pub index: u32,
    /// The key: at most 80 bytes, more are cut off.
    pub key: Vec<u8>,
}

impl core::fmt::Debug for Md5Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Md5Key")
            .field("peer", &self.peer)
            .field("prefix", &self.prefix)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// Bytes of a key at most (`TCP_MD5SIG_MAXKEYLEN`).
const MD5_KEY_MAX: usize = 80;

/// Bytes of the address in front of it (`struct sockaddr_storage`).
pub(super) const ADDR_BYTES: usize = 128;

/// Writes an address without a port, as keys of a peer have it.
pub(super) fn put_peer(bytes: &mut [u8], peer: IpAddr) {
    let family = match peer {
        IpAddr::V4(addr) => {
            put(bytes, 4, &addr.octets());
            libc::AF_INET
        }
        IpAddr::V6(addr) => {
            put(bytes, 8, &addr.octets());
            libc::AF_INET6
        }
    };
    let family = u16::try_from(family).unwrap_or(0);
    put(bytes, 0, &family.to_ne_bytes());
}

/// `struct tcp_md5sig`: an address, flags, a length and the key.
struct Md5Bytes;

impl Encode for Md5Bytes {
    type Value = Md5Key;

    fn encode(value: Md5Key) -> impl AsRef<[u8]> {
        const ADDR: usize = ADDR_BYTES;
        let mut bytes = [0; ADDR + 8 + MD5_KEY_MAX];
        put_peer(&mut bytes, value.peer);
        let flags = u8::from(value.prefix.is_some()) | u8::from(value.index != 0) << 1;
        let key = value.key.get(..MD5_KEY_MAX).unwrap_or(&value.key);
        let len = u16::try_from(key.len()).unwrap_or(0);
        put(&mut bytes, ADDR, &[flags, value.prefix.unwrap_or(0)]);
        put(&mut bytes, ADDR + 2, &len.to_ne_bytes());
        put(&mut bytes, ADDR + 4, &value.index.to_ne_bytes());
        put(&mut bytes, ADDR + 8, key);
        bytes
    }
}
