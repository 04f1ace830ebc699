//! Text from a stranger, made safe to show in a terminal.
//!
//! It never decides what may be said: only what could move the cursor, recolour the screen, start a
//! new line or turn the reading order round is taken out.

use std::borrow::Cow;

/// Bytes that are looked at together, as vector registers do.
const BLOCK_BYTES: usize = 16;

/// Removes everything that can control a terminal, reorder a line or forge one.
///
/// That is C0 except the tab (line feed and carriage return are removed too), DEL, C1 (U+0080 to
/// U+009F), the line and paragraph separators (U+2028, U+2029) and the bidirectional controls
/// (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069).
/// The result is never longer than `text`, and is `text` itself when there is nothing to remove.
///
/// ```
/// use switchboard_wire::text::clean;
///
/// assert_eq!(clean("\x1b[2Jgone?\r\n"), "[2Jgone?");
/// assert_eq!(clean("图片\t✓"), "图片\t✓");
/// ```
///
/// # References
/// ECMA-48 §8 (C0, C1 and the sequences they begin); Unicode UAX #9 §2 (bidirectional controls).
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    let is_removed = |c: char| c != '\t' && is_control(c);
    // Most text is clean ASCII, which this settles without decoding it.
    if is_plain(text.as_bytes()) || !text.contains(is_removed) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(|c| !is_removed(*c)).collect())
}

/// Whether all of it is ASCII that shows, spaces and tabs: all of a block at once, the last one
/// over what was looked at already.
fn is_plain(bytes: &[u8]) -> bool {
    let plain = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    let all_are = |bytes: &[u8]| bytes.iter().fold(true, |all, byte| all & plain(byte));
    let block_is = |block: &[u8; BLOCK_BYTES]| all_are(block);
    let half_is = |block: &[u8; BLOCK_BYTES / 2]| all_are(block);
    let (blocks, rest) = bytes.as_chunks();
    blocks.iter().all(block_is)
        && match (bytes.last_chunk(), rest.first_chunk(), rest.last_chunk()) {
            (Some(last), ..) => block_is(last),
            (None, Some(first), Some(last)) => half_is(first) && half_is(last),
            _ => rest.iter().all(plain),
        }
}

/// Whether there is nothing but white space.
///
/// ```
/// use switchboard_wire::text::is_blank;
///
/// assert!(is_blank(" \t\u{a0}") && is_blank("") && !is_blank(" .") && !is_blank("图"));
/// ```
#[must_use]
pub fn is_blank(text: &str) -> bool {
    // A visible ASCII character at the beginning settles most.
    !text.as_bytes().first().is_some_and(u8::is_ascii_graphic) && text.trim().is_empty()
}

/// Whether `c` can control a terminal, reorder a line or forge one; the tab included.
pub(crate) fn is_control(c: char) -> bool {
    matches!(
        c,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}
