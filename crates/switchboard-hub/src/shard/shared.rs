//! What all shards of a hub know together. It is touched when somebody comes, goes or takes a name,
//! and never for a delivery.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Guests;
use crate::limits::{Limits, SHARD_BACKLOG_BYTES_MAX, SHARDS_MAX};
use crate::names::{Lent, Names};
use crate::room::ShardId;

/// See the module's documentation.
#[derive(Debug)]
pub struct Shared {
    names: Mutex<Names>,
    crowd: Mutex<Crowd>,
    rooms: Arc<AtomicUsize>,
    loads: [Load; SHARDS_MAX as usize],
}

/// What one shard has not worked off yet of what others have handed over to it.
#[derive(Debug, Default)]
struct Load {
    bytes: AtomicUsize,
    /// It was too much, and who waits for that to change has not been told.
    is_full: AtomicBool,
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
        Arc::new(Self {
            names: Mutex::default(),
            crowd: Mutex::default(),
            rooms: Arc::default(),
            loads: core::array::from_fn(|_shard| Load::default()),
        })
    }

    fn load(&self, shard: ShardId) -> Option<&Load> {
        self.loads.get(usize::from(shard.0))
    }

    /// So much is about to be handed over to a shard.
    pub(super) fn burden(&self, shard: ShardId, bytes: usize) {
        if let Some(load) = self.load(shard)
            && load.bytes.fetch_add(bytes, Ordering::SeqCst) + bytes > SHARD_BACKLOG_BYTES_MAX
        {
            load.is_full.store(true, Ordering::SeqCst);
        }
    }

    /// A shard has worked so much off; true if those who wait for it are to be told to go on.
    /// Whatever made it full is worked off behind that, so that nobody is forgotten.
    pub(super) fn relieve(&self, shard: ShardId, bytes: usize) -> bool {
        self.load(shard).is_some_and(|load| {
            let before = load.bytes.fetch_sub(bytes, Ordering::SeqCst);
            let is_low = before.saturating_sub(bytes) <= SHARD_BACKLOG_BYTES_MAX / 2;
            is_low && load.is_full.swap(false, Ordering::SeqCst)
        })
    }

    /// A shard has so much to do that nothing should be read that makes more of it.
    pub(super) fn is_burdened(&self, shard: ShardId) -> bool {
        self.load(shard)
            .is_some_and(|load| load.is_full.load(Ordering::SeqCst))
    }

    /// How many names are taken.
    #[must_use]
    pub fn names_taken(&self) -> usize {
        self.names().len()
    }

    pub(super) fn names(&self) -> MutexGuard<'_, Names> {
        // A thread that panicked with the names in hand has at most forgotten to free one.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name that was lent to a room is not shown there any more.
    pub(super) fn give_back(&self, lent: Option<Arc<Lent>>) {
        if let Some(lent) = lent {
            self.names().give_back(lent);
        }
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
