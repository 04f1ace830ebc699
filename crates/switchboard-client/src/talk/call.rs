//! The calling side.

use std::time::Instant;

use berkeley::{Addr, Deadline, Endpoint, Errno, Socket, create_connection};
use switchboard_reactor::{Closed, Handler, Reactor, TimerId, Token};

use super::typed::{Said, Typed};
use super::{CallOptions, Ends, TalkError, TalkNote, Turns};

pub(super) struct Caller<'a> {
    options: CallOptions,
    ends: Ends<'a>,
    /// The addresses of the peer that were not tried yet.
    addresses: std::vec::IntoIter<Addr>,
    socket: Option<Token>,
    typed: Typed,
    /// The last message, and until when its answer is waited for.
    unanswered: Option<(String, Instant)>,
    /// Whether the peer has ever said anything: then its address is the right one.
    was_heard: bool,
    timer: Option<TimerId>,
    outcome: Result<(), TalkError>,
}

impl<'a> Caller<'a> {
    pub(super) fn new(options: CallOptions, addresses: Vec<Addr>, ends: Ends<'a>) -> Self {
        Self {
            options,
            ends,
            addresses: addresses.into_iter(),
            socket: None,
            typed: Typed::new(),
            unanswered: None,
            was_heard: false,
            timer: None,
            outcome: Ok(()),
        }
    }

    pub(super) fn into_outcome(self) -> Result<(), TalkError> {
        self.outcome
    }

    /// Turns to the next address of the peer.
    pub(super) fn dial(&mut self, reactor: &mut Reactor) -> Result<(), TalkError> {
        if let Some(old) = self.socket.take() {
            reactor.close(old);
        }
        let endpoint = &self.options.endpoint;
        let mut last = berkeley::Error::Invalid("it has no address".into());
        for addr in self.addresses.by_ref() {
            let Some(one) = Endpoint::from_addr(endpoint.transport(), &addr) else {
                continue;
            };
            let socket = create_connection(&one, Deadline::NEVER)
                .and_then(|(socket, _)| reactor.add_datagrams(socket));
            match socket {
                Ok(socket) => {
                    self.socket = Some(socket);
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        Err(self.error(last))
    }

    fn error(&self, source: berkeley::Error) -> TalkError {
        let endpoint = self.options.endpoint.clone();
        match source.errno() {
            Some(Errno::ECONNREFUSED) => TalkError::Refused { endpoint, source },
            _ => TalkError::Failed { endpoint, source },
        }
    }

    fn end(&mut self, reactor: &mut Reactor, outcome: Result<(), TalkError>) {
        // The first reason is the one that counts.
        if self.outcome.is_ok() {
            self.outcome = outcome;
        }
        reactor.stop();
    }

    /// Sends what may be sent, or waits for what is missing.
    fn advance(&mut self, reactor: &mut Reactor) {
        while self.outcome.is_ok() {
            let is_waiting = self.unanswered.is_some();
            if is_waiting && self.options.turns == Turns::Alternate {
                reactor.pause(self.ends.input);
                return self.wait(reactor);
            }
            match self.typed.next(&mut *self.ends.notes) {
                Some(Said::Message(text)) => self.send(reactor, text),
                Some(Said::Quit) => return self.end(reactor, Ok(())),
                None if !self.typed.has_ended() => return reactor.resume(self.ends.input),
                None if is_waiting => return self.wait(reactor),
                None => return self.end(reactor, Ok(())),
            }
        }
    }

    fn send(&mut self, reactor: &mut Reactor, text: String) {
        let sent = match self.socket {
            Some(socket) => reactor.send_datagram(socket, None, text.as_bytes()),
            None => Ok(()),
        };
        self.unanswered = Some((text, Instant::now() + self.options.wait));
        if let Err(error) = sent {
            self.failed(reactor, error);
        }
    }

    /// Sets the timer for the answer, unless it is set already.
    fn wait(&mut self, reactor: &mut Reactor) {
        if let (None, Some((_, until))) = (self.timer, &self.unanswered) {
            self.timer = Some(reactor.set_timer(*until, 0));
        }
    }

    fn answered(&mut self, reactor: &mut Reactor) {
        self.unanswered = None;
        if let Some(timer) = self.timer.take() {
            reactor.cancel_timer(timer);
        }
    }

    /// Sending or receiving failed: another address may be better, if this one never answered.
    fn failed(&mut self, reactor: &mut Reactor, error: berkeley::Error) {
        let error = self.error(error);
        let is_refused = matches!(error, TalkError::Refused { .. });
        if !is_refused || self.was_heard || self.dial(reactor).is_err() {
            return self.end(reactor, Err(error));
        }
        if let Some((text, _)) = self.unanswered.take() {
            self.answered(reactor);
            self.send(reactor, text);
        }
    }
}

impl Handler for Caller<'_> {
    fn accepted(&mut self, _: &mut Reactor, _: Token, _: Socket, _: Option<Addr>) {}

    fn received(&mut self, reactor: &mut Reactor, _: Token, bytes: &[u8]) {
        self.typed.push(bytes);
        self.advance(reactor);
    }

    fn ended(&mut self, reactor: &mut Reactor, _: Token) {
        self.typed.end();
        self.advance(reactor);
    }

    fn closed(&mut self, reactor: &mut Reactor, _: Token, why: Closed) {
        if let Closed::Failed(error) = why {
            self.end(reactor, Err(TalkError::Input(error)));
        }
    }

    fn datagram(&mut self, reactor: &mut Reactor, _: Token, _: Option<Addr>, bytes: &[u8]) {
        self.was_heard = true;
        if let Err(error) = self.ends.show(&self.options.name, bytes) {
            return self.end(reactor, Err(error));
        }
        self.answered(reactor);
        self.advance(reactor);
    }

    fn timer(&mut self, reactor: &mut Reactor, _: u64) {
        self.timer = None;
        self.unanswered = None;
        let (name, wait) = (self.options.name.clone(), self.options.wait);
        (self.ends.notes)(TalkNote::NoAnswer { name, wait });
        self.advance(reactor);
    }

    fn trouble(&mut self, reactor: &mut Reactor, _: Token, error: berkeley::Error) {
        self.failed(reactor, error);
        self.advance(reactor);
    }

    fn woken(&mut self, reactor: &mut Reactor) {
        if self.ends.stops.take().len() > 0 {
            self.end(reactor, Ok(()));
        }
    }
}
