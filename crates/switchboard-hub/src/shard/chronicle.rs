//! What an owner has to do with the log: the rooms whose history it waits for, what is to be
//! appended, and who waits until something is on disk.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use switchboard_wire::{RoomName, Topic};
use tracing::error;

use super::link::{Command, News, Post, Published, Ticket};
use crate::limits::{APPEND_ENTRIES_MAX, CLIENT_IDS_MAX};
use crate::log::{
    Asker, Journal, LogEntry, LogError, LogKind, LogReply, LogRequest, RecentIds, RoomState,
    Watermark,
};
use crate::room::{EntryKind, History, MemberId};

/// A log that all shards of a hub share.
pub type SharedJournal = Arc<dyn Journal + Send + Sync>;

/// The numbers of an owner's requests have this bit, those of a home have it not.
pub(super) const OWNER_REQUEST: u64 = 1 << 63;

/// See the module's documentation.
pub(super) struct Chronicle {
    journal: SharedJournal,
    asker: Asker,
    /// What happened and was not handed to the log yet.
    append: Vec<LogEntry>,
    /// Somebody waits until that, or what was handed over before, is on disk.
    is_waited_for: bool,
    /// Rooms whose history is asked for, and what is to be done in them then.
    loading: BTreeMap<RoomName, VecDeque<Command>>,
    asked: HashMap<u64, RoomName>,
    last_request: u64,
    /// By room, for as long as it is there or something of it is not on disk.
    records: HashMap<Arc<str>, Record>,
    /// The ids of all of them.
    ids: usize,
    health: Health,
}

/// What is known of a room's entries.
#[derive(Debug)]
struct Record {
    room: RoomName,
    epoch: u64,
    last: u64,
    durable: u64,
    /// Members that count numbers.
    followers: BTreeSet<MemberId>,
    /// What is not on disk, in order, while there are such members.
    entries: VecDeque<Arc<Published>>,
    /// Who waits until an entry is on disk, nearly in the order of numbers.
    waiters: VecDeque<(u64, Waiter)>,
    ids: RecentIds,
    /// The last entry of each connection that speaks here and is no member.
    brought: HashMap<MemberId, u64>,
    /// The room is there.
    is_open: bool,
}

#[derive(Debug)]
enum Waiter {
    Ack { ticket: Ticket, seq: u64 },
    LetGo { guest: MemberId },
    Settle { member: MemberId },
}

/// Whether the log takes anything.
#[derive(Debug, Clone)]
enum Health {
    Running,
    Stalled(Arc<LogError>),
    Stopped(Arc<LogError>),
}

/// What became of a room that was asked for.
pub(super) struct Loaded {
    pub(super) room: RoomName,
    pub(super) found: Result<Option<(RoomState, RecentIds)>, LogError>,
    pub(super) waiting: VecDeque<Command>,
}

impl Chronicle {
    pub(super) fn new(journal: SharedJournal, asker: Asker) -> Self {
        Self {
            journal,
            asker,
            append: Vec::new(),
            is_waited_for: false,
            loading: BTreeMap::new(),
            asked: HashMap::new(),
            last_request: OWNER_REQUEST,
            records: HashMap::new(),
            ids: 0,
            health: Health::Running,
        }
    }

    fn request(&self, request: LogRequest) {
        self.journal.request(self.asker, request);
    }

    /// Hands the log what has happened.
    pub(super) fn flush(&mut self) {
        if !self.append.is_empty() {
            let next = Vec::with_capacity(self.append.len());
            let entries = core::mem::replace(&mut self.append, next);
            self.request(LogRequest::Append(entries));
        }
        if core::mem::take(&mut self.is_waited_for) {
            self.journal.hurry();
        }
    }

    /// Asks for a room's history, and keeps the command until it is there.
    pub(super) fn load(&mut self, room: &RoomName, command: Option<Command>) {
        if let Some(waiting) = self.loading.get_mut(room) {
            waiting.extend(command);
            return;
        }
        self.loading
            .insert(room.clone(), command.into_iter().collect());
        self.last_request += 1;
        let id = self.last_request;
        self.asked.insert(id, room.clone());
        // The answer knows of all that was appended before.
        self.flush();
        let room = Arc::from(room);
        self.request(LogRequest::Room { id, room });
    }

    pub(super) fn is_loading(&self, room: &RoomName) -> bool {
        !self.loading.is_empty() && self.loading.contains_key(room)
    }

    /// The log has answered what was asked about a room.
    pub(super) fn loaded(
        &mut self,
        id: u64,
        found: Result<Option<(RoomState, RecentIds)>, LogError>,
    ) -> Option<Loaded> {
        let room = self.asked.remove(&id)?;
        let waiting = self.loading.remove(&room)?;
        Some(Loaded {
            room,
            found,
            waiting,
        })
    }

    /// A room is there, with this history.
    pub(super) fn open(&mut self, room: &RoomName, history: &History, ids: RecentIds) {
        let new = || Record {
            room: room.clone(),
            epoch: history.epoch,
            last: history.last_seq,
            durable: history.last_seq,
            followers: BTreeSet::new(),
            entries: VecDeque::new(),
            waiters: VecDeque::new(),
            ids: RecentIds::default(),
            brought: HashMap::new(),
            is_open: true,
        };
        let record = self.records.entry(Arc::from(room)).or_insert_with(new);
        self.ids += ids.len();
        record.ids = ids;
        record.is_open = true;
        self.bound_ids();
    }

    /// Forgets the ids of the rooms that have the most of them, where there are too many.
    fn bound_ids(&mut self) {
        while self.ids > CLIENT_IDS_MAX {
            let place = |record: &&mut Record| (record.ids.len(), record.room.clone());
            let Some(most) = self.records.values_mut().max_by_key(place) else {
                return;
            };
            self.ids -= core::mem::take(&mut most.ids).len();
        }
    }

    /// A room is forgotten here; the log knows it.
    pub(super) fn close(&mut self, room: &RoomName) {
        if let Some(record) = self.records.get_mut(room.as_str()) {
            record.is_open = false;
            record.brought.clear();
            self.ids -= core::mem::take(&mut record.ids).len();
            self.tidy(room.as_str());
        }
    }

    fn tidy(&mut self, room: &str) {
        let is_done = |record: &Record| {
            !record.is_open && record.durable >= record.last && record.waiters.is_empty()
        };
        if self.records.get(room).is_some_and(is_done) {
            self.records.remove(room);
        }
    }

    /// The number of the entry that has this id.
    pub(super) fn seq_of(&self, room: &RoomName, id: &str) -> Option<u64> {
        self.records.get(room.as_str())?.ids.seq_of(id)
    }

    /// A member comes, who counts numbers if it is named. Answers the number of the last entry that
    /// is on disk, and behind which one entries are kept back until they are.
    pub(super) fn enter(&mut self, room: &RoomName, follower: Option<MemberId>) -> (u64, u64) {
        let Some(record) = self.records.get_mut(room.as_str()) else {
            return (0, 0);
        };
        record.followers.extend(follower);
        let first = record.entries.front().map(|entry| entry.entry.seq);
        let kept_after = first.map_or(record.last, |seq| seq.saturating_sub(1));
        (record.durable, kept_after)
    }

    /// A member has gone.
    pub(super) fn leave(&mut self, room: &RoomName, member: MemberId) {
        if let Some(record) = self.records.get_mut(room.as_str())
            && record.followers.remove(&member)
            && record.followers.is_empty()
        {
            // Whoever comes next reads them in the log.
            record.entries.clear();
        }
    }

    /// Notes an entry, to be appended.
    pub(super) fn add(&mut self, published: &Arc<Published>, is_kept: bool) {
        if matches!(self.health, Health::Stopped(_)) {
            return;
        }
        let room: Arc<str> = Arc::from(&published.room);
        let entry = logged(Arc::clone(&room), published);
        if let Some(record) = self.records.get_mut(&room) {
            if let Some(id) = &entry.client_id {
                self.ids -= record.ids.len();
                record.ids.add(id, entry.seq);
                self.ids += record.ids.len();
            }
            if !record.followers.is_empty() {
                record.entries.push_back(Arc::clone(published));
                self.is_waited_for = true;
            }
        }
        if self.ids > CLIENT_IDS_MAX {
            self.bound_ids();
        }
        if entry.kind != LogKind::Topic {
            return self.add_logged(entry);
        }
        let (epoch, topic) = (entry.epoch, entry.text.clone());
        self.add_logged(entry);
        self.flush();
        self.request(LogRequest::SetRoom {
            room,
            epoch,
            topic,
            kept: is_kept,
        });
    }

    /// Whether an entry of a room only has to be [appended](Self::add_logged).
    pub(super) fn is_at_ease(&self, room: &RoomName) -> bool {
        let record = self.records.get(room.as_str());
        matches!(self.health, Health::Running)
            && self.loading.is_empty()
            && record.is_some_and(|record| record.followers.is_empty())
    }

    /// Appends an entry, of which nothing is to be noted but its number.
    pub(super) fn add_logged(&mut self, entry: LogEntry) {
        if let Some(record) = self.records.get_mut(&entry.room) {
            record.last = entry.seq;
        }
        self.append.push(entry);
        if self.append.len() >= APPEND_ENTRIES_MAX {
            // So that the backlog tells of it while much comes in one turn.
            self.flush();
        }
    }

    /// Tells somebody when an entry is on disk.
    pub(super) fn acknowledge(
        &mut self,
        room: &RoomName,
        seq: u64,
        ticket: Ticket,
        post: &mut Post,
    ) {
        let waiter = Waiter::Ack { ticket, seq };
        self.wait(room, seq, waiter, post);
    }

    /// Notes what a connection has brought that is no member.
    pub(super) fn brought(&mut self, room: &RoomName, guest: MemberId, seq: u64) {
        if let Some(record) = self.records.get_mut(room.as_str()) {
            record.brought.insert(guest, seq);
        }
    }

    /// Tells a connection when all that it has brought is on disk.
    pub(super) fn let_go(&mut self, room: &RoomName, guest: MemberId, post: &mut Post) {
        let record = self.records.get_mut(room.as_str());
        let last = record.and_then(|record| record.brought.remove(&guest));
        self.wait(room, last.unwrap_or(0), Waiter::LetGo { guest }, post);
    }

    /// Tells a member when all of a room is on disk; at once if the log does not get on.
    pub(super) fn settle(&mut self, room: &RoomName, member: MemberId, post: &mut Post) {
        let waiter = Waiter::Settle { member };
        match (&self.health, self.records.get(room.as_str())) {
            (Health::Running, Some(record)) => {
                let last = record.last;
                self.wait(room, last, waiter, post);
            }
            _ => waiter.tell(room, 0, post),
        }
    }

    /// The log does not get on: who only wants to read need not wait for it.
    fn stalled(&mut self, why: Arc<LogError>, post: &mut Post) {
        self.health = Health::Stalled(why);
        for record in self.in_order() {
            for (seq, waiter) in core::mem::take(&mut record.waiters) {
                match waiter {
                    Waiter::Settle { .. } => waiter.tell(&record.room, record.epoch, post),
                    waiter => record.waiters.push_back((seq, waiter)),
                }
            }
        }
    }

    /// All records by room: who hears what first is not left to chance.
    fn in_order(&mut self) -> Vec<&mut Record> {
        let mut records: Vec<&mut Record> = self.records.values_mut().collect();
        records.sort_unstable_by(|one, other| one.room.cmp(&other.room));
        records
    }

    fn wait(&mut self, room: &RoomName, seq: u64, waiter: Waiter, post: &mut Post) {
        let Some(record) = self.records.get_mut(room.as_str()) else {
            return waiter.tell(room, 0, post);
        };
        if seq <= record.durable {
            waiter.tell(room, record.epoch, post);
        } else if let Health::Stopped(why) = &self.health {
            waiter.fail(&why.to_string(), post);
        } else {
            record.waiters.push_back((seq, waiter));
            self.is_waited_for = true;
        }
    }

    /// Why nothing new is taken, if it is not.
    pub(super) fn refusal(&self) -> Option<String> {
        match &self.health {
            Health::Running => None,
            Health::Stalled(why) | Health::Stopped(why) => {
                Some(format!("nothing can be kept just now: {why}"))
            }
        }
    }

    /// Why nobody may come, if nobody may: each one who comes and goes is something to be kept.
    pub(super) fn refusal_to_enter(&self) -> Option<String> {
        self.journal.backlog().is_full().then(|| self.refusal())?
    }

    /// The log has something to say that is not the answer to a question.
    pub(super) fn heard(&mut self, reply: LogReply, post: &mut Post) {
        match reply {
            LogReply::Durable(marks) => {
                for mark in marks {
                    self.moved(&mark, post);
                }
            }
            LogReply::Stalled { error } => self.stalled(error, post),
            LogReply::Resumed => self.health = Health::Running,
            LogReply::Stopped { error } => self.stopped(error, post),
            // Numbers that the log does not take would go on for ever.
            LogReply::Refused { error, .. } => self.stopped(Arc::new(error), post),
            LogReply::Found { .. }
            | LogReply::Page { .. }
            | LogReply::ReadFailed { .. }
            | LogReply::Room { .. }
            | LogReply::Rooms { .. } => {}
        }
    }

    /// More of a room is on disk.
    fn moved(&mut self, mark: &Watermark, post: &mut Post) {
        let Some(record) = self.records.get_mut(&mark.room) else {
            return;
        };
        if record.epoch != mark.epoch || mark.seq <= record.durable {
            return;
        }
        record.durable = mark.seq;
        let count = record
            .entries
            .partition_point(|entry| entry.entry.seq <= mark.seq);
        let entries: Arc<[Arc<Published>]> = record.entries.drain(..count).collect();
        let homes = post.place.all();
        for home in homes.filter(|_home| !record.followers.is_empty()) {
            let (room, entries) = (record.room.clone(), Arc::clone(&entries));
            post.news(home, News::Kept { room, entries });
        }
        while record
            .waiters
            .front()
            .is_some_and(|(seq, _)| *seq <= mark.seq)
        {
            if let Some((_, waiter)) = record.waiters.pop_front() {
                waiter.tell(&record.room, mark.epoch, post);
            }
        }
        self.tidy(&mark.room);
    }

    /// The log keeps nothing from now on.
    fn stopped(&mut self, why: Arc<LogError>, post: &mut Post) {
        if matches!(self.health, Health::Stopped(_)) {
            return;
        }
        error!("the rooms are not logged any more: {why}");
        self.append = Vec::new();
        let words = why.to_string();
        self.health = Health::Stopped(why);
        for record in self.in_order() {
            record.entries.clear();
            for (_, waiter) in record.waiters.drain(..) {
                waiter.fail(&words, post);
            }
        }
        self.records.retain(|_, record| record.is_open);
        for home in post.place.all() {
            let (owner, why) = (post.place.here, words.clone());
            post.news(home, News::NotKept { owner, why });
        }
    }
}

impl Waiter {
    fn tell(self, room: &RoomName, epoch: u64, post: &mut Post) {
        match self {
            Self::Ack { ticket, seq } => {
                let home = ticket.connection.home();
                let news = News::Acked {
                    ticket,
                    room: room.clone(),
                    epoch,
                    seq,
                    durable: true,
                };
                post.news(home, news);
            }
            Self::LetGo { guest } => post.news(guest.home(), News::LetGo { guest }),
            Self::Settle { member } => post.news(member.home(), News::Settled { member }),
        }
    }

    /// What it waits for will not be on disk.
    fn fail(self, why: &str, post: &mut Post) {
        let (guest, ticket) = match self {
            Self::Ack { ticket, .. } => (ticket.connection, Some(ticket)),
            Self::LetGo { guest } => (guest, None),
            Self::Settle { member } => {
                return post.news(member.home(), News::Settled { member });
            }
        };
        let is_last = ticket.is_none();
        let why = why.to_owned();
        post.news(guest.home(), News::NotTaken { guest, ticket, why });
        if is_last {
            post.news(guest.home(), News::LetGo { guest });
        }
    }
}

/// An entry as the log keeps it.
fn logged(room: Arc<str>, published: &Published) -> LogEntry {
    let Published { epoch, entry, .. } = published;
    let topic = |topic: &Topic| topic.as_str().to_owned();
    let (kind, text, bytes) = match &entry.kind {
        EntryKind::File { name, bytes } => (LogKind::File, name.as_str().to_owned(), Some(*bytes)),
        EntryKind::Joined => (LogKind::Joined, String::new(), None),
        EntryKind::Left { reason } => (LogKind::Left, reason.clone().unwrap_or_default(), None),
        EntryKind::Renamed { name } => (LogKind::Renamed, (**name).to_owned(), None),
        EntryKind::Text(text) => (LogKind::Text, text.clone(), None),
        EntryKind::Topic { topic: about } => {
            let text = about.as_ref().map(topic).unwrap_or_default();
            (LogKind::Topic, text, None)
        }
    };
    LogEntry {
        room,
        epoch: *epoch,
        seq: entry.seq,
        time_ms: i64::try_from(entry.time_ms).unwrap_or(i64::MAX),
        author: Arc::clone(&entry.author),
        kind,
        text,
        bytes,
        reply_to: entry.reply_to,
        client_id: entry.id.as_ref().map(|id| id.as_str().into()),
    }
}
