//! What happens while a room is followed.

use std::time::{Duration, Instant};

use berkeley::{Addr, Family, Socket, create_connection, opt};
use berkeley::{Deadline, Endpoint};
use bytes::Bytes;
use switchboard_reactor::{Closed, Handler, Reactor, Receiver, Sender, TimerId, Token};
use switchboard_wire::{DeliveryDecoder, EntryFrame, parcel};

use super::exec::Runner;
use super::pauses::Pauses;
use super::place::{News, Place};
use super::{Audience, Mail, STOP_LIMIT, TailError, TailNote, TailOptions};

/// What we ask for is short, and is all that we ever send.
const OUTBOX_BYTES_MAX: usize = 64 * 1024;

/// How long a connection is silent before the kernel asks whether the hub is still there, how often
/// it asks then, and how many times without an answer: a machine that vanished is noticed in two
/// minutes.
const KEEP_IDLE: Duration = Duration::from_secs(60);
const KEEP_INTERVAL: Duration = Duration::from_secs(15);
const KEEP_PROBES: u32 = 4;

const DIAL_TIMER: u64 = 1;
const ANSWER_TIMER: u64 = 2;
const PROGRAM_TIMER: u64 = 3;
const STOP_TIMER: u64 = 4;

/// A connection to the hub.
struct Link {
    stream: Token,
    decoder: DeliveryDecoder,
    /// What was read while a program ran.
    held: Vec<u8>,
    since: Instant,
    answer_timer: Option<TimerId>,
}

pub(super) struct Follower<'a> {
    endpoint: Endpoint,
    timeout: Duration,
    place: Place,
    audience: &'a mut dyn Audience,
    to_self: Sender<Mail>,
    mail: Receiver<Mail>,
    stops: Receiver<()>,
    link: Option<Link>,
    pauses: Pauses,
    runner: Option<Runner>,
    runner_pauses: Pauses,
    /// The room was followed once: whatever happens now is tried again.
    was_there: bool,
    /// Why there is no connection, as it was told.
    told: Option<String>,
    is_stopping: bool,
    outcome: Result<(), TailError>,
}

impl<'a> Follower<'a> {
    pub(super) fn new(
        options: TailOptions,
        (to_self, mail): (Sender<Mail>, Receiver<Mail>),
        stops: Receiver<()>,
        audience: &'a mut dyn Audience,
    ) -> Self {
        let runner = options.exec.map(|exec| Runner::new(exec, to_self.clone()));
        Self {
            endpoint: options.endpoint,
            timeout: options.timeout,
            place: Place::new(options.room, options.since, options.epoch),
            audience,
            to_self,
            mail,
            stops,
            link: None,
            pauses: Pauses::default(),
            runner,
            runner_pauses: Pauses::default(),
            was_there: false,
            told: None,
            is_stopping: false,
            outcome: Ok(()),
        }
    }

    pub(super) fn into_outcome(self) -> Result<(), TailError> {
        self.outcome
    }

    /// Begins to connect, in a thread: names may take their time, and an end may be asked for.
    pub(super) fn dial(&mut self, reactor: &mut Reactor) {
        let (endpoint, limit) = (self.endpoint.clone(), self.timeout);
        let mail = self.to_self.clone();
        let thread = std::thread::Builder::new().name("connect".into());
        let spawned = thread.spawn(move || {
            let dialled = create_connection(&endpoint, Deadline::within(limit));
            mail.send(Mail::Dialled(dialled));
        });
        if let Err(error) = spawned {
            self.lost(reactor, TailError::Thread(error));
        }
    }

    /// Asks for the room on a new connection.
    fn dialled(&mut self, reactor: &mut Reactor, dialled: berkeley::Result<(Socket, Addr)>) {
        let added = dialled.and_then(|(socket, _)| {
            keep_alive(&socket)?;
            reactor.add_stream(socket, OUTBOX_BYTES_MAX)
        });
        let stream = match added {
            Ok(stream) => stream,
            Err(source) => {
                let endpoint = self.endpoint.clone();
                return self.lost(reactor, TailError::Connect { endpoint, source });
            }
        };
        let join = parcel::join_parcel(&self.place.ask());
        // A new connection has room for it.
        reactor.send(stream, Bytes::from(join)).ok();
        let now = Instant::now();
        self.link = Some(Link {
            stream,
            decoder: DeliveryDecoder::new(),
            held: Vec::new(),
            since: now,
            answer_timer: Some(reactor.set_timer(now + self.timeout, ANSWER_TIMER)),
        });
    }

    /// There is no connection: the end if there never was one, else it is tried again.
    fn lost(&mut self, reactor: &mut Reactor, why: TailError) {
        if let Some(link) = self.link.take() {
            reactor.close(link.stream);
            if let Some(timer) = link.answer_timer {
                reactor.cancel_timer(timer);
            }
            if self.place.is_there() {
                self.pauses.worked_for(link.since.elapsed());
            }
        }
        if self.is_stopping {
            return;
        }
        if !self.was_there {
            return self.end(reactor, Err(why));
        }
        let note = TailNote::Lost { why: &why };
        let words = note.to_string();
        if self.told.as_ref() != Some(&words) {
            self.audience.note(&note);
            self.told = Some(words);
        }
        reactor.set_timer(Instant::now() + self.pauses.next(), DIAL_TIMER);
    }

    fn end(&mut self, reactor: &mut Reactor, outcome: Result<(), TailError>) {
        // The first reason is the one that counts.
        if self.outcome.is_ok() {
            self.outcome = outcome;
        }
        reactor.stop();
    }

    fn stop(&mut self, reactor: &mut Reactor) {
        if core::mem::replace(&mut self.is_stopping, true) {
            return;
        }
        match &self.runner {
            Some(runner) if runner.is_running() => {
                runner.end(false);
                reactor.set_timer(Instant::now() + STOP_LIMIT, STOP_TIMER);
            }
            _ => reactor.stop(),
        }
    }

    fn is_busy(&self) -> bool {
        self.is_stopping || self.runner.as_ref().is_some_and(Runner::is_busy)
    }

    /// Takes what was read, as far as nothing keeps us busy.
    fn take(&mut self, reactor: &mut Reactor, mut bytes: &[u8]) {
        let outcome = loop {
            if self.is_busy() {
                self.hold(reactor, bytes);
                break Ok(());
            }
            let Some(link) = &mut self.link else {
                return;
            };
            let delivered = match link.decoder.push(&mut bytes) {
                Ok(Some(delivered)) => delivered,
                Ok(None) => break Ok(()),
                Err(source) => {
                    let endpoint = self.endpoint.clone();
                    break Err(TailError::Unreadable { endpoint, source });
                }
            };
            let news = self.place.take(delivered);
            if let Err(error) = self.tell(reactor, news) {
                break Err(error);
            }
        };
        let flushed = self.audience.flush().map_err(TailError::Output);
        match flushed.and(outcome) {
            Ok(()) => {}
            Err(error @ TailError::Output(_)) => self.end(reactor, Err(error)),
            Err(error) => self.lost(reactor, error),
        }
    }

    fn tell(&mut self, reactor: &mut Reactor, news: News) -> Result<(), TailError> {
        let endpoint = || self.endpoint.clone();
        match news {
            News::Entry(entry) => return self.entry(reactor, &entry),
            News::Gap { from, to } => self.audience.note(&TailNote::Gap { from, to }),
            News::Here => self.here(reactor),
            News::Nothing => {}
            News::OutOfStep => {
                let seq = self.place.seq().unwrap_or(0);
                let endpoint = endpoint();
                return Err(TailError::OutOfStep { endpoint, seq });
            }
            News::Refused(reason) => {
                let endpoint = endpoint();
                return Err(TailError::Refused { endpoint, reason });
            }
            News::Reset => {
                let room = self.place.room().as_str();
                self.audience.note(&TailNote::Reset { room });
            }
        }
        Ok(())
    }

    fn here(&mut self, reactor: &mut Reactor) {
        self.forget_answer_timer(reactor);
        self.told = None;
        let is_again = core::mem::replace(&mut self.was_there, true);
        self.audience.note(&TailNote::Here {
            endpoint: &self.endpoint,
            place: &self.place,
            is_again,
        });
    }

    fn entry(&mut self, reactor: &mut Reactor, entry: &EntryFrame) -> Result<(), TailError> {
        let Some(runner) = &mut self.runner else {
            return self.audience.entry(entry).map_err(TailError::Output);
        };
        let begun = runner.begin(entry);
        self.begun(reactor, begun);
        Ok(())
    }

    fn begun(&mut self, reactor: &mut Reactor, begun: Result<(), (u64, std::io::Error)>) {
        match begun {
            Ok(()) => self.runner_pauses.reset(),
            Err((seq, cause)) => {
                let cause = &cause;
                self.audience
                    .note(&TailNote::ProgramNotStarted { seq, cause });
                let pause = self.runner_pauses.next();
                reactor.set_timer(Instant::now() + pause, PROGRAM_TIMER);
            }
        }
    }

    /// Keeps what cannot be used yet, and reads no more of it: the hub waits with the rest.
    fn hold(&mut self, reactor: &mut Reactor, bytes: &[u8]) {
        if let Some(link) = &mut self.link {
            link.held.extend_from_slice(bytes);
            reactor.pause(link.stream);
        }
        if !bytes.is_empty() {
            // Whoever said that is not silent.
            self.forget_answer_timer(reactor);
        }
    }

    fn forget_answer_timer(&mut self, reactor: &mut Reactor) {
        let timer = self.link.as_mut().and_then(|link| link.answer_timer.take());
        if let Some(timer) = timer {
            reactor.cancel_timer(timer);
        }
    }

    /// Goes on with what was kept.
    fn go_on(&mut self, reactor: &mut Reactor) {
        let Some(link) = &mut self.link else {
            return;
        };
        let held = core::mem::take(&mut link.held);
        self.take(reactor, &held);
        if let Some(link) = &self.link
            && !self.is_busy()
        {
            reactor.resume(link.stream);
        }
    }

    fn exited(&mut self, reactor: &mut Reactor, id: u64) {
        let ended = self.runner.as_mut().and_then(|runner| runner.reap(id));
        if self.is_stopping {
            return reactor.stop();
        }
        if let Some((seq, status)) = ended
            && !status.success()
        {
            self.audience.note(&TailNote::ProgramFailed { seq, status });
        }
        self.go_on(reactor);
    }

    fn is_link(&self, source: Token) -> bool {
        self.link.as_ref().is_some_and(|link| link.stream == source)
    }
}

impl Handler for Follower<'_> {
    fn accepted(&mut self, _: &mut Reactor, _: Token, _: Socket, _: Option<Addr>) {}

    fn received(&mut self, reactor: &mut Reactor, source: Token, bytes: &[u8]) {
        if self.is_link(source) {
            self.take(reactor, bytes);
        }
    }

    fn ended(&mut self, reactor: &mut Reactor, source: Token) {
        if self.is_link(source) {
            let endpoint = self.endpoint.clone();
            self.lost(reactor, TailError::Closed { endpoint });
        }
    }

    fn closed(&mut self, reactor: &mut Reactor, source: Token, why: Closed) {
        if !self.is_link(source) {
            return;
        }
        let endpoint = self.endpoint.clone();
        let why = match why {
            Closed::Failed(source) => TailError::Broken { endpoint, source },
            _ => TailError::Closed { endpoint },
        };
        self.lost(reactor, why);
    }

    fn timer(&mut self, reactor: &mut Reactor, tag: u64) {
        match tag {
            DIAL_TIMER if !self.is_stopping => self.dial(reactor),
            ANSWER_TIMER => {
                if let Some(link) = &mut self.link {
                    link.answer_timer = None;
                }
                let (endpoint, limit) = (self.endpoint.clone(), self.timeout);
                self.lost(reactor, TailError::Silent { endpoint, limit });
            }
            PROGRAM_TIMER if !self.is_stopping => {
                if let Some(runner) = &mut self.runner {
                    let begun = runner.start();
                    self.begun(reactor, begun);
                }
            }
            STOP_TIMER => {
                if let Some(runner) = &self.runner {
                    runner.end(true);
                }
            }
            _ => {}
        }
    }

    fn woken(&mut self, reactor: &mut Reactor) {
        if self.stops.take().next().is_some() {
            self.stop(reactor);
        }
        for mail in self.mail.take() {
            match mail {
                Mail::Dialled(dialled) if !self.is_stopping => self.dialled(reactor, dialled),
                Mail::Dialled(_) => {}
                Mail::Exited(id) => self.exited(reactor, id),
            }
        }
    }
}

/// Lets the kernel find out about a hub whose machine has vanished.
fn keep_alive(socket: &Socket) -> berkeley::Result<()> {
    if socket.family() == Family::UNIX {
        return Ok(());
    }
    socket.set(opt::KeepAlive, true)?;
    socket.set(opt::KeepIdle, KEEP_IDLE)?;
    socket.set(opt::KeepInterval, KEEP_INTERVAL)?;
    socket.set(opt::KeepCount, KEEP_PROBES)
}
