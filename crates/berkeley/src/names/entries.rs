//! What the lookups answer.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};

use crate::kinds::{Family, Protocol};

/// A host, `struct hostent`.
///
/// # References
/// gethostbyname(3), `struct hostent`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostEntry {
    /// The official name.
    pub name: OsString,
    /// Other names.
    pub aliases: Vec<OsString>,
    /// The family of the addresses.
    pub family: Family,
    /// The addresses.
    pub addrs: Vec<IpAddr>,
}

/// A host and a service by their names, as [`super::getnameinfo`] answers.
///
/// # References
/// getnameinfo(3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NameInfo {
    /// The host's name, or its address as text.
    pub host: OsString,
    /// The service's name, or its port as text.
    pub service: OsString,
}

/// A network, `struct netent`: a line of networks(5).
#[doc(alias = "netent")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NetworkEntry {
    /// The official name.
    pub name: OsString,
    /// Other names.
    pub aliases: Vec<OsString>,
    /// The family, of which there is [`Family::INET`] only.
    pub family: Family,
    /// The network's address; its host's bits are zero.
    pub network: Ipv4Addr,
}

/// A protocol, `struct protoent`: a line of protocols(5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProtocolEntry {
    /// The official name.
    pub name: OsString,
    /// Other names.
    pub aliases: Vec<OsString>,
    /// The number.
    pub number: Protocol,
}

/// A service, `struct servent`: a line of services(5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceEntry {
    /// The official name.
    pub name: OsString,
    /// Other names.
    pub aliases: Vec<OsString>,
    /// The port.
    pub port: u16,
    /// The protocol that carries it (`"tcp"`).
    pub protocol: OsString,
}
