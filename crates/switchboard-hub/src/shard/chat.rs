//! The shard's part in the line door.

use std::collections::VecDeque;

use bytes::Bytes;
use switchboard_reactor::{Reactor, SendError};
use switchboard_wire::{clean, notice};
use tracing::{info, warn};

use super::{ConnectionId, Session, Shard};
use crate::door::line::{LineEvent, encode_entry, encode_notice};
use crate::limits::{FINISH_TIME, LOGGED_TEXT_CHARS_MAX};
use crate::room::{Author, Effect, Entry, EntryKind, Event, LOBBY, MemberId};

impl Shard {
    pub(super) fn join(&mut self, reactor: &mut Reactor, member: MemberId, address: String) {
        self.tell_room(reactor, Event::Join { member, address });
    }

    /// Bytes of a member.
    pub(super) fn lines(&mut self, reactor: &mut Reactor, id: ConnectionId, mut bytes: &[u8]) {
        let now = std::time::Instant::now();
        // A member may leave, or be dropped, by what its own line leads to.
        while let Some(connection) = self.connections.get_mut(&id)
            && let Session::Line(session) = &mut connection.session
            && let Some(event) = session.push(now, &mut bytes)
        {
            if !self.line_event(reactor, id, event) {
                return;
            }
        }
    }

    /// A member has ended its side.
    pub(super) fn last_line(&mut self, reactor: &mut Reactor, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Session::Line(session) = &mut connection.session else {
            return;
        };
        if let Some(event) = session.end()
            && !self.line_event(reactor, id, event)
        {
            return;
        }
        self.leave(reactor, id);
    }

    /// Does what a member wants; false if it is gone after that.
    fn line_event(&mut self, reactor: &mut Reactor, id: ConnectionId, event: LineEvent) -> bool {
        let member = MemberId(id);
        match event {
            LineEvent::Say(text) => {
                self.tell_room(
                    reactor,
                    Event::Say {
                        by: Author::Member(member),
                        text,
                    },
                );
            }
            LineEvent::Nick(nick) => self.tell_room(reactor, Event::Rename { member, nick }),
            LineEvent::Who => self.tell_room(reactor, Event::Who { member }),
            LineEvent::Refused(reason) => {
                if let Some(connection) = self.connections.get(&id) {
                    warn!("a line of {} is not passed on: {reason}", connection.label);
                }
                let line = notice(&format!("your line was not passed on: {reason}"));
                return self.line_event(reactor, id, LineEvent::Tell(line));
            }
            LineEvent::Tell(line) => {
                if let Some(full) = self.deliver(reactor, member, line)
                    && let Some(event) = self.drop_full(reactor, full)
                {
                    self.tell_room(reactor, event);
                }
            }
            LineEvent::Quit => {
                self.leave(reactor, id);
                return false;
            }
        }
        self.connections.contains_key(&id)
    }

    /// A member leaves in good order: it still gets what was sent to it.
    fn leave(&mut self, reactor: &mut Reactor, id: ConnectionId) {
        self.tell_room(
            reactor,
            Event::Leave {
                member: MemberId(id),
                reason: None,
            },
        );
        if let Some(token) = self
            .connections
            .get(&id)
            .and_then(|connection| connection.token)
        {
            reactor.finish(token, FINISH_TIME);
        }
    }

    /// A member is put out, with a reason for it, for the others and for the log.
    pub(super) fn drop_member(&mut self, reactor: &mut Reactor, id: ConnectionId, reason: &str) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        warn!("{} is put out of {LOBBY}: {reason}", connection.label);
        if let Some(token) = connection.token {
            reactor
                .send(token, notice(&format!("you are put out: {reason}")))
                .ok();
            reactor.finish(token, FINISH_TIME);
        }
        let reason = Some(reason.to_owned());
        self.tell_room(
            reactor,
            Event::Leave {
                member: MemberId(id),
                reason,
            },
        );
    }

    /// A member's connection is gone.
    pub(super) fn member_gone(
        &mut self,
        reactor: &mut Reactor,
        id: ConnectionId,
        reason: Option<String>,
    ) {
        self.forget(reactor, id);
        self.tell_room(
            reactor,
            Event::Leave {
                member: MemberId(id),
                reason,
            },
        );
    }

    /// Tells the room what happened, and does what the room wants done about it. A member whose
    /// outbox is full is dropped, which is told to the room as well, until all is said.
    pub(super) fn tell_room(&mut self, reactor: &mut Reactor, event: Event) {
        // One after the other and not one inside the other: thousands may turn out to have stopped
        // reading at the same line, more than the stack could hold.
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for member in self.carry_out(reactor, event) {
                events.extend(self.drop_full(reactor, member));
            }
        }
    }

    /// Delivers what follows from one event; answers the members who had no room for it.
    fn carry_out(&mut self, reactor: &mut Reactor, event: Event) -> Vec<MemberId> {
        let mut full = Vec::new();
        for effect in self.room.handle(event) {
            match effect {
                Effect::Publish { entry, except } => {
                    log_entry(&entry);
                    let Some(line) = encode_entry(&entry) else {
                        continue;
                    };
                    for member in self.room.members() {
                        if Some(member) != except {
                            full.extend(self.deliver(reactor, member, line.clone()));
                        }
                    }
                }
                Effect::Tell { member, notice } => {
                    full.extend(self.deliver(reactor, member, encode_notice(&notice)));
                }
            }
        }
        full
    }

    /// Puts a line into a member's outbox; answers the member if there is no room for it.
    fn deliver(&self, reactor: &mut Reactor, member: MemberId, line: Bytes) -> Option<MemberId> {
        let token = self.connections.get(&member.0)?.token?;
        (reactor.send(token, line) == Err(SendError::Full)).then_some(member)
    }

    /// Drops a member that does not read; answers what the room has to be told of it. What the
    /// member missed would be torn from what follows, so the connection is reset and not ended as
    /// if all were well.
    fn drop_full(&mut self, reactor: &mut Reactor, member: MemberId) -> Option<Event> {
        let connection = self.connections.get(&member.0)?;
        let token = connection.token?;
        let waiting = reactor.outbox_bytes(token);
        let limit = self.limits.outbox_bytes;
        warn!(
            "{} is dropped from {LOBBY}: it stopped reading, and its outbox is full \
             ({waiting} of {limit} bytes)",
            connection.label
        );
        reactor.reset(token);
        self.forget(reactor, member.0);
        let reason = Some("it stopped reading".into());
        Some(Event::Leave { member, reason })
    }
}

/// What happened in the room, for the log.
fn log_entry(entry: &Entry) {
    let (seq, who) = (entry.seq, &entry.author);
    match &entry.kind {
        EntryKind::File { name, bytes } => {
            info!("{LOBBY} #{seq}: {who} sent the file \"{name}\" ({bytes} bytes)");
        }
        EntryKind::Joined => info!("{LOBBY} #{seq}: {who} joined"),
        EntryKind::Left { reason: None } => info!("{LOBBY} #{seq}: {who} left"),
        EntryKind::Left {
            reason: Some(reason),
        } => info!("{LOBBY} #{seq}: {who} left: {reason}"),
        EntryKind::Renamed { nick } => info!("{LOBBY} #{seq}: {who} is now {nick}"),
        EntryKind::Text(text) => {
            let mut shown: String = text.chars().take(LOGGED_TEXT_CHARS_MAX).collect();
            if shown.len() < text.len() {
                shown.push('…');
            }
            // Lines of a message become one, so that nobody can write lines into the log.
            let shown = shown.split(['\n', '\r']).collect::<Vec<_>>().join(" / ");
            info!("{LOBBY} #{seq}: {who}: {}", clean(&shown));
        }
    }
}
