//! How a connect went, as a number: the same one as Python's `connect_ex` gives.

use std::process::Command;
use std::time::Duration;

use berkeley::{Addr, Family, Kind, Mode, Protocol, Result, Socket, UnixAddr};

use crate::support::{inet, listener, tcp, unix, unix_listener};

/// Type, limit (`-` for none), and an address or a path in hexadecimal: connects twice.
const SCRIPT: &str = r#"
import socket, sys
family, kind, limit, *place = sys.argv[1:]
s = socket.socket(getattr(socket, "AF_" + family), getattr(socket, "SOCK_" + kind))
s.settimeout(None if limit == "-" else float(limit))
addr = bytes.fromhex(place[0]) if family == "UNIX" else (place[0], int(place[1]))
print(s.connect_ex(addr), s.connect_ex(addr))
"#;

struct Case {
    name: &'static str,
    kind: Kind,
    addr: Addr,
    limit: Option<Duration>,
}

fn ours(case: &Case) -> Result<String> {
    let socket = Socket::new(case.addr.family(), case.kind, Protocol::DEFAULT)?;
    socket.set_mode(case.limit.map_or(Mode::Block, Mode::Within))?;
    let number = || -> Result<i32> {
        let errno = socket.connect_ex(&case.addr)?;
        Ok(errno.map_or(0, berkeley::Errno::raw))
    };
    Ok(format!("{} {}", number()?, number()?))
}

/// `None` without a Python.
fn theirs(case: &Case) -> Option<String> {
    let (family, place) = match &case.addr {
        Addr::Unix(addr) => {
            let bytes = match (addr.as_abstract(), addr.as_path()) {
                (Some(name), _) => [b"\0", name].concat(),
                (None, path) => path?.to_str()?.as_bytes().to_vec(),
            };
            let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            ("UNIX", vec![hex])
        }
        addr => {
            let place = vec![addr.ip()?.to_string(), addr.port()?.to_string()];
            ("INET", place)
        }
    };
    let kind = match case.kind {
        Kind::STREAM => "STREAM",
        Kind::DGRAM => "DGRAM",
        _ => "SEQPACKET",
    };
    let limit = case
        .limit
        .map_or("-".into(), |l| l.as_secs_f64().to_string());
    let output = Command::new("python3")
        .args(["-c", SCRIPT, family, kind, &limit])
        .args(place)
        .output()
        .ok()?;
    assert!(output.status.success(), "{}: {output:?}", case.name);
    Some(String::from_utf8(output.stdout).unwrap().trim().into())
}

#[test]
fn connect_ex_gives_the_numbers_that_python_gives() {
    let folder = tempfile::tempdir().unwrap();
    let path = Addr::Unix(UnixAddr::path(folder.path().join("nobody")).unwrap());
    let (_open, open) = listener(64);
    let refusing = {
        let (gone, addr) = listener(1);
        drop(gone);
        addr
    };
    let (_full, full) = listener(0);
    let first = tcp();
    first.connect(&full).unwrap();
    let (_unix_open, unix_open) = unix_listener(Kind::STREAM, 64);
    let (_unix_full, unix_full) = unix_listener(Kind::STREAM, 0);
    let first = unix(Kind::STREAM);
    first.connect(&unix_full).unwrap();
    let at_once = Some(Duration::ZERO);
    let soon = Some(Duration::from_millis(40));
    let far = Some(Duration::from_secs(5));
    let stream = Kind::STREAM;
    let cases = [
        ("open", stream, &open, None),
        ("open, limited", stream, &open, far),
        ("refused", stream, &refusing, None),
        ("refused, limited", stream, &refusing, far),
        ("full, limited", stream, &full, soon),
        ("full, at once", stream, &full, at_once),
        ("datagrams", Kind::DGRAM, &open, None),
        ("no such path", stream, &path, None),
        ("no such path, at once", stream, &path, at_once),
        ("unix", stream, &unix_open, None),
        ("unix, at once", stream, &unix_open, at_once),
        ("unix, limited", stream, &unix_open, far),
        ("unix, of another type", Kind::SEQPACKET, &unix_open, None),
        ("unix, full, at once", stream, &unix_full, at_once),
        ("broadcast", stream, &inet("255.255.255.255:9"), None),
    ];
    for (name, kind, addr, limit) in cases {
        let case = Case {
            name,
            kind,
            addr: addr.clone(),
            limit,
        };
        let Some(theirs) = theirs(&case) else {
            eprintln!("skipped: needs python3");
            return;
        };
        assert_eq!(ours(&case).unwrap(), theirs, "{name}");
    }
    // Python does not wait for a place in a full Unix queue; its limit is not asked.
    let limited = unix(stream);
    limited
        .set_mode(Mode::Within(Duration::from_millis(40)))
        .unwrap();
    let errno = limited.connect_ex(&unix_full).unwrap();
    assert_eq!(errno, Some(berkeley::Errno::EAGAIN));
    assert_eq!(limited.family(), Family::UNIX);
}
