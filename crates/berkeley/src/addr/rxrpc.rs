//! Addresses of Rx calls: a service behind an internet address.

use core::fmt;
use std::net::SocketAddr;

use super::raw::{AddrBuf, u16_at};
use super::text::Fields;
use super::{Addr, inet};
use crate::error::Result;
use crate::kinds::{Family, Kind};

/// Bytes of `struct sockaddr_rxrpc` (linux/rxrpc.h), which libc lacks, and where the address of
/// the transport begins in it.
const RXRPC_BYTES: usize = 36;
const TRANSPORT_AT: usize = 8;

/// The address of an RXRPC socket: a service, and the UDP address behind which it is.
///
/// As text: `rxrpc:SERVICE:192.0.2.1:7000`.
///
/// ```
/// use berkeley::{Addr, RxrpcAddr};
///
/// let addr = RxrpcAddr::new(1, "127.0.0.1:7000".parse().unwrap());
/// assert_eq!(addr.to_string(), "rxrpc:1:127.0.0.1:7000");
/// assert_eq!(addr.to_string().parse::<Addr>().unwrap(), addr.into());
/// ```
///
/// # References
/// The kernel's Documentation/networking/rxrpc.rst, `struct sockaddr_rxrpc`.
#[doc(alias = "sockaddr_rxrpc")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RxrpcAddr {
    service: u16,
    transport: SocketAddr,
}

impl RxrpcAddr {
    /// A service at an address; service 0 in bind means a client.
    #[must_use]
    pub const fn new(service: u16, transport: SocketAddr) -> Self {
        Self { service, transport }
    }

    /// The service.
    #[must_use]
    pub const fn service(&self) -> u16 {
        self.service
    }

    /// The address of the transport, which is UDP.
    #[must_use]
    pub const fn transport(&self) -> SocketAddr {
        self.transport
    }

    pub(super) fn encode(&self, raw: &mut AddrBuf) {
        let mut inner = AddrBuf::new();
        match &self.transport {
            SocketAddr::V4(addr) => inet::encode(addr, &mut inner),
            SocketAddr::V6(addr) => inet::encode6(addr, &mut inner),
        }
        let kind = u16::try_from(Kind::DGRAM.raw()).unwrap_or(0);
        let len = u16::try_from(inner.as_bytes().len()).unwrap_or(0);
        raw.begin(Family::RXRPC, RXRPC_BYTES);
        raw.put(2, &self.service.to_ne_bytes());
        raw.put(4, &kind.to_ne_bytes());
        raw.put(6, &len.to_ne_bytes());
        raw.put(TRANSPORT_AT, inner.as_bytes());
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let service = u16_at(bytes, 2)?;
        let is_dgram = i32::from(u16_at(bytes, 4)?) == Kind::DGRAM.raw();
        let len = usize::from(u16_at(bytes, 6)?);
        let inner = bytes.get(TRANSPORT_AT..)?.get(..len)?;
        let family = i32::from(u16_at(inner, 0)?);
        let transport = match Family::from_raw(family) {
            Family::INET => inet::decode(inner)?.into(),
            Family::INET6 => inet::decode6(inner)?.into(),
            _ => return None,
        };
        is_dgram.then_some(Self { service, transport })
    }

    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self> {
        let service = fields.number("service")?;
        let rest = fields.rest().unwrap_or_default();
        let transport = inet::parse(rest, inet::zone_index)?;
        let transport = Addr::to_std(&transport)
            .ok_or_else(|| fields.refused(format_args!("{rest:?} is no internet address")))?;
        Ok(Self { service, transport })
    }
}

impl fmt::Display for RxrpcAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rxrpc:{}:{}", self.service, self.transport)
    }
}
