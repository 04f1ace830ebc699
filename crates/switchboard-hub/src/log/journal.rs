//! What a shard says to a log and what it hears: plain values, whatever keeps the entries.

use std::sync::Arc;

use super::{LogEntry, LogError, RecentIds};
use crate::limits::{LOG_BACKLOG_BYTES_MAX, LOG_BACKLOG_ENTRIES_MAX};

/// Keeps the entries of the rooms. The hub's is [`Log`](super::Log); a simulation has one that
/// fails when it is told to.
///
/// What any journal promises:
///
/// - Requests never block, and none is lost. Each that has an `id` is answered by exactly one reply
///   with that `id`. Appends are answered by the watermarks of [`LogReply::Durable`].
/// - Entries become durable in the order in which they were appended, and a reply to
///   [`LogRequest::Room`] knows of all that was appended before it.
/// - A watermark never passes an entry that could be lost by a crash or a power cut.
/// - After [`LogReply::Stopped`] no watermark moves again.
pub trait Journal {
    /// Hands a request over, to be answered to `asker`.
    fn request(&self, asker: Asker, request: LogRequest);

    /// Somebody waits until what was appended is durable. What nobody waits for may lie for up to
    /// [`LogConfig::delay`](super::LogConfig::delay), so that it is written together with what
    /// follows.
    fn hurry(&self) {}

    /// How much was appended and is not durable yet. Who appends stops reading from senders while
    /// it [is full](Backlog::is_full) and goes on when it [has room](Backlog::has_room).
    fn backlog(&self) -> Backlog;
}

impl<J: Journal + ?Sized> Journal for Arc<J> {
    fn request(&self, asker: Asker, request: LogRequest) {
        (**self).request(asker, request);
    }

    fn hurry(&self) {
        (**self).hurry();
    }

    fn backlog(&self) -> Backlog {
        (**self).backlog()
    }
}

/// Who asks: handed back with each reply, so that one log serves all shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Asker(pub u16);

/// What was appended and is not durable yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// The sum of the entries' [costs](LogEntry::cost).
    pub bytes: usize,
    /// How many entries.
    pub entries: usize,
}

impl Backlog {
    /// True from [`LOG_BACKLOG_BYTES_MAX`] or [`LOG_BACKLOG_ENTRIES_MAX`] on: no more should be
    /// read from who sends. What is appended all the same is kept: nothing is ever dropped.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.bytes >= LOG_BACKLOG_BYTES_MAX || self.entries >= LOG_BACKLOG_ENTRIES_MAX
    }

    /// True from twice of either bound on.
    #[must_use]
    pub const fn is_overfull(&self) -> bool {
        self.bytes >= 2 * LOG_BACKLOG_BYTES_MAX || self.entries >= 2 * LOG_BACKLOG_ENTRIES_MAX
    }

    /// True below half of both bounds: who was held up may go on.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.bytes < LOG_BACKLOG_BYTES_MAX / 2 && self.entries < LOG_BACKLOG_ENTRIES_MAX / 2
    }
}

/// What a log is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogRequest {
    /// Keep these entries, in this order; of any rooms.
    ///
    /// A room that is not known begins with its first entry. An epoch that is not the room's own
    /// begins a new life of it, with number 1; the entries of the one before stay until their time
    /// is over. An entry with another number than the next is [`LogReply::Refused`].
    Append(Vec<LogEntry>),
    /// Read entries of one room: [`LogReply::Page`].
    Page {
        /// Chosen by the asker.
        id: u64,
        /// The room's canonical name.
        room: Arc<str>,
        /// Which life of it; the present one if it is `None`.
        epoch: Option<u64>,
        /// From where.
        from: PageFrom,
        /// How many at most; never more than
        /// [`LOG_PAGE_ENTRIES_MAX`](crate::limits::LOG_PAGE_ENTRIES_MAX).
        limit: usize,
    },
    /// Remove what is older than the log keeps, by the time that it is now, in milliseconds since
    /// 1970. The log reads no clock: once an hour is enough. Nothing is replied.
    Retain {
        /// Now.
        now_ms: i64,
    },
    /// What is known of one room: [`LogReply::Room`].
    Room {
        /// Chosen by the asker.
        id: u64,
        /// The room's canonical name.
        room: Arc<str>,
    },
    /// What is known of all rooms: [`LogReply::Rooms`].
    Rooms {
        /// Chosen by the asker.
        id: u64,
    },
    /// Look for entries: [`LogReply::Found`].
    Search {
        /// Chosen by the asker.
        id: u64,
        /// What to look for.
        search: Search,
    },
    /// Remember what a room is like. A room that is not known begins by it. Nothing is replied, but
    /// it is durable no later than the entries appended after it.
    SetRoom {
        /// The room's canonical name.
        room: Arc<str>,
        /// Its present epoch.
        epoch: u64,
        /// Its topic; empty for none.
        topic: String,
        /// Whether it stays when nobody is in it.
        kept: bool,
    },
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFrom {
    /// The entries with greater numbers than this one, from the least on. 0 is the beginning.
    After(u64),
    /// The entries with lesser numbers than this one, as near to it as the limit allows.
    Before(u64),
    /// The newest.
    Newest,
}

/// What to look for. Entries that have all the words, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    /// Each is a part of the text, whatever its case; quotes mean nothing. At most
    /// [`SEARCH_WORDS_MAX`](crate::limits::SEARCH_WORDS_MAX). With none, all texts are found that
    /// the rest allows.
    pub words: Vec<String>,
    /// Only in this room.
    pub room: Option<Arc<str>>,
    /// Only by authors whose name has this in it, whatever its case.
    pub author: Option<String>,
    /// Only from this time on, in milliseconds since 1970.
    pub after_ms: Option<i64>,
    /// Only before this time, in milliseconds since 1970.
    pub before_ms: Option<i64>,
    /// How many at most; never more than
    /// [`SEARCH_FOUND_MAX`](crate::limits::SEARCH_FOUND_MAX).
    pub limit: usize,
}

/// What a log says.
#[derive(Debug)]
pub enum LogReply {
    /// All entries up to these numbers are on the disk: one reply for each commit and asker, with
    /// each room of which the asker appended something.
    Durable(Vec<Watermark>),
    /// What a search found.
    Found {
        /// Of the request.
        id: u64,
        /// The entries, the newest first.
        entries: Vec<LogEntry>,
        /// False if the search took longer than
        /// [`SEARCH_TIME`](crate::limits::SEARCH_TIME) and was ended: there may be more.
        is_whole: bool,
    },
    /// A page.
    Page {
        /// Of the request.
        id: u64,
        /// Its entries.
        page: Page,
    },
    /// A request could not be answered.
    ReadFailed {
        /// Of the request.
        id: u64,
        /// Why.
        error: LogError,
    },
    /// An entry was not kept, and none of the same `Append` after it: a defect of who appended.
    Refused {
        /// The room.
        room: Arc<str>,
        /// Its number.
        seq: u64,
        /// Why.
        error: LogError,
    },
    /// The log keeps entries again; everything that waited is durable, and was told so.
    Resumed,
    /// What is known of a room.
    Room {
        /// Of the request.
        id: u64,
        /// What the room is like, and the ids of its newest entries; `None` if the log has never
        /// heard of it.
        room: Option<(RoomState, RecentIds)>,
    },
    /// What is known of all rooms.
    Rooms {
        /// Of the request.
        id: u64,
        /// The present life of each, by name.
        rooms: Vec<RoomState>,
    },
    /// Nothing can be kept just now: the disk is full, cannot be written, or another process has
    /// the log. What was appended is held and tried again, every
    /// [`LOG_RETRY`](crate::limits::LOG_RETRY), until [`Resumed`](Self::Resumed). Who appends
    /// should refuse what is new and say why. Told once to everybody who appended.
    Stalled {
        /// Why.
        error: Arc<LogError>,
    },
    /// The log keeps nothing from now on, whatever happens: the disk did not keep what it had
    /// taken. Pages and searches go on. Told once to everybody who appended, and again to whoever
    /// appends later.
    Stopped {
        /// Why.
        error: Arc<LogError>,
    },
}

/// How far a room is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// The room.
    pub room: Arc<str>,
    /// Its epoch.
    pub epoch: u64,
    /// The number of its last durable entry.
    pub seq: u64,
}

/// What a room is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomState {
    /// Its canonical name.
    pub room: Arc<str>,
    /// Its life: chosen at random by who began it, and another one only if its history was lost or
    /// reset, so that old numbers mean nothing any more.
    pub epoch: u64,
    /// The number of its oldest entry that is still there; `last_seq + 1` if none is.
    pub first_seq: u64,
    /// The number of its last entry, kept or gone by; 0 if there was none.
    pub last_seq: u64,
    /// What its entries cost in bytes.
    pub bytes: u64,
    /// Its topic; empty for none.
    pub topic: String,
    /// Whether it stays when nobody is in it.
    pub kept: bool,
}

/// Some entries of a room in their order, without gaps.
///
/// Only what is durable: an entry that was just appended may be missing until its watermark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The room's epoch that was read.
    pub epoch: u64,
    /// The numbers of the entries that are there; empty (`last + 1 ..= last`) if none is. What is
    /// below its beginning is gone: too old, or too much.
    pub first_seq: u64,
    /// See `first_seq`.
    pub last_seq: u64,
    /// The entries, at most as many as were asked for and, unless it is one, no more than
    /// [`LOG_PAGE_BYTES_MAX`](crate::limits::LOG_PAGE_BYTES_MAX).
    pub entries: Vec<LogEntry>,
}

impl Page {
    /// The first and last number of what a reader that has seen everything up to `seq` can never
    /// have, because it is gone.
    #[must_use]
    pub fn gone_after(&self, seq: u64) -> Option<(u64, u64)> {
        (seq.saturating_add(1) < self.first_seq).then(|| (seq + 1, self.first_seq - 1))
    }
}
