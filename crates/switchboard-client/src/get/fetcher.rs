//! What happens while downloads run.

mod hosts;
mod links;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use berkeley::{Addr, Socket};
use switchboard_reactor::{Closed, Handler, Reactor, Receiver, Sender, Token};

use self::hosts::Hosts;
use super::folder::Folder;
use super::job::{Body, Job, Next, Stage, Step};
use super::part::Part;
use super::sink::{Shown, Sink};
use super::{
    Audience, GetError, GetOptions, LATE, Mail, Progress, RETRY_AFTER_MAX, Report, Saved, Summary,
};

/// What a timer is for: a job's number and one of these.
const SILENCE_TIMER: u64 = 0;
const PAUSE_TIMER: u64 = 1;

pub(super) struct Fetcher<'a> {
    options: GetOptions,
    folder: Option<Folder>,
    audience: &'a mut dyn Audience,
    to_self: Sender<Mail>,
    mail: Receiver<Mail>,
    stops: Receiver<()>,
    jobs: Vec<Job>,
    /// Those that wait for their turn.
    queue: VecDeque<usize>,
    hosts: Hosts,
    /// Those that have a place at their host.
    active: usize,
    /// Those that have not ended.
    left: usize,
    summary: Summary,
    /// There may be a place for one that waits.
    may_start: bool,
    is_stopping: bool,
    outcome: Result<(), GetError>,
}

impl<'a> Fetcher<'a> {
    pub(super) fn new(
        options: GetOptions,
        folder: Option<Folder>,
        (to_self, mail): (Sender<Mail>, Receiver<Mail>),
        stops: Receiver<()>,
        audience: &'a mut dyn Audience,
    ) -> Self {
        let jobs: Vec<_> = options.urls.iter().cloned().map(Job::new).collect();
        Self {
            queue: (0..jobs.len()).collect(),
            left: jobs.len(),
            jobs,
            options,
            folder,
            audience,
            to_self,
            mail,
            stops,
            hosts: Hosts::default(),
            active: 0,
            summary: Summary::default(),
            may_start: true,
            is_stopping: false,
            outcome: Ok(()),
        }
    }

    pub(super) fn into_outcome(self) -> Result<Summary, GetError> {
        self.outcome.map(|()| self.summary)
    }

    /// Begins the first ones; false if there is nothing to wait for.
    pub(super) fn begin(&mut self, reactor: &mut Reactor) -> bool {
        self.schedule(reactor);
        self.left > 0 && self.outcome.is_ok()
    }

    /// Begins as many as there are places for.
    fn schedule(&mut self, reactor: &mut Reactor) {
        while self.may_start && self.active < self.options.jobs && !self.is_stopping {
            let (jobs, hosts) = (&self.jobs, &self.hosts);
            let max = self.options.jobs_per_host;
            let has_place = |index: &usize| {
                let job = jobs.get(*index);
                job.is_some_and(|job| hosts.active(&job.origin) < max)
            };
            let Some(at) = self.queue.iter().position(has_place) else {
                self.may_start = false;
                return;
            };
            if let Some(index) = self.queue.remove(at) {
                self.start(reactor, index);
            }
        }
    }

    /// Puts a download before those that have not begun.
    fn wait(&mut self, index: usize) {
        self.queue.push_front(index);
        self.may_start = true;
    }

    /// Begins a try.
    fn start(&mut self, reactor: &mut Reactor, index: usize) {
        let Some(job) = self.jobs.get_mut(index) else {
            return;
        };
        job.count_try();
        if job.sink.is_none() {
            let opened = match &self.folder {
                Some(folder) => Part::open(folder, &job.url).map(Sink::Part),
                None => Ok(Sink::Shown(Shown::new(self.options.checksum.as_ref()))),
            };
            match opened {
                Ok(sink) => job.sink = Some(sink),
                Err(error) => return self.end(reactor, index, Err(error)),
            }
        }
        let origin = job.origin.clone();
        self.active += 1;
        self.hosts.enter(&origin);
        self.call(reactor, index, &origin);
    }

    /// What came from a connection that a job has.
    fn take(&mut self, reactor: &mut Reactor, index: usize, mut bytes: &[u8]) {
        self.reached(reactor, index);
        let folder = self.folder.as_ref();
        let Some(job) = self.jobs.get_mut(index) else {
            return;
        };
        let step = loop {
            match job.step(&mut bytes, &self.options, folder, self.audience) {
                Step::More => {}
                step => break step,
            }
        };
        if let Some(fetch) = job.fetch() {
            fetch.was_heard = true;
            // What the disk or the audience took is not the server's.
            fetch.heard = Instant::now();
        }
        let flushed = match &mut job.sink {
            Some(sink) => sink.flush(folder),
            None => Ok(()),
        };
        if let Err(error) = flushed {
            return self.lose(reactor, index, error);
        }
        self.show(index);
        match step {
            Step::More | Step::Wait => {}
            Step::Whole { may_reuse } => {
                self.respond(reactor, index, may_reuse && bytes.is_empty())
            }
            Step::Enough => self.respond(reactor, index, false),
            Step::Failed(error) => self.lose(reactor, index, error),
        }
    }

    fn show(&mut self, index: usize) {
        let Some(job) = self.jobs.get_mut(index) else {
            return;
        };
        let is_content = job
            .fetch()
            .is_some_and(|fetch| matches!(fetch.body, Body::Content { .. }));
        if let Some(sink) = job.sink.as_ref().filter(|_| is_content) {
            self.audience.progress(&Progress {
                index,
                name: job.name.as_str(),
                bytes: sink.bytes(),
                total: sink.total(),
            });
        }
    }

    /// Does what a response asks for that is whole, or not worth more.
    fn respond(&mut self, reactor: &mut Reactor, index: usize, may_reuse: bool) {
        let Some(fetch) = self.release(reactor, index, may_reuse) else {
            return;
        };
        match fetch.body {
            Body::Content { end } => self.publish(reactor, index, end),
            Body::Skipped { then, .. } => self.proceed(reactor, index, then),
            Body::Unknown => {}
        }
    }

    fn proceed(&mut self, reactor: &mut Reactor, index: usize, next: Next) {
        let Some(job) = self.jobs.get_mut(index) else {
            return;
        };
        match next {
            Next::Redirect(place) => match job.follow(place, self.options.redirects) {
                Ok(()) => self.wait(index),
                Err(error) => self.end(reactor, index, Err(error)),
            },
            Next::StartOver => {
                if let (Some(Sink::Part(_)), Some(folder)) = (&job.sink, &self.folder)
                    && let Some(Sink::Part(part)) = job.sink.take()
                {
                    part.discard(folder);
                }
                self.fail(reactor, index, GetError::Range, None);
            }
            Next::Fail(why, pause) => self.fail(reactor, index, why, pause),
        }
    }

    fn publish(&mut self, reactor: &mut Reactor, index: usize, end: Option<u64>) {
        let Some(job) = self.jobs.get_mut(index) else {
            return;
        };
        let (bytes, total) = (job.bytes(), job.sink.as_ref().and_then(Sink::total));
        let is_short = total.is_some_and(|total| total != bytes);
        if is_short && end == Some(bytes) && bytes > job.asked_bytes() {
            // The server gave less than it was asked for, which is its right: the rest is next.
            return self.wait(index);
        }
        if is_short || end.is_some_and(|end| end != bytes) {
            let (received, announced) = (bytes, total);
            let cut = switchboard_wire::http::HttpError::Cut {
                received,
                announced,
            };
            return self.fail(reactor, index, cut.into(), None);
        }
        let Some(sink) = job.sink.take() else {
            return;
        };
        let (force, checksum) = (self.options.force, self.options.checksum.as_ref());
        let saved = sink.publish(self.folder.as_ref(), &job.name, force, checksum);
        self.end(reactor, index, saved);
    }

    /// A connection is of no use any more.
    fn lose(&mut self, reactor: &mut Reactor, index: usize, why: GetError) {
        let Some(fetch) = self.release(reactor, index, false) else {
            return;
        };
        if let GetError::Output(_) = why {
            return self.give_up(reactor, why);
        }
        if fetch.is_reused && !fetch.was_heard {
            // The server closed it when we sent: that was nobody's failure.
            return self.wait(index);
        }
        if !fetch.is_connected
            && let Some(job) = self.jobs.get(index)
        {
            self.hosts.forget(&job.origin);
        }
        self.fail(reactor, index, why, None);
    }

    /// A try has failed: tries again after a pause, or ends it.
    fn fail(
        &mut self,
        reactor: &mut Reactor,
        index: usize,
        why: GetError,
        pause: Option<Duration>,
    ) {
        let Some(job) = self.jobs.get_mut(index) else {
            return;
        };
        let may_retry = job.count_failure(self.options.retries) && why.may_pass();
        if !may_retry || self.is_stopping {
            return self.end(reactor, index, Err(why));
        }
        if let (Some(wait), &GetError::Status { status, .. }) = (pause, &why)
            && wait > RETRY_AFTER_MAX
        {
            return self.end(reactor, index, Err(GetError::RetryAfter { status, wait }));
        }
        job.begin_anew();
        if let Some(Sink::Part(_)) = job.sink {
            // Whatever waits has no file open; what was written is found again.
            job.sink = None;
        }
        let next = job.pauses.next().max(pause.unwrap_or_default());
        self.audience.retries(&job.url, &why, next);
        let tag = timer_tag(index, PAUSE_TIMER);
        job.stage = Stage::Pausing;
        reactor.set_timer(Instant::now() + next, tag);
    }

    /// A download has ended.
    fn end(&mut self, reactor: &mut Reactor, index: usize, outcome: Result<Saved, GetError>) {
        let Some(job) = self.jobs.get_mut(index) else {
            return;
        };
        job.stage = Stage::Ended;
        if let Some(sink) = job.sink.take() {
            sink.keep(self.folder.as_ref());
        }
        match &outcome {
            Ok(saved) => {
                self.summary.saved += 1;
                self.summary.bytes += saved.bytes;
            }
            Err(_) => self.summary.failed += 1,
        }
        let told = self.audience.ended(&Report {
            index,
            url: job.url.clone(),
            final_url: job.place.clone(),
            status: job.status,
            tries: job.tries,
            resumed_bytes: job.resumed_bytes,
            elapsed: job.begun.map_or(Duration::ZERO, |begun| begun.elapsed()),
            outcome,
        });
        self.left -= 1;
        if let Err(error) = told {
            return self.give_up(reactor, GetError::Output(error));
        }
        if self.left == 0 {
            reactor.stop();
        }
    }

    /// Nobody wants to know the rest.
    fn give_up(&mut self, reactor: &mut Reactor, why: GetError) {
        // The first reason is the one that counts.
        if self.outcome.is_ok() {
            self.outcome = Err(why);
        }
        self.is_stopping = true;
        for job in &mut self.jobs {
            if let Some(sink) = job.sink.take() {
                sink.keep(self.folder.as_ref());
            }
        }
        reactor.stop();
    }

    fn stop(&mut self, reactor: &mut Reactor) {
        if core::mem::replace(&mut self.is_stopping, true) {
            return;
        }
        for index in 0..self.jobs.len() {
            let is_ended = |job: &Job| matches!(job.stage, Stage::Ended);
            if self.jobs.get(index).is_some_and(|job| !is_ended(job)) {
                self.release(reactor, index, false);
                self.reopen(index);
                self.end(reactor, index, Err(GetError::Interrupted));
            }
        }
        reactor.stop();
    }

    /// Finds what a download in a pause has written, so that it is kept as the others' is.
    fn reopen(&mut self, index: usize) {
        if let (Some(job), Some(folder)) = (self.jobs.get_mut(index), &self.folder)
            && matches!(job.stage, Stage::Pausing)
        {
            job.sink = Part::open(folder, &job.url).map(Sink::Part).ok();
        }
    }

    /// A connection stands: from now on another limit holds.
    fn reached(&mut self, reactor: &mut Reactor, index: usize) {
        let idle = self.options.idle;
        let Some(fetch) = self.jobs.get_mut(index).and_then(Job::fetch) else {
            return;
        };
        if core::mem::replace(&mut fetch.is_connected, true) {
            return;
        }
        fetch.heard = Instant::now();
        reactor.cancel_timer(fetch.timer);
        fetch.timer = reactor.set_timer(fetch.heard + idle, timer_tag(index, SILENCE_TIMER));
    }

    /// Looks whether a server was silent too long.
    fn look_at_silence(&mut self, reactor: &mut Reactor, index: usize) {
        let limits = (self.options.timeout, self.options.idle);
        let Some(fetch) = self.jobs.get_mut(index).and_then(Job::fetch) else {
            return;
        };
        let limit = if fetch.is_connected {
            limits.1
        } else {
            limits.0
        };
        let (now, due) = (Instant::now(), fetch.heard + limit);
        if now > due + LATE {
            fetch.heard = now;
        }
        if now < fetch.heard + limit {
            let tag = timer_tag(index, SILENCE_TIMER);
            fetch.timer = reactor.set_timer(fetch.heard + limit, tag);
            return;
        }
        let why = if fetch.is_connected {
            GetError::Silent { limit }
        } else {
            GetError::Connect(berkeley::Error::TimedOut { call: "connect" })
        };
        self.lose(reactor, index, why);
    }
}

impl Handler for Fetcher<'_> {
    fn accepted(&mut self, _: &mut Reactor, _: Token, _: Socket, _: Option<Addr>) {}

    fn received(&mut self, reactor: &mut Reactor, source: Token, bytes: &[u8]) {
        match self.hosts.job(source) {
            Some(index) => self.take(reactor, index, bytes),
            // Nobody has asked for that.
            None => self.drop_link(reactor, source),
        }
    }

    fn ended(&mut self, reactor: &mut Reactor, source: Token) {
        let Some(index) = self.hosts.job(source) else {
            return self.drop_link(reactor, source);
        };
        let Some(fetch) = self.jobs.get_mut(index).and_then(Job::fetch) else {
            return;
        };
        match fetch.decoder.end() {
            Ok(_) => self.respond(reactor, index, false),
            Err(error) => self.lose(reactor, index, error.into()),
        }
    }

    fn closed(&mut self, reactor: &mut Reactor, source: Token, why: Closed) {
        let Some(index) = self.hosts.job(source) else {
            return self.drop_link(reactor, source);
        };
        let Some(fetch) = self.jobs.get_mut(index).and_then(Job::fetch) else {
            return;
        };
        let why = match why {
            Closed::Failed(error) if fetch.is_connected => GetError::Broken(error),
            Closed::Failed(error) => GetError::Connect(error),
            _ => GetError::Http(switchboard_wire::http::HttpError::NoAnswer),
        };
        self.lose(reactor, index, why);
    }

    fn drained(&mut self, reactor: &mut Reactor, source: Token) {
        if let Some(index) = self.hosts.job(source) {
            self.reached(reactor, index);
        }
    }

    fn timer(&mut self, reactor: &mut Reactor, tag: u64) {
        let Ok(index) = usize::try_from(tag >> 1) else {
            return;
        };
        if tag & 1 == SILENCE_TIMER {
            self.look_at_silence(reactor, index);
        } else if let Some(job) = self.jobs.get_mut(index)
            && matches!(job.stage, Stage::Pausing)
        {
            job.stage = Stage::Waiting;
            self.wait(index);
        }
    }

    fn woken(&mut self, reactor: &mut Reactor) {
        if self.stops.take().next().is_some() {
            self.stop(reactor);
        }
        for Mail::Dialled(origin, dialled) in self.mail.take() {
            self.dialled(reactor, &origin, dialled);
        }
    }

    fn turn_ended(&mut self, reactor: &mut Reactor) {
        self.schedule(reactor);
    }
}

/// The tag of a job's timer.
const fn timer_tag(index: usize, kind: u64) -> u64 {
    (index as u64) << 1 | kind
}
