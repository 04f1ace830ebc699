//! What is to happen at a later time.
//!
//! A hierarchical timing wheel over a slab (Varghese and Lauck, 1987): setting and cancelling link
//! and unlink a timer in the list of one slot, whatever their number. A slot of level 0 is a tick
//! of about a millisecond; one of level 1 is 64 of those, and so on. When a far slot comes near,
//! its timers are spread over the levels below, which happens to a timer at most once a level.
//!
//! Nothing ticks: the wheel is only looked at when it is asked, and it tells when that has to be
//! next.

use std::time::{Duration, Instant};

/// A tick is so many powers of two of nanoseconds: 1.05 ms.
const TICK_BITS: u32 = 20;

/// A level has 64 slots, one for each bit of a word.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;

/// As many as 64 bits of nanoseconds need.
const LEVELS: usize = 8;

/// Timers of a far slot that are looked at to find the first one. Where there are more, the slot is
/// spread as soon as it begins: one wake-up for so many timers is cheap.
const LOOKS_MAX: usize = 64;

/// Room that is kept while it is not needed.
const KEPT_TIMERS_MAX: usize = 1024;

const NONE: u32 = u32::MAX;

/// A timer that was set; it can be cancelled until it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerId {
    /// No two timers have the same.
    serial: u64,
    index: u32,
}

#[derive(Debug)]
struct Timer<T> {
    /// Nanoseconds from the beginning, or before it.
    at: i64,
    serial: u64,
    /// `None`: this place is free.
    value: Option<T>,
    /// The list that it is in; of a free place, `next` is the next free one.
    next: u32,
    previous: u32,
    level: u8,
    slot: u8,
    is_due: bool,
}

/// Timers in the order in which they are due; those of one moment in the order of setting.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    start: Instant,
    /// The tick that the wheel was looked at for last: nothing before it waits in a slot.
    tick: u64,
    timers: Vec<Timer<T>>,
    free: u32,
    live: usize,
    serial: u64,
    /// A bit for each slot that has timers.
    occupied: [u64; LEVELS],
    first: [[u32; SLOTS]; LEVELS],
    /// When to look again, while that is known.
    next: Option<i64>,
    /// Those that are due, the first one last.
    due: Vec<(i64, u64, u32)>,
}

impl<T> Timers<T> {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            tick: 0,
            timers: Vec::new(),
            free: NONE,
            live: 0,
            serial: 0,
            occupied: [0; LEVELS],
            first: [[NONE; SLOTS]; LEVELS],
            next: None,
            due: Vec::new(),
        }
    }

    /// When it was made.
    pub(crate) const fn start(&self) -> Instant {
        self.start
    }

    /// Sets a timer. One whose moment has passed is due with the next [`Timers::collect`].
    pub(crate) fn set(&mut self, at: Instant, value: T) -> TimerId {
        let at = self.nanos(at);
        self.serial += 1;
        let timer = Timer {
            at,
            serial: self.serial,
            value: Some(value),
            next: NONE,
            previous: NONE,
            level: 0,
            slot: 0,
            is_due: false,
        };
        let index = self.free;
        let index = if let Some(place) = self.timers.get_mut(index as usize) {
            self.free = place.next;
            *place = timer;
            index
        } else {
            // More than four thousand million timers do not fit into a process.
            let index = u32::try_from(self.timers.len()).unwrap_or(NONE);
            self.timers.push(timer);
            index
        };
        // With none before it, it is the first; otherwise it may be.
        self.next = match self.next {
            None if self.live == 0 => Some(at),
            next => next.map(|next| next.min(at)),
        };
        self.live += 1;
        self.link(index);
        TimerId {
            serial: self.serial,
            index,
        }
    }

    pub(crate) fn cancel(&mut self, id: TimerId) -> Option<T> {
        let timer = self.timers.get(id.index as usize)?;
        if timer.serial != id.serial || timer.value.is_none() {
            return None;
        }
        if !timer.is_due {
            if self.next == Some(timer.at) {
                self.next = None;
            }
            self.unlink(id.index);
        }
        self.release(id.index)
    }

    /// When to look next: when the first one is due. Where very many are far away together, a
    /// little earlier, to spread them.
    pub(crate) fn next(&mut self) -> Option<Instant> {
        if self.live == 0 {
            return None;
        }
        if !self.due.is_empty() {
            return Some(self.start);
        }
        if self.next.is_none() {
            self.next = self.look();
        }
        let nanos = self.next?;
        let from_start = Duration::from_nanos(nanos.unsigned_abs());
        if nanos < 0 {
            Some(self.start)
        } else {
            self.start.checked_add(from_start)
        }
    }

    /// Finds out what is due, for [`Timers::pop`]. What is set from now on is for the next time.
    pub(crate) fn collect(&mut self, now: Instant) {
        let now = self.nanos(now);
        let now_tick = tick_of(now);
        self.next = None;
        while let Some((level, slot)) = self.first_slot() {
            let begin = self.begin_of(level, slot);
            if begin > now_tick {
                break;
            }
            self.tick = begin;
            self.spread(level, slot, now);
            if begin == now_tick && level == 0 {
                break;
            }
        }
        self.tick = self.tick.max(now_tick);
        self.due.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// Takes out the first one that is due.
    pub(crate) fn pop(&mut self) -> Option<T> {
        while let Some((_, serial, index)) = self.due.pop() {
            // It may have been cancelled, and its place may be another's.
            let is_same = self
                .timers
                .get(index as usize)
                .is_some_and(|timer| timer.serial == serial);
            if is_same && let Some(value) = self.release(index) {
                return Some(value);
            }
        }
        if self.due.capacity() > KEPT_TIMERS_MAX {
            self.due = Vec::new();
        }
        None
    }

    /// Nanoseconds from the beginning: 292 years to each side are told apart.
    fn nanos(&self, at: Instant) -> i64 {
        match at.checked_duration_since(self.start) {
            Some(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            None => i64::try_from(self.start.duration_since(at).as_nanos())
                .map_or(i64::MIN, |before| -before),
        }
    }

    /// Puts a timer into its slot: on the level of the highest digit in which its tick differs from
    /// the present one.
    fn link(&mut self, index: u32) {
        let Some(timer) = self.timers.get_mut(index as usize) else {
            return;
        };
        let tick = tick_of(timer.at).max(self.tick);
        let difference = tick ^ self.tick;
        let level = difference.checked_ilog2().unwrap_or(0) / SLOT_BITS;
        let slot = (tick >> (level * SLOT_BITS)) % SLOTS as u64;
        let (level, slot) = (level.to_le_bytes()[0], slot.to_le_bytes()[0]);
        let Some((first, occupied)) = Self::slot(&mut self.first, &mut self.occupied, level, slot)
        else {
            return;
        };
        (timer.level, timer.slot) = (level, slot);
        (timer.previous, timer.next) = (NONE, *first);
        let second = core::mem::replace(first, index);
        *occupied |= 1 << slot;
        if let Some(second) = self.timers.get_mut(second as usize) {
            second.previous = index;
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some(timer) = self.timers.get(index as usize) else {
            return;
        };
        let (previous, next) = (timer.previous, timer.next);
        let (level, slot) = (timer.level, timer.slot);
        if let Some(timer) = self.timers.get_mut(next as usize) {
            timer.previous = previous;
        }
        if let Some(timer) = self.timers.get_mut(previous as usize) {
            timer.next = next;
        } else if let Some((first, occupied)) =
            Self::slot(&mut self.first, &mut self.occupied, level, slot)
        {
            *first = next;
            if next == NONE {
                *occupied &= !(1 << slot);
            }
        }
    }

    /// The list of a slot, and the word with its bit.
    fn slot<'a>(
        first: &'a mut [[u32; SLOTS]; LEVELS],
        occupied: &'a mut [u64; LEVELS],
        level: u8,
        slot: u8,
    ) -> Option<(&'a mut u32, &'a mut u64)> {
        let level = usize::from(level);
        let first = first.get_mut(level)?.get_mut(usize::from(slot))?;
        Some((first, occupied.get_mut(level)?))
    }

    /// The slot that comes first: those of a level lie between the present tick and all of the
    /// levels above.
    fn first_slot(&self) -> Option<(u8, u8)> {
        let (level, bits) = (0..).zip(self.occupied).find(|(_, bits)| *bits != 0)?;
        Some((level, bits.trailing_zeros().to_le_bytes()[0]))
    }

    /// The tick with which a slot begins.
    const fn begin_of(&self, level: u8, slot: u8) -> u64 {
        let below = level as u32 * SLOT_BITS;
        let above = (self.tick >> below) & !(SLOTS as u64 - 1);
        (above | slot as u64) << below
    }

    /// Empties a slot: what is due becomes so, everything else is put where it belongs by now.
    fn spread(&mut self, level: u8, slot: u8, now: i64) {
        let Some((first, occupied)) = Self::slot(&mut self.first, &mut self.occupied, level, slot)
        else {
            return;
        };
        let mut index = core::mem::replace(first, NONE);
        *occupied &= !(1 << slot);
        while let Some(timer) = self.timers.get_mut(index as usize) {
            let next = timer.next;
            if timer.at <= now {
                timer.is_due = true;
                self.due.push((timer.at, timer.serial, index));
            } else {
                self.link(index);
            }
            index = next;
        }
    }

    /// The first moment of the first slot.
    fn look(&self) -> Option<i64> {
        let (level, slot) = self.first_slot()?;
        let mut index = *self.first.get(usize::from(level))?.get(usize::from(slot))?;
        let (mut earliest, mut looks) = (i64::MAX, 0);
        while let Some(timer) = self.timers.get(index as usize) {
            earliest = earliest.min(timer.at);
            index = timer.next;
            looks += 1;
            if looks == LOOKS_MAX && level > 0 {
                let begin = self.begin_of(level, slot) << TICK_BITS;
                return Some(i64::try_from(begin).unwrap_or(i64::MAX));
            }
        }
        Some(earliest)
    }

    fn release(&mut self, index: u32) -> Option<T> {
        let timer = self.timers.get_mut(index as usize)?;
        let value = timer.value.take()?;
        timer.next = core::mem::replace(&mut self.free, index);
        self.live -= 1;
        if self.live == 0 && self.timers.capacity() > KEPT_TIMERS_MAX {
            (self.timers, self.free) = (Vec::new(), NONE);
        }
        Some(value)
    }
}

fn tick_of(nanos: i64) -> u64 {
    u64::try_from(nanos).unwrap_or(0) >> TICK_BITS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn due<T>(timers: &mut Timers<T>, now: Instant) -> Vec<T> {
        timers.collect(now);
        core::iter::from_fn(|| timers.pop()).collect()
    }

    #[test]
    fn timers_come_out_in_order_and_cancelled_ones_do_not() {
        let now = Instant::now();
        let mut timers = Timers::new();
        let later = now + Duration::from_secs(2);
        timers.set(later, "later");
        timers.set(now, "first");
        let gone = timers.set(now, "cancelled");
        timers.set(now, "second");
        assert_eq!(timers.cancel(gone), Some("cancelled"));
        assert_eq!(timers.cancel(gone), None);
        timers.collect(now);
        assert_eq!(timers.pop(), Some("first"));
        timers.set(now, "set in this round");
        assert_eq!(timers.pop(), Some("second"));
        assert_eq!(timers.pop(), None);
        assert_eq!(due(&mut timers, now), ["set in this round"]);
        assert_eq!(timers.next(), Some(later));
    }

    #[test]
    fn one_that_is_due_already_can_still_be_cancelled() {
        let now = Instant::now();
        let mut timers = Timers::new();
        timers.set(now, 1);
        let second = timers.set(now, 2);
        timers.set(now, 3);
        timers.collect(now);
        assert_eq!(timers.pop(), Some(1));
        assert_eq!(timers.cancel(second), Some(2));
        // Its place is another's now, which is not due.
        timers.set(now, 4);
        assert_eq!(timers.pop(), Some(3));
        assert_eq!(timers.pop(), None);
        assert_eq!(due(&mut timers, now), [4]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn moments_beyond_all_reckoning_are_no_trouble() {
        let now = Instant::now();
        let mut timers = Timers::new();
        let years = |count: u64| Duration::from_secs(count * 365 * 86_400);
        let far = timers.set(now + years(1000), "never");
        timers.set(now + years(200), "late");
        timers.set(now - years(1), "long ago");
        timers.set(now - years(2), "longer ago");
        assert_eq!(due(&mut timers, now), ["longer ago", "long ago"]);
        assert_eq!(timers.next(), Some(now + years(200)));
        assert_eq!(due(&mut timers, now + years(201)), ["late"]);
        assert_eq!(timers.cancel(far), Some("never"));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn none_is_early_late_lost_or_out_of_order_beside_a_plain_ordered_map() {
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        let start = Instant::now();
        let mut now = start;
        let (mut timers, mut plain, mut ids) = (Timers::new(), BTreeMap::new(), Vec::new());
        for round in 0..40_000_u64 {
            match random(8) {
                0..4 => {
                    // From nanoseconds to days, some in the past, many at one moment.
                    let scale = 1_u64 << random(48);
                    let at = start + (now - start) / 2 + Duration::from_nanos(random(scale + 1));
                    let at = if random(4) == 0 { now } else { at.max(now) };
                    ids.push((timers.set(at, round), (at, round)));
                    plain.insert((at, round), ());
                }
                4..6 if !ids.is_empty() => {
                    let place = usize::try_from(random(ids.len() as u64)).unwrap();
                    let (id, key) = ids.swap_remove(place);
                    let is_there = plain.remove(&key).is_some();
                    assert_eq!(timers.cancel(id), is_there.then_some(key.1));
                }
                _ => {
                    let scale = 1 << random(42);
                    now += Duration::from_nanos(random(scale));
                    let expected: Vec<u64> = plain
                        .range(..=(now, u64::MAX))
                        .map(|((_, value), ())| *value)
                        .collect();
                    plain.retain(|(at, _), ()| *at > now);
                    assert_eq!(due(&mut timers, now), expected);
                }
            }
            if let Some(next) = timers.next() {
                let first = plain.first_key_value().map(|((at, _), ())| *at).unwrap();
                assert!(next <= first.max(start), "it would be late");
                assert!(next == first || timers.live > LOOKS_MAX, "for nothing");
            } else {
                assert!(plain.is_empty());
            }
        }
        assert_eq!(timers.live, plain.len());
    }

    #[test]
    fn a_timer_takes_at_most_48_bytes() {
        assert!(size_of::<Timer<crate::slots::Due>>() <= 48);
    }
}
