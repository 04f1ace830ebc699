//! The file store by what can be seen of it: replies, and real files in real folders.

mod crash;
mod limits;
mod resume;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::{CWD, FileType, Mode};
use switchboard_hub::store::{Reply, Request, Store, StoreConfig, StoreError, UploadId};
use switchboard_wire::FileName;
use tempfile::TempDir;

/// Far above what any disk needs; only a lost reply takes so long.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// A store and its replies.
struct Desk {
    store: Store,
    replies: Receiver<Reply>,
}

impl Desk {
    fn open(data: &Path) -> Self {
        Self::try_open(data).unwrap()
    }

    fn try_open(data: &Path) -> Result<Self, StoreError> {
        Self::open_with(StoreConfig::new(data))
    }

    fn open_with(config: StoreConfig) -> Result<Self, StoreError> {
        let (sender, replies) = mpsc::channel();
        let store = Store::open(config, move |reply| {
            sender.send(reply).ok();
        })?;
        Ok(Self { store, replies })
    }

    fn begin(&self, id: u64, name: &str, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap();
        self.store.request(Request::Begin {
            id: UploadId(id),
            name: file_name(name),
            bytes,
            content: None,
        });
    }

    fn data(&self, id: u64, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        self.store.request(Request::Data {
            id: UploadId(id),
            bytes,
        });
    }

    fn commit(&self, id: u64) {
        self.store.request(Request::Commit { id: UploadId(id) });
    }

    fn abort(&self, id: u64) {
        self.store.request(Request::Abort { id: UploadId(id) });
    }

    fn send(&self, id: u64, name: &str, content: &[u8]) {
        self.begin(id, name, content.len());
        self.data(id, content);
        self.commit(id);
    }

    fn reply(&self) -> Reply {
        self.replies
            .recv_timeout(REPLY_TIMEOUT)
            .expect("a reply comes")
    }

    /// The next reply that ends an upload.
    fn end(&self) -> Reply {
        loop {
            match self.reply() {
                Reply::Written { .. } => {}
                end => return end,
            }
        }
    }

    /// A whole upload; the name it got, and whether it was a duplicate.
    fn store(&self, id: u64, name: &str, content: &[u8]) -> (String, bool) {
        self.send(id, name, content);
        stored(&self.end(), id, content.len())
    }

    fn error(&self, expected: u64) -> StoreError {
        match self.end() {
            Reply::Failed {
                id: UploadId(id),
                error,
            } if id == expected => error,
            other => panic!("upload {expected} fails, not {other:?}"),
        }
    }

    /// Waits until the upload's thread has done everything requested so far.
    fn settle(&self, id: u64) {
        self.data(id, b"");
        loop {
            match self.reply() {
                Reply::Written {
                    id: UploadId(of),
                    bytes: 0,
                } if of == id => return,
                Reply::Written { .. } => {}
                other => panic!("nothing ends here, not even {other:?}"),
            }
        }
    }

    /// Ends the store and returns what it still said.
    fn close(self) -> Vec<Reply> {
        self.store.close();
        self.replies.iter().collect()
    }
}

fn stored(reply: &Reply, expected: u64, length: usize) -> (String, bool) {
    match reply {
        Reply::Stored {
            id,
            name,
            bytes,
            duplicate,
        } if *id == UploadId(expected) => {
            assert_eq!(*bytes, u64::try_from(length).unwrap());
            (name.as_str().to_owned(), *duplicate)
        }
        other => panic!("upload {expected} is stored, not {other:?}"),
    }
}

fn file_name(name: &str) -> FileName {
    FileName::reduce(name).unwrap()
}

fn temp() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// What is in a folder, by name.
fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn files(data: &Path) -> BTreeSet<String> {
    names(&data.join("files"))
}

fn partials(data: &Path) -> BTreeSet<String> {
    names(&data.join("partial"))
}

fn content(data: &Path, name: &str) -> Vec<u8> {
    fs::read(data.join("files").join(name)).unwrap()
}

/// Bytes that differ for each seed and do not repeat where buffers do.
fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(step).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn an_upload_becomes_a_file_however_it_is_cut() {
    let data = temp();
    let desk = Desk::open(data.path());
    let bytes = pattern(1, 300_001);
    for (id, piece) in [(1, 977), (2, 65_536), (3, 300_001)] {
        let name = format!("cut-{id}.bin");
        desk.begin(id, &name, bytes.len());
        bytes.chunks(piece).for_each(|piece| desk.data(id, piece));
        desk.commit(id);
        assert_eq!(stored(&desk.end(), id, bytes.len()), (name.clone(), false));
        assert_eq!(content(data.path(), &name), bytes);
    }
    assert_eq!(desk.store.files_dir(), data.path().join("files"));
    assert_eq!(partials(data.path()), set(&[]));
}

#[test]
fn an_empty_file_is_a_file() {
    let data = temp();
    let desk = Desk::open(data.path());
    desk.begin(1, "empty", 0);
    desk.commit(1);
    assert_eq!(stored(&desk.end(), 1, 0), ("empty".to_owned(), false));
    assert_eq!(content(data.path(), "empty"), b"");
    assert_eq!(desk.store(2, "empty", b""), ("empty".to_owned(), true));
}

#[test]
fn nothing_is_visible_before_the_commit() {
    let data = temp();
    let desk = Desk::open(data.path());
    desk.begin(1, "a", 6);
    for piece in [b"abc", b"def"] {
        desk.data(1, piece);
        assert!(matches!(
            desk.reply(),
            Reply::Written {
                id: UploadId(1),
                bytes: 3
            }
        ));
        assert_eq!(files(data.path()), set(&[]));
        assert_eq!(partials(data.path()), set(&["1.part"]));
    }
    desk.commit(1);
    stored(&desk.end(), 1, 6);
    assert_eq!(files(data.path()), set(&["a"]));
    assert_eq!(partials(data.path()), set(&[]));
}

#[test]
fn each_data_is_told_written_with_its_length() {
    let data = temp();
    let desk = Desk::open(data.path());
    desk.begin(1, "a", 3);
    let lengths = [1, 0, 2, 5, 7];
    for length in lengths {
        desk.data(1, &vec![b'x'; length]);
    }
    // Of an upload that never was.
    desk.data(5, b"1234");
    desk.commit(1);
    let replies = desk.close();
    let written = |expected| -> Vec<usize> {
        let of = |reply: &Reply| match reply {
            Reply::Written {
                id: UploadId(id),
                bytes,
            } if *id == expected => Some(*bytes),
            _ => None,
        };
        replies.iter().filter_map(of).collect()
    };
    assert_eq!(written(1), lengths);
    assert_eq!(written(5), [4]);
}

#[test]
fn another_file_of_that_name_keeps_it() {
    let data = temp();
    let desk = Desk::open(data.path());
    assert_eq!(desk.store(1, "cat.png", b"one").0, "cat.png");
    assert_eq!(desk.store(2, "cat.png", b"two").0, "cat (2).png");
    assert_eq!(desk.store(3, "cat.png", b"longer").0, "cat (3).png");
    assert_eq!(content(data.path(), "cat.png"), b"one");
    assert_eq!(content(data.path(), "cat (2).png"), b"two");
    assert_eq!(content(data.path(), "cat (3).png"), b"longer");
}

#[test]
fn the_same_bytes_are_kept_once() {
    let data = temp();
    let desk = Desk::open(data.path());
    let (bytes, mut other) = (pattern(1, 200_000), pattern(1, 200_000));
    other[199_999] ^= 1;
    assert_eq!(desk.store(1, "a", &bytes), ("a".to_owned(), false));
    assert_eq!(desk.store(2, "a", &bytes), ("a".to_owned(), true));
    assert_eq!(desk.store(3, "a", &other), ("a (2)".to_owned(), false));
    assert_eq!(desk.store(4, "a", &other), ("a (2)".to_owned(), true));
    assert_eq!(files(data.path()), set(&["a", "a (2)"]));
    assert_eq!(partials(data.path()), set(&[]));
}

#[test]
fn a_hundred_at_once_of_one_name_are_a_hundred_files() {
    let data = temp();
    let desk = Desk::open(data.path());
    let bytes: BTreeMap<u64, Vec<u8>> = (0..100).map(|id| (id, pattern(id, 10_000))).collect();
    bytes
        .iter()
        .for_each(|(id, bytes)| desk.begin(*id, "same.bin", bytes.len()));
    bytes.iter().for_each(|(id, bytes)| desk.data(*id, bytes));
    bytes.keys().for_each(|id| desk.commit(*id));

    let mut taken = BTreeSet::new();
    for _ in 0..100 {
        let Reply::Stored {
            id: UploadId(id),
            name,
            duplicate: false,
            ..
        } = desk.end()
        else {
            panic!("each is a file of its own");
        };
        assert_eq!(content(data.path(), name.as_str()), bytes[&id]);
        taken.insert(name.as_str().to_owned());
    }
    assert_eq!(taken.len(), 100);
    assert_eq!(files(data.path()), taken);
    assert_eq!(partials(data.path()), set(&[]));
}

#[test]
fn a_hundred_at_once_of_one_file_are_one_file() {
    let data = temp();
    let desk = Desk::open(data.path());
    let bytes = pattern(7, 100_000);
    (0..100).for_each(|id| desk.begin(id, "same.bin", bytes.len()));
    (0..100).for_each(|id| desk.data(id, &bytes));
    (0..100).for_each(|id| desk.commit(id));
    let ends: Vec<Reply> = (0..100).map(|_| desk.end()).collect();
    let count = |expected: bool| {
        let is =
            |end: &&Reply| matches!(end, Reply::Stored { duplicate, .. } if *duplicate == expected);
        ends.iter().filter(is).count()
    };
    assert_eq!((count(false), count(true)), (1, 99));
    assert_eq!(files(data.path()), set(&["same.bin"]));
    assert_eq!(content(data.path(), "same.bin"), bytes);
}

#[test]
fn a_symbolic_link_is_neither_followed_nor_replaced() {
    let (data, outside) = (temp(), temp());
    let desk = Desk::open(data.path());
    let (secret, nowhere) = (
        outside.path().join("secret"),
        outside.path().join("nowhere"),
    );
    fs::write(&secret, b"secret").unwrap();
    symlink(&secret, data.path().join("files/there")).unwrap();
    symlink(&nowhere, data.path().join("files/dangling")).unwrap();
    symlink(outside.path(), data.path().join("files/folder")).unwrap();

    // The same bytes as its target: still not the same file.
    assert_eq!(
        desk.store(1, "there", b"secret"),
        ("there (2)".to_owned(), false)
    );
    assert_eq!(desk.store(2, "there", b"stolen").0, "there (3)");
    assert_eq!(desk.store(3, "dangling", b"new").0, "dangling (2)");
    assert_eq!(desk.store(4, "folder", b"new").0, "folder (2)");

    assert_eq!(
        fs::read_link(data.path().join("files/there")).unwrap(),
        secret
    );
    assert_eq!(
        fs::read_link(data.path().join("files/dangling")).unwrap(),
        nowhere
    );
    assert_eq!(names(outside.path()), set(&["secret"]));
    assert_eq!(fs::read(secret).unwrap(), b"secret");
}

#[test]
fn a_folder_and_a_pipe_keep_their_names() {
    let data = temp();
    let desk = Desk::open(data.path());
    let (folder, pipe) = (
        data.path().join("files/folder"),
        data.path().join("files/pipe"),
    );
    fs::create_dir(&folder).unwrap();
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();

    assert_eq!(desk.store(1, "folder", b"x").0, "folder (2)");
    assert_eq!(desk.store(2, "pipe", b"x").0, "pipe (2)");
    // A pipe's length is 0, like this file's.
    assert_eq!(desk.store(3, "pipe", b"").0, "pipe (3)");
    assert!(folder.is_dir());
    assert!(fs::symlink_metadata(pipe).unwrap().file_type().is_fifo());
}

#[test]
fn folders_swapped_for_links_lead_nowhere() {
    let (data, outside) = (temp(), temp());
    let desk = Desk::open(data.path());
    for folder in ["files", "partial"] {
        fs::rename(
            data.path().join(folder),
            data.path().join(format!("old-{folder}")),
        )
        .unwrap();
        symlink(outside.path(), data.path().join(folder)).unwrap();
    }
    assert_eq!(desk.store(1, "a", b"x").0, "a");
    assert_eq!(names(outside.path()), set(&[]));
    assert_eq!(names(&data.path().join("old-files")), set(&["a"]));
    assert!(desk.close().is_empty());

    let error = Desk::try_open(data.path())
        .err()
        .expect("a link is no folder of ours");
    assert!(
        error.to_string().contains("/files: Not a directory"),
        "{error}"
    );
}

#[test]
fn an_aborted_upload_leaves_nothing() {
    let data = temp();
    let desk = Desk::open(data.path());
    desk.begin(1, "a", 6);
    desk.data(1, b"abc");
    desk.abort(1);
    desk.commit(1);
    desk.settle(1);
    assert_eq!(
        (files(data.path()), partials(data.path())),
        (set(&[]), set(&[]))
    );
    assert!(desk.close().is_empty());
}

#[test]
fn too_few_bytes_are_no_file() {
    let data = temp();
    let desk = Desk::open(data.path());
    desk.begin(1, "a", 6);
    desk.data(1, b"abc");
    desk.commit(1);
    let error = desk.error(1);
    assert!(
        matches!(
            error,
            StoreError::TooFewBytes {
                announced: 6,
                received: 3
            }
        ),
        "{error:?}"
    );
    assert_eq!(error.to_string(), "only 3 of 6 bytes arrived");
    assert_eq!(
        (files(data.path()), partials(data.path())),
        (set(&[]), set(&[]))
    );
}

#[test]
fn too_many_bytes_fail_once() {
    let data = temp();
    let desk = Desk::open(data.path());
    desk.begin(1, "a", 4);
    desk.data(1, b"abc");
    desk.data(1, b"def");
    let error = desk.error(1);
    assert!(
        matches!(
            error,
            StoreError::TooManyBytes {
                announced: 4,
                received: 6
            }
        ),
        "{error:?}"
    );
    assert_eq!(partials(data.path()), set(&[]));
    desk.data(1, b"late");
    desk.commit(1);
    desk.settle(1);
    assert_eq!(files(data.path()), set(&[]));
    assert!(desk.close().is_empty());
}

#[test]
fn an_upload_begun_twice_fails_once() {
    let data = temp();
    let desk = Desk::open(data.path());
    desk.begin(1, "a", 1);
    desk.begin(1, "b", 1);
    desk.begin(1, "c", 1);
    desk.data(1, b"x");
    desk.commit(1);
    let error = desk.error(1);
    assert!(
        matches!(error, StoreError::BegunTwice { id: UploadId(1) }),
        "{error:?}"
    );
    assert!(
        desk.close()
            .iter()
            .all(|reply| matches!(reply, Reply::Written { .. }))
    );
    assert_eq!(
        (files(data.path()), partials(data.path())),
        (set(&[]), set(&[]))
    );
}

#[test]
fn more_than_the_disk_has_is_refused_at_once() {
    let data = temp();
    let desk = Desk::open(data.path());
    let name = file_name("huge");
    desk.store.request(Request::Begin {
        id: UploadId(1),
        name,
        bytes: u64::MAX,
        content: None,
    });
    let error = desk.error(1);
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
    assert!(error.to_string().starts_with("disk full: "), "{error}");
    assert_eq!(partials(data.path()), set(&[]));
}

#[test]
fn close_does_what_was_requested_and_gives_up_the_rest() {
    let data = temp();
    let desk = Desk::open(data.path());
    (0..20).for_each(|id| desk.send(id, "same", &pattern(id, 5_000)));
    desk.begin(100, "unfinished", 6);
    desk.data(100, b"abc");
    let replies = desk.close();
    let count = |is: fn(&Reply) -> bool| replies.iter().filter(|reply| is(reply)).count();
    assert_eq!(count(|reply| matches!(reply, Reply::Stored { .. })), 20);
    assert_eq!(count(|reply| matches!(reply, Reply::Failed { .. })), 0);
    assert_eq!(files(data.path()).len(), 20);
    assert_eq!(partials(data.path()), set(&[]));
}

#[test]
fn opening_removes_what_a_dead_run_left() {
    let data = temp();
    let desk = Desk::open(data.path());
    assert_eq!(desk.store(1, "a", b"x").0, "a");
    desk.close();
    let partial = data.path().join("partial");
    fs::write(partial.join("7.part"), b"half").unwrap();
    symlink(data.path().join("files/a"), partial.join("8.part")).unwrap();
    fs::write(partial.join("note.txt"), b"somebody's").unwrap();
    fs::create_dir(partial.join("folder.part")).unwrap();

    let desk = Desk::open(data.path());
    assert_eq!(partials(data.path()), set(&["folder.part", "note.txt"]));
    assert_eq!(content(data.path(), "a"), b"x");
    assert_eq!(desk.store(7, "a", b"y").0, "a (2)");
}

#[test]
fn a_folder_has_one_store_at_a_time() {
    let data = temp();
    let desk = Desk::open(data.path());
    fs::write(data.path().join("partial/9.part"), b"under way").unwrap();
    let error = Desk::try_open(data.path())
        .err()
        .expect("the folder is taken");
    let pid = std::process::id();
    assert!(
        matches!(&error, StoreError::InUse { pid: Some(p), .. } if *p == pid),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .ends_with(&format!("another hub (process {pid})")),
        "{error}"
    );
    assert_eq!(partials(data.path()), set(&["9.part"]));

    desk.close();
    assert!(data.path().join("lock").exists());
    Desk::open(data.path()).close();
}

#[test]
fn a_missing_data_folder_is_created() {
    let parent = temp();
    let data = parent.path().join("a/b/data");
    let desk = Desk::open(&data);
    assert_eq!(desk.store(1, "a", b"x").0, "a");
    assert_eq!(names(&data), set(&["files", "lock", "partial"]));
}

#[test]
fn zero_threads_are_one() {
    let data = temp();
    let (sender, replies) = mpsc::channel();
    let config = StoreConfig {
        threads: 0,
        ..StoreConfig::new(data.path())
    };
    let store = Store::open(config, move |reply| {
        sender.send(reply).ok();
    });
    let desk = Desk {
        store: store.unwrap(),
        replies,
    };
    assert_eq!(desk.store(u64::MAX, "a", b"x").0, "a");
}

#[test]
fn a_data_path_that_is_no_folder_is_told() {
    let parent = temp();
    let file = parent.path().join("file");
    fs::write(&file, b"").unwrap();
    for data in [file.clone(), file.join("data")] {
        let error = Desk::try_open(&data).err().expect("a file is no folder");
        let text = error.to_string();
        assert!(text.contains(data.to_str().unwrap()), "{text}");
        assert!(text.contains("Not a directory"), "{text}");
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[test]
fn a_data_folder_that_cannot_be_written_is_told() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: needs a user other than root, whom modes do not stop");
        return;
    }
    let data = temp();
    Desk::open(data.path()).close();
    for folder in ["partial", "files"] {
        let path = data.path().join(folder);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o555)).unwrap();
        let error = Desk::try_open(data.path())
            .err()
            .expect("a folder not ours to write");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let text = error.to_string();
        assert!(text.contains(path.to_str().unwrap()), "{text}");
        assert!(text.contains("Permission denied"), "{text}");
    }
    Desk::open(data.path()).close();
}

/// A file system of one megabyte, until it is dropped.
pub(crate) struct SmallDisk(TempDir);

impl SmallDisk {
    pub(crate) fn mount(options: &str) -> Option<Self> {
        let folder = temp();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(folder.path());
        let is_root = rustix::process::geteuid().is_root();
        let mounted = is_root && mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let mut mount = Command::new("mount");
        let status = mount.args(["-o", &options]).arg(self.path()).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount")
            .arg("-l")
            .arg(self.0.path())
            .status()
            .ok();
    }
}

#[test]
fn privileged_a_full_disk_is_told_and_recovered_from() {
    let Some(disk) = SmallDisk::mount("size=1m") else {
        println!("skipped: needs root for a small tmpfs");
        return;
    };
    let data = disk.0.path().join("data");
    let desk = Desk::open(&data);
    let bytes = pattern(1, 600_000);

    desk.begin(1, "refused", 2_000_000);
    assert!(matches!(desk.error(1), StoreError::DiskFull { .. }));
    // Each fits, both do not, which only the writing shows.
    desk.begin(2, "first", bytes.len());
    desk.begin(3, "second", bytes.len());
    desk.settle(3);
    desk.settle(2);
    desk.data(2, &bytes);
    desk.settle(2);
    desk.data(3, &bytes);
    let error = desk.error(3);
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("3.part: No space left on device"),
        "{error}"
    );
    desk.commit(3);
    desk.commit(2);
    assert_eq!(stored(&desk.end(), 2, bytes.len()).0, "first");
    assert_eq!((files(&data), partials(&data)), (set(&["first"]), set(&[])));

    // Emptied and not only removed: a child of another test may hold it for a moment.
    fs::write(data.join("files/first"), b"").unwrap();
    let bytes = pattern(2, 300_000);
    assert_eq!(desk.store(4, "third", &bytes).0, "third");
    assert_eq!(content(&data, "third"), bytes);
    assert!(desk.close().is_empty());
}

#[test]
fn privileged_a_read_only_disk_is_told() {
    let Some(disk) = SmallDisk::mount("size=1m,ro") else {
        println!("skipped: needs root for a small tmpfs");
        return;
    };
    let error = Desk::try_open(&disk.0.path().join("data"))
        .err()
        .expect("nothing can be written");
    assert!(
        error
            .to_string()
            .ends_with("/data: Read-only file system (os error 30)"),
        "{error}"
    );
}
