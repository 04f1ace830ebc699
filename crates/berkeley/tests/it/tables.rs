//! Whole tables of names, compared with what getent(1) says, and the networks by class, compared
//! with the C library's.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::thread;

use berkeley::inet::{inet_lnaof, inet_makeaddr, inet_netof, inet_network};
use berkeley::names::{
    getnetbyaddr, getnetbyname, getprotobyname, getservbyname, hosts, networks, protocols, services,
};
use berkeley::{Family, VsockAddr};

/// The words of each line that `getent TABLE` prints; `None` without getent(1).
fn getent(table: &str) -> Option<Vec<Vec<OsString>>> {
    let output = Command::new("getent").arg(table).output().ok()?;
    let words = |line: &[u8]| {
        let words = line.split(|byte| byte.is_ascii_whitespace());
        let words = words.filter(|word| !word.is_empty());
        words
            .map(|word| std::ffi::OsStr::from_bytes(word).to_owned())
            .collect()
    };
    let lines = output.stdout.split(|byte| *byte == b'\n');
    Some(lines.filter(|line| !line.is_empty()).map(words).collect())
}

/// A name, something of each entry, and the other names, as getent(1) prints them.
fn line(name: OsString, value: String, aliases: Vec<OsString>) -> Vec<OsString> {
    [vec![name, value.into()], aliases].concat()
}

#[test]
fn services_are_those_of_the_system() {
    let found = services().unwrap();
    if let Some(expected) = getent("services") {
        let lines = found.iter().cloned().map(|entry| {
            let value = format!("{}/{}", entry.port, entry.protocol.to_string_lossy());
            line(entry.name, value, entry.aliases)
        });
        assert_eq!(lines.collect::<Vec<_>>(), expected);
    } else {
        eprintln!("skipped: needs getent");
    }
    // Each of them is found by its name too, if only as another of that name.
    for entry in found.iter().take(20) {
        let protocol = entry.protocol.to_str();
        assert!(
            getservbyname(&entry.name, protocol).unwrap().is_some(),
            "{entry:?}"
        );
    }
}

#[test]
fn protocols_are_those_of_the_system() {
    let found = protocols().unwrap();
    let Some(expected) = getent("protocols") else {
        return eprintln!("skipped: needs getent");
    };
    let lines = found
        .iter()
        .cloned()
        .map(|entry| line(entry.name, entry.number.raw().to_string(), entry.aliases));
    assert_eq!(lines.collect::<Vec<_>>(), expected);
    for entry in found.iter().take(20) {
        assert!(getprotobyname(&entry.name).unwrap().is_some(), "{entry:?}");
    }
}

#[test]
fn hosts_are_those_of_the_table() {
    let found = hosts().unwrap();
    let Some(expected) = getent("hosts") else {
        return eprintln!("skipped: needs getent");
    };
    let lines = found.into_iter().map(|entry| {
        let addr = entry
            .addrs
            .first()
            .map(ToString::to_string)
            .unwrap_or_default();
        [vec![addr.into(), entry.name], entry.aliases].concat()
    });
    assert_eq!(lines.collect::<Vec<_>>(), expected);
}

#[test]
fn networks_are_those_of_the_system() {
    let found = networks().unwrap();
    let Some(expected) = getent("networks") else {
        return eprintln!("skipped: needs getent");
    };
    let lines = found
        .iter()
        .cloned()
        .map(|entry| line(entry.name, entry.network.to_string(), entry.aliases));
    assert_eq!(lines.collect::<Vec<_>>(), expected);
    for entry in &found {
        assert_eq!(entry.family, Family::INET);
        let by_name = getnetbyname(&entry.name).unwrap().unwrap();
        assert_eq!(by_name, *entry);
        let by_addr = getnetbyaddr(entry.network).unwrap().unwrap();
        assert_eq!(by_addr.network, entry.network);
    }
}

#[test]
fn a_network_that_is_not_there_is_none() {
    assert_eq!(getnetbyname("no network has this name").unwrap(), None);
    assert_eq!(getnetbyaddr(Ipv4Addr::new(203, 0, 113, 0)).unwrap(), None);
    assert!(getnetbyname("a zero \0 within").is_err());
}

#[test]
fn walks_in_several_threads_do_not_disturb_each_other() {
    let (all_services, all_protocols) = (services().unwrap(), protocols().unwrap());
    thread::scope(|scope| {
        for _thread in 0..4 {
            scope.spawn(|| {
                for _walk in 0..20 {
                    assert_eq!(services().unwrap(), all_services);
                    assert_eq!(protocols().unwrap(), all_protocols);
                }
            });
        }
    });
}

/// Numbers and texts that each class, and its ends, have some of.
const ADDRS: [u32; 10] = [
    0,
    0x7f00_0001,
    0x7fff_ffff,
    0x8000_0000,
    0xbfff_ffff,
    0xc000_0209,
    0xdfff_ffff,
    0xe000_0001,
    0xffff_ffff,
    0x0a01_0203,
];
const PARTS: [u32; 8] = [
    0,
    127,
    128,
    0xffff,
    0x1_0000,
    0xff_ffff,
    0x100_0000,
    u32::MAX,
];
const TEXTS: [&str; 14] = [
    "127",
    "192.0.2",
    "10.1",
    "1.2.3.4",
    "0x7f.1",
    "010.1",
    "255",
    "256",
    "1.2.3.4.5",
    "",
    "1.",
    "1..2",
    "08",
    "192.0.2 ",
];

/// The same questions to the C library, one answer a line.
const SCRIPT: &str = "
import ctypes, sys
libc = ctypes.CDLL(None)
for name in 'inet_network', 'inet_lnaof', 'inet_netof', 'inet_makeaddr':
    getattr(libc, name).restype = ctypes.c_uint32
def swap(n): return int.from_bytes(n.to_bytes(4, sys.byteorder), 'big')
addrs, parts, texts = sys.argv[1].split(','), sys.argv[2].split(','), sys.argv[3].split(',')
for addr in addrs:
    addr = ctypes.c_uint32(swap(int(addr)))
    print(libc.inet_lnaof(addr), libc.inet_netof(addr))
for net in parts:
    for host in parts:
        print(swap(libc.inet_makeaddr(ctypes.c_uint32(int(net)), ctypes.c_uint32(int(host)))))
for text in texts:
    print(libc.inet_network(text.encode()))
";

#[test]
fn networks_by_class_are_those_of_the_c_library() {
    let list = |numbers: &[u32]| {
        numbers
            .iter()
            .map(u32::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    let ran = Command::new("python3")
        .args(["-c", SCRIPT, &list(&ADDRS), &list(&PARTS), &TEXTS.join(",")])
        .output();
    let expected = match ran {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout).unwrap(),
        _ => return eprintln!("skipped: needs python3 with ctypes"),
    };
    let mut answers = Vec::new();
    for addr in ADDRS.map(Ipv4Addr::from_bits) {
        answers.push(format!("{} {}", inet_lnaof(addr), inet_netof(addr)));
    }
    for network in PARTS {
        for host in PARTS {
            answers.push(inet_makeaddr(network, host).to_bits().to_string());
        }
    }
    for text in TEXTS {
        answers.push(inet_network(text).unwrap_or(u32::MAX).to_string());
    }
    assert_eq!(answers, expected.lines().collect::<Vec<_>>());
}

#[test]
fn this_machines_number_is_told_by_its_device() {
    match VsockAddr::local_cid() {
        // 0 is reserved for the hypervisor.
        Ok(cid) => assert_ne!(cid, 0),
        Err(error) => eprintln!("skipped: needs /dev/vsock: {error}"),
    }
}
