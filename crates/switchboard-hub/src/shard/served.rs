//! A shard on the reactor: what the reactor tells, in the shard's words.

use std::sync::Arc;

use berkeley::{Addr, Error, Family, Socket, opt};
use switchboard_reactor::{Closed, FeedId, Handler, Reactor, Receiver, Sender, Token};
use tracing::warn;

use super::{Arrival, Batch, Guests, Shard};
use crate::config::Door;
use crate::log::LogReply;
use crate::room::ShardId;
use crate::store::Reply;

/// What other threads tell a shard.
#[derive(Debug)]
pub(crate) enum Message {
    /// Somebody has come to a door that only one shard has.
    Arrived(Door, Socket, Arrival),
    /// What another shard has for this one.
    Batch(Batch),
    /// Another shard has ended.
    Ended(ShardId),
    Log(LogReply),
    Store(Reply),
    Stop,
}

/// A shard whose network is a reactor.
pub(crate) struct Served {
    pub(crate) shard: Shard<Reactor>,
    mailbox: Receiver<Message>,
    /// The mailboxes of all shards, by number.
    shards: Arc<[Sender<Message>]>,
    /// Whose turn it is to get somebody who has come to a door that only this shard has.
    next: usize,
    /// How many have come who have no address.
    unnamed: u64,
}

impl Served {
    pub(crate) const fn new(
        shard: Shard<Reactor>,
        mailbox: Receiver<Message>,
        shards: Arc<[Sender<Message>]>,
    ) -> Self {
        Self {
            shard,
            mailbox,
            shards,
            next: 0,
            unnamed: 0,
        }
    }

    /// What to call who has come: its address, or its process and which of those it is who have
    /// none. One shard has all Unix doors.
    fn label(&mut self, addr: Option<&Addr>, socket: &Socket) -> String {
        match addr {
            Some(Addr::Unix(_)) | None => {
                let pid = socket.get(opt::PeerCredentials).map_or(0, |peer| peer.pid);
                self.unnamed += 1;
                format!("unix:{pid}.{}", self.unnamed)
            }
            Some(addr) => addr.to_string(),
        }
    }

    /// The shard that is to get who has come to a door: this one, unless no other has that door.
    fn share(&mut self, socket: &Socket) -> Option<&Sender<Message>> {
        if self.shards.len() <= 1 || socket.family() != Family::UNIX {
            return None;
        }
        self.next = (self.next + 1) % self.shards.len();
        let is_here = self.next == usize::from(self.shard.place().here.0);
        self.shards.get(self.next).filter(|_| !is_here)
    }
}

impl Handler for Served {
    fn accepted(
        &mut self,
        reactor: &mut Reactor,
        listener: Token,
        socket: Socket,
        peer: Option<Addr>,
    ) {
        let arrival = Arrival {
            label: self.label(peer.as_ref(), &socket).into(),
            guest: Guests::of(peer.as_ref()),
            is_loopback: peer.as_ref().is_none_or(Addr::is_loopback),
        };
        let door = self.shard.door_of(listener);
        match (door, self.share(&socket)) {
            (Some(door), Some(other)) => other.send(Message::Arrived(door, socket, arrival)),
            _ => self.shard.arrived(reactor, listener, socket, arrival),
        }
    }

    fn crowded(
        &mut self,
        reactor: &mut Reactor,
        listener: Token,
        socket: Socket,
        peer: Option<Addr>,
    ) {
        let label = self.label(peer.as_ref(), &socket);
        self.shard.crowded(reactor, listener, socket, &label);
    }

    fn received(&mut self, reactor: &mut Reactor, source: Token, bytes: &[u8]) {
        self.shard.received(reactor, source, bytes);
    }

    fn ended(&mut self, reactor: &mut Reactor, source: Token) {
        self.shard.ended(reactor, source);
    }

    fn closed(&mut self, reactor: &mut Reactor, source: Token, why: Closed) {
        let reason = match why {
            Closed::Stalled => return self.shard.stalled(reactor, source),
            Closed::Failed(error) => Some(error.to_string()),
            Closed::TimedOut => Some("it did not close in time".into()),
            _ => None,
        };
        self.shard.closed(reactor, source, reason);
    }

    fn behind(&mut self, reactor: &mut Reactor, source: Token, _feed: FeedId, next: u64) {
        self.shard.behind(reactor, source, next);
    }

    fn datagram(&mut self, reactor: &mut Reactor, socket: Token, from: Option<Addr>, bytes: &[u8]) {
        if let Some(from) = from {
            self.shard.datagram(reactor, socket, &from, bytes);
        }
    }

    fn timer(&mut self, reactor: &mut Reactor, tag: u64) {
        self.shard.timer(reactor, tag);
    }

    fn woken(&mut self, reactor: &mut Reactor) {
        for message in self.mailbox.take() {
            match message {
                Message::Stop => self.shard.begin_stop(reactor),
                Message::Arrived(door, socket, arrival) => {
                    self.shard.handed_on(reactor, door, socket, arrival);
                }
                Message::Ended(shard) => self.shard.other_ended(reactor, shard),
                Message::Store(reply) => self.shard.store_replied(reactor, reply),
                Message::Batch(batch) => self.shard.handed_over(reactor, batch),
                Message::Log(reply) => self.shard.log_replied(reactor, reply),
            }
        }
    }

    fn drained(&mut self, _reactor: &mut Reactor, source: Token) {
        self.shard.drained(source);
    }

    fn turn_ended(&mut self, _reactor: &mut Reactor) {
        self.shard.turn_ended();
        for (shard, batch) in self.shard.outgoing() {
            if let Some(mailbox) = self.shards.get(usize::from(shard.0)) {
                mailbox.send(Message::Batch(batch));
            }
        }
    }

    fn trouble(&mut self, _reactor: &mut Reactor, source: Token, error: Error) {
        let door = self.shard.door_of(source).map_or("closed", Door::name);
        warn!("the {door} door: {error}; it goes on as soon as it can");
    }
}
