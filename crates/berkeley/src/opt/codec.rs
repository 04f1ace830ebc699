//! How values become bytes and bytes become values: one type for each shape, and the macros that
//! make descriptors of them.

use core::ffi::c_int;
use core::marker::PhantomData;
use core::time::Duration;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::name::Name;
use crate::errno::Errno;
use crate::kinds::{Family, Kind, Protocol};

/// Bytes to a value.
pub(super) trait Decode {
    type Value;
    const BYTES: usize;
    const BYTES_MAX: usize = Self::BYTES;

    fn decode(bytes: &[u8]) -> Option<Self::Value>;
}

/// A value to bytes.
pub(super) trait Encode {
    type Value;

    fn encode(value: Self::Value) -> impl AsRef<[u8]>;
}

pub(super) fn int(bytes: &[u8]) -> Option<c_int> {
    bytes
        .first_chunk()
        .map(|bytes| c_int::from_ne_bytes(*bytes))
}

/// Whole units for the kernel: rounded up, so that a limit is never shorter than asked for.
fn round_up(value: Duration, unit: Duration) -> u128 {
    value.as_nanos().div_ceil(unit.as_nanos())
}

fn to_units(value: Duration, unit: Duration) -> c_int {
    c_int::try_from(round_up(value, unit)).unwrap_or(c_int::MAX)
}

fn from_units(raw: c_int, unit: Duration) -> Duration {
    unit.saturating_mul(u32::try_from(raw).unwrap_or(0))
}

/// Values that are one `int` to the kernel: a type, how it is read and how it is written.
macro_rules! int_codec {
    ($($(#[$doc:meta])* $codec:ident: $value:ty, $decode:expr, $encode:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $codec;

        impl Decode for $codec {
            type Value = $value;
            const BYTES: usize = size_of::<c_int>();

            fn decode(bytes: &[u8]) -> Option<$value> {
                let decode: fn(c_int) -> $value = $decode;
                int(bytes).map(decode)
            }
        }

        impl Encode for $codec {
            type Value = $value;

            fn encode(value: $value) -> impl AsRef<[u8]> {
                let encode: fn($value) -> c_int = $encode;
                encode(value).to_ne_bytes()
            }
        }
    )*};
}

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);
const MICRO: Duration = Duration::from_micros(1);

int_codec! {
    Flag: bool, |raw| raw != 0, c_int::from;
    /// A count that is never negative.
    Count: u32, |raw| u32::try_from(raw).unwrap_or(0),
        |value| c_int::try_from(value).unwrap_or(c_int::MAX);
    /// 32 bits.
    Bits: u32, c_int::cast_unsigned, u32::cast_signed;
    Number: c_int, |raw| raw, |value| value;
    /// A number below 256 that the kernel keeps as an `int`.
    Octet: u8, |raw| u8::try_from(raw.clamp(0, 255)).unwrap_or(0), c_int::from;
    /// A port in the byte order of this machine, or another number below 65536.
    Short: u16, |raw| u16::try_from(raw.clamp(0, 65_535)).unwrap_or(0), c_int::from;
    /// A number for which -1 stands for "the system's choice".
    Automatic: Option<u32>, |raw| u32::try_from(raw).ok(),
        |value| value.map_or(-1, |value| c_int::try_from(value).unwrap_or(c_int::MAX));
    Seconds: Duration, |raw| from_units(raw, SECOND), |value| to_units(value, SECOND);
    Millis: Duration, |raw| from_units(raw, MILLI), |value| to_units(value, MILLI);
    Micros: Duration, |raw| from_units(raw, MICRO), |value| to_units(value, MICRO);
    /// Milliseconds of which 0 stands for "no limit of its own".
    MillisOrNone: Option<Duration>, |raw| (raw != 0).then(|| from_units(raw, MILLI)),
        |value| value.map_or(0, |value| to_units(value, MILLI).max(1));
    PendingErrno: Option<Errno>, |raw| (raw != 0).then_some(Errno::from_raw(raw)),
        |value| value.map_or(0, Errno::raw);
    KindCode: Kind, Kind::from_raw, Kind::raw;
    FamilyCode: Family, Family::from_raw, Family::raw;
    ProtocolCode: Protocol, Protocol::from_raw, Protocol::raw;
    /// An interface's index, of which 0 is none, in network byte order.
    IndexBigEndian: u32, |raw| u32::from_be(raw.cast_unsigned()),
        |value| value.to_be().cast_signed();
}

/// An open newtype over the kernel's `int`.
pub(super) trait Open {
    fn from_int(raw: c_int) -> Self;
    fn to_int(&self) -> c_int;
}

pub(super) struct Code<T>(PhantomData<T>);

impl<T: Open> Decode for Code<T> {
    type Value = T;
    const BYTES: usize = size_of::<c_int>();

    fn decode(bytes: &[u8]) -> Option<T> {
        int(bytes).map(T::from_int)
    }
}

impl<T: Open> Encode for Code<T> {
    type Value = T;

    fn encode(value: T) -> impl AsRef<[u8]> {
        value.to_int().to_ne_bytes()
    }
}

/// `SO_LINGER`: an on-off switch and whole seconds.
pub(super) struct LingerTime;

const _: () = assert!(size_of::<libc::linger>() == 8);

impl Decode for LingerTime {
    type Value = Option<Duration>;
    const BYTES: usize = 8;

    fn decode(bytes: &[u8]) -> Option<Option<Duration>> {
        let (on, seconds) = (int(bytes)?, int(bytes.get(4..)?)?);
        Some((on != 0).then(|| from_units(seconds, SECOND)))
    }
}

impl Encode for LingerTime {
    type Value = Option<Duration>;

    fn encode(value: Option<Duration>) -> impl AsRef<[u8]> {
        let (on, time) = value.map_or((0, 0), |time| (1, to_units(time, SECOND)));
        let mut bytes = [0; 8];
        put(&mut bytes, 0, &c_int::to_ne_bytes(on));
        put(&mut bytes, 4, &c_int::to_ne_bytes(time));
        bytes
    }
}

/// `struct timeval`, all zeros for "no limit".
pub(super) struct Timeval;

const _: () = assert!(size_of::<libc::timeval>() == 16);

impl Decode for Timeval {
    type Value = Option<Duration>;
    const BYTES: usize = 16;

    fn decode(mut bytes: &[u8]) -> Option<Option<Duration>> {
        let bytes = &mut bytes;
        let (whole, micros) = (u64::take(bytes)?, u64::take(bytes)?);
        let micros = micros.min(999_999);
        let time = Duration::from_secs(whole) + Duration::from_micros(micros);
        Some((!time.is_zero()).then_some(time))
    }
}

impl Encode for Timeval {
    type Value = Option<Duration>;

    fn encode(value: Option<Duration>) -> impl AsRef<[u8]> {
        // All zeros means "no limit" to the kernel, so the shortest limit is a microsecond.
        let micros = value.map_or(0, |time| round_up(time, MICRO).max(1));
        let whole = i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX);
        let rest = i64::try_from(micros % 1_000_000).unwrap_or(0);
        let mut bytes = [0; 16];
        put(&mut bytes, 0, &whole.to_ne_bytes());
        put(&mut bytes, 8, &rest.to_ne_bytes());
        bytes
    }
}

/// A name of up to 15 bytes, with a zero behind it.
pub(super) struct Text;

impl Decode for Text {
    type Value = Name;
    const BYTES: usize = Name::BYTES_MAX + 1;

    fn decode(bytes: &[u8]) -> Option<Name> {
        let len = bytes.iter().position(|byte| *byte == 0);
        Name::from_bytes(bytes.get(..len.unwrap_or(bytes.len()))?)
    }
}

impl Encode for Text {
    type Value = Name;

    fn encode(value: Name) -> impl AsRef<[u8]> {
        value.terminated()
    }
}

/// Bytes of any number up to `MAX`; the first try offers `FIRST`.
pub(super) struct Bytes<const MAX: usize, const FIRST: usize = MAX>;

impl<const MAX: usize, const FIRST: usize> Decode for Bytes<MAX, FIRST> {
    type Value = Vec<u8>;
    const BYTES: usize = FIRST;
    const BYTES_MAX: usize = MAX;

    fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
        Some(bytes.to_vec())
    }
}

impl<const MAX: usize, const FIRST: usize> Encode for Bytes<MAX, FIRST> {
    type Value = Vec<u8>;

    fn encode(value: Vec<u8>) -> impl AsRef<[u8]> {
        value
    }
}

/// Records of one kind, one behind the other.
pub(super) struct List<T, const MAX: usize, const FIRST: usize = MAX>(PhantomData<T>);

impl<T: Field, const MAX: usize, const FIRST: usize> Decode for List<T, MAX, FIRST> {
    type Value = Vec<T>;
    const BYTES: usize = FIRST * T::BYTES;
    const BYTES_MAX: usize = MAX * T::BYTES;

    fn decode(mut bytes: &[u8]) -> Option<Vec<T>> {
        let bytes = &mut bytes;
        Some(core::iter::from_fn(|| T::take(bytes)).collect())
    }
}

impl<T: Field, const MAX: usize, const FIRST: usize> Encode for List<T, MAX, FIRST> {
    type Value = Vec<T>;

    fn encode(value: Vec<T>) -> impl AsRef<[u8]> {
        let mut bytes = vec![0; value.len().saturating_mul(T::BYTES)];
        for (field, place) in value.iter().zip(bytes.chunks_exact_mut(T::BYTES)) {
            field.put(place);
        }
        bytes
    }
}

/// Nothing: the option is a command.
pub(super) struct Command;

impl Encode for Command {
    type Value = ();

    fn encode((): ()) -> impl AsRef<[u8]> {
        // Some commands want room for an integer, though they do not look at it.
        [0; size_of::<c_int>()]
    }
}

/// One record or plain number, as it is in memory.
pub(super) struct Plain<T>(PhantomData<T>);

impl<T: Field> Decode for Plain<T> {
    type Value = T;
    const BYTES: usize = T::BYTES;

    fn decode(mut bytes: &[u8]) -> Option<T> {
        T::take(&mut bytes)
    }
}

impl<T: Field> Encode for Plain<T> {
    type Value = T;

    fn encode(value: T) -> impl AsRef<[u8]> {
        // The largest record of a kernel that has a fixed size is a source of a group.
        let mut bytes = Small {
            bytes: [0; RECORD_BYTES_MAX],
            len: T::BYTES,
        };
        value.put(&mut bytes.bytes);
        bytes
    }
}

/// Bytes of the largest record (`struct group_source_req`).
pub(super) const RECORD_BYTES_MAX: usize = 264;

/// Bytes on the stack, as many as the type of the value wants.
struct Small {
    bytes: [u8; RECORD_BYTES_MAX],
    len: usize,
}

impl AsRef<[u8]> for Small {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

/// Copies `part` to `place` at `offset`; what does not fit is left out.
pub(super) fn put(place: &mut [u8], offset: usize, part: &[u8]) {
    let room = place.get_mut(offset..).unwrap_or_default();
    for (byte, value) in room.iter_mut().zip(part) {
        *byte = *value;
    }
}

/// A part of a record of fixed size.
pub(super) trait Field: Sized {
    const BYTES: usize;

    /// Takes the value off the front; `None` if there is too little.
    fn take(bytes: &mut &[u8]) -> Option<Self>;

    /// Writes the value to the front.
    fn put(&self, place: &mut [u8]);
}

fn take_chunk<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

macro_rules! number_field {
    ($($type:ty)*) => {$(
        impl Field for $type {
            const BYTES: usize = size_of::<$type>();

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                take_chunk(bytes).map(Self::from_ne_bytes)
            }

            fn put(&self, place: &mut [u8]) {
                put(place, 0, &self.to_ne_bytes());
            }
        }
    )*};
}

number_field! { u8 u16 u32 u64 i32 }

impl<const N: usize> Field for [u8; N] {
    const BYTES: usize = N;

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        take_chunk(bytes)
    }

    fn put(&self, place: &mut [u8]) {
        put(place, 0, self);
    }
}

impl Field for Ipv4Addr {
    const BYTES: usize = 4;

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        take_chunk::<4>(bytes).map(Self::from)
    }

    fn put(&self, place: &mut [u8]) {
        put(place, 0, &self.octets());
    }
}

impl Field for Ipv6Addr {
    const BYTES: usize = 16;

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        take_chunk::<16>(bytes).map(Self::from)
    }

    fn put(&self, place: &mut [u8]) {
        put(place, 0, &self.octets());
    }
}

/// A descriptor as the integer that the kernel reads.
pub(crate) fn descriptor(fd: BorrowedFd<'_>) -> [u8; 4] {
    fd.as_raw_fd().to_ne_bytes()
}

/// Whether two names are the same, when this is compiled.
pub(super) const fn same(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    while let ([a, one_rest @ ..], [b, other_rest @ ..]) = (one, other) {
        if *a != *b {
            return false;
        }
        (one, other) = (one_rest, other_rest);
    }
    one.is_empty() && other.is_empty()
}

/// Descriptors of options, and a table of them: `r` for what can be read, `w` for what can be
/// set, `rw` for both; then the descriptor's name, the value's type, its shape, level and number,
/// and the number's name again for the search in the docs.
macro_rules! options {
    ($(
        $(#[$doc:meta])*
        $access:ident $type:ident: $value:ty as $codec:ty
            = $level:ident $name:ident, $label:literal;
    )*) => {
        $(
            $(#[$doc])*
            #[doc(alias = $label)]
            #[derive(Debug, Clone, Copy)]
            pub struct $type;

            impl crate::opt::SockOpt for $type {
                const LEVEL: crate::kinds::Level =
                    crate::kinds::Level::from_raw(crate::opt::num::$level);
                const NAME: core::ffi::c_int = crate::opt::num::$name;
                const LABEL: &'static str = $label;
                type Value = $value;
            }

            options!(@$access $type, $value, $codec);
        )*

        const _: () = {
            $(assert!(crate::opt::codec::same($label, stringify!($name)));)*
        };

        /// All descriptors of this module.
        pub(super) const TABLE: &[crate::opt::Described] =
            &[$(crate::opt::Described::of::<$type>()),*];
    };
    (@rw $type:ident, $value:ty, $codec:ty) => {
        options!(@r $type, $value, $codec);
        options!(@w $type, $value, $codec);
    };
    (@r $type:ident, $value:ty, $codec:ty) => {
        impl crate::opt::GetOpt for $type {
            const BYTES: usize = <$codec as crate::opt::codec::Decode>::BYTES;
            const BYTES_MAX: usize = <$codec as crate::opt::codec::Decode>::BYTES_MAX;

            fn decode(bytes: &[u8]) -> Option<$value> {
                <$codec as crate::opt::codec::Decode>::decode(bytes)
            }
        }
    };
    (@w $type:ident, $value:ty, $codec:ty) => {
        impl crate::opt::SetOpt for $type {
            fn encode(value: $value) -> impl AsRef<[u8]> {
                <$codec as crate::opt::codec::Encode>::encode(value)
            }
        }
    };
}

/// A record of the kernel: a struct whose fields follow each other without gaps. The number is
/// its size in bytes, checked.
macro_rules! record {
    (
        $(#[$meta:meta])*
        $type:ident $bytes:literal { $($(#[$doc:meta])* $field:ident: $kind:ty,)* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $type {
            $($(#[$doc])* pub $field: $kind,)*
        }

        impl crate::opt::codec::Field for $type {
            const BYTES: usize = $bytes;

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                Some(Self {
                    $($field: <$kind as crate::opt::codec::Field>::take(bytes)?,)*
                })
            }

            fn put(&self, place: &mut [u8]) {
                let mut _offset = 0;
                $(
                    let room = place.get_mut(_offset..).unwrap_or_default();
                    crate::opt::codec::Field::put(&self.$field, room);
                    _offset += <$kind as crate::opt::codec::Field>::BYTES;
                )*
            }
        }

        const _: () = {
            let sum = 0 $(+ <$kind as crate::opt::codec::Field>::BYTES)*;
            assert!(sum == $bytes);
            assert!(sum <= crate::opt::codec::RECORD_BYTES_MAX);
        };
    };
}

/// An open newtype over an integer of the kernel, for choices (`codes!`) and sets of flags.
macro_rules! codes {
    (
        $(#[$meta:meta])*
        $type:ident { $($(#[$doc:meta])* $name:ident = $value:expr;)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(core::ffi::c_int);

        impl $type {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Wraps a raw number, known here or not.
            #[must_use]
            pub const fn from_raw(raw: core::ffi::c_int) -> Self {
                Self(raw)
            }

            /// The number that the kernel knows.
            #[must_use]
            pub const fn raw(self) -> core::ffi::c_int {
                self.0
            }
        }

        impl crate::opt::codec::Open for $type {
            fn from_int(raw: core::ffi::c_int) -> Self {
                Self(raw)
            }

            fn to_int(&self) -> core::ffi::c_int {
                self.0
            }
        }

        impl core::fmt::Debug for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                $(if *self == Self::$name {
                    return f.write_str(concat!(stringify!($type), "::", stringify!($name)));
                })*
                write!(f, concat!(stringify!($type), "({:#x})"), self.0)
            }
        }
    };
}

/// `|` and `contains` for the newtypes that are sets of flags.
macro_rules! flags {
    ($($type:ident)*) => {$(
        impl $type {
            /// True if all flags of `other` are among these.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
        }

        impl core::ops::BitOr for $type {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
    )*};
}
