//! Flags of the resolver as types: open, so that a bit without a name here is kept.

use core::ffi::c_int;

/// Makes a set of flags over an integer: constants, `|`, `contains`, and a `Debug` that names
/// each flag.
macro_rules! flag_set {
    (
        $(#[$meta:meta])*
        $type:ident($raw:ty) { $($(#[$doc:meta])* $name:ident = $value:expr;)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $type($raw);

        impl $type {
            /// No flag.
            pub const NONE: Self = Self(0);
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Wraps raw bits, known here or not.
            #[must_use]
            pub const fn from_raw(raw: $raw) -> Self {
                Self(raw)
            }

            /// The bits themselves.
            #[must_use]
            pub const fn raw(self) -> $raw {
                self.0
            }

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

        impl core::fmt::Debug for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($type), "("))?;
                let mut rest = self.0;
                let mut between = "";
                $(if rest & $value != 0 {
                    write!(f, "{between}{}", stringify!($name))?;
                    rest &= !$value;
                    between = " | ";
                })*
                if rest != 0 || between.is_empty() {
                    write!(f, "{between}{rest:#x}")?;
                }
                f.write_str(")")
            }
        }
    };
}

pub(crate) use flag_set;

flag_set! {
    /// What a [`crate::Query`] asks for (`AI_*`), getaddrinfo(3); joined with `|`.
    ///
    /// ```
    /// use berkeley::names::ResolveFlags;
    ///
    /// let flags = ResolveFlags::PASSIVE | ResolveFlags::NUMERICSERV;
    /// assert!(flags.contains(ResolveFlags::PASSIVE));
    /// assert_eq!(format!("{flags:?}"), "ResolveFlags(PASSIVE | NUMERICSERV)");
    /// ```
    ResolveFlags(c_int) {
        /// Without a host: the wildcard address to bind to, instead of loopback.
        #[doc(alias = "AI_PASSIVE")]
        PASSIVE = libc::AI_PASSIVE;
        /// The first answer carries the host's official name.
        #[doc(alias = "AI_CANONNAME")]
        CANONNAME = libc::AI_CANONNAME;
        /// The host is an address, not a name: nobody is asked.
        #[doc(alias = "AI_NUMERICHOST")]
        NUMERICHOST = libc::AI_NUMERICHOST;
        /// With [`crate::Family::INET6`]: IPv4 addresses as `::ffff:a.b.c.d` where the host has
        /// no IPv6 one.
        #[doc(alias = "AI_V4MAPPED")]
        V4MAPPED = libc::AI_V4MAPPED;
        /// With [`Self::V4MAPPED`]: IPv6 addresses and the mapped ones.
        #[doc(alias = "AI_ALL")]
        ALL = libc::AI_ALL;
        /// Only families that this machine has an address of, loopback not counted.
        #[doc(alias = "AI_ADDRCONFIG")]
        ADDRCONFIG = libc::AI_ADDRCONFIG;
        /// The host may have letters beyond ASCII, in the encoding of the process's locale, and
        /// is encoded by IDNA. glibc needs libidn2 for it, and a locale set by setlocale(3),
        /// which Rust programs do not do by themselves: without them the answer is
        /// [`super::GaiError::IDN_ENCODE`].
        #[doc(alias = "AI_IDN")]
        IDN = 0x40;
        /// With [`Self::CANONNAME`]: the official name is decoded from IDNA.
        #[doc(alias = "AI_CANONIDN")]
        CANONIDN = 0x80;
        /// IDNA for code points that Unicode 3.2 did not assign; glibc ignores it since 2.28.
        #[doc(alias = "AI_IDN_ALLOW_UNASSIGNED")]
        IDN_ALLOW_UNASSIGNED = 0x100;
        /// IDNA within the rules of host names; glibc ignores it since 2.28.
        #[doc(alias = "AI_IDN_USE_STD3_ASCII_RULES")]
        IDN_USE_STD3_ASCII_RULES = 0x200;
        /// The service is a number, not a name: nobody is asked.
        #[doc(alias = "AI_NUMERICSERV")]
        NUMERICSERV = libc::AI_NUMERICSERV;
    }
}

flag_set! {
    /// How [`super::getnameinfo`] answers (`NI_*`), getnameinfo(3); joined with `|`.
    NameFlags(c_int) {
        /// The address as text: nobody is asked.
        #[doc(alias = "NI_NUMERICHOST")]
        NUMERICHOST = libc::NI_NUMERICHOST;
        /// The port as a number.
        #[doc(alias = "NI_NUMERICSERV")]
        NUMERICSERV = libc::NI_NUMERICSERV;
        /// Only the first part of the name for hosts of the own domain.
        #[doc(alias = "NI_NOFQDN")]
        NOFQDN = libc::NI_NOFQDN;
        /// A host without a name is an error, instead of its address as text.
        #[doc(alias = "NI_NAMEREQD")]
        NAMEREQD = libc::NI_NAMEREQD;
        /// The service is one of UDP: a few ports have other names there.
        #[doc(alias = "NI_DGRAM")]
        DGRAM = libc::NI_DGRAM;
        /// The name is decoded from IDNA into the encoding of the process's locale.
        #[doc(alias = "NI_IDN")]
        IDN = libc::NI_IDN;
        /// Ignored by glibc since 2.28.
        #[doc(alias = "NI_IDN_ALLOW_UNASSIGNED")]
        IDN_ALLOW_UNASSIGNED = 64;
        /// Ignored by glibc since 2.28.
        #[doc(alias = "NI_IDN_USE_STD3_ASCII_RULES")]
        IDN_USE_STD3_ASCII_RULES = 128;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_name_themselves_and_keep_what_has_no_name() {
        let flags = NameFlags::DGRAM | NameFlags::from_raw(0x4000);
        assert_eq!(format!("{flags:?}"), "NameFlags(DGRAM | 0x4000)");
        assert_eq!(format!("{:?}", NameFlags::NONE), "NameFlags(0x0)");
        assert!(flags.contains(NameFlags::DGRAM) && !flags.contains(NameFlags::IDN));
    }
}
