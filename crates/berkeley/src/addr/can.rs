//! Controller area networks: the addresses of RAW, BCM, ISO-TP and J1939 sockets.

use core::fmt;
use core::mem::{offset_of, size_of};

use super::raw::{AddrBuf, field, u32_at};
use super::text::Fields;
use crate::error::Result;
use crate::kinds::Family;

// The shortest length that the kernel takes for each protocol (since Linux 5.4), and what it
// answers (since Linux 5.12), so that the length tells the form.
const RAW_BYTES: usize = 8;
const ISOTP_BYTES: usize = 16;
const J1939_BYTES: usize = 24;

const _: () = {
    assert!(offset_of!(libc::sockaddr_can, can_ifindex) == 4);
    assert!(offset_of!(libc::sockaddr_can, can_addr) == RAW_BYTES);
    assert!(size_of::<libc::sockaddr_can>() == J1939_BYTES);
};

/// The address of a CAN socket. In each form interface 0 stands for every one.
///
/// As text: `can:INTERFACE`, `isotp:INTERFACE:RX:TX`, `j1939:INTERFACE:NAME:PGN:ADDR`.
///
/// ```
/// use berkeley::{Addr, CanAddr};
///
/// let addr = CanAddr::Isotp { interface: 4, rx: 0x7e8, tx: 0x7e0 };
/// assert_eq!(addr.to_string(), "isotp:4:0x7e8:0x7e0");
/// assert_eq!("isotp:4:0x7e8:0x7e0".parse::<Addr>().unwrap(), addr.into());
/// ```
///
/// # References
/// The kernel's Documentation/networking/can.rst and j1939.rst, `struct sockaddr_can`.
#[doc(alias = "sockaddr_can")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CanAddr {
    /// For [`crate::Protocol::CAN_ISOTP`].
    Isotp {
        /// The interface's number.
        interface: u32,
        /// The identifier that is received, with [`CanAddr::EFF_FLAG`] if it has 29 bits.
        rx: u32,
        /// The identifier that is sent.
        tx: u32,
    },
    /// For [`crate::Protocol::CAN_J1939`].
    J1939 {
        /// The interface's number.
        interface: u32,
        /// The device's 64-bit name, or [`CanAddr::J1939_NO_NAME`].
        name: u64,
        /// The parameter group's number, or [`CanAddr::J1939_NO_PGN`].
        pgn: u32,
        /// The address on the bus, or [`CanAddr::J1939_NO_ADDR`].
        addr: u8,
    },
    /// For [`crate::Protocol::CAN_RAW`] and [`crate::Protocol::CAN_BCM`].
    Raw {
        /// The interface's number.
        interface: u32,
    },
}

impl CanAddr {
    /// `CAN_EFF_FLAG`: the identifier has 29 bits instead of 11.
    pub const EFF_FLAG: u32 = 0x8000_0000;
    /// `CAN_RTR_FLAG`: the frame asks for one.
    pub const RTR_FLAG: u32 = 0x4000_0000;
    /// `CAN_ERR_FLAG`: the frame tells of an error.
    pub const ERR_FLAG: u32 = 0x2000_0000;
    /// `CAN_SFF_MASK`: the bits of a short identifier.
    pub const SFF_MASK: u32 = 0x7ff;
    /// `CAN_EFF_MASK`: the bits of a long identifier.
    pub const EFF_MASK: u32 = 0x1fff_ffff;
    /// `CAN_ERR_MASK`: the bits of an error's classes.
    pub const ERR_MASK: u32 = 0x1fff_ffff;
    /// `J1939_MAX_UNICAST_ADDR`.
    pub const J1939_MAX_UNICAST_ADDR: u8 = 0xfd;
    /// `J1939_IDLE_ADDR`: no address was claimed.
    pub const J1939_IDLE_ADDR: u8 = 0xfe;
    /// `J1939_NO_ADDR`: none; as a destination, everybody.
    pub const J1939_NO_ADDR: u8 = 0xff;
    /// `J1939_NO_NAME`: none.
    pub const J1939_NO_NAME: u64 = 0;
    /// `J1939_PGN_REQUEST`.
    pub const J1939_PGN_REQUEST: u32 = 0xea00;
    /// `J1939_PGN_ADDRESS_CLAIMED`.
    pub const J1939_PGN_ADDRESS_CLAIMED: u32 = 0xee00;
    /// `J1939_PGN_ADDRESS_COMMANDED`.
    pub const J1939_PGN_ADDRESS_COMMANDED: u32 = 0xfed8;
    /// `J1939_PGN_PDU1_MAX`.
    pub const J1939_PGN_PDU1_MAX: u32 = 0x3_ff00;
    /// `J1939_PGN_MAX`.
    pub const J1939_PGN_MAX: u32 = 0x3_ffff;
    /// `J1939_NO_PGN`: none.
    pub const J1939_NO_PGN: u32 = 0x4_0000;

    /// The interface's number.
    #[must_use]
    pub const fn interface(&self) -> u32 {
        match self {
            Self::Raw { interface }
            | Self::Isotp { interface, .. }
            | Self::J1939 { interface, .. } => *interface,
        }
    }

    pub(super) fn encode(&self, raw: &mut AddrBuf) {
        let len = match self {
            Self::Raw { .. } => RAW_BYTES,
            Self::Isotp { .. } => ISOTP_BYTES,
            Self::J1939 { .. } => J1939_BYTES,
        };
        raw.begin(Family::CAN, len);
        raw.put(4, &self.interface().to_ne_bytes());
        match self {
            Self::Raw { .. } => {}
            Self::Isotp { rx, tx, .. } => {
                raw.put(8, &rx.to_ne_bytes());
                raw.put(12, &tx.to_ne_bytes());
            }
            Self::J1939 {
                name, pgn, addr, ..
            } => {
                raw.put(8, &name.to_ne_bytes());
                raw.put(16, &pgn.to_ne_bytes());
                raw.put(20, &[*addr]);
            }
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let interface = u32_at(bytes, 4)?;
        Some(match bytes.len() {
            J1939_BYTES.. => Self::J1939 {
                interface,
                name: u64::from_ne_bytes(field(bytes, 8)?),
                pgn: u32_at(bytes, 16)?,
                addr: *bytes.get(20)?,
            },
            ISOTP_BYTES.. => Self::Isotp {
                interface,
                rx: u32_at(bytes, 8)?,
                tx: u32_at(bytes, 12)?,
            },
            _ => Self::Raw { interface },
        })
    }

    pub(super) fn parse(text: &str) -> Option<Result<Self>> {
        if let Some(fields) = Fields::of(text, "can") {
            return Some(parse_raw(fields));
        }
        if let Some(fields) = Fields::of(text, "isotp") {
            return Some(parse_isotp(fields));
        }
        Fields::of(text, "j1939").map(parse_j1939)
    }
}

fn parse_raw(mut fields: Fields<'_>) -> Result<CanAddr> {
    let interface = fields.number("interface")?;
    fields.end()?;
    Ok(CanAddr::Raw { interface })
}

fn parse_isotp(mut fields: Fields<'_>) -> Result<CanAddr> {
    let (interface, rx) = (fields.number("interface")?, fields.number("rx identifier")?);
    let tx = fields.number("tx identifier")?;
    fields.end()?;
    Ok(CanAddr::Isotp { interface, rx, tx })
}

fn parse_j1939(mut fields: Fields<'_>) -> Result<CanAddr> {
    let (interface, name) = (fields.number("interface")?, fields.number("name")?);
    let (pgn, addr) = (fields.number("pgn")?, fields.number("address")?);
    fields.end()?;
    Ok(CanAddr::J1939 {
        interface,
        name,
        pgn,
        addr,
    })
}

impl fmt::Display for CanAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw { interface } => write!(f, "can:{interface}"),
            Self::Isotp { interface, rx, tx } => write!(f, "isotp:{interface}:{rx:#x}:{tx:#x}"),
            Self::J1939 {
                interface,
                name,
                pgn,
                addr,
            } => write!(f, "j1939:{interface}:{name:#x}:{pgn:#x}:{addr:#x}"),
        }
    }
}
