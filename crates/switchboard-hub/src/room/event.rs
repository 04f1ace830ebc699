//! What is told to a room, and what it wants done.

use std::sync::Arc;

use switchboard_wire::{FileName, MessageId, RoomName, Topic};

/// One of the hub's shards, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ShardId(pub u16);

/// A member, by a number that is never used again. Its upper 16 bits are the shard that the member
/// is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(pub u64);

impl MemberId {
    const NUMBER_BITS: u32 = 48;

    /// The `number`-th connection of a shard; a shard that takes a million a second has numbers for
    /// nine years.
    #[must_use]
    pub const fn new(home: ShardId, number: u64) -> Self {
        let home = (home.0 as u64) << Self::NUMBER_BITS;
        Self(home | (number & ((1 << Self::NUMBER_BITS) - 1)))
    }

    /// The shard that it is connected to.
    #[must_use]
    pub const fn home(self) -> ShardId {
        ShardId((self.0 >> Self::NUMBER_BITS) as u16)
    }
}

/// Who says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Author {
    /// A member of the room.
    Member(MemberId),
    /// Somebody who only drops something in, by the name to show.
    Guest(Arc<str>),
}

/// One thing that happened in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number: 1, 2, 3, … without gaps.
    pub seq: u64,
    /// When, in milliseconds since 1970-01-01 UTC, as the hub's clock said.
    pub time_ms: u64,
    /// Who did it, as the others see it.
    pub author: Arc<str>,
    /// The number of the entry that it answers, as its author says.
    pub reply_to: Option<u64>,
    /// The number that its author gave it.
    pub id: Option<MessageId>,
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
        name: Arc<str>,
    },
    /// Somebody said something.
    Text(String),
    /// The room is about something else from now on, or about nothing in particular.
    Topic {
        /// What.
        topic: Option<Topic>,
    },
}

/// What is told to a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A member comes.
    Join {
        /// Who.
        member: MemberId,
        /// The name to show until it takes another.
        name: Arc<str>,
        /// It wants to be told where it has come to.
        is_greeted: bool,
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
        /// The number of the entry that it answers.
        reply_to: Option<u64>,
        /// The number that its author gave it.
        id: Option<MessageId>,
    },
    /// A file of somebody's has been stored.
    File {
        /// Whose.
        by: Author,
        /// Under this name.
        name: FileName,
        /// Its size.
        bytes: u64,
        /// The number of the entry that it answers.
        reply_to: Option<u64>,
        /// The number that its author gave it.
        id: Option<MessageId>,
    },
    /// A member has taken a name. That nobody else has it is [`crate::names`]'s to see to.
    Rename {
        /// Who.
        member: MemberId,
        /// The name.
        name: Arc<str>,
    },
    /// A member gives the room a topic, or takes it away.
    SetTopic {
        /// Who.
        member: MemberId,
        /// What.
        topic: Option<Topic>,
    },
    /// A member asks for the topic.
    Topic {
        /// Who asks.
        member: MemberId,
    },
    /// A member asks who is here.
    Who {
        /// Who asks.
        member: MemberId,
    },
}

impl Event {
    /// [`Event::Say`] of a text that answers nothing and has no number of its author's.
    #[must_use]
    pub fn say(by: Author, text: impl Into<String>) -> Self {
        Self::Say {
            by,
            text: text.into(),
            reply_to: None,
            id: None,
        }
    }
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

impl Effect {
    /// An entry with what its author says about it.
    pub(super) fn about(mut self, reply_to: Option<u64>, id: Option<MessageId>) -> Self {
        if let Self::Publish { entry, .. } = &mut self {
            (entry.reply_to, entry.id) = (reply_to, id);
        }
        self
    }
}

/// What a room answers to one member alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The member is in this room now.
    Entered {
        /// Which.
        room: RoomName,
        /// How many are here.
        count: usize,
        /// What it is about.
        topic: Option<Topic>,
    },
    /// Who is here.
    Present {
        /// How many.
        count: usize,
        /// The first [`WHO_NAMES_MAX`](crate::limits::WHO_NAMES_MAX) of them, in the order of
        /// coming to the hub.
        first: Vec<String>,
    },
    /// What it said, or the topic that it gave, is not taken.
    NotTaken(String),
    /// What the room is about.
    TopicIs(Option<Topic>),
}
