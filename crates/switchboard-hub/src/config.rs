//! What a hub is told at its start.

use core::fmt;
use core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;

use berkeley::Endpoint;
use berkeley::selector::Backend;
use switchboard_wire::RoomName;
use switchboard_wire::strftime::Moment;

use crate::limits::Limits;

/// A way into the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Text lines, one a message.
    Chat,
    /// Messages and files as parcels.
    Parcels,
    /// The time, by datagram.
    Time,
}

impl Door {
    /// The name in the log and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Parcels => "parcels",
            Self::Time => "time",
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a hub cannot know by itself: handed to it, so that a test can decide about it.
/// All shards share them.
#[derive(Clone)]
pub struct Senses {
    /// The wall clock: local time, for the time door.
    pub clock: Arc<dyn Fn() -> Moment + Send + Sync>,
    /// The wall clock: milliseconds since 1970-01-01 UTC, for entries.
    pub unix_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Numbers that never come twice, for the epochs of rooms.
    pub entropy: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for Senses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Senses").finish_non_exhaustive()
    }
}

/// How much a log keeps. Without a bound it keeps everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// How old entries get.
    pub age: Option<Duration>,
    /// How many bytes of entries a room may have.
    pub bytes: Option<u64>,
}

/// What a hub is told at its start.
pub struct Config {
    /// The data folder; it is made if it is missing.
    pub data: PathBuf,
    /// Which doors to open, and where. A door may be open at several endpoints.
    pub doors: Vec<(Door, Endpoint)>,
    /// What to wait for sockets with.
    pub backend: Backend,
    /// How many threads have connections and rooms of their own: from 1 to
    /// [`SHARDS_MAX`](crate::limits::SHARDS_MAX).
    pub shards: u16,
    /// The bounds.
    pub limits: Limits,
    /// Rooms that are not forgotten when the last member has gone, besides the lobby.
    pub kept_rooms: Vec<RoomName>,
    /// How much of what was said is kept; `None` keeps nothing.
    pub log: Option<Keep>,
    /// What comes from outside of the hub's own data.
    pub senses: Senses,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("data", &self.data)
            .field("doors", &self.doors)
            .field("backend", &self.backend)
            .field("shards", &self.shards)
            .field("limits", &self.limits)
            .field("kept_rooms", &self.kept_rooms)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}
