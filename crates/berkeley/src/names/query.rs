//! getaddrinfo(3) with all its hints.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::net::IpAddr;

use super::{ResolveFlags, lookup_until, no_address};
use crate::addr::Addr;
use crate::error::Result;
use crate::kinds::{Family, Kind, Protocol};
use crate::sys::netdb::{self, Hints};
use crate::wait::Deadline;

/// One answer to a [`Query`]: what [`crate::Socket::new`] and `connect` or `bind` need.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AddrInfo {
    /// The family of the address.
    pub family: Family,
    /// The type that the service is used with.
    pub kind: Kind,
    /// The protocol that the service is used with.
    pub protocol: Protocol,
    /// The host's official name: with [`ResolveFlags::CANONNAME`], in the first answer only.
    pub canonical_name: Option<OsString>,
    /// The address, with the service's port and the zone as its scope.
    pub addr: Addr,
}

/// A question to the resolver: which addresses has a host, and which port a service?
///
/// Nothing is asked before [`Self::resolve`] or [`Self::resolve_until`]. What is not set is left
/// open: each address then comes once for each type that it can be used with.
///
/// ```
/// use berkeley::{Family, Kind, Query};
///
/// let found = Query::host("127.0.0.1").port(80).kind(Kind::STREAM).resolve()?;
/// assert_eq!(found[0].family, Family::INET);
/// assert_eq!(found[0].addr.to_string(), "127.0.0.1:80");
/// # Ok::<(), berkeley::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[doc(alias = "getaddrinfo")]
pub struct Query {
    host: Option<OsString>,
    service: Service,
    family: Family,
    kind: Kind,
    protocol: Protocol,
    flags: ResolveFlags,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Service {
    Any,
    Port(u16),
    Name(OsString),
}

impl Query {
    /// Asks for a host: a name, an IPv4 address (inet_aton(3)'s old forms too), or an IPv6 address
    /// (with a zone: `fe80::1%eth0`).
    #[must_use]
    pub fn host(host: impl AsRef<OsStr>) -> Self {
        Self {
            host: Some(host.as_ref().to_owned()),
            ..Self::local()
        }
    }

    /// Asks for this machine, which needs a port or a service: the loopback addresses to connect
    /// to, or with [`ResolveFlags::PASSIVE`] the wildcard addresses to bind to.
    #[must_use]
    pub const fn local() -> Self {
        Self {
            host: None,
            service: Service::Any,
            family: Family::UNSPEC,
            kind: Kind::from_raw(0),
            protocol: Protocol::DEFAULT,
            flags: ResolveFlags::NONE,
        }
    }

    /// With this port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.service = Service::Port(port);
        self
    }

    /// With this service's port: a name of services(5), or a number as text.
    #[must_use]
    pub fn service(mut self, service: impl AsRef<OsStr>) -> Self {
        self.service = Service::Name(service.as_ref().to_owned());
        self
    }

    /// Only addresses of this family; [`Family::UNSPEC`] for all.
    #[must_use]
    pub const fn family(mut self, family: Family) -> Self {
        self.family = family;
        self
    }

    /// Only for this type; zero for all.
    #[must_use]
    pub const fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Only for this protocol; [`Protocol::DEFAULT`] for all.
    #[must_use]
    pub const fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// With these flags, in place of those set before.
    #[must_use]
    pub const fn flags(mut self, flags: ResolveFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Asks, and waits for the answer: the best address first (RFC 6724), never empty.
    ///
    /// # Errors
    /// [`crate::Error::Resolve`]: [`super::GaiError::NONAME`] if there is no such host or
    /// service, [`super::GaiError::AGAIN`] if no name server answered, and those of hints that do
    /// not go together.
    ///
    /// # References
    /// getaddrinfo(3), RFC 3493 §6.1.
    pub fn resolve(&self) -> Result<Vec<AddrInfo>> {
        let service = match &self.service {
            Service::Any => None,
            Service::Port(port) => Some(Cow::Owned(OsString::from(port.to_string()))),
            Service::Name(name) => Some(Cow::Borrowed(name.as_os_str())),
        };
        let found = netdb::addresses(&Hints {
            host: self.host.as_deref(),
            service: service.as_deref(),
            family: self.family,
            kind: self.kind,
            protocol: self.protocol,
            flags: self.flags,
        });
        match found {
            Ok(found) if found.is_empty() => Err(super::ResolveError::Nothing),
            found => found,
        }
        .map_err(|reason| no_address(self.asked_for(), reason))
    }

    /// Asks, and waits for the answer until the deadline. See [`lookup_until`] for what becomes
    /// of a lookup that is given up. A query that nobody has to be asked about, with addresses
    /// and numbers alone, is answered on the calling thread, even after the deadline.
    ///
    /// # Errors
    /// [`crate::Error::TimedOut`] at the deadline, and those of [`Self::resolve`].
    pub fn resolve_until(&self, deadline: Deadline) -> Result<Vec<AddrInfo>> {
        if deadline == Deadline::NEVER || self.is_numeric() {
            return self.resolve();
        }
        let query = self.clone();
        lookup_until(deadline, "getaddrinfo", move || query.resolve())
    }

    /// True where neither a file nor a server has to be asked.
    fn is_numeric(&self) -> bool {
        let host = match &self.host {
            None => true,
            Some(_) if self.flags.contains(ResolveFlags::NUMERICHOST) => true,
            // With a canonical name some resolvers ask for it all the same.
            Some(_) if self.flags.contains(ResolveFlags::CANONNAME) => false,
            Some(host) => host
                .to_str()
                .and_then(|host| host.split('%').next())
                .is_some_and(|host| host.parse::<IpAddr>().is_ok()),
        };
        host && match &self.service {
            Service::Any | Service::Port(_) => true,
            Service::Name(_) => self.flags.contains(ResolveFlags::NUMERICSERV),
        }
    }

    /// The name for an error: the host, or the service of a query without one.
    fn asked_for(&self) -> &OsStr {
        match (&self.host, &self.service) {
            (Some(host), _) => host,
            (None, Service::Name(service)) => service,
            (None, _) => OsStr::new(""),
        }
    }
}
