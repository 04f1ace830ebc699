//! Values from other threads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use berkeley::Waker;

#[derive(Debug)]
struct Shared<T> {
    values: Mutex<VecDeque<T>>,
    waker: Waker,
}

/// The end of a mailbox that other threads put values into; each wakes the reactor.
///
/// A mailbox has no limit of its own: it holds what its senders owe an answer to, and whoever
/// asks them bounds that.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// The end of a mailbox that the reactor's thread empties when [`crate::Handler::woken`] is called.
#[derive(Debug)]
pub struct Receiver<T>(Arc<Shared<T>>);

pub(crate) fn mailbox<T>(waker: Waker) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        values: Mutex::new(VecDeque::new()),
        waker,
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Sender<T> {
    /// Puts a value in and wakes the reactor.
    pub fn send(&self, value: T) {
        // A thread that panicked while it held the lock cannot have left a torn queue.
        self.0
            .values
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(value);
        self.0.waker.raise();
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Receiver<T> {
    /// Takes out all that is there, oldest first.
    #[must_use]
    pub fn take(&self) -> VecDeque<T> {
        core::mem::take(&mut *self.0.values.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
