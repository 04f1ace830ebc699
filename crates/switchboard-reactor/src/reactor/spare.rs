//! A descriptor that is kept for those who come when there is no other left.

use std::fs::File;
use std::sync::{PoisonError, RwLock};

use berkeley::{Addr, Errno, Error, Mode, Result, Socket};

use super::{ACCEPTS_PER_TURN_MAX, Reactor};
use crate::handler::Handler;
use crate::slots::{SourceKind, Token};

/// What can be opened anywhere and means nothing.
const NOTHING: &str = "/dev/null";

/// Descriptors are the process's: while one reactor has given its own up for somebody, no other
/// may accept, or that one would get it, and whoever is next would wait for ever.
static GIVEN_UP: RwLock<()> = RwLock::new(());

/// Accepts a connection as long as no reactor has given up its descriptor.
#[inline]
pub(super) fn accept(listener: &Socket) -> Result<(Socket, Option<Addr>)> {
    let _none_is_given_up = GIVEN_UP.read().unwrap_or_else(PoisonError::into_inner);
    listener.accept_with(Mode::NonBlock)
}

/// The kept descriptor.
#[derive(Debug, Default)]
pub(super) struct Spare {
    is_wanted: bool,
    file: Option<File>,
}

impl Spare {
    fn keep(&mut self) -> std::io::Result<()> {
        self.is_wanted = true;
        if self.file.is_none() {
            self.file = Some(File::open(NOTHING)?);
        }
        Ok(())
    }

    /// Gives it up for one connection; false if there is none.
    fn give_up(&mut self) -> bool {
        self.is_wanted && self.keep().is_ok() && self.file.take().is_some()
    }
}

impl Reactor {
    /// Keeps a descriptor ready, so that who connects when all others are used up is shown to
    /// [`Handler::crowded`] instead of being left waiting.
    ///
    /// # Errors
    /// There is none left already (`EMFILE`, `ENFILE`).
    pub fn keep_spare_descriptor(&mut self) -> Result<()> {
        self.spare.keep().map_err(|error| {
            let errno = error.raw_os_error().map_or(Errno::EMFILE, Errno::from_raw);
            Error::os("open", errno)
        })
    }

    /// Shows those who wait at a listener to the handler, one after the other, when `error` is that
    /// there are no descriptors left.
    pub(super) fn crowd<H: Handler>(&mut self, handler: &mut H, token: Token, error: &Error) {
        if !matches!(error.errno(), Some(Errno::EMFILE | Errno::ENFILE)) {
            return;
        }
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            let _alone = GIVEN_UP.write().unwrap_or_else(PoisonError::into_inner);
            if !self.spare.give_up() {
                return;
            }
            let Some(SourceKind::Listener { socket, .. }) =
                self.slots.get(token).map(|source| &source.kind)
            else {
                break;
            };
            let Ok((socket, peer)) = socket.accept_with(Mode::NonBlock) else {
                break;
            };
            handler.crowded(self, token, socket, peer.map(Addr::canonical));
            self.spare.keep().ok();
        }
        // Where a file that was opened was quicker, it is had again at the next occasion.
        self.spare.keep().ok();
    }
}
