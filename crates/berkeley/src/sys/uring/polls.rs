//! A ring that does nothing but poll: the kernel touches no memory of ours for it.

use core::time::Duration;
use std::os::fd::RawFd;

use io_uring::{cqueue, opcode, squeue, types};

use super::queue::Queue;
use crate::errno::Errno;

/// The word of operations that nobody waits for.
const IGNORED: u64 = u64::MAX;

/// One thing that a poll tells.
pub(crate) struct Told {
    /// The word that the poll was given.
    pub(crate) data: u64,
    /// The poll goes on.
    pub(crate) more: bool,
}

pub(crate) struct Polls(Queue);

impl Polls {
    pub(crate) fn new(entries: u32, completions: u32) -> Result<Self, Errno> {
        Queue::open(entries, completions).map(Self)
    }

    /// False in a thread other than that which used it first.
    pub(crate) fn is_own_thread(&self) -> bool {
        self.0.is_own_thread()
    }

    /// True in the thread that used it first.
    pub(crate) fn is_usable(&self) -> bool {
        self.0.is_usable()
    }

    pub(crate) fn begin(&mut self) -> Result<(), Errno> {
        self.0.begin()
    }

    /// Polls what the number stands for when it is handed over.
    pub(crate) fn add(
        &mut self,
        fd: RawFd,
        data: u64,
        events: u32,
        again: bool,
    ) -> Result<(), Errno> {
        let poll = opcode::PollAdd::new(types::Fd(fd), events).multi(again);
        self.push(&poll.build().user_data(data))
    }

    /// Ends a poll. It tells nothing more but that, if it was there.
    pub(crate) fn remove(&mut self, data: u64) -> Result<(), Errno> {
        // Not `IORING_OP_POLL_REMOVE`: it leaves a poll alone that is just about to tell something
        // (`EALREADY`), which then goes on and keeps the file open.
        let cancel = opcode::AsyncCancel::new(data).build();
        self.push(&cancel.flags(squeue::Flags::SKIP_SUCCESS).user_data(IGNORED))
    }

    fn push(&mut self, entry: &squeue::Entry) -> Result<(), Errno> {
        // SAFETY: no entry of these names memory. A poll of a number that stands for another file
        // by the time it is handed over does no harm: it only tells, and `Selector` looks whose
        // it is before it passes that on.
        unsafe { self.0.push(entry) }
    }

    /// Hands over what was added, and waits for `min` completions; it may end before.
    pub(crate) fn enter(&mut self, min: u32, limit: Option<Duration>) -> Result<(), Errno> {
        self.0.enter(min, limit)
    }

    pub(crate) fn pop(&mut self) -> Option<Told> {
        loop {
            let entry = self.0.pop()?;
            if entry.user_data() != IGNORED {
                return Some(Told {
                    data: entry.user_data(),
                    more: cqueue::more(entry.flags()),
                });
            }
        }
    }
}

impl Drop for Polls {
    /// Ends all polls, so that the files they hold are let go at once: of a ring that is just
    /// closed, the kernel does that some time later.
    fn drop(&mut self) {
        if self.0.is_usable() {
            let cancel = opcode::AsyncCancel2::new(types::CancelBuilder::any());
            let laid_out = self.push(&cancel.build().user_data(IGNORED));
            // Closing does the same, if later.
            let _answer = laid_out.and_then(|()| self.enter(0, Some(Duration::ZERO)));
        }
    }
}
