//! Each of the rooms tells every line to all others, in order.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;

use super::Server;

pub(super) const MODES: [&str; 2] = ["room-bare", "room-tokio"];

struct Member {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Member {
    /// A member whose joining is over.
    fn join(server: &Server) -> Self {
        let stream = server.connect();
        let lines = BufReader::new(stream.try_clone().unwrap());
        let mut member = Self { stream, lines };
        member.stream.write_all(b"/help\n").unwrap();
        assert!(member.line().starts_with("* "));
        member
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    fn text(&mut self) -> String {
        let line = self.line();
        let (_, text) = line.rsplit_once(':').unwrap_or_else(|| panic!("{line}"));
        text.to_owned()
    }
}

#[test]
fn everybody_but_the_speaker_hears_each_line_once_and_in_order() {
    for mode in MODES {
        let server = Server::start(mode);
        let mut members: Vec<Member> = (0..10).map(|_| Member::join(&server)).collect();
        members[0].stream.write_all(b"one\ntwo\nthr").unwrap();
        for member in &mut members[1..] {
            assert_eq!(member.text(), "one\n", "{mode}");
            assert_eq!(member.text(), "two\n", "{mode}");
        }
        members[1].stream.write_all(b"four\n").unwrap();
        for place in (0..10).filter(|place| *place != 1) {
            assert_eq!(members[place].text(), "four\n", "{mode}");
        }
        members[0].stream.write_all(b"ee\n").unwrap();
        for member in &mut members[1..] {
            assert_eq!(member.text(), "three\n", "{mode}");
        }
    }
}

#[test]
fn who_leaves_takes_nothing_from_the_others() {
    for mode in MODES {
        let server = Server::start(mode);
        let mut speaker = Member::join(&server);
        let mut stayer = Member::join(&server);
        drop(Member::join(&server));
        for number in 0..100 {
            speaker
                .stream
                .write_all(format!("{number}\n").as_bytes())
                .unwrap();
            assert_eq!(stayer.text(), format!("{number}\n"), "{mode}");
        }
    }
}

#[test]
fn who_reads_late_still_hears_everything_in_order() {
    const LINES: usize = 3000;
    for mode in MODES {
        let server = Server::start(mode);
        let mut speaker = Member::join(&server);
        let mut late = Member::join(&server);
        // Some 6 MB: more than the buffers of the sockets hold.
        let filler = "x".repeat(2000);
        let talk = thread::spawn(move || {
            for number in 0..LINES {
                let line = format!("{number:06} {filler}\n");
                speaker.stream.write_all(line.as_bytes()).unwrap();
            }
            speaker
        });
        let _speaker = talk.join().unwrap();
        for number in 0..LINES {
            let text = late.text();
            assert!(
                text.starts_with(&format!("{number:06} ")),
                "{mode}: {number}"
            );
        }
    }
}
