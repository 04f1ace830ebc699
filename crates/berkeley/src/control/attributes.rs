//! Netlink attributes, in which the kernel tells figures beside a time of sending.

use super::walk::field;

/// Bytes of `struct nlattr` before the payload: the length with them, and the kind.
const HEAD_BYTES: usize = 4;
const ALIGN: usize = 4;
/// The kind's two highest bits say something about the payload (`NLA_F_NESTED`,
/// `NLA_F_NET_BYTEORDER`).
const KIND_MASK: u16 = 0x3fff;

/// One attribute (`struct nlattr`).
///
/// # References
/// netlink(7), `struct nlattr`.
#[doc(alias = "nlattr")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attribute<'a> {
    /// What it is: who sent it knows (`TCP_NLA_*`, `J1939_NLA_*`).
    pub kind: u16,
    /// The payload.
    pub bytes: &'a [u8],
}

impl Attribute<'_> {
    /// The payload as a number of one byte; `None` if it is empty.
    #[must_use]
    pub fn u8(&self) -> Option<u8> {
        self.bytes.first().copied()
    }

    /// The payload as a number of two bytes; `None` if it is shorter.
    #[must_use]
    pub fn u16(&self) -> Option<u16> {
        field(self.bytes, 0).map(u16::from_ne_bytes)
    }

    /// The payload as a number of four bytes; `None` if it is shorter.
    #[must_use]
    pub fn u32(&self) -> Option<u32> {
        field(self.bytes, 0).map(u32::from_ne_bytes)
    }

    /// The payload as a number of eight bytes; `None` if it is shorter.
    #[must_use]
    pub fn u64(&self) -> Option<u64> {
        field(self.bytes, 0).map(u64::from_ne_bytes)
    }
}

/// Attributes, one behind the other. The walk ends at one whose length makes no sense.
///
/// # References
/// netlink(7); `linux/netlink.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// Of the bytes of a message.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let len = usize::from(u16::from_ne_bytes(field(self.0, 0)?));
        let kind = u16::from_ne_bytes(field(self.0, 2)?) & KIND_MASK;
        let bytes = self.0.get(HEAD_BYTES..len)?;
        // The gap behind the last one may be left out.
        self.0 = self.0.get(len.next_multiple_of(ALIGN)..).unwrap_or(&[]);
        Some(Attribute { kind, bytes })
    }
}

/// A struct of figures, each of them an attribute of its own.
macro_rules! figures {
    (
        $(#[$meta:meta])*
        $type:ident { $($(#[$doc:meta])* $field:ident: $number:ident = $kind:literal,)* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[non_exhaustive]
        pub struct $type {
            $($(#[$doc])* pub $field: Option<$number>,)*
        }

        impl $type {
            /// Reads the attributes. Those that are not known, or too short, are left out.
            #[must_use]
            pub fn of(attributes: Attributes<'_>) -> Self {
                let mut figures = Self::default();
                for attribute in attributes {
                    match attribute.kind {
                        $($kind => figures.$field = attribute.$number(),)*
                        _ => {}
                    }
                }
                figures
            }
        }
    };
}

figures! {
    /// How a TCP connection is doing, beside a time of sending
    /// ([`crate::Cmsg::TimestampStats`], `SOF_TIMESTAMPING_OPT_STATS`). What the kernel does not
    /// tell is `None`. Times are in microseconds.
    ///
    /// # References
    /// `linux/tcp.h`, `TCP_NLA_*`.
    #[doc(alias = "TCP_NLA")]
    TcpStats {
        /// Busy sending.
        busy_us: u64 = 1,
        /// Held up by the peer's window.
        window_limited_us: u64 = 2,
        /// Held up by the send buffer.
        buffer_limited_us: u64 = 3,
        /// Segments with data sent, repeated ones too.
        data_segments_out: u64 = 4,
        /// Segments sent again.
        total_retransmits: u64 = 5,
        /// Bytes per second that are allowed to leave.
        pacing_rate: u64 = 6,
        /// Bytes per second that arrive.
        delivery_rate: u64 = 7,
        /// The congestion window, segments.
        send_window: u32 = 8,
        /// How far segments are out of order.
        reordering: u32 = 9,
        /// The shortest round trip.
        min_rtt_us: u32 = 10,
        /// Repetitions of the oldest segment.
        retransmits: u8 = 11,
        /// 1 if the application, and not the network, limits [`Self::delivery_rate`].
        delivery_rate_app_limited: u8 = 12,
        /// Bytes in the queue for sending.
        send_queue: u32 = 13,
        /// The state of the congestion control.
        congestion_state: u8 = 14,
        /// The threshold of slow start, segments.
        slow_start_threshold: u32 = 15,
        /// Segments that arrived.
        delivered: u32 = 16,
        /// Those of them that were marked as congested.
        delivered_ce: u32 = 17,
        /// Bytes sent, repeated ones too.
        bytes_sent: u64 = 18,
        /// Bytes sent again.
        bytes_retransmitted: u64 = 19,
        /// Duplicates that the peer told of.
        duplicates: u32 = 20,
        /// How often segments came out of order.
        reorderings_seen: u32 = 21,
        /// The smoothed round trip.
        rtt_us: u32 = 22,
        /// How often a time-out chose another path.
        timeout_rehash: u16 = 23,
        /// Bytes not sent yet.
        bytes_not_sent: u32 = 24,
        /// When the segment may leave, nanoseconds of `CLOCK_MONOTONIC`.
        earliest_departure_ns: u64 = 25,
        /// The hop limit of the packet that acknowledged.
        ttl: u8 = 26,
        /// How often another path was chosen.
        rehash: u32 = 27,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn encode(items: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, payload) in items {
            let len = u16::try_from(HEAD_BYTES + payload.len()).unwrap();
            bytes.extend_from_slice(&len.to_ne_bytes());
            bytes.extend_from_slice(&kind.to_ne_bytes());
            bytes.extend_from_slice(payload);
            bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        }
        bytes
    }

    #[test]
    fn figures_are_read_by_their_kinds_whatever_the_order() {
        let bytes = encode(&[
            (26, vec![64]),
            (7, 9u64.to_ne_bytes().to_vec()),
            (99, vec![1, 2, 3]),
            (23, 5u16.to_ne_bytes().to_vec()),
            (8, vec![1, 2, 3]),
        ]);
        let expected = TcpStats {
            ttl: Some(64),
            delivery_rate: Some(9),
            timeout_rehash: Some(5),
            ..TcpStats::default()
        };
        assert_eq!(TcpStats::of(Attributes::new(&bytes)), expected);
    }

    #[test]
    fn a_length_that_makes_no_sense_ends_the_walk() {
        for len in [0u16, 3, 9] {
            let mut bytes = encode(&[(1, vec![0; 4])]);
            bytes[..2].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(Attributes::new(&bytes).count(), 0, "{len}");
        }
    }

    proptest! {
        #[test]
        fn the_walk_of_any_bytes_ends(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let attributes = Attributes::new(&bytes);
            prop_assert!(attributes.count() <= bytes.len() / HEAD_BYTES + 1);
            let _stats = TcpStats::of(attributes);
        }

        #[test]
        fn what_is_written_is_found(
            items in proptest::collection::vec(
                (0u16..=KIND_MASK, proptest::collection::vec(any::<u8>(), 0..20)), 0..8,
            )
        ) {
            let bytes = encode(&items);
            let found: Vec<_> = Attributes::new(&bytes)
                .map(|found| (found.kind, found.bytes.to_vec()))
                .collect();
            prop_assert_eq!(found, items);
        }
    }
}
