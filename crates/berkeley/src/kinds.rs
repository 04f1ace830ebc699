//! Families, types, protocols and flags: the numbers of `socket(2)` under their own names.
//!
//! All of them are open newtypes. A number that has no name here is still a value: a kernel that
//! knows more than this library can be asked for it, and what it answers is not lost.

use core::ffi::c_int;
use core::fmt;

macro_rules! open_newtype {
    (
        $(#[$meta:meta])*
        $type:ident { $($(#[$doc:meta])* $name:ident = $value:expr;)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(c_int);

        impl $type {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Wraps a raw number, known here or not.
            #[must_use]
            pub const fn from_raw(raw: c_int) -> Self {
                Self(raw)
            }

            /// The number that the kernel knows.
            #[must_use]
            pub const fn raw(self) -> c_int {
                self.0
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(if *self == Self::$name {
                    return f.write_str(concat!(stringify!($type), "::", stringify!($name)));
                })*
                write!(f, concat!(stringify!($type), "({})"), self.0)
            }
        }
    };
}

open_newtype! {
    /// An address family (`AF_*`), address_families(7).
    Family {
        /// No family: lets the resolver choose; in `connect` it dissolves an association.
        UNSPEC = libc::AF_UNSPEC;
        /// Sockets between processes of one machine, unix(7).
        UNIX = libc::AF_UNIX;
        /// IPv4, ip(7).
        INET = libc::AF_INET;
        /// IPv6, ipv6(7).
        INET6 = libc::AF_INET6;
    }
}

open_newtype! {
    /// A socket type (`SOCK_*`), socket(2).
    Kind {
        /// A byte stream with connections.
        STREAM = libc::SOCK_STREAM;
        /// Messages without connections, of a limited length.
        DGRAM = libc::SOCK_DGRAM;
        /// Direct access to a lower protocol, raw(7).
        RAW = libc::SOCK_RAW;
        /// Reliable datagrams without order.
        RDM = libc::SOCK_RDM;
        /// Messages with connections, in order.
        SEQPACKET = libc::SOCK_SEQPACKET;
    }
}

impl Kind {
    /// True where `connect` makes a connection that the other side accepts.
    #[must_use]
    pub fn is_connected(self) -> bool {
        self == Self::STREAM || self == Self::SEQPACKET
    }
}

open_newtype! {
    /// A protocol within a family (`IPPROTO_*`), protocols(5).
    Protocol {
        /// The family's usual protocol for the type.
        DEFAULT = 0;
        /// TCP, tcp(7).
        TCP = libc::IPPROTO_TCP;
        /// UDP, udp(7).
        UDP = libc::IPPROTO_UDP;
    }
}

open_newtype! {
    /// The level of a socket option (`SOL_*`, `IPPROTO_*`), getsockopt(2).
    Level {
        /// The socket itself, socket(7).
        SOCKET = libc::SOL_SOCKET;
        /// IPv4, ip(7).
        IP = libc::IPPROTO_IP;
        /// IPv6, ipv6(7).
        IPV6 = libc::IPPROTO_IPV6;
        /// TCP, tcp(7).
        TCP = libc::IPPROTO_TCP;
        /// UDP, udp(7).
        UDP = libc::IPPROTO_UDP;
    }
}

open_newtype! {
    /// Which half of a connection ends, shutdown(2).
    Shutdown {
        /// No more receiving.
        READ = libc::SHUT_RD;
        /// No more sending: the peer sees the end of the stream.
        WRITE = libc::SHUT_WR;
        /// Neither.
        BOTH = libc::SHUT_RDWR;
    }
}

open_newtype! {
    /// Flags of one send or receive (`MSG_*`), send(2) and recv(2); joined with `|`.
    MsgFlags {
        /// No flag.
        NONE = 0;
        /// Leave what is received in the queue.
        PEEK = libc::MSG_PEEK;
        /// Out-of-band data.
        OOB = libc::MSG_OOB;
        /// Wait until the whole buffer is full. Only in [`crate::Mode::Block`]: in the other
        /// modes the kernel does not wait, and answers what there is.
        WAITALL = libc::MSG_WAITALL;
        /// Do not wait, whatever the socket's mode.
        DONTWAIT = libc::MSG_DONTWAIT;
        /// Answer the real length of a datagram, even if it was cut off. A TCP stream throws
        /// that many bytes away instead of copying them.
        TRUNC = libc::MSG_TRUNC;
        /// More is to follow: do not send a small segment yet.
        MORE = libc::MSG_MORE;
    }
}

impl MsgFlags {
    /// True if all flags of `other` are among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl core::ops::BitOr for MsgFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_number_survives_and_a_known_one_has_its_name() {
        assert_eq!(format!("{:?}", Family::INET6), "Family::INET6");
        assert_eq!(format!("{:?}", Family::from_raw(999)), "Family(999)");
        assert_eq!(Family::from_raw(999).raw(), 999);
    }
}
