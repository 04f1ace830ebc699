//! What a listener does about what happens on its sockets.

use core::time::Duration;
use std::io;
use std::net::{SocketAddrV4, SocketAddrV6};
use std::time::Instant;

use berkeley::{Addr, Error, Socket};
use switchboard_reactor::{
    Closed, Handler, READ_BYTES_MAX, Reactor, Receiver, SendError, Sender, Token, TokenMap,
};
use switchboard_wire::{FrameDecoder, FrameError, frame};

use super::children::Children;
use super::notices::Notices;
use super::{
    Answer, Audience, FINISH_LIMIT, ListenError, Mail, Notice, Options, Peer, Piece, STOP_LIMIT,
};

/// Answers that may wait for a peer before nothing more is read from it: enough to keep a fast
/// network busy, little enough for thousands of peers that do not read.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// How long a peer that broke the rules may take to close.
const REFUSAL_LIMIT: Duration = Duration::from_secs(2);

/// The only timer: what has not ended by now is ended by force.
const STOP_TAG: u64 = 0;

/// One connection. There may be very many, and most of them silent.
#[derive(Debug)]
struct Guest {
    name: Name,
    /// Takes its stream apart, where frames are asked for.
    frames: Option<Box<Frames>>,
    is_paused: bool,
    /// Why it is being closed has been told already.
    is_refused: bool,
}

const _: () = assert!(size_of::<Guest>() <= 56);

impl Guest {
    fn has_rest(&self) -> bool {
        let frames = self.frames.as_ref();
        frames.is_some_and(|frames| !frames.rest.is_empty())
    }
}

/// What takes a stream apart.
#[derive(Debug)]
struct Frames {
    decoder: FrameDecoder,
    /// What was read but not taken apart yet, because too many answers wait.
    rest: Vec<u8>,
}

/// A [`Peer`] in the least memory: most addresses are short.
#[derive(Debug)]
enum Name {
    Inet(SocketAddrV4),
    Inet6(SocketAddrV6),
    Number(u64),
    Other(Box<Peer>),
}

impl Name {
    fn new(peer: Peer) -> Self {
        match peer {
            Peer::Addr(Addr::Inet(addr)) => Self::Inet(addr),
            Peer::Addr(Addr::Inet6(addr)) => Self::Inet6(addr),
            Peer::Number(number) => Self::Number(number),
            peer => Self::Other(Box::new(peer)),
        }
    }

    fn peer(&self) -> Peer {
        match self {
            Self::Inet(addr) => Peer::Addr(Addr::Inet(*addr)),
            Self::Inet6(addr) => Peer::Addr(Addr::Inet6(*addr)),
            Self::Number(number) => Peer::Number(*number),
            Self::Other(peer) => Peer::clone(peer),
        }
    }
}

/// The state of a running listener.
pub(super) struct Desk<'a> {
    options: Options,
    outbox_bytes_max: usize,
    sources: Vec<Token>,
    guests: TokenMap<Guest>,
    children: Children,
    mail: Receiver<Mail>,
    to_self: Sender<Mail>,
    audience: &'a mut dyn Audience,
    wants_pieces: bool,
    notices: Notices,
    /// Guests from whom nothing is received for now.
    paused: usize,
    /// What ends everything, and whom to tell.
    stop_input: Option<(Token, Box<dyn FnOnce() + Send>)>,
    /// Connections without a name so far.
    unnamed: u64,
    is_stopping: bool,
    failure: Option<io::Error>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        options: Options,
        sources: Vec<Token>,
        (to_self, mail): (Sender<Mail>, Receiver<Mail>),
        audience: &'a mut dyn Audience,
    ) -> Self {
        let reply = match &options.answer {
            Answer::Reply(reply) => reply.len(),
            _ => READ_BYTES_MAX,
        };
        // Reading stops above `ANSWER_BYTES_MAX`, so that one answer is what can come on top.
        let frame = options.frame_bytes_max.map_or(0, |max| max as usize);
        let outbox_bytes_max = 2 * ANSWER_BYTES_MAX + reply + frame;
        Self {
            options,
            outbox_bytes_max,
            wants_pieces: audience.wants_pieces(),
            paused: 0,
            stop_input: None,
            sources,
            guests: TokenMap::new(),
            children: Children::default(),
            mail,
            to_self,
            audience,
            notices: Notices::default(),
            unnamed: 0,
            is_stopping: false,
            failure: None,
        }
    }

    /// Ends everything when there is something to read there.
    pub(super) fn stop_on(&mut self, input: Token, told: Box<dyn FnOnce() + Send>) {
        self.stop_input = Some((input, told));
    }

    fn is_stop_input(&self, source: Token) -> bool {
        matches!(&self.stop_input, Some((input, _)) if *input == source)
    }

    /// How it went.
    pub(super) fn into_result(self) -> Result<(), ListenError> {
        self.failure
            .map_or(Ok(()), |error| Err(ListenError::Output(error)))
    }

    /// Ends everything if the audience is gone.
    fn check(&mut self, reactor: &mut Reactor, told: io::Result<()>) {
        if let Err(error) = told {
            self.failure.get_or_insert(error);
            reactor.stop();
        }
    }

    fn name(&mut self, addr: Option<Addr>) -> Peer {
        addr.map_or_else(
            || {
                self.unnamed += 1;
                Peer::Number(self.unnamed)
            },
            Peer::Addr,
        )
    }

    /// Serves a connection ourselves.
    fn welcome(&mut self, reactor: &mut Reactor, socket: Socket, peer: Peer) {
        match reactor.add_stream(socket, self.outbox_bytes_max) {
            Ok(token) => {
                self.audience.notice(&Notice::Came { peer: &peer });
                let frames = self.options.frame_bytes_max.map(|bytes_max| {
                    Box::new(Frames {
                        decoder: FrameDecoder::new(bytes_max),
                        rest: Vec::new(),
                    })
                });
                let guest = Guest {
                    name: Name::new(peer),
                    frames,
                    is_paused: false,
                    is_refused: false,
                };
                self.guests.insert(token, guest);
            }
            Err(cause) => self.audience.notice(&Notice::Broken {
                peer: &peer,
                cause: &cause,
            }),
        }
    }

    /// Gives a connection to a program.
    fn hand_over(&mut self, socket: Socket, peer: Peer) {
        let Answer::Exec(command) = &self.options.answer else {
            return;
        };
        match self
            .children
            .start(command, socket, peer.clone(), &self.to_self)
        {
            Ok(()) => self.audience.notice(&Notice::Came { peer: &peer }),
            Err(cause) => self
                .audience
                .notice(&Notice::NoProgram { peer: &peer, cause }),
        }
    }

    /// Shows and answers what one read gave.
    #[inline]
    fn take_bytes(&mut self, reactor: &mut Reactor, token: Token, bytes: &[u8]) {
        // Each guest lies in a place of its own in memory: it is left alone where nobody asks.
        if self.wants_pieces {
            self.tell_bytes(reactor, token, bytes);
        }
        let sent = match &self.options.answer {
            Answer::Echo => reactor.send_slice(token, bytes),
            Answer::Reply(reply) => reactor.send(token, reply.clone()),
            Answer::Exec(_) | Answer::Nothing => return,
        };
        has_room(sent);
        self.pause_if_full(reactor, token);
    }

    #[inline(never)]
    fn tell_bytes(&mut self, reactor: &mut Reactor, token: Token, bytes: &[u8]) {
        if let Some(guest) = self.guests.get(token) {
            let told = self.audience.piece(&guest.name.peer(), Piece::Bytes(bytes));
            let told = told.and_then(|()| self.audience.flush());
            self.check(reactor, told);
        }
    }

    /// Shows and answers the frames in what was read, until too many answers wait.
    fn take_frames(&mut self, reactor: &mut Reactor, token: Token, mut bytes: &[u8]) {
        let Some(guest) = self.guests.get_mut(token) else {
            return;
        };
        let Some(frames) = &mut guest.frames else {
            return;
        };
        let peer = guest.name.peer();
        let waiting = reactor.outbox_bytes(token);
        let mut answers = Vec::new();
        let mut told = Ok(());
        let outcome = loop {
            if waiting + answers.len() > ANSWER_BYTES_MAX {
                frames.rest = bytes.to_vec();
                break Ok(());
            }
            let frame = match frames.decoder.push(&mut bytes) {
                Ok(Some(frame)) => frame,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            if self.wants_pieces {
                told = told.and_then(|()| self.audience.piece(&peer, Piece::Frame(&frame)));
            }
            match &self.options.answer {
                Answer::Echo => {
                    if let Err(error) = frame::encode(&frame, &mut answers) {
                        break Err(error);
                    }
                }
                Answer::Reply(reply) => answers.extend_from_slice(reply),
                Answer::Exec(_) | Answer::Nothing => {}
            }
        };
        let told = told.and_then(|()| self.audience.flush());
        self.check(reactor, told);
        has_room(reactor.send(token, answers.into()));
        match outcome {
            Ok(()) => self.pause_if_full(reactor, token),
            Err(cause) => self.refuse(reactor, token, cause),
        }
    }

    #[inline]
    fn pause_if_full(&mut self, reactor: &mut Reactor, token: Token) {
        let is_full = reactor.outbox_bytes(token) > ANSWER_BYTES_MAX;
        let has_frames = self.options.frame_bytes_max.is_some();
        if is_full || has_frames {
            self.pause(reactor, token, is_full);
        }
    }

    #[inline(never)]
    fn pause(&mut self, reactor: &mut Reactor, token: Token, is_full: bool) {
        if let Some(guest) = self.guests.get_mut(token)
            && (is_full || guest.has_rest())
        {
            self.paused += usize::from(!guest.is_paused);
            guest.is_paused = true;
            reactor.pause(token);
        }
    }

    /// Goes on with a guest who has fetched all the answers.
    #[inline(never)]
    fn unpause(&mut self, reactor: &mut Reactor, source: Token) {
        let Some(guest) = self.guests.get_mut(source) else {
            return;
        };
        if !core::mem::take(&mut guest.is_paused) {
            return;
        }
        self.paused -= 1;
        let frames = guest.frames.as_mut();
        let rest = frames.map(|frames| core::mem::take(&mut frames.rest));
        if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
            self.take_frames(reactor, source, &rest);
        }
        if self
            .guests
            .get(source)
            .is_some_and(|guest| !guest.is_paused)
        {
            reactor.resume(source);
        }
    }

    /// Closes a connection whose bytes are no frames.
    fn refuse(&mut self, reactor: &mut Reactor, token: Token, cause: FrameError) {
        if let Some(guest) = self.guests.get_mut(token) {
            guest.is_refused = true;
            self.audience.notice(&Notice::BadFrame {
                peer: &guest.name.peer(),
                cause,
            });
            reactor.finish(token, REFUSAL_LIMIT);
        }
    }

    fn answer_datagram(&mut self, reactor: &Reactor, socket: Token, peer: &Peer, bytes: &[u8]) {
        let answer = match &self.options.answer {
            Answer::Echo => bytes,
            Answer::Reply(reply) => reply,
            Answer::Exec(_) | Answer::Nothing => return,
        };
        let Peer::Addr(addr) = peer else {
            if self.notices.allow_nameless() {
                self.audience.notice(&Notice::Nameless);
            }
            return;
        };
        if let Err(cause) = reactor.send_datagram(socket, Some(addr), answer)
            && self.notices.allow_peer(addr, Instant::now())
        {
            self.audience.notice(&Notice::Unanswered {
                peer,
                cause: &cause,
            });
        }
    }

    /// Begins the end: nobody is accepted any more, and everybody gets a moment.
    fn stop(&mut self, reactor: &mut Reactor) {
        if core::mem::replace(&mut self.is_stopping, true) {
            return;
        }
        for source in self.sources.drain(..) {
            reactor.close(source);
        }
        if let Some((input, told)) = self.stop_input.take() {
            reactor.close(input);
            told();
        }
        for token in self.guests.tokens() {
            reactor.finish(token, STOP_LIMIT);
        }
        self.children.end(false);
        reactor.set_timer(Instant::now() + STOP_LIMIT, STOP_TAG);
        self.settle(reactor);
    }

    /// Stops the reactor when nothing is left to wait for.
    fn settle(&self, reactor: &mut Reactor) {
        if self.is_stopping && self.guests.is_empty() && self.children.count() == 0 {
            reactor.stop();
        }
    }
}

/// Pausing leaves room for each answer. A connection that is gone meanwhile needs none.
fn has_room(sent: Result<(), SendError>) {
    debug_assert!(
        sent != Err(SendError::Full),
        "a peer with so many answers waiting is not read from"
    );
}

impl Handler for Desk<'_> {
    fn accepted(&mut self, reactor: &mut Reactor, _: Token, socket: Socket, addr: Option<Addr>) {
        let peer = self.name(addr);
        let connections_max = self.options.connections_max;
        if self.guests.len() + self.children.count() >= connections_max {
            self.audience.notice(&Notice::Refused {
                peer: &peer,
                connections_max,
            });
            return;
        }
        if matches!(self.options.answer, Answer::Exec(_)) {
            self.hand_over(socket, peer);
        } else {
            self.welcome(reactor, socket, peer);
        }
    }

    #[inline]
    fn received(&mut self, reactor: &mut Reactor, source: Token, bytes: &[u8]) {
        if self.is_stop_input(source) {
            self.stop(reactor);
        } else if self.options.frame_bytes_max.is_some() {
            self.take_frames(reactor, source, bytes);
        } else {
            self.take_bytes(reactor, source, bytes);
        }
    }

    fn ended(&mut self, reactor: &mut Reactor, source: Token) {
        if self.is_stop_input(source) {
            return self.stop(reactor);
        }
        let guest = self.guests.get(source);
        let frames = guest.and_then(|guest| guest.frames.as_ref());
        match frames.map_or(Ok(()), |frames| frames.decoder.end()) {
            Ok(()) => reactor.finish(source, FINISH_LIMIT),
            Err(cause) => self.refuse(reactor, source, cause),
        }
    }

    fn closed(&mut self, reactor: &mut Reactor, source: Token, why: Closed) {
        let Some(Guest {
            name,
            is_refused,
            is_paused,
            ..
        }) = self.guests.remove(source)
        else {
            return;
        };
        self.paused -= usize::from(is_paused);
        let peer = &name.peer();
        match why {
            _ if is_refused => {}
            Closed::Failed(cause) => self.audience.notice(&Notice::Broken {
                peer,
                cause: &cause,
            }),
            Closed::TimedOut if !self.is_stopping => self.audience.notice(&Notice::Slow { peer }),
            _ => self.audience.notice(&Notice::Left { peer }),
        }
        self.settle(reactor);
    }

    fn datagram(&mut self, reactor: &mut Reactor, socket: Token, from: Option<Addr>, bytes: &[u8]) {
        let peer = from.map_or(Peer::Unnamed, Peer::Addr);
        let told = self.audience.piece(&peer, Piece::Bytes(bytes));
        let told = told.and_then(|()| self.audience.flush());
        self.check(reactor, told);
        self.answer_datagram(reactor, socket, &peer, bytes);
    }

    fn drained(&mut self, reactor: &mut Reactor, source: Token) {
        // Most often nobody is paused, and each guest lies in a place of its own in memory.
        if self.paused > 0 {
            self.unpause(reactor, source);
        }
    }
    fn timer(&mut self, reactor: &mut Reactor, _tag: u64) {
        for token in core::mem::take(&mut self.guests).tokens() {
            reactor.close(token);
        }
        self.paused = 0;
        self.children.end(true);
        self.settle(reactor);
    }

    fn woken(&mut self, reactor: &mut Reactor) {
        for mail in self.mail.take() {
            match mail {
                Mail::Exited(id) => {
                    if let Some(peer) = self.children.reap(id, self.is_stopping) {
                        self.audience.notice(&Notice::Left { peer: &peer });
                    }
                    self.settle(reactor);
                }
                Mail::Stop => self.stop(reactor),
            }
        }
    }

    fn trouble(&mut self, _: &mut Reactor, _: Token, cause: Error) {
        if self.notices.allow_trouble(Instant::now()) {
            self.audience.notice(&Notice::Trouble { cause: &cause });
        }
    }
}
