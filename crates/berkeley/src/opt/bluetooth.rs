//! Options of Bluetooth: `SOL_BLUETOOTH`, `SOL_HCI`, `SOL_L2CAP`, `SOL_SCO` and `SOL_RFCOMM`;
//! BlueZ's l2cap(7), rfcomm(7), hci(7), sco(7) and iso(7), include/net/bluetooth.
//!
//! `BT_ISO_QOS` (`struct bt_iso_qos`, of which each kernel has a longer one) and `BT_CODEC` (a
//! list within a list) are bytes.

use super::codec::{Bits, Bytes, Code, Decode, Encode, Field, Flag, Plain, put};

options! {
    /// `BT_SECURITY`: how a connection is protected, and with how long a key.
    rw Security: SecurityConfig as Plain<SecurityConfig> = SOL_BLUETOOTH BT_SECURITY, "BT_SECURITY";
    /// `BT_DEFER_SETUP`: a connection is made only when it is first read, so that a listener can
    /// look at its peer before.
    rw DeferSetup: bool as Flag = SOL_BLUETOOTH BT_DEFER_SETUP, "BT_DEFER_SETUP";
    /// `BT_FLUSHABLE`: what is late may be thrown away.
    rw Flushable: bool as Flag = SOL_BLUETOOTH BT_FLUSHABLE, "BT_FLUSHABLE";
    /// `BT_POWER`: sending takes the connection out of power saving; on by default.
    rw ForceActive: bool as Switch = SOL_BLUETOOTH BT_POWER, "BT_POWER";
    /// `BT_CHANNEL_POLICY`: which radio a channel may use (gone since Linux 6.8).
    rw ChannelPolicy: ChannelPolicies as Code<ChannelPolicies>
        = SOL_BLUETOOTH BT_CHANNEL_POLICY, "BT_CHANNEL_POLICY";
    /// `BT_VOICE`: how the air carries audio; before connect.
    rw Voice: u16 as Plain<u16> = SOL_BLUETOOTH BT_VOICE, "BT_VOICE";
    /// `BT_SNDMTU`: the longest packet that the peer takes, bytes.
    rw SendMtu: u16 as Plain<u16> = SOL_BLUETOOTH BT_SNDMTU, "BT_SNDMTU";
    /// `BT_RCVMTU`: the longest packet that is taken here, bytes.
    rw RecvMtu: u16 as Plain<u16> = SOL_BLUETOOTH BT_RCVMTU, "BT_RCVMTU";
    /// `BT_PHY`: the kinds of packets that the connection may use, a bit for each (`BT_PHY_*`).
    rw Phy: u32 as Bits = SOL_BLUETOOTH BT_PHY, "BT_PHY";
    /// `BT_MODE`: how a channel of L2CAP makes itself reliable.
    rw Mode: ChannelMode as OctetCode = SOL_BLUETOOTH BT_MODE, "BT_MODE";
    /// `BT_PKT_STATUS`: messages of audio tell whether they arrived whole (Linux 5.9).
    rw PacketStatus: bool as Flag = SOL_BLUETOOTH BT_PKT_STATUS, "BT_PKT_STATUS";
    /// `BT_ISO_QOS`: how often, how long and how reliably an isochronous channel sends
    /// (`struct bt_iso_qos`), as bytes (Linux 6.0).
    rw IsoQos: Vec<u8> as Bytes<128> = SOL_BLUETOOTH BT_ISO_QOS, "BT_ISO_QOS";
    /// `BT_CODEC`: the codecs of the adapter, and the one to use (`struct bt_codecs`), as bytes
    /// (Linux 5.16).
    rw Codec: Vec<u8> as Bytes<512> = SOL_BLUETOOTH BT_CODEC, "BT_CODEC";
    /// `BT_ISO_BASE`: what a broadcaster announces of its channels, up to 248 bytes (Linux 6.0).
    rw IsoBase: Vec<u8> as Bytes<248> = SOL_BLUETOOTH BT_ISO_BASE, "BT_ISO_BASE";
    /// `BT_PKT_SEQNUM`: messages of an isochronous channel carry their number (Linux 6.13).
    rw PacketSequence: bool as Flag = SOL_BLUETOOTH BT_PKT_SEQNUM, "BT_PKT_SEQNUM";
    /// `HCI_DATA_DIR`: messages tell whether they came from the adapter or go to it:
    /// [`crate::Cmsg::hci_is_incoming`].
    rw HciDataDir: bool as Flag = SOL_HCI HCI_DATA_DIR, "HCI_DATA_DIR";
    /// `HCI_FILTER`: which packets and events a raw socket gets; none before it is set.
    rw HciFilter: PacketFilter as FilterBytes = SOL_HCI HCI_FILTER, "HCI_FILTER";
    /// `HCI_TIME_STAMP`: messages carry the time of their arrival ([`crate::Cmsg::Timestamp`]).
    rw HciTimeStamp: bool as Flag = SOL_HCI HCI_TIME_STAMP, "HCI_TIME_STAMP";
    /// `L2CAP_OPTIONS`: how a channel is set up; before connect or listen.
    rw L2capOptions: L2capConfig as L2capBytes = SOL_L2CAP L2CAP_OPTIONS, "L2CAP_OPTIONS";
    /// `L2CAP_CONNINFO`: the connection below a channel.
    r L2capConnection: ConnectionInfo as ConnectionBytes
        = SOL_L2CAP L2CAP_CONNINFO, "L2CAP_CONNINFO";
    /// `L2CAP_LM`: what the connection has to be; [`Security`] is the newer one.
    rw L2capLinkMode: LinkModes as Code<LinkModes> = SOL_L2CAP L2CAP_LM, "L2CAP_LM";
    /// `SCO_OPTIONS`: the longest packet of audio, bytes.
    r ScoMtu: u16 as Plain<u16> = SOL_SCO SCO_OPTIONS, "SCO_OPTIONS";
    /// `SCO_CONNINFO`: the connection below audio.
    r ScoConnection: ConnectionInfo as ConnectionBytes = SOL_SCO SCO_CONNINFO, "SCO_CONNINFO";
    /// `RFCOMM_CONNINFO`: the connection below a serial line.
    r RfcommConnection: ConnectionInfo as ConnectionBytes
        = SOL_RFCOMM RFCOMM_CONNINFO, "RFCOMM_CONNINFO";
    /// `RFCOMM_LM`: what the connection has to be; [`Security`] is the newer one.
    rw RfcommLinkMode: LinkModes as Code<LinkModes> = SOL_RFCOMM RFCOMM_LM, "RFCOMM_LM";
}

record! {
    /// How a connection is protected (`struct bt_security`).
    SecurityConfig 2 {
        /// One of the constants of this type.
        level: u8,
        /// Bytes of the key, 7 to 16; 0 when set leaves the choice.
        key_size: u8,
    }
}

impl SecurityConfig {
    /// For service discovery, without protection (`BT_SECURITY_SDP`).
    pub const SDP: u8 = 0;
    /// None is asked for (`BT_SECURITY_LOW`).
    pub const LOW: u8 = 1;
    /// Encrypted (`BT_SECURITY_MEDIUM`).
    pub const MEDIUM: u8 = 2;
    /// Encrypted, and the peer is known for certain (`BT_SECURITY_HIGH`).
    pub const HIGH: u8 = 3;
    /// The same with approved algorithms (`BT_SECURITY_FIPS`).
    pub const FIPS: u8 = 4;
}

impl Voice {
    /// The bytes pass unchanged (`BT_VOICE_TRANSPARENT`).
    pub const TRANSPARENT: u16 = 0x0003;
    /// Samples of 16 bits, CVSD on the air (`BT_VOICE_CVSD_16BIT`).
    pub const CVSD_16BIT: u16 = 0x0060;
    /// Samples of 16 bits that pass unchanged (`BT_VOICE_TRANSPARENT_16BIT`).
    pub const TRANSPARENT_16BIT: u16 = 0x0063;
}

codes! {
    /// Which radio a channel may use (`BT_CHANNEL_POLICY_*`).
    ChannelPolicies {
        /// The classic one only.
        BREDR_ONLY = 0;
        /// The classic one if possible.
        BREDR_PREFERRED = 1;
        /// The alternative one if possible.
        AMP_PREFERRED = 2;
    }
}

codes! {
    /// How a channel of L2CAP makes itself reliable (`BT_MODE_*`).
    ChannelMode {
        /// Not at all.
        BASIC = 0;
        /// Repeating what is lost.
        ERTM = 1;
        /// Numbered, not repeated.
        STREAMING = 2;
        /// By credits, Low Energy.
        LE_FLOWCTL = 3;
        /// By credits, extended.
        EXT_FLOWCTL = 4;
    }
}

codes! {
    /// What a connection has to be (`L2CAP_LM_*`, `RFCOMM_LM_*`), joined with `|`.
    LinkModes {
        /// Nothing in particular.
        NONE = 0;
        /// This side leads.
        MASTER = 0x01;
        /// The peer proves who it is.
        AUTH = 0x02;
        /// Encrypted.
        ENCRYPT = 0x04;
        /// The peer is trusted.
        TRUSTED = 0x08;
        /// What is lost ends the connection.
        RELIABLE = 0x10;
        /// Encrypted with a strong key.
        SECURE = 0x20;
    }
}

flags! { LinkModes }

/// One byte that is 0 or 1 (`struct bt_power`).
struct Switch;

impl Decode for Switch {
    type Value = bool;
    const BYTES: usize = 1;

    fn decode(bytes: &[u8]) -> Option<bool> {
        bytes.first().map(|byte| *byte != 0)
    }
}

impl Encode for Switch {
    type Value = bool;

    fn encode(value: bool) -> impl AsRef<[u8]> {
        [u8::from(value)]
    }
}

/// A code of one byte.
struct OctetCode;

impl Decode for OctetCode {
    type Value = ChannelMode;
    const BYTES: usize = 1;

    fn decode(bytes: &[u8]) -> Option<ChannelMode> {
        bytes
            .first()
            .map(|byte| ChannelMode::from_raw((*byte).into()))
    }
}

impl Encode for OctetCode {
    type Value = ChannelMode;

    fn encode(value: ChannelMode) -> impl AsRef<[u8]> {
        // A number that no byte holds is one that no kernel knows.
        [u8::try_from(value.raw()).unwrap_or(u8::MAX)]
    }
}

/// Which packets and events a raw socket of an adapter gets (`struct hci_filter`).
///
/// ```
/// use berkeley::opt::bluetooth::PacketFilter;
///
/// // Events (type 4) of one kind: "command complete" (14).
/// let filter = PacketFilter::NONE.with_packet(4).with_event(14);
/// assert!(filter.has_packet(4) && !filter.has_packet(2));
/// ```
#[doc(alias = "hci_filter")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PacketFilter {
    /// The types of packets, a bit for each.
    pub types: u32,
    /// The kinds of events, a bit for each.
    pub events: u64,
    /// The one command whose events come, 0 for all.
    pub opcode: u16,
}

impl PacketFilter {
    /// Nothing comes.
    pub const NONE: Self = Self {
        types: 0,
        events: 0,
        opcode: 0,
    };

    /// Everything comes.
    pub const ALL: Self = Self {
        types: u32::MAX,
        events: u64::MAX,
        opcode: 0,
    };

    /// Packets of this type come too (`HCI_COMMAND_PKT` 1, `HCI_ACLDATA_PKT` 2,
    /// `HCI_SCODATA_PKT` 3, `HCI_EVENT_PKT` 4, `HCI_VENDOR_PKT` 255, which shares bit 0).
    #[must_use]
    #[doc(alias = "hci_filter_set_ptype")]
    pub const fn with_packet(mut self, kind: u8) -> Self {
        self.types |= 1 << packet_bit(kind);
        self
    }

    /// Events of this kind come too.
    #[must_use]
    #[doc(alias = "hci_filter_set_event")]
    pub const fn with_event(mut self, kind: u8) -> Self {
        self.events |= 1 << (kind & EVENT_MASK);
        self
    }

    /// True if packets of this type come.
    #[must_use]
    #[doc(alias = "hci_filter_test_ptype")]
    pub const fn has_packet(self, kind: u8) -> bool {
        self.types >> packet_bit(kind) & 1 != 0
    }

    /// True if events of this kind come.
    #[must_use]
    #[doc(alias = "hci_filter_test_event")]
    pub const fn has_event(self, kind: u8) -> bool {
        self.events >> (kind & EVENT_MASK) & 1 != 0
    }
}

/// `HCI_FLT_TYPE_BITS`, `HCI_FLT_EVENT_BITS`.
const TYPE_MASK: u8 = 31;
const EVENT_MASK: u8 = 63;
const VENDOR_PACKET: u8 = 0xff;

const fn packet_bit(kind: u8) -> u8 {
    if kind == VENDOR_PACKET {
        0
    } else {
        kind & TYPE_MASK
    }
}

/// `struct hci_ufilter`: two words of events, the lower one first, and two bytes of padding.
struct FilterBytes;

const FILTER_BYTES: usize = 16;

impl Decode for FilterBytes {
    type Value = PacketFilter;
    const BYTES: usize = FILTER_BYTES;

    fn decode(mut bytes: &[u8]) -> Option<PacketFilter> {
        let bytes = &mut bytes;
        let types = u32::take(bytes)?;
        let (low, high) = (u32::take(bytes)?, u32::take(bytes)?);
        Some(PacketFilter {
            types,
            events: u64::from(high) << 32 | u64::from(low),
            opcode: <[u8; 2]>::take(bytes).map(u16::from_le_bytes)?,
        })
    }
}

impl Encode for FilterBytes {
    type Value = PacketFilter;

    fn encode(value: PacketFilter) -> impl AsRef<[u8]> {
        let [a, b, c, d, e, f, g, h] = value.events.to_le_bytes();
        let low = u32::from_le_bytes([a, b, c, d]);
        let high = u32::from_le_bytes([e, f, g, h]);
        let mut bytes = [0; FILTER_BYTES];
        put(&mut bytes, 0, &value.types.to_ne_bytes());
        put(&mut bytes, 4, &low.to_ne_bytes());
        put(&mut bytes, 8, &high.to_ne_bytes());
        put(&mut bytes, 12, &value.opcode.to_le_bytes());
        bytes
    }
}

/// How a channel of L2CAP is set up (`struct l2cap_options`).
#[doc(alias = "l2cap_options")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct L2capConfig {
    /// The longest packet that the peer takes, bytes.
    pub send_mtu: u16,
    /// The longest packet that is taken here, bytes.
    pub recv_mtu: u16,
    /// Milliseconds after which a packet is thrown away, 0xffff for never.
    pub flush_timeout_ms: u16,
    /// The mode: 0 basic, 3 with repetitions, 4 streaming (`L2CAP_MODE_*`).
    pub mode: u8,
    /// Whether packets have a checksum.
    pub checksum: u8,
    /// How often a packet is sent.
    pub transmissions_max: u8,
    /// Packets that may be on their way.
    pub window: u16,
}

/// `struct l2cap_options`, which has a byte of padding before its last field.
struct L2capBytes;

impl Decode for L2capBytes {
    type Value = L2capConfig;
    const BYTES: usize = 12;

    fn decode(mut bytes: &[u8]) -> Option<L2capConfig> {
        let bytes = &mut bytes;
        let (send_mtu, recv_mtu) = (u16::take(bytes)?, u16::take(bytes)?);
        let flush_timeout_ms = u16::take(bytes)?;
        let [mode, checksum, transmissions_max, _padding] = Field::take(bytes)?;
        Some(L2capConfig {
            send_mtu,
            recv_mtu,
            flush_timeout_ms,
            mode,
            checksum,
            transmissions_max,
            window: u16::take(bytes)?,
        })
    }
}

impl Encode for L2capBytes {
    type Value = L2capConfig;

    fn encode(value: L2capConfig) -> impl AsRef<[u8]> {
        let mut bytes = [0; <Self as Decode>::BYTES];
        put(&mut bytes, 0, &value.send_mtu.to_ne_bytes());
        put(&mut bytes, 2, &value.recv_mtu.to_ne_bytes());
        put(&mut bytes, 4, &value.flush_timeout_ms.to_ne_bytes());
        let octets = [value.mode, value.checksum, value.transmissions_max];
        put(&mut bytes, 6, &octets);
        put(&mut bytes, 10, &value.window.to_ne_bytes());
        bytes
    }
}

/// The connection below a socket (`struct l2cap_conninfo` and its kind).
#[doc(alias = "l2cap_conninfo")]
#[doc(alias = "rfcomm_conninfo")]
#[doc(alias = "sco_conninfo")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionInfo {
    /// The adapter's number for it.
    pub handle: u16,
    /// The peer's class.
    pub device_class: [u8; 3],
}

/// `struct l2cap_conninfo`, which ends with a byte of padding.
struct ConnectionBytes;

impl Decode for ConnectionBytes {
    type Value = ConnectionInfo;
    const BYTES: usize = 6;

    fn decode(mut bytes: &[u8]) -> Option<ConnectionInfo> {
        Some(ConnectionInfo {
            handle: u16::take(&mut bytes)?,
            device_class: Field::take(&mut bytes)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_filter_is_laid_out_as_in_bluez() {
        let filter = PacketFilter::NONE
            .with_packet(4)
            .with_packet(255)
            .with_event(14)
            .with_event(0x3e);
        let bytes = FilterBytes::encode(PacketFilter {
            opcode: 0x0c03,
            ..filter
        });
        let mut expected = Vec::new();
        for word in [0x11u32, 1 << 14, 1 << 30] {
            expected.extend_from_slice(&word.to_ne_bytes());
        }
        expected.extend_from_slice(&[0x03, 0x0c, 0, 0]);
        assert_eq!(bytes.as_ref(), expected);
        assert!(filter.has_event(0x3e) && !filter.has_event(15));
        assert!(filter.has_packet(255) && !filter.has_packet(1));
    }

    #[test]
    fn a_channels_set_up_is_laid_out_as_in_bluez() {
        let bytes = L2capBytes::encode(L2capConfig {
            send_mtu: 0x0102,
            recv_mtu: 0x0304,
            flush_timeout_ms: 0xffff,
            mode: 3,
            checksum: 1,
            transmissions_max: 9,
            window: 63,
        });
        let mut expected = Vec::new();
        for word in [0x0102u16, 0x0304, 0xffff] {
            expected.extend_from_slice(&word.to_ne_bytes());
        }
        expected.extend_from_slice(&[3, 1, 9, 0]);
        expected.extend_from_slice(&63u16.to_ne_bytes());
        assert_eq!(bytes.as_ref(), expected);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            types: u32, events: u64, opcode: u16,
            words: [u16; 4], octets: [u8; 3],
        ) {
            let filter = PacketFilter { types, events, opcode };
            let bytes = FilterBytes::encode(filter);
            prop_assert_eq!(FilterBytes::decode(bytes.as_ref()), Some(filter));
            let [send_mtu, recv_mtu, flush_timeout_ms, window] = words;
            let [mode, checksum, transmissions_max] = octets;
            let config = L2capConfig {
                send_mtu, recv_mtu, flush_timeout_ms, mode, checksum, transmissions_max, window,
            };
            let bytes = L2capBytes::encode(config);
            prop_assert_eq!(L2capBytes::decode(bytes.as_ref()), Some(config));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(FilterBytes::decode(&bytes).is_some(), bytes.len() >= 14);
            prop_assert_eq!(L2capBytes::decode(&bytes).is_some(), bytes.len() >= 12);
            prop_assert_eq!(ConnectionBytes::decode(&bytes).is_some(), bytes.len() >= 5);
            prop_assert_eq!(Switch::decode(&bytes).is_some(), !bytes.is_empty());
            prop_assert_eq!(OctetCode::decode(&bytes).is_some(), !bytes.is_empty());
        }
    }
}
