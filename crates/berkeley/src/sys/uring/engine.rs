//! One ring with all that the kernel may touch on its behalf.

use core::time::Duration;
use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use io_uring::types::{self, CancelBuilder};
use io_uring::{cqueue, opcode, squeue};

use super::buffers::{Buffer, Filled, Group};
use super::number;
use super::queue::Queue;
use super::sends::{Done, Piece, Sends};
use super::tag::{self, Tag};
use crate::errno::Errno;
use crate::selector::Key;
use crate::uring::Descriptors;

/// How long a ring that is dropped waits for what was under way. All of it was cancelled by then;
/// only the network can keep a zero-copy send longer.
const DROP_WAIT_MAX: Duration = Duration::from_millis(200);

/// Groups of buffers that a ring may have.
pub(crate) const GROUPS_MAX: usize = 16;

/// Memory that the kernel may use after its ring is gone.
static LEFT: Mutex<Vec<(Vec<Group>, Sends)>> = Mutex::new(Vec::new());

/// Something to be submitted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    Receive { group: u8 },
    ReceiveOnce { group: u8, len: u32 },
    Poll { interest: u8, events: u32 },
    PollOnce { events: u32 },
    Accept { slot: u32 },
    Send { slot: u32 },
    Cancel { data: u64 },
    Wake,
}

/// The same, and for whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prepared {
    pub(crate) key: Key,
    pub(crate) work: Work,
}

/// A completion, with the memory and the descriptor that came with it.
pub(crate) struct Reaped {
    pub(crate) key: Key,
    /// The operation goes on.
    pub(crate) more: bool,
    pub(crate) what: What,
}

pub(crate) enum What {
    /// For nobody.
    Nothing,
    /// The place of the listener in the list of accepts comes with it.
    Accepted(u32, Result<OwnedFd, Errno>),
    /// The group of buffers comes with it.
    Received(u8, Result<Buffer, Errno>),
    ReceivedOnce(Result<Buffer, Errno>),
    /// What was asked for comes with it.
    Polled(u8, Result<u32, Errno>),
    PolledOnce(Result<u32, Errno>),
    Sent(Result<usize, Errno>),
    /// The send in this place has to be submitted again, for the rest.
    SendAgain(u32),
    Woken,
    /// There was nothing (any more) that could be cancelled under this word.
    NotCancelled(u64),
}

/// What this kernel can do beyond what a ring needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Abilities {
    /// Buffers that many receives share.
    pub(crate) shared_buffers: bool,
    /// Sends that do not copy.
    pub(crate) zero_copy: bool,
}

pub(crate) struct Engine {
    queue: Queue,
    groups: Vec<Group>,
    sends: Sends,
    /// Operations under way by which the kernel reads or writes memory of ours.
    in_flight: usize,
    pub(crate) abilities: Abilities,
}

impl Engine {
    pub(crate) fn new(entries: u32, completions: u32) -> Result<Self, Errno> {
        let queue = Queue::open(entries, completions)?;
        let probe = queue.probe()?;
        let abilities = Abilities {
            // They came with Linux 6.12, but up to 6.15 completions of several operations could
            // come in another order than they had filled a buffer. `IORING_OP_PIPE` came with
            // 6.16, and is a mark of that only.
            shared_buffers: probe.is_supported(opcode::Pipe::CODE),
            zero_copy: probe.is_supported(opcode::SendMsgZc::CODE),
        };
        Ok(Self {
            queue,
            groups: Vec::new(),
            sends: Sends::default(),
            in_flight: 0,
            abilities,
        })
    }

    /// False in a thread other than that which used the ring first.
    pub(crate) fn is_own_thread(&self) -> bool {
        self.queue.is_own_thread()
    }

    /// Completions that are there to be taken.
    pub(crate) fn completions(&mut self) -> usize {
        self.queue.completions()
    }

    /// Operations under way by which the kernel reads or writes memory of ours.
    pub(crate) const fn transfers(&self) -> usize {
        self.in_flight
    }

    /// Lets the kernel do more of what is due, up to so many completions, without waiting for any.
    pub(crate) fn hurry(&mut self, most: u32) -> Result<(), Errno> {
        self.queue.enter(most, Some(Duration::ZERO))
    }

    pub(crate) fn has_completions(&mut self) -> bool {
        self.queue.has_completions()
    }

    /// Adds a group of buffers, and answers its number.
    pub(crate) fn add_group(&mut self, count: u16, len: u32, shared: bool) -> Result<u8, Errno> {
        let id = self.groups.len();
        if id >= GROUPS_MAX {
            return Err(Errno::ENOSPC);
        }
        let id = u8::try_from(id).map_err(|_| Errno::ENOSPC)?;
        let mut group = Group::new(count, len)?;
        group.register(&self.queue.submitter(), u16::from(id), shared)?;
        self.groups.push(group);
        Ok(id)
    }

    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Buffers of a group that the kernel can fill.
    pub(crate) fn available(&self, group: u8) -> usize {
        self.groups
            .get(usize::from(group))
            .map_or(0, Group::available)
    }

    /// Gives all buffers to the kernel that nobody holds any more.
    pub(crate) fn give_back(&mut self) {
        for group in self.groups.iter_mut() {
            group.give_back();
        }
    }

    pub(crate) fn add_send(
        &mut self,
        key: Key,
        pieces: impl Iterator<Item = Piece>,
        zero_copy: bool,
    ) -> u32 {
        self.sends.add(key.0, pieces, zero_copy)
    }

    pub(crate) fn add_copy(&mut self, key: Key, bytes: &[u8]) -> u32 {
        self.sends.add_copy(key.0, bytes)
    }

    /// Takes back a send that was not submitted.
    pub(crate) fn forget_send(&mut self, slot: u32) {
        self.sends.forget(slot);
    }

    pub(crate) fn is_sending(&self, slot: u32, key: Key) -> bool {
        self.sends.is_open(slot, key.0)
    }

    pub(crate) fn cancel_send(&mut self, slot: u32) {
        self.sends.cancel(slot);
    }

    pub(crate) fn sends(&self) -> usize {
        self.sends.open()
    }

    /// Submits all that was prepared, and waits for a completion as `limit` says: `None` without
    /// end, zero not at all. What has no descriptor any more is left out and given to `lost`.
    ///
    /// It may end before there is a completion, as by a signal.
    pub(crate) fn submit<D: Descriptors + ?Sized>(
        &mut self,
        prepared: &mut VecDeque<Prepared>,
        fds: &D,
        waker: BorrowedFd<'_>,
        limit: Option<Duration>,
        mut lost: impl FnMut(Prepared),
    ) -> Result<(), Errno> {
        self.queue.begin()?;
        while let Some(next) = prepared.pop_front() {
            let fd = match next.work {
                Work::Cancel { .. } | Work::Wake => Some(waker),
                _ => fds.descriptor(next.key),
            };
            let Some(entry) = fd.and_then(|fd| self.entry(next, number(fd))) else {
                if let Work::Send { slot } = next.work {
                    self.sends.forget(slot);
                }
                lost(next);
                continue;
            };
            self.lay_out(&entry)?;
            self.in_flight += usize::from(matches!(
                next.work,
                Work::Receive { .. } | Work::ReceiveOnce { .. } | Work::Send { .. }
            ));
        }
        let min = u32::from(limit != Some(Duration::ZERO) && !self.has_completions());
        self.queue.enter(min, limit)
    }

    /// Puts an entry into the queue that `entry` or `end_all` made. Whoever calls this enters
    /// before the descriptor in it may be closed.
    fn lay_out(&mut self, entry: &squeue::Entry) -> Result<(), Errno> {
        // SAFETY: the memory of the entry belongs to `groups` or `sends`, which keep it until the
        // completion; if that never comes, `drop` leaves it to the kernel. The descriptor is
        // borrowed by `submit`, which enters before it returns; a queue that fails to be handed
        // over never is.
        unsafe { self.queue.push(entry) }
    }

    #[inline]
    fn entry(&mut self, prepared: Prepared, fd: types::Fd) -> Option<squeue::Entry> {
        let key = prepared.key.0;
        let entry = match prepared.work {
            Work::Receive { group } => opcode::RecvMulti::new(fd, u16::from(group))
                .build()
                .user_data(tag::join(Tag::Receive, group, key)),
            Work::ReceiveOnce { group, len } => opcode::Recv::new(fd, core::ptr::null_mut(), len)
                .buf_group(u16::from(group))
                .build()
                .flags(squeue::Flags::BUFFER_SELECT)
                .user_data(tag::join(Tag::ReceiveOnce, group, key)),
            Work::Poll { interest, events } => opcode::PollAdd::new(fd, events)
                .multi(true)
                .build()
                .user_data(tag::join(Tag::Poll, interest, key)),
            Work::PollOnce { events } => opcode::PollAdd::new(fd, events)
                .build()
                .user_data(tag::join(Tag::PollOnce, 0, key)),
            Work::Accept { slot } => opcode::AcceptMulti::new(fd)
                .flags(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK)
                .build()
                .user_data(tag::join(Tag::Accept, 0, u64::from(slot))),
            Work::Send { slot } => return self.sends.entry(slot, fd),
            // What it was about has a completion of its own, if it was found.
            Work::Cancel { data } => opcode::AsyncCancel::new(data)
                .build()
                .flags(squeue::Flags::SKIP_SUCCESS)
                .user_data(tag::of_cancel(data)),
            Work::Wake => opcode::PollAdd::new(fd, u32::from(libc::POLLIN.cast_unsigned()))
                .multi(true)
                .build()
                .user_data(tag::join(Tag::Wake, 0, 0)),
        };
        Some(entry)
    }

    /// The next completion, if there is one.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<Reaped> {
        let entry = self.queue.pop()?;
        let (result, flags) = (entry.result(), entry.flags());
        let (tag, detail, rest) = tag::split(entry.user_data());
        let more = cqueue::more(flags);
        if !more && matches!(tag, Tag::Receive | Tag::ReceiveOnce | Tag::Send) {
            self.in_flight -= 1;
        }
        let what = match tag {
            Tag::Ignore => What::Nothing,
            Tag::NoReceive | Tag::NoPoll | Tag::NoAccept => {
                tag::cancelled(entry.user_data()).map_or(What::Nothing, What::NotCancelled)
            }
            Tag::Receive => What::Received(detail, self.received(detail, result, flags)),
            Tag::ReceiveOnce => What::ReceivedOnce(self.received(detail, result, flags)),
            Tag::Poll => What::Polled(detail, count(result)),
            Tag::PollOnce => What::PolledOnce(count(result)),
            Tag::Accept => What::Accepted(
                u32::try_from(rest).unwrap_or(u32::MAX),
                count(result).map(|_| {
                    // SAFETY: the kernel has just made this descriptor for us, and tells nobody
                    // else of it.
                    unsafe { OwnedFd::from_raw_fd(result) }
                }),
            ),
            Tag::Send => {
                let slot = u32::try_from(rest).unwrap_or(u32::MAX);
                let done = self.sends.finish(slot, result, more, cqueue::notif(flags));
                return Some(match done {
                    Done::Nothing => Reaped::nothing(),
                    Done::Again(key) => Reaped {
                        key: Key(key),
                        more: true,
                        what: What::SendAgain(slot),
                    },
                    Done::Sent(key, result) => Reaped {
                        key: Key(key),
                        more: false,
                        what: What::Sent(len(result)),
                    },
                });
            }
            Tag::Wake => What::Woken,
        };
        Some(Reaped {
            key: Key(rest),
            more,
            what,
        })
    }

    #[inline]
    fn received(&mut self, group: u8, result: i32, flags: u32) -> Result<Buffer, Errno> {
        let filled = cqueue::buffer_select(flags).map(|id| Filled {
            id,
            len: usize::try_from(result).unwrap_or(0),
            goes_on: cqueue::buffer_more(flags),
        });
        let buffer = match (filled, self.groups.get_mut(usize::from(group))) {
            (Some(filled), Some(group)) => group.take(filled),
            // The end comes without a buffer.
            _ if result == 0 => Some(Buffer::default()),
            _ => None,
        };
        len(result)?;
        buffer.ok_or(Errno::EFAULT)
    }

    /// Ends all that is under way, and waits a little until it has ended.
    fn end_all(&mut self) {
        let end = Instant::now() + DROP_WAIT_MAX;
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::any())
            .build()
            .user_data(tag::join(Tag::Ignore, 0, 0));
        if self.lay_out(&cancel).is_err() {
            return;
        }
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let min = u32::from(self.in_flight > 0 && !left.is_zero());
            if self.queue.enter(min, Some(left)).is_err() {
                return;
            }
            while self.pop().is_some() {}
            if self.in_flight == 0 || left.is_zero() {
                return;
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.queue.is_usable() {
            self.end_all();
        }
        // Descriptors that were accepted meanwhile are closed.
        while self.pop().is_some() {}
        if self.in_flight > 0 {
            // Another thread drops it, or the network has not done with a zero-copy send: the
            // kernel may still use the memory, so that it can serve for nothing else ever.
            let left = (
                core::mem::take(&mut self.groups),
                core::mem::take(&mut self.sends),
            );
            LEFT.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(left);
        }
    }
}

impl Reaped {
    const fn nothing() -> Self {
        Self {
            key: Key(0),
            more: false,
            what: What::Nothing,
        }
    }
}

/// A result that is a number, or an error number below zero.
fn count(result: i32) -> Result<u32, Errno> {
    u32::try_from(result).map_err(|_| Errno::from_raw(-result))
}

fn len(result: i32) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::from_raw(-result))
}
