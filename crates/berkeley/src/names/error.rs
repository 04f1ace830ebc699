//! Why a name has no address, or an address no name.

use core::ffi::c_int;
use core::fmt;

use crate::errno::Errno;
use crate::sys;

/// Makes an open newtype over the numbers of one of the resolver's two error scales.
macro_rules! codes {
    (
        $(#[$meta:meta])*
        $type:ident, $prefix:literal, $words:path {
            $($(#[$doc:meta])* $name:ident = $value:expr;)*
        }
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

            /// The number itself.
            #[must_use]
            pub const fn raw(self) -> c_int {
                self.0
            }

            /// The name that the number has in C, or `None` for a number without one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                $(if self.0 == $value {
                    return Some(concat!($prefix, stringify!($name)));
                })*
                None
            }

            /// The resolver's own words for it, as the system's library has them. `Display`
            /// writes the same with a small first letter.
            #[must_use]
            pub fn words(self) -> String {
                $words(self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, concat!(stringify!($type), "({})"), self.0),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let words = self.words();
                let mut chars = words.chars();
                match chars.next() {
                    Some(first) => write!(f, "{}{}", first.to_lowercase(), chars.as_str()),
                    None => write!(f, "error {}", self.0),
                }
            }
        }
    };
}

codes! {
    /// An answer of getaddrinfo(3) or getnameinfo(3) (`EAI_*`) that is no success.
    ///
    /// ```
    /// use berkeley::names::GaiError;
    ///
    /// assert_eq!(GaiError::NONAME.name(), Some("EAI_NONAME"));
    /// assert_eq!(GaiError::NONAME.to_string(), "name or service not known");
    /// ```
    GaiError, "EAI_", sys::netdb::gai_words {
        /// The flags are unknown, or do not go together.
        #[doc(alias = "EAI_BADFLAGS")]
        BADFLAGS = libc::EAI_BADFLAGS;
        /// There is no such host or service; or neither was asked for.
        #[doc(alias = "EAI_NONAME")]
        NONAME = libc::EAI_NONAME;
        /// The name server could not answer now: try again later.
        #[doc(alias = "EAI_AGAIN")]
        AGAIN = libc::EAI_AGAIN;
        /// The name server answered that it will never have an answer.
        #[doc(alias = "EAI_FAIL")]
        FAIL = libc::EAI_FAIL;
        /// The host exists and has no address.
        #[doc(alias = "EAI_NODATA")]
        NODATA = libc::EAI_NODATA;
        /// The family is not one that the resolver knows.
        #[doc(alias = "EAI_FAMILY")]
        FAMILY = libc::EAI_FAMILY;
        /// The type is unknown, or the protocol does not go with it.
        #[doc(alias = "EAI_SOCKTYPE")]
        SOCKTYPE = libc::EAI_SOCKTYPE;
        /// The service does not exist for that type.
        #[doc(alias = "EAI_SERVICE")]
        SERVICE = libc::EAI_SERVICE;
        /// The host exists and has no address of that family.
        #[doc(alias = "EAI_ADDRFAMILY")]
        ADDRFAMILY = -9;
        /// Out of memory.
        #[doc(alias = "EAI_MEMORY")]
        MEMORY = libc::EAI_MEMORY;
        /// A system call failed. Never the answer here: that is [`ResolveError::System`], with
        /// the number of the system's error.
        #[doc(alias = "EAI_SYSTEM")]
        SYSTEM = libc::EAI_SYSTEM;
        /// The answer is longer than the place for it.
        #[doc(alias = "EAI_OVERFLOW")]
        OVERFLOW = libc::EAI_OVERFLOW;
        /// glibc's getaddrinfo_a(3): not finished yet.
        #[doc(alias = "EAI_INPROGRESS")]
        INPROGRESS = -100;
        /// glibc's getaddrinfo_a(3): cancelled.
        #[doc(alias = "EAI_CANCELED")]
        CANCELED = -101;
        /// glibc's getaddrinfo_a(3): too late to be cancelled.
        #[doc(alias = "EAI_NOTCANCELED")]
        NOTCANCELED = -102;
        /// glibc's getaddrinfo_a(3): all are finished.
        #[doc(alias = "EAI_ALLDONE")]
        ALLDONE = -103;
        /// glibc's getaddrinfo_a(3): interrupted by a signal.
        #[doc(alias = "EAI_INTR")]
        INTR = -104;
        /// The name could not be encoded or decoded by IDNA.
        #[doc(alias = "EAI_IDN_ENCODE")]
        IDN_ENCODE = -105;
    }
}

codes! {
    /// An answer of the older calls (`h_errno`), gethostbyname(3), that is no success.
    ///
    /// ```
    /// use berkeley::names::HostError;
    ///
    /// assert_eq!(HostError::NO_DATA.raw(), 4);
    /// assert_eq!(HostError::HOST_NOT_FOUND.to_string(), "unknown host");
    /// ```
    HostError, "", sys::netdb::host_words {
        /// There is no such host.
        HOST_NOT_FOUND = 1;
        /// The name server could not answer now: try again later.
        TRY_AGAIN = 2;
        /// The name server answered that it will never have an answer.
        NO_RECOVERY = 3;
        /// The host exists and has no address of that family.
        NO_DATA = 4;
    }
}

/// Why the resolver has no answer: the reason within [`crate::Error::Resolve`] and
/// [`crate::Error::NoName`].
///
/// # References
/// gai_strerror(3), hstrerror(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResolveError {
    /// What getaddrinfo(3) or getnameinfo(3) answered.
    Gai(GaiError),
    /// What gethostbyname(3) or gethostbyaddr(3) answered.
    Host(HostError),
    /// It answered, and what it answered has no address.
    Nothing,
    /// A system call of the resolver failed (`EAI_SYSTEM`, `NETDB_INTERNAL`).
    System(Errno),
    /// The name contains a zero byte; nobody was asked.
    ZeroByte,
}

impl ResolveError {
    /// True where asking again later may help.
    #[must_use]
    pub fn is_temporary(self) -> bool {
        match self {
            Self::Gai(code) => code == GaiError::AGAIN,
            Self::Host(code) => code == HostError::TRY_AGAIN,
            Self::System(errno) => errno.is_exhaustion(),
            Self::Nothing | Self::ZeroByte => false,
        }
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gai(code) => code.fmt(f),
            Self::Host(code) => code.fmt(f),
            Self::Nothing => f.write_str("it has none"),
            Self::System(errno) => errno.fmt(f),
            Self::ZeroByte => f.write_str("it contains a zero byte"),
        }
    }
}

impl std::error::Error for ResolveError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_words_and_an_unknown_one_survives() {
        assert_eq!(GaiError::from_raw(-9), GaiError::ADDRFAMILY);
        assert_eq!(format!("{:?}", GaiError::AGAIN), "EAI_AGAIN");
        assert_eq!(format!("{:?}", GaiError::from_raw(-77)), "GaiError(-77)");
        assert!(!GaiError::from_raw(-77).to_string().is_empty());
        assert_eq!(format!("{:?}", HostError::TRY_AGAIN), "TRY_AGAIN");
        assert!(ResolveError::Host(HostError::TRY_AGAIN).is_temporary());
    }
}
