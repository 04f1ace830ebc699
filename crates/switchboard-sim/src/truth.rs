//! What is known of all that was said and seen, and what has to hold of it.

use std::collections::{BTreeMap, BTreeSet};

use switchboard_hub::log::{LogEntry, LogKind};
use switchboard_wire::{EntryFrame, EntryKind, MessageId};

use crate::journal::Disk;
use crate::net::LinkId;
use crate::plan::Plan;

/// The number of a text that was said: it stands in the text.
pub(crate) type Serial = u64;

/// A text of a client.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) link: LinkId,
    /// Where it may appear.
    pub(crate) rooms: BTreeSet<String>,
    /// The author's number, with which it may be sent again.
    pub(crate) id: Option<String>,
    /// The number of the entry that it answers, as it says itself.
    pub(crate) reply_to: Option<u64>,
    /// It was sent again: its first copy may have been refused, and others taken before it.
    pub(crate) is_repeated: bool,
    /// It has to appear.
    pub(crate) must_appear: bool,
}

/// An acknowledgement.
#[derive(Debug)]
pub(crate) struct Acked {
    pub(crate) serial: Serial,
    pub(crate) room: String,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
    pub(crate) durable: bool,
}

/// The time that a line client spent in a room on one connection.
#[derive(Debug)]
pub(crate) struct Stay {
    pub(crate) link: LinkId,
    /// Which run of the hub it was in.
    pub(crate) run: u64,
    pub(crate) room: String,
    /// What it was called when it came.
    pub(crate) name: String,
    /// What it saw there, answers to itself left out.
    pub(crate) lines: Vec<String>,
    /// Behind how many of them it was told that it missed how many entries.
    pub(crate) missed: Vec<(usize, u64)>,
    /// It is there still, and has to have seen everything.
    pub(crate) is_whole: bool,
}

/// What one member told another alone.
#[derive(Debug)]
pub(crate) struct Secret {
    pub(crate) to: String,
    pub(crate) heard_by: Option<LinkId>,
}

/// What a member was shown of its room when it asked.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) link: LinkId,
    pub(crate) room: String,
    pub(crate) what: Looked,
    /// The last text that it had said in this room.
    pub(crate) said: Option<Serial>,
    pub(crate) lines: Vec<String>,
}

/// What it asked for.
#[derive(Debug, Clone)]
pub(crate) enum Looked {
    /// So many of the newest entries.
    History(usize),
    /// Texts with this in it.
    Word(&'static str),
}

/// A room and one life of it.
pub(crate) type Life = (String, u64);

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) lives: BTreeMap<Life, BTreeMap<u64, EntryFrame>>,
    pub(crate) said: BTreeMap<Serial, Said>,
    pub(crate) acked: Vec<Acked>,
    pub(crate) stays: Vec<Stay>,
    pub(crate) secrets: BTreeMap<Serial, Secret>,
    pub(crate) looks: Vec<Look>,
    /// What each line client was ever called on its connection, or asked to be.
    pub(crate) names: BTreeMap<LinkId, BTreeSet<String>>,
    /// Lives of which every entry is known.
    pub(crate) witnessed: BTreeSet<Life>,
    /// How far a room was on the disk when a run of the hub ended.
    pub(crate) ends: BTreeMap<(u64, String), (u64, u64)>,
    /// Runs of the hub with a log that ended from one moment to the next.
    pub(crate) crashed: BTreeSet<u64>,
    /// Those of them whose log stopped: nothing more came to the disk.
    pub(crate) stopped: BTreeSet<u64>,
    /// In which runs with a log line clients were told that something did not reach them.
    pub(crate) unreached: Vec<(u64, String)>,
    /// Lives that the hub ended while things still happened in them.
    pub(crate) closing: BTreeSet<Life>,
    /// What is to be found in a message: how often each thing happened.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) has_log: bool,
    /// The disk of the log does not keep everything, does not always take everything.
    pub(crate) forgets: bool,
    pub(crate) refuses: bool,
    /// The wall clock is set back now and then.
    pub(crate) is_wall_stepped: bool,
    last_serial: Serial,
    failure: Option<String>,
}

/// What a parcel says that it answers.
pub(crate) fn reply_of(serial: Serial) -> Option<u64> {
    serial.is_multiple_of(3).then_some(serial / 2)
}

/// How a text of a client begins.
const TEXT: &str = "t";
/// A longer one might not be a line that is passed on.
const TEXT_BYTES_MAX: usize = 60_000;
/// What a text consists of besides.
const FILLER: &str = "aß字\u{1f600}z /";
/// How a secret begins.
const SECRET: &str = "secret-";

impl Truth {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            has_log: plan.has_log,
            forgets: plan.disk.forgets(),
            refuses: plan.disk.full > 0 || plan.disk.fails > 0,
            is_wall_stepped: plan.wall_steps,
            ..Self::default()
        }
    }

    /// The first thing that does not hold is the one that counts.
    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        if self.failure.is_none() {
            self.failure = Some(what.into());
        }
    }

    pub(crate) const fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    pub(crate) fn failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A new text of so many bytes or a little more.
    pub(crate) fn say(&mut self, said: Said, bytes: u64) -> (Serial, String) {
        self.last_serial += 1;
        let serial = self.last_serial;
        self.said.insert(serial, said);
        let mut text = format!("{TEXT}{serial}.");
        let bytes = usize::try_from(bytes).unwrap_or(0).min(TEXT_BYTES_MAX);
        text.push_str(&FILLER.repeat(bytes / FILLER.len()));
        text.extend(FILLER.chars().take(bytes % 7));
        text.push('.');
        (serial, text)
    }

    /// A line client is called so, or asks to be.
    pub(crate) fn name(&mut self, link: LinkId, name: &str) {
        self.names.entry(link).or_default().insert(name.to_owned());
    }

    /// A new secret.
    pub(crate) fn tell(&mut self, to: &str) -> (Serial, String) {
        self.last_serial += 1;
        let serial = self.last_serial;
        let secret = Secret {
            to: to.to_owned(),
            heard_by: None,
        };
        self.secrets.insert(serial, secret);
        (serial, format!("{SECRET}{serial}"))
    }

    /// Somebody was told something alone.
    pub(crate) fn hear_secret(&mut self, link: LinkId, text: &str) {
        let serial = text.strip_prefix(SECRET).and_then(|rest| rest.parse().ok());
        let Some(secret) = serial.and_then(|serial: Serial| self.secrets.get_mut(&serial)) else {
            return self.fail(format!("link {link} was told what nobody said: {text:?}"));
        };
        let names = self.names.get(&link);
        if !names.is_some_and(|names| names.contains(&secret.to)) {
            let to = secret.to.clone();
            return self.fail(format!("link {link} ({names:?}) was told what is for {to}"));
        }
        if secret.heard_by.replace(link).is_some() {
            self.fail(format!("{text} was told twice"));
        }
        self.count("secrets heard");
    }

    /// A follower saw an entry. Whoever sees it sees the same.
    pub(crate) fn observe(&mut self, link: LinkId, entry: &EntryFrame) {
        let life = (entry.room.clone(), entry.epoch);
        let entries = self.lives.entry(life).or_default();
        let known = entries.entry(entry.seq).or_insert_with(|| entry.clone());
        if known != entry {
            let known = known.clone();
            self.fail(format!(
                "link {link} saw another entry under the same number:\n  {known:?}\n  {entry:?}"
            ));
        }
    }

    /// A run of the hub has left this on the disk.
    pub(crate) fn end_run(&mut self, run: u64, disk: &Disk) {
        for (room, lives) in disk {
            if let Some(life) = lives.last() {
                let end = (life.epoch, life.last_seq());
                self.ends.insert((run, room.to_string()), end);
            }
        }
    }

    /// What was on the disk of the log at any time is what happened.
    pub(crate) fn read_disk<'a>(&mut self, entries: impl Iterator<Item = &'a LogEntry>) {
        for entry in entries {
            let seen = frame_of(entry);
            let life = (seen.room.clone(), seen.epoch);
            let entries = self.lives.entry(life).or_default();
            let known = entries.entry(seen.seq).or_insert_with(|| seen.clone());
            if *known != seen {
                let what = format!("{known:?} was seen, and there is {entry:?}");
                return self.fail(what);
            }
        }
    }

    /// What was acknowledged is on the disk, and what followers were given is there as they saw it,
    /// unless it is gone by now; and then nothing else is known to have happened.
    pub(crate) fn compare_disk(&mut self, disk: &Disk) {
        let all = disk.values().flatten().flat_map(|life| &life.entries);
        self.read_disk(all);
        let is_gone = |room: &str, epoch: u64, seq: u64| {
            let lives = disk.get(room).into_iter().flatten();
            lives
                .filter(|life| life.epoch == epoch)
                .any(|life| seq <= life.gone)
        };
        let find = |room: &str, epoch: u64, seq: u64| {
            let lives = disk.get(room)?;
            let life = lives.iter().find(|life| life.epoch == epoch)?;
            let index = life.entries.binary_search_by_key(&seq, |entry| entry.seq);
            life.entries.get(index.ok()?)
        };
        let mut wrong = None;
        for ack in self.acked.iter().filter(|ack| ack.durable) {
            if is_gone(&ack.room, ack.epoch, ack.seq) {
                continue;
            }
            let entry = find(&ack.room, ack.epoch, ack.seq);
            let id = entry.and_then(|entry| entry.client_id.as_deref());
            if id != Some(format!("id-{}", ack.serial).as_str()) {
                wrong = Some(format!("{ack:?} is lost: there is {entry:?}"));
            }
        }
        for ((room, epoch), entries) in &self.lives {
            for entry in entries.values() {
                let is_there = find(room, *epoch, entry.seq).is_some();
                if !is_there && !is_gone(room, *epoch, entry.seq) {
                    wrong = Some(format!("{entry:?} was seen, and is not there"));
                }
            }
        }
        if let Some(wrong) = wrong {
            self.fail(wrong);
        }
    }

    pub(crate) fn last_of(&self, life: &Life) -> u64 {
        let entries = self.lives.get(life);
        let last = entries.and_then(|entries| entries.keys().next_back());
        last.copied().unwrap_or(0)
    }
}

/// What a follower has to see of what the log has: told here once more, since the hub is not asked
/// whether it is right.
fn frame_of(entry: &LogEntry) -> EntryFrame {
    let text = || entry.text.clone();
    let some_text = || Some(text()).filter(|text| !text.is_empty());
    EntryFrame {
        room: entry.room.to_string(),
        epoch: entry.epoch,
        seq: entry.seq,
        time_ms: u64::try_from(entry.time_ms).unwrap_or(0),
        from: entry.author.to_string(),
        reply_to: entry.reply_to,
        id: entry.client_id.as_deref().and_then(MessageId::new),
        kind: match entry.kind {
            LogKind::Text => EntryKind::Text(text()),
            LogKind::Joined => EntryKind::Joined,
            LogKind::Left => EntryKind::Left {
                reason: some_text(),
            },
            LogKind::Renamed => EntryKind::Renamed { name: text() },
            LogKind::Topic => EntryKind::Topic { topic: some_text() },
            _ => EntryKind::Stored {
                file_name: text(),
                file_bytes: entry.bytes.unwrap_or(0),
            },
        },
    }
}

/// The number in a text.
pub(crate) fn serial_of(text: &str) -> Option<Serial> {
    let (serial, _) = text.strip_prefix(TEXT)?.split_once('.')?;
    serial.parse().ok()
}
