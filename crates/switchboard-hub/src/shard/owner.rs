//! The side of a shard that owns rooms: it takes commands, numbers what happens, and sends news to
//! the homes of the members. It knows no connection and no network.

use std::sync::Arc;

use switchboard_wire::{RoomName, clean};
use tracing::info;

use super::Shared;
use super::link::{Command, News, Post, Published, Ticket};
use crate::config::Senses;
use crate::limits::{LOGGED_TEXT_CHARS_MAX, ROOMS_LISTED_MAX};
use crate::room::{Author, Effect, Entry, EntryKind, Event, MemberId, Room, Rooms, ShardId};

/// See the module's documentation.
pub(super) struct Owner {
    rooms: Rooms,
    senses: Senses,
    shared: Arc<Shared>,
}

impl Owner {
    pub(super) const fn new(rooms: Rooms, senses: Senses, shared: Arc<Shared>) -> Self {
        Self {
            rooms,
            senses,
            shared,
        }
    }

    pub(super) const fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// Does what a home wants.
    pub(super) fn obey(&mut self, command: Command, post: &mut Post) {
        match command {
            Command::Enter {
                room,
                member,
                name,
                is_greeted,
            } => {
                let event = Event::Join {
                    member,
                    name,
                    is_greeted,
                };
                self.enter(&room, member, event, post);
            }
            Command::Do { room, event } => {
                let is_leaving = matches!(event, Event::Leave { .. });
                let speaker = speaker_of(&event);
                self.happen(&room, event, post);
                self.slow_down(&room, speaker, post);
                if is_leaving {
                    self.rooms.forget(&room);
                }
            }
            Command::Bring {
                room,
                guest,
                event,
                ticket,
            } => self.bring(&room, guest, event, ticket, post),
            Command::LetGo { room, guest } => {
                self.rooms.let_go(&room, guest);
                post.news(guest.home(), News::LetGo { guest });
            }
            Command::CatchUp { member, .. } => {
                post.news(member.home(), News::CaughtUp { member });
            }
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

    fn enter(&mut self, name: &RoomName, member: MemberId, event: Event, post: &mut Post) {
        let is_there = |room: &Room| room.name_of(member).is_some();
        let was_there = self.rooms.get(name).is_some_and(is_there);
        if !was_there && let Err(refusal) = self.rooms.enter(name, || (self.senses.entropy)()) {
            let why = refusal.to_string();
            return post.news(member.home(), News::NotEntered { member, why });
        }
        if let Some(room) = self.rooms.get(name) {
            let news = News::Entered {
                member,
                room: name.clone(),
                epoch: room.epoch(),
                last_seq: room.last_seq(),
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
            && let Some(seq) = self.rooms.taken(name, id)
        {
            return self.acknowledge(name, seq, ticket, post);
        }
        if let Err(refusal) = self.rooms.hold(name, guest, || (self.senses.entropy)()) {
            let why = refusal.to_string();
            let news = News::NotTaken { guest, ticket, why };
            return post.news(guest.home(), news);
        }
        let Some(seq) = self.happen(name, event, post) else {
            return;
        };
        self.slow_down(name, Some(guest), post);
        if let Some(id) = id {
            self.rooms.note(name, id, seq);
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

    fn acknowledge(&self, name: &RoomName, seq: u64, ticket: Option<Ticket>, post: &mut Post) {
        if let Some(ticket) = ticket
            && let Some(room) = self.rooms.get(name)
        {
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

    /// Tells a room what happened, and the homes of its members what follows from it; answers the
    /// number of the entry, if it became one.
    fn happen(&mut self, name: &RoomName, event: Event, post: &mut Post) -> Option<u64> {
        let now_ms = (self.senses.unix_ms)();
        let room = self.rooms.get_mut(name)?;
        let mut seq = None;
        for effect in room.handle(now_ms, event) {
            match effect {
                Effect::Publish { entry, except } => {
                    seq = Some(entry.seq);
                    publish(room, entry, except, post);
                }
                Effect::Tell { member, notice } => {
                    post.news(member.home(), News::Tell { member, notice });
                }
            }
        }
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
fn publish(room: &Room, entry: Entry, except: Option<MemberId>, post: &mut Post) {
    log_entry(room.name(), &entry);
    let published = Published::new(room.name().clone(), room.epoch(), entry);
    let entry = Arc::new(published);
    for home in room.homes() {
        let entry = Arc::clone(&entry);
        post.news(home, News::Entry { entry, except });
    }
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
