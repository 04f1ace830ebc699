//! The log by what can be seen of it: its replies, what readers find, and what outlives it.

mod crash;
mod faults;
mod keeping;
mod limits;
mod searching;
mod transfer;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use switchboard_hub::limits::{
    CLIENT_ID_BYTES_MAX, CLIENT_IDS_WINDOW, LOG_BACKLOG_ENTRIES_MAX, LOG_PAGE_BYTES_MAX,
    LOG_PAGE_ENTRIES_MAX,
};
use switchboard_hub::log::{
    Asker, Backlog, Journal, Log, LogConfig, LogEntry, LogError, LogKind, LogReader, LogReply,
    LogRequest, Page, PageFrom, RecentIds, RoomState,
};
use tempfile::TempDir;

/// Far above what any disk needs; only a lost reply takes so long.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

const EPOCH: u64 = 77;

/// A log and its replies.
struct Desk {
    log: Log,
    replies: Receiver<(Asker, LogReply)>,
}

impl Desk {
    fn open(data: &Path) -> Self {
        Self::try_open(LogConfig::new(data)).unwrap()
    }

    fn try_open(config: LogConfig) -> Result<Self, LogError> {
        let (sender, replies) = mpsc::channel();
        let log = Log::open(config, move |asker, reply| {
            sender.send((asker, reply)).ok();
        })?;
        Ok(Self { log, replies })
    }

    fn append(&self, entries: Vec<LogEntry>) {
        self.log.request(Asker(0), LogRequest::Append(entries));
    }

    fn ask(&self, request: LogRequest) -> LogReply {
        self.log.request(Asker(0), request);
        self.reply()
    }

    fn reply(&self) -> LogReply {
        let reply = self.replies.recv_timeout(REPLY_TIMEOUT);
        reply.expect("a reply comes").1
    }

    /// Waits until an entry of the room is durable, and passes over all that is told before.
    fn wait_durable(&self, room: &str, seq: u64) {
        loop {
            if let LogReply::Durable(marks) = self.reply()
                && marks
                    .iter()
                    .any(|mark| &*mark.room == room && mark.seq >= seq)
            {
                return;
            }
        }
    }

    /// Appends so many texts to a room, from a number on, and waits for them.
    fn fill(&self, room: &str, numbers: std::ops::RangeInclusive<u64>) {
        let last = *numbers.end();
        self.append(numbers.map(|seq| entry(room, seq)).collect());
        self.wait_durable(room, last);
    }

    fn rooms(&self) -> Vec<RoomState> {
        match self.ask(LogRequest::Rooms { id: 1 }) {
            LogReply::Rooms { id: 1, rooms } => rooms,
            other => panic!("rooms are told, not {other:?}"),
        }
    }

    fn room(&self, room: &str) -> Option<(RoomState, RecentIds)> {
        let room = room.into();
        match self.ask(LogRequest::Room { id: 2, room }) {
            LogReply::Room { id: 2, room } => room,
            other => panic!("a room is told, not {other:?}"),
        }
    }

    fn page(&self, room: &str, from: PageFrom, limit: usize) -> Page {
        let request = LogRequest::Page {
            id: 3,
            room: room.into(),
            epoch: None,
            from,
            limit,
        };
        match self.ask(request) {
            LogReply::Page { id: 3, page } => page,
            other => panic!("a page is told, not {other:?}"),
        }
    }
}

/// Entry `seq` of a room, whose text follows from its number.
fn entry(room: &str, seq: u64) -> LogEntry {
    LogEntry {
        room: room.into(),
        epoch: EPOCH,
        seq,
        time_ms: 1_700_000_000_000 + i64::try_from(seq).unwrap() * 1_000,
        author: "ada".into(),
        kind: LogKind::Text,
        text: format!("line {seq} of {room}"),
        bytes: None,
        reply_to: None,
        client_id: None,
    }
}

fn said(room: &str, seq: u64, text: &str) -> LogEntry {
    LogEntry {
        text: text.to_owned(),
        ..entry(room, seq)
    }
}

fn seqs(entries: &[LogEntry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.seq).collect()
}

fn temp() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn everything_of_an_entry_comes_back() {
    let data = temp();
    let desk = Desk::open(data.path());
    let whole = LogEntry {
        author: "Ada \u{1f600}".into(),
        kind: LogKind::File,
        text: "图片\n\t'\"%_\u{0}end.png".to_owned(),
        bytes: Some(i64::MAX.cast_unsigned()),
        reply_to: Some(1),
        client_id: Some("x".repeat(CLIENT_ID_BYTES_MAX).into()),
        time_ms: -1,
        epoch: u64::MAX,
        ..entry("a b", 2)
    };
    let mut entries = vec![
        LogEntry {
            epoch: u64::MAX,
            ..entry("a b", 1)
        },
        whole,
    ];
    for (seq, kind) in (3..).zip(LogKind::ALL) {
        entries.push(LogEntry {
            kind,
            epoch: u64::MAX,
            ..entry("a b", seq)
        });
    }
    desk.append(entries.clone());
    desk.wait_durable("a b", 8);
    assert_eq!(desk.page("a b", PageFrom::Newest, 100).entries, entries);
    drop(desk);

    let again = Desk::open(data.path());
    assert_eq!(again.page("a b", PageFrom::After(0), 100).entries, entries);
    let state = &again.rooms()[0];
    assert_eq!(
        (&*state.room, state.epoch, state.last_seq),
        ("a b", u64::MAX, 8)
    );
    let bytes: usize = entries.iter().map(LogEntry::cost).sum();
    assert_eq!(state.bytes, bytes as u64);
}

#[test]
fn watermarks_tell_each_asker_of_its_rooms() {
    let data = temp();
    let desk = Desk::open(data.path());
    for seq in 1..=50 {
        let log = &desk.log;
        log.request(
            Asker(1),
            LogRequest::Append(vec![entry("a", seq), entry("b", seq)]),
        );
        log.request(Asker(2), LogRequest::Append(vec![entry("c", seq)]));
    }
    let mut last = std::collections::BTreeMap::new();
    while last.values().filter(|seq| **seq == 50).count() < 3 {
        let (asker, reply) = desk.replies.recv_timeout(REPLY_TIMEOUT).unwrap();
        let LogReply::Durable(marks) = reply else {
            panic!("{reply:?}")
        };
        for mark in marks {
            assert_eq!(mark.epoch, EPOCH);
            assert_eq!(asker, Asker(if &*mark.room == "c" { 2 } else { 1 }));
            let before = last.insert(mark.room, mark.seq);
            assert!(before.is_none_or(|before| before < mark.seq));
        }
    }
    assert_eq!(desk.log.backlog(), Backlog::default());
}

#[test]
fn pages_say_what_there_is_and_what_is_not() {
    let data = temp();
    let desk = Desk::open(data.path());
    desk.fill("a", 1..=20);
    desk.fill("b", 1..=3);
    for (from, limit, expected) in [
        (PageFrom::After(0), 3, vec![1, 2, 3]),
        (PageFrom::After(17), 100, vec![18, 19, 20]),
        (PageFrom::After(20), 100, vec![]),
        (PageFrom::After(u64::MAX), 100, vec![]),
        (PageFrom::Before(4), 2, vec![2, 3]),
        (PageFrom::Before(1), 2, vec![]),
        (PageFrom::Before(0), 2, vec![]),
        (PageFrom::Before(u64::MAX), 2, vec![19, 20]),
        (PageFrom::Newest, 3, vec![18, 19, 20]),
        (PageFrom::Newest, 0, vec![]),
    ] {
        let page = desk.page("a", from, limit);
        assert_eq!(seqs(&page.entries), expected, "{from:?}");
        assert_eq!((page.epoch, page.first_seq, page.last_seq), (EPOCH, 1, 20));
        assert_eq!(page.gone_after(0), None);
    }
    let request = |room: &str, epoch| LogRequest::Page {
        id: 9,
        room: room.into(),
        epoch,
        from: PageFrom::Newest,
        limit: 1,
    };
    for (room, epoch) in [("nowhere", None), ("a", Some(EPOCH + 1))] {
        let reply = desk.ask(request(room, epoch));
        let is_told =
            |error: &LogError| error.to_string() == format!("the log has no room {room:?}");
        assert!(
            matches!(&reply, LogReply::ReadFailed { id: 9, error } if is_told(error)),
            "{reply:?}"
        );
    }
}

#[test]
fn a_page_has_its_limits() {
    let data = temp();
    let desk = Desk::open(data.path());
    desk.fill("many", 1..=LOG_PAGE_ENTRIES_MAX as u64 + 1);
    for limit in [
        LOG_PAGE_ENTRIES_MAX - 1,
        LOG_PAGE_ENTRIES_MAX,
        LOG_PAGE_ENTRIES_MAX + 1,
    ] {
        let page = desk.page("many", PageFrom::After(0), limit);
        assert_eq!(page.entries.len(), limit.min(LOG_PAGE_ENTRIES_MAX));
    }
    // Two entries that are a page of bytes exactly, one byte more, one byte less.
    let cost = said("", 1, "").cost();
    for (room, excess, expected) in [("under", -1, 2), ("at", 0, 2), ("over", 1, 1)] {
        let half = LOG_PAGE_BYTES_MAX / 2 - cost;
        let other = half.checked_add_signed(excess).unwrap();
        desk.append(vec![
            said(room, 1, &"x".repeat(half)),
            said(room, 2, &"y".repeat(other)),
        ]);
        desk.wait_durable(room, 2);
        let page = desk.page(room, PageFrom::After(0), 10);
        assert_eq!(page.entries.len(), expected, "{room}");
    }
    // One that is larger than any page is one.
    desk.append(vec![said("giant", 1, &"z".repeat(LOG_PAGE_BYTES_MAX * 2))]);
    desk.wait_durable("giant", 1);
    assert_eq!(desk.page("giant", PageFrom::Newest, 10).entries.len(), 1);
}

#[test]
fn only_the_next_number_is_taken() {
    let data = temp();
    let desk = Desk::open(data.path());
    desk.append(vec![entry("new", 2)]);
    assert!(matches!(desk.reply(), LogReply::Refused { seq: 2, .. }));
    desk.fill("a", 1..=5);
    for wrong in [0, 5, 7] {
        desk.append(vec![entry("a", wrong), entry("a", 6)]);
        let reply = desk.reply();
        let LogReply::Refused { room, seq, error } = &reply else {
            panic!("{reply:?}")
        };
        assert_eq!((&**room, *seq), ("a", wrong));
        assert!(
            error.to_string().ends_with("where 6 is the next"),
            "{error}"
        );
    }
    desk.fill("a", 6..=6);
    assert_eq!(desk.log.backlog(), Backlog::default());
    assert_eq!(desk.page("a", PageFrom::After(0), 100).entries.len(), 6);
}

#[test]
fn an_id_that_is_too_long_is_refused() {
    let data = temp();
    let desk = Desk::open(data.path());
    for (seq, length) in [(1, CLIENT_ID_BYTES_MAX - 1), (2, CLIENT_ID_BYTES_MAX)] {
        let client_id = Some("i".repeat(length).into());
        desk.append(vec![LogEntry {
            client_id,
            ..entry("a", seq)
        }]);
        desk.wait_durable("a", seq);
    }
    let client_id = Some("i".repeat(CLIENT_ID_BYTES_MAX + 1).into());
    desk.append(vec![LogEntry {
        client_id,
        ..entry("a", 3)
    }]);
    let reply = desk.reply();
    assert!(matches!(
        reply,
        LogReply::Refused {
            seq: 3,
            error: LogError::Unfit { .. },
            ..
        }
    ));
}

#[test]
fn another_epoch_begins_a_new_life_and_the_old_one_stays() {
    let data = temp();
    let desk = Desk::open(data.path());
    desk.log.request(
        Asker(0),
        LogRequest::SetRoom {
            room: "a".into(),
            epoch: EPOCH,
            topic: "tea".to_owned(),
            kept: true,
        },
    );
    desk.fill("a", 1..=3);
    let anew = |seq| LogEntry {
        epoch: 5,
        ..entry("a", seq)
    };
    desk.append(vec![anew(2)]);
    assert!(
        matches!(desk.reply(), LogReply::Refused { .. }),
        "it begins with 1"
    );
    desk.append(vec![anew(1), anew(2)]);
    desk.wait_durable("a", 2);
    desk.append(vec![entry("a", 4)]);
    assert!(
        matches!(desk.reply(), LogReply::Refused { .. }),
        "old is over"
    );
    drop(desk);

    let desk = Desk::open(data.path());
    let (state, _) = desk.room("a").unwrap();
    assert_eq!((state.epoch, state.last_seq), (5, 2));
    assert_eq!((state.topic.as_str(), state.kept), ("tea", true));
    assert_eq!(desk.rooms(), [state]);
    let reader = LogReader::open(data.path()).unwrap();
    let old = reader
        .page(&"a".into(), Some(EPOCH), PageFrom::Newest, 9)
        .unwrap();
    assert_eq!((old.epoch, seqs(&old.entries)), (EPOCH, vec![1, 2, 3]));
}

#[test]
fn what_a_room_is_like_is_remembered() {
    let data = temp();
    let desk = Desk::open(data.path());
    let set = |topic: &str, kept| LogRequest::SetRoom {
        room: "a".into(),
        epoch: EPOCH,
        topic: topic.to_owned(),
        kept,
    };
    desk.log.request(Asker(0), set("one", true));
    desk.log.request(Asker(0), set("two", false));
    assert!(desk.room("b").is_none());
    desk.log.close();

    let desk = Desk::open(data.path());
    let (state, ids) = desk.room("a").unwrap();
    assert_eq!((state.topic.as_str(), state.kept), ("two", false));
    assert_eq!(
        (state.first_seq, state.last_seq, state.epoch),
        (1, 0, EPOCH)
    );
    assert!(ids.is_empty());
    desk.fill("a", 1..=1);
    assert_eq!(desk.room("a").unwrap().0.topic, "two");
}

#[test]
fn a_room_remembers_the_ids_of_its_newest_messages() {
    let data = temp();
    let desk = Desk::open(data.path());
    let with_id = |seq| LogEntry {
        client_id: Some(format!("id-{seq}").into()),
        ..entry("a", seq)
    };
    desk.append(vec![with_id(1), with_id(2), entry("a", 3), with_id(4)]);
    // Asked at once: what was appended before is known, durable or not.
    let known = |desk: &Desk| {
        desk.log.request(
            Asker(0),
            LogRequest::Room {
                id: 8,
                room: "a".into(),
            },
        );
        loop {
            if let LogReply::Room { room, .. } = desk.reply() {
                return room.unwrap().1;
            }
        }
    };
    let ids = known(&desk);
    assert_eq!(
        ["id-1", "id-2", "id-3", "id-4"].map(|id| ids.seq_of(id)),
        [Some(1), Some(2), None, Some(4)]
    );
    // Number 1 is in the window until as many entries came as the window has.
    let at = |desk: &Desk, numbers: std::ops::RangeInclusive<u64>| {
        for first in numbers.clone().step_by(5_000) {
            let last = (first + 4_999).min(*numbers.end());
            desk.fill("a", first..=last);
        }
        known(desk)
    };
    assert_eq!(at(&desk, 5..=CLIENT_IDS_WINDOW).seq_of("id-1"), Some(1));
    drop(desk);
    let desk = Desk::open(data.path());
    assert_eq!(known(&desk).seq_of("id-1"), Some(1));
    let after = CLIENT_IDS_WINDOW + 1;
    assert_eq!(at(&desk, after..=after).seq_of("id-1"), None);
    assert_eq!(known(&desk).seq_of("id-2"), Some(2));
}

#[test]
fn the_backlog_is_told_until_it_is_written() {
    let full = Backlog {
        bytes: 0,
        entries: LOG_BACKLOG_ENTRIES_MAX,
    };
    let nearly = Backlog {
        entries: full.entries - 1,
        ..full
    };
    assert!(full.is_full() && !nearly.is_full() && !nearly.has_room());
    let half = Backlog {
        bytes: 0,
        entries: full.entries / 2,
    };
    assert!(!half.has_room());
    assert!(
        Backlog {
            entries: half.entries - 1,
            ..half
        }
        .has_room()
    );

    let data = temp();
    let desk = Desk::open(data.path());
    // Another connection holds the lock, so that nothing can be written for a moment.
    let holder = rusqlite::Connection::open(data.path().join("log.sqlite")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let entries: Vec<LogEntry> = (1..=10).map(|seq| entry("a", seq)).collect();
    let bytes = entries.iter().map(LogEntry::cost).sum();
    desk.append(entries);
    assert_eq!(desk.log.backlog(), Backlog { bytes, entries: 10 });
    holder.execute_batch("ROLLBACK").unwrap();
    desk.wait_durable("a", 10);
    assert_eq!(desk.log.backlog(), Backlog::default());
}

#[test]
fn one_log_is_written_by_one_hub() {
    let data = temp();
    let desk = Desk::open(data.path());
    let error = Desk::try_open(LogConfig::new(data.path())).err().unwrap();
    let pid = std::process::id();
    assert!(
        matches!(&error, LogError::InUse { holders, .. } if holders[0].pid == pid),
        "{error:?}"
    );
    assert!(error.to_string().contains(&format!(" {pid})")), "{error}");
    drop(desk);
    Desk::open(data.path()).fill("a", 1..=1);
}

#[test]
fn a_closed_log_is_one_file() {
    let data = temp();
    let desk = Desk::open(data.path());
    desk.append((1..=1_000).map(|seq| entry("a", seq)).collect());
    desk.log.close();
    let mut names: Vec<_> = std::fs::read_dir(data.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["log.lock", "log.sqlite"]);
    let reader = LogReader::open(data.path()).unwrap();
    let page = reader.page(&"a".into(), None, PageFrom::Newest, 1).unwrap();
    assert_eq!(page.last_seq, 1_000);
}

#[test]
fn a_log_that_is_given_up_writes_nothing_more() {
    let data = temp();
    let desk = Desk::open(data.path());
    desk.fill("a", 1..=3);
    let holder = rusqlite::Connection::open(data.path().join("log.sqlite")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    desk.append(vec![entry("a", 4)]);
    let log = Arc::new(desk.log);
    // The writer waits for the lock; what comes behind is not waited for.
    log.request(Asker(0), LogRequest::Append(vec![entry("a", 5)]));
    holder.execute_batch("ROLLBACK").unwrap();
    Arc::into_inner(log).unwrap().give_up();
    let reader = LogReader::open(data.path()).unwrap();
    let page = reader
        .page(&"a".into(), None, PageFrom::After(0), 9)
        .unwrap();
    assert!((3..=5).contains(&page.last_seq), "whole batches or nothing");
    assert_eq!(page.entries.len() as u64, page.last_seq);
}

#[test]
fn there_is_no_log_where_there_is_none() {
    let data = temp();
    let error = LogReader::open(data.path()).err().unwrap();
    assert!(matches!(&error, LogError::NoLog { .. }), "{error:?}");
    assert!(error.to_string().contains(data.path().to_str().unwrap()));
}
