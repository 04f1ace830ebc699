//! What the log keeps: one entry of a room, without any idea of how it is kept.

use std::sync::Arc;

/// Everything of one entry that outlives the process.
///
/// `room`, `epoch` and `seq` together name it for ever: numbers of a room and epoch begin at 1,
/// have no gaps, and are never given twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The room's canonical name.
    pub room: Arc<str>,
    /// The life of the room that `seq` counts in; see [`RoomState::epoch`](super::RoomState).
    pub epoch: u64,
    /// Its number: the one after the last entry of the room and epoch.
    pub seq: u64,
    /// When the room took it, in milliseconds since 1970 (UTC). Order is by `seq`, never by this.
    pub time_ms: i64,
    /// Who did it, as the others saw it.
    pub author: Arc<str>,
    /// What it was.
    pub kind: LogKind,
    /// What was said, the name of the file, the new name, the topic, or why somebody left; empty
    /// where there is nothing to say.
    pub text: String,
    /// The size of the file, if it is one.
    pub bytes: Option<u64>,
    /// The number, in the same room and epoch, of the entry that this one answers.
    pub reply_to: Option<u64>,
    /// The sender's own id of the message, if it gave one: what tells a repeated message from a new
    /// one ([`RecentIds`](super::RecentIds)). At most
    /// [`CLIENT_ID_BYTES_MAX`](crate::limits::CLIENT_ID_BYTES_MAX) bytes.
    pub client_id: Option<Box<str>>,
}

impl LogEntry {
    /// What it counts in [`Backlog`](super::Backlog) and in a room's size: its texts, and
    /// [`LOG_ENTRY_BYTES`](crate::limits::LOG_ENTRY_BYTES) for all the rest.
    #[must_use]
    pub fn cost(&self) -> usize {
        let id = self.client_id.as_ref().map_or(0, |id| id.len());
        self.text.len() + self.author.len() + id + crate::limits::LOG_ENTRY_BYTES
    }
}

/// What an entry tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LogKind {
    /// A file was stored; `text` is its name, `bytes` its size.
    File,
    /// The author came.
    Joined,
    /// The author went; `text` is why, where it was not its own wish.
    Left,
    /// The author is known as `text` from now on.
    Renamed,
    /// The author said `text`.
    Text,
    /// The room's topic is `text` from now on.
    Topic,
}

impl LogKind {
    /// All kinds there are.
    pub const ALL: [Self; 6] = [
        Self::File,
        Self::Joined,
        Self::Left,
        Self::Renamed,
        Self::Text,
        Self::Topic,
    ];

    /// The name in exports and in what `--json` prints.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Joined => "joined",
            Self::Left => "left",
            Self::Renamed => "renamed",
            Self::Text => "text",
            Self::Topic => "topic",
        }
    }

    /// The kind of that [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether its text is somebody's words, which a search should find.
    #[must_use]
    pub const fn is_searched(self) -> bool {
        matches!(self, Self::File | Self::Text | Self::Topic)
    }
}
