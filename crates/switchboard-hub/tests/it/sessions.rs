//! The sessions of the doors, without any socket: bytes and the time in, events out.

use std::time::{Duration, Instant};

use switchboard_hub::Limits;
use switchboard_hub::door::line::{LineEvent, LineSession, encode_rooms};
use switchboard_hub::door::parcel::{ParcelSession, Ready};
use switchboard_hub::door::time::{self, Echoes};
use switchboard_hub::limits::{
    ECHO_ADDRESSES, ECHOES_MAX, HISTORY_ENTRIES, HISTORY_ENTRIES_MAX, ROOMS_LISTED_MAX,
};
use switchboard_hub::store::UploadId;
use switchboard_wire::limits::{DATAGRAM_ANSWER_BYTES_MAX, TOPIC_CHARS_MAX};
use switchboard_wire::strftime::Moment;
use switchboard_wire::{Fields, FileName, ParcelEvent, RoomName, Topic, parcel};

fn line_events(session: &mut LineSession, mut bytes: &[u8]) -> Vec<LineEvent> {
    let now = Instant::now();
    let events = std::iter::from_fn(|| session.push(now, &mut bytes));
    // That nothing was said, too, is told to who counts.
    events.filter(|event| *event != LineEvent::Blank).collect()
}

fn told(event: &LineEvent) -> &str {
    match event {
        LineEvent::Tell(line) => std::str::from_utf8(line).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn said(text: &str) -> Ready {
    Ready::Message {
        text: text.into(),
        fields: Fields::default(),
    }
}

#[test]
fn lines_are_messages_and_lines_with_a_slash_are_commands() {
    let mut session = LineSession::new(&Limits::default(), Instant::now());
    let events = line_events(&mut session, b"hello\r\n\n  \n/who\n/nick Ann\n/quit\n");
    assert_eq!(events.len(), 4, "empty lines are nothing: {events:?}");
    assert_eq!(events[0], LineEvent::Say("hello".into()));
    assert_eq!(events[1], LineEvent::Who);
    assert!(matches!(&events[2], LineEvent::Nick(nick) if nick.as_str() == "Ann"));
    assert_eq!(events[3], LineEvent::Quit);
}

#[test]
fn commands_are_read_with_their_arguments() {
    let room = |name: &str| RoomName::new(name).unwrap();
    let topic = |text: &str| Some(Topic::new(text).unwrap());
    let too_long = "x".repeat(TOPIC_CHARS_MAX + 1);
    let cases = [
        ("/join Kitchen", LineEvent::Join(room("kitchen"))),
        ("/rooms", LineEvent::Rooms),
        ("/topic", LineEvent::Topic),
        ("/topic tea  time", LineEvent::SetTopic(topic("tea  time"))),
        ("/topic -", LineEvent::SetTopic(None)),
        ("/history", LineEvent::History(HISTORY_ENTRIES)),
        ("/history 999", LineEvent::History(HISTORY_ENTRIES_MAX - 1)),
        ("/history 1000", LineEvent::History(HISTORY_ENTRIES_MAX)),
        ("/history 1", LineEvent::History(1)),
        ("/history 999", LineEvent::History(999)),
        ("/history 1000", LineEvent::History(1000)),
        ("/search two words", LineEvent::Search("two words".into())),
        (
            "/msg bob see you",
            LineEvent::Msg {
                to: "bob".into(),
                text: "see you".into(),
            },
        ),
    ];
    let mut session = LineSession::new(&Limits::default(), Instant::now());
    for (line, event) in cases {
        let line = format!("{line}\n");
        assert_eq!(
            line_events(&mut session, line.as_bytes()),
            [event],
            "{line}"
        );
    }
    let line = format!("/topic {too_long}\n");
    assert!(told(&line_events(&mut session, line.as_bytes())[0]).contains("at most 200"));
}

#[test]
fn rooms_are_listed_with_nothing_but_the_count_of_their_members() {
    let name = |number: usize| RoomName::new(&format!("r{number}")).unwrap();
    let names: Vec<RoomName> = (0..=ROOMS_LISTED_MAX).map(name).collect();
    let list = |count: usize| {
        let rooms = names.iter().take(count).map(|name| (name.clone(), 3));
        let line = encode_rooms(count, &rooms.collect::<Vec<_>>(), &names[1]);
        String::from_utf8(line.to_vec()).unwrap()
    };
    assert_eq!(list(2), "* 2 rooms: r0 (3), r1 (3, you are here)\n");
    assert!(list(ROOMS_LISTED_MAX - 1).ends_with(", r198 (3)\n"));
    assert!(list(ROOMS_LISTED_MAX).ends_with(", r199 (3)\n"));
    assert!(list(ROOMS_LISTED_MAX + 1).ends_with(", r199 (3), and 1 more\n"));
}

#[test]
fn a_follower_may_be_as_silent_as_a_member_of_the_chat() {
    let limits = Limits {
        parcel_idle: Duration::from_secs(30),
        chat_idle: Duration::from_secs(300),
        ..Limits::default()
    };
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut session = ParcelSession::new(&limits, start);
    assert_eq!(session.deadline(), at(30));
    session.follow();
    assert_eq!(session.deadline(), at(300));
    assert!(session.expire(at(299)).is_none());
    assert!(session.expire(at(300)).is_some());
}

#[test]
fn what_cannot_be_done_is_answered_to_the_one_who_asked() {
    let mut session = LineSession::new(&Limits::default(), Instant::now());
    for (line, answer) in [
        ("/nick\n", "* "),
        ("/nick a:b\n", "* "),
        ("/nick admin\n", "* "),
        ("/dance now\n", "* there is no command /dance"),
        ("/help\n", "/nick NAME"),
        ("/help\n", "/search WORDS"),
        ("/join\n", "which room?"),
        ("/join two words\n", "not ' '"),
        ("/msg bob\n", "/msg NAME TEXT"),
        ("/search\n", "/search WORDS"),
        ("/history 0\n", "from 1 to 1000"),
        ("/history 1001\n", "from 1 to 1000"),
        ("/history -5\n", "from 1 to 1000"),
        ("/history many\n", "from 1 to 1000"),
    ] {
        let events = line_events(&mut session, line.as_bytes());
        assert!(told(&events[0]).contains(answer), "{line:?}: {events:?}");
    }
    let events = line_events(&mut session, b"\xff\xfe\n");
    assert!(matches!(&events[0], LineEvent::Refused(why) if why.contains("not UTF-8")));
    let events = line_events(&mut session, b"&\0\0\0{}\x02\0\0\0hi\n");
    assert!(matches!(&events[0], LineEvent::Refused(why) if why.contains("is a parcel")));
    let long = format!("/{}\n", "x".repeat(1000));
    assert!(told(&line_events(&mut session, long.as_bytes())[0]).len() < 100);
}

#[test]
fn a_line_at_the_limit_passes_and_one_above_it_is_refused_whole() {
    let limits = Limits {
        line_bytes: 10,
        ..Limits::default()
    };
    let mut session = LineSession::new(&limits, Instant::now());
    assert_eq!(
        line_events(&mut session, b"123456789\n1234567890\n"),
        [
            LineEvent::Say("123456789".into()),
            LineEvent::Say("1234567890".into())
        ]
    );
    let events = line_events(&mut session, b"12345678901 and much more\nnext\n");
    assert_eq!(
        events[0],
        LineEvent::Refused("it is longer than 10 bytes".into())
    );
    assert_eq!(events[1..], [LineEvent::Say("next".into())]);
}

#[test]
fn the_last_line_needs_no_ending() {
    let mut session = LineSession::new(&Limits::default(), Instant::now());
    assert_eq!(line_events(&mut session, b"bye"), []);
    assert_eq!(session.end(), Some(LineEvent::Say("bye".into())));
}

#[test]
fn a_silent_member_and_an_endless_line_expire_and_a_talking_one_does_not() {
    let limits = Limits {
        chat_idle: Duration::from_secs(100),
        line_time: Duration::from_secs(10),
        ..Limits::default()
    };
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut session = LineSession::new(&limits, start);
    assert_eq!(session.deadline(&limits), at(100));
    assert_eq!(session.expire(at(99), &limits), None);
    assert!(
        session
            .expire(at(100), &limits)
            .unwrap()
            .contains("nothing was said")
    );

    session.push(at(50), &mut b"half".as_slice());
    assert_eq!(session.deadline(&limits), at(60));
    session.push(at(55), &mut b" of it".as_slice());
    assert_eq!(
        session.deadline(&limits),
        at(60),
        "more bytes of the same line win no time"
    );
    assert!(
        session
            .expire(at(60), &limits)
            .unwrap()
            .contains("not finished")
    );
    let mut rest = b" done\n".as_slice();
    assert!(session.push(at(59), &mut rest).is_some());
    assert!(session.push(at(59), &mut rest).is_none());
    assert_eq!(session.deadline(&limits), at(159));
}

#[test]
fn a_message_behind_a_file_waits_until_the_file_is_stored() {
    let now = Instant::now();
    let mut session = ParcelSession::new(&Limits::default(), now);
    let (first, second) = (UploadId(1), UploadId(2));
    for upload in [first, second] {
        session.begin(upload, FileName::reduce("x").unwrap(), 1, Fields::default());
        assert_eq!(session.data(1), Some(upload));
        assert_eq!(session.commit(), Some(upload));
        session.message(format!("after {}", upload.0), Fields::default());
    }
    assert_eq!(session.ready(), None);
    session.stored(second, FileName::reduce("b").unwrap(), 1);
    assert_eq!(
        session.ready(),
        None,
        "the second file does not overtake the first"
    );
    session.stored(first, FileName::reduce("a").unwrap(), 1);
    let ready: Vec<Ready> = std::iter::from_fn(|| session.ready()).collect();
    let file = |name: &str| Ready::File {
        name: FileName::reduce(name).unwrap(),
        bytes: 1,
        fields: Fields::default(),
    };
    assert_eq!(
        ready,
        [file("a"), said("after 1"), file("b"), said("after 2")]
    );
    assert!(session.is_settled() && !session.was_refused());
}

#[test]
fn a_file_that_could_not_be_stored_holds_up_nothing_and_is_remembered() {
    let mut session = ParcelSession::new(&Limits::default(), Instant::now());
    session.begin(
        UploadId(1),
        FileName::reduce("x").unwrap(),
        0,
        Fields::default(),
    );
    session.commit();
    session.message("hello".into(), Fields::default());
    assert!(!session.failed(UploadId(1)), "it had been received whole");
    assert_eq!(session.ready(), Some(said("hello")));
    assert!(session.was_refused());

    session.begin(
        UploadId(2),
        FileName::reduce("x").unwrap(),
        10,
        Fields::default(),
    );
    assert!(session.failed(UploadId(2)), "it is still being received");
    assert_eq!(session.data(5), None);
}

#[test]
fn what_waits_for_the_store_is_bounded() {
    let mut session = ParcelSession::new(&Limits::default(), Instant::now());
    session.begin(
        UploadId(1),
        FileName::reduce("x").unwrap(),
        0,
        Fields::default(),
    );
    session.commit();
    assert!(!session.is_full());
    let longest = "m".repeat(switchboard_hub::limits::PENDING_TEXT_BYTES_MAX);
    session.message(longest, Fields::default());
    assert!(session.is_full());
    session.stored(UploadId(1), FileName::reduce("x").unwrap(), 0);
    assert!(std::iter::from_fn(|| session.ready()).count() == 2 && !session.is_full());
    for number in 0..switchboard_hub::limits::PENDING_PARCELS_MAX {
        assert!(!session.is_full(), "{number}");
        session.begin(
            UploadId(9),
            FileName::reduce("x").unwrap(),
            0,
            Fields::default(),
        );
        session.commit();
    }
    assert!(session.is_full());
}

#[test]
fn a_stalled_upload_expires_after_the_idle_time_and_the_hubs_own_pauses_do_not_count() {
    let limits = Limits {
        parcel_idle: Duration::from_secs(30),
        ..Limits::default()
    };
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut session = ParcelSession::new(&limits, start);
    let header = parcel::file_header("big", 2_000_000_000).unwrap();
    let mut bytes = header.as_slice();
    let event = session.push(at(1), &mut bytes).unwrap();
    assert!(matches!(event, Some(ParcelEvent::FileBegin { .. })));
    assert_eq!(session.deadline(), at(31));
    assert!(session.expire(at(30)).is_none());
    assert!(session.expire(at(31)).is_some());
    session.excuse(at(1), at(1000));
    assert!(session.expire(at(1029)).is_none());
    assert!(session.expire(at(1030)).is_some());
}

#[test]
fn the_time_is_told_to_clients_but_not_to_other_servers() {
    let moment = Moment {
        year: 2026,
        month: 11,
        day: 21,
        hour: 7,
        minute: 5,
        second: 9,
        weekday: 6,
        year_day: 325,
        unix_seconds: 1_795_244_709,
        offset_seconds: 0,
        zone: "UTC".into(),
    };
    let ask = |request: &[u8], port| time::reply(request, Some(port), 9000, &moment);
    assert_eq!(ask(b"", 40000).unwrap(), b"2026-11-21 07:05:09");
    assert_eq!(
        ask(b"%c".repeat(5000).as_slice(), 40000).unwrap().len(),
        DATAGRAM_ANSWER_BYTES_MAX
    );
    for (more, cut) in [(-1, 0), (0, 0), (1, 1)] {
        let len = DATAGRAM_ANSWER_BYTES_MAX.checked_add_signed(more).unwrap();
        let answer = ask("x".repeat(len).as_bytes(), 40000).unwrap();
        assert_eq!(answer.len(), len - cut);
    }
    for port in [9000, 7, 13, 17, 19, 37, 123, 0] {
        assert_eq!(ask(b"%H", port), None, "port {port} answers by itself");
    }
}

#[test]
fn who_only_sends_back_its_answers_is_a_server_and_who_asks_is_not() {
    let mut echoes = Echoes::default();
    let mut ask =
        |from: u16, request: &[u8], answer: &[u8]| echoes.is_server(from, request, answer);
    // Two servers: each answer is the next request. The first one of all is no echo.
    for round in 0..=ECHOES_MAX {
        assert!(!ask(1, b"loop", b"loop"), "round {round}");
    }
    assert!(ask(1, b"loop", b"loop"));
    assert!(ask(1, b"loop", b"loop"), "it stays silent");
    // Whoever asks something else is heard at once, and others always are.
    assert!(!ask(1, b"%Y", b"2026"));
    for _ in 0..1000 {
        assert!(!ask(2, b"%H:%M", b"07:05"), "the same question is no echo");
    }
}

#[test]
fn exactly_so_many_servers_are_remembered_and_one_more_takes_the_place_of_another() {
    let mut echoes = Echoes::default();
    // Each forgets at most one: where it is kept is by chance, so that many fill all places.
    let all = 40 * ECHO_ADDRESSES;
    for server in 0..all {
        for _ in 0..=ECHOES_MAX {
            assert!(!echoes.is_server(server, b"loop", b"loop"));
        }
    }
    // From the last one back: who is asked for and not known takes a place that was looked at.
    let mut known = 0;
    for server in (0..all).rev() {
        known += usize::from(echoes.is_server(server, b"loop", b"loop"));
    }
    assert_eq!(known, ECHO_ADDRESSES);
    // Few are all remembered but for those whose places are the same by chance.
    for few in [1, 2] {
        let mut echoes = Echoes::default();
        for server in 0..few {
            for _ in 0..=ECHOES_MAX {
                assert!(!echoes.is_server(server, b"loop", b"loop"));
            }
        }
        assert!(echoes.is_server(few - 1, b"loop", b"loop"));
    }
}
