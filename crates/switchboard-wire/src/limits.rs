//! Every bound of the protocols, by name, with the reason for its value.
//!
//! Begin here when asking "how large may this be?".
//! Nothing in this crate grows beyond one of these constants, or beyond the limit its caller gave
//! instead.

use std::time::Duration;

/// The longest header frame of a parcel, in bytes.
///
/// It is below the first four bytes of a TLS or HTTP greeting read as a length, so that one port
/// can tell the protocols apart, and holds any file name many times over.
pub const HEADER_BYTES_MAX: u32 = 65_535;

/// How deep arrays and objects of a JSON header may nest.
///
/// A header of ours nests three deep. What reads JSON recurses, and a hostile header must not use
/// up the stack.
pub const JSON_DEPTH_MAX: usize = 32;

/// The longest text of a message parcel, in bytes.
///
/// A message is held in memory until it is whole: 1 MiB is a long book chapter, and ten thousand
/// connections of it still fit into a server.
pub const MESSAGE_BYTES_MAX: u32 = 1 << 20;

/// The largest file of a plain parcel, in bytes: 2 GiB - 1.
///
/// The plain form's length is a signed 32-bit number, which cannot say more.
pub const FILE_BYTES_MAX: u32 = i32::MAX.cast_unsigned();

/// The longest chat line, in bytes, without its line ending.
///
/// Far more than anyone types, enough for pasted text, and little enough to hold once for every
/// connection.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// The most lines of one message parcel, counted as [`str::lines`] does.
///
/// Each line goes out with its author in front, so that a small message of nothing but short lines
/// would cost each of its readers many times what it cost its sender.
pub const MESSAGE_LINES_MAX: usize = 4096;

/// The longest nick, in characters: as long as a screen still shows beside a text.
pub const NICK_CHARS_MAX: usize = 32;

/// The most combining marks behind one letter of a name.
///
/// What scripts need in composed form; more make a pile that covers the lines around it (UTS #39
/// §5.4 names the same number).
pub const NAME_MARKS_MAX: usize = 4;

/// The longest name of a room, in characters.
pub const ROOM_NAME_CHARS_MAX: usize = 64;

/// The longest topic of a room, in characters: a line that a screen still shows at once.
pub const TOPIC_CHARS_MAX: usize = 200;

/// The longest number that a client gives its message (`id`), in bytes: a UUID in any of its
/// spellings fits, and so does a hash.
pub const MESSAGE_ID_BYTES_MAX: usize = 64;

/// The longest file name, in bytes: what Linux file systems take (`NAME_MAX`).
pub const FILE_NAME_BYTES_MAX: usize = 255;

/// The longest extension that is kept when a file name is shortened, in bytes, without its dot.
///
/// Real ones are shorter; what is longer is a sentence with a full stop in it.
pub const FILE_EXTENSION_BYTES_MAX: usize = 32;

/// The longest answer to a datagram, in bytes.
///
/// Datagrams carry forged sender addresses: a short answer is what keeps the hub from being used to
/// flood a third party. It also fits one packet on any network.
pub const DATAGRAM_ANSWER_BYTES_MAX: usize = 1024;

/// How long a connection may be silent between two parcels.
///
/// People write by hand through such connections; five minutes is a pause, more is a lost peer.
pub const PARCEL_IDLE: Duration = Duration::from_secs(300);

/// How long a parcel may take from its first byte, besides what its payload's size allows for.
///
/// Enough for a poor mobile network, and short enough that held-open connections cost their owner
/// more than the hub.
pub const FRAME_TIME: Duration = Duration::from_secs(60);

/// The slowest payload that is waited for, in bytes per second, on average: 16 KiB/s.
///
/// Below the slowest network in everyday use, above somebody who only wants to hold a place.
pub const FILE_RATE_MIN: u32 = 16 * 1024;

/// The longest head of an HTTP response, in bytes, and the longest fields behind a chunked body.
///
/// Servers limit the heads of requests to 8 to 32 KiB; responses with many cookies are longer.
pub const HTTP_HEAD_BYTES_MAX: usize = 64 * 1024;

/// The most fields of an HTTP response's head: what common clients take.
pub const HTTP_FIELDS_MAX: usize = 128;

/// The most interim responses (1xx) before the final one.
pub const HTTP_INTERIM_MAX: usize = 16;

/// The longest line with the length of a chunk, in bytes: extensions that nobody uses must not keep
/// us busy.
pub const HTTP_CHUNK_LINE_BYTES_MAX: usize = 1024;

/// The longest entity tag that is kept to resume by, in bytes.
pub const HTTP_VALIDATOR_BYTES_MAX: usize = 1024;

/// The longest address of a download, in bytes: what RFC 9110 §4.1 asks everybody to support.
pub const URL_BYTES_MAX: usize = 8000;
