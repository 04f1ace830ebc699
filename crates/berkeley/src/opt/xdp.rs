//! Options of XDP sockets: `SOL_XDP`, Documentation/networking/af_xdp.rst.
//!
//! `XDP_UMEM_REG` hands memory to the kernel, so it is for
//! [`crate::Socket::set_raw_pointers`].

use super::codec::{Bits, Count, Decode, Field};

options! {
    /// `XDP_MMAP_OFFSETS`: where the parts of the rings are in their mappings.
    r MmapOffsets: RingOffsets as OffsetBytes = SOL_XDP XDP_MMAP_OFFSETS, "XDP_MMAP_OFFSETS";
    /// `XDP_RX_RING`: entries of the ring for receiving, a power of two.
    w RxRing: u32 as Count = SOL_XDP XDP_RX_RING, "XDP_RX_RING";
    /// `XDP_TX_RING`: entries of the ring for sending, a power of two.
    w TxRing: u32 as Count = SOL_XDP XDP_TX_RING, "XDP_TX_RING";
    /// `XDP_UMEM_FILL_RING`: entries of the ring of free memory, a power of two.
    w FillRing: u32 as Count = SOL_XDP XDP_UMEM_FILL_RING, "XDP_UMEM_FILL_RING";
    /// `XDP_UMEM_COMPLETION_RING`: entries of the ring of what was sent, a power of two.
    w CompletionRing: u32 as Count = SOL_XDP XDP_UMEM_COMPLETION_RING, "XDP_UMEM_COMPLETION_RING";
    /// `XDP_STATISTICS`: frames that were dropped.
    r Statistics: XdpStatistics as StatisticsBytes = SOL_XDP XDP_STATISTICS, "XDP_STATISTICS";
    /// `XDP_OPTIONS`: 1 if frames are not copied.
    r Options: u32 as Bits = SOL_XDP XDP_OPTIONS, "XDP_OPTIONS";
}

record! {
    /// Where a ring's parts are (`struct xdp_ring_offset`).
    RingOffset 32 {
        /// The producer's number.
        producer: u64,
        /// The consumer's number.
        consumer: u64,
        /// The first entry.
        descriptors: u64,
        /// The flags.
        flags: u64,
    }
}

record! {
    /// Where the parts of all rings are (`struct xdp_mmap_offsets`).
    RingOffsets 128 {
        /// Receiving.
        rx: RingOffset,
        /// Sending.
        tx: RingOffset,
        /// Free memory.
        fill: RingOffset,
        /// What was sent.
        completion: RingOffset,
    }
}

const _: () = assert!(size_of::<libc::xdp_mmap_offsets>() == 128);

/// `struct xdp_mmap_offsets`.
struct OffsetBytes;

impl Decode for OffsetBytes {
    type Value = RingOffsets;
    const BYTES: usize = 128;

    fn decode(mut bytes: &[u8]) -> Option<RingOffsets> {
        RingOffsets::take(&mut bytes)
    }
}

/// Frames that were dropped (`struct xdp_statistics`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct XdpStatistics {
    /// Dropped when received, for none of the reasons below.
    pub rx_dropped: u64,
    /// Wrong entries of the ring for receiving.
    pub rx_invalid: u64,
    /// Wrong entries of the ring for sending.
    pub tx_invalid: u64,
    /// Dropped because the ring for receiving was full (Linux 5.9, with the rest).
    pub rx_ring_full: Option<u64>,
    /// How often there was no free memory.
    pub fill_ring_empty: Option<u64>,
    /// How often there was nothing to send.
    pub tx_ring_empty: Option<u64>,
}

/// `struct xdp_statistics`, as much of it as the kernel has.
struct StatisticsBytes;

impl Decode for StatisticsBytes {
    type Value = XdpStatistics;
    const BYTES: usize = 48;

    fn decode(mut bytes: &[u8]) -> Option<XdpStatistics> {
        let bytes = &mut bytes;
        Some(XdpStatistics {
            rx_dropped: u64::take(bytes)?,
            rx_invalid: u64::take(bytes)?,
            tx_invalid: u64::take(bytes)?,
            rx_ring_full: u64::take(bytes),
            fill_ring_empty: u64::take(bytes),
            tx_ring_empty: u64::take(bytes),
        })
    }
}
