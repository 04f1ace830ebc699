//! How a reactor gets its work done: it waits until sockets are ready, or lets the kernel complete
//! what it wants of them. What is above this file does not know which.

use berkeley::selector::{Backend, Interest};
use berkeley::{Error, Result, Waker};

use super::completion::Completion;
use super::readiness::Readiness;
use crate::slots::{Slots, Source, Token};

/// One of the two.
#[derive(Debug)]
pub(super) enum Driver {
    Completion(Box<Completion>),
    Readiness(Readiness),
}

impl Driver {
    /// The driver for a back end with its waker, and why it is another one than was asked for.
    pub(super) fn new(backend: Backend) -> Result<(Self, Waker, Option<Error>)> {
        if backend != Backend::IoUring {
            let (driver, waker) = Readiness::new(backend)?;
            return Ok((Self::Readiness(driver), waker, None));
        }
        match Completion::new() {
            Ok((driver, waker)) => Ok((Self::Completion(Box::new(driver)), waker, None)),
            Err(error @ Error::Unsupported(_)) => {
                let (driver, waker) = Readiness::new(Backend::Epoll)?;
                Ok((Self::Readiness(driver), waker, Some(error)))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn backend(&self) -> Backend {
        match self {
            Self::Completion(_) => Backend::IoUring,
            Self::Readiness(driver) => driver.backend(),
        }
    }

    /// True while there is something to do that no wait tells of.
    pub(super) fn is_busy(&self, slots: &Slots) -> bool {
        match self {
            Self::Completion(driver) => driver.is_busy(slots),
            Self::Readiness(driver) => driver.is_busy(slots),
        }
    }

    /// True if there is enough to do in this turn for sends to be handed over together.
    pub(super) const fn is_batch(&self) -> bool {
        match self {
            Self::Completion(driver) => driver.is_batch(),
            Self::Readiness(_) => false,
        }
    }

    /// What it should wait for at a source.
    pub(super) fn wanted(&self, source: &Source) -> Option<Interest> {
        match self {
            Self::Completion(_) => Completion::wanted(source),
            Self::Readiness(_) => source.wanted(),
        }
    }

    /// Brings what it waits for in line with what a source wants.
    pub(super) fn update(&mut self, token: Token, source: &mut Source) -> Result<()> {
        match self {
            Self::Completion(driver) => driver.update(token, source),
            Self::Readiness(driver) => driver.update(token, source, source.wanted()),
        }
    }

    /// Lets go of a source that is about to be closed.
    pub(super) fn forget(&mut self, token: Token, source: &Source) {
        match self {
            Self::Completion(driver) => driver.forget(token, source),
            Self::Readiness(driver) => driver.forget(token, source),
        }
    }

    /// The other form, if it is that.
    pub(super) const fn completion(&mut self) -> Option<&mut Completion> {
        match self {
            Self::Completion(driver) => Some(driver),
            Self::Readiness(_) => None,
        }
    }

    /// What waits for sources to be ready: all of them, or those that the other form polls.
    pub(super) const fn readiness(&mut self) -> &mut Readiness {
        match self {
            Self::Completion(driver) => driver.polls(),
            Self::Readiness(driver) => driver,
        }
    }
}
