//! The word that an operation and its completions share: what it is, a detail, and whose.

/// What an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    /// Nobody waits for it.
    Ignore = 0,
    /// Receives until it is ended; the detail is the group of buffers.
    Receive = 1,
    /// Receives once.
    ReceiveOnce = 2,
    /// Polls until it is ended; the detail is what for.
    Poll = 3,
    /// Polls once.
    PollOnce = 4,
    /// Accepts; the rest is a place in a list.
    Accept = 5,
    /// Sends; the rest is a place in a list.
    Send = 6,
    /// The ring's own waker.
    Wake = 7,
    /// A cancel of a [`Tag::Receive`] that did not find it; detail and rest are that one's.
    NoReceive = 8 + Self::Receive as isize,
    /// The same for [`Tag::Poll`].
    NoPoll = 8 + Self::Poll as isize,
    /// The same for [`Tag::Accept`].
    NoAccept = 8 + Self::Accept as isize,
}

/// Bits of a key that an operation has room for; one with a longer key fails with `EINVAL`.
pub const KEY_BITS: u32 = 56;

/// Joins the three. The detail has four bits, the rest [`KEY_BITS`].
pub(crate) const fn join(tag: Tag, detail: u8, rest: u64) -> u64 {
    (rest << 8) | ((detail as u64 & 15) << 4) | tag as u64
}

/// The word for a cancel of what has this word.
pub(crate) const fn of_cancel(data: u64) -> u64 {
    let (tag, detail, rest) = split(data);
    match tag {
        Tag::Receive => join(Tag::NoReceive, detail, rest),
        Tag::Poll => join(Tag::NoPoll, detail, rest),
        Tag::Accept => join(Tag::NoAccept, detail, rest),
        // These end once and for all, so that nobody need know.
        _ => join(Tag::Ignore, 0, 0),
    }
}

/// The word that a cancel with this word was about, if anybody needs to know.
pub(crate) const fn cancelled(data: u64) -> Option<u64> {
    let (tag, detail, rest) = split(data);
    match tag {
        Tag::NoReceive => Some(join(Tag::Receive, detail, rest)),
        Tag::NoPoll => Some(join(Tag::Poll, detail, rest)),
        Tag::NoAccept => Some(join(Tag::Accept, detail, rest)),
        _ => None,
    }
}

/// Takes them apart again.
pub(crate) const fn split(data: u64) -> (Tag, u8, u64) {
    let [low, ..] = data.to_le_bytes();
    let tag = match low & 15 {
        1 => Tag::Receive,
        2 => Tag::ReceiveOnce,
        3 => Tag::Poll,
        4 => Tag::PollOnce,
        5 => Tag::Accept,
        6 => Tag::Send,
        7 => Tag::Wake,
        9 => Tag::NoReceive,
        11 => Tag::NoPoll,
        13 => Tag::NoAccept,
        _ => Tag::Ignore,
    };
    (tag, low >> 4, data >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_comes_apart_again() {
        let rest = (1 << KEY_BITS) - 1;
        assert_eq!(split(join(Tag::Poll, 15, rest)), (Tag::Poll, 15, rest));
        assert_eq!(split(join(Tag::Receive, 3, 0)), (Tag::Receive, 3, 0));
        assert_eq!(split(0).0, Tag::Ignore);
        for tag in [Tag::Receive, Tag::Poll, Tag::Accept] {
            let data = join(tag, 5, rest);
            assert_eq!(cancelled(of_cancel(data)), Some(data));
        }
        assert_eq!(cancelled(of_cancel(join(Tag::Send, 0, 1))), None);
    }
}
