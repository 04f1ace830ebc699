//! What of a socket may change, in one word, and the mode of new sockets.
//!
//! Who accepts pays for each instruction: with a word of its mode alone a new socket is complete.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use crate::wait::{Deadline, Mode, Patience};

/// What every value holds at its own bits, so that accepting takes its flags out of one with a
/// single instruction: those of accept4(2) that make a socket of the mode. The nanoseconds of a
/// limit lie around them.
const FLAGS: u64 = CLOEXEC | NONBLOCK;
const CLOEXEC: u64 = bit(libc::SOCK_CLOEXEC);
const NONBLOCK: u64 = bit(libc::SOCK_NONBLOCK);
const _: () = assert!(NONBLOCK.is_power_of_two() && CLOEXEC.is_power_of_two());
const _: () = assert!(NONBLOCK < CLOEXEC);

const BLOCK: u64 = CLOEXEC;

/// A limit of no time; every other value is [`Mode::Within`].
const NONE: u64 = FLAGS;

const CLOSED: u64 = 1 << 63;
const BORROWED: u64 = 1 << 62;
const UNCUT: u64 = 1 << 61;
const MARKS: u64 = CLOSED | BORROWED | UNCUT;

const LIMIT_MAX: u64 = u64::MAX >> (MARKS | FLAGS).count_ones();

/// A [`Mode`] as a socket keeps it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawMode(u64);

impl RawMode {
    #[inline]
    pub(crate) fn of(mode: Mode) -> Self {
        Self(match mode {
            Mode::Block => BLOCK,
            Mode::NonBlock => NONE,
            Mode::Within(limit) => limit_to_raw(limit),
        })
    }

    /// [`Mode::for_new_sockets`].
    #[inline]
    pub(crate) fn usual() -> Self {
        Self(FOR_NEW.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn mode(self) -> Mode {
        match self.0 {
            BLOCK => Mode::Block,
            NONE => Mode::NonBlock,
            raw => Mode::Within(limit_of(raw)),
        }
    }

    /// How a call waits that begins now.
    #[inline]
    pub(crate) fn patience(self) -> Patience {
        match self.0 {
            BLOCK => Patience::Kernel,
            NONE => Patience::None,
            raw => Patience::Until(Deadline::within(limit_of(raw))),
        }
    }

    /// The flags of accept4(2) that make a socket of this mode.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the flags are of that size"
    )]
    pub(crate) const fn accept_flags(self) -> i32 {
        (self.0 & FLAGS).cast_signed() as i32
    }
}

/// A socket's mode, and what else of it may change, in all threads.
#[derive(Debug)]
pub(crate) struct State(AtomicU64);

impl State {
    /// Of an open socket that is one's own.
    #[inline]
    pub(crate) const fn new(mode: RawMode) -> Self {
        Self(AtomicU64::new(mode.0))
    }

    #[inline]
    pub(crate) fn mode(&self) -> RawMode {
        RawMode(self.0.load(Ordering::Relaxed) & !MARKS)
    }

    pub(crate) fn set_mode(&self, mode: RawMode) {
        let keep_marks = |state| Some(state & MARKS | mode.0);
        // It always has a next value.
        let _before = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, keep_marks);
    }

    /// Marks it as closed, and answers whether it was before.
    pub(crate) fn close(&self) -> bool {
        self.0.fetch_or(CLOSED, Ordering::SeqCst) & CLOSED != 0
    }

    /// Marks it as open again.
    pub(crate) fn reopen(&self) {
        self.0.fetch_and(!CLOSED, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Ordering::SeqCst) & CLOSED != 0
    }

    /// Marks the descriptor as somebody else's.
    pub(crate) fn borrow(&mut self) {
        *self.0.get_mut() |= BORROWED;
    }

    pub(crate) fn is_borrowed(&self) -> bool {
        self.0.load(Ordering::Relaxed) & BORROWED != 0
    }

    /// Marks that the kernel cannot cut what goes by this socket into datagrams.
    pub(crate) fn stop_segmentation(&self) {
        self.0.fetch_or(UNCUT, Ordering::Relaxed);
    }

    pub(crate) fn is_segmentation_offloaded(&self) -> bool {
        self.0.load(Ordering::Relaxed) & UNCUT == 0
    }
}

/// The mode of sockets that are made without one being said, process-wide.
static FOR_NEW: AtomicU64 = AtomicU64::new(BLOCK);

impl Mode {
    /// The mode of new sockets: of [`crate::Socket::new`], [`crate::Socket::pair`] and
    /// [`crate::Socket::accept`]. [`Mode::Block`] unless the program has chosen another.
    #[doc(alias = "getdefaulttimeout")]
    #[must_use]
    pub fn for_new_sockets() -> Self {
        RawMode::usual().mode()
    }

    /// Chooses the mode of sockets that will be made from now on, everywhere in the process. A
    /// matter of the program: no library should do it.
    #[doc(alias = "setdefaulttimeout")]
    pub fn set_for_new_sockets(self) {
        FOR_NEW.store(RawMode::of(self).0, Ordering::Relaxed);
    }
}

/// Beyond 18 years a limit is as good as none, but it must not become [`Mode::Block`], which is
/// another state of the descriptor.
#[cold]
fn limit_to_raw(limit: Duration) -> u64 {
    let nanos = u64::try_from(limit.as_nanos()).unwrap_or(LIMIT_MAX);
    let nanos = nanos.min(LIMIT_MAX);
    FLAGS | open(open(nanos, NONBLOCK), CLOEXEC)
}

#[inline]
const fn limit_of(raw: u64) -> Duration {
    Duration::from_nanos(close(close(raw, CLOEXEC), NONBLOCK))
}

/// Makes room for a bit, moving those above it up.
const fn open(value: u64, bit: u64) -> u64 {
    let below = value & (bit - 1);
    below | ((value ^ below) << 1)
}

/// Takes a bit out, moving those above it down.
const fn close(value: u64, bit: u64) -> u64 {
    let below = value & (bit - 1);
    below | ((value >> 1) & !(bit - 1))
}

/// A flag of the kernel in a word of ours.
const fn bit(flag: i32) -> u64 {
    flag.cast_unsigned() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_kept_as_it_is_with_the_flags_that_make_it() {
        let nonblocking = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        assert_eq!(RawMode::of(Mode::Block).mode(), Mode::Block);
        assert_eq!(RawMode::of(Mode::Block).accept_flags(), libc::SOCK_CLOEXEC);
        assert_eq!(RawMode::of(Mode::NonBlock).mode(), Mode::NonBlock);
        assert_eq!(RawMode::of(Mode::NonBlock).accept_flags(), nonblocking);
        let powers = (0..59).map(|power| 1 << power);
        let around = powers.flat_map(|nanos: u64| [nanos, nanos | 1, nanos | nanos >> 1]);
        for nanos in around.chain([LIMIT_MAX, LIMIT_MAX - 1]) {
            let raw = RawMode::of(Mode::Within(Duration::from_nanos(nanos)));
            assert_eq!(raw.mode(), Mode::Within(Duration::from_nanos(nanos)));
            assert_eq!(raw.accept_flags(), nonblocking);
        }
    }

    #[test]
    fn what_else_changes_of_a_socket_leaves_its_mode_alone() {
        for mode in [Mode::Block, Mode::NonBlock, Mode::Within(Duration::MAX)] {
            let mut state = State::new(RawMode::of(mode));
            let kept = state.mode().mode();
            assert!(!state.is_closed() && !state.is_borrowed());
            assert!(state.is_segmentation_offloaded());
            assert!(!state.close());
            assert!(state.close() && state.is_closed());
            state.stop_segmentation();
            state.borrow();
            assert_eq!(state.mode().mode(), kept);
            state.reopen();
            state.set_mode(RawMode::of(Mode::NonBlock));
            assert_eq!(state.mode().mode(), Mode::NonBlock);
            assert!(!state.is_closed() && state.is_borrowed());
            assert!(!state.is_segmentation_offloaded());
        }
    }

    #[test]
    fn a_limit_of_no_time_does_not_wait_and_one_beyond_all_counting_is_long() {
        assert_eq!(
            RawMode::of(Mode::Within(Duration::ZERO)).mode(),
            Mode::NonBlock
        );
        let longest = RawMode::of(Mode::Within(Duration::MAX));
        assert_eq!(
            longest.mode(),
            Mode::Within(Duration::from_nanos(LIMIT_MAX))
        );
        assert_eq!(
            longest.accept_flags(),
            RawMode::of(Mode::NonBlock).accept_flags()
        );
    }
}
