//! Addresses within one machine or device: the kernel itself (NETLINK), virtual machines (VSOCK),
//! processors (QIPCRTR) and parts (MCTP).

use core::fmt;
use core::mem::{offset_of, size_of};

use super::raw::{AddrBuf, u32_at};
use super::text::Fields;
use crate::error::Result;
use crate::kinds::Family;

const _: () = {
    assert!(offset_of!(libc::sockaddr_nl, nl_pid) == 4);
    assert!(offset_of!(libc::sockaddr_nl, nl_groups) == 8);
    assert!(size_of::<libc::sockaddr_nl>() == 12);
    assert!(offset_of!(libc::sockaddr_vm, svm_port) == 4);
    assert!(offset_of!(libc::sockaddr_vm, svm_cid) == 8);
    assert!(size_of::<libc::sockaddr_vm>() == 16);
};

/// Bytes of `struct sockaddr_qrtr` (linux/qrtr.h) and of `struct sockaddr_mctp` (linux/mctp.h),
/// which libc lacks.
const QRTR_BYTES: usize = 12;
const MCTP_BYTES: usize = 12;

/// The address of a netlink socket: a port (often a process's id) and multicast groups.
///
/// As text: `netlink:PID:GROUPS`.
///
/// ```
/// use berkeley::{Addr, NetlinkAddr};
///
/// let addr = NetlinkAddr { pid: 0, groups: 0x11 };
/// assert_eq!(addr.to_string(), "netlink:0:0x11");
/// assert_eq!("netlink:0:17".parse::<Addr>().unwrap(), addr.into());
/// ```
///
/// # References
/// netlink(7), "Address formats", `struct sockaddr_nl`.
#[doc(alias = "sockaddr_nl")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct NetlinkAddr {
    /// The port: 0 is the kernel as a target, and a free one chosen by it in bind.
    pub pid: u32,
    /// A bit for each of the first 32 groups.
    pub groups: u32,
}

impl NetlinkAddr {
    pub(super) fn encode(&self, raw: &mut AddrBuf) {
        raw.begin(Family::NETLINK, size_of::<libc::sockaddr_nl>());
        raw.put(4, &self.pid.to_ne_bytes());
        raw.put(8, &self.groups.to_ne_bytes());
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            pid: u32_at(bytes, 4)?,
            groups: u32_at(bytes, 8)?,
        })
    }

    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self> {
        let (pid, groups) = (fields.number("pid")?, fields.number_or_zero("groups")?);
        fields.end()?;
        Ok(Self { pid, groups })
    }
}

impl fmt::Display for NetlinkAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "netlink:{}:{:#x}", self.pid, self.groups)
    }
}

/// The address of a VSOCK socket: a machine (context id) and a port.
///
/// As text: `vsock:CID:PORT`, and `:FLAGS` behind it where they are not zero; `any`, `host`,
/// `local` and `hypervisor` are words for their numbers.
///
/// ```
/// use berkeley::{Addr, VsockAddr};
///
/// let addr = VsockAddr::new(VsockAddr::CID_HOST, 1024);
/// assert_eq!(addr.to_string(), "vsock:2:1024");
/// assert_eq!("vsock:host:1024".parse::<Addr>().unwrap(), addr.into());
/// ```
///
/// # References
/// vsock(7), `struct sockaddr_vm`.
#[doc(alias = "sockaddr_vm")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VsockAddr {
    /// The context id of the machine.
    pub cid: u32,
    /// The port.
    pub port: u32,
    /// [`VsockAddr::FLAG_TO_HOST`] or 0 (Linux 5.11).
    pub flags: u8,
}

impl VsockAddr {
    /// `VMADDR_CID_ANY`: any machine, for binding.
    pub const CID_ANY: u32 = u32::MAX;
    /// `VMADDR_CID_HYPERVISOR`: the hypervisor, reserved.
    pub const CID_HYPERVISOR: u32 = 0;
    /// `VMADDR_CID_LOCAL`: this machine, by loopback (Linux 5.6).
    pub const CID_LOCAL: u32 = 1;
    /// `VMADDR_CID_HOST`: the machine that this one runs on.
    pub const CID_HOST: u32 = 2;
    /// `VMADDR_PORT_ANY`: a free port, for binding.
    pub const PORT_ANY: u32 = u32::MAX;
    /// `VMADDR_FLAG_TO_HOST`: through the host, also to a sibling machine.
    pub const FLAG_TO_HOST: u8 = 1;

    /// An address without flags.
    #[must_use]
    pub const fn new(cid: u32, port: u32) -> Self {
        Self {
            cid,
            port,
            flags: 0,
        }
    }

    pub(super) fn encode(&self, raw: &mut AddrBuf) {
        raw.begin(Family::VSOCK, size_of::<libc::sockaddr_vm>());
        raw.put(4, &self.port.to_ne_bytes());
        raw.put(8, &self.cid.to_ne_bytes());
        raw.put(12, &[self.flags]);
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            cid: u32_at(bytes, 8)?,
            port: u32_at(bytes, 4)?,
            flags: *bytes.get(12)?,
        })
    }

    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self> {
        let mut peek = fields.clone();
        let word = match peek.next() {
            Some("any") => Some(Self::CID_ANY),
            Some("hypervisor") => Some(Self::CID_HYPERVISOR),
            Some("local") => Some(Self::CID_LOCAL),
            Some("host") => Some(Self::CID_HOST),
            _ => None,
        };
        let cid = match word {
            Some(cid) => {
                fields = peek;
                cid
            }
            None => fields.number("cid")?,
        };
        let mut peek = fields.clone();
        let port = if peek.next() == Some("any") {
            fields = peek;
            Self::PORT_ANY
        } else {
            fields.number("port")?
        };
        let flags = fields.number_or_zero("flags")?;
        fields.end()?;
        Ok(Self { cid, port, flags })
    }
}

impl fmt::Display for VsockAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("vsock:")?;
        match self.cid {
            Self::CID_ANY => f.write_str("any:")?,
            cid => write!(f, "{cid}:")?,
        }
        match self.port {
            Self::PORT_ANY => f.write_str("any")?,
            port => write!(f, "{port}")?,
        }
        match self.flags {
            0 => Ok(()),
            flags => write!(f, ":{flags:#x}"),
        }
    }
}

/// The address of a QIPCRTR socket: a processor and a port.
///
/// As text: `qrtr:NODE:PORT`.
///
/// # References
/// linux/qrtr.h, `struct sockaddr_qrtr`.
#[doc(alias = "sockaddr_qrtr")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QipcrtrAddr {
    /// The processor.
    pub node: u32,
    /// The port.
    pub port: u32,
}

impl QipcrtrAddr {
    /// `QRTR_NODE_BCAST`: every processor.
    pub const NODE_BROADCAST: u32 = u32::MAX;
    /// `QRTR_PORT_CTRL`: the port of the name service.
    pub const PORT_CONTROL: u32 = 0xffff_fffe;

    pub(super) fn encode(&self, raw: &mut AddrBuf) {
        raw.begin(Family::QIPCRTR, QRTR_BYTES);
        raw.put(4, &self.node.to_ne_bytes());
        raw.put(8, &self.port.to_ne_bytes());
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            node: u32_at(bytes, 4)?,
            port: u32_at(bytes, 8)?,
        })
    }

    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self> {
        let (node, port) = (fields.number("node")?, fields.number("port")?);
        fields.end()?;
        Ok(Self { node, port })
    }
}

impl fmt::Display for QipcrtrAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "qrtr:{}:{}", self.node, self.port)
    }
}

/// The address of an MCTP socket: a network, an endpoint and a type of message.
///
/// As text: `mctp:NETWORK:ENDPOINT:TYPE:TAG`.
///
/// # References
/// The kernel's Documentation/networking/mctp.rst, `struct sockaddr_mctp`.
#[doc(alias = "sockaddr_mctp")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MctpAddr {
    /// The network, or [`MctpAddr::NETWORK_ANY`].
    pub network: u32,
    /// The endpoint's id, or [`MctpAddr::ENDPOINT_ANY`].
    pub endpoint: u8,
    /// The type of message.
    pub message_type: u8,
    /// The tag that joins an answer to its question, with [`MctpAddr::TAG_OWNER`] in a question.
    pub tag: u8,
}

impl MctpAddr {
    /// `MCTP_NET_ANY`: the default network.
    pub const NETWORK_ANY: u32 = 0;
    /// `MCTP_ADDR_ANY`: every endpoint.
    pub const ENDPOINT_ANY: u8 = 0xff;
    /// `MCTP_TAG_OWNER`: the kernel chooses a tag.
    pub const TAG_OWNER: u8 = 8;

    pub(super) fn encode(&self, raw: &mut AddrBuf) {
        raw.begin(Family::MCTP, MCTP_BYTES);
        raw.put(4, &self.network.to_ne_bytes());
        raw.put(8, &[self.endpoint, self.message_type, self.tag]);
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            network: u32_at(bytes, 4)?,
            endpoint: *bytes.get(8)?,
            message_type: *bytes.get(9)?,
            tag: *bytes.get(10)?,
        })
    }

    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self> {
        let addr = Self {
            network: fields.number("network")?,
            endpoint: fields.number("endpoint")?,
            message_type: fields.number("type")?,
            tag: fields.number("tag")?,
        };
        fields.end()?;
        Ok(addr)
    }
}

impl fmt::Display for MctpAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            network,
            endpoint,
            message_type,
            tag,
        } = self;
        write!(f, "mctp:{network}:{endpoint}:{message_type:#x}:{tag:#x}")
    }
}
