//! Tables as a whole, and networks by their names.

use std::ffi::OsStr;
use std::net::Ipv4Addr;

use super::{HostEntry, NetworkEntry, ProtocolEntry, ServiceEntry, c_name};
use crate::error::{Error, Result};
use crate::sys;

/// Entries that a table may have: a hundred times the largest that is known (services(5) of
/// Debian's `netbase` has some 400, IANA's own list 12,000).
pub const TABLE_ENTRIES_MAX: usize = 1 << 20;

/// All services, in the order of their table: the walk of `setservent`, `getservent` and
/// `endservent` in one call. Several threads may ask at once; what walks in C code does at the
/// same time disturbs it, and is disturbed by it.
///
/// ```
/// let services = berkeley::names::services()?;
/// // On a machine with the usual /etc/services.
/// let secure = services.iter().filter(|service| service.port == 443);
/// assert!(secure.count() <= services.len());
/// # Ok::<(), berkeley::Error>(())
/// ```
///
/// # Errors
/// The system's, where the table is there and cannot be read; `EOVERFLOW` for more than
/// [`TABLE_ENTRIES_MAX`] entries. A table that is not there is an empty one.
///
/// # References
/// getservent(3), services(5), nsswitch.conf(5).
#[doc(alias = "getservent")]
#[doc(alias = "setservent")]
#[doc(alias = "endservent")]
pub fn services() -> Result<Vec<ServiceEntry>> {
    sys::tables::services(TABLE_ENTRIES_MAX).map_err(|errno| Error::os("getservent", errno))
}

/// All protocols, in the order of their table, as [`services`].
///
/// # Errors
/// As [`services`].
///
/// # References
/// getprotoent(3), protocols(5).
#[doc(alias = "getprotoent")]
#[doc(alias = "setprotoent")]
#[doc(alias = "endprotoent")]
pub fn protocols() -> Result<Vec<ProtocolEntry>> {
    sys::tables::protocols(TABLE_ENTRIES_MAX).map_err(|errno| Error::os("getprotoent", errno))
}

/// All hosts of hosts(5), in their order, as [`services`]. Name servers are not asked: they have
/// no list.
///
/// # Errors
/// As [`services`].
///
/// # References
/// gethostent(3), hosts(5).
#[doc(alias = "gethostent")]
#[doc(alias = "sethostent")]
#[doc(alias = "endhostent")]
pub fn hosts() -> Result<Vec<HostEntry>> {
    sys::tables::hosts(TABLE_ENTRIES_MAX).map_err(|errno| Error::os("gethostent", errno))
}

/// All networks of networks(5), in their order, as [`services`].
///
/// # Errors
/// As [`services`].
///
/// # References
/// getnetent(3), networks(5).
#[doc(alias = "getnetent")]
#[doc(alias = "setnetent")]
#[doc(alias = "endnetent")]
pub fn networks() -> Result<Vec<NetworkEntry>> {
    sys::tables::networks(TABLE_ENTRIES_MAX).map_err(|errno| Error::os("getnetent", errno))
}

/// The network of that name, `None` if there is none.
///
/// ```
/// use berkeley::names::getnetbyname;
///
/// // On a machine with the usual /etc/networks.
/// if let Some(loopback) = getnetbyname("loopback")? {
///     assert_eq!(loopback.network.octets(), [127, 0, 0, 0]);
/// }
/// # Ok::<(), berkeley::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] for a name with a zero byte; the system's errors where the list could not
/// be read.
///
/// # References
/// getnetbyname(3), networks(5).
#[doc(alias = "getnetbyname_r")]
pub fn getnetbyname(name: impl AsRef<OsStr>) -> Result<Option<NetworkEntry>> {
    let name = c_name(name.as_ref())?;
    sys::tables::network_by_name(&name).map_err(|errno| Error::os("getnetbyname", errno))
}

/// The network of that address (its host's bits zero), `None` if there is none.
///
/// # Errors
/// As for [`getnetbyname`].
///
/// # References
/// getnetbyaddr(3), networks(5).
#[doc(alias = "getnetbyaddr_r")]
pub fn getnetbyaddr(network: Ipv4Addr) -> Result<Option<NetworkEntry>> {
    sys::tables::network_by_addr(network).map_err(|errno| Error::os("getnetbyaddr", errno))
}
