//! What can go wrong with a socket.

use core::fmt;
use std::io;

use crate::addr::Addr;
use crate::errno::Errno;
use crate::kinds::{Family, Kind, Protocol};
use crate::names::ResolveError;

/// The result of a socket call.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Why a socket call failed.
///
/// Three things are kept apart that an [`io::Error`] mixes: the kernel's answer ([`Error::Os`]),
/// the end of the caller's own time limit ([`Error::TimedOut`], which is not `ETIMEDOUT`), and
/// a use that this library refuses before the kernel is asked ([`Error::Invalid`]).
///
/// # References
/// errno(3).
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused a call.
    Os {
        /// The kernel's answer.
        errno: Errno,
        /// The call, as the man pages name it (`"connect"`).
        call: &'static str,
        /// The address that the call was about, where there is one.
        addr: Option<Box<Addr>>,
    },
    /// The socket's or the call's own time limit ended before the call did.
    TimedOut {
        /// The call that was given up.
        call: &'static str,
    },
    /// The socket was closed by [`crate::Socket::close`] or [`crate::Socket::abort`], before the
    /// call or while it waited.
    Closed {
        /// The call that met it.
        call: &'static str,
    },
    /// A hook ended the call when a signal came ([`crate::Hook::interrupted`]).
    Interrupted {
        /// The call that was given up.
        call: &'static str,
    },
    /// `send_all` failed after some bytes had gone out.
    Partial {
        /// How many bytes the kernel had taken.
        sent: usize,
        /// Why the rest did not follow.
        cause: Box<Self>,
    },
    /// None of a host's addresses could be reached: each of them with its own reason, in the
    /// order of the tries. Those whose turn never came are [`Error::NotTried`].
    Connect(Vec<(Addr, Self)>),
    /// The time limit ended before it was this address's turn.
    NotTried,
    /// A name could not be turned into addresses.
    Resolve {
        /// The name that was asked for.
        host: Box<str>,
        /// What the resolver answered.
        reason: ResolveError,
    },
    /// An address has no name.
    NoName {
        /// The address that was asked for.
        addr: Box<str>,
        /// What the resolver answered.
        reason: ResolveError,
    },
    /// The request makes no sense, and was refused before any system call.
    Invalid(String),
    /// This kernel has no sockets of the family (`EAFNOSUPPORT`): it was built without it, or its
    /// module is not there.
    UnsupportedFamily(Family),
    /// The kernel made no such socket: it has none of the type or protocol
    /// (`ESOCKTNOSUPPORT`, `EPROTONOSUPPORT`), or not for this process (`EPERM`, `EACCES`).
    NotMade {
        /// The family that was asked for.
        family: Family,
        /// The type.
        kind: Kind,
        /// The protocol.
        protocol: Protocol,
        /// The kernel's answer.
        errno: Errno,
    },
    /// This build or this kernel cannot do what was asked for.
    Unsupported(String),
}

/// Every result of a call has room for one.
const _: () = assert!(size_of::<Error>() <= 32);

impl Error {
    /// The kernel's error for `call`.
    #[must_use]
    pub const fn os(call: &'static str, errno: Errno) -> Self {
        Self::Os {
            errno,
            call,
            addr: None,
        }
    }

    /// The kernel's error for `call` on `addr`.
    #[must_use]
    pub fn at(call: &'static str, errno: Errno, addr: &Addr) -> Self {
        Self::Os {
            errno,
            call,
            addr: Some(Box::new(addr.clone())),
        }
    }

    /// The kernel's error number, looking through [`Error::Partial`] and the last reason of
    /// [`Error::Connect`]; `EBADF` for a closed socket, `EINTR` where a hook
    /// ended the call; `None` where no system call failed.
    ///
    /// # References
    /// errno(3).
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Os { errno, .. } | Self::NotMade { errno, .. } => Some(*errno),
            Self::Closed { .. } => Some(Errno::EBADF),
            Self::Interrupted { .. } => Some(Errno::EINTR),
            Self::Partial { cause, .. } => cause.errno(),
            Self::Connect(tried) => tried.last().and_then(|(_, error)| error.errno()),
            Self::Resolve { reason, .. } | Self::NoName { reason, .. } => match reason {
                ResolveError::System(errno) => Some(*errno),
                _ => None,
            },
            Self::UnsupportedFamily(_) => Some(Errno::EAFNOSUPPORT),
            _ => None,
        }
    }

    /// True when the socket was closed in this process, before the call or while it waited.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Closed { .. } => true,
            Self::Partial { cause, .. } => cause.is_closed(),
            _ => false,
        }
    }

    /// True when a non-blocking call would have had to wait.
    #[must_use]
    pub fn is_would_block(&self) -> bool {
        self.errno().is_some_and(Errno::is_would_block)
    }

    /// True when the caller's time limit ended the call.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::NotTried => true,
            Self::Partial { cause, .. } => cause.is_timed_out(),
            Self::Connect(tried) => tried.last().is_some_and(|(_, error)| error.is_timed_out()),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os {
                errno,
                call,
                addr: Some(addr),
            } => write!(f, "{call} {addr}: {errno}"),
            Self::Os {
                errno,
                call,
                addr: None,
            } => write!(f, "{call}: {errno}"),
            Self::TimedOut { call } => write!(f, "{call}: the time limit ended"),
            Self::NotTried => f.write_str("not tried, the time limit ended first"),
            Self::Closed { call } => write!(f, "{call}: the socket is closed"),
            Self::Interrupted { call } => write!(f, "{call}: ended by a signal"),
            Self::Partial { sent, cause } => write!(f, "{cause} (after {sent} bytes were sent)"),
            Self::Connect(tried) => {
                for (index, (addr, error)) in tried.iter().enumerate() {
                    if index > 0 {
                        f.write_str("; ")?;
                    }
                    match error {
                        Self::TimedOut { call } => {
                            write!(f, "{call} {addr}: the time limit ended")?;
                        }
                        Self::NotTried => write!(f, "{addr}: {error}")?,
                        error => write!(f, "{error}")?,
                    }
                }
                Ok(())
            }
            Self::Resolve { host, reason } => write!(f, "no address for {host:?}: {reason}"),
            Self::NoName { addr, reason } => write!(f, "no name for {addr}: {reason}"),
            Self::UnsupportedFamily(family) => {
                write!(f, "this kernel has no {family}: {}", Errno::EAFNOSUPPORT)
            }
            Self::NotMade {
                family,
                kind,
                protocol,
                errno,
            } => {
                write!(f, "socket {family} {kind}")?;
                if *protocol != Protocol::DEFAULT {
                    write!(f, " protocol {}", protocol.raw())?;
                }
                write!(f, ": {errno}")
            }
            Self::Invalid(what) | Self::Unsupported(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Partial { cause, .. } => Some(cause),
            Self::Resolve { reason, .. } | Self::NoName { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

/// The kind is that of the kernel's answer; a time limit is [`io::ErrorKind::TimedOut`].
///
/// An [`io::Error`] has either the kernel's number or an error inside, never both.
/// [`io::Error::raw_os_error`] has the number of [`Error::Os`] without an address and of
/// [`Error::NotMade`], whose family, type and protocol the caller has named. Otherwise the whole
/// [`Error`] is inside ([`io::Error::get_ref`]) with what the number would not tell: an address,
/// how much was sent, or that it is the family that the kernel lacks
/// ([`io::ErrorKind::Unsupported`]). [`Error::errno`] has its number.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match &error {
            Error::Os {
                errno, addr: None, ..
            }
            | Error::NotMade { errno, .. } => Self::from(*errno),
            _ if error.is_timed_out() => Self::new(io::ErrorKind::TimedOut, error),
            Error::Invalid(_) => Self::new(io::ErrorKind::InvalidInput, error),
            Error::Unsupported(_) | Error::UnsupportedFamily(_) => {
                Self::new(io::ErrorKind::Unsupported, error)
            }
            _ => {
                let kind = error
                    .errno()
                    .map_or(io::ErrorKind::Other, |errno| Self::from(errno).kind());
                Self::new(kind, error)
            }
        }
    }
}
