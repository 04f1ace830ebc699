//! Names and numbers: hosts, services, protocols, and this machine's own name (`<netdb.h>`).
//!
//! - [`Query`], [`resolve`](crate::resolve): a host and a service to addresses, as getaddrinfo(3)
//!   does it; [`getnameinfo`] is the way back.
//! - [`gethostbyname`], [`gethostbyname_ex`], [`gethostbyaddr`]: the older calls, which also tell
//!   aliases.
//! - [`getservbyname`], [`getservbyport`], [`getprotobyname`], [`getprotobynumber`]: services(5)
//!   and protocols(5).
//! - [`services`], [`protocols`], [`hosts`], [`networks`]: whole tables; [`getnetbyname`],
//!   [`getnetbyaddr`]: networks(5).
//! - [`gethostname`], [`sethostname`], [`getfqdn`]: this machine.
//! - [`lookup_until`]: any of these with a deadline.
//!
//! Every function may be called from any thread at any time: those of C that answer from a static
//! place are called by their reentrant forms. Names are bytes on the way in (`str` and `OsStr`)
//! and on the way out ([`OsString`]), since no rule makes a name in a file or in the DNS UTF-8.
//!
//! Except with a deadline, a call waits for the system's resolver as long as that one likes: with
//! two name servers that do not answer that is about 20 seconds (resolv.conf(5): `timeout`,
//! `attempts`). Signals do not end it.

mod entries;
mod error;
mod flags;
mod limit;
mod query;
mod tables;

use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr};

pub use entries::{HostEntry, NameInfo, NetworkEntry, ProtocolEntry, ServiceEntry};
pub use error::{GaiError, HostError, ResolveError};
pub(crate) use flags::flag_set;
pub use flags::{NameFlags, ResolveFlags};
pub use limit::{LOOKUPS_MAX, lookup_until};
pub use query::{AddrInfo, Query};
pub use tables::{
    TABLE_ENTRIES_MAX, getnetbyaddr, getnetbyname, hosts, networks, protocols, services,
};

use crate::addr::Addr;
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::kinds::Family;
use crate::sys;

/// The host and the service that an address belongs to. Without a flag: the name where there is
/// one, else the address as text (an IPv6 address with its zone: `fe80::1%eth0`).
///
/// # Errors
/// [`Error::NoName`]: [`GaiError::NONAME`] for a host without a name with
/// [`NameFlags::NAMEREQD`], [`GaiError::AGAIN`] if the name server did not answer,
/// [`GaiError::FAMILY`] for an address of another family, [`GaiError::OVERFLOW`] for a Unix path
/// longer than 31 bytes.
///
/// # Examples
/// ```
/// use berkeley::names::{NameFlags, getnameinfo};
///
/// let addr: std::net::SocketAddr = "[::1]:80".parse()?;
/// let name = getnameinfo(&addr.into(), NameFlags::NUMERICHOST | NameFlags::NUMERICSERV)?;
/// assert_eq!((name.host, name.service), ("::1".into(), "80".into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # References
/// getnameinfo(3), RFC 3493 §6.2.
pub fn getnameinfo(addr: &Addr, flags: NameFlags) -> Result<NameInfo> {
    sys::netdb::name_of(addr, flags).map_err(|reason| Error::NoName {
        addr: addr.to_string().into(),
        reason,
    })
}

/// The first IPv4 address of a host: of a name, or of an address as text. The name `""` means
/// `0.0.0.0` and `"<broadcast>"` means `255.255.255.255`, as in Python.
///
/// New programs ask with [`Query`], which knows IPv6.
///
/// # Errors
/// [`Error::Resolve`], as for [`Query::resolve`].
///
/// # References
/// gethostbyname(3).
pub fn gethostbyname(name: impl AsRef<OsStr>) -> Result<Ipv4Addr> {
    let name = name.as_ref();
    if name.is_empty() {
        return Ok(Ipv4Addr::UNSPECIFIED);
    }
    if name == "<broadcast>" {
        return Ok(Ipv4Addr::BROADCAST);
    }
    let found = Query::host(name).family(Family::INET).resolve()?;
    found
        .iter()
        .find_map(|info| match info.addr {
            Addr::Inet(addr) => Some(*addr.ip()),
            _ => None,
        })
        .ok_or_else(|| no_address(name, ResolveError::Nothing))
}

/// A host with all its IPv4 addresses and other names.
///
/// # Errors
/// [`Error::Resolve`] with a [`ResolveError::Host`].
///
/// # References
/// gethostbyname(3), `gethostbyname_r`.
#[doc(alias = "gethostbyname_r")]
pub fn gethostbyname_ex(name: impl AsRef<OsStr>) -> Result<HostEntry> {
    gethostbyname2(name, Family::INET)
}

/// A host with all its addresses of one family and other names.
///
/// # Errors
/// [`Error::Resolve`] with a [`ResolveError::Host`], or `EAFNOSUPPORT` for a family that is none
/// of the internet.
///
/// # References
/// gethostbyname2(3), `gethostbyname2_r`.
#[doc(alias = "gethostbyname2_r")]
pub fn gethostbyname2(name: impl AsRef<OsStr>, family: Family) -> Result<HostEntry> {
    let name = name.as_ref();
    // The C library reads an address as text before it looks at the family.
    if family != Family::INET && family != Family::INET6 {
        return Err(Error::os("gethostbyname2", Errno::EAFNOSUPPORT));
    }
    sys::netdb::host_by_name(name, family).map_err(|reason| no_address(name, reason))
}

/// The host that an address belongs to, with its other names.
///
/// # Errors
/// [`Error::NoName`] with a [`ResolveError::Host`].
///
/// # References
/// gethostbyaddr(3), `gethostbyaddr_r`.
#[doc(alias = "gethostbyaddr_r")]
pub fn gethostbyaddr(addr: impl Into<IpAddr>) -> Result<HostEntry> {
    let addr = addr.into();
    sys::netdb::host_by_addr(addr).map_err(|reason| Error::NoName {
        addr: addr.to_string().into(),
        reason,
    })
}

/// The service of that name, `None` if there is none; with a protocol (`"tcp"`, `"udp"`) only
/// that one's.
///
/// ```
/// // On a machine with the usual /etc/services.
/// if let Some(http) = berkeley::names::getservbyname("http", Some("tcp"))? {
///     assert_eq!(http.port, 80);
/// }
/// # Ok::<(), berkeley::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] for a name with a zero byte; the system's errors where the list could not
/// be read.
///
/// # References
/// getservbyname(3), services(5).
#[doc(alias = "getservbyname_r")]
pub fn getservbyname(
    name: impl AsRef<OsStr>,
    protocol: Option<&str>,
) -> Result<Option<ServiceEntry>> {
    let name = c_name(name.as_ref())?;
    let protocol = protocol.map(|name| c_name(name.as_ref())).transpose()?;
    sys::netdb::service_by_name(&name, protocol.as_deref())
        .map_err(|errno| Error::os("getservbyname", errno))
}

/// The service at that port, `None` if there is none; with a protocol (`"tcp"`, `"udp"`) only
/// that one's.
///
/// # Errors
/// As for [`getservbyname`].
///
/// # References
/// getservbyport(3), services(5).
#[doc(alias = "getservbyport_r")]
pub fn getservbyport(port: u16, protocol: Option<&str>) -> Result<Option<ServiceEntry>> {
    let protocol = protocol.map(|name| c_name(name.as_ref())).transpose()?;
    sys::netdb::service_by_port(port, protocol.as_deref())
        .map_err(|errno| Error::os("getservbyport", errno))
}

/// The protocol of that name, `None` if there is none.
///
/// ```
/// use berkeley::{Protocol, names::getprotobyname};
///
/// // On a machine with the usual /etc/protocols.
/// if let Some(udp) = getprotobyname("udp")? {
///     assert_eq!(udp.number, Protocol::UDP);
/// }
/// # Ok::<(), berkeley::Error>(())
/// ```
///
/// # Errors
/// As for [`getservbyname`].
///
/// # References
/// getprotobyname(3), protocols(5).
#[doc(alias = "getprotobyname_r")]
pub fn getprotobyname(name: impl AsRef<OsStr>) -> Result<Option<ProtocolEntry>> {
    let name = c_name(name.as_ref())?;
    sys::netdb::protocol_by_name(&name).map_err(|errno| Error::os("getprotobyname", errno))
}

/// The protocol of that number, `None` if there is none.
///
/// # Errors
/// As for [`getservbyname`].
///
/// # References
/// getprotobynumber(3), protocols(5).
#[doc(alias = "getprotobynumber_r")]
pub fn getprotobynumber(number: crate::Protocol) -> Result<Option<ProtocolEntry>> {
    sys::netdb::protocol_by_number(number.raw())
        .map_err(|errno| Error::os("getprotobynumber", errno))
}

/// The name of this machine, which need not be one that the resolver knows.
///
/// # Errors
/// None in practice: there is room for every name.
///
/// # References
/// gethostname(2).
pub fn gethostname() -> Result<OsString> {
    sys::netdb::hostname().map_err(|errno| Error::os("gethostname", errno))
}

/// Names this machine, or its UTS namespace (uts_namespaces(7)).
///
/// # Errors
/// `EPERM` without the right to (`CAP_SYS_ADMIN`); `EINVAL` for more than 64 bytes.
///
/// # References
/// sethostname(2).
pub fn sethostname(name: impl AsRef<OsStr>) -> Result<()> {
    sys::netdb::set_hostname(name.as_ref().as_encoded_bytes())
        .map_err(|errno| Error::os("sethostname", errno))
}

/// The full name of a host, with its domain: the first of the official name and the aliases of
/// its address that has a dot, else the official name; the name itself where there is no host of
/// that name. `""`, `"0.0.0.0"` and `"::"` mean this machine. The same as Python's `getfqdn`.
///
/// # Errors
/// Those of [`gethostname`].
pub fn getfqdn(name: impl AsRef<OsStr>) -> Result<OsString> {
    let name = name.as_ref();
    let name = if name.is_empty() || name == "0.0.0.0" || name == "::" {
        gethostname()?
    } else {
        name.to_owned()
    };
    let found = Query::host(&name)
        .kind(crate::Kind::DGRAM)
        .resolve()
        .ok()
        .and_then(|found| found.first()?.addr.to_std())
        .and_then(|addr| gethostbyaddr(addr.ip()).ok());
    let Some(entry) = found else {
        return Ok(name);
    };
    let has_dot = |name: &&OsString| name.as_encoded_bytes().contains(&b'.');
    let full = core::iter::once(&entry.name)
        .chain(&entry.aliases)
        .find(has_dot)
        .cloned();
    Ok(full.unwrap_or(entry.name))
}

fn no_address(host: &OsStr, reason: ResolveError) -> Error {
    Error::Resolve {
        host: host.to_string_lossy().into(),
        reason,
    }
}

fn c_name(name: &OsStr) -> Result<std::ffi::CString> {
    sys::netdb::c_string(name)
        .map_err(|reason| Error::Invalid(format!("{name:?} is no name: {reason}")))
}
