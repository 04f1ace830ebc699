//! What the reactor tells, and to whom.

use core::fmt;

use berkeley::{Addr, Error, Socket};

use crate::feed::FeedId;
use crate::reactor::Reactor;
use crate::slots::Token;

/// Why the reactor gave up a source.
#[derive(Debug)]
#[non_exhaustive]
pub enum Closed {
    /// Reading or writing failed, or the selector could not watch the source any more.
    Failed(Error),
    /// It was finished: everything was written, and the peer has closed.
    Finished,
    /// It had fallen behind its feed.
    Behind,
    /// Its peer took nothing for longer than [`Reactor::limit_stalls`] allows.
    Stalled,
    /// It was being finished, and the peer did not take the rest or did not close in time.
    TimedOut,
}

/// Why something was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The outbox has no room for it.
    Full,
    /// There is no such connection any more, or it is being finished.
    Gone,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the outbox is full",
            Self::Gone => "the connection is gone",
        })
    }
}

impl std::error::Error for SendError {}

/// What a program does about what happens on its sockets.
///
/// All methods get the reactor to act on. Any source may be closed in any of them: nothing more
/// is told of it then. Only [`Reactor::run`] cannot be called.
pub trait Handler {
    /// A peer has connected to `listener`. The socket does not block; it is closed unless it is
    /// kept, as by [`Reactor::add_stream`].
    fn accepted(
        &mut self,
        reactor: &mut Reactor,
        listener: Token,
        socket: Socket,
        peer: Option<Addr>,
    );

    /// A peer has connected to `listener` when there were no descriptors left, and was accepted
    /// with the one that [`Reactor::keep_spare_descriptor`] keeps: tell it and let it go. A socket
    /// that is kept takes the place of the spare one. The listener rests afterwards, as
    /// [`Handler::trouble`] tells; who comes meanwhile is shown behind that.
    fn crowded(
        &mut self,
        _reactor: &mut Reactor,
        _listener: Token,
        _socket: Socket,
        _peer: Option<Addr>,
    ) {
    }

    /// Bytes came from a connection (one whole message of a sequenced-packet one) or an input;
    /// never none. Of a sequenced-packet connection, an empty message cannot be told from the end
    /// and counts as that, and one longer than [`crate::READ_BYTES_MAX`] fails the connection
    /// (`EMSGSIZE`).
    fn received(&mut self, reactor: &mut Reactor, source: Token, bytes: &[u8]);

    /// The peer has ended its side, or an input is at its end. Nothing more is received; sending
    /// still works. The source stays until it is finished or closed, and an input until it is
    /// closed. A peer that breaks an ended connection is noticed at the next sending only.
    fn ended(&mut self, reactor: &mut Reactor, source: Token);

    /// The reactor has given up a connection or an input (or any other source that the selector
    /// could not watch any more), and its token is void. Not told for what the handler itself
    /// closes.
    fn closed(&mut self, reactor: &mut Reactor, source: Token, why: Closed);

    /// A datagram came, which may be empty. One longer than [`crate::READ_BYTES_MAX`] is thrown
    /// away and told as trouble (`EMSGSIZE`).
    fn datagram(
        &mut self,
        _reactor: &mut Reactor,
        _socket: Token,
        _from: Option<Addr>,
        _bytes: &[u8],
    ) {
    }

    /// All that was sent to a connection has been written. To one that reads a feed it may be told
    /// when nothing was sent otherwise.
    fn drained(&mut self, _reactor: &mut Reactor, _source: Token) {}

    /// A connection has fallen behind its feed: the entry `next`, which it should get, has left. It
    /// reads no feed now. The handler may send it what it has missed, from wherever that is, and
    /// subscribe it again; if it does not do this itself, the connection is closed with a reset.
    fn behind(&mut self, reactor: &mut Reactor, source: Token, _feed: FeedId, _next: u64) {
        reactor.reset(source);
        self.closed(reactor, source, Closed::Behind);
    }

    /// A timer that was set with [`Reactor::set_timer`] is due.
    fn timer(&mut self, _reactor: &mut Reactor, _tag: u64) {}

    /// Another thread has put something into a mailbox, or several have into several: take all.
    /// The mailbox may turn out empty, if an earlier call has taken its values already.
    fn woken(&mut self, _reactor: &mut Reactor) {}

    /// All that this turn brought has been told, and what was sent is about to be written: the
    /// place for what is to be done once however much came, and what is sent and appended here goes
    /// out with the rest. It is called once more behind the writing, which may have told of
    /// connections that broke, drained or fell behind, and behind the accepting.
    fn turn_ended(&mut self, _reactor: &mut Reactor) {}

    /// A listener could not accept, or a datagram socket not receive. Both go on by themselves.
    ///
    /// A listener rests a while first, 10 ms and then ever longer up to a second, most often
    /// because descriptors have run out; this is told once, until it has been able to accept all
    /// who waited. A datagram socket is told of what an earlier datagram met (`ECONNREFUSED`,
    /// connected sockets only), at most once a turn.
    fn trouble(&mut self, _reactor: &mut Reactor, _source: Token, _error: Error) {}
}
