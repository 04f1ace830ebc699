//! Memory that the kernel receives into: provided-buffer rings, and what is handed out of them.
//!
//! A chunk belongs to the kernel from when it is provided until the kernel says that it has done
//! with it. What it has filled before is handed out meanwhile, since it never writes there again.
//! A chunk is provided anew only when all that was handed out of it has been given back, which its
//! own count of references tells.

use core::fmt;
use core::ops::{Bound, Deref, RangeBounds};
use core::ptr::NonNull;
use core::slice;
use core::sync::atomic::{AtomicU16, Ordering};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::sync::Arc;

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use crate::errno::Errno;

/// `IOU_PBUF_RING_INC`: the kernel fills a buffer piece by piece.
const PBUF_RING_INC: u16 = 2;

/// The kernel's own limit of entries.
pub(crate) const ENTRIES_MAX: u16 = 1 << 15;

/// Memory that the kernel writes to. It is zeroed, so that it can be read at any time.
struct Chunk {
    place: NonNull<u8>,
    layout: Layout,
}

// SAFETY: bytes on the heap that belong to no thread. Who reads which of them, and when, is for
// `Group` to keep in order.
unsafe impl Send for Chunk {}
// SAFETY: shared, they are only read, and only those that the kernel has done with.
unsafe impl Sync for Chunk {}

impl Chunk {
    fn new(len: usize, align: usize) -> Result<Self, Errno> {
        let layout = Layout::from_size_align(len, align).map_err(|_| Errno::EINVAL)?;
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        // SAFETY: the layout is not empty, as was just seen.
        let place = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(Errno::ENOMEM)?;
        Ok(Self { place, layout })
    }

    fn address(&self) -> u64 {
        self.place.as_ptr().expose_provenance() as u64
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.place.as_ptr(), self.layout) };
    }
}

/// Bytes that were received, in a buffer of the ring: it goes back when the last clone is
/// dropped. Hold it no longer than needed, for there are only so many.
///
/// It can be cut and sent on without a copy ([`crate::uring::Piece`]).
#[derive(Clone, Default)]
pub struct Buffer {
    chunk: Option<Arc<Chunk>>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// A part of it, sharing the memory; `None` where the range is not within it.
    #[must_use]
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Option<Self> {
        let from = match range.start_bound() {
            Bound::Included(at) => *at,
            Bound::Excluded(at) => at.checked_add(1)?,
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(at) => at.checked_add(1)?,
            Bound::Excluded(at) => *at,
            Bound::Unbounded => self.len,
        };
        if to > self.len {
            return None;
        }
        Some(Self {
            chunk: self.chunk.clone(),
            start: self.start + from,
            len: to.checked_sub(from)?,
        })
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let Some(chunk) = &self.chunk else {
            return &[];
        };
        // SAFETY: `Group::take` saw that the range is within the chunk, and cuts keep it there.
        let place = unsafe { chunk.place.as_ptr().add(self.start) };
        // SAFETY: the chunk lives as long as `self`, all its bytes were zeroed once, and nobody
        // writes to these while a reference to the chunk is out (see the module's words).
        unsafe { slice::from_raw_parts(place, self.len) }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// What the kernel said of a buffer in a completion.
#[derive(Clone, Copy)]
pub(super) struct Filled {
    pub(super) id: u16,
    pub(super) len: usize,
    /// The kernel goes on filling this chunk behind these bytes.
    pub(super) goes_on: bool,
}

/// One provided-buffer ring and its chunks.
pub(super) struct Group {
    /// The ring itself, shared with the kernel: entries of sixteen bytes, and in the first of
    /// them the tail.
    ring: Chunk,
    mask: u16,
    tail: u16,
    chunks: Vec<Arc<Chunk>>,
    chunk_len: u32,
    /// How much of each chunk the kernel has filled.
    filled: Vec<usize>,
    /// Chunks that the kernel has done with and that were not provided anew yet.
    away: Vec<u16>,
}

impl Group {
    pub(super) fn new(count: u16, len: u32) -> Result<Self, Errno> {
        let entries = count.checked_next_power_of_two().ok_or(Errno::EINVAL)?;
        if count == 0 || entries > ENTRIES_MAX {
            return Err(Errno::EINVAL);
        }
        // The kernel wants the ring at the start of a page.
        let page = super::PAGE_BYTES_MAX;
        let ring = Chunk::new(usize::from(entries) * size_of::<BufRingEntry>(), page)?;
        let bytes = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
        let chunks: Result<Vec<_>, _> = (0..count)
            .map(|_| Chunk::new(bytes, 64).map(Arc::new))
            .collect();
        Ok(Self {
            ring,
            mask: entries - 1,
            tail: 0,
            chunks: chunks?,
            chunk_len: len,
            filled: vec![0; usize::from(count)],
            away: (0..count).collect(),
        })
    }

    /// Tells the kernel of the ring; `shared`: many receives fill one chunk after the other.
    pub(super) fn register(
        &mut self,
        submitter: &Submitter<'_>,
        id: u16,
        shared: bool,
    ) -> Result<(), Errno> {
        let flags = if shared { PBUF_RING_INC } else { 0 };
        // SAFETY: the ring's memory is as long as `mask + 1` entries, and `Engine` keeps it until
        // the kernel can no longer use it.
        let answer = unsafe {
            submitter.register_buf_ring_with_flags(self.ring.address(), self.mask + 1, id, flags)
        };
        answer.map_err(|error| super::errno_of(&error))?;
        self.give_back();
        Ok(())
    }

    /// Takes over what the kernel has filled. `None` for what cannot be: no such chunk, or more
    /// than it holds.
    pub(super) fn take(&mut self, filled: Filled) -> Option<Buffer> {
        let index = usize::from(filled.id);
        let chunk = self.chunks.get(index)?;
        let start = self.filled.get_mut(index)?;
        let end = start.checked_add(filled.len)?;
        if end > chunk.layout.size() {
            return None;
        }
        let buffer = Buffer {
            chunk: Some(Arc::clone(chunk)),
            start: *start,
            len: filled.len,
        };
        *start = end;
        if !filled.goes_on {
            self.away.push(filled.id);
        }
        Some(buffer)
    }

    /// Provides the chunks anew that nobody holds any more.
    pub(super) fn give_back(&mut self) {
        if self.away.is_empty() {
            return;
        }
        let mut away = core::mem::take(&mut self.away);
        let before = self.tail;
        away.retain(|id| !self.provide(*id));
        self.away = away;
        if self.tail != before {
            self.publish();
        }
    }

    /// Chunks that the kernel can fill.
    pub(super) fn available(&self) -> usize {
        self.chunks.len() - self.away.len()
    }

    /// Lays a chunk out for the kernel unless somebody holds a part of it.
    fn provide(&mut self, id: u16) -> bool {
        let index = usize::from(id);
        let (Some(chunk), Some(filled)) = (self.chunks.get_mut(index), self.filled.get_mut(index))
        else {
            return true;
        };
        // This also orders what the holders read before what the kernel will write.
        if Arc::get_mut(chunk).is_none() {
            return false;
        }
        *filled = 0;
        let at = usize::from(self.tail & self.mask);
        let entries = self.ring.place.as_ptr().cast::<BufRingEntry>();
        // SAFETY: the ring has `mask + 1` entries, and `at` is at most `mask`.
        let place = unsafe { entries.add(at) };
        // SAFETY: an entry of live, aligned and zeroed memory. The kernel looks at it only once
        // the tail is past it, and has done with what stood there before, since there are never
        // more chunks than entries.
        let entry = unsafe { &mut *place };
        entry.set_addr(chunk.address());
        entry.set_len(self.chunk_len);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        true
    }

    fn publish(&self) {
        let entries = self.ring.place.as_ptr().cast::<BufRingEntry>();
        // SAFETY: the address of the first entry of the ring, which is initialized.
        let tail = unsafe { BufRingEntry::tail(entries) };
        // SAFETY: two aligned bytes that live as long as the ring. They are written here alone,
        // and the kernel reads them.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // What was laid out has to be seen before it is told.
        tail.store(self.tail, Ordering::Release);
    }
}
