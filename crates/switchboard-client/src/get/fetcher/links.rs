//! Connections: made, used again, given back.

use std::time::Instant;

use berkeley::{
    Addr, Deadline, Endpoint, Errno, Kind, Mode, Protocol, Socket, Transport, create_connection,
};
use bytes::Bytes;
use switchboard_reactor::{Reactor, Token};
use switchboard_wire::http::{HttpOrigin, ResponseDecoder, get_request};

use super::hosts::Reach;
use super::{Fetcher, SILENCE_TIMER, timer_tag};
use crate::get::job::{Body, Fetch, Stage};
use crate::get::sink::Sink;
use crate::get::{GetError, Mail};

/// A request is all that we ever send: an address, a validator and a few words.
const OUTBOX_BYTES_MAX: usize = 64 * 1024;

/// What a download sends its request on.
struct Line {
    link: Token,
    is_reused: bool,
    is_connected: bool,
}

impl Fetcher<'_> {
    /// Gets a connection for a job: one that rests, or a new one.
    pub(super) fn call(&mut self, reactor: &mut Reactor, index: usize, origin: &HttpOrigin) {
        if let Some(link) = self.hosts.rested(origin) {
            let line = Line {
                link,
                is_reused: true,
                is_connected: true,
            };
            return self.ask(reactor, index, origin, &line);
        }
        let is_dialling = match self.hosts.reach(origin) {
            Reach::Known(addr) => {
                let addr = addr.clone();
                return self.connect(reactor, index, origin, &addr);
            }
            Reach::Dialling(waiting) => {
                waiting.push(index);
                true
            }
            reach @ Reach::Unknown => {
                *reach = Reach::Dialling(vec![index]);
                false
            }
        };
        if let Some(job) = self.jobs.get_mut(index) {
            job.stage = Stage::Dialling;
        }
        if !is_dialling {
            self.dial(reactor, origin);
        }
    }

    /// Looks for an address of a host that answers, in a thread: names may take their time.
    fn dial(&mut self, reactor: &mut Reactor, origin: &HttpOrigin) {
        let (mail, limit) = (self.to_self.clone(), self.options.timeout);
        let own = origin.clone();
        let thread = std::thread::Builder::new().name("connect".into());
        let spawned = thread.spawn(move || {
            let dialled = Endpoint::parse(&own.to_string(), Transport::Tcp, None)
                .and_then(|endpoint| create_connection(&endpoint, Deadline::within(limit)));
            mail.send(Mail::Dialled(own, dialled));
        });
        if let Err(error) = spawned {
            for index in self.settle(origin, Reach::Unknown) {
                // Each of them gets its own.
                let error = std::io::Error::new(error.kind(), error.to_string());
                self.release(reactor, index, false);
                self.end(reactor, index, Err(GetError::Thread(error)));
            }
        }
    }

    /// A host was found, or was not: those who have waited for it.
    fn settle(&mut self, origin: &HttpOrigin, reach: Reach) -> Vec<usize> {
        match core::mem::replace(self.hosts.reach(origin), reach) {
            Reach::Dialling(waiting) => waiting,
            Reach::Unknown | Reach::Known(_) => Vec::new(),
        }
    }

    /// A thread has told where a host is.
    pub(super) fn dialled(
        &mut self,
        reactor: &mut Reactor,
        origin: &HttpOrigin,
        dialled: berkeley::Result<(Socket, Addr)>,
    ) {
        if self.is_stopping {
            return;
        }
        match dialled {
            Ok((socket, addr)) => {
                let waiting = self.settle(origin, Reach::Known(addr.clone()));
                let mut waiting = waiting.into_iter();
                if let Some(index) = waiting.next() {
                    self.connected(reactor, index, origin, socket, true);
                }
                for index in waiting {
                    self.connect(reactor, index, origin, &addr);
                }
            }
            Err(error) => {
                let words = error.to_string();
                let mut first = Some(error);
                for index in self.settle(origin, Reach::Unknown) {
                    // Errors cannot be cloned; the others are told the same in words.
                    let error = first
                        .take()
                        .unwrap_or_else(|| berkeley::Error::Invalid(words.clone()));
                    self.release(reactor, index, false);
                    self.fail(reactor, index, GetError::Connect(error), None);
                }
            }
        }
    }

    /// Connects to a known address, without waiting for it.
    fn connect(&mut self, reactor: &mut Reactor, index: usize, origin: &HttpOrigin, addr: &Addr) {
        let connecting =
            Socket::with_mode(addr.family(), Kind::STREAM, Protocol::TCP, Mode::NonBlock).and_then(
                |socket| match socket.connect_ex(addr)? {
                    None | Some(Errno::EINPROGRESS) => Ok(socket),
                    Some(errno) => Err(berkeley::Error::at("connect", errno, addr)),
                },
            );
        match connecting {
            Ok(socket) => self.connected(reactor, index, origin, socket, false),
            Err(error) => {
                self.release(reactor, index, false);
                self.hosts.forget(origin);
                self.fail(reactor, index, GetError::Connect(error), None);
            }
        }
    }

    /// There is a socket, connected or about to be.
    fn connected(
        &mut self,
        reactor: &mut Reactor,
        index: usize,
        origin: &HttpOrigin,
        socket: Socket,
        is_connected: bool,
    ) {
        match reactor.add_stream(socket, OUTBOX_BYTES_MAX) {
            Ok(link) => {
                let line = Line {
                    link,
                    is_reused: false,
                    is_connected,
                };
                self.ask(reactor, index, origin, &line);
            }
            Err(error) => {
                self.release(reactor, index, false);
                self.fail(reactor, index, GetError::Connect(error), None);
            }
        }
    }

    /// Sends the request.
    fn ask(&mut self, reactor: &mut Reactor, index: usize, origin: &HttpOrigin, line: &Line) {
        let Some(job) = self.jobs.get_mut(index) else {
            return;
        };
        let asked = job.sink.as_ref().and_then(Sink::resume);
        let resume = asked.as_ref().map(|(at, validator)| (*at, validator));
        let request = get_request(&job.place, resume);
        // A connection without anything in its outbox has room for it.
        reactor.send(line.link, Bytes::from(request)).ok();
        let heard = Instant::now();
        let limit = if line.is_connected {
            self.options.idle
        } else {
            self.options.timeout
        };
        job.stage = Stage::Fetching(Box::new(Fetch {
            link: line.link,
            is_reused: line.is_reused,
            is_connected: line.is_connected,
            was_heard: false,
            heard,
            timer: reactor.set_timer(heard + limit, timer_tag(index, SILENCE_TIMER)),
            decoder: ResponseDecoder::new(),
            asked,
            body: Body::Unknown,
        }));
        self.hosts.engage(line.link, origin, index);
    }

    /// Takes a job's place and connection away, if it has any; the connection rests if it may.
    pub(super) fn release(
        &mut self,
        reactor: &mut Reactor,
        index: usize,
        may_reuse: bool,
    ) -> Option<Box<Fetch>> {
        let job = self.jobs.get_mut(index)?;
        let fetch = match core::mem::replace(&mut job.stage, Stage::Waiting) {
            Stage::Fetching(fetch) => Some(fetch),
            Stage::Dialling => None,
            other => {
                job.stage = other;
                return None;
            }
        };
        self.active = self.active.saturating_sub(1);
        self.hosts.leave(&job.origin);
        self.may_start = true;
        let fetch = fetch?;
        reactor.cancel_timer(fetch.timer);
        if !(may_reuse && self.hosts.rest(fetch.link, self.options.jobs)) {
            self.drop_link(reactor, fetch.link);
        }
        Some(fetch)
    }

    pub(super) fn drop_link(&mut self, reactor: &mut Reactor, link: Token) {
        self.hosts.remove(link);
        reactor.close(link);
    }
}
