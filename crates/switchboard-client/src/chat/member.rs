//! What happens in a room, as seen by one of its members.

use std::io::{self, Write};
use std::time::Instant;

use berkeley::{Addr, Endpoint, Shutdown, Socket};
use bytes::Bytes;
use switchboard_reactor::{Closed, Handler, Reactor, Receiver, TimerId, Token};
use switchboard_wire::{Command, Line, LineDecoder};

use super::pieces::Pieces;
use super::{ChatError, ChatNote, LEAVE_LIMIT, LINE_BYTES_MAX, LINGER, PIECE_WAIT};

const PIECE_TIMER: u64 = 1;
const LINGER_TIMER: u64 = 2;

pub(super) struct Member<'a> {
    endpoint: Endpoint,
    stream: Token,
    input: Token,
    stops: Receiver<()>,
    out: &'a mut dyn Write,
    notes: &'a mut dyn FnMut(ChatNote),
    typed: LineDecoder,
    pieces: Pieces,
    piece_timer: Option<TimerId>,
    has_quit: bool,
    /// The input has ended, and with it our side, as soon as everything is written.
    is_ending: bool,
    linger_timer: Option<TimerId>,
    /// What still had to be written when the timer was set.
    linger_bytes: usize,
    outcome: Result<(), ChatError>,
}

impl<'a> Member<'a> {
    pub(super) fn new(
        endpoint: Endpoint,
        stream: Token,
        input: Token,
        stops: Receiver<()>,
        out: &'a mut dyn Write,
        notes: &'a mut dyn FnMut(ChatNote),
    ) -> Self {
        Self {
            endpoint,
            stream,
            input,
            stops,
            out,
            notes,
            typed: LineDecoder::new(LINE_BYTES_MAX),
            pieces: Pieces::default(),
            piece_timer: None,
            has_quit: false,
            is_ending: false,
            linger_timer: None,
            linger_bytes: 0,
            outcome: Ok(()),
        }
    }

    pub(super) fn into_outcome(self) -> Result<(), ChatError> {
        self.outcome
    }

    fn end(&mut self, reactor: &mut Reactor, outcome: Result<(), ChatError>) {
        // The first reason is the one that counts.
        if self.outcome.is_ok() {
            self.outcome = outcome;
        }
        reactor.stop();
    }

    /// Sends what was typed, and reads on when it has been written.
    fn say(&mut self, reactor: &mut Reactor, lines: impl IntoIterator<Item = Line>) {
        let mut bytes = Vec::new();
        for line in lines {
            match line {
                Line::Text(text) => {
                    self.has_quit |= Command::parse(&text) == Some(Command::Quit);
                    bytes.extend_from_slice(text.as_bytes());
                    bytes.push(b'\n');
                }
                Line::NotUtf8 => (self.notes)(ChatNote::LineNotUtf8),
                Line::TooLong => (self.notes)(ChatNote::LineTooLong),
            }
        }
        // Nothing waits when input is read, and an empty outbox takes any piece.
        if !bytes.is_empty() && reactor.send(self.stream, Bytes::from(bytes)).is_ok() {
            reactor.pause(self.input);
        }
    }

    fn show(&mut self, reactor: &mut Reactor, lines: &[String]) {
        let write = |out: &mut dyn Write| -> io::Result<()> {
            for line in lines {
                writeln!(out, "{line}")?;
            }
            out.flush()
        };
        if !lines.is_empty()
            && let Err(error) = write(self.out)
        {
            self.end(reactor, Err(ChatError::Output(error)));
        }
    }

    fn show_rest(&mut self, reactor: &mut Reactor) {
        let mut lines = Vec::new();
        self.pieces.end(&mut lines);
        self.show(reactor, &lines);
    }

    fn end_our_side(&self, reactor: &Reactor) {
        if let Some(socket) = reactor.socket(self.stream) {
            // A server that is gone already has no use for our end.
            drop(socket.shutdown(Shutdown::WRITE));
        }
    }

    fn linger(&mut self, reactor: &mut Reactor) {
        if let Some(timer) = self.linger_timer.take() {
            reactor.cancel_timer(timer);
        }
        self.linger_bytes = reactor.outbox_bytes(self.stream);
        self.linger_timer = Some(reactor.set_timer(Instant::now() + LINGER, LINGER_TIMER));
    }

    fn lingered(&mut self, reactor: &mut Reactor) {
        let left = reactor.outbox_bytes(self.stream);
        if left == 0 {
            self.show_rest(reactor);
            self.end(reactor, Ok(()));
        } else if left < self.linger_bytes {
            self.linger(reactor);
        } else {
            let endpoint = self.endpoint.clone();
            self.end(
                reactor,
                Err(ChatError::NotTaken {
                    endpoint,
                    bytes: left,
                }),
            );
        }
    }
}

impl Handler for Member<'_> {
    fn accepted(&mut self, _: &mut Reactor, _: Token, _: Socket, _: Option<Addr>) {}

    fn received(&mut self, reactor: &mut Reactor, source: Token, mut bytes: &[u8]) {
        if source == self.input {
            let mut lines = Vec::new();
            while let Some(line) = self.typed.push(&mut bytes) {
                lines.push(line);
            }
            self.say(reactor, lines);
            return;
        }
        let mut lines = Vec::new();
        self.pieces.push(bytes, &mut lines);
        self.show(reactor, &lines);
        if let Some(timer) = self.piece_timer.take() {
            reactor.cancel_timer(timer);
        }
        if self.pieces.is_holding() {
            self.piece_timer = Some(reactor.set_timer(Instant::now() + PIECE_WAIT, PIECE_TIMER));
        }
        if self.is_ending {
            self.linger(reactor);
        }
    }

    fn ended(&mut self, reactor: &mut Reactor, source: Token) {
        if source == self.input {
            let last = self.typed.end();
            self.say(reactor, last);
            self.is_ending = true;
            if reactor.outbox_bytes(self.stream) == 0 {
                self.end_our_side(reactor);
            }
            self.linger(reactor);
            return;
        }
        self.show_rest(reactor);
        let endpoint = self.endpoint.clone();
        if self.is_ending {
            self.end(reactor, Ok(()));
        } else if self.has_quit {
            (self.notes)(ChatNote::ServerClosed { endpoint });
            self.end(reactor, Ok(()));
        } else {
            self.end(reactor, Err(ChatError::Closed { endpoint }));
        }
    }

    fn closed(&mut self, reactor: &mut Reactor, source: Token, why: Closed) {
        match why {
            Closed::Failed(error) if source == self.input => {
                self.end(reactor, Err(ChatError::Input(error)));
            }
            Closed::Failed(source) if !self.has_quit => {
                self.show_rest(reactor);
                let endpoint = self.endpoint.clone();
                self.end(reactor, Err(ChatError::Broken { endpoint, source }));
            }
            // We were leaving.
            _ => {
                self.show_rest(reactor);
                self.end(reactor, Ok(()));
            }
        }
    }

    fn drained(&mut self, reactor: &mut Reactor, _: Token) {
        if self.is_ending {
            self.end_our_side(reactor);
        } else {
            reactor.resume(self.input);
        }
    }

    fn timer(&mut self, reactor: &mut Reactor, tag: u64) {
        if tag == LINGER_TIMER {
            self.linger_timer = None;
            self.lingered(reactor);
            return;
        }
        self.piece_timer = None;
        let mut lines = Vec::new();
        self.pieces.flush(&mut lines);
        self.show(reactor, &lines);
    }

    fn woken(&mut self, reactor: &mut Reactor) {
        if self.stops.take().len() == 0 {
            return;
        }
        reactor.close(self.input);
        // Leaving is what was asked for, however the server takes it.
        self.has_quit = true;
        reactor.finish(self.stream, LEAVE_LIMIT);
    }
}
