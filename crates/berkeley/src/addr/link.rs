//! Addresses below the internet: frames of an interface, by copy (PACKET) or in rings (XDP).

use core::fmt;
use core::mem::{offset_of, size_of};

use super::raw::{AddrBuf, field, u16_at, u32_at};
use super::text::{Fields, hex_bytes};
use crate::error::{Error, Result};
use crate::kinds::{EtherType, Family, HardwareType, PacketType};

/// Bytes of the longest hardware address that the kernel knows (`MAX_ADDR_LEN`).
const HARDWARE_BYTES: usize = 32;

const PACKET_BYTES: usize = size_of::<libc::sockaddr_ll>();
const HARDWARE_AT: usize = 12;

const _: () = {
    assert!(offset_of!(libc::sockaddr_ll, sll_protocol) == 2);
    assert!(offset_of!(libc::sockaddr_ll, sll_ifindex) == 4);
    assert!(offset_of!(libc::sockaddr_ll, sll_hatype) == 8);
    assert!(offset_of!(libc::sockaddr_ll, sll_pkttype) == 10);
    assert!(offset_of!(libc::sockaddr_ll, sll_halen) == 11);
    assert!(offset_of!(libc::sockaddr_ll, sll_addr) == HARDWARE_AT);
    assert!(PACKET_BYTES == 20);
    assert!(offset_of!(libc::sockaddr_xdp, sxdp_flags) == 2);
    assert!(offset_of!(libc::sockaddr_xdp, sxdp_ifindex) == 4);
    assert!(offset_of!(libc::sockaddr_xdp, sxdp_queue_id) == 8);
    assert!(offset_of!(libc::sockaddr_xdp, sxdp_shared_umem_fd) == 12);
    assert!(size_of::<libc::sockaddr_xdp>() == 16);
};

/// The address of a packet socket: an interface, and what its frames carry.
///
/// As text: `packet:INTERFACE:ETHERTYPE`, and behind it, where they are not zero,
/// `:HARDWARE_TYPE:PACKET_TYPE:aa-bb-cc-dd-ee-ff`.
///
/// ```
/// use berkeley::{Addr, EtherType, PacketAddr};
///
/// let addr = PacketAddr::new(2, EtherType::ARP);
/// assert_eq!(addr.to_string(), "packet:2:0x0806");
/// assert_eq!("packet:2:0x0806".parse::<Addr>().unwrap(), addr.into());
/// ```
///
/// # References
/// packet(7), `struct sockaddr_ll`.
#[doc(alias = "sockaddr_ll")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PacketAddr {
    interface: u32,
    protocol: EtherType,
    hardware_type: HardwareType,
    packet_type: PacketType,
    hardware_len: u8,
    hardware: [u8; HARDWARE_BYTES],
}

impl PacketAddr {
    /// The frames of one type that pass an interface; interface 0 stands for every one.
    #[must_use]
    pub const fn new(interface: u32, protocol: EtherType) -> Self {
        Self {
            interface,
            protocol,
            hardware_type: HardwareType::from_raw(0),
            packet_type: PacketType::HOST,
            hardware_len: 0,
            hardware: [0; HARDWARE_BYTES],
        }
    }

    /// The same with a hardware address: where a datagram shall go.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one of more than 32 bytes, which no interface has.
    pub fn with_hardware_addr(mut self, bytes: &[u8]) -> Result<Self> {
        let (Some(place), Ok(len)) = (self.hardware.get_mut(..bytes.len()), bytes.len().try_into())
        else {
            return Err(Error::Invalid(format!(
                "a hardware address has at most {HARDWARE_BYTES} bytes, not {}",
                bytes.len()
            )));
        };
        place.copy_from_slice(bytes);
        self.hardware_len = len;
        if let Some(rest) = self.hardware.get_mut(bytes.len()..) {
            rest.fill(0);
        }
        Ok(self)
    }

    /// The same with a type of hardware. The kernel tells it, and does not ask for it.
    #[must_use]
    pub const fn with_hardware_type(mut self, hardware_type: HardwareType) -> Self {
        self.hardware_type = hardware_type;
        self
    }

    /// The same with a packet type. The kernel tells it, and does not ask for it.
    #[must_use]
    pub const fn with_packet_type(mut self, packet_type: PacketType) -> Self {
        self.packet_type = packet_type;
        self
    }

    /// The interface's number.
    #[must_use]
    pub const fn interface(&self) -> u32 {
        self.interface
    }

    /// What the frame carries.
    #[must_use]
    pub const fn protocol(&self) -> EtherType {
        self.protocol
    }

    /// What kind of interface it is.
    #[must_use]
    pub const fn hardware_type(&self) -> HardwareType {
        self.hardware_type
    }

    /// Whom the frame is for.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        self.packet_type
    }

    /// The hardware address of the frame's sender, or of the interface; empty if it has none.
    #[must_use]
    pub const fn hardware_addr(&self) -> &[u8] {
        self.hardware.split_at(self.hardware_len as usize).0
    }

    pub(super) fn encode(&self, raw: &mut AddrBuf) {
        let hardware = self.hardware_addr();
        let len = (HARDWARE_AT + hardware.len()).max(PACKET_BYTES);
        raw.begin(Family::PACKET, len);
        raw.put(2, &self.protocol.raw().to_be_bytes());
        raw.put(4, &self.interface.to_ne_bytes());
        raw.put(8, &self.hardware_type.raw().to_ne_bytes());
        raw.put(10, &[self.packet_type.raw(), self.hardware_len]);
        raw.put(HARDWARE_AT, hardware);
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let protocol = EtherType::from_raw(u16::from_be_bytes(field(bytes, 2)?));
        let [packet_type, len] = field(bytes, 10)?;
        // The length is the kernel's word; the bytes that it wrote count.
        let hardware = bytes.get(HARDWARE_AT..)?;
        let hardware = hardware.get(..usize::from(len)).unwrap_or(hardware);
        Self::new(u32_at(bytes, 4)?, protocol)
            .with_hardware_type(HardwareType::from_raw(u16_at(bytes, 8)?))
            .with_packet_type(PacketType::from_raw(packet_type))
            .with_hardware_addr(hardware)
            .ok()
    }

    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self> {
        let interface = fields.number("interface")?;
        let addr = Self::new(interface, EtherType::from_raw(fields.number("ethertype")?))
            .with_hardware_type(HardwareType::from_raw(
                fields.number_or_zero("hardware type")?,
            ))
            .with_packet_type(PacketType::from_raw(fields.number_or_zero("packet type")?));
        let text = fields.next().unwrap_or_default();
        let mut room = [0; HARDWARE_BYTES];
        let hardware = hex_bytes(text, "-", &mut room)
            .and_then(|len| room.get(..len))
            .ok_or_else(|| fields.refused(format_args!("{text:?} is no hardware address")))?;
        fields.end()?;
        addr.with_hardware_addr(hardware)
    }
}

impl fmt::Display for PacketAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "packet:{}:{:#06x}", self.interface, self.protocol.raw())?;
        let (hardware_type, packet_type) = (self.hardware_type.raw(), self.packet_type.raw());
        if hardware_type == 0 && packet_type == 0 && self.hardware_len == 0 {
            return Ok(());
        }
        write!(f, ":{hardware_type}:{packet_type}:")?;
        for (index, byte) in self.hardware_addr().iter().enumerate() {
            let mark = if index == 0 { "" } else { "-" };
            write!(f, "{mark}{byte:02x}")?;
        }
        Ok(())
    }
}

/// The address of an XDP socket: a queue of an interface.
///
/// As text: `xdp:INTERFACE:QUEUE`, and behind it, where they are not zero, `:FLAGS:UMEM_FD`.
///
/// ```
/// use berkeley::{Addr, XdpAddr};
///
/// let addr = XdpAddr { interface: 3, queue: 1, flags: XdpAddr::COPY, shared_umem_fd: 0 };
/// assert_eq!(addr.to_string(), "xdp:3:1:0x2:0");
/// assert_eq!("xdp:3:1:0x2:0".parse::<Addr>().unwrap(), addr.into());
/// ```
///
/// # References
/// The kernel's Documentation/networking/af_xdp.rst, `struct sockaddr_xdp`.
#[doc(alias = "sockaddr_xdp")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct XdpAddr {
    /// The interface's number.
    pub interface: u32,
    /// The queue of the interface, from 0.
    pub queue: u32,
    /// `XDP_*` flags of bind, joined with `|`.
    pub flags: u16,
    /// With [`XdpAddr::SHARED_UMEM`]: the number of the descriptor whose memory is shared. It is
    /// a bare number because that is what the structure holds; the descriptor stays its owner's.
    pub shared_umem_fd: u32,
}

impl XdpAddr {
    /// `XDP_SHARED_UMEM`: share the frame memory of another socket.
    pub const SHARED_UMEM: u16 = 1;
    /// `XDP_COPY`: insist on copying.
    pub const COPY: u16 = 2;
    /// `XDP_ZEROCOPY`: insist on not copying.
    pub const ZEROCOPY: u16 = 4;
    /// `XDP_USE_NEED_WAKEUP`: the kernel tells when it has to be woken.
    pub const USE_NEED_WAKEUP: u16 = 8;
    /// `XDP_USE_SG`: packets of several frames (Linux 6.6).
    pub const USE_SG: u16 = 16;

    pub(super) fn encode(&self, raw: &mut AddrBuf) {
        raw.begin(Family::XDP, size_of::<libc::sockaddr_xdp>());
        raw.put(2, &self.flags.to_ne_bytes());
        raw.put(4, &self.interface.to_ne_bytes());
        raw.put(8, &self.queue.to_ne_bytes());
        raw.put(12, &self.shared_umem_fd.to_ne_bytes());
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            interface: u32_at(bytes, 4)?,
            queue: u32_at(bytes, 8)?,
            flags: u16_at(bytes, 2)?,
            shared_umem_fd: u32_at(bytes, 12)?,
        })
    }

    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self> {
        let addr = Self {
            interface: fields.number("interface")?,
            queue: fields.number("queue")?,
            flags: fields.number_or_zero("flags")?,
            shared_umem_fd: fields.number_or_zero("descriptor")?,
        };
        fields.end()?;
        Ok(addr)
    }
}

impl fmt::Display for XdpAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "xdp:{}:{}", self.interface, self.queue)?;
        if self.flags != 0 || self.shared_umem_fd != 0 {
            write!(f, ":{:#x}:{}", self.flags, self.shared_umem_fd)?;
        }
        Ok(())
    }
}
