//! What `select` and `poll` have in common: a list of their own, looked through at each wait.

use core::fmt;
use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::identity::Identity;
use super::{
    Backend, EVENTS_MAX, Event, Interest, Key, Patience, Ready, Trigger, busy, check_scanning,
};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::waker::Waker;

/// What a descriptor turned out to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told {
    Ready(Ready),
    /// The number stands for nothing any more.
    Closed,
}

/// The list that one of the two system calls is handed.
pub(super) trait List: Send {
    /// Which call it is.
    const BACKEND: Backend;
    /// Its name.
    const CALL: &'static str;

    /// Refuses what cannot be in the list.
    fn check(fd: RawFd, interest: Interest) -> Result<()>;

    /// Watches a descriptor for this instead of what it was watched for, or not at all.
    fn set(&mut self, fd: RawFd, interest: Option<Interest>);

    /// Waits once; answers how many are ready.
    fn wait(&mut self, limit: Option<Duration>) -> Result<usize, Errno>;

    /// Shows those that the last wait found ready, beginning elsewhere each time, until `show`
    /// answers false.
    fn each(&mut self, show: &mut dyn FnMut(RawFd, Told) -> bool);
}

/// A selector over such a list.
pub(super) struct Scan<L> {
    registry: Mutex<Registry>,
    /// Held by the thread that waits.
    list: Mutex<L>,
    /// Ends a wait whose list has changed.
    alarm: Waker,
}

impl<L> fmt::Debug for Scan<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan")
            .field("alarm", &self.alarm)
            .finish_non_exhaustive()
    }
}

/// What is registered, and what of it the list does not know yet.
#[derive(Debug, Default)]
struct Registry {
    slots: Vec<Slot>,
    /// Descriptors whose slot was changed since the list was brought up to date.
    changed: Vec<RawFd>,
    wakers: Vec<Waker>,
    is_waited: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    entry: Option<Entry>,
    is_changed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    key: Key,
    interest: Interest,
    trigger: Trigger,
    identity: Identity,
    is_asleep: bool,
    is_waker: bool,
}

impl Registry {
    fn get(&mut self, fd: RawFd) -> Option<&mut Entry> {
        let slot = usize::try_from(fd)
            .ok()
            .and_then(|place| self.slots.get_mut(place))?;
        slot.entry.as_mut()
    }

    fn put(&mut self, fd: RawFd, entry: Option<Entry>) {
        let Ok(place) = usize::try_from(fd) else {
            return;
        };
        if self.slots.len() <= place {
            self.slots.resize(place + 1, Slot::default());
        }
        if let Some(slot) = self.slots.get_mut(place) {
            if slot.entry.is_some_and(|entry| entry.is_waker) {
                self.wakers.retain(|waker| waker.as_fd().as_raw_fd() != fd);
            }
            slot.entry = entry;
            if !slot.is_changed {
                slot.is_changed = true;
                self.changed.push(fd);
            }
        }
    }

    /// The registration of the file that a number stands for now. That of a file that it stood
    /// for before is forgotten.
    fn current(&mut self, fd: RawFd) -> Option<&mut Entry> {
        let identity = self.get(fd)?.identity;
        if Identity::of(fd) != Ok(identity) {
            self.put(fd, None);
        }
        self.get(fd)
    }

    /// Tells the list what has changed.
    fn bring_up_to_date(&mut self, list: &mut impl List) {
        for fd in self.changed.drain(..) {
            let slot = usize::try_from(fd).ok();
            if let Some(slot) = slot.and_then(|place| self.slots.get_mut(place)) {
                slot.is_changed = false;
                let awake = slot.entry.filter(|entry| !entry.is_asleep);
                list.set(fd, awake.map(|entry| entry.interest));
            }
        }
    }

    /// Whose it is that a descriptor is ready; `None`: nobody's.
    fn take(&mut self, fd: RawFd, told: Told) -> Option<Event> {
        let slot = usize::try_from(fd)
            .ok()
            .and_then(|place| self.slots.get_mut(place))?;
        // Registered or changed during the wait: the list was not asked for this one.
        if slot.is_changed {
            return None;
        }
        let Told::Ready(ready) = told else {
            self.put(fd, None);
            return None;
        };
        let entry = *self.current(fd)?;
        if entry.is_waker {
            for waker in &self.wakers {
                if waker.as_fd().as_raw_fd() == fd {
                    waker.lower();
                }
            }
        }
        if entry.trigger.is_one_shot() {
            let is_asleep = true;
            self.put(fd, Some(Entry { is_asleep, ..entry }));
        }
        let key = entry.key;
        Some(Event { key, ready })
    }

    /// Forgets those whose number stands for something else by now; true if there were any.
    fn forget_closed(&mut self) -> bool {
        let before = self.changed.len();
        let numbers: Vec<RawFd> = (0..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.entry.is_some())
            .map(|(fd, _)| fd)
            .collect();
        for fd in numbers {
            self.current(fd);
        }
        self.changed.len() > before
    }
}

impl<L: List + Default> Scan<L> {
    pub(super) fn new() -> Result<Self> {
        let alarm = Waker::new()?;
        let fd = alarm.as_fd().as_raw_fd();
        L::check(fd, Interest::READABLE)?;
        let mut list = L::default();
        list.set(fd, Some(Interest::READABLE));
        Ok(Self {
            registry: Mutex::default(),
            list: Mutex::new(list),
            alarm,
        })
    }

    /// Nothing that is done under the lock can leave the registry half done.
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, registry: &mut Registry, fd: RawFd, entry: Option<Entry>) {
        registry.put(fd, entry);
        if registry.is_waited {
            self.alarm.raise();
        }
    }

    fn entry(fd: BorrowedFd<'_>, key: Key, interest: Interest, trigger: Trigger) -> Result<Entry> {
        check_scanning(interest, trigger, L::BACKEND)?;
        L::check(fd.as_raw_fd(), interest)?;
        Ok(Entry {
            key,
            interest,
            trigger,
            identity: Identity::of_usable(fd).map_err(|errno| Error::os(L::CALL, errno))?,
            is_asleep: false,
            is_waker: false,
        })
    }

    pub(super) fn register(
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        let entry = Self::entry(fd, key, interest, trigger)?;
        let mut registry = self.registry();
        if let Some(found) = registry.get(fd.as_raw_fd())
            && found.identity == entry.identity
        {
            return Err(Error::os(L::CALL, Errno::EEXIST));
        }
        self.put(&mut registry, fd.as_raw_fd(), Some(entry));
        Ok(())
    }

    pub(super) fn modify(
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        let entry = Self::entry(fd, key, interest, trigger)?;
        let mut registry = self.registry();
        self.expect(&mut registry, fd)?;
        self.put(&mut registry, fd.as_raw_fd(), Some(entry));
        Ok(())
    }

    pub(super) fn unregister(&self, fd: BorrowedFd<'_>) -> Result<()> {
        let mut registry = self.registry();
        self.expect(&mut registry, fd)?;
        self.put(&mut registry, fd.as_raw_fd(), None);
        Ok(())
    }

    fn expect(&self, registry: &mut Registry, fd: BorrowedFd<'_>) -> Result<()> {
        match registry.current(fd.as_raw_fd()) {
            Some(_) => Ok(()),
            None => Err(Error::os(L::CALL, Errno::ENOENT)),
        }
    }

    pub(super) fn waker(&self, key: Key) -> Result<Waker> {
        let waker = Waker::new()?;
        let entry = Self::entry(waker.as_fd(), key, Interest::READABLE, Trigger::Level)?;
        let is_waker = true;
        let mut registry = self.registry();
        let fd = waker.as_fd().as_raw_fd();
        self.put(&mut registry, fd, Some(Entry { is_waker, ..entry }));
        registry.wakers.push(waker.clone());
        Ok(waker)
    }

    pub(super) fn wait(&self, out: &mut Vec<Event>, limit: Option<Duration>) -> Result<()> {
        out.clear();
        let Ok(mut list) = self.list.try_lock() else {
            return Err(busy());
        };
        let mut patience = Patience::new(limit);
        let mut is_broken = false;
        loop {
            let mut registry = self.registry();
            registry.bring_up_to_date(&mut *list);
            registry.is_waited = true;
            drop(registry);
            let answer = list.wait(patience.left());
            let mut registry = self.registry();
            registry.is_waited = false;
            match answer {
                Ok(0) if patience.has_ended() => return Ok(()),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => self.report(&mut registry, &mut *list, out),
                // Once without finding who was closed: the number may be taken again already.
                Err(Errno::EBADF) if registry.forget_closed() || !is_broken => is_broken = true,
                Err(errno) => return Err(Error::os(L::CALL, errno)),
            }
            if !out.is_empty() || !patience.goes_on() {
                return Ok(());
            }
        }
    }

    fn report(&self, registry: &mut Registry, list: &mut L, out: &mut Vec<Event>) {
        let alarm = self.alarm.as_fd().as_raw_fd();
        list.each(&mut |fd, told| {
            if fd == alarm {
                self.alarm.lower();
            } else if out.len() == EVENTS_MAX {
                return false;
            } else {
                out.extend(registry.take(fd, told));
            }
            true
        });
    }
}
