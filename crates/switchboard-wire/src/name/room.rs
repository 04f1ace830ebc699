//! What a room is called.

use std::fmt;
use std::sync::Arc;

use super::{Fault, canonical, check, shown};
use crate::limits::ROOM_NAME_CHARS_MAX;

/// The room that everybody is in unless another is named.
pub const LOBBY: &str = "lobby";

/// A room's name, in the one form that rooms have: [`canonical`].
///
/// It has 1 to 64 letters, digits, `_`, `-` and `.` of any script, at least one of them a letter or
/// digit, and the combining marks that scripts need.
///
/// ```
/// use switchboard_wire::RoomName;
///
/// assert_eq!(RoomName::new("Rust.Users")?, RoomName::new("ｒｕｓｔ.users")?);
/// assert!(RoomName::new("two words").is_err() && RoomName::new("../etc").is_err());
/// # Ok::<(), switchboard_wire::RoomNameError>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RoomName(Arc<str>);

impl RoomName {
    /// Checks a name and brings it into its form.
    ///
    /// # Errors
    /// [`RoomNameError`] says which rule it breaks.
    pub fn new(name: &str) -> Result<Self, RoomNameError> {
        check(name, ROOM_NAME_CHARS_MAX, true)?;
        let name = canonical(name);
        // Undoing width and ligatures can make it longer, and bring in what is no character of
        // names (`㎧` is `m∕s`) or leave a mark without its letter; and what a room is called must
        // lead there.
        check(&name, ROOM_NAME_CHARS_MAX, true)?;
        Ok(Self(name.into()))
    }

    /// [`LOBBY`].
    #[must_use]
    pub fn lobby() -> Self {
        Self(LOBBY.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&RoomName> for Arc<str> {
    /// The name as shared text; nothing is copied.
    fn from(name: &RoomName) -> Self {
        Self::clone(&name.0)
    }
}

impl AsRef<str> for RoomName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a room cannot be called so.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RoomNameError {
    /// It holds a character that is not allowed.
    #[error(
        "a room's name takes letters, digits, `_`, `-` and `.`, and not {}",
        shown(*.character)
    )]
    Character {
        /// The first such character.
        character: char,
    },
    /// It is empty.
    #[error("a room's name needs at least one character")]
    Empty,
    /// A combining mark has no letter that it belongs to, or too many stand on one.
    #[error(
        "a room's name has marks only on letters that take them, and few: not {}",
        shown(*.mark)
    )]
    Mark {
        /// The first such mark.
        mark: char,
    },
    /// It has neither a letter nor a digit.
    #[error("a room's name needs at least one letter or digit")]
    NoLetter,
    /// It is too long.
    #[error("a room's name has at most {max} characters")]
    TooLong {
        /// The most characters it may have.
        max: usize,
    },
}

impl From<Fault> for RoomNameError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Character(character) => Self::Character { character },
            Fault::Empty => Self::Empty,
            Fault::Mark(mark) => Self::Mark { mark },
            Fault::NoLetter => Self::NoLetter,
            Fault::TooLong => Self::TooLong {
                max: ROOM_NAME_CHARS_MAX,
            },
        }
    }
}
