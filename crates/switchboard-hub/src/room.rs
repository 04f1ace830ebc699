//! A room: an ordered list of entries and the members who see new ones, as plain data.
//!
//! Events go in, effects come out. A room owns no socket, clock, file or thread, knows no wire
//! form, and does the same thing each time it is told the same events. The time and what cannot be
//! guessed come in as values.
//!
//! ```
//! use switchboard_hub::room::{Author, Effect, Event, MemberId, Room};
//! use switchboard_wire::RoomName;
//!
//! let mut room = Room::new(RoomName::lobby(), 7);
//! let (member, name) = (MemberId(1), "127.0.0.1:5000".into());
//! room.handle(1_000, Event::Join { member, name, is_greeted: false });
//! let effects = room.handle(1_001, Event::say(Author::Member(member), "hi"));
//! let [Effect::Publish { entry, except }] = effects.as_slice() else { panic!() };
//! assert_eq!((entry.seq, &*entry.author, entry.time_ms), (2, "127.0.0.1:5000", 1_001));
//! assert_eq!(*except, Some(member), "everybody else hears it");
//! ```

mod directory;
mod event;
mod members;

use std::collections::BTreeSet;
use std::sync::Arc;

use switchboard_wire::{RoomName, Topic};

pub use self::directory::{History, RoomRefusal, Rooms};
pub use self::event::{Author, Effect, Entry, EntryKind, Event, MemberId, Notice, ShardId};
use self::members::Members;
use crate::limits::WHO_NAMES_MAX;

/// A room. See the module's documentation.
#[derive(Debug)]
pub struct Room {
    name: RoomName,
    epoch: u64,
    last_seq: u64,
    topic: Option<Topic>,
    members: Members,
    /// How many of them are connected to which shard.
    homes: Vec<(ShardId, usize)>,
    /// Connections that are no members and speak here.
    guests: BTreeSet<MemberId>,
}

impl Room {
    /// An empty room without a history. `epoch` tells this history from any other that a room of
    /// this name had or will have.
    #[must_use]
    pub const fn new(name: RoomName, epoch: u64) -> Self {
        Self::resume(name, epoch, 0, None)
    }

    /// An empty room whose history goes on behind the entry `last_seq`.
    #[must_use]
    pub const fn resume(name: RoomName, epoch: u64, last_seq: u64, topic: Option<Topic>) -> Self {
        Self {
            name,
            epoch,
            last_seq,
            topic,
            members: Members::new(),
            homes: Vec::new(),
            guests: BTreeSet::new(),
        }
    }

    /// What it is called.
    #[must_use]
    pub const fn name(&self) -> &RoomName {
        &self.name
    }

    /// Which history the numbers of its entries count in.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The number of its last entry; 0 before the first.
    #[must_use]
    pub const fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// What it is about.
    #[must_use]
    pub const fn topic(&self) -> Option<&Topic> {
        self.topic.as_ref()
    }

    /// The members, in the order of their numbers.
    pub fn members(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.members.iter().map(|(id, _)| id)
    }

    /// The shards that members are connected to, each once.
    pub fn homes(&self) -> impl Iterator<Item = ShardId> + '_ {
        self.homes.iter().map(|(home, _)| *home)
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// True if nobody is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The name under which the others see a member.
    #[must_use]
    pub fn name_of(&self, member: MemberId) -> Option<&Arc<str>> {
        self.members.get(member)
    }

    /// Takes an event, at `now_ms` (milliseconds since 1970-01-01 UTC), and says what follows from
    /// it. Events of a member that is not here are ignored: it has left in the meantime.
    pub fn handle(&mut self, now_ms: u64, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.handle_into(now_ms, event, &mut effects);
        effects
    }

    /// The same behind what is in `effects`, whose room it uses.
    pub fn handle_into(&mut self, now_ms: u64, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Join {
                member,
                name,
                is_greeted,
            } => self.join(now_ms, (member, name), is_greeted, effects),
            Event::Leave { member, reason } => self.leave(now_ms, member, reason, effects),
            Event::Say {
                by,
                text,
                reply_to,
                id,
            } => {
                let said = self.publish(now_ms, by, EntryKind::Text(text));
                effects.extend(said.map(|effect| effect.about(reply_to, id)));
            }
            Event::File {
                by,
                name,
                bytes,
                reply_to,
                id,
            } => {
                let sent = self.publish(now_ms, by, EntryKind::File { name, bytes });
                effects.extend(sent.map(|effect| effect.about(reply_to, id)));
            }
            Event::Rename { member, name } => effects.extend(self.rename(now_ms, member, name)),
            Event::Who { member } => effects.extend(self.who(member)),
            Event::Topic { member } => {
                effects.extend(self.tell(member, Notice::TopicIs(self.topic.clone())));
            }
            Event::SetTopic { member, topic } => self.set_topic(now_ms, member, topic, effects),
        }
    }

    /// Gives what a member says a number, as [`Event::Say`] does, where the entry itself is not
    /// wanted; answers that, and its author as the others see it.
    pub fn number(&mut self, member: MemberId) -> Option<(u64, &Arc<str>)> {
        let author = self.members.get(member)?;
        self.last_seq += 1;
        Some((self.last_seq, author))
    }

    fn join(
        &mut self,
        now_ms: u64,
        (member, name): (MemberId, Arc<str>),
        is_greeted: bool,
        effects: &mut Vec<Effect>,
    ) {
        if self.members.contains(member) {
            return;
        }
        self.members.insert(member, name);
        let home = member.home();
        match self.homes.binary_search_by_key(&home, |(home, _)| *home) {
            Ok(at) => self
                .homes
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|it| it.1 += 1),
            Err(at) => self.homes.insert(at, (home, 1)),
        }
        effects.extend(self.publish(now_ms, Author::Member(member), EntryKind::Joined));
        if is_greeted {
            let notice = Notice::Entered {
                room: self.name.clone(),
                count: self.members.len(),
                topic: self.topic.clone(),
            };
            effects.push(Effect::Tell { member, notice });
        }
    }

    fn leave(
        &mut self,
        now_ms: u64,
        member: MemberId,
        reason: Option<String>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(name) = self.members.remove(member) else {
            return;
        };
        let home = member.home();
        if let Some(count) = self.homes.iter_mut().find(|(it, _)| *it == home) {
            count.1 -= 1;
        }
        self.homes.retain(|(_, count)| *count > 0);
        let entry = self.entry(now_ms, name, EntryKind::Left { reason });
        effects.push(Effect::Publish {
            entry,
            except: None,
        });
    }

    fn rename(&mut self, now_ms: u64, member: MemberId, name: Arc<str>) -> Option<Effect> {
        let shown = self.members.get_mut(member)?;
        if *shown == name {
            return None;
        }
        let before = core::mem::replace(shown, name.clone());
        let entry = self.entry(now_ms, before, EntryKind::Renamed { name });
        let except = Some(member);
        Some(Effect::Publish { entry, except })
    }

    fn who(&self, member: MemberId) -> Option<Effect> {
        let first = self
            .members
            .iter()
            .map(|(_, name)| name)
            .take(WHO_NAMES_MAX);
        let first = first.map(|name| name.to_string()).collect();
        let count = self.members.len();
        self.tell(member, Notice::Present { count, first })
    }

    fn set_topic(
        &mut self,
        now_ms: u64,
        member: MemberId,
        topic: Option<Topic>,
        effects: &mut Vec<Effect>,
    ) {
        if !self.members.contains(member) {
            return;
        }
        if self.topic != topic {
            self.topic.clone_from(&topic);
            let kind = EntryKind::Topic { topic };
            effects.extend(self.publish(now_ms, Author::Member(member), kind));
        }
        effects.extend(self.tell(member, Notice::TopicIs(self.topic.clone())));
    }

    /// An answer to a member, if it is here.
    fn tell(&self, member: MemberId, notice: Notice) -> Option<Effect> {
        self.members
            .contains(member)
            .then_some(Effect::Tell { member, notice })
    }

    fn publish(&mut self, now_ms: u64, by: Author, kind: EntryKind) -> Option<Effect> {
        let (author, except) = match by {
            Author::Guest(name) => (name, None),
            Author::Member(id) => (self.name_of(id)?.clone(), Some(id)),
        };
        let entry = self.entry(now_ms, author, kind);
        Some(Effect::Publish { entry, except })
    }

    fn entry(&mut self, time_ms: u64, author: Arc<str>, kind: EntryKind) -> Entry {
        self.last_seq += 1;
        Entry {
            seq: self.last_seq,
            time_ms,
            author,
            reply_to: None,
            id: None,
            kind,
        }
    }
}
