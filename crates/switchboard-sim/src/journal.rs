//! A log that keeps its entries on a disk that is made up.
//!
//! It promises what the trait says, and behaves as the real one: one writer, one sync for all that
//! waits, reads beside it. The disk can be slow, full or locked for a while, fail a sync, and lose
//! at a crash what was not synced.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use switchboard_hub::log::{
    Asker, Backlog, Journal, LogEntry, LogError, LogKind, LogReply, LogRequest, Page, PageFrom,
    RecentIds, RoomState, Search, Watermark,
};

use crate::plan::{DiskPlan, Mutant};
use crate::random::Random;
use crate::time::{Micros, SECOND};

/// One life of a room.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub(crate) epoch: u64,
    pub(crate) entries: Vec<LogEntry>,
    /// The last entry that was removed.
    pub(crate) gone: u64,
    topic: String,
    kept: bool,
}

impl Life {
    pub(crate) fn last_seq(&self) -> u64 {
        self.entries.last().map_or(self.gone, |entry| entry.seq)
    }

    /// Removes so many of the oldest entries.
    fn remove(&mut self, count: usize) -> impl Iterator<Item = LogEntry> + '_ {
        let last = count.checked_sub(1).and_then(|last| self.entries.get(last));
        self.gone = last.map_or(self.gone, |entry| entry.seq);
        self.entries.drain(..count)
    }
}

/// What is on the disk, by room: its lives, the present one last.
pub(crate) type Disk = BTreeMap<Arc<str>, Vec<Life>>;

/// A reply, and when the asker gets it.
#[derive(Debug)]
pub(crate) struct Replied {
    pub(crate) at: Micros,
    pub(crate) asker: Asker,
    pub(crate) reply: LogReply,
}

/// See the module's documentation. Shards and the world share it.
#[derive(Debug)]
pub(crate) struct SimJournal(Mutex<State>);

#[derive(Debug)]
struct State {
    plan: DiskPlan,
    mutant: Option<Mutant>,
    random: Random,
    /// What a crash leaves.
    disk: Disk,
    /// What the writer has taken, on the disk or not.
    memory: Disk,
    waiting: Vec<(Asker, LogRequest)>,
    reads: Vec<(Asker, LogRequest)>,
    /// What is being synced, and for whom.
    batch: BTreeMap<(Asker, Arc<str>, u64), u64>,
    questions: Vec<(Asker, LogRequest)>,
    backlog: Backlog,
    batch_backlog: Backlog,
    askers: Vec<Asker>,
    writer: Writer,
    is_healed: bool,
    replies: Vec<Replied>,
    /// What was on the disk and was removed.
    removed: Vec<LogEntry>,
    failure: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    Idle,
    Syncing(Micros),
    /// Nothing can be written until then.
    Stalled(Micros),
    Stopped,
}

impl SimJournal {
    pub(crate) fn open(
        disk: Disk,
        plan: &DiskPlan,
        mutant: Option<Mutant>,
        random: Random,
    ) -> Self {
        Self(Mutex::new(State {
            plan: plan.clone(),
            mutant,
            random,
            memory: disk.clone(),
            disk,
            waiting: Vec::new(),
            reads: Vec::new(),
            batch: BTreeMap::new(),
            questions: Vec::new(),
            backlog: Backlog::default(),
            batch_backlog: Backlog::default(),
            askers: Vec::new(),
            writer: Writer::Idle,
            is_healed: false,
            replies: Vec::new(),
            removed: Vec::new(),
            failure: None,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is due, and answers when there is more to do.
    pub(crate) fn step(&self, now: Micros) -> Option<Micros> {
        self.state().step(now)
    }

    pub(crate) fn take_replies(&self) -> Vec<Replied> {
        std::mem::take(&mut self.state().replies)
    }

    /// From now on the disk is good, unless it has lost something already.
    pub(crate) fn heal(&self, now: Micros) {
        let mut state = self.state();
        state.is_healed = true;
        if let Writer::Stalled(until) | Writer::Syncing(until) = &mut state.writer {
            *until = (*until).min(now + SECOND);
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state().writer == Writer::Stopped
    }

    /// What was removed since the last time.
    pub(crate) fn take_removed(&self) -> Vec<LogEntry> {
        std::mem::take(&mut self.state().removed)
    }

    /// What a crash would leave now.
    pub(crate) fn disk(&self) -> Disk {
        self.state().disk.clone()
    }

    /// What was asked for that cannot be asked for.
    pub(crate) fn failure(&self) -> Option<String> {
        self.state().failure.take()
    }

    /// More than its bounds, and what was read before anybody could know, must never wait.
    pub(crate) fn backlog_entries(&self) -> usize {
        self.state().backlog.entries
    }

    /// The process is gone: what was being written is on the disk, or not.
    pub(crate) fn crash(&self) -> Disk {
        let mut state = self.state();
        let is_syncing = matches!(state.writer, Writer::Syncing(_));
        if is_syncing && state.random.chance(500) {
            state.persist();
        }
        std::mem::take(&mut state.disk)
    }

    /// It is closed in good order: everything is written, if anything can be.
    pub(crate) fn close(&self) -> Disk {
        let mut state = self.state();
        if state.writer != Writer::Stopped {
            for (asker, request) in std::mem::take(&mut state.waiting) {
                state.take(asker, request);
            }
            state.persist();
        }
        std::mem::take(&mut state.disk)
    }
}

impl Journal for SimJournal {
    fn request(&self, asker: Asker, request: LogRequest) {
        let mut state = self.state();
        match request {
            LogRequest::Page { .. } | LogRequest::Search { .. } => {
                state.reads.push((asker, request));
            }
            _ => {
                if let LogRequest::Append(entries) = &request {
                    state.backlog.entries += entries.len();
                    state.backlog.bytes += entries.iter().map(LogEntry::cost).sum::<usize>();
                }
                state.waiting.push((asker, request));
            }
        }
    }

    fn backlog(&self) -> Backlog {
        let state = self.state();
        // Each entry weighs as many, or no world would ever be large enough to fill it.
        Backlog {
            bytes: state.backlog.bytes * state.plan.weight,
            entries: state.backlog.entries * state.plan.weight,
        }
    }
}

impl State {
    fn step(&mut self, now: Micros) -> Option<Micros> {
        self.read(now);
        match self.writer {
            Writer::Syncing(until) | Writer::Stalled(until) if until > now => {
                if matches!(self.writer, Writer::Stalled(_)) {
                    self.gather();
                    self.answer(now);
                }
                return Some(until);
            }
            Writer::Syncing(_) => self.commit(now),
            Writer::Stalled(_) => {
                self.writer = Writer::Idle;
                self.commit(now);
                self.tell_all(now, || LogReply::Resumed);
            }
            Writer::Idle | Writer::Stopped => {}
        }
        if self.waiting.is_empty() && self.batch.is_empty() {
            return None;
        }
        self.gather();
        if self.writer == Writer::Stopped || self.batch.is_empty() {
            self.answer(now);
            return None;
        }
        Some(self.begin_sync(now))
    }

    /// How the next sync will go.
    fn begin_sync(&mut self, now: Micros) -> Micros {
        let plan = self.plan.clone();
        let mut until = now + self.random.spread(plan.sync);
        self.writer = Writer::Syncing(until);
        if self.mutant == Some(Mutant::EarlyDurable) {
            self.tell_durable(now);
        }
        if self.is_healed {
            return until;
        }
        if self.random.chance(plan.fails) {
            self.writer = Writer::Stopped;
            self.batch.clear();
            self.forget_batch();
            self.tell_all(now, || LogReply::Stopped {
                error: Arc::new(LogError::Stopped {
                    reason: "disk I/O error".into(),
                }),
            });
            self.answer(now);
            return now;
        }
        if self.random.chance(plan.full) {
            until = now + self.random.spread(5 * SECOND);
            self.writer = Writer::Stalled(until);
            self.tell_all(now, || LogReply::Stalled {
                error: Arc::new(LogError::DiskFull {
                    path: PathBuf::from("log.sqlite"),
                    reason: "database or disk is full".into(),
                }),
            });
            self.answer(now);
        } else if self.random.chance(plan.slow) {
            until = now + self.random.spread(2 * SECOND);
            self.writer = Writer::Syncing(until);
        }
        until
    }

    fn gather(&mut self) {
        for (asker, request) in std::mem::take(&mut self.waiting) {
            self.take(asker, request);
        }
    }

    fn take(&mut self, asker: Asker, request: LogRequest) {
        match request {
            LogRequest::Append(entries) => {
                if !self.askers.contains(&asker) {
                    self.askers.push(asker);
                }
                for entry in entries {
                    self.append(asker, entry);
                }
            }
            LogRequest::SetRoom {
                room,
                epoch,
                topic,
                kept,
            } => {
                let life = self.life(&room, epoch);
                (life.topic, life.kept) = (topic, kept);
            }
            LogRequest::Retain { now_ms } => self.retain(now_ms),
            question => self.questions.push((asker, question)),
        }
    }

    /// The present life of a room, which is a new one if the epoch is.
    fn life(&mut self, room: &Arc<str>, epoch: u64) -> &mut Life {
        let lives = self.memory.entry(Arc::clone(room)).or_default();
        if lives.last().is_none_or(|life| life.epoch != epoch) {
            let before = lives.last();
            let life = Life {
                epoch,
                entries: Vec::new(),
                gone: 0,
                topic: before.map_or(String::new(), |life| life.topic.clone()),
                kept: before.is_some_and(|life| life.kept),
            };
            lives.push(life);
        }
        let last = lives.len() - 1;
        &mut lives[last]
    }

    fn append(&mut self, asker: Asker, entry: LogEntry) {
        let cost = entry.cost();
        self.batch_backlog.entries += 1;
        self.batch_backlog.bytes += cost;
        if self.writer == Writer::Stopped {
            return self.forget_batch();
        }
        let place = (asker, Arc::clone(&entry.room), entry.epoch);
        let seq = entry.seq;
        let is_known = self.memory.get(&entry.room).is_some_and(|lives| {
            let (_, earlier) = lives.split_last().unzip();
            let earlier: &[Life] = earlier.unwrap_or_default();
            earlier.iter().any(|life| life.epoch == entry.epoch)
        });
        if is_known {
            self.failure = Some(format!("a room went back to an old epoch: {entry:?}"));
        }
        let is_lost = self.mutant == Some(Mutant::LostEntry)
            && self.random.chance(Mutant::LostEntry.per_mille());
        let life = self.life(&entry.room, entry.epoch);
        let want = life.last_seq() + 1;
        if seq != want && self.mutant.is_none() {
            self.failure = Some(format!("{want} is next, and there came {entry:?}"));
        }
        if !is_lost {
            self.life(&place.1.clone(), entry.epoch).entries.push(entry);
        }
        self.batch.insert(place, seq);
    }

    /// What was taken is not waiting any more.
    fn forget_batch(&mut self) {
        let batch = std::mem::take(&mut self.batch_backlog);
        self.backlog.entries -= batch.entries;
        self.backlog.bytes -= batch.bytes;
    }

    fn persist(&mut self) {
        self.disk = self.memory.clone();
    }

    fn commit(&mut self, now: Micros) {
        self.persist();
        self.forget_batch();
        if self.mutant != Some(Mutant::EarlyDurable) {
            self.tell_durable(now);
        }
        self.batch.clear();
        self.writer = Writer::Idle;
        self.trim();
        self.answer(now);
    }

    /// Removes what is too much.
    fn trim(&mut self) {
        let Some(keep) = self.plan.keep else {
            return;
        };
        let before = self.removed.len();
        for life in self.memory.values_mut().flatten() {
            let excess = life.entries.len().saturating_sub(keep);
            // As the real one, not one for each new one.
            if excess > keep / 16 {
                self.removed.extend(life.remove(excess));
            }
        }
        if self.removed.len() > before {
            self.persist();
        }
    }

    /// Removes what is too old, from what is on the disk.
    fn retain(&mut self, now_ms: i64) {
        let Some(keep) = self.plan.keep_ms else {
            return;
        };
        for (room, lives) in &self.disk {
            for life in lives {
                let is_old = |entry: &&LogEntry| entry.time_ms < now_ms - keep;
                let last = life.entries.iter().take_while(is_old).last();
                let written = self.memory.get_mut(room).into_iter().flatten();
                for written in written.filter(|it| it.epoch == life.epoch) {
                    let is_old = |entry: &&LogEntry| last.is_some_and(|it| entry.seq <= it.seq);
                    let count = written.entries.iter().take_while(is_old).count();
                    self.removed.extend(written.remove(count));
                }
            }
        }
    }

    fn tell_durable(&mut self, now: Micros) {
        let mut told: BTreeMap<Asker, Vec<Watermark>> = BTreeMap::new();
        for ((asker, room, epoch), seq) in &self.batch {
            let (room, epoch, seq) = (Arc::clone(room), *epoch, *seq);
            let mark = Watermark { room, epoch, seq };
            told.entry(*asker).or_default().push(mark);
        }
        for (asker, marks) in told {
            self.reply(now, asker, LogReply::Durable(marks));
        }
    }

    fn tell_all(&mut self, now: Micros, reply: impl Fn() -> LogReply) {
        for asker in self.askers.clone() {
            self.reply(now, asker, reply());
        }
    }

    /// Replies of one thread keep their order.
    fn reply(&mut self, at: Micros, asker: Asker, reply: LogReply) {
        self.replies.push(Replied { at, asker, reply });
    }

    fn answer(&mut self, now: Micros) {
        for (asker, question) in std::mem::take(&mut self.questions) {
            let reply = match question {
                LogRequest::Room { id, room } => LogReply::Room {
                    id,
                    room: self.room(&room),
                },
                LogRequest::Rooms { id } => LogReply::Rooms {
                    id,
                    rooms: self
                        .memory
                        .iter()
                        .filter_map(|(name, lives)| Some(state_of(name, lives.last()?)))
                        .collect(),
                },
                _ => continue,
            };
            self.reply(now, asker, reply);
        }
    }

    fn room(&self, name: &Arc<str>) -> Option<(RoomState, RecentIds)> {
        let life = self.memory.get(name)?.last()?;
        let mut ids = RecentIds::default();
        // What did not come to the disk is not to be found there when it is broken.
        let written = match self.writer {
            Writer::Stopped => self.disk.get(name),
            _ => self.memory.get(name),
        };
        let written = written.and_then(|lives| lives.last());
        let written = written.filter(|written| written.epoch == life.epoch);
        if self.mutant != Some(Mutant::LostIds) {
            for entry in written.into_iter().flat_map(|it| &it.entries) {
                if let Some(id) = &entry.client_id {
                    ids.add(id, entry.seq);
                }
            }
        }
        Some((state_of(name, life), ids))
    }

    fn read(&mut self, now: Micros) {
        let mut at = now;
        for (asker, request) in std::mem::take(&mut self.reads) {
            at += self.random.spread(self.plan.read);
            let reply = match request {
                LogRequest::Page {
                    id,
                    room,
                    epoch,
                    from,
                    limit,
                } => match self.page(&room, epoch, from, limit) {
                    Some(mut page) => {
                        if from == PageFrom::Newest {
                            self.spoil(&mut page.entries);
                        }
                        LogReply::Page { id, page }
                    }
                    None => LogReply::ReadFailed {
                        id,
                        error: LogError::NoRoom { room },
                    },
                },
                LogRequest::Search { id, search } => match self.search(&search) {
                    Ok(mut entries) => {
                        self.spoil(&mut entries);
                        LogReply::Found {
                            id,
                            entries,
                            is_whole: true,
                        }
                    }
                    Err(error) => LogReply::ReadFailed { id, error },
                },
                _ => continue,
            };
            self.reply(at, asker, reply);
        }
    }

    /// What a defective journal would do to what a member asks for.
    fn spoil(&self, entries: &mut Vec<LogEntry>) {
        let middle = entries.len() / 2;
        match self.mutant {
            Some(Mutant::LostFind) if middle > 0 => drop(entries.remove(middle)),
            Some(Mutant::StrayFind) => {
                let room = entries.first().map(|entry| Arc::clone(&entry.room));
                let others = self
                    .disk
                    .iter()
                    .filter(|(name, _)| Some(*name) != room.as_ref());
                let mut others = others
                    .flat_map(|(_, lives)| lives)
                    .flat_map(|it| &it.entries);
                if let (Some(entry), Some(other)) = (entries.get_mut(middle), others.next()) {
                    entry.clone_from(other);
                }
            }
            _ => {}
        }
    }

    /// What a member may look for: texts of one room, the newest first.
    fn search(&self, search: &Search) -> Result<Vec<LogEntry>, LogError> {
        let room = search.room.clone().unwrap_or_else(|| "".into());
        let Some(lives) = self.disk.get(&room) else {
            return Err(LogError::NoRoom { room });
        };
        let words: Vec<String> = search.words.iter().map(|it| it.to_lowercase()).collect();
        let is_found = |entry: &&LogEntry| {
            let text = entry.text.to_lowercase();
            entry.kind == LogKind::Text && words.iter().all(|word| text.contains(word))
        };
        let entries = lives.iter().flat_map(|life| &life.entries);
        let mut found: Vec<&LogEntry> = entries.filter(is_found).collect();
        found.sort_by_key(|entry| std::cmp::Reverse((entry.time_ms, entry.seq)));
        Ok(found.into_iter().take(search.limit).cloned().collect())
    }

    fn page(
        &mut self,
        room: &Arc<str>,
        epoch: Option<u64>,
        from: PageFrom,
        limit: usize,
    ) -> Option<Page> {
        // No page has to be as long as it may be, where there is another one.
        let shorter = limit.min(self.random.index(40) + 1);
        let limit = match from {
            PageFrom::Newest => limit,
            _ => shorter,
        };
        let lives = self.disk.get(room)?;
        let life = match epoch {
            Some(epoch) => lives.iter().find(|life| life.epoch == epoch)?,
            None => lives.last()?,
        };
        let all = &life.entries;
        let entries: Vec<LogEntry> = match from {
            PageFrom::After(seq) => {
                let behind = all.iter().filter(|entry| entry.seq > seq);
                behind.take(limit).cloned().collect()
            }
            PageFrom::Before(seq) => {
                let before: Vec<_> = all.iter().filter(|entry| entry.seq < seq).collect();
                let skipped = before.len().saturating_sub(limit);
                before.into_iter().skip(skipped).cloned().collect()
            }
            PageFrom::Newest => {
                let skipped = all.len().saturating_sub(limit);
                all.iter().skip(skipped).cloned().collect()
            }
        };
        let state = state_of(room, life);
        Some(Page {
            epoch: life.epoch,
            first_seq: state.first_seq,
            last_seq: state.last_seq,
            entries,
        })
    }
}

fn state_of(room: &Arc<str>, life: &Life) -> RoomState {
    RoomState {
        room: Arc::clone(room),
        epoch: life.epoch,
        first_seq: life.gone + 1,
        last_seq: life.last_seq(),
        bytes: life.entries.iter().map(|entry| entry.cost() as u64).sum(),
        topic: life.topic.clone(),
        kept: life.kept,
    }
}
