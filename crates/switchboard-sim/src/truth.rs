//! What is known of all that was said and seen, and what has to hold of it.

use std::collections::{BTreeMap, BTreeSet};

use switchboard_hub::log::{LogEntry, LogKind};
use switchboard_wire::{EntryFrame, EntryKind};

use crate::journal::Disk;
use crate::net::LinkId;

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
    /// What it was ever called on this connection, or asked to be.
    pub(crate) names: BTreeSet<String>,
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
    /// Lives of which every entry is known.
    pub(crate) witnessed: BTreeSet<Life>,
    /// How far a room was on the disk when a run of the hub ended.
    pub(crate) ends: BTreeMap<(u64, String), (u64, u64)>,
    /// Runs of the hub with a log that ended from one moment to the next.
    pub(crate) crashed: BTreeSet<u64>,
    /// Lives that the hub ended while things still happened in them.
    pub(crate) closing: BTreeSet<Life>,
    /// What is to be found in a message: how often each thing happened.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) has_one_shard: bool,
    pub(crate) has_log: bool,
    last_serial: Serial,
    failure: Option<String>,
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
    pub(crate) fn new(has_one_shard: bool, has_log: bool) -> Self {
        Self {
            has_one_shard,
            has_log,
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
    pub(crate) fn hear_secret(&mut self, link: LinkId, names: &BTreeSet<String>, text: &str) {
        let serial = text.strip_prefix(SECRET).and_then(|rest| rest.parse().ok());
        let Some(secret) = serial.and_then(|serial: Serial| self.secrets.get_mut(&serial)) else {
            return self.fail(format!("link {link} was told what nobody said: {text:?}"));
        };
        if !names.contains(&secret.to) {
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

    /// What was acknowledged is on the disk that a run of the hub has left, and what followers
    /// were given is there as they saw it.
    pub(crate) fn compare_disk(&mut self, run: u64, disk: &Disk) {
        for (room, lives) in disk {
            if let Some(life) = lives.last() {
                let last = life.entries.last().map_or(0, |entry| entry.seq);
                self.ends
                    .insert((run, room.to_string()), (life.epoch, last));
            }
        }
        let find = |room: &str, epoch: u64, seq: u64| {
            let lives = disk.get(room)?;
            let life = lives.iter().find(|life| life.epoch == epoch)?;
            let index = life.entries.binary_search_by_key(&seq, |entry| entry.seq);
            life.entries.get(index.ok()?)
        };
        let mut wrong = None;
        for ack in self.acked.iter().filter(|ack| ack.durable) {
            let entry = find(&ack.room, ack.epoch, ack.seq);
            let id = entry.and_then(|entry| entry.client_id.as_deref());
            if id != Some(format!("id-{}", ack.serial).as_str()) {
                wrong = Some(format!("{ack:?} is lost: there is {entry:?}"));
            }
        }
        for ((room, epoch), entries) in &self.lives {
            for entry in entries.values() {
                let kept = find(room, *epoch, entry.seq);
                if kept.is_none_or(|kept| !is_same(kept, entry)) {
                    wrong = Some(format!("{entry:?} was seen, and there is {kept:?}"));
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

/// Whether a follower saw what the log has.
fn is_same(kept: &LogEntry, seen: &EntryFrame) -> bool {
    let id = seen.id.as_ref().map(|id| id.as_str());
    let is_text = match &seen.kind {
        EntryKind::Text(text) => kept.kind == LogKind::Text && kept.text == *text,
        _ => kept.kind != LogKind::Text,
    };
    is_text && *kept.author == *seen.from && kept.client_id.as_deref() == id
}

/// The number in a text.
pub(crate) fn serial_of(text: &str) -> Option<Serial> {
    let (serial, _) = text.strip_prefix(TEXT)?.split_once('.')?;
    serial.parse().ok()
}
