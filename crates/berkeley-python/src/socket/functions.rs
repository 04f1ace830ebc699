//! Functions of the module that are about no name: descriptors, byte order, addresses as text,
//! interfaces.

use core::ffi::c_int;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::IntoRawFd;
use std::os::unix::ffi::OsStrExt;

use berkeley::{Errno, Family, Kind, Protocol, inet, interfaces};

use super::address::ip_text;
use super::errors::{OrRaise, raise};
use super::object::{Facts, Socket};
use super::{MODULE, arguments, message, timeout};
use crate::py::{
    Exception, Instance, Integer, Module, Object, Owned, Raised, Readable, Result, descriptor,
    unlocked,
};

pub(super) fn close(_module: &Module, fd: &Object) -> Result<Owned> {
    let Some(fd) = descriptor::taken(c_int::of(fd)?) else {
        return Err(Raised::errno(Errno::EBADF));
    };
    match unlocked(|| berkeley::close(fd)) {
        Err(error) if error.errno() != Some(Errno::ECONNRESET) => Err(raise(error)),
        _ => Ok(Owned::none()),
    }
}

pub(super) fn dup(_module: &Module, fd: &Object) -> Result<Owned> {
    let Some(fd) = descriptor::lent(c_int::of(fd)?) else {
        return Err(Raised::errno(Errno::EBADF));
    };
    match unlocked(|| fd.try_clone_to_owned()) {
        Ok(duplicate) => Owned::integer(duplicate.into_raw_fd().into()),
        Err(error) => Err(Raised::errno(Errno::from_raw(
            error.raw_os_error().unwrap_or(libc::EBADF),
        ))),
    }
}

pub(super) fn socketpair(module: &Module, given: &[&Object]) -> Result<Owned> {
    let [family, kind, protocol] = arguments("socketpair", given, 0)?;
    let facts = Facts {
        family: family.map_or(Ok(Family::UNIX.raw()), c_int::of)?,
        kind: kind.map_or(Ok(Kind::STREAM.raw()), c_int::of)?,
        protocol: protocol.map_or(Ok(0), c_int::of)?,
    };
    let state = MODULE.state(module)?;
    let kind = Kind::from_raw(facts.kind);
    let limit = if kind.is_nonblocking() {
        0
    } else {
        state.default_timeout.get()
    };
    let (family, protocol) = (
        Family::from_raw(facts.family),
        Protocol::from_raw(facts.protocol),
    );
    let mode = timeout::mode(limit);
    let pair = unlocked(|| berkeley::Socket::pair_with(family, kind, protocol, mode));
    let (a, b) = pair.or_raise()?;
    let object = |socket| Instance::create(&state.class, Socket::of(socket, facts, limit)?);
    Owned::tuple_of([object(a)?, object(b)?])
}

/// `htons`, `ntohs`: the one is the other.
pub(super) fn short(_module: &Module, value: &Object) -> Result<Owned> {
    let value = i64::of(value)?;
    let value = u16::try_from(value).map_err(|_out_of_range| {
        Exception::Overflow.raise(if value < 0 {
            "can't convert negative Python int to C 16-bit unsigned integer"
        } else {
            "Python int too large to convert to C 16-bit unsigned integer"
        })
    })?;
    Owned::integer(inet::htons(value).into())
}

/// `htonl`, `ntohl`.
pub(super) fn long(_module: &Module, object: &Object) -> Result<Owned> {
    if !object.is_integer() {
        return Err(Exception::Type.raise(&format!("expected int, {} found", object.type_name())));
    }
    let value = i64::of(object)?;
    let value = u32::try_from(value).map_err(|_out_of_range| {
        Exception::Overflow.raise(if value < 0 {
            "can't convert negative value to unsigned int"
        } else {
            "int larger than 32 bits"
        })
    })?;
    Owned::integer(inet::htonl(value).into())
}

pub(super) fn inet_aton(_module: &Module, text: &Object) -> Result<Owned> {
    match inet::inet_aton(text.text()?) {
        Ok(address) => Owned::bytes_of(&address.octets()),
        Err(_refused) => Err(Exception::Os.raise("illegal IP address string passed to inet_aton")),
    }
}

pub(super) fn inet_ntoa(_module: &Module, packed: &Object) -> Result<Owned> {
    let packed = Readable::of(packed)?;
    match <[u8; 4]>::try_from(packed.bytes()) {
        Ok(octets) => Owned::text(&inet::inet_ntoa(Ipv4Addr::from(octets))),
        Err(_other_length) => Err(Exception::Os.raise("packed IP wrong length for inet_ntoa")),
    }
}

pub(super) fn inet_pton(_module: &Module, given: &[&Object]) -> Result<Owned> {
    let [Some(family), Some(text)] = arguments("inet_pton", given, 2)? else {
        return Err(message::missing("inet_pton"));
    };
    let family = Family::from_raw(c_int::of(family)?);
    let text = text.text()?;
    if family != Family::INET && family != Family::INET6 {
        return Err(Raised::errno(Errno::EAFNOSUPPORT));
    }
    match inet::inet_pton(family, text) {
        Ok(IpAddr::V4(address)) => Owned::bytes_of(&address.octets()),
        Ok(IpAddr::V6(address)) => Owned::bytes_of(&address.octets()),
        Err(_refused) => Err(Exception::Os.raise("illegal IP address string passed to inet_pton")),
    }
}

pub(super) fn inet_ntop(_module: &Module, given: &[&Object]) -> Result<Owned> {
    let [Some(family), Some(packed)] = arguments("inet_ntop", given, 2)? else {
        return Err(message::missing("inet_ntop"));
    };
    let family = Family::from_raw(c_int::of(family)?);
    let packed = Readable::of(packed)?;
    let wrong =
        |_other_length| Exception::Value.raise("invalid length of packed IP address string");
    match family {
        Family::INET => {
            let octets = <[u8; 4]>::try_from(packed.bytes()).map_err(wrong)?;
            ip_text(&IpAddr::from(octets))
        }
        Family::INET6 => {
            let octets = <[u8; 16]>::try_from(packed.bytes()).map_err(wrong)?;
            ip_text(&IpAddr::from(octets))
        }
        family => Err(Exception::Value.raise(&format!("unknown address family {}", family.raw()))),
    }
}

pub(super) fn if_nameindex(_module: &Module) -> Result<Owned> {
    let interfaces = unlocked(interfaces::if_nameindex).or_raise()?;
    Owned::list_of(interfaces.iter().map(|interface| {
        Owned::tuple_of([
            Owned::integer(interface.index.into())?,
            Owned::decoded_from_files(interface.name.as_bytes())?,
        ])
    }))
}

pub(super) fn if_nametoindex(_module: &Module, name: &Object) -> Result<Owned> {
    let encoded = if name.is_text() {
        name.encoded_for_files()?
    } else {
        name.share()
    };
    let Some(name) = encoded.bytes() else {
        return Err(Exception::Type.raise(&format!(
            "expected str, bytes or os.PathLike object, not {}",
            encoded.type_name()
        )));
    };
    if name.contains(&0) {
        return Err(Exception::Value.raise("embedded null byte"));
    }
    match unlocked(|| interfaces::if_nametoindex(OsStr::from_bytes(name))) {
        Ok(index) => Owned::integer(index.into()),
        Err(_none) => Err(Exception::Os.raise("no interface with this name")),
    }
}

pub(super) fn if_indextoname(_module: &Module, index: &Object) -> Result<Owned> {
    let index = i64::of(index)?;
    let index = u32::try_from(index).map_err(|_out_of_range| {
        Exception::Overflow.raise(if index < 0 {
            "can't convert negative value to unsigned int"
        } else {
            "Python int too large to convert to C unsigned int"
        })
    })?;
    let name = unlocked(|| interfaces::if_indextoname(index)).or_raise()?;
    Owned::decoded_from_files(name.as_bytes())
}
