//! The world: the hub, its clients, what is between them, and what goes wrong.

mod life;

use bytes::BytesMut;
use switchboard_hub::log::LogReply;
use switchboard_hub::shard::Batch;

use crate::client::{Action, Chatter, Client, Phase, Plain, Program, Scene};
use crate::hub::{Caller, Hub, Turned};
use crate::journal::Disk;
use crate::link::{Link, Way};
use crate::net::{LinkId, Out};
use crate::plan::{Mutant, Plan};
use crate::queue::Queue;
use crate::random::Random;
use crate::time::{Clock, MS, Micros, SECOND};
use crate::trace::Trace;
use crate::truth::Truth;

/// What happens.
#[derive(Debug)]
enum Event {
    Turn(u64, usize),
    Mail(u64, usize, Batch),
    Journal(u64),
    Replied(u64, usize, LogReply),
    Connect(usize),
    Think(usize, LinkId),
    Call(LinkId),
    Up(LinkId, BytesMut),
    UpEnd(LinkId),
    UpBreak(LinkId, &'static str, bool),
    UpWindow(LinkId, usize),
    Down(LinkId, Vec<u8>),
    DownEnd(LinkId),
    DownBreak(LinkId),
    DownWindow(LinkId, usize),
    Read(LinkId),
    Start,
    Crash,
    Stop,
    StopLimit(u64),
    Standstill,
    WallStep,
}

/// How long everything has time to settle, without new faults.
const HEALING: Micros = 400 * SECOND;
/// How long the last have to go.
const LEAVING: Micros = 200 * SECOND;
/// Bytes of the plan in one line of the trace.
const PLAN_PART: usize = 100;
/// What a turn costs at least.
const TURN: Micros = 20;
/// How long a machine that has vanished is waited for at least.
const KEEPALIVE: Micros = 60 * SECOND;

/// See the module's documentation.
pub(crate) struct World {
    seed: u64,
    mutant: Option<Mutant>,
    plan: Plan,
    clock: Clock,
    now: Micros,
    queue: Queue<Event>,
    random: Random,
    trace: Trace,
    truth: Truth,
    hub: Option<Hub>,
    runs: u64,
    /// What is on the disk while the hub is down.
    disk: Disk,
    /// When the log is looked after next.
    journal_at: Option<Micros>,
    /// When the last reply of the log's writer, and of its reader, is there.
    reply_last: [Micros; 2],
    /// The hub does nothing before.
    stands_until: Micros,
    /// When the last batch of one shard for another is there.
    mail_last: Vec<Micros>,
    links: Vec<Link>,
    clients: Vec<Client>,
    /// The connection of each client.
    current: Vec<Option<LinkId>>,
    /// How often in a row each client came to a hub that was not there.
    failures: Vec<u32>,
    phase: Phase,
}

impl World {
    pub(crate) fn new(seed: u64, mutant: Option<Mutant>, keeps_lines: bool) -> Self {
        let plan = Plan::draw(seed);
        let mut clients: Vec<Client> = Vec::new();
        let witnessed = plan.rooms.iter().filter(|_room| plan.has_witnesses);
        for room in witnessed {
            clients.push(Client::Program(Program::new(Some(room), true)));
        }
        for number in 0..plan.programs {
            let room = plan.rooms.get(number % (plan.rooms.len() + 1)).copied();
            clients.push(Client::Program(Program::new(room, false)));
        }
        for _ in 0..plan.chatters {
            clients.push(Client::Chatter(Chatter::default()));
        }
        for _ in 0..plan.plain {
            clients.push(Client::Plain(Plain::default()));
        }
        let plan_shards = plan.shards;
        let truth = Truth::new(&plan);
        let mut trace = Trace::new(keeps_lines);
        for part in format!("{plan:?}").as_bytes().chunks(PLAN_PART) {
            trace.note(0, "plan", seed, part);
        }
        Self {
            seed,
            mutant,
            plan,
            clock: Clock::new(),
            now: 0,
            queue: Queue::new(),
            random: Random::new(seed, 2),
            trace,
            truth,
            hub: None,
            runs: 0,
            disk: Disk::new(),
            journal_at: None,
            reply_last: [0; 2],
            stands_until: 0,
            mail_last: vec![0; plan_shards * plan_shards],
            links: Vec::new(),
            current: vec![None; clients.len()],
            failures: vec![0; clients.len()],
            clients,
            phase: Phase::Faulty,
        }
    }

    fn link(&mut self, id: LinkId) -> &mut Link {
        let index = usize::try_from(id - 1).unwrap_or(0);
        &mut self.links[index]
    }

    fn is_witness(&self, client: usize) -> bool {
        matches!(&self.clients[client], Client::Program(program) if program.is_witness())
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Turn(run, unit) => self.turn(run, unit),
            Event::Mail(run, to, batch) => self.mail(run, to, batch),
            Event::Journal(run) => self.journal_turn(run),
            Event::Replied(run, to, reply) => {
                if let Some(hub) = self.hub.as_mut().filter(|hub| hub.run == run) {
                    hub.units[to].reply(reply);
                    self.wake(to, self.now);
                }
            }
            Event::Connect(client) => self.connect(client),
            Event::Think(client, link) => self.think(client, link),
            Event::Call(link) => self.call(link),
            Event::Up(link, bytes) => self.up(link, &bytes),
            Event::UpEnd(link) => self.up_end(link),
            Event::UpBreak(link, why, at_once) => self.up_break(link, why, at_once),
            Event::UpWindow(link, bytes) => {
                self.link(link).up_window += bytes;
                self.pump(link);
            }
            Event::Down(link, bytes) => self.down(link, &bytes),
            Event::DownEnd(link) => {
                self.link(link).inbox_end = true;
                self.client_reads(link);
            }
            Event::DownBreak(link) => self.client_loses(link, false),
            Event::DownWindow(link, bytes) => {
                self.with_token(link, |net, token| net.open_window(token, bytes));
            }
            Event::Read(link) => self.client_reads(link),
            Event::Start => self.start(),
            Event::Crash => self.crash(),
            Event::Stop => self.stop(),
            Event::StopLimit(run) => self.stop_limit(run),
            Event::Standstill => self.standstill(),
            Event::WallStep => self.wall_step(),
        }
    }

    /// Brings a change to the hub's side of a connection, if it still has it.
    fn with_token(&mut self, id: LinkId, change: impl FnOnce(&mut crate::net::SimNet, u64)) {
        let link = self.link(id);
        let (run, shard, token) = (link.run, link.shard, link.token);
        let Some(hub) = self.hub.as_mut().filter(|hub| hub.run == run) else {
            return;
        };
        if let (Some(unit), Some(token)) = (hub.units.get_mut(shard), token) {
            change(unit.net(), token);
        }
        self.wake(shard, self.now);
    }

    /// Lets a shard have a turn, not before `at`.
    fn wake(&mut self, shard: usize, at: Micros) {
        let at = at.max(self.now).max(self.stands_until);
        let Some(hub) = &mut self.hub else {
            return;
        };
        let Some(unit) = hub.units.get_mut(shard) else {
            return;
        };
        if unit.turn_at.is_none_or(|turn| at < turn) {
            unit.turn_at = Some(at);
            self.queue.push(at, Event::Turn(hub.run, shard));
        }
    }

    fn turn(&mut self, run: u64, shard: usize) {
        let (now, stands_until) = (self.now, self.stands_until);
        let Some(hub) = self.hub.as_mut().filter(|hub| hub.run == run) else {
            return;
        };
        let Some(unit) = hub.units.get_mut(shard) else {
            return;
        };
        if unit.turn_at != Some(now) {
            return;
        }
        unit.turn_at = None;
        if stands_until > now {
            return self.wake(shard, stands_until);
        }
        let turned = unit.turn(&mut self.random, self.plan.read_cut);
        let next = unit.next_turn(now + TURN);
        self.trace.note(now, "turn", shard as u64, &[]);
        self.settle(run, shard, turned);
        self.journal_turn(run);
        if let Some(at) = next {
            self.wake(shard, at.max(now + TURN));
        }
        if self.hub.as_ref().is_some_and(Hub::is_stopped) {
            self.exit(false);
        }
    }

    /// Sends on its way what a turn brought.
    fn settle(&mut self, run: u64, shard: usize, turned: Turned) {
        for (to, batch) in turned.mail {
            // Batches of one shard for another keep their order.
            let shards = self.plan.shards;
            let last = &mut self.mail_last[shard * shards + to];
            *last = (*last).max(self.now + self.random.spread(self.plan.mail));
            self.queue.push(*last, Event::Mail(run, to, batch));
        }
        if let Some(what) = turned.failure {
            self.truth.fail(what);
        }
        for (id, token) in turned.taken {
            let link = self.link(id);
            link.token = Some(token);
            let early = std::mem::take(&mut link.early);
            let (end, broken) = (link.early_end, link.early_break);
            self.with_token(id, |net, token| {
                net.receive(token, &early);
                if end {
                    net.receive_end(token);
                }
                if broken {
                    net.receive_break(token, "connection reset", true);
                }
            });
        }
        for (id, bytes) in turned.read {
            let now = self.now;
            let latency = self.link(id).latency;
            self.queue.push(now + latency, Event::UpWindow(id, bytes));
        }
        for out in turned.out {
            self.send_out(out);
        }
    }

    fn mail(&mut self, run: u64, to: usize, batch: Batch) {
        if let Some(hub) = self.hub.as_mut().filter(|hub| hub.run == run) {
            hub.units[to].deliver(batch);
            self.wake(to, self.now);
        }
    }

    fn send_out(&mut self, out: Out) {
        let now = self.now;
        let (Out::Data(id, _) | Out::Fin(id) | Out::Rst(id)) = out;
        let client = self.link(id).client;
        let is_witness = self.is_witness(client);
        let index = usize::try_from(id - 1).unwrap_or(0);
        let link = &mut self.links[index];
        let at = link.arrival(now, &mut self.random, false);
        match out {
            // Nothing is between a witness and the hub.
            Out::Data(_, bytes) if is_witness => self.down(id, &bytes),
            Out::Data(_, bytes) => self.queue.push(at, Event::Down(id, bytes)),
            Out::Fin(_) => self.queue.push(at, Event::DownEnd(id)),
            Out::Rst(_) => self.queue.push(at, Event::DownBreak(id)),
        }
    }

    fn connect(&mut self, client: usize) {
        let wants_in = self.clients[client].wants_in(self.phase);
        if self.current[client].is_some() || !wants_in {
            return;
        }
        let id = self.links.len() as u64 + 1;
        let is_witness = self.is_witness(client);
        let plan = &self.plan;
        let random = &mut self.random;
        let run = self.hub.as_ref().map_or(0, |hub| hub.run);
        let (latency, jitter, window) = if is_witness {
            (0, 0, usize::MAX / 2)
        } else {
            let latency = random.below(2 * plan.latency) + 1;
            (latency, random.below(plan.jitter + 1), plan.window)
        };
        let owner = self.clients[client].owner_wanted();
        let owner = owner.and_then(|room| Some(self.hub.as_ref()?.owner_of(room)));
        let door = self.clients[client].door();
        let label = format!("10.0.0.{client}:{}", 10_000 + id);
        self.links.push(Link {
            client,
            door,
            shard: owner.unwrap_or_else(|| random.index(plan.shards)),
            run,
            label,
            token: None,
            latency,
            jitter,
            window,
            up: Way::default(),
            down: Way::default(),
            is_open: true,
            early: Vec::new(),
            early_end: false,
            early_break: false,
            unsent: BytesMut::new(),
            up_window: window,
            wants_end: false,
            end_sent: false,
            inbox: BytesMut::new(),
            inbox_end: false,
            lags_until: 0,
            dribble: None,
        });
        self.current[client] = Some(id);
        self.queue.push(self.now + latency, Event::Call(id));
    }

    /// A client's call has come to the hub's machine.
    fn call(&mut self, id: LinkId) {
        let now = self.now;
        let link = self.link(id);
        let (run, shard, latency, client) = (link.run, link.shard, link.latency, link.client);
        let caller = Caller {
            link: id,
            door: link.door,
            label: link.label.clone(),
            client: link.client,
            window: link.window,
        };
        let label = link.label.clone();
        self.trace.note(now, "call", id, label.as_bytes());
        let is_up = |hub: &&mut Hub| hub.run == run && hub.stopping.is_none();
        let Some(hub) = self.hub.as_mut().filter(is_up) else {
            self.failures[client] += 1;
            self.queue.push(now + latency, Event::DownBreak(id));
            return;
        };
        hub.units[shard].call(caller);
        self.failures[client] = 0;
        self.wake(shard, now);
        self.with_client(client, |client, scene| client.connected(scene, &label));
        let pause = self.random.spread(self.plan.pause);
        self.queue.push(now + pause, Event::Think(client, id));
    }

    /// Lets a client do something, and does what it wants.
    fn with_client(&mut self, index: usize, act: impl FnOnce(&mut Client, &mut Scene<'_>)) {
        let Some(link) = self.current[index] else {
            return;
        };
        let closes = |hub: &Hub| hub.stopping.is_some();
        let mut scene = Scene {
            run: self.links[usize::try_from(link - 1).unwrap_or(0)].run,
            is_closing: self.hub.as_ref().is_none_or(closes),
            phase: self.phase,
            link,
            plan: &self.plan,
            random: &mut self.random,
            truth: &mut self.truth,
            actions: Vec::new(),
        };
        act(&mut self.clients[index], &mut scene);
        let actions = std::mem::take(&mut scene.actions);
        for action in actions {
            self.act(link, action);
        }
    }

    fn think(&mut self, client: usize, id: LinkId) {
        if self.current[client] != Some(id) {
            return;
        }
        let is_faulty = self.phase == Phase::Faulty && !self.is_witness(client);
        if is_faulty && self.random.chance(self.plan.cut) {
            return self.cut(id);
        }
        self.with_client(client, |client, scene| client.think(scene));
        if self.current[client] == Some(id) {
            let pause = match self.phase {
                Phase::Faulty => self.random.spread(self.plan.pause),
                _ => 20 * SECOND,
            };
            self.queue.push(self.now + pause, Event::Think(client, id));
        }
    }

    fn act(&mut self, id: LinkId, action: Action) {
        let now = self.now;
        let link = self.link(id);
        if !link.is_open {
            return;
        }
        match action {
            Action::Send(bytes) => {
                link.unsent.extend_from_slice(&bytes);
                self.pump(id);
            }
            Action::Shutdown => {
                link.wants_end = true;
                self.pump(id);
            }
            Action::Abort => {
                self.trace.note(now, "abort", id, &[]);
                self.break_up(id, "connection reset by peer");
                self.client_loses(id, false);
            }
            Action::Vanish => {
                self.trace.note(now, "vanish", id, &[]);
                let at = now + KEEPALIVE + self.random.below(KEEPALIVE);
                self.queue.push(at, Event::UpBreak(id, "timed out", false));
                self.client_loses(id, false);
            }
            Action::Lag(time) => {
                link.lags_until = now + time;
                self.queue.push(now + time, Event::Read(id));
            }
            Action::Dribble(bytes, each) => link.dribble = Some((bytes, each)),
            Action::Stall(time) => link.up.stalled = now + time,
        }
    }

    /// The client's kernel sends what it may.
    fn pump(&mut self, id: LinkId) {
        let now = self.now;
        let index = usize::try_from(id - 1).unwrap_or(0);
        let link = &mut self.links[index];
        loop {
            let most = usize::try_from(self.random.range(1, self.plan.segment)).unwrap_or(1);
            let Some(bytes) = link.next_segment(most) else {
                break;
            };
            let at = link.arrival(now, &mut self.random, true);
            self.queue.push(at, Event::Up(id, bytes));
        }
        if link.wants_end && !link.end_sent && link.unsent.is_empty() {
            link.end_sent = true;
            let at = link.arrival(now, &mut self.random, true);
            self.queue.push(at, Event::UpEnd(id));
        }
    }

    fn up(&mut self, id: LinkId, bytes: &[u8]) {
        self.trace.note(self.now, "up", id, bytes);
        if self.link(id).token.is_none() {
            return self.link(id).early.extend(bytes);
        }
        self.with_token(id, |net, token| net.receive(token, bytes));
    }

    fn up_end(&mut self, id: LinkId) {
        self.trace.note(self.now, "up end", id, &[]);
        self.link(id).early_end = true;
        self.with_token(id, |net, token| net.receive_end(token));
    }

    fn up_break(&mut self, id: LinkId, why: &'static str, at_once: bool) {
        self.trace.note(self.now, "up break", id, why.as_bytes());
        self.link(id).early_break = true;
        self.with_token(id, |net, token| net.receive_break(token, why, at_once));
    }

    /// The hub is told that a connection is broken, some time from now.
    fn break_up(&mut self, id: LinkId, why: &'static str) {
        let now = self.now;
        let at_once = self.random.chance(500);
        let index = usize::try_from(id - 1).unwrap_or(0);
        let at = self.links[index].arrival(now, &mut self.random, true);
        self.queue.push(at, Event::UpBreak(id, why, at_once));
    }

    /// The network loses a connection. Each side finds out when it does.
    fn cut(&mut self, id: LinkId) {
        self.trace.note(self.now, "cut", id, &[]);
        self.break_up(id, "no route to host");
        let later = self.random.spread(self.plan.pause * 3);
        self.queue.push(self.now + later, Event::DownBreak(id));
    }

    fn down(&mut self, id: LinkId, bytes: &[u8]) {
        self.trace.note(self.now, "down", id, bytes);
        let link = self.link(id);
        if link.is_open {
            link.inbox.extend_from_slice(bytes);
            self.client_reads(id);
        }
    }

    /// A client reads what there is for it, if it wants to.
    fn client_reads(&mut self, id: LinkId) {
        let now = self.now;
        let link = self.link(id);
        if !link.is_open {
            return;
        }
        if let Some(bytes) = link.next_read(now) {
            let (client, latency, rest) = (link.client, link.latency, link.inbox.len());
            let dribble = link.dribble;
            if rest == 0 {
                link.dribble = None;
            }
            self.queue
                .push(now + latency, Event::DownWindow(id, bytes.len()));
            if let Some((_, each)) = dribble.filter(|_| rest > 0) {
                self.queue.push(now + each, Event::Read(id));
            }
            self.with_client(client, |client, scene| client.received(scene, &bytes));
        }
        let link = self.link(id);
        if link.is_open && link.inbox.is_empty() && link.inbox_end {
            self.client_loses(id, true);
        }
    }

    /// A client's connection is over.
    fn client_loses(&mut self, id: LinkId, in_good_order: bool) {
        let now = self.now;
        let link = self.link(id);
        if !link.is_open {
            return;
        }
        link.is_open = false;
        link.inbox.clear();
        link.unsent.clear();
        let client = link.client;
        self.trace
            .note(now, "client loses", id, &[u8::from(in_good_order)]);
        self.with_client(client, |client, scene| client.ended(scene, in_good_order));
        self.current[client] = None;
        if in_good_order {
            self.link(id).wants_end = true;
            self.pump(id);
        }
        let is_up = |hub: &Hub| hub.stopping.is_none();
        let pause = if self.is_witness(client) {
            if !self.hub.as_ref().is_some_and(is_up) {
                // It is there when the hub is.
                return;
            }
            MS
        } else {
            let growth = 1_u64 << self.failures[client].min(8);
            let mean = (self.plan.pause * 2).max(20 * MS * growth - 20 * MS);
            self.random.spread(mean).min(5 * SECOND)
        };
        self.queue.push(now + pause, Event::Connect(client));
    }
}
