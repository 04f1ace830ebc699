//! The same questions to this library and to Python's `socket` module, which have to have the
//! same answers: names, services, interfaces, addresses as text.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, Ipv6Addr};
use std::process::{Command, Stdio};
use std::thread;

use berkeley::inet::{htonl, htons, inet_aton, inet_ntoa, inet_ntop, inet_pton, ntohl, ntohs};
use berkeley::interfaces::{if_indextoname, if_nameindex, if_nametoindex};
use berkeley::names::{
    GaiError, HostEntry, NameFlags, ResolveFlags, getfqdn, gethostbyaddr, gethostbyname,
    gethostbyname_ex, gethostname, getnameinfo, getprotobyname, getservbyname, getservbyport,
};
use berkeley::{Addr, Error, Family, Kind, Protocol, Query, ResolveError, Result};

use crate::support::impossible_host;

/// Answers one line for each line: a function's name and its arguments in hexadecimal.
const SCRIPT: &str = r#"
import socket, sys
def number(text): return int(text) if text else 0
def gai(host, service, family, kind, protocol, flags):
    # As bytes: Python's own IDNA refuses some names before the resolver is asked.
    found = socket.getaddrinfo(host.encode() or None, service or None, number(family), number(kind),
                               number(protocol), number(flags))
    return ";".join(" ".join([str(int(f)), str(int(k)), str(p), c, ",".join(map(str, a))])
                    for f, k, p, c, a in found)
def entry(found): return " ".join([found[0], ",".join(found[1]), ",".join(found[2])])
CALLS = {
    "gai": gai,
    "ni": lambda host, port, flags: " ".join(socket.getnameinfo((host, int(port)), int(flags))),
    "hbn": lambda name: socket.gethostbyname(name.encode()),
    "hbx": lambda name: entry(socket.gethostbyname_ex(name.encode())),
    "hba": lambda name: entry(socket.gethostbyaddr(name)),
    "sbn": lambda name, *protocol: socket.getservbyname(name, *protocol),
    "sbp": lambda port, *protocol: socket.getservbyport(int(port), *protocol),
    "pbn": socket.getprotobyname,
    "name": socket.gethostname,
    "fqdn": socket.getfqdn,
    "ifs": lambda: ",".join("%d=%s" % one for one in socket.if_nameindex()),
    "n2i": socket.if_nametoindex,
    "i2n": lambda index: socket.if_indextoname(int(index)),
    "aton": lambda text: socket.inet_ntoa(socket.inet_aton(text)),
    "pton4": lambda text: socket.inet_pton(socket.AF_INET, text).hex(),
    "pton6": lambda text: socket.inet_pton(socket.AF_INET6, text).hex(),
    "ntop6": lambda packed: socket.inet_ntop(socket.AF_INET6, bytes.fromhex(packed)),
    "order": lambda n: "%d %d %d %d" % (socket.htons(int(n) & 0xffff), socket.htonl(int(n)),
                                        socket.ntohs(int(n) & 0xffff), socket.ntohl(int(n))),
    "const": lambda name: getattr(socket, name),
}
for line in sys.stdin:
    call, *arguments = line.split()
    try:
        answer = CALLS[call](*(bytes.fromhex(one[1:]).decode() for one in arguments))
    except socket.gaierror as error:
        answer = "gai %d" % error.args[0]
    except socket.herror as error:
        answer = "host %d" % error.args[0]
    except OSError as error:
        answer = "error"
    print(answer)
"#;

/// Questions with this library's answers, to be put to Python.
#[derive(Default)]
struct Questions {
    asked: String,
    shown: Vec<String>,
    answers: Vec<String>,
}

impl Questions {
    fn ask(&mut self, call: &str, arguments: &[&str], answer: Result<String>) {
        self.asked.push_str(call);
        for argument in arguments {
            self.asked.push_str(" x");
            for byte in argument.as_bytes() {
                write!(self.asked, "{byte:02x}").unwrap();
            }
        }
        self.asked.push('\n');
        self.shown.push(format!("{call} {arguments:?}"));
        self.answers
            .push(answer.unwrap_or_else(|error| match error {
                Error::Resolve { reason, .. } | Error::NoName { reason, .. } => match reason {
                    ResolveError::Gai(code) => format!("gai {}", code.raw()),
                    ResolveError::Host(code) => format!("host {}", code.raw()),
                    _ => "error".into(),
                },
                _ => "error".into(),
            }));
    }

    /// Compares all answers.
    fn compare(self) {
        let python = Command::new("python3")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut python) = python else {
            eprintln!("skipped: needs python3");
            return;
        };
        let mut input = python.stdin.take().unwrap();
        let asked = self.asked;
        let writer = thread::spawn(move || input.write_all(asked.as_bytes()));
        let output = python.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        let theirs: Vec<_> = output.lines().collect();
        assert_eq!(theirs.len(), self.answers.len());
        let mut differ = String::new();
        for ((question, ours), theirs) in self.shown.iter().zip(&self.answers).zip(theirs) {
            if ours != theirs {
                writeln!(differ, "{question}: {ours:?}, Python {theirs:?}").unwrap();
            }
        }
        assert!(differ.is_empty(), "{differ}");
    }
}

/// Numbers that look random and are the same in every run.
struct Mixed(u64);

impl Mixed {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        self.0 >> 33
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next()).unwrap() % limit
    }
}

fn info(found: Vec<berkeley::AddrInfo>) -> String {
    let show = |info: berkeley::AddrInfo| {
        let addr = match info.addr {
            Addr::Inet(addr) => format!("{},{}", addr.ip(), addr.port()),
            Addr::Inet6(addr) => format!(
                "{},{},{},{}",
                inet_ntop(*addr.ip()),
                addr.port(),
                addr.flowinfo(),
                addr.scope_id()
            ),
            addr => panic!("{addr:?}"),
        };
        let name = info.canonical_name.unwrap_or_default();
        let (family, kind) = (info.family.raw(), info.kind.raw());
        let protocol = info.protocol.raw();
        format!("{family} {kind} {protocol} {} {addr}", name.display())
    };
    let shown: Vec<_> = found.into_iter().map(show).collect();
    shown.join(";")
}

fn entry(entry: HostEntry) -> String {
    let aliases: Vec<_> = entry
        .aliases
        .iter()
        .map(|name| name.display().to_string())
        .collect();
    let addrs: Vec<_> = entry.addrs.into_iter().map(inet_ntop).collect();
    let (aliases, addrs) = (aliases.join(","), addrs.join(","));
    format!("{} {aliases} {addrs}", entry.name.display())
}

fn hex(addr: IpAddr) -> String {
    match addr {
        IpAddr::V4(ip) => format!("{:08x}", ip.to_bits()),
        IpAddr::V6(ip) => format!("{:032x}", ip.to_bits()),
    }
}

#[test]
fn the_resolver_answers_as_in_python() {
    let mut questions = Questions::default();
    let flags = [
        ResolveFlags::NONE,
        ResolveFlags::PASSIVE,
        ResolveFlags::NUMERICHOST | ResolveFlags::CANONNAME,
        ResolveFlags::NUMERICHOST | ResolveFlags::NUMERICSERV,
        ResolveFlags::IDN | ResolveFlags::NUMERICHOST,
        ResolveFlags::from_raw(1 << 30),
    ];
    let hosts = ["", "127.0.0.1", "::1", "fe80::1%lo", "0x7f.1"];
    let hints = [
        (0, 0, 0),
        (2, 1, 0),
        (10, 2, 17),
        (2, 3, 0),
        (0, 0, 6),
        (0, 9, 0),
        (1, 1, 0),
    ];
    for host in hosts {
        for service in ["", "80", "http", "domain", "no-such-service", "65536"] {
            for (family, kind, protocol) in hints {
                for flags in flags {
                    let mut query = if host.is_empty() {
                        Query::local()
                    } else {
                        Query::host(host)
                    };
                    if !service.is_empty() {
                        query = query.service(service);
                    }
                    let query = query
                        .family(Family::from_raw(family))
                        .kind(Kind::from_raw(kind))
                        .protocol(Protocol::from_raw(protocol))
                        .flags(flags);
                    let numbers = [family, kind, protocol, flags.raw()].map(|n| n.to_string());
                    let mut arguments = vec![host, service];
                    arguments.extend(numbers.iter().map(String::as_str));
                    questions.ask("gai", &arguments, query.resolve().map(info));
                }
            }
        }
    }
    let impossible = impossible_host();
    let found = Query::host(&impossible).resolve().map(info);
    questions.ask("gai", &[&impossible, "", "0", "0", "0", "0"], found);
    let local = Query::host("localhost").family(Family::INET).port(80);
    let arguments = ["localhost", "80", "2", "0", "0", "0"];
    questions.ask("gai", &arguments, local.resolve().map(info));
    questions.compare();
}

#[test]
fn the_older_calls_answer_as_in_python() {
    let mut questions = Questions::default();
    let impossible = impossible_host();
    for name in [
        "127.0.0.1",
        "0",
        "",
        "localhost",
        "<broadcast>",
        &impossible,
    ] {
        questions.ask("hbn", &[name], gethostbyname(name).map(|ip| ip.to_string()));
    }
    // Not for names that do not exist: Python asks getaddrinfo first, and gives its error.
    for name in ["127.0.0.1", "localhost", "1.2"] {
        questions.ask("hbx", &[name], gethostbyname_ex(name).map(entry));
    }
    let local = gethostbyaddr([127, 0, 0, 1]).map(entry);
    questions.ask("hba", &["127.0.0.1"], local);
    let addr: Addr = "127.0.0.1:80"
        .parse::<std::net::SocketAddr>()
        .unwrap()
        .into();
    for flags in 0..64 {
        let found = getnameinfo(&addr, NameFlags::from_raw(flags));
        let found = found.map(|name| format!("{} {}", name.host.display(), name.service.display()));
        questions.ask("ni", &["127.0.0.1", "80", &flags.to_string()], found);
    }
    questions.ask(
        "name",
        &[],
        gethostname().map(|name| name.display().to_string()),
    );
    for name in ["", "localhost", "127.0.0.1"] {
        questions.ask(
            "fqdn",
            &[name],
            getfqdn(name).map(|name| name.display().to_string()),
        );
    }
    questions.compare();
}

#[test]
fn services_protocols_and_interfaces_are_as_in_python() {
    let mut questions = Questions::default();
    let absent = || Error::Invalid("absent".into());
    for name in ["http", "www", "domain", "sink", "no-such-service", "80", ""] {
        let port = |protocol| -> Result<String> {
            let found = getservbyname(name, protocol)?.ok_or_else(absent)?;
            Ok(found.port.to_string())
        };
        questions.ask("sbn", &[name], port(None));
        for protocol in ["tcp", "udp", "none"] {
            questions.ask("sbn", &[name, protocol], port(Some(protocol)));
        }
    }
    for port in (0..1100).chain([8080, 65535]) {
        for protocol in ["tcp", "udp"] {
            let found = getservbyport(port, Some(protocol))
                .and_then(|found| Ok(found.ok_or_else(absent)?.name.display().to_string()));
            questions.ask("sbp", &[&port.to_string(), protocol], found);
        }
    }
    for name in ["tcp", "UDP", "icmp", "ipv6-icmp", "none", ""] {
        let found = getprotobyname(name)
            .and_then(|found| Ok(found.ok_or_else(absent)?.number.raw().to_string()));
        questions.ask("pbn", &[name], found);
    }
    let listed = if_nameindex().map(|all| {
        let all: Vec<_> = all
            .iter()
            .map(|one| format!("{}={}", one.index, one.name.display()))
            .collect();
        all.join(",")
    });
    questions.ask("ifs", &[], listed);
    for name in ["lo", "no-such", ""] {
        questions.ask(
            "n2i",
            &[name],
            if_nametoindex(name).map(|index| index.to_string()),
        );
    }
    for index in [0, 1, 999_999] {
        let name = if_indextoname(index).map(|name| name.display().to_string());
        questions.ask("i2n", &[&index.to_string()], name);
    }
    questions.compare();
}

/// What historic addresses are made of, and what they are not.
const OLD_PIECES: &[&str] = &[
    "0",
    "1",
    "8",
    "9",
    "255",
    "256",
    "65535",
    "16777216",
    "4294967295",
    "x",
    "0x",
    "0xff",
    "0Xg",
    "010",
    "08",
    ".",
    ".",
    ".",
    ".",
    " ",
    "-",
    "+",
    "a",
    "\u{b}",
    "0b1",
];

/// The same for IPv6.
const PIECES: &[&str] = &[
    "::",
    ":",
    ":",
    ":",
    "0",
    "1",
    "ffff",
    "fFf0",
    "10000",
    "00001",
    "1.2.3.4",
    "::ffff:",
    "%lo",
    "g",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6",
];

#[test]
fn addresses_are_read_as_in_python() {
    let mut questions = Questions::default();
    let mut mixed = Mixed(7);
    for _text in 0..3000 {
        let text: String = (0..mixed.below(8))
            .map(|_| OLD_PIECES[mixed.below(OLD_PIECES.len())])
            .collect();
        questions.ask("aton", &[&text], inet_aton(&text).map(inet_ntoa));
    }
    for text in [
        "1.2.3.4",
        "1.2.3",
        "01.2.3.4",
        "1.2.3.4 ",
        "0.0.0.0",
        "1.2.3.256",
        "",
        "1..2.3",
    ] {
        questions.ask("pton4", &[text], inet_pton(Family::INET, text).map(hex));
    }
    for _text in 0..3000 {
        let count = 1 + mixed.below(6);
        let text: String = (0..count)
            .map(|_| PIECES[mixed.below(PIECES.len())])
            .collect();
        questions.ask("pton6", &[&text], inet_pton(Family::INET6, &text).map(hex));
    }
    questions.compare();
}

#[test]
fn addresses_are_written_as_in_python() {
    let mut questions = Questions::default();
    let mut mixed = Mixed(11);
    for _addr in 0..2000 {
        let mut groups = [0u16; 8];
        let (first, step) = (mixed.below(9), 1 + mixed.below(3));
        for group in groups.iter_mut().skip(first).step_by(step) {
            *group = u16::try_from(mixed.next() & 0xffff).unwrap() >> (4 * mixed.below(4));
        }
        if mixed.below(4) == 0 {
            groups[5] = 0xffff;
        }
        let addr = Ipv6Addr::from(groups);
        questions.ask("ntop6", &[&hex(addr.into())], Ok(inet_ntop(addr)));
    }
    for number in [0u32, 1, 0x1234, 0xffff, 0x1234_5678, u32::MAX] {
        let short = u16::try_from(number & 0xffff).unwrap();
        let ours = format!(
            "{} {} {} {}",
            htons(short),
            htonl(number),
            ntohs(short),
            ntohl(number)
        );
        questions.ask("order", &[&number.to_string()], Ok(ours));
    }
    questions.compare();
}

#[test]
fn every_number_of_pythons_has_its_name_here() {
    let mut questions = Questions::default();
    macro_rules! same {
        ($type:ident, $prefix:literal: $($name:ident)*) => {
            $(questions.ask(
                "const",
                &[concat!($prefix, stringify!($name))],
                Ok($type::$name.raw().to_string()),
            );)*
        };
    }
    same!(ResolveFlags, "AI_": PASSIVE CANONNAME NUMERICHOST V4MAPPED ALL ADDRCONFIG NUMERICSERV);
    same!(NameFlags, "NI_": NUMERICHOST NUMERICSERV NOFQDN NAMEREQD DGRAM);
    same!(GaiError, "EAI_": ADDRFAMILY AGAIN BADFLAGS FAIL FAMILY MEMORY NODATA NONAME OVERFLOW
        SERVICE SOCKTYPE SYSTEM);
    questions.compare();
}
