//! Connections that wait for an answer, and what they send meanwhile.
//!
//! Some answers decide what the bytes behind the question mean: whether it is in the room. Until
//! such an answer is there, a connection is not read, and what was read of it already is kept.
//! Where the answer comes within the same call, nothing is ever held.

use std::sync::Arc;
use std::time::Instant;

use switchboard_wire::{Follow, RoomName};

use super::history::Wanted;
use super::link::{Command, Found};
use super::{ConnectionId, Net, Session, Shard};
use crate::room::{Event, MemberId, ShardId};

/// What a connection waits for. It waits for one thing at a time.
#[derive(Debug)]
pub(super) struct Wait {
    pub(super) what: Awaited,
    held: Option<Held>,
}

/// See [`Wait`].
#[derive(Debug)]
pub(super) enum Awaited {
    /// To be let into a room; and what it asked for, if it is a program.
    Entry {
        room: RoomName,
        follow: Option<Follow>,
    },
    /// For its room to answer what it asked there.
    Answer,
    /// To know which rooms there are: how many shards have not answered, and what the others said.
    Rooms {
        left: usize,
        count: usize,
        rooms: Vec<(RoomName, usize)>,
    },
    /// To know who has an address, to tell it something.
    Seek {
        left: usize,
        found: Found,
        address: Arc<str>,
        text: String,
    },
    /// To know what the log has: what to ask, as soon as all that was said before is there.
    Log { wanted: Option<Wanted> },
    /// To know whether what it told another has arrived.
    Hearing { to: Arc<str>, text: String },
    /// For the time at which it may send more.
    Turn,
}

/// What came from a connection that waits.
#[derive(Debug)]
pub(super) struct Held {
    since: Instant,
    bytes: Vec<u8>,
    has_ended: bool,
}

/// Why a connection is not read. Only when no reason is left it is read again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stop {
    /// It waits for an answer.
    Answer = 1,
    /// The disk has to catch up with its files.
    Store = 2,
    /// A shard has to catch up with what it says.
    Shard = 4,
    /// The log has to catch up with what was said.
    Log = 8,
}

impl<N: Net> Shard<N> {
    pub(super) fn stop_reading(&mut self, net: &mut N, id: ConnectionId, why: Stop) {
        if let Some(connection) = self.connections.get_mut(&id)
            && let Some(token) = connection.token
        {
            if connection.stops == 0 {
                net.pause(token);
            }
            connection.stops |= why as u8;
        }
    }

    pub(super) fn read_again(&mut self, net: &mut N, id: ConnectionId, why: Stop) {
        if let Some(connection) = self.connections.get_mut(&id)
            && let Some(token) = connection.token
            && connection.stops & why as u8 != 0
        {
            connection.stops &= !(why as u8);
            if connection.stops == 0 {
                net.resume(token);
            }
        }
    }

    /// A connection is not to be read until a shard has caught up, unless that has already.
    pub(super) fn slow_down(&mut self, net: &mut N, id: ConnectionId, by: ShardId) {
        if self.shared.is_burdened(by)
            && self.connections.contains_key(&id)
            && !self.slowed.contains_key(&id)
        {
            self.slowed.insert(id, net.now());
            self.stop_reading(net, id, Stop::Shard);
        }
    }

    /// The same for who speaks in a room of a shard that has too much to do.
    pub(super) fn slow_down_for_owner(&mut self, net: &mut N, id: ConnectionId) {
        let place = self.post.place;
        if place.shards <= 1 {
            return;
        }
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let speaks_in = match &connection.session {
            Session::Parcel(parcel) => parcel.speaks_in.as_ref(),
            Session::Line(_) => connection.room.as_ref(),
        };
        if let Some(owner) = speaks_in.map(|room| place.owner_of(room))
            && owner != place.here
        {
            self.slow_down(net, id, owner);
        }
    }

    /// A shard has caught up. Who speaks too much for another one will be told so again.
    pub(super) fn speed_up(&mut self, net: &mut N) {
        let now = net.now();
        for (id, since) in core::mem::take(&mut self.slowed) {
            if let Some(parcel) = self.parcel(id) {
                parcel.session.excuse(since, now);
            }
            self.read_again(net, id, Stop::Shard);
        }
    }

    /// A connection has asked something.
    pub(super) fn await_answer(&mut self, id: ConnectionId, what: Awaited) {
        self.waits.insert(id, Wait { what, held: None });
    }

    /// Asks the room of a member something, whose next question is not to be answered before this.
    pub(super) fn ask_room(&mut self, id: ConnectionId, event: Event) {
        if let Some(room) = self.room_of(id).cloned() {
            let member = MemberId(id);
            self.tell_room_of(id, event);
            self.post.command(Command::CatchUp { room, member });
            self.await_answer(id, Awaited::Answer);
        }
    }

    /// The room of a member has answered.
    pub(super) fn caught_up(&mut self, net: &mut N, id: ConnectionId) {
        let wait = self.waits.get(&id);
        if wait.is_some_and(|wait| matches!(wait.what, Awaited::Answer)) {
            self.answered(net, id);
        }
    }

    /// How much came of a connection that waits, and waits with it.
    pub(super) fn held_bytes(&self, id: ConnectionId) -> usize {
        if self.waits.is_empty() {
            return 0;
        }
        let held = self.waits.get(&id).and_then(|wait| wait.held.as_ref());
        held.map_or(0, |held| held.bytes.len())
    }

    pub(super) fn is_waiting(&self, id: ConnectionId) -> bool {
        !self.waits.is_empty() && self.waits.contains_key(&id)
    }

    /// The room that a connection wants to be let into.
    pub(super) fn awaited_room(&self, id: ConnectionId) -> Option<&RoomName> {
        match &self.waits.get(&id)?.what {
            Awaited::Entry { room, .. } => Some(room),
            _ => None,
        }
    }

    /// Keeps what came from a connection that waits, and reads no more of it.
    pub(super) fn hold(&mut self, net: &mut N, id: ConnectionId, bytes: &[u8], has_ended: bool) {
        let now = net.now();
        let Some(wait) = self.waits.get_mut(&id) else {
            return;
        };
        let is_new = wait.held.is_none();
        let held = wait.held.get_or_insert_with(|| Held {
            since: now,
            bytes: Vec::new(),
            has_ended: false,
        });
        held.bytes.extend_from_slice(bytes);
        held.has_ended |= has_ended;
        if is_new {
            self.stop_reading(net, id, Stop::Answer);
        }
    }

    /// The answer is there; answers what was asked, if the connection is still waiting for it.
    pub(super) fn answered(&mut self, net: &mut N, id: ConnectionId) -> Option<Awaited> {
        let wait = self.waits.remove(&id)?;
        if let Some(held) = wait.held {
            self.read_again(net, id, Stop::Answer);
            self.released.push_back((id, held));
        }
        Some(wait.what)
    }

    /// A connection is done with, and so is what it waits for.
    pub(super) fn forget_wait(&mut self, id: ConnectionId) {
        if self.waits.is_empty() {
            return;
        }
        if let Some(Wait {
            what: Awaited::Entry { room, .. },
            ..
        }) = self.waits.remove(&id)
        {
            // It may be in already, by the time that this arrives.
            self.leave_behind(room, MemberId(id), None);
        }
    }

    /// Takes in what was held of a connection that has its answer.
    pub(super) fn take_held(&mut self, net: &mut N, id: ConnectionId, held: &Held) {
        let now = net.now();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if connection.token.is_none() {
            return;
        }
        match &mut connection.session {
            Session::Parcel(parcel) => parcel.session.excuse(held.since, now),
            // It was turned away, or put out meanwhile.
            Session::Line(_) if connection.room.is_none() => return,
            Session::Line(_) => {}
        }
        self.take_in(net, id, &held.bytes);
        if held.has_ended && self.connections.contains_key(&id) {
            self.take_end(net, id);
        }
    }

    /// Asks to be a member of a room.
    pub(super) fn ask_to_enter(
        &mut self,
        id: ConnectionId,
        room: RoomName,
        is_greeted: bool,
        follow: Option<Follow>,
    ) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let command = Command::Enter {
            room: room.clone(),
            member: MemberId(id),
            name: connection.name(),
            is_greeted,
            counts: follow.is_some(),
        };
        self.post.command(command);
        self.await_answer(id, Awaited::Entry { room, follow });
    }
}
