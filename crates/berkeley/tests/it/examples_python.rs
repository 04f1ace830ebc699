//! The programs in `examples/` that are servers or clients, with Python's at the other end: what
//! its documentation shows can be done here, and each side understands the other.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::examples::program;
use crate::support::has_ipv6;

/// A program that listens; it is ended with this.
struct Listening {
    child: Child,
    output: BufReader<ChildStdout>,
    /// Where, as it has said in its first line.
    place: String,
}

impl Listening {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let place = line.trim().strip_prefix("listening at ").expect(&line);
        let place = place.to_owned();
        Self {
            child,
            output,
            place,
        }
    }

    /// The port, after the last colon.
    fn port(&self) -> String {
        self.place.rsplit(':').next().unwrap().to_owned()
    }

    /// What else it says until it ends, which must be well.
    fn end(mut self) -> String {
        let mut said = String::new();
        self.output.read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        said
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _answer = self.child.kill();
        let _status = self.child.wait();
    }
}

/// An example that does not outlive a test that has failed.
fn example(name: &str, args: &[&str]) -> Option<Command> {
    let mut command = Command::new("timeout");
    command.arg("60").arg(program(name)?).args(args);
    Some(command)
}

fn has_python() -> bool {
    let has = Command::new("python3").arg("--version").output().is_ok();
    if !has {
        eprintln!("skipped: needs python3");
    }
    has
}

fn python(script: &str, args: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command
        .args(["60", "python3", "-u", "-c", script])
        .args(args);
    command
}

/// What a Python program says.
fn said_by(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

const CALLER: &str = r#"
import socket, sys
with socket.create_connection((sys.argv[1], sys.argv[2]), 30) as s:
    if len(sys.argv) > 3:
        s.sendall(sys.argv[3].encode())
    print("received", s.recv(1024).decode().strip())
"#;

const DATAGRAM_CALLER: &str = r#"
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(30)
s.sendto(sys.argv[3].encode(), (sys.argv[1], int(sys.argv[2])))
print("received", s.recv(1024).decode())
"#;

const ECHO_SERVER: &str = r#"
import socket, sys
v6 = ":" in sys.argv[1]
family = socket.AF_INET6 if v6 else socket.AF_INET
with socket.create_server((sys.argv[1], 0), family=family) as s:
    host, port = s.getsockname()[:2]
    print(f"listening at [{host}]:{port}" if v6 else f"listening at {host}:{port}")
    conn, addr = s.accept()
    with conn:
        while data := conn.recv(1024):
            conn.sendall(data)
"#;

#[test]
fn a_python_client_hears_the_echo() {
    let Some(command) = example("echo_server", &["127.0.0.1:0"]).filter(|_| has_python()) else {
        return;
    };
    let server = Listening::start(command);
    let caller = python(CALLER, &["127.0.0.1", &server.port(), "Hello, world"]);
    assert_eq!(said_by(caller), "received Hello, world\n");
    assert!(server.end().starts_with("connected by 127.0.0.1:"));
}

#[test]
fn a_python_server_is_called_over_both_families() {
    if !has_python() {
        return;
    }
    let hosts: &[&str] = if has_ipv6() {
        &["127.0.0.1", "::1"]
    } else {
        &["127.0.0.1"]
    };
    for host in hosts {
        let server = Listening::start(python(ECHO_SERVER, &[host]));
        let Some(caller) = example("echo_client", &[&server.place]) else {
            return;
        };
        assert_eq!(said_by(caller), "received Hello, world\n");
        server.end();
    }
}

#[test]
fn a_client_that_reaches_nobody_says_so_in_plain_words() {
    // A port that was free a moment ago.
    let (socket, addr) = crate::support::listener(1);
    drop(socket);
    let Some(mut client) = example("echo_client", &[&addr.to_string()]) else {
        return;
    };
    let output = client.output().unwrap();
    let complained = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        complained.contains(&format!("connect {addr}: ")),
        "{complained}"
    );
    assert!(!complained.contains('{'), "{complained}");
}

#[test]
fn a_python_client_reaches_the_first_family_that_there_is() {
    let Some(command) = example("any_family_server", &["0"]).filter(|_| has_python()) else {
        return;
    };
    let server = Listening::start(command);
    let host = if server.place.starts_with('[') {
        "::1"
    } else {
        "127.0.0.1"
    };
    let caller = python(CALLER, &[host, &server.port(), "Hello, world"]);
    assert_eq!(said_by(caller), "received Hello, world\n");
    assert!(server.end().starts_with("connected by "));
}

#[test]
fn python_clients_of_both_families_are_greeted_by_one_server() {
    let Some(command) = example("dual_stack", &["0"]).filter(|_| has_python()) else {
        return;
    };
    let server = Listening::start(command);
    let port = server.port();
    let second = if has_ipv6() { "::1" } else { "127.0.0.1" };
    let said = said_by(python(CALLER, &["127.0.0.1", &port]));
    assert!(said.starts_with("received hello 127.0.0.1:"), "{said}");
    let said = said_by(python(CALLER, &[second, &port]));
    assert!(said.contains(second), "{said}");
    assert_eq!(server.end().lines().count(), 2);
}

#[test]
fn python_clients_have_their_lines_in_capitals() {
    for (scheme, caller) in [("tcp", CALLER), ("udp", DATAGRAM_CALLER)] {
        let place = format!("{scheme}://127.0.0.1:0");
        let Some(command) = example("line_server", &[&place, "2"]).filter(|_| has_python()) else {
            return;
        };
        let server = Listening::start(command);
        for line in ["hello world\n", "and again\n"] {
            let said = said_by(python(caller, &["127.0.0.1", &server.port(), line]));
            assert_eq!(
                said.trim(),
                format!("received {}", line.trim().to_uppercase())
            );
        }
        assert!(server.end().contains("received and again"));
    }
}

#[test]
fn python_clients_are_served_by_the_selector() {
    let Some(command) = example("selectors_echo", &["127.0.0.1:0"]).filter(|_| has_python()) else {
        return;
    };
    let server = Listening::start(command);
    let caller = python(CALLER, &["127.0.0.1", &server.port(), "Hello, world"]);
    assert_eq!(said_by(caller), "received Hello, world\n");
    let said = server.end();
    assert!(
        said.starts_with("accepted 127.0.0.1:") && said.ends_with("closing\n"),
        "{said}"
    );
}
