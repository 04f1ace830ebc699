//! What the threads of one store know of each other.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use switchboard_wire::{ContentHash, FileName};

use super::StoreError;
use super::kept::Unfinished;

/// Which names are being given just now, and whether the store still accepts anything.
#[derive(Debug)]
pub(super) struct Shared {
    /// How much of unfinished uploads is kept.
    pub(super) unfinished: Unfinished,
    /// The files that are being sent, of those that can be gone on with.
    contents: Mutex<BTreeSet<ContentHash>>,
    /// At most one a thread.
    names: Mutex<BTreeSet<String>>,
    name_freed: Condvar,
    is_stopped: AtomicBool,
    is_given_up: AtomicBool,
}

impl Shared {
    pub(super) fn new(unfinished: Unfinished) -> Self {
        Self {
            unfinished,
            contents: Mutex::default(),
            names: Mutex::default(),
            name_freed: Condvar::new(),
            is_stopped: AtomicBool::new(false),
            is_given_up: AtomicBool::new(false),
        }
    }

    /// Keeps all others from sending this file until the claim is dropped; `None` if somebody is
    /// sending it.
    pub(super) fn claim_content(self: &Arc<Self>, hash: ContentHash) -> Option<ContentClaim> {
        self.contents().insert(hash).then(|| ContentClaim {
            shared: Arc::clone(self),
            hash,
        })
    }

    /// The files that are being sent, which stay the same ones for as long as this is held.
    pub(super) fn contents(&self) -> MutexGuard<'_, BTreeSet<ContentHash>> {
        // Inserting and removing leave a whole set even if a holder panics.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other thread gives this name, then keeps them from it until the claim is
    /// dropped.
    ///
    /// Between a rename and the `fsync(2)` of its folder a name may still be taken back. Nobody may
    /// find a duplicate there and call it stored.
    pub(super) fn claim<'a>(&'a self, name: &'a FileName) -> Claim<'a> {
        let mut names = self.names();
        // A thread holds one claim at most, so none waits for one that waits.
        while names.contains(name.as_str()) {
            names = self
                .name_freed
                .wait(names)
                .unwrap_or_else(PoisonError::into_inner);
        }
        names.insert(name.as_str().to_owned());
        Claim {
            shared: self,
            name: name.as_str(),
        }
    }

    /// Accept nothing from now on.
    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
    }

    /// Accept nothing from now on, because the store is to be closed at once.
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Release);
    }

    /// Why nothing is accepted any more, if nothing is.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.is_stopped.load(Ordering::Acquire) {
            return Err(StoreError::Stopped);
        }
        if self.is_given_up.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        Ok(())
    }

    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // Inserting and removing leave a whole set even if a holder panics.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sole right to give one name.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    shared: &'a Shared,
    name: &'a str,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let was_claimed = self.shared.names().remove(self.name);
        debug_assert!(
            was_claimed,
            "a claimed name stays until its claim is dropped"
        );
        self.shared.name_freed.notify_all();
    }
}

/// The sole right to send one file that can be gone on with.
#[derive(Debug)]
pub(super) struct ContentClaim {
    shared: Arc<Shared>,
    hash: ContentHash,
}

impl Drop for ContentClaim {
    fn drop(&mut self) {
        self.shared.contents().remove(&self.hash);
    }
}
