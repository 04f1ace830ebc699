//! Where a ring finds the descriptors of its keys.

use core::hash::BuildHasher;
use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, BorrowedFd};

use crate::selector::Key;

/// Knows the descriptor behind each key.
///
/// The ring asks at the moment of submission only, and the borrow lasts until the kernel has the
/// operation and, with it, a hold of its own on the file. So a descriptor can be closed at any
/// other moment: what was prepared for its key is forgotten if there is none behind it any more.
///
/// # References
/// io_uring(7).
pub trait Descriptors {
    /// The descriptor of a key, or `None` where there is none (any more).
    fn descriptor(&self, key: Key) -> Option<BorrowedFd<'_>>;
}

/// By their place.
impl<S: AsFd> Descriptors for [S] {
    fn descriptor(&self, key: Key) -> Option<BorrowedFd<'_>> {
        let index = usize::try_from(key.0).ok()?;
        self.get(index).map(AsFd::as_fd)
    }
}

/// By their place.
impl<S: AsFd> Descriptors for Vec<S> {
    fn descriptor(&self, key: Key) -> Option<BorrowedFd<'_>> {
        self.as_slice().descriptor(key)
    }
}

impl<S: AsFd, H: BuildHasher> Descriptors for HashMap<Key, S, H> {
    fn descriptor(&self, key: Key) -> Option<BorrowedFd<'_>> {
        self.get(&key).map(AsFd::as_fd)
    }
}

impl<S: AsFd> Descriptors for BTreeMap<Key, S> {
    fn descriptor(&self, key: Key) -> Option<BorrowedFd<'_>> {
        self.get(&key).map(AsFd::as_fd)
    }
}
