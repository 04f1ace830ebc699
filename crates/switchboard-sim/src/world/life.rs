//! How a world goes: its phases, and what happens to the hub as a whole.

use switchboard_hub::limits::{CHAT_READ_BYTES_MAX, LOG_BACKLOG_ENTRIES_MAX};
use switchboard_hub::log::LogReply;

use super::{Event, HEALING, LEAVING, World};
use crate::client::Phase;
use crate::hub::Hub;
use crate::journal::Replied;
use crate::time::{MS, Micros, SECOND};
use crate::{Failure, Outcome};

/// Entries that may wait for the log beyond its bounds: what was read before anybody knew, and
/// those who come and go.
const BACKLOG_OVER_MAX: usize = 1_000;
/// The same for each connection that ever was: it comes and goes.
const BACKLOG_OVER_EACH: usize = 10;
/// How often a connection may be read before it is slowed: once before the log knows of what came
/// in the same turn, and once more.
const READS_OVER: usize = 2;
/// Hardly a text is shorter.
const TEXT_BYTES_MIN: usize = 8;

/// What the hub promises for its end, and a little for the last turn.
const STOP_LIMIT: Micros = 6 * SECOND;

impl World {
    /// Lives through it all.
    pub(crate) fn run(mut self) -> Outcome {
        self.queue.push(0, Event::Start);
        for client in 0..self.clients.len() {
            let at = if self.is_witness(client) {
                0
            } else {
                MS + self.random.spread(self.plan.pause * 4)
            };
            self.queue.push(at, Event::Connect(client));
        }
        let troubles = [
            (self.plan.crash, Event::Crash),
            (self.plan.stop, Event::Stop),
            (self.plan.standstill, Event::Standstill),
            (self.plan.wall_steps.then_some(SECOND), Event::WallStep),
        ];
        for (every, event) in troubles {
            if let Some(at) = every {
                self.queue.push(at, event);
            }
        }
        let faulty = self.plan.faulty;
        self.go_on(faulty);
        self.heal();
        self.go_on(faulty + HEALING);
        self.take_stock();
        self.leave();
        self.go_on(faulty + HEALING + LEAVING);
        self.close();
        self.outcome()
    }

    /// Lets happen what happens until then.
    fn go_on(&mut self, end: Micros) {
        while !self.truth.has_failed()
            && let Some((at, event)) = self.queue.pop(end)
        {
            self.now = at;
            self.clock.set(at);
            self.handle(event);
        }
        self.now = end;
        self.clock.set(end);
    }

    /// From now on nothing goes wrong.
    fn heal(&mut self) {
        self.trace.note(self.now, "heal", 0, &[]);
        if let Some(journal) = self.hub.as_ref().and_then(|hub| hub.journal.clone()) {
            journal.heal(self.now);
            if journal.is_stopped() {
                // Its owner has changed the disk.
                self.stop();
            }
            self.queue.push(self.now, Event::Journal(self.runs));
        }
        self.phase = Phase::Healing;
        for id in 1..=self.links.len() as u64 {
            let link = self.link(id);
            link.lags_until = 0;
            link.dribble = None;
            self.client_reads(id);
        }
    }

    /// Everybody who stayed has everything.
    fn take_stock(&mut self) {
        if self.truth.has_failed() {
            return;
        }
        for client in 0..self.clients.len() {
            let link = self.current[client];
            let unsettled = self.clients[client].unsettled(&mut self.truth, link);
            if let Some(what) = unsettled {
                self.truth
                    .fail(format!("client {client} on link {link:?}: {what}"));
            }
        }
        if let Some(journal) = self.hub.as_ref().and_then(|hub| hub.journal.clone()) {
            self.truth.compare_disk(&journal.disk());
        }
        if !self.truth.has_failed() {
            self.truth.check();
        }
    }

    fn leave(&mut self) {
        self.trace.note(self.now, "leave", 0, &[]);
        self.phase = Phase::Leaving;
        for client in 0..self.clients.len() {
            if let Some(link) = self.current[client] {
                self.queue.push(self.now, Event::Think(client, link));
            }
        }
    }

    /// Nothing of anybody stays behind, and the hub ends.
    fn close(&mut self) {
        if self.truth.has_failed() {
            return;
        }
        match self.hub.as_ref().map(Hub::leftovers) {
            None => self.truth.fail("the hub is down at the end"),
            Some(Some(what)) => self.truth.fail(what),
            Some(None) => {}
        }
        self.stop();
        let end = self.now + STOP_LIMIT;
        self.go_on(end);
    }

    fn outcome(mut self) -> Outcome {
        let hash = self.trace.hash();
        let events = self.trace.events();
        let failure = self.truth.failure().map(|what| Failure {
            what,
            at_micros: self.now,
        });
        Outcome {
            seed: self.seed,
            hash,
            events,
            failure,
            counts: std::mem::take(&mut self.truth.counts),
            trace: self.trace.into_lines(),
        }
    }

    pub(super) fn start(&mut self) {
        if self.hub.is_some() {
            return;
        }
        self.runs += 1;
        self.stands_until = self.now;
        self.trace.note(self.now, "start", self.runs, &[]);
        self.hub = Some(Hub::start(
            self.runs,
            &self.plan,
            &self.clock,
            self.seed,
            self.mutant,
            std::mem::take(&mut self.disk),
        ));
        self.journal_at = None;
        let journal = self.hub.as_ref().and_then(|hub| hub.journal.clone());
        if let Some(journal) = journal.filter(|_| self.phase != Phase::Faulty) {
            journal.heal(self.now);
        }
        // Those who see everything are there before anybody else.
        for client in 0..self.clients.len() {
            if self.is_witness(client) {
                self.connect(client);
            }
        }
    }

    /// The hub's process is gone from one moment to the next.
    pub(super) fn crash(&mut self) {
        if self.phase != Phase::Faulty {
            return;
        }
        self.trace.note(self.now, "crash", self.runs, &[]);
        self.truth.count("crashes");
        self.exit(true);
        if let Some(every) = self.plan.crash {
            let next = self.now + every / 2 + self.random.spread(every);
            self.queue.push(next, Event::Crash);
        }
    }

    pub(super) fn stop(&mut self) {
        if self.phase == Phase::Healing {
            return;
        }
        if let Some(hub) = &mut self.hub {
            self.trace.note(self.now, "stop", self.runs, &[]);
            hub.stopping = Some(self.now);
            let lives = self.truth.lives.keys().cloned();
            self.truth.closing.extend(lives);
            for unit in &mut hub.units {
                unit.begin_stop();
            }
            let (run, units) = (hub.run, hub.units.len());
            for unit in 0..units {
                self.wake(unit, self.now);
            }
            let limit = self.now.max(self.stands_until) + STOP_LIMIT;
            self.queue.push(limit, Event::StopLimit(run));
            self.truth.count("stops");
        }
        if let (Phase::Faulty, Some(every)) = (self.phase, self.plan.stop) {
            let next = self.now + every / 2 + self.random.spread(every);
            self.queue.push(next, Event::Stop);
        }
    }

    /// The hub had so long to end, but for the time that it stood still.
    pub(super) fn stop_limit(&mut self, run: u64) {
        let limit = self.stands_until + STOP_LIMIT;
        if self.hub.as_ref().is_none_or(|hub| hub.run != run) {
        } else if self.now < limit {
            self.queue.push(limit, Event::StopLimit(run));
        } else {
            self.truth.fail("the hub did not stop in its time");
        }
    }

    /// The hub's process has ended: whatever is left of its connections is broken.
    pub(super) fn exit(&mut self, is_crash: bool) {
        let Some(hub) = self.hub.take() else {
            return;
        };
        if let Some(journal) = &hub.journal {
            self.disk = if is_crash {
                journal.crash()
            } else {
                journal.close()
            };
            if is_crash || journal.is_stopped() {
                self.truth.crashed.insert(hub.run);
            }
            if journal.is_stopped() {
                self.truth.stopped.insert(hub.run);
            }
            self.truth.read_disk(journal.take_removed().iter());
            self.truth.end_run(hub.run, &self.disk);
            self.truth.compare_disk(&self.disk);
        }
        self.trace.note(self.now, "exit", hub.run, &[]);
        let links: Vec<_> = hub.links().collect();
        for id in links {
            let now = self.now;
            let index = usize::try_from(id - 1).unwrap_or(0);
            let at = self.links[index].arrival(now, &mut self.random, false);
            self.queue.push(at, Event::DownBreak(id));
        }
        if self.phase != Phase::Leaving {
            let pause = self.random.spread(2 * SECOND);
            self.queue.push(self.now + pause, Event::Start);
        }
    }

    /// The log does what is due, and its answers are on their way.
    pub(super) fn journal_turn(&mut self, run: u64) {
        let now = self.now;
        let hub = self.hub.as_ref().filter(|hub| hub.run == run);
        let connections = hub.map_or(0, Hub::connections);
        let Some(journal) = hub.and_then(|hub| hub.journal.clone()) else {
            return;
        };
        if let Some(next) = journal.step(now)
            && self.journal_at.is_none_or(|at| at <= now || next < at)
        {
            self.journal_at = Some(next);
            self.queue.push(next, Event::Journal(run));
        }
        for Replied { at, asker, reply } in journal.take_replies() {
            let is_read = matches!(
                reply,
                LogReply::Page { .. } | LogReply::Found { .. } | LogReply::ReadFailed { .. }
            );
            let last = &mut self.reply_last[usize::from(is_read)];
            *last = (*last).max(at + self.random.below(100));
            let to = usize::from(asker.0);
            self.queue.push(*last, Event::Replied(run, to, reply));
        }
        if let Some(what) = journal.failure() {
            self.truth.fail(what);
        }
        self.truth.read_disk(journal.take_removed().iter());
        let read = usize::try_from(self.plan.read_cut.min(CHAT_READ_BYTES_MAX.into()));
        let over = BACKLOG_OVER_MAX
            + self.links.len() * BACKLOG_OVER_EACH
            + connections * READS_OVER * read.unwrap_or(0) / TEXT_BYTES_MIN;
        let most = 2 * LOG_BACKLOG_ENTRIES_MAX / self.plan.disk.weight + over;
        let entries = journal.backlog_entries();
        if entries > most {
            self.truth.fail(format!(
                "{entries} entries wait for the log, and {most} may"
            ));
        }
    }

    /// The hub's process or its machine stands still for a while.
    pub(super) fn standstill(&mut self) {
        if self.phase != Phase::Faulty {
            return;
        }
        let time = *self.random.pick(&[20 * MS, 2 * SECOND, 40 * SECOND]);
        self.trace.note(self.now, "standstill", time, &[]);
        self.stands_until = self.now + time;
        self.truth.count("standstills");
        if let Some(every) = self.plan.standstill {
            let next = self.now + time + self.random.spread(every);
            self.queue.push(next, Event::Standstill);
        }
    }

    pub(super) fn wall_step(&mut self) {
        if self.phase == Phase::Faulty {
            let step = i64::try_from(self.random.below(172_800_000)).unwrap_or(0) - 86_400_000;
            self.clock.step_wall(step);
            let next = self.now + self.random.spread(self.plan.faulty / 4);
            self.queue.push(next, Event::WallStep);
        }
    }
}
