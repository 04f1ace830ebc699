//! The `io_uring` back end: polls that the kernel keeps, and one call that brings them up to date
//! and waits.

mod registry;

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::registry::Registry;
use super::patience::Patience;
use super::{Backend, EVENTS_MAX, Event, Interest, Key, Ready, Selector, Trigger, busy};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::sys::event;
use crate::sys::life::is_inert;
use crate::sys::uring::polls::Polls;
use crate::waker::Waker;

/// Polls that are handed over with one call.
const ENTRIES: u32 = 1024;

/// What the queue of completions has room for: all that one wait tells, a few times over.
const COMPLETIONS: u32 = 4096;

/// Pieces of work that the kernel does at most in one call (since Linux 6.13), unless it is asked
/// to wait for more.
const WORK_MAX: usize = 20;

/// The word of the selector's own waker.
const ALARM: u64 = u64::MAX - 1;

/// io_uring(7) as a selector, by polls that go on by themselves.
///
/// The ring belongs to the thread that waits; a wait in another one makes a new ring and registers
/// everything there anew. The edge triggers tell what is the case once more then, but for wakers.
///
/// It is no faster than epoll(7), and slower where much is ready: what is the case is looked up
/// with poll(2) after the kernel has told, and each number is compared with the file it stood for
/// (fstat(2)), while each arrival costs a completion that tells nothing new. On two cores with
/// Linux 6.18 an event costs 1.5 to 1.8 µs beside idle sockets, 1.2 to 1.4 with epoll; with all
/// sockets busy it has 0.56 (100 of them), 0.88 (1,000) and 0.73 (10,000) of epoll's events
/// (`switchboard bench mux`). What io_uring is good at is [`crate::uring`].
///
/// A poll holds the file that it is about. So a descriptor that is closed without being
/// unregistered stays open underneath, until it has something to tell; and one that another thread
/// unregisters does so until the next wait.
///
/// # References
/// io_uring_prep_poll_multishot(3), poll(2).
pub struct IoUring {
    registry: Mutex<Registry>,
    /// Held by the thread that waits, and for a moment by one that unregisters.
    polls: Mutex<State>,
    is_waited: AtomicBool,
    /// Ends a wait that has to heed a change.
    alarm: Waker,
}

struct State {
    polls: Polls,
    /// Words of polls that have to be looked at: what was told and shall be told again as long as
    /// it lasts, and what there was no room for in a report.
    hot: VecDeque<u64>,
    /// Those that the kernel has just told of.
    fresh: VecDeque<u64>,
    /// Those of this wait that shall be told again.
    told: Vec<u64>,
    /// Lent to each look.
    looked: Vec<libc::pollfd>,
    words: Vec<u64>,
    is_new: bool,
}

/// The one thread that waits.
struct Waits<'a>(&'a AtomicBool);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl fmt::Debug for IoUring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoUring")
            .field("alarm", &self.alarm)
            .finish_non_exhaustive()
    }
}

impl IoUring {
    /// Makes one.
    ///
    /// # Errors
    /// As [`crate::uring::Ring::new`].
    pub fn new() -> Result<Self> {
        Ok(Self {
            registry: Mutex::default(),
            polls: Mutex::new(State {
                polls: open()?,
                hot: VecDeque::new(),
                fresh: VecDeque::new(),
                told: Vec::new(),
                looked: Vec::new(),
                words: Vec::new(),
                is_new: true,
            }),
            is_waited: AtomicBool::new(false),
            alarm: Waker::new()?,
        })
    }

    /// [`Selector::wait`], ended by a signal too, for programs whose handlers have to run then. It
    /// may also end so for no reason: wait again for what is left of the limit.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when nothing is ready and the limit has not passed; else as there.
    ///
    /// # References
    /// signal(7), "Interruption of system calls".
    pub fn wait_interruptibly(
        &self,
        events: &mut Vec<Event>,
        limit: Option<Duration>,
    ) -> Result<()> {
        self.wait_by(events, &mut Patience::new(limit), true)
    }

    fn wait_by(
        &self,
        out: &mut Vec<Event>,
        patience: &mut Patience,
        ends_early: bool,
    ) -> Result<()> {
        out.clear();
        if self.is_waited.swap(true, Ordering::Acquire) {
            return Err(busy());
        }
        let _waits = Waits(&self.is_waited);
        // Nobody else has it for longer than a call that does not wait.
        let mut state = self.polls.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.polls.is_own_thread() {
            state.polls = open()?;
            state.is_new = true;
            state.hot.clear();
            self.registry().begin_anew();
        }
        state.polls.begin().map_err(failed)?;
        let answer = self.find(&mut state, out, patience, ends_early);
        self.registry().is_waited = false;
        answer
    }

    /// Nothing that is done under the lock can leave the registry half done.
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a wait that is under way heed what was changed.
    fn tell(&self, registry: MutexGuard<'_, Registry>) {
        let is_waited = registry.is_waited;
        drop(registry);
        if is_waited {
            self.alarm.raise();
        }
    }

    /// What is the case is found by looking, because a poll hands on what woke it, and that may
    /// have passed. Whoever was told last is looked at first, and then stands last in the row.
    fn find(
        &self,
        state: &mut State,
        out: &mut Vec<Event>,
        patience: &mut Patience,
        ends_early: bool,
    ) -> Result<()> {
        if core::mem::take(&mut state.is_new) {
            self.watch_alarm(state)?;
        }
        loop {
            self.hand_over(state)?;
            let mut hot = core::mem::take(&mut state.hot);
            let answer = self.look(state, &mut hot, out);
            state.hot = hot;
            answer?;
            let came = self.await_more(state, out, patience)?;
            let mut fresh = core::mem::take(&mut state.fresh);
            let answer = self.look(state, &mut fresh, out);
            // Who has not been told of comes before those who have.
            state.hot.append(&mut fresh);
            state.fresh = fresh;
            state.hot.extend(state.told.drain(..));
            answer?;
            if !out.is_empty() || (came == 0 && patience.has_ended()) || !patience.goes_on() {
                return Ok(());
            }
            if came == 0 && ends_early {
                return Err(Error::Interrupted {
                    call: "io_uring_enter",
                });
            }
        }
    }

    /// Hands over what was laid out, and waits unless there is something to report; answers how
    /// much the kernel told.
    fn await_more(&self, state: &mut State, out: &[Event], patience: &Patience) -> Result<usize> {
        let at_once = Some(Duration::ZERO);
        let limit = if out.is_empty() {
            patience.left()
        } else {
            at_once
        };
        let min = u32::from(limit != at_once);
        state.polls.enter(min, limit).map_err(failed)?;
        let mut came = self.gather(state)?;
        let mut all = came;
        while came >= WORK_MAX && all < EVENTS_MAX * 4 {
            let room = u32::try_from(EVENTS_MAX).unwrap_or(u32::MAX);
            state.polls.enter(room, at_once).map_err(failed)?;
            came = self.gather(state)?;
            all += came;
        }
        Ok(all)
    }

    fn watch_alarm(&self, state: &mut State) -> Result<()> {
        let fd = self.alarm.as_fd().as_raw_fd();
        let events = poll_events(Interest::READABLE);
        state.polls.add(fd, ALARM, events, true).map_err(failed)
    }

    /// Lays out what the kernel does not know yet. From now on a change raises the alarm.
    fn hand_over(&self, state: &mut State) -> Result<()> {
        let mut registry = self.registry();
        registry.is_waited = true;
        for data in registry.ended.drain(..) {
            state.polls.remove(data).map_err(failed)?;
        }
        while let Some(poll) = registry.next_change() {
            let (data, events) = (poll.data, poll.events);
            state
                .polls
                .add(poll.fd, data, events, poll.goes_on)
                .map_err(failed)?;
        }
        Ok(())
    }

    /// Takes what the kernel tells; answers how much that was.
    fn gather(&self, state: &mut State) -> Result<usize> {
        let mut registry = self.registry();
        let mut came = 0;
        while let Some(told) = state.polls.pop() {
            came += 1;
            if told.data == ALARM {
                self.alarm.forget();
                if !told.more {
                    self.watch_alarm(state)?;
                }
            } else if registry.hear(&told) {
                state.fresh.push_back(told.data);
            }
        }
        Ok(came)
    }

    /// Reports what is the case with those in a row, as far as there is room.
    fn look(&self, state: &mut State, row: &mut VecDeque<u64>, out: &mut Vec<Event>) -> Result<()> {
        let mut registry = self.registry();
        state.looked.clear();
        state.words.clear();
        while state.looked.len() + out.len() < EVENTS_MAX
            && let Some(data) = row.pop_front()
        {
            if let Some(fd) = registry.look_at(data) {
                state.looked.push(fd);
                state.words.push(data);
            }
        }
        if state.looked.is_empty() {
            return Ok(());
        }
        event::poll(&mut state.looked, 0)
            .or_else(|errno| {
                if errno == Errno::EINTR {
                    Ok(0)
                } else {
                    Err(errno)
                }
            })
            .map_err(|errno| Error::os("poll", errno))?;
        for (data, fd) in state.words.iter().zip(&state.looked) {
            let mask = u32::from(fd.revents.cast_unsigned());
            if registry.tell(*data, mask, out) {
                state.told.push(*data);
            }
        }
        Ok(())
    }

    /// Lets go at once of what was unregistered, if that is for this thread to do.
    fn let_go(&self) -> Result<()> {
        let Ok(mut state) = self.polls.try_lock() else {
            self.tell(self.registry());
            return Ok(());
        };
        if !state.polls.is_usable() {
            return Ok(());
        }
        for data in self.registry().ended.drain(..) {
            state.polls.remove(data).map_err(failed)?;
        }
        state.polls.enter(0, Some(Duration::ZERO)).map_err(failed)
    }
}

impl Selector for IoUring {
    fn register(
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        let events = check(fd, interest)?;
        let mut registry = self.registry();
        let answer = registry.add(fd.as_raw_fd(), key, events, trigger);
        self.tell(registry);
        answer.map_err(failed)
    }

    fn modify(
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<()> {
        let events = check(fd, interest)?;
        let mut registry = self.registry();
        let answer = registry.change(fd.as_raw_fd(), key, events, trigger);
        self.tell(registry);
        answer.map_err(failed)
    }

    fn unregister(&self, fd: BorrowedFd<'_>) -> Result<()> {
        let answer = self.registry().remove(fd.as_raw_fd());
        let is_polled = answer.map_err(failed)?;
        if is_polled { self.let_go() } else { Ok(()) }
    }

    fn wait(&self, out: &mut Vec<Event>, limit: Option<Duration>) -> Result<()> {
        self.wait_by(out, &mut Patience::new(limit), false)
    }

    fn waker(&self, key: Key) -> Result<Waker> {
        let waker = Waker::new()?;
        let fd = waker.as_fd();
        // Polled for edges it need not be lowered: each raise after it was told is one.
        self.register(fd, key, Interest::READABLE, Trigger::Edge)?;
        self.registry().keep(waker.clone());
        Ok(waker)
    }

    fn backend(&self) -> Backend {
        Backend::IoUring
    }
}

fn open() -> Result<Polls> {
    Polls::new(ENTRIES, COMPLETIONS).map_err(crate::uring::not_opened)
}

fn failed(errno: Errno) -> Error {
    Error::os("io_uring", errno)
}

/// What poll(2) calls an interest that can be had of a descriptor.
fn check(fd: BorrowedFd<'_>, interest: Interest) -> Result<u32> {
    if interest.contains(Interest::EXCLUSIVE) {
        return Err(Error::Unsupported(
            "io-uring has no exclusive wake-up: choose epoll".into(),
        ));
    }
    if is_inert(fd) {
        return Err(failed(Errno::EBADF));
    }
    Ok(poll_events(interest))
}

/// What poll(2) calls an interest. In io_uring urgent data alone do not wake a poll, but what the
/// kernel tells beside them does (`POLLRDBAND`).
pub(crate) fn poll_events(interest: Interest) -> u32 {
    let parts = [
        (Interest::READABLE, libc::POLLIN),
        (Interest::WRITABLE, libc::POLLOUT),
        (Interest::PRIORITY, libc::POLLPRI | libc::POLLRDBAND),
        (Interest::PEER_CLOSED, libc::POLLRDHUP),
    ];
    parts
        .into_iter()
        .filter(|(part, _)| interest.contains(*part))
        .fold(0, |mask, (_, flag)| mask | u32::from(flag.cast_unsigned()))
}

/// What poll(2) tells, in our words.
pub(crate) fn ready(mask: u32) -> Ready {
    let has = |flag: i16| mask & u32::from(flag.cast_unsigned()) != 0;
    Ready::default()
        .when(
            has(libc::POLLIN | libc::POLLHUP | libc::POLLERR),
            Ready::READABLE,
        )
        .when(has(libc::POLLOUT | libc::POLLERR), Ready::WRITABLE)
        .when(has(libc::POLLPRI), Ready::PRIORITY)
        .when(has(libc::POLLRDHUP), Ready::PEER_CLOSED)
        .when(has(libc::POLLERR), Ready::ERROR)
        .when(has(libc::POLLHUP), Ready::HANG_UP)
}
