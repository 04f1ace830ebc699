//! `switchboard tail`.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::time::Duration;

use berkeley::selector::Backend;
use berkeley::{Endpoint, Errno, Kind, Transport};
use switchboard_client::send::PARCEL_PORT;
use switchboard_client::tail::{Audience, Exec, Tail, TailError, TailNote, TailOptions, Task};
use switchboard_hub::log::{LogEntry, LogKind, entry_to_json};
use switchboard_wire::{EntryFrame, EntryKind, RoomName, clean};

use super::history::Printer;
use crate::signals;
use crate::terminal::{OutputError, positive_seconds, tell, with_hint};

/// Follow a room for ever: show what happens there, or run a program for each entry
///
/// Begins with what is new, or behind the entry that --since names. When the connection breaks or
/// the hub starts anew, it is made again by itself, after a pause of up to 0.1 s that grows up to
/// 30 s, and each entry still comes once and in order. What the hub does not have any more is told
/// on standard error, as is a history that began anew. Only the first connection must come about
/// at once.
///
/// Whoever follows a room is a member of it, and gets its own coming and going too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  switchboard tail 127.0.0.1                             the lobby, from now on
  switchboard tail hub.example --room builds --since 0   all of it, then what comes
  switchboard tail unix:///run/hub.sock --json | jq .text
  switchboard tail 127.0.0.1 --exec 'test \"$SWITCHBOARD_KIND\" != text || ./answer'

What --exec runs:
  CMD is a shell command, and runs once for each entry, in order and one at a time. The entry is
  its standard input, as the line that --json prints, and in these variables:
    SWITCHBOARD_ROOM, _EPOCH, _SEQ, _TIME_MS, _AUTHOR
    SWITCHBOARD_KIND    text, file, joined, left, renamed or topic
    SWITCHBOARD_TEXT    what was said, the file's name, the new name, the topic, why somebody left;
                        its first 64 KiB (the standard input has all of it)
    SWITCHBOARD_BYTES, _REPLY_TO, _ID    where there are any
  What it prints is not touched. While it runs nothing more is read: however slow it is, nothing is
  left out. If it fails, that is told, and the next entry follows; if it cannot be started, that is
  tried again until it can.")]
pub(crate) struct Args {
    /// The hub; the port is 8001 unless another is given. Also unix://PATH
    #[arg(value_name = "HOST[:PORT]", value_parser = endpoint)]
    endpoint: Endpoint,

    /// Which room; the lobby otherwise
    #[arg(long, value_name = "ROOM", value_parser = super::room)]
    room: Option<RoomName>,

    /// Begin behind the entry of this number; 0 is the whole history
    #[arg(long, value_name = "N")]
    since: Option<u64>,

    /// The history that the number counts in, as --json tells it
    #[arg(long, value_name = "E", requires = "since")]
    epoch: Option<u64>,

    /// One JSON object a line
    #[arg(long)]
    json: bool,

    /// Run this shell command for each entry, instead of showing it
    #[arg(long, value_name = "CMD", conflicts_with = "json")]
    exec: Option<OsString>,

    /// How to wait
    #[arg(
        long,
        default_value = Backend::BEST.name(),
        value_parser = super::mux()
    )]
    mux: Backend,

    /// How long connecting may take, and the hub's answer
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = positive_seconds)]
    timeout: Duration,
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    let endpoint = Endpoint::parse(text, Transport::Tcp, Some(PARCEL_PORT))
        .map_err(|error| error.to_string())?;
    if endpoint.transport().kind() != Kind::STREAM {
        return Err("a room is followed by a stream: write tcp://HOST:PORT or unix://PATH".into());
    }
    Ok(endpoint)
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let exec = self.exec.map(|command| Exec {
            command,
            describe: task,
        });
        let tail = Tail::new(TailOptions {
            endpoint: self.endpoint,
            room: self.room.unwrap_or_else(RoomName::lobby),
            since: self.since,
            epoch: self.epoch,
            backend: self.mux,
            timeout: self.timeout,
            exec,
        })
        .map_err(explain)?;
        super::tell_fallback(tail.fallback());
        let stopper = tail.stopper();
        signals::on_stop(move || stopper.stop())?;
        let mut screen = Screen {
            printer: Printer::new(self.json, false),
            is_attended: io::stderr().is_terminal(),
        };
        tail.run(&mut screen).map_err(explain)
    }
}

/// Adds what the user can do about it.
fn explain(error: TailError) -> anyhow::Error {
    let error = match error {
        TailError::Output(cause) => return OutputError(cause).into(),
        error => error,
    };
    let hint = match &error {
        TailError::Connect { source, .. } => match source.errno() {
            Some(Errno::ECONNREFUSED | Errno::ENOENT) => "is a hub running there?",
            _ if source.is_timed_out() => "--timeout waits longer",
            _ => "",
        },
        TailError::Unreadable { .. } | TailError::Silent { .. } => {
            "is that the hub's parcel door? (8001, not the chat's 8000)"
        }
        _ => "",
    };
    with_hint(error, hint)
}

struct Screen {
    printer: Printer,
    /// Somebody sits there who likes to see that it works.
    is_attended: bool,
}

impl Audience for Screen {
    fn entry(&mut self, entry: &EntryFrame) -> io::Result<()> {
        self.printer.write(&logged(entry))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.printer.flush()
    }

    fn note(&mut self, note: &TailNote<'_>) {
        if matches!(
            note,
            TailNote::Here {
                is_again: false,
                ..
            }
        ) {
            if self.is_attended {
                tell(format_args!("{note}; Ctrl-C ends"));
            }
            return;
        }
        tell(format_args!("switchboard: {}", clean(&note.to_string())));
    }
}

/// What a program is told.
fn task(entry: &EntryFrame) -> Task {
    let entry = logged(entry);
    let input = format!("{}\n", entry_to_json(&entry));
    let mut variables = vec![
        ("SWITCHBOARD_ROOM", entry.room.to_string()),
        ("SWITCHBOARD_EPOCH", entry.epoch.to_string()),
        ("SWITCHBOARD_SEQ", entry.seq.to_string()),
        ("SWITCHBOARD_TIME_MS", entry.time_ms.to_string()),
        ("SWITCHBOARD_AUTHOR", entry.author.to_string()),
        ("SWITCHBOARD_KIND", entry.kind.name().to_owned()),
        ("SWITCHBOARD_TEXT", entry.text),
    ];
    let bytes = entry.bytes.map(|bytes| bytes.to_string());
    let reply_to = entry.reply_to.map(|seq| seq.to_string());
    for (name, value) in [
        ("SWITCHBOARD_BYTES", bytes),
        ("SWITCHBOARD_REPLY_TO", reply_to),
        ("SWITCHBOARD_ID", entry.client_id.map(String::from)),
    ] {
        variables.extend(value.map(|value| (name, value)));
    }
    Task { input, variables }
}

/// The entry as a log has it.
fn logged(entry: &EntryFrame) -> LogEntry {
    let (kind, text, bytes) = match &entry.kind {
        EntryKind::Joined => (LogKind::Joined, None, None),
        EntryKind::Left { reason } => (LogKind::Left, reason.as_ref(), None),
        EntryKind::Renamed { name } => (LogKind::Renamed, Some(name), None),
        EntryKind::Stored {
            file_name,
            file_bytes,
        } => (LogKind::File, Some(file_name), Some(*file_bytes)),
        EntryKind::Text(text) => (LogKind::Text, Some(text), None),
        EntryKind::Topic { topic } => (LogKind::Topic, topic.as_ref(), None),
    };
    LogEntry {
        room: entry.room.as_str().into(),
        epoch: entry.epoch,
        seq: entry.seq,
        time_ms: entry.time_ms.cast_signed(),
        author: entry.from.as_str().into(),
        kind,
        text: text.cloned().unwrap_or_default(),
        bytes,
        reply_to: entry.reply_to,
        client_id: entry.id.as_ref().map(|id| id.as_str().into()),
    }
}
