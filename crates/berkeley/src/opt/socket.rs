//! Options of every socket: `SOL_SOCKET`, socket(7).

use core::time::Duration;

use super::codec::{
    Bits, Bytes, Code, Command, Count, FamilyCode, Flag, KindCode, LingerTime, List, Micros,
    Number, PendingErrno, Plain, ProtocolCode, Text, Timeval,
};
use super::name::Name;
use crate::errno::Errno;
use crate::kinds::{Family, Kind, Protocol};

options! {
    /// `SO_DEBUG`: record debugging information; needs `CAP_NET_ADMIN`, socket(7).
    rw Debug: bool as Flag = SOL_SOCKET SO_DEBUG, "SO_DEBUG";
    /// `SO_REUSEADDR`: bind although connections of a former owner are in `TIME_WAIT`, socket(7).
    rw ReuseAddr: bool as Flag = SOL_SOCKET SO_REUSEADDR, "SO_REUSEADDR";
    /// `SO_TYPE`: the socket's type, socket(7).
    r Type: Kind as KindCode = SOL_SOCKET SO_TYPE, "SO_TYPE";
    /// `SO_ERROR`: takes the pending error off the socket; the next look finds none, socket(7).
    r PendingError: Option<Errno> as PendingErrno = SOL_SOCKET SO_ERROR, "SO_ERROR";
    /// `SO_DONTROUTE`: send to directly connected hosts only, socket(7).
    rw DontRoute: bool as Flag = SOL_SOCKET SO_DONTROUTE, "SO_DONTROUTE";
    /// `SO_BROADCAST`: datagrams may go to broadcast addresses, socket(7).
    rw Broadcast: bool as Flag = SOL_SOCKET SO_BROADCAST, "SO_BROADCAST";
    /// `SO_SNDBUF`: bytes of the send buffer, doubled like [`RecvBuffer`], socket(7).
    rw SendBuffer: u32 as Count = SOL_SOCKET SO_SNDBUF, "SO_SNDBUF";
    /// `SO_RCVBUF`: bytes of the receive buffer. The kernel doubles what is set, for its own
    /// bookkeeping, and answers the doubled value, socket(7).
    rw RecvBuffer: u32 as Count = SOL_SOCKET SO_RCVBUF, "SO_RCVBUF";
    /// `SO_SNDBUFFORCE`: [`SendBuffer`] beyond `wmem_max`; needs `CAP_NET_ADMIN`, socket(7).
    w SendBufferForce: u32 as Count = SOL_SOCKET SO_SNDBUFFORCE, "SO_SNDBUFFORCE";
    /// `SO_RCVBUFFORCE`: [`RecvBuffer`] beyond `rmem_max`; needs `CAP_NET_ADMIN`, socket(7).
    w RecvBufferForce: u32 as Count = SOL_SOCKET SO_RCVBUFFORCE, "SO_RCVBUFFORCE";
    /// `SO_KEEPALIVE`: ask a silent peer from time to time whether it is still there, socket(7).
    rw KeepAlive: bool as Flag = SOL_SOCKET SO_KEEPALIVE, "SO_KEEPALIVE";
    /// `SO_OOBINLINE`: out-of-band data comes within the stream, socket(7).
    rw OobInline: bool as Flag = SOL_SOCKET SO_OOBINLINE, "SO_OOBINLINE";
    /// `SO_NO_CHECK`: UDP over IPv4 sends no checksums, udp(7).
    rw NoCheck: bool as Flag = SOL_SOCKET SO_NO_CHECK, "SO_NO_CHECK";
    /// `SO_PRIORITY`: the class for queueing, 0 to 6 without `CAP_NET_ADMIN`, socket(7).
    rw Priority: u32 as Count = SOL_SOCKET SO_PRIORITY, "SO_PRIORITY";
    /// `SO_LINGER`: what close does with unsent data: `None` sends it behind the caller's back,
    /// zero throws it away and resets the connection, more waits that long (whole seconds,
    /// rounded up), socket(7).
    rw Linger: Option<Duration> as LingerTime = SOL_SOCKET SO_LINGER, "SO_LINGER";
    /// `SO_REUSEPORT`: several sockets share one address and the kernel spreads what arrives.
    rw ReusePort: bool as Flag = SOL_SOCKET SO_REUSEPORT, "SO_REUSEPORT";
    /// `SO_PASSCRED`: each message of a Unix socket carries its sender's credentials, unix(7).
    rw PassCredentials: bool as Flag = SOL_SOCKET SO_PASSCRED, "SO_PASSCRED";
    /// `SO_PEERCRED`: the peer's process, user and group, unix(7).
    r PeerCredentials: Credentials as Plain<Credentials> = SOL_SOCKET SO_PEERCRED, "SO_PEERCRED";
    /// `SO_RCVLOWAT`: bytes that have to be there before a stream is readable, socket(7).
    rw RecvLowWater: u32 as Count = SOL_SOCKET SO_RCVLOWAT, "SO_RCVLOWAT";
    /// `SO_SNDLOWAT`: room that a stream needs to be writable; Linux says 1 and lets nobody
    /// change it, socket(7).
    r SendLowWater: u32 as Count = SOL_SOCKET SO_SNDLOWAT, "SO_SNDLOWAT";
    /// `SO_RCVTIMEO`: how long the kernel lets a blocking receive or accept wait; `None` without
    /// end, socket(7). Microseconds, rounded up; a kernel keeps it in ticks, rounded up again.
    rw RecvTimeout: Option<Duration> as Timeval = SOL_SOCKET SO_RCVTIMEO, "SO_RCVTIMEO";
    /// `SO_SNDTIMEO`: how long the kernel lets a blocking send or connect wait; `None` without
    /// end, socket(7). [`crate::Mode::Within`] is the better tool: it bounds whole calls. (A
    /// limited connect of a Unix socket sets this, and takes it off in the end.)
    rw SendTimeout: Option<Duration> as Timeval = SOL_SOCKET SO_SNDTIMEO, "SO_SNDTIMEO";
    /// `SO_BINDTODEVICE`: the interface that the socket is tied to, [`Name::EMPTY`] for none,
    /// socket(7).
    rw BindToDevice: Name as Text = SOL_SOCKET SO_BINDTODEVICE, "SO_BINDTODEVICE";
    /// `SO_DETACH_FILTER`: takes the filter off that [`crate::Socket::attach_filter`] put there
    /// (`SO_DETACH_BPF` is the same), socket(7).
    w DetachFilter: () as Command = SOL_SOCKET SO_DETACH_FILTER, "SO_DETACH_FILTER";
    /// `SO_PEERNAME`: the peer's address as bytes; [`crate::Socket::peer_addr`] reads it.
    r PeerName: Vec<u8> as Bytes<128> = SOL_SOCKET SO_PEERNAME, "SO_PEERNAME";
    /// `SO_ACCEPTCONN`: whether the socket listens, socket(7).
    r Listening: bool as Flag = SOL_SOCKET SO_ACCEPTCONN, "SO_ACCEPTCONN";
    /// `SO_PEERSEC`: the peer's security context (a label of SELinux or another module), unix(7).
    r PeerSecurity: Vec<u8> as Bytes<65_536, 256> = SOL_SOCKET SO_PEERSEC, "SO_PEERSEC";
    /// `SO_PASSSEC`: each message of a Unix socket carries its sender's security context, unix(7).
    rw PassSecurity: bool as Flag = SOL_SOCKET SO_PASSSEC, "SO_PASSSEC";
    /// `SO_MARK`: the mark of each packet, for routing and filters; needs `CAP_NET_ADMIN`,
    /// socket(7).
    rw Mark: u32 as Bits = SOL_SOCKET SO_MARK, "SO_MARK";
    /// `SO_PROTOCOL`: the socket's protocol, socket(7).
    r ProtocolNumber: Protocol as ProtocolCode = SOL_SOCKET SO_PROTOCOL, "SO_PROTOCOL";
    /// `SO_DOMAIN`: the socket's family, socket(7).
    r Domain: Family as FamilyCode = SOL_SOCKET SO_DOMAIN, "SO_DOMAIN";
    /// `SO_RXQ_OVFL`: each message carries the number of those dropped before it, socket(7).
    rw DropCounter: bool as Flag = SOL_SOCKET SO_RXQ_OVFL, "SO_RXQ_OVFL";
    /// `SO_WIFI_STATUS`: raw 802.11 frames tell whether they were acknowledged.
    rw WifiStatus: bool as Flag = SOL_SOCKET SO_WIFI_STATUS, "SO_WIFI_STATUS";
    /// `SO_PEEK_OFF`: where the next peek begins, `None` at the front each time, socket(7).
    rw PeekOffset: Option<u32> as super::codec::Automatic = SOL_SOCKET SO_PEEK_OFF, "SO_PEEK_OFF";
    /// `SO_NOFCS`: frames carry a checksum (FCS) made by the program, packet(7).
    rw NoFcs: bool as Flag = SOL_SOCKET SO_NOFCS, "SO_NOFCS";
    /// `SO_LOCK_FILTER`: the filter cannot be changed any more, socket(7). Cannot be undone.
    rw LockFilter: bool as Flag = SOL_SOCKET SO_LOCK_FILTER, "SO_LOCK_FILTER";
    /// `SO_SELECT_ERR_QUEUE`: a filled error queue makes the socket "exceptional" for poll(2).
    rw SelectErrorQueue: bool as Flag = SOL_SOCKET SO_SELECT_ERR_QUEUE, "SO_SELECT_ERR_QUEUE";
    /// `SO_BUSY_POLL`: how long a receive asks the device again and again before it sleeps,
    /// microseconds, rounded up; more than before needs `CAP_NET_ADMIN`, socket(7).
    rw BusyPoll: Duration as Micros = SOL_SOCKET SO_BUSY_POLL, "SO_BUSY_POLL";
    /// `SO_MAX_PACING_RATE`: bytes per second that the stack may send, [`u64::MAX`] without limit,
    /// tc-fq(8).
    rw MaxPacingRate: u64 as Plain<u64> = SOL_SOCKET SO_MAX_PACING_RATE, "SO_MAX_PACING_RATE";
    /// `SO_BPF_EXTENSIONS`: the largest offset of classic BPF's extensions (`SKF_AD_MAX`).
    r BpfExtensions: u32 as Count = SOL_SOCKET SO_BPF_EXTENSIONS, "SO_BPF_EXTENSIONS";
    /// `SO_INCOMING_CPU`: the processor that handled the last packet; set, the one whose
    /// connections this listener of a reuse group takes. `None` for none, socket(7).
    rw IncomingCpu: Option<u32> as super::codec::Automatic
        = SOL_SOCKET SO_INCOMING_CPU, "SO_INCOMING_CPU";
    /// `SO_CNX_ADVICE`: `1` tells that the path seems dead, so that another route is tried.
    w ConnectionAdvice: core::ffi::c_int as Number = SOL_SOCKET SO_CNX_ADVICE, "SO_CNX_ADVICE";
    /// `SO_MEMINFO`: the socket's memory, in bytes.
    r Memory: MemoryInfo as Plain<MemoryInfo> = SOL_SOCKET SO_MEMINFO, "SO_MEMINFO";
    /// `SO_INCOMING_NAPI_ID`: the receive queue of a device that the last packet came through, 0
    /// for none, socket(7).
    r IncomingNapiId: u32 as Bits = SOL_SOCKET SO_INCOMING_NAPI_ID, "SO_INCOMING_NAPI_ID";
    /// `SO_COOKIE`: a number that no other socket has until the next boot.
    r Cookie: u64 as Plain<u64> = SOL_SOCKET SO_COOKIE, "SO_COOKIE";
    /// `SO_PEERGROUPS`: the peer's supplementary groups, unix(7).
    r PeerGroups: Vec<u32> as List<u32, 65_536, 64> = SOL_SOCKET SO_PEERGROUPS, "SO_PEERGROUPS";
    /// `SO_ZEROCOPY`: `MSG_ZEROCOPY` may be used; needed before it.
    rw ZeroCopy: bool as Flag = SOL_SOCKET SO_ZEROCOPY, "SO_ZEROCOPY";
    /// `SO_TXTIME`: messages may carry the time at which they are to leave, tc-etf(8).
    rw TxTime: TxTimeConfig as Plain<TxTimeConfig> = SOL_SOCKET SO_TXTIME, "SO_TXTIME";
    /// `SO_BINDTOIFINDEX`: as [`BindToDevice`], by the interface's index; 0 for none.
    rw BindToIndex: u32 as Count = SOL_SOCKET SO_BINDTOIFINDEX, "SO_BINDTOIFINDEX";
    /// `SO_TIMESTAMP`: messages carry the time of their arrival, in microseconds, socket(7).
    rw Timestamp: bool as Flag = SOL_SOCKET SO_TIMESTAMP, "SO_TIMESTAMP";
    /// `SO_TIMESTAMPNS`: the same in nanoseconds, socket(7).
    rw TimestampNs: bool as Flag = SOL_SOCKET SO_TIMESTAMPNS, "SO_TIMESTAMPNS";
    /// `SO_TIMESTAMPING`: which times are taken, of which messages, and how they are told.
    rw Timestamping: TimestampingFlags as Code<TimestampingFlags>
        = SOL_SOCKET SO_TIMESTAMPING, "SO_TIMESTAMPING";
    /// `SO_TIMESTAMP_NEW`: as [`Timestamp`], with 64 bits on every machine.
    rw TimestampNew: bool as Flag = SOL_SOCKET SO_TIMESTAMP_NEW, "SO_TIMESTAMP_NEW";
    /// `SO_TIMESTAMPNS_NEW`: as [`TimestampNs`], with 64 bits on every machine.
    rw TimestampNsNew: bool as Flag = SOL_SOCKET SO_TIMESTAMPNS_NEW, "SO_TIMESTAMPNS_NEW";
    /// `SO_TIMESTAMPING_NEW`: as [`Timestamping`], with 64 bits on every machine, and with the
    /// clock of a device to be used.
    rw TimestampingNew: TimestampingConfig as Plain<TimestampingConfig>
        = SOL_SOCKET SO_TIMESTAMPING_NEW, "SO_TIMESTAMPING_NEW";
    /// `SO_RCVTIMEO_NEW`: as [`RecvTimeout`], with 64 bits on every machine.
    rw RecvTimeoutNew: Option<Duration> as Timeval = SOL_SOCKET SO_RCVTIMEO_NEW, "SO_RCVTIMEO_NEW";
    /// `SO_SNDTIMEO_NEW`: as [`SendTimeout`], with 64 bits on every machine.
    rw SendTimeoutNew: Option<Duration> as Timeval = SOL_SOCKET SO_SNDTIMEO_NEW, "SO_SNDTIMEO_NEW";
    /// `SO_DETACH_REUSEPORT_BPF`: takes the program off that chooses among a reuse group.
    w DetachReusePort: () as Command
        = SOL_SOCKET SO_DETACH_REUSEPORT_BPF, "SO_DETACH_REUSEPORT_BPF";
    /// `SO_PREFER_BUSY_POLL`: busy polling goes before interrupts (Linux 5.11).
    rw PreferBusyPoll: bool as Flag = SOL_SOCKET SO_PREFER_BUSY_POLL, "SO_PREFER_BUSY_POLL";
    /// `SO_BUSY_POLL_BUDGET`: packets that one busy poll takes, 1 to 65535 (Linux 5.11).
    rw BusyPollBudget: u32 as Count = SOL_SOCKET SO_BUSY_POLL_BUDGET, "SO_BUSY_POLL_BUDGET";
    /// `SO_NETNS_COOKIE`: a number for the socket's network namespace (Linux 5.14).
    r NetnsCookie: u64 as Plain<u64> = SOL_SOCKET SO_NETNS_COOKIE, "SO_NETNS_COOKIE";
    /// `SO_BUF_LOCK`: which buffers keep their size instead of growing with the load (5.15).
    rw BufferLock: BufferLocks as Code<BufferLocks> = SOL_SOCKET SO_BUF_LOCK, "SO_BUF_LOCK";
    /// `SO_RESERVE_MEM`: bytes of memory that stay with the socket (Linux 5.16); works where the
    /// process is in a group with a limit of memory.
    rw ReserveMemory: u32 as Count = SOL_SOCKET SO_RESERVE_MEM, "SO_RESERVE_MEM";
    /// `SO_TXREHASH`: whether a connection takes another path when segments are lost; `None` for
    /// the system's choice (Linux 5.18).
    w TxRehash: Option<bool> as Rehash = SOL_SOCKET SO_TXREHASH, "SO_TXREHASH";
    /// `SO_RCVMARK`: messages carry the mark of their packet (Linux 6.0).
    rw RecvMark: bool as Flag = SOL_SOCKET SO_RCVMARK, "SO_RCVMARK";
    /// `SO_PASSPIDFD`: messages of a Unix socket carry a descriptor of their sender's process
    /// (Linux 6.5), unix(7).
    rw PassPidFd: bool as Flag = SOL_SOCKET SO_PASSPIDFD, "SO_PASSPIDFD";
    /// `SO_RCVPRIORITY`: messages carry the priority of their packet (Linux 6.14).
    rw RecvPriority: bool as Flag = SOL_SOCKET SO_RCVPRIORITY, "SO_RCVPRIORITY";
    /// `SO_PASSRIGHTS`: whether a Unix socket takes descriptors at all; on unless it is switched
    /// off (Linux 6.16).
    rw PassRights: bool as Flag = SOL_SOCKET SO_PASSRIGHTS, "SO_PASSRIGHTS";
    /// `SO_DEVMEM_DONTNEED`: memory of a device that was received into and is not needed any more
    /// (Linux 6.12); at most 128 ranges and 1024 tokens at once.
    w DeviceMemoryDone: Vec<TokenRange> as List<TokenRange, 128>
        = SOL_SOCKET SO_DEVMEM_DONTNEED, "SO_DEVMEM_DONTNEED";
    /// `SO_INQ`: messages of a Unix stream carry the number of bytes that are left to read
    /// (Linux 6.17).
    w Inq: bool as Flag = SOL_SOCKET SO_INQ, "SO_INQ";
}

/// On, off or -1; and the kernel answers what it made of it.
struct Rehash;

impl super::codec::Encode for Rehash {
    type Value = Option<bool>;

    fn encode(value: Option<bool>) -> impl AsRef<[u8]> {
        value.map_or(-1, i32::from).to_ne_bytes()
    }
}

impl super::codec::Decode for Rehash {
    type Value = Option<bool>;
    const BYTES: usize = 4;

    fn decode(bytes: &[u8]) -> Option<Option<bool>> {
        // The kernel keeps the number in a byte without a sign: "automatic" is 255 there.
        super::codec::int(bytes).map(|raw| match raw {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        })
    }
}

impl super::GetOpt for TxRehash {
    const BYTES: usize = 4;

    fn decode(bytes: &[u8]) -> Option<Option<bool>> {
        <Rehash as super::codec::Decode>::decode(bytes)
    }
}

record! {
    /// Who is at the other end of a Unix connection, as it was when the connection was made.
    Credentials 12 {
        /// Process id.
        pid: u32,
        /// Effective user id.
        uid: u32,
        /// Effective group id.
        gid: u32,
    }
}

record! {
    /// Memory of a socket in bytes (`SK_MEMINFO_*`).
    MemoryInfo 36 {
        /// Received and not yet read.
        recv_allocated: u32,
        /// Room for receiving.
        recv_buffer: u32,
        /// Sent and not yet freed.
        send_allocated: u32,
        /// Room for sending.
        send_buffer: u32,
        /// Kept for later.
        forward_allocated: u32,
        /// Queued for sending.
        send_queued: u32,
        /// Options and filters.
        options: u32,
        /// Waiting while the socket is locked.
        backlog: u32,
        /// Messages that were dropped: a number and no bytes.
        drops: u32,
    }
}

record! {
    /// Pieces of a device's memory, by [`crate::DeviceMemory::token`] (`struct dmabuf_token`).
    TokenRange 8 {
        /// The first token.
        first: u32,
        /// How many.
        count: u32,
    }
}

record! {
    /// Which clock times of departure are told in (`struct sock_txtime`).
    TxTimeConfig 8 {
        /// The clock, such as `CLOCK_TAI`, clock_gettime(2).
        clock: i32,
        /// [`Self::DEADLINE_MODE`] and [`Self::REPORT_ERRORS`], or 0.
        flags: u32,
    }
}

impl TxTimeConfig {
    /// The time is a deadline, not the moment (`SOF_TXTIME_DEADLINE_MODE`).
    pub const DEADLINE_MODE: u32 = 1;
    /// The error queue tells of packets that missed it (`SOF_TXTIME_REPORT_ERRORS`).
    pub const REPORT_ERRORS: u32 = 2;
}

record! {
    /// Times to be taken, and by which clock (`struct so_timestamping`).
    TimestampingConfig 8 {
        /// What [`TimestampingFlags`] are.
        flags: i32,
        /// The index of a device's clock, for [`TimestampingFlags::BIND_PHC`].
        bind_phc: i32,
    }
}

const _: () = {
    assert!(size_of::<libc::ucred>() == 12);
    assert!(size_of::<libc::sock_txtime>() == 8);
};

codes! {
    /// Buffers that keep their size (`SOCK_*BUF_LOCK`).
    BufferLocks {
        /// None.
        NONE = 0;
        /// The buffer for sending.
        SEND = 1;
        /// The buffer for receiving.
        RECV = 2;
        /// Both.
        BOTH = 3;
    }
}

codes! {
    /// Which times are taken (`SOF_TIMESTAMPING_*`), joined with `|`.
    TimestampingFlags {
        /// None.
        NONE = 0;
        /// The device takes the time of sending.
        TX_HARDWARE = 1;
        /// The kernel takes it, before the device.
        TX_SOFTWARE = 1 << 1;
        /// The device takes the time of arrival.
        RX_HARDWARE = 1 << 2;
        /// The kernel takes it.
        RX_SOFTWARE = 1 << 3;
        /// Tell the kernel's times.
        SOFTWARE = 1 << 4;
        /// Not used any more.
        SYS_HARDWARE = 1 << 5;
        /// Tell the device's times.
        RAW_HARDWARE = 1 << 6;
        /// Number the messages.
        OPT_ID = 1 << 7;
        /// The time before the queue of the device.
        TX_SCHED = 1 << 8;
        /// The time of the acknowledgement, TCP.
        TX_ACK = 1 << 9;
        /// Times come with the same ancillary data as addresses.
        OPT_CMSG = 1 << 10;
        /// Times of sending come without the message.
        OPT_TSONLY = 1 << 11;
        /// Times of sending come with figures of TCP.
        OPT_STATS = 1 << 12;
        /// Times of arrival come with the interface.
        OPT_PKTINFO = 1 << 13;
        /// Both times of sending, the kernel's and the device's.
        OPT_TX_SWHW = 1 << 14;
        /// By the clock that [`TimestampingConfig`] names.
        BIND_PHC = 1 << 15;
        /// Numbers of TCP begin with the bytes written, not acknowledged.
        OPT_ID_TCP = 1 << 16;
        /// Only what this socket asked for.
        OPT_RX_FILTER = 1 << 17;
        /// The time at which the device has done with it (Linux 6.15).
        TX_COMPLETION = 1 << 18;
    }
}

flags! { BufferLocks TimestampingFlags }
