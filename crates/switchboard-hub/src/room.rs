//! A room: an ordered list of entries and the members who see new ones, as plain data.
//!
//! Events go in, effects come out. A room owns no socket, clock, file or thread, knows no wire
//! form, and does the same thing each time it is told the same events.
//!
//! ```
//! use switchboard_hub::room::{Author, Effect, EntryKind, Event, MemberId, Room};
//!
//! let mut room = Room::new();
//! room.handle(Event::Join { member: MemberId(1), address: "127.0.0.1:5000".into() });
//! let effects = room.handle(Event::Say { by: Author::Member(MemberId(1)), text: "hi".into() });
//! let [Effect::Publish { entry, except }] = effects.as_slice() else { panic!() };
//! assert_eq!((entry.seq, entry.author.as_str()), (2, "127.0.0.1:5000"));
//! assert_eq!(*except, Some(MemberId(1)), "everybody else hears it");
//! ```

use std::collections::BTreeMap;

use switchboard_wire::{FileName, Nick};

use crate::limits::WHO_NAMES_MAX;

/// The room that everybody is in unless another is named.
pub const LOBBY: &str = "lobby";

/// A member, by a number that is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(pub u64);

/// Who says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Author {
    /// A member of the room.
    Member(MemberId),
    /// Somebody who only drops something in, by the name to show.
    Guest(String),
}

/// One thing that happened in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number: 1, 2, 3, … without gaps.
    pub seq: u64,
    /// Who did it, as the others see it.
    pub author: String,
    /// What it was.
    pub kind: EntryKind,
}

/// What an entry tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A file was stored.
    File {
        /// Under this name.
        name: FileName,
        /// Its size.
        bytes: u64,
    },
    /// A member came.
    Joined,
    /// A member went.
    Left {
        /// Why, where it was not the member's own wish.
        reason: Option<String>,
    },
    /// The author is known by another name from now on.
    Renamed {
        /// The new name.
        nick: Nick,
    },
    /// Somebody said something.
    Text(String),
}

/// What is told to a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A member comes, known by its address.
    Join {
        /// Who.
        member: MemberId,
        /// The name to show until it takes another.
        address: String,
    },
    /// A member goes.
    Leave {
        /// Who.
        member: MemberId,
        /// Why, where it was not the member's own wish.
        reason: Option<String>,
    },
    /// Somebody says something.
    Say {
        /// Who.
        by: Author,
        /// What.
        text: String,
    },
    /// A file of somebody's has been stored.
    File {
        /// Whose.
        by: Author,
        /// Under this name.
        name: FileName,
        /// Its size.
        bytes: u64,
    },
    /// A member takes a name.
    Rename {
        /// Who.
        member: MemberId,
        /// The name.
        nick: Nick,
    },
    /// A member asks who is here.
    Who {
        /// Who asks.
        member: MemberId,
    },
}

/// What a room wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A new entry, for every member but one.
    Publish {
        /// The entry.
        entry: Entry,
        /// The member that caused it, which knows already.
        except: Option<MemberId>,
    },
    /// An answer to one member.
    Tell {
        /// Who asked.
        member: MemberId,
        /// The answer.
        notice: Notice,
    },
}

/// What a room answers to one member alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Another member has that name.
    NickTaken(Nick),
    /// The member now has this name.
    NickIs(Nick),
    /// Who is here.
    Present {
        /// How many.
        count: usize,
        /// The first [`WHO_NAMES_MAX`] of them, in the order of coming.
        first: Vec<String>,
    },
}

#[derive(Debug)]
struct Member {
    address: String,
    nick: Option<Nick>,
}

impl Member {
    fn name(&self) -> &str {
        self.nick.as_ref().map_or(&self.address, Nick::as_str)
    }
}

/// A room. See the module's documentation.
#[derive(Debug, Default)]
pub struct Room {
    last_seq: u64,
    members: BTreeMap<MemberId, Member>,
    /// Folded nicks, so that no two members look alike but for case.
    nicks: BTreeMap<String, MemberId>,
}

impl Room {
    /// An empty room.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The members, in the order of coming.
    pub fn members(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.members.keys().copied()
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
    pub fn name_of(&self, member: MemberId) -> Option<&str> {
        self.members.get(&member).map(Member::name)
    }

    /// Takes an event and says what follows from it. Events of a member that is not here are
    /// ignored: it has left in the meantime.
    pub fn handle(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Join { member, address } => self.join(member, address),
            Event::Leave { member, reason } => self.leave(member, reason),
            Event::Say { by, text } => self.publish(by, EntryKind::Text(text)),
            Event::File { by, name, bytes } => self.publish(by, EntryKind::File { name, bytes }),
            Event::Rename { member, nick } => self.rename(member, nick),
            Event::Who { member } => self.who(member),
        }
    }

    fn join(&mut self, id: MemberId, address: String) -> Vec<Effect> {
        if self.members.contains_key(&id) {
            return Vec::new();
        }
        self.members.insert(
            id,
            Member {
                address,
                nick: None,
            },
        );
        self.publish(Author::Member(id), EntryKind::Joined)
    }

    fn leave(&mut self, id: MemberId, reason: Option<String>) -> Vec<Effect> {
        let Some(member) = self.members.remove(&id) else {
            return Vec::new();
        };
        if let Some(nick) = &member.nick {
            self.nicks.remove(&nick.folded());
        }
        let entry = self.entry(member.name().to_owned(), EntryKind::Left { reason });
        vec![Effect::Publish {
            entry,
            except: None,
        }]
    }

    fn rename(&mut self, id: MemberId, nick: Nick) -> Vec<Effect> {
        let tell = |notice| Effect::Tell { member: id, notice };
        let Some(member) = self.members.get_mut(&id) else {
            return Vec::new();
        };
        let folded = nick.folded();
        if self.nicks.get(&folded).is_some_and(|owner| *owner != id) {
            return vec![tell(Notice::NickTaken(nick))];
        }
        if member.nick.as_ref() == Some(&nick) {
            return vec![tell(Notice::NickIs(nick))];
        }
        let before = member.name().to_owned();
        if let Some(old) = member.nick.replace(nick.clone()) {
            self.nicks.remove(&old.folded());
        }
        self.nicks.insert(folded, id);
        let entry = self.entry(before, EntryKind::Renamed { nick: nick.clone() });
        vec![
            Effect::Publish {
                entry,
                except: Some(id),
            },
            tell(Notice::NickIs(nick)),
        ]
    }

    fn who(&self, member: MemberId) -> Vec<Effect> {
        if !self.members.contains_key(&member) {
            return Vec::new();
        }
        let first = self
            .members
            .values()
            .take(WHO_NAMES_MAX)
            .map(|member| member.name().to_owned())
            .collect();
        let count = self.members.len();
        vec![Effect::Tell {
            member,
            notice: Notice::Present { count, first },
        }]
    }

    fn publish(&mut self, by: Author, kind: EntryKind) -> Vec<Effect> {
        let (author, except) = match by {
            Author::Guest(name) => (name, None),
            Author::Member(id) => match self.name_of(id) {
                Some(name) => (name.to_owned(), Some(id)),
                None => return Vec::new(),
            },
        };
        let entry = self.entry(author, kind);
        vec![Effect::Publish { entry, except }]
    }

    fn entry(&mut self, author: String, kind: EntryKind) -> Entry {
        self.last_seq += 1;
        Entry {
            seq: self.last_seq,
            author,
            kind,
        }
    }
}
