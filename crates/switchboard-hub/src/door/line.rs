//! The line door: text lines, one a message.

use std::time::Instant;

use bytes::Bytes;
use switchboard_wire::text::is_blank;
use switchboard_wire::{
    Command, Line, LineDecoder, Nick, RoomName, Topic, chat_lines, notice, write_chat_lines,
};

use crate::limits::{HISTORY_ENTRIES, HISTORY_ENTRIES_MAX, Limits, ROOMS_LISTED_MAX};
use crate::log::{LogEntry, LogKind};
use crate::room::{Entry, EntryKind, Notice};

/// What `/help` answers.
const HELP: &[&str] = &[
    "a line is a message to everybody here; a line that begins with / is a command:",
    "/nick NAME      be known as NAME instead of your address",
    "/who            who is here",
    "/join ROOM      go to another room, which is made if there is none of that name",
    "/rooms          which rooms there are",
    "/topic [TEXT]   what this room is about; with TEXT, say so; with - forget it",
    "/msg NAME TEXT  tell NAME alone, wherever it is",
    "/history [N]    what was said here last",
    "/search WORDS   what was said here with these words",
    "/help           this",
    "/quit           leave",
];

/// The argument of `/topic` that takes the topic away.
const NO_TOPIC: &str = "-";

/// Characters of an unknown command that are repeated back.
const COMMAND_CHARS_SHOWN: usize = 32;

/// What a member wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineEvent {
    /// Nothing: its line has nothing to see in it.
    Blank,
    /// To see the last so many entries of its room.
    History(usize),
    /// To go to a room.
    Join(RoomName),
    /// To tell one member alone.
    Msg {
        /// Whom, as it was typed.
        to: String,
        /// What.
        text: String,
    },
    /// To be known by a name.
    Nick(Nick),
    /// To leave.
    Quit,
    /// To know which rooms there are.
    Rooms,
    /// To say something to everybody.
    Say(String),
    /// What it said is not passed on, for this reason.
    Refused(String),
    /// To find the entries of its room with these words.
    Search(String),
    /// Something else altogether: it speaks this protocol, and has taken the wrong door.
    Stranger(&'static str),
    /// To give its room a topic, or take it away.
    SetTopic(Option<Topic>),
    /// To hear something that concerns nobody else: an encoded line.
    Tell(Bytes),
    /// To know what its room is about.
    Topic,
    /// To know who is here.
    Who,
}

/// One member's connection.
#[derive(Debug)]
pub struct LineSession {
    heard: Instant,
    /// The longest line that it may send.
    line_bytes: u32,
    /// Its first line has come.
    has_spoken: bool,
    /// The line that has begun and not ended: few members have one at a time.
    unfinished: Option<Box<Unfinished>>,
}

#[derive(Debug)]
struct Unfinished {
    decoder: LineDecoder,
    since: Instant,
}

impl LineSession {
    /// A session that begins now.
    #[must_use]
    pub fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            heard: now,
            line_bytes: u32::try_from(limits.line_bytes).unwrap_or(u32::MAX),
            has_spoken: false,
            unfinished: None,
        }
    }

    /// What reads the next line, of which nothing has come.
    fn decoder(&self) -> LineDecoder {
        LineDecoder::new(usize::try_from(self.line_bytes).unwrap_or(usize::MAX))
    }

    /// Takes the next line off the front of `bytes` where all of it lies there and it is a message:
    /// what would be [`LineEvent::Say`], without a copy. Otherwise nothing is taken, and
    /// [`LineSession::push`] tells.
    pub fn said<'a>(&mut self, now: Instant, bytes: &mut &'a [u8]) -> Option<&'a str> {
        if !self.has_spoken || self.is_inside() {
            return None;
        }
        let mut rest = *bytes;
        let text = self.decoder().whole(&mut rest)?;
        if text.starts_with('/') || is_parcel(text) || is_blank(text) {
            return None;
        }
        (*bytes, self.heard) = (rest, now);
        Some(text)
    }

    /// Takes bytes from the front of `bytes` and gives the next event; `None` when they are used
    /// up.
    pub fn push(&mut self, now: Instant, bytes: &mut &[u8]) -> Option<LineEvent> {
        self.heard = now;
        if !self.has_spoken && bytes.starts_with(TLS_HANDSHAKE) {
            self.has_spoken = true;
            *bytes = &[];
            return Some(LineEvent::Stranger("TLS"));
        }
        let line = self.next_line(now, bytes)?;
        Some(self.event(line))
    }

    /// Takes the next line, or keeps what there is of it.
    fn next_line(&mut self, now: Instant, bytes: &mut &[u8]) -> Option<Line> {
        let Some(unfinished) = &mut self.unfinished else {
            let mut decoder = self.decoder();
            let line = decoder.push(bytes);
            if decoder.is_inside() {
                let since = now;
                self.unfinished = Some(Box::new(Unfinished { decoder, since }));
            }
            return line;
        };
        let line = unfinished.decoder.push(bytes);
        if !unfinished.decoder.is_inside() {
            self.unfinished = None;
        } else if line.is_some() {
            // Too long, which is told before its end has come.
            unfinished.since = now;
        }
        line
    }

    /// The member has ended its side: what it left without a line ending is its last line.
    pub fn end(&mut self) -> Option<LineEvent> {
        let line = self.unfinished.take()?.decoder.end()?;
        Some(self.event(line))
    }

    /// When [`LineSession::expire`] may have something to say at the earliest.
    #[must_use]
    pub fn deadline(&self, limits: &Limits) -> Instant {
        let idle = self.heard + limits.chat_idle;
        let line = self.unfinished.as_ref();
        line.map_or(idle, |line| idle.min(line.since + limits.line_time))
    }

    /// Why the connection has to end now, if it has to.
    #[must_use]
    pub fn expire(&self, now: Instant, limits: &Limits) -> Option<String> {
        if now >= self.heard + limits.chat_idle {
            return Some(format!(
                "idle: nothing was said for {} seconds",
                limits.chat_idle.as_secs_f64()
            ));
        }
        let since = self.unfinished.as_ref()?.since;
        (now >= since + limits.line_time).then(|| {
            format!(
                "a line was not finished in {} seconds",
                limits.line_time.as_secs_f64()
            )
        })
    }

    /// True while a line has begun and not ended.
    #[must_use]
    pub const fn is_inside(&self) -> bool {
        self.unfinished.is_some()
    }

    fn event(&mut self, line: Line) -> LineEvent {
        let is_first = !std::mem::replace(&mut self.has_spoken, true);
        if is_first
            && let Line::Text(text) = &line
            && let Some(protocol) = other_protocol(text)
        {
            return LineEvent::Stranger(protocol);
        }
        let text = match line {
            Line::Text(text) if is_parcel(&text) => {
                let reason = "it is a parcel, and those have a door of their own";
                return LineEvent::Refused(reason.into());
            }
            Line::Text(text) => text,
            Line::TooLong => {
                let max = self.line_bytes;
                return LineEvent::Refused(format!("it is longer than {max} bytes"));
            }
            Line::NotUtf8 => return LineEvent::Refused("it is not UTF-8 text".into()),
        };
        match Command::parse(&text) {
            Some(command) => Self::command(command),
            None if is_blank(&text) => LineEvent::Blank,
            None => LineEvent::Say(text),
        }
    }

    fn command(command: Command) -> LineEvent {
        let tell = |text: &str| LineEvent::Tell(notice(text));
        match command {
            Command::Help => {
                let lines: Vec<u8> = HELP.iter().flat_map(|line| notice(line)).collect();
                LineEvent::Tell(lines.into())
            }
            Command::History(count) => match count.parse() {
                _ if count.is_empty() => LineEvent::History(HISTORY_ENTRIES),
                Ok(count @ 1..=HISTORY_ENTRIES_MAX) => LineEvent::History(count),
                _ => tell(&format!(
                    "/history takes a number from 1 to {HISTORY_ENTRIES_MAX}"
                )),
            },
            Command::Join(room) if room.is_empty() => tell("which room? /join ROOM goes there"),
            Command::Join(room) => match RoomName::new(&room) {
                Ok(room) => LineEvent::Join(room),
                Err(error) => tell(&error.to_string()),
            },
            Command::Msg { to, text } if to.is_empty() || text.is_empty() => {
                tell("to whom, and what? /msg NAME TEXT tells NAME alone")
            }
            Command::Msg { to, text } => LineEvent::Msg { to, text },
            Command::Nick(nick) => match Nick::new(&nick) {
                Ok(nick) => LineEvent::Nick(nick),
                Err(error) => tell(&error.to_string()),
            },
            Command::Quit => LineEvent::Quit,
            Command::Rooms => LineEvent::Rooms,
            Command::Search(words) if words.is_empty() => {
                tell("for what? /search WORDS finds what was said with them")
            }
            Command::Search(words) => LineEvent::Search(words),
            Command::Topic(text) if text.is_empty() => LineEvent::Topic,
            Command::Topic(text) if text == NO_TOPIC => LineEvent::SetTopic(None),
            Command::Topic(text) => match Topic::new(&text) {
                Ok(topic) => LineEvent::SetTopic(Some(topic)),
                Err(error) => tell(&error.to_string()),
            },
            Command::Unknown(word) => {
                let word: String = word.chars().take(COMMAND_CHARS_SHOWN).collect();
                tell(&format!("there is no command /{word}; /help lists them"))
            }
            Command::Who => LineEvent::Who,
        }
    }
}

/// True for what only a program sends that has come to the wrong door: the length of a parcel's
/// header, then its JSON.
fn is_parcel(text: &str) -> bool {
    matches!(text.as_bytes(), [_, _, 0, 0, b'{', ..])
}

/// How a record of TLS begins that carries a handshake: its type and the major version.
const TLS_HANDSHAKE: &[u8] = &[22, 3];

/// What else speaks in lines, by its first one. A browser can be made to send such lines to any
/// port, with text of somebody else's choice behind them.
fn other_protocol(first: &str) -> Option<&'static str> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase());
    match first.split_once(' ') {
        Some((method, rest))
            if is_word(method)
                && rest
                    .rsplit_once(' ')
                    .is_some_and(|(_, version)| version.starts_with("HTTP/")) =>
        {
            Some("HTTP")
        }
        Some(("EHLO" | "HELO", _)) => Some("SMTP"),
        _ => first.starts_with("SSH-").then_some("SSH"),
    }
}

/// An entry as lines; `None` if there is nothing to see in it.
#[must_use]
pub fn encode_entry(entry: &Entry) -> Option<Bytes> {
    let who = &entry.author;
    match &entry.kind {
        EntryKind::File { name, bytes } => Some(notice(&format!(
            "{who} sent the file {name} ({bytes} bytes)"
        ))),
        EntryKind::Joined => Some(notice(&format!("{who} joined"))),
        EntryKind::Left { reason: None } => Some(notice(&format!("{who} left"))),
        EntryKind::Left {
            reason: Some(reason),
        } => Some(notice(&format!("{who} left: {reason}"))),
        EntryKind::Renamed { name } => Some(notice(&format!("{who} is now {name}"))),
        EntryKind::Topic { topic: Some(topic) } => {
            Some(notice(&format!("{who} set the topic: {topic}")))
        }
        EntryKind::Topic { topic: None } => Some(notice(&format!("{who} took the topic away"))),
        EntryKind::Text(text) => chat_lines(who, text),
    }
}

/// An entry of the log as a member receives it that is behind its room.
#[must_use]
pub fn encode_again(entry: &LogEntry) -> Bytes {
    match entry.kind {
        LogKind::Text => chat_lines(&entry.author, &entry.text).unwrap_or_default(),
        _ => notice(&what_happened(entry)),
    }
}

/// An entry of the log as it is shown to a member who asks for it, at `now_ms`.
#[must_use]
pub fn encode_kept(entry: &LogEntry, now_ms: u64) -> Bytes {
    let then_ms = u64::try_from(entry.time_ms).unwrap_or(0);
    let ago = ago(now_ms.saturating_sub(then_ms) / 1_000);
    let what = what_happened(entry);
    notice(&format!("#{}, {ago}: {what}", entry.seq))
}

fn what_happened(entry: &LogEntry) -> String {
    let (who, text) = (&entry.author, &entry.text);
    match entry.kind {
        LogKind::File => {
            let bytes = entry.bytes.unwrap_or(0);
            format!("{who} sent the file {text} ({bytes} bytes)")
        }
        LogKind::Joined => format!("{who} joined"),
        LogKind::Left if text.is_empty() => format!("{who} left"),
        LogKind::Left => format!("{who} left: {text}"),
        LogKind::Renamed => format!("{who} is now {text}"),
        LogKind::Text => {
            let lines: Vec<&str> = text.lines().collect();
            format!("{who}: {}", lines.join(" / "))
        }
        LogKind::Topic if text.is_empty() => format!("{who} took the topic away"),
        LogKind::Topic => format!("{who} set the topic: {text}"),
    }
}

/// How long ago that was, in the largest unit that fits.
fn ago(seconds: u64) -> String {
    match seconds {
        0..60 => "just now".to_owned(),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        86_400..172_800 => "a day ago".to_owned(),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// The same behind what is in `out`, whose room it uses.
pub fn write_entry(out: &mut Vec<u8>, entry: &Entry) {
    match &entry.kind {
        EntryKind::Text(text) => write_chat_lines(out, &entry.author, text),
        _ => out.extend_from_slice(&encode_entry(entry).unwrap_or_default()),
    }
}

/// A room's answer to one member as a line.
#[must_use]
pub fn encode_notice(answer: &Notice) -> Bytes {
    match answer {
        Notice::Entered { room, count, topic } => {
            let about = topic.as_ref().map(|topic| format!(": {topic}"));
            let about = about.unwrap_or_default();
            notice(&format!("you are now in {room}, {count} here{about}"))
        }
        Notice::Present { count, first } => {
            let shown = first.join(", ");
            let more = more(count.saturating_sub(first.len()));
            notice(&format!("{count} here: {shown}{more}"))
        }
        Notice::NotTaken(why) => notice(&format!("your line was not passed on: {why}")),
        Notice::TopicIs(Some(topic)) => notice(&format!("the topic here is: {topic}")),
        Notice::TopicIs(None) => notice("there is no topic here"),
    }
}

/// The answer to `/rooms`, for a member of the room `here`, of `count` rooms of which these are the
/// first: who asks learns how many are in a room and nothing else of it.
#[must_use]
pub fn encode_rooms(count: usize, first: &[(RoomName, usize)], here: &RoomName) -> Bytes {
    let first = first.get(..ROOMS_LISTED_MAX).unwrap_or(first);
    let mut shown = String::new();
    for (name, members) in first {
        let comma = if shown.is_empty() { "" } else { ", " };
        let here = if name == here { ", you are here" } else { "" };
        shown.push_str(&format!("{comma}{name} ({members}{here})"));
    }
    let more = more(count.saturating_sub(first.len()));
    notice(&format!("{count} rooms: {shown}{more}"))
}

fn more(count: usize) -> String {
    if count > 0 {
        format!(", and {count} more")
    } else {
        String::new()
    }
}
