//! The network interfaces of this machine: `<net/if.h>` and `<ifaddrs.h>`.
//!
//! Every call here asks the kernel anew: an interface can come, go or be renamed at any time, and
//! its index is never given to another one while the machine runs.
//!
//! ```
//! use berkeley::interfaces;
//!
//! for interface in interfaces::if_nameindex()? {
//!     assert_eq!(interfaces::if_nametoindex(&interface.name)?, interface.index);
//! }
//! # Ok::<(), berkeley::Error>(())
//! ```

use core::ffi::c_uint;
use std::ffi::{OsStr, OsString};
use std::net::IpAddr;

use crate::addr::Addr;
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::names::flag_set;
use crate::sys;

/// An interface, as [`if_nameindex`] lists it.
///
/// # References
/// getifaddrs(3), netdevice(7).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Interface {
    /// Its number, from 1 on: the scope of an IPv6 address, the interface of a multicast group.
    pub index: u32,
    /// Its name: at most 15 bytes, not always UTF-8.
    pub name: OsString,
}

/// All interfaces of this network namespace, those without addresses too.
///
/// # Errors
/// `EMFILE`, `ENOBUFS` and their like, where the kernel could not be asked.
///
/// # References
/// if_nameindex(3).
pub fn if_nameindex() -> Result<Vec<Interface>> {
    sys::interfaces::names().map_err(|errno| Error::os("if_nameindex", errno))
}

/// The number of an interface.
///
/// # Errors
/// `ENODEV` if there is none of that name.
///
/// # References
/// if_nametoindex(3).
pub fn if_nametoindex(name: impl AsRef<OsStr>) -> Result<u32> {
    let failed = |errno| Error::os("if_nametoindex", errno);
    let name = sys::netdb::c_string(name.as_ref()).map_err(|_zero| failed(Errno::ENODEV))?;
    sys::interfaces::index_of(&name).map_err(failed)
}

/// The name of an interface.
///
/// # Errors
/// `ENXIO` if there is none of that number.
///
/// # References
/// if_indextoname(3).
pub fn if_indextoname(index: u32) -> Result<OsString> {
    sys::interfaces::name_of(index).map_err(|errno| Error::os("if_indextoname", errno))
}

flag_set! {
    /// The state of an interface (`IFF_*`), netdevice(7); joined with `|`.
    InterfaceFlags(c_uint) {
        /// It is switched on.
        #[doc(alias = "IFF_UP")]
        UP = bits(libc::IFF_UP);
        /// It has a broadcast address.
        #[doc(alias = "IFF_BROADCAST")]
        BROADCAST = bits(libc::IFF_BROADCAST);
        /// Its driver's debugging is on.
        #[doc(alias = "IFF_DEBUG")]
        DEBUG = bits(libc::IFF_DEBUG);
        /// It leads back to this machine.
        #[doc(alias = "IFF_LOOPBACK")]
        LOOPBACK = bits(libc::IFF_LOOPBACK);
        /// It leads to one other machine.
        #[doc(alias = "IFF_POINTOPOINT")]
        POINTOPOINT = bits(libc::IFF_POINTOPOINT);
        /// No trailers are used.
        #[doc(alias = "IFF_NOTRAILERS")]
        NOTRAILERS = bits(libc::IFF_NOTRAILERS);
        /// It can work: the cable is plugged in.
        #[doc(alias = "IFF_RUNNING")]
        RUNNING = bits(libc::IFF_RUNNING);
        /// Addresses are not asked for by ARP.
        #[doc(alias = "IFF_NOARP")]
        NOARP = bits(libc::IFF_NOARP);
        /// It receives every packet.
        #[doc(alias = "IFF_PROMISC")]
        PROMISC = bits(libc::IFF_PROMISC);
        /// It receives every multicast packet.
        #[doc(alias = "IFF_ALLMULTI")]
        ALLMULTI = bits(libc::IFF_ALLMULTI);
        /// It is the master of a bundle.
        #[doc(alias = "IFF_MASTER")]
        MASTER = bits(libc::IFF_MASTER);
        /// It is a member of a bundle.
        #[doc(alias = "IFF_SLAVE")]
        SLAVE = bits(libc::IFF_SLAVE);
        /// It can send and receive multicast.
        #[doc(alias = "IFF_MULTICAST")]
        MULTICAST = bits(libc::IFF_MULTICAST);
        /// It can choose its medium.
        #[doc(alias = "IFF_PORTSEL")]
        PORTSEL = bits(libc::IFF_PORTSEL);
        /// It chooses its medium by itself.
        #[doc(alias = "IFF_AUTOMEDIA")]
        AUTOMEDIA = bits(libc::IFF_AUTOMEDIA);
        /// Its addresses are lost when it is switched off.
        #[doc(alias = "IFF_DYNAMIC")]
        DYNAMIC = bits(libc::IFF_DYNAMIC);
        /// The driver says that the cable is plugged in.
        #[doc(alias = "IFF_LOWER_UP")]
        LOWER_UP = 1 << 16;
        /// The driver waits for something outside, such as a login.
        #[doc(alias = "IFF_DORMANT")]
        DORMANT = 1 << 17;
        /// What is sent comes back, as on a CAN bus.
        #[doc(alias = "IFF_ECHO")]
        ECHO = 1 << 18;
    }
}

/// The flags of `ifaddrs` are unsigned, the constants of `libc` are not: all of them are positive.
#[expect(clippy::cast_sign_loss, reason = "every flag is positive")]
const fn bits(flag: core::ffi::c_int) -> c_uint {
    flag as c_uint
}

/// One address of one interface, as [`getifaddrs`] lists them. An interface with several
/// addresses is there several times.
///
/// # References
/// getifaddrs(3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddr {
    /// The interface's name. For an address with a label, that label.
    pub name: OsString,
    /// The interface's state.
    pub flags: InterfaceFlags,
    /// The address: of the internet with port 0, or the hardware's (`AF_PACKET`).
    pub addr: Option<Addr>,
    /// Which part of an internet address is the network.
    pub netmask: Option<IpAddr>,
    /// The address that reaches everyone in the network: only with
    /// [`InterfaceFlags::BROADCAST`], and never for IPv6.
    pub broadcast: Option<Addr>,
    /// The machine at the other end: with [`InterfaceFlags::POINTOPOINT`], and for an IPv6 address
    /// that was given a peer.
    pub peer: Option<Addr>,
    /// What went through the interface: only beside its hardware address.
    pub statistics: Option<InterfaceStats>,
}

impl InterfaceAddr {
    /// The length of the network's part of the address in bits, as in `192.0.2.0/24`. `None`
    /// without a mask, or for one with a gap.
    ///
    /// # References
    /// RFC 4632 §3.1, RFC 4291 §2.3.
    #[must_use]
    pub fn prefix_len(&self) -> Option<u32> {
        let (ones, leading) = match self.netmask? {
            IpAddr::V4(mask) => (mask.to_bits().count_ones(), mask.to_bits().leading_ones()),
            IpAddr::V6(mask) => (mask.to_bits().count_ones(), mask.to_bits().leading_ones()),
        };
        (ones == leading).then_some(ones)
    }
}

/// Counters of an interface since it exists, `struct rtnl_link_stats` of linux/if_link.h.
///
/// The kernel gives these with 32 bits: they begin anew at zero after 4,294,967,295. (The same
/// with 64 bits are files below `/sys/class/net/*/statistics`.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct InterfaceStats {
    /// Packets received.
    pub rx_packets: u32,
    /// Packets sent.
    pub tx_packets: u32,
    /// Bytes received.
    pub rx_bytes: u32,
    /// Bytes sent.
    pub tx_bytes: u32,
    /// Bad packets received.
    pub rx_errors: u32,
    /// Packets that could not be sent.
    pub tx_errors: u32,
    /// Packets received for which there was no room, or that nobody wanted.
    pub rx_dropped: u32,
    /// Packets to send for which there was no room.
    pub tx_dropped: u32,
    /// Multicast packets received.
    pub multicast: u32,
    /// Collisions on the wire.
    pub collisions: u32,
    /// Received with a wrong length.
    pub rx_length_errors: u32,
    /// Received when the receiver's ring was full.
    pub rx_over_errors: u32,
    /// Received with a wrong checksum.
    pub rx_crc_errors: u32,
    /// Received with a misaligned frame.
    pub rx_frame_errors: u32,
    /// Received when the receiver's queue overran.
    pub rx_fifo_errors: u32,
    /// Missed by the receiver.
    pub rx_missed_errors: u32,
    /// Sendings that were aborted.
    pub tx_aborted_errors: u32,
    /// Sendings without a carrier.
    pub tx_carrier_errors: u32,
    /// Sendings when the sender's queue ran empty.
    pub tx_fifo_errors: u32,
    /// Sendings without the heartbeat of old Ethernet.
    pub tx_heartbeat_errors: u32,
    /// Sendings with a late collision.
    pub tx_window_errors: u32,
    /// Compressed packets received.
    pub rx_compressed: u32,
    /// Compressed packets sent.
    pub tx_compressed: u32,
}

impl InterfaceStats {
    /// How many counters every kernel gives. Newer ones append more, and the C library does not
    /// tell how many there are.
    pub(crate) const COUNT: usize = 23;

    /// The counters in the kernel's order.
    pub(crate) const fn from_counters(counters: [u32; Self::COUNT]) -> Self {
        let [
            rx_packets,
            tx_packets,
            rx_bytes,
            tx_bytes,
            rx_errors,
            tx_errors,
            rx_dropped,
            tx_dropped,
            multicast,
            collisions,
            rx_length_errors,
            rx_over_errors,
            rx_crc_errors,
            rx_frame_errors,
            rx_fifo_errors,
            rx_missed_errors,
            tx_aborted_errors,
            tx_carrier_errors,
            tx_fifo_errors,
            tx_heartbeat_errors,
            tx_window_errors,
            rx_compressed,
            tx_compressed,
        ] = counters;
        Self {
            rx_packets,
            tx_packets,
            rx_bytes,
            tx_bytes,
            rx_errors,
            tx_errors,
            rx_dropped,
            tx_dropped,
            multicast,
            collisions,
            rx_length_errors,
            rx_over_errors,
            rx_crc_errors,
            rx_frame_errors,
            rx_fifo_errors,
            rx_missed_errors,
            tx_aborted_errors,
            tx_carrier_errors,
            tx_fifo_errors,
            tx_heartbeat_errors,
            tx_window_errors,
            rx_compressed,
            tx_compressed,
        }
    }
}

/// All addresses of all interfaces, in the kernel's order: the hardware's first.
///
/// # Errors
/// `EMFILE`, `ENOBUFS` and their like, where the kernel could not be asked.
///
/// # Examples
/// ```
/// use berkeley::interfaces::{InterfaceFlags, getifaddrs};
///
/// for entry in getifaddrs()? {
///     if entry.flags.contains(InterfaceFlags::UP) {
///         println!("{} {:?}/{:?}", entry.name.display(), entry.addr, entry.prefix_len());
///     }
/// }
/// # Ok::<(), berkeley::Error>(())
/// ```
///
/// # References
/// getifaddrs(3).
pub fn getifaddrs() -> Result<Vec<InterfaceAddr>> {
    sys::interfaces::addresses().map_err(|errno| Error::os("getifaddrs", errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_tells_the_length_unless_it_has_a_gap() {
        let with = |mask: Option<&str>| InterfaceAddr {
            name: "x".into(),
            flags: InterfaceFlags::UP,
            addr: None,
            netmask: mask.map(|mask| mask.parse().unwrap()),
            broadcast: None,
            peer: None,
            statistics: None,
        };
        assert_eq!(with(Some("255.255.254.0")).prefix_len(), Some(23));
        assert_eq!(with(Some("0.0.0.0")).prefix_len(), Some(0));
        assert_eq!(with(Some("255.0.255.0")).prefix_len(), None);
        assert_eq!(with(Some("ffff:ffff::")).prefix_len(), Some(32));
        assert_eq!(with(None).prefix_len(), None);
    }
}
