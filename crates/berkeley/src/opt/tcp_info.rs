//! `TCP_INFO`, decoded.

use core::time::Duration;

use super::codec::{Decode, Field};

codes! {
    /// Where a connection is in its life, RFC 9293 §3.3.2.
    TcpState {
        /// Both ends agreed to it.
        ESTABLISHED = 1;
        /// Connecting.
        SYN_SENT = 2;
        /// The peer is connecting.
        SYN_RECV = 3;
        /// Ended here, not yet acknowledged.
        FIN_WAIT1 = 4;
        /// Ended here, the peer goes on.
        FIN_WAIT2 = 5;
        /// Ended at both ends, kept for late segments.
        TIME_WAIT = 6;
        /// No connection.
        CLOSE = 7;
        /// Ended by the peer.
        CLOSE_WAIT = 8;
        /// Ended by the peer and here, not yet acknowledged.
        LAST_ACK = 9;
        /// Listening.
        LISTEN = 10;
        /// Both ends ended at once.
        CLOSING = 11;
        /// A connection that is being made on a listener's behalf.
        NEW_SYN_RECV = 12;
    }
}

/// Reads the fields one after the other; what the kernel did not write is `None`.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn next<T: Field>(&mut self) -> Option<T> {
        let field = T::take(&mut self.0);
        if field.is_none() {
            self.0 = &[];
        }
        field
    }

    fn micros(&mut self) -> Option<Duration> {
        self.next::<u32>()
            .map(|time| Duration::from_micros(time.into()))
    }

    fn millis(&mut self) -> Option<Duration> {
        self.next::<u32>()
            .map(|time| Duration::from_millis(time.into()))
    }

    fn long_micros(&mut self) -> Option<Duration> {
        self.next::<u64>().map(Duration::from_micros)
    }
}

/// Declares the struct and reads it in the kernel's order: `now` fields are there since Linux
/// 2.6, `later` ones only if the kernel wrote so much.
macro_rules! tcp_info {
    (
        now { $($(#[$now_doc:meta])* $now:ident: $now_type:ty = $now_read:ident,)* }
        later { $($(#[$doc:meta])* $field:ident: $type:ty = $read:ident,)* }
    ) => {
        /// How a connection is doing (`struct tcp_info`), tcp(7).
        ///
        /// What older kernels do not tell is `None` on them. Sizes are bytes, unless they are
        /// said to be segments.
        ///
        /// ```
        /// # use berkeley::{Family, Kind, Protocol, Socket, opt};
        /// # fn main() -> Result<(), berkeley::Error> {
        /// let socket = Socket::new(Family::INET, Kind::STREAM, Protocol::TCP)?;
        /// let info = socket.get(opt::tcp::Info)?;
        /// assert_eq!(info.state, opt::tcp::TcpState::CLOSE);
        /// # Ok(())
        /// # }
        /// ```
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct TcpInfo {
            /// Where the connection is in its life.
            pub state: TcpState,
            /// Where its congestion control is: 0 open, 1 disorder, 2 reduced, 3 recovery, 4 loss.
            pub congestion_state: u8,
            /// Repetitions of the oldest segment that is not acknowledged.
            pub retransmits: u8,
            /// Probes of a window or of a silent peer without an answer.
            pub probes: u8,
            /// How often the pause before a repetition has doubled.
            pub backoff: u8,
            /// What was agreed on: 1 timestamps, 2 selective acknowledgements, 4 window scaling,
            /// 8 ECN, 16 ECN seen, 32 data in the first segment, 64 microseconds.
            pub options: u8,
            /// The shift of the peer's window, RFC 7323.
            pub send_window_scale: u8,
            /// The shift of the own window.
            pub recv_window_scale: u8,
            /// True if the program, and not the network, limited [`TcpInfo::delivery_rate`].
            pub delivery_rate_app_limited: bool,
            /// Why a fast open failed: 0 unknown, 1 no cookie, 2 data not acknowledged, 3 repeated.
            pub fast_open_failure: u8,
            $($(#[$now_doc])* pub $now: $now_type,)*
            $($(#[$doc])* pub $field: Option<$type>,)*
        }

        /// `struct tcp_info`, as much of it as the kernel has.
        pub(super) struct InfoBytes;

        impl Decode for InfoBytes {
            type Value = TcpInfo;
            // More than any kernel has today: it answers how much it wrote.
            const BYTES: usize = 512;

            fn decode(bytes: &[u8]) -> Option<TcpInfo> {
                let mut fields = Fields(bytes);
                let [state, congestion_state, retransmits, probes, backoff, options, scales, bits] =
                    fields.next::<[u8; 8]>()?;
                // Bit fields begin at the low end on little-endian machines only.
                let (send_window_scale, recv_window_scale, app_limited, failure) =
                    if cfg!(target_endian = "little") {
                        (scales & 15, scales >> 4, bits & 1, bits >> 1 & 3)
                    } else {
                        (scales >> 4, scales & 15, bits >> 7, bits >> 5 & 3)
                    };
                Some(TcpInfo {
                    state: TcpState::from_raw(state.into()),
                    congestion_state,
                    retransmits,
                    probes,
                    backoff,
                    options,
                    send_window_scale,
                    recv_window_scale,
                    delivery_rate_app_limited: app_limited == 1,
                    fast_open_failure: failure,
                    $($now: fields.$now_read()?,)*
                    $($field: fields.$read(),)*
                })
            }
        }
    };
}

tcp_info! {
    now {
        /// The pause before a segment is repeated.
        rto: Duration = micros,
        /// How long an acknowledgement may wait for data.
        ato: Duration = micros,
        /// The largest segment that is sent.
        send_mss: u32 = next,
        /// The largest one that the peer seems to send.
        recv_mss: u32 = next,
        /// Segments sent and not acknowledged; on a listener, connections that wait.
        unacked: u32 = next,
        /// Segments that were acknowledged out of order; on a listener, its backlog.
        sacked: u32 = next,
        /// Segments that seem lost.
        lost: u32 = next,
        /// Segments sent again and not acknowledged.
        retrans: u32 = next,
        /// Not used any more.
        fackets: u32 = next,
        /// Since data was sent last.
        last_data_sent: Duration = millis,
        /// Not kept by Linux: zero.
        last_ack_sent: Duration = millis,
        /// Since data came last.
        last_data_recv: Duration = millis,
        /// Since an acknowledgement came last.
        last_ack_recv: Duration = millis,
        /// The largest packet of the path.
        path_mtu: u32 = next,
        /// The largest window that is offered for now.
        recv_ssthresh: u32 = next,
        /// The smoothed time of a round trip.
        rtt: Duration = micros,
        /// How far it varies.
        rtt_variance: Duration = micros,
        /// The slow start threshold, segments.
        send_ssthresh: u32 = next,
        /// The congestion window, segments.
        send_cwnd: u32 = next,
        /// The largest segment that was offered to the peer.
        advertised_mss: u32 = next,
        /// How many segments may overtake one before it counts as lost.
        reordering: u32 = next,
    }
    later {
        /// The receiver's estimate of a round trip.
        recv_rtt: Duration = micros,
        /// The receive buffer that the program keeps up with.
        recv_space: u32 = next,
        /// Segments sent again, over the whole life.
        total_retrans: u32 = next,
        /// Bytes per second that are sent at most now; all ones without limit.
        pacing_rate: u64 = next,
        /// The limit of that, [`crate::opt::MaxPacingRate`].
        max_pacing_rate: u64 = next,
        /// Bytes that the peer acknowledged (RFC 4898).
        bytes_acked: u64 = next,
        /// Bytes that came (RFC 4898).
        bytes_received: u64 = next,
        /// Segments sent (RFC 4898).
        segments_out: u32 = next,
        /// Segments that came (RFC 4898).
        segments_in: u32 = next,
        /// Bytes that wait to be sent.
        not_sent: u32 = next,
        /// The shortest round trip seen.
        min_rtt: Duration = micros,
        /// Segments with data that came.
        data_segments_in: u32 = next,
        /// Segments with data that were sent.
        data_segments_out: u32 = next,
        /// Bytes per second that arrived at the peer lately.
        delivery_rate: u64 = next,
        /// How long there was something to send.
        busy_time: Duration = long_micros,
        /// How much of that the peer's window was the limit.
        recv_window_limited: Duration = long_micros,
        /// How much of that the send buffer was the limit.
        send_buffer_limited: Duration = long_micros,
        /// Segments that arrived at the peer.
        delivered: u32 = next,
        /// Segments that arrived marked by ECN.
        delivered_ce: u32 = next,
        /// Bytes sent, those sent again too (RFC 4898).
        bytes_sent: u64 = next,
        /// Bytes sent again (RFC 4898).
        bytes_retransmitted: u64 = next,
        /// Duplicates that the peer told of (RFC 4898).
        dsack_duplicates: u32 = next,
        /// How often segments overtook each other.
        reorder_seen: u32 = next,
        /// Segments that came out of order.
        recv_out_of_order: u32 = next,
        /// The peer's window (Linux 5.4).
        send_window: u32 = next,
        /// The own window (Linux 6.2).
        recv_window: u32 = next,
        /// How often another path was tried (Linux 6.2).
        rehash: u32 = next,
        /// Timeouts of repetition (Linux 6.7).
        total_rto: u16 = next,
        /// Recoveries from them.
        total_rto_recoveries: u16 = next,
        /// Time spent in them, milliseconds.
        total_rto_time: Duration = millis,
        /// Segments that came marked by ECN (Linux 6.18, accurate ECN, with all that follows).
        received_ce: u32 = next,
        /// Bytes that arrived with ECT(1).
        delivered_e1_bytes: u32 = next,
        /// Bytes that arrived with ECT(0).
        delivered_e0_bytes: u32 = next,
        /// Bytes that arrived marked.
        delivered_ce_bytes: u32 = next,
        /// Bytes that came with ECT(1).
        received_e1_bytes: u32 = next,
        /// Bytes that came with ECT(0).
        received_e0_bytes: u32 = next,
        /// Bytes that came marked.
        received_ce_bytes: u32 = next,
        /// How accurate ECN was agreed on: bits whose meaning differs between kernels.
        accurate_ecn: u32 = next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_kernel_does_not_write_is_none() {
        let mut bytes = [0_u8; 280];
        for (number, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from(number % 251).unwrap();
        }
        let whole = InfoBytes::decode(&bytes).unwrap();
        assert_eq!(whole.rto.as_micros(), 0x0b0a_0908);
        assert!(whole.accurate_ecn.is_some());
        // The offsets of `struct tcp_info` as the C compiler has them.
        let at = |offset: usize| u32::from_ne_bytes(*bytes[offset..].first_chunk().unwrap());
        assert_eq!(whole.reordering, at(88));
        assert_eq!(whole.total_retrans, Some(at(100)));
        assert_eq!(whole.segments_out, Some(at(136)));
        assert_eq!(whole.delivered, Some(at(192)));
        assert_eq!(whole.send_window, Some(at(228)));
        assert_eq!(whole.received_ce, Some(at(248)));
        for len in [92, 104, 192, 232, 240, 248] {
            let part = InfoBytes::decode(&bytes[..len]).unwrap();
            assert_eq!(part.rtt, whole.rtt);
            assert_eq!(part.accurate_ecn, None, "{len}");
            assert_eq!(part.recv_rtt.is_some(), len > 92, "{len}");
            assert_eq!(part.bytes_acked.is_some(), len > 104, "{len}");
        }
        assert_eq!(InfoBytes::decode(&bytes[..91]), None);
    }
}
