//! The module `select`.

mod epoll;
mod list;
mod poll;
pub(crate) mod waiting;

use crate::py::{
    self, Definition, Exception, Method, Methods, Module, Owned, Result, SLOTS, Visit,
};

/// What the module keeps.
pub(crate) struct State {
    poll: Owned,
    epoll: Owned,
}

impl py::State for State {
    fn visit(&self, visit: &mut Visit<'_>) {
        visit(&self.poll);
        visit(&self.epoll);
    }
}

pub(crate) static MODULE: Definition<State, SLOTS> = Definition::new(
    c"select",
    c"Waiting for many descriptors: select(2), poll(2) and epoll(7) as the kernel has them.",
    &FUNCTIONS,
    fill,
);

static FUNCTIONS: Methods<2> = Methods::new([
    Method::bare(
        c"poll",
        c"poll($module, /)\n--\n\nAn object that waits for descriptors by poll(2).",
        poll::new,
    ),
    Method::placed(
        c"select",
        c"select($module, rlist, wlist, xlist, timeout=None, /)\n--\n\nThose of each list that are \
          ready; the time limit is in seconds.",
        list::select,
    ),
]);

/// What the interpreter's own module has.
macro_rules! constants {
    ($($name:ident)*) => {
        [$((c_name(concat!(stringify!($name), "\0")), libc::$name as i64),)*]
    };
}

const fn c_name(name: &'static str) -> &'static core::ffi::CStr {
    match core::ffi::CStr::from_bytes_with_nul(name.as_bytes()) {
        Ok(name) => name,
        Err(_) => c"",
    }
}

fn fill(module: &Module) -> Result<State> {
    module.add(c"error", Exception::Os.class())?;
    let numbers = constants! {
        EPOLLERR EPOLLEXCLUSIVE EPOLLHUP EPOLLIN EPOLLMSG EPOLLONESHOT EPOLLOUT EPOLLPRI
        EPOLLRDBAND EPOLLRDHUP EPOLLRDNORM EPOLLWRBAND EPOLLWRNORM EPOLL_CLOEXEC PIPE_BUF POLLERR
        POLLHUP POLLIN POLLNVAL POLLOUT POLLPRI POLLRDBAND POLLRDHUP POLLRDNORM POLLWRBAND
        POLLWRNORM
    };
    // The one is negative as C's `int`, and the other is not in `libc`.
    let more = [(c"EPOLLET", 1 << 31), (c"POLLMSG", 0x400)];
    for (name, value) in numbers.into_iter().chain(more) {
        module.add(name, &*Owned::integer(value)?)?;
    }
    let poll = poll::SPEC.create::<poll::Poll>(module.object())?;
    let epoll = epoll::SPEC.create::<epoll::Epoll>(module.object())?;
    module.add(c"epoll", &epoll)?;
    Ok(State { poll, epoll })
}
