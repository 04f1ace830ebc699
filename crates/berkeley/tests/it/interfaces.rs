//! The machine's interfaces, against what /sys says about them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use berkeley::interfaces::{
    InterfaceFlags, getifaddrs, if_indextoname, if_nameindex, if_nametoindex,
};
use berkeley::{Addr, Errno, Family};

use crate::inside::is_inside;

fn counter(name: &OsString, what: &str) -> u64 {
    let path = Path::new("/sys/class/net").join(name);
    let text = fs::read_to_string(path.join("statistics").join(what)).unwrap();
    text.trim().parse().unwrap()
}

#[test]
fn every_interface_is_listed_with_its_number_and_found_by_either() {
    let listed = if_nameindex().unwrap();
    assert!(!listed.is_empty());
    let names: BTreeSet<_> = listed.iter().map(|entry| entry.name.clone()).collect();
    if let Ok(entries) = fs::read_dir("/sys/class/net") {
        for name in entries.map(|entry| entry.unwrap().file_name()) {
            let is_interface = fs::metadata(format!("/sys/class/net/{}", name.display()))
                .is_ok_and(|data| data.is_dir());
            assert!(!is_interface || names.contains(&name), "{name:?}");
        }
    }
    for entry in &listed {
        assert_eq!(if_nametoindex(&entry.name).unwrap(), entry.index);
        assert_eq!(if_indextoname(entry.index).unwrap(), entry.name);
    }
}

#[test]
fn an_interface_that_is_not_there_is_an_error() {
    for name in ["", "no-such-one", "longer-than-any-name-may-be", "a\0b"] {
        let error = if_nametoindex(name).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::ENODEV), "{name:?}");
    }
    for index in [0, u32::MAX] {
        let error = if_indextoname(index).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::ENXIO), "{index}");
    }
}

#[test]
fn loopback_is_there_with_its_address_its_mask_and_its_counters() {
    let all = getifaddrs().unwrap();
    let loopback: Vec<_> = all.iter().filter(|entry| entry.name == "lo").collect();
    let inet = loopback
        .iter()
        .find(|entry| {
            entry
                .addr
                .as_ref()
                .is_some_and(|addr| addr.family() == Family::INET)
        })
        .unwrap();
    let wanted = InterfaceFlags::UP | InterfaceFlags::LOOPBACK;
    assert!(inet.flags.contains(wanted), "{:?}", inet.flags);
    assert_eq!(
        inet.addr.as_ref().unwrap().ip(),
        Some(IpAddr::from([127, 0, 0, 1]))
    );
    assert_eq!(inet.netmask, Some(IpAddr::from([255, 0, 0, 0])));
    assert_eq!(inet.prefix_len(), Some(8));
    assert_eq!((&inet.broadcast, &inet.peer), (&None, &None));
    assert_eq!(inet.statistics, None, "only beside the hardware's address");

    let hardware = loopback.iter().find(|entry| entry.statistics.is_some());
    let hardware = hardware.unwrap();
    assert_eq!(
        hardware.addr.as_ref().unwrap().family().raw(),
        libc::AF_PACKET
    );
    assert_eq!(hardware.netmask, None);
    assert_eq!(hardware.prefix_len(), None);
}

#[test]
fn the_counters_are_the_kernels() {
    // Other programs send in between: the listed value lies between those read around it.
    let name = OsString::from("lo");
    let read = || [counter(&name, "rx_packets"), counter(&name, "tx_bytes")];
    let before = read();
    let all = getifaddrs().unwrap();
    let after = read();
    let stats = all
        .iter()
        .find(|entry| entry.name == name && entry.statistics.is_some())
        .unwrap()
        .statistics
        .unwrap();
    for (at, value) in [stats.rx_packets, stats.tx_bytes].into_iter().enumerate() {
        if after[at] <= u64::from(u32::MAX) {
            assert!((before[at]..=after[at]).contains(&u64::from(value)));
        }
    }
    assert_eq!(stats.collisions, 0);
}

#[test]
fn privileged_addresses_tell_broadcast_and_peer() {
    let name = "interfaces::privileged_addresses_tell_broadcast_and_peer";
    let setup = "ip link add wire0 type veth peer name wire1
        ip addr add 10.1.2.3/24 brd 10.1.2.255 dev wire0
        ip addr add 10.1.3.3/24 dev wire0
        ip tuntap add tun0 mode tun
        ip addr add 10.9.9.1 peer 10.9.9.2 dev tun0";
    if !is_inside(name, &["-n"], setup, Path::new("/")) {
        return;
    }
    let all = getifaddrs().unwrap();
    let ip = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    let of = |text: &str| {
        let is_it = |addr: &Addr| addr.ip() == ip(text);
        let entry = all
            .iter()
            .find(|entry| entry.addr.as_ref().is_some_and(is_it));
        entry.unwrap()
    };
    let wire = of("10.1.2.3");
    assert!(wire.flags.contains(InterfaceFlags::BROADCAST), "{wire:?}");
    assert_eq!(wire.name, "wire0");
    assert_eq!(wire.prefix_len(), Some(24));
    assert_eq!(wire.broadcast.as_ref().unwrap().ip(), ip("10.1.2.255"));
    assert_eq!(wire.peer, None);

    let without = of("10.1.3.3");
    assert_eq!((&without.broadcast, &without.peer), (&None, &None));

    let tunnel = of("10.9.9.1");
    assert!(
        tunnel.flags.contains(InterfaceFlags::POINTOPOINT),
        "{tunnel:?}"
    );
    assert_eq!(tunnel.peer.as_ref().unwrap().ip(), ip("10.9.9.2"));
    assert_eq!((&tunnel.broadcast, tunnel.prefix_len()), (&None, Some(32)));

    let names: Vec<_> = if_nameindex()
        .unwrap()
        .into_iter()
        .map(|one| one.name)
        .collect();
    for name in ["lo", "wire0", "wire1", "tun0"] {
        assert!(names.iter().any(|listed| listed == name), "{names:?}");
    }
}
