//! Unfinished uploads that are kept, to be gone on with.
//!
//! ```text
//! DATA/partial/HASH.part    the bytes, from the front
//! DATA/partial/HASH.mark    how many of them are on the disk
//! ```
//!
//! A file is known by its hash, and whoever says the hash may go on with it: the whole is checked
//! against it before it gets a name, so that nobody can put other bytes under it. The mark is
//! written after what it tells of was synced, and is one sector: a power cut leaves the old one or
//! the new one, and both are true.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use blake3::Hasher;
use switchboard_wire::{Content, ContentHash};

use super::StoreError;
use super::folder::Folder;
use super::shared::{ContentClaim, Shared};
use crate::limits::{
    UNFINISHED_BYTES_MAX, UNFINISHED_FILES_MAX, UNFINISHED_SYNC_BYTES, UNFINISHED_TIME,
};

/// Bytes of a mark: the size of the whole file, how much of it is there, and a check of both.
const MARK_BYTES: usize = 24;

/// What is kept of unfinished uploads that nobody is sending. What does not fit goes, the oldest
/// first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// How many.
    pub files: usize,
    /// Their bytes together.
    pub bytes: u64,
    /// For how long after their last byte.
    pub time: Duration,
}

impl Default for Unfinished {
    fn default() -> Self {
        Self {
            files: UNFINISHED_FILES_MAX,
            bytes: UNFINISHED_BYTES_MAX,
            time: UNFINISHED_TIME,
        }
    }
}

/// The sole right to write one unfinished upload, which stays when this is dropped.
#[derive(Debug)]
pub(super) struct Kept {
    folder: Arc<Folder>,
    content: Content,
    /// Bytes from the front that are on the disk.
    durable: u64,
    _claim: ContentClaim,
}

impl Kept {
    /// Looks for what is there of a file; `None` if it is being sent by somebody else just now.
    pub(super) fn find(
        folder: &Arc<Folder>,
        shared: &Arc<Shared>,
        content: Content,
    ) -> Option<Self> {
        let claim = shared.claim_content(content.hash)?;
        let mut kept = Self {
            folder: Arc::clone(folder),
            content,
            durable: 0,
            _claim: claim,
        };
        let mark = read_mark(folder, &content.hash);
        let found = folder.look_at_partial(&kept.part());
        if let (Some(mark), Some(found)) = (mark, found)
            && mark.size == content.bytes
            && found.bytes >= mark.durable
            && age(found.changed) <= shared.unfinished.time
        {
            kept.durable = mark.durable;
        }
        Some(kept)
    }

    /// How many bytes of the file are there for certain.
    pub(super) const fn durable(&self) -> u64 {
        self.durable
    }

    /// The name of its bytes in `DATA/partial`.
    pub(super) fn part(&self) -> String {
        part_name(&self.content.hash)
    }

    /// Opens the file to go on at `from`, at most what is [there](Self::durable), with what is
    /// before that hashed.
    pub(super) fn open(&mut self, from: u64) -> Result<(File, Hasher), StoreError> {
        let part = self.part();
        let mut hasher = Hasher::new();
        let opened = if from == 0 {
            // What the mark tells is about to be no longer so.
            self.forget();
            self.folder.create_partial(&part)
        } else {
            self.folder.open_partial(&part)
        };
        let mut file = opened?;
        let path = || self.folder.partial_path.join(&part);
        let failed = |error| StoreError::io("read", &path(), error);
        hasher.update_reader((&file).take(from)).map_err(failed)?;
        if hasher.count() != from {
            return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
        }
        file.set_len(from)
            .and_then(|()| file.seek(SeekFrom::Start(from)))
            .map_err(|error| StoreError::io("write", &path(), error))?;
        self.durable = from;
        Ok((file, hasher))
    }

    /// Whether so much has come that it is to be noted.
    pub(super) const fn is_note_due(&self, bytes: u64) -> bool {
        bytes.saturating_sub(self.durable) >= UNFINISHED_SYNC_BYTES
    }

    /// Syncs the file, and notes that its first `bytes` are on the disk.
    pub(super) fn note(&mut self, file: &File, bytes: u64) -> Result<(), StoreError> {
        if bytes == self.durable {
            return Ok(());
        }
        file.sync_data().map_err(|error| {
            StoreError::io("sync", &self.folder.partial_path.join(self.part()), error)
        })?;
        let mark = Mark {
            size: self.content.bytes,
            durable: bytes,
        };
        self.folder.write_mark(
            &mark_name(&self.content.hash),
            &mark.encode(&self.content.hash),
        )?;
        self.durable = bytes;
        Ok(())
    }

    /// Removes all of it.
    pub(super) fn forget(&self) {
        remove(&self.folder, &self.content.hash);
    }

    /// Removes what tells of it: the file has its name.
    pub(super) fn conclude(self) {
        self.folder.remove_partial(&mark_name(&self.content.hash));
    }
}

/// What is certain about an unfinished upload.
#[derive(Debug, Clone, Copy)]
struct Mark {
    size: u64,
    durable: u64,
}

impl Mark {
    fn encode(self, hash: &ContentHash) -> [u8; MARK_BYTES] {
        let mut bytes = [0; MARK_BYTES];
        let words = [self.size, self.durable, self.check(hash)];
        for (place, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    fn decode(bytes: [u8; MARK_BYTES], hash: &ContentHash) -> Option<Self> {
        let (words, _none) = bytes.as_chunks();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let (size, durable, check) = (words.next()?, words.next()?, words.next()?);
        let mark = Self { size, durable };
        (durable <= size && mark.check(hash) == check).then_some(mark)
    }

    fn check(self, hash: &ContentHash) -> u64 {
        let mut hasher = Hasher::new();
        hasher.update(&hash.0);
        hasher.update(&self.size.to_le_bytes());
        hasher.update(&self.durable.to_le_bytes());
        let mut check = [0; 8];
        hasher.finalize_xof().fill(&mut check);
        u64::from_le_bytes(check)
    }
}

fn part_name(hash: &ContentHash) -> String {
    format!("{hash}.part")
}

fn mark_name(hash: &ContentHash) -> String {
    format!("{hash}.mark")
}

fn read_mark(folder: &Folder, hash: &ContentHash) -> Option<Mark> {
    let file = folder.open_partial(&mark_name(hash)).ok()?;
    let mut bytes = [0; MARK_BYTES];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Mark::decode(bytes, hash)
}

/// How long ago something was. What is to come, by a clock that was set back, is new.
fn age(time: SystemTime) -> Duration {
    time.elapsed().unwrap_or_default()
}

/// Something in `DATA/partial`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) bytes: u64,
    pub(super) changed: SystemTime,
}

/// Removes what is not to be kept: what cannot be gone on with, what is too old, and the oldest of
/// what is too much. What is being sent stays. Answers how many stay besides.
pub(super) fn sweep(folder: &Folder, shared: &Shared) -> Result<usize, StoreError> {
    // Nobody begins to send one of them meanwhile.
    let claimed = shared.contents();
    let (mut files, mut bytes) = (0, 0_u64);
    let limits = &shared.unfinished;
    for (hash, there) in resting(folder, &claimed)? {
        let sum = bytes.saturating_add(there.bytes);
        if files < limits.files && sum <= limits.bytes && age(there.changed) <= limits.time {
            (files, bytes) = (files + 1, sum);
        } else {
            remove(folder, &hash);
        }
    }
    Ok(files)
}

/// Removes the oldest of what nobody is sending until so many bytes are free, if there are so many.
pub(super) fn make_room(folder: &Folder, shared: &Shared, bytes: u64) -> Result<(), StoreError> {
    let claimed = shared.contents();
    let resting = resting(folder, &claimed)?;
    let mut missing = bytes;
    if resting.iter().map(|(_, there)| there.bytes).sum::<u64>() < bytes {
        return Ok(());
    }
    for (hash, there) in resting.iter().rev() {
        if missing == 0 {
            break;
        }
        remove(folder, hash);
        missing = missing.saturating_sub(there.bytes);
    }
    Ok(())
}

/// The unfinished uploads that nobody is sending, the newest first. What is left of others and
/// cannot be gone on with is removed.
fn resting(
    folder: &Folder,
    claimed: &BTreeSet<ContentHash>,
) -> Result<Vec<(ContentHash, Found)>, StoreError> {
    let names = folder.partial_names()?;
    let hash = |name: &str, kind| ContentHash::parse(name.strip_suffix(kind)?);
    let hashes: BTreeSet<ContentHash> = names
        .iter()
        .filter_map(|name| hash(name, ".part").or_else(|| hash(name, ".mark")))
        .collect();
    let mut found = Vec::new();
    for hash in hashes.difference(claimed) {
        let there = folder.look_at_partial(&part_name(hash));
        match (read_mark(folder, hash), there) {
            (Some(_), Some(there)) => found.push((*hash, there)),
            _ => remove(folder, hash),
        }
    }
    found.sort_by_key(|(_, there)| Reverse(there.changed));
    Ok(found)
}

fn remove(folder: &Folder, hash: &ContentHash) {
    folder.remove_partial(&mark_name(hash));
    folder.remove_partial(&part_name(hash));
}
