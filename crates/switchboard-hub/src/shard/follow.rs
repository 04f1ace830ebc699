//! The shard's part for programs that ask to be answered: what a parcel brings into a room, its
//! acknowledgement, and following a room.

use switchboard_wire::{Answer, Fields, Follow, RoomName};
use tracing::warn;

use super::link::{Command, Ticket};
use super::{ConnectionId, Net, Session, Shard};
use crate::door::parcel::{Ready, encode_answer};
use crate::room::{Author, Event, MemberId};

impl<N: Net> Shard<N> {
    /// Brings something of a parcel client into its room; the client is told if it wants to know.
    pub(super) fn bring(&mut self, net: &mut N, id: ConnectionId, ready: Ready) {
        let (Ready::File { fields, .. } | Ready::Message { fields, .. }) = &ready;
        let by = match self.author(id, fields) {
            Ok(by) => by,
            Err(reason) => return self.refuse(net, id, &fields.clone(), &reason),
        };
        let (event, fields) = match ready {
            Ready::File {
                name,
                bytes,
                fields,
            } => {
                let (reply_to, id) = (fields.reply_to, fields.id.clone());
                let event = Event::File {
                    by,
                    name,
                    bytes,
                    reply_to,
                    id,
                };
                (event, fields)
            }
            Ready::Message { text, fields } => {
                let (reply_to, id) = (fields.reply_to, fields.id.clone());
                let event = Event::Say {
                    by,
                    text,
                    reply_to,
                    id,
                };
                (event, fields)
            }
        };
        let room = fields.room.unwrap_or_else(RoomName::lobby);
        self.speak_in(id, &room);
        let guest = MemberId(id);
        let ticket = fields.wants_ack.then_some(Ticket {
            connection: guest,
            id: fields.id,
        });
        self.post.command(Command::Bring {
            room,
            guest,
            event,
            ticket,
        });
    }

    /// Whose a parcel is, as the others see it.
    fn author(&mut self, id: ConnectionId, fields: &Fields) -> Result<Author, String> {
        if let Some(from) = &fields.from {
            self.take_name(id, from)
                .map_err(|refusal| refusal.to_string())?;
        }
        let connection = self.connections.get(&id).ok_or("it is gone")?;
        // What one header says counts for its parcel; a member has one name.
        let has_name = fields.from.is_some() || connection.room.is_some();
        Ok(Author::Guest(if has_name {
            connection.name()
        } else {
            connection.label.clone()
        }))
    }

    /// Notes the room that a client speaks in, which stays for as long as it speaks there.
    fn speak_in(&mut self, id: ConnectionId, room: &RoomName) {
        if let Some(parcel) = self.parcel(id)
            && parcel.speaks_in.as_ref() != Some(room)
        {
            let before = parcel.speaks_in.replace(room.clone());
            self.let_go_of_room(id, before);
        }
    }

    /// A client speaks in a room no longer, which answers behind all that it has to say.
    pub(super) fn let_go_of_room(&mut self, id: ConnectionId, room: Option<RoomName>) {
        if let Some(room) = room {
            if let Some(parcel) = self.parcel(id) {
                parcel.owed += 1;
            }
            let guest = MemberId(id);
            self.post.command(Command::LetGo { room, guest });
        }
    }

    /// What a client brought has its number.
    pub(super) fn acked(
        &mut self,
        net: &mut N,
        ticket: Ticket,
        room: &RoomName,
        (epoch, seq): (u64, u64),
        durable: bool,
    ) {
        let ack = Answer::Ack {
            room: room.as_str().to_owned(),
            epoch,
            seq,
            id: ticket.id,
            durable,
        };
        self.send_to(net, ticket.connection.0, encode_answer(&ack));
    }

    /// What a client brought is not taken by the room.
    pub(super) fn not_taken(
        &mut self,
        net: &mut N,
        id: ConnectionId,
        ticket: Option<Ticket>,
        why: &str,
    ) {
        let fields = Fields {
            wants_ack: ticket.is_some(),
            id: ticket.and_then(|ticket| ticket.id),
            ..Fields::default()
        };
        self.refuse(net, id, &fields, why);
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
        if fields.is_answered() {
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
        if let Some(from) = &follow.from
            && let Err(refusal) = self.take_name(id, from)
        {
            return self.refuse_follow(net, id, &refusal.to_string());
        }
        if let Some(why) = self.why_not_kept(&follow.room).map(str::to_owned) {
            return self.refuse_follow(net, id, &why);
        }
        self.ask_to_enter(id, follow.room.clone(), false, Some(follow));
    }

    /// A client cannot follow. Whoever asks for that reads.
    pub(super) fn refuse_follow(&mut self, net: &mut N, id: ConnectionId, reason: &str) {
        let asked = Fields {
            wants_ack: true,
            ..Fields::default()
        };
        self.refuse(net, id, &asked, reason);
    }

    /// Tells a follower where it begins, and answers that; and, where nothing is kept, what it
    /// cannot have, which is all that it does not know.
    pub(super) fn tell_position(
        &mut self,
        net: &mut N,
        id: ConnectionId,
        follow: &Follow,
        epoch: u64,
        last: u64,
    ) -> u64 {
        let name = follow.room.as_str().to_owned();
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
        if known < last && self.journal.is_none() {
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
        known
    }

    /// Nothing of a connection stays behind: its name and the room that it spoke in.
    pub(super) fn give_back(&mut self, id: ConnectionId) {
        self.shared.names().release(MemberId(id));
        let room = self.parcel(id).and_then(|parcel| parcel.speaks_in.take());
        self.let_go_of_room(id, room);
    }
}
