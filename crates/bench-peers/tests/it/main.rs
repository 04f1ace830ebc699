//! Each of the servers echoes: in order, to many, and also to those who read late.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

mod rooms;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;

const MODES: [&str; 5] = [
    "echo-bare",
    "echo-mio",
    "echo-tokio",
    "echo-tokio-multi",
    "echo-tokio-64k",
];

/// A running server; killed when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(mode: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_switchboard-bench-peers"))
            .arg(mode)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        said.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on tcp://");
        let address = address.unwrap_or_else(|| panic!("{mode}: {line}"));
        Self {
            address: address.to_owned(),
            child,
        }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn bytes(len: usize, seed: usize) -> Vec<u8> {
    let byte = |place: usize| u8::try_from((place * 31 + place / 251 + seed) % 256).unwrap();
    (0..len).map(byte).collect()
}

#[test]
fn each_server_gives_everybody_his_own_bytes() {
    for mode in MODES {
        let server = Server::start(mode);
        let mut streams: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
        for round in 0..3 {
            for (seed, stream) in streams.iter_mut().enumerate() {
                stream.write_all(&bytes(1000, seed + round)).unwrap();
            }
            for (seed, stream) in streams.iter_mut().enumerate() {
                let mut came = vec![0; 1000];
                stream.read_exact(&mut came).unwrap();
                assert!(came == bytes(1000, seed + round), "{mode}");
            }
        }
    }
}

#[test]
fn who_reads_late_still_gets_everything_in_order() {
    const LEN: usize = 24 << 20;
    for mode in MODES {
        let server = Server::start(mode);
        let stream = server.connect();
        // More than the buffers of both sides hold, so the server meets a socket that takes no
        // more; the writer ends its side, and what it wrote comes back before the end does.
        let mut writing = stream.try_clone().unwrap();
        let writer = thread::spawn(move || writing.write_all(&bytes(LEN, 0)).unwrap());
        let mut reading = stream;
        let mut came = vec![0; LEN];
        reading.read_exact(&mut came).unwrap();
        assert!(came == bytes(LEN, 0), "{mode}");
        writer.join().unwrap();
        reading.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(reading.read(&mut came).unwrap(), 0, "{mode}");
    }
}

#[test]
fn an_unknown_mode_is_refused_with_those_that_there_are() {
    let told = Command::new(env!("CARGO_BIN_EXE_switchboard-bench-peers"))
        .arg("echo-nobody")
        .output()
        .unwrap();
    let text = String::from_utf8(told.stderr).unwrap();
    assert!(!told.status.success());
    assert!(text.contains("echo-nobody"), "{text}");
    for mode in MODES.into_iter().chain(rooms::MODES) {
        assert!(text.contains(mode), "no {mode} in: {text}");
    }
}
