//! Options of CAN: raw sockets, ISO-TP and J1939, `linux/can/raw.h`, `linux/can/isotp.h`,
//! `linux/can/j1939.h` and Documentation/networking/can.rst.

use core::time::Duration;

use super::codec::{Bits, Decode, Encode, Field, Flag, List, Number, Plain, put};

options! {
    /// `CAN_RAW_FILTER`: which frames come: those that one of the filters matches; none with an
    /// empty list.
    rw RawFilter: Vec<Filter> as List<Filter, { Filter::COUNT_MAX }, 64>
        = SOL_CAN_RAW CAN_RAW_FILTER, "CAN_RAW_FILTER";
    /// `CAN_RAW_ERR_FILTER`: which errors of the bus come as frames: the bits of
    /// [`crate::can::ErrorClass`].
    rw RawErrorFilter: u32 as Bits = SOL_CAN_RAW CAN_RAW_ERR_FILTER, "CAN_RAW_ERR_FILTER";
    /// `CAN_RAW_LOOPBACK`: other sockets of this machine get what is sent; on by default.
    rw RawLoopback: bool as Flag = SOL_CAN_RAW CAN_RAW_LOOPBACK, "CAN_RAW_LOOPBACK";
    /// `CAN_RAW_RECV_OWN_MSGS`: this one does too.
    rw RawRecvOwn: bool as Flag = SOL_CAN_RAW CAN_RAW_RECV_OWN_MSGS, "CAN_RAW_RECV_OWN_MSGS";
    /// `CAN_RAW_FD_FRAMES`: frames of CAN FD too.
    rw RawFdFrames: bool as Flag = SOL_CAN_RAW CAN_RAW_FD_FRAMES, "CAN_RAW_FD_FRAMES";
    /// `CAN_RAW_JOIN_FILTERS`: a frame comes if all filters match it.
    rw RawJoinFilters: bool as Flag = SOL_CAN_RAW CAN_RAW_JOIN_FILTERS, "CAN_RAW_JOIN_FILTERS";
    /// `CAN_RAW_XL_FRAMES`: frames of CAN XL too (Linux 6.2).
    rw RawXlFrames: bool as Flag = SOL_CAN_RAW CAN_RAW_XL_FRAMES, "CAN_RAW_XL_FRAMES";
    /// `CAN_RAW_XL_VCID_OPTS`: virtual networks of CAN XL (Linux 6.9).
    rw RawXlVcid: VcidOptions as Plain<VcidOptions>
        = SOL_CAN_RAW CAN_RAW_XL_VCID_OPTS, "CAN_RAW_XL_VCID_OPTS";
    /// `CAN_ISOTP_OPTS`: how ISO-TP behaves; before bind.
    rw IsotpOptions: IsotpConfig as Plain<IsotpConfig>
        = SOL_CAN_ISOTP CAN_ISOTP_OPTS, "CAN_ISOTP_OPTS";
    /// `CAN_ISOTP_RECV_FC`: what the flow control of a receiver asks for.
    rw IsotpFlowControl: IsotpFlow as Plain<IsotpFlow>
        = SOL_CAN_ISOTP CAN_ISOTP_RECV_FC, "CAN_ISOTP_RECV_FC";
    /// `CAN_ISOTP_TX_STMIN`: the pause between sent frames, whatever the peer asks for,
    /// nanoseconds.
    rw IsotpTxPause: Duration as Nanos = SOL_CAN_ISOTP CAN_ISOTP_TX_STMIN, "CAN_ISOTP_TX_STMIN";
    /// `CAN_ISOTP_RX_STMIN`: frames that come faster are left out, nanoseconds.
    rw IsotpRxPause: Duration as Nanos = SOL_CAN_ISOTP CAN_ISOTP_RX_STMIN, "CAN_ISOTP_RX_STMIN";
    /// `CAN_ISOTP_LL_OPTS`: the form of the frames.
    rw IsotpLinkLayer: IsotpLink as Plain<IsotpLink>
        = SOL_CAN_ISOTP CAN_ISOTP_LL_OPTS, "CAN_ISOTP_LL_OPTS";
    /// `SO_J1939_FILTER`: which messages of J1939 come; all with an empty list. At most
    /// [`J1939Filter::COUNT_MAX`]: more are `EINVAL`.
    w J1939Filters: Vec<J1939Filter> as List<J1939Filter, { J1939Filter::COUNT_MAX }>
        = SOL_CAN_J1939 SO_J1939_FILTER, "SO_J1939_FILTER";
    /// `SO_J1939_PROMISC`: messages to others come too.
    rw J1939Promiscuous: bool as Flag = SOL_CAN_J1939 SO_J1939_PROMISC, "SO_J1939_PROMISC";
    /// `SO_J1939_SEND_PRIO`: the priority of what is sent, 0 (highest) to 7; 0 and 1 need
    /// `CAP_NET_ADMIN`.
    rw J1939Priority: core::ffi::c_int as Number
        = SOL_CAN_J1939 SO_J1939_SEND_PRIO, "SO_J1939_SEND_PRIO";
    /// `SO_J1939_ERRQUEUE`: the error queue tells what became of what was sent.
    rw J1939ErrorQueue: bool as Flag = SOL_CAN_J1939 SO_J1939_ERRQUEUE, "SO_J1939_ERRQUEUE";
}

record! {
    /// Matches a frame if its number and this one are the same under the mask
    /// (`struct can_filter`).
    Filter 8 {
        /// The frame's number; with bit 29 (`CAN_INV_FILTER`), all but those.
        id: u32,
        /// Which bits count.
        mask: u32,
    }
}

record! {
    /// Virtual networks (`struct can_raw_vcid_options`).
    VcidOptions 4 {
        /// 1: set it when sending, 2: pass it when sending, 4: filter when receiving.
        flags: u8,
        /// The one to be set.
        tx_vcid: u8,
        /// The one to be received.
        rx_vcid: u8,
        /// Which bits of it count.
        rx_mask: u8,
    }
}

record! {
    /// How ISO-TP behaves (`struct can_isotp_options`).
    IsotpConfig 12 {
        /// The constants of this type, joined with `|`.
        flags: u32,
        /// The time that sending a frame takes, nanoseconds; 0 for the default, `u32::MAX`
        /// (`CAN_ISOTP_FRAME_TXTIME_ZERO`) for none.
        frame_time_ns: u32,
        /// The extended address.
        extended_address: u8,
        /// What fills sent frames up.
        tx_padding: u8,
        /// What fills received frames up.
        rx_padding: u8,
        /// The extended address of what is received.
        rx_extended_address: u8,
    }
}

record! {
    /// Flow control of a receiver (`struct can_isotp_fc_options`).
    IsotpFlow 3 {
        /// Frames between two of these; 0 for no more than one.
        block_size: u8,
        /// The pause between frames: milliseconds up to 0x7f, 0xf1 to 0xf9 for 100 to 900 us.
        pause: u8,
        /// How often the peer may ask to wait.
        waits_max: u8,
    }
}

record! {
    /// The form of frames (`struct can_isotp_ll_options`).
    IsotpLink 3 {
        /// Bytes of a frame of the kernel: 16 for CAN, 72 for CAN FD.
        mtu: u8,
        /// Bytes of data in it: 8, or up to 64 with CAN FD.
        data_length: u8,
        /// Flags of CAN FD.
        flags: u8,
    }
}

impl Filter {
    /// How many a socket may have (`CAN_RAW_FILTER_MAX`).
    pub const COUNT_MAX: usize = 512;
    /// A bit of [`Self::id`]: all frames but those (`CAN_INV_FILTER`).
    pub const INVERTED: u32 = 0x2000_0000;
}

impl J1939Filter {
    /// How many a socket may have (`J1939_FILTER_MAX`).
    #[doc(alias = "J1939_FILTER_MAX")]
    pub const COUNT_MAX: usize = 512;
}

impl IsotpConfig {
    /// Listens only: sends no flow control (`CAN_ISOTP_LISTEN_MODE`).
    pub const LISTEN_MODE: u32 = 0x0001;
    /// Frames begin with [`Self::extended_address`] (`CAN_ISOTP_EXTEND_ADDR`).
    pub const EXTENDED_ADDRESS: u32 = 0x0002;
    /// Sent frames are filled up (`CAN_ISOTP_TX_PADDING`).
    pub const TX_PADDING: u32 = 0x0004;
    /// Received frames are filled up (`CAN_ISOTP_RX_PADDING`).
    pub const RX_PADDING: u32 = 0x0008;
    /// The length of the filling is checked (`CAN_ISOTP_CHK_PAD_LEN`).
    pub const CHECK_PADDING_LENGTH: u32 = 0x0010;
    /// The filling itself is checked (`CAN_ISOTP_CHK_PAD_DATA`).
    pub const CHECK_PADDING_DATA: u32 = 0x0020;
    /// One direction at a time (`CAN_ISOTP_HALF_DUPLEX`).
    pub const HALF_DUPLEX: u32 = 0x0040;
    /// The peer's pause between frames is ignored (`CAN_ISOTP_FORCE_TXSTMIN`).
    pub const FORCE_TX_PAUSE: u32 = 0x0080;
    /// Frames that come faster than this side's pause are left out (`CAN_ISOTP_FORCE_RXSTMIN`).
    pub const FORCE_RX_PAUSE: u32 = 0x0100;
    /// Received frames have an extended address of their own (`CAN_ISOTP_RX_EXT_ADDR`).
    pub const RX_EXTENDED_ADDRESS: u32 = 0x0200;
    /// Sending waits until all has left (`CAN_ISOTP_WAIT_TX_DONE`).
    pub const WAIT_TX_DONE: u32 = 0x0400;
    /// Single frames to many (`CAN_ISOTP_SF_BROADCAST`).
    pub const SINGLE_BROADCAST: u32 = 0x0800;
    /// Several frames to many, without flow control (`CAN_ISOTP_CF_BROADCAST`).
    pub const CONSECUTIVE_BROADCAST: u32 = 0x1000;
    /// What flow control asks for may change while a message comes (`CAN_ISOTP_DYN_FC_PARMS`,
    /// Linux 6.5).
    pub const DYNAMIC_FLOW_CONTROL: u32 = 0x2000;
}

/// Matches messages by sender and kind (`struct j1939_filter`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct J1939Filter {
    /// The sender's name.
    pub name: u64,
    /// Which bits of it count.
    pub name_mask: u64,
    /// The kind of message.
    pub pgn: u32,
    /// Which bits of it count.
    pub pgn_mask: u32,
    /// The sender's address.
    pub addr: u8,
    /// Which bits of it count.
    pub addr_mask: u8,
}

impl Field for J1939Filter {
    // Six bytes of padding are behind the last field.
    const BYTES: usize = 32;

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (mut record, rest) = bytes.split_at_checked(Self::BYTES)?;
        *bytes = rest;
        let record = &mut record;
        Some(Self {
            name: u64::take(record)?,
            name_mask: u64::take(record)?,
            pgn: u32::take(record)?,
            pgn_mask: u32::take(record)?,
            addr: u8::take(record)?,
            addr_mask: u8::take(record)?,
        })
    }

    fn put(&self, place: &mut [u8]) {
        put(place, 0, &self.name.to_ne_bytes());
        put(place, 8, &self.name_mask.to_ne_bytes());
        put(place, 16, &self.pgn.to_ne_bytes());
        put(place, 20, &self.pgn_mask.to_ne_bytes());
        put(place, 24, &[self.addr, self.addr_mask]);
    }
}

const _: () = {
    assert!(size_of::<libc::can_filter>() == 8);
    assert!(size_of::<libc::j1939_filter>() == J1939Filter::BYTES);
};

/// Nanoseconds in 32 bits: at most about four seconds.
struct Nanos;

impl Decode for Nanos {
    type Value = Duration;
    const BYTES: usize = 4;

    fn decode(mut bytes: &[u8]) -> Option<Duration> {
        u32::take(&mut bytes).map(|nanos| Duration::from_nanos(nanos.into()))
    }
}

impl Encode for Nanos {
    type Value = Duration;

    fn encode(value: Duration) -> impl AsRef<[u8]> {
        u32::try_from(value.as_nanos())
            .unwrap_or(u32::MAX)
            .to_ne_bytes()
    }
}
