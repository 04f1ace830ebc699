//! One thread, many sockets.
//!
//! A [`Reactor`] owns listeners, connections, datagram sockets and inputs, waits for all of them
//! at once through any selector of `berkeley`, does their reading and writing, and tells a
//! [`Handler`] what happened: bytes arrived, a peer has gone, a timer is due. The handler answers
//! by calling the reactor: send, pause, finish, close.
//!
//! The handler never sees readiness, only results, so that the same handler can run on a back
//! end that completes operations instead of announcing them.
//!
//! - Fair: one read of at most [`READ_BYTES_MAX`] and at most [`ACCEPTS_PER_TURN_MAX`] accepts
//!   per socket and turn, so that a busy peer cannot starve the rest. Two reads where much comes
//!   that goes to many: the second look finds what came meanwhile, and both are written at once.
//! - What is sent waits in an outbox and goes out at the end of the turn with one gathered call per
//!   connection. Outboxes are bounded; a full one is the handler's to judge.
//! - An idle connection costs nothing: no work, no timer unless the handler sets one, and no memory
//!   but its place in a table.
//! - What many get alike is appended once to a feed, of which each of them has its place.
//! - A message costs no allocation: outboxes have their places in a pool that all share.
//!
//! It knows nothing of protocols and rooms.
#![forbid(unsafe_code)]

mod feed;
mod handler;
mod mailbox;
mod pieces;
mod reactor;
mod slots;
mod timers;
mod token_map;

pub use feed::{
    Behind, FEED_BYTES_KEPT, FEED_BYTES_MIN, FEED_BYTES_PER_WRITE, FEED_SILENCE, FeedId, FeedLimits,
};
pub use handler::{Closed, Handler, SendError};
pub use mailbox::{Receiver, Sender, Values};
pub use reactor::{
    ACCEPT_REST_MS_MAX, ACCEPT_REST_MS_MIN, ACCEPTS_PER_TURN_MAX, DATAGRAMS_PER_TURN_MAX,
    READ_BYTES_MAX, Reactor, WRITE_BYTES_PER_TURN_MAX,
};
pub use slots::Token;
pub use timers::TimerId;
pub use token_map::TokenMap;
