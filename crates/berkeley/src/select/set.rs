//! select(2): three sets.

use core::fmt;
use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::hook::Hook;
use crate::selector::Patience;
use crate::sys::event::{self, Word};

const WORD_BITS: usize = Word::BITS as usize;

/// Descriptors that an ordinary [`FdSet`] has room for: the numbers below this one.
pub const FD_SETSIZE: usize = libc::FD_SETSIZE;

/// A set of descriptors, by their numbers (`fd_set`).
///
/// It knows its room and refuses a number beyond it, which C's `FD_SET` writes into other memory.
#[derive(Clone)]
pub struct FdSet {
    words: Vec<Word>,
    /// What the call was asked, since a call that a signal ends leaves the set undefined.
    asked: Vec<Word>,
    room: usize,
}

impl FdSet {
    /// An empty set with room for the descriptors below [`FD_SETSIZE`].
    #[must_use]
    #[doc(alias = "FD_ZERO")]
    pub fn new() -> Self {
        Self::with_room(FD_SETSIZE)
    }

    /// An empty set with room for the descriptors below `room`, which Linux lets be as high as
    /// [`crate::descriptor_limit`].
    #[must_use]
    pub fn with_room(room: usize) -> Self {
        let words = vec![0; room.div_ceil(WORD_BITS)];
        let asked = Vec::new();
        Self { words, asked, room }
    }

    /// Adds a descriptor.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the set has no room for its number.
    ///
    /// # References
    /// select(2), `FD_SET`.
    #[doc(alias = "FD_SET")]
    pub fn insert(&mut self, fd: &impl AsFd) -> Result<()> {
        let number = fd.as_fd().as_raw_fd();
        match self.word(number) {
            Some((word, bit)) => {
                *word |= bit;
                Ok(())
            }
            None => Err(Error::Unsupported(format!(
                "the set has room for descriptors below {} only, and this one is {number}",
                self.room
            ))),
        }
    }

    /// Takes a descriptor out.
    ///
    /// # References
    /// select(2), `FD_CLR`.
    #[doc(alias = "FD_CLR")]
    pub fn remove(&mut self, fd: &impl AsFd) {
        if let Some((word, bit)) = self.word(fd.as_fd().as_raw_fd()) {
            *word &= !bit;
        }
    }

    /// True if a descriptor is in the set.
    ///
    /// # References
    /// select(2), `FD_ISSET`.
    #[must_use]
    #[doc(alias = "FD_ISSET")]
    pub fn contains(&self, fd: &impl AsFd) -> bool {
        let number = fd.as_fd().as_raw_fd();
        position(number).is_some_and(|(index, bit)| {
            let word = self.words.get(index);
            word.is_some_and(|word| word & bit != 0)
        })
    }

    /// Takes all out.
    ///
    /// # References
    /// select(2), `FD_ZERO`.
    #[doc(alias = "FD_ZERO")]
    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    /// The numbers in the set, from the lowest.
    pub fn numbers(&self) -> impl Iterator<Item = RawFd> {
        let words = self.words.iter().zip((0..).step_by(WORD_BITS));
        words.flat_map(|(word, base)| {
            let bits = (0..).zip(core::iter::successors(Some(*word), |rest| Some(rest >> 1)));
            bits.take(WORD_BITS)
                .filter(|(_, rest)| rest & 1 == 1)
                .filter_map(move |(bit, _)| RawFd::try_from(base + bit).ok())
        })
    }

    fn word(&mut self, fd: RawFd) -> Option<(&mut Word, Word)> {
        let is_beyond = usize::try_from(fd).map_or(true, |number| number >= self.room);
        let (index, bit) = position(fd).filter(|_| !is_beyond)?;
        Some((self.words.get_mut(index)?, bit))
    }
}

impl Default for FdSet {
    fn default() -> Self {
        Self::new()
    }
}

/// Sets are the same if they hold the same descriptors, whatever else they have room for.
impl PartialEq for FdSet {
    fn eq(&self, other: &Self) -> bool {
        self.numbers().eq(other.numbers())
    }
}

impl Eq for FdSet {}

impl fmt::Debug for FdSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.numbers()).finish()
    }
}

/// The index of the word and the bit in it of a descriptor.
fn position(fd: RawFd) -> Option<(usize, Word)> {
    let number = usize::try_from(fd).ok()?;
    Some((number / WORD_BITS, 1 << (number % WORD_BITS)))
}

/// Waits at most `limit` until something can be received from a descriptor in `read`, or sent to
/// one in `write`, or one in `except` has urgent data; leaves those in the sets for which it is
/// so, and answers how many that are in all. A descriptor counts in each set that it is in.
///
/// # Errors
/// `EBADF` if a descriptor in a set was closed; the sets are as they were then.
///
/// # References
/// select(2).
pub fn select(
    read: &mut FdSet,
    write: &mut FdSet,
    except: &mut FdSet,
    limit: Option<Duration>,
) -> Result<usize> {
    select_with(&(), read, write, except, limit)
}

/// The same with a hook around each call of the kernel, for language bindings.
///
/// # Errors
/// As [`select`], and what the hook says.
///
/// # References
/// select(2); signal(7), "Interruption of system calls".
pub fn select_with(
    hook: &impl Hook,
    read: &mut FdSet,
    write: &mut FdSet,
    except: &mut FdSet,
    limit: Option<Duration>,
) -> Result<usize> {
    let mut sets = [read, write, except];
    let count = sets.iter().map(|set| set.words.len()).max().unwrap_or(0);
    for set in &mut sets {
        set.words.resize(count, 0);
        set.asked.clone_from(&set.words);
    }
    let highest = sets.iter().filter_map(|set| set.numbers().last()).max();
    let below = highest.map_or(0, |fd| fd + 1);
    let mut patience = Patience::new(limit);
    loop {
        let words = sets.each_mut().map(|set| set.words.as_mut_slice());
        let left = patience.left();
        match hook.blocking(move || event::select(below, words, left)) {
            Ok(0) if !patience.has_ended() => {}
            Ok(count) => return Ok(count),
            Err(Errno::EINTR) => {
                hook.interrupted()?;
                patience.take_stock();
            }
            Err(errno) => {
                put_back(&mut sets);
                return Err(Error::os("select", errno));
            }
        }
        put_back(&mut sets);
    }
}

fn put_back(sets: &mut [&mut FdSet; 3]) {
    for set in sets {
        set.words.clone_from(&set.asked);
    }
}
