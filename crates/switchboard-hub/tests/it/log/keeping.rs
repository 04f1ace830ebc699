//! How long and how much a log keeps.

use std::time::{Duration, Instant};

use switchboard_hub::log::{
    Asker, Journal, LogConfig, LogEntry, LogReader, LogRequest, PageFrom, Search, verify,
};

use super::{Desk, EPOCH, entry, seqs, temp};

/// Waits until a page of the room begins with this number.
fn wait_until_first(desk: &Desk, room: &str, first: u64) {
    let deadline = Instant::now() + super::REPLY_TIMEOUT;
    loop {
        let page = desk.page(room, PageFrom::Newest, 1);
        if page.first_seq == first {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{page:?} does not begin with {first}"
        );
    }
}

#[test]
fn what_is_too_old_goes_and_nothing_is_renumbered() {
    let data = temp();
    let config = LogConfig {
        keep_age: Some(Duration::from_secs(100)),
        ..LogConfig::new(data.path())
    };
    let desk = Desk::try_open(config.clone()).unwrap();
    desk.fill("a", 1..=3_000);
    let now_ms = entry("a", 3_000).time_ms;
    desk.log.request(Asker(0), LogRequest::Retain { now_ms });
    // 100 seconds before number 3,000 is number 2,900, which is not older than that.
    wait_until_first(&desk, "a", 2_900);
    let page = desk.page("a", PageFrom::After(10), 5);
    assert_eq!(seqs(&page.entries), [2_900, 2_901, 2_902, 2_903, 2_904]);
    assert_eq!(page.gone_after(10), Some((11, 2_899)));
    assert_eq!(page.gone_after(2_898), Some((2_899, 2_899)));
    assert_eq!(page.gone_after(2_899), None);

    // Everything goes, and the next number is still the next.
    let request = LogRequest::Retain {
        now_ms: now_ms + 1_000_000,
    };
    desk.log.request(Asker(0), request);
    wait_until_first(&desk, "a", 3_001);
    drop(desk);
    let desk = Desk::try_open(config).unwrap();
    let (state, _) = desk.room("a").unwrap();
    assert_eq!(
        (state.first_seq, state.last_seq, state.bytes),
        (3_001, 3_000, 0)
    );
    desk.fill("a", 3_001..=3_001);
    let report = verify(data.path()).unwrap();
    assert!(report.is_sound(), "{report:?}");
}

#[test]
fn what_is_gone_is_not_found() {
    let data = temp();
    let config = LogConfig {
        keep_age: Some(Duration::from_secs(10)),
        ..LogConfig::new(data.path())
    };
    let desk = Desk::try_open(config).unwrap();
    desk.fill("a", 1..=1_000);
    let now_ms = entry("a", 1_000).time_ms;
    desk.log.request(Asker(0), LogRequest::Retain { now_ms });
    wait_until_first(&desk, "a", 990);
    let mut reader = LogReader::open(data.path()).unwrap();
    for word in ["line 5", "5"] {
        let search = Search {
            words: vec![word.to_owned()],
            limit: 1_000,
            ..Search::default()
        };
        let (found, _) = reader.search(&search).unwrap();
        assert!(seqs(&found).iter().all(|seq| *seq >= 990), "{word}");
    }
    desk.log.close();
    let report = verify(data.path()).unwrap();
    assert!(report.is_sound(), "{report:?}");
}

#[test]
fn a_room_keeps_its_newest_bytes() {
    let data = temp();
    let cost = entry("a", 1_000).cost() as u64;
    for (count, keep) in [(4_000, cost * 1_000), (50, cost / 2)] {
        let data = data.path().join(count.to_string());
        std::fs::create_dir(&data).unwrap();
        let config = LogConfig {
            keep_bytes: Some(keep),
            ..LogConfig::new(&data)
        };
        let desk = Desk::try_open(config).unwrap();
        for first in (1..=count).step_by(50) {
            desk.fill("a", first..=first + 49);
            let (state, _) = desk.room("a").unwrap();
            assert!(
                state.bytes <= keep + keep / 4 + 50 * cost,
                "{state:?} {keep}"
            );
        }
        desk.fill("b", 1..=1);
        let deadline = Instant::now() + super::REPLY_TIMEOUT;
        loop {
            let state = desk.room("a").unwrap().0;
            if state.bytes <= keep + keep / 16 {
                assert_eq!(state.last_seq, count);
                break;
            }
            assert!(Instant::now() < deadline, "{state:?}");
        }
        desk.log.close();
        let report = verify(&data).unwrap();
        assert!(report.is_sound(), "{report:?}");
    }
}

#[test]
fn an_old_life_goes_first() {
    let data = temp();
    let keep = 100 * entry("a", 10).cost() as u64;
    let config = LogConfig {
        keep_bytes: Some(keep),
        ..LogConfig::new(data.path())
    };
    let desk = Desk::try_open(config).unwrap();
    desk.fill("a", 1..=80);
    let anew = |seq| LogEntry {
        epoch: EPOCH + 1,
        ..entry("a", seq)
    };
    desk.append((1..=90).map(anew).collect());
    desk.wait_durable("a", 90);
    let reader = LogReader::open(data.path()).unwrap();
    let old = || reader.page(&"a".into(), Some(EPOCH), PageFrom::After(0), 100);
    let deadline = Instant::now() + super::REPLY_TIMEOUT;
    while old().unwrap().entries.len() > 20 {
        assert!(Instant::now() < deadline);
    }
    desk.append((91..=200).map(anew).collect());
    desk.wait_durable("a", 200);
    while old().is_ok() {
        assert!(Instant::now() < deadline);
    }
    desk.log.close();
    let report = verify(data.path()).unwrap();
    assert!(report.is_sound(), "{report:?}");
}
