//! File names from a stranger, reduced to one harmless path component.
//!
//! Nothing here looks at a file system: whether a name is taken is for the store to say, which then
//! asks for the next [`FileName::numbered`].

use std::fmt;

use crate::limits::{FILE_EXTENSION_BYTES_MAX, FILE_NAME_BYTES_MAX};
use crate::text::is_control;

/// The names Windows keeps for devices, whatever their extension.
///
/// # References
/// Microsoft, "Naming Files, Paths, and Namespaces"; `CLOCK$` and the consoles from older systems.
const DEVICES: [&str; 7] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"];

/// A file name that is safe to create inside a folder: one path component, nothing hidden in it.
///
/// It has 1 to 255 bytes, is neither `.` nor `..`, and holds no separator of any system, no NUL, no
/// control or bidirectional character. It does not begin with `-` or end in white space or a dot,
/// and names no Windows device.
///
/// ```
/// use switchboard_wire::FileName;
///
/// let name = FileName::reduce(r"..\..\holiday/图片.png")?;
/// assert_eq!(name.as_str(), "图片.png");
/// assert_eq!(name.numbered(2).as_str(), "图片 (2).png");
/// # Ok::<(), switchboard_wire::NameError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FileName(String);

impl FileName {
    /// Reduces what a peer calls its file to a safe name.
    ///
    /// `/` and `\` both separate, and the last component that is not empty counts. Control
    /// characters in it become `_`; white space around it and dots at its end are removed; a
    /// leading `-` and the name of a Windows device get a `_` in front; a name of more than 255
    /// bytes is shortened before its extension. Reducing a reduced name changes nothing.
    ///
    /// # Errors
    /// [`NameError`] if nothing usable is left.
    pub fn reduce(raw: &str) -> Result<Self, NameError> {
        if raw.contains('\0') {
            return Err(NameError::Nul);
        }
        let last = raw
            .rsplit(['/', '\\'])
            .find(|component| !component.is_empty())
            .ok_or(NameError::Empty)?;
        if matches!(last, "." | "..") {
            return Err(NameError::Dots);
        }
        let mut name: String = last
            .chars()
            .map(|c| if is_control(c) { '_' } else { c })
            .collect();
        // Each step can make the ones before it necessary again: a shortened name may end in a
        // space, or be a device's. It ends because `guard` acts at most once, the others only
        // shorten.
        loop {
            let next = shorten(guard(trim(&name).to_owned()));
            if next.is_empty() {
                return Err(NameError::Empty);
            }
            if next == name {
                return Ok(Self(name));
            }
            name = next;
        }
    }

    /// What to call what has no name.
    pub(crate) fn nameless() -> Self {
        Self("download".to_owned())
    }

    /// Gives the name to try when this one is taken: `name (n).ext`.
    ///
    /// The number stands before the last extension, and the stem is shortened where the whole would
    /// have more than 255 bytes.
    #[must_use]
    pub fn numbered(&self, n: u32) -> Self {
        let (stem, extension) = split_extension(&self.0);
        let number = format!(" ({n})");
        let room = FILE_NAME_BYTES_MAX.saturating_sub(number.len() + extension.len());
        Self(format!("{}{number}{extension}", cut(stem, room)))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for FileName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a peer's file name cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name means a folder, not a file.
    #[error("`.` and `..` name folders, not files")]
    Dots,
    /// Nothing is left of the name.
    #[error("nothing is left of the file name without folders, white space and trailing dots")]
    Empty,
    /// The name holds a NUL, which ends a name for the operating system.
    #[error("the file name holds a NUL character")]
    Nul,
}

fn trim(name: &str) -> &str {
    name.trim_start()
        .trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}

/// Puts `_` before a name that a command line or Windows would take for something else.
fn guard(name: String) -> String {
    if name.starts_with('-') || is_device(&name) {
        format!("_{name}")
    } else {
        name
    }
}

fn is_device(name: &str) -> bool {
    // Windows looks at what stands before the first dot or colon, without the spaces after it.
    let base = name.split(['.', ':']).next().unwrap_or_default().trim_end();
    if DEVICES
        .iter()
        .any(|device| base.eq_ignore_ascii_case(device))
    {
        return true;
    }
    let Some((port, number)) = base.split_at_checked(3) else {
        return false;
    };
    let mut number = number.chars();
    // Windows takes a superscript ¹, ² or ³ for a digit too.
    ["COM", "LPT"]
        .iter()
        .any(|kind| port.eq_ignore_ascii_case(kind))
        && matches!(number.next(), Some('0'..='9' | '¹' | '²' | '³'))
        && number.next().is_none()
}

fn shorten(name: String) -> String {
    if name.len() <= FILE_NAME_BYTES_MAX {
        return name;
    }
    let (stem, extension) = split_extension(&name);
    format!(
        "{}{extension}",
        cut(stem, FILE_NAME_BYTES_MAX.saturating_sub(extension.len()))
    )
}

/// Splits before the last dot, unless that would leave no stem or is no extension by its length.
fn split_extension(name: &str) -> (&str, &str) {
    let (stem, extension) = match name.rfind('.') {
        Some(dot) => name.split_at_checked(dot).unwrap_or((name, "")),
        None => (name, ""),
    };
    if stem.is_empty() || extension.len() > 1 + FILE_EXTENSION_BYTES_MAX {
        return (name, "");
    }
    (stem, extension)
}

/// The longest beginning of `text` with at most `bytes` bytes and no character cut in two.
fn cut(text: &str, bytes: usize) -> &str {
    (0..=bytes)
        .rev()
        .find_map(|end| text.get(..end))
        .unwrap_or_default()
}
