//! select(2).

use std::os::fd::RawFd;

use berkeley::select::{FD_SETSIZE, FdSet, select_with};

use super::waiting;
use crate::py::{Exception, Module, Object, Owned, Result, descriptor};
use crate::socket::{Interpreter, OrRaise};

/// One of the lists: its objects with their descriptors.
struct Watched {
    objects: Vec<(Owned, RawFd)>,
    set: FdSet,
}

impl Watched {
    fn of(list: &Object) -> Result<Self> {
        let mut watched = Self {
            objects: Vec::new(),
            set: FdSet::new(),
        };
        // Asking for a descriptor may change the list.
        list.each(c"arguments 1-3 must be sequences", |object| {
            let fd = object.descriptor()?;
            let out_of_range = || Exception::Value.raise("filedescriptor out of range in select()");
            let lent = descriptor::lent(fd).ok_or_else(out_of_range)?;
            watched.set.insert(&lent).map_err(|_error| out_of_range())?;
            if watched.objects.len() >= FD_SETSIZE {
                return Err(Exception::Value.raise("too many file descriptors in select()"));
            }
            watched.objects.push((object.share(), fd));
            Ok(())
        })?;
        Ok(watched)
    }

    fn ready(&self) -> Result<Owned> {
        let ready = self
            .objects
            .iter()
            .filter(|(_, fd)| descriptor::lent(*fd).is_some_and(|fd| self.set.contains(&fd)));
        Owned::list_of(ready.map(|(object, _)| Ok(object.share())))
    }
}

pub(super) fn select(_module: &Module, given: &[&Object]) -> Result<Owned> {
    let ([read, write, except] | [read, write, except, _]) = given else {
        return Err(Exception::Type.raise(&format!(
            "select() takes 3 or 4 arguments ({} given)",
            given.len()
        )));
    };
    let limit = waiting::of_select(given.get(3).copied())?;
    let mut read = Watched::of(read)?;
    let mut write = Watched::of(write)?;
    let mut except = Watched::of(except)?;
    select_with(
        &Interpreter,
        &mut read.set,
        &mut write.set,
        &mut except.set,
        limit,
    )
    .or_raise()?;
    Owned::tuple_of([read.ready()?, write.ready()?, except.ready()?])
}
