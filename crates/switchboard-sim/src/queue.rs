//! What happens next: one queue for everything.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::time::Micros;

/// Events by their moment; those of one moment in the order in which they were put in.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    heap: BinaryHeap<Reverse<Due<E>>>,
    serial: u64,
}

#[derive(Debug)]
struct Due<E> {
    at: Micros,
    serial: u64,
    event: E,
}

impl<E> Queue<E> {
    pub(crate) const fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            serial: 0,
        }
    }

    pub(crate) fn push(&mut self, at: Micros, event: E) {
        self.serial += 1;
        let serial = self.serial;
        self.heap.push(Reverse(Due { at, serial, event }));
    }

    /// The next event, if it is due by `end`.
    pub(crate) fn pop(&mut self, end: Micros) -> Option<(Micros, E)> {
        if self.heap.peek()?.0.at > end {
            return None;
        }
        let due = self.heap.pop()?.0;
        Some((due.at, due.event))
    }
}

impl<E> Ord for Due<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.serial).cmp(&(other.at, other.serial))
    }
}

impl<E> PartialOrd for Due<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Due<E> {
    fn eq(&self, other: &Self) -> bool {
        self.serial == other.serial
    }
}

impl<E> Eq for Due<E> {}
