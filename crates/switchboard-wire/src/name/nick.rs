//! What a member is called.

use std::fmt;

use super::{Fault, canonical, check, shown};
use crate::limits::NICK_CHARS_MAX;

/// Nicks nobody may take, canonical: they would speak for the hub or for everybody.
pub const RESERVED_NICKS: [&str; 17] = [
    "admin",
    "administrator",
    "all",
    "everybody",
    "everyone",
    "help",
    "here",
    "hub",
    "me",
    "moderator",
    "nobody",
    "operator",
    "root",
    "server",
    "switchboard",
    "system",
    "you",
];

/// The name a member has taken.
///
/// It has 1 to 32 letters, digits, `_`, `-` and `.` of any script, at least one of them a letter or
/// digit, and the combining marks that scripts need. Nothing in it is invisible or turns the
/// reading order round. No nick looks like `ADDRESS:PORT`, and none speaks for the hub.
///
/// ```
/// use switchboard_wire::Nick;
///
/// assert_eq!(Nick::new("Алиса")?.canonical(), Nick::new("АЛИСА")?.canonical());
/// assert!(Nick::new("127.0.0.1:9").is_err() && Nick::new("Root").is_err());
/// # Ok::<(), switchboard_wire::NickError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Nick(String);

impl Nick {
    /// Checks a nick; it is taken as it stands, not trimmed, but for accents, which are composed
    /// (NFC).
    ///
    /// # Errors
    /// [`NickError`] says which rule it breaks.
    pub fn new(nick: &str) -> Result<Self, NickError> {
        let nick = Self(check(nick, NICK_CHARS_MAX, false)?.into_owned());
        if RESERVED_NICKS.contains(&nick.canonical().as_str()) {
            return Err(NickError::Reserved { nick: nick.0 });
        }
        Ok(nick)
    }

    /// The form to compare by, as [`canonical`] makes it.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical(&self.0)
    }

    /// The nick as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Nick {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Nick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a nick cannot be taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NickError {
    /// It holds a character that is not allowed.
    #[error("a nick takes letters, digits, `_`, `-` and `.`, and not {}", shown(*.character))]
    Character {
        /// The first such character.
        character: char,
    },
    /// It is empty.
    #[error("a nick needs at least one character")]
    Empty,
    /// A combining mark has no letter that it belongs to, or too many stand on one.
    #[error("a nick has marks only on letters that take them, and few: not {}", shown(*.mark))]
    Mark {
        /// The first such mark.
        mark: char,
    },
    /// It has neither a letter nor a digit.
    #[error("a nick needs at least one letter or digit")]
    NoLetter,
    /// It would speak for the hub or for everybody.
    #[error("the nick {nick} is reserved")]
    Reserved {
        /// The nick as it was asked for.
        nick: String,
    },
    /// It is too long.
    #[error("a nick has at most {max} characters")]
    TooLong {
        /// The most characters a nick may have.
        max: usize,
    },
}

impl From<Fault> for NickError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Character(character) => Self::Character { character },
            Fault::Empty => Self::Empty,
            Fault::Mark(mark) => Self::Mark { mark },
            Fault::NoLetter => Self::NoLetter,
            Fault::TooLong => Self::TooLong {
                max: NICK_CHARS_MAX,
            },
        }
    }
}
