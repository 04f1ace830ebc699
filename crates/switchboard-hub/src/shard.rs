//! One reactor thread of the hub, with the connections it accepted.
//!
//! The only place that knows sockets and sessions at once. It carries things between them and
//! decides nothing that a door or the room could decide.

mod chat;
mod guests;
mod parcels;

use core::time::Duration;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use berkeley::{Addr, Error, Socket, SocketFile, opt};
use switchboard_reactor::{Closed, Handler, Reactor, Receiver, TimerId, Token};
use switchboard_wire::notice;
use switchboard_wire::strftime::Moment;
use tracing::{debug, error, info, warn};

use self::guests::Guests;
use crate::config::Door;
use crate::door::line::LineSession;
use crate::door::parcel::ParcelSession;
use crate::door::time::{self, Echoes};
use crate::limits::{
    CHAT_READ_BYTES_MAX, FINISH_TIME, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES, Limits,
    STALL_TIME, STOP_TIME,
};
use crate::room::{MemberId, Room};
use crate::store::{Reply, Store, UploadId};

/// A connection, by a number that is never used again. It is the member's number too.
type ConnectionId = u64;

/// The tag of the timer that bounds the hub's own end; connections use their numbers, from 1 up.
const STOP_TIMER: u64 = 0;

/// What other threads tell a shard.
#[derive(Debug)]
pub(crate) enum Message {
    Store(Reply),
    Stop,
}

/// A bound socket of a door, and what is to be tidied up after it.
#[derive(Debug)]
pub(crate) struct OpenDoor {
    pub(crate) door: Door,
    pub(crate) port: u16,
    pub(crate) _file: Option<SocketFile>,
}

struct Connection {
    /// `None` when the socket is gone and only the store's answers are waited for.
    token: Option<Token>,
    /// Who it is, for the log: the address, and the name that the room shows for a parcel.
    label: String,
    guest: Guests,
    timer: Option<(Instant, TimerId)>,
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
pub(crate) struct Shard {
    limits: Limits,
    clock: Box<dyn Fn() -> Moment + Send>,
    echoes: Echoes,
    doors: HashMap<Token, OpenDoor>,
    connections: BTreeMap<ConnectionId, Connection>,
    by_token: HashMap<Token, ConnectionId>,
    transfers: HashMap<UploadId, Transfer>,
    per_address: HashMap<Guests, usize>,
    last_id: ConnectionId,
    last_upload: u64,
    room: Room,
    store: Option<Store>,
    in_flight: usize,
    /// Parcel connections that are not read until the store has caught up.
    waiting: VecDeque<ConnectionId>,
    mailbox: Receiver<Message>,
    stopping: bool,
    /// The time for ending in good order has passed.
    out_of_time: bool,
}

impl Shard {
    pub(crate) fn new(
        limits: Limits,
        clock: Box<dyn Fn() -> Moment + Send>,
        store: Store,
        mailbox: Receiver<Message>,
    ) -> Self {
        Self {
            limits,
            clock,
            echoes: Echoes::default(),
            doors: HashMap::new(),
            connections: BTreeMap::new(),
            by_token: HashMap::new(),
            transfers: HashMap::new(),
            per_address: HashMap::new(),
            last_id: 0,
            last_upload: 0,
            room: Room::new(),
            store: Some(store),
            in_flight: 0,
            waiting: VecDeque::new(),
            mailbox,
            stopping: false,
            out_of_time: false,
        }
    }

    pub(crate) fn add_door(&mut self, token: Token, door: OpenDoor) {
        self.doors.insert(token, door);
    }

    /// Closes the store when the reactor has stopped: what was received whole reaches the disk, as
    /// far as there is time for it.
    pub(crate) fn close(mut self) {
        match self.store.take() {
            Some(store) if self.out_of_time => store.give_up(),
            Some(store) => store.close(),
            None => {}
        }
    }

    /// Why a new connection is not taken, if it is not.
    fn refusal(&self, guest: &Guests, loopback: bool) -> Option<String> {
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
    fn arm(&mut self, reactor: &mut Reactor, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let deadline = match &connection.session {
            Session::Line(session) => session.deadline(),
            // Nobody can be late while the hub itself is not listening: look again later.
            Session::Parcel(parcel) if parcel.is_excused() => {
                Instant::now() + self.limits.parcel_idle
            }
            Session::Parcel(parcel) => parcel.session.deadline(),
        };
        match connection.timer {
            Some((at, _)) if at <= deadline => return,
            Some((_, timer)) => reactor.cancel_timer(timer),
            None => {}
        }
        connection.timer = Some((deadline, reactor.set_timer(deadline, id)));
    }

    fn expire(&mut self, reactor: &mut Reactor, id: ConnectionId) {
        let now = Instant::now();
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
            connection.timer = Some((at, reactor.set_timer(at, id)));
            return;
        }
        let reason = match &mut connection.session {
            Session::Line(session) => session.expire(now),
            Session::Parcel(parcel) if parcel.is_excused() => None,
            Session::Parcel(parcel) => parcel.session.expire(now).map(|error| error.to_string()),
        };
        match reason {
            None => self.arm(reactor, id),
            Some(reason) if matches!(connection.session, Session::Line(_)) => {
                self.drop_member(reactor, id, &reason);
            }
            Some(reason) => self.break_off(reactor, id, &reason),
        }
    }

    /// Forgets a connection's socket; the connection too, unless the store still owes it answers.
    fn forget(&mut self, reactor: &mut Reactor, id: ConnectionId) {
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
            reactor.cancel_timer(timer);
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
        self.stop_when_empty(reactor);
    }

    /// The hub is to end: no new connections, nothing more is read, everybody gets what is theirs.
    fn begin_stop(&mut self, reactor: &mut Reactor) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        info!("stopping: {} connections are open", self.by_token.len());
        for (token, _door) in self.doors.drain() {
            reactor.close(token);
        }
        reactor.set_timer(Instant::now() + STOP_TIME, STOP_TIMER);
        let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in ids {
            let Some(connection) = self.connections.get_mut(&id) else {
                continue;
            };
            match (&mut connection.session, connection.token) {
                (Session::Line(_), Some(token)) => {
                    // A member whose outbox is full misses the notice, not what was sent before.
                    reactor.send(token, notice("the hub is closing")).ok();
                    reactor.finish(token, FINISH_TIME);
                }
                (Session::Parcel(_), Some(_)) => self.stop_parcels(reactor, id),
                (_, None) => {}
            }
        }
        self.stop_when_empty(reactor);
    }

    /// Ends what did not end in time, with resets: an end in good order would tell a reader that
    /// it has everything, and a sender that everything was stored.
    fn cut_the_rest(&mut self, reactor: &mut Reactor) {
        let count = self.by_token.len();
        if count > 0 {
            warn!("{count} connections did not end in time and are cut");
        }
        let late = self.transfers.values().filter(|file| !file.over).count();
        if late > 0 {
            warn!("{late} files were not stored in time and are given up");
        }
        for (token, _id) in self.by_token.drain() {
            reactor.reset(token);
        }
        self.out_of_time = true;
        reactor.stop();
    }

    fn stop_when_empty(&self, reactor: &mut Reactor) {
        if self.stopping && self.connections.is_empty() {
            reactor.stop();
        }
    }

    fn label(addr: Option<&Addr>, socket: &Socket) -> String {
        match addr {
            Some(Addr::Unix(_)) | None => {
                let pid = socket.get(opt::PeerCredentials).map_or(0, |peer| peer.pid);
                format!("unix:{pid}")
            }
            Some(addr) => addr.to_string(),
        }
    }
}

impl ParcelConnection {
    /// True while it is the hub that keeps the peer waiting.
    const fn is_excused(&self) -> bool {
        self.paused.is_some() || self.over
    }
}

impl Handler for Shard {
    fn accepted(
        &mut self,
        reactor: &mut Reactor,
        listener: Token,
        socket: Socket,
        peer: Option<Addr>,
    ) {
        let Some(door) = self.doors.get(&listener).map(|open| open.door) else {
            return;
        };
        let label = Self::label(peer.as_ref(), &socket);
        let guest = Guests::of(peer.as_ref());
        let loopback = peer.as_ref().is_none_or(Addr::is_loopback);
        let refusal = self.refusal(&guest, loopback);
        if let Some(reason) = refusal {
            warn!("{label} turned away from the {door} door: {reason}");
            if door == Door::Chat {
                // As much as fits into an empty socket buffer; a peer that is gone is no loss.
                socket.send(&notice(&reason), berkeley::MsgFlags::NONE).ok();
            } else {
                // An end in good order would mean that everything was taken.
                socket.set(opt::Linger, Some(Duration::ZERO)).ok();
            }
            return;
        }
        if let Err(error) = keep_alive(&socket) {
            debug!("{label}: {error}");
        }
        if door == Door::Parcels {
            // Should the hub die, the kernel closes for it, and that must not look like an end in
            // good order, by which the sender knows that everything was stored.
            socket.set(opt::Linger, Some(Duration::ZERO)).ok();
        }
        let token = match reactor.add_stream(socket, self.limits.outbox_bytes) {
            Ok(token) => token,
            Err(error) => {
                warn!("{label} turned away from the {door} door: {error}");
                return;
            }
        };
        self.last_id += 1;
        let (id, now) = (self.last_id, Instant::now());
        let session = if door == Door::Chat {
            Session::Line(LineSession::new(&self.limits, now))
        } else {
            Session::Parcel(Box::new(ParcelConnection {
                session: ParcelSession::new(&self.limits, now),
                in_flight: 0,
                paused: None,
                over: false,
            }))
        };
        *self.per_address.entry(guest.clone()).or_default() += 1;
        self.by_token.insert(token, id);
        let connection = Connection {
            token: Some(token),
            label: label.clone(),
            guest,
            timer: None,
            spared: false,
            session,
        };
        self.connections.insert(id, connection);
        self.arm(reactor, id);
        info!("{label} came in by the {door} door");
        if door == Door::Chat {
            reactor.limit_reads(token, CHAT_READ_BYTES_MAX);
            self.join(reactor, MemberId(id), label);
        }
    }

    fn received(&mut self, reactor: &mut Reactor, source: Token, bytes: &[u8]) {
        let Some(&id) = self.by_token.get(&source) else {
            return;
        };
        match self
            .connections
            .get(&id)
            .map(|connection| &connection.session)
        {
            Some(Session::Line(_)) => self.lines(reactor, id, bytes),
            Some(Session::Parcel(_)) => self.parcels(reactor, id, bytes),
            None => return,
        }
        self.arm(reactor, id);
    }

    fn ended(&mut self, reactor: &mut Reactor, source: Token) {
        let Some(&id) = self.by_token.get(&source) else {
            return;
        };
        match self
            .connections
            .get(&id)
            .map(|connection| &connection.session)
        {
            Some(Session::Line(_)) => self.last_line(reactor, id),
            Some(Session::Parcel(_)) => self.parcels_ended(reactor, id),
            None => {}
        }
    }

    fn closed(&mut self, reactor: &mut Reactor, source: Token, why: Closed) {
        let reason = match why {
            Closed::Failed(error) => Some(error.to_string()),
            Closed::TimedOut => Some("it did not close in time".into()),
            _ => None,
        };
        if let Some(open) = self.doors.remove(&source) {
            let reason = reason.unwrap_or_default();
            error!("the {} door is lost: {reason}", open.door);
            return;
        }
        let Some(&id) = self.by_token.get(&source) else {
            return;
        };
        match self
            .connections
            .get(&id)
            .map(|connection| &connection.session)
        {
            Some(Session::Line(_)) => self.member_gone(reactor, id, reason),
            Some(Session::Parcel(_)) => self.parcels_closed(reactor, id, reason),
            None => {}
        }
    }

    fn datagram(&mut self, reactor: &mut Reactor, socket: Token, from: Option<Addr>, bytes: &[u8]) {
        let (Some(open), Some(from)) = (self.doors.get(&socket), from) else {
            return;
        };
        let now = (self.clock)();
        let Some(answer) = time::reply(bytes, from.port(), open.port, &now) else {
            debug!("{from} asked the time from a port that answers itself: no answer");
            return;
        };
        if self.echoes.is_server(&from, bytes, &answer) {
            debug!("{from} only sends back what it is answered: no answer");
            return;
        }
        match reactor.send_datagram(socket, Some(&from), &answer) {
            Ok(()) => debug!("{from} asked the time"),
            Err(error) => debug!("{from} asked the time and could not be answered: {error}"),
        }
    }

    fn timer(&mut self, reactor: &mut Reactor, tag: u64) {
        if tag == STOP_TIMER {
            self.cut_the_rest(reactor);
        } else {
            self.expire(reactor, tag);
        }
    }

    fn woken(&mut self, reactor: &mut Reactor) {
        for message in self.mailbox.take() {
            match message {
                Message::Stop => self.begin_stop(reactor),
                Message::Store(reply) => self.store_replied(reactor, reply),
            }
        }
    }

    fn trouble(&mut self, _reactor: &mut Reactor, source: Token, error: Error) {
        let door = self
            .doors
            .get(&source)
            .map_or("closed", |open| open.door.name());
        warn!("the {door} door: {error}; it goes on as soon as it can");
    }
}

/// Lets the kernel find out about peers whose machine has vanished, and sends lines at once.
fn keep_alive(socket: &Socket) -> berkeley::Result<()> {
    if socket.family() == berkeley::Family::UNIX {
        return Ok(());
    }
    socket.set(opt::NoDelay, true)?;
    socket.set(opt::KeepAlive, true)?;
    socket.set(opt::KeepIdle, KEEPALIVE_IDLE)?;
    socket.set(opt::KeepInterval, KEEPALIVE_INTERVAL)?;
    socket.set(opt::KeepCount, KEEPALIVE_PROBES)
}
