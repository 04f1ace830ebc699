//! How many small entries a second the log takes: `log_rate [DIR [SECONDS [BYTES [ROOMS]]]]`.
//!
//! Appends as a shard does, a turn's entries at a time, as long as the backlog is not full, and
//! prints the rate at which entries became durable, and in how many commits.
#![allow(clippy::print_stdout, reason = "it is what the program is for")]
#![allow(
    clippy::unwrap_used,
    reason = "it is a measurement, and ends where it cannot be made"
)]

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use switchboard_hub::log::{
    Asker, Journal, Log, LogConfig, LogEntry, LogKind, LogReply, LogRequest,
};

/// Entries that come in one turn.
const TURN: u64 = 128;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let data = arguments.next().unwrap_or_else(|| ".".into());
    let mut number = |usual: u64| arguments.next().map_or(usual, |text| text.parse().unwrap());
    let (seconds, bytes, rooms) = (number(5), number(100), number(1));

    let (sender, replies) = mpsc::channel();
    let log = Log::open(LogConfig::new(data), move |_, reply| {
        sender.send(reply).ok();
    })
    .unwrap();
    let names: Vec<Arc<str>> = (0..rooms)
        .map(|room| format!("room-{room}").into())
        .collect();
    let author: Arc<str> = "somebody".into();
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(1_000);
    let text = text.get(..usize::try_from(bytes).unwrap()).unwrap();
    let epoch = u64::from(std::process::id());
    let begun = Instant::now();
    let (mut turns, mut commits, mut durable) = (0, 0_u64, 0_u64);
    let mut take = |reply| match reply {
        LogReply::Durable(marks) => {
            commits += 1;
            durable = marks.iter().map(|mark| mark.seq).max().unwrap_or(durable);
        }
        other => println!("{other:?}"),
    };
    while begun.elapsed() < Duration::from_secs(seconds) {
        let entries = (1..=TURN).flat_map(|number| {
            names.iter().map({
                let author = &author;
                move |room| LogEntry {
                    room: Arc::clone(room),
                    epoch,
                    seq: turns * TURN + number,
                    time_ms: 0,
                    author: Arc::clone(author),
                    kind: LogKind::Text,
                    text: text.to_owned(),
                    bytes: None,
                    reply_to: None,
                    client_id: None,
                }
            })
        });
        log.request(Asker(0), LogRequest::Append(entries.collect()));
        turns += 1;
        while log.backlog().is_full() {
            take(replies.recv().unwrap());
        }
        replies.try_iter().for_each(&mut take);
    }
    let asked = Instant::now();
    log.request(Asker(0), LogRequest::Rooms { id: 0 });
    while let Ok(reply) = replies.recv() {
        match reply {
            LogReply::Rooms { .. } => break,
            other => take(other),
        }
    }
    let (elapsed, entries) = (begun.elapsed(), turns * TURN * rooms);
    println!(
        "{entries} entries in {:.2} s: {:.0} a second, {commits} commits ({:.0} a second), the \
         last {:.0} ms after it was appended",
        elapsed.as_secs_f64(),
        f64::from(u32::try_from(entries).unwrap()) / elapsed.as_secs_f64(),
        f64::from(u32::try_from(commits).unwrap()) / elapsed.as_secs_f64(),
        asked.elapsed().as_secs_f64() * 1e3,
    );
}
