//! What the rooms have in common. They speak as the hub's chat door does: a line is a message, each
//! is told to all others as `name:text`, and one that begins with `/` is answered to its speaker.

/// The answer to any command. Lines that begin with `* ` are the room's own.
pub(crate) const ANSWER: &[u8] = b"* a room for measuring: /anything is answered with this\n";

/// What stands before the lines of a member: of one length, as addresses nearly are.
pub(crate) fn name(number: usize) -> Vec<u8> {
    format!("127.0.0.1:{number:05}:").into_bytes()
}

/// How many of the bytes are whole lines.
pub(crate) fn whole_lines(bytes: &[u8]) -> usize {
    let last = bytes.iter().rposition(|byte| *byte == b'\n');
    last.map_or(0, |place| place + 1)
}
