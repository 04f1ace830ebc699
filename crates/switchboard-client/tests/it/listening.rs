//! Listeners that show nothing, and what ends one from within its own thread.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use berkeley::selector::Backend;
use switchboard_client::listen::{
    Answer, Audience, ListenError, Listener, Notice, Options, Peer, Piece,
};

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// What an audience was told in the end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    pieces: Vec<Vec<u8>>,
    notices: Vec<&'static str>,
}

/// Notes what it is told.
#[derive(Debug)]
struct Witness {
    wants_pieces: bool,
    told: Told,
}

impl Audience for Witness {
    fn wants_pieces(&self) -> bool {
        self.wants_pieces
    }

    fn piece(&mut self, _: &Peer, piece: Piece<'_>) -> io::Result<()> {
        let (Piece::Bytes(bytes) | Piece::Frame(bytes)) = piece else {
            unreachable!("no other kind is known");
        };
        self.told.pieces.push(bytes.to_vec());
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn notice(&mut self, notice: &Notice<'_>) {
        self.told.notices.push(match notice {
            Notice::Came { .. } => "came",
            Notice::Left { .. } => "left",
            _ => "something else",
        });
    }
}

fn bind(endpoint: &str, backend: Backend, frame_bytes_max: Option<u32>) -> Listener {
    Listener::bind(Options {
        endpoint: endpoint.parse().unwrap(),
        backend,
        answer: Answer::Echo,
        frame_bytes_max,
        connections_max: 10,
    })
    .unwrap()
}

/// Serves in a thread of its own.
fn run(listener: Listener, wants_pieces: bool) -> JoinHandle<(Result<(), ListenError>, Told)> {
    thread::spawn(move || {
        let told = Told::default();
        let mut witness = Witness { wants_pieces, told };
        (listener.run(&mut witness), witness.told)
    })
}

fn connect(listener: &Listener) -> TcpStream {
    let endpoint = listener.endpoints().next().unwrap().to_string();
    let stream = TcpStream::connect(endpoint.trim_start_matches("tcp://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends bytes, and takes as many back.
fn echo(stream: &mut (impl Read + Write), bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes).unwrap();
    let mut answer = vec![0; bytes.len()];
    stream.read_exact(&mut answer).unwrap();
    answer
}

/// Ends the sending side, and sees that nothing more comes.
fn leave(mut stream: TcpStream) {
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn who_wants_no_pieces_is_shown_none_but_told_who_comes_and_goes() {
    for backend in Backend::ALL {
        for wants_pieces in [false, true] {
            let listener = bind("tcp://127.0.0.1:0", backend, None);
            let (stopper, mut peer) = (listener.stopper(), connect(&listener));
            let running = run(listener, wants_pieces);
            assert_eq!(echo(&mut peer, b"one"), b"one");
            assert_eq!(echo(&mut peer, b"two"), b"two");
            leave(peer);
            stopper.stop();
            let (result, told) = running.join().unwrap();
            result.unwrap();
            let shown = [b"one", b"two"].map(|piece| piece.to_vec());
            let shown = if wants_pieces { &shown[..] } else { &[] };
            assert_eq!(told.pieces, shown, "{backend}");
            assert_eq!(told.notices, ["came", "left"], "{backend}");
        }
    }
}

#[test]
fn frames_that_nobody_wants_to_see_are_answered_all_the_same() {
    for wants_pieces in [false, true] {
        let listener = bind("tcp://127.0.0.1:0", Backend::BEST, Some(100));
        let (stopper, mut peer) = (listener.stopper(), connect(&listener));
        let running = run(listener, wants_pieces);
        let mut frame = Vec::new();
        switchboard_wire::frame::encode(b"framed", &mut frame).unwrap();
        assert_eq!(echo(&mut peer, &frame), frame);
        leave(peer);
        stopper.stop();
        let (result, told) = running.join().unwrap();
        result.unwrap();
        assert_eq!(told.pieces.len(), usize::from(wants_pieces));
    }
}

#[test]
fn what_there_is_to_read_ends_a_listener_as_its_end_does() {
    for backend in Backend::ALL {
        for has_something_to_read in [true, false] {
            let mut listener = bind("tcp://127.0.0.1:0", backend, None);
            let (input, mut output) = io::pipe().unwrap();
            let (tell, was_told) = mpsc::channel();
            listener.stop_on(OwnedFd::from(input), move || tell.send(()).unwrap());
            let mut peer = connect(&listener);
            let running = run(listener, false);
            assert_eq!(echo(&mut peer, b"before"), b"before");
            // It was not told early, and may be told from here on.
            was_told.try_recv().unwrap_err();
            if has_something_to_read {
                output.write_all(b"!").unwrap();
            }
            drop(output);
            was_told.recv_timeout(PATIENCE).unwrap();
            // The connection ends in good order, and with it the listener.
            assert_eq!(peer.read(&mut [0]).unwrap(), 0, "{backend}");
            drop(peer);
            running.join().unwrap().0.unwrap();
            // It was told once: the other end of the channel is gone with what it was told by.
            was_told.recv_timeout(PATIENCE).unwrap_err();
        }
    }
}

#[test]
fn a_listener_that_is_ended_from_within_leaves_no_file_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("door");
    let endpoint = format!("unix://{}", path.display());
    let mut listener = bind(&endpoint, Backend::BEST, None);
    let (input, output) = io::pipe().unwrap();
    listener.stop_on(OwnedFd::from(input), || {});
    let mut peer = UnixStream::connect(&path).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let running = run(listener, false);
    assert_eq!(echo(&mut peer, b"here"), b"here");
    drop(output);
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    drop(peer);
    running.join().unwrap().0.unwrap();
    assert!(!path.exists());
}
