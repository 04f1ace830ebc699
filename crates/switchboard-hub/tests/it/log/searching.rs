//! What a search finds.

use switchboard_hub::limits::{SEARCH_FOUND_MAX, SEARCH_WORDS_MAX};
use switchboard_hub::log::{LogEntry, LogKind, LogReply, LogRequest, Search};

use super::{Desk, said, temp};

fn search(words: &[&str]) -> Search {
    Search {
        words: words.iter().map(|&word| word.to_owned()).collect(),
        limit: 100,
        ..Search::default()
    }
}

/// The rooms and numbers that are found, the newest first.
fn found(desk: &Desk, search: Search) -> Vec<(String, u64)> {
    match desk.ask(LogRequest::Search { id: 5, search }) {
        LogReply::Found {
            id: 5,
            entries,
            is_whole: true,
        } => entries
            .iter()
            .map(|entry| (entry.room.to_string(), entry.seq))
            .collect(),
        other => panic!("something is found, not {other:?}"),
    }
}

fn numbers(desk: &Desk, words: &[&str]) -> Vec<u64> {
    let found = found(desk, search(words));
    found.into_iter().map(|(_, seq)| seq).collect()
}

/// Texts of one room, searched both by reading and, behind enough others, by the index.
fn with_texts(check: impl Fn(&Desk)) {
    let texts = [
        "The kettle is boiling",
        "今天天气很好",
        "Ä fine ÄPFELSTRUDEL, 50% off",
        "the KETTLE again: 天气预报",
        "say \"cheese\" AND smile*",
        "a_b c%d",
    ];
    let data = temp();
    let desk = Desk::open(data.path());
    let entries = (1..).zip(texts).map(|(seq, text)| said("a", seq, text));
    desk.append(entries.collect());
    desk.wait_durable("a", 6);
    check(&desk);
    // So many that the index is brought up to date; it is when the last of them are known there.
    let other = |seq| said("b", seq, "something else entirely");
    desk.append((1..=600).map(other).collect());
    desk.wait_durable("b", 600);
    wait_until_indexed(data.path());
    check(&desk);
    drop(desk);
    check(&Desk::open(data.path()));
}

pub(super) fn wait_until_indexed(data: &std::path::Path) {
    let connection = rusqlite::Connection::open(data.join("log.sqlite")).unwrap();
    let deadline = std::time::Instant::now() + super::REPLY_TIMEOUT;
    loop {
        let behind: i64 = connection
            .query_row("SELECT sum(last_seq - indexed_seq) FROM rooms", [], |row| {
                row.get(0)
            })
            .unwrap();
        if behind == 0 {
            return;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "{behind} are not indexed"
        );
        std::thread::yield_now();
    }
}

#[test]
fn words_are_found_wherever_they_stand_and_in_whatever_case() {
    with_texts(|desk| {
        for (words, expected) in [
            (&["kettle"][..], &[4, 1][..]),
            (&["ettl"], &[4, 1]),
            (&["KETTLE", "boil"], &[1]),
            (&["kettle", "nothing"], &[]),
            (&["äpfel"], &[3]),
            (&["is"], &[1]),
            (&["is", "kettle"], &[1]),
        ] {
            assert_eq!(numbers(desk, words), expected, "{words:?}");
        }
    });
}

#[test]
fn chinese_is_found_by_one_two_and_three_letters() {
    with_texts(|desk| {
        for (words, expected) in [
            (&["天"][..], &[4, 2][..]),
            (&["天气"], &[4, 2]),
            (&["今天天气"], &[2]),
            (&["天气", "KETTLE"], &[4]),
            (&["好", "今天天"], &[2]),
            (&["天天天"], &[]),
        ] {
            assert_eq!(numbers(desk, words), expected, "{words:?}");
        }
    });
}

#[test]
fn signs_mean_themselves() {
    with_texts(|desk| {
        for (words, expected) in [
            (&["\"cheese\""][..], &[5][..]),
            (&["\"cheese\" AND smile*"], &[5]),
            (&["AND"], &[5]),
            (&["%"], &[6, 3]),
            (&["50%"], &[3]),
            (&["a_b"], &[6]),
            (&["axb"], &[]),
            (&["*"], &[5]),
            (&["\0\0\0\0"], &[]),
            (&["text:kettle"], &[]),
        ] {
            assert_eq!(numbers(desk, words), expected, "{words:?}");
        }
    });
}

#[test]
fn a_search_is_narrowed_by_room_author_and_time() {
    let data = temp();
    let desk = Desk::open(data.path());
    let by = |room: &str, seq, time_ms, author: &str| LogEntry {
        time_ms,
        author: author.into(),
        ..said(room, seq, "the same words")
    };
    desk.append(vec![
        by("a", 1, 100, "Ada"),
        by("a", 2, 300, "bob"),
        by("b", 1, 200, "ada"),
        by("b", 2, 400, "Carla"),
    ]);
    desk.wait_durable("b", 2);
    let all = || search(&["same"]);
    let pairs = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> {
        pairs
            .iter()
            .map(|(room, seq)| ((*room).to_owned(), *seq))
            .collect()
    };
    let newest_first = pairs(&[("b", 2), ("a", 2), ("b", 1), ("a", 1)]);
    assert_eq!(found(&desk, all()), newest_first);
    assert_eq!(found(&desk, search(&[])), newest_first);
    assert_eq!(
        found(&desk, Search { limit: 2, ..all() }),
        newest_first[..2]
    );
    assert_eq!(found(&desk, Search { limit: 0, ..all() }), []);
    let in_a = Search {
        room: Some("a".into()),
        ..all()
    };
    assert_eq!(found(&desk, in_a), pairs(&[("a", 2), ("a", 1)]));
    let by_ada = Search {
        author: Some("ADA".to_owned()),
        ..all()
    };
    assert_eq!(found(&desk, by_ada), pairs(&[("b", 1), ("a", 1)]));
    let between = Search {
        after_ms: Some(200),
        before_ms: Some(400),
        ..all()
    };
    assert_eq!(found(&desk, between), pairs(&[("a", 2), ("b", 1)]));
    let nowhere = Search {
        room: Some("nowhere".into()),
        ..all()
    };
    let reply = desk.ask(LogRequest::Search {
        id: 6,
        search: nowhere,
    });
    assert!(
        matches!(reply, LogReply::ReadFailed { id: 6, .. }),
        "{reply:?}"
    );
}

#[test]
fn comings_and_goings_are_not_found() {
    let data = temp();
    let desk = Desk::open(data.path());
    let entries = (1..).zip(LogKind::ALL).map(|(seq, kind)| LogEntry {
        kind,
        ..said("a", seq, "kettle")
    });
    desk.append(entries.collect());
    desk.wait_durable("a", 6);
    let expected: Vec<u64> = (1..)
        .zip(LogKind::ALL)
        .filter(|(_, kind)| kind.is_searched())
        .map(|(seq, _)| seq)
        .collect();
    let mut found = numbers(&desk, &["kettle"]);
    found.reverse();
    assert_eq!(found, expected);
}

#[test]
fn a_search_has_its_limits() {
    let data = temp();
    let desk = Desk::open(data.path());
    let last = SEARCH_FOUND_MAX as u64 + 1;
    desk.append((1..=last).map(|seq| said("a", seq, "kettle")).collect());
    desk.wait_durable("a", last);
    for limit in [SEARCH_FOUND_MAX - 1, SEARCH_FOUND_MAX, SEARCH_FOUND_MAX + 1] {
        let search = Search {
            limit,
            ..search(&["kettle"])
        };
        assert_eq!(found(&desk, search).len(), limit.min(SEARCH_FOUND_MAX));
    }
    let words: Vec<&str> = std::iter::repeat_n("ket", SEARCH_WORDS_MAX).collect();
    assert!(!numbers(&desk, &words).is_empty());
    let with_another = |count: usize| [&words[..count], &["nowhere"]].concat();
    assert!(numbers(&desk, &with_another(SEARCH_WORDS_MAX - 1)).is_empty());
    // What is beyond the limit is not looked for.
    assert!(!numbers(&desk, &with_another(SEARCH_WORDS_MAX)).is_empty());
}
