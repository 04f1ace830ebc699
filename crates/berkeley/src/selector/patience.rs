//! How long one wait goes on, over the calls of the kernel that it takes.

use core::time::Duration;
use std::time::Instant;

/// How often a wait whose time has passed looks again, because what it was told by the kernel was
/// for nobody.
const LOOKS_MAX: u32 = 8;

/// The limit of one wait. The clock is read once in a wait that has to end, and not at all in
/// others, unless the first call of the kernel was not enough.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Option<Duration>,
    start: Option<Instant>,
    left: Option<Duration>,
    looks: u32,
}

impl Patience {
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self {
            limit,
            start: limit
                .filter(|limit| !limit.is_zero())
                .map(|_| Instant::now()),
            left: limit,
            looks: 0,
        }
    }

    /// How long the kernel shall wait; `None`: without end.
    pub(crate) const fn left(&self) -> Option<Duration> {
        self.left
    }

    /// True when the last call of the kernel, which had nothing to tell, was the last one.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.take_stock();
        self.left.is_some_and(|left| left.is_zero())
    }

    /// True if the kernel shall be called again, although it told something.
    pub(crate) fn goes_on(&mut self) -> bool {
        self.take_stock();
        if self.left.is_some_and(|left| left.is_zero()) {
            self.looks += 1;
        }
        self.looks <= LOOKS_MAX
    }

    /// Reckons what is left.
    pub(crate) fn take_stock(&mut self) {
        self.left = self.limit.map(|limit| {
            self.start.map_or(Duration::ZERO, |start| {
                limit.saturating_sub(start.elapsed())
            })
        });
    }
}
