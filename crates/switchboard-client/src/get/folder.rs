//! The folder that files arrive in, by its handle: no symbolic link leads out of it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, retry_on_intr};

use super::GetError;

/// Bytes of a small file that are read at most.
const SMALL_BYTES_MAX: u64 = 64 * 1024;

/// Bytes that are compared at once.
const COMPARED_BYTES: usize = 64 * 1024;

/// An open folder.
#[derive(Debug)]
pub(super) struct Folder {
    handle: File,
    path: PathBuf,
    /// The one file that there is to be, if it was named.
    file: Option<OsString>,
}

impl Folder {
    /// Opens a folder, which is made if there is none.
    pub(super) fn create(path: &Path) -> Result<Self, GetError> {
        fs::create_dir_all(path).map_err(GetError::disk("create the folder", path))?;
        Self::open(path, None)
    }

    /// Opens the folder of a file, which is not there yet unless it is to be replaced.
    pub(super) fn of(path: &Path, force: bool) -> Result<Self, GetError> {
        let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else {
            let odd = io::Error::from(io::ErrorKind::IsADirectory);
            return Err(GetError::disk("write", path)(odd));
        };
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                let odd = io::Error::from(io::ErrorKind::IsADirectory);
                return Err(GetError::disk("write", path)(odd));
            }
            Ok(_) if !force => return Err(GetError::Taken { path: path.into() }),
            _ => {}
        }
        let parent = match parent.as_os_str().is_empty() {
            true => Path::new("."),
            false => parent,
        };
        Self::open(parent, Some(name.to_owned()))
    }

    fn open(path: &Path, file: Option<OsString>) -> Result<Self, GetError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))
            .map_err(|error| GetError::disk("open the folder", path)(error.into()))?;
        Ok(Self {
            handle: handle.into(),
            path: path.into(),
            file,
        })
    }

    /// The one file that there is to be, if it was named.
    pub(super) fn file(&self) -> Option<&OsStr> {
        self.file.as_deref()
    }

    pub(super) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        let name = name.as_ref();
        if self.path == Path::new(".") {
            return name.into();
        }
        self.path.join(name)
    }

    /// A file to write and to read again; `None` if there is none and none is to be made.
    pub(super) fn write(&self, name: &str, create: bool) -> io::Result<Option<File>> {
        let mut flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        if create {
            flags |= OFlags::CREATE;
        }
        let mode = Mode::from_raw_mode(0o644);
        match retry_on_intr(|| rustix::fs::openat(&self.handle, name, flags, mode)) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT) if !create => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether `name` is this very file, and not one that came in its place.
    pub(super) fn is(&self, name: &str, file: &File) -> io::Result<bool> {
        let own = file.metadata()?;
        match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(stat.st_ino == own.ino() && stat.st_dev == own.dev() && own.is_file()),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// What a small file holds; `None` if there is none.
    pub(super) fn read_small(&self, name: &str) -> Option<Vec<u8>> {
        let file = self.read(OsStr::new(name))?;
        let mut bytes = Vec::new();
        file.take(SMALL_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Makes a small file anew.
    pub(super) fn write_small(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        let file = retry_on_intr(|| rustix::fs::openat(&self.handle, name, flags, mode))?;
        io::Write::write_all(&mut File::from(file), bytes)
    }

    fn read(&self, name: &OsStr) -> Option<File> {
        // Whatever is there, this neither follows it nor waits for it.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = retry_on_intr(|| rustix::fs::openat(&self.handle, name, flags, Mode::empty()));
        let file = File::from(opened.ok()?);
        file.metadata().ok()?.is_file().then_some(file)
    }

    /// Removes a file, which may be gone already.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.handle, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a partial file its name; false if something has that name and is not to be replaced.
    pub(super) fn publish(&self, part: &str, name: &OsStr, force: bool) -> io::Result<bool> {
        if force {
            rustix::fs::renameat(&self.handle, part, &self.handle, name)?;
            return Ok(true);
        }
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&self.handle, part, &self.handle, name, flags) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            // rename(2): EINVAL where the file system does not know the flag, ENOSYS from old ones.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.publish_by_link(part, name),
            Err(error) => Err(error.into()),
        }
    }

    /// The older way to name a file without replacing one: link(2) never does.
    fn publish_by_link(&self, part: &str, name: &OsStr) -> io::Result<bool> {
        match rustix::fs::linkat(&self.handle, part, &self.handle, name, AtFlags::empty()) {
            Ok(()) => self.remove(part).map(|()| true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the names in the folder to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        match self.handle.sync_all() {
            // Some file systems cannot do this for a folder.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            synced => synced,
        }
    }

    /// Whether what has that name holds the same bytes as a file.
    pub(super) fn holds(&self, name: &OsStr, file: &File) -> bool {
        let Some(other) = self.read(name) else {
            return false;
        };
        is_same(file, &other).unwrap_or(false)
    }
}

fn is_same(one: &File, other: &File) -> io::Result<bool> {
    use std::os::unix::fs::FileExt;
    let len = one.metadata()?.len();
    if other.metadata()?.len() != len {
        return Ok(false);
    }
    let (mut here, mut there) = (vec![0; COMPARED_BYTES], vec![0; COMPARED_BYTES]);
    let mut at = 0;
    while at < len {
        let left = usize::try_from(len - at).unwrap_or(usize::MAX);
        let (Some(here), Some(there)) = (
            here.get_mut(..left.min(COMPARED_BYTES)),
            there.get_mut(..left.min(COMPARED_BYTES)),
        ) else {
            return Ok(false);
        };
        one.read_exact_at(here, at)?;
        other.read_exact_at(there, at)?;
        if here != there {
            return Ok(false);
        }
        at += here.len() as u64;
    }
    Ok(true)
}
