//! The memory that the kernel writes to, tried without a kernel: buffers that begin uninitialised,
//! control messages and the descriptors in them. Miri, valgrind and the sanitizers watch.
#![expect(unsafe_code, reason = "the kernel's part is played here")]

use core::mem::MaybeUninit;
use std::fs::File;
use std::io::Read;
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};

use super::buf::RecvBuf;
use super::control::{ControlBuf, ControlSpace};
use crate::control::walk::{HEADER_BYTES, Header, control_space};
use crate::control::{Cmsg, CmsgOut, ControlOut};

/// Receives `data` as recv(2) would, as far as there is room.
fn receive<B: RecvBuf>(mut buf: B, data: &[u8]) -> B::Filled {
    let (place, room) = buf.room();
    let len = room.min(data.len());
    // SAFETY: the buffer has this room, and `data` lies elsewhere.
    unsafe {
        place
            .cast::<u8>()
            .copy_from_nonoverlapping(data.as_ptr(), len)
    };
    // SAFETY: so many bytes were written just now, as far as they fit.
    unsafe { buf.filled(data.len()) }
}

#[test]
fn a_slice_takes_what_fits_and_tells_what_came() {
    let mut bytes = [0xee; 4];
    assert_eq!(receive(&mut bytes[..], b"ab"), 2);
    assert_eq!(&bytes, b"ab\xee\xee");
    assert_eq!(receive(&mut bytes, b"longer"), 6);
    assert_eq!(&bytes, b"long");
}

#[test]
fn uninitialised_memory_is_split_where_the_data_end() {
    let mut room = [MaybeUninit::<u8>::uninit(); 8];
    let (written, rest) = receive(&mut room[..], b"abc");
    assert_eq!((&*written, rest.len()), (&b"abc"[..], 5));
    // Both parts are the caller's to write to, at the same time.
    written.fill(b'x');
    let (more, rest) = receive(rest, b"longer than the rest");
    assert_eq!(
        (&*written, &*more, rest.len()),
        (&b"xxx"[..], &b"longe"[..], 0)
    );
}

#[test]
fn a_vector_grows_by_what_came_and_no_further() {
    let mut vec = Vec::with_capacity(8);
    vec.extend(b"ab");
    let room = vec.capacity() - vec.len();
    assert_eq!(receive(&mut vec, b"cd"), 2);
    assert_eq!(vec, b"abcd");
    let long = vec![b'x'; room + 100];
    assert_eq!(receive(&mut vec, &long), long.len());
    assert_eq!((vec.len(), vec.len()), (vec.capacity(), room + 2));
    assert!(vec.ends_with(b"xx"));
}

/// Fills a buffer as recvmsg(2) would.
fn fill(control: &mut ControlBuf<'_>, bytes: &[u8]) {
    control.clear();
    let len = bytes.len();
    control.room()[..len].copy_from_slice(bytes);
    // SAFETY: control messages, whose descriptors were made for this and belong to nobody else.
    unsafe { control.fill(len) };
}

/// A message with descriptors, as the kernel writes it.
fn rights(numbers: &[RawFd]) -> Vec<u8> {
    let payload: Vec<u8> = numbers.iter().flat_map(|fd| fd.to_ne_bytes()).collect();
    let header = Header::write(libc::SOL_SOCKET, libc::SCM_RIGHTS, payload.len()).unwrap();
    let mut bytes = [&header[..], &payload].concat();
    bytes.resize(control_space(payload.len()).unwrap(), 0);
    bytes
}

fn open() -> RawFd {
    OwnedFd::from(File::open("/dev/null").unwrap()).into_raw_fd()
}

#[test]
fn messages_are_read_from_the_stack_and_from_the_heap() {
    let items = [CmsgOut::Ttl(9), CmsgOut::HopLimit(22), CmsgOut::Tos(3)];
    let sent = ControlOut::of(&items).unwrap();
    let mut space = ControlSpace::<100>::new();
    for mut control in [ControlBuf::with_capacity(72), space.buf()] {
        for _again in 0..2 {
            fill(&mut control, sent.as_bytes());
            let mut found = control.cmsgs();
            assert!(matches!(found.next(), Some(Cmsg::Ttl(9))));
            assert!(matches!(found.next(), Some(Cmsg::HopLimit(22))));
            assert!(found.next().is_some());
            assert!(found.next().is_none());
            assert_eq!(control.as_bytes(), sent.as_bytes());
        }
    }
}

#[test]
fn a_message_that_is_cut_off_ends_the_walk_wherever_it_is_cut() {
    let sent = ControlOut::of(&[CmsgOut::Ttl(9), CmsgOut::TransmitTime(7)]).unwrap();
    let mut control = ControlBuf::with_capacity(64);
    for len in 0..sent.as_bytes().len() {
        fill(&mut control, &sent.as_bytes()[..len]);
        let count = control.cmsgs().count();
        assert_eq!(count, usize::from(len >= HEADER_BYTES + 4), "{len}");
    }
}

#[test]
fn a_descriptor_is_handed_out_once_and_the_rest_are_closed() {
    let numbers = [open(), -1, open(), open()];
    let mut control = ControlBuf::with_capacity(64);
    fill(&mut control, &rights(&numbers));
    let mut taken = Vec::new();
    for item in control.cmsgs() {
        let Cmsg::Rights(mut fds) = item else {
            panic!("{item:?}");
        };
        assert_eq!(fds.len(), 3);
        taken.extend(fds.next());
        taken.extend(fds.next());
        assert_eq!(fds.len(), 1);
    }
    // Walked again, only the one that nobody took is there.
    for item in control.cmsgs() {
        assert!(matches!(item, Cmsg::Rights(fds) if fds.len() == 1));
    }
    drop(control);
    for fd in taken {
        // Still open, and ours.
        assert_eq!(File::from(fd).read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn descriptors_that_nobody_takes_are_closed_when_the_buffer_is_used_again() {
    let mut space = ControlSpace::<64>::new();
    let mut control = space.buf();
    for _again in 0..3 {
        fill(
            &mut control,
            &[rights(&[open()]), rights(&[open()])].concat(),
        );
    }
    // Used for sending, or dropped: both without a descriptor of a former message.
    drop(control);
    space.out().push(CmsgOut::Ttl(1)).unwrap();
}
