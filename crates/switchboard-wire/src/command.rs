//! Lines that speak to the hub instead of the room.
//!
//! It reads what was asked for; whether it can be done, and whether a name is one, is for others to
//! say.

/// A line that begins with `/`.
///
/// Arguments are as typed, without the white space around them, and not checked yet.
///
/// ```
/// use switchboard_wire::Command;
///
/// assert_eq!(Command::parse("/NICK  alice "), Some(Command::Nick("alice".to_owned())));
/// assert_eq!(Command::parse("hello"), None);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// `/help`: list the commands.
    Help,
    /// `/history [N]`: what was said last; empty when no number was given.
    History(String),
    /// `/join ROOM`: go to a room; empty when none was named.
    Join(String),
    /// `/msg NAME TEXT`: tell one member alone.
    Msg {
        /// Who is to hear it; empty when nobody was named.
        to: String,
        /// What; empty when nothing was said.
        text: String,
    },
    /// `/nick NAME`: be called so; empty when no name was given.
    Nick(String),
    /// `/quit`: leave.
    Quit,
    /// `/rooms`: list the rooms.
    Rooms,
    /// `/search WORDS`: what was said with these words; empty when there are none.
    Search(String),
    /// `/topic [TEXT]`: what the room is about; empty to be told.
    Topic(String),
    /// Any other word after the slash, as typed, without the slash.
    Unknown(String),
    /// `/who`: list the members.
    Who,
}

impl Command {
    /// Reads a command, if `text` begins with `/`.
    ///
    /// The word after the slash is taken in any case, and white space around it and around what
    /// follows is ignored.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('/')?.trim();
        let (word, argument) = split_word(rest);
        let owned = || argument.to_owned();
        Some(match word.to_ascii_lowercase().as_str() {
            "help" => Self::Help,
            "history" => Self::History(owned()),
            "join" => Self::Join(owned()),
            "msg" => {
                let (to, text) = split_word(argument);
                let (to, text) = (to.to_owned(), text.to_owned());
                Self::Msg { to, text }
            }
            "nick" => Self::Nick(owned()),
            "quit" => Self::Quit,
            "rooms" => Self::Rooms,
            "search" => Self::Search(owned()),
            "topic" => Self::Topic(owned()),
            "who" => Self::Who,
            _ => Self::Unknown(word.to_owned()),
        })
    }
}

/// The first word, and what stands behind it.
fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}
