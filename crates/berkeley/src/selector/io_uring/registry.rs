//! Who is registered under which number, and what of it the kernel does not know yet.

use std::os::fd::{AsFd, AsRawFd, RawFd};

use super::super::identity::Identity;
use super::super::{Event, Key, Trigger};
use super::ready;
use crate::errno::Errno;
use crate::sys::uring::polls::Told;
use crate::waker::Waker;

/// All registrations, by descriptor.
#[derive(Debug, Default)]
pub(super) struct Registry {
    slots: Vec<Option<Slot>>,
    /// Counts the registrations and changes, round and round.
    generation: u32,
    /// Numbers whose polls are to be begun.
    changed: Vec<RawFd>,
    /// Words of polls that are to be ended.
    pub(super) ended: Vec<u64>,
    wakers: Vec<Waker>,
    /// A thread waits, and has to be woken to heed a change.
    pub(super) is_waited: bool,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    key: Key,
    generation: u32,
    identity: Identity,
    events: u32,
    trigger: Trigger,
    poll: Poll,
    is_waker: bool,
    /// It is among those that have to be looked at.
    is_hot: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Poll {
    /// To be begun with the next wait.
    Due,
    /// The kernel has it.
    Begun,
    /// It ended with what has to be looked at.
    Ended,
    /// Told once, and not to be told again.
    Asleep,
}

/// A poll to be begun.
pub(super) struct Change {
    pub(super) fd: RawFd,
    pub(super) data: u64,
    pub(super) events: u32,
    pub(super) goes_on: bool,
}

impl Slot {
    /// The word that the kernel hands back.
    fn data(&self, fd: RawFd) -> u64 {
        u64::from(self.generation) << 32 | u64::from(fd.unsigned_abs())
    }
}

/// A descriptor's place: no open one is negative.
fn place(fd: RawFd) -> usize {
    usize::try_from(fd).unwrap_or(usize::MAX)
}

fn number(data: u64) -> RawFd {
    let [a, b, c, d, ..] = data.to_le_bytes();
    RawFd::from_le_bytes([a, b, c, d])
}

impl Registry {
    fn get(&mut self, fd: RawFd) -> Option<&mut Slot> {
        self.slots.get_mut(place(fd))?.as_mut()
    }

    /// The registration that a word belongs to, unless it is a former one's.
    fn of(&mut self, data: u64) -> Option<&mut Slot> {
        self.get(number(data))
            .filter(|slot| u64::from(slot.generation) == data >> 32)
    }

    fn put(&mut self, fd: RawFd, key: Key, events: u32, trigger: Trigger, identity: Identity) {
        let place = place(fd);
        if self.slots.len() <= place {
            self.slots.resize(place + 1, None);
        }
        self.generation = self.generation.wrapping_add(1);
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = Some(Slot {
                key,
                generation: self.generation,
                identity,
                events,
                trigger,
                poll: Poll::Due,
                is_waker: false,
                is_hot: false,
            });
            self.changed.push(fd);
        }
    }

    /// Ends a registration; true if the kernel has a poll of it.
    fn clear(&mut self, fd: RawFd) -> bool {
        let Some(slot) = self.slots.get_mut(place(fd)).and_then(Option::take) else {
            return false;
        };
        if slot.is_waker {
            self.wakers.retain(|waker| waker.as_fd().as_raw_fd() != fd);
        }
        let is_polled = slot.poll == Poll::Begun;
        if is_polled {
            self.ended.push(slot.data(fd));
        }
        is_polled
    }

    pub(super) fn add(
        &mut self,
        fd: RawFd,
        key: Key,
        events: u32,
        trigger: Trigger,
    ) -> Result<(), Errno> {
        let identity = Identity::of(fd)?;
        if self.get(fd).is_some_and(|slot| slot.identity == identity) {
            return Err(Errno::EEXIST);
        }
        // Who was registered under the number has lost it.
        self.clear(fd);
        self.put(fd, key, events, trigger, identity);
        Ok(())
    }

    pub(super) fn change(
        &mut self,
        fd: RawFd,
        key: Key,
        events: u32,
        trigger: Trigger,
    ) -> Result<(), Errno> {
        let identity = Identity::of(fd)?;
        let is_waker = match self.get(fd) {
            Some(slot) if slot.identity == identity => core::mem::take(&mut slot.is_waker),
            _ => {
                self.clear(fd);
                return Err(Errno::ENOENT);
            }
        };
        self.clear(fd);
        self.put(fd, key, events, trigger, identity);
        if let Some(slot) = self.get(fd) {
            slot.is_waker = is_waker;
        }
        Ok(())
    }

    /// True if the kernel has a poll of it, which is to be ended.
    pub(super) fn remove(&mut self, fd: RawFd) -> Result<bool, Errno> {
        let identity = Identity::of(fd);
        match self.get(fd) {
            Some(slot) if Ok(slot.identity) == identity => Ok(self.clear(fd)),
            _ => {
                self.clear(fd);
                Err(Errno::ENOENT)
            }
        }
    }

    /// Keeps a registered waker alive, and lowers it when it is told.
    pub(super) fn keep(&mut self, waker: Waker) {
        if let Some(slot) = self.get(waker.as_fd().as_raw_fd()) {
            slot.is_waker = true;
            self.wakers.push(waker);
        }
    }

    /// For a new list of the kernel's.
    pub(super) fn begin_anew(&mut self) {
        self.ended.clear();
        for (fd, slot) in (0..).zip(&mut self.slots) {
            if let Some(slot) = slot {
                slot.is_hot = false;
                if matches!(slot.poll, Poll::Begun | Poll::Ended) {
                    slot.poll = Poll::Due;
                    self.changed.push(fd);
                }
            }
        }
    }

    /// A poll to be begun, if there is one more. A number that stands for another file than it did
    /// when it was registered is registered no longer.
    pub(super) fn next_change(&mut self) -> Option<Change> {
        while let Some(fd) = self.changed.pop() {
            let Some(slot) = self.get(fd).filter(|slot| slot.poll == Poll::Due) else {
                continue;
            };
            if Identity::of(fd) != Ok(slot.identity) {
                self.clear(fd);
                continue;
            }
            slot.poll = Poll::Begun;
            return Some(Change {
                fd,
                data: slot.data(fd),
                events: slot.events,
                goes_on: !slot.trigger.is_one_shot(),
            });
        }
        None
    }

    /// Notes what the kernel tells; true if it has to be looked at, and was not yet.
    pub(super) fn hear(&mut self, told: &Told) -> bool {
        let Some(slot) = self.of(told.data) else {
            return false;
        };
        if !told.more {
            slot.poll = Poll::Ended;
        }
        !core::mem::replace(&mut slot.is_hot, true)
    }

    /// What has to be looked at of a registration. One whose number stands for another file by
    /// now is registered no longer.
    pub(super) fn look_at(&mut self, data: u64) -> Option<libc::pollfd> {
        let fd = number(data);
        let slot = *self.of(data)?;
        if Identity::of(fd) != Ok(slot.identity) {
            self.clear(fd);
            return None;
        }
        Some(libc::pollfd {
            fd,
            events: i16::try_from(slot.events).unwrap_or(0) & !libc::POLLRDBAND,
            revents: 0,
        })
    }

    /// Reports what is the case; true if it has to be looked at again.
    pub(super) fn tell(&mut self, data: u64, mask: u32, out: &mut Vec<Event>) -> bool {
        let fd = number(data);
        let Some(slot) = self.of(data) else {
            return false;
        };
        let (is_told, ended) = (mask != 0, slot.poll == Poll::Ended);
        slot.is_hot = is_told && slot.trigger == Trigger::Level;
        let (key, is_hot, is_waker) = (slot.key, slot.is_hot, slot.is_waker);
        if is_told && slot.trigger.is_one_shot() {
            slot.poll = Poll::Asleep;
        } else if ended {
            // It had nothing to tell after all, or has ended for want of room in the queue.
            slot.poll = Poll::Due;
            self.changed.push(fd);
        }
        // One that was not found raised may be by now, and is then told of by the kernel.
        if is_told
            && is_waker
            && let Some(waker) = self.wakers.iter().find(|waker| is(waker, fd))
        {
            // Its counter too: a thread with a ring of its own would find that raised.
            waker.lower();
        }
        if is_told {
            let ready = ready(mask);
            out.push(Event { key, ready });
        }
        is_hot
    }
}

fn is(waker: &Waker, fd: RawFd) -> bool {
    waker.as_fd().as_raw_fd() == fd
}
