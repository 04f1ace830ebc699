//! Socket options by type: a value in, a value out, no bytes to fiddle with.
//!
//! Each option is a descriptor of no size that knows its level, its number and its value's type:
//!
//! ```
//! use berkeley::{Family, Kind, Protocol, Socket, opt};
//!
//! # fn main() -> Result<(), berkeley::Error> {
//! let socket = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT)?;
//! socket.set(opt::NoDelay, true)?;
//! assert!(socket.get(opt::NoDelay)?);
//! # Ok(())
//! # }
//! ```
//!
//! The traits are open: a program can describe an option that is not here. For a single use
//! there are [`crate::Socket::get_raw`] and [`crate::Socket::set_raw`].

use core::ffi::c_int;
use core::time::Duration;

use crate::errno::Errno;
use crate::kinds::{Family, Kind, Level, Protocol};

/// Bytes that the largest option value of this module needs.
pub(crate) const VALUE_BYTES_MAX: usize = 64;

/// A socket option: where it lives and what its value is.
pub trait SockOpt {
    /// The level, such as `SOL_SOCKET`.
    const LEVEL: Level;
    /// The option's number at that level.
    const NAME: c_int;
    /// The name in the man page, for error messages.
    const LABEL: &'static str;
    /// The value's type.
    type Value;
}

/// An option that can be read.
pub trait GetOpt: SockOpt {
    /// Bytes that the kernel is offered for the value, at most 64.
    const BYTES: usize;

    /// Reads the value from what the kernel wrote; `None` if that is too short to be one.
    fn decode(bytes: &[u8]) -> Option<Self::Value>;
}

/// An option that can be set.
pub trait SetOpt: SockOpt {
    /// The value as the kernel wants it.
    fn encode(value: Self::Value) -> impl AsRef<[u8]>;
}

fn int(bytes: &[u8]) -> Option<c_int> {
    bytes
        .first_chunk()
        .map(|bytes| c_int::from_ne_bytes(*bytes))
}

/// Whole seconds for the kernel: rounded up, so that a limit is never shorter than asked for.
fn seconds(value: Duration) -> c_int {
    let whole = value
        .as_secs()
        .saturating_add(u64::from(value.subsec_nanos() > 0));
    c_int::try_from(whole).unwrap_or(c_int::MAX)
}

macro_rules! option {
    ($(#[$doc:meta])* $type:ident: $value:ty, $level:ident $name:ident, $label:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $type;

        impl SockOpt for $type {
            const LEVEL: Level = Level::$level;
            const NAME: c_int = libc::$name;
            const LABEL: &'static str = $label;
            type Value = $value;
        }
    };
}

macro_rules! int_option {
    (
        $(#[$doc:meta])*
        $type:ident: $value:ty, $level:ident $name:ident, $label:literal,
        get $decode:expr $(, set $encode:expr)?
    ) => {
        option! { $(#[$doc])* $type: $value, $level $name, $label }

        impl GetOpt for $type {
            const BYTES: usize = size_of::<c_int>();

            fn decode(bytes: &[u8]) -> Option<$value> {
                let decode: fn(c_int) -> $value = $decode;
                int(bytes).map(decode)
            }
        }

        $(impl SetOpt for $type {
            fn encode(value: $value) -> impl AsRef<[u8]> {
                let encode: fn($value) -> c_int = $encode;
                encode(value).to_ne_bytes()
            }
        })?
    };
}

macro_rules! bool_option {
    ($(#[$doc:meta])* $type:ident, $level:ident $name:ident, $label:literal) => {
        int_option! {
            $(#[$doc])* $type: bool, $level $name, $label,
            get |raw| raw != 0, set c_int::from
        }
    };
}

macro_rules! count_option {
    ($(#[$doc:meta])* $type:ident, $level:ident $name:ident, $label:literal) => {
        int_option! {
            $(#[$doc])* $type: u32, $level $name, $label,
            get |raw| u32::try_from(raw).unwrap_or(0),
            set |value| c_int::try_from(value).unwrap_or(c_int::MAX)
        }
    };
}

macro_rules! seconds_option {
    ($(#[$doc:meta])* $type:ident, $level:ident $name:ident, $label:literal) => {
        int_option! {
            $(#[$doc])* $type: Duration, $level $name, $label,
            get |raw| Duration::from_secs(u64::try_from(raw).unwrap_or(0)), set seconds
        }
    };
}

bool_option! {
    /// `SO_REUSEADDR`: bind although connections of a former owner are in `TIME_WAIT`, socket(7).
    ReuseAddr, SOCKET SO_REUSEADDR, "SO_REUSEADDR"
}
bool_option! {
    /// `SO_REUSEPORT`: several sockets share one address and the kernel spreads what arrives.
    ReusePort, SOCKET SO_REUSEPORT, "SO_REUSEPORT"
}
bool_option! {
    /// `SO_KEEPALIVE`: ask a silent peer from time to time whether it is still there, socket(7).
    KeepAlive, SOCKET SO_KEEPALIVE, "SO_KEEPALIVE"
}
bool_option! {
    /// `SO_BROADCAST`: datagrams may go to broadcast addresses, socket(7).
    Broadcast, SOCKET SO_BROADCAST, "SO_BROADCAST"
}
count_option! {
    /// `SO_RCVBUF`: bytes of the receive buffer. The kernel doubles what is set, for its own
    /// bookkeeping, and answers the doubled value, socket(7).
    RecvBuffer, SOCKET SO_RCVBUF, "SO_RCVBUF"
}
count_option! {
    /// `SO_SNDBUF`: bytes of the send buffer, doubled like [`RecvBuffer`], socket(7).
    SendBuffer, SOCKET SO_SNDBUF, "SO_SNDBUF"
}
int_option! {
    /// `SO_ERROR`: takes the pending error off the socket; the next look finds none, socket(7).
    PendingError: Option<Errno>, SOCKET SO_ERROR, "SO_ERROR",
    get |raw| (raw != 0).then_some(Errno::from_raw(raw))
}
int_option! {
    /// `SO_TYPE`: the socket's type, socket(7).
    Type: Kind, SOCKET SO_TYPE, "SO_TYPE", get Kind::from_raw
}
int_option! {
    /// `SO_DOMAIN`: the socket's family, socket(7).
    Domain: Family, SOCKET SO_DOMAIN, "SO_DOMAIN", get Family::from_raw
}
int_option! {
    /// `SO_PROTOCOL`: the socket's protocol, socket(7).
    ProtocolNumber: Protocol, SOCKET SO_PROTOCOL, "SO_PROTOCOL", get Protocol::from_raw
}
int_option! {
    /// `SO_ACCEPTCONN`: whether the socket listens, socket(7).
    Listening: bool, SOCKET SO_ACCEPTCONN, "SO_ACCEPTCONN", get |raw| raw != 0
}
bool_option! {
    /// `TCP_NODELAY`: send small pieces at once instead of waiting for company, tcp(7).
    NoDelay, TCP TCP_NODELAY, "TCP_NODELAY"
}
seconds_option! {
    /// `TCP_KEEPIDLE`: silence before the first keep-alive probe, whole seconds, tcp(7).
    KeepIdle, TCP TCP_KEEPIDLE, "TCP_KEEPIDLE"
}
seconds_option! {
    /// `TCP_KEEPINTVL`: time between probes, whole seconds, tcp(7).
    KeepInterval, TCP TCP_KEEPINTVL, "TCP_KEEPINTVL"
}
count_option! {
    /// `TCP_KEEPCNT`: unanswered probes until the connection is given up, tcp(7).
    KeepCount, TCP TCP_KEEPCNT, "TCP_KEEPCNT"
}
bool_option! {
    /// `IPV6_V6ONLY`: an IPv6 socket takes no IPv4 peers, ipv6(7).
    V6Only, IPV6 IPV6_V6ONLY, "IPV6_V6ONLY"
}

option! {
    /// `SO_LINGER`: what close does with unsent data: `None` sends it behind the caller's back,
    /// zero throws it away and resets the connection, more waits that long (whole seconds,
    /// rounded up), socket(7).
    Linger: Option<Duration>, SOCKET SO_LINGER, "SO_LINGER"
}

impl GetOpt for Linger {
    const BYTES: usize = size_of::<libc::linger>();

    fn decode(bytes: &[u8]) -> Option<Option<Duration>> {
        let on = int(bytes)?;
        let seconds = int(bytes.get(size_of::<c_int>()..)?)?;
        Some((on != 0).then(|| Duration::from_secs(u64::try_from(seconds).unwrap_or(0))))
    }
}

impl SetOpt for Linger {
    fn encode(value: Option<Duration>) -> impl AsRef<[u8]> {
        let (on, time) = value.map_or((0, 0), |time| (1, seconds(time)));
        let mut bytes = [0; size_of::<libc::linger>()];
        for (place, byte) in bytes.iter_mut().zip(
            c_int::to_ne_bytes(on)
                .into_iter()
                .chain(c_int::to_ne_bytes(time)),
        ) {
            *place = byte;
        }
        bytes
    }
}

option! {
    /// `SO_SNDTIMEO`: how long the kernel lets a blocking send or connect wait; `None` without
    /// end, socket(7). [`crate::Mode::Within`] is the better tool: it bounds whole calls. (A
    /// limited connect of a Unix socket sets this, and takes it off in the end.)
    SendTimeout: Option<Duration>, SOCKET SO_SNDTIMEO, "SO_SNDTIMEO"
}

impl SetOpt for SendTimeout {
    fn encode(value: Option<Duration>) -> impl AsRef<[u8]> {
        // All zeros means "no limit" to the kernel, so the shortest limit is a microsecond.
        let micros = value.map_or(0, |time| time.as_nanos().div_ceil(1000).max(1));
        let whole = i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX);
        let rest = i64::try_from(micros % 1_000_000).unwrap_or(0);
        [whole.to_ne_bytes(), rest.to_ne_bytes()].concat()
    }
}

/// Who is at the other end of a Unix connection, as it was when the connection was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// Process id.
    pub pid: u32,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
}

option! {
    /// `SO_PEERCRED`: the peer's process, user and group, unix(7).
    PeerCredentials: Credentials, SOCKET SO_PEERCRED, "SO_PEERCRED"
}

impl GetOpt for PeerCredentials {
    const BYTES: usize = size_of::<libc::ucred>();

    fn decode(bytes: &[u8]) -> Option<Credentials> {
        let mut words = bytes
            .chunks_exact(4)
            .filter_map(|word| word.first_chunk::<4>());
        let mut word = || words.next().map(|word| u32::from_ne_bytes(*word));
        Some(Credentials {
            pid: word()?,
            uid: word()?,
            gid: word()?,
        })
    }
}

const _: () = {
    assert!(size_of::<libc::ucred>() == 12);
    assert!(size_of::<libc::linger>() == 8);
    assert!(size_of::<libc::timeval>() == 16);
};
