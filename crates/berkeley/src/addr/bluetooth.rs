//! Addresses of Bluetooth, one form for each protocol.

use core::fmt;
use core::str::FromStr;

use super::raw::{AddrBuf, field, u16_at};
use super::text::{Fields, hex_bytes};
use crate::error::{Error, Result};
use crate::kinds::Family;

// The structures of BlueZ's headers, which libc lacks: sockaddr_hci, sockaddr_sco, sockaddr_rc
// and sockaddr_l2. No two have one length, and the kernel answers the whole structure, so the
// length tells the form.
const HCI_BYTES: usize = 6;
const SCO_BYTES: usize = 8;
const RFCOMM_BYTES: usize = 10;
const L2CAP_BYTES: usize = 14;

const DEVICE_BYTES: usize = 6;
/// Letters of a device's address: `00:11:22:33:44:55`.
const DEVICE_LETTERS: usize = 17;

/// A Bluetooth device's address, `00:11:22:33:44:55`.
///
/// # References
/// The Bluetooth Core Specification's `BD_ADDR`; `bdaddr_t` of BlueZ's `bluetooth.h`.
#[doc(alias = "bdaddr_t")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct DeviceAddr([u8; DEVICE_BYTES]);

impl DeviceAddr {
    /// `BDADDR_ANY`: any adapter of this machine, for binding.
    pub const ANY: Self = Self([0; DEVICE_BYTES]);
    /// `BDADDR_LOCAL`: this machine.
    pub const LOCAL: Self = Self([0, 0, 0, 0xff, 0xff, 0xff]);

    /// From bytes in the order in which people write them.
    #[must_use]
    pub const fn new(bytes: [u8; DEVICE_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes in the order in which people write them.
    #[must_use]
    pub const fn octets(self) -> [u8; DEVICE_BYTES] {
        self.0
    }

    /// The kernel's order, which is the other way round.
    fn to_wire(self) -> [u8; DEVICE_BYTES] {
        let mut bytes = self.0;
        bytes.reverse();
        bytes
    }

    fn from_wire(mut bytes: [u8; DEVICE_BYTES]) -> Self {
        bytes.reverse();
        Self(bytes)
    }
}

impl fmt::Display for DeviceAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}")
    }
}

impl FromStr for DeviceAddr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut bytes = [0; DEVICE_BYTES];
        match hex_bytes(text, ":", &mut bytes) {
            Some(DEVICE_BYTES) => Ok(Self(bytes)),
            _ => Err(Error::Invalid(format!(
                "{text:?} is no Bluetooth address, as 00:11:22:33:44:55"
            ))),
        }
    }
}

/// The address of a Bluetooth socket.
///
/// As text: `l2cap:DEVICE:PSM:CID:TYPE`, `rfcomm:DEVICE:CHANNEL`, `hci:ADAPTER:CHANNEL`,
/// `sco:DEVICE`.
///
/// ```
/// use berkeley::{Addr, BluetoothAddr, DeviceAddr};
///
/// let device: DeviceAddr = "00:11:22:33:44:55".parse().unwrap();
/// let addr = BluetoothAddr::Rfcomm { device, channel: 3 };
/// assert_eq!(addr.to_string(), "rfcomm:00:11:22:33:44:55:3");
/// assert_eq!(addr.to_string().parse::<Addr>().unwrap(), addr.into());
/// ```
///
/// # References
/// BlueZ's l2cap(7), rfcomm(7), hci(7), sco(7); the kernel's include/net/bluetooth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum BluetoothAddr {
    /// `struct sockaddr_hci`.
    Hci {
        /// The adapter's number, or [`BluetoothAddr::HCI_NO_ADAPTER`].
        adapter: u16,
        /// [`BluetoothAddr::HCI_CHANNEL_RAW`] or another one.
        channel: u16,
    },
    /// `struct sockaddr_l2`.
    L2cap {
        /// The device.
        device: DeviceAddr,
        /// The protocol's port, 0 for none.
        psm: u16,
        /// The fixed channel, 0 for none.
        cid: u16,
        /// Classic (0), Low Energy public (1) or random (2).
        device_type: u8,
    },
    /// `struct sockaddr_rc`.
    Rfcomm {
        /// The device.
        device: DeviceAddr,
        /// The channel, 1 to 30; 0 for a free one.
        channel: u8,
    },
    /// `struct sockaddr_sco`.
    Sco {
        /// The device.
        device: DeviceAddr,
    },
}

impl BluetoothAddr {
    /// `HCI_DEV_NONE`: no adapter.
    pub const HCI_NO_ADAPTER: u16 = 0xffff;
    /// `HCI_CHANNEL_RAW`: packets as the adapter sees them.
    pub const HCI_CHANNEL_RAW: u16 = 0;
    /// `HCI_CHANNEL_USER`: the adapter for this program alone.
    pub const HCI_CHANNEL_USER: u16 = 1;
    /// `HCI_CHANNEL_MONITOR`: a copy of all packets.
    pub const HCI_CHANNEL_MONITOR: u16 = 2;
    /// `HCI_CHANNEL_CONTROL`: management.
    pub const HCI_CHANNEL_CONTROL: u16 = 3;
    /// `HCI_CHANNEL_LOGGING`: messages for those who monitor.
    pub const HCI_CHANNEL_LOGGING: u16 = 4;
    /// `BDADDR_BREDR`: a classic device.
    pub const DEVICE_CLASSIC: u8 = 0;
    /// `BDADDR_LE_PUBLIC`: Low Energy, public address.
    pub const DEVICE_LE_PUBLIC: u8 = 1;
    /// `BDADDR_LE_RANDOM`: Low Energy, random address.
    pub const DEVICE_LE_RANDOM: u8 = 2;

    pub(super) fn encode(&self, raw: &mut AddrBuf) {
        match self {
            Self::Hci { adapter, channel } => {
                raw.begin(Family::BLUETOOTH, HCI_BYTES);
                raw.put(2, &adapter.to_ne_bytes());
                raw.put(4, &channel.to_ne_bytes());
            }
            Self::L2cap {
                device,
                psm,
                cid,
                device_type,
            } => {
                raw.begin(Family::BLUETOOTH, L2CAP_BYTES);
                raw.put(2, &psm.to_le_bytes());
                raw.put(4, &device.to_wire());
                raw.put(10, &cid.to_le_bytes());
                raw.put(12, &[*device_type]);
            }
            Self::Rfcomm { device, channel } => {
                raw.begin(Family::BLUETOOTH, RFCOMM_BYTES);
                raw.put(2, &device.to_wire());
                raw.put(8, &[*channel]);
            }
            Self::Sco { device } => {
                raw.begin(Family::BLUETOOTH, SCO_BYTES);
                raw.put(2, &device.to_wire());
            }
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let device = |at| field(bytes, at).map(DeviceAddr::from_wire);
        Some(match bytes.len() {
            HCI_BYTES => Self::Hci {
                adapter: u16_at(bytes, 2)?,
                channel: u16_at(bytes, 4)?,
            },
            SCO_BYTES => Self::Sco { device: device(2)? },
            RFCOMM_BYTES => Self::Rfcomm {
                device: device(2)?,
                channel: *bytes.get(8)?,
            },
            L2CAP_BYTES => Self::L2cap {
                device: device(4)?,
                psm: u16::from_le_bytes(field(bytes, 2)?),
                cid: u16::from_le_bytes(field(bytes, 10)?),
                device_type: *bytes.get(12)?,
            },
            _ => return None,
        })
    }

    pub(super) fn parse(text: &str) -> Option<Result<Self>> {
        if let Some(fields) = Fields::of(text, "hci") {
            return Some(parse_hci(fields));
        }
        if let Some(rest) = text.strip_prefix("l2cap:") {
            return Some(parse_l2cap(text, rest));
        }
        if let Some(rest) = text.strip_prefix("rfcomm:") {
            return Some(parse_rfcomm(text, rest));
        }
        let device = text.strip_prefix("sco:")?;
        Some(device.parse().map(|device| Self::Sco { device }))
    }
}

fn parse_hci(mut fields: Fields<'_>) -> Result<BluetoothAddr> {
    let adapter = fields.number("adapter")?;
    let channel = fields.number_or_zero("channel")?;
    fields.end()?;
    Ok(BluetoothAddr::Hci { adapter, channel })
}

/// A device's address holds colons itself, so it is cut off by its length.
fn split_device<'a>(text: &str, rest: &'a str) -> Result<(DeviceAddr, Fields<'a>)> {
    let missing = || {
        Error::Invalid(format!(
            "{text:?} is no address: it names no device and channel, as 00:11:22:33:44:55:1"
        ))
    };
    let (device, fields) = rest.split_at_checked(DEVICE_LETTERS).ok_or_else(missing)?;
    let fields = Fields::of(fields, "").ok_or_else(missing)?;
    Ok((device.parse()?, fields))
}

fn parse_l2cap(text: &str, rest: &str) -> Result<BluetoothAddr> {
    let (device, mut fields) = split_device(text, rest)?;
    let psm = fields.number("psm")?;
    let cid = fields.number_or_zero("cid")?;
    let device_type = fields.number_or_zero("type")?;
    fields.end()?;
    Ok(BluetoothAddr::L2cap {
        device,
        psm,
        cid,
        device_type,
    })
}

fn parse_rfcomm(text: &str, rest: &str) -> Result<BluetoothAddr> {
    let (device, mut fields) = split_device(text, rest)?;
    let channel = fields.number("channel")?;
    fields.end()?;
    Ok(BluetoothAddr::Rfcomm { device, channel })
}

impl fmt::Display for BluetoothAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hci { adapter, channel } => write!(f, "hci:{adapter}:{channel}"),
            Self::L2cap {
                device,
                psm,
                cid,
                device_type,
            } => write!(f, "l2cap:{device}:{psm}:{cid}:{device_type}"),
            Self::Rfcomm { device, channel } => write!(f, "rfcomm:{device}:{channel}"),
            Self::Sco { device } => write!(f, "sco:{device}"),
        }
    }
}
