//! The side of a shard that owns rooms: it takes commands, numbers what happens, and sends news to
//! the homes of the members. It knows no connection and no network.

use std::sync::Arc;

use switchboard_wire::{MessageId, RoomName, Topic, clean};
use tracing::{info, warn};

use super::Shared;
use super::chronicle::{Chronicle, Loaded};
use super::link::{Command, News, Post, Published, Ticket};
use crate::config::Senses;
use crate::limits::{LOGGED_TEXT_CHARS_MAX, ROOMS_LISTED_MAX};
use crate::log::{LogEntry, LogKind, LogReply};
use crate::room::{
    Author, Effect, Entry, EntryKind, Event, History, MemberId, Notice, Room, Rooms, ShardId,
};

/// See the module's documentation.
pub(super) struct Owner {
    rooms: Rooms,
    senses: Senses,
    shared: Arc<Shared>,
    /// The log, if there is one.
    chronicle: Option<Chronicle>,
    /// What the log has just told of a room that is not there yet.
    found: Option<(RoomName, History)>,
    /// Lent to each event.
    effects: Vec<Effect>,
}

impl Owner {
    pub(super) const fn new(
        rooms: Rooms,
        senses: Senses,
        shared: Arc<Shared>,
        chronicle: Option<Chronicle>,
    ) -> Self {
        Self {
            rooms,
            senses,
            shared,
            chronicle,
            found: None,
            effects: Vec::new(),
        }
    }

    pub(super) const fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// Asks the log about a room that is to be there whether somebody comes or not.
    pub(super) fn prepare(&mut self, room: &RoomName) {
        if let Some(chronicle) = &mut self.chronicle {
            chronicle.load(room, None);
        }
    }

    /// Hands the log what has happened in this turn.
    pub(super) fn flush(&mut self) {
        if let Some(chronicle) = &mut self.chronicle {
            chronicle.flush();
        }
    }

    /// The log has something to say.
    pub(super) fn log_replied(&mut self, reply: LogReply, post: &mut Post) {
        let Some(chronicle) = &mut self.chronicle else {
            return;
        };
        let loaded = match reply {
            LogReply::Room { id, room } => chronicle.loaded(id, Ok(room)),
            LogReply::ReadFailed { id, error } => chronicle.loaded(id, Err(error)),
            reply => return chronicle.heard(reply, post),
        };
        if let Some(loaded) = loaded {
            self.loaded(loaded, post);
        }
    }

    /// A room's history is known: what was to be done in it is done.
    fn loaded(&mut self, loaded: Loaded, post: &mut Post) {
        let Loaded {
            room,
            found,
            waiting,
        } = loaded;
        let (state, ids) = match found {
            Ok(found) => found.unzip(),
            Err(why) => {
                let why = format!("the room {room} cannot be read: {why}");
                warn!("{why}");
                for command in waiting {
                    self.refuse(command, &why, post);
                }
                return;
            }
        };
        let history = state.map_or_else(
            || History::from((self.senses.entropy)()),
            |state| History {
                epoch: state.epoch,
                last_seq: state.last_seq,
                topic: Topic::new(&state.topic).ok(),
            },
        );
        if let Some(chronicle) = &mut self.chronicle {
            chronicle.open(&room, &history, ids.unwrap_or_default());
        }
        self.found = Some((room.clone(), history));
        if room == RoomName::lobby() {
            let (senses, found) = (&self.senses, &mut self.found);
            let lobby = self.rooms.open(&room, || history_of(senses, found));
            if let Err(refusal) = lobby {
                warn!("the lobby: {refusal}");
            }
        }
        for command in waiting {
            self.obey(command, post);
        }
        self.found = None;
        self.close_forgotten(&room);
    }

    /// A command cannot be done in a room of which nothing is known.
    fn refuse(&self, command: Command, why: &str, post: &mut Post) {
        let why = why.to_owned();
        match command {
            Command::Enter { member, .. } => {
                post.news(member.home(), News::NotEntered { member, why });
            }
            Command::Bring { guest, ticket, .. } => {
                post.news(guest.home(), News::NotTaken { guest, ticket, why });
            }
            Command::LetGo { guest, .. } => post.news(guest.home(), News::LetGo { guest }),
            Command::Settle { member, .. } => post.news(member.home(), News::Settled { member }),
            Command::CatchUp { member, .. } => post.news(member.home(), News::CaughtUp { member }),
            Command::Do { lent, .. } => self.shared.give_back(lent),
            Command::List { .. } => {}
        }
    }

    /// A room that is not there has no record.
    fn close_forgotten(&mut self, room: &RoomName) {
        // What the log has just told of it is still for the commands that waited.
        let is_found = matches!(&self.found, Some((found, _)) if found == room);
        if let Some(chronicle) = &mut self.chronicle
            && self.rooms.get(room).is_none()
            && !is_found
        {
            chronicle.close(room);
        }
    }

    /// Whether a command has to wait until the log has told about its room; it is kept then.
    fn put_off(&mut self, command: Command) -> Option<Command> {
        let Some(chronicle) = &mut self.chronicle else {
            return Some(command);
        };
        let Some(room) = command.room() else {
            return Some(command);
        };
        let makes = matches!(command, Command::Enter { .. } | Command::Bring { .. });
        let is_found = || matches!(&self.found, Some((found, _)) if found == room);
        let is_missing = makes && self.rooms.get(room).is_none() && !is_found();
        if is_missing || chronicle.is_loading(room) {
            let room = room.clone();
            chronicle.load(&room, Some(command));
            return None;
        }
        Some(command)
    }

    /// Does what a home wants.
    pub(super) fn obey(&mut self, command: Command, post: &mut Post) {
        let Some(command) = self.put_off(command) else {
            return;
        };
        match command {
            Command::Enter {
                room,
                member,
                name,
                is_greeted,
                counts,
            } => {
                let event = Event::Join {
                    member,
                    name,
                    is_greeted,
                };
                self.enter(&room, (member, counts), event, post);
            }
            Command::Do { room, event, lent } => {
                self.act(&room, event, post);
                self.shared.give_back(lent);
            }
            Command::Bring {
                room,
                guest,
                event,
                ticket,
            } => self.bring(&room, guest, event, ticket, post),
            Command::LetGo { room, guest } => {
                match &mut self.chronicle {
                    Some(chronicle) => chronicle.let_go(&room, guest, post),
                    None => post.news(guest.home(), News::LetGo { guest }),
                }
                self.rooms.let_go(&room, guest);
                self.close_forgotten(&room);
            }
            Command::CatchUp { member, .. } => {
                post.news(member.home(), News::CaughtUp { member });
            }
            Command::Settle { room, member } => match &mut self.chronicle {
                Some(chronicle) => chronicle.settle(&room, member, post),
                None => post.news(member.home(), News::Settled { member }),
            },
            Command::List { asker } => {
                let rooms = self.rooms.iter().take(ROOMS_LISTED_MAX);
                let first = rooms.map(|(name, count)| (name.clone(), count)).collect();
                let count = self.rooms.len();
                let news = News::Rooms {
                    asker,
                    count,
                    first,
                };
                post.news(asker.home(), news);
            }
        }
    }

    /// A member does something, or leaves.
    fn act(&mut self, room: &RoomName, event: Event, post: &mut Post) {
        let asker = match &event {
            Event::Say {
                by: Author::Member(member),
                ..
            }
            | Event::SetTopic { member, .. } => Some(*member),
            _ => None,
        };
        if let (Some(member), Some(why)) = (asker, self.refusal()) {
            let notice = Notice::NotTaken(why);
            return post.news(member.home(), News::Tell { member, notice });
        }
        let speaker = speaker_of(&event);
        let leaving = match &event {
            Event::Leave { member, .. } => Some(*member),
            _ => None,
        };
        self.happen(room, event, post);
        self.slow_down(room, speaker, post);
        if let Some(member) = leaving {
            if let Some(chronicle) = &mut self.chronicle {
                chronicle.leave(room, member);
            }
            self.rooms.forget(room);
            self.close_forgotten(room);
        }
    }

    /// Why nothing is taken, if nothing is.
    fn refusal(&self) -> Option<String> {
        self.chronicle.as_ref().and_then(Chronicle::refusal)
    }

    fn enter(
        &mut self,
        name: &RoomName,
        (member, counts): (MemberId, bool),
        event: Event,
        post: &mut Post,
    ) {
        let is_there = |room: &Room| room.name_of(member).is_some();
        let was_there = self.rooms.get(name).is_some_and(is_there);
        let chronicle = self.chronicle.as_ref();
        if !was_there && let Some(why) = chronicle.and_then(Chronicle::refusal_to_enter) {
            return post.news(member.home(), News::NotEntered { member, why });
        }
        let (senses, found) = (&self.senses, &mut self.found);
        let history = || history_of(senses, found);
        if !was_there && let Err(refusal) = self.rooms.enter(name, history) {
            let why = refusal.to_string();
            return post.news(member.home(), News::NotEntered { member, why });
        }
        if let Some(room) = self.rooms.get(name) {
            let last_seq = room.last_seq();
            let chronicle = self.chronicle.as_mut();
            let (durable, kept_after) = chronicle.map_or((last_seq, last_seq), |chronicle| {
                chronicle.enter(name, counts.then_some(member))
            });
            let news = News::Entered {
                member,
                room: name.clone(),
                epoch: room.epoch(),
                last_seq,
                durable,
                kept_after,
                was_there,
            };
            post.news(member.home(), news);
        }
        self.happen(name, event, post);
    }

    fn bring(
        &mut self,
        name: &RoomName,
        guest: MemberId,
        event: Event,
        ticket: Option<Ticket>,
        post: &mut Post,
    ) {
        let (Event::Say { id, .. } | Event::File { id, .. }) = &event else {
            return;
        };
        let id = id.clone();
        if let Some(id) = &id
            && let Some(seq) = self.taken(name, id)
        {
            return self.acknowledge(name, seq, ticket, post);
        }
        let (senses, found) = (&self.senses, &mut self.found);
        let history = || history_of(senses, found);
        let held = match self.chronicle.as_ref().and_then(Chronicle::refusal) {
            Some(why) => Err(why),
            None => self
                .rooms
                .hold(name, guest, history)
                .map_err(|no| no.to_string()),
        };
        if let Err(why) = held {
            let news = News::NotTaken { guest, ticket, why };
            return post.news(guest.home(), news);
        }
        let Some(seq) = self.happen(name, event, post) else {
            return;
        };
        self.slow_down(name, Some(guest), post);
        match (&mut self.chronicle, id) {
            (Some(chronicle), _) => chronicle.brought(name, guest, seq),
            (None, Some(id)) => self.rooms.note(name, id, seq),
            (None, None) => {}
        }
        self.acknowledge(name, seq, ticket, post);
    }

    /// Slows down who speaks to members at a shard that cannot keep up.
    fn slow_down(&self, name: &RoomName, speaker: Option<MemberId>, post: &mut Post) {
        let here = post.place.here;
        if post.place.shards > 1
            && let Some(member) = speaker
            && let Some(room) = self.rooms.get(name)
        {
            let too_much = |home: &ShardId| *home != here && self.shared.is_burdened(*home);
            if let Some(by) = room.homes().find(too_much) {
                post.news(member.home(), News::SlowDown { member, by });
            }
        }
    }

    /// Under which number something was taken already.
    fn taken(&self, name: &RoomName, id: &MessageId) -> Option<u64> {
        match &self.chronicle {
            Some(chronicle) => chronicle.seq_of(name, id.as_str()),
            None => self.rooms.taken(name, id),
        }
    }

    fn acknowledge(&mut self, name: &RoomName, seq: u64, ticket: Option<Ticket>, post: &mut Post) {
        let Some(ticket) = ticket else {
            return;
        };
        if let Some(chronicle) = &mut self.chronicle {
            chronicle.acknowledge(name, seq, ticket, post);
        } else if let Some(room) = self.rooms.get(name) {
            let home = ticket.connection.home();
            let news = News::Acked {
                ticket,
                room: name.clone(),
                epoch: room.epoch(),
                seq,
                durable: false,
            };
            post.news(home, news);
        }
    }

    /// Whether what is said in a room has only to be numbered and kept: nobody counts the numbers,
    /// and it is not shown to who runs the hub.
    pub(super) fn is_at_ease(&self, room: &RoomName) -> bool {
        let chronicle = self.chronicle.as_ref();
        chronicle.is_none_or(|chronicle| chronicle.is_at_ease(room))
            && !tracing::enabled!(tracing::Level::INFO)
    }

    /// Gives what a member says in a room its number, and has it kept; answers that, and as whose
    /// the others see it.
    pub(super) fn number(
        &mut self,
        name: &RoomName,
        member: MemberId,
        text: &str,
    ) -> Option<(u64, &Arc<str>)> {
        let room = self.rooms.get_mut(name)?;
        let epoch = room.epoch();
        let (seq, author) = room.number(member)?;
        if let Some(chronicle) = &mut self.chronicle {
            let time_ms = i64::try_from((self.senses.unix_ms)()).unwrap_or(i64::MAX);
            chronicle.add_logged(LogEntry {
                room: Arc::from(name),
                epoch,
                seq,
                time_ms,
                author: Arc::clone(author),
                kind: LogKind::Text,
                text: text.to_owned(),
                bytes: None,
                reply_to: None,
                client_id: None,
            });
        }
        Some((seq, author))
    }

    /// Tells a room what happened, and the homes of its members what follows from it; answers the
    /// number of the entry, if it became one.
    fn happen(&mut self, name: &RoomName, event: Event, post: &mut Post) -> Option<u64> {
        let now_ms = (self.senses.unix_ms)();
        let is_kept = self.chronicle.is_some() && self.rooms.is_kept(name);
        let room = self.rooms.get_mut(name)?;
        let mut seq = None;
        let mut effects = core::mem::take(&mut self.effects);
        room.handle_into(now_ms, event, &mut effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Publish { entry, except } => {
                    seq = Some(entry.seq);
                    let entry = publish(room, entry, except, post);
                    if let Some(chronicle) = &mut self.chronicle {
                        chronicle.add(&entry, is_kept);
                    }
                }
                Effect::Tell { member, notice } => {
                    post.news(member.home(), News::Tell { member, notice });
                }
            }
        }
        self.effects = effects;
        seq
    }
}

/// Who makes others hear something, as often as it likes.
const fn speaker_of(event: &Event) -> Option<MemberId> {
    match event {
        Event::Say {
            by: Author::Member(member),
            ..
        }
        | Event::Rename { member, .. }
        | Event::SetTopic { member, .. } => Some(*member),
        _ => None,
    }
}

/// Sends an entry to every shard where a member is.
fn publish(room: &Room, entry: Entry, except: Option<MemberId>, post: &mut Post) -> Arc<Published> {
    log_entry(room.name(), &entry);
    let published = Published::new(room.name().clone(), room.epoch(), entry);
    let entry = Arc::new(published);
    for home in room.homes() {
        let entry = Arc::clone(&entry);
        post.news(home, News::Entry { entry, except });
    }
    entry
}

/// What a room that is made goes on from: what the log has just told of it, if it has.
fn history_of(senses: &Senses, found: &mut Option<(RoomName, History)>) -> History {
    found
        .take()
        .map_or_else(|| History::from((senses.entropy)()), |(_, history)| history)
}

/// What happened in a room, for the log.
fn log_entry(room: &RoomName, entry: &Entry) {
    let (seq, who) = (entry.seq, &entry.author);
    match &entry.kind {
        EntryKind::File { name, bytes } => {
            info!("{room} #{seq}: {who} sent the file \"{name}\" ({bytes} bytes)");
        }
        EntryKind::Joined => info!("{room} #{seq}: {who} joined"),
        EntryKind::Left { reason: None } => info!("{room} #{seq}: {who} left"),
        EntryKind::Left {
            reason: Some(reason),
        } => info!("{room} #{seq}: {who} left: {reason}"),
        EntryKind::Renamed { name } => info!("{room} #{seq}: {who} is now {name}"),
        EntryKind::Topic { topic: Some(topic) } => {
            info!("{room} #{seq}: {who} set the topic: {topic}");
        }
        EntryKind::Topic { topic: None } => info!("{room} #{seq}: {who} took the topic away"),
        EntryKind::Text(text) => log_text(room, seq, who, text),
    }
}

fn log_text(room: &RoomName, seq: u64, who: &str, text: &str) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    let mut shown: String = text.chars().take(LOGGED_TEXT_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    // Lines of a message become one, so that nobody can write lines into the log.
    let shown = shown.split(['\n', '\r']).collect::<Vec<_>>().join(" / ");
    info!("{room} #{seq}: {who}: {}", clean(&shown));
}
