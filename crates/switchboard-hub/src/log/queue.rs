//! What waits for the thread that writes. Entries for which nobody waits do not wake it: they are
//! written together a little later, in one commit instead of hundreds.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Asker, LogRequest};
use crate::limits::LOG_DELAY_BYTES_MAX;

/// The two ends of a queue.
pub(super) fn queue() -> (Entrance, Exit) {
    let queue = Arc::new(Queue::default());
    (Entrance(Arc::clone(&queue)), Exit(queue))
}

/// Where requests are put in. Dropping it closes the queue.
#[derive(Debug)]
pub(super) struct Entrance(Arc<Queue>);

/// Where they are taken out.
#[derive(Debug)]
pub(super) struct Exit(Arc<Queue>);

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    requests: VecDeque<(Asker, LogRequest)>,
    /// The costs of the entries among them.
    bytes: usize,
    /// Somebody waits for what is among them.
    is_urgent: bool,
    is_closed: bool,
    /// Nobody takes anything out any more.
    is_abandoned: bool,
    sleep: Sleep,
}

/// What wakes the thread that takes requests out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Sleep {
    /// It is awake, or was woken.
    #[default]
    Awake,
    /// Whatever comes.
    UntilAny,
    /// What cannot wait.
    UntilReady,
}

/// What was taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// All there was, which is something.
    Requests,
    /// Nothing: it is time for something else.
    Nothing,
    /// All there was, and nothing will come any more.
    Last,
}

impl State {
    /// Whether what there is must not wait for more.
    const fn is_ready(&self) -> bool {
        self.is_urgent || self.is_closed || self.bytes >= LOG_DELAY_BYTES_MAX
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the other end if it sleeps and this is what it sleeps for.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let is_woken = match state.sleep {
            Sleep::Awake => false,
            Sleep::UntilAny => true,
            Sleep::UntilReady => state.is_ready(),
        };
        if is_woken {
            state.sleep = Sleep::Awake;
            drop(state);
            self.changed.notify_one();
        }
    }
}

impl Entrance {
    /// Puts a request in, with the costs of its entries; false if nobody will ever take it out.
    #[must_use]
    pub(super) fn push(&self, asker: Asker, request: LogRequest, bytes: usize) -> bool {
        let mut state = self.0.lock();
        if state.is_abandoned {
            return false;
        }
        state.bytes += bytes;
        let can_wait = matches!(
            request,
            LogRequest::Append(_) | LogRequest::SetRoom { .. } | LogRequest::Retain { .. }
        );
        state.is_urgent |= !can_wait;
        state.requests.push_back((asker, request));
        self.0.wake(state);
        true
    }

    /// Somebody waits for what was put in.
    pub(super) fn hurry(&self) {
        let mut state = self.0.lock();
        if !state.requests.is_empty() {
            state.is_urgent = true;
            self.0.wake(state);
        }
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_closed = true;
        self.0.wake(state);
    }
}

impl Exit {
    /// Takes out all that there is, into `taken`, which is empty: at once what somebody waits for,
    /// and the rest not before `due`. Gives up at `until`, if nothing is to be taken out by then.
    pub(super) fn take(
        &self,
        taken: &mut VecDeque<(Asker, LogRequest)>,
        due: Instant,
        until: Option<Instant>,
    ) -> Taken {
        let mut state = self.0.lock();
        loop {
            let now = Instant::now();
            let is_due = now >= due && !state.requests.is_empty();
            if state.is_ready() || is_due {
                core::mem::swap(taken, &mut state.requests);
                state.bytes = 0;
                state.is_urgent = false;
                return if state.is_closed {
                    Taken::Last
                } else {
                    Taken::Requests
                };
            }
            if until.is_some_and(|until| now >= until) {
                return Taken::Nothing;
            }
            let next = (now < due).then_some(due);
            state.sleep = match next {
                Some(_) => Sleep::UntilReady,
                None => Sleep::UntilAny,
            };
            let next = next.into_iter().chain(until).min();
            state = self.wait(state, next.map(|next| next - now));
            state.sleep = Sleep::Awake;
        }
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        time: Option<core::time::Duration>,
    ) -> MutexGuard<'a, State> {
        let changed = &self.0.changed;
        match time {
            Some(time) => {
                let woken = changed.wait_timeout(state, time);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
            None => changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl Drop for Exit {
    fn drop(&mut self) {
        self.0.lock().is_abandoned = true;
    }
}
