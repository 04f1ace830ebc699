//! The line door: text lines, one a message.

use core::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use switchboard_wire::{Command, Line, LineDecoder, Nick, chat_lines, notice};

use crate::limits::Limits;
use crate::room::{Entry, EntryKind, Notice};

/// What `/help` answers.
const HELP: &[&str] = &[
    "a line is a message to everybody here; a line that begins with / is a command:",
    "/nick NAME  be known as NAME instead of your address",
    "/who        who is here",
    "/help       this",
    "/quit       leave",
];

/// Characters of an unknown command that are repeated back.
const COMMAND_CHARS_SHOWN: usize = 32;

/// What a member wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineEvent {
    /// To be known by a name.
    Nick(Nick),
    /// To leave.
    Quit,
    /// To say something to everybody.
    Say(String),
    /// What it said is not passed on, for this reason.
    Refused(String),
    /// To hear something that concerns nobody else: an encoded line.
    Tell(Bytes),
    /// To know who is here.
    Who,
}

/// One member's connection.
#[derive(Debug)]
pub struct LineSession {
    decoder: LineDecoder,
    line_bytes: usize,
    idle: Duration,
    line_time: Duration,
    heard: Instant,
    /// Since when an unfinished line has been coming in.
    line_began: Option<Instant>,
}

impl LineSession {
    /// A session that begins now.
    #[must_use]
    pub fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            decoder: LineDecoder::new(limits.line_bytes),
            line_bytes: limits.line_bytes,
            idle: limits.chat_idle,
            line_time: limits.line_time,
            heard: now,
            line_began: None,
        }
    }

    /// Takes bytes from the front of `bytes` and gives the next event; `None` when they are used
    /// up.
    pub fn push(&mut self, now: Instant, bytes: &mut &[u8]) -> Option<LineEvent> {
        self.heard = now;
        loop {
            let Some(line) = self.decoder.push(bytes) else {
                if !self.decoder.is_inside() {
                    self.line_began = None;
                } else if self.line_began.is_none() {
                    self.line_began = Some(now);
                }
                return None;
            };
            self.line_began = None;
            if let Some(event) = self.event(line) {
                return Some(event);
            }
        }
    }

    /// The member has ended its side: what it left without a line ending is its last line.
    pub fn end(&mut self) -> Option<LineEvent> {
        let line = self.decoder.end()?;
        self.event(line)
    }

    /// When [`LineSession::expire`] may have something to say at the earliest.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let idle = self.heard + self.idle;
        self.line_began
            .map_or(idle, |began| idle.min(began + self.line_time))
    }

    /// Why the connection has to end now, if it has to.
    #[must_use]
    pub fn expire(&self, now: Instant) -> Option<String> {
        if now >= self.heard + self.idle {
            return Some(format!(
                "idle: nothing was said for {} seconds",
                self.idle.as_secs_f64()
            ));
        }
        let began = self.line_began?;
        (now >= began + self.line_time).then(|| {
            format!(
                "a line was not finished in {} seconds",
                self.line_time.as_secs_f64()
            )
        })
    }

    fn event(&self, line: Line) -> Option<LineEvent> {
        let tell = |text: &str| Some(LineEvent::Tell(notice(text)));
        let text = match line {
            Line::Text(text) if is_parcel(&text) => {
                let reason = "it is a parcel, and those have a door of their own";
                return Some(LineEvent::Refused(reason.into()));
            }
            Line::Text(text) => text,
            Line::TooLong => {
                let max = self.line_bytes;
                return Some(LineEvent::Refused(format!("it is longer than {max} bytes")));
            }
            Line::NotUtf8 => return Some(LineEvent::Refused("it is not UTF-8 text".into())),
        };
        match Command::parse(&text) {
            None if text.trim().is_empty() => None,
            None => Some(LineEvent::Say(text)),
            Some(Command::Help) => {
                let lines: Vec<u8> = HELP.iter().flat_map(|line| notice(line)).collect();
                Some(LineEvent::Tell(lines.into()))
            }
            Some(Command::Nick(nick)) => match Nick::new(&nick) {
                Ok(nick) => Some(LineEvent::Nick(nick)),
                Err(error) => tell(&error.to_string()),
            },
            Some(Command::Quit) => Some(LineEvent::Quit),
            Some(Command::Unknown(word)) => {
                let word: String = word.chars().take(COMMAND_CHARS_SHOWN).collect();
                tell(&format!("there is no command /{word}; /help lists them"))
            }
            Some(Command::Who) => Some(LineEvent::Who),
        }
    }
}

/// True for what only a program sends that has come to the wrong door: the length of a parcel's
/// header, then its JSON.
fn is_parcel(text: &str) -> bool {
    matches!(text.as_bytes(), [_, _, 0, 0, b'{', ..])
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
        EntryKind::Renamed { nick } => Some(notice(&format!("{who} is now {nick}"))),
        EntryKind::Text(text) => chat_lines(who, text),
    }
}

/// A room's answer to one member as a line.
#[must_use]
pub fn encode_notice(answer: &Notice) -> Bytes {
    match answer {
        Notice::NickIs(nick) => notice(&format!("you are now {nick}")),
        Notice::NickTaken(nick) => notice(&format!("somebody else is {nick}: take another name")),
        Notice::Present { count, first } => {
            let shown = first.join(", ");
            let more = count.saturating_sub(first.len());
            let more = if more > 0 {
                format!(", and {more} more")
            } else {
                String::new()
            };
            notice(&format!("{count} here: {shown}{more}"))
        }
    }
}
