//! A selector that keeps what it watches.

use core::time::Duration;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use super::{Backend, Event, Interest, Key, Ready, Selector, Trigger};
use crate::errno::Errno;
use crate::error::{Error, Result};

/// What a [`SelectorMap`] keeps of one registration.
///
/// # References
/// Python's `selectors.SelectorKey`.
#[derive(Debug)]
pub struct SelectorKey<F, T> {
    /// The file: the map's own, or a reference.
    pub file: F,
    /// What it is watched for.
    pub interest: Interest,
    /// What the caller keeps beside it.
    pub data: T,
}

/// A selector together with the files that it watches and something of the caller's beside each,
/// as the classes of Python's `selectors` module are.
///
/// The files are known by their descriptors' numbers. Since the map has them in its hands, none is
/// closed before it is unregistered; give it references where somebody else needs the files too.
///
/// ```
/// use berkeley::selector::{Interest, SelectorMap};
/// use berkeley::{Family, Kind, Socket};
///
/// # fn main() -> Result<(), berkeley::Error> {
/// let (a, b) = Socket::pair(Family::UNIX, Kind::STREAM)?;
/// let mut selector = SelectorMap::new()?;
/// selector.register(b, Interest::READABLE, "the second one")?;
/// a.send_all(b"x")?;
/// for (key, ready) in selector.select(None)? {
///     assert!(key.data == "the second one" && ready.is_readable());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[doc(alias("DefaultSelector", "BaseSelector"))]
pub struct SelectorMap<F, T = ()> {
    selector: Box<dyn Selector>,
    keys: BTreeMap<RawFd, SelectorKey<F, T>>,
    events: Vec<Event>,
}

/// A descriptor is its own key.
fn key(fd: RawFd) -> Key {
    Key(u64::from(fd.unsigned_abs()))
}

impl<F: AsFd, T> SelectorMap<F, T> {
    /// One on the best back end.
    ///
    /// # Errors
    /// As [`Backend::open`].
    pub fn new() -> Result<Self> {
        Self::with(Backend::BEST)
    }

    /// One on the back end of the caller's choice.
    ///
    /// # Errors
    /// As [`Backend::open`].
    pub fn with(backend: Backend) -> Result<Self> {
        Ok(Self {
            selector: backend.open()?,
            keys: BTreeMap::new(),
            events: Vec::new(),
        })
    }

    /// The selector within.
    #[must_use]
    pub fn selector(&self) -> &dyn Selector {
        self.selector.as_ref()
    }

    /// Watches a file as long as something is the case ([`Trigger::Level`]); answers the number
    /// of its descriptor.
    ///
    /// # Errors
    /// As [`Selector::register`]; the file is dropped then.
    pub fn register(&mut self, file: F, interest: Interest, data: T) -> Result<RawFd> {
        let fd = file.as_fd();
        let number = fd.as_raw_fd();
        self.selector
            .register(fd, key(number), interest, Trigger::Level)?;
        let entry = SelectorKey {
            file,
            interest,
            data,
        };
        self.keys.insert(number, entry);
        Ok(number)
    }

    /// Changes what a file is watched for and what is kept beside it; answers what was.
    ///
    /// # Errors
    /// `ENOENT` if it is not watched; else as [`Selector::modify`].
    pub fn modify(&mut self, fd: RawFd, interest: Interest, data: T) -> Result<T> {
        let entry = self.keys.get_mut(&fd).ok_or_else(unknown)?;
        let file = entry.file.as_fd();
        self.selector
            .modify(file, key(fd), interest, Trigger::Level)?;
        entry.interest = interest;
        Ok(core::mem::replace(&mut entry.data, data))
    }

    /// Stops watching a file, and gives it back.
    ///
    /// # Errors
    /// `ENOENT` if it is not watched.
    pub fn unregister(&mut self, fd: RawFd) -> Result<SelectorKey<F, T>> {
        let entry = self.keys.remove(&fd).ok_or_else(unknown)?;
        match self.selector.unregister(entry.file.as_fd()) {
            // A socket that was closed in its place is forgotten already.
            Err(error) if !matches!(error.errno(), Some(Errno::ENOENT | Errno::EBADF)) => {
                self.keys.insert(fd, entry);
                Err(error)
            }
            _ => Ok(entry),
        }
    }

    /// Waits at most `limit`; shows who is ready, which is nobody if the limit passes.
    ///
    /// # Errors
    /// As [`Selector::wait`].
    pub fn select(
        &mut self,
        limit: Option<Duration>,
    ) -> Result<impl Iterator<Item = (&SelectorKey<F, T>, Ready)>> {
        self.selector.wait(&mut self.events, limit)?;
        let keys = &self.keys;
        Ok(self.events.iter().filter_map(move |event| {
            let number = RawFd::try_from(event.key.0).ok()?;
            Some((keys.get(&number)?, event.ready))
        }))
    }

    /// What is kept of a file.
    #[must_use]
    pub fn key(&self, fd: RawFd) -> Option<&SelectorKey<F, T>> {
        self.keys.get(&fd)
    }

    /// All that is watched, by the descriptors' numbers.
    #[doc(alias = "get_map")]
    pub fn keys(&self) -> impl Iterator<Item = (RawFd, &SelectorKey<F, T>)> {
        self.keys.iter().map(|(fd, entry)| (*fd, entry))
    }
}

fn unknown() -> Error {
    Error::os("selector", Errno::ENOENT)
}
