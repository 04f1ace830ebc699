//! The shard's part for programs that ask to be answered: what a parcel brings into a room, its
//! acknowledgement, and following a room.

use switchboard_wire::{Answer, Fields, Follow, RoomName};
use tracing::warn;

use super::{ConnectionId, Net, Session, Shard};
use crate::door::parcel::{Ready, encode_answer};
use crate::room::{Author, Event, MemberId, Room};

impl<N: Net> Shard<N> {
    /// Brings something of a parcel client into its room, and tells the client if it wants to know.
    pub(super) fn bring(&mut self, net: &mut N, id: ConnectionId, ready: Ready) {
        let (Ready::File { fields, .. } | Ready::Message { fields, .. }) = &ready;
        let fields = fields.clone();
        let room = fields.room.clone().unwrap_or_else(RoomName::lobby);
        if let Some(message_id) = &fields.id
            && let Some(seq) = self.rooms.taken(&room, message_id)
        {
            self.acknowledge(net, id, &room, seq, &fields);
            return;
        }
        let by = match self.author(net, id, &fields) {
            Ok(by) => by,
            Err(reason) => return self.refuse(net, id, &fields, &reason),
        };
        if let Err(reason) = self.hold_room(id, &room) {
            return self.refuse(net, id, &fields, &reason);
        }
        let (reply_to, message_id) = (fields.reply_to, fields.id.clone());
        let event = match ready {
            Ready::File { name, bytes, .. } => Event::File {
                by,
                name,
                bytes,
                reply_to,
                id: message_id,
            },
            Ready::Message { text, .. } => Event::Say {
                by,
                text,
                reply_to,
                id: message_id,
            },
        };
        // Others may be dropped by what it says, which is said behind it.
        let seq = self.rooms.get(&room).map_or(0, Room::last_seq) + 1;
        if let Some(message_id) = &fields.id {
            self.rooms.note(&room, message_id.clone(), seq);
        }
        self.tell_room(net, room.clone(), event);
        self.acknowledge(net, id, &room, seq, &fields);
    }

    /// Whose a parcel is, as the others see it.
    fn author(&mut self, net: &mut N, id: ConnectionId, fields: &Fields) -> Result<Author, String> {
        if let Some(from) = &fields.from {
            self.take_name(net, id, from)
                .map_err(|refusal| refusal.to_string())?;
        }
        let connection = self.connections.get(&id).ok_or("it is gone")?;
        // What one header says counts for its parcel; a member has one name.
        let has_name = fields.from.is_some() || connection.room.is_some();
        Ok(Author::Guest(if has_name {
            connection.name.clone()
        } else {
            connection.label.clone()
        }))
    }

    /// Keeps the room that a client speaks in, for as long as it speaks there.
    fn hold_room(&mut self, id: ConnectionId, room: &RoomName) -> Result<(), String> {
        let epoch = (self.senses.entropy)();
        let Some(parcel) = self.parcel(id) else {
            return Err("it is gone".to_owned());
        };
        if parcel.held.as_ref() == Some(room) {
            return Ok(());
        }
        let before = parcel.held.take();
        if let Some(before) = before {
            self.rooms.let_go(&before);
        }
        self.rooms
            .hold(room, epoch)
            .map_err(|refusal| refusal.to_string())?;
        if let Some(parcel) = self.parcel(id) {
            parcel.held = Some(room.clone());
        }
        Ok(())
    }

    fn acknowledge(
        &mut self,
        net: &mut N,
        id: ConnectionId,
        room: &RoomName,
        seq: u64,
        fields: &Fields,
    ) {
        if !fields.wants_ack {
            return;
        }
        let epoch = self.rooms.get(room).map_or(0, Room::epoch);
        let ack = Answer::Ack {
            room: room.as_str().to_owned(),
            epoch,
            seq,
            id: fields.id.clone(),
            durable: false,
        };
        self.send_to(net, id, encode_answer(&ack));
    }

    /// A parcel is not taken: it is remembered for the end of the conversation, and told now to who
    /// wants to know.
    pub(super) fn refuse(&mut self, net: &mut N, id: ConnectionId, fields: &Fields, reason: &str) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        warn!("a parcel of {} is refused: {reason}", connection.label);
        if let Session::Parcel(parcel) = &mut connection.session {
            parcel.session.refuse();
        }
        if fields.wants_ack {
            let refused = Answer::Refused {
                id: fields.id.clone(),
                reason: reason.to_owned(),
            };
            self.send_to(net, id, encode_answer(&refused));
        }
    }

    /// A client wants to receive what happens in a room. It becomes a member: nobody listens
    /// unseen.
    pub(super) fn follow(&mut self, net: &mut N, id: ConnectionId, follow: Follow) {
        // Whoever asks for this reads.
        let asked = Fields {
            wants_ack: true,
            ..Fields::default()
        };
        let is_there = self.room_of(id) == Some(&follow.room);
        let epoch = (self.senses.entropy)();
        // Who is there already has its place.
        if !is_there && let Err(refusal) = self.rooms.enter(&follow.room, epoch) {
            return self.refuse(net, id, &asked, &refusal.to_string());
        }
        if let Some(from) = &follow.from
            && let Err(refusal) = self.take_name(net, id, from)
        {
            self.rooms.forget(&follow.room);
            return self.refuse(net, id, &asked, &refusal.to_string());
        }
        if !is_there {
            self.leave_room(net, id, None);
        }
        self.tell_position(net, id, &follow);
        if let Some(parcel) = self.parcel(id) {
            parcel.session.follow();
        }
        if !is_there {
            self.enter(net, id, follow.room, false);
        }
    }

    /// Tells a follower where it begins, and what it cannot have. Nothing is kept, so that is all
    /// that it does not know.
    fn tell_position(&mut self, net: &mut N, id: ConnectionId, follow: &Follow) {
        let Some(room) = self.rooms.get(&follow.room) else {
            return;
        };
        let (name, epoch, last) = (
            room.name().as_str().to_owned(),
            room.epoch(),
            room.last_seq(),
        );
        let room = || name.clone();
        let is_other = follow.epoch.is_some_and(|known| known != epoch)
            || follow.since.is_some_and(|since| since > last);
        let known = match follow.since {
            Some(_) if is_other => 0,
            Some(since) => since,
            None => last,
        };
        let mut answers = Vec::new();
        if is_other {
            answers.push(Answer::Reset {
                room: room(),
                epoch,
            });
        }
        answers.push(Answer::At {
            room: room(),
            epoch,
            seq: known,
        });
        if known < last {
            answers.push(Answer::Gap {
                room: room(),
                epoch,
                from: known + 1,
                to: last,
            });
        }
        for answer in answers {
            self.send_to(net, id, encode_answer(&answer));
        }
    }

    /// Nothing of a connection stays behind: its name and the room that it held.
    pub(super) fn give_back(&mut self, id: ConnectionId) {
        self.names().release(MemberId(id));
        let held = self.parcel(id).and_then(|parcel| parcel.held.take());
        if let Some(room) = held {
            self.rooms.let_go(&room);
        }
    }
}
