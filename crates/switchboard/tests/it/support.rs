//! What the tests start, and small steps they share.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use testkit::{Finished, Hub, Program};

/// The binary under test.
pub(crate) fn bin() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_switchboard"))
}

/// A hub with these arguments besides free ports and a folder of its own.
#[track_caller]
pub(crate) fn hub(arguments: &[&str]) -> Hub {
    Hub::start(bin(), arguments)
}

/// One of our commands, running.
#[track_caller]
pub(crate) fn ours(arguments: &[&str]) -> Program {
    Program::start(bin(), arguments)
}

/// One of our commands, run to its end with no input.
#[track_caller]
pub(crate) fn run(arguments: &[&str]) -> Finished {
    Program::run(bin(), arguments)
}

/// `switchboard listen`, and the endpoint it says it listens on.
#[track_caller]
pub(crate) fn listen(arguments: &[&str]) -> (Program, String) {
    let program = ours(&[&["listen"], arguments].concat());
    let endpoint = listening(&program);
    (program, endpoint)
}

/// Waits until one of our programs listens; gives the endpoint.
#[track_caller]
pub(crate) fn listening(program: &Program) -> String {
    let line = program.err.wait_line(&["listening on "]);
    line.split_once("listening on ")
        .unwrap()
        .1
        .trim()
        .to_owned()
}

/// The address in `tcp://127.0.0.1:8000` or `udp://…`.
#[track_caller]
pub(crate) fn address(endpoint: &str) -> SocketAddr {
    let (_, address) = endpoint.split_once("://").unwrap();
    address
        .parse()
        .unwrap_or_else(|_| panic!("{endpoint:?} has no address"))
}

/// Where the scripts of other people's kind are.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/peers")
        .join(name)
}

/// A script of `tests/peers`, running in Python.
#[track_caller]
pub(crate) fn python(name: &str, arguments: &[&str]) -> Program {
    let script = script(name);
    let own = ["-u", script.to_str().unwrap()];
    Program::start("python3", own.iter().chain(arguments))
}

/// A Python server that says `port N` first, and its address.
#[track_caller]
pub(crate) fn python_server(name: &str, arguments: &[&str]) -> (Program, String) {
    let program = python(name, arguments);
    let line = program.out.wait_line(&["port "]);
    let port = line.trim_start_matches("port ");
    let address = format!("127.0.0.1:{port}");
    (program, address)
}

/// One of our commands on a terminal of its own; what that shows is the standard output.
#[track_caller]
pub(crate) fn on_a_terminal(arguments: &[&str]) -> Program {
    let own = [bin().to_str().unwrap()];
    python("on_a_terminal.py", &[&own, arguments].concat())
}

/// An address that nobody listens on, by TCP or UDP: it was free a moment ago.
pub(crate) fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(UdpSocket::bind(address));
    address
}

/// Whether this machine has IPv6; says so when it has not.
pub(crate) fn has_ipv6() -> bool {
    let has = TcpListener::bind("[::1]:0").is_ok();
    if !has {
        eprintln!("skipped: no IPv6");
    }
    has
}

/// `text` with every control character but the line feed and the tab taken for an error.
#[track_caller]
pub(crate) fn assert_harmless(text: &str) {
    let odd = text
        .chars()
        .find(|c| c.is_control() && !"\n\t".contains(*c));
    assert_eq!(odd, None, "a control character in {text:?}");
}
