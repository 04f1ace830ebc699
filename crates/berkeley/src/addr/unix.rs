//! Names of sockets between processes of one machine.

use core::fmt;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Error, Result};

/// Bytes of `sun_path`: a path needs one of them for its closing zero, an abstract name one for
/// its opening zero.
const SUN_PATH_BYTES: usize = 108;

/// The name of a Unix socket: a path, an abstract name, or none.
///
/// # References
/// unix(7), "Address format".
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixAddr(Name);

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Name {
    Unnamed,
    Path(Box<[u8]>),
    Abstract(Box<[u8]>),
}

impl UnixAddr {
    /// No name: what an unbound socket has. Binding to it asks the kernel for a free abstract
    /// name ("autobind").
    #[must_use]
    pub const fn unnamed() -> Self {
        Self(Name::Unnamed)
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
        Ok(Self(Name::Path(bytes.into())))
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
        Ok(Self(Name::Abstract(name.into())))
    }

    /// The path, if this is one.
    #[must_use]
    pub fn as_path(&self) -> Option<&Path> {
        match &self.0 {
            Name::Path(bytes) => Some(Path::new(OsStr::from_bytes(bytes))),
            _ => None,
        }
    }

    /// The abstract name, if this is one.
    #[must_use]
    pub const fn as_abstract(&self) -> Option<&[u8]> {
        match &self.0 {
            Name::Abstract(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// True for a socket without a name.
    #[must_use]
    pub const fn is_unnamed(&self) -> bool {
        matches!(self.0, Name::Unnamed)
    }

    /// `sun_path` as the kernel wants it.
    pub(crate) fn wire_bytes(&self) -> Vec<u8> {
        match &self.0 {
            Name::Unnamed => Vec::new(),
            Name::Path(bytes) => [bytes, [0].as_slice()].concat(),
            Name::Abstract(bytes) => [[0].as_slice(), bytes].concat(),
        }
    }

    /// Reads `sun_path` as the kernel wrote it: its length ends an abstract name, a zero a path.
    pub(crate) fn from_wire_bytes(bytes: &[u8]) -> Self {
        Self(match bytes.split_first() {
            None => Name::Unnamed,
            Some((0, name)) => Name::Abstract(name.into()),
            Some(_) => Name::Path(
                bytes
                    .split(|byte| *byte == 0)
                    .next()
                    .unwrap_or(bytes)
                    .into(),
            ),
        })
    }
}

impl fmt::Display for UnixAddr {
    /// A path as it is, an abstract name behind `@`, control characters escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mark, bytes): (&str, &[u8]) = match &self.0 {
            Name::Unnamed => ("(unnamed)", &[]),
            Name::Path(bytes) => ("", bytes),
            Name::Abstract(bytes) => ("@", bytes),
        };
        f.write_str(mark)?;
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() {
                    write!(f, "{}", c.escape_default())?;
                } else {
                    write!(f, "{c}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
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
}
