//! A network that is made up: connections are numbers, and what is sent to them lies there.

use core::ops::Range;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use berkeley::{Addr, Result};
use bytes::Bytes;
use switchboard_hub::log::LogReply;
use switchboard_hub::room::{Room, ShardId};
use switchboard_hub::shard::{
    Arrival, Batch, Guests, Net, Place, Shard, ShardConfig, Shared, SharedJournal,
};
use switchboard_hub::{Door, Limits, Senses};
use switchboard_reactor::{Behind, FeedLimits, SendError};
use switchboard_wire::strftime::Moment;
use switchboard_wire::{Delivered, DeliveryDecoder, RoomName};

pub(crate) const CHAT: u32 = 1_000_000;
pub(crate) const PARCELS: u32 = 1_000_001;

/// How a connection stands.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    #[default]
    Open,
    Finished,
    Reset,
    TurnedAway,
}

#[derive(Debug, Default)]
struct Line {
    stage: Stage,
    is_paused: bool,
    /// Sent and not taken yet.
    outbox: Vec<u8>,
    outbox_bytes: usize,
    /// What is read in one turn at most, if that was told.
    reads: Option<u32>,
    /// The time that it has to close.
    time_to_finish: Option<Duration>,
}

#[derive(Debug)]
struct Wires {
    now: Instant,
    lines: BTreeMap<u32, Line>,
    feeds: BTreeMap<u32, Feed>,
    last_feed: u32,
    timers: BTreeMap<u64, (Instant, u64)>,
    last_timer: u64,
    stopped: bool,
}

/// What is in a feed from a number on, and who has got everything before which number.
#[derive(Debug)]
struct Feed {
    limits: FeedLimits,
    first: u64,
    entries: VecDeque<(Vec<u8>, Option<u32>)>,
    bytes: usize,
    readers: BTreeMap<u32, u64>,
}

impl Feed {
    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }
}

impl Wires {
    fn feed_of(&self, token: u32) -> Option<u32> {
        let feeds = self.feeds.iter();
        let mut has_it = feeds.filter(|(_, feed)| feed.readers.contains_key(&token));
        has_it.next().map(|(id, _)| *id)
    }

    /// Gives somebody what is next for it, as far as there is room; answers the number of the entry
    /// that it should get if that is gone.
    fn pump(&mut self, token: u32) -> Option<u64> {
        let id = self.feed_of(token)?;
        loop {
            let feed = self.feeds.get_mut(&id)?;
            let next = feed.readers.get_mut(&token)?;
            let line = self.lines.entry(token).or_default();
            if *next < feed.first {
                // It is told when it can be written to again.
                let is_told = line.outbox.is_empty();
                return is_told.then(|| feed.readers.remove(&token)).flatten();
            }
            let index = usize::try_from(*next - feed.first).unwrap();
            let (bytes, except) = feed.entries.get(index)?;
            if *except != Some(token) {
                if line.stage != Stage::Open || line.outbox.len() + bytes.len() > line.outbox_bytes
                {
                    return None;
                }
                line.outbox.extend(bytes);
            }
            *next += 1;
        }
    }

    fn line(&mut self, token: u32) -> &mut Line {
        self.lines.entry(token).or_default()
    }
}

impl Net for Wires {
    type Token = u32;
    type Feed = u32;
    type Timer = u64;
    type Socket = u32;

    fn place(token: u32) -> usize {
        token as usize
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn add(&mut self, socket: u32, outbox_bytes: usize, _: bool) -> Result<u32> {
        self.line(socket).outbox_bytes = outbox_bytes;
        Ok(socket)
    }

    fn turn_away(&mut self, socket: u32, last_line: Option<Bytes>) {
        let line = self.line(socket);
        line.stage = Stage::TurnedAway;
        line.outbox.extend(last_line.unwrap_or_default());
    }

    fn limit_reads(&mut self, token: u32, bytes: u32) {
        self.line(token).reads = Some(bytes);
    }

    fn send(&mut self, token: u32, piece: Bytes) -> core::result::Result<(), SendError> {
        let line = self.line(token);
        if line.stage != Stage::Open {
            return Err(SendError::Gone);
        }
        if line.outbox.len() + piece.len() > line.outbox_bytes {
            return Err(SendError::Full);
        }
        line.outbox.extend(piece);
        Ok(())
    }

    fn add_feed(&mut self, limits: FeedLimits) -> u32 {
        self.last_feed += 1;
        let feed = Feed {
            limits,
            first: 0,
            entries: VecDeque::new(),
            bytes: 0,
            readers: BTreeMap::new(),
        };
        self.feeds.insert(self.last_feed, feed);
        self.last_feed
    }

    fn remove_feed(&mut self, feed: u32) {
        self.feeds.remove(&feed);
    }

    fn append(&mut self, feed: u32, bytes: &[u8], except: Option<u32>) -> u64 {
        let Some(it) = self.feeds.get_mut(&feed) else {
            return 0;
        };
        let number = it.next();
        it.entries.push_back((bytes.to_vec(), except));
        it.bytes += bytes.len();
        let readers: Vec<u32> = it.readers.keys().copied().collect();
        for reader in readers {
            assert_eq!(self.pump(reader), None);
        }
        let it = self.feeds.get_mut(&feed).unwrap();
        while it.entries.len() > it.limits.entries_max
            || it.bytes > it.limits.bytes_max && it.entries.len() > 1
        {
            let gone = it.entries.pop_front().map_or(0, |(bytes, _)| bytes.len());
            it.bytes -= gone;
            it.first += 1;
        }
        number
    }

    fn subscribe(&mut self, token: u32, feed: u32, from: u64) -> core::result::Result<(), Behind> {
        if self.line(token).stage != Stage::Open {
            return Ok(());
        }
        if self.feeds.get(&feed).is_none_or(|feed| feed.first > from) {
            return Err(Behind);
        }
        if let Some(other) = self.feed_of(token) {
            self.feeds.get_mut(&other).unwrap().readers.remove(&token);
        }
        let feed = self.feeds.get_mut(&feed).unwrap();
        feed.readers.insert(token, from);
        assert_eq!(self.pump(token), None);
        Ok(())
    }

    fn leave_feed(&mut self, token: u32) -> core::result::Result<(), Behind> {
        let Some(id) = self.feed_of(token) else {
            return Ok(());
        };
        let feed = self.feeds.get_mut(&id).unwrap();
        let next = feed.readers.remove(&token).unwrap();
        // What was taken was given at once: the rest is for somebody whose outbox is full.
        if next < feed.next() {
            Err(Behind)
        } else {
            Ok(())
        }
    }

    fn feed_range(&self, feed: u32) -> Range<u64> {
        let feed = self.feeds.get(&feed);
        feed.map_or(0..0, |feed| feed.first..feed.next())
    }

    fn feed_next(&self, token: u32) -> Option<u64> {
        let feed = self.feeds.get(&self.feed_of(token)?)?;
        feed.readers.get(&token).copied()
    }

    fn outbox_bytes(&self, token: u32) -> usize {
        self.lines.get(&token).map_or(0, |line| line.outbox.len())
    }

    fn send_datagram(&self, _: u32, _: &Addr, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn pause(&mut self, token: u32) {
        let was = std::mem::replace(&mut self.line(token).is_paused, true);
        assert!(!was, "a pause for each resume");
    }

    fn resume(&mut self, token: u32) {
        let was = std::mem::replace(&mut self.line(token).is_paused, false);
        assert!(was, "a resume for each pause");
    }

    fn end_gently(&mut self, _: u32) {}

    fn finish(&mut self, token: u32, time: Duration) {
        self.leave_feed(token).ok();
        let line = self.line(token);
        (line.stage, line.time_to_finish) = (Stage::Finished, Some(time));
    }

    fn close(&mut self, _: u32) {}

    fn reset(&mut self, token: u32) {
        self.leave_feed(token).ok();
        self.line(token).stage = Stage::Reset;
    }

    fn set_timer(&mut self, at: Instant, tag: u64) -> u64 {
        self.last_timer += 1;
        self.timers.insert(self.last_timer, (at, tag));
        self.last_timer
    }

    fn cancel_timer(&mut self, timer: u64) {
        self.timers.remove(&timer);
    }

    fn stop(&mut self) {
        self.stopped = true;
    }
}

/// A shard on such a network.
struct Part {
    shard: Shard<Wires>,
    net: Wires,
}

/// The shards of a hub on such networks, each with its own.
pub(crate) struct World {
    parts: Vec<Part>,
    last: u32,
    readers: BTreeMap<u32, DeliveryDecoder>,
    on_the_way: VecDeque<(ShardId, Batch)>,
    /// By who sent and who received, batches that were handed over.
    pub(crate) hand_overs: BTreeMap<(u16, u16), usize>,
}

impl World {
    pub(crate) fn new(limits: Limits) -> Self {
        Self::with_shards(1, &limits)
    }

    pub(crate) fn with_shards(shards: u16, limits: &Limits) -> Self {
        Self::with_journal(shards, limits, None)
    }

    pub(crate) fn with_journal(
        shards: u16,
        limits: &Limits,
        journal: Option<SharedJournal>,
    ) -> Self {
        let epoch = AtomicU64::new(0);
        let senses = Senses {
            clock: Arc::new(moment),
            unix_ms: Arc::new(|| 5_000),
            entropy: Arc::new(move || epoch.fetch_add(1, Ordering::Relaxed) + 1),
        };
        let shared = Shared::new();
        let part = |here| {
            let mut shard = Shard::new(ShardConfig {
                place: Place { here, shards },
                limits: limits.clone(),
                senses: senses.clone(),
                shared: Arc::clone(&shared),
                kept_rooms: vec![RoomName::new("kept").unwrap()],
                store: None,
                journal: journal.clone(),
            });
            shard.add_door(CHAT, Door::Chat, 8000, None);
            shard.add_door(PARCELS, Door::Parcels, 8001, None);
            let net = Wires {
                now: Instant::now(),
                lines: BTreeMap::new(),
                feeds: BTreeMap::new(),
                last_feed: 0,
                timers: BTreeMap::new(),
                last_timer: 0,
                stopped: false,
            };
            Part { shard, net }
        };
        Self {
            parts: (0..shards).map(ShardId).map(part).collect(),
            last: 0,
            readers: BTreeMap::new(),
            on_the_way: VecDeque::new(),
            hand_overs: BTreeMap::new(),
        }
    }

    /// The shard that somebody is connected to: the first for the first, the next for the next.
    fn home(&mut self, who: u32) -> &mut Part {
        let count = self.parts.len();
        &mut self.parts[(who as usize - 1) % count]
    }

    fn line(&mut self, who: u32) -> &mut Line {
        self.home(who).net.line(who)
    }

    /// A room, wherever it is.
    pub(crate) fn room(&self, name: &RoomName) -> Option<&Room> {
        let mut rooms = self
            .parts
            .iter()
            .filter_map(|part| part.shard.rooms().get(name));
        let room = rooms.next();
        assert!(rooms.next().is_none(), "a room has one owner");
        room
    }

    /// What the shards have for each other goes there, and what follows from it, until there is no
    /// more.
    pub(crate) fn hand_over(&mut self) {
        loop {
            let mut batches = Vec::new();
            for (from, part) in (0..).zip(&mut self.parts) {
                batches.extend(part.shard.outgoing().map(|(to, batch)| (from, to, batch)));
            }
            if batches.is_empty() {
                return;
            }
            for (from, ShardId(to), batch) in batches {
                *self.hand_overs.entry((from, to)).or_default() += 1;
                let part = &mut self.parts[usize::from(to)];
                part.shard.handed_over(&mut part.net, batch);
            }
        }
    }

    /// What the shards have for each other leaves them, and is not there yet.
    pub(crate) fn send_off(&mut self) {
        for part in &mut self.parts {
            self.on_the_way.extend(part.shard.outgoing());
        }
    }

    /// One batch that is on the way arrives; false if there is none.
    pub(crate) fn arrive(&mut self) -> bool {
        let Some((ShardId(to), batch)) = self.on_the_way.pop_front() else {
            return false;
        };
        let part = &mut self.parts[usize::from(to)];
        part.shard.handed_over(&mut part.net, batch);
        true
    }

    /// The turn ends, and what happened in it goes to the log.
    pub(crate) fn end_turn(&mut self) {
        for part in &mut self.parts {
            part.shard.turn_ended();
        }
    }

    /// The log answers the first shard.
    pub(crate) fn log_says(&mut self, reply: LogReply) {
        let part = &mut self.parts[0];
        part.shard.log_replied(&mut part.net, reply);
        self.hand_over();
    }

    /// Somebody has taken all that was sent.
    pub(crate) fn drained(&mut self, who: u32) {
        self.home(who).shard.drained(who);
    }

    /// Somebody comes, whose address is `10.0.0.1:N` for the N-th.
    pub(crate) fn connect(&mut self, door: u32) -> u32 {
        let socket = self.knock(door);
        self.hand_over();
        socket
    }

    /// The same before the shards have heard of each other.
    pub(crate) fn knock(&mut self, door: u32) -> u32 {
        self.knock_from(door, Guests::Local, true)
    }

    /// The same from a host of its own.
    pub(crate) fn knock_from(&mut self, door: u32, guest: Guests, is_loopback: bool) -> u32 {
        self.last += 1;
        let socket = self.last;
        let arrival = Arrival {
            label: format!("10.0.0.1:{socket}").into(),
            guest,
            is_loopback,
        };
        let part = self.home(socket);
        part.shard.arrived(&mut part.net, door, socket, arrival);
        socket
    }

    pub(crate) fn send(&mut self, who: u32, bytes: &[u8]) {
        self.give(who, bytes);
        self.hand_over();
    }

    /// The same before the shards have heard of each other.
    pub(crate) fn give(&mut self, who: u32, bytes: &[u8]) {
        // What still comes from a connection that is being ended is thrown away.
        if self.stage(who) == Stage::Open {
            let part = self.home(who);
            part.shard.received(&mut part.net, who, bytes);
        }
    }

    /// A member says a line; gives what that brings itself.
    pub(crate) fn say(&mut self, who: u32, line: &str) -> String {
        self.send(who, format!("{line}\n").as_bytes());
        self.hears(who)
    }

    /// What came for somebody since the last time.
    pub(crate) fn takes(&mut self, who: u32) -> Vec<u8> {
        let taken = std::mem::take(&mut self.line(who).outbox);
        let part = self.home(who);
        if let Some(next) = part.net.pump(who) {
            part.shard.behind(&mut part.net, who, next);
            self.hand_over();
        }
        taken
    }

    pub(crate) fn hears(&mut self, who: u32) -> String {
        String::from_utf8(self.takes(who)).unwrap()
    }

    /// The same for a program.
    pub(crate) fn reads(&mut self, who: u32) -> Vec<Delivered> {
        let bytes = self.takes(who);
        let mut rest = bytes.as_slice();
        let decoder = self.readers.entry(who).or_default();
        std::iter::from_fn(|| decoder.push(&mut rest).unwrap()).collect()
    }

    /// The network has closed somebody's connection, who takes nothing.
    pub(crate) fn stall(&mut self, who: u32) {
        let part = self.home(who);
        part.net.reset(who);
        part.shard.stalled(&mut part.net, who);
        self.hand_over();
    }

    pub(crate) fn vanish(&mut self, who: u32) {
        self.close(who, Some("broken"));
    }

    pub(crate) fn close(&mut self, who: u32, reason: Option<&str>) {
        let part = self.home(who);
        part.net.leave_feed(who).ok();
        let reason = reason.map(str::to_owned);
        part.shard.closed(&mut part.net, who, reason);
        self.hand_over();
    }

    /// Somebody ends its side.
    pub(crate) fn end(&mut self, who: u32) {
        if self.stage(who) == Stage::Open {
            let part = self.home(who);
            part.shard.ended(&mut part.net, who);
            self.hand_over();
        }
    }

    pub(crate) fn stage(&mut self, who: u32) -> Stage {
        self.line(who).stage
    }

    pub(crate) fn is_paused(&mut self, who: u32) -> bool {
        self.line(who).is_paused
    }

    /// How many timers are set.
    pub(crate) fn timers(&self) -> usize {
        self.parts.iter().map(|part| part.net.timers.len()).sum()
    }

    /// How much is read from somebody in one turn, if that is limited.
    pub(crate) fn reads_at_once(&mut self, who: u32) -> Option<u32> {
        self.line(who).reads
    }

    /// The time that somebody whose connection was finished has to close it.
    pub(crate) fn time_to_finish(&mut self, who: u32) -> Option<Duration> {
        self.line(who).time_to_finish
    }

    /// What the hub does from time to time begins.
    pub(crate) fn begin_upkeep(&mut self) {
        let Part { shard, net } = &mut self.parts[0];
        shard.begin_upkeep(net);
    }

    /// The whole hub stands still for so long, and notices what is due only then.
    pub(crate) fn stand_still(&mut self, time: Duration) {
        for part in &mut self.parts {
            part.net.now += time;
        }
        self.wait(Duration::ZERO);
    }

    /// Time goes by, and what is due happens.
    pub(crate) fn wait(&mut self, time: Duration) {
        for index in 0..self.parts.len() {
            let Part { shard, net } = &mut self.parts[index];
            let end = net.now + time;
            loop {
                let next = net.timers.iter().min_by_key(|(_, (at, _))| *at);
                let Some((&timer, &(at, tag))) = next.filter(|(_, (at, _))| *at <= end) else {
                    break;
                };
                net.timers.remove(&timer);
                net.now = net.now.max(at);
                shard.timer(net, tag);
            }
            net.now = end;
        }
        self.hand_over();
    }

    /// The hub ends, and everybody goes; true if all shards have ended then.
    pub(crate) fn stop(&mut self) -> bool {
        self.begin_stop();
        for who in 1..=self.last {
            self.close(who, None);
        }
        self.has_ended()
    }

    pub(crate) fn begin_stop(&mut self) {
        for part in &mut self.parts {
            part.shard.begin_stop(&mut part.net);
        }
        self.hand_over();
    }

    /// All shards have ended; none has if not all have.
    pub(crate) fn has_ended(&self) -> bool {
        let ended = self.parts.iter().filter(|part| part.net.stopped).count();
        assert!(ended == 0 || ended == self.parts.len());
        ended > 0
    }
}

pub(crate) fn moment() -> Moment {
    Moment {
        year: 2026,
        month: 11,
        day: 21,
        hour: 7,
        minute: 5,
        second: 9,
        weekday: 6,
        year_day: 325,
        unix_seconds: 1_795_244_709,
        offset_seconds: 0,
        zone: "UTC".into(),
    }
}
