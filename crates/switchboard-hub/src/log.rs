//! The log of the rooms: what was said outlives the hub.
//!
//! A shard hands entries over by [`Journal::request`], which never blocks, and is told by
//! [`LogReply::Durable`] up to which number each room is on the disk. Nothing here knows a socket,
//! reads a clock or numbers an entry: numbers are the rooms' own.

mod entry;
mod error;
mod journal;
mod recent;

pub use self::entry::{LogEntry, LogKind};
pub use self::error::{Holder, LogError};
pub use self::journal::{
    Asker, Backlog, Journal, LogReply, LogRequest, Page, PageFrom, RoomState, Search, Watermark,
};
pub use self::recent::RecentIds;
