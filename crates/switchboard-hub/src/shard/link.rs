//! What the two sides of shards say to each other.
//!
//! A room's **owner** is one shard; its members are connected to any, their **homes**. A home
//! sends [`Command`]s to owners and owners send [`News`] to homes, and it makes no difference
//! whether both are the same shard: what a shard has for itself waits in its own queue, what it has
//! for another is gathered and handed over once a turn. What one shard sends to another arrives in
//! the order in which it was sent.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use switchboard_wire::{MessageId, RoomName};

use crate::door::{line, parcel};
use crate::limits::SHARD_JOB_BYTES;
use crate::names::Lent;
use crate::room::{Entry, EntryKind, Event, MemberId, Notice, ShardId};

/// Which of how many shards one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number.
    pub here: ShardId,
    /// How many there are; at least one.
    pub shards: u16,
}

impl Place {
    /// The only shard of a hub.
    pub const ALONE: Self = Self {
        here: ShardId(0),
        shards: 1,
    };

    /// The shard that owns a room: the same for all shards and for as long as the hub runs.
    #[must_use]
    pub fn owner_of(self, room: &RoomName) -> ShardId {
        if self.shards <= 1 {
            return ShardId(0);
        }
        let hash = fnv1a(room.as_str().as_bytes());
        ShardId(u16::try_from(hash % u64::from(self.shards)).unwrap_or(0))
    }

    /// All shards.
    pub fn all(self) -> impl ExactSizeIterator<Item = ShardId> {
        (0..self.shards.max(1)).map(ShardId)
    }
}

/// # References
/// <http://www.isthe.com/chongo/tech/comp/fnv/>, FNV-1a with 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Something that whoever sent it wants to hear about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// Who.
    pub(crate) connection: MemberId,
    /// The number that its author gave it.
    pub(crate) id: Option<MessageId>,
}

/// What a home wants of a room's owner.
#[derive(Debug)]
pub(crate) enum Command {
    /// A connection wants to be a member: [`News::Entered`] or [`News::NotEntered`].
    Enter {
        room: RoomName,
        member: MemberId,
        name: Arc<str>,
        is_greeted: bool,
        /// It counts the numbers of the entries, and gets them when they are on disk.
        counts: bool,
    },
    /// A member does something in its room, or leaves it.
    Do {
        room: RoomName,
        event: Event,
        /// The name that the room shows until then and not any more.
        lent: Option<Arc<Lent>>,
    },
    /// A connection that need not be a member brings something into a room, which stays until it
    /// lets go of it: [`News::Acked`] if there is a ticket, [`News::NotTaken`] in any case.
    Bring {
        room: RoomName,
        guest: MemberId,
        event: Event,
        ticket: Option<Ticket>,
    },
    /// A connection brings nothing more into a room: [`News::LetGo`], behind all that there is to
    /// say about what it brought.
    LetGo { room: RoomName, guest: MemberId },
    /// A member has asked something and waits for the answer: [`News::CaughtUp`], behind it.
    CatchUp { room: RoomName, member: MemberId },
    /// A member wants to hear when all that has happened in a room is on disk, or that this may
    /// take long: [`News::Settled`].
    Settle { room: RoomName, member: MemberId },
    /// Somebody wants to know which rooms there are: [`News::Rooms`], of every shard.
    List { asker: MemberId },
}

impl Command {
    /// Which room it is about, if it is about one.
    pub(crate) const fn room(&self) -> Option<&RoomName> {
        match self {
            Self::Enter { room, .. }
            | Self::Do { room, .. }
            | Self::Bring { room, .. }
            | Self::LetGo { room, .. }
            | Self::CatchUp { room, .. }
            | Self::Settle { room, .. } => Some(room),
            Self::List { .. } => None,
        }
    }
}

/// What an owner, or another home, has for a home.
#[derive(Debug)]
pub(crate) enum News {
    /// Something happened in a room. A room's entries come in the order of their numbers.
    Entry {
        entry: Arc<Published>,
        except: Option<MemberId>,
    },
    /// A room's answer to one member.
    Tell { member: MemberId, notice: Notice },
    /// A connection is a member, and gets all entries from the one behind `last_seq` on.
    Entered {
        member: MemberId,
        room: RoomName,
        epoch: u64,
        last_seq: u64,
        /// The number of the last entry that is on disk; the last of all where there is no log.
        durable: u64,
        /// The entries behind this one are told as [`News::Kept`].
        kept_after: u64,
        /// It was one already.
        was_there: bool,
    },
    /// A connection cannot be a member.
    NotEntered { member: MemberId, why: String },
    /// What was brought has this number.
    Acked {
        ticket: Ticket,
        room: RoomName,
        epoch: u64,
        seq: u64,
        durable: bool,
    },
    /// More of a room is on disk: these entries of it, in the order of their numbers.
    Kept {
        room: RoomName,
        entries: Arc<[Arc<Published>]>,
    },
    /// Nothing more of what happens in the sender's rooms will be on disk.
    NotKept { owner: ShardId, why: String },
    /// What was brought is not taken.
    NotTaken {
        guest: MemberId,
        ticket: Option<Ticket>,
        why: String,
    },
    /// Nothing more is to be said about what a connection brought into a room.
    LetGo { guest: MemberId },
    /// All that a member has asked is answered.
    CaughtUp { member: MemberId },
    /// The log has what has happened in a room, or does not get on.
    Settled { member: MemberId },
    /// The rooms of one shard: how many, and the first of them by name with their members.
    Rooms {
        asker: MemberId,
        count: usize,
        first: Vec<(RoomName, usize)>,
    },
    /// A member tells another alone: [`News::Heard`].
    Told {
        to: MemberId,
        teller: MemberId,
        from: Arc<str>,
        text: String,
    },
    /// Who told another is told how that went.
    Heard { teller: MemberId, how: Heard },
    /// Who has this address for a name? [`News::Found`], of every shard.
    Seek { teller: MemberId, address: Arc<str> },
    /// Who was found by an address.
    Found { teller: MemberId, found: Found },
    /// What a connection says is more than a shard can take: it is not to be read until that is
    /// calm.
    SlowDown { member: MemberId, by: ShardId },
    /// A shard that had too much to do can take more.
    Calm,
    /// A shard that is to end has no connections any more.
    Done(ShardId),
}

/// How a private message fared.
#[derive(Debug)]
pub(crate) enum Heard {
    /// It went to whoever has this name.
    By(Arc<str>),
    /// It would have gone to a program of this name.
    ByProgram(Arc<str>),
    /// There is nobody any more.
    ByNobody,
}

/// Whom an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Nobody,
    One(MemberId),
    /// Members by a Unix socket may share their name.
    Many,
}

impl Found {
    /// What two shards found together.
    pub(crate) const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nobody, found) | (found, Self::Nobody) => found,
            _ => Self::Many,
        }
    }
}

/// An entry of a room with its encodings, each made at most once, by whoever reads it first.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) room: RoomName,
    pub(crate) epoch: u64,
    pub(crate) entry: Entry,
    line: OnceLock<Option<Bytes>>,
    frames: OnceLock<Bytes>,
}

impl Published {
    pub(crate) const fn new(room: RoomName, epoch: u64, entry: Entry) -> Self {
        Self {
            room,
            epoch,
            entry,
            line: OnceLock::new(),
            frames: OnceLock::new(),
        }
    }

    /// As the line door shows it; `None` if there is nothing to see in it.
    pub(crate) fn line(&self) -> Option<&Bytes> {
        let make = || line::encode_entry(&self.entry);
        self.line.get_or_init(make).as_ref()
    }

    /// The same for the only one who reads it, written into `room`.
    pub(crate) fn line_in<'a>(&self, room: &'a mut Vec<u8>) -> &'a [u8] {
        room.clear();
        line::write_entry(room, &self.entry);
        room
    }

    /// As a follower receives it.
    pub(crate) fn frames(&self) -> &Bytes {
        let make = || parcel::encode_entry(&self.room, self.epoch, &self.entry);
        self.frames.get_or_init(make)
    }
}

/// Something for a shard, in one of its two roles.
#[derive(Debug)]
pub(crate) enum Job {
    Command(Command),
    News(News),
}

impl Job {
    /// About how much memory it takes.
    fn cost(&self) -> usize {
        let text = match self {
            Self::Command(Command::Do { event, .. } | Command::Bring { event, .. }) => {
                match event {
                    Event::Say { text, .. } => text.len(),
                    _ => 0,
                }
            }
            Self::News(News::Entry { entry, .. }) => match &entry.entry.kind {
                EntryKind::Text(text) => text.len(),
                _ => 0,
            },
            Self::News(News::Told { text, .. }) => text.len(),
            Self::News(News::Rooms { first, .. }) => first.len() * SHARD_JOB_BYTES,
            _ => 0,
        };
        SHARD_JOB_BYTES + text
    }
}

/// What one shard has for another at the end of a turn.
#[derive(Debug)]
pub struct Batch {
    jobs: Vec<Job>,
    pub(super) bytes: usize,
}

/// What a shard has to say to itself and to others.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) place: Place,
    here: VecDeque<Job>,
    /// By shard.
    away: Vec<Vec<Job>>,
}

impl Post {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            here: VecDeque::new(),
            away: place.all().map(|_shard| Vec::new()).collect(),
        }
    }

    /// To the owner of the command's room.
    pub(crate) fn command(&mut self, command: Command) {
        let owner = command.room().map(|room| self.place.owner_of(room));
        self.put(owner.unwrap_or(self.place.here), Job::Command(command));
    }

    /// True if a command is for this shard, and there is nothing to be done before it.
    pub(crate) fn is_first(&self, command: &Command) -> bool {
        let owner = command.room().map(|room| self.place.owner_of(room));
        self.here.is_empty() && owner == Some(self.place.here)
    }

    /// True if there is no other shard, and nothing to be done here.
    pub(crate) fn is_alone(&self) -> bool {
        self.place.shards <= 1 && self.here.is_empty()
    }

    /// To the owner side of one shard.
    pub(crate) fn command_to(&mut self, shard: ShardId, command: Command) {
        self.put(shard, Job::Command(command));
    }

    /// To the home side of one shard.
    pub(crate) fn news(&mut self, shard: ShardId, news: News) {
        self.put(shard, Job::News(news));
    }

    fn put(&mut self, shard: ShardId, job: Job) {
        if shard == self.place.here {
            self.here.push_back(job);
        } else if let Some(away) = self.away.get_mut(usize::from(shard.0)) {
            away.push(job);
        }
    }

    /// What another shard has sent, behind what is waiting.
    pub(crate) fn arrived(&mut self, batch: Batch) {
        self.here.extend(batch.jobs);
    }

    /// What this shard has to do next.
    pub(crate) fn next(&mut self) -> Option<Job> {
        self.here.pop_front()
    }

    /// What others have to do: at most one batch for each.
    pub(crate) fn outgoing(&mut self) -> impl Iterator<Item = (ShardId, Batch)> + '_ {
        let shards = self.place.all().zip(&mut self.away);
        let filled = shards.filter(|(_, jobs)| !jobs.is_empty());
        filled.map(|(shard, jobs)| {
            let jobs = core::mem::take(jobs);
            let bytes = jobs.iter().map(Job::cost).sum();
            (shard, Batch { jobs, bytes })
        })
    }
}
