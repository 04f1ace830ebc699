//! Host names in addresses: read from objects, and looked up.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;

use berkeley::names::ResolveFlags;
use berkeley::{Family, Kind, Query};

use super::State;
use super::errors::raise_lookup;
use crate::py::{Exception, Object, Readable, Result, unlocked};

/// The bytes of a host's name: of a text those of its encoding for the DNS.
///
/// # Errors
/// `TypeError` for what is no name, cannot be encoded or contains a null character.
pub(super) fn name_of(object: &Object) -> Result<Cow<'_, [u8]>> {
    let name = if let Some(text) = object.ascii() {
        Cow::Borrowed(text.as_bytes())
    } else if let Some(bytes) = object.bytes() {
        Cow::Borrowed(bytes)
    } else if object.is_byte_array() {
        Cow::Owned(Readable::of(object)?.bytes().to_vec())
    } else if object.is_text() {
        let encoded = object.encoded(c"idna").map_err(|raised| {
            raised.forget();
            Exception::Type.raise("encoding of hostname failed")
        })?;
        Cow::Owned(encoded.bytes().unwrap_or_default().to_vec())
    } else {
        return Err(Exception::Type.raise(&format!(
            "str, bytes or bytearray expected, not {}",
            object.type_name()
        )));
    };
    if name.contains(&0) {
        return Err(Exception::Type.raise("host name must not contain null character"));
    }
    Ok(name)
}

/// The address of a host in a family, `UNSPEC` for any: an empty name is this machine on all its
/// interfaces, and `<broadcast>` everybody.
///
/// # Errors
/// `gaierror`; `OSError` for a name that stands for more than one thing, or for another family.
pub(super) fn address_of(state: &State, name: &[u8], family: Family) -> Result<IpAddr> {
    if let Some(address) = plain(name, family)? {
        return Ok(address);
    }
    let query = if name.is_empty() {
        Query::local()
            .port(0)
            .kind(Kind::DGRAM)
            .flags(ResolveFlags::PASSIVE)
    } else {
        Query::host(OsStr::from_bytes(name))
    };
    let query = query.family(family);
    let found = unlocked(|| query.resolve()).map_err(|error| raise_lookup(state, error))?;
    if name.is_empty() && found.len() > 1 {
        return Err(Exception::Os.raise("wildcard resolved to multiple address"));
    }
    found
        .first()
        .and_then(|info| info.addr.to_std())
        .map(|addr| addr.ip())
        .ok_or_else(|| Exception::Os.raise("unknown address family"))
}

/// What needs no lookup.
fn plain(name: &[u8], family: Family) -> Result<Option<IpAddr>> {
    let may_be = |wanted| family == Family::UNSPEC || family == wanted;
    if name.is_empty() {
        return Ok(match family {
            Family::INET => Some(Ipv4Addr::UNSPECIFIED.into()),
            Family::INET6 => Some(Ipv6Addr::UNSPECIFIED.into()),
            _ => None,
        });
    }
    if name == b"<broadcast>" || name == b"255.255.255.255" {
        return if may_be(Family::INET) {
            Ok(Some(Ipv4Addr::BROADCAST.into()))
        } else {
            Err(Exception::Os.raise("address family mismatched"))
        };
    }
    let text = core::str::from_utf8(name).unwrap_or_default();
    if may_be(Family::INET)
        && let Ok(address) = text.parse::<Ipv4Addr>()
    {
        return Ok(Some(address.into()));
    }
    if may_be(Family::INET6)
        && let Ok(address) = text.parse::<Ipv6Addr>()
    {
        return Ok(Some(address.into()));
    }
    Ok(None)
}
