//! A network that is made up: connections are numbers, and what is sent to them lies there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use berkeley::{Addr, Result};
use bytes::Bytes;
use switchboard_hub::names::Names;
use switchboard_hub::shard::{Arrival, Guests, Net, Shard};
use switchboard_hub::{Door, Limits, Senses};
use switchboard_reactor::SendError;
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
pub(crate) struct Line {
    pub(crate) stage: Stage,
    /// Sent and not taken yet.
    pub(crate) outbox: Vec<u8>,
    outbox_bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Wires {
    now: Instant,
    pub(crate) lines: BTreeMap<u32, Line>,
    timers: BTreeMap<u64, (Instant, u64)>,
    last_timer: u64,
    stopped: bool,
}

impl Wires {
    fn line(&mut self, token: u32) -> &mut Line {
        self.lines.entry(token).or_default()
    }
}

impl Net for Wires {
    type Token = u32;
    type Timer = u64;
    type Socket = u32;

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

    fn limit_reads(&mut self, _: u32, _: u32) {}

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

    fn outbox_bytes(&self, token: u32) -> usize {
        self.lines.get(&token).map_or(0, |line| line.outbox.len())
    }

    fn send_datagram(&self, _: u32, _: &Addr, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn pause(&mut self, _: u32) {}

    fn resume(&mut self, _: u32) {}

    fn end_gently(&mut self, _: u32) {}

    fn finish(&mut self, token: u32, _: Duration) {
        self.line(token).stage = Stage::Finished;
    }

    fn close(&mut self, _: u32) {}

    fn reset(&mut self, token: u32) {
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
pub(crate) struct World {
    pub(crate) shard: Shard<Wires>,
    pub(crate) net: Wires,
    last: u32,
    readers: BTreeMap<u32, DeliveryDecoder>,
}

impl World {
    pub(crate) fn new(limits: Limits) -> Self {
        let mut epoch = 0;
        let senses = Senses {
            clock: Box::new(moment),
            unix_ms: Box::new(|| 5_000),
            entropy: Box::new(move || {
                epoch += 1;
                epoch
            }),
        };
        let names = Arc::new(Mutex::new(Names::new()));
        let kept = vec![RoomName::new("kept").unwrap()];
        let mut shard = Shard::new(limits, senses, names, kept, None);
        shard.add_door(CHAT, Door::Chat, 8000, None);
        shard.add_door(PARCELS, Door::Parcels, 8001, None);
        let net = Wires {
            now: Instant::now(),
            lines: BTreeMap::new(),
            timers: BTreeMap::new(),
            last_timer: 0,
            stopped: false,
        };
        Self {
            shard,
            net,
            last: 0,
            readers: BTreeMap::new(),
        }
    }

    /// Somebody comes, whose address is `10.0.0.1:N` for the N-th.
    pub(crate) fn connect(&mut self, door: u32) -> u32 {
        self.last += 1;
        let socket = self.last;
        let arrival = Arrival {
            label: format!("10.0.0.1:{socket}").into(),
            guest: Guests::Local,
            is_loopback: true,
        };
        self.shard.arrived(&mut self.net, door, socket, arrival);
        socket
    }

    pub(crate) fn send(&mut self, who: u32, bytes: &[u8]) {
        self.shard.received(&mut self.net, who, bytes);
    }

    /// A member says a line; gives what that brings itself.
    pub(crate) fn say(&mut self, who: u32, line: &str) -> String {
        self.send(who, format!("{line}\n").as_bytes());
        self.hears(who)
    }

    /// What came for somebody since the last time.
    pub(crate) fn takes(&mut self, who: u32) -> Vec<u8> {
        std::mem::take(&mut self.net.line(who).outbox)
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

    pub(crate) fn vanish(&mut self, who: u32) {
        self.shard.closed(&mut self.net, who, Some("broken".into()));
    }

    pub(crate) fn stage(&self, who: u32) -> Stage {
        self.net.lines[&who].stage
    }

    /// Time goes by, and what is due happens.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.net.now + time;
        loop {
            let next = self.net.timers.iter().min_by_key(|(_, (at, _))| *at);
            let Some((&timer, &(at, tag))) = next.filter(|(_, (at, _))| *at <= end) else {
                break;
            };
            self.net.timers.remove(&timer);
            self.net.now = self.net.now.max(at);
            self.shard.timer(&mut self.net, tag);
        }
        self.net.now = end;
    }

    pub(crate) fn stop(&mut self) -> bool {
        self.shard.begin_stop(&mut self.net);
        let open: Vec<u32> = self.net.lines.keys().copied().collect();
        for who in open {
            self.shard.closed(&mut self.net, who, None);
        }
        self.net.stopped
    }
}

fn moment() -> Moment {
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
