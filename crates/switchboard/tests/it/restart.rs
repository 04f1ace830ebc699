//! How the hub begins and ends: cleanly, by force, and again at once.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;

use tempfile::TempDir;
use testkit::{Hub, Program, names, wire};

use crate::support::{address, bin, hub, listen, run};

#[test]
fn the_banner_tells_the_doors_and_the_folder() {
    let hub = hub(&[]);
    for (word, scheme) in [
        ("chat", "tcp://"),
        ("parcels", "tcp://"),
        ("time", "udp://"),
    ] {
        let place = hub.told(word, scheme);
        assert!(
            place.starts_with("127.0.0.1:") && !place.ends_with(":0"),
            "{word} {place}"
        );
    }
    assert!(hub.files().is_dir());
    hub.serves();
}

#[test]
fn sigterm_and_ctrl_c_end_it_cleanly() {
    let mut first = hub(&[]);
    assert!(first.stop().success());
    let mut second = hub(&[]);
    assert!(second.interrupt().success());
}

#[test]
fn no_client_sees_a_torn_message_at_the_end() {
    let mut hub = hub(&[]);
    let (mut watcher, mut talker) = (hub.join(), hub.join());
    for number in 0..2_000 {
        talker.say(&format!("line {number} of many, and none of them torn"));
    }
    watcher.text();
    assert!(hub.stop().success());
    let rest = String::from_utf8(watcher.rest()).unwrap();
    assert!(
        rest.is_empty() || rest.ends_with('\n'),
        "{:?}",
        rest.lines().last()
    );
    let torn = rest
        .lines()
        .find(|line| !line.starts_with("* ") && !line.ends_with("torn"));
    assert_eq!(torn, None);
}

#[test]
fn sigterm_in_an_upload_leaves_no_half_file() {
    let folder = TempDir::new().unwrap();
    let mut hub = Hub::start_in(bin(), folder.path(), &[]);
    let mut upload = begin_upload(&hub);
    assert!(hub.stop().success());
    assert_eq!(names(&folder.path().join("files")), [""; 0]);
    wire::wait_closed(&mut upload);
}

#[test]
fn kill_9_in_an_upload_leaves_no_file_and_the_next_start_works() {
    let folder = TempDir::new().unwrap();
    let mut hub = Hub::start_in(bin(), folder.path(), &[]);
    let mut watcher = hub.join();
    hub.upload(&[wire::file("whole.bin", b"kept"), wire::close()].concat())
        .unwrap();
    watcher.notice(&["whole.bin"]);
    let upload = begin_upload(&hub);
    hub.kill();
    assert!(!folder.path().join("files/half.bin").exists());
    drop(upload);
    let again = Hub::start_in(bin(), folder.path(), &[]);
    assert_eq!(names(&again.files()), ["whole.bin"]);
    assert_eq!(again.file("whole.bin"), b"kept");
    again.serves();
}

/// An upload of which the hub has read a good part, and lacks the last byte.
fn begin_upload(hub: &Hub) -> TcpStream {
    let mut watcher = hub.join();
    let mut stream = wire::open(hub.parcels()).unwrap();
    let parcels = [
        wire::message("here it comes"),
        wire::file("half.bin", &[1; 4_000_000]),
    ];
    let parcels = parcels.concat();
    stream.write_all(&parcels[..parcels.len() - 1]).unwrap();
    assert!(watcher.text().ends_with(":here it comes"));
    stream
}

#[test]
fn what_was_told_in_the_chat_is_on_disk_whatever_comes() {
    let folder = TempDir::new().unwrap();
    let mut hub = Hub::start_in(bin(), folder.path(), &[]);
    let mut watcher = hub.join();
    let mut stream = wire::open(hub.parcels()).unwrap();
    stream
        .write_all(&wire::file("told.bin", &[5; 500_000]))
        .unwrap();
    watcher.notice(&["told.bin"]);
    hub.kill();
    assert!(fs::read(folder.path().join("files/told.bin")).unwrap() == [5; 500_000]);
}

#[test]
fn the_same_ports_work_again_at_once() {
    let folder = TempDir::new().unwrap();
    let mut hub = Hub::start_in(bin(), folder.path(), &[]);
    let places = [hub.chat(), hub.parcels(), hub.time()].map(|place| place.to_string());
    let mut guests: Vec<_> = (0..5).map(|_| hub.join()).collect();
    assert!(hub.stop().success());
    guests.iter_mut().for_each(|guest| drop(guest.rest()));
    let [chat, parcels, time] = &places;
    let arguments = ["--chat", chat, "--parcels", parcels, "--time", time];
    let again = Hub::start_in(bin(), folder.path(), &arguments);
    assert_eq!(again.chat().to_string(), places[0]);
    again.serves();
}

#[test]
fn a_port_that_is_taken_is_an_error_before_any_door_opens() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = (tcp.local_addr().unwrap().to_string(), tcp);
    let udp = (udp.local_addr().unwrap().to_string(), udp);
    for (door, place) in [
        ("--chat", &tcp.0),
        ("--parcels", &tcp.0),
        ("--time", &udp.0),
    ] {
        let told = serve_with(&[door, place]);
        told.failed_with(&[place, "in use"]);
        assert_eq!(told.text(), "");
    }
}

/// A start that fails, with the other doors on free ports.
#[track_caller]
fn serve_with(arguments: &[&str]) -> testkit::Finished {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut all = vec!["serve"];
    if !arguments.contains(&"--data") {
        all.extend(["--data", data.to_str().unwrap()]);
    }
    for door in ["--chat", "--parcels", "--time"] {
        if !arguments.contains(&door) {
            all.extend([door, "127.0.0.1:0"]);
        }
    }
    all.extend(arguments);
    run(&all)
}

#[test]
fn a_folder_that_can_not_be_written_is_an_error_that_names_it() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    for data in [file.join("data"), file, "/proc/no/such/folder".into()] {
        let told = serve_with(&["--data", data.to_str().unwrap()]);
        told.failed_with(&[data.to_str().unwrap()]);
        assert_eq!(told.text(), "");
    }
}

#[test]
fn a_killed_listener_leaves_its_port_to_the_next_at_once() {
    for mux in ["select", "poll", "epoll", "io-uring"] {
        let echo = ["--echo", "--quiet", "--mux", mux];
        let (mut dead, endpoint) = listen(&[&["tcp://127.0.0.1:0"], &echo[..]].concat());
        let mut peer = TcpStream::connect(address(&endpoint)).unwrap();
        peer.write_all(b"x").unwrap();
        peer.read_exact(&mut [0]).unwrap();
        dead.kill();
        let (_alive, told) = listen(&[&[endpoint.as_str()], &echo[..]].concat());
        assert_eq!(told, endpoint, "{mux}");
    }
}

#[test]
fn a_stale_unix_door_is_replaced_and_a_live_one_never() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("door.sock");
    let door = ["--unix", path.to_str().unwrap()];
    let mut dead = hub(&door);
    dead.kill();
    assert!(path.exists());
    let alive = hub(&door);
    serve_with(&door).failed_with(&[path.to_str().unwrap(), "in use"]);
    assert!(path.exists());
    alive.serves();
}

#[test]
fn bad_flags_are_refused() {
    for flags in [
        ["--chat", "nonsense"],
        ["--chat", "127.0.0.1:99999"],
        ["--no-such-flag", "1"],
    ] {
        let told = serve_with(&flags);
        assert!(
            !told.status.success() && told.text().is_empty(),
            "{flags:?}: {}",
            told.err
        );
    }
}

#[test]
fn a_closed_standard_output_does_not_matter() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().to_str().unwrap();
    let doors = "--chat 127.0.0.1:0 --parcels 127.0.0.1:0 --time 127.0.0.1:0";
    let script = format!("exec \"$0\" serve --data '{data}' {doors} >/dev/full");
    let mut program = Program::start("sh", ["-c", &script, bin().to_str().unwrap()]);
    let any = |bytes: &[u8]| (!bytes.is_empty()).then_some(());
    program.err.wait_until("a word", testkit::PATIENCE, any);
    // Whether it serves or gives up is its choice; it must not panic.
    program.terminate();
    program.wait();
    assert!(
        !program.err.text().contains("panicked"),
        "{}",
        program.err.text()
    );
}

#[test]
fn a_hub_that_dies_is_no_end_in_good_order() {
    // By that a sender knows that its files are stored.
    let mut hub = hub(&[]);
    let mut watcher = hub.join();
    let mut sender = wire::open(hub.parcels()).unwrap();
    sender.write_all(&wire::message("all is well")).unwrap();
    assert!(watcher.text().ends_with(":all is well"));
    hub.kill();
    let end = sender.read(&mut [0]);
    assert_eq!(
        end.map_err(|error| error.kind()),
        Err(ErrorKind::ConnectionReset)
    );
}

#[test]
fn a_hub_that_can_not_begin_leaves_no_new_folder_behind() {
    let (hub, folder) = (hub(&[]), TempDir::new().unwrap());
    let place = hub.chat().to_string();
    let serve = |data: &Path, shards: &str| {
        let data = data.to_str().unwrap();
        let doors = [
            "--chat",
            &place,
            "--parcels",
            "127.0.0.1:0",
            "--time",
            "off",
        ];
        let words = ["serve", "--data", data, "--shards", shards];
        run(&[&words[..], &doors[..]].concat()).failed_with(&[&place, "in use"]);
    };
    for shards in ["1", "2"] {
        serve(&folder.path().join("new/data"), shards);
        assert_eq!(names(folder.path()), [""; 0]);
    }
    // What was there stays as it was.
    let old = folder.path().join("old");
    fs::create_dir(&old).unwrap();
    serve(&old, "1");
    assert!(old.is_dir());
    let data = folder.path().join("data");
    let mut other = Hub::start_in(bin(), &data, &[]);
    other.serves();
    other.stop();
    let files = names(&data.join("files"));
    serve(&data, "1");
    assert_eq!(names(&data.join("files")), files);
    assert!(data.join("log.sqlite").is_file());
}
