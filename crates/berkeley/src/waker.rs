//! A wake-up from another thread.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::sys;

/// Wakes a thread that waits in a selector: register it for reading there, raise it elsewhere.
///
/// Cheap to clone. Raising it many times before it is lowered wakes once.
///
/// # References
/// eventfd(2).
#[derive(Debug, Clone)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// Makes one.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE` when descriptors have run out.
    pub fn new() -> Result<Self> {
        sys::event::eventfd()
            .map(|fd| Self(Arc::new(fd)))
            .map_err(|errno| Error::os("eventfd", errno))
    }

    /// Makes the waker's descriptor readable.
    pub fn raise(&self) {
        sys::event::eventfd_raise(self.0.as_fd());
    }

    /// Makes it unreadable again; true if it was raised since the last time.
    pub fn lower(&self) -> bool {
        sys::event::eventfd_lower(self.0.as_fd())
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
