//! What a shard asks of its network.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use berkeley::{Addr, Result};
use bytes::{Bytes, BytesMut};
use switchboard_hub::shard::Net;
use switchboard_reactor::{Behind, FeedLimits, SendError};

use super::{Conn, LinkId, Out, READ_BYTES_MAX, SimNet, Token};
use crate::feeds::{FeedId, Next};
use crate::hub::TOKENS;
use crate::time::Micros;

impl Net for SimNet {
    type Token = Token;
    type Feed = FeedId;
    type Timer = (Micros, u64);
    type Socket = LinkId;

    fn place(token: Token) -> usize {
        usize::try_from(token % TOKENS).unwrap_or(usize::MAX)
    }

    fn now(&self) -> Instant {
        self.clock.instant()
    }

    fn add(&mut self, socket: LinkId, outbox_bytes: usize, is_parcels: bool) -> Result<Token> {
        let token = self.next_serial();
        let conn = Conn {
            link: socket,
            received: BytesMut::new(),
            has_ended: false,
            end_told: false,
            broken: None,
            is_paused: false,
            read_max: READ_BYTES_MAX,
            outbox: VecDeque::new(),
            outbox_len: 0,
            outbox_max: outbox_bytes,
            stalled: None,
            is_loaded: false,
            window: 0,
            finish: None,
            fin_sent: false,
            is_parcels,
        };
        self.conns.insert(token, conn);
        Ok(token)
    }

    fn turn_away(&mut self, socket: LinkId, last_line: Option<Bytes>) {
        match last_line {
            Some(line) => {
                self.out.push(Out::Data(socket, line.to_vec()));
                self.out.push(Out::Fin(socket));
            }
            None => self.out.push(Out::Rst(socket)),
        }
    }

    fn limit_reads(&mut self, token: Token, bytes: u32) {
        if let Some(conn) = self.conns.get_mut(&token) {
            conn.read_max = usize::try_from(bytes).unwrap_or(1).clamp(1, READ_BYTES_MAX);
        }
    }

    fn send(&mut self, token: Token, piece: Bytes) -> core::result::Result<(), SendError> {
        let is_open = |conn: &&mut Conn| conn.finish.is_none();
        let Some(conn) = self.conns.get_mut(&token).filter(is_open) else {
            return Err(SendError::Gone);
        };
        if conn.outbox_len + piece.len() > conn.outbox_max {
            // The peer is offered what is in it first.
            self.flush_one(token, 0);
        }
        let Some(conn) = self.conns.get(&token) else {
            return Err(SendError::Gone);
        };
        if conn.outbox_len + piece.len() > conn.outbox_max {
            return Err(SendError::Full);
        }
        if !self.spoil(token, &piece)
            && let Some(conn) = self.conns.get_mut(&token)
        {
            conn.push(piece);
        }
        Ok(())
    }

    fn add_feed(&mut self, limits: FeedLimits) -> FeedId {
        let bytes = limits.bytes_max.min(self.ring_bytes);
        self.feeds.add(bytes, limits.entries_max)
    }

    fn remove_feed(&mut self, feed: FeedId) {
        self.feeds.remove(feed);
    }

    fn append(&mut self, feed: FeedId, bytes: &[u8], except: Option<Token>) -> u64 {
        if self.feeds.would_lose(feed, bytes.len()) {
            // Who is not slow does not miss what comes in one turn.
            for reader in self.feeds.readers_of(feed) {
                self.flush_one(reader, usize::MAX);
            }
        }
        self.feeds.append(feed, bytes, except)
    }

    fn subscribe(
        &mut self,
        token: Token,
        feed: FeedId,
        from: u64,
    ) -> core::result::Result<(), Behind> {
        let is_open = |conn: &Conn| conn.finish.is_none();
        if !self.conns.get(&token).is_some_and(is_open) {
            return Ok(());
        }
        if self.feeds.subscribe(token, feed, from) {
            Ok(())
        } else {
            Err(Behind)
        }
    }

    fn leave_feed(&mut self, token: Token) -> core::result::Result<(), Behind> {
        let mut rest = BytesMut::new();
        let has_all = loop {
            match self.feeds.take(token) {
                Next::Nothing => break true,
                Next::Entry(entry) => rest.extend_from_slice(&entry),
                Next::Behind(_) => break false,
            }
        };
        self.feeds.unsubscribe(token);
        let behind = self.behind.len();
        self.behind.retain(|(who, _)| *who != token);
        let has_all = has_all && self.behind.len() == behind;
        if has_all && (rest.is_empty() || self.send(token, rest.freeze()).is_ok()) {
            Ok(())
        } else {
            Err(Behind)
        }
    }

    fn feed_range(&self, feed: FeedId) -> Range<u64> {
        self.feeds.range(feed)
    }

    fn feed_next(&self, token: Token) -> Option<u64> {
        self.feeds.next_of(token)
    }

    fn outbox_bytes(&self, token: Token) -> usize {
        self.conns.get(&token).map_or(0, |conn| conn.outbox_len)
    }

    fn send_datagram(&self, _: Token, _: &Addr, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn pause(&mut self, token: Token) {
        if let Some(conn) = self.conns.get_mut(&token) {
            conn.is_paused = true;
        }
    }

    fn resume(&mut self, token: Token) {
        if let Some(conn) = self.conns.get_mut(&token) {
            conn.is_paused = false;
        }
    }

    fn end_gently(&mut self, _: Token) {}

    fn finish(&mut self, token: Token, limit: Duration) {
        // It still gets what there is, as far as there is room.
        let _left = self.leave_feed(token);
        let end = self.clock.moment_of(self.clock.instant() + limit);
        if let Some(conn) = self.conns.get_mut(&token)
            && conn.finish.is_none()
        {
            conn.finish = Some(end);
        }
    }

    fn close(&mut self, token: Token) {
        if let Some(conn) = self.forget(token) {
            let out = if conn.received.is_empty() {
                Out::Fin(conn.link)
            } else {
                Out::Rst(conn.link)
            };
            self.out.push(out);
        }
    }

    fn reset(&mut self, token: Token) {
        if let Some(conn) = self.forget(token) {
            self.out.push(Out::Rst(conn.link));
        }
    }

    fn set_timer(&mut self, at: Instant, tag: u64) -> (Micros, u64) {
        let timer = (self.clock.moment_of(at), self.next_serial());
        self.timers.insert(timer, tag);
        timer
    }

    fn cancel_timer(&mut self, timer: (Micros, u64)) {
        self.timers.remove(&timer);
    }

    fn stop(&mut self) {
        self.is_stopped = true;
    }
}
