//! What the tests start, and small steps they share.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use testkit::{Finished, Hub, Member, Program};

/// The binary under test.
pub(crate) fn bin() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_switchboard"))
}

/// The variable by which `cargo xtask stress` asks for the whole of each test.
const AMOUNT_VARIABLE: &str = "SWITCHBOARD_TEST_AMOUNT";

/// How much of a test there is: in the test command, and where there is time for the whole of it.
pub(crate) fn amount<T>(short: T, whole: T) -> T {
    if is_whole() { whole } else { short }
}

/// Whether there is time for all that a test could do.
pub(crate) fn is_whole() -> bool {
    std::env::var_os(AMOUNT_VARIABLE).is_some_and(|amount| amount == "whole")
}

/// Whether this process, and a hub that it starts, may have so many descriptors; says so if not.
pub(crate) fn room_for_descriptors(count: usize) -> bool {
    let count = u64::try_from(count).unwrap();
    let has = testkit::raise_descriptor_limit() >= count;
    if !has {
        eprintln!("skipped: fewer than {count} descriptors (ulimit -Hn)");
    }
    has
}

/// Lets time pass in which nothing happens but what comes to this member.
#[track_caller]
pub(crate) fn quiet(member: &mut Member, span: Duration) {
    let until = Instant::now() + span;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        if let Err(error) = member.read_some(left.max(Duration::from_millis(1))) {
            assert!(
                matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                "{error}"
            );
        }
    }
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
