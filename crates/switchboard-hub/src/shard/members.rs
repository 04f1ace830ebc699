//! The home's part in the rooms: who is where, what it is called, and who hears what.

use std::sync::Arc;

use bytes::Bytes;
use switchboard_reactor::SendError;
use switchboard_wire::{Nick, RoomName, notice};
use tracing::warn;

use super::link::Command;
use super::seats::STOPPED_READING;
use super::waits::Awaited;
use super::{ConnectionId, Net, Session, Shard};
use crate::door::line;
use crate::limits::FINISH_TIME;
use crate::names::{Lent, NameRefusal};
use crate::room::{Event, MemberId, Notice};

/// Where a room is when somebody comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) epoch: u64,
    pub(super) last_seq: u64,
    /// See [`News::Entered`](super::link::News::Entered).
    pub(super) durable: u64,
    /// See there.
    pub(super) kept_after: u64,
}

impl<N: Net> Shard<N> {
    /// The room that a connection is a member of.
    pub(super) fn room_of(&self, id: ConnectionId) -> Option<&RoomName> {
        self.connections.get(&id)?.room.as_ref()
    }

    /// A room has let a connection in. The place in the old one was kept until now.
    pub(super) fn entered(
        &mut self,
        net: &mut N,
        id: ConnectionId,
        room: RoomName,
        place: Place,
        was_there: bool,
    ) {
        if self.awaited_room(id) != Some(&room) {
            // It has gone in the meantime, and the room has been told.
            return;
        }
        let Some(Awaited::Entry { follow, .. }) = self.answered(net, id) else {
            return;
        };
        // What is only heard of is nobody's to count with.
        let counts = follow.is_some() && self.journal.is_some();
        let epoch = place.epoch;
        let (last, begins_after) = if counts {
            (place.durable, place.kept_after)
        } else {
            (place.last_seq, place.last_seq)
        };
        if !was_there {
            self.leave_room(net, id, None);
            self.sit_down(net, id, room.clone(), (epoch, begins_after));
        }
        let Some(follow) = follow else {
            if !was_there {
                // That it came is next, which it knows.
                self.read_on(net, id, &room, last + 2);
            }
            return;
        };
        // What it was sent before stands before where it begins now.
        self.read_no_more(net, id);
        let known = self.tell_position(net, id, &follow, epoch, last);
        if let Some(parcel) = self.parcel(id) {
            parcel.session.follow();
        }
        let from = if counts { known } else { last };
        self.read_on(net, id, &room, from + 1);
    }

    /// A room does not let a connection in, which stays where it is; or goes, if that is nowhere.
    pub(super) fn not_entered(&mut self, net: &mut N, id: ConnectionId, why: &str) {
        if self.awaited_room(id).is_none() {
            return;
        }
        self.answered(net, id);
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        match (&connection.session, &connection.room, connection.token) {
            (Session::Parcel(_), ..) => self.refuse_follow(net, id, why),
            (Session::Line(_), Some(_), _) => self.answer(net, id, why),
            (Session::Line(_), None, Some(token)) => {
                warn!("{} turned away from the chat door: {why}", connection.label);
                net.send(token, notice(why)).ok();
                net.finish(token, FINISH_TIME);
                self.shared.names().release(MemberId(id));
            }
            (Session::Line(_), None, None) => {}
        }
    }

    /// A connection is no member any more, if it was one, and does not become one.
    pub(super) fn leave_room(&mut self, net: &mut N, id: ConnectionId, reason: Option<String>) {
        self.forget_wait(id);
        self.read_no_more(net, id);
        if let Some(connection) = self.connections.get_mut(&id)
            && let Some(room) = connection.room.take()
        {
            let is_line = matches!(connection.session, Session::Line(_));
            self.forget_own(id);
            self.stand_up(net, &room, is_line);
            self.leave_behind(room, MemberId(id), reason);
        }
    }

    /// Tells a room that a member has gone.
    pub(super) fn leave_behind(
        &mut self,
        room: RoomName,
        member: MemberId,
        reason: Option<String>,
    ) {
        let event = Event::Leave { member, reason };
        let lent = self.lend_name(member);
        self.post.command(Command::Do { room, event, lent });
    }

    /// The name that rooms show of a member until they carry out what they are told now. What one
    /// shard tells may come behind what another does who has the name next.
    fn lend_name(&self, member: MemberId) -> Option<Arc<Lent>> {
        if self.post.place.shards <= 1 {
            return None;
        }
        self.shared.names().lend(member)
    }

    /// Gives a connection a name, and tells those who see it.
    pub(super) fn take_name(&mut self, id: ConnectionId, nick: &Nick) -> Result<(), NameRefusal> {
        let member = MemberId(id);
        let lent = self.lend_name(member);
        self.shared.names().take(member, nick)?;
        let Some(connection) = self.connections.get_mut(&id) else {
            self.shared.names().release(member);
            self.shared.give_back(lent);
            return Ok(());
        };
        connection.nick = Some(Box::new(nick.clone()));
        let name = connection.name();
        let here = connection.room.clone();
        let there = self.awaited_room(id).cloned();
        for room in here.into_iter().chain(there) {
            let name = name.clone();
            let event = Event::Rename { member, name };
            let lent = lent.clone();
            self.post.command(Command::Do { room, event, lent });
        }
        // Where no room knows it, it is free.
        self.shared.give_back(lent);
        Ok(())
    }

    /// Sends a piece to one connection; one that does not read is dropped, which is told to its
    /// room.
    pub(super) fn send_to(&mut self, net: &mut N, id: ConnectionId, piece: Bytes) {
        let connection = self.connections.get(&id);
        let Some(token) = connection.and_then(|connection| connection.token) else {
            return;
        };
        if net.send(token, piece) == Err(SendError::Full) {
            self.drop_full(net, id);
        }
    }

    /// Tells the room of a member what happened.
    pub(super) fn tell_room_of(&mut self, id: ConnectionId, event: Event) {
        if let Some(room) = self.room_of(id).cloned() {
            let lent = None;
            let command = Command::Do { room, event, lent };
            if self.post.is_first(&command) {
                // What would be taken out of the queue next need not go in.
                self.owner.obey(command, &mut self.post);
            } else {
                self.post.command(command);
            }
        }
    }

    /// Delivers a room's answer to one member.
    pub(super) fn deliver_notice(&mut self, net: &mut N, member: MemberId, notice: &Notice) {
        if let Some(connection) = self.connections.get(&member.0)
            && matches!(connection.session, Session::Line(_))
        {
            self.send_to(net, member.0, line::encode_notice(notice));
        }
    }

    /// Drops a connection that does not read. What it missed would be torn from what follows, so
    /// it is reset and not ended as if all were well.
    fn drop_full(&mut self, net: &mut N, id: ConnectionId) {
        let why = STOPPED_READING;
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let Some(token) = connection.token else {
            return;
        };
        let waiting = net.outbox_bytes(token);
        let limit = self.limits.outbox_bytes;
        warn!(
            "{} is dropped: {why}, and its outbox is full ({waiting} of {limit} bytes)",
            connection.label
        );
        self.abort_upload(id, why);
        net.reset(token);
        self.leave_room(net, id, Some(why.into()));
        self.forget(net, id);
    }
}
