//! The class of sockets: its objects, from `socket()` to `close()`.

use core::cell::{Cell, RefCell};
use core::ffi::c_int;
use core::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};

use berkeley::{Errno, Family, Hooked, Kind, Mode, Protocol, opt};

use super::errors::{Interpreter, OrRaise, raise};
use super::{MODULE, State, calls, message, options, timeout};
use crate::py::{
    self, Arguments, Class, ErrorHandler, Exception, Getter, Getters, Instance, Integer, Member,
    Members, Method, Methods, Object, Owned, Raised, Result, Traits, TypeSpec, VALUE_AT,
    audit_numbers, descriptor, unlocked,
};

/// A socket as its object holds it. The first fields lie where `_ssl` reads them
/// (`PySocketSockObject` of CPython's `socketmodule.h`, the same in 3.11, 3.12 and 3.13).
#[repr(C)]
pub(crate) struct Socket {
    /// -1 when it is closed.
    fd: Cell<c_int>,
    family: Cell<c_int>,
    kind: Cell<c_int>,
    protocol: Cell<c_int>,
    error_handler: ErrorHandler,
    /// In nanoseconds, negative for none.
    timeout: Cell<i64>,
    ending: Cell<Ending>,
    /// Borrowed by each call that uses it, which is why a closed one may still be here: the last of
    /// these calls ends it.
    socket: RefCell<Option<berkeley::Socket>>,
}

const _: () = {
    assert!(VALUE_AT + offset_of!(Socket, fd) == 16);
    assert!(VALUE_AT + offset_of!(Socket, family) == 20);
    assert!(VALUE_AT + offset_of!(Socket, kind) == 24);
    assert!(VALUE_AT + offset_of!(Socket, protocol) == 28);
    assert!(VALUE_AT + offset_of!(Socket, error_handler) == 32);
    assert!(VALUE_AT + offset_of!(Socket, timeout) == 40);
};

/// What the last call that uses a socket has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Nothing: it is open.
    Open,
    /// Close it.
    Close,
    /// Leave its descriptor to whoever has been given it.
    Detach,
}

static MEMBERS: Members<3> = Members::new([
    Member::int(c"family", c"the address family", offset_of!(Socket, family)),
    Member::int(c"type", c"the type", offset_of!(Socket, kind)),
    Member::int(c"proto", c"the protocol", offset_of!(Socket, protocol)),
]);

static GETTERS: Getters<1> = Getters::new([Getter::new(
    c"timeout",
    c"the time limit in seconds, or None",
    options::gettimeout,
)]);

pub(super) static SPEC: &TypeSpec = &TypeSpec::new(
    c"_socket.socket",
    c"socket(family=AF_INET, type=SOCK_STREAM, proto=0, fileno=None)\n\n\
    A socket of the family, type and protocol, or the one with the descriptor fileno.",
    Traits {
        is_base: true,
        is_callable: true,
    },
    &METHODS,
)
.members(&MEMBERS)
.getters(&GETTERS);

static METHODS: Methods<28> = Methods::new([
    Method::bare(
        c"_accept",
        c"The next connection: (descriptor, address).",
        calls::accept,
    ),
    Method::one(
        c"bind",
        c"bind(address): gives the socket a name.",
        calls::bind,
    ),
    Method::bare(c"close", c"Closes the socket.", close),
    Method::one(
        c"connect",
        c"connect(address): connects it.",
        calls::connect,
    ),
    Method::one(
        c"connect_ex",
        c"connect_ex(address): connects it, and answers an error's number or 0.",
        calls::connect_ex,
    ),
    Method::bare(
        c"detach",
        c"Gives the descriptor away, and closes the object.",
        detach,
    ),
    Method::bare(c"fileno", c"The descriptor, or -1.", fileno),
    Method::bare(
        c"getblocking",
        c"False if calls never wait.",
        options::getblocking,
    ),
    Method::bare(c"getpeername", c"The peer's address.", calls::getpeername),
    Method::bare(
        c"getsockname",
        c"The socket's own address.",
        calls::getsockname,
    ),
    Method::placed(
        c"getsockopt",
        c"getsockopt(level, option[, size]): an integer, or at most size bytes.",
        options::getsockopt,
    ),
    Method::bare(
        c"gettimeout",
        c"The time limit in seconds, or None.",
        options::gettimeout,
    ),
    Method::placed(
        c"listen",
        c"listen([backlog]): lets peers connect.",
        calls::listen,
    ),
    Method::placed(
        c"recv",
        c"recv(size[, flags]): what came, at most size bytes.",
        calls::recv,
    ),
    Method::named(
        c"recv_into",
        c"recv_into(buffer, nbytes=0, flags=0): how many bytes came.",
        calls::recv_into,
    ),
    Method::placed(
        c"recvfrom",
        c"recvfrom(size[, flags]): (data, address).",
        calls::recvfrom,
    ),
    Method::named(
        c"recvfrom_into",
        c"recvfrom_into(buffer, nbytes=0, flags=0): (count, address).",
        calls::recvfrom_into,
    ),
    Method::placed(
        c"recvmsg",
        c"recvmsg(size[, ancbufsize[, flags]]): (data, ancdata, msg_flags, address).",
        message::recvmsg,
    ),
    Method::placed(
        c"recvmsg_into",
        c"recvmsg_into(buffers[, ancbufsize[, flags]]): (count, ancdata, msg_flags, address).",
        message::recvmsg_into,
    ),
    Method::placed(
        c"send",
        c"send(data[, flags]): how many bytes were sent.",
        calls::send,
    ),
    Method::placed(
        c"sendall",
        c"sendall(data[, flags]): sends all of it.",
        calls::sendall,
    ),
    Method::placed(
        c"sendmsg",
        c"sendmsg(buffers[, ancdata[, flags[, address]]]): how many bytes were sent.",
        message::sendmsg,
    ),
    Method::named(
        c"sendmsg_afalg",
        c"sendmsg_afalg([msg], *, op[, iv[, assoclen[, flags]]]): one operation of AF_ALG.",
        message::sendmsg_afalg,
    ),
    Method::placed(
        c"sendto",
        c"sendto(data[, flags], address): how many bytes were sent.",
        calls::sendto,
    ),
    Method::one(
        c"setblocking",
        c"setblocking(flag): whether calls wait.",
        options::setblocking,
    ),
    Method::placed(
        c"setsockopt",
        c"setsockopt(level, option, value[, size]): an integer, bytes, or None with a size.",
        options::setsockopt,
    ),
    Method::one(
        c"settimeout",
        c"settimeout(seconds or None): how long each call waits.",
        options::settimeout,
    ),
    Method::one(
        c"shutdown",
        c"shutdown(how): ends sending, receiving or both.",
        calls::shutdown,
    ),
]);

impl Class for Socket {
    const HAS_FINALIZE: bool = true;
    const HAS_INIT: bool = true;
    const HAS_REPR: bool = true;

    fn make(_class: &Object, _arguments: &Arguments<'_>) -> Result<Self> {
        Ok(Self::empty())
    }

    fn init(this: &Instance<Self>, arguments: &Arguments<'_>) -> Result<()> {
        let [family, kind, protocol, fileno] =
            arguments.bind("socket", ["family", "type", "proto", "fileno"], 0, 4)?;
        let number = |given: Option<&Object>| given.map_or(Ok(-1), c_int::of);
        let (family, kind, protocol) = (number(family)?, number(kind)?, number(protocol)?);
        audit_numbers(c"socket.__new__", this.object(), [family, kind, protocol])?;
        let state = MODULE.state_of_class(this.class())?;
        let facts = Facts {
            family,
            kind,
            protocol,
        };
        match fileno.filter(|fileno| !fileno.is_none()) {
            Some(fileno) => this.adopt(state, facts, fileno),
            None => this.open(state, facts),
        }
    }

    fn repr(this: &Instance<Self>) -> Result<Owned> {
        Owned::text(&format!(
            "<socket object, fd={}, family={}, type={}, proto={}>",
            this.fd.get(),
            this.family.get(),
            this.kind.get(),
            this.protocol.get()
        ))
    }

    fn finalize(this: &Instance<Self>) {
        if this.fd.get() == -1 {
            return;
        }
        // Before it is closed, so that whoever logs it can still ask the socket who it is.
        this.warn_unclosed();
        if let Err(raised) = this.end(Ending::Close) {
            raised.forget();
        }
    }
}

/// What a socket is made as; -1 for what is not said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    pub(super) family: c_int,
    pub(super) kind: c_int,
    pub(super) protocol: c_int,
}

impl Socket {
    /// One that is not open.
    const fn empty() -> Self {
        Self {
            fd: Cell::new(-1),
            family: Cell::new(0),
            kind: Cell::new(0),
            protocol: Cell::new(0),
            error_handler: py::raise_errno,
            timeout: Cell::new(timeout::NONE),
            ending: Cell::new(Ending::Open),
            socket: RefCell::new(None),
        }
    }

    /// A new one that is open.
    pub(super) fn of(socket: berkeley::Socket, facts: Facts, timeout: i64) -> Result<Self> {
        let this = Self::empty();
        this.settle(socket, facts, timeout)?;
        Ok(this)
    }

    /// Becomes this socket.
    ///
    /// # Errors
    /// `RuntimeError` for an object that is made anew while another thread still uses what it was.
    fn settle(&self, socket: berkeley::Socket, facts: Facts, timeout: i64) -> Result<()> {
        let Ok(mut place) = self.socket.try_borrow_mut() else {
            return Err(Exception::Runtime.raise("the socket is in use by another thread"));
        };
        self.fd.set(socket.as_fd().as_raw_fd());
        self.family.set(facts.family);
        self.kind
            .set(Kind::from_raw(facts.kind).without_flags().raw());
        self.protocol.set(facts.protocol);
        self.timeout.set(timeout);
        self.ending.set(Ending::Open);
        *place = Some(socket);
        Ok(())
    }

    /// Makes a socket.
    fn open(&self, state: &State, facts: Facts) -> Result<()> {
        self.end(Ending::Close)?;
        let or = |value: c_int, other: c_int| if value == -1 { other } else { value };
        let facts = Facts {
            family: or(facts.family, Family::INET.raw()),
            kind: or(facts.kind, Kind::STREAM.raw()),
            protocol: or(facts.protocol, 0),
        };
        let (family, kind) = (Family::from_raw(facts.family), Kind::from_raw(facts.kind));
        let protocol = Protocol::from_raw(facts.protocol);
        let timeout = limit_of(state, kind);
        let mode = timeout::mode(timeout);
        let socket = unlocked(|| berkeley::Socket::with_mode(family, kind, protocol, mode));
        self.settle(socket.or_raise()?, facts, timeout)
    }

    /// Takes over a descriptor.
    fn adopt(&self, state: &State, facts: Facts, fileno: &Object) -> Result<()> {
        if fileno.is_float() {
            return Err(Exception::Type.raise("integer argument expected, got float"));
        }
        let number = c_int::of(fileno)?;
        self.end(Ending::Close)?;
        let Some(fd) = descriptor::taken(number) else {
            return Err(Exception::Value.raise("negative file descriptor"));
        };
        let unknown = berkeley::Socket::adopt_as(
            fd,
            Mode::Block,
            Family::UNSPEC,
            Kind::STREAM,
            Protocol::DEFAULT,
        );
        let found = found(&unknown, facts);
        let fd = unknown.detach();
        match found {
            Ok(facts) => self.adopt_as(state, facts, fd),
            Err(error) => {
                // It is not ours: whoever named it goes on with it.
                let _number = fd.into_raw_fd();
                Err(raise(error))
            }
        }
    }

    /// The same when all is known.
    fn adopt_as(&self, state: &State, facts: Facts, fd: OwnedFd) -> Result<()> {
        let kind = Kind::from_raw(facts.kind);
        let timeout = limit_of(state, kind);
        let mode = timeout::mode(timeout);
        let socket = berkeley::Socket::adopt_as(
            fd,
            mode,
            Family::from_raw(facts.family),
            kind,
            Protocol::from_raw(facts.protocol),
        );
        if state.default_timeout.get() >= 0 && mode != Mode::Block {
            let set = unlocked(|| socket.set_mode(mode));
            set.or_raise()?;
        }
        self.settle(socket, facts, timeout)
    }

    pub(super) fn family(&self) -> Family {
        Family::from_raw(self.family.get())
    }

    pub(super) fn protocol(&self) -> Protocol {
        Protocol::from_raw(self.protocol.get())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.fd.get() == -1
    }

    pub(super) fn timeout(&self) -> i64 {
        self.timeout.get()
    }

    /// Chooses the time limit.
    pub(super) fn set_timeout(&self, timeout: i64) -> Result<()> {
        self.timeout.set(timeout);
        self.using(|socket| unlocked(|| socket.set_mode(timeout::mode(timeout))))
    }

    /// Makes a call of the socket, with the interpreter's lock let go of around the system call.
    ///
    /// # Errors
    /// `OSError` with `EBADF` for one that is closed, and what the call says.
    #[inline]
    pub(super) fn call<T>(
        &self,
        call: impl FnOnce(Hooked<'_, Interpreter>) -> berkeley::Result<T>,
    ) -> Result<T> {
        self.using(|socket| call(socket.with_hook(&Interpreter)))
    }

    /// The same for calls that do not wait, or let go of the lock themselves.
    #[inline]
    pub(super) fn using<T>(
        &self,
        call: impl FnOnce(&berkeley::Socket) -> berkeley::Result<T>,
    ) -> Result<T> {
        let result = {
            let place = self.socket.borrow();
            match (&*place, self.ending.get()) {
                (Some(socket), Ending::Open) => call(socket),
                _ => return Err(Raised::errno(Errno::EBADF)),
            }
        };
        if self.ending.get() != Ending::Open {
            self.finish()?;
        }
        result.or_raise()
    }

    /// Ends the object's hold of the descriptor. While other threads have calls under way the
    /// number stays taken, so that none of them can meet somebody else's file under it.
    fn end(&self, ending: Ending) -> Result<()> {
        if self.fd.replace(-1) == -1 {
            return Ok(());
        }
        self.ending.set(ending);
        let is_in_use = self.socket.try_borrow_mut().is_err();
        let mut closed = Ok(());
        if ending == Ending::Close
            && is_in_use
            && let Ok(place) = self.socket.try_borrow()
            && let Some(socket) = &*place
        {
            // The connection ends when the last of the calls that are under way is back.
            closed = unlocked(|| socket.close()).or_raise();
        }
        // They may have come back meanwhile.
        self.finish().and(closed)
    }

    /// Does what the last user has to do, unless there are others.
    fn finish(&self) -> Result<()> {
        let Ok(Some(socket)) = self.socket.try_borrow_mut().map(|mut place| place.take()) else {
            return Ok(());
        };
        let fd = socket.detach();
        match self.ending.get() {
            Ending::Detach | Ending::Open => {
                let _number = fd.into_raw_fd();
                Ok(())
            }
            Ending::Close => match unlocked(|| berkeley::close(fd)) {
                // The peer was faster: that is no matter of closing.
                Err(error) if error.errno() != Some(Errno::ECONNRESET) => Err(raise(error)),
                _ => Ok(()),
            },
        }
    }
}

/// The time limit of a new socket.
fn limit_of(state: &State, kind: Kind) -> i64 {
    if kind.is_nonblocking() {
        0
    } else {
        state.default_timeout.get()
    }
}

/// What is known of a descriptor when the kernel has been asked for what was not said.
fn found(socket: &berkeley::Socket, facts: Facts) -> berkeley::Result<Facts> {
    let family = match facts.family {
        -1 => socket.get(opt::Domain)?.raw(),
        family => family,
    };
    // Asked in any case: it tells what is no socket.
    let told = socket.get(opt::Type)?.raw();
    let kind = if facts.kind == -1 { told } else { facts.kind };
    let protocol = match facts.protocol {
        -1 => socket.get(opt::ProtocolNumber)?.raw(),
        protocol => protocol,
    };
    Ok(Facts {
        family,
        kind,
        protocol,
    })
}

fn close(this: &Instance<Socket>) -> Result<Owned> {
    this.end(Ending::Close)?;
    Ok(Owned::none())
}

fn detach(this: &Instance<Socket>) -> Result<Owned> {
    let fd = this.fd.get();
    this.end(Ending::Detach)?;
    Owned::integer(fd.into())
}

fn fileno(this: &Instance<Socket>) -> Result<Owned> {
    Owned::integer(this.fd.get().into())
}
