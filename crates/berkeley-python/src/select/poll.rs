//! Objects that wait by poll(2).

use core::cell::{Cell, RefCell};

use berkeley::Errno;
use berkeley::select::{self, PollFlags};

use super::{MODULE, waiting};
use crate::py::{
    Arguments, Class, Exception, Instance, Integer, Method, Methods, Module, Object, Owned, Raised,
    Result, Traits, TypeSpec, descriptor,
};
use crate::socket::{Interpreter, OrRaise};

/// The descriptors that an object waits for.
pub(super) struct Poll {
    list: RefCell<select::Poll>,
    /// What a wait has: a copy, since the list may change while it goes on.
    waiting: RefCell<select::Poll>,
    /// True if the copy is of another time.
    is_stale: Cell<bool>,
}

pub(super) static SPEC: TypeSpec = TypeSpec::new(
    c"select.poll",
    c"Descriptors to wait for by poll(2).",
    Traits {
        is_base: false,
        is_callable: false,
    },
    &METHODS,
);

static METHODS: Methods<4> = Methods::new([
    Method::placed(
        c"modify",
        c"modify($self, fd, eventmask, /)\n--\n\nWaits for other events.",
        modify,
    ),
    Method::placed(
        c"poll",
        c"poll($self, timeout=None, /)\n--\n\n\
          A list of (fd, event); the time limit is in milliseconds.",
        poll,
    ),
    Method::placed(
        c"register",
        c"register($self, fd,\n         \
          eventmask=select.POLLIN | select.POLLPRI | select.POLLOUT, /)\n--\n\n\
          Waits for events of it.",
        register,
    ),
    Method::one(
        c"unregister",
        c"unregister($self, fd, /)\n--\n\nWaits for it no more.",
        unregister,
    ),
]);

impl Class for Poll {
    fn make(_class: &Object, _arguments: &Arguments<'_>) -> Result<Self> {
        Ok(Self {
            list: RefCell::default(),
            waiting: RefCell::default(),
            is_stale: Cell::new(false),
        })
    }
}

pub(super) fn new(module: &Module) -> Result<Owned> {
    let poll = Poll {
        list: RefCell::default(),
        waiting: RefCell::default(),
        is_stale: Cell::new(false),
    };
    Instance::create(&MODULE.state(module)?.poll, poll)
}

/// The events to wait for.
///
/// # Errors
/// `ValueError` for a negative number, `OverflowError` for one beyond 16 bits.
fn mask_of(given: &Object) -> Result<PollFlags> {
    let mask = i64::of(given)?;
    if mask < 0 {
        return Err(Exception::Value.raise("value must be positive"));
    }
    u16::try_from(mask)
        .map(|mask| PollFlags::from_raw(mask.cast_signed()))
        .map_err(|_too_large| {
            Exception::Overflow.raise("Python int too large for C unsigned short")
        })
}

fn fd_of(object: &Object) -> Result<std::os::fd::BorrowedFd<'static>> {
    descriptor::lent(object.descriptor()?).ok_or_else(|| Raised::errno(Errno::EBADF))
}

fn register(this: &Instance<Poll>, given: &[&Object]) -> Result<Owned> {
    let ([fd] | [fd, _]) = given else {
        return Err(wrong_count("register", "1 or 2 arguments", given));
    };
    let fd = fd_of(fd)?;
    let usual = PollFlags::IN | PollFlags::PRI | PollFlags::OUT;
    let mask = given.get(1).map_or(Ok(usual), |mask| mask_of(mask))?;
    this.list.borrow_mut().register(&fd, mask);
    this.is_stale.set(true);
    Ok(Owned::none())
}

fn modify(this: &Instance<Poll>, given: &[&Object]) -> Result<Owned> {
    let [fd, mask] = given else {
        return Err(wrong_count("modify", "2 arguments", given));
    };
    let (fd, mask) = (fd_of(fd)?, mask_of(mask)?);
    this.list.borrow_mut().modify(&fd, mask).or_raise()?;
    this.is_stale.set(true);
    Ok(Owned::none())
}

fn unregister(this: &Instance<Poll>, fd: &Object) -> Result<Owned> {
    let number = fd.descriptor()?;
    if this.list.borrow_mut().unregister(number).is_err() {
        let number = Owned::integer(number.into())?;
        return Err(Raised::of(Exception::Key.class(), &number));
    }
    this.is_stale.set(true);
    Ok(Owned::none())
}

fn poll(this: &Instance<Poll>, given: &[&Object]) -> Result<Owned> {
    if given.len() > 1 {
        return Err(wrong_count("poll", "at most 1 argument", given));
    }
    let limit = waiting::in_milliseconds(given.first().copied())?;
    let Ok(mut list) = this.waiting.try_borrow_mut() else {
        return Err(Exception::Runtime.raise("concurrent poll() invocation"));
    };
    if this.is_stale.replace(false) {
        list.clone_from(&this.list.borrow());
    }
    let told = list.poll_with(&Interpreter, limit).or_raise()?;
    Owned::list_of(told.map(|event| {
        let flags = event.flags.raw().cast_unsigned();
        Owned::tuple_of([
            Owned::integer(event.fd.into())?,
            Owned::integer(flags.into())?,
        ])
    }))
}

#[cold]
fn wrong_count(called: &str, takes: &str, given: &[&Object]) -> Raised {
    let count = given.len();
    Exception::Type.raise(&format!("{called}() takes {takes} ({count} given)"))
}
