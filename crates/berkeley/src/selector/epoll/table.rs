//! Who is registered under which number, and for the how-manieth time.

use core::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use super::Key;
use crate::waker::Waker;

/// How many late events are remembered, to know them when they come again.
const LATE_MAX: usize = 8;

/// The bits of `struct epoll_event`, which libc gives as signed integers.
#[expect(
    clippy::cast_sign_loss,
    reason = "EPOLLET is the top bit of an unsigned mask"
)]
pub(super) const fn bit(flag: c_int) -> u32 {
    flag as u32
}

/// One registration.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slot {
    key: u64,
    /// Counts the registrations and changes of this number, round and round.
    generation: u32,
    /// What the kernel is asked for, with [`Slot::ASLEEP`] and [`Slot::WAKER`] in bits that it does
    /// not have. Zero: nobody is registered.
    events: u32,
}

impl Slot {
    /// A one-shot registration that was told.
    const ASLEEP: u32 = 1 << 16;
    /// The selector's own: to be lowered when it is told.
    const WAKER: u32 = 1 << 17;

    const fn is(self, bits: u32) -> bool {
        self.events & bits != 0
    }

    pub(super) const fn is_exclusive(self) -> bool {
        self.is(bit(libc::EPOLLEXCLUSIVE))
    }

    /// What the kernel is to be asked for.
    pub(super) const fn events(self) -> u32 {
        self.events & !(Self::ASLEEP | Self::WAKER)
    }

    /// The same for a list that does not know yet whether it was told.
    pub(super) const fn fresh_events(self) -> u32 {
        if self.is(Self::ASLEEP) {
            // An error or a hang-up would be told all the same, but once.
            bit(libc::EPOLLONESHOT)
        } else {
            self.events()
        }
    }

    /// The number that the kernel hands back with each event.
    pub(super) fn data(self, fd: RawFd) -> u64 {
        u64::from(self.generation) << 32 | u64::from(fd.unsigned_abs())
    }
}

/// All registrations, by descriptor.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    wakers: Vec<Waker>,
    late: [u64; LATE_MAX],
    late_next: usize,
    has_ghost: bool,
}

/// A descriptor's place: no open one is negative.
fn place(fd: RawFd) -> usize {
    usize::try_from(fd).unwrap_or(usize::MAX)
}

impl Table {
    /// The registration that would follow under this number.
    pub(super) fn next(&self, fd: RawFd, key: Key, events: u32) -> Slot {
        let former = self.slots.get(place(fd));
        Slot {
            key: key.0,
            generation: former.map_or(0, |slot| slot.generation.wrapping_add(1)),
            // Errors are always told, and this way no registration has no events.
            events: events | bit(libc::EPOLLERR),
        }
    }

    /// Who is registered.
    pub(super) fn get(&self, fd: RawFd) -> Option<Slot> {
        self.slots
            .get(place(fd))
            .copied()
            .filter(|slot| slot.events != 0)
    }

    pub(super) fn put(&mut self, fd: RawFd, slot: Slot) {
        let place = place(fd);
        if self.slots.len() <= place {
            self.slots.resize(place + 1, Slot::default());
        }
        if let Some(found) = self.slots.get_mut(place) {
            if found.is(Slot::WAKER) {
                self.wakers.retain(|waker| waker.as_fd().as_raw_fd() != fd);
            }
            *found = slot;
        }
    }

    /// Ends a registration; its generation stays known.
    pub(super) fn clear(&mut self, fd: RawFd) {
        if let Some(slot) = self.get(fd) {
            self.put(fd, Slot { events: 0, ..slot });
        }
    }

    /// Keeps a registered waker alive, and lowers it when it is told.
    pub(super) fn keep(&mut self, waker: Waker) {
        if let Some(slot) = self.slots.get_mut(place(waker.as_fd().as_raw_fd())) {
            slot.events |= Slot::WAKER;
            self.wakers.push(waker);
        }
    }

    /// All descriptors that are registered.
    pub(super) fn registered(&self) -> Vec<(RawFd, Slot)> {
        (0..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.events != 0)
            .map(|(fd, slot)| (fd, *slot))
            .collect()
    }

    /// Whose an event is: `None` for one that is late, or of somebody who is asleep.
    pub(super) fn take(&mut self, data: u64) -> Option<Key> {
        let fd = data & u64::from(u32::MAX);
        let slot = usize::try_from(fd)
            .ok()
            .and_then(|place| self.slots.get_mut(place))
            .filter(|slot| u64::from(slot.generation) == data >> 32 && slot.events != 0);
        let Some(slot) = slot else {
            self.remember(data);
            return None;
        };
        let key = Key(slot.key);
        if slot.is(Slot::ASLEEP) {
            return None;
        }
        if slot.is(bit(libc::EPOLLONESHOT)) {
            slot.events |= Slot::ASLEEP;
        } else if slot.is(Slot::WAKER) {
            for waker in &self.wakers {
                if place(waker.as_fd().as_raw_fd()) as u64 == fd {
                    waker.forget();
                }
            }
        }
        Some(key)
    }

    /// Late events are those of a registration that ended while the kernel told of it. No wait
    /// that begins later tells of that again: what does so is an entry of the kernel's that
    /// nobody can remove, because its descriptor is closed and a duplicate keeps the file open.
    #[cold]
    fn remember(&mut self, data: u64) {
        if self.late.contains(&data) {
            self.has_ghost = true;
        } else if let Some(place) = self.late.get_mut(self.late_next) {
            *place = data;
            self.late_next = (self.late_next + 1) % LATE_MAX;
        }
    }

    /// True once if there is such an entry.
    pub(super) fn has_ghost(&mut self) -> bool {
        let has = self.has_ghost;
        if has {
            self.late = [u64::MAX; LATE_MAX];
            self.has_ghost = false;
        }
        has
    }
}
