//! A connection with all that is under way on it, and the client's side of it.

use bytes::BytesMut;
use switchboard_hub::Door;

use crate::net::Token;
use crate::random::Random;
use crate::time::Micros;

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct Way {
    last: Micros,
    /// Nothing arrives before.
    pub(crate) stalled: Micros,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: usize,
    pub(crate) door: Door,
    pub(crate) shard: usize,
    /// Which run of the hub it belongs to.
    pub(crate) run: u64,
    pub(crate) label: String,
    pub(crate) token: Option<Token>,
    pub(crate) latency: Micros,
    pub(crate) jitter: Micros,
    pub(crate) window: usize,
    pub(crate) up: Way,
    pub(crate) down: Way,
    /// The client's program still has it.
    pub(crate) is_open: bool,
    /// What came before the hub took the connection in.
    pub(crate) early: Vec<u8>,
    pub(crate) early_end: bool,
    pub(crate) early_break: bool,
    /// What the client wrote and its kernel has not sent.
    pub(crate) unsent: BytesMut,
    pub(crate) up_window: usize,
    pub(crate) wants_end: bool,
    pub(crate) end_sent: bool,
    /// What came and the client has not read.
    pub(crate) inbox: BytesMut,
    pub(crate) inbox_end: bool,
    /// It reads again then.
    pub(crate) lags_until: Micros,
    pub(crate) dribble: Option<(usize, Micros)>,
}

impl Link {
    /// When something that is sent now arrives: never before what was sent earlier.
    pub(crate) fn arrival(&mut self, now: Micros, random: &mut Random, is_up: bool) -> Micros {
        let delay = self.latency + random.below(self.jitter + 1);
        let way = if is_up { &mut self.up } else { &mut self.down };
        way.last = way.last.max(now + delay).max(way.stalled);
        way.last
    }

    /// The next bytes that the client's kernel sends.
    pub(crate) fn next_segment(&mut self, most: usize) -> Option<BytesMut> {
        let len = self.unsent.len().min(self.up_window).min(most);
        if len == 0 {
            return None;
        }
        self.up_window -= len;
        Some(self.unsent.split_to(len))
    }

    /// What the client reads now.
    pub(crate) fn next_read(&mut self, now: Micros) -> Option<BytesMut> {
        if self.lags_until > now || self.inbox.is_empty() {
            return None;
        }
        let most = self.dribble.map_or(usize::MAX, |(bytes, _)| bytes);
        let len = self.inbox.len().min(most);
        Some(self.inbox.split_to(len))
    }
}
