//! Options of packet sockets: `SOL_PACKET`, packet(7).
//!
//! Rings are asked for here and mapped by mmap(2), which is not this library's work.

use core::ffi::c_int;

use super::codec::{Bits, Code, Count, Decode, Field, Flag, Plain};
use crate::error::Result;
use crate::kinds::Level;
use crate::socket::Socket;

options! {
    /// `PACKET_ADD_MEMBERSHIP`: the interface takes more than its own frames, packet(7).
    w AddMembership: Membership as Plain<Membership>
        = SOL_PACKET PACKET_ADD_MEMBERSHIP, "PACKET_ADD_MEMBERSHIP";
    /// `PACKET_DROP_MEMBERSHIP`: no more, packet(7).
    w DropMembership: Membership as Plain<Membership>
        = SOL_PACKET PACKET_DROP_MEMBERSHIP, "PACKET_DROP_MEMBERSHIP";
    /// `PACKET_COPY_THRESH`: frames above so many bytes are queued beside the ring.
    rw CopyThreshold: u32 as Count = SOL_PACKET PACKET_COPY_THRESH, "PACKET_COPY_THRESH";
    /// `PACKET_AUXDATA`: messages carry lengths and the VLAN of their frame, packet(7).
    rw AuxData: bool as Flag = SOL_PACKET PACKET_AUXDATA, "PACKET_AUXDATA";
    /// `PACKET_ORIGDEV`: addresses name the interface of arrival, not the one above it.
    rw OriginalDevice: bool as Flag = SOL_PACKET PACKET_ORIGDEV, "PACKET_ORIGDEV";
    /// `PACKET_VERSION`: the form of the ring: 0, 1 or 2 for TPACKET_V1 to V3, packet(7).
    rw Version: u32 as Count = SOL_PACKET PACKET_VERSION, "PACKET_VERSION";
    /// `PACKET_STATISTICS`: frames since the last look, and how many were dropped, packet(7).
    r Statistics: PacketStatistics as StatisticsBytes
        = SOL_PACKET PACKET_STATISTICS, "PACKET_STATISTICS";
    /// `PACKET_ROLLOVER_STATS`: frames that went to another socket of a fan-out.
    r RolloverStatistics: RolloverCounts as Plain<RolloverCounts>
        = SOL_PACKET PACKET_ROLLOVER_STATS, "PACKET_ROLLOVER_STATS";
    /// `PACKET_RESERVE`: bytes left free before each frame of a ring, packet(7).
    rw Reserve: u32 as Count = SOL_PACKET PACKET_RESERVE, "PACKET_RESERVE";
    /// `PACKET_RX_RING`: a ring for receiving (`struct tpacket_req`), packet(7).
    w RxRing: Ring as Plain<Ring> = SOL_PACKET PACKET_RX_RING, "PACKET_RX_RING";
    /// `PACKET_TX_RING`: a ring for sending, packet(7).
    w TxRing: Ring as Plain<Ring> = SOL_PACKET PACKET_TX_RING, "PACKET_TX_RING";
    /// `PACKET_RX_RING` with TPACKET_V3 (`struct tpacket_req3`), packet(7).
    w RxRingV3: RingV3 as Plain<RingV3> = SOL_PACKET PACKET_RX_RING, "PACKET_RX_RING";
    /// `PACKET_LOSS`: malformed frames of a ring are skipped instead of ending it, packet(7).
    rw SkipMalformed: bool as Flag = SOL_PACKET PACKET_LOSS, "PACKET_LOSS";
    /// `PACKET_VNET_HDR`: frames begin with a header of virtio, for offloads.
    rw VnetHeader: bool as Flag = SOL_PACKET PACKET_VNET_HDR, "PACKET_VNET_HDR";
    /// `PACKET_VNET_HDR_SZ`: the size of that header (Linux 6.4).
    rw VnetHeaderSize: u32 as Count = SOL_PACKET PACKET_VNET_HDR_SZ, "PACKET_VNET_HDR_SZ";
    /// `PACKET_TX_TIMESTAMP`: kept for old programs.
    rw TxTimestamp: u32 as Bits = SOL_PACKET PACKET_TX_TIMESTAMP, "PACKET_TX_TIMESTAMP";
    /// `PACKET_TIMESTAMP`: which times are in a ring (`SOF_TIMESTAMPING_*`), packet(7).
    rw Timestamp: super::socket::TimestampingFlags as Code<super::socket::TimestampingFlags>
        = SOL_PACKET PACKET_TIMESTAMP, "PACKET_TIMESTAMP";
    /// `PACKET_FANOUT`: several sockets share what comes, packet(7).
    rw Fanout: FanoutGroup as Plain<FanoutGroup> = SOL_PACKET PACKET_FANOUT, "PACKET_FANOUT";
    /// `PACKET_TX_HAS_OFF`: each frame of a ring says where it begins.
    rw TxHasOffset: bool as Flag = SOL_PACKET PACKET_TX_HAS_OFF, "PACKET_TX_HAS_OFF";
    /// `PACKET_QDISC_BYPASS`: frames go to the device past the queues, packet(7).
    rw QdiscBypass: bool as Flag = SOL_PACKET PACKET_QDISC_BYPASS, "PACKET_QDISC_BYPASS";
    /// `PACKET_IGNORE_OUTGOING`: what this machine sends does not come (Linux 4.20).
    rw IgnoreOutgoing: bool as Flag = SOL_PACKET PACKET_IGNORE_OUTGOING, "PACKET_IGNORE_OUTGOING";
}

record! {
    /// What an interface shall take beside its own frames (`struct packet_mreq`).
    Membership 16 {
        /// The interface's index.
        index: i32,
        /// [`Self::MULTICAST`] and the like.
        kind: u16,
        /// Bytes of the address.
        address_bytes: u16,
        /// The address.
        address: [u8; 8],
    }
}

impl Membership {
    /// The frames of a multicast address (`PACKET_MR_MULTICAST`).
    pub const MULTICAST: u16 = 0;
    /// All frames (`PACKET_MR_PROMISC`).
    pub const PROMISCUOUS: u16 = 1;
    /// The frames of all multicast addresses (`PACKET_MR_ALLMULTI`).
    pub const ALL_MULTICAST: u16 = 2;
    /// The frames of another address (`PACKET_MR_UNICAST`).
    pub const UNICAST: u16 = 3;
}

/// `PACKET_HDRLEN`.
const HEADER_LEN: c_int = 11;

impl Socket {
    /// Bytes of the header of a frame in a ring of this version (0, 1 or 2 for TPACKET_V1 to V3),
    /// whichever the socket has (`PACKET_HDRLEN`).
    ///
    /// # Errors
    /// `EINVAL` for another version, `ENOPROTOOPT` for another socket.
    ///
    /// # References
    /// packet(7).
    #[doc(alias = "PACKET_HDRLEN")]
    pub fn packet_header_len(&self, version: u32) -> Result<u32> {
        let mut value = version.to_ne_bytes();
        self.get_labelled(Level::PACKET, HEADER_LEN, "PACKET_HDRLEN", &mut value)?;
        Ok(u32::from_ne_bytes(value))
    }
}

record! {
    /// The shape of a ring (`struct tpacket_req`).
    Ring 16 {
        /// Bytes of a block: whole pages.
        block_bytes: u32,
        /// Blocks.
        block_count: u32,
        /// Bytes of a frame.
        frame_bytes: u32,
        /// Frames in all.
        frame_count: u32,
    }
}

record! {
    /// The shape of a ring of blocks (`struct tpacket_req3`).
    RingV3 28 {
        /// Bytes of a block: whole pages.
        block_bytes: u32,
        /// Blocks.
        block_count: u32,
        /// Bytes of a frame.
        frame_bytes: u32,
        /// Frames in all.
        frame_count: u32,
        /// Milliseconds until a block is handed over that is not full.
        block_timeout_ms: u32,
        /// Bytes of private data in each block.
        private_bytes: u32,
        /// 1: frames have a hash.
        features: u32,
    }
}

record! {
    /// A group of sockets that share what comes (`struct fanout_args`).
    FanoutGroup 8 {
        /// The group's number.
        group: u16,
        /// How it is shared: [`FanoutGroup::HASH`] and others, with flags.
        kind_and_flags: u16,
        /// How many sockets at most; 0 for the system's choice.
        members_max: u32,
    }
}

impl FanoutGroup {
    /// By the flow's hash.
    pub const HASH: u16 = 0;
    /// By turns.
    pub const LOAD_BALANCE: u16 = 1;
    /// By the processor.
    pub const CPU: u16 = 2;
    /// To the first one that has room.
    pub const ROLLOVER: u16 = 3;
    /// By chance.
    pub const RANDOM: u16 = 4;
    /// By the queue of the device.
    pub const QUEUE: u16 = 5;
    /// By a classic BPF program.
    pub const CBPF: u16 = 6;
    /// By a BPF program.
    pub const EBPF: u16 = 7;
    /// To another one when the first choice is full.
    pub const FLAG_ROLLOVER: u16 = 0x1000;
    /// The kernel chooses the group's number.
    pub const FLAG_UNIQUE_ID: u16 = 0x2000;
    /// What is sent is left out (Linux 6.6).
    pub const FLAG_IGNORE_OUTGOING: u16 = 0x4000;
    /// Fragments are put together first.
    pub const FLAG_DEFRAG: u16 = 0x8000;
}

/// Frames since the last look (`struct tpacket_stats_v3`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PacketStatistics {
    /// Frames that came, those dropped too.
    pub packets: u32,
    /// Frames that were dropped.
    pub drops: u32,
    /// How often the ring was full; TPACKET_V3 only.
    pub freezes: Option<u32>,
}

record! {
    /// Frames that went to another socket (`struct tpacket_rollover_stats`).
    RolloverCounts 24 {
        /// All of them.
        all: u64,
        /// Those of a flow that took too much.
        huge: u64,
        /// Those for which no socket had room.
        failed: u64,
    }
}

const _: () = {
    assert!(size_of::<libc::packet_mreq>() == 16);
    assert!(size_of::<libc::tpacket_req>() == 16);
    assert!(size_of::<libc::tpacket_req3>() == 28);
    assert!(size_of::<libc::fanout_args>() == 8);
    assert!(size_of::<c_int>() == 4);
};

/// `union tpacket_stats_u`.
struct StatisticsBytes;

impl Decode for StatisticsBytes {
    type Value = PacketStatistics;
    const BYTES: usize = 12;

    fn decode(mut bytes: &[u8]) -> Option<PacketStatistics> {
        let bytes = &mut bytes;
        Some(PacketStatistics {
            packets: u32::take(bytes)?,
            drops: u32::take(bytes)?,
            freezes: u32::take(bytes),
        })
    }
}
