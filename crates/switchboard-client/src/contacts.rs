//! The address book: names for those we talk with.
//!
//! A TOML file with a table `[contacts]`, each entry `name = "host:port"`:
//!
//! ```
//! use switchboard_client::contacts::Contacts;
//!
//! let book = "[contacts]\nalice = \"192.0.2.7:8081\"\n\"张 三\" = \"[::1]\"\n";
//! let contacts = Contacts::parse(book, "contacts.toml".as_ref())?;
//! assert_eq!(contacts.find("张 三")?.to_string(), "udp://[::1]:8081");
//! let error = contacts.find("alcie").unwrap_err().to_string();
//! assert!(error.contains("near: alice"), "{error}");
//! # Ok::<(), switchboard_client::contacts::ContactsError>(())
//! ```
//!
//! Where the file lies is for the caller to know.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use berkeley::{Endpoint, Kind, Transport};
use serde::Deserialize;
use switchboard_wire::clean;
use toml::{Spanned, Value};

use crate::talk::TALK_PORT;

/// The largest address book that is read, in bytes: some ten thousand names.
pub const BOOK_BYTES_MAX: u64 = 1 << 20;

/// How many near names an error lists at most.
const NEAR_MAX: usize = 5;

/// How many names an error lists at most when none is near.
const KNOWN_MAX: usize = 10;

/// How alike two names must be to be near, from 0 to 1 (Jaro-Winkler).
const NEAR_MIN: f64 = 0.7;

/// An address book that was read.
#[derive(Debug, Clone)]
pub struct Contacts {
    path: PathBuf,
    /// A bad entry spoils nobody else's: it is told when it is asked for, with its line.
    entries: BTreeMap<String, Result<Endpoint, (usize, String)>>,
}

/// Why a name has no address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContactsError {
    /// The file is not as an address book must be.
    #[error("{}:{line}: {reason}", shown(.path))]
    Broken {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The file does not exist.
    #[error("there is no address book {}", shown(.path))]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the address book {}", shown(.path))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is larger than [`BOOK_BYTES_MAX`].
    #[error("the address book {} has more than {BOOK_BYTES_MAX} bytes", shown(.path))]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The name is not in the book.
    #[error("there is no {:?} in {}; {}", clean(.name), shown(.path), others(.near, .known))]
    Unknown {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
        /// Names like it, the nearest first.
        near: Vec<String>,
        /// Names that there are, if none is near; not all of them if they are many.
        known: Vec<String>,
    },
}

/// A path that cannot do anything to the terminal.
fn shown(path: &Path) -> String {
    clean(&path.to_string_lossy()).into_owned()
}

/// What there is instead of an unknown name.
fn others(near: &[String], known: &[String]) -> String {
    let list = |names: &[String]| clean(&names.join(", ")).into_owned();
    match (near, known) {
        ([], []) => "it is empty".to_owned(),
        ([], known) => format!("it has: {}", list(known)),
        (near, _) => format!("near: {}", list(near)),
    }
}

/// The file as TOML knows it. Other tables may stand beside.
#[derive(Deserialize)]
struct Book {
    contacts: Option<BTreeMap<String, Spanned<Value>>>,
}

impl Contacts {
    /// Reads an address book from a file.
    ///
    /// # Errors
    /// [`ContactsError::Missing`], [`ContactsError::Read`], [`ContactsError::TooLarge`], and as
    /// [`Contacts::parse`].
    pub fn load(path: &Path) -> Result<Self, ContactsError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => ContactsError::Missing { path: path.into() },
            _ => ContactsError::Read {
                path: path.into(),
                source,
            },
        };
        let mut text = String::new();
        let file = File::open(path).map_err(failed)?;
        file.take(BOOK_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(failed)?;
        if text.len() as u64 > BOOK_BYTES_MAX {
            return Err(ContactsError::TooLarge { path: path.into() });
        }
        Self::parse(&text, path)
    }

    /// Reads an address book from text; `path` is for the errors.
    ///
    /// # Errors
    /// [`ContactsError::Broken`] with the line where the text is no TOML, or where there is no
    /// table `[contacts]`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ContactsError> {
        let broken = |at: usize, reason: String| ContactsError::Broken {
            path: path.into(),
            line: line_of(text, at),
            reason: clean(&reason.replace('\n', "; ")).into_owned(),
        };
        let book: Book = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            broken(at, error.message().to_owned())
        })?;
        let contacts = book
            .contacts
            .ok_or_else(|| broken(0, "there is no table [contacts]".to_owned()))?;
        let mut entries = BTreeMap::new();
        for (name, value) in contacts {
            let at = value.span().start;
            let endpoint = address(value.get_ref()).map_err(|reason| (line_of(text, at), reason));
            entries.insert(name, endpoint);
        }
        Ok(Self {
            path: path.into(),
            entries,
        })
    }

    /// The address of a name.
    ///
    /// # Errors
    /// [`ContactsError::Unknown`] with the names that are near; [`ContactsError::Broken`] with the
    /// line where the name's value is no address of datagrams.
    pub fn find(&self, name: &str) -> Result<&Endpoint, ContactsError> {
        let entry = self.entries.get(name).ok_or_else(|| {
            let near = near(name, self.entries.keys());
            let known = if near.is_empty() {
                self.entries.keys().take(KNOWN_MAX).cloned().collect()
            } else {
                Vec::new()
            };
            ContactsError::Unknown {
                name: name.into(),
                path: self.path.clone(),
                near,
                known,
            }
        })?;
        entry.as_ref().map_err(|(line, reason)| {
            let reason = format!("{name:?} has no address: {reason}");
            ContactsError::Broken {
                path: self.path.clone(),
                line: *line,
                reason: clean(&reason).into_owned(),
            }
        })
    }
}

/// Reads the address that stands in the book.
fn address(value: &Value) -> Result<Endpoint, String> {
    let text = value.as_str().ok_or_else(|| {
        format!(
            "it is not text, as in \"host:{TALK_PORT}\", but of the type {}",
            value.type_str()
        )
    })?;
    let endpoint = Endpoint::parse(text, Transport::Udp, Some(TALK_PORT))
        .map_err(|error| error.to_string())?;
    if endpoint.transport().kind() != Kind::DGRAM {
        return Err(format!("{endpoint} does not take datagrams"));
    }
    Ok(endpoint)
}

/// The line in which a byte stands, from 1.
fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The names that are like `name`, the nearest first.
fn near<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let asked = folded(name);
    let mut found: Vec<(f64, &String)> = names
        .map(|known| (likeness(&asked, &folded(known)), known))
        .filter(|(likeness, _)| *likeness >= NEAR_MIN)
        .collect();
    // The names come sorted, and equally near ones stay so.
    found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    found
        .into_iter()
        .take(NEAR_MAX)
        .map(|(_, known)| known.clone())
        .collect()
}

/// A name without what people get wrong most easily: case, spaces and punctuation.
fn folded(name: &str) -> String {
    let kept = name.chars().filter(|c| c.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}

fn likeness(asked: &str, known: &str) -> f64 {
    let likeness = strsim::jaro_winkler(asked, known);
    let is_part = |whole: &str, part: &str| !part.is_empty() && whole.contains(part);
    if is_part(known, asked) || is_part(asked, known) {
        likeness.max(NEAR_MIN)
    } else {
        likeness
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Contacts, ContactsError> {
        Contacts::parse(text, Path::new("/book.toml"))
    }

    #[test]
    fn names_have_addresses_and_the_port_may_be_left_out() {
        let book = "title = 'mine'\n[contacts]\nalice = \"127.0.0.1:9\"\n\"张 三\" = 'host'\n\
                    local = 'unix-dgram://@x'\n";
        let contacts = parse(book).unwrap();
        for (name, endpoint) in [
            ("alice", "udp://127.0.0.1:9"),
            ("张 三", "udp://host:8081"),
            ("local", "unix-dgram://@x"),
        ] {
            assert_eq!(contacts.find(name).unwrap().to_string(), endpoint);
        }
    }

    #[test]
    fn a_broken_book_is_an_error_with_the_line() {
        for (text, line, reason) in [
            ("[contacts]\n\nalice = \n", 3, ""),
            ("[contacts]\na = 'x'\na = 'y'\n", 3, "duplicate key"),
            ("contacts = 3\n", 1, "expected"),
            ("alice = 'x'\n", 1, "no table [contacts]"),
            ("", 1, "no table [contacts]"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            let place = format!("/book.toml:{line}: ");
            assert!(
                error.starts_with(&place) && error.contains(reason),
                "{text:?}: {error}"
            );
            assert!(!error.contains('\n'), "{error:?}");
        }
    }

    #[test]
    fn a_bad_entry_is_an_error_for_its_own_name_alone() {
        let book = "[contacts]\nalice = 7\nbob = 'x:y'\ncarol = 'tcp://x:1'\ndave = 'x'\n";
        let contacts = parse(book).unwrap();
        assert!(contacts.find("dave").is_ok());
        for (name, line, reason) in [
            ("alice", 2, "\"alice\" has no address: it is not text"),
            ("bob", 3, "no port (0 to 65535)"),
            ("carol", 4, "does not take datagrams"),
        ] {
            let error = contacts.find(name).unwrap_err().to_string();
            let place = format!("/book.toml:{line}: ");
            assert!(
                error.starts_with(&place) && error.contains(reason),
                "{error}"
            );
        }
    }

    #[test]
    fn near_names_are_found_the_nearest_first() {
        let book = "[contacts]\nalice='x'\nalicia='x'\nBob='x'\n'张 三'='x'\n\
                    'alice at work'='x'\nzoe='x'\n";
        let contacts = parse(book).unwrap();
        for (name, near) in [
            ("alcie", &["alice", "alice at work", "alicia"][..]),
            ("bob", &["Bob"]),
            ("张三", &["张 三"]),
            ("work", &["alice at work"]),
            ("zoe@home", &["zoe"]),
        ] {
            match contacts.find(name) {
                Err(ContactsError::Unknown { near: found, .. }) => assert_eq!(found, near),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn when_no_name_is_near_some_that_exist_are_told() {
        let many: String = (10..40).map(|n| format!("x{n} = 'h'\n")).collect();
        let error = parse(&format!("[contacts]\n{many}"))
            .unwrap()
            .find("bob")
            .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("it has: x10, x11, x12, x13, x14, x15, x16, x17, x18, x19")
        );
        let error = parse("[contacts]\n").unwrap().find("bob").unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no \"bob\" in /book.toml; it is empty"
        );
    }

    #[test]
    fn five_near_names_are_enough() {
        let many: String = (10..40).map(|n| format!("bob{n} = 'h'\n")).collect();
        let error = parse(&format!("[contacts]\n{many}"))
            .unwrap()
            .find("bob")
            .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("near: bob10, bob11, bob12, bob13, bob14")
        );
    }
}
