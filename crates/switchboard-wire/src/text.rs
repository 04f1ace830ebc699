//! Text from a stranger, made safe to show in a terminal.
//!
//! It never decides what may be said: only what could move the cursor, recolour the screen, start a
//! new line or turn the reading order round is taken out.

use std::borrow::Cow;

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
    if is_plain(text) || !text.contains(is_removed) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(|c| !is_removed(*c)).collect())
}

/// Whether all of it is ASCII that shows, spaces and tabs: one line that is clean.
pub(crate) fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes.len() {
        0..8 => all_plain(bytes),
        8..16 => blocks_are_plain::<8>(bytes),
        16..64 => blocks_are_plain::<16>(bytes),
        _ => blocks_are_plain::<64>(bytes),
    }
}

/// Looks at all of a block at once, and at the last block over what was looked at already.
fn blocks_are_plain<const N: usize>(bytes: &[u8]) -> bool {
    let is_plain = |block: &[u8; N]| all_plain(block);
    let (blocks, _) = bytes.as_chunks();
    blocks.iter().all(is_plain) && bytes.last_chunk().is_none_or(is_plain)
}

/// Without an end before the last one, so that vector registers do it.
#[inline]
fn all_plain(bytes: &[u8]) -> bool {
    let is_plain = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    bytes.iter().fold(true, |all, byte| all & is_plain(byte))
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
