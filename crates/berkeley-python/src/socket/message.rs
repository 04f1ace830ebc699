//! Whole messages, with what travels beside their data.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;

use berkeley::{
    Addr, AlgOperation, CmsgOut, ControlBuf, ControlOut, Errno, Family, InMessage, Level, MsgFlags,
    OutMessage, raw_cmsgs,
};

use super::address::{read, tell_laid_out};
use super::arguments;
use super::calls::{flags_of, size_of_room};
use super::errors::OrRaise;
use super::object::Socket;
use crate::py::{
    Arguments, Exception, Instance, Integer, Module, NewBytes, Object, Owned, Raised, Readable,
    Result, Writable, audit_pair, descriptor,
};

type This = Instance<Socket>;

/// For what the interpreter has seen to already.
#[cold]
pub(super) fn missing(called: &str) -> Raised {
    Exception::Type.raise(&format!("{called}() is missing an argument"))
}

pub(super) fn control_len(_module: &Module, given: &[&Object]) -> Result<Owned> {
    sized("CMSG_LEN", given, berkeley::control_len)
}

pub(super) fn control_space(_module: &Module, given: &[&Object]) -> Result<Owned> {
    sized("CMSG_SPACE", given, berkeley::control_space)
}

fn sized(called: &str, given: &[&Object], size: impl Fn(usize) -> Option<usize>) -> Result<Owned> {
    let [length] = arguments(called, given, 1)?;
    let length = length.map_or(Ok(0), isize::of)?;
    match usize::try_from(length).ok().and_then(size) {
        Some(size) => Owned::count(size),
        None => Err(Exception::Overflow.raise(&format!("{called}() argument out of range"))),
    }
}

/// The kernel's limit for the length of control messages.
const CONTROL_BYTES_MAX: usize = 0x7fff_ffff;

/// The room for control messages that a call asks for.
fn control_room(size: Option<&Object>) -> Result<usize> {
    const COMPLAINT: &str = "invalid ancillary data buffer length";
    let size = size.map_or(Ok(0), |size| size_of_room(size, COMPLAINT))?;
    if size > CONTROL_BYTES_MAX {
        return Err(Exception::Value.raise(COMPLAINT));
    }
    Ok(size)
}

pub(super) fn recvmsg(this: &This, given: &[&Object]) -> Result<Owned> {
    let [size, room, flags] = arguments("recvmsg", given, 1)?;
    let Some(size) = size else {
        return Err(missing("recvmsg"));
    };
    let size = size_of_room(size, "negative buffer size in recvmsg()")?;
    let (room, flags) = (control_room(room)?, flags_of(flags)?);
    let mut control = ControlBuf::with_room(room);
    let (data, told) = NewBytes::with_room(size)?.zeroed(|buffer| {
        let mut buffers = [IoSliceMut::new(buffer)];
        let message = this.call(|socket| socket.recv_message(&mut buffers, &mut control, flags))?;
        Ok((message.len(), Beside::of(this, &message)?))
    })?;
    told.tuple(data, control)
}

pub(super) fn recvmsg_into(this: &This, given: &[&Object]) -> Result<Owned> {
    let [buffers, room, flags] = arguments("recvmsg_into", given, 1)?;
    let Some(buffers) = buffers else {
        return Err(missing("recvmsg_into"));
    };
    let buffers = buffers.collected(c"recvmsg_into() argument 1 must be an iterable")?;
    let mut places = Vec::new();
    for buffer in buffers.tuple().unwrap_or_default() {
        let complaint = "recvmsg_into() argument 1 must be an iterable of buffers, each of which";
        places.push(Writable::of(buffer, complaint)?);
    }
    let (room, flags) = (control_room(room)?, flags_of(flags)?);
    let mut slices: Vec<_> = places
        .iter_mut()
        .map(|place| IoSliceMut::new(place.room()))
        .collect();
    let mut control = ControlBuf::with_room(room);
    let message = this.call(|socket| socket.recv_message(&mut slices, &mut control, flags))?;
    let count = Owned::count(message.len())?;
    let told = Beside::of(this, &message)?;
    told.tuple(count, control)
}

/// What came beside the data of a message.
struct Beside {
    control: Owned,
    flags: Owned,
    addr: Owned,
}

impl Beside {
    fn of(this: &This, message: &InMessage<'_, '_>) -> Result<Self> {
        let control = Owned::list_of(raw_cmsgs(message.control_bytes()).map(
            |(level, kind, bytes)| {
                Owned::tuple_of([
                    Owned::integer(level.raw().into())?,
                    Owned::integer(kind.into())?,
                    Owned::bytes_of(bytes)?,
                ])
            },
        ))?;
        // The library asks for it in each call, and the kernel repeats it.
        let flags = message.flags().raw() & !libc::MSG_CMSG_CLOEXEC;
        Ok(Self {
            control,
            flags: Owned::integer(flags.into())?,
            addr: tell_laid_out(this.protocol(), message.addr_buf())?,
        })
    }

    /// The answer of the call. The descriptors in it are the program's from here on; had anything
    /// failed before, the buffer would have closed them.
    fn tuple(self, data: Owned, mut control: ControlBuf<'_>) -> Result<Owned> {
        let answer = Owned::tuple_of([data, self.control, self.flags, self.addr])?;
        control.leave_open();
        Ok(answer)
    }
}

pub(super) fn sendmsg(this: &This, given: &[&Object]) -> Result<Owned> {
    let [buffers, control, flags, address] = arguments("sendmsg", given, 1)?;
    let Some(buffers) = buffers else {
        return Err(missing("sendmsg"));
    };
    let flags = flags_of(flags)?;
    let address = address.filter(|address| !address.is_none());
    let addr = address
        .map(|address| read(this, address, "sendmsg"))
        .transpose()?;
    let about = address.map_or_else(Owned::none, Object::share);
    audit_pair(c"socket.sendmsg", this.object(), &about)?;
    let data = Data::of(buffers)?;
    let items = control.map(items_of).transpose()?.unwrap_or_default();
    let raw: Vec<Item<'_>> = items.iter().map(Item::of).collect::<Result<_>>()?;
    let cmsgs: Vec<CmsgOut<'_>> = raw.iter().map(Item::cmsg).collect();
    let control = control_of(&cmsgs)?;
    send(this, &data, &control, flags, addr.as_ref())
}

/// The pieces of a message.
struct Data(Vec<Readable>);

impl Data {
    fn of(buffers: &Object) -> Result<Self> {
        let buffers = buffers.collected(c"sendmsg() argument 1 must be an iterable")?;
        let mut data = Vec::new();
        for buffer in buffers.tuple().unwrap_or_default() {
            data.push(Readable::of(buffer)?);
        }
        Ok(Self(data))
    }
}

fn send(
    this: &This,
    data: &Data,
    control: &ControlOut<'_>,
    flags: MsgFlags,
    addr: Option<&Addr>,
) -> Result<Owned> {
    let pieces: Vec<_> = data
        .0
        .iter()
        .map(|piece| IoSlice::new(piece.bytes()))
        .collect();
    let message = OutMessage::new(&pieces).control(control);
    let message = match addr {
        Some(addr) => message.to(addr),
        None => message,
    };
    Owned::count(this.call(|socket| socket.send_message(&message, flags))?)
}

/// A control message as the program wrote it.
struct Raw {
    level: i32,
    kind: i32,
    bytes: Readable,
}

fn items_of(control: &Object) -> Result<Vec<Raw>> {
    let items = control.collected(c"sendmsg() argument 2 must be an iterable")?;
    let mut raw = Vec::new();
    for item in items.tuple().unwrap_or_default() {
        // A sequence of any kind, as the format of C's takes it.
        let item = item.collected(c"[sendmsg() ancillary data items] must be 3-item sequences")?;
        let Some([level, kind, bytes]) = item.tuple() else {
            return Err(Exception::Type
                .raise("[sendmsg() ancillary data items] must be sequences of length 3"));
        };
        raw.push(Raw {
            level: i32::of(level)?,
            kind: i32::of(kind)?,
            bytes: Readable::of(bytes)?,
        });
    }
    Ok(raw)
}

/// The same as the library takes it: descriptors as such.
enum Item<'a> {
    Bytes(&'a Raw),
    Descriptors(Vec<BorrowedFd<'a>>),
}

impl<'a> Item<'a> {
    fn of(raw: &'a Raw) -> Result<Self> {
        if (raw.level, raw.kind) != (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            return Ok(Self::Bytes(raw));
        }
        let (numbers, _rest) = raw.bytes.bytes().as_chunks::<{ size_of::<i32>() }>();
        let fds = numbers.iter().map(|number| {
            descriptor::lent(i32::from_ne_bytes(*number)).ok_or_else(|| Raised::errno(Errno::EBADF))
        });
        fds.collect::<Result<_>>().map(Self::Descriptors)
    }

    fn cmsg(&'a self) -> CmsgOut<'a> {
        match self {
            Self::Bytes(raw) => CmsgOut::Raw {
                level: Level::from_raw(raw.level),
                kind: raw.kind,
                bytes: raw.bytes.bytes(),
            },
            Self::Descriptors(fds) => CmsgOut::Rights(fds),
        }
    }
}

fn control_of<'a>(cmsgs: &[CmsgOut<'a>]) -> Result<ControlOut<'a>> {
    let mut room = 0_usize;
    for cmsg in cmsgs {
        let Some(space) = cmsg.space() else {
            return Err(Exception::Os.raise("ancillary data item too large"));
        };
        room = match room.checked_add(space) {
            Some(room) if room <= CONTROL_BYTES_MAX => room,
            _ => return Err(Exception::Os.raise("too much ancillary data")),
        };
    }
    let mut control = ControlOut::with_capacity(room);
    for cmsg in cmsgs {
        control.push(*cmsg).or_raise()?;
    }
    Ok(control)
}

pub(super) fn sendmsg_afalg(this: &This, given: &Arguments<'_>) -> Result<Owned> {
    if this.family() != Family::ALG {
        return Err(Exception::Os.raise("algset is only supported for AF_ALG"));
    }
    let declared = ["msg", "op", "iv", "assoclen", "flags"];
    let [data, operation, iv, assoclen, flags] = given.bind("sendmsg_afalg", declared, 0, 1)?;
    let operation = operation
        .filter(|operation| operation.is_integer())
        .and_then(|operation| match i32::of(operation) {
            Ok(operation) => u32::try_from(operation).ok(),
            Err(raised) => {
                raised.forget();
                None
            }
        })
        .ok_or_else(|| Exception::Type.raise("Invalid or missing argument 'op'"))?;
    let assoclen = assoclen.map(associated_length).transpose()?;
    let iv = iv.map(Readable::of).transpose()?;
    let flags = flags_of(flags)?;
    let data = match data {
        Some(data) => Data::of(data)?,
        None => Data(Vec::new()),
    };
    let cmsgs = [
        Some(CmsgOut::AlgOperation(AlgOperation::from_raw(operation))),
        iv.as_ref().map(|iv| CmsgOut::AlgIv(iv.bytes())),
        assoclen.map(CmsgOut::AlgAssociatedLength),
    ];
    let cmsgs: Vec<_> = cmsgs.into_iter().flatten().collect();
    send(this, &data, &control_of(&cmsgs)?, flags, None)
}

fn associated_length(given: &Object) -> Result<u32> {
    if !given.is_integer() {
        return Err(Exception::Type.raise("assoclen must be an integer"));
    }
    u32::try_from(i32::of(given)?)
        .map_err(|_negative| Exception::Type.raise("assoclen must be positive"))
}
