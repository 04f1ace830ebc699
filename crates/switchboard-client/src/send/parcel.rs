//! What is sent, checked before anybody is called.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use switchboard_wire::frame::FRAME_PREFIX_BYTES;
use switchboard_wire::parcel::{file_header_with, file_offer, message_parcel_with};
use switchboard_wire::{Content, ContentHash, Fields, clean, limits};

/// A message or a file that can be sent: checked, and a file already open.
#[derive(Debug)]
pub struct Parcel {
    /// What goes out before the file's bytes; all of a message.
    pub(super) head: Vec<u8>,
    header_bytes: u64,
    pub(super) file: Option<OpenFile>,
    content_bytes: u64,
    /// Bytes of its content that the peer has from an earlier conversation.
    pub(super) resumed_bytes: u64,
}

#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) file: File,
    pub(super) path: PathBuf,
    name: String,
    fields: Fields,
}

/// Why something cannot be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unsendable {
    /// The path is a folder.
    #[error("{} is a folder", shown(.path))]
    Folder {
        /// The path.
        path: PathBuf,
    },
    /// The message is longer than a hub takes.
    #[error(
        "the message has {bytes} bytes, and at most {} can be sent",
        limits::MESSAGE_BYTES_MAX
    )]
    MessageTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The message has more lines than a hub takes.
    #[error(
        "the message has {lines} lines, and at most {} can be sent",
        limits::MESSAGE_LINES_MAX
    )]
    MessageTooManyLines {
        /// How many it has.
        lines: usize,
    },
    /// The file's name cannot be told to anybody.
    #[error("the name of {} is not UTF-8 text", shown(.path))]
    NameNotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// The path is a device, a pipe or a socket.
    #[error("{} is no regular file", shown(.path))]
    NotRegular {
        /// The path.
        path: PathBuf,
    },
    /// The file cannot be opened.
    #[error("cannot open {}", shown(.path))]
    Open {
        /// The path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is larger than the plain form can say.
    #[error(
        "{} has {bytes} bytes, and at most {} can be sent",
        shown(.path), limits::FILE_BYTES_MAX
    )]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// Its size in bytes.
        bytes: u64,
    },
}

/// A path that cannot do anything to the terminal.
pub(super) fn shown(path: &Path) -> String {
    clean(&path.to_string_lossy()).into_owned()
}

impl Parcel {
    /// A message, with what its header says besides.
    ///
    /// # Errors
    /// [`Unsendable::MessageTooLong`], [`Unsendable::MessageTooManyLines`].
    pub fn message(text: &str, fields: &Fields) -> Result<Self, Unsendable> {
        let lines = text.lines().count();
        if lines > limits::MESSAGE_LINES_MAX {
            return Err(Unsendable::MessageTooManyLines { lines });
        }
        let head = message_parcel_with(text, fields)
            .map_err(|_too_long| Unsendable::MessageTooLong { bytes: text.len() })?;
        Ok(Self {
            header_bytes: head.len().saturating_sub(text.len()) as u64,
            head,
            file: None,
            content_bytes: text.len() as u64,
            resumed_bytes: 0,
        })
    }

    /// A file under the last part of its path, with what its header says besides: opens it, so
    /// that it is this file that is sent whatever happens to the path. What is appended to it from
    /// now on is not sent.
    ///
    /// # Errors
    /// The other kinds of [`Unsendable`].
    pub fn file(path: &Path, fields: &Fields) -> Result<Self, Unsendable> {
        let failed = |source| Unsendable::Open {
            path: path.into(),
            source,
        };
        // Looked at before it is opened: opening a pipe waits for somebody at its other end.
        let found = path.metadata().map_err(failed)?;
        if found.is_dir() {
            return Err(Unsendable::Folder { path: path.into() });
        }
        if !found.is_file() {
            return Err(Unsendable::NotRegular { path: path.into() });
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Unsendable::NameNotUtf8 { path: path.into() })?;
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let too_large = || Unsendable::TooLarge {
            path: path.into(),
            bytes,
        };
        let announced = u32::try_from(bytes).map_err(|_too_many| too_large())?;
        let head = file_header_with(name, announced, fields).map_err(|_too_many| too_large())?;
        let file = OpenFile {
            file,
            path: path.into(),
            name: name.into(),
            fields: fields.clone(),
        };
        Ok(Self {
            header_bytes: head.len() as u64,
            head,
            file: Some(file),
            content_bytes: bytes,
            resumed_bytes: 0,
        })
    }

    /// The file's name; `None` for a message.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.file.as_ref().map(|file| file.name.as_str())
    }

    /// The bytes of its content.
    #[must_use]
    pub const fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// The bytes of its content that the peer does not have.
    pub(super) const fn rest_bytes(&self) -> u64 {
        self.content_bytes.saturating_sub(self.resumed_bytes)
    }

    /// Makes its head one that asks the peer how much of the file it has. `None`: it is no file, or
    /// its name leaves no room in the header for the question.
    pub(super) fn ask(&mut self, hash: ContentHash) -> Option<()> {
        let file = self.file.as_mut()?;
        let bytes = self.content_bytes;
        let fields = Fields {
            wants_resume: true,
            content: Some(Content { bytes, hash }),
            ..file.fields.clone()
        };
        self.head = file_offer(&file.name, &fields).ok()?;
        self.header_bytes = (self.head.len() + FRAME_PREFIX_BYTES) as u64;
        Some(())
    }

    /// The bytes that go before its content.
    pub(super) const fn header_bytes(&self) -> u64 {
        self.header_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_measured() {
        let parcel = Parcel::message("图片", &Fields::default()).unwrap();
        assert_eq!((parcel.content_bytes(), parcel.file_name()), (6, None));
        assert_eq!(parcel.header_bytes() + 6, parcel.head.len() as u64);
        let longest = "x".repeat(1 << 20);
        assert!(Parcel::message(&longest, &Fields::default()).is_ok());
        assert!(matches!(
            Parcel::message(&(longest + "x"), &Fields::default()),
            Err(Unsendable::MessageTooLong { bytes: 1_048_577 })
        ));
        assert!(Parcel::message(&"\n".repeat(4096), &Fields::default()).is_ok());
        assert!(matches!(
            Parcel::message(&"\n".repeat(4097), &Fields::default()),
            Err(Unsendable::MessageTooManyLines { lines: 4097 })
        ));
    }

    #[test]
    fn only_regular_files_are_sent() {
        for (path, reason) in [
            ("/", "/ is a folder"),
            ("/dev/null", "/dev/null is no regular file"),
            ("/no/such\u{7}file", "cannot open /no/suchfile"),
        ] {
            assert_eq!(
                Parcel::file(Path::new(path), &Fields::default())
                    .unwrap_err()
                    .to_string(),
                reason
            );
        }
    }
}
