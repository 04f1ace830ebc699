//! What a shard asks of the network.

use core::fmt::Debug;
use core::hash::Hash;
use core::ops::Range;
use core::time::Duration;
use std::time::Instant;

use berkeley::{Addr, Result, Socket, opt};
use bytes::Bytes;
use switchboard_reactor::{Behind, FeedId, FeedLimits, Reactor, SendError, TimerId, Token};

use crate::limits::{KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES};

/// A network as a shard sees it: connections by token, timers, and the clock that they go by.
///
/// The reactor is one. A simulation may bring another, and calls the shard as the reactor would:
/// [`Shard::arrived`](super::Shard::arrived) and the calls beside it. All calls are known when the
/// shard is compiled, so that it costs nothing.
pub trait Net {
    /// The name of a connection or a door. One that is gone names nothing.
    type Token: Copy + Eq + Hash + Debug;
    /// The name of a feed.
    type Feed: Copy + Debug;
    /// The name of a timer that was set.
    type Timer: Copy;
    /// A connection that nobody has taken in yet.
    type Socket;

    /// A small number for a token, which no two tokens have that are there at the same time.
    fn place(token: Self::Token) -> usize;

    /// The time that timers go by.
    fn now(&self) -> Instant;

    /// Takes a connection in: at most `outbox_bytes` may wait to be written to it. With
    /// `breaks_by_reset` the peer is to get a reset where the hub ends without
    /// [`Net::end_gently`].
    ///
    /// # Errors
    /// It cannot be watched, and is closed.
    fn add(
        &mut self,
        socket: Self::Socket,
        outbox_bytes: usize,
        breaks_by_reset: bool,
    ) -> Result<Self::Token>;

    /// Closes a connection that is not taken in: behind a last line, or with a reset.
    fn turn_away(&mut self, socket: Self::Socket, last_line: Option<Bytes>);

    /// As [`Reactor::limit_reads`].
    fn limit_reads(&mut self, token: Self::Token, bytes: u32);

    /// As [`Reactor::send`].
    ///
    /// # Errors
    /// As there.
    fn send(&mut self, token: Self::Token, piece: Bytes) -> core::result::Result<(), SendError>;

    /// As [`Reactor::add_feed`].
    fn add_feed(&mut self, limits: FeedLimits) -> Self::Feed;

    /// As [`Reactor::remove_feed`].
    fn remove_feed(&mut self, feed: Self::Feed);

    /// As [`Reactor::append`]. Who falls behind is told by [`Shard::behind`](super::Shard::behind),
    /// who takes nothing for too long by [`Shard::stalled`](super::Shard::stalled).
    fn append(&mut self, feed: Self::Feed, bytes: &[u8], except: Option<Self::Token>) -> u64;

    /// As [`Reactor::subscribe`].
    ///
    /// # Errors
    /// As there.
    fn subscribe(
        &mut self,
        token: Self::Token,
        feed: Self::Feed,
        from: u64,
    ) -> core::result::Result<(), Behind>;

    /// As [`Reactor::leave_feed`].
    ///
    /// # Errors
    /// As there.
    fn leave_feed(&mut self, token: Self::Token) -> core::result::Result<(), Behind>;

    /// As [`Reactor::feed_range`].
    fn feed_range(&self, feed: Self::Feed) -> Range<u64>;

    /// As [`Reactor::feed_next`].
    fn feed_next(&self, token: Self::Token) -> Option<u64>;

    /// As [`Reactor::outbox_bytes`].
    fn outbox_bytes(&self, token: Self::Token) -> usize;

    /// As [`Reactor::send_datagram`], to an address.
    ///
    /// # Errors
    /// As there.
    fn send_datagram(&self, token: Self::Token, to: &Addr, bytes: &[u8]) -> Result<()>;

    /// As [`Reactor::pause`].
    fn pause(&mut self, token: Self::Token);

    /// As [`Reactor::resume`].
    fn resume(&mut self, token: Self::Token);

    /// From now on the peer sees an end in good order, however the connection ends.
    fn end_gently(&mut self, token: Self::Token);

    /// As [`Reactor::finish`].
    fn finish(&mut self, token: Self::Token, limit: Duration);

    /// As [`Reactor::close`].
    fn close(&mut self, token: Self::Token);

    /// As [`Reactor::reset`].
    fn reset(&mut self, token: Self::Token);

    /// As [`Reactor::set_timer`].
    fn set_timer(&mut self, at: Instant, tag: u64) -> Self::Timer;

    /// As [`Reactor::cancel_timer`].
    fn cancel_timer(&mut self, timer: Self::Timer);

    /// As [`Reactor::stop`].
    fn stop(&mut self);
}

// Each call is the reactor's own of the same name, which Rust prefers to the trait's.
impl Net for Reactor {
    type Token = Token;
    type Feed = FeedId;
    type Timer = TimerId;
    type Socket = Socket;

    fn place(token: Token) -> usize {
        token.place()
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    // What is to become of a break it has from its listener: see `prepare`.
    fn add(&mut self, socket: Socket, outbox_bytes: usize, _: bool) -> Result<Token> {
        self.add_stream(socket, outbox_bytes)
    }

    fn turn_away(&mut self, socket: Socket, last_line: Option<Bytes>) {
        match last_line {
            // As much as fits into an empty socket buffer; a peer that is gone is no loss.
            Some(line) => drop(socket.send(&line, berkeley::MsgFlags::NONE)),
            None => drop(socket.set(opt::Linger, Some(Duration::ZERO))),
        }
    }

    fn limit_reads(&mut self, token: Token, bytes: u32) {
        self.limit_reads(token, bytes);
    }

    fn send(&mut self, token: Token, piece: Bytes) -> core::result::Result<(), SendError> {
        self.send(token, piece)
    }

    fn add_feed(&mut self, limits: FeedLimits) -> FeedId {
        self.add_feed(limits)
    }

    fn remove_feed(&mut self, feed: FeedId) {
        self.remove_feed(feed);
    }

    fn append(&mut self, feed: FeedId, bytes: &[u8], except: Option<Token>) -> u64 {
        self.append(feed, bytes, except)
    }

    fn subscribe(
        &mut self,
        token: Token,
        feed: FeedId,
        from: u64,
    ) -> core::result::Result<(), Behind> {
        self.subscribe(token, feed, from)
    }

    fn leave_feed(&mut self, token: Token) -> core::result::Result<(), Behind> {
        self.leave_feed(token)
    }

    fn feed_range(&self, feed: FeedId) -> Range<u64> {
        self.feed_range(feed)
    }

    fn feed_next(&self, token: Token) -> Option<u64> {
        self.feed_next(token)
    }

    fn outbox_bytes(&self, token: Token) -> usize {
        self.outbox_bytes(token)
    }

    fn send_datagram(&self, token: Token, to: &Addr, bytes: &[u8]) -> Result<()> {
        self.send_datagram(token, Some(to), bytes)
    }

    fn pause(&mut self, token: Token) {
        self.pause(token);
    }

    fn resume(&mut self, token: Token) {
        self.resume(token);
    }

    fn end_gently(&mut self, token: Token) {
        if let Some(socket) = self.socket(token) {
            socket.set(opt::Linger, None).ok();
        }
    }

    fn finish(&mut self, token: Token, limit: Duration) {
        self.finish(token, limit);
    }

    fn close(&mut self, token: Token) {
        self.close(token);
    }

    fn reset(&mut self, token: Token) {
        self.reset(token);
    }

    fn set_timer(&mut self, at: Instant, tag: u64) -> TimerId {
        self.set_timer(at, tag)
    }

    fn cancel_timer(&mut self, timer: TimerId) {
        self.cancel_timer(timer);
    }

    fn stop(&mut self) {
        self.stop();
    }
}

/// Sets a listener's options, which Linux hands on to all that it accepts: a call for each of them
/// is saved. It lets the kernel find out about peers whose machine has vanished, and sends lines at
/// once; with `breaks_by_reset`, peers get a reset should the hub die, when the kernel closes for
/// it.
///
/// # Errors
/// As [`Socket::set`].
pub(crate) fn prepare(listener: &Socket, breaks_by_reset: bool) -> Result<()> {
    if listener.family() == berkeley::Family::UNIX {
        return Ok(());
    }
    listener.set(opt::NoDelay, true)?;
    listener.set(opt::KeepAlive, true)?;
    listener.set(opt::KeepIdle, KEEPALIVE_IDLE)?;
    listener.set(opt::KeepInterval, KEEPALIVE_INTERVAL)?;
    listener.set(opt::KeepCount, KEEPALIVE_PROBES)?;
    let linger = breaks_by_reset.then_some(Duration::ZERO);
    listener.set(opt::Linger, linger)
}

#[cfg(test)]
mod tests {
    use berkeley::{Family, Kind, Protocol};

    use super::*;

    #[test]
    fn who_is_accepted_has_the_options_of_the_listener() {
        for breaks_by_reset in [false, true] {
            let tcp = || Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT).unwrap();
            let (listener, client) = (tcp(), tcp());
            prepare(&listener, breaks_by_reset).unwrap();
            let local = Addr::from(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
            listener.bind(&local).unwrap();
            listener.listen(1).unwrap();
            client.connect(&listener.local_addr().unwrap()).unwrap();
            let (accepted, _) = listener.accept().unwrap();
            assert!(accepted.get(opt::NoDelay).unwrap());
            assert!(accepted.get(opt::KeepAlive).unwrap());
            assert_eq!(accepted.get(opt::KeepIdle).unwrap(), KEEPALIVE_IDLE);
            let interval = accepted.get(opt::KeepInterval).unwrap();
            assert_eq!(interval, KEEPALIVE_INTERVAL);
            assert_eq!(accepted.get(opt::KeepCount).unwrap(), KEEPALIVE_PROBES);
            let linger = breaks_by_reset.then_some(Duration::ZERO);
            assert_eq!(accepted.get(opt::Linger).unwrap(), linger);
        }
    }
}
