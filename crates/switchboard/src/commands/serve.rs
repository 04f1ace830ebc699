//! `switchboard serve`.

use std::io::{self, IsTerminal, Write};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use berkeley::selector::Backend;
use berkeley::{Endpoint, Errno, Transport};
use clap::builder::RangedU64ValueParser;
use switchboard_hub::limits::{MESSAGES_PER_SECOND_MAX, SHARDS_MAX};
use switchboard_hub::store::StoreError;
use switchboard_hub::{Config, Door, Hub, HubError, Keep, Limits, Senses};
use switchboard_wire::RoomName;
use tracing::{Level, info, warn};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::log_rate::{LineLimit, Telling};
use crate::{clock, signals, terminal};

/// Lines of the log that wait to be written at most. The longest have about 1 KiB, so that a reader
/// who stopped costs at most 32 MiB.
const LOG_LINES_MAX: usize = 32 * 1024;

/// Run the hub: chat, messages and files, and the time.
///
/// With no option it listens on this machine only: chat at 8000, parcels at 8001, the time at
/// 9000 (UDP), and keeps what it receives in ./switchboard-data. The open doors are told on
/// standard output, what happens on standard error. Ctrl-C ends it in good order.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  switchboard serve                                  for this machine only
  switchboard serve --chat :8000 --parcels :8001     for everybody who can reach this machine
  switchboard serve --data /srv/hub --time off       data elsewhere, no time door
  switchboard serve --unix /run/hub.sock             parcels by a Unix socket too
  switchboard serve --keep-days 30                   forget what was said after a month
  switchboard serve --log off --keep-room kitchen    keep nothing, but the room while it runs

  nc 127.0.0.1 8000                                  join the chat with nothing but netcat")]
pub(crate) struct Args {
    /// Folder for everything that is kept; files lie in its subfolder `files`
    #[arg(long, value_name = "DIR", default_value = "switchboard-data")]
    data: PathBuf,

    /// Where to open the chat door: text lines, one a message
    #[arg(long, value_name = "ADDR|off", default_value = "127.0.0.1:8000")]
    chat: String,

    /// Where to open the parcel door: messages and files
    #[arg(long, value_name = "ADDR|off", default_value = "127.0.0.1:8001")]
    parcels: String,

    /// Where to open the time door: answers UDP datagrams
    #[arg(long, value_name = "ADDR|off", default_value = "127.0.0.1:9000")]
    time: String,

    /// Open the parcel door at a Unix socket as well (`@NAME` for an abstract one)
    #[arg(long, value_name = "PATH")]
    unix: Option<String>,

    /// How to wait for sockets
    #[arg(long, default_value_t = Backend::BEST, value_parser = super::mux())]
    mux: Backend,

    /// Threads that have connections and rooms of their own; more than cores gain nothing
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = shards())]
    shards: u16,

    /// A room that is not forgotten when the last member has gone, as others are; may be repeated
    #[arg(long = "keep-room", value_name = "ROOM", value_parser = super::room)]
    keep_rooms: Vec<RoomName>,

    /// Whether what is said is kept: in `log.sqlite` in the data folder
    #[arg(long, value_name = "on|off", default_value = "on", value_parser = ["on", "off"])]
    log: String,

    /// Keep what was said for so many days; for ever otherwise
    #[arg(long, value_name = "N", value_parser = count)]
    keep_days: Option<u32>,

    /// Keep so many bytes of what was said in each room, or a little more; all otherwise
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    keep_bytes: Option<u64>,

    #[command(flatten)]
    limits: LimitArgs,

    /// Log more: refused datagrams, every request for the time
    #[arg(short, long)]
    verbose: bool,

    /// Log only what went wrong
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
}

/// What one peer, and all of them, may cost.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// Connections at once [default: 10000, or what the system's descriptors allow]
    #[arg(long, value_name = "N", value_parser = count)]
    connections: Option<u32>,

    /// Connections at once from one address [default: 64, this machine's own not counted]
    #[arg(long, value_name = "N", value_parser = count)]
    connections_per_address: Option<u32>,

    /// Bytes of answers that may wait for one member before it is dropped [default: 4194304]
    #[arg(long, value_name = "BYTES", value_parser = count)]
    outbox: Option<u32>,

    /// Seconds that a member may take nothing of what waits for it [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = count)]
    outbox_time: Option<u32>,

    /// Rooms at once [default: 10000]
    #[arg(long, value_name = "N", value_parser = count)]
    rooms: Option<u32>,

    /// Members of one room at once [default: 200000]
    #[arg(long, value_name = "N", value_parser = count)]
    room_members: Option<u32>,

    /// Seconds that a member of the chat may be silent [default: 86400]
    #[arg(long, value_name = "SECONDS", value_parser = count)]
    chat_idle: Option<u32>,

    /// Seconds that a parcel connection may be silent [default: 300]
    #[arg(long, value_name = "SECONDS", value_parser = count)]
    parcel_idle: Option<u32>,

    /// Seconds that a parcel may take, besides 1 for each 16 KiB of it [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = count)]
    frame_time: Option<u32>,

    /// Seconds that a line may take from its first byte to its end [default: 600]
    #[arg(long, value_name = "SECONDS", value_parser = count)]
    line_time: Option<u32>,

    /// Messages a second of one connection, lines or parcels, before it is slowed [default: any]
    #[arg(long, value_name = "N", value_parser = messages_per_second)]
    messages_per_second: Option<NonZeroU32>,

    /// Bytes of the longest chat line [default: 65536]
    #[arg(long, value_name = "BYTES", value_parser = count)]
    max_line: Option<u32>,

    /// Bytes of the longest message in a parcel [default: 1048576]
    #[arg(long, value_name = "BYTES", value_parser = frame_length)]
    max_message: Option<u32>,

    /// Bytes of the largest file in a parcel [default: 2147483647]
    #[arg(long, value_name = "BYTES", value_parser = frame_length)]
    max_file: Option<u32>,

    /// Bytes kept of uploads that broke off and can be resumed; 0 keeps none [default: 4294967296]
    #[arg(long, value_name = "BYTES")]
    unfinished_bytes: Option<u64>,

    /// Seconds that one is kept after its last byte [default: 86400]
    #[arg(long, value_name = "SECONDS", value_parser = count)]
    unfinished_time: Option<u32>,
}

fn shards() -> RangedU64ValueParser<u16> {
    RangedU64ValueParser::new().range(1..=u64::from(SHARDS_MAX))
}

/// A count or a size: at least one.
fn count(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| format!("it is a whole number from 1 to {}", u32::MAX))
}

/// A rate that can be kept.
fn messages_per_second(text: &str) -> Result<NonZeroU32, String> {
    let rate: Option<NonZeroU32> = text.parse().ok();
    rate.filter(|rate| rate.get() <= MESSAGES_PER_SECOND_MAX)
        .ok_or_else(|| format!("it is a whole number from 1 to {MESSAGES_PER_SECOND_MAX}"))
}

/// What a frame's length, a signed 32-bit number, can say.
fn frame_length(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|length| *length <= i32::MAX.cast_unsigned())
        .ok_or_else(|| format!("it is a whole number from 0 to {}", i32::MAX))
}

impl LimitArgs {
    fn limits(&self) -> Limits {
        let usual = Limits::default();
        let number = |given: Option<u32>, usual| given.map_or(usual, |given| given as usize);
        let time = |given: Option<u32>, usual| {
            given.map_or(usual, |seconds| Duration::from_secs(u64::from(seconds)))
        };
        Limits {
            connections: number(self.connections, usual.connections),
            connections_per_address: number(
                self.connections_per_address,
                usual.connections_per_address,
            ),
            loopback_counts: self.connections_per_address.is_some(),
            outbox_bytes: number(self.outbox, usual.outbox_bytes),
            outbox_time: time(self.outbox_time, usual.outbox_time),
            rooms: number(self.rooms, usual.rooms),
            room_members: number(self.room_members, usual.room_members),
            chat_idle: time(self.chat_idle, usual.chat_idle),
            line_time: time(self.line_time, usual.line_time),
            parcel_idle: time(self.parcel_idle, usual.parcel_idle),
            frame_time: time(self.frame_time, usual.frame_time),
            messages_per_second: self.messages_per_second,
            line_bytes: number(self.max_line, usual.line_bytes),
            message_bytes: self.max_message.unwrap_or(usual.message_bytes),
            file_bytes: self.max_file.unwrap_or(usual.file_bytes),
            unfinished_bytes: self.unfinished_bytes.unwrap_or(usual.unfinished_bytes),
            unfinished_time: time(self.unfinished_time, usual.unfinished_time),
        }
    }
}

impl Args {
    fn doors(&self) -> anyhow::Result<Vec<(Door, Endpoint)>> {
        let mut doors = Vec::new();
        let wanted = [
            (Door::Chat, &self.chat, Transport::Tcp, 8000),
            (Door::Parcels, &self.parcels, Transport::Tcp, 8001),
            (Door::Time, &self.time, Transport::Udp, 9000),
        ];
        for (door, text, transport, port) in wanted {
            if text == "off" {
                continue;
            }
            let endpoint = Endpoint::parse(text, transport, Some(port))
                .with_context(|| format!("--{door}"))?;
            let fits = endpoint.transport() == transport
                || (transport == Transport::Tcp && endpoint.transport() == Transport::Unix);
            anyhow::ensure!(
                fits,
                "--{door} {text}: the {door} door is a {}:// endpoint",
                transport.scheme()
            );
            doors.push((door, endpoint));
        }
        if let Some(path) = &self.unix {
            let path = path.strip_prefix("unix://").unwrap_or(path);
            let endpoint = Endpoint::parse(path, Transport::Unix, None).context("--unix")?;
            doors.push((Door::Parcels, endpoint));
        }
        anyhow::ensure!(!doors.is_empty(), "every door is off: nobody could come in");
        Ok(doors)
    }

    /// What is kept of what was said.
    fn keep(&self) -> Option<Keep> {
        const DAY: u64 = 24 * 60 * 60;
        let age = |days| Duration::from_secs(u64::from(days) * DAY);
        (self.log == "on").then(|| Keep {
            age: self.keep_days.map(age),
            bytes: self.keep_bytes,
        })
    }

    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let doors = self.doors()?;
        let level = match (self.quiet, self.verbose) {
            (true, _) => Level::WARN,
            (_, true) => Level::DEBUG,
            _ => Level::INFO,
        };
        // The guard is dropped last: it writes out what the log still holds.
        let (_log, dropped, limit) = start_log(level);
        // With the system's own low limit a hub still works, for fewer.
        berkeley::raise_descriptor_limit().ok();
        signals::survive_file_size_limit()?;
        let data = std::path::absolute(&self.data).unwrap_or_else(|_unknown| self.data.clone());
        let hub = Hub::open(Config {
            data: data.clone(),
            doors,
            backend: self.mux,
            shards: self.shards,
            limits: self.limits.limits(),
            log: self.keep(),
            kept_rooms: self.keep_rooms,
            senses: Senses {
                clock: Arc::new(clock::now),
                unix_ms: Arc::new(clock::unix_ms),
                entropy: Arc::new(clock::entropy),
            },
        })
        .map_err(with_hint)?;
        let stopper = hub.stopper();
        signals::on_stop(move || stopper.stop())?;
        announce(&hub, &data);
        let result = hub.run();
        let lines = dropped.dropped_lines();
        if lines > 0 {
            warn!("the log is not whole: {lines} lines came faster than they could be written");
        }
        let lines = limit.left_out();
        if lines > 0 {
            warn!("the log is not whole: {lines} lines were left out, as its rate is limited");
        }
        result?;
        info!("stopped");
        Ok(())
    }
}

/// Adds what the user can do about it.
fn with_hint(error: HubError) -> anyhow::Error {
    let hint = match &error {
        HubError::Door {
            door,
            endpoint,
            source,
        } if source.errno() == Some(Errno::EADDRINUSE) => {
            let flag = match endpoint.unix_name() {
                Some(_) if *door == Door::Parcels => "unix",
                _ => door.name(),
            };
            format!("somebody else listens there: stop it, or choose another place by --{flag}")
        }
        HubError::Store(StoreError::InUse { .. }) => {
            "stop that hub, or choose another folder by --data".to_owned()
        }
        HubError::Log(error) => error.hint().to_owned(),
        _ => String::new(),
    };
    terminal::with_hint(error, &hint)
}

/// Tells which doors are open. Programs read this: a word, spaces, an address; at the end `ready`.
fn announce(hub: &Hub, data: &std::path::Path) {
    let mut text = format!("switchboard {}\n", env!("CARGO_PKG_VERSION"));
    for (door, endpoint) in hub.doors() {
        text.push_str(&format!("{door:<8} {endpoint}\n"));
    }
    text.push_str(&format!("{:<8} {}\n", "data", data.display()));
    text.push_str(&format!(
        "{:<8} {}\nready\n",
        "files",
        hub.files_dir().display()
    ));
    // A hub whose starter does not listen serves all the same.
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .ok();
    if !io::stderr().is_terminal() || !io::stdout().is_terminal() {
        for (door, endpoint) in hub.doors() {
            info!("the {door} door is open at {endpoint}");
        }
        info!("data lies in {}", data.display());
    }
}

/// Starts the log on standard error; answers what writes out the rest of it, what counts the
/// lines that were lost, and what limits their rate. It is written by a thread of its own, and
/// lines are dropped rather than waited for: a terminal that somebody stopped must not stop the
/// hub.
fn start_log(level: Level) -> (WorkerGuard, ErrorCounter, LineLimit) {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LOG_LINES_MAX)
        .finish(io::stderr());
    let dropped = writer.error_counter();
    let limit = LineLimit::new();
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_timer(clock::LogTime)
        .with_writer(Telling(limit.clone(), writer))
        .finish()
        .with(limit.clone())
        .init();
    (guard, dropped, limit)
}
