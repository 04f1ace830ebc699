//! The answering side.

use std::collections::VecDeque;

use berkeley::{Addr, Socket};
use switchboard_reactor::{Closed, Handler, Reactor, Token};

use super::typed::{Said, Typed};
use super::{Ends, TalkError, TalkNote, Turns};

/// Messages that wait for their answers at most, when both alternate. Above it the oldest is not
/// answered any more: showing what comes matters more.
const OWED_MAX: usize = 1024;

/// Lines that a person may type before anybody has called; further ones wait to be read.
const LINES_MAX: usize = 64;

/// Where an answer goes: through which socket, to whom.
type Peer = (Token, Addr);

pub(super) struct Answerer<'a> {
    turns: Turns,
    ends: Ends<'a>,
    typed: Typed,
    /// Lines that wait for somebody to send them to.
    lines: VecDeque<String>,
    /// Who called last.
    last: Option<Peer>,
    /// Those whose messages were not answered yet, in the order in which they came.
    owed: VecDeque<Peer>,
    was_typed: bool,
    outcome: Result<(), TalkError>,
}

/// Why no more lines were taken from the input.
enum Taken {
    /// It has no more.
    All,
    /// Enough of them wait.
    Enough,
    /// There was a `q`.
    Quit,
    /// More has to be read.
    Some,
}

impl<'a> Answerer<'a> {
    pub(super) fn new(turns: Turns, ends: Ends<'a>) -> Self {
        Self {
            turns,
            ends,
            typed: Typed::new(),
            lines: VecDeque::new(),
            last: None,
            owed: VecDeque::new(),
            was_typed: false,
            outcome: Ok(()),
        }
    }

    pub(super) fn into_outcome(self) -> Result<(), TalkError> {
        self.outcome
    }

    pub(super) fn begin(&self, reactor: &mut Reactor) {
        // A person may want to leave before anybody has called.
        if self.turns == Turns::Alternate {
            reactor.pause(self.ends.input);
        }
    }

    fn end(&mut self, reactor: &mut Reactor, outcome: Result<(), TalkError>) {
        // The first reason is the one that counts.
        if self.outcome.is_ok() {
            self.outcome = outcome;
        }
        reactor.stop();
    }

    /// Sends what may be sent, then waits for what is missing or ends.
    fn advance(&mut self, reactor: &mut Reactor) {
        loop {
            let taken = self.take_lines();
            let was_sent = self.send_lines(reactor);
            match taken {
                Taken::Some => return reactor.resume(self.ends.input),
                Taken::Enough if was_sent => {}
                Taken::Enough => return reactor.pause(self.ends.input),
                // To be answered one by one, when somebody calls again.
                Taken::All if self.turns == Turns::Alternate && !self.lines.is_empty() => return,
                // There was nothing to answer with from the start: what comes is only shown.
                Taken::All if self.turns == Turns::Alternate && !self.was_typed => {
                    return self.owed.clear();
                }
                Taken::All | Taken::Quit => {
                    if !self.lines.is_empty() {
                        (self.ends.notes)(TalkNote::Unsent);
                    }
                    return self.end(reactor, Ok(()));
                }
            }
        }
    }

    fn take_lines(&mut self) -> Taken {
        // A program's line is the answer to one message, so that one is enough.
        let lines_max = if self.turns == Turns::Free {
            LINES_MAX
        } else {
            1
        };
        while self.lines.len() < lines_max {
            match self.typed.next(&mut *self.ends.notes) {
                Some(Said::Message(text)) => {
                    self.lines.push_back(text);
                    self.was_typed = true;
                }
                Some(Said::Quit) => return Taken::Quit,
                None if self.typed.has_ended() => return Taken::All,
                None => return Taken::Some,
            }
        }
        Taken::Enough
    }

    /// Sends the lines for which there is somebody; tells whether there was any.
    fn send_lines(&mut self, reactor: &Reactor) -> bool {
        let mut was_sent = false;
        while !self.lines.is_empty() {
            let peer = match self.turns {
                Turns::Alternate => self.owed.pop_front(),
                Turns::Free => self.last.clone(),
            };
            let Some((socket, addr)) = peer else { break };
            let Some(text) = self.lines.pop_front() else {
                break;
            };
            was_sent = true;
            if let Err(error) = reactor.send_datagram(socket, Some(&addr), text.as_bytes()) {
                // The caller's trouble, not ours: the next one may be easier to reach.
                (self.ends.notes)(TalkNote::Trouble(error));
            }
        }
        was_sent
    }
}

impl Handler for Answerer<'_> {
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

    fn datagram(&mut self, reactor: &mut Reactor, socket: Token, from: Option<Addr>, bytes: &[u8]) {
        let name = from
            .as_ref()
            .map_or_else(|| "somebody".to_owned(), Addr::to_string);
        if let Err(error) = self.ends.show(&name, bytes) {
            return self.end(reactor, Err(error));
        }
        // Somebody without a name cannot be answered.
        let Some(addr) = from else { return };
        match self.turns {
            Turns::Free => self.last = Some((socket, addr)),
            Turns::Alternate => {
                if self.owed.len() >= OWED_MAX {
                    self.owed.pop_front();
                }
                self.owed.push_back((socket, addr));
            }
        }
        self.advance(reactor);
    }

    fn trouble(&mut self, _: &mut Reactor, _: Token, error: berkeley::Error) {
        (self.ends.notes)(TalkNote::Trouble(error));
    }

    fn woken(&mut self, reactor: &mut Reactor) {
        if self.ends.stops.take().len() > 0 {
            self.end(reactor, Ok(()));
        }
    }
}
