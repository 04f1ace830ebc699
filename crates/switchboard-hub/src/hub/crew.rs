//! The threads of the shards but the first: each makes its reactor itself, since a ring belongs to
//! the thread that made it.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use berkeley::Socket;
use berkeley::selector::Backend;
use switchboard_reactor::{Reactor, Sender};

use crate::config::Door;
use crate::limits::{CONNECTIONS_ROOM, FEEDS_BYTES_MAX, Limits};
use crate::room::ShardId;
use crate::shard::{Message, Served, Shard, ShardConfig};

/// What a shard begins with.
pub(super) struct Start {
    pub(super) config: ShardConfig,
    pub(super) doors: Vec<(Door, Socket, u16)>,
    pub(super) shards: Arc<[Sender<Message>]>,
}

/// A thread that has a reactor and waits for its shard.
pub(super) struct Hand {
    pub(super) mail: Sender<Message>,
    start: mpsc::Sender<Start>,
    thread: JoinHandle<Outcome>,
}

/// How a shard ended.
pub(super) struct Outcome {
    pub(super) result: berkeley::Result<()>,
    pub(super) is_out_of_time: bool,
}

/// A shard at work in a thread of its own.
pub(super) struct AtWork(JoinHandle<Outcome>);

impl Hand {
    /// Begins a thread with a reactor on a back end. It ends when this is dropped.
    ///
    /// # Errors
    /// As [`Reactor::new`]; `EAGAIN` if there can be no more threads.
    pub(super) fn begin(number: u16, backend: Backend) -> berkeley::Result<Self> {
        let (tell, told) = mpsc::channel();
        let (start, wait) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(format!("shard-{number}"))
            .spawn(move || work(backend, &tell, &wait))
            .map_err(|error| berkeley::Error::Invalid(format!("a thread of a shard: {error}")))?;
        match told.recv() {
            Ok(mail) => Ok(Self {
                mail: mail?,
                start,
                thread,
            }),
            Err(_gone) => Err(berkeley::Error::Invalid("a shard's thread ended".into())),
        }
    }

    /// Lets the shard begin.
    pub(super) fn go(self, start: Start) -> AtWork {
        // A thread that has ended nevertheless is noticed by who waits for it.
        self.start.send(start).ok();
        AtWork(self.thread)
    }
}

impl AtWork {
    /// Waits until the shard has ended. A panic of its thread goes on in this one.
    pub(super) fn end(self) -> Outcome {
        match self.0.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// The reactor of a shard.
///
/// # Errors
/// As [`Reactor::new`] and [`Reactor::keep_spare_descriptor`].
pub(super) fn reactor(backend: Backend) -> berkeley::Result<Reactor> {
    let mut reactor = Reactor::new(backend)?;
    reactor.keep_spare_descriptor()?;
    Ok(reactor)
}

/// Bounds what a shard's peers can make its reactor hold, and for how long.
pub(super) fn limit(reactor: &mut Reactor, limits: &Limits) {
    reactor.limit_stalls(Some(limits.outbox_time));
    reactor.limit_feeds(FEEDS_BYTES_MAX);
    reactor.reserve(limits.connections.min(CONNECTIONS_ROOM));
}

/// What a shard's thread does.
fn work(
    backend: Backend,
    tell: &mpsc::Sender<berkeley::Result<Sender<Message>>>,
    wait: &mpsc::Receiver<Start>,
) -> Outcome {
    let nothing = Outcome {
        result: Ok(()),
        is_out_of_time: false,
    };
    let mut reactor = match reactor(backend) {
        Ok(reactor) => reactor,
        Err(error) => {
            tell.send(Err(error)).ok();
            return nothing;
        }
    };
    let (mail, mailbox) = reactor.mailbox();
    tell.send(Ok(mail)).ok();
    let Ok(start) = wait.recv() else {
        return nothing;
    };
    let here = start.config.place.here;
    limit(&mut reactor, &start.config.limits);
    let mut shard = Shard::new(start.config);
    for (door, socket, port) in start.doors {
        match reactor.add_listener(socket) {
            Ok(token) => shard.add_door(token, door, port, None),
            Err(error) => {
                drop(Farewell::new(here, start.shards));
                return Outcome {
                    result: Err(error),
                    is_out_of_time: false,
                };
            }
        }
    }
    let served = Served::new(shard, mailbox, Arc::clone(&start.shards));
    run(reactor, served, Farewell::new(here, start.shards))
}

/// Runs a shard until it ends.
pub(super) fn run(mut reactor: Reactor, mut served: Served, farewell: Farewell) -> Outcome {
    let result = reactor.run(&mut served);
    // What the end itself brought.
    served.shard.turn_ended();
    drop(farewell);
    Outcome {
        result,
        is_out_of_time: served.shard.is_out_of_time(),
    }
}

/// Tells the other shards when one ends, however it does: a hub without one of its shards is none.
pub(super) struct Farewell {
    here: ShardId,
    shards: Arc<[Sender<Message>]>,
}

impl Farewell {
    pub(super) const fn new(here: ShardId, shards: Arc<[Sender<Message>]>) -> Self {
        Self { here, shards }
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        for (number, mail) in (0..).zip(self.shards.iter()) {
            if ShardId(number) != self.here {
                mail.send(Message::Ended(self.here));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use switchboard_reactor::FeedLimits;

    use super::*;

    #[test]
    fn rooms_of_a_shard_have_so_much_memory_together() {
        let keeps = |used| {
            let mut reactor = reactor(Backend::Epoll).unwrap();
            limit(&mut reactor, &Limits::default());
            let add = |reactor: &mut Reactor, bytes_max| {
                reactor.add_feed(FeedLimits {
                    bytes_max,
                    entries_max: 2,
                })
            };
            let first = add(&mut reactor, used);
            reactor.append(first, &vec![0; used], None);
            // Both do not fit into the 4 KiB that a room has in any case.
            let second = add(&mut reactor, FEEDS_BYTES_MAX);
            for _ in 0..2 {
                reactor.append(second, &[0; 3_000], None);
            }
            reactor.feed_range(second).count()
        };
        assert_eq!(keeps(FEEDS_BYTES_MAX / 2), 2);
        assert_eq!(keeps(FEEDS_BYTES_MAX), 1);
    }
}
