//! The hub as a whole.

use std::path::Path;
use std::sync::Arc;

use berkeley::{Endpoint, create_servers};
use switchboard_reactor::{Reactor, Sender};

use crate::config::{Config, Door};
use crate::limits::{DESCRIPTORS_RESERVED, FEEDS_BYTES_MAX};
use crate::shard::{Message, Place, Served, Shard, ShardConfig, Shared};
use crate::store::{Store, StoreConfig, StoreError};

/// Why a hub could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// A door could not be opened.
    #[error("cannot open the {door} door at {endpoint}")]
    Door {
        /// Which.
        door: Door,
        /// Where.
        endpoint: Endpoint,
        /// Why not.
        source: berkeley::Error,
    },
    /// The system refused something that no hub can do without.
    #[error("{0}")]
    System(#[from] berkeley::Error),
    /// The data folder cannot be used.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// A hub with open doors, not running yet.
pub struct Hub {
    reactor: Reactor,
    served: Served,
    store: Arc<Store>,
    stop: Sender<Message>,
    doors: Vec<(Door, Endpoint)>,
    files_dir: std::path::PathBuf,
}

/// Ends a hub from another thread.
#[derive(Debug, Clone)]
pub struct Stopper(Sender<Message>);

impl Stopper {
    /// Lets the hub end in good order: [`Hub::run`] returns within [`crate::limits::STOP_TIME`]
    /// and what the disk takes for the one step that each thread of the store is at then.
    pub fn stop(&self) {
        self.0.send(Message::Stop);
    }
}

impl core::fmt::Debug for Hub {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Hub")
            .field("doors", &self.doors)
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// Opens the data folder and then the doors.
    ///
    /// # Errors
    /// The folder cannot be used, an address is taken or not to be had, or the back end is not
    /// available. Nothing stays open then.
    pub fn open(mut config: Config) -> Result<Self, HubError> {
        let mut reactor = Reactor::new(config.backend)?;
        if let Some(why) = reactor.fallback() {
            tracing::warn!("{why}: it is epoll now");
        }
        reactor.keep_spare_descriptor()?;
        reactor.limit_stalls(Some(config.limits.outbox_time));
        reactor.limit_feeds(FEEDS_BYTES_MAX);
        let (mail, mailbox) = reactor.mailbox();
        let replies = mail.clone();
        let store = Store::open(StoreConfig::new(&config.data), move |reply| {
            replies.send(Message::Store(reply));
        })?;
        let store = Arc::new(store);
        let files_dir = store.files_dir().to_owned();

        let descriptors = usize::try_from(berkeley::descriptor_limit()?).unwrap_or(usize::MAX);
        let reserved = DESCRIPTORS_RESERVED.min(descriptors / 4);
        let room_for = descriptors.saturating_sub(reserved).max(1);
        config.limits.connections = config.limits.connections.min(room_for);

        let mut shard = Shard::new(ShardConfig {
            place: Place::ALONE,
            limits: config.limits,
            senses: config.senses,
            shared: Shared::new(),
            kept_rooms: config.kept_rooms,
            store: Some(Arc::clone(&store)),
        });
        let mut doors = Vec::new();
        for (door, endpoint) in config.doors {
            let failed = |source| HubError::Door {
                door,
                endpoint: endpoint.clone(),
                source,
            };
            for server in create_servers(&endpoint).map_err(failed)? {
                let (socket, bound, file) = server.into_parts();
                let port = socket.local_addr()?.port().unwrap_or(0);
                let token = match door {
                    Door::Chat | Door::Parcels => reactor.add_listener(socket),
                    Door::Time => reactor.add_datagrams(socket),
                };
                shard.add_door(token.map_err(failed)?, door, port, file);
                doors.push((door, bound));
            }
        }
        Ok(Self {
            reactor,
            served: Served {
                shard,
                mailbox,
                shards: vec![mail.clone()],
            },
            store,
            stop: mail,
            doors,
            files_dir,
        })
    }

    /// The open doors, with the addresses that they really have.
    #[must_use]
    pub fn doors(&self) -> &[(Door, Endpoint)] {
        &self.doors
    }

    /// The folder where received files lie.
    #[must_use]
    pub fn files_dir(&self) -> &Path {
        &self.files_dir
    }

    /// What ends the hub from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Serves until the [`Stopper`] is used.
    ///
    /// # Errors
    /// What the selector cannot recover from.
    pub fn run(self) -> Result<(), HubError> {
        let Self {
            mut reactor,
            mut served,
            store,
            ..
        } = self;
        let result = reactor.run(&mut served);
        drop(reactor);
        let is_out_of_time = served.shard.is_out_of_time();
        drop(served);
        // What was received whole reaches the disk, as far as there is time for it.
        match Arc::into_inner(store) {
            Some(store) if is_out_of_time => store.give_up(),
            Some(store) => store.close(),
            None => tracing::error!("the store is still in use"),
        }
        Ok(result?)
    }
}
