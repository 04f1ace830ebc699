//! What members and rooms are called, and when two names are one.
//!
//! It decides by the text alone. Who has which name, and whether one looks like another's, is for
//! the hub to say.
//!
//! Begin with [`Nick`], [`RoomName`] and [`canonical`].

mod nick;
mod room;
mod topic;

use std::borrow::Cow;

use unicase::UniCase;
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{UnicodeNormalization, is_nfc};

pub use self::nick::{Nick, NickError, RESERVED_NICKS};
pub use self::room::{LOBBY, RoomName, RoomNameError};
pub use self::topic::{Topic, TopicError};
use crate::limits::NAME_MARKS_MAX;

/// How often folding and composing may each bring work for the other; two rounds are known to do.
const ROUNDS_MAX: usize = 8;

/// The form to compare names by: names that differ only in case, in width, in how accents are
/// encoded or in characters that nobody sees have the same.
///
/// It is stable: the form of a form is itself.
///
/// ```
/// use switchboard_wire::name::canonical;
///
/// assert_eq!(canonical("ＡＬＩＣＥ"), "alice");
/// assert_eq!(canonical("Stra\u{ad}ße"), canonical("STRASSE"));
/// ```
///
/// # References
/// Unicode 18, §3.13, D147 (`NFKC_Casefold`): full case folding and NFKC without characters that
/// are `Default_Ignorable_Code_Point`.
#[must_use]
pub fn canonical(text: &str) -> String {
    // Most names are ASCII, which is composed and holds nothing invisible.
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut text = text.to_owned();
    for _ in 0..ROUNDS_MAX {
        let seen: String = text.nfkd().filter(|c| !is_ignorable(*c)).collect();
        let next: String = UniCase::unicode(seen).to_folded_case().nfkc().collect();
        if next == text {
            break;
        }
        text = next;
    }
    text
}

/// Whether nobody sees `c`: it has the property `Default_Ignorable_Code_Point`.
///
/// The property is closed: what may be added to it later is in its ranges already.
///
/// # References
/// Unicode Character Database, `DerivedCoreProperties.txt`.
#[must_use]
pub const fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// What is wrong with a name, of whatever it is one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    Character(char),
    Empty,
    Mark(char),
    NoLetter,
    TooLong,
}

/// Composes a name (NFC) and checks it: at most `chars_max` letters, digits, `_`, `-` and `.`, with
/// marks only where a script needs them; and, if `takes_dotted_i`, an `i` with a second dot, which
/// is what an `İ` folds to.
fn check(name: &str, chars_max: usize, takes_dotted_i: bool) -> Result<Cow<'_, str>, Fault> {
    if name.is_empty() {
        return Err(Fault::Empty);
    }
    // One more is enough to know, and a stranger's text may be long. Composing makes a few
    // characters of scripts into two, so that it is counted once more behind it.
    let is_long = |name: &str| name.chars().take(chars_max + 1).count() > chars_max;
    if is_long(name) {
        return Err(Fault::TooLong);
    }
    let name = if is_nfc(name) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.nfc().collect::<String>())
    };
    if is_long(&name) {
        return Err(Fault::TooLong);
    }
    let mut marks = 0;
    let mut before = None;
    for c in name.chars() {
        if is_ignorable(c) {
            return Err(Fault::Character(c));
        } else if is_combining_mark(c) {
            marks += 1;
            // ASCII letters are composed with the marks that any language puts on them: what is
            // left changes nothing that one sees, or piles up.
            let is_dotted = takes_dotted_i && (before, c) == (Some('i'), '\u{307}');
            let has_base = is_dotted || before.is_some_and(|before: char| !before.is_ascii());
            if !has_base || marks > NAME_MARKS_MAX {
                return Err(Fault::Mark(c));
            }
        } else if is_name_character(c) {
            marks = 0;
        } else {
            return Err(Fault::Character(c));
        }
        before = Some(c);
    }
    if !name.contains(char::is_alphanumeric) {
        return Err(Fault::NoLetter);
    }
    Ok(name)
}

fn is_name_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '.' | '_')
}

/// A character as an error shows it: by its number where it would not be seen, or not alone.
fn shown(c: char) -> String {
    if is_ignorable(c) || is_combining_mark(c) {
        format!("'{}'", c.escape_unicode())
    } else {
        format!("{c:?}")
    }
}
