//! What all shards of a hub know together. It is touched when somebody comes, goes or takes a name,
//! and never for a delivery.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Guests;
use crate::limits::Limits;
use crate::names::Names;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Shared {
    names: Mutex<Names>,
    crowd: Mutex<Crowd>,
    rooms: Arc<AtomicUsize>,
}

/// Who is connected, over all shards.
#[derive(Debug, Default)]
struct Crowd {
    count: usize,
    per_address: HashMap<Guests, usize>,
}

impl Shared {
    /// Nobody is there and no name is taken.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn names(&self) -> MutexGuard<'_, Names> {
        // A thread that panicked with the names in hand has at most forgotten to free one.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many rooms there are.
    pub(super) fn rooms(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.rooms)
    }

    /// Somebody comes, and is counted.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn come(
        &self,
        guest: &Guests,
        is_loopback: bool,
        limits: &Limits,
    ) -> Result<(), String> {
        let mut crowd = self.crowd();
        if crowd.count >= limits.connections {
            return Err(format!(
                "the hub is full: {} connections",
                limits.connections
            ));
        }
        let here = crowd.per_address.get(guest).copied().unwrap_or(0);
        let counts = limits.loopback_counts || !is_loopback;
        if counts && here >= limits.connections_per_address {
            return Err(format!(
                "too many connections from one address: {}",
                limits.connections_per_address
            ));
        }
        crowd.count += 1;
        *crowd.per_address.entry(guest.clone()).or_default() += 1;
        Ok(())
    }

    /// Who came has gone.
    pub(super) fn go(&self, guest: &Guests) {
        let mut crowd = self.crowd();
        crowd.count = crowd.count.saturating_sub(1);
        if let Some(count) = crowd.per_address.get_mut(guest) {
            *count -= 1;
            if *count == 0 {
                crowd.per_address.remove(guest);
            }
        }
    }
}
