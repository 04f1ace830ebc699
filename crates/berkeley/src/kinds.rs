//! Families, types, protocols and flags: the numbers of `socket(2)` under their own names.
//!
//! All of them are open newtypes. A number that has no name here is still a value: a kernel that
//! knows more than this library can be asked for it, and what it answers is not lost.

use core::ffi::c_int;

macro_rules! open_newtype {
    (
        $(#[$meta:meta])*
        $type:ident { $($(#[$doc:meta])* $name:ident = $value:expr;)* }
    ) => {
        open_newtype! { $(#[$meta])* $type: c_int { $($(#[$doc])* $name = $value;)* } }
    };
    (
        $(#[$meta:meta])*
        $type:ident: $raw:ty { $($(#[$doc:meta])* $name:ident = $value:expr;)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type($raw);

        impl $type {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Every name above with its value, in that order: for looking a name up, and for
            /// programs that show a choice.
            pub const NAMES: &'static [(&'static str, Self)] =
                &[$((stringify!($name), Self::$name)),*];

            /// Wraps a raw number, known here or not.
            #[must_use]
            pub const fn from_raw(raw: $raw) -> Self {
                Self(raw)
            }

            /// The number that the kernel knows.
            #[must_use]
            pub const fn raw(self) -> $raw {
                self.0
            }

            /// The name of this number here, the first one where there are several.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                let mut names = Self::NAMES.iter();
                names.find_map(|(name, value)| (*value == self).then_some(*name))
            }
        }

        impl core::fmt::Debug for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => write!(f, concat!(stringify!($type), "::{}"), name),
                    None => write!(f, concat!(stringify!($type), "({})"), self.0),
                }
            }
        }
    };
}

mod ethernet;
mod family;
mod level;
mod protocol;

pub use ethernet::{EtherType, HardwareType, PacketType};
pub use family::Family;
pub use level::Level;
pub use protocol::Protocol;

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
        /// Datagrams with connections and congestion control, of DCCP alone.
        DCCP = libc::SOCK_DCCP;
        /// Frames of the link layer as Linux 2.0 had them; [`Family::PACKET`] has taken their
        /// place, packet(7).
        PACKET = 10;
        /// A flag of creation, joined with `|`: closed on exec. Every socket of this library is.
        CLOEXEC = libc::SOCK_CLOEXEC;
        /// A flag of creation, joined with `|`: in [`crate::Mode::NonBlock`] from the beginning.
        NONBLOCK = libc::SOCK_NONBLOCK;
    }
}

impl Kind {
    /// True where `connect` makes a connection that the other side accepts.
    #[must_use]
    pub fn is_connected(self) -> bool {
        let kind = self.without_flags();
        kind == Self::STREAM || kind == Self::SEQPACKET || kind == Self::DCCP
    }

    /// The type alone, without the flags of creation that may travel with it.
    ///
    /// # References
    /// socket(2), `SOCK_NONBLOCK`, `SOCK_CLOEXEC`.
    #[must_use]
    pub const fn without_flags(self) -> Self {
        Self(self.0 & !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK))
    }

    /// True if the socket shall not block from the beginning.
    ///
    /// # References
    /// socket(2), `SOCK_NONBLOCK`.
    #[must_use]
    pub const fn is_nonblocking(self) -> bool {
        self.0 & libc::SOCK_NONBLOCK != 0
    }
}

impl core::fmt::Display for Kind {
    /// As C names it: `SOCK_STREAM`; a number without a name is `socket type 99`.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut parts = "";
        let mut part = |f: &mut core::fmt::Formatter<'_>, kind: Self| {
            f.write_str(core::mem::replace(&mut parts, " | "))?;
            match kind.name() {
                Some(name) => write!(f, "SOCK_{name}"),
                None => write!(f, "socket type {}", kind.raw()),
            }
        };
        part(f, self.without_flags())?;
        for flag in [Self::NONBLOCK, Self::CLOEXEC] {
            if self.0 & flag.0 != 0 {
                part(f, flag)?;
            }
        }
        Ok(())
    }
}

impl core::ops::BitOr for Kind {
    type Output = Self;

    /// Adds [`Kind::CLOEXEC`] or [`Kind::NONBLOCK`] to a type.
    fn bitor(self, flag: Self) -> Self {
        Self(self.0 | flag.0)
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
    /// Flags of one accept (`SOCK_*`), accept4(2); joined with `|`.
    AcceptFlags {
        /// No flag: the new socket blocks and is inherited.
        NONE = 0;
        /// The new socket does not block.
        NONBLOCK = libc::SOCK_NONBLOCK;
        /// Programs that this one starts do not get the new socket.
        CLOEXEC = libc::SOCK_CLOEXEC;
    }
}

impl core::ops::BitOr for AcceptFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

open_newtype! {
    /// Flags of one send or receive (`MSG_*`), send(2) and recv(2); joined with `|`.
    MsgFlags {
        /// No flag.
        NONE = 0;
        /// Out-of-band data.
        OOB = libc::MSG_OOB;
        /// Leave what is received in the queue.
        PEEK = libc::MSG_PEEK;
        /// Send to hosts of the own networks only, past all gateways.
        DONTROUTE = libc::MSG_DONTROUTE;
        /// Answered: ancillary data did not fit and was cut off.
        CTRUNC = libc::MSG_CTRUNC;
        /// Answer the real length of a datagram, even if it was cut off. A TCP stream throws that
        /// many bytes away instead of copying them. Answered: the message was cut off.
        TRUNC = libc::MSG_TRUNC;
        /// Do not wait, whatever the socket's mode.
        DONTWAIT = libc::MSG_DONTWAIT;
        /// The end of a record; answered and, on sequenced packets, sent.
        EOR = libc::MSG_EOR;
        /// Wait until the whole buffer is full. Only in [`crate::Mode::Block`]: in the other modes
        /// the kernel does not wait, and answers what there is.
        WAITALL = libc::MSG_WAITALL;
        /// Used within the kernel.
        FIN = libc::MSG_FIN;
        /// Used within the kernel.
        SYN = libc::MSG_SYN;
        /// The peer answered just now: no need to ask for its link address again.
        CONFIRM = libc::MSG_CONFIRM;
        /// Used within the kernel.
        RST = libc::MSG_RST;
        /// Receive from the queue of errors, ip(7) under `IP_RECVERR`.
        ERRQUEUE = libc::MSG_ERRQUEUE;
        /// No `SIGPIPE`. Every send of this library has it already.
        NOSIGNAL = libc::MSG_NOSIGNAL;
        /// More is to follow: do not send a small segment yet.
        MORE = libc::MSG_MORE;
        /// Batches: wait for the first message only, recvmmsg(2).
        WAITFORONE = libc::MSG_WAITFORONE;
        /// Batches: more messages follow, sendmmsg(2).
        BATCH = 0x4_0000;
        /// Receive into the memory of a device (Linux 6.12).
        SOCK_DEVMEM = 0x200_0000;
        /// Send from the caller's memory without a copy; the error queue tells when it is free.
        ZEROCOPY = libc::MSG_ZEROCOPY;
        /// Connect and send in one, tcp(7) under `TCP_FASTOPEN`.
        FASTOPEN = libc::MSG_FASTOPEN;
        /// Received descriptors are closed on exec.
        CMSG_CLOEXEC = libc::MSG_CMSG_CLOEXEC;
    }
}

impl MsgFlags {
    /// True if all flags of `other` are among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl core::ops::BitOrAssign for MsgFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
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

    #[test]
    fn families_and_types_read_as_c_names_them() {
        assert_eq!(Family::CAN.to_string(), "AF_CAN");
        assert_eq!(Family::DECNET.to_string(), "AF_DECnet");
        assert_eq!(Family::from_raw(99).to_string(), "address family 99");
        assert_eq!(Kind::STREAM.to_string(), "SOCK_STREAM");
        let flagged = Kind::DGRAM | Kind::CLOEXEC | Kind::NONBLOCK;
        let text = "SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC";
        assert_eq!(flagged.to_string(), text);
        assert_eq!(Kind::from_raw(15).to_string(), "socket type 15");
    }
}
