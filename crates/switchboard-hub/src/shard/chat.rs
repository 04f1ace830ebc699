//! The shard's part in the line door.

use bytes::Bytes;
use switchboard_wire::{RoomName, notice};
use tracing::{info, warn};

use super::{ConnectionId, Net, Session, Shard};
use crate::door::line::{LineEvent, encode_rooms};
use crate::limits::FINISH_TIME;
use crate::room::{Author, Event, MemberId};

/// What `/history` and `/search` answer where nothing is kept.
const NO_LOG: &str = "this hub keeps no history: its log is off";

/// Characters of a name that nobody has that are repeated back; any address fits.
const NAME_CHARS_SHOWN: usize = 64;

impl<N: Net> Shard<N> {
    /// Bytes of a member.
    pub(super) fn lines(&mut self, net: &mut N, id: ConnectionId, mut bytes: &[u8]) {
        let now = net.now();
        // A member may leave, or be dropped, by what its own line leads to.
        while let Some(connection) = self.connections.get_mut(&id)
            && let Session::Line(session) = &mut connection.session
            && let Some(event) = session.push(now, &mut bytes)
        {
            if !self.line_event(net, id, event) {
                return;
            }
        }
    }

    /// A member has ended its side.
    pub(super) fn last_line(&mut self, net: &mut N, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Session::Line(session) = &mut connection.session else {
            return;
        };
        if let Some(event) = session.end()
            && !self.line_event(net, id, event)
        {
            return;
        }
        self.quit(net, id);
    }

    /// Does what a member wants; false if it is gone after that.
    fn line_event(&mut self, net: &mut N, id: ConnectionId, event: LineEvent) -> bool {
        let member = MemberId(id);
        match event {
            LineEvent::Say(text) => {
                let event = Event::say(Author::Member(member), text);
                self.tell_room_of(net, id, event);
            }
            LineEvent::Who => self.tell_room_of(net, id, Event::Who { member }),
            LineEvent::Topic => self.tell_room_of(net, id, Event::Topic { member }),
            LineEvent::SetTopic(topic) => {
                self.tell_room_of(net, id, Event::SetTopic { member, topic });
            }
            LineEvent::Nick(nick) => match self.take_name(net, id, &nick) {
                Ok(()) => self.answer(net, id, &format!("you are now {nick}")),
                Err(refusal) => self.answer(net, id, &refusal.to_string()),
            },
            LineEvent::Join(room) => self.go(net, id, room),
            LineEvent::Rooms => self.list_rooms(net, id),
            LineEvent::Msg { to, text } => self.tell_alone(net, id, &to, &text),
            LineEvent::History(_) | LineEvent::Search(_) => self.answer(net, id, NO_LOG),
            LineEvent::Refused(reason) => {
                if let Some(connection) = self.connections.get(&id) {
                    warn!("a line of {} is not passed on: {reason}", connection.label);
                }
                self.answer(net, id, &format!("your line was not passed on: {reason}"));
            }
            LineEvent::Tell(line) => self.send_to(net, id, line),
            LineEvent::Quit => {
                self.quit(net, id);
                return false;
            }
        }
        self.connections.contains_key(&id)
    }

    /// A line for one member alone.
    fn answer(&mut self, net: &mut N, id: ConnectionId, text: &str) {
        self.send_to(net, id, notice(text));
    }

    /// A member goes to another room.
    fn go(&mut self, net: &mut N, id: ConnectionId, room: RoomName) {
        if self.room_of(id) == Some(&room) {
            self.answer(net, id, &format!("you are in {room} already"));
            return;
        }
        // A room that it cannot enter is no reason to lose the one where it is.
        let epoch = (self.senses.entropy)();
        if let Err(refusal) = self.rooms.enter(&room, epoch) {
            self.answer(net, id, &refusal.to_string());
            return;
        }
        self.leave_room(net, id, None);
        self.enter(net, id, room, true);
    }

    fn list_rooms(&mut self, net: &mut N, id: ConnectionId) {
        if let Some(here) = self.room_of(id) {
            let line = encode_rooms(self.rooms.iter(), here);
            self.send_to(net, id, line);
        }
    }

    /// A member tells another alone, in whatever room that is.
    fn tell_alone(&mut self, net: &mut N, id: ConnectionId, to: &str, text: &str) {
        let found = self.names().owner_of(to);
        let found = found.or_else(|| self.by_address(to));
        let Some(other) = found.and_then(|member| self.connections.get(&member.0)) else {
            let to: String = to.chars().take(NAME_CHARS_SHOWN).collect();
            self.answer(net, id, &format!("nobody here is {to}"));
            return;
        };
        let Some(from) = self.connections.get(&id).map(|from| from.name.clone()) else {
            return;
        };
        let name = other.name.clone();
        match (&other.session, found) {
            (Session::Line(_), Some(MemberId(other))) => {
                info!("{from} told {name} something");
                self.send_to(net, other, notice(&format!("{from} tells you: {text}")));
                self.answer(net, id, &format!("you tell {name}: {text}"));
            }
            _ => self.answer(
                net,
                id,
                &format!("{name} is a program that takes no messages"),
            ),
        }
    }

    /// A member who has taken no name, by the address that the others see.
    fn by_address(&self, address: &str) -> Option<MemberId> {
        let is_it = |connection: &&super::Connection<N>| {
            connection.room.is_some() && *connection.name == *address
        };
        let mut found = self.connections.iter().filter(|(_, one)| is_it(one));
        match (found.next(), found.next()) {
            (Some((id, _)), None) => Some(MemberId(*id)),
            // Members by a Unix socket may share their name.
            _ => None,
        }
    }

    /// A member leaves in good order: it still gets what was sent to it.
    fn quit(&mut self, net: &mut N, id: ConnectionId) {
        self.leave_room(net, id, None);
        self.names().release(MemberId(id));
        if let Some(token) = self
            .connections
            .get(&id)
            .and_then(|connection| connection.token)
        {
            net.finish(token, FINISH_TIME);
        }
    }

    /// A member is put out, with a reason for it, for the others and for the log.
    pub(super) fn put_out(&mut self, net: &mut N, id: ConnectionId, reason: &str) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        warn!("{} is put out: {reason}", connection.label);
        if let Some(token) = connection.token {
            let line: Bytes = notice(&format!("you are put out: {reason}"));
            net.send(token, line).ok();
            net.finish(token, FINISH_TIME);
        }
        self.leave_room(net, id, Some(reason.to_owned()));
        self.names().release(MemberId(id));
    }

    /// A member's connection is gone.
    pub(super) fn member_gone(&mut self, net: &mut N, id: ConnectionId, reason: Option<String>) {
        self.leave_room(net, id, reason);
        self.forget(net, id);
    }
}
