//! Ten thousand inputs that nobody meant to each door, and a hub that serves afterwards.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use testkit::{Hub, Random, tree, wire};

use crate::support::bin;

const INPUTS: usize = 10_000;
/// How many connections are open at a time.
const BATCH: usize = 50;
const LIMIT: Duration = Duration::from_secs(60);

/// A hub, and the folder around its own that has to stay as it is.
fn surrounded() -> (TempDir, Hub) {
    let around = TempDir::new().unwrap();
    fs::create_dir(around.path().join("outer")).unwrap();
    let hub = Hub::start_in(bin(), &around.path().join("outer/data"), &[]);
    (around, hub)
}

/// One of `good` with a few faults, or, one time in four, no sense at all.
fn input(random: &mut Random, good: &[Vec<u8>]) -> Vec<u8> {
    if random.below(4) == 0 {
        let len = random.below(300);
        return random.bytes(len);
    }
    let chosen = random.below(good.len());
    random.mutate(&good[chosen])
}

/// Sends every input on a connection of its own, in batches; hands each answer to `check`.
fn assail(door: SocketAddr, seed: u64, good: &[Vec<u8>], check: impl Fn(&[u8])) {
    let mut random = Random::new(seed);
    for _ in 0..INPUTS / BATCH {
        let inputs = (0..BATCH).map(|_| input(&mut random, good));
        let streams: Vec<TcpStream> = inputs.map(|bytes| thrust(door, &bytes)).collect();
        for mut stream in streams {
            check(&drain(&mut stream));
        }
    }
}

fn thrust(door: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(door).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    // The hub may close at the first bad byte: writing fails then, and that is fine.
    if stream.write_all(bytes).is_ok() {
        stream.shutdown(Shutdown::Write).ok();
    }
    stream
}

/// Reads until the hub has closed; a reset counts.
fn drain(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    if let Err(error) = stream.read_to_end(&mut rest) {
        let closed = matches!(
            error.kind(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        );
        assert!(closed, "the hub does not close: {error}");
    }
    rest
}

#[test]
fn the_line_door_survives_ten_thousand_bad_inputs() {
    let (around, hub) = surrounded();
    let good = [
        b"hello\n".to_vec(),
        b"/nick alice\nhi all\n/help\n".to_vec(),
        "图片 \u{1b}[31m\r\n\n\n/nick \u{202e}\n"
            .as_bytes()
            .to_vec(),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        vec![b'x'; 3000],
    ];
    let before = tree(around.path(), &hub.data);
    assail(hub.chat(), 0x5eed, &good, |heard| {
        let text = String::from_utf8(heard.to_vec()).expect("only UTF-8 reaches a member");
        let odd = text
            .chars()
            .find(|c| c.is_control() && !"\n\t".contains(*c));
        assert_eq!(odd, None, "in {text:?}");
    });
    assert_eq!(tree(around.path(), &hub.data), before);
    hub.serves();
}

#[test]
fn the_parcel_door_survives_ten_thousand_bad_inputs() {
    let (around, hub) = surrounded();
    let all = [
        wire::message("hello"),
        wire::file("a.txt", b"some text"),
        wire::close(),
    ]
    .concat();
    let good = [
        all.clone(),
        wire::message("图片"),
        wire::file("../../evil", &[7; 200]),
        wire::file("图片.png", b""),
        [
            wire::file_header("long.bin"),
            i32::MAX.to_le_bytes().to_vec(),
            vec![0; 50],
        ]
        .concat(),
        [wire::frame(b"{\"msg_type\":\"msg\",\"a\":[[[[{}]]]]}"), all].concat(),
        b"POST / HTTP/1.1\r\n\r\n".to_vec(),
    ];
    let before = tree(around.path(), &hub.files());
    let written = AtomicUsize::new(0);
    assail(hub.parcels(), 0xf00d, &good, |answer| {
        written.fetch_add(answer.len(), Ordering::Relaxed);
    });
    assert_eq!(
        written.into_inner(),
        0,
        "the parcel door never writes a byte"
    );
    hub.serves();
    // What was given up is removed behind the scenes: each look is an upload later.
    let settled = (0..500).any(|_| {
        hub.serves();
        tree(around.path(), &hub.files()) == before
    });
    assert!(
        settled,
        "left behind: {:?}",
        tree(around.path(), &hub.files())
    );
    assert!(
        tree(&hub.files(), &hub.files())
            .iter()
            .all(|path| path.is_file())
    );
}

#[test]
fn the_time_door_answers_ten_thousand_bad_questions_and_never_at_length() {
    let (_around, hub) = surrounded();
    let good = [
        b"".to_vec(),
        b"%Y-%m-%d %X".to_vec(),
        b"%a %A %b %B %c %C %d %D %e %F %g %G %h %H %I %j %k %l %m %M %n %p %P %r %R".to_vec(),
        "%s %S %t %T %u 图 %U %V %w %W %x %X %y %Y %z %Z %%"
            .as_bytes()
            .to_vec(),
        b"%-d %_H %010Y %EY %Od %:z %^a %#Z %+ %L %N %Q %f %".to_vec(),
        b"%c".repeat(400),
    ];
    thread::scope(|scope| {
        for seed in 0..4 {
            let (hub, good) = (&hub, &good);
            scope.spawn(move || question(hub.time(), seed, good));
        }
    });
    hub.serves();
}

fn question(door: SocketAddr, seed: u64, good: &[Vec<u8>]) {
    let mut random = Random::new(seed);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(door).unwrap();
    socket.set_read_timeout(Some(testkit::PATIENCE)).unwrap();
    let mut answer = [0; 65_536];
    for _ in 0..INPUTS / 4 {
        let bytes = input(&mut random, good);
        socket.send(&bytes).unwrap();
        let len = socket
            .recv(&mut answer)
            .unwrap_or_else(|error| panic!("{error}: {bytes:?}"));
        assert!(len <= 1024, "{len} bytes for {bytes:?}");
    }
}
