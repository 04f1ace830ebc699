//! The hub as a whole.

mod crew;

use std::path::Path;
use std::sync::Arc;

use berkeley::{Addr, Endpoint, Family, Protocol, Socket, Transport, create_servers, opt};
use switchboard_reactor::{Reactor, Receiver, Sender};

use self::crew::{AtWork, Farewell, Hand, Start};
use crate::config::{Config, Door, Keep};
use crate::limits::{DESCRIPTORS_RESERVED, Limits, SHARDS_MAX};
use crate::log::{Log, LogConfig, LogError};
use crate::room::ShardId;
use crate::shard::{Message, Place, Served, Shard, ShardConfig, Shared, SharedJournal, prepare};
use crate::store::{Store, StoreConfig, StoreError, Unfinished};

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
    /// The log cannot be used.
    #[error("{0}")]
    Log(#[from] LogError),
}

/// A hub with open doors, not running yet.
pub struct Hub {
    /// The first shard's, which runs in the thread that runs the hub.
    reactor: Reactor,
    served: Served,
    /// The threads of the others, and what they begin with.
    hands: Vec<(Hand, Start)>,
    shards: Arc<[Sender<Message>]>,
    store: Arc<Store>,
    log: Option<Arc<Log>>,
    doors: Vec<(Door, Endpoint)>,
    files_dir: std::path::PathBuf,
}

/// Ends a hub from another thread.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<[Sender<Message>]>);

impl Stopper {
    /// Lets the hub end in good order: [`Hub::run`] returns within [`crate::limits::STOP_TIME`]
    /// and what the disk takes for the one step that each thread of the store is at then.
    pub fn stop(&self) {
        for shard in self.0.iter() {
            shard.send(Message::Stop);
        }
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
    /// available. Nothing stays open then, and a folder that was made for it goes again.
    pub fn open(config: Config) -> Result<Self, HubError> {
        let mut reactor = crew::reactor(config.backend)?;
        if let Some(why) = reactor.fallback() {
            tracing::warn!("{why}: it is epoll now");
        }
        crew::limit(&mut reactor, &config.limits);
        let (mail, mailbox) = reactor.mailbox();
        let count = config.shards.clamp(1, SHARDS_MAX);
        let begin = |number| Hand::begin(number, config.backend);
        let hands: Vec<Hand> = (1..count).map(begin).collect::<Result<_, _>>()?;
        let others = hands.iter().map(|hand| hand.mail.clone());
        let shards: Arc<[Sender<Message>]> = core::iter::once(mail).chain(others).collect();
        let store = Arc::new(open_store(&config.data, &config.limits, &shards)?);
        let opened = Self::open_doors(config, reactor, (mailbox, shards, hands), &store);
        if opened.is_err()
            && let Some(store) = Arc::into_inner(store)
        {
            store.take_back();
        }
        opened
    }

    /// Opens what a hub has besides its folder.
    fn open_doors(
        config: Config,
        mut reactor: Reactor,
        (mailbox, shards, hands): (Receiver<Message>, Arc<[Sender<Message>]>, Vec<Hand>),
        store: &Arc<Store>,
    ) -> Result<Self, HubError> {
        let log = match config.log {
            Some(keep) => Some(Arc::new(open_log(&config.data, keep, &shards)?)),
            None => None,
        };
        let count = u16::try_from(shards.len()).unwrap_or(SHARDS_MAX);
        let mut limits = config.limits;
        limits.connections = limits.connections.min(room_for_connections()?);
        let shared = Shared::new();
        let shard_config = |number| ShardConfig {
            place: Place {
                here: ShardId(number),
                shards: count,
            },
            limits: limits.clone(),
            senses: config.senses.clone(),
            shared: Arc::clone(&shared),
            kept_rooms: config.kept_rooms.clone(),
            store: Some(Arc::clone(store)),
            journal: log.clone().map(|log| log as SharedJournal),
        };
        let start = |number| Start {
            config: shard_config(number),
            doors: Vec::new(),
            shards: Arc::clone(&shards),
        };
        let mut hands: Vec<(Hand, Start)> = hands.into_iter().zip((1..).map(start)).collect();
        let mut shard = Shard::new(shard_config(0));
        shard.begin_upkeep(&mut reactor);
        let mut doors = Vec::new();
        for (door, endpoint) in config.doors {
            let opened = open_door(&mut reactor, &mut shard, &mut hands, door, &endpoint);
            let failed = |source| HubError::Door {
                door,
                endpoint: endpoint.clone(),
                source,
            };
            doors.extend(opened.map_err(failed)?.into_iter().map(|at| (door, at)));
        }
        let files_dir = store.files_dir().to_owned();
        Ok(Self {
            reactor,
            served: Served::new(shard, mailbox, Arc::clone(&shards)),
            hands,
            shards,
            store: Arc::clone(store),
            log,
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
        Stopper(Arc::clone(&self.shards))
    }

    /// Serves until the [`Stopper`] is used.
    ///
    /// # Errors
    /// What the selector cannot recover from.
    pub fn run(self) -> Result<(), HubError> {
        let Self {
            reactor,
            served,
            hands,
            shards,
            store,
            log,
            ..
        } = self;
        let go = |(hand, start): (Hand, Start)| hand.go(start);
        let others: Vec<AtWork> = hands.into_iter().map(go).collect();
        let farewell = Farewell::new(ShardId(0), shards);
        let mut outcomes = vec![crew::run(reactor, served, farewell)];
        outcomes.extend(others.into_iter().map(AtWork::end));
        let is_out_of_time = outcomes.iter().any(|outcome| outcome.is_out_of_time);
        // What was received whole reaches the disk, as far as there is time for it.
        match Arc::into_inner(store) {
            Some(store) if is_out_of_time => store.give_up(),
            Some(store) => store.close(),
            None => tracing::error!("the store is still in use"),
        }
        match log.map(Arc::into_inner) {
            Some(Some(log)) => log.close(),
            Some(None) => tracing::error!("the log is still in use"),
            None => {}
        }
        for outcome in outcomes {
            outcome.result?;
        }
        Ok(())
    }
}

/// Opens the store, whose replies go to the shard that asked.
fn open_store(
    data: &Path,
    limits: &Limits,
    shards: &Arc<[Sender<Message>]>,
) -> Result<Store, StoreError> {
    let shards = Arc::clone(shards);
    let config = StoreConfig {
        unfinished: Unfinished {
            bytes: limits.unfinished_bytes,
            time: limits.unfinished_time,
            ..Unfinished::default()
        },
        ..StoreConfig::new(data)
    };
    Store::open(config, move |reply| {
        if let Some(shard) = shards.get(usize::from(reply.id().shard())) {
            shard.send(Message::Store(reply));
        }
    })
}

/// Opens the log, whose replies go to the shard that asked.
fn open_log(data: &Path, keep: Keep, shards: &Arc<[Sender<Message>]>) -> Result<Log, LogError> {
    let shards = Arc::clone(shards);
    let config = LogConfig {
        keep_age: keep.age,
        keep_bytes: keep.bytes,
        ..LogConfig::new(data)
    };
    Log::open(config, move |asker, reply| {
        if let Some(shard) = shards.get(usize::from(asker.0)) {
            shard.send(Message::Log(reply));
        }
    })
}

/// The connections that the process has descriptors for.
fn room_for_connections() -> berkeley::Result<usize> {
    let descriptors = usize::try_from(berkeley::descriptor_limit()?).unwrap_or(usize::MAX);
    let reserved = DESCRIPTORS_RESERVED.min(descriptors / 4);
    Ok(descriptors.saturating_sub(reserved).max(1))
}

/// Opens a door at an endpoint, and answers where it is. Every shard accepts for itself where the
/// kernel can share what comes; else the first does, and hands it on.
fn open_door(
    reactor: &mut Reactor,
    shard: &mut Shard<Reactor>,
    hands: &mut [(Hand, Start)],
    door: Door,
    endpoint: &Endpoint,
) -> berkeley::Result<Vec<Endpoint>> {
    let mut bound = Vec::new();
    for server in create_servers(endpoint)? {
        let (socket, at, file) = server.into_parts();
        let addr = socket.local_addr()?;
        let port = addr.port().unwrap_or(0);
        if door != Door::Time {
            prepare(&socket, door == Door::Parcels)?;
        }
        let is_shared = door != Door::Time && at.transport() == Transport::Tcp;
        if is_shared && !hands.is_empty() {
            // Only now: somebody else's hub at this address was to be noticed.
            socket.set(opt::ReusePort, true)?;
            for (_hand, start) in &mut *hands {
                let twin = twin(&socket, &addr)?;
                prepare(&twin, door == Door::Parcels)?;
                start.doors.push((door, twin, port));
            }
        }
        let token = match door {
            Door::Chat | Door::Parcels => reactor.add_listener(socket)?,
            Door::Time => reactor.add_datagrams(socket)?,
        };
        shard.add_door(token, door, port, file);
        bound.push(at);
    }
    Ok(bound)
}

/// Another socket that listens at the same address.
fn twin(socket: &Socket, addr: &Addr) -> berkeley::Result<Socket> {
    let twin = Socket::new(socket.family(), socket.kind(), Protocol::DEFAULT)?;
    if socket.family() == Family::INET6 {
        twin.set(opt::V6Only, socket.get(opt::V6Only)?)?;
    }
    twin.set(opt::ReuseAddr, true)?;
    twin.set(opt::ReusePort, true)?;
    twin.bind(addr)?;
    twin.listen_default()?;
    Ok(twin)
}
