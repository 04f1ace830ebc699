//! Uploads that broke off and are gone on with.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use switchboard_hub::limits::{
    UNFINISHED_BYTES_MAX, UNFINISHED_FILES_MAX, UNFINISHED_SYNC_BYTES, UNFINISHED_TIME,
};
use switchboard_hub::store::{Reply, Request, StoreConfig, StoreError, Unfinished, UploadId};
use switchboard_wire::{Content, ContentHash};

use super::{Desk, SmallDisk, content, file_name, files, partials, pattern, set, stored, temp};

/// Tells the child of `a_killed_store_has_what_it_noted` where to write.
const KILL_DATA: &str = "SWITCHBOARD_TEST_STORE_RESUME_DATA";

fn whole(bytes: &[u8]) -> Content {
    Content {
        bytes: bytes.len().try_into().unwrap(),
        hash: ContentHash(*blake3::hash(bytes).as_bytes()),
    }
}

impl Desk {
    /// Offers a file; how much of it there is.
    fn offer(&self, id: u64, content: Content) -> usize {
        self.store.request(Request::Offer {
            id: UploadId(id),
            content,
        });
        match self.reply() {
            Reply::Have {
                id: UploadId(of),
                bytes,
            } if of == id => bytes.try_into().unwrap(),
            other => panic!("an offer is answered, not {other:?}"),
        }
    }

    /// Announces `bytes` of a file that is known as a whole.
    fn go_on(&self, id: u64, name: &str, content: Content, bytes: usize) {
        self.store.request(Request::Begin {
            id: UploadId(id),
            name: file_name(name),
            bytes: bytes.try_into().unwrap(),
            content: Some(content),
        });
    }

    /// Offers a file, and sends its front alone, or what comes behind what there is.
    fn break_off(&self, id: u64, bytes: &[u8], until: usize) -> usize {
        let have = self.offer(id, whole(bytes));
        self.go_on(id, "broken", whole(bytes), bytes.len() - have);
        if until > have {
            self.data(id, &bytes[have..until]);
        }
        self.abort(id);
        self.settle(id);
        have
    }

    /// Offers a file, and sends what there is not; how much there was.
    fn complete(&self, id: u64, name: &str, bytes: &[u8]) -> usize {
        let have = self.offer(id, whole(bytes));
        self.go_on(id, name, whole(bytes), bytes.len() - have);
        self.data(id, &bytes[have..]);
        self.commit(id);
        assert!(!stored(&self.end(), id, bytes.len()).1);
        have
    }
}

/// A desk whose store keeps so much.
fn keeping(data: &Path, unfinished: Unfinished) -> Desk {
    let config = StoreConfig {
        unfinished,
        ..StoreConfig::new(data)
    };
    Desk::open_with(config).unwrap()
}

#[test]
fn an_upload_that_broke_off_goes_on_where_it_was() {
    let data = temp();
    let bytes = pattern(1, 100_000);
    let desk = Desk::open(data.path());
    assert_eq!(desk.break_off(1, &bytes, 30_000), 0);
    assert_eq!(
        desk.break_off(2, &bytes, 60_001),
        30_000,
        "by another thread"
    );
    assert_eq!(files(data.path()), set(&[]), "nothing half is visible");
    desk.close();
    let desk = Desk::open(data.path());
    assert_eq!(desk.break_off(3, &bytes, 60_001), 60_001, "over a restart");
    assert_eq!(desk.complete(4, "a", &bytes), 60_001);
    assert!(content(data.path(), "a") == bytes);
    assert_eq!(partials(data.path()), set(&[]));
    assert_eq!(
        desk.offer(5, whole(&bytes)),
        0,
        "it is no longer unfinished"
    );
    desk.abort(5);
    desk.close();
}

#[test]
fn what_was_sent_to_the_last_byte_needs_no_more_of_them() {
    let data = temp();
    let bytes = pattern(2, 5000);
    let desk = Desk::open(data.path());
    desk.break_off(1, &bytes, 5000);
    assert_eq!(desk.complete(2, "a", &bytes), 5000);
    assert!(content(data.path(), "a") == bytes);
    assert_eq!(desk.complete(3, "empty", b""), 0);
    desk.close();
}

#[test]
fn who_does_not_wait_to_be_told_sends_the_whole_file() {
    let data = temp();
    let bytes = pattern(3, 50_000);
    let desk = Desk::open(data.path());
    desk.break_off(1, &bytes, 20_000);
    assert_eq!(desk.offer(2, whole(&bytes)), 20_000);
    desk.go_on(2, "a", whole(&bytes), bytes.len());
    desk.data(2, &bytes);
    desk.commit(2);
    stored(&desk.end(), 2, bytes.len());
    assert!(content(data.path(), "a") == bytes);
    assert_eq!(partials(data.path()), set(&[]));
    desk.close();
}

#[test]
fn a_file_that_two_send_at_once_is_kept_once() {
    let data = temp();
    let bytes = pattern(4, 50_000);
    let desk = Desk::open(data.path());
    desk.break_off(1, &bytes, 20_000);
    assert_eq!(desk.offer(2, whole(&bytes)), 20_000);
    assert_eq!(desk.offer(3, whole(&bytes)), 0, "it is the other's");
    for (id, have) in [(2, 20_000), (3, 0)] {
        desk.go_on(id, "a", whole(&bytes), bytes.len() - have);
        desk.data(id, &bytes[have..]);
        desk.commit(id);
        stored(&desk.end(), id, bytes.len());
    }
    assert_eq!(files(data.path()), set(&["a"]));
    assert_eq!(partials(data.path()), set(&[]));
    desk.close();
}

/// B11: short, long, overlapping, past the end, other bytes, another size.
#[test]
fn an_upload_that_lies_is_refused_and_nothing_of_it_stays() {
    let (bytes, other) = (pattern(5, 10_000), pattern(6, 10_000));
    let announced = [0, 1, 5999, 6001, 9999, 10_001, 20_000];
    for lie in announced {
        let data = temp();
        let desk = Desk::open(data.path());
        desk.break_off(1, &bytes, 4000);
        assert_eq!(desk.offer(2, whole(&bytes)), 4000);
        desk.go_on(2, "a", whole(&bytes), lie);
        let error = desk.error(2).to_string();
        let told = format!("{lie} bytes are announced of a file of 10000: ");
        assert!(error.starts_with(&told), "{error}");
        desk.abort(2);
        desk.settle(2);
        assert_eq!(desk.offer(3, whole(&bytes)), 0, "{lie}");
        assert_eq!(partials(data.path()), set(&[]), "{lie}");
        desk.close();
    }
    for have in [0, 4000] {
        let data = temp();
        let desk = Desk::open(data.path());
        desk.break_off(1, &bytes, have);
        assert_eq!(desk.offer(2, whole(&bytes)), have);
        desk.go_on(2, "a", whole(&bytes), 10_000 - have);
        desk.data(2, &other[have..]);
        desk.commit(2);
        let error = desk.error(2);
        assert!(
            matches!(error, StoreError::OtherContent { .. }),
            "{error:?}"
        );
        assert_eq!(
            (files(data.path()), partials(data.path())),
            (set(&[]), set(&[]))
        );
        desk.close();
    }
    let data = temp();
    let desk = Desk::open(data.path());
    desk.break_off(1, &bytes, 4000);
    let longer = Content {
        bytes: 10_001,
        ..whole(&bytes)
    };
    assert_eq!(desk.offer(2, longer), 0, "another size is another file");
    desk.close();
}

#[test]
fn a_file_that_is_known_as_a_whole_is_checked_without_an_offer_too() {
    let data = temp();
    let desk = Desk::open(data.path());
    let bytes = pattern(7, 1000);
    for (id, sent) in [(1, &bytes), (2, &pattern(8, 1000))] {
        desk.go_on(id, "a", whole(&bytes), 1000);
        desk.data(id, sent);
        desk.commit(id);
    }
    let mut ends = [desk.end(), desk.end()];
    ends.sort_by_key(Reply::id);
    stored(&ends[0], 1, 1000);
    assert!(
        matches!(
            &ends[1],
            Reply::Failed {
                error: StoreError::OtherContent { .. },
                ..
            }
        ),
        "{ends:?}"
    );
    desk.go_on(3, "b", whole(&bytes), 999);
    assert!(matches!(desk.error(3), StoreError::NotTheRest { .. }));
    assert_eq!(partials(data.path()), set(&[]));
    desk.close();
}

#[test]
fn a_mark_that_is_not_ours_tells_nothing() {
    let bytes = pattern(9, 10_000);
    let hash = whole(&bytes).hash;
    for place in 0..24 {
        let data = temp();
        let desk = Desk::open(data.path());
        desk.break_off(1, &bytes, 4000);
        desk.close();
        let mark = data.path().join(format!("partial/{hash}.mark"));
        let mut torn = fs::read(&mark).unwrap();
        assert_eq!(torn.len(), 24);
        torn[place] ^= 1;
        fs::write(&mark, torn).unwrap();
        let desk = Desk::open(data.path());
        assert_eq!(partials(data.path()), set(&[]), "{place}");
        assert_eq!(desk.complete(2, "a", &bytes), 0, "{place}");
        desk.close();
    }
    // More is noted than there is.
    let data = temp();
    let desk = Desk::open(data.path());
    desk.break_off(1, &bytes, 4000);
    let part = data.path().join(format!("partial/{hash}.part"));
    File::options()
        .write(true)
        .open(part)
        .unwrap()
        .set_len(3999)
        .unwrap();
    assert_eq!(desk.complete(2, "a", &bytes), 0);
    assert!(content(data.path(), "a") == bytes);
    desk.close();
}

#[test]
fn so_many_unfinished_uploads_are_kept_and_no_more() {
    let data = temp();
    let files = 3;
    let desk = keeping(
        data.path(),
        Unfinished {
            files,
            ..Unfinished::default()
        },
    );
    let bytes = |seed| pattern(seed, 1000);
    let hours_ago = |seed: u64, hours| {
        let hash = whole(&bytes(seed)).hash;
        let part = data.path().join(format!("partial/{hash}.part"));
        let changed = SystemTime::now() - Duration::from_secs(hours * 3600);
        let part = File::options().write(true).open(part).unwrap();
        part.set_modified(changed).unwrap();
    };
    for seed in 1..=4 {
        desk.break_off(seed, &bytes(seed), 500);
        let kept = usize::try_from(seed).unwrap().min(files);
        assert_eq!(partials(data.path()).len(), 2 * kept, "{seed}");
        hours_ago(seed, 10 - seed);
    }
    assert_eq!(desk.offer(5, whole(&bytes(1))), 0, "the oldest went");
    assert_eq!(desk.offer(6, whole(&bytes(2))), 500);
    desk.close();
    assert_eq!(Unfinished::default().files, UNFINISHED_FILES_MAX);
}

#[test]
fn so_many_bytes_of_unfinished_uploads_are_kept_and_no_more() {
    for (limit, kept) in [(999, 1), (1000, 2), (1001, 2)] {
        let data = temp();
        let desk = keeping(
            data.path(),
            Unfinished {
                bytes: limit,
                ..Unfinished::default()
            },
        );
        desk.break_off(1, &pattern(1, 1000), 500);
        desk.break_off(2, &pattern(2, 1000), 500);
        assert_eq!(partials(data.path()).len(), 2 * kept, "{limit}");
        desk.close();
        let desk = keeping(
            data.path(),
            Unfinished {
                bytes: 0,
                ..Unfinished::default()
            },
        );
        assert_eq!(partials(data.path()), set(&[]), "at the start, too");
        desk.break_off(1, &pattern(1, 1000), 500);
        assert_eq!(partials(data.path()), set(&[]), "none is kept");
        desk.close();
    }
    assert_eq!(Unfinished::default().bytes, UNFINISHED_BYTES_MAX);
}

#[test]
fn an_unfinished_upload_is_kept_so_long_and_no_longer() {
    let bytes = pattern(1, 1000);
    let hash = whole(&bytes).hash;
    // A clock that was set back makes nothing older.
    for (minutes, is_kept) in [(-60, true), (59, true), (61, false)] {
        let data = temp();
        let unfinished = Unfinished {
            time: Duration::from_secs(3600),
            ..Unfinished::default()
        };
        let desk = keeping(data.path(), unfinished.clone());
        desk.break_off(1, &bytes, 500);
        let now = SystemTime::now();
        let changed = match u64::try_from(minutes) {
            Ok(minutes) => now - Duration::from_secs(60 * minutes),
            Err(_) => now + Duration::from_secs(3600),
        };
        let part = data.path().join(format!("partial/{hash}.part"));
        let part = File::options().write(true).open(part).unwrap();
        part.set_modified(changed).unwrap();
        let expected = if is_kept { 500 } else { 0 };
        assert_eq!(desk.offer(2, whole(&bytes)), expected, "{minutes}");
        desk.close();
        let desk = keeping(data.path(), unfinished);
        assert_eq!(!partials(data.path()).is_empty(), is_kept, "{minutes}");
        desk.close();
    }
    assert_eq!(Unfinished::default().time, UNFINISHED_TIME);
}

#[test]
fn so_many_bytes_are_synced_and_noted_at_once() {
    let step = usize::try_from(UNFINISHED_SYNC_BYTES).unwrap();
    for (sent, noted) in [(step - 1, 0), (step, step), (step + 1, step)] {
        let data = temp();
        let bytes = pattern(1, step + 1000);
        let desk = Desk::open(data.path());
        assert_eq!(desk.offer(1, whole(&bytes)), 0);
        desk.go_on(1, "a", whole(&bytes), bytes.len());
        desk.data(1, &bytes[..step - 1]);
        bytes[step - 1..sent]
            .iter()
            .for_each(|byte| desk.data(1, &[*byte]));
        desk.settle(1);
        // It ends as one that is killed: nothing more is written.
        desk.store.give_up();
        let desk = Desk::open(data.path());
        assert_eq!(desk.complete(2, "a", &bytes), noted, "{sent}");
        assert!(content(data.path(), "a") == bytes);
        desk.close();
    }
}

#[test]
fn privileged_what_is_unfinished_makes_room_on_a_full_disk() {
    let Some(disk) = SmallDisk::mount("size=1m") else {
        println!("skipped: needs root for a small tmpfs");
        return;
    };
    let data = disk.path().join("data");
    let desk = Desk::open(&data);
    let bytes = |seed| pattern(seed, 400_000);
    let sent = |seed| whole(&bytes(seed)).hash;
    for seed in [1, 2] {
        desk.break_off(seed, &bytes(seed), 300_000);
        let part = data.join(format!("partial/{}.part", sent(seed)));
        let changed = SystemTime::now() - Duration::from_secs(100 - seed);
        let part = File::options().write(true).open(part).unwrap();
        part.set_modified(changed).unwrap();
    }
    // Not even all of it would be enough.
    desk.begin(3, "huge", 2_000_000);
    assert!(matches!(desk.error(3), StoreError::DiskFull { .. }));
    assert_eq!(partials(&data).len(), 4);
    let large = pattern(3, 500_000);
    assert_eq!(desk.store(4, "large", &large).0, "large");
    assert_eq!(desk.offer(5, whole(&bytes(1))), 0, "the oldest went");
    assert_eq!(desk.offer(6, whole(&bytes(2))), 300_000);
    desk.close();
}

/// Not a test but the other process of the next one.
#[test]
fn killed_child() {
    let Some(data) = std::env::var_os(KILL_DATA) else {
        return;
    };
    let bytes = killed_content();
    let desk = Desk::open(Path::new(&data));
    let have = desk.offer(1, whole(&bytes));
    desk.go_on(1, "a", whole(&bytes), bytes.len() - have);
    println!("\nhave={have}");
    for (piece, chunk) in bytes[have..].chunks(100_000).enumerate() {
        desk.data(1, chunk);
        desk.settle(1);
        println!("\npiece={piece}");
    }
}

fn killed_content() -> Vec<u8> {
    pattern(1, 6 * usize::try_from(UNFINISHED_SYNC_BYTES).unwrap())
}

/// F1: a kill costs what was not noted yet, and nothing else.
#[test]
fn a_killed_store_has_what_it_noted() {
    let data = temp();
    let bytes = killed_content();
    let step = usize::try_from(UNFINISHED_SYNC_BYTES).unwrap();
    let (mut have, mut sent) = (0, 0);
    for pieces in [100, 7, 180, 1, 170, 250] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::resume::killed_child", "--nocapture"])
            .env(KILL_DATA, data.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let number = |line: String, of: &str| line.strip_prefix(of)?.parse::<usize>().ok();
        let told = lines.find_map(|line| number(line, "have=")).unwrap();
        assert!(told >= have && told + step > sent, "{told} of {sent}");
        have = told;
        let pieces_sent = lines
            .filter_map(|line| number(line, "piece="))
            .take(pieces)
            .count();
        sent = (have + pieces_sent * 100_000).min(bytes.len());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(files(data.path()), set(&[]), "nothing half is visible");
    }
    assert!(have > 0);
    let desk = Desk::open(data.path());
    assert!(desk.complete(1, "a", &bytes) >= have);
    assert!(content(data.path(), "a") == bytes);
    assert_eq!(partials(data.path()), set(&[]));
    desk.close();
}
