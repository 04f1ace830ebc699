//! What a socket's error queue tells.

use core::fmt;
use core::mem::{offset_of, size_of};

use super::walk::field;
use crate::addr::{Addr, AddrBuf};
use crate::errno::Errno;

const BYTES: usize = size_of::<libc::sock_extended_err>();

const _: () = {
    assert!(BYTES == 16);
    assert!(offset_of!(libc::sock_extended_err, ee_errno) == 0);
    assert!(offset_of!(libc::sock_extended_err, ee_origin) == 4);
    assert!(offset_of!(libc::sock_extended_err, ee_type) == 5);
    assert!(offset_of!(libc::sock_extended_err, ee_code) == 6);
    assert!(offset_of!(libc::sock_extended_err, ee_info) == 8);
    assert!(offset_of!(libc::sock_extended_err, ee_data) == 12);
};

/// Where an [`ExtendedError`] comes from (`SO_EE_ORIGIN_*`), recvmsg is ip(7)'s `IP_RECVERR`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorOrigin(u8);

macro_rules! origins {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        impl ErrorOrigin {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Wraps a raw number, known here or not.
            #[must_use]
            pub const fn from_raw(raw: u8) -> Self {
                Self(raw)
            }

            /// The number that the kernel knows.
            #[must_use]
            pub const fn raw(self) -> u8 {
                self.0
            }
        }

        impl fmt::Debug for ErrorOrigin {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(if *self == Self::$name {
                    return f.write_str(concat!("ErrorOrigin::", stringify!($name)));
                })*
                write!(f, "ErrorOrigin({})", self.0)
            }
        }
    };
}

origins! {
    /// Nowhere.
    NONE = 0;
    /// This machine, such as a datagram that is longer than the path takes.
    LOCAL = 1;
    /// An ICMP message.
    ICMP = 2;
    /// An ICMPv6 message.
    ICMP6 = 3;
    /// No error: when a packet was sent (`SO_TIMESTAMPING`).
    TIMESTAMPING = 4;
    /// No error: buffers that were sent without copying are free again (`MSG_ZEROCOPY`).
    ZEROCOPY = 5;
    /// A packet that missed the time it was to be sent at (`SO_TXTIME`).
    TXTIME = 6;
}

const _: () = {
    assert!(libc::SO_EE_ORIGIN_LOCAL == 1);
    assert!(libc::SO_EE_ORIGIN_ICMP == 2);
    assert!(libc::SO_EE_ORIGIN_ICMP6 == 3);
    assert!(libc::SO_EE_ORIGIN_TIMESTAMPING == 4);
};

/// The code of a completion whose data were copied all the same (`SO_EE_CODE_ZEROCOPY_COPIED`).
const ZEROCOPY_COPIED: u8 = 1;

/// An entry of a socket's error queue (`struct sock_extended_err`).
///
/// # References
/// ip(7) and ipv6(7), `IP_RECVERR`; linux/errqueue.h.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExtendedError {
    /// The error; `ENOMSG` and zero stand for "none" where the entry tells something else.
    pub errno: Errno,
    /// Where it comes from: what the other fields mean depends on it.
    pub origin: ErrorOrigin,
    /// The type of the ICMP message.
    pub kind: u8,
    /// The code of the ICMP message.
    pub code: u8,
    /// The path's maximum of bytes for `EMSGSIZE`; the first number of a range of completed
    /// sends; what happened to a packet (`SCM_TSTAMP_*`).
    pub info: u32,
    /// The last number of a range of completed sends; the number of the packet that a time
    /// belongs to.
    pub data: u32,
    /// The router or host that complained, where one did.
    pub offender: Option<Addr>,
}

/// Sends with `MSG_ZEROCOPY` whose buffers the kernel has let go of.
///
/// # References
/// The kernel's Documentation/networking/msg_zerocopy.rst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ZeroCopyRange {
    /// The number of the first send: they count from zero, and wrap.
    pub first: u32,
    /// The number of the last one.
    pub last: u32,
    /// True if the kernel copied after all, as it does over loopback: where this is the rule,
    /// `MSG_ZEROCOPY` costs more than it gains.
    pub copied: bool,
}

impl ExtendedError {
    /// Reads an entry; `None` if it is too short to be one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let [origin, kind, code, _pad] = field(bytes, 4)?;
        Some(Self {
            errno: Errno::from_raw(i32::from_ne_bytes(field(bytes, 0)?)),
            origin: ErrorOrigin(origin),
            kind,
            code,
            info: u32::from_ne_bytes(field(bytes, 8)?),
            data: u32::from_ne_bytes(field(bytes, 12)?),
            offender: bytes.get(BYTES..).and_then(addr_of),
        })
    }

    /// The completed sends that this entry tells of, if it does.
    #[must_use]
    pub fn zero_copy(&self) -> Option<ZeroCopyRange> {
        (self.origin == ErrorOrigin::ZEROCOPY && self.errno.raw() == 0).then_some(ZeroCopyRange {
            first: self.info,
            last: self.data,
            copied: self.code == ZEROCOPY_COPIED,
        })
    }

    /// The longest packet in bytes that the path takes, if this is what the entry tells
    /// (`EMSGSIZE`).
    ///
    /// # References
    /// ip(7), `IP_RECVERR`; RFC 1191, RFC 8201.
    #[must_use]
    pub fn path_mtu(&self) -> Option<u32> {
        (self.errno == Errno::EMSGSIZE).then_some(self.info)
    }
}

/// Reads an address that the kernel wrote into a control message.
pub(crate) fn addr_of(bytes: &[u8]) -> Option<Addr> {
    AddrBuf::from_bytes(bytes).decode()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_field_by_field() {
        let mut bytes = vec![0; BYTES];
        bytes[0..4].copy_from_slice(&libc::EMSGSIZE.to_ne_bytes());
        bytes[4..7].copy_from_slice(&[2, 3, 4]);
        bytes[8..12].copy_from_slice(&1400u32.to_ne_bytes());
        let offender: Addr = Addr::Inet("192.0.2.9:0".parse().unwrap());
        let raw = AddrBuf::encode(&offender);
        bytes.extend_from_slice(raw.as_bytes());
        let error = ExtendedError::decode(&bytes).unwrap();
        assert_eq!(
            (error.origin, error.kind, error.code),
            (ErrorOrigin::ICMP, 3, 4)
        );
        assert_eq!(error.path_mtu(), Some(1400));
        assert_eq!(error.zero_copy(), None);
        assert_eq!(error.offender, Some(offender));
        for len in 0..BYTES {
            assert_eq!(ExtendedError::decode(&bytes[..len]), None);
        }
        assert_eq!(
            ExtendedError::decode(&bytes[..BYTES + 1]).unwrap().offender,
            None
        );
    }

    #[test]
    fn an_origin_without_a_name_is_kept() {
        assert_eq!(
            format!("{:?}", ErrorOrigin::from_raw(77)),
            "ErrorOrigin(77)"
        );
        assert_eq!(format!("{:?}", ErrorOrigin::ICMP6), "ErrorOrigin::ICMP6");
    }
}
