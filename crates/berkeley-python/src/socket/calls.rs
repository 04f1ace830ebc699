//! The calls of sockets that have an address or data.

use core::ffi::c_int;
use core::mem::MaybeUninit;
use std::os::fd::IntoRawFd;

use berkeley::{AddrBuf, MsgFlags, Shutdown};

use super::address::{read, tell_laid_out, tell_result};
use super::object::Socket;
use super::{arguments, message};
use crate::py::{
    Arguments, Exception, Instance, Integer, NewBytes, Object, Owned, Readable, Result, Writable,
    audit_pair, unlocked,
};

type This = Instance<Socket>;

pub(super) fn accept(this: &This) -> Result<Owned> {
    let mut peer = AddrBuf::new();
    let socket = this.call(|socket| socket.accept_addr(berkeley::Mode::Block, &mut peer))?;
    // Before anything can fail that makes objects, it is closed by going out of scope.
    let addr = tell_laid_out(this.protocol(), &peer)?;
    let fd = socket.detach().into_raw_fd();
    Owned::tuple_of([Owned::integer(fd.into())?, addr])
}

pub(super) fn bind(this: &This, address: &Object) -> Result<Owned> {
    let addr = read(this, address, "bind")?;
    audit_pair(c"socket.bind", this.object(), address)?;
    this.using(|socket| unlocked(|| socket.bind(&addr)))?;
    Ok(Owned::none())
}

pub(super) fn connect(this: &This, address: &Object) -> Result<Owned> {
    let addr = read(this, address, "connect")?;
    audit_pair(c"socket.connect", this.object(), address)?;
    this.call(|socket| socket.connect(&addr))?;
    Ok(Owned::none())
}

pub(super) fn connect_ex(this: &This, address: &Object) -> Result<Owned> {
    let addr = read(this, address, "connect_ex")?;
    audit_pair(c"socket.connect", this.object(), address)?;
    if this.is_closed() {
        return Owned::integer(libc::EBADF.into());
    }
    let errno = this.call(|socket| socket.connect_ex(&addr))?;
    Owned::integer(errno.map_or(0, |errno| errno.raw().into()))
}

pub(super) fn getpeername(this: &This) -> Result<Owned> {
    let mut answer = Ok(None);
    this.using(|socket| {
        answer = unlocked(|| socket.peer_addr());
        Ok(())
    })?;
    tell_result(this, answer)
}

pub(super) fn getsockname(this: &This) -> Result<Owned> {
    let mut answer = Ok(None);
    this.using(|socket| {
        answer = unlocked(|| socket.local_addr()).map(Some);
        Ok(())
    })?;
    tell_result(this, answer)
}

pub(super) fn listen(this: &This, given: &[&Object]) -> Result<Owned> {
    let [backlog] = arguments("listen", given, 0)?;
    let backlog = backlog.map_or(Ok(BACKLOG_DEFAULT), c_int::of)?;
    let backlog = u32::try_from(backlog).unwrap_or(0);
    this.using(|socket| unlocked(|| socket.listen(backlog)))?;
    Ok(Owned::none())
}

/// What the language's documentation calls a reasonable value.
const BACKLOG_DEFAULT: c_int = 128;

pub(super) fn shutdown(this: &This, how: &Object) -> Result<Owned> {
    let how = Shutdown::from_raw(c_int::of(how)?);
    this.using(|socket| unlocked(|| socket.shutdown(how)))?;
    Ok(Owned::none())
}

pub(super) fn flags_of(given: Option<&Object>) -> Result<MsgFlags> {
    given.map_or(Ok(MsgFlags::NONE), |flags| {
        c_int::of(flags).map(MsgFlags::from_raw)
    })
}

/// How many bytes to receive.
///
/// # Errors
/// `ValueError` with `complaint` for a negative number.
pub(super) fn size_of_room(object: &Object, complaint: &str) -> Result<usize> {
    let size = isize::of(object)?;
    usize::try_from(size).map_err(|_negative| Exception::Value.raise(complaint))
}

pub(super) fn recv(this: &This, given: &[&Object]) -> Result<Owned> {
    let [size, flags] = arguments("recv", given, 1)?;
    let Some(size) = size else {
        return Err(message::missing("recv"));
    };
    let size = size_of_room(size, "negative buffersize in recv")?;
    let flags = flags_of(flags)?;
    let bytes = NewBytes::with_room(size)?;
    if size == 0 {
        return bytes
            .filled(|_room| Ok((&mut [][..], ())))
            .map(|(bytes, ())| bytes);
    }
    let (bytes, ()) = bytes.filled(|room| {
        let (written, _rest) = this.call(|socket| socket.recv_into(room, flags))?;
        Ok((written, ()))
    })?;
    Ok(bytes)
}

pub(super) fn recvfrom(this: &This, given: &[&Object]) -> Result<Owned> {
    let [size, flags] = arguments("recvfrom", given, 1)?;
    let Some(size) = size else {
        return Err(message::missing("recvfrom"));
    };
    let size = size_of_room(size, "negative buffersize in recvfrom")?;
    let flags = flags_of(flags)?;
    let mut sender = AddrBuf::new();
    let (bytes, ()) = NewBytes::with_room(size)?.filled(|room| {
        let written = this.call(|socket| receive(socket, room, flags, &mut sender))?;
        Ok((written, ()))
    })?;
    Owned::tuple_of([bytes, tell_laid_out(this.protocol(), &sender)?])
}

/// Without room there is still a message to be taken.
fn receive<'a>(
    socket: berkeley::Hooked<'_, super::errors::Interpreter>,
    room: &'a mut [MaybeUninit<u8>],
    flags: MsgFlags,
    sender: &mut AddrBuf,
) -> berkeley::Result<&'a mut [u8]> {
    if room.is_empty() {
        socket.recv_addr::<&mut [u8]>(&mut [], flags, sender)?;
        return Ok(&mut []);
    }
    let (written, _rest) = socket.recv_addr(room, flags, sender)?;
    Ok(written)
}

/// The arguments of the two calls that receive into a buffer: it, how much of it, and flags.
struct Into {
    buffer: Writable,
    len: usize,
    flags: MsgFlags,
}

impl Into {
    fn new(called: &str, given: &Arguments<'_>, too_small: &str) -> Result<Self> {
        let [buffer, count, flags] = given.bind(called, ["buffer", "nbytes", "flags"], 1, 3)?;
        let Some(buffer) = buffer else {
            return Err(message::missing(called));
        };
        let buffer = Writable::of(buffer, &format!("{called}() argument 1"))?;
        let count = count.map_or(Ok(0), isize::of)?;
        let flags = flags_of(flags)?;
        let count = usize::try_from(count).map_err(|_negative| {
            Exception::Value.raise(&format!("negative buffersize in {called}"))
        })?;
        if count > buffer.len() {
            return Err(Exception::Value.raise(too_small));
        }
        let len = if count == 0 { buffer.len() } else { count };
        Ok(Self { buffer, len, flags })
    }

    fn room(&mut self) -> &mut [u8] {
        let len = self.len;
        self.buffer.room().get_mut(..len).unwrap_or_default()
    }
}

pub(super) fn recv_into(this: &This, given: &Arguments<'_>) -> Result<Owned> {
    let mut into = Into::new("recv_into", given, "buffer too small for requested bytes")?;
    let flags = into.flags;
    let room = into.room();
    if room.is_empty() {
        return Owned::integer(0);
    }
    Owned::count(this.call(|socket| socket.recv(room, flags))?)
}

pub(super) fn recvfrom_into(this: &This, given: &Arguments<'_>) -> Result<Owned> {
    let too_small = "nbytes is greater than the length of the buffer";
    let mut into = Into::new("recvfrom_into", given, too_small)?;
    let flags = into.flags;
    let mut sender = AddrBuf::new();
    let len = this.call(|socket| socket.recv_addr(into.room(), flags, &mut sender))?;
    Owned::tuple_of([Owned::count(len)?, tell_laid_out(this.protocol(), &sender)?])
}

pub(super) fn send(this: &This, given: &[&Object]) -> Result<Owned> {
    let [data, flags] = arguments("send", given, 1)?;
    let Some(data) = data else {
        return Err(message::missing("send"));
    };
    let data = Readable::of(data)?;
    let flags = flags_of(flags)?;
    Owned::count(this.call(|socket| socket.send(data.bytes(), flags))?)
}

pub(super) fn sendall(this: &This, given: &[&Object]) -> Result<Owned> {
    let [data, flags] = arguments("sendall", given, 1)?;
    let Some(data) = data else {
        return Err(message::missing("sendall"));
    };
    let data = Readable::of(data)?;
    let flags = flags_of(flags)?;
    this.call(|socket| socket.send_all_with(data.bytes(), flags))?;
    Ok(Owned::none())
}

pub(super) fn sendto(this: &This, given: &[&Object]) -> Result<Owned> {
    let (data, flags, address) = match given {
        [data, address] => (data, None, address),
        [data, flags, address] => (data, Some(*flags), address),
        _ => {
            return Err(Exception::Type.raise(&format!(
                "sendto() takes 2 or 3 arguments ({} given)",
                given.len()
            )));
        }
    };
    let data = Readable::of(data)?;
    let flags = flags_of(flags)?;
    let addr = read(this, address, "sendto")?;
    audit_pair(c"socket.sendto", this.object(), address)?;
    Owned::count(this.call(|socket| socket.send_to(data.bytes(), flags, &addr))?)
}
