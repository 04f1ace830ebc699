//! Who is registered under which number, and for the how-manieth time.
//!
//! Any thread may change the table, one at a time; the thread that waits reads it without a lock.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU64, Ordering};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

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

/// One registration, or the last one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entry {
    /// Counts the registrations and changes of this number, round and round.
    generation: u32,
    /// What the kernel is asked for, with [`Entry::ASLEEP`] and [`Entry::WAKER`] in bits that it
    /// does not have. Zero: nobody is registered.
    events: u32,
}

impl Entry {
    /// A one-shot registration that was told.
    const ASLEEP: u32 = 1 << 16;
    /// The selector's own: to be lowered when it is told.
    const WAKER: u32 = 1 << 17;
    /// Where more is to be done than to tell its key.
    const SPECIAL: u32 = Self::ASLEEP | Self::WAKER | bit(libc::EPOLLONESHOT);

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

    /// The number that the kernel hands back with each event: the generation above, the
    /// descriptor below.
    pub(super) fn data(self, fd: RawFd) -> u64 {
        u64::from(self.generation) << 32 | u64::from(fd.unsigned_abs())
    }
}

/// The generation and the descriptor again.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the lower half is what is wanted"
)]
const fn halves(data: u64) -> (u32, u32) {
    ((data >> 32) as u32, data as u32)
}

/// What is read without a lock.
#[derive(Debug)]
struct Slot {
    /// What the kernel hands back for a registration that its key is all there is to tell of;
    /// [`Slot::NONE`] if there is more to it, or nobody. It changes before and after the key does.
    data: AtomicU64,
    key: AtomicU64,
}

impl Slot {
    /// No descriptor is negative.
    const NONE: u64 = u64::MAX;

    const fn new() -> Self {
        Self {
            data: AtomicU64::new(Self::NONE),
            key: AtomicU64::new(0),
        }
    }

    /// For the one who may change the table.
    fn put(&self, data: u64, key: Key) {
        self.data.store(Self::NONE, Ordering::Relaxed);
        self.key.store(key.0, Ordering::Release);
        self.data.store(data, Ordering::Release);
    }

    fn key(&self) -> Key {
        Key(self.key.load(Ordering::Acquire))
    }

    fn ordinary(&self, data: u64) -> Option<Key> {
        let before = self.data.load(Ordering::Acquire);
        let key = self.key();
        // Who sees a new key sees also that the data was changed before it.
        let after = self.data.load(Ordering::Relaxed);
        (before == data && after == data).then_some(key)
    }
}

/// All registrations, by descriptor.
#[derive(Debug)]
pub(super) struct Table {
    /// Each has as many slots as the one before, or twice as many, and never moves.
    chunks: [OnceLock<Box<[Slot]>>; CHUNKS],
    changing: Mutex<Rest>,
}

/// What only those need who change the table.
#[derive(Debug, Default)]
struct Rest {
    entries: Vec<Entry>,
    wakers: Vec<Waker>,
    late: [u64; LATE_MAX],
    late_next: usize,
    has_ghost: bool,
}

/// Chunks of one size, after which they are twice as large: a table has at most a quarter more than
/// it needs.
const STEPS: usize = 4;
const STEPS_LOG: u32 = STEPS.ilog2();

/// The first chunks have 64 slots.
const FIRST_LOG: u32 = 6;

/// Enough for all descriptors, which are 31 bits wide.
const CHUNKS: usize = 24 * STEPS;

/// The slots of a chunk.
const fn slots_of(chunk: usize) -> usize {
    (1 << FIRST_LOG) << (chunk / STEPS)
}

/// A chunk, and a place in it.
fn position(fd: u32) -> (usize, usize) {
    let number = u64::from(fd) + (1 << (FIRST_LOG + STEPS_LOG));
    let size_log = number.ilog2() - STEPS_LOG;
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let before = (size_log - FIRST_LOG) as usize * STEPS;
    let chunk = before + count(number >> size_log) - STEPS;
    (chunk, count(number & ((1 << size_log) - 1)))
}

fn index(fd: RawFd) -> usize {
    usize::try_from(fd).unwrap_or(usize::MAX)
}

impl Default for Table {
    fn default() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
            changing: Mutex::default(),
        }
    }
}

impl Table {
    /// Makes the calling thread the one that may change it.
    pub(super) fn change(&self) -> Change<'_> {
        Change {
            table: self,
            // Nothing that is done under the lock can leave it half done.
            rest: self.changing.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    fn slot(&self, fd: u32) -> Option<&Slot> {
        let (chunk, place) = position(fd);
        self.chunks.get(chunk)?.get()?.get(place)
    }

    /// Whose an event is, if there is nothing else to it.
    pub(super) fn ordinary(&self, data: u64) -> Option<Key> {
        let (_, fd) = halves(data);
        self.slot(fd)?.ordinary(data)
    }
}

/// The table in the hands of the one who may change it.
#[derive(Debug)]
pub(super) struct Change<'a> {
    table: &'a Table,
    rest: MutexGuard<'a, Rest>,
}

impl Change<'_> {
    /// The registration that would follow under this number.
    pub(super) fn next(&self, fd: RawFd, events: u32) -> Entry {
        let former = self.rest.entries.get(index(fd));
        Entry {
            generation: former.map_or(0, |entry| entry.generation.wrapping_add(1)),
            // Errors are always told, and this way no registration has no events.
            events: events | bit(libc::EPOLLERR),
        }
    }

    /// Who is registered.
    pub(super) fn get(&self, fd: RawFd) -> Option<Entry> {
        let entry = self.rest.entries.get(index(fd)).copied();
        entry.filter(|entry| entry.events != 0)
    }

    pub(super) fn put(&mut self, fd: RawFd, key: Key, entry: Entry) {
        let rest = &mut *self.rest;
        let index = index(fd);
        if rest.entries.len() <= index {
            rest.entries.resize(index + 1, Entry::default());
        }
        let (chunk, place) = position(fd.unsigned_abs());
        let slots =
            self.table.chunks.get(chunk).map(|slots| {
                slots.get_or_init(|| (0..slots_of(chunk)).map(|_| Slot::new()).collect())
            });
        let slot = slots.and_then(|slots| slots.get(place));
        if let (Some(found), Some(slot)) = (rest.entries.get_mut(index), slot) {
            if found.is(Entry::WAKER) {
                rest.wakers.retain(|waker| waker.as_fd().as_raw_fd() != fd);
            }
            *found = entry;
            let is_ordinary = entry.events != 0 && !entry.is(Entry::SPECIAL);
            let data = if is_ordinary {
                entry.data(fd)
            } else {
                Slot::NONE
            };
            slot.put(data, key);
        }
    }

    /// Ends a registration; its generation stays known.
    pub(super) fn clear(&mut self, fd: RawFd) {
        if let Some(entry) = self.get(fd) {
            self.put(fd, Key(0), Entry { events: 0, ..entry });
        }
    }

    /// Registers a waker: keeps it alive, and lowers it when it is told.
    pub(super) fn keep(&mut self, waker: Waker, key: Key, entry: Entry) {
        let events = entry.events | Entry::WAKER;
        let fd = waker.as_fd().as_raw_fd();
        self.put(fd, key, Entry { events, ..entry });
        self.rest.wakers.push(waker);
    }

    /// All descriptors that are registered.
    pub(super) fn registered(&self) -> Vec<(RawFd, Entry)> {
        (0..)
            .zip(self.rest.entries.iter().copied())
            .filter(|(_, entry)| entry.events != 0)
            .collect()
    }

    /// Whose an event is: `None` for one that is late, or of somebody who is asleep.
    pub(super) fn take(&mut self, data: u64) -> Option<Key> {
        let (_, number) = halves(data);
        let found = RawFd::try_from(number)
            .ok()
            .and_then(|fd| Some((fd, self.get(fd)?)))
            .filter(|(fd, entry)| entry.data(*fd) == data);
        let Some((fd, entry)) = found else {
            self.remember(data);
            return None;
        };
        if entry.is(Entry::ASLEEP) {
            return None;
        }
        let key = self.table.slot(number)?.key();
        if entry.is(bit(libc::EPOLLONESHOT)) {
            let events = entry.events | Entry::ASLEEP;
            self.put(fd, key, Entry { events, ..entry });
        } else if entry.is(Entry::WAKER) {
            for waker in &self.rest.wakers {
                if waker.as_fd().as_raw_fd() == fd {
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
        let rest = &mut *self.rest;
        if rest.late.contains(&data) {
            rest.has_ghost = true;
        } else if let Some(place) = rest.late.get_mut(rest.late_next) {
            *place = data;
            rest.late_next = (rest.late_next + 1) % LATE_MAX;
        }
    }

    /// True once if there is such an entry.
    pub(super) fn has_ghost(&mut self) -> bool {
        let has = self.rest.has_ghost;
        if has {
            self.rest.late = [u64::MAX; LATE_MAX];
            self.rest.has_ghost = false;
        }
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_lie_behind_each_other_and_hold_every_descriptor() {
        let mut next = (0, 0);
        for fd in 0..100_000 {
            assert_eq!(position(fd), next, "{fd}");
            next.1 += 1;
            if next.1 == slots_of(next.0) {
                next = (next.0 + 1, 0);
            }
        }
        let (chunk, place) = position(RawFd::MAX.unsigned_abs());
        assert!(chunk < CHUNKS && place < slots_of(chunk));
    }
}
