//! The bounds of docs/limits.md that need a machine of their own: one below, at them, one above.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use berkeley::names::{TABLE_ENTRIES_MAX, getservbyname, services};
use berkeley::{ADDRESSES_MAX, Addr, ConnectOptions, Endpoint, Errno, create_servers};

use crate::inside::is_inside;
use crate::support::{PATIENCE, inet, listener};

/// Attempts to connect at once.
const UNDER_WAY_MAX: usize = 16;
/// The shortest head start of one before the next.
const ATTEMPT_DELAY_MIN: Duration = Duration::from_millis(10);
/// Ports that are tried for all addresses of a name.
const PORT_PICKS_MAX: u16 = 8;
/// Bytes of one entry with its aliases.
const ROOM_BYTES_MAX: usize = 1 << 20;

/// In the namespace: what is sent to `192.0.2.*` is dropped without an answer.
const DROPPING: &str = "ip link set lo up; ip addr add 198.51.100.1/32 dev lo; \
    ip route add 192.0.2.0/24 dev lo src 198.51.100.1";

/// So many addresses that never answer, and then one that does.
fn behind(count: usize, good: &Addr) -> Vec<Addr> {
    let silent = (1..=count).map(|number| inet(&format!("192.0.2.{number}:9")));
    silent.chain([good.clone()]).collect()
}

#[test]
fn so_many_attempts_are_under_way_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let test = "bounds_inside::so_many_attempts_are_under_way_at_once";
    if !is_inside(test, &["-n"], DROPPING, folder.path()) {
        return;
    }
    let (_server, good) = listener(4);
    // The last attempt is the one that succeeds, if there is room for it.
    for others in [UNDER_WAY_MAX - 2, UNDER_WAY_MAX - 1, UNDER_WAY_MAX] {
        let is_tried = others < UNDER_WAY_MAX;
        let limit = if is_tried {
            PATIENCE
        } else {
            Duration::from_millis(600)
        };
        let options = ConnectOptions::new().timeout(limit);
        let connected = options
            .attempt_delay(ATTEMPT_DELAY_MIN)
            .connect_addresses(&behind(others, &good));
        assert_eq!(connected.is_ok(), is_tried, "behind {others}");
    }
}

#[test]
fn no_attempt_has_less_than_the_shortest_head_start() {
    let folder = tempfile::tempdir().unwrap();
    let test = "bounds_inside::no_attempt_has_less_than_the_shortest_head_start";
    if !is_inside(test, &["-n"], DROPPING, folder.path()) {
        return;
    }
    let (_server, good) = listener(4);
    let least = ATTEMPT_DELAY_MIN;
    let tick = Duration::from_millis(1);
    for (asked, has) in [
        (Duration::ZERO, least),
        (least - tick, least),
        (least, least),
        (least + tick, least + tick),
    ] {
        let begun = Instant::now();
        let options = ConnectOptions::new().timeout(PATIENCE);
        options
            .attempt_delay(asked)
            .connect_addresses(&behind(3, &good))
            .unwrap();
        assert!(
            begun.elapsed() >= has * 3,
            "{asked:?}: {:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn so_many_addresses_of_a_name_are_listened_at() {
    let folder = tempfile::tempdir().unwrap();
    let mut hosts = String::new();
    for count in ADDRESSES_MAX - 1..=ADDRESSES_MAX + 1 {
        for number in 1..=count {
            writeln!(hosts, "127.0.{count}.{number} many{count}").unwrap();
        }
    }
    fs::write(folder.path().join("hosts"), hosts).unwrap();
    fs::write(folder.path().join("nsswitch.conf"), "hosts: files\n").unwrap();
    let setup = "for file in hosts nsswitch.conf; do mount --bind \"$1/$file\" /etc/$file; done";
    let test = "bounds_inside::so_many_addresses_of_a_name_are_listened_at";
    if !is_inside(test, &["-m"], setup, folder.path()) {
        return;
    }
    for count in ADDRESSES_MAX - 1..=ADDRESSES_MAX + 1 {
        let place: Endpoint = format!("many{count}:0").parse().unwrap();
        let servers = create_servers(&place).unwrap();
        assert_eq!(servers.len(), count.min(ADDRESSES_MAX));
    }
}

#[test]
fn so_many_ports_are_tried_at_all_addresses_of_a_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("hosts"),
        "127.0.1.1 two\n127.0.1.2 two\n",
    )
    .unwrap();
    fs::write(folder.path().join("nsswitch.conf"), "hosts: files\n").unwrap();
    // As many ports as there are picks, and as many again for the tests themselves.
    let setup = "ip link set lo up; echo 40000 40031 > /proc/sys/net/ipv4/ip_local_port_range; \
        for file in hosts nsswitch.conf; do mount --bind \"$1/$file\" /etc/$file; done";
    let test = "bounds_inside::so_many_ports_are_tried_at_all_addresses_of_a_name";
    if !is_inside(test, &["-n", "-m"], setup, folder.path()) {
        return;
    }
    let place: Endpoint = "two:0".parse().unwrap();
    assert_eq!(create_servers(&place).unwrap().len(), 2);
    // Whatever is free at the first address is in use at the second.
    let taken: Vec<_> = (40_000..40_000 + 4 * PORT_PICKS_MAX)
        .map(|port| TcpListener::bind(("127.0.1.2", port)).unwrap())
        .collect();
    let error = create_servers(&place).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EADDRINUSE), "{error}");
    drop(taken);
    assert_eq!(create_servers(&place).unwrap().len(), 2);
}

#[test]
fn a_table_has_so_many_entries() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("services"), "").unwrap();
    fs::write(folder.path().join("nsswitch.conf"), "services: files\n").unwrap();
    let setup = "for file in services nsswitch.conf; do mount --bind \"$1/$file\" /etc/$file; done";
    let test = "bounds_inside::a_table_has_so_many_entries";
    if !is_inside(test, &["-m"], setup, folder.path()) {
        return;
    }
    // In the namespace that is a file of ours.
    let path = "/etc/services";
    assert_eq!(fs::read_to_string(path).unwrap(), "");
    let max = TABLE_ENTRIES_MAX;
    for count in [max - 1, max, max + 1] {
        fs::write(path, "s 1/tcp\n".repeat(count)).unwrap();
        match services() {
            Ok(found) => assert_eq!((found.len(), count <= max), (count, true)),
            Err(error) => assert_eq!((error.errno(), count), (Some(Errno::EOVERFLOW), max + 1)),
        }
    }
    // An entry is as long as its names together; some bytes more are used for it.
    for (bytes, is_found) in [(ROOM_BYTES_MAX / 2, true), (2 * ROOM_BYTES_MAX, false)] {
        fs::write(path, format!("long 7/tcp {}\n", "a".repeat(bytes))).unwrap();
        match getservbyname("long", None) {
            Ok(found) => assert_eq!((found.is_some(), is_found), (true, true)),
            Err(error) => assert_eq!((error.errno(), is_found), (Some(Errno::ERANGE), false)),
        }
    }
}
