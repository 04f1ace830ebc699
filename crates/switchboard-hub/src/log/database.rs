//! The database under the log: its file, its form, how it is opened, and what its errors mean.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ffi;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::Resource;

use super::{LogError, locks, search};

/// The log in a data folder.
const FILE: &str = "log.sqlite";

/// `PRAGMA application_id`, by which file(1) knows the file too: "sbrd".
const APPLICATION_ID: i64 = 0x7362_7264;

/// The form of the tables below, in `PRAGMA user_version`.
const FORM: i64 = 1;

/// A larger file is not read through at each start: `switchboard verify` does that.
const CHECKED_AT_START_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// One row of `rooms` is one life of a room. `entries.id` holds the life and the number, so that
/// a room's entries lie side by side and no second index is written. `words` holds no text of its
/// own, only where each three letters are.
const TABLES: &str = "
    CREATE TABLE rooms (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        first_seq INTEGER NOT NULL,
        last_seq INTEGER NOT NULL,
        indexed_seq INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        topic TEXT NOT NULL,
        kept INTEGER NOT NULL,
        UNIQUE (name, epoch)
    ) STRICT;
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY,
        time_ms INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        author TEXT NOT NULL,
        text TEXT NOT NULL,
        bytes INTEGER,
        reply_to INTEGER,
        client_id TEXT,
        checksum INTEGER NOT NULL
    ) STRICT;
    CREATE VIRTUAL TABLE words USING fts5 (
        text, content = 'entries', content_rowid = 'id', tokenize = 'trigram'
    );";

/// A page as the database writes them.
const PAGE: [u8; 4096] = [0; 4096];

/// The path of the log in a data folder.
pub(super) fn path_in(data: &Path) -> PathBuf {
    data.join(FILE)
}

/// Removes the files of a log that nobody has open, and in which there is nothing.
pub(super) fn remove(data: &Path) -> io::Result<()> {
    for end in ["", "-wal", "-shm"] {
        let file = data.join(format!("{FILE}{end}"));
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Opens the log to write it; makes it if it is not there.
pub(super) fn open(data: &Path, lock_wait: Duration) -> Result<Connection, LogError> {
    let path = path_in(data);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let failed = |error| open_error(&path, &error);
    let mut connection = Connection::open_with_flags(real(&path), flags).map_err(failed)?;
    connection.busy_timeout(lock_wait).map_err(failed)?;
    set_up(&mut connection).map_err(failed)?;
    check_form(&connection, &path)?;
    let bytes = path.metadata().map_or(0, |metadata| metadata.len());
    if bytes <= CHECKED_AT_START_BYTES_MAX {
        quick_check(&connection, &path)?;
    }
    Ok(connection)
}

/// Opens a log that is there to read it, beside whoever writes it.
pub(super) fn open_to_read(data: &Path, lock_wait: Duration) -> Result<Connection, LogError> {
    let path = path_in(data);
    if let Err(error) = path.metadata() {
        return Err(match error.kind() {
            io::ErrorKind::NotFound => LogError::NoLog {
                path: data.to_owned(),
            },
            _ => LogError::Io {
                action: "look at",
                path,
                reason: error.to_string(),
            },
        });
    }
    let connection = match try_to_read(real(&path), lock_wait) {
        Err(error) if is_at_rest(&path, &error) => {
            try_to_read(immutable(&real(&path)), lock_wait).map_err(|_| error)
        }
        other => other,
    };
    let connection = connection.map_err(|error| open_error(&path, &error))?;
    check_form(&connection, &path)?;
    Ok(connection)
}

fn try_to_read(path: PathBuf, lock_wait: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(lock_wait)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    search::add_functions(&connection)?;
    // What is beside the file is looked at by the first question.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// Whether a log cannot be opened because its folder cannot be written, and nobody writes it: then
/// it is read as it lies there. https://sqlite.org/wal.html#readonly
fn is_at_rest(path: &Path, error: &rusqlite::Error) -> bool {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let is_refused = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
    );
    is_refused && Path::new(&wal).metadata().map_or(0, |wal| wal.len()) == 0
}

/// The path as a URI that says that nobody writes the file. https://sqlite.org/uri.html
fn immutable(path: &Path) -> PathBuf {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte));
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    uri.into()
}

/// Statements that a connection keeps prepared: all there are.
const STATEMENTS_MAX: usize = 64;

/// `SQLITE_OPEN_NOFOLLOW` refuses links anywhere in the path; the data folder itself may be one.
fn real(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    folder.map_or_else(|| path.to_owned(), |folder| folder.join(FILE))
}

fn set_up(connection: &mut Connection) -> rusqlite::Result<()> {
    // https://sqlite.org/pragma.html; auto checkpoints are off because they hide failed syncs.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // That it can be written, and that nobody else is at it, shows here and not at the first entry.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", FORM)?;
    }
    transaction.commit()
}

fn check_form(connection: &Connection, path: &Path) -> Result<(), LogError> {
    let number = |pragma: &str| {
        connection
            .pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))
            .map_err(|error| open_error(path, &error))
    };
    if number("application_id")? != APPLICATION_ID {
        return Err(LogError::Corrupt {
            path: path.to_owned(),
            reason: "it is a database, and no log".to_owned(),
        });
    }
    match number("user_version")? {
        FORM => Ok(()),
        found => Err(LogError::Newer {
            path: path.to_owned(),
            found,
            known: FORM,
        }),
    }
}

fn quick_check(connection: &Connection, path: &Path) -> Result<(), LogError> {
    let answer: Result<String, _> =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    match answer {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(answer) => Err(LogError::Corrupt {
            path: path.to_owned(),
            reason: answer,
        }),
        Err(error) => Err(open_error(path, &error)),
    }
}

/// What an error of the database means for the log.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nothing is lost, and it may go by: try again.
    Passing(LogError),
    /// What was written may be lost without anybody telling: never try again.
    Final(LogError),
}

/// Tells a fault that may go by from one that must not be tried again.
///
/// After a failed `fsync(2)` the kernel has dropped what it could not write, and the next one
/// succeeds all the same. A failed write is told for what it is, and what failed is written anew.
pub(super) fn fault(path: &Path, error: &rusqlite::Error) -> Fault {
    use Fault::{Final, Passing};
    let reason = words(error);
    let path = path.to_owned();
    let Some(code) = error.sqlite_error() else {
        return Final(LogError::Stopped { reason });
    };
    match (code.code, code.extended_code) {
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => {
            let holders = locks::holders(&path);
            Passing(LogError::Locked { path, holders })
        }
        (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => {
            Passing(LogError::DiskFull { path, reason })
        }
        (
            ErrorCode::SystemIoFailure,
            ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC | ffi::SQLITE_IOERR_CLOSE,
        ) => Final(LogError::Stopped { reason }),
        // Of a quota, a file system that is read-only and a bad disk the database tells the same.
        (ErrorCode::SystemIoFailure, ffi::SQLITE_IOERR_WRITE) => Passing(not_written(path, reason)),
        (
            ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::OutOfMemory
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied,
            _,
        ) => Passing(LogError::Io {
            action: "write",
            path,
            reason,
        }),
        _ => Final(LogError::Stopped { reason }),
    }
}

/// What a write means that the system refused for a reason which the database does not tell.
fn not_written(path: PathBuf, reason: String) -> LogError {
    if is_at_size_limit(&path) {
        let reason = "the limit of a file's size is reached (ulimit -f)".to_owned();
        return LogError::DiskFull { path, reason };
    }
    match try_to_write(&path) {
        Err(error @ (Errno::DQUOT | Errno::NOSPC)) => LogError::DiskFull {
            path,
            reason: io::Error::from(error).to_string(),
        },
        Err(error) => LogError::Io {
            action: "write",
            path,
            reason: io::Error::from(error).to_string(),
        },
        Ok(()) => LogError::Io {
            action: "write",
            path,
            reason,
        },
    }
}

/// Whether one of the log's files cannot grow by a page because of the process's limit.
fn is_at_size_limit(path: &Path) -> bool {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let bytes = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    let largest = bytes(path).max(bytes(Path::new(&wal)));
    let limit = rustix::process::getrlimit(Resource::Fsize).current;
    limit.is_some_and(|limit| largest + 2 * PAGE.len() as u64 > limit)
}

/// Writes a page beside the log, to a file without a name.
fn try_to_write(path: &Path) -> Result<(), Errno> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = match retry_on_intr(|| rustix::fs::open(folder, flags, mode)) {
        // Not every file system has such files, and then this tells nothing.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::MFILE | Errno::NFILE) => {
            return Ok(());
        }
        other => other?,
    };
    retry_on_intr(|| rustix::io::pwrite(&file, &PAGE, 0)).map(drop)
}

/// Why a log cannot be opened.
pub(super) fn open_error(path: &Path, error: &rusqlite::Error) -> LogError {
    read_error_as("open", path, error)
}

/// Why a log cannot be read.
pub(super) fn read_error(path: &Path, error: &rusqlite::Error) -> LogError {
    read_error_as("read", path, error)
}

fn read_error_as(action: &'static str, path: &Path, error: &rusqlite::Error) -> LogError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => LogError::Corrupt {
            path: path.to_owned(),
            reason: words(error),
        },
        Some(_) => match fault(path, error) {
            Fault::Passing(LogError::Io { reason, .. })
            | Fault::Final(LogError::Stopped { reason, .. }) => LogError::Io {
                action,
                path: path.to_owned(),
                reason,
            },
            Fault::Passing(error) | Fault::Final(error) => error,
        },
        // A column of another type than was written there.
        None => LogError::Corrupt {
            path: path.to_owned(),
            reason: words(error),
        },
    }
}

/// The database's own words, without the numbers around them.
pub(super) fn words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(code, text) => {
            let text = text.clone().unwrap_or_else(|| code.to_string());
            // What failed of the disk is in the extended code alone.
            match code.extended_code {
                ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => format!("{text}: fsync"),
                ffi::SQLITE_IOERR_WRITE => format!("{text}: write"),
                ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ => format!("{text}: read"),
                _ => text,
            }
        }
        other => other.to_string(),
    }
}
