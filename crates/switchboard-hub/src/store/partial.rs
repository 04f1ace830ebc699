//! One upload on its way to being a file.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use blake3::Hasher;
use switchboard_wire::{Content, ContentHash, FileName};

use super::folder::{Folder, Naming};
use super::kept::{self, Kept};
use super::shared::Shared;
use super::{NAME_TRIES_MAX, StoreError, UploadId};

/// Bytes read at a time of each of two files compared.
const COMPARE_BYTES: usize = 64 * 1024;

/// A file without a final name. Dropped, it is removed, unless it is kept to be gone on with.
#[derive(Debug)]
pub(super) struct Partial {
    folder: Arc<Folder>,
    shared: Arc<Shared>,
    file: File,
    /// Its name in `DATA/partial`.
    part: String,
    name: FileName,
    /// The size of the whole file.
    announced: u64,
    /// What of it is there, whenever it came.
    received: u64,
    is_moved: bool,
    /// What it has to be, and the hash of what came.
    check: Option<Box<(ContentHash, Hasher)>>,
    kept: Option<Kept>,
}

/// What is wanted of an upload.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) id: UploadId,
    pub(super) name: FileName,
    /// Of what follows.
    pub(super) bytes: u64,
    /// The whole file, where that is known.
    pub(super) content: Option<Content>,
    /// What is there of it, if it was asked for.
    pub(super) kept: Option<Kept>,
}

/// Under which name an upload ended.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) name: FileName,
    pub(super) bytes: u64,
    pub(super) duplicate: bool,
}

/// What has a name we want.
enum Holder {
    Gone,
    Other,
    /// A file with our very bytes.
    Same(File),
}

impl Partial {
    pub(super) fn create(
        folder: &Arc<Folder>,
        shared: &Arc<Shared>,
        wanted: Wanted,
    ) -> Result<Self, StoreError> {
        let Wanted {
            id,
            name,
            bytes,
            content,
            mut kept,
        } = wanted;
        let announced = content.map_or(bytes, |content| content.bytes);
        let from = match &kept {
            Some(kept) if bytes == announced.saturating_sub(kept.durable()) => kept.durable(),
            _ if bytes == announced => 0,
            _ => {
                kept.inspect(Kept::forget);
                return Err(StoreError::NotTheRest { announced, bytes });
            }
        };
        // Told early to who could not succeed anyway. It reserves nothing: many who announce much
        // and send little must not fill the disk.
        let free = |folder: &Folder| folder.free_bytes().filter(|free| *free < bytes);
        if let Some(free) = free(folder) {
            // What may never be gone on with makes room for what comes now.
            kept::make_room(folder, shared, bytes.saturating_sub(free))?;
        }
        if let Some(free) = free(folder) {
            let path = &folder.files_path;
            let why = format!("{bytes} bytes announced, {free} free");
            let error = std::io::Error::new(std::io::ErrorKind::StorageFull, why);
            return Err(StoreError::io("receive a file in", path, error));
        }
        let (part, file, hasher) = if let Some(kept) = &mut kept {
            let (file, hasher) = kept.open(from)?;
            (kept.part(), file, hasher)
        } else {
            let part = format!("{}.part", id.0);
            let file = folder.create_partial(&part)?;
            (part, file, Hasher::new())
        };
        Ok(Self {
            folder: Arc::clone(folder),
            shared: Arc::clone(shared),
            file,
            part,
            name,
            announced,
            received: from,
            is_moved: false,
            check: content.map(|content| Box::new((content.hash, hasher))),
            kept,
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.received = self.received.saturating_add(count);
        if self.received > self.announced {
            let (announced, received) = (self.announced, self.received);
            return Err(StoreError::TooManyBytes {
                announced,
                received,
            });
        }
        self.file
            .write_all(bytes)
            .map_err(|error| StoreError::io("write", &self.path(), error))?;
        if let Some(check) = &mut self.check {
            check.1.update(bytes);
        }
        match &mut self.kept {
            Some(kept) if kept.is_note_due(self.received) => {
                stop_on(&self.shared, kept.note(&self.file, self.received))
            }
            _ => Ok(()),
        }
    }

    /// Whether it is kept when it is dropped.
    pub(super) const fn may_stay(&self) -> bool {
        self.kept.is_some()
    }

    /// Removes it, also if it could be gone on with.
    pub(super) fn discard(mut self) {
        if let Some(kept) = self.kept.take() {
            kept.forget();
        }
    }

    /// Makes it durable, then visible, then its name durable. If that fails nothing is left of it.
    pub(super) fn commit(mut self) -> Result<Stored, StoreError> {
        let stored = self.publish();
        match self.kept.take() {
            Some(kept) if stored.is_err() => kept.forget(),
            Some(kept) => kept.conclude(),
            None => {}
        }
        stored
    }

    fn publish(&mut self) -> Result<Stored, StoreError> {
        let shared = Arc::clone(&self.shared);
        if self.received != self.announced {
            let (announced, received) = (self.announced, self.received);
            return Err(StoreError::TooFewBytes {
                announced,
                received,
            });
        }
        if let Some(check) = &self.check
            && check.1.finalize().as_bytes() != &check.0.0
        {
            return Err(StoreError::OtherContent { hash: check.0 });
        }
        let synced = self.file.sync_all();
        stop_on(
            &shared,
            synced.map_err(|error| StoreError::io("sync", &self.path(), error)),
        )?;

        let mut name = self.name.clone();
        let mut number = 1;
        for _ in 0..NAME_TRIES_MAX {
            let claim = shared.claim(&name);
            let holder = match self.folder.publish(&self.part, name.as_str())? {
                Naming::Taken => self.holder_of(&name)?,
                naming => {
                    self.is_moved = naming == Naming::Moved;
                    if let Err(error) = stop_on(&shared, self.folder.sync_files()) {
                        self.folder.retract(name.as_str());
                        return Err(error);
                    }
                    drop(claim);
                    return Ok(Stored {
                        name,
                        bytes: self.announced,
                        duplicate: false,
                    });
                }
            };
            match holder {
                Holder::Gone => {}
                Holder::Other => {
                    drop(claim);
                    number += 1;
                    name = self.name.numbered(number);
                }
                Holder::Same(file) => {
                    // Somebody else may have put it there and never synced it.
                    let path = self.folder.files_path.join(name.as_str());
                    let synced = file
                        .sync_all()
                        .map_err(|e| StoreError::io("sync", &path, e));
                    stop_on(&shared, synced.and_then(|()| self.folder.sync_files()))?;
                    drop(claim);
                    return Ok(Stored {
                        name,
                        bytes: self.announced,
                        duplicate: true,
                    });
                }
            }
        }
        Err(StoreError::NoFreeName {
            name: self.name.clone(),
            tries: NAME_TRIES_MAX,
        })
    }

    fn holder_of(&self, name: &FileName) -> Result<Holder, StoreError> {
        match self.folder.is_file_of(name.as_str(), self.announced)? {
            None => return Ok(Holder::Gone),
            Some(false) => return Ok(Holder::Other),
            Some(true) => {}
        }
        let Some(file) = self.folder.open_file(name.as_str())? else {
            return Ok(Holder::Other);
        };
        // It may be another than the one just looked at.
        let is_like = file
            .metadata()
            .is_ok_and(|m| m.is_file() && m.len() == self.announced);
        if is_like && self.has_bytes_of(&file)? {
            return Ok(Holder::Same(file));
        }
        Ok(Holder::Other)
    }

    /// Whether a file as long as this one has the same bytes. One that cannot be read has not.
    fn has_bytes_of(&self, other: &File) -> Result<bool, StoreError> {
        let (mut ours, mut theirs) = (vec![0; COMPARE_BYTES], vec![0; COMPARE_BYTES]);
        let mut offset = 0;
        while offset < self.announced {
            let rest = usize::try_from(self.announced - offset).unwrap_or(COMPARE_BYTES);
            // Only the last piece is shorter.
            ours.truncate(rest);
            theirs.truncate(rest);
            self.file
                .read_exact_at(&mut ours, offset)
                .map_err(|error| StoreError::io("read", &self.path(), error))?;
            if other.read_exact_at(&mut theirs, offset).is_err() || ours != theirs {
                return Ok(false);
            }
            offset += u64::try_from(ours.len()).unwrap_or(u64::MAX);
        }
        Ok(true)
    }

    fn path(&self) -> PathBuf {
        self.folder.partial_path.join(&self.part)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(mut kept) = self.kept.take() {
            // Where nothing is written any more, what was noted before still holds.
            let noted = match self.shared.check() {
                Ok(()) => stop_on(&self.shared, kept.note(&self.file, self.received)),
                Err(_) => Ok(()),
            };
            if let Err(error) = &noted {
                tracing::warn!(%error, "an unfinished upload can't be kept");
            }
            if noted.is_err() || self.received == 0 {
                kept.forget();
            }
        } else if !self.is_moved {
            self.folder.remove_partial(&self.part);
        }
    }
}

/// Stops the store after a failed sync, unless the disk was merely full.
fn stop_on(shared: &Shared, synced: Result<(), StoreError>) -> Result<(), StoreError> {
    if let Err(error @ StoreError::Io { .. }) = &synced {
        tracing::error!(%error, "the store stops: what was written may be lost");
        shared.stop();
    }
    synced
}
