//! Values from other threads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use berkeley::Waker;

/// Values that an empty mailbox keeps room for at most.
const KEPT_VALUES_MAX: usize = 1024;

#[derive(Debug)]
struct Shared<T> {
    rows: Mutex<Rows<T>>,
    waker: Waker,
}

/// What waits, and the room that the next ones go to when that was taken.
#[derive(Debug)]
struct Rows<T> {
    waiting: VecDeque<T>,
    spare: VecDeque<T>,
}

impl<T> Shared<T> {
    /// A thread that panicked while it held the lock cannot have left a torn queue.
    fn rows(&self) -> MutexGuard<'_, Rows<T>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a mailbox that other threads put values into; the first one wakes the reactor.
///
/// A mailbox has no limit of its own: it holds what its senders owe an answer to, and whoever
/// asks them bounds that.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// The end of a mailbox that the reactor's thread empties when [`crate::Handler::woken`] is called.
#[derive(Debug)]
pub struct Receiver<T>(Arc<Shared<T>>);

pub(crate) fn mailbox<T>(waker: Waker) -> (Sender<T>, Receiver<T>) {
    let rows = Mutex::new(Rows {
        waiting: VecDeque::new(),
        spare: VecDeque::new(),
    });
    let shared = Arc::new(Shared { rows, waker });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Sender<T> {
    /// Puts a value in, and wakes the reactor if the mailbox was empty: who takes the values that
    /// wait takes this one too. A value that wakes costs one system call, any other none.
    pub fn send(&self, value: T) {
        let mut rows = self.0.rows();
        let is_first = rows.waiting.is_empty();
        rows.waiting.push_back(value);
        drop(rows);
        if is_first {
            self.0.waker.raise();
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Receiver<T> {
    /// Takes out all that is there, oldest first. What is not taken does not wake the reactor
    /// again, nor does what is put in behind it.
    #[must_use]
    pub fn take(&self) -> Values<T> {
        let mut rows = self.0.rows();
        let spare = core::mem::take(&mut rows.spare);
        let values = core::mem::replace(&mut rows.waiting, spare);
        drop(rows);
        Values {
            values,
            mailbox: Arc::clone(&self.0),
        }
    }
}

/// What was in a mailbox, oldest first. Values that are left when this is dropped go with it; its
/// memory is used again.
#[derive(Debug)]
pub struct Values<T> {
    values: VecDeque<T>,
    mailbox: Arc<Shared<T>>,
}

impl<T> Iterator for Values<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.values.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.values.len(), Some(self.values.len()))
    }
}

impl<T> ExactSizeIterator for Values<T> {}

impl<T> Drop for Values<T> {
    fn drop(&mut self) {
        self.values.clear();
        if self.values.capacity() <= KEPT_VALUES_MAX {
            let values = core::mem::take(&mut self.values);
            self.mailbox.rows().spare = values;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_mailbox_keeps_room_for_so_many_values() {
        for (count, keeps) in [
            (KEPT_VALUES_MAX - 1, true),
            (KEPT_VALUES_MAX, true),
            (KEPT_VALUES_MAX + 1, false),
        ] {
            let (sender, receiver) = mailbox(Waker::new().unwrap());
            (0..count).for_each(|value| sender.send(value));
            assert_eq!(receiver.take().count(), count);
            assert_eq!(receiver.0.rows().spare.capacity() > 0, keeps, "{count}");
        }
    }
}
