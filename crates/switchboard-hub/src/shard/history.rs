//! The home's dealings with the log: followers that catch up, what members look for, and senders
//! that are slowed while the disk is behind.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use switchboard_wire::{Answer, RoomName, notice};
use tracing::warn;

use super::chronicle::OWNER_REQUEST;
use super::link::{Command, Published};
use super::own::Own;
use super::waits::{Awaited, Stop};
use super::{CATCH_UP_TIMER, ConnectionId, LOG_TIMER, Net, RETAIN_TIMER, Session, Shard};
use crate::door::line::{encode_again, encode_kept};
use crate::door::parcel::{encode_answer, encode_logged};
use crate::limits::{
    CATCH_UP_LOOK, HISTORY_ENTRIES, LIGHT_SENDER_BYTES_MAX, LOG_LOOK, LOG_PAGE_ENTRIES_MAX,
    RETAIN_EVERY, SEARCH_WORDS_MAX,
};
use crate::log::{Asker, LogEntry, LogError, LogReply, LogRequest, Page, PageFrom, Search};
use crate::room::{EntryKind, MemberId, ShardId};

/// What members are answered where nothing is kept.
const NO_LOG: &str = "this hub keeps no history: its log is off";

/// What was asked of the log, by the number of the request.
#[derive(Debug, Default)]
pub(super) struct Reads {
    last: u64,
    asked: HashMap<u64, Read>,
    /// Readers that are behind their rooms.
    catching_up: HashMap<ConnectionId, CatchingUp>,
    /// What readers of lines have said and may not have passed yet.
    own: HashMap<ConnectionId, Own>,
}

#[derive(Debug, Clone, Copy)]
enum Read {
    /// The next page of a reader that is behind.
    Page(ConnectionId),
    /// What a member is to be shown: so many entries, if there are.
    Shown(ConnectionId, usize),
}

/// What a member wants to be shown of its room.
#[derive(Debug)]
pub(super) enum Wanted {
    /// So many of the newest entries.
    History(usize),
    /// Entries that have all these words.
    Words(Vec<String>),
}

/// A reader that is behind its room.
#[derive(Debug)]
struct CatchingUp {
    room: RoomName,
    epoch: u64,
    /// The last entry that it was given.
    known: u64,
    step: Step,
}

/// What a reader that is behind waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The answer to this request.
    Asked(u64),
    /// That it has taken the last page.
    Takes,
    /// That more is on disk.
    Waits,
}

impl<N: Net> Shard<N> {
    /// What the hub does from time to time begins. One shard is enough.
    pub fn begin_upkeep(&self, net: &mut N) {
        if self.journal.is_some() {
            self.retain(net);
        }
    }

    /// Has the log forget what is too old.
    pub(super) fn retain(&self, net: &mut N) {
        let now_ms = i64::try_from((self.senses.unix_ms)()).unwrap_or(i64::MAX);
        self.ask_log(LogRequest::Retain { now_ms });
        net.set_timer(net.now() + RETAIN_EVERY, RETAIN_TIMER);
    }

    fn ask_log(&self, request: LogRequest) {
        if let Some(journal) = &self.journal {
            journal.request(Asker(self.post.place.here.0), request);
        }
    }

    fn ask(&mut self, read: Read, request: impl FnOnce(u64) -> LogRequest) -> u64 {
        self.reads.last += 1;
        let id = self.reads.last;
        self.reads.asked.insert(id, read);
        self.ask_log(request(id));
        id
    }

    /// The log has something to say.
    pub fn log_replied(&mut self, net: &mut N, reply: LogReply) {
        match reply {
            LogReply::Page { id, page } => match self.reads.asked.remove(&id) {
                Some(Read::Page(follower)) => self.catch_up(net, follower, id, &page),
                Some(Read::Shown(member, count)) => {
                    let oldest = page.entries.first().map_or(0, |entry| entry.seq);
                    let is_cut = page.entries.len() < count && oldest > page.first_seq;
                    let note = is_cut.then_some("there is more, but not at once: it is too long");
                    self.show(net, member, &page.entries, note);
                }
                None => {}
            },
            LogReply::Found {
                id,
                mut entries,
                is_whole,
            } => {
                entries.reverse();
                if let Some(Read::Shown(member, _)) = self.reads.asked.remove(&id) {
                    let late = "there may be more: the search took too long";
                    self.show(net, member, &entries, (!is_whole).then_some(late));
                }
            }
            LogReply::ReadFailed { id, error } if id & OWNER_REQUEST == 0 => {
                self.not_read(net, id, &error);
            }
            reply => self.owner.log_replied(reply, &mut self.post),
        }
        self.look_at_log(net);
        self.settle_down(net);
    }

    fn not_read(&mut self, net: &mut N, id: u64, error: &LogError) {
        match self.reads.asked.remove(&id) {
            // Nothing of a new room is on disk yet.
            Some(Read::Page(reader))
                if self.is_caught_up_by(reader, id) && matches!(error, LogError::NoRoom { .. }) =>
            {
                self.wait_or_go_on(net, reader);
            }
            Some(Read::Page(reader)) if self.is_caught_up_by(reader, id) => {
                self.reads.catching_up.remove(&reader);
                let why = format!("its room cannot be read: {error}");
                match self.parcel(reader) {
                    Some(_) => self.break_off(net, reader, &why),
                    None => self.put_out(net, reader, &why),
                }
            }
            // All that has ever happened there is too old, or was not logged.
            Some(Read::Shown(member, _)) if matches!(error, LogError::NoRoom { .. }) => {
                self.show(net, member, &[], None);
            }
            Some(Read::Shown(member, _)) if self.answered(net, member).is_some() => {
                self.answer(net, member, &format!("that cannot be read: {error}"));
            }
            _ => {}
        }
    }

    /// A reader is given what the log has behind the entry `known`, and then what its room says.
    pub(super) fn begin_to_catch_up(
        &mut self,
        id: ConnectionId,
        room: &RoomName,
        epoch: u64,
        known: u64,
    ) {
        let catching_up = CatchingUp {
            room: room.clone(),
            epoch,
            known,
            step: Step::Asked(0),
        };
        self.reads.catching_up.insert(id, catching_up);
        self.ask_for_page(id);
    }

    /// Whether it was to be given more.
    pub(super) fn catch_up_no_more(&mut self, id: ConnectionId) -> bool {
        let catching_up = &mut self.reads.catching_up;
        !catching_up.is_empty() && catching_up.remove(&id).is_some()
    }

    /// A reader of lines has made the entry itself. Who comes is not shown that anyway.
    pub(super) fn note_own(
        &mut self,
        net: &N,
        (id, token): (ConnectionId, N::Token),
        made: &Published,
        first: u64,
    ) {
        if matches!(made.entry.kind, EntryKind::Joined)
            || self.room_of(id) != Some(&made.room)
            || self.parcel(id).is_some()
        {
            return;
        }
        self.note_own_line(net, (id, token), made.entry.seq, first);
    }

    /// The same of a line that it has said, the entry `seq`.
    pub(super) fn note_own_line(
        &mut self,
        net: &N,
        (id, token): (ConnectionId, N::Token),
        seq: u64,
        first: u64,
    ) {
        if self.journal.is_none() {
            return;
        }
        let next = match self.reads.catching_up.get(&id) {
            Some(it) => it.known + 1,
            // Who has just fallen behind is not told so yet.
            None => net.feed_next(token).map_or(0, |next| first + next),
        };
        let own = self.reads.own.entry(id).or_default();
        own.add(seq, next);
    }

    /// A reader of lines is not where it was.
    pub(super) fn forget_own(&mut self, id: ConnectionId) {
        if !self.reads.own.is_empty() {
            self.reads.own.remove(&id);
        }
    }

    fn is_caught_up_by(&self, id: ConnectionId, request: u64) -> bool {
        let catching_up = self.reads.catching_up.get(&id);
        catching_up.is_some_and(|it| it.step == Step::Asked(request))
    }

    fn ask_for_page(&mut self, id: ConnectionId) {
        let Some(it) = self.reads.catching_up.get(&id) else {
            return;
        };
        let (room, epoch, from) = (Arc::from(&it.room), it.epoch, PageFrom::After(it.known));
        let request = self.ask(Read::Page(id), |id| LogRequest::Page {
            id,
            room,
            epoch: Some(epoch),
            from,
            limit: LOG_PAGE_ENTRIES_MAX,
        });
        if let Some(it) = self.reads.catching_up.get_mut(&id) {
            it.step = Step::Asked(request);
        }
    }

    /// A reader has got all that is on disk.
    fn wait_for_more(&mut self, net: &mut N, id: ConnectionId) {
        if let Some(it) = self.reads.catching_up.get_mut(&id) {
            it.step = Step::Waits;
            // Where nobody counts, nobody is told either.
            net.set_timer(net.now() + CATCH_UP_LOOK, CATCH_UP_TIMER);
        }
    }

    /// A reader has got all that is on disk. True if that is all there will be.
    fn wait_or_go_on(&mut self, net: &mut N, id: ConnectionId) -> bool {
        let is_all = self.goes_on_without(net, id);
        if !is_all {
            self.wait_for_more(net, id);
        }
        is_all
    }

    /// Where nothing more will be on disk, a reader has to do without what is missing between that
    /// and what its room says now.
    fn goes_on_without(&mut self, net: &mut N, id: ConnectionId) -> bool {
        let Some(it) = self.reads.catching_up.get(&id) else {
            return false;
        };
        let Some(why) = self.why_not_kept(&it.room).map(str::to_owned) else {
            return false;
        };
        let (room, next_seq) = (it.room.clone(), it.known + 1);
        self.reads.catching_up.remove(&id);
        if self.parcel(id).is_some() {
            // It has come while that happened, and counts.
            self.refuse_follow(net, id, &why);
            self.break_off(net, id, &why);
        } else if !self.can_read_on(net, id, &room, next_seq) {
            self.skip_to_the_present(net, id, &room, next_seq);
        }
        true
    }

    /// The next page of a reader that catches up is there.
    fn catch_up(&mut self, net: &mut N, id: ConnectionId, request: u64, page: &Page) {
        if !self.is_caught_up_by(id, request) {
            return;
        }
        let is_line = self.parcel(id).is_none();
        let heard = is_line.then(|| self.heard_of_room(net, id)).flatten();
        let Reads {
            catching_up, own, ..
        } = &mut self.reads;
        let Some(it) = catching_up.get_mut(&id) else {
            return;
        };
        let piece = match is_line {
            true => lines_of(it, own.get_mut(&id), page, heard),
            false => frames_of(it, page),
        };
        let is_empty = piece.is_empty();
        let (room, known, is_hole) = (it.room.clone(), it.known, it.known < page.last_seq);
        let is_stuck = page.entries.is_empty() && is_hole;
        it.step = Step::Takes;
        if is_empty && is_hole {
            self.wait_for_more(net, id);
        } else if is_empty && self.wait_or_go_on(net, id) {
            return;
        }
        self.send_to(net, id, piece.freeze());
        if is_stuck {
            self.reads.catching_up.remove(&id);
            let why = "the log does not have all of its room";
            return match is_line {
                true => self.put_out(net, id, why),
                false => self.break_off(net, id, why),
            };
        }
        if self.reads.catching_up.contains_key(&id) && self.can_read_on(net, id, &room, known + 1) {
            self.reads.catching_up.remove(&id);
        } else if is_empty && is_hole {
            self.ask_for_page(id);
        }
    }

    /// All that was sent to a connection is written: who catches up gets more.
    pub fn drained(&mut self, source: N::Token) {
        if self.reads.catching_up.is_empty() {
            return;
        }
        let Some(id) = self.id_of(source) else {
            return;
        };
        let catching_up = self.reads.catching_up.get(&id);
        if catching_up.is_some_and(|it| it.step == Step::Takes) {
            self.ask_for_page(id);
        }
    }

    /// More of a room is on disk, or of any: who waits for that gets it.
    pub(super) fn more_is_kept(&mut self, room: Option<&RoomName>) {
        if self.reads.catching_up.is_empty() {
            return;
        }
        let all = self.reads.catching_up.iter();
        let is_it = |it: &CatchingUp| room.is_none_or(|room| it.room == *room);
        let waiting = all.filter(|(_, it)| it.step == Step::Waits && is_it(it));
        let mut waiting: Vec<ConnectionId> = waiting.map(|(id, _)| *id).collect();
        waiting.sort_unstable();
        for id in waiting {
            self.ask_for_page(id);
        }
    }

    /// Why nobody can count on a room, if the log does not keep it any more.
    pub(super) fn why_not_kept(&self, room: &RoomName) -> Option<&str> {
        let owner = self.post.place.owner_of(room);
        self.not_kept.get(&owner).map(String::as_str)
    }

    /// Nothing more of the rooms of a shard will be on disk: nobody can count on them.
    pub(super) fn cut_followers(&mut self, net: &mut N, owner: ShardId, why: &str) {
        self.not_kept.insert(owner, why.to_owned());
        for id in self.followers_of(owner) {
            self.refuse_follow(net, id, why);
            self.break_off(net, id, why);
        }
    }

    /// A member wants to know what was said in its room.
    pub(super) fn ask_for_history(&mut self, net: &mut N, id: ConnectionId, count: usize) {
        self.want(net, id, Wanted::History(count));
    }

    /// A member looks for words in its room.
    pub(super) fn ask_for_words(&mut self, net: &mut N, id: ConnectionId, words: &str) {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        if words.len() > SEARCH_WORDS_MAX && self.journal.is_some() {
            let text = format!("at most {SEARCH_WORDS_MAX} words can be looked for");
            return self.answer(net, id, &text);
        }
        self.want(net, id, Wanted::Words(words));
    }

    /// Waits until the log has all that was said so far, the member's own last line too.
    fn want(&mut self, net: &mut N, id: ConnectionId, wanted: Wanted) {
        if self.journal.is_none() {
            return self.answer(net, id, NO_LOG);
        }
        if let Some(room) = self.room_of(id).cloned() {
            let wanted = Some(wanted);
            self.await_answer(id, Awaited::Log { wanted });
            let member = MemberId(id);
            self.post.command(Command::Settle { room, member });
        }
    }

    /// The log has all that it will have for now.
    pub(super) fn settled(&mut self, id: ConnectionId) {
        let room = self.room_of(id).map(Arc::from);
        let Some(Awaited::Log { wanted }) = self.waits.get_mut(&id).map(|wait| &mut wait.what)
        else {
            return;
        };
        let (Some(room), Some(wanted)) = (room, wanted.take()) else {
            return;
        };
        let count = match wanted {
            Wanted::History(count) => count,
            Wanted::Words(_) => HISTORY_ENTRIES,
        };
        self.ask(Read::Shown(id, count), |id| match wanted {
            Wanted::History(limit) => LogRequest::Page {
                id,
                room,
                epoch: None,
                from: PageFrom::Newest,
                limit,
            },
            Wanted::Words(words) => LogRequest::Search {
                id,
                search: Search {
                    words,
                    room: Some(room),
                    limit: HISTORY_ENTRIES,
                    ..Search::default()
                },
            },
        });
    }

    /// Shows a member what it has asked for, behind a note that it is not all.
    fn show(&mut self, net: &mut N, id: ConnectionId, entries: &[LogEntry], note: Option<&str>) {
        if self.answered(net, id).is_none() {
            return;
        }
        let now_ms = (self.senses.unix_ms)();
        let mut lines = BytesMut::new();
        if let Some(note) = note {
            lines.extend_from_slice(&notice(note));
        }
        if entries.is_empty() {
            lines.extend_from_slice(&notice("there is nothing"));
        }
        for entry in entries {
            lines.extend_from_slice(&encode_kept(entry, now_ms));
        }
        self.send_to(net, id, Bytes::from(lines));
    }

    /// Reads no more from who sends much while the log is too far behind; nor from who sends
    /// little, if that does not help.
    pub(super) fn slow_down_for_log(&mut self, net: &mut N, id: ConnectionId, sent: usize) {
        let backlog = match &self.journal {
            Some(journal) => journal.backlog(),
            None => return,
        };
        if !backlog.is_full() {
            return;
        }
        let said = self.said.entry(id).or_default();
        *said += sent;
        if *said <= LIGHT_SENDER_BYTES_MAX && !backlog.is_overfull() {
            return;
        }
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        if connection.stops & Stop::Log as u8 != 0 || connection.token.is_none() {
            return;
        }
        if self.slowed_by_log.is_empty() {
            warn!("the log is behind: who sends much is slowed");
            self.look_again(net);
        }
        self.slowed_by_log.push((id, net.now()));
        self.stop_reading(net, id, Stop::Log);
    }

    /// Looks once more after a while. The log tells only those of its progress whose entries it
    /// has.
    fn look_again(&self, net: &mut N) {
        if self.post.place.all().len() > 1 {
            net.set_timer(net.now() + LOG_LOOK, LOG_TIMER);
        }
    }

    /// The time to look again has come.
    pub(super) fn log_timer(&mut self, net: &mut N) {
        self.look_at_log(net);
        if !self.slowed_by_log.is_empty() {
            self.look_again(net);
        }
    }

    /// Reads on from who was slowed, if the log has caught up.
    pub(super) fn look_at_log(&mut self, net: &mut N) {
        if self.slowed_by_log.is_empty() && self.said.is_empty() {
            return;
        }
        let now = net.now();
        let has_room = |journal: &super::SharedJournal| journal.backlog().has_room();
        if !self.journal.as_ref().is_none_or(has_room) {
            return;
        }
        self.said.clear();
        for (id, since) in core::mem::take(&mut self.slowed_by_log) {
            if let Some(connection) = self.connections.get_mut(&id)
                && let Session::Parcel(parcel) = &mut connection.session
            {
                parcel.session.excuse(since, now);
            }
            self.read_again(net, id, Stop::Log);
        }
    }
}

/// What a page has for a reader of lines: not what it did itself, and only what its room has told
/// here already. The disk may be faster than another shard, and whose an entry is comes from there.
fn lines_of(
    it: &mut CatchingUp,
    own: Option<&mut Own>,
    page: &Page,
    heard: Option<u64>,
) -> BytesMut {
    let mut piece = BytesMut::new();
    if let Some((from, to)) = page.gone_after(it.known) {
        piece.extend_from_slice(&gone(it, true, from, to));
        it.known = to;
    }
    let is_heard = |entry: &&LogEntry| heard.is_none_or(|last| entry.seq <= last);
    for entry in page.entries.iter().take_while(is_heard) {
        it.known = entry.seq;
        if !own.as_ref().is_some_and(|own| own.has(entry.seq)) {
            piece.extend_from_slice(&encode_again(entry));
        }
    }
    if let Some(own) = own {
        own.pass(it.known + 1);
    }
    piece
}

/// The same for a follower, who gets everything.
fn frames_of(it: &mut CatchingUp, page: &Page) -> BytesMut {
    let mut piece = BytesMut::new();
    if let Some((from, to)) = page.gone_after(it.known) {
        piece.extend_from_slice(&gone(it, false, from, to));
        it.known = to;
    }
    for entry in &page.entries {
        it.known = entry.seq;
        piece.extend_from_slice(&encode_logged(entry));
    }
    piece
}

/// What a reader is told of entries that are gone.
fn gone(it: &CatchingUp, is_line: bool, from: u64, to: u64) -> Bytes {
    if is_line {
        let count = to - from + 1;
        return notice(&format!("you were slow: {count} messages are gone"));
    }
    encode_answer(&Answer::Gap {
        room: it.room.as_str().to_owned(),
        epoch: it.epoch,
        from,
        to,
    })
}
