//! Addresses: tuples, texts and bytes of the language's to the library's, and back.

use core::ffi::c_int;
use core::fmt::{self, Write};
use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;

use berkeley::{
    Addr, AddrBuf, AlgAddr, CanAddr, EtherType, Family, HardwareType, NetlinkAddr, PacketAddr,
    PacketType, Protocol, QipcrtrAddr, TipcAddr, TipcScope, UnixAddr, VsockAddr, inet, interfaces,
};

use super::errors::{OrRaise, raise};
use super::object::Socket;
use super::{MODULE, bluetooth, host};
use crate::py::{Exception, Instance, Integer, Object, Owned, Raised, Readable, Result, unlocked};

/// Bytes that an interface's name has at most, with its final zero.
const INTERFACE_BYTES: usize = libc::IFNAMSIZ;

/// Reads the address that a call (`called`) of a socket was given.
///
/// # Errors
/// `TypeError` for the wrong form, `OverflowError` for numbers out of range, `OSError` for names
/// that are too long or cannot be found.
pub(super) fn read(this: &Instance<Socket>, object: &Object, called: &str) -> Result<Addr> {
    let family = this.family();
    match family {
        Family::INET | Family::RDS => read_inet(this, object, called),
        Family::INET6 => read_inet6(this, object, called),
        Family::UNIX => read_unix(object).map(Addr::Unix),
        Family::NETLINK => {
            let [pid, groups] = numbers(object, called, "AF_NETLINK", "a pair (pid, groups)")?;
            Ok(NetlinkAddr { pid, groups }.into())
        }
        Family::QIPCRTR => {
            let [node, port] = numbers(object, called, "AF_QIPCRTR", "a pair (node, port)")?;
            Ok(QipcrtrAddr { node, port }.into())
        }
        Family::VSOCK => {
            let [cid, port] = numbers(object, called, "AF_VSOCK", "a pair (CID, port)")?;
            Ok(VsockAddr::new(cid, port).into())
        }
        Family::PACKET => read_packet(object, called),
        Family::TIPC => read_tipc(object, called),
        Family::CAN => read_can(this.protocol(), object, called),
        Family::ALG => read_alg(object, called),
        Family::BLUETOOTH => bluetooth::read(this.protocol(), object, called),
        _ => Err(Exception::Os.raise(&format!("{called}(): bad family"))),
    }
}

/// The elements of an address that is a tuple.
fn elements<'a>(object: &'a Object, called: &str, family: &str) -> Result<&'a [&'a Object]> {
    object.tuple().ok_or_else(|| {
        Exception::Type.raise(&format!(
            "{called}(): {family} address must be tuple, not {}",
            object.type_name()
        ))
    })
}

#[cold]
fn wrong_form(family: &str, form: &str) -> Raised {
    Exception::Type.raise(&format!("{family} address must be {form}"))
}

fn numbers<const N: usize>(
    object: &Object,
    called: &str,
    family: &str,
    form: &str,
) -> Result<[u32; N]> {
    let elements = elements(object, called, family)?;
    if elements.len() != N {
        return Err(wrong_form(family, form));
    }
    let mut numbers = [0; N];
    for (place, element) in numbers.iter_mut().zip(elements) {
        *place = u32::of(element)?;
    }
    Ok(numbers)
}

/// A port; `checked` comes between reading the number and looking at its range, where CPython looks
/// the host up.
fn port_of(object: &Object, called: &str) -> Result<c_int> {
    c_int::of(object).map_err(|raised| {
        if raised.is(Exception::Overflow) {
            bad_port(called)
        } else {
            raised
        }
    })
}

#[cold]
fn bad_port(called: &str) -> Raised {
    Exception::Overflow.raise(&format!("{called}(): port must be 0-65535."))
}

fn read_inet(this: &Instance<Socket>, object: &Object, called: &str) -> Result<Addr> {
    let [host, port] = elements(object, called, "AF_INET")? else {
        return Err(wrong_form("AF_INET", "a pair (host, port)"));
    };
    let name = host::name_of(host)?;
    let port = port_of(port, called)?;
    let state = MODULE.state_of_class(this.class())?;
    let ip = host::address_of(state, &name, Family::INET)?;
    let port = u16::try_from(port).map_err(|_out_of_range| bad_port(called))?;
    match ip {
        IpAddr::V4(ip) => Ok(SocketAddrV4::new(ip, port).into()),
        IpAddr::V6(_) => Err(Exception::Os.raise("address family mismatched")),
    }
}

fn read_inet6(this: &Instance<Socket>, object: &Object, called: &str) -> Result<Addr> {
    let elements = elements(object, called, "AF_INET6")?;
    let ([host, port] | [host, port, _] | [host, port, _, _]) = elements else {
        return Err(wrong_form(
            "AF_INET6",
            "a tuple (host, port[, flowinfo[, scopeid]])",
        ));
    };
    let name = host::name_of(host)?;
    let port = port_of(port, called)?;
    let number = |at: usize| elements.get(at).map_or(Ok(0), |element| u32::of(element));
    let (flow, scope) = (number(2)?, number(3)?);
    let state = MODULE.state_of_class(this.class())?;
    let ip = host::address_of(state, &name, Family::INET6)?;
    let port = u16::try_from(port).map_err(|_out_of_range| bad_port(called))?;
    if flow > 0xf_ffff {
        return Err(Exception::Overflow.raise(&format!("{called}(): flowinfo must be 0-1048575.")));
    }
    match ip {
        IpAddr::V6(ip) => Ok(SocketAddrV6::new(ip, port, flow, scope).into()),
        IpAddr::V4(_) => Err(Exception::Os.raise("address family mismatched")),
    }
}

/// A path in the file system's encoding; one that is empty or begins with a zero byte is a name in
/// the abstract namespace.
fn read_unix(object: &Object) -> Result<UnixAddr> {
    let encoded = if object.is_text() {
        Some(object.encoded_for_files()?)
    } else {
        None
    };
    let path = Readable::of(encoded.as_deref().unwrap_or(object))?;
    let too_long = |_error| Exception::Os.raise("AF_UNIX path too long");
    match path.bytes() {
        [] => Ok(UnixAddr::unnamed()),
        [0, name @ ..] => UnixAddr::abstract_name(name).map_err(too_long),
        path => {
            // The kernel's path ends at the first zero; its length is looked at before that.
            let len = path.iter().position(|byte| *byte == 0);
            let shown = path.get(..len.unwrap_or(path.len())).unwrap_or(path);
            if path.len() >= UNIX_PATH_BYTES {
                return Err(Exception::Os.raise("AF_UNIX path too long"));
            }
            UnixAddr::path(OsStr::from_bytes(shown)).map_err(too_long)
        }
    }
}

/// `sun_path`, unix(7).
const UNIX_PATH_BYTES: usize = 108;

fn read_packet(object: &Object, called: &str) -> Result<Addr> {
    let elements = elements(object, called, "AF_PACKET")?;
    let [name, protocol, more @ ..] = elements else {
        return Err(wrong_form("AF_PACKET", "a tuple of two to five elements"));
    };
    if more.len() > 3 {
        return Err(wrong_form("AF_PACKET", "a tuple of two to five elements"));
    }
    let name = name.text()?;
    let number = |object: &Object| {
        c_int::of(object).map_err(|raised| {
            if raised.is(Exception::Overflow) {
                Exception::Overflow.raise(&format!("{called}(): address argument out of range"))
            } else {
                raised
            }
        })
    };
    let protocol = number(protocol)?;
    let kind = more.first().map_or(Ok(0), |kind| number(kind))?;
    let hardware_type = more.get(1).map_or(Ok(0), |kind| number(kind))?;
    let hardware = more.get(2).map(|bytes| Readable::of(bytes)).transpose()?;
    let hardware = hardware.as_ref().map_or(&[][..], Readable::bytes);
    let index = unlocked(|| interfaces::if_nametoindex(name)).or_raise()?;
    if hardware.len() > 8 {
        return Err(Exception::Value.raise("Hardware address must be 8 bytes or less"));
    }
    let protocol = u16::try_from(protocol).map_err(|_out_of_range| {
        Exception::Overflow.raise(&format!("{called}(): proto must be 0-65535."))
    })?;
    let addr = PacketAddr::new(index, EtherType::from_raw(protocol))
        .with_packet_type(PacketType::from_raw(low_byte(kind)))
        .with_hardware_type(HardwareType::from_raw(low_half(hardware_type)))
        .with_hardware_addr(hardware)
        .or_raise()?;
    Ok(addr.into())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "as C assigns it"
)]
const fn low_byte(value: c_int) -> u8 {
    value as u8
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "as C assigns it"
)]
const fn low_half(value: c_int) -> u16 {
    value as u16
}

fn read_tipc(object: &Object, called: &str) -> Result<Addr> {
    const FORM: &str = "a tuple (addr_type, v1, v2, v3[, scope])";
    let elements = elements(object, called, "AF_TIPC")?;
    if elements.len() != 4 && elements.len() != 5 {
        return Err(wrong_form("AF_TIPC", FORM));
    }
    let mut words = [0, 0, 0, 0, TipcScope::CLUSTER.raw().unsigned_abs().into()];
    for (place, element) in words.iter_mut().zip(elements) {
        *place = u32::of(element)?;
    }
    let [form, first, second, third, scope] = words;
    let scope = i8::try_from(scope).unwrap_or(0);
    let scope = TipcScope::from_raw(scope);
    Ok(Addr::Tipc(match form {
        TIPC_NAME_SEQUENCE => TipcAddr::NameSequence {
            kind: first,
            lower: second,
            upper: third,
            scope,
        },
        TIPC_NAME => TipcAddr::Name {
            kind: first,
            instance: second,
            domain: 0,
            scope,
        },
        TIPC_ID => TipcAddr::Id {
            node: first,
            reference: second,
            scope,
        },
        _ => return Err(Exception::Type.raise("Invalid address type")),
    }))
}

/// `TIPC_ADDR_NAMESEQ`, `TIPC_ADDR_NAME`, `TIPC_ADDR_ID`: linux/tipc.h.
const TIPC_NAME_SEQUENCE: u32 = 1;
const TIPC_NAME: u32 = 2;
const TIPC_ID: u32 = 3;

fn read_can(protocol: Protocol, object: &Object, called: &str) -> Result<Addr> {
    let elements = elements(object, called, "AF_CAN")?;
    let interface = |name: &Object| {
        let name = if name.is_text() {
            name.encoded_for_files()?
        } else {
            name.share()
        };
        let Some(name) = name.bytes() else {
            return Err(wrong_form(
                "AF_CAN",
                "a tuple with the name of an interface",
            ));
        };
        if name.len() >= INTERFACE_BYTES {
            return Err(Exception::Os.raise("AF_CAN interface name too long"));
        }
        if name.is_empty() {
            return Ok(0);
        }
        let name = OsStr::from_bytes(name);
        unlocked(|| interfaces::if_nametoindex(name)).or_raise()
    };
    match (protocol, elements) {
        (Protocol::CAN_RAW | Protocol::CAN_BCM, [name]) => Ok(Addr::Can(CanAddr::Raw {
            interface: interface(name)?,
        })),
        (Protocol::CAN_RAW | Protocol::CAN_BCM, _) => {
            Err(wrong_form("AF_CAN", "a tuple (interface, )"))
        }
        (Protocol::CAN_ISOTP, [name, rx, tx]) => {
            let (rx, tx) = (u32::of(rx)?, u32::of(tx)?);
            let interface = interface(name)?;
            Ok(Addr::Can(CanAddr::Isotp { interface, rx, tx }))
        }
        (Protocol::CAN_ISOTP, _) => Err(wrong_form("AF_CAN", "a tuple (interface, rx_id, tx_id)")),
        (Protocol::CAN_J1939, [device, name, pgn, addr]) => {
            let (name, pgn) = (u64::of(name)?, u32::of(pgn)?);
            let addr = low_byte(c_int::of(addr)?);
            Ok(Addr::Can(CanAddr::J1939 {
                interface: interface(device)?,
                name,
                pgn,
                addr,
            }))
        }
        (Protocol::CAN_J1939, _) => {
            Err(wrong_form("AF_CAN", "a tuple (interface, name, pgn, addr)"))
        }
        _ => Err(Exception::Os.raise(&format!("{called}(): unsupported CAN protocol"))),
    }
}

/// `salg_type` and `salg_name`, linux/if_alg.h, each with a final zero.
const ALG_TYPE_BYTES: usize = 14;
const ALG_NAME_BYTES: usize = 64;

fn read_alg(object: &Object, called: &str) -> Result<Addr> {
    let elements = elements(object, called, "AF_ALG")?;
    let ([kind, name] | [kind, name, _] | [kind, name, _, _]) = elements else {
        return Err(wrong_form("AF_ALG", "a tuple (type, name[, feat[, mask]])"));
    };
    let number = |at: usize| elements.get(at).map_or(Ok(0), |element| u32::of(element));
    let (kind, name) = (kind.text()?, name.text()?);
    let (features, mask) = (number(2)? & 0xffff, number(3)? & 0xffff);
    if kind.len() >= ALG_TYPE_BYTES {
        return Err(Exception::Value.raise("AF_ALG type too long."));
    }
    if name.len() >= ALG_NAME_BYTES {
        return Err(Exception::Value.raise("AF_ALG name too long."));
    }
    let addr =
        AlgAddr::new(kind, name).map_err(|error| Exception::Value.raise(&error.to_string()))?;
    Ok(addr.with_features(features, mask).into())
}

/// An address as the kernel laid it out: `None` for none, and an empty text for a Unix socket
/// without a name.
pub(super) fn tell_laid_out(protocol: Protocol, raw: &AddrBuf) -> Result<Owned> {
    match (raw.addr(), raw.family()) {
        (Some(addr), _) => tell(protocol, &addr),
        (None, Some(Family::UNIX)) => Owned::text(""),
        (None, Some(family)) => other(family, raw.as_bytes().get(2..).unwrap_or_default()),
        (None, None) => Ok(Owned::none()),
    }
}

/// An address as the language has it.
///
/// # Errors
/// What making objects raises.
pub(super) fn tell(protocol: Protocol, addr: &Addr) -> Result<Owned> {
    match addr {
        Addr::Inet(addr) => Owned::tuple_of([
            ip_text(&IpAddr::V4(*addr.ip()))?,
            Owned::integer(addr.port().into())?,
        ]),
        Addr::Inet6(addr) => Owned::tuple_of([
            ip_text(&IpAddr::V6(*addr.ip()))?,
            Owned::integer(addr.port().into())?,
            Owned::integer(addr.flowinfo().into())?,
            Owned::integer(addr.scope_id().into())?,
        ]),
        Addr::Unix(name) => tell_unix(name),
        Addr::Netlink(addr) => pair(addr.pid, addr.groups),
        Addr::Qipcrtr(addr) => pair(addr.node, addr.port),
        Addr::Vsock(addr) => pair(addr.cid, addr.port),
        Addr::Packet(addr) => Owned::tuple_of([
            interface_name(addr.interface())?,
            Owned::integer(addr.protocol().raw().into())?,
            Owned::integer(addr.packet_type().raw().into())?,
            Owned::integer(addr.hardware_type().raw().into())?,
            Owned::bytes_of(addr.hardware_addr())?,
        ]),
        Addr::Tipc(addr) => tell_tipc(addr),
        Addr::Bluetooth(addr) => bluetooth::tell(addr),
        Addr::Can(addr) => tell_can(protocol, addr),
        Addr::Alg(addr) => Owned::tuple_of([
            Owned::text(addr.kind())?,
            Owned::text(addr.name())?,
            Owned::integer(addr.features().into())?,
            Owned::integer(addr.mask().into())?,
        ]),
        addr => {
            let raw = addr.to_sockaddr();
            other(addr.family(), raw.get(2..).unwrap_or_default())
        }
    }
}

/// One of a family that the language knows nothing of: its number, and as many bytes as a
/// `struct sockaddr` has.
fn other(family: Family, bytes: &[u8]) -> Result<Owned> {
    let mut shown = [0; 14];
    for (place, byte) in shown.iter_mut().zip(bytes) {
        *place = *byte;
    }
    Owned::tuple_of([
        Owned::integer(family.raw().into())?,
        Owned::bytes_of(&shown)?,
    ])
}

fn pair(first: u32, second: u32) -> Result<Owned> {
    Owned::tuple_of([
        Owned::integer(first.into())?,
        Owned::integer(second.into())?,
    ])
}

fn tell_unix(name: &UnixAddr) -> Result<Owned> {
    if let Some(name) = name.as_abstract() {
        return Owned::bytes_of(&[&[0], name].concat());
    }
    match name.as_path() {
        Some(path) => Owned::decoded_from_files(path.as_os_str().as_bytes()),
        None => Owned::text(""),
    }
}

fn tell_tipc(addr: &TipcAddr) -> Result<Owned> {
    let (form, words) = match *addr {
        TipcAddr::NameSequence {
            kind, lower, upper, ..
        } => (TIPC_NAME_SEQUENCE, [kind, lower, upper]),
        TipcAddr::Name { kind, instance, .. } => (TIPC_NAME, [kind, instance, instance]),
        TipcAddr::Id {
            node, reference, ..
        } => (TIPC_ID, [node, reference, 0]),
        _ => return Err(Exception::Value.raise("Invalid address type")),
    };
    let [first, second, third] = words;
    Owned::tuple_of([
        Owned::integer(form.into())?,
        Owned::integer(first.into())?,
        Owned::integer(second.into())?,
        Owned::integer(third.into())?,
        Owned::integer(addr.scope().raw().into())?,
    ])
}

/// What an address of a CAN socket tells is a matter of the socket's protocol.
fn tell_can(protocol: Protocol, addr: &CanAddr) -> Result<Owned> {
    let device = interface_name(addr.interface())?;
    match protocol {
        Protocol::CAN_ISOTP => {
            let (rx, tx) = match *addr {
                CanAddr::Isotp { rx, tx, .. } => (rx, tx),
                // The two lie where a J1939 name does.
                #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
                CanAddr::J1939 { name, .. } => (name as u32, (name >> 32) as u32),
                _ => (0, 0),
            };
            Owned::tuple_of([
                device,
                Owned::integer(rx.into())?,
                Owned::integer(tx.into())?,
            ])
        }
        Protocol::CAN_J1939 => {
            let (name, pgn, addr) = match *addr {
                CanAddr::J1939 {
                    name, pgn, addr, ..
                } => (name, pgn, addr),
                _ => (0, 0, 0),
            };
            Owned::tuple_of([
                device,
                Owned::unsigned(name)?,
                Owned::integer(pgn.into())?,
                Owned::integer(addr.into())?,
            ])
        }
        _ => Owned::tuple_of([device]),
    }
}

/// An interface's name; empty for none, and for one that is gone.
fn interface_name(index: u32) -> Result<Owned> {
    if index == 0 {
        return Owned::text("");
    }
    match unlocked(|| interfaces::if_indextoname(index)) {
        Ok(name) => Owned::decoded_from_files(name.as_bytes()),
        Err(_gone) => Owned::text(""),
    }
}

/// An IP address as text; the more frequent ones are made on the stack.
///
/// # Errors
/// `MemoryError`.
pub(super) fn ip_text(ip: &IpAddr) -> Result<Owned> {
    let IpAddr::V4(ip) = ip else {
        return Owned::text(&inet::inet_ntop(*ip));
    };
    let mut text = Text {
        room: [0; TEXT_BYTES],
        len: 0,
    };
    match write!(text, "{ip}") {
        Ok(()) => Owned::decoded(text.room.get(..text.len).unwrap_or_default()),
        Err(fmt::Error) => Owned::text(&inet::inet_ntop(*ip)),
    }
}

/// The longest IPv4 address has 15 letters.
const TEXT_BYTES: usize = 16;

struct Text {
    room: [u8; TEXT_BYTES],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self
            .room
            .get_mut(self.len..)
            .and_then(|rest| rest.get_mut(..text.len()));
        place.ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

/// The address of the other end or the own one, as a call answered it.
pub(super) fn tell_result(
    this: &Instance<Socket>,
    answer: berkeley::Result<Option<Addr>>,
) -> Result<Owned> {
    match answer.map_err(raise)? {
        Some(addr) => tell(this.protocol(), &addr),
        None if this.family() == Family::UNIX => Owned::text(""),
        None => Ok(Owned::none()),
    }
}
