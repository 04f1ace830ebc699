//! Objects that wait by epoll(7).

use core::cell::{Cell, RefCell};
use core::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use berkeley::Errno;
use berkeley::select::{self, EpollFlags, FD_SETSIZE};

use super::waiting;
use crate::py::{
    Arguments, Class, Exception, Getter, Getters, Instance, Integer, Method, Methods, Object,
    Owned, Raised, Result, Traits, TypeSpec, descriptor, unlocked,
};
use crate::socket::{Interpreter, OrRaise, raise};

/// A list of the kernel's.
pub(super) struct Epoll {
    /// Borrowed by each call that uses it: the last one of these closes a closed one.
    epoll: RefCell<Option<select::Epoll>>,
    is_closed: Cell<bool>,
}

pub(super) static SPEC: TypeSpec = TypeSpec::new(
    c"select.epoll",
    c"epoll(sizehint=-1, flags=0)\n\nDescriptors to wait for by epoll(7). The arguments have no \
    effect any more.",
    Traits {
        is_base: false,
        is_callable: true,
    },
    &METHODS,
)
.getters(&GETTERS);

static GETTERS: Getters<1> = Getters::new([Getter::new(
    c"closed",
    c"True if the object is closed.",
    is_closed,
)]);

static METHODS: Methods<9> = Methods::new([
    Method::bare(
        c"__enter__",
        c"__enter__($self, /)\n--\n\nThe object itself.",
        enter,
    ),
    Method::placed(
        c"__exit__",
        c"__exit__($self, exc_type=None, exc_value=None, exc_tb=None, /)\n--\n\n\
          Closes the object.",
        exit,
    ),
    Method::bare(
        c"close",
        c"close($self, /)\n--\n\nCloses the object.",
        close,
    ),
    Method::bare(
        c"fileno",
        c"fileno($self, /)\n--\n\nThe descriptor of the list.",
        fileno,
    ),
    Method::one::<Object, _>(
        c"fromfd",
        c"fromfd($type, fd, /)\n--\n\nAn object for a list that is there.",
        fromfd,
    )
    .on_class(),
    Method::named(
        c"modify",
        c"modify($self, /, fd, eventmask)\n--\n\nWaits for other events.",
        modify,
    ),
    Method::named(
        c"poll",
        c"poll($self, /, timeout=None, maxevents=-1)\n--\n\n\
          A list of (fd, events); the time limit is in seconds.",
        poll,
    ),
    Method::named(
        c"register",
        c"register($self, /, fd,\n         \
          eventmask=select.EPOLLIN | select.EPOLLPRI | select.EPOLLOUT)\n--\n\n\
          Waits for events of it.",
        register,
    ),
    Method::named(
        c"unregister",
        c"unregister($self, /, fd)\n--\n\nWaits for it no more.",
        unregister,
    ),
]);

impl Class for Epoll {
    fn make(_class: &Object, arguments: &Arguments<'_>) -> Result<Self> {
        let [size, flags] = arguments.bind("epoll", ["sizehint", "flags"], 0, 2)?;
        let size = size.map_or(Ok(-1), c_int::of)?;
        let flags = flags.map_or(Ok(0), c_int::of)?;
        if size != -1 && size <= 0 {
            return Err(Exception::Value.raise("negative sizehint"));
        }
        if flags & !libc::EPOLL_CLOEXEC != 0 {
            return Err(Exception::Os.raise("invalid flags"));
        }
        unlocked(select::Epoll::new).or_raise().map(Self::of)
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        if let Some(epoll) = self.epoll.get_mut().take() {
            // Nobody is there to be told.
            drop(berkeley::close(epoll.into()));
        }
    }
}

impl Epoll {
    const fn of(epoll: select::Epoll) -> Self {
        Self {
            epoll: RefCell::new(Some(epoll)),
            is_closed: Cell::new(false),
        }
    }

    fn using<T>(&self, call: impl FnOnce(&select::Epoll) -> berkeley::Result<T>) -> Result<T> {
        let result = {
            let place = self.epoll.borrow();
            match &*place {
                Some(epoll) if !self.is_closed.get() => call(epoll),
                _ => {
                    return Err(Exception::Value.raise("I/O operation on closed epoll object"));
                }
            }
        };
        if self.is_closed.get() {
            self.end()?;
        }
        result.or_raise()
    }

    /// Closes it, unless another thread still uses it.
    fn end(&self) -> Result<()> {
        self.is_closed.set(true);
        let Ok(Some(epoll)) = self.epoll.try_borrow_mut().map(|mut place| place.take()) else {
            return Ok(());
        };
        let fd = OwnedFd::from(epoll);
        unlocked(|| berkeley::close(fd)).map_err(raise)
    }
}

fn is_closed(this: &Instance<Epoll>) -> Result<Owned> {
    Ok(Owned::boolean(this.is_closed.get()))
}

fn enter(this: &Instance<Epoll>) -> Result<Owned> {
    this.using(|_open| Ok(()))?;
    Ok(this.object().share())
}

fn exit(this: &Instance<Epoll>, _given: &[&Object]) -> Result<Owned> {
    close(this)
}

fn close(this: &Instance<Epoll>) -> Result<Owned> {
    this.end()?;
    Ok(Owned::none())
}

fn fileno(this: &Instance<Epoll>) -> Result<Owned> {
    let fd = this.using(|epoll| Ok(epoll.as_fd().as_raw_fd()))?;
    Owned::integer(fd.into())
}

fn fromfd(class: &Object, fd: &Object) -> Result<Owned> {
    let Some(fd) = descriptor::taken(c_int::of(fd)?) else {
        return Err(Raised::errno(Errno::EBADF));
    };
    Instance::create(class, Epoll::of(select::Epoll::from(fd)))
}

/// The descriptor and the events of a call.
fn watched(
    called: &str,
    given: &Arguments<'_>,
    required: usize,
) -> Result<(BorrowedFd<'static>, EpollFlags)> {
    let [fd, mask] = given.bind(called, ["fd", "eventmask"], required, 2)?;
    let fd = fd.map_or(Ok(-1), Object::descriptor)?;
    let usual = EpollFlags::IN | EpollFlags::PRI | EpollFlags::OUT;
    let mask = mask.map_or(Ok(usual), |mask| u32::of(mask).map(EpollFlags::from_raw))?;
    let fd = descriptor::lent(fd).ok_or_else(|| Raised::errno(Errno::EBADF))?;
    Ok((fd, mask))
}

/// What the kernel keeps with a descriptor: its number.
fn key(fd: BorrowedFd<'_>) -> u64 {
    fd.as_raw_fd().unsigned_abs().into()
}

fn register(this: &Instance<Epoll>, given: &Arguments<'_>) -> Result<Owned> {
    this.using(|_open| Ok(()))?;
    let (fd, mask) = watched("register", given, 1)?;
    this.using(|epoll| unlocked(|| epoll.register(&fd, mask, key(fd))))?;
    Ok(Owned::none())
}

fn modify(this: &Instance<Epoll>, given: &Arguments<'_>) -> Result<Owned> {
    this.using(|_open| Ok(()))?;
    let (fd, mask) = watched("modify", given, 2)?;
    this.using(|epoll| unlocked(|| epoll.modify(&fd, mask, key(fd))))?;
    Ok(Owned::none())
}

fn unregister(this: &Instance<Epoll>, given: &Arguments<'_>) -> Result<Owned> {
    this.using(|_open| Ok(()))?;
    let [fd] = given.bind("unregister", ["fd"], 1, 1)?;
    let fd = fd.map_or(Ok(-1), Object::descriptor)?;
    let fd = descriptor::lent(fd).ok_or_else(|| Raised::errno(Errno::EBADF))?;
    this.using(|epoll| unlocked(|| epoll.unregister(&fd)))?;
    Ok(Owned::none())
}

fn poll(this: &Instance<Epoll>, given: &Arguments<'_>) -> Result<Owned> {
    this.using(|_open| Ok(()))?;
    let [limit, max] = given.bind("poll", ["timeout", "maxevents"], 0, 2)?;
    let limit = waiting::in_seconds(limit)?;
    let max = match max.map_or(Ok(-1), c_int::of)? {
        -1 => FD_SETSIZE - 1,
        max => usize::try_from(max)
            .ok()
            .filter(|max| *max > 0)
            .ok_or_else(|| {
                Exception::Value.raise(&format!("maxevents must be greater than 0, got {max}"))
            })?,
    };
    let mut events = Vec::new();
    this.using(|epoll| epoll.poll_with(&Interpreter, &mut events, max, limit))?;
    Owned::list_of(events.iter().map(|event| {
        Owned::tuple_of([
            Owned::unsigned(event.data)?,
            Owned::integer(event.flags.raw().into())?,
        ])
    }))
}
