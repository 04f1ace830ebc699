//! The hub: the real shards, each on its part of the virtual network.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use switchboard_hub::log::LogReply;
use switchboard_hub::room::ShardId;
use switchboard_hub::shard::{
    Arrival, Batch, Guests, Place, Shard, ShardConfig, Shared, SharedJournal,
};
use switchboard_hub::{Door, Senses};
use switchboard_wire::RoomName;
use switchboard_wire::strftime::Moment;

use crate::journal::{Disk, SimJournal};
use crate::net::{In, LinkId, Out, SimNet, Token};
use crate::plan::{Mutant, Plan};
use crate::random::Random;
use crate::time::{Clock, Micros};

/// The doors' tokens: no connection has them.
const CHAT: Token = 1;
const PARCELS: Token = 2;

/// The first token of a shard's connections; each shard has its own range.
pub(crate) const TOKENS: Token = 1 << 40;

/// Somebody at a door.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) link: LinkId,
    pub(crate) door: Door,
    pub(crate) label: String,
    pub(crate) client: usize,
    pub(crate) window: usize,
}

/// What a turn has done.
#[derive(Debug, Default)]
pub(crate) struct Turned {
    pub(crate) out: Vec<Out>,
    /// Callers that were taken in, and their tokens.
    pub(crate) taken: Vec<(LinkId, Token)>,
    /// Bytes that were read.
    pub(crate) read: Vec<(LinkId, usize)>,
    /// What other shards are to have.
    pub(crate) mail: Vec<(usize, Batch)>,
    pub(crate) failure: Option<String>,
}

/// One shard.
pub(crate) struct Unit {
    shard: Shard<SimNet>,
    net: SimNet,
    callers: VecDeque<Caller>,
    mailbox: VecDeque<Batch>,
    log_replies: VecDeque<LogReply>,
    is_to_stop: bool,
    pub(crate) turn_at: Option<Micros>,
}

/// One run of the hub, from its start to its end.
pub(crate) struct Hub {
    pub(crate) run: u64,
    pub(crate) units: Vec<Unit>,
    shared: Arc<Shared>,
    pub(crate) journal: Option<Arc<SimJournal>>,
    /// Since when it is to end.
    pub(crate) stopping: Option<Micros>,
}

impl Hub {
    pub(crate) fn start(
        run: u64,
        plan: &Plan,
        clock: &Clock,
        seed: u64,
        mutant: Option<Mutant>,
        disk: Disk,
    ) -> Self {
        let journal = plan.has_log.then(|| {
            let random = Random::new(seed, 500_000 + run);
            Arc::new(SimJournal::open(disk, &plan.disk, mutant, random))
        });
        let shared = Shared::new();
        let senses = senses(clock, Random::new(seed, 1_000 + run));
        let shards = u16::try_from(plan.shards).unwrap_or(1);
        let unit = |here: u16| {
            let mut shard = Shard::new(ShardConfig {
                place: Place {
                    here: ShardId(here),
                    shards,
                },
                limits: plan.limits.clone(),
                senses: senses.clone(),
                shared: Arc::clone(&shared),
                kept_rooms: Vec::new(),
                store: None,
                journal: journal
                    .as_ref()
                    .map(|journal| Arc::clone(journal) as SharedJournal),
            });
            shard.add_door(CHAT, Door::Chat, 8000, None);
            shard.add_door(PARCELS, Door::Parcels, 8001, None);
            let first = TOKENS * (run * 64 + u64::from(here) + 1);
            let stalls = plan.limits.outbox_time.as_micros();
            let mut net = SimNet::new(clock.clone(), first, seed, mutant);
            net.limit(plan.ring, u64::try_from(stalls).ok());
            if here == 0 && plan.disk.keep_ms.is_some() {
                shard.begin_upkeep(&mut net);
            }
            Unit {
                shard,
                net,
                callers: VecDeque::new(),
                mailbox: VecDeque::new(),
                log_replies: VecDeque::new(),
                is_to_stop: false,
                turn_at: None,
            }
        };
        Self {
            run,
            units: (0..shards).map(unit).collect(),
            shared,
            journal,
            stopping: None,
        }
    }

    /// Which shard numbers the entries of a room.
    pub(crate) fn owner_of(&self, room: &str) -> usize {
        let place = Place {
            here: ShardId(0),
            shards: u16::try_from(self.units.len()).unwrap_or(1),
        };
        let name = RoomName::new(room);
        name.map_or(0, |name| usize::from(place.owner_of(&name).0))
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.units.iter().all(|unit| unit.net.is_stopped())
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = LinkId> + '_ {
        let called = |unit: &'_ Unit| -> Vec<LinkId> {
            let callers = unit.callers.iter().map(|caller| caller.link);
            unit.net.links().chain(callers).collect()
        };
        self.units.iter().flat_map(called)
    }

    pub(crate) fn connections(&self) -> usize {
        self.units.iter().map(|unit| unit.net.connections()).sum()
    }

    /// What is still there when everybody has left.
    pub(crate) fn leftovers(&self) -> Option<String> {
        let names = self.shared.names_taken();
        let rooms: usize = self.units.iter().map(|unit| unit.shard.rooms().len()).sum();
        let connections = self.connections();
        let feeds: usize = self.units.iter().map(|unit| unit.net.feeds()).sum();
        let is_empty = names == 0 && connections == 0 && rooms == 1 && feeds == 0;
        (!is_empty).then(|| {
            format!(
                "everybody left, and there are {connections} connections, {names} names, \
                 {rooms} rooms, {feeds} feeds"
            )
        })
    }
}

impl Unit {
    pub(crate) fn call(&mut self, caller: Caller) {
        self.callers.push_back(caller);
    }

    pub(crate) fn net(&mut self) -> &mut SimNet {
        &mut self.net
    }

    pub(crate) fn begin_stop(&mut self) {
        self.is_to_stop = true;
    }

    /// The log has answered.
    pub(crate) fn reply(&mut self, reply: LogReply) {
        self.log_replies.push_back(reply);
    }

    /// Another shard has sent something.
    pub(crate) fn deliver(&mut self, batch: Batch) {
        self.mailbox.push_back(batch);
    }

    /// When there is something to do: at once, or when a timer is due.
    pub(crate) fn next_turn(&self, now: Micros) -> Option<Micros> {
        let is_called = !self.callers.is_empty()
            || !self.mailbox.is_empty()
            || self.is_to_stop
            || !self.log_replies.is_empty();
        if is_called || !self.net.ready().is_empty() {
            return Some(now);
        }
        self.net.next_timer()
    }

    /// One turn of the loop: everything that is ready is read, then everything is written.
    pub(crate) fn turn(&mut self, random: &mut Random, read_cut: u64) -> Turned {
        let mut turned = Turned::default();
        while let Some(tag) = self.net.due_timer() {
            self.shard.timer(&mut self.net, tag);
        }
        if std::mem::take(&mut self.is_to_stop) {
            self.shard.begin_stop(&mut self.net);
        }
        let takes_mail_first = random.chance(500);
        if takes_mail_first {
            self.take_mail();
        }
        let mut ready = self.net.ready();
        random.shuffle(&mut ready);
        let is_late = random.chance(500);
        if !is_late {
            self.take_in(&mut turned);
        }
        for token in ready {
            let cut = usize::try_from(random.below(read_cut) + 1).unwrap_or(1);
            self.read(token, cut, &mut turned);
        }
        if is_late {
            self.take_in(&mut turned);
        }
        if !takes_mail_first {
            self.take_mail();
        }
        // As the reactor does it: the handler's end of the turn, then the writing, and once more
        // what that has told.
        for _ in 0..2 {
            self.end_turn(&mut turned);
            self.net.flush();
            for token in self.net.take_drained() {
                self.shard.drained(token);
            }
            while let Some((token, next)) = self.net.next_behind() {
                self.shard.behind(&mut self.net, token, next);
            }
        }
        self.end_turn(&mut turned);
        turned.out.extend(self.net.take_out());
        turned.failure = self.net.check().err();
        turned
    }

    fn end_turn(&mut self, turned: &mut Turned) {
        self.shard.turn_ended();
        for (to, batch) in self.shard.outgoing() {
            turned.mail.push((usize::from(to.0), batch));
        }
    }

    fn take_mail(&mut self) {
        while let Some(batch) = self.mailbox.pop_front() {
            self.shard.handed_over(&mut self.net, batch);
        }
        while let Some(reply) = self.log_replies.pop_front() {
            self.shard.log_replied(&mut self.net, reply);
        }
    }

    fn take_in(&mut self, turned: &mut Turned) {
        while let Some(caller) = self.callers.pop_front() {
            let door = if caller.door == Door::Chat {
                CHAT
            } else {
                PARCELS
            };
            let [.., high, low] = caller.client.to_be_bytes();
            let arrival = Arrival {
                label: caller.label.into(),
                guest: Guests::V4([10, 0, high, low]),
                is_loopback: false,
            };
            let link = caller.link;
            self.shard.arrived(&mut self.net, door, link, arrival);
            if let Some(token) = self.net.token_of(link) {
                self.net.set_window(token, caller.window);
                turned.taken.push((link, token));
            } else if !self.net.has_answered(link) {
                // Nobody kept the socket.
                turned.out.push(Out::Rst(link));
            }
        }
    }

    fn read(&mut self, token: Token, cut: usize, turned: &mut Turned) {
        let Some(link) = self.net.link_of(token) else {
            return;
        };
        match self.net.read(token, cut) {
            Some(In::Bytes(bytes)) => {
                turned.read.push((link, bytes.len()));
                self.shard.received(&mut self.net, token, &bytes);
            }
            Some(In::Ended) => self.shard.ended(&mut self.net, token),
            Some(In::Stalled) => self.shard.stalled(&mut self.net, token),
            None => {}
            Some(In::Closed(why)) => self.shard.closed(&mut self.net, token, why),
        }
    }
}

fn senses(clock: &Clock, random: Random) -> Senses {
    let (wall, random) = (clock.clone(), Mutex::new(random));
    let draw = move || {
        let mut random = random.lock().unwrap_or_else(PoisonError::into_inner);
        random.below(1 << 53)
    };
    Senses {
        clock: Arc::new(moment),
        unix_ms: Arc::new(move || wall.unix_ms()),
        entropy: Arc::new(draw),
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
