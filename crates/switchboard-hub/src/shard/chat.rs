//! The shard's part in the line door.

use std::time::Instant;

use bytes::Bytes;
use switchboard_wire::{RoomName, notice, write_chat_lines};
use tracing::warn;

use super::seats::Seat;
use super::{ConnectionId, Net, Session, Shard};
use crate::door::line::LineEvent;
use crate::limits::FINISH_TIME;
use crate::room::{Author, Event, MemberId};

impl<N: Net> Shard<N> {
    /// Bytes of a member.
    pub(super) fn lines(&mut self, net: &mut N, id: ConnectionId, mut bytes: &[u8]) {
        let now = net.now();
        while self.pass_on(net, id, now, &mut bytes) {}
        // A member may leave, or be dropped, by what its own line leads to.
        while !self.is_too_fast(net, id, bytes)
            && let Some(connection) = self.connections.get_mut(&id)
            && let Session::Line(session) = &mut connection.session
            && let Some(event) = session.push(now, &mut bytes)
        {
            self.count_message(net, id);
            let is_there = self.line_event(net, id, event);
            self.work(net);
            if !is_there {
                return;
            }
            if self.is_waiting(id) {
                return self.hold(net, id, bytes, false);
            }
            while self.pass_on(net, id, now, &mut bytes) {}
        }
    }

    /// Passes a message on the short way: it gets its number and goes to those who read lines, with
    /// nothing that is made for it but what the log keeps. That is possible where nobody reads it
    /// in another form, and it goes round this shard alone with nothing to be done before it.
    fn pass_on(&mut self, net: &mut N, id: ConnectionId, now: Instant, bytes: &mut &[u8]) -> bool {
        if !self.post.is_alone() || self.has_no_turn(id, now) {
            return false;
        }
        let Some(connection) = self.connections.get_mut(&id) else {
            return false;
        };
        if let (Session::Line(session), Some(room)) = (&mut connection.session, &connection.room)
            && let Some((feed, first)) = self.seats.get(room).and_then(Seat::only_lines)
            && self.owner.is_at_ease(room)
            && let Some(text) = session.said(now, bytes)
        {
            if let Some(pace) = &mut self.pace {
                pace.take(id, now);
            }
            let token = connection.token;
            if let Some((seq, author)) = self.owner.number(room, MemberId(id), text) {
                self.line.clear();
                write_chat_lines(&mut self.line, author, text);
                net.append(feed, &self.line, token);
                if let Some(token) = token {
                    self.note_own_line(net, (id, token), seq, first);
                }
            }
            return true;
        }
        false
    }

    /// A member has ended its side.
    pub(super) fn last_line(&mut self, net: &mut N, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Session::Line(session) = &mut connection.session else {
            return;
        };
        if let Some(event) = session.end() {
            let is_there = self.line_event(net, id, event);
            self.work(net);
            if !is_there {
                return;
            }
            if self.is_waiting(id) {
                return self.hold(net, id, &[], true);
            }
        }
        self.quit(net, id);
    }

    /// Does what a member wants; false if it is gone after that.
    fn line_event(&mut self, net: &mut N, id: ConnectionId, event: LineEvent) -> bool {
        let member = MemberId(id);
        match event {
            LineEvent::Say(text) => {
                let event = Event::say(Author::Member(member), text);
                self.tell_room_of(id, event);
            }
            LineEvent::Who => self.ask_room(id, Event::Who { member }),
            LineEvent::Topic => self.ask_room(id, Event::Topic { member }),
            LineEvent::SetTopic(topic) => {
                self.ask_room(id, Event::SetTopic { member, topic });
            }
            LineEvent::Nick(nick) => match self.take_name(id, &nick) {
                Ok(()) => self.answer(net, id, &format!("you are now {nick}")),
                Err(refusal) => self.answer(net, id, &refusal.to_string()),
            },
            LineEvent::Join(room) => self.go(net, id, room),
            LineEvent::Rooms => self.list_rooms(id),
            LineEvent::Msg { to, text } => self.tell_alone(id, &to, text),
            LineEvent::History(count) => self.ask_for_history(net, id, count),
            LineEvent::Search(words) => self.ask_for_words(net, id, &words),
            LineEvent::Refused(reason) => {
                if let Some(connection) = self.connections.get(&id) {
                    warn!("a line of {} is not passed on: {reason}", connection.label);
                }
                self.answer(net, id, &format!("your line was not passed on: {reason}"));
            }
            LineEvent::Stranger(protocol) => {
                let reason = format!("this is the chat door, which does not speak {protocol}");
                self.put_out(net, id, &reason);
                return false;
            }
            LineEvent::Tell(line) => self.send_to(net, id, line),
            LineEvent::Quit => {
                self.quit(net, id);
                return false;
            }
            LineEvent::Blank => {}
        }
        self.connections.contains_key(&id)
    }

    /// A line for one member alone.
    pub(super) fn answer(&mut self, net: &mut N, id: ConnectionId, text: &str) {
        self.send_to(net, id, notice(text));
    }

    /// A member goes to another room.
    fn go(&mut self, net: &mut N, id: ConnectionId, room: RoomName) {
        if self.room_of(id) == Some(&room) {
            self.answer(net, id, &format!("you are in {room} already"));
            return;
        }
        self.ask_to_enter(id, room, true, None);
    }

    /// A member leaves in good order: it still gets what was sent to it.
    fn quit(&mut self, net: &mut N, id: ConnectionId) {
        self.leave_room(net, id, None);
        self.shared.names().release(MemberId(id));
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
        let token = connection.token;
        self.leave_room(net, id, Some(reason.to_owned()));
        if let Some(token) = token {
            let line: Bytes = notice(&format!("you are put out: {reason}"));
            net.send(token, line).ok();
            net.finish(token, FINISH_TIME);
        }
        self.shared.names().release(MemberId(id));
    }

    /// A member's connection is gone.
    pub(super) fn member_gone(&mut self, net: &mut N, id: ConnectionId, reason: Option<String>) {
        self.leave_room(net, id, reason);
        self.forget(net, id);
    }
}
