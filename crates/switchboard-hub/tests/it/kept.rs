//! A whole shard with a log in the test's hands: who waits for the disk, and for how long.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use switchboard_hub::Limits;
use switchboard_hub::limits::{
    APPEND_ENTRIES_MAX, CATCH_UP_LOOK, CLIENT_IDS_MAX, CLIENT_IDS_WINDOW, FEED_BYTES_MAX,
    LIGHT_SENDER_BYTES_MAX, LOG_BACKLOG_BYTES_MAX, LOG_LOOK, OUTBOX_BYTES_MAX, RETAIN_EVERY,
};
use switchboard_hub::log::{
    Asker, Backlog, Journal, LogEntry, LogError, LogKind, LogReply, LogRequest, Page, PageFrom,
    RecentIds, RoomState, Watermark,
};
use switchboard_wire::parcel::{close_frame, join_parcel, message_parcel, message_parcel_with};
use switchboard_wire::{Answer, Delivered, EntryKind, Fields, Follow, MessageId, RoomName};

use crate::net::{CHAT, PARCELS, Stage, World};

/// A log that does what the test says.
#[derive(Debug, Default)]
struct Paper {
    requests: Mutex<Vec<LogRequest>>,
    backlog: Mutex<Backlog>,
    /// How often it was told that somebody waits.
    hurries: Mutex<usize>,
}

impl Journal for Paper {
    fn request(&self, _: Asker, request: LogRequest) {
        self.requests.lock().unwrap().push(request);
    }

    fn hurry(&self) {
        *self.hurries.lock().unwrap() += 1;
    }

    fn backlog(&self) -> Backlog {
        *self.backlog.lock().unwrap()
    }
}

/// A hub, and its log.
struct Desk {
    world: World,
    paper: Arc<Paper>,
}

impl Desk {
    fn new() -> Self {
        Self::with(1, &Limits::default())
    }

    fn with(shards: u16, limits: &Limits) -> Self {
        let paper = Arc::new(Paper::default());
        let journal = Some(Arc::clone(&paper) as _);
        let world = World::with_journal(shards, limits, journal);
        Self { world, paper }
    }

    /// What was asked since the last time, at the end of a turn.
    fn asked(&mut self) -> Vec<LogRequest> {
        self.world.end_turn();
        std::mem::take(&mut *self.paper.requests.lock().unwrap())
    }

    /// The page that was asked for last, since the last time.
    fn asked_for_page(&mut self) -> Option<u64> {
        let asked = self.asked().into_iter();
        let page = |request| match request {
            LogRequest::Page { id, .. } => Some(id),
            _ => None,
        };
        asked.filter_map(page).last()
    }

    /// Answers what was asked about a room.
    fn load(&mut self, known: Option<(RoomState, RecentIds)>) {
        let asked = self.asked();
        let Some(LogRequest::Room { id, .. }) = asked.last() else {
            panic!("{asked:?}")
        };
        self.world.log_says(LogReply::Room {
            id: *id,
            room: known,
        });
    }

    /// The entries that were appended since the last time.
    fn appended(&mut self) -> Vec<LogEntry> {
        let append = |request| match request {
            LogRequest::Append(entries) => entries,
            other => panic!("{other:?}"),
        };
        self.asked().into_iter().flat_map(append).collect()
    }

    /// Whether the log was told, by the end of this turn, that somebody waits for it.
    fn is_hurried(&mut self) -> bool {
        self.world.end_turn();
        std::mem::take(&mut *self.paper.hurries.lock().unwrap()) > 0
    }

    /// All that was appended since the last time is on disk, whatever else was asked.
    fn all_durable(&mut self) {
        let asked = self.asked();
        let appended = asked.iter().rev().find_map(|request| match request {
            LogRequest::Append(entries) => entries.last(),
            _ => None,
        });
        self.durable(appended.unwrap());
    }

    /// All up to this entry is on disk.
    fn durable(&mut self, entry: &LogEntry) {
        let mark = Watermark {
            room: Arc::clone(&entry.room),
            epoch: entry.epoch,
            seq: entry.seq,
        };
        self.world.log_says(LogReply::Durable(vec![mark]));
    }

    fn fill_backlog(&self, bytes: usize) {
        self.paper.backlog.lock().unwrap().bytes = bytes;
    }
}

/// A hub whose lobby is there, without a history.
fn fresh() -> Desk {
    let mut desk = Desk::new();
    desk.load(None);
    desk
}

fn state(last_seq: u64) -> RoomState {
    RoomState {
        room: "lobby".into(),
        epoch: 77,
        first_seq: 1,
        last_seq,
        bytes: 0,
        topic: "tea".into(),
        kept: true,
    }
}

fn entry(seq: u64) -> LogEntry {
    LogEntry {
        room: "lobby".into(),
        epoch: 77,
        seq,
        time_ms: 0,
        author: "ada".into(),
        kind: LogKind::Text,
        text: format!("text {seq}"),
        bytes: None,
        reply_to: None,
        client_id: None,
    }
}

fn asking(text: &str, id: &str) -> Vec<u8> {
    let fields = Fields {
        id: MessageId::new(id),
        wants_ack: true,
        ..Fields::default()
    };
    message_parcel_with(text, &fields).unwrap()
}

fn follow(since: Option<u64>) -> Vec<u8> {
    join_parcel(&Follow {
        room: RoomName::lobby(),
        from: None,
        since,
        epoch: since.map(|_| 77),
    })
}

/// The numbers of entries, and of gaps what is missing.
fn numbers(delivered: &[Delivered]) -> Vec<String> {
    let shown = |it: &Delivered| match it {
        Delivered::Entry(entry) => format!("{}", entry.seq),
        Delivered::Answer(Answer::At { seq, .. }) => format!("at {seq}"),
        Delivered::Answer(Answer::Gap { from, to, .. }) => format!("gap {from}-{to}"),
        Delivered::Answer(Answer::Ack { seq, durable, .. }) => format!("ack {seq} {durable}"),
        Delivered::Answer(Answer::Refused { reason, .. }) => format!("refused: {reason}"),
        Delivered::Answer(other) => format!("{other:?}"),
    };
    delivered.iter().map(shown).collect()
}

#[test]
fn a_room_goes_on_where_its_log_ends() {
    let mut desk = Desk::new();
    let alice = desk.world.connect(CHAT);
    assert_eq!(desk.world.say(alice, "/topic"), "", "nothing is known yet");
    assert!(desk.world.is_paused(alice), "what it says is held");
    desk.load(Some((state(41), RecentIds::default())));
    assert_eq!(desk.world.hears(alice), "* the topic here is: tea\n");
    assert!(!desk.world.is_paused(alice));
    let entries = desk.appended();
    assert_eq!((entries[0].epoch, entries[0].seq), (77, 42));
    assert_eq!(entries[0].kind, LogKind::Joined);
}

#[test]
fn who_asks_is_told_when_it_is_on_disk_and_people_hear_at_once() {
    let mut desk = fresh();
    let alice = desk.world.connect(CHAT);
    let joined = desk.appended();
    desk.durable(&joined[0]);
    let (program, follower) = (desk.world.connect(PARCELS), desk.world.connect(PARCELS));
    desk.world.send(follower, &follow(None));
    desk.world.hears(alice);
    desk.world.send(program, &asking("hi", "a"));
    desk.world.send(program, &asking("hi again", "a"));
    assert!(desk.world.hears(alice).ends_with(":hi\n"));
    assert_eq!(numbers(&desk.world.reads(program)), [""; 0]);
    assert_eq!(numbers(&desk.world.reads(follower)), ["at 1"]);
    let entries = desk.appended();
    let said = entries.last().unwrap();
    assert_eq!((said.seq, &*said.text), (3, "hi"));
    assert_eq!(said.client_id.as_deref(), Some("a"));
    desk.durable(&entries[0]);
    assert_eq!(numbers(&desk.world.reads(program)), [""; 0]);
    assert_eq!(numbers(&desk.world.reads(follower)), ["2"]);
    desk.durable(said);
    assert_eq!(
        numbers(&desk.world.reads(program)),
        ["ack 3 true", "ack 3 true"],
        "the second is the first once more"
    );
    assert_eq!(numbers(&desk.world.reads(follower)), ["3"]);
}

#[test]
fn the_end_of_a_conversation_waits_for_the_disk() {
    let mut desk = fresh();
    let program = desk.world.connect(PARCELS);
    desk.world.send(program, &message_parcel("hi").unwrap());
    desk.world.send(program, &close_frame());
    let entries = desk.appended();
    assert_eq!(desk.world.stage(program), Stage::Open);
    desk.durable(&entries[0]);
    assert_eq!(desk.world.stage(program), Stage::Finished);
}

#[test]
fn the_log_is_hurried_for_who_waits_for_it_and_not_for_who_only_talks() {
    let mut desk = fresh();
    let (alice, bob) = (desk.world.connect(CHAT), desk.world.connect(CHAT));
    let (talker, asker) = (desk.world.connect(PARCELS), desk.world.connect(PARCELS));
    desk.world.send(talker, &message_parcel("hi").unwrap());
    desk.world.send(alice, b"hi\n");
    assert!(!desk.is_hurried(), "nobody waits");
    desk.world.send(asker, &asking("hi", "a"));
    assert!(desk.is_hurried(), "for an acknowledgement");
    assert!(!desk.is_hurried(), "once is enough");
    desk.world.send(talker, &close_frame());
    assert!(desk.is_hurried(), "for the end of a conversation");
    desk.world.send(bob, b"/history\n");
    assert!(desk.is_hurried(), "to be shown what there is");

    desk.all_durable();
    let follower = desk.world.connect(PARCELS);
    desk.world.send(follower, &follow(None));
    assert!(desk.is_hurried(), "whoever counts is told what is on disk");
    desk.all_durable();
    assert!(!desk.is_hurried());
    desk.world.send(alice, b"hi\n");
    assert!(desk.is_hurried());
}

#[test]
fn a_follower_that_is_behind_is_given_pages_and_then_what_comes() {
    let mut desk = Desk::new();
    desk.load(Some((state(6), RecentIds::default())));
    let follower = desk.world.connect(PARCELS);
    desk.world.send(follower, &follow(Some(1)));
    assert_eq!(numbers(&desk.world.reads(follower)), ["at 1"]);
    let asked = desk.asked();
    let page = |desk: &mut Desk, request: &LogRequest, after: u64, entries: &[u64]| {
        let LogRequest::Page { id, from, .. } = request else {
            panic!("{request:?}")
        };
        assert_eq!(*from, PageFrom::After(after));
        let page = Page {
            epoch: 77,
            first_seq: 4,
            last_seq: 6,
            entries: entries.iter().copied().map(entry).collect(),
        };
        desk.world.log_says(LogReply::Page { id: *id, page });
    };
    let joined = asked.iter().find_map(|request| match request {
        LogRequest::Append(entries) => entries.first().cloned(),
        _ => None,
    });
    let pages = asked
        .iter()
        .filter(|it| matches!(it, LogRequest::Page { .. }));
    let pages: Vec<_> = pages.cloned().collect();
    page(&mut desk, &pages[0], 1, &[4, 5]);
    assert_eq!(numbers(&desk.world.reads(follower)), ["gap 2-3", "4", "5"]);
    // What is on disk meanwhile is not lost, and is not given twice.
    desk.durable(&joined.unwrap());
    assert_eq!(numbers(&desk.world.reads(follower)), [""; 0]);
    desk.world.drained(follower);
    let asked = desk.asked();
    page(&mut desk, &asked[0], 5, &[6]);
    assert_eq!(numbers(&desk.world.reads(follower)), ["6", "7"]);
}

#[test]
fn who_is_fed_from_the_log_is_shown_what_others_did_and_not_what_it_did_itself() {
    let mut desk = Desk::with(
        1,
        &Limits {
            outbox_bytes: 1000,
            ..Limits::default()
        },
    );
    desk.load(None);
    let (slow, other) = (desk.world.connect(CHAT), desk.world.connect(CHAT));
    desk.world.say(slow, "/nick ada");
    // It takes nothing from now on: three of these fit, and then an answer.
    let long = "x".repeat(300);
    for _ in 0..4 {
        desk.world.say(other, &long);
    }
    desk.world.send(slow, b"mine\n/nick bea\nmine too\n");
    desk.world.say(other, "/nick ada");
    desk.world.say(other, "hers");
    for _ in 0..FEED_BYTES_MAX / 300 {
        desk.world.say(other, &long);
    }
    let mut entries = desk.appended();
    let last_seq = entries.last().unwrap().seq;
    entries.retain(|entry| entry.kind == LogKind::Renamed || entry.text.len() < 10);
    entries.retain(|entry| entry.kind != LogKind::Joined);
    let texts: Vec<_> = entries.iter().map(|entry| entry.text.as_str()).collect();
    assert_eq!(texts, ["ada", "mine", "bea", "mine too", "ada", "hers"]);
    desk.world.takes(slow);
    let asked = desk.asked();
    let [LogRequest::Page { id, .. }] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    let page = Page {
        epoch: entries[0].epoch,
        first_seq: 1,
        last_seq,
        entries: entries.split_off(1),
    };
    desk.world.log_says(LogReply::Page { id: *id, page });
    let shown = "* 10.0.0.1:2 is now ada\nada:hers\n";
    assert_eq!(desk.world.hears(slow), shown);
}

#[test]
fn while_nothing_can_be_kept_nothing_is_taken() {
    let mut desk = fresh();
    let (alice, program) = (desk.world.connect(CHAT), desk.world.connect(PARCELS));
    desk.world.send(program, &asking("held", "a"));
    let held = desk.appended();
    let error = Arc::new(LogError::Busy);
    desk.world.log_says(LogReply::Stalled { error });
    desk.world.hears(alice);
    let told = desk.world.say(alice, "hello?");
    assert!(
        told.starts_with("* your line was not passed on: nothing can be kept"),
        "{told}"
    );
    desk.world.send(program, &asking("refused", "b"));
    let told = numbers(&desk.world.reads(program));
    assert!(
        told[0].starts_with("refused: nothing can be kept just now"),
        "{told:?}"
    );
    // Who comes and goes counts, as long as there is room to remember it.
    let bob = desk.world.connect(CHAT);
    assert_eq!(desk.world.hears(alice).lines().count(), 1, "bob joined");
    desk.fill_backlog(LOG_BACKLOG_BYTES_MAX);
    let late = desk.world.connect(CHAT);
    assert_eq!(desk.world.stage(late), Stage::Finished);
    desk.fill_backlog(0);
    desk.durable(held.last().unwrap());
    desk.world.log_says(LogReply::Resumed);
    assert_eq!(numbers(&desk.world.reads(program)), ["ack 2 true"]);
    desk.world.say(bob, "all is well");
    assert!(desk.world.hears(alice).ends_with(":all is well\n"));
}

#[test]
fn after_the_log_has_stopped_nobody_is_told_that_anything_is_kept() {
    let mut desk = fresh();
    let (program, plain) = (desk.world.connect(PARCELS), desk.world.connect(PARCELS));
    let follower = desk.world.connect(PARCELS);
    desk.world.send(follower, &follow(None));
    desk.world.send(program, &asking("lost", "a"));
    desk.world
        .send(plain, &message_parcel("lost, too").unwrap());
    desk.world.send(plain, &close_frame());
    let entries = desk.appended();
    let error = Arc::new(LogError::Stopped {
        reason: "disk I/O error".into(),
    });
    desk.world.log_says(LogReply::Stopped { error });
    let told = numbers(&desk.world.reads(program));
    assert!(told[0].starts_with("refused: the log stopped"), "{told:?}");
    assert_eq!(desk.world.stage(plain), Stage::Reset, "not all was taken");
    assert_eq!(desk.world.stage(follower), Stage::Reset);
    desk.durable(entries.last().unwrap());
    assert_eq!(numbers(&desk.world.reads(program)), [""; 0]);
    let late = desk.world.connect(PARCELS);
    desk.world.send(late, &follow(Some(1)));
    let told = numbers(&desk.world.reads(late));
    assert!(told[0].starts_with("refused: the log stopped"), "{told:?}");
}

#[test]
fn who_sends_little_goes_on_while_the_log_is_behind_and_who_sends_much_waits() {
    for (sent, backlog, is_paused) in [
        (LIGHT_SENDER_BYTES_MAX - 1, LOG_BACKLOG_BYTES_MAX, false),
        (LIGHT_SENDER_BYTES_MAX, LOG_BACKLOG_BYTES_MAX, false),
        (LIGHT_SENDER_BYTES_MAX + 1, LOG_BACKLOG_BYTES_MAX, true),
        (LIGHT_SENDER_BYTES_MAX + 1, LOG_BACKLOG_BYTES_MAX - 1, false),
        (10, 2 * LOG_BACKLOG_BYTES_MAX - 1, false),
        (10, 2 * LOG_BACKLOG_BYTES_MAX, true),
    ] {
        let mut desk = fresh();
        let alice = desk.world.connect(CHAT);
        desk.fill_backlog(backlog);
        let line = format!("{}\n", "x".repeat(99)).repeat(sent / 100 + 1);
        desk.world.send(alice, &line.as_bytes()[..sent]);
        assert_eq!(desk.world.is_paused(alice), is_paused, "{sent} {backlog}");
        desk.fill_backlog(LOG_BACKLOG_BYTES_MAX / 2);
        desk.world.log_says(LogReply::Durable(Vec::new()));
        assert_eq!(
            desk.world.is_paused(alice),
            is_paused,
            "not before half of it"
        );
        desk.fill_backlog(LOG_BACKLOG_BYTES_MAX / 2 - 1);
        desk.world.log_says(LogReply::Durable(Vec::new()));
        assert!(!desk.world.is_paused(alice));
    }
}

const TICK: Duration = Duration::from_millis(1);

#[test]
fn a_shard_that_nobody_tells_looks_by_itself_whether_the_log_has_caught_up() {
    let mut desk = Desk::with(2, &Limits::default());
    let program = desk.world.connect(PARCELS);
    desk.fill_backlog(2 * LOG_BACKLOG_BYTES_MAX);
    desk.world.send(program, &message_parcel("hi").unwrap());
    assert!(desk.world.is_paused(program));
    desk.fill_backlog(0);
    desk.world.wait(LOG_LOOK - TICK);
    assert!(desk.world.is_paused(program));
    desk.world.wait(TICK);
    assert!(!desk.world.is_paused(program));
}

#[test]
fn a_reader_that_has_all_there_is_on_disk_is_looked_after_now_and_then() {
    let mut desk = Desk::new();
    desk.load(Some((state(6), RecentIds::default())));
    let follower = desk.world.connect(PARCELS);
    desk.world.send(follower, &follow(Some(1)));
    let id = desk.asked_for_page().unwrap();
    // The room has an entry 6, and the disk has not.
    let page = Page {
        epoch: 77,
        first_seq: 1,
        last_seq: 1,
        entries: Vec::new(),
    };
    desk.world.log_says(LogReply::Page { id, page });
    desk.world.wait(CATCH_UP_LOOK - TICK);
    assert_eq!(desk.asked_for_page(), None);
    desk.world.wait(TICK);
    assert!(desk.asked_for_page().is_some());
}

#[test]
fn who_is_behind_in_a_room_of_which_nothing_is_on_disk_yet_waits_for_that() {
    let mut desk = fresh();
    let (slow, other) = (desk.world.connect(CHAT), desk.world.connect(CHAT));
    desk.world.takes(slow);
    // More than waits for it and than the room's feed holds.
    let line = "x".repeat(50_000) + "\n";
    for _ in 0..2 * (OUTBOX_BYTES_MAX + FEED_BYTES_MAX) / line.len() {
        desk.world.send(other, line.as_bytes());
    }
    while !desk.world.takes(slow).is_empty() {}
    let id = desk.asked_for_page().unwrap();
    let room = "lobby".into();
    let error = LogError::NoRoom { room };
    desk.world.log_says(LogReply::ReadFailed { id, error });
    assert_eq!(desk.world.stage(slow), Stage::Open);
    assert_eq!(desk.asked_for_page(), None);
    desk.world.wait(CATCH_UP_LOOK);
    assert!(desk.asked_for_page().is_some());
}

#[test]
fn the_log_is_told_the_time_so_often_that_what_is_too_old_goes() {
    let mut desk = Desk::new();
    let tells = |desk: &mut Desk| {
        let asked = desk.asked().into_iter();
        let is_told =
            |request: &LogRequest| matches!(request, LogRequest::Retain { now_ms: 5_000 });
        asked.filter(is_told).count()
    };
    desk.world.begin_upkeep();
    assert_eq!(tells(&mut desk), 1);
    desk.world.wait(RETAIN_EVERY - TICK);
    assert_eq!(tells(&mut desk), 0);
    desk.world.wait(TICK);
    assert_eq!(tells(&mut desk), 1);
}

#[test]
fn what_comes_in_one_turn_goes_to_the_log_together() {
    for (count, appends) in [
        (APPEND_ENTRIES_MAX - 1, vec![APPEND_ENTRIES_MAX - 1]),
        (APPEND_ENTRIES_MAX, vec![APPEND_ENTRIES_MAX]),
        (APPEND_ENTRIES_MAX + 1, vec![APPEND_ENTRIES_MAX, 1]),
    ] {
        let mut desk = fresh();
        let alice = desk.world.connect(CHAT);
        desk.asked();
        desk.world.send(alice, "x\n".repeat(count).as_bytes());
        let count = |request| match request {
            LogRequest::Append(entries) => entries.len(),
            other => panic!("{other:?}"),
        };
        let told: Vec<usize> = desk.asked().into_iter().map(count).collect();
        assert_eq!(told, appends);
    }
}

#[test]
fn so_many_ids_are_remembered_that_no_crowd_of_rooms_fills_the_memory() {
    let window = usize::try_from(CLIENT_IDS_WINDOW).unwrap();
    let rooms = CLIENT_IDS_MAX / window;
    let full = |first: &str| {
        let mut ids = RecentIds::default();
        ids.add(first, 1);
        (2..=CLIENT_IDS_WINDOW).for_each(|seq| ids.add(&seq.to_string(), seq));
        ids
    };
    let ids = full("first");
    for one_more in [false, true] {
        let mut desk = fresh();
        let mut members = Vec::new();
        for room in 0..rooms {
            let member = desk.world.connect(CHAT);
            desk.world
                .send(member, format!("/join r{room}\n").as_bytes());
            let mut state = state(CLIENT_IDS_WINDOW);
            state.room = format!("r{room}").into();
            desk.load(Some((state, ids.clone())));
            members.push(member);
        }
        desk.asked();
        if one_more {
            let program = desk.world.connect(PARCELS);
            desk.world.send(program, &asking("new", "one-more"));
        }
        let again = |desk: &mut Desk, room: usize| {
            let program = desk.world.connect(PARCELS);
            let fields = Fields {
                room: Some(RoomName::new(&format!("r{room}")).unwrap()),
                id: MessageId::new("first"),
                wants_ack: true,
                ..Fields::default()
            };
            let parcel = message_parcel_with("again", &fields).unwrap();
            desk.world.send(program, &parcel);
            numbers(&desk.world.reads(program)) == ["ack 1 true"]
        };
        let known = (0..rooms).filter(|room| again(&mut desk, *room)).count();
        assert!(
            if one_more {
                known < rooms
            } else {
                known == rooms
            },
            "{known}"
        );
    }
}

#[test]
fn an_entry_of_the_log_is_read_as_it_was_given() {
    let mut desk = fresh();
    let follower = desk.world.connect(PARCELS);
    desk.world.send(follower, &follow(None));
    let alice = desk.world.connect(CHAT);
    for line in ["/topic tea", "/topic -", "/nick ada", "hello", "/quit"] {
        desk.world.say(alice, line);
    }
    let requests = desk.asked();
    let entries: Vec<LogEntry> = requests
        .into_iter()
        .filter_map(|request| match request {
            LogRequest::Append(entries) => Some(entries),
            _ => None,
        })
        .flatten()
        .collect();
    desk.durable(entries.last().unwrap());
    let live = desk.world.reads(follower);
    let again: Vec<u8> = entries
        .iter()
        .flat_map(|entry| switchboard_hub::door::parcel::encode_logged(entry).to_vec())
        .collect();
    let mut decoder = switchboard_wire::DeliveryDecoder::new();
    let mut rest = again.as_slice();
    let again: Vec<_> = std::iter::from_fn(|| decoder.push(&mut rest).unwrap()).collect();
    assert_eq!(live[1..], again[..]);
    let topics = again.iter().filter(
        |it| matches!(it, Delivered::Entry(entry) if matches!(entry.kind, EntryKind::Topic { .. })),
    );
    assert_eq!(topics.count(), 2);
}

#[test]
fn who_is_behind_when_the_log_stops_goes_on_with_what_there_is() {
    let mut desk = fresh();
    let (slow, other) = (desk.world.connect(CHAT), desk.world.connect(CHAT));
    desk.world.takes(slow);
    // More than waits for it and than the room's feed holds.
    let line = "x".repeat(50_000) + "\n";
    for _ in 0..2 * (OUTBOX_BYTES_MAX + FEED_BYTES_MAX) / line.len() {
        desk.world.send(other, line.as_bytes());
    }
    desk.asked();
    let reason = "disk I/O error".into();
    let error = Arc::new(LogError::Stopped { reason });
    desk.world.log_says(LogReply::Stopped { error });
    while !desk.world.takes(slow).is_empty() {}
    let id = desk.asked_for_page().unwrap();
    // Nothing of it has come to the disk, and nothing ever will.
    let room = "lobby".into();
    let error = LogError::NoRoom { room };
    desk.world.log_says(LogReply::ReadFailed { id, error });
    let heard = desk.world.hears(slow);
    assert!(heard.starts_with("* you were slow: "), "{heard:.200}");
    assert!(heard.ends_with(&line), "it has the newest of what was said");
    desk.world.connect(CHAT);
    assert_eq!(desk.world.hears(slow), "* 10.0.0.1:3 joined\n");
}
