//! A part of the hub in one thread, with the connections it accepted.
//!
//! The only place that knows connections and sessions at once. It carries things between them and
//! decides nothing that a door or a room could decide. What it asks of the network is a [`Net`], so
//! that the same shard runs on sockets and on a network that a test makes up.

mod chat;
mod follow;
mod guests;
mod members;
mod net;
mod parcels;
mod served;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use berkeley::{Addr, SocketFile};
use switchboard_wire::{RoomName, notice};
use tracing::{debug, error, info, warn};

pub use self::guests::Guests;
pub use self::net::Net;
pub(crate) use self::served::{Message, Served};
use crate::config::{Door, Senses};
use crate::door::line::LineSession;
use crate::door::parcel::ParcelSession;
use crate::door::time::{self, Echoes};
use crate::limits::{CHAT_READ_BYTES_MAX, FINISH_TIME, Limits, STALL_TIME, STOP_TIME};
use crate::names::Names;
use crate::room::Rooms;
use crate::store::{Store, UploadId};

/// A connection, by a number that is never used again. It is the member's number too.
type ConnectionId = u64;

/// The tag of the timer that bounds the hub's own end; connections use their numbers, from 1 up.
const STOP_TIMER: u64 = 0;

/// A bound socket of a door, and what is to be tidied up after it.
struct OpenDoor {
    door: Door,
    port: u16,
    _file: Option<SocketFile>,
}

/// Who has come to a door.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// What to call it: its address.
    pub label: Arc<str>,
    /// Which limit it counts for.
    pub guest: Guests,
    /// It is on this machine.
    pub is_loopback: bool,
}

struct Connection<N: Net> {
    /// `None` when the socket is gone and only the store's answers are waited for.
    token: Option<N::Token>,
    /// Who it is, for the log: the address.
    label: Arc<str>,
    /// What the others see: the name that it has taken, or the label.
    name: Arc<str>,
    guest: Guests,
    /// The room that it is a member of.
    room: Option<RoomName>,
    timer: Option<(Instant, N::Timer)>,
    /// Its time was up while the hub stood still, and it got a little more.
    spared: bool,
    session: Session,
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
    /// The conversation has ended: what is left is to wait for the store.
    over: bool,
    /// The room that it speaks in, where it is no member.
    held: Option<RoomName>,
}

/// A file that the store knows of.
struct Transfer {
    connection: ConnectionId,
    /// Bytes that the store has not written yet, and [`PIECE_BYTES`](crate::limits::PIECE_BYTES)
    /// for each piece.
    in_flight: usize,
    /// It was stored, failed or given up: only the count of bytes is still to be settled.
    over: bool,
}

/// See the module's documentation.
pub struct Shard<N: Net> {
    limits: Limits,
    senses: Senses,
    echoes: Echoes,
    doors: HashMap<N::Token, OpenDoor>,
    connections: BTreeMap<ConnectionId, Connection<N>>,
    by_token: HashMap<N::Token, ConnectionId>,
    transfers: HashMap<UploadId, Transfer>,
    per_address: HashMap<Guests, usize>,
    last_id: ConnectionId,
    last_upload: u64,
    rooms: Rooms,
    names: Arc<Mutex<Names>>,
    store: Option<Store>,
    in_flight: usize,
    /// Parcel connections that are not read until the store has caught up.
    waiting: VecDeque<ConnectionId>,
    stopping: bool,
    /// The time for ending in good order has passed.
    out_of_time: bool,
}

impl<N: Net> core::fmt::Debug for Shard<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Shard")
            .field("connections", &self.connections.len())
            .field("rooms", &self.rooms.len())
            .finish_non_exhaustive()
    }
}

impl<N: Net> Shard<N> {
    /// A shard without doors. `names` are those of the whole hub; `kept` are the rooms that are not
    /// forgotten; without a store, files cannot be stored.
    #[must_use]
    pub fn new(
        limits: Limits,
        mut senses: Senses,
        names: Arc<Mutex<Names>>,
        kept: Vec<RoomName>,
        store: Option<Store>,
    ) -> Self {
        let rooms = Rooms::new(&limits, kept, (senses.entropy)());
        Self {
            limits,
            senses,
            echoes: Echoes::default(),
            doors: HashMap::new(),
            connections: BTreeMap::new(),
            by_token: HashMap::new(),
            transfers: HashMap::new(),
            per_address: HashMap::new(),
            last_id: 0,
            last_upload: 0,
            rooms,
            names,
            store,
            in_flight: 0,
            waiting: VecDeque::new(),
            stopping: false,
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

    /// Which door that is.
    pub(crate) fn door_name(&self, token: N::Token) -> &'static str {
        self.doors
            .get(&token)
            .map_or("closed", |open| open.door.name())
    }

    /// The rooms, to look at.
    #[must_use]
    pub const fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        // A thread that panicked with the names in hand has at most forgotten to free one.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the store when the reactor has stopped: what was received whole reaches the disk, as
    /// far as there is time for it.
    pub fn close(mut self) {
        match self.store.take() {
            Some(store) if self.out_of_time => store.give_up(),
            Some(store) => store.close(),
            None => {}
        }
    }

    /// Why a new connection is not taken, if it is not.
    fn refusal(&mut self, door: Door, guest: &Guests, loopback: bool) -> Option<String> {
        if door == Door::Chat
            && let Err(full) = self.rooms.enter(&RoomName::lobby(), 0)
        {
            return Some(full.to_string());
        }
        if self.by_token.len() >= self.limits.connections {
            return Some(format!(
                "the hub is full: {} connections",
                self.limits.connections
            ));
        }
        let here = self.per_address.get(guest).copied().unwrap_or(0);
        let counts = self.limits.loopback_counts || !loopback;
        if counts && here >= self.limits.connections_per_address {
            return Some(format!(
                "too many connections from one address: {}",
                self.limits.connections_per_address
            ));
        }
        None
    }

    /// Starts the clock of a connection, or sets it to the session's present deadline if that is
    /// earlier. A deadline that moved away is looked at when the old one is due, so that traffic
    /// costs no timer work.
    fn arm(&mut self, net: &mut N, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let deadline = match &connection.session {
            Session::Line(session) => session.deadline(),
            // Nobody can be late while the hub itself is not listening: look again later.
            Session::Parcel(parcel) if parcel.is_excused() => net.now() + self.limits.parcel_idle,
            Session::Parcel(parcel) => parcel.session.deadline(),
        };
        match connection.timer {
            Some((at, _)) if at <= deadline => return,
            Some((_, timer)) => net.cancel_timer(timer),
            None => {}
        }
        connection.timer = Some((deadline, net.set_timer(deadline, id)));
    }

    fn expire(&mut self, net: &mut N, id: ConnectionId) {
        let now = net.now();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some((due, _)) = connection.timer.take() else {
            return;
        };
        if connection.token.is_none() {
            return;
        }
        // What it sent while the hub stood still may not be read yet.
        let stood_still = now.saturating_duration_since(due) > STALL_TIME;
        connection.spared = stood_still && !connection.spared;
        if connection.spared {
            if let Session::Parcel(parcel) = &mut connection.session {
                let since = due.checked_sub(self.limits.frame_time).unwrap_or(due);
                parcel.session.excuse(since, now);
            }
            let at = now + STALL_TIME;
            connection.timer = Some((at, net.set_timer(at, id)));
            return;
        }
        let reason = match &mut connection.session {
            Session::Line(session) => session.expire(now),
            Session::Parcel(parcel) if parcel.is_excused() => None,
            Session::Parcel(parcel) => parcel.session.expire(now).map(|error| error.to_string()),
        };
        match reason {
            None => self.arm(net, id),
            Some(reason) if matches!(connection.session, Session::Line(_)) => {
                self.put_out(net, id, &reason);
            }
            Some(reason) => self.break_off(net, id, &reason),
        }
    }

    /// Forgets a connection's socket; the connection too, unless the store still owes it answers.
    fn forget(&mut self, net: &mut N, id: ConnectionId) {
        self.give_back(id);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if let Some(token) = connection.token.take() {
            self.by_token.remove(&token);
            if let Some(count) = self.per_address.get_mut(&connection.guest) {
                *count -= 1;
                if *count == 0 {
                    self.per_address.remove(&connection.guest);
                }
            }
        }
        if let Some((_, timer)) = connection.timer.take() {
            net.cancel_timer(timer);
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
        self.stop_when_empty(net);
    }

    /// The hub is to end: no new connections, nothing more is read, everybody gets what is theirs.
    pub fn begin_stop(&mut self, net: &mut N) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        info!("stopping: {} connections are open", self.by_token.len());
        for (token, _door) in self.doors.drain() {
            net.close(token);
        }
        net.set_timer(net.now() + STOP_TIME, STOP_TIMER);
        let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in ids {
            let Some(connection) = self.connections.get_mut(&id) else {
                continue;
            };
            match (&mut connection.session, connection.token) {
                (Session::Line(_), Some(token)) => {
                    // A member whose outbox is full misses the notice, not what was sent before.
                    net.send(token, notice("the hub is closing")).ok();
                    net.finish(token, FINISH_TIME);
                }
                (Session::Parcel(_), Some(_)) => self.stop_parcels(net, id),
                (_, None) => {}
            }
        }
        self.stop_when_empty(net);
    }

    /// Ends what did not end in time, with resets: an end in good order would tell a reader that
    /// it has everything, and a sender that everything was stored.
    fn cut_the_rest(&mut self, net: &mut N) {
        let count = self.by_token.len();
        if count > 0 {
            warn!("{count} connections did not end in time and are cut");
        }
        let late = self.transfers.values().filter(|file| !file.over).count();
        if late > 0 {
            warn!("{late} files were not stored in time and are given up");
        }
        for (token, _id) in self.by_token.drain() {
            net.reset(token);
        }
        self.out_of_time = true;
        net.stop();
    }

    fn stop_when_empty(&self, net: &mut N) {
        if self.stopping && self.connections.is_empty() {
            net.stop();
        }
    }
}

impl ParcelConnection {
    /// True while it is the hub that keeps the peer waiting.
    const fn is_excused(&self) -> bool {
        self.paused.is_some() || self.over
    }
}

/// What the network tells.
impl<N: Net> Shard<N> {
    /// Somebody has come to a door.
    pub fn arrived(
        &mut self,
        net: &mut N,
        listener: N::Token,
        socket: N::Socket,
        arrival: Arrival,
    ) {
        let Some(door) = self.doors.get(&listener).map(|open| open.door) else {
            return;
        };
        let Arrival {
            label,
            guest,
            is_loopback,
        } = arrival;
        if let Some(reason) = self.refusal(door, &guest, is_loopback) {
            warn!("{label} turned away from the {door} door: {reason}");
            // By the other doors an end in good order would mean that everything was taken.
            net.turn_away(socket, (door == Door::Chat).then(|| notice(&reason)));
            return;
        }
        // A parcel connection that breaks must not look like an end in good order, by which the
        // sender knows that everything was stored.
        let token = match net.add(socket, self.limits.outbox_bytes, door == Door::Parcels) {
            Ok(token) => token,
            Err(error) => {
                warn!("{label} turned away from the {door} door: {error}");
                return;
            }
        };
        self.last_id += 1;
        let (id, now) = (self.last_id, net.now());
        let session = if door == Door::Chat {
            Session::Line(LineSession::new(&self.limits, now))
        } else {
            Session::Parcel(Box::new(ParcelConnection {
                session: ParcelSession::new(&self.limits, now),
                in_flight: 0,
                paused: None,
                over: false,
                held: None,
            }))
        };
        *self.per_address.entry(guest.clone()).or_default() += 1;
        self.by_token.insert(token, id);
        let connection = Connection {
            token: Some(token),
            label: label.clone(),
            name: label.clone(),
            guest,
            room: None,
            timer: None,
            spared: false,
            session,
        };
        self.connections.insert(id, connection);
        self.arm(net, id);
        info!("{label} came in by the {door} door");
        if door == Door::Chat {
            net.limit_reads(token, CHAT_READ_BYTES_MAX);
            self.enter(net, id, RoomName::lobby(), false);
        }
    }

    /// Somebody has come to a door for whom there is no descriptor but a borrowed one.
    pub fn crowded(&self, net: &mut N, listener: N::Token, socket: N::Socket, label: &str) {
        if let Some(open) = self.doors.get(&listener) {
            let (door, reason) = (open.door, "the hub is full: it has no descriptors left");
            warn!("{label} turned away from the {door} door: {reason}");
            net.turn_away(socket, (door == Door::Chat).then(|| notice(reason)));
        }
    }

    /// Bytes came from a connection.
    pub fn received(&mut self, net: &mut N, source: N::Token, bytes: &[u8]) {
        let Some(&id) = self.by_token.get(&source) else {
            return;
        };
        match self.session(id) {
            Some(Session::Line(_)) => self.lines(net, id, bytes),
            Some(Session::Parcel(_)) => self.parcels(net, id, bytes),
            None => return,
        }
        self.arm(net, id);
    }

    /// A peer has ended its side.
    pub fn ended(&mut self, net: &mut N, source: N::Token) {
        let Some(&id) = self.by_token.get(&source) else {
            return;
        };
        match self.session(id) {
            Some(Session::Line(_)) => self.last_line(net, id),
            Some(Session::Parcel(_)) => self.parcels_ended(net, id),
            None => {}
        }
    }

    /// A connection is gone, and its token is void; without a reason it was finished.
    pub fn closed(&mut self, net: &mut N, source: N::Token, reason: Option<String>) {
        if let Some(open) = self.doors.remove(&source) {
            let reason = reason.unwrap_or_default();
            error!("the {} door is lost: {reason}", open.door);
            return;
        }
        let Some(&id) = self.by_token.get(&source) else {
            return;
        };
        match self.session(id) {
            Some(Session::Line(_)) => self.member_gone(net, id, reason),
            Some(Session::Parcel(_)) => self.parcels_closed(net, id, reason),
            None => {}
        }
    }

    /// A datagram came to a door.
    pub fn datagram(&mut self, net: &N, socket: N::Token, from: &Addr, bytes: &[u8]) {
        let Some(open) = self.doors.get(&socket) else {
            return;
        };
        let now = (self.senses.clock)();
        let Some(answer) = time::reply(bytes, from.port(), open.port, &now) else {
            debug!("{from} asked the time from a port that answers itself: no answer");
            return;
        };
        if self.echoes.is_server(from, bytes, &answer) {
            debug!("{from} only sends back what it is answered: no answer");
            return;
        }
        match net.send_datagram(socket, from, &answer) {
            Ok(()) => debug!("{from} asked the time"),
            Err(error) => debug!("{from} asked the time and could not be answered: {error}"),
        }
    }

    /// A timer is due.
    pub fn timer(&mut self, net: &mut N, tag: u64) {
        if tag == STOP_TIMER {
            self.cut_the_rest(net);
        } else {
            self.expire(net, tag);
        }
    }

    fn session(&self, id: ConnectionId) -> Option<&Session> {
        let connection = self.connections.get(&id)?;
        Some(&connection.session)
    }
}
