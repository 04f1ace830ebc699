//! Safe calls let the kernel write nowhere but where there is room for it, whatever they are asked
//! for.

use std::mem::MaybeUninit;
use std::net::Ipv4Addr;

use berkeley::opt::multicast::{FilterMode, Interface};
use berkeley::{
    CmsgOut, ControlOut, Errno, Error, Family, Kind, Level, MsgFlags, Protocol, Socket,
};

use crate::support::{tcp, tcp_pair};

const GROUP: Ipv4Addr = Ipv4Addr::new(232, 1, 2, 3);
const SOURCES: u8 = 10;

/// In a group with ten sources: more than there will be room for.
fn member() -> Socket {
    let socket = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT).unwrap();
    let interface = Interface::Addr(Ipv4Addr::LOCALHOST);
    for last in 1..=SOURCES {
        let source = Ipv4Addr::new(10, 0, 0, last);
        socket
            .join_source(GROUP.into(), source.into(), interface)
            .unwrap();
    }
    socket
}

/// Asks with room for the first `len` of `value`, whose rest must stay as it is.
fn ask(name: i32, mut value: Vec<u8>, len: usize) -> Result<usize, Error> {
    value.resize(len, 0);
    value.resize(len + 4096, 0xee);
    let (room, rest) = value.split_at_mut(len);
    let answer = member().get_raw(Level::IP, name, room);
    assert!(rest.iter().all(|byte| *byte == 0xee), "{len}: {answer:?}");
    answer
}

/// `struct ip_msfilter` before its list: the kernel writes as many sources as `count` says.
fn msfilter(count: u32) -> Vec<u8> {
    let mut value = GROUP.octets().to_vec();
    value.extend(Ipv4Addr::LOCALHOST.octets());
    value.extend(u32::from_ne_bytes(FilterMode::INCLUDE.raw().to_ne_bytes()).to_ne_bytes());
    value.extend(count.to_ne_bytes());
    value
}

/// `struct group_filter` before its list.
fn group_filter(count: u32) -> Vec<u8> {
    let index = berkeley::interfaces::if_nametoindex("lo").unwrap();
    let mut value = u64::from(index).to_le_bytes().to_vec();
    value.extend(2u16.to_ne_bytes());
    value.extend([0; 2]);
    value.extend(GROUP.octets());
    value.resize(140, 0);
    value.extend(count.to_ne_bytes());
    value
}

#[test]
fn a_list_of_sources_is_not_written_beyond_the_room_that_is_there() {
    // The length told is no limit to these options: the number in the value is.
    for (name, head, entry, value) in [
        (41, 16, 4, msfilter as fn(u32) -> Vec<u8>),
        (48, 144, 128, group_filter),
    ] {
        for (count, room) in [(1, 0), (100, 0), (100, 9), (u32::MAX, 31)] {
            let error = ask(name, value(count), head + room * entry).unwrap_err();
            assert_eq!(error.errno(), Some(Errno::EINVAL), "{count} {room}");
        }
        for (count, room) in [(0, 0), (1, 1), (5, 9), (31, 31)] {
            ask(name, value(count), head + room * entry).unwrap();
        }
        // Before the number: the kernel says no by itself.
        assert!(ask(name, value(9), 8).is_err());
    }
}

#[test]
fn keys_are_not_written_beyond_the_room_that_is_there() {
    const GET_KEYS: i32 = 41;
    let refused = |value: &mut [u8]| {
        let error = tcp().get_raw(Level::TCP, GET_KEYS, value).unwrap_err();
        error.errno() == Some(Errno::EINVAL)
    };
    let mut value = [0; 296];
    value[272..276].copy_from_slice(&2u32.to_ne_bytes());
    assert!(refused(&mut value));
    // Their number is written even where the room ends before it.
    assert!(refused(&mut value[..200]));
}

#[test]
fn control_messages_that_name_memory_to_be_written_are_refused() {
    for kind in [1, 3, 6, 7, 8, 9] {
        let item = CmsgOut::Raw {
            level: Level::RDS,
            kind,
            bytes: &[0x41; 64],
        };
        let error = ControlOut::of(&[item]).unwrap_err();
        assert!(matches!(error, Error::Unsupported(_)), "{error}");
    }
}

#[test]
fn what_a_flag_leaves_unwritten_is_not_read_as_written() {
    // MSG_TRUNC of TCP throws the bytes away and answers how many they were; MSG_SOCK_DEVMEM
    // leaves them in a device, where there is one; others may come.
    for flags in [MsgFlags::TRUNC.raw(), 0x200_0000, 0x0100_0000] {
        let (a, b) = tcp_pair();
        a.send_all(b"secret").unwrap();
        let mut room = [MaybeUninit::uninit(); 32];
        if let Ok((written, _)) = b.recv_into(&mut room[..], MsgFlags::from_raw(flags)) {
            assert!(written == [0; 6] || written == b"secret", "{written:?}");
        }
        a.send_all(b"secret").unwrap();
        let mut room = Vec::with_capacity(32);
        if b.recv_into(&mut room, MsgFlags::from_raw(flags)).is_ok() {
            assert!(room == [0; 6] || room.starts_with(b"secret"), "{room:?}");
        }
    }
}
