//! A wake-up from another thread.

use core::sync::atomic::{AtomicBool, Ordering};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::sys;

/// Wakes a thread that waits in a selector: raise it in another one.
///
/// [`Selector::waker`](crate::selector::Selector::waker) makes one that its selector lowers by
/// itself. One of [`Waker::new`] can be registered for reading with any selector, or be waited for
/// by poll(2), and has to be lowered before it is looked for what was sent.
///
/// Cheap to clone. Raising it many times before it is lowered wakes once, and costs one system
/// call in all. What the raising thread did before is seen by the one that was woken. It belongs to
/// the process that made it: a child of fork(2) makes its own.
///
/// # References
/// eventfd(2).
#[derive(Debug, Clone)]
pub struct Waker(Arc<Counter>);

#[derive(Debug)]
struct Counter {
    fd: OwnedFd,
    is_raised: AtomicBool,
}

impl Waker {
    /// Makes one.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE` when descriptors have run out.
    pub fn new() -> Result<Self> {
        let fd = sys::event::eventfd().map_err(|errno| Error::os("eventfd", errno))?;
        let is_raised = AtomicBool::new(false);
        Ok(Self(Arc::new(Counter { fd, is_raised })))
    }

    /// Makes the waker's descriptor readable.
    pub fn raise(&self) {
        if !self.0.is_raised.swap(true, Ordering::AcqRel) {
            sys::event::eventfd_raise(self.0.fd.as_fd());
        }
    }

    /// Makes it unreadable again; true if it was raised since the last time.
    pub fn lower(&self) -> bool {
        // In this order: who raises it in between is not heard by the kernel any more, but comes
        // before the caller looks for what was sent. The other way round its count would be taken
        // away here, and every raise after it would rely on that count.
        let counted = sys::event::eventfd_lower(self.0.fd.as_fd());
        self.forget() || counted
    }

    /// Lets the next raise reach the kernel, which is enough for one that is watched for edges;
    /// true if it was raised.
    pub(crate) fn forget(&self) -> bool {
        self.0.is_raised.swap(false, Ordering::AcqRel)
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}
