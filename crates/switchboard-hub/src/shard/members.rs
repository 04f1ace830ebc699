//! The shard's part in the rooms: who is where, what it is called, and who hears what.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use switchboard_reactor::SendError;
use switchboard_wire::{Nick, RoomName, clean};
use tracing::{info, warn};

use super::{Connection, ConnectionId, Net, Session, Shard};
use crate::door::{line, parcel};
use crate::limits::LOGGED_TEXT_CHARS_MAX;
use crate::names::NameRefusal;
use crate::room::{Effect, Entry, EntryKind, Event, MemberId, Room};

impl<N: Net> Shard<N> {
    /// The room that a connection is a member of.
    pub(super) fn room_of(&self, id: ConnectionId) -> Option<&RoomName> {
        self.connections.get(&id)?.room.as_ref()
    }

    /// A connection becomes a member of a room that has a place for it.
    pub(super) fn enter(
        &mut self,
        net: &mut N,
        id: ConnectionId,
        room: RoomName,
        is_greeted: bool,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else {
            // It was dropped on its way here.
            self.rooms.forget(&room);
            return;
        };
        connection.room = Some(room.clone());
        let (member, name) = (MemberId(id), connection.name.clone());
        let event = Event::Join {
            member,
            name,
            is_greeted,
        };
        self.tell_room(net, room, event);
    }

    /// A connection is no member any more, if it was one.
    pub(super) fn leave_room(&mut self, net: &mut N, id: ConnectionId, reason: Option<String>) {
        let connection = self.connections.get_mut(&id);
        if let Some(room) = connection.and_then(|connection| connection.room.take()) {
            let member = MemberId(id);
            self.tell_room(net, room, Event::Leave { member, reason });
        }
    }

    /// Gives a connection a name, and tells those who see it.
    pub(super) fn take_name(
        &mut self,
        net: &mut N,
        id: ConnectionId,
        nick: &Nick,
    ) -> Result<(), NameRefusal> {
        let member = MemberId(id);
        self.names().take(member, nick)?;
        let Some(connection) = self.connections.get_mut(&id) else {
            self.names().release(member);
            return Ok(());
        };
        let name: Arc<str> = nick.as_str().into();
        connection.name = name.clone();
        self.tell_room_of(net, id, Event::Rename { member, name });
        Ok(())
    }

    /// Sends a piece to one connection; one that does not read is dropped, which is told to its
    /// room.
    pub(super) fn send_to(&mut self, net: &mut N, id: ConnectionId, piece: Bytes) {
        let connection = self.connections.get(&id);
        let Some(token) = connection.and_then(|connection| connection.token) else {
            return;
        };
        if net.send(token, piece) == Err(SendError::Full)
            && let Some((room, event)) = self.drop_full(net, MemberId(id))
        {
            self.tell_room(net, room, event);
        }
    }

    /// Tells the room of a member what happened.
    pub(super) fn tell_room_of(&mut self, net: &mut N, id: ConnectionId, event: Event) {
        if let Some(room) = self.room_of(id).cloned() {
            self.tell_room(net, room, event);
        }
    }

    /// Tells a room what happened, and does what the room wants done about it. A member whose
    /// outbox is full is dropped, which is told to its room as well, until all is said.
    pub(super) fn tell_room(&mut self, net: &mut N, room: RoomName, event: Event) {
        // One after the other and not one inside the other: thousands may turn out to have stopped
        // reading at the same line, more than the stack could hold.
        let mut events = VecDeque::from([(room, event)]);
        while let Some((room, event)) = events.pop_front() {
            let is_leaving = matches!(event, Event::Leave { .. });
            for member in self.carry_out(net, &room, event) {
                events.extend(self.drop_full(net, member));
            }
            if is_leaving {
                self.rooms.forget(&room);
            }
        }
    }

    /// Delivers what follows from one event; answers the members who had no room for it.
    fn carry_out(&mut self, net: &mut N, name: &RoomName, event: Event) -> Vec<MemberId> {
        let now_ms = (self.senses.unix_ms)();
        let Some(room) = self.rooms.get_mut(name) else {
            return Vec::new();
        };
        let effects = room.handle(now_ms, event);
        let Some(room) = self.rooms.get(name) else {
            return Vec::new();
        };
        let mut full = Vec::new();
        for effect in effects {
            match effect {
                Effect::Publish { entry, except } => {
                    log_entry(name, &entry);
                    let mut forms = Forms::new(room, &entry);
                    for member in room.members() {
                        let Some(connection) = self.connections.get(&member.0) else {
                            continue;
                        };
                        let piece = match connection.session {
                            Session::Line(_) if Some(member) == except => None,
                            Session::Line(_) => forms.line(),
                            // Whoever counts gets every number.
                            Session::Parcel(_) => Some(forms.frames()),
                        };
                        if let Some(piece) = piece {
                            full.extend(deliver(net, member, connection, piece));
                        }
                    }
                }
                Effect::Tell { member, notice } => {
                    if let Some(connection) = self.connections.get(&member.0)
                        && matches!(connection.session, Session::Line(_))
                    {
                        let line = line::encode_notice(&notice);
                        full.extend(deliver(net, member, connection, line));
                    }
                }
            }
        }
        full
    }

    /// Drops a connection that does not read; answers what its room has to be told of it. What it
    /// missed would be torn from what follows, so it is reset and not ended as if all were well.
    fn drop_full(&mut self, net: &mut N, member: MemberId) -> Option<(RoomName, Event)> {
        let why = "it stopped reading";
        let connection = self.connections.get_mut(&member.0)?;
        let token = connection.token?;
        let waiting = net.outbox_bytes(token);
        let limit = self.limits.outbox_bytes;
        warn!(
            "{} is dropped: {why}, and its outbox is full ({waiting} of {limit} bytes)",
            connection.label
        );
        let room = connection.room.take();
        self.abort_upload(member.0, why);
        net.reset(token);
        self.forget(net, member.0);
        let reason = Some(why.into());
        Some((room?, Event::Leave { member, reason }))
    }
}

/// Puts a piece into a member's outbox; answers the member if there is no room for it.
fn deliver<N: Net>(
    net: &mut N,
    member: MemberId,
    connection: &Connection<N>,
    piece: Bytes,
) -> Option<MemberId> {
    (net.send(connection.token?, piece) == Err(SendError::Full)).then_some(member)
}

/// An entry in each form that has a reader, made once.
struct Forms<'a> {
    room: &'a Room,
    entry: &'a Entry,
    /// Made; and what it is, if there is something to see in it.
    line: Option<Option<Bytes>>,
    frames: Option<Bytes>,
}

impl<'a> Forms<'a> {
    const fn new(room: &'a Room, entry: &'a Entry) -> Self {
        Self {
            room,
            entry,
            line: None,
            frames: None,
        }
    }

    fn line(&mut self) -> Option<Bytes> {
        let make = || line::encode_entry(self.entry);
        self.line.get_or_insert_with(make).clone()
    }

    fn frames(&mut self) -> Bytes {
        let make = || parcel::encode_entry(self.room, self.entry);
        self.frames.get_or_insert_with(make).clone()
    }
}

/// What happened in a room, for the log.
fn log_entry(room: &RoomName, entry: &Entry) {
    let (seq, who) = (entry.seq, &entry.author);
    match &entry.kind {
        EntryKind::File { name, bytes } => {
            info!("{room} #{seq}: {who} sent the file \"{name}\" ({bytes} bytes)");
        }
        EntryKind::Joined => info!("{room} #{seq}: {who} joined"),
        EntryKind::Left { reason: None } => info!("{room} #{seq}: {who} left"),
        EntryKind::Left {
            reason: Some(reason),
        } => info!("{room} #{seq}: {who} left: {reason}"),
        EntryKind::Renamed { name } => info!("{room} #{seq}: {who} is now {name}"),
        EntryKind::Topic { topic: Some(topic) } => {
            info!("{room} #{seq}: {who} set the topic: {topic}");
        }
        EntryKind::Topic { topic: None } => info!("{room} #{seq}: {who} took the topic away"),
        EntryKind::Text(text) => {
            let mut shown: String = text.chars().take(LOGGED_TEXT_CHARS_MAX).collect();
            if shown.len() < text.len() {
                shown.push('…');
            }
            // Lines of a message become one, so that nobody can write lines into the log.
            let shown = shown.split(['\n', '\r']).collect::<Vec<_>>().join(" / ");
            info!("{room} #{seq}: {who}: {}", clean(&shown));
        }
    }
}
