//! The data folder by its handles: every name is looked up beneath an open folder and no symbolic
//! link is followed, so that nothing swapped in can lead outside.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{Access, AtFlags, Dir, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, retry_on_intr};

use switchboard_wire::ContentHash;

use super::StoreError;
use super::kept::{self, Found};
use super::shared::Shared;

/// Bytes read of a lock file at most: a process number and a line end.
const LOCK_BYTES_MAX: u64 = 32;

/// The name under which it is tried whether uploads can be written.
const PROBE: &str = "probe.part";

/// How a finished upload got its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// Moved: the partial name is gone.
    Moved,
    /// Linked: the partial name is there as well.
    Linked,
    /// Something has that name.
    Taken,
}

/// `DATA/files` and `DATA/partial`, open.
///
/// Each thread has its own: the kernel tells an error of writing back once for each open handle,
/// and nobody may take another's.
#[derive(Debug)]
pub(super) struct Folder {
    files: File,
    partial: File,
    pub(super) files_path: PathBuf,
    pub(super) partial_path: PathBuf,
}

impl Folder {
    /// Creates what is missing, and locks it for this process. Answers also which folders were
    /// made, from the data folder up, if that and what is in it are new.
    pub(super) fn open(data: &Path) -> Result<(Self, File, Vec<PathBuf>), StoreError> {
        let mut made = create_durably(data)?;
        // The one place a symbolic link is followed: the data folder may be one.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let data_folder = retry_on_intr(|| rustix::fs::open(data, flags, Mode::empty()))
            .map(File::from)
            .map_err(|error| StoreError::io("open the folder", data, error))?;
        let lock = lock(&data_folder, data)?;

        let (files_path, partial_path) = (data.join("files"), data.join("partial"));
        let (files, is_new) = open_child(&data_folder, "files", &files_path)?;
        let (partial, is_new_too) = open_child(&data_folder, "partial", &partial_path)?;
        if !is_new || !is_new_too {
            made.clear();
        }
        let folder = Self {
            files,
            partial,
            files_path,
            partial_path,
        };
        sync(&data_folder).map_err(|error| StoreError::io("sync", data, error))?;
        Ok((folder, lock, made))
    }

    /// The same folders by handles of their own.
    pub(super) fn reopen(&self) -> Result<Self, StoreError> {
        Ok(Self {
            files: open_folder(&self.files, ".", &self.files_path)?,
            partial: open_folder(&self.partial, ".", &self.partial_path)?,
            files_path: self.files_path.clone(),
            partial_path: self.partial_path.clone(),
        })
    }

    /// Removes the partial files of a run that died, but those that can be gone on with. Only for
    /// who holds the lock.
    pub(super) fn remove_orphans(&self, shared: &Shared) -> Result<(), StoreError> {
        let mut removed = 0_u32;
        for name in self.partial_names()? {
            let stem = |kind| name.strip_suffix(kind);
            let stem = stem(".part").or_else(|| stem(".mark"));
            let is_kept = |stem| ContentHash::parse(stem).is_some();
            if stem.is_some_and(|stem| !is_kept(stem)) && self.remove_partial(&name) {
                removed += 1;
            }
        }
        let kept = kept::sweep(self, shared)?;
        if removed > 0 {
            tracing::info!(removed, "removed unfinished uploads of an earlier run");
        }
        if kept > 0 {
            tracing::info!(kept, "unfinished uploads of an earlier run can be resumed");
        }
        Ok(())
    }

    /// What is in `DATA/partial`.
    pub(super) fn partial_names(&self) -> Result<Vec<String>, StoreError> {
        let failed = |error: Errno| {
            StoreError::io("look for unfinished uploads in", &self.partial_path, error)
        };
        let mut names = Vec::new();
        // Read to the end first: what a listing shows of names removed meanwhile is undefined.
        for entry in Dir::read_from(&self.partial).map_err(failed)? {
            // Names of ours are text.
            if let Ok(name) = entry.map_err(failed)?.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Proves that uploads can be written here and moved to the finished files.
    pub(super) fn probe(&self) -> Result<(), StoreError> {
        drop(self.create_partial(PROBE)?);
        rustix::fs::unlinkat(&self.partial, PROBE, AtFlags::empty())
            .map_err(|error| StoreError::io("remove", &self.partial_path.join(PROBE), error))?;

        // Not by a file here as well: everything in this folder is somebody's finished upload.
        let writable = Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::accessat(&self.files, ".", writable, AtFlags::EACCESS)
            .map_err(|error| StoreError::io("write in", &self.files_path, error))?;
        let device = |file: &File| file.metadata().map(|metadata| metadata.dev());
        match (device(&self.partial), device(&self.files)) {
            (Ok(source), Ok(target)) if source == target => Ok(()),
            (Ok(_), Ok(_)) => Err(Errno::XDEV.into()),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
        .map_err(|error| StoreError::io("move finished uploads to", &self.files_path, error))
    }

    /// A new file for an upload, to write and to read again.
    pub(super) fn create_partial(&self, name: &str) -> Result<File, StoreError> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        retry_on_intr(|| rustix::fs::openat(&self.partial, name, flags, mode))
            .map(File::from)
            .map_err(|error| StoreError::io("create", &self.partial_path.join(name), error))
    }

    /// A partial file that is there, to read and to go on with.
    ///
    /// Whatever was put there in its place, this neither follows it nor waits for it.
    pub(super) fn open_partial(&self, name: &str) -> Result<File, StoreError> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = retry_on_intr(|| rustix::fs::openat(&self.partial, name, flags, Mode::empty()))
            .map(File::from)
            .map_err(io::Error::from);
        let regular = file.and_then(|file| {
            let is_file = file.metadata()?.is_file();
            is_file.then_some(file).ok_or_else(|| Errno::INVAL.into())
        });
        regular.map_err(|error| StoreError::io("open", &self.partial_path.join(name), error))
    }

    /// A partial file by its entry alone; `None` if there is none.
    pub(super) fn look_at_partial(&self, name: &str) -> Option<Found> {
        let stat = rustix::fs::statat(&self.partial, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
        let changed = Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
        kind.is_file().then(|| Found {
            bytes: u64::try_from(stat.st_size).unwrap_or(0),
            changed: UNIX_EPOCH + changed,
        })
    }

    /// Writes all of a small file in `DATA/partial`, in one piece.
    pub(super) fn write_mark(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        retry_on_intr(|| rustix::fs::openat(&self.partial, name, flags, mode))
            .map_err(io::Error::from)
            .and_then(|file| File::from(file).write_all_at(bytes, 0))
            .map_err(|error| StoreError::io("write", &self.partial_path.join(name), error))
    }

    /// Removes a partial file; false if there is none.
    pub(super) fn remove_partial(&self, name: &str) -> bool {
        match rustix::fs::unlinkat(&self.partial, name, AtFlags::empty()) {
            Ok(()) => return true,
            // A folder is not ours.
            Err(Errno::ISDIR | Errno::NOENT) => {}
            Err(error) => {
                let path = self.partial_path.join(name);
                tracing::warn!(path = %path.display(), %error, "can't remove an unfinished upload");
            }
        }
        false
    }

    /// Gives a partial file its name among the finished, if nothing has it.
    pub(super) fn publish(&self, partial: &str, name: &str) -> Result<Naming, StoreError> {
        let moved = rustix::fs::renameat_with(
            &self.partial,
            partial,
            &self.files,
            name,
            RenameFlags::NOREPLACE,
        );
        match moved {
            Ok(()) => Ok(Naming::Moved),
            Err(Errno::EXIST) => Ok(Naming::Taken),
            // rename(2): EINVAL where the file system does not know the flag, ENOSYS from old ones.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.publish_by_link(partial, name),
            Err(error) => Err(StoreError::io("name", &self.files_path.join(name), error)),
        }
    }

    /// The older way to name a file without replacing one: link(2) never does.
    fn publish_by_link(&self, partial: &str, name: &str) -> Result<Naming, StoreError> {
        match rustix::fs::linkat(&self.partial, partial, &self.files, name, AtFlags::empty()) {
            Ok(()) => Ok(Naming::Linked),
            Err(Errno::EXIST) => Ok(Naming::Taken),
            Err(error) => Err(StoreError::io("name", &self.files_path.join(name), error)),
        }
    }

    /// Takes a name back that [`publish`](Self::publish) gave and that is not durable.
    pub(super) fn retract(&self, name: &str) {
        if let Err(error) = rustix::fs::unlinkat(&self.files, name, AtFlags::empty()) {
            let path = self.files_path.join(name);
            tracing::error!(path = %path.display(), %error, "can't remove a file that failed");
        }
    }

    /// Writes the names of the finished files to the disk.
    pub(super) fn sync_files(&self) -> Result<(), StoreError> {
        sync(&self.files).map_err(|error| StoreError::io("sync", &self.files_path, error))
    }

    /// Whether `name` is a regular file of this length, by its entry alone. `None`: it is gone.
    pub(super) fn is_file_of(&self, name: &str, bytes: u64) -> Result<Option<bool>, StoreError> {
        match rustix::fs::statat(&self.files, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => {
                let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
                let is_long = u64::try_from(stat.st_size).is_ok_and(|size| size == bytes);
                Ok(Some(kind.is_file() && is_long))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(StoreError::io(
                "look at",
                &self.files_path.join(name),
                error,
            )),
        }
    }

    /// Opens a finished file to read; `None` if it cannot be.
    ///
    /// Whatever was put there since it was looked at, this neither follows it nor waits for it.
    pub(super) fn open_file(&self, name: &str) -> Result<Option<File>, StoreError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match retry_on_intr(|| rustix::fs::openat(&self.files, name, flags, Mode::empty())) {
            Ok(file) => Ok(Some(file.into())),
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => {
                Err(StoreError::io("open", &self.files_path.join(name), error))
            }
            Err(_) => Ok(None),
        }
    }

    /// How many bytes the disk has left, root's reserve included. `None` if it does not tell.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        let stat = rustix::fs::fstatvfs(&self.partial).ok()?;
        (stat.f_blocks > 0).then(|| stat.f_bfree.saturating_mul(stat.f_frsize))
    }
}

/// Removes a data folder that was made and in which nothing has come about: `made` is what
/// [`Folder::open`] answered. Only for who holds the lock.
///
/// # Errors
/// Something is in it, or the system refuses: then the rest stays.
pub(super) fn remove(made: &[PathBuf]) -> io::Result<()> {
    if let Some(data) = made.first() {
        fs::remove_dir(data.join("files"))?;
        fs::remove_dir(data.join("partial"))?;
        crate::log::remove(data)?;
        fs::remove_file(data.join("lock"))?;
    }
    made.iter().try_for_each(fs::remove_dir)
}

/// Creates a folder with those above it, and writes each new name to the disk. Answers those that
/// were made, from the innermost up; none if somebody else has made the innermost.
fn create_durably(data: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let missing = data
        .ancestors()
        .take_while(|folder| !folder.exists())
        .count();
    let above = data.parent().map_or(Ok(()), fs::create_dir_all);
    match above.and_then(|()| fs::create_dir(data)) {
        Ok(()) => {}
        // Somebody's, or not a folder: opening it says so more clearly.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io("create the folder", data, error)),
    }
    for created in data.ancestors().take(missing) {
        let Some(parent) = created.parent() else {
            break;
        };
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        File::open(parent)
            .and_then(|parent| sync(&parent))
            .map_err(|error| StoreError::io("sync", parent, error))?;
    }
    Ok(data.ancestors().take(missing).map(Path::to_owned).collect())
}

/// Opens a folder, and answers whether it was made.
fn open_child(data: &File, name: &str, path: &Path) -> Result<(File, bool), StoreError> {
    match rustix::fs::mkdirat(data, name, Mode::from_raw_mode(0o755)) {
        Ok(()) => Ok((open_folder(data, name, path)?, true)),
        Err(Errno::EXIST) => Ok((open_folder(data, name, path)?, false)),
        Err(error) => Err(StoreError::io("create the folder", path, error)),
    }
}

fn open_folder(parent: &File, name: &str, path: &Path) -> Result<File, StoreError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::openat(parent, name, flags, Mode::empty()))
        .map(File::from)
        .map_err(|error| StoreError::io("open the folder", path, error))
}

/// Takes `DATA/lock` and writes our process number into it, for the message of the next to try.
fn lock(data_folder: &File, data: &Path) -> Result<File, StoreError> {
    let path = data.join("lock");
    let failed = |error: io::Error| StoreError::io("lock", &path, error);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o644);
    let mut file = retry_on_intr(|| rustix::fs::openat(data_folder, "lock", flags, mode))
        .map(File::from)
        .map_err(|error| failed(error.into()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(failed(error)),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Only for the message: unreadable is as good as empty.
            let read = file.take(LOCK_BYTES_MAX).read_to_string(&mut text);
            let pid = read.ok().and_then(|_| text.trim().parse().ok());
            return Err(StoreError::InUse {
                path: data.to_owned(),
                pid,
            });
        }
    }
    // The lock holds without the number, so a full disk need not keep a hub from its files.
    if let Err(error) = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", process::id()))
    {
        tracing::warn!(path = %path.display(), %error, "can't write the process number");
    }
    Ok(file)
}

/// Writes a folder's entries to the disk.
fn sync(folder: &File) -> io::Result<()> {
    match folder.sync_all() {
        // fsync(2): EINVAL where the file system has no such thing for folders.
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naming_by_link_replaces_nothing() {
        let data = tempfile::tempdir().unwrap();
        let (folder, _lock, _made) = Folder::open(data.path()).unwrap();
        folder
            .create_partial("1.part")
            .unwrap()
            .write_all(b"new")
            .unwrap();

        assert_eq!(
            folder.publish_by_link("1.part", "a").unwrap(),
            Naming::Linked
        );
        folder.remove_partial("1.part");
        assert_eq!(fs::read(data.path().join("files/a")).unwrap(), b"new");

        folder.create_partial("2.part").unwrap();
        assert_eq!(
            folder.publish_by_link("2.part", "a").unwrap(),
            Naming::Taken
        );
        assert_eq!(fs::read(data.path().join("files/a")).unwrap(), b"new");
    }
}
