//! Every bound of the hub that is not a protocol's own, by name.

use core::num::NonZeroU32;
use core::time::Duration;

use switchboard_wire::limits as wire;

/// Connections at once, over all doors.
pub const CONNECTIONS_MAX: usize = 10_000;

/// Shards of a hub at most. Each is a thread, and more than cores gain nothing.
pub const SHARDS_MAX: u16 = 64;

/// Bytes that other shards have handed over to one and that it has not worked off yet, from which
/// on nothing more is read from who speaks to its members or rooms, until half of it is worked off.
/// It holds what a shard does in some hundredths of a second.
pub const SHARD_BACKLOG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What one thing that is handed over counts besides its text.
pub const SHARD_JOB_BYTES: usize = 256;

/// Connections for which each shard has room from the beginning, if it may have so many.
pub const CONNECTIONS_ROOM: usize = 64 * 1024;

/// Connections at once from one IPv4 address or one IPv6 /64. A household or a small office fits;
/// one host cannot use up the hub.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 64;

/// Descriptors that stay free of connections, for files, listeners and the log; a quarter of them
/// where the process has fewer than four times as many.
pub const DESCRIPTORS_RESERVED: usize = 64;

/// Bytes of answers that wait for one member at most, bookkeeping included; what its room says is
/// not among them. A member that lets more pile up has stopped reading.
pub const OUTBOX_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long a member may take nothing of what waits for it. TCP itself, which goes on trying for a
/// quarter of an hour, is more patient than a room should be.
pub const OUTBOX_TIME: Duration = Duration::from_secs(60);

/// Bytes of entries that a shard keeps of a room for its members there, in each form in which they
/// read it: what a member may be late by before it misses something.
pub const FEED_BYTES_MAX: usize = 1024 * 1024;

/// The same in entries: more than there are lines in so many bytes.
pub const FEED_ENTRIES_MAX: usize = 64 * 1024;

/// The same of all rooms of a shard together. Where it is used up, each room keeps what it has, and
/// a new one 4 KiB.
pub const FEEDS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Entries that a member has made itself and not passed in what it reads: when it is fed from the
/// log it is not shown them. Of more than that it is shown the oldest.
pub const OWN_ENTRIES_MAX: usize = 4096;

/// Bytes that are read from one member at once: a burst of short lines is some hundreds of
/// them, with everybody else in between.
pub const CHAT_READ_BYTES_MAX: u32 = 64 * 1024;

/// How long a member may say nothing. People are silent for hours, and lost machines are found out
/// by keep-alive probes, so this is only what nobody notices.
pub const CHAT_IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a line may take from its first byte to its end.
pub const LINE_TIME: Duration = Duration::from_secs(600);

/// Silence after which the kernel asks a peer whether it is still there, and how often and how
/// many times it asks: a machine that vanished is noticed within two minutes.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// Time between two of these questions.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// Questions without an answer until the connection is given up.
pub const KEEPALIVE_PROBES: u32 = 4;

/// Messages a second that an operator may allow a connection at most. None are counted unless there
/// is a limit.
pub const MESSAGES_PER_SECOND_MAX: u32 = 1_000_000;

/// Messages that a connection may send at once where it may send fewer in a second: somebody who
/// pastes a few lines is not held up.
pub const MESSAGES_BURST_MIN: u32 = 10;

/// How long a connection that was too fast is not read at least. It loses nothing by that, and the
/// hub wakes up for several messages at a time.
pub const MESSAGES_WAIT_MIN: Duration = Duration::from_millis(50);

/// Time between two looks at all members who are silent: how late one of them may be put out.
pub const IDLE_LOOK_MIN: Duration = Duration::from_millis(100);

/// How late a deadline may be noticed before it is the hub that stood still (a stopped process, a
/// paused machine), and how much longer the peer then has, once, for what it has sent to be read.
pub const STALL_TIME: Duration = Duration::from_secs(1);

/// Bytes of one upload that wait for the disk at most; above it the connection is not read.
pub const UPLOAD_IN_FLIGHT_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of all uploads together that wait for the disk at most.
pub const STORE_IN_FLIGHT_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Bytes together of the unfinished uploads that are kept to be resumed at most: two of the largest
/// files. The oldest go first.
pub const UNFINISHED_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// How many of them are kept at most: each is a file in a folder that is read when one breaks off.
pub const UNFINISHED_FILES_MAX: usize = 256;

/// How long one is kept after its last byte. Who comes back does so within a day.
pub const UNFINISHED_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes of an upload that can be resumed after which they are synced and noted: what a hub that
/// dies loses of it at most.
pub const UNFINISHED_SYNC_BYTES: u64 = 16 * 1024 * 1024;

/// What a piece of an upload that waits for the disk costs besides its bytes, counted so that an
/// upload that comes byte by byte is bounded in memory too.
pub const PIECE_BYTES: usize = 128;

/// Parcels of one conversation that wait for an earlier file to be stored at most, and the bytes
/// of messages among them; above either the connection is not read.
pub const PENDING_PARCELS_MAX: usize = 256;
/// See [`PENDING_PARCELS_MAX`].
pub const PENDING_TEXT_BYTES_MAX: usize = 1024 * 1024;

/// How long a connection that the hub ends may take to accept what was sent to it and to close.
pub const FINISH_TIME: Duration = Duration::from_secs(2);

/// How long the hub takes to end: time for members to take their last lines, and for files that
/// were received to reach the disk. What is not stored by then is given up.
pub const STOP_TIME: Duration = Duration::from_secs(5);

/// Characters of a message that the log shows.
pub const LOGGED_TEXT_CHARS_MAX: usize = 200;

/// Members that `/who` names at most.
pub const WHO_NAMES_MAX: usize = 200;

/// Rooms at once. Each costs some hundred bytes, and anybody can make one.
pub const ROOMS_MAX: usize = 10_000;

/// Members of one room at once: as many as the hub can be told to take.
pub const ROOM_MEMBERS_MAX: usize = 200_000;

/// Rooms that `/rooms` names at most.
pub const ROOMS_LISTED_MAX: usize = 200;

/// Entries that `/history` shows unless it is told how many, and at most.
pub const HISTORY_ENTRIES: usize = 20;
/// See [`HISTORY_ENTRIES`].
pub const HISTORY_ENTRIES_MAX: usize = 1000;

/// Numbers that authors gave to what they sent, over all rooms, that are remembered so that what is
/// sent again is not said again: some minutes of a busy hub, and at most 16 MiB.
pub const MESSAGE_IDS_MAX: usize = 64 * 1024;

/// How many answers in a row of the time door an address may send back, word for word, before it is
/// taken for a server that answers everything, too.
pub const ECHOES_MAX: u8 = 100;

/// Addresses that the time door remembers for that.
pub const ECHO_ADDRESSES: usize = 256;

/// Bytes and entries that were said and are not in the log yet at most; from either on, shards read
/// nothing more from who sends until half of it is written. At 150,000 small entries a second that
/// is most of a second of a disk that stands still.
pub const LOG_BACKLOG_BYTES_MAX: usize = 32 * 1024 * 1024;
/// See [`LOG_BACKLOG_BYTES_MAX`].
pub const LOG_BACKLOG_ENTRIES_MAX: usize = 128 * 1024;

/// What an entry of the log counts besides its texts.
pub const LOG_ENTRY_BYTES: usize = 64;

/// Entries that a shard gathers in one turn before it hands them to the log; the rest follows at
/// once, so that the backlog tells of it.
pub const APPEND_ENTRIES_MAX: usize = 512;

/// Client message ids of all rooms of a shard together at most, some 128 MiB: above it those of the
/// room that has the most are forgotten.
pub const CLIENT_IDS_MAX: usize = 1024 * 1024;

/// What one connection may send while the log is too far behind, before it is not read until the
/// log has caught up: people go on talking while programs wait. Above twice the backlog everybody
/// waits.
pub const LIGHT_SENDER_BYTES_MAX: usize = 64 * 1024;

/// How often a shard looks whether the log has caught up, while it reads nothing from who sends.
pub const LOG_LOOK: Duration = Duration::from_millis(5);

/// How often a shard looks whether there is more on disk for a reader that is behind its room,
/// where nobody is told of it.
pub const CATCH_UP_LOOK: Duration = Duration::from_millis(50);

/// How often the log is told the time, to forget what is too old.
pub const RETAIN_EVERY: Duration = Duration::from_secs(60 * 60);

/// Bytes of entries that one commit of the log takes at most. A disk that syncs in milliseconds
/// keeps up by it, and the first of them does not wait long for the last.
pub const LOG_BATCH_BYTES_MAX: usize = 1024 * 1024;

/// How long an entry that nobody waits for may lie before it is written, if others were written
/// just before it: what is said meanwhile shares its commit.
pub const LOG_DELAY: Duration = Duration::from_millis(5);

/// Bytes of entries that lie so at most.
pub const LOG_DELAY_BYTES_MAX: usize = 256 * 1024;

/// How long the log waits for another program's lock before that is told as an error.
pub const LOG_LOCK_WAIT: Duration = Duration::from_secs(5);

/// Time between two tries to write what the disk, full or locked, did not take.
pub const LOG_RETRY: Duration = Duration::from_secs(1);

/// Pages and searches of the log that wait to be read at most, of each.
pub const LOG_READS_MAX: usize = 32 * 1024;

/// Entries of one page of the log at most.
pub const LOG_PAGE_ENTRIES_MAX: usize = 1_000;

/// Bytes of the entries of one page at most, unless it has only one.
pub const LOG_PAGE_BYTES_MAX: usize = 256 * 1024;

/// The newest entries of a room whose client message ids are remembered: a message that is sent
/// again is known as long as fewer than this came after it.
pub const CLIENT_IDS_WINDOW: u64 = 65_536;

/// The longest client message id in bytes: twice what a UUID has.
pub const CLIENT_ID_BYTES_MAX: usize = 72;

/// The longest line of an export that is read, in bytes: the largest message, each byte written
/// as an escape, and room for the rest.
pub const EXPORT_LINE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Words of one search at most; what is behind is not looked for.
pub const SEARCH_WORDS_MAX: usize = 16;

/// Entries that one search finds at most.
pub const SEARCH_FOUND_MAX: usize = 1_000;

/// How long a search may take; what it has found by then is its answer.
pub const SEARCH_TIME: Duration = Duration::from_secs(2);

/// The limits that an operator may change, with the defaults above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once. The process's descriptors bound it too.
    pub connections: usize,
    /// Connections at once from one address (an IPv6 /64 counts as one).
    pub connections_per_address: usize,
    /// Whether this machine's own programs count as an address too. They do only if the operator
    /// chose the limit: a hub for one machine has all its members there.
    pub loopback_counts: bool,
    /// Bytes of answers that wait for one member at most.
    pub outbox_bytes: usize,
    /// How long a member may take nothing of what waits for it.
    pub outbox_time: Duration,
    /// Rooms at once, the lobby among them.
    pub rooms: usize,
    /// Members of one room at once.
    pub room_members: usize,
    /// How long a member may say nothing; a program that follows a room, too.
    pub chat_idle: Duration,
    /// How long a line may take from its first byte to its end.
    pub line_time: Duration,
    /// How long a parcel connection may send nothing.
    pub parcel_idle: Duration,
    /// How long a parcel may take, besides what its size allows for.
    pub frame_time: Duration,
    /// Messages that one connection may send in a second, lines and parcels alike, before it is
    /// slowed; none are counted without it. See [`MESSAGES_BURST_MIN`].
    pub messages_per_second: Option<NonZeroU32>,
    /// The longest chat line in bytes, without its ending.
    pub line_bytes: usize,
    /// The longest message of a parcel in bytes.
    pub message_bytes: u32,
    /// The largest file of a parcel in bytes.
    pub file_bytes: u32,
    /// Bytes together of the unfinished uploads that are kept.
    pub unfinished_bytes: u64,
    /// How long one is kept.
    pub unfinished_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS_MAX,
            connections_per_address: CONNECTIONS_PER_ADDRESS_MAX,
            loopback_counts: false,
            outbox_bytes: OUTBOX_BYTES_MAX,
            outbox_time: OUTBOX_TIME,
            rooms: ROOMS_MAX,
            room_members: ROOM_MEMBERS_MAX,
            chat_idle: CHAT_IDLE,
            line_time: LINE_TIME,
            parcel_idle: wire::PARCEL_IDLE,
            frame_time: wire::FRAME_TIME,
            messages_per_second: None,
            line_bytes: wire::LINE_BYTES_MAX,
            message_bytes: wire::MESSAGE_BYTES_MAX,
            file_bytes: wire::FILE_BYTES_MAX,
            unfinished_bytes: UNFINISHED_BYTES_MAX,
            unfinished_time: UNFINISHED_TIME,
        }
    }
}
