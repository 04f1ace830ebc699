//! The `select` back end.

use core::time::Duration;
use std::os::fd::{BorrowedFd, RawFd};

use super::scan::{List, Scan, Told};
use super::{Backend, Event, Interest, Key, Ready, Selector, Trigger};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::sys::event::{self, Word};
use crate::waker::Waker;

/// select(2): sets of 1,024 descriptors that are copied and looked through at each call.
#[derive(Debug)]
pub struct Select(Scan<Sets>);

impl Select {
    /// Makes one.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE` when descriptors have run out: it needs one to be woken by.
    /// [`Error::Unsupported`] if there is none left below 1,024.
    pub fn new() -> Result<Self> {
        Scan::new().map(Self)
    }
}

/// Descriptors that a set can hold: the numbers below this one (`FD_SETSIZE`).
const DESCRIPTORS: usize = libc::FD_SETSIZE;

const WORD_BITS: usize = Word::BITS as usize;

type Set = [Word; DESCRIPTORS / WORD_BITS];

/// What is asked for, and what the kernel made of it: readable, writable, priority.
#[derive(Default)]
struct Sets {
    asked: [Set; 3],
    told: [Set; 3],
}

/// The word and the bit in it of a descriptor.
fn position(fd: RawFd) -> Option<(usize, Word)> {
    let number = usize::try_from(fd).ok()?;
    Some((number / WORD_BITS, 1 << (number % WORD_BITS)))
}

impl Sets {
    /// The number behind the highest descriptor that is asked for.
    fn below(&self) -> RawFd {
        let [read, write, except] = &self.asked;
        let words = read.iter().zip(write).zip(except);
        let highest = words
            .map(|((read, write), except)| read | write | except)
            .zip(1usize..)
            .filter(|(word, _)| *word != 0)
            .last();
        highest.map_or(0, |(word, words)| {
            let unused = usize::try_from(word.leading_zeros()).unwrap_or(0);
            RawFd::try_from(words * WORD_BITS - unused).unwrap_or(0)
        })
    }
}

impl List for Sets {
    const BACKEND: Backend = Backend::Select;
    const CALL: &'static str = "select";

    fn check(fd: RawFd, interest: Interest) -> Result<()> {
        if interest.has(Interest::PEER_CLOSED) {
            return Err(Error::Unsupported(
                "select cannot tell that a peer has ended its side: choose poll or epoll".into(),
            ));
        }
        if usize::try_from(fd).map_or(true, |number| number >= DESCRIPTORS) {
            return Err(Error::Unsupported(format!(
                "select has room for descriptors below {DESCRIPTORS} only, and this one is {fd}: \
                 choose poll or epoll"
            )));
        }
        Ok(())
    }

    fn set(&mut self, fd: RawFd, interest: Option<Interest>) {
        let Some((word, bit)) = position(fd) else {
            return;
        };
        let parts = [Interest::READABLE, Interest::WRITABLE, Interest::PRIORITY];
        for (set, part) in self.asked.iter_mut().zip(parts) {
            if let Some(word) = set.get_mut(word) {
                *word &= !bit;
                if interest.is_some_and(|interest| interest.has(part)) {
                    *word |= bit;
                }
            }
        }
    }

    fn wait(&mut self, limit: Option<Duration>) -> Result<usize, Errno> {
        self.told = self.asked;
        let below = self.below();
        event::select(below, self.told.each_mut().map(|set| &mut set[..]), limit)
    }

    fn each(&mut self, show: &mut dyn FnMut(RawFd, Told) -> bool) {
        let [read, write, except] = &self.told;
        let words = read.iter().zip(write).zip(except);
        for (((read, write), except), base) in words.zip((0..).step_by(WORD_BITS)) {
            let mut any = read | write | except;
            while any != 0 {
                let bit = any & any.wrapping_neg();
                any ^= bit;
                let ready = Ready::default()
                    .when(read & bit != 0, Ready::READABLE)
                    .when(write & bit != 0, Ready::WRITABLE)
                    .when(except & bit != 0, Ready::PRIORITY);
                let number = base + bit.trailing_zeros();
                let Ok(fd) = RawFd::try_from(number) else {
                    return;
                };
                // All of them fit in one report: there is no next one to begin elsewhere.
                if !show(fd, Told::Ready(ready)) {
                    return;
                }
            }
        }
    }
}

impl Selector for Select {
    fn register(
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        self.0.register(fd, key, interest, trigger)
    }

    fn modify(
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        self.0.modify(fd, key, interest, trigger)
    }

    fn unregister(&self, fd: BorrowedFd<'_>) -> Result<()> {
        self.0.unregister(fd)
    }

    fn wait(&self, events: &mut Vec<Event>, limit: Option<Duration>) -> Result<()> {
        self.0.wait(events, limit)
    }

    fn waker(&self, key: Key) -> Result<Waker> {
        self.0.waker(key)
    }

    fn backend(&self) -> Backend {
        Backend::Select
    }
}
