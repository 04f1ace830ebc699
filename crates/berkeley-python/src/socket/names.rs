//! Names and numbers of hosts, services and protocols, and this machine's own name.

use core::ffi::c_int;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;

use berkeley::names::{self, HostEntry, NameFlags, ResolveFlags};
use berkeley::{Addr, Errno, Family, Kind, Protocol, Query};

use super::address::{ip_text, tell};
use super::errors::{OrRaise, raise_lookup};
use super::{MODULE, State, arguments, host, message};
use crate::py::{
    Arguments, Exception, Integer, Module, Object, Owned, Raised, Result, audit, unlocked,
};

pub(super) fn getaddrinfo(module: &Module, given: &Arguments<'_>) -> Result<Owned> {
    let declared = ["host", "port", "family", "type", "proto", "flags"];
    let [host, port, family, kind, protocol, flags] = given.bind("getaddrinfo", declared, 2, 6)?;
    let (Some(host), Some(port)) = (host, port) else {
        return Err(message::missing("getaddrinfo"));
    };
    let number = |given: Option<&Object>| given.map_or(Ok(0), c_int::of);
    let (family, kind) = (number(family)?, number(kind)?);
    let (protocol, flags) = (number(protocol)?, number(flags)?);
    let host_name = host_bytes(host)?;
    let service = service_bytes(port)?;
    let about = Owned::tuple_of([
        host.share(),
        port.share(),
        Owned::integer(family.into())?,
        Owned::integer(kind.into())?,
        Owned::integer(protocol.into())?,
    ])?;
    audit(c"socket.getaddrinfo", &about)?;
    let mut query = match &host_name {
        Some(name) => Query::host(OsStr::from_bytes(name)),
        None => Query::local(),
    };
    if let Some(service) = &service {
        query = query.service(OsStr::from_bytes(service));
    }
    let query = query
        .family(Family::from_raw(family))
        .kind(Kind::from_raw(kind))
        .protocol(Protocol::from_raw(protocol))
        .flags(ResolveFlags::from_raw(flags));
    let state = MODULE.state(module)?;
    let found = unlocked(|| query.resolve()).map_err(|error| raise_lookup(state, error))?;
    Owned::list_of(found.iter().map(|info| {
        let canonical = info.canonical_name.as_deref().unwrap_or_default();
        Owned::tuple_of([
            Owned::integer(info.family.raw().into())?,
            Owned::integer(info.kind.raw().into())?,
            Owned::integer(info.protocol.raw().into())?,
            Owned::decoded(canonical.as_bytes())?,
            tell(info.protocol, &info.addr)?,
        ])
    }))
}

/// The host of a lookup: `None`, text or bytes.
fn host_bytes(host: &Object) -> Result<Option<Cow<'_, [u8]>>> {
    if host.is_none() {
        return Ok(None);
    }
    if let Some(bytes) = host.bytes() {
        return Ok(Some(Cow::Borrowed(bytes)));
    }
    if !host.is_text() {
        return Err(Exception::Type.raise("getaddrinfo() argument 1 must be string or None"));
    }
    let encoded = host.encoded(c"idna")?;
    Ok(Some(Cow::Owned(
        encoded.bytes().unwrap_or_default().to_vec(),
    )))
}

/// The service of a lookup: a number, text, bytes or `None`.
fn service_bytes(port: &Object) -> Result<Option<Cow<'_, [u8]>>> {
    if port.is_none() {
        return Ok(None);
    }
    if port.is_exactly_integer() {
        return number_text(port).map(|text| Some(Cow::Owned(text)));
    }
    if let Some(bytes) = port.bytes() {
        return Ok(Some(Cow::Borrowed(bytes)));
    }
    if port.is_text() {
        return Ok(Some(Cow::Borrowed(port.text()?.as_bytes())));
    }
    Err(Exception::Os.raise("Int or String expected"))
}

/// A number of any length: what is too long for a port is for the resolver to refuse.
#[cfg(Py_3_12)]
fn number_text(number: &Object) -> Result<Vec<u8>> {
    Ok(number.shown()?.text()?.as_bytes().to_vec())
}

/// A number as long as C's `long`.
#[cfg(not(Py_3_12))]
fn number_text(number: &Object) -> Result<Vec<u8>> {
    Ok(i64::of(number)?.to_string().into_bytes())
}

/// The one argument of the older calls: a host's name.
fn name_of(called: &str, given: &[&Object]) -> Result<Vec<u8>> {
    let [Some(name)] = arguments(called, given, 1)? else {
        return Err(message::missing(called));
    };
    if !name.is_text() && !name.is_bytes() && !name.is_byte_array() {
        return Err(Exception::Type.raise(&format!(
            "{called}() argument 1 must be str, bytes or bytearray, not {}",
            name.type_name()
        )));
    }
    // Of a text the encoding always, which also refuses labels that are too long.
    let encoded = if name.is_text() {
        Some(name.encoded(c"idna")?)
    } else {
        None
    };
    let name = host::name_of(encoded.as_deref().unwrap_or(name))?;
    Ok(name.into_owned())
}

fn audited(event: &core::ffi::CStr, given: &[&Object]) -> Result<()> {
    match given {
        [name] => audit(event, &*Owned::tuple_of([name.share()])?),
        _ => Ok(()),
    }
}

pub(super) fn gethostbyname(module: &Module, given: &[&Object]) -> Result<Owned> {
    let name = name_of("gethostbyname", given)?;
    audited(c"socket.gethostbyname", given)?;
    let state = MODULE.state(module)?;
    ip_text(&host::address_of(state, &name, Family::INET)?)
}

pub(super) fn gethostbyname_ex(module: &Module, given: &[&Object]) -> Result<Owned> {
    let name = name_of("gethostbyname_ex", given)?;
    audited(c"socket.gethostbyname", given)?;
    let state = MODULE.state(module)?;
    // What cannot be resolved is told as the newer call tells it.
    host::address_of(state, &name, Family::INET)?;
    let found = unlocked(|| names::gethostbyname_ex(OsStr::from_bytes(&name)));
    entry(state, found)
}

pub(super) fn gethostbyaddr(module: &Module, given: &[&Object]) -> Result<Owned> {
    let name = name_of("gethostbyaddr", given)?;
    audited(c"socket.gethostbyaddr", given)?;
    let state = MODULE.state(module)?;
    let address = host::address_of(state, &name, Family::UNSPEC)?;
    let found = unlocked(|| names::gethostbyaddr(address));
    entry(state, found)
}

fn entry(state: &State, found: berkeley::Result<HostEntry>) -> Result<Owned> {
    let entry = found.map_err(|error| raise_lookup(state, error))?;
    Owned::tuple_of([
        Owned::decoded(entry.name.as_bytes())?,
        Owned::list_of(
            entry
                .aliases
                .iter()
                .map(|alias| Owned::decoded(alias.as_bytes())),
        )?,
        Owned::list_of(entry.addrs.iter().map(ip_text))?,
    ])
}

pub(super) fn gethostname(_module: &Module) -> Result<Owned> {
    audit(c"socket.gethostname", &*Owned::tuple_of([])?)?;
    let name = unlocked(names::gethostname).or_raise()?;
    Owned::decoded_from_files(name.as_bytes())
}

pub(super) fn sethostname(_module: &Module, given: &[&Object]) -> Result<Owned> {
    let [Some(name)] = arguments("sethostname", given, 1)? else {
        return Err(message::missing("sethostname"));
    };
    let encoded = if name.is_bytes() {
        name.share()
    } else {
        name.encoded_for_files()?
    };
    audit(c"socket.sethostname", &*Owned::tuple_of([encoded.share()])?)?;
    let name = encoded.bytes().unwrap_or_default();
    unlocked(|| names::sethostname(OsStr::from_bytes(name))).or_raise()?;
    Ok(Owned::none())
}

pub(super) fn getservbyname(_module: &Module, given: &[&Object]) -> Result<Owned> {
    let [Some(name), protocol] = arguments("getservbyname", given, 1)? else {
        return Err(message::missing("getservbyname"));
    };
    let about = [
        name.share(),
        protocol.map_or_else(Owned::none, Object::share),
    ];
    let (name, protocol) = (name.text()?, protocol.map(Object::text).transpose()?);
    audit(c"socket.getservbyname", &*Owned::tuple_of(about)?)?;
    match unlocked(|| names::getservbyname(name, protocol)).or_raise()? {
        Some(service) => Owned::integer(service.port.into()),
        None => Err(Exception::Os.raise("service/proto not found")),
    }
}

pub(super) fn getservbyport(_module: &Module, given: &[&Object]) -> Result<Owned> {
    let [Some(port), protocol] = arguments("getservbyport", given, 1)? else {
        return Err(message::missing("getservbyport"));
    };
    let about = [
        port.share(),
        protocol.map_or_else(Owned::none, Object::share),
    ];
    let protocol = protocol.map(Object::text).transpose()?;
    let port = u16::try_from(c_int::of(port)?).map_err(|_out_of_range| {
        Exception::Overflow.raise("getservbyport: port must be 0-65535.")
    })?;
    audit(c"socket.getservbyport", &*Owned::tuple_of(about)?)?;
    match unlocked(|| names::getservbyport(port, protocol)).or_raise()? {
        Some(service) => Owned::decoded(service.name.as_bytes()),
        None => Err(Exception::Os.raise("port/proto not found")),
    }
}

pub(super) fn getprotobyname(_module: &Module, given: &[&Object]) -> Result<Owned> {
    let [Some(name)] = arguments("getprotobyname", given, 1)? else {
        return Err(message::missing("getprotobyname"));
    };
    let name = name.text()?;
    match unlocked(|| names::getprotobyname(name)).or_raise()? {
        Some(protocol) => Owned::integer(protocol.number.raw().into()),
        None => Err(Exception::Os.raise("protocol not found")),
    }
}

pub(super) fn getnameinfo(module: &Module, given: &[&Object]) -> Result<Owned> {
    let [Some(address), Some(flags)] = arguments("getnameinfo", given, 2)? else {
        return Err(message::missing("getnameinfo"));
    };
    let flags = NameFlags::from_raw(c_int::of(flags)?);
    let Some(elements) = address.tuple() else {
        return Err(Exception::Type.raise("getnameinfo() argument 1 must be a tuple"));
    };
    let ([host, port] | [host, port, _] | [host, port, _, _]) = elements else {
        return Err(wrong_form());
    };
    let number = |at: usize| elements.get(at).map_or(Ok(0), |element| u32::of(element));
    let (name, port) = (host.text()?, c_int::of(port)?);
    let (flow, scope) = (number(2)?, number(3)?);
    if flow > 0xf_ffff {
        return Err(Exception::Overflow.raise("getnameinfo(): flowinfo must be 0-1048575."));
    }
    audit(c"socket.getnameinfo", &*Owned::tuple_of([address.share()])?)?;
    let state = MODULE.state(module)?;
    let found = numeric(state, name, port)?;
    let addr = match found {
        SocketAddr::V4(_) if elements.len() != 2 => {
            return Err(Exception::Os.raise("IPv4 sockaddr must be 2 tuple"));
        }
        SocketAddr::V4(addr) => Addr::from(addr),
        SocketAddr::V6(addr) => Addr::from(SocketAddrV6::new(*addr.ip(), addr.port(), flow, scope)),
    };
    let info = unlocked(|| names::getnameinfo(&addr, flags))
        .map_err(|error| raise_lookup(state, error))?;
    Owned::tuple_of([
        Owned::decoded(info.host.as_bytes())?,
        Owned::decoded(info.service.as_bytes())?,
    ])
}

#[cold]
fn wrong_form() -> Raised {
    Exception::Type.raise("getnameinfo(): illegal sockaddr argument")
}

/// The address that a numeric name and a port stand for.
fn numeric(state: &State, name: &str, port: c_int) -> Result<SocketAddr> {
    if let (Ok(ip), Ok(port)) = (name.parse::<IpAddr>(), u16::try_from(port)) {
        return Ok(SocketAddr::new(ip, port));
    }
    let query = Query::host(name)
        .service(port.to_string())
        .kind(Kind::DGRAM)
        .flags(ResolveFlags::NUMERICHOST);
    let found = unlocked(|| query.resolve()).map_err(|error| raise_lookup(state, error))?;
    if found.len() > 1 {
        return Err(Exception::Os.raise("sockaddr resolved to multiple addresses"));
    }
    found
        .first()
        .and_then(|info| info.addr.to_std())
        .ok_or_else(|| Raised::errno(Errno::EAFNOSUPPORT))
}
