//! One ring of entries: what lies where, and what comes next for whom. It knows no sockets.

use core::ops::Range;
use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Bytes, BytesMut};

use super::{FEED_BYTES_MIN, FeedLimits};
use crate::slots::Token;

/// Parts that one gathered call carries at most: one, two where the ring begins again, and more
/// where entries in between are passed over.
pub(crate) const PARTS_MAX: usize = 16;

/// Set beside the number of a reader's next entry while there may be entries of its own ahead.
const HAS_OWN: u64 = 1 << 63;

/// A connection, and the number of the entry that it gets next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) token: Token,
    place: u64,
}

impl Reader {
    pub(crate) const fn new(token: Token, next: u64) -> Self {
        let place = next | HAS_OWN;
        Self { token, place }
    }

    #[inline]
    pub(crate) const fn next(self) -> u64 {
        self.place & !HAS_OWN
    }

    /// Whether entries that it is not to get may be ahead.
    #[inline]
    pub(crate) const fn has_own(self) -> bool {
        self.place & HAS_OWN != 0
    }

    pub(crate) const fn set_own(&mut self) {
        self.place |= HAS_OWN;
    }

    /// Moves on. At the end of the ring nothing is ahead.
    #[inline]
    pub(crate) const fn set_next(&mut self, next: u64, end: u64) {
        self.place = if next == end {
            next
        } else {
            self.place & HAS_OWN | next
        };
    }
}

/// Where an entry ends, counted in all bytes that were ever appended, and who is not to get it.
#[derive(Debug, Clone, Copy)]
struct Entry {
    end: u64,
    except: Token,
}

/// What was laid out for one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Gathered {
    pub(crate) parts: usize,
    pub(crate) bytes: usize,
    /// The number of the entry behind it.
    pub(crate) next: u64,
}

/// Entries in a row, of which the oldest leave.
#[derive(Debug)]
pub(crate) struct Ring {
    limits: FeedLimits,
    bytes: Vec<u8>,
    entries: VecDeque<Entry>,
    /// The number of the oldest entry, and where it begins.
    first: u64,
    begin: u64,
    /// Where the newest one ends.
    end: u64,
    /// The same as a place in memory.
    end_at: usize,
}

/// Counts of bytes in memory fit.
fn count(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Two parts of a ring of which the first goes up to its end, if there is a second.
fn parts(ring: &[u8], range: Range<u64>) -> [&[u8]; 2] {
    let at = count(range.start.checked_rem(ring.len() as u64).unwrap_or(0));
    let len = count(range.end.saturating_sub(range.start));
    let first = ring.get(at..ring.len().min(at + len)).unwrap_or_default();
    let second = ring.get(..len - first.len()).unwrap_or_default();
    [first, second]
}

/// Writes bytes into a ring, which has room for them, from a place on; answers the place behind.
#[inline]
fn put(ring: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    let end = at + bytes.len();
    if end < ring.len() {
        if let Some(room) = ring.get_mut(at..end) {
            room.copy_from_slice(bytes);
        }
        return end;
    }
    let (first, second) = bytes.split_at(bytes.len().min(ring.len() - at));
    for (at, part) in [(at, first), (0, second)] {
        if let Some(room) = ring.get_mut(at..at + part.len()) {
            room.copy_from_slice(part);
        }
    }
    second.len()
}

impl Ring {
    pub(crate) const fn new(limits: FeedLimits) -> Self {
        Self {
            limits,
            bytes: Vec::new(),
            entries: VecDeque::new(),
            first: 0,
            begin: 0,
            end: 0,
            end_at: 0,
        }
    }

    /// The number that the next entry will have.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The numbers of the entries that are in it.
    #[inline]
    pub(crate) fn range(&self) -> Range<u64> {
        self.first..self.next()
    }

    /// True if it has more memory than it begins with.
    pub(crate) const fn is_grown(&self) -> bool {
        self.bytes.len() > FEED_BYTES_MIN
    }

    fn held(&self) -> usize {
        count(self.end - self.begin)
    }

    /// Memory for bytes of entries.
    pub(crate) const fn memory(&self) -> usize {
        self.bytes.len()
    }

    /// What it may hold where it may have so much memory, with an entry that is to come.
    fn most(&self, memory_max: usize, len: usize) -> usize {
        let may_grow_to = memory_max.max(FEED_BYTES_MIN);
        self.limits.bytes_max.min(may_grow_to).max(len)
    }

    /// Whether it takes more memory for an entry that is to come.
    pub(crate) fn would_grow(&self, len: usize, memory_max: usize) -> bool {
        self.held() + len > self.memory() && self.memory() < self.most(memory_max, len)
    }

    /// Lets entries before a number leave, up to a quarter of the memory.
    pub(crate) fn forget_read(&mut self, before: u64) {
        let enough = self.begin + self.memory() as u64 / 4;
        while self.first < before && self.begin < enough && self.drop_first() {}
    }

    /// How many entries leave for one that is to come.
    pub(crate) fn leaving(&self, len: usize, memory_max: usize) -> usize {
        let most = self.most(memory_max, len) as u64;
        let (mut left, mut begin) = (0, self.begin);
        let too_many = (self.entries.len() + 1).saturating_sub(self.limits.entries_max.max(1));
        while left < too_many || self.end - begin + len as u64 > most {
            let Some(entry) = self.entries.get(left) else {
                break;
            };
            begin = entry.end;
            left += 1;
        }
        left
    }

    /// Appends an entry and answers its number. The oldest ones leave where there is no room.
    pub(crate) fn append(&mut self, bytes: &[u8], except: Option<Token>, memory_max: usize) -> u64 {
        let most = self.most(memory_max, bytes.len());
        for _ in 0..self.leaving(bytes.len(), memory_max) {
            self.drop_first();
        }
        let need = self.held() + bytes.len();
        if need > self.bytes.len() {
            let doubled = need.checked_next_power_of_two().unwrap_or(need);
            self.resize(doubled.max(FEED_BYTES_MIN).min(most));
        }
        self.push(bytes, except)
    }

    /// The same where nothing has to leave or to grow for it; else nothing is done.
    #[inline]
    pub(crate) fn append_easily(&mut self, bytes: &[u8], except: Option<Token>) -> Option<u64> {
        let room = self.bytes.len().min(self.limits.bytes_max);
        let is_easy =
            self.held() + bytes.len() <= room && self.entries.len() < self.limits.entries_max;
        is_easy.then(|| self.push(bytes, except))
    }

    #[inline]
    fn push(&mut self, bytes: &[u8], except: Option<Token>) -> u64 {
        self.end_at = put(&mut self.bytes, self.end_at, bytes);
        self.end += bytes.len() as u64;
        let number = self.next();
        self.entries.push_back(Entry {
            end: self.end,
            except: except.unwrap_or(Token::NOBODY),
        });
        number
    }

    fn drop_first(&mut self) -> bool {
        let Some(entry) = self.entries.pop_front() else {
            return false;
        };
        self.first += 1;
        self.begin = entry.end;
        true
    }

    fn resize(&mut self, bytes: usize) {
        let mut ring = vec![0; bytes];
        let [first, second] = parts(&self.bytes, self.begin..self.end);
        let mut at = count(self.begin.checked_rem(bytes as u64).unwrap_or(0));
        at = put(&mut ring, at, first);
        self.end_at = put(&mut ring, at, second);
        self.bytes = ring;
    }

    /// Gives memory back, with the oldest entries as far as they have to leave for that.
    pub(crate) fn shrink(&mut self) {
        let most = FEED_BYTES_MIN.min(self.limits.bytes_max);
        while self.held() > most && self.drop_first() {}
        self.resize(most);
        self.entries.shrink_to_fit();
    }

    /// The entries from a number on, where they lie, and whether they are somebody's own.
    fn entries_for(&self, reader: Reader) -> impl Iterator<Item = (Range<u64>, bool)> {
        let skipped = count(reader.next().saturating_sub(self.first)).min(self.entries.len());
        let before = skipped.checked_sub(1).and_then(|it| self.entries.get(it));
        let mut begin = before.map_or(self.begin, |entry| entry.end);
        self.entries.range(skipped..).map(move |entry| {
            let start = core::mem::replace(&mut begin, entry.end);
            (start..entry.end, entry.except == reader.token)
        })
    }

    /// Lays out what comes next for a reader: whole entries of at most so many bytes, but one at
    /// least.
    pub(crate) fn gather<'a>(
        &'a self,
        reader: Reader,
        bytes_max: usize,
        slices: &mut [IoSlice<'a>; PARTS_MAX],
    ) -> Gathered {
        let (mut gathered, mut run) = (Gathered::default(), None::<Range<u64>>);
        if reader.token == Token::ANYBODY {
            let (_, bytes) = self.bytes_around(reader.next());
            if bytes <= bytes_max {
                // Everything there is, without looking at each entry.
                (gathered.bytes, gathered.next) = (bytes, self.next());
                run = Some(self.end - bytes as u64..self.end);
                self.lay(&mut run, &mut gathered, slices);
                return gathered;
            }
        }
        gathered.next = reader.next();
        for (lies, is_own) in self.entries_for(reader) {
            if is_own {
                self.lay(&mut run, &mut gathered, slices);
                if gathered.parts + 2 > PARTS_MAX {
                    break;
                }
            } else {
                let len = count(lies.end - lies.start);
                if gathered.bytes > 0 && gathered.bytes + len > bytes_max {
                    break;
                }
                gathered.bytes += len;
                run = Some(run.map_or(lies.start, |run| run.start)..lies.end);
            }
            gathered.next += 1;
        }
        self.lay(&mut run, &mut gathered, slices);
        gathered
    }

    fn lay<'a>(
        &'a self,
        run: &mut Option<Range<u64>>,
        gathered: &mut Gathered,
        slices: &mut [IoSlice<'a>; PARTS_MAX],
    ) {
        let Some(run) = run.take() else {
            return;
        };
        for part in parts(&self.bytes, run) {
            if !part.is_empty()
                && let Some(slice) = slices.get_mut(gathered.parts)
            {
                *slice = IoSlice::new(part);
                gathered.parts += 1;
            }
        }
    }

    /// Where a reader is that has taken so many bytes more: the number of the first entry that it
    /// does not have whole, what it lacks of that, and whether it has a part of it.
    pub(crate) fn cut(&self, reader: Reader, mut taken: u64) -> (u64, [&[u8]; 2], bool) {
        let mut next = reader.next();
        for (lies, is_own) in self.entries_for(reader) {
            let len = lies.end - lies.start;
            if !is_own && len > taken {
                let rest = parts(&self.bytes, lies.start + taken..lies.end);
                return (next, rest, taken > 0);
            }
            if !is_own {
                taken -= len;
            }
            next += 1;
        }
        (next, [&[], &[]], false)
    }

    /// How many bytes there are before an entry, and behind.
    pub(crate) fn bytes_around(&self, number: u64) -> (usize, usize) {
        let skipped = count(number.saturating_sub(self.first)).min(self.entries.len());
        let before = skipped.checked_sub(1).and_then(|it| self.entries.get(it));
        let place = before.map_or(self.begin, |entry| entry.end);
        (count(place - self.begin), count(self.end - place))
    }

    /// A copy of all that a reader has not got.
    pub(crate) fn rest(&self, reader: Reader) -> Bytes {
        let mut rest = BytesMut::new();
        for (lies, is_own) in self.entries_for(reader) {
            if !is_own {
                for part in parts(&self.bytes, lies) {
                    rest.extend_from_slice(part);
                }
            }
        }
        rest.freeze()
    }
}
