//! `switchboard history`, and how all commands print entries of a log.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use switchboard_hub::limits::LOG_PAGE_ENTRIES_MAX;
use switchboard_hub::log::{LogEntry, LogError, LogKind, LogReader, PageFrom, entry_to_json};
use switchboard_wire::name::LOBBY;
use switchboard_wire::{RoomName, clean};

use crate::clock;
use crate::terminal::{OutputError, tell, with_hint};

/// Show what was said in a room
///
/// Reads the log in a hub's data folder, whether the hub runs or not, and prints its entries in
/// their order. What is missing at the beginning, because the log keeps no more, is told on
/// standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  switchboard history                                the last 20 entries of the lobby
  switchboard history --room tea --last 100
  switchboard history --since 4711 --json            all after number 4711, for a program
  switchboard history --data /srv/hub | less")]
pub(crate) struct Args {
    /// The hub's data folder
    #[arg(long, value_name = "DIR", default_value = "switchboard-data")]
    data: PathBuf,

    /// Which room
    #[arg(long, value_name = "ROOM", default_value = LOBBY, value_parser = super::room)]
    room: RoomName,

    /// How many of the newest entries
    #[arg(long, value_name = "N", default_value = "20", conflicts_with = "since")]
    last: u64,

    /// All entries with greater numbers than this one
    #[arg(long, value_name = "N")]
    since: Option<u64>,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let reader = open(&self.data)?;
        let room: Arc<str> = (&self.room).into();
        let page = |from, limit| {
            let page = reader.page(&room, None, from, limit);
            page.map_err(|error| explain(error, &reader))
        };
        let newest = page(PageFrom::Newest, 1)?;
        let mut after = match self.since {
            Some(since) => since,
            None => newest.last_seq.saturating_sub(self.last),
        };
        if let (Some((first, last)), Some(_)) = (newest.gone_after(after), self.since) {
            tell(format_args!(
                "switchboard: entries {first} to {last} are gone: the log keeps no more"
            ));
        }
        let mut printer = Printer::new(self.json, false);
        // What comes while this is printed is for another time.
        while after < newest.last_seq {
            let page = page(PageFrom::After(after), LOG_PAGE_ENTRIES_MAX)?;
            let Some(last) = page.entries.last() else {
                break;
            };
            after = last.seq;
            page.entries
                .iter()
                .try_for_each(|entry| printer.print(entry))?;
        }
        printer.end()
    }
}

/// Opens the log of a data folder to read it.
pub(super) fn open(data: &Path) -> anyhow::Result<LogReader> {
    LogReader::open(data).map_err(|error| {
        let hint = error.hint();
        with_hint(error, hint)
    })
}

/// Adds what the user can do about it; of a room that is not there, which are.
pub(super) fn explain(error: LogError, reader: &LogReader) -> anyhow::Error {
    /// Rooms that are named; more would hide what it is about.
    const NAMED_MAX: usize = 10;
    let mut hint = error.hint().to_owned();
    if matches!(error, LogError::NoRoom { .. })
        && let Ok(rooms) = reader.rooms()
    {
        let names: Vec<_> = rooms
            .iter()
            .take(NAMED_MAX)
            .map(|room| clean(&room.room))
            .collect();
        hint = match rooms.len().saturating_sub(names.len()) {
            _ if names.is_empty() => "it has no rooms yet".to_owned(),
            0 => format!("it has {}", names.join(", ")),
            more => format!("it has {} and {more} more", names.join(", ")),
        };
    }
    with_hint(error, &hint)
}

/// Prints entries on standard output.
pub(super) struct Printer {
    out: BufWriter<io::StdoutLock<'static>>,
    is_json: bool,
    with_rooms: bool,
}

impl Printer {
    pub(super) fn new(is_json: bool, with_rooms: bool) -> Self {
        Self {
            out: BufWriter::new(io::stdout().lock()),
            is_json,
            with_rooms,
        }
    }

    pub(super) fn print(&mut self, entry: &LogEntry) -> anyhow::Result<()> {
        self.write(entry).map_err(OutputError)?;
        Ok(())
    }

    pub(super) fn write(&mut self, entry: &LogEntry) -> io::Result<()> {
        let line = if self.is_json {
            entry_to_json(entry)
        } else {
            self.words(entry)
        };
        writeln!(self.out, "{line}")
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    pub(super) fn end(mut self) -> anyhow::Result<()> {
        self.flush().map_err(OutputError)?;
        Ok(())
    }

    /// An entry for people. Whatever somebody wrote, it controls no terminal and forges no line.
    fn words(&self, entry: &LogEntry) -> String {
        let (author, room) = (clean(&entry.author), clean(&entry.room));
        let text: Vec<_> = entry.text.lines().map(clean).collect();
        let text = text.join("\n    ");
        let what = match entry.kind {
            LogKind::File => format!(
                "* {author} sent the file {text} ({} bytes)",
                entry.bytes.unwrap_or(0)
            ),
            LogKind::Joined => format!("* {author} joined"),
            LogKind::Left if text.is_empty() => format!("* {author} left"),
            LogKind::Left => format!("* {author} left ({text})"),
            LogKind::Renamed => format!("* {author} is now {text}"),
            LogKind::Topic if text.is_empty() => format!("* {author} took the topic away"),
            LogKind::Topic => format!("* {author} set the topic: {text}"),
            _ => format!("{author}: {text}"),
        };
        let room = if self.with_rooms { &*room } else { "" };
        format!(
            "{} {room}#{} {what}",
            clock::local(entry.time_ms),
            entry.seq
        )
    }
}
