//! A part of the hub in one thread, with the connections it accepted and the rooms it owns.
//!
//! The only place that knows connections and sessions at once. It carries things between them and
//! decides nothing that a door or a room could decide. What it asks of the network is a [`Net`], so
//! that the same shard runs on sockets and on a network that a test makes up.
//!
//! It has two sides that only know each other by what they say (`link.rs`): an owner of rooms,
//! which numbers what happens there, and a home of connections, which is all the rest. A room's
//! members may be at home in other shards.

mod asks;
mod chat;
mod chronicle;
mod connections;
mod deadlines;
mod events;
mod follow;
mod guests;
mod history;
mod link;
mod members;
mod net;
mod own;
mod owner;
mod pace;
mod parcels;
mod seats;
mod served;
mod shared;
mod waits;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use berkeley::SocketFile;
use switchboard_wire::{ContentHash, MessageId, Nick, RoomName, notice};
use tracing::{info, warn};

use self::chronicle::Chronicle;
pub use self::chronicle::SharedJournal;
use self::connections::{ByPlace, Connections};
pub use self::events::Arrival;
pub use self::guests::Guests;
use self::history::Reads;
pub use self::link::{Batch, Place};
use self::link::{News, Post};
pub use self::net::Net;
pub(crate) use self::net::prepare;
use self::owner::Owner;
use self::pace::Pace;
use self::seats::Seat;
pub(crate) use self::served::{Message, Served};
pub use self::shared::Shared;
use self::waits::{Held, Wait};
use crate::config::{Door, Senses};
use crate::door::line::LineSession;
use crate::door::parcel::ParcelSession;
use crate::door::time::Echoes;
use crate::limits::{CONNECTIONS_ROOM, FINISH_TIME, Limits, STOP_TIME};
use crate::log::Asker;
use crate::room::{Rooms, ShardId};
use crate::store::{Store, UploadId};

/// A connection, by a number that is never used again. It is the member's number too.
type ConnectionId = u64;

/// The tag of the timer that bounds the hub's own end; connections use their numbers, from 1 up.
const STOP_TIMER: u64 = 0;

/// The tag of the timer that looks whether the log has caught up.
const LOG_TIMER: u64 = u64::MAX - 1;

/// The tag of the timer that looks whether there is more for readers that are behind.
const CATCH_UP_TIMER: u64 = u64::MAX - 3;

/// The tag of the timer that tells the log what time it is.
const RETAIN_TIMER: u64 = u64::MAX - 2;

/// A bound socket of a door, and what is to be tidied up after it.
struct OpenDoor {
    door: Door,
    port: u16,
    _file: Option<SocketFile>,
}

struct Connection<N: Net> {
    /// `None` when the socket is gone and only the store's answers are waited for.
    token: Option<N::Token>,
    /// Who it is, for the log: the address.
    label: Arc<str>,
    /// The name that it has taken, as few have.
    nick: Option<Box<Nick>>,
    guest: Guests,
    /// The room that it is a member of.
    room: Option<RoomName>,
    /// Its time was up while the hub stood still, and it got a little more.
    spared: bool,
    /// Why it is not read: a bit for each [`waits::Stop`].
    stops: u8,
    session: Session,
}

impl<N: Net> Connection<N> {
    /// What the others see: the name that it has taken, or the label.
    fn shown(&self) -> &str {
        self.nick.as_deref().map_or(&*self.label, Nick::as_str)
    }

    /// The same to hand on.
    fn name(&self) -> Arc<str> {
        let nick = self.nick.as_deref();
        nick.map_or_else(|| self.label.clone(), |nick| nick.as_str().into())
    }
}

enum Session {
    Line(LineSession),
    Parcel(Box<ParcelConnection>),
}

struct ParcelConnection {
    session: ParcelSession,
    /// Bytes that the store has not written yet, and [`PIECE_BYTES`](crate::limits::PIECE_BYTES)
    /// for each piece.
    in_flight: usize,
    /// Since when it has not been read because the disk has to catch up.
    paused: Option<Instant>,
    /// The conversation has ended: what is left is to wait for the store and for the rooms.
    over: bool,
    /// The room that it speaks in, where it is no member, and which stays for it.
    speaks_in: Option<RoomName>,
    /// Rooms that it has let go of and that may still have something to say about what it brought.
    owed: u32,
}

/// A file that the store knows of.
struct Transfer {
    connection: ConnectionId,
    /// Bytes that the store has not written yet, and [`PIECE_BYTES`](crate::limits::PIECE_BYTES)
    /// for each piece.
    in_flight: usize,
    /// It was stored, failed or given up: only the count of bytes is still to be settled.
    over: bool,
    /// The file whose sender waits to be told how much of it there is, and the number that it gave
    /// the parcel.
    asked: Option<(ContentHash, Option<MessageId>)>,
}

/// What a shard is told at its start.
pub struct ShardConfig {
    /// Which of the hub's shards it is.
    pub place: Place,
    /// The bounds.
    pub limits: Limits,
    /// What comes from outside.
    pub senses: Senses,
    /// What it has together with the other shards.
    pub shared: Arc<Shared>,
    /// The rooms that are not forgotten, besides the lobby.
    pub kept_rooms: Vec<RoomName>,
    /// Where files go; without one, they cannot be stored.
    pub store: Option<Arc<Store>>,
    /// What keeps the entries, asked in the name of the shard's number; without one, nothing is.
    pub journal: Option<SharedJournal>,
}

impl core::fmt::Debug for ShardConfig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ShardConfig")
            .field("place", &self.place)
            .field("limits", &self.limits)
            .field("kept_rooms", &self.kept_rooms)
            .finish_non_exhaustive()
    }
}

/// See the module's documentation.
pub struct Shard<N: Net> {
    limits: Limits,
    senses: Senses,
    echoes: Echoes,
    /// The rooms that this shard owns.
    owner: Owner,
    /// What is to be done here, and what others are to be told.
    post: Post,
    /// Which connections are in which room, whoever owns that.
    journal: Option<SharedJournal>,
    /// What was asked of the log.
    reads: Reads,
    /// Connections that are not read until the log has caught up, and since when.
    slowed_by_log: Vec<(ConnectionId, Instant)>,
    /// How much came of whom since the log is behind.
    said: HashMap<ConnectionId, usize>,
    /// Shards whose rooms the log keeps no more, and why.
    not_kept: HashMap<ShardId, String>,
    seats: BTreeMap<RoomName, Seat<N::Feed>>,
    /// Room for a line that is being made.
    line: Vec<u8>,
    waits: HashMap<ConnectionId, Wait>,
    /// How fast connections may send, if that has a limit.
    pace: Option<Pace>,
    /// Who is not read until a shard has caught up, and since when.
    slowed: BTreeMap<ConnectionId, Instant>,
    /// Connections that waited and have their answer.
    released: VecDeque<(ConnectionId, Held)>,
    doors: HashMap<N::Token, OpenDoor>,
    connections: Connections<Connection<N>>,
    /// When somebody may be too late: not of members between two lines, who have one together.
    timers: HashMap<ConnectionId, (Instant, N::Timer)>,
    idle_timer: Option<(Instant, N::Timer)>,
    by_place: ByPlace,
    transfers: HashMap<UploadId, Transfer>,
    last_upload: u64,
    shared: Arc<Shared>,
    store: Option<Arc<Store>>,
    in_flight: usize,
    /// Parcel connections that are not read until the store has caught up.
    waiting: VecDeque<ConnectionId>,
    stopping: bool,
    /// The other shards have been told that nobody is here any more.
    is_done: bool,
    /// Shards, this one too, that have told so.
    done: BTreeSet<ShardId>,
    /// The time for ending in good order has passed.
    out_of_time: bool,
}

impl<N: Net> core::fmt::Debug for Shard<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Shard")
            .field("connections", &self.connections.len())
            .field("rooms", &self.rooms().len())
            .finish_non_exhaustive()
    }
}

impl<N: Net> Shard<N> {
    /// A shard without doors.
    #[must_use]
    pub fn new(config: ShardConfig) -> Self {
        let ShardConfig {
            place,
            limits,
            senses,
            shared,
            kept_rooms,
            store,
            journal,
        } = config;
        let lobby = RoomName::lobby();
        let has_lobby = place.owner_of(&lobby) == place.here;
        let lobby_epoch = (has_lobby && journal.is_none()).then(|| (senses.entropy)());
        let rooms = Rooms::part(&limits, kept_rooms, lobby_epoch, shared.rooms());
        let chronicle = journal
            .clone()
            .map(|journal| Chronicle::new(journal, Asker(place.here.0)));
        let mut owner = Owner::new(rooms, senses.clone(), Arc::clone(&shared), chronicle);
        if has_lobby {
            owner.prepare(&lobby);
        }
        // Memory that nobody has touched costs nothing.
        let room = limits.connections.min(CONNECTIONS_ROOM);
        let pace = limits.messages_per_second.map(Pace::new);
        Self {
            limits,
            owner,
            journal,
            reads: Reads::default(),
            slowed_by_log: Vec::new(),
            said: HashMap::new(),
            not_kept: HashMap::new(),
            senses,
            echoes: Echoes::default(),
            post: Post::new(place),
            seats: BTreeMap::new(),
            line: Vec::new(),
            waits: HashMap::new(),
            pace,
            slowed: BTreeMap::new(),
            released: VecDeque::new(),
            doors: HashMap::new(),
            connections: Connections::new(place.here, room),
            timers: HashMap::new(),
            idle_timer: None,
            by_place: ByPlace::new(room),
            transfers: HashMap::new(),
            last_upload: 0,
            shared,
            store,
            in_flight: 0,
            waiting: VecDeque::new(),
            stopping: false,
            is_done: false,
            done: BTreeSet::new(),
            out_of_time: false,
        }
    }

    /// Opens a door: `token` accepts connections, or receives datagrams, at `port`; `file` goes
    /// when the door is closed.
    pub fn add_door(&mut self, token: N::Token, door: Door, port: u16, file: Option<SocketFile>) {
        let open = OpenDoor {
            door,
            port,
            _file: file,
        };
        self.doors.insert(token, open);
    }

    /// Which door that is, if it is open.
    pub(crate) fn door_of(&self, token: N::Token) -> Option<Door> {
        self.doors.get(&token).map(|open| open.door)
    }

    /// Which of the hub's shards it is.
    pub(crate) const fn place(&self) -> Place {
        self.post.place
    }

    /// The rooms that it owns, to look at.
    #[must_use]
    pub const fn rooms(&self) -> &Rooms {
        self.owner.rooms()
    }

    /// True if it had to cut connections to end in time.
    #[must_use]
    pub const fn is_out_of_time(&self) -> bool {
        self.out_of_time
    }

    /// Forgets a connection's socket; the connection too, unless the store still owes it answers.
    fn forget(&mut self, net: &mut N, id: ConnectionId) {
        self.forget_wait(id);
        self.give_back(id);
        self.slowed.remove(&id);
        if let Some(pace) = &mut self.pace {
            pace.forget(id);
        }
        self.disarm(net, id);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if let Some(token) = connection.token.take() {
            self.by_place.remove(N::place(token));
            self.shared.go(&connection.guest);
        }
        let owed = match &mut connection.session {
            Session::Line(_) => false,
            Session::Parcel(parcel) => {
                if parcel.paused.take().is_some() {
                    self.waiting.retain(|waiting| *waiting != id);
                }
                !parcel.session.is_settled()
            }
        };
        if !owed {
            self.connections.remove(&id);
        }
        self.end_when_empty();
    }

    /// The hub is to end: no new connections, nothing more is read, everybody gets what is theirs.
    pub fn begin_stop(&mut self, net: &mut N) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        info!("stopping: {} connections are open", self.by_place.len());
        for (token, _door) in self.doors.drain() {
            net.close(token);
        }
        net.set_timer(net.now() + STOP_TIME, STOP_TIMER);
        let ids: Vec<ConnectionId> = self.connections.iter().map(|(id, _)| id).collect();
        for id in ids {
            let Some(connection) = self.connections.get_mut(&id) else {
                continue;
            };
            match (&mut connection.session, connection.token) {
                (Session::Line(_), Some(token)) => {
                    // The notice is the last that it hears. One whose outbox is full misses that,
                    // and not what was sent before.
                    net.leave_feed(token).ok();
                    net.send(token, notice("the hub is closing")).ok();
                    net.finish(token, FINISH_TIME);
                }
                (Session::Parcel(_), Some(_)) => self.stop_parcels(net, id),
                (_, None) => {}
            }
        }
        self.end_when_empty();
        self.settle_down(net);
    }

    /// Ends what did not end in time, with resets: an end in good order would tell a reader that
    /// it has everything, and a sender that everything was stored.
    fn cut_the_rest(&mut self, net: &mut N) {
        let count = self.by_place.len();
        if count > 0 {
            warn!("{count} connections did not end in time and are cut");
        }
        let late = self.transfers.values().filter(|file| !file.over).count();
        if late > 0 {
            warn!("{late} files were not stored in time and are given up");
        }
        for (_, connection) in self.connections.iter() {
            if let Some(token) = connection.token {
                net.reset(token);
            }
        }
        self.out_of_time = true;
        net.stop();
    }

    /// Tells the other shards when nobody is here any more. Rooms are served until nobody is
    /// anywhere.
    fn end_when_empty(&mut self) {
        if self.stopping && !self.is_done && self.connections.is_empty() {
            self.is_done = true;
            let Place { here, .. } = self.post.place;
            for shard in self.post.place.all() {
                self.post.news(shard, News::Done(here));
            }
        }
    }

    /// A shard has nobody any more.
    fn one_is_done(&mut self, net: &mut N, shard: ShardId) {
        self.done.insert(shard);
        if self.done.len() >= self.post.place.all().len() {
            net.stop();
        }
    }
}
