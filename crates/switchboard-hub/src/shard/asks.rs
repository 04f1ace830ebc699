//! What a member asks of all shards: which rooms there are, and who has an address; and private
//! messages.

use std::sync::Arc;

use switchboard_wire::{RoomName, notice};
use tracing::info;

use super::link::{Command, Found, Heard, News};
use super::waits::Awaited;
use super::{ConnectionId, Net, Session, Shard};
use crate::door::line::encode_rooms;
use crate::room::MemberId;

/// Characters of a name that nobody has that are repeated back; any address fits.
const NAME_CHARS_SHOWN: usize = 64;

impl<N: Net> Shard<N> {
    /// A member wants to know which rooms there are.
    pub(super) fn list_rooms(&mut self, id: ConnectionId) {
        let asker = MemberId(id);
        let shards = self.post.place.all();
        let what = Awaited::Rooms {
            left: shards.len(),
            count: 0,
            rooms: Vec::new(),
        };
        self.await_answer(id, what);
        for shard in shards {
            self.post.command_to(shard, Command::List { asker });
        }
    }

    /// A shard has told its rooms.
    pub(super) fn rooms_told(
        &mut self,
        net: &mut N,
        asker: MemberId,
        more: usize,
        first: Vec<(RoomName, usize)>,
    ) {
        let Some(wait) = self.waits.get_mut(&asker.0) else {
            return;
        };
        let Awaited::Rooms { left, count, rooms } = &mut wait.what else {
            return;
        };
        *left -= 1;
        *count += more;
        rooms.extend(first);
        if *left > 0 {
            return;
        }
        let Some(Awaited::Rooms {
            count, mut rooms, ..
        }) = self.answered(net, asker.0)
        else {
            return;
        };
        rooms.sort_unstable();
        if let Some(here) = self.room_of(asker.0) {
            let line = encode_rooms(count, &rooms, here);
            self.send_to(net, asker.0, line);
        }
    }

    /// A member tells another alone, in whatever room and at whatever shard that is.
    pub(super) fn tell_alone(&mut self, id: ConnectionId, to: &str, text: String) {
        let found = self.shared.names().owner_of(to);
        let to: Arc<str> = to.into();
        if let Some(member) = found {
            return self.tell_found(id, member, to, text);
        }
        let teller = MemberId(id);
        let shards = self.post.place.all();
        let what = Awaited::Seek {
            left: shards.len(),
            found: Found::Nobody,
            address: to.clone(),
            text,
        };
        self.await_answer(id, what);
        for shard in shards {
            let address = to.clone();
            self.post.news(shard, News::Seek { teller, address });
        }
    }

    fn tell_found(&mut self, id: ConnectionId, to: MemberId, name: Arc<str>, text: String) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let news = News::Told {
            to,
            teller: MemberId(id),
            from: connection.name(),
            text: text.clone(),
        };
        self.post.news(to.home(), news);
        self.await_answer(id, Awaited::Hearing { to: name, text });
    }

    /// Who has this address here?
    pub(super) fn sought(&mut self, teller: MemberId, address: &str) {
        let found = self.by_address(address);
        self.post.news(teller.home(), News::Found { teller, found });
    }

    /// A member who has taken no name, by the address that the others see.
    fn by_address(&self, address: &str) -> Found {
        let is_it = |connection: &&super::Connection<N>| {
            connection.room.is_some() && connection.shown() == address
        };
        let found = self.connections.iter().filter(|(_, one)| is_it(one));
        found.fold(Found::Nobody, |found, (id, _)| {
            found.and(Found::One(MemberId(id)))
        })
    }

    /// A shard has told who has an address there.
    pub(super) fn found(&mut self, net: &mut N, teller: MemberId, found: Found) {
        let Some(wait) = self.waits.get_mut(&teller.0) else {
            return;
        };
        let Awaited::Seek {
            left, found: all, ..
        } = &mut wait.what
        else {
            return;
        };
        *left -= 1;
        *all = all.and(found);
        if *left > 0 {
            return;
        }
        let Found::One(member) = *all else {
            if let Some(Awaited::Seek { address, .. }) = self.answered(net, teller.0) {
                self.tell_nobody(net, teller.0, &address);
            }
            return;
        };
        // It goes on waiting, for something else.
        let Some(connection) = self.connections.get(&teller.0) else {
            return;
        };
        let (name, text) = match &wait.what {
            Awaited::Seek { address, text, .. } => (address.clone(), text.clone()),
            _ => return,
        };
        let news = News::Told {
            to: member,
            teller,
            from: connection.name(),
            text: text.clone(),
        };
        wait.what = Awaited::Hearing { to: name, text };
        self.post.news(member.home(), news);
    }

    fn tell_nobody(&mut self, net: &mut N, id: ConnectionId, to: &str) {
        let to: String = to.chars().take(NAME_CHARS_SHOWN).collect();
        self.answer(net, id, &format!("nobody here is {to}"));
    }

    /// Somebody tells a member of this shard something.
    pub(super) fn told(
        &mut self,
        net: &mut N,
        to: MemberId,
        teller: MemberId,
        from: &str,
        text: &str,
    ) {
        let how = match self.connections.get(&to.0) {
            None => Heard::ByNobody,
            Some(other) => match &other.session {
                Session::Line(_) => {
                    let name = other.name();
                    info!("{from} told {name} something");
                    self.send_to(net, to.0, notice(&format!("{from} tells you: {text}")));
                    Heard::By(name)
                }
                Session::Parcel(_) => Heard::ByProgram(other.name()),
            },
        };
        self.post.news(teller.home(), News::Heard { teller, how });
    }

    /// How it went is known to who told another something.
    pub(super) fn heard(&mut self, net: &mut N, teller: MemberId, how: &Heard) {
        let is_it = |wait: &super::waits::Wait| matches!(wait.what, Awaited::Hearing { .. });
        if !self.waits.get(&teller.0).is_some_and(is_it) {
            return;
        }
        let Some(Awaited::Hearing { to, text }) = self.answered(net, teller.0) else {
            return;
        };
        match how {
            Heard::By(name) => {
                self.answer(net, teller.0, &format!("you tell {name}: {text}"));
            }
            Heard::ByProgram(name) => {
                let text = format!("{name} is a program that takes no messages");
                self.answer(net, teller.0, &text);
            }
            Heard::ByNobody => self.tell_nobody(net, teller.0, &to),
        }
    }
}
