//! Who has the log: the lock of who writes it, and the names of those that stand in the way.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::process;

use rustix::fs::OFlags;

use super::{Holder, LogError, database};

/// Bytes read of a lock file at most: a process number and a line end.
const LOCK_BYTES_MAX: u64 = 32;

/// `DATA/log.lock`, held until this is dropped.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would leave it to a child that another thread has just forked.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "can't unlock the log");
        }
    }
}

/// The lock file's name in a data folder.
pub(super) const FILE: &str = "log.lock";

/// Takes `DATA/log.lock`, which makes this process the only one that numbers entries here. The
/// database's own lock is held for one commit at a time.
pub(super) fn take(data: &Path) -> Result<Lock, LogError> {
    let path = data.join(FILE);
    let failed = |error: std::io::Error| LogError::Io {
        action: "lock",
        path: path.clone(),
        reason: error.to_string(),
    };
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits()).unwrap_or(0);
    let mut file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(flags)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(failed(error)),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Only for the message: unreadable is as good as empty.
            let read = file.take(LOCK_BYTES_MAX).read_to_string(&mut text);
            let pid = read.ok().and_then(|_| text.trim().parse().ok());
            return Err(LogError::InUse {
                path: database::path_in(data),
                holders: pid.map(named).into_iter().collect(),
            });
        }
    }
    // The lock holds without the number, so a full disk need not keep a hub from its log.
    if let Err(error) = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", process::id()))
    {
        tracing::warn!(path = %path.display(), %error, "can't write the process number");
    }
    Ok(Lock(file))
}

/// The other processes that hold a lock on the database to write it, by `/proc/locks` (proc(5)).
///
/// Asking the kernel by fcntl(2) needs the file open, and closing it again would let go of the
/// locks that this process has on it.
pub(super) fn holders(path: &Path) -> Vec<Holder> {
    let mut shared = path.as_os_str().to_owned();
    shared.push("-shm");
    let inodes: Vec<u64> = [path, Path::new(&shared)]
        .iter()
        .filter_map(|path| path.metadata().ok())
        .map(|metadata| metadata.ino())
        .collect();
    let Ok(table) = fs::read_to_string("/proc/locks") else {
        return Vec::new();
    };
    let mut pids: Vec<u32> = table
        .lines()
        .filter_map(|line| writer(line, &inodes))
        .filter(|pid| *pid != process::id())
        .collect();
    pids.sort_unstable();
    pids.dedup();
    pids.into_iter().map(named).collect()
}

/// The process of a line such as `1: POSIX  ADVISORY  WRITE 4711 fe:00:131 120 120`, if it is about
/// one of these files.
fn writer(line: &str, inodes: &[u64]) -> Option<u32> {
    let mut fields = line.split_ascii_whitespace().skip(3);
    let (kind, pid, file) = (fields.next()?, fields.next()?, fields.next()?);
    let inode = file.rsplit(':').next()?.parse().ok()?;
    (kind == "WRITE" && inodes.contains(&inode)).then(|| pid.parse().ok())?
}

fn named(pid: u32) -> Holder {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Holder {
        pid,
        name: name.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::writer;

    #[test]
    fn only_locks_to_write_on_the_log_name_somebody() {
        let held = "7: POSIX  ADVISORY  WRITE 4711 fe:00:131 120 120";
        assert_eq!(writer(held, &[130, 131]), Some(4711));
        assert_eq!(writer(held, &[132]), None);
        assert_eq!(writer(&held.replace("WRITE", "READ "), &[131]), None);
        assert_eq!(writer("8: -> POSIX", &[131]), None);
    }
}
