//! Waiting for sockets to be ready, over any selector: the sockets are read and written when it
//! says so.

use core::time::Duration;
use std::os::fd::BorrowedFd;

use berkeley::selector::{Backend, Event, Interest, Key, Selector, Trigger};
use berkeley::{Errno, Result, Waker};

use super::Reactor;
use crate::handler::Handler;
use crate::slots::{Slots, Source, SourceKind, Token};

const WAKER_KEY: Key = Key(u64::MAX);

/// From so many sources on that were ready at once, more may be ready by now.
const BUSY_SOURCES_MIN: usize = 2;

/// From so many readers on that are to be written to, another look is cheaper than to write to them
/// twice.
const READERS_MIN: usize = 8;

/// A selector, and what it cannot watch.
#[derive(Debug)]
pub(super) struct Readiness {
    selector: Box<dyn Selector>,
    events: Vec<Event>,
    /// Inputs that no selector can watch because they are always ready: regular files.
    always_ready: Vec<Token>,
}

impl Readiness {
    pub(super) fn new(backend: Backend) -> Result<(Self, Waker)> {
        let selector = backend.open()?;
        let waker = selector.waker(WAKER_KEY)?;
        let driver = Self {
            selector,
            events: Vec::new(),
            always_ready: Vec::new(),
        };
        Ok((driver, waker))
    }

    pub(super) fn backend(&self) -> Backend {
        self.selector.backend()
    }

    /// True while there is something to read that the selector does not know of.
    pub(super) fn is_busy(&self, slots: &Slots) -> bool {
        self.always_ready
            .iter()
            .any(|token| is_wanted(slots, *token))
    }

    /// What is readable when the selector has something to tell, where there is such a thing.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.selector.descriptor()
    }

    /// Brings what the selector watches in line with what is wanted of a source.
    pub(super) fn update(
        &mut self,
        token: Token,
        source: &mut Source,
        wanted: Option<Interest>,
    ) -> Result<()> {
        if matches!(
            source.kind,
            SourceKind::Input {
                always_ready: true,
                ..
            }
        ) {
            return Ok(());
        }
        if wanted == source.watched {
            return Ok(());
        }
        let (fd, key, selector) = (source.fd(), token.key(), &self.selector);
        let done = match (source.watched, wanted) {
            (None, Some(interest)) => selector.register(fd, key, interest, Trigger::Level),
            (Some(_), Some(interest)) => selector.modify(fd, key, interest, Trigger::Level),
            (_, None) => selector.unregister(fd),
        };
        match (done, &mut source.kind) {
            (Ok(()), _) => source.watched = wanted,
            (Err(error), SourceKind::Input { always_ready, .. })
                if error.errno() == Some(Errno::EPERM) =>
            {
                *always_ready = true;
                self.always_ready.push(token);
            }
            (Err(error), _) => return Err(error),
        }
        Ok(())
    }

    /// Stops watching a source that is about to be closed.
    pub(super) fn forget(&mut self, token: Token, source: &Source) {
        if source.watched.is_some() {
            // The descriptor is open and watched, so this cannot fail; closing would do it too.
            drop(self.selector.unregister(source.fd()));
        }
        if let SourceKind::Input {
            always_ready: true, ..
        } = source.kind
        {
            self.always_ready.retain(|other| *other != token);
        }
    }
}

fn is_wanted(slots: &Slots, token: Token) -> bool {
    slots
        .get(token)
        .is_some_and(|source| source.wanted().is_some())
}

impl Reactor {
    /// Waits, and reads what is ready. Where that is several sources, and what they bring goes to
    /// many, it looks once more for what came meanwhile, which is written together with it.
    pub(super) fn wait_ready<H: Handler>(
        &mut self,
        handler: &mut H,
        mut limit: Option<Duration>,
    ) -> Result<()> {
        let mut may_look = true;
        loop {
            let driver = self.driver.readiness();
            driver.selector.wait(&mut driver.events, limit)?;
            let events = core::mem::take(&mut driver.events);
            let mut buffer = core::mem::take(&mut self.buffer);
            for event in &events {
                if event.key == WAKER_KEY {
                    handler.woken(self);
                } else {
                    let token = Token::from_key(event.key);
                    self.serve(handler, token, event.ready, &mut buffer);
                }
            }
            self.buffer = buffer;
            may_look &= events.len() >= BUSY_SOURCES_MIN;
            self.driver.readiness().events = events;
            if !may_look || self.stopped || self.feeds.due_readers() < READERS_MIN {
                break;
            }
            (may_look, limit) = (false, Some(Duration::ZERO));
        }
        // The list may change under way. One that is passed over for that has its next turn.
        let mut index = 0;
        while let Some(&token) = self.driver.readiness().always_ready.get(index) {
            if is_wanted(&self.slots, token) {
                self.read(handler, token);
            }
            index += 1;
        }
        Ok(())
    }
}
