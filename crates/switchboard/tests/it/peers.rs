//! Other people's programs: Python's own `socket` module, `nc` and `curl`, in both directions.

use std::fs;
use std::thread;

use tempfile::TempDir;
use testkit::{Program, Random, wire};

use crate::support::{address, hub, listen, listening, ours, python, python_server, run};

/// The arguments of a Python upload client for a message and a file.
fn upload_arguments(place: &str, message: &str, path: &str) -> [String; 3] {
    [
        place.to_owned(),
        format!("msg:{message}"),
        format!("file:{path}"),
    ]
}

#[test]
fn a_python_client_uploads_and_never_reads() {
    let folder = TempDir::new().unwrap();
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let bytes = Random::new(10).bytes(5_000_000);
    let path = folder.path().join("图片.png");
    fs::write(&path, &bytes).unwrap();
    let place = hub.parcels().to_string();
    let arguments = upload_arguments(&place, "look at this", path.to_str().unwrap());
    let mut client = python(
        "upload_client.py",
        &arguments.each_ref().map(String::as_str),
    );
    client.finish().succeeded();
    assert!(watcher.text().ends_with(":look at this"));
    watcher.notice(&["图片.png", "5000000", "127.0.0.1:"]);
    assert!(hub.file("图片.png") == bytes, "the file differs");
}

#[test]
fn ten_python_clients_upload_at_once_and_lose_nothing() {
    let folder = TempDir::new().unwrap();
    let hub = hub(&[]);
    let mut watcher = hub.join();
    let place = hub.parcels().to_string();
    let file = |number: u64| Random::new(number).bytes(300_000);
    thread::scope(|scope| {
        for number in 0..10 {
            let path = folder.path().join(format!("{number}.bin"));
            fs::write(&path, file(number)).unwrap();
            let arguments =
                upload_arguments(&place, &format!("hello {number}"), path.to_str().unwrap());
            scope.spawn(move || {
                let mut client = python(
                    "upload_client.py",
                    &arguments.each_ref().map(String::as_str),
                );
                client.finish().succeeded();
            });
        }
    });
    let (mut messages, mut files) = (0, 0);
    while messages + files < 20 {
        let line = watcher.line().unwrap();
        messages += usize::from(line.contains(":hello "));
        files += usize::from(line.contains(".bin") && line.starts_with("* "));
    }
    assert_eq!((messages, files), (10, 10));
    for number in 0..10 {
        assert!(
            hub.file(&format!("{number}.bin")) == file(number),
            "{number}.bin differs"
        );
    }
}

#[test]
fn a_python_client_uploads_by_the_unix_door() {
    let folder = TempDir::new().unwrap();
    let door = folder.path().join("door.sock");
    let hub = hub(&["--unix", door.to_str().unwrap()]);
    let mut watcher = hub.join();
    let mut client = python("upload_client.py", &[door.to_str().unwrap(), "msg:by path"]);
    client.finish().succeeded();
    assert!(watcher.text().ends_with(":by path"));
}

#[test]
fn python_chat_clients_talk_through_the_hub() {
    let hub = hub(&[]);
    let join = || {
        let client = python("chat_client.py", &[&hub.chat().to_string()]);
        let port = client.out.wait_line(&["port "]).replace("port ", "");
        hub.log().wait_line(&[&format!("127.0.0.1:{port}")]);
        (client, port)
    };
    let ((mut alice, alice_port), (mut bob, bob_port)) = (join(), join());
    alice.say("alice:hello 你好");
    bob.out
        .wait_for(&format!("127.0.0.1:{alice_port}:alice:hello 你好\n"));
    bob.say("bob:hi");
    alice
        .out
        .wait_for(&format!("127.0.0.1:{bob_port}:bob:hi\n"));
    bob.end_input();
    assert!(bob.finish().succeeded().text().ends_with("(closed)"));
    assert!(
        !alice.out.text().contains(":alice:hello"),
        "it heard itself"
    );
}

#[test]
fn connect_takes_part_in_a_python_room() {
    let (room, place) = python_server("room_server.py", &[]);
    let mut first = ours(&["connect", &format!("tcp://{place}")]);
    room.out.wait_for("joined");
    let mut second = python("chat_client.py", &[&place]);
    let port = second.out.wait_line(&["port "]).replace("port ", "");
    room.out.wait_for(&format!("joined {port}"));
    second.say("unterminated");
    first
        .out
        .wait_for(&format!("127.0.0.1:{port}:unterminated"));
    first.say("from connect");
    second.out.wait_for(":from connect");
}

#[test]
fn a_python_echo_client_meets_listen() {
    let (listener, endpoint) = listen(&["tcp://127.0.0.1:0", "--echo"]);
    let mut client = python("echo_client.py", &[&address(&endpoint).to_string()]);
    for word in ["hello", "图片"] {
        client.say(word);
        client.out.wait_for(&format!("answer {word}\n"));
        listener.out.wait_for(word);
    }
    client.end_input();
    client.finish().succeeded();
}

#[test]
fn a_python_time_client_meets_listen() {
    let (listener, endpoint) = listen(&["udp://127.0.0.1:0", "--reply", "half past nine"]);
    let mut client = python(
        "time_client.py",
        &[&address(&endpoint).to_string(), "%H:%M"],
    );
    assert_eq!(client.finish().succeeded().text(), "half past nine");
    listener.out.wait_for("%H:%M");
}

#[test]
fn nc_chats_at_the_hub() {
    let hub = hub(&[]);
    let mut member = hub.join();
    let port = hub.chat().port().to_string();
    let mut nc = Program::start("nc", ["-N", "127.0.0.1", &port]);
    member.notice(&["127.0.0.1:"]);
    nc.say("hello from nc");
    assert!(member.text().ends_with(":hello from nc"));
    member.say("hello nc");
    nc.out.wait_for(&format!("{}:hello nc\n", member.address()));
    nc.end_input();
    nc.finish().succeeded();
}

#[test]
fn nc_uploads_what_a_file_holds() {
    let folder = TempDir::new().unwrap();
    let door = folder.path().join("door.sock");
    let hub = hub(&["--unix", door.to_str().unwrap()]);
    let mut watcher = hub.join();
    let mut nc = Program::start("nc", ["-N", "-U", door.to_str().unwrap()]);
    nc.feed(&[wire::file("by nc.txt", b"netcat"), wire::close()].concat());
    nc.end_input();
    assert_eq!(nc.finish().succeeded().out, b"");
    watcher.notice(&["by nc.txt", "6"]);
    assert_eq!(hub.file("by nc.txt"), b"netcat");
}

#[test]
fn nc_asks_the_time() {
    let hub = hub(&[]);
    let port = hub.time().port().to_string();
    let mut nc = Program::start("nc", ["-u", "127.0.0.1", &port]);
    nc.feed(b"in %%Y it is %Y");
    nc.out.wait_for("in %Y it is 2");
}

#[test]
fn nc_meets_listen_by_tcp_udp_and_path() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("l.sock");
    let path = path.to_str().unwrap();
    for scheme in ["tcp", "udp", "unix"] {
        let at = if scheme == "unix" {
            path
        } else {
            "127.0.0.1:0"
        };
        let (listener, endpoint) = listen(&[&format!("{scheme}://{at}"), "--reply", "heard\n"]);
        let mut nc = if scheme == "unix" {
            Program::start("nc", ["-N", "-U", path])
        } else {
            let port = address(&endpoint).port().to_string();
            let flag = if scheme == "udp" { "-u" } else { "-N" };
            Program::start("nc", [flag, "127.0.0.1", &port])
        };
        nc.say("a line from nc");
        listener.out.wait_for("a line from nc\n");
        nc.out.wait_for("heard\n");
    }
}

#[test]
fn connect_meets_a_listening_nc() {
    let mut nc = Program::start("nc", ["-lvnN", "127.0.0.1", "0"]);
    let line = nc.err.wait_line(&["Listening on 127.0.0.1 "]);
    let port = line.rsplit(' ').next().unwrap();
    let mut connect = ours(&["connect", &format!("tcp://127.0.0.1:{port}")]);
    connect.say("hello nc");
    nc.out.wait_for("hello nc\n");
    nc.say("hello switchboard");
    connect.out.wait_for("hello switchboard\n");
    connect.end_input();
    nc.end_input();
    connect.finish().succeeded();
    nc.finish().succeeded();
}

#[test]
fn chat_meets_a_listening_nc() {
    let mut nc = Program::start("nc", ["-lvnN", "127.0.0.1", "0"]);
    let line = nc.err.wait_line(&["Listening on 127.0.0.1 "]);
    let port = line.rsplit(' ').next().unwrap();
    let mut chat = ours(&["chat", &format!("127.0.0.1:{port}")]);
    chat.say("typed in chat");
    nc.out.wait_for("typed in chat\n");
    nc.feed(b"no line ending");
    chat.out.wait_for("no line ending");
}

#[test]
fn curl_reads_an_answer_written_by_hand() {
    let answer = "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n";
    let (listener, endpoint) = listen(&["tcp://127.0.0.1:0", "--reply", answer]);
    let url = format!("http://{}/greeting", address(&endpoint));
    for _ in 0..3 {
        let got = Program::run("curl", ["-sS", "--noproxy", "*", "--max-time", "8", &url]);
        assert_eq!(got.succeeded().out, b"hello\n");
    }
    listener.out.wait_for("GET /greeting HTTP/1.1\r\n");
}

#[test]
fn curl_at_the_chat_door_harms_nobody() {
    let hub = hub(&[]);
    let (mut here, mut there) = (hub.join(), hub.join());
    let url = format!("http://{}/", hub.chat());
    Program::run(
        "curl",
        [
            "-sS",
            "--http0.9",
            "--noproxy",
            "*",
            "--max-time",
            "1",
            &url,
        ],
    );
    there.say("what was that?");
    while !here.text().ends_with(":what was that?") {}
}

#[test]
fn a_python_client_talks_to_talk_and_talk_to_python() {
    let talk = ours(&["talk", "--listen", "127.0.0.1:0"]);
    let place = address(&listening(&talk)).to_string();
    let mut client = python("time_client.py", &[&place, "what time is it?"]);
    talk.out.wait_for("what time is it?");
    let mut talk = talk;
    talk.say("late");
    assert_eq!(client.finish().succeeded().text(), "late");
}

#[test]
fn send_meets_a_plain_listener() {
    let (program, endpoint) = listen(&["tcp://127.0.0.1:0", "--framed"]);
    let place = address(&endpoint).to_string();
    run(&["send", &place, "--message", "framed text"]).succeeded();
    program.out.wait_for("framed text\nclose\n");
}
