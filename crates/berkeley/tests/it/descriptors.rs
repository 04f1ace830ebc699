//! Descriptors that travel.

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use berkeley::{
    Cmsg, CmsgOut, ControlBuf, ControlOut, ControlSpace, Error, FDS_MAX, Kind, Level, MsgFlags,
    OutMessage, Socket,
};

use crate::ancillary::switch;
use crate::support::{is_close_on_exec, unix_pair};

/// Two ends of a pipe as descriptors: the other end tells when the first is closed everywhere.
fn pipe() -> (OwnedFd, OwnedFd) {
    let (read, write) = std::io::pipe().unwrap();
    (read.into(), write.into())
}

/// True if nobody holds the other end any more.
fn is_lonely(read: &OwnedFd) -> bool {
    use std::io::Read as _;
    let mut file = fs::File::from(read.try_clone().unwrap());
    matches!(file.read(&mut [0; 1]), Ok(0))
}

fn inode(fd: &impl AsFd) -> u64 {
    fs::metadata(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
        .unwrap()
        .ino()
}

#[test]
fn as_many_descriptors_as_a_message_can_carry_arrive_as_themselves() {
    for kind in [Kind::STREAM, Kind::DGRAM, Kind::SEQPACKET] {
        let (a, b) = unix_pair(kind);
        let (read, write) = pipe();
        let fds: Vec<BorrowedFd<'_>> = (0..FDS_MAX)
            .map(|index| {
                if index % 2 == 0 {
                    read.as_fd()
                } else {
                    write.as_fd()
                }
            })
            .collect();
        assert_eq!(a.send_fds(b"x", &fds, MsgFlags::NONE).unwrap(), 1);
        let mut buf = [0; 4];
        let message = b.recv_fds(&mut buf, MsgFlags::NONE).unwrap();
        assert_eq!((message.len, message.fds.len()), (1, 253));
        assert!(!message.is_control_truncated());
        for (sent, came) in fds.iter().zip(&message.fds) {
            assert_eq!(inode(sent), inode(came));
            assert!(is_close_on_exec(came));
        }
    }
}

#[test]
fn more_than_that_is_refused() {
    let (a, _b) = unix_pair(Kind::STREAM);
    let fds = vec![a.as_fd(); FDS_MAX + 1];
    let error = a.send_fds(b"x", &fds, MsgFlags::NONE).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

#[test]
fn a_message_without_descriptors_is_a_message() {
    let (a, b) = unix_pair(Kind::STREAM);
    a.send_fds(b"only data", &[], MsgFlags::NONE).unwrap();
    let message = b.recv_fds(&mut [0; 16], MsgFlags::NONE).unwrap();
    assert_eq!((message.len, message.fds.len()), (9, 0));
}

#[test]
fn a_descriptor_that_nobody_takes_is_closed_with_the_buffer_or_its_next_use() {
    let (a, b) = unix_pair(Kind::STREAM);
    for by_dropping in [true, false] {
        let (read, write) = pipe();
        a.send_fds(b"x", &[write.as_fd(), write.as_fd()], MsgFlags::NONE)
            .unwrap();
        drop(write);
        let mut control = ControlBuf::with_capacity(64);
        let mut message = b
            .recv_message(
                &mut [IoSliceMut::new(&mut [0; 4])],
                &mut control,
                MsgFlags::NONE,
            )
            .unwrap();
        // One of two is taken, and asking again gives the other.
        let Some(Cmsg::Rights(mut fds)) = message.control().next() else {
            panic!("no descriptors");
        };
        assert_eq!(fds.len(), 2);
        let taken = fds.next().unwrap();
        drop(taken);
        let Some(Cmsg::Rights(fds)) = message.control().next() else {
            panic!("no descriptors");
        };
        assert_eq!(fds.len(), 1);
        if by_dropping {
            drop(control);
        } else {
            control.clear();
            assert_eq!(control.as_bytes(), b"");
        }
        assert!(is_lonely(&read));
    }
}

#[test]
fn descriptors_without_room_are_told_and_those_that_came_are_owned() {
    let (a, b) = unix_pair(Kind::STREAM);
    let (read, write) = pipe();
    let fds = [write.as_fd(); 5];
    a.send_fds(b"x", &fds, MsgFlags::NONE).unwrap();
    drop(write);
    let mut space = ControlSpace::<24>::new();
    let mut control = space.buf();
    let mut message = b
        .recv_message(
            &mut [IoSliceMut::new(&mut [0; 4])],
            &mut control,
            MsgFlags::NONE,
        )
        .unwrap();
    assert!(message.is_control_truncated());
    let Some(Cmsg::Rights(fds)) = message.control().next() else {
        panic!("no descriptors");
    };
    assert_eq!(fds.len(), 2, "what fits into 24 bytes behind the header");
    drop(control);
    assert!(is_lonely(&read));
}

#[test]
fn looking_at_descriptors_makes_new_ones_each_time() {
    let (a, b) = unix_pair(Kind::STREAM);
    let (read, write) = pipe();
    a.send_fds(b"x", &[write.as_fd()], MsgFlags::NONE).unwrap();
    drop(write);
    let peeked = b.recv_fds(&mut [0; 1], MsgFlags::PEEK).unwrap();
    let message = b.recv_fds(&mut [0; 1], MsgFlags::NONE).unwrap();
    assert_eq!((peeked.fds.len(), message.fds.len()), (1, 1));
    assert_eq!(inode(&peeked.fds[0]), inode(&message.fds[0]));
    drop((peeked, message));
    assert!(is_lonely(&read));
}

#[test]
fn descriptors_that_are_under_way_when_the_socket_closes_do_not_leak() {
    let (a, b) = unix_pair(Kind::STREAM);
    let (read, write) = pipe();
    a.send_fds(b"x", &[write.as_fd()], MsgFlags::NONE).unwrap();
    drop((write, a, b));
    assert!(is_lonely(&read));
}

#[test]
fn a_socket_that_came_by_a_socket_works() {
    let (a, b) = unix_pair(Kind::STREAM);
    let (c, d) = unix_pair(Kind::DGRAM);
    a.send_fds(b"x", &[c.as_fd()], MsgFlags::NONE).unwrap();
    let mut message = b.recv_fds(&mut [0; 1], MsgFlags::NONE).unwrap();
    let came = Socket::adopt(message.fds.remove(0)).unwrap();
    assert_eq!(came.kind(), Kind::DGRAM);
    came.send(b"through", MsgFlags::NONE).unwrap();
    assert_eq!(crate::support::receive(&d), b"through");
}

#[test]
fn the_senders_process_comes_as_a_descriptor() {
    let (a, b) = unix_pair(Kind::STREAM);
    // SO_PASSPIDFD, since Linux 6.5.
    if b.set_raw(Level::SOCKET, 76, &1i32.to_ne_bytes()).is_err() {
        eprintln!("skipped: needs SO_PASSPIDFD");
        return;
    }
    a.send(b"x", MsgFlags::NONE).unwrap();
    let mut control = ControlBuf::with_capacity(128);
    let mut message = b
        .recv_message(
            &mut [IoSliceMut::new(&mut [0; 4])],
            &mut control,
            MsgFlags::NONE,
        )
        .unwrap();
    let pid = message.control().find_map(|item| match item {
        Cmsg::PidFd(mut fds) => fds.next(),
        _ => None,
    });
    let pid = pid.unwrap();
    assert!(is_close_on_exec(&pid));
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pid.as_raw_fd())).unwrap();
    let own = format!("Pid:\t{}", std::process::id());
    assert!(info.lines().any(|line| line == own), "{info}");
}

#[test]
fn descriptors_and_credentials_travel_in_one_message() {
    let (a, b) = unix_pair(Kind::DGRAM);
    switch(&b, Level::SOCKET, libc::SO_PASSCRED, 1);
    let own = a.get(berkeley::opt::PeerCredentials).unwrap();
    let fds = [a.as_fd(), b.as_fd()];
    let control = ControlOut::of(&[CmsgOut::Rights(&fds), CmsgOut::Credentials(own)]).unwrap();
    let pieces = [IoSlice::new(b"x")];
    a.send_message(&OutMessage::new(&pieces).control(&control), MsgFlags::NONE)
        .unwrap();
    let mut control = ControlBuf::with_capacity(128);
    let mut message = b
        .recv_message(
            &mut [IoSliceMut::new(&mut [0; 4])],
            &mut control,
            MsgFlags::NONE,
        )
        .unwrap();
    let (mut descriptors, mut credentials) = (Vec::new(), None);
    for item in message.control() {
        match item {
            Cmsg::Rights(fds) => descriptors.extend(fds),
            Cmsg::Credentials(who) => credentials = Some(who),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(descriptors.len(), 2);
    assert_eq!(credentials, Some(own));
}
