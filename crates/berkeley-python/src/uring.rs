//! The module `_uring`: a selector over io_uring, which the language has none of.

use core::time::Duration;
use std::time::Instant;

use berkeley::Error;
use berkeley::selector::{Interest, IoUring, Key, Ready, Selector, Trigger};

use crate::py::{
    self, Arguments, Class, Definition, Exception, Instance, Integer, Method, Methods, Module,
    Object, Owned, Raised, Result, SLOTS, Traits, TypeSpec, Visit, check_signals, descriptor,
    unlocked,
};
use crate::select::waiting;
use crate::socket::{OrRaise, raise};

/// What the module keeps.
pub(crate) struct State {
    class: Owned,
}

impl py::State for State {
    fn visit(&self, visit: &mut Visit<'_>) {
        visit(&self.class);
    }
}

pub(crate) static MODULE: Definition<State, SLOTS> = Definition::new(
    c"_uring",
    c"Waiting for many descriptors over io_uring.",
    &FUNCTIONS,
    fill,
);

static FUNCTIONS: Methods<0> = Methods::new([]);

/// What a descriptor is waited for, and is ready for: the numbers of `selectors`.
const EVENT_READ: u32 = 1;
const EVENT_WRITE: u32 = 2;

/// A selector.
struct Ring(IoUring);

static SPEC: TypeSpec = TypeSpec::new(
    c"_uring.IoUring",
    c"Descriptors to wait for over io_uring.",
    Traits {
        is_base: false,
        is_callable: true,
    },
    &METHODS,
);

static METHODS: Methods<4> = Methods::new([
    Method::placed(
        c"modify",
        c"modify(fd, events): waits for other events.",
        modify,
    ),
    Method::placed(
        c"register",
        c"register(fd, events): waits for events of it.",
        register,
    ),
    Method::one(
        c"unregister",
        c"unregister(fd): waits for it no more.",
        unregister,
    ),
    Method::placed(
        c"wait",
        c"wait([seconds]): a list of (fd, events); no limit for None.",
        wait,
    ),
]);

fn fill(module: &Module) -> Result<State> {
    let class = SPEC.create::<Ring>(module.object())?;
    module.add(c"IoUring", &class)?;
    Ok(State { class })
}

impl Class for Ring {
    fn make(_class: &Object, arguments: &Arguments<'_>) -> Result<Self> {
        let [] = arguments.bind("IoUring", [], 0, 0)?;
        unlocked(IoUring::new).or_raise().map(Self)
    }
}

/// A descriptor's number and the events to wait for.
fn watched(called: &str, given: &[&Object]) -> Result<(i32, Interest)> {
    let [fd, events] = given else {
        return Err(Exception::Type.raise(&format!(
            "{called}() takes 2 arguments ({} given)",
            given.len()
        )));
    };
    let (fd, events) = (fd.descriptor()?, u32::of(events)?);
    match events {
        EVENT_READ => Ok((fd, Interest::READABLE)),
        EVENT_WRITE => Ok((fd, Interest::WRITABLE)),
        events if events == EVENT_READ | EVENT_WRITE => {
            Ok((fd, Interest::READABLE | Interest::WRITABLE))
        }
        events => Err(Exception::Value.raise(&format!("invalid events: {events}"))),
    }
}

/// The key is the number.
fn key(fd: i32) -> Key {
    Key(fd.unsigned_abs().into())
}

#[cold]
fn negative() -> Raised {
    Exception::Value.raise("a descriptor is not negative")
}

fn register(this: &Instance<Ring>, given: &[&Object]) -> Result<Owned> {
    let (fd, interest) = watched("register", given)?;
    let lent = descriptor::lent(fd).ok_or_else(negative)?;
    let ring = &this.0;
    unlocked(|| ring.register(lent, key(fd), interest, Trigger::Level)).or_raise()?;
    Ok(Owned::none())
}

fn modify(this: &Instance<Ring>, given: &[&Object]) -> Result<Owned> {
    let (fd, interest) = watched("modify", given)?;
    let lent = descriptor::lent(fd).ok_or_else(negative)?;
    let ring = &this.0;
    unlocked(|| ring.modify(lent, key(fd), interest, Trigger::Level)).or_raise()?;
    Ok(Owned::none())
}

fn unregister(this: &Instance<Ring>, fd: &Object) -> Result<Owned> {
    let lent = descriptor::lent(fd.descriptor()?).ok_or_else(negative)?;
    let ring = &this.0;
    unlocked(|| ring.unregister(lent)).or_raise()?;
    Ok(Owned::none())
}

fn wait(this: &Instance<Ring>, given: &[&Object]) -> Result<Owned> {
    let limit = waiting::in_seconds(given.first().copied())?;
    let (ring, start) = (&this.0, Instant::now());
    let mut events = Vec::new();
    loop {
        let left = limit.map(|limit: Duration| limit.saturating_sub(start.elapsed()));
        match unlocked(|| ring.wait_interruptibly(&mut events, left)) {
            Ok(()) => break,
            Err(Error::Interrupted { .. }) => check_signals()?,
            Err(error) => return Err(raise(error)),
        }
    }
    Owned::list_of(events.iter().map(|event| {
        Owned::tuple_of([
            Owned::unsigned(event.key.0)?,
            Owned::integer(told(event.ready).into())?,
        ])
    }))
}

/// What is ready, as `selectors` counts it: an error and a hang-up are to be read.
fn told(ready: Ready) -> u32 {
    let bit = |is, bit| if is { bit } else { 0 };
    bit(ready.is_readable(), EVENT_READ) | bit(ready.is_writable(), EVENT_WRITE)
}
