//! The two queues that are shared with the kernel, for one thread.

use core::time::Duration;
use std::thread::{self, ThreadId};

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, Probe, Submitter, cqueue, squeue};

use super::{ENTER_EXT_ARG, ENTER_GETEVENTS, errno_of};
use crate::errno::Errno;

/// How often a submission is tried that the kernel has no memory for.
const SUBMIT_TRIES_MAX: u32 = 1000;

pub(super) struct Queue {
    io: IoUring,
    /// Whose it is: the thread that used it first.
    thread: Option<ThreadId>,
    /// The kernel did not take what was laid out for it. It must never get it later, when the
    /// descriptors may be others'.
    is_broken: bool,
}

impl Queue {
    /// Opens a ring. It starts disabled, so that it can be used by another thread than the one
    /// that made it.
    pub(super) fn open(entries: u32, completions: u32) -> Result<Self, Errno> {
        let build = |without_array: bool| {
            let mut builder = IoUring::builder();
            builder
                .dontfork()
                .setup_single_issuer()
                .setup_defer_taskrun()
                .setup_submit_all()
                .setup_cqsize(completions)
                .setup_clamp()
                .setup_r_disabled();
            if without_array {
                builder.setup_no_sqarray();
            }
            builder.build(entries).map_err(|error| errno_of(&error))
        };
        // Kernels before 6.6 know no ring without the array of indices.
        let io = match build(true) {
            Err(Errno::EINVAL) => build(false)?,
            other => other?,
        };
        Ok(Self {
            io,
            thread: None,
            is_broken: false,
        })
    }

    pub(super) fn probe(&self) -> Result<Probe, Errno> {
        let mut probe = Probe::new();
        let answer = self.io.submitter().register_probe(&mut probe);
        answer.map_err(|error| errno_of(&error))?;
        Ok(probe)
    }

    pub(super) fn submitter(&self) -> Submitter<'_> {
        self.io.submitter()
    }

    /// False in a thread other than that which used the ring first.
    pub(super) fn is_own_thread(&self) -> bool {
        self.thread.is_none_or(|own| own == thread::current().id())
    }

    /// True if the calling thread can hand operations over, now that it has done so before.
    pub(super) fn is_usable(&self) -> bool {
        self.thread.is_some() && !self.is_broken && self.is_own_thread()
    }

    /// Makes the ring the calling thread's, if it is nobody's yet.
    pub(super) fn begin(&mut self) -> Result<(), Errno> {
        if self.is_broken {
            return Err(Errno::EBADFD);
        }
        if self.thread.is_none() {
            let answer = self.io.submitter().register_enable_rings();
            answer.map_err(|error| errno_of(&error))?;
            self.thread = Some(thread::current().id());
        }
        Ok(())
    }

    pub(super) fn completions(&mut self) -> usize {
        self.io.completion().len()
    }

    pub(super) fn has_completions(&mut self) -> bool {
        !self.io.completion().is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<cqueue::Entry> {
        self.io.completion().next()
    }

    /// Puts an entry into the queue, handing over what is in it if it is full.
    ///
    /// # Safety
    /// The descriptor in the entry must stay open until the next `enter` has returned, and the
    /// memory that it names must stay until its completion.
    pub(super) unsafe fn push(&mut self, entry: &squeue::Entry) -> Result<(), Errno> {
        // SAFETY: the caller's promise.
        if unsafe { self.io.submission().push(entry) }.is_ok() {
            return Ok(());
        }
        self.enter(0, None)?;
        // SAFETY: as above.
        unsafe { self.io.submission().push(entry) }.map_err(|_| Errno::EBUSY)
    }

    /// Hands the queue over and runs what is due in the kernel, waiting for `min` completions.
    /// It may end before there are so many.
    pub(super) fn enter(&mut self, min: u32, limit: Option<Duration>) -> Result<(), Errno> {
        let time = limit.map(|limit| {
            Timespec::new()
                .sec(limit.as_secs())
                .nsec(limit.subsec_nanos())
        });
        let args = match &time {
            Some(time) => SubmitArgs::new().timespec(time),
            None => SubmitArgs::new(),
        };
        let flags = ENTER_GETEVENTS | ENTER_EXT_ARG;
        let mut tries = 0;
        loop {
            let left = self.io.submission().len();
            let count = u32::try_from(left).unwrap_or(u32::MAX);
            let submitter = self.io.submitter();
            // SAFETY: `args` and the time in it live for the call; the entries that are handed
            // over came by `push`, whose callers have promised what they need.
            match unsafe { submitter.enter(count, min, flags, Some(&args)) } {
                Ok(taken) if taken >= left => return Ok(()),
                // A part was taken, so the kernel goes on with the rest.
                Ok(1..) => {}
                answer => {
                    let errno = answer.map_or_else(|error| errno_of(&error), |_| Errno::EAGAIN);
                    if left == 0 {
                        return match errno {
                            // The end of the limit, a signal, or a queue that is full of
                            // completions to be taken: for the caller to look.
                            Errno::ETIME | Errno::EINTR | Errno::EBUSY => Ok(()),
                            errno => Err(errno),
                        };
                    }
                    tries += 1;
                    let passes = matches!(
                        errno,
                        Errno::EAGAIN | Errno::EBUSY | Errno::EINTR | Errno::ENOMEM
                    );
                    if !passes || tries > SUBMIT_TRIES_MAX {
                        self.is_broken = true;
                        return Err(errno);
                    }
                    thread::yield_now();
                }
            }
        }
    }
}
