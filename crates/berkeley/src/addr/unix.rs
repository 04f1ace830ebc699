//! Names of sockets between processes of one machine.

use core::cmp::Ordering;
use core::fmt::{self, Write};
use core::hash::{Hash, Hasher};
use core::str::FromStr;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net;
use std::path::Path;

use super::raw::{AddrBuf, FAMILY_BYTES};
use crate::error::{Error, Result};
use crate::kinds::Family;

/// Bytes of `sun_path`: a path needs one of them for its closing zero, an abstract name one for
/// its opening zero.
const SUN_PATH_BYTES: usize = 108;

/// What an unnamed address is written as.
const UNNAMED: &str = "(unnamed)";

/// The name of a Unix socket: a path, an abstract name, or none. A name of up to 37 bytes lies in
/// the value itself, a longer one on the heap; sending to it allocates neither way, and
/// [`crate::AddrBuf`] receives it without.
///
/// As text, both ways: a path as it is, an abstract name behind `@`, `(unnamed)`. What cannot be
/// shown is escaped: control characters as `\u{1b}`, bytes that are no UTF-8 as `\xff`, the `@`
/// at the beginning of a path as `\x40`, and a backslash as `\\` where it could be taken for
/// one of these.
///
/// ```
/// use berkeley::UnixAddr;
///
/// let name = UnixAddr::abstract_name(b"hub\xff").unwrap();
/// assert_eq!(name.to_string(), r"@hub\xff");
/// assert_eq!(r"@hub\xff".parse::<UnixAddr>().unwrap(), name);
/// ```
///
/// # References
/// unix(7), "Address format".
#[doc(alias = "sockaddr_un")]
#[derive(Clone)]
pub struct UnixAddr(Name);

/// Bytes of a name that lie in the value itself: what the other forms of an address leave room for.
const SHORT_BYTES: usize = 37;

#[derive(Clone)]
enum Name {
    Short {
        kind: NameKind,
        len: u8,
        bytes: [u8; SHORT_BYTES],
    },
    Long {
        kind: NameKind,
        bytes: Box<[u8]>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum NameKind {
    Unnamed,
    Path,
    Abstract,
}

impl UnixAddr {
    /// No name: what an unbound socket has. Binding to it asks the kernel for a free abstract
    /// name ("autobind").
    #[must_use]
    pub const fn unnamed() -> Self {
        Self(Name::Short {
            kind: NameKind::Unnamed,
            len: 0,
            bytes: [0; SHORT_BYTES],
        })
    }

    /// What fits of `name`.
    fn new(kind: NameKind, name: &[u8]) -> Self {
        let name = name.get(..SUN_PATH_BYTES).unwrap_or(name);
        let mut bytes = [0; SHORT_BYTES];
        match (bytes.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(name);
                Self(Name::Short { kind, len, bytes })
            }
            _ => Self(Name::Long {
                kind,
                bytes: name.into(),
            }),
        }
    }

    const fn kind(&self) -> NameKind {
        match self.0 {
            Name::Short { kind, .. } | Name::Long { kind, .. } => kind,
        }
    }

    /// The path or the abstract name, without the zero that marks it.
    const fn name(&self) -> &[u8] {
        match &self.0 {
            Name::Short { len, bytes, .. } => bytes.split_at(*len as usize).0,
            Name::Long { bytes, .. } => bytes,
        }
    }

    /// A name in the file system, 1 to 107 bytes, of any bytes but zero.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty or overlong path or one with a zero byte.
    pub fn path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = path.as_os_str().as_bytes();
        if bytes.is_empty() {
            return Err(Error::Invalid("a Unix socket's path is empty".into()));
        }
        if bytes.contains(&0) {
            return Err(Error::Invalid(format!(
                "the path {path:?} contains a zero byte"
            )));
        }
        if bytes.len() >= SUN_PATH_BYTES {
            return Err(Error::Invalid(format!(
                "AF_UNIX path too long: {} bytes, at most {} are possible: {}",
                bytes.len(),
                SUN_PATH_BYTES - 1,
                path.display()
            )));
        }
        Ok(Self::new(NameKind::Path, bytes))
    }

    /// A name in the abstract name space, up to 107 bytes of any value, which vanishes with its
    /// last socket.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an overlong name.
    pub fn abstract_name(name: &[u8]) -> Result<Self> {
        if name.len() >= SUN_PATH_BYTES {
            return Err(Error::Invalid(format!(
                "an abstract Unix name has at most {} bytes, not {}",
                SUN_PATH_BYTES - 1,
                name.len()
            )));
        }
        Ok(Self::new(NameKind::Abstract, name))
    }

    /// The path, if this is one.
    #[must_use]
    pub fn as_path(&self) -> Option<&Path> {
        (self.kind() == NameKind::Path).then(|| Path::new(OsStr::from_bytes(self.name())))
    }

    /// The abstract name, if this is one.
    #[must_use]
    pub const fn as_abstract(&self) -> Option<&[u8]> {
        match self.kind() {
            NameKind::Abstract => Some(self.name()),
            _ => None,
        }
    }

    /// True for a socket without a name.
    #[must_use]
    pub const fn is_unnamed(&self) -> bool {
        matches!(self.kind(), NameKind::Unnamed)
    }

    #[inline]
    pub(super) fn encode(&self, raw: &mut AddrBuf) {
        let name = self.name();
        let (at, len) = match self.kind() {
            NameKind::Unnamed => (FAMILY_BYTES, 0),
            // A path that another program made may fill `sun_path`; the zero is then left out.
            NameKind::Path => (FAMILY_BYTES, (name.len() + 1).min(SUN_PATH_BYTES)),
            NameKind::Abstract => (FAMILY_BYTES + 1, name.len() + 1),
        };
        raw.begin(Family::UNIX, FAMILY_BYTES + len);
        raw.put(at, name);
    }

    /// Reads `sun_path` as the kernel wrote it: its length ends an abstract name, a zero a path.
    pub(super) fn from_wire_bytes(bytes: &[u8]) -> Self {
        let fitting = bytes.get(..SUN_PATH_BYTES).unwrap_or(bytes);
        match fitting.split_first() {
            None => Self::unnamed(),
            Some((0, name)) => Self::new(NameKind::Abstract, name),
            Some(_) => {
                let path = fitting.split(|byte| *byte == 0).next();
                Self::new(NameKind::Path, path.unwrap_or(fitting))
            }
        }
    }
}

impl PartialEq for UnixAddr {
    fn eq(&self, other: &Self) -> bool {
        (self.kind(), self.name()) == (other.kind(), other.name())
    }
}

impl Eq for UnixAddr {}

impl PartialOrd for UnixAddr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UnixAddr {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.kind(), self.name()).cmp(&(other.kind(), other.name()))
    }
}

impl Hash for UnixAddr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.kind(), self.name()).hash(state);
    }
}

impl fmt::Debug for UnixAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnixAddr({self})")
    }
}

impl fmt::Display for UnixAddr {
    /// A path as it is, an abstract name behind `@`, control characters escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.name();
        match self.kind() {
            NameKind::Unnamed => return f.write_str(UNNAMED),
            NameKind::Abstract => f.write_char('@')?,
            NameKind::Path if is_taken(bytes) => {
                if let Some((first, rest)) = bytes.split_first() {
                    write!(f, "\\x{first:02x}")?;
                    bytes = rest;
                }
            }
            NameKind::Path => {}
        }
        let mut rest = bytes;
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
                match c {
                    // The next byte decides, whether or not it is valid: an escaped one begins
                    // with a backslash.
                    '\\' if is_escape(rest.first().copied()) => f.write_str("\\\\")?,
                    c if c.is_control() => write!(f, "{}", c.escape_unicode())?,
                    c => f.write_char(c)?,
                }
            }
            for byte in chunk.invalid() {
                rest = rest.get(1..).unwrap_or_default();
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// True for a path that would be read as something else.
fn is_taken(path: &[u8]) -> bool {
    path.starts_with(b"@") || path == UNNAMED.as_bytes()
}

/// True if a backslash before this byte would be taken for the beginning of an escape: before
/// `x`, `u` and another backslash, and before what will itself be escaped.
fn is_escape(next: Option<u8>) -> bool {
    next.is_some_and(|byte| {
        matches!(byte, b'x' | b'u' | b'\\') || !byte.is_ascii() || byte.is_ascii_control()
    })
}

impl FromStr for UnixAddr {
    type Err = Error;

    /// Reads what `Display` writes. A backslash that begins no escape stands for itself.
    fn from_str(text: &str) -> Result<Self> {
        if text == UNNAMED {
            return Ok(Self::unnamed());
        }
        let (is_abstract, text) = match text.strip_prefix('@') {
            Some(name) => (true, name),
            None => (false, text),
        };
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\\') {
            bytes.extend_from_slice(before.as_bytes());
            rest = unescape(after, &mut bytes);
        }
        bytes.extend_from_slice(rest.as_bytes());
        if is_abstract {
            Self::abstract_name(&bytes)
        } else {
            Self::path(OsStr::from_bytes(&bytes))
        }
    }
}

/// Reads what follows a backslash, and answers what is left of it.
fn unescape<'a>(after: &'a str, bytes: &mut Vec<u8>) -> &'a str {
    if let Some(rest) = after.strip_prefix('\\') {
        bytes.push(b'\\');
        return rest;
    }
    if let Some(rest) = after.strip_prefix('x')
        && let Some((digits, rest)) = rest.split_at_checked(2)
        && let Some(byte) = hex(digits).and_then(|number| u8::try_from(number).ok())
    {
        bytes.push(byte);
        return rest;
    }
    if let Some(rest) = after.strip_prefix("u{")
        && let Some((digits, rest)) = rest.split_once('}')
        && let Some(c) = hex(digits).and_then(char::from_u32)
    {
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        return rest;
    }
    bytes.push(b'\\');
    after
}

fn hex(digits: &str) -> Option<u32> {
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u32::from_str_radix(digits, 16).ok())?
}

impl From<&net::SocketAddr> for UnixAddr {
    fn from(addr: &net::SocketAddr) -> Self {
        if let Some(path) = addr.as_pathname() {
            return Self::new(NameKind::Path, path.as_os_str().as_bytes());
        }
        match addr.as_abstract_name() {
            Some(name) => Self::new(NameKind::Abstract, name),
            None => Self::unnamed(),
        }
    }
}

impl From<net::SocketAddr> for UnixAddr {
    fn from(addr: net::SocketAddr) -> Self {
        Self::from(&addr)
    }
}

impl TryFrom<&UnixAddr> for net::SocketAddr {
    type Error = Error;

    /// Fails for what `std` cannot hold: an unnamed address, and a path of 108 bytes.
    fn try_from(addr: &UnixAddr) -> Result<Self> {
        let made = match addr.kind() {
            NameKind::Unnamed => {
                return Err(Error::Invalid("std cannot make an unnamed address".into()));
            }
            NameKind::Path => Self::from_pathname(OsStr::from_bytes(addr.name())),
            NameKind::Abstract => Self::from_abstract_name(addr.name()),
        };
        made.map_err(|error| Error::Invalid(format!("{addr}: {error}")))
    }
}

impl TryFrom<&Path> for UnixAddr {
    type Error = Error;

    fn try_from(path: &Path) -> Result<Self> {
        Self::path(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_107_bytes_fits_and_one_of_108_does_not() {
        assert!(UnixAddr::path("p".repeat(107)).is_ok());
        let error = UnixAddr::path("p".repeat(108)).unwrap_err();
        assert!(
            error.to_string().contains("AF_UNIX path too long"),
            "{error}"
        );
        assert!(UnixAddr::path("").is_err());
        assert!(UnixAddr::path("a\0b").is_err());
        assert!(UnixAddr::abstract_name(&[0; 108]).is_err());
    }

    #[test]
    fn a_name_is_shown_without_control_characters() {
        let name = UnixAddr::abstract_name(b"a\x1b[m\xff").unwrap();
        assert_eq!(name.to_string(), "@a\\u{1b}[m\\xff");
    }

    #[test]
    fn odd_names_are_read_back_from_their_text() {
        for bytes in [
            b"/tmp/a b".as_slice(),
            b"@at",
            b"(unnamed)",
            b"a\\x41",
            b"a\\\\u{41}\\",
            b"a\\\xff\\\n",
            b"\n\r\t\x1b\xc3\x28",
            b"C:\\temp",
        ] {
            let path = UnixAddr::path(OsStr::from_bytes(bytes)).unwrap();
            assert_eq!(
                path.to_string().parse::<UnixAddr>().unwrap(),
                path,
                "{path}"
            );
            let name = UnixAddr::abstract_name(bytes).unwrap();
            assert_eq!(
                name.to_string().parse::<UnixAddr>().unwrap(),
                name,
                "{name}"
            );
        }
        assert_eq!(UnixAddr::path("C:\\temp").unwrap().to_string(), "C:\\temp");
        assert!("(unnamed)".parse::<UnixAddr>().unwrap().is_unnamed());
        assert!("a\\x00".parse::<UnixAddr>().is_err());
    }
}
