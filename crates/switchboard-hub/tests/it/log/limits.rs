//! What waits for the log's threads, at the limits.

use std::sync::Mutex;
use std::sync::mpsc::Sender;

use switchboard_hub::limits::{
    LOG_BACKLOG_BYTES_MAX, LOG_BATCH_BYTES_MAX, LOG_DELAY, LOG_DELAY_BYTES_MAX, LOG_ENTRY_BYTES,
    LOG_LOCK_WAIT, LOG_READS_MAX, LOG_RETRY,
};
use switchboard_hub::log::Search;

use super::*;

/// A log whose threads stand still in their first answer until they are let go.
struct Held {
    desk: Desk,
    gate: Sender<()>,
}

impl Held {
    fn open(data: &Path) -> Self {
        // What there is to read.
        Desk::open(data).fill("a", 1..=1);
        let (gate, closed) = mpsc::channel();
        let (sender, replies) = mpsc::channel();
        let closed = Mutex::new(closed);
        let log = Log::open(LogConfig::new(data), move |asker, reply| {
            // It is told in the thread that asks.
            let is_refusal = matches!(reply, LogReply::ReadFailed { .. });
            sender.send((asker, reply)).ok();
            if !is_refusal {
                closed.lock().unwrap().recv().ok();
            }
        });
        let log = log.unwrap();
        let desk = Desk { log, replies };
        Self { desk, gate }
    }

    /// Has a thread stand still: it has answered, and does not come back from that.
    fn hold(&self, request: LogRequest) {
        let reply = self.desk.ask(request);
        assert!(!matches!(reply, LogReply::ReadFailed { .. }), "{reply:?}");
    }

    /// Lets the threads go on for good.
    fn let_go(self) -> Desk {
        drop(self.gate);
        self.desk
    }
}

fn page(id: u64) -> LogRequest {
    LogRequest::Page {
        id,
        room: "a".into(),
        epoch: None,
        from: PageFrom::Newest,
        limit: 1,
    }
}

fn search(id: u64) -> LogRequest {
    let search = Search {
        limit: 1,
        ..Search::default()
    };
    LogRequest::Search { id, search }
}

#[test]
fn so_many_reads_wait_and_one_more_is_refused() {
    for request in [page, search] {
        let data = temp();
        let held = Held::open(data.path());
        held.hold(request(0));
        let last = LOG_READS_MAX as u64;
        for id in 1..=last {
            held.desk.log.request(Asker(0), request(id));
        }
        assert!(held.desk.replies.try_recv().is_err(), "all of them wait");
        match held.desk.ask(request(last + 1)) {
            LogReply::ReadFailed { id, error } => {
                assert!(matches!(error, LogError::Busy), "{error:?}");
                assert_eq!(id, last + 1);
            }
            other => panic!("one more waits: {other:?}"),
        }
        let desk = held.let_go();
        for expected in 1..=last {
            match desk.reply() {
                LogReply::Page { id, .. } | LogReply::Found { id, .. } => assert_eq!(id, expected),
                other => panic!("{other:?}"),
            }
        }
        // There is room again.
        assert!(!matches!(desk.ask(request(0)), LogReply::ReadFailed { .. }));
    }
}

#[test]
fn a_log_waits_for_locks_and_tries_again_as_the_table_says() {
    let config = LogConfig::new(Path::new("data"));
    assert_eq!(
        (config.lock_wait, LOG_LOCK_WAIT),
        (Duration::from_secs(5), config.lock_wait)
    );
    assert_eq!(
        (config.retry, LOG_RETRY),
        (Duration::from_secs(1), config.retry)
    );
}

#[test]
fn a_commit_takes_no_more_when_it_has_its_bytes() {
    let fits = |len: usize| {
        let entry = said("a", 2, &"x".repeat(len));
        entry.cost()
    };
    let text = LOG_BATCH_BYTES_MAX - fits(0);
    for (len, commits) in [(text - 1, 1), (text, 2), (text + 1, 2)] {
        let data = temp();
        let held = Held::open(data.path());
        held.hold(LogRequest::Rooms { id: 1 });
        held.desk.append(vec![said("a", 2, &"x".repeat(len))]);
        held.desk.append(vec![said("a", 3, "behind it")]);
        let desk = held.let_go();
        let mut told = 0;
        loop {
            let LogReply::Durable(marks) = desk.reply() else {
                panic!("something else is told")
            };
            told += 1;
            if marks[0].seq == 3 {
                break;
            }
        }
        assert_eq!(told, commits, "{} of {LOG_BATCH_BYTES_MAX}", fits(len));
    }
}

#[test]
fn the_backlog_is_full_at_its_bytes_and_not_before() {
    let cost = said("a", 2, "").cost();
    assert!(cost >= LOG_ENTRY_BYTES);
    let text = LOG_BACKLOG_BYTES_MAX - cost;
    for (len, is_full) in [(text - 1, false), (text, true), (text + 1, true)] {
        let data = temp();
        let held = Held::open(data.path());
        held.hold(LogRequest::Rooms { id: 1 });
        held.desk.append(vec![said("a", 2, &"x".repeat(len))]);
        let backlog = held.desk.log.backlog();
        assert_eq!(backlog.bytes, cost + len);
        assert_eq!(backlog.is_full(), is_full, "{backlog:?}");
        let desk = held.let_go();
        desk.wait_durable("a", 2);
        assert!(desk.log.backlog().has_room());
    }
}

/// A log that has just written something, and lets what nobody waits for lie for an hour.
fn patient(data: &Path) -> Desk {
    let config = LogConfig {
        delay: Duration::from_secs(3_600),
        ..LogConfig::new(data)
    };
    assert_eq!(LogConfig::new(data).delay, LOG_DELAY);
    let desk = Desk::try_open(config).unwrap();
    // Nothing was written just before it.
    desk.fill("a", 1..=1);
    desk
}

fn next_durable(desk: &Desk) -> u64 {
    match desk.reply() {
        LogReply::Durable(marks) => marks[0].seq,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_nobody_waits_for_is_written_with_what_follows() {
    let data = temp();
    let desk = patient(data.path());
    for seq in 2..=20 {
        desk.append(vec![said("a", seq, "by the way")]);
    }
    desk.log.hurry();
    assert_eq!(next_durable(&desk), 20, "all in one commit");
    desk.append(vec![said("a", 21, "one more")]);
    // A question is answered at once, and what came before it is written.
    desk.log.request(Asker(0), LogRequest::Rooms { id: 1 });
    assert_eq!(next_durable(&desk), 21);
    assert!(matches!(desk.reply(), LogReply::Rooms { .. }));
    desk.append(vec![said("a", 22, "the last")]);
    desk.log.close();
    let reader = LogReader::open(data.path()).unwrap();
    let page = reader.page(&"a".into(), None, PageFrom::Newest, 1).unwrap();
    assert_eq!(page.last_seq, 22, "the end of the hub waits for nothing");
}

#[test]
fn so_many_bytes_do_not_wait() {
    let cost = said("a", 2, "").cost();
    let text = LOG_DELAY_BYTES_MAX - cost;
    for (len, first) in [(text - 1, 3), (text, 2), (text + 1, 2)] {
        let data = temp();
        let desk = patient(data.path());
        desk.append(vec![said("a", 2, &"x".repeat(len))]);
        if first == 2 {
            assert_eq!(next_durable(&desk), 2, "{len}");
            continue;
        }
        desk.append(vec![said("a", 3, "")]);
        assert_eq!(next_durable(&desk), 3, "it waited for what followed");
    }
}
