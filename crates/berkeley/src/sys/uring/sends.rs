//! Memory that the kernel sends from: kept here from when a send is prepared until its completion.

use core::{mem, ptr};

use bytes::Bytes;
use io_uring::{opcode, squeue, types};

use super::buffers::Buffer;
use super::tag::{self, Tag};

/// Sends that are kept to be used again, with their memory.
const POOL_MAX: usize = 1024;

/// Memory that a kept send may always hold for bytes that are copied.
const COPY_BYTES_KEPT_MAX: usize = 4096;

/// What all kept sends may hold beyond that, so that long copies are free of allocations too.
const SPARE_BYTES_KEPT_MAX: usize = 4 * 1024 * 1024;

/// Something to send that stays where it is while it is owned.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Shared bytes.
    Bytes(Bytes),
    /// What was received, sent on from where it lies.
    Buffer(Buffer),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Buffer(buffer) => buffer,
        }
    }
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Buffer> for Piece {
    fn from(buffer: Buffer) -> Self {
        Self::Buffer(buffer)
    }
}

/// One send. The kernel knows the addresses of its parts, so it does not move.
struct Send {
    key: u64,
    pieces: Vec<Piece>,
    copied: Vec<u8>,
    slices: Vec<libc::iovec>,
    header: libc::msghdr,
    zero_copy: bool,
    /// How many attempts the kernel still reads the memory for (`IORING_CQE_F_NOTIF`).
    notices: u32,
    /// Its end was told, and only those are waited for.
    is_told: bool,
    /// What the attempts before this one have sent.
    sent: usize,
    /// Nobody wants the rest any more.
    is_cancelled: bool,
}

// SAFETY: the pointers in `slices` and `header` lead to memory that this value owns itself.
unsafe impl core::marker::Send for Send {}

impl Send {
    fn new() -> Self {
        Self {
            key: 0,
            pieces: Vec::new(),
            copied: Vec::new(),
            slices: Vec::new(),
            // SAFETY: msghdr is plain integers and pointers, for which all zeros is a valid value.
            header: unsafe { mem::zeroed() },
            zero_copy: false,
            notices: 0,
            is_told: false,
            sent: 0,
            is_cancelled: false,
        }
    }

    fn clear(&mut self) {
        self.pieces.clear();
        self.copied.clear();
        self.slices.clear();
    }

    /// What it holds beyond what each may.
    fn spare(&self) -> usize {
        self.copied.capacity().saturating_sub(COPY_BYTES_KEPT_MAX)
    }
}

/// The sends that are prepared or under way.
#[derive(Default)]
pub(super) struct Sends {
    // Boxed, since the list may move when it grows.
    #[expect(clippy::vec_box, reason = "the kernel knows where they are")]
    pool: Vec<Box<Send>>,
    open: Vec<Option<Box<Send>>>,
    free: Vec<u32>,
    /// What those in the pool hold beyond what each may.
    spare: usize,
}

impl Sends {
    #[inline]
    fn insert(&mut self, send: Box<Send>) -> u32 {
        if let Some(slot) = self.free.pop()
            && let Some(place) = self.open.get_mut(slot as usize)
        {
            *place = Some(send);
            return slot;
        }
        self.open.push(Some(send));
        u32::try_from(self.open.len() - 1).unwrap_or(u32::MAX)
    }

    #[inline]
    fn blank(&mut self, key: u64, zero_copy: bool) -> Box<Send> {
        let mut send = self.pool.pop().unwrap_or_else(|| Box::new(Send::new()));
        self.spare -= send.spare();
        send.key = key;
        send.zero_copy = zero_copy;
        send.notices = 0;
        send.is_told = false;
        send.sent = 0;
        send.is_cancelled = false;
        send
    }

    pub(super) fn add(
        &mut self,
        key: u64,
        pieces: impl Iterator<Item = Piece>,
        zero_copy: bool,
    ) -> u32 {
        let mut send = self.blank(key, zero_copy);
        send.pieces.extend(pieces);
        self.insert(send)
    }

    pub(super) fn add_copy(&mut self, key: u64, bytes: &[u8]) -> u32 {
        let mut send = self.blank(key, false);
        send.copied.extend_from_slice(bytes);
        self.insert(send)
    }

    pub(super) fn is_open(&self, slot: u32, key: u64) -> bool {
        matches!(self.open.get(slot as usize), Some(Some(send)) if send.key == key)
    }

    /// Notes that a send is being cancelled: what of it was taken by then is all.
    pub(super) fn cancel(&mut self, slot: u32) {
        if let Some(Some(send)) = self.open.get_mut(slot as usize) {
            send.is_cancelled = true;
        }
    }

    pub(super) fn open(&self) -> usize {
        self.open.len() - self.free.len()
    }

    /// The operation for a send. Its memory stays until `finish` or `forget`.
    pub(super) fn entry(&mut self, slot: u32, fd: types::Fd) -> Option<squeue::Entry> {
        let send = self.open.get_mut(slot as usize)?.as_mut()?;
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let (first, zero_copy) = (send.pieces.first(), send.zero_copy);
        let one = match (first, send.pieces.len()) {
            (None, _) => Some(send.copied.as_slice()),
            (Some(piece), 1) => Some(piece.bytes()),
            _ => None,
        };
        let one = one.and_then(|bytes| bytes.get(send.sent..));
        let whole = one.and_then(|bytes| Some((bytes, u32::try_from(bytes.len()).ok()?)));
        let entry = match whole {
            Some((bytes, len)) if zero_copy => opcode::SendZc::new(fd, bytes.as_ptr(), len)
                .flags(flags)
                .build(),
            Some((bytes, len)) => opcode::Send::new(fd, bytes.as_ptr(), len)
                .flags(flags)
                .build(),
            None => {
                let header = send.gather();
                let flags = flags.cast_unsigned();
                if zero_copy {
                    opcode::SendMsgZc::new(fd, header).flags(flags).build()
                } else {
                    opcode::SendMsg::new(fd, header).flags(flags).build()
                }
            }
        };
        Some(entry.user_data(tag::join(Tag::Send, 0, u64::from(slot))))
    }

    /// Notes one completion; the key and the result with the last one, when the memory is ours
    /// again.
    pub(super) fn finish(&mut self, slot: u32, result: i32, more: bool, notice: bool) -> Done {
        let Some(Some(send)) = self.open.get_mut(slot as usize) else {
            return Done::Nothing;
        };
        if notice {
            send.notices = send.notices.saturating_sub(1);
            if send.is_told {
                self.forget(slot);
            }
            return Done::Nothing;
        }
        send.notices += u32::from(more);
        let key = send.key;
        if !send.is_cancelled && send.is_to_go_on(result) {
            return Done::Again(key);
        }
        let result = send.count(result);
        self.forget(slot);
        Done::Sent(key, result)
    }

    /// Frees the place of a send that is at its end, once the kernel has done with its memory.
    pub(super) fn forget(&mut self, slot: u32) {
        if let Some(Some(send)) = self.open.get_mut(slot as usize)
            && send.notices > 0
        {
            send.is_told = true;
            return;
        }
        if let Some(mut send) = self.open.get_mut(slot as usize).and_then(Option::take) {
            self.free.push(slot);
            send.clear();
            if self.spare + send.spare() > SPARE_BYTES_KEPT_MAX {
                send.copied.shrink_to(COPY_BYTES_KEPT_MAX);
            }
            if self.pool.len() < POOL_MAX {
                self.spare += send.spare();
                self.pool.push(send);
            }
        }
    }
}

impl Send {
    /// Lays the pieces out for one gathered send.
    fn gather(&mut self) -> *const libc::msghdr {
        self.slices.clear();
        let mut skipped = self.sent;
        for piece in &self.pieces {
            let bytes = piece.bytes();
            let Some(bytes) = bytes.get(skipped..) else {
                skipped -= bytes.len();
                continue;
            };
            skipped = 0;
            self.slices.push(libc::iovec {
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            });
        }
        self.header.msg_iov = self.slices.as_mut_ptr();
        self.header.msg_iovlen = self.slices.len();
        ptr::from_ref(&self.header)
    }
}

impl Send {
    /// Notes a result. True if the kernel gave up although nothing has failed: it waits for room
    /// only so often, and then ends with what was taken by then.
    fn is_to_go_on(&mut self, result: i32) -> bool {
        let Ok(len) = usize::try_from(result) else {
            return result == -libc::EAGAIN;
        };
        let pieces: usize = self.pieces.iter().map(|piece| piece.bytes().len()).sum();
        let is_part = len > 0 && self.sent + len < pieces + self.copied.len();
        if is_part {
            self.sent += len;
        }
        is_part
    }

    /// The last result, with what was sent before.
    fn count(&self, result: i32) -> i32 {
        if result < 0 {
            return result;
        }
        result.saturating_add(i32::try_from(self.sent).unwrap_or(i32::MAX))
    }
}

/// What a completion of a send means.
pub(super) enum Done {
    /// There is more of it to be sent.
    Again(u64),
    /// Nothing that anybody waits for.
    Nothing,
    /// It has ended, although the kernel may go on reading the memory.
    Sent(u64, i32),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends copies of so many bytes at once, until the kernel has done with all of them.
    fn send_copies(sends: &mut Sends, count: usize, bytes: usize) {
        let slots: Vec<u32> = (0..count)
            .map(|_| sends.add_copy(1, &vec![7; bytes]))
            .collect();
        assert_eq!(sends.open(), count);
        for slot in slots {
            assert!(matches!(
                sends.finish(slot, 1 << 30, false, false),
                Done::Sent(1, _)
            ));
        }
        assert_eq!(sends.open(), 0);
    }

    #[test]
    fn so_many_sends_are_kept_to_be_used_again() {
        for (count, kept) in [
            (POOL_MAX - 1, POOL_MAX - 1),
            (POOL_MAX, POOL_MAX),
            (POOL_MAX + 1, POOL_MAX),
        ] {
            let mut sends = Sends::default();
            for _ in 0..3 {
                send_copies(&mut sends, count, 10);
                assert_eq!(sends.pool.len(), kept);
            }
            let all = sends.open.len();
            assert_eq!(
                (all, sends.free.len()),
                (count, count),
                "places are used again"
            );
        }
    }

    #[test]
    fn a_kept_send_holds_so_many_bytes_and_all_of_them_a_little_more() {
        for (bytes, spare) in [
            (COPY_BYTES_KEPT_MAX - 1, 0),
            (COPY_BYTES_KEPT_MAX, 0),
            (COPY_BYTES_KEPT_MAX + 1, 1),
        ] {
            let mut sends = Sends::default();
            send_copies(&mut sends, 3, bytes);
            assert_eq!(sends.spare, 3 * spare, "{bytes}");
            let held = |send: &Send| send.copied.capacity() == bytes;
            assert!(sends.pool.iter().all(|send| held(send)));
        }
        // Beyond what all may have together, each is cut to what it may always hold.
        let mut sends = Sends::default();
        let (count, bytes) = (10, SPARE_BYTES_KEPT_MAX / 4 + COPY_BYTES_KEPT_MAX);
        send_copies(&mut sends, count, bytes);
        assert_eq!(sends.spare, SPARE_BYTES_KEPT_MAX);
        let lengths = sends.pool.iter().map(|send| send.copied.capacity());
        let long = lengths.filter(|length| *length > COPY_BYTES_KEPT_MAX);
        assert_eq!(long.count(), 4);
        assert_eq!(sends.pool.len(), count);
    }
}
