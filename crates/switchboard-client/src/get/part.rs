//! A partial file: what has come so far, and what proves that the rest belongs to it.
//!
//! Its name begins with a dot, as no name from the network does, and has the address in it as a
//! hash: `.cat.png.0123456789abcdef.part`. Beside it, in `….part.json`, is the validator. It stays
//! when a download fails or the process dies, and the next one with that address goes on with it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};

use serde::{Deserialize, Serialize};
use switchboard_wire::FileName;
use switchboard_wire::http::{HttpUrl, Validator, download_name};

use super::checksum::Hasher;
use super::folder::Folder;
use super::{Checksum, GetError, NAME_TRIES_MAX, Saved};

/// The longest part of a name that stands in the name of its partial file, in bytes.
const STEM_BYTES_MAX: usize = 200;

/// Small pieces are gathered up to this.
const BUFFER_BYTES: usize = 64 * 1024;

/// Bytes that are read at once to make a sum.
const SUMMED_BYTES: usize = 256 * 1024;

/// What is known of the content of a partial file.
#[derive(Debug, Serialize, Deserialize)]
struct Meta {
    url: String,
    etag: Option<String>,
    last_modified: Option<String>,
    total: Option<u64>,
    /// Which run of the system it was written in: after another one only what was synced counts.
    boot: String,
    synced: u64,
}

impl Meta {
    fn validator(&self) -> Option<Validator> {
        match (&self.etag, &self.last_modified) {
            (Some(tag), _) => Validator::tag(tag),
            (None, Some(date)) => Validator::modified(date),
            (None, None) => None,
        }
    }
}

/// A partial file and what is known about it.
#[derive(Debug)]
pub(super) struct Part {
    name: String,
    meta_name: String,
    url: String,
    file: Option<File>,
    meta: Option<Meta>,
    /// Where the next bytes go.
    at: u64,
    buffer: Vec<u8>,
}

impl Part {
    /// Opens what an earlier try has left, if there is such a thing.
    pub(super) fn open(folder: &Folder, url: &HttpUrl) -> Result<Self, GetError> {
        let shown = url.to_string();
        let hash = blake3::hash(shown.as_bytes()).to_hex();
        let key: String = hash.chars().take(16).collect();
        let own = download_name(url, None);
        let stem = match folder.file() {
            Some(file) => file.to_string_lossy(),
            None => own.as_str().into(),
        };
        let ends = (0..=STEM_BYTES_MAX).rev();
        let stem = ends
            .filter_map(|end| stem.get(..end.min(stem.len())))
            .next();
        let name = format!(".{}.{key}.part", stem.unwrap_or_default());
        let mut part = Self {
            meta_name: format!("{name}.json"),
            name,
            url: shown,
            file: None,
            meta: None,
            at: 0,
            buffer: Vec::new(),
        };
        part.file = part.lock(folder, false)?;
        if let Some(file) = &part.file {
            let len = file
                .metadata()
                .map_err(part.failed(folder, "look at"))?
                .len();
            part.look(folder, len);
        }
        Ok(part)
    }

    /// Opens the file so that no other download has it.
    fn lock(&self, folder: &Folder, create: bool) -> Result<Option<File>, GetError> {
        let failed = || self.failed(folder, "open");
        let Some(file) = folder.write(&self.name, create).map_err(failed())? else {
            return Ok(None);
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(self.in_use(folder)),
            Err(TryLockError::Error(error)) => return Err(failed()(error)),
        }
        // Whoever had it may just have given it its final name.
        match folder.is(&self.name, &file).map_err(failed())? {
            true => Ok(Some(file)),
            false => Err(self.in_use(folder)),
        }
    }

    fn in_use(&self, folder: &Folder) -> GetError {
        GetError::InUse {
            path: folder.path(&self.name),
        }
    }

    fn failed(&self, folder: &Folder, action: &'static str) -> impl FnOnce(io::Error) -> GetError {
        GetError::disk(action, folder.path(&self.name))
    }

    /// Decides what of the file can be trusted.
    fn look(&mut self, folder: &Folder, len: u64) {
        let bytes = folder.read_small(&self.meta_name).unwrap_or_default();
        let Ok(meta) = serde_json::from_slice::<Meta>(&bytes) else {
            return;
        };
        if meta.url != self.url || meta.validator().is_none() {
            return;
        }
        let is_same_boot = !meta.boot.is_empty() && meta.boot == boot();
        self.at = if is_same_boot {
            len
        } else {
            len.min(meta.synced)
        };
        if meta.total.is_some_and(|total| self.at > total) {
            self.at = 0;
        }
        self.meta = Some(meta);
    }

    /// From where on to ask, and what the content must still be. Of a file that is whole the last
    /// byte is asked for again, since a range of nothing cannot be answered.
    pub(super) fn resume(&self) -> Option<(u64, Validator)> {
        let meta = self.meta.as_ref()?;
        let at = match meta.total {
            Some(total) if self.at >= total => total.saturating_sub(1),
            _ => self.at,
        };
        let validator = meta.validator()?;
        (at > 0).then_some((at, validator))
    }

    /// How long the whole is, if that was told.
    pub(super) fn total(&self) -> Option<u64> {
        self.meta.as_ref()?.total
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.at
    }

    /// The next bytes go behind the first `at`; zero begins anew, with what is known now.
    pub(super) fn begin(
        &mut self,
        folder: &Folder,
        at: u64,
        validator: Option<&Validator>,
        total: Option<u64>,
    ) -> Result<(), GetError> {
        if at == 0 {
            // In this order, a crash in between leaves nothing that could be taken for a beginning.
            self.meta = None;
            let removed = folder.remove(&self.meta_name);
            removed.map_err(self.failed(folder, "clear"))?;
        }
        if self.file.is_none() {
            self.file = self.lock(folder, true)?;
        }
        self.at = at;
        self.buffer.clear();
        if let Some(file) = &mut self.file {
            let placed = file
                .set_len(at)
                .and_then(|()| file.seek(SeekFrom::Start(at)));
            placed.map_err(GetError::disk("write", folder.path(&self.name)))?;
        }
        let Some(validator) = validator.filter(|_| at == 0) else {
            return Ok(());
        };
        let text = Some(validator.text().to_owned());
        let (etag, last_modified) = match validator {
            Validator::Tag(_) => (text, None),
            Validator::Modified(_) => (None, text),
        };
        self.meta = Some(Meta {
            url: self.url.clone(),
            etag,
            last_modified,
            total,
            boot: boot(),
            synced: 0,
        });
        self.write_meta(folder)
            .map_err(self.failed(folder, "write"))
    }

    fn write_meta(&self, folder: &Folder) -> io::Result<()> {
        let Some(meta) = &self.meta else {
            return Ok(());
        };
        folder.write_small(&self.meta_name, &serde_json::to_vec(meta)?)
    }

    /// Takes the next bytes.
    pub(super) fn write(&mut self, folder: &Folder, bytes: &[u8]) -> Result<(), GetError> {
        self.at += bytes.len() as u64;
        if self.buffer.len() + bytes.len() <= BUFFER_BYTES {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.flush(folder)?;
        if let Some(file) = &mut self.file {
            file.write_all(bytes)
                .map_err(GetError::disk("write", folder.path(&self.name)))?;
        }
        Ok(())
    }

    /// Writes what was gathered.
    pub(super) fn flush(&mut self, folder: &Folder) -> Result<(), GetError> {
        if let Some(file) = &mut self.file
            && !self.buffer.is_empty()
        {
            let written = file.write_all(&self.buffer);
            self.buffer.clear();
            written.map_err(GetError::disk("write", folder.path(&self.name)))?;
        }
        Ok(())
    }

    /// Keeps what came for a later run, whatever happens to the system; what nobody could go on
    /// with is removed. True if it was kept.
    pub(super) fn keep(mut self, folder: &Folder) -> bool {
        let Some(file) = self.file.take() else {
            return false;
        };
        let is_kept = self.meta.is_some() && self.at > 0;
        if is_kept && file.sync_data().is_ok() {
            let len = file.metadata().map_or(0, |metadata| metadata.len());
            if let Some(meta) = &mut self.meta {
                meta.synced = len;
            }
            // Without it, what came counts until the system starts anew.
            self.write_meta(folder).ok();
        }
        if !is_kept {
            self.discard(folder);
        }
        is_kept
    }

    /// Removes it.
    pub(super) fn discard(self, folder: &Folder) {
        // What cannot be removed is begun anew by the next download.
        folder.remove(&self.meta_name).ok();
        folder.remove(&self.name).ok();
    }

    /// Gives it its name, when all of it is on the disk and is what it should be.
    pub(super) fn publish(
        mut self,
        folder: &Folder,
        name: &FileName,
        force: bool,
        checksum: Option<&Checksum>,
    ) -> Result<Saved, GetError> {
        self.flush(folder)?;
        let Some(mut file) = self.file.take() else {
            return Err(GetError::Range);
        };
        if let Some(checksum) = checksum {
            let found = sum(&mut file, checksum).map_err(self.failed(folder, "read"))?;
            if let Err(error) = checksum.check(found) {
                self.discard(folder);
                return Err(error);
            }
        }
        file.sync_all().map_err(self.failed(folder, "sync"))?;
        let (name, was_there) = self.settle(folder, &file, name, force)?;
        if was_there {
            folder.remove(&self.name).ok();
        }
        folder.remove(&self.meta_name).ok();
        folder
            .sync()
            .map_err(GetError::disk("sync", folder.path("")))?;
        Ok(Saved {
            path: Some(folder.path(name)),
            bytes: self.at,
            was_there,
        })
    }

    /// Finds a name that nothing else has, or that the same bytes have.
    fn settle(
        &self,
        folder: &Folder,
        file: &File,
        name: &FileName,
        force: bool,
    ) -> Result<(OsString, bool), GetError> {
        let fixed = folder.file();
        for number in 1..=NAME_TRIES_MAX {
            let tried = match (fixed, number) {
                (Some(fixed), _) => fixed.to_owned(),
                (None, 1) => OsStr::new(name.as_str()).to_owned(),
                (None, number) => name.numbered(number).as_str().into(),
            };
            let published = folder.publish(&self.name, &tried, force);
            if published.map_err(GetError::disk("name", folder.path(&tried)))? {
                return Ok((tried, false));
            }
            if folder.holds(&tried, file) {
                return Ok((tried, true));
            }
            if fixed.is_some() {
                let path = folder.path(tried);
                return Err(GetError::Taken { path });
            }
        }
        Err(GetError::NoFreeName)
    }
}

fn sum(file: &mut File, checksum: &Checksum) -> io::Result<String> {
    let mut hasher = Hasher::new(checksum.algorithm);
    let mut buffer = vec![0; SUMMED_BYTES];
    file.seek(SeekFrom::Start(0))?;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.hex()),
            len => hasher.update(buffer.get(..len).unwrap_or_default()),
        }
    }
}

/// Which run of the system this is; nothing if it does not tell.
///
/// # References
/// proc(5), `/proc/sys/kernel/random/boot_id`.
fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map(|id| id.trim().to_owned()).unwrap_or_default()
}
