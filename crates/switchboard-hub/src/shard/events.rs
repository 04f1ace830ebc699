//! What the network and the other shards tell a shard, and the order in which it does its work.

use std::sync::Arc;

use berkeley::Addr;
use switchboard_wire::{RoomName, notice};
use tracing::{debug, error, info, warn};

use super::deadlines::IDLE_TIMER;
use super::link::{Batch, Job, News};
use super::members::Place;
use super::pace::PACE_BIT;
use super::{
    CATCH_UP_TIMER, Connection, ConnectionId, Guests, LOG_TIMER, Net, ParcelConnection,
    RETAIN_TIMER, STOP_TIMER, Session, Shard,
};
use crate::config::Door;
use crate::door::line::LineSession;
use crate::door::parcel::ParcelSession;
use crate::door::time;
use crate::limits::CHAT_READ_BYTES_MAX;
use crate::room::ShardId;
use crate::store::Reply;

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

impl<N: Net> Shard<N> {
    /// Somebody has come to a door.
    pub fn arrived(
        &mut self,
        net: &mut N,
        listener: N::Token,
        socket: N::Socket,
        arrival: Arrival,
    ) {
        if let Some(door) = self.doors.get(&listener).map(|open| open.door) {
            self.admit(net, door, socket, arrival);
            self.settle_down(net);
        }
    }

    /// Somebody has come to a door of this kind at another shard.
    pub(crate) fn handed_on(
        &mut self,
        net: &mut N,
        door: Door,
        socket: N::Socket,
        arrival: Arrival,
    ) {
        // Who comes when the doors are closing finds them closed.
        if !self.stopping {
            self.admit(net, door, socket, arrival);
            self.settle_down(net);
        }
    }

    /// Another shard has ended, in good order or not. A hub without it is none.
    pub(crate) fn other_ended(&mut self, net: &mut N, shard: ShardId) {
        self.begin_stop(net);
        self.one_is_done(net, shard);
    }

    fn admit(&mut self, net: &mut N, door: Door, socket: N::Socket, arrival: Arrival) {
        let Arrival {
            label,
            guest,
            is_loopback,
        } = arrival;
        if let Err(reason) = self.shared.come(&guest, is_loopback, &self.limits) {
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
                self.shared.go(&guest);
                warn!("{label} turned away from the {door} door: {error}");
                return;
            }
        };
        let now = net.now();
        let session = if door == Door::Chat {
            Session::Line(LineSession::new(&self.limits, now))
        } else {
            Session::Parcel(Box::new(ParcelConnection {
                session: ParcelSession::new(&self.limits, now),
                in_flight: 0,
                paused: None,
                over: false,
                speaks_in: None,
                owed: 0,
            }))
        };
        let connection = Connection {
            token: Some(token),
            label: label.clone(),
            nick: None,
            guest,
            room: None,
            spared: false,
            stops: 0,
            session,
        };
        let id = self.connections.insert(connection);
        self.by_place.insert(N::place(token), id);
        self.arm(net, id);
        info!("{label} came in by the {door} door");
        if door == Door::Chat {
            net.limit_reads(token, CHAT_READ_BYTES_MAX);
            self.ask_to_enter(id, RoomName::lobby(), false, None);
            self.work(net);
            if self.is_waiting(id) {
                self.hold(net, id, &[], false);
            }
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
        let Some(id) = self.id_of(source) else {
            return;
        };
        if self.is_waiting(id) {
            return self.hold(net, id, bytes, false);
        }
        self.take_in(net, id, bytes);
        self.settle_down(net);
    }

    /// Bytes of a connection that does not wait for anything.
    pub(super) fn take_in(&mut self, net: &mut N, id: ConnectionId, bytes: &[u8]) {
        match self.session(id) {
            Some(Session::Line(_)) => self.lines(net, id, bytes),
            Some(Session::Parcel(_)) => self.parcels(net, id, bytes),
            None => return,
        }
        self.slow_down_for_owner(net, id);
        // What waits is counted when it is taken in.
        let taken = bytes.len().saturating_sub(self.held_bytes(id));
        self.slow_down_for_log(net, id, taken);
        self.arm(net, id);
    }

    /// A peer has ended its side.
    pub fn ended(&mut self, net: &mut N, source: N::Token) {
        let Some(id) = self.id_of(source) else {
            return;
        };
        if self.is_waiting(id) {
            return self.hold(net, id, &[], true);
        }
        self.take_end(net, id);
        self.settle_down(net);
    }

    /// The end of a connection that does not wait for anything.
    pub(super) fn take_end(&mut self, net: &mut N, id: ConnectionId) {
        if self.is_waiting(id) {
            return self.hold(net, id, &[], true);
        }
        if self.ends_too_fast(net, id) {
            return;
        }
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
        let Some(id) = self.id_of(source) else {
            return;
        };
        match self.session(id) {
            Some(Session::Line(_)) => self.member_gone(net, id, reason),
            Some(Session::Parcel(_)) => self.parcels_closed(net, id, reason),
            None => {}
        }
        self.settle_down(net);
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
        match tag {
            STOP_TIMER => return self.cut_the_rest(net),
            IDLE_TIMER => self.look_at_idle(net),
            RETAIN_TIMER => self.retain(net),
            LOG_TIMER => self.log_timer(net),
            CATCH_UP_TIMER => self.more_is_kept(None),
            tag if tag & PACE_BIT != 0 => self.go_on(net, tag & !PACE_BIT),
            id => self.expire(net, id),
        }
        self.settle_down(net);
    }

    /// The store has done something about a file of this shard's.
    pub fn store_replied(&mut self, net: &mut N, reply: Reply) {
        self.stored(net, reply);
        self.settle_down(net);
    }

    /// Another shard has handed something over.
    pub fn handed_over(&mut self, net: &mut N, batch: Batch) {
        let bytes = batch.bytes;
        self.post.arrived(batch);
        self.settle_down(net);
        let place = self.post.place;
        if self.shared.relieve(place.here, bytes) {
            for shard in place.all() {
                self.post.news(shard, News::Calm);
            }
            self.work(net);
        }
    }

    /// What the other shards are to be handed over now, at the end of a turn: at most one batch for
    /// each.
    pub fn outgoing(&mut self) -> impl Iterator<Item = (ShardId, Batch)> + '_ {
        let shared = &self.shared;
        let batches = self.post.outgoing();
        batches.inspect(|(shard, batch)| shared.burden(*shard, batch.bytes))
    }

    /// The end of a turn: what has happened in it is handed to the log.
    pub fn turn_ended(&mut self) {
        self.owner.flush();
    }

    /// Does all that there is to do, and goes on with who waited for it.
    pub(super) fn settle_down(&mut self, net: &mut N) {
        self.work(net);
        while let Some((id, held)) = self.released.pop_front() {
            self.take_held(net, id, &held);
            self.work(net);
        }
    }

    /// Does what is to be done here, one thing after the other and not one inside the other:
    /// thousands may turn out to have stopped reading at the same line, more than the stack could
    /// hold.
    pub(super) fn work(&mut self, net: &mut N) {
        while let Some(job) = self.post.next() {
            match job {
                Job::Command(command) => self.owner.obey(command, &mut self.post),
                Job::News(news) => self.hear(net, news),
            }
        }
    }

    /// Takes news, of a room or of another home.
    fn hear(&mut self, net: &mut N, news: News) {
        match news {
            News::Entry { entry, except } => self.deliver_entry(net, &entry, except),
            News::Kept { room, entries } => self.deliver_kept(net, &room, &entries),
            News::NotKept { owner, why } => self.cut_followers(net, owner, &why),
            News::Tell { member, notice } => self.deliver_notice(net, member, &notice),
            News::Entered {
                member,
                room,
                epoch,
                last_seq,
                durable,
                kept_after,
                was_there,
            } => {
                let place = Place {
                    epoch,
                    last_seq,
                    durable,
                    kept_after,
                };
                self.entered(net, member.0, room, place, was_there);
            }
            News::NotEntered { member, why } => self.not_entered(net, member.0, &why),
            News::Acked {
                ticket,
                room,
                epoch,
                seq,
                durable,
            } => self.acked(net, ticket, &room, (epoch, seq), durable),
            News::NotTaken { guest, ticket, why } => self.not_taken(net, guest.0, ticket, &why),
            News::LetGo { guest } => self.let_go_of(net, guest.0),
            News::CaughtUp { member } => self.caught_up(net, member.0),
            News::Settled { member } => self.settled(member.0),
            News::Rooms {
                asker,
                count,
                first,
            } => self.rooms_told(net, asker, count, first),
            News::Told {
                to,
                teller,
                from,
                text,
            } => self.told(net, to, teller, &from, &text),
            News::Heard { teller, how } => self.heard(net, teller, &how),
            News::Seek { teller, address } => self.sought(teller, &address),
            News::Found { teller, found } => self.found(net, teller, found),
            News::SlowDown { member, by } => self.slow_down(net, member.0, by),
            News::Calm => self.speed_up(net),
            News::Done(shard) => self.one_is_done(net, shard),
        }
    }

    /// The connection behind a token of the network's.
    pub(super) fn id_of(&self, token: N::Token) -> Option<ConnectionId> {
        let id = self.by_place.get(N::place(token))?;
        let connection = self.connections.get(&id)?;
        (connection.token == Some(token)).then_some(id)
    }

    fn session(&self, id: ConnectionId) -> Option<&Session> {
        let connection = self.connections.get(&id)?;
        Some(&connection.session)
    }
}
