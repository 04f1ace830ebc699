//! Where a content goes: into a partial file, or to the audience.

use switchboard_wire::FileName;
use switchboard_wire::http::Validator;

use super::checksum::Hasher;
use super::folder::Folder;
use super::part::Part;
use super::{Audience, Checksum, GetError, Saved};

#[derive(Debug)]
pub(super) enum Sink {
    Part(Part),
    Shown(Shown),
}

/// What the audience has been shown, which cannot be taken back.
#[derive(Debug)]
pub(super) struct Shown {
    bytes: u64,
    validator: Option<Validator>,
    total: Option<u64>,
    sum: Option<(Hasher, Checksum)>,
}

impl Shown {
    pub(super) fn new(checksum: Option<&Checksum>) -> Self {
        Self {
            bytes: 0,
            validator: None,
            total: None,
            sum: checksum.map(|it| (Hasher::new(it.algorithm), it.clone())),
        }
    }
}

impl Sink {
    /// From where on to ask, and what the content must still be.
    pub(super) fn resume(&self) -> Option<(u64, Validator)> {
        match self {
            Self::Part(part) => part.resume(),
            Self::Shown(shown) if shown.bytes == 0 => None,
            Self::Shown(shown) => Some((shown.bytes, shown.validator.clone()?)),
        }
    }

    pub(super) fn total(&self) -> Option<u64> {
        match self {
            Self::Part(part) => part.total(),
            Self::Shown(shown) => shown.total,
        }
    }

    pub(super) const fn bytes(&self) -> u64 {
        match self {
            Self::Part(part) => part.bytes(),
            Self::Shown(shown) => shown.bytes,
        }
    }

    /// Whether a try that failed can be made good by another one.
    pub(super) fn can_go_on(&self) -> bool {
        match self {
            Self::Part(_) => true,
            Self::Shown(shown) => shown.bytes == 0 || shown.validator.is_some(),
        }
    }

    pub(super) fn begin(
        &mut self,
        folder: Option<&Folder>,
        at: u64,
        validator: Option<Validator>,
        total: Option<u64>,
    ) -> Result<(), GetError> {
        match (self, folder) {
            (Self::Part(part), Some(folder)) => part.begin(folder, at, validator.as_ref(), total),
            (Self::Shown(shown), _) if at == shown.bytes => {
                shown.validator = validator;
                shown.total = total;
                Ok(())
            }
            (Self::Shown(shown), _) => Err(GetError::Disconnected { bytes: shown.bytes }),
            (Self::Part(_), None) => Err(GetError::Range),
        }
    }

    pub(super) fn write(
        &mut self,
        folder: Option<&Folder>,
        bytes: &[u8],
        audience: &mut dyn Audience,
    ) -> Result<(), GetError> {
        match (self, folder) {
            (Self::Part(part), Some(folder)) => part.write(folder, bytes),
            (Self::Shown(shown), _) => {
                audience.content(bytes).map_err(GetError::Output)?;
                shown.bytes += bytes.len() as u64;
                if let Some((hasher, _)) = &mut shown.sum {
                    hasher.update(bytes);
                }
                Ok(())
            }
            (Self::Part(_), None) => Ok(()),
        }
    }

    pub(super) fn flush(&mut self, folder: Option<&Folder>) -> Result<(), GetError> {
        match (self, folder) {
            (Self::Part(part), Some(folder)) => part.flush(folder),
            _ => Ok(()),
        }
    }

    /// Nothing more comes, and it is not whole.
    pub(super) fn keep(mut self, folder: Option<&Folder>) {
        // The reason that it ends for has been told.
        self.flush(folder).ok();
        if let (Self::Part(part), Some(folder)) = (self, folder) {
            part.keep(folder);
        }
    }

    /// All of it is there.
    pub(super) fn publish(
        self,
        folder: Option<&Folder>,
        name: &FileName,
        force: bool,
        checksum: Option<&Checksum>,
    ) -> Result<Saved, GetError> {
        match (self, folder) {
            (Self::Part(part), Some(folder)) => part.publish(folder, name, force, checksum),
            (Self::Part(_), None) => Err(GetError::Range),
            (Self::Shown(shown), _) => {
                if let Some((hasher, checksum)) = shown.sum {
                    checksum.check(hasher.hex())?;
                }
                Ok(Saved {
                    path: None,
                    bytes: shown.bytes,
                    was_there: false,
                })
            }
        }
    }
}
