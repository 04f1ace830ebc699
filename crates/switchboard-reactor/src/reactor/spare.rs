//! A descriptor that is kept for those who come when there is no other left.

use std::fs::File;

use berkeley::{Addr, Errno, Error, Mode, Result};

use super::{ACCEPTS_PER_TURN_MAX, Reactor};
use crate::handler::Handler;
use crate::slots::{SourceKind, Token};

/// What can be opened anywhere and means nothing.
const NOTHING: &str = "/dev/null";

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
        }
        // Where somebody else was quicker, it is had again at the next occasion.
        self.spare.keep().ok();
    }
}
