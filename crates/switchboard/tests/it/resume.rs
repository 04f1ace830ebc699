//! Uploads that broke off go on from what the hub has on its disk.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use switchboard_client::send::{ASK_CONNECTS, ASK_TIME, RESUME_BYTES_MIN};
use switchboard_hub::limits::UNFINISHED_SYNC_BYTES;
use switchboard_wire::ContentHash;
use tempfile::TempDir;
use testkit::{Hub, Random, names, wire};

use crate::durable::read_json;
use crate::support::{amount, bin, hub, on_a_terminal, python_server, run};

const MIB: usize = 1024 * 1024;

/// The hash of a file as it stands in a header.
fn hash(bytes: &[u8]) -> String {
    ContentHash(*blake3::hash(bytes).as_bytes()).to_string()
}

/// A program at the parcel door that asks how much of a file there is.
struct Resumer(TcpStream);

impl Resumer {
    /// Announces the file; how much of it there is.
    #[track_caller]
    fn offer(hub: &Hub, name: &str, bytes: &[u8]) -> (Self, usize) {
        let mut offer = Self::ask(hub, name, &hash(bytes), bytes.len());
        let answer = offer.answer().unwrap();
        let have = &answer["sb"]["have"];
        assert_eq!(have["blake3"], hash(bytes), "{answer}");
        let have = usize::try_from(have["bytes"].as_u64().unwrap()).unwrap();
        (offer, have)
    }

    fn ask(hub: &Hub, name: &str, hash: &str, size: usize) -> Self {
        let mut stream = wire::open(hub.parcels()).unwrap();
        let sb = json!({"v": 2, "want": ["resume"], "size": size, "blake3": hash});
        let header = json!({"msg_type": "file", "file_name": name, "id": "7", "sb": sb});
        let header = wire::frame(header.to_string().as_bytes());
        stream.write_all(&header).unwrap();
        Self(stream)
    }

    /// Announces so many bytes, and sends these.
    fn send(&mut self, announced: usize, bytes: &[u8]) -> io::Result<()> {
        let announced = i32::try_from(announced).unwrap();
        self.0.write_all(&announced.to_le_bytes())?;
        self.0.write_all(bytes)
    }

    fn answer(&mut self) -> io::Result<Value> {
        read_json(&mut self.0)
    }

    /// Ends its side, and waits for the hub's end.
    fn end(mut self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)?;
        assert_eq!(self.0.read(&mut [0; 1])?, 0, "nothing more is told");
        Ok(())
    }

    /// Goes away; the hub has noticed.
    fn vanish(self, hub: &Hub) {
        wire::reset(self.0);
        hub.log().wait_line(&["can be resumed"]);
    }
}

/// Leaves a hub with the front of a file.
fn break_off(hub: &Hub, bytes: &[u8], until: usize) {
    let (mut resumer, have) = Resumer::offer(hub, "broken", bytes);
    let part = Part::of(hub, bytes);
    resumer
        .send(bytes.len() - have, &bytes[have..until])
        .unwrap();
    part.wait_len(until);
    resumer.vanish(hub);
}

/// The file in which an upload gathers.
struct Part(PathBuf);

impl Part {
    fn of(hub: &Hub, bytes: &[u8]) -> Self {
        let name = format!("{}.part", hash(bytes));
        Self(hub.files().with_file_name("partial").join(name))
    }

    fn len(&self) -> usize {
        let len = fs::metadata(&self.0).map_or(0, |found| found.len());
        usize::try_from(len).unwrap()
    }

    fn wait_len(&self, len: usize) {
        while self.len() < len {
            thread::yield_now();
        }
    }
}

/// Passes one conversation on; how many bytes went each way when it has ended.
fn relay(to: SocketAddr) -> (SocketAddr, thread::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let relay = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut hub = TcpStream::connect(to).unwrap();
        let (mut hub_reads, mut client_writes) =
            (hub.try_clone().unwrap(), client.try_clone().unwrap());
        let back = thread::spawn(move || {
            io::copy(&mut hub_reads, &mut client_writes).unwrap();
            client_writes.shutdown(Shutdown::Write).unwrap();
        });
        let count = io::copy(&mut client, &mut hub).unwrap();
        hub.shutdown(Shutdown::Write).unwrap();
        back.join().unwrap();
        usize::try_from(count).unwrap()
    });
    (address, relay)
}

#[test]
fn a_file_that_broke_off_is_sent_from_there_on() {
    let folder = TempDir::new().unwrap();
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let bytes = Random::new(1).bytes(20 * MIB);
    let path = folder.path().join("big.bin");
    fs::write(&path, &bytes).unwrap();
    break_off(&hub, &bytes, 15 * MIB);
    let (address, relay) = relay(hub.parcels());
    let place = address.to_string();
    let path = path.to_str().unwrap();
    run(&["send", &place, "-m", "here:", path, "-m", "done"]).succeeded();
    let sent = relay.join().unwrap();
    assert!((5 * MIB..5 * MIB + 1000).contains(&sent), "{sent}");
    assert!(watcher.text().ends_with(":here:"));
    watcher.notice(&["big.bin", &bytes.len().to_string()]);
    assert!(watcher.text().ends_with(":done"), "in the order given");
    assert!(hub.file("big.bin") == bytes);
    assert_eq!(names(&hub.files().with_file_name("partial")), [""; 0]);
}

#[test]
fn a_terminal_shows_what_was_there() {
    let folder = TempDir::new().unwrap();
    let hub = hub(&[]);
    let bytes = Random::new(2).bytes(2 * MIB);
    let path = folder.path().join("a.bin");
    fs::write(&path, &bytes).unwrap();
    break_off(&hub, &bytes, MIB);
    let place = hub.parcels().to_string();
    let words = ["send", "--resume", "always", &place, path.to_str().unwrap()];
    let shown = on_a_terminal(&words).finish().succeeded().text();
    assert!(
        shown.contains("sent a.bin (2.00 MiB, of which 1.00 MiB was there)"),
        "{shown}"
    );
}

#[test]
fn who_does_not_answer_gets_everything_unless_an_answer_is_insisted_on() {
    let folder = TempDir::new().unwrap();
    let target = TempDir::new().unwrap();
    let bytes = Random::new(3).bytes(17 * MIB);
    let path = folder.path().join("big.bin");
    fs::write(&path, &bytes).unwrap();
    let path = path.to_str().unwrap();
    for how in ["auto", "never"] {
        let folder = target.path().to_str().unwrap();
        let (mut server, place) = python_server("upload_server.py", &[folder]);
        run(&["send", "--resume", how, &place, path]).succeeded();
        server.finish().succeeded();
        assert!(fs::read(target.path().join("big.bin")).unwrap() == bytes);
        fs::remove_file(target.path().join("big.bin")).unwrap();
    }
    let (_server, place) = python_server("upload_server.py", &[target.path().to_str().unwrap()]);
    let insists = ["send", "--resume", "always", "--wait", "0.2", &place, path];
    run(&insists).failed_with(&[&place, "does not say how much", "--resume always"]);
}

/// A peer that takes one file and says nothing; whether it was asked about it, and how long it took
/// from now until the payload began.
fn silent_peer() -> (String, thread::JoinHandle<(bool, Duration)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let begun = Instant::now();
    let peer = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let header = read_json(&mut stream).unwrap();
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let waited = begun.elapsed();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        let announced = usize::try_from(i32::from_le_bytes(length)).unwrap();
        assert_eq!(rest.len(), announced + wire::close().len(), "all of it");
        (header["sb"]["want"][0] == "resume", waited)
    });
    (place, peer)
}

#[test]
fn about_files_of_some_size_a_peer_is_asked_and_has_some_time_to_answer() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("big.bin");
    let min = usize::try_from(RESUME_BYTES_MIN).unwrap();
    for (len, is_asked) in [(min - 1, false), (min, true), (min + 1, true)] {
        fs::write(&path, vec![0; len]).unwrap();
        let (place, peer) = silent_peer();
        run(&["send", &place, path.to_str().unwrap()]).succeeded();
        let (asked, waited) = peer.join().unwrap();
        assert_eq!(asked, is_asked, "{len}");
        // Connecting takes no time here, so that its multiple is the shorter.
        const { assert!(ASK_CONNECTS > 0) };
        assert!(!asked || waited >= ASK_TIME, "{waited:?}");
    }
}

#[test]
fn a_hub_may_keep_nothing_that_broke_off() {
    let hub = hub(&["--unfinished-bytes", "0"]);
    let bytes = Random::new(4).bytes(2 * MIB);
    break_off(&hub, &bytes, MIB);
    let (resumer, have) = Resumer::offer(&hub, "a", &bytes);
    assert_eq!(have, 0);
    drop(resumer);
    assert_eq!(names(&hub.files().with_file_name("partial")), [""; 0]);
}

/// B11: what is announced is neither the file nor its rest, or the bytes are others.
#[test]
fn who_lies_about_a_file_is_told_and_cut_and_nothing_stays() {
    let hub = hub(&["--max-file", "100000"]);
    let (bytes, other) = (Random::new(5).bytes(50_000), vec![7; 50_000]);
    let reason = |answer: &Value| {
        let refused = &answer["sb"]["refused"];
        assert_eq!(refused["id"], "7", "{answer}");
        refused["reason"].as_str().unwrap().to_owned()
    };
    for announced in [0, 1, 29_999, 30_001, 49_999, 50_001, 100_000] {
        break_off(&hub, &bytes, 20_000);
        let (mut resumer, have) = Resumer::offer(&hub, "a", &bytes);
        assert_eq!(have, 20_000);
        resumer.send(announced, b"").unwrap();
        let why = reason(&resumer.answer().unwrap());
        assert!(why.contains("neither all of it nor the rest"), "{why}");
        let error = resumer.end().unwrap_err();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::NotConnected
            ),
            "{error}"
        );
        let (resumer, have) = Resumer::offer(&hub, "a", &bytes);
        assert_eq!(have, 0, "{announced}: nothing stays");
        drop(resumer);
    }
    break_off(&hub, &bytes, 20_000);
    let (mut resumer, have) = Resumer::offer(&hub, "a", &bytes);
    resumer.send(50_000 - have, &other[have..]).unwrap();
    let why = reason(&resumer.answer().unwrap());
    assert!(why.contains("not those of the file"), "{why}");
    assert!(why.contains(&hash(&bytes)), "{why}");
    let mut resumer = Resumer::ask(&hub, "a", &hash(&bytes), 100_001);
    let why = reason(&resumer.answer().unwrap());
    assert!(why.contains("at most 100000 are taken"), "{why}");
    let mut resumer = Resumer::ask(&hub, "a", "no hash", 100);
    let why = reason(&resumer.answer().unwrap());
    assert!(why.contains("64 hexadecimal digits"), "{why}");
    assert_eq!(names(&hub.files()), [""; 0]);
    hub.serves();
}

#[test]
fn send_tells_why_a_file_was_refused() {
    let folder = TempDir::new().unwrap();
    let hub = hub(&["--max-file", "100000"]);
    let path = folder.path().join("a.bin");
    fs::write(&path, [1; 100_001]).unwrap();
    let place = hub.parcels().to_string();
    let path = path.to_str().unwrap();
    run(&["send", "--resume", "always", &place, path]).failed_with(&[
        &place,
        "refused a file",
        "at most 100000 are taken",
    ]);
}

/// F1: a kill at any point costs what was not on the disk for certain, and nothing else.
#[test]
fn f1_kill_9_in_mid_upload_costs_only_what_was_not_noted() {
    let mut random = Random::new(6);
    let folder = TempDir::new().unwrap();
    let step = usize::try_from(UNFINISHED_SYNC_BYTES).unwrap();
    let (mut stored, mut resumed) = (Vec::new(), 0);
    let mut file = random.bytes(40 * MIB);
    let mut certain = 0;
    for round in 0..amount(8, 100) {
        let mut hub = Hub::start_in(bin(), folder.path(), &[]);
        assert_eq!(names(&hub.files()), stored, "nothing half is visible");
        let name = format!("{:03}.bin", stored.len());
        let (mut resumer, have) = Resumer::offer(&hub, &name, &file);
        assert!(have >= certain, "{round}: {have} of {certain}");
        resumed += usize::from(have > 0);
        let rest = &file[have..];
        let end = random.below(rest.len() + 8 * MIB).min(rest.len());
        let part = Part::of(&hub, &file);
        // The hub is killed with what it has of this, which need not be all.
        resumer.send(rest.len(), &rest[..end]).unwrap();
        if end == rest.len() {
            resumer.end().unwrap();
            hub.kill();
            assert!(
                hub.file(&name) == file,
                "{round}: acknowledged, so it is there"
            );
            stored.push(name);
            (file, certain) = (random.bytes(40 * MIB), 0);
        } else {
            hub.kill();
            certain = have + part.len().saturating_sub(have) / step * step;
            // The mark is written behind the bytes, and the kill may be between.
            certain = certain.saturating_sub(step).max(have);
        }
    }
    assert!(resumed > 0);
    let hub = Hub::start_in(bin(), folder.path(), &[]);
    assert_eq!(names(&hub.files()), stored);
    let (mut resumer, have) = Resumer::offer(&hub, "last.bin", &file);
    resumer.send(file.len() - have, &file[have..]).unwrap();
    resumer.end().unwrap();
    assert!(hub.file("last.bin") == file);
    assert_eq!(names(&hub.files().with_file_name("partial")), [""; 0]);
}
