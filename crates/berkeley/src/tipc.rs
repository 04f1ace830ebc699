//! The topology service of TIPC: which services there are in a cluster, and when they come and
//! go.
//!
//! ```no_run
//! use berkeley::tipc::{EventKind, Subscription, Topology};
//!
//! # fn main() -> berkeley::Result<()> {
//! // Every instance of service 18888, now and in the future.
//! let topology = Topology::connect()?;
//! topology.subscribe(&Subscription::service(18888, 0, u32::MAX))?;
//! while let Some(event) = topology.next_event()? {
//!     match event.kind {
//!         EventKind::PUBLISHED => println!("{} is there", event.lower),
//!         EventKind::WITHDRAWN => println!("{} has gone", event.lower),
//!         _ => break,
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Addresses are [`crate::TipcAddr`], options are in [`crate::opt::tipc`].
//!
//! # References
//! tipc(7), "Topology service"; `linux/tipc.h`.

use core::time::Duration;

use crate::addr::{TipcAddr, TipcScope};
use crate::control::walk::{field, put};
use crate::error::{Error, Result};
use crate::kinds::{Family, Kind, MsgFlags, Protocol};
use crate::names::flag_set;
use crate::socket::Socket;

/// `TIPC_WAIT_FOREVER`.
const FOREVER: u32 = u32::MAX;

/// `TIPC_TOP_SRV`, as an instance of itself.
const TOPOLOGY_INSTANCE: u32 = 1;

flag_set! {
    /// What a subscription asks for (`TIPC_SUB_*`), joined with `|`.
    Filter(u32) {
        /// Each socket that has an instance.
        #[doc(alias = "TIPC_SUB_PORTS")]
        PORTS = 1;
        /// The first one of an instance, and the last.
        #[doc(alias = "TIPC_SUB_SERVICE")]
        SERVICE = 2;
        /// The end of a subscription: [`Topology::cancel`] sets it.
        #[doc(alias = "TIPC_SUB_CANCEL")]
        CANCEL = 4;
    }
}

open_newtype! {
    /// What happened (`TIPC_PUBLISHED` and its kind).
    EventKind: u32 {
        /// An instance is there.
        PUBLISHED = 1;
        /// It has gone.
        WITHDRAWN = 2;
        /// The subscription has ended.
        SUBSCR_TIMEOUT = 3;
    }
}

/// What the service shall tell of (`struct tipc_subscr`).
#[doc(alias = "tipc_subscr")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subscription {
    /// The service's type.
    pub kind: u32,
    /// The first instance of interest.
    pub lower: u32,
    /// The last one.
    pub upper: u32,
    /// For how long: milliseconds, rounded up; `None` without end (`TIPC_WAIT_FOREVER`).
    pub timeout: Option<Duration>,
    /// What of it.
    pub filter: Filter,
    /// Comes back with each event.
    pub handle: [u8; 8],
}

impl Subscription {
    /// Bytes of a subscription.
    pub const BYTES: usize = 28;

    /// The coming and going of a service's instances, without end.
    #[must_use]
    pub const fn service(kind: u32, lower: u32, upper: u32) -> Self {
        Self {
            kind,
            lower,
            upper,
            timeout: None,
            filter: Filter::SERVICE,
            handle: [0; 8],
        }
    }

    /// The same of each socket ([`Filter::PORTS`]).
    #[must_use]
    pub const fn ports(kind: u32, lower: u32, upper: u32) -> Self {
        Self {
            filter: Filter::PORTS,
            ..Self::service(kind, lower, upper)
        }
    }

    /// The subscription as it is sent.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let timeout = self.timeout.map_or(FOREVER, |time| {
            let millis = time.as_nanos().div_ceil(1_000_000);
            u32::try_from(millis)
                .unwrap_or(FOREVER - 1)
                .min(FOREVER - 1)
        });
        let mut bytes = [0; Self::BYTES];
        let words = [
            self.kind,
            self.lower,
            self.upper,
            timeout,
            self.filter.raw(),
        ];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        let written = put(&mut bytes, 20, &self.handle);
        debug_assert!(written.is_some(), "the handle is the end");
        bytes
    }

    /// Reads a subscription; `None` if it is too short.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let timeout = word(bytes, 12)?;
        let finite = timeout != FOREVER;
        Some(Self {
            kind: word(bytes, 0)?,
            lower: word(bytes, 4)?,
            upper: word(bytes, 8)?,
            timeout: finite.then(|| Duration::from_millis(timeout.into())),
            filter: Filter::from_raw(word(bytes, 16)?),
            handle: field(bytes, 20)?,
        })
    }
}

/// What the service tells (`struct tipc_event`).
#[doc(alias = "tipc_event")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The first instance that it happened to.
    pub lower: u32,
    /// The last one.
    pub upper: u32,
    /// The socket's number on its node.
    pub reference: u32,
    /// The node.
    pub node: u32,
    /// The subscription that asked for it.
    pub subscription: Subscription,
}

impl Event {
    /// Bytes of an event.
    pub const BYTES: usize = 48;

    /// The socket that it happened to.
    #[must_use]
    pub const fn addr(&self) -> TipcAddr {
        TipcAddr::Id {
            node: self.node,
            reference: self.reference,
            scope: TipcScope::from_raw(0),
        }
    }

    /// The event as the service sends it.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let words = [
            self.kind.raw(),
            self.lower,
            self.upper,
            self.reference,
            self.node,
        ];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        let written = put(&mut bytes, 20, &self.subscription.encode());
        debug_assert!(written.is_some(), "the subscription is the end");
        bytes
    }

    /// Reads an event; `None` if it is too short.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            kind: EventKind::from_raw(word(bytes, 0)?),
            lower: word(bytes, 4)?,
            upper: word(bytes, 8)?,
            reference: word(bytes, 12)?,
            node: word(bytes, 16)?,
            subscription: Subscription::decode(bytes.get(20..)?)?,
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    field(bytes, at).map(u32::from_ne_bytes)
}

/// A connection to the topology service.
#[derive(Debug)]
pub struct Topology {
    socket: Socket,
}

impl Topology {
    /// Connects to this node's service.
    ///
    /// # Errors
    /// [`Error::UnsupportedFamily`] where the kernel has no TIPC (its module is `tipc`).
    pub fn connect() -> Result<Self> {
        let socket = Socket::new(Family::TIPC, Kind::SEQPACKET, Protocol::DEFAULT)?;
        socket.connect(TipcAddr::Name {
            kind: TipcAddr::TOPOLOGY_SERVICE,
            instance: TOPOLOGY_INSTANCE,
            domain: 0,
            scope: TipcScope::CLUSTER,
        })?;
        Ok(Self::over(socket))
    }

    /// A socket that is connected to a service already: another node's, or one that waits in
    /// another way.
    #[must_use]
    pub const fn over(socket: Socket) -> Self {
        Self { socket }
    }

    /// The socket: to wait for events among others, or with a time limit.
    #[must_use]
    pub const fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Asks for events.
    ///
    /// # Errors
    /// Those of [`Socket::send`].
    pub fn subscribe(&self, subscription: &Subscription) -> Result<()> {
        self.socket
            .send(&subscription.encode(), MsgFlags::NONE)
            .map(drop)
    }

    /// Ends a subscription: the same that was asked for.
    ///
    /// # Errors
    /// Those of [`Socket::send`].
    pub fn cancel(&self, subscription: &Subscription) -> Result<()> {
        self.subscribe(&Subscription {
            filter: subscription.filter | Filter::CANCEL,
            ..*subscription
        })
    }

    /// The next event; `None` when the service has closed the connection, as it does after a
    /// subscription that it does not take.
    ///
    /// # Errors
    /// Those of [`Socket::recv`]; [`Error::Invalid`] for a message that is no event.
    pub fn next_event(&self) -> Result<Option<Event>> {
        let mut bytes = [0; Event::BYTES];
        let len = self.socket.recv_into(&mut bytes, MsgFlags::NONE)?;
        if len == 0 {
            return Ok(None);
        }
        let event = bytes.get(..len).and_then(Event::decode);
        event
            .map(Some)
            .ok_or_else(|| Error::Invalid(format!("an event of TIPC has 48 bytes, not {len}")))
    }
}
