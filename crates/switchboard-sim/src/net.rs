//! The hub's side of the virtual network: what one shard has of it.
//!
//! It does what the reactor is documented to do, with the kernel made up behind it: each connection
//! has a window of bytes that may be under way, and what is received lies there until it is read.

mod calls;

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};

use crate::feeds::{Feeds, Next};
use crate::plan::Mutant;
use crate::random::Random;
use crate::time::{Clock, Micros};

/// A connection of the world, by a number that is never used again.
pub(crate) type LinkId = u64;

/// What a shard knows a connection or a door by.
pub(crate) type Token = u64;

/// What goes out to the world.
#[derive(Debug)]
pub(crate) enum Out {
    Data(LinkId, Vec<u8>),
    /// The hub's side has ended.
    Fin(LinkId),
    /// The hub has closed with a reset, or with unread bytes.
    Rst(LinkId),
}

/// What is told to the shard of one connection.
#[derive(Debug)]
pub(crate) enum In {
    Bytes(BytesMut),
    Ended,
    /// Its peer took nothing for too long.
    Stalled,
    Closed(Option<String>),
}

/// One connection as the hub's kernel and reactor have it.
#[derive(Debug)]
struct Conn {
    link: LinkId,
    received: BytesMut,
    has_ended: bool,
    end_told: bool,
    broken: Option<&'static str>,
    is_paused: bool,
    read_max: usize,
    outbox: VecDeque<Bytes>,
    outbox_len: usize,
    outbox_max: usize,
    /// Since when its peer takes nothing of what waits.
    stalled: Option<Micros>,
    /// Something waited since it was last told that nothing does.
    is_loaded: bool,
    /// What the kernel takes until the peer has read some.
    window: usize,
    finish: Option<Micros>,
    fin_sent: bool,
    is_parcels: bool,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct SimNet {
    clock: Clock,
    conns: BTreeMap<Token, Conn>,
    timers: BTreeMap<(Micros, u64), u64>,
    serial: u64,
    out: Vec<Out>,
    feeds: Feeds,
    /// Who has fallen behind its feed, and what it should get next.
    behind: Vec<(Token, u64)>,
    /// Of whom everything is written.
    drained: Vec<Token>,
    /// No feed holds more bytes, whatever it may.
    ring_bytes: usize,
    /// How long a peer may take nothing.
    stall_limit: Option<Micros>,
    is_stopped: bool,
    mutant: Option<Mutant>,
    random: Random,
}

/// Bytes of one read at most, as the reactor's.
const READ_BYTES_MAX: usize = 256 * 1024;
/// An entry of these clients is shorter.
const ENTRY_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a feed that one reader gets in one turn at most, as the reactor's.
const FEED_BYTES_PER_WRITE: usize = 128 * 1024;

impl SimNet {
    pub(crate) fn new(clock: Clock, first_token: Token, seed: u64, mutant: Option<Mutant>) -> Self {
        Self {
            clock,
            conns: BTreeMap::new(),
            timers: BTreeMap::new(),
            serial: first_token,
            out: Vec::new(),
            feeds: Feeds::default(),
            behind: Vec::new(),
            drained: Vec::new(),
            ring_bytes: usize::MAX,
            stall_limit: None,
            is_stopped: false,
            mutant,
            random: Random::new(seed, first_token),
        }
    }

    /// Bounds its feeds, and how long a peer may take nothing.
    pub(crate) const fn limit(&mut self, ring_bytes: usize, stall_limit: Option<Micros>) {
        self.ring_bytes = ring_bytes;
        self.stall_limit = stall_limit;
    }

    pub(crate) fn feeds(&self) -> usize {
        self.feeds.len()
    }

    /// One that has fallen behind its feed, and was not told yet.
    pub(crate) fn next_behind(&mut self) -> Option<(Token, u64)> {
        self.behind.pop()
    }

    /// Of whom everything was written since the last time.
    pub(crate) fn take_drained(&mut self) -> Vec<Token> {
        std::mem::take(&mut self.drained)
    }

    pub(crate) const fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    pub(crate) fn connections(&self) -> usize {
        self.conns.len()
    }

    pub(crate) fn take_out(&mut self) -> Vec<Out> {
        std::mem::take(&mut self.out)
    }

    /// All connections, to be broken with the process.
    pub(crate) fn links(&self) -> impl Iterator<Item = LinkId> + '_ {
        self.conns.values().map(|conn| conn.link)
    }

    /// Sets the window of a connection that was just taken in.
    pub(crate) fn set_window(&mut self, token: Token, bytes: usize) {
        if let Some(conn) = self.conns.get_mut(&token) {
            conn.window = bytes;
        }
    }

    /// Bytes have come for a connection.
    pub(crate) fn receive(&mut self, token: Token, bytes: &[u8]) {
        // Nothing comes by a connection that is broken.
        let conn = self.conns.get_mut(&token);
        if let Some(conn) = conn.filter(|conn| conn.broken.is_none()) {
            conn.received.extend_from_slice(bytes);
        }
    }

    /// The peer has ended its side.
    pub(crate) fn receive_end(&mut self, token: Token) {
        if let Some(conn) = self.conns.get_mut(&token) {
            conn.has_ended = true;
        }
    }

    /// The connection is broken: what was not read of it is lost, if `at_once`.
    pub(crate) fn receive_break(&mut self, token: Token, why: &'static str, at_once: bool) {
        if let Some(conn) = self.conns.get_mut(&token) {
            conn.broken = Some(why);
            if at_once {
                conn.received.clear();
            }
        }
    }

    /// The peer has read bytes: as many more may be written.
    pub(crate) fn open_window(&mut self, token: Token, bytes: usize) {
        if let Some(conn) = self.conns.get_mut(&token) {
            conn.window += bytes;
        }
    }

    /// When the next timer is due.
    pub(crate) fn next_timer(&self) -> Option<Micros> {
        let timer = self.timers.keys().next().map(|(at, _)| *at);
        let finish = self.conns.values().filter_map(|conn| conn.finish).min();
        let stalled = self.conns.values().filter_map(|conn| conn.stalled).min();
        let stalled = stalled.zip(self.stall_limit).map(|(at, limit)| at + limit);
        timer.into_iter().chain(finish).chain(stalled).min()
    }

    /// Takes the tag of a timer that is due.
    pub(crate) fn due_timer(&mut self) -> Option<u64> {
        let (at, _) = self.timers.keys().next()?;
        if *at > self.clock.now() {
            return None;
        }
        self.timers.pop_first().map(|(_, tag)| tag)
    }

    /// Connections about which there is something to tell.
    pub(crate) fn ready(&self) -> Vec<Token> {
        let (now, limit) = (self.clock.now(), self.stall_limit);
        let all = self.conns.iter();
        let ready = all.filter(|(_, conn)| conn.is_ready(now) || conn.is_stalled(now, limit));
        ready.map(|(token, _)| *token).collect()
    }

    /// What is next to tell of a connection; `cut` bytes at most are read.
    pub(crate) fn read(&mut self, token: Token, cut: usize) -> Option<In> {
        let (now, limit) = (self.clock.now(), self.stall_limit);
        let conn = self.conns.get_mut(&token)?;
        if conn.is_stalled(now, limit) {
            self.out.push(Out::Rst(conn.link));
            self.forget(token);
            return Some(In::Stalled);
        }
        if !conn.is_ready(now) {
            return None;
        }
        if let Some(limit) = conn.finish {
            conn.received.clear();
            let is_over = conn.fin_sent && conn.has_ended;
            let why = match conn.broken {
                Some(why) => Some(why.to_owned()),
                None if is_over => None,
                None if now >= limit => {
                    self.out.push(Out::Rst(conn.link));
                    Some("it did not close in time".to_owned())
                }
                None => return None,
            };
            self.forget(token);
            return Some(In::Closed(why));
        }
        let len = conn.received.len().min(conn.read_max).min(cut.max(1));
        if len > 0 {
            return Some(In::Bytes(conn.received.split_to(len)));
        }
        if let Some(why) = conn.broken {
            self.forget(token);
            return Some(In::Closed(Some(why.to_owned())));
        }
        conn.end_told = true;
        Some(In::Ended)
    }

    /// What a connection that was just taken in is called.
    pub(crate) fn token_of(&self, link: LinkId) -> Option<Token> {
        let (token, conn) = self.conns.iter().next_back()?;
        (conn.link == link).then_some(*token)
    }

    /// Something goes out to somebody in this turn.
    pub(crate) fn has_answered(&self, link: LinkId) -> bool {
        let is_to = |out: &Out| {
            let (Out::Data(to, _) | Out::Fin(to) | Out::Rst(to)) = out;
            *to == link
        };
        self.out.iter().any(is_to)
    }

    pub(crate) fn link_of(&self, token: Token) -> Option<LinkId> {
        self.conns.get(&token).map(|conn| conn.link)
    }

    /// Writes what there is room for, at the end of a turn.
    pub(crate) fn flush(&mut self) {
        let tokens: Vec<Token> = self.conns.keys().copied().collect();
        for token in tokens {
            self.flush_one(token, FEED_BYTES_PER_WRITE);
        }
    }

    /// Everything of a connection is void.
    fn forget(&mut self, token: Token) -> Option<Conn> {
        self.feeds.unsubscribe(token);
        self.conns.remove(&token)
    }

    /// Writes what waits for a connection, and then what its feed has, about so many bytes.
    fn flush_one(&mut self, token: Token, feed_bytes: usize) {
        let now = self.clock.now();
        let Some(conn) = self.conns.get_mut(&token) else {
            return;
        };
        conn.is_loaded |= conn.outbox_len > 0;
        let mut bytes = conn.write();
        while bytes.len() < feed_bytes {
            let has_room =
                |conn: &Conn| conn.outbox_len == 0 && conn.finish.is_none() && conn.window > 0;
            if !self.conns.get(&token).is_some_and(has_room) {
                break;
            }
            match self.feeds.take(token) {
                Next::Nothing => break,
                Next::Entry(entry) => {
                    let is_spoilt = self.spoil(token, &entry);
                    let Some(conn) = self.conns.get_mut(&token) else {
                        return;
                    };
                    conn.is_loaded = true;
                    if !is_spoilt {
                        conn.push(entry);
                    }
                    bytes.extend(conn.write());
                }
                Next::Behind(next) => {
                    self.feeds.unsubscribe(token);
                    self.behind.push((token, next));
                    break;
                }
            }
        }
        let Some(conn) = self.conns.get_mut(&token) else {
            return;
        };
        let waits = conn.outbox_len > 0 || self.feeds.is_pending(token);
        if !waits {
            conn.stalled = None;
        } else if !bytes.is_empty() || conn.stalled.is_none() {
            conn.stalled = Some(now);
        }
        if !waits && std::mem::take(&mut conn.is_loaded) {
            self.drained.push(token);
        }
        // A broken connection takes bytes for as long as nobody has noticed.
        if !bytes.is_empty() {
            self.out.push(Out::Data(conn.link, bytes));
        }
        if conn.finish.is_some() && !conn.fin_sent && conn.outbox.is_empty() {
            conn.fin_sent = true;
            self.out.push(Out::Fin(conn.link));
        }
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Every outbox is within its limit.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.feeds.check()?;
        for conn in self.conns.values() {
            // The rest of an entry that was cut may be longer.
            if conn.outbox_len > conn.outbox_max.max(ENTRY_BYTES_MAX) {
                return Err(format!(
                    "{} bytes wait for link {}, and {} may",
                    conn.outbox_len, conn.link, conn.outbox_max
                ));
            }
        }
        Ok(())
    }

    /// What a defective network would do to a piece: false if nothing was done.
    fn spoil(&mut self, token: Token, piece: &Bytes) -> bool {
        let Some(mutant) = self.mutant else {
            return false;
        };
        let is_line = |conn: &Conn| !conn.is_parcels;
        if mutant.is_of_lines() && !self.conns.get(&token).is_some_and(is_line) {
            return false;
        }
        if !mutant.is_of_net() || !self.random.chance(mutant.per_mille()) {
            return false;
        }
        match mutant {
            Mutant::LostPiece | Mutant::LostLine => true,
            Mutant::TwicePiece => {
                if let Some(conn) = self.conns.get_mut(&token) {
                    conn.push(piece.clone());
                }
                false
            }
            Mutant::StrayPiece | Mutant::StrayLine => {
                let kind = self.conns.get(&token).map(|conn| conn.is_parcels);
                let alike = self.conns.iter();
                let alike = alike.filter(|(_, conn)| Some(conn.is_parcels) == kind);
                let alike: Vec<Token> = alike.map(|(token, _)| *token).collect();
                let other = *self.random.pick(&alike);
                if let Some(conn) = self.conns.get_mut(&other) {
                    conn.push(piece.clone());
                }
                true
            }
            Mutant::SwappedPieces => {
                let next = self.feeds.take(token);
                let Some(conn) = self.conns.get_mut(&token) else {
                    return false;
                };
                let last = conn.outbox.pop_back();
                conn.outbox_len -= last.as_ref().map_or(0, Bytes::len);
                if let Next::Entry(next) = next {
                    conn.push(next);
                }
                conn.push(piece.clone());
                if let Some(last) = last {
                    conn.push(last);
                }
                true
            }
            _ => false,
        }
    }
}

impl Conn {
    /// Gives the kernel what it takes of what waits.
    fn write(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.outbox.front_mut()
            && self.window > 0
        {
            let part = piece.split_to(piece.len().min(self.window));
            self.window -= part.len();
            self.outbox_len -= part.len();
            bytes.extend_from_slice(&part);
            if piece.is_empty() {
                self.outbox.pop_front();
            }
        }
        bytes
    }

    fn is_stalled(&self, now: Micros, limit: Option<Micros>) -> bool {
        let limit = limit.filter(|_| self.finish.is_none());
        let due = limit.zip(self.stalled).map(|(limit, at)| at + limit);
        due.is_some_and(|due| now >= due)
    }

    fn push(&mut self, piece: Bytes) {
        self.outbox_len += piece.len();
        self.outbox.push_back(piece);
    }

    fn is_ready(&self, now: Micros) -> bool {
        if let Some(limit) = self.finish {
            let is_over = self.fin_sent && self.has_ended;
            return self.broken.is_some() || is_over || now >= limit;
        }
        // Nothing is noticed of a paused peer unless something waits to be written to it.
        if self.is_paused {
            return self.broken.is_some() && self.received.is_empty() && self.outbox_len > 0;
        }
        let has_end = self.has_ended && !self.end_told;
        !self.received.is_empty() || has_end || self.broken.is_some()
    }
}
