//! The address of any family: from its forms, and as text.

use core::fmt::{self, Write};
use core::str::FromStr;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::net;
use std::path::Path;

use super::text::{Fields, hex_bytes};
use super::{
    Addr, AlgAddr, BluetoothAddr, CanAddr, MctpAddr, NetlinkAddr, PacketAddr, QipcrtrAddr,
    RxrpcAddr, TipcAddr, UnixAddr, VsockAddr, XdpAddr, inet,
};
use crate::error::{Error, Result};
use crate::kinds::Family;

/// Bytes that an address of an unknown family has at most behind its family's number.
const OTHER_BYTES: usize = 126;

macro_rules! forms {
    ($($form:ident($type:ty))*) => {
        $(impl From<$type> for Addr {
            fn from(addr: $type) -> Self {
                Self::$form(addr)
            }
        })*
    };
}

forms! {
    Alg(AlgAddr) Bluetooth(BluetoothAddr) Can(CanAddr) Inet(SocketAddrV4) Inet6(SocketAddrV6)
    Mctp(MctpAddr) Netlink(NetlinkAddr) Packet(PacketAddr) Qipcrtr(QipcrtrAddr) Rxrpc(RxrpcAddr)
    Tipc(TipcAddr) Unix(UnixAddr) Vsock(VsockAddr) Xdp(XdpAddr)
}

impl From<SocketAddr> for Addr {
    fn from(addr: SocketAddr) -> Self {
        match addr {
            SocketAddr::V4(addr) => Self::Inet(addr),
            SocketAddr::V6(addr) => Self::Inet6(addr),
        }
    }
}

impl From<net::SocketAddr> for Addr {
    fn from(addr: net::SocketAddr) -> Self {
        Self::Unix(addr.into())
    }
}

impl TryFrom<&Path> for Addr {
    type Error = Error;

    fn try_from(path: &Path) -> Result<Self> {
        UnixAddr::path(path).map(Self::Unix)
    }
}

impl TryFrom<&Addr> for SocketAddr {
    type Error = Error;

    fn try_from(addr: &Addr) -> Result<Self> {
        addr.to_std()
            .ok_or_else(|| Error::Invalid(format!("{addr} is no internet address")))
    }
}

impl TryFrom<&Addr> for net::SocketAddr {
    type Error = Error;

    fn try_from(addr: &Addr) -> Result<Self> {
        match addr {
            Addr::Unix(name) => name.try_into(),
            _ => Err(Error::Invalid(format!("{addr} is no Unix address"))),
        }
    }
}

impl Addr {
    /// Reads an address like [`str::parse`], but asks `index_of` for the number of an IPv6
    /// address's zone (`eth0` in `[fe80::1%eth0]:80`) instead of the system.
    ///
    /// ```
    /// use berkeley::Addr;
    ///
    /// let addr = Addr::parse_with_zones("[fe80::1%wan]:80", |name| (name == "wan").then_some(3));
    /// assert_eq!(addr.unwrap().to_string(), "[fe80::1%3]:80");
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] that says what is wrong with the text.
    pub fn parse_with_zones(
        text: &str,
        index_of: impl FnOnce(&str) -> Option<u32>,
    ) -> Result<Self> {
        if let Some(name) = text.strip_prefix("unix:") {
            return name.parse().map(Self::Unix);
        }
        if is_unix(text) {
            return text.parse().map(Self::Unix);
        }
        match parse_form(text) {
            Some(result) => result,
            None => inet::parse(text, index_of),
        }
    }

    /// Writes the address like its `Display`, but an IPv6 address's zone by the name that
    /// `name_of` gives to its number.
    ///
    /// ```
    /// use berkeley::Addr;
    ///
    /// let addr: Addr = "[fe80::1%1]:80".parse().unwrap();
    /// let text = addr.to_string_with_zones(|index| (index == 1).then(|| "lo".to_owned()));
    /// assert_eq!(text, "[fe80::1%lo]:80");
    /// ```
    #[must_use]
    pub fn to_string_with_zones(&self, name_of: impl FnOnce(u32) -> Option<String>) -> String {
        if let Self::Inet6(addr) = self
            && addr.scope_id() != 0
            && let Some(name) = name_of(addr.scope_id())
        {
            return format!("[{}%{name}]:{}", addr.ip(), addr.port());
        }
        self.to_string()
    }
}

/// True for text that is a Unix name without its word.
fn is_unix(text: &str) -> bool {
    let marks = ["/", "./", "../", "@"];
    marks.iter().any(|mark| text.starts_with(mark)) || text == "(unnamed)"
}

/// Reads the families whose text begins with a word; `None` where it does not.
fn parse_form(text: &str) -> Option<Result<Addr>> {
    let fields = |word| Fields::of(text, word);
    if let Some(fields) = fields("alg") {
        return Some(AlgAddr::parse(fields).map(Addr::Alg));
    }
    if let Some(fields) = fields("mctp") {
        return Some(MctpAddr::parse(fields).map(Addr::Mctp));
    }
    if let Some(fields) = fields("netlink") {
        return Some(NetlinkAddr::parse(fields).map(Addr::Netlink));
    }
    if let Some(fields) = fields("packet") {
        return Some(PacketAddr::parse(fields).map(Addr::Packet));
    }
    if let Some(fields) = fields("qrtr") {
        return Some(QipcrtrAddr::parse(fields).map(Addr::Qipcrtr));
    }
    if let Some(fields) = fields("rxrpc") {
        return Some(RxrpcAddr::parse(fields).map(Addr::Rxrpc));
    }
    if let Some(fields) = fields("vsock") {
        return Some(VsockAddr::parse(fields).map(Addr::Vsock));
    }
    if let Some(fields) = fields("xdp") {
        return Some(XdpAddr::parse(fields).map(Addr::Xdp));
    }
    if let Some(result) = CanAddr::parse(text) {
        return Some(result.map(Addr::Can));
    }
    if let Some(result) = TipcAddr::parse(text) {
        return Some(result.map(Addr::Tipc));
    }
    if let Some(result) = BluetoothAddr::parse(text) {
        return Some(result.map(Addr::Bluetooth));
    }
    fields("family").map(parse_other)
}

fn parse_other(mut fields: Fields<'_>) -> Result<Addr> {
    let family = Family::from_raw(fields.number("number")?);
    let text = fields.required("bytes")?;
    fields.end()?;
    let mut room = [0; OTHER_BYTES];
    let bytes = hex_bytes(text, "", &mut room)
        .and_then(|len| room.get(..len))
        .ok_or_else(|| fields.refused("its bytes are no pairs of hexadecimal digits"))?;
    Ok(Addr::Other {
        family,
        bytes: bytes.to_vec(),
    })
}

impl FromStr for Addr {
    type Err = Error;

    /// Reads what `Display` writes, and zones by name (asking if_nametoindex(3)).
    fn from_str(text: &str) -> Result<Self> {
        Self::parse_with_zones(text, inet::zone_index)
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(addr) => addr.fmt(f),
            Self::Inet6(addr) => addr.fmt(f),
            Self::Unix(addr) => {
                let text = addr.to_string();
                if !is_unix(&text) {
                    f.write_str("unix:")?;
                }
                f.write_str(&text)
            }
            Self::Alg(addr) => addr.fmt(f),
            Self::Bluetooth(addr) => addr.fmt(f),
            Self::Can(addr) => addr.fmt(f),
            Self::Mctp(addr) => addr.fmt(f),
            Self::Netlink(addr) => addr.fmt(f),
            Self::Packet(addr) => addr.fmt(f),
            Self::Qipcrtr(addr) => addr.fmt(f),
            Self::Rxrpc(addr) => addr.fmt(f),
            Self::Tipc(addr) => addr.fmt(f),
            Self::Vsock(addr) => addr.fmt(f),
            Self::Xdp(addr) => addr.fmt(f),
            Self::Other { family, bytes } => {
                write!(f, "family:{}", family.raw())?;
                f.write_char(':')?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}
